"""What an encoder has learnt before it sees a depth, made once and shared by all runs that begin with it."""

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from mdepth import weights
from mdepth.datasets.worlds.store import default_cache
from mdepth.models import build
from mdepth.models.transfer import ResNetUNet
from mdepth.recipes.context import Pooled, learn_places
from mdepth.recipes.pretext import pretrain
from mdepth.shapes import DataError, Tensor
from mdepth.train import step_seed

__all__ = ["SIDE", "Pretext", "Task", "taught"]

Task = Literal["context", "shape", "names"]
"""What an encoder can learn here before it sees a depth: the place of patches in rooms, the names of things
by their shape, or the same names where shape and surface both tell them.
"""

SIDE = 64
"""Rows and columns of a picture or patch that an encoder learns from."""
LOOKS = {"shape": "any", "names": "natural"}
"""Whose surfaces the things have that an encoder learns to name: anyone's, so that only the shape says what
they are, or their own.
"""
VERSION = 1
"""Raised by hand when the same pretext gives other weights on purpose: by another batch, other numbers of the
convolutions, other pictures.
"""


@dataclass(frozen=True)
class Pretext:
    """What an encoder learns before it sees a depth: one training, shared by all runs that begin with it."""

    steps: int = 4000
    """Of 32 pictures or pairs."""
    pictures: int = 4000
    """Of single things, or a quarter as many of rooms, from which patches are cut."""
    rate: float = 0.001
    seed: int = 0
    """Of the encoder's first weights and of the training; not the seed of the run that uses it."""


def taught(
    network: str, task: Task, pretext: Pretext, *, precision: str = "bf16-mixed", progress: bool = True
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """An encoder's weights after its pretext, and what is known of them: ``accuracy`` on unseen pictures,
    ``chance``, the ``seconds`` that it took, and of those that name things what they go by
    (:func:`~mdepth.recipes.pretext.decisions`). ``network`` is the U-Net whose encoder it is.

    The first call trains and keeps the weights in the cache, beside the worlds; of two processes that ask for
    the same one, one trains and the other waits.

    Raises:
        DataError: the cache cannot be written to.
    """
    from filelock import FileLock

    about = {"network": network, "task": task, "version": VERSION, "side": SIDE, **asdict(pretext)}
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:12]
    path = default_cache() / f"encoder-{task}-{digest}.safetensors"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            if not path.is_file():
                _teach(network, task, pretext, path, precision=precision, progress=progress)
    except OSError as error:
        raise DataError(
            f"{path}: cannot keep an encoder there: {error.strerror or error}; set MDEPTH_CACHE to a folder "
            "that may be written"
        ) from error
    return weights.read(path), json.loads(weights.metadata(path)["facts"])


def _teach(name: str, task: Task, pretext: Pretext, path: Path, *, precision: str, progress: bool) -> None:
    """Train an encoder and keep it."""
    began = time.perf_counter()
    with torch.random.fork_rng():
        torch.manual_seed(step_seed(pretext.seed, 0, stream=4_000))
        network = build(name)
    assert isinstance(network, ResNetUNet)
    network = network.to(memory_format=torch.channels_last)
    common: dict[str, Any] = {
        "steps": pretext.steps, "seed": pretext.seed, "folder": path.with_suffix(".training"), "batch": 32,
        "rate": pretext.rate, "name": f"encoder, {task}", "precision": precision, "progress": progress,
    }  # fmt: skip
    if task == "context":
        rooms = max(1, pretext.pictures // 4)
        facts = learn_places(network.encoder, network.normalise, pictures=rooms, **common)
    else:
        facts = pretrain(
            Pooled(network.encoder), (SIDE, SIDE), network.normalise, pictures=pretext.pictures,
            looks=LOOKS[task], conflict=True, **common,
        )  # fmt: skip
    facts["seconds"] = round(time.perf_counter() - began, 1)
    weights.save(network.encoder, path, about={"facts": json.dumps(facts)})
