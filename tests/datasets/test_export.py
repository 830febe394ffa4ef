"""What is exported comes back through the real loaders: images to 1/255, depth, masks, cameras and poses to
float precision."""

import numpy as np
import pytest
import torch

from mdepth.datasets import check_sample, export, kitti, make3d, nyu
from mdepth.datasets.export_benchmark import write_benchmark_png
from mdepth.datasets.files import read_codes
from mdepth.datasets.predictions import read_predictions
from mdepth.datasets.sample import DepthDataset
from mdepth.shapes import DataError


def relative(samples):
    """Poses in the frame of the first one."""
    first = torch.linalg.inv(samples[0]["T_world_camera"].double())
    return [first @ sample["T_world_camera"].double() for sample in samples]


@pytest.mark.parametrize("mode", ["official", "corrected"])
def test_kitti_round_trip(analytic, tmp_path, mode):
    truth = analytic(scenes=2, frames=3, holes=True, stereo=True)
    root = export.kitti_raw(truth, tmp_path / "raw", mode=mode)
    lines = (root / "split.txt").read_text().splitlines()
    dataset = kitti.Raw(root, lines, mode=mode, stereo=True)
    assert len(dataset) == len(truth) == 6
    for mine, original in zip(dataset, truth, strict=True):
        check_sample(mine)
        expected = original["depth"].clone()
        if mode == "official":
            expected[..., -1] = 0  # the official code confuses it with column 0: left out
        torch.testing.assert_close(mine["depth"], expected, atol=2e-5, rtol=1e-5)
        for key in ("image", "image_right", "K", "T_right_left"):
            torch.testing.assert_close(mine[key], original[key], atol=1e-6, rtol=1e-6)
    for scene in range(2):
        mine, original = ([d[3 * scene + i] for i in range(3)] for d in (dataset, truth))
        for a, b in zip(relative(mine), relative(original), strict=True):
            torch.testing.assert_close(a, b, atol=1e-5, rtol=0)


def test_modes_differ_by_one_pixel(analytic, tmp_path):
    root = export.kitti_raw(analytic(scenes=1, frames=1), tmp_path / "raw", mode="corrected")
    official, corrected = (kitti.Raw(root, mode=mode)[0]["depth"] for mode in ("official", "corrected"))
    torch.testing.assert_close(official[:, 5:-1, 5:-2], corrected[:, 6:, 6:-1])


def test_first_camera_of_a_drive_is_the_world(analytic, tmp_path):
    root = export.kitti_raw(analytic(scenes=1, frames=2), tmp_path / "raw")
    torch.testing.assert_close(kitti.Raw(root)[0]["T_world_camera"], torch.eye(4), atol=1e-6, rtol=0)


def test_exported_kitti_has_the_official_shape(analytic, tmp_path):
    root = export.kitti_raw(analytic(scenes=1, frames=1, stereo=True), tmp_path / "raw")
    files = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    drive = "2011_09_26/2011_09_26_drive_0001_sync"
    assert files == {
        "split.txt",
        *(f"2011_09_26/calib_{name}.txt" for name in ("cam_to_cam", "velo_to_cam", "imu_to_velo")),
        f"{drive}/image_02/data/0000000000.png",
        f"{drive}/image_03/data/0000000000.png",
        f"{drive}/velodyne_points/data/0000000000.bin",
        f"{drive}/oxts/data/0000000000.txt",
    }
    assert len((root / drive / "oxts/data/0000000000.txt").read_text().split()) == 30
    assert kitti.read_scan(root / drive / "velodyne_points/data/0000000000.bin").shape == (40 * 55, 4)


def test_split_and_jpg_images(analytic, tmp_path):
    """The usual conversion to jpg is found too, and a lost LiDAR scan is named."""
    from PIL import Image

    root = export.kitti_raw(analytic(scenes=1, frames=2), tmp_path / "raw")
    data = root / "2011_09_26/2011_09_26_drive_0001_sync/image_02/data"
    for path in sorted(data.glob("*.png")):
        Image.open(path).save(path.with_suffix(".jpg"), quality=95)
        path.unlink()
    dataset = kitti.Raw(root)
    assert len(dataset) == 2
    assert dataset.image_path(dataset.frames[0]).suffix == ".jpg"
    (root / "2011_09_26/2011_09_26_drive_0001_sync/velodyne_points/data/0000000001.bin").unlink()
    assert len(kitti.Raw(root)) == 1
    with pytest.raises(
        DataError, match=r"0000000001.bin: missing, named by the split line '.* 1 l' \(1 of 2 frames"
    ):
        kitti.Raw(root, (root / "split.txt").read_text().splitlines())


def test_nyu_file_is_what_matlab_writes(analytic, tmp_path):
    import h5py

    path = export.nyu_mat(analytic(), tmp_path / "nyu.mat")
    assert path.read_bytes()[:10] == b"MATLAB 7.3"
    assert path.read_bytes()[124:128] == b"\x00\x02IM"
    with h5py.File(path) as file:
        assert file["images"].shape == (4, 3, 56, 40)
        assert file["depths"].shape == file["rawDepths"].shape == (4, 56, 40)
        assert (file["images"].dtype, file["depths"].dtype, file["labels"].dtype) == (
            np.uint8,
            np.float32,
            np.uint16,
        )


def test_default_split_has_the_official_proportion(analytic, tmp_path):
    path = export.nyu_mat(analytic(scenes=10, frames=2), tmp_path / "nyu.mat")
    sizes = [len(nyu.Labelled(path, tmp_path / "splits.mat", split)) for split in ("train", "test")]
    assert sizes == [11, 9]
    with pytest.raises(ValueError, match="indices from 0 to 3"):
        export.nyu_mat(analytic(), tmp_path / "other" / "nyu.mat", test=[4])


def test_sensor_depth_becomes_raw_depth(analytic, tmp_path):
    class Kinect(analytic):
        def __getitem__(self, index):
            sample = super().__getitem__(index)
            return {**sample, "sensor_depth": sample["depth"] * (sample["depth"] < 4)}

    path = export.nyu_mat(Kinect(), tmp_path / "nyu.mat")
    raw, filled = nyu.Labelled(path, depth="raw")[0], nyu.Labelled(path)[0]
    assert raw["depth"].max() < 4 < filled["depth"].max()


def test_worlds_run_through_the_real_loaders(tmp_path):
    from mdepth.datasets import worlds

    rooms = worlds.load(worlds.World(kind="rooms", split="test", scenes=2, height=24, width=32), cache=False)
    labelled = nyu.Labelled(export.nyu_mat(rooms, tmp_path / "nyu.mat"))
    roads = worlds.World(kind="roads", split="test", scenes=1, frames=2, height=16, width=48, stereo=True)
    driven = worlds.load(roads, cache=False)
    raw = kitti.Raw(
        export.kitti_raw(driven, tmp_path / "raw", mode="corrected"), mode="corrected", stereo=True
    )
    for dataset, truth in ((labelled, rooms), (raw, driven)):
        assert len(dataset) == len(truth) == 2
        for mine, original in zip(dataset, (truth[0], truth[1]), strict=True):
            where = original["valid"]
            torch.testing.assert_close(mine["depth"][where], original["depth"][where], atol=1e-4, rtol=1e-5)
            torch.testing.assert_close(mine["image"], original["image"], atol=0.5 / 255 + 1e-6, rtol=0)
            torch.testing.assert_close(mine["K"], original["K"])
    for a, b in zip(relative(list(raw)), relative([driven[0], driven[1]]), strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=0)


class Broken(DepthDataset):
    """Good samples and then one that is not."""

    def __init__(self, good, change):
        self.good, self.change = good, change

    def __len__(self):
        return len(self.good)

    def __getitem__(self, index):
        sample = self.good[self.item_index(index)]
        return sample if index == 0 else {**sample, **self.change}


WRITERS = {
    "nyu": (export.nyu_mat, "nyu.mat"),
    "kitti": (export.kitti_raw, "raw"),
    "make3d": (export.make3d, "make3d"),
}


@pytest.mark.parametrize("layout", WRITERS)
def test_a_bad_sample_leaves_nothing_behind(analytic, tmp_path, layout):
    write, name = WRITERS[layout]
    with pytest.raises(DataError, match="NaN"):
        write(Broken(analytic(), {"depth": torch.full((1, 40, 56), torch.nan)}), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("layout", ["nyu", "kitti"])
def test_two_cameras_are_refused(analytic, tmp_path, layout):
    write, name = WRITERS[layout]
    with pytest.raises(DataError, match="this layout holds one camera"):
        write(
            Broken(analytic(), {"K": analytic().K() * torch.tensor([[2.0], [2.0], [1.0]])}), tmp_path / name
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("layout", WRITERS)
def test_full_disk_leaves_nothing_behind(analytic, tmp_path, monkeypatch, layout):
    """The third file (or dataset) that is written finds no space."""
    import h5py
    from PIL import Image

    write, name = WRITERS[layout]
    calls = []

    def full(original):
        def call(*args, **kwargs):
            calls.append(1)
            if len(calls) == 3:
                raise OSError(28, "No space left on device")
            return original(*args, **kwargs)

        return call

    monkeypatch.setattr(Image.Image, "save", full(Image.Image.save))
    monkeypatch.setattr(h5py.Group, "create_dataset", full(h5py.Group.create_dataset))
    with pytest.raises(
        DataError, match=rf"{name}: could not be written \(No space left on device\); nothing was left behind"
    ):
        write(analytic(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_begun_that_the_disk_cannot_hold(analytic, tmp_path, monkeypatch):
    """HDF5 fails beyond repair on a disk that runs full, so space is asked for before."""
    import shutil

    asked = []

    def nearly_full(path):
        asked.append(path)
        return type("Usage", (), {"free": 120_000})

    monkeypatch.setattr(shutil, "disk_usage", nearly_full)
    with pytest.raises(
        DataError, match=r"nyu.mat: could not be written \(0.2 MB are needed, more than this disk has free\)"
    ):
        export.nyu_mat(analytic(), tmp_path / "nyu.mat")
    assert list(tmp_path.iterdir()) == []
    assert asked[0].parent == tmp_path  # the disk of the target
    monkeypatch.undo()
    path = export.nyu_mat(analytic(scenes=20), tmp_path / "nyu.mat")
    assert path.stat().st_size < 40 * (14 * 40 * 56 + 1000) + 100_000  # what was asked for suffices


@pytest.mark.parametrize("layout", WRITERS)
def test_read_only_folder(analytic, tmp_path, monkeypatch, layout):
    """Denied by the system call itself, so that the test holds for a superuser too."""
    import tempfile

    write, name = WRITERS[layout]

    def denied(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "mkdtemp", denied)
    with pytest.raises(
        DataError, match=r"could not be written \(Permission denied\).*folder that may be written"
    ):
        write(analytic(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("layout", WRITERS)
def test_existing_target_is_kept_unless_told(analytic, tmp_path, layout):
    write, name = WRITERS[layout]
    target = write(analytic(scenes=1), tmp_path / name)
    before = sorted(path.name for path in tmp_path.rglob("*"))
    with pytest.raises(DataError, match="exists already"):
        write(analytic(scenes=1), tmp_path / name)
    assert sorted(path.name for path in tmp_path.rglob("*")) == before
    assert write(analytic(scenes=1), tmp_path / name, overwrite=True) == target
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


def changed(analytic, **values):
    """The analytic set with one value a sample for some keys."""

    class Changed(analytic):
        def __getitem__(self, index):
            return {**super().__getitem__(index), **{key: value[index] for key, value in values.items()}}

    return Changed


def test_scene_names_of_any_alphabet(analytic, tmp_path):
    names = ["küche", "台所", "salle à manger", "sofa 🛋"]
    path = export.nyu_mat(changed(analytic, scene=names)(), tmp_path / "nyu.mat")
    assert [sample["scene"] for sample in nyu.Labelled(path)] == names


def test_stereo_cameras_that_the_layout_cannot_hold(analytic, tmp_path):
    good = analytic(stereo=True)[0]["T_right_left"]
    wider, turned = good.clone(), good.clone()
    wider[0, 3] *= 3
    turned[:2, :2] = torch.tensor([[0.8, -0.6], [0.6, 0.8]])
    for bad in (wider, turned):
        dataset = changed(analytic, T_right_left=[good, bad, good, good])(stereo=True)
        with pytest.raises(DataError, match=r"sample 'room_0000/01': T_right_left is .* 0.2 m apart in all"):
            export.kitti_raw(dataset, tmp_path / "raw")
    assert list(tmp_path.iterdir()) == []


def test_what_the_laser_does_not_reach_is_unknown(analytic, tmp_path):
    """Our own files must be readable by our own loader."""
    depth = [sample["depth"] * 20 for sample in analytic()]
    dataset = make3d.Make3D(export.make3d(changed(analytic, depth=depth)(), tmp_path / "m"), crop=False)
    measured = dataset[0]["depth"][dataset[0]["valid"]]
    assert 70 < measured.max() <= 81
    assert depth[0].max() > 81


def test_ids_that_differ_in_a_slash_only(analytic, tmp_path):
    dataset = changed(analytic, id=["a/b_c", "a_b/c", "d", "e"])()
    with pytest.raises(DataError, match=r"sample 'a_b/c': its file img-a_b_c.png is there already"):
        export.make3d(dataset, tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


# --- pictures for KITTI's depth server


def test_a_benchmark_picture_comes_back(tmp_path, generator):
    """Through the reader of predictions, within half a code; 80 m is the end, and nothing is unknown."""
    depth = 0.5 + 99.5 * torch.rand(1, 352, 1216, generator=generator)
    depth[0, 0, :4] = torch.tensor([1e-6, 80.0, 80.1, 3e4])
    path = write_benchmark_png(depth, tmp_path / "data" / "0000000000.png")
    codes = read_codes(path)
    assert (codes.shape, codes.dtype) == ((352, 1216), np.uint16)
    assert codes[0, :4].tolist() == [1, 20480, 20480, 20480]
    assert codes.max() == 20480
    back = torch.from_numpy(read_predictions(path.parent, "m/256")[0])
    torch.testing.assert_close(back[1:], depth[0, 1:].clamp(max=80), atol=1 / 512 + 1e-5, rtol=0)
    assert codes[1, 1] == round(256 * min(80.0, depth[0, 1, 1].item()))


def test_a_benchmark_picture_is_resized_as_inverse_depth(tmp_path):
    """Two columns of 10 and 40 m: in the middle lies 1 / mean(1/10, 1/40) = 16 m, not 25 m."""
    depth = torch.tensor([10.0, 40.0]).expand(1, 1, 2)
    codes = read_codes(write_benchmark_png(depth, tmp_path / "0.png"))
    assert codes.shape == (352, 1216)
    assert (codes[:, :304] == 2560).all()  # up to the centre of the first column
    assert (codes[:, -304:] == 10240).all()
    assert codes[0, 607:609].mean() == pytest.approx(16 * 256, rel=1e-3)


@pytest.mark.parametrize("bad", [0.0, -1.0, torch.nan, torch.inf])
def test_a_benchmark_picture_has_no_holes(tmp_path, bad):
    depth = torch.ones(1, 352, 1216)
    depth[0, 5, 5] = bad
    with pytest.raises(ValueError, match="1 of 428032 depths are not positive finite metres"):
        write_benchmark_png(depth, tmp_path / "0.png")
    assert list(tmp_path.iterdir()) == []


def test_a_benchmark_picture_is_kept_unless_told(tmp_path):
    path = write_benchmark_png(torch.ones(1, 4, 8), tmp_path / "0.png")
    with pytest.raises(DataError, match="exists already"):
        write_benchmark_png(torch.full((1, 4, 8), 2.0), path)
    assert (read_codes(path) == 256).all()
    write_benchmark_png(torch.full((1, 4, 8), 2.0), path, overwrite=True)
    assert (read_codes(path) == 512).all()
    assert [each.name for each in tmp_path.iterdir()] == ["0.png"]
