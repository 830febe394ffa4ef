"""``mdepth runs``, ``run``, ``train`` and ``evaluate``: records made, found, changed and scored."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_tools import check_refused, invoke, read

from mdepth import recipes, results, runs
from mdepth.cli.changed import changed
from mdepth.datasets.worlds import World, load

TINY = {"steps": 2, "batch": 2, "train_size": 3, "test_size": 2}


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    """A folder for worlds that the tests of this file share."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def apart(tmp_path, cache, monkeypatch):
    """Results, cache and working folder of these tests alone, and no real data unless a test names them."""
    monkeypatch.setenv("MDEPTH_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("MDEPTH_CACHE", str(cache))
    monkeypatch.setenv("TQDM_DISABLE", "1")
    monkeypatch.delenv("MDEPTH_DATA", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def tiny(monkeypatch):
    """The recipe of the coarse network with settings that take a second."""
    eigen = recipes.get("eigen")
    real = eigen.settings
    monkeypatch.setattr(
        eigen, "settings", lambda variant, profile: dataclasses.replace(real(variant, profile), **TINY)
    )


# ---- runs and run ----


def test_runs_lists_the_plan_of_every_profile():
    found = read("runs")
    planned = [run for profile in recipes.PROFILES for run in runs.plan(profile, real=False)]
    assert [(r["run"], r["profile"], r["seed"]) for r in found] == [
        (f"{run.source}/{run.variant}", run.profile, run.seed) for run in planned
    ]
    assert {r["state"] for r in found} == {"to do"}
    text = invoke("runs", "--profile", "quick", "--source", "eigen")
    assert "eigen/coarse-rooms" in text.stdout
    assert "0 of" in text.stdout
    assert "MDEPTH_DATA" in text.stderr


def test_run_makes_a_record_once_and_runs_tells_its_state(tiny, tmp_path):
    first = invoke("run", "eigen/coarse-rooms", "--profile", "quick")
    assert first.exit_code == 0, first.output + repr(first.exception)
    assert "mean-depth" in first.stdout
    told = read("run", "eigen/coarse-rooms", "--profile", "quick")[0]
    record = results.read(told["folder"])
    assert told["metrics"]["worlds"]["abs_rel"] == record.mean("abs_rel", "worlds")
    assert Path(told["weights"]).is_file()
    states = {r["run"]: r["state"] for r in read("runs", "--profile", "quick", "--source", "eigen")}
    assert states["eigen/coarse-rooms"] == "recorded"
    (Path(told["folder"]) / "metrics.json").write_text("{")
    states = {r["run"]: r for r in read("runs", "--profile", "quick")}
    assert states["eigen/coarse-rooms"]["state"] == "damaged"
    assert "metrics.json" in states["eigen/coarse-rooms"]["problem"]


def test_a_record_of_other_settings_is_stale(tiny, monkeypatch):
    read("run", "eigen/coarse-rooms", "--profile", "quick")
    monkeypatch.setattr(recipes.get("eigen"), "VERSION", 10_000)
    states = {r["run"]: r["state"] for r in read("runs", "--profile", "quick")}
    assert states["eigen/coarse-rooms"] == "stale"


def test_a_source_stands_for_all_its_planned_variants(monkeypatch):
    from mdepth.cli import runs as commands

    monkeypatch.setattr(runs, "load_or_run", lambda run: pytest.fail(f"{run} was run"))
    named = [str(run) for run in commands._planned("eigen", "laptop", None, None)]
    assert named == [str(run) for run in runs.plan("laptop", "eigen", real=False)]
    assert [run.seed for run in commands._planned("eigen/coarse-roads", "laptop", None, None)] == [
        0,
        1,
        2,
        3,
        4,
    ]
    assert [str(run) for run in commands._planned("eigen/coarse-roads", "quick", 7, None)] == [
        "eigen/coarse-roads (quick, seed 7)"
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "eigne"], ["did you mean 'eigen'"]),
        (["run", "eigen/coarse-room"], ["did you mean 'coarse-rooms'"]),
        (["run", "eigen/coarse-nyu", "--profile", "quick"], ["coarse-nyu", "quick"]),
        (["run", "eigen/coarse-rooms", "--profile", "laptp"], ["did you mean 'laptop'"]),
        (["run", "eigen/coarse-rooms", "--device", "gpu"], ["unknown device 'gpu'"]),
        (["run", "eigen/coarse-rooms", "--data", "nowhere"], ["nowhere"]),
        (["run", "eigen/coarse-rooms", "--seed", "-1"], ["seed"]),
        (["run", "eigen", "--seed", "99"], ["seed 99"]),
        (["run", "eigen/coarse-redkitchen"], ["MDEPTH_DATA"]),
        (["runs", "--profile", "fast"], ["unknown profile 'fast'"]),
        (["runs", "--source", "eigne"], ["did you mean 'eigen'"]),
        (["train", "eigen", "-o", "mine"], ["SOURCE/VARIANT", "coarse-rooms"]),
        (["train", "eigen/coarse-rooms", "-o", "mine", "--set", "step=3"], ["did you mean 'steps'", "batch"]),
        (["train", "eigen/coarse-rooms", "-o", "mine", "--set", "steps"], ["NAME=VALUE"]),
        (["train", "eigen/coarse-rooms", "-o", "mine", "--set", "steps=many"], ["int", "many"]),
        (["train", "eigen/coarse-rooms", "-o", "mine", "--set", "steps=2.5"], ["int"]),
        (["train", "eigen/coarse-rooms", "-o", "mine", "--set", "zoom=(1.0,)"], ["zoom"]),
        (["train", "eigen/coarse-rooms", "-o", "mine", "--set", "steps=0"], ["at least 1"]),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(arguments, words, tmp_path):
    check_refused(invoke(*arguments), *words, after=("[1/", "eigen/"))  # which of the runs it was
    assert [path for path in tmp_path.rglob("*") if path.is_file() and ".mdepth" not in path.parts] == []


def test_a_run_that_diverges_is_one_line_and_status_1(tiny, monkeypatch):
    from mdepth.train import TrainingDiverged

    def lost(*_, **__):
        raise TrainingDiverged("loss nan at step 3, learning rate 1; try a smaller one")

    monkeypatch.setattr(runs, "load_or_run", lost)
    result = invoke("run", "eigen/coarse-rooms")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == "error: loss nan at step 3, learning rate 1; try a smaller one"


# ---- train ----


def test_train_keeps_changed_settings_and_their_meaning_in_a_folder_of_its_own(tmp_path):
    changes = [word for name, value in TINY.items() for word in ("--set", f"{name}={value}")]
    told = read("train", "eigen/coarse-rooms", *changes, "--set", "dropout=0", "-o", "mine")
    folder = tmp_path / "mine" / "laptop" / "eigen" / "coarse-rooms" / "seed0"
    assert Path(told["folder"]) == folder
    settings = results.read(folder).run["description"]["meaning"]["settings"]
    assert {name: settings[name] for name in TINY} == TINY
    assert settings["dropout"] == 0.0
    assert not (tmp_path / "results").exists()
    scores = read(
        "evaluate",
        "--model",
        "eigen-coarse-rooms",
        "--weights",
        told["weights"],
        "--data",
        "rooms",
        "--scenes",
        2,
    )
    assert set(scores["protocols"]["worlds"]) == {"eigen-coarse-rooms", "mean-depth"}


def test_unchanged_settings_are_the_run_itself():
    run = changed("eigen", "coarse-rooms", "quick", 3, [], None)
    assert run == runs.Run("eigen", "coarse-rooms", "quick", 3)
    assert changed("eigen", "coarse-rooms", "quick", 3, [], "cpu").meaning == run.meaning
    other = changed("eigen", "coarse-rooms", "quick", 3, ["lam=1", "anneal=True", "zoom=(1.0, 1.1)"], None)
    assert (other.settings().lam, other.settings().anneal, other.settings().zoom) == (1.0, True, (1.0, 1.1))
    assert other.meaning != run.meaning


# ---- evaluate ----


@pytest.fixture
def truth() -> np.ndarray:
    """Depth of the three test rooms that ``--data rooms --scenes 3`` opens."""
    world = load(World("rooms", "test", scenes=3))
    return torch.stack([world[i]["depth"][0] for i in range(3)]).numpy()


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """Random weights of the small network."""
    from mdepth.models import build
    from mdepth.weights import save

    return save(build("eigen-coarse-rooms"), tmp_path_factory.mktemp("weights") / "random.safetensors")


def scores(*arguments: object) -> dict:
    """The mean scores of the evaluated and of the baseline under the worlds' protocol."""
    found = read("evaluate", "--data", "rooms", "--scenes", 3, *arguments)["protocols"]["worlds"]
    return {who: values["mean"] for who, values in found.items()}


@pytest.mark.parametrize("form", ["stack.npy", "stack.npz", "folder.npy", "folder.png"])
def test_predictions_made_elsewhere_are_scored(form, truth, tmp_path):
    from PIL import Image

    kind, unit, factor = Path(form), "m", 1.1
    path = tmp_path / form
    if form == "stack.npy":
        np.save(path, truth * factor)
    elif form == "stack.npz":
        np.savez(path, depth=truth * factor, other=truth)
    else:
        path = tmp_path / "folder"
        path.mkdir()
        unit = "mm" if kind.suffix == ".png" else "m"
        for i, depth in enumerate(truth):
            name = path / f"{i}{kind.suffix}"
            if unit == "m":
                np.save(name, depth * factor)
            else:
                Image.fromarray((depth * factor * 1000).round().astype(np.uint16)).save(name)
    extra = ["--key", "depth"] if kind.suffix == ".npz" else []
    found = scores("--predictions", path, "--unit", unit, *extra)
    own = found.pop(str(path))
    assert own["abs_rel"] == pytest.approx(0.1, abs=2e-3)
    assert own["delta1"] == pytest.approx(1.0)
    baseline = found["mean-depth"]
    assert baseline["abs_rel"] > own["abs_rel"]


def test_only_so_many_images_with_limit(weights):
    options = ["--weights", weights, "--limit", 2]
    both = read("evaluate", "--data", "rooms", "--scenes", 3, *options)["protocols"]["worlds"]
    assert [one["n_images"] for one in both.values()] == [2, 2]


def test_text_shows_the_baseline_beside(truth, tmp_path):
    np.save(tmp_path / "all.npy", truth)
    result = invoke("evaluate", "--data", "rooms", "--scenes", 3, "--predictions", "all.npy", "--unit", "m")
    assert result.exit_code == 0, result.output + repr(result.exception)
    lines = result.stdout.splitlines()
    assert lines[0].startswith("worlds: 3 images")
    assert lines[1].split() == ["metric", "all.npy", "mean-depth"]
    by_name = {line.split()[0]: line.split()[1:3] for line in lines[2:]}
    assert by_name["abs_rel"][0] == by_name["rmse"][0] == "0.0000"
    assert float(by_name["abs_rel"][1]) > 0.05
    assert "3 training scenes" in result.stderr
    assert "level of evidence B" in result.stderr


def test_text_shows_the_average_that_the_source_reports(truth, tmp_path):
    """One map is far too deep: the mean of three root mean squares is not the root of all squares' mean."""
    wrong = truth + np.array([0.0, 0.0, 2.0])[:, None, None].astype(np.float32)
    np.save(tmp_path / "one_wrong.npy", wrong)
    options = ["--data", "rooms", "--scenes", 3, "--predictions", "one_wrong.npy", "--unit", "m"]
    for protocol, over, rmse in (
        ("worlds", "mean over images", 2 / 3),
        ("make3d", "pooled over all pixels", 2 / 3**0.5),
    ):
        result = invoke("evaluate", *options, "--protocol", protocol)
        assert result.exit_code == 0, result.output + repr(result.exception)
        first, _, *lines = result.stdout.splitlines()
        assert first.startswith(f"{protocol}: 3 images")
        assert first.endswith(over)
        by_name = {line.split()[0]: line.split()[1] for line in lines}
        assert float(by_name["rmse"]) == pytest.approx(rmse, abs=1e-3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["--model", "--predictions"]),
        (["--model", "eigen-coarse-rooms", "--predictions", "x.npy"], ["not both"]),
        (["--model", "eigen-coarse-rom"], ["did you mean 'eigen-coarse-rooms'"]),
        (["--predictions", "x.npy"], ["--unit", "mm"]),
        (["--predictions", "x.npy", "--unit", "feet"], ["unknown unit 'feet'"]),
        (["--predictions", "x.npy", "--unit", "m"], ["x.npy", "no such file"]),
        (["--predictions", "x.npy", "--unit", "relative"], ["relative", "aligns nothing"]),
        (["--predictions", "x.npy", "--unit", "m", "--protocol", "world"], ["did you mean 'worlds'"]),
        (["--predictions", "wrong.npy", "--unit", "m"], ["wrong.npy", "2 predictions for 3 images"]),
        (["--predictions", "nan.npy", "--unit", "m"], ["nan.npy", "NaN"]),
        (["--predictions", "wrong.npy", "--unit", "m", "--limit", "2"], ["--limit is for networks"]),
        (["--model", "eigen-coarse-rooms", "--limit", "0"], ["--limit"]),
        (["--predictions", "wrong.npy", "--unit", "m", "--split", "tset"], ["did you mean 'test'"]),
    ],
)
def test_what_cannot_be_evaluated_is_one_line(arguments, words, truth, tmp_path):
    np.save(tmp_path / "wrong.npy", truth[:2])
    np.save(tmp_path / "nan.npy", np.where(truth > 2, np.nan, 1.0))
    check_refused(invoke("evaluate", "--data", "rooms", "--scenes", 3, *arguments), *words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "room"], ["did you mean 'rooms'"]),
        (["--data", "kitti/raw"], ["MDEPTH_DATA"]),
        (["--data", "kitti/raw=nowhere"], ["nowhere", "does not exist"]),
        (["--data", "rgbd/folder=.", "--scenes", "3"], ["--scenes is for worlds"]),
        (["--data", "rgbd/folder=.", "--split", "test"], ["--split"]),
        (["--data", "rgbd/folder=."], ["camera.json"]),
    ],
)
def test_data_that_cannot_be_opened_are_one_line(arguments, words, tmp_path):
    np.save(tmp_path / "x.npy", np.ones((1, 4, 4)))
    check_refused(invoke("evaluate", "--predictions", "x.npy", "--unit", "m", *arguments), *words)


def test_real_frames_are_evaluated_with_their_own_protocol(real_data, monkeypatch, tmp_path):
    from mdepth.datasets.check import find

    monkeypatch.setenv("MDEPTH_DATA", str(real_data))
    dataset = find(real_data).open("nyu/sync")
    stack = np.stack([dataset[i]["depth"][0].numpy() for i in range(len(dataset))])
    np.save(tmp_path / "sync.npy", np.where(stack > 0, stack * 1.05, 1.0))
    found = read("evaluate", "--data", "nyu/sync", "--predictions", "sync.npy", "--unit", "m")
    both = found["protocols"]["eigen-nyu"]
    assert found["level"].startswith("d:")
    assert both["sync.npy"]["n_images"] == len(dataset)
    assert 0 < both["sync.npy"]["mean"]["abs_rel"] < both["mean-depth"]["mean"]["abs_rel"]
    assert math.isfinite(both["mean-depth"]["mean"]["rmse"])
