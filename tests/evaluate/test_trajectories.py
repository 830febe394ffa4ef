"""Paths of cameras: which way motions point, the error of snippets as released and as a root mean square, the
error and the drift of whole paths, against paths whose errors are known.
"""

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from mdepth.datasets import kitti
from mdepth.evaluate import trajectories as tr
from mdepth.geometry import rotation_from_axis_angle, transform_from_axis_angle, transform_points

CAMERAS = {"06": 1101, "09": 1591, "10": 1201}


def motions(*numbers: tuple[float, ...]) -> torch.Tensor:
    """Rigid motions from (axis angle, translation), six numbers each."""
    values = torch.tensor(numbers, dtype=torch.float64)
    return transform_from_axis_angle(values[:, :3], values[:, 3:])


def wandering(count: int, generator: torch.Generator) -> torch.Tensor:
    """A path that turns in all directions, in a world of its own."""
    random = torch.randn(count, 6, generator=generator, dtype=torch.float64)
    steps = transform_from_axis_angle(0.2 * random[:, :3], 0.3 * random[:, 3:] + torch.tensor([0, 0, 1.0]))
    poses = [motions((0.3, -1.0, 0.5, 7.0, -3.0, 11.0))[0]]
    for step in steps[1:]:
        poses.append(poses[-1] @ step)
    return torch.stack(poses)


def at(positions: torch.Tensor) -> torch.Tensor:
    """Cameras at these positions that all look the same way."""
    poses = tr.standing(len(positions))
    poses[:, :3, 3] = positions
    return poses


def real_path(folder: Path, sequence: str) -> torch.Tensor:
    """The true poses of a sequence of KITTI."""
    return torch.from_numpy(kitti.read_poses(folder / f"kitti/odometry_gt_poses/{sequence}.txt"))


# --- motions and poses


def test_a_motion_takes_points_of_a_camera_into_the_next() -> None:
    """A wall 10 m ahead is 7 m ahead after a step of 3; after a turn to the right it lies to the left."""
    wall = torch.tensor([0.0, 0.0, 10.0], dtype=torch.float64).reshape(1, 3, 1)
    assert transform_points(tr.straight_ahead(1, 3.0), wall).flatten().tolist() == [0, 0, 7]
    quarter = torch.tensor([[0.0, math.pi / 2, 0.0]], dtype=torch.float64)  # about y, which points down
    poses = at(torch.zeros(2, 3, dtype=torch.float64))
    poses[1, :3, :3] = rotation_from_axis_angle(quarter)[0]
    assert transform_points(poses[1:], wall)[0, 0].item() == pytest.approx(
        10
    )  # its ahead is the first's right
    seen = transform_points(tr.relative_poses(poses), wall).flatten()
    assert seen.tolist() == pytest.approx([-10, 0, 0], abs=1e-12)


def test_a_square_drive_by_hand() -> None:
    """Four times two metres ahead and a quarter to the right: back at the start, and facing ahead again."""
    step = transform_from_axis_angle(
        torch.tensor([[0.0, math.pi / 2, 0.0]], dtype=torch.float64),
        torch.tensor([[0.0, 0.0, 2.0]], dtype=torch.float64),
    )  # T_this_next
    poses = tr.chain(torch.linalg.inv(step).repeat(4, 1, 1))
    expected = torch.tensor([[0.0, 0, 0], [0, 0, 2], [2, 0, 2], [2, 0, 0], [0, 0, 0]])
    torch.testing.assert_close(poses[:, :3, 3], expected.double())
    torch.testing.assert_close(poses[4], poses[0])


def test_motions_and_poses_undo_each_other(generator: torch.Generator) -> None:
    poses = wandering(40, generator)
    relative = tr.relative_poses(poses)
    torch.testing.assert_close(relative[7], torch.linalg.inv(poses[8]) @ poses[7])
    torch.testing.assert_close(poses[:1] @ tr.chain(relative), poses)
    torch.testing.assert_close(tr.relative_poses(tr.chain(relative)), relative)
    assert tr.chain(relative[:0]).tolist() == torch.eye(4)[None].tolist()
    assert tr.chain(relative.float()).dtype == torch.float64


# --- snippets


def one_by_one(predicted: np.ndarray, poses: np.ndarray, length: int, rule: str) -> list[float]:
    """Snippet by snippet, from the description of the released evaluation."""
    true = [np.linalg.inv(np.linalg.inv(poses[i - 1]) @ poses[i]) for i in range(1, len(poses))]
    errors = []
    for start in range(len(true)):
        places = []
        for steps in (predicted[start : start + length - 1], true[start : start + length - 1]):
            place = [np.eye(4)]
            for step in steps:
                place.append(place[-1] @ (step if rule == "released" else np.linalg.inv(step)))
            places.append(np.stack(place)[:, :3, 3])
        p, g = places
        rest = ((p * (g * p).sum() / (p**2).sum() - g) ** 2).sum()
        errors.append(np.sqrt(rest) / len(g) if rule == "released" else np.sqrt(rest / len(g)))
    return errors


@pytest.mark.parametrize("rule", ["released", "rmse"])
@pytest.mark.parametrize(("length", "count"), [(5, 12), (3, 12), (2, 12), (5, 4), (5, 2), (9, 3)])
def test_snippets_one_by_one(rule: str, length: int, count: int, generator: torch.Generator) -> None:
    poses, other = wandering(count + 1, generator), wandering(count + 1, generator)
    predicted = tr.relative_poses(other)
    found = tr.snippet_errors(predicted, poses, length, rule)
    expected = one_by_one(predicted.numpy(), poses.numpy(), length, rule)
    assert found.errors == pytest.approx(expected, rel=1e-9)
    assert (len(found.errors), len(found.scales)) == (count, count)
    assert (found.mean, found.std) == pytest.approx((np.mean(expected), np.std(expected)))
    whole = max(0, count - length + 2)
    if whole:
        assert (
            tr.snippet_errors(predicted, poses, length, rule, full_only=True).errors == found.errors[:whole]
        )


def test_snippets_by_hand() -> None:
    """Truth steps 1, 1, 1, 3 m, prediction 2 m each: g = 0 1 2 3 6, p = 0 2 4 6 8; s = 76 / 120."""
    true = tr.chain(torch.cat([tr.straight_ahead(3), tr.straight_ahead(1, 3.0)]))
    s = (1 * 2 + 2 * 4 + 3 * 6 + 6 * 8) / (4 + 16 + 36 + 64)
    rest = sum((s * p - g) ** 2 for p, g in zip((2, 4, 6, 8), (1, 2, 3, 6), strict=True))
    released = tr.snippet_errors(tr.straight_ahead(4, 2.0), true)
    assert released.errors[0] == pytest.approx(math.sqrt(rest) / 5)
    assert released.scales == pytest.approx([s, (2 + 8 + 30) / 56, (2 + 16) / 20, 1.5])
    assert released.errors[3] == pytest.approx(0, abs=1e-12)  # one step always fits
    rmse = tr.snippet_errors(tr.straight_ahead(4, 2.0), true, rule="rmse")
    assert rmse.errors[0] == pytest.approx(math.sqrt(rest / 5))
    assert tr.snippet_errors(tr.straight_ahead(4), true, full_only=True).errors == pytest.approx(
        released.errors[:1]
    )


def test_on_a_straight_road_the_rules_differ_by_the_root_of_the_frames(generator: torch.Generator) -> None:
    steps = tr.straight_ahead(30)
    steps[:, 2, 3] *= 1 + torch.rand(30, generator=generator)
    released, rmse = (
        tr.snippet_errors(tr.straight_ahead(30), tr.chain(steps), rule=rule, full_only=True)
        for rule in ("released", "rmse")
    )
    assert rmse.mean / released.mean == pytest.approx(math.sqrt(5))
    assert rmse.scales == pytest.approx(released.scales)


def test_in_a_curve_the_released_rule_measures_another_path() -> None:
    """One turn to the right and a step, twice, against straight ahead: where the product of the motions and
    that of their inverses place the third camera.
    """
    a = 0.1
    step = motions((0, a, 0, 0, 0, 1.0))  # T_this_next: a step ahead, then turned
    true = tr.chain(torch.linalg.inv(step).repeat(2, 1, 1))
    assert true[2, :3, 3].tolist() == pytest.approx([math.sin(a), 0, 1 + math.cos(a)])
    errors = {}
    for rule, g in (
        ("rmse", np.array([[0.0, 1.0], [math.sin(a), 1 + math.cos(a)]])),
        ("released", np.array([[math.sin(a), -math.cos(a)], [math.sin(a) + math.sin(2 * a),
                                                           -math.cos(a) - math.cos(2 * a)]])),
    ):  # fmt: skip
        p = np.array([[0.0, 1.0], [0.0, 2.0]]) * (1 if rule == "rmse" else -1)
        rest = ((g - p * (g * p).sum() / (p**2).sum()) ** 2).sum()
        errors[rule] = math.sqrt(rest / 3) if rule == "rmse" else math.sqrt(rest) / 3
        found = tr.snippet_errors(tr.straight_ahead(2), true, rule=rule)
        assert found.errors[0] == pytest.approx(errors[rule])
    assert errors["released"] > 1.5 * errors["rmse"] / math.sqrt(3)


def test_a_snippet_forgives_speed_and_sign(generator: torch.Generator) -> None:
    poses = wandering(9, generator)
    relative = tr.relative_poses(poses)
    far = relative.clone()
    far[:, :3, 3] *= -0.02
    for rule in ("released", "rmse"):
        found = tr.snippet_errors(far, poses, rule=rule)
        assert found.errors == pytest.approx([0.0] * 8, abs=1e-9)
        assert found.scales == pytest.approx([-50.0] * 8)
        assert tr.snippet_errors(relative, poses, rule=rule).mean == pytest.approx(0, abs=1e-12)


def test_standing_still_on_either_side() -> None:
    true = tr.chain(tr.straight_ahead(4))
    found = tr.snippet_errors(tr.standing(4), true, rule="rmse")
    assert found.scales == [0.0] * 4
    assert found.errors == pytest.approx(
        [math.sqrt(30 / 5), math.sqrt(14 / 4), math.sqrt(5 / 3), math.sqrt(0.5)]
    )
    parked = tr.snippet_errors(tr.straight_ahead(4), tr.chain(tr.standing(4)))
    assert (parked.mean, parked.std) == (0, 0)


def test_bad_requests_are_refused() -> None:
    true = tr.chain(tr.straight_ahead(4))
    with pytest.raises(ValueError, match="5 motions need one pose more, got 5 poses"):
        tr.snippet_errors(tr.straight_ahead(5), true)
    with pytest.raises(ValueError, match="length at least 2, got 'rmse', 1"):
        tr.snippet_errors(tr.straight_ahead(4), true, 1, "rmse")
    with pytest.raises(ValueError, match="0 motions hold no snippet"):
        tr.snippet_errors(tr.standing(0), true[:1])
    with pytest.raises(ValueError, match="4 motions hold no snippet of 6 frames"):
        tr.snippet_errors(tr.standing(4), true, 6, full_only=True)
    with pytest.raises(ValueError, match="no motion"):
        tr.mean_motion(tr.standing(0), 3)


# --- whole paths


def known_similarity() -> tuple[float, torch.Tensor, torch.Tensor]:
    R = rotation_from_axis_angle(torch.tensor([[0.4, -1.1, 2.0]], dtype=torch.float64))[0]
    return 2.5, R, torch.tensor([1.0, -2.0, 30.0], dtype=torch.float64)


def test_a_similarity_is_found_again(generator: torch.Generator) -> None:
    scale, R, t = known_similarity()
    points = torch.randn(20, 3, generator=generator, dtype=torch.float64)
    found = tr.similarity(points, scale * points @ R.T + t)
    assert found[0] == pytest.approx(scale)
    torch.testing.assert_close(found[1], R)
    torch.testing.assert_close(found[2], t)


@pytest.mark.parametrize("flat", [False, True])
def test_a_mirrored_path_fits_only_where_it_is_flat(flat: bool, generator: torch.Generator) -> None:
    points = torch.randn(30, 3, generator=generator, dtype=torch.float64)
    if flat:
        points[:, 1] = 0
    mirrored = points * torch.tensor([-1.0, 1.0, 1.0])
    scale, R, t = tr.similarity(points, mirrored)
    assert R.det().item() == pytest.approx(1)
    rest = (scale * points @ R.T + t - mirrored).square().sum(dim=1).mean().sqrt().item()
    assert (rest < 1e-12) is flat
    assert flat or rest > 0.3


def test_no_similarity_near_the_found_one_is_better(generator: torch.Generator) -> None:
    a, b = (torch.randn(12, 3, generator=generator, dtype=torch.float64) for _ in range(2))

    def rest(scale: float, R: torch.Tensor, t: torch.Tensor) -> float:
        return (scale * a @ R.T + t - b).square().sum().item()

    scale, R, t = tr.similarity(a, b)
    for _ in range(50):
        small = 0.05 * torch.randn(7, generator=generator, dtype=torch.float64)
        turned = rotation_from_axis_angle(small[None, :3])[0] @ R
        assert rest(scale + small[6].item(), turned, t + small[3:6]) >= rest(scale, R, t)


def test_degenerate_paths_align() -> None:
    """A line on another one, a bent path on a line, and paths that stay where they are."""
    along = torch.arange(5.0, dtype=torch.float64)[:, None]
    line = along * torch.tensor([1.0, 2.0, 2.0])
    other = 4 - 3 * along * torch.tensor([0.0, 0.6, -0.8])
    assert tr.absolute_trajectory_error(at(line), at(other), "similarity") == pytest.approx(0, abs=1e-9)
    assert tr.similarity(line, other)[0] == pytest.approx(1.0)
    bent = torch.cat([along, (along - 2) ** 2, torch.zeros(5, 1)], dim=1)  # parabola: its chord is the line
    expected = math.sqrt(2 - 2**2 / (2 + 2.8))  # of the line's variance 2, the part that the fit explains
    assert tr.absolute_trajectory_error(at(bent), at(along * torch.eye(3)[0]), "similarity") == pytest.approx(
        expected
    )
    still = torch.ones(5, 3, dtype=torch.float64)
    assert tr.similarity(still, line)[0] == tr.similarity(line, still)[0] == 0
    assert tr.absolute_trajectory_error(at(still), at(line), "similarity") == pytest.approx(3 * math.sqrt(2))
    assert tr.absolute_trajectory_error(at(still), at(line), "scale") == pytest.approx(3 * math.sqrt(6))
    assert tr.absolute_trajectory_error(at(line), at(still), "similarity") == pytest.approx(0, abs=1e-12)


def test_what_each_alignment_forgives(generator: torch.Generator) -> None:
    true = wandering(25, generator)
    scale, R, t = known_similarity()
    elsewhere, larger, turned = (true.clone() for _ in range(3))
    elsewhere = motions((0.1, 0.2, 0.3, 4.0, 5.0, 6.0)) @ true
    larger[:, :3, 3] = scale * true[:, :3, 3]
    turned[:, :3, 3] = scale * true[:, :3, 3] @ R.T + t  # the path, but the cameras still look as before
    expected = {"none": (0, 1, 1), "scale": (0, 0, 1), "similarity": (0, 0, 0)}
    for alignment, wrong in expected.items():
        found = [tr.absolute_trajectory_error(path, true, alignment) for path in (elsewhere, larger, turned)]
        assert [error > 1e-6 for error in found] == [bool(one) for one in wrong], alignment
        aligned = tr.align_path(elsewhere, true, alignment)
        torch.testing.assert_close(aligned, true)
    spread = true[:, :3, 3] - true[0, :3, 3]
    apart = (scale - 1) * spread.square().sum(dim=1).mean().sqrt().item()
    assert tr.absolute_trajectory_error(larger, true) == pytest.approx(apart)


# --- drift


def test_drift_of_a_wrong_speed() -> None:
    """A metre a frame: a piece of 100 m ends when the path is longer, at 101 m; 2 % too fast."""
    true, fast = tr.chain(tr.straight_ahead(450)), tr.chain(tr.straight_ahead(450, 1.02))
    found = tr.drift(fast, true)
    pieces = {length: len(range(0, 450 - length, 10)) for length in (100, 200, 300, 400)}
    assert found.segments == sum(pieces.values()) == 35 + 25 + 15 + 5
    expected = sum(count * 2 * (length + 1) / length for length, count in pieces.items()) / found.segments
    assert found.translation == pytest.approx(expected)
    assert found.rotation == pytest.approx(0, abs=1e-9)
    assert tr.drift(tr.align_path(fast, true, "scale"), true).translation == pytest.approx(0, abs=1e-9)


def test_drift_of_a_steady_turn() -> None:
    """0.01 degrees a metre too much: straight in truth, an arc in the prediction."""
    a = math.radians(0.01)
    true = tr.chain(tr.straight_ahead(300))
    arc = tr.chain(torch.linalg.inv(motions((0, a, 0, 0, 0, 1.0))).repeat(300, 1, 1))
    found = tr.drift(arc, true, [100.0], step=1)
    assert found.segments == 200
    assert found.rotation == pytest.approx(0.01 * 101 / 100)
    turns = torch.arange(101, dtype=torch.float64) * a
    end = torch.stack([turns.sin().sum(), turns.cos().sum()])  # x and z after 101 steps
    away = math.hypot(end[0].item(), end[1].item() - 101)
    assert found.translation == pytest.approx(away)  # E is the truth seen from the wrong end: as far away
    elsewhere = tr.drift(motions((0.3, 0.2, 0.1, 9, 9, 9)) @ arc, true, [100.0], step=1)
    assert (elsewhere.translation, elsewhere.rotation) == pytest.approx((found.translation, found.rotation))


def test_a_short_path_has_no_drift() -> None:
    found = tr.drift(tr.standing(20), tr.chain(tr.straight_ahead(19)))
    assert found.segments == 0
    assert math.isnan(found.translation)
    assert math.isnan(found.rotation)


# --- motions that never look at the images


def test_the_mean_motion_is_one(generator: torch.Generator) -> None:
    turned = motions((0, 0.2, 0, 0, 0, -1.0), (0, 0.4, 0, 0.5, 0, -3.0))
    mean = tr.mean_motion(turned, 4)
    torch.testing.assert_close(mean, motions(*[(0, 0.3, 0, 0.25, 0, -2.0)] * 4))
    several = tr.relative_poses(wandering(60, generator))
    R = tr.mean_motion(several, 1)[0, :3, :3]
    torch.testing.assert_close(R @ R.T, torch.eye(3, dtype=torch.float64))
    assert R.det().item() == pytest.approx(1)


# --- real paths


@pytest.mark.realdata
@pytest.mark.parametrize("sequence", ["09", "10"])
def test_snippets_of_the_real_sequences(sequence: str, real_data: Path) -> None:
    poses = real_path(real_data, sequence)
    relative = tr.relative_poses(poses)
    assert len(poses) == CAMERAS[sequence]
    for rule in ("released", "rmse"):
        found = tr.snippet_errors(relative, poses, rule=rule)
        assert len(found.errors) == {"09": 1590, "10": 1200}[sequence]
        assert found.mean == pytest.approx(0, abs=1e-9)
        assert len(tr.snippet_errors(relative, poses, rule=rule, full_only=True).errors) == len(relative) - 3
    few, ahead = poses[:61], tr.straight_ahead(60)
    expected = one_by_one(ahead.numpy(), few.numpy(), 5, "released")
    assert tr.snippet_errors(ahead, few).errors == pytest.approx(expected, rel=1e-4)  # rotations of 7 digits


#: Mean and standard deviation of what looks at no image, as released and as RMSE, in metres.
BLIND = {
    "06": {"standing": (1.2264, 0.3198, 2.7416, 0.7167), "straight": (0.0282, 0.0077, 0.0837, 0.0625)},
    "09": {"standing": (1.1744, 0.2865, 2.6257, 0.6418), "straight": (0.0294, 0.0132, 0.0936, 0.0499),
           "mean": (0.0188, 0.0141, 0.0830, 0.0668)},
    "10": {"standing": (0.8391, 0.3665, 1.8763, 0.8196), "straight": (0.0231, 0.0123, 0.0679, 0.0497),
           "mean": (0.0168, 0.0117, 0.0583, 0.0586)},
}  # fmt: skip


@pytest.mark.realdata
@pytest.mark.parametrize("sequence", BLIND)
def test_how_well_one_drives_blind(sequence: str, real_data: Path) -> None:
    """The mean motion is that of sequence 06."""
    poses = real_path(real_data, sequence)
    count = len(poses) - 1
    answers = {
        "standing": tr.standing(count),
        "straight": tr.straight_ahead(count),
        "mean": tr.mean_motion(tr.relative_poses(real_path(real_data, "06")), count),
    }
    for name, expected in BLIND[sequence].items():
        released, rmse = (tr.snippet_errors(answers[name], poses, rule=rule) for rule in ("released", "rmse"))
        assert (released.mean, released.std, rmse.mean, rmse.std) == pytest.approx(expected, abs=1e-4), name
    assert tr.drift(tr.align_path(tr.chain(answers["mean"]), poses, "similarity"), poses).translation > 40


@pytest.mark.realdata
def test_noise_on_a_real_path_grows_with_the_noise(real_data: Path, generator: torch.Generator) -> None:
    poses = real_path(real_data, "09")
    relative = tr.relative_poses(poses)
    noise = torch.randn(len(relative), 6, generator=generator, dtype=torch.float64)
    errors = []
    for size in (0.0, 0.01, 0.02, 0.04):
        shaken = transform_from_axis_angle(0.05 * size * noise[:, :3], size * noise[:, 3:]) @ relative
        path = tr.chain(shaken)
        errors.append(
            (
                tr.snippet_errors(shaken, poses).mean,
                tr.snippet_errors(shaken, poses, rule="rmse").mean,
                tr.absolute_trajectory_error(path, poses, "similarity"),
                tr.drift(path, poses).translation,
            )
        )
    assert errors[0] == pytest.approx((0, 0, 0, 0), abs=0.01)  # the files have seven digits
    for less, more in pairwise(errors):
        assert all(a < b for a, b in zip(less, more, strict=True))
    assert errors[2][0] / errors[1][0] == pytest.approx(2, rel=0.01)
