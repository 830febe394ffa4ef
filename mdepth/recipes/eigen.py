"""Eigen, Puhrsch and Fergus 2014: a coarse network looks at the whole image, a fine one draws its edges.

The whole of it on a page: ``coarse network -> log depth -> mean(d^2) - 0.5 mean(d)^2``, images enlarged,
turned, mirrored and recoloured on the way in, SGD with momentum and a rate for each kind of layer; then the
coarse network is left alone and the fine one is trained by the same loss on its output. Places are those of
the paper (arXiv 1406.2283v1); "released" is the authors' published configuration, where it says what the text
does not.

Where we differ, and why, stands in ``HYPERPARAMETERS`` (``eigen_paper.py``), row by row.
"""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from mdepth.datasets.sample import collate
from mdepth.datasets.transforms import resize
from mdepth.losses import scale_invariant_loss
from mdepth.models import DepthNetwork, build
from mdepth.models.contract import evaluating
from mdepth.models.eigen import EigenCoarse, EigenFine
from mdepth.recipes import Outcome, eigen_local, eigen_multiscale
from mdepth.recipes.eigen_data import (
    Batches,
    datasets,
    describe,
    fingerprint,
    mean_log_depth,
    real_sets,
    targets,
)
from mdepth.recipes.eigen_paper import CLAIMS, HYPERPARAMETERS, PRINTED
from mdepth.recipes.eigen_settings import (
    KITTI,
    NYU,
    ROADS,
    ROOMS,
    VARIANTS,
    Local,
    Multiscale,
    Pretrained,
    Settings,
    TwoStages,
    seeds,
    settings,
)
from mdepth.recipes.parts import Schedule, bend_table, display, edge_table, image_size, score, thinned
from mdepth.recipes.pretext import pretrain
from mdepth.shapes import Tensor
from mdepth.train import History, Step, fit, step_seed

__all__ = [
    "CLAIMS",
    "HYPERPARAMETERS",
    "KITTI",
    "NYU",
    "ROADS",
    "ROOMS",
    "VARIANTS",
    "VERSION",
    "Batches",
    "Pretrained",
    "Schedule",
    "Settings",
    "TwoStages",
    "datasets",
    "describe",
    "fingerprint",
    "loss",
    "optimiser",
    "real_sets",
    "run",
    "seeds",
    "settings",
    "targets",
]


VERSION = 1


def loss(network: nn.Module, batch: dict[str, Tensor], *, lam: float) -> Tensor:
    """Text on the error: mean(d^2) - lam mean(d)^2 of the log-depth errors d."""
    return scale_invariant_loss(network(batch["image"]), batch["log_depth"], batch["valid"], lam)


def optimiser(network: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    """Text on training: SGD with momentum, a rate for every kind of layer; what is frozen has none."""
    conv, full = (settings.rate_conv, settings.decay_conv), (settings.rate_fc, settings.decay_fc)
    kinds = dict.fromkeys(CONVOLUTIONS, conv) | {"coarse6": full, "coarse7": full}
    if isinstance(settings, TwoStages):
        kinds |= {
            layer: (rate, settings.decay_fc) for layer, rate in zip(FINE, settings.rate_fine, strict=True)
        }
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            layer = re.findall(r"[a-z]+\d", name)[0]
            groups.setdefault(kinds[layer], []).append(parameter)
    each = [{"params": some, "lr": rate, "weight_decay": decay} for (rate, decay), some in groups.items()]
    if settings.optimiser == "adam":
        return torch.optim.Adam(each)
    return torch.optim.SGD(each, momentum=settings.momentum)


CONVOLUTIONS = tuple(f"coarse{number}" for number in range(1, 6))
FINE = ("fine1", "fine3", "fine4")
"""The three convolutions; "Fine 2" of the figure is where the coarse map joins."""


def run(
    settings: Settings, seed: int, *, folder: Path | None, name: str = "eigen", progress: bool = True
) -> Outcome:
    """Train the coarse network, and where there is a second stage the fine one behind it; score them beside
    the mean depth and the mean map, and keep some predictions. The follow-ups have pages of their own.
    """
    if isinstance(settings, Multiscale):
        return eigen_multiscale.run(settings, seed, folder=folder, name=name, progress=progress)
    if isinstance(settings, Local):
        return eigen_local.run(settings, seed, folder=folder, name=name, progress=progress)
    size = image_size(settings.network)
    train, test = datasets(settings, size, progress=progress)
    with torch.random.fork_rng():
        torch.manual_seed(step_seed(seed, 0, stream=1_000))
        network = build(settings.network, dropout=settings.dropout, mean_log_depth=mean_log_depth(train))

    def stage(
        part: nn.Module, title: str, steps: int, seed: int, on_step: Callable[[Step], None] | None = None
    ) -> History:
        """Train what is not frozen of the network, or of its coarse part."""
        return fit(
            part,
            Batches(train, network, settings),
            partial(loss, lam=settings.lam),
            optimiser(part, settings),
            steps,
            seed=seed,
            folder=folder / title if folder and title else folder,
            name=f"{name}, {title}" if title else name,
            schedule=Schedule(steps, settings.warm_up, settings.anneal),
            accelerator=settings.accelerator,
            prefetch=settings.prefetch,
            on_step=on_step,
            progress=progress,
        )

    real = settings.data not in ("rooms", "roads")
    digest = fingerprint(settings) if real else train.fingerprint()
    data = {"hash": digest, "real": real, "train": train.describe(), "test": test.describe()}
    extra: dict[str, Any] = {"level": level(settings.data, train, test)}
    if isinstance(settings, Pretrained):
        seen = nn.Sequential(*(network.get_submodule(layer) for layer in CONVOLUTIONS))
        extra |= pretrain(
            seen, network.input_size, network.normalise, steps=settings.pretext_steps, batch=settings.batch,
            pictures=settings.pictures, seed=step_seed(seed, 0, stream=3_000), name=f"{name}, pretext",
            folder=folder / "pretext" if folder else None, progress=progress,
        )  # fmt: skip
    if isinstance(network, EigenFine) and isinstance(settings, TwoStages):
        coarse, forming = network.coarse, Forming(network.coarse, settings.steps, folder)
        history = stage(coarse, "coarse", settings.steps, seed, forming)
        if settings.frozen:
            network.freeze_coarse()
        history = history.then(stage(network, "fine", settings.fine_steps, step_seed(seed, 0, stream=2_000)))
        network.eval()
        rivals = {"coarse": coarse.predict}
        metrics = score(network, train, test, [settings.protocol], rivals=rivals, metrics=PRINTED)
        metrics |= {key: thinned(table) for key, table in metrics.items() if "@mean" in key}
        for name, measure in (("edges", edges), ("bends", bends)):
            metrics |= {name: measure(network, test), f"{name}@coarse": measure(coarse, test)}
        (fine, ids), (before, _) = display(network, test, 4), display(coarse, test, 4)
        samples = {"prediction": fine, "coarse": before, "forming": forming.chosen(4)}
    else:
        history = stage(network, "", settings.steps, seed)
        network.eval()
        metrics = score(network, train, test, [settings.protocol])
        samples, ids = keepsakes(network, test)
    if real:
        samples, ids = {}, []
    return Outcome(metrics, history, data, network, samples, ids, extra=extra)


WHOLE = {"nyu": (249, 654), "kitti": (28, 697)}
"""Training scenes, at least, and test images: only with all of them is a number one of the paper's data."""


def level(data: str, train: Any, test: Any) -> str:
    """The level of evidence: B on the worlds, D on the paper's whole data, d on some of them and on other
    real frames.
    """
    if data in ("rooms", "roads"):
        return "B"
    if data not in WHOLE or getattr(train.dataset, "skipped", False):
        return "d"
    scenes, images = WHOLE[data]
    return "D" if train.scenes >= scenes and len(test) == images else "d"


def keepsakes(network: Any, test: Any) -> tuple[dict[str, Any], list[str]]:
    """Six predictions, and sixteen of layer 7's templates (Figure 2), evenly spread in order of norm."""
    prediction, ids = display(network, test)
    templates = network.templates()
    order = templates.flatten(1).norm(dim=1).argsort(descending=True)
    chosen = order[torch.linspace(0, len(order) - 1, 16).long()]
    return {"prediction": prediction, "templates": templates[chosen].half().cpu().numpy()}, ids


class Forming:
    """Templates at four moments of training, to see how they form; a run that is resumed finds the earlier
    ones in its folder.
    """

    def __init__(self, coarse: EigenCoarse, steps: int, folder: Path | None) -> None:
        self.coarse, self.folder = coarse, folder
        self.moments = [max(1, steps // part) for part in (40, 10, 3, 1)]
        self.kept: dict[int, Tensor] = {}
        if folder is not None and (folder / FORMING).is_file():
            self.kept = torch.load(folder / FORMING, weights_only=True)

    def __call__(self, row: Step) -> None:
        """Keep the templates if this step is one of the moments."""
        if row.step in self.moments:
            self.kept[row.step] = self.coarse.templates().cpu().clone()
            if self.folder is not None:
                torch.save(self.kept, self.folder / f".{FORMING}")
                (self.folder / f".{FORMING}").replace(self.folder / FORMING)

    def chosen(self, units: int) -> np.ndarray:
        """(moments, units, h, w) float16: the units whose templates are the heaviest in the end."""
        maps = torch.stack([self.kept[moment] for moment in self.moments])
        heaviest = maps[-1].flatten(1).norm(dim=1).argsort(descending=True)[:units]
        return maps[:, heaviest].half().numpy()


FORMING = "forming.pt"


def edges(network: DepthNetwork, test: Any, threshold: float = 1.0) -> dict[str, Any]:
    """How well depth edges are met at the network's own resolution, by Hu's rule: a slope in metres. Where
    pixels are as large as here, floors and walls are steep enough to count.
    """
    return edge_table(*at_targets(network, test), threshold)


def bends(network: DepthNetwork, test: Any) -> dict[str, Any]:
    """How well bends of depth are met there: what no plane explains, however steep it is."""
    return bend_table(*at_targets(network, test))


@torch.no_grad()
def at_targets(network: DepthNetwork, test: Any) -> tuple[Tensor, Tensor, Tensor, list[str]]:
    """Depth, predicted and true, its mask and the images' ids, at the network's own resolution, where targets
    are sampled: enlarging a map, by whatever rule, makes edges or takes them away.
    """
    maps, ids = [], []
    (row, column), (rows, columns) = network.crop_offset(), network.input_size
    seen = (..., slice(row, row + rows), slice(column, column + columns))
    with evaluating(network):
        for index in range(len(test)):
            sample = collate([test[index]])
            ids += sample["id"]
            if sample["image"].shape[-2:] != network.image_size:
                sample = resize(sample, *network.image_size)
            log_depth, valid = targets(network, sample["depth"][seen], sample["valid"][seen])
            prediction = network.to_depth(network(network.prepare(sample["image"])))
            maps.append((prediction, log_depth.exp(), valid))
    prediction, truth, known = (torch.cat(each) for each in zip(*maps, strict=True))
    return prediction, truth, known, ids
