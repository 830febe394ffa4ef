r"""Hu, Ozay, Zhang and Okatani, "Revisiting single image depth estimation: toward higher resolution maps with
accurate object boundaries" (WACV 2019): the networks that Hu, Zhang and Okatani (ICCV 2019) look into.

An encoder halves the sides of the image five times, and each time it knows more of less. The paper makes a
depth map of the last four of its maps, in three parts:

====  ======================  =========================================================================
name  class                   what it does, with ResNet-50 and 228 x 304 pixels
====  ======================  =========================================================================
E     ``encoder``             256 channels of 57 x 76, 512 of 29 x 38, 1024 of 15 x 19, 2048 of 8 x 10
D     ``Decoder``             the **last** map, 1x1 to half of its channels, then four up-projections,
                              each as large as the map before and half as wide: 64 of 114 x 152
MFF   ``MultiScaleFusion``    **all four** maps, one up-projection each, straight to 16 of 114 x 152;
                              side by side, 5x5: 64 of 114 x 152
R     ``Refinement``          D and MFF side by side, in this order: 5x5, 5x5, 5x5 to one: metres
====  ======================  =========================================================================

There is no skip connection into D: what is fine in the image comes by way of MFF alone. The unit of D and MFF
is the **up-projection**,

    resize to a given size  ->  relu( 5x5, BN, ReLU, 3x3, BN  +  5x5, BN ),

that of Laina et al. 2016, but with a bilinear resize where they put zeros between the values.

**Every resize aligns corners**: the centres of the corner pixels coincide. The networks were trained with a
version of PyTorch that knew no other, and their weights fit no other. Today's default lets the corners' outer
edges coincide, which moves what lies near the border by up to half a pixel of the small map.

MFF enlarges 2048 channels of 8 x 10 to 114 x 152, 142 MB, only to make 16 of them. :class:`ResizedConv` gives
the same 16 channels and never makes the 2048 large ones; ``fast=False`` computes them as it is written. In D
every up-projection makes half as many channels as go in, and it would save a third of the time of three of
them, for more memory.

The native output is **metres**, without an activation; ``predict`` keeps it within ``depth_range``. An image
is brought to 240 x 320, its centre of 228 x 304 goes in, and the output of 114 x 152 stands for all of that.

Where we differ: encoders start from random weights unless :mod:`mdepth.recipes.imagenet` loads others.
Names of the released weights are in ``recipes.hu_weights``; the mask predictor is in
:mod:`mdepth.models.hu_masks`.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional

from mdepth.image import resize
from mdepth.models.contract import DepthNetwork, Native
from mdepth.models.encoders import IMAGENET, DenseNet, Encoder, densenet161, resnet18, resnet50
from mdepth.models.encoders_senet import SENet, senet154
from mdepth.shapes import Depth, Float, Image, Tensor

__all__ = [
    "ENCODERS", "ROADS", "ROOMS", "SMALL", "Decoder", "Hu", "MultiScaleFusion", "Refinement", "ResizedConv",
    "UpProjection",
]  # fmt: skip

Size = tuple[int, int]  # rows, columns

ENCODERS: dict[str, Callable[[], Encoder]] = {
    "resnet50": partial(resnet50, form="torchvision"),
    "densenet161": partial(densenet161, taken="before"),
    "senet154": senet154,
}
"""The paper's three encoders."""


class ResizedConv(nn.Conv2d):
    r"""A 5x5 convolution of the enlarged map, worked out on the small one.

    A resize is a product with a matrix, R from the left for the rows and Q from the right for the columns. A
    shift by i rows is one, too: :math:`R_i` is R with its rows moved by i, and zeros where rows are missing,
    as the convolution's margin has them. So with X the small map and K the kernel, i and j from -2 to 2,

    .. math:: Y = \sum_{i,j} K_{ij} * \big(R_i\, X\, Q_j^\top\big) = \sum_{i,j} R_i\, (K_{ij} * X)\, Q_j^\top.

    A tap :math:`K_{ij}` mixes channels within a pixel, the matrices mix pixels within a channel, and so they
    may change places. On the right the 25 taps are 1x1 convolutions of the **small** map, and nothing large
    is made but Y. The same function as ``Conv2d(resize(x))`` with the same weight, up to rounding.

    Args:
        inputs, outputs: channels. No bias: a norm stands behind it.

    Source: ours.

    Example:
        >>> x, conv = torch.rand(1, 8, 3, 4), ResizedConv(8, 2)
        >>> plain = functional.conv2d(resize(x, (9, 11), align_corners=True), conv.weight, padding=2)
        >>> torch.allclose(conv(x, (9, 11)), plain, atol=1e-6)
        True
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 5, padding=2, bias=False)

    def forward(  # type: ignore[override]
        self, x: Float[Tensor, "B C h w"], size: Size
    ) -> Float[Tensor, "B D H W"]:
        """Small maps, and the size to which they are thought enlarged, to maps of that size."""
        kernel = self.weight.permute(0, 2, 3, 1).reshape(-1, self.in_channels, 1, 1)  # 25D C 1 1
        taps = functional.conv2d(x, kernel).unflatten(1, (-1, 5, 5))  # B D 5 5 h w
        rows, columns = (_shifted(x, old, new) for old, new in zip(_size(x), size, strict=True))
        y = torch.einsum("bdijhw,iHh->bdjHw", taps, rows)
        return torch.einsum("bdjHw,jWw->bdHW", y, columns)


def _shifted(like: Tensor, old: int, new: int) -> Float[Tensor, "5 new old"]:
    """Five matrices that resize a line of ``old`` values to ``new`` and then move it by -2, -1, 0, 1, 2."""
    eye = torch.eye(old, dtype=like.dtype, device=like.device)
    matrix = resize(eye[None, None], (new, old), align_corners=True)[0, 0]  # new old
    padded = functional.pad(matrix, (0, 0, 2, 2))  # two rows of zeros before and behind
    return torch.stack([padded[shift : shift + new] for shift in range(5)])


class UpProjection(nn.Module):
    r"""Enlarge, then convolve in two branches and add: the unit of D, of MFF and of the mask predictor.

    .. math:: y = \mathrm{relu}\big(N_2(K_2 * \mathrm{relu}(N_1(K_1 * Rx))) + N_3(K_3 * Rx)\big)

    with R the bilinear resize that aligns corners, K1 and K3 of 5x5, K2 of 3x3, and N a batch norm each.

    Args:
        inputs, outputs: channels.
        fast: both 5x5 as :class:`ResizedConv`: the same function; it pays where few outputs are much larger.

    Source: released code (facts, no code), with its names of the layers.

    Example:
        >>> UpProjection(4, 2)(torch.zeros(1, 4, 3, 5), (7, 9)).shape
        torch.Size([1, 2, 7, 9])
    """

    def __init__(self, inputs: int, outputs: int, *, fast: bool = False) -> None:
        super().__init__()
        self.fast = fast
        five = ResizedConv if fast else _conv
        self.conv1, self.bn1 = five(inputs, outputs), nn.BatchNorm2d(outputs)
        self.conv1_2, self.bn1_2 = _conv(outputs, outputs, 3), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = five(inputs, outputs), nn.BatchNorm2d(outputs)

    def forward(self, x: Float[Tensor, "B C h w"], size: Size) -> Float[Tensor, "B D H W"]:
        """Maps to maps of ``size``."""
        if self.fast:
            main, skip = self.conv1(x, size), self.conv2(x, size)
        else:
            x = resize(x, size, align_corners=True)  # B C H W
            main, skip = self.conv1(x), self.conv2(x)
        main = self.bn1_2(self.conv1_2(self.bn1(main).relu_()))
        return (main + self.bn2(skip)).relu_()


class Decoder(nn.Module):
    """D: the encoder's last map to the size of the output, a 1x1 convolution and four up-projections.

    Each halves the channels. The first three are as large as the encoder's maps before the last; the fourth
    has twice the sides of the first of them.

    Args:
        features: channels of the encoder's last map; a sixteenth of half of them come out.

    Source: WACV 2019, "decoder"; sizes from released code.

    Example:
        >>> maps = [torch.zeros(1, 4, 12, 16), torch.zeros(1, 4, 6, 8), torch.zeros(1, 4, 3, 4)]
        >>> Decoder(64)([*maps, torch.zeros(1, 64, 2, 2)]).shape
        torch.Size([1, 2, 24, 32])
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        widths = [features // 2**power for power in range(1, 6)]
        self.conv, self.bn = _conv(features, widths[0], 1), nn.BatchNorm2d(widths[0])
        self.up1 = UpProjection(widths[0], widths[1])
        self.up2 = UpProjection(widths[1], widths[2])
        self.up3 = UpProjection(widths[2], widths[3])
        self.up4 = UpProjection(widths[3], widths[4])
        self.outputs = widths[4]

    def forward(self, maps: Sequence[Tensor]) -> Float[Tensor, "B C H W"]:
        """The encoder's last four maps, of which only the last is looked at, to maps of the output's size."""
        x = self.bn(self.conv(maps[3])).relu_()  # B 1024 8 10
        x = self.up1(x, _size(maps[2]))  # B 512 15 19
        x = self.up2(x, _size(maps[1]))  # B 256 29 38
        x = self.up3(x, _size(maps[0]))  # B 128 57 76
        return self.up4(x, _twice(maps[0]))  # B 64 114 152


class MultiScaleFusion(nn.Module):
    """MFF: all four maps of the encoder, each enlarged by one up-projection, side by side, and mixed by 5x5.

    Args:
        channels: of the encoder's last four maps.
        width: channels that each of them gives.
        fast: see :class:`ResizedConv`.

    Source: WACV 2019, "multi-scale feature fusion"; sizes from released code.

    Example:
        >>> maps = [torch.zeros(1, 4, 12, 16), torch.zeros(1, 8, 6, 8)] * 2
        >>> MultiScaleFusion((4, 8, 4, 8), 3)(maps).shape
        torch.Size([1, 12, 24, 32])
    """

    def __init__(self, channels: Sequence[int], width: int = 16, *, fast: bool = True) -> None:
        super().__init__()
        self.up1, self.up2, self.up3, self.up4 = (UpProjection(each, width, fast=fast) for each in channels)
        self.outputs = 4 * width
        self.conv, self.bn = _conv(self.outputs, self.outputs), nn.BatchNorm2d(self.outputs)

    def forward(self, maps: Sequence[Tensor]) -> Float[Tensor, "B C H W"]:
        """The encoder's last four maps, from fine to coarse, to maps of the output's size."""
        ups, size = (self.up1, self.up2, self.up3, self.up4), _twice(maps[0])
        x = torch.cat([up(each, size) for up, each in zip(ups, maps, strict=True)], dim=1)  # B 64 114 152
        return self.bn(self.conv(x)).relu_()


class Refinement(nn.Module):
    """R: what D and MFF made, by three 5x5 convolutions, to metres. The last has a bias and no activation.

    Args:
        width: channels of D and MFF together.

    Source: WACV 2019, "refinement"; sizes from released code.

    Example:
        >>> Refinement(6)(torch.zeros(1, 6, 24, 32)).shape
        torch.Size([1, 1, 24, 32])
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv0, self.bn0 = _conv(width, width), nn.BatchNorm2d(width)
        self.conv1, self.bn1 = _conv(width, width), nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, 1, 5, padding=2)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B 1 H W"]:
        """Maps to metres."""
        x = self.bn0(self.conv0(x)).relu_()
        x = self.bn1(self.conv1(x)).relu_()
        return self.conv2(x)


class Hu(DepthNetwork):
    r"""Encoder, decoder D, multi-scale fusion MFF and refinement R; metres at half of the input's sides.

    An image of H x W pixels, any size, becomes 2 ceil(H / 4) x 2 ceil(W / 4) metres behind a ResNet:
    228 x 304 become 114 x 152.

    Args:
        encoder: makes the encoder; its last four maps are used.
        image_size: (height, width) that an image is brought to.
        input_size: (height, width) of the centre that goes in.
        fusion: channels that each map gives to MFF.
        fast: MFF without its large maps; the same function, see :class:`ResizedConv`.
        depth_range: metres; predictions are clipped to it.
        mean_depth: where the output starts, in metres; 0 as released.

    Source: WACV 2019; 67,569,473 parameters with ResNet-50, 77,101,151 with DenseNet-161, 157,101,425 with
    SENet-154.

    Example:
        >>> with torch.device("meta"):
        ...     Hu()(torch.zeros(1, 3, 228, 304)).shape
        torch.Size([1, 1, 114, 152])
    """

    native: ClassVar[Native] = "depth"
    metric: bool = True
    mean, std = IMAGENET

    def __init__(
        self,
        encoder: Callable[[], Encoder] = ENCODERS["resnet50"],
        image_size: Size = (240, 320),
        input_size: Size = (228, 304),
        *,
        fusion: int = 16,
        fast: bool = True,
        depth_range: tuple[float, float] = (0.1, 10.0),
        mean_depth: float = 0.0,
    ) -> None:
        super().__init__(
            image_size=image_size, input_size=input_size, covered=(0, input_size[0], 0, input_size[1])
        )
        self.depth_range = depth_range
        self.encoder = encoder()
        channels = self.encoder.channels[-4:]
        self.decoder = Decoder(channels[-1])
        self.fusion = MultiScaleFusion(channels, fusion, fast=fast)
        self.refinement = Refinement(self.decoder.outputs + self.fusion.outputs)
        with torch.no_grad():
            self.refinement.conv2.get_parameter("bias").add_(mean_depth)

    def forward(self, x: Image) -> Float[Tensor, "B 1 h w"]:
        """Normalised image to metres."""
        maps = self.encoder(x)[-4:]  # B 256 57 76, B 512 29 38, B 1024 15 19, B 2048 8 10
        joint = torch.cat([self.decoder(maps), self.fusion(maps)], dim=1)  # B 64+64 114 152
        return self.refinement(joint)  # B 1 114 152

    def to_depth(self, native: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
        """The output is depth in metres already."""
        return native

    def _place(self, depth: Float[Tensor, "B 1 h w"], height: int, width: int) -> Depth:
        """As the released evaluation does, the output is enlarged to the input with its corners aligned."""
        return super()._place(resize(depth, self.input_size, align_corners=True), height, width)


def _conv(inputs: int, outputs: int, kernel: int = 5) -> nn.Conv2d:
    """A convolution that keeps the size, without a bias: a norm stands behind it."""
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)


def _size(maps: Float[Tensor, "B C H W"]) -> Size:
    """Rows and columns of maps."""
    return maps.shape[-2], maps.shape[-1]


def _twice(maps: Float[Tensor, "B C H W"]) -> Size:
    """Twice their rows and columns."""
    return 2 * maps.shape[-2], 2 * maps.shape[-1]


SMALL: dict[str, Callable[[], Encoder]] = {
    "resnet18": partial(resnet18, width=24, form="torchvision"),
    "densenet": partial(DenseNet, 24, (3, 6, 10, 8), 32, taken="before"),
    "senet": partial(SENet, (1, 2, 4, 2), width=10, groups=4, reduction=8),
}
"""The same three kinds, small, each of one to one and a half million parameters: ResNet-18 with 24 channels
where it has 64; 27 layers that add 24 channels each; 9 squeezed blocks whose 3x3 work in 4 groups.
"""
ROOMS: dict[str, Any] = {"fusion": 4, "image_size": (96, 128), "input_size": (96, 128)}
"""``Hu`` for the small synthetic rooms, behind one of :data:`SMALL`: with ResNet-18 a decoder from 96 to 6, a
quarter of MFF's width. The whole image goes in.
"""
ROADS: dict[str, Any] = {
    "fusion": 4, "image_size": (64, 192), "input_size": (64, 192), "depth_range": (1.0, 80.0),
}  # fmt: skip
"""``ROOMS`` for the small synthetic roads."""
