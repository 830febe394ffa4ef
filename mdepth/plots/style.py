"""The common style: one colour map a quantity, one palette for lines, sizes that survive a 420 pixel screen.

All colour maps but two are perceptually uniform and readable with any colour vision; the two diverging ones
run from blue to red. In depth and inverse depth alike, bright is near.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

__all__ = ["COLOURS", "MAPS", "PALETTE", "WIDTH", "colour_map", "new_figure", "style", "styled", "use_style"]

#: Quantity -> colour map. Every figure of the book that shows the quantity uses this one.
MAPS = {
    "depth": "viridis_r",
    "inverse_depth": "magma",
    "error": "OrRd",
    "signed": "RdBu_r",
    "mask": "cividis",
    "template": "mdepth_template",
}

#: Quantity -> the words beside its colour bar.
LABELS = {
    "depth": "depth [m]",
    "inverse_depth": "inverse depth [1/m]",
    "error": "relative error |d̂ − d| / d",
    "signed": "log error (red: too far)",
    "mask": "mask",
    "template": "weight (red: farther)",
}

#: Roles that recur in line plots and drawings; Okabe and Ito's colours, told apart with any colour vision.
COLOURS = {
    "reported": "#000000",
    "reference": "#0072B2",
    "build": "#E69F00",
    "baseline": "#7f7f7f",
    "good": "#009E73",
    "bad": "#D55E00",
    "accent": "#CC79A7",
    "missing": "#c8c8c8",
    "ink": "#222222",
    "card": "#ffffff",
}

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

WIDTH = 6.4  # inches at 100 dots: 640 pixels, 11 points stay legible at two thirds of that

STYLE: dict[str, Any] = {
    "figure.facecolor": COLOURS["card"],
    "savefig.facecolor": COLOURS["card"],
    "axes.facecolor": COLOURS["card"],
    "figure.dpi": 100,
    "savefig.dpi": 100,
    "figure.constrained_layout.use": True,
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.labelsize": 11,
    "legend.fontsize": 10.5,
    "xtick.labelsize": 10.5,
    "ytick.labelsize": 10.5,
    "text.color": COLOURS["ink"],
    "axes.labelcolor": COLOURS["ink"],
    "xtick.color": COLOURS["ink"],
    "ytick.color": COLOURS["ink"],
    "axes.edgecolor": "#666666",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e3e3",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "lines.linewidth": 2.0,
    "image.interpolation": "nearest",
    "svg.hashsalt": "mdepth",
    "svg.fonttype": "path",
}


def use_style() -> None:
    """Make the book's style matplotlib's default in this process, e.g. for figures of your own."""
    import matplotlib

    matplotlib.rcParams.update(_rc())


@contextmanager
def style() -> Iterator[None]:
    """The book's style inside a ``with`` block, the former one afterwards."""
    import matplotlib

    with matplotlib.rc_context(_rc()):
        yield


def styled(function: Callable) -> Callable:
    """Decorator: the function draws in the book's style."""

    @wraps(function)
    def inside(*args: Any, **kwargs: Any) -> Any:
        with style():
            return function(*args, **kwargs)

    return inside


def new_figure(width: int | float, height: int | float):
    """A figure outside pyplot: nothing shows it a second time, nothing has to close it."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height))


def colour_map(quantity: str):
    """The colour map of a quantity, with grey for missing values.

    Errors: ``ValueError`` naming the quantities that have one.

    Example:
        >>> colour_map("depth").name
        'viridis_r'
    """
    import matplotlib
    from matplotlib.colors import Colormap, LinearSegmentedColormap

    if quantity not in MAPS:
        raise ValueError(f"no colour map for {quantity!r}; quantities are {', '.join(MAPS)}")
    found: Colormap
    if quantity == "template":
        found = LinearSegmentedColormap.from_list(
            MAPS[quantity], ["#7fc4ff", "#1565c0", "#000000", "#c62828", "#ffab91"]
        )
    else:
        found = matplotlib.colormaps[MAPS[quantity]]
    return found.with_extremes(bad=COLOURS["missing"])


def _rc() -> Any:
    from cycler import cycler

    return STYLE | {"axes.prop_cycle": cycler(color=PALETTE)}
