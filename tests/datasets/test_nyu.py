import math

import numpy as np
import pytest
import torch
from PIL import Image

from mdepth.datasets import check_sample, export, nyu
from mdepth.datasets.nyu.raw import DEPTH_DISTORTION, T_COLOR_DEPTH
from mdepth.datasets.nyu.raw import _undistort as undistorted
from mdepth.datasets.registration import register_depth
from mdepth.shapes import DataError


@pytest.fixture
def mat(analytic, tmp_path):
    """An exported .mat of six frames, two of them in the test split."""
    return export.nyu_mat(analytic(scenes=3, holes=True), tmp_path / "nyu_depth_v2_labeled.mat", test=[4, 5])


def test_labelled_gives_back_what_was_exported(analytic, mat):
    truth = analytic(scenes=3, holes=True)
    dataset = nyu.Labelled(mat, depth="raw")
    assert len(dataset) == 6
    for mine, original in zip(dataset, truth, strict=True):
        check_sample(mine)
        for key in ("image", "depth", "valid", "K"):
            torch.testing.assert_close(mine[key], original[key])
        assert mine["scene"] == original["scene"]


def test_filled_depth_has_no_holes_and_keeps_what_was_known(analytic, mat):
    truth = analytic(scenes=3, holes=True)[0]
    filled = nyu.Labelled(mat)[0]
    assert filled["valid"].all()
    torch.testing.assert_close(filled["depth"][truth["valid"]], truth["depth"][truth["valid"]])


def test_official_split_counts_from_one(mat):
    train, test = (nyu.Labelled(mat, mat.with_name("splits.mat"), split) for split in ("train", "test"))
    assert (train.numbers, test.numbers) == ([1, 2, 3, 4], [5, 6])
    assert test[0]["id"] == "nyu/room_0002/0005"
    with pytest.raises(DataError, match=r"needs the official splits\.mat"):
        nyu.Labelled(mat, split="test")
    with pytest.raises(ValueError, match="split must be"):
        nyu.Labelled(mat, split="val")


@pytest.mark.realdata
def test_official_splits_file(real_data):
    from mdepth.datasets.nyu.mat import read_indices

    train, test = (
        read_indices(real_data / "splits/bts/splits.mat", split, 1449) for split in ("train", "test")
    )
    assert (len(train), len(test)) == (795, 654)
    assert train[:7] == [3, 4, 5, 6, 7, 8, 10]
    assert test[:5] == [1, 2, 9, 14, 15]
    assert sorted(train + test) == list(range(1, 1450))


def test_axes_are_transposed_not_rotated(tmp_path):
    """A transpose keeps the top left pixel in its corner; the rotation of some ports would not."""
    import h5py

    path = tmp_path / "tiny.mat"
    with h5py.File(path, "w") as file:
        images = np.zeros((1, 3, 6, 4), dtype=np.uint8)  # 6 columns, 4 rows
        images[0, :, 0, 0] = 255, 0, 0
        images[0, :, 5, 0] = 0, 255, 0
        file["images"] = images
        file["depths"] = np.arange(24, dtype=np.float32).reshape(1, 6, 4) / 10 + 0.1
        file["intrinsics"] = np.eye(3).T
    sample = nyu.Labelled(path)[0]
    assert sample["image"].shape == (3, 4, 6)
    assert sample["image"][:, 0, 0].tolist() == [1, 0, 0]
    assert sample["image"][:, 0, 5].tolist() == [0, 1, 0]
    assert sample["depth"][0, 3, 0].item() == pytest.approx(0.4)
    assert sample["scene"] == "unknown"


def test_instances_and_labels_come_back(tmp_path, analytic):
    class WithInstances(analytic):
        def __getitem__(self, index):
            sample = super().__getitem__(index)
            return {**sample, "instances": (torch.arange(40 * 56).reshape(1, 40, 56) % 700)}

    path = export.nyu_mat(WithInstances(), tmp_path / "a.mat")
    sample = check_sample(nyu.Labelled(path, instances=True)[1])
    assert torch.equal(sample["instances"], torch.arange(40 * 56).reshape(1, 40, 56) % 700)


def test_official_size_gets_the_official_camera(tmp_path):
    import h5py

    path = tmp_path / "full.mat"
    with h5py.File(path, "w") as file:
        file["images"] = np.zeros((1, 3, 640, 480), dtype=np.uint8)
        file["depths"] = np.ones((1, 640, 480), dtype=np.float32)
    K = nyu.Labelled(path)[0]["K"]
    assert K[0, 0].item() == pytest.approx(518.8579)
    assert K[0, 2].item() == pytest.approx(324.58245)  # the toolbox counts pixels from 1


def test_a_pickled_or_forked_copy_opens_its_own_file(mat):
    from torch.utils.data import DataLoader

    dataset = nyu.Labelled(mat)
    alone = dataset[5]["depth"]
    images = torch.cat([batch["depth"] for batch in DataLoader(dataset, batch_size=2, num_workers=1)])
    assert torch.equal(images[5], alone)
    assert len(dataset.fingerprint()) == 64


# ---- pairs of files ----


def write_pair(folder, name, codes, depth_name):
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (640, 480), (10, 20, 30)).save(folder / name)
    Image.fromarray(codes).save(folder / depth_name)


def test_densedepth_train_is_8_bit_and_test_16_bit(tmp_path):
    folder = tmp_path / "data" / "nyu2_train" / "kitchen_0001_out"
    write_pair(folder, "1.jpg", np.full((480, 640), 51, dtype=np.uint8), "1.png")
    write_pair(folder, "2.jpg", np.full((480, 640), 2000, dtype=np.uint16), "2.png")
    csv = tmp_path / "data" / "nyu2_train.csv"
    csv.write_text("data/nyu2_train/kitchen_0001_out/1.jpg,data/nyu2_train/kitchen_0001_out/1.png\n")
    sample = check_sample(nyu.DenseDepthCsv(csv, tmp_path, "train")[0])
    assert sample["depth"][0, 0, 0].item() == pytest.approx(2.0)
    assert sample["scene"] == "kitchen_0001_out"
    test = tmp_path / "nyu2_test.csv"
    test.write_text(csv.read_text().replace("/1.", "/2."))
    assert nyu.DenseDepthCsv(test, tmp_path, "test")[0]["depth"][0, 0, 0].item() == pytest.approx(2.0)
    with pytest.raises(DataError, match=r"1.png: expected 16-bit depth codes, found 8 bits"):
        nyu.DenseDepthCsv(csv, tmp_path, "test")[0]
    with pytest.raises(DataError, match=r"2.png: expected 8-bit depth codes, found 16 bits"):
        nyu.DenseDepthCsv(test, tmp_path, "train")[0]


def test_bts_list_and_its_errors(tmp_path):
    write_pair(
        tmp_path / "cafe_0001",
        "rgb_00045.jpg",
        np.full((480, 640), 3500, dtype=np.uint16),
        "sync_depth_00045.png",
    )
    lines = tmp_path / "train.txt"
    lines.write_text("/cafe_0001/rgb_00045.jpg /cafe_0001/sync_depth_00045.png 518.8579\n")
    assert nyu.SyncFolder(tmp_path, lines)[0]["depth"].max().item() == pytest.approx(3.5)
    lines.write_text("/cafe_0001/rgb_00045.jpg\n")
    with pytest.raises(DataError, match=r"train.txt, line 1: expected 'image depth focal'"):
        nyu.SyncFolder(tmp_path, lines)
    lines.write_text("cafe_0001/rgb_00046.jpg cafe_0001/sync_depth_00046.png 518.8579\n")
    with pytest.raises(DataError, match=r"rgb_00046.jpg: missing \(2 files of 1 pairs\)"):
        nyu.SyncFolder(tmp_path, lines)


@pytest.mark.realdata
def test_real_sync_frames(real_data):
    dataset = nyu.SyncFolder(real_data / "nyu")
    assert len(dataset) == 3
    for sample in dataset:
        check_sample(sample, max_depth=10.5)
    assert dataset[0]["depth"][dataset[0]["valid"]].median().item() == pytest.approx(3.258, abs=1e-3)


def test_raw_frames_are_paired_with_the_image_nearest_in_time():
    names = [
        "r-1.000000-1.ppm", "r-1.033000-2.ppm", "r-1.066000-3.ppm", "r-1.500000-4.ppm",
        "d-0.900000-5.pgm",  # before all images: the first one, which
        "d-1.010000-6.pgm",  # is this one's too: both are left out
        "d-1.040000-7.pgm",  # image 2
        "d-1.283000-8.pgm",  # half way between 3 and 4: the earlier one
        "d-1.700000-9.pgm",  # behind all images: the last one
        "a-1.010000-10.dump", "INDEX.txt", "d-1.2.pgm.part",
    ]  # fmt: skip
    expected = [(names[6], names[1]), (names[7], names[2]), (names[8], names[3])]
    assert nyu.pair_raw(names) == expected
    assert nyu.pair_raw(reversed(names)) == expected
    assert nyu.pair_raw(name for name in names if not name.startswith("d")) == []
    with pytest.raises(DataError, match=r"d-0.900000-5.pgm: expected images"):
        nyu.pair_raw(name for name in names if not name.startswith("r"))


def test_pairing_equals_its_description_on_random_times():
    rng = np.random.default_rng(0)
    times = {kind: rng.choice(10_000, 40, replace=False) / 64 for kind in "dr"}  # exact in binary
    names = [f"{kind}-{time:.6f}-{time * 64:.0f}.{'pgm' if kind == 'd' else 'ppm'}" for kind in times
             for time in times[kind]]  # fmt: skip
    gaps = np.abs(np.sort(times["d"])[:, None] - np.sort(times["r"])[None])
    nearest = gaps.argmin(axis=1)
    lone = np.bincount(nearest, minlength=40)[nearest] == 1
    assert 5 < lone.sum() < 35
    found = [[float(name.split("-")[1]) for name in pair] for pair in nyu.pair_raw(names)]
    expected = np.stack([np.sort(times["d"])[lone], np.sort(times["r"])[nearest[lone]]], axis=1)
    np.testing.assert_allclose(found, expected)


@pytest.mark.realdata
def test_the_real_raw_frame_has_its_image(real_data):
    ((depth, image),) = nyu.pair_raw(path.name for path in (real_data / "nyu/raw").iterdir())
    assert (depth[0], image[0]) == ("d", "r")


def test_scenes_are_the_official_ones(tmp_path):
    codes = np.full((480, 640), 2000, dtype=np.uint16)
    for folder in ("bathroom_0014a", "bathroom_0014b", "cafe_0001", "bathroom"):
        write_pair(tmp_path / folder, "rgb_00001.jpg", codes, "sync_depth_00001.png")
    everything = nyu.SyncFolder(tmp_path)
    assert everything.scene_names == ["bathroom", "bathroom_0014", "bathroom_0014", "cafe_0001"]
    some = nyu.SyncFolder(tmp_path, scenes={"bathroom_0014"})
    assert [sample["scene"] for sample in some] == ["bathroom_0014a", "bathroom_0014b"]
    with pytest.raises(DataError, match="no pair of image and depth found"):
        nyu.SyncFolder(tmp_path, scenes={"kitchen_0001"})


def test_labelled_scenes_follow_the_split(mat):
    test = nyu.Labelled(mat, mat.with_name("splits.mat"), "test")
    assert test.scene_names == [sample["scene"] for sample in test] == ["room_0002", "room_0002"]


@pytest.mark.realdata
def test_the_listed_training_folders_are_the_249_training_scenes(real_data):
    folders = (real_data / "splits/bts/train_scenes.txt").read_text().split()
    assert len(folders) == 284
    assert len({nyu.scene_of(folder) for folder in folders}) == 249


@pytest.mark.realdata
def test_real_raw_frame_and_its_registration(real_data):
    """The raw frame is the moment of sync frame 00000: registered by our transform it agrees to half a
    centimetre, by the other readings not."""
    raw = nyu.read_raw_depth(next((real_data / "nyu/raw").glob("d-*.pgm")))
    assert raw[raw > 0].median().item() == pytest.approx(3.268, abs=1e-3)
    sync = nyu.SyncFolder(real_data / "nyu")[0]["depth"]

    def disagreement(registered):
        both = (registered > 0) & (sync > 0)
        return (registered - sync)[both].abs().median().item()

    assert disagreement(nyu.register_raw_depth(raw)) < 0.006
    assert disagreement(raw) > 0.05
    flipped = T_COLOR_DEPTH.copy()
    flipped[:3, 3] *= -1
    depth = raw[0].numpy() * (raw[0].numpy() < 10)
    wrong = register_depth(depth, nyu.DEPTH_K.double().numpy(), nyu.COLOR_K.double().numpy(), flipped)
    assert disagreement(torch.from_numpy(wrong)[None]) > 0.02


@pytest.mark.realdata
def test_real_labelled_pngs_and_the_8_bit_trap(real_data):
    image = real_data / "nyu/labeled_8bit/00000.jpg"
    sample = check_sample(nyu.LabelledPngs([image], [real_data / "nyu/labeled_0001/depth_filled.png"])[0])
    assert sample["depth"].min().item() == pytest.approx(1.7985, abs=1e-4)
    assert sample["depth"].max().item() == pytest.approx(3.6156, abs=1e-4)
    with pytest.raises(DataError, match="metric scale is lost"):
        nyu.LabelledPngs([image], [real_data / "nyu/labeled_8bit/00000.png"])[0]


@pytest.mark.realdata
def test_real_labelled_png_read_as_millimetres_is_caught(real_data, tmp_path):
    (tmp_path / "rgb_00000.jpg").write_bytes((real_data / "nyu/labeled_8bit/00000.jpg").read_bytes())
    (tmp_path / "sync_depth_00000.png").write_bytes(
        (real_data / "nyu/labeled_0001/depth_filled.png").read_bytes()
    )
    with pytest.raises(DataError, match=r"depth reaches 36.16 m .* this sensor ends at 10.5 m"):
        nyu.SyncFolder(tmp_path)[0]


@pytest.mark.realdata
def test_real_h5_frames(real_data):
    folder = real_data / "kitti/h5_sparse_to_dense"
    sample = check_sample(nyu.H5Frames(folder, K=torch.eye(3))[0], max_depth=100.0)
    assert sample["image"].shape == (3, 370, 1226)
    with pytest.raises(DataError, match=r"370x1226.* pass K"):
        nyu.H5Frames(folder)[0]


def test_raw_kinect_formula(tmp_path):
    """Codes of the fact sheet: 0 gives 0.32156 m, 1092 would be 702 m and is clipped, 2047 is no reading."""
    codes = np.array([[0, 1092, 2047, 800]], dtype="<u2")
    (tmp_path / "d.pgm").write_bytes(b"P5 4 1 65535\n" + codes.tobytes())
    depth = nyu.read_raw_depth(tmp_path / "d.pgm")
    assert depth.flatten().tolist() == pytest.approx([0.32156, 10.0, 0.0, 351.3 / 292.5], abs=1e-5)
    (tmp_path / "e.pgm").write_bytes(b"P5 4 1 65535\n" + codes.byteswap().tobytes())
    with pytest.raises(DataError, match="not swapped"):
        nyu.read_raw_depth(tmp_path / "e.pgm")


def test_the_lens_of_the_depth_camera():
    """A reading that lies where Brown's model puts a ray comes to the pixel of that ray."""
    K, (k1, k2, p1, p2, k3) = nyu.DEPTH_K.double(), DEPTH_DISTORTION
    for u, v in ((60, 40), (560, 60), (90, 430)):
        x, y = (u - K[0, 2].item()) / K[0, 0].item(), (v - K[1, 2].item()) / K[1, 1].item()
        r = math.hypot(x, y)
        radial = 1 + k1 * r**2 + k2 * r**4 + k3 * r**6
        bent_x = x * radial + 2 * p1 * x * y + p2 * (r**2 + 2 * x**2)
        bent_y = y * radial + p1 * (r**2 + 2 * y**2) + 2 * p2 * x * y
        depth = np.zeros((480, 640), np.float32)
        column, row = bent_x * K[0, 0].item() + K[0, 2].item(), bent_y * K[1, 1].item() + K[1, 2].item()
        depth[round(row), round(column)] = 2.0
        assert undistorted(depth)[v, u] == 2.0


def test_readings_at_the_end_of_the_range_are_left_out():
    depth = torch.full((1, 480, 640), 10.0)
    assert not nyu.register_raw_depth(depth).any()
    assert nyu.register_raw_depth(depth - 1).any()
