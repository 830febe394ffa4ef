"""Chakrabarti, Shao and Shakhnarovich 2016: train local distributions, then make one map of them.

The whole of it on a page: ``image -> at every 8th pixel, a distribution for the response of each filter``,
held to the responses of the true inverse depth by a divergence that counts each filter by its variance. What
the distributions are made of, Gaussians at fixed places, is fitted to training maps before the first step.
Only when a map is wanted are the distributions asked for at every pixel and harmonised; nothing is trained
through that.

Where we differ, and why, stands in ``HYPERPARAMETERS_2016`` (``eigen_paper.py``), row by row.
"""

from copy import copy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from mdepth.datasets.transforms import augment
from mdepth.models import build
from mdepth.models.eigen_harmony import Components, LogWeights, harmonise, local_loss, schedule
from mdepth.models.eigen_local import EigenLocal
from mdepth.recipes import Outcome
from mdepth.recipes.eigen_data import Batches, datasets
from mdepth.recipes.eigen_paper import PRINTED
from mdepth.recipes.eigen_settings import Local
from mdepth.recipes.parts import Predict, Schedule, display, image_size, score, take
from mdepth.shapes import Depth, Float, Tensor
from mdepth.train import fit, step_seed

__all__ = [
    "READINGS", "LocalBatches", "begin", "deviation", "expectation", "keepsakes", "loss", "make", "reading",
    "run", "shown_filters",
]  # fmt: skip


@dataclass(frozen=True)
class LocalBatches(Batches):
    """``batch_at`` of a run: random images, augmented, and at every ``stride``-th pixel the responses of
    their true inverse depth, with the places where all of it that the filters see is known.
    """

    network: EigenLocal
    settings: Local

    def __call__(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        indices = torch.randint(len(self.dataset), (self.settings.batch,), generator=generator)
        batch = take(self.dataset, indices.tolist())
        kept = ("image", "depth", "valid", "K")
        batch = augment({key: batch[key] for key in kept}, self.augmentation(), generator)
        responses, known = self.network.targets(batch["depth"], batch["valid"], self.settings.stride)
        return {"image": self.network.normalise(batch["image"]), "responses": responses, "known": known}


def loss(network: nn.Module, batch: dict[str, Tensor], *, components: Components, stride: int) -> Tensor:
    """The variance-weighted divergence, averaged over the places and filters whose truth is known."""
    return local_loss(network(batch["image"], stride), batch["responses"], components, batch["known"])


def make(settings: Local, seed: int, train: Any) -> EigenLocal:
    """The network with the first weights of a seed and components fitted to training maps."""
    with torch.random.fork_rng():
        torch.manual_seed(step_seed(seed, 0, stream=1_000))
        network = build(settings.network, dropout=settings.dropout)
        assert isinstance(network, EigenLocal)
        begin(network, train, settings.fitted, settings.stride)
    return network


def begin(network: EigenLocal, train: Any, count: int, stride: int) -> None:
    """Fit the components to the responses at every ``stride``-th pixel of the first ``count`` training maps,
    and begin with their mean inverse depth everywhere.
    """
    maps = take(train, range(min(count, len(train))))
    responses, known = network.targets(maps["depth"], maps["valid"], stride)
    values = responses.movedim(1, 0)[:, known[:, 0]]  # K N
    network.begin(
        Components.fit(values, network.size.count), (1 / maps["depth"][maps["valid"]]).mean().item()
    )


# --- what one reads off the distributions ------------------------------------------------------------


def expectation(log_weights: LogWeights, components: Components) -> Float[Tensor, "B K H W"]:
    r"""The mean of every distribution, :math:`\sum_j p_j c_j`.

    Example:
        >>> halves = torch.full((1, 1, 2, 1, 1), 0.5).log()
        >>> expectation(halves, Components(torch.tensor([[1.0, 4.0]]), torch.ones(1))).item()
        2.5
    """
    return torch.einsum("bkmhw,km->bkhw", log_weights.exp(), components.means)


def deviation(log_weights: LogWeights, components: Components) -> Float[Tensor, "B K H W"]:
    r"""The standard deviation of every distribution, by which the network says how little it knows:
    :math:`\sqrt{\sigma^2 + \sum_j p_j c_j^2 - (\sum_j p_j c_j)^2}`.

    Example:
        >>> halves = torch.full((1, 1, 2, 1, 1), 0.5).log()
        >>> deviation(halves, Components(torch.tensor([[-2.0, 2.0]]), torch.full((1,), 5.0))).item()
        3.0
    """
    squares = torch.einsum("bkmhw,km->bkhw", log_weights.exp(), components.means**2)
    spread = squares - expectation(log_weights, components).square()
    return (spread.clamp(min=0) + components.variances[:, None, None]).sqrt()


def _expected(network: EigenLocal, log_weights: LogWeights) -> Float[Tensor, "B 1 H W"]:
    """Inverse depth from the impulse alone: the mean of its distribution."""
    return expectation(log_weights[:, :1], network.components[[0]]) / network.bank.kernels[0].sum()


def _likeliest(network: EigenLocal, log_weights: LogWeights) -> Float[Tensor, "B 1 H W"]:
    """Inverse depth from the impulse alone: the component with the largest weight."""
    chosen = log_weights[:, 0].argmax(dim=1, keepdim=True)
    return network.means[0][chosen] / network.bank.kernels[0].sum()


def _averages(network: EigenLocal, log_weights: LogWeights) -> Float[Tensor, "B 1 H W"]:
    """Inverse depth harmonised from the impulse and the averages, without slopes and bends."""
    chosen = network.bank.only(orders=[0])
    bank, components = network.bank[chosen], network.components[chosen]
    return harmonise(log_weights[:, chosen], bank, components, betas=schedule(network.size.ratio))


READINGS = {"pointwise": _expected, "pointwise-mode": _likeliest, "order0": _averages}
"""Other ways from a network's distributions to inverse depth than all filters harmonised. Of the paper's
Table 1, row "pointwise", we do not know which of the two it is.
"""


def reading(network: EigenLocal, name: str) -> EigenLocal:
    """The same network and weights, whose answers are made in another way: one of ``READINGS``."""
    inverse = partial(READINGS[name], network)
    other = copy(network)
    other.to_depth = lambda native: _metres(network, inverse(native))  # type: ignore[method-assign]
    return other


def _metres(network: EigenLocal, inverse_depth: Depth) -> Depth:
    """1 / max(0.1, y), as after harmonisation."""
    return 1 / inverse_depth.clamp(min=1 / network.depth_range[1])


# --- a run ------------------------------------------------------------------------------------------


def run(
    settings: Local, seed: int, *, folder: Path | None, name: str = "eigen", progress: bool = True
) -> Outcome:
    """Fit the components, train the network, score its harmonised maps beside other readings of the same
    distributions, and keep some of both.
    """
    size = image_size(settings.network)
    train, test = datasets(settings, size, progress=progress)
    network = make(settings, seed, train)
    history = fit(
        network,
        LocalBatches(train, network, settings),
        partial(loss, components=network.components, stride=settings.stride),
        torch.optim.Adam(network.parameters(), lr=settings.rate_conv),
        settings.steps,
        seed=seed,
        folder=folder,
        name=name,
        schedule=Schedule(settings.steps, settings.warm_up, settings.anneal),
        accelerator=settings.accelerator,
        prefetch=settings.prefetch,
        progress=progress,
    )
    network.eval()
    rivals: dict[str, Predict] = {name: reading(network, name).predict for name in READINGS}
    metrics = score(network, train, test, [settings.protocol], rivals=rivals, metrics=PRINTED)
    data = {"hash": train.fingerprint(), "real": False, "train": train.describe(), "test": test.describe()}
    samples, ids = keepsakes(network, test)
    return Outcome(metrics, history, data, network, samples, ids, extra={"level": "B"})


def shown_filters(network: EigenLocal) -> list[int]:
    """Numbers of three filters of which a record keeps distributions: the impulse, and of the largest scale
    the slope to the right and the bend along it.
    """
    bank = network.bank
    pairs = list(zip(bank.sigma, bank.order, strict=True))
    return [0, *(pairs.index((max(bank.sigma), order)) for order in (1, 2))]


@torch.no_grad()
def keepsakes(network: EigenLocal, test: Any, count: int = 3) -> tuple[dict[str, np.ndarray], list[str]]:
    """What the network says of the first test images, at its own resolution and in float16, and their ids:

    - ``prediction`` and ``pointwise``: depth, harmonised and from the impulse alone, (count, h, w);
    - of the first image and ``shown_filters``: ``expected`` and ``deviation`` at every second pixel,
      (3, h/2, w/2), and ``line``, all weights along the middle row, (3, M, w);
    - ``means`` (3, M) and ``sigmas`` (3,) of these filters' components.
    """
    (depth, ids), (alone, _) = (display(one, test, count) for one in (network, reading(network, "pointwise")))
    chosen = shown_filters(network)
    weights = network(network.prepare(test[0]["image"][None]))[:, chosen]
    components = network.components[chosen]
    some = {
        "expected": expectation(weights, components)[0, :, ::2, ::2],
        "deviation": deviation(weights, components)[0, :, ::2, ::2],
        "line": weights[0, :, :, weights.shape[-2] // 2].exp(),
        "means": components.means,
        "sigmas": components.variances.sqrt(),
    }
    kept = {name: value.half().cpu().numpy() for name, value in some.items()}
    return {"prediction": depth, "pointwise": alone} | kept, ids
