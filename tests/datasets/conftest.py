"""The analytic room as a fixture, and how well depth and pose explain one image by another."""

from collections.abc import Callable

import pytest
import torch
from analytic_room import Analytic

from mdepth import geometry
from mdepth.datasets.sample import Sample


@pytest.fixture
def analytic() -> Callable[..., Analytic]:
    """Makes the analytic data set: ``analytic(scenes=2, frames=2, size=(40, 56), holes=False,
    stereo=False)``."""
    return Analytic


def photometric_error(target: Sample, source: Sample, T_source_target: torch.Tensor) -> float:
    """Mean absolute difference of the source warped into the target, where both see."""
    warped, seen = geometry.warp(
        source["image"][None],
        target["depth"][None],
        source["K"][None],
        target["K"][None],
        T_source_target[None],
    )
    where = (seen & target["valid"][None])[0, 0]
    return (warped[0] - target["image"]).abs().mean(0)[where].mean().item()


@pytest.fixture
def photometric() -> Callable[[Sample, Sample, torch.Tensor], float]:
    """Measures how badly one image explains another: ``photometric(target, source, T_source_target)``."""
    return photometric_error
