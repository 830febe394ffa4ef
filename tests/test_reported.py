"""The files of reported numbers: what they hold, whether they agree with themselves, what is refused."""

from collections import Counter
from pathlib import Path

import pytest

from mdepth.ledger import reported
from mdepth.ledger.schema import DATA, VERIFIED, Cell, Column
from mdepth.shapes import DataError

#: Typed again from the papers, independently of the files.
KNOWN = {
    "eigen.table1.coarse.abs_rel": ".228",
    "eigen.table1.coarse-fine.rmse": ".907",
    "eigen.table1.mean.delta1": ".418",
    "eigen.table1.karsch.rmse": "1.2",
    "eigen.table2.coarse.rmse": "7.216",
    "eigen.table2.make3d.sq_rel": "3.012",
    "eigen.table2.coarse-fine.scale_invariant": ".246",
    "eigen.figure1.coarse5.nyu": "8x6",
    "eigen.parameters.coarse.nyu": "70,757,734",
    "eigen.receptive.fine.side": "45",
    "eigen.gains.nyu.gain": "35",
    "eigen.oracle.network.after": "0.22",
    "eigen.ef-table1.vgg.abs_rel": ".158",
    "eigen.ef-table1.baig.scale_invariant": ".242",
    "eigen.ef-scales.scales12.angle_mean": "26.1",
    "eigen.ef-normals.vgg-silberman.angle_30": "73.9",
    "eigen.ch-table2.chakrabarti.rmse": ".620",
    "eigen.ch-table1.orders01.delta3": "96.62",
    "laina.readme-nyu.ours.rmse": ".573",
    "laina.table1.resnet50-upproj-berhu.abs_rel": ".127",
    "transfer.table.unet.delta1": "0.558",
    "transfer.densedepth-nyu.released.rmse": "0.5485",
    "monodepth2.table1.monodepth2-m.abs_rel": "0.115",
    "monodepth2.table2.a-baseline.sq_rel": "1.610",
    "monodepth2.table7.monodepth2-ms.rmse": "3.681",
    "monodepth2.table4.zhou-pairs.seq09-sd": "0.039",
    "hu.rev-nyu.senet-154.abs_rel": "0.115",
    "hu.parameters.total.senet154": "157,101,425",
}


def every_line():
    return [(source, table, line) for source in reported.load_all().values()
            for table in source.tables.values() for line in table.rows]  # fmt: skip


@pytest.mark.parametrize(("identity", "printed"), KNOWN.items())
def test_a_number_stands_as_printed(identity: str, printed: str) -> None:
    assert reported.cell(identity).printed == printed


def test_the_five_sources_are_there_in_the_order_of_the_book() -> None:
    assert reported.sources() == ("eigen", "laina", "transfer", "monodepth2", "hu")


def test_ids_are_unique_and_lead_to_their_place() -> None:
    ids = [cell.id for source in reported.load_all().values() for table in source.tables.values()
           for line in table.rows for cell in line.cells.values()]  # fmt: skip
    assert Counter(ids).most_common(1)[0][1] == 1
    for source, table, line in every_line():
        assert all(
            cell.id == f"{source.id}.{table.id}.{line.id}.{column}" for column, cell in line.cells.items()
        )


def test_recalled_numbers_are_marked_and_only_they() -> None:
    for source in reported.load_all().values():
        for table in source.tables.values():
            doubtful = [
                cell for line in table.rows for cell in line.cells.values() if cell.origin not in VERIFIED
            ]
            assert (table.status == "unverified") == bool(doubtful), table.id
            assert table.status == "verified" or table.why


def test_tables_that_could_not_be_read_are_listed() -> None:
    missing = {
        f"{source.id}.{table.id}"
        for source in reported.load_all().values()
        for table in source.tables.values()
        if table.status == "not available"
    }
    assert {"hu.vis-lambda", "hu.rev-ablation", "transfer.densedepth-ablation", "eigen.ef-labels"} <= missing


def test_protocols_exist() -> None:
    from mdepth.evaluate import PROTOCOLS

    used = {table.protocol for source in reported.load_all().values() for table in source.tables.values()}
    used |= {line.protocol for _, _, line in every_line() if line.protocol}
    assert used - {"none"} <= set(PROTOCOLS)


def test_columns_of_scores_are_metrics_with_their_unit_and_direction() -> None:
    from mdepth.evaluate.tasks import ANGLES
    from mdepth.ledger.schema import COLUMNS
    from mdepth.metrics import METRICS

    units = {"": "1", "×100": "%"}  # as the library says it: as tables say it
    known = {"": METRICS, "normals": ANGLES}
    for name, column in COLUMNS.items():
        if column.kind == "accuracy":
            metric = known[column.task][name]
            assert metric.better == column.better, name
            assert units.get(metric.unit, metric.unit) == column.unit, name
            assert column.metric == name


def test_a_column_of_its_own_is_a_metric_only_in_the_metrics_unit() -> None:
    percent = Column("delta1", "δ < 1.25", "%", "higher")
    assert percent.metric == Column("normals", "mean angle", "degrees").metric == ""
    assert Column("delta1", "another heading", "1", "higher").metric == "delta1"


def test_own_runs_name_variants_of_the_recipe_once_it_has_them() -> None:
    """The coarse network's rows are the ones that this version can fill."""
    from mdepth.recipes import eigen as recipe

    named = {
        name
        for source, _, line in every_line()
        if source.id == "eigen"
        for name in (line.run, line.world)
        if name
    }
    assert {"coarse-nyu", "coarse-rooms", "coarse-kitti", "coarse-roads"} <= named & set(recipe.VARIANTS)


@pytest.mark.parametrize(
    ("source", "table"), [("eigen", "table1"), ("eigen", "table2"), ("eigen", "ef-table1")]
)
def test_printed_scores_obey_the_identities_of_the_metrics(source: str, table: str) -> None:
    """Scale-invariant RMSE never exceeds RMSE log; accuracies grow with their threshold."""
    seen = 0
    for line in reported.load(source).tables[table].rows:
        value = {column: cell.value for column, cell in line.cells.items()}
        if {"rmse_log", "scale_invariant"} <= set(value):
            assert value["scale_invariant"] <= value["rmse_log"]
            seen += 1
        if {"delta1", "delta2", "delta3"} <= set(value):
            assert value["delta1"] < value["delta2"] < value["delta3"]
    assert seen >= 3


def test_printed_parameters_add_up() -> None:
    value = {key: cell.value for key, cell in reported.load("eigen").cells.items()}
    for data in ("nyu", "kitti"):
        parts = sum(value[f"eigen.parameters.{row}.{data}"] for row in ("convs", "fc6", "fc7"))
        assert parts == value[f"eigen.parameters.coarse.{data}"]
    hu = {key: cell.value for key, cell in reported.load("hu").cells.items()}
    assert (
        sum(hu[f"hu.parameters.{part}.resnet50"] for part in ("e", "d", "mff", "r"))
        == hu["hu.parameters.total.resnet50"]
    )


def test_follow_ups_print_the_same_number_where_they_quote_the_same_run() -> None:
    for metric in ("rmse", "rmse_log", "abs_rel", "delta1", "delta3"):
        quoted = reported.cell(f"eigen.ch-table2.eigen2015-vgg.{metric}").printed
        assert quoted == reported.cell(f"eigen.ef-table1.vgg.{metric}").printed


def test_digits_count() -> None:
    assert reported.cell("eigen.table1.karsch.rmse").half_unit == pytest.approx(0.05)
    assert reported.cell("eigen.parameters.fc6.nyu").half_unit == 0.5
    assert reported.cell("eigen.figure1.coarse1.nyu").value is None
    for printed, half in {"1e-4": 0.5e-4, "1.9898e-06": 0.5e-10, "2.5E+3": 50.0, "1,500": 0.5}.items():
        assert Cell("a.b.c.d", printed, "printed").half_unit == pytest.approx(half, rel=1e-12)


def test_every_scored_table_says_how_many_images_its_test_set_has() -> None:
    """Without that, a score over a few of them would be held against the paper's."""
    for source in reported.load_all().values():
        for table in source.tables.values():
            assert table.images or table.protocol == "none", f"{source.id}.{table.id}"


def test_rows_trained_with_stereo_are_not_aligned() -> None:
    """Godard et al. scale monocular predictions by their median, those of stereo networks by 5.4."""
    from mdepth.evaluate import PROTOCOLS

    seen = 0
    for source, table, line in every_line():
        if source.id != "monodepth2" or line.method != "own" or "train" not in line.labels:
            continue
        protocol = line.protocol or table.protocol
        if protocol in ("none", "kitti-benchmark"):
            continue
        stereo = "S" in line.labels["train"]
        assert PROTOCOLS[protocol].alignment == ("none" if stereo else "median"), (table.id, line.id)
        assert PROTOCOLS[protocol].factor == (5.4 if stereo else 1.0), (table.id, line.id)
        seen += 1
    assert seen > 40


def test_unknown_names_are_answered_with_known_ones() -> None:
    with pytest.raises(DataError, match=r"eigen\.table1\.coarse"):
        reported.cell("eigen.table1.coarse.nonsense")
    with pytest.raises(DataError, match="monodepth2"):
        reported.load("nobody")


def test_a_folder_named_by_the_environment_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MDEPTH_REPORTED", str(tmp_path / "gone"))
    with pytest.raises(DataError, match="MDEPTH_REPORTED"):
        reported.folder()
    monkeypatch.setenv("MDEPTH_REPORTED", str(tmp_path))
    assert reported.folder() == tmp_path


GOOD = """\
source: small
title: A source
papers:
  p1: {citation: A and B, year: 2020, title: On things}
tables:
  t1:
    paper: p1
    where: Table 1
    caption: Things
    data: nyu
    status: verified
    columns: [abs_rel, {id: maps, title: maps, better: none, kind: count}]
    rows:
      first: {title: First, method: own, cells: [".12", "3x4"]}
      second: {title: Second, method: other, cells: ["-", "7"]}
"""

BROKEN = {
    "not YAML": ("title: A source", "title: [A source", ["not YAML"]),
    "a key twice": ("    where: Table 1\n", "    where: Table 1\n    where: Table 2\n", ["where", "twice"]),
    "another name": ("source: small", "source: large", ["large", "small"]),
    "unknown key": ("    caption: Things", "    caption: Things\n    colour: red", ["t1", "colour", "known"]),
    "missing key": ("    where: Table 1\n", "", ["t1", "where", "missing"]),
    "unknown paper": ("paper: p1", "paper: p2", ["t1", "paper", "p2", "p1"]),
    "unknown status": ("status: verified", "status: sure", ["t1", "status", "sure"]),
    "unknown data": ("data: nyu", "data: moon", ["t1", "data", "moon"]),
    "unknown column": ("[abs_rel,", "[abs_real,", ["t1", "abs_real", "abs_rel"]),
    "unknown kind": ("kind: count", "kind: counts", ["maps", "kind", "counts"]),
    "unknown method": ("method: own", "method: mine", ["t1", "first", "method", "mine"]),
    "number without quotes": ('".12"', ".12", ["t1", "first", "abs_rel", "quotes"]),
    "empty cell": ('".12"', '""', ["t1", "first", "abs_rel", "empty"]),
    "not a number": ('".12"', '".12 m"', ["t1", "first", "abs_rel", "not a number"]),
    "too few cells": ('[".12", "3x4"]', '[".12"]', ["t1", "first", "1 cells for 2 columns"]),
    "unknown origin": ("method: own", "method: own, origin: rumour", ["t1", "first", "origin", "rumour"]),
    "recalled in a verified table": (
        "method: own",
        "method: own, origin: memory",
        ["t1", "verified", "small.t1.first"],
    ),
    "unverified without a reason": ("status: verified", "status: unverified", ["t1", "why"]),
    "unverified without a doubt": (
        "status: verified",
        "status: unverified\n    why: x",
        ["t1", "every number"],
    ),
    "unread, yet numbers": (
        "status: verified",
        "status: not available\n    why: x",
        ["t1", "not available", "3 numbers"],
    ),
    "year in words": ("year: 2020", "year: last", ["p1", "year", "last"]),
    "images in words": ("    data: nyu", "    data: nyu\n    images: [many]", ["t1", "images", "many"]),
    "bad id": ("      first:", "      First Row:", ["t1", "First Row", "lower-case"]),
}


def test_the_good_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(GOOD)
    source = reported.read(tmp_path / "small.yaml")
    assert list(source.cells) == ["small.t1.first.abs_rel", "small.t1.first.maps", "small.t1.second.maps"]
    assert source.tables["t1"].columns[1].kind == "count"


@pytest.mark.parametrize("mistake", BROKEN)
def test_a_mistake_is_named_with_its_place(mistake: str, tmp_path: Path) -> None:
    old, new, words = BROKEN[mistake]
    assert old in GOOD
    (tmp_path / "small.yaml").write_text(GOOD.replace(old, new, 1))
    with pytest.raises(DataError) as error:
        reported.read(tmp_path / "small.yaml")
    assert all(word in str(error.value) for word in ["small.yaml", *words]), str(error.value)


def test_every_table_on_data_says_which() -> None:
    for source in reported.load_all().values():
        for table in source.tables.values():
            scored = any(column.kind == "accuracy" for column in table.columns)
            assert not scored or table.data != "none", f"{source.id}.{table.id}"
            assert table.data in DATA
