"""Figures and tables of the book, in one style.

The same colours mean the same thing on every page (:mod:`~mdepth.plots.style`); missing pixels are grey;
every figure is a white card, so that it reads on light and dark pages, on a phone and on paper. :func:`show`
puts a figure on the page with its alternative text and where it comes from. Functions return matplotlib or
plotly figures and know no recipe and no record format beyond ``history``.
"""

from mdepth.plots.blocks import up_blocks
from mdepth.plots.curves import loss_curves, timeline
from mdepth.plots.diagram import Diagram
from mdepth.plots.interactive import Interactive, point_cloud, point_clouds, setup_book, slider
from mdepth.plots.maps import (
    colour_depth,
    depth_grid,
    error_map,
    image_grid,
    overlay_depth,
    overlay_points,
    templates,
)
from mdepth.plots.masks import colour_mask, picture_rows
from mdepth.plots.network import architecture, u_shape
from mdepth.plots.phases import interleave, kernel_phases
from mdepth.plots.search import search_table
from mdepth.plots.show import figure_bytes, provenance, show
from mdepth.plots.style import COLOURS, MAPS, PALETTE, style, use_style
from mdepth.plots.tables import html_table, markdown_table
from mdepth.plots.verdicts import verdicts
from mdepth.plots.views import colour_error, paths, picture_slider

__all__ = [
    "COLOURS",
    "MAPS",
    "PALETTE",
    "Diagram",
    "Interactive",
    "architecture",
    "colour_depth",
    "colour_error",
    "colour_mask",
    "depth_grid",
    "error_map",
    "figure_bytes",
    "html_table",
    "image_grid",
    "interleave",
    "kernel_phases",
    "loss_curves",
    "markdown_table",
    "overlay_depth",
    "overlay_points",
    "paths",
    "picture_rows",
    "picture_slider",
    "point_cloud",
    "point_clouds",
    "provenance",
    "search_table",
    "setup_book",
    "show",
    "slider",
    "style",
    "templates",
    "timeline",
    "u_shape",
    "up_blocks",
    "use_style",
    "verdicts",
]
