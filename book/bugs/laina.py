"""What ports of Laina et al. (2016) got wrong, each as the smallest change that does it.

Everything here is wrong on purpose. The right versions stand in :mod:`mdepth.losses` (``berhu_loss``),
:mod:`mdepth.models.laina` and :mod:`mdepth.models.encoders`. First the reverse Huber loss. Then how the fast
up-convolution weaves four small maps A, B, C, D into one of twice the sides; right is, with rows and columns
counted from 0,

- A at the even rows and even columns, its place (i, j) at (2i, 2j);
- B at the odd rows and even columns, (2i + 1, 2j);
- C at the even rows and odd columns, (2i, 2j + 1);
- D at the odd rows and odd columns, (2i + 1, 2j + 1).

Last, what changes a network. Such a function leaves the given network as it is, and returns a wrong copy with
parameters of its own; ``predict`` of the copy is called as before. No code of any port is here.
"""

from copy import deepcopy

import torch
from torch import nn
from torch.nn import functional

from mdepth.models.contract import DepthNetwork, evaluating
from mdepth.models.laina import FastUnpoolConv, UpConv, UpProj
from mdepth.models.laina_weights import to_fast
from mdepth.shapes import Depth, Float, Image, Tensor, Valid

__all__ = [
    "INPUTS", "PhaseNorm", "berhu_by_mean", "berhu_counted_twice", "berhu_invalid_threshold",
    "berhu_signed_threshold", "cut_gradient", "fed", "fresh_statistics", "norm_per_phase", "other_side",
    "phase_major_shuffle", "quadrants", "shared_branch", "swapped_b_and_c", "torchvision_encoder",
    "torchvision_pool", "without_relu",
]  # fmt: skip

Maps = Float[Tensor, "B C H W"]
LargeMaps = Float[Tensor, "B C 2*H 2*W"]
RGB = tuple[float, float, float]

INPUTS: dict[str, tuple[RGB, RGB]] = {
    "bytes": ((0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)),
    "unit": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
"""Three ways to feed RGB, as the mean that is subtracted from [0, 1] and the deviation that divides: as 0 to
255, as it is, by ImageNet's mean and deviation. Each is right for a network trained so, wrong for others."""


# The loss


def berhu_by_mean(prediction: Depth, target: Depth, valid: Valid) -> Float[Tensor, ""]:
    """The reverse Huber loss with its case chosen once, by the mean error of the batch, for all pixels.

    A batch is either under L1 everywhere or under the squares everywhere. Under the squares a pixel without
    any error costs c/2, and one that is nearly right hardly pulls, which the inner part would have prevented.
    The value leaps where the mean passes c.
    """
    errors = (prediction - target)[valid].abs()
    c = 0.2 * errors.detach().max()
    mean = errors.mean()
    return mean if mean <= c else (errors.square().mean() + c.square()) / (2 * c)


def berhu_signed_threshold(prediction: Depth, target: Depth, valid: Valid) -> Float[Tensor, ""]:
    """The reverse Huber loss with c from the largest signed difference, prediction less truth.

    Right as long as the largest error is that of a prediction too deep. In a batch that is predicted too near
    everywhere c is negative, every pixel counts as above it, and (x^2 + c^2)/(2c) is negative too: the loss
    rewards larger errors.
    """
    differences = (prediction - target)[valid]
    return _berhu(differences.abs(), 0.2 * differences.detach().max())


def berhu_invalid_threshold(prediction: Depth, target: Depth, valid: Valid) -> Float[Tensor, ""]:
    """The reverse Huber loss with c from all pixels, valid or not.

    A hole is stored as depth 0, so its error is all that the network predicts there. Where that exceeds every
    real error c grows, and more of the valid pixels, in the end all, are under plain L1.
    """
    errors = (prediction - target).abs()
    return _berhu(errors[valid], 0.2 * errors.detach().max())


def berhu_counted_twice(prediction: Depth, target: Depth, valid: Valid) -> Float[Tensor, ""]:
    """The mean over all absolute errors joined to the squares of those above c.

    What is above c stands in the list twice and lengthens it, and its square is not divided by 2c. Metres are
    added to square metres, so the same errors in centimetres weigh the two parts differently, and the value
    leaps when an error passes c.
    """
    errors = (prediction - target)[valid].abs()
    c = 0.2 * errors.detach().max()
    return torch.cat([errors, errors[errors > c].square()]).mean()


def _berhu(errors: Float[Tensor, " N"], c: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """The reverse Huber loss of absolute errors, for any c."""
    return torch.where(errors <= c, errors, (errors.square() + c.square()) / (2 * c)).mean()


# The way up


def phase_major_shuffle(a: Maps, b: Maps, c: Maps, d: Maps) -> LargeMaps:
    """Pixel shuffle of the four maps, one behind the other on the channel axis.

    Pixel shuffle fills each 2x2 block from four *neighbouring* channels, and here those are four channels of
    one map: the first quarter of the output channels is made of A alone, the next ones of C, B and D. The
    shape is right, and with a single channel so is everything else.
    """
    return functional.pixel_shuffle(torch.cat([a, c, b, d], dim=1), 2)


def swapped_b_and_c(a: Maps, b: Maps, c: Maps, d: Maps) -> LargeMaps:
    """B woven in at (2i, 2j + 1) and C at (2i + 1, 2j).

    Half of the pixels come out one row and one column from their places. A network may be trained so; weights
    that were trained in the right order are misread.
    """
    even_rows = torch.stack([a, b], dim=-1).flatten(-2)
    odd_rows = torch.stack([c, d], dim=-1).flatten(-2)
    return torch.stack([even_rows, odd_rows], dim=-2).flatten(-3, -2)


def quadrants(a: Maps, b: Maps, c: Maps, d: Maps) -> LargeMaps:
    """The four maps side by side, as the quarters of the large one, instead of woven.

    Each quarter shows the whole image at the old size, every second pixel of what should be there. The shape
    is right; at the seams pixels are neighbours that belong to opposite sides of the image.
    """
    return torch.cat([torch.cat([a, c], dim=-1), torch.cat([b, d], dim=-1)], dim=-2)


class PhaseNorm(nn.Module):
    """Four copies of a batch norm in its place behind the interleaving, one for each place of the 2x2 cells.

    Norms behind the four small convolutions, before the interleaving, give the same numbers. Every phase gets
    mean 0 and variance 1 by itself: how far one lies above another is lost in training, and the bias of each
    small convolution with it. The four norms can learn the levels back, as weights and biases that are the
    same for every batch. In evaluation, as long as they hold the same numbers, they are the one norm.
    """

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        self.norms = nn.ModuleList(deepcopy(norm) for _ in range(4))

    def forward(self, large: Maps) -> Maps:
        """Each phase normalised, in the order A, B, C, D, and put back."""
        normed = torch.empty_like(large)
        for norm, (row, column) in zip(self.norms, ((0, 0), (1, 0), (0, 1), (1, 1)), strict=True):
            normed[..., row::2, column::2] = norm(large[..., row::2, column::2])
        return normed


def norm_per_phase(network: DepthNetwork, image: Image) -> DepthNetwork:
    """The network with a ``PhaseNorm`` for every batch norm that stands directly behind an enlargement.

    The weight and bias of each are those of the norm it replaces, its means and variances are those of the
    phases on these images in [0, 1]. A port learns such norms from the start; here is what they take away
    from maps that rely on the levels of their phases.
    """
    copy = deepcopy(network)
    for block in copy.modules():
        if isinstance(block, UpConv):
            block.bn = PhaseNorm(block.bn)
        elif isinstance(block, UpProj):
            block.main.bn1, block.skip.bn = PhaseNorm(block.main.bn1), PhaseNorm(block.skip.bn)
    norms = [norm for part in copy.modules() if isinstance(part, PhaseNorm) for norm in part.norms]
    usual = [norm.momentum for norm in norms]
    with torch.no_grad(), evaluating(copy):
        for norm in norms:
            norm.train().momentum = 1.0  # nothing of the old statistics stays
        copy(copy.prepare(image))
    for norm, momentum in zip(norms, usual, strict=True):
        norm.momentum = momentum
    return copy


def other_side(network: nn.Module) -> nn.Module:
    """The network or block in its fast form, with its small convolutions padded on the other side.

    A kernel with two taps in a direction gives every result one place late where it was trained with zeros
    behind the map, one early where it was trained with zeros before it. So what belongs into the odd rows and
    columns comes out two pixels from there, the even ones are right: what was smooth gets teeth. Every weight
    fits.
    """
    copy = to_fast(network)
    for part in copy.modules():
        if isinstance(part, FastUnpoolConv):
            part.padding = "before" if part.padding == "after" else "after"
    return copy


def shared_branch(network: nn.Module) -> nn.Module:
    """The network or block with one 5x5 for both branches of an up-projection, that of the first.

    From a to b channels that is 25ab + b parameters fewer, 25ab + 4b in the fast form. What the second branch
    adds is then the map that the first begins with, but for a factor and a level per channel. Weights of the
    right network load without a complaint, and what was read last stands in both branches.
    """
    copy = deepcopy(network)
    for block in copy.modules():
        if isinstance(block, UpProj):
            block.skip.up = block.main.up
    return copy


def cut_gradient(network: nn.Module) -> nn.Module:
    """The network or block in its fast form, with each interleaving done on raw values, outside the graph.

    Every number is right, and no gradient passes back: the small convolutions and all before them learn
    nothing. Of a whole network only what stands behind the last interleaving learns.
    """
    copy = to_fast(network)
    for part in copy.modules():
        if isinstance(part, FastUnpoolConv):
            part.register_forward_hook(lambda part, inputs, woven: woven.detach())
    return copy


# The encoder and its input


def torchvision_pool(network: DepthNetwork) -> DepthNetwork:
    """The network with torchvision's pool in its ``caffe`` ResNet: one pixel of padding on every side.

    On an even side window i is centred on row 2i instead of 2i + 1, so that everything behind the pool sees
    the first map one row further down and one column further right, two pixels of the image. On an odd side
    nothing changes. The sizes are the same, and a pool has no weights that could complain.
    """
    copy = deepcopy(network)
    pool = copy.get_submodule("encoder.maxpool")
    pool[0], pool[1].padding = nn.Identity(), 1
    return copy


def torchvision_encoder(network: DepthNetwork) -> DepthNetwork:
    """The network with its ``caffe`` ResNet in torchvision's form ("v1.5"), and the same weights.

    Bottlenecks stride on their 3x3 instead of the 1x1 before it, the pool is that of ``torchvision_pool``,
    and the first convolution has no bias; that bias is the only weight left over. Sizes and names are the
    same. A ResNet-18 has no bottlenecks and strides on the same 3x3 in both forms: of it, pool and bias
    change.
    """
    copy = torchvision_pool(network)
    encoder = copy.get_submodule("encoder")
    encoder.get_submodule("conv1").bias = None
    for part in encoder.modules():
        if hasattr(part, "conv3"):
            part.conv1.stride, part.conv2.stride = part.conv2.stride, part.conv1.stride
    return copy


def fed(network: DepthNetwork, form: str) -> DepthNetwork:
    """The network fed its images as ``bytes``, ``unit`` or ``imagenet``, see ``INPUTS``.

    With ``unit`` for ``bytes`` all differences between images reach the first batch norm a 255th as large.
    In training that norm divides by the deviation that it finds, and hardly anything changes; in evaluation
    it divides by that of the other scale, and every image looks nearly black.
    """
    copy = deepcopy(network)
    copy.mean, copy.std = INPUTS[form]
    return copy


def fresh_statistics(network: DepthNetwork) -> DepthNetwork:
    """The network with mean 0 and variance 1 in every batch norm, as if only its parameters had been loaded.

    Weight and bias of the norms are there. In training nothing is wrong, since the batch has its own
    statistics; in evaluation no norm normalises any more.
    """
    copy = deepcopy(network)
    for part in copy.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.reset_running_stats()
    return copy


# The end


def without_relu(network: DepthNetwork) -> DepthNetwork:
    """The network without the ReLU behind its last convolution, so that ``forward`` may give negative depth.

    Where the right network gives more than 0 it gives the same. ``predict`` hides the rest, since it clamps
    to the depth range; a port without that clamp passes negative metres on, and their logarithm is no number.
    In training such a pixel gets a gradient, which a ReLU denies it.
    """
    copy = deepcopy(network)
    copy.get_submodule("answer").relu = nn.Identity()
    return copy
