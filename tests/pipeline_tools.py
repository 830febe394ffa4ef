"""What the tests of the pipeline share: the mini book, the real book built, a browser."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "ci"))
BUILD = [sys.executable, str(ROOT / "ci" / "build.py"), "--cores", "2"]
CACHES = shutil.ignore_patterns("__pycache__", "*.partial")


class Mini:
    """A copy of the mini book and the command that builds it."""

    def __init__(self, folder: Path):
        self.folder, self.chapter = folder, folder / "book" / "toy.md"
        self.html, self.state = folder / "_build" / "html", folder / ".mdepth" / "quick"

    def start(self, *options: str, **environment: str) -> subprocess.Popen:
        """A build under way, its output a pipe."""
        return subprocess.Popen(
            [*BUILD, *options],
            cwd=self.folder,
            env={**os.environ, **environment},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def build(self, *options: str, status: int = 0, **environment: str) -> str:
        """The output of a build that ends with this status."""
        process = self.start(*options, **environment)
        output, _ = process.communicate(timeout=120)
        assert process.returncode == status, output
        return output

    def build_on_a_terminal(self, **environment: str) -> str:
        """What a reader who builds on a terminal sees."""
        import pty
        import termios

        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (40, 120))
        told = {"stdout": theirs, "stderr": theirs, "env": {**os.environ, **environment}}
        process = subprocess.Popen(BUILD, cwd=self.folder, **told)
        os.close(theirs)
        output = b""
        with contextlib.suppress(OSError):  # how a terminal says on Linux that nobody writes to it any more
            while piece := os.read(ours, 2**16):
                output += piece
        os.close(ours)
        assert process.wait(timeout=120) == 0, output.decode()
        return output.decode()

    def make(self, *words: str) -> str:
        """The output of `make` with the Makefile of the repository, by the Python at work here."""
        shutil.copy(ROOT / "Makefile", self.folder)
        (self.folder / "ci").symlink_to(ROOT / "ci")
        python = self.folder / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
        command = ["make", "--old-file=venv", *words]  # no installation
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace a text that must be there."""
        text = (self.folder / path).read_text()
        assert old in text
        (self.folder / path).write_text(text.replace(old, new))

    def runs_made(self) -> list[str]:
        """The runs that were trained, in their order."""
        made = self.folder / "results" / "made.txt"
        return made.read_text().splitlines() if made.is_file() else []

    def processes(self) -> list[str]:
        """Processes that still work in this folder."""
        listed = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True).stdout
        return [line for line in listed.splitlines() if str(self.folder) in line and "ps -eo" not in line]


def copy_of_mini(folder: Path) -> Mini:
    """The mini book with the extensions and assets of the real one."""
    shutil.copytree(ROOT / "tests" / "mini", folder, ignore=CACHES)
    for part in ("ext", "assets"):
        shutil.copytree(ROOT / "book" / part, folder / "book" / part, ignore=CACHES)
    return Mini(folder)


@cache
def built_book() -> Path:
    """The HTML of the real book; where another process builds it, the build waits, and finds it made."""
    options = ["--root", str(ROOT), "--data", os.environ.get("MDEPTH_DATA", "")]
    done = subprocess.run([*BUILD, *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-8000:]
    return ROOT / "_build" / "html"


@pytest.fixture(scope="session")
def html() -> Path:
    """The HTML of the real book, built with the profile quick if it is absent or stale."""
    return built_book()


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """Headless Chromium that reaches nothing but this machine; skipped, by name, where there is none."""
    from browser import Browser, find

    if find() is None:
        reason = "Chromium and its driver are not installed (Debian: apt install chromium chromium-driver)"
        if "browser" in os.environ.get("MDEPTH_REQUIRE", ""):
            pytest.fail(f"MDEPTH_REQUIRE demands a browser, but {reason}")
        pytest.skip(reason)
    with Browser() as started:
        yield started


def wheel_of(folder: Path, source: Path = ROOT) -> Path:
    """The wheel of a checkout, built from a copy so that nothing of the building stays in it."""
    copy = folder / "copy"
    copy.mkdir(parents=True)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy(source / name, copy / name)
    for name in ("mdepth", "book/bugs", "data/reported", "results/laptop", "results/benchmarks"):
        if (source / name).is_dir():
            shutil.copytree(source / name, copy / name, ignore=CACHES)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "."]
    subprocess.run([*command, "--wheel-dir", str(folder)], cwd=copy, check=True)
    (wheel,) = folder.glob("mdepth-*.whl")
    return wheel


def empty_environment(folder: Path) -> Path:
    """The Python of a new environment that sees every installed package except this project."""
    import site

    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    shown = folder / "packages"
    shown.mkdir()
    for place in map(Path, site.getsitepackages()):
        for path in place.iterdir():
            if "mdepth" not in path.name.lower() and path.suffix != ".pth":
                (shown / path.name).symlink_to(path)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "shown.pth").write_text(f"{shown}\n")
    return folder / "bin" / "python"
