"""What an encoder has learnt before it sees a depth, made once and shared by all runs that begin with it."""

import hashlib
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from mdepth import weights
from mdepth.datasets.worlds.store import default_cache
from mdepth.models import build
from mdepth.models.transfer import ResNetUNet
from mdepth.recipes.context import Pooled, learn_places
from mdepth.recipes.pretext import pretrain
from mdepth.recipes.transfer_settings import Settings
from mdepth.shapes import DataError, Tensor
from mdepth.train import step_seed

__all__ = ["SIDE", "taught"]

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


def taught(settings: Settings, *, progress: bool = True) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """An encoder's weights after its pretext, and what is known of them: ``accuracy`` on unseen pictures,
    ``chance``, the ``seconds`` that it took, and of those that name things what they go by
    (:func:`~mdepth.recipes.pretext.decisions`).

    The first call trains and keeps the weights in the cache, beside the worlds; of two processes that ask for
    the same one, one trains and the other waits.

    Raises:
        DataError: the cache cannot be written to.
    """
    from filelock import FileLock

    about = {"network": settings.network, "task": settings.init, "version": VERSION, "side": SIDE,
             **asdict(settings.pretext)}  # type: ignore[arg-type] # fmt: skip
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:12]
    path = default_cache() / f"encoder-{settings.init}-{digest}.safetensors"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            if not path.is_file():
                _teach(settings, path, progress=progress)
    except OSError as error:
        raise DataError(
            f"{path}: cannot keep an encoder there: {error.strerror or error}; set MDEPTH_CACHE to a folder "
            "that may be written"
        ) from error
    return weights.read(path), json.loads(weights.metadata(path)["facts"])


def _teach(settings: Settings, path: Path, *, progress: bool) -> None:
    """Train an encoder and keep it."""
    pretext, began = settings.pretext, time.perf_counter()
    assert pretext is not None
    with torch.random.fork_rng():
        torch.manual_seed(step_seed(pretext.seed, 0, stream=4_000))
        network = build(settings.network)
    assert isinstance(network, ResNetUNet)
    network = network.to(memory_format=torch.channels_last)
    folder = path.with_suffix(".training")
    common: dict[str, Any] = {
        "steps": pretext.steps, "seed": pretext.seed, "folder": folder, "batch": 32, "rate": pretext.rate,
        "name": f"encoder, {settings.init}", "precision": settings.precision, "progress": progress,
    }  # fmt: skip
    if settings.init == "context":
        rooms = max(1, pretext.pictures // 4)
        facts = learn_places(network.encoder, network.normalise, pictures=rooms, **common)
    else:
        facts = pretrain(
            Pooled(network.encoder), (SIDE, SIDE), network.normalise, pictures=pretext.pictures,
            looks=LOOKS[settings.init], conflict=True, **common,
        )  # fmt: skip
    facts["seconds"] = round(time.perf_counter() - began, 1)
    weights.save(network.encoder, path, about={"facts": json.dumps(facts)})
