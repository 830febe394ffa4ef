"""What moves: sliders and point clouds in plotly, which need no running kernel and no network in the built
book.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mdepth.plots.style import COLOURS, PALETTE, WIDTH, new_figure, styled

__all__ = [
    "Interactive", "interactive_html", "layout", "point_cloud", "point_clouds", "setup_book", "slider",
    "step_slider",
]  # fmt: skip

CONFIG = {"displaylogo": False, "responsive": True, "showSendToCloud": False}
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
    points: Mapping[Any, Mapping[str, tuple[Any, Any]]] | None = None,
) -> Interactive:
    """Curves in which one number moves: every value of it is a step of the slider, computed beforehand.

    Args:
        x: shared by all curves.
        frames: value of the moved number -> curve name -> y; every frame has the same curves.
        moved: name of the number, e.g. ``"scale s"``.
        xlabel, ylabel: axes with units.
        start: the value shown first; the middle one by default.
        notes: value -> a line of text above the curves, e.g. the scores at that value.
        points: value -> name -> (x, y) of dots, such as the data that a curve was fitted to; every frame has
            the same names.

    Errors: ``ValueError`` where frames have different curves or points, or ``start`` is none of them.
    """
    import plotly.graph_objects as go

    values, notes = list(frames), notes or {}
    start = values[len(values) // 2] if start is None else start
    names = list(frames[values[0]])
    if start not in frames or any(list(frame) != names for frame in frames.values()):
        raise ValueError(
            f"every frame needs the curves {names}, and start must be one of the values; start is {start}"
        )
    points = {value: {} for value in values} if points is None else points
    groups = list(points.get(start, {}))
    if set(points) != set(frames) or any(list(dots) != groups for dots in points.values()):
        raise ValueError(f"every frame needs the points {groups}, and points need the values of the frames")
    moving = [
        go.Frame(data=_lines(x, frame) + _dots(points[value]), name=f"{value:g}",
                 layout={"title": {"text": notes.get(value, "")}})
        for value, frame in frames.items()
    ]  # fmt: skip
    figure = go.Figure(data=_lines(x, frames[start]) + _dots(points[start]), frames=moving)
    every_x, every_y = (
        [dots[side] for group in points.values() for dots in group.values()] for side in (0, 1)
    )
    curves = [curve for frame in frames.values() for curve in frame.values()]
    figure.update_layout(
        sliders=[step_slider([f"{value:g}" for value in values], values.index(start), f"{moved} = ")],
        xaxis={"title": {"text": xlabel}} | ({"range": _limits([x, *every_x])} if every_x else {}),
        yaxis={"title": {"text": ylabel}, "range": _limits(curves + every_y)},
        title={"text": notes.get(start, ""), "font": {"size": 14}, "y": 0.93, "yanchor": "top"},
        height=460,
        **layout(),
    )
    if notes:  # the legend below them, not over them
        figure.update_layout(legend={"yref": "container", "y": 0.87, "yanchor": "top"})
    title = f"{moved} = {start:g}  {notes.get(start, '')}"
    return Interactive(figure, _still_lines(x, frames[start], points[start], xlabel, ylabel, title))


def step_slider(labels: Sequence[str], active: int, prefix: str) -> dict[str, Any]:
    """Plotly's slider: one step a frame, by the frame's name, shown at once."""
    at_once = {
        "mode": "immediate",
        "frame": {"duration": 0, "redraw": True},
        "transition": {"duration": 0},
    }
    steps = [{"label": label, "method": "animate", "args": [[label], at_once]} for label in labels]
    return {"active": active, "currentvalue": {"prefix": prefix}, "pad": {"t": 55}, "steps": steps}


def _limits(everything: Iterable[Any]) -> list[float]:
    """A range that holds every curve of every frame, so that the axis stands still while the number moves."""
    values = [float(value) for values in everything for value in values]
    margin = 0.05 * (max(values) - min(values) or 1.0)
    return [min(values) - margin, max(values) + margin]


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
    xyz, rgb = _seen(points, colours, limit, seed)
    return Interactive(_space([_cloud(xyz, rgb, size)]), _still_clouds({"": (xyz, rgb)}))


@styled
def point_clouds(clouds: Mapping[str, tuple[Any, Any]], *, limit: int = 20_000) -> Interactive:
    """Clouds of one scene, such as prediction and truth, one at a time: a button for each, while camera and
    axes stay where they are. On paper they stand side by side.

    Args:
        clouds: name -> (points, colours) as in :func:`point_cloud`.
        limit: draw at most so many points of each; clouds with equally many points in front of the camera
            show the same ones.

    Errors: ``ValueError`` without clouds, or where one has no point in front of the camera.

    Example:
        >>> wall = np.array([[0.0, 0.0, 2.0], [1.0, 0.0, 2.0]])
        >>> [dots.visible for dots in point_clouds({"a": (wall, wall), "b": (wall, wall)}).figure.data]
        [True, False]
    """
    if not clouds:
        raise ValueError("no clouds to draw")
    found = {name: _seen(points, colours, limit, seed=0) for name, (points, colours) in clouds.items()}
    figure = _space([_cloud(xyz, rgb, 2.0) for xyz, rgb in found.values()])
    for number, dots in enumerate(figure.data):
        dots.visible = number == 0
    shown = [[number == chosen for number in range(len(found))] for chosen in range(len(found))]
    buttons = [{"label": name, "method": "restyle", "args": [{"visible": row}]}
               for name, row in zip(found, shown, strict=True)]  # fmt: skip
    place = {"x": 0, "y": 1, "xanchor": "left", "yanchor": "bottom", "pad": {"b": 8}}
    figure.update_layout(
        showlegend=False,
        margin={"t": 50},
        updatemenus=[{"type": "buttons", "direction": "right", "active": 0, "buttons": buttons} | place],
    )
    ends = np.array(_ends([xyz for xyz, _ in found.values()]))
    spans = np.ptp(ends, axis=1)
    for name, end, share in zip("xyz", ends.tolist(), (spans / np.cbrt(spans.prod())).tolist(), strict=True):
        figure.update_scenes({f"{name}axis": {"range": end}, "aspectratio": {name: share}})
    figure.update_scenes(aspectmode="manual")
    return Interactive(figure, _still_clouds(found))


def _seen(points: Any, colours: Any, limit: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points in front of the camera and their colours in 0 to 255, at most so many."""
    xyz, rgb = (_list_of_three(values) for values in (points, colours))
    keep = np.flatnonzero(np.isfinite(xyz).all(axis=1) & (xyz[:, 2] > 0))
    if not len(keep):
        raise ValueError("no point lies in front of the camera (z > 0)")
    if len(keep) > limit:
        keep = np.sort(np.random.default_rng(seed).choice(keep, limit, replace=False))
    return xyz[keep].round(3), (rgb[keep].clip(0, 1) * 255).round().astype(int)


def _cloud(xyz: np.ndarray, rgb: np.ndarray, size: int | float) -> Any:
    import plotly.graph_objects as go

    return go.Scatter3d(
        x=xyz[:, 0].tolist(),
        y=xyz[:, 2].tolist(),
        z=(-xyz[:, 1]).tolist(),
        mode="markers",
        hoverinfo="skip",
        marker={"size": size, "color": [f"rgb({r},{g},{b})" for r, g, b in rgb]},
    )


def _space(clouds: list[Any]) -> Any:
    """Clouds in one scene with axes in metres."""
    import plotly.graph_objects as go

    figure = go.Figure(clouds)
    titles = {"xaxis": "right [m]", "yaxis": "forward [m]", "zaxis": "up [m]"}
    figure.update_layout(scene={"aspectmode": "data", "camera": {"eye": {"x": -0.5, "y": -2.1, "z": 0.9}},
                                **{axis: {"title": {"text": text}} for axis, text in titles.items()}},
                         height=480, **layout() | {"margin": {"l": 0, "r": 0, "t": 0, "b": 0}})  # fmt: skip
    return figure


def _ends(clouds: Iterable[np.ndarray]) -> list[tuple[float, float]]:
    """Ends of axes to the right, forward and up that hold all clouds with a little room around them."""
    xyz = np.concatenate(list(clouds))[:, [0, 2, 1]] * (1, 1, -1)
    room = 0.02 * float(np.ptp(xyz, axis=0).max()) or 0.01
    return [(float(values.min()) - room, float(values.max()) + room) for values in xyz.T]


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


def _dots(groups: Mapping[str, tuple[Any, Any]]) -> list:
    import plotly.graph_objects as go

    return [
        go.Scatter(
            x=list(map(float, x)),
            y=[round(float(value), 6) for value in y],
            name=name,
            mode="markers",
            marker={"color": COLOURS["ink"], "size": 9, "symbol": ("circle", "diamond", "cross")[k % 3]},
        )
        for k, (name, (x, y)) in enumerate(groups.items())
    ]


def layout() -> dict[str, Any]:
    """What all live figures share: a white card, the font, room around the axes."""
    return {
        "template": "plotly_white",
        "paper_bgcolor": "white",
        "font": FONT,
        "margin": {"l": 60, "r": 20, "t": 50, "b": 50},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    }


def _still_lines(
    x: Any,
    curves: Mapping[str, Any],
    groups: Mapping[str, tuple[Any, Any]],
    xlabel: str,
    ylabel: str,
    title: str,
):
    figure = new_figure(WIDTH, 3.8)
    axis = figure.subplots()
    for name, y in curves.items():
        axis.plot(x, y, label=name)
    for k, (name, dots) in enumerate(groups.items()):
        axis.plot(*dots, "oDX"[k % 3], color=COLOURS["ink"], label=name)
    axis.set(xlabel=xlabel, ylabel=ylabel, title=title)
    axis.legend()
    return figure


def _still_clouds(clouds: Mapping[str, tuple[np.ndarray, np.ndarray]]):
    """Clouds side by side, on the same axes."""
    figure = new_figure(WIDTH, 4.6 if len(clouds) == 1 else 3.2)
    ends = _ends([xyz for xyz, _ in clouds.values()])
    for number, (name, (xyz, rgb)) in enumerate(clouds.items(), 1):
        axis = figure.add_subplot(1, len(clouds), number, projection="3d")
        axis.scatter(xyz[:, 0], xyz[:, 2], -xyz[:, 1], c=rgb / 255, s=2, linewidths=0, depthshade=False)
        axis.set(xlabel="right [m]", ylabel="forward [m]", zlabel="up [m]", title=name)
        axis.set(**dict(zip(("xlim", "ylim", "zlim"), ends, strict=True)))
        axis.locator_params(nbins=4)
        axis.view_init(elev=20, azim=-100)
        axis.set_box_aspect([high - low for low, high in ends], zoom=0.92)
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
