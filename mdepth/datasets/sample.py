"""The sample contract: what every data set hands out, and the checks that it does.

A data set is a map-style torch ``Dataset`` whose items are dictionaries (``Sample``). Whatever the files held
(uint16 millimetres, reversed axes, a LiDAR scan), a sample holds float32 metres along the camera's z, zero
where unknown, and says in ``valid`` which pixels are known. Everything downstream (training, metrics, plots,
exporters) sees only this.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NotRequired, Protocol, TypedDict, cast, runtime_checkable

import torch
from torch.utils.data import Dataset, default_collate

from mdepth.datasets.timeline import Timeline
from mdepth.shapes import Bool, DataError, Float, Int, Tensor

__all__ = [
    "DepthDataset",
    "Sample",
    "Samples",
    "brief",
    "check_sample",
    "collate",
    "file_digest",
    "make_sample",
]


class Sample(TypedDict):
    """One image with its depth.

    ``image`` is RGB in [0, 1]; ``depth`` is metres along the camera's z and 0 where unknown; ``K`` is in
    pixels of this image, with pixel centres at integer coordinates; ``id`` is unique in the data set and
    ``scene`` names the place. The other keys are there when the source knows them: the camera's pose
    ``T_world_camera``, unit ``normals`` in camera coordinates, ``instances`` (0 = none), ``labels`` (classes
    from 0 on; unknown where not ``valid``), the right image of a stereo pair with ``T_right_left``
    (left-camera points to right-camera points), its measured ``disparity`` in pixels (0 = unknown), a
    ``sensor_depth`` with the holes and errors that a sensor would make, the pixel ``vanishing_point`` (u, v)
    of the road, and the ``time`` in seconds.

    Sequences (``mdepth.datasets.sequences``) add N ``neighbours`` in time with their motions
    ``T_neighbour_target`` (points of this camera's frame into the neighbours'), and the copies with other
    colours that a network is fed: ``augmented`` of ``image``, ``augmented_right``,
    ``augmented_neighbours``.
    """

    image: Float[Tensor, "3 H W"]
    depth: Float[Tensor, "1 H W"]
    valid: Bool[Tensor, "1 H W"]
    K: Float[Tensor, "3 3"]
    id: str
    scene: str
    T_world_camera: NotRequired[Float[Tensor, "4 4"]]
    normals: NotRequired[Float[Tensor, "3 H W"]]
    instances: NotRequired[Int[Tensor, "1 H W"]]
    labels: NotRequired[Int[Tensor, "1 H W"]]
    image_right: NotRequired[Float[Tensor, "3 H W"]]
    T_right_left: NotRequired[Float[Tensor, "4 4"]]
    disparity: NotRequired[Float[Tensor, "1 H W"]]
    sensor_depth: NotRequired[Float[Tensor, "1 H W"]]
    vanishing_point: NotRequired[Float[Tensor, " 2"]]
    time: NotRequired[float]
    neighbours: NotRequired[Float[Tensor, "N 3 H W"]]
    T_neighbour_target: NotRequired[Float[Tensor, "N 4 4"]]
    augmented: NotRequired[Float[Tensor, "3 H W"]]
    augmented_right: NotRequired[Float[Tensor, "3 H W"]]
    augmented_neighbours: NotRequired[Float[Tensor, "N 3 H W"]]


@runtime_checkable
class Samples(Protocol):
    """Anything with a length whose items are samples: all that exporters and checks ask for."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Sample: ...


class DepthDataset(Timeline, Dataset[Sample]):
    """A data set that obeys the sample contract; subclasses fill in ``name``, ``__len__``, ``__getitem__``
    and ``describe``.

    ``describe()`` goes into the description of a run, so it holds what decides the samples and nothing of
    where they lie on this machine. ``files()`` names the files that hold the data, for ``fingerprint()``.

    A data set of videos says in ``moments`` which items follow each other (``Timeline``); ``guessed_camera``
    says that ``K`` is nobody's measurement.
    """

    name: str = "unnamed"
    guessed_camera: bool = False

    def __len__(self) -> int:
        raise NotImplementedError

    def __getitem__(self, index: int) -> Sample:
        raise NotImplementedError

    def describe(self) -> dict[str, Any]:
        """What decides the samples, JSON-able."""
        return {"name": self.name, "length": len(self)}

    def files(self) -> Iterable[Path]:
        """The files that hold the data, in a fixed order."""
        return ()

    def fingerprint(self) -> str:
        """The sha256 (64 hex digits) of the description, of all files' names and sizes, and of contents.

        Contents are read of all files up to 511 and of some 256 evenly spread beyond, of large files in
        samples (``file_digest``): a set of a hundred gigabytes takes seconds.
        """
        digest = hashlib.sha256(json.dumps(self.describe(), sort_keys=True).encode())
        files = list(self.files())
        step = max(1, len(files) // 256)
        for number, path in enumerate(files):
            content = file_digest(path) if number % step == 0 else _size(path)
            digest.update(f"{path.name} {content}\n".encode())
        return digest.hexdigest()

    def item_index(self, index: int) -> int:
        """The index counted from the front; ``IndexError`` beyond either end, which also ends a ``for`` loop
        over the data set."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"{self.name}: item {index} of {len(self)}")
        return index % len(self)


def brief(names: Sequence[Any]) -> Any:
    """A list of names for ``describe()``: itself up to eight, beyond that its ends, length and sha256.

    Example:
        >>> brief(range(3)), brief(range(1000))["length"]
        ([0, 1, 2], 1000)
    """
    names = list(names)
    if len(names) <= 8:
        return names
    digest = hashlib.sha256(json.dumps(names).encode()).hexdigest()
    return {"first": names[0], "last": names[-1], "length": len(names), "sha256": digest}


def _size(path: Path) -> int:
    """The size of a file in bytes."""
    try:
        return path.stat().st_size
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check that the file exists") from None


def file_digest(path: Path, *, whole: int = 1 << 20, blocks: int = 16, block: int = 1 << 16) -> str:
    """The sha256 of a file: of all of it up to ``whole`` bytes, of its size and ``blocks`` evenly spread
    blocks beyond.

    Args:
        path: the file.
        whole: up to this size in bytes everything is read.
        blocks: how many blocks of a larger file are read.
        block: size of a block in bytes.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            if size <= whole:
                return hashlib.sha256(file.read()).hexdigest()
            digest = hashlib.sha256(str(size).encode())
            for i in range(blocks):
                file.seek(i * (size - block) // (blocks - 1))
                digest.update(file.read(block))
            return digest.hexdigest()
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}); check that the file exists and may be read"
        ) from None


def make_sample(
    image: Float[Tensor, "3 H W"],
    depth: Float[Tensor, "1 H W"],
    K: Float[Tensor, "3 3"],
    *,
    id: str,
    scene: str,
    **optional: Any,
) -> Sample:
    """A sample whose ``valid`` mask is ``depth > 0``; optional keys that are ``None`` are left out.

    Example:
        >>> depth = torch.tensor([[[0.0, 2.0], [1.0, 4.0]]])
        >>> sample = make_sample(torch.zeros(3, 2, 2), depth, torch.eye(3), id="a/0", scene="a")
        >>> sample["valid"].tolist()
        [[[False, True], [True, True]]]
    """
    known = {key: value for key, value in optional.items() if value is not None}
    return cast(
        Sample,
        {"image": image, "depth": depth, "valid": depth > 0, "K": K, "id": id, "scene": scene, **known},
    )


def collate(samples: Sequence[Sample]) -> dict[str, Any]:
    """A batch: tensors stacked along a new first axis, strings in lists; torch's default collate with an
    error that names the samples.

    Raises:
        DataError: the samples differ in size or keys; resize or crop them first
            (``mdepth.datasets.transforms``).
    """
    keys = [set(sample) for sample in samples]
    sizes = sorted({tuple(sample["image"].shape[1:]) for sample in samples})
    partial = sorted(set().union(*keys) - keys[0].intersection(*keys[1:]))
    if partial or len(sizes) > 1:
        names = ", ".join(sample["id"] for sample in samples[:4])
        what = f"keys {partial} are in some only" if partial else f"sizes differ: {sizes}"
        raise DataError(
            f"samples {names}, ...: cannot be stacked into a batch, {what}; make them equal before collating"
        )
    lengths = sorted({len(sample["neighbours"]) for sample in samples if "neighbours" in sample})
    if len(lengths) > 1:
        raise DataError(
            f"samples of {lengths} neighbours cannot be stacked into a batch; use the same offsets for all"
        )
    return default_collate(list(samples))


# A sensor's reading above this is taken for another unit: LiDAR ends near 120 m, KITTI's 16-bit files at 256
# m.
LARGEST_DEPTH = 1000.0

_KEYS: dict[str, tuple[tuple[int | str, ...], torch.dtype]] = {
    "image": ((3, "H", "W"), torch.float32),
    "depth": ((1, "H", "W"), torch.float32),
    "valid": ((1, "H", "W"), torch.bool),
    "K": ((3, 3), torch.float32),
    "T_world_camera": ((4, 4), torch.float32),
    "normals": ((3, "H", "W"), torch.float32),
    "instances": ((1, "H", "W"), torch.int64),
    "labels": ((1, "H", "W"), torch.int64),
    "image_right": ((3, "H", "W"), torch.float32),
    "T_right_left": ((4, 4), torch.float32),
    "disparity": ((1, "H", "W"), torch.float32),
    "sensor_depth": ((1, "H", "W"), torch.float32),
    "neighbours": (("N", 3, "H", "W"), torch.float32),
    "T_neighbour_target": (("N", 4, 4), torch.float32),
    "augmented": ((3, "H", "W"), torch.float32),
    "augmented_right": ((3, "H", "W"), torch.float32),
    "augmented_neighbours": (("N", 3, "H", "W"), torch.float32),
}
_IMAGES = ("image", "image_right", "neighbours", "augmented", "augmented_right", "augmented_neighbours")
_POSES = ("T_world_camera", "T_right_left", "T_neighbour_target")
_REQUIRED = ("image", "depth", "valid", "K", "id", "scene")


def check_sample(sample: Sample, *, max_depth: float = LARGEST_DEPTH, require_depth: bool = True) -> Sample:
    """Return the sample as it is, or say what is wrong with it.

    Checked are keys, dtypes and shapes; NaN and infinity; the image's range [0, 1]; negative depth; depth
    under ``valid`` that is zero; depth that cannot be metres (whole numbers or steps of 1/255 only, or beyond
    ``max_depth``); K's form; and that a pixel is valid.

    Args:
        sample: what a data set handed out.
        max_depth: the largest believable depth in metres.
        require_depth: whether a sample without a single valid pixel is an error.

    Raises:
        DataError: names the sample, the key, what was expected and what came.

    Example:
        >>> depth = torch.full((1, 2, 2), 2500.0)
        >>> sample = make_sample(torch.zeros(3, 2, 2), depth, torch.eye(3), id="kitchen/0", scene="kitchen")
        >>> check_sample(sample)
        Traceback (most recent call last):
        mdepth.shapes.DataError: sample 'kitchen/0': depth reaches 2500 m...divide by 1000 ...
    """
    name = f"sample {sample.get('id', '?')!r}"
    fields = cast(dict[str, Any], sample)
    _check_form(fields, name)
    _check_values(fields, name)
    _check_depth(sample["depth"], sample["valid"], name, max_depth, require_depth)
    return sample


def _check_form(sample: dict[str, Any], name: str) -> None:
    """Keys, types, dtypes and shapes, with H and W taken from the image and N from the neighbours."""
    missing = [key for key in _REQUIRED if key not in sample]
    if missing:
        raise DataError(f"{name}: keys {missing} are missing; a sample needs {list(_REQUIRED)}")
    if not all(isinstance(sample[key], str) and sample[key] for key in ("id", "scene")):
        raise DataError(
            f"{name}: id and scene must be non-empty strings, got {sample['id']!r} and {sample['scene']!r}"
        )
    for key, (shape, dtype) in _KEYS.items():
        if key not in sample:
            continue
        value = sample[key]
        if not isinstance(value, Tensor):
            raise DataError(
                f"{name}: {key} must be a tensor, got {type(value).__name__}; convert it with torch.as_tensor"
            )
        sizes = dict(zip("HW", sample["image"].shape[-2:], strict=True)) if sample["image"].ndim == 3 else {}
        if isinstance(sample.get("neighbours"), Tensor) and sample["neighbours"].ndim == 4:
            sizes["N"] = len(sample["neighbours"])
        expected = tuple(sizes.get(size, size) if isinstance(size, str) else size for size in shape)
        if value.dtype != dtype or tuple(value.shape) != expected:
            raise DataError(
                f"{name}: {key} must be {dtype} of shape {expected}, got {value.dtype} of shape "
                f"{tuple(value.shape)}"
            )
        if value.numel() == 0:
            raise DataError(f"{name}: {key} is empty, of shape {expected}; leave the frame out")


def _check_values(sample: dict[str, Any], name: str) -> None:
    """Finite numbers, the image's range, the form of K and of the poses."""
    for key in _KEYS:
        if key in sample and sample[key].is_floating_point() and not sample[key].isfinite().all():
            bad = int((~sample[key].isfinite()).sum())
            raise DataError(
                f"{name}: {key} holds {bad} NaN or infinite values; write 0 where depth is unknown"
            )
    for key in _IMAGES:
        if key in sample and (sample[key].min() < 0 or sample[key].max() > 1):
            low, high = sample[key].min().item(), sample[key].max().item()
            raise DataError(
                f"{name}: {key} must lie in [0, 1], got {low:g} to {high:g}; divide 8-bit values by 255"
            )
    K = sample["K"]
    if K[0, 0] <= 0 or K[1, 1] <= 0 or not torch.equal(K[2], K.new_tensor([0.0, 0.0, 1.0])):
        raise DataError(
            f"{name}: K must have positive focal lengths and last row (0, 0, 1), got {K.tolist()}"
        )
    for key in _POSES:
        last = sample[key][..., 3, :] if key in sample else K.new_tensor([0.0, 0.0, 0.0, 1.0])
        if (last != last.new_tensor([0.0, 0.0, 0.0, 1.0])).any():
            raise DataError(f"{name}: {key} must end in the row (0, 0, 0, 1), got {last.tolist()}")


def _check_depth(depth: Tensor, valid: Tensor, name: str, max_depth: float, require_depth: bool) -> None:
    """Signs, the mask, and the units that a depth map gives away."""
    if (depth < 0).any():
        raise DataError(
            f"{name}: depth has {int((depth < 0).sum())} negative values (least {depth.min():g}); write 0 "
            "where it is unknown"
        )
    if (depth[valid] == 0).any():
        raise DataError(
            f"{name}: valid marks {int((depth[valid] == 0).sum())} pixels whose depth is 0; valid must imply "
            "depth > 0"
        )
    known = depth[valid]
    if known.numel() == 0:
        if require_depth:
            raise DataError(
                f"{name}: depth has no valid pixel; leave the frame out or check how its depth was read"
            )
        return
    if known.max() > max_depth:
        raise DataError(
            f"{name}: depth reaches {known.max():g} m, more than {max_depth:g} m, so its unit is not metres; "
            "divide by 1000 if the file holds millimetres"
        )
    levels = known[:: max(1, known.numel() // 20_000)].unique()  # a sample of the pixels tells
    if levels.numel() >= 8 and torch.equal(levels, levels.round()):
        raise DataError(
            f"{name}: depth holds whole numbers only ({levels.numel()} of them, up to {known.max():g}): file "
            "codes, not metres"
        )
    steps = (levels * 255).double()
    if levels.numel() >= 8 and levels.max() <= 1 and (steps - steps.round()).abs().max() < 1e-4:
        raise DataError(
            f"{name}: depth holds steps of 1/255 up to 1: an 8-bit picture of depth without metric scale, "
            "not metres"
        )
