"""Level A of Hu's networks: every count by formula, and against networks that are broken."""

from collections.abc import Callable, Mapping
from functools import partialmethod
from itertools import pairwise
from pathlib import Path

import pytest
from torch import nn

from mdepth import ledger
from mdepth.ledger import checks, reported
from mdepth.ledger.checks import hu as level_a
from mdepth.ledger.compare import agreement
from mdepth.models import encoders, encoders_drn, encoders_senet, hu, hu_masks

TABLES = ("parameters", "sizes", "mask-sizes", "fusion-cost", "light-table")
EXPLAINED = {"light-table.hu-resnet-50.parameters"}
"""What differs from the source, and the ledger says why."""


def wrong(table: str, values: Mapping[str, checks.Value] | None = None) -> set[str]:
    """The cells of a table that would not come out, from values computed anew."""
    found = set()
    values = checks.registered()[f"hu.{table}"].function() if values is None else values
    for name, cell in reported.load("hu").cells.items():
        _, where, key = name.split(".", 2)
        if where != table or cell.printed == "-" or (table == "light-table" and key not in values):
            continue
        verdict, _ = agreement(cell, values.get(key, "missing"), "A", cell.half_unit, "rounding")
        found |= set() if verdict == "exact" or f"{table}.{key}" in EXPLAINED else {key}
    return found


@pytest.mark.parametrize("table", TABLES)
def test_every_cell_comes_out(table: str) -> None:
    assert wrong(table, checks._run(f"hu.{table}")) == set()


def test_networks_of_this_source_are_all_there() -> None:
    tables = reported.load("hu").tables.values()
    assert [table.id for table in tables if table.pending] == []
    rows = {row.id: row for row in ledger.rows(["hu"])}
    own = [row for name, row in rows.items() if name.split(".")[1] in TABLES[:4] and row.reported != "-"]
    assert len(own) == 26 + 90 + 45 + 2
    assert {(row.level, row.verdict) for row in own} == {("A", "exact")}


def test_one_cell_differs_and_the_ledger_says_why() -> None:
    rows = {row.id: row for row in ledger.rows(["hu"])}
    row, other = (rows[f"hu.light-table.{name}.parameters"] for name in ("hu-resnet-50", "hu-senet-154"))
    assert (row.reported, row.verdict) == ("63.6", "differs (explained)")
    assert "does not say how it counts" in row.why
    assert other.verdict == "exact"


# -- The same numbers by formula -------------------------------------------------------------------------


def up_projection(a: int, b: int) -> int:
    """Parameters of 5x5 from a to b, twice, of 3x3 from b to b, and of three norms."""
    return 2 * 25 * a * b + 9 * b * b + 3 * 2 * b


def test_parts_by_formula() -> None:
    values = checks._run("hu.parameters")
    for column, channels in {
        "resnet50": (256, 512, 1024, 2048),
        "densenet161": (192, 384, 1056, 2208),
    }.items():
        features = channels[-1]
        widths = [features >> power for power in range(1, 6)]
        ups = sum(up_projection(a, b) for a, b in pairwise(widths))
        assert values[f"d.{column}"] == features * widths[0] + 2 * widths[0] + ups
        fused = sum(up_projection(each, 16) for each in channels) + 25 * 64 * 64 + 2 * 64
        assert values[f"mff.{column}"] == fused
        width = 64 + widths[-1]
        assert values[f"r.{column}"] == 2 * (25 * width**2 + 2 * width) + 25 * width + 1
    ups = up_projection(512, 256) + up_projection(256, 128) + up_projection(128, 64)
    assert values["d.mask"] == ups + 9 * 64 + 1
    for column in ("resnet50", "densenet161", "senet154", "mask"):
        parts = [values.get(f"{part}.{column}", 0) for part in ("e", "d", "mff", "r")]
        assert values[f"total.{column}"] == sum(int(part) for part in parts)


def test_cost_by_formula() -> None:
    values = checks._run("hu.fusion-cost")
    places = 114 * 152
    assert values["up4.enlarged"] == pytest.approx(2048 * places * 4 / 1e6)
    assert values["up4.products"] == pytest.approx(2 * 25 * 2048 * 16 * places / 1e9)


# -- A broken network is noticed -------------------------------------------------------------------------


def threes(f: Callable) -> Callable:
    """Kernels of three rows and columns where there are five."""
    return lambda a, b, kernel=5: f(a, b, min(kernel, 3))


def behind(known: dict) -> dict:
    """A DenseNet's maps where another paper takes them."""
    return {key: encoders.densenet161 for key in known}


def narrow(f: Callable) -> Callable:
    """A fusion of half the width."""
    return lambda self, channels, width=16, **how: f(self, channels, 8, **how)


def rounds_down(f: Callable) -> Callable:
    """SENet with a pool that rounds down."""

    def init(self, *blocks: object, **how: int) -> None:
        f(self, *blocks, **how)
        self.pool = nn.MaxPool2d(3, 2)

    return init


BREAKS = [
    (hu, "_conv", threes, "parameters mff.resnet50 r.resnet50 d.mask"),
    (level_a, "ENCODERS", behind, "sizes block1.densenet161-channels block3.densenet161-channels",
     "parameters mff.densenet161"),
    (encoders_senet.SENet, "__init__", lambda f: partialmethod(f, groups=32),
     "parameters e.senet154 total.senet154"),
    (encoders_senet.SENet, "__init__", lambda f: partialmethod(f, reduction=8), "parameters e.senet154"),
    (encoders_senet.SENet, "__init__", rounds_down, "sizes block1.senet154-map"),
    (hu.MultiScaleFusion, "__init__", narrow, "parameters mff.resnet50 r.resnet50",
     "sizes mff-up.resnet50-channels r-input.resnet50-channels"),
    (hu, "_twice", lambda f: hu._size, "sizes d-up4.resnet50-map r-conv2.resnet50-map"),
    (encoders_drn, "DILATIONS", lambda f: (1, 1, 1, 1, 1, 2, 2, 2, 1), "mask-sizes base6.dilation"),
    (encoders_drn, "STEPS", lambda f: (1, 1, 2, 2, 2, 2, 1, 1, 1),
     "mask-sizes base5.stride base5.map base8.map"),
    (encoders_drn, "RESIDUAL", lambda f: (3, 4, 5, 6, 7), "parameters e.mask entries.mask tensors.mask"),
    (hu_masks.MaskDecoder, "__init__", lambda f: lambda self, features, _: f(self, features, (256, 128, 32)),
     "mask-sizes up3.channels", "parameters d.mask total.mask"),
]  # fmt: skip
"""Whose attribute is broken, how, and each table with cells that must turn wrong."""


@pytest.mark.parametrize("case", BREAKS, ids=lambda case: f"{case[1]}-{case[3].split()[1]}")
def test_what_is_broken_is_noticed(case: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, name, breaking, *expected = case
    named = {key: make for key, make in hu.ENCODERS.items() if key in " ".join(expected)}
    monkeypatch.setattr(level_a, "ENCODERS", named)  # the others are left out
    monkeypatch.setattr(owner, name, breaking(getattr(owner, name)))
    for table, *cells in map(str.split, expected):
        assert set(cells) <= wrong(table)


def test_counts_do_not_see_which_corners_are_aligned(monkeypatch: pytest.MonkeyPatch) -> None:
    right = hu.resize
    monkeypatch.setattr(hu, "resize", lambda x, size, **_: right(x, size, align_corners=False))
    assert not wrong("mask-sizes")


MISPRINTS = {
    "parameters.total.senet154": ("157,101,425", "157,101,452"),
    "parameters.entries.mask": ('"172"', '"127"'),
    "sizes.block2.densenet161-map": ('"384", "28x38"', '"384", "29x38"'),
    "mask-sizes.base6.dilation": ('"512", "1", "4"', '"512", "1", "2"'),
    "fusion-cost.up4.products": ('"28"', '"29"'),
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


def test_tables_that_nobody_read_stay_empty() -> None:
    unread = [table.id for table in reported.load("hu").tables.values() if table.status == "not available"]
    assert unread == ["rev-sizes", "rev-ablation", "vis-lambda", "vis-further"]
