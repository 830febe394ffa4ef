"""Runs: identity, load-or-run once, resuming after kill -9, staleness, and archives that cannot escape."""

import importlib.metadata
import io
import json
import os
import platform
import random
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny_recipe
import torch

import mdepth
from mdepth import recipes, results, runs, weights
from mdepth.runs import Run
from mdepth.runs.__main__ import main
from mdepth.runs.machine import machine, versions
from mdepth.shapes import DataError
from mdepth.train import read_checkpoint

SCRIPT = str(Path(__file__).parent / "tiny_recipe.py")


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """The tiny source, and an empty folder of results."""
    monkeypatch.setattr(recipes, "SOURCES", recipes.SOURCES)
    monkeypatch.setenv("MDEPTH_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("TINY_LOG", str(tmp_path / "log"))
    monkeypatch.delenv("MDEPTH_DATA", raising=False)
    tiny_recipe.register()
    yield sys.modules["mdepth.recipes.tiny"]
    del sys.modules["mdepth.recipes.tiny"]


def trained(tmp_path: Path) -> int:
    """How many times a run was really trained."""
    log = tmp_path / "log"
    return len(log.read_text().splitlines()) if log.exists() else 0


def quiet(run: Run) -> results.Record:
    return runs.load_or_run(run, progress=False, say=lambda text: None)


RUN = {"source": "tiny", "variant": "line", "profile": "quick", "seed": 0}


def test_runs_once_and_then_loads(tmp_path: Path) -> None:
    run = Run(**RUN)
    record = quiet(run)
    assert trained(tmp_path) == 1
    again = quiet(run)
    assert trained(tmp_path) == 1
    assert again.run == record.run
    place = tmp_path / "results" / "quick" / "tiny" / "line" / "seed0"
    assert runs.folder(run) == place == record.folder
    assert sorted(path.name for path in place.iterdir()) == sorted([*results.FILES, "weights.safetensors"])
    assert not runs.work_folder(run).exists()
    assert [path.name for path in (tmp_path / "results" / ".mdepth").iterdir()] == ["locks"]


def test_record_says_what_it_was(tmp_path: Path) -> None:
    run = Run(**RUN)
    about = quiet(run).run
    assert about["identity"] == run.identity
    assert about["meaning"] == run.meaning
    assert about["description"] == run.description()
    assert about["description"]["meaning"]["settings"]["steps"] == 20
    assert about["description"]["machine"]["threads"] >= 1
    assert {"python", "torch", "mdepth"} <= set(about["versions"])
    assert about["parameters"] == 2
    assert about["peak_memory_mb"] > 10
    assert about["seconds"] >= about["train_seconds"] > 0


def test_meaning_and_identity(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(**RUN)
    assert (run.meaning, run.identity) == (Run(**RUN).meaning, Run(**RUN).identity)
    others = [Run(**{**RUN, "seed": 1}), Run(**{**RUN, "variant": "real"})]
    assert len({run.meaning, *(other.meaning for other in others)}) == 3
    monkeypatch.setattr("mdepth.runs.run.machine", lambda accelerator: {"device": "other", "threads": 99})
    moved = Run(**RUN)
    assert moved.meaning == run.meaning
    assert moved.identity != run.identity
    monkeypatch.setattr(tiny, "VERSION", 2)
    assert Run(**RUN).meaning != run.meaning


def test_other_machines_records_count_and_stale_ones_do_not(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = quiet(Run(**RUN))
    monkeypatch.setattr("mdepth.runs.run.machine", lambda accelerator: {"device": "other", "threads": 99})
    assert quiet(Run(**RUN)).run == record.run
    assert trained(tmp_path) == 1
    monkeypatch.setattr(tiny, "VERSION", 2)
    assert runs.is_stale(record)
    assert runs.found(Run(**RUN)) is None
    fresh = quiet(Run(**RUN))
    assert trained(tmp_path) == 2
    assert not runs.is_stale(fresh)
    assert fresh.metrics == record.metrics


def test_damaged_record_is_made_again(tmp_path: Path) -> None:
    place = quiet(Run(**RUN)).folder
    assert place is not None
    (place / "metrics.json").write_text("{")
    said: list[str] = []
    record = runs.load_or_run(Run(**RUN), progress=False, say=said.append)
    assert "metrics.json" in said[0]
    assert record.mean("abs_rel", "points") >= 0
    assert trained(tmp_path) == 2


def spawn(**environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, SCRIPT, "laptop"],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_killed_run_goes_on_in_one_of_two_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed with -9, then asked for by two at once: one resumes, the other waits and reads its record."""
    monkeypatch.setenv("TINY_PAUSE", "0.1")  # part of the settings, so of the run's meaning
    run = Run("tiny", "line", "laptop", 0)
    process = spawn()
    place, deadline = runs.root() / ".mdepth", time.monotonic() + 120
    while not (found := list(place.glob("tiny-*/checkpoint.pt"))) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert 0 < read_checkpoint(found[0])["step"] < 20
    assert not runs.folder(run).exists()

    processes = [spawn() for _ in range(2)]
    answers = [process.communicate(timeout=240)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert answers[0] == answers[1] != ""
    assert trained(tmp_path) == 2  # the killed one and the one that went on
    resumed = results.read(runs.folder(run))
    settings = runs.Run("tiny", "line", "quick", 0).settings()
    whole = sys.modules["mdepth.recipes.tiny"].run(settings, 0, folder=None, name="x", progress=False)
    assert resumed.history["loss"] == pytest.approx(whole.history.loss, rel=1e-5)
    assert resumed.mean("abs_rel", "points") == pytest.approx(
        whole.metrics["points"]["mean"]["abs_rel"], rel=1e-4
    )


def test_seconds_count_those_of_a_killed_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed behind the last step, before the record was written: what is left takes no time, and yet the
    record says how long the training took.
    """
    monkeypatch.setenv("TINY_PAUSE", "0.05")
    run = Run("tiny", "line", "laptop", 0)
    runs.work_folder(run).mkdir(parents=True)
    recipe = sys.modules["mdepth.recipes.tiny"]
    recipe.run(run.settings(), run.seed, folder=runs.work_folder(run), name=str(run), progress=False)
    start = time.perf_counter()
    record = runs.load_or_run(run, progress=False)
    elapsed = time.perf_counter() - start
    assert record.run["train_seconds"] >= 20 * 0.05
    assert record.run["seconds"] >= record.run["train_seconds"]
    assert record.run["seconds"] - elapsed >= 0.9 * record.run["train_seconds"]


def test_plan_and_reference(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert [str(run) for run in runs.plan("laptop", "tiny")] == [
        "tiny/line (laptop, seed 0)",
        "tiny/line (laptop, seed 1)",
    ]
    assert {run.variant for run in runs.plan("quick", "tiny")} == {"line"}
    monkeypatch.setenv("MDEPTH_DATA", str(tmp_path))
    assert {run.variant for run in runs.plan("quick", "tiny")} == {
        "line"
    }  # a folder without the set it needs
    (tmp_path / "mono").mkdir()
    (tmp_path / "mono" / "street.png").touch()
    assert {run.variant for run in runs.plan("quick", "tiny")} == {"line", "real"}
    assert runs.reference("tiny", "line") == []
    quiet(Run("tiny", "line", "laptop", 1))
    assert [record.run["seed"] for record in runs.reference("tiny", "line")] == [1]
    assert runs.reference("tiny", "line", seed=0) == []


def test_other_real_files_make_another_record(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run = Run("tiny", "real", "quick", 0)
    monkeypatch.setenv("MDEPTH_DATA", str(tmp_path / "data"))
    (tmp_path / "data" / "mono").mkdir(parents=True)
    (tmp_path / "data" / "mono" / "street.png").touch()
    assert quiet(run).run["data"]["hash"] == "street.png"
    quiet(run)
    assert trained(tmp_path) == 1
    (tmp_path / "data" / "mono" / "wood.png").touch()
    assert runs.found(run) is None
    assert quiet(run).run["data"]["hash"] == "street.png wood.png"
    assert trained(tmp_path) == 2
    monkeypatch.delenv("MDEPTH_DATA")
    assert runs.found(run) is not None  # without files there is nothing to differ from


def test_every_planned_run_of_every_source_has_a_meaning() -> None:
    for profile in recipes.PROFILES:
        planned = runs.plan(profile, real=True)
        assert len({(run.profile, run.meaning) for run in planned}) == len(planned)
        assert all(json.dumps(run.description()) for run in planned)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"source": "eigne"}, "unknown source 'eigne'; there are recipes for eigen"),
        ({"variant": "lime"}, "unknown variant 'lime' of tiny; choose one of line, real"),
        ({"profile": "fast"}, "unknown profile 'fast' of tiny; choose one of quick, laptop, full"),
        ({"seed": -1}, "seed must not be negative, got -1"),
    ],
)
def test_unknown_names(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Run(**{**RUN, **wrong})
    with pytest.raises(ValueError, match="unknown profile 'fast'"):
        runs.plan("fast")


def test_results_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MDEPTH_RESULTS", str(tmp_path / "file"))
    with pytest.raises(DataError, match=r"file: expected a folder that may be written.*MDEPTH_RESULTS"):
        quiet(Run(**RUN))


def test_command_runs_what_is_missing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["laptop", "tiny", "--list"]) == 0
    assert "[2/2] tiny/line (laptop, seed 1): to do" in capsys.readouterr().err
    assert trained(tmp_path) == 0
    assert main(["laptop", "tiny"]) == 0
    assert main(["laptop", "tiny"]) == 0
    assert "[2/2] tiny/line (laptop, seed 1): there" in capsys.readouterr().err
    assert trained(tmp_path) == 2


def test_command_makes_a_damaged_record_again(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    place = quiet(Run(**RUN)).folder
    assert place is not None
    (place / "metrics.json").write_text("{")
    assert main(["quick", "tiny", "--list"]) == 0
    assert "seed 0): to do again (" in capsys.readouterr().err
    assert main(["quick", "tiny"]) == 0
    assert trained(tmp_path) == 2
    results.check(place)


@pytest.mark.parametrize(
    ("cuda", "mps", "devices"),
    [
        (False, False, {"auto": "cpu", "cpu": "cpu"}),
        (False, True, {"auto": "mps", "gpu": "mps", "mps": "mps", "cpu": "cpu"}),
        (True, False, {"auto": "a card", "gpu": "a card", "cuda": "a card", "cpu": "cpu"}),
    ],
)
def test_a_record_names_the_device_that_trained(
    cuda: bool, mps: bool, devices: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: "a card")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert {name: machine(name)["device"] for name in devices} == devices


def test_a_record_names_the_version_of_the_code_that_ran(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not of what was once installed: a checkout moves on under its installation, or was never installed."""

    def version(name: str) -> str:
        if name == "mdepth":
            raise importlib.metadata.PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert versions() == {
        "python": platform.python_version(),
        "mdepth": mdepth.__version__,
        "torch": "1",
        "numpy": "1",
        "lightning": "1",
    }


def test_publish_puts_half_precision_into_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "PRETRAINED", tmp_path / "pretrained")
    with pytest.raises(DataError, match=r"expected the weights of tiny/line .*, found none"):
        runs.publish(Run(**RUN))
    assert main(["quick", "tiny", "--publish"]) == 0
    path = weights.pretrained("tiny-line")
    about = weights.metadata(path)
    assert (about["run"], about["level"]) == ("tiny/line (quick, seed 0)", "B")
    assert weights.metadata(runs.folder(Run(**RUN)) / "weights.safetensors") == about
    record, state = runs.found(Run(**RUN)), weights.read(path)
    assert record is not None
    assert state["weight"].dtype == torch.float16
    assert state["weight"].item() == pytest.approx(record.samples["prediction"][0, 0, 0], rel=1e-3)
    monkeypatch.setattr("mdepth.runs.store.PUBLISHED_LIMIT", 3)
    with pytest.raises(DataError, match="4 bytes in half precision, a published network may have 3"):
        runs.publish(Run(**RUN))


def test_pack_and_unpack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = quiet(Run(**RUN))
    archive = tmp_path / "records.tar.gz"
    assert runs.pack(archive) == ["quick/tiny/line/seed0"]
    first = archive.read_bytes()
    runs.pack(archive, profile="quick", source="tiny")
    assert archive.read_bytes() == first
    with pytest.raises(DataError, match="no records of profile laptop, source any"):
        runs.pack(archive, profile="laptop")
    monkeypatch.setenv("MDEPTH_RESULTS", str(tmp_path / "elsewhere"))
    for _ in range(2):  # the second time it replaces
        assert runs.unpack(archive) == ["quick/tiny/line/seed0"]
    there = results.read(runs.folder(Run(**RUN)))
    assert there.run == record.run
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["quick"]


def test_a_killed_exchange_leaves_a_whole_record_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However far it got: folders are renamed, none is taken apart where it may be read."""
    place, archive = quiet(Run(**RUN)).folder, tmp_path / "records.tar.gz"
    assert place is not None
    runs.pack(archive)
    real, seen = os.unlink, []

    def look(path: Any, *arguments: Any, **options: Any) -> None:
        real(path, *arguments, **options)
        seen.append(place.exists() and not (place / "run.json").exists())

    monkeypatch.setattr(os, "unlink", look)
    runs.unpack(archive)
    assert len(seen) > 4  # the files of the old record went
    assert not any(seen)
    results.check(place)


def test_an_archive_on_a_full_disk_keeps_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet(Run(**RUN))
    folder = tmp_path / "carried"
    folder.mkdir()
    runs.pack(folder / "records.tar.gz")
    before = (folder / "records.tar.gz").read_bytes()

    def full(path: Path, content: bytes) -> None:
        with path.open("wb") as file:
            file.write(content[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        runs.pack(folder / "records.tar.gz")
    assert [path.name for path in folder.iterdir()] == ["records.tar.gz"]
    assert (folder / "records.tar.gz").read_bytes() == before


def test_archives_with_a_changed_byte_are_named_or_whole(tmp_path: Path) -> None:
    """Whichever byte it is: never an error that does not name the file, and nothing left behind."""
    record, path = quiet(Run(**RUN)), tmp_path / "records.tar.gz"
    runs.pack(path)
    whole, chosen, told = path.read_bytes(), random.Random(0), []
    for _ in range(300):
        spoilt = bytearray(whole)
        spoilt[chosen.randrange(len(whole))] = chosen.randrange(256)
        path.write_bytes(spoilt)
        try:
            runs.unpack(path)
        except DataError as error:
            told.append(str(error))
    assert len(told) > 100
    assert all("records.tar.gz: " in text for text in told)
    assert sorted(item.name for item in runs.root().iterdir()) == [".mdepth", "quick"]
    assert record.folder is not None
    results.check(record.folder)


def archive_of(path: Path, members: list[tuple[str, bytes | None]]) -> Path:
    """A .tar.gz of files; None makes a link."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if content is None:
                info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return path


GOOD = "quick/tiny/line/seed0"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("../evil.txt", b"x"),
        ("/tmp/evil.txt", b"x"),
        ("quick/../../../../evil/run.json", b"x"),
        ("quick/tiny/../line/run.json", b"x"),
        (f"{GOOD}/run.json", None),
        (f"{GOOD}/weights.safetensors", b"x"),
        (f"{GOOD}/sub/run.json", b"x"),
        ("fast/tiny/line/seed0/run.json", b"x"),
    ],
)
def test_archives_that_hold_anything_else_are_refused(
    name: str, content: bytes | None, tmp_path: Path
) -> None:
    path = archive_of(tmp_path / "bad.tar.gz", [(f"{GOOD}/metrics.json", b"{}"), (name, content)])
    with pytest.raises(DataError, match=r"bad\.tar\.gz: member .*nothing was unpacked"):
        runs.unpack(path)
    assert not list(runs.root().iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.tar.gz", "results"]


def test_archives_with_a_wrong_record_change_nothing(tmp_path: Path) -> None:
    record = quiet(Run(**RUN))
    assert record.folder is not None
    files = {name: (record.folder / name).read_bytes() for name in results.FILES}
    moved = archive_of(
        tmp_path / "moved.tar.gz", [(f"quick/tiny/line/seed7/{n}", c) for n, c in files.items()]
    )
    with pytest.raises(DataError, match="seed7 says that it is quick/tiny/line/seed0; nothing was unpacked"):
        runs.unpack(moved)
    files["metrics.json"] = b"{}"
    wrong = archive_of(tmp_path / "wrong.tar.gz", [(f"{GOOD}/{n}", c) for n, c in files.items()])
    with pytest.raises(DataError, match=r"wrong\.tar\.gz: quick/tiny/line/seed0/metrics\.json: .*; nothing"):
        runs.unpack(wrong)
    assert results.read(record.folder).run == record.run


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b\x08\x00broken"])
def test_damaged_archives_are_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bad.tar.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"bad\.tar\.gz: expected an archive made by mdepth\.runs\.pack"):
        runs.unpack(path)
    with pytest.raises(DataError, match=r"absent\.tar\.gz: expected an archive"):
        runs.unpack(tmp_path / "absent.tar.gz")
