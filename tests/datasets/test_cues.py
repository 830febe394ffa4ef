"""Measures of depth cues: on pictures whose answer is known, and on worlds with the cue on and off."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mdepth.datasets.worlds import Air, Builder, Material, Scene, World, cues, load, pose, render, scene


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


def _two_squares(first: float = 2.0, second: float = 3.0) -> torch.Tensor:
    """Layers of two squares that overlap in a corner: their outlines cross twice."""
    layers = torch.full((2, 20, 20), torch.inf)
    layers[0, 4:12, 4:12], layers[1, 8:16, 8:16] = first, second
    return layers


def test_outlines_of_two_squares_cross_twice() -> None:
    assert cues.crossings(_two_squares()) == [(8, 12, 0, 1), (12, 8, 0, 1)]
    assert cues.crossings(_two_squares(3.0, 2.0)) == [(8, 12, 1, 0), (12, 8, 1, 0)]


def test_crossings_are_left_out_where_nobody_is_nearer_or_a_third_comes_close() -> None:
    assert cues.crossings(_two_squares(2.0, 2.1)) == []
    assert len(cues.crossings(_two_squares(2.0, 2.1), gap=1.0)) == 2
    third = torch.full((1, 20, 20), torch.inf)
    third[0, 7, 13] = 5.0
    assert cues.crossings(torch.cat([_two_squares(), third])) == [(12, 8, 0, 1)]
    assert len(cues.crossings(_two_squares(), half=8)) == 2
    assert cues.crossings(_two_squares(), half=9) == []  # the window leaves the image


def test_things_that_stand_apart_or_inside_each_other_do_not_cross() -> None:
    layers = torch.full((3, 20, 20), torch.inf)
    layers[0, 2:18, 2:18], layers[1, 6:12, 6:12], layers[2, 0, 0] = 3.0, 2.0, 1.0
    assert cues.crossings(layers) == []


@pytest.mark.parametrize("nearer", [0, 1])
def test_a_t_tells_who_is_nearer_and_an_x_does_not(nearer: int) -> None:
    """Solid, the nearer square keeps three quarters of the window's half; of glass, both keep a quarter."""
    layers = _two_squares(*((2.0, 3.0) if nearer == 0 else (3.0, 2.0)))
    places = cues.crossings(layers)
    solid, glass = (cues.shown(layers, glass) for glass in (False, True))
    window = slice(5, 11), slice(9, 15)
    assert [int((solid[window] == thing).sum()) for thing in (nearer, 1 - nearer, -1)] == [18, 9, 9]
    assert [int((glass[window] == thing).sum()) for thing in (0, 1, -1, -2)] == [9, 9, 9, 9]
    assert cues.larger_part(solid, places).tolist() == [1.0, 1.0]
    assert cues.larger_part(glass, places).tolist() == [0.5, 0.5]
    assert cues.larger_part(solid, [(v, u, far, near) for v, u, near, far in places]).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("index", [0, 3, 26])
def test_things_cast_alone_make_the_rendered_room(index: int) -> None:
    """Laid over each other, nearest first, the layers are the room: every instance and every depth."""
    world = World("rooms", "val", scenes=27)
    views = full, empty = [scene(w, index) for w in (world, replace(world, furniture=False))]
    camera = world.intrinsics(), world.height, world.width
    layers = cues.things_alone(full, empty, *camera)
    solid, shell = (render(view, 0, *camera, antialias=1) for view in views)
    things = sorted(set(full.solids.instance.tolist()) - set(empty.solids.instance.tolist()))
    seen = cues.shown(layers, glass=False)
    numbers = np.where(seen < 0, shell.instances[0].numpy(), np.array(things)[seen])
    assert len(layers) == len(things)
    assert len(np.unique(seen)) > 2
    assert (numbers == solid.instances[0].numpy()).all()
    assert torch.equal(torch.minimum(layers.amin(0), shell.depth[0]), solid.depth[0])


def test_glass_things_are_seen_through_each_other_but_not_through_a_wall() -> None:
    paint, views = Material("plain", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)), []
    for things in ((1.0, 3.0, 6.0), ()):
        builder = Builder()
        builder.object("wall")
        builder.box(paint, (20.0, 9.0, 0.2), z=5.0, bottom=-4.0)
        for z in things:
            builder.object("thing", z=z)
            builder.box(paint, (0.4, 0.4, 0.4), bottom=0.8)
        table, camera = (builder.solids(), builder.materials()), pose(0.0, 1.0, 0.0)[None]
        views.append(Scene(*table, tuple(builder.labels), (), Air(), camera))
    K = torch.tensor([[20.0, 0, 9.5], [0, 20.0, 8.5], [0, 0, 1]])
    layers = cues.things_alone(*views, K, 18, 20)  # 18 rows: not a whole number of blocks
    assert layers.shape == (3, 18, 20)
    assert layers[:, 8, 9].tolist() == pytest.approx([0.8, 2.8, torch.inf])
    assert [int(layer.isfinite().sum()) for layer in layers] == [100, 4, 0]
    with pytest.raises(ValueError, match="nothing"):
        cues.things_alone(views[1], views[1], K, 18, 20)


@pytest.mark.slow
def test_occlusion_tells_order_where_things_are_solid() -> None:
    rooms, right, number = World("rooms", "val", scenes=24), np.zeros(2), 0
    for i in range(24):
        views = scene(rooms, i), scene(replace(rooms, furniture=False), i)
        layers = cues.things_alone(*views, rooms.intrinsics(), rooms.height, rooms.width)
        places = cues.crossings(layers)
        right += [cues.larger_part(cues.shown(layers, glass), places).sum() for glass in (False, True)]
        number += len(places)
    assert number > 40
    assert right[0] / number > 0.75
    assert 0.35 < right[1] / number < 0.65


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
