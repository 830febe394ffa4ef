"""Regions of a street, against truth that is worked out by other means."""

import pytest
import torch

from mdepth.datasets.worlds import World, load, scene
from mdepth.datasets.worlds.regions import REGIONS, regions
from mdepth.geometry import relative_transform, warp
from mdepth.reprojection import photometric_error

WORLD = World("roads", "val", scenes=8, frames=3)


@pytest.fixture(scope="module")
def streets():
    data = load(WORLD)
    middle = [3 * number + 1 for number in range(WORLD.scenes)]
    return data, middle, regions(data, middle)


def test_names_and_shapes(streets) -> None:
    data, middle, found = streets
    valid = data.batch(middle)["valid"]
    assert sorted(found) == sorted(REGIONS)
    assert all(mask.shape == valid.shape and not (mask & ~valid).any() for mask in found.values())
    assert all(mask.any() for mask in found.values()), "eight streets hold every region"


def test_kinds_are_those_of_the_instances(streets) -> None:
    data, middle, found = streets
    instances = data.batch(middle)["instances"]
    for number in range(WORLD.scenes):
        view = scene(WORLD, number)
        labels = torch.tensor([label == "car ahead" for label in view.labels])
        leads = labels[instances[number]]
        moved = (view.T_world_camera[0] - view.T_world_camera[2]).abs().max() > 0
        assert torch.equal(found["ahead"][number], leads & moved)
        posts = torch.tensor([label in ("lamp post", "sign", "bollard") for label in view.labels])
        assert torch.equal(
            found["thin"][number], posts[instances[number]] & data.batch([3 * number + 1])["valid"][0]
        )
        assert not (found["moving"] & found["ahead"]).any()


def test_what_moves_has_a_velocity(streets) -> None:
    data, _, found = streets
    for number in range(WORLD.scenes):
        view, seen = scene(WORLD, number), data.batch([3 * number + 1])["instances"][0]
        speed = torch.zeros(len(view.labels))
        for row in range(len(view.solids)):
            speed[view.solids.instance[row]] = view.solids.velocity[row].norm()
        assert (speed[seen][found["moving"][number]] > 0).all()


def test_hidden_points_cannot_be_explained_by_the_neighbour(streets) -> None:
    """Warped with true depth and motion, a neighbour is unlike the target where it does not see the point."""
    data, middle, found = streets
    target = data.batch(middle)
    depth = torch.where(target["valid"], target["depth"], 1e4)
    worst = torch.zeros_like(depth)
    for offset in (-1, 1):
        source = data.batch([index + offset for index in middle])
        T = relative_transform(source["T_world_camera"], target["T_world_camera"])
        view, _ = warp(source["image"], depth, target["K"], target["K"], T, padding="border")
        worst = torch.maximum(worst, photometric_error(view, target["image"]))
    still = target["valid"] & ~(found["ahead"] | found["moving"])
    hidden, seen = found["hidden"], still & ~found["hidden"]
    assert worst[hidden].mean() > 3 * worst[seen].mean()


def test_a_camera_at_rest_hides_nothing() -> None:
    data = load(
        World("roads", "val", scenes=3, frames=3, ego_motion=False, moving_objects=False), cache=False
    )
    found = regions(data, [1, 4, 7])
    assert not found["hidden"].any()
    assert not found["ahead"].any()


def test_a_parked_world_has_nothing_that_moves() -> None:
    data = load(World("roads", "val", scenes=3, frames=3, moving_objects=False), cache=False)
    assert not regions(data, [1, 4, 7])["moving"].any()


def test_a_world_without_textures_is_plain() -> None:
    """More so than with them."""
    worlds = [World("roads", "val", scenes=3, frames=3, textures=textures) for textures in (True, False)]
    shares = [regions(load(world, cache=False), [1, 4, 7])["plain"].double().mean() for world in worlds]
    assert shares[1] > 1.3 * shares[0]


def test_frames_without_neighbours_are_refused(streets) -> None:
    with pytest.raises(ValueError, match="middle frames"):
        regions(streets[0], [0])
