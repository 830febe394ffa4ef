"""Losses, in the order of the chapters: functions of (prediction, target, valid).

Here: the scale-invariant error of Eigen, Puhrsch and Fergus (2014), section 3.2, in its three written forms,
and the training loss made of it. Predictions and targets are *log depths* (natural log of metres), because
that is what their network outputs; the metric of the same name for depths in metres is ``scale_invariant`` in
:mod:`mdepth.metrics` (its square root).

Where we differ from the sources. The arXiv version prints the pairwise form with 1/n^2; as printed it is
twice the other two, and 1/(2 n^2) makes the three equal. The paper does not say how a batch is reduced; the
released code weights images by the square of their valid pixels, which ``reduction="released"`` does, while
"mean" weights images alike. Its targets are also divided by their standard deviation 0.45723134, which
multiplies the loss by 1/0.45723134^2: a matter of the recipe, not of the loss.
"""

import torch

from mdepth.shapes import Depth, Float, Tensor, Valid, check_same_shape

__all__ = ["log_l2_loss", "scale_invariant_error", "scale_invariant_loss"]

MAX_PAIRS = 4096
"""Pixels per image up to which the pairwise form is evaluated: it needs the square of them in memory."""


def _log_differences(
    log_prediction: Depth, log_target: Depth, valid: Valid
) -> tuple[Float[Tensor, "B N"], Float[Tensor, " B"]]:
    """d = log prediction - log target, 0 where not valid, and n, the number of valid pixels of each image.

    In float32 at least: float16 ends at 65,504, which is fewer than the pixels of an image.
    """
    check_same_shape(log_prediction=log_prediction, log_target=log_target, valid=valid)
    common = torch.promote_types(torch.promote_types(log_prediction.dtype, log_target.dtype), torch.float32)
    differences = torch.where(valid, log_prediction.to(common) - log_target.to(common), 0.0)
    return differences.flatten(1), valid.flatten(1).sum(dim=1).to(common)


def scale_invariant_error(
    log_prediction: Depth, log_target: Depth, valid: Valid, form: str = "moments"
) -> Float[Tensor, " B"]:
    r"""The scale-invariant error D of every image, in one of the three ways the paper writes it.

    With d_i = log y_i - log y*_i over the image's n valid pixels:

    - ``"aligned"`` (eq. 1): D = 1/n sum (d_i + a)^2 with a = -mean(d), the squared log error after the best
      scaling, exp(a);
    - ``"pairs"`` (eq. 2, as printed): 1/n^2 sum over all ordered pairs (d_i - d_j)^2, the error in the
      *relations* between pixels; **twice** the others, as sum_ij (d_i - d_j)^2 = 2 n sum d^2 - 2 (sum d)^2;
    - ``"moments"`` (eq. 3): D = mean(d^2) - mean(d)^2: linear time, the form to use.

    Log depths are natural logs of metres; adding a constant to the prediction (a scale) leaves D unchanged. 0
    for an image without valid pixels, with zero gradient; what lies outside ``valid`` may be anything.

    Raises:
        ValueError: for another form, or "pairs" with more than ``MAX_PAIRS`` pixels per image (its cost is
        quadratic).

    Example:
        >>> log_target = torch.zeros(1, 1, 1, 2)
        >>> log_prediction = torch.tensor([1.0, 3.0]).reshape(1, 1, 1, 2)
        >>> inputs = (log_prediction, log_target, torch.ones_like(log_target, dtype=torch.bool))
        >>> [scale_invariant_error(*inputs, form).item() for form in ("aligned", "pairs", "moments")]
        [1.0, 2.0, 1.0]
    """
    d, n = _log_differences(log_prediction, log_target, valid)
    counted, n = valid.flatten(1), n.clamp(min=1)
    mean = d.sum(dim=1) / n
    if form == "moments":
        return d.square().sum(dim=1) / n - mean.square()
    if form == "aligned":
        return torch.where(counted, d - mean[:, None], 0.0).square().sum(dim=1) / n
    if form != "pairs":
        raise ValueError(f"form must be aligned, pairs or moments, got {form!r}")
    if d.shape[1] > MAX_PAIRS:
        raise ValueError(
            f"pairs needs the square of {d.shape[1]} pixels; at most {MAX_PAIRS}, else use moments"
        )
    both = counted[:, :, None] & counted[:, None, :]
    pairs = torch.where(both, d[:, :, None] - d[:, None, :], 0.0)  # B N N
    return pairs.square().sum(dim=(1, 2)) / n.square()


def scale_invariant_loss(
    log_prediction: Depth, log_target: Depth, valid: Valid, lam: float = 0.5, *, reduction: str = "mean"
) -> Float[Tensor, ""]:
    """Eigen's training loss, mean(d^2) - lam mean(d)^2 per image, over the batch.

    ``lam`` = 0 is plain L2 of log depths, 1 the scale-invariant error, 0.5 the paper's choice (eq. 4): half
    of what a global scale error costs is forgiven. Per image, n counts its valid pixels only.

    ``reduction="mean"``: the average over the images that have valid pixels. ``"released"``: the released
    code's (sum_b n_b S_b - lam sum_b (sum d)_b^2) / max(1, sum_b n_b^2) with S_b = sum d^2, the average
    weighted by n_b^2; for one image the two agree. A batch without any valid pixel gives 0 with a finite,
    zero gradient.

    Raises:
        ValueError: for another reduction.

    Example:
        >>> log_target = torch.zeros(2, 1, 3, 4)
        >>> valid = torch.ones_like(log_target, dtype=torch.bool)
        >>> [scale_invariant_loss(log_target + 2.0, log_target, valid, lam).item() for lam in (0.0, 0.5, 1.0)]
        [4.0, 2.0, 0.0]
    """
    d, n = _log_differences(log_prediction, log_target, valid)
    square, total = d.square().sum(dim=1), d.sum(dim=1)
    if reduction == "released":
        return (n * square - lam * total.square()).sum() / n.square().sum().clamp(min=1)
    if reduction != "mean":
        raise ValueError(f"reduction must be mean or released, got {reduction!r}")
    pixels = n.clamp(min=1)
    per_image = square / pixels - lam * (total / pixels).square()
    return per_image.sum() / (n > 0).sum().clamp(min=1)


def log_l2_loss(log_prediction: Depth, log_target: Depth, valid: Valid) -> Float[Tensor, ""]:
    """Mean squared difference of log depths, per image: the scale-invariant loss with lam = 0.

    Edge cases as in :func:`scale_invariant_loss`. Eigen et al. 2014, the comparison in section 4.

    Example:
        >>> log_target = torch.zeros(1, 1, 2, 2)
        >>> log_l2_loss(log_target + 3.0, log_target, torch.ones_like(log_target, dtype=torch.bool))
        tensor(9.)
    """
    return scale_invariant_loss(log_prediction, log_target, valid, lam=0.0)
