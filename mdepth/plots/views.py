"""Pictures and paths that move: what a warped view looks like while one number changes, and where a camera
went.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mdepth.plots.interactive import Interactive, layout, step_slider
from mdepth.plots.maps import array, picture
from mdepth.plots.style import PALETTE, WIDTH, colour_map, new_figure, styled

__all__ = ["colour_error", "paths", "picture_slider"]


def colour_error(error: Any, *, vmax: int | float) -> np.ndarray:
    """A map of errors as colours, (H, W, 3) in [0, 1]: the colour map of errors from 0 to ``vmax``.

    Example:
        >>> colour_error(np.zeros((4, 6)), vmax=1.0).shape
        (4, 6, 3)
    """
    return colour_map("error")(array(error) / vmax)[..., :3]


@styled
def picture_slider(
    frames: Mapping[Any, Mapping[str, Any]],
    *,
    moved: str,
    start: Any = None,
    notes: Mapping[Any, str] | None = None,
) -> Interactive:
    """Pictures below each other in which one number moves: every value of it is a step of the slider,
    computed beforehand.

    Args:
        frames: value of the moved number -> title -> image, (3, H, W) or (H, W, 3) in [0, 1]; every frame has
            the same titles, and all images the same size.
        moved: name of the number, e.g. ``"depth (m)"``.
        start: the value shown first; the middle one by default.
        notes: value -> a line of text above the pictures, e.g. the error at that value.

    Errors: ``ValueError`` where frames have different titles or sizes, or ``start`` is none of them.

    Example:
        >>> frames = {k: {"a": np.full((4, 6, 3), k / 2)} for k in (0, 1, 2)}
        >>> len(picture_slider(frames, moved="k").figure.frames)
        3
    """
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    values, notes = list(frames), notes or {}
    start = values[len(values) // 2] if start is None else start
    drawn = {
        value: {title: picture(image) for title, image in each.items()} for value, each in frames.items()
    }
    titles = list(drawn[values[0]])
    shapes = {image.shape for each in drawn.values() for image in each.values()}
    if start not in drawn or len(shapes) > 1 or any(list(each) != titles for each in drawn.values()):
        raise ValueError(
            f"every frame needs the pictures {titles} in one size, and start must be one of the values; "
            f"start is {start}, sizes are {sorted(shapes)}"
        )
    height, width, _ = shapes.pop()

    def images(value: Any) -> list[Any]:
        return [go.Image(source=_uri(drawn[value][title]), hoverinfo="skip") for title in titles]

    figure = make_subplots(
        rows=len(titles), cols=1, subplot_titles=titles, vertical_spacing=0.25 / len(titles)
    )
    for row, image in enumerate(images(start), start=1):
        figure.add_trace(image, row=row, col=1)
    figure.frames = [
        go.Frame(data=images(value), name=f"{value}", traces=list(range(len(titles))),
                 layout={"title": {"text": notes.get(value, "")}})
        for value in values
    ]  # fmt: skip
    figure.update_xaxes(visible=False, constrain="domain")
    figure.update_yaxes(visible=False, constrain="domain")
    figure.update_layout(
        sliders=[step_slider([f"{value}" for value in values], values.index(start), f"{moved} = ")],
        title={"text": notes.get(start, ""), "font": {"size": 14}, "y": 0.98, "yanchor": "top"},
        **layout() | {"margin": {"l": 10, "r": 10, "t": 60, "b": 60}},
        height=round(150 + len(titles) * (40 + 600 * height / width)),
    )
    still = _still_pictures(drawn[start], f"{moved} = {start}  {notes.get(start, '')}")
    return Interactive(figure, still)


def _uri(image: np.ndarray) -> str:
    """A picture as a JPEG inside a page."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray((image * 255).round().astype(np.uint8)).save(buffer, format="JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _still_pictures(pictures: Mapping[str, np.ndarray], title: str):
    height, width, _ = next(iter(pictures.values())).shape
    figure = new_figure(WIDTH, len(pictures) * (0.35 + WIDTH * height / width) + 0.3)
    axes = np.atleast_1d(figure.subplots(len(pictures), 1))
    for axis, (name, image) in zip(axes, pictures.items(), strict=True):
        axis.imshow(image)
        axis.set_title(name)
        axis.axis("off")
    figure.suptitle(title)
    return figure


@styled
def paths(routes: Mapping[str, Any], *, names: Sequence[str] = ()) -> Interactive:
    """Where cameras went, in space: a line for each route with a dot for each frame, to be turned by hand; on
    paper seen from above.

    Args:
        routes: name -> poses (N, 4, 4) or positions (N, 3) in metres; x right, y down, z forward.
        names: of routes that are drawn dashed, in the colour of the one before, e.g. guesses behind truths.

    Errors: ``ValueError`` without routes, or for another shape.

    Example:
        >>> straight = np.stack([np.zeros(4), np.zeros(4), np.arange(4.0)], axis=1)
        >>> len(paths({"true": straight}).figure.data)
        1
    """
    import plotly.graph_objects as go

    if not routes:
        raise ValueError("no routes to draw")
    found = {name: _positions(route) for name, route in routes.items()}
    dash = {name: "dash" if name in names else "solid" for name in found}
    colour, solid = dict[str, str](), -1
    for name in found:
        solid += name not in names or not colour
        colour[name] = PALETTE[solid % len(PALETTE)]
    lines = [
        go.Scatter3d(
            x=xyz[:, 0].tolist(), y=xyz[:, 2].tolist(), z=(-xyz[:, 1]).tolist(), name=name,
            mode="lines+markers", marker={"color": colour[name], "size": 3},
            line={"color": colour[name], "width": 5, "dash": dash[name]},
        )
        for name, xyz in found.items()
    ]  # fmt: skip
    figure = go.Figure(lines)
    axes = {"xaxis": "right [m]", "yaxis": "forward [m]", "zaxis": "up [m]"}
    figure.update_layout(
        scene={
            "aspectmode": "data",
            "camera": {"eye": {"x": -0.8, "y": -1.6, "z": 1.2}},
            **{axis: {"title": {"text": text}} for axis, text in axes.items()},
        },
        height=480,
        **layout() | {"margin": {"l": 0, "r": 0, "t": 30, "b": 0}},
    )
    still = new_figure(WIDTH, 4.2)
    axis = still.subplots()
    for name, xyz in found.items():
        look = "--" if name in names else "-"
        axis.plot(xyz[:, 0], xyz[:, 2], look, color=colour[name], marker=".", label=name)
    axis.set(xlabel="right [m]", ylabel="forward [m]", aspect="equal")
    axis.legend(loc="upper left", bbox_to_anchor=(1.02, 1))
    return Interactive(figure, still)


def _positions(route: Any) -> np.ndarray:
    """Positions of poses, or as they are; rounded to a millimetre."""
    values = route.detach().cpu().numpy() if hasattr(route, "detach") else np.asarray(route)
    values = values[:, :3, 3] if values.ndim == 3 and values.shape[1:] == (4, 4) else values
    if values.ndim != 2 or values.shape[1] != 3:
        raise ValueError(f"expected poses (N, 4, 4) or positions (N, 3), got shape {values.shape}")
    return values.astype(float).round(3)
