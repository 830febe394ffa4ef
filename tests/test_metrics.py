"""Metrics: values worked out by hand, the released codes' numbers, and the identities that must hold."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mdepth import metrics as mt

NAN = math.nan


def maps(*values: float) -> torch.Tensor:
    """One-image depth map with these pixels."""
    return torch.tensor(values, dtype=torch.float64).reshape(1, 1, 1, -1)


def everywhere(depth: torch.Tensor) -> torch.Tensor:
    return torch.ones_like(depth, dtype=torch.bool)


def score(name: str, prediction: torch.Tensor, target: torch.Tensor) -> float:
    return mt.per_image(name, prediction, target, everywhere(target)).item()


def depths(count: int = 12):
    """A prediction and a target of ``count`` pixels each, between 0.1 and 80 m."""
    number = st.floats(0.125, 80, width=32)
    return st.tuples(*(st.lists(number, min_size=count, max_size=count) for _ in range(2)))


# --- hand-computed values

BY_HAND = {
    # p = (2, 3), t = (1, 4): differences 1, -1; ratios 2 and 4/3.
    "abs_rel": (1 / 1 + 1 / 4) / 2,
    "sq_rel": (1 / 1 + 1 / 4) / 2,
    "sq_rel_kitti": (1 / 1 + 1 / 16) / 2,
    "mae": 1.0,
    "rmse": 1.0,
    "rmse_log": math.sqrt((math.log(2) ** 2 + math.log(3 / 4) ** 2) / 2),
    "log10": (math.log10(2) + math.log10(4 / 3)) / 2,
    "silog": 100 * (math.log(2) - math.log(3 / 4)) / 2,  # two values: half their distance
    "scale_invariant": (math.log(2) - math.log(3 / 4)) / 2,
    "delta1": 0.0,
    "delta2": 0.5,  # 1.25^2 = 1.5625: 4/3 is inside, 2 is not
    "delta3": 0.5,  # 1.25^3 = 1.953
    "irmse": math.sqrt(((1 / 2 - 1) ** 2 + (1 / 3 - 1 / 4) ** 2) / 2),
    "irmse_km": 1000 * math.sqrt(((1 / 2 - 1) ** 2 + (1 / 3 - 1 / 4) ** 2) / 2),
}


@pytest.mark.parametrize("name", mt.METRICS)
def test_every_metric_by_hand(name):
    assert score(name, maps(2, 3), maps(1, 4)) == pytest.approx(BY_HAND[name], abs=1e-12)


def test_what_kittis_server_prints_by_hand():
    """p = (2, 3), t = (1, 4) again: per cent of 5/8 and of 17/32, with t^2 below; 1/km of 1/m."""
    p, t = maps(2, 3), maps(1, 4)
    expected = {
        "silog": 100 * (math.log(2) - math.log(3 / 4)) / 2,
        "sq_error_rel": 53.125,
        "abs_error_rel": 62.5,
        "irmse_km": 1000 * math.sqrt((1 / 4 + 1 / 144) / 2),
    }
    found = mt.compute(p, t, everywhere(t), mt.KITTI_BENCHMARK)
    assert list(found) == list(expected)  # in the server's order
    assert {name: value.item() for name, value in found.items()} == pytest.approx(expected, abs=1e-12)
    units = {name: metric.unit for name, metric in mt.KITTI_BENCHMARK.items()}
    assert units == {"silog": "×100", "sq_error_rel": "%", "abs_error_rel": "%", "irmse_km": "1/km"}


@pytest.mark.parametrize("s", [1.1, 0.5, 3.0])
def test_kittis_errors_of_a_prediction_that_is_off_by_a_factor(s):
    """At 20 m the inverse depth is 50 / km; every image's number, and the pool's."""
    t = torch.full((2, 1, 3, 4), 20.0, dtype=torch.float64)
    expected = {
        "silog": 0.0, "sq_error_rel": 100 * (s - 1) ** 2, "abs_error_rel": 100 * abs(s - 1),
        "irmse_km": 50 * abs(1 / s - 1),
    }  # fmt: skip
    for name, value in mt.compute(s * t, t, everywhere(t), mt.KITTI_BENCHMARK).items():
        assert value.tolist() == pytest.approx([expected[name]] * 2, abs=1e-5)
        assert mt.pooled(name, s * t, t, everywhere(t)) == pytest.approx(expected[name], abs=1e-5)


def test_kittis_percentages_are_no_metrics_unless_they_are_named():
    """All metrics are what records hold; per cent and share are one number twice."""
    t = maps(1, 4)
    assert list(mt.compute(t, t, everywhere(t))) == list(mt.METRICS)
    assert not {"sq_error_rel", "abs_error_rel"} & set(mt.METRICS)
    p = maps(1.5, 3)
    for percent, share in (("sq_error_rel", "sq_rel_kitti"), ("abs_error_rel", "abs_rel")):
        assert score(percent, p, t) == pytest.approx(100 * score(share, p, t))


def test_published_numbers_on_hus_waves():
    y, x = torch.meshgrid(torch.arange(228).double(), torch.arange(304).double(), indexing="ij")
    d = (3 + torch.sin(0.05 * x) + 0.5 * torch.cos(0.07 * y))[None, None]
    g = 1.1 * d + 0.2 * torch.sin(0.1 * x + 0.03 * y)
    expected = {
        "rmse": 0.351481166626305,
        "mae": 0.3126079267660425,
        "abs_rel": 0.10042631913861881,
        "log10": 0.04110996329934859,
        "delta1": 1.0,
        "delta2": 1.0,
        "delta3": 1.0,
    }
    found = mt.compute(g, d, everywhere(d), expected)
    assert {name: value.item() for name, value in found.items()} == pytest.approx(expected, abs=1e-12)
    in_float32 = mt.compute(g.float(), d.float(), everywhere(d), expected)
    assert {name: value.item() for name, value in in_float32.items()} == pytest.approx(expected, rel=2e-6)


def test_swapped_arguments_change_only_what_has_a_denominator():
    """DenseDepth's evaluation swaps them: 0.1274 instead of 0.1234 for the relative error."""
    p, t = maps(2, 3, 5), maps(1, 4, 4)
    for name in ("rmse", "mae", "rmse_log", "log10", "silog", "scale_invariant", "delta1", "delta2", "irmse"):
        assert score(name, p, t) == pytest.approx(score(name, t, p))
    for name in ("abs_rel", "sq_rel", "sq_rel_kitti"):
        assert score(name, p, t) != pytest.approx(score(name, t, p), rel=1e-3)


# --- identities


def test_perfect_predictions():
    t = maps(0.5, 3, 80)
    for name, metric in mt.METRICS.items():
        assert score(name, t, t) == (1.0 if metric.better == "higher" else 0.0)


@pytest.mark.parametrize("s", [1.1, 1.25, 0.5, 3.0])
def test_a_prediction_that_is_off_by_a_factor(s):
    t = maps(1, 2, 4, 8)
    assert score("abs_rel", s * t, t) == pytest.approx(abs(s - 1))
    assert score("rmse_log", s * t, t) == pytest.approx(abs(math.log(s)))
    assert score("log10", s * t, t) == pytest.approx(abs(math.log10(s)))
    assert score("silog", s * t, t) == pytest.approx(0, abs=1e-5)
    assert score("scale_invariant", s * t, t) == pytest.approx(0, abs=1e-12)
    assert score("delta1", s * t, t) == (1.0 if max(s, 1 / s) < 1.25 else 0.0)  # strictly: 1.25 itself is out


@settings(max_examples=60, deadline=None)
@given(depths(), st.floats(0.2, 5))
def test_scale_invariance(values, s):
    p, t = (maps(*v) for v in values)
    for name, close in (("silog", 1e-4), ("scale_invariant", 1e-6)):  # the root of a difference that rounds
        assert score(name, s * p, t) == pytest.approx(score(name, p, t), abs=close)
    assert score("silog", p, t) == pytest.approx(100 * score("scale_invariant", p, t), abs=1e-4)


@settings(max_examples=60, deadline=None)
@given(depths())
def test_orders_between_metrics(values):
    p, t = (maps(*v) for v in values)
    assert score("silog", p, t) <= 100 * score("rmse_log", p, t) + 1e-9
    assert score("mae", p, t) <= score("rmse", p, t) + 1e-9
    assert score("delta1", p, t) <= score("delta2", p, t) <= score("delta3", p, t)
    mean = (p.log() - t.log()).mean().item()
    assert score("rmse_log", p, t) ** 2 == pytest.approx(
        score("scale_invariant", p, t) ** 2 + mean**2, abs=1e-9
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(depths(), min_size=2, max_size=5))
def test_pooled_rmse_is_never_below_the_mean_of_images(images):
    """Equal pixel counts: Jensen. The errors without a root or square are then equal either way."""
    p, t = (torch.cat([maps(*image[i]) for image in images]) for i in (0, 1))
    for name in ("rmse", "rmse_log", "scale_invariant", "irmse"):
        mean = mt.per_image(name, p, t, everywhere(t)).mean().item()
        assert mt.pooled(name, p, t, everywhere(t)) >= mean - 1e-9
    for name in ("abs_rel", "sq_rel", "log10", "mae", "delta1"):
        mean = mt.per_image(name, p, t, everywhere(t)).mean().item()
        assert mt.pooled(name, p, t, everywhere(t)) == pytest.approx(mean, abs=1e-9)


# --- averaging


def test_the_same_predictions_have_two_rmse():
    """Errors of 1 m and 7 m: 4 m per image, 5 m pooled (DenseDepth's 0.465 and 0.5485 in miniature)."""
    t = torch.ones(2, 1, 2, 2)
    p = t + torch.tensor([1.0, 7.0]).reshape(2, 1, 1, 1)
    assert mt.per_image("rmse", p, t, everywhere(t)).tolist() == [1.0, 7.0]
    assert mt.pooled("rmse", p, t, everywhere(t)) == 5.0


def test_pooling_weights_pixels_not_images():
    t, p = torch.ones(2, 1, 1, 4), torch.ones(2, 1, 1, 4)
    p[1] = 5.0
    valid = torch.tensor([True, True, True, True, True, False, False, False]).reshape(2, 1, 1, 4)
    assert mt.per_image("mae", p, t, valid).tolist() == [0.0, 4.0]
    assert mt.pooled("mae", p, t, valid) == pytest.approx(4 / 5)


def test_pooled_silog_removes_one_scale_and_pooled_scale_invariant_one_per_image():
    t = torch.ones(2, 1, 1, 2)
    p = torch.tensor([2.0, 0.5]).reshape(2, 1, 1, 1) * t  # each image perfect up to its own scale
    assert mt.per_image("silog", p, t, everywhere(t)).tolist() == pytest.approx([0, 0], abs=1e-3)
    assert mt.pooled("scale_invariant", p, t, everywhere(t)) == pytest.approx(0, abs=1e-6)
    assert mt.pooled("silog", p, t, everywhere(t)) == pytest.approx(100 * math.log(2), rel=1e-6)


def test_an_image_without_valid_pixels_is_nan_and_does_not_spoil_the_pool():
    t, p = torch.ones(2, 1, 2, 2), 2 * torch.ones(2, 1, 2, 2)
    valid = torch.zeros(2, 1, 2, 2, dtype=torch.bool)
    valid[1] = True
    for name in mt.METRICS:
        first, second = mt.per_image(name, p, t, valid).tolist()
        assert math.isnan(first)
        assert not math.isnan(second)
        assert mt.pooled(name, p, t, valid) == pytest.approx(second, abs=1e-6)
    assert math.isnan(mt.pooled("rmse", p, t, torch.zeros_like(valid)))


# --- masks and bad input


def test_garbage_outside_the_mask_changes_nothing(generator):
    t = 1 + torch.rand(3, 1, 6, 7, generator=generator)
    p = t * (0.8 + 0.4 * torch.rand(3, 1, 6, 7, generator=generator))
    valid = torch.rand(3, 1, 6, 7, generator=generator) < 0.5
    clean = mt.compute(p, t, valid)
    for garbage in (NAN, math.inf, -5.0, 0.0, 1e30):
        dirty = mt.compute(torch.where(valid, p, garbage), torch.where(valid, t, garbage), valid)
        for name in clean:
            assert torch.equal(clean[name], dirty[name]), (name, garbage)


@pytest.mark.parametrize(
    ("bad", "count"), [(0.0, "1 of 4"), (-1.0, "1 of 4"), (NAN, "NaN 1"), (math.inf, "inf")]
)
def test_predictions_without_a_logarithm_are_refused(bad, count):
    t, p = torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
    p[0, 0, 1, 1] = bad
    with pytest.raises(ValueError, match=rf"(?s){count}.*clamp") as error:
        mt.compute(p, t, everywhere(t))
    assert "prediction" in str(error.value)
    with pytest.raises(ValueError, match=r"target.*0 means missing"):
        mt.compute(t, p, everywhere(t))


def test_unknown_names_and_shapes_are_refused():
    t = torch.ones(2, 1, 2, 2)
    with pytest.raises(ValueError, match=r"no metric named abs_real.*abs_rel"):
        mt.compute(t, t, everywhere(t), ["abs_real"])
    with pytest.raises(Exception, match=r"(?s)target"):
        mt.compute(t, t[:, 0], everywhere(t))


def test_half_precision_predictions_are_compared_in_full(generator):
    t = 1 + torch.rand(1, 1, 20, 20, generator=generator)
    p = (1.1 * t).half()
    assert mt.per_image("rmse", p, t, everywhere(t)).item() == pytest.approx(
        score("rmse", p.float(), t), abs=1e-7
    )


def test_gradients_are_not_carried_along():
    t = torch.ones(1, 1, 2, 2)
    p = torch.full((1, 1, 2, 2), 2.0, requires_grad=True)
    assert not mt.per_image("delta1", p, t, everywhere(t)).requires_grad
    assert mt.METRICS["delta1"].terms(p, t)[0].shape == t.shape


def test_streaming_equals_all_at_once(generator):
    t = 1 + torch.rand(5, 1, 4, 4, generator=generator)
    p = t * (0.5 + torch.rand(5, 1, 4, 4, generator=generator))
    valid = torch.rand(5, 1, 4, 4, generator=generator) < 0.7
    tally = mt.Tally()
    for i in range(5):
        tally.add(*mt.valid_pixels(valid[i], p[i], t[i]))
    for name, expected in mt.compute(p, t, valid).items():
        assert torch.equal(tally.per_image(name), expected)
        assert tally.pooled(name) == mt.pooled(name, p, t, valid)
    assert tally.counts == valid.sum(dim=(1, 2, 3)).tolist()


def test_pooled_equals_the_definition_over_concatenated_pixels(generator):
    t = 1 + torch.rand(3, 1, 5, 5, generator=generator, dtype=torch.float64)
    p = t * (0.5 + torch.rand(3, 1, 5, 5, generator=generator, dtype=torch.float64))
    valid = torch.rand(3, 1, 5, 5, generator=generator) < 0.6
    assert mt.pooled("rmse", p, t, valid) == pytest.approx((p - t)[valid].square().mean().sqrt().item())
    d = (p / t).log()[valid]
    assert mt.pooled("silog", p, t, valid) == pytest.approx(100 * d.std(correction=0).item())


# --- the median


@pytest.mark.parametrize("kind", ["uniform", "ties", "sorted", "spikes"])
@pytest.mark.parametrize("count", [1, 2, 7, 9_999, 10_000, 10_001, 50_000, 250_001])
def test_median_is_numpys(count, kind):
    rng = np.random.default_rng(count)
    values = rng.uniform(1, 80, count).astype(np.float32)
    if kind == "ties":
        values = np.round(values / 8)
    if kind == "sorted":
        values = np.sort(values)
    if kind == "spikes":  # every 24th value lies: the bracket must notice that it missed
        values[::24] = 1000.0
    assert mt.median(torch.from_numpy(values)) == pytest.approx(float(np.median(values)), rel=1e-7)


def test_median_of_nothing_and_of_a_constant():
    assert math.isnan(mt.median(torch.tensor([])))
    assert mt.median(torch.full((20_001,), 3.0)) == 3.0


# --- edges


def test_edge_scores_reproduce_the_published_numbers():
    """With the released code's zero padding, every "edge" at threshold 1 lies on the border ring."""
    y, x = torch.meshgrid(torch.arange(228).double(), torch.arange(304).double(), indexing="ij")
    d = (3 + torch.sin(0.05 * x) + 0.5 * torch.cos(0.07 * y))[None, None]
    g = 1.1 * d + 0.2 * torch.sin(0.1 * x + 0.03 * y)
    for threshold, expected in {
        0.25: (0.8951991, 0.9435078, 0.9187188),
        0.5: (0.0754019, 1.0, 0.1402302),
        1.0: (1.0, 1.0, 1.0),
    }.items():
        scores = mt.edge_scores(g, d, everywhere(d), threshold, border=True)
        assert [s.item() for s in scores] == pytest.approx(expected, abs=1e-7)
    precision, recall, f1 = mt.edge_scores(g, d, everywhere(d), 1.0)  # without the ring: no edge at all
    assert all(math.isnan(s.item()) for s in (precision, recall, f1))
    precision, recall, f1 = mt.edge_scores(g, d, everywhere(d), 0.5)
    assert precision.item() == 0.0  # some are predicted, none is true
    assert math.isnan(recall.item())
    assert f1.item() == 0.0


def test_a_plane_does_not_bend_however_steep_it_is():
    v, u = torch.meshgrid(torch.arange(12).double(), torch.arange(16).double(), indexing="ij")
    plane = (1 / (0.1 + 0.03 * v + 0.02 * u))[None, None]
    assert mt.edge_scores(plane, plane, everywhere(plane), 1.0)[1].item() == 1  # steep enough to be edges
    assert mt.bend_scores(plane, plane, everywhere(plane), 1e-9)[3].item() == 0


@pytest.mark.parametrize(
    ("ratio", "near", "far"), [(1.12, True, True), (1.105, False, True), (1.09, False, False)]
)
def test_a_step_bends_by_its_ratio_on_either_side(ratio, near, far):
    """1 - 1/r on the near side, r - 1 on the far one, against 0.1."""
    step = torch.where(torch.arange(8) < 4, 1.0, ratio).expand(1, 1, 6, 8).double()
    share = mt.bend_scores(step, step, everywhere(step))[3].item()
    assert share == (near + far) / 6  # of the six inner columns


def test_bends_by_hand():
    """Truth bends in columns 3 and 4, the prediction in 4 and 5: one of two, in each of four inner rows."""
    target = torch.where(torch.arange(8) < 4, 1.0, 2.0).expand(1, 1, 6, 8)
    prediction = torch.where(torch.arange(8) < 5, 1.0, 2.0).expand(1, 1, 6, 8)
    found = [s.item() for s in mt.bend_scores(prediction, target, everywhere(target))]
    assert found == pytest.approx([0.5, 0.5, 0.5, 2 / 6])
    assert [s.item() for s in mt.bend_scores(7 * prediction, target, everywhere(target))] == found
    holed = everywhere(target).clone()
    holed[..., 2, 4] = False  # takes its 3 x 3 neighbourhood out: columns 3, 4 and 5 of rows 1 to 3
    dirty = prediction.clone()
    dirty[..., 2, 4] = -99.0
    found = [s.item() for s in mt.bend_scores(dirty, target, holed)]
    assert found == pytest.approx([0.5, 0.5, 0.5, 2 / 15])
    flat = torch.ones_like(target)
    precision, recall, f1, _ = mt.bend_scores(flat, target, everywhere(target))
    assert math.isnan(precision.item())
    assert recall.item() == f1.item() == 0


def test_edge_scores_by_hand():
    """A step answers in the two columns beside it; predicted one column further right, half coincides."""
    columns = torch.arange(10)
    target = torch.where(columns < 4, 1.0, 2.0).expand(1, 1, 6, 10)
    prediction = torch.where(columns < 5, 1.0, 2.0).expand(1, 1, 6, 10)
    assert [s.item() for s in mt.edge_scores(prediction, target, everywhere(target))] == [0.5, 0.5, 0.5]
    far = torch.where(columns < 8, 1.0, 2.0).expand(1, 1, 6, 10)
    assert [s.item() for s in mt.edge_scores(far, target, everywhere(target))] == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("threshold", "expected"), [(0.25, (1 / 3, 1 / 2, 2 / 5)), (0.5, (1 / 2, 1 / 2, 1 / 2))]
)
def test_edges_counted_by_hand_as_in_the_book(threshold: float, expected: tuple[float, float, float]):
    """The example of the metrics chapter. Rows are alike, so Sobel answers 4 (right neighbour - left one).

    Truth: 0 4 4 0 0 0, edges in the 2nd and 3rd column. Prediction: 0 0 4 4 0 0.4, edges in the 3rd, the 4th
    and, above 0.25 only, the 6th. One is common.
    """
    truth = torch.tensor([1.0, 1, 1, 2, 2, 2, 2, 2]).expand(1, 1, 3, 8)
    prediction = torch.tensor([1.0, 1, 1, 1, 2, 2, 2, 2.1]).expand(1, 1, 3, 8)
    scores = mt.edge_scores(prediction, truth, everywhere(truth), threshold)
    assert [s.item() for s in scores] == pytest.approx(expected, abs=1e-12)


def test_missing_depth_is_no_edge():
    target = torch.full((1, 1, 9, 9), 3.0)
    valid = everywhere(target)
    target[..., 4, 4], valid[..., 4, 4] = 0.0, False
    assert all(math.isnan(s.item()) for s in mt.edge_scores(target, target, valid))
    dirty = torch.where(valid, target, NAN)
    assert all(math.isnan(s.item()) for s in mt.edge_scores(dirty, target, valid))


@pytest.mark.gpu
def test_metrics_agree_between_devices(generator):
    t = 1 + torch.rand(3, 1, 64, 64, generator=generator)
    p = t * (0.8 + 0.4 * torch.rand(3, 1, 64, 64, generator=generator))
    valid = torch.rand(3, 1, 64, 64, generator=generator) < 0.6
    here, there = mt.compute(p, t, valid), mt.compute(p.cuda(), t.cuda(), valid.cuda())
    for name in here:
        torch.testing.assert_close(here[name], there[name], rtol=1e-5, atol=1e-6)
    values = torch.rand(30_000, generator=generator)
    assert mt.median(values) == pytest.approx(mt.median(values.cuda()), rel=1e-7)
    assert mt.median(values[1:]) == pytest.approx(mt.median(values[1:].cuda()), rel=1e-7)
