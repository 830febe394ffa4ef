"""The known bugs of ports of Laina et al.: each is wrong in the way that its docstring says."""

from typing import Any

import pytest
import torch
from mdepth_bugs.laina import (
    berhu_by_mean,
    berhu_counted_twice,
    berhu_invalid_threshold,
    berhu_signed_threshold,
    phase_major_shuffle,
    quadrants,
    swapped_b_and_c,
)

from mdepth.losses import berhu_loss, l1_loss


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
