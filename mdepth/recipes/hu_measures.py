"""What a run of the Hu recipe measures: of a depth network its scores and how right its edges are; of a mask
how much it keeps, what is left of the answer, and how well other masks of the same size would have done.

What needs the truth of a synthetic world, where the mask lies and whether it matters there, is in
:mod:`mdepth.recipes.hu_truth`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from mdepth import weights
from mdepth.evaluate import mean_map_baseline
from mdepth.image import resize
from mdepth.losses import hu_depth_loss, hu_gradient_loss, hu_loss, hu_normal_loss
from mdepth.masks import (
    IMPORTANCE,
    answer,
    curve,
    find_mask,
    frozen,
    importance,
    keep,
    mask_objective,
    moved_by,
    predict_mask,
    remove,
    sparseness,
)
from mdepth.masks.judging import THRESHOLD
from mdepth.models import DepthNetwork, build
from mdepth.models.hu_masks import MaskPredictor
from mdepth.recipes import hu_truth
from mdepth.recipes.hu_settings import MaskSettings, Settings
from mdepth.recipes.parts import (
    BASELINE_IMAGES,
    edge_table,
    score,
    scores_of,
    short,
    step_table,
    targets,
    thinned,
)
from mdepth.shapes import Depth, Float, Image, Tensor, Valid

__all__ = [
    "COMPARED", "SHARES", "THRESHOLDS", "Seen", "errors", "kept", "look", "measured", "measured_masks",
]  # fmt: skip

PRINTED = ("abs_rel", "rmse", "log10", "delta1", "delta2", "delta3")
"""The columns of the paper's tables."""
THRESHOLDS = (0.25, 0.5, 1.0)
"""Of what counts as an edge of depth; recalled, and the first one is the code's."""
SHARES = (0.02, 0.05, 0.1, 0.2, 0.4)
"""Of the pixels that are kept where opinions are compared."""
COMPARED = 32
"""Test images on which they are."""
SEARCHED = 8
"""Test images whose masks are also searched pixel by pixel."""
CHEAP = ("random", "spots", "grid", "edges")
RIVALS = {"eigen": "eigen-fine-rooms", "laina": "laina-resnet18-upproj-rooms"}
"""Networks of rooms beside whose edges those of N are held; the second is also asked whether masks that were
made for another network serve it.
"""
BATCH = 16


@dataclass(frozen=True)
class Seen:
    """Test images as a network sees them, with the truth under the pixels of its map."""

    image: Image
    depth: Depth
    valid: Valid
    ids: list[str]

    def __len__(self) -> int:
        return len(self.image)

    def first(self, count: int) -> "Seen":
        """The first ``count`` of them."""
        return Seen(self.image[:count], self.depth[:count], self.valid[:count], self.ids[:count])


def look(network: DepthNetwork, test: Any, size: tuple[int, int] | None = None) -> Seen:
    """All test images as a network sees them; the truth at ``size``, or that of the network's map."""
    images, depths, valids, ids = [], [], [], []
    for index in range(len(test)):
        sample = test[index]
        image = network.view(sample["image"][None])
        if size is None:
            with torch.no_grad():
                size = tuple(answer(network, image).shape[-2:])  # type: ignore[assignment]
        assert size is not None
        height, width = sample["depth"].shape[-2:]
        top, bottom, left, right = network.covers(height, width)
        box = (..., slice(top, bottom), slice(left, right))
        depth, valid = targets(sample["depth"][box][None], sample["valid"][box][None], size)
        images.append(image.cpu())
        depths.append(depth)
        valids.append(valid)
        ids.append(sample["id"])
    return Seen(torch.cat(images), torch.cat(depths), torch.cat(valids), ids)


def measured(network: DepthNetwork, settings: Settings, train: Any, test: Any) -> dict[str, dict[str, Any]]:
    """All tables of a depth network, by name: scores beside the baselines; ``edges-<threshold>``, and with
    the released code's border ``edges-<threshold>@border``; the terms of the loss; in rooms the same of other
    networks, and the steps of depth that all of them draw.
    """
    metrics = score(network, train, test, settings.protocols, metrics=PRINTED)
    metrics = {key: short(table) if "@" in key else thinned(table) for key, table in metrics.items()}
    networks = {"": network} | (rivals() if settings.data == "rooms" else {})
    for name, one in networks.items():
        at = f"@{name}" if name else ""
        seen = look(one, test, one.input_size)
        prediction = torch.cat(
            [
                resize(answer(one, part).detach(), one.input_size, align_corners=True)
                for part in parts(seen.image)
            ]
        )
        maps = prediction, seen.depth, seen.valid, seen.ids
        for threshold in THRESHOLDS:
            metrics[f"edges-{threshold}{at}"] = short(edge_table(*maps, threshold))
        metrics[f"steps{at}"] = short(step_table(*maps))
        if not name:
            for threshold in THRESHOLDS:
                metrics[f"edges-{threshold}@border"] = short(edge_table(*maps, threshold, border=True))
            metrics["terms"] = terms(*maps)
    return metrics


def rivals() -> dict[str, DepthNetwork]:
    """Networks of the chapters before, with the weights that come with the package."""
    networks = {}
    for name, model in RIVALS.items():
        networks[name] = build(model)
        weights.load(networks[name], weights.pretrained(model))
    return {name: network.eval() for name, network in networks.items()}


def terms(prediction: Depth, target: Depth, valid: Valid, ids: list[str]) -> dict[str, Any]:
    """The three errors of the loss, image by image, without the border."""
    each = list(zip(prediction.split(1), target.split(1), valid.split(1), strict=True))
    values = {
        "depth": torch.stack([hu_depth_loss(*maps) for maps in each]),
        "slopes": torch.stack([hu_gradient_loss(*maps, padding="valid") for maps in each]),
        "normals": torch.stack([hu_normal_loss(*maps, padding="valid") for maps in each]),
    }
    return short(scores_of(values, ids, int(valid.sum())))


def measured_masks(
    predictor: nn.Module, network: DepthNetwork, settings: MaskSettings, train: Any, test: Any, *, seed: int
) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """All tables of a mask predictor, by name, and small numbers that are no tables."""
    assert isinstance(predictor, MaskPredictor)
    network, predictor = network.cpu(), predictor.cpu()
    seen = look(network, test)
    masks = torch.cat([predict_mask(predictor, part) for part in parts(seen.image)])
    metrics = {"masked": errors(network, seen, masks, settings.fill)}
    for name, other in simple(masks).items():
        metrics[f"masked@{name}"] = short(errors(network, seen, other, settings.fill))
    for name, content in {
        "swapped": seen.image.roll(1, dims=0),
        "white": torch.ones_like(seen.image),
    }.items():
        metrics[f"masked@{name}"] = short(errors(network, seen, masks, "mean", content))
    metrics["masked@mean-map"] = short(baseline(network, seen, train))
    few = seen.first(COMPARED)
    opinions = {"learnt": masks[:COMPARED]} | {
        name: torch.cat([importance(name, network, part, seed=seed) for part in parts(few.image)])
        for name in (IMPORTANCE if settings.compared == "all" else CHEAP)
    }
    metrics |= compared(network, few, opinions, settings)
    extra: dict[str, Any] = {"parameters": sum(weight.numel() for weight in predictor.parameters())}
    if settings.data in ("rooms", "roads"):
        metrics |= hu_truth.measured(network, few.image, masks, opinions, test)
    if settings.compared == "all" and settings.data == "rooms":
        metrics["searched"] = searched(network, seen.first(SEARCHED), opinions, settings)
    return metrics, extra


def parts(values: Tensor) -> Iterator[Tensor]:
    """Some at a time."""
    return iter(values.split(BATCH))


def simple(masks: Float[Tensor, "B 1 H W"]) -> dict[str, Float[Tensor, "B 1 H W"]]:
    """Masks to hold a learnt one beside: everything; nothing; its own mean, everywhere the same; its mean
    over all images; and itself, cut at the threshold to 0 and 1.
    """
    return {
        "whole": torch.ones_like(masks),
        "nothing": torch.zeros_like(masks),
        "uniform": masks.mean(dim=(1, 2, 3), keepdim=True).expand_as(masks),
        "average": masks.mean(dim=0, keepdim=True).expand_as(masks),
        "hard": (masks > THRESHOLD).float(),
    }


@torch.no_grad()
def errors(
    network: DepthNetwork,
    seen: Seen,
    masks: Float[Tensor, "B 1 H W"],
    fill: str,
    content: Image | None = None,
) -> dict[str, Any]:
    """Of every image: ``rmse`` and ``abs_rel`` to the truth, ``own_rmse`` and ``own_rel`` to what the network
    says of the whole image, the loss's ``difference`` to it; the ``share`` that is kept, the mask's mean; the
    ``sparseness``, the part of pixels above the threshold; the ``largest`` value. With ``content``, that lies
    under the masks instead of the images.
    """
    found: dict[str, list[Tensor]] = {}
    under = seen.image if content is None else content
    every = zip(*(parts(each) for each in (seen.image, under, seen.depth, seen.valid, masks)), strict=True)
    for image, inside, depth, valid, mask in every:
        whole = answer(network, image)
        left = answer(network, remove(inside, mask, fill, network.mean))
        known = torch.ones_like(valid)
        values = {
            "rmse": _mean((left - depth).square(), valid).sqrt(),
            "abs_rel": _mean((left - depth).abs() / depth.clamp(min=1e-3), valid),
            "own_rmse": _mean((left - whole).square(), known).sqrt(),
            "own_rel": _mean((left - whole).abs() / whole.clamp(min=0.1), known),
            "difference": torch.stack(
                [hu_loss(a[None], b[None], known[:1]) for a, b in zip(left, whole, strict=True)]
            ),
            "share": mask.mean(dim=(1, 2, 3)),
            "sparseness": sparseness(mask),
            "largest": mask.amax(dim=(1, 2, 3)),
        }  # fmt: skip
        for name, each in values.items():
            found.setdefault(name, []).append(each)
    table = {name: torch.cat(each) for name, each in found.items()}
    return scores_of(table, seen.ids, int(seen.valid.sum()))


def _mean(values: Tensor, valid: Tensor) -> Float[Tensor, " B"]:
    """Over the valid pixels of every image; NaN where there are none."""
    return torch.where(valid, values, 0.0).flatten(1).sum(1) / valid.flatten(1).sum(1)


def baseline(network: DepthNetwork, seen: Seen, train: Any) -> dict[str, Any]:
    """Errors of the mean map of the training data, which looks at nothing."""
    sample = train[0]
    height, width = sample["depth"].shape[-2:]
    top, bottom, left, right = network.covers(height, width)
    mean = mean_map_baseline(train, limit=BASELINE_IMAGES)(sample["image"][None])
    mean = resize(mean[..., top:bottom, left:right], (seen.depth.shape[-2], seen.depth.shape[-1]))
    values = {
        "rmse": _mean((mean - seen.depth).square(), seen.valid).sqrt(),
        "abs_rel": _mean((mean - seen.depth).abs() / seen.depth.clamp(min=1e-3), seen.valid),
    }
    return scores_of(values, seen.ids, int(seen.valid.sum()))


def compared(
    network: DepthNetwork, seen: Seen, opinions: Mapping[str, Tensor], settings: MaskSettings
) -> dict[str, dict[str, Any]]:
    """``kept-<fill>@<opinion>``: of every image ``own_10``, the RMSE to the network's own answer where the
    tenth of the pixels that an opinion ranks first is kept, and ``rmse_10``, that to the truth; for all
    :data:`SHARES`; and :func:`swapped`. ``least`` is the learnt opinion upside down.
    """
    fills = ("mean", "black", "blur", "infill") if settings.compared == "all" else ("mean", "infill")
    found = {}
    for fill in fills:
        for name, values in {**opinions, "least": -opinions["learnt"]}.items():
            curves = [
                curve(network, image, order, SHARES, fill=fill, truth=(depth, valid))
                for image, order, depth, valid in zip(
                    *(parts(each) for each in (seen.image, values, seen.depth, seen.valid)), strict=True
                )
            ]
            own = torch.cat([each.own for each in curves], dim=1)
            truth = torch.cat([each.truth for each in curves if each.truth is not None], dim=1)
            table = {f"own_{round(100 * share):02d}": own[k] for k, share in enumerate(SHARES)}
            table |= {f"rmse_{round(100 * share):02d}": truth[k] for k, share in enumerate(SHARES)}
            if fill == "mean":
                table |= swapped(network, seen.image, values)
            found[f"kept-{fill}@{name}"] = short(scores_of(table, seen.ids, int(seen.valid.sum())))
    return found


def swapped(network: DepthNetwork, images: Image, order: Tensor) -> dict[str, Tensor]:
    """``swapped_10``: as ``own_10``, but under the mask lies the next image, so that of the image itself only
    the outline of the mask is left.
    """
    found = {}
    for share in SHARES:
        every = zip(parts(images), parts(keep(order, share)), parts(images.roll(1, dims=0)), strict=True)
        moved = [moved_by(network, image, mask, content=other) for image, mask, other in every]
        found[f"swapped_{round(100 * share):02d}"] = torch.cat(moved)
    return found


def searched(
    network: DepthNetwork, seen: Seen, opinions: Mapping[str, Tensor], settings: MaskSettings
) -> dict[str, Any]:
    """Masks that were searched pixel by pixel beside the learnt ones, per image: the ``objective`` of both;
    ``alone``, the part of the best tenth of the pixels none of whose four neighbours is in it; and with that
    tenth kept, the RMSE to its own answer of this network, ``own``, and of another one, ``other``.
    """
    mask, _ = find_mask(network, seen.image, sparsity=settings.sparsity, fill=settings.fill)
    stranger = frozen(rivals()["laina"])
    values = {}
    for name, order in {
        "searched": mask, **{name: opinions[name][: len(seen)] for name in ("learnt", "edges", "random")}
    }.items():  # fmt: skip
        best = keep(order, 0.1)
        if name in ("searched", "learnt"):
            pairs = zip(seen.image.split(1), order.split(1), strict=True)
            found = [mask_objective(network, *pair, fill=settings.fill) for pair in pairs]
            values[f"objective_{name}"] = torch.stack([each.loss(settings.sparsity) for each in found])
        values[f"alone_{name}"] = alone(best)
        values[f"own_{name}"] = curve(network, seen.image, order, [0.1]).own[0]
        values[f"other_{name}"] = curve(stranger, seen.image, order, [0.1]).own[0]
    return short(scores_of(values, seen.ids, int(seen.valid.sum())))


def alone(mask: Float[Tensor, "B 1 H W"]) -> Float[Tensor, " B"]:
    """Of every image, the part of the kept pixels none of whose four neighbours is kept.

    Example:
        >>> alone(torch.tensor([[1.0, 1.0, 0.0, 1.0]]).view(1, 1, 1, 4)).item()
        0.3333333432674408
    """
    cross = mask.new_tensor([[0, 1, 0], [1, 0, 1], [0, 1, 0]]).view(1, 1, 3, 3)
    neighbours = nn.functional.conv2d(mask, cross, padding=1)
    return (mask * (neighbours == 0)).flatten(1).sum(1) / mask.flatten(1).sum(1)


SHOWN, WIDEST = 4, 96
"""Test images of which the first seed keeps maps, and their most columns: of a wider map of depth every
second pixel is kept, or every third.
"""


@torch.no_grad()
def kept(
    network: nn.Module, inner: DepthNetwork, test: Any, fill: str = "mean"
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Of the first test images: the network's answer, and where there is a mask, the mask in 256 steps and
    the answer to the masked image; and the images' ids.
    """
    samples = [test[index] for index in range(min(SHOWN, len(test)))]
    seen = inner.view(torch.stack([sample["image"] for sample in samples])).cpu()
    inner, ids = inner.cpu().eval(), [sample["id"] for sample in samples]
    maps = {"prediction": answer(inner, seen)}
    if isinstance(network, MaskPredictor):
        mask = predict_mask(network.cpu(), seen)
        maps["masked"] = answer(inner, remove(seen, mask, fill, inner.mean))
    step = -(-maps["prediction"].shape[-1] // WIDEST)
    thin = {name: values[:, 0, ::step, ::step] for name, values in maps.items()}
    arrays = {name: values.numpy().astype(np.float16) for name, values in thin.items()}
    if isinstance(network, MaskPredictor):
        arrays["mask"] = ((255 * mask[:, 0]).round() / 255).numpy().astype(np.float16)
    return arrays, ids
