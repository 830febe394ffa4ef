"""The recipe of Eigen et al.: its arithmetic against the paper, its targets and loss by hand, and a run from
end to end.
"""

import itertools
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mdepth import recipes
from mdepth.datasets import kitti, nyu
from mdepth.datasets.kitti.oxts import ACCELERATION, SPEED
from mdepth.datasets.worlds import World, load
from mdepth.models import build, count_parameters
from mdepth.recipes import eigen, eigen_data, eigen_settings
from mdepth.recipes.eigen import KITTI, NYU, ROADS, ROOMS, Batches, Forming, Schedule
from mdepth.recipes.eigen_paper import HYPERPARAMETERS_2015
from mdepth.recipes.eigen_settings import Multiscale, Pretrained, TwoStages
from mdepth.recipes.parts import BENDS, EDGES, InMemory, data_root, edge_table
from mdepth.shapes import DataError
from mdepth.train import Step, step_generator


def test_paper_schedule() -> None:
    """Text on training: 2.0 M samples for NYU and 1.5 M for KITTI in batches of 32; the printed rates."""
    assert (NYU.steps * NYU.batch, KITTI.steps * KITTI.batch) == (2_000_000, 1_500_000)
    for settings in (NYU, KITTI):
        assert (settings.optimiser, settings.momentum) == ("sgd", 0.9)
        assert (settings.rate_conv, settings.rate_fc) == (0.001, 0.1)
        assert (settings.lam, settings.dropout) == (0.5, 0.5)
        assert not settings.anneal
    assert (NYU.zoom, NYU.roll, KITTI.zoom, KITTI.roll) == ((1.0, 1.5), 5.0, (1.0, 1.2), 0.0)


def test_every_variant_has_settings_where_it_is_planned() -> None:
    for variant, about in eigen.VARIANTS.items():
        for profile in recipes.PROFILES:
            if profile in about.profiles:
                settings = eigen.settings(variant, profile)
                assert build.__module__
                assert eigen.describe(settings)
                assert eigen.seeds(variant, profile)
            else:
                with pytest.raises(ValueError, match=f"no variant '{variant}' in profile '{profile}'"):
                    eigen.settings(variant, profile)
    assert len(eigen.seeds("coarse-rooms", "laptop")) >= 5


def test_hyperparameters_and_claims_name_what_exists() -> None:
    kinds = {name: type(eigen.settings(name, about.profiles[-1])) for name, about in eigen.VARIANTS.items()}
    own = {name for name, kind in kinds.items() if kind in (eigen.Settings, TwoStages, Pretrained)}
    tables = [
        (eigen.HYPERPARAMETERS, own),
        (HYPERPARAMETERS_2015, {name for name, kind in kinds.items() if kind is Multiscale}),
    ]
    for row, variants in ((row, variants) for table, variants in tables for row in table):
        assert set(row.here) == variants, row.name
        assert row.paper
        assert row.place
        assert row.why or set(row.here.values()) == {"the same"}, f"{row.name} differs and does not say why"
    for claim in eigen.CLAIMS:
        assert claim.variant in eigen.VARIANTS
        assert claim.smallest > 0


def test_hyperparameters_agree_with_the_settings() -> None:
    here = {row.name: row.here["coarse-rooms"] for row in eigen.HYPERPARAMETERS}
    assert here["batch"] == str(ROOMS.batch)
    assert here["samples seen"] == f"{ROOMS.steps * ROOMS.batch:,}"
    assert here["rates: convolutions; layers 6, 7"] == f"{ROOMS.rate_conv}; {ROOMS.rate_fc}"
    assert here["optimiser"].lower() == ROOMS.optimiser


def test_optimiser_has_two_rates_over_all_parameters() -> None:
    network = build("eigen-coarse-rooms")
    optimiser = eigen.optimiser(network, replace(NYU, network="eigen-coarse-rooms"))
    convolutions, rest = optimiser.param_groups
    assert (convolutions["lr"], rest["lr"]) == (0.001, 0.1)
    assert (convolutions["weight_decay"], rest["weight_decay"]) == (5e-4, 1e-4)
    assert [parameter.ndim for parameter in convolutions["params"]] == [4, 1] * 5
    assert [parameter.ndim for parameter in rest["params"]] == [2, 1] * 2
    assert isinstance(optimiser, torch.optim.SGD)
    assert isinstance(eigen.optimiser(network, ROOMS), torch.optim.Adam)


def test_schedule() -> None:
    schedule = Schedule(steps=100, warm_up=4, anneal=True)
    assert schedule(0) == pytest.approx(0.2)
    assert schedule(50) == pytest.approx(0.5)
    assert schedule(99) == pytest.approx(0.5 * (1 + math.cos(0.99 * math.pi)))
    assert [Schedule(100, 0, False)(step) for step in (0, 99)] == [1.0, 1.0]


@pytest.mark.parametrize(
    "name", ["eigen-coarse-rooms", "eigen-coarse-roads", "eigen-coarse-nyu", "eigen-coarse-kitti"]
)
def test_targets_are_every_fourth_covered_pixel(name: str) -> None:
    with torch.device("meta"):
        network = build(name)
    rows, columns = network.input_size
    v, u = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    depth = (1.0 + v * columns + u).float()[None, None]
    valid = torch.ones_like(depth, dtype=torch.bool)
    valid[..., : rows // 2, :] = False
    log_depth, known = eigen.targets(network, depth, valid)
    assert log_depth.shape[2:] == network.output_size
    top, _, left, _ = network.covered
    i, j = 3, 5
    assert log_depth.exp()[0, 0, -1 - i, j].item() == pytest.approx(
        1.0 + (top + 1 + 4 * (network.output_size[0] - 1 - i)) * columns + left + 1 + 4 * j, rel=1e-4
    )
    assert known[0, 0, -1].all()
    assert torch.equal(log_depth[~known], torch.zeros((~known).sum()))


def test_loss_forgives_half_of_a_global_scale() -> None:
    """A constant error c of log depth costs c^2 (1 - lam)."""
    log_depth = torch.rand(2, 1, 3, 4)
    batch = {
        "image": log_depth + 0.4,
        "log_depth": log_depth,
        "valid": torch.ones(2, 1, 3, 4, dtype=torch.bool),
    }
    for lam in (0.0, 0.5, 1.0):
        found = eigen.loss(torch.nn.Identity(), batch, lam=lam)
        assert found.item() == pytest.approx(0.16 * (1 - lam), abs=1e-6)


def test_extremes_are_invalid() -> None:
    depth = torch.tensor([[1.0, 2.0], [3.0, 3.0]])[None, None]
    assert eigen_data.inside(depth).flatten().tolist() == [False, True, False, False]


class Scenes(list):
    """Numbered items, of scenes of some sizes, which are mixed."""

    name = "scenes"

    def __init__(self, *sizes: int) -> None:
        names = [scene for scene, size in enumerate(sizes) for _ in range(size)]
        self.scene_names = [f"scene_{scene}" for scene in np.random.default_rng(0).permutation(names)]
        super().__init__({"id": str(number)} for number in range(len(names)))


def test_scenes_stand_equally_often_in_the_list() -> None:
    """A short scene comes again and again, of a long one some items are passed over, evenly."""
    scenes = Scenes(3, 1, 40, 7)
    balanced = eigen_data.Balanced(scenes, per_scene=10)
    assert len(balanced) == 4 * 10
    assert [int(balanced[i]["id"]) for i in range(40)] == balanced.indices
    for name in set(scenes.scene_names):
        items = [i for i, scene in enumerate(scenes.scene_names) if scene == name]
        times = np.array([balanced.indices.count(i) for i in items])
        assert times.sum() == 10
        assert np.ptp(times) <= 1  # none more than once oftener than another
        assert np.diff(np.flatnonzero(times)).max(initial=1) <= -(-len(items) // 10)  # evenly spread
    first = {scenes.scene_names[index] for index in balanced.indices[:4]}
    assert len(first) == 4  # the list goes round the scenes: its beginning has them all
    assert sorted(eigen_data.Balanced(Scenes(5, 5), per_scene=5).indices) == list(range(10))


def test_the_papers_numbers_of_the_list_and_of_standing_cars() -> None:
    rows = {row.name: row.here for row in eigen.HYPERPARAMETERS}
    lists = rows["list of training images"]
    assert eigen_data.PER_SCENE == {"nyu": 1200, "kitti": 800}
    for variant in ("coarse-nyu", "fine-nyu", "coarse-kitti", "fine-kitti"):
        per_scene = eigen_data.PER_SCENE[eigen.settings(variant, "full").data]
        assert lists[variant] == f"{per_scene} entries a scene"
        assert f"{per_scene} a " in eigen.describe(eigen.settings(variant, "full"))["split"]
    standing = rows["frames of a standing car"]["fine-kitti"]
    assert standing == f"speed below {SPEED} m/s and acceleration below {ACCELERATION} m/s^2"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


SMALL = {"train_size": 6, "test_size": 7, "steps": 8, "batch": 4}


def test_batches_follow_step_and_seed(cache: Path) -> None:
    dataset = load(World("roads", "train", scenes=4), cache=cache)
    network = build("eigen-coarse-roads")
    batches = Batches(dataset, network, replace(ROADS, batch=4))
    a, b, c = (batches(step, step_generator(seed, step)) for seed, step in ((0, 3), (0, 3), (1, 3)))
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert not torch.equal(a["image"], c["image"])
    assert a["image"].shape == (4, 3, *network.input_size)
    assert a["log_depth"].shape == a["valid"].shape == (4, 1, *network.output_size)
    assert a["valid"].any()
    assert a["log_depth"][a["valid"]].exp().max() <= 80.0


@pytest.mark.parametrize("kind", ["rooms", "roads"])
def test_a_run_from_end_to_end(kind: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MDEPTH_CACHE", str(cache))
    settings = replace(eigen.settings(f"coarse-{kind}", "quick"), **SMALL)
    outcomes = [eigen.run(settings, 0, folder=None, progress=False) for _ in range(2)]
    first, second = outcomes
    assert first.history.loss == second.history.loss  # the seed decides
    assert set(first.metrics) == {"worlds", "worlds@mean-depth", "worlds@mean-map"}
    for scores in first.metrics.values():
        assert scores["n_images"] == 7
        assert 0 < scores["mean"]["abs_rel"] < 5
        assert len(scores["per_image"]["rmse"]) == 7
    assert first.samples["prediction"].shape == (6, *first.network.output_size)  # type: ignore[misc]
    assert first.samples["templates"].shape[0] == 16
    assert first.samples["prediction"].dtype == np.float16
    assert first.sample_ids[0].startswith(f"{kind}/test/")
    assert first.data["real"] is False
    assert first.data["train"] == eigen.describe(settings)["train"]
    assert eigen.run(settings, 1, folder=None, progress=False).history.loss != first.history.loss


def test_network_starts_at_the_mean_and_learns_a_few_images(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Overfitting six rooms without augmentation: the loss falls far below where the mean depth starts."""
    monkeypatch.setenv("MDEPTH_CACHE", str(cache))
    settings = replace(
        ROOMS, train_size=6, test_size=7, steps=60, batch=6, dropout=0.0, zoom=(1.0, 1.0), roll=0.0, flip=0.0,
        gain=(1.0, 1.0),
    )  # fmt: skip
    outcome = eigen.run(settings, 0, folder=None, progress=False)
    assert np.mean(outcome.history.loss[-5:]) < 0.4 * np.mean(outcome.history.loss[:5])


@pytest.mark.parametrize("frozen", [True, False])
def test_two_stages(frozen: bool, cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MDEPTH_CACHE", str(cache))
    settings = replace(eigen.settings("fine-rooms", "quick"), **SMALL, fine_steps=4, frozen=frozen)
    alone = replace(eigen.settings("coarse-rooms", "quick"), **SMALL)
    outcome, first = (eigen.run(one, 0, folder=None, progress=False) for one in (settings, alone))
    assert outcome.history.step == list(range(1, 13))
    assert outcome.history.loss[:8] == first.history.loss  # the first stage is the coarse network's own run
    before, after = (network.get_submodule("coarse6") for network in (first.network, outcome.network.coarse))  # type: ignore[union-attr]
    same = torch.equal(before.get_parameter("fc.weight"), after.get_parameter("fc.weight"))
    assert same is frozen
    key = "worlds@coarse"
    assert set(outcome.metrics) == {
        "worlds", key, "worlds@mean-depth", "worlds@mean-map", "edges", "edges@coarse", "bends",
        "bends@coarse",
    }  # fmt: skip
    assert set(outcome.metrics["worlds"]["mean"]) == set(eigen.PRINTED)
    assert (outcome.metrics[key]["mean"]["rmse"] == first.metrics["worlds"]["mean"]["rmse"]) is frozen
    assert 0 <= outcome.metrics["edges"]["mean"]["edge_recall"] <= 1
    assert outcome.samples["forming"].shape == (4, 4, 22, 30)
    assert outcome.samples["prediction"].shape == outcome.samples["coarse"].shape == (4, 22, 30)
    halfway = Forming(outcome.network.coarse, 8, tmp_path)  # type: ignore[union-attr]
    halfway(Step(1, 0.0, 0.0, 0.0))  # then killed, and resumed from a checkpoint after the first moment
    later = Forming(outcome.network.coarse, 8, tmp_path)  # type: ignore[union-attr]
    for step in (2, 8):
        later(Step(step, 0.0, 0.0, 0.0))
    assert later.chosen(4).shape == (4, 4, 22, 30)
    kept = tmp_path / "work"
    kept.mkdir()
    again = eigen.run(settings, 0, folder=kept, progress=False)
    resumed = eigen.run(settings, 0, folder=kept, progress=False)  # both stages are in the folder
    for other in (again, resumed):
        assert other.history.loss == outcome.history.loss
        assert np.array_equal(other.samples["forming"], outcome.samples["forming"])
        assert other.metrics["worlds"] == outcome.metrics["worlds"]


def test_second_stage_trains_the_fine_network_at_its_rates() -> None:
    network = build("eigen-fine-rooms").freeze_coarse()
    groups = eigen.optimiser(
        network, replace(eigen_settings.FINE_NYU, network="eigen-fine-rooms")
    ).param_groups
    rates = {group["lr"]: [tuple(parameter.shape) for parameter in group["params"]] for group in groups}
    assert rates == {0.001: [(31, 3, 9, 9), (31,), (1, 32, 5, 5), (1,)], 0.01: [(32, 32, 5, 5), (32,)]}
    network = build("eigen-fine-rooms")
    groups = eigen.optimiser(network, replace(eigen_settings.FINE_NYU, frozen=False)).param_groups
    assert sum(parameter.numel() for group in groups for parameter in group["params"]) == count_parameters(
        network
    )


def test_paper_schedule_of_the_second_stage() -> None:
    """Text on training: 1.5 M samples for NYU, 1.0 M for KITTI."""
    nyu, kitti_ = eigen_settings.FINE_NYU, eigen_settings.FINE_KITTI
    assert (nyu.fine_steps * nyu.batch, kitti_.fine_steps * kitti_.batch) == (1_500_000, 1_000_000)
    assert nyu.rate_fine == kitti_.rate_fine == (0.001, 0.01, 0.001)
    assert nyu.frozen
    assert kitti_.frozen
    assert (nyu.steps, nyu.lam, nyu.zoom) == (NYU.steps, NYU.lam, NYU.zoom)


def test_edges_are_measured_at_the_networks_own_resolution(cache: Path) -> None:
    """A network that outputs the truth it is scored on meets every edge; one depth everywhere meets none."""
    dataset = load(World("rooms", "test", scenes=3), cache=cache)
    network = build("eigen-coarse-rooms")
    truths = itertools.cycle([dataset[i] for i in range(3)])

    def exact(x: torch.Tensor) -> torch.Tensor:
        sample = next(truths)
        depth, valid = (sample[key][None, :, 2:94, 2:126] for key in ("depth", "valid"))
        return eigen.targets(network, depth, valid)[0]

    network.forward = exact  # type: ignore[method-assign]
    assert eigen.edges(network, dataset)["mean"] == dict.fromkeys(EDGES, 1.0)
    network.forward = lambda x: exact(x) + 0.7  # type: ignore[method-assign]
    assert eigen.edges(network, dataset)["mean"]["edge_precision"] < 1  # twice as deep: slopes are steeper
    assert [eigen.bends(network, dataset)["mean"][name] for name in BENDS[:3]] == [1, 1, 1]  # ratios are not
    network.forward = lambda x: torch.zeros(1, 1, 22, 30)  # type: ignore[method-assign]
    flat = eigen.edges(network, dataset)
    assert flat["mean"]["edge_recall"] == flat["mean"]["edge_f1"] == 0
    assert np.isnan(flat["mean"]["edge_precision"])
    assert flat["n_images"] == 3


def test_edges_are_those_of_a_network_in_use(cache: Path) -> None:
    """Dropout is off while edges are measured, and on again afterwards where it was on."""
    dataset = load(World("rooms", "test", scenes=2), cache=cache)
    network = build("eigen-fine-rooms")
    first, second = (eigen.at_targets(network, dataset)[0] for _ in range(2))
    assert torch.equal(first, second)
    assert network.training
    assert network.coarse.training


def test_pooled_edges_count_every_image_alone() -> None:
    """The second image's edge lies at the seam between the two; pooling must not find it there."""
    step = torch.where(torch.arange(6) < 3, 1.0, 3.0).expand(1, 1, 6, 6)
    maps = torch.cat([step, torch.full_like(step, 9.0)])
    table = edge_table(maps, maps, maps > 0, ["a", "b"], 1.0)
    assert table["pooled"] == dict.fromkeys(EDGES, 1.0)
    wrong = edge_table(torch.full_like(maps, 2.0), maps, maps > 0, ["a", "b"], 1.0)
    assert wrong["pooled"]["edge_recall"] == 0
    assert np.isnan(wrong["per_image"]["edge_recall"][1])


@pytest.mark.parametrize(
    ("data", "scenes", "images", "skipped", "found"),
    [
        ("nyu", 249, 654, 0, "D"), ("nyu", 248, 654, 0, "d"), ("nyu", 249, 653, 0, "d"),
        ("kitti", 33, 697, 0, "D"), ("kitti", 33, 697, 1, "d"), ("redkitchen", 1, 50, 0, "d"),
        ("rooms", 1000, 128, 0, "B"),
    ],
)  # fmt: skip
def test_only_the_whole_data_of_the_paper_are_level_d(
    data: str, scenes: int, images: int, skipped: int, found: str
) -> None:
    train = SimpleNamespace(scenes=scenes, dataset=SimpleNamespace(skipped=skipped))
    assert eigen.level(data, train, range(images)) == found


def test_real_data_are_asked_for_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MDEPTH_DATA", raising=False)
    with pytest.raises(DataError, match="MDEPTH_DATA is not set"):
        eigen.run(eigen.settings("coarse-redkitchen", "quick"), 0, folder=None, progress=False)
    monkeypatch.setenv("MDEPTH_DATA", str(tmp_path / "absent"))
    with pytest.raises(DataError, match="expected a folder, found none at"):
        data_root()


@pytest.mark.realdata
def test_red_kitchen_is_split_by_time_and_keeps_no_samples(
    real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MDEPTH_DATA", str(real_data))
    settings = replace(eigen.settings("coarse-redkitchen", "quick"), steps=3, batch=4)
    train, test = eigen.datasets(settings, (96, 128))
    assert isinstance(train, InMemory)
    assert max(train.indices) + 10 < min(test.indices)  # the gap in time
    assert train[0]["image"].shape == (3, 96, 128)
    monkeypatch.setattr(eigen, "datasets", lambda *_, **__: (train, test))
    outcome = eigen.run(settings, 0, folder=None, progress=False)
    assert outcome.data["real"]
    assert outcome.data["hash"] == eigen.fingerprint(settings)
    assert len(outcome.data["hash"]) == 64
    assert outcome.samples == {}
    assert outcome.extra["level"] == "d"
    assert outcome.metrics["worlds"]["n_images"] == len(test)


@pytest.mark.realdata
@pytest.mark.parametrize("variant", ["coarse-nyu", "coarse-kitti"])
def test_batches_of_the_papers_data_at_the_papers_size(variant: str, real_data: Path) -> None:
    settings = replace(eigen.settings(variant, "full"), batch=3)
    with torch.device("meta"):
        network = build(settings.network)
    if variant == "coarse-nyu":
        dataset = nyu.SyncFolder(real_data / "nyu" / "sync_basement_0001a")
    else:
        dataset = kitti.Raw(real_data / "kitti" / "raw", size=network.image_size)
    batch = Batches(dataset, network, settings)(0, step_generator(0, 0))
    assert batch["image"].shape == (3, 3, *network.input_size)
    assert batch["log_depth"].shape == (3, 1, *network.output_size)
    share = batch["valid"].float().mean().item()
    assert (0.4 if variant == "coarse-nyu" else 0.02) < share < 1.0
    depth = batch["log_depth"][batch["valid"]].exp()
    low, high = network.depth_range
    assert low / 1.5 < depth.median() < high
