"""Items with their neighbours in time: which frames, in which order, and motions that explain the
pictures."""

import json
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from analytic_room import Analytic
from PIL import Image

from mdepth.datasets import check_sample, collate, export, kitti, rgbd, video
from mdepth.datasets import transforms as t
from mdepth.datasets.rgbd.frames import usual_steps
from mdepth.datasets.sequences import WithNeighbours, motions_to
from mdepth.datasets.worlds import World, load, scene
from mdepth.datasets.worlds.classes import LabelledRooms
from mdepth.shapes import DataError

STREET = World("roads", scenes=3, frames=4, height=24, width=72, stereo=True, moving_objects=False)


@pytest.fixture(scope="module")
def street(tmp_path_factory):
    return load(STREET, cache=tmp_path_factory.mktemp("worlds"))


def explains(photometric, item, number):
    """Whether the motion to a neighbour explains it better than none does, and than its inverse."""
    other, T = {**item, "image": item["neighbours"][number]}, item["T_neighbour_target"][number]
    moved, still, back = (
        photometric(item, other, motion) for motion in (T, torch.eye(4), torch.linalg.inv(T))
    )
    return moved < still < back


# ---- which frames ----


def test_a_world_gives_every_inner_frame_with_both_neighbours(street):
    triples = WithNeighbours(street)
    assert (len(triples), triples.skipped) == (6, 6)
    assert triples.indices == [1, 2, 5, 6, 9, 10]
    for item, index in zip(triples, triples.indices, strict=True):
        check_sample(item)
        assert item["id"] == street[index]["id"]
        for number, offset in enumerate((-1, 1)):
            assert torch.equal(item["neighbours"][number], street[index + offset]["image"])
        assert torch.equal(item["image_right"], street[index]["image_right"])
    with pytest.raises(IndexError):
        triples[6]


@pytest.mark.parametrize(
    ("offsets", "indices"), [((1,), [0, 1, 2]), ((-2,), [2, 3]), ((2, -1, 1), [1]), ((-3, 3), None)]
)
def test_offsets_in_their_order(street, offsets, indices):
    if indices is None:
        with pytest.raises(DataError, match=r"none of 12 items has neighbours at the offsets \(-3, 3\)"):
            WithNeighbours(street, offsets)
        return
    chosen = WithNeighbours(street, offsets)
    assert chosen.indices[: len(indices)] == indices
    for number, offset in enumerate(offsets):
        assert torch.equal(chosen[0]["neighbours"][number], street[indices[0] + offset]["image"])


def test_what_has_no_neighbours_is_refused(street, analytic):
    for offsets in ((), (0, 1), (1, 1)):
        with pytest.raises(ValueError, match="offsets must be"):
            WithNeighbours(street, offsets)
    with pytest.raises(ValueError, match="SimpleNamespace knows no neighbours"):
        WithNeighbours(SimpleNamespace(name="x"))
    with pytest.raises(DataError, match="analytic: none of 4 items"):
        WithNeighbours(analytic(scenes=4, frames=1))


def test_motions_take_points_of_the_target_into_the_neighbour(photometric):
    """A still world: the pictures agree where the motion says, and the poses along the path agree."""
    world = World("rooms", "val", scenes=2, frames=3, haze=False)
    item = WithNeighbours(load(world, cache=False))[1]
    assert explains(photometric, item, 0)
    assert explains(photometric, item, 1)
    poses = scene(world, 1).T_world_camera
    point = torch.tensor([0.3, -0.2, 2.0, 1.0])
    for number, frame in enumerate((0, 2)):
        expected = torch.linalg.inv(poses[frame]) @ poses[1] @ point
        torch.testing.assert_close(item["T_neighbour_target"][number] @ point, expected)


def test_motions_are_true_inverses_of_inexact_poses():
    """Poses of files are rotations to a few digits; the motion there and back is still none."""
    generator = torch.Generator().manual_seed(1)
    poses = torch.eye(4) + 0.01 * torch.randn(2, 4, 4, generator=generator)
    poses[:, 3], poses[:, :3, 3] = torch.tensor([0.0, 0.0, 0.0, 1.0]), 500.0
    there, back = motions_to(poses[1:], poses[0]), motions_to(poses[:1], poses[1])
    torch.testing.assert_close(there[0] @ back[0], torch.eye(4), atol=1e-4, rtol=0)
    assert there[0, 3].tolist() == [0, 0, 0, 1]
    assert motions_to(poses[None].expand(5, 2, 4, 4), poses[:1].expand(5, 4, 4)).shape == (5, 2, 4, 4)


# ---- batches ----


def test_a_batch_is_what_its_items_are(street):
    triples = WithNeighbours(street)
    batch, items = triples.batch([4, 0, -1]), [triples[4], triples[0], triples[-1]]
    for key in set(collate(items)) - {"id", "scene", "time"}:
        assert torch.equal(batch[key], torch.stack([item[key] for item in items])), key
    assert batch["neighbours"].shape == (3, 2, 3, 24, 72)
    assert batch["T_neighbour_target"].shape == (3, 2, 4, 4)
    with pytest.raises(IndexError):
        triples.batch([6])


def test_a_world_on_the_fly_a_cached_one_and_another_process_agree(street):
    cached = WithNeighbours(street)
    fresh, sent = WithNeighbours(load(STREET, cache=False)), pickle.loads(pickle.dumps(cached))
    expected, others = cached.batch([2]), [data.batch([2]) for data in (fresh, sent)]
    for key, value in expected.items():
        assert all(torch.equal(other[key], value) for other in others), key


def test_labels_of_rooms_stay(tmp_path):
    rooms = load(World("rooms", scenes=1, frames=3, height=24, width=32), cache=tmp_path)
    item = WithNeighbours(LabelledRooms(rooms)).batch([0])
    assert {"labels", "neighbours"} <= set(item)
    assert torch.equal(item["neighbours"][0, 1], rooms[2]["image"])


def test_items_without_a_batch_of_their_own_are_collated(analytic):
    triples = WithNeighbours(analytic(scenes=2, frames=4, stereo=True))
    batch = triples.batch([0, 3])
    assert batch["id"] == ["room_0000/01", "room_0001/02"]
    assert batch["neighbours"].shape == (2, 2, 3, 40, 56)
    single = WithNeighbours(analytic(scenes=1, frames=4), (1,))
    with pytest.raises(DataError, match=r"keys \['T_right_left', 'image_right'\]"):
        collate([triples[0], single[0]])
    with pytest.raises(DataError, match=r"samples of \[1, 2\] neighbours"):
        collate([WithNeighbours(analytic(frames=3))[0], single[0]])


def test_description_and_fingerprint(street, analytic):
    triples, pairs = WithNeighbours(street), WithNeighbours(street, (1,))
    described = triples.describe()
    assert described["of"] == street.describe()
    assert (described["offsets"], described["skipped"], described["length"]) == ([-1, 1], 6, 6)
    json.dumps(described)
    assert triples.fingerprint() == WithNeighbours(street).fingerprint() != pairs.fingerprint()
    assert list(triples.files()) == []
    assert len(WithNeighbours(analytic(frames=3)).fingerprint()) == 64


def test_neighbours_pass_through(street):
    """A data set with neighbours is a video of its own, and may be wrapped again."""
    triples = WithNeighbours(street)
    assert triples.neighbour(0, 0) == 1
    assert triples.neighbour(0, -2) is None
    assert torch.equal(triples.views([2])["image"][0], street[2]["image"])


# ---- the contract ----


def test_the_contract_covers_the_new_keys(analytic):
    item = WithNeighbours(analytic(frames=3))[0]
    copies = {"augmented": item["image"], "augmented_neighbours": item["neighbours"]}
    check_sample({**item, **copies})
    wrong = {
        "neighbours": item["neighbours"][..., 1:],
        "T_neighbour_target": item["T_neighbour_target"][:1],
        "augmented": item["image"][:1],
        "augmented_neighbours": item["neighbours"][:1],
    }
    for key, value in wrong.items():
        with pytest.raises(DataError, match=f"{key} must be torch.float32 of shape"):
            check_sample({**item, **copies, key: value})
    with pytest.raises(DataError, match=r"neighbours must lie in \[0, 1\]"):
        check_sample({**item, "neighbours": item["neighbours"] * 255})
    with pytest.raises(DataError, match="T_neighbour_target must end in the row"):
        check_sample({**item, "T_neighbour_target": torch.zeros(2, 4, 4)})


@pytest.mark.parametrize(
    "change", [lambda item: t.resize(item, 20, 28), lambda item: t.crop(item, 5, 7, 20, 30), t.hflip]
)
def test_every_frame_is_changed_as_if_it_were_alone(analytic, change):
    """Of a sample and of a batch: each neighbour with its K and pose as an item of its own would be."""
    frames = analytic(frames=3, stereo=True)
    triples = WithNeighbours(frames)
    alone = [change(frames[index]) for index in (0, 2)]
    changed, batch = change(triples[0]), change(triples.batch([0, 1]))
    check_sample(changed)
    for number, other in enumerate(alone):
        assert torch.equal(changed["neighbours"][number], other["image"])
        T = motions_to(other["T_world_camera"][None], changed["T_world_camera"])[0]
        torch.testing.assert_close(changed["T_neighbour_target"][number], T, atol=1e-6, rtol=1e-6)
    for key in ("neighbours", "T_neighbour_target", "image_right", "T_right_left", "K"):
        assert torch.equal(batch[key][0], changed[key]), key


class Mirrored(Analytic):
    """The same rooms with left and right exchanged: the room's mirror image, seen by mirrored cameras."""

    baseline = -Analytic.baseline

    def render(self, T, scene):
        return super().render(np.diag([-1.0, 1.0, 1.0, 1.0]) @ T, scene)

    def pose(self, frame):
        mirror = np.diag([-1.0, 1.0, 1.0, 1.0])
        return mirror @ super().pose(frame) @ mirror


def test_a_flipped_item_is_the_item_of_the_mirrored_world(analytic):
    """Rendered anew, with the right eye on the left: images, depth, camera and all motions."""
    flipped = t.hflip(WithNeighbours(analytic(frames=3, stereo=True))[1])
    truth = WithNeighbours(Mirrored(frames=3, stereo=True))[1]
    assert set(flipped) == set(truth)
    for key in ("image", "neighbours", "image_right"):
        differs = (flipped[key] != truth[key]).any(dim=-3)  # a ray that grazes an edge may go either way
        assert differs.float().mean() < 2e-3, key
    for key in ("K", "T_world_camera", "T_neighbour_target", "T_right_left"):
        torch.testing.assert_close(flipped[key], truth[key], atol=1e-6, rtol=1e-6)
    assert truth["T_right_left"][0, 3] > 0
    close = torch.isclose(flipped["depth"], truth["depth"], atol=1e-4)
    assert close.float().mean() > 0.998


def test_a_flipped_item_still_explains_its_neighbours(analytic, photometric):
    plain = WithNeighbours(analytic(frames=3, size=(96, 128), stereo=True))[0]
    flipped = t.hflip(plain)
    for number in (0, 1):
        assert explains(photometric, flipped, number)
        unturned = {**flipped, "T_neighbour_target": plain["T_neighbour_target"]}
        other = {**flipped, "image": flipped["neighbours"][number]}
        errors = [photometric(s, other, s["T_neighbour_target"][number]) for s in (flipped, unturned, plain)]
        assert errors[0] < 0.8 * errors[1]


def test_what_would_not_be_true_any_more_is_left_out(analytic):
    item = WithNeighbours(analytic(frames=3, stereo=True))[0]
    item |= {"augmented": item["image"], "augmented_right": item["image_right"]}
    rolled, zoomed = t.roll(item, 5.0), t.zoom(item, 1.5)
    gone = {"neighbours", "T_neighbour_target", "image_right", "T_right_left", "augmented_right"}
    assert gone.isdisjoint(rolled)
    assert "augmented" in rolled
    assert {"T_neighbour_target", "T_right_left", "T_world_camera"}.isdisjoint(zoomed)
    assert zoomed["neighbours"].shape[-2:] == zoomed["image"].shape[-2:]


@pytest.mark.parametrize(
    "change",
    [
        lambda item, f: t.color_gain(item, torch.stack([f, f * 0.9, f * 1.1], dim=-1)),
        lambda item, f: t.channel_swap(item, (2, 0, 1)),
        lambda item, f: t.pca_lighting(item, torch.stack([f, -f, f], dim=-1)),
        *[
            lambda item, f, name=name: t.color_jitter(item, {name: f - 0.8 if name == "hue" else f})
            for name in ("brightness", "contrast", "saturation", "hue")
        ],
    ],
)
def test_colours_of_a_batch_change_item_by_item(analytic, change):
    """One number an item; all its frames take that of their item."""
    triples, factors = WithNeighbours(analytic(frames=3)), torch.tensor([0.7, 1.2])
    batch = change(triples.batch([0, 1]), factors)
    for i, factor in enumerate(factors):
        item = change(triples[i], factor)
        for key in ("image", "neighbours"):
            torch.testing.assert_close(batch[key][i], item[key])
        for number, index in enumerate((3 * i, 3 * i + 2)):
            alone = change({"image": triples.dataset[index]["image"]}, factor)["image"]
            torch.testing.assert_close(item["neighbours"][number], alone)


# ---- KITTI ----


@pytest.fixture
def raw(analytic, tmp_path):
    """Two drives of five frames, with stereo; of the scans only those of frames 1 and 2 are kept."""
    root = export.kitti_raw(analytic(frames=5, stereo=True), tmp_path / "raw")
    for scan in root.glob("*/*/velodyne_points/data/*.bin"):
        if int(scan.stem) not in (1, 2):
            scan.unlink()
    return root


def test_neighbours_of_raw_frames_need_neither_split_nor_depth(raw, analytic):
    lines = [str(frame) for frame in kitti.read_split(raw / "split.txt") if frame.frame in (1, 2)]
    triples = WithNeighbours(kitti.Raw(raw, lines, stereo=True))
    assert (len(triples), triples.skipped) == (4, 0)
    source = analytic(frames=5, stereo=True)
    for item, index in zip(triples, (1, 2, 6, 7), strict=True):
        check_sample(item)
        for number, offset in enumerate((-1, 1)):
            truth = source[index + offset]
            assert torch.equal(item["neighbours"][number], truth["image"])
            T = motions_to(truth["T_world_camera"][None], source[index]["T_world_camera"])[0]
            torch.testing.assert_close(item["T_neighbour_target"][number], T, atol=1e-4, rtol=1e-4)
    assert set(triples.batch([0, 3])) == set(triples[0])


def test_ends_of_drives_and_gaps_are_left_out(raw):
    images = kitti.Raw(raw, depth=None)
    assert [images.frames[index].frame for index in WithNeighbours(images).indices] == [1, 2, 3] * 2
    gone = images.image_path(images.frames[7])  # frame 2 of the second drive
    gone.unlink()
    after = WithNeighbours(kitti.Raw(raw, depth=None))
    assert [str(after.dataset.frames[index]).split()[1] for index in after.indices] == ["1", "2", "3"]
    assert after.skipped == 6
    assert WithNeighbours(kitti.Raw(raw, depth=None), (-2, 1)).indices == [2, 3, 7]


def test_neighbours_have_the_size_of_the_sample_and_the_side_of_the_line(raw):
    frame = kitti.read_split(raw / "split.txt")[1]
    right = kitti.Frame(frame.day, frame.drive, frame.frame, 3)
    item = WithNeighbours(kitti.Raw(raw, [right], depth=None, stereo=True, size=(20, 28)))[0]
    for number, beside in enumerate((0, 2)):
        small = kitti.Raw(raw, depth=None, size=(20, 28), side="r").load(
            kitti.Frame(frame.day, frame.drive, beside, 3)
        )
        assert torch.equal(item["neighbours"][number], small["image"])
    assert item["T_right_left"][0, 3] > 0


def test_the_files_of_neighbours_count(raw):
    split = [str(kitti.read_split(raw / "split.txt")[1])]
    triples = WithNeighbours(kitti.Raw(raw, split))
    files, before = list(triples.files()), triples.fingerprint()
    assert len(files) == len(list(triples.dataset.files())) + 2 == len(set(files))
    path = triples.dataset.image_path(triples.dataset.neighbour(0, 1))
    assert path in files
    path.write_bytes(path.read_bytes() + b"\0")
    assert triples.fingerprint() != before


def test_odometry_goes_by_the_numbers_of_its_images(tmp_path):
    folder = tmp_path / "sequences" / "07"
    (folder / "image_2").mkdir(parents=True)
    (tmp_path / "poses").mkdir()
    numbers = [0, 1, 2, 3, 5, 6, 7]
    for number in numbers:
        Image.new("RGB", (8, 4), (10 * number, 0, 0)).save(folder / "image_2" / f"{number:06d}.png")
    (folder / "calib.txt").write_text("".join(f"P{i}: 7 0 3 0 0 7 2 0 0 0 1 0\n" for i in range(4)))
    (tmp_path / "poses" / "07.txt").write_text("".join(f"1 0 0 0 0 1 0 0 0 0 1 {n * n}\n" for n in range(8)))
    triples = WithNeighbours(kitti.Odometry(folder, camera=2))
    assert [item["id"][-1] for item in triples] == ["1", "2", "6"]
    last = triples[2]
    assert (last["neighbours"][:, 0, 0, 0] * 255).tolist() == pytest.approx([50, 70])
    assert last["T_neighbour_target"][:, 2, 3].tolist() == [36 - 25, 36 - 49]
    forward = WithNeighbours(kitti.Odometry(folder, camera=2), (2,))
    assert [item["id"][-1] for item in forward] == ["0", "1", "3", "5"]


# ---- videos and recordings ----


def test_pictures_and_a_clip(write_clip, tmp_path):
    path = write_clip(tmp_path / "grey.mp4", [40 * i for i in range(6)], 5)
    (tmp_path / "pictures").mkdir()
    for i in range(6):
        Image.new("RGB", (8, 6), (40 * i,) * 3).save(tmp_path / "pictures" / f"{i}.png")
    for source in (path, tmp_path / "pictures"):
        triples = WithNeighbours(video.Video(source))
        assert (len(triples), triples.skipped) == (4, 2)
        assert "T_neighbour_target" not in triples[0]
        for i, item in enumerate(triples):
            check_sample(item, require_depth=False)
            levels = item["neighbours"].mean(dim=(1, 2, 3)) * 255
            assert levels.tolist() == pytest.approx([40 * i, 40 * (i + 2)], abs=4)


def test_a_walk_through_a_clip_does_not_begin_again(write_clip, tmp_path, monkeypatch):
    path = write_clip(tmp_path / "grey.mp4", [20 * i for i in range(12)], 5)
    opened, decode = [], video._decode
    monkeypatch.setattr(video, "_decode", lambda path: opened.append(path) or decode(path))
    triples = WithNeighbours(video.Video(path, every=2), (-1, 1, 2))
    assert len(list(triples)) == 3
    assert len(opened) == 2  # the first item is frame 2, and then its neighbour 0 is asked for


def test_frames_of_unequal_size_are_named(tmp_path):
    for i, size in enumerate(((8, 6), (8, 6), (6, 8))):
        Image.new("RGB", size).save(tmp_path / f"{i}.png")
    with pytest.raises(DataError, match=r"neighbours of 2 sizes: \[\(6, 8\), \(8, 6\)\]"):
        WithNeighbours(video.Video(tmp_path))[0]
    with pytest.raises(DataError, match=r"an image is \(6, 8\), but its neighbours are \(8, 6\)"):
        WithNeighbours(video.Video(tmp_path), (1,))[1]


def test_usual_steps():
    assert usual_steps([5.0]) == [0]
    assert usual_steps([0, 6, 12, 24, 30]) == [0, 1, 2, 4, 5]
    assert usual_steps([30, 10, 20]) == [2, 0, 1]
    assert usual_steps([1.0, 1.0, 1.0]) == [0, 1, 2]  # no distance is usual: one after the other
    times = np.cumsum([0.0, *np.random.default_rng(0).uniform(0.03, 0.036, 300)])
    assert usual_steps(times.tolist()) == list(range(301))
    assert usual_steps(np.delete(times, [7, 100, 101]).tolist())[98:100] == [99, 102]


def test_a_folder_of_ones_own_goes_by_its_numbers(tmp_path):
    for part in ("rgb", "depth", "poses"):
        (tmp_path / part).mkdir()
    for i in (8, 9, 10, 12, 13):
        Image.new("RGB", (8, 6), (10 * i, 0, 0)).save(tmp_path / f"rgb/f{i}.png")
        np.save(tmp_path / f"depth/f{i}.npy", np.full((6, 8), 2.5, dtype=np.float32))
        pose = np.eye(4)
        pose[2, 3] = i * i
        np.savetxt(tmp_path / f"poses/f{i}.txt", pose)
    (tmp_path / "camera.json").write_text(json.dumps({"fx": 9, "fy": 9.5, "cx": 3.5, "cy": 2.5}))
    triples = WithNeighbours(rgbd.Folder(tmp_path))
    item = triples[0]
    assert (len(triples), triples.skipped, item["id"][-2:]) == (1, 4, "f9")
    assert (item["neighbours"][:, 0, 0, 0] * 255).tolist() == pytest.approx([80, 100])
    assert item["T_neighbour_target"][:, 2, 3].tolist() == [81 - 64, 81 - 100]
    (tmp_path / "poses/f10.txt").unlink()
    assert "T_neighbour_target" not in WithNeighbours(rgbd.Folder(tmp_path))[0]


@pytest.mark.realdata
def test_neighbours_in_the_real_recordings(real_data, photometric):
    """Poses explain the neighbours of a frame in the middle; a drive's poses come from GPS and IMU."""
    drive = kitti.Raw(real_data / "kitti/raw", mode="corrected", stereo=True)
    sets = [
        (drive, 3, 2),  # frames 3 5 6 of those with a scan; 0 and 9 are the ends of what is here
        (rgbd.Tum(real_data / "rgbd/tum_fr1_dense_vo"), 8, 2),
        (rgbd.NyuVideo(real_data / "rgbd/nyu_dining_video"), 3, 2),
        (rgbd.SevenScenes(real_data / "rgbd/7scenes_redkitchen"), 165, 2),
    ]
    for dataset, length, skipped in sets:
        triples = WithNeighbours(dataset)
        assert (len(triples), triples.skipped) == (length, skipped), dataset.name
        item = check_sample(triples[length // 3], max_depth=130.0)
        assert explains(photometric, item, 0), dataset.name
        assert explains(photometric, item, 1), dataset.name


@pytest.mark.realdata
def test_neighbours_in_real_videos(real_data):
    pytest.importorskip("av", reason="PyAV is not installed: video files cannot be decoded")
    clip = video.Video(real_data / "mono/solidWhiteRight.mp4", every=20)
    item = WithNeighbours(clip)[2]
    assert torch.equal(item["neighbours"][0], clip[2]["image"])
    sequence = WithNeighbours(kitti.Odometry(real_data / "kitti/odometry_06"))
    assert (len(sequence), sequence.skipped) == (49, 2)
    steps = sequence.batch([0, 48])["T_neighbour_target"][:, :, 2, 3]
    assert (steps[:, 0] > 0.9).all()  # metres: what was in front is further in front of the earlier camera
    assert (steps[:, 1] < -0.9).all()


# ---- lists of frames ----


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (kitti.read_odometry_split, "9 0 l\n2011_09_26/x 3 l\n", "line 2: cannot .* expected '9 0 l'"),
        (kitti.read_odometry_split, "\n", "names no frame"),
        (kitti.read_static_frames, "2011_09_26 3\n", "line 1: cannot .*drive_0009_sync 0000000386"),
        (kitti.read_static_frames, "", "names no frame"),
    ],
)
def test_lists_that_cannot_be_read_are_named(tmp_path, read, text, message):
    (tmp_path / "list.txt").write_text(text)
    with pytest.raises(DataError, match=rf"list.txt.*{message}"):
        read(tmp_path / "list.txt")
    with pytest.raises(DataError, match=r"none.txt: cannot be read"):
        read(tmp_path / "none.txt")


def test_static_frames_go_for_both_cameras_and_leave_the_order(tmp_path):
    day, drive = "2011_09_26", "2011_09_26_drive_0009_sync"
    (tmp_path / "static.txt").write_text(f"{day} {drive} 0000000386\n\n{day} {drive} 0000000387\n")
    static = kitti.read_static_frames(tmp_path / "static.txt")
    assert static == {(drive, 386), (drive, 387)}
    frames = [kitti.Frame(day, drive, number, camera) for number in (388, 386, 385) for camera in (3, 2)]
    assert kitti.without_static(frames, static) == [*frames[:2], *frames[4:]]
    other = [kitti.Frame(day, "2011_09_26_drive_0001_sync", 386, 2)]
    assert kitti.without_static(other, static) == other


@pytest.mark.realdata
def test_the_real_odometry_lists(real_data):
    folder = real_data / "splits/monodepth2/odom"
    train, val = (kitti.read_odometry_split(folder / f"{name}_files.txt") for name in ("train", "val"))
    assert (len(train), len(val)) == (36671, 4075)
    frames = {(one.sequence, one.frame) for one in train + val}
    assert len(set(train + val)) == 2 * len(frames) == 2 * 20373  # both cameras, every row once
    assert {sequence for sequence, _ in frames} == set(range(9))
    assert min(frame for _, frame in frames) == 2
    assert train[0] == kitti.OdometryFrame(8, 4056, 3)
    for sequence, count in ((9, 1590), (10, 1200)):
        test = kitti.read_odometry_split(folder / f"test_files_{sequence:02d}.txt")
        assert test == [kitti.OdometryFrame(sequence, frame, 2) for frame in range(count)]
        poses = kitti.read_poses(real_data / f"kitti/odometry_gt_poses/{sequence:02d}.txt")
        assert len(poses) == count + 1  # a pair has a next frame


@pytest.mark.realdata
def test_zhous_frames_are_eigens_less_the_static_and_the_ends(real_data):
    """22,117 frames exactly. How long a drive is, the lists alone do not say: Eigen's name every frame from
    0 up to their last one, and those two are what is missing."""
    folder = real_data / "splits/monodepth2"
    eigen, zhou = (
        [f for part in ("train", "val") for f in kitti.read_split(folder / split / f"{part}_files.txt")]
        for split in ("eigen_full", "eigen_zhou")
    )
    static = kitti.read_static_frames(real_data / "splits/sfmlearner/static_frames.txt")
    assert len(static) == 8044
    moving = kitti.without_static(eigen, static)
    named, left, chosen = ({(f.drive, f.frame) for f in frames} for frames in (eigen, moving, zhou))
    assert (len(named), len(named - left), len(chosen)) == (23488, 1312, 22117)
    last = {drive: max(frame for d, frame in named if d == drive) for drive in {d for d, _ in named}}
    assert len(last) == 33
    assert named == {(drive, frame) for drive, end in last.items() for frame in range(end + 1)}
    ends = {(drive, frame) for drive, end in last.items() for frame in (0, end)}
    assert chosen == left - ends
    assert len(left & ends) == 59
    assert {d for d, _ in named} - {d for d, _ in chosen} == {"2011_09_26_drive_0060_sync"}
    assert set(zhou) == {f for f in moving if (f.drive, f.frame) not in ends}  # with both cameras
    beside_static = [f for f in zhou if {(f.drive, f.frame - 1), (f.drive, f.frame + 1)} & static]
    assert len(beside_static) == 238
