r"""Depth cues, measured: what in an image goes together with depth, and for which share of it.

A cue here is a function of the image (and, where the text says so, of object outlines) that never looks at
depth. How much it tells is a share between 0 (useless) and 1, with an interval from drawing whole scenes
anew: the pixels of one scene are not independent witnesses. Taking a cue away is a switch of
:class:`~mdepth.datasets.worlds.World`; the scenes stay the same, so the interval of the *difference* decides.
"""

from itertools import combinations

import numpy as np
import torch
from torch.nn import functional as F

from mdepth.datasets.worlds.casting import BLOCK, Bundles, beams_around, first_hit
from mdepth.datasets.worlds.scenery import Scene
from mdepth.datasets.worlds.solids import MISS, Solids
from mdepth.shapes import Depth, Float, Image, Int, Tensor

__all__ = [
    "camera_rays", "counted", "crossings", "darkest", "draw_scenes", "explained", "fineness", "fit",
    "larger_part", "object_heights", "pixel_features", "shown", "things_alone", "vanishing_point",
    "visible_creases",
]  # fmt: skip


# --- shares with intervals ------------------------------------------------------------------------


def draw_scenes(scenes: int, draws: int = 1000, seed: int = 0) -> np.ndarray:
    """Scene numbers for a bootstrap, (draws, scenes); the first row is the data themselves.

    Example:
        >>> draw_scenes(3, 2)[0].tolist()
        [0, 1, 2]
    """
    anew = np.random.default_rng(seed).integers(0, scenes, (draws - 1, scenes))
    return np.vstack([np.arange(scenes), anew])


def explained(cue: np.ndarray, quantity: np.ndarray, drawn: np.ndarray, levels: int = 12) -> np.ndarray:
    r"""For every draw of scenes: the share of the variance of ``quantity`` that ``levels`` levels of the cue
    explain.

    .. math:: R^2 = \frac{\sum_k n_k (\bar y_k - \bar y)^2}{\sum_i (y_i - \bar y)^2}

    over levels k with equally many pixels each. Pixels where either array is NaN are left out.

    Args:
        cue, quantity: of one shape, the first axis being the scene.
        drawn: from :func:`draw_scenes`.
        levels: how finely the cue is read.

    Example:
        >>> y = np.arange(12.0).reshape(3, 4)
        >>> explained(-y, y, draw_scenes(3), levels=12)[0]
        np.float64(1.0)
    """
    scenes = len(cue)
    scene_of = np.broadcast_to(np.arange(scenes).reshape(-1, *[1] * (cue.ndim - 1)), cue.shape)
    known = np.isfinite(cue) & np.isfinite(quantity)
    x, y, where = cue[known], quantity[known], scene_of[known]
    level = np.searchsorted(np.quantile(x, np.linspace(0, 1, levels + 1)[1:-1]), x, side="right")
    cell = where * levels + level
    count, total = (np.bincount(cell, w, scenes * levels).reshape(scenes, levels) for w in (None, y))
    squares = np.bincount(where, y**2, scenes)
    n, t, q = count[drawn].sum(1), total[drawn].sum(1), squares[drawn].sum(1)
    mean = t.sum(1) ** 2 / n.sum(1)
    with np.errstate(invalid="ignore"):  # a draw without any variance has no share: NaN
        return ((t**2 / np.maximum(n, 1)).sum(1) - mean) / (q - mean)


def counted(hits: np.ndarray, trials: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """For every draw of scenes: the share of hits, hits and trials being counted per scene.

    Example:
        >>> counted(np.array([1, 3]), np.array([2, 4]), draw_scenes(2))[0]
        np.float64(0.6666666666666666)
    """
    return hits[drawn].sum(1) / trials[drawn].sum(1)


# --- cues of the whole image and of a neighbourhood -----------------------------------------------


def vanishing_point(image: Float[Tensor, "3 H W"], spread: float = 3.0, far: float = 20.0) -> np.ndarray:
    """(u, v) of the place, on every other pixel, through which most edge lines of an image pass.

    Every strong edge is a line and votes for the places on it, with a weight that falls off over ``spread``
    pixels, and only for places at least ``far`` pixels away: any line passes its own neighbours. Edges that
    are upright or level to within 5 % of their slope do not vote.

    Example:
        >>> fan = torch.atan2(torch.arange(64.0)[:, None] - 20, torch.arange(96.0)[None] - 40)
        >>> stripes = F.avg_pool2d(((fan * 6).sin() > 0).float()[None], 3, stride=1, padding=1)
        >>> bool(np.abs(vanishing_point(stripes.expand(3, 64, 96)) - (40, 20)).max() <= 2)
        True
    """
    gv, gu = torch.gradient(image.mean(0))
    strength = torch.hypot(gu, gv)
    oblique = torch.minimum(gu.abs(), gv.abs()) > 0.05 * strength
    v, u = (strength * oblique > strength.quantile(0.9)).nonzero(as_tuple=True)
    normal = torch.stack([gu[v, u], gv[v, u]]) / strength[v, u]  # 2 E, one column an edge
    _, height, width = image.shape
    places = torch.cartesian_prod(torch.arange(0, width, 2), torch.arange(0, height, 2)).float()
    off_line = places @ normal - (normal[0] * u + normal[1] * v)  # P E pixels
    distant = torch.hypot(places[:, :1] - u, places[:, 1:] - v) > far
    votes = (torch.exp(-0.5 * (off_line / spread) ** 2) * distant).sum(1)
    return places[votes.argmax()].numpy()


def darkest(image: Image, window: int = 5) -> Float[Tensor, "B H W"]:
    """The darkest value of any channel in a window around each pixel: haze lifts it (He, Sun and Tang 2009).

    Example:
        >>> darkest(torch.linspace(0.5, 1, 9).expand(1, 3, 1, 9), window=3)[0, 0, 4].item()
        0.6875
    """
    return -F.max_pool2d(-image.amin(1, keepdim=True), window, stride=1, padding=window // 2)[:, 0]


def fineness(image: Image, window: int = 25, stride: int = 3) -> Float[Tensor, "B h w"]:
    """Strength of slopes divided by strength of changes in a window: for waves of any contrast the number of
    waves per pixel, up to a factor.

    The result has a value for every ``stride``-th whole window: pixel (i, j) stands for the input's
    (window // 2 + stride i, window // 2 + stride j).

    Example:
        >>> waves = lambda period: torch.sin(torch.arange(80.0) * 6.283 / period).expand(1, 3, 80, 80)
        >>> (fineness(waves(5), stride=80) / fineness(waves(10), stride=80)).item() > 1.5
        True
    """
    grey = image.mean(1, keepdim=True)
    slopes = torch.stack(torch.gradient(grey, dim=(2, 3))).square().sum(0)
    mean, square, steep = (F.avg_pool2d(x, window, stride) for x in (grey, grey.square(), slopes))
    return (steep.sqrt() / ((square - mean.square()).clamp(min=0).sqrt() + 0.01))[:, 0]


# --- cues of objects and their outlines -----------------------------------------------------------


def object_heights(
    instances: Int[Tensor, "1 H W"], depth: Float[Tensor, "1 H W"], chosen: set[int], least: int = 12
) -> list[tuple[float, float]]:
    """(height in pixels, median depth in metres) of the chosen objects that lie wholly inside the image.

    Objects of fewer than ``least`` pixels, or without known depth, are left out.

    Example:
        >>> thing = torch.zeros(1, 8, 8, dtype=torch.long)
        >>> thing[0, 2:6, 2:6] = 3
        >>> object_heights(thing, torch.full((1, 8, 8), 7.0), {3})
        [(4.0, 7.0)]
    """
    numbers, metres = instances[0].numpy(), depth[0].numpy()
    found = []
    for number in sorted(chosen & set(np.unique(numbers).tolist())):
        rows, columns = np.nonzero(numbers == number)
        height, width = numbers.shape
        edge = min(rows.min(), columns.min(), height - 1 - rows.max(), width - 1 - columns.max())
        known = metres[rows, columns][metres[rows, columns] > 0]
        if edge > 0 and len(rows) >= least and len(known):
            found.append((float(np.ptp(rows) + 1), float(np.median(known))))
    return found


def visible_creases(
    image: Image, depth: Depth, normals: Float[Tensor, "B 3 H W"], instances: Int[Tensor, "B 1 H W"]
) -> tuple[np.ndarray, np.ndarray]:
    """For each image: how many creases can be seen, and how many there are.

    A crease lies between two neighbours of one object, at nearly the same depth (5 %), whose normals differ
    by more than 45 degrees. It can be seen if the colours differ by more than five of 255 levels on average.
    """
    seen, there = np.zeros((2, len(image)))
    for axis in (2, 3):
        length = image.shape[axis] - 1

        def sides(x: Tensor, axis: int = axis, length: int = length) -> tuple[Tensor, Tensor]:
            return x.narrow(axis, 0, length), x.narrow(axis, 1, length)

        (a, b), (near, far) = sides(instances), sides(depth)
        one_thing = (a == b) & (near > 0) & (far > 0) & ((near / far).log().abs() < 0.05)
        crease = one_thing & (torch.mul(*sides(normals)).sum(1, keepdim=True) < 0.7)
        step = torch.sub(*sides(image)).abs().mean(1, keepdim=True)
        seen += (crease & (step > 5 / 255)).sum((1, 2, 3)).numpy()
        there += crease.sum((1, 2, 3)).numpy()
    return seen, there


# --- the order of things --------------------------------------------------------------------------


def camera_rays(
    T_world_camera: Float[Tensor, "4 4"], K: Float[Tensor, "3 3"], height: int, width: int
) -> Bundles:
    """The rays through the centres of all pixels, a bundle for every row (and for rows below the image, up to
    a whole block), each so long that its parameter is depth.
    """
    rows = height + -height % BLOCK
    v, u = torch.meshgrid(torch.arange(rows), torch.arange(width), indexing="ij")
    x, y = (u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1]
    dx, dy, dz = (axis[0] * x + axis[1] * y + axis[2] for axis in T_world_camera[:3])
    eye = T_world_camera[:3, 3]
    ex, ey, ez = (component.expand(rows, 1) for component in eye)
    blocks = (dx.view(-1, BLOCK * width), dy.view(-1, BLOCK * width), dz.view(-1, BLOCK * width))
    tiles = beams_around(eye, (dx, dy, dz), reach=MISS)
    return Bundles((ex, ey, ez), (dx, dy, dz), tiles, beams_around(eye, blocks, reach=MISS))


def things_alone(
    view: Scene, empty: Scene, K: Float[Tensor, "3 3"], height: int, width: int
) -> Float[Tensor, "N H W"]:
    """Depth of each thing of a scene on its own, as if all things were of glass: a layer a thing, infinite
    where the thing is not.

    Things are what ``view`` has and ``empty``, the same room without furniture, lacks; layers are in the
    order of their instance numbers. Walls are of stone: what is behind one is not there.

    Raises:
        ValueError: if there is no thing.
    """
    rays, instance = camera_rays(view.T_world_camera[0], K, height, width), view.solids.instance

    def alone(solids: Solids) -> Float[Tensor, "H W"]:
        depth, _ = first_hit(rays, solids)
        return depth.masked_fill(depth == MISS, torch.inf)[:height]

    wall = alone(empty.solids)
    things = instance[~torch.isin(instance, empty.solids.instance)].unique()
    if len(things) == 0:
        raise ValueError("this scene has nothing that the empty one lacks")
    depths = [alone(view.solids.select(instance == thing)) for thing in things]
    return torch.stack([depth.masked_fill(depth > wall, torch.inf) for depth in depths])


def shown(layers: Float[Tensor, "N H W"], glass: bool) -> Int[np.ndarray, "H W"]:
    """Which thing shows at every pixel: the nearest; or, where things are of glass, the only one there.

    Things are numbered as their layers; -1 stands for none and -2 for several of glass.

    Example:
        >>> two = torch.tensor([[[1.0, 1.0, torch.inf]], [[torch.inf, 3.0, 3.0]]])
        >>> shown(two, glass=False).tolist(), shown(two, glass=True).tolist()
        ([[0, 0, 1]], [[0, -2, 1]])
    """
    there = layers.isfinite()
    nearest = torch.where(there.any(0), layers.argmin(0), -1)
    return (torch.where(there.sum(0) > 1, -2, nearest) if glass else nearest).numpy()


def crossings(
    layers: Float[Tensor, "N H W"], half: int = 3, gap: float = 1.1
) -> list[tuple[int, int, int, int]]:
    """Places where the outlines of two things cross: (row, column, nearer thing, farther thing).

    Four pixels in a square meet there: one shows neither thing, one the first alone, one the second alone,
    and one has both, the one nearer by the factor ``gap``. (row, column) is the lower right one of the four.
    The window of 2 ``half`` pixels a side around their common corner lies in the image, and no third thing
    comes into it.
    """
    depth, found = layers.numpy(), []
    there = np.isfinite(depth)
    several, (height, width) = there.sum(0), depth.shape[1:]
    overlap = [(a, b) for a, b in combinations(range(len(there)), 2) if (there[a] & there[b]).any()]
    for a, b in overlap:
        states = 1 << (there[a] + 2 * there[b])  # 1 none, 2 the first, 4 the second, 8 both
        corners = states[:-1, :-1] | states[:-1, 1:] | states[1:, :-1] | states[1:, 1:]
        others = several - there[a] - there[b]
        for v, u in (np.argwhere(corners == 1 + 2 + 4 + 8) + 1).tolist():
            down, right = divmod(int(states[v - 1 : v + 1, u - 1 : u + 1].argmax()), 2)  # where both are
            one, other = depth[[a, b], v - 1 + down, u - 1 + right]
            inside = half <= v <= height - half and half <= u <= width - half
            disturbed = others[v - half : v + half, u - half : u + half].any()
            if inside and not disturbed and max(one, other) > gap * min(one, other):
                found.append((v, u, a, b) if one < other else (v, u, b, a))
    return found


def larger_part(
    picture: Int[np.ndarray, "H W"], places: list[tuple[int, int, int, int]], half: int = 3
) -> Float[np.ndarray, " C"]:
    """At which crossings the nearer thing has the larger part of the window: a rule for "which of the two is
    nearer?" that never looks at depth.

    1 where it has, 0 where it has not, 0.5 where the parts are equal, as a coin would decide on average.

    Example:
        >>> t_junction = np.array([[0, 0, 0, 0], [0, 0, 0, 0], [1, 1, -1, -1], [1, 1, -1, -1]])
        >>> larger_part(t_junction, [(2, 2, 0, 1), (2, 2, 1, 0)], half=2).tolist()
        [1.0, 0.0]
    """
    right = np.zeros(len(places))
    for i, (v, u, near, far) in enumerate(places):
        window = picture[v - half : v + half, u - half : u + half]
        right[i] = 0.5 + 0.5 * np.sign(np.sum(window == near) - np.sum(window == far))
    return right


# --- all of them, weighed -------------------------------------------------------------------------


def pixel_features(image: Image) -> dict[str, Float[np.ndarray, "B H W C"]]:
    """Groups of hand-made features per pixel, in the spirit of Saxena et al. 2005: position, colour, haze,
    fineness, edges.
    """
    batch, _, height, width = image.shape
    grey = image.mean(1, keepdim=True)

    def near(x: Tensor, size: int) -> Tensor:
        return F.avg_pool2d(F.pad(x, (size // 2,) * 4, mode="replicate"), size, 1)

    v = torch.linspace(-1, 1, height)[:, None].expand(batch, 1, height, width)
    u = torch.linspace(-1, 1, width).expand(batch, 1, height, width)
    slopes = [slope.abs() for slope in torch.gradient(grey, dim=(2, 3))]
    changes = (near(grey**2, 9) - near(grey, 9) ** 2).clamp(min=0).sqrt()
    dark = darkest(image, 7)[:, None]
    groups = {
        "position": [v, v**2, v**3, u**2, u**2 * v],
        "colour": [image, near(grey, 31)],
        "haze": [dark, near(dark, 15)],
        "fineness": [(near(slopes[0] + slopes[1], 9) / (changes + 0.01) + 0.01).log(), changes],
        "edges": [near(slope, size) for slope in slopes for size in (9, 31)],
    }
    return {name: torch.cat(parts, 1).permute(0, 2, 3, 1).numpy() for name, parts in groups.items()}


def fit(
    train: list[np.ndarray], train_log_depth: np.ndarray, test: list[np.ndarray], test_log_depth: np.ndarray
) -> float:
    """Share of the variance of log depth in unseen scenes that least squares on some features explains.

    Args:
        train, test: arrays (scenes, h, w, features), used side by side; none is the constant alone.
        train_log_depth, test_log_depth: (scenes, h, w), NaN where unknown.

    Example:
        >>> x = np.arange(8.0).reshape(2, 2, 2, 1)
        >>> round(fit([x], 3 * x[..., 0], [x], 3 * x[..., 0]), 6)
        1.0
    """
    known, asked = np.isfinite(train_log_depth), np.isfinite(test_log_depth)
    X = np.concatenate([np.ones((known.sum(), 1)), *(part[known] for part in train)], -1)
    x = np.concatenate([np.ones((asked.sum(), 1)), *(part[asked] for part in test)], -1)
    weights, *_ = np.linalg.lstsq(X, train_log_depth[known], rcond=None)
    y = test_log_depth[asked]
    return float(1 - np.sum((y - x @ weights) ** 2) / np.sum((y - y.mean()) ** 2))
