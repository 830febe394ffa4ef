"""Scoring predictions the way a source did: named protocols, the evaluation loop, and the baselines to beat.

- :mod:`mdepth.evaluate.protocols`: which pixels count, how a prediction is brought to them, how errors are
  averaged;
- :mod:`mdepth.evaluate.scoring`: a network, or predictions made elsewhere, over a data set under any number
  of protocols;
- :mod:`mdepth.evaluate.single_scale`: one scale for a whole test set;
- :mod:`mdepth.evaluate.baselines`: predictions that never look at the image;
- :mod:`mdepth.evaluate.trajectories`: where a camera went, how far from the truth, and who drives blind;
- :mod:`mdepth.evaluate.tasks`: all of that for normals and labels;
- :mod:`mdepth.evaluate.sharpness`: which share of the true steps of depth a map draws;
- :mod:`mdepth.evaluate.cues`: which marks in a picture a network goes by.
"""

from mdepth.evaluate.baselines import DepthMap, mean_depth_baseline, mean_map_baseline
from mdepth.evaluate.protocols import CROPS, PROTOCOLS, Crop, Protocol, blend_flips, get_protocol
from mdepth.evaluate.scoring import Scores, evaluate, score_predictions
from mdepth.evaluate.sharpness import drawn_steps
from mdepth.evaluate.single_scale import Scale, evaluate_single_scale, single_scale

__all__ = [
    "CROPS", "PROTOCOLS", "Crop", "DepthMap", "Protocol", "Scale", "Scores", "blend_flips", "drawn_steps",
    "evaluate", "evaluate_single_scale", "get_protocol", "mean_depth_baseline", "mean_map_baseline",
    "score_predictions", "single_scale",
]  # fmt: skip
