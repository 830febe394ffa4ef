"""Crops, ranges, alignment, flips and resizing: every step of a protocol, against hand-computed values."""

import dataclasses
import json
import math

import pytest
import torch

from mdepth.evaluate import CROPS, PROTOCOLS, Crop, Protocol, blend_flips, get_protocol
from mdepth.image import resize

# --- crops


@pytest.mark.parametrize(
    ("name", "box", "size"),
    [
        ("toolbox", (44, 471, 40, 601), (427, 561)),
        ("eigen-today", (45, 471, 41, 601), (426, 560)),
        ("gupta", (45, 470, 40, 600), (425, 560)),
        ("eigen-nyu", (20, 460, 24, 616), (440, 592)),
        ("bts-train", (45, 472, 43, 608), (427, 565)),
    ],
)
def test_the_five_nyu_crops(name, box, size):
    assert CROPS[name].box(480, 640) == box
    assert (box[1] - box[0], box[3] - box[2]) == size


def test_kitti_crops_are_truncated_fractions():
    assert CROPS["garg"].box(375, 1242) == (153, 371, 44, 1197)
    assert CROPS["eigen-kitti"].box(375, 1242) == (124, 342, 44, 1197)
    top, bottom, left, right = CROPS["eigen-kitti"].box(370, 1224)
    assert (bottom - top, right) == (215, 1180)
    assert (top, left) == (122, 43)  # 122.99998 and 43.99998: truncation loses a row and gains a column


def test_pixel_crops_scale_with_images_of_the_same_shape_only():
    assert CROPS["eigen-nyu"].box(240, 320) == (10, 230, 12, 308)
    assert CROPS["eigen-nyu"].box(96, 128) == (4, 92, 5, 123)
    with pytest.raises(ValueError, match="480 x 640"):
        CROPS["eigen-nyu"].box(375, 1242)


def test_crops_say_what_they_are():
    assert str(CROPS["eigen-today"]) == "rows 45:471, columns 41:601, pixels of 480 x 640"
    assert "0.408108:0.991892" in str(CROPS["garg"])


# --- the table of protocols


def test_every_protocol_describes_itself_in_json():
    for name, protocol in PROTOCOLS.items():
        assert protocol.name == name
        assert protocol.source
        described = json.loads(json.dumps(protocol.describe(), allow_nan=False))
        assert described["name"] == name
        assert described["max_depth"] == ("inf" if math.isinf(protocol.max_depth) else protocol.max_depth)


def test_get_protocol():
    assert get_protocol("worlds") is PROTOCOLS["worlds"]
    mine = Protocol("mine", "here")
    assert get_protocol(mine) is mine
    with pytest.raises(ValueError, match=r"no protocol named 'eigen'.*eigen-nyu"):
        get_protocol("eigen")


#: Typed again from what the sources do: crop, range of targets, clamp, alignment and factor, average, flips,
#: what is resized and how; then (image size, first row and column) of what the network is shown.
GARG_80 = ("garg", (1e-3, 80.0), (1e-3, 80.0))
INVERSE = "inverse_depth bilinear"
HALVED = ((240, 320), (6, 234, 8, 312))
BAND = (None, (710, 1562, 0, 1704))
ANY, WHOLE = (0.0, math.inf), (None, None)
SOURCES = {
    "worlds": (None, ANY, (1e-3, 80.0), "none", 1.0, "per_image", "none", "depth bilinear", WHOLE),
    "worlds-median": (None, ANY, (1e-3, 80.0), "median", 1.0, "per_image", "none", "depth bilinear", WHOLE),
    "eigen-nyu": ("eigen-nyu", ANY, None, "none", 1.0, "pooled", "none", "depth nearest", WHOLE),
    "eigen-kitti": ("eigen-kitti", ANY, None, "none", 1.0, "pooled", "none", "depth nearest", WHOLE),
    "eigen-fergus-nyu": ("toolbox", ANY, None, "none", 1.0, "pooled", "none", "depth bilinear", WHOLE),
    "laina-nyu": (None, ANY, None, "none", 1.0, "pooled", "none", "depth bilinear", WHOLE),
    "make3d": (None, (0.0, 70.0), None, "none", 1.0, "pooled", "none", "depth bilinear", WHOLE),
    "make3d-c2": (None, ANY, None, "none", 1.0, "pooled", "none", "depth bilinear", WHOLE),
    "densedepth-nyu": (
        "eigen-nyu", ANY, (0.1, 10.0), "none", 1.0, "pooled", "each mean", "depth bilinear", WHOLE
    ),
    "densedepth-nyu-per-image": (
        "eigen-nyu", ANY, (0.1, 10.0), "none", 1.0, "per_image", "each mean", "depth bilinear", WHOLE
    ),
    "hu-nyu": (None, ANY, None, "none", 1.0, "pooled", "none", "depth bilinear corners", HALVED),
    "sparse-to-dense-nyu": (None, ANY, None, "none", 1.0, "per_image", "none", "depth bilinear", HALVED),
    "bts-nyu": (
        "eigen-today", (1e-3, 10.0), (1e-3, 10.0), "none", 1.0, "per_image", "none", "depth bilinear", WHOLE
    ),
    "adabins-nyu": (
        "eigen-today", (1e-3, 10.0), (1e-3, 10.0), "none", 1.0, "per_image", "each mean", "depth bilinear",
        WHOLE,
    ),
    "monodepth-kitti": (*GARG_80, "none", 1.0, "per_image", "none", INVERSE, WHOLE),
    "monodepth2-kitti": (*GARG_80, "median", 1.0, "per_image", "none", INVERSE, WHOLE),
    "monodepth2-kitti-stereo": (*GARG_80, "none", 5.4, "per_image", "none", INVERSE, WHOLE),
    "monodepth2-kitti-pp": (*GARG_80, "median", 1.0, "per_image", "ramp", INVERSE, WHOLE),
    "monodepth2-kitti-stereo-pp": (*GARG_80, "none", 5.4, "per_image", "ramp", INVERSE, WHOLE),
    "monodepth2-kitti-benchmark": (
        None, ANY, (1e-3, 80.0), "median", 1.0, "per_image", "none", INVERSE, WHOLE
    ),
    "monodepth2-kitti-benchmark-stereo": (
        None, ANY, (1e-3, 80.0), "none", 5.4, "per_image", "none", INVERSE, WHOLE
    ),
    "monodepth2-make3d": (
        None, (0.0, 70.0), (1e-3, 70.0), "median", 1.0, "per_image", "none", "depth nearest", BAND
    ),
    "monodepth2-make3d-stereo": (
        None, (0.0, 70.0), (1e-3, 70.0), "none", 5.4, "per_image", "none", "depth nearest", BAND
    ),
    "kitti-benchmark": (None, ANY, None, "none", 1.0, "per_image", "none", "depth bilinear", WHOLE),
}  # fmt: skip


def test_every_protocol_has_its_source() -> None:
    assert set(SOURCES) == set(PROTOCOLS)


@pytest.mark.parametrize("name", SOURCES)
def test_every_step_of_every_protocol(name):
    p = PROTOCOLS[name]
    crops = {crop: key for key, crop in CROPS.items()} | {None: None}
    band = p.view_crop and p.view_crop.box(*(p.view_size or (2272, 1704)))
    assert SOURCES[name] == (
        crops[p.crop], (p.min_depth, p.max_depth), p.clamp, p.alignment, p.factor, p.averaging,
        "each " * p.clamp_each + p.flip, f"{p.resize_as} {p.resize_mode}" + " corners" * p.align_corners,
        (p.view_size, band),
    )  # fmt: skip


# --- views and masks


def test_hus_view_is_the_centre_of_the_halved_image():
    protocol = PROTOCOLS["hu-nyu"]
    rows = torch.arange(480.0).reshape(1, 1, 480, 1).expand(1, 1, 480, 640)
    target, valid = protocol.view_of_depth(rows, rows >= 0)
    assert target.shape == valid.shape == (1, 1, 228, 304)
    assert target[0, 0, 0, 0] == 13  # row 6 of 240 stands on 12.5 to 13: the nearest centre, rounded up
    image = protocol.view_of_image((rows / 480).expand(1, 3, 480, 640))
    assert image.shape == (1, 3, 228, 304)
    assert image[0, 0, 0, 0].item() == pytest.approx(12.5 / 480)
    line = torch.zeros(1, 3, 480, 640)
    line[..., 99] = 1.0  # anti-aliased, a column goes into two of the halved image, otherwise into one
    assert (protocol.view_of_image(line)[0, 0, 0] > 0).sum() == 2


def test_a_view_invents_no_depth(generator):
    depth = torch.randint(0, 3, (1, 1, 480, 640), generator=generator).float()
    target, valid = PROTOCOLS["hu-nyu"].view_of_depth(depth, depth > 0)
    assert set(target.unique().tolist()) == {0.0, 1.0, 2.0}
    assert torch.equal(valid, target > 0)


def test_monodepth2_make3d_shows_the_central_band():
    image = torch.arange(2272.0).reshape(1, 1, 2272, 1).expand(1, 3, 2272, 1704)
    for name in ("monodepth2-make3d", "monodepth2-make3d-stereo"):
        view = PROTOCOLS[name].view_of_image(image)
        assert view.shape == (1, 3, 852, 1704)
        assert (view[..., 0, 0].unique().item(), view[..., -1, 0].unique().item()) == (710, 1561)
        with pytest.raises(ValueError, match="2272 x 1704"):  # a photograph that was cropped already
            PROTOCOLS[name].view_of_image(view)


def test_scored_pixels_are_valid_in_range_and_inside():
    target = 5 + torch.arange(480 * 640).reshape(1, 480, 640) / 1e6  # every pixel is known by its value
    valid = torch.ones_like(target, dtype=torch.bool)
    valid[0, 100, 100] = False
    target[0, 101, 101], target[0, 102, 102], target[0, 103, 103] = 10.0, 9.999, 0.0
    bts = PROTOCOLS["bts-nyu"]
    inside = bts.inside(valid[None])[0]
    assert inside.sum() == 426 * 560 - 1
    prediction, truth = bts.scored_pixels(2 * target, target, inside)
    assert torch.equal(prediction, 2 * truth)
    assert len(truth) == 426 * 560 - 3  # not valid; 10 m is not below 10 m; missing
    expected = torch.zeros_like(valid)
    expected[0, 45:471, 41:601] = True
    expected &= valid & (target > 1e-3) & (target < 10)
    assert torch.equal(truth, target[expected])
    everything = PROTOCOLS["laina-nyu"]
    assert (
        len(everything.scored_pixels(target, target, everything.inside(valid[None])[0])[0]) == 480 * 640 - 2
    )


def test_c1_ends_strictly_below_70_metres_and_c2_with_the_laser():
    target = torch.tensor([[[0.0, 3.0, 69.99, 70.0, 70.01, 81.0]]])
    counted = {}
    for name in ("make3d", "make3d-c2"):
        found, truth = PROTOCOLS[name].scored_pixels(target + 1, target, target >= 0)
        assert torch.equal(found, truth + 1)
        counted[name] = truth
    assert torch.equal(counted["make3d"], target[0, 0, 1:3])
    assert torch.equal(counted["make3d-c2"], target[0, 0, 1:])  # 0 is no measurement


# --- alignment


def test_median_scaling_comes_before_the_clamp():
    protocol = PROTOCOLS["monodepth2-kitti"]
    prediction, target = torch.tensor([1.0, 2.0, 30.0]), torch.tensor([4.0, 6.0, 70.0])
    aligned, factor = protocol.align(prediction, target)
    assert factor == 3.0
    assert aligned.tolist() == [3.0, 6.0, 80.0]  # 90 clamped; clamping first would change nothing below 80


def test_stereo_multiplies_by_a_constant():
    aligned, factor = PROTOCOLS["monodepth2-kitti-stereo"].align(torch.tensor([1.0, 20.0]), torch.ones(2))
    assert factor == 5.4
    assert aligned.tolist() == pytest.approx([5.4, 80.0])


def test_log_mean_alignment_minimises_the_log_error(generator):
    """Eigen's oracle: with the true mean log depth, the log RMSE becomes the scale-invariant error."""
    target = 1 + torch.rand(50, generator=generator, dtype=torch.float64)
    prediction = 3 * target * torch.exp(0.1 * torch.randn(50, generator=generator, dtype=torch.float64))
    oracle = dataclasses.replace(PROTOCOLS["eigen-nyu"], alignment="log-mean")
    aligned, _ = oracle.align(prediction, target)
    error = (aligned / target).log()
    assert error.mean().item() == pytest.approx(0, abs=1e-12)
    before = (prediction / target).log()
    assert error.square().mean().item() == pytest.approx(before.var(correction=0).item())


def test_no_alignment_changes_nothing():
    prediction = torch.tensor([1.0, 200.0])
    aligned, factor = PROTOCOLS["laina-nyu"].align(prediction, torch.ones(2))
    assert aligned is prediction
    assert factor == 1.0


def test_an_image_without_pixels_or_with_a_zero_median():
    aligned, factor = PROTOCOLS["monodepth2-kitti"].align(torch.ones(0), torch.ones(0))
    assert len(aligned) == 0
    assert math.isnan(factor)
    with pytest.raises(ValueError, match="median is 0"):
        PROTOCOLS["monodepth2-kitti"].align(torch.zeros(3), torch.ones(3))


def test_a_negative_median_is_no_scale():
    """The factor would be negative and turn depths behind the camera into perfect ones."""
    target = torch.tensor([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="median is -2"):
        PROTOCOLS["monodepth2-kitti"].align(-target, target)


# --- merging and resizing


def test_post_processing_reproduces_the_published_numbers():
    blended = blend_flips(torch.ones(1, 1, 1, 41), torch.full((1, 1, 1, 41), 2.0)).flatten()
    assert blended[:5].tolist() == pytest.approx([2, 2, 2, 1.75, 1.5], abs=1e-5)
    assert blended[5:36].tolist() == pytest.approx([1.5] * 31, abs=1e-5)
    assert blended[36:].tolist() == pytest.approx([1.5, 1.25, 1, 1, 1], abs=1e-5)


def test_mean_of_flips_mirrors_the_mirrored_prediction_back():
    protocol = dataclasses.replace(PROTOCOLS["densedepth-nyu"], clamp_each=False)
    depth = torch.tensor([1.0, 2.0, 3.0]).reshape(1, 1, 1, 3)
    assert torch.equal(protocol.complete(depth, depth.flip(-1), 1, 3), depth)
    merged = protocol.complete(depth, depth, 1, 3)
    assert merged.flatten().tolist() == [2.0, 2.0, 2.0]


def test_clamping_each_flip_is_not_clamping_their_mean():
    depth = torch.tensor([40.0, 40.0]).reshape(1, 1, 1, 2)
    other = torch.tensor([2.0, 2.0]).reshape(1, 1, 1, 2)
    each = PROTOCOLS["adabins-nyu"].complete(depth, other, 1, 2)
    assert each.flatten().tolist() == [6.0, 6.0]  # (10 + 2) / 2
    late = dataclasses.replace(PROTOCOLS["adabins-nyu"], clamp_each=False).complete(depth, other, 1, 2)
    assert late.flatten().tolist() == [21.0, 21.0]


def test_resizing_inverse_depth_is_not_resizing_depth():
    depth = torch.tensor([1.0, 4.0]).reshape(1, 1, 1, 2)
    as_depth = PROTOCOLS["laina-nyu"].complete(depth, None, 1, 4).flatten()
    as_inverse = PROTOCOLS["monodepth2-kitti"].complete(depth, None, 1, 4).flatten()
    assert as_depth.tolist() == pytest.approx([1, 1.75, 3.25, 4])
    expected = [1, 1 / (0.75 + 0.25 / 4), 1 / (0.25 + 0.75 / 4), 4]
    assert as_inverse.tolist() == pytest.approx(expected)


def test_resize_rules_of_eigen_and_hu(generator):
    depth = 1 + torch.rand(1, 1, 3, 4, generator=generator)
    eigen = PROTOCOLS["eigen-nyu"].complete(depth, None, 6, 8)
    assert torch.equal(eigen, depth.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3))
    hu = PROTOCOLS["hu-nyu"].complete(depth, None, 6, 8)
    assert torch.equal(hu, resize(depth, (6, 8), align_corners=True))
    torch.testing.assert_close(hu[..., 0, 0], depth[..., 0, 0])


def test_bad_numbers_are_not_blended_away():
    """A NaN or a zero must still be seen after resizing inverse depth, not vanish into its neighbours."""
    depth = torch.tensor([2.0, math.nan, 2.0, 0.0]).reshape(1, 1, 1, 4)
    complete = PROTOCOLS["monodepth2-kitti"].complete(depth, None, 1, 4).flatten()
    assert math.isnan(complete[1])
    assert complete[3] == 0


def test_crops_by_fraction_of_a_custom_protocol():
    half = Protocol("half", "here", crop=Crop((0.5, 1), (0, 1)))
    assert half.inside(torch.ones(1, 1, 4, 4, dtype=torch.bool))[0, 0].sum(dim=1).tolist() == [0, 0, 4, 4]
