"""Pictures of one thing: the same for the same number, all names there, no metric size in them."""

import pytest
import torch

from mdepth.datasets.worlds import render
from mdepth.datasets.worlds.things import LOOKS, NAMES, Things, load_things, picture


def test_a_picture_depends_on_its_number_alone(tmp_path) -> None:
    few, many = (load_things(Things(count=count, height=24, width=32), cache=tmp_path) for count in (5, 9))
    (images, labels), (more, names) = few.batch(range(5)), many.batch(range(5))
    assert torch.equal(images, more)
    assert torch.equal(labels, names)
    assert images.shape == (5, 3, 24, 32)
    assert 0 <= images.min() <= images.max() <= 1
    other, _ = load_things(Things("test", 5, 24, 32), cache=tmp_path).batch(range(5))
    assert not torch.equal(images, other)


def test_every_thing_is_shown_and_fills_its_picture_alike() -> None:
    shares: dict[int, list[float]] = {}
    small = Things(height=48, width=64)
    for index in range(160):
        view, K, label = picture(small, index)
        assert view.labels == ("nothing", NAMES[label], "ground", "back")
        seen = render(view, 0, K, 48, 64, antialias=1) if index < 60 else None
        shares.setdefault(label, [])
        if seen is not None:
            shares[label].append((seen.instances == 1).float().mean().item())
    assert set(shares) == set(range(len(NAMES)))
    found = torch.tensor([share for some in shares.values() for share in some])
    assert found.min() > 0.002
    assert 0.03 < found.median() < 0.6


def test_size_cannot_be_told() -> None:
    """The distance follows the size: cars are seen from metres away, chairs from near."""
    distance = {name: [] for name in NAMES}
    for index in range(200):
        view, _, label = picture(Things(), index)
        distance[NAMES[label]].append(view.T_world_camera[0, :3, 3].norm().item())
    mean = {name: sum(some) / len(some) for name, some in distance.items()}
    assert mean["car"] > 3 * mean["chair"]


def test_unknown_split() -> None:
    with pytest.raises(ValueError, match="unknown split 'dev'; choose one of train, val, test"):
        Things("dev")


def test_looks_change_the_surfaces_of_the_thing_and_nothing_else() -> None:
    """Shape, pose, camera and background stay; natural things are described as they always were."""
    sets = {looks: Things("test", 6, 48, 64, looks=looks) for looks in LOOKS}
    for index in range(6):
        shown = {looks: render(*view(things, index), antialias=1) for looks, things in sets.items()}
        natural = shown["natural"]
        thing = natural.instances == 1
        for looks in ("any", "another"):
            other = shown[looks]
            assert torch.equal(other.depth, natural.depth)
            assert torch.equal(other.instances, natural.instances)
            changed = (other.image - natural.image).abs().amax(0, keepdim=True) > 1 / 255
            assert (changed & ~_near(thing)).float().mean() < 0.02  # light that the thing casts back
            assert changed[thing].float().mean() > 0.5
    assert "looks" not in sets["natural"].describe()["things"]
    assert sets["any"].describe() != sets["another"].describe()
    with pytest.raises(ValueError, match="looks must be one of natural, any, another, got 'cat'"):
        Things(looks="cat")


def view(things: Things, index: int):
    """What ``render`` needs for one picture."""
    scene, K, _ = picture(things, index)
    return scene, 0, K, things.height, things.width


def _near(mask: torch.Tensor) -> torch.Tensor:
    """The mask with a border of two pixels."""
    return torch.nn.functional.max_pool2d(mask.float()[None], 5, stride=1, padding=2)[0] > 0


def test_whose_surfaces_a_thing_wears(tmp_path) -> None:
    another = load_things(Things("train", 40, 24, 32, looks="another"), cache=tmp_path)
    _, labels = another.batch(range(40))
    worn = another.worn(range(40))
    assert (worn != labels).all()
    assert len(worn.unique()) > 8
    natural = load_things(Things("train", 4, 24, 32), cache=tmp_path)
    assert torch.equal(natural.worn(range(4)), natural.batch(range(4))[1])
    anyones = load_things(Things("train", 4, 24, 32, looks="any"), cache=tmp_path)
    assert anyones.worn(range(4)).tolist() == [-1] * 4
    assert torch.equal(anyones.batch(range(4))[1], labels[:4])
