"""The recipe of local distributions: its targets by hand, what its readings look at, and a run from end to
end.
"""

from dataclasses import replace
from math import exp, log, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mdepth.datasets.worlds import World, load
from mdepth.models.eigen_harmony import Components
from mdepth.models.eigen_local import EigenLocal
from mdepth.recipes import eigen, eigen_settings
from mdepth.recipes import eigen_local as recipe
from mdepth.recipes.eigen_paper import HYPERPARAMETERS_2016, PRINTED
from mdepth.recipes.eigen_settings import LOCAL_ROOMS, Local
from mdepth.recipes.parts import take
from mdepth.train import step_generator

pytestmark = pytest.mark.usefixtures("own_cache")
SMALL = replace(LOCAL_ROOMS, train_size=6, test_size=2, steps=4, batch=2, fitted=4)
AS_THEY_ARE = replace(SMALL, zoom=(1.0, 1.0), roll=0.0, flip=0.0, gain=(1.0, 1.0))


@pytest.fixture(scope="module")
def rooms(own_cache):
    """Six training rooms."""
    return load(World("rooms", "train", scenes=6))


@pytest.fixture(scope="module")
def network(rooms) -> EigenLocal:
    """Fitted, not trained; with a last layer that says something else at every pixel."""
    part = recipe.make(SMALL, 0, rooms)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.nn.init.normal_(part.get_parameter("mix.conv3.weight"), std=0.1)
    return part.eval()


def test_settings_and_their_table() -> None:
    settings = eigen.settings("local-rooms", "laptop")
    assert isinstance(settings, Local)
    assert eigen.VARIANTS["local-rooms"].profiles == ("laptop",)
    assert eigen.seeds("local-rooms", "laptop") == (0, 1, 2)
    assert eigen.describe(settings)["test"]["scenes"] == settings.test_size < 128
    whole, few = (eigen_settings.settings(name, "laptop") for name in ("coarse-rooms", "local-rooms"))
    a, b = (eigen.describe(each)["test"] for each in (whole, few))
    assert {key for key in a if a[key] != b[key]} == {"scenes"}  # the first of the same scenes
    here = {row.name: row.here["local-rooms"] for row in HYPERPARAMETERS_2016}
    assert here["images of a step"] == str(settings.batch)
    assert here["steps"] == f"{settings.steps:,}"
    assert here["rate"] == f"{settings.rate_conv}, Adam"
    assert (here["a place to train on every"], settings.stride) == ("the same", 8)
    for row in HYPERPARAMETERS_2016:
        assert set(row.here) == {"local-rooms"}
        assert row.why or row.here["local-rooms"] == "the same", row.name


def test_loss_of_one_place_by_hand(rooms, network: EigenLocal) -> None:
    """One pixel: responses as sums over the map, target weights, divergence, variances; all in loops."""
    batch = recipe.LocalBatches(rooms, network, AS_THEY_ARE)(0, step_generator(0, 0))
    indices = torch.randint(6, (2,), generator=step_generator(0, 0))
    stride, own, reach = SMALL.stride, network.size.stride, network.bank.radius
    assert stride % own == 0
    image, i, j = 1, 48 // stride, 56 // stride
    depth = take(rooms, indices.tolist())["depth"][image, 0]
    row, column = i * stride, j * stride
    predicted = network(batch["image"], stride)[image, :, :, i, j].double()
    one = batch | {"known": torch.zeros_like(batch["known"])}
    one["known"][image, 0, i, j] = True
    components = network.components
    wanted, total = 0.0, sum(components.variances.tolist())
    for k, kernel in enumerate(network.bank.kernels.double()):
        w = sum(
            kernel[reach + a, reach + b].item() / depth[row + own * a, column + own * b].item()
            for a in range(-reach, reach + 1)
            for b in range(-reach, reach + 1)
        )
        variance = components.variances[k].item()
        q = [exp(-((w - c) ** 2) / (2 * variance)) for c in components.means[k].tolist()]
        q = [weight / sum(q) for weight in q]
        divergence = sum(p * (log(p) - predicted[k, m].item()) for m, p in enumerate(q) if p > 0)
        wanted += variance / total * divergence
    found = recipe.loss(network, one, components=components, stride=stride)
    assert found.item() == pytest.approx(wanted, rel=1e-3)
    assert wanted > 0.1


def test_places_without_full_support_do_not_count(rooms, network: EigenLocal) -> None:
    """Turned images have corners without depth, and no filter that reaches into one is trained on."""
    turned = replace(AS_THEY_ARE, roll=5.0, batch=4)
    batch = recipe.LocalBatches(rooms, network, turned)(2, step_generator(0, 2))
    share = batch["known"].float().mean().item()
    assert 0.5 < share < 0.99
    wild = batch | {"responses": torch.where(batch["known"], batch["responses"], 1e6)}
    losses = [
        recipe.loss(network, each, components=network.components, stride=SMALL.stride)
        for each in (batch, wild)
    ]
    torch.testing.assert_close(*losses)


def test_batches_follow_step_and_seed(rooms, network: EigenLocal) -> None:
    batches = recipe.LocalBatches(rooms, network, SMALL)
    a, b, c = (batches(step, step_generator(0, step)) for step in (3, 3, 4))
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert not torch.equal(a["image"], c["image"])
    with torch.no_grad():
        answer = network(a["image"], SMALL.stride)
    assert answer.shape[-2:] == a["responses"].shape[-2:] == a["known"].shape[-2:]
    assert answer.shape[1] == a["responses"].shape[1]


def test_components_come_from_training_maps(rooms) -> None:
    """k-means over the responses of the training maps, and of none but those named; training leaves them."""
    part = recipe.make(SMALL, 0, rooms)
    maps = take(rooms, range(4))
    inverse = 1 / maps["depth"][..., ::2, ::2]
    every = SMALL.stride // 2
    responses = part.bank.responses(inverse)[..., ::every, ::every].movedim(1, 0).flatten(1)
    wanted = Components.fit(responses, part.size.count)
    torch.testing.assert_close(part.means, wanted.means)
    torch.testing.assert_close(part.variances, wanted.variances)
    other = recipe.make(SMALL, 1, load(World("rooms", "val", scenes=4)))
    assert not torch.allclose(part.means, other.means)
    again = recipe.make(SMALL, 1, rooms)
    assert torch.equal(again.means, part.means)  # the seed decides the weights alone
    assert not torch.equal(again.get_parameter("mix.conv1.weight"), part.get_parameter("mix.conv1.weight"))


def log_weights(network: EigenLocal, seed: int = 0) -> torch.Tensor:
    drawn = torch.randn(1, *network.means.shape, 12, 16, generator=torch.Generator().manual_seed(seed))
    return (3 * drawn).log_softmax(2)


def test_expectation_and_deviation_of_drawn_numbers(network: EigenLocal) -> None:
    """Against a sample of the mixture of one place."""
    weights = log_weights(network)
    place = weights[0, 5, :, 3, 4].exp()
    generator = torch.Generator().manual_seed(1)
    chosen = place.multinomial(200_000, replacement=True, generator=generator)
    noise = torch.randn(len(chosen), generator=generator)
    drawn = network.means[5][chosen] + network.variances[5].sqrt() * noise
    mean = recipe.expectation(weights, network.components)[0, 5, 3, 4].item()
    spread = recipe.deviation(weights, network.components)[0, 5, 3, 4].item()
    assert mean == pytest.approx(drawn.mean().item(), abs=5 * spread / sqrt(len(chosen)))
    assert spread == pytest.approx(drawn.std().item(), rel=0.02)


@pytest.mark.parametrize("name", ["pointwise", "pointwise-mode"])
def test_the_pointwise_answers_look_at_the_impulse_alone(name: str, network: EigenLocal) -> None:
    one, two = log_weights(network), log_weights(network, 1)
    read = recipe.reading(network, name).to_depth
    mixed = torch.cat([one[:, :1], two[:, 1:]], dim=1)
    assert torch.equal(read(mixed), read(one))
    assert not torch.allclose(read(torch.cat([two[:, :1], one[:, 1:]], dim=1)), read(one))
    p, c = one[0, 0, :, 2, 3].exp(), network.means[0]
    y = 2 * (p * c).sum() if name == "pointwise" else 2 * c[p.argmax()]  # the impulse has norm 1/2
    assert read(one)[0, 0, 2, 3].item() == pytest.approx(1 / max(0.1, y.item()), rel=1e-5)


def test_order_0_looks_at_values_alone(network: EigenLocal) -> None:
    one, two = log_weights(network), log_weights(network, 1)
    values = torch.tensor(network.bank.order) == 0
    read = recipe.reading(network, "order0").to_depth
    mixed = torch.where(values[:, None, None, None], one, two)
    assert torch.equal(read(mixed), read(one))
    assert not torch.allclose(read(two), read(one))
    assert not torch.allclose(network.to_depth(mixed), network.to_depth(one))


def test_a_reading_shares_the_weights_and_leaves_the_network_alone(network: EigenLocal) -> None:
    other = recipe.reading(network, "pointwise")
    assert all(a is b for a, b in zip(other.parameters(), network.parameters(), strict=True))
    weights = log_weights(network)
    assert not torch.allclose(other.to_depth(weights), network.to_depth(weights))
    assert "to_depth" not in vars(network)


def test_a_run_from_end_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Watched:
        """The test set, and whether anybody has looked at it."""

        def __init__(self, dataset: Any) -> None:
            self.dataset, self.seen = dataset, False

        def __len__(self) -> int:
            return len(self.dataset)

        def __getitem__(self, index: int) -> Any:
            self.seen = True
            return self.dataset[index]

        def describe(self) -> Any:
            return self.dataset.describe()

    train, test = eigen.datasets(SMALL, (96, 128))
    watched = Watched(test)
    fitted: dict[str, Any] = {}

    def fit(network, *arguments, **options):
        history = plain_fit(network, *arguments, **options)
        fitted.update(seen=watched.seen, means=network.means.clone())
        return history

    plain_fit = recipe.fit
    monkeypatch.setattr(recipe, "datasets", lambda *_, **__: (train, watched))
    monkeypatch.setattr(recipe, "fit", fit)
    first = eigen.run(SMALL, 0, folder=tmp_path, progress=False)
    assert fitted["seen"] is False  # neither the components nor the weights know a test image
    assert watched.seen
    untrained = recipe.make(SMALL, 0, train)
    assert torch.equal(fitted["means"], untrained.means)  # training leaves them where they are
    assert isinstance(first.network, EigenLocal)
    assert torch.equal(first.network.variances, untrained.variances)
    readings = {f"worlds@{name}" for name in ("pointwise", "pointwise-mode", "order0")}
    assert set(first.metrics) == {"worlds", "worlds@mean-depth", "worlds@mean-map"} | readings
    for scores in first.metrics.values():
        assert scores["ids"] == first.metrics["worlds"]["ids"]  # all on the same images
        assert len(scores["ids"]) == 2
        assert set(scores["mean"]) == set(PRINTED)
        assert 0 < scores["mean"]["abs_rel"] < 5
    assert first.extra["level"] == "B"
    assert first.data["real"] is False
    assert first.data["train"] == eigen.describe(SMALL)["train"]
    kept, count = first.samples, first.network.size.count
    shapes = {name: values.shape for name, values in kept.items()}
    assert shapes == {
        "prediction": (2, 48, 64), "pointwise": (2, 48, 64), "expected": (3, 24, 32),
        "deviation": (3, 24, 32), "line": (3, count, 64), "means": (3, count), "sigmas": (3,),
    }  # fmt: skip
    assert all(np.isfinite(values).all() for values in kept.values())
    np.testing.assert_allclose(kept["line"].astype(float).sum(1), 1, atol=5e-3)
    line = (kept["line"].astype(float) * kept["means"].astype(float)[:, :, None]).sum(1)
    np.testing.assert_allclose(line[:, ::2], kept["expected"][:, 12], atol=5e-3)
    again = eigen.run(SMALL, 0, folder=tmp_path, progress=False)  # trained already: from the checkpoint
    assert again.history.loss == first.history.loss
    assert again.metrics["worlds"] == first.metrics["worlds"]


def test_shown_filters_are_a_value_a_slope_and_a_bend(network: EigenLocal) -> None:
    value, slope, bend = network.bank.kernels[recipe.shown_filters(network)]
    r = network.bank.radius
    assert value[r, r] == 0.5
    assert value.count_nonzero() == 1
    assert (slope[r, r + 1 :] > 0).all()  # rises to the right
    torch.testing.assert_close(slope, -slope.flip(-1))
    torch.testing.assert_close(bend, bend.flip(-1))
    assert bend[r, r] < 0 < bend[r, r + 4]
