"""Build a book: make the missing records, execute the chapters, render and check the HTML; only what a
change touches.

``python ci/build.py [--profile quick|laptop|full] [--data FOLDER]`` from the root of the repository, or by
`make book` and ``mdepth book``. One build at a time works in a repository; a second one says who is at work
and waits (or, with ``--no-wait``, ends with status 3). A build that was killed leaves nothing that the next
one would trust.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import guard
from filelock import FileLock, Timeout
from layout import CI, PROFILES, Layout, PipelineError, write_json


@contextlib.contextmanager
def only_build(layout: Layout, wait: bool) -> Iterator[None]:
    """Hold the build lock of the repository, which the system releases whatever ends this process."""
    folder = layout.root / ".mdepth"
    folder.mkdir(exist_ok=True)
    lock, holder = FileLock(folder / "build.lock"), folder / "build.holder.json"
    try:
        lock.acquire(timeout=0)
    except Timeout:
        who = json.loads(holder.read_text()) if holder.is_file() else {}
        told = ", ".join(f"{key} {value}" for key, value in who.items())
        if not wait:
            raise PipelineError(f"another build is at work in this repository ({told})") from None
        print(f"Another build is at work in this repository ({told}); waiting for it to end", flush=True)
        lock.acquire()
    try:
        since = time.strftime("%H:%M:%S")
        write_json(holder, {"process": os.getpid(), "profile": layout.profile, "since": since})
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def free_memory_mb() -> int:
    """The memory that chapters may share: four fifths of what is available now."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("MemAvailable")).split()[1]) * 4 // 5120
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 4 // 5 // 2**20


def snakemake(layout: Layout, data_dir: str, cores: int) -> list[str]:
    """The command that makes what is missing, without Snakemake's lock, which a kill would leave behind."""
    memory = free_memory_mb()
    settings = {
        "root": layout.root,
        "state": layout.state,
        "profile": layout.profile,
        "data": data_dir,
        "memory": memory,
    }
    return [
        sys.executable, "-m", "snakemake", "--snakefile", str(CI / "Snakefile"),
        "--directory", str(layout.root / ".mdepth"), "--cores", str(cores), "--resources", f"mem_mb={memory}",
        "--nolock", "--rerun-incomplete", "--keep-going", "--rerun-triggers", "mtime", "--quiet", "all",
        "--config", *(f"{key}={value}" for key, value in settings.items()),
    ]  # fmt: skip


def data_folder(layout: Layout, folder: str) -> str:
    """The absolute path of the folder of real data, which must exist; a relative one counts from the
    repository.
    """
    place = (layout.root / Path(folder).expanduser()).resolve()
    if folder and not place.is_dir():
        raise PipelineError(
            f"MDEPTH_DATA names {folder!r}, which is not a folder (relative ones count from {layout.root})"
        )
    return str(place) if folder else ""


def ledger_summary(layout: Layout) -> None:
    """Print how many rows of the ledger have which verdict, where the package keeps one."""
    if (layout.root / layout.package / "ledger").is_dir():
        command = [sys.executable, "-m", f"{layout.package}.ledger", "--counts"]
        subprocess.run(command, cwd=layout.root, env=layout.environment(), check=True)


def build(layout: Layout, data_dir: str, cores: int) -> None:
    """Make what is missing and say where it is."""
    started = time.monotonic()
    options = {"cwd": layout.root, "env": layout.environment() | {"MDEPTH_DATA": data_dir}}
    common = ["--root", str(layout.root), "--profile", layout.profile, "--data", data_dir]
    frames = ", with real frames" if data_dir else ""
    print(f"Building the book, profile {layout.profile}{frames}", flush=True)
    for command in ([sys.executable, str(CI / "prepare.py"), *common], snakemake(layout, data_dir, cores)):
        if guard.run(command, **options):
            kept = f"; {layout.html} is as it was before" if layout.html.is_dir() else ""
            raise PipelineError(f"The book was not built, for the reason above{kept}")
    print(f"The book: {layout.html / 'index.html'} ({time.monotonic() - started:.0f} s)", flush=True)
    ledger_summary(layout)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="mdepth book", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--profile", choices=PROFILES, default="quick", help="how much computing (default: quick)"
    )
    parser.add_argument(
        "--data", default="", metavar="FOLDER", help="real data, in the layouts of data/README.md"
    )
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="the repository (default: here)")
    parser.add_argument(
        "--cores", type=int, default=os.cpu_count() or 1, help="chapters at once (default: all cores)"
    )
    parser.add_argument(
        "--no-wait", action="store_true", help="end with status 3 if another build is at work"
    )
    options = parser.parse_args(arguments)
    layout = Layout(options.root.resolve(), options.profile)
    try:
        layout.project  # noqa: B018 (refuses a folder that is no repository)
        data_dir = data_folder(layout, options.data)
        with only_build(layout, wait=not options.no_wait):
            build(layout, data_dir, options.cores)
    except PipelineError as error:
        print(f"\n{error}", file=sys.stderr)
        return 3 if "another build" in str(error) else 1
    except KeyboardInterrupt:
        print("\nStopped; what is whole is kept, the rest is made by the next build", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
