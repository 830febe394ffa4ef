"""Level A of Godard et al. 2019, what needs no network: depth of an answer, the loss and its terms, motion,
projection, warping, post-processing, the arithmetic of lists, schedule and evaluation.

Maps are small, of closed form and in double precision; the captions of the tables have their formulas. The
released functions, whose numbers are reported, ran most of them in single precision.
"""

import math
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mdepth import geometry, image, reprojection
from mdepth.datasets import kitti
from mdepth.evaluate import protocols, trajectories
from mdepth.ledger import reported
from mdepth.ledger.checks import Value, register

SIZE = (8, 12)
MOTION = (0.02, -0.05, 0.01, 0.1, -0.02, 0.3)
KITTI = (375, 1242)


def _reported(name: str) -> float:
    """A number that the tables hold."""
    value = reported.cell(f"monodepth2.{name}").value
    if value is None:
        raise ValueError(f"monodepth2.{name} is no number")
    return value


def _setting(name: str) -> float:
    return _reported(f"training.{name}.value")


def _image(phase: float) -> Tensor:
    """Image A at phase 0, image B at 0.4: (1, 3, 8, 12)."""
    u, v = geometry.pixel_grid(*SIZE, dtype=torch.float64)
    return torch.stack([0.5 + 0.5 * torch.sin(0.3 * u + 0.5 * v + c + phase) for c in range(3)])[None]


def _answer() -> Tensor:
    """A smooth answer of the network: (1, 1, 8, 12), between 0.1 and 0.3."""
    u, v = geometry.pixel_grid(*SIZE, dtype=torch.float64)
    return (0.2 + 0.1 * torch.cos(0.2 * u + 0.35 * v))[None, None]


def _depth(answer: Tensor) -> Tensor:
    return geometry.inverse_depth_to_depth(geometry.sigmoid_to_inverse_depth(answer))


def _intrinsics(height: int, width: int) -> Tensor:
    """The one K of the training, for an image of this size."""
    x, y, centre = (_setting(name) for name in ("focal-x", "focal-y", "centre"))
    K = [[x * width, 0.0, centre * width], [0.0, y * height, centre * height], [0.0, 0.0, 1.0]]
    return torch.tensor([K], dtype=torch.float64)


def _motion(*numbers: float) -> Tensor:
    """Of axis-angle and translation: (1, 4, 4)."""
    six = torch.tensor([numbers], dtype=torch.float64)
    return geometry.transform_from_axis_angle(six[:, :3], six[:, 3:])


def _places(depth: Tensor, K: Tensor, T: Tensor) -> Tensor:
    """Where a motion takes every pixel, from -1 to 1 between the centres of the corner pixels."""
    points = geometry.transform_points(T, geometry.backproject(depth, K))
    size = (depth.shape[2], depth.shape[3])
    return geometry.normalise_pixels(geometry.project(points, K)[0], *size, align_corners=True)


def _wrong(source: Tensor, depth: Tensor, K: Tensor, T: Tensor) -> Tensor:
    """A source warped as the released code does it on a torch of today: -1 and 1 have two meanings."""
    places = _places(depth, K, T)
    return functional.grid_sample(source, places, padding_mode="border", align_corners=False)


@register("monodepth2.conversion")
def conversion() -> dict[str, Value]:
    """Between the library's nearest and farthest depth."""
    values: dict[str, Value] = {}
    for row, answer in {"sigma-0": 0.0, "sigma-025": 0.25, "sigma-05": 0.5, "sigma-1": 1.0}.items():
        sigma = torch.tensor(answer, dtype=torch.float64)
        values[f"{row}.inverse"] = geometry.sigmoid_to_inverse_depth(sigma).item()
        values[f"{row}.depth"] = _depth(sigma).item()
    return values


@register("monodepth2.photometric")
def photometric() -> dict[str, Value]:
    """The library's terms, with its weight."""
    first, second = _image(0.0), _image(0.4)
    unlike = image.ssim_dissimilarity(first, second)
    error = reprojection.photometric_error(first, second)
    values = {
        "ssim": unlike.mean(), "ssim-0-0": unlike[0, 0, 0, 0], "ssim-4-6": unlike[0, 0, 4, 6],
        "error": error.mean(), "error-4-6": error[0, 0, 4, 6],
        "smoothness": reprojection.edge_aware_smoothness(_answer(), first),
    }  # fmt: skip
    return {f"{row}.value": value.item() for row, value in values.items()}


ANGLE = (
    "the released function divides the axis by its length plus 1e-7, which leaves it two parts in a million "
    "short; ours is the rotation itself"
)
OFF_AXIS = ("forward-x.z", "forward-z.x", "forward-z.y", "inverse-x.z", "inverse-y.z", "inverse-z.x")


@register("monodepth2.motion", **{cell.replace(".", "__"): ANGLE for cell in OFF_AXIS})
def motion() -> dict[str, Value]:
    """The upper three rows of the matrix and of its inverse."""
    T, values = _motion(*MOTION), dict[str, Value]()
    for name, matrix in {"forward": T, "inverse": geometry.invert_transform(T)}.items():
        for row, numbers in zip("xyz", matrix[0].tolist(), strict=False):
            values |= {f"{name}-{row}.{column}": x for column, x in zip("xyzt", numbers, strict=True)}
    return values


SINGLE = (
    "the released functions add 1e-7 to the depth and to the angle by which they divide, and the number is "
    "from single precision; ours adds nothing, is from double precision, and is less than 4e-7 away"
)
MOVED = ("pixel-4-6.x", "pixel-4-6.y", "pixel-7-11.x")


@register("monodepth2.projection", **{cell.replace(".", "__"): SINGLE for cell in MOVED})
def projection() -> dict[str, Value]:
    """Depth and place of three pixels."""
    depth, values = _depth(_answer()), dict[str, Value]()
    places = _places(depth, _intrinsics(*SIZE), _motion(*MOTION))
    for v, u in ((0, 0), (4, 6), (7, 11)):
        numbers = (depth[0, 0, v, u].item(), *places[0, v, u].tolist())
        values |= {f"pixel-{v}-{u}.{name}": x for name, x in zip(("depth", "x", "y"), numbers, strict=True)}
    return values


@register(
    "monodepth2.warp",
    mean__right=SINGLE,
    mean__wrong=SINGLE,
    identity__right="the printed number is what rounding to single precision leaves; in double precision "
    "nothing is left",
)
def warp() -> dict[str, Value]:
    """Image B moved, and left where it is, by the library's warp and wrongly."""
    source, depth, K = _image(0.4), _depth(_answer()), _intrinsics(*SIZE)
    values: dict[str, Value] = {}
    for row, T in {"mean": _motion(*MOTION), "identity": torch.eye(4, dtype=torch.float64)[None]}.items():
        right, _ = geometry.warp(source, depth, K, K, T, padding="border")
        for column, view in {"right": right, "wrong": _wrong(source, depth, K, T)}.items():
            error = (view - source).abs().max()
            values[f"{row}.{column}"] = (view.mean() if row == "mean" else error).item()
    return values


LOSS_SIZE, SCALES = (32, 64), 4
FRAMES = {"now": 0.0, "before": -1.0, "after": 1.0, "right": 0.5}
MOVES = {
    "before": (0.01, -0.02, 0.005, 0.02, -0.01, 0.05), "after": (-0.005, 0.015, 0.01, -0.03, 0.005, 0.04),
    "right": (0.0, 0.0, 0.0, -0.1, 0.0, 0.0),
}  # fmt: skip
CASES = {
    "m": ("before", "after"), "m-false": ("before", "after"), "s": ("right",),
    "ms": ("before", "after", "right"), "m-no-automask": ("before", "after"),
}  # fmt: skip


def _grid(scale: int) -> Tensor:
    """Columns and rows of a scale, counted in pixels of the first."""
    height, width = (side >> scale for side in LOSS_SIZE)
    return geometry.pixel_grid(height, width, dtype=torch.float64) * 2**scale


def _frame(name: str, scale: int) -> Tensor:
    u, v = _grid(scale)
    waves = [torch.sin(0.11 * u + 0.17 * v + 0.9 * c + 0.25 * FRAMES[name]) for c in range(3)]
    return (0.5 + 0.5 * torch.stack(waves))[None]


def _sigmoid(scale: int) -> Tensor:
    u, v = _grid(scale)
    return (0.3 + 0.2 * torch.cos(0.07 * u - 0.05 * v))[None, None]


def _example(row: str) -> dict[str, Any]:
    """The arguments of the library's loss."""
    T = {name: _motion(*numbers) for name, numbers in MOVES.items()}
    T["before"] = geometry.invert_transform(T["before"])
    return {
        "sigmoids": [_sigmoid(scale) for scale in range(SCALES)],
        "pyramid": [_frame("now", scale) for scale in range(SCALES)],
        "sources": torch.stack([_frame(name, 0) for name in CASES[row]], dim=1),
        "K": _intrinsics(*LOSS_SIZE),
        "T_source_target": torch.stack([T[name] for name in CASES[row]], dim=1),
        "how": reprojection.Reprojection(noise=0.0, automask=row != "m-no-automask"),
    }


def _errors(depth: Tensor, example: dict[str, Any], *, wrong: bool) -> Tensor:
    """The photometric errors of all sources, warped by the library or wrongly."""
    target, sources, K, T = (example[name] for name in ("pyramid", "sources", "K", "T_source_target"))
    if not wrong:
        return reprojection.warped_errors(depth, target[0], sources, K, T)
    pairs = zip(sources.unbind(dim=1), T.unbind(dim=1), strict=True)
    views = torch.stack([_wrong(source, depth, K, each) for source, each in pairs], dim=1)
    return reprojection.still_errors(target[0], views)


def _scale(scale: int, example: dict[str, Any], *, wrong: bool) -> tuple[float, float]:
    """The loss of a scale, put together from the library's parts; the share that the warped sources win."""
    sigmoid, how = example["sigmoids"][scale], example["how"]
    still = reprojection.still_errors(example["pyramid"][0], example["sources"]) if how.automask else None
    errors = _errors(_depth(image.resize(sigmoid, LOSS_SIZE)), example, wrong=wrong)
    least, winner = reprojection.least_error(errors, still)
    smooth = reprojection.edge_aware_smoothness(sigmoid, example["pyramid"][scale])
    value = least.mean() + how.smoothness / 2**scale * smooth
    return value.item(), (winner < errors.shape[1]).double().mean().item()


TIE = "one pixel of the 2048 is decided by 2e-6, which single precision turns over"
ROUNDED = {
    "m": "loss-0 loss-1 loss-2 loss-3", "m-false": "total loss-0 loss-1 loss-2 loss-3", "s": "total loss-0",
    "ms": "loss-0 loss-1 loss-2 loss-3", "m-no-automask": "total loss-0 loss-1 loss-2 loss-3",
}  # fmt: skip


@register(
    "monodepth2.loss",
    **{f"{row}__{column}": SINGLE for row, columns in ROUNDED.items() for column in columns.split()},
    **{"ms__share-3": TIE},
)
def loss() -> dict[str, Value]:
    """By the library; where the sampling is wrong, the mean of the scales."""
    values: dict[str, Value] = {}
    with torch.random.fork_rng(devices=[]):  # noise of no size is drawn, too
        for row in CASES:
            example, wrong = _example(row), row == "m-false"
            losses, shares = zip(*(_scale(s, example, wrong=wrong) for s in range(SCALES)), strict=True)
            whole = sum(losses) / SCALES if wrong else reprojection.reprojection_loss(**example).item()
            values |= {f"{row}.total": whole, **{f"{row}.loss-{s}": x for s, x in enumerate(losses)}}
            if example["how"].automask:
                values |= {f"{row}.share-{s}": x for s, x in enumerate(shares)}
    return values


@register("monodepth2.blend")
def blend() -> dict[str, Value]:
    """The library's blend of a row of ones and a row of twos."""
    one = torch.ones(1, 1, 1, 41, dtype=torch.float64)
    row = protocols.blend_flips(one, 2 * one).flatten().tolist()
    values: dict[str, Value] = {}
    for place in range(5):
        values |= {f"column-{place}.left": row[place], f"column-{place}.right": row[-1 - place]}
    return values


def _lines(split: str) -> int:
    return int(_reported(f"splits.{split}.lines"))


def _listed(name: str) -> int:
    return int(_reported(f"lists.{name}.value"))


def _snippets(split: str) -> int:
    """How many snippets the library scores where the list asks for one motion a row."""
    motions = trajectories.straight_ahead(_lines(split))
    return len(trajectories.snippet_errors(motions, trajectories.chain(motions)).errors)


@register("monodepth2.split-counts")
def split_counts() -> dict[str, Value]:
    """From the numbers of lines and frames as reported."""
    rows = {name: _lines(f"{name}-train") + _lines(f"{name}-val") for name in ("zhou", "full", "odom")}
    test = (_listed("test-drives") - 1) * _listed("test-frames") + _listed("test-fewer")
    values: dict[str, Value] = {f"{name}-frames": count / 2 for name, count in rows.items()}
    values |= {
        "zhou-rows": rows["zhou"], "rule": rows["full"] / 2 - _listed("full-still") - _listed("full-ends"),
        "test": test, "test-improved": test - _listed("test-without"),
        "windows-09": _snippets("odom-test-09"), "windows-10": _snippets("odom-test-10"),
    }  # fmt: skip
    return {f"{row}.value": value for row, value in values.items()}


@register("monodepth2.steps")
def steps() -> dict[str, Value]:
    """Whole batches of the lists as reported, and all epochs of them."""
    values: dict[str, Value] = {}
    for split in ("zhou", "full", "odom", "benchmark"):
        whole = _lines(f"{split}-train") // int(_setting("batch"))
        values |= {f"{split}.epoch": whole, f"{split}.total": whole * int(_setting("epochs"))}
    return values


def _adam(rate: float) -> torch.optim.Adam:
    return torch.optim.Adam([nn.Parameter(torch.zeros(1))], lr=rate)


def _first_epochs(stepped: str) -> int:
    """How many epochs run at the first rate when torch's schedule is stepped at their start or end."""
    first, count = _setting("rate"), 0
    optimizer = _adam(first)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, int(_setting("decay-after")), _setting("decay"))
    for _ in range(int(_setting("epochs"))):
        if stepped == "start":
            schedule.step()
        optimizer.step()
        count += math.isclose(optimizer.param_groups[0]["lr"], first)
        if stepped == "end":
            schedule.step()
    return count


@register("monodepth2.schedule")
def schedule() -> dict[str, Value]:
    """torch's own optimiser and schedule, with nothing to learn."""
    asked = _adam(_setting("large-rate"))
    asked.load_state_dict(_adam(_setting("rate")).state_dict())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of the order that is the point here
        counts = {f"{when}.value": _first_epochs(when) for when in ("start", "end")}
    return counts | {"loaded.value": asked.param_groups[0]["lr"]}


def _taken_for_one() -> int:
    """Pixels that get the depth of another one, of a scan with one point in each, row by row, ever nearer."""
    height, width = KITTI
    v, u = (places.ravel() for places in np.indices(KITTI))
    depth = np.arange(height * width, 0, -1)
    ahead = np.array([[0.0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])  # x forward to z forward
    camera = kitti.Calibration({2: np.eye(3, 4)}, {2: KITTI}, np.eye(4), ahead)
    scan = np.stack([depth, -(u + 1) * depth, -(v + 1) * depth, 0 * depth], axis=1).astype(np.float32)
    return int((kitti.velodyne_depth(scan, camera) != depth.reshape(KITTI)).sum())


@register("monodepth2.evaluation")
def evaluation() -> dict[str, Value]:
    """Crop and factor of the library's protocols; the ground truth of a scan that is made up."""
    known = [protocols.PROTOCOLS[name] for name in protocols.PROTOCOLS if name.startswith("monodepth2-")]
    crops = {"{}:{}, {}:{}".format(*each.crop.box(*KITTI)) for each in known if each.crop}
    stereo = (each for each in known if "-stereo" in each.name)
    factors = {each.align(torch.ones(2), torch.ones(2))[1] for each in stereo}
    return {
        "garg.value": " or ".join(sorted(crops)), "ratio.value": _setting("rig") / _setting("baseline"),
        "factor.value": factors.pop() if len(factors) == 1 else " or ".join(map(str, sorted(factors))),
        "pairs.value": _taken_for_one(),
    }  # fmt: skip
