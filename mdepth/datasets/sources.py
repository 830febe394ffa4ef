"""The real data sets: where each comes from, under which terms, how large it is, and how it is recognised in
a folder.

``data/README.md`` tells the same in prose; a test holds the two together.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["SOURCES", "Source", "open_source"]


@dataclass(frozen=True)
class Source:
    """One data set in one layout.

    A folder belongs to it when its path below ``part`` matches ``within`` and one of its files matches
    ``files``; the place reported is ``climb`` folders further up. ``size`` is that of the whole set, ``trap``
    what readers fall into.
    """

    key: str
    part: str
    files: str
    title: str
    where: str
    terms: str
    size: str
    loader: str
    within: str = ".*"
    climb: int = 0
    trap: str = ""

    def matches(self, folder: str, names: list[str]) -> int:
        """How many of a folder's files belong to the set."""
        if not re.search(self.within, folder):
            return 0
        return sum(re.fullmatch(self.files, name) is not None for name in names)


_NYU = (
    "https://cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html",
    "cite Silberman et al. 2012; the copies name no licence",
)
_KITTI = ("https://www.cvlibs.net/datasets/kitti (registration)", "CC BY-NC-SA 3.0")
_MIDDLEBURY = ("https://vision.middlebury.edu/stereo/data", "cite Scharstein and Szeliski 2002, 2003")
_MAKE3D = ("http://make3d.cs.cornell.edu/data.html", "research use, cite Saxena et al. 2009")

SOURCES: tuple[Source, ...] = (
    Source("nyu/labelled", "nyu", r"nyu_depth_v2_labeled\.mat", "NYU Depth V2, 1449 labelled images",
           *_NYU, "2.97 GB", "nyu.Labelled"),
    Source("nyu/splits", "(nyu|splits)", r"splits\.mat", "NYU Depth V2, official split", *_NYU, "3 KB",
           "nyu.Labelled(splits=...)"),
    Source("nyu/sync", "nyu", r"sync_depth_\d+\.png", "NYU Depth V2, synchronised frames (BTS)",
           "https://github.com/cleinc/bts", _NYU[1], "24,231 + 654 frames", "nyu.SyncFolder"),
    Source("nyu/densedepth", "nyu", r"nyu2_(train|test)\.csv",
           "NYU Depth V2, DenseDepth's zip (Hu et al.'s frames)",
           "https://github.com/ialhashim/DenseDepth", _NYU[1], "4.1 GB", "nyu.DenseDepthCsv",
           trap="8-bit depth in training, 16-bit millimetres in the test"),
    Source("nyu/h5", "nyu", r".*\.h5", "NYU Depth V2, sparse-to-dense frames",
           "https://github.com/fangchangma/sparse-to-dense.pytorch", _NYU[1], "32 GB", "nyu.H5Frames"),
    Source("nyu/raw", "nyu", r"d-.*\.pgm", "NYU Depth V2, raw Kinect frames", *_NYU, "428 GB",
           "nyu.read_raw_depth", trap="bytes swapped, not registered to the colour image"),
    Source("nyu/labelled-png", "nyu", r"depth_(filled|raw)\.png", "NYU labelled images as 16-bit PNG",
           *_NYU, "", "nyu.LabelledPngs",
           trap="1e-4 m a code, wraps above 6.5535 m; read as millimetres it gives 18-36 m"),
    Source("nyu/labelled-8bit", "nyu", r"\d{5}\.png", "NYU labelled images as 8-bit PNG", *_NYU, "",
           "none", within="8bit", trap="no metric scale: refused by every loader"),
    Source("kitti/raw", "kitti", r"calib_cam_to_cam\.txt", "KITTI raw recordings", *_KITTI,
           "175 GB zipped", "kitti.Raw", climb=1,
           trap="the official ground truth stores LiDAR distance, shifted by a pixel"),
    Source("kitti/annotated", "kitti", r"\d{10}\.png", "KITTI annotated depth", *_KITTI, "14 GB",
           "kitti.Raw(depth='annotated')", within=r"groundtruth/image_0[23]$", climb=4),
    Source("kitti/odometry", "kitti", r"calib\.txt", "KITTI odometry sequences", *_KITTI,
           "22 GB grey, 65 GB colour", "kitti.Odometry"),
    Source("kitti/odometry-poses", "kitti", r"\d\d\.txt", "KITTI odometry, ground-truth poses", *_KITTI,
           "4 MB", "kitti.read_poses", within="poses$"),
    Source("kitti/h5", "kitti", r".*\.h5", "KITTI odometry, sparse-to-dense frames",
           "https://github.com/fangchangma/sparse-to-dense.pytorch", _KITTI[1], "",
           "nyu.H5Frames(K=...)"),
    Source("rgbd/7scenes", "rgbd", r"frame-\d+\.depth\.png", "7-Scenes",
           "https://www.microsoft.com/en-us/research/project/rgb-d-dataset-7-scenes",
           "non-commercial research", "", "rgbd.SevenScenes",
           trap="depth is not registered to colour; 65535 means nothing"),
    Source("rgbd/tum", "rgbd", r"ground_truth\.json|groundtruth\.txt", "TUM RGB-D",
           "https://cvg.cit.tum.de/data/datasets/rgbd-dataset", "CC BY 4.0", "0.3-2 GB a sequence",
           "rgbd.Tum", trap="5000 codes a metre"),
    Source("rgbd/nyu-video", "rgbd", r"pose\.txt", "posed piece of an NYU video", *_NYU, "3 MB",
           "rgbd.NyuVideo"),
    Source("rgbd/folder", "rgbd", r"camera\.json", "your own colour, depth and camera",
           "see mdepth.datasets.rgbd.folder", "yours", "", "rgbd.Folder"),
    Source("make3d/official", "make3d", r"depth_sph_corr-.*\.mat", "Make3D, 400 + 134 photographs",
           *_MAKE3D, "", "make3d.Make3D"),
    Source("make3d/bounded", "make3d", r"info\.mat", "Make3D photograph with depth spread over 16 bits",
           *_MAKE3D, "", "make3d.BoundedDepth", climb=1, trap="the unit is in info.mat"),
    Source("stereo/middlebury", "stereo", r"disp_gt\.(png|pgm)", "Middlebury stereo, classic pairs",
           *_MIDDLEBURY, "2 MB", "stereo.Middlebury", climb=1, trap="16, 8 or 4 codes a pixel, by scene"),
    Source("mono/video", "mono", r".*\.(mp4|mov|avi|mkv)", "plain video", "your own", "yours", "",
           "video.Video"),
    Source("mono/images", "mono", r".*\.(jpg|jpeg|png)", "plain pictures", "your own", "yours", "",
           "video.Video"),
    Source("splits/kitti", "splits", r".*(files|frames).*\.txt", "lists of KITTI and NYU frames",
           "mdepth data fetch", "monodepth2: non-commercial; SfMLearner: MIT", "5 MB", "kitti.read_split"),
)  # fmt: skip


def open_source(key: str, path: Path, **options: Any) -> Any:
    """The data set of a place that ``check.find`` reported.

    Args:
        key: a key of ``SOURCES``.
        path: the place.
        options: passed to the loader.

    Raises:
        ValueError: the key names no data set that opens by its place alone.
        DataError: what the loader finds wrong.
    """
    from mdepth.datasets import kitti, make3d, nyu, rgbd, stereo, video

    loaders: dict[str, Any] = {
        "nyu/labelled": lambda **o: nyu.Labelled(path / "nyu_depth_v2_labeled.mat", **o),
        "nyu/sync": lambda **o: nyu.SyncFolder(path, **o),
        "nyu/h5": lambda **o: nyu.H5Frames(path, **o),
        "kitti/raw": lambda **o: kitti.Raw(path, **o),
        "kitti/annotated": lambda **o: kitti.Raw(path.parent, depth="annotated", **o),
        "kitti/odometry": lambda **o: kitti.Odometry(path, **o),
        "kitti/h5": lambda **o: nyu.H5Frames(path, **o),
        "rgbd/7scenes": lambda **o: rgbd.SevenScenes(path, **o),
        "rgbd/tum": lambda **o: rgbd.Tum(path, **o),
        "rgbd/nyu-video": lambda **o: rgbd.NyuVideo(path, **o),
        "rgbd/folder": lambda **o: rgbd.Folder(path, **o),
        "make3d/official": lambda **o: make3d.Make3D(make3d.home(path), **o),
        "make3d/bounded": lambda **o: make3d.BoundedDepth(path, **o),
        "stereo/middlebury": lambda **o: stereo.Middlebury(path, **o),
        "mono/images": lambda **o: video.Video(path, **o),
    }
    if key not in loaders:
        raise ValueError(f"{key!r} does not open by itself; these do: {sorted(loaders)}")
    return loaders[key](**options)
