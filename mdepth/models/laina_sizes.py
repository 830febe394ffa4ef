r"""Sizes beside those of Laina et al. 2016 for NYU: for Make3D, for the synthetic worlds, and for a question.

Summaries of the paper give the receptive field as its reason to take ResNet-50: one of its features sees 483
pixels, more than the image has, where VGG-16's sees 276 and AlexNet's 151. But these encoders differ in much
more than that. :class:`DilatedEncoder` differs in nothing else: the same layers, parameters and products at
the same places, with the taps of its later convolutions 1, 2 or 4 steps apart. Its features see 75, 123 or
219 of 128 columns, nearly the paper's shares of its 304.

Source: the sizes are ours; the question is that of Laina et al. 2016, by summaries.
"""

from dataclasses import replace
from functools import partial

import torch
from torch import nn

from mdepth.models.encoders import IMAGENET, VGG16, AlexNet, Encoder, SamePad, initialise_he, resnet18
from mdepth.models.laina import RESNET50, ROOMS, LainaSize
from mdepth.shapes import Float, Image, Tensor

__all__ = ["ALEXNET_ROOMS", "FIELDS", "MAKE3D", "ROADS", "VGG_ROOMS", "DilatedEncoder", "field_size"]

FIELDS = {1: 75, 2: 123, 4: 219}
"""Dilation -> image pixels that a feature of :class:`DilatedEncoder` sees, per side."""


class DilatedEncoder(Encoder):
    r"""A residual network whose receptive field is chosen by dilation alone.

    A 7x7 convolution of stride 2, a pool of stride 2, four residual blocks of two 3x3 convolutions with w,
    2w, 4w and 8w channels, all at a quarter of the image's sides; then one value in eight is kept per
    direction. In the last three blocks the taps of a kernel lie ``dilation`` = d apart:

    .. math:: 7 + 2 \cdot 2 + 2 \cdot 2 \cdot 4 + 6 \cdot 2 \cdot 4\, d = 27 + 48\, d \text{ pixels}

    Args:
        dilation: d; neither parameters nor products depend on it.
        width: w.

    Example:
        >>> encoder = DilatedEncoder(dilation=2, width=4)
        >>> [tuple(maps.shape[1:]) for maps in encoder(torch.zeros(1, 3, 96, 128))]
        [(32, 3, 4)]
    """

    strides = (32,)

    def __init__(self, dilation: int, *, width: int = 16) -> None:
        super().__init__()
        self.channels = (8 * width,)
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.Sequential(SamePad(), nn.MaxPool2d(3, 2))
        self.blocks = nn.Sequential(
            _Dilated(width, width, 1),
            _Dilated(width, 2 * width, dilation),
            _Dilated(2 * width, 4 * width, dilation),
            _Dilated(4 * width, 8 * width, dilation),
        )
        initialise_he(self)

    def forward(self, x: Image) -> list[Tensor]:
        """Normalised image to one feature map of stride 32."""
        y = self.maxpool(torch.relu(self.bn1(self.conv1(x))))  # 1/4
        return [self.blocks(y)[..., 4::8, 4::8]]  # 1/32


class _Dilated(nn.Module):
    """relu(3x3, BN, ReLU, 3x3, BN + x), the taps ``dilation`` apart; x through a 1x1 where channels grow."""

    def __init__(self, inputs: int, outputs: int, dilation: int) -> None:
        super().__init__()
        apart = partial(nn.Conv2d, kernel_size=3, padding=dilation, dilation=dilation, bias=False)
        self.conv1, self.bn1 = apart(inputs, outputs), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = apart(outputs, outputs), nn.BatchNorm2d(outputs)
        self.skip: nn.Module = nn.Identity()
        if inputs != outputs:
            self.skip = nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D H W"]:
        """Features to features."""
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.skip(x))


MAKE3D = replace(RESNET50, input_size=(230, 173), depth_range=(0.1, 81.0))
"""The paper's network for tall photographs, half of 460 x 345."""
ROADS = LainaSize(
    partial(resnet18, width=24), input_size=(64, 192), reduce=(1, 96), pool=2, maps=(32, 96),
    mean=IMAGENET[0], std=IMAGENET[1], depth_range=(1.0, 80.0),
)  # fmt: skip
"""``ROOMS`` for the small synthetic roads."""
ALEXNET_ROOMS = LainaSize(
    partial(AlexNet, (48, 128, 192, 192, 128)), input_size=(96, 128), reduce=(1, 64), pool=1, hidden=512,
    maps=(48, 64), mean=IMAGENET[0], std=IMAGENET[1],
)  # fmt: skip
"""AlexNet of half the width: 96 x 128 pixels become 2 x 3 places, and behind four blocks 32 x 48 depths."""
VGG_ROOMS = LainaSize(
    partial(VGG16, width=16), input_size=(96, 128), reduce=(3, 64), mean=IMAGENET[0], std=IMAGENET[1]
)
"""VGG-16 of a quarter of the width."""


def field_size(dilation: int) -> LainaSize:
    """``ROOMS`` with the encoder whose field dilation decides, and a decoder from 64 to 4 channels.

    Example:
        >>> field_size(2).input_size
        (96, 128)
    """
    return LainaSize(
        partial(DilatedEncoder, dilation), input_size=ROOMS.input_size, reduce=(1, 64), mean=IMAGENET[0],
        std=IMAGENET[1],
    )  # fmt: skip
