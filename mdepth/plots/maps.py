"""Pictures of maps: depth, inverse depth, errors, masks, templates, truth over its image.

Maps may be tensors or arrays of shape (H, W) or (1, H, W), images (3, H, W) or (H, W, 3) in [0, 1].
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mdepth.plots.style import LABELS, WIDTH, colour_map, new_figure, styled

__all__ = [
    "colour_depth", "depth_grid", "error_map", "image_grid", "overlay_depth", "overlay_points", "templates",
]  # fmt: skip


def colour_depth(
    depth: Any,
    vmin: int | float | None = None,
    vmax: int | float | None = None,
    *,
    quantity: str = "depth",
    valid: Any = None,
) -> np.ndarray:
    """A map as an 8-bit RGB picture (H, W, 3) in the colour of its quantity; missing pixels are grey.

    Args:
        depth: (H, W) or (1, H, W); pixels that are 0, negative or not finite count as missing for depth and
            inverse depth.
        vmin, vmax: ends of the colour scale; by default the smallest and largest value there is.
        quantity: ``depth``, ``inverse_depth``, ``error``, ``signed``, ``mask`` or ``template``.
        valid: further pixels to leave grey, where false.

    Edge cases: a map without any valid pixel is all grey. Errors: ``ValueError`` for another shape or an
    unknown quantity.

    Example:
        >>> colour_depth(np.full((2, 3), 2.0), 0.5, 10.0).shape
        (2, 3, 3)
    """
    values = masked(depth, quantity, valid)
    low, high = _range([values], vmin, vmax)
    scaled = (values - low) / (high - low) if high > low else values * 0 + 0.5
    return (colour_map(quantity)(scaled)[..., :3] * 255).round().astype(np.uint8)


@styled
def depth_grid(
    images: Any,
    maps: Any,
    *,
    quantity: str = "depth",
    vmin: int | float | None = None,
    vmax: int | float | None = None,
    shared: bool = True,
    titles: Sequence[str] = (),
    label: str = "",
    valid: Any = None,
):
    """Images and their maps, all maps on one colour scale with one bar.

    With a mapping every image is a line, with its maps beside it, one column a title. With a sequence every
    image is a column, with its map below it.

    Args:
        images: what was seen.
        maps: one map for each image, or column title -> one map for each image.
        quantity: decides the colours and the bar's words.
        vmin, vmax: ends of the scale; by default the smallest and largest value of all maps.
        shared: one scale for all, or one for each map with a bar of its own.
        titles: one for each image.
        label: words beside the bar instead of the quantity's.
        valid: one mask for each image; pixels outside are grey in all its maps.

    Errors: ``ValueError`` where the numbers of maps or titles and images differ.
    """
    columns = _ready(images, maps, quantity, titles, valid)
    everything = [item for column in columns.values() for item in column]
    scale = _range(everything, vmin, vmax)
    figure, axes = _grid(images, list(columns), beside=isinstance(maps, Mapping), bar=1.0)
    heads = list(titles) or ["image" if isinstance(maps, Mapping) else ""] + [""] * (len(images) - 1)
    words = label or LABELS[quantity]
    for number, (image, head) in enumerate(zip(images, heads, strict=True)):
        _plain(axes[0, number], picture(image), head)
        for place, (title, column) in enumerate(columns.items(), 1):
            low, high = scale if shared else _range([column[number]], vmin, vmax)
            axis, options = axes[place, number], {"cmap": colour_map(quantity), "vmin": low, "vmax": high}
            shown = _plain(axis, column[number], title if number == 0 else "", **options)
            if not shared:
                figure.colorbar(shown, ax=axis, orientation="horizontal", label=words, pad=0.03)
    if shared:
        bar = {"orientation": "horizontal", "label": words, "shrink": 0.6, "aspect": 35, "pad": 0.02}
        figure.colorbar(shown, ax=list(axes.flat), **bar)
    return figure


def _ready(
    images: Any, maps: Any, quantity: str, titles: Sequence[str], valid: Any
) -> dict[str, list[np.ma.MaskedArray]]:
    """Column title -> masked maps, after a look at their numbers."""
    columns = dict(maps) if isinstance(maps, Mapping) else {"": maps}
    for title, column in [*columns.items(), *([("titles", titles)] if titles else [])]:
        if len(column) != len(images):
            raise ValueError(f"{title or 'maps'}: {len(column)} for {len(images)} images")
    masks = valid if valid is not None else [None] * len(images)
    return {
        title: [masked(item, quantity, mask) for item, mask in zip(column, masks, strict=True)]
        for title, column in columns.items()
    }


@styled
def image_grid(images: Any, *, titles: Sequence[str] = (), columns: int = 3):
    """Images in lines, each with its title.

    Errors: ``ValueError`` without images, or with another number of titles.
    """
    if not len(images) or (titles and len(titles) != len(images)):
        raise ValueError(f"{len(images)} images and {len(titles)} titles: give as many, and at least one")
    lines = -(-len(images) // columns)
    height, width = picture(images[0]).shape[:2]
    figure = new_figure(WIDTH, lines * (WIDTH / columns * height / width + (0.3 if titles else 0.05)))
    axes = figure.subplots(lines, columns, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for number, (axis, image) in enumerate(zip(axes.flat, images, strict=False)):
        _plain(axis, picture(image), titles[number] if titles else "")
    return figure


def _grid(images: Any, titles: Sequence[str], *, beside: bool, bar: int | float):
    """A figure with axes indexed [0 for the image, then the maps; number], maps beside or below images."""
    across, down = (len(titles) + 1, len(images)) if beside else (len(images), len(titles) + 1)
    height, width = picture(images[0]).shape[:2]
    figure = new_figure(WIDTH, down * (WIDTH / across * height / width + 0.05) + bar)
    axes = figure.subplots(down, across, squeeze=False)
    return figure, axes.T if beside else axes


@styled
def error_map(prediction: Any, target: Any, valid: Any = None, *, vmax: int | float = 0.5, image: Any = None):
    r"""Where a prediction is wrong: :math:`|\hat d - d| / d` for every valid pixel, with its mean in the
    title.

    Args:
        prediction, target: depth in metres; where the target is 0 there is no truth.
        valid: further pixels to leave out.
        vmax: error at the dark end of the scale.
        image: shown beside it, where given.
    """
    truth = masked(target, "depth", valid)
    error = np.ma.abs(array(prediction) - truth) / truth
    panels = 1 if image is None else 2
    height, width = error.shape
    figure = new_figure(WIDTH, WIDTH / 2 * height / width + 1.0)
    axes = figure.subplots(1, panels, squeeze=False)[0]
    if image is not None:
        _plain(axes[0], picture(image), "image")
    shown = _plain(axes[-1], error, f"mean {error.mean():.3f}", cmap=colour_map("error"), vmin=0, vmax=vmax)
    figure.colorbar(shown, ax=axes[-1], label=LABELS["error"], extend="max", shrink=0.8)
    return figure


@styled
def overlay_depth(
    image: Any,
    depth: Any,
    *,
    vmin: int | float | None = None,
    vmax: int | float | None = None,
    opacity: int | float = 0.6,
    valid: Any = None,
    columns: int = 2,
):
    r"""Dense depth, such as a Kinect's, as translucent colour over its image, which is greyed; where depth is
    unknown the bare image shows. A pixel becomes :math:`(1 - a)\, grey + a\, colour`.

    An edge of depth must lie on the edge of the thing that it belongs to: whether truth and image fit can be
    seen only where they lie over each other.

    Args:
        image: (3, H, W) or (H, W, 3) in [0, 1].
        depth: (H, W) metres, 0 where unknown; or title -> such a map, one panel each, over the same image on
            one colour scale.
        vmin, vmax: ends of the colour scale in metres; by default the smallest and largest depth there is.
        opacity: a, from 0 (the image alone) to 1 (depth alone).
        valid: further pixels to leave bare, where false.
        columns: panels in a line.

    Edge cases: a map without any valid pixel leaves the grey image. Errors: ``ValueError`` for a map of
    another size than the image, no map, or an opacity outside [0, 1].

    Example:
        >>> figure = overlay_depth(np.zeros((3, 4, 6)), np.full((4, 6), 2.0), vmin=0.5, vmax=10.0)
        >>> figure.axes[0].images[0].get_array().shape
        (4, 6, 3)
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    grey, maps = _greyed(image), dict(depth) if isinstance(depth, Mapping) else {"": depth}
    ready = [masked(item, "depth", valid) for item in maps.values()]
    if not ready or any(item.shape != grey.shape[:2] for item in ready):
        sizes = [item.shape for item in ready]
        raise ValueError(
            f"expected maps of the image's size {grey.shape[:2]}, got {sizes}; resize them first"
        )
    if not 0 <= opacity <= 1:
        raise ValueError(f"opacity must lie in [0, 1], got {opacity}")
    low, high = _range(ready, vmin, vmax)
    across = min(columns, len(ready))
    lines = -(-len(ready) // across)
    height, width = grey.shape[:2]
    head = 0.3 if any(maps) else 0.0
    figure = new_figure(WIDTH, lines * (WIDTH / across * height / width + head) + 0.9)
    axes = figure.subplots(lines, across, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, title, values in zip(axes.flat, maps, ready, strict=False):
        known = ~np.ma.getmaskarray(values)[..., None]  # H W 1
        colour = colour_depth(values.filled(0), low, high) / 255
        _plain(axis, np.where(known, (1 - opacity) * grey + opacity * colour, grey), title)
    scale = ScalarMappable(Normalize(low, high), colour_map("depth"))
    bar = {"orientation": "horizontal", "label": LABELS["depth"], "shrink": 0.6, "aspect": 35, "pad": 0.02}
    figure.colorbar(scale, ax=list(axes.flat), **bar)
    return figure


@styled
def overlay_points(
    image: Any,
    depth: Any,
    *,
    vmin: int | float | None = None,
    vmax: int | float | None = None,
    size: int | float = 5.0,
):
    """Sparse depth, such as a LiDAR's, as dots over its image, which is greyed so that the dots carry the
    colour.

    Args:
        image: (3, H, W) or (H, W, 3) in [0, 1].
        depth: (H, W) metres, 0 where there is no return.
        vmin, vmax: ends of the colour scale in metres.
        size: area of a dot in points².
    """
    values = masked(depth, "depth", None)
    rows, columns = np.nonzero(~np.ma.getmaskarray(values))
    low, high = _range([values], vmin, vmax)
    height, width = values.shape
    figure = new_figure(WIDTH, WIDTH * height / width + 0.9)
    axis = figure.subplots()
    _plain(axis, _greyed(image), "")
    dots = axis.scatter(
        columns,
        rows,
        c=values[rows, columns],
        s=size,
        cmap=colour_map("depth"),
        vmin=low,
        vmax=high,
        linewidths=0,
    )
    figure.colorbar(dots, ax=axis, orientation="horizontal", label=LABELS["depth"], shrink=0.6, aspect=35)
    return figure


@styled
def templates(weights: Any, *, count: int = 24, columns: int = 6):
    """The maps that hidden units add to log depth, sorted by norm: red pushes away, blue pulls near, black
    leaves alone.

    Args:
        weights: (units, h, w), e.g. ``EigenCoarse.templates()``.
        count: how many to show, taken at equal steps through the order of norms.
        columns: maps in a line.

    Errors: ``ValueError`` unless there are three axes.
    """
    from matplotlib.ticker import MaxNLocator

    units = array(weights, axes=3)
    order = np.argsort(-np.linalg.norm(units.reshape(len(units), -1), axis=1), kind="stable")
    picked = units[order[np.linspace(0, len(units) - 1, min(count, len(units))).round().astype(int)]]
    limit = float(np.abs(picked).max()) or 1.0
    lines = -(-len(picked) // columns)
    cell = WIDTH / columns
    figure = new_figure(WIDTH, lines * cell * units.shape[1] / units.shape[2] + 0.9)
    axes = figure.subplots(lines, columns, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, unit in zip(axes.flat, picked, strict=False):
        shown = _plain(axis, unit, "", cmap=colour_map("template"), vmin=-limit, vmax=limit)
    bar = {"orientation": "horizontal", "label": LABELS["template"], "shrink": 0.6, "aspect": 35, "pad": 0.02}
    figure.colorbar(shown, ax=axes, ticks=MaxNLocator(4, symmetric=True), **bar)
    return figure


def array(values: Any, axes: int = 2) -> np.ndarray:
    """A tensor or array as float64 with so many axes; leading axes of length one are dropped."""
    found = values.detach().cpu().numpy() if hasattr(values, "detach") else np.asarray(values)
    while found.ndim > axes and found.shape[0] == 1:
        found = found[0]
    if found.ndim != axes:
        raise ValueError(f"expected {axes} axes, got shape {found.shape}; pick one item of the batch")
    return found.astype(np.float64)


def picture(image: Any) -> np.ndarray:
    """An image as (H, W, 3) in [0, 1]."""
    found = array(image, axes=3)
    found = np.moveaxis(found, 0, 2) if found.shape[0] == 3 and found.shape[2] != 3 else found
    if found.shape[2] != 3:
        raise ValueError(f"expected an RGB image (3, H, W) or (H, W, 3), got shape {found.shape}")
    return found.clip(0, 1)


def _greyed(image: Any) -> np.ndarray:
    """An image without colour and with half of its contrast, (H, W, 3): what is drawn over it carries the
    colour.
    """
    return np.repeat((picture(image).mean(axis=2, keepdims=True) + 0.6) / 2.1, 3, axis=2)


def masked(values: Any, quantity: str, valid: Any = None) -> np.ma.MaskedArray:
    """A map with its missing pixels masked: not finite, outside ``valid``, and zero or less where that means
    "unknown".
    """
    found = array(values)
    missing = ~np.isfinite(found)
    if quantity in ("depth", "inverse_depth"):
        missing |= found <= 0
    if valid is not None:
        missing |= array(valid) == 0
    return np.ma.masked_array(np.where(missing, 0.0, found), missing)


def _range(
    maps: Sequence[np.ma.MaskedArray], vmin: int | float | None, vmax: int | float | None
) -> tuple[float, float]:
    """The ends of a shared scale; 0 to 1 where nothing is valid."""
    found = [item for item in maps if item.count()]
    low = vmin if vmin is not None else min((float(item.min()) for item in found), default=0.0)
    high = vmax if vmax is not None else max((float(item.max()) for item in found), default=1.0)
    return low, high


def _plain(axis, values, title: str, **options):
    """An image on an axis without ticks, frame or grid."""
    axis.axis("off")
    axis.set_title(title)
    return axis.imshow(values, **options)
