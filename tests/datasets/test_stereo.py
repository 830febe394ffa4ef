import pytest
import torch

from mdepth import geometry
from mdepth.datasets import check_sample, stereo
from mdepth.shapes import DataError


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("scene", "largest"), [("Tsukuba", 14.0), ("Venus", 19.75), ("Teddy", 52.75), ("Cones", 55.0)]
)
def test_disparity_brings_the_right_image_onto_the_left(real_data, scene, largest):
    sample = stereo.Middlebury(real_data / "stereo/middlebury_classic" / scene)[0]
    check_sample(sample, require_depth=False)
    assert sample["disparity"].max().item() == pytest.approx(largest)
    height, width = sample["image"].shape[1:]
    pixels = geometry.pixel_grid(height, width)[None].clone()
    pixels[:, 0] -= sample["disparity"]
    moved = geometry.sample(sample["image_right"][None], pixels)[0]
    known = (sample["disparity"] > 0)[0] & (pixels[0, 0] >= 0)
    after, before = (
        (image - sample["image"]).abs().mean(0)[known].mean() for image in (moved, sample["image_right"])
    )
    assert after < 0.45 * before


@pytest.mark.realdata
def test_depth_needs_a_camera(real_data):
    folder = real_data / "stereo/middlebury_classic/Teddy"
    assert not stereo.Middlebury(folder)[0]["valid"].any()
    sample = check_sample(stereo.Middlebury(folder, focal=900.0, baseline=0.16)[0])
    where = sample["valid"]
    torch.testing.assert_close(sample["depth"][where], 900 * 0.16 / sample["disparity"][where])
    assert sample["T_right_left"][0, 3].item() == pytest.approx(-0.16)
    with pytest.raises(ValueError, match="go together"):
        stereo.Middlebury(folder, focal=900.0)


@pytest.mark.realdata
def test_pair_without_ground_truth(real_data):
    dataset = stereo.Middlebury(real_data / "stereo")
    assert len(dataset) == 5
    aloe = next(sample for sample in dataset if sample["scene"] == "aloe")
    assert not aloe["disparity"].any()


@pytest.mark.realdata
def test_missing_half_and_unknown_scale(real_data, tmp_path):
    source = real_data / "stereo/middlebury_classic/Teddy"
    folder = tmp_path / "Bear"
    folder.mkdir()
    (folder / "img_left.png").write_bytes((source / "img_left.png").read_bytes())
    with pytest.raises(DataError, match=r"img_right.png: missing"):
        stereo.Middlebury(folder)
    for name in ("img_right.png", "disp_gt.png"):
        (folder / name).write_bytes((source / name).read_bytes())
    with pytest.raises(DataError, match=r"scale of its disparity is unknown \(folder Bear\)"):
        stereo.Middlebury(folder)


@pytest.mark.parametrize(("focal", "baseline"), [(0.0, 0.1), (-900.0, 0.1), (900.0, -0.1)])
def test_cameras_that_cannot_be(tmp_path, focal, baseline):
    with pytest.raises(ValueError, match="focal and baseline must be positive"):
        stereo.Middlebury(tmp_path, focal=focal, baseline=baseline)
