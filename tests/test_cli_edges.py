"""The command line at its edges: every sort of picture, damaged files, settings that cannot be, memory that
ends.
"""

import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_tools import check_refused, invoke, read
from PIL import Image

from mdepth.cli import errors, inputs
from mdepth.cli.changed import changed
from mdepth.shapes import DataError


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results, cache and working folder of these tests alone."""
    monkeypatch.setenv("MDEPTH_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("MDEPTH_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.setenv("TQDM_DISABLE", "1")
    monkeypatch.chdir(tmp_path)


def noise(height: int = 30, width: int = 40) -> Image.Image:
    """A picture."""
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


# ---- pictures ----


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB"])
def test_every_picture_of_8_bits_is_predicted(mode: str) -> None:
    path = Path("a.tif" if mode in ("CMYK", "YCbCr", "LAB") else "a.png")
    noise().convert(mode).save(path)
    (told,) = read("predict", path, "-o", "out", "--write", "npz")["results"]
    assert told["size"] == [30, 40]


@pytest.mark.parametrize("size", [(8, 8), (8, 300), (300, 8), (31, 17)])
def test_every_shape_gives_four_files_of_that_shape(size: tuple[int, int]) -> None:
    noise(*size).save("a.png")
    (told,) = read("predict", "a.png", "-o", "out")["results"]
    with np.load(told["files"]["npz"]) as arrays, Image.open(told["files"]["png"]) as codes:
        assert arrays["depth"].shape == size == codes.size[::-1]


@pytest.mark.parametrize("turn", range(1, 9))
def test_photographs_of_all_eight_orientations_are_the_same_picture(turn: int) -> None:
    """Stored turned and mirrored as the tag says, they are shown as the first one."""
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # tag -> PIL's operation that undoes its own
    stored, exif = noise(), Image.Exif()
    if turn in back:
        stored = stored.transpose(Image.Transpose(back[turn]))
    exif[0x0112] = turn
    stored.save("a.png", exif=exif)
    (frame,) = inputs.gather([Path("a.png")])
    shown = frame.read().image.mul(255).round().byte().permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(shown, np.array(noise()))


@pytest.mark.parametrize(("tag", "focal"), [(28, 28 / 36), ((28, 29), None), ("28 mm", None), (0, None)])
def test_a_focal_length_that_is_no_number_is_none(tag: Any, focal: float | None) -> None:
    exif = Image.Exif()
    exif.get_ifd(inputs.EXIF)[inputs.FOCAL_35MM] = tag
    noise().save("a.jpg", exif=exif)
    assert inputs.gather([Path("a.jpg")])[0].read().focal == (focal and pytest.approx(focal))


def test_hidden_files_of_a_folder_are_left_alone() -> None:
    """Such as ``._photo.png``, which macOS puts beside a file on a foreign disk and which is no picture."""
    noise().save("photo.png")
    Path("._photo.png").write_bytes(b"Mac OS X")
    assert [item["name"] for item in read("predict", ".", "-o", "out", "--write", "npz")["results"]] == [
        "photo"
    ]


def test_a_long_video_is_listed_at_once() -> None:
    """In time that grows with its frames, not with their square."""
    compared: list[int] = []

    class Name(str):
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            compared.append(1)
            return str.__eq__(self, other)  # type: ignore[arg-type]

    frame = partial(inputs.Frame, Path("v.mp4"), read=lambda: None, of_video=True)
    frames = [frame(name=Name(f"v/{number:06d}")) for number in range(2000)]
    assert len(inputs._distinct(frames)) == 2000
    assert len(compared) < 20_000


@pytest.mark.parametrize("folder", ["depth", "npz", "colour", "cloud"])
def test_where_one_file_cannot_be_written_there_is_none(folder: str) -> None:
    noise().save("a.png")
    Path("out").mkdir()
    Path("out", folder).write_text("in the way")
    check_refused(invoke("predict", "a.png", "-o", "out"), folder, after=("network:",))
    assert [str(path) for path in Path("out").rglob("*") if path.is_file()] == [f"out/{folder}"]


def spoilt(content: bytes, times: int) -> Iterator[bytes]:
    """A file with a few bytes changed, and cut off, in turn."""
    chosen = random.Random(0)
    for time in range(times):
        damaged = bytearray(content)
        for _ in range(2):
            damaged[chosen.randrange(len(damaged))] = chosen.randrange(256)
        yield bytes(damaged if time % 2 else damaged[: chosen.randrange(len(damaged))])


@pytest.mark.parametrize("name", ["a.gif", "a.jpg", "a.png", "a.webp", "a.tif", "a.bmp"])
@pytest.mark.filterwarnings("ignore")
def test_a_damaged_picture_is_named_or_read(name: str) -> None:
    """Whichever bytes it is: never an error that does not name the file."""
    exif, path, told = Image.Exif(), Path(name), []
    exif[inputs.ORIENTATION] = 6
    exif.get_ifd(inputs.EXIF)[inputs.FOCAL_35MM] = 28
    more = {"exif": exif} if path.suffix != ".gif" else {"save_all": True, "append_images": [noise()]}
    noise(24, 32).save(path, **(more if path.suffix != ".bmp" else {}))
    for content in spoilt(path.read_bytes(), 150):
        path.write_bytes(content)
        try:
            for frame in inputs.gather([path]):
                frame.read()
        except DataError as error:
            told.append(str(error))
    assert len(told) > 30
    assert all(text.startswith(f"{name}: ") for text in told)


@pytest.mark.filterwarnings("error")
def test_what_pil_remarks_does_not_reach_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    noise(20, 20).save("a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300)
    with pytest.raises(Image.DecompressionBombWarning):
        Image.open("a.png")
    told = invoke("predict", "a.png", "-o", "out")
    assert told.exit_code == 0
    assert [line[:8] for line in told.stderr.splitlines()] == ["network:"]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
    ],
)
def test_memory_that_ends_is_one_line(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    from mdepth.models.eigen import EigenCoarse

    def full(*_: Any) -> None:
        raise error

    noise().save("a.png")
    monkeypatch.setattr(EigenCoarse, "predict", full)
    told = invoke("predict", "a.png", "-o", "out")
    assert told.exit_code == 1
    assert told.stderr.splitlines()[-1].startswith("error: the memory does not suffice; try smaller")
    assert not Path("out").exists()


# ---- settings and data that cannot be ----


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("optimiser=adma", ["unknown optimiser 'adma'", "did you mean 'adam'"]),
        ("data=room", ["unknown data 'room'", "did you mean 'rooms'"]),
        ("protocol=wrlds", ["unknown protocol", "did you mean 'worlds'"]),
        ("network=eigen-coarse-room", ["unknown network", "did you mean 'eigen-coarse-rooms'"]),
        ("accelerator=gpu", ["unknown accelerator 'gpu'", "cuda"]),
        ("zoom=('a', 'b')", ["zoom", "(1.0, 1.5)"]),
        ("zoom=1.5", ["zoom", "tuple"]),
        ("anneal=1", ["anneal", "bool"]),
    ],
)
def test_a_setting_that_cannot_be_is_told_before_anything_is_trained(word: str, told: list[str]) -> None:
    check_refused(invoke("train", "eigen/coarse-rooms", "-o", "mine", "--set", word), *told)
    assert not Path("mine").exists()


def test_whole_numbers_and_floats_mean_the_same_run() -> None:
    runs = [
        changed("eigen", "coarse-rooms", "quick", 0, [f"zoom=({one}, 2.0)"], None) for one in ("1", "1.0")
    ]
    assert runs[0].meaning == runs[1].meaning


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--data", "rooms", "--scenes", "0"], ["scenes must be at least 1, got 0"]),
        (["--data", "rooms=here", "--scenes", "2"], ["rooms=here", "takes no place"]),
    ],
)
def test_a_world_that_cannot_be_is_one_line(arguments: list[str], told: list[str]) -> None:
    check_refused(invoke("evaluate", "--model", "eigen-coarse-rooms", *arguments), *told)


def test_unknown_names_are_listed_in_a_sentence() -> None:
    for value, sentence in (
        ("x", "unknown kind 'x'; there are: a, b"),
        ("aa", "; did you mean 'a'? There are:"),
    ):
        with pytest.raises(ValueError) as told:
            errors.choose("kind", value, ["a", "b"])
        assert sentence in str(told.value)
