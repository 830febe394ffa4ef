"""What the benchmarks share: timing, and the file of a result with what it was measured on."""

import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mdepth.runs.machine import commit, hardware, versions

RESULTS = Path(__file__).resolve().parent.parent / "results" / "benchmarks"


def seconds_in_turns(functions: dict[str, Callable[[], Any]], repeats: int = 30) -> dict[str, list[float]]:
    """All times of each function, called in turns so that a busy moment of the machine hits all of them."""
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def best_seconds(functions: dict[str, Callable[[], Any]], repeats: int = 30) -> dict[str, float]:
    """The shortest time of each function, called in turns.

    The shortest is the least disturbed: everything that interferes only adds.
    """
    return {name: min(each) for name, each in seconds_in_turns(functions, repeats).items()}


def circumstances() -> dict[str, Any]:
    """Date, commit, processor, threads, versions, and how busy the machine was: without them a time means
    nothing.
    """
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "hardware": hardware() | {"load": round(os.getloadavg()[0], 2)},
        "versions": versions(),
    }


def report(name: str, rows: list[dict[str, Any]], write: bool) -> None:
    """Print the rows and, if asked, write them to results/benchmarks/<name>.json."""
    for row in rows:
        print(
            "  ".join(
                f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
                for key, value in row.items()
            )
        )
    if write:
        RESULTS.mkdir(parents=True, exist_ok=True)
        content = {"benchmark": name, **circumstances(), "rows": rows}
        path = RESULTS / f"{name}.json"
        path.with_suffix(".tmp").write_text(json.dumps(content, indent=1) + "\n")
        path.with_suffix(".tmp").replace(path)
        print(f"written to {path}")
