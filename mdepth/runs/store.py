"""Where records lie, which runs a profile plans, and how a run becomes a record."""

import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from mdepth import recipes, results, weights
from mdepth.datasets import check
from mdepth.results import Record, root
from mdepth.runs.machine import commit, hardware, peak_memory_mb, versions
from mdepth.runs.run import Run
from mdepth.shapes import DataError
from mdepth.train import CHECKPOINT, read_checkpoint

__all__ = [
    "folder",
    "found",
    "is_stale",
    "load_or_run",
    "plan",
    "publish",
    "reference",
    "root",
    "work_folder",
]

WEIGHTS = "weights.safetensors"
PUBLISHED_LIMIT = 4 * 2**20
"""Bytes that a network may have that comes with the package."""


def plan(profile: str, source: str | None = None, *, real: bool | None = None) -> list[Run]:
    """The runs of a profile, in the order in which they are worth doing: first seeds first.

    Args:
        profile: ``quick``, ``laptop`` or ``full``.
        source: only this one's; all by default.
        real: also the variants on real data; by default those whose sets lie in ``MDEPTH_DATA``.

    Raises:
        ValueError: unknown profile or source.

    Example:
        >>> {run.profile for run in plan("quick", "eigen", real=False)}
        {'quick'}
    """
    if profile not in recipes.PROFILES:
        raise ValueError(f"unknown profile {profile!r}; choose one of {', '.join(recipes.PROFILES)}")
    has = _data_sets() if real is None else (lambda need: real)
    runs = []
    for name in [source] if source else recipes.available():
        recipe = recipes.get(name)
        runs += [
            Run(name, variant, profile, seed)
            for variant, about in recipe.VARIANTS.items()
            if profile in about.profiles and (not about.realdata or all(map(has, about.needs)))
            for seed in recipe.seeds(variant, profile)
        ]
    return sorted(runs, key=lambda run: run.seed)


def _data_sets() -> Callable[[str], bool]:
    """Whether the folder that ``MDEPTH_DATA`` names holds what a variant ``needs``; nothing where it names
    none.
    """
    named = os.environ.get("MDEPTH_DATA")
    inventory = check.find(named) if named else None

    def has(need: str) -> bool:
        key, _, word = need.partition(":")
        return inventory is not None and any(word in str(place).lower() for place in inventory.paths(key))

    return has


def folder(run: Run) -> Path:
    """Where the record of a run lies: results/<profile>/<source>/<variant>/seed<k>."""
    return root() / run.profile / run.source / run.variant / f"seed{run.seed}"


def work_folder(run: Run) -> Path:
    """Where a run keeps its checkpoint while it is under way; not committed, gone when it is done."""
    return root() / ".mdepth" / f"{run.source}-{run.variant}-{run.profile}-seed{run.seed}-{run.identity[:12]}"


def found(run: Run) -> Record | None:
    """The record of a run, if there is one, it is not stale, and it was made from the real files at hand."""
    place = folder(run)
    if not place.is_dir():
        return None
    record = results.read(place)
    return None if is_stale(record, run) or _other_files(record, run) else record


def _other_files(record: Record, run: Run) -> bool:
    """Whether real files lie in ``MDEPTH_DATA`` and are not those of the record; without them it stands."""
    recipe = recipes.get(run.source)
    about = recipe.VARIANTS[run.variant]
    if not (about.realdata and os.environ.get("MDEPTH_DATA") and all(map(_data_sets(), about.needs))):
        return False
    return record.run["data"]["hash"] != recipe.fingerprint(run.settings())


def is_stale(record: Record, run: Run | None = None) -> bool:
    """Whether the recipe, its settings or its data have changed on purpose since the record was made."""
    about = record.run
    try:
        run = run or Run(about["source"], about["variant"], about["profile"], about["seed"])
        return about["meaning"] != run.meaning
    except ValueError:  # the variant is gone
        return True


def load_or_run(run: Run, *, progress: bool = True, say: Callable[[str], None] | None = None) -> Record:
    """The record of a run: the one that lies there, or else that of running it now.

    Of two processes that ask for the same run, one trains and the other waits and reads. A run that was
    killed goes on from its last checkpoint. The trained weights lie beside the record as
    ``weights.safetensors``.

    Args:
        run: which.
        progress: show a bar, or lines where no terminal is watching.
        say: called with a line of text now and then; prints to the standard error stream by default.

    Raises:
        DataError: real data are needed and not there, or the results cannot be written to.
        TrainingDiverged: the training did.
        OSError: the disk is full.
    """
    from filelock import FileLock

    say = say or _say
    record = _usable(run, say)
    if record is not None:
        return record
    with FileLock(_locks() / f"{run.source}-{run.variant}-{run.profile}-seed{run.seed}.lock"):
        record = _usable(run, say)  # another process may have made it while we waited
        return record if record is not None else _execute(run, progress, say)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _usable(run: Run, say: Callable[[str], None]) -> Record | None:
    """The record of a run, unless there is none, or it is stale, or damaged, which is said."""
    try:
        return found(run)
    except DataError as error:
        say(f"{run}: the record there cannot be used, so it is made again ({error})")
        return None


def _locks() -> Path:
    """The folder of the locks, one a run."""
    locks = root() / ".mdepth" / "locks"
    try:
        locks.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"{root()}: expected a folder that may be written to ({error.strerror}); correct its rights or "
            "set MDEPTH_RESULTS"
        ) from None
    return locks


def _execute(run: Run, progress: bool, say: Callable[[str], None]) -> Record:
    """Train, evaluate, and write the record."""
    place, work = folder(run), work_folder(run)
    say(f"{run}: running")
    work.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter() - _spent(work)
    outcome = recipes.get(run.source).run(
        run.settings(), run.seed, folder=work, name=str(run), progress=progress
    )
    seconds = time.perf_counter() - start
    record = Record(_about(run, outcome, seconds), outcome.metrics, _columns(outcome), outcome.samples)
    weights.save(outcome.network, work / WEIGHTS, about=_origin(run, record))
    results.write(record, place, files={WEIGHTS: work / WEIGHTS})
    shutil.rmtree(work)
    say(f"{run}: done in {seconds:.0f} s")
    return results.read(place)


def _spent(work: Path) -> float:
    """Seconds of training that a killed run had behind it at its last checkpoint."""
    path = work / CHECKPOINT
    if not path.is_file():
        return 0.0
    seconds = read_checkpoint(path)["history"]["seconds"]
    return seconds[-1] if seconds else 0.0


def _columns(outcome: recipes.Outcome) -> dict[str, list[float]]:
    """The curve, thinned to what a record can hold."""
    return {
        name: [float(value) for value in column]
        for name, column in asdict(outcome.history.thinned(200)).items()
    }


def _about(run: Run, outcome: recipes.Outcome, seconds: float) -> dict[str, Any]:
    """run.json."""
    seconds_column = outcome.history.seconds
    return {
        "format": results.FORMAT,
        "source": run.source,
        "variant": run.variant,
        "profile": run.profile,
        "seed": run.seed,
        "identity": run.identity,
        "meaning": run.meaning,
        "description": run.description(),
        "commit": commit(),
        "versions": versions(),
        "hardware": hardware(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": seconds,
        "train_seconds": seconds_column[-1] if seconds_column else 0.0,
        "peak_memory_mb": peak_memory_mb(),
        "parameters": sum(parameter.numel() for parameter in outcome.network.parameters()),
        "data": outcome.data,
        "sample_ids": outcome.sample_ids,
        "extra": outcome.extra,
    }


def _origin(run: Run, record: Record) -> dict[str, str]:
    """What a file of weights says of itself: the run that made it, and how far to believe what it shows."""
    level = results.level_of(record)
    return {"run": str(run), "identity": run.identity, "meaning": run.meaning, "level": level}


def publish(run: Run) -> Path:
    """Put a finished run's weights, in half precision, among those that come with the package, under the
    network's name.

    Raises:
        DataError: the run has no record with weights, or the file would be larger than 4 MiB.
    """
    path, record = folder(run) / WEIGHTS, found(run)
    if record is None or not path.is_file():
        raise DataError(f"{path}: expected the weights of {run}, found none; run it first")
    state = weights.read(path)
    size = sum(2 * tensor.numel() for tensor in state.values())
    if size > PUBLISHED_LIMIT:
        raise DataError(
            f"{path}: {size} bytes in half precision, a published network may have {PUBLISHED_LIMIT}"
        )
    settings = run.settings()
    target = weights.PRETRAINED / f"{getattr(settings, 'packaged', settings.network)}.safetensors"
    target.parent.mkdir(parents=True, exist_ok=True)
    return weights.save(state, target, dtype=torch.float16, about=_origin(run, record))


def reference(source: str, variant: str, seed: int | None = None) -> list[Record]:
    """The reference records (profile laptop) of a variant in the order of their seeds; ``is_stale`` says of
    each if it is.

    Raises:
        DataError: a record is damaged.
    """
    runs = [Run(source, variant, "laptop", number) for number in recipes.get(source).seeds(variant, "laptop")]
    wanted = [run for run in runs if seed is None or run.seed == seed]
    places = [results.shelf("laptop") / source / variant / f"seed{run.seed}" for run in wanted]
    return [results.read(place) for place in places if place.is_dir()]
