"""The numbers of Godard et al. 2019 ("Monodepth2"): settings with where they come from, variants, profiles,
seeds.

Places: "text", "supp." and the tables are those of the paper and its supplement, "code" is the released code.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

from mdepth.recipes import Variant
from mdepth.recipes.taught import Pretext
from mdepth.reprojection import Reprojection

__all__ = ["KITTI", "ROADS", "VARIANTS", "Settings", "seeds", "settings"]

WHOLE = Reprojection()
"""The paper's loss."""
Teacher = Literal["video", "stereo", "both", "depth", "lidar"]


@dataclass(frozen=True)
class Settings:
    """Everything that decides a run, with where it comes from."""

    network: str = "monodepth2-resnet18-roads"
    """Text 3.1: ResNet-18 and the decoder."""
    data: Literal["roads", "drive", "odometry06", "kitti"] = "roads"
    """Text 4.1: KITTI, Eigen's split without frames that stand still."""
    teacher: Teacher = "video"
    """What the network learns from: "video" (M), "stereo" (S), "both" (MS); "depth" and "lidar" are the truth
    at every pixel, or where 64 laser beams would measure it.
    """
    pose: Literal["separate", "shared", "cnn"] = "separate"
    """Table 12; text 3.1: a network of its own."""
    shown: Literal["pairs", "all"] = "pairs"
    """Table 12; text 3.1: pairs."""
    loss: Reprojection = WHOLE
    """Text 3.2; Table 2 switches its parts off."""
    mask: bool = False
    """A predictive mask takes the place of the automask (Table 2, "Zhou's mask")."""
    init: Literal["random", "shape", "imagenet", "roads"] = "random"
    """What both encoders knew before. Text: ImageNet's names; where nothing may be downloaded, the names of
    things by their shape. ``roads`` goes on with the depth network that comes with the library.
    """
    pretext: Pretext | None = None
    """How they learnt that; for ``shape`` only."""
    start: float = 0.3
    """Units of depth that the answers begin at. Code: 0.2, a sigmoid of a half."""
    still: float = 0.1
    """Factor on the first weights of the pose network's last layer: training begins near standing still.
    Code: 1.
    """
    automask_from: int = 0
    """Step at which the unmoved sources begin to compete; code: the first."""
    scenes: int = 1000
    """Of the synthetic training set, three frames each. Text: 39,810 triplets."""
    test_size: int = 128
    """Scenes of the synthetic test set; 697 images of KITTI."""
    protocols: tuple[str, ...] = ("worlds-median",)
    """How it is scored."""
    steps: int = 1200
    """Text: 20 epochs of 3317."""
    batch: int = 8
    """Text: 12."""
    rate: float = 0.0005
    """Of Adam, for the depth network; text: 0.0001."""
    pose_rate: float = 0.001
    """Of Adam, for the pose network; text: 0.0001."""
    warm_up: int = 50
    anneal: bool = True
    """Half a cosine down; text: a tenth for the last 5 of 20 epochs."""
    jitter: float = 0.5
    """Chance of other colours, code."""
    flip: float = 0.5
    """Chance of a mirror image, code."""
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    accelerator: str = "cpu"
    prefetch: int = 0
    """Batches prepared ahead; changes the time, not the result."""

    def __post_init__(self) -> None:
        if min(self.scenes, self.test_size, self.steps, self.batch) < 1:
            raise ValueError("scenes, test_size, steps and batch must be at least 1")
        if self.mask and (self.loss.automask or self.teacher != "video"):
            raise ValueError("a predictive mask goes with video and without the automask")
        if not 0.1 < self.start < 100:
            raise ValueError(f"start must lie between 0.1 and 100 units, got {self.start}")

    @property
    def metric(self) -> bool:
        """Whether what it learns from says how long a metre is."""
        return self.teacher != "video"


ROADS = Settings(precision="bf16-mixed", automask_from=300)
METRIC = replace(ROADS, protocols=("worlds-median", "worlds"), start=3.0, rate=0.001)
LABELLED = replace(METRIC, start=2.2)
"""Told the depth, answers begin at the median of the training streets, 12 m: from 16 m on, one of three
trainings ended in the same answer everywhere.
"""
TUNED = replace(METRIC, init="roads", steps=300, batch=4, rate=1e-4, automask_from=0)
"""A little more training, of the network that comes with the library."""
NOTHING = Reprojection(minimum=False, automask=False, full_resolution=False)
"""The paper's baseline."""
PAPER: dict[str, Any] = {
    "network": "monodepth2-resnet18", "data": "kitti", "init": "imagenet", "start": 0.2, "batch": 12,
    "rate": 1e-4, "pose_rate": 1e-4, "still": 1.0, "steps": 66_340, "warm_up": 0, "anneal": False,
    "precision": "32-true", "accelerator": "auto", "prefetch": 8, "test_size": 697,
}  # fmt: skip
KITTI = Settings(**PAPER, protocols=("monodepth2-kitti", "monodepth2-kitti-pp"))
KITTI_METRIC = replace(KITTI, protocols=("monodepth-kitti",))

LAPTOP: dict[str, Settings] = {
    "full-roads": ROADS,
    "baseline-roads": replace(ROADS, loss=NOTHING),
    "nominimum-roads": replace(ROADS, loss=Reprojection(minimum=False)),
    "noautomask-roads": replace(ROADS, loss=Reprojection(automask=False)),
    "nofullres-roads": replace(ROADS, loss=Reprojection(full_resolution=False)),
    "mask-roads": replace(ROADS, loss=Reprojection(automask=False), mask=True),
    "nossim-roads": replace(ROADS, loss=Reprojection(alpha=0.0)),
    "stereo-roads": replace(METRIC, teacher="stereo", automask_from=0),
    "both-roads": replace(METRIC, teacher="both"),
    "depth-roads": replace(LABELLED, teacher="depth"),
    "lidar-roads": replace(LABELLED, teacher="lidar"),
    "far-lidar-roads": replace(METRIC, teacher="lidar"),
    "shared-roads": replace(ROADS, pose="shared"),
    "cnn-roads": replace(ROADS, pose="cnn"),
    "all-roads": replace(ROADS, shown="all"),
    "shape-roads": replace(ROADS, init="shape", pretext=Pretext()),
    "small-roads": replace(ROADS, network="monodepth2-resnet18-40x120-roads"),
    "stereo-drive": replace(TUNED, data="drive", teacher="stereo", protocols=("monodepth-kitti",)),
    "full-odometry06": replace(TUNED, data="odometry06", start=0.3, steps=600, automask_from=100),
}
FULL: dict[str, Settings] = {
    "full-kitti": KITTI,
    "baseline-kitti": replace(KITTI, loss=NOTHING),
    "stereo-kitti": replace(KITTI_METRIC, teacher="stereo"),
    "both-kitti": replace(KITTI_METRIC, teacher="both"),
    "random-kitti": replace(KITTI, init="random", steps=99_510),
}
QUICK = ("full-roads", "baseline-roads", "stereo-roads", "both-roads", "depth-roads", "cnn-roads")
WORDS = {
    "full": "video, the whole loss",
    "baseline": "video, the mean of two sources, no automask, each scale at its size",
    "nominimum": "the mean over sources in place of the minimum",
    "noautomask": "no automask",
    "nofullres": "each scale at its own size",
    "mask": "a predictive mask in place of the automask",
    "nossim": "absolute differences alone",
    "stereo": "a right eye",
    "both": "video and a right eye",
    "depth": "true depth at every pixel",
    "lidar": "true depth at a twentieth of the pixels",
    "far": "first answers too far away",
    "shared": "pose from the depth network's encoder",
    "cnn": "pose from seven convolutions",
    "all": "pose from three frames at once",
    "shape": "encoders that learnt to name shapes",
    "random": "from random weights",
    "small": "40 x 120 pixels",
    "roads": "synthetic roads",
    "kitti": "KITTI",
    "drive": "ten real stereo pairs (KITTI, drive 0002)",
    "odometry06": "31 real frames (KITTI, odometry 06)",
}
"""Words of a variant's name -> what they say."""
NEEDS = {
    "kitti": ("kitti/raw", "splits/kitti"), "drive": ("kitti/raw", "splits/kitti"),
    "odometry06": ("kitti/odometry:06",),
}  # fmt: skip


def _variant(name: str) -> Variant:
    """Where it is planned follows from where it has settings, and its summary from its words."""
    where = {"quick": QUICK, "laptop": LAPTOP, "full": FULL}
    needs = NEEDS.get(name.rpartition("-")[2], ())
    profiles = tuple(profile for profile, names in where.items() if name in names)
    return Variant("; ".join(WORDS[word] for word in name.split("-")), profiles, bool(needs), needs)


VARIANTS = {name: _variant(name) for name in (LAPTOP | FULL)}
FIVE, THREE, ONE = (0, 1, 2, 3, 4), (0, 1, 2), (0,)
HEADLINES, UNCLAIMED = ("full-roads", "baseline-roads"), ("shared-roads", "all-roads")


def settings(variant: str, profile: str) -> Settings:
    """The settings of a variant under a profile.

    Raises:
        ValueError: the variant does not exist in this profile.
    """
    if variant not in VARIANTS or profile not in VARIANTS[variant].profiles:
        known = ", ".join(name for name, about in VARIANTS.items() if profile in about.profiles)
        raise ValueError(
            f"monodepth2 has no variant {variant!r} in profile {profile!r}; there are {known or 'none'}"
        )
    if profile == "quick":
        short: dict[str, Any] = {
            "scenes": 16,
            "test_size": 8,
            "steps": 10,
            "automask_from": 5,
            "precision": "32-true",
        }
        return replace(LAPTOP[variant], **short)
    return (LAPTOP if profile == "laptop" else FULL)[variant]


def seeds(variant: str, profile: str) -> tuple[int, ...]:
    """Of the reference records: five for what the chapter rests on, three for what a claim is about; else
    one.
    """
    if profile != "laptop" or variant in UNCLAIMED or VARIANTS[variant].realdata:
        return ONE
    return FIVE if variant in HEADLINES else THREE
