r"""What looks at the image: ResNet, DenseNet, VGG-16 and AlexNet without their fully connected layers.

An encoder turns an image into a list of feature maps, from fine to coarse. It says of itself how many
channels each has and how many image pixels lie between two of its values (``channels``, ``strides``), so that
a decoder is built from these two tuples and needs to know nothing else. All weights start at random (He et
al. 2015); parameters of ResNet and VGG-16 have torchvision's names, so that its files of ImageNet weights fit
(without the classifier, and but for the bias of a ``caffe`` ResNet's first convolution). SENet and DRN
have files of their own, :mod:`mdepth.models.encoders_senet` and :mod:`mdepth.models.encoders_drn`.

Two ResNets go by one name. They have the same weights and are not the same function:

==============  ============================================  ============================================
form            ``caffe`` (He et al. 2016, as released)        ``torchvision`` ("v1.5")
==============  ============================================  ============================================
stride 2        on the first 1x1 and on the projection        on the 3x3 and on the projection
first conv      with bias                                     without
pool            TF SAME: an even side is padded behind only   one pixel on every side
sees (50)       483 pixels                                    427 pixels
==============  ============================================  ============================================
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional

from mdepth.shapes import Float, Image, Tensor

__all__ = [
    "IMAGENET", "VGG16", "AlexNet", "DenseNet", "Encoder", "ResNet", "ResidualBlock", "SamePad",
    "densenet161", "densenet169", "initialise_he", "resnet18", "resnet34", "resnet50",
]  # fmt: skip

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of RGB in [0, 1] by which torchvision's ImageNet weights want it normalised."""


class Encoder(nn.Module):
    """An image to feature maps, from fine to coarse; subclasses give ``forward`` and set both tuples."""

    channels: tuple[int, ...]
    """Channels of every feature map."""
    strides: tuple[int, ...]
    """Image pixels between two neighbouring values of every feature map."""

    def forward(self, x: Image) -> list[Tensor]:
        """Normalised image to feature maps (B, channels[i], about H / strides[i], about W / strides[i])."""
        raise NotImplementedError


class SamePad(nn.Module):
    """Zeros around a map so that a 3x3 window of stride 2 leaves ceil(n / 2) rows of n: TensorFlow's SAME.

    An odd side gets one row before and one behind; an even side gets **one behind and none before**, so that
    the windows stand half a stride away from where one row on every side would put them. Meant for maps
    without negative values (behind a ReLU), where a zero never wins over the values beside it.

    Example:
        >>> [tuple(SamePad()(torch.zeros(1, 1, n, n)).shape[2:]) for n in (5, 6)]
        [(7, 7), (7, 7)]
    """

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C h w"]:
        """Pad rows and columns, each by its own parity."""
        top, left = x.shape[-2] % 2, x.shape[-1] % 2
        return functional.pad(x, (left, 1, top, 1))


class ResNet(Encoder):
    r"""Residual network without its classifier: five feature maps of strides 2, 4, 8, 16, 32.

    Args:
        blocks: residual blocks in each of the four stages.
        bottleneck: blocks of 1x1, 3x3, 1x1 with four times as many channels behind, or of 3x3, 3x3.
        width: channels of the first convolution and of the first stage's 3x3; doubled at each stage.
        form: ``caffe`` or ``torchvision``, see the table above.
        images: how many images it sees at once, one behind the other along the channels.

    A side of n pixels becomes ceil(n / 2) at every stride, in both forms.

    Source: He et al., "Deep residual learning for image recognition" (CVPR 2016).

    Example:
        >>> encoder = ResNet((1, 1, 1, 1), bottleneck=False, width=8)
        >>> [tuple(maps.shape[1:]) for maps in encoder(torch.zeros(1, 3, 64, 96))]
        [(8, 32, 48), (8, 16, 24), (16, 8, 12), (32, 4, 6), (64, 2, 3)]
        >>> encoder.channels, encoder.strides
        ((8, 8, 16, 32, 64), (2, 4, 8, 16, 32))
    """

    strides = (2, 4, 8, 16, 32)

    def __init__(
        self,
        blocks: Sequence[int],
        *,
        bottleneck: bool,
        width: int = 64,
        form: str = "caffe",
        images: int = 1,
    ) -> None:
        super().__init__()
        if form not in ("caffe", "torchvision"):
            raise ValueError(f"form must be 'caffe' or 'torchvision', got {form!r}")
        caffe, block = form == "caffe", _Bottleneck if bottleneck else _Basic
        widths = [width * 2**stage for stage in range(4)]
        self.channels = (width, *(block.expansion * side for side in widths))
        self.conv1 = nn.Conv2d(3 * images, width, 7, stride=2, padding=3, bias=caffe)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = (
            nn.Sequential(SamePad(), nn.MaxPool2d(3, 2)) if caffe else nn.MaxPool2d(3, 2, padding=1)
        )
        for stage, (inputs, hidden, count) in enumerate(zip(self.channels, widths, blocks, strict=False), 1):
            first = block(inputs, hidden, stride=1 if stage == 1 else 2, caffe=caffe)
            others = [
                block(block.expansion * hidden, hidden, stride=1, caffe=caffe) for _ in range(count - 1)
            ]
            self.add_module(f"layer{stage}", nn.Sequential(first, *others))
        initialise_he(self)

    def forward(self, x: Float[Tensor, "B C H W"]) -> list[Tensor]:
        """Normalised image, or images, to five feature maps."""
        maps = [self.bn1(self.conv1(x)).relu_()]  # 1/2
        y = self.maxpool(maps[0])  # 1/4
        for stage in range(1, 5):
            y = self.get_submodule(f"layer{stage}")(y)  # 1/4, 1/8, 1/16, 1/32
            maps.append(y)
        return maps


def resnet50(*, width: int = 64, form: str = "caffe", images: int = 1) -> ResNet:
    """ResNet-50: 3, 4, 6 and 3 bottlenecks; 2048 channels at stride 32.

    Example:
        >>> with torch.device("meta"):
        ...     sum(parameter.numel() for parameter in resnet50().parameters())
        23508096
    """
    return ResNet((3, 4, 6, 3), bottleneck=True, width=width, form=form, images=images)


def resnet18(*, width: int = 64, form: str = "caffe", images: int = 1) -> ResNet:
    """ResNet-18: two blocks of two 3x3 convolutions a stage; 512 channels at stride 32.

    Example:
        >>> resnet18(width=8).channels
        (8, 8, 16, 32, 64)
    """
    return ResNet((2, 2, 2, 2), bottleneck=False, width=width, form=form, images=images)


def resnet34(*, width: int = 64, form: str = "caffe", images: int = 1) -> ResNet:
    """ResNet-34: 3, 4, 6 and 3 blocks of two 3x3 convolutions; 512 channels at stride 32.

    Example:
        >>> with torch.device("meta"):
        ...     sum(parameter.numel() for parameter in resnet34(form="torchvision").parameters())
        21284672
    """
    return ResNet((3, 4, 6, 3), bottleneck=False, width=width, form=form, images=images)


class ResidualBlock(nn.Module):
    """relu(branch(x) + x); x passes a projection, 1x1 but for another ``kernel``, where its size or its
    channels change. Subclasses give ``branch``.
    """

    expansion: ClassVar[int]
    """Channels that come out, for one of the branch's own."""

    def __init__(self, inputs: int, outputs: int, stride: int, kernel: int = 1) -> None:
        super().__init__()
        self.downsample: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.downsample = nn.Sequential(_conv(inputs, outputs, kernel, stride), nn.BatchNorm2d(outputs))

    def branch(self, x: Tensor) -> Tensor:
        """What is added to x."""
        raise NotImplementedError

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D h w"]:
        """Features to features."""
        return (self.branch(x) + self.downsample(x)).relu_()


class _Bottleneck(ResidualBlock):
    """1x1 to few channels, 3x3 among them, 1x1 to four times as many."""

    expansion = 4

    def __init__(self, inputs: int, hidden: int, *, stride: int, caffe: bool) -> None:
        super().__init__(inputs, 4 * hidden, stride)
        first, second = (stride, 1) if caffe else (1, stride)
        self.conv1, self.bn1 = _conv(inputs, hidden, 1, first), nn.BatchNorm2d(hidden)
        self.conv2, self.bn2 = _conv(hidden, hidden, 3, second), nn.BatchNorm2d(hidden)
        self.conv3, self.bn3 = _conv(hidden, 4 * hidden, 1), nn.BatchNorm2d(4 * hidden)

    def branch(self, x: Tensor) -> Tensor:
        """Three convolutions, a ReLU between them."""
        y = self.bn1(self.conv1(x)).relu_()
        y = self.bn2(self.conv2(y)).relu_()
        return self.bn3(self.conv3(y))


class _Basic(ResidualBlock):
    """Two 3x3 convolutions; the stride lies on the first in both forms."""

    expansion = 1

    def __init__(self, inputs: int, hidden: int, *, stride: int, caffe: bool) -> None:
        super().__init__(inputs, hidden, stride)
        self.conv1, self.bn1 = _conv(inputs, hidden, 3, stride), nn.BatchNorm2d(hidden)
        self.conv2, self.bn2 = _conv(hidden, hidden, 3), nn.BatchNorm2d(hidden)

    def branch(self, x: Tensor) -> Tensor:
        """Two convolutions, a ReLU between them."""
        return self.bn2(self.conv2(self.bn1(self.conv1(x)).relu_()))


TAKEN: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "behind": (("relu0", "pool0", "transition1", "transition2"), ()),
    "before": (("relu0",), ("transition1", "transition2", "transition3")),
}
"""Parts of a DenseNet behind which a map is taken, and those in which it is taken before their pool."""


class DenseNet(Encoder):
    r"""DenseNet without its classifier: maps of strides 2, 4, 8, 16 and 32.

    In a dense block every layer sees the maps of all layers before it and adds ``growth`` of its own; behind
    each block but the last a transition (BN, ReLU, 1x1, 2x2 average pool) halves channels and sides. The
    first map is that behind the first convolution (with its norm and ReLU), the last that behind the last
    norm and a ReLU. The three between are, by ``taken``,

    * ``behind`` the pools, as DenseDepth joins them: the first pool's and those of the first two transitions;
    * ``before`` the pools of the three transitions, as Hu et al. 2019 take them: as large as the dense block,
      half as many channels.

    (Libraries that return what stands before the *transitions* give wider maps: 256 and 512 channels at
    strides 4 and 8 of DenseNet-169.) The layers are torchvision's.

    Args:
        growth: channels that a layer adds.
        blocks: layers of the four dense blocks.
        width: channels of the first convolution.
        taken: ``behind`` or ``before``.

    Raises:
        ValueError: another ``taken``.

    Source: Huang et al., "Densely connected convolutional networks" (CVPR 2017).

    Example:
        >>> encoder = DenseNet(4, (1, 1, 1, 1), 8)
        >>> [tuple(maps.shape[1:]) for maps in encoder(torch.zeros(1, 3, 64, 96))]
        [(8, 32, 48), (8, 16, 24), (6, 8, 12), (5, 4, 6), (8, 2, 3)]
        >>> encoder = DenseNet(4, (1, 1, 1, 1), 8, taken="before")
        >>> [tuple(maps.shape[1:]) for maps in encoder(torch.zeros(1, 3, 64, 96))]
        [(8, 32, 48), (6, 16, 24), (5, 8, 12), (4, 4, 6), (8, 2, 3)]
    """

    strides = (2, 4, 8, 16, 32)

    def __init__(
        self, growth: int, blocks: tuple[int, int, int, int], width: int, *, taken: str = "behind"
    ) -> None:
        from torchvision.models import DenseNet as Torchvision

        super().__init__()
        if taken not in TAKEN:
            raise ValueError(f"taken must be 'behind' or 'before', got {taken!r}")
        self.taken = taken
        self.features = Torchvision(growth, blocks, width, num_classes=1).features
        channels = [width, width]
        for layers in blocks[:-1]:
            channels.append((channels[-1] + growth * layers) // 2)
        between = channels[1:4] if taken == "behind" else channels[2:5]
        self.channels = (width, *between, channels[4] + growth * blocks[3])

    def forward(self, x: Image) -> list[Tensor]:
        """Normalised image to its five feature maps."""
        behind, before_pool = TAKEN[self.taken]
        maps = []
        for name, layer in self.features.named_children():
            if name in before_pool:
                *norm_relu_conv, layer = layer.children()
                x = nn.Sequential(*norm_relu_conv)(x)
                maps.append(x)
            x = layer(x)
            if name in behind:
                maps.append(x)
        return [*maps, torch.relu(x)]


def densenet169() -> DenseNet:
    """DenseNet-169: 6, 12, 32 and 32 layers that add 32 channels each; 1664 at stride 32.

    Example:
        >>> with torch.device("meta"):
        ...     encoder = densenet169()
        >>> encoder.channels, sum(parameter.numel() for parameter in encoder.parameters())
        ((64, 64, 128, 256, 1664), 12484480)
    """
    return DenseNet(32, (6, 12, 32, 32), 64)


def densenet161(*, taken: str = "behind") -> DenseNet:
    """DenseNet-161: 6, 12, 36 and 24 layers that add 48 channels each; 2208 at stride 32.

    Example:
        >>> with torch.device("meta"):
        ...     encoder = densenet161(taken="before")
        >>> encoder.channels, sum(parameter.numel() for parameter in encoder.parameters())
        ((96, 192, 384, 1056, 2208), 26472000)
    """
    return DenseNet(48, (6, 12, 36, 24), 96, taken=taken)


class VGG16(Encoder):
    """The thirteen convolutions of VGG-16: feature maps behind its five pools, of strides 2 to 32.

    A side of n pixels becomes floor(n / 2) at every pool. No batch norm: the input must be normalised.

    Source: Simonyan and Zisserman, "Very deep convolutional networks" (ICLR 2015), configuration D.

    Example:
        >>> [tuple(maps.shape[1:]) for maps in VGG16(width=8)(torch.zeros(1, 3, 64, 96))]
        [(8, 32, 48), (16, 16, 24), (32, 8, 12), (64, 4, 6), (64, 2, 3)]
    """

    strides = (2, 4, 8, 16, 32)

    def __init__(self, *, width: int = 64) -> None:
        super().__init__()
        self.channels = (width, 2 * width, 4 * width, 8 * width, 8 * width)
        layers: list[nn.Module] = []
        inputs = 3
        for outputs, count in zip(self.channels, (2, 2, 3, 3, 3), strict=True):
            for _ in range(count):
                layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
                inputs = outputs
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        initialise_he(self)

    def forward(self, x: Image) -> list[Tensor]:
        """Normalised image to its five feature maps."""
        return _behind_pools(self.features, x)


class AlexNet(Encoder):
    """The five convolutions of AlexNet, ungrouped and without response norm: maps behind its three pools.

    Kernels 11 (stride 4, padding 2), 5, 3, 3, 3; pools 3x3 of stride 2, unpadded. 228 x 304 pixels become
    6 x 8. Channels are those of the publication, so that torchvision's file, a later variant with 64 first
    channels, does not fit.

    Source: Krizhevsky et al., "ImageNet classification with deep convolutional neural networks" (NIPS 2012).

    Example:
        >>> [tuple(maps.shape[1:]) for maps in AlexNet((4, 8, 8, 8, 8))(torch.zeros(1, 3, 228, 304))]
        [(4, 27, 37), (8, 13, 18), (8, 6, 8)]
    """

    strides = (8, 16, 32)

    def __init__(self, channels: tuple[int, int, int, int, int] = (96, 256, 384, 384, 256)) -> None:
        super().__init__()
        c1, c2, c3, c4, c5 = channels
        self.channels = (c1, c2, c5)
        self.features = nn.Sequential(
            nn.Conv2d(3, c1, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(c1, c2, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(c2, c3, 3, padding=1), nn.ReLU(),
            nn.Conv2d(c3, c4, 3, padding=1), nn.ReLU(),
            nn.Conv2d(c4, c5, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2),
        )  # fmt: skip
        initialise_he(self)

    def forward(self, x: Image) -> list[Tensor]:
        """Normalised image to its three feature maps."""
        return _behind_pools(self.features, x)


def initialise_he(network: nn.Module) -> None:
    r"""Weights normal with variance 2 / fan in, biases zero, batch norm the identity (He et al. 2015).

    The numbers a convolution reads for one result are its fan in: rows x columns x input channels.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """A convolution that keeps the size, up to its stride; its bias is that of the batch norm behind it."""
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)


def _behind_pools(layers: nn.Sequential, x: Tensor) -> list[Tensor]:
    """What comes out of every pool of a plain stack of layers."""
    maps = []
    for layer in layers:
        x = layer(x)
        if isinstance(layer, nn.MaxPool2d):
            maps.append(x)
    return maps
