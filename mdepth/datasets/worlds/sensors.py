"""Depth as real sensors report it: the exact depth of a world, degraded.

**Kinect** (structured light, the sensor of NYU Depth V2): a projector 7.5 cm beside an infrared camera paints
dots; the shift of the dots is a disparity d = f b / z, reported in eighths of a pixel. So the step between
two depths grows with z² (δz = z² / (8 f b), 0.3 cm at 1 m, 7 cm at 5 m at 640 pixels: Khoshelham & Elberink,
Sensors 2012, eq. 5), and there is no depth where the camera sees a point that the projector does not (a
shadow beside every edge), on surfaces seen at a grazing angle, on dark ones, and outside 0.5 to 10 m.

**LiDAR** (the 64 beams of KITTI's Velodyne): the depth is known along 64 lines between +2° and -24.8° of
elevation, every 0.17° of azimuth; a pixel between two of these has none. Range noise is 2 cm.
"""

import numpy as np
import torch

from mdepth.shapes import Float, Tensor

KINECT_FOCAL = 580.0  # pixels at 640 × 480, the infrared camera's
KINECT_BASELINE = 0.075  # metres, projector to infrared camera
KINECT_STEP = 1 / 8  # pixels of disparity
KINECT_RANGE = (0.5, 10.0)  # metres
GRAZING = 0.15  # cosine between ray and normal below which no dot is found
DARK = 0.12  # brightness (sRGB, 0 to 1) at 4 m below which half of the dots are lost

BEAMS = 64
ELEVATION = (-24.8, 2.0)  # degrees, lowest and highest beam
AZIMUTH_STEP = 0.17  # degrees
LIDAR_NOISE = 0.02  # metres
LIDAR_RANGE = (1.0, 80.0)  # metres


def quantise_kinect(depth: Float[Tensor, "1 H W"]) -> Float[Tensor, "1 H W"]:
    """Depth rounded as a Kinect rounds it: z = f b / (round(8 f b / z) / 8); 0 stays 0.

    Example:
        >>> quantise_kinect(torch.tensor([[[1.0, 5.0, 0.0]]]))  # steps of 3 mm at 1 m, of 7 cm at 5 m
        tensor([[[1.0000, 4.9714, 0.0000]]])
    """
    product = KINECT_FOCAL * KINECT_BASELINE
    steps = (product / depth.clamp(min=1e-6) / KINECT_STEP).round().clamp(min=1)
    return product / (steps * KINECT_STEP) * (depth > 0)


def kinect_depth(
    depth: Float[Tensor, "1 H W"],
    normals: Float[Tensor, "3 H W"],
    image: Float[Tensor, "3 H W"],
    K: Float[Tensor, "3 3"],
    rng: np.random.Generator,
) -> Float[Tensor, "1 H W"]:
    """Quantised depth with a Kinect's holes; 0 where it sees nothing.

    Args:
        depth: exact metres, 0 unknown.
        normals: in the camera's frame.
        image: colour in [0, 1]: dark surfaces return too little light.
        K: in pixels of this image.
        rng: for the dots that are lost on dark and far surfaces.
    """
    shadow = projector_shadow(depth, K)
    cosine = -(normals * _rays(depth, K)).sum(0, keepdim=True)
    brightness = image.mean(0, keepdim=True)
    strength = brightness / DARK * (4 / depth.clamp(min=0.5)) ** 2 * cosine.clamp(min=0)
    luck = torch.from_numpy(rng.random(tuple(depth.shape), dtype=np.float32))
    keep = (
        (cosine > GRAZING)
        & ~shadow
        & (strength > luck)
        & (depth > KINECT_RANGE[0])
        & (depth < KINECT_RANGE[1])
    )
    return quantise_kinect(depth) * keep


def projector_shadow(
    depth: Float[Tensor, "1 H W"], K: Float[Tensor, "3 3"], baseline: float = KINECT_BASELINE
) -> Tensor:
    """True where a projector ``baseline`` metres to the right cannot reach what the camera sees.

    A point at column u lands in the projector's column u - f b / z. It is hidden if a point farther right
    lands at the same column or
    left of it: that one is nearer and stands in the way.

    Example:
        >>> depth = torch.tensor([[[4.0, 4.0, 4.0, 1.0, 1.0, 4.0]]])
        >>> projector_shadow(depth, torch.diag(torch.tensor([20.0, 20.0, 1.0]))).int().tolist()
        [[[0, 0, 1, 0, 0, 0]]]
    """
    width = depth.shape[2]
    column = torch.arange(width, device=depth.device) - K[0, 0] * baseline / depth.clamp(min=1e-3)
    column = torch.where(depth > 0, column, float("inf"))
    right = (
        column.flip(2).cummin(2).values.flip(2)
    )  # leftmost landing place of all points from here to the right
    beyond = torch.cat([right[..., 1:], torch.full_like(right[..., :1], float("inf"))], dim=2)
    return (beyond <= column) & (depth > 0)


def lidar_depth(
    depth: Float[Tensor, "1 H W"], K: Float[Tensor, "3 3"], rng: np.random.Generator
) -> Float[Tensor, "1 H W"]:
    """Depth where a laser beam falls on a pixel, 0 elsewhere.

    A beam hits the pixel whose elevation and azimuth, seen from the camera, are nearest to it.

    Args:
        depth: exact metres, 0 unknown.
        K: in pixels of this image.
        rng: for the noise of the range.
    """
    _, height, width = depth.shape
    low, high = ELEVATION
    elevation = torch.deg2rad(torch.linspace(low, high, BEAMS))
    reach = torch.rad2deg(torch.atan(0.5 * width / K[0, 0])).item()
    azimuth = torch.deg2rad(torch.arange(-reach, reach, AZIMUTH_STEP))
    u = K[0, 0] * azimuth.tan()[None, :] + K[0, 2] + 0 * elevation[:, None]
    v = K[1, 2] - K[1, 1] * elevation.tan()[:, None] / azimuth.cos()[None, :]
    inside = (u > -0.5) & (u < width - 0.5) & (v > -0.5) & (v < height - 0.5)
    hit = torch.zeros_like(depth, dtype=torch.bool)
    hit[0, v[inside].round().long(), u[inside].round().long()] = True
    noise = torch.from_numpy(rng.standard_normal(tuple(depth.shape), dtype=np.float32)) * LIDAR_NOISE
    keep = hit & (depth > LIDAR_RANGE[0]) & (depth < LIDAR_RANGE[1])
    return (depth + noise) * keep


def _rays(depth: Tensor, K: Tensor) -> Float[Tensor, "3 H W"]:
    """Unit rays through the pixel centres."""
    _, height, width = depth.shape
    v, u = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    rays = torch.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], torch.ones_like(u) + 0.0])
    return rays / rays.norm(dim=0)
