"""Hu et al. 2019, both papers: a depth network N with sharp edges, and a network G that says which pixels any
depth network needs.

The whole of it on a page. N (WACV): ``encoder -> D and MFF -> R -> metres``, held to the truth by logarithms
of three errors, of depth, of slopes, of normals. G (ICCV): ``image -> mask``; N, frozen, looks at the masked
image, and G is held to what N said of the whole one, and to keeping little. N is any depth network of the
package: the one that is trained here, or those of the other chapters.

Where we differ, and why, stands in ``HYPERPARAMETERS`` (``hu_paper.py``), row by row.
"""

import hashlib
import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from mdepth import weights
from mdepth.datasets.worlds.store import default_cache
from mdepth.losses import hu_loss
from mdepth.masks import frozen, mask_objective
from mdepth.models import DepthNetwork, build
from mdepth.models.hu_masks import MaskPredictor, mask_predictor
from mdepth.recipes import Outcome
from mdepth.recipes.hu_data import Batches, Views, datasets, describe, fingerprint, real_sets
from mdepth.recipes.hu_measures import kept, measured, measured_masks
from mdepth.recipes.hu_paper import CLAIMS, HYPERPARAMETERS, HYPERPARAMETERS_MASK
from mdepth.recipes.hu_settings import LAMBDAS, VARIANTS, Either, MaskSettings, Settings, seeds, settings
from mdepth.recipes.imagenet import load_imagenet
from mdepth.recipes.parts import Schedule, map_size, mean_depth
from mdepth.shapes import DataError, Tensor
from mdepth.train import History, fit, step_seed

__all__ = [
    "CLAIMS", "HYPERPARAMETERS", "HYPERPARAMETERS_MASK", "LAMBDAS", "VARIANTS", "VERSION", "MaskSettings",
    "Settings", "Stairs", "describe", "fingerprint", "looked_into", "loss", "mask_loss", "real_sets", "run",
    "seeds", "settings", "trained",
]  # fmt: skip

VERSION = 1


def loss(network: nn.Module, batch: dict[str, Tensor], *, settings: Settings) -> Tensor:
    """WACV, text on the loss: three errors of the metres, over the valid pixels of the batch."""
    answer = network(batch["image"])
    return hu_loss(answer, batch["depth"], batch["valid"], settings.weights, padding=settings.padding)


def mask_loss(
    predictor: nn.Module, batch: dict[str, Tensor], *, network: DepthNetwork, settings: MaskSettings
) -> Tensor:
    """ICCV, the relaxed problem: what N no longer says of the masked image, and how much of it is kept."""
    seen = batch["image"]
    network = network.to(seen.device)
    mask = predictor(network.normalise(seen))
    with torch.autocast(seen.device.type, torch.bfloat16, enabled=settings.precision == "bf16-mixed"):
        found = mask_objective(network, seen, mask, fill=settings.fill)
    return found.loss(settings.sparsity)


class Stairs:
    """The factor on the rate at a step: divided by 10 where each of some parts of all steps is over.

    Example:
        >>> stairs = Stairs(steps=100, parts=(0.25, 0.5))
        >>> [round(stairs(step), 3) for step in (0, 24, 25, 50)]
        [1.0, 1.0, 0.1, 0.01]
    """

    def __init__(self, steps: int, parts: tuple[float, ...]) -> None:
        self.steps, self.parts = steps, parts

    def __call__(self, step: int) -> float:
        return 0.1 ** sum(step >= part * self.steps for part in self.parts)


def run(
    settings: Either, seed: int, *, folder: Path | None, name: str = "hu", progress: bool = True
) -> Outcome:
    """Train N, or G for an N, measure (:mod:`~mdepth.recipes.hu_measures`), and of the first seed keep some
    maps.
    """
    train, test = datasets(settings, progress=progress)
    common: dict[str, Any] = {"folder": folder, "name": name, "progress": progress}
    network: nn.Module
    samples: dict[str, np.ndarray] = {}
    if isinstance(settings, Settings):
        network, history = learn(settings, seed, train, **common)
        metrics = measured(network, settings, train, test)
        extra: dict[str, Any] = {}
        keep_network(network, settings, seed)
        inner = network
    else:
        inner = looked_into(settings, seed, train, progress=progress)
        network, history = learn_mask(settings, inner, seed, train, **common)
        metrics, extra = measured_masks(network, inner, settings, train, test, seed=seed)
    real = settings.data not in ("rooms", "roads")
    ids: list[str] = []
    if not real and seed == 0:  # a record is small
        samples, ids = kept(network, inner, test, getattr(settings, "fill", "mean"))
    digest = fingerprint(settings) if real else train.fingerprint()
    data = {"hash": digest, "real": real, "train": train.describe(), "test": test.describe()}
    return Outcome(
        metrics, history, data, network, samples, ids, extra={"level": level(settings, train, test), **extra}
    )


def learn(
    settings: Settings, seed: int, train: Any, *, folder: Path | None, name: str, progress: bool
) -> tuple[DepthNetwork, History]:
    """N from the first weights of a seed, its output near the mean depth of the data; and its curve."""
    with torch.random.fork_rng():
        torch.manual_seed(step_seed(seed, 0, stream=1_000))
        network = build(settings.network, mean_depth=mean_depth(train))
    network = network.to(memory_format=torch.channels_last)
    if settings.init == "imagenet":
        load_imagenet(network.get_submodule("encoder"), settings.network.removeprefix("hu-"))
    adam = torch.optim.Adam(network.parameters(), lr=settings.rate, weight_decay=settings.decay, fused=True)
    schedule: Any = Schedule(settings.steps, settings.warm_up, anneal=True)
    if settings.stairs:
        schedule = Stairs(settings.steps, settings.stairs)
    history = fit(
        network,
        Batches(train, network, settings, map_size(settings.network)),
        partial(loss, settings=settings),
        adam,
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
    return network.eval(), history


def learn_mask(
    settings: MaskSettings,
    network: DepthNetwork,
    seed: int,
    train: Any,
    *,
    folder: Path | None,
    name: str,
    progress: bool,
) -> tuple[MaskPredictor, History]:
    """G from the first weights of a seed, for an N that is not touched; and its curve."""
    with torch.random.fork_rng():
        torch.manual_seed(step_seed(seed, 0, stream=1_100))
        predictor = mask_predictor(settings.predictor)
    predictor.decoder.to(
        memory_format=torch.channels_last
    )  # a third faster; the encoder's few channels cannot
    if settings.init == "imagenet":
        load_imagenet(predictor.encoder, "drn_d_22")
    adam = torch.optim.Adam(predictor.parameters(), lr=settings.rate, weight_decay=settings.decay, fused=True)
    history = fit(
        predictor,
        Views(train, network, settings),
        partial(mask_loss, network=network, settings=settings),
        adam,
        settings.steps,
        seed=seed,
        folder=folder,
        name=name,
        schedule=Schedule(settings.steps, settings.warm_up, anneal=settings.anneal),
        accelerator=settings.accelerator,
        precision=settings.precision,
        prefetch=settings.prefetch,
        progress=progress,
    )
    return predictor.eval(), history


def looked_into(settings: MaskSettings, seed: int, train: Any, *, progress: bool = True) -> DepthNetwork:
    """N, frozen: one that comes with the package, or the one of this seed."""
    if settings.trained is not None:
        return frozen(trained(settings.trained, seed, train, progress=progress))
    network = build(settings.network)
    weights.load(network, weights.pretrained(settings.network))
    return frozen(network.to(memory_format=torch.channels_last))


def trained(settings: Settings, seed: int, train: Any, *, progress: bool = True) -> DepthNetwork:
    """N of a seed, trained by the first who asks and kept in the cache, beside the worlds; of two processes
    that ask for the same one, one trains and the other waits.

    Raises:
        DataError: the cache cannot be written to.
    """
    from filelock import FileLock

    path = _place(settings, seed)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            if not path.is_file():
                folder = path.with_suffix(".training")
                network, _ = learn(
                    settings, seed, train, folder=folder, name="depth network", progress=progress
                )
                weights.save(network, path)
    except OSError as error:
        raise DataError(
            f"{path}: cannot keep a network there: {error.strerror or error}; set MDEPTH_CACHE to a "
            "folder that may be written"
        ) from error
    network = build(settings.network)
    weights.load(network, path)
    return network.to(memory_format=torch.channels_last)


def keep_network(network: DepthNetwork, settings: Settings, seed: int) -> None:
    """Keep a trained N for the masks of its seed, unless one is there."""
    path = _place(settings, seed)
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        weights.save(network, path)


def _place(settings: Settings, seed: int) -> Path:
    """Where the N of some settings and a seed is kept."""
    about = {"version": VERSION, "seed": seed, "data": describe(settings), **asdict(settings)}
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:12]
    return default_cache() / f"hu-{settings.network}-{digest}.safetensors"


WHOLE = (249, 654)
"""Training scenes and test images of NYU: only with all of them is a number one of the data."""


def level(settings: Either, train: Any, test: Any) -> str:
    """The level of evidence: B on the worlds, D on the whole of NYU, d on some of it and on other frames."""
    if settings.data in ("rooms", "roads"):
        return "B"
    if settings.data != "nyu":
        return "d"
    return "D" if len(set(train.dataset.scene_names)) >= WHOLE[0] and len(test) == WHOLE[1] else "d"
