r"""The filters, local distributions and harmonisation of Chakrabarti, Shao and Shakhnarovich, "Depth from a
single image by harmonizing overcomplete local network predictions" (NIPS 2016). Their network is in
:mod:`mdepth.models.eigen_local`.

The network says at every pixel not a depth but how sure it is of 64 local properties of the inverse depth y =
1/z: its value, its averages, its slopes and its bends in many directions and at three sizes, each as a
distribution. No map has exactly the properties that the network thinks most likely, since there are 64 times
more of them than pixels; **harmonisation** finds the map that agrees with them best.

Written from a description of paper and released code, not from code. What it leaves open, and how we read it:

* *Variance-weighted* loss: the divergence of filter i counts by its variance :math:`\sigma_i^2`, so that it
  is measured in squared inverse depth. Harmonisation weights the likelihood in the same way: only then do the
  printed w-step, which has no variance in it, and the printed norms of the filters have their meaning.
* The impulse counts as order 0 and has the norm 1/2 of the paper too (the released code divides a scale by 4
  for all filters without negative lobes).
* The four Laplacians are second differences (-1, 2, -1) along rows, columns and both diagonals.
* Nothing is said about the map beyond the border. Here it continues as its last pixels do; harmonisation
  works on a periodic canvas, and "taper" means that a gap between the opposite borders is filled by a fade
  from one to the other for 15 steps. Afterwards the gap is free.
* The start y = 0, the start of the k-means, and how many members make a cluster "sufficiently populated" (a
  tenth of the average).

Where we differ: a sampled and cut second derivative has a small sum, which is taken out with a multiple of
its Gaussian, so that a constant map answers 0.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import pi
from typing import Any

import torch
from torch.nn import functional as F

from mdepth.geometry import depth_to_inverse_depth
from mdepth.shapes import Depth, Float, Tensor, Valid

__all__ = [
    "Components", "FilterBank", "Harmony", "LogWeights", "demonstrate", "filter_bank", "harmonisation",
    "harmonise", "local_loss", "schedule",
]  # fmt: skip

LogWeights = Float[Tensor, "B K M H W"]  # of M components for each of K filters, at every pixel


# --- the filters -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class FilterBank:
    """Filters of an inverse-depth map, with what each of them is. Made by :func:`filter_bank`."""

    kernels: Float[Tensor, "K n n"]
    """Response = cross-correlation with these: a slope that rises to the right or downwards is positive."""
    sigma: tuple[float, ...]
    """Size of each filter's Gaussian in pixels; 0 for the impulse."""
    order: tuple[int, ...]
    """How many derivatives each filter takes: 0, 1 or 2."""

    @property
    def radius(self) -> int:
        """Pixels that a kernel reaches beyond its centre."""
        return self.kernels.shape[-1] // 2

    def only(self, *, sigmas: Sequence[float] | None = None, orders: Sequence[int] = (0, 1, 2)) -> list[int]:
        """Numbers of the filters of some sizes and orders, as in the rows of the paper's Table 1.

        Example:
            >>> bank = filter_bank()
            >>> len(bank.only(orders=[0, 1])), len(bank.only(sigmas=[0.0, 2.0])), bank.only(sigmas=[0.0])
            (28, 22, [0])
        """
        pairs = enumerate(zip(self.sigma, self.order, strict=True))
        return [k for k, (sigma, order) in pairs if order in orders and (sigmas is None or sigma in sigmas)]

    def __getitem__(self, chosen: list[int]) -> "FilterBank":
        return FilterBank(
            self.kernels[chosen], tuple(self.sigma[k] for k in chosen), tuple(self.order[k] for k in chosen)
        )

    def to(self, other: Tensor) -> "FilterBank":
        """The bank with another tensor's device and type."""
        return FilterBank(self.kernels.to(other), self.sigma, self.order)

    def responses(self, inverse_depth: Depth) -> Float[Tensor, "B K H W"]:
        """Every filter at every pixel; beyond its border the map continues as its last pixels do."""
        padded = F.pad(inverse_depth, [self.radius] * 4, mode="replicate")
        return F.conv2d(padded, self.to(inverse_depth).kernels[:, None])

    def support(self, valid: Valid) -> Valid:
        """Where all depth under a kernel is known; outside the image nothing is missing."""
        missing = F.max_pool2d((~valid).float(), 2 * self.radius + 1, stride=1, padding=self.radius)
        return missing == 0

    def transfer(self, height: int, width: int) -> Tensor:
        """The filters in the Fourier domain (K, height, width // 2 + 1), for a periodic map of this size."""
        spare = height - self.kernels.shape[1], width - self.kernels.shape[2]
        centred = F.pad(self.kernels, (0, spare[1], 0, spare[0])).roll((-self.radius,) * 2, (-2, -1))
        return torch.fft.rfft2(centred).conj()


def filter_bank(scales: Sequence[float] = (2.0, 4.0, 8.0), size: int | None = None) -> FilterBank:
    r"""The impulse, and for every scale :math:`\sigma` a Gaussian G and its derivatives: 1 + 21 per scale.

    .. math:: \delta,\quad G_\sigma,\quad \partial_{\theta_k} G_\sigma,\quad \partial_{\theta_k}^2 G_\sigma,
        \quad \partial_{\theta_l}\partial_{\theta_l + \pi/2}\, G_\sigma,
        \qquad \theta_k = k\pi/8,\; k < 8,\; l < 4

    Derivatives have norm 1, filters of order 0 norm 1/2. On a ramp of slope s per pixel a first derivative
    along it answers :math:`\sqrt{8\pi}\,\sigma^2 s`, less the small part of G that the kernel cuts off.

    Args:
        scales: standard deviations in pixels; fewer or smaller ones for small images.
        size: side of the kernels, odd; None for 6 times the largest scale and 1: 49 for the paper's.

    Raises:
        ValueError: for an even or too small ``size``.

    Source: the paper's filters and norms; kernels of 49 x 49 in the released code.

    Example:
        >>> bank = filter_bank()
        >>> tuple(bank.kernels.shape), filter_bank(scales=(1.0, 2.0)).kernels.shape[0]
        ((64, 49, 49), 43)
    """
    size = 2 * round(3 * max(scales)) + 1 if size is None else size
    if size % 2 == 0 or size < 3:
        raise ValueError(f"size must be an odd number of at least 3 pixels, got {size}")
    line = torch.arange(size, dtype=torch.float64) - size // 2
    y, x = torch.meshgrid(line, line, indexing="ij")
    filters = [(((x == 0) & (y == 0)).double(), 0.0, 0)]
    for sigma in scales:
        gauss = torch.exp(-(x**2 + y**2) / (2 * sigma**2))
        filters.append((gauss, float(sigma), 0))
        along = [x * torch.tensor(k * pi / 8).cos() + y * torch.tensor(k * pi / 8).sin() for k in range(8)]
        across = [y * torch.tensor(k * pi / 8).cos() - x * torch.tensor(k * pi / 8).sin() for k in range(4)]
        filters += [(u * gauss, float(sigma), 1) for u in along]
        second = [(u**2 - sigma**2) * gauss for u in along]
        filters += [(k - k.sum() / gauss.sum() * gauss, float(sigma), 2) for k in second]
        filters += [(u * v * gauss, float(sigma), 2) for u, v in zip(along, across, strict=False)]
    kernels = [kernel / kernel.norm() * (0.5 if order == 0 else 1.0) for kernel, _, order in filters]
    return FilterBank(
        torch.stack(kernels).float(), tuple(f[1] for f in filters), tuple(f[2] for f in filters)
    )


# --- the local distributions -----------------------------------------------------------------------


@dataclass(frozen=True)
class Components:
    """What the mixtures of M Gaussians share: the means of each filter, and one variance per filter."""

    means: Float[Tensor, "K M"]
    variances: Float[Tensor, " K"]

    @classmethod
    def fit(cls, responses: Float[Tensor, "K N"], count: int = 64, *, iterations: int = 50) -> "Components":
        """Means by one-dimensional k-means of N training responses; variance = mean variance inside the
        clusters, of those that have at least a tenth of the average number of members.

        Starts where many means belong: as dense as the cube root of the responses' density (the optimum for
        many means). A mean without members stays where it is.

        Example:
            >>> Components.fit(torch.tensor([[0.0, 0.2, 5.0, 5.2]]), count=2).means
            tensor([[0.1000, 5.1000]])
        """
        values = responses.double().sort(dim=1).values
        sums, squares = (F.pad(v.cumsum(1), (1, 0)) for v in (values, values**2))
        means = _spread_start(values, count)
        for _ in range(iterations):
            borders = torch.searchsorted(values, (means[:, 1:] + means[:, :-1]) / 2)
            cuts = F.pad(F.pad(borders, (1, 0)), (0, 1), value=values.shape[1])  # K M+1
            members = cuts.diff()
            means = torch.where(members > 0, sums.gather(1, cuts).diff() / members.clamp(min=1), means)
        inside = squares.gather(1, cuts).diff() / members.clamp(min=1) - means**2
        populated = members >= max(1, 0.1 * values.shape[1] / count)
        variances = (inside.clamp(min=0) * populated).sum(1) / populated.sum(1)
        floor = 1e-6 * values.var(dim=1, correction=0) + 1e-12  # as many means as values: no variance left
        return cls(means.float(), torch.maximum(variances, floor).float())

    @classmethod
    def even(cls, bank: FilterBank, count: int, lowest: float, highest: float) -> "Components":
        """Means spread evenly over all responses that maps between two inverse depths can have: a start
        before anything was fitted.
        """
        positive, negative = (
            part.sum((1, 2)) for part in (bank.kernels.clamp(min=0), bank.kernels.clamp(max=0))
        )
        low, high = lowest * positive + highest * negative, highest * positive + lowest * negative
        step = (high - low) / count
        return cls(
            low[:, None] + step[:, None] * (torch.arange(count, device=step.device) + 0.5), step**2 / 12
        )

    def __getitem__(self, chosen: list[int]) -> "Components":
        return Components(self.means[chosen], self.variances[chosen])

    def log_weights(self, responses: Float[Tensor, "B K H W"]) -> LogWeights:
        r"""The target of training, :math:`\log q_j` with
        :math:`q_j \propto \exp(-(w - c_j)^2 / 2\sigma^2)`.
        """
        means, variances = self.means[:, :, None, None], self.variances[:, None, None, None]
        return (-((responses[:, :, None] - means) ** 2) / (2 * variances)).log_softmax(dim=2)


def _spread_start(values: Float[Tensor, "K N"], count: int) -> Float[Tensor, "K M"]:
    """Places whose density is the cube root of the density of the (sorted) values."""
    points = min(16 * count, values.shape[1])
    chosen = torch.linspace(0, values.shape[1] - 1, points, device=values.device).round().long()
    grid = values[:, chosen]
    room = F.pad((grid.diff() + 1e-12).pow(2 / 3).cumsum(1), (1, 0))  # equal shares of each step, to the 2/3
    wanted = (torch.arange(count, device=values.device) + 0.5) / count * room[:, -1:]
    right = torch.searchsorted(room, wanted).clamp(1, points - 1)
    before, after = room.gather(1, right - 1), room.gather(1, right)
    return torch.lerp(grid.gather(1, right - 1), grid.gather(1, right), (wanted - before) / (after - before))


def local_loss(
    log_weights: LogWeights, responses: Float[Tensor, "B K H W"], components: Components, valid: Valid
) -> Float[Tensor, ""]:
    r"""Variance-weighted Kullback-Leibler divergence from the predicted to the target weights.

    .. math:: \frac{1}{N K} \sum_{n, i} \frac{\sigma_i^2}{\overline{\sigma^2}} \sum_j q_{ij}(n)
        \big(\log q_{ij}(n) - \log p_{ij}(n)\big)

    over the N pixels of ``valid`` (where the whole support of the filters is known:
    :meth:`FilterBank.support`) and K filters; the mean variance makes it free of units. 0 for the target
    itself and where nothing is valid. Garbage under the mask changes nothing.

    Example:
        >>> components = Components(torch.tensor([[0.0, 1.0]]), torch.tensor([0.25]))
        >>> responses, even = torch.ones(1, 1, 2, 2), torch.full((1, 1, 2, 2, 2), 0.5).log()
        >>> local_loss(even, responses, components, torch.ones(1, 1, 2, 2, dtype=torch.bool)).item() > 0
        True
    """
    target = components.log_weights(torch.where(valid, responses, 0.0))
    divergence = F.kl_div(log_weights, target, log_target=True, reduction="none").sum(dim=2)  # B K H W
    share = components.variances / components.variances.mean()
    each = torch.einsum("k,bkhw->bhw", share / len(share), divergence)[:, None]
    return torch.where(valid, each, 0.0).sum() / valid.sum().clamp(min=1)


# --- harmonisation ---------------------------------------------------------------------------------


def schedule(ratio: float = 2 ** (1 / 8)) -> list[float]:
    """The weights beta of the steps: 2^-10 to 2^7, each ``ratio`` times the one before.

    Example:
        >>> betas = schedule()
        >>> len(betas), betas[0] == 2**-10, betas[-1], len(schedule(2**0.5))
        (137, True, 128.0, 35)
    """
    per_octave = round(1 / torch.tensor(ratio, dtype=torch.float64).log2().item())
    return [2 ** (k / per_octave - 10) for k in range(17 * per_octave + 1)]


def harmonisation(
    log_weights: LogWeights,
    bank: FilterBank,
    components: Components,
    *,
    betas: Sequence[float] | None = None,
    taper: int = 15,
    smoothness: float = 1.0,
) -> Iterator[Depth]:
    r"""The maps of inverse depth on the way to the one that agrees best with all distributions, one a step.

    .. math:: \min_{y}\; -\sum_{i, n} \sigma_i^2 \log p_{i, n}\big((k_i * y)(n)\big)
        + \tfrac{s}{2} \sum_{r=1}^{4} \lVert \nabla_r y \rVert^2

    is split in two by coefficients w that may differ from those of the map, :math:`\bar w_i = k_i * y`, at
    the price of :math:`\tfrac\beta2 \lVert w_i - \bar w_i \rVert^2`. Each step chooses, at every pixel, the
    component with the best penalised score and the coefficient that belongs to it,

    .. math:: j = \arg\max_j\; \log p_{ij} - \frac{\beta}{1+\beta} \frac{(c_{ij} - \bar w_i)^2}{2\sigma_i^2},
        \qquad w_i = \frac{c_{ij} + \beta \bar w_i}{1 + \beta},

    then the map that fits these coefficients best, a division in the Fourier domain:

    .. math:: \hat y = \frac{\beta \sum_i \overline{\hat k_i}\, \hat w_i}
        {\beta \sum_i |\hat k_i|^2 + s \sum_r |\hat\nabla_r|^2}

    :math:`\beta` grows from step to step, until w and the map agree. (A single component stands for the whole
    mixture in the first step, so that the minimum is approximate.)

    Args:
        log_weights: logarithms of the weights; any constant may be added per filter and pixel.
        bank, components: what the weights speak of.
        betas: one weight a step; None for :func:`schedule`. Fewer, larger steps settle on a worse map.
        taper: steps in which the gap between opposite borders is filled by a fade.
        smoothness: the weight s; 1 in the paper, whose maps are 427 x 561. In a small map edges lie closer
            together, and the same weight blurs more of it.

    No gradient passes: training ends at the weights.

    Source: the paper's alternation and schedule; for what is left open see the top of this file.

    Example:
        >>> bank = filter_bank(scales=(1.0,))
        >>> components = Components.even(bank, 8, 0.0, 1.0)
        >>> weights = components.log_weights(bank.responses(torch.full((1, 1, 12, 16), 0.5)))
        >>> len(list(harmonisation(weights, bank, components, betas=schedule(2.0))))
        18
    """
    log_weights = log_weights.detach()
    (height, width), gap = log_weights.shape[-2:], 2 * bank.radius
    canvas = height + gap, width + gap  # periodic: the gap lies after the last and before the first pixel
    bank = bank.to(log_weights)
    k_hat, rough = bank.transfer(*canvas), smoothness * _roughness(*canvas).to(log_weights)
    energy = k_hat.abs().square().sum(0)
    y = log_weights.new_zeros(len(log_weights), 1, *canvas)
    for step, beta in enumerate(schedule() if betas is None else betas):
        w = torch.fft.irfft2(k_hat * torch.fft.rfft2(y), s=canvas)  # B K h w
        inside = w[..., :height, :width]  # in the gap nobody has an opinion: there w stays that of the map
        inside.copy_(_choose(inside, log_weights, components, beta))
        fit = beta * (k_hat.conj() * torch.fft.rfft2(w)).sum(1, keepdim=True)
        y = torch.fft.irfft2(fit / (beta * energy + rough), s=canvas)
        if step < taper:
            y = _bridge(y[..., :height, :width], gap)
        yield y[..., :height, :width]


def harmonise(log_weights: LogWeights, bank: FilterBank, components: Components, **options: Any) -> Depth:
    """The last map of :func:`harmonisation`, in 1/m (or whatever the components are in); not yet clamped."""
    for y in harmonisation(log_weights, bank, components, **options):
        best = y
    return best


def _choose(
    w_bar: Float[Tensor, "B K H W"], log_weights: LogWeights, components: Components, beta: float
) -> Float[Tensor, "B K H W"]:
    """The w-step; one filter after the other, since all of them are M times the size of the map."""
    w = torch.empty_like(w_bar)
    for k, (c, variance) in enumerate(zip(components.means, components.variances, strict=True)):
        c, gain = c[:, None, None], beta / (1 + beta) / (2 * variance)
        score = (c - w_bar[:, k, None]).square_().mul_(-gain).add_(log_weights[:, k])  # B M H W
        behind = score.sub_(score.amax(dim=1, keepdim=True))  # 0 for the best component
        chosen = behind.mul_(1e30).add_(c).amax(dim=1)  # its mean, far above the rest; argmax is slower
        w[:, k] = (chosen + beta * w_bar[:, k]) / (1 + beta)
    return w


def _roughness(height: int, width: int) -> Float[Tensor, "h w"]:
    """Squared transfer functions, summed, of the second differences along rows, columns and diagonals."""
    v = 2 * pi * torch.fft.fftfreq(height)[:, None]
    u = 2 * pi * torch.fft.rfftfreq(width)[None]
    return sum(((2 - 2 * torch.cos(phase)) ** 2 for phase in (u, v, u + v, u - v)), torch.zeros(()))


def _bridge(inside: Float[Tensor, "B 1 H W"], gap: int) -> Float[Tensor, "B 1 h w"]:
    """A map and, after its last row and column, a fade to the first ones: periodic without a step."""
    fade = (torch.arange(gap, device=inside.device, dtype=inside.dtype) + 0.5) / gap
    rows = torch.lerp(inside[..., -1:, :], inside[..., :1, :], fade[:, None])
    inside = torch.cat((inside, rows), dim=-2)
    columns = torch.lerp(inside[..., -1:], inside[..., :1], fade)
    return torch.cat((inside, columns), dim=-1)


# --- a demonstration -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Harmony:
    """What :func:`demonstrate` returns: maps of inverse depth in 1/m."""

    truth: Depth
    alone: Depth
    """What the uncertain impulse says by itself: the expectation of its distribution at every pixel."""
    maps: dict[int, Depth]
    """The harmonised map after these steps; the last one is the result."""
    valid: Valid

    def error(self, inverse_depth: Depth) -> float:
        """Root of the mean squared difference to the truth, in 1/m, where depth is known."""
        return (inverse_depth - self.truth)[self.valid].square().mean().sqrt().item()


def demonstrate(
    depth: Depth,
    *,
    scales: Sequence[float] = (1.0, 2.0, 4.0),
    count: int = 32,
    noise: float = 0.5,
    patch: int = 8,
    keep: Sequence[int] = (0, 15, 40, 80, 136),
    sigmas: Sequence[float] | None = None,
    orders: Sequence[int] = (0, 1, 2),
    seed: int = 0,
    **options: Any,
) -> Harmony:
    r"""Harmonise what a local network might say of a map whose truth is known.

    The imagined network errs by an amount in proportion to what it has to tell: filter i gets at every pixel
    an error :math:`e_i` of standard deviation ``noise`` times that of its true responses in this map. Errors
    of neighbours are alike (drawn for every ``patch`` pixels, interpolated in between) and those of different
    filters independent. It knows how uncertain it is: its weights are a Gaussian around the wrong response,
    as wide as the errors are, on the means that k-means finds in the true responses,

    .. math:: \log p_{ij} = -\frac{(w_i + e_i - c_{ij})^2}{2 (\sigma_i^2 + \mathrm{var}\,e_i)} + \dots

    A real network's errors need not be independent from filter to filter; then there is less to gain.

    Args:
        depth: in metres; 0 where unknown, which counts as infinitely far and is left out of errors.
        scales, count: filters and means per filter; the paper's are (2, 4, 8) and 64, for larger maps.
        noise, patch: the errors; 0 leaves the rounding to the nearest mean, weights as in training.
        keep: steps after which a map is kept, from 0; the last step is kept in any case.
        sigmas, orders: use these filters only, as :meth:`FilterBank.only` takes them.
        seed: of the errors. A filter's errors are the same whichever others are used.
        options: for :func:`harmonisation`.

    Example:
        >>> harmony = demonstrate(torch.rand(1, 1, 12, 16) + 1, scales=(1.0,), count=8, betas=schedule(2.0))
        >>> harmony.alone.shape, list(harmony.maps)
        (torch.Size([1, 1, 12, 16]), [0, 15, 17])
    """
    truth, whole = depth_to_inverse_depth(depth), filter_bank(scales)
    responses = whole.responses(truth)  # B K H W
    components = Components.fit(responses.movedim(1, 0).flatten(1), count)
    error = noise * _smooth_noise(responses, patch, seed) * responses.std(dim=(0, 2, 3))[:, None, None]
    blurred = Components(components.means, components.variances + error.var(dim=(0, 2, 3), correction=0))
    log_weights = blurred.log_weights(responses + error)
    value = (log_weights[:, 0].exp() * components.means[0, :, None, None]).sum(1, keepdim=True)
    chosen = whole.only(sigmas=sigmas, orders=orders)
    maps = list(harmonisation(log_weights[:, chosen], whole[chosen], components[chosen], **options))
    kept = {step: maps[step] for step in (*keep, len(maps) - 1) if step < len(maps)}
    return Harmony(truth, value / whole.kernels[0].sum(), kept, depth > 0)


def _smooth_noise(like: Float[Tensor, "B K H W"], patch: int, seed: int) -> Float[Tensor, "B K H W"]:
    """Noise of variance 1 in every channel that changes over ``patch`` pixels; drawn on the CPU."""
    size = (*like.shape[:2], *(side // patch + 2 for side in like.shape[-2:]))
    drawn = torch.randn(size, generator=torch.Generator().manual_seed(seed)).to(like)
    large = F.interpolate(drawn, scale_factor=patch, mode="bilinear", align_corners=False)
    part = large[..., patch // 2 :, patch // 2 :][..., : like.shape[-2], : like.shape[-1]]
    return part / part.std(dim=(0, 2, 3), keepdim=True)
