import json

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from mdepth.datasets import check, check_sample, export, make3d, worlds
from mdepth.datasets.make3d import LainaMake3D, Make3D
from mdepth.evaluate import evaluate, score_predictions
from mdepth.image import resize
from mdepth.shapes import DataError


@pytest.fixture
def photographs(tmp_path):
    """One tall photograph in the official layout; the depth of a cell is its row + its column / 1000, from 1
    m on."""
    grid = 1 + np.arange(55)[:, None] + np.arange(305) / 1000
    position = np.stack([np.zeros_like(grid)] * 3 + [grid], axis=-1)
    Image.fromarray(np.zeros((2272, 1704, 3), dtype=np.uint8)).save(tmp_path / "img-op1.jpg")
    savemat(tmp_path / "depth_sph_corr-op1.mat", {"Position3DGrid": position})
    return tmp_path


def test_central_crop_holds_exactly_the_central_measurements(photographs):
    sample = check_sample(make3d.Make3D(photographs, crop=True)[0])
    assert sample["image"].shape == (3, 852, 1704)
    measured = sample["depth"][sample["valid"]].reshape(21, 305).numpy()
    expected = 1 + np.arange(17, 38)[:, None] + np.arange(305) / 1000
    np.testing.assert_allclose(measured, expected, rtol=1e-6)
    assert sample["K"][0, 0].item() == pytest.approx(2407.3, abs=0.1)
    assert sample["K"][1, 2].item() == pytest.approx((2272 - 1) / 2 - 710)


def test_dense_depth_fills_the_cells(photographs):
    sample = make3d.Make3D(photographs, crop=False, dense=True)[0]
    assert sample["valid"].all()
    assert sample["depth"].unique().numel() == 55 * 305
    sparse = make3d.Make3D(photographs, crop=False)[0]
    assert (sample["depth"] == sparse["depth"])[sparse["valid"]].all()


def test_exported_world_comes_back(analytic, tmp_path):
    truth = analytic()
    dataset = make3d.Make3D(export.make3d(truth, tmp_path / "make3d"), crop=False)
    assert len(dataset) == len(truth)
    by_name = {sample["id"].split("/")[-1]: sample for sample in dataset}
    for original in truth:
        mine = by_name[original["id"].replace("/", "_")]
        assert mine["valid"].float().mean() > 0.9  # 55x305 cells cover nearly every pixel of 40x56
        assert (mine["depth"] == original["depth"])[mine["valid"]].all()


@pytest.mark.realdata
def test_real_photograph(real_data):
    sample = check_sample(make3d.BoundedDepth(real_data / "make3d", crop=True)[0])
    assert int(sample["valid"].sum()) == 21 * 305
    full = make3d.BoundedDepth(real_data / "make3d")[0]
    assert full["depth"][full["valid"]].min().item() == pytest.approx(3.84, abs=1e-4)
    assert full["depth"].max().item() == pytest.approx(80, abs=1e-4)


def test_bad_grids_are_named(photographs):
    mat = photographs / "depth_sph_corr-op1.mat"
    savemat(mat, {"Position3DGrid": np.ones((55, 305, 3))})
    with pytest.raises(DataError, match=r"op1.mat: expected Position3DGrid of shape \(55, 305, 4\)"):
        make3d.Make3D(photographs)[0]
    savemat(mat, {"Position3DGrid": np.full((55, 305, 4), -2.0)})
    with pytest.raises(DataError, match="wrong channel"):
        make3d.Make3D(photographs)[0]
    mat.write_bytes(b"not matlab")
    with pytest.raises(DataError, match="not a readable MATLAB 5 file"):
        make3d.Make3D(photographs)[0]
    mat.unlink()
    with pytest.raises(DataError, match=r"depth_sph_corr-op1.mat is missing"):
        make3d.Make3D(photographs)


@pytest.mark.realdata
def test_bounds_are_required(real_data, tmp_path):
    source = real_data / "make3d/op57-p-283t000"
    for name in ("img.png", "depth.png"):
        (tmp_path / name).write_bytes((source / name).read_bytes())
    savemat(tmp_path / "info.mat", {"clips": 1})
    with pytest.raises(DataError, match=r"info.mat: expected clips"):
        make3d.BoundedDepth(tmp_path)[0]


def test_a_photograph_without_its_bounds(tmp_path):
    Image.new("RGB", (20, 30)).save(tmp_path / "img.png")
    Image.fromarray(np.zeros((55, 305), np.uint16)).save(tmp_path / "depth.png")
    with pytest.raises(DataError, match=r"info.mat: is not a readable MATLAB 5 file .*No such file"):
        make3d.BoundedDepth(tmp_path)[0]
    clips = np.empty((1, 1), dtype=object)  # a cell array
    clips[0, 0] = {"depth_bounds": np.array([80.0, 3.84])}
    savemat(tmp_path / "info.mat", {"clips": clips})
    with pytest.raises(DataError, match=r"info.mat: clips\{1\}.depth_bounds must rise, found 80 and 3.84"):
        make3d.BoundedDepth(tmp_path)[0]


def test_a_picture_too_wide_for_the_crop(photographs):
    Image.new("RGB", (50, 20)).save(photographs / "img-op1.jpg")
    with pytest.raises(DataError, match=r"img-op1.jpg: is 20x50, too wide for the central crop of 25 rows"):
        make3d.Make3D(photographs, crop=True)[0]
    assert make3d.Make3D(photographs)[0]["image"].shape == (3, 20, 50)


# --- photographs and truth as Laina et al. use them


def test_scored_grid_by_hand(photographs):
    """Rows: 460 pixels for 55 cells, 8.36 each; columns: 345 for 305, 1.13 each, so that some come twice."""
    sample = check_sample(LainaMake3D(Make3D(photographs))[0])
    assert sample["image"].shape == (3, 460, 345)
    assert sample["valid"].all()
    rows = sample["depth"][0, :, 0] - 1  # of cell (r, c) is r + c / 1000
    assert [int((rows == r).sum()) for r in range(5)] == [8, 9, 8, 8, 9]
    assert rows[7:10].tolist() == [0, 1, 1]
    assert rows[451:453].tolist() == [53, 54]
    columns = ((sample["depth"][0, 0] - 1) * 1000).round()
    assert columns[:6].tolist() == [0, 1, 2, 3, 3, 4]
    assert columns[-5:].tolist() == [301, 301, 302, 303, 304]
    assert sample["depth"][0, 459, 344].item() == pytest.approx(1 + 54 + 0.304, rel=1e-6)
    assert sample["depth"].unique().numel() == 55 * 305  # nothing was blended, nothing lost


def test_filling_a_grid_is_resizing_it_by_nearest(generator):
    grid = torch.rand(55, 305, generator=generator)
    for size in ((460, 345), (230, 173), (2272, 1704)):
        filled = make3d.spread(grid.numpy(), *size, dense=True)
        assert torch.equal(filled, resize(grid[None, None], size, mode="nearest")[0])


def test_photographs_are_resized_by_nearest(photographs):
    """The centre of row 0 of 460 is at 2.47 of 2272, that of row 0 of 230 at 4.94, that of row 459 at
    2269.5."""
    rows, columns = np.meshgrid(np.arange(2272) % 256, np.arange(1704) % 256, indexing="ij")
    picture = np.stack([rows, columns, 0 * rows], axis=-1).astype(np.uint8)
    (photographs / "img-op1.jpg").unlink()
    Image.fromarray(picture).save(photographs / "img-op1.png")
    for training, shape, first, last in (
        (False, (460, 345), (2, 2), (2269, 1701)),
        (True, (230, 173), (4, 4), (2267, 1699)),
    ):
        image = LainaMake3D(Make3D(photographs), training=training)[0]["image"]
        assert image.shape == (3, *shape)
        for pixel, source in ((image[:, 0, 0], first), (image[:, -1, -1], last)):
            assert torch.equal(pixel, torch.tensor([source[0] % 256, source[1] % 256, 0]) / 255)


def test_training_halves_and_masks_what_is_beyond_70_metres(photographs):
    grid = np.full((55, 305), 5.0)
    grid[0], grid[1], grid[2], grid[3] = 70.0, 70.001, 81.0, 0.0
    position = np.stack([np.zeros_like(grid)] * 3 + [grid], axis=-1)
    savemat(photographs / "depth_sph_corr-op1.mat", {"Position3DGrid": position})
    sample = check_sample(LainaMake3D(Make3D(photographs), training=True)[0])
    assert sample["image"].shape == (3, 230, 173)
    edges = [0, 4, 8, 13, 17]  # rows of the first four cells: 230 pixels for 55 cells, 4.18 each
    for cell, depth in enumerate((70.0, 0.0, 0.0, 0.0)):
        assert (sample["depth"][0, edges[cell] : edges[cell + 1]] == depth).all()
    assert (sample["depth"][0, edges[4] :] == 5).all()
    assert torch.equal(sample["valid"], sample["depth"] > 0)
    scored = LainaMake3D(Make3D(photographs))[0]
    assert scored["depth"].max() == 81  # masked by the protocol, not here


def test_the_camera_of_the_small_photograph(photographs):
    """A direction in the full photograph is the same direction in the small one."""
    full, small = Make3D(photographs)[0]["K"], LainaMake3D(Make3D(photographs))[0]["K"]
    corner = torch.linalg.inv(full) @ torch.tensor([-0.5, -0.5, 1.0])
    torch.testing.assert_close(small @ corner, torch.tensor([-0.5, -0.5, 1.0]), atol=1e-4, rtol=0)


def test_describes_itself(photographs):
    training = LainaMake3D(Make3D(photographs), training=True)
    assert json.loads(json.dumps(training.describe())) == {
        "name": "make3d-laina", "length": 1, "photographs": "make3d", "names": ["op1"], "training": True
    }  # fmt: skip
    assert training.fingerprint() != LainaMake3D(Make3D(photographs)).fingerprint()
    assert {path.name for path in training.files()} == {"img-op1.jpg", "depth_sph_corr-op1.mat"}
    with pytest.raises(IndexError):
        training[1]


# --- worlds, exported and scored


@pytest.fixture(scope="module")
def roads():
    """Two streets, one of which one sees for more than 70 m."""
    world = worlds.load(worlds.World(kind="roads", split="test", scenes=4), cache=False)
    return [world[2], world[3]]


def by_hand(depth):
    """The truth of a world (1, H, W) at 460 x 345: the cell of each pixel, then the world's pixel at the
    cell's centre."""
    height, width = depth.shape[1:]
    rows = [int((int((v + 0.5) * 55 / 460) + 0.5) * height / 55) for v in range(460)]
    columns = [int((int((u + 0.5) * 305 / 345) + 0.5) * width / 305) for u in range(345)]
    return depth[:, rows][:, :, columns]


@pytest.mark.parametrize(("factor", "abs_rel"), [(1.0, 0.0), (1.1, 0.1)])
def test_perfect_and_ten_percent_off_on_a_world(roads, tmp_path, factor, abs_rel):
    dataset = LainaMake3D(Make3D(export.make3d(roads, tmp_path / "make3d")))
    ids = [sample["id"].replace("/", "_") for sample in roads]
    assert [sample["id"].removeprefix("make3d/") for sample in dataset] == ids
    truth = [by_hand(sample["depth"]) for sample in roads]
    pixels = {
        name: sum(int(((depth > 0) & (depth < end)).sum()) for depth in truth)
        for name, end in (("make3d", 70), ("make3d-c2", 82))
    }
    assert pixels["make3d-c2"] > pixels["make3d"] > 0
    for name, counted in pixels.items():
        scores = score_predictions([factor * depth for depth in truth], dataset, name)
        assert scores.reported == scores.pooled
        assert scores.pooled["abs_rel"] == pytest.approx(abs_rel, abs=1e-6)
        assert scores.n_pixels == counted


def test_only_c2_sees_an_error_beyond_70_metres(roads, tmp_path):
    dataset = LainaMake3D(Make3D(export.make3d(roads, tmp_path / "make3d")))
    maps = [torch.where(depth < 70, depth, 35.0) for depth in (by_hand(sample["depth"]) for sample in roads)]
    maps = [torch.where(depth > 0, depth, 1.0) for depth in maps]
    scores = {name: score_predictions(maps, dataset, name).pooled for name in ("make3d", "make3d-c2")}
    assert scores["make3d"]["rmse"] == 0
    assert scores["make3d-c2"]["rmse"] > 1


def test_predictions_are_enlarged_bilinearly(roads, tmp_path):
    """A network's small map, as the script enlarges it: half a pixel in from either side nothing changes."""
    dataset = LainaMake3D(Make3D(export.make3d(roads, tmp_path / "make3d")))
    ramp = torch.tensor([[10.0], [20.0]])
    expected = (10 + 10 * ((torch.arange(460) + 0.5) / 230 - 0.5).clamp(0, 1)).reshape(1, 1, 460, 1)
    scores = evaluate(lambda image: ramp.expand(len(image), 1, 2, 1), dataset, ["make3d", "make3d-c2"])
    for name, end in (("make3d", 70), ("make3d-c2", 82)):
        target = torch.stack([by_hand(sample["depth"]) for sample in roads])
        counted = (target > 0) & (target < end)
        error = (expected - target)[counted]
        assert scores[name].pooled["rmse"] == pytest.approx(error.square().mean().sqrt().item(), rel=1e-5)


# --- the official folders


@pytest.fixture
def official(analytic, tmp_path, tmp_path_factory):
    """Both splits as the archives unpack: three photographs (.jpg) to train with, one to test with."""
    source = export.make3d(analytic(), tmp_path_factory.mktemp("exported") / "make3d")

    for split, kept in (("train", slice(1, None)), ("test", slice(0, 1))):
        photographs, grids = (tmp_path / folder for folder in make3d.SPLITS[split])
        photographs.mkdir()
        grids.mkdir()
        for path in sorted(source.glob("img-*.png"))[kept]:
            name = path.stem.removeprefix("img-")
            Image.open(path).save(photographs / f"img-10.21{name}.jpg", quality=95, subsampling=0)
            mat = source / f"depth_sph_corr-{name}.mat"
            mat.rename(grids / f"depth_sph_corr-10.21{name}.mat")  # the official names hold dots
    return tmp_path


def test_the_official_split_is_by_folder(official, analytic):
    train, test, both = (Make3D(official, split=split) for split in ("train", "test", None))
    names = [f"10.21room_{scene:04d}_{frame:02d}" for scene in range(2) for frame in range(2)]
    assert [sample["scene"] for sample in test] == names[:1]
    assert [sample["scene"] for sample in train] == names[1:]
    assert len(both) == 4
    assert [dataset.describe()["split"] for dataset in (train, test, both)] == ["train", "test", None]
    for dataset, truth in ((train, [analytic()[i] for i in (1, 2, 3)]), (test, [analytic()[0]])):
        for mine, original in zip(dataset, truth, strict=True):
            check_sample(mine)
            assert (mine["depth"] == original["depth"])[mine["valid"]].all()
            assert (mine["image"] - original["image"]).abs().mean() < 0.02  # jpg is not lossless
    assert LainaMake3D(train, training=True)[0]["image"].shape == (3, 230, 173)


def test_official_folders_open_by_what_check_finds(official, tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    (root / "make3d").mkdir()
    for folder in sum(make3d.SPLITS.values(), ()):
        (official / folder).rename(root / "make3d" / folder)
    inventory = check.find(root)
    assert inventory.paths("make3d/official") == [
        root / "make3d/Gridlaserdata", root / "make3d/Train400Depth"
    ]  # fmt: skip
    assert len(inventory.open("make3d/official")) == 4
    assert len(inventory.open("make3d/official", split="train")) == 3


def test_broken_official_folders_are_named(official):
    with pytest.raises(ValueError, match="split must be one of train, test or None, got 'val'"):
        Make3D(official, split="val")
    grid = next((official / "Train400Depth").iterdir())
    kept = grid.rename(official / grid.name)
    with pytest.raises(DataError, match=rf"Train400Depth: {grid.name} is missing, but img-.*jpg is there"):
        Make3D(official, split="train")
    kept.rename(grid)
    image = next((official / "Train400Img").iterdir())
    image.rename(official / image.name)
    with pytest.raises(DataError, match=rf"Train400Img: {image.name} is missing, but its grid is in"):
        Make3D(official, split="train")
    (official / image.name).rename(image)
    next((official / "Test134").iterdir()).unlink()
    with pytest.raises(DataError, match=r"Test134: holds no Make3D photographs \(\*\*/img-\*\.\*\)"):
        Make3D(official, split="test")
    (official / "Test134").rmdir()
    with pytest.raises(DataError, match=r"Test134: is not a folder; the test split is read from Test134 "):
        Make3D(official, split="test")
    assert len(Make3D(official, split="train")) == 3


def test_two_photographs_of_one_name(official):
    image = next((official / "Train400Img").iterdir())
    Image.open(image).save(image.with_suffix(".png"))
    with pytest.raises(DataError, match=r"img-.*png: has the name of .*img-.*jpg"):
        Make3D(official, split="train")


@pytest.mark.realdata
def test_the_real_photograph_is_prepared_and_scored(real_data):
    bounded = make3d.BoundedDepth(real_data / "make3d")
    scored, training = LainaMake3D(bounded), LainaMake3D(bounded, training=True)
    sample = check_sample(scored[0])
    assert sample["image"].shape == (3, 460, 345)
    assert sample["depth"].unique().numel() == np.unique(bounded.read_grid(bounded.pairs[0][2])).size
    small = check_sample(training[0])
    assert small["image"].shape == (3, 230, 173)
    assert 3.8 < small["depth"][small["valid"]].min() < small["depth"].max() <= 70
    scores = evaluate(lambda image: torch.full((len(image), 1, 8, 6), 12.0), scored, ["make3d", "make3d-c2"])
    for found in scores.values():
        assert all(np.isfinite(value) for value in found.pooled.values())
    assert 0 < scores["make3d"].n_pixels <= scores["make3d-c2"].n_pixels == 460 * 345
