"""What Eigen et al. 2014 claim and how they trained: claims with their rule, hyper-parameters beside ours."""

from mdepth.recipes import Claim, HyperParameter

__all__ = ["CLAIMS", "HYPERPARAMETERS"]

CLAIMS = [
    Claim(
        id=f"beats-mean-map-{kind}",
        statement=f"On {kind} that it has not seen, the coarse network is better than the mean depth map.",
        place="Tables 1 and 2: mean against coarse",
        variant=f"coarse-{kind}",
        metric="abs_rel",
        a="worlds",
        b="worlds@mean-map",
        direction="lower",
        smallest=0.1,
        why="the paper's own gain is 44 % (NYU) and 53 % (KITTI); less than a tenth would not carry the idea",
        headline=True,
    )
    for kind in ("rooms", "roads")
] + [
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
        why="the paper finds 21 %; below a tenth, a loss that forgives scale would have little to forgive",
    )
    for kind in ("rooms", "roads")
]

SMALL, PAPER = ("coarse-rooms", "coarse-roads", "coarse-redkitchen"), ("coarse-nyu", "coarse-kitti")
SAME = "the same"
FROM_NOTHING = (
    "ImageNet weights of this network are not published; from random weights and in minutes, SGD at the "
    "paper's rates hardly leaves the mean map, Adam does"
)


def _row(
    name: str, paper: str, place: str, small: str, paper_sized: str = SAME, why: str = ""
) -> HyperParameter:
    """A row that has one value for the small networks and one for those of the paper's size."""
    return HyperParameter(
        name, paper, place, dict.fromkeys(SMALL, small) | dict.fromkeys(PAPER, paper_sized), why
    )


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
        why="the paper's ImageNet weights are not published",
    ),
    _row(
        "response norm", "not mentioned; in the released code", "released", "none", "none",
        why="the text has none",
    ),
    _row("loss", "lambda = 0.5, log metres", "eq. 4", SAME),
    _row(
        "average over a batch", "not printed; weighted by n squared in the released code", "released",
        "all images alike", "all images alike", why="no difference where all have as many valid pixels",
    ),
    _row("optimiser", "SGD, momentum 0.9", "section 3.4", "Adam", why=FROM_NOTHING),
    _row("rates: convolutions; layers 6, 7", "0.001; 0.1", "section 3.4", "0.001; 0.001", why=FROM_NOTHING),
    _row(
        "schedule", "constant", "section 3.4", "20 steps up, half a cosine down",
        why="so few steps have to end calmly",
    ),
    _row("weight decay: convolutions; rest", "0.0005; 0.0001", "released", "none", why="few steps"),
    _row("batch", "32", "section 3.4", "16", why="more steps in the same time"),
    _row("samples seen", "2.0 M NYU, 1.5 M KITTI", "section 3.4", "32,000", why="minutes instead of days"),
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
