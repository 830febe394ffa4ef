r"""Which cues a network goes by: the same scenes with one cue taken away, or made to say something else.

A finished network cannot be asked what it looks at, but it can be shown pictures that differ in one thing.
There are two kinds. For the *altered* ones a switch of the world is turned (:data:`ALTERED`): where geometry
stays (surfaces, light) there is no reason for the answer to change, and where it does, one of the two is
wrong; where it changes, the truth changes with it. The *tampered* ones are cut, enlarged, veiled or shuffled,
and the answers for the same content are compared (:func:`tampered`).

The mean map, which looks at nothing, belongs beside every network: it follows the position in the image to
about 100 % and does not notice any change of surfaces.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from mdepth.datasets.worlds import World
from mdepth.evaluate.baselines import Samples, mean_map_baseline
from mdepth.evaluate.protocols import PROTOCOLS
from mdepth.evaluate.scoring import Predict
from mdepth.image import resize
from mdepth.metrics import per_image
from mdepth.shapes import Depth, Float, Image, Tensor, Valid

__all__ = ["ALTERED", "SAME_TRUTH", "altered", "cue_errors", "tampered"]

SURFACES_AND_LIGHT: dict[str, dict[str, Any]] = {
    "no textures": {"textures": False},
    "surfaces swapped": {"looks": "swapped"},
    "any surfaces": {"looks": "any"},
    "textures as fine near as far": {"texture_gradient": False},
    "no shading": {"shading": False},
    "no shadows": {"shadows": False},
    "no haze": {"haze": False},
}
GEOMETRY: dict[str, dict[str, Any]] = {
    "no parallel lines": {"parallel_lines": False},
    "sizes at random": {"object_size_jitter": 3.0},
    "camera at random": {"camera_height_jitter": 3.0, "camera_pitch_jitter": 3.0},
}
ALTERED: dict[str, dict[str, Any]] = {"natural": {}} | SURFACES_AND_LIGHT | GEOMETRY
"""What is altered -> the switches of :class:`~mdepth.datasets.worlds.World` that do it."""
SAME_TRUTH = tuple(SURFACES_AND_LIGHT)
"""Of these the depth of every pixel stays what it was."""
KEYS = ("image", "depth", "valid")


def altered(world: World) -> dict[str, World]:
    """The world with every switch of :data:`ALTERED` turned that acts on its kind: rooms have no haze.

    Example:
        >>> altered(World("rooms", scenes=3))["no shadows"].shadows
        False
    """
    return {
        name: replace(world, **switches)
        for name, switches in ALTERED.items()
        if not ("haze" in switches and world.kind == "rooms")
    }


@torch.no_grad()
def cue_errors(predict: Predict, sets: Mapping[str, Samples], *, batch_size: int = 16) -> dict[str, Any]:
    r"""Errors and moves of a network on the same scenes, altered in one thing each.

    Args:
        predict: from an image (B, 3, H, W) to depth in metres.
        sets: what is altered, of :data:`ALTERED` -> data set, each with the same scenes in the same order.
            "natural" is among them.

    Returns:
        ``abs_rel``: the relative error per image, (N,) each; ``moved``, for those of :data:`SAME_TRUTH`: per
        image the mean of :math:`|\ln p' - \ln p|` over valid pixels, p being the natural and p' the altered
        answer. It is 0 where the answer stays the same.

    Raises:
        ValueError: the sets are not equally long, or none is natural.

    Example:
        >>> depth = torch.full((1, 6, 8), 2.0)
        >>> sample = {"image": torch.zeros(3, 6, 8), "depth": depth, "valid": depth > 0}
        >>> bright = sample | {"image": torch.ones(3, 6, 8)}
        >>> sets = {"natural": [sample], "no textures": [bright]}
        >>> cue_errors(lambda image: 2 + 2 * image[:, :1], sets)["abs_rel"]["no textures"]
        tensor([1.], dtype=torch.float64)
    """
    if "natural" not in sets or len({len(each) for each in sets.values()}) != 1:
        lengths = {name: len(each) for name, each in sets.items()}
        raise ValueError(f'the sets must be equally long and "natural" among them, got {lengths}')
    errors: dict[str, list[Tensor]] = {name: [] for name in sets}
    moves: dict[str, list[Tensor]] = {name: [] for name in sets if name in SAME_TRUTH}
    for start in range(0, len(sets["natural"]), batch_size):
        indices = range(start, min(start + batch_size, len(sets["natural"])))
        before = None
        for name in ["natural", *(name for name in sets if name != "natural")]:
            items = [sets[name][index] for index in indices]
            image, depth, valid = (torch.stack([item[key] for item in items]) for key in KEYS)
            answer = _answer(predict, image)
            errors[name].append(per_image("abs_rel", answer, depth, valid))
            if before is None:
                before = answer
            elif name in moves:
                moves[name].append(math.log(10) * per_image("log10", answer, before, valid))
    return {
        "abs_rel": {name: torch.cat(values) for name, values in errors.items()},
        "moved": {name: torch.cat(values) for name, values in moves.items()},
    }


def _answer(predict: Predict, image: Image) -> Depth:
    """Depth at the size of the image, clamped as under the protocol of the worlds."""
    height, width = image.shape[-2:]
    lowest, highest = PROTOCOLS["worlds"].clamp or (0, math.inf)
    return resize(predict(image), (height, width)).clamp(lowest, highest)


def _mean(values: Float[Tensor, "B 1 H W"], valid: Valid) -> Float[Tensor, " B"]:
    """Over the valid pixels of every image; NaN where there are none."""
    known = valid.flatten(1)
    return torch.where(known, values.flatten(1), 0.0).double().sum(1) / known.sum(1)


ZOOM = 1.25
"""How much larger content becomes in the cut-outs of :func:`tampered`."""
VEIL, FOG = 0.5, 0.7
"""Share of a veil in a picture, and its brightness."""
PATCH = 16
"""Rows and columns of a patch in a shuffled picture, in pixels: 6 x 8 patches in rooms, 4 x 12 on roads."""


@torch.no_grad()
def tampered(
    predict: Predict, image: Image, depth: Depth, valid: Valid, *, batch_size: int = 16
) -> dict[str, Float[Tensor, " B"]]:
    r"""What a network answers to pictures that were cut, enlarged, veiled or shuffled, per image.

    ``position``: two cut-outs of four fifths of height and width, one at the top and one at the bottom, each
    enlarged to the size of the picture; the same content lies a quarter of the picture higher in the second.
    With :math:`\Delta` the change of the log answer for that content and :math:`\Delta_m` the change of the
    images' mean log depth between the two positions,

    .. math:: \frac{\sum \Delta\, \Delta_m}{\sum \Delta_m^2}:

    1 for the mean map of these images, s for its s-th power, 0 for a network that does not mind the position.
    It depends on all images that are given, and is NaN where their mean map is the same in all rows. (The
    cuts move the principal point; the truth of the content is the same.)

    ``size``: the middle of the picture, enlarged about 1.25 times (cut at whole pixels); mean of
    :math:`(\ln p_{\mathrm{whole}} - \ln p_{\mathrm{enlarged}}) / \ln 1.25`: 1 for a network to which an
    object 1.25 times as large is 1.25 times as near. With a camera that is known 1 is right. A map that knows
    only the position does not read 0, since what is enlarged moves outwards, but the difference of log depth
    between its middle and the whole of it: a third in rooms. Compare with it.

    ``veil``: half picture, half a grey of 0.7, as haze would look; mean of
    :math:`\ln p_{\mathrm{veiled}} - \ln p`, positive where the answer becomes farther.

    ``patches``: relative error after patches of 16 pixels have changed places at random and the answer's
    patches have been put back: what surfaces tell without any layout. All pictures are shuffled in one and
    the same order.

    ``position`` and ``size`` look at all pixels, known or not; the others at the valid ones.

    Args:
        predict: from an image to depth in metres.
        image, depth, valid: test images with their truth.

    Returns:
        The four, (B,) each.

    Raises:
        ValueError: height or width cannot be divided into patches, or nothing is valid.

    Example:
        >>> depth = torch.linspace(5, 1, 96).reshape(1, 1, 96, 1).expand(1, 1, 96, 128)
        >>> found = tampered(lambda image: depth, torch.rand(1, 3, 96, 128), depth, depth > 0)
        >>> round(found["position"].item(), 4), found["veil"].item()
        (1.0, 0.0)
    """
    height, width = image.shape[-2:]
    if height % PATCH or width % PATCH:
        raise ValueError(f"{height} x {width} cannot be divided into patches of {PATCH} pixels")
    seen = [{"depth": one, "valid": known} for one, known in zip(depth, valid, strict=True)]
    expected = _raised(mean_map_baseline(seen), image[:1])
    images, depths, valids = (part.split(batch_size) for part in (image, depth, valid))
    parts = [_tampered(predict, *each, expected) for each in zip(images, depths, valids, strict=True)]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _tampered(
    predict: Predict, image: Image, depth: Depth, valid: Valid, expected: Float[Tensor, "1 1 h W"]
) -> dict[str, Float[Tensor, " B"]]:
    """The same for a few images, with the change that is expected of one who goes by position."""
    height, width = image.shape[-2:]
    whole = _answer(predict, image)
    change = _raised(predict, image)
    left, top = round(width * (1 - 1 / ZOOM) / 2), round(height * (1 - 1 / ZOOM) / 2)
    middle = (slice(None), slice(None), slice(top, height - top), slice(left, width - left))
    enlarged = _answer(predict, resize(image[middle], (height, width)))
    nearer = resize(whole[middle], (height, width)).log() - enlarged.log()
    veiled = _answer(predict, (1 - VEIL) * image + VEIL * FOG)
    count = height // PATCH * (width // PATCH)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0))
    shuffled = _answer(predict, _shuffle(image, order))
    return {
        "position": ((change * expected).flatten(1).sum(1) / expected.square().sum()).double(),
        "size": nearer.flatten(1).mean(1).double() / math.log(ZOOM),
        "veil": _mean((veiled / whole).log(), valid),
        "patches": per_image("abs_rel", _shuffle(shuffled, order.argsort()), depth, valid),
    }


def _raised(predict: Predict, image: Image) -> Float[Tensor, "B 1 h W"]:
    """The change of the log answer for the same content, between a cut-out at the top of the picture and one
    at its bottom.
    """
    height, width = image.shape[-2:]
    rows, side = round(height / ZOOM), round(width * (1 - 1 / ZOOM) / 2)
    columns = slice(side, width - side)
    size = (height, width)
    upper = _answer(predict, resize(image[..., :rows, columns], size))
    lower = _answer(predict, resize(image[..., height - rows :, columns], size))
    shift = round((height - rows) * height / rows)
    return (lower[..., : height - shift, :] / upper[..., shift:, :]).log()


def _shuffle(maps: Float[Tensor, "B C H W"], order: Tensor) -> Float[Tensor, "B C H W"]:
    """Patch number ``order[k]`` at place k."""
    rows, columns = (side // PATCH for side in maps.shape[-2:])
    patches = maps.unflatten(3, (columns, PATCH)).unflatten(2, (rows, PATCH)).permute(2, 4, 0, 1, 3, 5)
    moved = patches.flatten(0, 1)[order].unflatten(0, (rows, columns))
    return moved.permute(2, 3, 0, 4, 1, 5).flatten(4, 5).flatten(2, 3)
