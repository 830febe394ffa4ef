"""What the benchmarks share: timing, the hardware's description, and the file that a result is written to."""

import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

RESULTS = Path(__file__).resolve().parent.parent / "results" / "benchmarks"


def best_seconds(functions: dict[str, Callable[[], Any]], repeats: int = 30) -> dict[str, float]:
    """The shortest time of each function, called in turns so that a busy moment of the machine hits all of
    them.

    The shortest is the least disturbed: everything that interferes only adds.
    """
    best = dict.fromkeys(functions, float("inf"))
    for _ in range(repeats):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


def hardware() -> dict[str, Any]:
    """Processor, threads and versions: without them a time means nothing."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        cpu = next(
            (
                line.split(":")[1].strip()
                for line in info.read_text().splitlines()
                if line.startswith("model name")
            ),
            cpu,
        )
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
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
        content = {"benchmark": name, "hardware": hardware(), "rows": rows}
        path = RESULTS / f"{name}.json"
        path.with_suffix(".tmp").write_text(json.dumps(content, indent=1) + "\n")
        path.with_suffix(".tmp").replace(path)
        print(f"written to {path}")
