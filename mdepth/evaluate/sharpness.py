"""How sharp a depth map is: which share of the true steps of depth it draws.

An average over all pixels hardly notices a blurred edge, and a count of edges does not say how high they are.
"""

import math

import torch
from torch.nn import functional

from mdepth.metrics import bends
from mdepth.shapes import Depth, Float, Tensor, Valid, check_same_shape

__all__ = ["REACH", "drawn_steps"]

REACH = 2
"""Pixels to either side of an edge over which a step may be drawn."""


def drawn_steps(
    prediction: Depth, target: Depth, valid: Valid, *, smallest: float = 1.25
) -> Float[Tensor, " B"]:
    r"""Share of the true steps of depth that a map draws, per image.

    Along rows and columns, let :math:`t` be the true change of log depth from two pixels before a pixel to
    two behind it, and :math:`\hat t` the predicted one. Over all places where the true map bends and
    :math:`|t|` is at least log ``smallest``,

    .. math:: \frac{\sum \hat t\, t}{\sum t^2}.

    1 where every step has its height within these five pixels, 0 for a flat map, a third where an edge is
    spread over three times the width; below 0 where near and far are exchanged. Steps that are not there do
    not count, nor does what lies beside a hole. A factor on a whole map changes nothing. NaN for an image
    without steps. Maps have at least five rows and columns.

    Example:
        >>> step = torch.where(torch.arange(8) < 4, 1.0, 2.0).expand(1, 1, 8, 8)
        >>> drawn_steps(3 * step.sqrt(), step, step > 0)  # half of every step, in logarithms
        tensor([0.5000])
    """
    check_same_shape(prediction=prediction, target=target, valid=valid)
    found, true = (torch.where(valid, depth, 1.0).log() for depth in (prediction, target))
    beside_holes = functional.max_pool2d((~valid).float(), 3, stride=1, padding=1) > 0
    edge, sums = bends(target) & ~beside_holes, []
    for axis in (-2, -1):
        guess, step = _change(found, axis), _change(true, axis)
        known = _ends(valid, axis) & _middle(edge, axis) & (step.abs() >= math.log(smallest))
        both = torch.stack([guess * step, step * step])
        sums.append(torch.where(known, both, 0.0).flatten(2).sum(dim=2))
    product, square = sums[0] + sums[1]
    return product / square


def _middle(values: Tensor, axis: int) -> Tensor:
    """All but ``REACH`` lines at both ends."""
    return values.narrow(axis, REACH, values.shape[axis] - 2 * REACH)


def _change(values: Tensor, axis: int) -> Tensor:
    """What lies ``REACH`` behind less what lies ``REACH`` before."""
    length = values.shape[axis] - 2 * REACH
    return values.narrow(axis, 2 * REACH, length) - values.narrow(axis, 0, length)


def _ends(valid: Valid, axis: int) -> Tensor:
    """Whether both are known."""
    length = valid.shape[axis] - 2 * REACH
    return valid.narrow(axis, 2 * REACH, length) & valid.narrow(axis, 0, length)
