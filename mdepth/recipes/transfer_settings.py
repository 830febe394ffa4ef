"""The numbers of the course project on transfer learning and of DenseDepth: settings with where they come
from, variants, profiles, seeds.

Places: "slides" are those of the course project, "code" is DenseDepth's released code, "summary" a published
summary of its paper, "reading" what we take where the slides are silent.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

from mdepth.recipes import Variant
from mdepth.recipes.parts import KITCHEN, NYU_SETS
from mdepth.recipes.taught import Pretext, Task

__all__ = ["LABELS", "NYU", "ROOMS", "VARIANTS", "Pretext", "Settings", "seeds", "settings"]

LABELS = (16, 50, 160, 500, 1600)
"""Numbers of labelled images at which networks are compared."""
PRETEXTS: tuple[Task, ...] = ("context", "shape", "names")


@dataclass(frozen=True)
class Settings:
    """Everything that decides a run, with where it comes from."""

    network: str
    """Slides: a U-Net, and a U-Net behind ResNet-34."""
    data: Literal["rooms", "redkitchen", "nyu"]
    """Slides: NYU Depth V2."""
    init: Literal["random", "context", "shape", "names", "imagenet"] = "random"
    """What the encoder has learnt before. Slides and code: ImageNet's names; where nothing may be downloaded,
    the place of patches in rooms, the names of things by their shape, or the same names where shape and
    surface both tell them.
    """
    pretext: Pretext | None = None
    """How it learnt that; for ``context``, ``shape`` and ``names`` only."""
    quantity: Literal["depth", "reciprocal"] = "reciprocal"
    """What the loss compares: metres, or 10 m / depth as in the code. The slides do not say."""
    lam: float = 0.1
    """Code; the slides give no value."""
    slope: bool = True
    """Whether the loss has its gradient term."""
    ssim: float = 100.0
    """Range of SSIM in the loss, 0 for a loss without SSIM; code."""
    labels: int = 1600
    """Labelled images: scenes of the synthetic training set. Slides: 32 thousand, of which 70 % train."""
    frames: int = 1
    """Images of each scene."""
    split: Literal["all", "scene", "frame"] = "all"
    """``scene`` and ``frame`` train on 70 % of the scenes, or of all frames, and are also scored on the other
    30 %; slides: 70-30.
    """
    test_size: int = 128
    """Scenes of the synthetic test set; 654 images of NYU."""
    protocols: tuple[str, ...] = ("worlds",)
    """How it is scored."""
    steps: int = 1200
    batch: int = 4
    """Code's default; its summary has 8."""
    rate: float = 0.001
    """Of Adam; summary: 0.0001."""
    warm_up: int = 20
    anneal: bool = True
    """Half a cosine down; the code divides at plateaus, once, by 1.1."""
    zoom: tuple[float, float] = (1.0, 1.2)
    """Ours; DenseDepth does not enlarge."""
    flip: float = 0.5
    """Code."""
    swap: float = 0.0
    """Chance that the colour channels change places; summary: 0.25. Code: another order in 0.36 to 0.42 of
    the draws.
    """
    gain: tuple[float, float] = (0.8, 1.2)
    """Factor on each colour channel; ours."""
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    accelerator: str = "cpu"
    prefetch: int = 0
    """Batches prepared ahead; changes the time, not the result."""

    def __post_init__(self) -> None:
        if min(self.labels, self.frames, self.test_size, self.steps, self.batch) < 1:
            raise ValueError("labels, frames, test_size, steps and batch must be at least 1")
        if (self.pretext is None) == (self.init in PRETEXTS):
            raise ValueError(f"init={self.init!r} and pretext={self.pretext} do not go together")
        if self.ssim < 0 or self.lam < 0:
            raise ValueError("lam and ssim must not be negative")
        if not (self.lam or self.slope or self.ssim):
            raise ValueError("the loss has no term left")


ROOMS = Settings("transfer-resnet18-rooms", "rooms", precision="bf16-mixed")
UNET = replace(ROOMS, network="unet-rooms")
TAUGHT = {task: replace(ROOMS, init=task, pretext=Pretext()) for task in PRETEXTS}
PAPER: dict[str, Any] = {
    "data": "nyu", "protocols": ("densedepth-nyu", "densedepth-nyu-per-image"), "labels": 50_688,
    "batch": 8, "rate": 1e-4, "steps": 100_000, "warm_up": 0, "anneal": False, "zoom": (1.0, 1.0),
    "gain": (1.0, 1.0), "swap": 0.25, "precision": "32-true", "accelerator": "auto", "prefetch": 8,
}  # fmt: skip
NYU = replace(ROOMS, network="transfer-resnet34", init="imagenet", **PAPER)

LAPTOP: dict[str, Settings] = {
    "unet-rooms": UNET,
    "resnet-rooms": ROOMS,
    "context-rooms": TAUGHT["context"],
    "shape-rooms": TAUGHT["shape"],
}
LAPTOP |= {
    f"{name}-n{count}-rooms": replace(LAPTOP[f"{name}-rooms"], labels=count)
    for count in LABELS[:-1]
    for name in ("resnet", "context", "shape")
}
LAPTOP |= {
    "names-n160-rooms": replace(TAUGHT["names"], labels=160),
    "resnet-long-rooms": replace(ROOMS, steps=3600),
    "shape-long-rooms": replace(TAUGHT["shape"], steps=3600),
    "unet-metres-rooms": replace(UNET, quantity="depth", ssim=10.0),
    "unet-l1-rooms": replace(UNET, lam=1.0, slope=False, ssim=0.0),
    "unet-noslope-rooms": replace(UNET, slope=False),
    "unet-ssim1-rooms": replace(UNET, ssim=1.0),
    "unet-swap-rooms": replace(UNET, swap=0.25),
    "unet-skipless-rooms": replace(UNET, network="unet-skipless-rooms"),
    "resnet-plain-rooms": replace(ROOMS, network="transfer-plain18-rooms"),
    "densedepth-rooms": replace(ROOMS, network="densedepth-rooms"),
    "unet-scenes-rooms": replace(UNET, labels=60, frames=10, split="scene"),
    "unet-frames-rooms": replace(UNET, labels=60, frames=10, split="frame"),
    "unet-redkitchen": replace(UNET, data="redkitchen"),
    "resnet-redkitchen": replace(ROOMS, data="redkitchen"),
    "shape-redkitchen": replace(TAUGHT["shape"], data="redkitchen"),
}
FULL = {
    "unet-nyu": replace(NYU, network="unet", init="random"),
    "resnet-nyu": replace(NYU, init="random"),
    "transfer-nyu": NYU,
    "densedepth-nyu": replace(NYU, network="densedepth", steps=1_000_000),
}
QUICK = ("unet-rooms", "resnet-rooms", "shape-rooms", "context-rooms", "densedepth-rooms", "unet-redkitchen")
WORDS = {
    "unet": "U-Net from random weights",
    "resnet": "ResNet encoder from random weights",
    "context": "ResNet encoder that learnt where patches lie",
    "shape": "ResNet encoder that learnt to name shapes",
    "names": "ResNet encoder that learnt to name things",
    "transfer": "ResNet-34 encoder with ImageNet weights",
    "densedepth": "DenseDepth",
    "long": "three times as many steps",
    "metres": "loss on metres",
    "l1": "absolute errors alone",
    "noslope": "loss without its gradient term",
    "ssim1": "range of SSIM 1",
    "skipless": "no skip connections",
    "plain": "no residual sums",
    "swap": "colour channels change places",
    "scenes": "70 % of the scenes",
    "frames": "70 % of the frames of all scenes",
    "rooms": "synthetic rooms",
    "redkitchen": "one real kitchen (7-Scenes)",
    "nyu": "NYU",
} | {f"n{count}": f"{count} labelled images" for count in LABELS}
"""Words of a variant's name -> what they say."""
NEEDS = {"redkitchen": KITCHEN, "nyu": NYU_SETS}


def _variant(name: str) -> Variant:
    """Where it is planned follows from where it has settings, and its summary from its words."""
    where = {"quick": QUICK, "laptop": LAPTOP, "full": FULL}
    needs = NEEDS.get(name.rpartition("-")[2], ())
    profiles = tuple(profile for profile, names in where.items() if name in names)
    return Variant(", ".join(WORDS[word] for word in name.split("-")), profiles, bool(needs), needs)


VARIANTS = {name: _variant(name) for name in (LAPTOP | FULL)}
FIVE, THREE, ONE = (0, 1, 2, 3, 4), (0, 1, 2), (0,)
HEADLINES = {
    "unet-rooms", "context-rooms", "context-n160-rooms",
    *(name for name in LAPTOP if name.startswith(("resnet-n", "shape-n"))), "resnet-rooms", "shape-rooms",
}  # fmt: skip


def settings(variant: str, profile: str) -> Settings:
    """The settings of a variant under a profile.

    Raises:
        ValueError: the variant does not exist in this profile.
    """
    if variant not in VARIANTS or profile not in VARIANTS[variant].profiles:
        known = ", ".join(name for name, about in VARIANTS.items() if profile in about.profiles)
        raise ValueError(
            f"transfer has no variant {variant!r} in profile {profile!r}; there are {known or 'none'}"
        )
    if profile == "quick":
        small = replace(LAPTOP[variant], labels=48, test_size=8, steps=20, precision="32-true")
        return replace(small, pretext=Pretext(steps=20, pictures=96)) if small.pretext else small
    return (LAPTOP if profile == "laptop" else FULL)[variant]


def seeds(variant: str, profile: str) -> tuple[int, ...]:
    """Of the reference records: five for what the chapter rests on, else three; one elsewhere."""
    if profile != "laptop":
        return ONE
    return FIVE if variant in HEADLINES else THREE
