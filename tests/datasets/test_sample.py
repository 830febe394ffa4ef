import math

import pytest
import torch

from mdepth.datasets import check_sample, collate
from mdepth.datasets.sample import DepthDataset, file_digest, make_sample
from mdepth.shapes import DataError


def sample_of(depth, /, **changes):
    height, width = depth.shape[-2:]
    sample = make_sample(torch.full((3, height, width), 0.5), depth, torch.eye(3), id="a/0", scene="a")
    sample.update(changes)
    return sample


GOOD = torch.linspace(1.0, 5.0, 12).reshape(1, 3, 4)


def test_a_good_sample_passes_unchanged():
    sample = sample_of(GOOD)
    assert check_sample(sample) is sample


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"depth": GOOD.double()}, "depth must be torch.float32"),
        ({"depth": GOOD[0]}, "shape"),
        ({"image": torch.full((3, 3, 4), 128.0)}, r"divide 8-bit values by 255"),
        ({"image": torch.full((3, 3, 4), math.nan)}, "NaN"),
        (
            {"image": torch.zeros(3, 4)},
            r"image must be torch.float32 of shape \(3, 'H', 'W'\), got .*\(3, 4\)",
        ),
        ({"image": torch.zeros(3, 0, 4)}, r"image is empty, of shape \(3, 0, 4\)"),
        ({"depth": torch.full((1, 3, 4), math.inf)}, "infinite"),
        ({"depth": -GOOD}, "negative"),
        ({"valid": torch.zeros(1, 3, 4, dtype=torch.bool)}, "no valid pixel"),
        ({"depth": torch.zeros(1, 3, 4)}, "valid must imply"),
        ({"depth": GOOD * 1000}, "divide by 1000 if the file holds millimetres"),
        ({"depth": torch.arange(1.0, 13.0).reshape(1, 3, 4)}, "whole numbers"),
        ({"depth": torch.arange(1.0, 13.0).reshape(1, 3, 4) / 255}, "8-bit"),
        ({"K": torch.zeros(3, 3)}, "focal"),
        ({"K": "none"}, "must be a tensor"),
        ({"id": ""}, "non-empty"),
        ({"T_world_camera": torch.zeros(4, 4)}, "must end in the row"),
        ({"instances": torch.zeros(1, 3, 4)}, "int64"),
    ],
)
def test_what_breaks_the_contract_is_named(change, message):
    with pytest.raises(DataError, match=message) as caught:
        check_sample(sample_of(GOOD, **change))
    assert "sample 'a/0'" in str(caught.value) or "sample ''" in str(caught.value)


def test_missing_key_is_named():
    sample = sample_of(GOOD)
    del sample["K"]
    with pytest.raises(DataError, match=r"\['K'\] are missing"):
        check_sample(sample)


def test_a_sample_without_depth_passes_only_when_allowed():
    sample = make_sample(torch.zeros(3, 2, 2), torch.zeros(1, 2, 2), torch.eye(3), id="v/0", scene="v")
    assert check_sample(sample, require_depth=False)["id"] == "v/0"
    with pytest.raises(DataError, match="no valid pixel"):
        check_sample(sample)


def test_one_flat_wall_in_whole_metres_is_not_taken_for_codes():
    check_sample(sample_of(torch.full((1, 3, 4), 2.0)))


def test_collate_stacks_and_names_what_does_not_fit(analytic):
    batch = collate([analytic()[0], analytic()[3]])
    assert batch["image"].shape == (2, 3, 40, 56)
    assert batch["id"] == ["room_0000/00", "room_0001/01"]
    with pytest.raises(DataError, match=r"sizes differ: \[\(20, 28\), \(40, 56\)\]"):
        collate([analytic()[0], analytic(size=(20, 28))[0]])
    with pytest.raises(DataError, match=r"keys \['T_right_left', 'image_right'\]"):
        collate([analytic()[0], analytic(stereo=True)[0]])


def test_fingerprint_follows_content_not_place(tmp_path):
    class Files(DepthDataset):
        name = "files"

        def __init__(self, folder):
            self.folder = folder

        def __len__(self):
            return 1

        def files(self):
            return sorted(self.folder.iterdir())

    for folder, content in (("a", b"one"), ("b", b"one"), ("c", b"two")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.bin").write_bytes(content)
    prints = [Files(tmp_path / folder).fingerprint() for folder in "abc"]
    assert prints[0] == prints[1] != prints[2]
    assert len(prints[0]) == 64


def test_fingerprint_of_many_files_sees_every_size(tmp_path):
    class Many(DepthDataset):
        def __len__(self):
            return 600

        def files(self):
            return [tmp_path / f"{i:03d}" for i in range(600)]

    for i in range(600):
        (tmp_path / f"{i:03d}").write_bytes(b"abc")
    before = Many().fingerprint()
    (tmp_path / "301").write_bytes(b"abcd")
    assert Many().fingerprint() != before
    (tmp_path / "301").unlink()
    with pytest.raises(DataError, match="301: cannot be read"):
        Many().fingerprint()


def test_digest_of_a_large_file_sees_size_and_ends(tmp_path):
    path = tmp_path / "large"
    data = bytearray(3 << 20)
    path.write_bytes(data)
    before = file_digest(path)
    data[-1] = 1
    path.write_bytes(data)
    assert file_digest(path) != before
    path.write_bytes(data + b"\0")
    assert file_digest(path) != before


def test_index_beyond_the_end_ends_a_loop(analytic):
    assert len(list(analytic())) == 4
    with pytest.raises(IndexError, match="item 4 of 4"):
        analytic()[4]
    assert analytic()[-1]["id"] == analytic()[3]["id"]
