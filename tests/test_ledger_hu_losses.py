"""Level A of Hu et al. that needs no network: every cell is exact, and a broken library is noticed."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mdepth import image, ledger, losses, metrics
from mdepth.ledger import checks, reported
from mdepth.ledger.compare import NONE, agreement

CELLS = {
    "sobel": 5, "sobel-border": 20, "loss-values": 15, "objective": 3, "metrics": 8, "edges": 18,
}  # fmt: skip
"""How many cells of each table are computed."""


def ours(name: str) -> float:
    """What the library computes for a cell."""
    value = checks.computed(f"hu.{name}")
    assert isinstance(value, int | float), name
    return value


def wrong(table: str) -> set[str]:
    """The cells of a table that would not come out, computed anew."""
    cells, check = reported.load("hu").cells, checks.registered()[f"hu.{table}"]
    found = set()
    for name, value in check.function().items():
        if cell := cells.get(f"hu.{table}.{name}"):
            verdict, _ = agreement(cell, value, "A", cell.half_unit, "rounding")
            found |= {name} if verdict != "exact" else set()
    return found


def test_every_cell_is_computed_and_exact() -> None:
    rows = [row for row in ledger.rows(["hu"]) if row.id.split(".")[1] in CELLS]
    assert {table: sum(row.id.split(".")[1] == table for row in rows) for table in CELLS} == CELLS
    assert {row.level for row in rows} == {row.reference_level for row in rows} == {"A"}
    assert {row.verdict for row in rows} == {"exact"}
    assert {row.why for row in rows} == {NONE}
    assert all(wrong(table) == set() for table in CELLS)


def test_every_check_fills_a_cell_and_waits_for_nothing() -> None:
    source = reported.load("hu")
    for table in CELLS:
        assert not source.tables[table].pending
        cells = {
            name.removeprefix(f"hu.{table}.") for name in source.cells if name.startswith(f"hu.{table}.")
        }
        assert cells == set(checks.registered()[f"hu.{table}"].function()), table


def test_what_was_not_read_stays_marked() -> None:
    tables = reported.load("hu").tables
    missing = {"rev-sizes", "rev-ablation", "vis-lambda", "vis-further"}
    assert {name for name, table in tables.items() if table.status == "not available"} == missing
    unverified = {name for name, table in tables.items() if table.status == "unverified"}
    assert unverified == {"rev-comparison", "rev-edges"}
    recalled = [cell for name, cell in reported.load("hu").cells.items() if name.split(".")[1] in unverified]
    assert {cell.origin for cell in recalled} == {"memory"}


# -- The same numbers by another way ---------------------------------------------------------------------

KERNEL = np.array([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]])


def waves(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The maps g and d."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    d = 3 + np.sin(0.05 * x) + 0.5 * np.cos(0.07 * y)
    return 1.1 * d + 0.2 * np.sin(0.1 * x + 0.03 * y), d


def responses(depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sobel by shifted images, zeros outside."""
    padded, (height, width) = np.pad(depth, 1), depth.shape
    shifted = {(i, j): padded[i : i + height, j : j + width] for i, j in np.ndindex(3, 3)}
    return (
        sum(KERNEL[i, j] * part for (i, j), part in shifted.items()),
        sum(KERNEL[j, i] * part for (i, j), part in shifted.items()),
    )


def test_the_loss_by_numpy() -> None:
    g, d = waves(114, 152)
    for row, prediction in {"scaled": g, "equal": d, "offset": d + 0.5}.items():
        one, two = responses(prediction), responses(d)
        first, second = (np.stack((-s[0], -s[1], np.ones_like(d))) for s in (one, two))
        cosine = (first * second).sum(0) / np.linalg.norm(first, axis=0) / np.linalg.norm(second, axis=0)
        expected = {
            "l_depth": np.log(np.abs(prediction - d) + 0.5).mean(),
            "gradient_x": np.log(np.abs(one[0] - two[0]) + 0.5).mean(),
            "gradient_y": np.log(np.abs(one[1] - two[1]) + 0.5).mean(),
            "l_normal": np.abs(1 - cosine).mean(),
        }
        for column, value in expected.items():
            assert ours(f"loss-values.{row}.{column}") == pytest.approx(value, abs=1e-13), (row, column)
        assert ours(f"loss-values.{row}.l_dif") == pytest.approx(sum(expected.values()), abs=1e-12)


def test_edges_and_errors_by_numpy() -> None:
    g, d = waves(228, 304)
    sizes = [np.hypot(*responses(depth)) for depth in (g, d)]
    for row, threshold in {"above-025": 0.25, "above-05": 0.5, "above-1": 1.0}.items():
        found, true = (size > threshold for size in sizes)
        precision, recall = (found & true).sum() / found.sum(), (found & true).sum() / true.sum()
        expected = {"target": true.sum(), "prediction": found.sum(), "both": (found & true).sum(),
                    "precision": precision, "recall": recall,
                    "f1": 2 * precision * recall / (precision + recall)}  # fmt: skip
        for column, value in expected.items():
            assert ours(f"edges.{row}.{column}") == pytest.approx(value), (row, column)
    assert ours("edges.above-1.target") == 2 * (228 + 304) - 4  # the ring, and nothing else
    assert ours("metrics.mse.value") == pytest.approx(((g - d) ** 2).mean(), abs=1e-14)
    assert ours("metrics.log10.value") == pytest.approx(np.abs(np.log10(g) - np.log10(d)).mean(), abs=1e-14)
    assert ours("metrics.abs-rel.value") == pytest.approx((np.abs(g - d) / d).mean(), abs=1e-14)


# -- A broken library ------------------------------------------------------------------------------------


def padded(padding: str) -> Callable:
    """Sobel with another default."""
    return lambda f: lambda maps, **how: f(maps, padding=padding)


BREAKS: list[tuple[Any, str, Callable, str, str]] = [
    (image, "sobel", padded("replicate"), "sobel", "corner.x corner.y"),
    (image, "sobel", padded("replicate"), "sobel-border", "x-first.place-0 x-inner.place-4 y-inner.place-0"),
    (image, "sobel", lambda f: lambda maps: tuple(each / 8 for each in f(maps)), "sobel", "ramp.x middle.y"),
    (image, "sobel", lambda f: lambda maps: f(maps)[::-1], "sobel", "ramp.x corner.x middle.x middle.y"),
    (image, "sobel", lambda f: lambda maps: tuple(-each for each in f(maps)), "sobel-border",
     "x-first.place-0 y-inner.place-4"),
    (losses, "hu_gradient_terms", lambda f: lambda *a: f(*a, padding="valid"), "loss-values",
     "scaled.gradient_x scaled.gradient_y offset.gradient_x offset.gradient_y"),
    (losses, "hu_gradient_terms", lambda f: lambda *a: f(*a, form="error"), "loss-values",
     "scaled.gradient_x scaled.gradient_y"),
    (losses, "hu_depth_loss", lambda f: lambda *a: f(*a, alpha=1.0), "loss-values",
     "scaled.l_depth equal.l_depth offset.l_depth"),
    (losses, "hu_normal_loss", lambda f: lambda *a: f(*a, padding="valid"), "loss-values",
     "scaled.l_normal offset.l_normal"),
    (losses, "hu_loss", lambda f: lambda *a: f(*a, (1.0, 0.5, 1.0)), "loss-values",
     "scaled.l_dif equal.l_dif offset.l_dif"),
    (losses, "hu_loss", lambda f: lambda *a: f(*a) / 2, "objective", "equal.l_dif equal.total"),
    (metrics, "compute", lambda f: lambda p, t, v, n: f(t, p, v, n), "metrics", "abs-rel.value"),
    (metrics, "edge_scores", lambda f: lambda *a, border: f(*a), "edges",
     "above-025.precision above-025.f1 above-05.recall above-1.precision"),
]  # fmt: skip
"""Whose attribute is broken, how, and the cells of a table that must turn wrong."""


@pytest.mark.parametrize("case", BREAKS, ids=lambda case: f"{case[1]}-{case[3]}-{case[4].replace(' ', '-')}")
def test_what_is_broken_is_noticed(case: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, name, breaking, table, cells = case
    monkeypatch.setattr(owner, name, breaking(getattr(owner, name)))
    assert set(cells.split()) <= wrong(table)


def test_the_ledger_refuses_a_broken_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "_run", cache(checks._run.__wrapped__))  # nothing from before, nothing kept
    right = losses.hu_loss
    monkeypatch.setattr(losses, "hu_loss", lambda *maps: right(*maps) + 1e-9)
    with pytest.raises(ValueError, match=r"hu\.loss-values\.scaled\.l_dif: .* nobody explained"):
        ledger.rows(["hu"])


MISPRINTS = {
    "sobel.corner.x": ("-10.648713007939", "-10.648713007993"),
    "sobel-border.x-inner.place-0": ('"-12.0000"', '"-21.0000"'),
    "loss-values.offset.l_normal": ("1.98985346e-06", "1.98985364e-06"),
    "objective.equal.total": ("-1.5794415", "-1.5794451"),
    "metrics.mae.value": ("0.312607926766", "0.312607927666"),
    "edges.above-025.target": ('"53795"', '"53759"'),
}


@pytest.mark.parametrize("cell", MISPRINTS)
def test_a_wrong_cell_is_seen(cell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = MISPRINTS[cell]
    text = (reported.folder() / "hu.yaml").read_text(encoding="utf-8")
    table = text.index(f"\n  {cell.partition('.')[0]}:\n")
    assert before in text[table:]
    changed = text[:table] + text[table:].replace(before, after, 1)
    (tmp_path / "hu.yaml").write_text(changed, encoding="utf-8")
    monkeypatch.setenv("MDEPTH_REPORTED", str(tmp_path))
    with pytest.raises(ValueError, match=rf"hu\.{cell}: .* nobody explained"):
        ledger.rows(["hu"])


def test_nothing_is_drawn_from_the_generator_of_the_reader() -> None:
    before = torch.get_rng_state()
    for table in CELLS:
        checks.registered()[f"hu.{table}"].function()
    assert torch.equal(torch.get_rng_state(), before)
