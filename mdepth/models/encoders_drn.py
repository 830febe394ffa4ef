r"""DRN-D-22, a dilated residual network, without its pooling and its classifier.

A residual network that stops halving the sides at an eighth of the image. Where it would halve them again,
the taps of its kernels move apart instead, so that later layers see as far as they would have seen, at twice
or four times as many places:

=====  ==================  ==========  ======  ========
layer  what it is          channels    stride  dilation
=====  ==================  ==========  ======  ========
0      7x7, BN, ReLU       w           1       1
1      3x3, BN, ReLU       w           1       1
2      3x3, BN, ReLU       2 w         2       1
3      2 residual blocks   4 w         4       1
4      2 residual blocks   8 w         8       1
5      2 residual blocks   16 w        8       2
6      2 residual blocks   32 w        8       4
7      3x3, BN, ReLU       32 w        8       2
8      3x3, BN, ReLU       32 w        8       1
=====  ==================  ==========  ======  ========

Layers 7 and 8 have no shortcut around them. They smooth away the grid that dilated kernels leave in a map:
behind a single bright pixel stand bright pixels at the distance of the taps.

Parameters are named as in the public ImageNet weights, so that their file fits without the classifier.
"""

from torch import nn

from mdepth.models.encoders import Encoder, ResidualBlock, initialise_he
from mdepth.shapes import Image, Tensor

__all__ = ["DRN", "drn_d_22"]

CHANNELS = (1, 1, 2, 4, 8, 16, 32, 32, 32)
"""Of the nine layers, for one of the first."""
STEPS = (1, 1, 2, 2, 2, 1, 1, 1, 1)
"""By how much each layer divides the sides."""
DILATIONS = (1, 1, 1, 1, 1, 2, 4, 2, 1)
"""Pixels between two taps of each layer's 3x3."""
RESIDUAL = (3, 4, 5, 6)
"""Layers that are two residual blocks; the others are a convolution."""


class DRN(Encoder):
    r"""Dilated residual network: the maps behind its nine layers, of strides 1, 1, 2, 4 and five times 8.

    Args:
        width: channels of the first layer, w in the table above.
        widest: no layer has more channels than that; ``None`` for no limit.
        coarsest: largest stride, 8 or 4. With 4, layer 4 does not halve the sides, and every 8 in the table
            is a 4: for images of half the paper's sides, whose last map is then as large as the paper's.

    A side of n pixels becomes ceil(n / 2) at layers 2, 3 and, where ``coarsest`` is 8, 4. Any size goes in.

    Raises:
        ValueError: another ``coarsest``.

    Source: Yu, Koltun and Funkhouser, "Dilated residual networks" (CVPR 2017), architecture D.

    Example:
        >>> import torch
        >>> [tuple(maps.shape[1:]) for maps in DRN(2)(torch.zeros(1, 3, 30, 50))][::4]
        [(2, 30, 50), (16, 4, 7), (64, 4, 7)]
    """

    def __init__(self, width: int = 16, *, widest: int | None = None, coarsest: int = 8) -> None:
        super().__init__()
        if coarsest not in (4, 8):
            raise ValueError(f"coarsest must be 4 or 8, got {coarsest}")
        self.strides = (1, 1, 2, *(min(stride, coarsest) for stride in (4, 8, 8, 8, 8, 8)))
        steps = [step if coarsest == 8 or layer != 4 else 1 for layer, step in enumerate(STEPS)]
        self.channels = tuple(min(width * times, widest or width * times) for times in CHANNELS)
        inputs = 3
        for layer, (outputs, step, dilation) in enumerate(zip(self.channels, steps, DILATIONS, strict=True)):
            if layer in RESIDUAL:
                blocks = _Dilated(inputs, outputs, step, dilation), _Dilated(outputs, outputs, 1, dilation)
                self.add_module(f"layer{layer}", nn.Sequential(*blocks))
            else:
                conv = _conv(inputs, outputs, step, dilation, kernel=7 if layer == 0 else 3)
                norm, relu = nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
                self.add_module(f"layer{layer}", nn.Sequential(conv, norm, relu))
            inputs = outputs
        initialise_he(self)

    def forward(self, x: Image) -> list[Tensor]:
        """Normalised image to its nine feature maps."""
        maps = []
        for layer in range(len(CHANNELS)):
            x = self.get_submodule(f"layer{layer}")(x)
            maps.append(x)
        return maps


def drn_d_22(*, width: int = 16, widest: int | None = None, coarsest: int = 8) -> DRN:
    """DRN-D-22: 22 layers with weights, counted with the classifier; 512 channels at stride 8.

    Example:
        >>> import torch
        >>> with torch.device("meta"):
        ...     encoder = drn_d_22()
        >>> encoder.channels[-1], sum(parameter.numel() for parameter in encoder.parameters())
        (512, 15880752)
    """
    return DRN(width, widest=widest, coarsest=coarsest)


class _Dilated(ResidualBlock):
    """Two 3x3 convolutions with their taps ``dilation`` apart; the stride lies on the first."""

    def __init__(self, inputs: int, outputs: int, stride: int, dilation: int) -> None:
        super().__init__(inputs, outputs, stride)
        self.conv1, self.bn1 = _conv(inputs, outputs, stride, dilation), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = _conv(outputs, outputs, 1, dilation), nn.BatchNorm2d(outputs)

    def branch(self, x: Tensor) -> Tensor:
        """Two convolutions, a ReLU between them."""
        return self.bn2(self.conv2(self.bn1(self.conv1(x)).relu_()))


def _conv(inputs: int, outputs: int, stride: int, dilation: int, *, kernel: int = 3) -> nn.Conv2d:
    """A convolution that keeps the size, up to its stride, without a bias: a norm stands behind it."""
    return nn.Conv2d(
        inputs, outputs, kernel, stride, padding=dilation * (kernel // 2), dilation=dilation, bias=False
    )
