"""One scale for a test set: its median and spread in closed form, and what it costs a network that does not
keep its scale.
"""

import dataclasses
import math

import pytest
import torch

from mdepth.evaluate import PROTOCOLS, Protocol, Scale, evaluate, evaluate_single_scale, single_scale

MEDIAN = Protocol("median", "here", alignment="median")


def street(count: int, generator: torch.Generator) -> list[dict]:
    """Images whose red channel is a hundredth of the depth, 1 to 41 m; green says which image it is."""
    samples = []
    for i in range(count):
        depth = 1 + 40 * torch.rand(1, 12, 16, generator=generator)
        image = torch.cat([depth / 100, torch.full_like(depth, i / 10), torch.zeros_like(depth)])
        samples.append({"image": image, "depth": depth, "valid": depth > 0, "id": f"street/{i}"})
    return samples


def in_units(units: list[float]):
    """A network that is right but for a unit that depends on the image."""

    def predict(image: torch.Tensor) -> torch.Tensor:
        which = (10 * image[:, 1, 0, 0]).round().long()
        return 100 * image[:, :1] / torch.tensor(units)[which][:, None, None, None]

    return predict


def test_median_mean_and_spread_in_closed_form() -> None:
    scale = single_scale([30.0, math.nan, 33.0, 27.0, 36.0, 24.0])
    assert (scale.factor, scale.mean, scale.std) == pytest.approx((30.0, 30.0, math.sqrt(18)))
    assert scale.images == 5
    assert scale.sigma == pytest.approx(math.sqrt(18) / 30)
    even = single_scale([1.0, 2.0, 4.0, 9.0])  # the median of four is the mean of the two in the middle
    assert (even.factor, even.mean) == (3.0, 4.0)
    assert even.sigma == pytest.approx(math.sqrt((9 + 4 + 0 + 25) / 4) / 3)
    assert single_scale([5.4]).sigma == 0


def test_no_factor_at_all() -> None:
    for factors in ([], [math.nan, math.nan]):
        with pytest.raises(ValueError, match="none of them has a scored pixel"):
            single_scale(factors)


def test_only_the_factor_changes_in_a_protocol() -> None:
    for name in (
        "monodepth2-kitti",
        "monodepth2-kitti-pp",
        "monodepth2-kitti-benchmark",
        "monodepth2-make3d",
    ):
        single = Scale(31.0, 30.0, 2.0, 697).protocol(name)
        old = PROTOCOLS[name]
        assert single == dataclasses.replace(old, name=f"{name}-single-scale", alignment="none", factor=31.0)


def test_a_network_that_keeps_its_scale_loses_nothing(generator: torch.Generator) -> None:
    dataset = street(4, generator)
    scores, scale = evaluate_single_scale(in_units([20.0] * 4), dataset, MEDIAN)
    assert scale.factor == pytest.approx(20, rel=1e-5)
    assert scale.sigma == pytest.approx(0, abs=1e-6)
    assert scores.protocol == "median-single-scale"
    assert scores.mean["abs_rel"] == pytest.approx(0, abs=1e-5)
    assert scores.factors == [scale.factor] * 4


def test_what_a_wandering_scale_costs(generator: torch.Generator) -> None:
    """Units 8, 10 and 12 m, each image perfect by itself: the median is 10, and the others are a quarter too
    far and a sixth too near.
    """
    dataset = street(3, generator)
    network = in_units([8.0, 10.0, 12.0])
    each = evaluate(network, dataset, MEDIAN)["median"]
    assert each.mean["abs_rel"] == pytest.approx(0, abs=1e-5)
    scores, scale = evaluate_single_scale(network, dataset, MEDIAN, batch_size=2)
    assert (scale.factor, scale.images) == (pytest.approx(10, rel=1e-5), 3)
    assert scale.sigma == pytest.approx(math.sqrt(8 / 3) / 10, rel=1e-4)
    assert scores.per_image["abs_rel"] == pytest.approx([0.25, 0, 1 / 6], abs=1e-5)
    assert scores.per_image["silog"] == pytest.approx([0, 0, 0], abs=1e-2)


def test_the_clamp_comes_after_the_single_scale(generator: torch.Generator) -> None:
    dataset = street(3, generator)
    scores, _ = evaluate_single_scale(in_units([0.1, 10.0, 10.0]), dataset, "monodepth2-kitti-benchmark")
    depth = dataset[0]["depth"].double()
    expected = ((100 * depth).clamp(max=80) / depth - 1).mean().item()
    assert scores.per_image["abs_rel"][0] == pytest.approx(expected, rel=1e-4)


def test_options_reach_both_passes(generator: torch.Generator) -> None:
    """Predictions are made twice; an image without pixels has no factor, and the rest decides."""
    dataset = street(4, generator)
    dataset[0]["valid"] = torch.zeros_like(dataset[0]["valid"])
    seen = []

    def counted(image: torch.Tensor) -> torch.Tensor:
        seen.append(len(image))
        return in_units([1.0, 2.0, 4.0, 100.0])(image)

    scores, scale = evaluate_single_scale(
        counted, dataset, MEDIAN, batch_size=2, limit=3, metrics=["rmse", "abs_rel"]
    )
    assert seen == [2, 1, 2, 1]
    assert list(scores.mean) == ["rmse", "abs_rel"]
    assert (scale.images, scale.factor) == (2, pytest.approx(3.0, rel=1e-5))
    assert math.isnan(scores.per_image["rmse"][0])
    assert scores.n_images == 3


def test_a_protocol_that_does_not_align_has_no_scale_to_share(generator: torch.Generator) -> None:
    with pytest.raises(ValueError, match="monodepth2-kitti-stereo does not align"):
        evaluate_single_scale(in_units([1.0] * 2), street(2, generator), "monodepth2-kitti-stereo")
