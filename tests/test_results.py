"""Records: round trips, whole or not at all, and a schema that names file and field."""

import copy
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mdepth import results
from mdepth.results import Record
from mdepth.shapes import DataError


def scores(images: int = 3, **metrics: float) -> dict[str, Any]:
    """The scores of one protocol, the same for every image."""
    metrics = metrics or {"abs_rel": 0.123456789, "rmse": 0.5}
    return {
        "mean": dict(metrics),
        "pooled": dict(metrics),
        "per_image": {name: [value] * images for name, value in metrics.items()},
        "ids": [f"rooms/test/{i:05d}/00" for i in range(images)],
        "n_images": images,
        "n_pixels": 100 * images,
    }


def make_record(**changes: Any) -> Record:
    """A correct record."""
    run = {
        "format": 1, "source": "eigen", "variant": "coarse-rooms", "profile": "quick", "seed": 0, "identity":
        "a" * 64, "meaning": "b" * 64, "description": {"meaning": {}, "machine": {}}, "commit": None,
        "versions": {"torch": "2"}, "hardware": {"cpu": "x"}, "finished": "2026-01-01T00:00:00+00:00",
        "seconds": 1.5, "train_seconds": 1.0, "peak_memory_mb": 100.0, "parameters": 10, "sample_ids": ["a",
        "b"], "extra": {}, "data": {"hash": "c" * 64, "real": False, "train": {}, "test": {}},
    }  # fmt: skip
    run.update(changes)
    metrics = {"worlds": scores(), "worlds@mean-map": scores(abs_rel=0.4, rmse=1.2)}
    history = {"step": [1.0, 2.0], "loss": [0.5, 0.25], "lr": [0.1, 0.1], "seconds": [0.1, 0.2]}
    return Record(run, metrics, history, {"prediction": np.ones((2, 4, 5), np.float16)})


def test_round_trip(tmp_path: Path) -> None:
    record = make_record()
    place = results.write(record, tmp_path / "seed0")
    back = results.read(place)
    assert back.run == record.run
    assert back.history == record.history
    assert back.mean("abs_rel", "worlds") == pytest.approx(0.123456789, rel=1e-4)
    assert back.metrics["worlds"]["ids"] == record.metrics["worlds"]["ids"]
    np.testing.assert_array_equal(back.samples["prediction"], record.samples["prediction"])
    assert sorted(item.name for item in place.iterdir()) == sorted(results.FILES)
    assert list(tmp_path.iterdir()) == [place]
    results.check(place)


def test_equal_records_are_equal_bytes(tmp_path: Path) -> None:
    a, b = (results.write(make_record(), tmp_path / name) for name in ("a", "b"))
    for name in results.FILES:
        assert (a / name).read_bytes() == (b / name).read_bytes()


def test_unmeasured_is_null_and_numbers_are_short(tmp_path: Path) -> None:
    record = make_record()
    record.metrics["worlds"]["per_image"]["rmse"][1] = float("nan")
    text = (results.write(record, tmp_path / "r") / "metrics.json").read_text()
    assert json.loads(text)["worlds"]["per_image"]["rmse"] == [0.5, None, 0.5]
    assert "0.12346," in text


def test_extra_files_move_along_and_old_ones_go(tmp_path: Path) -> None:
    for content in (b"old", b"new"):
        (tmp_path / "w").write_bytes(content)
        place = results.write(
            make_record(), tmp_path / "seed0", files={"weights.safetensors": tmp_path / "w"}
        )
        assert (place / "weights.safetensors").read_bytes() == content
        assert list(tmp_path.iterdir()) == [place]


def test_unknown_names_are_answered_with_the_known_ones() -> None:
    with pytest.raises(DataError, match="no protocol 'eigen'; it has worlds, worlds@mean-map"):
        make_record().mean("abs_rel", "eigen")
    with pytest.raises(DataError, match="no metric 'silog'; it has abs_rel, rmse"):
        make_record().mean("silog", "worlds")


def without(record: Record, *path: str) -> Record:
    run, metrics = copy.deepcopy(record.run), copy.deepcopy(record.metrics)
    *way, last = path
    inner: Any = {"run": run, "metrics": metrics}
    for key in way:
        inner = inner[key]
    del inner[last]
    return replace(record, run=run, metrics=metrics)


@pytest.mark.parametrize("field", sorted(results.RUN_FIELDS))
def test_every_field_of_run_is_required(field: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"run\.json: field '{field}' is missing"):
        results.write(without(make_record(), "run", field), tmp_path / "r")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": "0"}, "field 'seed' must be int, found '0'"),
        ({"seed": True}, "field 'seed' must be int, found True"),
        ({"commit": 5}, "field 'commit' must be str or NoneType"),
        ({"colour": 1}, "field 'colour' is unknown"),
        ({"format": 2}, "field format is 2, this version reads 1"),
        ({"data": {"hash": "c", "real": False, "train": {}}}, "run.json, data: field 'test' is missing"),
    ],
)
def test_wrong_run(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        results.write(make_record(**changes), tmp_path / "r")


def spoil(record: Record, field: str, value: Any) -> Record:
    metrics = copy.deepcopy(record.metrics)
    metrics["worlds"][field] = value
    return replace(record, metrics=metrics)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("ids", ["one"], "worlds: field 'ids' has 1 entries, n_images is 3"),
        ("mean", {"rmse": "small"}, "worlds, mean: metric 'rmse' must be a number or null, found 'small'"),
        ("per_image", {"rmse": [1.0]}, "per_image: metric 'rmse' must be a list of 3 numbers"),
        ("per_image", {"rmse": [1.0, 2.0, "x"]}, "must be a number or null, found 'x'"),
        ("median", {}, "field 'median' is unknown"),
    ],
)
def test_wrong_metrics(field: str, value: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"metrics\.json, .*{message}"):
        results.write(spoil(make_record(), field, value), tmp_path / "r")


def test_no_metrics_uneven_history_wrong_samples(tmp_path: Path) -> None:
    record = make_record()
    cases = (
        (replace(record, metrics={}), "at least one protocol"),
        (replace(record, history={**record.history, "loss": [1.0]}), r"history\.csv: expected the columns"),
        (replace(record, samples={"prediction": np.ones((2, 4))}), "must be float16"),
        (replace(record, samples={"prediction": np.ones((3, 4), np.float16)}), r"length 2 \(sample_ids\)"),
    )
    for wrong, message in cases:
        with pytest.raises(DataError, match=message):
            results.write(wrong, tmp_path / "r")


def test_real_data_leave_no_samples(tmp_path: Path) -> None:
    data = {"hash": "c", "real": True, "train": {}, "test": {}}
    with pytest.raises(DataError, match=r"samples\.npz: a run on real data must not keep samples"):
        results.write(make_record(data=data), tmp_path / "r")
    record = replace(make_record(data=data, sample_ids=[]), samples={})
    assert results.read(results.write(record, tmp_path / "r")).samples == {}


def test_size_cap(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(size=(2, 200, 200)).astype(np.float16)
    with pytest.raises(DataError, match="a record may have 100000 bytes, this one has 1"):
        results.write(replace(make_record(), samples={"prediction": noise}), tmp_path / "r")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", results.FILES)
def test_damaged_files_are_named(name: str, tmp_path: Path) -> None:
    place = results.write(make_record(), tmp_path / "r")
    content = (place / name).read_bytes()
    for damage in (content[: len(content) // 2], b"", b"[]"):
        (place / name).write_bytes(damage)
        with pytest.raises(DataError, match=name.replace(".", r"\.")):
            results.read(place)
    (place / name).unlink()
    with pytest.raises(DataError, match=f"the file {name} is missing"):
        results.read(place)


def test_samples_with_a_changed_byte_are_named_or_whole(tmp_path: Path) -> None:
    """Whichever byte it is: never an error that does not name the file."""
    noise = np.random.default_rng(0).normal(size=(2, 20, 20)).astype(np.float16)
    place = results.write(replace(make_record(), samples={"prediction": noise}), tmp_path / "r")
    path, told, chosen = place / "samples.npz", [], random.Random(0)
    whole = path.read_bytes()
    for _ in range(300):
        spoilt = bytearray(whole)
        spoilt[chosen.randrange(len(whole))] = chosen.randrange(256)
        path.write_bytes(spoilt)
        try:
            results.read(place)
        except DataError as error:
            told.append(str(error))
    assert len(told) > 100
    assert all("samples.npz" in text for text in told)
    with path.open("wb") as file:
        np.save(file, noise)
    with pytest.raises(DataError, match=r"samples\.npz: expected plain arrays"):
        results.read(place)


def test_pickles_in_samples_are_refused(tmp_path: Path) -> None:
    place = results.write(make_record(), tmp_path / "r")
    np.savez(place / "samples.npz", prediction=np.array([{"a": 1}, None], dtype=object))
    with pytest.raises(DataError, match=r"samples\.npz"):
        results.read(place)


def test_full_disk_keeps_the_old_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = results.write(make_record(), tmp_path / "r")
    calls = []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        results.write(make_record(seed=1), place)
    assert results.read(place).run["seed"] == 0
    assert list(tmp_path.iterdir()) == [place]


WRITER = """
import sys, os
sys.path.insert(0, {tests!r})
from test_results import make_record
from mdepth import results
print("ready", flush=True)
for seed in range(10**6):
    results.write(make_record(seed=seed), {place!r})
"""


def test_killed_writer_leaves_a_whole_record_or_none(tmp_path: Path) -> None:
    place = tmp_path / "seed0"
    script = tmp_path / "writer.py"
    script.write_text(WRITER.format(tests=str(Path(__file__).parent), place=str(place)))
    found = 0
    for pause in (0.05, 0.08, 0.13):
        process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        if place.exists():  # between the two renames there is none for a moment
            results.check(place)
            found += 1
    assert found


def test_committed_records_are_correct_and_small(root: Path) -> None:
    """Every record in the repository passes its schema, none on real data has samples, and all together stay
    below 25 MB.
    """
    places = [path.parent for path in (root / "results").glob("laptop/*/*/seed*/run.json")]
    assert places
    for place in places:
        results.check(place)
    size = sum((place / name).stat().st_size for place in places for name in results.FILES)
    assert size < 25_000_000


def test_times_are_read_from_the_committed_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = {"benchmark": "speed", "rows": [{"speedup": 3.0}], "hardware": {"cpu": "some"}}
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "speed.json").write_text(json.dumps(written))
    monkeypatch.setenv("MDEPTH_RESULTS", str(tmp_path))
    assert results.benchmark("speed") == written
    with pytest.raises(DataError, match=r"haste.json: expected the result of a benchmark.*haste.py --write"):
        results.benchmark("haste")
    (tmp_path / "benchmarks" / "broken.json").write_text("{")
    with pytest.raises(DataError, match=r"broken.json"):
        results.benchmark("broken")
