"""The numbers of Hu et al. 2019, both papers: settings with where they come from, variants, profiles, seeds.

Places: "code" is the released code of the two papers, "recalled" what nobody has checked against them.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

from mdepth.recipes import Variant
from mdepth.recipes.parts import KITCHEN, NYU_SETS

__all__ = [
    "FULL", "LAMBDAS", "LAPTOP", "MASKS", "NETS", "NYU", "PACKAGED", "ROADS", "ROOMS", "VARIANTS", "Either",
    "MaskSettings", "Settings", "seeds", "settings",
]  # fmt: skip

Data = Literal["rooms", "roads", "redkitchen", "nyu"]


@dataclass(frozen=True)
class Settings:
    """Everything that decides how a depth network N is trained (WACV 2019), with where it comes from."""

    network: str
    """Encoder and size."""
    data: Data
    weights: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Of the loss of depth, of slopes and of normals; code: all 1."""
    padding: Literal["zeros", "valid"] = "zeros"
    """Of Sobel in the loss: code, with a border that is a fake edge; or without that border."""
    init: Literal["random", "imagenet"] = "random"
    """Where the encoder's weights come from; code: ImageNet."""
    train_size: int = 1000
    """Scenes of the synthetic training set."""
    test_size: int = 128
    """Scenes of the synthetic test set; 654 images of NYU."""
    images: int = 50_688
    """Images of NYU that training draws from, evenly spread over the video; code."""
    protocols: tuple[str, ...] = ("worlds",)
    """How it is scored."""
    steps: int = 1400
    """Code: 20 epochs."""
    batch: int = 8
    """Code: 8 on one device."""
    rate: float = 0.002
    """Of Adam; code: 0.0001."""
    decay: float = 1e-4
    """Weight decay, added to the gradient; code."""
    warm_up: int = 20
    """Steps in which the rate rises from nothing; code: none."""
    stairs: tuple[float, ...] = ()
    """Parts of the steps after which the rate is divided by 10, code: a quarter, a half, three quarters;
    half a cosine where empty.
    """
    roll: float = 5.0
    """Degrees; code."""
    flip: float = 0.5
    """Chance of a mirror image; code."""
    gain: tuple[float, float] = (0.8, 1.2)
    """Factor on each colour channel; ours."""
    jitter: float = 0.0
    """Of brightness, contrast and saturation, each 1 +- this much in random order; code: 0.4."""
    lighting: float = 0.0
    """Deviation of noise along the principal axes of colour; code: 0.1."""
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    """Of convolutions and products in training; weights and scores have 32 bits."""
    accelerator: str = "cpu"
    prefetch: int = 0
    """Batches prepared ahead; changes the time, not the result."""

    def __post_init__(self) -> None:
        if min(self.steps, self.batch, self.train_size, self.test_size, self.images) < 1:
            raise ValueError("steps, batch, train_size, test_size and images must be at least 1")
        if min(self.weights) < 0 or not sum(self.weights):
            raise ValueError(f"weights must not be negative nor all 0, got {self.weights}")
        if self.stairs and self.warm_up:
            raise ValueError("a rate that falls in stairs has no warm-up; leave one of the two out")


@dataclass(frozen=True)
class MaskSettings:
    """Everything that decides how a mask predictor G is trained (ICCV 2019), with where it comes from."""

    network: str
    """What is looked into: any network of :func:`mdepth.models.build`."""
    trained: Settings | None
    """How that network was trained before, once and for all masks of a seed; none: it has the weights that
    come with the package.
    """
    data: Data
    predictor: str = "hu-mask-small"
    """Code: a dilated residual network of 25 million parameters."""
    sparsity: float = 5.0
    """Lambda, what a mask that keeps everything costs; code: 5."""
    fill: Literal["mean", "black", "blur", "other"] = "mean"
    """What stands in for a removed pixel; code: the mean colour, by multiplying the normalised image."""
    init: Literal["random", "imagenet"] = "random"
    """Where the predictor's encoder comes from; code: ImageNet."""
    train_size: int = 1000
    test_size: int = 128
    images: int = 50_688
    steps: int = 800
    """Code: 10 epochs."""
    batch: int = 8
    """Code: 8 on one device."""
    rate: float = 0.002
    """Of Adam; code: 0.0001, all the way."""
    decay: float = 1e-4
    """Weight decay, added to the gradient; code."""
    warm_up: int = 20
    anneal: bool = True
    """Half a cosine down; code: the rate stays."""
    roll: float = 5.0
    """Degrees; code: as for N."""
    flip: float = 0.5
    """Code: as for N."""
    gain: tuple[float, float] = (0.8, 1.2)
    jitter: float = 0.0
    """Code: 0.4, as for N."""
    lighting: float = 0.0
    """Code: 0.1, as for N."""
    compared: Literal["few", "all"] = "few"
    """With how many other opinions on what counts the mask is compared: those that cost nothing, or all."""
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    accelerator: str = "cpu"
    prefetch: int = 0

    def __post_init__(self) -> None:
        if min(self.steps, self.batch, self.train_size, self.test_size, self.images) < 1:
            raise ValueError("steps, batch, train_size, test_size and images must be at least 1")
        if self.sparsity < 0:
            raise ValueError(f"sparsity must not be negative, got {self.sparsity}")
        if self.trained is not None and self.trained.network != self.network:
            raise ValueError(f"trained is about {self.trained.network}, not about {self.network}")

    @property
    def packaged(self) -> str:
        """What the weights are called where they come with the package."""
        return f"{self.predictor}-{self.network.removeprefix('hu-')}"


Either = Settings | MaskSettings

FAST: dict[str, Any] = {"precision": "bf16-mixed"}
ROOMS = Settings("hu-resnet18-rooms", "rooms", **FAST)
ROADS = replace(ROOMS, network="hu-resnet18-roads", data="roads", roll=0.0)
KITCHEN_NET = replace(ROOMS, data="redkitchen")
TERMS = {"depth": (1.0, 0.0, 0.0), "slopes": (1.0, 1.0, 0.0), "normals": (1.0, 0.0, 1.0)}
"""What is left of the loss: depth alone, with slopes, with normals."""
MASK = MaskSettings(ROOMS.network, ROOMS, "rooms", **FAST)
SHOWN = replace(MASK, sparsity=2.0)
"""On validation rooms, of lambda = 1 to 5 the largest at which the pixels matter that a mask keeps: at 1 it
keeps nearly everything, at 5 its outline alone does as well. Masks of all other networks have this one, too.
"""
LAMBDAS = (1, 2, 3, 4, 5, 6)
PACKAGED = {
    "eigen": "eigen-fine-rooms",
    "laina": "laina-resnet18-upproj-rooms",
    "unet": "unet-rooms",
    "transfer": "transfer-resnet18-rooms",
    "monodepth2": "monodepth2-resnet18-roads",
}
"""Networks of the other chapters, with the weights that come with the package."""


def _mask(net: Settings, **changes: Any) -> MaskSettings:
    """The mask of a network that is trained here."""
    return replace(SHOWN, network=net.network, trained=net, data=net.data, roll=net.roll, **changes)


def _packaged(network: str) -> MaskSettings:
    """The mask of a network whose weights come with the package."""
    if network.endswith("-roads"):
        return replace(SHOWN, network=network, trained=None, data="roads", roll=0.0)
    return replace(SHOWN, network=network, trained=None)


NETS = {
    "resnet-rooms": ROOMS,
    "densenet-rooms": replace(ROOMS, network="hu-densenet-rooms"),
    "senet-rooms": replace(ROOMS, network="hu-senet-rooms"),
    **{f"resnet-{left}-rooms": replace(ROOMS, weights=weights) for left, weights in TERMS.items()},
    "resnet-borderless-rooms": replace(ROOMS, padding="valid"),
    "resnet-roads": ROADS,
    "resnet-redkitchen": KITCHEN_NET,
}
MASKS = {
    "mask-rooms": MASK,
    **{f"mask-lambda{lam}-rooms": replace(MASK, sparsity=float(lam)) for lam in LAMBDAS if lam not in (2, 5)},
    "mask-lambda2-rooms": replace(SHOWN, compared="all"),
    "mask-black-rooms": replace(SHOWN, fill="black"),
    "mask-blur-rooms": replace(SHOWN, fill="blur"),
    "mask-other-rooms": replace(SHOWN, fill="other"),
    "mask-densenet-rooms": _mask(NETS["densenet-rooms"]),
    "mask-senet-rooms": _mask(NETS["senet-rooms"]),
    **{f"mask-of-{left}-rooms": _mask(NETS[f"resnet-{left}-rooms"]) for left in TERMS},
    **{f"mask-{name}-{net.rpartition('-')[2]}": _packaged(net) for name, net in PACKAGED.items()},
    "mask-roads": _mask(ROADS),
    "mask-redkitchen": _mask(KITCHEN_NET),
}
LAPTOP: dict[str, Either] = {**NETS, **MASKS}

PAPER: dict[str, Any] = {
    "data": "nyu", "batch": 8, "rate": 1e-4, "init": "imagenet", "gain": (1.0, 1.0), "jitter": 0.4,
    "lighting": 0.1, "warm_up": 0, "precision": "32-true", "accelerator": "auto", "prefetch": 8,
}  # fmt: skip
NYU = replace(
    ROOMS, network="hu-resnet50", protocols=("hu-nyu",), steps=126_720, stairs=(0.25, 0.5, 0.75), **PAPER
)  # fmt: skip
LARGE_ROOMS = replace(
    NYU, data="rooms", init="random", protocols=("worlds",), train_size=10_000, steps=20_000
)  # fmt: skip
PAPER_MASK = MaskSettings(NYU.network, NYU, predictor="hu-mask", steps=63_360, anneal=False, **PAPER)
ENCODERS = {"resnet": "hu-resnet50", "densenet": "hu-densenet161", "senet": "hu-senet154"}
FULL_NETS = {
    **{f"{name}-nyu": replace(NYU, network=network) for name, network in ENCODERS.items()},
    "resnet-rooms": LARGE_ROOMS,
}
FULL_MASKS = {
    "mask-nyu": PAPER_MASK,
    **{f"mask-lambda{lam}-nyu": replace(PAPER_MASK, sparsity=float(lam)) for lam in LAMBDAS if lam != 5},
    "mask-densenet-nyu": replace(
        PAPER_MASK, network=ENCODERS["densenet"], trained=FULL_NETS["densenet-nyu"]
    ),
    "mask-senet-nyu": replace(PAPER_MASK, network=ENCODERS["senet"], trained=FULL_NETS["senet-nyu"]),
    "mask-rooms": replace(
        PAPER_MASK, trained=LARGE_ROOMS, data="rooms", init="random", train_size=10_000, steps=10_000,
        compared="all",
    ),
}  # fmt: skip
FULL: dict[str, Either] = {**FULL_NETS, **FULL_MASKS}

QUICK = (
    "resnet-rooms", "densenet-rooms", "mask-rooms", "mask-laina-rooms", "mask-monodepth2-roads",
    "resnet-redkitchen",
)  # fmt: skip
WORDS = {
    "resnet": "ResNet encoder",
    "densenet": "DenseNet encoder",
    "senet": "SENet encoder",
    "depth": "loss of depth alone",
    "slopes": "loss of depth and slopes",
    "normals": "loss of depth and normals",
    "borderless": "loss without the border",
    "mask": "mask",
    "of": "of the network with",
    "black": "removed pixels black",
    "blur": "removed pixels blurred",
    "other": "removed pixels from another image",
    "eigen": "of Eigen's fine network",
    "laina": "of Laina's network",
    "unet": "of the U-Net",
    "transfer": "of the pretrained U-Net",
    "monodepth2": "of Monodepth2's network",
    "rooms": "synthetic rooms",
    "roads": "synthetic roads",
    "redkitchen": "one real kitchen (7-Scenes)",
    "nyu": "NYU",
} | {f"lambda{lam}": f"lambda = {lam}" for lam in LAMBDAS}
"""Words of a variant's name -> what they say."""
NEEDS = {"redkitchen": KITCHEN, "nyu": NYU_SETS}


def _variant(name: str) -> Variant:
    """Where it is planned follows from where it has settings, and its summary from its words."""
    where = {"quick": QUICK, "laptop": LAPTOP, "full": FULL}
    needs = NEEDS.get(name.rpartition("-")[2], ())
    profiles = tuple(profile for profile, names in where.items() if name in names)
    summary = ", ".join(WORDS[word] for word in name.split("-")).replace("with,", "with")
    return Variant(summary, profiles, bool(needs), needs)


VARIANTS = {name: _variant(name) for name in (LAPTOP | FULL)}
FIVE, THREE, ONE = (0, 1, 2, 3, 4), (0, 1, 2), (0,)
HEADLINES = ("resnet-rooms", "mask-rooms", "mask-lambda2-rooms")
CLAIMED = ("mask-lambda1-rooms", "mask-roads", "mask-laina-rooms", "mask-blur-rooms")
"""Masks with three seeds; that of another chapter's network is to show how much a seed matters."""


def settings(variant: str, profile: str) -> Either:
    """The settings of a variant under a profile.

    Raises:
        ValueError: the variant does not exist in this profile.
    """
    if variant not in VARIANTS or profile not in VARIANTS[variant].profiles:
        known = ", ".join(name for name, about in VARIANTS.items() if profile in about.profiles)
        raise ValueError(f"hu has no variant {variant!r} in profile {profile!r}; there are {known or 'none'}")
    if profile != "quick":
        return (LAPTOP if profile == "laptop" else FULL)[variant]
    small: dict[str, Any] = {"train_size": 48, "test_size": 8, "steps": 20, "precision": "32-true"}
    chosen = replace(LAPTOP[variant], **small)
    if isinstance(chosen, MaskSettings):
        before = chosen.trained and replace(chosen.trained, **small)
        return replace(chosen, trained=before, compared="few")
    return chosen


def seeds(variant: str, profile: str) -> tuple[int, ...]:
    """Of the reference records: five for a headline, one for what no claim is about, else three."""
    if profile != "laptop" or variant == "resnet-redkitchen":
        return ONE
    if variant in HEADLINES:
        return FIVE
    return THREE if variant in (*NETS, *CLAIMED) else ONE
