"""Each transform is held against the camera: what a sample's K, pose and depth say after it must still be the
same scene."""

import math

import pytest
import torch

from mdepth import geometry
from mdepth.datasets import check_sample, collate
from mdepth.datasets import transforms as t


def points(sample):
    """World-independent check value: the camera points of every valid pixel, (N, 3)."""
    lifted = geometry.backproject(sample["depth"][None], sample["K"][None])[0]
    return lifted[:, sample["valid"][0]].T


@pytest.fixture
def sample(analytic):
    original = analytic(stereo=True)[1]
    normals = geometry.normals_from_depth(original["depth"][None], original["K"][None])[0]
    return {**original, "normals": normals, "instances": (original["depth"] * 3).long()}


def test_resize_by_two_keeps_the_points(sample):
    small = check_sample(t.resize(sample, 20, 28))
    assert small["K"][0, 2].item() == pytest.approx((sample["K"][0, 2].item() + 0.5) / 2 - 0.5)
    wall = sample["depth"] == sample["depth"].max()
    # The far wall is one plane: its points must stay on it although the pixels changed.
    T = sample["T_world_camera"]
    lifted = T[:3, :3] @ points(small).T + T[:3, 3:]
    assert wall.any()
    z = lifted[2]
    assert z.max().item() == pytest.approx(8.0, abs=0.05)
    assert small["instances"].dtype == torch.int64
    assert set(small["depth"].unique().tolist()) <= set(sample["depth"].unique().tolist())  # never averaged


def test_resize_leaves_the_original_alone(sample):
    before = sample["image"].clone()
    t.resize(sample, 10, 14)
    t.color_gain(sample, [0.5, 0.5, 0.5])
    assert torch.equal(sample["image"], before)


def test_sparse_resize_keeps_the_nearest_measurement():
    depth = torch.zeros(1, 4, 4)
    depth[0, 0, 0], depth[0, 1, 1], depth[0, 3, 2] = 5.0, 3.0, 7.0
    item = {"image": torch.zeros(3, 4, 4), "depth": depth, "valid": depth > 0, "K": torch.eye(3)}
    small = t.resize(item, 2, 2, sparse=True)
    assert small["depth"].tolist() == [[[3.0, 0.0], [0.0, 7.0]]]
    assert small["valid"].tolist() == [[[True, False], [False, True]]]


def test_crop_keeps_the_points(sample):
    cut = t.crop(sample, 5, 7, 20, 30)
    torch.testing.assert_close(points(cut), points({**sample, "valid": _window(sample, 5, 7, 20, 30)}))
    with pytest.raises(ValueError, match="leaves the image of 40x56"):
        t.crop(sample, 30, 0, 20, 10)
    assert t.center_crop(sample, 39, 56)["image"].shape == (3, 39, 56)


def _window(sample, top, left, height, width):
    valid = torch.zeros_like(sample["valid"])
    valid[:, top : top + height, left : left + width] = True
    return valid


def test_flip_mirrors_points_normals_and_poses(sample):
    flipped = check_sample(t.hflip(sample))
    mirror = torch.tensor([-1.0, 1.0, 1.0])
    both = geometry.backproject(flipped["depth"][None], flipped["K"][None])[0].flip(-1)
    torch.testing.assert_close(
        both, geometry.backproject(sample["depth"][None], sample["K"][None])[0] * mirror[:, None, None]
    )
    torch.testing.assert_close(flipped["normals"].flip(-1), sample["normals"] * mirror[:, None, None])
    assert flipped["T_right_left"][0, 3] == -sample["T_right_left"][0, 3]
    torch.testing.assert_close(t.hflip(flipped)["K"], sample["K"])
    torch.testing.assert_close(t.hflip(flipped)["T_world_camera"], sample["T_world_camera"])


def test_flipped_frames_still_warp_into_each_other(analytic, photometric):
    """The relative pose of two flipped frames explains their images as well as before."""
    first, second = analytic(size=(96, 128))[0], analytic(size=(96, 128))[1]

    def error(a, b):
        return photometric(a, b, torch.linalg.inv(b["T_world_camera"]) @ a["T_world_camera"])

    plain = error(first, second)
    assert error(t.hflip(first), t.hflip(second)) == pytest.approx(plain, abs=1e-4)
    rolled = error(t.roll(first, 5.0), second)
    assert (
        rolled
        < 2 * plain + 0.01
        < error(t.roll(first, 5.0), {**second, "T_world_camera": first["T_world_camera"]})
    )


def test_flipped_stereo_pair_still_matches(analytic, photometric):
    pair = t.hflip(analytic(size=(96, 128), stereo=True)[0])
    difference = photometric(pair, {**pair, "image": pair["image_right"]}, pair["T_right_left"])
    unmoved = (pair["image_right"] - pair["image"]).abs().mean()
    assert difference < 0.5 * unmoved


def test_zoom_divides_depth_and_keeps_x_and_y(sample):
    near = t.zoom(sample, 1.5)
    assert near["image"].shape == (3, 60, 84)
    assert (near["K"][0, 0], near["K"][1, 1]) == (sample["K"][0, 0], sample["K"][1, 1])
    assert near["K"][:2, 2].tolist() == pytest.approx(((sample["K"][:2, 2] + 0.5) * 1.5 - 0.5).tolist())
    assert near["depth"].max().item() == pytest.approx(sample["depth"].max().item() / 1.5)
    assert "T_world_camera" not in near
    # The corner pixel of the enlarged image looks at a third of a pixel beside the old corner: x and y agree
    # to that.
    old, new = (geometry.backproject(s["depth"][None], s["K"][None])[0] for s in (sample, near))
    step = sample["depth"].max() / sample["K"][0, 0]
    assert (new[:2, 30, 42] - old[:2, 20, 28]).abs().max() < step
    with pytest.raises(ValueError, match="positive"):
        t.zoom(sample, 0.0)


def test_roll_by_a_right_angle_is_exact():
    K = torch.tensor([[2.0, 0.0, 2.0], [0.0, 2.0, 2.0], [0.0, 0.0, 1.0]])
    depth = torch.arange(1.0, 26.0).reshape(1, 5, 5)
    item = {
        "image": depth.expand(3, 5, 5) / 25,
        "depth": depth,
        "valid": depth > 0,
        "K": K,
        "T_world_camera": torch.eye(4),
    }
    turned = t.roll(item, 90.0)
    torch.testing.assert_close(turned["depth"][0], depth[0].rot90(-1))  # clockwise
    torch.testing.assert_close(turned["image"][0], depth[0].rot90(-1) / 25, atol=1e-5, rtol=0)
    # The same point of the world before and after, seen at two pixels.
    before = geometry.backproject(depth[None], K[None])[0][:, 0, 1]
    after = geometry.backproject(turned["depth"][None], K[None])[0][:, 1, 4]
    torch.testing.assert_close(turned["T_world_camera"][:3, :3] @ after, before, atol=1e-5, rtol=1e-5)


def test_roll_marks_what_came_from_outside(sample):
    turned = t.roll(sample, 10.0)
    assert not turned["valid"].all()
    assert (turned["depth"][~turned["valid"]] == 0).all()
    assert "image_right" not in turned
    check_sample(turned)


def test_pixel_positions_follow(sample):
    """A marked pixel and a position that names it stay together."""
    marked = sample["depth"].clone()
    marked[0, 12, 30] = 100.0
    item = {**sample, "depth": marked, "vanishing_point": torch.tensor([30.0, 12.0])}
    for changed in (t.hflip(item), t.crop(item, 3, 7, 30, 40), t.resize(item, 120, 168)):
        u, v = changed["vanishing_point"].tolist()
        assert changed["depth"][0, round(v), round(u)] == 100
    assert t.hflip(item)["vanishing_point"].tolist() == [25, 12]
    assert t.resize(item, 120, 168)["vanishing_point"].tolist() == pytest.approx([91, 37])
    assert "vanishing_point" not in t.roll(item, 3.0)


# ---- colours ----


def test_colour_gain_swap_and_lighting():
    image = torch.tensor([0.2, 0.4, 0.6]).reshape(3, 1, 1)
    item = {"image": image, "image_right": image}
    assert t.color_gain(item, [2.0, 1.0, 2.0])["image"].flatten().tolist() == pytest.approx([0.4, 0.4, 1.0])
    assert t.channel_swap(item, (2, 0, 1))["image_right"].flatten().tolist() == pytest.approx([0.6, 0.2, 0.4])
    lit = t.pca_lighting(item, [0.1, 0.0, 0.0])["image"].flatten()
    assert (lit - image.flatten()).tolist() == pytest.approx(
        [0.1 * 0.2175 * v for v in (-0.5675, -0.5808, -0.5836)], abs=1e-6
    )


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "hue"])
@pytest.mark.parametrize("amount", [-0.3, 0.0, 0.2])
def test_jitter_agrees_with_torchvision(name, amount):
    from torchvision.transforms.v2 import functional as F

    image = torch.rand(3, 8, 9, generator=torch.Generator().manual_seed(1))
    factor = amount if name == "hue" else 1 + amount
    expected = getattr(F, f"adjust_{name}")(image, factor)
    torch.testing.assert_close(
        t.color_jitter({"image": image}, {name: factor})["image"], expected, atol=2e-3, rtol=0
    )


def test_jitter_takes_one_factor_an_image():
    images = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    for name in ("brightness", "contrast", "saturation", "hue"):
        both = t.color_jitter({"image": images}, {name: torch.tensor([0.1, 0.4])})["image"]
        for i, factor in enumerate((0.1, 0.4)):
            torch.testing.assert_close(both[i], t.color_jitter({"image": images[i]}, {name: factor})["image"])
    with pytest.raises(ValueError, match="color_jitter knows"):
        t.color_jitter({"image": images}, {"gamma": 2.0})


def test_unclamped_jitter_may_leave_the_range():
    item = {"image": torch.full((3, 2, 2), 0.8)}
    assert t.color_jitter(item, {"brightness": 2.0}, clamp=False)["image"].max().item() == pytest.approx(1.6)
    assert t.color_jitter(item, {"brightness": 2.0})["image"].max() == 1


# ---- at random ----


EIGEN = t.Augmentation(size=(32, 44), scale=(1.0, 1.5), roll=5.0, gain=(0.8, 1.2), flip=0.5)


def test_augment_is_repeatable_and_differs_between_images(analytic):
    batch = collate([analytic()[0], analytic()[0], analytic()[1]])
    one, two = (t.augment(batch, EIGEN, torch.Generator().manual_seed(3)) for _ in range(2))
    assert one["id"] == batch["id"]
    for key in ("image", "depth", "valid", "K"):
        assert torch.equal(one[key], two[key])
    assert one["image"].shape == (3, 3, 32, 44)
    assert not torch.equal(one["image"][0], one["image"][1])
    assert (one["depth"][~one["valid"]] == 0).all()


def test_augment_without_settings_changes_nothing(analytic):
    batch = collate([analytic()[0], analytic()[3]])
    same = t.augment(batch, t.Augmentation(), torch.Generator())
    assert all(
        torch.equal(same[key], batch[key]) for key in ("image", "depth", "valid", "K", "T_world_camera")
    )


def test_augment_does_not_touch_the_global_generator(analytic):
    state = torch.random.get_rng_state()
    t.augment(collate([analytic()[0]]), EIGEN, torch.Generator().manual_seed(0))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_draws_cover_their_ranges():
    batch = {"image": torch.full((400, 3, 4, 6), 0.5), "depth": torch.ones(400, 1, 4, 6)}
    batch["depth"][..., 0] = 2
    swapped = t.augment(
        batch, t.Augmentation(flip=0.5, gain=(0.8, 1.2), size=(4, 5)), torch.Generator().manual_seed(0)
    )
    flipped = (swapped["depth"][:, 0, 0, -1] == 2).float().mean() + (
        swapped["depth"][:, 0, 0, 0] == 2
    ).float().mean()
    assert 0.4 < flipped < 0.6  # column 0 is in the crop half of the time
    gains = swapped["image"][:, :, 0, 0] / 0.5
    assert 0.8 <= gains.min() < 0.81
    assert 1.19 < gains.max() <= 1.2
    assert math.isclose(gains.mean().item(), 1.0, abs_tol=0.02)


def test_swap_probability_counts_the_identity():
    """One of six orders changes nothing: with probability 1 a change happens 5/6 of the time."""
    image = torch.tensor([0.1, 0.5, 0.9])[None, :, None, None].repeat(600, 1, 1, 1)
    changed = t.augment({"image": image}, t.Augmentation(swap=1.0), torch.Generator().manual_seed(0))["image"]
    share = (changed != image).flatten(1).any(1).float().mean().item()
    assert share == pytest.approx(5 / 6, abs=0.05)


def test_wrong_settings_are_named():
    with pytest.raises(ValueError, match="flip is a probability"):
        t.Augmentation(flip=2.0)
    with pytest.raises(ValueError, match="scale must be"):
        t.Augmentation(scale=(2.0, 1.0))
    with pytest.raises(ValueError, match="leaves the image"):
        t.augment({"image": torch.zeros(1, 3, 4, 4)}, t.Augmentation(size=(8, 8)), torch.Generator())


def test_sparse_resize_carries_over_only_what_is_valid():
    depth = torch.tensor([[[1.0, 5.0], [0.0, 3.0]]])
    valid = torch.tensor([[[False, True], [False, True]]])
    item = {"image": torch.zeros(3, 2, 2), "depth": depth, "valid": valid, "K": torch.eye(3)}
    assert t.resize(item, 1, 1, sparse=True)["depth"].item() == 3.0


def test_sizes_that_differ_are_explained():
    batch = {"image": torch.zeros(4, 3, 20, 20), "depth": torch.ones(4, 1, 20, 20)}
    with pytest.raises(ValueError, match=r"scale=\(1.0, 1.5\) makes images of sizes .*; name a size"):
        t.augment(batch, t.Augmentation(scale=(1.0, 1.5)), torch.Generator().manual_seed(0))


@pytest.mark.parametrize("at", range(9))
def test_sparse_resize_puts_a_measurement_where_its_centre_falls(at):
    """Of three columns to two: the centres 0.5, 1.5, 2.5 fall to 0.33, 1, 1.67."""
    depth = torch.zeros(9)
    depth[at] = 4.0
    item = {"image": torch.zeros(3, 3, 3), "depth": depth.reshape(1, 3, 3), "K": torch.eye(3)}
    row, column = divmod(at, 3)
    assert t.resize(item, 2, 2, sparse=True)["depth"][0].nonzero().tolist() == [
        [[0, 1, 1][row], [0, 1, 1][column]]
    ]


def test_disparity_is_in_pixels_of_the_image_at_hand(sample):
    """Half the columns, half the pixels between the two views, whatever happens to the rows; and a mirror
    image has no disparity to the left.
    """
    disparity = 0.2 * sample["K"][0, 0] / sample["depth"]
    small = t.resize({**sample, "disparity": disparity}, 40, 28)
    torch.testing.assert_close(small["disparity"], 0.2 * small["K"][0, 0] / small["depth"])
    assert "disparity" not in t.hflip({**sample, "disparity": disparity})


def test_normals_turn_with_the_camera(sample):
    turned = t.roll(sample, 30.0)
    numeric = geometry.normals_from_depth(turned["depth"][None], turned["K"][None])[0]
    floor = (numeric.norm(dim=0) > 0) & (turned["normals"].norm(dim=0) > 0) & (numeric[2] > -0.5)
    assert floor.sum() > 200
    assert (numeric * turned["normals"]).sum(0)[floor].median() > 0.99  # unturned: cos 30 degrees


PLANE = torch.nn.functional.normalize(torch.tensor([0.4, -0.7, -0.6]), dim=0)


@pytest.mark.parametrize(
    "change",
    [
        lambda item: item,
        t.hflip,
        lambda item: t.roll(item, 25.0),
        lambda item: t.zoom(item, 1.5),
        lambda item: t.hflip(t.roll(t.zoom(item, 1.3), -15.0)),
    ],
    ids=["nothing", "flip", "roll", "zoom", "all"],
)
def test_normals_of_a_plane_stay_those_of_the_plane(change):
    """The plane through the changed depth, under the changed camera, has the changed normals."""
    K = torch.tensor([[90.0, 0.0, 31.5], [0.0, 90.0, 23.5], [0.0, 0.0, 1.0]])
    rays = geometry.backproject(torch.ones(1, 1, 48, 64), K[None])[0]
    depth = -1.0 / torch.einsum("i,ihw->hw", PLANE, rays)[None]
    normals = PLANE[:, None, None].expand(3, 48, 64)
    plain = {"image": torch.zeros(3, 48, 64), "depth": depth, "valid": depth > 0, "normals": normals, "K": K}
    item = change(plain)
    seen, found = points(item), item["normals"][:, item["valid"][0]].T
    assert len(seen) > 1500
    torch.testing.assert_close(found.norm(dim=1), torch.ones(len(found)))
    assert (found - found[0]).abs().max() < 1e-5
    fitted = torch.linalg.svd(seen - seen.mean(dim=0), full_matrices=False).Vh[2]
    towards = fitted * -torch.sign(fitted @ seen[0])  # a normal faces the camera
    assert torch.rad2deg(torch.acos((towards @ found[0]).clamp(max=1))) < 0.5


def test_labels_are_never_mixed():
    """Labels move as depth does; what comes in from outside is 0 and not valid."""
    labels = torch.where(torch.arange(64) < 32, 2, 5).expand(1, 48, 64)
    depth = labels.float()  # whatever happens to the one must happen to the other
    item = {"image": torch.zeros(3, 48, 64), "depth": depth, "valid": depth > 0, "labels": labels}
    item["K"] = torch.tensor([[90.0, 0.0, 31.5], [0.0, 90.0, 23.5], [0.0, 0.0, 1.0]])
    for changed in (t.roll(item, 20.0), t.hflip(item), t.resize(item, 31, 43), t.crop(item, 3, 5, 20, 30)):
        assert changed["labels"].dtype == torch.int64
        assert torch.equal(changed["labels"].float(), changed["depth"])
        assert set(changed["labels"][changed["valid"]].tolist()) == {2, 5}


def test_shrinking_takes_depth_at_the_centre_and_colour_from_all_over():
    """Three pixels to one: the middle one's depth, the mean colour."""
    image = torch.zeros(3, 3, 9)
    image[:, :, ::3] = 0.9
    depth = torch.arange(1.0, 28.0).reshape(1, 3, 9)
    small = t.resize({"image": image, "depth": depth, "K": torch.eye(3)}, 1, 3)
    assert small["depth"].flatten().tolist() == [11, 14, 17]
    assert small["image"].mean().item() == pytest.approx(0.3, abs=0.03)
    assert small["image"].min() > 0.15
