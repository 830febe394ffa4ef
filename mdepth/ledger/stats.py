"""Means, spreads and intervals: the t interval over seeds, the bootstrap over images.

Training is repeated over seeds, so its interval is over seeds and small samples ask for Student's t. An
evaluation of one network is repeated over images, which are many and not normal, so its interval is a
percentile bootstrap. Neither says anything about the other: every number shows which of the two it carries.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Summary", "bootstrap_interval", "summarise", "t_interval"]


@dataclass(frozen=True)
class Summary:
    """A number with its spread: over ``n`` seeds, or over images where there is one seed."""

    mean: float
    sd: float | None
    interval: tuple[float, float] | None
    interval_of: str
    n: int


def t_interval(values: Sequence[int | float], level: float = 0.95) -> tuple[float, float]:
    r"""Student's interval for the mean of few values.

    .. math:: \bar x \pm t_{n-1,(1+\mathrm{level})/2}\; s / \sqrt n

    Edge cases: equal values give an interval of no width. Errors: ``ValueError`` for fewer than two values,
    which have no spread.

    Example:
        >>> low, high = t_interval([1.0, 2.0, 3.0])
        >>> round(low, 3), round(high, 3)
        (-0.484, 4.484)
    """
    from scipy.stats import t

    x = np.asarray(values, dtype=float)
    if x.size < 2:
        raise ValueError(f"a t interval needs at least 2 values, got {x.size}; run more seeds")
    half = t.ppf((1 + level) / 2, x.size - 1) * _sd(x) / np.sqrt(x.size)
    return float(x.mean() - half), float(x.mean() + half)


def bootstrap_interval(values: Sequence[int | float], *, seed: int = 0, level: float = 0.95,
                       draws: int = 2000) -> tuple[float, float]:  # fmt: skip
    """Percentile bootstrap for the mean of many values, e.g. one score per image.

    The same seed gives the same interval, bit for bit. Edge cases: NaN (an image without a valid pixel) is
    left out.
    Errors: ``ValueError`` for fewer than two values.

    Example:
        >>> low, high = bootstrap_interval([0.0, 1.0] * 50)
        >>> 0.35 < low < 0.5 < high < 0.65
        True
    """
    x = np.asarray(values, dtype=float)
    x = x[np.isfinite(x)]
    if x.size < 2:
        raise ValueError(f"a bootstrap needs at least 2 values, got {x.size}; evaluate more images")
    picks = np.random.default_rng(seed).integers(0, x.size, size=(draws, x.size))
    low, high = np.quantile(x[picks].mean(axis=1), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def summarise(values: Sequence[int | float], images: Sequence[int | float] = ()) -> Summary:
    """Mean, standard deviation and interval: of seeds where there are several, else of the images of the one
    run.

    Errors: ``ValueError`` without any value.

    Example:
        >>> summarise([0.2, 0.3, 0.25]).interval_of
        't over 3 seeds'
    """
    x = np.asarray(values, dtype=float)
    if x.size == 0:
        raise ValueError("nothing to summarise: no run has this number")
    if x.size > 1:
        return Summary(float(x.mean()), _sd(x), t_interval(values), f"t over {x.size} seeds", x.size)
    finite = [value for value in images if value is not None and np.isfinite(value)]
    if len(finite) > 1:
        return Summary(
            float(x[0]), None, bootstrap_interval(finite), f"bootstrap over {len(finite)} images", 1
        )
    return Summary(float(x[0]), None, None, "none (one value)", 1)


def _sd(x: np.ndarray) -> float:
    """Standard deviation of a sample; exactly 0 where all values are equal, whatever the rounding of their
    mean.
    """
    return float(x.std(ddof=1)) if np.ptp(x) > 0 else 0.0
