"""What a record says about the machine and the software that made it."""

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from mdepth import __version__

__all__ = ["commit", "hardware", "machine", "peak_memory_mb", "versions"]


def machine(accelerator: str) -> dict[str, Any]:
    """Kind of device and number of threads: what may change the last bits of a result."""
    return {"device": _device(accelerator), "threads": torch.get_num_threads()}


def _device(accelerator: str) -> str:
    """The device that ``fit`` takes: a GPU by its name, ``mps`` (Apple's) or ``cpu``."""
    if accelerator in ("auto", "gpu"):
        accelerator = "cuda" if torch.cuda.is_available() else "mps"
    if accelerator == "cuda":
        return torch.cuda.get_device_name(0)
    return "mps" if accelerator == "mps" and torch.backends.mps.is_available() else "cpu"


def hardware() -> dict[str, Any]:
    """Processor, its number of cores, threads in use, GPU (or null), and operating system."""
    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": gpu,
        "system": f"{platform.system()} {platform.machine()}",
    }


def _cpu_name() -> str:
    """The processor's name as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide a result."""
    own = {"python": platform.python_version(), "mdepth": __version__}
    return own | {name: metadata.version(name) for name in ("torch", "numpy", "lightning")}


def commit() -> str | None:
    """The repository's commit, with "+" where files were changed since; None outside a repository."""
    here = Path(__file__).resolve().parents[2]
    if not (here / ".git").exists():
        return None
    try:
        name = _git(here, "rev-parse", "--short=12", "HEAD")
        changed = _git(here, "status", "--porcelain", "--untracked-files=no", "--", "mdepth")
    except (OSError, subprocess.SubprocessError):
        return None
    return name + ("+" if changed else "")


def _git(folder: Path, *arguments: str) -> str:
    """What git prints."""
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far, in megabytes (0 where the system does not tell)."""
    try:
        import resource
    except ImportError:
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)
