"""What Eigen et al. 2014 claim and how they trained, and Eigen and Fergus 2015: claims with their rule,
hyper-parameters beside ours.
"""

from mdepth.recipes import Claim, HyperParameter

__all__ = ["CLAIMS", "HYPERPARAMETERS", "HYPERPARAMETERS_2015", "HYPERPARAMETERS_2016", "PRINTED"]

PRINTED = ("abs_rel", "sq_rel", "rmse", "rmse_log", "scale_invariant", "delta1", "delta2", "delta3")
"""The eight rows of Tables 1 and 2, and of Table 1 of 2015."""

CLAIMS = (
    [
        Claim(
            id=f"beats-mean-map-{kind}",
            statement=f"On {kind} not seen in training, the coarse network beats the mean depth map.",
            place="Tables 1 and 2: mean against coarse",
            variant=f"coarse-{kind}",
            metric="abs_rel",
            a="worlds",
            b="worlds@mean-map",
            direction="lower",
            smallest=0.1,
            why="the paper's own gain is 44 % (NYU) and 53 % (KITTI); under a tenth would not carry the idea",
            headline=True,
        )
        for kind in ("rooms", "roads")
    ]
    + [
        Claim(
            id=f"scale-is-a-large-part-{kind}",
            statement=f"On {kind}, much of the network's error is one factor an image: its global scale.",
            place="Text on the error: the true mean log depth lowers RMSE log from 0.28 to 0.22",
            variant=f"coarse-{kind}",
            metric="scale_invariant",
            a="worlds",
            b="worlds",
            metric_b="rmse_log",
            direction="lower",
            smallest=0.1,
            why="the paper finds 21 %; under a tenth, a loss that forgives scale has little to forgive",
        )
        for kind in ("rooms", "roads")
    ]
    + [
        Claim(
            id="templates-beat-enlarging",
            statement="Learnt templates of the full size are better than a few depths, enlarged.",
            place="Text on the networks: layer 7 has the output's full resolution; the comparison is ours",
            variant="coarse-rooms",
            metric="scale_invariant",
            a="worlds",
            b="worlds",
            variant_b="upsampled-rooms",
            direction="lower",
            smallest=0.02,
            why="the templates are a quarter of all weights; for less than 2 % one would not pay for them",
        ),
        Claim(
            id="fine-sharpens-edges",
            statement="The fine network meets more depth edges than the coarse one.",
            place="Text on the networks: the fine network aligns with details such as object and wall edges",
            variant="fine-rooms",
            metric="edge_f1",
            a="edges",
            b="edges@coarse",
            direction="higher",
            smallest=0.1,
            why="an edge score that grows by less than a tenth is not seen in a picture",
            headline=True,
        ),
        *(
            Claim(
                id=f"fine-edges-beat-chance-{kind}",
                statement=f"On {kind}, more of the fine network's edges are right than chance would have it.",
                place="Text on the networks: it aligns with local details such as object and wall edges",
                variant=f"fine-{kind}",
                metric="bend_precision",
                a="bends",
                b="bends",
                metric_b="bend_share",
                direction="higher",
                smallest=0.25,
                why=f"less than a quarter above chance is no alignment; {when}",
            )
            for kind, when in (
                ("rooms", "chosen after a first look at these runs"),
                ("roads", "fixed before these runs were scored so"),
            )
        ),
        Claim(
            id="fine-lowers-error",
            statement="The fine network lowers the scale-invariant error of the coarse one.",
            place="Tables 1 and 2: 0.221 to 0.219 (NYU), 0.248 to 0.246 (KITTI)",
            variant="fine-rooms",
            metric="scale_invariant",
            a="worlds",
            b="worlds@coarse",
            direction="lower",
            smallest=0.02,
            why="the paper's own gain is 1 %, within what two trainings of one network differ by",
            headline=True,
        ),
    ]
    + [
        Claim(
            id=f"lambda-lowers-error-{kind}",
            statement=f"On {kind}, training with lambda = 0.5 lowers the scale-invariant error.",
            place="Text on the error, which reports no numeric gain and slightly better detail",
            variant=f"coarse-{kind}",
            metric="scale_invariant",
            a="worlds",
            b="worlds",
            variant_b=f"l2-{kind}",
            direction="lower",
            smallest=0.02,
            why="below 2 % the choice of lambda does not matter beside the choice of the seed",
        )
        for kind in ("rooms", "roads")
    ]
)

CLAIMS.append(
    Claim(
        id="pretraining-lowers-error",
        statement="Convolutions that could name things before give a lower error.",
        place="Text on training: ImageNet initialisation; the gain over random weights is called small",
        variant="pretrained-rooms",
        metric="rmse_log",
        a="worlds",
        b="worlds",
        variant_b="coarse-rooms",
        direction="lower",
        smallest=0.02,
        why="below 2 % the choice of the first weights does not matter beside the choice of the seed",
    )
)
COMPARISON = "the comparison of scales (2015)"
CLAIMS += [
    Claim(
        id="three-scales-lower-error",
        statement="Three scales have a lower depth error than the first one alone.",
        place=f"{COMPARISON}: AbsRel .218 to .198",
        variant="multiscale-rooms",
        metric="abs_rel",
        a="worlds",
        b="worlds",
        variant_b="scale1-rooms",
        direction="lower",
        smallest=0.03,
        why="the paper's own gain is 9 %; of less than a third of it one would not build two more scales",
    ),
    Claim(
        id="third-scale-lowers-error",
        statement="The third scale lowers the depth error of the first two.",
        place=f"{COMPARISON}: AbsRel .216 to .198",
        variant="multiscale-rooms",
        metric="abs_rel",
        a="worlds",
        b="worlds@scales12",
        direction="lower",
        smallest=0.03,
        why="the paper's own gain is 8 %; of less than a third of it one would not train a second stage",
    ),
    Claim(
        id="whole-image-lowers-error",
        statement="For depth, a network that sees the whole image is better than one that sees windows.",
        place=f"{COMPARISON}: AbsRel .218 of scale 1 alone, .290 of scale 2 alone",
        variant="scale1-rooms",
        metric="abs_rel",
        a="worlds",
        b="worlds",
        variant_b="scale2-rooms",
        direction="lower",
        smallest=0.1,
        why="the paper's own gain is 25 %; under a tenth, windows would be nearly enough",
    ),
    Claim(
        id="second-scale-helps-normals",
        statement="The second scale brings normals nearer to the truth than the first alone.",
        place=f"{COMPARISON}: mean angle 29.7 to 26.1 degrees",
        variant="multiscale-rooms",
        metric="angle_mean",
        a="normals@scales12",
        b="normals",
        variant_b="scale1-rooms",
        direction="lower",
        smallest=0.05,
        why="the paper's own gain is 12 %; a twentieth is about a degree, and less is not seen in a picture",
    ),
]
CLAIMS.append(
    Claim(
        id="harmonising-lowers-error",
        statement="The map that agrees with all filters is better than what the impulse alone expects.",
        place="Chakrabarti et al. 2016, Table 1: AbsRel .2005 (pointwise only) to .1887",
        variant="local-rooms",
        metric="abs_rel",
        a="worlds",
        b="worlds@pointwise",
        direction="lower",
        smallest=0.02,
        why="the paper's own gain is 6 %; for less than a third of it one would not take 69 steps an image",
    )
)
SMALL = (
    "coarse-rooms", "coarse-roads", "fine-rooms", "fine-roads", "l2-rooms", "l2-roads", "upsampled-rooms",
    "pretrained-rooms", "unfrozen-rooms", "coarse-redkitchen",
)  # fmt: skip
PAPER = ("coarse-nyu", "coarse-kitti", "fine-nyu", "fine-kitti")
SAME = "the same"
FROM_NOTHING = (
    "ImageNet weights of this network are not published; from random weights and in minutes, SGD at the "
    "paper's rates hardly leaves the mean map, Adam does"
)


def _row(
    name: str, paper: str, place: str, small: str, paper_sized: str = SAME, why: str = "", **others: str
) -> HyperParameter:
    """A row that has one value for the small networks and one for those of the paper's size; ``others`` says
    which variants, by a word of their name, have another one.
    """
    here = dict.fromkeys(SMALL, small) | dict.fromkeys(PAPER, paper_sized)
    here |= {variant: value for word, value in others.items() for variant in here if word in variant}
    return HyperParameter(name, paper, place, here, why)


ONE_STAGE = dict.fromkeys(("coarse", "l2", "upsampled", "pretrained"), "one stage")


HYPERPARAMETERS = [
    _row(
        "input (rows x columns)", "228x304 NYU, 172x576 KITTI", "Figure 1", "92x124 rooms, 60x180 roads",
        why="a run takes minutes on two cores",
    ),
    _row(
        "first convolution", "11x11, stride 4", "Figure 1", "7x7, stride 2",
        why="the small input needs less shrinking",
    ),
    _row(
        "channels; hidden units", "96, 256, 384, 384, 256; 4096", "Figure 1", "32, 64, 96, 96, 64; 384",
        why="2 MB of weights in half precision",
    ),
    _row(
        "pools", "2x2, two of them (printed)", "Figure 1", "3x3, stride 2, three", "3x3, stride 2, three",
        why="only these give the printed sizes, and the released code has them",
    ),
    _row(
        "convolutions start from", "ImageNet", "text on training", "random (He)", "random (He)",
        why="the paper's ImageNet weights are not published; what naming things buys is measured instead",
        pretrained="naming synthetic things",
    ),
    _row(
        "response norm", "not mentioned; in the released code", "released", "none", "none",
        why="the text has none",
    ),
    _row(
        "loss", "lambda = 0.5, log metres", "eq. 4", SAME, l2="lambda = 0",
        why="lambda = 0 is there to be compared",
    ),
    _row(
        "layer 7", "a depth map of the full size for each unit", "text on the networks", SAME,
        why="the enlarged one is there to be compared", upsampled="4 x 6, enlarged",
    ),
    _row(
        "average over a batch", "not printed; weighted by n squared in the released code", "released",
        "all images alike", "all images alike", why="no difference where all have as many valid pixels",
    ),
    _row("optimiser", "SGD, momentum 0.9", "text on training", "Adam", why=FROM_NOTHING),
    _row(
        "rates: convolutions; layers 6, 7", "0.001; 0.1", "text on training", "0.001; 0.001", why=FROM_NOTHING
    ),
    _row(
        "schedule", "none given", "text on training", "20 steps up, half a cosine down",
        why="so few steps have to end calmly",
    ),
    _row("weight decay: convolutions; rest", "0.0005; 0.0001", "released", "none", why="few steps"),
    _row("batch", "32", "text on training", "16", why="more steps in the same time"),
    _row(
        "samples seen", "2.0 M NYU, 1.5 M KITTI", "text on training", "32,000", why="minutes instead of days"
    ),
    _row(
        "fine network: channels", "63, 64", "Figure 1", "31, 32", why="a quarter of the time", **ONE_STAGE,
    ),
    _row(
        "fine network: rates of its three convolutions", "0.001, 0.01, 0.001", "text on training",
        "0.001, 0.001, 0.001", why=FROM_NOTHING, **ONE_STAGE,
    ),
    _row(
        "second stage: samples seen", "1.5 M NYU, 1.0 M KITTI", "text on training", "16,000",
        why="minutes instead of days", **ONE_STAGE,
    ),
    _row(
        "second stage: the coarse network", "fixed, without gradient", "text on training", SAME,
        unfrozen="trained on", why="the one that is trained on is there to be compared", **ONE_STAGE,
    ),
    _row(
        "list of training images", "1200 entries a scene (NYU), 800 (KITTI); 220K and 40K in all",
        "text on the data", "every image once", "1200 entries a scene", kitti="800 entries a scene",
        why="the worlds have an image a scene; how the printed totals come about is not said",
    ),
    _row(
        "frames of a standing car", "left out (KITTI): acceleration below a threshold, not printed",
        "text on KITTI", "kept", "none in these data",
        kitti="speed below 0.5 m/s and acceleration below 0.5 m/s^2",
        why="the threshold is ours; without the speed, even driving would count as standing",
    ),
    _row(
        "several LiDAR points in a pixel", "the one captured closest in time to the image (KITTI)",
        "text on KITTI", "no LiDAR", "no LiDAR", kitti=SAME, why="only KITTI has LiDAR",
    ),
    _row("dropout", "layer 6; its rate, 0.5, in the released code", "text on the networks", SAME),
    _row(
        "zoom; roll; gain; flip", "1-1.5 (KITTI 1-1.2); 5 degrees (KITTI none); 0.8-1.2; 0.5",
        "text on augmentation", SAME,
    ),
    _row("target", "every fourth pixel of depth, not averaged", "released", SAME),
    _row(
        "target's rows", "all (NYU), the lower part (KITTI)", "text on the networks", "all",
        why="on the synthetic roads depth is known above the horizon too",
    ),
]  # fmt: skip
"""The table "paper against here"."""


MULTISCALE = ("multiscale-rooms", "scale1-rooms", "scale2-rooms")


def _row_2015(name: str, paper: str, place: str, here: str, why: str = "", **others: str) -> HyperParameter:
    """A row that has one value for the variants of 2015, but for those that ``others`` names by a word."""
    values = {v: next((other for word, other in others.items() if word in v), here) for v in MULTISCALE}
    return HyperParameter(name, paper, place, values, why)


NO_SCALE1, NO_SCALE2 = {"scale2": "no scale 1"}, {"scale1": "no scale 2"}
ONE_STAGE_2015 = {"scale1": "one stage", "scale2": "one stage"}
MINUTES = "a run takes minutes on one core"
AS_IN_2014 = "from random weights and in minutes Adam, as for the network of 2014"
HYPERPARAMETERS_2015 = [
    _row_2015("input (rows x columns)", "228x304", "table of sizes", "92x124", MINUTES),
    _row_2015(
        "first convolution", "11x11, stride 4 (AlexNet form)", "table of sizes", "7x7, stride 2",
        "the small input needs less shrinking", **NO_SCALE1,
    ),
    _row_2015(
        "scale 1: channels; hidden units; maps", "96, 256, 384, 384, 256; 4096; 64", "table of sizes",
        "32, 64, 96, 96, 64; 192; 16", MINUTES, **NO_SCALE1,
    ),
    _row_2015(
        "scales 2 and 3: channels", "96, 64", "table of sizes", "24, 16", MINUTES, **NO_SCALE2
    ),
    _row_2015(
        "scale 1's convolutions start from", "ImageNet", "training", "random (He)",
        "the small convolutions have nothing to start from", **NO_SCALE1,
    ),
    _row_2015(
        "tasks of one network", "depth and normals share scale 1", "the shared model",
        "depth, normals and labels share scale 1", "one training shows all three",
        scale2="depth, normals and labels share nothing",
    ),
    _row_2015("loss of depth", "mean(d^2) - mean(d)^2 / 2 + squared slopes of d", "the losses", SAME),
    _row_2015("loss of normals; of labels", "minus the mean dot product; cross entropy", "the losses", SAME),
    _row_2015(
        "weights of the tasks' losses", "not printed", "the shared model", "1, 1, 1", "nothing to follow"
    ),
    _row_2015(
        "rates of scale 1: convolutions; 1.6, 1.7", "0.001; 0.1, SGD", "training", "0.002; 0.002, Adam",
        AS_IN_2014, **NO_SCALE1,
    ),
    _row_2015(
        "rates of scales 2 and 3: first, between, last", "0.001, 0.01, 0.001, for normals ten times",
        "training", "0.002, 0.002, 0.002", AS_IN_2014, **NO_SCALE2,
    ),
    _row_2015(
        "schedule", "a tenth after about 2 M steps", "training",
        "20 steps up, half a cosine down, each stage", "so few steps have to end calmly",
    ),
    _row_2015(
        "weight decay: convolutions of VGG; 1.6, 1.7; scales 2, 3", "0.0005; 0.00001; 0.0001", "released",
        "none", "few steps",
    ),
    _row_2015("batch", "32 (AlexNet form)", "training", "8", "more steps in the same time"),
    _row_2015("steps of scales 1 and 2", "about 2.5 M", "training", "950", MINUTES),
    _row_2015("steps of scale 3", "not printed", "training", "350", MINUTES, **ONE_STAGE_2015),
    _row_2015(
        "second stage", "scale 3 alone, random crops of 55x74", "training", "scale 3 alone, whole images",
        "a crop of so small a map is mostly border", **ONE_STAGE_2015,
    ),
    _row_2015(
        "dropout behind 1.6", "0.5 (0.8 for labels)", "training", "0.5", "one scale 1 for all", **NO_SCALE1,
    ),
    _row_2015(
        "augmentation", "scale, rotation, translation, colour, flip, contrast; no ranges", "training",
        "zoom 1-1.2; roll 5 degrees; crop; gain 0.8-1.2; flip 0.5",
        "so few steps are not enough to learn a larger zoom",
    ),
    _row_2015("target", "every fourth, then every second pixel, not averaged", "released", SAME),
    _row_2015(
        "missing border of a prediction", "filled by a cross-bilateral filter", "evaluation",
        "repeated outwards", "as for every network here",
    ),
]  # fmt: skip
"""The same table for the network of 2015."""


def _row_2016(name: str, paper: str, place: str, here: str, why: str = "") -> HyperParameter:
    return HyperParameter(name, paper, place, {"local-rooms": here}, why)


HYPERPARAMETERS_2016 = [
    _row_2016("input (rows x columns)", "427x561", "released", "96x128", MINUTES),
    _row_2016(
        "filters; components of each", "64 at 3 scales; 64", "text", "43 at 2 scales; 25",
        "the map has 48 x 64 pixels",
    ),
    _row_2016(
        "local path: channels", "128, 128, 192, 256, 512, 1024, 1024", "Figure 2",
        "16, 16, 24, 32, 48, 64, 64", MINUTES,
    ),
    _row_2016(
        "scene path", "VGG-19 from ImageNet; 4096", "Figure 2", "4 random convolutions; 128", MINUTES
    ),
    _row_2016(
        "fixed means", "k-means on training data", "text", SAME
    ),
    _row_2016("loss", "divergence weighted by variance", "text", SAME),
    _row_2016("a place to train on every", "8 pixels", "released", SAME),
    _row_2016("optimiser", "SGD, momentum 0.9", "text", "Adam", FROM_NOTHING),
    _row_2016("rate", "0.01, VGG a tenth", "text", "0.002, Adam", FROM_NOTHING),
    _row_2016(
        "schedule", "halved after epochs 4, 8, 10, 12, 13", "text", "20 steps up, half a cosine down",
        "so few steps have to end calmly",
    ),
    _row_2016("images of a step", "1", "text", "4", "a small image has 192 places, not 4000"),
    _row_2016("steps", "about 784,000 (14 epochs of 56,000)", "text", "2,000", MINUTES),
    _row_2016(
        "augmentation", "roll 5 degrees; flip; gain 0.8-1.2; gamma 0.5-1.5", "text and released",
        "roll 5 degrees; flip; gain 0.8-1.2", "so few steps need less of it",
    ),
    _row_2016("steps of the harmonisation", "137", "text", "69", "half the time, and nearly the same map"),
]  # fmt: skip
"""The same table for the network of 2016."""
