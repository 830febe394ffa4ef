"""The known bugs of ports of DenseDepth and other U-Nets: each is wrong as its docstring says."""

from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any

import pytest
import torch
from mdepth_bugs.transfer import (
    activation_between,
    clamped_in_centimetres,
    cut_on_one_side,
    doubled,
    eight_bit,
    half_pixel,
    high_byte,
    imagenet_input,
    inverted_last,
    loss_without_slopes,
    min_max,
    numbers_as_indices,
    padded_1x1,
    padded_skips,
    rotated,
    skips_before_transitions,
    soft_accuracy,
    ssim_clamped_per_pixel,
    ssim_of_range_1,
    swapped_rel,
    unclipped_reciprocal,
    wrapped,
)

from mdepth import weights
from mdepth.image import resize
from mdepth.losses import densedepth_loss, gradient_loss, l1_loss, ssim_loss
from mdepth.metrics import compute, per_image
from mdepth.models import build
from mdepth.models.transfer import DENSE_ROOMS, DenseDepth
from mdepth.shapes import DataError

BY_HAND: list[Any] = [
    (high_byte, [0.255, 0.256, 2.0, 10.0], [0, 1, 7, 39]),
    (wrapped, [1.5, 6.5535, 6.5536, 8.0], [1.5, 6.5535, 0, 1.4464]),
    (clamped_in_centimetres, [0.1, 2.0, 5.0, 10.0], [10, 10, 10, 10]),
    (eight_bit, [0.01, 0.1, 5.0, 10.0], [0, 3 * 10 / 255, 128 * 10 / 255, 10]),
    (min_max, [1.0, 2.0, 4.0, 5.0], [0, 0.25, 0.75, 1]),
    (unclipped_reciprocal, [0.0, 0.05, 1.0, 12.0], [float("inf"), 200, 10, 1]),
]


def depth(*values: float) -> torch.Tensor:
    """One row of metres."""
    return torch.tensor(values)[None, None, None]


def room(seed: int = 0, size: tuple[int, int] = (24, 32)) -> torch.Tensor:
    """Depths from 1 to 9 m."""
    return 1 + 8 * torch.rand(1, 1, *size, generator=torch.Generator().manual_seed(seed))


# --- files and targets


@pytest.mark.parametrize(("bug", "metres", "expected"), BY_HAND)
def test_what_becomes_of_four_depths(bug: Callable[..., Any], metres: list[float], expected: list) -> None:
    assert bug(depth(*metres)).flatten().tolist() == pytest.approx(expected)


def test_levels_are_as_far_apart_as_the_facts_say() -> None:
    fine = torch.linspace(0, 10, 100_001)[None, None, None]
    steps = {bug: bug(fine).unique().diff() for bug in (eight_bit, high_byte)}
    assert len(steps[eight_bit]) == 255
    assert torch.allclose(steps[eight_bit], torch.tensor(0.0392), atol=1e-4)
    assert len(steps[high_byte]) == 39
    assert (eight_bit(fine) - fine).abs().max().item() == pytest.approx(5 / 255, abs=1e-4)
    assert torch.allclose(wrapped(fine)[fine < 6.5535], fine[fine < 6.5535], atol=1e-4)
    assert torch.allclose((fine - wrapped(fine))[fine >= 6.5536], torch.tensor(6.5536), atol=1e-4)


def test_a_hole_makes_the_loss_of_a_batch_infinite() -> None:
    file = room()
    file[..., 3, 5] = 0.005  # below half a level
    target, right = unclipped_reciprocal(eight_bit(file)), 10 / eight_bit(file).clamp(0.1, 10)
    everywhere = torch.ones_like(file, dtype=torch.bool)
    assert torch.equal(target.isinf(), file == 0.005)
    assert torch.equal(target[file > 0.1], right[file > 0.1])
    assert right.max().item() == 100
    assert l1_loss(torch.ones_like(file), target, everywhere).isinf()
    assert l1_loss(torch.ones_like(file), right, everywhere).isfinite()


def test_without_a_scale_nothing_can_be_said_of_the_nearest_pixel() -> None:
    near, far = room(), 3 * room() + 2
    assert torch.allclose(min_max(near), min_max(far), atol=1e-6)
    target = min_max(near)
    everywhere = torch.ones_like(target, dtype=torch.bool)
    assert ((target + 0.1 - target) / target).abs().mean().isinf()
    with pytest.raises(ValueError, match="1 of 768 valid target values are not positive"):
        compute(target + 0.1, target, everywhere, ["abs_rel"])
    assert compute(near + 0.1, near, everywhere, ["abs_rel"])["abs_rel"].isfinite()
    picture = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(min_max(0.5 * picture), min_max(picture), atol=1e-6)  # half the light
    ends = min_max(picture).flatten(1).aminmax(dim=1)  # of each image by itself
    assert (ends.min.tolist(), ends.max.tolist()) == ([0, 0], [1, 1])


def test_the_order_of_resizing_and_inverting_shows_at_an_edge() -> None:
    edge = depth(1.0, 1.0, 9.0, 9.0).expand(1, 1, 4, 4)
    first, last = (10 / edge).clamp(1, 100), inverted_last(edge, (2, 2))
    right = resize(first, (2, 2), antialias=True)  # weights 3/7, 3/7, 1/7
    assert last[0, 0, 0].tolist() == pytest.approx([70 / 15, 70 / 55])
    assert right[0, 0, 0].tolist() == pytest.approx([(60 + 10 / 9) / 7, (10 + 60 / 9) / 7])
    even = torch.full((1, 1, 24, 32), 4.0)
    assert torch.allclose(inverted_last(even, (12, 16)), torch.tensor(2.5))
    rooms = room()
    assert (inverted_last(rooms, (12, 16)) < resize(10 / rooms, (12, 16), antialias=True)).all()


def test_a_turn_mirrors_picture_and_depth_alike() -> None:
    right = torch.arange(12.0).reshape(1, 1, 3, 4).expand(1, 3, 3, 4)
    stored = right.transpose(-2, -1)  # as the file has it
    turned = rotated(stored)
    assert turned.shape == right.shape
    assert torch.equal(turned, right.flip(-1))
    assert (turned[0, 0, 0, 0].item(), turned[0, 0, 0, -1].item()) == (3, 0)
    assert rotated(torch.zeros(1, 1, 640, 480)).shape == (1, 1, 480, 640)


def test_numbers_taken_as_indices_give_the_image_behind() -> None:
    images = range(1, 1450)  # by their numbers
    train, test = [3, 4, 5, 6, 7, 8, 10], [1, 2, 9, 14, 15]
    assert numbers_as_indices(images, test) == [2, 3, 10, 15, 16]
    assert set(numbers_as_indices(images, test)) & set(train) == {3, 10}
    assert [images[number - 1] for number in test] == test
    with pytest.raises(IndexError):
        numbers_as_indices(images, [1449])


# --- scores


def score(bug: Callable[..., torch.Tensor], prediction: torch.Tensor, target: torch.Tensor) -> float:
    return bug(prediction, target, target > 0).item()


@pytest.mark.parametrize("factor", [0.5, 1.2, 2.0])
def test_a_relative_error_of_the_prediction_favours_what_is_too_deep(factor: float) -> None:
    target = room()
    assert score(swapped_rel, factor * target, target) == pytest.approx(abs(1 - 1 / factor), abs=1e-6)
    right = score(partial(per_image, "abs_rel"), factor * target, target)
    assert right == pytest.approx(abs(factor - 1), abs=1e-6)
    assert (score(swapped_rel, factor * target, target) < right) is (factor > 1)


def test_most_metrics_do_not_notice_that_their_arguments_are_swapped() -> None:
    maps, everywhere = (room(0), room(1)), torch.ones(1, 1, 24, 32, dtype=torch.bool)
    straight, swapped = compute(*maps, everywhere), compute(*maps[::-1], everywhere)
    unlike = {name for name in straight if not torch.allclose(straight[name], swapped[name], rtol=1e-5)}
    assert unlike == {"abs_rel", "sq_rel", "sq_rel_kitti"}
    assert torch.equal(swapped_rel(*maps, everywhere), swapped["abs_rel"])


def test_soft_accuracy_asks_only_for_the_side_of_5_metres() -> None:
    target = room() / 2  # up to 4.5 m
    assert score(soft_accuracy, torch.full_like(target, 4.9), target) == 1
    assert score(partial(per_image, "delta1"), torch.full_like(target, 4.9), target) < 0.3
    nearly = depth(4.9)
    assert score(soft_accuracy, nearly + 0.2, nearly) == 0
    assert score(partial(per_image, "delta1"), nearly + 0.2, nearly) == 1
    four = depth(1.0, 4.0, 6.0, 0.0)
    assert soft_accuracy(depth(4.0, 6.0, 9.0, 1.0), four, four > 0).item() == pytest.approx(2 / 3)


# --- the loss


def reciprocals(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A smooth map of 10 m / depth, the same with noise, and all valid; noisy first."""
    rows, columns = (
        torch.linspace(0, 6, 48, dtype=torch.float64),
        torch.linspace(0, 5, 64, dtype=torch.float64),
    )
    smooth = (5 + 2 * rows.sin()[:, None] + 1.5 * columns.cos())[None, None]
    noise = torch.randn(smooth.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return smooth + 0.03 * noise, smooth, smooth > 0


def test_without_slopes_a_jagged_error_costs_what_an_even_one_does() -> None:
    _, target, valid = reciprocals()
    sign = torch.ones_like(target)
    sign[..., ::2] = -1
    for error in (0.3 * torch.ones_like(target), 0.3 * sign):
        inputs = target + error, target, valid
        expected = 0.1 * 0.3 + ssim_loss(*inputs)
        assert loss_without_slopes(*inputs).item() == pytest.approx(expected.item())
        assert (densedepth_loss(*inputs) - loss_without_slopes(*inputs)).item() == pytest.approx(
            gradient_loss(*inputs).item()
        )
    assert gradient_loss(*inputs).item() == pytest.approx(0.6 * 63 / 64)
    assert loss_without_slopes(*inputs).item() < 0.05 < densedepth_loss(*inputs).item()
    assert loss_without_slopes(*inputs, lam=0.2).item() == pytest.approx(expected.item() + 0.03)


def test_a_range_of_1_is_far_from_similar_where_100_is_near() -> None:
    inputs = reciprocals()
    similar = [1 - 2 * ssim_loss(*inputs, data_range=size).item() for size in (1.0, 10.0, 100.0)]
    assert 1 - 2 * ssim_of_range_1(*inputs).item() == similar[0]
    assert similar == sorted(similar)
    assert similar[0] < 0.99 < 0.9995 < similar[2]
    one = torch.ones(1, 1, 11, 11, dtype=torch.float64)
    assert ssim_of_range_1(one, 2 * one, one > 0).item() == pytest.approx((1 - 4.0001 / 5.0001) / 2, abs=1e-5)
    assert ssim_loss(one, 2 * one, one > 0).item() == pytest.approx((1 - 5 / 6) / 2, abs=1e-5)  # C1 = 1


def test_under_a_range_of_1_noise_costs_nearly_what_a_missed_edge_costs() -> None:
    wall = torch.full((1, 1, 11, 11), 2.0, dtype=torch.float64)
    noise = torch.randn(1, 1, 11, 11, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    edge = wall + torch.where(torch.arange(11) < 5, -1.0, 1.0)
    pairs = (wall + 0.1 * noise, wall, wall > 0), (wall, edge, wall > 0)
    wrong = [ssim_of_range_1(*pair).item() for pair in pairs]
    right = [ssim_loss(*pair).item() for pair in pairs]
    assert 0.8 < wrong[0] / wrong[1] < 1
    assert right[0] / right[1] < 0.03


@pytest.mark.parametrize("size", [1.0, 100.0])
def test_clamping_every_pixel_changes_only_what_rounding_did(size: float) -> None:
    exact = reciprocals()
    opposite = 10 - exact[1], exact[1], exact[2]
    for inputs in (exact, opposite):
        clamped = ssim_clamped_per_pixel(*inputs, data_range=size).item()
        assert clamped == pytest.approx(ssim_loss(*inputs, data_range=size).item(), abs=1e-9)
    assert ssim_loss(*opposite, data_range=1.0) > 0.5  # there are pixels beyond one half
    rounded = [(values + 1000).float() for values in exact[:2]]
    mean, pixels = (loss(*rounded, exact[2], data_range=size) for loss in (ssim_loss, ssim_clamped_per_pixel))
    assert pixels - mean > 0.001
    holed, valid = exact[1].clone(), exact[2].clone()
    holed[..., 20:30, 20:30], valid[..., 20:30, 20:30] = 0, False
    assert ssim_clamped_per_pixel(exact[0], holed, valid).item() == pytest.approx(
        ssim_loss(exact[0], holed, valid).item()
    )


# --- whole networks


def images(height: int, width: int, count: int = 1) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0))


def network(name: str) -> Any:
    """In evaluation mode, with an answer that depends on the image."""
    torch.manual_seed(0)
    made: Any = build(name)
    last = made.decoder.conv3 if name.startswith("dense") else made.answer
    last.weight.data.mul_(10)
    return made.eval()


@pytest.fixture(scope="module")
def resnet() -> Any:
    return network("transfer-resnet18-rooms")


@pytest.fixture(scope="module")
def dense() -> Any:
    return network("densedepth-rooms")


COPIES: dict[str, list[Callable[[Any], Any]]] = {
    "transfer-resnet18-rooms": [
        doubled, partial(cut_on_one_side, side="start"), partial(cut_on_one_side, side="end"), padded_skips,
    ],
    "densedepth-rooms": [activation_between, half_pixel, imagenet_input, padded_1x1],
}  # fmt: skip


@pytest.mark.parametrize(("name", "bug"), [(name, bug) for name, bugs in COPIES.items() for bug in bugs])
def test_a_wrong_copy_holds_the_same_weights_and_the_network_is_as_it_was(
    name: str, bug: Callable[[Any], Any]
) -> None:
    right = network(name)
    height = 240 if name.startswith("transfer") else 224
    right.image_size, right.input_size, right.covered = (height, 320), (height, 320), (0, height, 0, 320)
    before, image = deepcopy(right.state_dict()), images(60, 80)
    expected = right.predict(image)
    wrong = bug(right)
    assert wrong.state_dict().keys() == before.keys()
    wrong.load_state_dict(before)
    if bug is doubled:
        with pytest.raises(RuntimeError, match="Expected size 16 but got size 15"):
            wrong.predict(image)
    else:
        assert wrong.predict(image).shape == expected.shape
        assert not torch.allclose(wrong.predict(image), expected, atol=1e-3)
    for value in wrong.state_dict().values():
        value.fill_(7)
    assert all(torch.equal(value, before[key]) for key, value in right.state_dict().items())
    assert torch.equal(right.predict(image), expected)


# --- a ResNet and the decoder of a U-Net


def rows_joined(copy: Any, height: int = 240) -> tuple[list[float], torch.Tensor]:
    """What stands behind the first enlarging, as rows of the coarsest map, and the skip joined to it."""
    seen: list[torch.Tensor] = []

    def numbered(encoder: Any, inputs: Any, maps: list[torch.Tensor]) -> list[torch.Tensor]:
        rows = torch.arange(float(maps[-1].shape[-2]))[:, None]
        return [*(torch.ones_like(each) for each in maps[:-1]), rows.expand_as(maps[-1])]

    handles = [
        copy.encoder.register_forward_hook(numbered),
        copy.up[0].register_forward_pre_hook(lambda block, inputs: seen.append(inputs[0])),
    ]
    with torch.no_grad():
        copy(images(height, 64))
    for handle in handles:
        handle.remove()
    below = copy.encoder.channels[-1]
    return seen[0][0, 0, :, 0].tolist(), seen[0][:, below:]


def test_a_plain_decoder_fails_behind_a_resnet_at_240_rows(resnet: Any) -> None:
    plain = doubled(resnet)
    with pytest.raises(RuntimeError, match="Expected size 16 but got size 15"):
        plain(images(240, 320))
    assert resnet(images(240, 320)).shape == (1, 1, 240, 320)
    fitting = images(256, 320)
    assert torch.equal(plain(fitting), resnet(fitting))
    with torch.device("meta"):
        large = doubled(build("transfer-resnet34"))
        with pytest.raises(RuntimeError, match=r"16 .*15 "):
            large(torch.zeros(1, 3, 240, 320))
        assert large(torch.zeros(1, 3, 256, 320)).shape == (1, 1, 256, 320)
        assert build("unet")(torch.zeros(1, 3, 240, 320)).shape == (1, 1, 240, 320)  # pools: 15 rows


def test_a_cut_at_the_start_shifts_all_from_below_by_a_row(resnet: Any) -> None:
    whole, _ = rows_joined(doubled(resnet), 256)
    assert whole == [row // 2 for row in range(16)]
    end, _ = rows_joined(cut_on_one_side(resnet, "end"))
    start, _ = rows_joined(cut_on_one_side(resnet, "start"))
    fitted, _ = rows_joined(resnet)  # the library's
    assert end == whole[:15]
    assert start == whole[1:]
    assert fitted == [0, 0, 1, 1, 2, 2, 3, 4, 4, 5, 5, 6, 6, 7, 7]


@pytest.mark.parametrize("side", ["start", "end"])
@pytest.mark.parametrize("size", [(240, 320), (61, 83)])
def test_a_cut_decoder_gives_the_size_of_the_image(resnet: Any, side: Any, size: tuple[int, int]) -> None:
    assert cut_on_one_side(resnet, side)(images(*size)).shape == (1, 1, *size)


def test_padded_skips_give_more_rows_than_the_image_has(resnet: Any) -> None:
    wrong = padded_skips(resnet)
    assert wrong(images(240, 320)).shape == (1, 1, 256, 320)
    rows, skip = rows_joined(wrong)
    assert rows == [row // 2 for row in range(16)]
    assert skip[:, :, :15].eq(1).all()
    assert skip[:, :, 15:].eq(0).all()
    fitting = images(96, 128)
    for copy in (wrong, cut_on_one_side(resnet, "start"), cut_on_one_side(resnet, "end")):
        assert torch.equal(copy(fitting), resnet(fitting))


# --- DenseDepth


def test_an_activation_between_is_the_other_network_with_the_released_weights(dense: Any) -> None:
    other = DenseDepth(**DENSE_ROOMS, between=True).eval()
    other.load_state_dict(dense.state_dict())
    x = images(96, 128)
    assert torch.equal(activation_between(dense)(x), other(x))
    assert not torch.allclose(dense(x), other(x), atol=1e-2)
    maps = torch.randn(1, dense.decoder.up1.convA.in_channels, 6, 8)
    least = [each.decoder.up1.convA(maps).amin().item() for each in (dense, activation_between(dense))]
    assert least[1] == pytest.approx(0.2 * least[0])


def enlarged(copy: Any, ramp: torch.Tensor) -> torch.Tensor:
    """One column of what the first enlarging makes of a map whose rows count up."""
    seen: list[torch.Tensor] = []
    handles = [
        copy.decoder.conv2.register_forward_hook(lambda part, inputs, maps: ramp.expand_as(maps)),
        copy.decoder.up1.register_forward_pre_hook(lambda block, inputs: seen.append(inputs[0])),
    ]
    with torch.no_grad():
        copy(images(96, 128))
    for handle in handles:
        handle.remove()
    return seen[0][0, 0, :, 0]


def test_half_pixels_move_what_is_near_the_border(dense: Any) -> None:
    ramp = torch.arange(3.0)[:, None]
    assert enlarged(dense, ramp).tolist() == pytest.approx([0, 0.4, 0.8, 1.2, 1.6, 2])
    assert enlarged(half_pixel(dense), ramp).tolist() == pytest.approx([0, 0.25, 0.75, 1.25, 1.75, 2])


def test_imagenet_s_input_is_not_what_densedepth_learnt(dense: Any) -> None:
    picture = images(96, 128)
    assert torch.equal(dense.prepare(picture), picture)
    grey = torch.tensor([0.485, 0.456, 0.406])[None, :, None, None].expand(1, 3, 96, 128)
    assert imagenet_input(dense).prepare(grey).abs().max() < 1e-6
    one = imagenet_input(dense).prepare(torch.ones(1, 3, 96, 128))[0, :, 0, 0]
    assert one.tolist() == pytest.approx([0.515 / 0.229, 0.544 / 0.224, 0.594 / 0.225], rel=1e-5)


def test_skips_from_before_the_transitions_are_wider_and_refuse_the_weights(dense: Any) -> None:
    with torch.device("meta"):
        right = build("densedepth")
        wrong: Any = skips_before_transitions(right)
        maps = wrong.encoder(torch.zeros(1, 3, 480, 640))
        assert wrong(torch.zeros(1, 3, 480, 640)).shape == (1, 1, 240, 320)
    assert right.encoder.channels == (64, 64, 128, 256, 1664)
    assert wrong.encoder.channels == (64, 256, 512, 1280, 1664)
    assert [each.shape[1] for each in maps] == [64, 256, 512, 1280, 1664]
    assert [tuple(each.shape[2:]) for each in maps[::4]] == [(240, 320), (15, 20)]
    small: Any = skips_before_transitions(dense).eval()
    with pytest.raises(DataError, match=r"decoder\.up1\.convA\.weight"):
        weights.load(small, dense.state_dict())
    x = images(96, 128)
    for mine, good, same in zip(small.encoder(x), dense.encoder(x), (1, 0, 0, 0, 1), strict=True):
        assert mine.shape[-2:] == good.shape[-2:]
        assert (mine.shape == good.shape and torch.equal(mine, good)) is bool(same)
    assert small.predict(x).shape == (1, 1, 96, 128)
    half = skips_before_transitions(build("densedepth-rooms", width=32, between=True))
    assert (half.decoder.conv2.out_channels, len(half.decoder.up1), len(small.decoder.up1)) == (32, 4, 3)


def test_a_padded_1x1_grows_the_map_by_a_ring_of_bias() -> None:
    dense = network("densedepth-rooms")
    torch.nn.init.normal_(dense.decoder.conv2.bias)
    wrong, maps = padded_1x1(dense), torch.randn(1, dense.decoder.conv2.in_channels, 3, 4)
    right, large = dense.decoder.conv2(maps), wrong.decoder.conv2(maps)
    assert large.shape[-2:] == (5, 6)
    assert torch.allclose(large[..., 1:-1, 1:-1], right, atol=1e-6)
    assert torch.equal(large[0, :, 0, 0], dense.decoder.conv2.bias)
    assert torch.equal(large[..., :1, :], large[..., -1:, :])
    x = images(96, 128)
    assert wrong(x).shape == dense(x).shape
    with torch.device("meta"):
        released: Any = padded_1x1(build("densedepth"))
        assert released.decoder.conv2(torch.zeros(1, 1664, 15, 20)).shape[-2:] == (17, 22)
        assert released(torch.zeros(1, 3, 480, 640)).shape == (1, 1, 240, 320)
