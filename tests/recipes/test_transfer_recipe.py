"""The recipe of the transfer chapter: one change at a time, the loss by hand, shared encoders, splits, and
runs from end to end.
"""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mdepth import losses, recipes, weights
from mdepth.evaluate.cues import SAME_TRUTH
from mdepth.models import build
from mdepth.recipes import transfer
from mdepth.recipes.parts import map_size
from mdepth.recipes.taught import taught
from mdepth.recipes.transfer import NYU, ROOMS, Batches, Pretext, Settings
from mdepth.recipes.transfer_data import Sets, datasets, divided
from mdepth.recipes.transfer_settings import FULL, LABELS, LAPTOP, UNET
from mdepth.shapes import DataError
from mdepth.train import step_generator


def test_every_variant_has_settings_where_it_is_planned() -> None:
    for variant, about in transfer.VARIANTS.items():
        assert about.profiles, f"{variant} is planned nowhere"
        for profile in recipes.PROFILES:
            if profile in about.profiles:
                settings = transfer.settings(variant, profile)
                assert transfer.describe(settings)
                assert map_size(settings.network)
                assert len(transfer.seeds(variant, profile)) in ((3, 5) if profile == "laptop" else (1,))
            else:
                with pytest.raises(ValueError, match=f"no variant '{variant}' in profile '{profile}'"):
                    transfer.settings(variant, profile)
    assert set(LAPTOP) | set(FULL) == set(transfer.VARIANTS)
    needs = {name: about.needs for name, about in transfer.VARIANTS.items() if about.realdata}
    assert {name.rpartition("-")[2] for name in needs} == {"redkitchen", "nyu"}
    assert all(needs.values())


def changes(settings: Settings, base: Settings) -> set[str]:
    """The fields in which two settings differ."""
    return {key for key, value in vars(settings).items() if value != vars(base)[key]}


def test_variants_differ_in_what_their_name_says() -> None:
    """One thing at a time: a comparison in which two things differ compares nothing."""
    for name in ("resnet", "context", "shape"):
        base = LAPTOP[f"{name}-rooms"]
        for count in LABELS[:-1]:
            few = LAPTOP[f"{name}-n{count}-rooms"]
            assert (changes(few, base), few.labels) == ({"labels"}, count)
        assert changes(base, ROOMS) == ({"init", "pretext"} if name != "resnet" else set())
    expected = {
        "metres": {"quantity", "ssim"}, "l1": {"lam", "slope", "ssim"}, "noslope": {"slope"},
        "ssim1": {"ssim"}, "swap": {"swap"}, "skipless": {"network"},
    }  # fmt: skip
    for name, keys in expected.items():
        assert changes(LAPTOP[f"unet-{name}-rooms"], UNET) == keys
    for name in ("resnet", "shape"):
        assert changes(LAPTOP[f"{name}-long-rooms"], LAPTOP[f"{name}-rooms"]) == {"steps"}
    assert changes(LAPTOP["names-n160-rooms"], LAPTOP["shape-n160-rooms"]) == {"init"}
    assert changes(LAPTOP["unet-scenes-rooms"], LAPTOP["unet-frames-rooms"]) == {"split"}
    assert changes(UNET, ROOMS) == {"network"}
    assert ROOMS.labels == LABELS[-1]


def test_rows_of_the_table_and_claims_name_what_exists() -> None:
    for row in transfer.HYPERPARAMETERS:
        assert set(row.here) == set(LAPTOP) | set(FULL), row.name
        usual = row.here["unet-rooms"]
        assert row.why or usual == "the same" or usual in row.paper, row.name
    columns = {tuple(row.here[name] for row in transfer.HYPERPARAMETERS) for name in (LAPTOP | FULL)}
    assert len(columns) == len(LAPTOP | FULL)  # two variants that differ in nothing would be one
    here = {row.name: row.here for row in transfer.HYPERPARAMETERS}
    assert here["rate"]["unet-rooms"] == str(UNET.rate)
    assert here["steps"]["unet-rooms"] == f"{UNET.steps:,}"
    assert here["steps"]["transfer-nyu"] == f"{NYU.steps:,}"
    assert here["steps"]["shape-long-rooms"] == f"{LAPTOP['shape-long-rooms'].steps:,}"
    assert here["steps"]["densedepth-nyu"] == f"{FULL['densedepth-nyu'].steps:,}"
    assert here["batch"]["unet-rooms"] == str(UNET.batch)
    assert here["batch"]["transfer-nyu"] == str(NYU.batch)
    assert here["labelled images"]["resnet-rooms"] == f"{ROOMS.labels:,} rooms"
    assert len({claim.id for claim in transfer.CLAIMS}) == len(transfer.CLAIMS)
    for claim in transfer.CLAIMS:
        for variant in filter(None, (claim.variant, claim.variant_b, *claim.less)):
            count = len(transfer.seeds(variant, "laptop"))
            assert count >= claim.least_seeds, f"{claim.id}: {variant} has {count} seeds"


def test_settings_that_contradict_themselves_are_refused() -> None:
    for change, words in (
        ({"steps": 0}, "at least 1"),
        ({"init": "shape"}, "do not go together"),
        ({"pretext": Pretext()}, "do not go together"),
        ({"lam": -1.0}, "must not be negative"),
        ({"lam": 0.0, "slope": False, "ssim": 0.0}, "no term left"),
    ):
        with pytest.raises(ValueError, match=words):
            replace(ROOMS, **change)


def cost(network, batch: dict[str, torch.Tensor], settings: Settings) -> torch.Tensor:
    """The loss as a run computes it."""
    compared = transfer.as_compared(network, settings.quantity)
    return transfer.loss(network, batch, compared=compared, settings=settings)


def test_the_loss_by_its_terms(generator: torch.Generator) -> None:
    network = build("unet-rooms", mean_depth=3.0).eval()
    image = torch.rand(2, 3, 96, 128, generator=generator)
    depth = 1 + 4 * torch.rand(2, 1, 96, 128, generator=generator)
    batch = {"image": image, "depth": depth, "valid": torch.rand(2, 1, 96, 128, generator=generator) < 0.9}
    with torch.no_grad():
        metres = network.to_depth(network(image))
        found = {
            name: cost(network, batch, LAPTOP[f"unet-{name}rooms"])
            for name in ("", "metres-", "l1-", "noslope-", "ssim1-")
        }
    y, truth, valid = 10 / metres, 10 / depth, batch["valid"]
    expected = {
        "": losses.densedepth_loss(y, truth, valid),
        "metres-": losses.densedepth_loss(metres, depth, valid, data_range=10.0),
        "l1-": losses.l1_loss(y, truth, valid),
        "noslope-": 0.1 * losses.l1_loss(y, truth, valid) + losses.ssim_loss(y, truth, valid),
        "ssim1-": losses.densedepth_loss(y, truth, valid, data_range=1.0),
    }
    for name, value in expected.items():
        assert found[name].item() == pytest.approx(value.item(), rel=1e-5), name


def test_a_depth_of_nothing_has_a_finite_reciprocal() -> None:
    """An invalid pixel is stored as 0 m."""
    network = build("densedepth-rooms")
    batch = {"image": torch.rand(1, 3, 96, 128), "depth": torch.zeros(1, 1, 48, 64)}
    valid = torch.zeros(1, 1, 48, 64, dtype=torch.bool)
    loss = cost(network, {**batch, "valid": valid}, LAPTOP["densedepth-rooms"])
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())


def test_an_answer_beyond_the_farthest_depth_has_a_gradient() -> None:
    """DenseDepth's answer is compared as it is; its depth would be clamped, and the pixel never learn."""
    network = build("densedepth-rooms")
    torch.nn.init.constant_(network.decoder.conv3.bias, -3.0)
    batch = {"image": torch.rand(1, 3, 96, 128), "depth": torch.full((1, 1, 48, 64), 4.0)}
    cost(network, {**batch, "valid": batch["depth"] > 0}, LAPTOP["densedepth-rooms"]).backward()
    assert network.decoder.conv3.bias.grad.item() < -0.05


def test_the_two_splits() -> None:
    frames, scenes = (replace(UNET, labels=60, frames=10, split=split) for split in ("frame", "scene"))
    for settings in (frames, scenes):
        known, kept = divided(600, settings)
        assert sorted(known + kept) == list(range(600))
        assert len(known) == 420
    of_scene = [{index // 10 for index in part} for part in divided(600, scenes)]
    assert not of_scene[0] & of_scene[1]
    of_frame = [{index // 10 for index in part} for part in divided(600, frames)]
    assert len(of_frame[0] & of_frame[1]) > 55  # nearly every scene lies on both sides


def test_few_images_are_the_first_of_many(own_cache: None) -> None:
    few, many = (datasets(replace(UNET, labels=count, test_size=2)).train for count in (3, 6))
    assert torch.equal(few.batch(range(3))["image"], many.batch(range(3))["image"])
    known = datasets(replace(UNET, labels=4, frames=2, split="scene", test_size=2))
    assert (len(known.train), len(known.held_out)) == (4, 4)
    assert not {known.train[i]["scene"] for i in range(4)} & {known.held_out[i]["scene"] for i in range(4)}


def test_channels_change_places_as_often_as_asked(own_cache: None) -> None:
    sets = datasets(replace(UNET, labels=4, test_size=2))
    network = build("unet-rooms")
    plain = replace(UNET, zoom=(1.0, 1.0), flip=0.0, gain=(1.0, 1.0), batch=16)
    differs = []
    for step in range(20):
        one, other = (
            Batches(sets.train, network, replace(plain, swap=swap), (96, 128))(step, step_generator(0, step))
            for swap in (0.0, 1.0)
        )
        assert torch.equal(one["depth"], other["depth"])
        differs += ((one["image"] - other["image"]).abs().amax((1, 2, 3)) > 1e-3).tolist()
    assert sum(differs) / len(differs) > 0.7


QUICK = Pretext(steps=3, pictures=16)


@pytest.mark.parametrize("task", ["shape", "context", "names"])
def test_an_encoder_is_taught_once_and_shared(task: str, own_cache: None, monkeypatch) -> None:
    settings = replace(ROOMS, init=task, pretext=QUICK, labels=4, precision="32-true")
    wanted = (settings.network, task, QUICK)
    state, facts = taught(*wanted, precision="32-true", progress=False)
    assert {"accuracy", "chance", "seconds"} <= set(facts)
    assert ({"by_shape", "by_surface"} <= set(facts)) == (task != "context")
    monkeypatch.setattr("mdepth.recipes.taught._teach", None)  # a second teaching would fail
    again, _ = taught(*wanted, progress=False)
    assert all(torch.equal(value, again[key]) for key, value in state.items())
    sets = datasets(replace(settings, test_size=2))
    networks = [transfer.make(settings, seed, sets.train, progress=False)[0] for seed in (0, 1)]
    for network in networks:
        for key, value in network.encoder.state_dict().items():
            assert torch.equal(value, state[key]), key
    decoders = [network.up[0][0].weight for network in networks]
    assert not torch.equal(*decoders)  # what is new still starts from the seed
    scratch, nothing = transfer.make(replace(settings, init="random", pretext=None), 0, sets.train)
    assert nothing == {}
    assert not torch.equal(scratch.encoder.conv1.weight, state["conv1.weight"])
    assert torch.equal(scratch.up[0][0].weight, decoders[0])  # and is the same with and without


def test_imagenet_weights_go_into_the_encoder(own_cache: None, monkeypatch) -> None:
    """Small networks stand in for the large ones, whose names decide which file is asked for."""
    asked = {}
    monkeypatch.setattr(transfer, "load_imagenet", lambda encoder, name: asked.update({name: encoder}))
    train = datasets(replace(ROOMS, labels=2, test_size=2)).train
    small = {"transfer-resnet34": "transfer-resnet18-rooms", "densedepth": "densedepth-rooms"}
    monkeypatch.setattr(transfer, "build", lambda name, **kwargs: build(small[name], **kwargs))
    for name, file in (("transfer-nyu", "resnet34"), ("densedepth-nyu", "densenet169")):
        network, _ = transfer.make(replace(FULL[name], data="rooms"), 0, train)
        assert asked[file] is network.encoder


def test_a_cache_that_cannot_be_written_is_an_error_that_says_so(tmp_path: Path, monkeypatch) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("MDEPTH_CACHE", str(blocked))
    with pytest.raises(DataError, match="MDEPTH_CACHE"):
        taught(ROOMS.network, "shape", QUICK, progress=False)


def test_levels() -> None:
    class Set(list):
        dataset = SimpleNamespace(scene_names=[f"scene {k % 249}" for k in range(500)])

    whole = Sets(Set(), range(654))
    assert transfer.level(ROOMS, whole) == "B"
    assert transfer.level(NYU, whole) == "D"
    assert transfer.level(NYU, Sets(Set(), range(653))) == "d"
    assert transfer.level(LAPTOP["unet-redkitchen"], whole) == "d"


@pytest.mark.parametrize("variant", ["unet-rooms", "shape-rooms", "densedepth-rooms", "unet-frames-rooms"])
def test_a_short_run_leaves_a_whole_outcome(variant: str, own_cache: None, tmp_path: Path) -> None:
    small = {"labels": 4, "test_size": 4, "steps": 3, "batch": 4, "precision": "32-true"}
    settings = replace(LAPTOP[variant], **small)
    settings = replace(settings, pretext=QUICK) if settings.pretext else settings
    outcome = transfer.run(settings, 0, folder=tmp_path, progress=False)
    assert len(outcome.history.step) == 3
    assert {"worlds", "worlds@mean-depth", "worlds@mean-map", "steps", "slides"} <= set(outcome.metrics)
    assert outcome.metrics["cues"]["mean"].keys() == outcome.metrics["cues-rise"]["mean"].keys()
    cues = outcome.metrics["cues"]["mean"]
    assert cues["natural"] == pytest.approx(outcome.metrics["worlds"]["mean"]["abs_rel"], rel=1e-4)
    rise = outcome.metrics["cues-rise"]["mean"]["no shading"]
    assert rise == pytest.approx(cues["no shading"] / cues["natural"])
    assert set(outcome.metrics["cues-moved"]["mean"]) == set(SAME_TRUTH) - {"no haze"}
    assert set(outcome.metrics["cues-tampered"]["mean"]) == {"position", "size", "veil", "patches"}
    assert 0 < outcome.metrics["slides"]["mean"]["soft_accuracy"] <= 1
    for claim in transfer.CLAIMS:
        if claim.variant == variant:
            for key in (claim.a, claim.b):
                assert claim.metric in outcome.metrics[key]["mean"], claim.id
    if settings.split == "all":
        assert outcome.samples["prediction"].shape == (3, *map_size(settings.network))
        assert len(outcome.sample_ids) == 3
    else:
        assert {"worlds@held-out", "worlds@held-out-mean-map"} <= set(outcome.metrics)
    assert outcome.extra["level"] == "B"
    assert ("pretext" in outcome.extra) == (settings.init == "shape")
    json.dumps([outcome.data, outcome.extra])
    again = transfer.run(settings, 0, folder=None, progress=False)
    assert transfer.run(settings, 1, folder=None, progress=False).samples == {}  # to look at, one is enough
    assert again.history.loss == outcome.history.loss
    assert weights.save(outcome.network, tmp_path / "w.safetensors").stat().st_size > 1e5
