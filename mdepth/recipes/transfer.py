"""U-Nets for depth, from scratch and from encoders that have learnt something else before.

The whole of it on a page: ``encoder -> joints -> a share of 10 m``, held to the truth by DenseDepth's three
terms: absolute errors, errors of the slope, structural dissimilarity. What is exchanged is what the encoder
knew before, how many labelled images there are, and the terms of the loss.

Where we differ, and why, stands in ``HYPERPARAMETERS`` (``transfer_paper.py``), row by row.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mdepth.losses import gradient_loss, l1_loss, ssim_loss
from mdepth.models import DepthNetwork, build
from mdepth.recipes import Outcome
from mdepth.recipes.imagenet import load_imagenet
from mdepth.recipes.parts import Chosen, Schedule, display, map_size, mean_depth
from mdepth.recipes.taught import taught
from mdepth.recipes.transfer_data import Batches, Sets, datasets, describe, fingerprint, real_sets
from mdepth.recipes.transfer_measures import measured
from mdepth.recipes.transfer_paper import CLAIMS, HYPERPARAMETERS
from mdepth.recipes.transfer_settings import NYU, ROOMS, VARIANTS, Pretext, Settings, seeds, settings
from mdepth.shapes import Tensor
from mdepth.train import fit, step_seed

__all__ = [
    "CLAIMS", "HYPERPARAMETERS", "NYU", "ROOMS", "VARIANTS", "VERSION", "Batches", "Pretext", "Settings",
    "as_compared", "datasets", "describe", "fingerprint", "loss", "make", "real_sets", "reciprocal", "run",
    "seeds", "settings",
]  # fmt: skip

VERSION = 1
FARTHEST = 10.0
"""Metres: the reciprocal of depth is 1 here."""
IMAGENET = {"transfer-resnet34": "resnet34", "densedepth": "densenet169"}
"""Networks whose encoder torchvision has weights for -> what it calls them."""


def loss(
    network: nn.Module,
    batch: dict[str, Tensor],
    *,
    compared: Callable[[Tensor], Tensor],
    settings: Settings,
) -> Tensor:
    """lambda L_depth + L_grad + L_SSIM of metres, or of 10 m / depth, which :func:`as_compared` makes of the
    network's answer.
    """
    prediction, target, valid = compared(network(batch["image"])), batch["depth"], batch["valid"]
    if settings.quantity == "reciprocal":
        target = reciprocal(target)
    total = settings.lam * l1_loss(prediction, target, valid)
    if settings.slope:
        total = total + gradient_loss(prediction, target, valid)
    if settings.ssim:
        total = total + ssim_loss(prediction, target, valid, data_range=settings.ssim)
    return total


def reciprocal(depth: Tensor) -> Tensor:
    """10 m / depth: 1 at 10 m, 100 at 0.1 m and nearer, and where a hole is stored as 0.

    Example:
        >>> reciprocal(torch.tensor([10.0, 1.0, 0.1, 0.0])).tolist()
        [1.0, 10.0, 100.0, 100.0]
    """
    return FARTHEST / depth.clamp(min=FARTHEST / 100)


def as_compared(network: DepthNetwork, quantity: str) -> Callable[[Tensor], Tensor]:
    """What turns a network's native answer into the quantity that the loss compares. A network whose answer
    is the reciprocal already is compared as it is: an answer below 1, beyond the farthest depth, still has a
    gradient.
    """
    if quantity == "depth":
        return network.to_depth
    if network.native == "inverse_depth":
        return lambda native: native
    return lambda native: reciprocal(network.to_depth(native))


def make(
    settings: Settings, seed: int, train: Any, *, progress: bool = True
) -> tuple[DepthNetwork, dict[str, Any]]:
    """The network with the first weights of a seed, its output near the mean depth of the data, and its
    encoder with what it learnt before; and what is known of that.
    """
    with torch.random.fork_rng():
        torch.manual_seed(step_seed(seed, 0, stream=1_000))
        network = build(settings.network, mean_depth=mean_depth(train))
    network = network.to(memory_format=torch.channels_last)  # a fifth faster on a CPU
    if settings.init == "imagenet":
        load_imagenet(
            network.get_submodule("encoder"), "resnet34" if "resnet34" in settings.network else "densenet169"
        )
    elif settings.init != "random":
        assert settings.pretext is not None
        state, facts = taught(
            settings.network, settings.init, settings.pretext,
            precision=settings.precision, progress=progress,
        )  # fmt: skip
        network.get_submodule("encoder").load_state_dict(state)
        return network, facts
    return network, {}


def run(
    settings: Settings, seed: int, *, folder: Path | None, name: str = "transfer", progress: bool = True
) -> Outcome:
    """Train, measure (:mod:`~mdepth.recipes.transfer_measures`), and of the first seed keep some maps."""
    sets = datasets(settings, progress=progress)
    network, facts = make(settings, seed, sets.train, progress=progress)
    history = fit(
        network,
        Batches(sets.train, network, settings, map_size(settings.network)),
        partial(loss, compared=as_compared(network, settings.quantity), settings=settings),
        torch.optim.Adam(network.parameters(), lr=settings.rate, fused=True),
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
    network.eval()
    real = settings.data != "rooms"
    whole = sets.train.dataset if isinstance(sets.train, Chosen) else sets.train
    digest = fingerprint(settings) if real else whole.fingerprint()
    data = {"hash": digest, "real": real, "train": sets.train.describe(), "test": sets.test.describe()}
    extra = {"level": level(settings, sets), **({"pretext": facts} if facts else {})}
    outcome = Outcome(measured(network, settings, sets), history, data, network, extra=extra)
    if real or seed > 0 or sets.held_out is not None:  # a record is small
        return outcome
    prediction, ids = display(network, sets.test, SHOWN)
    return replace(outcome, samples={"prediction": prediction}, sample_ids=ids)


SHOWN = 3
"""Test images whose predictions the record of the first seed keeps."""
NYU_WHOLE = (249, 654)
"""Training scenes and test images of NYU: only with all of them is a number one of the data."""


def level(settings: Settings, sets: Sets) -> str:
    """The level of evidence: B on the worlds, D on the whole of NYU, d on some of it and on other frames."""
    if settings.data == "rooms":
        return "B"
    if settings.data != "nyu":
        return "d"
    known = len(set(sets.train.dataset.scene_names))
    return "D" if known >= NYU_WHOLE[0] and len(sets.test) == NYU_WHOLE[1] else "d"
