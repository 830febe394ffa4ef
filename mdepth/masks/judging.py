r"""As many pixels by every opinion: the comparison that lets a learnt mask lose.

A soft mask of 0.2 everywhere and a hard one that keeps a fifth of the pixels have the same mean, and say
different things. So opinions are compared as **hard** masks of the same size: the share s of pixels that an
opinion ranks first is kept, all others are removed, and the network is asked again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from mdepth.masks.objective import Fill, Mask, answer, remove
from mdepth.models.contract import DepthNetwork
from mdepth.shapes import Float, Image, Tensor

__all__ = ["THRESHOLD", "Curve", "curve", "keep", "moved_by", "sparseness"]

THRESHOLD = 0.025
"""Above it a pixel of a mask counts as kept; the paper's, from memory, not checked."""


def keep(importance: Float[Tensor, "B 1 H W"], share: float) -> Mask:
    """The mask of 0 and 1 that keeps the most important pixels of every image: ``share`` of them, rounded to
    whole pixels.

    Pixels that count alike are chosen by lot, always by the same one, so that no side of the image is
    preferred.

    Raises:
        ValueError: ``share`` is not from 0 to 1, or a value is NaN.

    Example:
        >>> keep(torch.tensor([[0.1, 0.9, 0.5, 0.2]]).view(1, 1, 1, 4), 0.5).flatten().tolist()
        [0.0, 1.0, 1.0, 0.0]
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share must lie between 0 and 1, got {share}")
    if importance.isnan().any():
        raise ValueError("an importance is NaN: which pixel comes first cannot be said")
    values = importance.flatten(1)
    pixels = values.shape[1]
    lot = torch.randperm(pixels, generator=torch.Generator().manual_seed(0)).to(values.device)
    first = lot[values[:, lot].argsort(dim=1, descending=True, stable=True)[:, : round(share * pixels)]]
    return torch.zeros_like(values).scatter_(1, first, 1.0).view_as(importance)


def sparseness(mask: Mask, threshold: float = THRESHOLD) -> Float[Tensor, " B"]:
    """Of every image, the share of pixels that a mask keeps at all: those above ``threshold``. The sparser a
    mask, the smaller it is.

    A network on a hard mask of these pixels does not see what it sees on the soft one; where a table gives
    both, it says which.

    Source: Hu et al. 2019 (ICCV), with this threshold; both from memory, not checked.

    Example:
        >>> sparseness(torch.tensor([0.0, 0.01, 0.3, 0.025]).view(1, 1, 2, 2)).tolist()
        [0.25]
    """
    return (mask > threshold).flatten(1).float().mean(dim=1)


@torch.no_grad()
def moved_by(
    network: DepthNetwork, seen: Image, mask: Mask, *, fill: Fill = "mean", content: Image | None = None
) -> Float[Tensor, " B"]:
    r"""How far a network's answers are off when images are masked: of every image the root mean square
    difference to its answer to the whole one.

    With ``content``, something else lies under the mask than the image: :math:`N(F + M\, (C - F))`. A mask
    can **draw**: where it ends, the network sees an edge. If white, or another image, under the same mask
    moves the answer no farther than the image itself does, then the network reads the mask's outline and not
    the pixels that it keeps.

    Args:
        network: :func:`~mdepth.masks.frozen`.
        seen: images as the network sees them.
        mask: of their size.
        fill: what stands in for removed pixels.
        content: what is masked, if not the images themselves.

    Source: ours.

    Example:
        >>> from mdepth.masks import frozen
        >>> from mdepth.models import build
        >>> network = frozen(build("eigen-coarse-rooms"))
        >>> seen = network.view(torch.rand(2, 3, 96, 128))
        >>> moved_by(network, seen, torch.ones_like(seen[:, :1])).tolist()
        [0.0, 0.0]
    """
    whole = answer(network, seen)
    left = answer(network, remove(seen if content is None else content, mask, fill, network.mean))
    return (left - whole).square().mean(dim=(1, 2, 3)).sqrt()


@dataclass(frozen=True)
class Curve:
    """How far a network's answers are off when only a share of the pixels is left: errors per image."""

    shares: tuple[float, ...]
    own: Float[Tensor, "S B"]
    """Root mean square difference to the answer to the whole image."""
    truth: Float[Tensor, "S B"] | None
    """Root mean square error over valid pixels, where the truth was given."""


@torch.no_grad()
def curve(
    network: DepthNetwork,
    seen: Image,
    importance: Float[Tensor, "B 1 H W"],
    shares: Sequence[float] = (0.02, 0.05, 0.1, 0.2, 0.4),
    *,
    fill: Fill = "mean",
    truth: tuple[Tensor, Tensor] | None = None,
) -> Curve:
    """Errors of a network that sees only the most important pixels, for several shares of them.

    Args:
        network: :func:`~mdepth.masks.frozen`.
        seen: images as the network sees them.
        importance: of their pixels, by any opinion; of a learnt mask, the mask.
        shares: of the pixels that are kept.
        fill: what stands in for the others.
        truth: (depth, valid) at the network's own resolution.

    Example:
        >>> from mdepth.masks import frozen
        >>> from mdepth.models import build
        >>> network = frozen(build("eigen-coarse-rooms"))
        >>> seen = network.view(torch.rand(1, 3, 96, 128))
        >>> curve(network, seen, seen[:, :1], shares=[0.5, 1.0]).own[1].item()
        0.0
    """
    whole = answer(network, seen)
    everywhere = torch.ones_like(whole, dtype=torch.bool)
    own, off = [], []
    for share in shares:
        left = answer(network, remove(seen, keep(importance, share), fill, network.mean))
        own.append(_rmse(left, whole, everywhere))
        if truth is not None:
            off.append(_rmse(left, *truth))
    return Curve(tuple(shares), torch.stack(own), torch.stack(off) if truth is not None else None)


def _rmse(prediction: Tensor, target: Tensor, valid: Tensor) -> Float[Tensor, " B"]:
    """Of every image; NaN where nothing is valid."""
    squares = torch.where(valid, (prediction - target).square(), 0.0).flatten(1).sum(dim=1)
    return (squares / valid.flatten(1).sum(dim=1)).sqrt()
