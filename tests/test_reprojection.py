"""The self-supervised loss: golden numbers of the released functions, and what each part is for.

The inputs are closed forms and the expected numbers those that the released functions gave on them.
"""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from mdepth.datasets.worlds import World, load
from mdepth.geometry import (
    invert_transform,
    relative_transform,
    scale_translation,
    sigmoid_to_inverse_depth,
    transform_from_axis_angle,
)  # fmt: skip
from mdepth.image import resize, ssim_dissimilarity
from mdepth.reprojection import (
    Reprojection,
    edge_aware_smoothness,
    least_error,
    photometric_error,
    reprojection_loss,
    still_errors,
    warped_errors,
)  # fmt: skip
from mdepth.shapes import Tensor

SIZE = (32, 64)
EXACT, SMOOTH = Reprojection(noise=0.0), Reprojection(noise=0.0, automask=False)
PHASES = {-1: -1.0, 0: 0.0, 1: 1.0, "s": 0.5}
WITHIN = 2e-6


def wave(height: int, width: int, phase: float) -> Tensor:
    """Images A (phase 0) and B (0.4)."""
    y, x = torch.meshgrid(torch.arange(height).double(), torch.arange(width).double(), indexing="ij")
    channels = [0.5 + 0.5 * torch.sin(0.3 * x + 0.5 * y + c + phase) for c in range(3)]
    return torch.stack(channels)[None]


def picture(frame: int | str, scale: int) -> Tensor:
    """The colours of a frame of the whole-loss example at a scale."""
    height, width = SIZE[0] >> scale, SIZE[1] >> scale
    y, x = torch.meshgrid(torch.arange(height) * 2**scale, torch.arange(width) * 2**scale, indexing="ij")
    waves = [torch.sin(0.11 * x + 0.17 * y + 0.9 * c + 0.25 * PHASES[frame]) for c in range(3)]
    return (0.5 + 0.5 * torch.stack(waves))[None]


def answer(scale: int) -> Tensor:
    """The sigmoid of the whole-loss example at a scale."""
    height, width = SIZE[0] >> scale, SIZE[1] >> scale
    y, x = torch.meshgrid(torch.arange(height) * 2**scale, torch.arange(width) * 2**scale, indexing="ij")
    return (0.3 + 0.2 * torch.cos(0.07 * x - 0.05 * y))[None, None]


def released_K(height: int, width: int) -> Tensor:
    K = torch.tensor([[0.58 * width, 0.0, 0.5 * width], [0.0, 1.92 * height, 0.5 * height], [0.0, 0.0, 1.0]])
    return K[None]


def motions() -> dict[int | str, Tensor]:
    """T_source_target of the whole-loss example."""
    before = transform_from_axis_angle(
        torch.tensor([[0.01, -0.02, 0.005]]), torch.tensor([[0.02, -0.01, 0.05]])
    )
    behind = transform_from_axis_angle(
        torch.tensor([[-0.005, 0.015, 0.01]]), torch.tensor([[-0.03, 0.005, 0.04]])
    )
    right = transform_from_axis_angle(torch.zeros(1, 3), torch.tensor([[-0.1, 0.0, 0.0]]))
    return {-1: invert_transform(before), 1: behind, "s": right}


def example(frames: tuple[int | str, ...]) -> dict[str, Any]:
    """The arguments of the whole-loss example with some sources."""
    return {
        "sigmoids": [answer(scale) for scale in range(4)],
        "pyramid": [picture(0, scale) for scale in range(4)],
        "sources": torch.stack([picture(frame, 0) for frame in frames], dim=1),
        "K": released_K(*SIZE),
        "T_source_target": torch.stack([motions()[frame] for frame in frames], dim=1),
    }


def of_scale(arguments: dict[str, Any], scale: int, how: Reprojection) -> float:
    """What one scale alone contributes, put together from the parts."""
    target, sources = arguments["pyramid"][0], arguments["sources"]
    depth = 1 / sigmoid_to_inverse_depth(resize(arguments["sigmoids"][scale], SIZE))
    errors = warped_errors(depth, target, sources, arguments["K"], arguments["T_source_target"])
    least, _ = least_error(errors, still_errors(target, sources) if how.automask else None)
    smooth = edge_aware_smoothness(arguments["sigmoids"][scale], arguments["pyramid"][scale])
    return (least.mean() + how.smoothness / 2**scale * smooth).item()


MONO, STEREO, BOTH = (-1, 1), ("s",), (-1, 1, "s")
WHOLE = {
    MONO: (0.0472869, (0.0472904, 0.0473072, 0.0473351, 0.0472147)),
    STEREO: (0.0280202, (0.0280249, 0.0280229, 0.0280194, 0.0280134)),
    BOTH: (0.0237889, (0.0238153, 0.0238098, 0.0237955, 0.0237348)),
}


@pytest.mark.parametrize("frames", list(WHOLE), ids=["video", "stereo", "both"])
def test_whole_loss_of_the_released_code(frames) -> None:
    total, each = WHOLE[frames]
    assert reprojection_loss(**example(frames), how=EXACT).item() == pytest.approx(total, abs=WITHIN)
    assert [of_scale(example(frames), s, EXACT) for s in range(4)] == pytest.approx(each, abs=WITHIN)


def test_whole_loss_without_automask() -> None:
    how, each = replace(EXACT, automask=False), (0.0775954, 0.0777048, 0.0779885, 0.0786390)
    assert reprojection_loss(**example(MONO), how=how).item() == pytest.approx(0.0779819, abs=WITHIN)
    assert [of_scale(example(MONO), s, how) for s in range(4)] == pytest.approx(each, abs=WITHIN)


SHARES = {
    MONO: (0.6851, 0.6851, 0.6816, 0.6807),
    STEREO: (0.0063,) * 4,
    BOTH: (0.3940, 0.3931, 0.3916, 0.3936),
}


@pytest.mark.parametrize("frames", list(SHARES), ids=["video", "stereo", "both"])
def test_share_of_pixels_that_a_warp_wins(frames) -> None:
    arguments = example(frames)
    target, sources = arguments["pyramid"][0], arguments["sources"]
    for sigmoid, share in zip(arguments["sigmoids"], SHARES[frames], strict=True):
        depth = 1 / sigmoid_to_inverse_depth(resize(sigmoid, SIZE))
        errors = warped_errors(depth, target, sources, arguments["K"], arguments["T_source_target"])
        _, winner = least_error(errors, still_errors(target, sources))
        assert (winner < len(frames)).double().mean().item() == pytest.approx(share, abs=1e-3)


def test_golden_numbers_of_the_parts() -> None:
    first, second = wave(8, 12, 0.0), wave(8, 12, 0.4)
    unlike = ssim_dissimilarity(first, second)
    assert unlike.mean().item() == pytest.approx(0.1426122905836559, abs=1e-14)
    assert unlike[0, 0, 0, 0].item() == pytest.approx(0.030735589237711414, abs=1e-14)
    assert unlike[0, 0, 4, 6].item() == pytest.approx(0.14331090523638573, abs=1e-14)
    error = photometric_error(first, second)
    assert error.mean().item() == pytest.approx(0.1401738277798349, abs=1e-14)
    assert error[0, 0, 4, 6].item() == pytest.approx(0.14668524866351104, abs=1e-14)
    y, x = torch.meshgrid(torch.arange(8).double(), torch.arange(12).double(), indexing="ij")
    disparity = (0.2 + 0.1 * torch.cos(0.2 * x + 0.35 * y))[None, None]
    n = disparity / disparity.mean()
    assert edge_aware_smoothness(n, first).item() == pytest.approx(0.18922763817415145, abs=1e-7)


# --- what the parts are -------------------------------------------------------------------------------


def test_photometric_error_is_symmetric_bounded_and_zero_for_the_same() -> None:
    first, second = torch.rand(2, 2, 3, 9, 11, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(photometric_error(first, second), photometric_error(second, first), atol=1e-6)
    assert photometric_error(first, first).max() < 1e-6
    low, high = photometric_error(first, second).aminmax()
    assert low > 0
    assert high <= 1


def test_alpha_zero_is_the_absolute_difference_with_weight_one() -> None:
    first, second = torch.rand(2, 1, 3, 6, 7, generator=torch.Generator().manual_seed(1))
    wanted = (first - second).abs().mean(dim=1, keepdim=True)
    assert torch.equal(photometric_error(first, second, alpha=0.0), wanted)


def test_smoothness_forgives_steps_at_edges_and_does_not_see_a_factor() -> None:
    values = torch.ones(1, 1, 6, 8)
    values[..., 4:] = 2.0
    plain, edge = torch.zeros(1, 3, 6, 8), torch.zeros(1, 3, 6, 8)
    edge[..., 4:] = 1.0
    there, elsewhere = edge_aware_smoothness(values, edge), edge_aware_smoothness(values, plain)
    assert there.item() == pytest.approx(math.exp(-1) * elsewhere.item(), rel=1e-5)
    assert edge_aware_smoothness(7 * values, edge).item() == pytest.approx(there.item(), rel=1e-5)
    assert edge_aware_smoothness(torch.full_like(values, 3.0), edge).item() == 0


def test_least_error_by_hand() -> None:
    warped = torch.tensor([[0.4, 0.2, 0.9, 0.5], [0.1, 0.6, 0.8, 0.3]]).view(1, 2, 1, 4)
    still = torch.tensor([[0.3, 0.3, 0.7, 0.3], [0.5, 0.9, 0.6, 0.9]]).view(1, 2, 1, 4)
    least, winner = least_error(warped, still)
    assert least.flatten().tolist() == pytest.approx([0.1, 0.2, 0.6, 0.3])
    assert winner.flatten().tolist()[:3] == [1, 0, 3]
    mean, which = least_error(warped, still, minimum=False)
    assert mean.flatten().tolist() == pytest.approx([0.25, 0.4, 0.65, 0.4])
    assert which.flatten().tolist() == [0, 0, 1, 0]
    assert torch.equal(least_error(warped, minimum=False)[0], warped.mean(dim=1, keepdim=True))


def test_a_pixel_that_an_unmoved_source_wins_has_no_gradient() -> None:
    warped = torch.tensor([0.5, 0.2]).view(1, 1, 1, 2).requires_grad_()
    least, _ = least_error(warped, torch.tensor([0.4, 0.4]).view(1, 1, 1, 2))
    least.sum().backward()
    assert warped.grad.flatten().tolist() == [0.0, 1.0]
    assert least.flatten().tolist() == pytest.approx([0.4, 0.2])  # and its error still counts


def test_noise_decides_ties() -> None:
    torch.manual_seed(0)
    warped = torch.full((1, 1, 40, 50), 0.3)
    _, winner = least_error(warped, warped.clone(), noise=1e-5)
    assert 0.45 < winner.double().mean().item() < 0.55
    assert least_error(warped, warped.clone())[1].sum() == 0  # without it, the warped one


def test_masks_take_the_place_of_the_automask() -> None:
    arguments, off = example(MONO), replace(EXACT, automask=False)
    ones = [torch.ones(1, 2, *sigmoid.shape[-2:]) for sigmoid in arguments["sigmoids"]]
    with pytest.raises(ValueError, match="place of automask"):
        reprojection_loss(**arguments, masks=ones)
    plain = reprojection_loss(**arguments, how=off).item()
    assert reprojection_loss(**arguments, how=off, masks=ones).item() == pytest.approx(plain, rel=1e-6)
    halves = [0.5 * mask for mask in ones]
    smooth = sum(
        off.smoothness
        / 2**s
        * edge_aware_smoothness(arguments["sigmoids"][s], arguments["pyramid"][s]).item()
        / 4
        for s in range(4)
    )
    wanted = 0.5 * (plain - smooth) + smooth + 0.2 * math.log(2)
    assert reprojection_loss(**arguments, how=off, masks=halves).item() == pytest.approx(wanted, rel=1e-5)


def test_scaled_translations_are_times_the_mean_inverse_depth() -> None:
    arguments = example(MONO)
    one = {name: value[:1] if isinstance(value, list) else value for name, value in arguments.items()}
    mean = sigmoid_to_inverse_depth(one["sigmoids"][0]).mean()
    by_hand = one | {"T_source_target": scale_translation(one["T_source_target"], mean[None, None])}
    wanted = reprojection_loss(**by_hand, how=EXACT).item()
    assert reprojection_loss(**one, how=EXACT, scaled_by_depth=2).item() == pytest.approx(wanted, abs=1e-7)
    assert reprojection_loss(**one, how=EXACT).item() != pytest.approx(wanted, abs=1e-5)


def test_each_scale_at_its_own_size() -> None:
    arguments, own = example(MONO), replace(EXACT, full_resolution=False)
    first = {name: value[:1] if isinstance(value, list) else value for name, value in arguments.items()}
    same = reprojection_loss(**first, how=EXACT).item()
    assert reprojection_loss(**first, how=own).item() == pytest.approx(same, abs=1e-8)
    assert reprojection_loss(**arguments, how=own).item() != pytest.approx(
        reprojection_loss(**arguments, how=EXACT).item(), abs=1e-5
    )


def test_every_image_has_its_own_camera() -> None:
    """A batch is the mean of its images, with a K of their own."""
    one, other = example(MONO), example(MONO)
    other["K"] = other["K"] * torch.tensor([[1.2], [0.9], [1.0]])
    both = {
        name: torch.cat([one[name], other[name]])
        if isinstance(one[name], Tensor)
        else [torch.cat(pair) for pair in zip(one[name], other[name], strict=True)]
        for name in one
    }
    each = [reprojection_loss(**arguments, how=EXACT).item() for arguments in (one, other)]
    assert each[0] != pytest.approx(each[1], abs=1e-4)
    assert reprojection_loss(**both, how=EXACT).item() == pytest.approx(sum(each) / 2, abs=1e-6)


def test_a_point_behind_the_camera_has_an_error_and_no_gradient() -> None:
    depth = torch.full((1, 1, 8, 10), 0.5, requires_grad=True)
    T = torch.eye(4)[None, None].clone()
    T[..., 2, 3] = -1.0  # the source stands a metre further on
    image = torch.rand(1, 3, 8, 10, generator=torch.Generator().manual_seed(2))
    errors = warped_errors(depth, image, image[:, None], released_K(8, 10), T)
    errors.sum().backward()
    assert errors.isfinite().all()
    assert depth.grad.abs().max() == 0


def test_gradients_agree_with_differences() -> None:
    generator = torch.Generator().manual_seed(3)
    image, source = torch.rand(2, 1, 3, 6, 8, generator=generator, dtype=torch.float64)
    sigmoid = 0.2 + 0.1 * torch.rand(1, 1, 6, 8, generator=generator, dtype=torch.float64)
    numbers = torch.tensor([[0.01, -0.02, 0.005, 0.03, -0.01, 0.02]], dtype=torch.float64)

    def loss(sigmoid: Tensor, numbers: Tensor) -> Tensor:
        T = transform_from_axis_angle(numbers[:, :3], numbers[:, 3:])[:, None]
        return reprojection_loss([sigmoid], [image], source[:, None], released_K(6, 8).double(), T, SMOOTH)

    assert torch.autograd.gradcheck(loss, (sigmoid.requires_grad_(), numbers.requires_grad_()), atol=1e-4)


# --- what the parts are for: a world whose truth is known ------------------------------------------------


@pytest.fixture(scope="module")
def street() -> dict[str, Tensor]:
    """Six streets: three frames each, the right eye, and all motions."""
    world = World("roads", "val", scenes=6, frames=3, stereo=True, height=64, width=192)
    data = load(world)
    frames = [data.batch([3 * scene + k for scene in range(world.scenes)]) for k in range(3)]
    before, target, behind = frames
    return {
        "target": target["image"], "depth": target["depth"], "valid": target["valid"], "K": target["K"],
        "sources": torch.stack([before["image"], behind["image"]], dim=1),
        "right": target["image_right"][:, None],
        "T": torch.stack(
            [
                relative_transform(each["T_world_camera"], target["T_world_camera"])
                for each in (before, behind)
            ],
            dim=1,
        ),
        "T_right": target["T_right_left"][:, None],
    }  # fmt: skip


def far_if_unknown(street: dict[str, Tensor]) -> Tensor:
    return torch.where(street["valid"], street["depth"], 1e4)


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.25, 2.0])
def test_the_true_depth_explains_the_right_eye_best(street, factor: float) -> None:
    """Not because it was told so: the error of other depths is larger."""
    depth = far_if_unknown(street)
    true, false = (
        warped_errors(f * depth, street["target"], street["right"], street["K"], street["T_right"])
        for f in (1.0, factor)
    )
    assert true.mean() < 0.8 * false.mean()


def test_the_minimum_explains_what_the_mean_cannot(street) -> None:
    errors = warped_errors(
        far_if_unknown(street), street["target"], street["sources"], street["K"], street["T"]
    )
    least, mean = (least_error(errors, minimum=which)[0] for which in (True, False))
    assert least.mean() < 0.8 * mean.mean()
    worst = errors.amax(dim=1, keepdim=True) > 0.3  # seen in one source alone
    assert worst.any()
    assert least[worst].mean() < 0.6 * mean[worst].mean()


def test_the_automask_finds_the_camera_at_rest(street) -> None:
    """Where nothing moved, unmoved sources win nearly everywhere; where the camera drove, in part."""
    at_rest = (street["T"][:, 0] - torch.eye(4)).abs().amax(dim=(1, 2)) < 1e-6
    assert set(at_rest.tolist()) == {True, False}
    torch.manual_seed(0)
    errors = warped_errors(
        far_if_unknown(street), street["target"], street["sources"], street["K"], street["T"]
    )
    _, winner = least_error(errors, still_errors(street["target"], street["sources"]), noise=1e-5)
    still = (winner >= 2).double().mean(dim=(1, 2, 3))
    assert still[at_rest].min() > 0.7
    assert still[~at_rest].max() < 0.45
