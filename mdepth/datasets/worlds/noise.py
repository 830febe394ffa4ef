"""The places where a texture is asked for, and the one source of randomness of all textures.

All random numbers of textures come from one fixed table, read at a place that depends on the material's
``seed``: no state, no generator, the same on every device. Fine patterns fade into their mean where a pixel
covers more than a part of their period (``footprint``): what a camera's optics does, and what keeps distant
textures from turning into noise that no real image has.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from mdepth.shapes import Float, Tensor

_SIDE = 256  # of the table of random numbers, a power of two so that wrapping is a bit mask


@dataclass(frozen=True)
class Patch:
    """N points on faces: ``u, v`` in metres from the face's corner, the face's ``width, height``, the
    ``footprint`` of a pixel there
    (all metres), and the material's ``scale_u, scale_v`` (metres), ``amount`` and ``seed``."""

    u: Float[Tensor, " N"]
    v: Float[Tensor, " N"]
    width: Float[Tensor, " N"]
    height: Float[Tensor, " N"]
    footprint: Float[Tensor, " N"]
    scale_u: Float[Tensor, " N"]
    scale_v: Float[Tensor, " N"]
    amount: Float[Tensor, " N"]
    seed: Float[Tensor, " N"]

    def select(self, rows: Tensor) -> "Patch":
        """The points named by an index."""
        return Patch(**{name: value.index_select(0, rows) for name, value in vars(self).items()})


@lru_cache(maxsize=4)
def _table(device: torch.device) -> Float[Tensor, " N"]:
    """The fixed table of uniform random numbers in [0, 1]."""
    numbers = np.random.default_rng(20190727).random(_SIDE * _SIDE, dtype=np.float32)
    return torch.from_numpy(numbers).to(device)


def cell(i: Tensor, j: Tensor, seed: Tensor | float) -> Tensor:
    """A random number in [0, 1] for integer cell (i, j) (float tensors holding whole numbers)."""
    shift = seed * 17
    x = (i + shift).long() & (_SIDE - 1)
    y = (j + seed * 31 + 0.5 * shift).long() & (_SIDE - 1)
    return _table(i.device).take(y * _SIDE + x)


def value_noise(x: Tensor, y: Tensor, seed: Tensor | float) -> Tensor:
    """Smooth noise in [0, 1] of period one: random values at whole coordinates, blended with 3t² - 2t³."""
    i, j = x.floor(), y.floor()
    fx, fy = x - i, y - j
    fx, fy = fx * fx * (3 - 2 * fx), fy * fy * (3 - 2 * fy)
    shift = torch.as_tensor(seed, device=x.device)
    column = (i + (shift * 17).floor()).long()
    line = (j + (shift * 31).floor()).long()
    left, right = column & (_SIDE - 1), (column + 1) & (_SIDE - 1)
    top, bottom = (line & (_SIDE - 1)) * _SIDE, ((line + 1) & (_SIDE - 1)) * _SIDE
    table = _table(x.device)
    upper = torch.lerp(table.take(top + left), table.take(top + right), fx)
    lower = torch.lerp(table.take(bottom + left), table.take(bottom + right), fx)
    return torch.lerp(upper, lower, fy)


def fade(period: Tensor | float, footprint: Tensor) -> Tensor:
    """1 where a pattern is resolved (a pixel covers less than a quarter of its period), 0 where a pixel
    covers a whole period.
    """
    return (4 / 3 - (4 / 3) * footprint / period).clamp(0, 1)


def clouds(p: Patch, octaves: int = 3) -> Tensor:
    """Noise of several octaves in [0, 1], each half as strong and 2.7 times as fine, faded where a pixel no
    longer resolves it.
    """
    total, weight, strength, frequency = torch.zeros_like(p.u), 0.0, 1.0, 1.0
    for octave in range(octaves):
        noise = value_noise(p.u * frequency / p.scale_u, p.v * frequency / p.scale_v, p.seed + 7 * octave)
        visible = fade(torch.minimum(p.scale_u, p.scale_v) / frequency, p.footprint)
        total = total + strength * (0.5 + (noise - 0.5) * visible)
        weight, strength, frequency = weight + strength, 0.5 * strength, 2.7 * frequency
    return total / weight


def edge(position: Tensor, width: Tensor | float, footprint: Tensor) -> Tensor:
    """1 well inside ``position > 0``, 0 outside, blurred over the footprint (or over ``width``, where that is
    more).
    """
    blur = torch.clamp(footprint, min=1e-6) if isinstance(width, float) else torch.maximum(footprint, width)
    return (0.5 + position / blur).clamp(0, 1)
