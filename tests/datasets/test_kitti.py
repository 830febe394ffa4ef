"""KITTI loaders against a literal transcription of the described projection, and against the real files."""

from collections import Counter

import numpy as np
import pytest
import torch

from mdepth.datasets import check_sample, kitti
from mdepth.datasets.kitti.calibration import Calibration
from mdepth.datasets.kitti.oxts import T_map_imu, rotation_from_angles
from mdepth.datasets.kitti.velodyne import TURN
from mdepth.shapes import DataError


def official_by_hand(scan, calibration, camera, vel_depth):
    """The evaluation's depth map, step by step as described, with its loop over duplicates."""
    height, width = calibration.size[camera]
    projection = calibration.P_rect[camera] @ calibration.R_rect_00 @ calibration.T_cam0_velo
    points = scan[scan[:, 0] >= 0].copy()
    points[:, 3] = 1
    image = (projection @ points.T).T
    image[:, :2] /= image[:, 2:]
    if vel_depth:
        image[:, 2] = points[:, 0]
    image[:, :2] = np.round(image[:, :2]) - 1
    inside = (image[:, 0] >= 0) & (image[:, 1] >= 0) & (image[:, 0] < width) & (image[:, 1] < height)
    image = image[inside]
    columns, rows = image[:, 0].astype(int), image[:, 1].astype(int)
    depth = np.zeros((height, width))
    for u, v, z in zip(columns, rows, image[:, 2], strict=True):
        depth[v, u] = z
    index = rows * (width - 1) + columns - 1
    for value, count in Counter(index.tolist()).items():
        if count > 1:
            hits = np.nonzero(index == value)[0]
            depth[rows[hits[0]], columns[hits[0]]] = image[hits, 2].min()
    depth[depth < 0] = 0
    return depth.astype(np.float32)


@pytest.fixture
def tiny_calibration():
    """A camera of 6x8 pixels that looks along the LiDAR's x axis from the same place."""
    T = np.eye(4)
    T[:3, :3] = [[0, -1, 0], [0, 0, -1], [1, 0, 0]]
    P = np.array([[8.0, 0, 3.5, 0], [0, 8.0, 2.5, 0], [0, 0, 1, 0]])
    return Calibration({2: P, 3: P}, {2: (6, 8), 3: (6, 8)}, np.eye(4), T)


def point(u, v, z):
    """The LiDAR point that the tiny camera sees at pixel (u, v) and depth z."""
    return [z, -(u - 3.5) / 8 * z, -(v - 2.5) / 8 * z, 0.0]


@pytest.mark.parametrize("vel_depth", [False, True])
def test_official_map_equals_the_loop_on_random_scans(tiny_calibration, vel_depth):
    rng = np.random.default_rng(0)
    for _ in range(30):
        scan = rng.normal(size=(400, 4)).astype(np.float32) * [5, 2, 2, 1]
        scan = scan.astype(np.float32)
        expected = official_by_hand(scan, tiny_calibration, 2, vel_depth)
        np.testing.assert_array_equal(
            kitti.velodyne_depth(scan, tiny_calibration, 2, vel_depth=vel_depth), expected
        )


def test_official_pixel_is_rounded_half_to_even_minus_one(tiny_calibration):
    scan = np.array([point(3, 2, 4.0)], dtype=np.float32)
    official = kitti.velodyne_depth(scan, tiny_calibration)
    corrected = kitti.velodyne_depth(scan, tiny_calibration, mode="corrected")
    assert np.argwhere(official).tolist() == [[1, 2]]
    assert np.argwhere(corrected).tolist() == [[2, 3]]
    half = kitti.velodyne_depth(np.array([point(4.5, 2.5, 4.0)], dtype=np.float32), tiny_calibration)
    assert np.argwhere(half).tolist() == [[1, 3]]  # 4.5 -> 4, 2.5 -> 2


def test_official_index_confuses_the_row_ends(tiny_calibration):
    """Pixel (1, 7) and pixel (2, 0) share an index: the first-listed takes the smaller depth, the other keeps
    its own."""
    end, start = point(8, 2, 6.0), point(1, 3, 3.0)
    official = kitti.velodyne_depth(np.array([end, start], dtype=np.float32), tiny_calibration)
    assert official[1, 7] == pytest.approx(3.0)
    assert official[2, 0] == pytest.approx(3.0)
    swapped = kitti.velodyne_depth(np.array([start, end], dtype=np.float32), tiny_calibration)
    assert swapped[1, 7] == pytest.approx(6.0)
    assert swapped[2, 0] == pytest.approx(3.0)
    corrected = kitti.velodyne_depth(
        np.array([point(7, 1, 6.0), point(0, 2, 3.0)], dtype=np.float32), tiny_calibration, mode="corrected"
    )
    assert corrected[1, 7] == pytest.approx(6.0)
    assert corrected[2, 0] == pytest.approx(3.0)


def test_index_pairs_at_full_size():
    v, u = np.mgrid[:375, :1242]
    index = v * (1242 - 1) + u - 1
    assert index.size - np.unique(index).size == 374


def test_corrected_map_keeps_the_nearest_and_drops_what_lies_behind(tiny_calibration):
    scan = np.array(
        [point(3, 2, 4.0), point(3, 2, 2.0), point(3, 2, 9.0), point(5, 5, -3.0)], dtype=np.float32
    )
    depth = kitti.velodyne_depth(scan, tiny_calibration, mode="corrected")
    assert depth[2, 3] == pytest.approx(2.0)
    assert np.count_nonzero(depth) == 1


def test_empty_scan_and_wrong_names(tiny_calibration):
    assert not kitti.velodyne_depth(np.zeros((0, 4), dtype=np.float32), tiny_calibration).any()
    with pytest.raises(ValueError, match="mode must be"):
        kitti.velodyne_depth(np.zeros((0, 4), dtype=np.float32), tiny_calibration, mode="best")
    with pytest.raises(ValueError, match="camera must be one of"):
        kitti.velodyne_depth(np.zeros((0, 4), dtype=np.float32), tiny_calibration, 7)


# ---- of several points in a pixel, the one closest in time to the image ----


def by_time(scan, calibration, **options):
    return kitti.velodyne_depth(
        np.asarray(scan, dtype=np.float32),
        calibration,
        mode="corrected",
        conflicts="closest-in-time",
        **options,
    )


def test_a_point_is_measured_when_the_scanner_looks_at_it():
    """Forward at 0, a quarter turn earlier to the right, later to the left; the height does not matter."""
    scan = np.array([[9, 0, 5], [0, -2, -1], [0, 3, 0], [-1, 1e-9, 0], [-1, -1e-9, 0]], dtype=np.float32)
    assert kitti.capture_times(scan, turn=0.1) == pytest.approx([0, -0.025, 0.025, 0.05, -0.05])
    assert kitti.capture_times(scan[2:3]) == pytest.approx([0.1032 / 4])


def test_the_point_closest_in_time_stays(tiny_calibration):
    """Straight ahead is u = 3.5; the nearer points lie further aside: measured further from the image."""
    aside, ahead = [point(2.6, 2, 2.0), point(4.4, 3, 3.0)], [point(3.4, 2, 9.0), point(3.6, 3, 7.0)]
    for scan in (aside + ahead, ahead + aside):
        depth = by_time(scan, tiny_calibration)
        assert depth[[2, 3], [3, 4]].tolist() == pytest.approx([9.0, 7.0])
        assert np.count_nonzero(depth) == 2
        near = kitti.velodyne_depth(np.array(scan, dtype=np.float32), tiny_calibration, mode="corrected")
        assert near[[2, 3], [3, 4]].tolist() == pytest.approx([2.0, 3.0])
    stored = by_time(aside + ahead, tiny_calibration, vel_depth=True)
    assert stored[2, 3] == pytest.approx(9.0)
    same_moment = [point(2.75, 2, 8.0), point(2.75, 2, 4.0), point(2.75, 2, 16.0)]  # exact in float32
    assert by_time(same_moment, tiny_calibration)[2, 3] == pytest.approx(4.0)
    assert not by_time([point(3, 2, -4.0), point(40, 2, 4.0)], tiny_calibration).any()
    assert not by_time(np.zeros((0, 4)), tiny_calibration).any()


@pytest.mark.parametrize("size", [None, (3, 4), (5, 7)])
def test_the_rule_equals_its_description_on_random_scans(tiny_calibration, size):
    rng = np.random.default_rng(1)
    height, width = size or (6, 8)
    for _ in range(10):
        scan = (rng.normal(size=(300, 4)) * [5, 3, 3, 1]).astype(np.float32)
        kept = {}
        for x, y, z, _ in scan.astype(np.float64):
            if x <= 0:
                continue
            u, v = 8 * -y / x + 3.5, 8 * -z / x + 2.5
            pixel = (np.floor((v + 0.5) * height / 6), np.floor((u + 0.5) * width / 8))
            kept.setdefault(pixel, []).append((abs(np.arctan2(y, x)), x))
        expected = [
            [min(kept.get((row, column), [(0.0, 0.0)]))[1] for column in range(width)]
            for row in range(height)
        ]
        np.testing.assert_allclose(by_time(scan, tiny_calibration, size=size), expected, rtol=1e-6)


def test_rules_and_modes_that_do_not_go_together(tiny_calibration, tmp_path):
    scan = np.zeros((0, 4), dtype=np.float32)
    with pytest.raises(ValueError, match="conflicts must be"):
        kitti.velodyne_depth(scan, tiny_calibration, mode="corrected", conflicts="last")
    for wrong in ({"conflicts": "closest-in-time"}, {"size": (3, 4)}):
        with pytest.raises(ValueError, match="need mode='corrected'"):
            kitti.velodyne_depth(scan, tiny_calibration, **wrong)
    for wrong in ({"mode": "official"}, {"mode": "corrected", "depth": "annotated"}):
        with pytest.raises(ValueError, match="conflicts must be"):
            kitti.Raw(tmp_path, conflicts="closest-in-time", **wrong)


@pytest.mark.realdata
def test_the_recorded_times_say_the_same(real_data):
    """Every turn lasts 103 ms, and the scanner looks ahead in the middle of it."""
    folder = real_data / "kitti/raw/2011_09_26/2011_09_26_drive_0002_sync/velodyne_points"
    start, ahead, end = (
        np.array((folder / f"timestamps{name}.txt").read_text().split("\n")[:-1], dtype="datetime64[ns]")
        for name in ("_start", "", "_end")
    )
    assert len(start) == 77
    turn = (end - start) / np.timedelta64(1, "s")
    assert turn.mean() == pytest.approx(TURN, abs=5e-5)
    assert np.ptp(turn) < 5e-4
    assert abs(((ahead - start) - (end - ahead)) / np.timedelta64(1, "us")).max() <= 0.001


@pytest.mark.realdata
def test_conflicts_on_the_real_drive(real_data):
    """Hardly any at full size, one pixel in twenty at the network's; where the rules differ, the one closest
    in time is never nearer than the nearest."""
    root, size = real_data / "kitti/raw", (184, 612)
    calibration = kitti.read_calibration(root / "2011_09_26")
    for side, camera in (("l", 2), ("r", 3)):
        dataset = kitti.Raw(root, side=side, mode="corrected", conflicts="closest-in-time", size=size)
        full, small = [], []
        for frame in dataset.frames:
            scan = kitti.read_scan(dataset.depth_path(frame))
            for at, maps in ((None, full), (size, small)):
                near, soon = (
                    kitti.velodyne_depth(scan, calibration, camera, "corrected", conflicts=rule, size=at)
                    for rule in ("nearest", "closest-in-time")
                )
                assert np.array_equal(near > 0, soon > 0)
                assert (soon >= near).all()
                maps.append((soon != near)[near > 0])
            sample = check_sample(dataset.load(frame), max_depth=130.0)
            assert np.array_equal(sample["depth"][0].numpy(), soon)
            assert np.array_equal(sample["valid"][0].numpy(), soon > 0)
        assert np.concatenate(full).mean() < 0.005
        assert 0.02 < np.concatenate(small).mean() < 0.05


# ---- standing and moving ----


def drive_of(tmp_path, speeds, *, noise=0.05, rate=10.0):
    """A drive's packets for speeds in m/s at 10 Hz, in the official layout, heading north-west."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "2011_09_26/2011_09_26_drive_0099_sync/oxts/data"
    folder.mkdir(parents=True)
    for number, (speed, gain) in enumerate(zip(speeds, np.gradient(speeds) * rate, strict=True)):
        packet = np.zeros(30)
        packet[6:11] = 0.7 * speed, -0.7 * speed, speed, 0.0, 0.3 * rng.normal()
        packet[11:14] = gain, 0.0, 9.81
        packet[14:17] = gain + noise * rng.normal(), noise * rng.normal(), 9.81 + rng.normal()
        (folder / f"{number:010d}.txt").write_text(" ".join(map(str, packet)))
    day, drive = folder.parts[-4:-2]
    return [kitti.Frame(day, drive, number, camera) for number in range(len(speeds)) for camera in (2, 3)]


def test_a_car_that_waits_and_then_drives(tmp_path):
    """Twenty frames at a red light, ten to set off, twenty at an even 10 m/s without any acceleration, ten to
    brake, ten standing."""
    speeds = [*[0.0] * 20, *np.arange(1, 11.0), *[10.0] * 20, *np.arange(9, -1.0, -1), *[0.0] * 10]
    frames = drive_of(tmp_path, speeds)
    moving = kitti.moving(tmp_path, frames)
    numbers = sorted({frame.frame for frame in moving})
    assert numbers == list(range(19, 60))  # 19 and 59: already, and still, accelerated by 5 m/s^2
    assert moving == [frame for frame in frames if frame.frame in numbers]  # both cameras, in their order
    accelerating = kitti.moving(tmp_path, frames, speed=np.inf)
    assert {frame.frame for frame in accelerating}.isdisjoint(
        range(31, 49)
    )  # what acceleration alone would do
    assert kitti.moving(tmp_path, frames, speed=0.0) == frames
    creeping = kitti.moving(tmp_path, frames, speed=6.5, acceleration=np.inf)
    assert {frame.frame for frame in creeping} == set(range(26, 53))


def test_motion_is_along_the_ground_and_a_missing_packet_is_no_standing_car(tmp_path):
    frames = drive_of(tmp_path, [0.0, 0.0, 0.0], noise=0.0)
    assert kitti.moving(tmp_path, frames) == []
    path = tmp_path / "2011_09_26/2011_09_26_drive_0099_sync/oxts/data/0000000001.txt"
    packet = np.zeros(30)
    packet[[8, 9, 10]], packet[[14, 15, 16]] = (3.0, 4.0, 99.0), (0.6, 0.8, 9.81)
    path.write_text(" ".join(map(str, packet)))
    assert kitti.read_motion(path) == pytest.approx((5.0, 1.0))
    assert kitti.moving(tmp_path, frames) == frames[2:4]
    path.unlink()
    assert kitti.moving(tmp_path, frames) == frames[2:4]
    path.write_text("1 2 3")
    with pytest.raises(DataError, match=r"0000000001.txt: expected 30 numbers .* found 3"):
        kitti.moving(tmp_path, frames)


@pytest.mark.realdata
def test_the_real_drive_does_not_stand(real_data):
    root = real_data / "kitti/raw"
    frames = kitti.Raw(root, depth=None).frames
    assert len(frames) == 10
    assert kitti.moving(root, frames) == frames
    packets = sorted(root.glob("*/*/oxts/data/*.txt"))
    speed, acceleration = np.array([kitti.read_motion(path) for path in packets]).T
    assert speed.min() > 8.5
    assert speed.max() < 9.1
    assert acceleration.min() < 0.5  # some frames of a drive at 31 km/h have less than the threshold


@pytest.mark.realdata
@pytest.mark.parametrize("camera", [2, 3])
@pytest.mark.parametrize("vel_depth", [False, True])
def test_official_map_on_real_scans(real_data, camera, vel_depth):
    calibration = kitti.read_calibration(real_data / "kitti/raw/2011_09_26")
    scans = sorted((real_data / "kitti/raw").glob("*/*/velodyne_points/data/*.bin"))
    assert len(scans) == 5
    for path in scans:
        scan = kitti.read_scan(path)
        np.testing.assert_array_equal(
            kitti.velodyne_depth(scan, calibration, camera, vel_depth=vel_depth),
            official_by_hand(scan, calibration, camera, vel_depth),
        )


@pytest.mark.realdata
def test_vel_depth_is_nearly_thirty_centimetres_more(real_data):
    raw, x = (kitti.Raw(real_data / "kitti/raw", vel_depth=on)[0] for on in (False, True))
    both = raw["valid"] & x["valid"]
    assert (x["depth"] - raw["depth"])[both].median().item() == pytest.approx(0.286, abs=0.01)


# ---- split lists ----


@pytest.mark.parametrize(
    "line",
    [
        "2011_09_26/2011_09_26_drive_0002_sync 69 l",
        "2011_09_26/2011_09_26_drive_0002_sync 0000000069 l",
        "2011_09_26/2011_09_26_drive_0002_sync/image_02/data/0000000069.png",
        "2011_09_26/2011_09_26_drive_0002_sync/image_02/data/0000000069.jpg "
        "2011_09_26/x/image_03/data/0000000069.jpg",
        "2011_09_26/2011_09_26_drive_0002_sync/image_02/data/0000000069.png None 721.5377",
    ],
)
def test_all_notations_mean_the_same_frame(line):
    assert kitti.parse_split([line, ""]) == [kitti.Frame("2011_09_26", "2011_09_26_drive_0002_sync", 69, 2)]


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("image 3", "benchmarks"),
        ("9 0 l", "odometry"),
        ("2011_09_26/2011_09_26_drive_0002_sync x l", "expected"),
        ("nonsense", "expected"),
    ],
)
def test_a_line_that_does_not_parse_is_named(line, advice):
    with pytest.raises(DataError, match=f"my_split, line 2.*{advice}"):
        kitti.parse_split(["2011_09_26/2011_09_26_drive_0002_sync 69 l", line], source="my_split")


@pytest.mark.realdata
def test_real_lists_agree(real_data):
    splits = real_data / "splits"
    ours = kitti.read_split(splits / "monodepth2/eigen/test_files.txt")
    assert len(ours) == 697
    assert ours == kitti.read_split(splits / "sfmlearner/test_files_eigen.txt")
    assert ours == kitti.read_split(splits / "monodepth/eigen_test_files.txt")
    assert len(kitti.read_split(splits / "monodepth2/eigen_zhou/train_files.txt")) == 39810
    assert set(kitti.read_split(splits / "bts/eigen_test_files_with_gt.txt")) == set(ours)


# ---- the raw set on real files ----


@pytest.mark.realdata
def test_real_frames_obey_the_contract(real_data):
    dataset = kitti.Raw(real_data / "kitti/raw", stereo=True)
    assert [frame.frame for frame in dataset.frames] == [0, 3, 5, 6, 9]
    for sample in dataset:
        check_sample(sample, max_depth=130.0)
        assert sample["image"].shape == (3, 375, 1242)
        assert sample["valid"].sum() > 19_000
        assert sample["T_right_left"][0, 3].item() == pytest.approx(-0.5327, abs=1e-3)
    assert sample["K"][0, 0].item() == pytest.approx(721.5377)


@pytest.mark.realdata
def test_eigen_test_frames_of_the_sample(real_data):
    lines = (real_data / "splits/monodepth2/eigen/test_files.txt").read_text().splitlines()
    dataset = kitti.Raw(real_data / "kitti/raw", lines, missing="skip")
    assert sorted(frame.frame for frame in dataset.frames) == [0, 3, 6, 9]
    assert dataset.skipped == 693
    with pytest.raises(DataError, match="693 of 697 frames lack a file"):
        kitti.Raw(real_data / "kitti/raw", lines)


@pytest.mark.realdata
def test_poses_and_stereo_explain_the_real_images(real_data, photometric):
    """LiDAR points carried to the next frame by GPS/IMU poses, and to the right camera by calibration, land
    on the same colours."""
    dataset = kitti.Raw(real_data / "kitti/raw", mode="corrected", stereo=True)
    images = kitti.Raw(real_data / "kitti/raw", depth=None)
    first, following = dataset[0], images.load(kitti.Frame("2011_09_26", "2011_09_26_drive_0002_sync", 1, 2))
    T = torch.linalg.inv(following["T_world_camera"]) @ first["T_world_camera"]
    assert T[2, 3].item() == pytest.approx(-0.86, abs=0.05)  # 10 Hz at 31 km/h
    still = photometric(first, following, torch.eye(4))
    assert (
        photometric(first, following, T)
        < 0.55 * still
        < 0.55 * photometric(first, following, torch.linalg.inv(T))
    )
    right = {**first, "image": first["image_right"]}
    assert photometric(first, right, first["T_right_left"]) < 0.4 * photometric(first, right, torch.eye(4))


@pytest.mark.realdata
def test_smaller_size_keeps_the_measurements(real_data):
    full, small = (kitti.Raw(real_data / "kitti/raw", size=size)[0] for size in (None, (192, 640)))
    check_sample(small, max_depth=130.0)
    assert small["image"].shape == (3, 192, 640)
    assert small["valid"].sum() > 0.8 * full["valid"].sum()  # nearest-neighbour would keep a quarter
    assert small["depth"].max() <= full["depth"].max()
    assert small["K"][0, 2].item() == pytest.approx(
        (full["K"][0, 2].item() + 0.5) * 640 / 1242 - 0.5, rel=1e-5
    )


@pytest.mark.realdata
def test_odometry_poses_are_the_official_ones(real_data):
    dataset = kitti.Odometry(real_data / "kitti/odometry_06")
    assert len(dataset) == 51
    official = kitti.read_poses(real_data / "kitti/odometry_gt_poses/06.txt")
    np.testing.assert_allclose(dataset.poses, official[:51])
    sample = check_sample(dataset[50], require_depth=False)
    assert sample["T_world_camera"][2, 3].item() == pytest.approx(59.84, abs=0.01)
    assert torch.equal(sample["image"][0], sample["image"][2])  # grey
    assert not sample["valid"].any()


def test_official_odometry_layout_and_a_wrong_number_of_poses(tmp_path):
    from PIL import Image

    folder = tmp_path / "sequences" / "07"
    (folder / "image_2").mkdir(parents=True)
    (tmp_path / "poses").mkdir()
    for number in range(2):
        Image.new("RGB", (8, 4)).save(folder / "image_2" / f"{number:06d}.png")
    rows = [
        "7 0 3 0 0 7 2 0 0 0 1 0",
        "7 0 3 0 0 7 2 0 0 0 1 0",
        "7 0 3 0.7 0 7 2 0 0 0 1 0",
        "7 0 3 -3 0 7 2 0 0 0 1 0",
    ]
    (folder / "calib.txt").write_text("".join(f"P{i}: {row}\n" for i, row in enumerate(rows)) + "Tr: 1 2\n")
    (tmp_path / "poses" / "07.txt").write_text("1 0 0 0 0 1 0 0 0 0 1 0\n1 0 0 0 0 1 0 0 0 0 1 2\n")
    sample = kitti.Odometry(folder, camera=2)[1]
    assert sample["T_world_camera"][:3, 3].tolist() == pytest.approx(
        [-0.1, 0, 2]
    )  # camera 2 sits 0.1 m left of camera 0
    (tmp_path / "poses" / "07.txt").write_text("1 0 0 0 0 1 0 0 0 0 1 0\n")
    with pytest.raises(DataError, match=r"07.txt: holds 1 poses"):
        kitti.Odometry(folder, camera=2)
    (folder / "calib.txt").write_text("P0: 1 2 3\n")
    with pytest.raises(DataError, match="expected 12 numbers for camera 2"):
        kitti.Odometry(folder, camera=2)


def test_map_of_gps_positions():
    """One thousandth of a degree north is 111.3 m (on the map's sphere), east it is cos(latitude) of that."""
    here = np.array([49.0, 8.4, 115.0, 0, 0, 0])
    origin = T_map_imu(here, 49.0)[:3, 3]
    north = T_map_imu(here + np.eye(6)[0] * 0.001, 49.0)[:3, 3] - origin
    east = T_map_imu(here + np.eye(6)[1] * 0.001 + np.eye(6)[2] * 2, 49.0)[:3, 3] - origin
    assert north == pytest.approx([0, 111.32, 0], abs=0.02)
    assert east == pytest.approx([111.32 * np.cos(np.radians(49)), 0, 2], abs=0.02)
    R = rotation_from_angles(0.1, -0.2, 0.3)
    np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-12)
    assert np.arcsin(-R[2, 0]) == pytest.approx(-0.2)


def test_annotated_depth_is_found_where_the_archive_puts_it(analytic, tmp_path):
    from PIL import Image

    from mdepth.datasets import export

    root = export.kitti_raw(analytic(scenes=1), tmp_path / "raw")
    frame = kitti.read_split(root / "split.txt")[0]
    folder = root / "val" / frame.drive / "proj_depth/groundtruth/image_02"
    folder.mkdir(parents=True)
    codes = np.zeros((40, 56), dtype=np.uint16)
    codes[5, 7] = 2560
    Image.fromarray(codes).save(folder / "0000000000.png")
    dataset = kitti.Raw(root, [frame], depth="annotated")
    assert dataset[0]["depth"][0, 5, 7].item() == 10.0
    assert dataset[0]["valid"].sum() == 1
