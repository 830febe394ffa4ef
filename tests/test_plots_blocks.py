"""Drawings of up-sampling: the numbers and the order that they show are those of the networks."""

import dataclasses
import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from mdepth import plots
from mdepth.models import build, layer_sizes
from mdepth.models.laina import DeConv, FastUnpoolConv, UnpoolConv, UpConv, UpProj
from mdepth.plots import phases
from mdepth.plots.blocks import Step, steps_of
from mdepth.plots.show import figure_html

FOUR = (("A", "3×3"), ("B", "2×3"), ("C", "3×2"), ("D", "2×2"))


def labels(flow: Any) -> list:
    """The words of a flow, branches as tuples of such lists."""
    return [
        tuple(labels(branch) for branch in item) if isinstance(item, tuple) else item.label for item in flow
    ]


def blocks() -> dict[str, nn.Module]:
    """The four blocks of the paper, untrained."""
    torch.manual_seed(0)
    return {
        "(a)": UpConv(4, 2), "(b)": UpConv(4, 2, FastUnpoolConv),
        "(c)": UpProj(4, 2), "(d)": UpProj(4, 2, FastUnpoolConv),
    }  # fmt: skip


# ---- the four blocks ----


def test_steps_of_the_four_blocks_are_those_of_the_paper() -> None:
    slow, fast = ["unpool", "5×5"], ["small kernels", "interleave"]
    for (a, c), up in ((("(a)", "(c)"), slow), (("(b)", "(d)"), fast)):
        assert labels(steps_of(blocks()[a])) == [*up, "BN", "ReLU"]
        branches = ([*up, "BN", "ReLU", "3×3", "BN"], [*up, "BN"])
        assert labels(steps_of(blocks()[c])) == [branches, "sum", "ReLU"]
    assert steps_of(blocks()["(b)"])[0].parts == FOUR


class Turned(nn.Sequential):
    """Its parts are called in another order than they were registered in."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for part in reversed(list(self)):
            x = part(x)
        return x


class Joined(nn.Module):
    """Two branches, joined by a function."""

    def __init__(self, join: Any) -> None:
        super().__init__()
        self.one, self.two, self.join = nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 3, padding=1), join

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.join(self.one(x), self.two(x))


def test_steps_follow_the_calls_not_the_names() -> None:
    assert labels(steps_of(Turned(nn.BatchNorm2d(4), nn.Conv2d(4, 4, (1, 3))))) == ["1×3", "BN"]


def test_how_branches_are_joined_is_found_by_trying() -> None:
    torch.manual_seed(0)
    assert labels(steps_of(Joined(torch.add))) == [(["1×1"], ["3×3"]), "sum"]
    assert labels(steps_of(Joined(lambda a, b: torch.relu(a + b)))) == [(["1×1"], ["3×3"]), "sum", "ReLU"]
    for join in (torch.mul, torch.sub, lambda a, b: torch.cat([a, b], 1)):
        with pytest.raises(ValueError, match="joined neither"):
            steps_of(Joined(join))


class Hidden(nn.Sequential):
    """Ends in a function that is no part."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(super().forward(x))


def test_what_no_module_does_is_refused_and_not_left_out() -> None:
    with pytest.raises(ValueError, match="Hidden does something outside its modules"):
        steps_of(Hidden(nn.Conv2d(2, 2, 3), nn.ReLU()))
    with pytest.raises(ValueError, match="no convolution"):
        steps_of(nn.Sequential(nn.BatchNorm2d(2), nn.ReLU()))


def test_reading_a_block_leaves_it_as_it_was() -> None:
    block = UpProj(4, 2).train()
    before = {name: value.clone() for name, value in block.state_dict().items()}
    steps_of(block)
    assert block.training
    assert all(torch.equal(value, before[name]) for name, value in block.state_dict().items())
    assert all(not module._forward_hooks for module in block.modules())


def test_the_drawing_has_every_step_and_the_sizes_at_both_ends() -> None:
    axes = plots.up_blocks(blocks()).axes
    assert [axis.get_title() for axis in axes] == ["(a)", "(b)", "(c)", "(d)"]
    texts = [[text.get_text() for text in axis.texts if text.get_text()] for axis in axes]
    assert all((words[0], words[-1]) == ("C × h × w", "C/2 × 2h × 2w") for words in texts)
    assert texts[0][1:-1] == ["unpool", "5×5", "BN", "ReLU"]
    assert texts[3].count("interleave") == 2
    assert [texts[3].count(f"{letter} {kernel}") for letter, kernel in FOUR] == [2, 2, 2, 2]
    assert texts[2][-3:-1] == ["sum", "ReLU"]


def test_steps_stand_below_each_other_and_small_kernels_as_in_their_cell() -> None:
    figure = plots.up_blocks(blocks())
    places = {text.get_text(): text.get_position() for text in figure.axes[1].texts if text.get_text()}
    heights = [places[word][1] for word in ("C × h × w", "A 3×3", "interleave", "BN", "ReLU")]
    assert heights == sorted(heights, reverse=True)
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = (places[f"{letter} {kernel}"] for letter, kernel in FOUR)
    assert (ax, ay, cx, by) == (bx, cy, dx, dy)  # A over B and beside C, C over D
    assert ax < cx
    assert ay > by


def test_other_blocks_are_drawn_and_none_is_refused() -> None:
    axes = plots.up_blocks({"one": nn.Sequential(nn.Conv2d(2, 6, 3, stride=1, padding=1))}).axes
    assert [text.get_text() for text in axes[0].texts if text.get_text()][-1] == "3C × h × w"
    assert not axes[1].texts  # the place beside it stays empty
    with pytest.raises(ValueError, match="no blocks"):
        plots.up_blocks({})
    assert steps_of(UnpoolConv(2, 1)) == [Step("unpool"), Step("5×5")]
    assert labels(steps_of(DeConv(4, 2))) == ["2×2 deconvolution", "BN", "ReLU"]


# ---- phases ----


def test_phases_are_those_of_the_fast_form() -> None:
    fast = FastUnpoolConv(1, 1)
    convs = {"A": fast.conv_a, "B": fast.conv_b, "C": fast.conv_c, "D": fast.conv_d}
    assert {letter: fast.phases[place] for letter, place in phases.PHASES.items()} == convs
    parts = phases.split(phases.KERNEL)
    assert {letter: part.shape for letter, part in parts.items()} == {
        letter: conv.kernel_size for letter, conv in convs.items()
    }
    assert [part.size for part in parts.values()] == [9, 6, 6, 4]


def test_four_small_kernels_woven_are_the_5x5_and_that_is_the_networks() -> None:
    values, kernel = phases.MAP, phases.KERNEL
    woven = phases.weave(
        {letter: phases.convolve(values, part) for letter, part in phases.split(kernel).items()}
    )
    step = UnpoolConv(1, 1).double()
    nn.init.zeros_(step.conv.bias)
    step.conv.weight.data[0, 0] = torch.from_numpy(kernel).double()
    wanted = step(torch.from_numpy(values).double()[None, None])[0, 0]
    np.testing.assert_array_equal(woven, wanted.detach().numpy())
    np.testing.assert_array_equal(woven, phases.convolve(phases.unpool(values), kernel))
    assert woven[2, 2] == 35  # 1·2 + 1·1 + 2·3 + 3·1 + 2·4 + 1·2 + 2·3 + 2·2 + 3·1


def grid(sheet: phases.Sheet, top: int, left: int, rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Colours and texts of some squares."""
    texts = {(int(y), int(x)): text for x, y, text, _ in sheet.words if x % 1 == y % 1 == 0.5}
    places = [[(top + row, left + column) for column in range(columns)] for row in range(rows)]
    colours = [[sheet.squares.get(place, "") for place in line] for line in places]
    return np.array(colours), np.array([[texts.get(place, "") for place in line] for line in places])


@pytest.mark.parametrize(("letter", "count"), [("A", 9), ("B", 6), ("C", 6), ("D", 4)])
def test_a_step_marks_the_taps_that_meet_values_and_their_sum(letter: str, count: int) -> None:
    sheet = phases.sheets()[letter]
    row, column = phases.PHASES[letter]
    taps, numbers = grid(sheet, *phases.KERNEL_AT, 5, 5)
    marked = taps == phases.SHADES[letter]
    assert marked.sum() == count
    assert marked[row::2, column::2].all()
    large, values = grid(sheet, *phases.LARGE_AT, 6, 8)
    window = (slice(row, row + 5), slice(column, column + 5))  # around pixel (2 + row, 2 + column)
    np.testing.assert_array_equal(large[window] == phases.SHADES[letter], marked)
    np.testing.assert_array_equal(values.astype(int)[window] > 0, marked)
    assert (large == phases.SHADES[letter]).sum() == count  # and nowhere outside the window
    total = (numbers.astype(int) * values.astype(int)[window]).sum()
    assert grid(sheet, *phases.CELL_AT, 2, 2)[1][row, column] == str(total)
    assert f"{count} meet a value, {25 - count} a zero. The sum is\u00a0{total}." in sheet.note
    left, top = phases.LARGE_AT[::-1]
    assert (left + column, top + row, 5, 5) in sheet.frames
    assert (left + 2 + column, top + 2 + row, 1, 1) in sheet.frames
    small, used = grid(sheet, 1, 0, 3, 4)
    assert sorted(used[small == phases.SHADES[letter]]) == sorted(values[window][marked])


def test_the_cut_gives_every_tap_to_one_small_kernel() -> None:
    sheet = phases.sheets()["cut"]
    whole, numbers = grid(sheet, *phases.KERNEL_AT, 5, 5)
    pieces, texts = grid(sheet, *phases.LARGE_AT, 6, 6)
    for letter, shade in phases.SHADES.items():
        assert list(texts[pieces == shade]) == list(numbers[whole == shade])
        assert list(texts[pieces == shade]) == [str(tap) for tap in phases.split(phases.KERNEL)[letter].flat]
    assert sum((pieces == shade).sum() for shade in phases.SHADES.values()) == 25


def test_small_kernels_fill_their_places_one_after_the_other() -> None:
    wanted = phases.convolve(phases.unpool(phases.MAP), phases.KERNEL)
    filled = np.zeros((6, 8), bool)
    for letter, (row, column) in phases.PHASES.items():
        sheet = phases.sheets()[f"+{letter}"]
        filled[row::2, column::2] = True
        colours, texts = grid(sheet, *phases.LARGE_AT, 6, 8)
        np.testing.assert_array_equal(texts != "", filled)
        assert list(texts[filled]) == [str(value) for value in wanted[filled]]
        assert (colours[row::2, column::2] == phases.SHADES[letter]).all()
        assert (colours == phases.SHADES[letter]).sum() == 12
        np.testing.assert_array_equal(grid(sheet, *phases.CELL_AT, 2, 2)[1], wanted[2:4, 2:4].astype(str))
    assert filled.all()


def test_the_animation_has_every_step_in_its_slider_and_can_be_played() -> None:
    figure = plots.interleave().figure
    names = ["A", "B", "C", "D", "cut", "+A", "+B", "+C", "+D"]
    assert [frame.name for frame in figure.frames] == names
    slider = figure.layout.sliders[0]
    assert [(step.label, list(step.args[0])) for step in slider.steps] == [(name, [name]) for name in names]
    play, stop = figure.layout.updatemenus[0].buttons
    assert (play.args[0], stop.args[0]) == (None, (None,))
    for frame, sheet in zip(figure.frames, phases.sheets().values(), strict=True):
        text = frame.layout.title.text
        assert text.replace("<br>", " ") == sheet.note
        assert text.count("<br>") <= 2
        codes = np.array([[np.nan if code is None else code for code in line] for line in frame.data[0].z])
        assert np.isfinite(codes).sum() == len(sheet.squares)
        assert list(frame.data[1].text) == [word[2] for word in sheet.words]
    assert figure.data[0].z == figure.frames[0].data[0].z


def test_squares_have_the_colour_of_their_code() -> None:
    sheet = phases.sheets()["+D"]
    squares = plots.interleave().figure.frames[-1].data[0]
    span, scale = squares.zmax - squares.zmin, squares.colorscale

    def shown(code: float) -> str:
        """The colour of the step of the scale in which a code lies."""
        share = (code - squares.zmin) / span
        (colour,) = {colour for (low, colour), (high, _) in zip(scale[::2], scale[1::2], strict=True)
                     if low < share < high}  # fmt: skip
        return colour

    assert {(row, column): shown(squares.z[row][column]) for row, column in sheet.squares} == sheet.squares


def test_the_still_kernel_says_letter_row_and_column_of_every_tap() -> None:
    words = [text.get_text() for text in plots.kernel_phases().axes[0].texts]
    assert [words.count(letter) for letter in "ABCD"] == [10, 7, 7, 5]  # its taps and its place
    assert sorted(word for word in words if "," in word and len(word) == 3) == sorted(
        f"{row},{column}" for row in range(5) for column in range(5)
    )
    assert {"A 3×3", "B 2×3", "C 3×2", "D 2×2"} <= set(words)


def lightness(colour: str) -> float:
    """Relative luminance."""
    parts = np.array([int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def test_words_can_be_read_on_every_colour() -> None:
    used = {colour for sheet in phases.sheets().values() for colour in sheet.squares.values()}
    assert set(phases.SHADES.values()) < used
    ink = lightness(plots.COLOURS["ink"])
    assert min((lightness(colour) + 0.05) / (ink + 0.05) for colour in used) > 4.5
    faint = lightness(phases.FAINT)
    assert (lightness(phases.ZERO) + 0.05) / (faint + 0.05) > 4.5


# ---- layers with kernels that are no squares ----


def test_the_architecture_shows_both_sides_of_a_kernel() -> None:
    from types import SimpleNamespace

    def words(op: str, kernel: Any, stride: Any) -> str:
        row = SimpleNamespace(name="a", op=op, kernel=kernel, stride=stride, channels=8, size=(4, 6))
        return plots.architecture([row]).axes[0].texts[1].get_text()

    assert words("conv", (2, 3), 1) == "conv 2×3"
    assert words("conv", 3, 2) == "conv 3×3 /2"
    assert words("deconvolution", 2, 2) == "deconvolution 2×2 /2"
    assert words("conv", (1, 3), 1) == "conv 1×3"
    assert words("conv", 1, 1) == "conv"
    assert words("reshape", 0, 0) == "reshape"


# ---- the same page twice ----


@pytest.mark.parametrize("name", ["up_blocks", "kernel_phases", "interleave"])
def test_the_same_drawing_gives_the_same_bytes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MDEPTH_BOOK", "1")
    draw = {
        "up_blocks": lambda: plots.up_blocks(blocks()),
        "kernel_phases": plots.kernel_phases,
        "interleave": plots.interleave,
    }[name]
    first, second = (figure_html(draw(), alt="A drawing of kernels and maps.", name="x") for _ in range(2))
    assert first == second
    assert "data:image/svg+xml" in first
    assert bool(re.search('id="fig-[0-9a-f]{12}"', first)) == (name == "interleave")


# ---- a network that goes down and up again ----


def test_every_map_of_the_encoder_is_joined_with_one_of_its_size() -> None:
    """The table of a real U-Net: arrows lead from boxes to boxes at the same height, of the same width."""
    with torch.device("meta"):
        table = {layer.name: layer for layer in layer_sizes(build("unet"))}
    down, up = ([table[f"{part}.{k}.3"] for k in range(4)] for part in ("down", "up"))
    axis = plots.u_shape(down, [table["bottom.2"]], [*up, table["answer"]]).axes[0]
    boxes = {(round(box.get_x() + box.get_width() / 2, 3), round(box.get_y() + box.get_height() / 2, 3)):
             round(box.get_width(), 3) for box in axis.patches}  # fmt: skip
    assert len(boxes) == 10
    arrows = [text for text in axis.texts if getattr(text, "arrow_patch", None) is not None]
    level = [arrow for arrow in arrows if arrow.xyann[1] == arrow.xy[1]]
    assert len(level) == 4
    assert (0.8, 0.0) in boxes  # the answer, above all that is joined
    for arrow in level:
        assert arrow.xyann[0] < arrow.xy[0]
        left, right = boxes[0.2, arrow.xy[1]], boxes[0.8, arrow.xy[1]]
        assert left == right
    words = [text.get_text() for text in axis.texts]
    assert "down.0.3: 320×240 · 32" in words
    assert "bottom.2: 20×15 · 512" in words
    for parts in ((down, [table["bottom.2"]], up[:3]), (down, [], up), ([], [table["bottom.2"]], up)):
        with pytest.raises(ValueError, match="partner"):
            plots.u_shape(*parts)


def test_small_maps_of_a_u_have_a_width() -> None:
    with torch.device("meta"):
        table = [
            layer
            for layer in layer_sizes(build("unet-rooms"))
            if layer.name.startswith(("down.3.3", "up.0.3"))
        ]
    bottom = dataclasses.replace(table[0], name="bottom", size=(1, 2))
    boxes = plots.u_shape(table[:1], [bottom], table[1:]).axes[0].patches
    assert len(boxes) == 3
    assert all(box.get_width() > 0.01 for box in boxes)
