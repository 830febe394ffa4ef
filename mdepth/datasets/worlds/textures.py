"""Materials and how they are painted.

A texture is attached to its solid and moves with it, so that a point keeps its colour from frame to frame and
from eye to eye.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from mdepth.datasets.worlds import motifs, patterns
from mdepth.datasets.worlds.noise import Patch
from mdepth.shapes import Float, Tensor

PATTERNS: dict[str, Callable[[Patch], tuple[Tensor, Tensor]]] = {
    "plain": patterns.plain,
    "mottled": patterns.mottled,
    "foliage": patterns.foliage,
    "wood": patterns.wood,
    "bricks": patterns.bricks,
    "tiles": patterns.tiling,
    "checks": patterns.checks,
    "stripes": patterns.stripes,
    "books": motifs.books,
    "picture": motifs.picture,
    "outside": motifs.outside,
    "screen": motifs.screen,
    "rug": motifs.rug,
    "door": motifs.door,
    "facade": motifs.facade,
    "road": motifs.road,
}


@dataclass(frozen=True)
class Material:
    """How a solid looks.

    Attributes:
        pattern: a key of :data:`PATTERNS`.
        a, b: the two colours that it mixes, linear reflectance in [0, 1] (not sRGB).
        scale: length of one period in metres, across and along.
        amount: strength of the secondary variation of the pattern, 0 to 1.
        seed: where in the table of random numbers it reads.
        emission: light that it gives by itself, as a factor on its colour: 0 for all but lamps, screens and
            windows.
    """

    pattern: str = "plain"
    a: tuple[float, float, float] = (0.5, 0.5, 0.5)
    b: tuple[float, float, float] = (0.5, 0.5, 0.5)
    scale: tuple[float, float] = (1.0, 1.0)
    amount: float = 0.5
    seed: float = 0.0
    emission: float = 0.0

    def row(self) -> list[float]:
        """The material as twelve numbers: pattern, a, b, scale, amount, seed, emission."""
        number = float(list(PATTERNS).index(self.pattern))
        return [number, *self.a, *self.b, *self.scale, self.amount, self.seed, self.emission]


EVERYWHERE = ("plain", "checks", "tiles", "bricks", "stripes", "wood", "mottled")
"""Patterns that any surface can have."""


def any_paint(rng: np.random.Generator) -> Material:
    """Any pattern in any two colours.

    Example:
        >>> any_paint(np.random.default_rng(0)).pattern in EVERYWHERE
        True
    """
    one, other = rng.uniform(0.08, 0.75, (2, 3)).tolist()
    scale = rng.uniform(0.1, 1.0)
    name = str(rng.choice(EVERYWHERE))
    return Material(name, tuple(one), tuple(other), (scale, scale), 0.5, float(rng.integers(1, 200)))


def painted(materials: Float[Tensor, "K 12"], rng: np.random.Generator) -> Float[Tensor, "K 12"]:
    """Every material in any pattern and colours; what shines by itself still does."""
    new = torch.tensor([any_paint(rng).row() for _ in materials], dtype=torch.float32).reshape(-1, 12)
    return torch.cat([new[:, :-1], materials[:, -1:]], dim=1)


def swapped(materials: Float[Tensor, "K 12"], rng: np.random.Generator) -> Float[Tensor, "K 12"]:
    """The materials in another order, none in its own place where there are two; what shines by itself still
    does.
    """
    order = rng.permutation(len(materials))
    new = torch.empty_like(materials)
    new[order] = materials[np.roll(order, 1)]
    return torch.cat([new[:, :-1], materials[:, -1:]], dim=1)


def paint(
    patch: Patch, materials: Float[Tensor, "K 12"], row: Tensor, contrast: float = 1.0
) -> Float[Tensor, "3 N"]:
    """Linear reflectance of N points whose material is ``row``: a + mix (b - a), times shade.

    ``contrast`` multiplies how far ``mix`` and ``shade`` go from their flat values 0.5 and 1; 0 leaves every
    material its mean colour.
    """
    pattern = materials[:, 0].long()[row]
    order = pattern.argsort()
    counts = torch.bincount(pattern, minlength=len(PATTERNS)).tolist()
    mix, shade = torch.empty_like(patch.u), patch.u.new_empty(3, len(patch.u))
    for rows, function in zip(order.split(counts), PATTERNS.values(), strict=True):
        if len(rows):
            mix[rows], shade[:, rows] = function(patch.select(rows))
    a, b = materials[:, 1:4].T[:, row], materials[:, 4:7].T[:, row]
    mix = 0.5 + contrast * (mix - 0.5)
    shade = 1 + contrast * (shade - 1)
    return torch.lerp(a, b, mix.clamp(0, 1)) * shade.clamp(min=0)
