"""Synthetic worlds: rooms and roads whose depth, normals, objects, cameras and motions are known exactly.

``load(World("rooms", "train", scenes=500))`` gives a data set; ``scene`` and ``render`` give single scenes
and pictures for experiments.
"""

from mdepth.datasets.worlds.dataset import WorldDataset, load, scene
from mdepth.datasets.worlds.rendering import Rendering, render
from mdepth.datasets.worlds.scenery import Air, Builder, Light, Scene, pose
from mdepth.datasets.worlds.sensors import kinect_depth, lidar_depth
from mdepth.datasets.worlds.textures import Material
from mdepth.datasets.worlds.world import WORLD_VERSION, World

__all__ = [
    "WORLD_VERSION", "Air", "Builder", "Light", "Material", "Rendering", "Scene", "World", "WorldDataset",
    "kinect_depth", "lidar_depth", "load", "pose", "render", "scene",
]  # fmt: skip
