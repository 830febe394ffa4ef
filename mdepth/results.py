"""The record of a run: what it was, what it measured, its curve, and a few predictions. Written whole or not
at all.

A record is a folder of four small files, ``run.json``, ``metrics.json``, ``history.csv`` and
``samples.npz``, together at most 100 KB, so that it can be committed and every table and figure drawn from
it. It holds no weights and, where the data were real, no samples: predictions on other people's images are
derived from them.
"""

import csv
import io
import json
import math
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mdepth.shapes import DataError

__all__ = [
    "FILES", "FORMAT", "LIMIT", "Record", "benchmark", "check", "level_of", "read", "root", "shelf", "write",
]  # fmt: skip

FILES = ("run.json", "metrics.json", "history.csv", "samples.npz")
FORMAT = 1
"""Version of the record's layout."""
LIMIT = 100_000
"""Bytes that the four files may have together."""
COLUMNS = ("step", "loss", "lr", "seconds")

RUN_FIELDS: dict[str, type | tuple[type, ...]] = {
    "format": int,
    "source": str,
    "variant": str,
    "profile": str,
    "seed": int,
    "identity": str,
    "meaning": str,
    "description": dict,
    "commit": (str, type(None)),
    "versions": dict,
    "hardware": dict,
    "finished": str,
    "seconds": (int, float),
    "train_seconds": (int, float),
    "peak_memory_mb": (int, float),
    "parameters": int,
    "data": dict,
    "sample_ids": list,
    "extra": dict,
}
"""Fields of run.json and their types; all are required, no others are allowed."""
DATA_FIELDS: dict[str, type | tuple[type, ...]] = {"hash": str, "real": bool, "train": dict, "test": dict}
"""Fields of run.json: data. ``real`` is true where images of others were used."""
PROTOCOL_FIELDS: dict[str, type | tuple[type, ...]] = {
    "mean": dict,
    "pooled": dict,
    "per_image": dict,
    "ids": list,
    "n_images": int,
    "n_pixels": int,
}
"""Fields of every entry of metrics.json. A key is a protocol, or ``protocol@baseline``, for example
``worlds@mean-map``.
"""


@dataclass(frozen=True)
class Record:
    """A run's record in memory."""

    run: dict[str, Any]
    """See ``RUN_FIELDS``."""
    metrics: dict[str, dict[str, Any]]
    """For every protocol: mean and pooled (metric -> number), per_image (metric -> numbers in the order of
    ids); ids may be left out where nothing is kept image by image.
    """
    history: dict[str, list[float]]
    """Columns step, loss, lr, seconds."""
    samples: dict[str, np.ndarray] = field(default_factory=dict)
    """float16 arrays; the first axis of those called ``prediction...`` follows run["sample_ids"]."""
    folder: Path | None = None
    """Where it was read from."""

    def mean(self, metric: str, protocol: str) -> float:
        """A metric's mean over the images.

        Raises:
            DataError: the record has no such protocol or metric; the message lists what it has.
        """
        means: dict[str, float] = self.metrics.get(protocol, {}).get("mean", {})
        for table, key, what in ((self.metrics, protocol, "protocol"), (means, metric, "metric")):
            if key not in table:
                raise DataError(f"{self.folder or 'record'}: no {what} {key!r}; it has {', '.join(table)}")
        return means[metric]


def level_of(record: Record) -> str:
    """The level of evidence of a record's numbers, decided in this one place.

    Synthetic worlds give B; real data give what the run itself declares (``extra["level"]``: C, D or d), and
    d, the weakest, where it declares nothing.

    Raises:
        ValueError: a run on the worlds claims more than B, or names a level that does not exist.
    """
    real, claimed = record.run["data"]["real"], record.run["extra"].get("level")
    if claimed is None:
        return "d" if real else "B"
    if claimed not in ("C", "D", "d") if real else claimed != "B":
        wanted = "C, D or d" if real else "B"
        raise ValueError(
            f"{record.folder or 'record'}: run.json, extra: level {claimed!r}, expected {wanted}; "
            f"the data are {'real' if real else 'synthetic'}"
        )
    return claimed


def root() -> Path:
    """The folder of all records: ``$MDEPTH_RESULTS``, the repository's ``results``, or ``results`` right
    here.
    """
    if named := os.environ.get("MDEPTH_RESULTS"):
        return Path(named).expanduser().resolve()
    repository = Path(__file__).resolve().parents[1]
    return (repository if (repository / "pyproject.toml").is_file() else Path.cwd()) / "results"


def shelf(profile: str) -> Path:
    """Where the records of a profile are read from: below ``root()``, or what an installed wheel carries."""
    place, carried = root() / profile, Path(__file__).resolve().parent / "_records" / profile
    return carried if carried.is_dir() and not place.is_dir() else place


def benchmark(name: str) -> dict[str, Any]:
    """A committed result of ``benchmarks/<name>.py``: its ``rows``, and the ``hardware``, ``versions``,
    ``commit`` and ``date`` without which a time means nothing.

    Raises:
        DataError: there is none of that name.
    """
    path = shelf("benchmarks") / f"{name}.json"
    if not path.is_file():
        raise DataError(
            f"{path}: expected the result of a benchmark, found none; `python benchmarks/{name}.py --write` "
            "makes it"
        )
    return _read_json(path)


def write(record: Record, folder: Path | str, *, files: Mapping[str, Path] | None = None) -> Path:
    """Write a record as a folder that exists whole or not at all, even if the process is killed or the disk
    is full.

    Args:
        record: checked first, see ``check``.
        folder: replaced if it exists.
        files: further files to move into the folder, name -> where they lie now (weights beside the record).

    Raises:
        DataError: the record is not what a record should be, or larger than 100 KB.
        OSError: the place cannot be written to, or the disk is full; nothing half-written stays behind.
    """
    folder = Path(folder)
    contents = _to_bytes(record, folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent))
    try:
        temporary.chmod(0o755)
        for name, content in contents.items():
            with (temporary / name).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        for name, path in (files or {}).items():
            shutil.move(path, temporary / name)
        _move_into_place(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _move_into_place(temporary: Path, folder: Path) -> None:
    """Rename a finished folder to its final name; an older one steps aside first and is deleted last."""
    aside = temporary.with_suffix(".old")
    if folder.exists():
        folder.rename(aside)
    temporary.rename(folder)
    shutil.rmtree(aside, ignore_errors=True)


def read(folder: Path | str) -> Record:
    """Read and check a record.

    Raises:
        DataError: a file is missing or damaged, or a field is wrong; the message names both.
    """
    folder = Path(folder)
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise DataError(
            f"{folder}: expected a record, the file {missing[0]} is missing; run it again or restore it "
            "from git"
        )
    run, metrics = (_read_json(folder / name) for name in FILES[:2])
    record = Record(run, metrics, _read_history(folder / FILES[2]), _read_samples(folder / FILES[3]), folder)
    _check_record(record, folder)
    return record


def check(folder: Path | str) -> None:
    """Raise a DataError unless the folder holds a record that is complete, correct and at most 100 KB
    large.
    """
    read(folder)
    _check_size(sum((Path(folder) / name).stat().st_size for name in FILES), Path(folder))


def _to_bytes(record: Record, folder: Path) -> dict[str, bytes]:
    """The four files, checked."""
    _check_record(record, folder)
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(
        zip(*([f"{value:.6g}" for value in record.history[name]] for name in COLUMNS), strict=True)
    )
    arrays = io.BytesIO()
    np.savez_compressed(arrays, **record.samples)  # type: ignore[arg-type]
    texts = (
        _to_json(_plain(record.run, digits=9)),
        _to_json(_plain(record.metrics, digits=5)),
        table.getvalue(),
    )
    parts = [*(text.encode() for text in texts), arrays.getvalue()]
    _check_size(sum(map(len, parts)), folder)
    return dict(zip(FILES, parts, strict=True))


def _plain(value: Any, digits: int) -> Any:
    """What JSON can hold: floats with so many significant digits, NaN and infinity as null, tuples as
    lists.
    """
    if isinstance(value, Mapping):
        return {str(key): _plain(item, digits) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, digits) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.{digits}g}") if math.isfinite(value) else None
    return value


def _to_json(value: Any, depth: int = 0) -> str:
    """JSON with a line for every field of the outer three levels; lists and what lies deeper stay on one
    line.
    """
    if not isinstance(value, dict) or not value or depth == 3:
        return json.dumps(value, separators=(",", ":"), allow_nan=False)
    pad = " " * depth
    inner = ",\n".join(f"{pad} {json.dumps(key)}: {_to_json(item, depth + 1)}" for key, item in value.items())
    return f"{{\n{inner}\n{pad}}}" + ("\n" if depth == 0 else "")


def _read_json(path: Path) -> dict[str, Any]:
    """A JSON object, or an error that names the file."""
    try:
        content = json.loads(path.read_text())
    except (ValueError, OSError) as error:
        raise DataError(f"{path}: expected JSON, found a damaged file ({error}); run it again") from None
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected a JSON object, found {type(content).__name__}; run it again")
    return content


def _read_history(path: Path) -> dict[str, list[float]]:
    """The curve's columns, as numbers."""
    try:
        header, *rows = list(csv.reader(path.read_text().splitlines()))
        columns = [[float(row[i]) for row in rows] for i in range(len(COLUMNS))]
    except (ValueError, IndexError, OSError) as error:
        raise DataError(
            f"{path}: expected columns {', '.join(COLUMNS)} of numbers ({error}); run it again"
        ) from None
    if tuple(header) != COLUMNS:
        raise DataError(
            f"{path}: expected the columns {', '.join(COLUMNS)}, found {', '.join(header)}; run it again"
        )
    return dict(zip(COLUMNS, columns, strict=True))


def _read_samples(path: Path) -> dict[str, np.ndarray]:
    """The arrays; pickled objects are refused."""
    broken = (ValueError, TypeError, OSError, EOFError, NotImplementedError, zlib.error, zipfile.BadZipFile)
    try:
        with np.load(path, allow_pickle=False) as arrays:  # a TypeError: one array, no archive of them
            return {name: arrays[name] for name in arrays.files}
    except broken as error:
        raise DataError(
            f"{path}: expected plain arrays, found a damaged file ({error}); run it again"
        ) from None


def _check_size(size: int, folder: Path) -> None:
    """Raise if the four files are larger together than a record may be."""
    if size > LIMIT:
        raise DataError(
            f"{folder}: a record may have {LIMIT} bytes, this one has {size}; thin the history, keep fewer "
            "images"
        )


def _check_record(record: Record, folder: Path) -> None:
    """Raise a DataError that names file and field unless everything a record needs is there, and nothing
    else.
    """
    run = f"{folder / 'run.json'}"
    _check_fields(record.run, RUN_FIELDS, run)
    _check_fields(record.run["data"], DATA_FIELDS, f"{run}, data")
    if record.run["format"] != FORMAT:
        raise DataError(
            f"{run}: field format is {record.run['format']}, this version reads {FORMAT}; run it again"
        )
    if not record.metrics:
        raise DataError(f"{folder / 'metrics.json'}: expected at least one protocol, found none")
    for name, scores in record.metrics.items():
        _check_scores(scores, f"{folder / 'metrics.json'}, {name}")
    lengths = {name: len(record.history.get(name, ())) for name in COLUMNS}
    if set(record.history) != set(COLUMNS) or len(set(lengths.values())) != 1:
        raise DataError(
            f"{folder / 'history.csv'}: expected the columns {', '.join(COLUMNS)} of one length, found "
            f"{lengths}"
        )
    _check_samples(record, folder)


def _check_fields(content: Any, fields: dict[str, Any], place: str) -> None:
    """Raise unless the dictionary has exactly these fields with these types."""
    if not isinstance(content, dict):
        raise DataError(f"{place}: expected an object, found {type(content).__name__}")
    for name in fields:
        if name not in content:
            raise DataError(f"{place}: field {name!r} is missing")
    for name, value in content.items():
        if name not in fields:
            raise DataError(f"{place}: field {name!r} is unknown; allowed are {', '.join(fields)}")
        if not isinstance(value, fields[name]) or (isinstance(value, bool) and fields[name] is not bool):
            raise DataError(f"{place}: field {name!r} must be {_type_name(fields[name])}, found {value!r}")


def _type_name(kind: Any) -> str:
    """A type or a tuple of types in words."""
    return " or ".join(item.__name__ for item in (kind if isinstance(kind, tuple) else (kind,)))


def _check_scores(scores: Any, place: str) -> None:
    """Raise unless the scores of one protocol are numbers (or null, where nothing was valid), one an
    image.
    """
    _check_fields(scores, PROTOCOL_FIELDS, place)
    if len(scores["ids"]) != scores["n_images"] and (scores["ids"] or scores["per_image"]):
        raise DataError(
            f"{place}: field 'ids' has {len(scores['ids'])} entries, n_images is {scores['n_images']}"
        )
    for table in ("mean", "pooled"):
        for metric, value in scores[table].items():
            _check_number(value, f"{place}, {table}: metric {metric!r}")
    for metric, values in scores["per_image"].items():
        if not isinstance(values, list) or len(values) != scores["n_images"]:
            raise DataError(
                f"{place}, per_image: metric {metric!r} must be a list of {scores['n_images']} numbers"
            )
        for value in values:
            _check_number(value, f"{place}, per_image: metric {metric!r}")


def _check_number(value: Any, place: str) -> None:
    """Raise unless the value is a number or null."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float | np.floating)):
        raise DataError(f"{place} must be a number or null, found {value!r}")


def _check_samples(record: Record, folder: Path) -> None:
    """Raise unless samples are float16, predictions one for every id, and absent where data were real."""
    place, ids = folder / "samples.npz", record.run["sample_ids"]
    if record.run["data"]["real"] and (record.samples or ids):
        raise DataError(
            f"{place}: a run on real data must not keep samples (they are derived from others' images)"
        )
    for name, array in record.samples.items():
        if array.dtype != np.float16:
            raise DataError(f"{place}: {name!r} must be float16, found {array.dtype}")
        if name.startswith("prediction") and len(array) != len(ids):
            raise DataError(f"{place}: {name!r} must have length {len(ids)} (sample_ids), found {len(array)}")
