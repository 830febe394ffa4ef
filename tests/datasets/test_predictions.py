import numpy as np
import pytest
from PIL import Image

from mdepth.datasets.predictions import UNITS, read_predictions
from mdepth.shapes import DataError


@pytest.mark.parametrize(
    ("unit", "number", "depth"),
    [
        ("m", 2.5, 2.5),
        ("mm", 2500, 2.5),
        ("cm", 250, 2.5),
        ("m/256", 640, 2.5),
        ("m/5000", 12500, 2.5),
        ("1/m", 0.4, 2.5),
    ],
)
def test_units(tmp_path, unit, number, depth):
    np.save(tmp_path / "p.npy", np.full((2, 3, 4), number))
    predictions = read_predictions(tmp_path / "p.npy", unit)
    assert len(predictions) == 2
    assert predictions[1].shape == (3, 4)
    assert predictions[1] == pytest.approx(np.full((3, 4), depth))
    assert predictions.unit.metric


def test_relative_units_say_so():
    assert not UNITS["inverse-relative"].metric
    assert not UNITS["relative"].metric


def test_unit_is_never_guessed(tmp_path):
    with pytest.raises(ValueError, match="never guessed"):
        read_predictions(tmp_path, "disparity")


def test_zero_stays_zero_in_inverse_depth(tmp_path):
    np.save(tmp_path / "p.npy", np.array([[0.0, 0.5]]))
    assert read_predictions(tmp_path / "p.npy", "1/m")[0].tolist() == [[0.0, 2.0]]


def test_npz_needs_a_key_when_there_are_several(tmp_path):
    np.savez(tmp_path / "p.npz", depth=np.ones((2, 1, 3, 4)), other=np.zeros((1, 3, 4)))
    with pytest.raises(DataError, match=r"holds the arrays \['depth', 'other'\]; say which"):
        read_predictions(tmp_path / "p.npz", "m")
    with pytest.raises(DataError, match="'disp' is not among them"):
        read_predictions(tmp_path / "p.npz", "m", key="disp")
    assert len(read_predictions(tmp_path / "p.npz", "m", key="depth")) == 2


def test_folder_of_pngs_is_matched_by_name(tmp_path):
    for name, code in (("kitchen_02", 512), ("kitchen_01", 256)):
        Image.fromarray(np.full((3, 4), code, dtype=np.uint16)).save(tmp_path / f"{name}.png")
    predictions = read_predictions(tmp_path, "m/256").match(["rooms/kitchen/02", "rooms/kitchen/01"])
    assert [p[0, 0] for p in predictions] == [2.0, 1.0]
    with pytest.raises(DataError, match="no prediction is named after 'rooms/kitchen/03'"):
        predictions.match(["rooms/kitchen/03", "rooms/kitchen/01"])


def test_stack_goes_by_order_and_must_be_complete(tmp_path):
    np.save(tmp_path / "p.npy", np.ones((3, 2, 2)))
    predictions = read_predictions(tmp_path / "p.npy", "m")
    assert predictions.match(["a", "b", "c"]) is predictions
    with pytest.raises(DataError, match="3 predictions for 2 images"):
        predictions.match(["a", "b"])


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((1, 2, 2), np.nan), "map 0: holds NaN"),
        (np.full((1, 2, 2), -1.0), "negative"),
        (np.zeros((1, 2, 2)), "zero everywhere"),
        (np.zeros(4), r"found float64 of shape \(4,\)"),
        (np.zeros((2, 2, 2), dtype=complex), "complex"),
    ],
)
def test_bad_arrays_are_named(tmp_path, array, message):
    np.save(tmp_path / "p.npy", array)
    with pytest.raises(DataError, match=f"p.npy.*{message}"):
        list(read_predictions(tmp_path / "p.npy", "m"))


def test_bad_files_are_named(tmp_path):
    (tmp_path / "p.npy").write_bytes(b"")
    with pytest.raises(DataError, match=r"p.npy: is not a readable array"):
        read_predictions(tmp_path / "p.npy", "m")
    np.save(tmp_path / "o.npy", np.array([{"a": 1}]), allow_pickle=True)
    with pytest.raises(DataError, match=r"o.npy: is not a readable array"):
        read_predictions(tmp_path / "o.npy", "m")
    with pytest.raises(DataError, match=r"p.txt: expected .npy"):
        read_predictions(tmp_path / "p.txt", "m")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty: holds no .npy"):
        read_predictions(tmp_path / "empty", "m")
    Image.new("L", (4, 3)).save(tmp_path / "empty" / "a.png")
    with pytest.raises(DataError, match="8 bits"):
        read_predictions(tmp_path / "empty", "m/256")[0]


def test_damaged_npz_files_are_named(tmp_path):
    rng = np.random.default_rng(0)
    np.savez_compressed(tmp_path / "a.npz", rng.random((2, 30, 40)))
    content = (tmp_path / "a.npz").read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 0xFF
    for broken in (b"", content[: len(content) // 2], bytes(flipped), b"PK\3\4"):
        (tmp_path / "a.npz").write_bytes(broken)
        with pytest.raises(DataError, match=r"a.npz: is not a readable array"):
            read_predictions(tmp_path / "a.npz", "m")


def test_files_go_in_the_order_of_their_numbers(tmp_path):
    """Sorted as words, 10 would come before 2, and every score would be one of another image."""
    for i in range(1, 13):
        np.save(tmp_path / f"{i}.npy", np.full((2, 2), float(i)))
    (tmp_path / "._1.npy").write_bytes(b"\0")
    predictions = read_predictions(tmp_path, "m").match([f"room/{letter}" for letter in "abcdefghijkl"])
    assert [p[0, 0] for p in predictions] == list(range(1, 13))


def test_two_files_of_one_name(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((2, 2)))
    Image.fromarray(np.full((2, 2), 7, np.uint16)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.\w+: a\.\w+ has the same name; keep one"):
        read_predictions(tmp_path, "m")


def test_depth_beyond_all_numbers(tmp_path):
    np.save(tmp_path / "a.npy", np.full((2, 2), 1e-40))
    with pytest.raises(DataError, match=r"a.npy: depth reaches 1e\+40; write 0"):
        read_predictions(tmp_path / "a.npy", "1/m")[0]
