r"""U-Nets for depth: from scratch, behind a ResNet that has learnt elsewhere, and DenseDepth.

Four networks, one shape. An encoder halves the sides of the picture some times; a decoder doubles them again
and, at each size, joins what it has with the encoder's map of that size, the **skip connection**, so that
details need not pass the narrow bottom:

=====================  ====================  ========================  =======================  ==============
class                  encoder, per size     enlarged by               behind the joint         answer
=====================  ====================  ========================  =======================  ==============
``UNet2015``           (3x3, ReLU) twice,    2x2 transposed            (3x3, ReLU) twice,       1x1
                       unpadded              convolution               unpadded
``UNet``               (3x3, LeakyReLU, BN)  bilinear, 3x3, LeakyReLU  (3x3, LeakyReLU, BN)     3x3, sigmoid
                       twice                                           twice
``ResNetUNet``         ResNet-34's stages    nearest                   (3x3, BN, ReLU) twice    3x3, sigmoid
``DenseDepth``         DenseNet-169's        bilinear, corners on      3x3, 3x3, LeakyReLU      3x3, linear
                       blocks                corners
=====================  ====================  ========================  =======================  ==============

The first is Ronneberger, Fischer and Brox (MICCAI 2015), made for segmentation. The next two are the models 1
and 2 of a course project, whose slides say little; the last is Alhashim and Wonka, "High quality monocular
depth estimation via transfer learning" (2018). Whether encoders start from random weights or from others is
not a matter of the network: ``recipes.transfer_weights`` and ``recipes.imagenet`` load them.

Where the slides are silent we take the reading of ``data/reported/transfer.yaml``'s notes: widths, order of
activation and norm and the way up of a public U-Net for depth that fits the slides closely (8,634,593
parameters); for model 2, whose drawing is lost, ResNet-34 and a decoder of 256, 128, 64, 32 and 16 channels.
The answer of both is a sigmoid times the farthest depth, a positive metric depth; their source does not say.

Three networks are called DenseDepth. ``DenseDepth()`` is that of the paper and of the released weights: 1664
channels behind the encoder, **no activation between the two convolutions of a block**, 42,657,689 parameters.
``width=832, between=True`` is the later Keras code's (21,365,405), but for its enlarging, which there follows
that framework's default. The third, an early PyTorch port with DenseNet-161, is not here. The native output
is the reciprocal ``farthest / depth``, from 1 at 10 m to 100 at 0.1 m.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import torch
from torch import nn

from mdepth.image import resize
from mdepth.models.contract import DepthNetwork, Native
from mdepth.models.encoders import IMAGENET, DenseNet, Encoder, densenet169, initialise_he, resnet18, resnet34
from mdepth.shapes import Float, Image, Tensor

__all__ = [
    "DENSE_ROOMS", "RESNET18_ROOMS", "RESNET34", "UNET_ROOMS", "DenseDepth", "ResNetUNet", "Sigmoid", "UNet",
    "as_large_as", "join",
]  # fmt: skip

SLOPE = 0.2
"""Of every LeakyReLU here, on the side below zero."""


def join(x: Float[Tensor, "B C h w"], skip: Float[Tensor, "B D H W"]) -> Float[Tensor, "B E H W"]:
    """Put a decoder's maps and the encoder's of the same size behind each other.

    Example:
        >>> join(torch.zeros(1, 4, 6, 8), torch.zeros(1, 2, 6, 8)).shape
        torch.Size([1, 6, 6, 8])
    """
    return torch.cat([x, skip], dim=1)


def as_large_as(
    other: Float[Tensor, "B D H W"], x: Float[Tensor, "B C h w"], **how: Any
) -> Float[Tensor, "B C H W"]:
    """``x`` with the rows and columns of ``other``; ``how`` as in :func:`mdepth.image.resize`.

    Example:
        >>> as_large_as(torch.zeros(1, 2, 15, 20), torch.zeros(1, 4, 8, 10), mode="nearest").shape
        torch.Size([1, 4, 15, 20])
    """
    return resize(x, (other.shape[-2], other.shape[-1]), **how)


class _WholeImage(DepthNetwork):
    """What these networks share: the image is squeezed into the input, whole, and the answer is metric."""

    metric: bool = True

    def __init__(
        self, input_size: tuple[int, int], depth_range: tuple[float, float], *, margin: int = 0
    ) -> None:
        height, width = input_size
        covered = (margin, height - margin, margin, width - margin)
        super().__init__(image_size=input_size, input_size=input_size, covered=covered)
        self.depth_range = depth_range


class Sigmoid(_WholeImage):
    """The answer is a share of the farthest depth."""

    native: ClassVar[Native] = "sigmoid"

    def to_depth(self, native: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
        """A share of the farthest depth to metres."""
        return self.depth_range[1] * native


class UNet(Sigmoid):
    r"""Model 1 of the course project: a U-Net with padding and batch norm, from random weights.

    Four times (3x3, LeakyReLU, BN) twice and a 2x2 max pool; two 3x3 with LeakyReLU and **no norm** at the
    bottom; four times bilinear enlarging, 3x3, LeakyReLU, the joint, and (3x3, LeakyReLU, BN) twice; 3x3,
    sigmoid. Norms stand **behind** the activations. The output has the size of the input.

    Args:
        input_size: (height, width) that an image is brought to. ``forward`` takes any size.
        widths: channels of the four sizes and of the bottom.
        depth_range: metres; the second is what a sigmoid of 1 stands for.
        mean_depth: where the output starts, in metres.
        mean, std: of the image's normalisation; the source has none.

    Raises:
        ValueError: ``mean_depth`` is not between 0 and the farthest depth.

    Source: the slides of the course project; widths, order and the way up from public code that fits them.

    Example:
        >>> UNet((48, 64), (4, 8, 8, 8, 16))(torch.zeros(1, 3, 48, 64)).shape
        torch.Size([1, 1, 48, 64])
    """

    def __init__(
        self,
        input_size: tuple[int, int] = (240, 320),
        widths: Sequence[int] = (32, 64, 128, 256, 512),
        *,
        depth_range: tuple[float, float] = (0.1, 10.0),
        mean_depth: float = 5.0,
        mean: tuple[float, float, float] = (0.0, 0.0, 0.0),
        std: tuple[float, float, float] = (1.0, 1.0, 1.0),
    ) -> None:
        super().__init__(input_size, depth_range)
        self.mean, self.std = mean, std
        *sides, bottom = widths
        self.down = nn.ModuleList(
            _normed_twice(before, width) for before, width in zip([3, *sides], sides, strict=False)
        )
        self.pool = nn.MaxPool2d(2)
        self.bottom = nn.Sequential(*_leaky(sides[-1], bottom), *_leaky(bottom, bottom))
        self.enlarge, self.up = nn.ModuleList(), nn.ModuleList()
        for below, width in zip([bottom, *sides[:0:-1]], sides[::-1], strict=True):
            self.enlarge.append(nn.Sequential(*_leaky(below, width)))
            self.up.append(_normed_twice(2 * width, width))
        self.answer = nn.Conv2d(sides[0], 1, 3, padding=1)
        initialise_he(self)
        _start_at(self.answer, mean_depth / depth_range[1])

    def forward(self, x: Image) -> Float[Tensor, "B 1 H W"]:
        """Normalised image to a share of the farthest depth, at the size of the image."""
        skips = []
        for block in self.down:
            skips.append(block(x))  # B 32 240 320, B 64 120 160, B 128 60 80, B 256 30 40
            x = self.pool(skips[-1])
        x = self.bottom(x)  # B 512 15 20
        for enlarge, block, skip in zip(self.enlarge, self.up, reversed(skips), strict=True):
            x = enlarge(as_large_as(skip, x))  # B 256 30 40
            x = block(join(x, skip))  # B 256 30 40, B 128 60 80, B 64 120 160, B 32 240 320
        return torch.sigmoid(self.answer(x))


def _leaky(inputs: int, outputs: int) -> list[nn.Module]:
    """3x3 and LeakyReLU, the size kept."""
    return [nn.Conv2d(inputs, outputs, 3, padding=1), nn.LeakyReLU(SLOPE)]


def _normed_twice(inputs: int, outputs: int) -> nn.Sequential:
    """(3x3, LeakyReLU, BN) twice, the size kept."""
    return nn.Sequential(
        *_leaky(inputs, outputs), nn.BatchNorm2d(outputs), *_leaky(outputs, outputs), nn.BatchNorm2d(outputs)
    )


def _start_at(answer: nn.Conv2d, share: float) -> None:
    """Let a sigmoid begin near one share: weights a tenth of their size, and the share's logit as bias."""
    if not 0 < share < 1:
        raise ValueError(f"mean_depth must lie between 0 and the farthest depth, got a share of {share:.3g}")
    with torch.no_grad():
        answer.weight.mul_(0.1)
        answer.get_parameter("bias").fill_(math.log(share / (1 - share)))


RESNET34 = partial(resnet34, form="torchvision")
"""The encoder of model 2, in the form that torchvision's ImageNet weights are of."""


class ResNetUNet(Sigmoid):
    r"""Model 2 of the course project: a ResNet that may have learnt elsewhere, and the decoder of a U-Net.

    Five blocks of nearest enlarging, the joint (none in the last) and (3x3, BN, ReLU) twice; 3x3, sigmoid.
    Skips are the encoder's maps at 1/16, 1/8, 1/4 and 1/2 of the sides. The output has the size of the input.

    **Any size goes in.** A ResNet rounds up where it halves: 240 rows become 120, 60, 30, 15 and 8, and twice
    8 is not 15. So each map is enlarged to the size of the skip that it joins, not by two.

    Args:
        encoder: makes the encoder; five maps from fine to coarse.
        widths: channels of the five blocks.
        input_size: (height, width) that an image is brought to.
        depth_range: metres; the second is what a sigmoid of 1 stands for.
        mean_depth: where the output starts, in metres.

    Raises:
        ValueError: ``mean_depth`` is not between 0 and the farthest depth.

    Source: the slides name the encoder and no more; the decoder is our reading, that of a common library of
    segmentation networks.

    Example:
        >>> small = partial(resnet34, width=4)
        >>> ResNetUNet(small, (16, 8, 8, 4, 4))(torch.zeros(1, 3, 60, 80)).shape
        torch.Size([1, 1, 60, 80])
    """

    mean, std = IMAGENET

    def __init__(
        self,
        encoder: Callable[[], Encoder] = RESNET34,
        widths: Sequence[int] = (256, 128, 64, 32, 16),
        input_size: tuple[int, int] = (240, 320),
        *,
        depth_range: tuple[float, float] = (0.1, 10.0),
        mean_depth: float = 5.0,
    ) -> None:
        super().__init__(input_size, depth_range)
        self.encoder = encoder()
        *fine, below = self.encoder.channels
        self.up = nn.ModuleList()
        for joined, width in zip([*reversed(fine), 0], widths, strict=True):
            self.up.append(nn.Sequential(*_normed(below + joined, width), *_normed(width, width)))
            below = width
        self.answer = nn.Conv2d(below, 1, 3, padding=1)
        initialise_he(self.up)
        initialise_he(self.answer)
        _start_at(self.answer, mean_depth / depth_range[1])

    def forward(self, x: Image) -> Float[Tensor, "B 1 H W"]:
        """Normalised image to a share of the farthest depth, at the size of the image."""
        *skips, y = self.encoder(x)  # B 64 120 160, B 64 60 80, B 128 30 40, B 256 15 20, B 512 8 10
        for block, skip in zip(self.up, reversed(skips), strict=False):
            y = as_large_as(skip, y, mode="nearest")
            y = block(join(y, skip))  # B 256 15 20, B 128 30 40, B 64 60 80, B 32 120 160
        y = self.up[-1](as_large_as(x, y, mode="nearest"))  # B 16 240 320
        return torch.sigmoid(self.answer(y))


def _normed(inputs: int, outputs: int) -> list[nn.Module]:
    """3x3, BN, ReLU, the size kept."""
    conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    return [conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]


class DenseDepth(_WholeImage):
    r"""DenseNet-169 and a decoder without norms; reciprocal depth at half of the image's sides.

    A 1x1 convolution behind the encoder; four blocks of bilinear enlarging, the joint, 3x3, 3x3 and
    LeakyReLU, each half as wide as what came in; 3x3 without activation. Skips are the first convolution's
    map, the pool's, and the outputs of the first two transitions. RGB in [0, 1] as it is, sides multiples of
    32. The output is :math:`y = m / z` with m the farthest depth, 10 m.

    Args:
        encoder: makes the encoder; five maps from fine to coarse.
        width: channels of the 1x1 convolution: 1664 as released, 832 in the later Keras code. ``None`` for as
            many as the encoder's last map has.
        between: a LeakyReLU between the two 3x3 of a block; the released network has none.
        input_size: (height, width) that an image is brought to.
        depth_range: metres; predictions are clipped to it, and the second is m.
        mean_depth: where the output starts, in metres.

    Raises:
        ValueError: (``forward``) a side that is no multiple of 32.

    Source: Alhashim and Wonka 2018; the released code (facts, no code).

    Example:
        >>> with torch.device("meta"):
        ...     DenseDepth()(torch.zeros(1, 3, 480, 640)).shape
        torch.Size([1, 1, 240, 320])
    """

    native: ClassVar[Native] = "inverse_depth"
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)

    def __init__(
        self,
        encoder: Callable[[], Encoder] = densenet169,
        *,
        width: int | None = None,
        between: bool = False,
        input_size: tuple[int, int] = (480, 640),
        depth_range: tuple[float, float] = (0.1, 10.0),
        mean_depth: float = 2.5,
    ) -> None:
        super().__init__(input_size, depth_range)
        self.encoder = encoder()
        *fine, last = self.encoder.channels
        width = width or last
        self.decoder = nn.Module()
        self.decoder.conv2 = nn.Conv2d(last, width, 1)
        for number, joined in enumerate(reversed(fine), 1):
            self.decoder.add_module(f"up{number}", _DenseUp(width + joined, width // 2, between))
            width //= 2
        self.decoder.conv3 = nn.Conv2d(width, 1, 3, padding=1)
        initialise_he(self.decoder)
        with torch.no_grad():
            self.decoder.conv3.weight.mul_(0.1)
            self.decoder.conv3.get_parameter("bias").fill_(depth_range[1] / mean_depth)

    def forward(self, x: Image) -> Float[Tensor, "B 1 h w"]:
        """Image in [0, 1] to the reciprocal of its depth, in units of 1 / farthest depth."""
        if x.shape[-2] % 32 or x.shape[-1] % 32:
            raise ValueError(f"sides must be multiples of 32, got {x.shape[-2]} x {x.shape[-1]}")
        *skips, y = self.encoder(x)  # B 64 240 320, B 64 120 160, B 128 60 80, B 256 30 40, B 1664 15 20
        y = self.decoder.get_submodule("conv2")(y)
        for number, skip in enumerate(reversed(skips), 1):
            y = as_large_as(skip, y, align_corners=True)
            y = self.decoder.get_submodule(f"up{number}")(join(y, skip))  # B 832 30 40, ..., B 104 240 320
        return self.decoder.get_submodule("conv3")(y)

    def to_depth(self, native: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
        """m / y; an answer below 1 (beyond the farthest depth), negative ones among them, is the farthest."""
        return self.depth_range[1] / native.clamp(min=1.0)


class _DenseUp(nn.Sequential):
    """3x3, 3x3, LeakyReLU: without an activation between, two convolutions that are one of 5x5."""

    def __init__(self, inputs: int, outputs: int, between: bool) -> None:
        layers = OrderedDict[str, nn.Module](convA=nn.Conv2d(inputs, outputs, 3, padding=1))
        if between:
            layers["between"] = nn.LeakyReLU(SLOPE)
        layers |= OrderedDict(convB=nn.Conv2d(outputs, outputs, 3, padding=1), leaky=nn.LeakyReLU(SLOPE))
        super().__init__(layers)


UNET_ROOMS: dict[str, Any] = {
    "input_size": (96, 128), "widths": (8, 16, 32, 64, 128), "mean": IMAGENET[0], "std": IMAGENET[1],
}  # fmt: skip
"""``UNet`` for the small synthetic rooms: a quarter of the width."""
RESNET18_ROOMS: dict[str, Any] = {
    "encoder": partial(resnet18, width=24, form="torchvision"), "widths": (96, 48, 24, 12, 8),
    "input_size": (96, 128),
}  # fmt: skip
"""``ResNetUNet`` for the small synthetic rooms: ResNet-18 with 24 channels where it has 64."""
DENSE_ROOMS: dict[str, Any] = {
    "encoder": partial(DenseNet, 8, (3, 6, 8, 8), 16), "input_size": (96, 128),
}  # fmt: skip
"""``DenseDepth`` for the small synthetic rooms."""
