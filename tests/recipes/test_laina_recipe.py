"""The recipe of Laina et al.: its arithmetic against what is known of the paper, targets and loss by hand,
and runs from end to end.
"""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from mdepth import recipes
from mdepth.datasets.transforms import Augmentation
from mdepth.datasets.worlds import World, load
from mdepth.evaluate import evaluate
from mdepth.evaluate.sharpness import drawn_steps
from mdepth.losses import berhu_loss, l1_loss, l2_loss
from mdepth.metrics import bends
from mdepth.models import build
from mdepth.models.laina import FastUnpoolConv, UnpoolConv
from mdepth.models.laina_sizes import FIELDS
from mdepth.recipes import laina
from mdepth.recipes.laina import MAKE3D, NYU, ROADS, ROOMS, Batches, Stairs
from mdepth.recipes.laina_settings import FULL, LAPTOP, MEMORY, SEEDS
from mdepth.recipes.parts import EvenlySpread, map_size
from mdepth.train import step_generator


def test_paper_schedule() -> None:
    """20 epochs of 95,000 images of NYU, 30 of 15,000 of Make3D, in batches of 16; the authors' rates."""
    assert NYU.steps * NYU.batch == 20 * 95_000
    assert MAKE3D.steps * MAKE3D.batch == 30 * 15_000
    for settings in (NYU, MAKE3D):
        assert (settings.optimiser, settings.momentum, settings.decay) == ("sgd", 0.9, 5e-4)
        assert (settings.rate, settings.dropout, settings.loss) == (0.01, 0.5, "berhu")
        assert (settings.zoom, settings.roll, settings.fast) == ((1.0, 1.5), 5.0, settings is NYU)
        stairs = Stairs(settings.steps, settings.stairs)
        rates = [round(settings.rate * stairs(step), 6) for step in (0, settings.steps - 1)]
        assert rates == [0.01, 0.001]
        assert settings.rate * stairs(settings.steps // 2) == pytest.approx(0.005)
    assert (NYU.images, MAKE3D.farthest, FULL["upproj-l2-make3d"].rate) == (12_000, 70.0, 0.005)


def test_every_variant_has_settings_where_it_is_planned() -> None:
    for variant, about in laina.VARIANTS.items():
        assert about.profiles, f"{variant} is planned nowhere"
        for profile in recipes.PROFILES:
            if profile in about.profiles:
                settings = laina.settings(variant, profile)
                assert laina.describe(settings)
                assert map_size(settings.network)
                count = len(laina.seeds(variant, profile))
                assert count == (len(SEEDS.get(variant, "123")) if profile == "laptop" else 1)
            else:
                with pytest.raises(ValueError, match=f"no variant '{variant}' in profile '{profile}'"):
                    laina.settings(variant, profile)
    assert set(LAPTOP) | set(FULL) == set(laina.VARIANTS)
    needs = {name: about.needs for name, about in laina.VARIANTS.items() if about.realdata}
    assert {name.rpartition("-")[2] for name in needs} == {"redkitchen", "nyu", "make3d"}
    assert all(needs.values())


def test_variants_differ_from_the_first_in_what_their_name_says() -> None:
    """One thing at a time: a comparison in which two things differ compares nothing."""
    changed = {
        name: {key for key, value in vars(settings).items() if value != vars(ROOMS)[key]}
        for name, settings in LAPTOP.items()
        if settings.data == "rooms"
    }
    assert changed.pop("upproj-rooms") == set()
    assert changed.pop("upproj-fast-rooms") == {"fast"}
    learnt = {name: changed.pop(name) for name in list(changed) if "memory" in name}
    assert len(learnt) == 4
    for name, keys in learnt.items():
        decoder = name.split("-")[0]
        assert keys == set(MEMORY) | ({"network"} if decoder != "upproj" else set())
        assert LAPTOP[name].network == LAPTOP[f"{decoder}-rooms"].network
        about = laina.describe(LAPTOP[name])
        assert about["train"] == about["test"]  # what it was trained on
    for name in ("upproj-l2-rooms", "upproj-l1-rooms"):
        assert changed.pop(name) == {"loss"}
    for name, keys in changed.items():
        assert keys == ({"network", "loss"} if "-l2-" in name else {"network"}), name
    assert {k for k, v in vars(LAPTOP["upproj-l2-roads"]).items() if v != vars(ROADS)[k]} == {"loss"}


def test_hyperparameters_name_what_exists_and_agree_with_the_settings() -> None:
    for row in laina.HYPERPARAMETERS:
        small, paper = set(LAPTOP), {name for name in FULL if not name.endswith("rooms")}
        assert set(row.here) == small | paper, row.name
        assert row.paper
        assert row.place
        assert row.why or set(row.here.values()) == {"the same"}, f"{row.name} differs and does not say why"
    here = {row.name: row.here["upproj-rooms"] for row in laina.HYPERPARAMETERS}
    assert here["rate"] == str(ROOMS.rate)
    assert here["optimiser"].lower() == ROOMS.optimiser
    assert here["samples seen"] == f"{ROOMS.steps * ROOMS.batch:,}"
    assert here["batch"] == str(ROOMS.batch)
    learnt = LAPTOP["fc-memory-rooms"]
    (seen,) = (row.here for row in laina.HYPERPARAMETERS if row.name == "samples seen")
    assert seen["fc-memory-rooms"] == f"{learnt.steps * learnt.batch:,}"
    assert here["zoom; roll; gain; flip"].startswith(f"1-{ROOMS.zoom[1]}; {ROOMS.roll:g} degrees")
    for claim in laina.CLAIMS:
        assert claim.smallest > 0
        for variant in filter(None, (claim.variant, claim.variant_b)):
            count = len(laina.seeds(variant, "laptop"))
            assert count >= claim.least_seeds, f"{claim.id}: {variant} has {count} seeds"


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("laina-resnet50-upproj", (128, 160)),
        ("laina-resnet50-upproj-make3d", (128, 96)),
        ("laina-resnet18-upproj-rooms", (48, 64)),
        ("laina-resnet18-upproj-roads", (32, 96)),
        ("laina-resnet18-fc-coarse-rooms", (24, 32)),
        ("laina-alexnet-upconv-rooms", (32, 48)),
        ("laina-vgg16-upconv-rooms", (48, 64)),
        ("laina-field75-rooms", (48, 64)),
    ],
)
def test_maps_have_their_size(name: str, size: tuple[int, int]) -> None:
    assert map_size(name) == size


def test_targets_are_the_pixels_under_the_maps_centres() -> None:
    depth = torch.arange(1, 97.0).view(1, 1, 8, 12)
    valid = depth != 14
    small, known = laina.targets(depth, valid, (4, 6))
    assert torch.equal(small, depth[..., 1::2, 1::2])
    assert known.sum() == 23
    assert not known[0, 0, 0, 0]  # row 1, column 1 holds 14
    uneven, _ = laina.targets(depth, valid, (5, 6))  # centres at rows 0.8, 2.4, 4, 5.6, 7.2
    assert torch.equal(uneven, depth[..., [0, 2, 4, 5, 7], 1::2])


def test_the_farthest_pixels_are_left_out_on_roads() -> None:
    train = load(World("roads", "train", scenes=6))
    network = build(ROADS.network)
    batches = {
        farthest: Batches(train, network, replace(ROADS, farthest=farthest, batch=4), (32, 96))(
            0, step_generator(0, 0)
        )
        for farthest in (0.0, 70.0, 20.0)
    }
    counts = {farthest: int(batch["valid"].sum()) for farthest, batch in batches.items()}
    assert counts[0.0] > counts[70.0] > counts[20.0] > 0
    assert batches[20.0]["depth"][batches[20.0]["valid"]].max() < 20
    assert torch.equal(batches[0.0]["image"], batches[20.0]["image"])


def test_a_batch_is_augmented_as_the_settings_say() -> None:
    train, network = load(World("rooms", "train", scenes=4)), build(ROOMS.network)
    plain = replace(ROOMS, zoom=(1.0, 1.0), roll=0.0, gain=(1.0, 1.0), flip=0.0, batch=3)
    batch = Batches(train, network, plain, (48, 64))(5, step_generator(1, 5))
    indices = torch.randint(4, (3,), generator=step_generator(1, 5)).tolist()
    raw = train.batch(indices)
    assert torch.allclose(batch["image"], network.normalise(raw["image"]), atol=1e-6)
    assert torch.equal(batch["depth"], raw["depth"][..., 1::2, 1::2])
    settings = Batches(train, network, ROOMS, (48, 64)).augmentation()
    assert isinstance(settings, Augmentation)
    assert (settings.scale, settings.roll, settings.gain, settings.flip) == ((1.0, 1.2), 5.0, (0.8, 1.2), 0.5)


@pytest.mark.parametrize(("name", "function"), [("berhu", berhu_loss), ("l2", l2_loss), ("l1", l1_loss)])
def test_the_loss_is_the_named_one(name: str, function: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    batch = {
        "image": torch.rand(2, 3, 8, 8, generator=generator),
        "depth": 5 * torch.rand(2, 1, 8, 8, generator=generator),
        "valid": torch.rand(2, 1, 8, 8, generator=generator) > 0.3,
    }
    mean = torch.nn.Conv2d(3, 1, 1)
    torch.nn.init.constant_(mean.weight, 1.0)
    expected = function(mean(batch["image"]), batch["depth"], batch["valid"])
    assert laina.loss(mean, batch, name=name).item() == expected.item()


def test_one_rate_for_all_layers() -> None:
    network = build(ROOMS.network)
    for settings, kind in ((NYU, torch.optim.SGD), (ROOMS, torch.optim.Adam)):
        optimiser = laina.optimiser(network, settings)
        (group,) = optimiser.param_groups
        assert isinstance(optimiser, kind)
        assert (group["lr"], group["weight_decay"]) == (settings.rate, settings.decay)
        assert kind is torch.optim.Adam or group["momentum"] == 0.9
        assert len(group["params"]) == len(list(network.parameters()))


def test_a_fast_run_begins_as_the_plain_one() -> None:
    train = load(World("rooms", "train", scenes=4))
    plain, fast = (laina.make(replace(ROOMS, fast=fast), 3, train).eval() for fast in (False, True))
    x = plain.prepare(train.batch([0, 1])["image"])
    assert any(isinstance(part, UnpoolConv) for part in plain.modules())
    assert sum(isinstance(part, FastUnpoolConv) for part in fast.modules()) == 8
    with torch.no_grad():
        torch.testing.assert_close(fast(x), plain(x), rtol=1e-4, atol=1e-5)
    first = (network.get_parameter("reduce.conv.weight") for network in (plain, laina.make(ROOMS, 4, train)))
    assert not torch.equal(*first)
    known = train.batch([0, 1, 2, 3])
    begins = plain.train()(plain.normalise(known["image"])).mean().item()
    assert begins == pytest.approx(known["depth"][known["valid"]].mean().item(), rel=0.4)


def test_evenly_spread_frames() -> None:
    thirty = load(World("rooms", "train", scenes=30, height=8, width=8))
    assert EvenlySpread(thirty, 10).indices == list(range(0, 30, 3))
    assert EvenlySpread(thirty, 100).indices == list(range(30))
    four = EvenlySpread(thirty, 4)
    assert [item["id"] for item in four] == [thirty[k]["id"] for k in (0, 7, 15, 22)]
    assert (four.describe()["length"], four.describe()["of"]) == (4, thirty.describe())


# ---- encoders that differ in their receptive field alone ----


def test_fields_are_as_named_and_nothing_else_differs() -> None:
    counts, products, seen = set(), set(), {}
    for dilation, side in FIELDS.items():
        network = build(f"laina-field{side}-rooms").eval()
        counts.add(sum(p.numel() for p in network.parameters()))
        products.add(_products(network))
        seen[dilation] = _field(network.encoder)
    assert len(counts) == len(products) == 1
    assert seen == FIELDS


def _field(encoder: Any) -> int:
    """Columns of a large image that can change one feature: where the gradient of its sum is not zero, with
    all weights positive so that nothing cancels and no ReLU blocks.
    """
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.abs_().add_(0.01)
    x = torch.ones(1, 3, 256, 256, dtype=torch.float64, requires_grad=True)
    pools = [part for part in encoder.modules() if isinstance(part, torch.nn.MaxPool2d)]
    encoder.double().maxpool = torch.nn.Sequential(encoder.maxpool[0], torch.nn.AvgPool2d(3, 2))
    assert len(pools) == 1
    encoder(x)[-1][0, :, 4, 4].sum().backward()
    columns = x.grad.abs().sum(dim=(0, 1, 2)).nonzero()  # type: ignore[union-attr]
    return int(columns.max() - columns.min()) + 1


def _products(network: Any) -> int:
    """Products of all convolutions for one image."""
    total = 0

    def count(module: Any, _: Any, output: torch.Tensor) -> None:
        nonlocal total
        total += output[0].numel() * module.weight[0].numel()

    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    network(torch.zeros(1, 3, *network.input_size))
    for hook in hooks:
        hook.remove()
    return total


# ---- how sharp a map is ----


def test_drawn_steps_by_hand() -> None:
    """A step from 1 to 4 between columns 7 and 8; a map that makes it in even parts over four columns."""
    step = torch.where(torch.arange(16) < 8, 1.0, 4.0).expand(1, 1, 12, 16).clone()
    valid = torch.ones_like(step, dtype=torch.bool)
    ramp = torch.exp(torch.log(torch.tensor(4.0)) * ((torch.arange(16) - 5.5) / 4).clamp(0, 1)).expand_as(
        step
    )
    assert drawn_steps(step, step, valid).item() == pytest.approx(1)
    assert drawn_steps(torch.full_like(step, 2.0), step, valid).item() == 0
    assert drawn_steps(1 / step, step, valid).item() == pytest.approx(-1)
    # at the two columns beside the step, log depth changes over 4 pixels by 7/8 of the step on either side
    assert bends(step)[0, 0, 5].nonzero().flatten().tolist() == [7, 8]
    assert drawn_steps(ramp, step, valid).item() == pytest.approx(7 / 8)
    assert drawn_steps(3 * ramp, step, valid).item() == pytest.approx(7 / 8)
    assert drawn_steps(step.sqrt(), step, valid).item() == pytest.approx(0.5)


def test_drawn_steps_count_only_where_truth_steps() -> None:
    plane = (1 / torch.linspace(0.2, 1.0, 20)).expand(1, 1, 20, 20).clone()  # steep, and no step
    valid = torch.ones_like(plane, dtype=torch.bool)
    assert drawn_steps(plane, plane, valid).isnan().item()
    valid[..., 9:12, 9:12] = False
    for hole in (0.0, 3.0, float("nan")):  # whatever lies under the mask
        assert drawn_steps(plane, torch.where(valid, plane, hole), valid).isnan().item()
    step = torch.where(torch.arange(16) < 8, 1.0, 4.0).expand(1, 1, 12, 16)
    known = torch.ones_like(step, dtype=torch.bool)
    noisy = step * (1 + 0.5 * (torch.arange(16) < 3))  # a step where there is none
    assert drawn_steps(noisy, step, known).item() == pytest.approx(1)
    known[..., 10] = False  # a hole near it: only pairs with both ends known count
    garbage = step.clone()
    garbage[..., 10] = float("nan")
    assert drawn_steps(garbage, step, known).item() == pytest.approx(1)


def test_a_blurred_map_draws_less_than_a_sharp_one() -> None:
    batch = load(World("rooms", "test", scenes=3)).batch(range(3))
    shares = []
    for size in ((3, 4), (12, 16), (48, 64)):
        few = torch.nn.functional.adaptive_avg_pool2d(batch["depth"].log(), size)
        blurred = torch.nn.functional.interpolate(few, (96, 128), mode="bilinear").exp()
        shares.append(drawn_steps(blurred, batch["depth"], batch["valid"]).mean().item())
    assert shares == sorted(shares)
    assert shares[0] < 0.3 < 0.7 < shares[-1] < 1


# ---- a whole run ----


def test_what_is_learnt_by_heart_is_tested_on_itself(own_cache: None) -> None:
    settings = replace(laina.settings("deconv-memory-rooms", "laptop"), steps=2, train_size=3, test_size=3)
    outcome = laina.run(settings, 0, folder=None, progress=False)
    assert outcome.data["train"] == outcome.data["test"]
    assert [name.split("/")[1] for name in outcome.metrics["worlds"]["ids"]] == ["train"] * 3


@pytest.mark.parametrize(
    ("data", "train", "test", "expected"),
    [
        ("nyu", 249, 654, "D"), ("nyu", 248, 654, "d"), ("nyu", 249, 653, "d"),
        ("make3d", 400, 134, "D"), ("make3d", 399, 134, "d"), ("make3d", 400, 133, "d"),
        ("redkitchen", 600, 300, "d"), ("rooms", 10, 10, "B"),
    ],
)  # fmt: skip
def test_only_the_whole_data_of_the_paper_are_level_d(
    data: str, train: int, test: int, expected: str
) -> None:
    class Set(list):
        dataset = SimpleNamespace(scene_names=[f"scene {k % train}" for k in range(3 * train)])

    assert laina.level(data, Set(range(train)), range(test)) == expected


def test_settings_that_contradict_themselves_are_refused() -> None:
    for changes, words in (
        ({"steps": 0}, "at least 1"),
        ({"farthest": -1.0}, "must not be negative"),
        ({"stairs": (0.5,), "warm_up": 10}, "no warm-up"),
    ):
        with pytest.raises(ValueError, match=words):
            replace(ROOMS, **changes)


@pytest.mark.parametrize("variant", ["upproj-rooms", "upproj-roads"])
def test_a_short_run_leaves_a_whole_outcome(variant: str, own_cache: None, tmp_path: Path) -> None:
    settings = replace(laina.settings(variant, "quick"), train_size=12, test_size=4, steps=3, batch=4)
    outcome = laina.run(settings, 0, folder=tmp_path, progress=False)
    assert len(outcome.history.step) == 3
    assert {"worlds", "worlds@mean-depth", "worlds@mean-map"} <= set(outcome.metrics)
    for claim in laina.CLAIMS if variant == "upproj-rooms" else ():
        if claim.variant.endswith("rooms"):
            for key in (claim.a, claim.b):
                assert claim.metric in outcome.metrics[key]["mean"], claim.id
    rivals = {key for key in outcome.metrics if key.endswith("@eigen-fine")}
    assert rivals == ({"worlds@eigen-fine", "steps@eigen-fine"} if "rooms" in variant else set())
    assert ("make3d-c2" in outcome.metrics) == ("roads" in variant)
    assert outcome.samples["prediction"].shape == (4, *map_size(settings.network))
    assert outcome.extra["level"] == "B"
    json.dumps(outcome.data)
    found = evaluate(
        outcome.network.predict,  # type: ignore[operator]
        load(World("rooms" if "rooms" in variant else "roads", "test", scenes=4)),
        "worlds",
        metrics=("abs_rel",),
    )["worlds"]
    assert found.mean["abs_rel"] == pytest.approx(outcome.metrics["worlds"]["mean"]["abs_rel"], rel=1e-5)
    again = laina.run(settings, 0, folder=None, progress=False)
    assert again.history.loss == outcome.history.loss
