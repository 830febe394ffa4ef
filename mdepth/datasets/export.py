"""Writing a data set out in the layouts of the real ones, so that the real loaders run end to end without the
real data.

``nyu_mat`` writes the container of the labelled NYU images, ``kitti_raw`` days, drives, LiDAR, poses and
calibration, ``make3d`` photographs with laser grids. Any data set that obeys the sample contract will do.
Images become 8 bits; nothing else is lost. Everything is written beside the target and renamed at the end: a
target exists whole or not at all.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mdepth.datasets.export_kitti import write_kitti_raw
from mdepth.datasets.files import atomic_file, atomic_folder, to_bytes
from mdepth.datasets.make3d import GRID, RANGE
from mdepth.datasets.sample import Sample, Samples, check_sample
from mdepth.shapes import DataError, Tensor

__all__ = ["kitti_raw", "make3d", "nyu_mat"]

# MATLAB writes this into the first 512 bytes of an HDF5 file, and looks for it.
_MATLAB_HEADER = b"MATLAB 7.3 MAT-file, written by mdepth".ljust(116) + bytes(8) + b"\x00\x02IM"


def nyu_mat(
    dataset: Samples, path: Path | str, *, test: Sequence[int] | None = None, overwrite: bool = False
) -> Path:
    """Write ``nyu_depth_v2_labeled.mat`` (and ``splits.mat`` beside it) as NYU does: HDF5, MATLAB's axes
    reversed.

    ``depths`` is filled: unknown pixels take the nearest known depth; ``rawDepths`` keeps the holes, and is
    ``sensor_depth`` where a sample has it. The official file says nothing of the camera; ``intrinsics`` (3,
    3) is added, and ``Labelled`` reads it. ``instances`` of a sample become label (id // 256) and instance
    (id % 256).

    Args:
        dataset: samples of one size and one K.
        path: the .mat file to write.
        test: indices of the test split; by default the last 45 % (654 of 1449).
        overwrite: replace what is there.

    Returns:
        The path.

    Raises:
        DataError: samples differ in size or K, a sample breaks the contract, the target exists, or the disk
            is full.
    """
    path = Path(path).expanduser()
    first = dataset[0]
    shape = (len(dataset), *first["image"].shape[:0:-1])  # N W H
    with atomic_file(path.with_name("splits.mat"), overwrite=overwrite) as splits:
        _write_splits(splits, len(dataset), test)
        with atomic_file(path, overwrite=overwrite) as temporary:
            _write_mat(dataset, temporary, shape, first["K"])
    return path


def _write_splits(path: Path, count: int, test: Sequence[int] | None) -> None:
    """``trainNdxs`` and ``testNdxs``, counting from 1, as MATLAB 5."""
    from scipy.io import savemat

    chosen = set(range(count - round(count * 654 / 1449), count) if test is None else test)
    if not chosen <= set(range(count)):
        raise ValueError(f"test must hold indices from 0 to {count - 1}, got {sorted(chosen)[:5]} ...")
    train = np.array([i + 1 for i in range(count) if i not in chosen], dtype=np.uint16)
    savemat(
        path,
        {"trainNdxs": train[:, None], "testNdxs": np.array(sorted(chosen), dtype=np.uint16)[:, None] + 1},
    )


def _write_mat(dataset: Samples, path: Path, shape: tuple[int, ...], K: Tensor) -> None:
    """The HDF5 file, sample by sample, with MATLAB's header."""
    import h5py

    count, size = shape[0], shape[1:]
    layout = {"images": "u1", "depths": "f4", "rawDepths": "f4", "labels": "u2", "instances": "u1"}
    needed = count * (14 * size[0] * size[1] + 1000) + 100_000  # bytes: 3 + 4 + 4 + 2 + 1 a pixel, and names
    if shutil.disk_usage(path.parent).free < needed:  # HDF5 does not survive a disk that runs full
        raise OSError(28, f"{needed / 1e6:.1f} MB are needed, more than this disk has free")
    with h5py.File(path, "w", userblock_size=512) as file:
        for key, dtype in layout.items():
            file.create_dataset(key, (count, 3, *size) if key == "images" else shape, dtype)
        scenes = []
        for i in range(count):
            sample = check_sample(dataset[i])
            same_camera(sample, size[::-1], K)
            scenes.append(sample["scene"])
            for key, values in _mat_entries(sample).items():
                file[key][i] = values
        file["intrinsics"] = K.double().numpy().T
        _write_strings(file, "scenes", scenes)
        _write_strings(file, "sceneTypes", [scene.split("_")[0] for scene in scenes])
        _write_strings(file, "names", ["thing"])
    with path.open("r+b") as handle:
        handle.write(_MATLAB_HEADER)


def _mat_entries(sample: Sample) -> dict[str, np.ndarray]:
    """What one sample adds to each array, axes reversed."""
    extra: dict[str, Any] = {**sample}
    raw = extra.get("sensor_depth", sample["depth"])[0].numpy()
    instances = extra.get("instances", torch.zeros_like(sample["depth"], dtype=torch.int64))[0].numpy()
    return {
        "images": to_bytes(sample["image"]).transpose(2, 1, 0),  # 3 W H
        "depths": _fill(sample["depth"][0].numpy()).T,
        "rawDepths": raw.T,
        "labels": (instances // 256).T,
        "instances": (instances % 256).T,
    }


def _fill(depth: np.ndarray) -> np.ndarray:
    """Unknown pixels take the depth of the nearest known one."""
    if depth.all():
        return depth
    from scipy.ndimage import distance_transform_edt

    rows, columns = distance_transform_edt(depth == 0, return_distances=False, return_indices=True)
    return depth[rows, columns]


def _write_strings(file: Any, key: str, values: list[str]) -> None:
    """A cell array of strings as MATLAB stores it: references to arrays of UTF-16 codes."""
    import h5py

    group = file.require_group("#refs#")
    references: list[Any] = []
    for value in values:
        codes = np.frombuffer(value.encode("utf-16-le"), dtype="<u2")
        item = group.create_dataset(f"{key}{len(references)}", data=codes[:, None])
        references.append(item.ref)
    file.create_dataset(key, data=np.array(references, dtype=h5py.ref_dtype)[None])


def same_camera(sample: Sample, size: tuple[int, ...], K: Tensor) -> None:
    """Raise unless the sample has this size and K: the layouts hold one camera only."""
    if tuple(sample["image"].shape[1:]) != size or not torch.allclose(sample["K"], K, atol=1e-3):
        raise DataError(
            f"sample {sample['id']!r}: is {tuple(sample['image'].shape[1:])} with K {sample['K'].tolist()}, "
            f"the first one {size} with "
            f"{K.tolist()}; this layout holds one camera, export the parts separately"
        )


def kitti_raw(
    dataset: Samples,
    root: Path | str,
    *,
    mode: str = "official",
    day: str = "2011_09_26",
    overwrite: bool = False,
) -> Path:
    """Write the raw KITTI layout: every scene becomes a drive, and ``split.txt`` lists all frames.

    The LiDAR scan has a point for each known pixel, placed so that ``velodyne_depth(scan, ..., mode)`` gives
    the depth map back: in "official" mode that is one pixel to the right and below (the official code takes
    it off again), and the last column is left out, which that code mixes up with the first of the next row.
    ``T_world_camera`` becomes GPS/IMU packets, ``image_right`` the images of camera 3.

    Args:
        dataset: samples of one size and one K; all or none of a scene's samples with a pose.
        root: the folder to write.
        mode: which projection is to give the depth back, "official" or "corrected".
        day: the calibration day.
        overwrite: replace what is there.

    Returns:
        The path, for ``kitti.Raw(root, (root / "split.txt").read_text().splitlines(), mode=mode)``.

    Raises:
        DataError: samples differ in size or camera, the target exists, or the disk is full.
    """
    if mode not in ("official", "corrected"):
        raise ValueError(f"mode must be 'official' or 'corrected', got {mode!r}")
    root = Path(root).expanduser()
    first = dataset[0]
    with atomic_folder(root, overwrite=overwrite) as temporary:
        samples = (dataset[i] for i in range(len(dataset)))
        checked = _checked(samples, first)
        write_kitti_raw(checked, temporary, first, mode, day)
    return root


def _checked(samples: Any, first: Sample) -> Any:
    """The samples one after the other, each held against the contract and the first one's camera."""
    size = tuple(first["image"].shape[1:])
    shift = torch.eye(4)
    if "T_right_left" in first:
        shift[0, 3] = first["T_right_left"][0, 3]
    for sample in samples:
        check_sample(sample)
        same_camera(sample, size, first["K"])
        T = sample.get("T_right_left")
        if T is not None and not torch.allclose(T, shift, atol=1e-5):
            raise DataError(
                f"sample {sample['id']!r}: T_right_left is {T.tolist()}, but this layout's cameras look the "
                f"same way, {abs(shift[0, 3].item()):g} m apart in all frames; export the parts separately"
            )
        yield sample


def make3d(dataset: Samples, root: Path | str, *, overwrite: bool = False) -> Path:
    """Write the official Make3D layout: ``img-<name>.png`` and ``depth_sph_corr-<name>.mat`` with
    ``Position3DGrid`` (55, 305, 4).

    The official photographs are ``.jpg``; ``.png`` loses nothing, and ``Make3D`` reads both. All files lie in
    one folder, without the official split.

    The grid takes the depth at the centres of its cells: x, y, z of the point, and z again as the laser's
    distance. What lies beyond the laser's reach of 81 m becomes unknown (0).

    Raises:
        DataError: a sample breaks the contract, two samples would get one name, the target exists, or the
            disk is full.
    """
    from PIL import Image
    from scipy.io import savemat

    root = Path(root).expanduser()
    with atomic_folder(root, overwrite=overwrite) as temporary:
        for i in range(len(dataset)):
            sample = check_sample(dataset[i])
            name = sample["id"].replace("/", "_")
            if (temporary / f"img-{name}.png").exists():
                raise DataError(
                    f"sample {sample['id']!r}: its file img-{name}.png is there already, of another sample; "
                    "make the ids differ in more than / and _"
                )
            Image.fromarray(to_bytes(sample["image"])).save(temporary / f"img-{name}.png")
            savemat(
                temporary / f"depth_sph_corr-{name}.mat",
                {"Position3DGrid": _grid(sample)},
                do_compression=True,
            )
    return root


def _grid(sample: Sample) -> np.ndarray:
    """(55, 305, 4) float64: x, y, z and distance at the cells' centres."""
    height, width = sample["image"].shape[1:]
    v = ((np.arange(GRID[0]) + 0.5) * height / GRID[0]).astype(int)
    u = ((np.arange(GRID[1]) + 0.5) * width / GRID[1]).astype(int)
    z = sample["depth"][0].numpy()[np.ix_(v, u)].astype(np.float64)
    z[z > RANGE] = 0
    rows, columns = np.meshgrid(v, u, indexing="ij")
    rays = np.linalg.inv(sample["K"].double().numpy()) @ np.stack(
        [columns.ravel(), rows.ravel(), np.ones(z.size)]
    )
    points = (rays * z.ravel()).T.reshape(*GRID, 3)
    return np.concatenate([points, z[..., None]], axis=-1)
