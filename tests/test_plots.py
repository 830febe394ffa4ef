"""Figures: the same bytes twice, grey where nothing is known, alternative text, nothing from elsewhere."""

import re
import sys
from types import SimpleNamespace
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch

from mdepth import plots
from mdepth.plots.curves import smooth
from mdepth.plots.interactive import plotly_js
from mdepth.plots.maps import array, picture
from mdepth.plots.search import search_html
from mdepth.plots.show import figure_html
from mdepth.plots.style import LABELS, colour_map

ALT = "A ramp of depth from near below to far above."
GREY = [200, 200, 200]


def ramp(rows: int = 12, columns: int = 16) -> np.ndarray:
    return np.repeat(np.linspace(8, 1, rows)[:, None], columns, axis=1)


def image(rows: int = 12, columns: int = 16) -> torch.Tensor:
    return torch.linspace(0, 1, 3 * rows * columns).reshape(3, rows, columns)


def record(offset: float) -> Any:
    steps = np.arange(0, 200, 10.0)
    return SimpleNamespace(history={"step": steps.tolist(), "loss": (np.exp(-steps / 50) + offset).tolist()})


def layer(name: str, size: tuple[int, int], op: str = "conv") -> Any:
    return SimpleNamespace(name=name, op=op, kernel=3, stride=2, channels=8, size=size, parameters=10)


WEIGHTS = np.random.default_rng(0).normal(size=(9, 5, 6))
POINTS = np.random.default_rng(0).normal(size=(3, 8, 9)) + np.array([0, 0, 5.0]).reshape(3, 1, 1)
MOVING = {s: {"RMSE": [s, s, 2 * s]} for s in (0.5, 1.0)}
DRAW = {
    "grid": lambda: plots.depth_grid([image()], {"truth": [ramp()], "prediction": [1.1 * ramp()]}),
    "below": lambda: plots.depth_grid([image()] * 2, [ramp(), 0.1 * ramp()], titles=["a", "b"], shared=False),
    "images": lambda: plots.image_grid([image()] * 4, titles=list("abcd"), columns=3),
    "error": lambda: plots.error_map(1.1 * ramp(), ramp(), image=image()),
    "points": lambda: plots.overlay_points(image(), ramp() * (np.indices((12, 16)).sum(0) % 5 == 0)),
    "over": lambda: plots.overlay_depth(image(), {"a": ramp(), "b": 2 * ramp()}, columns=1),
    "templates": lambda: plots.templates(WEIGHTS, count=6, columns=3),
    "loss": lambda: plots.loss_curves({"one": [record(0.0), record(0.2)], "two": [record(0.5)]}),
    "timeline": lambda: plots.timeline(
        [(2014, "Eigen", "coarse and fine"), (2016, "Laina", "up-projection")]
    ),
    "network": lambda: plots.architecture([layer("a", (27, 37)), layer("b", (6, 8))], printed={"b": "8x6"}),
    "u": lambda: plots.u_shape([layer("a", (24, 32))], [layer("b", (6, 8))], [layer("c", (24, 32))]),
    "slider": lambda: plots.slider([0, 1, 2], MOVING, moved="s", xlabel="x", ylabel="y").still,
    "cloud": lambda: plots.point_cloud(POINTS, np.full((3, 8, 9), 0.5)).still,
}
PICTURES = ("grid", "below", "images", "error", "points", "over", "templates")  # the others are drawings


@pytest.mark.parametrize("name", DRAW)
def test_the_same_figure_gives_the_same_bytes(name: str) -> None:
    figure = DRAW[name]()
    content, kind = plots.figure_bytes(figure)
    assert plots.figure_bytes(DRAW[name]()) == (content, kind)
    assert plots.figure_bytes(figure) == (content, kind)  # and when saved a second time
    assert kind == ("png" if name in PICTURES else "svg")
    assert not re.search(rb"20\d\d-\d\d-\d\dT|[Mm]atplotlib v|Software", content)


def test_one_colour_map_a_quantity_and_all_are_different() -> None:
    assert set(plots.MAPS) == set(LABELS)
    assert len(set(plots.MAPS.values())) == len(plots.MAPS)
    with pytest.raises(ValueError, match="inverse_depth"):
        colour_map("nonsense")


def test_near_is_bright_for_depth_and_for_inverse_depth() -> None:
    for quantity, values in (("depth", ramp()), ("inverse_depth", 1 / ramp())):
        shown = plots.colour_depth(values, quantity=quantity).astype(float).sum(axis=2)
        assert shown[-1, 0] > shown[0, 0]  # the last row is near


def test_unknown_depth_is_grey_and_only_that() -> None:
    depth = torch.from_numpy(ramp())[None].clone()
    depth[0, 0, 0], depth[0, 1, 0], depth[0, 2, 0] = 0.0, float("nan"), -1.0
    valid = torch.ones_like(depth, dtype=torch.bool)
    valid[0, 3, 0] = False
    shown = plots.colour_depth(depth, valid=valid)
    grey = (shown == GREY).all(axis=2)
    assert grey[:4, 0].all()
    assert grey.sum() == 4
    assert (plots.colour_depth(np.zeros((2, 3))) == GREY).all()


def test_a_shared_scale_gives_equal_depth_equal_colour() -> None:
    one, two = (
        plots.colour_depth(depth, 0.0, 10.0) for depth in (np.full((2, 2), 3.0), np.full((2, 2), 3.0))
    )
    assert (one == two).all()
    assert (plots.colour_depth(np.full((2, 2), 6.0), 0.0, 10.0) != one).any()


def test_the_grid_puts_all_maps_on_one_scale_unless_asked_otherwise() -> None:
    shared = plots.depth_grid([image()] * 2, [ramp(), 0.1 * ramp()])
    limits = [
        found.get_clim() for axis in shared.axes for found in axis.images if found.get_array().ndim == 2
    ]
    assert limits == [(pytest.approx(0.1), pytest.approx(8.0))] * 2
    own = plots.depth_grid([image()] * 2, [ramp(), 0.1 * ramp()], shared=False)
    limits = [found.get_clim() for axis in own.axes for found in axis.images if found.get_array().ndim == 2]
    assert limits == [(1.0, 8.0), (pytest.approx(0.1), pytest.approx(0.8))]
    with pytest.raises(ValueError, match="1 for 2 images"):
        plots.depth_grid([image()] * 2, {"truth": [ramp()]})


def test_the_error_map_leaves_unknown_truth_out() -> None:
    truth = ramp()
    truth[:6] = 0
    figure = plots.error_map(1.2 * ramp(), truth)
    assert figure.axes[0].get_title() == "mean 0.200"
    assert np.ma.getmaskarray(figure.axes[0].images[0].get_array())[:6].all()


def test_points_lie_where_the_returns_are() -> None:
    depth = np.zeros((12, 16))
    depth[3, 7], depth[9, 2] = 5.0, 6.0
    dots = plots.overlay_points(image(), depth).axes[0].collections[0]
    assert sorted(map(tuple, dots.get_offsets().tolist())) == [(2, 9), (7, 3)]


def test_depth_over_its_image_has_its_colour_and_holes_show_the_grey_image() -> None:
    depth, valid = ramp(), np.ones((12, 16), bool)
    depth[0, 0], depth[1, 0], valid[2, 0] = 0.0, float("nan"), False

    def pixels(opacity: float) -> np.ndarray:
        figure = plots.overlay_depth(image(), depth, vmin=0.5, vmax=9.0, opacity=opacity, valid=valid)
        return np.asarray(figure.axes[0].images[0].get_array())

    bare, full, half = pixels(0.0), pixels(1.0), pixels(0.5)
    hole = np.zeros((12, 16), bool)
    hole[:3, 0] = True
    colours = plots.colour_depth(depth, 0.5, 9.0, valid=valid) / 255
    assert full[~hole] == pytest.approx(colours[~hole])
    assert half[~hole] == pytest.approx((bare[~hole] + colours[~hole]) / 2)
    for shown in (full, half):
        assert (shown[hole] == bare[hole]).all()
    assert (bare == bare[..., :1]).all()  # grey
    brightness = picture(image()).mean(axis=2).ravel()
    assert (np.diff(bare[..., 0].ravel()[brightness.argsort()]) >= 0).all()
    assert np.ptp(bare) > 0.4 * np.ptp(brightness)  # and still a picture


def test_panels_over_one_image_share_the_scale_of_the_bar() -> None:
    far = np.where(ramp() < 4, 0.0, ramp() + 12)
    figure = plots.overlay_depth(image(), {"near": ramp(), "far": far}, opacity=1.0)
    near_panel, far_panel, bar = figure.axes
    assert [near_panel.get_title(), far_panel.get_title()] == ["near", "far"]
    assert bar.get_xlim() == pytest.approx((1.0, 20.0))
    assert bar.get_xlabel() == LABELS["depth"]
    for panel, values in ((near_panel, ramp()), (far_panel, far)):
        shown = np.asarray(panel.images[0].get_array())
        assert shown[values > 0] == pytest.approx(plots.colour_depth(values, 1.0, 20.0)[values > 0] / 255)


def test_what_cannot_lie_over_an_image_is_refused() -> None:
    for depth in ({}, ramp(6, 8), {"fits": ramp(), "does not": ramp(12, 15)}):
        with pytest.raises(ValueError, match="image's size"):
            plots.overlay_depth(image(), depth)
    with pytest.raises(ValueError, match="opacity must lie in"):
        plots.overlay_depth(image(), ramp(), opacity=1.5)
    nothing = plots.overlay_depth(image(), np.zeros((12, 16))).axes[0].images[0].get_array()
    assert (nothing[..., 0] == nothing[..., 2]).all()


def test_templates_are_sorted_by_norm_on_a_scale_around_zero() -> None:
    weights = np.stack([np.full((4, 5), size) for size in (0.1, -3.0, 1.0)])
    figure = plots.templates(weights, count=3, columns=3)
    shown = [axis.images[0] for axis in figure.axes[:3]]
    assert [found.get_array()[0, 0] for found in shown] == [-3.0, 1.0, 0.1]
    assert {found.get_clim() for found in shown} == {(-3.0, 3.0)}
    assert colour_map("template")(0.5)[:3] == pytest.approx((0, 0, 0), abs=0.02)


def test_loss_curves_show_the_mean_and_the_whole_band_of_seeds() -> None:
    figure = plots.loss_curves({"one": [record(0.0), record(0.2)]}, window=1)
    axis = figure.axes[0]
    assert axis.lines[0].get_ydata()[0] == pytest.approx(1.1)
    heights = axis.collections[0].get_paths()[0].vertices[:, 1]
    assert (heights.max(), heights.min()) == (pytest.approx(1.2), pytest.approx(np.exp(-190 / 50)))
    assert [text.get_text() for text in axis.get_legend().texts] == ["one (2 seeds)"]
    with pytest.raises(ValueError, match="no records"):
        plots.loss_curves({})


def test_smoothing_keeps_constants_and_length() -> None:
    assert smooth([2.0] * 7, 5).tolist() == pytest.approx([2.0] * 7)
    assert smooth([1.0, 2.0], 9).tolist() == pytest.approx([1.5, 1.5])


def test_the_drawing_says_where_the_print_and_the_code_disagree() -> None:
    figure = plots.architecture(
        [layer("a", (27, 37)), layer("b", (6, 9))], printed={"a": "37x27", "b": "8x6"}
    )
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert "37×27 ✓" in texts
    assert "8×6 ✗" in texts
    with pytest.raises(ValueError, match="not there: c"):
        plots.architecture([layer("a", (2, 2))], printed={"c": "1x1"})


def test_the_real_network_agrees_with_its_printed_sizes() -> None:
    from mdepth.ledger import reported
    from mdepth.models import build, layer_sizes

    with torch.device("meta"):
        layers = layer_sizes(build("eigen-coarse-nyu"))
    last = {
        "coarse1": "pool",
        "coarse2": "pool",
        "coarse3": "conv",
        "coarse4": "conv",
        "coarse5": "pool",
        "coarse7": "map",
    }
    printed = {
        f"{stage}.{name}": reported.cell(f"eigen.figure1.{stage}.nyu").printed for stage, name in last.items()
    }
    texts = [text.get_text() for text in plots.architecture(layers, printed=printed).axes[0].texts]
    assert sum(text.endswith("✓") for text in texts) == len(last)
    assert not any(text.endswith("✗") for text in texts)


def test_verdicts_are_drawn_in_the_direction_of_their_claim() -> None:
    def row(name: str, effect: float | str, interval: str, way: str, verdict: str) -> Any:
        return SimpleNamespace(id=f"x.claim.{name}", effect=effect, interval=interval, smallest=0.1,
                               expression=f"a minus b, {way}", verdict=verdict)  # fmt: skip

    rows = [
        row("less-error", -0.3, "-0.4 to -0.2", "lower", "holds"),
        row("more-edges", -0.05, "-0.06 to -0.04", "higher", "does not hold"),
        row("unknown", "none", "none", "higher", "inconclusive"),
    ]
    (axis,) = plots.verdicts(rows).axes
    bars = [line.get_xdata() for line in axis.lines if len(line.get_xdata()) == 2][:2]
    np.testing.assert_allclose(bars, [[2, 4], [-0.6, -0.4]])
    dots = [line.get_xdata()[0] for line in axis.lines if len(line.get_xdata()) == 1]
    np.testing.assert_allclose(dots, [3, -0.5])
    words = [text.get_text() for text in axis.texts]
    assert words == ["less error: holds", "more edges: does not hold", "unknown: inconclusive", "no interval"]
    assert axis.get_xlim()[1] > 4
    with pytest.raises(ValueError, match="no claims"):
        plots.verdicts([])


def test_a_claim_of_sameness_holds_between_the_borders() -> None:
    row = SimpleNamespace(id="x.claim.alike", effect=0.02, interval="-0.05 to 0.09", smallest=0.1,
                          expression="a minus b, same", verdict="holds")  # fmt: skip
    (axis,) = plots.verdicts([row]).axes
    shaded = axis.collections[0].get_paths()[0].vertices[:, 0]
    assert (shaded.min(), shaded.max()) == (-1, 1)
    (bar,) = [
        line.get_xdata() for line in axis.lines if len(line.get_xdata()) == 2 and line.get_linewidth() > 2
    ]
    np.testing.assert_allclose(bar, [-0.5, 0.9])


def test_drawing_leaves_the_readers_settings_alone() -> None:
    before = dict(matplotlib.rcParams)
    plots.figure_bytes(plots.timeline([(2014, "Eigen", "x")]))
    assert dict(matplotlib.rcParams) == before


def test_a_figure_without_words_is_refused() -> None:
    figure = plots.image_grid([image()])
    for alt in ("", "a picture"):
        with pytest.raises(ValueError, match="alternative text"):
            figure_html(figure, alt=alt, name="wordless")


def test_a_figure_carries_its_words_and_where_it_comes_from() -> None:
    page = figure_html(
        plots.image_grid([image()]),
        alt='Depth "near" & far, in one picture.',
        name="one",
        caption="Near < far.",
        source={"command": "mdepth run eigen/coarse-rooms"},
    )
    assert 'alt="Depth &quot;near&quot; &amp; far, in one picture."' in page
    assert 'id="figure-one"' in page
    assert "Near &lt; far." in page
    assert "mdepth run eigen/coarse-rooms" in page
    assert page.count("<img") == 1
    assert 'src="data:image/png;base64,' in page


ONCE = """\
import matplotlib.pyplot as plt
from mdepth import plots

figure, axis = plt.subplots()
axis.plot([0, 1])
plots.show(figure, alt="A line that rises from the left to the right.")
"""


@pytest.mark.slow
def test_a_notebook_shows_a_figure_of_pyplot_once() -> None:
    import nbclient
    from nbformat.v4 import new_code_cell, new_notebook

    shown, left = new_code_cell(ONCE), new_code_cell("plt.figure().add_subplot();")
    nbclient.NotebookClient(new_notebook(cells=[shown, left]), kernel_name="python3").execute()
    (output,) = shown.outputs
    assert output.data["text/html"].startswith("<figure")
    (output,) = left.outputs  # what is not shown by us, the notebook shows where the cell ends
    assert "image/png" in output.data


def test_pyplot_forgets_what_was_shown_and_nothing_else() -> None:
    import matplotlib.pyplot as plt

    kept, shown, still = plt.figure(), plt.figure(), plt.figure()
    try:
        plots.show(shown, alt=ALT)
        plots.show(plots.Interactive(three_steps().figure, still), alt=ALT)
        assert plt.get_fignums() == [kept.number]
        assert figure_html(shown, alt=ALT) == figure_html(plt.figure(), alt=ALT)  # it can be drawn again
    finally:
        plt.close("all")


def test_showing_a_figure_does_not_load_pyplot(monkeypatch: pytest.MonkeyPatch) -> None:
    figure = plots.image_grid([image()])
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)
    plots.show(figure, alt=ALT)
    assert "matplotlib.pyplot" not in sys.modules


def test_provenance_says_command_commit_data_seeds_machine_and_time() -> None:
    def run(seed: int) -> Any:
        return SimpleNamespace(
            run={
                "source": "eigen",
                "variant": "coarse-rooms",
                "profile": "laptop",
                "seed": seed,
                "commit": None,
                "identity": "abc" * 9,
                "data": {"hash": "d" * 64},
                "hardware": {"cpu": "a processor", "gpu": None, "threads": 2},
                "seconds": 30.0,
            }
        )

    found = plots.provenance([run(0), run(3)])
    assert found["command"] == "mdepth run eigen/coarse-rooms --profile laptop"
    assert (found["seeds"], found["time"], found["machine"]) == ("0, 3", "60 s", "a processor with 2 threads")
    assert found["commit"] == "not in a repository"
    with pytest.raises(ValueError, match="no records"):
        plots.provenance([])


def three_steps() -> plots.Interactive:
    """A slider over three values of which the last is shown first."""
    frames = {s: {"RMSE": [s, 2 * s]} for s in (0.5, 1.0, 2.0)}
    return plots.slider([0, 1], frames, moved="s", xlabel="x", ylabel="y", start=2.0)


def test_the_books_live_figures_ask_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    live = three_steps()
    monkeypatch.setenv("MDEPTH_BOOK", "1")
    page = figure_html(live, alt=ALT)
    assert page == figure_html(live, alt=ALT)
    assert 'src="../_static/vendor/plotly.min.js"' in page
    assert not re.search(r'(src|href)="https?:', page)
    assert page.count("<img") == 2  # for print, and without scripts
    monkeypatch.setenv("MDEPTH_BOOK", "2")
    assert plotly_js().startswith("../../_static/")
    monkeypatch.setenv("MDEPTH_BOOK", "yes")
    with pytest.raises(ValueError, match="MDEPTH_BOOK is 'yes'"):
        plotly_js()


def test_plotly_is_set_up_in_the_book_only(monkeypatch: pytest.MonkeyPatch) -> None:
    import plotly.io as pio

    monkeypatch.setattr(pio.renderers, "default", pio.renderers.default)
    monkeypatch.delenv("MDEPTH_BOOK", raising=False)
    assert not plots.setup_book()
    monkeypatch.setenv("MDEPTH_BOOK", "1")
    assert plots.setup_book()
    bundle = pio.renderers["book"].to_mimebundle(
        plots.slider([0, 1], {1: {"a": [1, 2]}}, moved="s", xlabel="x", ylabel="y").figure.to_dict()
    )
    assert list(bundle) == ["text/html"]


def test_a_slider_starts_where_it_says_and_has_every_step() -> None:
    figure = three_steps().figure
    assert list(figure.data[0].y) == [2.0, 4.0]
    assert [frame.name for frame in figure.frames] == ["0.5", "1", "2"]
    assert figure.layout.sliders[0].active == 2
    with pytest.raises(ValueError, match="start is 3"):
        plots.slider([0, 1], {1.0: {"a": [1, 2]}}, moved="s", xlabel="x", ylabel="y", start=3.0)
    with pytest.raises(ValueError, match="curves"):
        plots.slider([0, 1], {1.0: {"a": [1, 2]}, 2.0: {"b": [1, 2]}}, moved="s", xlabel="x", ylabel="y")


def test_a_cloud_turns_the_camera_axes_and_leaves_out_what_is_behind() -> None:
    points = np.array([[1.0, -2.0, 3.0], [0.0, 0.0, -1.0], [np.nan, 0.0, 1.0]])
    dots = plots.point_cloud(points, np.ones((3, 3))).figure.data[0]
    assert (list(dots.x), list(dots.y), list(dots.z)) == ([1.0], [3.0], [2.0])
    many = np.random.default_rng(0).normal(size=(500, 3)) + np.array([0, 0, 9])
    assert len(plots.point_cloud(many, many * 0, limit=100).figure.data[0].x) == 100
    with pytest.raises(ValueError, match="in front"):
        plots.point_cloud(-abs(points), np.ones((3, 3)))


def test_tables_escape_and_complain() -> None:
    page = plots.html_table(["a<b", "c"], [["x & y", "0.3 ⟨B⟩"]], name="t", classes=["first"])
    assert "a&lt;b" in page
    assert "x &amp; y" in page
    assert 'class="mdepth-level mdepth-level-B"' in page
    assert '<tr class="first">' in page
    with pytest.raises(ValueError, match="row 0 has 1 cells for 2 columns"):
        plots.markdown_table(["a", "b"], [["x"]])


def test_the_search_table_holds_every_row_and_a_menu_where_values_repeat() -> None:
    rows = [[f"row <{k}>", "exact" if k % 2 else "cannot"] for k in range(9)]
    page = search_html(["id", "verdict"], rows, name="small")
    assert page.count("<tr><td>") == 9
    assert "row &lt;8&gt;" in page
    assert page.count("<select") == 1
    assert "<option>cannot</option><option>exact</option>" in page
    assert "NAME" not in page
    assert not re.search(r"(src|href)=", page)
    with pytest.raises(ValueError, match="letters, digits and hyphens"):
        search_html(["id"], [["x"]], name="a b")
    with pytest.raises(ValueError, match="2 cells for 1 columns"):
        search_html(["id"], [["x", "y"]], name="a")


def test_wrong_shapes_are_told() -> None:
    with pytest.raises(ValueError, match="pick one item"):
        array(np.zeros((2, 3, 4)))
    with pytest.raises(ValueError, match="RGB"):
        picture(np.zeros((5, 6, 4)))
    with pytest.raises(ValueError, match="at least one entry"):
        plots.timeline([])
    with pytest.raises(ValueError, match="at least one"):
        plots.image_grid([])
