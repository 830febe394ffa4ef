"""The guard against silent broadcasting, and the annotations themselves."""

import pytest
import torch

from mdepth import geometry
from mdepth.shapes import DataError, check_same_shape


def test_same_shapes_pass_and_different_ones_are_named():
    check_same_shape(a=torch.zeros(2, 1, 3, 4), b=torch.ones(2, 1, 3, 4), c=torch.ones(2, 1, 3, 4))
    with pytest.raises(ValueError, match=r"prediction \(2, 1, 3, 4\), target \(2, 3, 4\)"):
        check_same_shape(prediction=torch.zeros(2, 1, 3, 4), target=torch.zeros(2, 3, 4))


def test_what_the_guard_is_for():
    prediction, target = torch.zeros(2, 1, 3, 4), torch.zeros(2, 3, 4)
    assert (prediction - target).shape == (2, 2, 3, 4)  # torch broadcasts without a word


def test_data_error_is_a_value_error():
    assert issubclass(DataError, ValueError)


def test_annotations_are_checked_here():
    """The suite's import hook turns annotations into checks: a depth without its channel axis is refused."""
    with pytest.raises(Exception, match=r"(?s)backproject.*depth"):
        geometry.backproject(torch.ones(1, 4, 4), torch.eye(3)[None])
