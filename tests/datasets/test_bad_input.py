"""Bad files, one by one: every message names the file, the field, what was expected and what to do."""

import numpy as np
import pytest
from PIL import Image

from mdepth.datasets import export, kitti, nyu, rgbd
from mdepth.datasets.files import codes_to_depth, read_codes, read_image, read_numbers, read_pgm, read_text
from mdepth.shapes import DataError

# ---- pictures ----


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
@pytest.mark.parametrize("read", [read_image, read_codes])
def test_broken_pictures(tmp_path, name, read):
    path = tmp_path / name
    with pytest.raises(DataError, match=rf"{name}: the file does not exist; check"):
        read(path)
    path.write_bytes(b"")
    with pytest.raises(
        DataError, match=rf"{name}: the file is empty \(0 bytes\), expected an image; copy or download"
    ):
        read(path)
    path.write_text("<html>404 not found</html>")
    with pytest.raises(DataError, match=rf"{name}: is not a readable image .*; copy or download"):
        read(path)
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=rf"{name}: is not a readable image"):
        read(path)


@pytest.mark.parametrize("read", [read_image, read_codes])
def test_more_pixels_than_any_camera_gives(tmp_path, monkeypatch, read):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    Image.new("L", (20, 11)).save(tmp_path / "huge.png")
    with pytest.raises(DataError, match=r"huge.png: expected at most 200 pixels, found more.*scale"):
        read(tmp_path / "huge.png")


def test_a_folder_in_place_of_a_picture(tmp_path):
    with pytest.raises(DataError, match="is not a readable image"):
        read_image(tmp_path)


def test_depth_and_colour_mixed_up(tmp_path):
    Image.fromarray(np.full((4, 4), 700, dtype=np.uint16)).save(tmp_path / "depth.png")
    Image.new("RGB", (4, 4)).save(tmp_path / "color.png")
    Image.new("L", (4, 4), 9).save(tmp_path / "eight.png")
    with pytest.raises(DataError, match="is it a depth map"):
        read_image(tmp_path / "depth.png")
    with pytest.raises(DataError, match="is it a colour picture"):
        read_codes(tmp_path / "color.png")
    with pytest.raises(DataError, match="8 bits cannot hold metric depth"):
        read_codes(tmp_path / "eight.png")
    assert read_image(tmp_path / "eight.png").shape == (3, 4, 4)  # a grey photograph is one


def test_units_that_the_sensor_cannot_reach(tmp_path):
    codes = np.array([[0, 17985, 36156, 65535]], dtype=np.uint16)
    with pytest.raises(
        DataError,
        match=r"x.png: depth reaches 36.16 m with 0.001 m per code.*NYU's labelled PNGs are in 1e-4 m",
    ):
        codes_to_depth(codes, 0.001, tmp_path / "x.png", 10.5, invalid=(0, 65535))
    depth = codes_to_depth(codes, 1e-4, tmp_path / "x.png", 10.5, invalid=(0, 65535))
    assert depth.flatten().tolist() == pytest.approx([0, 1.7985, 3.6156, 0])


def test_pgm(tmp_path):
    path = tmp_path / "d.pgm"
    for content, message in [
        (b"", "expected a binary PGM"),
        (b"P6 2 2 255\n" + bytes(12), "expected a binary PGM"),
        (b"P5 2 2 65535\n" + bytes(7), "expected 8 bytes of 16-bit pixels"),
        (b"P5 2 2 255\n" + bytes(4), "with maximum 255"),
    ]:
        path.write_bytes(content)
        with pytest.raises(DataError, match=rf"d.pgm: .*{message}"):
            read_pgm(path)
    path.write_bytes(b"P5\n# Kinect\n2 1\n65535\n\x01\x02\x0a\x20")
    assert read_pgm(path).tolist() == [[0x0102, 0x0A20]]
    assert read_pgm(path, swapped=True).tolist() == [[0x0201, 0x200A]]
    with pytest.raises(DataError, match=r"none.pgm: cannot be read \(No such file"):
        read_pgm(tmp_path / "none.pgm")


def test_text(tmp_path):
    path = tmp_path / "pose.txt"
    path.write_text("1 2 three")
    with pytest.raises(
        DataError, match=r"pose.txt: expected finite numbers of shape \(4, 4\), found 3 words"
    ):
        read_numbers(path, (4, 4))
    path.write_text("nan " * 16)
    with pytest.raises(DataError, match="NaN or infinity"):
        read_numbers(path, (4, 4))
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"pose.txt: expected a text file, found binary"):
        read_text(path)
    with pytest.raises(DataError, match=r"none.txt: cannot be read .*mdepth data check"):
        read_text(tmp_path / "none.txt")


# ---- the labelled .mat ----


@pytest.fixture
def mat(analytic, tmp_path):
    return export.nyu_mat(analytic(), tmp_path / "nyu_depth_v2_labeled.mat")


@pytest.mark.parametrize("keep", [0, 100, 700, 20_000])
def test_truncated_mat(mat, keep):
    mat.write_bytes(mat.read_bytes()[:keep])
    with pytest.raises(
        DataError, match=r"labeled.mat: is not a readable HDF5 file.*2,972,037,809 bytes.*download it again"
    ):
        nyu.Labelled(mat)


def test_matlab_5_in_place_of_hdf5(mat):
    with pytest.raises(DataError, match=r"splits.mat: is not a readable HDF5 file"):
        nyu.Labelled(mat.with_name("splits.mat"))
    with pytest.raises(DataError, match=r"labeled.mat: is not a readable MATLAB 5 file.*official splits"):
        nyu.Labelled(mat, mat, "test")
    with pytest.raises(DataError, match=r"none.mat: the file does not exist; data/README.md"):
        nyu.Labelled(mat.with_name("none.mat"))


def change(mat, key, values):
    """Replace one array of the file; None deletes it."""
    import h5py

    with h5py.File(mat, "r+") as file:
        del file[key]
        if values is not None:
            file[key] = values


@pytest.mark.parametrize(
    ("key", "values", "message"),
    [
        ("depths", None, r"the keys \['depths'\] are missing \(found .*'images'"),
        ("images", None, r"the keys \['images'\] are missing"),
        (
            "images",
            np.zeros((4, 40, 56, 3), dtype=np.uint8),
            r"images must be \(N, 3, W, H\).*found \(4, 40, 56, 3\)",
        ),
        ("images", np.zeros((4, 3, 56, 40), dtype=np.float32), r"images must be uint8"),
        (
            "depths",
            np.zeros((4, 40, 56), dtype=np.float32),
            r"depths must be float32 of shape \(4, 56, 40\), found .*\(4, 40, 56\)",
        ),
        ("depths", np.zeros((4, 56, 40), dtype=np.uint8), r"found uint8 .*8-bit depth has no metric scale"),
    ],
)
def test_wrong_content_of_the_mat(mat, key, values, message):
    change(mat, key, values)
    with pytest.raises(DataError, match=rf"labeled.mat: .*{message}"):
        nyu.Labelled(mat)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"trainNdxs": [[1]]}, "the key testNdxs is missing"),
        ({"testNdxs": [[0], [1]]}, r"must count from 1 to 4, found 2 numbers from 0 to 1.*counts from 0"),
        ({"testNdxs": [[5]]}, r"must count from 1 to 4"),
        ({"testNdxs": np.zeros((0, 1))}, r"found 0 numbers"),
    ],
)
def test_wrong_splits(mat, content, message):
    from scipy.io import savemat

    savemat(mat.with_name("bad.mat"), content)
    with pytest.raises(DataError, match=rf"bad.mat: .*{message}"):
        nyu.Labelled(mat, mat.with_name("bad.mat"), "test")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0, 0.0])
def test_bad_depth_values_in_the_mat_are_found_by_the_check(mat, bad):
    from mdepth.datasets import check_sample

    change(mat, "depths", np.full((4, 56, 40), bad, dtype=np.float32))
    with pytest.raises(DataError, match=r"sample 'nyu/room_0000/0001': depth"):
        check_sample(nyu.Labelled(mat)[0])


def test_h5_frames(tmp_path):
    import h5py

    path = tmp_path / "00001.h5"
    path.write_bytes(b"")
    with pytest.raises(DataError, match=r"00001.h5: is not a readable HDF5 file"):
        nyu.H5Frames(tmp_path)[0]
    with h5py.File(path, "w") as file:
        file["rgb"] = np.zeros((3, 4, 5), dtype=np.uint8)
    with pytest.raises(DataError, match=r"the keys \['depth'\] are missing \(found \['rgb'\]\)"):
        nyu.H5Frames(tmp_path)[0]
    with h5py.File(path, "r+") as file:
        file["depth"] = np.zeros((4, 5), dtype=np.uint8)
    with pytest.raises(DataError, match=r"expected rgb .* and depth \(H, W\) float metres, found .* uint8"):
        nyu.H5Frames(tmp_path)[0]
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        DataError, match=r"holds no sparse-to-dense frames \(\*\*/\*.h5\); see data/README.md"
    ):
        nyu.H5Frames(tmp_path / "empty")


def test_csv_and_pairs(tmp_path):
    csv = tmp_path / "nyu2_train.csv"
    csv.write_text("a.jpg,a.png\nb.jpg\n")
    with pytest.raises(DataError, match=r"nyu2_train.csv, line 2: expected 'image,depth', found 'b.jpg'"):
        nyu.DenseDepthCsv(csv, tmp_path, "train")
    csv.write_text("a.jpg,a.png\n")
    with pytest.raises(DataError, match=r"a.jpg: missing \(2 files of 1 pairs\)"):
        nyu.DenseDepthCsv(csv, tmp_path, "train")
    csv.write_text("\n")
    with pytest.raises(DataError, match="no pair of image and depth found"):
        nyu.DenseDepthCsv(csv, tmp_path, "train")
    with pytest.raises(ValueError, match="split must be"):
        nyu.DenseDepthCsv(csv, tmp_path, "val")
    with pytest.raises(ValueError, match="as many depth maps"):
        nyu.LabelledPngs(["a.jpg"], [])


def test_pair_of_different_sizes(tmp_path):
    Image.new("RGB", (640, 480)).save(tmp_path / "rgb_00001.jpg")
    Image.fromarray(np.full((240, 320), 900, dtype=np.uint16)).save(tmp_path / "sync_depth_00001.png")
    with pytest.raises(
        DataError, match=r"sync_depth_00001.png: is \(240, 320\), but rgb_00001.jpg is \(480, 640\)"
    ):
        nyu.SyncFolder(tmp_path)[0]


# ---- KITTI ----


@pytest.fixture
def raw(analytic, tmp_path):
    return export.kitti_raw(analytic(scenes=1, frames=1), tmp_path / "raw")


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        (
            "cam_to_cam",
            "P_rect_02: ",
            "P_rect_02: x ",
            r"P_rect_02 must be numbers, found 'x ",
        ),
        ("cam_to_cam", "P_rect_02: ", "P_rect_02: 1 ", r"P_rect_02 must hold 12 finite numbers, found 13"),
        ("cam_to_cam", "R_rect_00: ", "R_rect_99: ", r"the entry R_rect_00 is missing"),
        ("cam_to_cam", "S_rect_03: ", "S_rect_03: nan ", r"S_rect_03 must hold 2 finite numbers"),
        ("cam_to_cam", "R_rect_00: ", "R_rect_00 ", r"line 2: expected 'key: numbers', found 'R_rect_00 "),
        ("velo_to_cam", "T: ", "Q: ", r"the entry T is missing"),
        ("cam_to_cam", "P_rect_0", "P_none_0", r"the entry P_rect_00 is missing"),
    ],
)
def test_malformed_calibration(raw, name, old, new, message):
    path = raw / f"2011_09_26/calib_{name}.txt"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataError, match=rf"calib_{name}.txt.*{message}"):
        kitti.Raw(raw)[0]


@pytest.mark.parametrize("name", ["cam_to_cam", "velo_to_cam"])
def test_missing_calibration(raw, name):
    (raw / f"2011_09_26/calib_{name}.txt").unlink()
    with pytest.raises(DataError, match=rf"calib_{name}.txt: cannot be read \(No such file"):
        kitti.Raw(raw)[0]


def test_without_imu_calibration_there_are_no_poses(raw):
    (raw / "2011_09_26/calib_imu_to_velo.txt").unlink()
    assert "T_world_camera" not in kitti.Raw(raw)[0]
    with pytest.raises(DataError, match=r"calib_imu_to_velo.txt is missing"):
        kitti.read_calibration(raw / "2011_09_26").T_camera_imu(2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "found 0 bytes"),
        (bytes(17), "expected 16 bytes a point .* found 17 bytes; truncated"),
        (np.full(4, np.nan, dtype="<f4").tobytes(), "NaN"),
    ],
)
def test_bad_scans(raw, content, message):
    path = raw / "2011_09_26/2011_09_26_drive_0001_sync/velodyne_points/data/0000000000.bin"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"0000000000.bin: .*{message}"):
        kitti.Raw(raw)[0]


def test_bad_packet_and_missing_files(raw):
    drive = raw / "2011_09_26/2011_09_26_drive_0001_sync"
    (drive / "oxts/data/0000000000.txt").write_text("49 8.4")
    with pytest.raises(DataError, match=r"0000000000.txt: expected 30 numbers of a GPS/IMU packet, found 2"):
        kitti.Raw(raw)[0]
    with pytest.raises(DataError, match=r"calib.bin: cannot be read .*not every frame has a scan"):
        kitti.read_scan(raw / "calib.bin")
    with pytest.raises(DataError, match=r"0000000077.png: missing, named by the split line '.* 77 l'"):
        kitti.Raw(raw, ["2011_09_26/2011_09_26_drive_0001_sync 77 l"])
    with pytest.raises(DataError, match=r"image_03/data/.* see data/README.md"):
        kitti.Raw(raw, side="r")
    with pytest.raises(DataError, match="is not a folder"):
        kitti.Raw(raw / "none")


def test_image_of_another_size_than_its_calibration(raw):
    path = raw / "2011_09_26/2011_09_26_drive_0001_sync/image_02/data/0000000000.png"
    Image.new("RGB", (30, 20)).save(path)
    with pytest.raises(DataError, match=r"0000000000.png: is 20x30, but its depth is 40x56"):
        kitti.Raw(raw)[0]


@pytest.mark.parametrize("wrong", [{"depth": "lidar"}, {"side": "x"}, {"missing": "ignore"}])
def test_unknown_options(raw, wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be"):
        kitti.Raw(raw, **wrong)


def test_split_file(tmp_path):
    path = tmp_path / "split.txt"
    path.write_text("\n")
    with pytest.raises(DataError, match=r"split.txt: names no frame; expected lines such as"):
        kitti.read_split(path)
    path.write_bytes(b"\x80\x02}q\x00")
    with pytest.raises(DataError, match="binary"):
        kitti.read_split(path)


# ---- RGB-D ----


@pytest.fixture
def scenes(tmp_path):
    Image.new("RGB", (640, 480)).save(tmp_path / "frame-000000.color.png")
    Image.fromarray(np.full((480, 640), 1800, dtype=np.uint16)).save(tmp_path / "frame-000000.depth.png")
    np.savetxt(tmp_path / "frame-000000.pose.txt", np.eye(4))
    return tmp_path


def test_seven_scenes(scenes):
    assert rgbd.SevenScenes(scenes)[0]["valid"].float().mean() > 0.7
    (scenes / "frame-000000.pose.txt").write_text("1 0 0")
    with pytest.raises(
        DataError, match=r"pose.txt: expected finite numbers of shape \(4, 4\), found 3 words"
    ):
        rgbd.SevenScenes(scenes)
    (scenes / "frame-000000.pose.txt").unlink()
    (scenes / "frame-000000.depth.png").unlink()
    with pytest.raises(DataError, match=r"depth.png: missing \(1 files of 1 frames\)"):
        rgbd.SevenScenes(scenes)
    (scenes / "frame-000000.color.png").unlink()
    with pytest.raises(DataError, match=r"holds no 7-Scenes frames"):
        rgbd.SevenScenes(scenes)


def test_official_sequence_folder_names_its_scene(scenes, tmp_path):
    folder = tmp_path / "redkitchen" / "seq-01"
    folder.mkdir(parents=True)
    for path in tmp_path.glob("frame-*"):
        path.rename(folder / path.name)
    assert rgbd.SevenScenes(folder)[0]["id"] == "redkitchen_seq-01/frame-000000"


def test_camera_that_sees_none_of_the_depth(scenes):
    (scenes / "camera-intrinsics.txt").write_text("1 0 99999\n0 1 0\n0 0 1")
    with pytest.raises(DataError, match="no depth falls into the colour image"):
        rgbd.SevenScenes(scenes)[0]


def test_nyu_video_with_too_few_poses(tmp_path):
    (tmp_path / "color").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "color/1.png")
    (tmp_path / "pose.txt").write_text("0 0 0 0 0 0 1\n0 0 0 0 0 0 1\n")
    with pytest.raises(DataError, match=r"pose.txt: holds 2 poses for 1 images"):
        rgbd.NyuVideo(tmp_path)
    (tmp_path / "pose.txt").write_text("0 0 0 0 0 0 1\n")
    with pytest.raises(DataError, match=r"1.pgm: missing"):
        rgbd.NyuVideo(tmp_path)
