"""Training convolutions beforehand, on a task without depth: name the one thing that a picture shows.

The papers take such weights from ImageNet. Here the pictures are synthetic
(:mod:`mdepth.datasets.worlds.things`), so that what pretraining buys can be measured without anybody's images
or weights.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from mdepth.datasets.worlds.things import NAMES, Things, ThingsDataset, load_things
from mdepth.recipes.parts import Schedule
from mdepth.shapes import Image, Tensor
from mdepth.train import fit

__all__ = ["Naming", "decisions", "naming_accuracy", "pretrain"]


class Naming(nn.Module):
    """Features and one linear layer that names what is seen.

    Args:
        features: any module from normalised images (B, 3, h, w) to features (B, C, h', w').
        example: one normalised image, to find the features' size.
    """

    def __init__(self, features: nn.Module, example: Image) -> None:
        super().__init__()
        self.features = features
        with torch.no_grad():
            size = features(example).flatten(1).shape[1]
        self.dropout, self.names = nn.Dropout(0.5), nn.Linear(size, len(NAMES))

    def forward(self, x: Image) -> Tensor:
        """Logits of :data:`~mdepth.datasets.worlds.things.NAMES`, (B, 16)."""
        return self.names(self.dropout(self.features(x).flatten(1)))


@dataclass(frozen=True)
class _Pictures:
    """``batch_at``: random pictures, half of them mirrored, each channel times a random factor."""

    dataset: ThingsDataset
    normalise: Callable[[Image], Image]
    batch: int

    def __call__(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        indices = torch.randint(len(self.dataset), (self.batch,), generator=generator)
        image, label = self.dataset.batch(indices.tolist())
        mirrored = torch.rand(self.batch, 1, 1, 1, generator=generator) < 0.5
        gain = 0.8 + 0.4 * torch.rand(self.batch, 3, 1, 1, generator=generator)
        image = torch.where(mirrored, image.flip(-1), image) * gain
        return {"image": self.normalise(image.clamp(max=1)), "label": label}


def pretrain(
    features: nn.Module,
    size: tuple[int, int],
    normalise: Callable[[Image], Image],
    *,
    steps: int,
    seed: int,
    folder: Path | None,
    name: str = "pretext",
    pictures: int = 4000,
    looks: str = "natural",
    conflict: bool = False,
    batch: int = 16,
    rate: float = 0.001,
    progress: bool = True,
    accelerator: str = "cpu",
    precision: str = "32-true",
) -> dict[str, float]:
    """Train ``features`` in place to name things in pictures of ``size``, and say how well they do on others.

    ``looks`` as in :class:`~mdepth.datasets.worlds.things.Things`: "any" leaves only the shape to go by.
    Adam whose rate falls along half a cosine, cross entropy. Returns ``accuracy`` on 400 unseen pictures, and
    ``chance``, the share of the most frequent name among them; with ``conflict`` also what :func:`decisions`
    finds on 400 pictures of things that wear another's surfaces.
    """
    height, width = size
    train = load_things(Things("train", pictures, height, width, looks=looks))
    network = Naming(features, normalise(torch.full((1, 3, height, width), 0.5)))
    fit(
        network,
        _Pictures(train, normalise, batch),
        _cross_entropy,
        torch.optim.Adam(network.parameters(), lr=rate),
        steps,
        seed=seed,
        folder=folder,
        name=name,
        schedule=Schedule(steps, warm_up=0, anneal=True),
        accelerator=accelerator,
        precision=precision,
        progress=progress,
    )
    found = naming_accuracy(network, load_things(Things("test", 400, height, width, looks=looks)), normalise)
    if conflict:
        found |= decisions(
            network, load_things(Things("test", 400, height, width, looks="another")), normalise
        )
    return found


def _cross_entropy(network: nn.Module, batch: dict[str, Any]) -> Tensor:
    return functional.cross_entropy(network(batch["image"]), batch["label"])


def naming_accuracy(
    network: nn.Module, dataset: ThingsDataset, normalise: Callable[[Image], Image]
) -> dict[str, float]:
    """Share of pictures that are named rightly, and the share of the most frequent name."""
    label, said = _named(network, dataset, normalise)
    return {
        "accuracy": (said == label).float().mean().item(),
        "chance": (label.bincount().max() / len(label)).item(),
    }


def decisions(
    network: nn.Module, dataset: ThingsDataset, normalise: Callable[[Image], Image]
) -> dict[str, float]:
    """Of things that wear another's surfaces, the shares that are named by their shape (``by_shape``), and by
    their surface (``by_surface``); the rest is called something that it is neither.

    The cat with the skin of an elephant, of Geirhos et al. 2019; a network that guesses has 1/16 of each.
    ``by_surface`` counts the one kind whose surfaces were taken; others may have such surfaces, too.

    Raises:
        ValueError: the things wear their own surfaces, or any.
    """
    if dataset.things.looks != "another":
        raise ValueError(f'decisions need things with looks="another", got {dataset.things.looks!r}')
    label, said = _named(network, dataset, normalise)
    worn = dataset.worn(range(len(dataset)))
    return {
        "by_shape": (said == label).float().mean().item(),
        "by_surface": (said == worn).float().mean().item(),
    }


@torch.no_grad()
def _named(
    network: nn.Module, dataset: ThingsDataset, normalise: Callable[[Image], Image]
) -> tuple[Tensor, Tensor]:
    """What the pictures show, and what the network says."""
    network.eval()
    image, label = dataset.batch(range(len(dataset)))
    return label, torch.cat([network(normalise(part)).argmax(1) for part in image.split(50)])
