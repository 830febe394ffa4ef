"""The numbers of Eigen et al. 2014: settings with their place in the paper, variants, profiles, seeds."""

from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from mdepth.recipes import Variant
from mdepth.recipes.parts import KITCHEN, NYU_SETS

__all__ = [
    "KITTI",
    "NYU",
    "ROADS",
    "ROOMS",
    "VARIANTS",
    "Local",
    "Multiscale",
    "Pretrained",
    "Settings",
    "TwoStages",
    "seeds",
    "settings",
]


Kind = TypeVar("Kind", bound="Settings")


@dataclass(frozen=True)
class Settings:
    """Everything that decides a run, with its place in the paper."""

    network: str
    """Text on the networks, Figure 1."""
    data: Literal["rooms", "roads", "redkitchen", "nyu", "kitti"]
    """Text on the data."""
    train_size: int = 1000
    """Scenes of the synthetic training set; text on NYU: 120,000 images of 249 scenes."""
    test_size: int = 128
    """Scenes of the synthetic test set; text on NYU: 654 images of 215 scenes."""
    protocol: str = "worlds"
    """Text on the evaluation."""
    steps: int = 2000
    """Text on training: 2.0 M samples for NYU, 1.5 M for KITTI."""
    batch: int = 32
    """Text on training."""
    optimiser: Literal["sgd", "adam"] = "sgd"
    """Text on training."""
    rate_conv: float = 0.001
    """Text on training: convolutions 1 to 5."""
    rate_fc: float = 0.1
    """Text on training: fully connected layers 6 and 7."""
    momentum: float = 0.9
    """Text on training; of SGD alone."""
    decay_conv: float = 5e-4
    """Weight decay of the convolutions; released."""
    decay_fc: float = 1e-4
    """Weight decay of the fully connected layers; released."""
    warm_up: int = 0
    """Steps in which the rates rise from nothing; none in the paper."""
    anneal: bool = False
    """Let the rates fall to nothing along half a cosine; the paper gives no schedule."""
    lam: float = 0.5
    """Text on the error, eq. 4."""
    dropout: float = 0.5
    """Text on the networks on layer 6, the number from the released code."""
    zoom: tuple[float, float] = (1.0, 1.5)
    """Text on augmentation: image enlarged by s, depth divided by it."""
    roll: float = 5.0
    """Text on augmentation: degrees."""
    gain: tuple[float, float] = (0.8, 1.2)
    """Text on augmentation: factor on each colour channel."""
    flip: float = 0.5
    """Text on augmentation: chance of a mirror image."""
    drop_extremes: bool = False
    """Text on NYU: pixels at the image's smallest or largest depth are invalid (NYU's filled maps)."""
    accelerator: str = "cpu"
    prefetch: int = 0
    """Batches prepared ahead; changes the time, not the result."""

    def __post_init__(self) -> None:
        if min(self.steps, self.batch, self.train_size, self.test_size) < 1:
            raise ValueError("steps, batch, train_size and test_size must be at least 1")


@dataclass(frozen=True)
class TwoStages(Settings):
    """And what decides the second stage, in which the fine network is trained."""

    fine_steps: int = 1000
    """Text on training: 1.5 M samples for NYU, 1.0 M for KITTI."""
    rate_fine: tuple[float, float, float] = (0.001, 0.01, 0.001)
    """Text on training: the fine network's three convolutions."""
    frozen: bool = True
    """Text on training: the coarse network is kept fixed. Ports whose flag does nothing train it on."""


@dataclass(frozen=True)
class Pretrained(Settings):
    """And how the convolutions are trained beforehand: the paper's ImageNet, here the naming of things."""

    pretext_steps: int = 2000
    pictures: int = 4000


@dataclass(frozen=True)
class Local(Settings):
    """And what decides a run of the network of local distributions (Chakrabarti et al. 2016). All its weights
    have one rate, ``rate_conv``, and none decays.
    """

    stride: int = 8
    """Image pixels from one place that is trained on to the next; released."""
    fitted: int = 200
    """Training images to whose responses the components are fitted; the paper does not say how many."""


@dataclass(frozen=True)
class Multiscale(Settings):
    """The network of Eigen and Fergus 2015: what else decides its training. ``steps`` are those of scales 1
    and 2 together, ``rate_conv`` and ``rate_fc`` those of scale 1.
    """

    tasks: tuple[str, ...] = ("depth", "normals", "labels")
    """Learnt by one network; the paper has one for depth and normals, others for labels."""
    scales: tuple[int, ...] = (1, 2, 3)
    """The paper's comparison of scales has (1,), (2,) and (1, 2) too."""
    fine_steps: int = 1000
    """Steps of the second stage, in which scale 3 is trained alone; none without scale 3."""
    rate_local: tuple[float, float, float] = (0.001, 0.01, 0.001)
    """Of scales 2 and 3: their first convolution, those between, their last."""


ROOMS = Settings(
    "eigen-coarse-rooms", "rooms", batch=16, optimiser="adam", rate_conv=0.001, rate_fc=0.001, decay_conv=0.0,
    decay_fc=0.0, warm_up=20, anneal=True,
)  # fmt: skip
ROADS = replace(ROOMS, network="eigen-coarse-roads", data="roads", zoom=(1.0, 1.2), roll=0.0)
RED_KITCHEN = replace(ROOMS, data="redkitchen")
NYU = Settings(
    "eigen-coarse-nyu",
    "nyu",
    protocol="eigen-nyu",
    steps=62_500,
    drop_extremes=True,
    accelerator="auto",
    prefetch=8,
)
KITTI = Settings(
    "eigen-coarse-kitti", "kitti", protocol="eigen-kitti", steps=46_875, zoom=(1.0, 1.2), roll=0.0,
    accelerator="auto", prefetch=8,
)  # fmt: skip


def more(kind: type[Kind], first: Settings, **changes: Any) -> Kind:
    """Settings, and what else decides a run of another kind."""
    return kind(**(vars(first) | changes))


ONE_RATE = (0.001, 0.001, 0.001)
FINE_ROOMS = more(TwoStages, ROOMS, network="eigen-fine-rooms", rate_fine=ONE_RATE)
FINE_ROADS = more(TwoStages, ROADS, network="eigen-fine-roads", rate_fine=ONE_RATE)
FINE_NYU = more(TwoStages, NYU, network="eigen-fine-nyu", fine_steps=46_875)
FINE_KITTI = more(TwoStages, KITTI, network="eigen-fine-kitti", fine_steps=31_250)

MULTISCALE_ROOMS = more(
    Multiscale, ROOMS, network="eigen-multiscale-rooms", batch=8, steps=950, fine_steps=350, rate_conv=0.002,
    rate_fc=0.002, rate_local=(0.002, 0.002, 0.002), zoom=(1.0, 1.2),
)  # fmt: skip

LOCAL_ROOMS = more(
    Local, ROOMS, network="eigen-local-rooms", test_size=64, steps=2000, batch=4, rate_conv=0.002,
    zoom=(1.0, 1.0),
)  # fmt: skip

EVERYWHERE, AT_NIGHT, ON_A_GPU = ("quick", "laptop", "full"), ("laptop",), ("full",)
KITTI_SETS = ("kitti/raw", "splits/kitti")
VARIANTS = {
    "coarse-rooms": Variant("coarse network, synthetic rooms", EVERYWHERE),
    "coarse-roads": Variant("coarse network, synthetic roads", EVERYWHERE),
    "fine-rooms": Variant("coarse network, then the fine one; synthetic rooms", EVERYWHERE),
    "fine-roads": Variant("coarse network, then the fine one; synthetic roads", EVERYWHERE),
    "l2-rooms": Variant("coarse network with lambda = 0; synthetic rooms", AT_NIGHT),
    "l2-roads": Variant("coarse network with lambda = 0; synthetic roads", AT_NIGHT),
    "upsampled-rooms": Variant("4 x 6 depths, enlarged, instead of templates; synthetic rooms", AT_NIGHT),
    "pretrained-rooms": Variant("coarse network that could name things before; synthetic rooms", AT_NIGHT),
    "unfrozen-rooms": Variant("fine network, the coarse one trained on with it; synthetic rooms", AT_NIGHT),
    "multiscale-rooms": Variant(
        "three scales for depth, normals and labels (2015); synthetic rooms", AT_NIGHT
    ),
    "scale1-rooms": Variant("its scale 1 alone; synthetic rooms", AT_NIGHT),
    "scale2-rooms": Variant("its scale 2 alone; synthetic rooms", AT_NIGHT),
    "local-rooms": Variant("harmonised local distributions (2016); synthetic rooms", AT_NIGHT),
    "coarse-redkitchen": Variant(
        "small coarse network, one real room (7-Scenes)", ("quick", "laptop"), realdata=True, needs=KITCHEN
    ),
    "coarse-nyu": Variant("coarse network, NYU, the paper's schedule", ON_A_GPU, True, NYU_SETS),
    "coarse-kitti": Variant("coarse network, KITTI, the paper's schedule", ON_A_GPU, True, KITTI_SETS),
    "fine-nyu": Variant("both networks, NYU, the paper's schedule", ON_A_GPU, True, NYU_SETS),
    "fine-kitti": Variant("both networks, KITTI, the paper's schedule", ON_A_GPU, True, KITTI_SETS),
}
LAPTOP = {
    "coarse-rooms": ROOMS,
    "coarse-roads": ROADS,
    "fine-rooms": FINE_ROOMS,
    "fine-roads": FINE_ROADS,
    "l2-rooms": replace(ROOMS, lam=0.0),
    "l2-roads": replace(ROADS, lam=0.0),
    "upsampled-rooms": replace(ROOMS, network="eigen-upsampled-rooms"),
    "pretrained-rooms": more(Pretrained, ROOMS),
    "unfrozen-rooms": replace(FINE_ROOMS, frozen=False),
    "multiscale-rooms": MULTISCALE_ROOMS,
    "scale1-rooms": replace(MULTISCALE_ROOMS, scales=(1,), fine_steps=0),
    "scale2-rooms": replace(MULTISCALE_ROOMS, scales=(2,), fine_steps=0),
    "local-rooms": LOCAL_ROOMS,
    "coarse-redkitchen": RED_KITCHEN,
}
WORLDS: dict[str, Any] = {
    "protocol": "worlds", "drop_extremes": False, "train_size": 10_000, "steps": 20_000,
}  # fmt: skip
FULL = {
    "coarse-rooms": replace(NYU, data="rooms", **WORLDS),
    "coarse-roads": replace(KITTI, data="roads", **WORLDS),
    "fine-rooms": replace(FINE_NYU, data="rooms", fine_steps=15_000, **WORLDS),
    "fine-roads": replace(FINE_KITTI, data="roads", fine_steps=15_000, **WORLDS),
    "coarse-nyu": NYU,
    "coarse-kitti": KITTI,
    "fine-nyu": FINE_NYU,
    "fine-kitti": FINE_KITTI,
}
FIVE, THREE = (0, 1, 2, 3, 4), (0, 1, 2)
SEEDS = {"coarse-rooms": FIVE, "coarse-roads": FIVE, "fine-rooms": FIVE, "unfrozen-rooms": (0,)}
"""Of the reference runs; three where nothing is said."""


def settings(variant: str, profile: str) -> Settings:
    """The settings of a variant under a profile.

    Raises:
        ValueError: the variant does not exist in this profile.
    """
    if variant not in VARIANTS or profile not in VARIANTS[variant].profiles:
        known = ", ".join(name for name, about in VARIANTS.items() if profile in about.profiles)
        raise ValueError(
            f"eigen has no variant {variant!r} in profile {profile!r}; there are {known or 'none'}"
        )
    if profile == "quick":
        short = replace(LAPTOP[variant], train_size=48, test_size=8, steps=40, batch=16)
        return replace(short, fine_steps=10) if isinstance(short, TwoStages) else short
    return (LAPTOP if profile == "laptop" else FULL)[variant]


def seeds(variant: str, profile: str) -> tuple[int, ...]:
    """Five or three seeds for the reference records, one elsewhere."""
    return SEEDS.get(variant, THREE) if profile == "laptop" else (0,)
