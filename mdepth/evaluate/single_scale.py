"""One scale for a whole test set, instead of one for every image.

A network that learnt from video knows depth up to a factor, and protocols with median scaling find the factor
anew for every image, from the truth. What they cannot show is whether it stays the same from image to image,
as it must for a depth map to be of use without a laser. The single-scale protocol of Monodepth2 (supplement,
section D.2) collects the factors of all images, then multiplies every prediction by their median; the spread
of the factors is printed beside the errors.
"""

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch

from mdepth.evaluate.baselines import Samples
from mdepth.evaluate.protocols import Protocol, get_protocol
from mdepth.evaluate.scoring import Predict, Scores, evaluate
from mdepth.metrics import median

__all__ = ["Scale", "evaluate_single_scale", "single_scale"]


@dataclass(frozen=True)
class Scale:
    """What the images' own factors have in common (:func:`single_scale`)."""

    factor: float
    """Their median: the one factor for all images."""
    mean: float
    """Their mean."""
    std: float
    """Their standard deviation, of the population."""
    images: int
    """How many there are."""

    @property
    def sigma(self) -> float:
        """The standard deviation of factor / median, sigma_scale: 0 for a network that keeps its scale.

        The released script prints it as the "std" of its scaling ratios. Relative to the mean it would be
        std / mean.
        """
        return self.std / self.factor

    def protocol(self, protocol: str | Protocol) -> Protocol:
        """The protocol with this factor in place of an alignment; everything else stays.

        Example:
            >>> one = Scale(30.0, 30.0, 0.0, 697).protocol("monodepth2-kitti")
            >>> one.name, one.alignment, one.factor
            ('monodepth2-kitti-single-scale', 'none', 30.0)
        """
        chosen = get_protocol(protocol)
        name = f"{chosen.name}-single-scale"
        return dataclasses.replace(chosen, name=name, alignment="none", factor=self.factor)


def single_scale(factors: Iterable[float]) -> Scale:
    """Median and spread of the factors that images were multiplied by (:attr:`Scores.factors`).

    Images without scored pixels have no factor (NaN) and do not count. The factors may come from other images
    than those to be scored: for KITTI's server, which gives no truth, Monodepth2 took 1000 images of its
    training set.

    Raises:
        ValueError: no image has a factor.

    Example:
        >>> scale = single_scale([8.0, 10.0, 12.0])
        >>> scale.factor, round(scale.sigma, 4)
        (10.0, 0.1633)
    """
    known = torch.tensor([each for each in factors if not math.isnan(each)], dtype=torch.float64)
    if not len(known):
        raise ValueError("no image has a factor: none of them has a scored pixel")
    return Scale(median(known), known.mean().item(), known.std(correction=0).item(), len(known))


def evaluate_single_scale(
    predict: Predict, dataset: Samples, protocol: str | Protocol, **options: Any
) -> tuple[Scores, Scale]:
    """Score a network under an aligning protocol, but with one scale for all images.

    Predicts twice: once for the factors, once for the scores. ``options`` are those of :func:`evaluate`.

    Raises:
        ValueError: the protocol does not align, no image has a scored pixel, and as :func:`evaluate`.

    Source: Monodepth2, supplement, section D.2 and Table 8 (there under "monodepth2-kitti-benchmark").

    Example:
        >>> depth = torch.tensor([1.0, 1.0, 4.0]).reshape(3, 1, 1, 1)
        >>> samples = [{"image": torch.zeros(3, 1, 1), "depth": d, "valid": d > 0, "id": ""} for d in depth]
        >>> ones = lambda image: torch.ones(len(image), 1, 1, 1)
        >>> scores, scale = evaluate_single_scale(ones, samples, "monodepth2-kitti-benchmark")
        >>> scale.factor, scores.per_image["rmse"]
        (1.0, [0.0, 0.0, 3.0])
    """
    chosen = get_protocol(protocol)
    if chosen.alignment == "none":
        raise ValueError(f"protocol {chosen.name} does not align: every image has the same factor")
    scale = single_scale(evaluate(predict, dataset, chosen, **options | {"metrics": ()})[chosen.name].factors)
    single = scale.protocol(chosen)
    return evaluate(predict, dataset, single, **options)[single.name], scale
