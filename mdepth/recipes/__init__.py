"""Whole papers: one module a source, holding its settings, its network, loss and data put together, and its
list of variants.

A recipe module has the names of the source and offers:

* ``VERSION``, an integer raised by hand whenever results change on purpose;
* ``Settings``, a frozen dataclass of every hyper-parameter, each with its place in the paper;
* ``VARIANTS``, name -> ``Variant``: what fills one row or curve of the chapter;
* ``settings(variant, profile)`` and ``seeds(variant, profile)``, which say what a run is;
* ``describe(settings)``, the data's description, without touching the data;
* ``fingerprint(settings)``, a hash of the real files that a run would read now, where a variant needs such;
* ``run(settings, seed, folder=..., name=...)``, which trains, evaluates and returns an ``Outcome``;
* ``CLAIMS``, each with a smallest effect of interest that was fixed before the runs, and
  ``HYPERPARAMETERS``, paper against here.
"""

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Literal

import numpy as np
from torch import nn

from mdepth.train import History

__all__ = ["PROFILES", "SOURCES", "Claim", "HyperParameter", "Outcome", "Variant", "available", "get"]

SOURCES = ("eigen", "laina", "transfer", "monodepth2", "hu")
"""The five sources, in the order of the book."""
PROFILES = ("quick", "laptop", "full")
"""How much computing: minutes for a whole book, a night on two cores, a GPU at the paper's size."""


@dataclass(frozen=True)
class Variant:
    """One thing that a recipe can train."""

    summary: str
    profiles: tuple[str, ...]
    """Where ``mdepth.runs.plan`` lists it."""
    realdata: bool = False
    """Needs real files, so its records keep no samples."""
    needs: tuple[str, ...] = ()
    """Keys of the data sets (:mod:`mdepth.datasets.sources`) without which it is not planned, at least one
    for a variant on real data; ``key:word`` asks for a place with the word in its path.
    """


@dataclass(frozen=True)
class Outcome:
    """What a finished run hands to its record."""

    metrics: dict[str, dict[str, Any]]
    """Protocol, or protocol@baseline, -> scores."""
    history: History
    data: dict[str, Any]
    """hash (of real data the recipe's ``fingerprint``), real (whether images of others were used), train and
    test (descriptions).
    """
    network: nn.Module
    samples: dict[str, np.ndarray] = field(default_factory=dict)
    sample_ids: list[str] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)
    """Further small numbers that the chapter shows."""


@dataclass(frozen=True)
class Claim:
    """A sentence that runs can support or contradict, with the rule fixed beforehand.

    The effect is ``a`` minus ``b``, per seed, in the mean of ``metric``; where ``relative`` it is divided by
    b. It holds if its confidence interval lies below -``smallest`` (``direction`` "lower"), above
    ``smallest`` ("higher"), or between the two ("same").
    """

    id: str
    statement: str
    place: str
    """Where the paper says so."""
    variant: str
    metric: str
    a: str
    """Key of the records' metrics."""
    b: str
    """Key of the records' metrics, of ``variant_b`` where that is given; "" compares a with zero."""
    direction: Literal["lower", "higher", "same"]
    smallest: float
    """The smallest effect of interest."""
    why: str
    """Why an effect smaller than that would not matter."""
    relative: bool = True
    variant_b: str = ""
    headline: bool = False
    """Whether the chapter rests on it: a headline takes five seeds, any other claim three."""

    @property
    def least_seeds(self) -> int:
        """Seeds below which nothing is decided."""
        return 5 if self.headline else 3

    metric_b: str = ""
    """Metric of b, where it is another one than ``metric``."""
    less: tuple[str, ...] = ()
    """Another pair of variants, a's and b's, whose effect is taken off: a claim that a gain shrinks or grows
    is one about the difference of two effects.
    """


@dataclass(frozen=True)
class HyperParameter:
    """A row of the table "paper against here"."""

    name: str
    paper: str
    place: str
    here: Mapping[str, str]
    """Variant -> what it uses."""
    why: str = ""
    """Why it differs, where it does."""


def available() -> list[str]:
    """The sources that have a recipe."""
    return [source for source in SOURCES if importlib.util.find_spec(f"mdepth.recipes.{source}")]


def get(source: str) -> ModuleType:
    """The recipe module of a source.

    Raises:
        ValueError: there is no such recipe; the message lists those that exist.

    Example:
        >>> get("eigen").VERSION >= 1
        True
    """
    if source not in available():
        raise ValueError(f"unknown source {source!r}; there are recipes for {', '.join(available())}")
    return importlib.import_module(f"mdepth.recipes.{source}")
