"""The known bugs of evaluating depth learnt without labels: each is wrong as its docstring says."""

import dataclasses
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from mdepth_bugs.monodepth2_evaluation import (
    answer_as_depth,
    called_metric,
    confused_pixels,
    delta_by_ratios,
    mirrored_blend,
    one_median_for_all,
    resized_as_depth,
    sigmoid_as_inverse_depth,
    split_by_row,
    sq_rel_by_square,
    stereo_aligned,
    told_apart,
)

from mdepth.datasets import kitti
from mdepth.datasets.kitti.calibration import Calibration
from mdepth.evaluate import PROTOCOLS, score_predictions
from mdepth.evaluate.protocols import CROPS, blend_flips
from mdepth.geometry import sigmoid_to_inverse_depth
from mdepth.image import resize
from mdepth.metrics import compute, median, per_image
from mdepth.models.monodepth2 import RESNET18, Monodepth2


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def ground(height: int = 40, width: int = 60) -> torch.Tensor:
    """Depth of a road from 3 m at the bottom to 60 m."""
    rows = torch.linspace(1 / 60, 1 / 3, height)[:, None]
    return (1 / rows).expand(height, width)[None, None].clone()


def scored(depth: torch.Tensor, truth: torch.Tensor, protocol: Any) -> float:
    """AbsRel of one map under a protocol without a crop."""
    sample = {
        "image": torch.zeros(3, *truth.shape[-2:]),
        "depth": truth[0],
        "valid": truth[0] > 0,
        "id": "one",
    }
    whole = dataclasses.replace(protocol, crop=None)
    return score_predictions([depth[0]], [sample], whole, metrics=["abs_rel"]).mean["abs_rel"]


# --- from an answer to depth


def test_a_resized_depth_moves_an_edge_backwards() -> None:
    edge = torch.tensor([2.0, 50.0]).view(1, 1, 1, 2)
    wrong, right = resized_as_depth(1 / edge, (1, 3)), 1 / resize(1 / edge, (1, 3))
    assert wrong.flatten().tolist() == pytest.approx([2, 26, 50])
    assert right.flatten().tolist() == pytest.approx([2, 200 / 52, 50], rel=1e-5)
    wall = torch.full((1, 1, 3, 4), 7.0)
    assert torch.allclose(resized_as_depth(1 / wall, (9, 13)), torch.tensor(7.0))
    maps = 1 / (1 + 49 * noise(1, 1, 12, 16))
    wrong, right = resized_as_depth(maps, (37, 50)), 1 / resize(maps, (37, 50))
    assert (wrong >= right * (1 - 1e-5)).all()
    assert scored(wrong, right, PROTOCOLS["monodepth2-kitti"]) > 0.1


def test_the_offset_bends_what_is_far() -> None:
    depth = torch.tensor([0.1, 1.0, 2.0, 50.0, 99.0]).view(1, 1, 1, 5)  # units
    wrong = sigmoid_as_inverse_depth((1 / depth - 0.01) / 9.99, (1, 5))
    assert torch.allclose(wrong, 9.99 * depth / (1 - depth / 100), rtol=1e-3)
    shape = (wrong / depth / (wrong / depth)[..., 1]).flatten().tolist()
    assert shape == pytest.approx([0.991, 1, 1.010, 1.98, 99], rel=2e-3)
    assert sigmoid_as_inverse_depth(torch.zeros(1, 1, 2, 2), (2, 2)).isinf().all()


def test_a_sigmoid_may_be_resized() -> None:
    sigmoid = noise(1, 1, 12, 16)
    late = sigmoid_to_inverse_depth(resize(sigmoid, (37, 50)))
    early = resize(sigmoid_to_inverse_depth(sigmoid), (37, 50))
    assert torch.allclose(late, early, rtol=1e-5)


def test_an_answer_is_no_depth() -> None:
    truth = ground()
    sigmoid = (1 / truth - 0.01) / 9.99
    wrong, right = answer_as_depth(sigmoid), 1 / sigmoid_to_inverse_depth(sigmoid)
    assert (right[0, 0].diff(dim=0) < 0).all()  # nearer and nearer towards the bottom
    assert (wrong[0, 0].diff(dim=0) > 0).all()
    assert torch.corrcoef(torch.stack([wrong.flatten(), truth.flatten()]))[0, 1] < -0.6
    assert scored(right, truth, PROTOCOLS["monodepth2-kitti"]) < 1e-4
    assert scored(wrong, truth, PROTOCOLS["monodepth2-kitti"]) > 0.5


def test_a_mirrored_blend_takes_both_strips_from_the_wrong_pass() -> None:
    straight, mirrored = torch.full((1, 1, 1, 41), 1.0), torch.full((1, 1, 1, 41), 2.0)
    right = blend_flips(straight, mirrored).flatten().tolist()
    wrong = mirrored_blend(straight, mirrored).flatten().tolist()
    assert right[:5] + right[-5:] == pytest.approx([2, 2, 2, 1.75, 1.5, 1.5, 1.25, 1, 1, 1])
    assert wrong[:5] + wrong[-5:] == pytest.approx([1, 1, 1, 1.25, 1.5, 1.5, 1.75, 2, 2, 2])
    assert wrong == pytest.approx(right[::-1])
    assert wrong[4:-4] == pytest.approx(right[4:-4])


def test_a_blend_that_helps_does_harm_when_mirrored() -> None:
    """A stereo network that is wrong by half where it sees nothing: at the left of either pass."""
    truth = noise(1, 1, 8, 200) + 1
    lost = torch.where(torch.arange(200) < 10, 1.5, 1.0)
    straight, mirrored = lost * truth, lost.flip(0) * truth
    errors = [
        ((blend(straight, mirrored) - truth) / truth).abs().mean().item()
        for blend in (blend_flips, mirrored_blend, lambda a, b: (a + b) / 2)
    ]
    assert errors == pytest.approx([0, 0.05, 0.025], abs=1e-3)


def test_a_network_from_video_is_not_metric_for_being_told_so() -> None:
    torch.manual_seed(0)
    right = Monodepth2((64, 96), partial(RESNET18, width=8), (4, 4, 8, 8, 16)).eval()
    before, image = deepcopy(right.state_dict()), noise(1, 3, 64, 96)
    expected = right.predict(image)
    wrong = called_metric(right)
    assert (right.metric, wrong.metric, wrong.depth_range) == (False, True, pytest.approx((0.54, 540)))
    assert torch.allclose(wrong.predict(image), 5.4 * expected)
    assert torch.equal(right.predict(image), expected)
    assert all(torch.equal(value, before[name]) for name, value in wrong.state_dict().items())
    truth = ground()
    depth = 5.4 * truth / 26.7  # of a network that needs a factor of 26.7
    assert scored(depth, truth, PROTOCOLS["monodepth2-kitti"]) < 1e-4
    bare = dataclasses.replace(PROTOCOLS["monodepth2-kitti-stereo"], factor=1.0)
    assert scored(depth, truth, bare) == pytest.approx(1 - 5.4 / 26.7, abs=1e-4)


# --- scores


def test_a_median_forgives_a_wrong_baseline() -> None:
    truth, right = ground(), PROTOCOLS["monodepth2-kitti-stereo"]
    units = truth / 5.4
    wrong = stereo_aligned("monodepth2-kitti-stereo")
    assert (wrong.name, right.alignment) == ("monodepth2-kitti-stereo-aligned", "none")
    for baseline in (1.0, 0.5, 1.25):
        assert scored(baseline * units, truth, wrong) < 1e-4
        assert scored(baseline * units, truth, right) == pytest.approx(abs(1 - baseline), abs=2e-2)


def test_one_median_for_all_mixes_the_scales_of_a_batch() -> None:
    truth = torch.cat([ground(), ground()])
    prediction = truth * torch.tensor([1.0, 2.0]).view(2, 1, 1, 1)
    valid = truth > 0
    aligned = one_median_for_all(prediction, truth, valid)
    factor = median(truth.flatten()) / median(prediction.flatten())
    errors = per_image("abs_rel", aligned, truth, valid).tolist()
    assert errors == pytest.approx([1 - factor, 2 * factor - 1], abs=1e-5)
    assert min(errors) > 0.2
    for image in range(2):
        alone = slice(image, image + 1)
        aligned = one_median_for_all(prediction[alone], truth[alone], valid[alone])
        assert torch.allclose(aligned, truth[alone], rtol=1e-5)


def test_a_sum_of_ratios_is_no_number_of_pixels() -> None:
    truth = ground()
    valid = truth > 5
    right: Callable[..., torch.Tensor] = partial(per_image, "delta1")
    for factor in (1.0, 1.2, 1 / 1.2):
        ratio = max(factor, 1 / factor)
        assert right(factor * truth, truth, valid).item() == 1
        assert delta_by_ratios(factor * truth, truth, valid).item() == pytest.approx(1 / ratio, rel=1e-5)
    four, ones = torch.tensor([1.0, 1.0, 1.0, 7.0]).view(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
    assert right(four, ones, ones > 0).item() == 3 / 4
    assert delta_by_ratios(four, ones, ones > 0).item() == pytest.approx(3 / 10)
    assert delta_by_ratios(four, ones, ones > 0, 8.0).item() == pytest.approx(4 / 10)


@pytest.mark.parametrize("distance", [0.5, 10.0, 80.0])
def test_two_conventions_for_sq_rel_differ_by_the_distance(distance: float) -> None:
    truth = torch.full((1, 1, 3, 4), distance)
    scores = compute(1.1 * truth, truth, truth > 0, ["sq_rel"])
    other = sq_rel_by_square(1.1 * truth, truth, truth > 0)
    assert other.item() == pytest.approx(0.01, rel=1e-4)
    assert scores["sq_rel"].item() == pytest.approx(distance * other.item(), rel=1e-5)


# --- KITTI's truth and splits


@pytest.mark.parametrize(("size", "count"), [((6, 8), 5), ((375, 1242), 374)])
def test_pixels_that_share_a_number(size: tuple[int, int], count: int) -> None:
    height, width = size
    v, u = np.mgrid[:height, :width]
    index = (v * (width - 1) + u - 1).ravel()
    order = np.argsort(index, kind="stable")
    same = np.flatnonzero(np.diff(index[order]) == 0)
    found = [tuple(divmod(int(order[i + k]), width) for k in range(2)) for i in same]
    assert found == confused_pixels(*size)
    assert len(found) == count


@pytest.fixture
def tiny() -> Calibration:
    """A camera of 6 x 8 pixels in the place of the LiDAR."""
    T = np.eye(4)
    T[:3, :3] = [[0, -1, 0], [0, 0, -1], [1, 0, 0]]
    P = np.array([[8.0, 0, 3.5, 0], [0, 8.0, 2.5, 0], [0, 0, 1, 0]])
    return Calibration({2: P, 3: P}, {2: (6, 8), 3: (6, 8)}, np.eye(4), T)


def seen_at(u: float, v: float, z: float) -> list[float]:
    """A LiDAR point that the official map puts at column u and row v of the tiny camera."""
    return [z, -(u + 1 - 3.5) / 8 * z, -(v + 1 - 2.5) / 8 * z, 0.0]


def test_the_end_of_a_row_takes_its_depth_from_the_next(tiny: Calibration) -> None:
    scan = np.array([seen_at(7, 1, 6.0), seen_at(0, 2, 3.0), seen_at(4, 4, 9.0)], dtype=np.float32)
    official, apart = kitti.velodyne_depth(scan, tiny), told_apart(scan, tiny)
    assert np.argwhere(official != apart).tolist() == [[1, 7]]
    assert (official[1, 7], apart[1, 7]) == (3, 6)
    assert (official[2, 0], apart[2, 0], apart[4, 4]) == (3, 3, 9)
    turned = scan[[1, 0, 2]]
    assert np.array_equal(
        kitti.velodyne_depth(turned, tiny), told_apart(turned, tiny)
    )  # the smaller was first


@pytest.mark.parametrize("vel_depth", [False, True])
def test_told_apart_is_the_nearest_of_every_pixel(tiny: Calibration, vel_depth: bool) -> None:
    rng, changed = np.random.default_rng(0), 0
    for _ in range(20):
        scan = (rng.normal(size=(300, 4)) * [5, 2, 2, 1]).astype(np.float32)
        image = tiny.P_velo(2) @ np.c_[scan[:, :3], np.ones(len(scan))].T
        wanted = np.full((6, 8), np.inf)
        for (u, v), z, x in zip((image[:2] / image[2]).T, image[2], scan[:, 0], strict=True):
            column, row = round(u) - 1, round(v) - 1
            if x >= 0 and 0 <= column < 8 and 0 <= row < 6:
                wanted[row, column] = min(wanted[row, column], x if vel_depth else z)
        wanted[np.isinf(wanted)] = 0
        found = told_apart(scan, tiny, vel_depth=vel_depth)
        np.testing.assert_allclose(found, wanted, rtol=1e-5)
        official = kitti.velodyne_depth(scan, tiny, vel_depth=vel_depth)
        places = {tuple(place) for place in np.argwhere(official != found).tolist()}
        assert places <= {pixel for pair in confused_pixels(6, 8) for pixel in pair}
        changed += len(places)
    assert changed > 10


@pytest.mark.realdata
def test_confused_pixels_of_a_real_drive(real_data: Any) -> None:
    calibration = kitti.read_calibration(real_data / "kitti/raw/2011_09_26")
    top, bottom, left, right = CROPS["garg"].box(375, 1242)
    counts, largest = [], []
    for path in sorted((real_data / "kitti/raw").glob("*/*/velodyne_points/data/*.bin")):
        scan = kitti.read_scan(path)
        for camera in (2, 3):
            official, apart = (
                kitti.velodyne_depth(scan, calibration, camera),
                told_apart(scan, calibration, camera),
            )
            places = np.argwhere(official != apart)
            counts.append(len(places))
            for row, column in places:
                assert column == 0
                largest.append((float(apart[row, column]), float(official[row, column])))
            cut = np.s_[top:bottom, left:right]
            assert np.array_equal(official[cut], apart[cut])
    assert sorted(counts) == [0] * 6 + [1, 1, 1, 2]
    assert (26.53, 10.08) in [tuple(round(depth, 2) for depth in pair) for pair in largest]
    assert all(apart > official for apart, official in largest)


def test_rows_drawn_by_themselves_put_validation_into_training() -> None:
    train, validation = split_by_row(range(22_117), 0.1, torch.Generator().manual_seed(0))
    assert (len(train), len(validation)) == (39_811, 4_423)
    assert not set(train) & set(validation)
    seen, frames = {frame for frame, _ in train}, {frame for frame, _ in validation}
    assert len(frames & seen) / len(frames) == pytest.approx(3950 / 4187, abs=0.01)
