"""NYU Depth V2 in the five forms in which it is passed around.

=================  ==========================================  ===========================================
class              files                                       depth
=================  ==========================================  ===========================================
``Labelled``       nyu_depth_v2_labeled.mat (HDF5), 1449       float32 m, filled or raw
``SyncFolder``     BTS: rgb_00045.jpg, sync_depth_00045.png    uint16 mm, holes
``DenseDepthCsv``  nyu2_train.csv, nyu2_test.csv               8-bit, 255 = 10 m (train); 16-bit mm (test)
``H5Frames``       sparse-to-dense: one .h5 a frame            float m
``LabelledPngs``   labelled images exported to PNG             uint16 in 1e-4 m; 8-bit copies are refused
=================  ==========================================  ===========================================

``read_raw_depth`` reads an unprocessed Kinect frame, ``register_raw_depth`` brings it to the colour image,
and ``pair_raw`` says which image that is.

Source: Silberman et al., Indoor Segmentation and Support Inference from RGBD Images, ECCV 2012.
"""

from mdepth.datasets.nyu.h5 import H5Frames
from mdepth.datasets.nyu.labelled import Labelled
from mdepth.datasets.nyu.pairs import DenseDepthCsv, LabelledPngs, SyncFolder, scene_of
from mdepth.datasets.nyu.raw import (
    COLOR_K,
    DEPTH_K,
    T_COLOR_DEPTH,
    pair_raw,
    read_raw_depth,
    register_raw_depth,
)

__all__ = [
    "COLOR_K",
    "DEPTH_K",
    "T_COLOR_DEPTH",
    "DenseDepthCsv",
    "H5Frames",
    "Labelled",
    "LabelledPngs",
    "SyncFolder",
    "pair_raw",
    "read_raw_depth",
    "register_raw_depth",
    "scene_of",
]
