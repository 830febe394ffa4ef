r"""Opinions on which pixels count, one number a pixel, larger = more: what a learnt mask has to beat.

Chance, spots and a grid know nothing of the image; edges know the image and not the network; gradients and
occlusion ask the network. Spots are there because learnt masks are made of them, and whether pixels lie
together matters to a network by itself. Those that ask the network explain **one number**, and a depth map is
many: here it is the mean of the depth (``saliency``, ``smoothgrad``, ``integrated``), or the mean change of
depth (``occlusion``).

The attributions come from captum, Canny's edges from kornia.
"""

from collections.abc import Callable
from typing import Any

import torch

from mdepth.image import sobel
from mdepth.masks.objective import answer, blurred
from mdepth.models.contract import DepthNetwork
from mdepth.shapes import Float, Image, Tensor

__all__ = ["IMPORTANCE", "importance"]

Importance = Float[Tensor, "B 1 H W"]
DRAWS = 16
"""Noisy copies of an image (``smoothgrad``), and steps from no image to the image (``integrated``)."""
NOISE = 0.1
"""Standard deviation of their noise, of the range of colours."""
SPOT = 1 / 32
"""Standard deviation of the blur that makes ``spots`` of noise, in widths of the image."""
WINDOW = 16
"""Side in pixels of what ``occlusion`` covers, moved by half of it."""


def importance(name: str, network: DepthNetwork, seen: Image, *, seed: int = 0) -> Importance:
    """How much every pixel of an image counts for a network, in one of the opinions of :data:`IMPORTANCE`.

    Only the order of the values means something, and only within an image.

    Args:
        name: ``"random"``; ``"spots"`` (chance again, but pixels that lie together: noise, smoothed by a
            thirty-second of the image's width); ``"grid"`` (the pixels of ever finer lattices); ``"edges"``
            (Sobel's response to brightness); ``"canny"`` (the same, on the crest of the edge only);
            ``"saliency"`` (gradient of the mean depth), ``"smoothgrad"`` (its mean over noisy copies),
            ``"integrated"`` (over images that fade in from the mean colour); ``"occlusion"`` (change of the
            depth where a window is covered).
        network: :func:`~mdepth.masks.frozen`.
        seen: images as the network sees them.
        seed: of chance and noise.

    Raises:
        ValueError: another name.

    Example:
        >>> from mdepth.masks import frozen
        >>> from mdepth.models import build
        >>> network = frozen(build("eigen-coarse-rooms"))
        >>> importance("edges", network, network.view(torch.rand(2, 3, 96, 128))).shape[1]
        1
    """
    if name not in IMPORTANCE:
        raise ValueError(f"unknown importance {name!r}; choose one of {', '.join(IMPORTANCE)}")
    return IMPORTANCE[name](network, seen, seed)


def _random(network: DepthNetwork, seen: Image, seed: int) -> Importance:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(len(seen), 1, *seen.shape[-2:], generator=generator).to(seen)


def _spots(network: DepthNetwork, seen: Image, seed: int) -> Importance:
    return blurred(_random(network, seen, seed), SPOT)


def _grid(network: DepthNetwork, seen: Image, seed: int) -> Importance:
    """The ranks of an ordered dither: the first quarter of them is every second pixel of every second row,
    the first sixteenth every fourth, and between them the lattices fill up evenly.
    """
    size = 1 << (max(seen.shape[-2:]) - 1).bit_length()
    ranks = torch.zeros(1, 1)
    while len(ranks) < size:
        corner, centre, right, below = 4 * ranks, 4 * ranks + 1, 4 * ranks + 2, 4 * ranks + 3
        ranks = torch.cat([torch.cat([corner, right], dim=1), torch.cat([below, centre], dim=1)])
    height, width = seen.shape[-2:]
    return -ranks[:height, :width].to(seen).expand(len(seen), 1, -1, -1)


def _grey(seen: Image) -> Float[Tensor, "B 1 H W"]:
    return seen.mean(dim=1, keepdim=True)


def _edges(network: DepthNetwork, seen: Image, seed: int) -> Importance:
    across, down = sobel(_grey(seen), padding="replicate")
    return torch.hypot(across, down)


def _canny(network: DepthNetwork, seen: Image, seed: int) -> Importance:
    """The strength of an edge where it is strongest across the edge, else 0: Canny's edges for any number of
    them, instead of two thresholds.
    """
    from kornia.filters import canny

    return canny(_grey(seen), low_threshold=1e-6, high_threshold=2e-6, hysteresis=False)[0]


def _mean_depth(network: DepthNetwork) -> Callable[[Image], Float[Tensor, " B"]]:
    return lambda seen: answer(network, seen).mean(dim=(1, 2, 3))


def _strength(attribution: Tensor) -> Importance:
    """Of three colours, the size of all."""
    return attribution.detach().abs().sum(dim=1, keepdim=True)


def _saliency(network: DepthNetwork, seen: Image, seed: int) -> Importance:
    from captum.attr import Saliency

    return _strength(Saliency(_mean_depth(network)).attribute(seen.clone().requires_grad_()))


def _smoothgrad(network: DepthNetwork, seen: Image, seed: int) -> Importance:
    from captum.attr import NoiseTunnel, Saliency

    options: dict[str, Any] = {"nt_type": "smoothgrad", "nt_samples": DRAWS, "nt_samples_batch_size": 1}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        tunnel = NoiseTunnel(Saliency(_mean_depth(network)))
        return _strength(tunnel.attribute(seen.clone().requires_grad_(), stdevs=NOISE, **options))


def _integrated(network: DepthNetwork, seen: Image, seed: int) -> Importance:
    from captum.attr import IntegratedGradients

    nothing = seen.new_tensor(network.mean).view(1, 3, 1, 1).expand_as(seen)
    method = IntegratedGradients(_mean_depth(network))
    return _strength(
        method.attribute(seen.clone().requires_grad_(), nothing, n_steps=DRAWS, internal_batch_size=len(seen))
    )


@torch.no_grad()
def _occlusion(network: DepthNetwork, seen: Image, seed: int) -> Importance:
    from captum.attr import Occlusion

    target = answer(network, seen)
    change = Occlusion(lambda masked: (answer(network, masked) - target).abs().mean(dim=(1, 2, 3)))
    nothing = seen.new_tensor(network.mean).view(1, 3, 1, 1).expand_as(seen)
    window, step = (3, WINDOW, WINDOW), (3, WINDOW // 2, WINDOW // 2)
    return _strength(change.attribute(seen, window, step, nothing))


IMPORTANCE: dict[str, Callable[[DepthNetwork, Image, int], Importance]] = {
    "random": _random,
    "spots": _spots,
    "grid": _grid,
    "edges": _edges,
    "canny": _canny,
    "saliency": _saliency,
    "smoothgrad": _smoothgrad,
    "integrated": _integrated,
    "occlusion": _occlusion,
}
"""Name -> function of a network, the images that it sees, and a seed."""
