"""Worlds as data sets: rendered once into a cache, or on the fly, and read back fast in batches."""

import json
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from mdepth.datasets.worlds.rendering import Rendering, render
from mdepth.datasets.worlds.roads import build_road
from mdepth.datasets.worlds.rooms import build_room
from mdepth.datasets.worlds.scenery import Scene
from mdepth.datasets.worlds.sensors import kinect_depth, lidar_depth
from mdepth.datasets.worlds.store import (
    Rows,
    Spec,
    default_cache,
    fingerprint,
    load_or_render,
    open_arrays,
)
from mdepth.datasets.worlds.textures import painted, swapped
from mdepth.datasets.worlds.world import World
from mdepth.shapes import DataError, Float, Tensor

CHUNK = 32  # frames between two notes of progress

Progress = Callable[[int, int], None]


def scene(world: World, index: int) -> Scene:
    """Scene number ``index`` of a world: solids, lamps, camera path; nothing rendered yet.

    Raises:
        ValueError: if the world has no such scene.

    Example:
        >>> len(scene(World("roads", frames=3), 0).times)
        3
    """
    if not 0 <= index < world.scenes:
        raise ValueError(f"scene {index}: this world has scenes 0 to {world.scenes - 1}")
    view = build_room(world, index) if world.kind == "rooms" else build_road(world, index)
    if world.looks == "natural":
        return view
    repaint = swapped if world.looks == "swapped" else painted
    return replace(view, materials=repaint(view.materials, world.random(index, "paint")))


def load(
    world: World,
    *,
    cache: Path | str | bool | None = None,
    progress: Progress | bool | None = None,
    workers: int = 1,
    device: torch.device | str = "cpu",
) -> "WorldDataset":
    """The data set of a world; rendered into the cache the first time.

    Args:
        world: what to render.
        cache: folder of the cache; None: ``$MDEPTH_CACHE`` or the user's cache folder; False: no cache, every
            sample is rendered when it is asked for.
        progress: called as ``progress(done, total)`` after every chunk of frames; True shows a bar.
        workers: processes that render; more than one needs a script guarded by ``if __name__ == "__main__"``,
            and pays from some hundred frames on.
        device: where frames are rendered, for example ``"cuda"``; samples lie on the CPU either way. Two
            kinds of device round differently, so ``fingerprint()`` tells their caches apart.

    Raises:
        ValueError: for several workers on another device than the CPU.
        DataError: if the cache cannot be written, or what lies there is damaged.

    Example:
        >>> load(World("rooms", scenes=1, height=24, width=32), cache=False)[0]["image"].shape
        torch.Size([3, 24, 32])
    """
    if workers > 1 and torch.device(device).type != "cpu":
        raise ValueError(f"workers={workers} render on the CPU; on {device} one process is enough")
    if cache is False:
        return WorldDataset(world, None, device)
    folder = default_cache() if cache is None or cache is True else Path(cache)
    report = _bar(world) if progress is True else (progress or None)

    def chunks(start: int) -> Iterator[Rows]:
        return _render_chunks(world, start, report, workers, device)

    path = load_or_render(folder, world.identity(), world.describe(), array_spec(world), chunks)
    return WorldDataset(world, path)


def _render_chunks(
    world: World, start: int, report: Progress | None, workers: int, device: torch.device | str
) -> Iterator[Rows]:
    """The frames from ``start`` on, :data:`CHUNK` at a time, rendered here or by other processes."""
    total = world.scenes * world.frames
    with ExitStack() as stack:
        each: Callable[..., Iterable[Rows]] = map
        if workers > 1:
            context = multiprocessing.get_context("spawn")
            each = stack.enter_context(ProcessPoolExecutor(workers, mp_context=context)).map
        for begin in range(start, total, CHUNK):
            end = min(begin + CHUNK, total)
            yield _stack(list(each(partial(render_row, world, device=device), range(begin, end))))
            if report is not None:
                report(end, total)


def _bar(world: World) -> Progress:
    """A tqdm bar as a progress function; silent where no terminal watches, as in a notebook."""
    from tqdm import tqdm

    title, total = f"rendering {world.kind} {world.split}", world.scenes * world.frames
    bar = tqdm(total=total, desc=title, unit="frame", disable=None)
    done_before = 0

    def report(done: int, total: int) -> None:
        nonlocal done_before
        bar.update(done - done_before)  # a silent bar does not count
        done_before = done
        if done == total:
            bar.close()

    return report


def array_spec(world: World) -> Spec:
    """Names, shapes and dtypes of the arrays that a world is stored as."""
    n, h, w = world.scenes * world.frames, world.height, world.width
    spec: Spec = {
        "image": ((n, h, w, 3), "uint8"),
        "depth": ((n, h, w), "float32"),
        "instances": ((n, h, w), "int16"),
        "K": ((n, 3, 3), "float32"),
        "T_world_camera": ((n, 4, 4), "float32"),
        "time": ((n,), "float32"),
        "vanishing_point": ((n, 2), "float32"),
    }
    if world.normals:
        spec["normals"] = ((n, h, w, 3), "float16")
    if world.stereo:
        spec["image_right"] = ((n, h, w, 3), "uint8")
    if world.kinect or world.lidar:
        spec["sensor_depth"] = ((n, h, w), "float32")
    return spec


@lru_cache(maxsize=4)
def _scene(world: World, index: int) -> Scene:
    """The scene of the frames that are rendered one after the other."""
    return scene(world, index)


def render_row(world: World, index: int, device: torch.device | str = "cpu") -> Rows:
    """Render frame ``index`` of a world: the arrays of :func:`array_spec`, without their first axis."""
    number, frame = divmod(index, world.frames)
    view, K = _scene(world, number), world.intrinsics()
    pose = view.T_world_camera[frame]

    def seen(T_world_camera: Tensor) -> Rendering:
        """What a camera at this pose sees at this moment, on the CPU."""
        size = world.height, world.width
        return render(
            view, frame, K, *size, T_world_camera=T_world_camera, antialias=world.antialias, device=device
        ).cpu()

    left = seen(pose)
    row = {
        "image": _bytes(left.image),
        "depth": (left.depth * (left.depth <= world.max_depth))[0].numpy(),
        "instances": left.instances[0].numpy(),
        "K": K.numpy(),
        "T_world_camera": pose.numpy(),
        "time": np.float32(view.times[frame]),
        "vanishing_point": vanishing_point(view, K, pose),
    }
    if world.normals:
        row["normals"] = left.normals.permute(1, 2, 0).numpy()
    if world.stereo:
        right = pose @ torch.linalg.inv(_right_from_left(world))
        row["image_right"] = _bytes(seen(right).image)
    if world.kinect or world.lidar:
        row["sensor_depth"] = _sensor(world, view, left, K, number, frame)
    return {name: np.asarray(row[name], dtype=dtype) for name, (_, dtype) in array_spec(world).items()}


def _sensor(world: World, view: Scene, left: Rendering, K: Tensor, number: int, frame: int) -> np.ndarray:
    """Depth as the world's sensor reports it."""
    rng = np.random.default_rng(world.random(number, "sensor").integers(0, 2**63, size=1 + frame))
    if world.lidar:
        return lidar_depth(left.depth, K, rng)[0].numpy()
    return kinect_depth(left.depth, left.normals, left.image, K, rng)[0].numpy()


def vanishing_point(view: Scene, K: Float[Tensor, "3 3"], pose: Float[Tensor, "4 4"]) -> np.ndarray:
    """Pixel (u, v) where the scene's parallel lines meet: those that run most nearly along the view.

    For a direction d it is the projection of K Rᵀ d; on roads d is the road's, in rooms that of the walls
    along which the camera looks.
    """
    directions = (
        torch.tensor(view.main_directions, dtype=torch.float32) @ pose[:3, :3]
    )  # in the camera's frame
    u, v, depth = K @ directions[directions[:, 2].abs().argmax()]
    return torch.stack([u / depth, v / depth]).numpy()


def _right_from_left(world: World) -> Float[Tensor, "4 4"]:
    """T_right_left: a point of the left camera's frame, in the right camera's."""
    matrix = torch.eye(4)
    matrix[0, 3] = -world.baseline
    return matrix


def _bytes(image: Float[Tensor, "3 H W"]) -> np.ndarray:
    """[0, 1] to 0 ... 255, as (H, W, 3)."""
    return (255 * image).round().byte().permute(1, 2, 0).numpy()


def _stack(rows: Sequence[Rows]) -> Rows:
    """Rows to arrays with a first axis."""
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


class WorldDataset(Dataset):
    """The frames of a :class:`World`, obeying the sample contract of :mod:`mdepth.datasets`.

    Item ``scene * frames + frame`` has ``image, depth, valid, K, id, scene, T_world_camera, instances, time,
    vanishing_point`` and, as the world says, ``image_right, T_right_left, normals, sensor_depth``. ``depth``
    is exact, and 0 (not ``valid``) in the sky and beyond ``world.max_depth``. Made by :func:`load`.
    """

    def __init__(self, world: World, folder: Path | None, device: torch.device | str = "cpu") -> None:
        self.world = world
        self.folder = folder
        self.device = device
        self.name = world.identity()
        self._arrays = None if folder is None else open_arrays(folder, array_spec(world))
        self._fingerprint: str | None = None

    def __getstate__(self) -> dict[str, Any]:
        """What another process needs: not the frames, which it opens itself."""
        return {**self.__dict__, "_arrays": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.folder is not None:
            self._arrays = open_arrays(self.folder, array_spec(self.world))

    @property
    def arrays(self) -> Rows:
        """The memory-mapped arrays of the cache, by name (images uint8 (N, H, W, 3), depth float32 (N, H, W),
        ...).

        Raises:
            ValueError: if the world is rendered on the fly.
        """
        if self._arrays is None:
            raise ValueError("a world loaded with cache=False has no arrays: load it with a cache")
        return self._arrays

    def __len__(self) -> int:
        return self.world.scenes * self.world.frames

    def __getitem__(self, index: int) -> dict[str, Any]:
        index = self._check_index(index)
        sample: dict[str, Any] = {name: value[0] for name, value in self.batch([index]).items()}
        number, frame = divmod(index, self.world.frames)
        sample["time"] = sample["time"].item()
        sample["scene"] = f"{self.world.kind}/{self.world.split}/{number:05d}"
        sample["id"] = f"{sample['scene']}/{frame:02d}"
        return sample

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """Stacked tensors of the named frames (everything of a sample but ``id`` and ``scene``): one read per
        array.

        Raises:
            IndexError: for an index outside the data set.
        """
        chosen = np.array([self._check_index(int(index)) for index in indices], dtype=np.int64)
        if self._arrays is None:
            rows = _stack([render_row(self.world, int(index), self.device) for index in chosen])
        else:
            rows = {name: array[chosen] for name, array in self._arrays.items()}
        batch = self._tensors(rows)
        batch["valid"] = batch["depth"] > 0
        if self.world.stereo:
            batch["T_right_left"] = _right_from_left(self.world).expand(len(chosen), 4, 4).clone()
        return batch

    def neighbour(self, index: int, offset: int) -> int | None:
        """The index of the frame ``offset`` frames after one of the same scene; None where there is none."""
        index = self._check_index(index)
        inside = 0 <= index % self.world.frames + offset < self.world.frames
        return index + offset if inside else None

    def views(self, frames: Sequence[int]) -> dict[str, Tensor]:
        """``image``, ``T_world_camera`` and ``time`` of the named frames, stacked; as :meth:`batch`, but
        nothing else is read."""
        chosen = [self._check_index(int(index)) for index in frames]
        names = ("image", "T_world_camera", "time")
        if self._arrays is None:
            rows = _stack([render_row(self.world, index, self.device) for index in chosen])
        else:
            rows = {name: self._arrays[name][chosen] for name in names}
        return self._tensors({name: rows[name] for name in names})

    def index(self, scene: int, frame: int) -> int:
        """The index of a frame of a scene; for a sequence's neighbours."""
        if not (0 <= scene < self.world.scenes and 0 <= frame < self.world.frames):
            raise IndexError(
                f"{self.name}: there is no frame {frame} of scene {scene}; it has {self.world.scenes} scenes "
                f"of {self.world.frames} frames"
            )
        return scene * self.world.frames + frame

    def describe(self) -> dict[str, Any]:
        """The world's description, ready for JSON."""
        return self.world.describe()

    def fingerprint(self) -> str:
        """sha256 over all arrays: stored with the cache; on the fly it has to render everything once."""
        if self._fingerprint is None and self.folder is not None:
            self._fingerprint = json.loads((self.folder / "meta.json").read_text())["sha256"]
        elif self._fingerprint is None:
            rows = [render_row(self.world, i, self.device) for i in range(len(self))]
            self._fingerprint = fingerprint(_stack(rows))
        return self._fingerprint

    def verify(self) -> None:
        """Read the whole cache and compare it with its sha256.

        Raises:
            DataError: if a byte has changed.
        """
        if self.folder is not None and fingerprint(self.arrays) != self.fingerprint():
            raise DataError(
                f"{self.folder}: contents differ from their sha256 in meta.json; delete the folder and "
                "load the world again"
            )

    def _check_index(self, index: int) -> int:
        if not -len(self) <= index < len(self):
            raise IndexError(f"{self.name} has {len(self)} frames, asked for number {index}")
        return index % len(self)

    def _tensors(self, rows: Rows) -> dict[str, Tensor]:
        """Arrays as stored to tensors as promised."""
        batch = {}
        for name, array in rows.items():
            value = torch.from_numpy(array)
            if name in ("image", "image_right"):
                value = value.permute(0, 3, 1, 2).float().div_(255)
            elif name == "normals":
                value = value.permute(0, 3, 1, 2).float()
            elif name in ("depth", "sensor_depth"):
                value = value[:, None]
            elif name == "instances":
                value = value[:, None].long()
            batch[name] = value
        return batch
