"""Depth from video and stereo without labels: Monodepth2 (Godard et al., ICCV 2019).

The whole of it on a page: two networks look at a frame and its neighbours; one draws an inverse depth at four
sizes, the other says how the camera moved. With both, the neighbours are warped into the frame, and what is
still unlike is the loss (:mod:`mdepth.reprojection`). A right eye at a known distance can take the place of
the neighbours, or stand beside them; and the same network can learn from the truth.

Where we differ, and why, stands in ``HYPERPARAMETERS`` (``monodepth2_paper.py``), row by row.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import Subset

from mdepth import weights
from mdepth.geometry import scale_translation, sigmoid_to_inverse_depth
from mdepth.losses import l1_loss
from mdepth.models import build
from mdepth.models.monodepth2 import KITTI_UNIT, DepthDecoder, Monodepth2
from mdepth.models.monodepth2_motion import (
    DepthAndPose,
    PoseCNN,
    PoseNetwork,
    PoseResNet,
    Prediction,
    SharedPose,
)
from mdepth.recipes import Outcome
from mdepth.recipes.imagenet import load_imagenet
from mdepth.recipes.monodepth2_data import OFFSETS, Batches, datasets, describe, fingerprint
from mdepth.recipes.monodepth2_measures import driven_paths, measured
from mdepth.recipes.monodepth2_paper import CLAIMS, HYPERPARAMETERS
from mdepth.recipes.monodepth2_settings import KITTI, ROADS, VARIANTS, Settings, seeds, settings
from mdepth.recipes.parts import Schedule, display
from mdepth.recipes.taught import taught
from mdepth.reprojection import image_pyramid, reprojection_loss
from mdepth.shapes import Tensor
from mdepth.train import fit, step_seed

__all__ = [
    "CLAIMS", "HYPERPARAMETERS", "KITTI", "ROADS", "VARIANTS", "VERSION", "Batches", "Settings", "datasets",
    "describe", "fingerprint", "log_error", "loss", "make", "run", "schedule", "seeds", "settings",
]  # fmt: skip

VERSION = 1


def loss(network: nn.Module, batch: dict[str, Tensor], *, settings: Settings, unit: float) -> Tensor:
    """What the prediction leaves unexplained of the image, by the sources that the teacher has; or how far it
    is from the truth.
    """
    video = settings.teacher in ("video", "both")
    neighbours = batch["augmented_neighbours"][:, : None if video else 0]
    prediction: Prediction = network(batch["augmented"], neighbours)
    if settings.teacher in ("depth", "lidar"):
        return log_error(prediction.sigmoids[0], batch, unit)
    sources, T = [batch["neighbours"]] if video else [], [prediction.T_neighbour_target]
    if settings.teacher != "video":
        sources.append(batch["image_right"][:, None])
        inverse = torch.full_like(batch["image"][:, 0, 0, 0], 1 / unit)
        T.append(scale_translation(batch["T_right_left"], inverse)[:, None])
    how = settings.loss if batch["automask"].all() else replace(settings.loss, automask=False)
    return reprojection_loss(
        prediction.sigmoids,
        image_pyramid(batch["image"], len(prediction.sigmoids)),
        torch.cat(sources, dim=1),
        batch["K"],
        torch.cat(T, dim=1),
        how,
        masks=prediction.masks,
        scaled_by_depth=neighbours.shape[1] if settings.pose == "cnn" else 0,
    )


def log_error(sigmoid: Tensor, batch: dict[str, Tensor], unit: float) -> Tensor:
    """Mean absolute error of log depth where depth is known: what the network learns from truth with."""
    depth = batch["depth"].clamp(min=NEAREST)
    prediction = unit / sigmoid_to_inverse_depth(sigmoid)
    return l1_loss(prediction.log(), depth.log(), batch["valid"])


NEAREST = 0.1
"""Metres: nothing is nearer to a camera; where depth is unknown it is stored as 0."""


def make(settings: Settings, seed: int, *, progress: bool = True) -> tuple[DepthAndPose, dict[str, Any]]:
    """Both networks with the first weights of a seed, their encoders with what they knew before, and what is
    known of that.
    """
    with torch.random.fork_rng():
        torch.manual_seed(step_seed(seed, 0, stream=1_000))
        unit = KITTI_UNIT if settings.metric else None
        depth = build(settings.network, unit=unit, start=settings.start)
        assert isinstance(depth, Monodepth2)
        pose = _pose(settings, depth) if settings.teacher in ("video", "both") else None
        channels = depth.encoder.channels
        mask = DepthDecoder(channels, depth.widths, outputs=len(OFFSETS)) if settings.mask else None
    if pose is not None:
        answer = pose.answer if isinstance(pose, PoseCNN) else pose.get_submodule("decoder.answer")
        with torch.no_grad():
            for values in answer.parameters():
                values.mul_(settings.still)
    both = DepthAndPose(depth, pose, mask)
    facts = _teach(both, settings, progress=progress) if settings.init != "random" else {}
    return both.to(memory_format=torch.channels_last), facts


def _teach(both: DepthAndPose, settings: Settings, *, progress: bool) -> dict[str, Any]:
    """Let the encoders, or the depth network, begin with what was learnt before; what is known of it."""
    encoder, facts = both.depth.encoder, dict[str, Any]()
    if settings.init == "roads":
        weights.load(both.depth, weights.pretrained(settings.network))
        return facts
    if settings.init == "imagenet":
        load_imagenet(encoder, settings.network.split("-")[1])
    else:
        assert settings.pretext is not None
        state, facts = taught(TEACHER, "shape", settings.pretext, progress=progress)
        encoder.load_state_dict(state)
    if isinstance(both.pose, PoseResNet):
        both.pose.begin_with(encoder)
    return facts


TEACHER = "transfer-resnet18-rooms"
"""The U-Net whose encoder is that of our small networks."""


def _pose(settings: Settings, depth: Monodepth2) -> PoseNetwork:
    """The pose network that goes with a depth network: as wide."""
    width = depth.encoder.channels[-1] // 2
    if settings.pose == "separate":
        return PoseResNet(OFFSETS, settings.shown, depth.make_encoder, width)
    if settings.pose == "shared":
        return SharedPose(depth.encoder.channels[-1], OFFSETS, settings.shown, width)
    first = depth.encoder.channels[0]
    return PoseCNN(OFFSETS, settings.shown, [first * k // 4 for k in (1, 2, 4, 8, 16, 16, 16)])


def run(
    settings: Settings, seed: int, *, folder: Path | None, name: str = "monodepth2", progress: bool = True
) -> Outcome:
    """Train, measure (:mod:`~mdepth.recipes.monodepth2_measures`), and of the first seed keep some maps."""
    sets = datasets(settings, progress=progress)
    both, facts = make(settings, seed, progress=progress)
    unit = both.depth.unit
    history = fit(
        both,
        Batches(sets.train, both.depth, settings),
        partial(loss, settings=settings, unit=unit),
        torch.optim.Adam(groups(both, settings), fused=True),
        settings.steps,
        seed=seed,
        folder=folder,
        name=name,
        schedule=schedule(settings),
        accelerator=settings.accelerator,
        precision=settings.precision,
        prefetch=settings.prefetch,
        progress=progress,
    )
    both.eval()
    real = settings.data != "roads"
    digest = fingerprint(settings) if real else sets.train.dataset.fingerprint()
    data = {"hash": digest, "real": real, "train": sets.train.describe(), "test": sets.test.describe()}
    extra = {"level": level(settings), **({"pretext": facts} if facts else {})}
    outcome = Outcome(measured(both, settings, sets), history, data, both.depth, extra=extra)
    if real or seed > 0:
        return outcome
    some = sorted({index % len(sets.test) for index in SHOWN})
    prediction, ids = display(both.depth, Subset(sets.test, some), len(some))
    rounded = np.exp(ROUNDED * np.round(np.log(prediction.astype(np.float32)) / ROUNDED))
    samples = {"prediction": rounded.astype(np.float16)}
    if both.pose is not None and both.pose.frames == 2:
        samples["path"] = driven_paths(both, settings).numpy().astype(np.float16)
    return replace(outcome, samples=samples, sample_ids=ids)


ROUNDED = 0.01
"""Relative steps of the predictions that a record keeps: no eye sees them, and they take a third of the
bytes.
"""


def groups(both: DepthAndPose, settings: Settings) -> list[dict[str, Any]]:
    """The parameters with their rates: the pose network has one of its own."""
    rest = [values for name, values in both.named_parameters() if not name.startswith("pose.")]
    found = [{"params": rest, "lr": settings.rate}]
    if both.pose is None:
        return found
    return [*found, {"params": list(both.pose.parameters()), "lr": settings.pose_rate}]


def schedule(settings: Settings) -> Callable[[int], float]:
    """The factor on the rate at a step: half a cosine, or a tenth for the last quarter of the steps. The
    latter counts steps, so that nothing depends on when in an epoch a schedule is told to go on.
    """
    if settings.anneal:
        return Schedule(settings.steps, settings.warm_up, anneal=True)
    return lambda step: 1.0 if 4 * step < 3 * settings.steps else 0.1


SHOWN = (60, 80, 113)
"""Test streets whose predictions the record of the first seed keeps: a sign and a car ahead; much that is
hidden from a neighbour; a bus ahead, as fast as the camera.
"""


def level(settings: Settings) -> str:
    """The level of evidence: B on the worlds, d on pieces of KITTI, D on the whole of it."""
    return {"roads": "B", "kitti": "D"}.get(settings.data, "d")
