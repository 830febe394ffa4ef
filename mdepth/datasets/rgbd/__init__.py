"""Frames of RGB-D cameras: TUM, 7-Scenes, a posed NYU walk, and the reader's own folder of colour, depth and
camera."""

from mdepth.datasets.rgbd.folder import Folder
from mdepth.datasets.rgbd.frames import RgbdFrames, rotation_from_quaternion
from mdepth.datasets.rgbd.nyu_video import NyuVideo
from mdepth.datasets.rgbd.seven_scenes import SevenScenes
from mdepth.datasets.rgbd.tum import Tum

__all__ = ["Folder", "NyuVideo", "RgbdFrames", "SevenScenes", "Tum", "rotation_from_quaternion"]
