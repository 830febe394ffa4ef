r"""What a mask is to be good at: the difference that it makes, and the share of the image that it keeps.

Everything here works on the image **as the network sees it**, at the network's own size, RGB in [0, 1]
(:meth:`~mdepth.models.contract.DepthNetwork.view`), and on depth at the resolution that the network gives.

The released code multiplies the *normalised* image, (I - mean) / std, by the mask. A removed pixel is then
not black: it has the mean colour. Here the same is said in colours, with a **fill** F: F + M (I - F), which
for F = mean is the same product, and which lets one ask what another fill would have said.
"""

import copy
from dataclasses import dataclass

import torch
from torch.nn import functional

from mdepth.image import resize
from mdepth.losses import hu_loss
from mdepth.models.contract import DepthNetwork
from mdepth.shapes import Float, Image, Tensor

__all__ = ["FILLS", "Mask", "Objective", "answer", "frozen", "mask_objective", "remove"]

Mask = Float[Tensor, "B 1 H W"]
"""How much of every pixel is kept, from 0 to 1."""
Fill = str
FILLS = ("mean", "black", "blur", "infill", "other")
"""What can stand in for a removed pixel; see :func:`remove`."""
GREY = (0.485, 0.456, 0.406)
"""Mean colour of ImageNet's images."""
BLUR = 1 / 16
"""Standard deviation of the blur, in widths of the image."""


def frozen(network: DepthNetwork) -> DepthNetwork:
    """A copy in evaluation mode whose weights take no gradients; gradients to its image still flow.

    Example:
        >>> from mdepth.models import build
        >>> any(weight.requires_grad for weight in frozen(build("eigen-coarse-rooms")).parameters())
        False
    """
    return copy.deepcopy(network).eval().requires_grad_(False)


def answer(network: DepthNetwork, seen: Image) -> Float[Tensor, "B 1 h w"]:
    """What a network says of an image that it sees: depth at its own resolution, in metres where it is
    ``metric``. Gradients flow, and nothing is clipped.

    Args:
        network: in evaluation mode, else the batch norms of the whole image and of the masked one differ.
        seen: from ``network.view``, or a masked one.

    Example:
        >>> from mdepth.models import build
        >>> network = frozen(build("eigen-coarse-rooms"))
        >>> answer(network, network.view(torch.rand(1, 3, 48, 64))).shape
        torch.Size([1, 1, 22, 30])
    """
    return network.to_depth(network(network.normalise(seen)))


def remove(image: Image, mask: Mask, fill: Fill = "mean", mean: tuple[float, float, float] = GREY) -> Image:
    r"""The image with its pixels faded into a fill, as far as the mask does not keep them.

    .. math:: I' = F + M\, (I - F)

    * ``"mean"``: F is the colour ``mean``, which a network that subtracts it sees as 0. With the network's
      own mean this is exactly the released code's product of mask and normalised image.
    * ``"black"``: F = 0, the darkest that an image can be.
    * ``"blur"``: F is the image without its details, blurred by a sixteenth of its width: colours and light
      stay, outlines go.
    * ``"infill"``: F is spread from what is kept (:func:`infill`), so that a masked image has no hole. Only
      for masks of 0 and 1: one that keeps a hundredth of every pixel would be given the whole image back.
    * ``"other"``: F is the next image of the batch. On an even fill a mask can *draw*: its outline is an edge
      that the network sees, whatever the pixels show. On an image a line of its own is hard to see.

    Args:
        image: in [0, 1].
        mask: in [0, 1].

    Raises:
        ValueError: an unknown fill, "infill" for a mask that is not 0 or 1 everywhere, or "other" for a
            single image.

    Source: Hu et al. 2019 (ICCV), released code ("mean"); the others are ours.

    Example:
        >>> half = torch.tensor([1.0, 0.0]).view(1, 1, 1, 2)
        >>> remove(torch.ones(1, 3, 1, 2), half, "black")[0, 0].tolist()
        [[1.0, 0.0]]
    """
    if fill == "mean":
        other = image.new_tensor(mean).view(1, 3, 1, 1)
    elif fill == "black":
        other = torch.zeros_like(image)
    elif fill == "blur":
        other = blurred(image)
    elif fill == "infill":
        if not ((mask == 0) | (mask == 1)).all():
            raise ValueError("infill needs a mask of 0 and 1: a faint mask would give the whole image back")
        other = infill(image, mask, mean)
    elif fill == "other":
        if len(image) < 2:
            raise ValueError("the fill 'other' takes the next image of the batch: give two or more")
        other = image.roll(1, dims=0)
    else:
        raise ValueError(f"fill must be one of {', '.join(FILLS)}, got {fill!r}")
    return other + mask * (image - other)


def blurred(values: Float[Tensor, "B C H W"], share: float = BLUR) -> Float[Tensor, "B C H W"]:
    """Maps blurred by a Gaussian of ``share`` widths, the border reflected outwards.

    Example:
        >>> blurred(torch.ones(1, 3, 8, 16)).std().item() < 1e-6
        True
    """
    from torchvision.transforms.functional import gaussian_blur

    height, width = values.shape[-2:]
    sigma = share * width
    kernels = [2 * min(round(3 * sigma), side - 1) + 1 for side in (width, height)]
    return gaussian_blur(values, kernels, [sigma, sigma])


def infill(image: Image, mask: Mask, mean: tuple[float, float, float] = GREY) -> Image:
    r"""Colours spread from the kept pixels over all others, smooth, and nearest ones first.

    A pyramid: a pixel of level k + 1 is known where one of the 2 x 2 pixels below it is, and its colour
    :math:`c_{k+1}` is the mean of all kept pixels that lie under it. From the coarsest level on,

    .. math:: F_k = c_k \ \text{where it is known}, \qquad \mathrm{enlarged}(F_{k+1}) \ \text{elsewhere}.

    A mask that keeps nothing gives the colour ``mean``.

    Example:
        >>> mask = torch.zeros(1, 1, 4, 4)
        >>> mask[..., 0, 0] = 1
        >>> infill(torch.full((1, 3, 4, 4), 0.25), mask).unique().tolist()
        [0.25]
    """
    total, weight = image * mask, mask
    levels = [(total, weight)]
    while max(weight.shape[-2:]) > 1:
        total, weight = (functional.avg_pool2d(x, 2, ceil_mode=True) for x in (total, weight))
        levels.append((total, weight))
    colours = image.new_tensor(mean).view(1, 3, 1, 1)
    for total, weight in reversed(levels):
        around = resize(colours, (weight.shape[-2], weight.shape[-1]), align_corners=False)
        colours = torch.where(weight > 0, total / weight.clamp(min=1e-12), around)
    return colours


@dataclass(frozen=True)
class Objective:
    """How good masks are, both as means over the batch."""

    difference: Float[Tensor, ""]
    """l_dif of the answer to the masked image and of that to the whole one; from 3 ln(1/2) = -2.079 on."""
    share: Float[Tensor, ""]
    """Mean of the mask: how much is kept."""

    def loss(self, sparsity: float = 5.0) -> Float[Tensor, ""]:
        """difference + sparsity * share; 5 in the released code."""
        return self.difference + sparsity * self.share


def mask_objective(
    network: DepthNetwork,
    seen: Image,
    mask: Mask,
    *,
    fill: Fill = "mean",
    target: Float[Tensor, "B 1 h w"] | None = None,
) -> Objective:
    r"""Difference and share of some masks: what :mod:`mdepth.masks` minimises.

    .. math:: l_{dif}\big(N(I \otimes M),\ N(I)\big), \qquad \tfrac1n \textstyle\sum_i M_i

    :func:`~mdepth.losses.hu_loss` of the two answers at the network's own resolution, with every pixel valid.

    Args:
        network: :func:`frozen`.
        seen: images as the network sees them.
        mask: of their size, in [0, 1].
        fill: what stands in for removed pixels.
        target: ``answer(network, seen)`` where it is known already; it never takes a gradient.

    Source: Hu et al. 2019 (ICCV), released code.

    Example:
        >>> from mdepth.models import build
        >>> network = frozen(build("eigen-coarse-rooms"))
        >>> seen = network.view(torch.rand(1, 3, 96, 128))
        >>> everything = mask_objective(network, seen, torch.ones(1, 1, *seen.shape[-2:]))
        >>> round(everything.difference.item(), 4), everything.share.item()
        (-2.0794, 1.0)
    """
    if target is None:
        with torch.no_grad():
            target = answer(network, seen)
    masked = answer(network, remove(seen, mask, fill, network.mean))
    return Objective(hu_loss(masked, target, torch.ones_like(target, dtype=torch.bool)), mask.mean())
