"""Bad files, one by one: every message names the file, the field, what was expected and what to do."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mdepth.datasets import export, kitti, nyu, rgbd
from mdepth.datasets.files import (
    atomic_file,
    atomic_folder,
    codes_to_depth,
    read_codes,
    read_image,
    read_matlab,
    read_numbers,
    read_pgm,
    read_text,
)
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


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr"])
def test_pictures_of_every_8_bit_kind(tmp_path, mode):
    path = tmp_path / ("a.jpg" if mode in ("CMYK", "YCbCr") else "a.png")
    Image.new("RGB", (5, 4), "white").convert(mode).save(path)
    assert (read_image(path) > 0.99).all()
    assert read_image(path).shape == (3, 4, 5)


def test_a_turned_photograph_is_turned_only_when_asked_for(tmp_path):
    """Depth maps and cameras belong to the pixels as they are stored."""
    picture = Image.new("RGB", (6, 4))
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / "a.jpg", exif=exif)
    assert read_image(tmp_path / "a.jpg").shape == (3, 4, 6)
    assert read_image(tmp_path / "a.jpg", upright=True).shape == (3, 6, 4)


def test_sixteen_bits_of_colour(tmp_path):
    """A PNG of 16 bits a channel: colour to within 8 bits, and no depth."""
    lines = b"".join(b"\0" + np.full((3, 3), 0x80FF, ">u2").tobytes() for _ in range(2))
    header = struct.pack(">IIBBBBB", 3, 2, 16, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    content = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    assert read_image(tmp_path / "a.png").unique().item() == pytest.approx(0x80FF / 0xFFFF, abs=1 / 255)
    with pytest.raises(DataError, match="is it a colour picture"):
        read_codes(tmp_path / "a.png")


def test_depth_painted_in_colours_is_not_depth(tmp_path):
    """The indices of a palette look like codes; a grey palette does hold them."""
    values = np.arange(24, dtype=np.uint8).reshape(4, 6)
    picture = Image.fromarray(values).convert("P")
    picture.putpalette([255 - i // 3 for i in range(768)])  # grey, from white to black
    picture.save(tmp_path / "grey.png")
    assert (read_codes(tmp_path / "grey.png", bits=8) == 255 - values).all()
    picture.putpalette([(7 * i) % 256 for i in range(768)])
    picture.save(tmp_path / "painted.png")
    with pytest.raises(DataError, match=r"painted.png: expected one channel of 8 bits, found a palette"):
        read_codes(tmp_path / "painted.png", bits=8)


def test_codes_of_32_bits_do_not_wrap_around(tmp_path):
    Image.fromarray(np.full((2, 3), 70_000, dtype=np.int32)).save(tmp_path / "a.tif")
    with pytest.raises(
        DataError, match=r"a.tif: expected 16-bit depth codes, found numbers from 70000 to 70000"
    ):
        read_codes(tmp_path / "a.tif")


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
        (b"P5 0 0 65535\n", "found 0 with maximum 65535"),
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


def test_damaged_matlab_files_of_every_kind(tmp_path):
    """Cut off at any length, or with wrong bytes anywhere: one kind of error, which names the file."""
    from scipy.io import savemat

    path = tmp_path / "info.mat"
    with pytest.raises(
        DataError, match=r"info.mat: is not a readable MATLAB 5 file .*No such file.*expected it"
    ):
        read_matlab(path, "it")
    savemat(path, {"bounds": np.random.default_rng(0).random(500)}, do_compression=True)
    content, rng = path.read_bytes(), np.random.default_rng(1)
    kinds = set()
    for i in range(60):
        data = bytearray(content[: len(content) if i % 2 else rng.integers(len(content))])
        for place in rng.integers(len(data) or 1, size=3 * (i % 2)):
            data[place] ^= rng.integers(1, 256, dtype=np.uint8)
        path.write_bytes(data)
        try:
            kinds.add(type(read_matlab(path, "it")))
        except DataError as error:
            kinds.add(str(error).split(" (")[0])
    assert kinds <= {dict, f"{path}: is not a readable MATLAB 5 file"}
    assert len(kinds) == 2 or dict not in kinds


# ---- two at once ----


@pytest.mark.parametrize("make", [atomic_file, atomic_folder])
def test_the_second_of_two_that_write_at_once_gives_way(tmp_path, make):
    def put(place, text):
        (place if make is atomic_file else place / "a").write_text(text)

    target = tmp_path / "target"

    def both(overwrite):
        with make(target, overwrite=overwrite) as late:
            put(late, "late")
            with make(target, overwrite=overwrite) as early:
                put(early, "early")

    with pytest.raises(DataError, match=r"target: exists by now, written by another process"):
        both(overwrite=False)
    content = target if make is atomic_file else target / "a"
    assert content.read_text() == "early"
    both(overwrite=True)
    assert content.read_text() == "late"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_that_cannot_be_replaced_stays(tmp_path, monkeypatch):
    target = tmp_path / "target"
    target.mkdir()
    (target / "old").touch()

    def broken(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "replace", broken)
    with (
        pytest.raises(DataError, match=r"target: could not be written \(Input/output error\)"),
        atomic_folder(target, overwrite=True) as new,
    ):
        (new / "new").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["target", "old"]


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
        ({"testNdxs": "abc"}, r"testNdxs must hold numbers, found <U3"),
        ({"testNdxs": [[1.0], [np.nan]]}, r"testNdxs must hold numbers, found float64"),
    ],
)
def test_wrong_splits(mat, content, message):
    from scipy.io import savemat

    savemat(mat.with_name("bad.mat"), content)
    with pytest.raises(DataError, match=rf"bad.mat: .*{message}"):
        nyu.Labelled(mat, mat.with_name("bad.mat"), "test")


@pytest.mark.parametrize("key", ["depths", "rawDepths"])
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.nan, "holds NaN, infinite or negative values .*write 0 there"),
        (np.inf, "holds NaN, infinite or negative values"),
        (-1.0, "holds NaN, infinite or negative values"),
        (1500.5, r"depth reaches 1500.5, but metres end at 100 here; .*divide by 1000"),
    ],
)
def test_bad_depth_values_in_the_mat(mat, key, bad, message):
    values = np.ones((4, 56, 40), dtype=np.float32)
    values[2, 5, 7] = bad
    change(mat, key, values)
    dataset = nyu.Labelled(mat, depth={"depths": "filled", "rawDepths": "raw"}[key])
    assert dataset[1]["valid"].all()
    with pytest.raises(DataError, match=rf"labeled.mat, {key}, 3: {message}"):
        dataset[2]


def test_no_depth_at_all_in_the_mat_is_found_by_the_check(mat):
    from mdepth.datasets import check_sample

    change(mat, "depths", np.zeros((4, 56, 40), dtype=np.float32))
    with pytest.raises(DataError, match=r"sample 'nyu/room_0000/0001': depth has no valid pixel; leave"):
        check_sample(nyu.Labelled(mat)[0])


@pytest.mark.parametrize(
    ("key", "values", "message"),
    [
        (
            "intrinsics",
            np.zeros(4),
            r"intrinsics must be 3x3 numbers with positive focal lengths, found \[0.0",
        ),
        ("intrinsics", np.full((3, 3), np.nan), r"found \[\[nan.*pass K="),
        ("intrinsics", np.zeros((3, 3)), "positive focal lengths"),
        ("scenes", np.zeros((1, 4)), "scenes must be a cell array of strings"),
    ],
)
def test_wrong_cameras_and_names_in_the_mat(mat, key, values, message):
    change(mat, key, values)
    with pytest.raises(DataError, match=rf"labeled.mat: .*{message}"):
        nyu.Labelled(mat)


def test_fewer_scenes_than_images_and_a_group_for_an_array(mat):
    import h5py

    with h5py.File(mat, "r+") as file:
        references = file["scenes"][:, :2]
        del file["scenes"], file["depths"]
        file.create_dataset("scenes", data=references, dtype=h5py.ref_dtype)
        file.create_group("depths")
    with pytest.raises(DataError, match=r"labeled.mat: scenes holds 2 strings for 4 images"):
        nyu.Labelled(mat, depth="raw")
    with pytest.raises(DataError, match=r"labeled.mat: the keys \['depths'\] are missing"):
        nyu.Labelled(mat)


def test_damage_inside_the_mat_names_image_and_key(mat, monkeypatch):
    dataset = nyu.Labelled(mat)

    class Damaged(dict):
        def __getitem__(self, key):
            raise OSError("Can't synchronously read data (inflate() failed)")

    monkeypatch.setattr(dataset, "_file", Damaged)
    with pytest.raises(
        DataError, match=r"labeled.mat: images of image 2 cannot be read .*inflate.*get it again"
    ):
        dataset[1]


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
    for bad, message in [
        (np.nan, "holds NaN"),
        (np.inf, "holds NaN, infinite"),
        (-1.0, "or negative values"),
        (1500.5, "depth reaches 1500.5, but metres end at 300 here"),
    ]:
        with h5py.File(path, "r+") as file:
            del file["depth"]
            file["depth"] = np.array([[1.0] * 5] * 3 + [[bad] * 5], dtype=np.float32)
        with pytest.raises(DataError, match=rf"00001.h5, depth: .*{message}"):
            nyu.H5Frames(tmp_path, K=torch.eye(3))[0]
    with h5py.File(path, "r+") as file:
        del file["rgb"]
        file.create_group("rgb")
    with pytest.raises(DataError, match=r"the keys \['rgb'\] are missing"):
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
