"""What Laina et al. 2016 claim and how they trained: claims with their rule, hyper-parameters beside ours."""

from typing import Any

from mdepth.recipes import Claim, HyperParameter
from mdepth.recipes.laina_settings import FULL, LAPTOP

__all__ = ["CLAIMS", "HYPERPARAMETERS", "PRINTED"]

PRINTED = ("abs_rel", "rmse", "log10", "delta1", "delta2", "delta3", "rmse_log", "scale_invariant")
"""The six columns of Table 1, and two by which Eigen et al. 2014 are compared."""
TABLE1 = "Table 1 (recalled)"


def _claim(name: str, statement: str, place: str, smallest: float, why: str, **rest: Any) -> Claim:
    """A claim about AbsRel under the protocol of the worlds, unless told otherwise."""
    usual = {"metric": "abs_rel", "a": "worlds", "b": "worlds", "direction": "lower"}
    return Claim(id=name, statement=statement, place=place, smallest=smallest, why=why, **usual | rest)


CLAIMS = [
    _claim(
        "beats-mean-map",
        "In rooms not seen in training, the network beats the mean depth map.",
        "not in the paper; without it no other claim means anything",
        0.1,
        "under a tenth, looking at the image would not pay",
        variant="upproj-rooms",
        b="worlds@mean-map",
        headline=True,
    ),
    _claim(
        "upproj-beats-upconv",
        "Up-projections give a lower error than up-convolutions, at equal steps.",
        f"{TABLE1}: rel .132 to .127",
        0.02,
        "the paper's own gain is 4 %; of less than half of it one would not pay for the second branch",
        variant="upproj-rooms",
        variant_b="upconv-rooms",
        headline=True,
    ),
    _claim(
        "upconv-beats-deconv",
        "Up-convolutions give a lower error than deconvolutions of 2x2, at equal steps.",
        f"{TABLE1}, with L2: rel .152 to .139",
        0.03,
        "the paper's own gain is 9 %; under a third of it, overlapping kernels would hardly matter",
        variant="upconv-rooms",
        variant_b="deconv-rooms",
        headline=True,
    ),
    _claim(
        "upproj-beats-fc",
        "Up-projections give a lower error than one fully connected layer to as many pixels.",
        f"{TABLE1}: rel .181 (160x128) and .154 (64x48) to .127",
        0.05,
        "the paper's own gain is 18 % over the better of the two; a decoder should be worth a twentieth",
        variant="upproj-rooms",
        variant_b="fc-rooms",
        headline=True,
    ),
    _claim(
        "berhu-beats-l2",
        "In rooms, berHu gives a lower relative error than squared errors.",
        f"{TABLE1}: rel .138 to .127",
        0.03,
        "the paper's own gain is 8 %; under a third of it the loss would matter less than the seed",
        variant="upproj-rooms",
        variant_b="upproj-l2-rooms",
        headline=True,
    ),
    _claim(
        "berhu-beats-l2-roads",
        "On roads, where depths reach 70 m, berHu gives a lower relative error than squared errors.",
        "Table 3, Make3D (recalled): rel .223 to .176",
        0.05,
        "the paper's own gain is 21 %; under a quarter of it the tail of depths would not matter much",
        variant="upproj-roads",
        variant_b="upproj-l2-roads",
    ),
    _claim(
        "berhu-beats-l1-rmse",
        "The squares above c lower the RMSE that absolute errors alone leave.",
        "text on the loss (recalled): large errors weigh more than under L1; the comparison is ours",
        0.02,
        "below 2 % the outer part of the loss would do nothing that one can see",
        variant="upproj-rooms",
        variant_b="upproj-l1-rooms",
        metric="rmse",
    ),
    _claim(
        "field-lowers-error",
        "With parameters, products and depth equal, features that see more of the image give a lower error.",
        "text on the encoder (summaries): the receptive field is the reason to take ResNet-50",
        0.05,
        "between AlexNet and ResNet the paper finds 39 %; an eighth of that at least should be the field",
        variant="field219-rooms",
        variant_b="field75-rooms",
    ),
    _claim(
        "resnet-beats-alexnet",
        "Behind up-convolutions, ResNet gives a lower error than AlexNet; each has channels of its own.",
        f"{TABLE1}, UpConv and berHu: rel .215 to .132",
        0.1,
        "the paper's own gain is 39 %; here both start at random, so much of it may be gone",
        variant="upconv-rooms",
        variant_b="alexnet-upconv-rooms",
    ),
    _claim(
        "fast-is-the-same",
        "Trained in the fast form, the network is as good as trained in the plain one.",
        "text on faster up-convolutions (summaries): the same function in less time",
        0.03,
        "two trainings of one network from two seeds differ by about as much",
        variant="upproj-fast-rooms",
        variant_b="upproj-rooms",
        direction="same",
    ),
    _claim(
        "lower-error-than-eigen",
        "The network has a lower error than the two of Eigen et al. 2014 together, on the same rooms.",
        "Table 2 (recalled): rel .215 to .127",
        0.1,
        "the paper's own gain is 41 %; under a tenth, two years would have brought little; Eigen's networks "
        "were trained once, so that the interval is over ours alone",
        variant="upproj-rooms",
        b="worlds@eigen-fine",
        headline=True,
    ),
    _claim(
        "sharper-than-eigen",
        "Its maps draw more of every step in depth than those of Eigen et al. 2014.",
        "recalled: sharper maps without a second network to refine them; the measure is ours",
        0.25,
        "an edge that is less than a quarter higher is not seen to be sharper; Eigen's networks were trained "
        "once, so that the interval is over ours alone",
        variant="upproj-rooms",
        metric="drawn_steps",
        a="steps",
        b="steps@eigen-fine",
        direction="higher",
        headline=True,
    ),
    _claim(
        "convolutions-sharper-than-fc",
        "Up-projections draw more of every step in depth than a fully connected layer to as many pixels.",
        "not in our facts; the comparison and the measure are ours",
        0.1,
        "an edge that is less than a tenth higher is not seen to be sharper",
        variant="upproj-rooms",
        variant_b="fc-rooms",
        metric="drawn_steps",
        a="steps",
        b="steps",
        direction="higher",
        headline=True,
    ),
]

CLAIMS += [
    _claim(
        "residual-learns-by-heart",
        "Up-projections learn rooms by heart sooner than up-convolutions: after equal steps they draw more.",
        "recalled: residual learning on the way up; the test is ours",
        0.25,
        "a quarter more of every step is seen at once; chosen after a first look at one seed of networks "
        "with a fault that is mended",
        variant="upproj-memory-rooms",
        variant_b="upconv-memory-rooms",
        metric="drawn_steps",
        a="steps",
        b="steps",
        direction="higher",
    ),
    _claim(
        "knowing-is-not-drawing",
        "The fully connected layer learns rooms by heart better than up-projections.",
        "not in our facts; the test is ours",
        0.1,
        "a tenth of the error is seen; chosen after a first look at one seed",
        variant="fc-memory-rooms",
        variant_b="upproj-memory-rooms",
    ),
]

SAME = "the same"
SMALL, PAPER = tuple(LAPTOP), tuple(name for name in FULL if not name.endswith("rooms"))
MINUTES = "a run takes minutes on one core"


def _row(
    name: str, paper: str, place: str, small: str, paper_sized: str = SAME, why: str = "", **others: str
) -> HyperParameter:
    """A row that has one value for the small networks and one for those of the paper's size; ``others`` says
    which variants, by a part of their name between hyphens, have another one.
    """
    here = dict.fromkeys(SMALL, small) | dict.fromkeys(PAPER, paper_sized)
    here |= {v: value for word, value in others.items() for v in here if word in v.split("-")}
    return HyperParameter(name, paper, place, here, why)


HYPERPARAMETERS = [
    _row(
        "input (rows x columns)", "228x304 NYU", "summaries", "96x128 rooms, 64x192 roads", why=MINUTES,
        make3d="230x173",
    ),
    _row(
        "encoder", "ResNet-50, VGG-16, AlexNet", TABLE1, "ResNet-18, 24 channels where it has 64",
        "ResNet-50", why=MINUTES, vgg="VGG-16, a quarter of its channels",
        alexnet="AlexNet, half of its channels", field75="8 convolutions, dilation 1",
        field123="8 convolutions, dilation 2", field219="8 convolutions, dilation 4",
    ),
    _row(
        "encoder starts from", "ImageNet", "summaries", "random (He)", "random (He)",
        why="those weights are not part of this repository; with them the fit is tested by name and shape",
    ),
    _row(
        "decoder: channels", "1024 to 64", "released", "96 to 6", why="4 MB of weights in half precision",
        alexnet="64 to 4", vgg="64 to 4", field75="64 to 4", field123="64 to 4", field219="64 to 4",
        fc="none, fully connected",
    ),
    _row(
        "new layers start from", "normal, deviation 0.01", "recalled", "normal, by fan in (He)",
        why="at deviation 0.01 a small network needs longer to begin",
    ),
    _row(
        "output starts at", "not known", "not known", "the mean depth, a sum of features", "the same",
        why="behind a ReLU, an output below zero has no gradient; a bias of that depth can become a ceiling",
    ),
    _row(
        "loss", "berHu, c = 0.2 of the batch's largest error; L2", "summaries; Table 1 (recalled)", SAME,
        l2="L2", l1="L1", why="L1 and L2 are there to be compared",
    ),
    _row(
        "blocks", "NYU: fast form, padded before the map; Make3D: plain form, converted later", "authors",
        "plain form", "fast form, padded after the map", fast="fast form", make3d="plain form",
        deconv="2x2, one form",
        why="the plain form is explained, the fast one is compared; padded after, both are one function",
    ),
    _row(
        "optimiser", "SGD, momentum 0.9", "authors", "Adam", why="from random weights and in minutes",
    ),
    _row(
        "rate", "0.01, all layers alike; 0.005 for L2 on Make3D", "authors; recalled", "0.002", why="Adam's",
    ),
    _row(
        "schedule", "divided by 2 and by 5 in turn, at plateaus, every 6 to 8 epochs", "authors; recalled",
        "20 steps up, half a cosine down", "divided by 2 and by 5 after 35 and 70 % of the steps",
        why="so few steps have to end calmly; when exactly a plateau was seen is not known",
    ),
    _row("weight decay", "0.0005", "authors", "none", why="few steps"),
    _row("batch", "16", "authors", "8", why="more steps in the same time"),
    _row(
        "samples seen", "about 20 epochs of 95,000 (NYU), 30 of 15,000 (Make3D)", "authors; recalled",
        f"{LAPTOP['upproj-rooms'].steps * LAPTOP['upproj-rooms'].batch:,}", why="minutes instead of days",
        memory="8,000",
    ),
    _row(
        "training images", "11 to 12 thousand of the raw video, evenly spaced; about 95,000 made of them "
        "beforehand", "authors", "1,000 rooms or roads, made new at every draw",
        "12,000, evenly spaced; made new at every draw", why="none is kept, so that none is seen twice",
        make3d="400, made new at every draw", redkitchen="the first 60 % of a video",
        memory="8 rooms, always the same",
    ),
    _row(
        "dropout before the last convolution", "0.5", "authors", "none",
        why="of six channels, half cannot be spared",
    ),
    _row(
        "numbers of the convolutions in training", "not known", "not known", "16 bits (bfloat16)", "32 bits",
        why="a run takes little more than half the time; weights and scores have 32 bits",
    ),
    _row(
        "zoom; roll; gain; flip", "as Eigen et al. 2014, who have 1-1.5; 5 degrees; 0.8-1.2; 0.5", "authors",
        "1-1.2; 5 degrees; 0.8-1.2; 0.5", why="so few steps are not enough to learn a larger zoom",
        roads="1-1.2; none; 0.8-1.2; 0.5", memory="none",
    ),
    _row(
        "crop of the image", "a user quotes a centre crop; none, say the authors", "authors", "none", "none",
        why="the authors' word on what they did",
    ),
    _row(
        "target", "invalid pixels left out; its size not known", "authors", "depth under the map's pixels",
        "depth under the map's pixels", why="whether their loss is at output or full size is not known",
    ),
    _row(
        "farthest depth in training", "70 m (Make3D)", "authors", "none", "none", why="rooms end before",
        roads=SAME, make3d=SAME,
    ),
]  # fmt: skip
"""The table "paper against here"."""
