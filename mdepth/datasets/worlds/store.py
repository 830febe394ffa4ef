"""A folder of .npy files that is rendered once, whole or not at all.

Layout: ``<cache>/<identity>/`` with one ``<name>.npy`` per array and ``meta.json`` (the description, shapes,
and the sha256 over all arrays). While it is being rendered the folder is called ``<identity>.partial``; every
finished chunk is appended to its files and noted in ``progress.json``, so that an interrupted render goes on
where it stopped. The rename to the final name comes last: a folder with the final name is complete. A file
lock lets one process render while others wait.
"""

import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mdepth.shapes import DataError

Rows = dict[str, np.ndarray]
Spec = dict[str, tuple[tuple[int, ...], str]]  # name -> (shape, dtype)


def default_cache() -> Path:
    """``$MDEPTH_CACHE``, or the user's cache folder of this system."""
    if os.environ.get("MDEPTH_CACHE"):
        return Path(os.environ["MDEPTH_CACHE"]).expanduser()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # in a notebook without widgets its progress bar complains
        import pooch

    return Path(pooch.os_cache("mdepth"))


def load_or_render(
    cache: Path,
    identity: str,
    description: dict[str, Any],
    spec: Spec,
    chunks: Callable[[int], Iterator[Rows]],
) -> Path:
    """The folder ``cache/identity``, rendered first if it is not there.

    Args:
        cache: where all worlds lie; made if missing.
        identity: name of the folder.
        description: written to meta.json.
        spec: shape and dtype of every array; the first axis is the frame.
        chunks: ``chunks(start)`` yields the rows from frame ``start`` on, some frames at a time.

    Raises:
        DataError: if the folder cannot be written (read-only, full disk) or a finished folder is damaged.
    """
    from filelock import FileLock

    folder = cache / identity
    if not folder.is_dir():
        try:
            cache.mkdir(parents=True, exist_ok=True)
            with FileLock(cache / f"{identity}.lock"):
                if not folder.is_dir():  # another process may have finished it while we waited
                    _render(folder, description, spec, chunks)
        except OSError as error:
            raise DataError(
                f"{folder}: cannot keep the rendered world there: {error.strerror or error}. It needs "
                f"{_size(spec) / 1e6:.0f} MB in a folder that may be written: free some space, set "
                "MDEPTH_CACHE to another folder, or pass cache=False to render on the fly"
            ) from error
    check(folder, spec)
    return folder


def _size(spec: Spec) -> int:
    """Bytes of all arrays."""
    return sum(int(np.prod(shape)) * np.dtype(dtype).itemsize for shape, dtype in spec.values())


def _render(
    folder: Path, description: dict[str, Any], spec: Spec, chunks: Callable[[int], Iterator[Rows]]
) -> None:
    """Render into ``<folder>.partial``, going on where an earlier render stopped, and rename."""
    partial = folder.with_name(folder.name + ".partial")
    partial.mkdir(exist_ok=True)
    done = _frames_done(partial, spec)
    free = shutil.disk_usage(partial).free
    if free < _size(spec) * (1 - done / max(1, next(iter(spec.values()))[0][0])) + 1e6:
        raise OSError(28, f"only {free / 1e6:.0f} MB free on this disk")
    files = {name: _open_at(partial / f"{name}.npy", *entry, done) for name, entry in spec.items()}
    try:
        for rows in chunks(done):
            for name, file in files.items():
                file.write(np.ascontiguousarray(rows[name], dtype=spec[name][1]).tobytes())
                file.flush()
            done += len(rows[next(iter(spec))])
            write_json(partial / "progress.json", {"frames": done})
    finally:
        for file in files.values():
            file.close()
    arrays = {name: [list(shape), dtype] for name, (shape, dtype) in spec.items()}
    meta = {"description": description, "arrays": arrays, "sha256": fingerprint(open_arrays(partial, spec))}
    write_json(partial / "meta.json", meta)
    (partial / "progress.json").unlink(missing_ok=True)
    partial.rename(folder)


def _frames_done(partial: Path, spec: Spec) -> int:
    """How many frames an earlier, interrupted render has finished; 0 if its note cannot be read, or a file
    lacks some of them.
    """
    try:
        done = int(json.loads((partial / "progress.json").read_text())["frames"])
        least = {name: _size({name: ((done, *shape[1:]), dtype)}) for name, (shape, dtype) in spec.items()}
        whole = all((partial / f"{name}.npy").stat().st_size >= size for name, size in least.items())
    except (OSError, ValueError, KeyError, TypeError):
        return 0
    return done if whole else 0


def _open_at(path: Path, shape: tuple[int, ...], dtype: str, done: int) -> BinaryIO:
    """An .npy file open for appending frame ``done``: header written, anything half-written cut off."""
    fresh = done == 0 or not path.exists()
    file = path.open("wb" if fresh else "r+b")
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    file.seek(file.tell() + done * int(np.prod(shape[1:])) * np.dtype(dtype).itemsize)
    file.truncate()
    return file


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file so that it is there whole or not at all."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content, indent=1, sort_keys=True))
    temporary.replace(path)


def open_arrays(folder: Path, spec: Spec) -> Rows:
    """The arrays of a folder, memory-mapped for reading."""
    return {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in spec}


def fingerprint(arrays: Rows) -> str:
    """sha256 over names, shapes, dtypes and contents of arrays, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.shape} {array.dtype.str}".encode())
        for start in range(0, len(array), 256):
            digest.update(np.ascontiguousarray(array[start : start + 256]).tobytes())
    return digest.hexdigest()


def check(folder: Path, spec: Spec) -> None:
    """Raise :class:`DataError` unless the folder holds exactly the arrays of ``spec``, each file complete."""
    remedy = f"delete the folder {folder} and load the world again"
    if not (folder / "meta.json").is_file():
        raise DataError(f"{folder / 'meta.json'}: missing, so this cached world is damaged; {remedy}")
    for name, (shape, dtype) in spec.items():
        path = folder / f"{name}.npy"
        try:
            array = np.load(path, mmap_mode="r")
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: cannot be read as an array ({error}); {remedy}") from error
        if array.shape != tuple(shape) or array.dtype != np.dtype(dtype):
            raise DataError(
                f"{path}: expected {dtype} of shape {tuple(shape)}, found {array.dtype} of shape "
                f"{array.shape}; {remedy}"
            )
