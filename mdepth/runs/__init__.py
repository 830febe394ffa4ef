"""Load or run: the one place that turns (source, variant, profile, seed) into a record.

A run's description has two parts. What decides its **meaning**: settings, seed, the data's description, the
version numbers of recipe and record. And the **machine** that it runs on: kind of device and number of
threads. ``Run.meaning`` is the hash of the first, ``Run.identity`` of both. A record stands for a run when
their meanings agree; one whose meaning has changed since is *stale* and is run again when asked for. Source
text is never hashed: a person raises a recipe's ``VERSION`` when results change on purpose.

``python -m mdepth.runs laptop eigen`` trains what a profile has planned, in one process; killed, it goes on
where it was.
"""

from mdepth.runs.pack import pack, unpack
from mdepth.runs.run import Run
from mdepth.runs.store import (
    folder,
    found,
    is_stale,
    load_or_run,
    plan,
    publish,
    reference,
    root,
    work_folder,
)

__all__ = [
    "Run",
    "folder",
    "found",
    "is_stale",
    "load_or_run",
    "pack",
    "plan",
    "publish",
    "reference",
    "root",
    "unpack",
    "work_folder",
]
