"""The evaluation loop: a network, or predictions made elsewhere, over a data set under any number of
protocols at once.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from mdepth.evaluate.baselines import Samples
from mdepth.evaluate.protocols import Protocol, get_protocol
from mdepth.metrics import Tally
from mdepth.shapes import Depth, Tensor, Valid

__all__ = ["Scores", "evaluate", "score_predictions"]

Predict = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Scores:
    """What one protocol makes of one set of predictions.

    ``mean`` is the average of ``per_image`` over the images that have scored pixels, ``pooled`` the metric
    over all pixels; ``reported`` is the one of the two that the protocol's source prints. ``per_image`` is
    NaN for an image without scored pixels. ``factors`` are the numbers that each image's prediction was
    multiplied by (1 without alignment); their spread says how well a network knows the scale.
    """

    protocol: str
    averaging: str
    mean: dict[str, float]
    pooled: dict[str, float]
    per_image: dict[str, list[float]]
    ids: list[str]
    factors: list[float]
    n_images: int
    n_pixels: int

    @property
    def reported(self) -> dict[str, float]:
        """``mean`` or ``pooled``, as the protocol averages."""
        return self.pooled if self.averaging == "pooled" else self.mean

    def to_dict(self) -> dict[str, Any]:
        """The fields that a run's record keeps, JSON-able; NaN (where nothing was scored) becomes None."""
        per_image = {name: [_json(value) for value in values] for name, values in self.per_image.items()}
        means = {name: _json(value) for name, value in self.mean.items()}
        pooled = {name: _json(value) for name, value in self.pooled.items()}
        counts = {"n_images": self.n_images, "n_pixels": self.n_pixels}
        return {"mean": means, "pooled": pooled, "per_image": per_image, "ids": self.ids, **counts}


def _json(value: float) -> float | None:
    return value if math.isfinite(value) else None


@dataclass
class _Sheet:
    """The growing scores of one protocol."""

    protocol: Protocol
    tally: Tally
    ids: list[str] = field(default_factory=list)
    factors: list[float] = field(default_factory=list)

    def add(self, ids: Sequence[str], prediction: Depth, target: Depth, valid: Valid) -> None:
        """Score completed predictions against the protocol's view of the truth, image by image."""
        inside = self.protocol.inside(valid)
        for name, *maps in zip(ids, prediction, target, inside, strict=True):
            found, truth = self.protocol.scored_pixels(*maps)
            try:
                scaled, factor = self.protocol.align(found, truth)
                self.tally.add(scaled, truth)
            except ValueError as error:
                raise ValueError(f"protocol {self.protocol.name}, image {name}: {error}") from None
            self.ids.append(name)
            self.factors.append(factor)

    def scores(self) -> Scores:
        """The numbers, once every image has been added."""
        values = {name: self.tally.per_image(name) for name in self.tally.names}
        return Scores(
            protocol=self.protocol.name,
            averaging=self.protocol.averaging,
            mean={name: value.nanmean().item() for name, value in values.items()},
            pooled={name: self.tally.pooled(name) for name in self.tally.names},
            per_image={name: value.tolist() for name, value in values.items()},
            ids=self.ids,
            factors=self.factors,
            n_images=len(self.ids),
            n_pixels=sum(self.tally.counts),
        )


def _sheets(protocols: Iterable[str | Protocol], metrics: Iterable[str] | None) -> list[_Sheet]:
    chosen, metrics = [get_protocol(p) for p in protocols], None if metrics is None else tuple(metrics)
    names = [protocol.name for protocol in chosen]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"name at least one protocol, and each once, got {names}")
    return [_Sheet(protocol, Tally(metrics)) for protocol in chosen]


def _batches(
    dataset: Samples, indices: Iterable[int], batch_size: int
) -> Iterator[tuple[list[str], Tensor, Tensor, Tensor]]:
    """(ids, image, depth, valid) of up to ``batch_size`` samples in a row of one size (KITTI's differ)."""
    batch: list[Any] = []
    for index in indices:
        sample = dataset[index]
        if batch and (len(batch) == batch_size or sample["image"].shape != batch[0]["image"].shape):
            yield _stack(batch)
            batch = []
        batch.append(sample)
    if batch:
        yield _stack(batch)


def _stack(batch: list[Any]) -> tuple[list[str], Tensor, Tensor, Tensor]:
    image, depth, valid = (
        torch.stack([sample[key] for sample in batch]) for key in ("image", "depth", "valid")
    )
    return [sample["id"] for sample in batch], image, depth, valid


class _Views:
    """The predictions for one batch: each view is predicted once, however many protocols ask for it."""

    def __init__(self, predict: Predict, image: Tensor):
        self.predict, self.image = predict, image
        self.known: dict[Any, Tensor] = {}

    def depth(self, protocol: Protocol, *, mirrored: bool = False) -> Tensor:
        key = (protocol.view_size, protocol.view_crop, mirrored)
        if key not in self.known:
            image = protocol.view_of_image(self.image)
            self.known[key] = _checked(self.predict(image.flip(-1) if mirrored else image), len(image))
        return self.known[key]


def _checked(depth: Tensor, batch: int) -> Tensor:
    """Raise ``ValueError`` unless this is one depth map per image."""
    if depth.ndim != 4 or depth.shape[:2] != (batch, 1):
        raise ValueError(f"predict must return depth of shape ({batch}, 1, h, w), got {tuple(depth.shape)}")
    return depth


@torch.no_grad()
def evaluate(
    predict: Predict,
    dataset: Samples,
    protocols: str | Protocol | Iterable[str | Protocol],
    *,
    batch_size: int = 8,
    device: str | torch.device = "cpu",
    limit: int | None = None,
    metrics: Iterable[str] | None = None,
) -> dict[str, Scores]:
    """Score a network, or any function from images to depth, under several protocols in one pass.

    ``predict`` takes an image (B, 3, H, W), RGB in [0, 1], on ``device``, and returns depth (B, 1, h, w) in
    metres, or in any unit where the protocol aligns; another size is resized by the protocol's rule. It is
    called once for every different view and once more for the mirrored view if a protocol merges flips.
    ``limit`` scores only the first samples. ``metrics`` are names in :data:`mdepth.metrics.METRICS` (default:
    all). Memory grows with the data set by a few numbers per image.

    Raises:
        ValueError: unknown protocol or metric; nothing to evaluate; a prediction of a wrong shape; a scored
            pixel whose prediction is not positive and finite where the protocol does not clamp (a NaN is
            never accepted).

    Example:
        >>> depth = torch.full((1, 6, 8), 2.0)
        >>> sample = {"image": torch.zeros(3, 6, 8), "depth": depth, "valid": depth > 0, "id": "one"}
        >>> scores = evaluate(lambda image: torch.full((len(image), 1, 3, 4), 3.0), [sample], "worlds")
        >>> scores["worlds"].mean["rmse"], scores["worlds"].n_pixels
        (1.0, 48)
    """
    sheets = _sheets([protocols] if isinstance(protocols, str | Protocol) else protocols, metrics)
    count = len(dataset) if limit is None else min(limit, len(dataset))
    if count < 1:
        raise ValueError(f"nothing to evaluate: {len(dataset)} samples, limit {limit}")
    for ids, *tensors in _batches(dataset, range(count), batch_size):
        image, depth, valid = (tensor.to(device) for tensor in tensors)
        views = _Views(predict, image)
        for sheet in sheets:
            protocol = sheet.protocol
            mirrored = None if protocol.flip == "none" else views.depth(protocol, mirrored=True)
            target, known = protocol.view_of_depth(depth, valid)
            complete = protocol.complete(views.depth(protocol), mirrored, *target.shape[-2:])
            sheet.add(ids, complete.to(target), target, known)
    return {sheet.protocol.name: sheet.scores() for sheet in sheets}


def score_predictions(
    predictions: Iterable[np.ndarray | Tensor],
    dataset: Samples,
    protocol: str | Protocol,
    *,
    metrics: Iterable[str] | None = None,
) -> Scores:
    """Score depth maps made elsewhere, one per sample in the data set's order.

    Each is (h, w) or (1, h, w), in metres (or any unit where the protocol aligns), of the protocol's view of
    the image; another size is resized by the protocol's rule. Merging flips was the business of whoever made
    them: the protocol's ``flip`` is not applied.

    Raises:
        ValueError: more or fewer predictions than samples, a map of another shape or type, and as
            :func:`evaluate`.

    Example:
        >>> depth = torch.full((1, 6, 8), 2.0)
        >>> sample = {"image": torch.zeros(3, 6, 8), "depth": depth, "valid": depth > 0, "id": "one"}
        >>> score_predictions([np.full((6, 8), 3.0)], [sample], "worlds").mean["rmse"]
        1.0
    """
    (sheet,) = _sheets([protocol], metrics)
    done = 0
    for prediction in predictions:
        done += 1
        if done > len(dataset):
            break
        sample = dataset[done - 1]
        target, known = sheet.protocol.view_of_depth(sample["depth"][None], sample["valid"][None])
        depth = _depth_map(prediction, sample["id"]).to(target)
        sheet.add([sample["id"]], sheet.protocol.complete(depth, None, *target.shape[-2:]), target, known)
    if done != len(dataset) or done == 0:
        found = f"more than {len(dataset)}" if done > len(dataset) else f"{done}"
        raise ValueError(f"one prediction per sample is needed: {len(dataset)} samples, {found} predictions")
    return sheet.scores()


def _depth_map(prediction: np.ndarray | Tensor, name: str) -> Tensor:
    """One prediction as a float tensor (1, 1, h, w)."""
    depth = torch.as_tensor(prediction)
    if depth.ndim not in (2, 3) or (depth.ndim == 3 and len(depth) != 1):
        shape = tuple(depth.shape)
        raise ValueError(f"prediction for {name}: expected a map (h, w) or (1, h, w), got shape {shape}")
    if not depth.is_floating_point():
        raise ValueError(
            f"prediction for {name}: expected metres as floats, got {depth.dtype}; convert file units first"
        )
    return depth.reshape(1, 1, *depth.shape[-2:]).detach()
