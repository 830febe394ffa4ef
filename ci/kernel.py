"""The kernel that executes chapters: the ordinary one, which also writes down what it read and how much
memory it took.

At its end it leaves ``{"read": [...], "peak_mb": ...}`` in the file that MDEPTH_KERNEL_REPORT names;
``read`` holds the files below MDEPTH_KERNEL_WATCH that a cell opened.
"""

import atexit
import json
import os
import resource
import sys
import warnings
from pathlib import Path


def peak_mb() -> int:
    """The most memory this process held so far, in MiB (Linux counts in KiB, macOS in bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 if sys.platform == "linux" else 1024**2))


def watch(folder: str, report: str) -> None:
    """Collect the files below a folder that are opened from now on, and write the report when the process
    ends.
    """
    opened: set[str] = set()

    def note(event: str, arguments: tuple) -> None:
        if event == "open" and isinstance(arguments[0], str | os.PathLike):
            path = os.path.abspath(os.fspath(arguments[0]))  # noqa: PTH100 (pathlib would open files of its own)
            if path.startswith(folder + os.sep):
                opened.add(path)

    sys.addaudithook(note)
    atexit.register(
        lambda: Path(report).write_text(json.dumps({"read": sorted(opened), "peak_mb": peak_mb()}))
    )


if __name__ == "__main__":
    watch(os.environ["MDEPTH_KERNEL_WATCH"], os.environ["MDEPTH_KERNEL_REPORT"])
    warnings.filterwarnings("ignore", message="IProgress not found")  # no widgets, which would want a network
    sys.path[0] = ""  # as in any notebook: the working directory, not this file's folder
    from ipykernel.kernelapp import launch_new_instance

    launch_new_instance(argv=[*sys.argv[1:], "--log-level=CRITICAL"])
