"""The known bugs of ports of Laina et al.: each is wrong in the way that its docstring says."""

from collections.abc import Callable, Iterable
from copy import deepcopy
from functools import partial
from typing import Any

import pytest
import torch
from mdepth_bugs.laina import (
    INPUTS,
    PhaseNorm,
    berhu_by_mean,
    berhu_counted_twice,
    berhu_invalid_threshold,
    berhu_signed_threshold,
    cut_gradient,
    fed,
    fresh_statistics,
    norm_per_phase,
    other_side,
    phase_major_shuffle,
    quadrants,
    shared_branch,
    swapped_b_and_c,
    torchvision_encoder,
    torchvision_pool,
    without_relu,
)
from torch import nn

from mdepth.losses import berhu_loss, l1_loss
from mdepth.models import build, count_parameters
from mdepth.models.encoders import ResNet
from mdepth.models.laina import RESNET50, ROOMS, FastUnpoolConv, Laina, LainaSize, UpConv, UpProj
from mdepth.models.laina_weights import to_fast


def errors(*values: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """One image of 10 metres with these errors, all valid."""
    target = torch.full((1, 1, 1, len(values)), 10.0, dtype=torch.float64)
    return target + torch.tensor(values, dtype=torch.float64), target, target > 0


def gradient(loss: Any, *values: float) -> list[float]:
    """Slope of the loss in every pixel."""
    prediction, target, valid = errors(*values)
    loss(prediction.requires_grad_(), target, valid).backward()
    assert prediction.grad is not None
    return prediction.grad.flatten().tolist()


# --- the loss


def test_chosen_by_the_mean_what_is_right_costs_half_of_c() -> None:
    values = (0.0, 0.0, 0.0, 5.0)  # c = 1, mean 1.25
    assert berhu_loss(*errors(*values)).item() == pytest.approx(13 / 4)
    assert berhu_by_mean(*errors(*values)).item() == pytest.approx((13 + 3 * 0.5) / 4)


def test_chosen_by_the_mean_large_errors_are_under_l1_or_small_ones_hardly_pull() -> None:
    mostly_right = (0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 5.0)  # mean 0.73
    assert berhu_by_mean(*errors(*mostly_right)).item() == pytest.approx(5.1 / 7)
    assert berhu_loss(*errors(*mostly_right)).item() == pytest.approx(13.1 / 7)
    values = (0.1, 2.0, 5.0)
    assert gradient(berhu_loss, *values) == pytest.approx([1 / 3, 2 / 3, 5 / 3])
    assert gradient(berhu_by_mean, *values) == pytest.approx([0.1 / 3, 2 / 3, 5 / 3])


def test_chosen_by_the_mean_the_value_leaps() -> None:
    below, above = ((0.0, 0.0, 0.0, 0.0, x, 5.0) for x in (1 - 1e-6, 1 + 1e-6))  # the mean passes c = 1
    rise = [
        loss(*errors(*above)).item() - loss(*errors(*below)).item() for loss in (berhu_loss, berhu_by_mean)
    ]
    assert rise[0] == pytest.approx(0, abs=1e-5)
    assert rise[1] == pytest.approx((26 / 6 + 1) / 2 - 1, abs=1e-5)


def test_a_signed_threshold_is_right_where_the_largest_error_is_too_deep() -> None:
    for values in ((5.0, -0.5, -2.0, 3.0), (1.0, 1.0), (2.0, -2.0)):
        assert berhu_signed_threshold(*errors(*values)).item() == pytest.approx(
            berhu_loss(*errors(*values)).item()
        )


def test_a_signed_threshold_rewards_errors_where_all_is_too_near() -> None:
    values = (-1.0, -5.0)  # c = -0.2
    expected = ((1 + 0.04) / -0.4 + (25 + 0.04) / -0.4) / 2
    assert berhu_signed_threshold(*errors(*values)).item() == pytest.approx(expected)
    assert all(slope > 0 for slope in gradient(berhu_signed_threshold, *values))  # descent leads on down
    assert all(slope < 0 for slope in gradient(berhu_loss, *values))


def test_a_threshold_from_holes_makes_it_l1() -> None:
    prediction, target, valid = errors(0.5, -2.0, -1.0)
    target[..., 2], valid[..., 2] = 0.0, False  # a hole, and 9 metres predicted there: c = 1.8, not 0.4
    prediction[..., 2] = 9.0
    inputs = prediction, target, valid
    outer = (4 + 1.8**2) / 3.6
    assert berhu_invalid_threshold(*inputs).item() == pytest.approx((0.5 + outer) / 2)
    outer = (0.25 + 0.16) / 0.8, (4 + 0.16) / 0.8
    assert berhu_loss(*inputs).item() == pytest.approx(sum(outer) / 2)
    prediction[..., 2] = 10.5
    assert berhu_invalid_threshold(*inputs).item() == pytest.approx(l1_loss(*inputs).item())
    whole = errors(0.5, -2.0, -1.0)
    assert berhu_invalid_threshold(*whole).item() == pytest.approx(berhu_loss(*whole).item())


def test_what_is_counted_twice_depends_on_the_unit() -> None:
    metres, twice_as_large = (0.5, -5.0), (1.0, -10.0)
    assert berhu_counted_twice(*errors(*metres)).item() == pytest.approx((0.5 + 5 + 25) / 3)
    assert berhu_counted_twice(*errors(*twice_as_large)).item() == pytest.approx((1 + 10 + 100) / 3)
    assert berhu_loss(*errors(*metres)).item() == pytest.approx((0.5 + 13) / 2)
    assert berhu_loss(*errors(*twice_as_large)).item() == pytest.approx(0.5 + 13)


def test_what_is_counted_twice_leaps_at_c() -> None:
    below, above = ((x, 5.0) for x in (1 - 1e-6, 1 + 1e-6))
    rise = [
        loss(*errors(*above)).item() - loss(*errors(*below)).item()
        for loss in (berhu_loss, berhu_counted_twice)
    ]
    assert rise[0] == pytest.approx(0, abs=1e-5)
    assert rise[1] == pytest.approx((1 + 5 + 25 + 1) / 4 - (1 + 5 + 25) / 3, abs=1e-5)


# --- the way up


def phases(channels: int = 4) -> list[torch.Tensor]:
    """Four different maps A, B, C, D."""
    return list(torch.rand(4, 2, channels, 3, 5, generator=torch.Generator().manual_seed(0)))


def interleave(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor, d: torch.Tensor) -> torch.Tensor:
    """The right one: every map on its own lattice."""
    large = a.new_zeros(*a.shape[:-2], 2 * a.shape[-2], 2 * a.shape[-1])
    large[..., 0::2, 0::2], large[..., 1::2, 0::2] = a, b
    large[..., 0::2, 1::2], large[..., 1::2, 1::2] = c, d
    return large


@pytest.mark.parametrize("weave", [phase_major_shuffle, swapped_b_and_c, quadrants])
def test_the_shape_is_right_and_the_same_values_are_there_and_yet_it_is_wrong(weave: Any) -> None:
    right, wrong = interleave(*phases()), weave(*phases())
    assert wrong.shape == right.shape == (2, 4, 6, 10)
    assert torch.equal(wrong.flatten(1).sort().values, right.flatten(1).sort().values)
    assert not torch.equal(wrong, right)
    even = [torch.full((1, 4, 3, 5), 2.0)] * 4
    assert torch.equal(weave(*even), interleave(*even))  # one value everywhere shows nothing


def test_a_shuffle_by_phases_makes_a_channel_of_one_map_alone() -> None:
    maps = phases()
    wrong = phase_major_shuffle(*maps)
    for channel, source in enumerate((maps[0], maps[2], maps[1], maps[3])):
        cells = [wrong[:, channel, row::2, column::2] for row in (0, 1) for column in (0, 1)]
        assert torch.equal(torch.stack(cells, 1), source)
    one = phases(channels=1)
    assert torch.equal(phase_major_shuffle(*one), interleave(*one))
    by_channel = torch.stack([maps[i] for i in (0, 2, 1, 3)], dim=2).flatten(1, 2)  # the order that is right
    assert torch.equal(torch.nn.functional.pixel_shuffle(by_channel, 2), interleave(*maps))


def test_swapped_phases_lie_on_each_other_s_places() -> None:
    a, b, c, d = phases()
    wrong = swapped_b_and_c(a, b, c, d)
    assert torch.equal(wrong, interleave(a, c, b, d))
    assert (wrong == interleave(a, b, c, d)).double().mean().item() == 0.5


def test_quadrants_are_four_whole_images() -> None:
    a, b, c, d = phases()
    wrong = quadrants(a, b, c, d)
    assert torch.equal(wrong[..., :3, :5], a)
    assert torch.equal(wrong[..., 3:, :5], b)
    assert torch.equal(wrong[..., :3, 5:], c)
    assert torch.equal(wrong[..., 3:, 5:], d)
    ramp = torch.linspace(0, 1, 10).expand(1, 1, 6, 10)
    parts = [ramp[..., row::2, column::2] for row, column in ((0, 0), (1, 0), (0, 1), (1, 1))]
    assert torch.equal(interleave(*parts), ramp)
    assert quadrants(*parts).diff(dim=-1).amin().item() == pytest.approx(-7 / 9)  # the seam in the middle


# --- norms, padding, branches, gradients


def levels(values: Iterable[float]) -> torch.Tensor:
    """One channel; in every phase plus and minus one, mean 0 and variance 1, on its own level."""
    pattern = torch.tensor([[1.0, -1.0], [-1.0, 1.0]], dtype=torch.float64).repeat(2, 2)[None, None]
    return interleave(*(pattern + level for level in values))


def cells(large: torch.Tensor) -> list[torch.Tensor]:
    """The phases A, B, C, D of a woven map."""
    return [large[..., row::2, column::2] for column in (0, 1) for row in (0, 1)]


def norm() -> nn.BatchNorm2d:
    """One that only normalises, in training."""
    return nn.BatchNorm2d(1, eps=1e-12, dtype=torch.float64)


def test_a_norm_per_phase_loses_what_one_phase_lies_above_another() -> None:
    x = levels((0.0, 2.0, 4.0, 6.0))  # mean 3, variance 1 + 5
    behind, before = norm()(x), PhaseNorm(norm())(x)
    for phase, own, level in zip(cells(behind), cells(before), (-3.0, -1.0, 1.0, 3.0), strict=True):
        assert phase.mean().item() == pytest.approx(level / 6**0.5)
        assert phase.var(correction=0).item() == pytest.approx(1 / 6)
        assert own.mean().item() == pytest.approx(0, abs=1e-12)
        assert own.var(correction=0).item() == pytest.approx(1)
    assert torch.allclose(before, levels([0.0] * 4))  # whatever the levels were
    for normed in (behind, before):  # of the whole map both are right
        assert normed.mean().item() == pytest.approx(0, abs=1e-12)
        assert normed.var(correction=0).item() == pytest.approx(1)


def test_a_norm_per_phase_is_a_norm_behind_each_small_convolution() -> None:
    maps, whole = phases(), PhaseNorm(nn.BatchNorm2d(4))
    single = [nn.BatchNorm2d(4)(one) for one in maps]
    assert torch.allclose(whole(interleave(*maps)), interleave(*single), atol=1e-6)


def test_a_norm_per_phase_is_right_where_phases_are_alike_and_in_use_as_long_as_its_numbers_are() -> None:
    alike = levels([3.0] * 4)
    assert torch.allclose(PhaseNorm(norm())(alike), norm()(alike))
    one, x = norm(), levels((0.0, 2.0, 4.0, 6.0))
    one(x)
    assert torch.allclose(PhaseNorm(one).eval()(x), one.eval()(x))


def test_a_norm_per_phase_can_learn_the_levels_back() -> None:
    x, per_phase = levels((0.0, 2.0, 4.0, 6.0)), PhaseNorm(norm())
    for single, level in zip(per_phase.norms, (-3.0, -1.0, 1.0, 3.0), strict=True):
        nn.init.constant_(single.weight, 6**-0.5)
        nn.init.constant_(single.bias, level * 6**-0.5)
    assert torch.allclose(per_phase(x), norm()(x))


def test_under_a_norm_per_phase_the_bias_of_a_small_convolution_is_lost() -> None:
    torch.manual_seed(0)
    right = UpConv(3, 2, enlarge=FastUnpoolConv).double()
    wrong = deepcopy(right)
    wrong.bn = PhaseNorm(wrong.bn)
    x, effect = torch.randn(2, 3, 4, 5, dtype=torch.float64), []
    for block in (right, wrong):
        before = block(x)
        nn.init.constant_(block.up.conv_b.bias, 1.0)
        effect.append((block(x) - before).abs().max().item())
    assert effect[0] > 0.1
    assert effect[1] < 1e-12


@pytest.mark.parametrize("padding", ["after", "before"])
def test_padding_on_the_other_side_moves_odd_rows_and_columns_by_two_pixels(padding: str) -> None:
    torch.manual_seed(0)
    right = FastUnpoolConv(3, 2, padding).double()
    x = torch.randn(1, 3, 4, 5, dtype=torch.float64)
    (a, b, c, d), wrong = cells(right(x)), cells(other_side(right)(x))
    if padding == "before":  # the other way round
        (a, b, c, d), wrong = wrong, (a, b, c, d)
    assert torch.allclose(wrong[0], a)
    assert torch.allclose(wrong[1][..., 1:, :], b[..., :-1, :])
    assert torch.allclose(wrong[2][..., :, 1:], c[..., :, :-1])
    assert torch.allclose(wrong[3][..., 1:, 1:], d[..., :-1, :-1])
    assert not torch.allclose(wrong[1], b)
    assert torch.equal(other_side(other_side(right))(x), right(x))


def test_padding_on_the_other_side_gives_a_ramp_teeth() -> None:
    block = FastUnpoolConv(1, 1)
    for conv in (block.conv_a, block.conv_b, block.conv_c, block.conv_d):
        nn.init.zeros_(conv.weight)
        nn.init.zeros_(conv.bias)
    for conv, rows, columns in (
        (block.conv_a, [1], [1]), (block.conv_b, [0, 1], [1]),
        (block.conv_c, [1], [0, 1]), (block.conv_d, [0, 1], [0, 1]),
    ):  # fmt: skip
        for row in rows:
            for column in columns:
                conv.weight.data[0, 0, row, column] = 1 / (len(rows) * len(columns))
    ramp = torch.arange(6.0).expand(1, 1, 4, 6)
    row = {name: net(ramp)[0, 0, 2] for name, net in (("right", block), ("wrong", other_side(block)))}
    assert row["right"][:9].tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4]
    assert row["wrong"][2:9].tolist() == [1, 0.5, 2, 1.5, 3, 2.5, 4]


@pytest.mark.parametrize("fast", [False, True])
def test_a_shared_branch_saves_a_5x5_and_says_everything_twice(fast: bool) -> None:
    torch.manual_seed(0)
    right = to_fast(UpProj(4, 2)) if fast else UpProj(4, 2)
    wrong = shared_branch(right)
    assert count_parameters(right) - count_parameters(wrong) == 25 * 4 * 2 + (4 if fast else 1) * 2
    x = torch.randn(2, 4, 3, 5)
    once = wrong.main.up(x)
    assert torch.equal(once, right.main.up(x))
    assert torch.equal(wrong.skip(x), wrong.skip.bn(once))
    assert not torch.allclose(wrong(x), right(x))
    wrong.load_state_dict(right.state_dict())  # no complaint
    assert torch.equal(wrong.main.up(x), right.skip.up(x))
    wrong(x).sum().backward()
    torch.optim.SGD(wrong.parameters(), 0.1).step()
    assert torch.equal(wrong.main.up(x), wrong.skip.up(x))


@pytest.mark.parametrize(("fast", "lost"), [(True, 17_411_840), (False, 17_408_960)])
def test_shared_branches_of_the_paper_s_network_save_more_than_a_quarter(fast: bool, lost: int) -> None:
    with torch.device("meta"):
        right = Laina(RESNET50, fast=fast)
    assert count_parameters(right) - count_parameters(shared_branch(right)) == lost


def test_a_cut_gradient_leaves_every_value_and_teaches_nothing_before_it() -> None:
    torch.manual_seed(0)
    right = UpConv(3, 2, enlarge=FastUnpoolConv)
    wrong = cut_gradient(right)
    results = []
    for block in (right, wrong):
        x = torch.ones(1, 3, 4, 5, requires_grad=True)
        results.append(block(x))
        results[-1].sum().backward()
        assert (x.grad is None) == (block is wrong)
        learning = {name for name, parameter in block.named_parameters() if parameter.grad is not None}
        assert learning == {"bn.weight", "bn.bias"} | (
            {f"up.conv_{letter}.{kind}" for letter in "abcd" for kind in ("weight", "bias")}
            if block is right
            else set()
        )
    assert torch.equal(*results)


# --- whole networks


def images(count: int = 4, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 3, *ROOMS.input_size, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def rooms() -> Any:
    """The small network in evaluation mode, with statistics of images and no weight where it began."""
    torch.manual_seed(0)
    network: Any = build("laina-resnet18-upproj-rooms")
    nn.init.normal_(network.encoder.conv1.bias)
    nn.init.constant_(network.answer.conv.bias, 3.0)
    norms = [part for part in network.modules() if isinstance(part, nn.BatchNorm2d)]
    for part in norms:
        nn.init.uniform_(part.weight, 0.5, 1.5)
        nn.init.normal_(part.bias, std=0.2)
        part.momentum = None  # the mean over all that it sees
    with torch.no_grad():
        for seed in range(3):
            network(network.prepare(images(seed=seed)))
    for part in norms:
        part.momentum = 0.1
    return network.eval()


def first_norm(network: Any, image: torch.Tensor) -> torch.Tensor:
    """What stands behind the first batch norm."""
    return network.encoder.bn1(network.encoder.conv1(network.prepare(image)))


SEEN: dict[str, Callable[[Any], Any]] = {
    "norm_per_phase": lambda network: norm_per_phase(network, images(8)),
    "other_side": other_side,
    "shared_branch": shared_branch,
    "torchvision_pool": torchvision_pool,
    "torchvision_encoder": torchvision_encoder,
    "bytes": partial(fed, form="bytes"),
    "unit": partial(fed, form="unit"),
    "fresh_statistics": fresh_statistics,
}
UNSEEN: dict[str, Callable[[Any], Any]] = {
    "imagenet": partial(fed, form="imagenet"),  # it is right here
    "cut_gradient": cut_gradient,
    "without_relu": without_relu,
}


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("name", SEEN | UNSEEN)
def test_a_wrong_copy_predicts_and_the_network_is_as_it_was(rooms: Any, name: str, fast: bool) -> None:
    right = to_fast(rooms) if fast else rooms
    before, image = deepcopy(right.state_dict()), images(2, seed=9)[..., :80]
    expected = right.predict(image)
    wrong = (SEEN | UNSEEN)[name](right)
    assert wrong.predict(image).shape == image[:, :1].shape
    assert torch.allclose(wrong.predict(image), expected, atol=1e-4) is (name in UNSEEN)
    for value in wrong.state_dict().values():
        value.fill_(7)
    assert all(torch.equal(value, before[key]) for key, value in right.state_dict().items())
    assert torch.equal(right.predict(image), expected)
    assert not any(part.training for part in right.modules())


def test_norms_per_phase_have_the_statistics_of_their_images(rooms: Any) -> None:
    images_of_norms = images(8)
    wrong, woven = norm_per_phase(rooms, images_of_norms), {}
    for name, network in (("right", rooms), ("wrong", wrong)):
        with torch.no_grad():
            x = network.reduce(network.encoder(network.prepare(images_of_norms))[-1])
            up = network.decoder.up2.main
            woven[name] = cells(up.bn1(up.up(x)))
    own = rooms.decoder.up2.main.bn1
    for phase in woven["wrong"]:
        assert torch.allclose(phase.mean((0, 2, 3)), own.bias, atol=1e-5)
        assert torch.allclose(phase.std((0, 2, 3)), own.weight, rtol=1e-3)
    spread = torch.stack([phase.mean((0, 2, 3)) for phase in woven["right"]]).std(0)
    assert spread.mean() > 0.05
    counts = [sum(isinstance(m, nn.BatchNorm2d) for m in net.modules()) for net in (rooms, wrong)]
    assert counts[1] - counts[0] == 4 * 2 * 3  # blocks, branches, three norms more
    assert {m.momentum for m in wrong.modules() if isinstance(m, nn.BatchNorm2d)} == {0.1}


@pytest.mark.parametrize(
    ("decoder", "norms"), [("upconv", {"bn"}), ("upproj", {"main.bn1", "skip.bn"}), ("deconv", set())]
)
def test_norms_per_phase_stand_directly_behind_an_enlargement(decoder: str, norms: set[str]) -> None:
    wrong = norm_per_phase(build(f"laina-resnet18-{decoder}-rooms"), images())
    found = {name for name, part in wrong.named_modules() if isinstance(part, PhaseNorm)}
    assert found == {f"decoder.up{factor}.{norm}" for factor in (2, 4, 8, 16) for norm in norms}


def test_a_cut_gradient_leaves_the_last_layers_to_learn(rooms: Any) -> None:
    wrong = cut_gradient(rooms)
    wrong(wrong.prepare(images(1))).sum().backward()
    learning = {name.rsplit(".", 1)[0] for name, p in wrong.named_parameters() if p.grad is not None}
    tail = {f"decoder.up16.{part}" for part in ("main.bn1", "main.conv", "main.bn2", "skip.bn")}
    assert learning == tail | {"answer.conv"}


# --- the encoder and its input


def pools(network: Any) -> tuple[nn.Module, nn.Module]:
    return network.encoder.maxpool, torchvision_pool(network).encoder.maxpool


def hit(pool: nn.Module, side: int, row: int) -> list[int]:
    """The windows in which a value at one row, on the diagonal of a square map, is seen."""
    x = torch.zeros(1, 1, side, side)
    x[..., row, row] = 1
    return pool(x)[0, 0].diagonal().nonzero().flatten().tolist()


def test_a_padded_pool_has_its_windows_elsewhere_on_an_even_side(rooms: Any) -> None:
    right, wrong = pools(rooms)
    assert [hit(right, 8, row) for row in range(8)] == [[0], [0], [0, 1], [1], [1, 2], [2], [2, 3], [3]]
    assert [hit(wrong, 8, row) for row in range(8)] == [[0], [0, 1], [1], [1, 2], [2], [2, 3], [3], [3]]


def test_a_padded_pool_sees_an_even_map_one_row_and_column_later(rooms: Any) -> None:
    right, wrong = pools(rooms)
    x = torch.rand(2, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    assert wrong(x).shape == right(x).shape
    assert torch.equal(wrong(x), right(nn.functional.pad(x, (1, 1, 1, 1)))[..., :-1, :-1])
    assert not torch.equal(wrong(x), right(x))


def test_on_odd_sides_both_pools_agree(rooms: Any) -> None:
    right, wrong = pools(rooms)
    x = torch.rand(2, 3, 57, 39, generator=torch.Generator().manual_seed(0))
    assert torch.equal(wrong(x), right(x))
    image = torch.rand(1, 3, 66, 98, generator=torch.Generator().manual_seed(0))  # 33 x 49 behind the first
    assert torch.equal(torchvision_pool(rooms)(image), rooms(image))


def bottlenecks() -> Any:
    """A caffe network of few channels whose first convolution has a bias."""
    torch.manual_seed(0)
    size = LainaSize(
        partial(ResNet, (1, 2, 1, 1), bottleneck=True, width=4), input_size=(64, 96), reduce=(1, 16)
    )
    network: Any = Laina(size).eval()
    nn.init.normal_(network.encoder.conv1.bias)
    return network


@pytest.mark.parametrize(
    ("network", "build_wrong"),
    [
        (bottlenecks, partial(ResNet, (1, 2, 1, 1), bottleneck=True, width=4)),
        (lambda: Laina(ROOMS).eval(), ROOMS.encoder),
    ],
    ids=["bottlenecks", "rooms"],
)
def test_the_torchvision_encoder_is_that_form_with_all_weights_but_a_bias(
    network: Callable[[], Any], build_wrong: Callable[..., ResNet]
) -> None:
    right = network()
    wrong = torchvision_encoder(right)
    form = build_wrong(form="torchvision").eval()
    left = form.load_state_dict(right.encoder.state_dict(), strict=False)
    assert (left.missing_keys, left.unexpected_keys) == ([], ["conv1.bias"])
    assert form.state_dict().keys() == wrong.encoder.state_dict().keys()
    x = images(1)
    for ours, theirs, good in zip(wrong.encoder(x), form(x), right.encoder(x), strict=True):
        assert torch.equal(ours, theirs)
        assert ours.shape == good.shape
    assert not torch.allclose(wrong(x), right(x), atol=1e-3)


def test_where_the_pools_agree_only_bottlenecks_stride_elsewhere(rooms: Any) -> None:
    image = torch.rand(1, 3, 66, 98, generator=torch.Generator().manual_seed(0))
    for right, alike in ((deepcopy(rooms), True), (bottlenecks(), False)):
        nn.init.zeros_(right.encoder.conv1.bias)
        wrong = torchvision_encoder(right)
        maps = [net.encoder(image) for net in (right, wrong)]
        same = [torch.allclose(a, b, atol=1e-4) for a, b in zip(*maps, strict=True)]
        assert same == [True, True, alike, alike, alike]


def test_a_stride_on_the_3x3_reads_what_the_other_skips() -> None:
    right = bottlenecks()
    for network, share in ((right, 1 / 4), (torchvision_encoder(right), 1.0)):
        x = torch.rand(1, 16, 9, 13, generator=torch.Generator().manual_seed(0)).requires_grad_()
        network.encoder.layer2[0](x).sum().backward()
        read = (x.grad[0] != 0).any(0)
        skipped = torch.ones(9, 13, dtype=torch.bool)
        skipped[::2, ::2] = False
        assert read[::2, ::2].all()
        assert read[skipped].all() if share == 1 else not read[skipped].any()


def test_three_ways_to_feed_an_image(rooms: Any) -> None:
    image = images(2)
    as_bytes, unit, imagenet = (fed(rooms, form).prepare(image) for form in INPUTS)
    assert torch.equal(unit, image)
    assert torch.allclose(as_bytes, 255 * image)
    assert torch.equal(imagenet, rooms.prepare(image))
    assert (Laina(ROOMS).mean, Laina(ROOMS).std) == INPUTS["imagenet"]
    assert (RESNET50.mean, RESNET50.std) == INPUTS["bytes"]


def test_on_another_scale_images_differ_by_a_255th_behind_the_first_norm_in_use(rooms: Any) -> None:
    black, image = torch.zeros(1, 3, *ROOMS.input_size), images(1)
    bright, dim = (
        first_norm(network, image) - first_norm(network, black)
        for network in (fed(rooms, "bytes"), fed(rooms, "unit"))
    )
    assert torch.allclose(bright, 255 * dim, rtol=1e-3, atol=1e-2)
    assert bright.abs().max() > 100


def test_in_training_the_first_norm_takes_the_scale_out(rooms: Any) -> None:
    with_bytes, with_unit = (fed(rooms, form) for form in ("bytes", "unit"))
    trained = [first_norm(network.train(), images()) for network in (with_bytes, with_unit)]
    assert torch.allclose(*trained, atol=1e-2)


def test_without_statistics_a_norm_only_scales(rooms: Any) -> None:
    wrong = fresh_statistics(rooms)
    norm = wrong.encoder.bn1
    x = torch.randn(2, norm.num_features, 3, 5, generator=torch.Generator().manual_seed(0))
    column = (slice(None), None, None)
    assert torch.allclose(norm(x), norm.weight[column] * x / (1 + norm.eps) ** 0.5 + norm.bias[column])
    changed = {
        key.rsplit(".", 1)[1]
        for key, value in wrong.state_dict().items()
        if not value.equal(rooms.state_dict()[key])
    }
    assert changed == {"running_mean", "running_var", "num_batches_tracked"}


def test_without_statistics_training_is_right(rooms: Any) -> None:
    answers = []
    for network in (deepcopy(rooms), fresh_statistics(rooms)):
        torch.manual_seed(3)
        answers.append(network.train()(network.prepare(images())))
    assert torch.equal(*answers)


# --- the end


def test_without_a_relu_depth_is_negative_where_it_was_zero(rooms: Any) -> None:
    right = deepcopy(rooms)
    with torch.no_grad():
        middle = right(right.prepare(images())).median()
        right.answer.conv.bias -= middle
    wrong = without_relu(right)
    x = right.prepare(images())
    good, bad = right(x), wrong(x)
    assert torch.equal(good, bad.relu())
    assert (bad < 0).float().mean().item() == pytest.approx(0.5, abs=0.01)
    assert good.min() == 0
    assert bad.log().isnan().any()
    assert torch.equal(wrong.predict(images()), right.predict(images()))  # clamped


def test_without_a_relu_a_depth_below_zero_is_taught(rooms: Any) -> None:
    slopes = []
    for network in (deepcopy(rooms), without_relu(rooms)):
        nn.init.constant_(network.answer.conv.bias, -1e3)
        network(network.prepare(images(1))).sum().backward()
        slopes.append(network.answer.conv.bias.grad.item())
    assert slopes == [0, 48 * 64]
