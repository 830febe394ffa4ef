"""Exercises of the metrics chapter; the right answers come from :mod:`mdepth.metrics`."""

from collections.abc import Callable

import torch

from mdepth.exercises.checker import Exercise, as_depth, maps

__all__ = ["exercises"]


def exercises() -> dict[str, Exercise]:
    """Errors relative to the truth, two averages, thresholds, the best cheat."""
    return {
        "metrics.abs_rel": _abs_rel(),
        "metrics.rmse_per_image": _rmse_per_image(),
        "metrics.delta": _delta(),
        "metrics.best_scale": _best_scale(),
    }


def _library(name: str) -> Callable:
    """The library's metric on rows of pixels."""
    from mdepth.metrics import per_image

    return lambda p, t, v: per_image(name, as_depth(p), as_depth(t), as_depth(v))


def _abs_rel() -> Exercise:
    """Truth below, absolute value above, valid pixels only."""
    return Exercise(
        _library("abs_rel"),
        [
            (
                lambda p, t, v: ((p - t).abs() / p)[v].mean(),
                "the truth is the denominator, not the prediction.",
            ),
            (
                lambda p, t, v: ((p - t).abs() / t).mean(),
                "you counted a pixel without truth: use the mask.",
            ),
            (
                lambda p, t, v: ((p - t) / t)[v].mean(),
                "errors of opposite sign cancel: you forgot the absolute value.",
            ),
            (lambda p, t, v: ((p - t).abs() / t)[v].sum(), "you forgot the 1/N."),
            (
                lambda p, t, v: ((p - t).abs() / t)[v].sum() / p.numel(),
                "N is the number of valid pixels, not of all.",
            ),
            (
                lambda p, t, v: (p - t)[v].abs().sum() / t[v].sum(),
                "mean of ratios, not ratio of sums: divide pixel by pixel.",
            ),
        ],
        "Truth below, absolute value above, valid pixels only.",
        inputs=[maps()],
    )


def _rmse_per_image() -> Exercise:
    """Root for each image, then the mean."""

    def per_image_rmse(predictions, targets):
        return sum(((p - t) ** 2).mean() ** 0.5 for p, t in zip(predictions, targets, strict=True)) / len(
            targets
        )

    def pooled_rmse(predictions, targets):
        return ((torch.cat(list(predictions)) - torch.cat(list(targets))) ** 2).mean() ** 0.5

    two = (
        [torch.tensor([6.0, 6.0]), torch.tensor([8.0, 9.0])],
        [torch.tensor([5.0, 5.0]), torch.tensor([5.0, 5.0])],
    )
    return Exercise(
        per_image_rmse,
        [
            (
                pooled_rmse,
                "that is the pooled RMSE; take the root for each image, then the mean.",
            ),
            (
                lambda p, t: sum(((a - b) ** 2).mean() for a, b in zip(p, t, strict=True)) / len(t),
                "you forgot the root.",
            ),
            (
                lambda p, t: sum((a - b).abs().mean() for a, b in zip(p, t, strict=True)) / len(t),
                "that is the mean absolute error: square before the mean, root after it.",
            ),
        ],
        "The pooled one is larger: it looks most at the worst image.",
        inputs=[two],
    )


def _delta() -> Exercise:
    """Share of ratios below 1.25, in both directions."""
    return Exercise(
        _library("delta1"),
        [
            (
                lambda p, t, v: (torch.maximum(p / t, t / p) <= 1.25)[v].double().mean(),
                "strictly smaller: a ratio of exactly 1.25 is outside.",
            ),
            (
                lambda p, t, v: (p / t < 1.25)[v].double().mean(),
                "a prediction that is too near counts too: take the larger of p/t and t/p.",
            ),
            (
                lambda p, t, v: (torch.maximum(p / t, t / p) < 1.25).double().mean(),
                "you counted a pixel without truth: use the mask.",
            ),
            (lambda p, t, v: ((p - t).abs() < 1.25)[v].double().mean(), "1.25 is a ratio, not metres."),
            (
                lambda p, t, v: (torch.maximum(p / t, t / p) >= 1.25)[v].double().mean(),
                "that is the share of wrong pixels.",
            ),
        ],
        "The threshold is a ratio, in both directions.",
        inputs=[maps()],
    )


def _best_scale() -> Exercise:
    """The factor that AbsRel likes best, and the one that RMSE log likes best."""
    return Exercise(
        (0.25, 2**-0.25),
        [
            ((2**-0.25, 0.25), "you swapped the two."),
            ((None, 2**0.25), "the sign: RMSE log wants ln s + mean ln(ratio) = 0."),
            ((None, 0.5), "you forgot the 1/4 of the mean."),
            (
                (1.0, None),
                "the median is best for plain distances; here each ratio is its own slope.",
            ),
            (
                (0.25, None),
                "AbsRel is right; for RMSE log take the mean of the logarithms of the ratios.",
            ),
        ],
        "AbsRel rewards predictions that are too near.",
        tolerance=0.006,
    )
