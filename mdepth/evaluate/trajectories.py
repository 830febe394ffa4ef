r"""Where a camera went: motions put together to a path, and how far the path lies from the true one.

**Motions.** N + 1 frames have N relative motions. The i-th is ``T_next_this``: it takes points of the frame
of camera i into that of camera i + 1 (:mod:`mdepth.geometry`), as a pose network answers that is shown frame
i as target and frame i + 1 as its neighbour. For a car that drives forward its translation is (0, 0, -step):
what lies ahead comes nearer.

**Poses** are ``T_world_camera``, as KITTI's odometry set has them; of a path put together from motions the
world is the frame of the first camera. Translations are in metres, or in any unit where a scale is fitted.
Everything is computed in float64.

Three measures are in use: the error of snippets of five frames (:func:`snippet_errors`), which papers that
learn from video print; the error of the whole path (:func:`absolute_trajectory_error`); and drift over 100 to
800 m (:func:`drift`), by which KITTI's server ranks. Half a second of driving is short, and a scale that is
fitted to each snippet forgives the speed: the mean motion of sequence 06, repeated whatever the images show,
has snippet errors of 0.019 m on sequence 09 and 0.017 m on 10 under the rule of Monodepth2's code. So
:func:`straight_ahead` and :func:`mean_motion` belong beside every network.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from mdepth.geometry import invert_transform, relative_transform
from mdepth.shapes import Float, Tensor

__all__ = [
    "LENGTHS", "Alignment", "Drift", "SnippetErrors", "absolute_trajectory_error", "align_path", "chain",
    "drift", "mean_motion", "relative_poses", "similarity", "snippet_errors", "standing", "straight_ahead",
]  # fmt: skip

Alignment = Literal["none", "scale", "similarity"]
"""What is fitted to the truth before a whole path is measured; see :func:`align_path`."""
LENGTHS = (100.0, 200.0, 300.0, 400.0, 500.0, 600.0, 700.0, 800.0)
"""Metres of true path over which KITTI measures drift."""


# --- motions and poses ----------------------------------------------------------------------------


def chain(relative: Float[Tensor, "N 4 4"]) -> Float[Tensor, "N+1 4 4"]:
    r"""Motions ``T_next_this`` to the poses ``T_first_camera`` of all cameras in the frame of the first.

    .. math:: T_{0,k} = T_{1,0}^{-1}\, T_{2,1}^{-1} \cdots T_{k,k-1}^{-1}, \qquad T_{0,0} = I.

    No motion gives the first camera alone. The rotations are taken for rotations and are not repaired.

    Example:
        >>> chain(straight_ahead(2, step=3.0))[:, 2, 3]
        tensor([0., 3., 6.], dtype=torch.float64)
    """
    return _products(invert_transform(relative.double())[None])[0]


def relative_poses(poses: Float[Tensor, "N 4 4"]) -> Float[Tensor, "N-1 4 4"]:
    """Poses ``T_world_camera`` to the motions ``T_next_this`` between neighbours; undoes :func:`chain`.

    Motion i is inverse(poses[i + 1]) poses[i]. The choice of the world does not matter.

    Example:
        >>> relative_poses(chain(straight_ahead(4))).equal(straight_ahead(4))
        True
    """
    poses = poses.double()
    return relative_transform(poses[1:], poses[:-1])


def _products(steps: Float[Tensor, "W K 4 4"]) -> Float[Tensor, "W K+1 4 4"]:
    """The identity, the first step, the first two multiplied in their order, and so on."""
    products = [torch.eye(4, dtype=steps.dtype, device=steps.device).expand(len(steps), 4, 4)]
    for step in steps.unbind(dim=1):
        products.append(products[-1] @ step)
    return torch.stack(products, dim=1)


# --- snippets -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SnippetErrors:
    """The errors of all snippets of a sequence; tables print mean and standard deviation (of the population).

    A standard deviation this large says how unlike the snippets are, not how sure the mean is: neighbouring
    snippets share all frames but one.
    """

    errors: list[float]
    """One a snippet, by its first frame, in metres."""
    scales: list[float]
    """What each snippet's prediction was multiplied by; their spread says how well the scale is kept."""

    @property
    def mean(self) -> float:
        """Metres."""
        return sum(self.errors) / len(self.errors)

    @property
    def std(self) -> float:
        """Metres; divided by the count, as NumPy does."""
        mean = self.mean
        return math.sqrt(sum((error - mean) ** 2 for error in self.errors) / len(self.errors))


def snippet_errors(
    predicted: Float[Tensor, "N 4 4"],
    true_poses: Float[Tensor, "M 4 4"],
    length: int = 5,
    rule: Literal["released", "rmse"] = "released",
    *,
    full_only: bool = False,
) -> SnippetErrors:
    r"""The error of snippets of ``length`` frames, one starting at every frame but the last, in metres.

    In a snippet of n frames let :math:`p_k` and :math:`g_k` be predicted and true position of frame k, with
    the first frame at the origin. One scale a snippet is fitted,

    .. math:: s = \frac{\sum_k g_k \cdot p_k}{\sum_k \|p_k\|^2}, \qquad
        e_{\mathrm{rmse}} = \sqrt{\frac1n \sum_k \|s\,p_k - g_k\|^2}, \qquad
        e_{\mathrm{released}} = \frac1n \sqrt{\sum_k \|s\,p_k - g_k\|^2}.

    ``rule="rmse"`` takes the positions of :func:`chain`. ``"released"`` is Monodepth2's code, whose numbers
    papers compare: n stands outside the root, by which a snippet of five looks 2.24 times as good; and the
    motions are multiplied as they are, :math:`T_{1,0} T_{2,1} \cdots`, where the path is the product of their
    inverses. Truth and prediction undergo the same, so that a perfect prediction has error 0 under both, but
    in curves the positions are of another path.

    The last ``length`` - 2 snippets have fewer frames and count like the others: N motions give N snippets,
    1590 and 1200 for KITTI's sequences 09 and 10. ``full_only=True`` leaves them out. A prediction that
    stands still has scale 0 (the released code divides 0 by 0). The scale may be negative: who drives
    backwards is taken for driving forwards. A truth that stands still forgives everything, by scale 0.

    Args:
        predicted: motions ``T_next_this``, in any unit.
        true_poses: one more than motions.
        length: frames of a snippet, at least 2.
        rule: "released" or "rmse".
        full_only: count snippets of exactly ``length`` frames.

    Raises:
        ValueError: not one pose more than motions, no snippet, another ``rule``, or ``length`` below 2.

    Source: Monodepth2, supplement, section A, and the released evaluate_pose.py.

    Example:
        >>> true = chain(straight_ahead(9, step=2.0))
        >>> snippet_errors(standing(9), true).errors[0] == (4 + 16 + 36 + 64) ** 0.5 / 5
        True
    """
    if rule not in ("released", "rmse") or length < 2:
        raise ValueError(f'rule must be "released" or "rmse" and length at least 2, got {rule!r}, {length}')
    if len(true_poses) != len(predicted) + 1:
        raise ValueError(f"{len(predicted)} motions need one pose more, got {len(true_poses)} poses")
    both = torch.stack([predicted.double(), relative_poses(true_poses).to(predicted.device)], dim=1)
    if rule == "rmse":
        both = invert_transform(both)
    errors, scales = [], []
    for steps in _windows(both, length - 1, full_only):
        p, g = (_products(each)[..., :3, 3] for each in steps.unbind(dim=2))  # W n 3
        scale = _scale(p, g)
        square = (scale[:, None, None] * p - g).square().sum(dim=(1, 2))
        frames = p.shape[1]
        errors += ((square / frames).sqrt() if rule == "rmse" else square.sqrt() / frames).tolist()
        scales += scale.tolist()
    if not errors:
        raise ValueError(f"{len(predicted)} motions hold no snippet of {length} frames")
    return SnippetErrors(errors, scales)


def _windows(
    motions: Float[Tensor, "N 2 4 4"], steps: int, full_only: bool
) -> list[Float[Tensor, "_ _ 2 4 4"]]:
    """All runs of ``steps`` motions in one tensor (W, steps, 2, 4, 4), then each shorter one at the end."""
    whole = max(0, len(motions) - steps + 1)
    found = [motions.unfold(0, steps, 1).movedim(-1, 1)] if whole else []
    return found if full_only else found + [motions[None, start:] for start in range(whole, len(motions))]


def _scale(p: Float[Tensor, "*W n 3"], g: Float[Tensor, "*W n 3"]) -> Float[Tensor, "*W"]:
    """The factor s with the least sum of (s p - g)^2; 0 where p is 0 everywhere."""
    size = p.square().sum(dim=(-2, -1))
    return torch.where(size > 0, (g * p).sum(dim=(-2, -1)) / size, 0.0)


# --- whole paths ----------------------------------------------------------------------------------


def similarity(
    source: Float[Tensor, "N 3"], target: Float[Tensor, "N 3"]
) -> tuple[float, Float[Tensor, "3 3"], Float[Tensor, " 3"]]:
    r"""Scale s >= 0, rotation R and translation t with the least :math:`\sum \|s R\,a_i + t - b_i\|^2`.

    R is never a reflection: a mirrored path does not fit, unless it lies in a plane, where turning it over is
    a rotation. Of points on a line the turn about the line is not determined; any is taken, and the sum is
    the same. Where all sources or all targets are one point, s is 0.

    Source: Umeyama 1991, "Least-squares estimation of transformation parameters between two point patterns",
    eqs. 34 to 43.

    Example:
        >>> corner = torch.eye(3, dtype=torch.float64)
        >>> scale, R, t = similarity(corner, 2 * corner + 1)
        >>> round(scale, 6), R.round(decimals=6).equal(corner), t.round(decimals=6).tolist()
        (2.0, True, [1.0, 1.0, 1.0])
    """
    source, target = source.double(), target.double()
    centre, goal = source.mean(dim=0), target.mean(dim=0)
    a, b = source - centre, target - goal
    U, D, Vh = torch.linalg.svd(b.T @ a / len(a))
    sign = torch.ones_like(D)
    sign[2] = (U.det() * Vh.det()).sign()
    R = U @ torch.diag(sign) @ Vh
    variance = a.square().sum() / len(a)
    scale = ((D * sign).sum() / variance).item() if variance > 0 else 0.0
    return scale, R, goal - scale * (R @ centre)


def align_path(
    predicted: Float[Tensor, "N 4 4"], true: Float[Tensor, "N 4 4"], alignment: Alignment = "none"
) -> Float[Tensor, "N 4 4"]:
    r"""The predicted poses in the world of the true ones.

    ``"none"``: the first cameras are laid on each other, nothing else. ``"scale"``: then all translations
    from the first camera are multiplied by one factor, :math:`\sum g \cdot p / \sum \|p\|^2` as in
    :func:`snippet_errors` (0 for a prediction that stands still). ``"similarity"``: scale, rotation and
    translation of :func:`similarity`, fitted to all positions.

    Raises:
        ValueError: another ``alignment``.

    Example:
        >>> true = chain(straight_ahead(3, step=2.0))
        >>> align_path(chain(straight_ahead(3)), true, "scale").equal(true)
        True
    """
    if alignment not in ("none", "scale", "similarity"):
        raise ValueError(f'alignment must be "none", "scale" or "similarity", got {alignment!r}')
    predicted, true = predicted.double(), true.double()
    if alignment == "similarity":
        scale, R, t = similarity(predicted[:, :3, 3], true[:, :3, 3])
        aligned = predicted.clone()
        aligned[:, :3, :3] = R @ predicted[:, :3, :3]
        aligned[:, :3, 3] = scale * predicted[:, :3, 3] @ R.T + t
        return aligned
    own, wanted = (relative_transform(poses[:1].expand_as(poses), poses) for poses in (predicted, true))
    if alignment == "scale":
        own[:, :3, 3] *= _scale(own[:, :3, 3], wanted[:, :3, 3])
    return true[:1] @ own


def absolute_trajectory_error(
    predicted: Float[Tensor, "N 4 4"], true: Float[Tensor, "N 4 4"], alignment: Alignment = "none"
) -> float:
    r"""The RMSE of all positions of a path in metres, after :func:`align_path`.

    .. math:: \sqrt{\frac1N \sum_i \|p_i - g_i\|^2}.

    A monocular network knows no scale and needs "scale" or "similarity". The latter also forgives a wrong
    first direction and is never larger, unless the scale is negative.

    Raises:
        ValueError: another ``alignment``.

    Example:
        >>> slow, true = (chain(straight_ahead(24, step=step)) for step in (1.0, 2.0))
        >>> absolute_trajectory_error(slow, true), absolute_trajectory_error(slow, true, "scale")
        (14.0, 0.0)
    """
    aligned = align_path(predicted, true, alignment)
    return (aligned - true)[:, :3, 3].square().sum(dim=1).mean().sqrt().item()


@dataclass(frozen=True)
class Drift:
    """What :func:`drift` finds; NaN where no segment is long enough."""

    translation: float
    """Per cent of the length."""
    rotation: float
    """Degrees per metre."""
    segments: int
    """How many pieces of path were measured."""


def drift(
    predicted: Float[Tensor, "N 4 4"],
    true: Float[Tensor, "N 4 4"],
    lengths: Sequence[float] = LENGTHS,
    *,
    step: int = 10,
) -> Drift:
    r"""How far a path goes astray over pieces of 100, 200, ... 800 m, as KITTI's odometry benchmark measures.

    A piece begins at every ``step``-th frame i (KITTI: 10, a second) and ends at the first frame j by which
    the true path has become longer than the length L. With :math:`E = (P_i^{-1} P_j)^{-1}\, G_i^{-1} G_j`,
    its errors are :math:`\|t(E)\| / L` and angle(R(E)) / L; reported are the means over all pieces of all
    lengths.

    Only motions within a piece matter, not where the paths lie, but the unit does: a network without scale
    needs :func:`align_path` first, by "scale" or "similarity".

    Source: Geiger et al. 2012, "Are we ready for autonomous driving?", and KITTI's odometry development kit.

    Example:
        >>> half, true = (chain(straight_ahead(250, step=step)) for step in (0.5, 1.0))
        >>> drift(half, true, [100.0], step=1)  # pieces of 101 m
        Drift(translation=50.5, rotation=0.0, segments=150)
    """
    predicted, true = predicted.double(), true.double()
    path = torch.cat([true.new_zeros(1), true[:, :3, 3].diff(dim=0).norm(dim=1).cumsum(dim=0)])
    starts, moved, turned = torch.arange(0, len(true), step, device=true.device), [], []
    for length in lengths:
        ends = torch.searchsorted(path, path[starts] + length, right=True)
        first, last = starts[ends < len(true)], ends[ends < len(true)]
        own, wanted = (relative_transform(poses[first], poses[last]) for poses in (predicted, true))
        error = invert_transform(own) @ wanted
        moved.append(error[:, :3, 3].norm(dim=1) / length)
        turned.append(_angle(error[:, :3, :3]).rad2deg() / length)
    translations, rotations = torch.cat(moved), torch.cat(turned)
    return Drift(100 * translations.mean().item(), rotations.mean().item(), len(translations))


def _angle(R: Float[Tensor, "B 3 3"]) -> Float[Tensor, " B"]:
    """By how much a rotation turns, 0 to pi: atan2(2 sin, 2 cos), exact also for small angles."""
    axis = torch.stack([R[:, 2, 1] - R[:, 1, 2], R[:, 0, 2] - R[:, 2, 0], R[:, 1, 0] - R[:, 0, 1]])
    return torch.atan2(axis.norm(dim=0), R.diagonal(dim1=1, dim2=2).sum(dim=1) - 1)


# --- motions that never look at the images --------------------------------------------------------


def standing(count: int) -> Float[Tensor, "N 4 4"]:
    """``count`` motions of a camera that does not move.

    Example:
        >>> standing(2).sum().item()
        8.0
    """
    return torch.eye(4, dtype=torch.float64).repeat(count, 1, 1)


def straight_ahead(count: int, step: float = 1.0) -> Float[Tensor, "N 4 4"]:
    """``count`` motions of a camera that drives along its axis at a constant speed, ``step`` metres a frame.

    Where a scale is fitted the speed does not matter, and this is the mean speed of any training set.

    Example:
        >>> straight_ahead(1, step=0.5)[0, :3, 3].tolist()
        [0.0, 0.0, -0.5]
    """
    motions = standing(count)
    motions[:, 2, 3] = -step
    return motions


def mean_motion(relative: Float[Tensor, "N 4 4"], count: int) -> Float[Tensor, "M 4 4"]:
    """``count`` times the mean of the motions of a training sequence: mean translation, and the rotation next
    to the mean of the rotations.

    It knows how fast a car drives, how its camera is mounted and to which side it turned more often.

    Raises:
        ValueError: no motion to average.

    Example:
        >>> mean_motion(torch.cat([standing(1), straight_ahead(1)]), 3)[:, 2, 3]
        tensor([-0.5000, -0.5000, -0.5000], dtype=torch.float64)
    """
    if not len(relative):
        raise ValueError("the mean of no motion is undefined")
    mean = relative.double().mean(dim=0)
    U, _, Vh = torch.linalg.svd(mean[:3, :3])
    mean[:3, :3] = U @ torch.diag(mean.new_tensor([1.0, 1.0, (U @ Vh).det().sign().item()])) @ Vh
    return mean.expand(count, 4, 4)
