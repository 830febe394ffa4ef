"""Labels of rooms: every object has a class, pixels have their object's, and the world stays what it was."""

from pathlib import Path
from typing import cast

import pytest
import torch

from mdepth.datasets.sample import Sample, check_sample
from mdepth.datasets.worlds import World, load, scene
from mdepth.datasets.worlds.classes import CLASS_OF, ROOM_CLASSES, LabelledRooms


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory):
    cache: Path = tmp_path_factory.mktemp("cache")
    world = World("rooms", "test", scenes=3, frames=2, height=48, width=64, normals=True)
    return load(world, cache=cache)


def test_every_object_of_many_rooms_has_a_class() -> None:
    world = World("rooms", scenes=60)
    seen = {label for index in range(60) for label in scene(world, index).labels[1:]}
    assert seen <= set(CLASS_OF)
    assert {CLASS_OF[label] for label in seen} == set(ROOM_CLASSES)


def test_a_pixel_has_the_class_of_its_object(rooms) -> None:
    labelled = LabelledRooms(rooms)
    for index in (0, 3, 5, -1):
        sample = check_sample(cast(Sample, labelled[index]))
        names = scene(rooms.world, index % 6 // 2).labels
        for number in sample["instances"].unique().tolist():
            here = sample["labels"][sample["instances"] == number]
            assert set(here.tolist()) == {ROOM_CLASSES.index(CLASS_OF[names[number]])}
    batch = labelled.batch([4, 1])
    assert torch.equal(batch["labels"], torch.stack([labelled[4]["labels"], labelled[1]["labels"]]))
    assert batch["labels"].shape == batch["instances"].shape


def test_floors_and_ceilings_lie_and_walls_stand(rooms) -> None:
    """Seen from the world, the normal of a floor points up (-y), of a ceiling down; walls have none of it."""
    labelled = LabelledRooms(rooms)
    for index in range(len(labelled)):
        sample = labelled[index]
        up = -torch.einsum("i,ihw->hw", sample["T_world_camera"][1, :3], sample["normals"])
        of = {name: up[sample["labels"][0] == number] for number, name in enumerate(ROOM_CLASSES)}
        assert (of["floor"].median() if len(of["floor"]) else 1.0) > 0.99
        assert (of["ceiling"] < -0.99).all()
        assert (of["wall"].abs() < 0.01).float().mean() > 0.95  # the rest: tops of skirting boards


def test_the_world_stays_what_it_was(rooms) -> None:
    labelled = LabelledRooms(rooms)
    assert (labelled.describe(), labelled.fingerprint()) == (rooms.describe(), rooms.fingerprint())
    assert (len(labelled), labelled.name) == (len(rooms), rooms.name)
    sample, plain = labelled[1], rooms[1]
    assert set(sample) - set(plain) == {"labels"}
    assert torch.equal(sample["image"], plain["image"])
    with pytest.raises(ValueError, match="classes for rooms only"):
        LabelledRooms(load(World("roads", scenes=1), cache=False))
