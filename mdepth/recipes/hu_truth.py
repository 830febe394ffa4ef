"""What only a world with known truth can say of a mask: where it lies, and whether it matters there.

*Where*: how much more a mask keeps in places of a kind than everywhere, its **lift**; 1 is no preference.
*Whether it matters*: pixels are hidden, or taken from the same scene with other surfaces, and the network is
asked again. How far its answer **moved** is the mean of |ln p' - ln p| over its map; the truth did not move.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn import functional

from mdepth.datasets.worlds.places import contact, distance_to, places
from mdepth.image import sobel
from mdepth.masks import answer, keep, remove
from mdepth.models import DepthNetwork
from mdepth.recipes.hu_data import repainted
from mdepth.recipes.parts import scores_of, short
from mdepth.shapes import Bool, Float, Image, Tensor

__all__ = ["BEST", "RINGS", "lift", "matched", "measured"]

Masks = Float[Tensor, "B 1 H W"]
BEST = 0.1
"""Share of the pixels that an opinion ranks first."""
RINGS = (6, 12, 24, 48)
"""Borders in pixels of the rings around a vanishing point."""
PATCH = 16
"""Rows and columns of what is hidden at once."""
FEWEST = 20
"""Pixels that a place must have for a lift."""
BAND = 4
"""Rows above and below the horizon that are hidden with it."""
BATCH = 16


def measured(
    network: DepthNetwork, images: Image, masks: Masks, opinions: Mapping[str, Masks], test: Any
) -> dict[str, dict[str, Any]]:
    """The tables of a mask on a synthetic world, by name.

    Args:
        network: frozen.
        images: the first test images as the network sees them.
        masks: of all test images.
        opinions: on the first ones; "learnt" is the mask.
        test: the world.
    """
    truth = seen_truth(network, test, len(masks))
    few = {key: values[: len(images)] for key, values in truth.items()}
    spots = places(truth["image"], truth["depth"], truth["normals"], truth["instances"])
    spots["contact"] = contact(truth["depth"], truth["normals"], truth["instances"])
    ids = [test[index]["id"] for index in range(len(masks))]
    found = {"places": table(soft_lifts(masks, truth, spots), ids)}
    for name, order in opinions.items():
        best = keep(order, BEST)
        lifts = {spot: lift(best, where[: len(images)]) for spot, where in spots.items()}
        found[f"places@{name}"] = table(lifts, ids[: len(images)])
    found["vanishing"] = table(vanishing(masks, truth["vanishing_point"]), ids)
    found["hidden"] = table(hidden(network, images, few, spots["contact"][: len(images)]), ids[: len(images)])
    change = hidden_patches(network, images)
    for name, order in opinions.items():
        values = {"correlation": rank_correlation(patch_means(order), change)}
        found[f"patches@{name}"] = table(values, ids[: len(images)])
    twins = seen_truth(network, repainted(test), len(images))["image"]
    for name, order in {**opinions, "least": -opinions["learnt"]}.items():
        swapped = torch.where(keep(order, BEST) > 0, twins, images)
        found[f"repainted@{name}"] = table({"moved": moved(network, images, swapped)}, ids[: len(images)])
    found["repainted@whole"] = table({"moved": moved(network, images, twins)}, ids[: len(images)])
    return found


def table(values: dict[str, Tensor], ids: list[str]) -> dict[str, Any]:
    """Numbers per image in the form of a protocol's scores, whose means are kept: a record is small."""
    return short(scores_of(values, ids, 0))


def seen_truth(network: DepthNetwork, test: Any, count: int) -> dict[str, Tensor]:
    """The first test images with all that is known of them, cut to what the network sees."""
    batch = test.batch(range(count))
    (row, column), (rows, columns) = network.crop_offset(), network.input_size
    window = (..., slice(row, row + rows), slice(column, column + columns))
    maps = {key: batch[key][window] for key in ("image", "depth", "normals", "instances") if key in batch}
    point = batch["vanishing_point"] - torch.tensor([float(column), float(row)])
    return {**maps, "vanishing_point": point}


def lift(mask: Masks, where: Bool[Tensor, "B 1 H W"]) -> Float[Tensor, " B"]:
    r"""Mean of a mask where something is, over its mean everywhere; NaN for fewer than 20 pixels.

    Example:
        >>> mask = torch.zeros(1, 1, 10, 10)
        >>> mask[..., :5] = 1
        >>> lift(mask, mask > 0).item()
        2.0
    """
    there = where.flatten(1).float()
    count = there.sum(1)
    inside = (mask.flatten(1) * there).sum(1) / count.clamp(min=1)
    found = inside / mask.flatten(1).mean(1).clamp(min=1e-12)
    return torch.where(count >= FEWEST, found, torch.nan)


def soft_lifts(masks: Masks, truth: Mapping[str, Tensor], spots: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Lifts of the mask itself; ``matched``, of edges of geometry that are as strong in the image as painted
    ones are; and ``edges``, the rank correlation of the mask with the strength of edges.
    """
    strength = torch.hypot(*sobel(truth["image"].mean(dim=1, keepdim=True), padding="replicate"))
    lifts = {name: lift(masks, where) for name, where in spots.items()}
    lifts["matched"] = matched(masks, strength, spots["geometry"], spots["paint"])
    lifts["edges"] = rank_correlation(masks.flatten(1), strength.flatten(1))
    return lifts


def matched(
    mask: Masks, strength: Masks, one: Bool[Tensor, "B 1 H W"], other: Bool[Tensor, "B 1 H W"], bins: int = 12
) -> Float[Tensor, " B"]:
    r"""The lift that a mask would have at ``one`` if its pixels were as strong in the image as those at
    ``other``: the pixels of every image are sorted into bins of strength, b, equally full at ``other``, and

    .. math:: \sum_b w_b\, \bar M_{one, b} \,/\, \bar M, \qquad w_b \propto n_{other, b},

    over the bins in which both have pixels. NaN where fewer than 20 pixels of either are in common bins.

    Example:
        >>> mask = torch.rand(1, 1, 20, 20, generator=torch.Generator().manual_seed(0))
        >>> everywhere = torch.ones(1, 1, 20, 20, dtype=torch.bool)
        >>> abs(matched(mask, mask, everywhere, everywhere) - 1).item() < 1e-5
        True
    """
    found = []
    for m, s, a, b in zip(mask, strength, one, other, strict=True):
        m, s, a, b = (values.flatten() for values in (m, s, a, b))
        if min(a.sum(), b.sum()) < FEWEST:
            found.append(m.new_tensor(torch.nan))
            continue
        borders = torch.quantile(s[b], torch.linspace(0, 1, bins + 1)[1:-1])
        place = torch.bucketize(s, borders)
        counts = [torch.bincount(place[where], minlength=bins).float() for where in (a, b)]
        sums = torch.zeros(bins).index_add_(0, place[a], m[a])
        common = (counts[0] > 0) & (counts[1] > 0)
        weight = counts[1] * common
        mean = (sums / counts[0].clamp(min=1) * weight).sum() / weight.sum().clamp(min=1)
        enough = min((counts[0] * common).sum(), weight.sum()) >= FEWEST
        found.append(mean / m.mean().clamp(min=1e-12) if enough else m.new_tensor(torch.nan))
    return torch.stack(found)


def vanishing(masks: Masks, points: Float[Tensor, "B 2"]) -> dict[str, Tensor]:
    """Lifts in rings around the vanishing point of an image, ``ring_0`` the innermost; ``other_0``, ..., the
    same places in a mask of **another** image, which says how much is owed to their lying where they do; and
    ``spread``, how far an image's point is from the mean one. NaN where the point is outside.
    """
    height, width = masks.shape[-2:]
    u, v = points.unbind(1)
    inside = (u >= 0) & (u <= width - 1) & (v >= 0) & (v <= height - 1)
    distance = distance_to(points, height, width)
    others = masks.roll(1, dims=0)
    values: dict[str, Tensor] = {}
    for k, (low, high) in enumerate(zip((0, *RINGS), RINGS, strict=False)):
        ring = (distance >= low) & (distance < high)
        for name, mask in (("ring", masks), ("other", others)):
            values[f"{name}_{k}"] = torch.where(inside, lift(mask, ring), torch.nan)
    mean = points[inside].mean(dim=0) if inside.any() else points.mean(dim=0)
    values["spread"] = torch.where(inside, (points - mean).norm(dim=1), torch.nan)
    return values


@torch.no_grad()
def moved(network: DepthNetwork, images: Image, changed: Image) -> Float[Tensor, " B"]:
    """How far the answer moves from some images to others: the mean of \\|ln p' - ln p\\| over the map."""
    found = []
    for before, after in zip(images.split(BATCH), changed.split(BATCH), strict=True):
        one, two = (answer(network, each).clamp(min=0.1).log() for each in (before, after))
        found.append((one - two).abs().mean(dim=(1, 2, 3)))
    return torch.cat(found)


def hidden(
    network: DepthNetwork, images: Image, truth: Mapping[str, Tensor], touching: Bool[Tensor, "B 1 H W"]
) -> dict[str, Tensor]:
    """How far the answer moves when something is hidden under colours spread from around it: ``contact``,
    where things stand on something; ``beside``, the same shape moved by half of the image's width;
    ``horizon``, the rows of the vanishing point; ``above`` and ``below``, as many rows four bands away.
    """
    height = images.shape[-2]
    strip = functional.max_pool2d(touching.float(), 3, stride=1, padding=1)  # and the pixels around it
    shapes: dict[str, Tensor] = {"contact": strip, "beside": strip.roll(images.shape[-1] // 2, dims=-1)}
    rows = torch.arange(height).view(1, 1, -1, 1)
    level = truth["vanishing_point"][:, 1].round().view(-1, 1, 1, 1)
    for name, shift in (("horizon", 0), ("above", -4 * BAND), ("below", 4 * BAND)):
        shapes[name] = ((rows - level - shift).abs() <= BAND).float().expand_as(strip)
    return {
        name: moved(network, images, remove(images, 1 - shape, "infill", network.mean))
        for name, shape in shapes.items()
    }


def hidden_patches(network: DepthNetwork, images: Image) -> Float[Tensor, "B P"]:
    """How far the answer moves when one patch of an image is hidden under colours spread from around it."""
    height, width = images.shape[-2:]
    found = []
    for top in range(0, height - PATCH + 1, PATCH):
        for left in range(0, width - PATCH + 1, PATCH):
            mask = torch.ones(len(images), 1, height, width)
            mask[..., top : top + PATCH, left : left + PATCH] = 0
            found.append(moved(network, images, remove(images, mask, "infill", network.mean)))
    return torch.stack(found, dim=1)


def patch_means(order: Masks) -> Float[Tensor, "B P"]:
    """Of every patch, the part of it that is among the best tenth of an opinion."""
    return functional.avg_pool2d(keep(order, BEST), PATCH).flatten(1)


def rank_correlation(one: Float[Tensor, "B P"], other: Float[Tensor, "B P"]) -> Float[Tensor, " B"]:
    """Spearman's, of every row; ties share their mean rank; NaN where all are alike.

    Example:
        >>> rank_correlation(torch.tensor([[1.0, 2.0, 9.0]]), torch.tensor([[0.1, 0.2, 0.3]])).item()
        1.0
    """
    from scipy.stats import rankdata

    ranks: Callable[[Tensor], Tensor] = lambda x: torch.from_numpy(rankdata(x.numpy(), axis=1))  # noqa: E731
    a, b = (ranks(values) - (values.shape[1] + 1) / 2 for values in (one, other))
    return ((a * b).sum(1) / (a.square().sum(1) * b.square().sum(1)).sqrt()).float()
