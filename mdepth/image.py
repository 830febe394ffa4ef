"""Operations on image grids: resizing, derivatives (Sobel, forward differences) and structural similarity.

Every convention that changes a published number is an argument here and named at each call: the padding of a
filter, what ``align_corners`` means for resizing (see :mod:`mdepth.geometry`), and whether shrinking averages
(``antialias``) or only picks. Derivatives are those of the released codes, not normalised ones: Hu's Sobel
answers with -8 times the slope per pixel.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from mdepth.shapes import Float, Tensor, check_same_shape

__all__ = [
    "Moments", "box_window", "forward_differences", "gaussian_window", "moments", "resize", "sobel", "ssim",
    "ssim_dissimilarity",
]  # fmt: skip

# How torch's padding modes are called, by the names that this library uses.
_PADDINGS = {"zeros": "constant", "reflect": "reflect", "replicate": "replicate"}


def resize(
    image: Float[Tensor, "B C H W"],
    size: tuple[int, int],
    *,
    mode: str = "bilinear",
    align_corners: bool = False,
    antialias: bool = False,
) -> Float[Tensor, "B C h w"]:
    """The image at another size (height, width).

    ``mode`` "bilinear" or "bicubic": with ``align_corners=False`` the outer *edges* of old and new image
    coincide (half-pixel rule: OpenCV, PIL, TensorFlow 2); with True the *centres* of the corner pixels do
    (torch before 0.4, Hu's and DenseDepth's PyTorch code). ``antialias=True`` averages over the pixels that a
    smaller image's pixel covers, as PIL does; without it shrinking skips pixels. ``mode`` "nearest" takes the
    pixel whose centre is nearest (torch's "nearest-exact", PIL), and "area" averages whole cells. Depth with
    missing pixels (0) must be resized by "nearest": every other mode blends the zeros into their neighbours.
    The same size gives the same tensor back.

    Raises:
        ValueError: for another mode, or ``align_corners``/``antialias`` with a mode that has no such choice.

    Example:
        >>> resize(torch.tensor([[[[0.0, 1.0]]]]), (1, 4))
        tensor([[[[0.0000, 0.2500, 0.7500, 1.0000]]]])
        >>> resize(torch.tensor([[[[0.0, 3.0]]]]), (1, 4), align_corners=True)
        tensor([[[[0., 1., 2., 3.]]]])
    """
    if mode in ("bilinear", "bicubic"):
        if image.shape[-2:] == tuple(size):
            return image
        return F.interpolate(image, size, mode=mode, align_corners=align_corners, antialias=antialias)
    if mode not in ("nearest", "area"):
        raise ValueError(f"mode must be bilinear, bicubic, nearest or area, got {mode!r}")
    if align_corners or antialias:
        raise ValueError(f"mode {mode!r} has neither align_corners nor antialias; leave both False")
    whole = all(new % old == 0 for new, old in zip(size, image.shape[-2:], strict=True))
    exact = "nearest" if whole else "nearest-exact"  # the same pixels at whole factors, and faster
    return F.interpolate(image, size, mode={"nearest": exact}.get(mode, mode))


def forward_differences(
    image: Float[Tensor, "B C H W"],
) -> tuple[Float[Tensor, "B C H W-1"], Float[Tensor, "B C H-1 W"]]:
    """Differences to the right and lower neighbour: I[v, u+1] - I[v, u] and I[v+1, u] - I[v, u].

    No padding, so each result is one column or one row smaller (the derivative of Eigen & Fergus 2015 and of
    Monodepth2).

    Example:
        >>> du, dv = forward_differences(torch.tensor([[[[1.0, 4.0], [2.0, 2.0]]]]))
        >>> du.flatten().tolist(), dv.flatten().tolist()
        ([3.0, 0.0], [1.0, -2.0])
    """
    return image[..., :, 1:] - image[..., :, :-1], image[..., 1:, :] - image[..., :-1, :]


def _padded(image: Tensor, margin: tuple[int, int, int, int], padding: str) -> Tensor:
    """The image with a margin (left, right, top, bottom), or as it is where padding is "valid"."""
    if padding == "valid":
        return image
    if padding not in _PADDINGS:
        raise ValueError(f"padding must be valid, {', '.join(_PADDINGS)}, got {padding!r}")
    return F.pad(image, margin, mode=_PADDINGS[padding])


def sobel(
    image: Float[Tensor, "B C H W"], *, padding: str = "zeros"
) -> tuple[Float[Tensor, "B C h w"], Float[Tensor, "B C h w"]]:
    """Hu's Sobel responses (Sx, Sy): the slopes along x and y, times -8.

    Cross-correlation with [[1,0,-1],[2,0,-2],[1,0,-1]] and with its transpose, not divided by 8. A ramp that
    rises by s per pixel answers with -8 s. ``padding``: "zeros" as in the released code (a constant map then
    gets a false edge of 4 times its value all around), "replicate", "reflect", or "valid" (two rows and
    columns fewer, no invention). Hu et al. 2019, section 3.2 (the gradients inside the loss and the edge
    metric).

    Example:
        >>> ramp = 0.01 * torch.arange(5.0).expand(1, 1, 4, 5)
        >>> sobel(ramp, padding="valid")[0].round(decimals=4).unique()
        tensor([-0.0800])
    """
    # by shifted sums, whose gradient takes a tenth of the time that a convolution's does on a CPU
    image = _padded(image, (1, 1, 1, 1), padding)
    rows = torch.add(image[..., :-2, :] + image[..., 2:, :], image[..., 1:-1, :], alpha=2)
    columns = torch.add(image[..., :-2] + image[..., 2:], image[..., 1:-1], alpha=2)
    return rows[..., :-2] - rows[..., 2:], columns[..., :-2, :] - columns[..., 2:, :]


def box_window(size: int = 3) -> Float[Tensor, " k"]:
    """The uniform window: ``size`` weights of 1 / size along a row and along a column (Monodepth2's SSIM
    uses 3).

    Example:
        >>> box_window(2)
        tensor([0.5000, 0.5000], dtype=torch.float64)
    """
    return torch.full((size,), 1.0 / size, dtype=torch.float64)


def gaussian_window(size: int = 11, sigma: float = 1.5) -> Float[Tensor, " k"]:
    """The Gaussian window of the original SSIM: weights along a row and along a column that sum to 1,
    ``sigma`` in pixels.

    Example:
        >>> round(gaussian_window().sum().item(), 6)
        1.0
    """
    distance = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    line = torch.exp(-(distance**2) / (2 * sigma**2))
    return line / line.sum()


def _window_means(padded: Tensor, window: Float[Tensor, " k"]) -> Tensor:
    """Weighted means over windows: along every row, then along every column.

    Of a few weights, sums of shifted images. Of more, matrix products with a band of weights, B_h image
    B_w^T. A cross-correlation with the k x k window gives the same numbers, and takes longer.
    """
    height, width = padded.shape[-2:]
    if min(height, width) < len(window):
        raise ValueError(f"a map of {height} x {width} is smaller than the window, {len(window)}")
    first = window[0].item()
    if 1 < len(window) <= SHORT and first != 0:
        ratios = (window[1:] / first).tolist()
        return _shifted_sum(_shifted_sum(padded, ratios, -2), ratios, -1).mul_(first**2)
    return _band(window, height) @ (padded @ _band(window, width).T)


def _window_spread(means: Tensor, window: Float[Tensor, " k"]) -> Tensor:
    """What :func:`_window_means` does turned round, its transpose: every value goes to all pixels of its
    window, weighted. So gradients of means become gradients of the image.
    """
    margin = len(window) - 1
    if len(window) <= SHORT:
        return _window_means(F.pad(means, (margin, margin, margin, margin)), window.flip(0))
    height, width = means.shape[-2] + margin, means.shape[-1] + margin
    return _band(window, height).T @ (means @ _band(window, width))


SHORT = 5
"""Weights up to which shifting is faster than multiplying matrices."""


def _shifted_sum(image: Tensor, ratios: Sequence[float], axis: int) -> Tensor:
    """The image plus, for k = 1, 2, ..., ratio k times the image from row or column k on."""
    count = image.shape[axis] - len(ratios)
    total = torch.add(image.narrow(axis, 0, count), image.narrow(axis, 1, count), alpha=ratios[0])
    for k, ratio in enumerate(ratios[1:], start=2):
        total.add_(image.narrow(axis, k, count), alpha=ratio)
    return total


def _band(window: Float[Tensor, " k"], length: int) -> Float[Tensor, "n length"]:
    """Row i holds the window from column i on: (length - k + 1, length)."""
    count = length - len(window) + 1
    offset = torch.arange(length, device=window.device) - torch.arange(count, device=window.device)[:, None]
    inside = (offset >= 0) & (offset < len(window))
    return torch.where(inside, window[offset.clamp(0, len(window) - 1)], 0.0)


class Moments(NamedTuple):
    """What SSIM needs to know of one image (:func:`moments`), however many others it is compared with."""

    padded: Float[Tensor, "B C h w"]
    """The image with its margin."""
    mean: Float[Tensor, "B C h w"]
    """Over every window."""
    variance: Float[Tensor, "B C h w"]
    """Over every window, E[x^2] - E[x]^2."""


def moments(image: Float[Tensor, "B C H W"], *, window: Float[Tensor, " k"], padding: str) -> Moments:
    """Mean and variance of an image over every window: one image's part in :func:`ssim`.

    Example:
        >>> moments(torch.ones(1, 1, 4, 4), window=box_window(3), padding="valid").mean.shape
        torch.Size([1, 1, 2, 2])
    """
    before, after = (len(window) - 1) // 2, len(window) // 2
    padded, window = _padded(image, (before, after, before, after), padding), window.to(image)
    mean, square = _window_means(torch.cat((padded, padded**2)), window).chunk(2)
    return Moments(padded, mean, square - mean**2)


def ssim(
    first: Float[Tensor, "B C H W"],
    second: Float[Tensor, "B C H W"] | Moments,
    *,
    window: Float[Tensor, " k"],
    padding: str,
    data_range: float = 1.0,
    k1: float = 0.01,
    k2: float = 0.03,
) -> Float[Tensor, "B C h w"]:
    """Structural similarity of two images at every pixel and channel, 1 where the windows are identical.

    SSIM = (2 m1 m2 + C1)(2 c12 + C2) / ((m1^2 + m2^2 + C1)(v1 + v2 + C2)), with means, variances E[x^2] -
    E[x]^2 and covariance weighted by ``window`` along rows and columns around the pixel, C1 = (k1 L)^2,
    C2 = (k2 L)^2, L = ``data_range``. The range matters: DenseDepth uses L = 100 for targets that mostly lie
    below 10, and then almost every map is "similar". In 32 bits E[x^2] - E[x]^2 is exact enough for values of
    at most some tens of ``data_range``. Monodepth2: ``box_window(3)``, padding "reflect".
    TensorFlow and DenseDepth: ``gaussian_window(11, 1.5)``, padding "valid". Of a second image that is
    compared with many, :func:`moments` may be given. Wang et al. 2004, eq. 13.

    Raises:
        ValueError: the image, with its margin, is smaller than the window; unknown padding.

    Example:
        >>> image = torch.rand(1, 3, 8, 8)
        >>> similarity = ssim(image, image, window=box_window(3), padding="reflect")
        >>> similarity.shape, round(similarity.mean().item(), 4)
        (torch.Size([1, 3, 8, 8]), 1.0)
    """
    if isinstance(second, Tensor):
        check_same_shape(first=first, second=second)
        second = moments(second, window=window, padding=padding)
    window, before, after = window.to(first), (len(window) - 1) // 2, len(window) // 2
    padded = _padded(first, (before, after, before, after), padding)
    constants = (k1 * data_range) ** 2, (k2 * data_range) ** 2
    if not any(values.requires_grad for values in second):
        return _SimilarityToConstant.apply(padded, *second, window, constants)
    terms = _similarity_terms(padded, second, window, constants)
    return terms[1] * terms[2] / (terms[3] * terms[4])


def _similarity_terms(
    x: Tensor, y: Moments, window: Float[Tensor, " k"], constants: tuple[float, float]
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The mean of x, and A, B, D, E, of which SSIM is A B / (D E)."""
    mean, square, product = _window_means(torch.cat((x, x**2, x * y.padded)), window).chunk(3)
    both, squared = mean * y.mean, mean**2
    A, B = (2 * both).add_(constants[0]), product.sub(both).mul_(2).add_(constants[1])
    D = torch.addcmul(squared, y.mean, y.mean).add_(constants[0])
    E = square.sub(squared).add_(y.variance).add_(constants[1])
    return mean, A, B, D, E


class _SimilarityToConstant(torch.autograd.Function):
    """SSIM to an image that has no gradient; its own in closed form. A second derivative is refused.

    With m, q, r the means of x, x^2 and x y over windows, S = A B / (D E), and W^T what takes gradients of
    means back,

        dS/dx = W^T dS/dm + 2 x W^T dS/dq + y W^T dS/dr,
        dS/dm = 2 (m_y (B - A) + S m (D - E)) / (D E), dS/dq = - S / E, dS/dr = 2 A / (D E).

    What is made on the way is written over as soon as it has been used, which saves memory and time.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, padded: Tensor, mean: Tensor, variance: Tensor, window: Tensor, constants: Any
    ) -> Tensor:
        ctx.save_for_backward(x, padded, mean, variance, window)
        ctx.constants = constants

        def similarity(x: Tensor, *second: Tensor) -> Tensor:
            _, A, B, D, E = _similarity_terms(x, Moments(*second), window, constants)
            return A.mul_(B).div_(D.mul_(E))

        return _in_pieces(similarity, x, padded, mean, variance)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Any) -> Any:
        *maps, window = ctx.saved_tensors

        def slope(gradient: Tensor, x: Tensor, y: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
            m, A, B, D, E = _similarity_terms(x, Moments(y, mean, variance), window, ctx.constants)
            both = D * E
            S, h = (A * B).div_(both), gradient / both
            # halves of the three gradients, doubled in the end
            to_mean = D.sub_(E).mul_(m).mul_(S).addcmul_(mean, B.sub_(A)).mul_(h)
            to_square, to_product = S.mul_(gradient).div_(E), A.mul_(h)
            back = _window_spread(torch.cat((to_mean, to_square, to_product)), window)
            from_mean, from_square, from_product = back.chunk(3)
            return from_mean.addcmul_(x, from_square, value=-1).addcmul_(y, from_product).mul_(2)

        return _in_pieces(slope, gradients[0], *maps), None, None, None, None, None


PIECE = 40_000
"""Pixels of all maps of a piece: with what is made of them on the way, less than a core's cache."""


def _in_pieces(function: Callable[..., Tensor], *maps: Tensor) -> Tensor:
    """A function of the channels of some maps, a few channels at a time on a CPU: what it makes on the way
    stays in the cache then, which is faster.
    """
    planes = [each.reshape(-1, 1, *each.shape[-2:]) for each in maps]
    count = len(planes[0]) if maps[0].is_cuda else max(1, PIECE // planes[0][0].numel())
    pieces = zip(*(each.split(count) for each in planes), strict=True)
    found = torch.cat([function(*piece) for piece in pieces])
    return found.view(*maps[0].shape[:2], *found.shape[-2:])


def ssim_dissimilarity(
    first: Float[Tensor, "B C H W"], second: Float[Tensor, "B C H W"] | Moments
) -> Float[Tensor, "B C H W"]:
    """Monodepth2's dissimilarity clamp((1 - SSIM) / 2, 0, 1) per pixel and channel: 0 for equal windows.

    Windows of 3 x 3, reflection padding, images in [0, 1]. Monodepth2, eq. 2 (the part under 0.85; the
    halving is already in here).

    Example:
        >>> ssim_dissimilarity(torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4)).mean().round(decimals=3)
        tensor(0.5000)
    """
    return ((1 - ssim(first, second, window=box_window(3), padding="reflect")) / 2).clamp(0, 1)
