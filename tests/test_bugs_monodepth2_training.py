"""The known bugs around the loss without labels: each is wrong as its docstring says, and by how much."""

import warnings
from collections.abc import Sequence
from copy import deepcopy
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from mdepth_bugs.monodepth2_training import (
    adam_of_file,
    first_slot_for_all,
    flipped_without_baseline,
    flipped_without_camera,
    imagenet_input,
    jittered_one_by_one,
    judged_as_seen,
    normalised_by_the_resized,
    not_inverted,
    rates,
    released_camera,
    rotation_with_epsilon,
    scaled_without_half_pixel,
    target_first,
    zero_padded,
)
from torch import nn

from mdepth.datasets import kitti
from mdepth.datasets.transforms import color_jitter, hflip
from mdepth.datasets.worlds import World, load
from mdepth.geometry import (
    backproject,
    invert_transform,
    project,
    relative_transform,
    rotation_from_axis_angle,
    scale_intrinsics,
    scale_translation,
    transform_from_axis_angle,
    transform_points,
)
from mdepth.image import resize
from mdepth.models.monodepth2 import RESNET18, Monodepth2
from mdepth.models.monodepth2_motion import PoseCNN, PoseNetwork
from mdepth.reprojection import photometric_error, still_errors, warped_errors

KITTI_K = torch.tensor([[[721.5377, 0.0, 609.5593], [0.0, 721.5377, 172.854], [0.0, 0.0, 1.0]]])
KITTI_SIZE = (375, 1242)


@pytest.fixture(scope="module")
def frames() -> list[dict[str, torch.Tensor]]:
    """Three frames of a street on which the camera drives, with the right eye."""
    data = load(World("roads", "val", scenes=2, frames=3, stereo=True))
    return [data.batch([3 + k]) for k in range(3)]


@pytest.fixture(scope="module")
def street(frames: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """The arguments of ``warped_errors`` for the middle frame."""
    before, target, behind = frames
    poses = [
        relative_transform(each["T_world_camera"], target["T_world_camera"]) for each in (before, behind)
    ]
    return {
        "depth": torch.where(target["valid"], target["depth"], 1e4),
        "target": target["image"],
        "sources": torch.stack([before["image"], behind["image"]], dim=1),
        "K": target["K"],
        "T_source_target": torch.stack(poses, dim=1),
    }


def means(errors: torch.Tensor) -> list[float]:
    """One a source."""
    return errors.mean(dim=(0, 2, 3)).tolist()


# --- motion


class Sees(PoseNetwork):
    """A pose network that sees when one-coloured frames were taken: the camera drives 1 a second."""

    def numbers(self, views: Sequence[torch.Tensor]) -> torch.Tensor:
        first, second = (view.mean().item() for view in views)
        return torch.tensor([[[0.0, 0.0, 0.0, 0.0, 0.0, first - second]]])


@pytest.mark.parametrize("wrong", [not_inverted, target_first])
def test_the_earlier_frame_is_warped_the_wrong_way(wrong: Any) -> None:
    target, *neighbours = (torch.full((1, 3, 2, 2), second) for second in (5.0, 4.0, 6.0))
    right, found = Sees()(target, neighbours), wrong(Sees(), target, neighbours)
    assert right[0, :, 2, 3].tolist() == [1, -1]  # seen from behind all is farther, from ahead nearer
    assert found[0, :, 2, 3].tolist() == [-1, -1]
    assert torch.equal(found[:, 0], invert_transform(right[:, 0]))


def test_the_wrong_way_explains_less_than_no_way(street: dict[str, torch.Tensor]) -> None:
    T = street["T_source_target"]
    wrong = torch.stack([invert_transform(T[:, 0]), T[:, 1]], dim=1)
    right = means(warped_errors(**street))
    assert right == pytest.approx([0.045, 0.050], abs=0.003)
    assert means(still_errors(street["target"], street["sources"])) == pytest.approx(
        [0.096, 0.107], abs=0.003
    )
    found = means(warped_errors(**(street | {"T_source_target": wrong})))
    assert found == pytest.approx([0.126, right[1]], abs=0.003)


def test_forward_and_backward_then_cost_nearly_the_same(street: dict[str, torch.Tensor]) -> None:
    costs = {}
    for speed in (-1.0, 1.0):
        T = scale_translation(street["T_source_target"], torch.full((1, 2), speed))
        swapped = torch.stack([invert_transform(T[:, 0]), T[:, 1]], dim=1)
        for name, motions in (("right", T), ("wrong", swapped)):
            costs[name, speed] = warped_errors(**(street | {"T_source_target": motions})).mean().item()
    assert costs["right", -1.0] > 2.5 * costs["right", 1.0]
    assert costs["wrong", -1.0] == pytest.approx(costs["wrong", 1.0], rel=0.1)


def test_one_slot_for_all_leaves_the_other_unheard() -> None:
    torch.manual_seed(0)
    pose = PoseCNN(shown="all", widths=(4, 4, 8, 8, 8, 8, 8))
    target, *neighbours = torch.rand(3, 1, 3, 64, 64)
    slopes = []
    for motions in (pose(target, neighbours), first_slot_for_all(pose, target, neighbours)):
        pose.zero_grad()
        motions[..., :3, :].square().sum().backward()
        slopes.append(pose.answer.weight.grad.flatten(1).abs().amax(dim=1) > 0)
    assert [int(each.sum()) for each in slopes] == [12, 6]
    wrong = first_slot_for_all(pose, target, neighbours)
    assert torch.allclose(
        wrong[:, 1], pose(target, neighbours)[:, 0]
    )  # the first slot is the earlier frame's
    assert torch.allclose(wrong[:, 0], invert_transform(wrong[:, 1]), atol=1e-7)


def test_a_small_constant_costs_the_gradient_at_rest() -> None:
    v = torch.tensor([[0.02, -0.05, 0.01]], dtype=torch.float64)
    R, wrong = rotation_from_axis_angle(v), rotation_with_epsilon(v)
    assert (R @ R.mT - torch.eye(3)).abs().max() < 1e-15
    assert 1e-9 < (wrong @ wrong.mT - torch.eye(3)).abs().max() < 1e-7
    assert (wrong - R).abs().max() < 2e-7
    slopes = []
    for rotation in (rotation_from_axis_angle, rotation_with_epsilon):
        still = torch.zeros(1, 3, requires_grad=True)
        slopes += torch.autograd.grad(rotation(still)[0, 2, 1], still)
        assert torch.equal(rotation(still)[0], torch.eye(3))
    assert [slope.tolist() for slope in slopes] == [[[1, 0, 0]], [[0, 0, 0]]]


# --- cameras


@pytest.mark.parametrize(("factor", "off"), [(2, 0.25), (4, 0.375), (8, 0.4375)])
def test_without_the_half_pixel_everything_streams_from_the_wrong_place(factor: int, off: float) -> None:
    K = torch.tensor([[[371.2, 0.0, 319.5], [0.0, 368.6, 95.5], [0.0, 0.0, 1.0]]])
    small = 192 // factor, 640 // factor
    right = scale_intrinsics(K, (192, 640), small)
    wrong = scaled_without_half_pixel(K, (192, 640), small)
    assert torch.allclose((wrong - right)[0, :2, 2], torch.tensor(off))
    assert torch.allclose((wrong - right)[0, :, :2], torch.zeros(3, 2))
    depth, moved = torch.full((1, 1, *small), 4.0), {}
    for name, shift in (("sideways", (1.0, 0.0, 0.0)), ("forward", (0.0, 0.0, -2.0))):
        T = transform_from_axis_angle(torch.zeros(1, 3), torch.tensor([shift]))
        seen = [project(transform_points(T, backproject(depth, each)), each)[0] for each in (right, wrong)]
        moved[name] = seen[1] - seen[0]
    assert moved["sideways"].abs().max() < 1e-3
    assert torch.allclose(moved["forward"], torch.tensor(-off), atol=1e-3)  # at twice the size, 4 m of 2


def test_one_camera_for_all_drives_is_centred_elsewhere() -> None:
    released = released_camera(*KITTI_SIZE)
    focal = (released / KITTI_K)[0, [0, 1], [0, 1]]
    assert focal.tolist() == pytest.approx([0.9984, 0.9979], abs=1e-4)
    assert (released - KITTI_K)[0, :2, 2].tolist() == pytest.approx([11.44, 14.65], abs=0.01)
    others = {(370, 1224): 707.0493, (374, 1238): 718.3351, (376, 1241): 718.856}
    for size, true_focal in others.items():
        assert (released_camera(*size)[0, [0, 1], [0, 1]] / true_focal - 1).abs().max() < 0.006
    assert released_camera(192, 640)[0, 0, 2].item() - (640 - 1) / 2 == 0.5


@pytest.mark.realdata
def test_the_calibration_of_a_real_drive(real_data: Any) -> None:
    calibration = kitti.read_calibration(real_data / "kitti/raw/2011_09_26")
    np.testing.assert_allclose(calibration.K(2), KITTI_K[0].numpy(), atol=1e-3)
    assert calibration.size[2] == KITTI_SIZE


def test_a_camera_normalised_by_the_new_size_is_the_old_one(frames: list, street: dict) -> None:
    small = normalised_by_the_resized(KITTI_K, KITTI_SIZE, (192, 640))
    assert torch.allclose(small, KITTI_K)
    assert (small / scale_intrinsics(KITTI_K, KITTI_SIZE, (192, 640)))[0, 0, 0].item() == pytest.approx(
        1.94, abs=0.01
    )
    target = frames[1]
    K = target["K"] * torch.tensor([2.0, 2.0, 1.0])[:, None]  # as if the image had been twice as large
    right, wrong = (
        scale_intrinsics(K, (128, 384), (64, 192)),
        normalised_by_the_resized(K, (128, 384), (64, 192)),
    )
    wrong[:, :2, 2] = right[:, :2, 2]  # the focal length alone
    pair = target["image_right"][:, None], target["T_right_left"][:, None]
    costs = {}
    for factor in (1.0, 1.5, 2.0, 2.5):
        for name, camera in (("right", right), ("wrong", wrong)):
            errors = warped_errors(factor * street["depth"], street["target"], pair[0], camera, pair[1])
            costs[name, factor] = errors.mean().item()
    assert min((cost, key) for key, cost in costs.items() if key[0] == "right")[1] == ("right", 1.0)
    assert min((cost, key) for key, cost in costs.items() if key[0] == "wrong")[1] == ("wrong", 2.0)
    assert costs["wrong", 1.0] > 3 * costs["wrong", 2.0]


# --- images


def test_a_mirrored_scene_needs_a_mirrored_camera() -> None:
    item = {"image": torch.rand(1, 3, *KITTI_SIZE), "K": KITTI_K}
    right, wrong = hflip(item), flipped_without_camera(item)
    assert torch.equal(right["image"], wrong["image"])
    assert (wrong["K"] - right["K"])[0, 0, 2].item() == pytest.approx(-21.88, abs=0.01)
    at_the_right, at_the_left = (torch.tensor([x, 0.0, 10.0]).view(1, 3, 1, 1) for x in (1.0, -1.0))
    before, _ = project(at_the_right, KITTI_K)
    seen = [project(at_the_left, each["K"])[0][0, 0].item() for each in (right, wrong)]
    assert seen[0] == pytest.approx(1241 - before[0, 0].item(), abs=1e-3)
    assert seen[1] == pytest.approx(seen[0] - 21.88, abs=0.01)
    centred = {"image": item["image"], "K": torch.tensor([[[700.0, 0, 620.5], [0, 700.0, 187], [0, 0, 1]]])}
    assert torch.equal(hflip(centred)["K"], flipped_without_camera(centred)["K"])


def test_a_mirrored_pair_has_its_right_eye_on_the_left(frames: list) -> None:
    costs: dict[str, list[float]] = {}
    for name, flip in (("right", hflip), ("wrong", flipped_without_baseline)):
        item = flip(frames[1])
        depth = torch.where(item["valid"], item["depth"], 1e4)
        arguments = item["image"], item["image_right"][:, None], item["K"], item["T_right_left"][:, None]
        costs[name] = [warped_errors(f * depth, *arguments).mean().item() for f in (1, 2, 4, 16, 1000)]
    assert costs["right"][0] == min(costs["right"])
    assert costs["wrong"] == sorted(costs["wrong"], reverse=True)
    assert costs["wrong"][0] > 4 * costs["right"][0]


def jittered(items: int, flicker: bool) -> float:
    """The mean photometric error between the frames that networks see of a camera at rest."""
    errors = []
    for seed in range(items):
        torch.manual_seed(seed)
        image = resize(torch.rand(1, 3, 6, 8), (24, 32))[0]
        item = {"image": image, "neighbours": image.expand(2, 3, 24, 32)}
        if flicker:
            item = jittered_one_by_one(item)
        else:
            drawn = (0.4 * torch.rand(3) + 0.8).tolist()
            factors = dict(zip(("brightness", "contrast", "saturation"), drawn, strict=True)) | {"hue": 0.05}
            changed = color_jitter(item, factors)
            item |= {"augmented": changed["image"], "augmented_neighbours": changed["neighbours"]}
        seen = item["augmented"].expand(2, 3, 24, 32)
        errors.append(photometric_error(seen, item["augmented_neighbours"]).mean().item())
    return sum(errors) / items


def test_a_jitter_object_draws_for_every_frame(street: dict[str, torch.Tensor]) -> None:
    assert jittered(20, flicker=False) < 1e-6
    assert jittered(20, flicker=True) > 0.01
    image, driving = street["target"][0], still_errors(street["target"], street["sources"]).mean().item()
    item, found = {"image": image, "neighbours": image.expand(2, *image.shape)}, []
    for seed in range(20):
        torch.manual_seed(seed)
        seen = jittered_one_by_one(item)
        pair = seen["augmented"].expand_as(seen["augmented_neighbours"]), seen["augmented_neighbours"]
        found.append(photometric_error(*pair).mean().item())
    assert 0.2 < sum(found) / 20 / driving < 0.5
    assert torch.equal(seen["image"], image)


def test_what_the_networks_see_is_not_what_they_are_judged_by(street: dict[str, torch.Tensor]) -> None:
    target, sources = street["target"], street["sources"]
    arguments = {name: value for name, value in street.items() if name not in ("target", "sources")}
    item = {"image": target, "neighbours": sources}

    def cost(item: dict[str, torch.Tensor], alpha: float = 0.0) -> float:
        wrong = judged_as_seen(item)
        errors = warped_errors(target=wrong["image"], sources=wrong["neighbours"], alpha=alpha, **arguments)
        return errors.mean().item()

    right = warped_errors(**street, alpha=0.0).mean().item()
    for factor in (0.8, 0.64):
        dark = item | {"augmented": factor * target, "augmented_neighbours": factor * sources}
        assert cost(dark) == pytest.approx(factor * right, rel=1e-4)
    costs = []
    for seed in range(10):
        torch.manual_seed(seed)
        seen = jittered_one_by_one({"image": target[0], "neighbours": sources[0]})
        flickering = {name: seen[name][None] for name in ("augmented", "augmented_neighbours")}
        costs.append(cost(item | flickering, 0.85))
    assert 1.3 < sum(costs) / 10 / warped_errors(**street).mean().item() < 1.9


def test_what_is_above_white_teaches_nothing() -> None:
    bright = 0.85 + 0.1 * torch.rand(1, 3, 12, 16, generator=torch.Generator().manual_seed(0))
    item = color_jitter({"image": bright}, {"brightness": 1.2})
    assert photometric_error(bright, bright.roll(1, -1)).mean() > 0.2
    seen = judged_as_seen(
        {"image": bright, "augmented": item["image"], "augmented_neighbours": item["image"]}
    )
    assert photometric_error(seen["image"], seen["image"].roll(1, -1)).max() < 1e-6


# --- networks and training


def network() -> Monodepth2:
    torch.manual_seed(0)
    return Monodepth2((64, 96), partial(RESNET18, width=8), (4, 4, 8, 8, 16)).eval()


@pytest.mark.parametrize("bug", [zero_padded, imagenet_input])
def test_a_wrong_copy_holds_the_same_weights_and_the_network_is_as_it_was(bug: Any) -> None:
    right = network()
    before, image = deepcopy(right.state_dict()), torch.rand(1, 3, 64, 96)
    expected = right.predict(image)
    wrong = bug(right)
    wrong.load_state_dict(before)
    assert not torch.allclose(wrong.predict(image), expected, rtol=1e-3)
    assert torch.equal(right.predict(image), expected)


def test_zeros_bend_a_map_at_its_border() -> None:
    right = network()
    wrong = zero_padded(right)
    strides = zip(right.decoder.channels, (2, 4, 8, 16, 32), strict=True)
    maps = [torch.randn(1, c, 64 // s, 1).expand(-1, -1, -1, 96 // s) for c, s in strides]  # even rows
    for found, bent in zip(*(each.decoder(maps, (64, 96)) for each in (right, wrong)), strict=True):
        assert (found - found[..., :1]).abs().max() < 1e-5
        assert (bent - bent[..., :1]).abs().max() > 1e-3


def test_grey_in_imagenets_eyes_has_too_little_red_and_too_much_blue() -> None:
    grey = torch.full((1, 3, 1, 1), 0.45)
    assert network().normalise(grey).abs().max() < 1e-6
    red, green, blue = imagenet_input(network()).normalise(grey).flatten().tolist()
    assert (red, green, blue) == pytest.approx((-0.153, -0.027, 0.196), abs=1e-3)


def test_a_scheduler_stepped_first_takes_an_epoch_from_the_first_rate() -> None:
    wrong, right = rates(stepped_first=True), rates(stepped_first=False)
    assert wrong == pytest.approx([1e-4] * 14 + [1e-5] * 6)
    assert right == pytest.approx([1e-4] * 15 + [1e-5] * 5)
    optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(1))])
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 15)
    with pytest.warns(UserWarning, match=r"lr_scheduler\.step"):
        scheduler.step()


def test_the_rate_of_a_file_wins_over_that_which_was_asked_for() -> None:
    parameters = [nn.Parameter(torch.zeros(1))]
    trained = torch.optim.Adam(parameters, lr=1e-4)
    parameters[0].grad = torch.ones(1)
    trained.step()
    wrong = adam_of_file(parameters, 1e-5, trained.state_dict())
    scheduler = torch.optim.lr_scheduler.StepLR(wrong, 15)
    used, moved = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(5):
            used.append(wrong.param_groups[0]["lr"])
            before = parameters[0].item()
            wrong.step()
            moved.append(before - parameters[0].item())
            scheduler.step()
    assert used == [1e-4] * 5
    assert moved == pytest.approx([1e-4] * 5, rel=1e-3)  # ten times as far as was asked for
    assert torch.optim.Adam(parameters, lr=1e-5).param_groups[0]["lr"] == 1e-5
