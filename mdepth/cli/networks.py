"""A network with its weights, ready to predict, and what there is to say about how far to believe it."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mdepth.cli.errors import choose

__all__ = ["DEFAULT", "Loaded", "device_of", "load"]

DEFAULT = "eigen-coarse-rooms"
"""The network that ``mdepth predict`` uses when none is named; its weights come with the package."""
EVIDENCE = {
    "B": "the synthetic worlds, so its metres are theirs: level B, it shows the method and measures nothing",
    "C": "the data of its authors: level C, the weights are the published ones",
    "D": "the paper's data: level D, no promise for other places",
    "d": "real frames of another camera: level d, no promise for other places",
}
"""What a network was trained on and what that is worth, by the level in its file."""
UNKNOWN = "data that its file does not name, so nothing is known about how far to believe it"


@dataclass(frozen=True)
class Loaded:
    """A network with trained weights."""

    network: Any
    name: str
    weights: Path
    trained: str
    """The run that trained it, as its file says."""
    evidence: str
    """What it was trained on and what that is worth."""

    def __str__(self) -> str:
        return f"{self.name}, weights {self.weights.name} ({self.trained}); trained on {self.evidence}"


def load(model: str | None, weights: Path | None, device: str) -> Loaded:
    """Build a network, fill in its weights and put it on a device.

    Args:
        model: a name of ``mdepth models``; the small one that comes with the package by default.
        weights: a file; by default the one that comes with the package.
        device: see ``device_of``.

    Raises:
        ValueError: unknown network or device, or no weights for it.
        DataError: the file is damaged or belongs to another network.
    """
    from mdepth import models
    from mdepth.weights import load as fill
    from mdepth.weights import metadata

    name = choose("network", model or DEFAULT, models.names())
    path = weights.expanduser() if weights else _own_weights(name)
    network = models.build(name)
    fill(network, path)
    about = metadata(path) if path.suffix == ".safetensors" else {}
    level = about.get("level") or _level_of_run(about.get("run", ""))
    trained, worth = about.get("run", "origin unknown"), EVIDENCE.get(level, UNKNOWN)
    return Loaded(network.to(device_of(device)).eval(), name, path, trained, worth)


def _own_weights(name: str) -> Path:
    """The weights that come with the package."""
    from mdepth.weights import PRETRAINED

    path = PRETRAINED / f"{name}.safetensors"
    if not path.is_file():
        there = ", ".join(sorted(file.stem for file in PRETRAINED.glob("*.safetensors"))) or "none"
        raise ValueError(
            f"no trained weights come with {name!r} (there are some for: {there}); give --weights FILE: "
            "`mdepth run` leaves one beside each record it makes"
        )
    return path


def _level_of_run(run: str) -> str:
    """The level of evidence of a file that names only its run (``source/variant (profile, seed 0)``), the
    weakest that its data allow; "" where the run is unknown.
    """
    from mdepth import recipes

    found = re.match(r"([\w-]+)/([\w-]+)", run)
    if not found or found[1] not in recipes.available():
        return ""
    variant = recipes.get(found[1]).VARIANTS.get(found[2])
    return "" if variant is None else "d" if variant.realdata else "B"


def device_of(name: str) -> str:
    """A device from what the user wrote: ``auto`` (a GPU where there is one), ``cpu``, ``cuda:1``, ``mps``.

    Raises:
        ValueError: no such device, or not on this machine.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"unknown device {name!r}; expected auto, cpu, cuda, cuda:1, mps") from None
    there = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if (device.index or 0) >= there.get(device.type, 0):
        raise ValueError(f"device {name!r} is not on this machine; use --device cpu or auto")
    return name
