"""Places of a picture: what is told from the truth, and what is held beside it."""

import torch

from mdepth.datasets.worlds import World, load
from mdepth.datasets.worlds.places import LARGE, PLACES, SMALL, contact, distance_to, places

WALL, FLOOR = torch.tensor([0.0, 0.0, -1.0]), torch.tensor([0.0, -1.0, 0.0])


def facing(normal, height=20, width=30):
    return normal.view(1, 3, 1, 1).expand(1, 3, height, width).clone()


def flat(height=20, width=30, metres=2.0):
    """A wall of one colour."""
    return {
        "image": torch.full((1, 3, height, width), 0.5),
        "depth": torch.full((1, 1, height, width), metres),
        "normals": facing(WALL, height, width),
        "instances": torch.ones(1, 1, height, width, dtype=torch.long),
    }


def test_a_plain_wall_is_plain_and_large() -> None:
    found = places(**flat())
    assert tuple(found) == PLACES
    assert {name: bool(mask.all()) for name, mask in found.items()} == {
        "geometry": False, "paint": False, "plain": True, "small": False, "large": True,
    }  # fmt: skip
    assert not found["geometry"].any()
    assert not found["paint"].any()


def test_paint_is_an_edge_of_the_image_alone() -> None:
    view = flat()
    view["image"][..., 15:] = 0.9
    found = places(**view)
    assert found["paint"][0, 0, 10].nonzero().flatten().tolist() == [14, 15]
    assert not found["geometry"].any()


def test_paint_beside_an_edge_of_depth_does_not_count() -> None:
    view = flat()
    view["image"][..., 15:] = 0.9
    view["depth"][..., 15:] = 3.0
    found = places(**view)
    assert found["geometry"][0, 0, 10].nonzero().flatten().tolist() == [14, 15]
    assert not found["paint"].any()


def test_steps_are_relative_and_the_sky_makes_none_by_itself() -> None:
    view = flat()
    view["depth"][..., 10:] = 2.19  # 9.5 %
    view["depth"][..., :3] = 0  # sky
    assert not places(**view)["geometry"].any()
    view["depth"][..., 10:] = 2.21
    assert places(**view)["geometry"].any()


def test_creases_and_outlines_are_geometry() -> None:
    view = flat()
    view["normals"][:, :, 12:] = FLOOR.view(1, 3, 1, 1)
    assert places(**view)["geometry"][0, 0, :, 5].nonzero().flatten().tolist() == [11, 12]
    view = flat()
    view["instances"][..., 20:] = 2
    assert places(**view)["geometry"][0, 0, 5].nonzero().flatten().tolist() == [19, 20]


def test_inside_of_small_things() -> None:
    view = flat(40, 50)
    view["instances"][..., 10:17, 20:27] = 2  # 49 of 2,000 pixels: 2.45 %
    view["instances"][..., 30:32, 40:41] = 3  # too small
    found = places(**view)
    assert SMALL[0] <= 49 / 2000 <= SMALL[1] < LARGE
    inside = found["small"][0, 0].nonzero()
    assert inside.amin(0).tolist() == [12, 22] or inside.amin(0).tolist() == [13, 23]
    assert (view["instances"][found["small"]] == 2).all()
    assert (view["instances"][found["large"]] == 1).all()
    assert not (found["small"] & found["large"]).any()


def test_things_are_counted_image_by_image() -> None:
    one, other = flat(40, 50), flat(40, 50)
    one["instances"][..., 10:17, 20:27] = 2
    other["instances"][..., 25:] = 2
    both = {key: torch.cat([one[key], other[key]]) for key in one}
    found = places(**both)
    for name, mask in places(**one).items():
        assert torch.equal(found[name][:1], mask)


def test_where_a_box_stands_on_the_floor() -> None:
    depth, normals = torch.full((1, 1, 10, 8), 2.0), facing(WALL, 10, 8)
    instances = torch.ones(1, 1, 10, 8, dtype=torch.long)
    instances[..., 6:, :] = 2
    normals[:, :, 6:] = FLOOR.view(1, 3, 1, 1)
    assert contact(depth, normals, instances)[0, 0, :, 3].nonzero().flatten().tolist() == [5, 6]
    hanging = depth.clone()
    hanging[..., 6:, :] = 3.0  # the floor is farther: the box hangs before it
    assert not contact(hanging, normals, instances).any()
    assert not contact(depth, normals, torch.ones_like(instances)).any()


def test_distances() -> None:
    found = distance_to(torch.tensor([[3.0, 4.0], [0.0, 0.0]]), 5, 6)
    assert found.shape == (2, 1, 5, 6)
    assert found[0, 0, 0, 0] == 5
    assert found[1, 0, 4, 3] == 5


def test_every_place_is_there_in_rooms_and_roads() -> None:
    for kind in ("rooms", "roads"):
        view = load(World(kind, "test", scenes=4, normals=True), cache=False).batch(range(4))
        found = places(view["image"], view["depth"], view["normals"], view["instances"])
        share = {name: mask.float().mean().item() for name, mask in found.items()}
        assert all(0.005 < each < 0.8 for each in share.values()), (kind, share)
        assert not (found["geometry"] & found["paint"]).any()
        assert 0.002 < contact(view["depth"], view["normals"], view["instances"]).float().mean() < 0.1
