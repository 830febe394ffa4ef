"""Folders as they lie on real disks: files of other programs, links, two formats at once, broken cameras."""

import json
import struct

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from mdepth.datasets import check, export, kitti, nyu, rgbd, video
from mdepth.datasets.files import require_files
from mdepth.datasets.registration import register_depth
from mdepth.shapes import DataError

DRIVE = "2011_09_26/2011_09_26_drive_0001_sync"

# ---- KITTI ----


@pytest.fixture
def raw(analytic, tmp_path):
    return export.kitti_raw(analytic(scenes=1, frames=2), tmp_path / "raw")


def test_a_bad_line_of_a_split_is_counted_from_its_beginning(raw):
    """Empty lines are left out, as ``parse_split`` says, but counted."""
    with pytest.raises(DataError, match="split, line 3: cannot be parsed: 'nonsense'"):
        kitti.Raw(raw, [f"{DRIVE} 0 l", "", "nonsense"])
    assert len(kitti.Raw(raw, [f"{DRIVE} 0 l", ""])) == 1
    with pytest.raises(DataError, match="split: names no frame"):
        kitti.Raw(raw, [])


def test_a_frame_in_both_formats_counts_once(raw):
    data = raw / DRIVE / "image_02/data"
    Image.open(data / "0000000000.png").save(data / "0000000000.jpg")
    (data / "0000000001.txt").write_text("a note")
    ids = [sample["id"] for sample in kitti.Raw(raw)]
    assert len(ids) == len(set(ids)) == 2


def test_a_camera_written_anew_is_read_anew(analytic, raw):
    """A data set that is opened after the files have changed must not know the old calibration."""
    before = kitti.Raw(raw)[0]["K"]
    export.kitti_raw(analytic(scenes=1, frames=2, size=(30, 40)), raw, overwrite=True)
    sample = kitti.Raw(raw)[0]
    assert sample["image"].shape == (3, 30, 40)
    assert not torch.equal(sample["K"], before)
    torch.testing.assert_close(sample["K"], analytic(size=(30, 40)).K())


@pytest.mark.parametrize(
    ("name", "key", "values", "message"),
    [
        ("cam_to_cam", "P_rect_02", "0 " * 12, "P_rect_02 must have positive focal lengths"),
        ("cam_to_cam", "P_rect_03", "1 0 0 0 0 1 0 0 0 0 2 0", "P_rect_03 must have .* last row 0 0 1"),
        ("cam_to_cam", "R_rect_00", "0 " * 9, "R_rect_00 must be a rotation, found"),
        ("velo_to_cam", "R", "1 0 0 0 1 0 0 0 -1", "R must be a rotation, found"),
        ("imu_to_velo", "R", "2 0 0 0 2 0 0 0 2", "R must be a rotation, found"),
    ],
)
def test_numbers_that_are_no_camera(raw, name, key, values, message):
    path = raw / f"2011_09_26/calib_{name}.txt"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(f"{key}: {values}" if line.startswith(f"{key}:") else line for line in lines))
    with pytest.raises(DataError, match=rf"calib_{name}.txt: {message}.*; get the file again"):
        kitti.Raw(raw)[0]


def test_the_other_camera_of_each_side(analytic, tmp_path):
    """Points of the image at hand go to the other one: to the left for a left image, back for a right one."""
    root = export.kitti_raw(analytic(scenes=1, frames=1, stereo=True), tmp_path / "stereo")
    left, right = (kitti.Raw(root, side=side, stereo=True)[0] for side in "lr")
    assert left["T_right_left"][0, 3].item() == pytest.approx(-0.2)
    assert right["T_right_left"][0, 3].item() == pytest.approx(0.2)
    assert torch.equal(left["image_right"], right["image"])
    assert torch.equal(right["image_right"], left["image"])


@pytest.fixture
def sequence(tmp_path):
    folder = tmp_path / "sequences" / "07"
    (folder / "image_2").mkdir(parents=True)
    Image.new("RGB", (8, 4)).save(folder / "image_2/000000.png")
    (folder / "calib.txt").write_text("".join(f"P{i}: 7 0 3 0 0 7 2 0 0 0 1 0\n" for i in range(4)))
    return folder


def test_odometry_beside_other_files(sequence):
    (sequence / "image_2/Thumbs.db").write_bytes(b"windows")
    Image.new("RGB", (8, 4)).save(sequence / "image_2/000000.jpg")
    dataset = kitti.Odometry(sequence, camera=2)
    assert [path.name for path in dataset.images] == ["000000.png"]
    dataset[0]["K"][0, 0] = 99.0
    assert dataset[0]["K"][0, 0] == 7  # samples do not share their camera
    for name in ("000000.png", "000000.jpg"):
        (sequence / "image_2" / name).unlink()
    with pytest.raises(DataError, match="image_2: holds no image named by six digits"):
        kitti.Odometry(sequence, camera=2)


@pytest.mark.parametrize("word", ["0", "nan"])
def test_odometry_with_numbers_that_are_no_camera(sequence, word):
    (sequence / "calib.txt").write_text("".join(f"P{i}: {12 * f'{word} '}\n" for i in range(4)))
    with pytest.raises(DataError, match=r"calib.txt: P2 must have positive focal lengths"):
        kitti.Odometry(sequence, camera=2)


def test_odometry_names_the_poses_that_it_was_given(sequence, tmp_path):
    row = "1 0 0 0 0 1 0 0 0 0 1 0\n"
    (tmp_path / "poses").mkdir()
    (tmp_path / "poses/07.txt").write_text(row)
    (tmp_path / "mine.txt").write_text(row)
    assert tmp_path / "mine.txt" in kitti.Odometry(sequence, 2, tmp_path / "mine.txt").files()
    assert tmp_path / "poses/07.txt" in kitti.Odometry(sequence, 2).files()


# ---- RGB-D ----


@pytest.fixture
def own(tmp_path):
    for part in ("rgb", "depth"):
        (tmp_path / part).mkdir()
    Image.new("RGB", (8, 6)).save(tmp_path / "rgb/a.png")
    np.save(tmp_path / "depth/a.npy", np.full((6, 8), 2.5, np.float32))
    (tmp_path / "camera.json").write_text(
        json.dumps({"fx": 9, "fy": 9, "cx": 3.5, "cy": 2.5, "metres_per_code": 0.001})
    )
    return tmp_path


def test_what_other_programs_leave_is_no_picture(own):
    for name in (".DS_Store", "._a.png", "Thumbs.db"):
        (own / "rgb" / name).write_bytes(b"x")
    (own / "rgb" / "old.jpg").mkdir()
    assert [sample["id"] for sample in rgbd.Folder(own)] == [f"{own.name}/a"]


def test_millimetres_in_a_float_array(own):
    np.save(own / "depth/a.npy", np.full((6, 8), 1500.5, np.float32))
    with pytest.raises(DataError, match=r"a.npy: depth reaches 1500.5, but metres end at 300 here; convert"):
        rgbd.Folder(own)[0]


@pytest.mark.parametrize("change", [{"fx": float("nan")}, {"cy": float("inf")}, {"metres_per_code": 0}])
def test_a_camera_that_json_allows_and_optics_do_not(own, change):
    camera = json.loads((own / "camera.json").read_text())
    (own / "camera.json").write_text(json.dumps({**camera, **change}))
    with pytest.raises(
        DataError, match=r"camera.json: fx, fy and metres_per_code must be positive and .*finite"
    ):
        rgbd.Folder(own)


def test_the_unit_is_part_of_what_a_folder_is(own):
    before = rgbd.Folder(own).fingerprint()
    (own / "camera.json").write_text((own / "camera.json").read_text().replace("0.001", "0.01"))
    assert rgbd.Folder(own).fingerprint() != before


@pytest.fixture
def tum(tmp_path):
    folder = tmp_path / "rgbd_dataset_freiburg3_tiny"
    for part in ("rgb", "depth"):
        (folder / part).mkdir(parents=True)
        (folder / f"{part}.txt").write_text("".join(f"1.{i} {part}/{i}.png\n" for i in range(2)))
    for i in range(2):
        Image.new("RGB", (8, 6)).save(folder / f"rgb/{i}.png")
        Image.fromarray(np.full((6, 8), 5000, dtype=np.uint16)).save(folder / f"depth/{i}.png")
    (folder / "groundtruth.txt").write_text("1.0 1 2 3 0 0 0 1\n")
    return folder


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1 2 3 0 0 0 0", "a quaternion of zeros is no rotation"),
        ("1 2 3 x 0 0 1", "could not convert string to float: 'x'"),
        ("1 2 nan 0 0 0 1", "NaN or infinity"),
    ],
)
def test_poses_that_are_none(tum, tmp_path, row, message):
    (tum / "groundtruth.txt").write_text(f"1.0 {row}\n")
    with pytest.raises(DataError, match=rf"groundtruth.txt, time 1.0: expected a pose, .* \({message}\)"):
        rgbd.Tum(tum)
    (tmp_path / "color").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "color/1.png")
    (tmp_path / "pose.txt").write_text(row)
    with pytest.raises(DataError, match=r"pose.txt(, frame 1)?: expected"):
        rgbd.NyuVideo(tmp_path)


def test_times_that_go_back(tum):
    (tum / "depth.txt").write_text("1.1 depth/1.png\n1.0 depth/0.png\n")
    with pytest.raises(DataError, match=r"depth.txt: the time 1.0 comes after 1.1; sort"):
        rgbd.Tum(tum)


def test_a_camera_file_of_nan(tum):
    (tum / "camera_intrinsics.yaml").write_text("intrinsics: [.nan, 0, 3, 0, 9, 2, 0, 0, 1]")
    with pytest.raises(
        DataError, match=r"camera_intrinsics.yaml: expected the entry intrinsics .*found \[\[nan"
    ):
        rgbd.Tum(tum)


def test_nyu_video_with_a_picture_that_is_no_frame(tmp_path):
    (tmp_path / "color").mkdir()
    for name in ("1.png", "thumb.png"):
        Image.new("RGB", (4, 4)).save(tmp_path / "color" / name)
    (tmp_path / "pose.txt").write_text("0 0 0 0 0 0 1\n0 0 0 0 0 0 1\n")
    with pytest.raises(DataError, match=r"thumb.png: expected images named by numbers"):
        rgbd.NyuVideo(tmp_path)


def test_seven_scenes_when_the_sensor_saw_nothing(tmp_path):
    """A frame without any reading is a frame without valid pixels, not a wrong camera."""
    Image.new("RGB", (640, 480)).save(tmp_path / "frame-000000.color.png")
    Image.fromarray(np.zeros((480, 640), dtype=np.uint16)).save(tmp_path / "frame-000000.depth.png")
    assert not rgbd.SevenScenes(tmp_path)[0]["valid"].any()
    for every in (0, -1):
        with pytest.raises(ValueError, match="every must be at least 1"):
            rgbd.SevenScenes(tmp_path, every=every)


def test_seven_scenes_codes_that_mean_nothing(tmp_path):
    codes = np.full((480, 640), 1800, dtype=np.uint16)
    codes[:200], codes[300:] = 65535, 0
    Image.new("RGB", (640, 480)).save(tmp_path / "frame-000000.color.png")
    Image.fromarray(codes).save(tmp_path / "frame-000000.depth.png")
    depth = rgbd.SevenScenes(tmp_path, register=False)[0]["depth"]
    assert depth[0, 200:300].unique().item() == pytest.approx(1.8)
    assert not depth[0, :200].any()
    assert not depth[0, 300:].any()


def test_depth_is_that_along_the_axis_of_the_camera_it_is_moved_to():
    """A wall at 2 m, seen from half a metre behind and from a camera turned by 60 degrees."""
    K = np.array([[100.0, 0, 20], [0, 100, 15], [0, 0, 1]])
    behind, turned = np.eye(4), np.eye(4)
    behind[2, 3] = 0.5
    assert set(np.unique(register_depth(np.full((31, 41), 2.0), K, K, behind))) == {0.0, 2.5}
    turned[:3, :3] = [[0.5, 0, -(0.75**0.5)], [0, 1, 0], [0.75**0.5, 0, 0.5]]
    point = np.zeros((31, 41))
    point[15, 20] = 2.0  # on the axis; in the turned camera at z = 1, far to the left
    moved = register_depth(point, K, K @ np.diag([0.1, 0.1, 1.0]), turned, size=(31, 41))
    assert moved.sum() == pytest.approx(1.0)


# ---- links ----


def test_linked_folders_are_data_too(tmp_path):
    """A set on another disk, reached by a link; a link back to where it is ends nothing."""
    disk, root = tmp_path / "disk", tmp_path / "root"
    (disk / "kitchen").mkdir(parents=True)
    Image.new("RGB", (640, 480)).save(disk / "kitchen/rgb_00000.jpg")
    Image.fromarray(np.full((480, 640), 900, np.uint16)).save(disk / "kitchen/sync_depth_00000.png")
    (root / "nyu").mkdir(parents=True)
    (root / "nyu/sync").symlink_to(disk, target_is_directory=True)
    (root / "nyu/again").symlink_to(root, target_is_directory=True)
    (disk / "kitchen/loop").symlink_to(disk, target_is_directory=True)
    inventory = check.find(root)
    assert inventory.paths("nyu/sync") == [root / "nyu/sync/kitchen"]
    assert len(inventory.open("nyu/sync")) == 1
    assert [sample["id"] for sample in nyu.SyncFolder(root / "nyu")] == ["kitchen/rgb_00000"]


def test_a_link_to_nothing_is_named(tmp_path):
    (tmp_path / "a.png").symlink_to(tmp_path / "gone.png")
    (path,) = require_files(tmp_path, "*.png", "pictures")
    assert path.name == "a.png"  # kept, so that reading it says what is wrong


def test_names_of_any_alphabet(tmp_path):
    folder = tmp_path / "küche 台所"
    folder.mkdir()
    Image.new("RGB", (6, 4)).save(folder / "ö 1.png")
    assert video.Video(folder)[0]["id"] == "küche 台所/ö 1"


# ---- pictures and videos ----


def test_pictures_in_the_order_of_their_numbers_and_upright(tmp_path):
    for i in (1, 2, 10):
        Image.new("RGB", (6, 4), (i, 0, 0)).save(tmp_path / f"{i}.png")
    (tmp_path / "._1.png").write_bytes(b"\0\5\26\7")
    levels = [round(sample["image"][0, 0, 0].item() * 255) for sample in video.Video(tmp_path)]
    assert levels == [1, 2, 10]
    picture = Image.new("RGB", (6, 4))
    picture.putpixel((0, 3), (255, 255, 255))  # lower left, upper left once turned clockwise
    exif = picture.getexif()
    exif[0x0112] = 6
    (tmp_path / "phone").mkdir()
    picture.save(tmp_path / "phone/a.png", exif=exif)
    image = video.Video(tmp_path / "phone")[0]["image"]
    assert image.shape == (3, 6, 4)
    assert image[0].nonzero().tolist() == [[0, 0]]


def test_a_video_begun_by_another_process_is_opened_anew(write_clip, tmp_path):
    """Workers are forked from a process that has decoded some frames already; they share nothing with it."""
    path = write_clip(tmp_path / "grey.mp4", range(0, 240, 4), 5)
    expected = [sample["image"].mean() for sample in video.Video(path)]
    dataset = video.Video(path)
    assert dataset[1]["image"].mean() == expected[1]
    loader = DataLoader(dataset, batch_size=None, num_workers=2, timeout=60, multiprocessing_context="fork")
    assert [sample["image"].mean() for sample in loader] == expected


def test_a_video_taken_on_its_side_is_turned(tmp_path):
    """What a phone writes: lying frames, and a matrix that asks for a quarter turn clockwise."""
    av = pytest.importorskip("av", reason="PyAV is not installed: video files cannot be decoded")
    path, pixels = tmp_path / "a.mp4", np.zeros((48, 64, 3), np.uint8)
    pixels[:24, :32] = 255  # the upper left quarter, upper right once turned
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 44  # after version, times, number, length, layer, volume
    assert struct.unpack(">9i", data[start : start + 36])[0] == 1 << 16  # x' = x: upright so far
    # x' = 48 - y and y' = x, column by column
    data[start : start + 36] = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 48 << 16, 0, 1 << 30)
    path.write_bytes(data)
    image = video.Video(path)[0]["image"].mean(0)
    assert image.shape == (64, 48)
    bright = [image[v, u].item() > 0.5 for v in (8, 56) for u in (8, 40)]
    assert bright == [False, True, False, False]
