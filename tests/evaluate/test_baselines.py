"""Predictions that never look at the image."""

import math

import pytest
import torch

from mdepth.evaluate import DepthMap, evaluate, mean_depth_baseline, mean_map_baseline


def samples(*depths: torch.Tensor) -> list[dict]:
    """Samples with these depths (H, W); 0 is missing."""
    return [
        {"image": torch.zeros(3, *depth.shape), "depth": depth[None], "valid": depth[None] > 0, "id": f"{i}"}
        for i, depth in enumerate(depths)
    ]


def test_means_are_geometric_and_over_valid_pixels():
    dataset = samples(torch.tensor([[1.0, 8.0, 0.0]]), torch.tensor([[4.0, 0.0, 0.0]]))
    constant = mean_depth_baseline(dataset).depth
    assert constant.item() == pytest.approx(32 ** (1 / 3))  # (1 * 8 * 4)^(1/3)
    per_pixel = mean_map_baseline(dataset).depth.flatten().tolist()
    assert per_pixel == pytest.approx([2.0, 8.0, 32 ** (1 / 3)])  # never seen: the overall mean


def test_garbage_outside_the_mask_is_not_learnt():
    dataset = samples(torch.tensor([[1.0, 4.0]]), torch.tensor([[1.0, 4.0]]))
    dataset[1]["depth"][..., 1] = math.nan
    dataset[1]["valid"][..., 1] = False
    assert mean_map_baseline(dataset).depth.flatten().tolist() == pytest.approx([1.0, 4.0])
    assert mean_depth_baseline(dataset).depth.item() == pytest.approx(4 ** (1 / 3))


def test_no_constant_has_a_smaller_log_error(generator):
    dataset = samples(*(1 + 9 * torch.rand(6, 8, generator=generator) for _ in range(4)))
    best = mean_depth_baseline(dataset)
    rmse_log = evaluate(best, dataset, "worlds")["worlds"].pooled["rmse_log"]
    for factor in (0.98, 1.02):
        other = evaluate(DepthMap(best.depth * factor), dataset, "worlds")["worlds"].pooled["rmse_log"]
        assert other > rmse_log


def test_the_map_beats_the_constant_where_position_tells_something(generator):
    floor = torch.linspace(8, 1, 12)[:, None].expand(12, 16)
    dataset = samples(*(floor * torch.exp(0.1 * torch.randn(1, 1, generator=generator)) for _ in range(6)))
    constant = evaluate(mean_depth_baseline(dataset), dataset, "worlds")["worlds"].mean
    per_pixel = evaluate(mean_map_baseline(dataset), dataset, "worlds")["worlds"].mean
    assert per_pixel["rmse"] < 0.5 * constant["rmse"]
    assert per_pixel["delta1"] > constant["delta1"]


def test_maps_follow_the_image_and_the_requested_sizes():
    dataset = samples(torch.full((4, 6), 2.0), torch.full((8, 12), 8.0))
    small = mean_map_baseline(dataset)
    assert small.depth.shape == (1, 1, 4, 6)
    torch.testing.assert_close(small.depth, torch.full((1, 1, 4, 6), 4.0))
    assert mean_map_baseline(dataset, size=(2, 3)).depth.shape == (1, 1, 2, 3)
    predicted = small(torch.zeros(3, 3, 20, 30))
    assert predicted.shape == (3, 1, 20, 30)
    torch.testing.assert_close(predicted, torch.full((3, 1, 20, 30), 4.0))


def test_limit_is_spread_evenly():
    dataset = samples(*(torch.full((2, 2), float(2**i)) for i in range(4)))  # 1, 2, 4, 8
    assert mean_depth_baseline(dataset, limit=2).depth.item() == pytest.approx(
        2.0
    )  # the first and the third: 1, 4
    assert mean_depth_baseline(dataset, limit=99).depth.item() == pytest.approx(2**1.5)


def test_nothing_to_learn_from():
    with pytest.raises(ValueError, match="without samples"):
        mean_depth_baseline([])
    with pytest.raises(ValueError, match="valid depth"):
        mean_map_baseline(samples(torch.zeros(2, 2)))
