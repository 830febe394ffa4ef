"""Runs that take no time, with the interface of `mdepth.runs`."""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from mini.parts import triangle

ROOT = Path(__file__).resolve().parent.parent / "results"


@dataclass(frozen=True)
class Run:
    """What is run."""

    source: str
    variant: str
    profile: str
    seed: int = 0

    @property
    def meaning(self) -> str:
        """A name for all that decides the result."""
        return f"{self.source}/{self.variant}/{self.profile}/{self.seed}"


def plan(profile: str, source: str | None = None) -> list[Run]:
    """Both runs, and one on real data where there are some."""
    real = ["real"] if os.environ.get("MDEPTH_DATA") else []
    return [Run("toy", variant, profile) for variant in ("one", "two", *real)]


def folder(run: Run) -> Path:
    """Where the record of a run lies."""
    return ROOT / run.profile / run.source / run.variant / f"seed{run.seed}"


def run_tiny() -> None:
    """Run the tiny recipe of the tests by the library itself, so that a build shows what it shows of real
    runs.
    """
    from tiny_recipe import register

    from mdepth import runs
    from mdepth.train import Progress

    register()
    Progress.interval = 0.5  # so that a run of seconds tells as much as one of minutes
    runs.load_or_run(runs.Run("tiny", "line", "laptop"))


def load_or_run(run: Run) -> dict:
    """The record of a run, made if it is missing; each making leaves a line in made.txt."""
    place = folder(run)
    if not (place / "metrics.json").is_file():
        time.sleep(float(os.environ.get("MINI_RUN_SLEEP", "0")))
        if os.environ.get("MINI_TINY"):
            run_tiny()
        place.mkdir(parents=True, exist_ok=True)
        error = triangle(len(run.variant)) + run.variant.count("o") / 8
        if run.variant == "real":
            error = float((Path(os.environ["MDEPTH_DATA"]) / "number.txt").read_text())
        (place / "run.json").write_text(
            json.dumps({"seed": run.seed, "commit": None, "seconds": 0.1, "versions": {}})
        )
        (place / "metrics.json").write_text(json.dumps({"worlds": {"mean": {"error": error}}}))
        with (ROOT / "made.txt").open("a") as made:
            made.write(run.meaning + "\n")
    return {"metrics": json.loads((place / "metrics.json").read_text())}
