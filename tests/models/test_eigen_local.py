"""Filters, local distributions, harmonisation and network of Chakrabarti et al. 2016, against what the paper
prints and what calculus says.
"""

from dataclasses import replace
from math import exp, pi, sqrt

import pytest
import torch
from torch import nn

from mdepth.datasets.worlds import World, load
from mdepth.geometry import depth_to_inverse_depth, pixel_grid
from mdepth.models import build, count_parameters, layer_sizes
from mdepth.models.eigen_harmony import (
    Components,
    FilterBank,
    demonstrate,
    filter_bank,
    harmonisation,
    harmonise,
    local_loss,
    schedule,
)
from mdepth.models.eigen_local import NYU, ROOMS, EigenLocal

FAST = schedule(2**0.5)  # the whole range of weights in 35 steps


@pytest.fixture(scope="module")
def bank() -> FilterBank:
    """The paper's filters."""
    return filter_bank()


@pytest.fixture(scope="module")
def room() -> torch.Tensor:
    """Depth of a furnished room, 96 x 128."""
    return load(World("rooms", "val", scenes=5, antialias=1), cache=False)[4]["depth"][None]


def on_paper(size=NYU) -> EigenLocal:
    """The network without numbers in it."""
    with torch.device("meta"):
        return EigenLocal(size)


# ---- the filters ----


def test_counts(bank: FilterBank) -> None:
    assert bank.kernels.shape == (64, 49, 49)
    assert len(bank.order) == len(bank.sigma) == 1 + 3 * 21 == 64
    for sigma in (2.0, 4.0, 8.0):
        orders = [o for o, s in zip(bank.order, bank.sigma, strict=True) if s == sigma]
        assert [orders.count(n) for n in (0, 1, 2)] == [1, 8, 12]
    assert len(filter_bank(scales=(1.0, 2.0)).order) == 43
    assert filter_bank(scales=(1.0, 2.0)).kernels.shape[-1] == 13
    assert filter_bank(scales=(2.0,), size=7).kernels.shape == (22, 7, 7)
    with pytest.raises(ValueError, match="odd number of at least 3"):
        filter_bank(size=48)


def test_subsets_are_the_rows_of_the_ablation(bank: FilterBank) -> None:
    rows = {
        "full": {}, "scales01": {"sigmas": [0.0, 2.0]}, "scales012": {"sigmas": [0.0, 2.0, 4.0]},
        "order0": {"orders": [0]}, "orders01": {"orders": [0, 1]}, "pointwise": {"sigmas": [0.0]},
    }  # fmt: skip
    counts = {row: len(bank.only(**chosen)) for row, chosen in rows.items()}
    assert list(counts.values()) == [64, 22, 43, 4, 28, 1]
    few = bank[bank.only(orders=[0])]
    assert few.sigma == (0.0, 2.0, 4.0, 8.0)
    assert len(few.kernels) == 4


def test_norms_and_sums(bank: FilterBank) -> None:
    squares = bank.kernels.square().sum((1, 2))
    wanted = torch.tensor([0.25 if order == 0 else 1.0 for order in bank.order])
    torch.testing.assert_close(squares, wanted)
    slopes = torch.tensor(bank.order) > 0
    assert bank.kernels.sum((1, 2))[slopes].abs().max() < 1e-4  # a constant map answers 0
    assert bank.kernels.sum((1, 2))[~slopes].min() > 0.49


def test_orthogonality(bank: FilterBank) -> None:
    flat = bank.kernels.flatten(1)
    inner = flat @ flat.T
    for start, sigma in ((1, 2.0), (22, 4.0), (43, 8.0)):
        first, second = range(start + 1, start + 9), range(start + 9, start + 17)
        mixed = range(start + 17, start + 21)
        for k in range(8):  # first derivatives k and l differ by an angle of (l - k) pi / 8
            for l in range(8):
                angle = torch.tensor((l - k) * pi / 8)
                assert inner[first[k], first[l]].item() == pytest.approx(angle.cos().item(), abs=2e-3), sigma
        odd, even = flat[list(first)], flat[[0, start, *second, *mixed]]
        assert (odd @ even.T).abs().max() < 1e-5  # slopes against values and bends
        for k in range(4):  # a bend along two axes and the mixed one of the same axes
            assert inner[mixed[k], second[k]].abs() < 1e-3
            assert inner[mixed[k], second[k + 4]].abs() < 1e-3
            assert inner[second[k], second[k + 4]].item() == pytest.approx(1 / 3, abs=0.05)


@pytest.mark.parametrize("sigma", [2.0, 4.0, 8.0])
def test_a_ramp_answers_with_its_slope(sigma: float) -> None:
    """Norms of derivatives of a Gaussian: 1/(8 pi s^4), 3/(16 pi s^6), mixed 1/(16 pi s^6)."""
    filters = filter_bank(scales=(sigma,), size=2 * round(6 * sigma) + 1)  # nothing cut off
    reach = filters.radius
    u, v = pixel_grid(2 * reach + 3, 2 * reach + 3).double() - (reach + 1)
    filters = filters.to(u)
    centre = lambda y: filters.responses(y[None, None])[0, :, reach + 1, reach + 1]  # noqa: E731
    angles = torch.arange(8, dtype=torch.float64) * pi / 8
    ramp = centre(0.3 + 0.02 * u - 0.01 * v)
    assert ramp[0].item() == pytest.approx(0.5 * 0.3)  # the impulse
    assert ramp[1].item() == pytest.approx(0.3 * sqrt(pi) * sigma, rel=1e-3)  # the average
    slopes = sqrt(8 * pi) * sigma**2 * (0.02 * angles.cos() - 0.01 * angles.sin())
    torch.testing.assert_close(ramp[2:10], slopes, rtol=1e-3, atol=1e-5)
    assert ramp[10:].abs().max() < 1e-5
    bent = centre(0.5 * 0.004 * u**2)  # second derivative 0.004 along x
    torch.testing.assert_close(
        bent[10:18], sqrt(16 * pi / 3) * sigma**3 * 0.004 * angles.cos() ** 2, rtol=2e-3, atol=1e-4
    )
    mixed = -4 * sqrt(pi) * sigma**3 * 0.004 * (angles.cos() * angles.sin())[:4]
    torch.testing.assert_close(bent[18:], mixed, rtol=2e-3, atol=1e-4)
    assert bent[2:10].abs().max() < 1e-5


def test_a_step_answers_with_a_gaussian_of_its_distance(bank: FilterBank) -> None:
    height, sigma = 0.4, 4.0
    u, _ = pixel_grid(60, 120)
    answers = bank.responses(torch.where(u > 59.5, 0.7, 0.7 - height)[None, None])[0, :, 30]
    along_x, along_y = 22 + 1, 22 + 5
    for column in (56, 59, 60, 66):
        distance = column - 59.5
        wanted = height * exp(-(distance**2) / (2 * sigma**2)) / sqrt(2 * pi * sigma**2)  # G * step, derived
        assert answers[along_x, column].item() == pytest.approx(sqrt(8 * pi) * sigma**2 * wanted, rel=0.01)
    assert answers[along_y].abs().max() < 1e-5
    assert answers[along_x, :30].abs().max() < 1e-5  # beyond the reach of the kernel; the border is no step


def test_fourier_domain_is_the_same_filter(generator: torch.Generator) -> None:
    small = filter_bank(scales=(1.0, 2.0))
    y = torch.rand(1, 1, 30, 41, generator=generator)
    periodic = torch.fft.irfft2(small.transfer(30, 41) * torch.fft.rfft2(y), s=(30, 41))
    r = small.radius
    torch.testing.assert_close(
        periodic[..., r:-r, r:-r], small.responses(y)[..., r:-r, r:-r], rtol=1e-4, atol=1e-5
    )


def test_support_is_lost_around_a_hole() -> None:
    small = filter_bank(scales=(1.0,))
    valid = torch.ones(1, 1, 20, 24, dtype=torch.bool)
    assert small.support(valid).all()
    valid[..., 10, 12] = False
    lost = ~small.support(valid)
    assert lost.sum() == 7 * 7
    assert lost[..., 7:14, 9:16].all()


# ---- the local distributions ----


def test_kmeans_on_a_set_made_by_hand() -> None:
    groups = torch.tensor([[-3.0, -1.0, 0.0, 2.0], [10.0, 20.0, 30.0, 40.0]])
    offsets = torch.tensor([-0.1, 0.0, 0.1]).repeat(50)
    values = (groups[:, :, None] + offsets).flatten(1)
    found = Components.fit(values[:, torch.randperm(values.shape[1])], count=4)
    torch.testing.assert_close(found.means, groups, rtol=0, atol=1e-5)
    torch.testing.assert_close(found.variances, torch.full((2,), 0.02 / 3), rtol=1e-3, atol=1e-5)


def test_lonely_clusters_do_not_count_in_the_variance() -> None:
    values = torch.cat([torch.tensor([0.0, 0.2]).repeat(500), torch.tensor([50.0, 70.0])])[None]
    found = Components.fit(values, count=2)
    torch.testing.assert_close(found.means, torch.tensor([[0.1, 60.0]]), rtol=1e-4, atol=1e-4)
    assert found.variances.item() == pytest.approx(0.01, rel=1e-3)  # with the two far ones it would be 50


def test_kmeans_spends_its_means_on_the_tails_too(generator: torch.Generator) -> None:
    values = torch.randn(3, 4000, generator=generator) ** 3  # heavy tails, as slopes of depth have
    found = Components.fit(values, count=16)
    distance = (values[:, :, None] - found.means[:, None]).abs().amin(2)
    assert (found.means.diff() > 0).all()
    assert (distance.square().mean(1) < 0.025 * values.var(1)).all()  # a start at quantiles would have 0.4


def test_target_weights_are_the_printed_ones() -> None:
    components = Components(torch.tensor([[0.0, 1.0, 3.0]]), torch.tensor([0.5]))
    weights = components.log_weights(torch.full((1, 1, 1, 1), 0.8)).exp().flatten()
    wanted = torch.tensor([exp(-(0.8**2)), exp(-(0.2**2)), exp(-(2.2**2))])  # 2 sigma^2 = 1
    torch.testing.assert_close(weights, wanted / wanted.sum())


def test_loss_is_zero_at_the_target_and_masked(generator: torch.Generator) -> None:
    responses = torch.randn(2, 3, 6, 5, generator=generator)
    components = Components.fit(responses.movedim(1, 0).flatten(1), count=8)
    valid = torch.rand(2, 1, 6, 5, generator=generator) > 0.3
    target = components.log_weights(responses)
    other = torch.randn(target.shape, generator=generator).log_softmax(2)
    assert local_loss(target, responses, components, valid).abs() < 1e-5
    loss = local_loss(other, responses, components, valid)
    assert loss > 0.1
    garbage = torch.where(valid, responses, torch.nan)
    wild = torch.where(valid[:, :, None], other, -1e4)
    torch.testing.assert_close(local_loss(wild, garbage, components, valid), loss)
    assert local_loss(other, responses, components, torch.zeros_like(valid)) == 0


def test_loss_weighs_filters_by_variance() -> None:
    components = Components(torch.tensor([[0.0, 1.0], [0.0, 1.0]]), torch.tensor([0.1, 0.3]))
    responses, valid = torch.zeros(1, 2, 1, 1), torch.ones(1, 1, 1, 1, dtype=torch.bool)
    target = components.log_weights(responses)
    predicted = torch.full_like(target, 0.5).log()
    each = (target.exp() * (target - predicted)).sum(2).flatten()  # the divergence of each filter
    wanted = (0.1 * each[0] + 0.3 * each[1]) / (0.1 + 0.3)
    torch.testing.assert_close(local_loss(predicted, responses, components, valid), wanted)


# ---- harmonisation ----


def test_schedule_has_137_steps() -> None:
    betas = schedule()
    assert len(betas) == 17 * 8 + 1 == 137
    assert (betas[0], betas[-1]) == (2**-10, 2**7)
    ratios = torch.tensor(betas, dtype=torch.float64).log2().diff()
    torch.testing.assert_close(ratios, torch.full_like(ratios, 1 / 8))


def certain(y: torch.Tensor, filters: FilterBank) -> tuple[torch.Tensor, Components]:
    """Distributions without any doubt: as many means as pixels, each pixel certain of its own response."""
    height, width = y.shape[-2:]
    means = filters.responses(y)[0].flatten(1)  # K N
    one_hot = torch.eye(height * width).log().reshape(1, 1, -1, height, width)
    return one_hot.expand(1, len(means), -1, -1, -1), Components(means, torch.full((len(means),), 1e-4))


def smooth_map(height: int, width: int) -> torch.Tensor:
    """Inverse depth of a curved wall."""
    u, v = pixel_grid(height, width)
    return (0.5 + 0.2 * u / width + 0.15 * torch.cos(3 * v / height + 2 * u / width))[None, None]


def test_exact_coefficients_give_the_map_back(generator: torch.Generator) -> None:
    filters = filter_bank(scales=(1.0, 2.0))
    y = smooth_map(16, 20)
    log_weights, components = certain(y, filters)
    error = lambda found: (found - y).square().mean().sqrt().item()  # noqa: E731
    assert error(harmonise(log_weights, filters, components)) < 0.01 * (y.amax() - y.amin())
    y = torch.rand(1, 1, 16, 20, generator=generator)  # no map is rougher
    log_weights, components = certain(y, filters)
    assert error(harmonise(log_weights, filters, components, betas=FAST, smoothness=1e-5)) < 0.02
    assert error(harmonise(log_weights, filters, components, betas=FAST)) > 0.15  # Laplacians blur pixels


def test_no_gradient_passes_through_harmonisation() -> None:
    filters = filter_bank(scales=(1.0,))
    components = Components.even(filters, 5, 0.0, 1.0)
    weights = torch.zeros(1, 22, 5, 8, 9, requires_grad=True)
    assert not harmonise(weights, filters, components, betas=[1.0, 2.0]).requires_grad
    assert torch.is_grad_enabled()


def test_images_of_a_batch_do_not_mix() -> None:
    filters = filter_bank(scales=(1.0,))
    components = Components.even(filters, 9, 0.0, 1.0)
    one, two = smooth_map(12, 16), smooth_map(12, 16).flip(-1) / 2
    weights = [components.log_weights(filters.responses(y)) for y in (one, two)]
    together = harmonise(torch.cat(weights), filters, components, betas=FAST)
    alone = torch.cat([harmonise(w, filters, components, betas=FAST) for w in weights])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


def test_w_step_is_the_best_of_all_coefficients(generator: torch.Generator) -> None:
    """Against a search over coefficients of the penalised score of single components."""
    from mdepth.models.eigen_harmony import _choose

    components = Components(torch.tensor([[-1.0, 0.2, 0.5, 2.0]]), torch.tensor([0.09]))
    log_weights = torch.randn(1, 1, 4, 5, 6, generator=generator).log_softmax(2)
    w_bar, beta = torch.randn(1, 1, 5, 6, generator=generator), 0.7
    w = _choose(w_bar, log_weights, components, beta)
    tried = torch.linspace(-3, 3, 6001).view(-1, 1, 1, 1)
    c = components.means.view(4, 1, 1)
    scores = log_weights[:, 0] - ((tried - c) ** 2 + beta * (tried - w_bar[:, 0]) ** 2) / (2 * 0.09)
    best = tried.flatten()[scores.amax(1).argmax(0)]
    torch.testing.assert_close(w[0, 0], best, rtol=0, atol=2e-3)


def test_y_step_is_the_least_squares_map(generator: torch.Generator) -> None:
    """One step from nothing, against the normal equations of the same periodic canvas written as matrices."""
    filters, beta = filter_bank(scales=(1.0,), size=3), 0.5
    components = Components(torch.randn(22, 1, generator=generator), torch.ones(22))
    (y,) = harmonisation(torch.zeros(1, 22, 1, 4, 5), filters, components, betas=[beta], taper=0)
    rows, columns = 6, 7  # one pixel of reach on either side
    basis = torch.eye(rows * columns).view(-1, 1, rows, columns)
    periodic = nn.functional.pad(basis, (1, 1, 1, 1), mode="circular")
    lines = torch.zeros(4, 1, 3, 3)
    lines[:, 0, 1, 1] = 2
    for line, ends in zip(lines, [(0, 1), (1, 0), (0, 0), (0, 2)], strict=True):
        line[0][ends] = line[0][2 - ends[0], 2 - ends[1]] = -1
    A = nn.functional.conv2d(periodic, filters.kernels[:, None]).flatten(1).T  # K*N N
    R = nn.functional.conv2d(periodic, lines).flatten(1).T
    w = torch.zeros(22, rows, columns)
    w[:, :4, :5] = components.means[:, :, None] / (1 + beta)
    wanted = torch.linalg.solve(beta * A.T @ A + R.T @ R, beta * A.T @ w.flatten())
    torch.testing.assert_close(y[0, 0], wanted.view(rows, columns)[:4, :5], rtol=1e-3, atol=1e-4)


def test_taper_brings_a_map_of_unequal_borders_home_sooner() -> None:
    filters = filter_bank(scales=(1.0, 2.0, 4.0))
    y = smooth_map(16, 20)
    log_weights, components = certain(y, filters)
    with_taper, without = (
        harmonise(log_weights, filters, components, betas=FAST, taper=steps) for steps in (15, 0)
    )
    assert (with_taper - y).square().mean() < (without - y).square().mean()


def test_overcomplete_predictions_agree_on_a_better_map(room: torch.Tensor) -> None:
    """The paper's point, as its Table 1 has it: uncertain slopes and bends help uncertain values."""
    settings = {"count": 32, "betas": schedule(2**0.25), "noise": 0.5}
    full = demonstrate(room, **settings)
    pointwise = demonstrate(room, sigmas=[0.0], **settings)
    values = demonstrate(room, orders=[0], **settings)
    assert list(full.maps) == [0, 15, 40, 68]
    assert torch.equal(pointwise.alone, full.alone)  # the same errors of the same impulse
    error = full.error(full.maps[68])
    assert error < 0.65 * full.error(full.alone)
    assert error < 0.65 * pointwise.error(pointwise.maps[68])
    assert error < 0.65 * values.error(values.maps[68])
    depth_error = lambda y: (1 / y.clamp(min=0.1) - room).square().mean().sqrt()  # noqa: E731
    assert depth_error(full.maps[68]) < 0.65 * depth_error(full.alone)
    assert full.error(full.maps[0]) > full.error(full.maps[15]) > full.error(full.maps[40]) > error
    coarse = demonstrate(room, **{**settings, "betas": FAST})
    assert error < 0.9 * coarse.error(coarse.maps[34])  # small steps are worth their time


def test_demonstration_has_the_errors_that_it_promises(room: torch.Tensor) -> None:
    quiet = demonstrate(room, noise=0.0, count=64, scales=(1.0,), betas=[1.0])
    loud = demonstrate(room, noise=0.5, count=64, scales=(1.0,), betas=[1.0])
    spread = depth_to_inverse_depth(room).std().item()
    assert quiet.error(quiet.alone) < 0.02 * spread
    assert 0.3 * spread < loud.error(loud.alone) < 0.55 * spread  # the expectation is kept inside the means
    other = demonstrate(room, noise=0.5, count=64, scales=(1.0,), betas=[1.0], seed=1)
    assert not torch.equal(other.alone, loud.alone)


@pytest.mark.gpu
def test_harmonisation_on_the_gpu_agrees() -> None:
    filters = filter_bank(scales=(1.0,))
    components = Components.even(filters, 9, 0.0, 1.0)
    weights = components.log_weights(filters.responses(smooth_map(12, 16)))
    there = Components(components.means.cuda(), components.variances.cuda())
    found = harmonise(weights.cuda(), filters, there, betas=FAST).cpu()
    torch.testing.assert_close(
        found, harmonise(weights, filters, components, betas=FAST), rtol=1e-3, atol=1e-3
    )


# ---- the network ----


def test_sizes_are_the_printed_ones() -> None:
    network = on_paper()
    rows = {row.name: (*row.size, row.channels) for row in layer_sizes(network)}
    local = (128, 128, 192, 256, 512, 1024, 1024)
    assert [rows[f"local.conv{n}"] for n in range(1, 8)] == [(427, 561, c) for c in local]
    kernels = [row.kernel for row in layer_sizes(network) if row.name.startswith("local")]
    assert kernels == [3, 3, 5, 5, 5, 5, 3]
    assert rows["scene.pool5"] == (12, 16, 512)
    assert (rows["scene.fc6"], rows["scene.fc7"]) == ((1, 1, 4096), (1, 1, 18_240))
    assert rows["scene.map"] == (15, 19, 64)
    assert [rows[f"mix.conv{n}"][-1] for n in (1, 2, 3)] == [512, 256, 4096]
    assert network.mix[0].in_channels == 1024 + 64
    assert sum(name.startswith("scene.conv") for name in rows) == 16  # VGG-19
    output = network(torch.zeros(1, 3, 427, 561, device="meta"))
    assert output.shape == (1, 64, 64, 427, 561)


def test_local_parameters_follow_from_the_printed_kernels() -> None:
    channels, kernels = (3, 128, 128, 192, 256, 512, 1024, 1024), (3, 3, 5, 5, 5, 5, 3)
    wanted = [a * b * k * k + b for a, b, k in zip(channels, channels[1:], kernels, strict=False)]
    rows = [row.parameters for row in layer_sizes(on_paper()) if row.name.startswith("local")]
    assert rows == wanted
    assert sum(rows) == 27_818_560


def test_spacing_is_dilation_at_inference_and_stride_in_training() -> None:
    network = on_paper()
    seen = lambda: [(conv.stride[0], conv.dilation[0]) for conv in network.local.values()]  # noqa: E731
    x = torch.zeros(1, 3, 427, 561, device="meta")
    network(x)
    assert seen() == [(1, 1), (1, 1), (1, 1), (1, 2), (1, 4), (1, 8), (1, 16)]
    assert network(x, 8).shape == (1, 64, 64, 54, 71)  # about 4000 places
    assert seen() == [(1, 1), (1, 1), (2, 1), (2, 1), (2, 1), (1, 1), (1, 2)]
    with pytest.raises(ValueError, match="got 3"):
        network(x, 3)


def thin(size=NYU) -> EigenLocal:
    """The paper's geometry with few channels, on a part of the image."""
    small = replace(
        size, image_size=(128, 160), input_size=(128, 160), offset=(0, 0), scene_crop=(128, 160),
        scene_map=(2, 5, 6), scales=(1.0,), count=3, local=(2,) * 7, vgg=((2, 1),) * 5, hidden=4, mix=(4, 4),
    )  # fmt: skip
    torch.manual_seed(0)
    return EigenLocal(small).eval()


def test_both_spacings_give_the_same_numbers() -> None:
    network = thin()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, std=0.3)
    x = torch.randn(1, 3, 128, 160)
    dense = network(x)
    assert dense.std() > 0.01
    for stride in (2, 4, 8):
        torch.testing.assert_close(network(x, stride), dense[..., ::stride, ::stride], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("stride", [1, 8])
def test_local_path_sees_97_pixels(stride: int) -> None:
    network = thin()
    assert network.receptive_field() == on_paper().receptive_field() == 97
    for parameter in network.local.parameters():
        nn.init.constant_(parameter, 0.1)
    x = torch.ones(1, 3, 128, 160, requires_grad=True)
    network.see_near(x, stride)[0, 0, 64 // stride, 80 // stride].backward()
    assert x.grad is not None
    rows, columns = (x.grad.abs().sum((0, 1)).sum(axis).nonzero().flatten() for axis in (1, 0))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (64 - 48, 64 + 48, 80 - 48, 80 + 48)


def test_scene_path_sees_blue_first_minus_caffes_means() -> None:
    network, seen = thin(), []
    network.scene.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    image = torch.tensor([1.0, 0.5, 0.0]).view(1, 3, 1, 1).expand(1, 3, 128, 160)
    network(network.normalise(image))
    wanted = torch.tensor([0 - 103.939, 127.5 - 116.779, 255 - 123.68])
    torch.testing.assert_close(seen[0][0, :, 5, 5], wanted, rtol=1e-4, atol=1e-3)


def test_the_whole_input_is_the_projected_rectangle() -> None:
    network = on_paper()
    assert network.covers(480, 640) == (44, 471, 40, 601)  # 45:471, 41:601 counted from one, inclusive
    assert (471 - 44, 601 - 40) == network.input_size == (427, 561)
    assert network.depth_range[1] == 1 / 0.1 == 10


def test_depth_is_cut_at_ten_metres() -> None:
    network = thin()
    filters = network.bank
    y = torch.full((1, 1, 12, 16), 0.02)
    y[..., 8:] = 0.5
    fitted = Components.fit(torch.cat([filters.responses(y)[0].flatten(1), torch.zeros(22, 3)], 1), 3)
    network.begin(fitted)
    depth = network.to_depth(fitted.log_weights(filters.responses(y)))
    torch.testing.assert_close(depth[..., :4], torch.full((1, 1, 12, 4), 10.0))
    torch.testing.assert_close(depth[..., 12:], torch.full((1, 1, 12, 4), 2.0), rtol=0.1, atol=0)


def test_small_network_learns_and_begins_with_a_flat_map(room: torch.Tensor) -> None:
    torch.manual_seed(0)
    network = EigenLocal(ROOMS)
    assert count_parameters(network) < 1_000_000
    image, valid = torch.rand(1, 3, 96, 128), room > 0
    responses, known = network.targets(room, valid)
    network.begin(Components.fit(responses[0].flatten(1), ROOMS.count), 0.4)
    flat = 1 / network.predict(image)
    assert flat.mean().item() == pytest.approx(0.4, abs=0.05)
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    x, losses = network.prepare(image), []
    for _ in range(12):
        loss = local_loss(network(x), responses, network.components, known)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_targets_belong_to_the_pixels_that_answer(room: torch.Tensor) -> None:
    network = build("eigen-local-rooms")
    assert isinstance(network, EigenLocal)
    valid = room > 0
    valid[..., 40, 60] = False
    responses, known = network.targets(room, valid)
    assert responses.shape == (1, 43, 48, 64)
    y = depth_to_inverse_depth(room)[..., ::2, ::2]
    inside = known.expand(1, 43, -1, -1)
    torch.testing.assert_close(responses[inside], network.bank.responses(y)[inside])
    assert (~known).sum() == 13 * 13
    sparse, known8 = network.targets(room, valid, stride=8)
    torch.testing.assert_close(sparse, responses[..., ::4, ::4])
    assert torch.equal(known8, known[..., ::4, ::4])
    assert network(torch.zeros(1, 3, 96, 128), 8).shape[-2:] == sparse.shape[-2:]
