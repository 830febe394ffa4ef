"""What moves: sliders and point clouds in plotly, which need no running kernel and no network in the built
book.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mdepth.plots.style import PALETTE, WIDTH, new_figure, styled

__all__ = ["Interactive", "interactive_html", "point_cloud", "setup_book", "slider"]

CONFIG = {"displaylogo": False, "responsive": True}
FONT = {"family": "DejaVu Sans, Helvetica, Arial, sans-serif", "size": 14, "color": "#222222"}


@dataclass(frozen=True)
class Interactive:
    """A plotly figure and the matplotlib figure that stands for it on paper and without scripts."""

    figure: Any
    still: Any = None


def setup_book() -> bool:
    """In the book's build, and only there, let plotly write figures that load plotly from the book's own
    files.

    ``$MDEPTH_BOOK`` says that this is the build; its value is how many folders the page lies below the book's
    root (1 for ``executed/eigen.html``). Returns whether anything was set up.
    """
    if not os.environ.get("MDEPTH_BOOK"):
        return False
    import plotly.io as pio
    from plotly.io._base_renderers import MimetypeRenderer  # no public base class offers to_mimebundle

    class Book(MimetypeRenderer):
        def to_mimebundle(self, fig_dict: dict) -> dict[str, str]:
            return {"text/html": _book_html(fig_dict)}

    pio.renderers["book"] = Book()
    pio.renderers.default = "book"
    return True


def plotly_js() -> str:
    """Where a page of the book finds plotly, relative to itself.

    Errors: ``ValueError`` where ``$MDEPTH_BOOK`` is not a number of folders.
    """
    depth = os.environ.get("MDEPTH_BOOK", "1")
    if not depth.isdigit():
        raise ValueError(
            f"MDEPTH_BOOK is {depth!r}, expected how many folders the page lies below the book's root, "
            "such as 1"
        )
    return "../" * int(depth) + "_static/vendor/plotly.min.js"


def interactive_html(figure: Any) -> str:
    """A plotly figure as HTML: with the book's own plotly in the book, with the reader's own elsewhere."""
    import plotly.io as pio

    if os.environ.get("MDEPTH_BOOK"):
        return _book_html(figure.to_dict())
    return pio.to_html(figure, include_plotlyjs="cdn", full_html=False, auto_play=False, config=CONFIG,
                       div_id=_name(figure.to_dict()))  # fmt: skip


@styled
def slider(
    x: Any,
    frames: Mapping[Any, Mapping[str, Any]],
    *,
    moved: str,
    xlabel: str,
    ylabel: str,
    start: int | float | None = None,
    notes: Mapping[Any, str] | None = None,
) -> Interactive:
    """Curves in which one number moves: every value of it is a step of the slider, computed beforehand.

    Args:
        x: shared by all curves.
        frames: value of the moved number -> curve name -> y; every frame has the same curves.
        moved: name of the number, e.g. ``"scale s"``.
        xlabel, ylabel: axes with units.
        start: the value shown first; the middle one by default.
        notes: value -> a line of text above the curves, e.g. the scores at that value.

    Errors: ``ValueError`` where frames have different curves, or ``start`` is none of them.
    """
    import plotly.graph_objects as go

    values, notes = list(frames), notes or {}
    start = values[len(values) // 2] if start is None else start
    names = list(frames[values[0]])
    if start not in frames or any(list(frame) != names for frame in frames.values()):
        raise ValueError(
            f"every frame needs the curves {names}, and start must be one of the values; start is {start}"
        )
    moving = [
        go.Frame(data=_lines(x, frame), name=f"{value:g}", layout={"title": {"text": notes.get(value, "")}})
        for value, frame in frames.items()
    ]
    figure = go.Figure(data=_lines(x, frames[start]), frames=moving)
    figure.update_layout(
        sliders=[_steps(values, values.index(start), moved)],
        xaxis={"title": {"text": xlabel}},
        yaxis={"title": {"text": ylabel}, "range": _limits(frames)},
        title={"text": notes.get(start, ""), "font": {"size": 14}},
        height=460,
        **_layout(),
    )
    title = f"{moved} = {start:g}  {notes.get(start, '')}"
    return Interactive(figure, _still_lines(x, frames[start], xlabel, ylabel, title))


def _steps(values: Sequence[Any], active: int, moved: str) -> dict[str, Any]:
    """Plotly's slider: one step a value, shown at once."""
    at_once = {
        "mode": "immediate",
        "frame": {"duration": 0, "redraw": True},
        "transition": {"duration": 0},
    }
    steps = [
        {"label": f"{value:g}", "method": "animate", "args": [[f"{value:g}"], at_once]} for value in values
    ]
    return {"active": active, "currentvalue": {"prefix": f"{moved} = "}, "pad": {"t": 55}, "steps": steps}


def _limits(frames: Mapping[Any, Mapping[str, Any]]) -> list[float]:
    """A range that holds every curve of every frame, so that the axis stands still while the number moves."""
    curves = [curve for frame in frames.values() for curve in frame.values()]
    low, high = float(min(map(min, curves))), float(max(map(max, curves)))
    margin = 0.05 * (high - low or 1.0)
    return [low - margin, high + margin]


@styled
def point_cloud(
    points: Any, colours: Any, *, limit: int = 20_000, seed: int = 0, size: int | float = 2.0
) -> Interactive:
    """A cloud to turn with the mouse, seen first from a little behind and above the camera.

    Args:
        points: (N, 3) or (3, H, W) metres, camera axes (x right, y down, z forward); points at z <= 0 are
            left out.
        colours: as many RGB in [0, 1].
        limit: draw at most so many, chosen by ``seed``.
        size: diameter of a dot in pixels.

    Errors: ``ValueError`` where there is no point in front of the camera.
    """
    import plotly.graph_objects as go

    xyz, rgb = (_list_of_three(values) for values in (points, colours))
    keep = np.flatnonzero(np.isfinite(xyz).all(axis=1) & (xyz[:, 2] > 0))
    if not len(keep):
        raise ValueError("no point lies in front of the camera (z > 0)")
    if len(keep) > limit:
        keep = np.sort(np.random.default_rng(seed).choice(keep, limit, replace=False))
    xyz, rgb = xyz[keep].round(3), (rgb[keep].clip(0, 1) * 255).round().astype(int)
    dots = go.Scatter3d(
        x=xyz[:, 0].tolist(),
        y=xyz[:, 2].tolist(),
        z=(-xyz[:, 1]).tolist(),
        mode="markers",
        hoverinfo="skip",
        marker={"size": size, "color": [f"rgb({r},{g},{b})" for r, g, b in rgb]},
    )
    figure = go.Figure(dots)
    titles = {"xaxis": "right [m]", "yaxis": "forward [m]", "zaxis": "up [m]"}
    figure.update_layout(scene={"aspectmode": "data", "camera": {"eye": {"x": -0.45, "y": -1.9, "z": 0.8}},
                                **{axis: {"title": {"text": text}} for axis, text in titles.items()}},
                         height=480, **_layout())  # fmt: skip
    return Interactive(figure, _still_cloud(xyz, rgb / 255))


def _lines(x: Any, curves: Mapping[str, Any]) -> list:
    import plotly.graph_objects as go

    return [
        go.Scatter(
            x=list(map(float, x)),
            y=[round(float(value), 6) for value in y],
            name=name,
            mode="lines",
            line={"color": PALETTE[k % len(PALETTE)], "width": 3},
        )
        for k, (name, y) in enumerate(curves.items())
    ]


def _layout() -> dict[str, Any]:
    return {
        "template": "plotly_white",
        "paper_bgcolor": "white",
        "font": FONT,
        "margin": {"l": 60, "r": 20, "t": 50, "b": 50},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    }


def _still_lines(x: Any, curves: Mapping[str, Any], xlabel: str, ylabel: str, title: str):
    figure = new_figure(WIDTH, 3.8)
    axis = figure.subplots()
    for name, y in curves.items():
        axis.plot(x, y, label=name)
    axis.set(xlabel=xlabel, ylabel=ylabel, title=title)
    axis.legend()
    return figure


def _still_cloud(xyz: np.ndarray, rgb: np.ndarray):
    figure = new_figure(WIDTH, 4.6)
    axis = figure.add_subplot(projection="3d")
    axis.scatter(xyz[:, 0], xyz[:, 2], -xyz[:, 1], c=rgb, s=2, linewidths=0)
    axis.set(xlabel="right [m]", ylabel="forward [m]", zlabel="up [m]")
    axis.view_init(elev=20, azim=-100)
    axis.set_box_aspect(np.ptp(xyz[:, [0, 2, 1]], axis=0) + 1e-6, zoom=0.88)
    return figure


def _list_of_three(values: Any) -> np.ndarray:
    found = values.detach().cpu().numpy() if hasattr(values, "detach") else np.asarray(values)
    found = found.reshape(3, -1).T if found.ndim == 3 and found.shape[0] == 3 else found
    if found.ndim != 2 or found.shape[1] != 3:
        raise ValueError(f"expected (N, 3) or (3, H, W), got shape {found.shape}")
    return found.astype(float)


def _book_html(fig_dict: dict) -> str:
    import plotly.io as pio

    return pio.to_html(
        fig_dict,
        include_plotlyjs=plotly_js(),
        include_mathjax=False,
        full_html=False,
        auto_play=False,
        div_id=_name(fig_dict),
        validate=False,
        config=CONFIG,
    )


def _name(fig_dict: dict) -> str:
    """An id from what the figure shows, so that two builds write the same page."""
    import plotly.io as pio

    content = json.dumps(json.loads(pio.to_json(fig_dict, validate=False)), sort_keys=True)
    return "fig-" + hashlib.sha1(content.encode(), usedforsecurity=False).hexdigest()[:12]
