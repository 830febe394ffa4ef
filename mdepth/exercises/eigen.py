"""Exercises of the Eigen chapter; the right answers come from the library's loss and network."""

from math import exp, log

import torch

from mdepth.exercises.checker import Exercise, as_depth, maps
from mdepth.shapes import Tensor

__all__ = ["exercises"]


def exercises() -> dict[str, Exercise]:
    """The scale-invariant error, the best scale, layer 6, sizes, what a factor costs, zoom."""
    return {
        "eigen.scale_invariant": _scale_invariant(),
        "eigen.aligning_scale": _aligning_scale(),
        "eigen.fc6_parameters": Exercise(
            *_fc6(), "Most of the network's 71 million weights sit in two matrices.", tolerance=0
        ),
        "eigen.feature_size": _feature_size(),
        "eigen.fine_field": _fine_field(),
        "eigen.forgiven": _forgiven(),
        "eigen.zoomed": _zoomed(),
        "eigen.opinions": _opinions(),
        "eigen.enlarged_size": _enlarged_size(),
    }


def _d(p: Tensor, t: Tensor, v: Tensor) -> Tensor:
    """Log prediction minus log truth, over the valid pixels."""
    return (p.log() - t.log())[v]


def _moments(x: Tensor, weight: int | float = 1.0) -> Tensor:
    """mean(x^2) - weight mean(x)^2."""
    return (x**2).mean() - weight * x.mean() ** 2


def _scale_invariant() -> Exercise:
    """D = mean(d^2) - mean(d)^2 with d = ln prediction - ln truth."""
    from mdepth.losses import scale_invariant_error

    def right(p: Tensor, t: Tensor, v: Tensor) -> Tensor:
        return scale_invariant_error(as_depth(p.log()), as_depth(t.log()), as_depth(v))

    return Exercise(
        right,
        [
            (
                lambda p, t, v: _moments(p.log() - t.log()),
                "you counted a pixel without truth: use the mask.",
            ),
            (lambda p, t, v: _moments(_d(p, t, v) / log(10)), "you used log10 for ln."),
            (lambda p, t, v: _moments((p - t)[v]), "you forgot the logarithm."),
            (lambda p, t, v: _moments(_d(p, t, v), -1.0), "the sign: the squared mean is subtracted."),
            (
                lambda p, t, v: _moments(_d(p, t, v), 0.5),
                "that is the training loss with λ = 0.5; the error has λ = 1.",
            ),
            (
                lambda p, t, v: _moments(_d(p, t, v), 0.0),
                "you forgot the second term: a global scale still costs.",
            ),
            (
                lambda p, t, v: _moments(_d(p, t, v)) ** 0.5,
                "that is its root, which the tables print; the error is without the root.",
            ),
            (
                lambda p, t, v: 2 * _moments(_d(p, t, v)),
                "the sum over pairs as printed is twice the error: 1/(2n²).",
            ),
            (
                lambda p, t, v: (_d(p, t, v) ** 2).sum() - _d(p, t, v).sum() ** 2 / len(_d(p, t, v)),
                "you forgot the 1/n.",
            ),
            (
                lambda p, t, v: (_d(p, t, v) ** 2).mean() - _d(p, t, v).sum() ** 2 / len(_d(p, t, v)),
                "the squared sum is divided by n², not by n.",
            ),
            (
                lambda p, t, v: (_d(p, t, v) ** 2).sum() / p.numel() - (_d(p, t, v).sum() / p.numel()) ** 2,
                "n is the number of valid pixels, not of all.",
            ),
        ],
        "The variance of the log error: what is left after the best scaling.",
        inputs=[maps()],
    )


def _aligning_scale() -> Exercise:
    """exp of the mean log ratio."""
    return Exercise(
        lambda p, t, v: exp(-float(_d(p, t, v).mean())),
        [
            (
                lambda p, t, v: exp(float(_d(p, t, v).mean())),
                "that is its inverse: the prediction is multiplied, so truth over prediction.",
            ),
            (
                lambda p, t, v: -float(_d(p, t, v).mean()),
                "that is the logarithm of the scale: you forgot exp.",
            ),
            (
                lambda p, t, v: exp(float((t.log() - p.log()).mean())),
                "you counted a pixel without truth: use the mask.",
            ),
            (
                lambda p, t, v: (t[v] / p[v]).mean(),
                "mean the logarithms, then exp: the geometric mean of the ratios.",
            ),
            (
                lambda p, t, v: t[v].mean() / p[v].mean(),
                "that is the ratio of means; the error lives in log depth.",
            ),
            (
                lambda p, t, v: (t[v] / p[v]).median(),
                "that is median scaling, as Monodepth2 evaluates; here it is the mean of logs.",
            ),
        ],
        "exp of the mean log ratio, truth over prediction.",
        inputs=[maps()],
    )


def _feature_size() -> Exercise:
    """What the three pools leave of the KITTI image."""
    return Exercise(
        (4, 17),
        [
            ((17, 4), "rows before columns: the paper prints width x height."),
            ((5, 17), "that is what 2x2 pools give; a 3x3 pool of stride 2 loses one more row."),
            ((17, 5), "that is what 2x2 pools give, and rows come before columns."),
            ((9, 35), "there is a third pool, behind convolution 5, although none is drawn."),
            ((35, 9), "there is a third pool, behind convolution 5; and rows come before columns."),
            ((6, 8), "that is the NYU network; this one sees 172 x 576 pixels."),
        ],
        "4 x 17 places with 256 channels: 17,408 numbers enter the fully connected layer.",
    )


def _fc6() -> tuple[int, list[tuple[int, str]]]:
    """Parameters of layer 6 counted in the network, and what goes wrong by hand."""
    from mdepth.models import build, layer_sizes

    with torch.device("meta"):
        counts = {layer.name: layer.parameters for layer in layer_sizes(build("eigen-coarse-nyu"))}
        kitti = {layer.name: layer.parameters for layer in layer_sizes(build("eigen-coarse-kitti"))}
    return counts["coarse6.fc"], [
        (counts["coarse6.fc"] - 4096, "you forgot the biases, one for each of the 4096 outputs."),
        (256 * 6 * 9 * 4096 + 4096, "with 2x2 pools the map would be 9x6; the printed 8x6 needs 3x3 pools."),
        (256 * 13 * 18 * 4096 + 4096, "a third pool follows the fifth convolution, although none is drawn."),
        (6 * 8 * 4096 + 4096, "every place has 256 channels."),
        (counts["coarse7.fc"], "that is layer 7."),
        (kitti["coarse6.fc"], "that is the KITTI network's."),
    ]


def _fine_field() -> Exercise:
    """What one output of the fine network sees, with the paper's pool and with the drawn one."""
    return Exercise(
        (45, 43),
        [
            ((43, 45), "the other way round: the larger pool sees more."),
            (
                (45, None),
                "the first is right; a 2x2 pool adds 2 - 1 steps of the convolution's stride.",
            ),
            (
                (None, 43),
                "the second is right; a 3x3 pool adds 3 - 1 steps of the convolution's stride.",
            ),
            ((19, 18), "strides: behind a stride of 2 a step to the next pixel is two input pixels wide."),
            ((29, 27), "you left out one of the two 5x5 convolutions."),
        ],
        "45 is what the paper's text says of its network; the pools of its figure would see 43.",
        tolerance=0,
    )


def _forgiven() -> Exercise:
    """The loss of a prediction that is twice too deep, for lambda 0, 1/2 and 1."""
    square = log(2) ** 2
    return Exercise(
        (square, square / 2, 0.0),
        [
            ((0.0, square / 2, square), "the other way round: lambda is the share that is forgiven."),
            ((log(2), log(2) / 2, 0.0), "you forgot the square."),
            ((square, square * 1.5, 2 * square), "the second term is subtracted."),
            ((1.0, 0.5, 0.0), "the error is a difference of logarithms: ln 2, not 2 - 1."),
            ((square, square * 0.75, square / 2), "lambda multiplies the whole second term, mean squared."),
        ],
        "One factor in all pixels costs (1 - lambda) times its squared logarithm.",
    )


def _zoomed() -> Exercise:
    """Depth and log depth of a wall in an enlarged picture."""
    return Exercise(
        (4 / 1.25, -log(1.25)),
        [
            ((4 * 1.25, log(1.25)), "what looks larger is nearer: divide."),
            ((4.0, 0.0), "a picture enlarged by 1.25 is that of a nearer wall: depth must follow."),
            ((4 / 1.25**2, -2 * log(1.25)), "sizes go with 1/depth; areas would go with its square."),
            ((4 / 1.25, 1 / 1.25), "the second is a logarithm: of the factor."),
            ((4 / 1.25, log(1.25)), "the sign: log depth becomes smaller."),
        ],
        "The same amount in every pixel: to a loss with lambda = 1 the change is invisible.",
    )


def _opinions() -> Exercise:
    """Least squares of three statements about two pixels."""
    half = 0.5 / 201
    return Exercise(
        (2.5 - half, 2.5 + half),
        [
            ((2.5 + half, 2.5 - half), "changed places: the left one is nearer to 2."),
            ((2.0, 3.0), "the third statement is the surest of all: the two must be nearly equal."),
            ((2.5, 2.5), "nearly; but the difference is uncertain too, and so a little of it remains."),
            ((2.5 - 0.5 / 21, 2.5 + 0.5 / 21), "divide by the square of the uncertainty: 0.01, not 0.1."),
            ((2 + 1 / 3, 3 - 1 / 3), "the third statement is ten times as sure as the others."),
        ],
        "The sure statement about the difference decides it; the unsure ones agree on the mean.",
        tolerance=1e-4,
    )


def _enlarged_size() -> Exercise:
    """Sizes behind a filter of seven taps in steps of four."""
    return Exercise(
        (59, 79),
        [
            ((56, 76), "that is a plain enlargement; here the first place alone covers seven rows."),
            ((79, 59), "rows before columns."),
            ((60, 80), "the steps of the others are four each: 7 + 4 (n - 1)."),
            ((63, 83), "the last place adds no further step: 7 + 4 (n - 1)."),
            ((55, 74), "that is the size after the crop."),
        ],
        "The centre of 59 x 79 is cropped to the 55 x 74 of scale 2.",
        tolerance=0,
    )
