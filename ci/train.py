"""Make the missing records of one source, all in this one process, and write down what they hold.

``python ci/train.py --root . --profile quick --data "" --source eigen``; called by the Snakefile.
"""

import argparse
import importlib
import sys
import time
from pathlib import Path

from layout import Layout, write_json
from prepare import record_digests


def train(layout: Layout, source: str) -> None:
    """Load or make every record that the profile plans for a source."""
    sys.path.insert(0, str(layout.root))
    runs = importlib.import_module(f"{layout.package}.runs")
    planned, started = runs.plan(layout.profile, source), time.monotonic()
    for number, run in enumerate(planned, start=1):
        print(f"  {source}: run {number} of {len(planned)}, {run.variant}, seed {run.seed}", flush=True)
        runs.load_or_run(run)
    write_json(layout.state / "records" / f"{source}.json", record_digests(layout, source))
    print(f"  {source}: {len(planned)} records stand after {time.monotonic() - started:.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    for option in ("root", "profile", "data", "source"):
        parser.add_argument(f"--{option}", required=True)
    options = parser.parse_args()
    try:
        train(Layout(Path(options.root), options.profile), options.source)
    except ValueError as error:
        sys.exit(f"\n{options.source}: {error}\n")


if __name__ == "__main__":
    main()
