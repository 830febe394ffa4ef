r"""The depth network of Monodepth2: a ResNet, and a decoder that answers at four sizes.

Godard, Mac Aodha, Firman and Brostow, "Digging into self-supervised monocular depth estimation" (ICCV 2019).
The encoder halves the sides five times. The decoder doubles them again, five levels from the coarsest, 4, to
that of the image, 0; each level is

    3x3, ELU  ->  twice as large (nearest)  ->  joint with the encoder's map of that size  ->  3x3, ELU

with 256, 128, 64, 32 and 16 channels and no joint at level 0. Levels 3, 2, 1 and 0 also answer, by a 3x3
convolution and a sigmoid: one map of the image's size and three smaller ones. Every 3x3 is padded by
**reflection**, and there is no norm in the decoder. Training uses all four answers, as
:mod:`mdepth.reprojection` says, ``forward`` and ``predict`` the largest.

What a sigmoid stands for is an inverse depth between those of 100 and 0.1 units. From video a unit is nothing
known, so that the depth has a factor that no image tells. Networks that learnt from a stereo pair are metric:
the released ones were told of a baseline of 0.1 units where KITTI's is 0.54 m, so that a unit is 5.4 m. Here
that is the argument ``unit``.

The network that guesses how the camera moved, needed for training only, is in
:mod:`mdepth.models.monodepth2_motion`; the names of the released weights are in
``recipes.monodepth2_weights``.

Where we differ: images of any size go in (the released code wants multiples of 32), since each level is
enlarged to the size of the map that it joins; and there is no classifier behind the encoder, whose 513
thousand weights the released files carry unused.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import torch
from torch import nn

from mdepth.geometry import sigmoid_to_inverse_depth
from mdepth.image import resize
from mdepth.models.contract import DepthNetwork, Native
from mdepth.models.encoders import ResNet, resnet18, resnet34, resnet50
from mdepth.shapes import Depth, Float, Image, Tensor

__all__ = ["KITTI_UNIT", "RESNET18", "RESNETS", "ROADS", "WIDTHS", "DepthDecoder", "Monodepth2"]

WIDTHS = (16, 32, 64, 128, 256)
"""Channels of the decoder's levels, from the image's size to a sixteenth of it."""
SCALES = (0, 1, 2, 3)
"""Levels that answer: of the image's size, a half, a quarter and an eighth of it."""
MEAN, STD = 0.45, 0.225
"""Of all three channels: the image is brought to (x - 0.45) / 0.225."""
KITTI_UNIT = 5.4
"""Metres in a unit of a network that learnt from KITTI's stereo pairs: 0.54 m for a baseline of 0.1."""
RESNET18 = partial(resnet18, form="torchvision")
RESNETS: dict[int, Callable[..., ResNet]] = {
    18: RESNET18,
    34: partial(resnet34, form="torchvision"),
    50: partial(resnet50, form="torchvision"),
}
"""Encoders by their number of layers, in the form that ImageNet weights are of."""


class DepthDecoder(nn.Module):
    r"""Feature maps to maps between 0 and 1 at several sizes, the largest first.

    Args:
        channels: of the encoder's five maps.
        widths: of the levels 0 to 4.
        scales: levels that answer.
        outputs: channels of each answer: one for depth, one for every source image in the mask of Zhou et al.

    Source: Monodepth2, supplement, Table 5; padding and the levels' order from the released weights' names.

    Example:
        >>> decoder = DepthDecoder((8, 8, 16, 32, 64), (4, 4, 8, 8, 16))
        >>> maps = [torch.zeros(1, c, 64 // s, 96 // s) for c, s in zip(decoder.channels, (2, 4, 8, 16, 32))]
        >>> [tuple(answer.shape[2:]) for answer in decoder(maps, (64, 96))]
        [(64, 96), (32, 48), (16, 24), (8, 12)]
    """

    def __init__(
        self,
        channels: Sequence[int],
        widths: Sequence[int] = WIDTHS,
        *,
        scales: Sequence[int] = SCALES,
        outputs: int = 1,
    ) -> None:
        super().__init__()
        self.channels = tuple(channels)
        inputs = (*widths[1:], channels[-1])  # of the levels 0 to 4
        skips = (0, *channels[:-1])
        self.before = nn.ModuleList(_elu(*pair) for pair in zip(inputs, widths, strict=True))
        self.behind = nn.ModuleList(
            _elu(width + skip, width) for width, skip in zip(widths, skips, strict=True)
        )
        self.answers = nn.ModuleDict({str(scale): _reflecting(widths[scale], outputs) for scale in scales})

    def forward(self, features: Sequence[Tensor], size: tuple[int, int]) -> list[Tensor]:
        """Feature maps of an image of ``size`` to one map for every answering level, the largest first."""
        x, found = features[-1], []
        skips = [None, *features[:-1]]
        for level in reversed(range(len(skips))):
            skip = skips[level]
            x = self.before[level](x)  # B 256 6 20, ..., B 16 96 320
            x = resize(x, size if skip is None else (skip.shape[-2], skip.shape[-1]), mode="nearest")
            x = self.behind[level](x if skip is None else torch.cat([x, skip], dim=1))
            if str(level) in self.answers:
                found.append(torch.sigmoid(self.answers[str(level)](x)))  # B 1 24 80, ..., B 1 192 640
        return found[::-1]


def _elu(inputs: int, outputs: int) -> nn.Sequential:
    """3x3 and ELU, the size kept."""
    return nn.Sequential(_reflecting(inputs, outputs), nn.ELU())


def _reflecting(inputs: int, outputs: int) -> nn.Conv2d:
    """A 3x3 convolution whose margin is the image mirrored at its outermost pixels."""
    return nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="reflect")


class Monodepth2(DepthNetwork):
    r"""ResNet and decoder; ``forward`` gives the sigmoid at the image's size, ``pyramid`` all four.

    Depth is 1 / (1 / far + (1 / near - 1 / far) sigmoid) units.

    Args:
        input_size: (height, width) that an image is brought to; ``forward`` takes any size from 33 x 33 on.
        encoder: makes the encoder.
        widths: channels of the decoder's levels.
        unit: metres in a unit of depth, for a network that learnt from stereo pairs or from depth; ``None``
            for one that learnt from video, whose depth is known up to a factor.
        units: the nearest and the farthest depth, in units.
        start: units at which the answers begin, ``None`` for a sigmoid of a half, 0.2 units, as released. So
            near, a point moves by the width of the image where it should move by a few pixels, and a small
            network may never find out.

    Raises:
        ValueError: ``unit`` is not positive, or ``start`` lies outside ``units``.

    Source: Monodepth2, section 3.1 and supplement, section B; 14,329,236 parameters with ResNet-18.

    Example:
        >>> network = Monodepth2((64, 96), partial(RESNET18, width=8), (4, 4, 8, 8, 16))
        >>> network(torch.zeros(1, 3, 64, 96)).shape, network.to_depth(torch.tensor([0.0, 1.0])).tolist()
        (torch.Size([1, 1, 64, 96]), [100.0, 0.10000000149011612])
    """

    native: ClassVar[Native] = "sigmoid"

    def __init__(
        self,
        input_size: tuple[int, int] = (192, 640),
        encoder: Callable[..., ResNet] = RESNET18,
        widths: Sequence[int] = WIDTHS,
        *,
        unit: float | None = None,
        units: tuple[float, float] = (0.1, 100.0),
        start: float | None = None,
    ) -> None:
        super().__init__(
            image_size=input_size, input_size=input_size, covered=(0, input_size[0], 0, input_size[1])
        )
        if unit is not None and not unit > 0:
            raise ValueError(f"unit must be positive metres, or None where it is not known, got {unit}")
        self.mean, self.std = (MEAN,) * 3, (STD,) * 3
        self.metric, self.unit, self.units = unit is not None, unit or 1.0, units
        self.depth_range = (self.unit * units[0], self.unit * units[1])
        self.make_encoder, self.widths = encoder, tuple(widths)
        self.encoder = encoder()
        self.decoder = DepthDecoder(self.encoder.channels, widths)
        if start is not None:
            self._start_at(start)

    def _start_at(self, units: float) -> None:
        """Let all answers begin near one depth: weights a tenth of their size, and its logit as bias."""
        near, far = self.units
        share = (1 / units - 1 / far) / (1 / near - 1 / far)
        if not 0 < share < 1:
            raise ValueError(f"start must lie between {near:g} and {far:g} units, got {units:g}")
        for answer in self.decoder.answers.values():
            with torch.no_grad():
                answer.get_parameter("weight").mul_(0.1)
                answer.get_parameter("bias").fill_(math.log(share / (1 - share)))

    def forward(self, x: Image) -> Float[Tensor, "B 1 H W"]:
        """Normalised image to a sigmoid at the size of the image."""
        return self.pyramid(x)[0]

    def pyramid(self, x: Image) -> list[Tensor]:
        """Normalised image to sigmoids of the sides times 1, 1/2, 1/4 and 1/8."""
        return self.decoder(self.encoder(x), (x.shape[-2], x.shape[-1]))

    def to_inverse_depth(self, native: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
        """Sigmoid to inverse depth, per unit."""
        return sigmoid_to_inverse_depth(native, *self.units)

    def to_depth(self, native: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
        """Sigmoid to depth: metres where ``metric``, units where not."""
        return self.unit / self.to_inverse_depth(native)

    def _place(self, depth: Float[Tensor, "B 1 h w"], height: int, width: int) -> Depth:
        """As the released evaluation does, inverse depth is what is brought to the image's size."""
        return 1 / super()._place(1 / depth, height, width)


ROADS: dict[str, Any] = {
    "input_size": (64, 192), "encoder": partial(RESNET18, width=24), "widths": (8, 16, 24, 48, 96),
    "unit": KITTI_UNIT,
}  # fmt: skip
"""The network for the synthetic roads: ResNet-18 with 24 channels where it has 64. The one that comes with
the library learnt from stereo pairs and answers in metres; for training from video say ``unit=None``.
"""
