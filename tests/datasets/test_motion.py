"""Motion between frames, measured in pictures, against the motion that depth and poses give; and the advice
drawn from it."""

import math
from statistics import median

import pytest
import torch
from PIL import Image

from mdepth import geometry
from mdepth.datasets import kitti, rgbd, video
from mdepth.datasets.motion import check_motion, optical_flow
from mdepth.datasets.sequences import WithNeighbours
from mdepth.datasets.transforms import resize
from mdepth.datasets.worlds import World, load
from mdepth.shapes import DataError


def true_flow(dataset, index, other):
    """The flow that depth and poses give, (2, H, W), and where its point is in the other picture too."""
    one, two = dataset[index], dataset[other]
    T = geometry.relative_transform(two["T_world_camera"], one["T_world_camera"])[None]
    points = geometry.transform_points(T, geometry.backproject(one["depth"][None], one["K"][None]))
    pixels, _ = geometry.project(points, two["K"][None])
    height, width = one["image"].shape[-2:]
    seen = one["valid"] & geometry.in_image(pixels, height, width)[0]
    return (pixels[0] - geometry.pixel_grid(height, width)), seen[0]


@pytest.fixture(scope="module", params=["rooms", "roads"])
def still_world(request, tmp_path_factory):
    """Twelve scenes in which only the camera moves, in some not even that."""
    world = World(request.param, "val", scenes=12, frames=2, moving_objects=False)
    return load(world, cache=tmp_path_factory.mktemp("worlds"))


def true_length(dataset, index, size):
    """The median length of the true motion to the next frame, in pixels of ``size``, over the pixels with
    texture that both frames show; and the median there of the measured motion's error, in units of half a
    pixel and a seventh of the motion."""
    truth, seen = true_flow(dataset, index, index + 1)
    pictures = torch.stack([dataset[i]["image"] for i in (index, index + 1)])
    one, other = resize({"image": pictures}, *size)["image"].split(1)
    truth, seen = (
        torch.nn.functional.interpolate(values[None], size, mode="nearest-exact")[0]
        for values in (truth * size[1] / truth.shape[-1], seen[None].float())
    )
    flow, textured = optical_flow(one, other)
    where = (seen[0] > 0) & textured[0, 0]
    error = (flow[0] - truth).norm(dim=0) / (0.5 + truth.norm(dim=0) / 7)
    return truth.norm(dim=0)[where].median().item(), error[where].median().item()


def agree(measured, true):
    """Seven pairs in ten within a quarter or 0.3 pixels, all within half, and no bias beyond 15 %."""
    measured, true = torch.tensor(measured), torch.tensor(true)
    error, moving = (measured - true).abs(), true > 0.1
    assert torch.equal(measured > 0.1, moving)
    assert ((error < 0.25 * true) | (error < 0.3)).float().mean() >= 0.7
    assert ((error < 0.5 * true) | (error < 0.3)).all()
    assert (measured / true)[moving].median().item() == pytest.approx(1, abs=0.15)


def test_the_measured_motion_is_the_true_one(still_world):
    size = (still_world.world.height, still_world.world.width)
    report = check_motion(still_world, size=size)
    true, errors = zip(*(true_length(still_world, index, size) for index in range(0, 24, 2)), strict=True)
    assert max(errors) < 1
    agree(report.motions, true)
    moving = [length for length in true if length > 0.1]
    assert report.motion == pytest.approx(median(moving), rel=0.25)
    assert report.still == pytest.approx(1 - len(moving) / 12)
    assert report.lost == 0
    assert report.rate == pytest.approx(10.0)


@pytest.fixture(scope="module")
def texture():
    """A picture of 192 x 640 pixels with detail of every size."""
    generator = torch.Generator().manual_seed(0)
    layers = [torch.rand(1, 3, 192 // s, 640 // s, generator=generator) for s in (2, 4, 8, 16, 32)]
    return sum(torch.nn.functional.interpolate(a, (192, 640), mode="bilinear") for a in layers) / len(layers)


@pytest.mark.parametrize("shift", [(0, 0), (1, 0), (-3, 2), (16, -5), (-48, 0)])
def test_a_shift_is_found_up_to_a_quarter_of_the_width(texture, shift):
    u, v = shift
    one, other = texture[..., 64:128, 200:392], texture[..., 64 - v : 128 - v, 200 - u : 392 - u]
    flow, textured = optical_flow(one, other)
    assert textured.all()
    assert flow[0].flatten(1).median(dim=1).values.tolist() == pytest.approx([u, v], abs=0.1)


def test_half_a_pixel_and_another_exposure(texture):
    """Pictures at half size differ by half a pixel; brighter ones and noise do not move."""
    one, other = (
        resize({"image": picture}, 96, 300)["image"]
        for picture in (texture[..., 9:609], texture[..., 10:610])
    )
    assert optical_flow(one, other)[0][:, 0].median().item() == pytest.approx(-0.5, abs=0.05)
    generator = torch.Generator().manual_seed(1)
    noisy = (0.8 * one + 0.05 + 0.01 * torch.randn(one.shape, generator=generator)).clamp(0, 1)
    assert optical_flow(one, noisy)[0].norm(dim=1).median() < 0.1


def test_a_plain_picture_tells_nothing():
    flow, textured = optical_flow(torch.full((1, 3, 40, 60), 0.3), torch.full((1, 3, 40, 60), 0.6))
    assert not textured.any()
    assert flow.abs().max() < 0.1
    for height, width in ((6, 9), (5, 200), (64, 20)):  # whatever the size
        assert (
            optical_flow(torch.rand(1, 3, height, width), torch.rand(1, 3, height, width))[0].isfinite().all()
        )


# ---- advice ----


@pytest.fixture
def film(texture, tmp_path):
    """Writes pictures that are cut from the texture at given columns: ``film([0, 1, 2])``."""

    def write(columns, size=(60, 180), **options):
        folder = tmp_path / f"film{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        for number, column in enumerate(columns):
            picture = texture[0, :, : size[0], column : column + size[1]]
            pixels = (picture * 255).round().byte().permute(1, 2, 0).numpy()
            Image.fromarray(pixels).save(folder / f"{number:04d}.png")
        return video.Video(folder, K=torch.eye(3), **options)

    return write


def test_a_good_film_gets_no_warning(film):
    report = check_motion(film(range(0, 60, 3), fps=10.0), size=(60, 180), pairs=8)
    assert report.warnings == ()
    assert (report.pairs, report.still, report.lost) == (8, 0.0, 0.0)
    assert report.motion == pytest.approx(3.0, abs=0.1)
    assert report.rate == pytest.approx(10.0)
    assert (report.frame, report.size) == ((60, 180), (60, 180))
    assert check_motion(WithNeighbours(film(range(0, 60, 3))), size=(60, 180), pairs=4).motion > 2.9


def test_motion_is_in_pixels_of_the_training_size(film):
    report = check_motion(film(range(0, 60, 3)), size=(30, 90), pairs=4)
    assert report.motion == pytest.approx(1.5, abs=0.1)
    assert report.rate is None
    doubled = check_motion(film(range(0, 60, 3)), size=(30, 90), pairs=4, offset=2)
    assert doubled.motion == pytest.approx(3.0, abs=0.1)


def test_too_slow_and_what_to_do(film):
    report = check_motion(film(range(12), fps=24.0), size=(30, 90), pairs=6)
    assert report.motion == pytest.approx(0.5, abs=0.1)
    n = math.ceil(2 / report.motion)
    at = f"(median {report.motion:.1f} pixels at 30x90)"
    advice = f"take one frame in {n} (every={n}, {24 / n:.1f} frames a second)"
    assert report.warnings == (f"neighbouring frames move too little {at}: {advice}",)
    followed = check_motion(film(range(0, 8 * n, n), fps=24.0 / n), size=(30, 90), pairs=6)
    assert followed.warnings == ()
    assert followed.motion == pytest.approx(2.0, abs=0.6)


def test_too_fast_and_cuts(film):
    leaps = [0, 230] * 5
    (warning,) = check_motion(film(leaps), size=(60, 180)).warnings
    assert "move too much" in warning
    assert "9 of 9 pairs could not be followed" in warning
    cuts = [*range(0, 15, 3), *range(300, 315, 3), *range(100, 115, 3)]
    (warning,) = check_motion(film(cuts), size=(60, 180)).warnings
    assert "2 of 14 pairs of frames could not be followed: cut the video" in warning


def test_standing_frames_are_counted_apart(film):
    report = check_motion(film([*[0] * 5, *range(0, 18, 3)]), size=(60, 180))
    assert report.still == pytest.approx(0.5)
    assert report.motion == pytest.approx(3.0, abs=0.1)
    (warning,) = report.warnings
    assert warning.startswith("5 of 10 pairs of frames stand still")


def test_the_shape_of_frames_the_camera_and_the_rate(film):
    upright = film(range(0, 30, 3), size=(180, 60), fps=2.0)
    upright.K, upright.guessed_camera = None, True
    warnings = check_motion(upright, size=(60, 180)).warnings
    for part in ("2.0 frames a second", "upright (180x60)", "9.00 times", "K is a guess"):
        assert any(part in warning for warning in warnings), part
    assert not any("stretches" in w for w in check_motion(film([0, 3]), size=(64, 192)).warnings)
    assert video.Video(upright.path).guessed_camera
    assert not film([0, 3]).guessed_camera


def test_a_single_picture_is_no_video(film):
    with pytest.raises(DataError, match="no item has a frame at offset 1"):
        check_motion(film([0]), size=(60, 180))


# ---- real ones ----


@pytest.mark.realdata
def test_a_posed_real_recording(real_data):
    """Frames of a hand-held Kinect: the motion that its poses and its depth give."""
    recording, size = rgbd.SevenScenes(real_data / "rgbd/7scenes_redkitchen"), (96, 128)
    report = check_motion(recording, size=size, pairs=10)
    agree(report.motions, [true_length(recording, k * 166 // 10, size)[0] for k in range(10)])
    assert report.lost == 0


@pytest.mark.realdata
def test_real_roads(real_data):
    """Grey frames at 10 a second from a car at 43 km/h are fit for training; twice the time, twice the
    motion."""
    drive = kitti.Odometry(real_data / "kitti/odometry_06")
    near, far = (check_motion(drive, size=(64, 192), pairs=10, offset=offset) for offset in (1, 2))
    assert near.warnings == ()
    assert 2.5 < near.motion < 5
    assert 1.4 < far.motion / near.motion < 2.2
    assert (near.still, near.rate) == (0, None)


@pytest.mark.realdata
def test_the_real_clip(real_data):
    """A highway at 25 frames a second: little of it moves, its camera is unknown, its shape another."""
    pytest.importorskip("av", reason="PyAV is not installed: video files cannot be decoded")
    report = check_motion(video.Video(real_data / "mono/solidWhiteRight.mp4"), size=(64, 192), pairs=10)
    assert report.rate == pytest.approx(25.0)
    assert (report.frame, report.still, report.lost) == ((540, 960), 0, 0)
    assert 0.3 < report.motion < 0.8
    slow, stretched, guessed = report.warnings
    assert f"take one frame in {math.ceil(2 / report.motion)} " in slow
    assert "540x960 to 64x192 stretches everything to 1.69 times" in stretched
    assert "K is a guess" in guessed
    thinned = video.Video(real_data / "mono/solidWhiteRight.mp4", every=5, K=torch.eye(3))
    report = check_motion(thinned, size=(96, 160), pairs=8)
    assert report.warnings == ()
    assert report.rate == pytest.approx(5.0)
