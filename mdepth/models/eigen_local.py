r"""Chakrabarti, Shao and Shakhnarovich, "Depth from a single image by harmonizing overcomplete local network
predictions" (NIPS 2016): the network. What it predicts, and how a depth map comes of it, is in
:mod:`mdepth.models.eigen_harmony`.

Two paths. The **local** one sees 97 x 97 pixels around each pixel through seven convolutions; the **scene**
one sees the whole image through VGG-19 and two fully connected layers. Three 1x1 convolutions make of both,
at every pixel, 64 weights for each of 64 filters.

Written from a description of paper and released code, not from code. What it leaves open, and how we read it:
zero padding of the local convolutions, the centre of the enlarged scene features as their crop, ReLU between
the 1x1 convolutions and none behind the last fully connected layer, Caffe's xavier for all convolutions.

Where we differ: VGG's convolutions start from random weights too, where the paper takes them from ImageNet;
the last layer starts at a flat map (``begin``) and not at random.
"""

from collections import OrderedDict
from dataclasses import dataclass
from math import prod, sqrt
from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional as F

from mdepth.geometry import depth_to_inverse_depth
from mdepth.models.contract import DepthNetwork, Native
from mdepth.models.eigen_harmony import Components, LogWeights, filter_bank, harmonise, schedule
from mdepth.shapes import Bool, Depth, Float, Image, Tensor, Valid

__all__ = ["NYU", "ROOMS", "EigenLocal", "LocalSize"]

KERNELS = (3, 3, 5, 5, 5, 5, 3)
"""Sides of the local path's kernels."""
NEAREST = 0.5
"""Metres; where the components of an untrained network begin."""
CAFFE_BGR = (103.939, 116.779, 123.68)
"""Means of blue, green and red that the released VGG networks subtract."""


@dataclass(frozen=True)
class LocalSize:
    """Everything that differs between the paper's network and a small one. Sizes are (height, width)."""

    image_size: tuple[int, int]
    input_size: tuple[int, int]
    offset: tuple[int, int]
    """Row and column of the image at which the input begins."""
    scene_crop: tuple[int, int]
    """The centre of the input, which the scene path sees."""
    scene_map: tuple[int, int, int] = (64, 15, 19)
    """Channels, rows and columns that the scene path gives, before they are enlarged."""
    scene_factor: int = 32
    scales: tuple[float, ...] = (2.0, 4.0, 8.0)
    count: int = 64
    """Components of each filter's mixture."""
    local: tuple[int, ...] = (128, 128, 192, 256, 512, 1024, 1024)
    steps: tuple[int, ...] = (1, 1, 2, 2, 2, 2, 1)
    """By how much each convolution widens the spacing of what follows."""
    vgg: tuple[tuple[int, int], ...] = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))
    """Channels and number of convolutions before each pool."""
    hidden: int = 4096
    mix: tuple[int, int] = (512, 256)
    stride: int = 1
    """Input pixels per pixel of the map, in each direction; filters are measured in pixels of the map."""
    ratio: float = 2 ** (1 / 8)
    """Of the weights of successive harmonisation steps."""


NYU = LocalSize(
    image_size=(480, 640), input_size=(427, 561), offset=(44, 40), scene_crop=(384, 512),
)  # fmt: skip
"""The paper's: rows 45 to 471 and columns 41 to 601 (counted from one) of a Kinect image."""
ROOMS = LocalSize(
    image_size=(96, 128), input_size=(96, 128), offset=(0, 0), scene_crop=(96, 128), scene_map=(8, 6, 8),
    scene_factor=16, scales=(1.0, 2.0), count=25, local=(16, 16, 24, 32, 48, 64, 64),
    steps=(1, 1, 2, 2, 2, 1, 1), vgg=((16, 1), (24, 1), (32, 1), (48, 1)), hidden=128, mix=(96, 64), stride=2,
    ratio=2 ** (1 / 4),
)  # fmt: skip
"""The same for the small synthetic rooms: thinner, 43 filters, maps of 48 x 64, 69 steps."""


class EigenLocal(DepthNetwork):
    r"""From an image to distributions of the inverse depth's local properties, and from those to depth.

    .. math:: \log p_{i}(n) = \mathrm{logsoftmax}\big(M_3\,\mathrm{relu}(M_2\,\mathrm{relu}(M_1\,
        [\ell(x)(n),\; s(x)(n)]))\big)_i, \qquad z = 1 / \max(0.1,\, \mathrm{harmonise}(p))

    with :math:`\ell` the local and s the enlarged scene features. The native output (B, K, M, h, w) are the
    logarithms of M weights for K filters; ``to_depth`` harmonises them (slow: 137 steps at the paper's size).
    No gradient passes through the harmonisation, and the training loss needs none:
    :func:`~mdepth.models.eigen_harmony.local_loss`.

    The same weights serve two spacings. Asked for every 8th pixel, as in training, convolutions 3 to 5 have
    stride 2 and the 7th dilation 2; asked for every pixel, all strides are 1 and the dilations 1, 1, 1, 2, 4,
    8, 16. Both give the same numbers where both answer.

    Means and variances of the components are fitted to training maps and handed over with ``begin``; until
    then they are spread over all that maps between 0.5 m and the largest depth can answer.

    Args:
        size: ``NYU``, ``ROOMS`` or your own.
        dropout: share of the scene path's hidden vector that is zeroed in training.

    Source: the paper's Figure 2 and text; dilations and strides as in the released code.

    Example:
        >>> EigenLocal(ROOMS)(torch.zeros(1, 3, 96, 128)).shape
        torch.Size([1, 43, 25, 48, 64])
    """

    native: ClassVar[Native] = "inverse_depth"
    one_pass: ClassVar[bool] = False
    metric: bool = True
    mean = (0.5, 0.5, 0.5)
    std = (0.5, 0.5, 0.5)
    means: Float[Tensor, "K M"]
    variances: Float[Tensor, " K"]

    def __init__(self, size: LocalSize = NYU, *, dropout: float = 0.5) -> None:
        height, width = size.input_size
        super().__init__(
            image_size=size.image_size, input_size=size.input_size, covered=(0, height, 0, width)
        )
        self.size, self.depth_range = size, (0.1, 10.0)
        self.bank = filter_bank(size.scales)
        plan = zip((3, *size.local), size.local, KERNELS, strict=False)
        self.local = nn.ModuleDict({f"conv{n}": nn.Conv2d(*layer) for n, layer in enumerate(plan, start=1)})
        self.scene = _scene_path(size, dropout)
        mix = (size.local[-1] + size.scene_map[0], *size.mix, len(self.bank.order) * size.count)
        self.mix = nn.Sequential(
            OrderedDict[str, nn.Module](
                conv1=nn.Conv2d(mix[0], mix[1], 1), relu1=nn.ReLU(), conv2=nn.Conv2d(mix[1], mix[2], 1),
                relu2=nn.ReLU(), conv3=nn.Conv2d(mix[2], mix[3], 1),
            )
        )  # fmt: skip
        _initialise(self)
        even = Components.even(self.bank, size.count, 1 / self.depth_range[1], 1 / NEAREST)
        self.register_buffer("means", even.means)
        self.register_buffer("variances", even.variances)
        self.begin(even)

    @property
    def components(self) -> Components:
        """What the weights of the native output belong to."""
        return Components(self.means, self.variances)

    @torch.no_grad()
    def begin(self, components: Components, inverse_depth: float = 0.4) -> None:
        """Take fitted means and variances, and begin with a flat map everywhere: the last layer gets weights
        near zero, and as bias a wide Gaussian around the answers of a constant ``inverse_depth`` (in 1/m),
        with an eighth of the means' range as its deviation.
        """
        self.means.copy_(components.means)
        self.variances.copy_(components.variances)
        flat = inverse_depth * self.bank.kernels.to(self.means).sum(dim=(1, 2))
        width = (self.means[:, -1] - self.means[:, 0]) / 8
        wide = Components(self.means, width**2).log_weights(flat[None, :, None, None])
        nn.init.normal_(self.get_parameter("mix.conv3.weight"), std=1e-4)
        self.get_parameter("mix.conv3.bias").copy_(wide.flatten())

    def crop_offset(self) -> tuple[int, int]:
        """Row and column of ``image_size`` at which the input begins: not quite its centre."""
        return self.size.offset

    def forward(self, x: Image, stride: int | None = None) -> Float[Tensor, "B K M h w"]:
        """Normalised image to log weights at every ``stride``-th input pixel, from the first one on (None:
        the size's own; 8 in the paper's training).
        """
        stride = self.size.stride if stride is None else stride
        joint = torch.cat([self.see_near(x, stride), self.see_scene(x, stride)], dim=1)  # B 1024+64 h w
        weights: Tensor = self.mix(joint)  # B K*M h w
        return weights.unflatten(1, (-1, self.size.count)).log_softmax(dim=2)

    def see_near(self, x: Image, stride: int) -> Float[Tensor, "B C h w"]:
        """The local features at every ``stride``-th pixel.

        A step that the stride has no room for becomes dilation: taps further apart in all that follows.

        Raises:
            ValueError: if strides of the local path cannot make ``stride``.
        """
        grid, dilation = 1, 1  # pixels between two answers so far; answers between two taps
        for conv, step in zip(self.local.values(), self.size.steps, strict=True):
            taken = step if grid * step <= stride else 1
            x = _answer(conv, x, taken, dilation).relu()
            grid, dilation = grid * taken, dilation * step // taken
        if grid != stride:
            raise ValueError(
                f"stride must be a product of the first of the steps {self.size.steps}, got {stride}"
            )
        return x

    def see_scene(self, x: Image, stride: int) -> Float[Tensor, "B C h w"]:
        """The scene features at every ``stride``-th pixel: few, and enlarged."""
        caffe = 127.5 * (x + 1).flip(1) - x.new_tensor(CAFFE_BGR).view(3, 1, 1)  # blue, green, red
        features = self.scene(_centre(caffe, self.size.scene_crop))
        features = F.interpolate(
            features, scale_factor=float(self.size.scene_factor), mode="bilinear", align_corners=False
        )
        return _centre(features, self.input_size)[..., ::stride, ::stride]

    def to_depth(self, native: LogWeights) -> Depth:
        """Log weights to metres: harmonised, 1 / max(0.1, y)."""
        y = harmonise(native, self.bank, self.components, betas=schedule(self.size.ratio))
        return 1 / y.clamp(min=1 / self.depth_range[1])

    def targets(
        self, depth: Depth, valid: Valid, stride: int | None = None
    ) -> tuple[Float[Tensor, "B K h w"], Bool[Tensor, "B 1 h w"]]:
        """What ``forward(x, stride)`` is trained on: responses of the true inverse depth (of ``input_size``),
        and where their whole support is known.

        The map's pixels are the first of every ``size.stride``; filters are measured in these.
        """
        own = self.size.stride
        step = 1 if stride is None else stride // own
        inverse = depth_to_inverse_depth(torch.where(valid, depth, 0.0)[..., ::own, ::own])
        known = self.bank.support(valid[..., ::own, ::own])
        return self.bank.responses(inverse)[..., ::step, ::step], known[..., ::step, ::step]

    def receptive_field(self) -> int:
        """Side of the square of input pixels that one local feature sees.

        Example:
            >>> with torch.device("meta"):
            ...     EigenLocal(NYU).receptive_field()
            97
        """
        spacings = [prod(self.size.steps[:n]) for n in range(len(KERNELS))]
        return 1 + sum((kernel - 1) * spacing for kernel, spacing in zip(KERNELS, spacings, strict=True))


def _answer(conv: nn.Module, x: Tensor, stride: int, dilation: int) -> Tensor:
    """A convolution at every ``stride``-th place, from taps ``dilation`` places apart; zeros around keep the
    map's size.
    """
    assert isinstance(conv, nn.Conv2d)  # a ModuleDict does not say what it holds
    spread = dilation * (conv.kernel_size[0] // 2)
    conv.stride, conv.dilation, conv.padding = (stride, stride), (dilation, dilation), (spread, spread)
    return conv(x)


def _scene_path(size: LocalSize, dropout: float) -> nn.Sequential:
    """VGG's convolutions, a 2x2 average, two fully connected layers, and the vector as a map."""
    layers = OrderedDict[str, nn.Module]()
    inputs = 3
    for stage, (channels, convolutions) in enumerate(size.vgg, start=1):
        for n in range(1, convolutions + 1):
            layers[f"conv{stage}_{n}"] = nn.Conv2d(inputs, channels, 3, padding=1)
            layers[f"relu{stage}_{n}"] = nn.ReLU()
            inputs = channels
        layers[f"pool{stage}"] = nn.MaxPool2d(2)
    rows, columns = (side // 2 ** (len(size.vgg) + 1) for side in size.scene_crop)
    layers |= {"average": nn.AvgPool2d(2), "flatten": nn.Flatten()}
    layers |= {"fc6": nn.Linear(inputs * rows * columns, size.hidden), "relu6": nn.ReLU()}
    layers |= {"dropout": nn.Dropout(dropout), "fc7": nn.Linear(size.hidden, prod(size.scene_map))}
    layers["map"] = nn.Unflatten(1, size.scene_map)
    return nn.Sequential(layers)


def _centre(x: Float[Tensor, "B C H W"], size: tuple[int, int]) -> Float[Tensor, "B C h w"]:
    """The centre of a map."""
    top, left = ((have - want) // 2 for have, want in zip(x.shape[-2:], size, strict=True))
    return x[..., top : top + size[0], left : left + size[1]]


def _initialise(network: nn.Module) -> None:
    """Biases 0; convolutions uniform within sqrt(3 / fan in), fully connected layers normal with 0.01."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            bound = sqrt(3 / module.weight[0].numel())
            nn.init.uniform_(module.weight, -bound, bound)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
