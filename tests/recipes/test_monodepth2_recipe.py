"""The Monodepth2 recipe: what it hands to the loss, and short runs from end to end."""

import math
from dataclasses import replace

import pytest
import torch

from mdepth.datasets.worlds import World, load
from mdepth.evaluate.trajectories import chain, straight_ahead
from mdepth.models import build
from mdepth.models.monodepth2 import KITTI_UNIT
from mdepth.recipes import monodepth2 as recipe
from mdepth.recipes import monodepth2_data as data
from mdepth.recipes import monodepth2_measures as measures
from mdepth.recipes.monodepth2_paper import CLAIMS, HYPERPARAMETERS
from mdepth.recipes.monodepth2_settings import FULL, LAPTOP, QUICK, VARIANTS, Settings, settings

SHORT = {"scenes": 3, "test_size": 2, "steps": 2, "batch": 2, "precision": "32-true"}


def short(variant: str) -> Settings:
    """A laptop variant of a few steps on a few streets."""
    return replace(LAPTOP[variant], **SHORT)


@pytest.fixture(scope="module")
def sets() -> data.Sets:
    return data.datasets(short("both-roads"))


def test_names_settings_and_words_agree() -> None:
    assert set(QUICK) <= set(LAPTOP)
    assert set(VARIANTS) == set(LAPTOP) | set(FULL)
    for name in LAPTOP:
        assert settings(name, "laptop") is LAPTOP[name]
    with pytest.raises(ValueError, match="no variant"):
        settings("full-roads", "full")
    assert len(set(LAPTOP.values())) == len(LAPTOP), "two variants are the same"


def test_claims_and_rows_name_variants_that_exist() -> None:
    for claim in CLAIMS:
        assert claim.variant in LAPTOP, claim.id
        assert not claim.variant_b or claim.variant_b in LAPTOP, claim.id
    assert len({claim.id for claim in CLAIMS}) == len(CLAIMS)
    assert all(set(row.here) == set(VARIANTS) for row in HYPERPARAMETERS)


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"mask": True}, {"start": 200.0}])
def test_settings_that_make_no_sense_are_refused(wrong) -> None:
    with pytest.raises(ValueError, match=r"at least 1|predictive mask|start must lie"):
        Settings(**wrong)


def test_a_batch_holds_frames_of_one_street(sets: data.Sets) -> None:
    chosen = short("both-roads")
    both, _ = recipe.make(chosen, 0)
    plain = replace(chosen, flip=0.0, jitter=0.0)
    batch = data.Batches(sets.train, both.depth, plain)(0, torch.Generator().manual_seed(0))
    assert batch["neighbours"].shape == (2, 2, 3, 64, 192)
    assert torch.equal(batch["augmented"], batch["image"])
    streets = load(data.worlds(chosen)[0])
    first = next(i for i in range(3) if torch.equal(streets[3 * i + 1]["image"], batch["image"][0]))
    for k in range(2):
        assert torch.equal(batch["neighbours"][0, k], streets[3 * first + 2 * k]["image"])


def test_lasers_measure_a_twentieth_and_always_the_same() -> None:
    valid = torch.ones(2, 1, 64, 192, dtype=torch.bool)
    hit = data.lasers(torch.tensor([4, 9]), valid)
    assert 0.045 < hit.double().mean().item() < 0.055
    assert not hit[:, :, :21].any()
    assert torch.equal(hit[1:], data.lasers(torch.tensor([9]), valid[:1]))
    assert not torch.equal(hit[0], hit[1])


class Told(torch.nn.Module):
    """Answers what it was told."""

    def __init__(self, sigmoid: torch.Tensor) -> None:
        super().__init__()
        self.sigmoid = sigmoid

    def forward(self, image: torch.Tensor, _neighbours: torch.Tensor) -> recipe.Prediction:
        return recipe.Prediction([self.sigmoid], image.new_zeros(len(image), 0, 4, 4), [])


def test_true_depth_and_a_right_eye_leave_less_than_others(sets: data.Sets) -> None:
    """The stereo loss of the truth is lower than that of half or twice the depth: unit and baseline fit."""
    chosen = replace(short("stereo-roads"), flip=0.5, batch=3)
    both, _ = recipe.make(chosen, 0)
    batch = data.Batches(sets.train, both.depth, chosen)(1, torch.Generator().manual_seed(1))
    depth = torch.where(batch["valid"], batch["depth"], 400.0)

    def of(factor: float) -> float:
        sigmoid = ((KITTI_UNIT / (factor * depth) - 0.01) / 9.99).clamp(0, 1)
        return recipe.loss(Told(sigmoid), batch, settings=chosen, unit=KITTI_UNIT).item()

    assert of(1.0) < 0.8 * min(of(0.5), of(2.0))


def test_log_error_is_zero_for_the_truth(sets: data.Sets) -> None:
    sample = sets.test[0]
    batch = {key: sample[key][None] for key in ("depth", "valid")}
    for factor in (1.0, 2.0):
        sigmoid = (KITTI_UNIT / (factor * batch["depth"].clamp(min=0.1)) - 0.01) / 9.99
        error = recipe.log_error(sigmoid.clamp(0, 1), batch, KITTI_UNIT).item()
        assert error == pytest.approx(math.log(factor), abs=1e-4)


def test_the_automask_waits_until_its_step(sets: data.Sets, monkeypatch) -> None:
    chosen = replace(short("full-roads"), automask_from=2)
    both, _ = recipe.make(chosen, 0)
    batches, asked = data.Batches(sets.train, both.depth, chosen), []
    real = recipe.reprojection_loss

    def noted(*parts, **rest):
        asked.append(parts[5])
        return real(*parts, **rest)

    monkeypatch.setattr(recipe, "reprojection_loss", noted)
    for step in range(4):
        batch = batches(step, torch.Generator().manual_seed(step))
        recipe.loss(both, batch, settings=chosen, unit=1.0)
    assert [how.automask for how in asked] == [False, False, True, True]
    assert [replace(how, automask=True) for how in asked] == [chosen.loss] * 4


def test_the_pose_network_has_its_own_rate_and_begins_near_standing_still() -> None:
    chosen = short("full-roads")
    both, _ = recipe.make(chosen, 0)
    rates = {id(value): group["lr"] for group in recipe.groups(both, chosen) for value in group["params"]}
    assert set(rates) == {id(value) for value in both.parameters()}
    for name, value in both.named_parameters():
        assert rates[id(value)] == (chosen.pose_rate if name.startswith("pose.") else chosen.rate), name
    plain, _ = recipe.make(replace(chosen, still=1.0), 0)
    frames = torch.rand(2, 3, 64, 192, generator=torch.Generator().manual_seed(0))
    near, far = (each.between(frames[:1], frames[1:])[0, :3, 3].norm() for each in (both, plain))
    assert 0 < near < 0.2 * far


def test_encoders_begin_with_what_was_taught(monkeypatch) -> None:
    """The pose network's first convolution sees two images: equal ones look like one to it."""
    state = recipe.build(recipe.TEACHER).encoder.state_dict()
    monkeypatch.setattr(recipe, "taught", lambda *_, **__: (state, {"accuracy": 0.9}))
    both, facts = recipe.make(short("shape-roads"), 0)
    assert facts == {"accuracy": 0.9}
    own, pose = both.depth.encoder, both.pose.encoder
    assert all(torch.equal(value, state[key]) for key, value in own.state_dict().items())
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(pose.conv1(torch.cat([image, image], dim=1)), own.conv1(image), atol=1e-5)
    assert torch.equal(pose.layer4[0].conv1.weight, own.layer4[0].conv1.weight)


def test_imagenet_is_asked_for_by_the_networks_name(monkeypatch) -> None:
    asked = {}
    monkeypatch.setattr(recipe, "load_imagenet", lambda encoder, name: asked.update({name: encoder}))
    monkeypatch.setattr(recipe, "build", lambda _, **options: build("monodepth2-resnet18-roads", **options))
    both, _ = recipe.make(FULL["full-kitti"], 0)
    assert asked["resnet18"] is both.depth.encoder
    assert torch.equal(both.pose.encoder.conv1.weight[:, :3] * 2, both.depth.encoder.conv1.weight)


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["stereo-drive", "full-odometry06"])
def test_real_frames_are_learnt_from(variant: str, real_data) -> None:
    """A drive with a right eye and LiDAR, and a video that has a path and no depth."""
    chosen = replace(LAPTOP[variant], steps=2, batch=2, precision="32-true", automask_from=0)
    outcome = recipe.run(chosen, 0, folder=None, progress=False)
    assert outcome.data["real"]
    assert not outcome.samples
    assert outcome.extra["level"] == "d"
    if variant == "stereo-drive":
        assert outcome.data["test"]["length"] == 4  # Eigen's test frames of the drive
        scores = outcome.metrics["monodepth-kitti"]["mean"]["abs_rel"]
        map_of_another = outcome.metrics["monodepth-kitti@mean-map"]["mean"]["abs_rel"]
        assert 0.05 < scores < 2 * map_of_another
    else:
        path = outcome.metrics["path"]["mean"]
        assert path["mean-motion-whole"] < path["straight-whole"] < path["standing-whole"]
        assert outcome.data["train"]["indices"] == list(range(29))


def test_the_schedule_drops_once() -> None:
    kitti = FULL["full-kitti"]
    factor = recipe.schedule(kitti)
    assert [factor(step) for step in (0, 49_754, 49_755, 66_339)] == [1.0, 1.0, 0.1, 0.1]


def test_region_errors_by_hand() -> None:
    truth = torch.full((1, 1, 2, 4), 10.0)
    guess = torch.tensor([[1.0, 1.0, 1.0, 1.0], [1.0, 2.0, 3.0, 0.5]])[None, None]  # the median is 1
    there = torch.zeros(1, 1, 2, 4, dtype=torch.bool)
    there[..., 1, 1:] = True
    tables = measures.region_errors(guess, truth, truth > 0, {"there": there, "no": there & False}, ["a"])
    assert tables["regions"]["mean"]["there"] == pytest.approx((1.0 + 2.0 + 0.5) / 3)
    assert tables["regions"]["mean"]["everywhere"] == pytest.approx(3.5 / 8)
    assert tables["holes"]["mean"]["there"] == pytest.approx(1 / 3)  # three times as far; twice is not beyond
    assert tables["regions"]["mean"]["no"] != tables["regions"]["mean"]["no"]


def test_path_errors_of_a_scaled_path_are_zero() -> None:
    true = chain(straight_ahead(9, step=1.3))
    assert max(measures.path_errors(straight_ahead(9), true).values()) < 1e-9


@pytest.mark.parametrize("variant", ["full-roads", "mask-roads", "stereo-roads", "cnn-roads", "lidar-roads"])
def test_a_short_run_leaves_a_whole_outcome(variant: str) -> None:
    outcome = recipe.run(short(variant), 0, folder=None, progress=False)
    assert len(outcome.history.loss) == 2
    assert {"worlds-median", "worlds-median@mean-map", "worlds-median@pp", "regions", "holes"} <= set(
        outcome.metrics
    )
    assert ("path" in outcome.metrics) == (LAPTOP[variant].teacher == "video")
    assert ("worlds" in outcome.metrics) == LAPTOP[variant].metric
    assert outcome.metrics["worlds-median@single"]["mean"]["sigma_scale"] >= 0
    assert outcome.samples["prediction"].shape == (2, 64, 192)
    if "path" in outcome.metrics:
        assert outcome.samples["path"].shape == (1, data.DRIVEN, 3)
        assert not outcome.samples["path"][:, 0].any()


def test_told_the_depth_answers_begin_at_the_median_of_the_streets() -> None:
    """From elsewhere on, all that a fresh decoder learns first is another mean, and it may die of that."""
    streets = load(World("roads", "train", scenes=30, height=16, width=48, antialias=1), cache=False)
    batch = streets.batch(range(30))
    median = batch["depth"][batch["valid"]].median().item()
    for variant in ("depth-roads", "lidar-roads"):
        both, _ = recipe.make(LAPTOP[variant], 0, progress=False)
        with torch.no_grad():
            first = KITTI_UNIT / (0.01 + 9.99 * both.depth.eval()(torch.zeros(1, 3, 64, 192)))
        assert first.median().item() == pytest.approx(median, rel=0.15)
