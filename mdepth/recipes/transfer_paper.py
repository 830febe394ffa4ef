"""What the course project and DenseDepth claim and how they trained: claims with their rule, hyper-parameters
beside ours.
"""

from typing import Any

from mdepth.recipes import Claim, HyperParameter
from mdepth.recipes.transfer_settings import FULL, LAPTOP

__all__ = ["CLAIMS", "HYPERPARAMETERS"]


def _claim(name: str, statement: str, place: str, smallest: float, why: str, **rest: Any) -> Claim:
    """A claim about AbsRel under the protocol of the worlds, unless told otherwise."""
    usual = {"metric": "abs_rel", "a": "worlds", "b": "worlds", "direction": "lower"}
    return Claim(id=name, statement=statement, place=place, smallest=smallest, why=why, **usual | rest)


CLAIMS = [
    _claim(
        "beats-mean-map",
        "In rooms not seen in training, the U-Net beats the mean depth map.",
        "not in the sources; without it no other claim means anything",
        0.1,
        "under a tenth, looking at the image would not pay",
        variant="unet-rooms",
        b="worlds@mean-map",
        headline=True,
    ),
    _claim(
        "transfer-beats-unet",
        "The transferred network has a lower error than the U-Net from scratch.",
        "slides, results: rel .384 to .292",
        0.1,
        "the source's own gain is 24 %; encoder and decoder differ, too, so that less would say nothing",
        variant="shape-rooms",
        variant_b="unet-rooms",
        headline=True,
    ),
    _claim(
        "transfer-beats-scratch",
        "With 160 labelled images, an encoder that can name shapes gives a lower error than the same encoder "
        "from random weights.",
        "abstract of Alhashim and Wonka: high performing pretrained networks; the comparison is ours",
        0.05,
        "under a twentieth one would rather label a few more images",
        variant="shape-n160-rooms",
        variant_b="resnet-n160-rooms",
        headline=True,
    ),
    _claim(
        "context-beats-scratch",
        "With 160 labelled images, an encoder that has learnt without any label where patches lie gives a "
        "lower error than the same encoder from random weights.",
        "Doersch et al. 2015, for other tasks",
        0.05,
        "under a twentieth one would rather label a few more images",
        variant="context-n160-rooms",
        variant_b="resnet-n160-rooms",
        headline=True,
    ),
    _claim(
        "gain-shrinks",
        "The share of the error that transfer saves is larger with 16 labelled images than with 1600.",
        "common knowledge; not in the sources",
        0.05,
        "a gain that changes by less than a twentieth of the error is the same gain",
        variant="shape-n16-rooms",
        variant_b="resnet-n16-rooms",
        less=("shape-rooms", "resnet-rooms"),
        headline=True,
    ),
    _claim(
        "scratch-catches-up",
        "Trained three times as long, both, the encoder from random weights and the one that learnt shapes "
        "end with the same error.",
        "He et al. 2019, for detection: pretraining speeds training up, its end is the same",
        0.03,
        "two trainings from two seeds differ by about as much",
        variant="resnet-long-rooms",
        variant_b="shape-long-rooms",
        direction="same",
    ),
    _claim(
        "reciprocal-beats-metres",
        "The loss on 10 m / depth gives a lower relative error than the loss on metres.",
        "authors: the point is to lower the weight of large distances",
        0.03,
        "two trainings from two seeds differ by about as much",
        variant="unet-rooms",
        variant_b="unet-metres-rooms",
    ),
    _claim(
        "slope-sharpens",
        "The gradient term makes a network draw more of every step in depth.",
        "abstract of Alhashim and Wonka: detailed maps; the measure is ours",
        0.1,
        "an edge that is less than a tenth higher is not seen to be sharper",
        variant="unet-rooms",
        variant_b="unet-noslope-rooms",
        metric="drawn_steps",
        a="steps",
        b="steps",
        direction="higher",
    ),
    _claim(
        "three-terms-beat-one",
        "All three terms together give a lower error than absolute errors alone.",
        "slides, equation (1)",
        0.03,
        "two trainings from two seeds differ by about as much",
        variant="unet-rooms",
        variant_b="unet-l1-rooms",
    ),
    _claim(
        "range-does-not-matter",
        "Whether SSIM's range is 100 or 1 changes nothing.",
        "the code has 100, a port 1; the comparison is ours",
        0.03,
        "two trainings from two seeds differ by about as much",
        variant="unet-ssim1-rooms",
        variant_b="unet-rooms",
        direction="same",
    ),
    _claim(
        "swap-lowers-error",
        "Exchanging colour channels in training lowers the error in unseen rooms.",
        "recalled of Alhashim and Wonka: without it the network overfits",
        0.02,
        "below 2 % the augmentation would do nothing that one can see",
        variant="unet-swap-rooms",
        variant_b="unet-rooms",
    ),
    _claim(
        "skips-sharpen",
        "Skip connections make a U-Net draw more of every step in depth.",
        "Ronneberger et al. 2015, by descriptions: what the encoder saw is needed to draw precisely",
        0.25,
        "an edge that is less than a quarter higher is not seen to be sharper",
        variant="unet-rooms",
        variant_b="unet-skipless-rooms",
        metric="drawn_steps",
        a="steps",
        b="steps",
        direction="higher",
    ),
    _claim(
        "residuals-lower-error",
        "A ResNet encoder gives a lower error than the same layers without residual sums.",
        "He et al. 2016, for naming what is seen, and much deeper networks",
        0.03,
        "two trainings from two seeds differ by about as much",
        variant="resnet-rooms",
        variant_b="resnet-plain-rooms",
    ),
    _claim(
        "transfer-follows-shape",
        "In rooms painted anyhow, the error of the network whose encoder learnt shapes rises by a smaller "
        "factor than that of the same network from random weights.",
        "Geirhos et al. 2019: what a network was taught decides whether it goes by shape or by texture",
        0.02,
        "below 2 % nobody would choose an encoder by it",
        variant="shape-rooms",
        variant_b="resnet-rooms",
        metric="any surfaces",
        a="cues-rise",
        b="cues-rise",
        headline=True,
    ),
    _claim(
        "names-follow-surfaces",
        "With 160 labelled images, in rooms painted anyhow, the error rises by a larger factor where the "
        "encoder learnt names by surface and shape than where it learnt them by shape alone.",
        "Geirhos et al. 2019: what a network was taught decides whether it goes by shape or by texture",
        0.02,
        "below 2 % nobody would choose an encoder by it",
        variant="names-n160-rooms",
        variant_b="shape-n160-rooms",
        metric="any surfaces",
        a="cues-rise",
        b="cues-rise",
        direction="higher",
    ),
    _claim(
        "frame-split-leaks",
        "Split 70 to 30 by frame, the error on the frames held out is lower than in unseen rooms.",
        "a public code with a random frame split: .93 in validation, .77 in the test",
        0.1,
        "under a tenth one could still choose a network by it",
        variant="unet-frames-rooms",
        a="worlds@held-out",
    ),
    _claim(
        "scene-split-does-not",
        "Split 70 to 30 by scene, the error on the scenes held out is the same as in other unseen rooms.",
        "what one splits by scene for",
        0.1,
        "under a tenth one could still choose a network by it",
        variant="unet-scenes-rooms",
        a="worlds@held-out",
        direction="same",
    ),
]

SAME = "the same"
SMALL, PAPER = tuple(LAPTOP), tuple(FULL)
MINUTES = "a run takes a minute or two on one core"


def _row(
    name: str, paper: str, place: str, small: str, paper_sized: str = SAME, why: str = "", **others: str
) -> HyperParameter:
    """A row that has one value for the small networks and one for those of the paper's size; ``others`` says
    which variants, by one or more parts of their name between hyphens, have another one.
    """
    here = dict.fromkeys(SMALL, small) | dict.fromkeys(PAPER, paper_sized)
    here |= {
        v: value for word, value in others.items() for v in here if {*word.split("_")} <= {*v.split("-")}
    }
    return HyperParameter(name, paper, place, here, why)


HYPERPARAMETERS = [
    _row("input (rows x columns)", "240x320", "slides", "96x128", why=MINUTES, densedepth_nyu="480x640"),
    _row(
        "U-Net: channels", "not given", "slides", "8 to 128", "32 to 512",
        why="a quarter of those of the public code that fits the slides",
        resnet="none", context="none", shape="none", names="none", densedepth="none",
        transfer="none",
    ),
    _row(
        "encoder", "ResNet-34 (slides), DenseNet-169 (DenseDepth)", "slides; code",
        "ResNet-18, 24 channels where it has 64", "ResNet-34", why=MINUTES, unet="the U-Net's own",
        densedepth="DenseNet of 25 layers",
        densedepth_nyu="DenseNet-169",
        plain="the same layers without residual sums, 24 channels where it has 64",
    ),
    _row("skip connections", "yes", "slides; code", SAME, skipless="none"),
    _row(
        "encoder starts from", "transfer (slides); ImageNet (code)", "slides; code", "random (He)",
        "ImageNet",
        unet="random (He)", resnet="random (He)", context="having learnt where patches of rooms lie",
        shape="having learnt to name things by their shape",
        names="having learnt to name things by shape and surface",
        why="those weights are not part of this repository; and here we know what was learnt before",
    ),
    _row(
        "target", "not given (slides); 10 m / depth (code)", "slides; code", "10 m / depth", "10 m / depth",
        metres="metres", why="DenseDepth's; the slides are compared by the variant on metres",
    ),
    _row("lambda", "not given (slides); 0.1 (code)", "slides; code", "0.1", "0.1", l1="1, no other term"),
    _row(
        "SSIM: window, deviation, range", "11, 1.5, 100", "code", SAME, l1="none", metres="11, 1.5, 10",
        ssim1="11, 1.5, 1", why="in metres, 10 is the range",
    ),
    _row("gradient term", "yes", "slides; code", SAME, noslope="no", l1="no"),
    _row(
        "output", "not given (slides); linear at half size (code)", "slides; code",
        "a sigmoid times 10 m, full size", "a sigmoid times 10 m, full size", densedepth="linear, half size",
        why="a positive depth in metres",
    ),
    _row("optimiser", "Adam (summary); with AMSGrad (code)", "summary; code", "Adam", "Adam"),
    _row("rate", "0.0001", "summary", "0.001", why="so few steps want larger ones"),
    _row(
        "schedule", "at plateaus times 0.7, not below 0.00009", "code", "20 steps up, half a cosine down",
        "constant", why="the code's floor makes it all but constant; few steps have to end calmly",
    ),
    _row(
        "batch", "8 (summary); 4 (the code's default)", "summary; code", "4", "8",
        why="with few steps, twice as many small ones do better than half as many large ones",
    ),
    _row("steps", "1 million (recalled)", "recalled", "1,200", "100,000", long="3,600",
         densedepth_nyu="1,000,000", why=MINUTES),
    _row(
        "labelled images", "32 thousand, 70 % of them (slides); 50,688 (DenseDepth, recalled)", "slides",
        "1,600 rooms", "50,688", redkitchen="the first 60 % of a video", scenes="42 rooms, ten frames each",
        frames="seven of ten frames of 60 rooms", why="rendering and a run take minutes",
        **{f"n{n}": f"{n} rooms" for n in (16, 50, 160, 500)},
    ),
    _row("mirror image", "0.5", "summary; code", SAME),
    _row(
        "colour channels exchanged", "0.25 (summary); 0.36 to 0.42 (code)", "summary; code", "none", "0.25",
        swap="0.25", why="compared by itself",
    ),
    _row(
        "zoom; gain", "none", "code", "1-1.2; 0.8-1.2", "none",
        why="so few rooms want more of each; the same for all networks",
    ),
    _row(
        "numbers of the convolutions in training", "not known", "not known", "16 bits (bfloat16)", "32 bits",
        why="a run takes two thirds of the time; weights and scores have 32 bits",
    ),
]  # fmt: skip
"""The table "paper against here"."""
