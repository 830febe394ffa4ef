"""What a run of the transfer recipe measures: scores beside baselines, the slides' depth accuracy, the steps
that are drawn, and which cues the network goes by.
"""

from dataclasses import replace
from typing import Any

from mdepth.datasets.worlds import load
from mdepth.evaluate import evaluate, mean_map_baseline
from mdepth.evaluate.cues import altered, cue_errors, tampered
from mdepth.models import DepthNetwork
from mdepth.recipes.parts import BASELINE_IMAGES, answers, score, scores_of, step_table, thinned
from mdepth.recipes.transfer_data import Sets, worlds
from mdepth.recipes.transfer_settings import Settings
from mdepth.shapes import Depth, Float, Tensor, Valid

__all__ = ["PRINTED", "measured", "soft_accuracy"]

PRINTED = ("abs_rel", "rmse", "log10", "delta1", "delta2", "delta3", "scale_invariant")
"""The slides' five columns, the sixth of DenseDepth's table, and the error without a common scale."""
CUE_SCENES = 32
"""Test rooms on which cues are altered, at most: each is drawn ten times."""
HALF_RANGE = 5.0
"""Metres: half of NYU's range."""


def measured(network: DepthNetwork, settings: Settings, sets: Sets) -> dict[str, dict[str, Any]]:
    """Scores under the protocols beside the baselines; the slides' depth accuracy; on rooms the steps that
    are drawn and the cues that are followed; where the data were split 70 to 30, scores on the other 30 %,
    and those of the mean map.
    """
    metrics = score(network, sets.train, sets.test, settings.protocols, metrics=PRINTED)
    metrics = {key: thinned(table) if "@" in key else table for key, table in metrics.items()}
    prediction, target, valid, ids = answers(network.predict, sets.test)
    metrics["slides"] = scores_of(
        {"soft_accuracy": soft_accuracy(prediction, target, valid)}, ids, int(valid.sum())
    )
    if settings.data == "rooms":
        metrics["steps"] = step_table(prediction, target, valid, ids)
        metrics |= cues(network, settings)
    if sets.held_out is not None:
        mean_map = mean_map_baseline(sets.train, limit=BASELINE_IMAGES)
        for name, predict in (("held-out", network.predict), ("held-out-mean-map", mean_map)):
            found = evaluate(predict, sets.held_out, settings.protocols, metrics=PRINTED)
            metrics |= {f"{protocol}@{name}": thinned(scores.to_dict()) for protocol, scores in found.items()}
    return metrics


def soft_accuracy(prediction: Depth, target: Depth, valid: Valid) -> Float[Tensor, " B"]:
    r"""The slides' "depth accuracy", by all that is known: the share of pixels at which prediction and truth
    lie on the same side of 5 m, per image.

    .. math:: \frac{1}{n} \left|\{i : [p_i > 5\,\mathrm{m}] = [t_i > 5\,\mathrm{m}]\}\right|

    It is no relative of delta1. A public code that fits the slides rounds maps between 0 and 1 and calls the
    share that agrees soft accuracy; a range of 10 m is our reading. NaN where nothing is valid.

    Example:
        >>> import torch
        >>> truth = torch.tensor([1.0, 4.0, 6.0, 9.0]).reshape(1, 1, 1, 4)
        >>> soft_accuracy(torch.full_like(truth, 3.0), truth, truth > 0).item()
        0.5
    """
    agree = (prediction > HALF_RANGE) == (target > HALF_RANGE)
    return (agree & valid).flatten(1).sum(1).double() / valid.flatten(1).sum(1)


def cues(network: DepthNetwork, settings: Settings) -> dict[str, dict[str, Any]]:
    """Errors on test rooms that are altered in one thing (``cues``), the factor by which their mean rises
    (``cues-rise``), how far answers move where the truth does not (``cues-moved``), and what is answered to
    pictures that were tampered with (``cues-tampered``).
    """
    test = worlds(settings)[1]
    rooms = altered(replace(test, scenes=min(test.scenes, CUE_SCENES)))
    loaded = {name: load(world) for name, world in rooms.items()}
    found = cue_errors(network.predict, loaded)
    natural = loaded["natural"].batch(range(len(loaded["natural"])))
    pictures = tampered(network.predict, natural["image"], natural["depth"], natural["valid"])
    ids = [loaded["natural"][index]["id"] for index in range(len(loaded["natural"]))]
    pixels = int(natural["valid"].sum())
    tables = {
        "cues": scores_of(found["abs_rel"], ids, pixels),
        "cues-rise": scores_of({}, ids, pixels),
        "cues-moved": scores_of(found["moved"], ids, pixels),
        "cues-tampered": scores_of(pictures, ids, pixels),
    }
    means = tables["cues"]["mean"]
    tables["cues-rise"]["mean"] = {name: mean / means["natural"] for name, mean in means.items()}
    return tables
