"""Random mirror images and colours for batches of sequences, by Monodepth2's rule: one draw for every item.

A self-supervised loss compares colours between the frames of an item. So the frames keep their own colours
for the loss, and what the networks are fed gets keys of its own: ``augmented`` beside ``image``,
``augmented_right`` beside ``image_right``, ``augmented_neighbours`` beside ``neighbours``. The colours of all
frames of an item change alike: another draw for every frame would make the same surface look different in
each.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from mdepth.datasets.color import JITTERS
from mdepth.datasets.transforms import hflip
from mdepth.shapes import Bool, Float, Tensor

__all__ = ["AUGMENTED", "SequenceAugmentation", "augment_sequences", "flip_chosen", "turn_hue"]

AUGMENTED = {
    "image": "augmented",
    "image_right": "augmented_right",
    "neighbours": "augmented_neighbours",
}
STEPS = ("brightness", "contrast", "saturation", "hue")


@dataclass(frozen=True)
class SequenceAugmentation:
    """What ``augment_sequences`` draws for every item; the defaults are Monodepth2's.

    ``flip`` and ``jitter`` are the probabilities of a mirror image and of other colours; ``brightness``,
    ``contrast`` and ``saturation`` (low, high) are factors, ``hue`` (low, high) a part of a full turn of the
    colour circle.

    Raises:
        ValueError: something that is no probability, or a range that is none.

    Source: Godard et al., Digging Into Self-Supervised Monocular Depth Estimation, ICCV 2019, section 4.
    """

    flip: float = 0.5
    jitter: float = 0.5
    brightness: tuple[float, float] = (0.8, 1.2)
    contrast: tuple[float, float] = (0.8, 1.2)
    saturation: tuple[float, float] = (0.8, 1.2)
    hue: tuple[float, float] = (-0.1, 0.1)

    def __post_init__(self) -> None:
        for name in ("flip", "jitter"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a probability, got {getattr(self, name)}")
        for name in STEPS:
            low, high = getattr(self, name)
            if low > high or (name != "hue" and low < 0):
                raise ValueError(f"{name} must be a range (low, high), got {getattr(self, name)}")


def augment_sequences(
    batch: Mapping[str, Any], settings: SequenceAugmentation, generator: torch.Generator
) -> dict[str, Any]:
    """A batch of sequences with some items mirrored, and with the copies in other colours that a network is
    fed.

    A mirrored item is mirrored whole, its poses too (``transforms.hflip``). Of an item whose colours stay the
    copies are equal to the originals. Every item takes ten numbers of the generator, whatever is decided, so
    that its draw depends on its place in the batch alone.

    Args:
        batch: what ``WithNeighbours.batch`` or ``collate`` gives; neighbours and right image may be missing.
        settings: what to draw.
        generator: on any device.

    Example:
        >>> batch = {"image": torch.rand(2, 3, 4, 6), "neighbours": torch.rand(2, 2, 3, 4, 6)}
        >>> changed = augment_sequences(batch, SequenceAugmentation(), torch.Generator().manual_seed(0))
        >>> sorted(changed)
        ['augmented', 'augmented_neighbours', 'image', 'neighbours']
    """
    device = batch["image"].device
    draws = torch.rand(len(batch["image"]), 10, generator=generator, device=generator.device).to(device)
    low, high = draws.new_tensor([getattr(settings, name) for name in STEPS]).T
    factors, order = low + (high - low) * draws[:, 2:6], draws[:, 6:].argsort(dim=1)
    result = flip_chosen(batch, draws[:, 0] < settings.flip)
    result |= {name: result[key].clone() for key, name in AUGMENTED.items() if key in result}
    for item in torch.nonzero(draws[:, 1] < settings.jitter).flatten().tolist():
        steps = {STEPS[step]: factors[item, step] for step in order[item].tolist()}
        _recolor({name: result[name][item] for name in AUGMENTED.values() if name in result}, steps)
    return result


def _recolor(images: Mapping[str, Float[Tensor, "*N 3 H W"]], steps: Mapping[str, Tensor]) -> None:
    """Write the images in other colours over them: all frames at once, by the steps in their order, kept to
    [0, 1] after each."""
    views = [image.reshape(-1, *image.shape[-3:]) for image in images.values()]
    frames = torch.cat(views).contiguous()
    for name, factor in steps.items():
        change = turn_hue if name == "hue" else JITTERS[name]
        frames = change(frames, factor).clamp_(0, 1)
    for image, changed in zip(images.values(), frames.split([len(view) for view in views]), strict=True):
        image.copy_(changed.reshape(image.shape))


def turn_hue(image: Float[Tensor, "*B 3 H W"], shift: Tensor | float) -> Float[Tensor, "*B 3 H W"]:
    r"""Turn the colour circle by ``shift`` of a full turn: one number, or one for each of the images.

    With m the least of a pixel's colours, m + C the largest, and h its hue in sixths of a turn after turning,

    .. math:: m + C s, \quad s = [\,|h - 3| - 1, \; 2 - |h - 2|, \; 2 - |h - 4|\,] \text{ kept to } [0, 1]

    are red, green and blue; m and C stay what they are. These are the colours of torchvision's ``adjust_hue``
    as well.

    Example:
        >>> red = torch.tensor([1.0, 0.0, 0.0]).reshape(3, 1, 1)
        >>> turn_hue(red, 1 / 3).flatten().round(decimals=3)
        tensor([0., 1., 0.])
    """
    red, green, blue = image.unbind(dim=-3)
    largest, least = red.maximum(green).maximum(blue), red.minimum(green).minimum(blue)
    chroma = largest - least
    scale = 1 / chroma.clamp(min=1e-12)  # a grey pixel has differences of 0 above it
    other = torch.where(largest == green, (blue - red) * scale + 2, (red - green) * scale + 4)
    hue = torch.where(largest == red, (green - blue) * scale, other)
    turns = torch.as_tensor(shift, dtype=image.dtype, device=image.device)[..., None, None]
    hue = torch.remainder(hue + 6 * turns, 6)
    shares = torch.stack(((hue - 3).abs() - 1, 2 - (hue - 2).abs(), 2 - (hue - 4).abs()), dim=-3)
    return least.unsqueeze(-3) + chroma.unsqueeze(-3) * shares.clamp_(0, 1)


def flip_chosen(batch: Mapping[str, Any], chosen: Bool[Tensor, " B"]) -> dict[str, Any]:
    """A batch in which the chosen items are mirrored (``transforms.hflip``); a ``disparity`` is left out, as
    there.

    Example:
        >>> batch = {"image": torch.arange(4.0).reshape(2, 1, 1, 2), "id": ["a", "b"]}
        >>> flip_chosen(batch, torch.tensor([True, False]))["image"].flatten()
        tensor([1., 0., 2., 3.])
    """
    tensors = {key: value for key, value in batch.items() if isinstance(value, Tensor)}
    mirrored = hflip({key: value[chosen] for key, value in tensors.items()})
    result = {key: value for key, value in batch.items() if key in mirrored or key not in tensors}
    for key, value in mirrored.items():
        result[key] = tensors[key].clone()
        result[key][chosen] = value
    return result
