r"""Two ways to a mask: search it pixel by pixel for one image, or train a predictor that finds it at once.

The search minimises the objective over the pixels of one mask. It finds masks with a lower objective than a
predictor's, and they explain less: with a number of its own for every pixel it can write into the image what
the network wants to read, a pattern that means nothing to any other network. The paper therefore has the mask
*predicted* from the image by a network that must serve all images (:mod:`mdepth.models.hu_masks`).
"""

import torch
from torch.nn import functional

from mdepth.masks.objective import Fill, Mask, answer, mask_objective
from mdepth.models.contract import DepthNetwork, evaluating
from mdepth.models.hu_masks import MaskPredictor
from mdepth.shapes import Float, Image, Tensor

__all__ = ["find_mask", "place", "predict_mask"]


def find_mask(
    network: DepthNetwork,
    seen: Image,
    *,
    sparsity: float = 5.0,
    fill: Fill = "mean",
    steps: int = 200,
    rate: float = 0.1,
    start: float = 0.5,
) -> tuple[Mask, list[float]]:
    r"""Search the masks of some images directly: Adam on one logit a pixel, M = sigmoid(x).

    .. math:: \min_x\ l_{dif}\big(N(I \otimes \sigma(x)),\ N(I)\big) + \lambda\, \overline{\sigma(x)}

    Args:
        network: :func:`~mdepth.masks.frozen`.
        seen: images as the network sees them; each is searched for itself, side by side.
        sparsity: lambda, what a whole mask costs.
        fill: what stands in for removed pixels, "mean", "black", "blur" or "other".
        steps, rate: of Adam.
        start: the mask begins with this everywhere.

    Returns:
        The masks, and the objective before every step.

    Raises:
        ValueError: ``start`` is not between 0 and 1.

    Source: Hu et al. 2019 (ICCV), the form that the paper sets out from (from memory, not checked).

    Example:
        >>> from mdepth.masks import frozen
        >>> from mdepth.models import build
        >>> network = frozen(build("eigen-coarse-rooms"))
        >>> mask, objective = find_mask(network, network.view(torch.rand(1, 3, 96, 128)), steps=3)
        >>> objective[2] < objective[0]
        True
    """
    if not 0 < start < 1:
        raise ValueError(f"start must lie between 0 and 1, got {start}: from its ends no mask ever moves")
    with torch.no_grad():
        target = answer(network, seen)
    first = torch.full_like(seen[:, :1], start).logit()
    logits = first.requires_grad_()
    optimiser = torch.optim.Adam([logits], lr=rate)
    history = []
    for _ in range(steps):
        found = mask_objective(network, seen, logits.sigmoid(), fill=fill, target=target)
        loss = found.loss(sparsity)
        optimiser.zero_grad()
        together = len(seen) * loss  # the loss is a mean over images: no image may feel the number of others
        together.backward()
        optimiser.step()
        history.append(loss.item())
    return logits.sigmoid().detach(), history


@torch.no_grad()
def predict_mask(predictor: MaskPredictor, seen: Image) -> Mask:
    """The masks that a trained predictor gives to some images, in evaluation mode.

    Example:
        >>> from mdepth.models.hu_masks import mask_predictor
        >>> predict_mask(mask_predictor("hu-mask-light"), torch.rand(1, 3, 40, 60)).shape
        torch.Size([1, 1, 40, 60])
    """
    with evaluating(predictor):
        return predictor(predictor.normalise(seen))


def place(
    network: DepthNetwork, mask: Float[Tensor, "B 1 h w"], height: int, width: int
) -> Float[Tensor, "B 1 H W"]:
    """A mask at the network's input size, put where it belongs in an image of ``height`` x ``width``.

    What the network does not see of the image, beside its centre crop, is not kept: 0.

    Example:
        >>> from mdepth.models import build
        >>> with torch.device("meta"):
        ...     network = build("eigen-coarse-nyu")
        >>> mask = place(network, torch.ones(1, 1, *network.input_size), 480, 640)
        >>> mask[0, 0, 240, 0].item(), mask[0, 0, 240, 320].item()
        (0.0, 1.0)
    """
    (row, column), (rows, columns) = network.crop_offset(), network.input_size
    down, across = height / network.image_size[0], width / network.image_size[1]
    top, bottom = round(row * down), round((row + rows) * down)
    left, right = round(column * across), round((column + columns) * across)
    size = bottom - top, right - left
    mask = functional.interpolate(mask, size, mode="bilinear", align_corners=False)
    return functional.pad(mask, (left, width - right, top, height - bottom))
