"""Measures of depth cues: on pictures whose answer is known, and on worlds with the cue on and off."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mdepth.datasets.worlds import World, cues, load


def test_explained_is_the_share_between_levels() -> None:
    """Two levels, worked by hand: means 1 and 3 around 2, one unit of noise inside each."""
    cue = np.array([[0.0, 0.0], [1.0, 1.0]])
    quantity = np.array([[0.0, 2.0], [2.0, 4.0]])
    assert cues.explained(cue, quantity, cues.draw_scenes(2), levels=2)[0] == pytest.approx(4 / 8)


def test_explained_leaves_out_unknown_pixels() -> None:
    cue, quantity = np.array([[0.0, 5.0], [1.0, 1.0]]), np.array([[0.0, np.nan], [1.0, 1.0]])
    assert cues.explained(cue, quantity, cues.draw_scenes(2), levels=2)[0] == pytest.approx(1.0)


def test_draws_are_of_scenes() -> None:
    """A scene without hits drawn twice gives no hits, never something between."""
    drawn = cues.draw_scenes(2, 200)
    shares = cues.counted(np.array([0, 4]), np.array([4, 4]), drawn)
    assert set(shares.tolist()) == {0.0, 0.5, 1.0}


@pytest.mark.parametrize(("u", "v"), [(40, 20), (70, 44), (10, 30)])
def test_vanishing_point_of_a_fan(u: int, v: int) -> None:
    fan = torch.atan2(torch.arange(64.0)[:, None] - v, torch.arange(96.0)[None] - u)
    stripes = torch.nn.functional.avg_pool2d(((6 * fan).sin() > 0).float()[None], 3, stride=1, padding=1)
    found = cues.vanishing_point(stripes.expand(3, 64, 96))
    assert np.abs(found - [u, v]).max() <= 2


def test_fineness_counts_waves_whatever_their_contrast() -> None:
    x = torch.arange(100.0).expand(1, 3, 100, 100)
    fine = {
        (period, contrast): cues.fineness(contrast * torch.sin(2 * torch.pi * x / period), stride=100).item()
        for period in (10, 20)
        for contrast in (1, 0.5)
    }
    assert fine[10, 1] / fine[20, 1] == pytest.approx(2, rel=0.1)
    assert fine[10, 0.5] == pytest.approx(fine[10, 1], rel=0.05)


def test_object_heights_leave_out_what_is_cut_off() -> None:
    instances = torch.zeros(1, 10, 10, dtype=torch.long)
    instances[0, 2:7, 2:6], instances[0, 0:5, 7:9] = 1, 2
    assert cues.object_heights(instances, torch.full((1, 10, 10), 4.0), {1, 2, 9}, least=4) == [(5.0, 4.0)]


def _two_faces(step: float) -> tuple[torch.Tensor, ...]:
    """One thing of two faces at right angles, left and right half, whose colours differ by ``step``."""
    image, depth = torch.full((1, 3, 6, 6), 0.5), torch.full((1, 1, 6, 6), 2.0)
    normals, instances = torch.zeros(1, 3, 6, 6), torch.ones(1, 1, 6, 6, dtype=torch.long)
    image[..., 3:] += step
    normals[:, 0, :, :3], normals[:, 2, :, 3:] = 1, -1
    return image, depth, normals, instances


@pytest.mark.parametrize(("step", "seen"), [(0.1, 6), (0.01, 0)])
def test_creases_are_counted_and_seen_by_their_step(step: float, seen: int) -> None:
    assert [int(x[0]) for x in cues.visible_creases(*_two_faces(step))] == [seen, 6]


def test_an_edge_between_two_things_is_no_crease() -> None:
    image, depth, normals, instances = _two_faces(0.1)
    instances[..., 3:] = 2
    assert cues.visible_creases(image, depth, normals, instances)[1].sum() == 0


@pytest.mark.parametrize(("bar_depth", "right"), [(1.0, True), (9.0, False)])
def test_the_bar_of_a_t_is_guessed_to_be_nearer(bar_depth: float, right: bool) -> None:
    """The upper half is the bar, two things below form the stem."""
    instances = torch.ones(1, 1, 15, 15, dtype=torch.long)
    instances[..., 8:, :7], instances[..., 8:, 7:] = 2, 3
    depth = torch.where(instances == 1, bar_depth, torch.where(instances == 2, 4.0, 6.0))
    hits, number = cues.junctions(instances, depth)
    assert number[0] > 0
    assert hits[0] == (number[0] if right else 0)


def test_fit_finds_a_plane_and_nothing_in_noise() -> None:
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(2, 4, 8, 8, 1))
    depth = 2 * x[..., 0] + 1
    assert cues.fit([x], depth, [x], depth) == pytest.approx(1)
    assert cues.fit([noise], depth, [noise[::-1]], depth) < 0.1


@pytest.mark.slow
def test_haze_tells_depth_where_there_is_haze(tmp_path) -> None:
    roads, drawn = World("roads", "val", scenes=8), cues.draw_scenes(8)
    shares = []
    for world in (roads, replace(roads, haze=False)):
        batch = load(world, cache=tmp_path).batch(range(8))
        log_depth = torch.where(batch["valid"], batch["depth"], torch.nan).log()[:, 0].numpy()
        dark = np.where(np.isfinite(log_depth), cues.darkest(batch["image"], 1).numpy(), np.nan)
        shares.append(cues.explained(dark - np.nanmean(dark, (1, 2), keepdims=True), log_depth, drawn)[0])
    assert shares[0] > 2 * shares[1]
