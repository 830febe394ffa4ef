"""What ports of Laina et al. (2016) got wrong, each as the smallest change that does it.

Every function here is wrong on purpose. First the reverse Huber loss, whose right version is ``berhu_loss``
in :mod:`mdepth.losses`. Then how the fast up-convolution weaves four small maps A, B, C, D into one of twice
the sides; right is, with rows and columns counted from 0,

- A at the even rows and even columns, its place (i, j) at (2i, 2j);
- B at the odd rows and even columns, (2i + 1, 2j);
- C at the even rows and odd columns, (2i, 2j + 1);
- D at the odd rows and odd columns, (2i + 1, 2j + 1).

No code of any port is here.
"""

import torch
from torch.nn import functional

from mdepth.shapes import Depth, Float, Tensor, Valid

__all__ = [
    "berhu_by_mean", "berhu_counted_twice", "berhu_invalid_threshold", "berhu_signed_threshold",
    "phase_major_shuffle", "quadrants", "swapped_b_and_c",
]  # fmt: skip

Maps = Float[Tensor, "B C H W"]
LargeMaps = Float[Tensor, "B C 2*H 2*W"]


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
