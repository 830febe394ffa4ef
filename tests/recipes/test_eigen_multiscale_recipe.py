"""The recipe of the three scales: where its targets lie, its rates, its stages, and runs from end to end."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mdepth import results
from mdepth.datasets.transforms import crop
from mdepth.datasets.worlds import World, load
from mdepth.datasets.worlds.classes import ROOM_CLASSES, LabelledRooms
from mdepth.losses import label_loss, normals_loss, scale_invariant_gradient_loss
from mdepth.models.eigen_multiscale import EigenMultiscale
from mdepth.recipes import eigen
from mdepth.recipes import eigen_multiscale as recipe
from mdepth.recipes.eigen_paper import HYPERPARAMETERS_2015, PRINTED
from mdepth.recipes.eigen_settings import MULTISCALE_ROOMS, Multiscale, more
from mdepth.train import step_generator

TASKS = ("depth", "normals", "labels")
pytestmark = pytest.mark.usefixtures("own_cache")
SMALL = replace(MULTISCALE_ROOMS, train_size=6, test_size=5, steps=4, fine_steps=3, batch=3)
SCALES = [(1,), (2,), (1, 2), (1, 2, 3)]


@pytest.fixture(scope="module")
def whole(own_cache):
    """A run of all scales and tasks."""
    return eigen.run(SMALL, 0, folder=None, progress=False)


def network(scales: tuple[int, ...], tasks: tuple[str, ...] = TASKS) -> EigenMultiscale:
    return recipe.make(replace(SMALL, scales=scales, tasks=tasks), 0, 0.5)


@pytest.mark.parametrize("scales", SCALES)
def test_targets_lie_where_the_network_answers(scales: tuple[int, ...]) -> None:
    """The truth is made to say where it comes from; the network says where answer (i, j) is centred."""
    part = network(scales)
    rows, columns = part.input_size
    v, u = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    batch = {
        "depth": (1.0 + v * columns + u)[None, None],
        "normals": torch.stack([v.float(), u.float(), 0.0 * u])[None],
        "labels": (v + u)[None, None],
        "valid": (v % 8 < 5)[None, None],
    }
    found = recipe.targets(part, batch)
    h, w = part.outputs(torch.zeros(1, 3, rows, columns))["depth"].shape[-2:]
    step = 2 if 3 in scales else 4
    for i, j in ((0, 0), (3, 5), (h - 1, w - 1)):
        row, column = 2 + step * i + 1, 2 + step * j + 1  # two pixels of border are not covered
        assert found["valid"][0, 0, i, j] == (row % 8 < 5)
        depth = 1.0 + row * columns + column if row % 8 < 5 else 1.0
        assert found["depth"][0, 0, i, j].exp().item() == pytest.approx(depth, rel=1e-5)
        assert found["normals"][0, :2, i, j].tolist() == [row, column]
        assert found["labels"][0, 0, i, j] == row + column
    assert {found[key].shape[-2:] for key in found} == {torch.Size([h, w])}


def test_batches_follow_step_and_seed_and_keep_the_truth_together() -> None:
    rooms = load(World("rooms", "train", scenes=6, normals=True))
    part = network((1, 2))
    batches = recipe.TaskBatches(LabelledRooms(rooms), part, SMALL)
    a, b, c = (batches(step, step_generator(0, step)) for step in (3, 3, 4))
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert not torch.equal(a["image"], c["image"])
    assert set(a) == {"image", "valid", *TASKS}
    assert a["image"].shape == (3, 3, *part.input_size)
    valid = a["valid"][:, 0]
    assert 0.7 < valid.float().mean() <= 1
    torch.testing.assert_close(
        a["normals"].norm(dim=1)[valid], torch.ones(int(valid.sum())), atol=1e-3, rtol=0
    )
    floor = a["labels"][:, 0] == ROOM_CLASSES.index("floor")
    assert (a["normals"][:, 1][floor & valid] < -0.7).float().mean() > 0.9  # upwards: rugs have edges


def test_the_loss_is_the_sum_of_its_tasks() -> None:
    part, batch = network((2,)).eval(), {"image": torch.randn(2, 3, 92, 124)}
    answers = part.outputs(batch["image"])
    batch["valid"] = torch.rand(2, 1, 22, 30) < 0.8
    batch["depth"], batch["labels"] = torch.rand(2, 1, 22, 30), torch.randint(6, (2, 1, 22, 30))
    batch["normals"] = torch.nn.functional.normalize(torch.randn(2, 3, 22, 30), dim=1)
    kinds: list[Any] = [scale_invariant_gradient_loss, normals_loss, label_loss]
    each = [kind(answers[t], batch[t], batch["valid"]).item() for t, kind in zip(TASKS, kinds, strict=True)]
    assert recipe.loss(part, batch).item() == pytest.approx(sum(each), rel=1e-5)


def test_rates_of_the_paper() -> None:
    settings = more(Multiscale, eigen.NYU, network="eigen-multiscale-rooms")
    part = network((1, 2, 3), ("depth",))
    groups = recipe.optimiser(part, settings).param_groups
    rate = {id(p): (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}
    named = {name.removesuffix(".conv.weight"): rate[id(p)] for name, p in part.named_parameters()}
    assert {named[f"scale1.layer{n}"] for n in range(1, 6)} == {(0.001, 5e-4)}
    assert {named[f"scale1.layer{n}.fc.weight"] for n in (6, 7)} == {(0.1, 1e-4)}
    assert [named[f"scale2.depth.layer{n}"][0] for n in range(1, 6)] == [0.001, 0.01, 0.01, 0.01, 0.001]
    assert [named[f"scale3.depth.layer{n}"][0] for n in range(1, 5)] == [0.001, 0.01, 0.01, 0.001]
    alone = recipe.optimiser(network((1,), ("depth",)), settings).param_groups
    assert sorted({group["lr"] for group in alone}) == [0.001, 0.1]
    later = recipe.optimiser(part.freeze_below(), settings).param_groups
    trained = [id(p) for group in later for p in group["params"]]
    assert sorted(trained) == sorted(id(p) for p in part.scale3.parameters())


def test_hyperparameters_agree_with_the_settings() -> None:
    here = {row.name: row.here["multiscale-rooms"] for row in HYPERPARAMETERS_2015}
    settings = eigen.settings("multiscale-rooms", "laptop")
    assert isinstance(settings, Multiscale)
    assert here["batch"] == str(settings.batch)
    assert here["steps of scales 1 and 2"] == f"{settings.steps:,}"
    assert here["steps of scale 3"] == f"{settings.fine_steps:,}"
    assert here["dropout behind 1.6"] == str(settings.dropout)
    assert here["rates of scales 2 and 3: first, between, last"] == ", ".join(map(str, settings.rate_local))
    low, high = settings.zoom
    assert f"zoom {low:g}-{high:g}; roll {settings.roll:g} degrees" in here["augmentation"]
    alone = [eigen.settings(f"scale{n}-rooms", "laptop") for n in (1, 2)]
    same: dict[str, Any] = {"scales": settings.scales, "fine_steps": settings.fine_steps}
    assert [replace(one, **same) for one in alone] == [settings, settings]  # a fair comparison
    assert [one.scales for one in alone] == [(1,), (2,)]  # type: ignore[attr-defined]


def test_a_run_from_end_to_end(whole) -> None:
    assert set(whole.metrics) == {
        "worlds", "worlds@scales12", "worlds@mean-depth", "worlds@mean-map", "normals", "normals@scales12",
        "normals@mean-map", "labels", "labels@scales12", "labels@mode-map",
    }  # fmt: skip
    assert set(whole.metrics["worlds"]["per_image"]) == set(PRINTED)
    for key, table in whole.metrics.items():
        assert table["n_images"] == len(table["ids"]) == 5
        assert key == "worlds" or len(table["per_image"]) == 1
    assert whole.history.step == list(range(1, 8))
    assert whole.samples["prediction"].shape == whole.samples["labels"].shape == (4, 43, 59)
    assert whole.samples["normals"].shape == (4, 3, 43, 59)
    lengths = np.linalg.norm(whole.samples["normals"].astype(float), axis=1)
    assert np.abs(lengths - 1).max() < 0.03
    assert {array.dtype for array in whole.samples.values()} == {np.dtype("float16")}
    assert set(np.unique(whole.samples["labels"])) <= set(range(len(ROOM_CLASSES)))
    assert len(whole.sample_ids) == 4
    assert whole.data["train"] == eigen.describe(SMALL)["train"]
    assert whole.data["train"]["normals"]
    assert not eigen.describe(eigen.settings("coarse-rooms", "laptop"))["train"]["normals"]


def test_scores_of_scales_1_and_2_are_theirs(whole) -> None:
    first = whole.network.without_scale3()
    for task in ("worlds", "normals", "labels"):
        assert whole.metrics[f"{task}@scales12"]["mean"] != whole.metrics[task]["mean"]
    rooms = load(World("rooms", "test", scenes=5, normals=True))
    images = torch.stack([rooms[i]["image"] for i in range(5)])
    depth = torch.stack([rooms[i]["depth"] for i in range(5)])
    error = ((first.predict(images) - depth).abs() / depth).mean().item()
    assert whole.metrics["worlds@scales12"]["mean"]["abs_rel"] == pytest.approx(error, rel=1e-4)


def test_the_second_stage_leaves_scales_1_and_2_as_they_are(whole) -> None:
    halfway = eigen.run(replace(SMALL, fine_steps=1), 0, folder=None, progress=False)
    one, three = halfway.network.state_dict(), whole.network.state_dict()
    same = {name: torch.equal(one[name], three[name]) for name in one}
    assert all(same[name] for name in one if not name.startswith("scale3."))
    assert not any(same[name] for name in one if name.startswith("scale3.") and name.endswith("weight"))
    start = network((1, 2, 3)).state_dict()
    assert not any(torch.equal(start[name], one[name]) for name in one if name.endswith("weight"))


@pytest.mark.parametrize("scale", [1, 2])
def test_one_scale_alone(scale: int) -> None:
    settings = replace(SMALL, scales=(scale,), fine_steps=0)
    outcome = eigen.run(settings, 0, folder=None, progress=False)
    assert set(outcome.metrics) == {
        "worlds", "worlds@mean-depth", "worlds@mean-map", "normals", "normals@mean-map", "labels",
        "labels@mode-map",
    }  # fmt: skip
    assert outcome.samples["prediction"].shape == (4, 22, 30)
    assert len(outcome.history.step) == 4


def test_a_run_can_be_resumed(whole, tmp_path: Path) -> None:
    first, again = (eigen.run(SMALL, 0, folder=tmp_path, progress=False) for _ in range(2))
    assert first.history.loss == again.history.loss == whole.history.loss
    assert first.metrics == again.metrics == whole.metrics
    assert first.history.seconds == again.history.seconds  # nothing was trained twice


def test_a_record_of_128_images_is_small_enough(whole, tmp_path: Path) -> None:
    """With lists as long as the reference runs', and the truth for a prediction: no network draws more."""
    part = network((1, 2, 3))
    rooms = LabelledRooms(load(World("rooms", "test", scenes=5, normals=True)))
    batch = crop(rooms.batch(range(4)), *part.crop_offset(), *part.input_size)
    truth = recipe.targets(part, batch)
    samples = {
        "prediction": truth["depth"][:, 0].exp(),
        "normals": (64 * truth["normals"]).round() / 64,
        "labels": truth["labels"][:, 0],
    }
    arrays = {name: values.half().numpy() for name, values in samples.items()}
    assert {name: array.shape for name, array in arrays.items()} == {
        name: array.shape for name, array in whole.samples.items()
    }
    numbers, ids = (
        np.random.default_rng(0).uniform(0.1, 90, 128),
        [f"rooms/test/{i:05d}/00" for i in range(128)],
    )
    metrics = {
        key: {
            **table,
            "per_image": dict.fromkeys(table["per_image"], numbers.tolist()),
            "ids": ids,
            "n_images": 128,
        }
        for key, table in whole.metrics.items()
    }
    texts = ("source", "variant", "profile", "identity", "meaning", "finished")
    run: dict[str, Any] = dict.fromkeys(texts, "x" * 64)
    run |= dict.fromkeys(("seconds", "train_seconds", "peak_memory_mb"), 1.5)
    run |= {"format": results.FORMAT, "seed": 0, "commit": "x" * 40, "parameters": 1, "extra": whole.extra}
    run |= {"description": {"data": whole.data}, "versions": {}, "hardware": {}, "data": whole.data}
    run["sample_ids"] = ids[:4]
    history = {name: numbers[:100].tolist() * 2 for name in ("step", "loss", "lr", "seconds")}
    place = results.write(results.Record(run, metrics, history, arrays), tmp_path / "seed0")
    assert sum(path.stat().st_size for path in place.iterdir()) < 0.97 * results.LIMIT
