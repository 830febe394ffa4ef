"""What Eigen et al. 2014 claim and how they trained: claims with their rule, hyper-parameters beside ours."""

from mdepth.recipes import Claim, HyperParameter

__all__ = ["CLAIMS", "HYPERPARAMETERS"]

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
            place="Section 3.2: the true mean log depth lowers RMSE log from 0.28 to 0.22",
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
            place="Section 3.1 gives the last layer the output's full resolution; the paper does not test it",
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
            place="Section 3.1: the fine network aligns with local details such as object and wall edges",
            variant="fine-rooms",
            metric="edge_f1",
            a="edges",
            b="edges@coarse",
            direction="higher",
            smallest=0.1,
            why="an edge score that grows by less than a tenth is not seen in a picture",
            headline=True,
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
            place="Section 3.2: good absolute-scale predictions, slightly better in qualitative output",
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
        place="Section 3.4: ImageNet initialisation; the gain over random weights is called small",
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
        "convolutions start from", "ImageNet", "section 3.4", "random (He)", "random (He)",
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
        "layer 7", "a depth map of the full size for each unit", "section 3.1", SAME,
        why="the enlarged one is there to be compared", upsampled="4 x 6, enlarged",
    ),
    _row(
        "average over a batch", "not printed; weighted by n squared in the released code", "released",
        "all images alike", "all images alike", why="no difference where all have as many valid pixels",
    ),
    _row("optimiser", "SGD, momentum 0.9", "section 3.4", "Adam", why=FROM_NOTHING),
    _row("rates: convolutions; layers 6, 7", "0.001; 0.1", "section 3.4", "0.001; 0.001", why=FROM_NOTHING),
    _row(
        "schedule", "none given", "section 3.4", "20 steps up, half a cosine down",
        why="so few steps have to end calmly",
    ),
    _row("weight decay: convolutions; rest", "0.0005; 0.0001", "released", "none", why="few steps"),
    _row("batch", "32", "section 3.4", "16", why="more steps in the same time"),
    _row("samples seen", "2.0 M NYU, 1.5 M KITTI", "section 3.4", "32,000", why="minutes instead of days"),
    _row(
        "fine network: channels", "63, 64", "Figure 1", "31, 32", why="a quarter of the time", **ONE_STAGE,
    ),
    _row(
        "fine network: rates of its three convolutions", "0.001, 0.01, 0.001", "section 3.4",
        "0.001, 0.001, 0.001", why=FROM_NOTHING, **ONE_STAGE,
    ),
    _row(
        "second stage: samples seen", "1.5 M NYU, 1.0 M KITTI", "section 3.4", "16,000",
        why="minutes instead of days", **ONE_STAGE,
    ),
    _row(
        "second stage: the coarse network", "fixed, without gradient", "section 3.2", SAME,
        unfrozen="trained on", why="the one that is trained on is there to be compared", **ONE_STAGE,
    ),
    _row("dropout", "layer 6; its rate, 0.5, in the released code", "section 3.1", SAME),
    _row(
        "zoom; roll; gain; flip", "1-1.5 (KITTI 1-1.2); 5 degrees (KITTI none); 0.8-1.2; 0.5", "section 3.3",
        SAME,
    ),
    _row("target", "every fourth pixel of depth, not averaged", "released", SAME),
    _row(
        "target's rows", "all (NYU), the lower part (KITTI)", "section 3.1", "all",
        why="on the synthetic roads depth is known above the horizon too",
    ),
]  # fmt: skip
"""The table "paper against here"."""
