"""The numbers of Laina et al. 2016: settings with where they come from, variants, profiles, seeds.

Places: "summary" is a published summary of the paper, "authors" an answer of theirs in the issues of the
released code, "recalled" what nobody has checked against the paper.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

from mdepth.recipes import Variant
from mdepth.recipes.parts import KITCHEN, NYU_SETS

__all__ = ["MAKE3D", "NYU", "ROADS", "ROOMS", "VARIANTS", "Memory", "Settings", "seeds", "settings"]


@dataclass(frozen=True)
class Settings:
    """Everything that decides a run, with where it comes from."""

    network: str
    """Encoder and decoder: the table of encoders, decoders and losses."""
    data: Literal["rooms", "roads", "redkitchen", "nyu", "make3d"]
    """Text on the data."""
    loss: Literal["berhu", "l2", "l1"] = "berhu"
    """Text on the loss; the paper compares the first two."""
    fast: bool = False
    """Train the fast form, which begins as the same function as the plain one. Authors: so on NYU; on Make3D
    the plain one, converted later.
    """
    train_size: int = 1000
    """Scenes of the synthetic training set."""
    test_size: int = 128
    """Scenes of the synthetic test set; 654 images of NYU, 134 of Make3D."""
    images: int = 12_000
    """Images of NYU that training draws from, evenly spread over the video; authors: 11 to 12 thousand."""
    farthest: float = 0.0
    """Metres from which on training leaves pixels out, after the zoom; 0 for none. Authors: 70 on Make3D,
    whose loader masks the truth beyond them before.
    """
    protocols: tuple[str, ...] = ("worlds",)
    """How it is scored."""
    steps: int = 2000
    """Authors: about 20 epochs of 95,000 images for NYU."""
    batch: int = 16
    """Authors."""
    optimiser: Literal["sgd", "adam"] = "sgd"
    """Authors."""
    rate: float = 0.01
    """Authors: the same for all layers."""
    momentum: float = 0.9
    """Authors; of SGD alone."""
    decay: float = 5e-4
    """Weight decay of all layers; authors."""
    warm_up: int = 0
    """Steps in which the rate rises from nothing; none known."""
    stairs: tuple[float, ...] = ()
    """Parts of the steps after which the rate is divided by 2, by 5, by 2 ...; half a cosine where empty."""
    init: Literal["he", "normal"] = "he"
    """Of the new layers; recalled: normal with deviation 0.01."""
    dropout: float = 0.5
    """Before the last convolution; authors."""
    zoom: tuple[float, float] = (1.0, 1.5)
    """Authors: as Eigen et al. 2014, image enlarged by s, depth divided by it."""
    roll: float = 5.0
    """Degrees; as Eigen et al. 2014."""
    gain: tuple[float, float] = (0.8, 1.2)
    """Factor on each colour channel; as Eigen et al. 2014."""
    flip: float = 0.5
    """Chance of a mirror image; as Eigen et al. 2014."""
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    """Of convolutions and products in training: 32 bits, or bfloat16's 16; weights and scores have 32."""
    accelerator: str = "cpu"
    prefetch: int = 0
    """Batches prepared ahead; changes the time, not the result."""

    def __post_init__(self) -> None:
        if min(self.steps, self.batch, self.train_size, self.test_size, self.images) < 1:
            raise ValueError("steps, batch, train_size, test_size and images must be at least 1")
        if self.farthest < 0:
            raise ValueError(f"farthest must not be negative, got {self.farthest}")
        if self.stairs and self.warm_up:
            raise ValueError("a rate that falls in stairs has no warm-up; leave one of the two out")


@dataclass(frozen=True)
class Memory(Settings):
    """Trained on a few images, unchanged, and tested on them: what a decoder can draw, not what it knows."""


ROOMS = Settings(
    "laina-resnet18-upproj-rooms", "rooms", batch=8, optimiser="adam", rate=0.002, decay=0.0, warm_up=20,
    dropout=0.0, zoom=(1.0, 1.2), precision="bf16-mixed",
)  # fmt: skip
ROADS = replace(
    ROOMS, network="laina-resnet18-upproj-roads", data="roads", roll=0.0, farthest=70.0,
    protocols=("worlds", "make3d", "make3d-c2"),
)  # fmt: skip
RED_KITCHEN = replace(ROOMS, data="redkitchen")
NYU = Settings(
    "laina-resnet50-upproj", "nyu", fast=True, protocols=("laina-nyu",), steps=118_750,
    stairs=(0.35, 0.7), init="normal", accelerator="auto", prefetch=8,
)  # fmt: skip
MAKE3D = replace(
    NYU, network="laina-resnet50-upproj-make3d", data="make3d", protocols=("make3d", "make3d-c2"),
    steps=28_125, farthest=70.0, fast=False,
)  # fmt: skip


def _small(network: str, **changes: Any) -> Settings:
    """Settings of the rooms with another network or loss."""
    return replace(ROOMS, network=f"laina-{network}-rooms", **changes)


MEMORY: dict[str, Any] = {
    "train_size": 8, "test_size": 8, "steps": 1000, "zoom": (1.0, 1.0), "roll": 0.0, "gain": (1.0, 1.0),
    "flip": 0.0,
}  # fmt: skip
LAPTOP = {
    "upproj-rooms": ROOMS,
    "upconv-rooms": _small("resnet18-upconv"),
    "deconv-rooms": _small("resnet18-deconv"),
    "fc-rooms": _small("resnet18-fc"),
    "upproj-l2-rooms": replace(ROOMS, loss="l2"),
    "upproj-l1-rooms": replace(ROOMS, loss="l1"),
    "upproj-fast-rooms": replace(ROOMS, fast=True),
    "field75-rooms": _small("field75"),
    "field123-rooms": _small("field123"),
    "field219-rooms": _small("field219"),
    "upconv-l2-rooms": _small("resnet18-upconv", loss="l2"),
    "deconv-l2-rooms": _small("resnet18-deconv", loss="l2"),
    "fc-coarse-rooms": _small("resnet18-fc-coarse"),
    "vgg-upconv-rooms": _small("vgg16-upconv"),
    "vgg-upconv-l2-rooms": _small("vgg16-upconv", loss="l2"),
    "alexnet-upconv-rooms": _small("alexnet-upconv"),
    "alexnet-upconv-l2-rooms": _small("alexnet-upconv", loss="l2"),
    "alexnet-fc-rooms": _small("alexnet-fc"),
    "alexnet-fc-l2-rooms": _small("alexnet-fc", loss="l2"),
    "upproj-roads": ROADS,
    "upproj-l2-roads": replace(ROADS, loss="l2"),
    "upproj-redkitchen": RED_KITCHEN,
}
LAPTOP |= {
    f"{name}-memory-rooms": Memory(**(vars(LAPTOP[f"{name}-rooms"]) | MEMORY))
    for name in ("upproj", "upconv", "deconv", "fc")
}
FULL_WORLDS: dict[str, Any] = {
    "protocols": ("worlds",), "train_size": 10_000, "steps": 20_000, "init": "he",
}  # fmt: skip
FULL = {
    "upproj-rooms": replace(NYU, data="rooms", **FULL_WORLDS),
    "upproj-l2-rooms": replace(NYU, data="rooms", loss="l2", **FULL_WORLDS),
    "upconv-rooms": replace(NYU, data="rooms", network="laina-resnet50-upconv", **FULL_WORLDS),
    "deconv-rooms": replace(NYU, data="rooms", network="laina-resnet50-deconv", **FULL_WORLDS),
    "upproj-nyu": NYU,
    "upproj-l2-nyu": replace(NYU, loss="l2"),
    "upconv-nyu": replace(NYU, network="laina-resnet50-upconv"),
    "upconv-l2-nyu": replace(NYU, network="laina-resnet50-upconv", loss="l2"),
    "deconv-l2-nyu": replace(NYU, network="laina-resnet50-deconv", loss="l2"),
    "upproj-make3d": MAKE3D,
    "upproj-l2-make3d": replace(MAKE3D, loss="l2", rate=0.005),
}

MAKE3D_SETS = ("make3d/official:train400depth", "make3d/official:gridlaserdata")
QUICK = ("upproj-rooms", "deconv-rooms", "fc-rooms", "upproj-fast-rooms", "upproj-roads", "upproj-redkitchen")
SUMMARIES = {
    "upproj-rooms": "up-projections, berHu; synthetic rooms",
    "upconv-rooms": "up-convolutions; synthetic rooms",
    "deconv-rooms": "deconvolutions; synthetic rooms",
    "fc-rooms": "one fully connected layer; synthetic rooms",
    "upproj-l2-rooms": "up-projections, squared errors; synthetic rooms",
    "upproj-l1-rooms": "up-projections, absolute errors; synthetic rooms",
    "upproj-fast-rooms": "the fast form of the up-projections; synthetic rooms",
    "field75-rooms": "features that see 75 pixels; synthetic rooms",
    "field123-rooms": "features that see 123 pixels; synthetic rooms",
    "field219-rooms": "features that see 219 pixels; synthetic rooms",
    "upconv-l2-rooms": "up-convolutions, squared errors; synthetic rooms",
    "deconv-l2-rooms": "deconvolutions, squared errors; synthetic rooms",
    "fc-coarse-rooms": "one fully connected layer to a map of half the sides; synthetic rooms",
    "vgg-upconv-rooms": "VGG-16 and up-convolutions; synthetic rooms",
    "vgg-upconv-l2-rooms": "VGG-16 and up-convolutions, squared errors; synthetic rooms",
    "alexnet-upconv-rooms": "AlexNet and up-convolutions; synthetic rooms",
    "alexnet-upconv-l2-rooms": "AlexNet and up-convolutions, squared errors; synthetic rooms",
    "alexnet-fc-rooms": "AlexNet and fully connected layers; synthetic rooms",
    "alexnet-fc-l2-rooms": "AlexNet and fully connected layers, squared errors; synthetic rooms",
    "upproj-memory-rooms": "up-projections that learn eight synthetic rooms by heart",
    "upconv-memory-rooms": "up-convolutions that learn eight synthetic rooms by heart",
    "deconv-memory-rooms": "deconvolutions that learn eight synthetic rooms by heart",
    "fc-memory-rooms": "one fully connected layer that learns eight synthetic rooms by heart",
    "upproj-roads": "up-projections, depths below 70 m; synthetic roads",
    "upproj-l2-roads": "up-projections, squared errors, depths below 70 m; synthetic roads",
    "upproj-redkitchen": "small up-projections, one real room (7-Scenes)",
    "upproj-nyu": "the paper's network and loss, NYU",
    "upproj-l2-nyu": "the paper's network, squared errors, NYU",
    "upconv-nyu": "up-convolutions, NYU",
    "upconv-l2-nyu": "up-convolutions, squared errors, NYU",
    "deconv-l2-nyu": "deconvolutions, squared errors, NYU",
    "upproj-make3d": "the paper's network and loss, Make3D",
    "upproj-l2-make3d": "the paper's network, squared errors, Make3D",
}
NEEDS = {"redkitchen": KITCHEN, "nyu": NYU_SETS, "make3d": MAKE3D_SETS}


def _variant(name: str, summary: str) -> Variant:
    """Where it is planned follows from where it has settings; what it needs from its last word."""
    where = {"quick": QUICK, "laptop": LAPTOP, "full": FULL}
    needs = NEEDS.get(name.rpartition("-")[2], ())
    profiles = tuple(profile for profile, names in where.items() if name in names)
    return Variant(summary, profiles, bool(needs), needs)


VARIANTS = {name: _variant(name, summary) for name, summary in SUMMARIES.items()}
FIVE, ONE = (0, 1, 2, 3, 4), (0,)
HEADLINES = ("upproj-rooms", "upconv-rooms", "deconv-rooms", "fc-rooms", "upproj-l2-rooms")
ROWS = (
    "upconv-l2-rooms", "deconv-l2-rooms", "fc-coarse-rooms", "vgg-upconv-rooms", "vgg-upconv-l2-rooms",
    "alexnet-upconv-l2-rooms", "alexnet-fc-rooms", "alexnet-fc-l2-rooms",
)  # fmt: skip
SEEDS = dict.fromkeys(HEADLINES, FIVE) | dict.fromkeys(ROWS, ONE)
"""Of the reference runs: five for a headline, one for a line of Table 1 without a claim, else three."""


def settings(variant: str, profile: str) -> Settings:
    """The settings of a variant under a profile.

    Raises:
        ValueError: the variant does not exist in this profile.
    """
    if variant not in VARIANTS or profile not in VARIANTS[variant].profiles:
        known = ", ".join(name for name, about in VARIANTS.items() if profile in about.profiles)
        raise ValueError(
            f"laina has no variant {variant!r} in profile {profile!r}; there are {known or 'none'}"
        )
    if profile == "quick":
        return replace(LAPTOP[variant], train_size=48, test_size=8, steps=20, batch=8, precision="32-true")
    return (LAPTOP if profile == "laptop" else FULL)[variant]


def seeds(variant: str, profile: str) -> tuple[int, ...]:
    """Of the reference records; one elsewhere."""
    return SEEDS.get(variant, (0, 1, 2)) if profile == "laptop" else ONE
