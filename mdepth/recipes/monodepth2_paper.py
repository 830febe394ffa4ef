"""What Godard et al. 2019 claim and how they trained: claims with their rule, numbers beside ours."""

from typing import Any

from mdepth.recipes import Claim, HyperParameter
from mdepth.recipes.monodepth2_settings import FULL, LAPTOP

__all__ = ["CLAIMS", "HYPERPARAMETERS"]

MEDIAN = "worlds-median"


def _claim(name: str, statement: str, place: str, smallest: float, why: str, **rest: Any) -> Claim:
    """A claim about AbsRel after median scaling, of the whole method from video, unless told otherwise."""
    usual = {"variant": "full-roads", "metric": "abs_rel", "a": MEDIAN, "b": MEDIAN, "direction": "lower"}
    return Claim(id=name, statement=statement, place=place, smallest=smallest, why=why, **usual | rest)


def _where(
    name: str, region: str, statement: str, place: str, smallest: float, why: str, **rest: Any
) -> Claim:
    """The same in one region of the images."""
    here = {"metric": region, "a": "regions", "b": "regions"}
    return _claim(name, statement, place, smallest, why, **here | rest)


CLAIMS = [
    _claim(
        "beats-mean-map",
        "On streets not seen in training, a network that saw no depth at all beats the mean depth map of the "
        "training streets; both are scaled by the medians.",
        "not in the paper; without it no other claim means anything",
        0.1,
        "under a tenth, looking at the image would not pay",
        b=f"{MEDIAN}@mean-map",
        headline=True,
    ),
    _claim(
        "parts-together",
        "Minimum, automask and full resolution together lower the error of the same networks without them.",
        "Table 2: abs_rel .140 to .115",
        0.05,
        "the paper's own gain is 18 %; of a quarter of it one would still say that it works",
        variant_b="baseline-roads",
        headline=True,
    ),
    _where(
        "minimum-where-hidden",
        "hidden",
        "The minimum over sources lowers the error where one of the sources does not see the point.",
        "section 3.2 and figure 3 (c): pixels that are occluded in one source",
        0.03,
        "a gain in its own place should be larger than what two seeds differ by",
        variant_b="nominimum-roads",
    ),
    _claim(
        "minimum",
        "The minimum over sources lowers the error.",
        "Table 2: .117 to .115 with all else; .140 to .122 with nothing else",
        0.01,
        "the paper's own gain with all else is 1.7 %",
        variant_b="nominimum-roads",
    ),
    _where(
        "automask-closes-holes",
        "ahead",
        "On a car that drives ahead at the camera's own speed, fewer pixels are predicted twice too far.",
        "section 3.2 and figures 2 and 5: holes of infinite depth",
        0.25,
        "holes that are less than a quarter smaller are still holes",
        a="holes",
        b="holes",
        variant_b="noautomask-roads",
    ),
    _claim(
        "automask",
        "The automask lowers the error.",
        "Table 2: .120 to .115",
        0.02,
        "the paper's own gain is 4 %; half of it at least should be there",
        variant_b="noautomask-roads",
    ),
    _claim(
        "automask-beats-predicted-mask",
        "The automask, which has no weights, gives a lower error than a predicted mask.",
        "Table 2: .123 to .115",
        0.02,
        "the paper's own gain is 6.5 %; a third of it at least should be there",
        variant_b="mask-roads",
    ),
    _where(
        "full-resolution-where-plain",
        "plain",
        "Judging all scales at full resolution lowers the error where the image has hardly any texture.",
        "section 3.2: holes in large low-texture regions",
        0.03,
        "a gain in its own place should be larger than what two seeds differ by",
        variant_b="nofullres-roads",
    ),
    _claim(
        "full-resolution",
        "Judging all scales at full resolution lowers the error.",
        "Table 2: .117 to .115",
        0.01,
        "the paper's own gain is 1.7 %",
        variant_b="nofullres-roads",
    ),
    _claim(
        "ssim",
        "Structural similarity in the photometric error lowers the error that absolute differences leave.",
        "Table 6: .118 to .115",
        0.01,
        "the paper's own gain is 2.5 %",
        variant_b="nossim-roads",
    ),
    _claim(
        "stereo-gives-metres",
        "A network that learnt from stereo pairs needs no scaling: without it its error is the same.",
        "section 4.1: stereo models are not scaled",
        0.05,
        "a map that is five per cent off in scale is as good as most rulers in a street",
        variant="stereo-roads",
        a="worlds",
        direction="same",
    ),
    _claim(
        "both-beat-video",
        "A right eye beside the neighbours lowers the error that video alone leaves.",
        "Table 1: .115 to .106",
        0.03,
        "the paper's own gain is 8 %; a third of it at least should be there",
        variant="both-roads",
        variant_b="full-roads",
    ),
    _claim(
        "truth-beats-video",
        "The same network that learns from the truth has a lower error than one that learns from video.",
        "the reason for all of it: labels work, but somebody has to measure them",
        0.1,
        "under a tenth nobody would pay for a laser",
        variant="depth-roads",
        variant_b="full-roads",
    ),
    _claim(
        "laser-is-enough",
        "Truth at a twentieth of the pixels teaches as much as truth at all of them.",
        "not in the paper; what a car with a laser can have",
        0.05,
        "a twentieth of the labels should cost at most a twentieth of the error",
        variant="lidar-roads",
        variant_b="depth-roads",
        direction="same",
    ),
    _claim(
        "resnet-beats-posecnn",
        "With a ResNet for the motion, depth has a lower error than with seven plain convolutions.",
        "Table 12, two frames: .138 to .115; without pretraining .147 to .132",
        0.03,
        "the paper's own gain without pretraining is 10 %; a third of it at least should be there",
        variant_b="cnn-roads",
    ),
    _claim(
        "path-beats-mean-motion",
        "The pose network's path is nearer to the true one than that of a car that always drives the same.",
        "not in the paper; Table 4 has snippets of five frames, which a constant motion already does well",
        0.1,
        "under a tenth, looking at the images would not pay",
        metric="network-rmse",
        metric_b="mean-motion-rmse",
        a="path",
        b="path",
    ),
    _claim(
        "pretraining",
        "Encoders that learnt to name shapes lower the error that random ones leave.",
        "Table 6, ResNet-18: .132 to .115, with ImageNet's names",
        0.03,
        "the paper's own gain is 13 %; a quarter of it at least should be there",
        variant="shape-roads",
        variant_b="full-roads",
    ),
    _claim(
        "mirrored-images",
        "Post-processing, the blend with the prediction for the mirrored image, lowers the error.",
        "Table 10: .115 to .112",
        0.01,
        "the paper's own gain is 2.6 %",
        a=f"{MEDIAN}@pp",
    ),
    _where(
        "resolution-thin",
        "thin",
        "A network that sees 64 x 192 pixels has a lower error on lamp posts and signs than one that sees "
        "40 x 120.",
        "supplement, figure 11: thin structures need resolution",
        0.05,
        "the paper's own gain over the whole image, from 128 to 192 rows, is 10 % (Table 11); half of it "
        "at least should be there on what is thin",
        variant_b="small-roads",
    ),
]

SAME = "the same"
MINUTES = "a run takes some minutes on one core"
AHEAD = "the motion has to point forward before anything else makes sense"
TRAINED = "our network of the roads"
TOLD, STILL = ("stereo", "both", "depth", "lidar"), ("stereo", "depth", "lidar", "drive")
""""Told" are those to whom something says how long a metre is; "still" those without a pose network."""


def _row(
    name: str,
    paper: str,
    place: str,
    usual: str,
    paper_sized: str = SAME,
    why: str = "",
    exceptions: Any = None,
    **others: str,
) -> HyperParameter:
    """A row that has one value for the small networks and one for those of the paper's size; ``others`` says
    which small ones, by a part of their name between hyphens, have another one, ``exceptions`` which large.
    Of two parts of one name the one that is given later decides.
    """
    here = dict.fromkeys(LAPTOP, usual) | dict.fromkeys(FULL, paper_sized)
    for variants, changes in ((LAPTOP, others), (FULL, exceptions or {})):
        here |= {v: value for word, value in changes.items() for v in variants if word in v.split("-")}
    return HyperParameter(name, paper, place, here, why)  # fmt: skip


HYPERPARAMETERS = [
    _row(
        "input (rows x columns)", "192x640", "text 4", "64x192", why=MINUTES, small="40x120"
    ),
    _row("encoders", "ResNet-18", "text 3.1", "ResNet-18, 24 channels where it has 64", why=MINUTES),
    _row(
        "decoder: channels", "16, 32, 64, 128, 256", "Table 5", "8, 16, 24, 48, 96",
        why="as wide as the encoder",
    ),
    _row(
        "begins with", "encoders from ImageNet", "text 4", "random (He)", "encoders from ImageNet",
        shape="encoders that learnt to name shapes", drive=TRAINED, odometry06=TRAINED,
        exceptions={"random": "random (He)"},
        why="those weights are not part of this repository; and here we know what was learnt before",
    ),
    _row(
        "depth at the first step", "0.2 units", "code", "0.3 units",
        **dict.fromkeys((*TOLD, "far"), "3 units") | dict.fromkeys(("depth", "lidar"), "2.2 units"),
        why="with a right eye or with labels, a unit is 5.4 m, and 0.2 of them are no street; labels begin "
        "at the median",
    ),
    _row(
        "first answers of the pose network", "as they come", "code", "a tenth of that", why=AHEAD,
        **dict.fromkeys(STILL, "none"), exceptions={"stereo": "none"},
    ),
    _row(
        "automask from", "the first step", "code", "step 301", why=AHEAD,
        **dict.fromkeys(("stereo", "drive"), SAME), odometry06="step 101",
        **dict.fromkeys(("baseline", "noautomask", "mask", "depth", "lidar"), "never"),
        exceptions={"baseline": "never"},
    ),
    _row("optimiser", "Adam", "text 4", SAME),
    _row(
        "rate of the depth network", "0.0001", "text 4", "0.0005", **dict.fromkeys(TOLD, "0.001"),
        drive="0.0001", odometry06="0.0001", why="so few steps want larger ones",
    ),
    _row(
        "rate of the pose network", "0.0001", "text 4", "0.001", why=AHEAD, **dict.fromkeys(STILL, "none"),
        exceptions={"stereo": "none"},
    ),
    _row(
        "schedule", "a tenth for the last 5 of 20 epochs", "text 4", "50 steps up, half a cosine down",
        "a tenth for the last quarter", why="few steps have to end calmly",
    ),
    _row("batch", "12", "text 4", "8", drive="4", odometry06="4", why=MINUTES),
    _row(
        "steps", "20 epochs of 3,317, without ImageNet 30", "text 4; code", "1,200", "66,340", drive="300",
        odometry06="600", exceptions={"random": "99,510"}, why=MINUTES,
    ),
    _row(
        "what it learns from", "39,810 triplets", "text 4", "1,000 streets, three frames each",
        why="rendering and a run take minutes", stereo="1,000 stereo pairs",
        both="1,000 streets, with a right eye", depth="1,000 images with depth at every pixel",
        lidar="1,000 images with depth at a twentieth of the pixels",
        drive="eight stereo pairs of KITTI", odometry06="31 frames of KITTI",
        exceptions={"stereo": "39,810 stereo pairs", "both": "39,810 triplets, with a right eye"},
    ),
    _row("smoothness", "0.001", "text 4", SAME, depth="none", lidar="none"),
    _row("mirror image", "0.5", "text 4", SAME),
    _row("other colours", "0.5", "text 4", SAME),
    _row("baseline of the stereo pair", "0.1 units for 0.54 m", "code", SAME),
    _row(
        "numbers of the convolutions in training", "32 bits", "code", "16 bits (bfloat16)",
        why="a run takes two thirds of the time; loss, weights and scores have 32 bits",
    ),
]  # fmt: skip
"""The table "paper against here"."""
