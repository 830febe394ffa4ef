"""Eigen and Fergus 2015: one network of three scales that learns depth, normals and labels.

The whole of it on a page: ``scales 1 and 2 -> depth, normals, labels at a quarter of the input``, trained
together on the sum of the three losses; then scale 3 alone, behind them, at half of the input. Images are
enlarged, turned, mirrored and recoloured on the way in, and the truth with them. Depth is held to the
scale-invariant loss with slopes, normals to their cosine, labels to cross entropy.

Where we differ, and why, stands in ``HYPERPARAMETERS_2015`` (``eigen_paper.py``), row by row.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from mdepth.datasets.transforms import augment
from mdepth.datasets.worlds.classes import ROOM_CLASSES, LabelledRooms
from mdepth.evaluate.tasks import (
    mean_normals_baseline,
    most_frequent_baseline,
    score_labels,
    score_normals,
)
from mdepth.losses import label_loss, normals_loss, scale_invariant_gradient_loss
from mdepth.models import build
from mdepth.models.eigen_multiscale import EigenMultiscale
from mdepth.recipes import Outcome
from mdepth.recipes.eigen_data import Batches, datasets, mean_log_depth
from mdepth.recipes.eigen_paper import PRINTED
from mdepth.recipes.eigen_settings import Multiscale
from mdepth.recipes.parts import BASELINE_IMAGES, Schedule, display, image_size, score, take, thinned
from mdepth.shapes import Tensor
from mdepth.train import History, fit, step_seed

__all__ = ["TaskBatches", "loss", "make", "optimiser", "run", "targets"]


def loss(network: Any, batch: dict[str, Tensor]) -> Tensor:
    """The sum of the losses of the network's tasks, each with weight 1; ``network`` may be wrapped by the
    training loop.
    """
    answers, valid = network.outputs(batch["image"]), batch["valid"]
    return torch.stack([LOSSES[task](answers[task], batch[task], valid) for task in answers]).sum()


LOSSES: dict[str, Callable[..., Tensor]] = {
    "depth": scale_invariant_gradient_loss,
    "normals": normals_loss,
    "labels": label_loss,
}


def targets(network: EigenMultiscale, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """``valid`` and the truth of every task where the network answers: every ``stride``-th pixel of what it
    covers, from the second on (released). Depth becomes log depth, 0 where it is not valid; nothing is
    averaged.
    """
    top, bottom, left, right = network.covered
    every = slice(1, None, network.stride)
    sampled = {
        key: batch[key][..., top:bottom, left:right][..., every, every] for key in ("valid", *network.tasks)
    }
    if "depth" in sampled:
        sampled["depth"] = torch.where(sampled["valid"], sampled["depth"], 1.0).log()
    return sampled


@dataclass(frozen=True)
class TaskBatches(Batches):
    """``batch_at`` of a stage: random images, augmented, with all truth where the stage's network answers."""

    network: EigenMultiscale

    def __call__(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        indices = torch.randint(len(self.dataset), (self.settings.batch,), generator=generator)
        batch = take(self.dataset, indices.tolist())
        kept = dict.fromkeys(("image", "depth", "valid", "K", *self.network.tasks))
        batch = augment({key: batch[key] for key in kept}, self.augmentation(), generator)
        return {"image": self.network.normalise(batch["image"]), **targets(self.network, batch)}


def optimiser(network: EigenMultiscale, settings: Multiscale) -> torch.optim.Optimizer:
    """SGD with momentum, a rate for every kind of layer; what is frozen has none."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for (rate, decay), parameter in _rated(network, settings):
        groups.setdefault((rate, decay), []).append(parameter)
    each = [{"params": some, "lr": rate, "weight_decay": decay} for (rate, decay), some in groups.items()]
    if settings.optimiser == "adam":
        return torch.optim.Adam(each)
    return torch.optim.SGD(each, momentum=settings.momentum)


def _rated(
    network: EigenMultiscale, settings: Multiscale
) -> Iterator[tuple[tuple[float, float], nn.Parameter]]:
    """Rate and weight decay of every parameter that is trained."""
    first, between, last = settings.rate_local
    for name, parameter in network.named_parameters():
        scale, *path = name.split(".")
        if scale == "scale1":
            full = path[0] in ("layer6", "layer7")
            rate = settings.rate_fc if full else settings.rate_conv
            decay = settings.decay_fc if full else settings.decay_conv
        else:
            ends = {"layer1": first, LAST[scale]: last}
            rate, decay = ends.get(path[1], between), settings.decay_fc
        if parameter.requires_grad:
            yield (rate, decay), parameter


LAST = {"answer1": "conv", "scale2": "layer5", "scale3": "layer4"}
"""The layers that answer."""


def make(settings: Multiscale, seed: int, mean_log_depth: float) -> EigenMultiscale:
    """The network with the first weights of a seed."""
    classes = len(ROOM_CLASSES) if "labels" in settings.tasks else None
    with torch.random.fork_rng():
        torch.manual_seed(step_seed(seed, 0, stream=1_000))
        network = build(
            settings.network, tasks=settings.tasks, classes=classes, scales=settings.scales,
            dropout=settings.dropout, mean_log_depth=mean_log_depth,
        )  # fmt: skip
    assert isinstance(network, EigenMultiscale)
    return network


def run(
    settings: Multiscale, seed: int, *, folder: Path | None, name: str = "eigen", progress: bool = True
) -> Outcome:
    """Train the scales in their stages; score every task beside answers that never look at the image, and
    where there is a scale 3 beside scales 1 and 2; keep four predictions.
    """
    size = image_size(settings.network)
    train, test = (LabelledRooms(rooms) for rooms in datasets(settings, size, progress=progress))
    network = make(settings, seed, mean_log_depth(train))

    def stage(part: EigenMultiscale, title: str, steps: int, seed: int) -> History:
        """Train what is not frozen of all scales, or of the first two."""
        return fit(
            part,
            TaskBatches(train, part, settings),
            loss,
            optimiser(part, settings),
            steps,
            seed=seed,
            folder=folder / title if folder else None,
            name=f"{name}, {title}",
            schedule=Schedule(steps, settings.warm_up, settings.anneal),
            accelerator=settings.accelerator,
            prefetch=settings.prefetch,
            progress=progress,
        )

    below = network.without_scale3() if 3 in settings.scales else network
    history = stage(below, "first stage", settings.steps, seed)
    rivals = {}
    if below is not network:
        again = step_seed(seed, 0, stream=2_000)
        history = history.then(stage(network.freeze_below(), "scale 3", settings.fine_steps, again))
        rivals["scales12"] = below.eval()
    metrics = scores(network.eval(), rivals, train, test, settings.protocol)
    data = {"hash": train.fingerprint(), "real": False, "train": train.describe(), "test": test.describe()}
    samples, ids = keepsakes(network, test)
    return Outcome(metrics, history, data, network, samples, ids, extra={"level": "B"})


def scores(
    network: EigenMultiscale,
    rivals: dict[str, EigenMultiscale],
    train: LabelledRooms,
    test: LabelledRooms,
    protocol: str,
) -> dict[str, dict[str, Any]]:
    """Every task's metrics: of the network under ``worlds``, ``normals`` and ``labels``, of a rival under
    ``worlds@rival``, of what never looks at the image under ``@mean-depth``, ``@mean-map`` (depth, normals)
    and ``@mode-map`` (labels).
    """
    networks = {"": network, **{f"@{name}": rival for name, rival in rivals.items()}}
    others = {name: rival.predict for name, rival in rivals.items()}
    metrics = score(network, train, test, [protocol], rivals=others, metrics=PRINTED)
    if "normals" in network.tasks:
        found = {f"normals{name}": part.predict_normals for name, part in networks.items()}
        found["normals@mean-map"] = mean_normals_baseline(train, limit=BASELINE_IMAGES)
        metrics |= {key: score_normals(answer, test) for key, answer in found.items()}
    if "labels" in network.tasks:
        classes = len(ROOM_CLASSES)
        found = {f"labels{name}": part.predict_labels for name, part in networks.items()}
        found["labels@mode-map"] = most_frequent_baseline(train, classes, limit=BASELINE_IMAGES)
        metrics |= {key: score_labels(answer, test, classes) for key, answer in found.items()}
    return {key: table if key == protocol else thinned(table) for key, table in metrics.items()}


@torch.no_grad()
def keepsakes(
    network: EigenMultiscale, test: LabelledRooms, count: int = 4
) -> tuple[dict[str, np.ndarray], list[str]]:
    """What the network says of the first test images at its own resolution, in float16: ``prediction``
    (depth), ``normals`` in steps of 1/64, and ``labels``; and the images' ids.
    """
    images = torch.stack([test[i]["image"] for i in range(min(count, len(test)))])
    answers = network.outputs(network.prepare(images))
    depth, ids = display(network, test, count)
    samples: dict[str, Tensor] = {}
    if "normals" in answers:
        samples["normals"] = (answers["normals"] * 64).round() / 64
    if "labels" in answers:
        samples["labels"] = answers["labels"].argmax(dim=1)
    return {"prediction": depth} | {key: value.half().cpu().numpy() for key, value in samples.items()}, ids
