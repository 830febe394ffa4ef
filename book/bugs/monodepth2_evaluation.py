"""What ports and releases of Monodepth2 got wrong in evaluation, each as the smallest change that does it.

Everything here is wrong on purpose, or another convention, and says which. The right versions stand in
:mod:`mdepth.evaluate`, :mod:`mdepth.metrics`, :mod:`mdepth.models.monodepth2` and
:mod:`mdepth.datasets.kitti`. First how an answer becomes depth, then what is scored, then KITTI's truth and
splits. "The released code" is that of Monodepth2, "the benchmark study" that of Spencer et al. (2022); no
code of them, or of any port, is here.
"""

import dataclasses
from collections.abc import Sequence
from copy import deepcopy
from typing import TypeVar

import numpy as np
import torch

from mdepth.datasets.kitti.calibration import Calibration
from mdepth.datasets.kitti.velodyne import velodyne_depth
from mdepth.evaluate.protocols import Protocol, blend_flips, get_protocol
from mdepth.image import resize
from mdepth.metrics import Errors, median, per_image, valid_pixels
from mdepth.models.monodepth2 import KITTI_UNIT, Monodepth2
from mdepth.shapes import Depth, Float, Tensor, Valid

__all__ = [
    "answer_as_depth", "called_metric", "confused_pixels", "delta_by_ratios", "mirrored_blend",
    "one_median_for_all", "resized_as_depth", "sigmoid_as_inverse_depth", "split_by_row",
    "sq_rel_by_square", "stereo_aligned", "told_apart",
]  # fmt: skip

Frame = TypeVar("Frame")


# From an answer to depth


def resized_as_depth(inverse_depth: Depth, size: tuple[int, int]) -> Float[Tensor, "B 1 h w"]:
    """Depth at the truth's size, inverted first and resized then; Monodepth2 resizes the inverse depth.

    The other usual convention, and wrong for numbers that are to stand beside the paper's. Half-way between a
    car at 2 m and a wall at 50 m is 26 m instead of 3.8 m: what is near loses its rim to what is behind. On a
    wall straight ahead both agree.
    """
    return resize(1 / inverse_depth, size)


def sigmoid_as_inverse_depth(sigmoid: Depth, size: tuple[int, int]) -> Float[Tensor, "B 1 h w"]:
    """Depth as one over the resized sigmoid, its offset 0.01 and factor 9.99 forgotten.

    Median scaling takes the factor back, not the offset. What should be D units, of 100 at most, comes out as
    9.99 D / (1 - D / 100): hardly another shape while all is near, and infinite at 100. (To resize the
    sigmoid and convert it then is right: the conversion is a straight line.)
    """
    return 1 / resize(sigmoid, size)


def answer_as_depth(sigmoid: Depth) -> Depth:
    """The sigmoid taken for depth, brighter for farther.

    Among what users of the released code ask most often. Near is far and far is near, and median scaling
    makes the numbers look like metres.
    """
    return sigmoid


def mirrored_blend(straight: Depth, mirrored: Depth) -> Depth:
    """The blend of both passes with the strip at each side taken from the wrong one.

    The benchmark study. The left 5 % of the columns come from the pass of the image as it is, which in a
    stereo network knows least there, the right 5 % from the mirrored one. The middle is the mean, as it
    should be: exactly where the blend was to help it does the opposite.
    """
    return blend_flips(mirrored, straight)


def called_metric(network: Monodepth2) -> Monodepth2:
    """A copy of a network that learnt from video, said to answer in units of 5.4 m.

    5.4 is 0.54 m of KITTI's stereo rig over the 0.1 units that stereo training was told. Video tells nothing
    of the kind: one such network is reported to need 26.7 on KITTI, so everything would come out at a fifth
    of its distance, in metres. Under median scaling nobody notices.
    """
    copy = deepcopy(network)
    copy.metric, copy.unit = True, KITTI_UNIT
    copy.depth_range = (KITTI_UNIT * copy.units[0], KITTI_UNIT * copy.units[1])
    return copy


# Scores


def stereo_aligned(protocol: str | Protocol) -> Protocol:
    """The protocol of a stereo network with median scaling on top.

    Easy to make, since everyone scales; the released code leaves it out for stereo. It forgives the one thing
    that a stereo pair teaches and video does not: a network with a wrong baseline scores like the right one.
    """
    chosen = get_protocol(protocol)
    return dataclasses.replace(chosen, name=f"{chosen.name}-aligned", alignment="median", factor=1.0)


def one_median_for_all(prediction: Depth, target: Depth, valid: Valid) -> Depth:
    """The predictions of a batch times one median ratio, that of all their pixels.

    What the released code prints during training, as an indication. A network that finds every image's shape
    but not its scale is perfect under the protocol of the tables; here its error depends on which images
    happen to share a batch.
    """
    found, truth = valid_pixels(valid, prediction, target)
    return prediction * (median(truth) / median(found))


def delta_by_ratios(
    prediction: Depth, target: Depth, valid: Valid, bound: float = 1.25
) -> Float[Tensor, " B"]:
    """The pixels whose ratio is below the bound, divided by the sum of all ratios instead of their number.

    The benchmark study. A perfect map still has 1, and every other less than its share: pixels that are all
    1.2 times too deep have 1 / 1.2, and one pixel far off weighs like many.
    """
    scores = []
    for each in zip(valid, prediction, target, strict=True):
        errors = Errors(*valid_pixels(*each))
        scores.append((errors.worst_ratio < bound).sum() / errors.worst_ratio.sum())
    return torch.stack(scores)


def sq_rel_by_square(prediction: Depth, target: Depth, valid: Valid) -> Float[Tensor, " B"]:
    """The squared error divided by the square of the truth, not by the truth.

    A convention, not a bug. KITTI's server and the benchmark study have it so, and the latter calls the other
    wrong; the tables of Monodepth2 and its time divide by the truth, and are in metres. At one distance they
    differ by that distance, so a number must say which it is.
    """
    return per_image("sq_rel_kitti", prediction, target, valid)


# KITTI's truth and splits


def confused_pixels(height: int, width: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """The pairs of pixels (row, column) that share a number in the official making of depth maps.

    Pixels are told apart there by v (W - 1) + u - 1: the last of every row and the first of the next have the
    same. 374 pairs at 375 x 1242. Everybody has it; the benchmark study wonders why in a remark.
    """
    return [((row, width - 1), (row + 1, 0)) for row in range(height - 1)]


def told_apart(
    scan: np.ndarray, calibration: Calibration, camera: int = 2, *, vel_depth: bool = False
) -> np.ndarray:
    """The official depth map but for its confused pixels: what differs from mode "official" are they.

    The left and the right half of the scan are made into maps by themselves, so that the first and the last
    column are never in one of them; where both halves hit a pixel the nearer stays, as in the official map.
    In five scans of a real drive, seen by both cameras, it is one pixel in three of ten maps and two in a
    fourth, all in the first column, one at 10.1 m instead of 26.5 m. Harmless: Garg's crop leaves the
    outermost columns out.
    """
    left = scan[:, 1] >= 0  # the LiDAR's y axis points to the left
    halves = [
        velodyne_depth(half, calibration, camera, vel_depth=vel_depth) for half in (scan[left], scan[~left])
    ]
    near, far = np.minimum(*halves), np.maximum(*halves)
    return np.where(near > 0, near, far)


def split_by_row(
    frames: Sequence[Frame], share: float, generator: torch.Generator
) -> tuple[list[tuple[Frame, str]], list[tuple[Frame, str]]]:
    """Training and validation rows (frame, eye), drawn from all rows; a frame stands in two, left and right.

    The split of Zhou et al. in the released code. Nearly every frame of validation is seen in training by the
    other eye, 3,950 of 4,187 in the released lists. It shows whether training goes well, and nothing of how
    well the network does elsewhere; for that, drives must be drawn.
    """
    rows = [(frame, eye) for frame in frames for eye in "lr"]
    drawn = torch.randperm(len(rows), generator=generator).tolist()
    count = round(share * len(rows))
    return [rows[i] for i in sorted(drawn[count:])], [rows[i] for i in sorted(drawn[:count])]
