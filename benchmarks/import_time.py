"""What importing costs: the package beside torch alone, and the parts that load the most.

    python benchmarks/import_time.py [--repeats N] [--write]

Every import runs in a fresh interpreter; the shortest of N times counts. The goal is ``import mdepth``
within 0.3 s of ``import torch``; the other rows say where the time of a command goes.
"""

import argparse
import subprocess
import sys

from harness import report

GOAL = 0.3
STATEMENTS = (
    "import torch",
    "import mdepth",
    "import torch, mdepth",
    "import mdepth.models",
    "import mdepth.metrics, mdepth.evaluate",
    "import mdepth.datasets.worlds",
    "import mdepth.runs",
    "import mdepth.cli",
    "from lightning.fabric import Fabric",
)
TIMED = "import time; start = time.perf_counter(); {statement}; print(time.perf_counter() - start)"


def seconds(statement: str) -> float:
    """The time of one statement in an interpreter of its own, without the interpreter's start."""
    command = [sys.executable, "-c", TIMED.format(statement=statement)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Measure all statements in turns, so that a busy moment hits all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="write results/benchmarks/import_time.json")
    options = parser.parse_args()
    best = dict.fromkeys(STATEMENTS, float("inf"))
    for _ in range(options.repeats):
        for statement in STATEMENTS:
            best[statement] = min(best[statement], seconds(statement))
    torch = best["import torch"]
    rows = [
        {"statement": name, "seconds": value, "over torch": value - torch} for name, value in best.items()
    ]
    report("import_time", rows, options.write)
    extra = best["import torch, mdepth"] - torch
    print(
        f"mdepth costs {extra:.3f} s more than torch; the goal is {GOAL} s: "
        f"{'met' if extra <= GOAL else 'missed'}"
    )


if __name__ == "__main__":
    main()
