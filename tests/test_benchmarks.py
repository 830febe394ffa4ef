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
from textwrap import dedent
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


def tiny_monodepth2() -> Any:
    """Both networks of Monodepth2, small, with weights of their own."""
    from mdepth.models.monodepth2 import RESNET18, Monodepth2
    from mdepth.models.monodepth2_motion import DepthAndPose, PoseResNet

    encoder = partial(RESNET18, width=8)
    depth = Monodepth2((64, 64), encoder, (4, 4, 8, 8, 16))
    return DepthAndPose(depth, PoseResNet(encoder=encoder, width=16))


def test_a_part_within_a_part_counts_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    import monodepth2

    now = [0.0]
    monkeypatch.setattr(monodepth2.time, "perf_counter", lambda: now[0])
    watch = monodepth2.Stopwatch("cpu")

    def passes(seconds: float) -> None:
        now[0] += seconds

    with watch.part("outer"):
        passes(1)
        watch.watched(passes, "inner")(2)
        passes(4)
    passes(8)
    watch.watched(passes, "inner")(16)
    assert watch.seconds == {"outer": 5, "inner": 18}


def test_a_step_of_monodepth2_is_taken_apart() -> None:
    import monodepth2

    networks, batch = tiny_monodepth2(), monodepth2.make_batch(2, (64, 64))
    rows = monodepth2.measure(networks, batch, {"network": "tiny"}, turns=1)
    for form in monodepth2.FORMS:
        whole, *parts = (row for row in rows if row["form"] == form)
        assert whole["measured"] == "step"
        assert whole["ms"] > 0
        assert whole["peak_mb"] > 4e-6 * sum(each.numel() for each in networks.parameters())  # the gradients
        assert {row["part"] for row in parts} == {
            *(f"{name} network, {way}" for name in ("depth", "pose") for way in ("forward", "backward")),
            "warping", "absolute", "SSIM", "smoothness", "rest of the loss", "loss, backward", "Adam",
        }  # fmt: skip
        assert sum(row["share"] for row in parts) == pytest.approx(1)

    step = monodepth2.Ours(networks, monodepth2.FORMS["contiguous"], batch)
    step.loss().backward()
    at_once = [each.grad.clone() for each in step.networks.parameters()]
    step.parts()
    for one, other in zip(at_once, step.networks.parameters(), strict=True):
        torch.testing.assert_close(other.grad, one)


RELEASED = {
    "options.py": """
        import argparse

        class MonodepthOptions:
            parser = argparse.ArgumentParser()
            parser.add_argument("--no_cuda", action="store_true")
            for name in ("load_weights_folder", "log_dir", "weights_init"):
                parser.add_argument(f"--{name}")
            for name in ("height", "width", "batch_size", "learning_rate", "num_workers"):
                parser.add_argument(f"--{name}", type=int)
        """,
    "trainer.py": """
        import torch, torch.nn.functional as F
        from datasets import KITTIRAWDataset
        from IPython import embed
        from tensorboardX import SummaryWriter

        from mdepth.recipes.monodepth2_weights import load_released, load_released_pose
        from mdepth.reprojection import reprojection_loss
        from test_benchmarks import tiny_monodepth2

        class Encoder(torch.nn.Module):
            def __init__(self, network):
                super().__init__()
                self.network = network

            def forward(self, image):
                return self.network.encoder(self.network.normalise(image))

        class Decoder(Encoder):
            def forward(self, features):
                return {("disp", 0): self.network.decoder(features, (64, 64))[0]}

        class Trainer:
            def __init__(self, options):
                assert F.grid_sample.keywords == {"align_corners": True}
                assert (options.height, options.width, options.batch_size) == (64, 64, 2)
                assert len(KITTIRAWDataset()) > 0
                self.both = tiny_monodepth2()
                load_released(self.both.depth, options.load_weights_folder)
                load_released_pose(self.both.pose, options.load_weights_folder)
                self.models = {"encoder": Encoder(self.both.depth), "depth": Decoder(self.both.depth)}
                self.model_optimizer = torch.optim.Adam(self.both.parameters(), options.learning_rate)

            def set_train(self):
                self.both.train()

            def process_batch(self, inputs):
                seen, views = ([inputs[key, i, 0] for i in (0, -1, 1)] for key in ("color_aug", "color"))
                answer = self.both(seen[0], torch.stack(seen[1:], 1))
                pyramid = [inputs["color", 0, scale] for scale in range(4)]
                sources, K = torch.stack(views[1:], 1), torch.linalg.inv(inputs["inv_K", 0])[:, :3, :3]
                loss = reprojection_loss(answer.sigmoids, pyramid, sources, K, answer.T_neighbour_target)
                return {}, {"loss": loss}
        """,
}
"""Our step under the released names: in place of a clone."""


def test_the_released_step_is_called_with_our_weights_and_batch(tmp_path: Path) -> None:
    import monodepth2

    networks, batch = tiny_monodepth2(), monodepth2.make_batch(2, (64, 64))
    with pytest.raises(SystemExit, match="expected a clone"):
        monodepth2.Official(tmp_path, networks, batch)
    for name, text in RELEASED.items():
        (tmp_path / name).write_text(dedent(text))
    theirs = monodepth2.Official(tmp_path, networks, batch)
    assert "trainer" not in sys.modules
    assert str(tmp_path) not in sys.path
    rows = monodepth2.compare(theirs, networks, batch, {"network": "tiny", "batch": 2}, turns=2)
    assert [(row["measured"], row["batch"]) for row in rows] == [("training", 2), ("prediction", 1)] * 3
    for row in rows:
        assert 0 < row["speedup_low"] <= row["speedup"] <= row["speedup_high"]
        assert row["difference"] < (0.05 if row["form"] == "bf16" else 1e-6)
    assert rows[0]["difference"] == abs(rows[0]["loss"] - rows[0]["official_loss"])
    assert min(rows[0]["peak_mb"], rows[0]["official_peak_mb"]) > 0


def tiny_masks() -> dict[str, Any]:
    """Two mask predictors, the second smaller than the first."""
    from mdepth.models.encoders_drn import drn_d_22
    from mdepth.models.hu_masks import MaskPredictor

    sizes = {"hu-mask": (4, (16, 8, 4)), "hu-mask-light": (2, (8, 4, 2))}
    return {
        name: MaskPredictor(partial(drn_d_22, width=width, widest=16), widths).eval()
        for name, (width, widths) in sizes.items()
    }


def tiny_hu() -> Any:
    """A small network of Hu et al. 2019; its encoder's last four maps have 4, 8, 16 and 32 channels."""
    from mdepth.models.encoders import resnet18
    from mdepth.models.hu import Hu

    encoder = partial(resnet18, width=4, form="torchvision")
    return Hu(encoder, (64, 96), (64, 96), fusion=2)


def products_of(network: nn.Module, *inputs: torch.Tensor) -> int:
    """Multiply-adds of the convolutions of one pass."""
    found = []

    def count(conv: nn.Conv2d, given: Any, made: torch.Tensor) -> None:
        found.append(made.numel() * conv.weight[0].numel())

    for conv in (each for each in network.modules() if isinstance(each, nn.Conv2d)):
        conv.register_forward_hook(count)
    with torch.no_grad():
        network(*inputs)
    return sum(found)


def test_masks_are_predicted_in_every_form() -> None:
    import hu

    from mdepth.models import count_parameters

    predictors, seen = tiny_masks(), torch.rand(1, 3, 40, 56)
    rows = hu.measure_prediction(predictors, seen, turns=1)
    forms = ["contiguous", "channels-last", "bf16", "bf16, contiguous"]
    assert [(row["predictor"], row["form"]) for row in rows] == [
        (name, form) for name in predictors for form in forms
    ]
    ms = {(row["predictor"], row["form"]): row["ms"] for row in rows}
    counted = {name: products_of(predictor, seen) for name, predictor in predictors.items()}
    for row in rows:
        name, form = row["predictor"], row["form"]
        assert row["speedup"] == pytest.approx(ms[name, "contiguous"] / row["ms"])
        assert row["faster_than_paper"] == pytest.approx(ms["hu-mask", form] / row["ms"])
        assert row["largest_difference"] < (0.05 if "bf16" in form else 1e-5)
        assert (row["largest_difference"] > 1e-5) == ("bf16" in form)
        assert row["parameters"] == count_parameters(predictors[name])
        assert row["products"] == counted[name]
        assert row["fewer_products"] == counted["hu-mask"] / counted[name]


def test_a_search_of_a_few_steps_says_what_all_would_take(monkeypatch: pytest.MonkeyPatch) -> None:
    import hu

    def seconds(calls: dict[str, Any], repeats: int) -> dict[str, float]:
        _, history = calls["steps"]()
        assert (len(history), len(calls["once"]()[1]), repeats) == (4, 0, 3)
        return {"once": 0.5, "steps": 6.5, "hu-mask": 0.25, "hu-mask-light": 0.125}

    monkeypatch.setattr(hu, "best_seconds", seconds)
    rows = hu.measure_search("tiny", tiny_hu(), tiny_masks(), timed=4, turns=3)
    assert [row["predictor"] for row in rows] == ["hu-mask", "hu-mask-light"]
    for row, predicted in zip(rows, (250, 125), strict=True):
        assert (row["timed_steps"], row["steps"], row["step_ms"]) == (4, 200, 1500)
        assert row["sought_ms"] == 500 + 200 * 1500
        assert (row["predicted_ms"], row["speedup"]) == (predicted, 300_500 / predicted)


def test_a_fusion_is_measured_with_its_large_maps_and_without() -> None:
    import hu

    network = tiny_hu()
    rows = hu.measure_fusion(network, 2, turns=1)
    cases = [(part, mode) for part in ("MFF", "network") for mode in ("forward", "training")]
    assert [(row["part"], row["mode"]) for row in rows] == cases
    for row in rows:
        assert row["speedup"] == row["plain_ms"] / row["fast_ms"]
        assert row["less_memory"] == row["plain_peak_mb"] / row["fast_peak_mb"] > 1
        assert row["plain_largest_mb"] == 4e-6 * 2 * 32 * 32 * 48  # the coarsest map, enlarged
        assert row["plain_largest_mb"] < row["plain_peak_mb"]
        assert row["fewer_products"] > 1
        assert row["largest_difference"] < 1e-5
    taps = 2 * 25 * 2 * 16 * 24  # of the finest map
    assert [row["fast_largest_mb"] for row in rows[:2]] == [4e-6 * taps] * 2
    for part, (forward, training) in ((network.fusion, rows[:2]), (network, rows[2:])):
        gradients = 4e-6 * sum(each.numel() for each in part.parameters())
        assert min(training["fast_peak_mb"], training["plain_peak_mb"]) > gradients
        assert training["fast_peak_mb"] > forward["fast_peak_mb"]


@pytest.mark.parametrize("bf16", [False, True])
def test_a_step_of_the_mask_predictor_is_taken_apart(bf16: bool) -> None:
    import hu

    predictor, network = tiny_masks()["hu-mask-light"], tiny_hu()
    rows = hu.measure_step(predictor, network, 2, turns=1)
    whole, *parts = (row for row in rows if row["form"] == ("bf16" if bf16 else "fp32"))
    assert whole["measured"] == "step"
    assert min(whole["ms"], whole["peak_mb"]) > 0
    assert {row["part"] for row in parts} == {
        "G, forward", "G, backward", "G, Adam", "loss", "N, whole image", "N, masked image, forward",
        "N, masked image, backward",
    }  # fmt: skip
    shares = {row["part"]: row["share"] for row in parts}
    assert sum(shares.values()) == pytest.approx(1)
    assert whole["G_share"] + whole["N_share"] + shares["loss"] == pytest.approx(1)

    step = hu.MaskStep(predictor, network, torch.rand(2, 3, 64, 96), bf16=bf16)
    step.loss().backward()
    at_once = [each.grad.clone() for each in step.predictor.parameters()]
    step.parts()
    for one, other in zip(at_once, step.predictor.parameters(), strict=True):
        torch.testing.assert_close(other.grad, one)
    assert all(each.grad is None for each in step.network.parameters())
