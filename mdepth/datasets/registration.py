"""Seeing a depth map from another camera: points, their projection, and a z-buffer.

Two sensors never share a lens. The Kinect's depth camera sits 2.5 cm beside its colour camera, so a depth map
laid over the colour image unmoved is wrong by ten pixels at two metres; KITTI's LiDAR sits on the roof. Both
are brought to the image in the same way: every measurement becomes a point, the point is projected, and where
several points meet in a pixel the nearest stays.
"""

import numpy as np

__all__ = ["register_depth", "z_buffer"]


def z_buffer(columns: np.ndarray, rows: np.ndarray, depth: np.ndarray, height: int, width: int) -> np.ndarray:
    """The nearest depth that falls on each pixel, (height, width) float32, 0 where nothing falls.

    Args:
        columns: (N,) pixel coordinates u; rounded to the nearest pixel, centres at integers.
        rows: (N,) pixel coordinates v.
        depth: (N,) metres; values that are not positive are left out, as is what falls outside the image.
        height: rows of the result.
        width: columns of the result.

    Example:
        >>> z_buffer(np.array([0.2, 0.4, 5.0]), np.array([1.0, 0.9, 0.0]), np.array([3.0, 2.0, 1.0]), 2, 2)
        array([[0., 0.],
               [2., 0.]], dtype=float32)
    """
    # NaN and huge coordinates (points in the camera's plane) compare false and drop out before the cast to
    # integer.
    inside = (
        (depth > 0) & (columns >= -0.5) & (columns < width - 0.5) & (rows >= -0.5) & (rows < height - 0.5)
    )
    index = np.floor(rows[inside] + 0.5).astype(np.intp) * width + np.floor(columns[inside] + 0.5).astype(
        np.intp
    )
    result = np.zeros((height, width), dtype=np.float32)
    if index.size:
        order = np.argsort(index, kind="stable")  # points of one pixel together
        starts = np.flatnonzero(np.diff(index[order], prepend=-1))
        result.flat[index[order[starts]]] = np.minimum.reduceat(
            depth[inside].astype(np.float32)[order], starts
        )
    return result


def register_depth(
    depth: np.ndarray,
    K_depth: np.ndarray,
    K_color: np.ndarray,
    T_color_depth: np.ndarray,
    *,
    size: tuple[int, int] | None = None,
) -> np.ndarray:
    r"""The depth map as the colour camera sees it.

    .. math:: z'\,(u', v', 1)^\top = K_{color}\,\big(R\, z\, K_{depth}^{-1} (u, v, 1)^\top + t\big)

    Args:
        depth: (H, W) metres along the depth camera's z, 0 where unknown.
        K_depth: (3, 3) intrinsics of the depth camera.
        K_color: (3, 3) intrinsics of the colour camera.
        T_color_depth: (4, 4), maps points of the depth camera into the colour camera.
        size: (height, width) of the colour image; that of the depth map by default.

    Returns:
        (height, width) float32 metres along the colour camera's z. Surfaces that only one of the cameras sees
        leave holes (0); where two surfaces meet in a pixel the nearer one stays.

    Example:
        >>> K = np.array([[100.0, 0.0, 1.0], [0.0, 100.0, 0.0], [0.0, 0.0, 1.0]])
        >>> shift = np.eye(4)
        >>> shift[0, 3] = -0.02                      # at 2 m this is one pixel to the left
        >>> register_depth(np.array([[0.0, 2.0, 2.0]]), K, K, shift)
        array([[2., 2., 0.]], dtype=float32)
    """
    height, width = size or depth.shape
    rows, columns = np.nonzero(depth)
    z = depth[rows, columns].astype(np.float64)
    rays = np.linalg.inv(K_depth) @ np.stack([columns, rows, np.ones_like(rows)])  # 3 N
    moved = K_color @ (T_color_depth[:3, :3] @ (rays * z) + T_color_depth[:3, 3:])  # 3 N
    return z_buffer(moved[0] / moved[2], moved[1] / moved[2], moved[2], height, width)
