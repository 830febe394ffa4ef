"""Losses, in the order of the chapters: functions of (prediction, target, valid).

Here: the scale-invariant error of Eigen, Puhrsch and Fergus (2014) in its three written forms,
and the training loss made of it. Predictions and targets are *log depths* (natural log of metres), because
that is what their network outputs; the metric of the same name for depths in metres is ``scale_invariant`` in
:mod:`mdepth.metrics` (its square root).

Where we differ from the sources. The arXiv version prints the pairwise form with 1/n^2; as printed it is
twice the other two, and 1/(2 n^2) makes the three equal. The paper does not say how a batch is reduced; the
released code weights images by the square of their valid pixels, which ``reduction="released"`` does, while
"mean" weights images alike. Its targets are also divided by their standard deviation 0.45723134, which
multiplies the loss by 1/0.45723134^2: a matter of the recipe, not of the loss.

Then the three losses of Eigen and Fergus (2015), for depth, normals and labels. They too leave the reduction
of a batch open: here every image counts alike, by the mean over what is valid in it.

Last the losses in metres that Laina et al. (2016) compare, the mean square and their reverse Huber loss, and
the mean absolute error inside the latter. Here every valid pixel of the batch counts alike, since the
threshold of the reverse Huber loss is one number for the batch; that only valid pixels decide on it is our
reading.

And the loss of Alhashim and Wonka (2018), as the course project on transfer learning prints it too: absolute
errors, errors of the slope, and structural dissimilarity, of whatever quantity one hands it. Theirs is the
reciprocal of depth, and has no mask: the masks are ours.

The loss of Hu et al. (2019) has a file of its own, :mod:`mdepth.losses_hu`, and is handed on here.
"""

import torch
from torch.nn import functional

from mdepth.image import forward_differences, gaussian_window, ssim
from mdepth.losses_hu import hu_depth_loss, hu_gradient_loss, hu_gradient_terms, hu_loss, hu_normal_loss
from mdepth.shapes import Depth, Float, Int, Tensor, Valid, check_same_shape

__all__ = [
    "berhu_loss", "densedepth_loss", "gradient_loss", "hu_depth_loss", "hu_gradient_loss",
    "hu_gradient_terms", "hu_loss", "hu_normal_loss", "l1_loss", "l2_loss", "label_loss", "log_l2_loss",
    "normals_loss", "scale_invariant_error", "scale_invariant_gradient_loss", "scale_invariant_loss",
    "ssim_loss",
]  # fmt: skip

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

    Edge cases as in :func:`scale_invariant_loss`. Eigen et al. 2014, the comparison of lambda.

    Example:
        >>> log_target = torch.zeros(1, 1, 2, 2)
        >>> log_l2_loss(log_target + 3.0, log_target, torch.ones_like(log_target, dtype=torch.bool))
        tensor(9.)
    """
    return scale_invariant_loss(log_prediction, log_target, valid, lam=0.0)


def scale_invariant_gradient_loss(
    log_prediction: Depth, log_target: Depth, valid: Valid, lam: float = 0.5
) -> Float[Tensor, ""]:
    r"""The scale-invariant loss, and the squared slopes of the log-depth error d: the edges must fit too.

    .. math:: \frac1n \sum_i d_i^2 - \frac{\lambda}{n^2} \Big(\sum_i d_i\Big)^2
        + \frac1{n_x} \sum_i (\nabla_x d_i)^2 + \frac1{n_y} \sum_i (\nabla_y d_i)^2

    with d = log prediction - log target, natural logs of metres, lam = 1/2 in the paper, n the image's valid
    pixels, and the differences d(v, u+1) - d(v, u) and d(v+1, u) - d(v, u). A difference counts where both of
    its pixels are valid: :math:`n_x` pairs of neighbours in a row, :math:`n_y` in a column. An image without
    such pairs has no slope to pay for. A constant d costs nothing here, (1 - lam) d^2 before.

    Every image with valid pixels counts alike; a batch without any gives 0 with zero gradient. What lies
    outside ``valid`` may be anything.

    Source: Eigen and Fergus 2015. Where we read it so: the print has one mean of both squares, without saying
    what is left out of it; the released code has the sum of two masked means, as here.

    Example:
        >>> log_target = torch.zeros(1, 1, 1, 4)
        >>> log_prediction = torch.tensor([0.0, 0.0, 2.0, 2.0]).reshape(1, 1, 1, 4)
        >>> valid = torch.ones_like(log_target, dtype=torch.bool)
        >>> scale_invariant_gradient_loss(log_prediction, log_target, valid).item()  # 1.5 + 4 / 3
        2.833333...
    """
    d, n = _log_differences(log_prediction, log_target, valid)
    across, down = forward_differences(d.view_as(valid))
    both_across = valid[..., :, 1:] & valid[..., :, :-1]
    both_down = valid[..., 1:, :] & valid[..., :-1, :]
    slopes = _masked_mean(across.square(), both_across) + _masked_mean(down.square(), both_down)
    plain = scale_invariant_loss(log_prediction, log_target, valid, lam)
    return plain + slopes.sum() / (n > 0).sum().clamp(min=1)


def normals_loss(
    prediction: Float[Tensor, "B 3 H W"], target: Float[Tensor, "B 3 H W"], valid: Valid
) -> Float[Tensor, ""]:
    r"""Minus the mean dot product of predicted and true normals: minus the cosine of the angle between them.

    .. math:: -\frac1n \sum_i N_i \cdot N_i^*

    Both are unit vectors in one frame, and are taken as they are: a longer prediction would be rewarded.
    From -1 (every normal right) over 0 (at right angles) to 1 (opposite). Per image over its n valid pixels,
    then over the images that have some; a batch without any gives 0 with zero gradient. What lies outside
    ``valid`` may be anything, so pixels whose target is (0, 0, 0) belong there.

    Source: Eigen and Fergus 2015.

    Example:
        >>> target = torch.tensor([0.0, 0.0, -1.0]).reshape(1, 3, 1, 1).expand(1, 3, 2, 2)
        >>> valid = torch.ones(1, 1, 2, 2, dtype=torch.bool)
        >>> [normals_loss(sign * target, target, valid).item() for sign in (1, -1)]
        [-1.0, 1.0]
    """
    check_same_shape(prediction=prediction, target=target)
    check_same_shape(prediction_pixels=prediction[:, :1], valid=valid)
    common = torch.promote_types(torch.promote_types(prediction.dtype, target.dtype), torch.float32)
    prediction, target = (torch.where(valid, x.to(common), 0.0) for x in (prediction, target))
    return -_mean_over_images((prediction * target).sum(dim=1, keepdim=True), valid)


def label_loss(
    logits: Float[Tensor, "B C H W"], labels: Int[Tensor, "B 1 H W"], valid: Valid
) -> Float[Tensor, ""]:
    r"""Cross entropy of the true class under the softmax of C logits, in nats.

    .. math:: -\frac1n \sum_i \log \frac{\exp z_{i, c_i}}{\sum_c \exp z_{i, c}}

    Labels are 0 to C - 1. Never negative; log C for even logits. Per image over its n valid pixels, then over
    the images that have some; a batch without any gives 0 with zero gradient. What lies outside ``valid`` may
    be anything, also labels such as -1 or 255.

    Raises:
        ValueError: a valid label is none of the classes.

    Source: Eigen and Fergus 2015.

    Example:
        >>> logits, labels = torch.zeros(1, 4, 2, 2), torch.full((1, 1, 2, 2), 3)
        >>> label_loss(logits, labels, torch.ones_like(labels, dtype=torch.bool))
        tensor(1.3863)
    """
    check_same_shape(logits_pixels=logits[:, :1], labels=labels, valid=valid)
    logits = torch.where(valid, logits.to(torch.promote_types(logits.dtype, torch.float32)), 0.0)
    labels = torch.where(valid, labels, 0).long()
    classes = logits.shape[1]
    if labels.numel() and (labels.min() < 0 or labels.max() >= classes):
        found = f"{labels.min().item()} to {labels.max().item()}"
        raise ValueError(f"valid labels must be 0 to {classes - 1}, got {found}; take others out of valid")
    entropy = functional.cross_entropy(logits, labels[:, 0], reduction="none")[:, None]
    return _mean_over_images(entropy, valid)


def l1_loss(prediction: Depth, target: Depth, valid: Valid) -> Float[Tensor, ""]:
    r"""Mean absolute error in metres.

    .. math:: \frac1n \sum_i |\hat z_i - z_i|

    over the n valid pixels of the whole batch, prediction less truth. Every pixel pulls with the same slope,
    however wrong it is. A batch without valid pixels gives 0 with zero gradient; what lies outside ``valid``
    may be anything.

    Source: the inner part of Laina et al.'s loss (2016), :func:`berhu_loss`.

    Example:
        >>> prediction, target = torch.tensor([[[[1.5, 6.0]]]]), torch.ones(1, 1, 1, 2)
        >>> l1_loss(prediction, target, target > 0).item()
        2.75
    """
    return _absolute_errors(prediction, target, valid).sum() / valid.sum().clamp(min=1)


def l2_loss(prediction: Depth, target: Depth, valid: Valid) -> Float[Tensor, ""]:
    r"""Mean squared error in square metres, without a factor of one half.

    .. math:: \frac1n \sum_i (\hat z_i - z_i)^2

    over the n valid pixels of the whole batch. A pixel pulls in proportion to its error, so what is nearly
    right hardly pulls at all. Edge cases as in :func:`l1_loss`.

    Source: what Laina et al. 2016 compare their loss with.

    Example:
        >>> prediction, target = torch.tensor([[[[1.5, 6.0]]]]), torch.ones(1, 1, 1, 2)
        >>> l2_loss(prediction, target, target > 0).item()
        12.625
    """
    return _absolute_errors(prediction, target, valid).square().sum() / valid.sum().clamp(min=1)


def berhu_loss(prediction: Depth, target: Depth, valid: Valid, share: float = 0.2) -> Float[Tensor, ""]:
    r"""The reverse Huber loss, "berHu", in metres: absolute errors up to c, squares above.

    .. math:: \mathcal B(x) = \begin{cases} |x| & |x| \le c \\ (x^2 + c^2) / (2c) & |x| > c \end{cases}
        \qquad c = \frac15 \max_i |x_i|

    with x = prediction - target, chosen for every pixel by itself; then the mean over the n valid pixels of
    the whole batch. Value and slope agree at c: c and 1. Huber's loss is the other way round, square inside
    and straight outside, so that large errors weigh less than under L2; here they weigh more than under L1,
    while small ones pull as hard as under L1.

    c is ``share`` of the largest valid error of the whole batch, and a constant to the gradient. So the loss
    scales with the errors, and with 1/5 the largest one costs 13 c, 2.6 times itself; ``share`` = 1 is
    :func:`l1_loss`. Without valid pixels, or where all errors are 0: 0 with zero gradient. What lies outside
    ``valid`` may be anything.

    Raises:
        ValueError: ``share`` is not above 0.

    Source: Laina et al. 2016, as summaries have it. That c is a constant to the gradient, and looks at valid
    pixels alone, is ours: of their c neither is known.

    Example:
        >>> prediction, target = torch.tensor([[[[1.5, 6.0]]]]), torch.ones(1, 1, 1, 2)
        >>> berhu_loss(prediction, target, target > 0).item()  # c = 1: (0.5 + 13) / 2
        6.75
    """
    if share <= 0:
        raise ValueError(f"share must be above 0, got {share}; the paper has 0.2")
    errors = _absolute_errors(prediction, target, valid)
    c = share * errors.detach().max()
    c = torch.where(c > 0, c, 1.0)  # all errors are 0: any c will do that can be divided by
    values = torch.where(errors <= c, errors, (errors.square() + c.square()) / (2 * c))
    return values.sum() / valid.sum().clamp(min=1)


def gradient_loss(prediction: Depth, target: Depth, valid: Valid) -> Float[Tensor, ""]:
    r"""Mean absolute error of the slopes along both directions.

    .. math:: L_{grad} = \frac1n \sum_i |g_x(y_i - \hat y_i)| + |g_y(y_i - \hat y_i)|

    with g the difference to the right or lower neighbour, over the n valid pixels of the batch; a pixel whose
    neighbour is invalid or outside adds nothing (in the released code the last row and column are zeros). The
    unit is that of the maps, per pixel. A constant error costs nothing. Without valid pixels 0, with zero
    gradient.

    Source: the course project, equation (3); Alhashim and Wonka 2018, released code.

    Example:
        >>> target = torch.ones(1, 1, 2, 2)
        >>> gradient_loss(target + torch.tensor([[0.0, 1.0], [0.0, 1.0]]), target, target > 0).item()
        0.5
    """
    check_same_shape(prediction=prediction, target=target, valid=valid)
    error = torch.where(valid, prediction - target, 0.0)
    across, down = forward_differences(error)
    right, below = valid[..., :, 1:] & valid[..., :, :-1], valid[..., 1:, :] & valid[..., :-1, :]
    total = torch.where(right, across, 0.0).abs().sum() + torch.where(below, down, 0.0).abs().sum()
    return total / valid.sum().clamp(min=1)


def ssim_loss(
    prediction: Depth,
    target: Depth,
    valid: Valid,
    *,
    data_range: float = 100.0,
    window: int = 11,
    sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
) -> Float[Tensor, ""]:
    r"""Structural dissimilarity of two maps, between 0 (alike) and 1.

    .. math:: L_{SSIM} = \min\big(1, \max(0, (1 - \mathrm{SSIM}(y, \hat y)) / 2)\big)

    SSIM of :func:`mdepth.image.ssim` with a Gaussian window, its mean over all places at which the window
    lies inside the image, then over the batch. ``data_range`` decides what counts as a difference: its
    constants are (k1 data_range)^2 and (k2 data_range)^2, and at 100 they are 1 and 9, against maps that
    mostly lie below 10. Where ``valid`` is False the target takes the prediction's value, as a constant, so
    that a hole is like itself and weighs only by the pixels around it.

    Raises:
        ValueError: a map is smaller than the window, or ``data_range`` is not above 0.

    Source: the course project, equation (4); Alhashim and Wonka 2018, released code, which has no mask.

    Example:
        >>> target = torch.rand(2, 1, 16, 16)
        >>> round(ssim_loss(target, target, target >= 0).item(), 6)
        0.0
    """
    check_same_shape(prediction=prediction, target=target, valid=valid)
    if data_range <= 0:
        raise ValueError(f"data_range must be above 0, got {data_range}; DenseDepth has 100")
    common = torch.promote_types(torch.promote_types(prediction.dtype, target.dtype), torch.float32)
    prediction, target = prediction.to(common), target.to(common)
    prediction = torch.where(valid, prediction, prediction.detach())
    target = torch.where(valid, target, prediction.detach())
    around = gaussian_window(window, sigma)
    similarity = ssim(prediction, target, window=around, padding="valid", data_range=data_range, k1=k1, k2=k2)
    return ((1 - similarity.flatten(1).mean(dim=1)) / 2).clamp(0, 1).mean()


def densedepth_loss(
    prediction: Depth, target: Depth, valid: Valid, lam: float = 0.1, *, data_range: float = 100.0
) -> Float[Tensor, ""]:
    r"""The loss of DenseDepth and of the course project on transfer learning.

    .. math:: L(y, \hat y) = \lambda L_{depth} + L_{grad} + L_{SSIM}, \qquad
        L_{depth} = \frac1n \sum_i |y_i - \hat y_i|

    :func:`l1_loss`, :func:`gradient_loss` and :func:`ssim_loss` of one quantity. DenseDepth's is the
    reciprocal y = 10 m / z, from 1 at 10 m to 100 at 0.1 m, which makes near pixels weigh more; the project
    does not say which. The two first terms have the unit of y and the third has none, so that both ``lam``
    and ``data_range`` mean something else for every unit.

    Args:
        prediction, target, valid: (B, 1, H, W), the maps in one unit.
        lam: weight of the absolute errors; 0.1 in the released code, not given by the project.
        data_range: of SSIM; 100 in the released code.

    Source: the course project, equations (1) to (4); Alhashim and Wonka 2018. The released PyTorch script
    leaves the second term out.

    Example:
        >>> target = torch.ones(1, 1, 12, 12)
        >>> round(densedepth_loss(target + 0.5, target, target > 0).item(), 4)  # 0.05 + 0 + 0.0294
        0.0794
    """
    terms = l1_loss(prediction, target, valid), gradient_loss(prediction, target, valid)
    return lam * terms[0] + terms[1] + ssim_loss(prediction, target, valid, data_range=data_range)


def _absolute_errors(prediction: Depth, target: Depth, valid: Valid) -> Depth:
    """|prediction - target| in float32 at least, 0 where not valid."""
    check_same_shape(prediction=prediction, target=target, valid=valid)
    common = torch.promote_types(torch.promote_types(prediction.dtype, target.dtype), torch.float32)
    return torch.where(valid, prediction.to(common) - target.to(common), 0.0).abs()


def _masked_mean(values: Depth, counted: Valid) -> Float[Tensor, " B"]:
    """Each image's mean over what counts; 0 where nothing does."""
    total = torch.where(counted, values, 0.0).flatten(1).sum(dim=1)
    return total / counted.flatten(1).sum(dim=1).clamp(min=1)


def _mean_over_images(values: Depth, valid: Valid) -> Float[Tensor, ""]:
    """The mean over images of each image's mean; images without valid pixels are left out."""
    images = valid.flatten(1).any(dim=1).sum()
    return _masked_mean(values, valid).sum() / images.clamp(min=1)
