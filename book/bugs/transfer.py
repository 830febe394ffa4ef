"""What ports of DenseDepth and other U-Nets for depth got wrong, each as the smallest change that does it.

Everything here is wrong on purpose, or another convention than the one that weights were trained with. The
right versions stand in :mod:`mdepth.datasets.nyu`, :mod:`mdepth.metrics`, :mod:`mdepth.losses` and
:mod:`mdepth.models.transfer`. First how files become depth, then how depth becomes a target, then scores and
losses. Last what changes a network: such a function leaves the given network as it is, and returns a wrong
copy with parameters of its own; ``forward`` and ``predict`` of the copy are called as before.

Depth is in metres, and the farthest depth of NYU is 10 m. No code of any port is here.
"""

from collections.abc import Sequence
from copy import deepcopy
from typing import Literal, TypeVar

import torch
from torch import nn
from torch.nn import functional

from mdepth.image import gaussian_window, resize, ssim
from mdepth.losses import l1_loss, ssim_loss
from mdepth.metrics import per_image
from mdepth.models.contract import DepthNetwork
from mdepth.models.encoders import IMAGENET, DenseNet
from mdepth.models.transfer import SLOPE, DenseDepth, ResNetUNet, as_large_as, join
from mdepth.recipes import transfer_measures
from mdepth.shapes import Depth, Float, Image, Tensor, Valid

__all__ = [
    "activation_between", "clamped_in_centimetres", "cut_on_one_side", "doubled", "eight_bit", "half_pixel",
    "high_byte", "imagenet_input", "inverted_last", "loss_without_slopes", "min_max", "numbers_as_indices",
    "padded_1x1", "padded_skips", "rotated", "skips_before_transitions", "soft_accuracy",
    "ssim_clamped_per_pixel", "ssim_of_range_1", "swapped_rel", "unclipped_reciprocal", "wrapped",
]  # fmt: skip

Maps = Float[Tensor, "B C H W"]
Item = TypeVar("Item")

NEAREST, FARTHEST = 0.1, 10.0
"""The ends to which DenseDepth clips depth, in metres."""


# Files


def eight_bit(depth: Depth) -> Depth:
    """Depth as the published training files of DenseDepth hold it: 255 levels for 10 m, steps of 3.92 cm.

    The step is the same for near and far, so what is near suffers: a step is a 25th of 1 m and a 255th of
    10 m. Level 0 is a depth of 0. (The test files of the same data have steps of 1 mm.)
    """
    return (depth / FARTHEST * 255).round().clamp(0, 255) * FARTHEST / 255


def high_byte(depth: Depth) -> Depth:
    """The levels that are left of a 16-bit file in millimetres when it is read with 8 bits: the high byte.

    A level is 25.6 cm, and 10 m become 39 of them. One port reads the test files so, by the default of its
    image library.
    """
    return (1000 * depth).round().div(256, rounding_mode="floor")


def wrapped(depth: Depth) -> Depth:
    """Depth as it comes back from a 16-bit file in steps of 0.1 mm, which ends at 6.5535 m and begins again.

    8 m come back as 1.4464 m: the far wall of a long room stands before its furniture. One port writes the
    labelled images of NYU so.
    """
    return (10_000 * depth).round().remainder(2**16) / 10_000


def rotated(stored: Float[Tensor, "B C W H"]) -> Maps:
    """Maps of NYU's labelled file turned by -90 degrees, where the file has its axes exchanged.

    Exchanging them back keeps the pixel at the top left where it is. The turn gives a mirror image, of
    picture and depth alike, so that nothing looks wrong until a map is compared with another reader's. One
    port does so.
    """
    return torch.rot90(stored, -1, (-2, -1))


def numbers_as_indices(items: Sequence[Item], numbers: Sequence[int]) -> list[Item]:
    """The items of NYU's split, with its numbers, which count from 1, taken as indices, which count from 0.

    Every item is the one behind the right one. So some test images are official training images and the
    other way round, the first image belongs to no part, and the last number is no index at all.
    """
    return [items[number] for number in numbers]


# Targets


def unclipped_reciprocal(depth: Depth) -> Depth:
    """The target 10 m / depth with depth clipped to [0, 10] m, where it should be [0.1, 10] m.

    Level 0 of a training file, or any other hole, gives infinity, and so is the loss of its batch. The
    released Keras loader does so; those for PyTorch and TensorFlow 2 clip at 0.1 m.
    """
    return FARTHEST / depth.clamp(0, FARTHEST)


def inverted_last(depth: Depth, size: tuple[int, int]) -> Float[Tensor, "B 1 h w"]:
    """The target 10 m / depth at another size, with the depth resized first and inverted then.

    The released PyTorch script does so, the Keras code resizes the reciprocal. On even depth both agree. At
    an edge the mean of the depths lies farther away than the depth of the mean reciprocal: the target is too
    small there, never too large.
    """
    return FARTHEST / resize(depth, size, antialias=True).clamp(NEAREST, FARTHEST)


def clamped_in_centimetres(depth: Depth) -> Depth:
    """Depth in metres clamped to [10, 1000], which is right for centimetres: 10 in every pixel.

    To the rest of that code, whose unit is the centimetre, the whole room would be 10 cm away. It stands in
    the test branch of the released PyTorch loader, behind a division of millimetres by 1000; nothing calls
    that branch.
    """
    return depth.clamp(10, 1000)


def min_max(maps: Maps) -> Maps:
    """Each image or depth map stretched to what lies between its own smallest and largest value, 0 to 1.

    One port does so with both. The picture loses its brightness and contrast, the depth its metric scale; and
    since the nearest pixel becomes 0, an error relative to the truth has no value there.
    """
    least, most = maps.amin(dim=(1, 2, 3), keepdim=True), maps.amax(dim=(1, 2, 3), keepdim=True)
    return (maps - least) / (most - least)


# Scores


def swapped_rel(prediction: Depth, target: Depth, valid: Valid) -> Float[Tensor, " B"]:
    """The relative error of every image divided by the prediction instead of the truth.

    The released evaluation of DenseDepth hands its arguments over in the wrong order: 0.1274, where 0.1234 is
    right. It favours predictions that are too deep: twice the truth costs 1/2 instead of 1. The logarithmic
    errors and the deltas do not mind.
    """
    return per_image("abs_rel", target, prediction, valid)


def soft_accuracy(prediction: Depth, target: Depth, valid: Valid) -> Float[Tensor, " B"]:
    """The share of pixels at which prediction and truth, divided by 10 m, round to the same of 0 and 1.

    All it asks is whether both lie on the same side of 5 m. One port calls it soft accuracy. The course
    project reports a depth accuracy of 0.76, probably this, for a network whose delta1 is 0.558.
    """
    return transfer_measures.soft_accuracy(prediction, target, valid)


# The loss


def loss_without_slopes(
    prediction: Depth, target: Depth, valid: Valid, lam: float = 0.1
) -> Float[Tensor, ""]:
    """DenseDepth's loss without its gradient term, as the released PyTorch script has it.

    What is left is a tenth of the absolute errors and an SSIM that is near 1 nearly everywhere.
    """
    return lam * l1_loss(prediction, target, valid) + ssim_loss(prediction, target, valid)


def ssim_of_range_1(prediction: Depth, target: Depth, valid: Valid) -> Float[Tensor, ""]:
    """The SSIM term with a range of 1 instead of 100, its constants 1e-4 and 9e-4 instead of 1 and 9.

    One port does so, for maps between 0 and 1. With reciprocals from 1 to 100 the constants mean nothing any
    more, and faint noise on an even wall costs nearly as much as an edge that is missed.
    """
    return ssim_loss(prediction, target, valid, data_range=1.0)


def ssim_clamped_per_pixel(
    prediction: Depth, target: Depth, valid: Valid, *, data_range: float = 100.0
) -> Float[Tensor, ""]:
    """The SSIM term clamped to [0, 1] in every pixel, where DenseDepth clamps its mean.

    A common library does so. It is the one difference here that costs nothing: SSIM cannot leave [-1, 1] but
    by rounding, so that the values agree unless the maps are very large against the range.
    """
    target = torch.where(valid, target, prediction.detach())
    similarity = ssim(
        prediction, target, window=gaussian_window(11, 1.5), padding="valid", data_range=data_range
    )
    return ((1 - similarity) / 2).clamp(0, 1).mean()


# A ResNet and the decoder of a U-Net


def doubled(network: DepthNetwork) -> DepthNetwork:
    """``ResNetUNet`` with every map enlarged by two, whatever the size of the skip that it joins.

    The plain decoder of a U-Net. A ResNet makes 240 rows to 120, 60, 30, 15 and 8, twice 8 are 16, and torch
    refuses to join 16 rows to 15. Where all sides are multiples of 32 nothing changes.
    """
    return _turned(network, _Doubled)


def cut_on_one_side(network: DepthNetwork, side: Literal["start", "end"]) -> DepthNetwork:
    """``doubled``, with the rows and columns that are too many cut off above and on the left, or behind.

    At the ``start``, what a coarse map says of rows 2k and 2k + 1 goes to rows 2k - 1 and 2k: at 240 rows
    everything from the bottom of the network arrives 16 pixels too high. At the ``end`` every row keeps the
    place that it has at sizes that fit.
    """
    copy = _turned(network, _Cut)
    copy.side = side
    return copy


def padded_skips(network: DepthNetwork) -> DepthNetwork:
    """``doubled``, with zeros below and on the right of every skip that is too small.

    The maps fit, and the answer is larger than the image: 256 rows for 240. If it is then resized to the
    image, as ``predict`` does, the whole map is squeezed upwards, at the bottom by 15 rows.
    """
    return _turned(network, _Padded)


class _Doubled(ResNetUNet):
    """Enlarges by two."""

    def fit(self, y: Maps, skip: Maps) -> tuple[Maps, Maps]:
        """Both maps as they will be joined: here as they are."""
        return y, skip

    def forward(self, x: Image) -> Maps:
        """As in ``ResNetUNet`` but for the enlarging."""
        *skips, y = self.encoder(x)
        for block, skip in zip(self.up, reversed(skips), strict=False):
            y = block(join(*self.fit(_twice(y), skip)))
        y, _ = self.fit(_twice(y), x)
        return torch.sigmoid(self.answer(self.up[-1](y)))


class _Cut(_Doubled):
    """Makes the larger map smaller."""

    side: Literal["start", "end"]

    def fit(self, y: Maps, skip: Maps) -> tuple[Maps, Maps]:
        """The first map without its surplus."""
        height, width = skip.shape[-2:]
        end = self.side == "end"
        return (y[..., :height, :width] if end else y[..., -height:, -width:]), skip


class _Padded(_Doubled):
    """Makes the smaller map larger."""

    def fit(self, y: Maps, skip: Maps) -> tuple[Maps, Maps]:
        """The second map with zeros behind."""
        height, width = skip.shape[-2:]
        return y, functional.pad(skip, (0, y.shape[-1] - width, 0, y.shape[-2] - height))


def _twice(y: Maps) -> Float[Tensor, "B C 2*H 2*W"]:
    """Every value four times."""
    return resize(y, (2 * y.shape[-2], 2 * y.shape[-1]), mode="nearest")


def _turned(network: DepthNetwork, kind: type[DepthNetwork]) -> DepthNetwork:
    """A copy of the network with the methods of a subclass, the weights and their names kept."""
    copy = deepcopy(network)
    copy.__class__ = kind
    return copy


# DenseDepth


def activation_between(network: DepthNetwork) -> DepthNetwork:
    """``DenseDepth`` with a LeakyReLU between the two convolutions of each block.

    The later Keras code has one there, the released weights were trained without. They load in full: an
    activation has no weights.
    """
    copy = deepcopy(network)
    for name, part in copy.named_modules():
        if name.endswith(".convA"):
            part.register_forward_hook(_leaky)
    return copy


def _leaky(part: nn.Module, inputs: tuple[Tensor, ...], output: Maps) -> Maps:
    """What a convolution gives, with a slope of 0.2 below zero."""
    return functional.leaky_relu(output, SLOPE)


def half_pixel(network: DepthNetwork) -> DepthNetwork:
    """``DenseDepth`` with enlargements that lay edges on edges instead of the corners' centres on each other.

    The released PyTorch code has corners on corners, as here; the Keras code takes the default of its
    library. Each enlargement moves what is near the border by up to half a pixel of the larger map, towards
    the middle.
    """
    return _turned(network, _HalfPixel)


class _HalfPixel(DenseDepth):
    """Enlarges by the half-pixel rule."""

    def forward(self, x: Image) -> Maps:
        """As in ``DenseDepth`` but for the enlarging."""
        *skips, y = self.encoder(x)
        y = self.decoder.get_submodule("conv2")(y)
        for number, skip in enumerate(reversed(skips), 1):
            y = as_large_as(skip, y, align_corners=False)
            y = self.decoder.get_submodule(f"up{number}")(join(y, skip))
        return self.decoder.get_submodule("conv3")(y)


def imagenet_input(network: DepthNetwork) -> DepthNetwork:
    """The network fed RGB by ImageNet's mean and deviation, where DenseDepth was trained on [0, 1] as it is.

    The encoder began with ImageNet's weights, so it looks like the right thing to do. Neither released code
    does it.
    """
    copy = deepcopy(network)
    copy.mean, copy.std = IMAGENET
    return copy


def skips_before_transitions(network: DepthNetwork) -> DepthNetwork:
    """``DenseDepth`` with skips from before the transitions of its encoder, which halve the channels.

    A common library of encoders hands these out: 64, 256, 512 and 1280 channels instead of 64, 64, 128 and
    256. The encoder's weights are kept; the decoder has to be wider and is a new one with random weights.
    Trained weights do not load.
    """
    encoder = deepcopy(network.get_submodule("encoder"))
    encoder.__class__ = _BeforeTransitions
    features = encoder.get_submodule("features")
    norms = [features.get_submodule(f"transition{number}.norm") for number in (1, 2, 3)]
    widths = [norm.num_features for norm in norms]
    encoder.channels = (encoder.channels[0], *widths, encoder.channels[-1])
    return DenseDepth(
        lambda: encoder,
        width=network.get_submodule("decoder.conv2").out_channels,
        between=hasattr(network.get_submodule("decoder.up1"), "between"),
        input_size=network.input_size,
        depth_range=network.depth_range,
    )


class _BeforeTransitions(DenseNet):
    """Hands out the maps of the dense blocks."""

    def forward(self, x: Image) -> list[Tensor]:
        """Image to the maps behind the first convolution and behind each of the four blocks."""
        maps = []
        for name, layer in self.features.named_children():
            x = layer(x)
            if name in {"relu0", "denseblock1", "denseblock2", "denseblock3"}:
                maps.append(x)
        return [*maps, torch.relu(x)]


def padded_1x1(network: DepthNetwork) -> DepthNetwork:
    """``DenseDepth`` with a pixel of padding around its 1x1 convolution, which needs none.

    An early port had it. The smallest map grows from 15 x 20 to 17 x 22, its border holding nothing but the
    bias; the next enlargement squeezes it to the size of the skip, and what the encoder saw ends up farther
    inside than it was.
    """
    copy = deepcopy(network)
    copy.get_submodule("decoder.conv2").padding = (1, 1)
    return copy
