"""Every benchmark can be called and is described; every committed result says what it was measured on."""

import json
import re
import runpy
import sys
from collections import Counter
from copy import deepcopy
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "benchmarks"
SCRIPTS = sorted(path for path in FOLDER.glob("*.py") if path.stem != "harness")
COMMITTED = sorted((ROOT / "results" / "benchmarks").glob("*.json"))


@pytest.fixture(autouse=True)
def _harness_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))


def check_result(content: dict[str, Any], name: str) -> None:
    """Assert that a result says what was measured, when, from which commit, on what and with what."""
    assert set(content) == {"benchmark", "date", "commit", "hardware", "versions", "rows"}
    assert content["benchmark"] == name
    assert datetime.fromisoformat(content["date"]).utcoffset() is not None
    assert re.fullmatch(r"[0-9a-f]{12}\+?", content["commit"])
    hardware, versions = content["hardware"], content["versions"]
    assert hardware["cpu"]
    assert min(hardware["cores"], hardware["threads"]) >= 1
    assert hardware["load"] >= 0
    assert {"gpu", "system"} <= set(hardware)
    assert {"python", "mdepth", "torch", "numpy"} <= set(versions)
    assert content["rows"]
    assert all(isinstance(row, dict) and row for row in content["rows"])


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_every_benchmark_says_what_it_does(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [str(path), "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(path), run_name="__main__")
    assert ended.value.code == 0
    told = " ".join(capsys.readouterr().out.split())  # however argparse breaks the lines
    assert "--write" in told
    assert f"python benchmarks/{path.name}" in told
    readme = (FOLDER / "README.md").read_text()
    assert f"| **{path.stem}**:" in readme
    assert f"`python benchmarks/{path.name} --write`" in readme


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_committed_results_say_what_they_were_measured_on(path: Path) -> None:
    assert path.stem in {script.stem for script in SCRIPTS}
    check_result(json.loads(path.read_text()), path.stem)


def test_a_result_is_written_only_if_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import harness

    monkeypatch.setattr(harness, "RESULTS", tmp_path / "benchmarks")
    monkeypatch.setattr(harness, "commit", lambda: "0123456789ab")  # a checkout without git has none
    harness.report("metrics", [{"case": "a", "ms": 1.23456}], write=False)
    assert "case a  ms 1.235" in capsys.readouterr().out
    assert not (tmp_path / "benchmarks").exists()
    harness.report("metrics", [{"case": "a", "ms": 1.23456}], write=True)
    (path,) = (tmp_path / "benchmarks").iterdir()
    content = json.loads(path.read_text())
    check_result(content, path.stem)
    assert content["rows"] == [{"case": "a", "ms": 1.23456}]


def test_the_shortest_time_of_turns_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    import harness

    now, called = [0.0], []
    monkeypatch.setattr(harness.time, "perf_counter", lambda: now[0])

    def takes(name: str, seconds: list[float]) -> Any:
        def work() -> None:
            called.append(name)
            now[0] += seconds.pop(0)

        return work

    functions = {"a": takes("a", [3.0, 1.0, 2.0]), "b": takes("b", [5.0, 6.0, 4.0])}
    assert harness.best_seconds(functions, repeats=3) == {"a": 1.0, "b": 4.0}
    assert called == ["a", "b"] * 3


def test_fast_and_plain_forms_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    import laina

    from mdepth.models.encoders import resnet50
    from mdepth.models.laina import LainaSize

    monkeypatch.setattr(laina, "TURNS", (1, 1))
    tiny = LainaSize(partial(resnet50, width=2), input_size=(64, 96), reduce=(1, 32))
    rows = [row for pair in laina.pairs(tiny) for row in laina.measure(pair, 2, "cpu")]
    counts = {"block": 8, "way": 6, "decoder": 2, "network": 2}
    assert Counter(row["part"] for row in rows[::2]) == counts
    for forward, training in zip(rows[::2], rows[1::2], strict=True):
        assert (forward["mode"], training["mode"]) == ("forward", "training")
        measured = {"mode", "plain_ms", "fast_ms", "speedup"}
        assert {key: training[key] for key in training.keys() - measured} == {
            key: forward[key] for key in forward.keys() - measured
        }
        assert forward["largest_difference"] < 1e-5
    assert all(row["speedup"] == row["plain_ms"] / row["fast_ms"] for row in rows)
    fewer = {(row["part"], row["decoder"], row["case"]): row["fewer_products"] for row in rows}
    assert fewer["block", "upconv", "4 -> 2, 16 x 24"] == 100 / 25
    plain, fast, last = 2 * 2 * 100, 2 * 2 * 25, 4 * 9  # a cell: two branches, twice the channels; the 3x3
    assert fewer["block", "upproj", "32 -> 16, 2 x 3"] == pytest.approx((plain + last) / (fast + last))
    assert fewer["way", "upconv", "one convolution"] == pytest.approx(100 / 36)
    assert fewer["way", "upconv", "transposed convolution"] == 100 / 25
    cells = 9 * 2 * 3 + 6 * 3 * 3 + 6 * 2 * 4 + 4 * 3 * 4  # B and D make a row more, C and D a column
    assert fewer["way", "upconv", "uncut"] == pytest.approx(100 * 2 * 3 / cells)


def test_the_times_of_laina_are_read_not_typed() -> None:
    import laina

    forward, training = laina.as_reported()
    assert (forward["plain_ms"], forward["fast_ms"], forward["speedup"]) == (78, 55, 78 / 55)
    assert training["saved_percent"] == 15
    assert training["speedup"] == pytest.approx(100 / 85)
    assert (forward["origin"], training["origin"]) == ("quoted", "memory")


def test_memory_of_a_build_counts_what_it_started() -> None:
    """A child fills 60 MB: both together hold more than that, the parent alone does not."""
    import subprocess

    import psutil

    memory_mb = runpy.run_path(str(FOLDER / "book.py"))["memory_mb"]
    fill = "import time; held = bytearray(b'x') * 60_000_000; print('full', flush=True); time.sleep(60)"
    start = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {fill!r}])"
    with subprocess.Popen([sys.executable, "-c", start], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "full\n"
        parent = psutil.Process(process.pid)
        both, alone = memory_mb(parent), parent.memory_info().rss / 1e6
        for child in parent.children():
            child.kill()
    assert alone < 50
    assert 60 < both < 150


class Renamed(nn.Module):
    """The same network with other names behind the encoder, as another library has them."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        copy = deepcopy(network)
        self.encoder, self.decoder, self.head = copy.encoder, copy.up, copy.answer
        for parameter in self.parameters():
            nn.init.uniform_(parameter)
        self.whole = [copy]  # not a part: its parameters are those above

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.whole[0].train(self.training)(x)


def test_two_unets_are_timed_with_the_same_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    import transfer

    from mdepth.models import build, count_parameters

    monkeypatch.setattr(transfer, "TURNS", 1)
    ours = build("transfer-resnet18-rooms")
    theirs = transfer.with_weights_of(ours, Renamed(ours))
    rows = transfer.measure(ours, theirs, 2, (64, 96))
    assert [row["mode"] for row in rows] == ["forward", "training"]
    for row in rows:
        assert row["largest_difference"] == 0
        assert row["speedup"] == row["theirs_ms"] / row["ours_ms"]
        assert row["parameters"] == count_parameters(ours)
    with pytest.raises(ValueError, match="of the other network is not"):
        transfer.with_weights_of(ours, Renamed(build("transfer-plain18-rooms")))
