"""Tensor types that say their shape, the guard against silent broadcasting, and the error for bad data.

The letters are the same everywhere: B images in a batch, C channels, H rows, W columns, N points. Annotations
cost nothing at run time; the test suite turns them into checks. The one mistake they exist for: a target of
shape (B, H, W) against a prediction of shape (B, 1, H, W) broadcasts to (B, B, H, W) without a word, and the
error it reports is wrong in the third digit.
"""

from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

__all__ = [
    "Bool", "DataError", "Depth", "Float", "Image", "Int", "Intrinsics", "Tensor", "Transform", "UInt8",
    "Valid", "check_same_shape",
]  # fmt: skip

Image = Float[Tensor, "B 3 H W"]
Depth = Float[Tensor, "B 1 H W"]
Valid = Bool[Tensor, "B 1 H W"]
Intrinsics = Float[Tensor, "B 3 3"]
Transform = Float[Tensor, "B 4 4"]


class DataError(ValueError):
    """A file or sample is not what it should be; the message names it, what was expected and what to do."""


def check_same_shape(**tensors: Tensor) -> None:
    """Raise ``ValueError`` unless all named tensors have the same shape.

    Edge cases: one tensor always passes; ``None`` is not a tensor and is not allowed.

    Example:
        >>> import torch
        >>> check_same_shape(prediction=torch.ones(2, 1, 4, 4), target=torch.ones(2, 1, 4, 4))
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(
            f"tensors must have the same shape, got {listed}; add or drop an axis: broadcasting is silent"
        )
