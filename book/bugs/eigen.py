"""What ports of Eigen et al. (2014) got wrong, each as the smallest change that does it.

Every function or class here is wrong on purpose. The right version stands in :mod:`mdepth.losses`,
:mod:`mdepth.datasets.transforms` and :mod:`mdepth.models.eigen`; the chapter puts both side by side and says
what each mistake costs. No code of any port is here.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from mdepth.datasets.transforms import zoom
from mdepth.models.contract import DepthNetwork
from mdepth.models.eigen import NYU, EigenCoarse, EigenFine, EigenSize
from mdepth.shapes import Depth, Float, Tensor, Valid

__all__ = [
    "DropoutOnFine", "ReluOutput", "SpatialDropout", "Squeezed", "StridedConv5", "Swapped", "Unfrozen",
    "eight_bit", "literal_sizes", "loss_all_pixels", "loss_mask_after_log", "loss_over_batch", "loss_plus",
    "one_rate", "only_full_layers", "relative_depth", "zoom_picture_only",
]  # fmt: skip


# The network


class StridedConv5(EigenCoarse):
    """The pools of Figure 1 as drawn, 2x2 and none behind convolution 5, which gets a stride of 2 instead.

    Fewer pixels stand behind a feature, and most responses of convolution 5 are never computed, where a pool
    would look at all of them and keep the largest. Every weight has the name and shape of the right
    network's, so official weights load without a complaint.
    """

    def __init__(self, size: EigenSize = NYU) -> None:
        super().__init__(size)
        self.coarse1.get_submodule("conv").padding = (0, 0)  # else the first map is one too large
        for stage in (self.coarse1, self.coarse2):
            stage.pool = nn.MaxPool2d(2, 2)
        self.coarse5.pool = nn.Identity()
        last = self.coarse5.get_submodule("conv")
        last.stride, last.padding = (2, 2), (0, 0)


class Swapped(EigenCoarse):
    """Width x height, as the paper writes sizes, taken for rows x columns: 304 rows and 228 columns.

    The image is squeezed sideways and stretched upwards before the network sees it. The products of the
    sides are the same, so both fully connected layers keep their sizes and nothing complains; weights of the
    right network load, and its templates come out cut into lines of the wrong length.
    """

    def __init__(self, size: EigenSize = NYU) -> None:
        top, bottom, left, right = size.covered
        image, entrance = size.image_size[::-1], size.input_size[::-1]
        super().__init__(
            replace(size, image_size=image, input_size=entrance, covered=(left, right, top, bottom))
        )


class Squeezed(EigenCoarse):
    """One part of what ``Swapped`` does: the convolutions see the image with rows and columns exchanged in
    number, squeezed to three quarters sideways and stretched by a third upwards.

    Their features are brought back to their places, so that the fully connected layers get them as they
    should and only the squeezed things are wrong.
    """

    def features(self, x: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B C h w"]:
        """What the convolutions see in a squeezed image, at the places where it belongs."""
        seen = super().features(_resize(x, x.shape[:1:-1]))
        return _resize(seen, seen.shape[:1:-1])


class ReluOutput(nn.Module):
    """Wraps a network and passes its log depth through a ReLU.

    Log depth is negative below one metre, so nothing nearer than one metre can be predicted any more, and
    where the network would say so it gets no gradient.
    """

    def __init__(self, network: DepthNetwork) -> None:
        super().__init__()
        self.network = network

    def predict(self, image: Float[Tensor, "B 3 H W"]) -> Depth:
        """What ``network.predict`` would give with a ReLU behind its last layer: max(log depth, 0)."""
        return self.network.predict(image).clamp(min=1.0)  # exp(relu(l)) = max(exp(l), 1)


class SpatialDropout(EigenCoarse):
    """Dropout for maps, ``Dropout2d``, on the vector of layer 6: it drops a map at a time, and a vector has
    none.

    torch warns, and then treats every number as a map of one pixel: plain dropout, drawn from the same random
    numbers. The warning announces an error for a later release.
    """

    def __init__(self, size: EigenSize = NYU) -> None:
        super().__init__(size)
        self.coarse6.dropout = nn.Dropout2d(0.5)


class DropoutOnFine(EigenFine):
    """Dropout on the features of the fine network instead of the vector of layer 6.

    The fully connected layers, which needed it, have none, and the network that draws edges has to draw them
    with a part of its features missing, others at every pixel.
    """

    def __init__(self, size: EigenSize = NYU, *, dropout: float = 0.2) -> None:
        super().__init__(size, dropout=0.0)
        self.fine1.add_module("dropout", nn.Dropout(dropout))


def literal_sizes(height: int, width: int) -> list[tuple[str, int, int]]:
    """Rows and columns of every coarse stage if Figure 1 is read literally: an unpadded first convolution and
    2x2 pools.
    """
    rows, columns, sizes = height, width, []
    for stage, kernel, stride, padding, pool in (
        ("coarse1", 11, 4, 0, True),
        ("coarse2", 5, 1, 2, True),
        ("coarse3", 3, 1, 1, False),
        ("coarse4", 3, 1, 1, False),
        ("coarse5", 3, 1, 1, True),
    ):
        rows, columns = ((side + 2 * padding - kernel) // stride + 1 for side in (rows, columns))
        if pool:
            rows, columns = rows // 2, columns // 2
        sizes.append((stage, rows, columns))
    return sizes


def _resize(maps: Float[Tensor, "B C H W"], size: Sequence[int]) -> Float[Tensor, "B C h w"]:
    """Maps at another size, rows and columns."""
    return functional.interpolate(maps, tuple(size), mode="bilinear", antialias=True, align_corners=False)


# The loss


def loss_all_pixels(
    log_prediction: Depth, log_target: Depth, valid: Valid, lam: float = 0.5
) -> Float[Tensor, ""]:
    """The scale-invariant loss with n counted over all pixels instead of the valid ones.

    The two terms then shrink by different powers of the share of valid pixels: the first by s, the second by
    s squared, so what is forgiven of a global scale depends on how many holes the sensor left.
    """
    d = torch.where(valid, log_prediction - log_target, 0.0).flatten(1)
    return (d.square().mean(1) - lam * d.mean(1).square()).mean()


def loss_over_batch(
    log_prediction: Depth, log_target: Depth, valid: Valid, lam: float = 0.5
) -> Float[Tensor, ""]:
    """The scale-invariant loss with both sums over the whole batch instead of one image.

    It forgives a factor that all images share. That of one image is punished in full where the next one is
    wrong by the opposite factor.
    """
    d = (log_prediction - log_target)[valid]
    return d.square().mean() - lam * d.mean().square()


def loss_plus(log_prediction: Depth, log_target: Depth, valid: Valid, lam: float = 0.5) -> Float[Tensor, ""]:
    """The scale-invariant loss with the second term added: a global scale error costs more instead of
    less.
    """
    d = torch.where(valid, log_prediction - log_target, 0.0).flatten(1)
    n = valid.flatten(1).sum(1).clamp(min=1)
    return (d.square().sum(1) / n + lam * (d.sum(1) / n).square()).mean()


def loss_mask_after_log(
    log_prediction: Depth, depth: Depth, valid: Valid, lam: float = 0.5
) -> Float[Tensor, ""]:
    """The scale-invariant loss of depth in metres, with the mask as a factor behind the logarithm.

    A hole is stored as 0, its logarithm is minus infinity, and 0 times infinity is NaN: one hole, and the
    loss of the whole batch is no number.
    """
    mask = valid.to(depth.dtype)
    d = (log_prediction - depth.log()).mul(mask).flatten(1)
    n = mask.flatten(1).sum(1).clamp(min=1)
    return (d.square().sum(1) / n - lam * (d.sum(1) / n).square()).mean()


# The targets


def relative_depth(depth: Depth) -> Depth:
    """Depth divided by the image's largest.

    All metric scale is gone before training begins; the network cannot learn what the numbers in its target
    do not say.
    """
    return depth / depth.amax(dim=(1, 2, 3), keepdim=True).clamp(min=1e-6)


def eight_bit(depth: Depth) -> Depth:
    """Relative depth as an 8-bit picture keeps it: 256 values from 0 to 1.

    The step is a 255th of the image's largest depth for near and far alike, so in ratios it is largest for
    what is nearest.
    """
    return (255 * relative_depth(depth)).round() / 255


def zoom_picture_only(item: dict[str, Any], scale: float) -> dict[str, Any]:
    """The augmentation that enlarges the image by ``scale`` and leaves the depth as it was.

    What looks ``scale`` times as near keeps its old label: a log error of ln(scale) in every pixel, and
    another one each time the same picture is drawn.
    """
    result = zoom(item, scale)
    return result | {"depth": scale * result["depth"]}


# The training


class Unfrozen(EigenFine):
    """The second stage with a flag that nobody reads: ``freeze_coarse`` freezes nothing.

    The loss looks at the fine output alone, so nothing asks the coarse map to be a depth map any longer.
    """

    def freeze_coarse(self) -> EigenFine:
        """Say that the coarse network is frozen, and leave it as it is."""
        return self


def one_rate(network: nn.Module, rate: float) -> list[dict[str, Any]]:
    """Parameter groups with one rate for all layers, where the paper has a hundred times as much for the
    fully connected ones.
    """
    return [{"params": list(network.parameters()), "lr": rate}]


def only_full_layers(network: EigenCoarse, rate: float) -> list[dict[str, Any]]:
    """Parameter groups that list layers 6 and 7 alone: the convolutions stay as they were drawn."""
    return [{"params": [*network.coarse6.parameters(), *network.coarse7.parameters()], "lr": rate}]
