"""The evaluation loop: what is asked of the network, what is averaged, and what goes wrong loudly."""

import dataclasses
import json
import math

import numpy as np
import pytest
import torch

from mdepth import metrics
from mdepth.datasets.check import find
from mdepth.evaluate import CROPS, PROTOCOLS, Protocol, evaluate, score_predictions

FULL = Protocol("full", "here")


def sample(depth: torch.Tensor, name: str, image: torch.Tensor | None = None) -> dict:
    """A sample with this depth (H, W); 0 is missing."""
    height, width = depth.shape
    image = torch.zeros(3, height, width) if image is None else image
    return {
        "image": image,
        "depth": depth[None],
        "valid": depth[None] > 0,
        "id": name,
        "scene": "s",
        "K": torch.eye(3),
    }


def room(generator, height=48, width=64, count=5) -> list[dict]:
    """Depth between 1 and 5 m with holes; the red channel tells a network 0.9 of it."""
    samples = []
    for i in range(count):
        depth = 1 + 4 * torch.rand(height, width, generator=generator)
        depth[torch.rand(height, width, generator=generator) < 0.1] = 0
        image = torch.stack([depth / 10, torch.zeros_like(depth), torch.zeros_like(depth)])
        samples.append(sample(depth, f"room/{i}", image))
    return samples


def from_red(image: torch.Tensor) -> torch.Tensor:
    """A "network" that is 10 % short, and 0.5 m where the depth is missing."""
    red = image[:, :1]
    return torch.where(red > 0, 9 * red, 0.5)


def test_per_image_and_pooled_tell_different_stories_of_the_same_predictions():
    """Two images, off by 1 m and by 7 m: RMSE 4 m per image, 5 m pooled; DenseDepth's 0.465 and 0.5485 in
    miniature.
    """
    dataset = [sample(torch.full((4, 4), depth), f"{depth}") for depth in (13.0, 7.0)]
    constant = lambda image: torch.full((len(image), 1, 4, 4), 14.0)  # noqa: E731
    pooled = dataclasses.replace(FULL, name="pooled", averaging="pooled")
    scores = evaluate(constant, dataset, [FULL, pooled])
    assert scores["full"].per_image["rmse"] == [1.0, 7.0]
    assert (
        scores["full"].reported["rmse"] == scores["full"].mean["rmse"] == scores["pooled"].mean["rmse"] == 4.0
    )
    assert scores["pooled"].reported["rmse"] == scores["full"].pooled["rmse"] == 5.0


def test_five_crops_are_five_numbers(generator):
    depth = 1 + 9 * torch.rand(480, 640, generator=generator)
    dataset = [sample(depth, "one", torch.stack([depth / 10] * 3))]
    names = ("toolbox", "eigen-today", "gupta", "eigen-nyu", "bts-train")
    protocols = [dataclasses.replace(FULL, name=name, crop=CROPS[name]) for name in names]
    noisy = lambda image: 10 * image[:, :1] + 0.3 * torch.sin(image[:, :1] * 1e4)  # noqa: E731
    scores = evaluate(noisy, dataset, protocols, metrics=["rmse"])
    assert len({s.mean["rmse"] for s in scores.values()}) == 5
    assert [s.n_pixels for s in scores.values()] == [427 * 561, 426 * 560, 425 * 560, 440 * 592, 427 * 565]


def test_the_loop_equals_the_metrics_on_the_stack(generator):
    dataset = room(generator)
    scores = evaluate(from_red, dataset, FULL, batch_size=2)["full"]
    depth, valid = (torch.stack([s[key] for s in dataset]) for key in ("depth", "valid"))
    prediction = from_red(torch.stack([s["image"] for s in dataset]))
    for name, expected in metrics.compute(prediction, depth, valid).items():
        assert scores.per_image[name] == expected.tolist()
        assert scores.mean[name] == pytest.approx(expected.mean().item())
        assert scores.pooled[name] == metrics.pooled(name, prediction, depth, valid)
    assert scores.ids == [f"room/{i}" for i in range(5)]
    assert scores.n_images == 5
    assert scores.n_pixels == valid.sum()
    assert scores.mean["abs_rel"] == pytest.approx(0.1, abs=1e-6)
    assert scores.mean["silog"] == pytest.approx(0, abs=1e-3)


def official_way(prediction: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Monodepth2's evaluation of one image: mask, median scaling, clamp, seven numbers."""
    height, width = truth.shape
    box = np.array([0.40810811 * height, 0.99189189 * height, 0.03594771 * width, 0.96405229 * width]).astype(
        int
    )
    mask = np.zeros(truth.shape, bool)
    mask[box[0] : box[1], box[2] : box[3]] = True
    mask &= (truth > 1e-3) & (truth < 80)
    p, t = prediction[mask], truth[mask]
    p = np.clip(p * np.median(t) / np.median(p), 1e-3, 80)
    ratio = np.maximum(t / p, p / t)
    return {
        "abs_rel": np.mean(np.abs(t - p) / t),
        "sq_rel": np.mean((t - p) ** 2 / t),
        "rmse": np.sqrt(np.mean((t - p) ** 2)),
        "rmse_log": np.sqrt(np.mean((np.log(t) - np.log(p)) ** 2)),
        **{f"delta{k}": np.mean(ratio < 1.25**k) for k in (1, 2, 3)},
    }


def road_like(image: torch.Tensor) -> torch.Tensor:
    """A "network" for streets in its own unit: near at the bottom, far at the top, a little red."""
    slope = torch.linspace(12, 1, image.shape[-2]).reshape(1, 1, -1, 1)
    return slope + image[:, :1]


def check_agrees_with_the_official_way(dataset) -> None:
    scores = evaluate(road_like, dataset, "monodepth2-kitti")["monodepth2-kitti"]
    for i in range(len(dataset)):
        item = dataset[i]
        expected = official_way(road_like(item["image"][None])[0, 0].numpy(), item["depth"][0].numpy())
        for name, value in expected.items():
            assert scores.per_image[name][i] == pytest.approx(value, rel=2e-6), (item["id"], name)


def test_monodepth2_kitti_is_the_official_script_on_dense_and_sparse_truth(generator):
    image = torch.rand(3, 94, 311, generator=generator)
    dense = 90 * torch.rand(94, 311, generator=generator)
    sparse = torch.where(torch.rand(94, 311, generator=generator) < 0.05, dense, 0.0)
    check_agrees_with_the_official_way([sample(dense, "dense", image), sample(sparse, "sparse", image)])


@pytest.mark.realdata
def test_monodepth2_kitti_is_the_official_script_on_real_frames(real_data):
    check_agrees_with_the_official_way(find(real_data).open("kitti/raw"))


@pytest.mark.parametrize("batch_size", [1, 3, 50])
def test_batches_do_not_matter(batch_size, generator):
    dataset = room(generator)
    names = ["worlds", "eigen-nyu", "adabins-nyu", "hu-nyu"]
    assert evaluate(from_red, dataset, names, batch_size=batch_size) == evaluate(
        from_red, dataset, names, batch_size=2
    )


def test_limit_takes_the_first(generator):
    dataset = room(generator)
    assert evaluate(from_red, dataset, "worlds", limit=2)["worlds"].ids == ["room/0", "room/1"]
    assert evaluate(from_red, dataset, "worlds", limit=99)["worlds"].n_images == 5


def test_images_of_different_sizes_are_batched_apart():
    dataset = [
        sample(torch.full(size, 2.0), f"{i}") for i, size in enumerate([(4, 6), (4, 6), (5, 7), (4, 6)])
    ]
    shapes = []

    def constant(image):
        shapes.append(tuple(image.shape))
        return torch.full((len(image), 1, 2, 3), 3.0)

    scores = evaluate(constant, dataset, "worlds")["worlds"]
    assert shapes == [(2, 3, 4, 6), (1, 3, 5, 7), (1, 3, 4, 6)]
    assert scores.per_image["rmse"] == pytest.approx([1.0] * 4)


def test_every_view_is_predicted_once(generator):
    """Four protocols share the full frame, one needs its mirror image, two share Hu's view."""
    dataset, seen = room(generator, count=1), []

    def predict(image):
        seen.append((image.shape[-2:], image[0, 0, 0, 0].item()))
        return from_red(image)

    evaluate(
        predict, dataset, ["worlds", "eigen-nyu", "laina-nyu", "adabins-nyu", "hu-nyu", "sparse-to-dense-nyu"]
    )
    assert sorted(tuple(shape) for shape, _ in seen) == [(48, 64), (48, 64), (228, 304)]
    assert seen[0] != seen[1]


def test_a_symmetric_network_gains_nothing_from_flips(generator):
    dataset = room(generator)
    plain = dataclasses.replace(PROTOCOLS["adabins-nyu"], flip="none")
    with_flips = evaluate(from_red, dataset, "adabins-nyu")["adabins-nyu"]
    without = evaluate(from_red, dataset, plain)["adabins-nyu"]
    assert with_flips.mean["rmse"] == pytest.approx(without.mean["rmse"], rel=1e-6)


def test_median_scaling_makes_up_for_a_wrong_scale(generator):
    dataset = room(generator)
    median = dataclasses.replace(FULL, name="median", alignment="median")
    scores = evaluate(lambda image: 10 * from_red(image), dataset, [FULL, median])
    assert scores["full"].mean["abs_rel"] > 7
    assert scores["median"].mean["abs_rel"] == pytest.approx(0, abs=1e-6)
    assert scores["median"].factors == pytest.approx([1 / 9] * 5)
    assert scores["full"].factors == [1.0] * 5


def test_an_image_without_scored_pixels_does_not_count(generator):
    dataset = room(generator, count=2)
    dataset[1]["valid"][:] = False
    scores = evaluate(from_red, dataset, "monodepth2-kitti")["monodepth2-kitti"]
    assert math.isnan(scores.per_image["rmse"][1])
    assert scores.mean["rmse"] == scores.per_image["rmse"][0]
    assert scores.n_images == 2
    stored = json.loads(json.dumps(scores.to_dict(), allow_nan=False))
    assert stored["per_image"]["rmse"][1] is None
    assert set(stored) == {"mean", "pooled", "per_image", "ids", "n_images", "n_pixels"}


def test_nothing_keeps_a_graph(generator):
    weight = torch.ones(1, requires_grad=True)
    scores = evaluate(lambda image: weight * from_red(image), room(generator, count=1), "worlds")
    assert scores["worlds"].n_images == 1


# --- what goes wrong


def test_bad_predictions_name_protocol_and_image(generator):
    dataset = room(generator)
    with pytest.raises(ValueError, match=r"protocol full, image room/0: .*NaN"):
        evaluate(lambda image: from_red(image) * math.nan, dataset, FULL)
    with pytest.raises(ValueError, match=r"protocol worlds, image room/0: .*NaN"):  # a clamp does not hide it
        evaluate(lambda image: from_red(image) * math.nan, dataset, "worlds")
    with pytest.raises(ValueError, match=r"image room/0: .*not positive"):
        evaluate(lambda image: from_red(image) - 2, dataset, FULL)
    assert evaluate(lambda image: from_red(image) - 2, dataset, "worlds")["worlds"].n_images == 5
    with pytest.raises(ValueError, match=r"\(5, 1, h, w\), got \(5, 48, 64\)"):
        evaluate(lambda image: from_red(image)[:, 0], dataset, FULL)


def test_bad_requests_are_refused(generator):
    dataset = room(generator, count=1)
    with pytest.raises(ValueError, match="no protocol named 'wordls'"):
        evaluate(from_red, dataset, "wordls")
    with pytest.raises(ValueError, match="no metric named rsme"):
        evaluate(from_red, dataset, "worlds", metrics=["rsme"])
    with pytest.raises(ValueError, match="each once"):
        evaluate(from_red, dataset, ["worlds", "worlds"])
    with pytest.raises(ValueError, match="nothing to evaluate"):
        evaluate(from_red, [], "worlds")
    with pytest.raises(ValueError, match="480 x 640"):
        evaluate(from_red, [sample(torch.ones(10, 30), "wide")], "eigen-nyu")


# --- predictions made elsewhere


def test_predictions_made_elsewhere_score_as_the_network_that_made_them(generator):
    dataset = room(generator)
    maps = [from_red(s["image"][None])[0, 0].numpy() for s in dataset]
    for name in ("worlds", "eigen-nyu", "monodepth2-kitti"):
        assert score_predictions(maps, dataset, name) == evaluate(from_red, dataset, name)[name]
    with_channel = score_predictions((torch.from_numpy(m)[None] for m in maps), dataset, "worlds")
    assert with_channel == evaluate(from_red, dataset, "worlds")["worlds"]


def test_smaller_and_float64_predictions_are_brought_to_the_truth():
    dataset = [sample(torch.full((4, 8), 2.0), "one")]
    assert score_predictions([np.full((2, 4), 3.0)], dataset, "worlds").mean["rmse"] == 1.0


@pytest.mark.parametrize(
    ("count", "message"), [(1, "2 samples, 1 predictions"), (3, "more than 2 predictions")]
)
def test_one_prediction_per_sample(count, message):
    dataset = [sample(torch.full((4, 8), 2.0), f"{i}") for i in range(2)]
    with pytest.raises(ValueError, match=message):
        score_predictions([np.full((4, 8), 3.0)] * count, dataset, "worlds")


def test_maps_of_other_kinds_are_refused():
    dataset = [sample(torch.full((4, 8), 2.0), "the-one")]
    with pytest.raises(ValueError, match=r"the-one: expected a map .* got shape \(3, 4, 8\)"):
        score_predictions([np.ones((3, 4, 8))], dataset, "worlds")
    with pytest.raises(ValueError, match=r"the-one: .*floats, got torch.uint16"):
        score_predictions([np.ones((4, 8), np.uint16)], dataset, "worlds")


@pytest.mark.gpu
def test_scores_agree_between_devices(generator):
    dataset = room(generator)
    here = evaluate(from_red, dataset, ["worlds", "monodepth2-kitti"])
    there = evaluate(from_red, dataset, ["worlds", "monodepth2-kitti"], device="cuda")
    for name, scores in here.items():
        assert there[name].mean == pytest.approx(scores.mean, rel=1e-4, abs=1e-4)
