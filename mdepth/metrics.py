"""Every metric of the five sources: per image with a valid mask, or pooled over all pixels of a test set.

A metric is a pair: *terms*, maps with one value per pixel, and *finish*, which turns the terms' means into
the number. RMSE is one term, (p - t)^2, and a square root. Papers average in two ways that differ by far more
than the gaps in their tables: *per image* takes the means over each image, finishes, and averages the
finished numbers; *pooled* takes the means over all pixels of all images and finishes once. The same released
DenseDepth weights score an RMSE of 0.465 one way and 0.5485 the other. Both are drawn here from one pass over
the pixels (:class:`Tally`), so nobody has to choose before looking.

Conventions: prediction p and target t in metres, both positive wherever ``valid``; natural logarithms; strict
"<" in the deltas (Hu's code has "<="); truth, never prediction, in the denominator (DenseDepth's evaluation
passes them swapped). Where ``valid`` is False neither value is looked at. A prediction that is not a positive
finite number is an error and not a NaN in a table: clamp it first, as the protocols of :mod:`mdepth.evaluate`
do.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch.nn import functional as F

from mdepth.image import sobel
from mdepth.shapes import Bool, Depth, Float, Tensor, Valid, check_same_shape

__all__ = [
    "KITTI_BENCHMARK", "METRICS", "TERMS", "Errors", "Metric", "Tally", "bend_scores", "bends", "compute",
    "edge_scores", "median", "per_image", "pooled", "valid_pixels",
]  # fmt: skip


# --- terms: one value per pixel -------------------------------------------------------------------


class Errors:
    """One image's prediction and target, and the comparisons that several terms share, each made once.

    Example:
        >>> Errors(torch.tensor([2.0, 1.0]), torch.tensor([1.0, 4.0])).worst_ratio
        tensor([2., 4.])
    """

    def __init__(self, prediction: Float[Tensor, "*S"], target: Float[Tensor, "*S"]):
        self.prediction, self.target = prediction, target

    @cached_property
    def difference(self) -> Tensor:
        """p - t in metres."""
        return self.prediction - self.target

    @cached_property
    def ratio(self) -> Tensor:
        """p / t."""
        return self.prediction / self.target

    @cached_property
    def worst_ratio(self) -> Tensor:
        """max(p / t, t / p), at least 1; by two divisions: 1 / (p / t) may round to below a threshold."""
        return torch.maximum(self.ratio, self.target / self.prediction)

    @cached_property
    def log_ratio(self) -> Tensor:
        """d = ln p - ln t."""
        return self.ratio.log()

    @cached_property
    def inverse_difference(self) -> Tensor:
        """1/p - 1/t in 1/m."""
        return self.prediction.reciprocal() - self.target.reciprocal()


def _closer_than(errors: Errors, bound: float) -> Tensor:
    """1.0 where max(p/t, t/p) < bound, else 0.0: written as floats at once, faster than through booleans."""
    return torch.lt(errors.worst_ratio, bound, out=torch.empty_like(errors.worst_ratio))


TERMS: dict[str, Callable[[Errors], Tensor]] = {
    "relative": lambda e: (e.difference / e.target).abs(),
    "square_relative": lambda e: e.difference.square() / e.target,
    "relative_square": lambda e: (e.difference / e.target).square(),
    "absolute": lambda e: e.difference.abs(),
    "square": lambda e: e.difference.square(),
    "log": lambda e: e.log_ratio,
    "log_absolute": lambda e: e.log_ratio.abs(),
    "log_square": lambda e: e.log_ratio.double().square(),
    "log_deviation_square": lambda e: (e.log_ratio - e.log_ratio.mean()).square(),
    "inverse_square": lambda e: e.inverse_difference.square(),
    "delta1": lambda e: _closer_than(e, 1.25),
    "delta2": lambda e: _closer_than(e, 1.25**2),
    "delta3": lambda e: _closer_than(e, 1.25**3),
}
"""The per-pixel maps; only ``log_deviation_square`` depends on more than the pixel: on the image's mean.
``log_square`` is in float64, as SILog is a small difference of its mean and a square.
"""


# --- metrics: what becomes of the terms' means ----------------------------------------------------


@dataclass(frozen=True)
class Metric:
    """One metric: what is averaged (``means``, names in ``TERMS``) and what becomes of it (``finish``).

    ``unit`` is "" for pure numbers; ``better`` is "lower" or "higher"; ``formula`` is LaTeX, for the book.
    """

    name: str
    symbol: str
    unit: str
    better: str
    means: tuple[str, ...]
    finish: Callable[..., Tensor]
    formula: str

    def terms(self, prediction: Float[Tensor, "*S"], target: Float[Tensor, "*S"]) -> tuple[Tensor, ...]:
        """The per-pixel maps whose means are finished, in the shape of the inputs (for error pictures).

        Example:
            >>> METRICS["abs_rel"].terms(torch.tensor([3.0, 1.0]), torch.tensor([2.0, 2.0]))
            (tensor([0.5000, 0.5000]),)
        """
        errors = Errors(prediction.detach(), target)
        return tuple(TERMS[name](errors) for name in self.means)


def _same(mean: Tensor) -> Tensor:
    return mean


def _spread(square: Tensor, mean: Tensor) -> Tensor:
    """Standard deviation from E[d^2] and E[d]."""
    return (square - mean.square()).clamp(min=0).sqrt()


METRICS: dict[str, Metric] = {
    m.name: m
    for m in (
        Metric("abs_rel", "AbsRel", "", "lower", ("relative",), _same, r"\frac1n\sum\frac{|p-t|}{t}"),
        Metric("sq_rel", "SqRel", "m", "lower", ("square_relative",), _same, r"\frac1n\sum\frac{(p-t)^2}{t}"),
        Metric("sq_rel_kitti", "SqRel (KITTI benchmark)", "", "lower", ("relative_square",), _same,
               r"\frac1n\sum\frac{(p-t)^2}{t^2}"),
        Metric("mae", "MAE", "m", "lower", ("absolute",), _same, r"\frac1n\sum|p-t|"),
        Metric("rmse", "RMSE", "m", "lower", ("square",), torch.sqrt, r"\sqrt{\frac1n\sum(p-t)^2}"),
        Metric("rmse_log", "RMSE log", "", "lower", ("log_square",), torch.sqrt,
               r"\sqrt{\frac1n\sum d^2},\;d=\ln p-\ln t"),
        Metric("log10", "log₁₀", "", "lower", ("log_absolute",), lambda m: m / math.log(10),
               r"\frac1n\sum|\log_{10}p-\log_{10}t|"),
        Metric("silog", "SILog", "×100", "lower", ("log_square", "log"), lambda s, m: 100 * _spread(s, m),
               r"100\sqrt{\frac1n\sum d^2-\left(\frac1n\sum d\right)^2}"),
        Metric("scale_invariant", "√D", "", "lower", ("log_deviation_square",), torch.sqrt,
               r"\sqrt{\frac1n\sum(d-\bar d)^2}"),
        Metric("delta1", "δ₁", "", "higher", ("delta1",), _same, r"\mathrm{share}\,\max(p/t,t/p)<1.25"),
        Metric("delta2", "δ₂", "", "higher", ("delta2",), _same, r"\mathrm{share}\,\max(p/t,t/p)<1.25^2"),
        Metric("delta3", "δ₃", "", "higher", ("delta3",), _same, r"\mathrm{share}\,\max(p/t,t/p)<1.25^3"),
        Metric("irmse", "iRMSE", "1/m", "lower", ("inverse_square",), torch.sqrt,
               r"\sqrt{\frac1n\sum(1/p-1/t)^2}"),
        Metric("irmse_km", "iRMSE", "1/km", "lower", ("inverse_square",), lambda m: 1000 * m.sqrt(),
               r"1000\sqrt{\frac1n\sum(1/p-1/t)^2}"),
    )
}  # fmt: skip
"""All metrics by name.

``sq_rel`` divides by t (everyone's code), ``sq_rel_kitti`` by t^2 (the KITTI benchmark server). For one
image, ``silog`` is 100 times ``scale_invariant``. They part company when pooled: pooled ``silog`` removes one
common scale from the whole test set, pooled ``scale_invariant`` every image's own (Eigen et al. 2014, eq. 1,
whose tables behave like its root).
"""

KITTI_BENCHMARK: dict[str, Metric] = {
    "silog": METRICS["silog"],
    "sq_error_rel": Metric("sq_error_rel", "sqErrorRel", "%", "lower", ("relative_square",),
                           lambda m: 100 * m, r"\frac{100}n\sum\frac{(p-t)^2}{t^2}"),
    "abs_error_rel": Metric("abs_error_rel", "absErrorRel", "%", "lower", ("relative",),
                            lambda m: 100 * m, r"\frac{100}n\sum\frac{|p-t|}{t}"),
    "irmse_km": METRICS["irmse_km"],
}  # fmt: skip
"""What KITTI's depth server prints, in its order and units: SILog is 100 times a spread of logarithms, both
relative errors are in per cent (100 times ``sq_rel_kitti`` and ``abs_rel``), iRMSE is in 1/km. The two in per
cent are computed only where they are named, as in ``metrics=KITTI_BENCHMARK``: a record has them as shares.
"""


# --- gathering pixels and means -------------------------------------------------------------------


def _numpy(values: Float[Tensor, "*S"]) -> np.ndarray:
    """The values as an array; NumPy has no bfloat16, float32 holds it exactly."""
    values = values.detach().cpu()
    return (values.float() if values.dtype == torch.bfloat16 else values).numpy()


def valid_pixels(valid: Bool[Tensor, "*S"], *maps: Float[Tensor, "*S"]) -> tuple[Float[Tensor, " N"], ...]:
    """The values of every map where ``valid``, as vectors, detached.

    On a CPU by way of NumPy, which finds and gathers pixels several times faster than torch.

    Example:
        >>> valid_pixels(torch.tensor([[False, True]]), torch.tensor([[1.0, 2.0]]))
        (tensor([2.]),)
    """
    if valid.is_cuda:
        return tuple(values.detach()[valid] for values in maps)
    places = np.flatnonzero(valid.cpu().numpy())
    return tuple(torch.from_numpy(_numpy(values).ravel().take(places)) for values in maps)


def median(values: Float[Tensor, " N"]) -> float:
    """The median: for an even number of values the mean of the two middle ones, as ``numpy.median`` has it.

    (``torch.median`` takes the lower one.) NaN for no values. Every 24th value brackets the middle; then only
    the few values inside the bracket are ordered. The result is exact, and takes a fifth of
    ``numpy.median``'s time for the pixels of a KITTI image.

    Example:
        >>> median(torch.tensor([4.0, 1.0, 3.0, 2.0]))
        2.5
    """
    count = len(values)
    if count == 0:
        return math.nan
    middle = np.array([(count - 1) // 2, count // 2])
    if values.is_cuda:
        return values.sort().values[middle.tolist()].mean().item()
    numbers = _numpy(values)
    if count < 10_000:
        return float(np.median(numbers))
    sample = numbers[::24]
    reach = int(2 * len(sample) ** 0.5)
    ends = [len(sample) // 2 - reach, len(sample) // 2 + reach]
    low, high = np.partition(sample, ends)[ends]
    inside = numbers[np.flatnonzero((numbers >= low) & (numbers <= high))]
    places = middle - np.count_nonzero(numbers < low)
    if places[0] < 0 or places[1] >= len(inside):  # an unlucky sample: the bracket missed the middle
        return float(np.median(numbers))
    return float(np.partition(inside, places)[places].mean())


def _check_positive(values: Tensor, name: str, advice: str) -> None:
    """Raise ``ValueError`` with a count unless all values are positive and finite."""
    if values.numel() == 0:
        return
    low, high = values.aminmax()
    if low > 0 and high < math.inf:
        return
    bad = int((~((values > 0) & values.isfinite())).sum())
    raise ValueError(
        f"{bad} of {values.numel()} valid {name} values are not positive finite metres "
        f"(smallest {low.item():g}, largest {high.item():g}, NaN {int(values.isnan().sum())}); {advice}"
    )


class Tally:
    """The means of the terms of ``names`` for every image added; from them, both averages of every metric.

    ``add`` takes one image's valid pixels. ``per_image(name)`` has one number per image, NaN for an image
    without pixels; ``pooled(name)`` weights every pixel of every image alike, NaN if there is none. Means are
    kept in float64.

    Example:
        >>> tally = Tally(["rmse"])
        >>> tally.add(torch.tensor([2.0]), torch.tensor([1.0]))
        >>> tally.add(torch.tensor([8.0]), torch.tensor([1.0]))
        >>> tally.per_image("rmse").tolist(), tally.pooled("rmse")
        ([1.0, 7.0], 5.0)
    """

    def __init__(self, names: Iterable[str] | None = None):
        self.names = tuple(METRICS if names is None else names)
        known = KITTI_BENCHMARK | METRICS
        unknown = [name for name in self.names if name not in known]
        if unknown:
            raise ValueError(f"no metric named {', '.join(unknown)}; there are {', '.join(known)}")
        self.metrics = {name: known[name] for name in self.names}
        self.terms = tuple(dict.fromkeys(term for m in self.metrics.values() for term in m.means))
        self.counts: list[int] = []
        self.rows: list[list[float]] = []

    def add(self, prediction: Float[Tensor, " N"], target: Float[Tensor, " N"]) -> None:
        """Count one image; ``ValueError`` for a prediction or target that is not positive and finite."""
        check_same_shape(prediction=prediction, target=target)
        _check_positive(target, "target", "valid must exclude them (0 means missing)")
        _check_positive(prediction, "prediction", "clamp them first or choose a protocol that does")
        common = torch.promote_types(torch.promote_types(prediction.dtype, target.dtype), torch.float32)
        errors = Errors(prediction.to(common), target.to(common))
        means = [TERMS[term](errors).mean(dtype=torch.float64) for term in self.terms]
        self.counts.append(len(target))
        self.rows.append(torch.stack(means).tolist() if means else [])

    def _finish(self, name: str, means: Float[Tensor, "B T"]) -> Float[Tensor, " B"]:
        columns = [means[:, self.terms.index(term)] for term in self.metrics[name].means]
        return self.metrics[name].finish(*columns)

    def _table(self) -> Float[Tensor, "B T"]:
        return torch.tensor(self.rows, dtype=torch.float64).reshape(len(self.rows), len(self.terms))

    def per_image(self, name: str) -> Float[Tensor, " B"]:
        """The metric of every image."""
        return self._finish(name, self._table())

    def pooled(self, name: str) -> float:
        """The metric over all pixels of all images."""
        weights = torch.tensor(self.counts, dtype=torch.float64)
        means = (weights @ self._table().nan_to_num()) / weights.sum()
        return self._finish(name, means[None]).item()


def _tally(prediction: Depth, target: Depth, valid: Valid, names: Iterable[str] | None) -> Tally:
    check_same_shape(prediction=prediction, target=target, valid=valid)
    tally = Tally(names)
    for p, t, mask in zip(prediction, target, valid, strict=True):
        tally.add(*valid_pixels(mask, p, t))
    return tally


def compute(
    prediction: Depth, target: Depth, valid: Valid, names: Iterable[str] | None = None
) -> dict[str, Float[Tensor, " B"]]:
    """Several metrics (default: all) of every image, in one pass over the pixels.

    Depths in metres; what lies outside ``valid`` may be anything, NaN included. Results are float64 on the
    CPU, NaN for an image without valid pixels.

    Raises:
        ValueError: unknown name, different shapes, or a valid pixel whose prediction or target is not
        positive and finite.

    Example:
        >>> target = torch.full((1, 1, 2, 2), 2.0)
        >>> scores = compute(1.5 * target, target, target > 0, ["abs_rel", "rmse", "delta1", "silog"])
        >>> {name: round(value.item(), 4) for name, value in scores.items()}
        {'abs_rel': 0.5, 'rmse': 1.0, 'delta1': 0.0, 'silog': 0.0}
    """
    tally = _tally(prediction, target, valid, names)
    return {name: tally.per_image(name) for name in tally.names}


def per_image(name: str, prediction: Depth, target: Depth, valid: Valid) -> Float[Tensor, " B"]:
    """One metric of every image; see :func:`compute`.

    Example:
        >>> target = torch.full((2, 1, 2, 2), 2.0)
        >>> per_image("rmse", target + 1, target, target > 0).tolist()
        [1.0, 1.0]
    """
    return _tally(prediction, target, valid, [name]).per_image(name)


def pooled(name: str, prediction: Depth, target: Depth, valid: Valid) -> float:
    """One metric over all valid pixels of the batch together, NaN if there is none; see :func:`compute`.

    Example:
        >>> target = torch.ones(2, 1, 1, 1)
        >>> pooled("rmse", torch.tensor([2.0, 8.0]).reshape(2, 1, 1, 1), target, target > 0)
        5.0
    """
    return _tally(prediction, target, valid, [name]).pooled(name)


# --- edges ----------------------------------------------------------------------------------------


def edge_scores(
    prediction: Depth, target: Depth, valid: Valid, threshold: float = 0.25, *, border: bool = False
) -> tuple[Float[Tensor, " B"], Float[Tensor, " B"], Float[Tensor, " B"]]:
    """Precision, recall and F1 of the depth edges, per image (Hu et al. 2019, section 4.4).

    An edge is a pixel where sqrt(Sx^2 + Sy^2) > ``threshold``, with Hu's Sobel (8 times the slope in metres
    per pixel; thresholds 0.25, 0.5 and 1). Precision = both / predicted, recall = both / true, F1 = 2 both /
    (predicted + true), by exact coincidence of pixels.

    Only pixels whose whole 3 x 3 neighbourhood is valid and inside the image are counted. ``border=True`` is
    the released code: zero padding, which makes the outermost ring a perfect "edge" of both maps (1.5 % of
    the pixels, and all edges at threshold 1 of a smooth scene), and counts every valid pixel.

    NaN where there is nothing to divide by: precision without predicted, recall without true edges, F1
    without either.

    Example:
        >>> step = torch.where(torch.arange(8) < 4, 1.0, 2.0).expand(1, 1, 8, 8)
        >>> [score.item() for score in edge_scores(step, step, step > 0)]
        [1.0, 1.0, 1.0]
    """
    check_same_shape(prediction=prediction, target=target, valid=valid)
    counted = valid if border else _surrounded(valid)
    found, true = (torch.hypot(*sobel(depth, padding="zeros")) > threshold for depth in (prediction, target))
    return _overlap(found & counted, true & counted)


def bend_scores(
    prediction: Depth, target: Depth, valid: Valid, threshold: float = 0.1
) -> tuple[Float[Tensor, " B"], Float[Tensor, " B"], Float[Tensor, " B"], Float[Tensor, " B"]]:
    r"""Precision, recall and F1 of the bends of a depth map, and the share of pixels that truly bend, per
    image.

    A plane's inverse depth :math:`y = 1/z` is linear in the pixel's coordinates, however steep the plane, so
    that its second differences vanish. A pixel bends where they do not,

    .. math:: \max\big(|y_{u-1} - 2 y_u + y_{u+1}|,\; |y_{v-1} - 2 y_v + y_{v+1}|\big) \,/\, y > threshold.

    A step in depth by a factor r answers with 1 - 1/r on its near and r - 1 on its far side. The share is
    what precision would be for bends drawn at random. Scale changes nothing.

    Only pixels whose whole 3 x 3 neighbourhood is valid and inside the image are counted; NaN where there is
    nothing to divide by, as in :func:`edge_scores`.

    Example:
        >>> step = torch.where(torch.arange(8) < 4, 1.0, 2.0).expand(1, 1, 8, 8)
        >>> [round(score.item(), 2) for score in bend_scores(3 * step, step, step > 0)]
        [1.0, 1.0, 1.0, 0.33]
    """
    check_same_shape(prediction=prediction, target=target, valid=valid)
    counted = _surrounded(valid)
    found, true = (bends(depth, threshold) & counted for depth in (prediction, target))
    share = true.sum(dim=(1, 2, 3)).double() / counted.sum(dim=(1, 2, 3))
    return *_overlap(found, true), share


def bends(depth: Depth, threshold: float = 0.1) -> Bool[Tensor, "B 1 H W"]:
    """Where a depth map bends, by the rule of :func:`bend_scores`; at the border against itself.

    Example:
        >>> bends(torch.where(torch.arange(6) < 3, 1.0, 2.0).expand(1, 1, 1, 6)).int()
        tensor([[[[0, 0, 1, 1, 0, 0]]]], dtype=torch.int32)
    """
    y = F.pad(depth.reciprocal(), (1, 1, 1, 1), mode="replicate")
    middle = y[..., 1:-1, 1:-1]
    neighbours = (y[..., 1:-1, :-2], y[..., 1:-1, 2:]), (y[..., :-2, 1:-1], y[..., 2:, 1:-1])
    across, down = ((before - 2 * middle + behind).abs() for before, behind in neighbours)
    return torch.maximum(across, down) > threshold * middle


def _surrounded(valid: Valid) -> Bool[Tensor, "B 1 H W"]:
    """Valid with all eight neighbours, which lie inside the image."""
    missing = F.pad((~valid).float(), (1, 1, 1, 1), value=1.0)
    return F.max_pool2d(missing, kernel_size=3, stride=1) == 0


def _overlap(
    found: Bool[Tensor, "B 1 H W"], true: Bool[Tensor, "B 1 H W"]
) -> tuple[Float[Tensor, " B"], Float[Tensor, " B"], Float[Tensor, " B"]]:
    """Precision, recall and F1 of marked pixels, per image."""
    both, found, true = (marked.sum(dim=(1, 2, 3)).double() for marked in (found & true, found, true))
    return both / found, both / true, 2 * both / (found + true)
