"""Data sets: synthetic worlds and the real sets, all behind one sample contract.

Each real source is a module of its own (``nyu``, ``kitti``, ``make3d``, ``rgbd``, ``stereo``, ``video``); the
synthetic worlds are the package ``worlds``. ``transforms`` holds the joint augmentations, ``export`` writes
any data set in the layouts of the real ones, ``check`` finds what a folder of real data holds and ``fetch``
downloads what may be downloaded. For training without depth, ``sequences`` adds to the items of a video the
frames before and after (``timeline`` says which these are), ``sequence_augmentation`` mirrors and recolours
them, and ``motion`` tells whether a video moves enough. Only the contract is imported here.
"""

from mdepth.datasets.sample import DepthDataset, Sample, check_sample, collate

__all__ = ["DepthDataset", "Sample", "check_sample", "collate"]
