"""Level A of Monodepth2: every cell against other arithmetic, and against a library that is broken."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from mdepth import geometry, image, ledger, reprojection
from mdepth.datasets import kitti
from mdepth.evaluate import protocols, trajectories
from mdepth.ledger import checks, reported
from mdepth.ledger.__main__ import main
from mdepth.ledger.checks import monodepth2 as level_a
from mdepth.ledger.compare import NONE, agreement

CELLS = {
    "conversion": 8, "photometric": 6, "motion": 24, "projection": 8, "warp": 4, "blend": 10, "loss": 41,
    "split-counts": 9, "steps": 8, "schedule": 3, "evaluation": 4, "table5": 58, "parameters": 39, "cost": 8,
}  # fmt: skip
"""How many cells of each table are computed; the last three, of the networks, have a file of tests more."""
EXPLAINED = {"motion": 6, "projection": 3, "warp": 3, "loss": 21, "table5": 1}
"""How many cells of each table differ from the released functions, and say why."""
APART = {"warp.identity.right": 1.3e-6, "loss.ms.share-3": 6e-4, "table5.pconv3.channels": 6.5}
"""How far these may be; the others 4e-7, as the explanation says."""
RATHER = 4e-7


def ours(name: str) -> float:
    """What the library computes for a cell."""
    value = checks.computed(f"monodepth2.{name}")
    assert value is not None, name
    assert not isinstance(value, str), name
    return value


def wrong(table: str) -> set[str]:
    """The cells of a table that would not come out, computed anew; one with an explanation as near as it
    says.
    """
    cells, found = reported.load("monodepth2").cells, set()
    check = checks.registered()[f"monodepth2.{table}"]
    for name, value in check.function().items():
        if cell := cells.get(f"monodepth2.{table}.{name}"):
            verdict, facts = agreement(cell, value, "A", cell.half_unit, "rounding")
            apart, allowed = abs(facts.get("difference", 1.0)), APART.get(f"{table}.{name}", RATHER)
            near = name in check.explanations and apart < allowed
            found |= {name.removesuffix(".value")} if verdict != "exact" and not near else set()
    return found


# -- What the ledger says --------------------------------------------------------------------------------


def test_every_cell_is_exact_or_explained() -> None:
    rows = [row for row in ledger.rows(["monodepth2"]) if row.level == "A" and row.verdict != "not run"]
    counted = {table: sum(row.id.split(".")[1] == table for row in rows) for table in CELLS}
    assert counted == CELLS
    assert len(rows) == sum(CELLS.values())
    assert {row.reference_level for row in rows} == {"A"}
    different = [row for row in rows if row.verdict != "exact"]
    assert {row.verdict for row in different} == {"differs (explained)"}
    assert {
        table: sum(row.id.split(".")[1] == table for row in different) for table in EXPLAINED
    } == EXPLAINED
    assert {row.why for row in rows if row not in different} == {NONE}
    assert all(len(row.why) > 60 for row in different)


@pytest.mark.parametrize("table", CELLS)
def test_what_differs_is_as_near_as_it_says(table: str) -> None:
    assert wrong(table) == set()
    said = checks.registered()[f"monodepth2.{table}"].explanations
    different = {row.id for row in ledger.rows(["monodepth2"]) if row.verdict == "differs (explained)"}
    assert {f"monodepth2.{table}.{cell}" for cell in said} == {
        name for name in different if name.split(".")[1] == table
    }


def test_no_count_waits_and_every_check_fills_a_cell() -> None:
    source = reported.load("monodepth2")
    assert not [table.id for table in source.tables.values() if table.pending]
    counts = {line.cells[column.id].id for table in source.tables.values() for column in table.columns
              for line in table.rows if column.kind == "count" and column.id in line.cells}  # fmt: skip
    assert all(checks.computed(name) is not None for name in counts)
    assert {name.split(".")[1] for name in counts} == set(CELLS)
    registered = {name for name in checks.registered() if name.startswith("monodepth2.")}
    assert registered == {f"monodepth2.{table}" for table in CELLS}


def test_what_is_second_hand_stays_marked() -> None:
    tables = reported.load("monodepth2").tables
    assert {name for name, table in tables.items() if table.status == "unverified"} == {"reruns"}
    for row in ("weights-thread-m", "thread-low-m", "lightning-ms", "paddle-ms", "benchmark-m"):
        assert reported.cell(f"monodepth2.reruns.{row}.abs_rel").origin == "quoted", row
    assert reported.cell("monodepth2.reruns.gluon-m.abs_rel").origin == "code"


def test_the_summary_counts_them(capsys: pytest.CaptureFixture) -> None:
    assert main(["--counts", "--source", "monodepth2"]) == 0
    exact = sum(CELLS.values()) - sum(EXPLAINED.values())
    told = f"{exact} exact, 0 within tolerance, {sum(EXPLAINED.values())} differs (explained)"
    assert told in capsys.readouterr().out


def test_nothing_is_drawn_from_the_generator_of_the_reader() -> None:
    before = torch.get_rng_state()
    for table in CELLS:
        checks.registered()[f"monodepth2.{table}"].function()
    assert torch.equal(torch.get_rng_state(), before)


# -- The same numbers by another way ---------------------------------------------------------------------

ROWS, COLUMNS = np.mgrid[:8, :12].astype(np.float64)


def wave(phase: float) -> np.ndarray:
    """Images A and B, (3, 8, 12)."""
    return np.stack([0.5 + 0.5 * np.sin(0.3 * COLUMNS + 0.5 * ROWS + c + phase) for c in range(3)])


def unlike(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(1 - SSIM) / 2 of two channels, window by window."""
    a, b, found = np.pad(a, 1, mode="reflect"), np.pad(b, 1, mode="reflect"), np.zeros((8, 12))
    for v, u in np.ndindex(found.shape):
        x, y = a[v : v + 3, u : u + 3].ravel(), b[v : v + 3, u : u + 3].ravel()
        top = (2 * x.mean() * y.mean() + 1e-4) * (2 * np.cov(x, y, bias=True)[0, 1] + 9e-4)
        found[v, u] = (1 - top / ((x.mean() ** 2 + y.mean() ** 2 + 1e-4) * (x.var() + y.var() + 9e-4))) / 2
    return found.clip(0, 1)


def test_terms_of_the_loss_window_by_window() -> None:
    a, b = wave(0.0), wave(0.4)
    maps = np.stack([unlike(x, y) for x, y in zip(a, b, strict=True)])
    error = 0.85 * maps.mean(0) + 0.15 * np.abs(a - b).mean(0)
    answer = 0.2 + 0.1 * np.cos(0.2 * COLUMNS + 0.35 * ROWS)
    smooth = sum(
        (
            np.abs(np.diff(answer, axis=k)) / answer.mean() * np.exp(-np.abs(np.diff(a, axis=k + 1)).mean(0))
        ).mean()
        for k in (0, 1)
    )
    expected = {
        "ssim": maps.mean(), "ssim-0-0": maps[0, 0, 0], "ssim-4-6": maps[0, 4, 6], "error": error.mean(),
        "error-4-6": error[4, 6],
    }  # fmt: skip
    for row, value in expected.items():
        assert ours(f"photometric.{row}.value") == pytest.approx(value, abs=1e-12), row
    assert ours("photometric.smoothness.value") == pytest.approx(smooth, rel=1e-6)


def test_answers_of_the_network_by_formula() -> None:
    for row, sigma in {"sigma-0": 0.0, "sigma-025": 0.25, "sigma-05": 0.5, "sigma-1": 1.0}.items():
        assert ours(f"conversion.{row}.inverse") == pytest.approx(0.01 + 9.99 * sigma)
        assert ours(f"conversion.{row}.depth") == pytest.approx(1 / (0.01 + 9.99 * sigma))


def rigid(numbers: tuple[float, ...]) -> np.ndarray:
    """A motion by SciPy's rotation."""
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = Rotation.from_rotvec(numbers[:3]).as_matrix(), numbers[3:]
    return T


def test_the_motion_by_another_library_and_why_six_cells_differ() -> None:
    T = rigid(level_a.MOTION)
    axis = np.array(level_a.MOTION[:3])
    angle = np.linalg.norm(axis)
    x, y, z = axis / (angle + 1e-7)  # shorter than 1, so that this is no rotation
    V, s, c = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]), math.sin(angle), math.cos(angle)
    released = np.eye(4)
    released[:3, :3] = c * np.eye(3) + s * V + (1 - c) * np.outer([x, y, z], [x, y, z])
    for k, (row, column) in enumerate((row, column) for row in "xyz" for column in "xyzt"):
        for name, true, short in (("forward", T, released), ("inverse", np.linalg.inv(T), released.T)):
            assert ours(f"motion.{name}-{row}.{column}") == pytest.approx(true[k // 4, k % 4], abs=1e-12)
            if column != "t":
                cell = reported.cell(f"monodepth2.motion.{name}-{row}.{column}")
                assert abs(short[k // 4, k % 4] - (cell.value or 0)) <= cell.half_unit


def places(T: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Depth, and the columns and rows of the source where the small example's pixels land."""
    depth = 1 / (0.01 + 9.99 * (0.2 + 0.1 * np.cos(0.2 * COLUMNS + 0.35 * ROWS)))
    f, g, cx, cy = 0.58 * 12, 1.92 * 8, 6.0, 4.0
    points = np.stack([(COLUMNS - cx) / f * depth, (ROWS - cy) / g * depth, depth])
    x, y, z = np.einsum("ij,jhw->ihw", T[:3, :3], points) + T[:3, 3, None, None]
    return depth, f * x / z + cx, g * y / z + cy


def bilinear(channel: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Values between pixels; outside, those of the border."""
    height, width = channel.shape
    u, v = u.clip(0, width - 1), v.clip(0, height - 1)
    left, top = np.floor(u).astype(int).clip(0, width - 2), np.floor(v).astype(int).clip(0, height - 2)
    a, b = u - left, v - top
    upper = (1 - a) * channel[top, left] + a * channel[top, left + 1]
    return (1 - b) * upper + b * ((1 - a) * channel[top + 1, left] + a * channel[top + 1, left + 1])


def test_projection_and_warp_by_other_arithmetic() -> None:
    depth, u, v = places(rigid(level_a.MOTION))
    for row, column in ((0, 0), (4, 6), (7, 11)):
        pixel = f"projection.pixel-{row}-{column}"
        assert ours(f"{pixel}.x") == pytest.approx(2 * u[row, column] / 11 - 1, abs=1e-12)
        assert ours(f"{pixel}.y") == pytest.approx(2 * v[row, column] / 7 - 1, abs=1e-12)
        assert ours(f"{pixel}.depth") == pytest.approx(depth[row, column], abs=1e-12)
    shifted = (u * 12 / 11 - 0.5, v * 8 / 7 - 0.5)
    still = (COLUMNS * 12 / 11 - 0.5, ROWS * 8 / 7 - 0.5)
    for name, at in {"right": (u, v), "wrong": shifted}.items():
        mean = np.mean([bilinear(channel, *at) for channel in wave(0.4)])
        assert ours(f"warp.mean.{name}") == pytest.approx(mean, abs=1e-12)
    error = max(np.abs(bilinear(channel, *still) - channel).max() for channel in wave(0.4))
    assert ours("warp.identity.wrong") == pytest.approx(error, abs=1e-12)
    assert ours("warp.identity.right") < 1e-14


def test_the_whole_loss_is_the_mean_of_its_scales() -> None:
    for row in level_a.CASES:
        each = [ours(f"loss.{row}.loss-{scale}") for scale in range(4)]
        assert ours(f"loss.{row}.total") == pytest.approx(sum(each) / 4, abs=1e-15), row
    assert ours("loss.m-no-automask.total") > ours("loss.m.total") > ours("loss.ms.total")


def test_the_blend_by_interpolation() -> None:
    k = np.arange(5)
    left = np.interp(k / 40, [0.05, 0.1], [2.0, 1.5])
    for name, expected in {"left": left, "right": 3 - left}.items():
        found = [ours(f"blend.column-{place}.{name}") for place in k]
        assert found == pytest.approx(expected.tolist(), abs=1e-12)


def test_lists_steps_and_schedule_by_arithmetic() -> None:
    assert ours("split-counts.zhou-rows.value") == 2 * ours("split-counts.zhou-frames.value")
    assert ours("split-counts.rule.value") == ours("split-counts.zhou-frames.value")
    for row in ("windows-09", "windows-10"):
        lines = reported.cell(f"monodepth2.splits.odom-test-{row[-2:]}.lines").value
        assert ours(f"split-counts.{row}.value") == lines
    for row, lines in {"zhou": 39_810, "full": 45_200, "odom": 36_671, "benchmark": 72_084}.items():
        steps = ours(f"steps.{row}.epoch")
        assert 12 * steps <= lines < 12 * (steps + 1)
        assert ours(f"steps.{row}.total") == 20 * steps
    rates = [0.1 ** ((epoch + 1) // 15) for epoch in range(20)]
    assert ours("schedule.start.value") == rates.count(1.0)
    assert ours("schedule.end.value") == sum(epoch < 15 for epoch in range(20))


def test_pixels_that_are_taken_for_one_by_their_number() -> None:
    v, u = np.indices((375, 1242))
    numbers = v * 1241 + u - 1
    assert ours("evaluation.pairs.value") == numbers.size - np.unique(numbers).size


# -- A broken library is noticed -------------------------------------------------------------------------


def protocol(**changes) -> Callable:
    """Other protocols of this source."""
    return lambda all_: {name: replace(each, **changes) if name.startswith("monodepth2") else each
                         for name, each in all_.items()}  # fmt: skip


def without_rotation(_: Callable) -> Callable:
    """An inverse whose translation is only turned round."""

    def broken(T: torch.Tensor) -> torch.Tensor:
        inverse = T.clone()
        inverse[..., :3, :3], inverse[..., :3, 3] = T[..., :3, :3].mT, -T[..., :3, 3]
        return inverse

    return broken


def edges(f: Callable) -> Callable:
    """Edges of the image at -1 and 1, whatever is asked for."""
    return lambda pixels, height, width, align_corners: f(pixels, height, width, align_corners=False)


def nearest(f: Callable) -> Callable:
    """Maps enlarged without blending."""
    return lambda maps, size, **_: f(maps, size, mode="nearest")


def backwards(f: Callable) -> Callable:
    """Sources sampled where the opposite motion leads."""
    opposite = geometry.invert_transform
    return lambda T, points: f(opposite(T), points)


def second_decay(f: Callable) -> Callable:
    """A schedule that waits for one epoch more."""
    return lambda optimizer, after, factor: f(optimizer, after + 1, factor)


FORWARD = " ".join(f"forward-{row}.{column}" for row, column in ("xy", "yx", "yz"))
TOTALS = "m.total s.total ms.total m-no-automask.total"
BREAKS = [
    (geometry, "sigmoid_to_inverse_depth", lambda f: partial(f, farthest=80.0),
     "conversion sigma-0.inverse sigma-0.depth"),
    (geometry, "sigmoid_to_inverse_depth", lambda f: partial(f, nearest=0.2),
     "conversion sigma-025.inverse sigma-05.depth sigma-1.inverse sigma-1.depth",
     "projection pixel-0-0.depth pixel-4-6.depth"),
    (geometry, "inverse_depth_to_depth", lambda f: lambda x: f(x + 0.001), "conversion sigma-025.depth"),
    (image, "ssim_dissimilarity", lambda f: lambda *maps: 2 * f(*maps),
     "photometric ssim ssim-0-0 ssim-4-6"),
    (image, "_PADDINGS", lambda known: known | {"reflect": "replicate"},
     "photometric ssim ssim-0-0 error"),
    (image, "box_window", lambda f: lambda size: f(5), "photometric ssim ssim-4-6 error-4-6"),
    (reprojection, "photometric_error", lambda f: lambda a, b, alpha=0.8, **how: f(a, b, 0.8, **how),
     "photometric error error-4-6", f"loss {TOTALS} m-false.total"),
    (reprojection, "EPSILON", lambda _: 1e-3, "photometric smoothness"),
    (reprojection, "forward_differences", lambda f: lambda maps: f(maps.square()), "photometric smoothness"),
    (reprojection, "least_error", lambda f: lambda *maps, **how: f(*maps, **how | {"minimum": False}),
     "loss m.total m.loss-0 ms.total ms.loss-3 m-no-automask.total m.share-0 ms.share-3"),
    (reprojection, "still_errors", lambda f: lambda *maps, **how: 0.9 * f(*maps, **how),
     "loss m.total m.share-0 m.share-1 m.share-2 m.share-3 s.share-1 ms.share-3"),
    (reprojection, "transform_points", backwards, f"loss {TOTALS}"),
    (reprojection, "resize", nearest, "loss m.total m-no-automask.total"),
    (image, "resize", nearest, "loss m.loss-1 m.loss-2 m-no-automask.loss-3"),
    (reprojection, "Reprojection", lambda f: partial(f, smoothness=1e-2),
     f"loss {TOTALS} m-false.total m.loss-0 m.loss-1 m.loss-2 m.loss-3"),
    (geometry, "rotation_from_axis_angle", lambda f: lambda x: f(x).mT, f"motion {FORWARD}",
     "projection pixel-0-0.x pixel-4-6.x pixel-7-11.y", "warp mean.right mean.wrong"),
    (geometry, "rotation_from_axis_angle", lambda f: lambda x: f(x * (1 + 1e-5)),
     "motion forward-x.z inverse-x.z forward-z.x"),
    (geometry, "invert_transform", without_rotation, "motion inverse-x.t inverse-y.t inverse-z.t",
     "loss m.total ms.loss-0"),
    (geometry, "transform_from_axis_angle", lambda f: lambda v, t: f(v, -t),
     "motion forward-x.t forward-y.t forward-z.t"),
    (geometry, "normalise_pixels", edges, "projection pixel-0-0.x pixel-0-0.y pixel-7-11.x",
     "warp mean.right mean.wrong identity.right identity.wrong"),
    (geometry, "backproject", lambda f: lambda depth, K: f(depth, K) + 0.01,
     "projection pixel-0-0.x pixel-4-6.y pixel-7-11.y", "warp mean.right"),
    (geometry, "project", lambda f: lambda points, K: f(points + 1e-5, K),
     "projection pixel-0-0.x pixel-4-6.x pixel-7-11.x"),
    (protocols, "blend_flips", lambda f: lambda one, other: f(other, one),
     "blend column-0.left column-2.right column-3.left column-3.right"),
    (protocols, "blend_flips", lambda f: lambda one, other: (one + other) / 2, "blend column-1.left"),
    (protocols, "PROTOCOLS", protocol(crop=protocols.CROPS["eigen-kitti"]), "evaluation garg"),
    (protocols, "PROTOCOLS", protocol(factor=1.0), "evaluation factor"),
    (kitti, "velodyne_depth", lambda f: partial(f, mode="corrected"), "evaluation pairs"),
    (trajectories, "snippet_errors", lambda f: partial(f, full_only=True),
     "split-counts windows-09 windows-10"),
    (torch.optim.lr_scheduler, "StepLR", second_decay, "schedule start end"),
    (torch.optim.Adam, "load_state_dict", lambda f: lambda *_: None, "schedule loaded"),
    (reported, "cell", lambda f: lambda name: replace(f(name), printed=f"1{f(name).printed}"),
     "split-counts zhou-rows zhou-frames full-frames odom-frames rule test test-improved windows-09",
     "steps zhou.epoch zhou.total full.epoch odom.total benchmark.epoch", "evaluation ratio"),
]  # fmt: skip
"""Whose attribute is broken, how, and each table with the cells that must turn wrong."""


@pytest.mark.parametrize("case", BREAKS, ids=lambda case: f"{case[1]}-{case[3].replace(' ', '-')}")
def test_what_is_broken_is_noticed(case: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, name, breaking, *expected = case
    monkeypatch.setattr(owner, name, breaking(getattr(owner, name)))
    for table, *cells in map(str.split, expected):
        assert set(cells) <= wrong(table)


def test_the_ledger_refuses_a_broken_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "_run", cache(checks._run.__wrapped__))  # nothing from before, nothing kept
    far = partial(geometry.sigmoid_to_inverse_depth, farthest=80.0)
    monkeypatch.setattr(geometry, "sigmoid_to_inverse_depth", far)
    with pytest.raises(ValueError, match=r"monodepth2\.conversion\.sigma-0\.inverse: .* nobody explained"):
        ledger.rows(["monodepth2"])


MISPRINTS = {
    "conversion.sigma-025.depth": ("0.39880358923", "0.39880358932"),
    "photometric.error.value": ("0.140173827780", "0.140173827870"),
    "motion.inverse-z.t": ("-0.2949824", "-0.2949842"),
    "projection.pixel-0-0.y": ("-0.6837976", "-0.6837967"),
    "loss.m.total": ("0.0472869", "0.0472896"),
    "blend.column-3.left": ("1.7500", "1.5700"),
    "split-counts.odom-frames.value": ("20,373", "20,337"),
    "steps.benchmark.total": ("120,140", "121,040"),
    "schedule.start.value": ('"14"', '"15"'),
    "evaluation.garg.value": ("153:371, 44:1197", "153:371, 44:1179"),
    "evaluation.pairs.value": ('"374"', '"375"'),
}


@pytest.mark.parametrize("cell", MISPRINTS)
def test_a_wrong_cell_is_seen(cell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = MISPRINTS[cell]
    text = (reported.folder() / "monodepth2.yaml").read_text(encoding="utf-8")
    table = text.index(f"\n  {cell.partition('.')[0]}:\n")
    assert before in text[table:]
    changed = text[:table] + text[table:].replace(before, after, 1)
    (tmp_path / "monodepth2.yaml").write_text(changed, encoding="utf-8")
    monkeypatch.setenv("MDEPTH_REPORTED", str(tmp_path))
    with pytest.raises(ValueError, match=rf"monodepth2\.{cell}: .* nobody explained"):
        ledger.rows(["monodepth2"])
