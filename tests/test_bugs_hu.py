"""The known bugs around the networks and masks of Hu et al.: each is wrong as its docstring says, and by how
much.
"""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from mdepth_bugs.hu import (
    STEP,
    accuracy_with_negatives,
    averaged_with_empty,
    binarised,
    black_removed,
    compared_with_truth,
    edges_with_ring,
    gradient_of_error,
    half_pixel,
    in_training_mode,
    levels_as_millimetres,
    log10_of_negatives,
    logged,
    loss_with_corners,
    loss_with_ring,
    millimetres_as_levels,
    normalised,
    pillow_default,
    rmse_of_small,
    saved_the_other,
    splined,
    summed_masks,
    up_to_the_threshold,
)
from torch import nn

from mdepth.image import resize, sobel
from mdepth.ledger import reported
from mdepth.losses import hu_gradient_loss, hu_loss
from mdepth.metrics import edge_scores, per_image

HALF = math.log(0.5)
NEAR, FAR = 26 * STEP, 230 * STEP
"""1.02 m and 9.02 m, which an 8-bit file holds exactly."""


def waves(height: int = 114, width: int = 152) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Prediction and truth of closed form, all valid, as in the ledger."""
    y, x = torch.meshgrid(torch.arange(height).double(), torch.arange(width).double(), indexing="ij")
    d = (3 + torch.sin(0.05 * x) + 0.5 * torch.cos(0.07 * y))[None, None]
    return 1.1 * d + 0.2 * torch.sin(0.1 * x + 0.03 * y), d, torch.ones_like(d, dtype=torch.bool)


def edge(height: int, width: int, column: int) -> torch.Tensor:
    """A near surface to the left of a column, a far one from there on."""
    return torch.where(torch.arange(width) < column, NEAR, FAR).expand(1, 1, height, width)


def values(scores: tuple[torch.Tensor, ...]) -> list[float]:
    return [score.item() for score in scores]


# --- files


def test_the_two_kinds_of_files_taken_for_each_other() -> None:
    metres = torch.tensor([1.0, 3.0, 10.0], dtype=torch.float64)
    far, near = millimetres_as_levels(1000 * metres), levels_as_millimetres(metres / STEP)
    assert far.tolist() == pytest.approx([39.2157, 117.6471, 392.1569], abs=1e-4)
    assert near.tolist() == pytest.approx([0.0255, 0.0765, 0.255])
    assert (far / metres).tolist() == pytest.approx([10_000 / 255] * 3)
    assert (metres / near).tolist() == pytest.approx([10_000 / 255] * 3)


def test_pillow_today_puts_depths_between_two_surfaces_and_beyond_them() -> None:
    depth = edge(228, 304, 151)  # a column of the small map covers both
    blurred = pillow_default(depth, (114, 152))
    found, counts = blurred.unique(return_counts=True)
    assert found.tolist() == pytest.approx([0.627, 1.020, 5.020, 9.020, 9.412], abs=0.04)
    assert counts.tolist() == [114, 8436, 114, 8550, 114]
    nearest = resize(depth, (114, 152), mode="nearest")
    assert nearest.unique().tolist() == pytest.approx([NEAR, FAR])
    away = (blurred - nearest).abs() > STEP / 2
    assert away.nonzero()[:, 3].unique().tolist() == [74, 75, 76]


def test_that_is_pillow_s_bicubic_filter() -> None:
    from PIL import Image

    levels = np.random.default_rng(0).integers(0, 256, (24, 32), dtype=np.uint8)
    named = np.array(Image.fromarray(levels).resize((16, 12), Image.Resampling.BICUBIC))
    ours = pillow_default(torch.from_numpy(levels)[None, None] * STEP, (12, 16))
    assert torch.equal(ours, torch.from_numpy(named)[None, None] * STEP)


def test_splines_mix_depths_at_an_edge_and_swing_beyond_them() -> None:
    turned = splined(edge(240, 320, 160), 3.0)
    inside = turned[..., 40:200, 60:260]  # without the corners
    assert inside.amin().item() < NEAR - 0.7
    assert inside.amax().item() > FAR + 0.7
    mixed = ((inside - NEAR).abs() > STEP / 2) & ((inside - FAR).abs() > STEP / 2)
    assert 2.5 < mixed.sum(dim=3).double().mean().item() < 8  # pixels in each row
    assert torch.allclose(splined(edge(24, 32, 16), 0.0), edge(24, 32, 16))


@pytest.mark.parametrize(("degrees", "share"), [(2.0, 0.0), (3.0, 0.0014), (5.0, 0.0094)])
def test_a_turn_leaves_corners_without_depth(degrees: float, share: float) -> None:
    crop = splined(torch.full((1, 1, 240, 320), 3.0), degrees)[..., 6:234, 8:312]
    assert (crop == 0).double().mean().item() == pytest.approx(share, abs=5e-5)
    assert set(crop[0, 0, 1:-1, 1:-1].unique().tolist()) <= {0.0, crop.amax().item()}


def test_corners_without_depth_cost_a_perfect_prediction() -> None:
    crop = splined(torch.full((1, 1, 240, 320), 3.0), 5.0)[..., 6:234, 8:312]
    target = resize(crop, (114, 152), mode="nearest")
    wall = torch.full_like(target, target.amax().item())
    right, wrong = hu_loss(wall, target, target > 0), loss_with_corners(wall, target)
    assert right.item() == pytest.approx(3 * HALF, abs=1e-6)
    assert wrong.item() - right.item() == pytest.approx(0.071, abs=0.002)
    assert loss_with_corners(wall, wall).item() == pytest.approx(3 * HALF, abs=1e-6)


# --- sizes


def test_half_pixels_move_a_map_towards_its_middle() -> None:
    ramp = torch.arange(152.0).expand(1, 1, 2, 152)
    wrong = half_pixel(ramp, (2, 304)) - resize(ramp, (2, 304), align_corners=True)
    shift = wrong[0, 0, 0].tolist()  # in columns of the small map: what is fetched minus what belongs there
    assert shift[1] == pytest.approx(-0.248, abs=1e-3)
    assert abs(shift[151]) < 1e-3
    assert shift[302] == pytest.approx(0.248, abs=1e-3)
    assert shift == pytest.approx([-each for each in shift[::-1]], abs=1e-4)
    assert max(map(abs, shift)) < 0.25


def test_half_pixels_add_up_over_the_decoder_and_the_evaluation() -> None:
    def place(enlarge: Callable[..., torch.Tensor], column: int) -> float:
        """Where the middle of what one of ten columns held ends up among 304."""
        maps = torch.zeros(1, 1, 8, 10, dtype=torch.float64)
        maps[..., column] = 1
        for size in ((15, 19), (29, 38), (57, 76), (114, 152), (228, 304)):
            maps = enlarge(maps, size)
        row = maps[0, 0, 114]
        return ((row * torch.arange(304)).sum() / row.sum()).item()

    def right(maps: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        return resize(maps, size, align_corners=True)

    moved = [place(half_pixel, column) - place(right, column) for column in range(1, 9)]
    assert moved[0] == pytest.approx(10.9, abs=0.1)
    assert moved == pytest.approx([-each for each in moved[::-1]], abs=1e-9)
    assert moved == sorted(moved, reverse=True)


# --- masks


def test_what_is_removed_before_normalising_is_black() -> None:
    image = torch.rand(1, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    none, faint, all_of_it = (torch.full((1, 1, 4, 5), gain) for gain in (0.0, 0.3, 1.0))
    assert black_removed(image, none)[0, :, 0, 0].tolist() == pytest.approx(
        [-2.118, -2.036, -1.804], abs=1e-3
    )
    assert (normalised(image) * none).abs().max() == 0
    assert torch.equal(black_removed(image, all_of_it), normalised(image))
    darker = black_removed(image, faint) - normalised(image) * faint
    assert torch.allclose(darker[:, 0], torch.tensor(-0.7 * 0.485 / 0.229), atol=1e-5)  # whatever is shown
    assert darker[0, 0, 0, 0].item() == pytest.approx(-1.48, abs=0.003)


def test_nothing_is_left_of_the_published_masks_at_one_half() -> None:
    largest = [cell.value for name, cell in reported.load("hu").cells.items() if ".mask-maximum." in name]
    assert len(largest) == 12
    masks = torch.tensor(largest).reshape(12, 1, 1, 1) * torch.linspace(0, 1, 100).reshape(10, 10)
    assert binarised(masks).sum() == 0
    shares = binarised(masks, 0.025).mean(dim=(1, 2, 3))
    assert shares.min() > 0.8
    assert masks.mean().item() == pytest.approx(sum(largest) / 24, rel=1e-4)


def test_compared_with_the_truth_a_mask_repairs_the_network() -> None:
    """N says 2 m plus the mean of what it sees: 3 m of this picture, where 2.5 m is true."""

    def network(seen: torch.Tensor) -> torch.Tensor:
        return 2 + seen.mean(dim=1, keepdim=True)

    image = torch.tensor([0.485 + 0.229, 0.456 + 0.224, 0.406 + 0.225])[:, None, None].expand(1, 3, 6, 8)
    truth, valid = torch.full((1, 1, 6, 8), 2.5), torch.ones(1, 1, 6, 8, dtype=torch.bool)
    own = network(normalised(image))
    assert torch.allclose(own, torch.tensor(3.0))
    gains = [0.0, 0.25, 0.5, 0.75, 1.0]
    masks = [torch.full((1, 1, 6, 8), gain) for gain in gains]
    wrong = [compared_with_truth(network, image, mask, truth, valid, lam=0.0).item() for mask in masks]
    right = [hu_loss(network(normalised(image) * mask), own, valid).item() for mask in masks]
    assert gains[wrong.index(min(wrong))] == 0.5
    assert gains[right.index(min(right))] == 1.0
    assert min(right) == pytest.approx(3 * HALF, abs=1e-5)
    with_mask = compared_with_truth(network, image, masks[1], truth, valid).item()
    assert with_mask - wrong[1] == pytest.approx(5 * 0.25, abs=1e-5)


def test_a_network_in_training_mode_answers_by_the_images_beside_it() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Conv2d(4, 1, 1)).eval()
    wrong = in_training_mode(network)
    pictures = torch.rand(2, 3, 6, 8, generator=torch.Generator().manual_seed(0))
    pictures[1] *= 0.1
    with torch.no_grad():
        assert torch.allclose(network(pictures)[:1], network(pictures[:1]), atol=1e-6)
        before = wrong[1].running_mean.clone()
        assert not torch.allclose(wrong(pictures)[:1], wrong(pictures[:1]), atol=0.1)
        assert not torch.allclose(wrong[1].running_mean, before, atol=1e-3)  # and no step was taken
        assert not torch.allclose(wrong.eval()(pictures), network(pictures), atol=1e-3)
    assert not network.training


def test_what_is_logged_does_not_see_the_difference() -> None:
    early, late = torch.full((1, 1, 4, 4), 0.5), torch.full((1, 1, 4, 4), 0.02)
    good, collapsed = torch.tensor(-1.9), torch.tensor(0.6)
    assert logged(good, early).item() == logged(collapsed, early).item() == 0.5
    assert logged(collapsed, late) < logged(good, early) / 20  # it looks better and better
    assert collapsed + 5 * late.mean() > good + 5 * early.mean()  # but what is minimised has grown


class Small(nn.Module):
    """A decoder named as in N and in G, of another size in each."""

    def __init__(self, channels: int, head: bool) -> None:
        super().__init__()
        self.D = nn.ModuleDict({"up1": nn.Conv2d(channels, channels // 2, 3)})
        if head:
            self.D["conv"] = nn.Conv2d(channels // 2, 1, 3)


def test_of_the_mask_network_nothing_is_left() -> None:
    torch.manual_seed(0)
    frozen, predictor = Small(8, head=False), Small(4, head=True)
    released = {name: value.clone() for name, value in frozen.state_dict().items()}
    saved = saved_the_other(frozen, predictor)
    assert all(torch.equal(saved[name], value) for name, value in released.items())
    assert set(saved) == set(released) < set(predictor.state_dict())  # the same names
    with pytest.raises(RuntimeError, match=r"size mismatch for D\.up1\.weight"):
        predictor.load_state_dict(saved, strict=False)
    drawn = {name: value.clone() for name, value in predictor.state_dict().items()}
    fitting = {name: value for name, value in saved.items() if value.shape == drawn[name].shape}
    predictor.load_state_dict(fitting, strict=False)
    assert not fitting
    assert all(torch.equal(predictor.state_dict()[name], value) for name, value in drawn.items())


# --- the loss


def test_the_ring_makes_an_offset_cost_slopes() -> None:
    _, d, valid = waves()
    right, wrong = hu_loss(d + 0.5, d, valid, padding="valid"), loss_with_ring(d + 0.5, d, valid)
    assert right.item() == pytest.approx(2 * HALF)
    assert wrong.item() == pytest.approx(-1.3369828248095736)
    assert (wrong - right).item() == pytest.approx(0.0493, abs=1e-4)
    assert loss_with_ring(d, d, valid).item() == pytest.approx(3 * HALF)  # equal maps have equal rings


def test_the_gradient_of_the_error_misses_a_change_of_sign() -> None:
    wall, valid = torch.full((1, 1, 20, 30), 3.0), torch.ones(1, 1, 20, 30, dtype=torch.bool)
    step = wall + torch.where(torch.arange(30) < 15, -0.5, 0.5)
    beyond = step + 1  # the same step, from 0.5 to 1.5 m too far
    ring = hu_gradient_loss(wall + 0.5, wall, valid).item()  # what the border makes of 0.5 m
    assert gradient_of_error(step, wall, valid).item() == pytest.approx(ring, abs=1e-6)
    assert hu_gradient_loss(step, wall, valid).item() > ring + 0.05
    assert gradient_of_error(beyond, wall, valid).item() == pytest.approx(
        hu_gradient_loss(beyond, wall, valid).item(), abs=1e-6
    )
    g, d, everywhere = waves()
    assert gradient_of_error(g, d, everywhere).item() == pytest.approx(-1.1112, abs=1e-4)
    assert hu_gradient_loss(g, d, everywhere).item() == pytest.approx(-1.1101, abs=1e-4)


# --- scores


@pytest.mark.parametrize("threshold", [0.25, 0.5, 1.0])
def test_summed_booleans_are_never_2(threshold: float) -> None:
    g, d, valid = waves(228, 304)
    for prediction in (g, d):  # even the truth itself
        precision, recall, f1 = values(summed_masks(prediction, d, valid, threshold))
        assert (precision, recall) == (0, 0)
        assert math.isnan(f1)
    right = values(edges_with_ring(g, d, valid, threshold))
    assert right == pytest.approx({0.25: [0.8951991, 0.9435078, 0.9187188],
                                   0.5: [0.0754019, 1.0, 0.1402302], 1.0: [1, 1, 1]}[threshold],
                                  abs=1e-7)  # fmt: skip


WITHOUT_RING = {0.25: (0.8932025, 0.9423722, 0.9171288), 0.5: (0.0, math.nan, 0.0), 1.0: (math.nan,) * 3}
"""Precision, recall and F1 of the same maps, where only what lies inside is counted."""


@pytest.mark.parametrize("threshold", WITHOUT_RING)
def test_the_ring_gives_hits_for_free(threshold: float) -> None:
    g, d, valid = waves(228, 304)
    inside = values(edge_scores(g, d, valid, threshold))
    assert inside == pytest.approx(WITHOUT_RING[threshold], abs=1e-7, nan_ok=True)
    wall = torch.full_like(d, 3.0)
    precision, recall, _ = values(edges_with_ring(wall, d, valid, threshold))
    assert precision == 1
    assert recall == pytest.approx(1060 / 53795 if threshold == 0.25 else 1)
    assert math.isnan(values(edge_scores(wall, d, valid, threshold))[0])  # a wall has no edge


@pytest.mark.parametrize(("metres", "count"), [(0.26, 30), (0.24, 4), (0.23, 0)])
def test_the_ring_needs_a_depth_of_a_quarter_of_the_threshold(metres: float, count: int) -> None:
    """Sides answer with 4 times their depth, corners with 3 times the root of 2 of it."""
    wall = torch.full((1, 1, 8, 9), metres, dtype=torch.float64)
    everywhere = torch.ones_like(wall, dtype=torch.bool)
    assert (torch.hypot(*sobel(wall)) > 1).sum().item() == count
    scores = values(edges_with_ring(wall, wall, everywhere, 1.0))
    assert scores == pytest.approx([1.0] * 3 if count else [math.nan] * 3, nan_ok=True)


def test_one_image_without_edges_makes_the_mean_nan() -> None:
    g, d, _ = waves(228, 304)
    pair = torch.cat((g, d)), torch.cat((d, torch.full_like(d, 3.0)))
    everywhere = torch.ones_like(pair[0], dtype=torch.bool)
    recall = edge_scores(*pair, everywhere)[1]
    assert averaged_with_empty(recall).isnan()
    assert recall.nanmean().item() == pytest.approx(0.9423722, abs=1e-7)
    assert averaged_with_empty(edges_with_ring(*pair, everywhere)[1]).isfinite()  # the ring hides it


@pytest.mark.parametrize(("lowest", "finite"), [(-0.1, False), (0.0, False), (0.01, True)])
def test_one_pixel_at_or_below_0_spoils_the_logarithm(lowest: float, finite: bool) -> None:
    target = torch.full((1, 1, 4, 5), 3.0)
    prediction = target.clone()
    prediction[..., 2, 2] = lowest
    assert bool(log10_of_negatives(prediction, target).isfinite()) is finite
    if not finite:
        with pytest.raises(ValueError, match="1 of 20 valid prediction values are not positive"):
            per_image("log10", prediction, target, target > 0)


def test_what_lies_behind_the_camera_is_always_accurate() -> None:
    target = torch.full((1, 1, 4, 5), 3.0)
    assert accuracy_with_negatives(-7 * target, target).item() == 1
    assert accuracy_with_negatives(7 * target, target).item() == 0
    assert accuracy_with_negatives(1.2 * target, target).item() == 1


def test_levels_that_are_exactly_a_quarter_apart() -> None:
    levels = torch.arange(1.0, 256.0)[None, None, None]
    prediction, everywhere = 1.25 * levels, torch.ones_like(levels, dtype=torch.bool)
    whole = prediction == prediction.round()  # what a file can hold: every fourth level
    assert up_to_the_threshold(prediction, levels, whole).item() == 1
    assert per_image("delta1", prediction, levels, whole).item() == 0
    drawn = torch.rand(1, 1, 20, 30, generator=torch.Generator().manual_seed(0)) + 1
    other, everywhere = drawn.flip(-1), torch.ones_like(drawn, dtype=torch.bool)
    strict = per_image("delta1", other, drawn, everywhere).item()
    assert up_to_the_threshold(other, drawn, everywhere).item() == strict


def test_a_small_map_is_perfect_at_its_own_size() -> None:
    target = edge(40, 60, 31)
    valid = torch.ones_like(target, dtype=torch.bool)
    small = resize(target, (20, 30), mode="nearest")
    assert rmse_of_small(small, target, valid).item() == 0
    large = resize(small, (40, 60), align_corners=True)
    assert per_image("rmse", large, target, valid).item() > 0.5
