"""What ``mdepth evaluate`` holds predictions against: a world or real files, and a baseline that knows no
image.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mdepth.cli.data import KINDS, SPLITS, data_folder
from mdepth.cli.errors import choose
from mdepth.cli.output import say

__all__ = ["SCENES", "Truth", "open_truth"]

SCENES = 64
"""Scenes of a world, unless another number is given; also what its baseline is learnt from."""
WORLD = "B: synthetic worlds"
REAL = "d: real frames (D for a network trained on the same set, C for the authors' own predictions)"


@dataclass(frozen=True)
class Truth:
    """What predictions are held against, and what the baseline is learnt from."""

    dataset: Any
    learnt_from: Any
    baseline: str
    """In words, where the baseline's depth comes from."""
    limit: int | None
    level: str
    """The level of evidence of a score on these data."""


def open_truth(data: str, split: str | None, scenes: int | None, limit: int | None) -> Truth:
    """The test data and what the baseline is learnt from."""
    name, sign, place = data.partition("=")
    if name in KINDS:
        if sign:
            raise ValueError(f"--data {data}: a world is made, not read; it takes no place")
        return _open_world(name, split, scenes, limit)
    if scenes is not None:
        raise ValueError("--scenes is for worlds (rooms, roads); --limit takes some images of any set")
    dataset = _open_real(name, place, split)
    return Truth(dataset, dataset, "the mean log depth of these very images, which favours it", limit, REAL)


def _open_world(kind: str, split: str | None, scenes: int | None, limit: int | None) -> Truth:
    """A world, rendered or from the cache; the baseline knows its training scenes."""
    from mdepth.datasets.worlds import World, load

    chosen, number = choose("split", split or "test", SPLITS), SCENES if scenes is None else scenes
    choices: dict[str, Any] = {"kind": kind, "scenes": number}
    parts: list[Any] = [chosen, "train"]
    progress = None if os.environ.get("TQDM_DISABLE") else _spoken
    test, train = (load(World(**choices, split=part), progress=progress) for part in parts)
    return Truth(test, train, f"the mean log depth of {number} training scenes", limit, WORLD)


def _spoken(done: int, total: int) -> None:
    """Progress of rendering, a line each time a quarter is done."""
    if done == total or (done * 4 // total) > ((done - 32) * 4 // total):
        say(f"rendering: {done} of {total} frames")


def _open_real(name: str, place: str, split: str | None) -> Any:
    """A real set, from a place of its own or from the data folder."""
    from mdepth.datasets.check import find
    from mdepth.datasets.sources import SOURCES, open_source

    choose("data", name, [*KINDS, *(source.key for source in SOURCES)])
    if place:
        path = Path(place).expanduser()
        if not path.exists():
            raise ValueError(f"{path}: does not exist; --data KEY=PLACE names a folder that is there")
        return open_source(name, path, **_options(name, split, None))
    inventory = find(data_folder(None))
    return inventory.open(name, **_options(name, split, inventory))


def _options(name: str, split: str | None, inventory: Any) -> dict[str, Any]:
    """What --split means to a loader."""
    if split is None:
        return {}
    if name in ("kitti/raw", "kitti/annotated"):
        from mdepth.datasets.kitti import read_split

        return {"split": read_split(Path(split).expanduser()), "missing": "skip"}
    if name == "nyu/labelled" and inventory is not None:
        return {
            "splits": inventory.path("nyu/splits") / "splits.mat",
            "split": choose("split", split, SPLITS),
        }
    raise ValueError(f"--split: {name} has none; it is for worlds, nyu/labelled and kitti/raw (a list file)")
