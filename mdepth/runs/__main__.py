"""``python -m mdepth.runs [PROFILE [SOURCE]]``: train what is planned, in one process; killed, it goes on
where it was.
"""

import argparse
import sys

from mdepth import recipes
from mdepth.runs.run import Run
from mdepth.runs.store import found, load_or_run, plan, publish
from mdepth.shapes import DataError


def main(arguments: list[str] | None = None) -> int:
    """Run every planned run that has no record yet; ``--list`` only says which those are."""
    parser = argparse.ArgumentParser(prog="python -m mdepth.runs", description=__doc__)
    parser.add_argument("profile", nargs="?", default="quick", choices=recipes.PROFILES)
    parser.add_argument("source", nargs="?", choices=recipes.available(), help="all sources by default")
    parser.add_argument("--variant", help="only this variant")
    parser.add_argument("--list", action="store_true", help="say what is planned and what is there, and stop")
    parser.add_argument("--publish", action="store_true", help="also put seed 0's weights into the package")
    options = parser.parse_args(arguments)
    runs = [run for run in plan(options.profile, options.source) if options.variant in (None, run.variant)]
    if not runs:
        parser.error(
            f"nothing is planned for {options.profile} {options.source or ''} {options.variant or ''}"
        )
    for number, run in enumerate(runs, 1):
        print(f"[{number}/{len(runs)}] {run}: {_state(run)}", file=sys.stderr, flush=True)
        if not options.list:
            load_or_run(run)
        if options.publish and run.seed == 0:
            print(f"written to {publish(run)}", file=sys.stderr)
    return 0


def _state(run: Run) -> str:
    """Whether there is a record of a run."""
    try:
        return "there" if found(run) is not None else "to do"
    except DataError as error:
        return f"to do again ({error})"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ValueError as error:  # a user's mistake: one line, no traceback
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
