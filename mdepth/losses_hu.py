"""The loss of Hu et al.: the logarithms of three errors, of depth, of its slopes, and of its normals.

Written for networks whose edges should be sharp (WACV 2019), and used again as the difference between what a
network says of an image and of the same image with most of its pixels removed (ICCV 2019). The functions take
(prediction, target, valid) as those of :mod:`mdepth.losses` do, which hands them on; every valid pixel of the
batch counts alike.

The defaults are the released code of both papers, number for number. It says some things that one would not
expect. The logarithm makes the loss negative: no map can come below 3 ln(1/2) = -2.079, and a good one comes
near. Sobel's responses are 8 times the slope per pixel, so that the "normals" of (-Sx, -Sy, 1) are those of a
surface 8 times as steep, without a camera. And its padding with zeros makes the border a cliff.

**The border ring.** With ``padding="zeros"`` the outermost pixels answer with about 4 times their *depth*
instead of 8 times their slope. So there, on 528 of the 17,328 pixels of a map of 114 x 152, the gradient term
compares depths, ln(4 |d - g| + 1/2), and an offset costs what should cost nothing; and the normals lie flat
in both maps and nearly agree whatever is there. ``padding="valid"`` leaves the ring out of both terms;
"replicate" and "reflect" go on beyond the border instead.

Where we differ from the released code: it has no mask, and takes holes for depths of 0. Here a response of
Sobel counts where all of the 3 x 3 depths that are inside the image are valid. What the two papers print was
not read; where a memory of it is given, it is marked so.
"""

import torch
from torch.nn import functional

from mdepth.image import sobel
from mdepth.shapes import Depth, Float, Tensor, Valid, check_same_shape

__all__ = ["hu_depth_loss", "hu_gradient_loss", "hu_gradient_terms", "hu_loss", "hu_normal_loss"]

Slopes = tuple[Float[Tensor, "B 1 h w"], Float[Tensor, "B 1 h w"]]
"""Sobel's responses (Sx, Sy), smaller than the map with padding "valid"."""


def hu_depth_loss(prediction: Depth, target: Depth, valid: Valid, alpha: float = 0.5) -> Float[Tensor, ""]:
    r"""Mean logarithm of the absolute error in metres.

    .. math:: l_{depth} = \frac1n \sum_i \ln(|\hat z_i - z_i| + \alpha)

    over the n valid pixels of the batch. Its slope is 1 / (error + alpha): at ``alpha`` = 1/2 a pixel that is
    nearly right pulls twice as hard as under L1, one that is 2 m off less than half as hard. From ln(alpha) =
    -0.693 on; 0 where every error is 1/2 m. A batch without valid pixels gives 0 with zero gradient; what
    lies outside ``valid`` may be anything.

    Raises:
        ValueError: ``alpha`` is not above 0.

    Source: Hu et al. 2019 (WACV), released code.

    Example:
        >>> target = torch.ones(1, 1, 3, 3)
        >>> hu_depth_loss(target + 0.5, target, target > 0).item()
        0.0
    """
    prediction, target = _clean(prediction, target, valid)
    return _log_mean((prediction - target).abs(), valid, alpha)


def hu_gradient_terms(
    prediction: Depth,
    target: Depth,
    valid: Valid,
    alpha: float = 0.5,
    *,
    padding: str = "zeros",
    form: str = "maps",
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    r"""The parts of :func:`hu_gradient_loss` along x and along y, each a mean by itself.

    Example:
        >>> target = torch.ones(1, 1, 4, 5)
        >>> ramp = target + 0.0625 * torch.arange(5.0)  # Sx is off by 8 / 16, Sy is right
        >>> [round(term.item(), 4) for term in hu_gradient_terms(ramp, target, target > 0, padding="valid")]
        [0.0, -0.6931]
    """
    prediction, target = _clean(prediction, target, valid)
    errors = _slope_errors(prediction, target, padding, form)
    return _gradient_terms(errors, _counted(valid, padding), alpha)


def hu_gradient_loss(
    prediction: Depth,
    target: Depth,
    valid: Valid,
    alpha: float = 0.5,
    *,
    padding: str = "zeros",
    form: str = "maps",
) -> Float[Tensor, ""]:
    r"""Mean logarithm of the error of Sobel's response along x, plus the same along y.

    .. math:: l_{grad} = \frac1n \sum_i \ln(|S_x \hat z - S_x z|_i + \alpha)
        + \frac1n \sum_i \ln(|S_y \hat z - S_y z|_i + \alpha)

    over the n pixels of the batch whose 3 x 3 depths are valid. From 2 ln(alpha) = -1.386 on. The text of the
    module tells what ``padding`` does.

    ``form="maps"``, the released code, is the difference of the gradients of both maps. ``"error"`` is the
    gradient of the absolute error, in which S |prediction - target| takes the place of S prediction - S
    target: so the paper is remembered to print it (from memory, not checked). Sobel is linear, so both agree
    where the error keeps its sign. Where it changes they do not: from 1/2 m too near to 1/2 m too far is no
    step of the absolute error.

    Without such pixels 0 with zero gradient; what lies outside ``valid`` may be anything.

    Raises:
        ValueError: another ``form`` or ``padding``, or ``alpha`` is not above 0.

    Source: Hu et al. 2019 (WACV), released code.

    Example:
        >>> target = torch.full((1, 1, 4, 5), 3.0)
        >>> inputs = target + 0.5, target, target > 0
        >>> [round(hu_gradient_loss(*inputs, padding=each).item(), 3) for each in ("valid", "zeros")]
        [-1.386, -0.027]
    """
    across, down = hu_gradient_terms(prediction, target, valid, alpha, padding=padding, form=form)
    return across + down


def hu_normal_loss(
    prediction: Depth, target: Depth, valid: Valid, *, padding: str = "zeros"
) -> Float[Tensor, ""]:
    r"""Mean of 1 minus the cosine between the normals of both maps.

    .. math:: l_{normal} = \frac1n \sum_i \Big|1 - \frac{\hat n_i \cdot n_i}{|\hat n_i| |n_i|}\Big|, \qquad
        n = (-S_x z, -S_y z, 1)

    over the n pixels of the batch whose 3 x 3 depths are valid. These are the normals of the map as a surface
    over the pixels, 8 times as steep as it is per pixel, not those of the scene. From 0 to below 2. At steep
    places it says little of how steep they are, and much of where they lead. Edge cases and padding as in
    :func:`hu_gradient_loss`.

    Source: Hu et al. 2019 (WACV), released code.

    Example:
        >>> target = torch.ones(1, 1, 4, 5)
        >>> ramp = target + 0.125 * torch.arange(5.0)  # Sx is -1: 45 degrees
        >>> round(hu_normal_loss(ramp, target, target > 0, padding="valid").item(), 4)  # 1 - cos 45
        0.2929
    """
    prediction, target = _clean(prediction, target, valid)
    slopes = sobel(prediction, padding=padding), sobel(target, padding=padding)
    return _normal_term(*slopes, _counted(valid, padding))


def hu_loss(
    prediction: Depth,
    target: Depth,
    valid: Valid,
    weights: tuple[float, float, float] = (1.0, 1.0, 1.0),
    *,
    alpha: float = 0.5,
    padding: str = "zeros",
    form: str = "maps",
) -> Float[Tensor, ""]:
    r"""The loss of Hu et al.: depth, slopes and normals, each with weight 1.

    .. math:: l_{dif} = l_{depth} + l_{grad} + l_{normal}

    :func:`hu_depth_loss`, :func:`hu_gradient_loss` and :func:`hu_normal_loss` of two maps in metres. At least
    3 ln(1/2) = -2.079, for equal maps; what is learnt usually is negative. The released code trains the depth
    networks with the truth as ``target``, and the mask with the network's own answer to the whole image, both
    at 114 x 152. It has no ``valid``, so hand over one that is True everywhere to get its numbers.

    Args:
        prediction, target, valid: (B, 1, H, W); at least 3 x 3 with padding "valid".
        weights: of depth, slopes and normals; all 1 in the released code (and, from memory, in the paper).
        alpha: added to every error under a logarithm; 0.5 in the released code.
        padding: of Sobel, as in :func:`mdepth.image.sobel`; "zeros" in the released code, "valid" without its
            border ring.
        form: "maps" as released, or "error": see :func:`hu_gradient_loss`.

    Without valid pixels 0 with zero gradient; what lies outside ``valid`` may be anything.

    Raises:
        ValueError: another ``form`` or ``padding``, or ``alpha`` is not above 0.

    Source: Hu et al. 2019 (WACV); Hu et al. 2019 (ICCV), the difference of two maps; their released code.

    Example:
        >>> target = torch.rand(2, 1, 6, 8)
        >>> round(hu_loss(target, target, target >= 0).item(), 4)  # 3 ln(1/2)
        -2.0794
    """
    prediction, target = _clean(prediction, target, valid)
    counted = _counted(valid, padding)
    depth = _log_mean((prediction - target).abs(), valid, alpha)
    slopes = sobel(prediction, padding=padding), sobel(target, padding=padding)
    errors = _slope_errors(prediction, target, padding, form, slopes)
    across, down = _gradient_terms(errors, counted, alpha)
    normal = _normal_term(*slopes, counted)
    return weights[0] * depth + weights[1] * (across + down) + weights[2] * normal


def _clean(prediction: Depth, target: Depth, valid: Valid) -> tuple[Depth, Depth]:
    """Both maps in float32 at least, 0 where not valid."""
    check_same_shape(prediction=prediction, target=target, valid=valid)
    common = torch.promote_types(torch.promote_types(prediction.dtype, target.dtype), torch.float32)
    return torch.where(valid, prediction.to(common), 0.0), torch.where(valid, target.to(common), 0.0)


def _counted(valid: Valid, padding: str) -> Tensor:
    """Where all depths under Sobel's 3 x 3 inside the image are valid; of the response's size."""
    margin = 0 if padding == "valid" else 1
    return functional.max_pool2d((~valid).float(), kernel_size=3, stride=1, padding=margin) == 0


def _log_mean(errors: Tensor, counted: Tensor, alpha: float) -> Float[Tensor, ""]:
    """The mean of ln(error + alpha) over what counts, 0 where nothing does."""
    if alpha <= 0:
        raise ValueError(f"alpha must be above 0, got {alpha}; the released code has 0.5")
    values = torch.where(counted, (errors + alpha).log(), 0.0)
    return values.sum() / counted.sum().clamp(min=1)


def _slope_errors(
    prediction: Depth, target: Depth, padding: str, form: str, slopes: tuple[Slopes, Slopes] | None = None
) -> Slopes:
    """What is wrong with the slopes of clean maps, along x and along y; ``slopes`` of both, where known."""
    if form not in ("maps", "error"):
        raise ValueError(f"form must be maps or error, got {form!r}")
    error = prediction - target
    if form == "error":
        return sobel(error.abs(), padding=padding)
    if slopes is None:
        return sobel(error, padding=padding)  # which is linear: the same as the difference of both responses
    return slopes[0][0] - slopes[1][0], slopes[0][1] - slopes[1][1]


def _gradient_terms(
    errors: Slopes, counted: Tensor, alpha: float
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """The means along x and along y."""
    return _log_mean(errors[0].abs(), counted, alpha), _log_mean(errors[1].abs(), counted, alpha)


def _normal_term(first: Slopes, second: Slopes, counted: Tensor) -> Float[Tensor, ""]:
    """Of the responses of two maps; the third component of both normals is 1."""
    product = 1 + first[0] * second[0] + first[1] * second[1]
    lengths = [(1 + x.square() + y.square()).sqrt() for x, y in (first, second)]
    values = torch.where(counted, (1 - product / (lengths[0] * lengths[1])).abs(), 0.0)
    return values.sum() / counted.sum().clamp(min=1)
