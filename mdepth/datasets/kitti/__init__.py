"""KITTI: the raw recordings with LiDAR or annotated depth, the odometry sequences, their calibration and
split lists."""

from mdepth.datasets.kitti.calibration import Calibration, read_calibration, read_calibration_file
from mdepth.datasets.kitti.odometry import Odometry, read_poses
from mdepth.datasets.kitti.oxts import T_map_imu, moving, read_motion, read_oxts
from mdepth.datasets.kitti.raw import Raw
from mdepth.datasets.kitti.splits import (
    Frame,
    OdometryFrame,
    parse_odometry_split,
    parse_split,
    read_odometry_split,
    read_split,
    read_static_frames,
    without_static,
)
from mdepth.datasets.kitti.velodyne import capture_times, read_scan, velodyne_depth

__all__ = [
    "Calibration",
    "Frame",
    "Odometry",
    "OdometryFrame",
    "Raw",
    "T_map_imu",
    "capture_times",
    "moving",
    "parse_odometry_split",
    "parse_split",
    "read_calibration",
    "read_calibration_file",
    "read_motion",
    "read_odometry_split",
    "read_oxts",
    "read_poses",
    "read_scan",
    "read_split",
    "read_static_frames",
    "velodyne_depth",
    "without_static",
]
