"""The recipe of Eigen et al. on the sample files, laid out as the whole data sets are: from the files through
batches, loss and steps to scores. Depths are compared with what the files hold, read here by other means.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from real_layouts import lay_out_nyu

from mdepth.datasets import check, kitti
from mdepth.models import build
from mdepth.recipes import eigen, eigen_data
from mdepth.recipes.eigen import Batches, Settings
from mdepth.shapes import DataError
from mdepth.train import step_generator

pytestmark = pytest.mark.realdata
DAY, DRIVE = "2011_09_26", "2011_09_26_drive_0002_sync"
TRAINED = ["0 l", "0 r", "3 r", "5 l", "5 r", "6 l"]
STANDING = 6


def lay_out_kitti(root: Path, samples: Path) -> None:
    """The drive, but for one frame in which the car is made to stand, and a list of training frames of it:
    the list in use has none, since the drive belongs to the test set.
    """
    day, raw = samples / "kitti/raw" / DAY, root / "kitti/raw" / DAY
    packets = raw / DRIVE / "oxts/data"
    packets.mkdir(parents=True)
    for path in [*day.glob("calib*.txt"), *(day / DRIVE).iterdir()]:
        if path.name != "oxts":
            (raw / path.relative_to(day)).symlink_to(path)
    for path in (day / DRIVE / "oxts/data").glob("*.txt"):
        packet = path.read_text().split()
        if int(path.stem) == STANDING:
            packet[6:17] = ["0.01"] * 11
        (packets / path.name).write_text(" ".join(packet))
    lists = root / "splits" / "monodepth2"
    (lists / "eigen_full").mkdir(parents=True)
    (lists / "eigen").symlink_to(samples / "splits/monodepth2/eigen")
    lines = [f"{DAY}/{DRIVE} {frame}" for frame in [*TRAINED, "70 l"]]  # the last one is not there
    (lists / "eigen_full/train_files.txt").write_text("\n".join(lines))


@pytest.fixture(scope="module")
def folder(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for MDEPTH_DATA."""
    root = tmp_path_factory.mktemp("data")
    lay_out_nyu(root, real_data)
    lay_out_kitti(root, real_data)
    return root


@pytest.fixture(autouse=True)
def _small(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MDEPTH_DATA", str(folder))
    monkeypatch.setattr(eigen_data, "PER_SCENE", {"nyu": 4, "kitti": 12})


def test_training_and_test_set_are_those_of_the_paper(folder: Path) -> None:
    train, test = eigen.real_sets(eigen.settings("coarse-nyu", "full"))
    assert [train[i]["id"] for i in range(len(train))] == [
        f"basement_0001a/rgb_{n:05d}" for n in (0, 50, 100)
    ]
    assert len(check.find(folder).paths("nyu/sync")) == 2  # the other one is of no training scene
    assert (len(test), test.numbers, test.depth) == (1, [1], "filled")  # type: ignore[attr-defined]
    train, test = eigen.real_sets(eigen.settings("coarse-kitti", "full"))
    assert isinstance(train, kitti.Raw)
    assert isinstance(test, kitti.Raw)
    sides = [f"{frame.frame} {'l' if frame.camera == 2 else 'r'}" for frame in train.frames]
    assert sides == [frame for frame in TRAINED if frame != f"{STANDING} l"]
    assert (train.mode, train.conflicts, train.skipped) == ("corrected", "closest-in-time", 1)
    assert sorted(frame.frame for frame in test.frames) == [0, 3, 6, 9]
    assert {(frame.camera, test.mode) for frame in test.frames} == {(2, "official")}
    assert test.skipped == 693


def test_a_list_in_which_all_scenes_stand_equally_often() -> None:
    for data, per_scene, each in (("nyu", 4, {1, 2}), ("kitti", 12, {2, 3})):
        train, _ = eigen.datasets(eigen.settings(f"coarse-{data}", "full"), (0, 0))
        assert len(train) == per_scene
        times = np.bincount(train.indices)
        assert set(times.tolist()) == each
        assert train[0]["id"] == train.dataset[0]["id"]
        described = train.describe()
        assert (described["per_scene"], described["of"]) == (per_scene, train.dataset.describe())


def test_what_is_missing_is_named(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MDEPTH_DATA", str(tmp_path))
    for part, key in ((None, "nyu/labelled"), ("nyu", "kitti/raw"), ("kitti", "splits/kitti")):
        if part:
            (tmp_path / part).symlink_to(folder / part)
        with pytest.raises(DataError, match=f"holds no {key}; get it from|holds no {key}; .*fetch"):
            eigen.real_sets(eigen.settings("coarse-nyu" if part is None else "coarse-kitti", "full"))
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits" / "eigen").symlink_to(folder / "splits/monodepth2/eigen")
    with pytest.raises(DataError, match=r"holds no list eigen_full/train_files.txt; .*data fetch"):
        eigen.real_sets(eigen.settings("coarse-kitti", "full"))


# ---- what the network is trained on, against the files ----

Look = Callable[[int, int], float]  # depth at a row and column of the resized image, 0 where there is none


def nyu_depth(samples: Path, sample_id: str) -> Look:
    """Of two rows and columns the second; the largest and the smallest depth of the small image are none."""
    stem = sample_id.split("rgb_")[1]
    codes = np.array(Image.open(samples / f"nyu/sync_basement_0001a/sync_depth_{stem}.png")).astype(int)
    small = codes[1::2, 1::2]
    extremes = {0, small[small > 0].min(), small.max()}
    return lambda row, column: 0.0 if small[row, column] in extremes else small[row, column] / 1000


def kitti_depth(samples: Path, sample_id: str) -> Look:
    """Every point of the scan into its pixel; there, the one nearest to straight ahead."""
    camera, number = int(sample_id.split("image_")[1][:2]), sample_id.split("/")[-1]
    day = samples / "kitti/raw" / DAY
    calibration = kitti.read_calibration(day)
    path = day / DRIVE / "velodyne_points/data" / f"{number}.bin"
    points = np.fromfile(path, dtype=np.float32).reshape(-1, 4)[:, :3].astype(np.float64)
    u, v, z = calibration.P_velo(camera) @ np.c_[points, np.ones(len(points))].T
    keep = z > 0
    azimuth = np.abs(np.arctan2(points[keep, 1], points[keep, 0]))
    columns = np.floor((u[keep] / z[keep] + 0.5) * 612 / 1242).astype(int)
    rows = np.floor((v[keep] / z[keep] + 0.5) * 184 / 375).astype(int)
    best: dict[tuple[int, int], tuple[float, float]] = {}
    for row, column, turned, depth in zip(rows, columns, azimuth, z[keep], strict=True):
        best[row, column] = min((turned, depth), best.get((row, column), (np.inf, 0.0)))
    return lambda row, column: best.get((row, column), (0.0, 0.0))[1]


def crop_of(image: torch.Tensor, whole: torch.Tensor) -> tuple[int, int]:
    """Row and column at which an image was cut out of another one."""
    height, width = image.shape[-2:]
    corners = whole.unfold(1, 8, 1).unfold(2, 8, 1)[:, : whole.shape[1] - height + 1]
    corners = corners[:, :, : whole.shape[2] - width + 1]  # 3 h w 8 8
    off = (corners - image[:, None, None, :8, :8]).abs().amax((0, 3, 4))
    row, column = divmod(int(off.argmin()), off.shape[1])
    assert torch.allclose(whole[:, row : row + height, column : column + width], image, atol=1e-5)
    return row, column


@pytest.mark.parametrize(("data", "shares"), [("nyu", (0.5, 0.95)), ("kitti", (0.15, 0.3))])
def test_targets_are_what_the_files_hold(data: str, shares: tuple[float, float], real_data: Path) -> None:
    settings = replace(
        eigen.settings(f"coarse-{data}", "full"),
        batch=3,
        zoom=(1.0, 1.0),
        roll=0.0,
        flip=0.0,
        gain=(1.0, 1.0),
    )
    with torch.device("meta"):
        network = build(settings.network)
    train, _ = eigen.datasets(settings, network.image_size)
    batch = Batches(train, network, settings)(0, step_generator(0, 0))
    items = [train[i] for i in torch.randint(len(train), (3,), generator=step_generator(0, 0)).tolist()]
    rows, columns = network.output_size  # type: ignore[misc]
    assert batch["image"].shape == (3, 3, *network.input_size)
    assert batch["log_depth"].shape == batch["valid"].shape == (3, 1, rows, columns)
    top, bottom, left, right = network.covered
    assert (rows * 4, columns * 4) == (bottom - top, right - left)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (network.mean, network.std))
    look = {"nyu": nyu_depth, "kitti": kitti_depth}[data]
    for item, image, log_depth, valid in zip(
        items, batch["image"], batch["log_depth"], batch["valid"], strict=True
    ):
        whole = torch.nn.functional.interpolate(
            item["image"][None], network.image_size, mode="bilinear", antialias=True, align_corners=False
        )[0]
        row, column = crop_of(image * std + mean, whole)
        depth_at = look(real_data, item["id"])
        expected = np.array(
            [
                [depth_at(row + top + 1 + 4 * i, column + left + 1 + 4 * j) for j in range(columns)]
                for i in range(rows)
            ]
        )
        assert np.array_equal(valid[0].numpy(), expected > 0)
        np.testing.assert_allclose(log_depth[0].exp()[valid[0]], expected[expected > 0], rtol=1e-5)
        assert shares[0] < valid.float().mean().item() < shares[1]


# ---- whole runs at the paper's size ----


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["coarse-nyu", "coarse-kitti", "fine-nyu", "fine-kitti"])
def test_a_run_at_the_papers_size(variant: str, folder: Path) -> None:
    settings = replace(eigen.settings(variant, "full"), steps=2, batch=2, accelerator="cpu", prefetch=0)
    if variant.startswith("fine"):
        settings = replace(settings, fine_steps=1)  # type: ignore[call-arg]
    outcome = eigen.run(settings, 0, folder=None, progress=False)
    assert len(outcome.history.loss) == (3 if variant.startswith("fine") else 2)
    assert np.isfinite(outcome.history.loss).all()
    assert (outcome.samples, outcome.sample_ids) == ({}, [])
    assert outcome.extra["level"] == "d"
    assert outcome.data["real"]
    assert outcome.data["hash"] == eigen.fingerprint(settings)
    assert str(folder) not in str(outcome.data)
    protocol = settings.protocol
    assert protocol == f"eigen-{settings.data}"
    ours, mean_depth = outcome.metrics[protocol], outcome.metrics[f"{protocol}@mean-depth"]
    assert ours["n_images"] == {"nyu": 1, "kitti": 4}[settings.data]
    assert ours["n_pixels"] == mean_depth["n_pixels"] == scored_pixels(settings, folder)
    assert all(np.isfinite(ours["pooled"][name]) for name in eigen.PRINTED)
    assert mean_depth["pooled"]["abs_rel"] == pytest.approx(constant_error(settings), rel=1e-3)
    if variant.startswith("fine"):
        assert outcome.metrics[f"{protocol}@coarse"]["n_pixels"] == ours["n_pixels"]


def truths(settings: Settings) -> list[np.ndarray]:
    """What is scored, by the printed crops: rows 20 to 460 and columns 24 to 616 of 480 x 640, rows 124 to
    342 and columns 44 to 1197 of 375 x 1242.
    """
    _, test = eigen.real_sets(settings)
    box = {"nyu": np.s_[20:460, 24:616], "kitti": np.s_[124:342, 44:1197]}[settings.data]
    return [test[i]["depth"][0].numpy()[box] for i in range(len(test))]


def scored_pixels(settings: Settings, folder: Path) -> int:
    """Pixels with depth; all of them in the filled depth of NYU."""
    count = sum(int((truth > 0).sum()) for truth in truths(settings))
    assert settings.data == "kitti" or count == 440 * 592
    return count


def constant_error(settings: Settings) -> float:
    """AbsRel over all pixels of one depth, the geometric mean over all known pixels of the list."""
    train, _ = eigen.datasets(settings, (0, 0))
    known = torch.cat([train[i]["depth"][train[i]["valid"]] for i in range(len(train))]).double()
    scored = np.concatenate([truth[truth > 0] for truth in truths(settings)]).astype(np.float64)
    return float((np.abs(known.log().mean().exp().item() - scored) / scored).mean())
