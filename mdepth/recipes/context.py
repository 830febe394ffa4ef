r"""Training an encoder on pictures without labels: where does one patch lie from another?

Two patches are cut out of a picture, one of them from one of the eight places around the other, and a network
that sees both names the place (Doersch, Gupta and Efros, "Unsupervised visual representation learning by
context prediction", ICCV 2015). To do so it has to know what rooms are made of: a lamp hangs above a table.

It may also cheat, and three things are there to stop it. Lines that go on from one patch into the next tell
the place: patches do not touch (``gap``) and do not lie on a grid (``jitter``). The colours of real lenses
are shifted more towards the corners, which tells where in the picture a patch was cut; the synthetic camera
has no lens, and ``aberration`` gives it one, to see what that does. And where patches can only be cut inside
the picture, the upper one of two lies higher in it: so the middle patch is always cut where all eight would
fit.

Source: Doersch et al. 2015, by its abstract and descriptions of it; sizes are ours.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from mdepth.datasets.worlds import World, load
from mdepth.models.encoders import Encoder
from mdepth.recipes.parts import Schedule, take
from mdepth.shapes import Float, Image, Int, Tensor
from mdepth.train import fit

__all__ = ["PLACES", "Cut", "Places", "Pooled", "cut_pairs", "learn_places", "shifted_colours"]

PLACES = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))
"""Rows down and columns to the right of the middle patch, in patches: what a label counts."""


class Pooled(nn.Module):
    """An encoder's last map, averaged over its places: (B, C).

    Example:
        >>> from mdepth.models.encoders import resnet18
        >>> Pooled(resnet18(width=4))(torch.zeros(2, 3, 64, 64)).shape
        torch.Size([2, 32])
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Image) -> Tensor:
        """Normalised image to one vector."""
        return self.encoder(x)[-1].mean(dim=(2, 3))


class Places(nn.Module):
    """Two patches through one and the same encoder, and a small network that names the place of the second.

    Args:
        features: patches (B, 3, s, s) to vectors (B, channels).
        channels: of these vectors.
    """

    def __init__(self, features: nn.Module, channels: int) -> None:
        super().__init__()
        self.features = features
        self.head = nn.Sequential(nn.Linear(2 * channels, 128), nn.ReLU(), nn.Linear(128, len(PLACES)))

    def forward(self, first: Image, second: Image) -> Tensor:
        """Logits of :data:`PLACES`, (B, 8)."""
        both = self.features(torch.cat([first, second]))
        return self.head(torch.cat(both.chunk(2), dim=1))


@dataclass(frozen=True)
class Cut:
    """How patches are cut, in pixels."""

    side: int = 64
    """Of a patch."""
    gap: int = 16
    """Between two patches, before they are moved."""
    jitter: int = 6
    """The other patch is moved by up to so many pixels in both directions."""
    aberration: float = 0.0
    """By how many pixels red is shrunk and blue is stretched at the corners of the picture."""

    @property
    def least(self) -> int:
        """The smallest side of a picture."""
        return 3 * self.side + 2 * self.gap + 2 * self.jitter


def cut_pairs(
    image: Image, cut: Cut, generator: torch.Generator
) -> tuple[Float[Tensor, "B 3 s s"], Float[Tensor, "B 3 s s"], Int[Tensor, " B"]]:
    """From every picture a middle patch, another from around it, and its place.

    Raises:
        ValueError: the pictures are smaller than three patches and what lies between.

    Example:
        >>> pictures = torch.rand(2, 3, 48, 64)
        >>> first, second, place = cut_pairs(pictures, Cut(12, 3, 2), torch.Generator().manual_seed(0))
        >>> first.shape, place.shape
        (torch.Size([2, 3, 12, 12]), torch.Size([2]))
    """
    height, width = image.shape[-2:]
    if min(height, width) < cut.least:
        raise ValueError(
            f"pictures must be at least {cut.least} pixels high and wide, got {height} x {width}"
        )
    if cut.aberration:
        image = shifted_colours(image, cut.aberration)
    draw = partial(torch.randint, generator=generator)
    label = draw(len(PLACES), (len(image),))
    step, far = cut.side + cut.gap, cut.side + cut.gap + cut.jitter
    firsts: list[Tensor] = []
    seconds: list[Tensor] = []
    for picture, place in zip(image, label.tolist(), strict=True):
        middle = [int(draw(far, side - far - cut.side + 1, (1,))) for side in (height, width)]
        moved = draw(-cut.jitter, cut.jitter + 1, (2,)).tolist()
        other = [m + step * p + j for m, p, j in zip(middle, PLACES[place], moved, strict=True)]
        for (row, column), patches in ((middle, firsts), (other, seconds)):
            patches.append(picture[:, row : row + cut.side, column : column + cut.side])
    return torch.stack(firsts), torch.stack(seconds), label


def shifted_colours(image: Image, pixels: float) -> Image:
    """What a simple lens does: red a little smaller than green, blue a little larger, about the middle.

    Args:
        image: (B, 3, H, W).
        pixels: by how much at the left and right border.

    Example:
        >>> grey = torch.linspace(0, 1, 9).expand(1, 3, 5, 9)
        >>> shifted_colours(grey, 1.0)[0, :, 2, 6].tolist() != grey[0, :, 2, 6].tolist()
        True
    """
    width = image.shape[-1]
    bands = []
    for band, sign in zip(image.unbind(1), (1, 0, -1), strict=True):
        factor = 1 + sign * 2 * pixels / width
        theta = torch.tensor([[factor, 0.0, 0.0], [0.0, factor, 0.0]]).expand(len(image), 2, 3)
        grid = functional.affine_grid(
            theta.to(image), [len(image), 1, *image.shape[-2:]], align_corners=False
        )
        bands.append(functional.grid_sample(band[:, None], grid, padding_mode="border", align_corners=False))
    return torch.cat(bands, dim=1)


@dataclass(frozen=True)
class _Pairs:
    """``batch_at``: pairs of patches from random pictures, mirrored half of the time, each channel times a
    factor that both patches share.
    """

    dataset: Any
    normalise: Callable[[Image], Image]
    batch: int
    cut: Cut

    def __call__(self, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        indices = torch.randint(len(self.dataset), (self.batch,), generator=generator)
        image = take(self.dataset, indices.tolist())["image"]
        mirrored = torch.rand(self.batch, 1, 1, 1, generator=generator) < 0.5
        gain = 0.8 + 0.4 * torch.rand(self.batch, 3, 1, 1, generator=generator)
        image = (torch.where(mirrored, image.flip(-1), image) * gain).clamp(max=1)
        first, second, place = cut_pairs(image, self.cut, generator)
        return {"first": self.normalise(first), "second": self.normalise(second), "place": place}


def learn_places(
    encoder: Encoder,
    normalise: Callable[[Image], Image],
    *,
    steps: int,
    seed: int,
    folder: Path | None,
    cut: Cut = Cut(),
    pictures: int = 1000,
    size: tuple[int, int] = (240, 320),
    batch: int = 32,
    rate: float = 0.001,
    name: str = "context",
    precision: str = "32-true",
    progress: bool = True,
) -> dict[str, float]:
    """Train an encoder in place to tell where patches of rooms lie, and say how well it does in others.

    The rooms are none of those that depth is learnt or tested on (another seed of the world). Adam whose rate
    falls along half a cosine, cross entropy. Returns ``accuracy`` on pairs from unseen rooms; chance is 1/8.
    """
    height, width = size
    rooms = partial(World, "rooms", height=height, width=width, antialias=1, seed=1)
    train, test = (
        load(rooms(split="train", scenes=pictures)),
        load(rooms(split="test", scenes=min(200, pictures))),
    )
    network = Places(Pooled(encoder), encoder.channels[-1])
    fit(
        network,
        _Pairs(train, normalise, batch, cut),
        _cross_entropy,
        torch.optim.Adam(network.parameters(), lr=rate),
        steps,
        seed=seed,
        folder=folder,
        name=name,
        schedule=Schedule(steps, warm_up=0, anneal=True),
        accelerator="cpu",
        precision=precision,
        progress=progress,
    )
    return places_accuracy(network, test, normalise, cut)


def _cross_entropy(network: nn.Module, batch: dict[str, Any]) -> Tensor:
    return functional.cross_entropy(network(batch["first"], batch["second"]), batch["place"])


@torch.no_grad()
def places_accuracy(
    network: nn.Module, dataset: Any, normalise: Callable[[Image], Image], cut: Cut
) -> dict[str, float]:
    """Share of pairs whose place is named rightly, five pairs from every picture; and chance."""
    network.eval()
    generator = torch.Generator().manual_seed(0)
    pictures = take(dataset, range(len(dataset)))["image"]
    right = []
    for _ in range(5):
        for part in pictures.split(50):
            first, second, place = cut_pairs(part, cut, generator)
            right.append(network(normalise(first), normalise(second)).argmax(1) == place)
    return {"accuracy": torch.cat(right).float().mean().item(), "chance": 1 / len(PLACES)}
