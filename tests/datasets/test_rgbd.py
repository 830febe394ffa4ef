"""TUM, 7-Scenes, NYU video and the reader's own folder: units, cameras, times, poses that explain images."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from mdepth.datasets import check_sample, rgbd
from mdepth.datasets.registration import register_depth, z_buffer
from mdepth.datasets.rgbd.tum import associate
from mdepth.shapes import DataError


@pytest.fixture
def explained(photometric):
    """Photometric error with the poses, relative to that of standing still; and with the inverse motion."""

    def ratios(dataset, i, j):
        target, source = dataset[i], dataset[j]
        T = torch.linalg.inv(source["T_world_camera"].double()) @ target["T_world_camera"].double()
        moved, inverted = (photometric(target, source, motion.float()) for motion in (T, torch.linalg.inv(T)))
        still = photometric(target, source, torch.eye(4))
        return moved / still, inverted / still

    return ratios


@pytest.mark.realdata
def test_real_recordings_obey_the_contract_and_their_poses_hold(real_data, explained):
    sets = [
        (rgbd.Tum(real_data / "rgbd/tum_fr1_dense_vo"), 10, 0, 2, 0.5),
        (rgbd.NyuVideo(real_data / "rgbd/nyu_dining_video"), 5, 0, 1, 0.5),
        (rgbd.SevenScenes(real_data / "rgbd/7scenes_redkitchen", every=2), 84, 15, 16, 0.6),
    ]
    for dataset, length, i, j, share in sets:
        assert len(dataset) == length
        check_sample(dataset[0])
        with_pose, inverted = explained(dataset, i, j)
        assert with_pose < share < 1 < inverted, dataset.name


@pytest.mark.realdata
def test_tum_unit_and_camera(real_data):
    sample = rgbd.Tum(real_data / "rgbd/tum_fr1_dense_vo")[0]
    assert sample["id"] == "tum_fr1_dense_vo/1"
    assert sample["depth"].max().item() == pytest.approx(18587 / 5000)
    assert sample["K"][0].tolist() == pytest.approx([517.3, 0, 318.6])


@pytest.mark.realdata
def test_registered_depth_fits_the_colours_better(real_data, explained):
    """Moving depth to the colour camera must lower the photometric error between frames, on average over
    pairs."""
    folder = real_data / "rgbd/7scenes_redkitchen"
    registered, unmoved = (rgbd.SevenScenes(folder, register=on) for on in (True, False))
    pairs = [(10, 11), (30, 31), (60, 61)]
    ratio = [explained(registered, *pair)[0] / explained(unmoved, *pair)[0] for pair in pairs]
    assert np.mean(ratio) < 0.95
    assert registered[0]["valid"].float().mean() > 0.6
    assert registered[0]["K"][0, 0] == 525
    assert unmoved[0]["K"][0, 0] == 585
    camera_shift = torch.linalg.inv(unmoved[0]["T_world_camera"]) @ registered[0]["T_world_camera"]
    assert camera_shift[:3, 3].tolist() == pytest.approx([0.025, 0, 0], abs=1e-5)


def test_registration_of_a_plane_by_hand():
    """A wall at 2 m: a pixel u of the depth camera lands at (u - 8) 525/585 - 0.025 525/2 + 8."""
    K_depth, K_color = (
        np.array([[585.0, 0, 8], [0, 585, 2], [0, 0, 1]]),
        np.array([[525.0, 0, 8], [0, 525, 2], [0, 0, 1]]),
    )
    T = np.eye(4)
    T[0, 3] = -0.025
    moved = register_depth(np.full((5, 17), 2.0), K_depth, K_color, T)
    assert set(np.unique(moved)) == {0.0, 2.0}
    lands = {round((u - 8) * 525 / 585 - 0.025 * 525 / 2 + 8) for u in range(17)}
    assert set(np.nonzero(moved[2])[0]) == {u for u in lands if 0 <= u < 17}


def test_z_buffer_keeps_the_nearest_and_what_is_inside():
    depth = z_buffer(
        np.array([0.4, -0.4, 1.6, np.inf, np.nan, 0.0]),
        np.zeros(6),
        np.array([5.0, 3.0, 1.0, 1.0, 1.0, -1.0]),
        1,
        2,
    )
    assert depth.tolist() == [[3.0, 0.0]]


# ---- official TUM layout ----


@pytest.fixture
def tum(tmp_path):
    folder = tmp_path / "rgbd_dataset_freiburg3_tiny"
    for part in ("rgb", "depth"):
        (folder / part).mkdir(parents=True)
    for i in range(3):
        Image.new("RGB", (8, 6), (50 * i, 0, 0)).save(folder / f"rgb/{i}.png")
        Image.fromarray(np.full((6, 8), 5000 * (i + 1), dtype=np.uint16)).save(folder / f"depth/{i}.png")
    (folder / "rgb.txt").write_text("# time name\n1.00 rgb/0.png\n1.10 rgb/1.png\n1.30 rgb/2.png\n")
    (folder / "depth.txt").write_text("# time name\n1.01 depth/0.png\n1.11 depth/1.png\n1.20 depth/2.png\n")
    (folder / "groundtruth.txt").write_text(
        "# t x y z qx qy qz qw\n1.005 1 2 3 0 0 0 1\n1.500 0 0 0 0 0 0 1\n"
    )
    return folder


def test_timestamps_are_associated(tum):
    dataset = rgbd.Tum(tum)
    assert len(dataset) == 2  # the third image has no depth within 0.02 s
    assert dataset[0]["T_world_camera"][:3, 3].tolist() == [1, 2, 3]
    assert "T_world_camera" not in dataset[1]
    assert dataset[1]["depth"][0, 0, 0].item() == pytest.approx(2.0)
    assert dataset[0]["time"] == 1.0
    assert dataset[0]["K"][0, 0].item() == pytest.approx(535.4)
    assert len(rgbd.Tum(tum, largest_gap=0.15)) == 3


def test_association_takes_each_depth_once():
    assert associate(np.array([1.0, 1.015]), np.array([1.01])) == [(1, 0)]
    assert associate(np.array([1.0]), np.array([])) == []


def test_unknown_camera_and_broken_lists(tum):
    (tum / "rgb.txt").write_text("1.00 rgb/0.png extra\n")
    with pytest.raises(DataError, match=r"rgb.txt, line 1: expected 2 words"):
        rgbd.Tum(tum)
    (tum / "rgb.txt").write_text("now rgb/0.png\n")
    with pytest.raises(DataError, match="expected a time in seconds"):
        rgbd.Tum(tum)
    (tum / "rgb.txt").write_text("1.00 rgb/0.png\n")
    with pytest.raises(DataError, match=r"pass K=\(fx, fy, cx, cy\)"):
        rgbd.Tum(tum.rename(tum.with_name("desk")))


# ---- the reader's own folder ----


@pytest.fixture
def own(tmp_path):
    for part in ("rgb", "depth", "poses"):
        (tmp_path / part).mkdir()
    Image.new("RGB", (8, 6)).save(tmp_path / "rgb/a.jpg")
    Image.new("RGB", (8, 6)).save(tmp_path / "rgb/b.png")
    Image.fromarray(np.full((6, 8), 1500, dtype=np.uint16)).save(tmp_path / "depth/a.png")
    np.save(tmp_path / "depth/b.npy", np.full((6, 8), 2.5, dtype=np.float32))
    np.savetxt(tmp_path / "poses/a.txt", np.eye(4))
    (tmp_path / "camera.json").write_text(
        json.dumps({"fx": 9, "fy": 9.5, "cx": 3.5, "cy": 2.5, "metres_per_code": 0.001})
    )
    return tmp_path


def test_own_folder(own):
    first, second = (check_sample(sample) for sample in rgbd.Folder(own))
    assert first["depth"].max() == 1.5
    assert second["depth"].max() == 2.5
    assert "T_world_camera" in first
    assert "T_world_camera" not in second
    assert first["K"].tolist() == [[9, 0, 3.5], [0, 9.5, 2.5], [0, 0, 1]]


def test_own_folder_says_what_is_missing(own):
    camera = json.loads((own / "camera.json").read_text())
    (own / "camera.json").write_text(json.dumps({key: camera[key] for key in ("fx", "fy", "cx", "cy")}))
    with pytest.raises(DataError, match=r"a.png: its unit is unknown; write metres_per_code"):
        rgbd.Folder(own)[0]
    (own / "camera.json").write_text(json.dumps({"fx": 9}))
    with pytest.raises(DataError, match=r"camera.json: expected JSON with the numbers fx, fy, cx, cy"):
        rgbd.Folder(own)
    (own / "camera.json").write_text(json.dumps(camera))
    np.save(own / "depth/b.npy", np.full((6, 8), 2500))
    with pytest.raises(DataError, match=r"b.npy: expected \(H, W\) float metres"):
        rgbd.Folder(own)[1]
    np.save(own / "depth/b.npy", np.full((6, 8), np.nan, dtype=np.float32))
    with pytest.raises(DataError, match=r"b.npy: holds NaN"):
        rgbd.Folder(own)[1]
    (own / "depth/b.npy").unlink()
    with pytest.raises(DataError, match="pair the files by name"):
        rgbd.Folder(own)


def test_quaternions():
    with pytest.raises(ValueError, match="no rotation"):
        rgbd.rotation_from_quaternion(0.0, 0.0, 0.0, 0.0)
    R = rgbd.rotation_from_quaternion(0.1, -0.4, 0.3, 0.8)
    np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(R @ [0.1, -0.4, 0.3], [0.1, -0.4, 0.3])  # the axis stays
