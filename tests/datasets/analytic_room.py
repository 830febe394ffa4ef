"""A small analytic data set: a camera moves through a room with a floor, a wall and a box, whose depth is
known in closed form.
"""

from typing import Any

import numpy as np
import torch

from mdepth.datasets.sample import DepthDataset, Sample, make_sample


class Analytic(DepthDataset):
    """Frames of scenes that differ in the colour of their checkerboard; depth 2 to 8 m."""

    name = "analytic"
    baseline = 0.2  # metres to the right

    def __init__(
        self,
        scenes: int = 2,
        frames: int = 2,
        size: tuple[int, int] = (40, 56),
        holes: bool = False,
        stereo: bool = False,
    ):
        self.scenes, self.frames, self.size, self.holes, self.stereo = scenes, frames, size, holes, stereo

    def __len__(self) -> int:
        return self.scenes * self.frames

    def render(self, T: np.ndarray, scene: int) -> tuple[np.ndarray, np.ndarray]:
        """Image (3, H, W) in whole 255ths and depth (H, W) from a camera pose."""
        height, width = self.size
        K = self.K().double().numpy()
        v, u = np.mgrid[:height, :width]
        rays = T[:3, :3] @ (
            np.linalg.inv(K) @ np.stack([u.ravel(), v.ravel(), np.ones(u.size)])
        )  # depth is the ray's parameter
        origin = T[:3, 3:]
        with np.errstate(divide="ignore"):
            floor = np.where(rays[1] > 0, (1.2 - origin[1]) / rays[1], np.inf)
            wall = (8.0 - origin[2]) / rays[2]
            slabs = np.stack(
                [(bound - origin) / rays for bound in ([[0.2], [0.4], [3.0]], [[1.0], [1.2], [4.0]])]
            )
        near, far = slabs.min(0).max(0), slabs.max(0).min(0)
        box = np.where((near < far) & (near > 0), near, np.inf)
        depth = np.minimum(np.minimum(floor, wall), box)
        checker = np.floor(origin + depth * rays + 1e-6).sum(0) % 2
        image = np.stack([(60 + 150 * checker), (40 + 20 * depth), np.full_like(depth, 50 + 90 * scene)])
        return np.round(image).clip(0, 255).reshape(3, height, width) / 255, depth.reshape(height, width)

    def K(self) -> torch.Tensor:
        height, width = self.size
        return torch.tensor(
            [[0.9 * width, 0.0, width / 2 - 0.5], [0.0, 0.9 * width, height / 2 - 1.0], [0.0, 0.0, 1.0]]
        )

    def pose(self, frame: int) -> np.ndarray:
        angle = 0.05 * frame
        T = np.eye(4)
        T[:3, :3] = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
        T[:3, 3] = 0.1 * frame, -0.02 * frame, 0.3 * frame
        return T

    def __getitem__(self, index: int) -> Sample:
        scene, frame = divmod(self.item_index(index), self.frames)
        T = self.pose(frame)
        image, depth = self.render(T, scene)
        if self.holes:
            depth = np.where(
                (np.add.outer(np.arange(self.size[0]), np.arange(self.size[1])) % 7) == 0, 0, depth
            )
        extra: dict[str, Any] = {"T_world_camera": torch.from_numpy(T).float()}
        if self.stereo:
            T_left_right = np.eye(4)
            T_left_right[0, 3] = self.baseline
            extra["image_right"] = torch.from_numpy(self.render(T @ T_left_right, scene)[0]).float()
            extra["T_right_left"] = torch.from_numpy(np.linalg.inv(T_left_right)).float()
        depth_map = torch.from_numpy(depth).float()[None]
        name = f"room_{scene:04d}"
        return make_sample(
            torch.from_numpy(image).float(),
            depth_map,
            self.K(),
            id=f"{name}/{frame:02d}",
            scene=name,
            **extra,
        )
