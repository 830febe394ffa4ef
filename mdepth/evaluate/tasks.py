"""Normals and labels: their metrics, the loop that scores them, and answers that never look at the image.

Eigen and Fergus 2015 predict both with the network that predicts depth. Of normals papers print angles: their
mean, their median, and the share below three bounds; of labels what a table of confusions holds. Both are
averaged in two ways, as depth is: over the numbers of each image, and pooled over all pixels.

Where we differ from the sources: a normal or a label is scored at every valid pixel of the image, where the
papers mask the truth in ways of their own; shares are in percent, as they print them, and bounds are strict.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F

from mdepth.evaluate.baselines import Samples
from mdepth.metrics import median
from mdepth.shapes import Bool, Float, Image, Int, Tensor, check_same_shape

__all__ = [
    "ANGLES", "LABELS", "SameForAll", "Statistic", "angles", "confusion", "mean_normals_baseline",
    "most_frequent_baseline", "score_labels", "score_normals",
]  # fmt: skip

Predict = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Statistic:
    """One number of all angles of an image or a test set (:data:`ANGLES`), or of a table of confusions
    (:data:`LABELS`); NaN of nothing.
    """

    name: str
    symbol: str
    unit: str
    better: str
    of: Callable[[Tensor], float]


def angles(
    prediction: Float[Tensor, "B 3 H W"], target: Float[Tensor, "B 3 H W"]
) -> Float[Tensor, "B 1 H W"]:
    """The angle between two normals in degrees, 0 to 180: atan2(|p x t|, p . t), exact also for small angles,
    where the arc cosine is not.

    Lengths do not matter. A vector of length 0 has no angle; the 0 that stands there belongs out of
    ``valid``.

    Example:
        >>> across, ahead = torch.tensor([1.0, 0, 0]), torch.tensor([0, 0, -2.0])
        >>> angles(across.reshape(1, 3, 1, 1), ahead.reshape(1, 3, 1, 1)).item()
        90.0
    """
    check_same_shape(prediction=prediction, target=target)
    sine = torch.linalg.cross(prediction, target, dim=1).norm(dim=1, keepdim=True)
    return torch.atan2(sine, (prediction * target).sum(dim=1, keepdim=True)).rad2deg()


def _below(bound: float) -> Callable[[Tensor], float]:
    return lambda angles: 100 * torch.lt(angles, bound).double().mean().item()


ANGLES: dict[str, Statistic] = {
    s.name: s
    for s in (
        Statistic("angle_mean", "mean angle", "degrees", "lower", lambda a: a.double().mean().item()),
        Statistic("angle_median", "median angle", "degrees", "lower", median),
        Statistic("angle_11", "< 11.25°", "%", "higher", _below(11.25)),
        Statistic("angle_22", "< 22.5°", "%", "higher", _below(22.5)),
        Statistic("angle_30", "< 30°", "%", "higher", _below(30.0)),
    )
}
"""What tables of normals print, of a vector of angles in degrees."""


def confusion(
    prediction: Int[Tensor, "*S"], target: Int[Tensor, "*S"], valid: Bool[Tensor, "*S"], classes: int
) -> Float[Tensor, "C C"]:
    """How many valid pixels of class i (rows) were called j (columns), in float64.

    Raises:
        ValueError: a valid label of either is none of 0 to ``classes`` - 1.

    Example:
        >>> truth, said = torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1])
        >>> confusion(said, truth, truth >= 0, classes=2).tolist()
        [[1.0, 1.0], [0.0, 1.0]]
    """
    check_same_shape(prediction=prediction, target=target, valid=valid)
    said, true = prediction[valid], target[valid]
    for name, labels in (("prediction", said), ("target", true)):
        if labels.numel() and not 0 <= labels.min() <= labels.max() < classes:
            found = f"{labels.min().item()} to {labels.max().item()}"
            raise ValueError(f"valid labels of the {name} must be 0 to {classes - 1}, got {found}")
    return (true * classes + said).bincount(minlength=classes**2).reshape(classes, classes).double()


def _jaccards(table: Float[Tensor, "C C"]) -> Float[Tensor, " C"]:
    """Of every class intersection over union, NaN where neither truth nor prediction has it."""
    both = table.diagonal()
    return both / (table.sum(1) + table.sum(0) - both)


LABELS: dict[str, Statistic] = {
    s.name: s
    for s in (
        Statistic("pixel_accuracy", "pixel acc.", "%", "higher",
                  lambda t: (100 * t.diagonal().sum() / t.sum()).item()),
        Statistic("class_accuracy", "class acc.", "%", "higher",
                  lambda t: 100 * (t.diagonal() / t.sum(1)).nanmean().item()),
        Statistic("jaccard", "mean Jaccard", "%", "higher", lambda t: 100 * _jaccards(t).nanmean().item()),
        Statistic("weighted_jaccard", "weighted Jaccard", "%", "higher",
                  lambda t: (100 * (_jaccards(t).nan_to_num() * t.sum(1)).sum() / t.sum()).item()),
    )
}  # fmt: skip
"""What tables of labels print, of a table of confusions. A class that is not in the truth does not count for
``class_accuracy``, one that is neither there nor predicted not for ``jaccard``; ``weighted_jaccard`` weighs
every class by its true pixels.
"""


# --- scoring --------------------------------------------------------------------------------------


def score_normals(predict: Predict, dataset: Samples, *, batch_size: int = 8) -> dict[str, Any]:
    """:data:`ANGLES` of a function from images to normals (B, 3, H, W), at every valid pixel, in the form of
    a protocol's scores: ``mean`` over images, ``pooled``, ``per_image``, ``ids``, ``n_images``, ``n_pixels``.

    Samples need ``normals``; lengths do not matter.

    Example:
        >>> normals = torch.tensor([0.0, 0.0, -1.0]).reshape(3, 1, 1).expand(3, 2, 2)
        >>> sample = {"image": torch.rand(3, 2, 2), "normals": normals, "valid": normals[:1] < 1, "id": "one"}
        >>> slanted = normals[None] + torch.tensor([1.0, 0.0, 0.0])[:, None, None]
        >>> score_normals(lambda image: slanted, [sample])["mean"]
        {'angle_mean': 45.0, 'angle_median': 45.0, 'angle_11': 0.0, 'angle_22': 0.0, 'angle_30': 0.0}
    """

    def found(prediction: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
        return angles(prediction[None], truth[None])[0][valid]

    def together(angles_of: list[Tensor]) -> Tensor:
        return torch.cat(angles_of)

    return _scores(predict, dataset, "normals", found, ANGLES, together, batch_size)


def score_labels(predict: Predict, dataset: Samples, classes: int, *, batch_size: int = 8) -> dict[str, Any]:
    """:data:`LABELS` of a function from images to labels (B, 1, H, W), as :func:`score_normals`.

    Example:
        >>> labels = torch.tensor([[[0, 1]]])
        >>> sample = {"image": torch.rand(3, 1, 2), "labels": labels, "valid": labels >= 0, "id": "one"}
        >>> score_labels(lambda image: torch.zeros(1, 1, 1, 2).long(), [sample], classes=2)["pooled"]
        {'pixel_accuracy': 50.0, 'class_accuracy': 50.0, 'jaccard': 25.0, 'weighted_jaccard': 25.0}
    """

    def found(prediction: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
        return confusion(prediction, truth, valid, classes)

    def together(tables: list[Tensor]) -> Tensor:
        return torch.stack(tables).sum(dim=0)

    return _scores(predict, dataset, "labels", found, LABELS, together, batch_size)


@torch.no_grad()
def _scores(
    predict: Predict,
    dataset: Samples,
    key: str,
    found: Callable[[Tensor, Tensor, Tensor], Tensor],
    statistics: Mapping[str, Statistic],
    together: Callable[[list[Tensor]], Tensor],
    batch_size: int,
) -> dict[str, Any]:
    """The loop: what is ``found`` in every image, its statistics, and those of all images ``together``."""
    kept, ids, pixels = [], [], 0
    for start in range(0, len(dataset), batch_size):
        samples = [dataset[i] for i in range(start, min(start + batch_size, len(dataset)))]
        answers = predict(torch.stack([sample["image"] for sample in samples]))
        for sample, answer in zip(samples, answers, strict=True):
            kept.append(found(answer, sample[key], sample["valid"]))
            ids.append(sample["id"])
            pixels += int(sample["valid"].sum())
    per_image = {name: [_number(statistic.of(one)) for one in kept] for name, statistic in statistics.items()}
    everything = together(kept)
    return {
        "mean": {name: _mean(values) for name, values in per_image.items()},
        "pooled": {name: _number(statistic.of(everything)) for name, statistic in statistics.items()},
        "per_image": per_image,
        "ids": ids,
        "n_images": len(ids),
        "n_pixels": pixels,
    }


def _number(value: float) -> float | None:
    """The value as a record keeps it: None where there was nothing to score."""
    return value if math.isfinite(value) else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


# --- answers that never look at the image ---------------------------------------------------------


@dataclass(frozen=True)
class SameForAll:
    """The same map for every image of the map's size.

    Example:
        >>> SameForAll(torch.zeros(3, 4, 5))(torch.rand(2, 3, 4, 5)).shape
        torch.Size([2, 3, 4, 5])
    """

    map: Float[Tensor, "C H W"] | Int[Tensor, "C H W"]

    def __call__(self, image: Image) -> Tensor:
        if image.shape[-2:] != self.map.shape[-2:]:
            sizes = f"{tuple(image.shape[-2:])} against {tuple(self.map.shape[-2:])}"
            raise ValueError(f"the image has another size than the map: {sizes}")
        return self.map.expand(len(image), *self.map.shape)


def mean_normals_baseline(dataset: Samples, *, limit: int | None = None) -> SameForAll:
    """Every pixel's mean normal over a training set, of unit length; ``limit`` images, evenly spread.

    Raises:
        ValueError: the data set is empty.

    Example:
        >>> normals = torch.tensor([0.0, 0.0, -1.0]).reshape(3, 1, 1)
        >>> mean_normals_baseline([{"normals": normals, "valid": normals[:1] < 1}]).map.flatten().tolist()
        [0.0, 0.0, -1.0]
    """
    total = sum(torch.where(sample["valid"], sample["normals"], 0.0) for sample in _spread(dataset, limit))
    return SameForAll(F.normalize(torch.as_tensor(total), dim=0))


def most_frequent_baseline(dataset: Samples, classes: int, *, limit: int | None = None) -> SameForAll:
    """Every pixel's most frequent class over a training set; ``limit`` images, evenly spread.

    Raises:
        ValueError: the data set is empty.

    Example:
        >>> labels = torch.tensor([0, 2, 2]).reshape(3, 1, 1, 1)
        >>> most_frequent_baseline([{"labels": one, "valid": one >= 0} for one in labels], 3).map.item()
        2
    """
    each = torch.arange(classes)[:, None, None]
    votes = sum(((s["labels"] == each) & s["valid"]).long() for s in _spread(dataset, limit))
    return SameForAll(torch.as_tensor(votes).argmax(dim=0, keepdim=True))


def _spread(dataset: Samples, limit: int | None) -> Iterator[Any]:
    """Some or all samples, evenly spread."""
    count = len(dataset) if limit is None else min(limit, len(dataset))
    if count < 1:
        raise ValueError("the mean of a data set without samples is undefined")
    return (dataset[i * len(dataset) // count] for i in range(count))
