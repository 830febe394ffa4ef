"""Live figures: points beside curves, clouds that can be switched, nothing that leaves the page."""

from typing import Any

import numpy as np
import pytest

from mdepth import plots
from mdepth.plots.show import figure_html

ALT = "A figure with curves, or with a cloud of points."
FITS = {0.0: {"least squares": [0, 1, 2]}, 5.0: {"least squares": [1, 2, 3]}}
DOTS = {
    0.0: {"data": ([0, 2], [0, 2]), "outlier": ([1], [1])},
    5.0: {"data": ([0, 2], [0, 2]), "outlier": ([1], [6])},
}


def fits(**options: Any) -> plots.Interactive:
    """A line over two positions of an outlier, the second shown first."""
    return plots.slider([0, 1, 2], FITS, moved="outlier", xlabel="x", ylabel="y", start=5.0, **options)


def test_points_stand_beside_the_curves_and_move_with_the_frame() -> None:
    figure = fits(points=DOTS).figure
    assert [(part.name, part.mode) for part in figure.data] == [
        ("least squares", "lines"), ("data", "markers"), ("outlier", "markers"),
    ]  # fmt: skip
    assert [list(part.y) for part in figure.data] == [[1, 2, 3], [0, 2], [6]]
    shown = [[(list(part.x), list(part.y)) for part in frame.data[1:]] for frame in figure.frames]
    assert shown == [[([0, 2], [0, 2]), ([1], [1])], [([0, 2], [0, 2]), ([1], [6])]]
    assert figure.data[1].marker.symbol != figure.data[2].marker.symbol


def test_axes_hold_every_point_of_every_frame() -> None:
    far = {0.0: {"data": ([-4], [9])}, 5.0: {"data": ([8], [-3])}}
    layout = fits(points=far).figure.layout
    assert layout.xaxis.range == pytest.approx((-4 - 0.6, 8 + 0.6))
    assert layout.yaxis.range == pytest.approx((-3 - 0.6, 9 + 0.6))
    assert fits().figure.layout.xaxis.range is None  # without points as far as the curves go


def test_points_are_in_the_still_picture() -> None:
    axis = fits(points=DOTS).still.axes[0]
    assert [text.get_text() for text in axis.get_legend().texts] == ["least squares", "data", "outlier"]
    assert [line.get_ydata()[0] for line in axis.lines] == [1, 0, 6]
    assert [line.get_linestyle() for line in axis.lines] == ["-", "None", "None"]


@pytest.mark.parametrize(
    "points",
    [
        {5.0: DOTS[5.0]},
        DOTS | {7.0: DOTS[5.0]},
        {0.0: {"data": ([0], [0])}, 5.0: {"others": ([0], [0])}},
    ],
)
def test_points_that_are_not_those_of_the_frames_are_refused(points: Any) -> None:
    with pytest.raises(ValueError, match="every frame needs the points"):
        fits(points=points)


def test_the_legend_stands_below_the_note() -> None:
    noted = fits(notes={0.0: "none", 5.0: "one"}).figure.layout
    assert (noted.title.text, noted.legend.yref) == ("one", "container")
    assert noted.legend.y < noted.title.y - 14 / noted.height  # a line of text lies between
    assert fits().figure.layout.legend.yref is None


PREDICTION = np.array([[0.0, -1.0, 2.0], [1.0, 0.0, 4.0], [3.0, 2.0, 3.0]])
TRUTH = np.array([[0.0, -1.0, 3.0], [1.0, 0.5, 6.0], [0.0, 0.0, -1.0]])
WHITE = np.ones((3, 3))


def clouds() -> plots.Interactive:
    return plots.point_clouds({"prediction": (PREDICTION, WHITE), "truth": (TRUTH, 0 * WHITE)})


def test_a_button_shows_one_cloud_alone() -> None:
    figure = clouds().figure
    assert [dots.visible for dots in figure.data] == [True, False]
    menu = figure.layout.updatemenus[0]
    assert [(button.label, button.method, button.args[0]["visible"]) for button in menu.buttons] == [
        ("prediction", "restyle", [True, False]),
        ("truth", "restyle", [False, True]),
    ]
    assert menu.active == 0
    assert not figure.layout.showlegend


def test_clouds_are_those_of_one_cloud_alone() -> None:
    figure = clouds().figure
    for dots, points, colours in zip(figure.data, (PREDICTION, TRUTH), (WHITE, 0 * WHITE), strict=True):
        alone = plots.point_cloud(points, colours).figure.data[0]
        assert (dots.x, dots.y, dots.z, dots.marker) == (alone.x, alone.y, alone.z, alone.marker)
    assert len(figure.data[1].x) == 2  # what lies behind the camera is left out


def test_axes_are_the_same_for_all_clouds_and_in_proportion() -> None:
    scene = clouds().figure.layout.scene
    room = 0.02 * 4  # of the longest side, forward from 2 to 6
    ranges = [scene.xaxis.range, scene.yaxis.range, scene.zaxis.range]
    np.testing.assert_allclose(ranges, [(0 - room, 3 + room), (2 - room, 6 + room), (-2 - room, 1 + room)])
    shares = np.array([scene.aspectratio.x, scene.aspectratio.y, scene.aspectratio.z])
    assert scene.aspectmode == "manual"
    np.testing.assert_allclose(shares / shares[0], np.ptp(ranges, axis=1) / np.ptp(ranges[0]))
    assert shares.prod() == pytest.approx(1)


def test_clouds_stand_side_by_side_on_paper() -> None:
    left, right = clouds().still.axes
    assert (left.get_title(), right.get_title()) == ("prediction", "truth")
    assert left.get_xlim() == right.get_xlim()
    assert left.get_ylim() == right.get_ylim() == pytest.approx((1.92, 6.08))
    assert [len(axis.collections[0]._offsets3d[0]) for axis in (left, right)] == [3, 2]


def test_equally_many_points_are_thinned_alike_and_none_is_refused() -> None:
    many = np.random.default_rng(0).normal(size=(500, 3)) + np.array([0, 0, 9.0])
    one, two = plots.point_clouds({"a": (many, many), "b": (2 * many, many)}, limit=50).figure.data
    assert len(one.x) == 50
    np.testing.assert_allclose(two.x, 2 * np.array(one.x), atol=2e-3)
    with pytest.raises(ValueError, match="no clouds"):
        plots.point_clouds({})
    with pytest.raises(ValueError, match="in front"):
        plots.point_clouds({"a": (-abs(many), many)})


@pytest.mark.parametrize("draw", [clouds, lambda: fits(points=DOTS)])
def test_the_same_live_figure_gives_the_same_page(draw: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MDEPTH_BOOK", "1")
    assert figure_html(draw(), alt=ALT) == figure_html(draw(), alt=ALT)


def test_no_button_sends_a_figure_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for book in ("", "1"):
        monkeypatch.setenv("MDEPTH_BOOK", book)
        assert '"showSendToCloud": false' in figure_html(clouds(), alt=ALT)
