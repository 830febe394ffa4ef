"""The files of reported numbers: what they hold, whether they agree with themselves, what is refused."""

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
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
    "monodepth2.table9.monodepth2-r50-ms.silog": "14.41",
    "monodepth2.table12.separate-resnet-2-pt.sq_rel": "0.919",
    "monodepth2.reruns.benchmark-m.rmse_log": "0.1986",
    "monodepth2.splits.zhou-train.lines": "39810",
    "monodepth2.cost.depth-r18.640x192": "8.01",
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
    from mdepth.evaluate.single_scale import Scale
    from mdepth.evaluate.tasks import ANGLES
    from mdepth.ledger.schema import COLUMNS
    from mdepth.metrics import METRICS

    units = {"": "1", "×100": "%"}  # as the library says it: as tables say it
    known = {"": METRICS, "normals": ANGLES}
    of_whole_sets = {"sigma_scale": Scale}  # no metric of a map
    for name, column in COLUMNS.items():
        if name in of_whole_sets:
            assert hasattr(of_whole_sets[name], "sigma")
            assert (column.better, column.unit) == ("lower", "1")
        elif column.kind == "accuracy":
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


def test_parameters_of_monodepth2_add_up() -> None:
    value = {key: cell.value for key, cell in reported.load("monodepth2").cells.items()}
    for column in ("parameters", "effective"):
        parts = (f"encoder-r18.{column}", "depth-decoder-on-r18.parameters")
        total = sum(value[f"monodepth2.parameters.{part}"] for part in parts)
        assert total == value[f"monodepth2.parameters.depth-network-r18.{column}"]


AGAIN = {
    "m": ("table1.monodepth2-m", "table2.a-full", "table6.c-resnet-18", "table11.m-640",
          "table12.separate-resnet-2-pt", "readme.mono-640x192", "reruns.weights-thread-m"),
    "m-no-pt": ("table1.monodepth2-without-pt-m", "table2.b-monodepth2-without-pt", "table6.b-without-pt",
                "table6.c-resnet-18-without-pt", "table12.separate-resnet-2-no-pt",
                "readme.mono-no-pt-640x192"),
    "s-no-pt": ("table1.monodepth2-without-pt-s", "readme.stereo-no-pt-640x192"),
    "ms-no-pt": ("table1.monodepth2-without-pt-ms", "readme.mono-stereo-no-pt-640x192"),
    "m-1024": ("table1.monodepth2-1024x320-m", "table11.m-1024", "readme.mono-1024x320"),
    "s": ("table1.monodepth2-s", "table11.s-640", "readme.stereo-640x192"),
    "s-1024": ("table1.monodepth2-1024x320-s", "table11.s-1024", "readme.stereo-1024x320"),
    "ms": ("table1.monodepth2-ms", "table11.ms-640", "readme.mono-stereo-640x192"),
    "ms-1024": ("table1.monodepth2-1024x320-ms", "table11.ms-1024", "readme.mono-stereo-1024x320"),
    "baseline-no-pt": ("table2.b-baseline-without-pt", "table6.b-baseline-without-pt"),
    "m-416": ("table2.a-smaller-416x128", "table11.m-416"),
}  # fmt: skip
"""Rows of one run, by the first place where Monodepth2 prints it."""


def test_monodepth2_prints_a_run_alike_wherever_it_does_but_for_its_slips() -> None:
    tables, different = reported.load("monodepth2").tables, set()
    lines = {f"{table.id}.{line.id}": line.cells for table in tables.values() for line in table.rows}
    for first, *others in AGAIN.values():
        for metric, cell in lines[first].items():
            rest = (lines[other][metric] for other in others if metric in lines[other])
            different |= {each.id for each in rest if each.printed != cell.printed}
    slips = {f"monodepth2.table11.s-1024.{metric}"
             for metric in ("abs_rel", "sq_rel", "rmse", "rmse_log", "delta1", "delta2")}  # fmt: skip
    assert different == slips | {"monodepth2.table12.separate-resnet-2-pt.sq_rel"}
    assert all("slip of the paper" in reported.cell(name).note for name in different)
    with_flips = lines["table10.1024x320-pp-s"]
    assert all(lines["table11.s-1024"][metric].printed == cell.printed for metric, cell in with_flips.items())


def test_accuracies_of_monodepth2_grow_with_their_threshold() -> None:
    equal = set()
    for table in reported.load("monodepth2").tables.values():
        for line in table.rows:
            found = [line.cells[name].value for name in ("delta1", "delta2", "delta3") if name in line.cells]
            assert found == sorted(found), line.id
            equal |= {line.id} if len(set(found)) < len(found) else set()
    assert equal == {"eigen-d"}  # as printed, and noted


def test_split_lists_are_fetched_by_the_checksums_that_are_reported() -> None:
    from mdepth.datasets.fetch import REMOTES

    lines = {line.title: line.labels["sha256"] for line in reported.load("monodepth2").tables["splits"].rows}
    places = {each.path: each.checksum for each in REMOTES.values()}
    known = {title: f"splits/monodepth2/{title}" for title in lines}
    shared = [title for title, place in known.items() if place in places]
    assert len(shared) == 5
    assert all(places[known[title]] == f"sha256:{lines[title]}" for title in shared)


@pytest.mark.realdata
def test_split_lists_are_the_reported_files(real_data: Path) -> None:
    seen = 0
    for line in reported.load("monodepth2").tables["splits"].rows:
        path = real_data / "splits" / "monodepth2" / line.title
        if not path.is_file():
            continue
        content = path.read_bytes()
        assert hashlib.sha256(content).hexdigest() == line.labels["sha256"], line.title
        assert len(content) == line.cells["bytes"].value
        lines = len(np.load(path)) if path.suffix == ".npy" else content.count(b"\n")
        assert lines == line.cells["lines"].value, line.title
        seen += 1
    assert seen >= 10


@pytest.mark.realdata
def test_lists_hold_what_is_reported(real_data: Path) -> None:
    from mdepth.datasets import kitti

    def rows(name: str) -> list[tuple[str, int]]:
        frames = kitti.read_split(real_data / "splits" / "monodepth2" / f"{name}_files.txt")
        return [(frame.drive, frame.frame) for frame in frames]

    standing = (real_data / "splits" / "sfmlearner" / "static_frames.txt").read_text().splitlines()
    still = {(drive, int(frame)) for _, drive, frame in map(str.split, filter(None, standing))}
    train, val, test = rows("eigen_zhou/train"), rows("eigen_zhou/val"), rows("eigen/test")
    full_train = rows("eigen_full/train")
    full = full_train + rows("eigen_full/val")
    drives = Counter(drive for drive, _ in test)
    benchmark = rows("benchmark/val")
    found = {
        "zhou-drives": len({drive for drive, _ in train + val}),
        "zhou-val-frames": len(set(val)),
        "zhou-shared": len(set(val) & set(train)),
        "zhou-still": sum(bool({(drive, k - 1), (drive, k + 1)} & still) for drive, k in train + val),
        "full-drives": len({drive for drive, _ in full}),
        "full-first": sum(frame == 0 for _, frame in full_train),
        "full-still": len(set(full) & still),
        "full-ends": len(set(full) - still - set(train) - set(val)),
        "test-drives": len(drives),
        "test-frames": max(drives.values()),
        "test-fewer": next(count for drive, count in drives.items() if "_drive_0048_" in drive),
        "test-without": len(set(test) - set(rows("eigen_benchmark/test"))),
        "benchmark-val-eigen": len(set(test) & set(benchmark)),
    }
    cells = {line.id: line.cells["value"].value for line in reported.load("monodepth2").tables["lists"].rows}
    assert found == {name: cells[name] for name in found}
    assert set(cells) - set(found) == {"benchmark-train-eigen"}  # that list is larger than a sample


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
