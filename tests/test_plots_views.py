"""Pictures that move and paths in space."""

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from mdepth import plots
from mdepth.evaluate.trajectories import chain, straight_ahead
from mdepth.plots.show import figure_html

RED, BLUE = np.zeros((8, 24, 3)), np.zeros((8, 24, 3))
RED[..., 0], BLUE[..., 2] = 1.0, 1.0
FRAMES = {1.0: {"above": RED, "below": BLUE}, 2.0: {"above": BLUE, "below": RED}}


def pixel(source: str) -> list[int]:
    """The colour in the middle of a picture inside a page."""
    image = Image.open(io.BytesIO(base64.b64decode(source.split(",")[1])))
    assert image.size == (24, 8)
    return [round(value / 255) for value in image.getpixel((12, 4))]


def test_pictures_follow_the_slider() -> None:
    figure = plots.picture_slider(FRAMES, moved="k", start=2.0, notes={1.0: "one", 2.0: "two"}).figure
    assert [pixel(part.source) for part in figure.data] == [[0, 0, 1], [1, 0, 0]]
    assert [[pixel(part.source) for part in frame.data] for frame in figure.frames] == [
        [[1, 0, 0], [0, 0, 1]],
        [[0, 0, 1], [1, 0, 0]],
    ]
    assert [frame.layout.title.text for frame in figure.frames] == ["one", "two"]
    assert figure.layout.title.text == "two"
    assert figure.layout.sliders[0].active == 1
    assert [step.label for step in figure.layout.sliders[0].steps] == ["1.0", "2.0"]


def test_the_still_shows_the_start() -> None:
    still = plots.picture_slider(FRAMES, moved="k", start=1.0).still
    assert [axis.get_title() for axis in still.axes] == ["above", "below"]
    assert np.array_equal(still.axes[0].images[0].get_array(), RED)


def test_tensors_with_channels_first_are_pictures_too() -> None:
    frames = {0: {"a": torch.rand(3, 6, 9)}, 1: {"a": torch.rand(3, 6, 9)}}
    assert len(plots.picture_slider(frames, moved="k").figure.frames) == 2


@pytest.mark.parametrize(
    ("frames", "start"),
    [
        (FRAMES, 3.0),
        (FRAMES | {3.0: {"above": RED}}, 1.0),
        (FRAMES | {3.0: {"above": RED, "below": np.zeros((9, 24, 3))}}, 1.0),
    ],
)
def test_frames_that_do_not_fit_are_refused(frames, start) -> None:
    with pytest.raises(ValueError, match="every frame needs the pictures"):
        plots.picture_slider(frames, moved="k", start=start)


def test_two_builds_write_the_same_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MDEPTH_BOOK", "1")
    pages = {
        figure_html(
            plots.picture_slider(FRAMES, moved="k"),
            alt="Two pictures, one above the other, one red and one blue.",
        )
        for _ in range(2)
    }
    assert len(pages) == 1
    assert "http" not in pages.pop().replace("http://www.w3.org", "")


def test_errors_have_one_scale() -> None:
    low, high, beyond = (plots.colour_error(np.full((2, 2), value), vmax=0.5)[0, 0] for value in (0, 0.5, 9))
    assert np.array_equal(high, beyond)
    assert not np.allclose(low, high)


def test_paths_are_where_the_cameras_were() -> None:
    route = chain(straight_ahead(4, step=2.0))
    figure = plots.paths({"true": route, "guess": route[:, :3, 3]}, names=["guess"]).figure
    for line in figure.data:
        assert (list(line.x), list(line.y), list(line.z)) == ([0] * 5, [0, 2, 4, 6, 8], [0] * 5)
    assert [line.line.dash for line in figure.data] == ["solid", "dash"]
    assert len({line.line.color for line in figure.data}) == 1


def test_a_dashed_path_has_the_colour_of_the_one_before() -> None:
    route = chain(straight_ahead(4, step=2.0))
    names = ["blind", "first", "first guess", "second", "second guess"]
    drawn = plots.paths({name: route for name in names}, names=["blind", "first guess", "second guess"])
    blind, *colours = [line.line.color for line in drawn.figure.data]
    assert blind != colours[0] == colours[1] != colours[2] == colours[3]


@pytest.mark.parametrize("routes", [{}, {"a": np.zeros((4, 4))}])
def test_what_is_no_route_is_refused(routes) -> None:
    with pytest.raises(ValueError, match=r"no routes|expected poses"):
        plots.paths(routes)
