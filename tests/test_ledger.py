"""The ledger: verdicts, levels, provenance.

Above all: a number from the worlds never meets a printed one in a difference.
"""

import csv
import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from mdepth import ledger, results
from mdepth.ledger import checks, reported
from mdepth.ledger.__main__ import main
from mdepth.ledger.compare import NONE, VERDICTS, agreement, shown
from mdepth.ledger.join import _measured as measured
from mdepth.ledger.measured import gather
from mdepth.ledger.schema import COLUMNS
from mdepth.ledger.stats import bootstrap_interval, summarise, t_interval
from mdepth.results import Record, level_of

METRICS = ("abs_rel", "sq_rel", "rmse", "rmse_log", "scale_invariant", "delta1", "delta2", "delta3")
SOURCES = ("eigen",)
CROPS = ("eigen.regions.kitti-columns.value", "eigen.regions.kitti-rows.value")  # truncated, and explained


def scores(value: float, images: int) -> dict[str, Any]:
    """What a protocol's entry looks like; every metric has the given mean, spread a little over images."""
    values = [value * (1 + 0.1 * ((k % 5) - 2)) for k in range(images)]
    each = dict.fromkeys(METRICS, sum(values) / images)
    return {
        "mean": each,
        "pooled": dict.fromkeys(METRICS, 1.1 * value),
        "per_image": dict.fromkeys(METRICS, values),
        "ids": [f"image/{k}" for k in range(images)],
        "n_images": images,
        "n_pixels": 100 * images,
    }


def record(
    variant: str,
    value: float,
    *,
    seed: int = 0,
    profile: str = "laptop",
    real: bool = False,
    images: int = 10,
    protocol: str = "worlds",
    level: str | None = None,
) -> Record:
    """A record as ``results`` accepts it."""
    run = {
        "format": results.FORMAT,
        "source": "eigen",
        "variant": variant,
        "profile": profile,
        "seed": seed,
        "identity": "i" * 64,
        "meaning": "m" * 64,
        "description": {},
        "commit": "0123456789ab",
        "versions": {},
        "hardware": {"cpu": "a processor", "threads": 2, "gpu": None},
        "finished": "2026-01-01T00:00:00+00:00",
        "seconds": 12.0,
        "train_seconds": 10.0,
        "peak_memory_mb": 300.0,
        "parameters": 1000,
        "data": {"hash": "d" * 64, "real": real, "train": {}, "test": {}},
        "sample_ids": [],
        "extra": {} if level is None else {"level": level},
    }
    metrics = {
        protocol: scores(value, images),
        f"{protocol}@mean-map": scores(2 * value, images),
        f"{protocol}@mean-depth": scores(3 * value, images),
    }
    return Record(
        run, metrics, {"step": [0.0, 1.0], "loss": [2.0, 1.0], "lr": [0.1, 0.1], "seconds": [0.0, 1.0]}
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Results with three seeds of the coarse network on the rooms as reference, and one of this build."""
    for seed, value in enumerate((0.20, 0.22, 0.24)):
        results.write(
            record("coarse-rooms", value, seed=seed), tmp_path / f"laptop/eigen/coarse-rooms/seed{seed}"
        )
    results.write(record("coarse-rooms", 0.5, profile="quick"), tmp_path / "quick/eigen/coarse-rooms/seed0")
    return tmp_path


def by_id(folder: Path) -> dict[str, ledger.Row]:
    return {row.id: row for row in ledger.rows(SOURCES, results=folder)}


def test_every_reported_number_is_one_row_and_every_unread_table_too() -> None:
    found = [row.id for row in ledger.rows()]
    wanted = [name for source in reported.load_all().values() for name in source.cells]
    unread = [
        f"{source.id}.{table.id}"
        for source in reported.load_all().values()
        for table in source.tables.values()
        if table.status == "not available"
    ]
    assert sorted(found) == sorted(wanted + unread)
    assert len(set(found)) == len(found)


def test_no_cell_is_empty_and_verdicts_are_the_fixed_words(folder: Path) -> None:
    for row in ledger.rows(results=folder):
        assert all(str(value).strip() for value in asdict(row).values()), row.id
        assert row.verdict in VERDICTS
    assert sum(ledger.counts(ledger.rows()).values()) == len(ledger.rows())


def test_level_a_is_exact_except_where_explained() -> None:
    rows = [row for row in ledger.rows(SOURCES) if row.level == "A" and row.verdict != "not run"]
    different = {row.id for row in rows if row.verdict != "exact"}
    assert len(rows) > 120
    assert different == {"eigen.gains.kitti.gain", *CROPS}
    assert all(row.reference_level == "A" for row in rows)


def test_an_unexplained_difference_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        checks, "computed", lambda identity: 3 if identity.startswith("eigen.figure1") else None
    )
    with pytest.raises(ValueError, match=r"eigen\.figure1.* nobody explained"):
        ledger.rows(SOURCES)


@pytest.mark.parametrize("level", ["B", "d", "T"])
def test_levels_of_other_data_never_stand_in_a_difference(level: str) -> None:
    cell = reported.cell("eigen.table1.coarse.abs_rel")
    with pytest.raises(ValueError, match="never stands in a difference"):
        ledger.difference(cell, 0.2, level)
    row = next(row for row in ledger.rows(SOURCES) if row.id == cell.id)
    for claimed in (
        {"difference": 0.1},
        {"relative_difference": 0.1},
        {"tolerance": 0.1},
        {"verdict": "exact"},
        {"verdict": "differs (explained)", "why": "other data"},
    ):
        with pytest.raises(ValueError, match="never stands in a difference"):
            replace(row, level=level, **claimed)
        with pytest.raises(ValueError, match="never stands in a difference"):
            replace(row, level="D", reference=0.2, reference_level=level, **claimed)
    with pytest.raises(ValueError, match="never stands in a difference"):
        agreement(reported.cell("eigen.figure1.coarse5.nyu"), "8x6", level, 0, "text")


def test_the_worlds_stand_beside_the_printed_number_without_a_difference(folder: Path) -> None:
    row = by_id(folder)["eigen.table1.coarse.abs_rel"]
    assert (row.reference, row.reference_level) == (pytest.approx(0.22), "B")
    assert (row.build, row.build_level) == (pytest.approx(0.5), "B")
    assert row.level == "B"
    assert row.verdict == "not run"
    assert "NYU Depth V2" in row.why
    assert row.difference == row.relative_difference == row.tolerance == NONE
    assert row.command == "mdepth run eigen/coarse-nyu --profile full"
    assert (row.seeds, row.commit, row.images, row.protocol) == (3, "0123456789ab", 10, "worlds")
    assert row.sd == pytest.approx(0.02)
    assert row.interval_of == "t over 3 seeds"


def test_no_row_of_the_whole_ledger_subtracts_a_world(folder: Path) -> None:
    rows = ledger.rows(results=folder)
    assert any(row.level == "B" for row in rows)
    assert all(row.level in ("A", "C", "D") for row in rows if row.difference != NONE)


def test_the_mean_image_is_read_from_the_baseline_inside_the_record(folder: Path) -> None:
    assert by_id(folder)["eigen.table1.mean.rmse"].reference == pytest.approx(0.44)


def test_a_run_on_the_papers_data_is_compared(folder: Path) -> None:
    real = record(
        "coarse-nyu", 0.2275 / 1.1, real=True, profile="full", images=654, protocol="eigen-nyu", level="D"
    )
    slim = {key: {**value, "per_image": {}} for key, value in real.metrics.items()}
    results.write(replace(real, metrics=slim), folder / "full/eigen/coarse-nyu/seed0")
    rows = by_id(folder)
    row = rows["eigen.table1.coarse.abs_rel"]
    assert (row.level, row.verdict, row.reported) == ("D", "exact", ".228")
    assert row.difference == pytest.approx(-0.0005, abs=1e-6)
    far = rows["eigen.table1.coarse.delta1"]
    assert far.verdict == "differs (explained)"
    assert far.difference == pytest.approx(0.2275 - 0.618, abs=1e-5)
    assert far.why != NONE


def test_a_run_on_a_few_images_of_the_papers_data_is_not_compared(folder: Path) -> None:
    few = record("coarse-nyu", 0.2, real=True, profile="full", images=12, protocol="eigen-nyu", level="D")
    results.write(few, folder / "full/eigen/coarse-nyu/seed0")
    row = by_id(folder)["eigen.table1.coarse.abs_rel"]
    assert row.difference == NONE
    assert row.verdict == "not run"


@pytest.mark.parametrize(
    ("ours", "verdict"),
    [
        (0.2275, "exact"),  # the ends of what rounds to .228
        (0.2285, "exact"),
        (0.22849, "exact"),
        (0.22851, "within tolerance"),
        (0.2300, "within tolerance"),
        (0.2261, "within tolerance"),
        (0.2259, "differs (explained)"),
        (0.2301, "differs (explained)"),
    ],
)
def test_agreement_at_its_edges(ours: float, verdict: str) -> None:
    cell = reported.cell("eigen.table1.coarse.abs_rel")
    found, facts = agreement(cell, ours, "D", 0.002, "two thousandths")
    assert found == verdict
    assert facts["difference"] == pytest.approx(ours - 0.228)


def test_the_tolerance_is_the_rounding_and_half_the_interval(folder: Path) -> None:
    for seed, value in enumerate((0.20, 0.21, 0.22)):
        real = record("coarse-nyu", value, seed=seed, real=True, profile="full", images=654,
                      protocol="eigen-nyu", level="D")  # fmt: skip
        slim = {key: {**scores, "per_image": {}} for key, scores in real.metrics.items()}
        results.write(replace(real, metrics=slim), folder / f"full/eigen/coarse-nyu/seed{seed}")
    row = by_id(folder)["eigen.table1.coarse.abs_rel"]
    assert row.verdict == "within tolerance"
    assert row.tolerance == pytest.approx(0.0005 + 4.302653 * 0.011 / 3**0.5, rel=1e-5)  # pooled: 1.1 x value
    assert "t over 3 seeds" in row.tolerance_reason


def test_one_seed_on_a_part_of_the_test_set_takes_all_seeds_down(folder: Path) -> None:
    for seed, level in enumerate("Dd"):
        real = record("coarse-nyu", 0.2, seed=seed, real=True, profile="full", images=654,
                      protocol="eigen-nyu", level=level)  # fmt: skip
        slim = {key: {**scores, "per_image": {}} for key, scores in real.metrics.items()}
        results.write(replace(real, metrics=slim), folder / f"full/eigen/coarse-nyu/seed{seed}")
    row = by_id(folder)["eigen.table1.coarse.abs_rel"]
    assert row.difference == NONE
    assert row.verdict == "not run"


def test_the_papers_own_schedule_goes_before_a_small_run_on_its_data(folder: Path) -> None:
    for profile, value in (("laptop", 0.4), ("full", 0.25)):
        real = record("coarse-nyu", value, real=True, profile=profile, images=654, protocol="eigen-nyu",
                      level="D")  # fmt: skip
        slim = {key: {**scores, "per_image": {}} for key, scores in real.metrics.items()}
        results.write(replace(real, metrics=slim), folder / profile / "eigen/coarse-nyu/seed0")
    row = by_id(folder)["eigen.table1.coarse.abs_rel"]
    assert row.profile == "full"
    assert row.difference == pytest.approx(1.1 * 0.25 - 0.228, abs=1e-6)


def test_a_column_in_another_unit_is_not_filled(folder: Path) -> None:
    """Chakrabarti's accuracies are printed in percent; ours are shares."""
    source = reported.load("eigen")
    table = source.tables["table1"]
    line = next(line for line in table.rows if line.id == "coarse")
    runs = gather("laptop", folder)
    share, percent = COLUMNS["delta1"], source.tables["ch-table1"].columns[4]
    assert (percent.id, percent.unit) == ("delta1", "%")
    assert measured(runs, source, line.world, line, share, table) is not None
    assert measured(runs, source, line.world, line, percent, table) is None


def test_other_methods_are_reported_only_whatever_was_run(folder: Path) -> None:
    rows = by_id(folder)
    for name in ("make3d", "ladicky", "karsch"):
        found = [row for key, row in rows.items() if key.startswith(f"eigen.table1.{name}.")]
        assert found
        assert {row.verdict for row in found} == {"reported only"}
        assert {row.reference for row in found} == {NONE}


def test_not_run_says_what_it_needs_and_how_to_run_it(tmp_path: Path) -> None:
    row = by_id(tmp_path)["eigen.table2.coarse.rmse"]  # a folder without records
    assert row.verdict_text == "not run (needs KITTI raw)"
    assert row.command == "mdepth run eigen/coarse-kitti --profile full"


def test_every_command_names_a_variant_that_exists() -> None:
    from mdepth import recipes

    commands = {row.command for row in ledger.rows() if row.command.startswith("mdepth run ")}
    assert commands
    for command in commands:
        source, variant = command.split()[2].split("/")
        assert variant in recipes.get(source).VARIANTS


def test_an_unread_table_is_a_row_that_cannot() -> None:
    row = next(row for row in ledger.rows(["hu"]) if row.id == "hu.vis-lambda")
    assert row.verdict == "cannot"
    assert row.reported == "not available"


def test_a_printed_number_that_nobody_knows_cannot_be_met() -> None:
    row = next(row for row in ledger.rows(["laina"]) if row.id.endswith("fc64x48-berhu.delta1"))
    assert (row.reported, row.verdict) == ("?", "cannot")
    assert "not known" in row.why


def test_a_pooled_number_has_no_interval_over_images(folder: Path) -> None:
    """Images do not add up to it: the interval of their mean is another number's."""
    runs = gather("quick", folder)["eigen/coarse-rooms"]
    mean, pooled = (runs.measure("rmse", "worlds", averaging=kind) for kind in ("mean", "pooled"))
    assert mean is not None
    assert pooled is not None
    assert mean.summary.interval_of == "bootstrap over 10 images"
    assert pooled.summary.interval is None


def test_levels_are_decided_by_the_data() -> None:
    assert level_of(record("coarse-rooms", 0.2)) == "B"
    assert level_of(record("coarse-redkitchen", 0.2, real=True)) == "d"
    assert level_of(record("coarse-nyu", 0.2, real=True, level="D")) == "D"
    with pytest.raises(ValueError, match="synthetic"):
        level_of(record("coarse-rooms", 0.2, level="D"))
    with pytest.raises(ValueError, match="expected C, D or d"):
        level_of(record("coarse-nyu", 0.2, real=True, level="A"))


def test_stale_records_are_said_to_be(folder: Path) -> None:
    rows = ledger.rows(SOURCES, results=folder, is_stale=lambda found: found.run["seed"] == 1)
    row = next(row for row in rows if row.id == "eigen.table1.coarse.abs_rel")
    assert "stale" in row.profile


def test_a_damaged_record_is_named(folder: Path) -> None:
    (folder / "laptop/eigen/coarse-rooms/seed1/metrics.json").write_text("{")
    with pytest.raises(ValueError, match=r"seed1.*metrics\.json"):
        ledger.rows(SOURCES, results=folder)


def test_seeds_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for seed in (10, 9, 2):
        results.write(
            record("coarse-rooms", 0.2, seed=seed), tmp_path / f"laptop/eigen/coarse-rooms/seed{seed}"
        )
    runs = gather("laptop", tmp_path)["eigen/coarse-rooms"]
    assert [one.run["seed"] for one in runs.records] == [2, 9, 10]
    assert gather("quick", tmp_path) == {}


def test_without_a_results_folder_the_records_of_the_wheel_are_read(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mdepth import results

    package = tmp_path / "site" / "mdepth"
    shutil.copytree(folder / "laptop", package / "_records" / "laptop")
    monkeypatch.setattr(results, "__file__", str(package / "results.py"))
    monkeypatch.chdir(package.parent)
    monkeypatch.delenv("MDEPTH_RESULTS", raising=False)
    assert list(gather("laptop")) == ["eigen/coarse-rooms"]
    assert gather("quick") == {}


def test_a_baseline_stands_once_in_a_table_of_several_networks() -> None:
    """The records of the coarse and of the fine network hold the same mean depth of the same rooms."""
    titles = [line[0] for line in ledger.view("eigen.table1").lines(this_build=False)]
    assert titles.count("Mean depth, one number (baseline)") == 1
    assert titles.count("Mean depth map (baseline)") == 0  # the table's own first row


def with_normals(variant: str, depth: float, angle: float) -> Record:
    """A record of two tasks, with a part of the network and baselines beside each."""
    plain = record(variant, depth)
    metrics = dict(plain.metrics)
    for key, factor in (("", 1.0), ("@scales12", 1.1), ("@mean-map", 2.0)):
        metrics[f"worlds{key}"] = scores(factor * depth, 10)
        angles = {"angle_mean": factor * angle, "angle_30": 100 - factor * angle}
        each = {"mean": angles, "pooled": dict.fromkeys(angles, 0.0), "per_image": {}}
        metrics[f"normals{key}"] = {**metrics[f"worlds{key}"], **each}
    return replace(plain, metrics=metrics)


def test_normals_and_parts_of_a_network_are_read_from_its_record(tmp_path: Path) -> None:
    """The lines of 2015: scales 1 and 2 stand in the record of all three; angles under their own key."""
    for variant, depth, angle in (("multiscale-rooms", 0.2, 30.0), ("scale1-rooms", 0.25, 33.0)):
        results.write(with_normals(variant, depth, angle), tmp_path / f"laptop/eigen/{variant}/seed0")
    rows = by_id(tmp_path)
    found = {
        key: rows[f"eigen.ef-{key}"].reference
        for key in (
            "scales.scales123.abs_rel", "scales.scales12.abs_rel", "scales.scale1.abs_rel",
            "scales.scales123.angle_mean", "scales.scales12.angle_mean", "scales.scale1.angle_mean",
            "normals.alexnet-ladicky.angle_30", "table1.alexnet.abs_rel",
        )
    }  # fmt: skip
    assert list(found.values()) == pytest.approx([0.2, 0.22, 0.25, 30, 33, 33, 70, 0.2])
    for key in found:
        row = rows[f"eigen.ef-{key}"]
        assert (row.level, row.verdict, row.difference) == ("B", "not run", NONE)
    assert rows["eigen.ef-scales.scale2.abs_rel"].reference == NONE
    assert rows["eigen.ef-normals.vgg-ladicky.angle_30"].reference == NONE
    lines = {
        line[0]: line[2:] for line in ledger.view("eigen.ef-scales", results=tmp_path).lines(this_build=False)
    }
    assert lines["Mean map (baseline)"] == ["0.400 ⟨B⟩", "60 ⟨B⟩"]  # of the last variant
    normals = ledger.view("eigen.ef-normals", results=tmp_path).lines(this_build=False)
    assert [line[0] for line in normals if "baseline" in line[0]] == ["Mean map (baseline)"]
    depth = ledger.view("eigen.ef-table1", results=tmp_path).lines(this_build=False)
    assert [line[0] for line in depth if "baseline" in line[0]][-1] == "Mean depth map (baseline)"


def test_what_the_source_leaves_out_cannot_be_made_and_says_why() -> None:
    (row,) = (row for row in ledger.rows(["eigen"]) if row.id == "eigen.training.pretrain-top5.value")
    assert row.verdict == "cannot"
    assert "AlexNet fits none" in row.why


def test_a_line_without_printed_numbers_shows_ours_alone() -> None:
    lines = [line for line in ledger.view("eigen.table1").lines(this_build=False) if "λ = 0" in line[0]]
    ((_, kind, *cells),) = lines
    assert kind == "reference (synthetic worlds)"
    assert all(cell.endswith("⟨B⟩") and " ± " in cell for cell in cells)
    assert not [row for row in ledger.rows(["eigen"]) if "coarse-l2" in row.id]  # nothing to be counted


def test_a_view_shows_three_sources_the_baselines_and_every_level(folder: Path) -> None:
    table = ledger.view("eigen.table1", results=folder)
    lines = {(line[0], line[1]): line for line in table.lines(this_build=False)}
    assert lines["Coarse", "reported"][5] == ".228"
    assert lines["Coarse", "reference (synthetic worlds)"][5] == "0.220 ± 0.020 ⟨B⟩"
    assert lines["Mean depth, one number (baseline)", "reference (synthetic worlds)"][5] == "0.660 ⟨B⟩"
    assert lines["Ladicky et al.", "reported"][5] == "–"
    assert not any(name == "Make3D" and kind.startswith("reference") for name, kind in lines)
    assert all(cell.strip() for line in table.lines(this_build=False) for cell in line)
    built = table.lines(this_build=True)
    assert next(line for line in built if line[0] == "Coarse")[5] == "0.500 ⟨B⟩"
    page = table.html()
    assert "not trained to convergence" in page
    assert page.index("<details>") > page.index("</table>")
    assert page.count('title="level of evidence B"') >= 16
    assert "needs NYU Depth V2" in page
    assert "mdepth run eigen/coarse-nyu --profile full" in page


def test_a_view_of_counts_is_computed_and_marks_what_is_not_verified() -> None:
    assert (
        "| Layer 6, fully connected | computed | 50,335,744 ⟨A⟩ | 71,307,264 ⟨A⟩ |"
        in ledger.view("eigen.parameters").markdown()
    )
    digits = ledger.view("monodepth2.loss").markdown()  # as many as are printed
    assert "| M | computed | true | 0.0472869 ⟨A⟩ |" in digits
    assert ".223 †" in ledger.view("laina.table3").markdown()
    assert "could not be read" in ledger.view("hu.vis-lambda").html()
    unread = ledger.view("hu.vis-lambda")
    unread = replace(unread, table=replace(unread.table, caption="A & B <i>", why="x < y"))
    assert "A &amp; B &lt;i&gt;" in unread.html()
    assert "x &lt; y" in unread.html()
    with pytest.raises(ValueError, match="table1"):
        ledger.view("eigen.table9")


def test_csv_and_json_hold_every_row_and_are_the_same_twice(folder: Path, tmp_path: Path) -> None:
    rows = ledger.rows(SOURCES, results=folder)
    first, second = (ledger.write_csv(rows, tmp_path / name) for name in ("a.csv", "b.csv"))
    assert first.read_bytes() == second.read_bytes()
    with first.open(encoding="utf-8") as file:
        read = list(csv.DictReader(file))
    assert [line["id"] for line in read] == [row.id for row in rows]
    assert all(value for line in read for value in line.values())
    content = json.loads(ledger.write_json(rows, tmp_path / "a.json").read_text())
    assert content == [asdict(row) for row in rows]
    assert list(ledger.to_frame(rows)["id"]) == [row.id for row in rows]


def test_the_summary_counts_everything(
    capsys: pytest.CaptureFixture, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MDEPTH_RESULTS", str(folder))
    assert main(["--counts", "--source", "eigen"]) == 0
    text = capsys.readouterr().out
    rows = ledger.rows(SOURCES)
    numbers = [row for row in rows if row.id in reported.load("eigen").cells]
    assert len(numbers) == len(rows) - 1  # the semantic labels of 2015 could not be read
    found = ledger.counts(numbers)
    assert text.startswith(f"{len(numbers)} reported numbers: {found['exact']} exact")
    assert f"{found['cannot']} cannot" in text
    assert f"eigen: {len(numbers)}" in text
    assert "tables that could not be read: 1" in text
    assert f"{sum(row.verified == 'unverified' for row in numbers)} are unverified" in text
    assert main(["--source", "eigen", "--verdict", "differs (explained)"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed if "reported" in line and "reference" in line] == [
        "eigen.gains.kitti.gain",
        *CROPS,
    ]


def test_intervals_against_known_values() -> None:
    low, high = t_interval([4.0, 5.0, 6.0, 5.0, 5.0])
    assert (low, high) == (pytest.approx(5 - 2.776445 * 0.3162278), pytest.approx(5 + 2.776445 * 0.3162278))
    values = [0.0, 1.0] * 200
    low, high = bootstrap_interval(values)
    assert low == pytest.approx(0.5 - 1.96 * 0.025, abs=0.006)
    assert high == pytest.approx(0.5 + 1.96 * 0.025, abs=0.006)
    assert bootstrap_interval([*values, float("nan")]) == bootstrap_interval(values)
    assert summarise([0.3], [0.1, 0.5, 0.3]).interval_of == "bootstrap over 3 images"
    assert summarise([0.3]).interval is None
    same = summarise([0.1] * 3)
    assert (same.sd, same.interval) == (0.0, (pytest.approx(0.1), pytest.approx(0.1)))
    for few in ([], [1.0]):
        with pytest.raises(ValueError, match="at least 2"):
            t_interval(few)
    with pytest.raises(ValueError, match="nothing to summarise"):
        summarise([])


SHOWN = {0.21834: "0.218", 12288: "12,288", 0.0: "0", 1e-5: "1e-05", 123.456: "123", "8x6": "8x6"}


@pytest.mark.parametrize(("value", "text"), SHOWN.items())
def test_numbers_as_tables_show_them(value: Any, text: str) -> None:
    assert shown(value) == text
