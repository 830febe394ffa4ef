r"""SENet-154 without its classifier: residual blocks that weigh their own channels.

A *squeeze-and-excitation* looks at the mean of every channel over the whole map, and two small layers make of
these means a factor between 0 and 1 for every channel. Apart from that it is a ResNet of 36 blocks in its
third stage, whose 3x3 convolutions work in 64 groups. Three things differ from a ResNet's usual form: three
3x3 convolutions stand where one of 7x7 did; the pool behind them rounds up and has no margin; and where a
block halves the sides, its shortcut is 3x3.

Parameters are named as in the public ImageNet weights, so that their file fits without the classifier.
"""

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from mdepth.models.encoders import Encoder, ResidualBlock, initialise_he
from mdepth.shapes import Image, Tensor

__all__ = ["SENet", "senet154"]


class SENet(Encoder):
    r"""Residual network with squeeze-and-excitation: five feature maps of strides 2, 4, 8, 16, 32.

    Args:
        blocks: residual blocks in each of the four stages.
        width: channels of the stem's first two convolutions, 2 ``width`` of its third; the stages give 4, 8,
            16 and 32 times ``width``.
        groups: of every 3x3 in a block.
        reduction: channels of a block for one of the squeeze's hidden layer.

    A side of n pixels becomes ceil(n / 2) at every stride but the pool's, where it becomes ceil((n - 1) / 2).

    Raises:
        ValueError: (torch) ``groups`` does not divide 2 ``width``.

    Source: Hu, Shen and Sun, "Squeeze-and-excitation networks" (CVPR 2018); sizes from released weights.

    Example:
        >>> import torch
        >>> encoder = SENet((1, 1, 1, 1), width=8, groups=4, reduction=4)
        >>> [tuple(maps.shape[1:]) for maps in encoder(torch.zeros(1, 3, 64, 96))]
        [(16, 32, 48), (32, 16, 24), (64, 8, 12), (128, 4, 6), (256, 2, 3)]
    """

    strides = (2, 4, 8, 16, 32)

    def __init__(
        self, blocks: Sequence[int], *, width: int = 64, groups: int = 64, reduction: int = 16
    ) -> None:
        super().__init__()
        self.channels = tuple(2**power * width for power in range(1, 6))
        self.layer0 = nn.Sequential(
            OrderedDict(
                conv1=_three(3, width, stride=2), bn1=nn.BatchNorm2d(width), relu1=nn.ReLU(inplace=True),
                conv2=_three(width, width), bn2=nn.BatchNorm2d(width), relu2=nn.ReLU(inplace=True),
                conv3=_three(width, 2 * width), bn3=nn.BatchNorm2d(2 * width), relu3=nn.ReLU(inplace=True),
            )
        )  # fmt: skip
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        for stage, count in enumerate(blocks, 1):
            inputs, outputs = self.channels[stage - 1], self.channels[stage]
            first = _Squeezed(inputs, outputs, 1 if stage == 1 else 2, groups, reduction)
            others = [_Squeezed(outputs, outputs, 1, groups, reduction) for _ in range(count - 1)]
            self.add_module(f"layer{stage}", nn.Sequential(first, *others))
        initialise_he(self)

    def forward(self, x: Image) -> list[Tensor]:
        """Normalised image to its five feature maps."""
        maps = [self.layer0(x)]  # 1/2
        y = self.pool(maps[0])  # 1/4
        for stage in range(1, 5):
            y = self.get_submodule(f"layer{stage}")(y)  # 1/4, 1/8, 1/16, 1/32
            maps.append(y)
        return maps


def senet154() -> SENet:
    """SENet-154: 3, 8, 36 and 3 blocks; 2048 channels at stride 32.

    Example:
        >>> import torch
        >>> with torch.device("meta"):
        ...     encoder = senet154()
        >>> encoder.channels, sum(parameter.numel() for parameter in encoder.parameters())
        ((128, 256, 512, 1024, 2048), 113039984)
    """
    return SENet((3, 8, 36, 3))


class _Squeezed(ResidualBlock):
    """1x1 to half of the channels, 3x3 in groups to all of them, 1x1, and a factor for every channel."""

    def __init__(self, inputs: int, outputs: int, stride: int, groups: int, reduction: int) -> None:
        from torchvision.ops import SqueezeExcitation

        super().__init__(inputs, outputs, stride, kernel=3 if stride > 1 else 1)
        half = outputs // 2
        self.conv1, self.bn1 = nn.Conv2d(inputs, half, 1, bias=False), nn.BatchNorm2d(half)
        self.conv2, self.bn2 = _three(half, outputs, stride=stride, groups=groups), nn.BatchNorm2d(outputs)
        self.conv3, self.bn3 = nn.Conv2d(outputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.se_module = SqueezeExcitation(outputs, outputs // reduction)

    def branch(self, x: Tensor) -> Tensor:
        """Three convolutions, a ReLU between them; then every channel times its factor."""
        y = self.bn1(self.conv1(x)).relu_()
        y = self.bn2(self.conv2(y)).relu_()
        return self.se_module(self.bn3(self.conv3(y)))


def _three(inputs: int, outputs: int, *, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A 3x3 convolution that keeps the size, up to its stride, without a bias: a norm stands behind it."""
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, groups=groups, bias=False)
