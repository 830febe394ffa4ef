"""Laina et al. 2016: a residual encoder, four blocks that double the sides, the reverse Huber loss.

The whole of it on a page: ``encoder -> features -> up-sampling blocks -> metres``, held to the depth under
the map's pixels by absolute errors that turn into squares where they are large; images enlarged, turned,
mirrored and recoloured on the way in. Encoders, blocks and losses are exchanged one at a time, and everything
else stays.

Where we differ, and why, stands in ``HYPERPARAMETERS`` (``laina_paper.py``), row by row.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from mdepth import weights
from mdepth.losses import berhu_loss, l1_loss, l2_loss
from mdepth.models import DepthNetwork, build
from mdepth.models.eigen import EigenFine
from mdepth.models.laina_weights import to_fast
from mdepth.recipes import Outcome
from mdepth.recipes.laina_data import Batches, datasets, describe, fingerprint, real_sets
from mdepth.recipes.laina_paper import CLAIMS, HYPERPARAMETERS, PRINTED
from mdepth.recipes.laina_settings import (
    MAKE3D,
    NYU,
    ROADS,
    ROOMS,
    VARIANTS,
    Settings,
    seeds,
    settings,
)
from mdepth.recipes.parts import (
    Predict,
    Schedule,
    answers,
    display,
    image_size,
    map_size,
    mean_depth,
    score,
    step_table,
    targets,
    thinned,
)
from mdepth.shapes import Tensor
from mdepth.train import fit, step_seed

__all__ = [
    "CLAIMS",
    "HYPERPARAMETERS",
    "LOSSES",
    "MAKE3D",
    "NYU",
    "ROADS",
    "ROOMS",
    "VARIANTS",
    "VERSION",
    "Batches",
    "Settings",
    "Stairs",
    "before",
    "datasets",
    "describe",
    "fingerprint",
    "loss",
    "make",
    "optimiser",
    "real_sets",
    "run",
    "seeds",
    "settings",
    "targets",
]

VERSION = 1
LOSSES = {"berhu": berhu_loss, "l2": l2_loss, "l1": l1_loss}


def loss(network: nn.Module, batch: dict[str, Tensor], *, name: str) -> Tensor:
    """Text on the loss: of the metres between prediction and truth, over the valid pixels of the batch."""
    return LOSSES[name](network(batch["image"]), batch["depth"], batch["valid"])


def optimiser(network: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    """One rate for all layers; SGD with momentum, or Adam for the small networks."""
    if settings.optimiser == "adam":
        return torch.optim.Adam(network.parameters(), lr=settings.rate, weight_decay=settings.decay)
    return torch.optim.SGD(
        network.parameters(), lr=settings.rate, momentum=settings.momentum, weight_decay=settings.decay
    )


@dataclass(frozen=True)
class Stairs:
    """The factor on the rate at a step: divided by 2, then by 5, then by 2 ..., where a part of all steps is
    over.

    Example:
        >>> stairs = Stairs(steps=100, parts=(0.35, 0.7))
        >>> [round(0.01 * stairs(step), 4) for step in (0, 34, 35, 70)]
        [0.01, 0.01, 0.005, 0.001]
    """

    steps: int
    parts: tuple[float, ...]

    def __call__(self, step: int) -> float:
        factor = 1.0
        for number, part in enumerate(self.parts):
            if step >= part * self.steps:
                factor /= (2, 5)[number % 2]
        return factor


def make(settings: Settings, seed: int, train: Any) -> DepthNetwork:
    """The network with the first weights of a seed; its output starts near the mean depth of the data. A fast
    form starts as the same function as the plain one of this seed.
    """
    with torch.random.fork_rng():
        torch.manual_seed(step_seed(seed, 0, stream=1_000))
        network = build(
            settings.network, dropout=settings.dropout, mean_depth=mean_depth(train), init=settings.init
        )
        return to_fast(network) if settings.fast else network  # type: ignore[return-value]


def run(
    settings: Settings, seed: int, *, folder: Path | None, name: str = "laina", progress: bool = True
) -> Outcome:
    """Train, score beside the mean depth and the mean map, measure how sharp the maps are, and keep some."""
    size = image_size(settings.network)
    train, test = datasets(settings, size, progress=progress)
    network = make(settings, seed, train)
    if settings.stairs:
        schedule: Callable[[int], float] = Stairs(settings.steps, settings.stairs)
    else:
        schedule = Schedule(settings.steps, settings.warm_up, anneal=True)
    history = fit(
        network,
        Batches(train, network, settings, map_size(settings.network)),
        partial(loss, name=settings.loss),
        optimiser(network, settings),
        settings.steps,
        seed=seed,
        folder=folder,
        name=name,
        schedule=schedule,
        accelerator=settings.accelerator,
        precision=settings.precision,
        prefetch=settings.prefetch,
        progress=progress,
    )
    network.eval()
    real = settings.data not in ("rooms", "roads")
    digest = fingerprint(settings) if real else train.fingerprint()
    data = {"hash": digest, "real": real, "train": train.describe(), "test": test.describe()}
    rivals = before() if settings.data == "rooms" else {}
    metrics = score(network, train, test, settings.protocols, rivals=rivals, metrics=PRINTED)
    metrics = {key: thinned(table) if "@" in key else table for key, table in metrics.items()}
    if settings.data == "rooms":
        for rival, predict in {"": network.predict, **rivals}.items():
            metrics[f"steps@{rival}" if rival else "steps"] = step_table(*answers(predict, test))
    samples, ids = keepsakes(network, test) if not real else ({}, [])
    extra = {"level": level(settings.data, train, test)}
    return Outcome(metrics, history, data, network, samples, ids, extra=extra)


SHOWN = 4
"""Test images whose predictions a record keeps."""
WHOLE = {"nyu": (249, 654), "make3d": (400, 134)}
"""Training scenes or images, and test images: only with all of them is a number one of the paper's data."""


def level(data: str, train: Any, test: Any) -> str:
    """The level of evidence: B on the worlds, D on the paper's whole data, d on some of them and on other
    real frames.
    """
    if data in ("rooms", "roads"):
        return "B"
    if data not in WHOLE:
        return "d"
    known = len(set(train.dataset.scene_names)) if data == "nyu" else len(train)
    return "D" if known >= WHOLE[data][0] and len(test) == WHOLE[data][1] else "d"


def keepsakes(network: DepthNetwork, test: Any) -> tuple[dict[str, np.ndarray], list[str]]:
    """Predictions of the first test images at the network's own resolution, and their ids."""
    prediction, ids = display(network, test, SHOWN)
    return {"prediction": prediction}, ids


def before() -> dict[str, Predict]:
    """Both networks of Eigen et al. 2014 for rooms, with the weights of their first seed that come with the
    package: what Laina's maps are to be sharper than. Their maps are enlarged as Laina's are, bilinear; the
    nearest pixel, their own rule, draws steps by itself, right ones and wrong ones.
    """
    fine = build("eigen-fine-rooms")
    weights.load(fine, weights.pretrained("eigen-fine-rooms"))
    assert isinstance(fine, EigenFine)
    for network in (fine, fine.coarse):
        network.upsampling = "bilinear"  # type: ignore[misc, assignment]
    return {"eigen-coarse": fine.coarse.predict, "eigen-fine": fine.predict}
