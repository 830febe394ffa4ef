"""Wall time and peak memory of building the book, in a fresh clone with the packages of this environment.

    python benchmarks/book.py [--profile quick] [--cores N] [--write]

Cold: nothing is there, no run, no rendered world, no executed chapter. Warm: at once again, nothing changed.
The clone is of the last commit. Memory is that of all processes of the build together, sampled twice a
second; what processes share is counted once where the system tells (Linux).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from harness import report

ROOT = Path(__file__).resolve().parent.parent
EVERY = 0.5  # seconds between two looks at the memory


def clone(folder: Path) -> Path:
    """The last commit of this repository as a repository of its own."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    return folder


def memory_mb(process: psutil.Process) -> float:
    """Resident memory of a process and all that it started, in megabytes."""
    total = 0
    for each in [process, *process.children(recursive=True)]:
        try:
            used = each.memory_full_info() if psutil.LINUX else each.memory_info()
            total += getattr(used, "pss", used.rss)
        except psutil.Error:  # it has ended meanwhile
            continue
    return total / 1e6


def build(folder: Path, profile: str, cores: int) -> dict[str, Any]:
    """Build the book of a clone; seconds and the largest memory seen."""
    kept = {key: value for key, value in os.environ.items() if key not in ("MDEPTH_RESULTS", "MDEPTH_DATA")}
    command = [sys.executable, "ci/build.py", "--profile", profile, "--cores", str(cores)]
    start, peak = time.perf_counter(), 0.0
    with subprocess.Popen(
        command, cwd=folder, env=kept | {"MDEPTH_CACHE": str(folder / ".cache")}, stdout=sys.stderr
    ) as process:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            peak = max(peak, memory_mb(watched))
            time.sleep(EVERY)
    if process.returncode:
        sys.exit(f"the book was not built (status {process.returncode}); nothing was measured")
    return {"seconds": time.perf_counter() - start, "peak_memory_mb": peak, "cores": cores}


def chapters(folder: Path, profile: str) -> list[dict[str, Any]]:
    """One row a chapter, as the build itself measured it when it ran the chapter."""
    files = sorted((folder / ".mdepth" / profile / "timings").glob("*.json"))
    found = {path.stem: json.loads(path.read_text()) for path in files}
    return [
        {"what": f"chapter {name}", "seconds": it["seconds"], "peak_memory_mb": it["peak_mb"] * 2**20 / 1e6}
        for name, it in found.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--profile", choices=("quick", "laptop", "full"), default="quick")
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1, help="chapters at once")
    parser.add_argument("--write", action="store_true", help="write results/benchmarks/book.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = clone(Path(place) / "mdepth")
        rows = [{"what": "cold", **build(folder, options.profile, options.cores)}]
        rows += chapters(folder, options.profile)
        rows += [{"what": "warm", **build(folder, options.profile, options.cores)}]
    report("book", rows, options.write)


if __name__ == "__main__":
    main()
