"""``mdepth predict``: what it reads, what it writes, and what it refuses."""

import json
from pathlib import Path

import cli_tools
import numpy as np
import pytest
import torch
from cli_tools import invoke, read
from PIL import Image

from mdepth import weights
from mdepth.cli import inputs, outputs
from mdepth.models import build


def predict(*arguments: object):
    """Run ``mdepth predict`` with these arguments in this process."""
    return invoke("predict", *arguments)


def summary(*arguments: object) -> dict:
    """What it prints with ``--json``."""
    return read("predict", *arguments)


def check_refused(result, *words: str) -> None:
    """Assert that a prediction was refused, at most after the remark which network is used."""
    cli_tools.check_refused(result, *words, after=("network:",))


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """Weights for the small network, as a run leaves them; they make a slope from left to right."""
    torch.manual_seed(0)
    network = build("eigen-coarse-rooms")
    with torch.no_grad():
        network.get_parameter("coarse7.fc.weight").zero_()
        slope = torch.linspace(0.0, 1.5, network.output_size[1]).expand(network.output_size)
        network.get_parameter("coarse7.fc.bias").copy_(slope.flatten())
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    return weights.save(
        network, path, dtype=torch.float16, about={"run": "eigen/coarse-rooms (quick, seed 0)"}
    )


@pytest.fixture
def photo(tmp_path) -> Path:
    """A photograph, 48 x 64."""
    path = tmp_path / "in" / "photo.png"
    path.parent.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def read_ply(path: Path) -> tuple[list[str], np.ndarray]:
    """Header lines and vertices of a binary PLY, read by its own header."""
    header, _, body = path.read_bytes().partition(b"end_header\n")
    lines = header.decode("ascii").splitlines()
    types = {"float": "<f4", "uchar": "u1"}
    fields = [(line.split()[2], types[line.split()[1]]) for line in lines if line.startswith("property")]
    count = next(int(line.split()[2]) for line in lines if line.startswith("element vertex"))
    vertices = np.frombuffer(body, dtype=fields)
    assert len(vertices) == count
    return lines, vertices


# ---- what it writes ----


def test_a_photograph_gives_four_files_that_agree(photo, trained, tmp_path):
    told = summary(photo, "-o", tmp_path / "out", "--weights", trained)["results"][0]
    files = {kind: Path(path) for kind, path in told["files"].items()}
    assert files["png"] == tmp_path / "out" / "depth" / "photo.png"
    with np.load(files["npz"]) as arrays:
        depth, K = arrays["depth"], arrays["K"]
    with torch.no_grad():
        network = build("eigen-coarse-rooms")
        weights.load(network, trained)
        expected = network.predict(inputs.gather([photo])[0].read().image[None])[0, 0].numpy()
    np.testing.assert_array_equal(depth, expected)
    assert depth.shape == (48, 64)
    assert told["depth"]["max"] == pytest.approx(depth.max())
    np.testing.assert_allclose(K, told["K"], rtol=1e-6)
    with Image.open(files["png"]) as picture:
        assert (picture.mode, picture.text["unit"]) == ("I;16", "mm")
        codes = np.array(picture)
    np.testing.assert_allclose(codes / 1000, depth, atol=0.00051)
    with Image.open(files["colour"]) as picture:
        assert picture.size == (64, 48 + outputs.scale_rows(64))


def test_the_depth_png_reads_back_as_predictions(photo, trained, tmp_path):
    from mdepth.datasets.predictions import read_predictions

    told = summary(photo, "-o", tmp_path / "out", "--weights", trained)["results"][0]
    depth = read_predictions(tmp_path / "out" / "depth", told["png_unit"])[0]
    assert depth.min() == pytest.approx(told["depth"]["min"], abs=0.0006)
    again = read_predictions(tmp_path / "out" / "npz", "m", key="depth")[0]
    np.testing.assert_allclose(again, depth, atol=0.0006)


def test_the_cloud_holds_the_points_of_the_camera(photo, trained, tmp_path):
    out = tmp_path / "out"
    told = summary(photo, "-o", out, "--weights", trained, "--intrinsics", "50,60,31,23")["results"][0]
    lines, points = read_ply(out / "cloud" / "photo.ply")
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
    assert any("metres" in line and "z forward" in line for line in lines)
    with np.load(out / "npz" / "photo.npz") as arrays:
        depth = arrays["depth"]
    v, u = np.mgrid[:48, :64]
    np.testing.assert_allclose(points["z"], depth.ravel(), rtol=1e-5)
    np.testing.assert_allclose(points["x"], ((u - 31) / 50 * depth).ravel(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(points["y"], ((v - 23) / 60 * depth).ravel(), rtol=1e-4, atol=1e-5)
    pixels = np.array(Image.open(photo))
    np.testing.assert_array_equal(
        np.stack([points[c] for c in ("red", "green", "blue")], -1), pixels.reshape(-1, 3)
    )
    assert told["camera"] == "as given"


def test_large_clouds_are_thinned(monkeypatch, tmp_path):
    monkeypatch.setattr(outputs, "POINTS", 100)
    image, K = torch.rand(3, 40, 60), torch.tensor([[50.0, 0, 30], [0, 50, 20], [0, 0, 1]])
    outputs.write(outputs.Result("a", image, torch.full((40, 60), 2.0), K, "mm"), tmp_path, ("ply",))
    _, points = read_ply(tmp_path / "cloud" / "a.ply")
    assert 50 < len(points) <= 100


@pytest.mark.parametrize(("unit", "metres"), [("mm", 0.001), ("m/256", 1 / 256)])
def test_codes_of_16_bits_keep_metres(unit, metres, tmp_path):
    depth = torch.linspace(0.5, 60.0, 300).reshape(15, 20)
    result = outputs.Result("a", torch.zeros(3, 15, 20), depth, torch.eye(3), unit)
    path = outputs.write(result, tmp_path, ("png",))["png"]
    with Image.open(path) as picture:
        assert float(picture.text["scale"]) == pytest.approx(metres)
        np.testing.assert_allclose(np.array(picture) * metres, depth, atol=metres * 0.51)


def test_relative_depth_says_so_in_its_png(tmp_path):
    depth = torch.linspace(0.0, 3.0, 12).reshape(3, 4)
    result = outputs.Result("a", torch.zeros(3, 3, 4), depth, torch.eye(3), "relative")
    with Image.open(outputs.write(result, tmp_path, ("png", "colour", "ply"))["png"]) as picture:
        assert picture.text["unit"] == "relative"
        np.testing.assert_allclose(np.array(picture) * float(picture.text["scale"]), depth, atol=1e-4)
    lines, points = read_ply(tmp_path / "cloud" / "a.ply")
    assert any("relative units" in line for line in lines)
    assert len(points) == 11  # depth 0 is no point


def test_only_the_files_asked_for_are_written(photo, trained, tmp_path):
    out = tmp_path / "out"
    predict(photo, "-o", out, "--weights", trained, "--write", "npz")
    assert [path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()] == [
        "npz/photo.npz"
    ]


def test_text_says_what_was_used_and_how_far_to_believe_it(photo, trained, tmp_path):
    result = predict(photo, "-o", tmp_path / "out", "--weights", trained)
    assert result.exit_code == 0
    assert "eigen-coarse-rooms" in result.stderr
    assert "eigen/coarse-rooms (quick, seed 0)" in result.stderr
    assert "level B" in result.stderr
    assert "median" in result.stdout
    assert "field of view 63 degrees, assumed" in result.stdout
    assert "unit mm" in result.stdout


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ({"run": "eigen/coarse-rooms (laptop, seed 0)"}, "level B"),  # files made before the level was kept
        ({"run": "eigen/coarse-redkitchen (laptop, seed 0)"}, "level d"),
        ({"run": "eigen/coarse-nyu (full, seed 0)", "level": "D"}, "level D"),
        ({"run": "eigen/coarse-rooms (laptop, seed 0)", "level": "B"}, "level B"),
        ({"run": "elsewhere/coarse"}, "data that its file does not name"),
        ({}, "data that its file does not name"),
    ],
)
def test_weights_say_how_far_to_believe_them(about, words, trained, tmp_path):
    from mdepth.cli.networks import load

    path = weights.save(weights.read(trained), tmp_path / "weights.safetensors", about=about)
    loaded = load("eigen-coarse-rooms", path, "cpu")
    assert words in loaded.evidence
    assert loaded.trained == about.get("run", "origin unknown")


def test_the_network_that_comes_with_the_package_is_the_default(photo, tmp_path):
    told = summary(photo, "-o", tmp_path / "out")
    assert told["network"] == "eigen-coarse-rooms"
    assert told["trained"].startswith("eigen/coarse-rooms")
    assert "synthetic worlds" in told["evidence"]


# ---- what it reads ----


def test_a_folder_with_a_broken_picture_gives_the_others_and_status_1(photo, trained, tmp_path):
    folder, out = photo.parent, tmp_path / "out"
    (folder / "broken.jpg").write_bytes(b"")
    (folder / "notes.txt").write_text("not a picture")
    Image.new("L", (40, 30), 128).save(folder / "grey.jpg")
    result = predict(folder, "-o", out, "--weights", trained, "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert [item["name"] for item in told["results"]] == ["grey", "photo"]
    assert list(told["failed"]) == [str(folder / "broken.jpg")]
    assert "broken.jpg" in result.stderr.splitlines()[-1]
    assert sorted(path.stem for path in (out / "npz").iterdir()) == ["grey", "photo"]
    assert [path for path in out.iterdir() if path.name.startswith(".")] == []


def test_equal_names_do_not_fall_on_each_other(photo, trained, tmp_path):
    Image.open(photo).save(photo.with_suffix(".jpg"))
    told = summary(photo.parent, "-o", tmp_path / "out", "--weights", trained, "--write", "npz")
    assert sorted(item["name"] for item in told["results"]) == ["photo_jpg", "photo_png"]


def test_a_moving_picture_is_predicted_frame_by_frame(trained, tmp_path):
    frames = [Image.fromarray(np.full((24, 32, 3), 40 * i, np.uint8)) for i in range(5)]
    clip = tmp_path / "clip.gif"
    frames[0].save(clip, save_all=True, append_images=frames[1:], duration=40)
    told = summary(clip, "-o", tmp_path / "out", "--weights", trained, "--every", 2)
    assert [item["name"] for item in told["results"]] == ["clip/000000", "clip/000002", "clip/000004"]
    assert set(told["results"][0]["files"]) == {"png", "colour"}
    assert (tmp_path / "out" / "depth" / "clip" / "000004.png").is_file()


def test_a_video_file_is_predicted_frame_by_frame(trained, write_clip, tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", [0, 50, 100, 150], 10)
    told = summary(clip, "-o", tmp_path / "out", "--weights", trained)
    assert [item["name"] for item in told["results"]] == [f"clip/{i:06d}" for i in range(4)]


def test_a_video_that_cannot_be_decoded_is_one_line(trained, tmp_path):
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"no video")
    check_refused(predict(clip, "-o", tmp_path / "out", "--weights", trained), "clip.mp4")


def test_photographs_are_turned_upright_and_bring_their_camera(tmp_path):
    exif = Image.Exif()
    exif[inputs.ORIENTATION] = 6  # the camera was held upright: 90 degrees clockwise to show it
    exif.get_ifd(inputs.EXIF)[inputs.FOCAL_35MM] = 36
    path = tmp_path / "phone.jpg"
    Image.new("RGB", (60, 40), "red").save(path, exif=exif)
    picture = inputs.gather([path])[0].read()
    assert picture.image.shape == (3, 60, 40)
    K, origin = inputs.camera(picture, "eigen-coarse-rooms", None, None)
    assert K[0, 0].item() == pytest.approx(
        60.0, rel=1e-4
    )  # 36 mm on the long side of 36 mm: as long as the side
    assert "EXIF" in origin


def test_the_camera_comes_from_the_first_that_knows(tmp_path):
    picture = inputs.Picture(torch.zeros(3, 30, 40), focal=2.0)
    assert inputs.camera(picture, "x", 90.0, (1.0, 2.0, 3.0, 4.0))[0][1].tolist() == [0.0, 2.0, 4.0]
    assert inputs.camera(picture, "x", 90.0, None)[0][0, 0].item() == pytest.approx(20.0)
    assert inputs.camera(picture, "x", None, None)[0][0, 0].item() == pytest.approx(80.0)
    plain = inputs.Picture(torch.zeros(3, 30, 40))
    assert inputs.camera(plain, "eigen-coarse-roads", None, None)[0][0, 0].item() == pytest.approx(
        0.58 * 40, rel=1e-4
    )


def test_a_real_street_and_a_real_room(real_data, trained, tmp_path):
    street = real_data / "mono" / "monodepth2_demo"
    told = summary(street, "-o", tmp_path / "out", "--weights", trained, "--write", "npz,colour")
    assert told["results"]
    assert not told["failed"]


# ---- what it refuses ----


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "eigen-coarse-room"], ["did you mean 'eigen-coarse-rooms'"]),
        (["--model", "eigen-coarse-nyu"], ["no trained weights", "--weights"]),
        (["--weights", "nothing.safetensors"], ["nothing.safetensors", "expected"]),
        (["--device", "tpu"], ["unknown device 'tpu'"]),
        (["--device", "cuda:99"], ["cuda:99", "--device cpu"]),
        (["--fov", "180"], ["--fov", "between 0 and 180"]),
        (["--intrinsics", "1,2,3"], ["FX,FY,CX,CY"]),
        (["--intrinsics", "1,2,3,x"], ["FX,FY,CX,CY"]),
        (["--fov", "60", "--intrinsics", "1,2,3,4"], ["one of them"]),
        (["--write", "png,obj"], ["unknown kind of file 'obj'", "ply"]),
        (["--every", "0"], ["--every"]),
    ],
)
def test_wrong_options_are_one_line_and_leave_nothing(
    arguments, words, photo, trained, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    chosen = [] if "--weights" in arguments or "nyu" in arguments[-1] else ["--weights", trained]
    check_refused(predict(photo, "-o", "out", *chosen, *arguments), *words)
    assert not (tmp_path / "out").exists()


def test_what_is_no_picture_is_one_line(photo, trained, tmp_path):
    out = tmp_path / "out"
    cases = {
        "absent.png": None,
        "empty.png": b"",
        "text.jpg": b"this is text",
        "cut.png": photo.read_bytes()[:300],
    }
    for name, content in cases.items():
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        check_refused(predict(path, "-o", out, "--weights", trained), name)
    Image.fromarray(np.full((30, 40), 2000, np.uint16)).save(tmp_path / "depth.png")
    check_refused(predict(tmp_path / "depth.png", "-o", out, "--weights", trained), "depth.png", "depth map")
    Image.new("RGB", (5, 5)).save(tmp_path / "tiny.png")
    check_refused(predict(tmp_path / "tiny.png", "-o", out, "--weights", trained), "tiny.png", "8 x 8")
    (tmp_path / "nothing").mkdir()
    check_refused(predict(tmp_path / "nothing", "-o", out, "--weights", trained), "no picture")
    assert not out.exists()


@pytest.mark.parametrize("name", ["huge.png", "huge.gif"])
def test_a_picture_of_too_many_pixels_is_one_line(name, trained, tmp_path, monkeypatch):
    Image.new("RGB", (20, 11)).save(tmp_path / name)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    result = predict(tmp_path / name, "-o", tmp_path / "out", "--weights", trained)
    check_refused(result, name, "pixels")


def test_weights_of_another_network_are_refused(photo, trained, tmp_path):
    result = predict(photo, "-o", tmp_path / "out", "--weights", trained, "--model", "eigen-coarse-roads")
    check_refused(result, "does not fit", "wrong shape")


def test_weights_that_hold_code_are_refused(photo, tmp_path):
    import pickle

    path = tmp_path / "w.pth"
    path.write_bytes(pickle.dumps({"a": print}))
    check_refused(predict(photo, "-o", tmp_path / "out", "--weights", path), "w.pth")


def test_results_are_not_overwritten_unless_asked(photo, trained, tmp_path):
    arguments = [photo, "-o", tmp_path / "out", "--weights", trained]
    summary(*arguments)
    before = (tmp_path / "out" / "npz" / "photo.npz").stat().st_mtime_ns
    check_refused(predict(*arguments), "exists already", "--force")
    assert (tmp_path / "out" / "npz" / "photo.npz").stat().st_mtime_ns == before
    assert predict(*arguments, "--force").exit_code == 0
    check_refused(predict(photo, "-o", photo, "--weights", trained), "is a file")


def test_a_full_disk_leaves_nothing_behind(photo, trained, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device", "cloud")

    monkeypatch.setattr(outputs, "_write_cloud", full)
    result = predict(photo, "-o", tmp_path / "out", "--weights", trained)
    check_refused(result, "No space left on device")
    assert [path for path in (tmp_path / "out").rglob("*")] == []


def test_an_interrupt_keeps_what_is_whole(photo, trained, tmp_path, monkeypatch):
    Image.open(photo).save(photo.with_name("second.png"))
    real, calls = outputs._write_arrays, []

    def interrupted(result, path):
        calls.append(path)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(result, path)

    monkeypatch.setattr(outputs, "_write_arrays", interrupted)
    result = predict(photo.parent, "-o", tmp_path / "out", "--weights", trained)
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-1].startswith("stopped")
    files = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*"))
    assert files == ["cloud/photo.ply", "colour/photo.png", "depth/photo.png", "npz/photo.npz"]
