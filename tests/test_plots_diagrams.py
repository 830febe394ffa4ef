"""Diagrams, and rows of pictures with masks among them."""

import numpy as np
import pytest

from mdepth.plots import Diagram, colour_mask, picture_rows
from mdepth.plots.style import colour_map


def test_masks_have_scales_of_their_own_and_pictures_none() -> None:
    image, faint, strong = np.zeros((3, 6, 8)), np.full((6, 8), 0.01), np.eye(6, 8)
    figure = picture_rows({"room": [image, image], "its mask": [faint, strong]}, masks=["its mask"])
    assert [text.get_text() for text in figure.texts] == ["room", "its mask"]
    assert len(figure.axes) == 2 + 2 * 2
    shown = [
        axis.images[0] for axis in figure.axes if axis.images and axis.images[0].get_cmap().name == "cividis"
    ]
    assert [each.get_clim() for each in shown] == [(0.0, 0.01), (0.0, 1.0)]
    labels = [label.get_text() for axis in figure.axes for label in axis.get_xticklabels() if not axis.images]
    assert labels.count("0.01") == labels.count("1.00") == 1


def test_nothing_overlaps() -> None:
    rows = {name: [np.zeros((4, 9) if name == "b" else (3, 4, 9))] * 3 for name in "abc"}
    figure = picture_rows(rows, masks=["b"])
    boxes = [axis.get_position() for axis in figure.axes]
    for number, one in enumerate(boxes):
        assert 0 <= one.x0 < one.x1 <= 1
        assert 0 <= one.y0 < one.y1 <= 1
        for other in boxes[number + 1 :]:
            assert one.x1 <= other.x0 or other.x1 <= one.x0 or one.y1 <= other.y0 or other.y1 <= one.y0


def test_rows_that_do_not_fit_are_refused() -> None:
    image = np.zeros((4, 4))
    with pytest.raises(ValueError, match="one length"):
        picture_rows({"a": [image], "b": [image, image]})
    with pytest.raises(ValueError, match="masks among"):
        picture_rows({"a": [image]}, masks=["b"])


def test_a_mask_is_coloured_by_its_own_largest_value_or_by_a_given_one() -> None:
    mask = np.array([[0.0, 0.1, 0.2]])
    colours = colour_map("mask")
    np.testing.assert_allclose(colour_mask(mask)[0], [colours(x)[:3] for x in (0.0, 0.5, 1.0)])
    np.testing.assert_allclose(colour_mask(mask, vmax=0.4)[0, 2], colours(0.5)[:3])
    assert np.isfinite(colour_mask(np.zeros((2, 2)))).all()


def test_a_diagram_puts_things_where_they_are_wanted() -> None:
    sheet = Diagram(40)
    assert sheet.axis.get_ylim() == (40, 0)
    sheet.box("N", 50, 10, 20, 4)
    box = sheet.axis.patches[0].get_bbox()
    assert (box.x0, box.x1, box.y0, box.y1) == (40, 60, 8, 12)
    assert sheet.image(np.zeros((3, 6, 8)), 20, 20, "a room", width=16) == 12
    assert list(sheet.axis.images[0].get_extent()) == [12, 28, 26, 14]
    sheet.arrow((50, 12), (50, 20), (30, 20))
    assert sheet.axis.lines[0].get_xdata().tolist() == [50, 50, 30]
    assert [text.get_text() for text in sheet.axis.texts] == ["N", "a room"]
