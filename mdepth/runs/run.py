"""A run by name, its description and its two hashes."""

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from mdepth import recipes
from mdepth.runs.machine import machine

__all__ = ["Run"]

HOW = ("accelerator", "prefetch")
"""Settings that say how a run is carried out, not what it is; the device stands under ``machine``."""


@dataclass(frozen=True)
class Run:
    """A run, by name; everything else follows from the recipe.

    Raises:
        ValueError: unknown source, profile or variant, or a negative seed; the message lists what there is.

    Example:
        >>> run = Run("eigen", "coarse-rooms", "quick", 0)
        >>> str(run), run.meaning == Run("eigen", "coarse-rooms", "quick", 0).meaning
        ('eigen/coarse-rooms (quick, seed 0)', True)
    """

    source: str
    variant: str
    profile: str = "quick"
    seed: int = 0

    def __post_init__(self) -> None:
        variants = recipes.get(self.source).VARIANTS
        for what, value, known in (
            ("profile", self.profile, recipes.PROFILES),
            ("variant", self.variant, variants),
        ):
            if value not in known:
                raise ValueError(
                    f"unknown {what} {value!r} of {self.source}; choose one of {', '.join(known)}"
                )
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, got {self.seed}")

    def __str__(self) -> str:
        return f"{self.source}/{self.variant} ({self.profile}, seed {self.seed})"

    def settings(self) -> Any:
        """The recipe's settings of this variant and profile."""
        return recipes.get(self.source).settings(self.variant, self.profile)

    def description(self) -> dict[str, Any]:
        """Everything that decides the result, ready for JSON: ``meaning`` and ``machine``."""
        recipe, settings = recipes.get(self.source), self.settings()
        decisive = {name: value for name, value in asdict(settings).items() if name not in HOW}
        meaning = {
            "source": self.source,
            "variant": self.variant,
            "seed": self.seed,
            "settings": decisive,
            "data": recipe.describe(settings),
            "recipe_version": recipe.VERSION,
        }
        return _json_like({"meaning": meaning, "machine": machine(settings.accelerator)})

    @cached_property
    def identity(self) -> str:
        """sha256 of the whole description."""
        return _digest(self.description())

    @cached_property
    def meaning(self) -> str:
        """sha256 of the description without the machine."""
        return _digest(self.description()["meaning"])


def _json_like(value: Any) -> Any:
    """The value as it would come back from a JSON file (tuples become lists)."""
    return json.loads(json.dumps(value))


def _digest(value: Any) -> str:
    """sha256 of the value's JSON with sorted keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
