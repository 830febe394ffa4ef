"""Diagrams of what goes where: boxes, pictures, arrows on a sheet whose corner (0, 0) is at the top left."""

from typing import Any

from mdepth.plots.maps import picture
from mdepth.plots.style import new_figure, styled

__all__ = ["Diagram"]

ARROW, BOX, PALE = "#7f7f7f", "#c3cede", "#eef0f3"


class Diagram:
    """A sheet of ``width`` x ``height`` units on a figure as wide as the book's.

    Args:
        height: rows of the sheet, in units of a hundredth of its width.
        inches: width of the figure.

    Example:
        >>> sheet = Diagram(40)
        >>> sheet.box("N", 50, 10)
        >>> sheet.arrow((50, 13), (50, 30))
        >>> float(sheet.figure.get_figwidth())
        6.4
    """

    @styled
    def __init__(self, height: int | float, inches: int | float = 6.4) -> None:
        self.figure: Any = new_figure(inches, inches * height / 100)
        self.figure.set_layout_engine("none")
        self.axis: Any = self.figure.add_axes((0, 0, 1, 1))
        self.axis.set(xlim=(0, 100), ylim=(height, 0))
        self.axis.axis("off")

    @styled
    def box(
        self,
        words: str,
        x: int | float,
        y: int | float,
        width: int | float = 20,
        height: int | float = 5,
        *,
        pale: bool = False,
    ) -> None:
        """Something that is computed, its middle at (x, y); ``pale`` for what is only a value."""
        from matplotlib.patches import FancyBboxPatch

        corner = (x - width / 2, y - height / 2)
        patch = FancyBboxPatch(
            corner, width, height, boxstyle="round,pad=0,rounding_size=1", facecolor=PALE if pale else BOX,
            edgecolor="none", zorder=2,
        )  # fmt: skip
        self.axis.add_patch(patch)
        self.axis.text(x, y, words, ha="center", va="center", fontsize=9, zorder=3)

    @styled
    def image(
        self, shown: Any, x: int | float, y: int | float, words: str = "", width: int | float = 24
    ) -> float:
        """A picture with its middle at (x, y) and words below; says how high it is."""
        pixels = picture(shown)
        height = width * pixels.shape[0] / pixels.shape[1]
        extent = (x - width / 2, x + width / 2, y + height / 2, y - height / 2)
        self.axis.imshow(pixels, extent=extent, aspect="auto", interpolation="nearest", zorder=2)
        self.axis.text(x, y + height / 2 + 0.8, words, ha="center", va="top", fontsize=9, zorder=3)
        return height

    def arrow(self, *points: tuple[int | float, int | float], words: str = "") -> None:
        """Along some points, with its head at the last; words beside the last part."""
        from matplotlib.patches import FancyArrowPatch

        self.axis.plot(*zip(*points, strict=True), color=ARROW, lw=1, zorder=1)
        head = FancyArrowPatch(
            *points[-2:],
            arrowstyle="-|>",
            mutation_scale=9,
            color=ARROW,
            lw=1,
            shrinkA=0,
            shrinkB=0,
            zorder=1,
        )
        self.axis.add_patch(head)
        if words:
            (x, y), (u, v) = points[-2:]
            self.axis.text((x + u) / 2 + 1, (y + v) / 2, words, ha="left", va="center", fontsize=8.5)
