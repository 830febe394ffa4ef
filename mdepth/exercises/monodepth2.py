"""Exercises of the Monodepth2 chapter. The warp is here; sampling is in
:mod:`mdepth.exercises.monodepth2_sampling`, the loss in :mod:`mdepth.exercises.monodepth2_loss`. The right
answers come from the library.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F

from mdepth.exercises.checker import Exercise
from mdepth.exercises.monodepth2_loss import broken_mask, least, metres
from mdepth.exercises.monodepth2_sampling import bilinear, mixed_samplers
from mdepth.geometry import (
    backproject,
    invert_transform,
    normalise_pixels,
    pixel_grid,
    project,
    scale_intrinsics,
    scale_translation,
    transform_from_axis_angle,
    transform_points,
)
from mdepth.shapes import Tensor

__all__ = ["exercises", "warp"]

Warp = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Depth, K and T in, pixels out."""


def exercises() -> dict[str, Exercise]:
    """The warp, bilinear sampling, a sampler with a bug, the minimum, a mask that is fooled, metres."""
    return {
        "monodepth2.warp": warp(),
        "monodepth2.bilinear": bilinear(),
        "monodepth2.samplers": mixed_samplers(),
        "monodepth2.least": least(),
        "monodepth2.broken_mask": broken_mask(),
        "monodepth2.metres": metres(),
    }


def warp() -> Exercise:
    """Where every target pixel appears in the source, (B, 2, H, W), checked on random cameras.

    Example:
        >>> from mdepth.exercises import check
        >>> check("monodepth2.warp", lambda depth, K, T: project(backproject(depth, K), K)[0])
        Not yet: nothing moves: T is missing.
    """
    return Exercise(
        _warp(),
        [*_lifted_wrongly(), *_moved_wrongly(), *_seen_wrongly(), *_wrong_cameras()],
        "Lift, move, project: that is all the geometry in this loss.",
        inputs=_cameras(),
    )


def _pixels(points: Tensor, K: Tensor) -> Tensor:
    """Where points appear."""
    return project(points, K)[0]


def _warp(
    lift: Callable[[Tensor, Tensor], Tensor] = backproject,
    move: Callable[[Tensor, Tensor], Tensor] = transform_points,
    see: Callable[[Tensor, Tensor], Tensor] = _pixels,
) -> Warp:
    """Pixels to points, points into the other camera, points to pixels; right unless told otherwise."""
    return lambda depth, K, T: see(move(T, lift(depth, K)), K)


def _cameras() -> list[tuple[Tensor, Tensor, Tensor]]:
    """Depth, K and T of two small batches, drawn at random: all points lie in front of both cameras."""
    generator, drawn = torch.Generator().manual_seed(0), []
    for count, height, width in ((2, 3, 4), (1, 5, 3)):
        numbers = torch.rand(count, 10, generator=generator)
        K = torch.zeros(count, 3, 3)
        K[:, 0, 0], K[:, 1, 1], K[:, 2, 2] = 3 + 2 * numbers[:, 0], 4 + 2 * numbers[:, 1], 1
        K[:, 0, 2], K[:, 1, 2] = width / 2 - numbers[:, 2], height / 2 - numbers[:, 3]
        T = transform_from_axis_angle(0.6 * numbers[:, 4:7] - 0.2, 1.6 * numbers[:, 7:] - 0.6)
        drawn.append((2 + 6 * torch.rand(count, 1, height, width, generator=generator), K, T))
    return drawn


def _rays(depth: Tensor, matrix: Tensor, shift: float = 0.0, *, swapped: bool = False) -> Tensor:
    """A matrix times (u, v, 1), for all pixels of a map."""
    pixels = pixel_grid(depth.shape[-2], depth.shape[-1]) + shift
    pixels = pixels.flip(0) if swapped else pixels
    return torch.einsum("bij,jhw->bihw", matrix, torch.cat((pixels, torch.ones_like(pixels[:1]))))


def _lifted_wrongly() -> list[tuple[Warp, str]]:
    """What goes wrong between a pixel and its point."""

    def rays(depth: Tensor, K: Tensor, **how: Any) -> Tensor:
        return _rays(depth, torch.linalg.inv(K), **how)

    half = "integer coordinates are pixel centres: nothing is to be added to them."
    return [
        (
            _warp(lambda d, K: d * _rays(d, K)),
            "you forgot to invert K: the way from pixels to points is the inverse of K.",
        ),
        (_warp(rays), "that is a ray, not yet a point: multiply by the depth before T adds its t."),
        (
            _warp(lambda d, K: d * F.normalize(rays(d, K), dim=1)),
            "depth is measured along z, not along the ray: do not normalise the ray.",
        ),
        (
            _warp(lambda d, K: d * rays(d, K, swapped=True)),
            "you swapped u and v on the way in: u counts columns, v counts rows.",
        ),
        (_warp(lambda d, K: d * rays(d, K, shift=0.5)), half),
        (_warp(see=lambda X, K: _pixels(X, K) + 0.5), half),
        (
            _warp(lambda d, K: d * rays(d, K, shift=0.5), see=lambda X, K: _pixels(X, K) - 0.5),
            "half a pixel added and taken away again does not cancel: K is for pixel centres.",
        ),
    ]


def _moved_wrongly() -> list[tuple[Warp, str]]:
    """What goes wrong between the two cameras."""

    def turned(T: Tensor, X: Tensor) -> Tensor:
        return transform_points(scale_translation(T, torch.zeros(())), X)

    def t(T: Tensor) -> Tensor:
        return T[:, :3, 3, None, None]

    early = "you divided by the depth before adding t: t belongs to the point, the division comes last."
    return [
        (_warp(move=lambda T, X: X), "nothing moves: T is missing."),
        (
            _warp(move=lambda T, X: transform_points(invert_transform(T), X)),
            "you inverted T: it already takes points of the target camera into the source camera.",
        ),
        (_warp(move=lambda T, X: turned(T, X) / turned(T, X)[:, 2:] + t(T)), early),
        (
            _warp(
                move=lambda T, X: turned(T, X) / turned(T, X)[:, 2:] + t(T),
                see=lambda X, K: torch.einsum("bij,bjhw->bihw", K, X)[:, :2],
            ),
            early,
        ),
        (_warp(move=turned), "you forgot the translation: R X + t."),
        (_warp(move=lambda T, X: X + t(T)), "you forgot the rotation: R X + t."),
        (
            _warp(move=lambda T, X: turned(T, X + t(T))),
            "T rotates first and moves then: R X + t, not R (X + t).",
        ),
    ]


def _seen_wrongly() -> list[tuple[Warp, str]]:
    """What goes wrong between a point and its pixel."""

    def times_K(X: Tensor, K: Tensor) -> Tensor:
        return torch.einsum("bij,bjhw->bihw", K, X)

    def in_grid(align_corners: bool) -> Callable[[Tensor, Tensor], Tensor]:
        return lambda X, K: normalise_pixels(
            _pixels(X, K), X.shape[-2], X.shape[-1], align_corners=align_corners
        )

    third = "drop the third number: a pixel is (u, v)."
    grid = "those are the numbers that grid_sample wants, from -1 to 1; asked for are pixels."
    order = "the numbers are right, their order is not: (B, 2, H, W), rows before columns."
    return [
        (
            _warp(see=lambda X, K: times_K(X, K)[:, :2]),
            "you forgot the perspective division: divide K X by its third number.",
        ),
        (
            lambda d, K, T: times_K(transform_points(T, backproject(d, K)), K)[:, :2] / d,
            "divide by the depth that the point has in the source camera, not by its old one.",
        ),
        (
            _warp(see=lambda X, K: X[:, :2] / X[:, 2:]),
            "you forgot K on the way out: x / z is not yet a pixel.",
        ),
        (_warp(see=lambda X, K: _pixels(X, K).flip(1)), "you swapped u and v: the columns come first."),
        (_warp(see=lambda X, K: times_K(X, K) / X[:, 2:]), third),
        (_warp(see=lambda X, K: torch.cat(project(X, K), dim=1)), third),
        (_warp(see=lambda X, K: _pixels(X, K).permute(0, 2, 3, 1)), order),
        (_warp(see=lambda X, K: _pixels(X, K).mT), order),
        (_warp(see=in_grid(True)), grid),
        (_warp(see=in_grid(False)), grid),
        (_warp(see=lambda X, K: in_grid(True)(X, K).permute(0, 3, 1, 2)), grid),
        (_warp(see=lambda X, K: in_grid(False)(X, K).permute(0, 3, 1, 2)), grid),
    ]


def _wrong_cameras() -> list[tuple[Warp, str]]:
    """Everything is right, but not with this image's own K and T."""

    def times(K: Tensor, x: int | float, y: int | float) -> Tensor:
        return K * K.new_tensor([x, y, 1])[:, None]

    right, size = (
        _warp(),
        "that is K for another size: it is in pixels of this very image, leave it as it is.",
    )
    return [
        (lambda d, K, T: right(d, times(K, d.shape[-1], d.shape[-2]), T), size),
        (lambda d, K, T: right(d, times(K, 1 / d.shape[-1], 1 / d.shape[-2]), T), size),
        (lambda d, K, T: right(d, times(K, 0.5, 0.5), T), size),
        (lambda d, K, T: right(d, times(K, 2.0, 2.0), T), size),
        (lambda d, K, T: right(d, scale_intrinsics(K, (2, 2), (1, 1)), T), size),
        (lambda d, K, T: right(d, scale_intrinsics(K, (1, 1), (2, 2)), T), size),
        (
            lambda d, K, T: right(d, K[:1].expand_as(K), T),
            "every image of the batch has its own K; you used that of the first.",
        ),
        (
            lambda d, K, T: right(d, K, T[:1].expand_as(T)),
            "every image of the batch has its own T; you used that of the first.",
        ),
    ]
