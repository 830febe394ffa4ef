import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from mdepth.datasets import check_sample, export, make3d
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
