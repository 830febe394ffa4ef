"""Metrics where rounding, data types and thresholds bite."""

import pytest
import torch

from mdepth import metrics


def maps(*values: float, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """One-image depth map with these pixels."""
    return torch.tensor(values, dtype=dtype).reshape(1, 1, 1, -1)


def score(name: str, prediction: torch.Tensor, target: torch.Tensor) -> float:
    return metrics.per_image(name, prediction, target, target > 0).item()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_a_ratio_that_is_the_threshold_is_outside_from_both_sides(k: int, dtype: torch.dtype) -> None:
    """5^k to 4^k: whole metres, so the ratio is 1.25^k without rounding, whichever of the two is larger."""
    near, far = maps(4.0**k, 4.0**k * 3, dtype=dtype), maps(5.0**k, 5.0**k * 3, dtype=dtype)
    assert score(f"delta{k}", near, far) == 0
    assert score(f"delta{k}", far, near) == 0
    assert score(f"delta{k}", near, far - 0.01) == 1


@pytest.mark.parametrize("factor", [1.3, 2.7, 5.0])
def test_one_factor_leaves_no_silog_in_single_precision(factor: float) -> None:
    target = maps(3.3)
    assert score("silog", factor * target, target) == pytest.approx(0, abs=1e-4)
    assert metrics.pooled("silog", factor * target, target, target > 0) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_predictions_of_half_the_bits_are_compared_in_single_precision(dtype: torch.dtype) -> None:
    target, prediction = maps(1.0, 4.0), maps(2.0, 3.0).to(dtype)
    assert score("rmse", prediction, target) == 1.0
    assert metrics.median(prediction.flatten()) == 2.5


def test_an_edge_is_steeper_than_the_threshold() -> None:
    """1/32 m a column: the Sobel response is 0.25 m without rounding, which is not more than 0.25."""
    ramp = (2 + torch.arange(8) / 32).expand(1, 1, 8, 8)
    assert all(scores.isnan() for scores in metrics.edge_scores(ramp, ramp, ramp > 0, 0.25))
    assert [scores.item() for scores in metrics.edge_scores(ramp, ramp, ramp > 0, 0.2499)] == [1, 1, 1]
