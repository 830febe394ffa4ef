"""What a run of the Monodepth2 recipe measures: scores beside baselines, also with one scale for all images
and with mirrored images; errors where its parts are to help; the path that the pose network has driven.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from mdepth.datasets.worlds import load
from mdepth.datasets.worlds.regions import regions
from mdepth.evaluate import evaluate, get_protocol, single_scale
from mdepth.evaluate.trajectories import (
    absolute_trajectory_error,
    chain,
    mean_motion,
    snippet_errors,
    standing,
    straight_ahead,
)
from mdepth.models.monodepth2 import Monodepth2
from mdepth.models.monodepth2_motion import DepthAndPose
from mdepth.recipes.monodepth2_data import Sets, drives
from mdepth.recipes.monodepth2_settings import Settings
from mdepth.recipes.parts import answers, score, scores_of, step_table, take, thinned
from mdepth.shapes import Bool, Depth, Float, Tensor, Valid

__all__ = [
    "HOLE", "PRINTED", "driven_paths", "measured", "path_errors", "region_errors", "sequences",
]  # fmt: skip

PRINTED = ("abs_rel", "sq_rel", "rmse", "rmse_log", "delta1", "delta2", "delta3")
"""The seven columns of the paper's tables."""
HOLE = 2.0
"""A pixel that is predicted this many times too far belongs to a hole."""


def measured(both: DepthAndPose, settings: Settings, sets: Sets) -> dict[str, dict[str, Any]]:
    """All tables of a run, by name."""
    network = both.depth
    if sets.known is None:  # a video has a path and no depth
        frames = take(sets.test, range(len(sets.test)))
        return {"path": path(both, {f"odometry/{sets.test[0]['scene']}": frames}, sets.train)}
    metrics = score(network, sets.known, sets.test, settings.protocols, metrics=PRINTED)
    metrics = {key: _short(table) for key, table in metrics.items()}
    first = get_protocol(settings.protocols[0])
    metrics |= variations(network, sets.test, first.name)
    if settings.data != "roads":
        return metrics
    prediction, target, valid, ids = answers(network.predict, sets.test)
    metrics["steps"] = step_table(prediction, target, valid, ids)
    masks = regions(sets.test.dataset, sets.test.indices)
    metrics |= region_errors(prediction, target, valid, masks, ids)
    if both.pose is not None and both.pose.frames == 2:
        metrics["path"] = path(both, sequences(settings), sets.train)
    return metrics


def _short(table: dict[str, Any]) -> dict[str, Any]:
    """Scores of which only AbsRel is kept image by image, to four digits."""
    table = thinned(table)
    return table | {
        "per_image": {
            name: [round(each, 4) for each in values] for name, values in table["per_image"].items()
        }
    }


def variations(network: Monodepth2, test: Any, name: str) -> dict[str, dict[str, Any]]:
    """Scores under a protocol with post-processing (``@pp``), and with one scale for all images
    (``@single``), with the spread of the images' own scales, ``sigma_scale``.
    """
    protocol = get_protocol(name)
    flipped = replace(protocol, name=f"{name}@pp", flip="ramp")
    found = evaluate(network.predict, test, [protocol, flipped], metrics=PRINTED)
    tables = {f"{name}@pp": _short(found[f"{name}@pp"].to_dict())}
    if protocol.alignment != "none":
        scale = single_scale(found[name].factors)
        single = scale.protocol(protocol)
        scores = evaluate(network.predict, test, single, metrics=PRINTED)[single.name]
        tables[f"{name}@single"] = _short(scores.to_dict())
        tables[f"{name}@single"]["mean"] |= {"sigma_scale": scale.sigma, "factor": scale.factor}
    return tables


def region_errors(
    prediction: Depth,
    target: Depth,
    valid: Valid,
    masks: Mapping[str, Bool[Tensor, "B 1 H W"]],
    ids: list[str],
) -> dict[str, dict[str, Any]]:
    """AbsRel in each region, after one factor for the whole image (``regions``), and the share of its pixels
    that are predicted twice as far as they are or farther (``holes``).
    """
    aligned = torch.stack(
        [found * (true[known].median() / found[known].median()) for found, true, known in
         zip(prediction, target, valid, strict=True)]
    ).clamp(1e-3, 80.0)  # fmt: skip
    error = torch.where(valid, (aligned - target).abs() / target.clamp(min=1e-3), 0.0)
    hole = (aligned > HOLE * target).double()
    everywhere = {"everywhere": valid, **masks}
    return {
        name: scores_of(
            {region: _mean(values, mask) for region, mask in everywhere.items()}, ids, int(valid.sum())
        )
        for name, values in {"regions": error, "holes": hole}.items()
    }


def _mean(values: Float[Tensor, "B 1 H W"], mask: Bool[Tensor, "B 1 H W"]) -> Float[Tensor, " B"]:
    """Per image, NaN where there is no such region."""
    inside = mask.flatten(1)
    return torch.where(inside, values.flatten(1).double(), 0.0).sum(dim=1) / inside.sum(dim=1)


def sequences(settings: Settings) -> dict[str, dict[str, Any]]:
    """The longer sequences of the roads by name, each a batch of its frames in the order of time."""
    driven = load(drives(settings))
    length = driven.world.frames
    return {
        f"roads/drive/{number:02d}": driven.batch(range(number * length, (number + 1) * length))
        for number in range(driven.world.scenes)
    }


def driven_paths(both: DepthAndPose, settings: Settings) -> Float[Tensor, "S N 3"]:
    """Where the pose network thinks that the camera was, in its units, in the frame of the first camera of
    each of the longer sequences.
    """
    found = [
        chain(both.between(frames["image"][:-1], frames["image"][1:]))[:, :3, 3]
        for frames in sequences(settings).values()
    ]
    return torch.stack(found)


def path(both: DepthAndPose, driven: Mapping[str, Mapping[str, Any]], train: Any) -> dict[str, Any]:
    """Errors of the driven path, per sequence of frames with poses: of the pose network, of standing still,
    of driving straight ahead, and of the mean motion of the training set, whatever the images show.
    """
    known = take(train, range(len(train)))["T_neighbour_target"][:, -1]
    found = dict[str, list[float]]()
    for frames in driven.values():
        steps = len(frames["image"]) - 1
        rivals = {
            "network": both.between(frames["image"][:-1], frames["image"][1:]),
            "standing": standing(steps), "straight": straight_ahead(steps),
            "mean-motion": mean_motion(known, steps),
        }  # fmt: skip
        for name, motions in rivals.items():
            for kind, error in path_errors(motions, frames["T_world_camera"]).items():
                found.setdefault(f"{name}-{kind}", []).append(error)
    return scores_of({name: torch.tensor(errors) for name, errors in found.items()}, list(driven), 0)


def path_errors(motions: Float[Tensor, "N 4 4"], poses: Float[Tensor, "M 4 4"]) -> dict[str, float]:
    """Of one sequence: the mean error of its snippets of five frames, as released code has it (``released``)
    and as a root mean square (``rmse``), and the error of the whole path after one scale (``whole``); metres.

    Example:
        >>> true = chain(straight_ahead(9, step=2.0))
        >>> {name: round(error, 6) for name, error in path_errors(straight_ahead(9), true).items()}
        {'released': 0.0, 'rmse': 0.0, 'whole': 0.0}
    """
    motions = motions.double()
    return {
        "released": snippet_errors(motions, poses, full_only=True).mean,
        "rmse": snippet_errors(motions, poses, rule="rmse", full_only=True).mean,
        "whole": absolute_trajectory_error(chain(motions), poses, "scale"),
    }
