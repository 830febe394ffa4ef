"""The parts "on real frames": what a book built with real data shows, and a book built without does not."""

import base64
import io
import os
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pipeline_tools import ROOT, html

# ruff: isort: split
import chapters
from layout import Layout

__all__ = ["html"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
FIGURE = re.compile(
    r'<figure[^>]*id="figure-(?P<name>[\w-]+)"[^>]*>\s*'
    r'<img alt="(?P<alt>[^"]*)"[^>]*src="data:image/png;base64,(?P<content>[^"]+)"'
)
WANTED = {
    "data": {
        "data-real-lidar", "data-real-kinect", "data-real-kinect-moved", "data-real-rooms", "data-real-roads",
    },
    "eigen": {"eigen-real-nyu", "eigen-real-kitti", "eigen-real-redkitchen"},
    "monodepth2": {"monodepth2-real-stereo"},
}  # fmt: skip


class Tables(HTMLParser):
    """The tables of a page: for each its caption and its lines of cells."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, list[list[str]]]] = []
        self.at = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        if tag == "table":
            self.found.append(("", []))
        elif tag == "tr" and self.found:
            self.found[-1][1].append([])
        elif tag in ("td", "th") and self.found:
            self.found[-1][1][-1].append("")
        self.at = tag if tag in ("td", "th", "caption") else self.at

    def handle_endtag(self, tag: str) -> None:
        self.at = "" if tag in ("td", "th", "caption") else self.at

    def handle_data(self, data: str) -> None:
        if self.at == "caption":
            self.found[-1] = (self.found[-1][0] + data, self.found[-1][1])
        elif self.at:
            self.found[-1][1][-1][-1] += data


def coloured(pixels: np.ndarray) -> np.ndarray:
    """Where a picture has colour, as depth has and greyed images, margins and letters have not."""
    return np.ptp(pixels, axis=2) > 30


@pytest.fixture(scope="module")
def page(real_data: Path, html: Path):
    """The text of a chapter's page in the book built with real data."""
    return lambda name: (html / "executed" / f"{name}.html").read_text()


def real_figures(page: str) -> dict[str, tuple[str, np.ndarray]]:
    """The figures of real frames on a page: name -> alternative text and pixels."""
    return {
        found["name"]: (
            unescape(found["alt"]),
            np.asarray(Image.open(io.BytesIO(base64.b64decode(found["content"]))).convert("RGB"), float),
        )
        for found in FIGURE.finditer(page)
        if "-real-" in found["name"]
    }


def numbers(cells: list[str]) -> list[float]:
    """The cells that hold a number, perhaps with a spread behind it."""
    return [float(cell.split(" ± ")[0]) for cell in cells if re.fullmatch(r"\d+(\.\d+)?( ± [\d.]+)?", cell)]


def percent(cell: str) -> float:
    """A share written as 12%."""
    return float(cell.rstrip("%"))


def tables_with(page: str, *words: str) -> list[tuple[str, list[list[str]]]]:
    """The tables that have all the words somewhere in their lines or caption."""
    return [
        (caption, lines)
        for caption, lines in Tables(page).found
        if all(word in " ".join([caption, *(cell for line in lines for cell in line)]) for word in words)
    ]


@pytest.mark.parametrize("name", WANTED)
def test_real_frames_are_seen_and_said_in_words(name: str, page) -> None:
    figures = real_figures(page(name))
    assert WANTED[name] <= set(figures)
    assert len({alt for alt, _ in figures.values()}) == len(figures)
    for figure, (alt, pixels) in figures.items():
        assert len(alt.split()) > 8, figure
        assert min(pixels.shape[:2]) > 200, figure
        assert coloured(pixels).mean() > 0.05, figure
        assert len(np.unique(pixels[~coloured(pixels)].mean(axis=1).round())) > 50, figure  # shades of grey


def test_the_truth_of_nyu_and_kitti_lies_over_its_image(page) -> None:
    """Within the picture's frame there are colours, and the grey of the image where nothing was measured."""
    figures = real_figures(page("data"))
    for name, measured in (("data-real-lidar", 0.15), ("data-real-kinect", 0.4)):
        pixels = figures[name][1]
        grey = (np.ptp(pixels, axis=2) == 0) & (pixels[..., 0] > 60) & (pixels[..., 0] < 200)
        assert len(np.unique(pixels[grey])) > 80, name
        assert grey.mean() > 0.1, name
        assert coloured(pixels).mean() > measured, name


def test_worlds_and_real_frames_are_counted_alike(page) -> None:
    """The sentences below the table, which were written about these sample files, hold for them."""
    text = page("data")
    assert 'id="figure-data-real-histograms"' in text
    ((_, (head, *lines)),) = tables_with(text, "rooms of the worlds", "detail", "level")
    rows = {line[0]: dict(zip(head, line, strict=True)) for line in lines}
    share, inside, detail = (
        {name: float(row[column].rstrip("%")) for name, row in rows.items()}
        for column in ("pixels with a value", "… away from the border", "detail")
    )
    assert {name: row["level"] for name, row in rows.items()} == {
        "rooms of the worlds": "B", "NYU Depth V2": "d", "7-Scenes": "d",
        "roads of the worlds": "B", "KITTI": "d",
    }  # fmt: skip
    assert all(int(row["frames"]) >= 3 for row in rows.values())
    assert abs(share["roads of the worlds"] - share["KITTI"]) < 5
    assert detail["roads of the worlds"] < detail["KITTI"]
    for real in ("NYU Depth V2", "7-Scenes"):
        assert share["rooms of the worlds"] > inside[real] > share[real]
        assert detail["rooms of the worlds"] < detail[real]


def test_a_raw_kinect_frame_fits_its_image_only_after_moving(page) -> None:
    off = re.findall(r"raw depth (.+?) +against.*?; ([\d.]+)% of the pixels", page("data"))
    assert [name for name, _ in off] == ["as the file has it", "moved"]
    assert float(off[0][1]) > 20
    assert float(off[1][1]) < 1


def test_the_network_stands_beside_both_baselines(page) -> None:
    ((caption, (head, *lines)),) = tables_with(page("eigen"), "predictor", "mean depth", "mean map", "images")
    assert "Transfer from the worlds" in caption
    for data in ("NYU Depth V2", "RedKitchen", "KITTI"):
        rows = {line[head.index("predictor")]: numbers(line) for line in lines if line[0] == data}
        assert list(rows) == ["network", "mean depth", "mean map"]
        for images, *errors in rows.values():
            assert images >= 3
            assert images == int(images)
            assert len(errors) == 4
            assert all(0 < error < 50 for error in errors)
        assert len({tuple(row) for row in rows.values()}) == 3


def test_what_the_page_concludes_from_the_scores_follows_from_them(page) -> None:
    text = page("eigen")
    ((_, (head, *lines)),) = tables_with(text, "predictor", "mean depth", "mean map", "images")
    for data in ("NYU Depth V2", "RedKitchen", "KITTI"):
        error = {line[1]: float(line[head.index("AbsRel")]) for line in lines if line[0] == data}
        words = {who: "better" if error["network"] < error[who] else "not better" for who in error}
        said = f"{words['mean depth']} than the mean depth and {words['mean map']} than the mean map"
        assert f"{data}: by AbsRel the network is {said}" in text


def test_the_kitchen_shows_what_was_trained_on_it_and_its_level(page) -> None:
    ((caption, lines),) = tables_with(page("eigen"), "RedKitchen", "level d", "coarse network")
    assert re.search(r"[1-9]\d* frames", caption)
    assert re.search(r"[1-9] seed", caption)
    for predictor in ("coarse network", "mean depth", "mean map"):
        rows = [numbers(line) for line in lines if predictor in line]
        assert rows
        assert all(len(row) == 5 and all(0 < value < 10 for value in row) for row in rows), predictor


@pytest.mark.parametrize("name", WANTED)
def test_without_data_a_chapter_runs_and_shows_no_real_frame(name: str) -> None:
    from nbclient import NotebookClient

    notebook = chapters.read_notebook(Layout(ROOT).chapters()[name])
    environment = {key: value for key, value in os.environ.items() if key != "MDEPTH_DATA"}
    environment |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1", "MDEPTH_BOOK": "1"}
    here = {"metadata": {"path": str(ROOT)}}
    NotebookClient(notebook, timeout=900, kernel_name="python3", resources=here).execute(env=environment)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    shown = "".join(
        output.get("text", "") or output.get("data", {}).get("text/html", "") for output in outputs
    )
    assert f'id="figure-{name}-' in shown
    assert f"{name}-real-" not in shown
    assert "without real data" in shown


def test_the_true_disparity_explains_photographs_but_for_what_is_hidden(page) -> None:
    """The sentences below the table of Middlebury's pairs hold for it."""
    ((caption, (head, *lines)),) = tables_with(
        page("monodepth2"), "Cones", "Tsukuba", "hidden", "part of all error"
    )
    assert "level d" in caption
    chance = float(re.search(r"by chance (\d+)%", caption)[1])
    rows = {line[0]: dict(zip(head, line, strict=True)) for line in lines}
    assert set(rows) == {"Cones", "Teddy", "Tsukuba", "Venus"}
    for row in rows.values():
        assert float(row["best shift, seen"]) == 0
        assert 3 <= percent(row["hidden"]) <= 11
        assert 16 <= percent(row["part of all error"]) <= 36  # a sixth to a third
        assert 4 <= float(row["error, hidden"]) / float(row["error, seen"]) <= 11
        assert percent(row["near the truth, seen"]) >= 70
        assert percent(row["near the truth, covered"]) <= chance


def test_metres_are_in_focal_length_times_baseline_alone(page) -> None:
    found = re.findall(
        r"median depth ([\d.]+) m; the two paintings differ by (\S+) at most", page("monodepth2")
    )
    (near, first), (far, second) = ([float(value) for value in pair] for pair in found)
    assert far / near == pytest.approx(6, rel=0.01)
    assert max(first, second) < 1e-3


def test_a_film_is_measured_at_several_rates(page) -> None:
    """At full rate it is told to leave frames out; far apart the flow finds less than there must be."""
    text = page("monodepth2")
    assert "take one frame in 4 (every=4, 6.2 frames a second)" in text
    assert "stretches everything to 1.69 times its width" in text
    ((_, lines),) = tables_with(text, "frames a second", "not followed", "level d")
    head = next(line for line in lines if "frames" in line)
    found = {
        line[0]: dict(zip(head[1:], line[1:], strict=True))
        for line in lines
        if re.fullmatch(r"[\d.]+", line[0])
    }
    assert [*found] == ["25", "12.5", "6.25", "2.5", "1"]
    motion, reckoned = (
        [float(row[name]) for row in found.values()]
        for name in ("median motion (pixels)", "that at full rate, times the gap")
    )
    assert motion == sorted(motion)
    assert motion[0] == reckoned[0] < 1
    assert motion[1] > 0.85 * reckoned[1]
    assert motion[-1] < 0.4 * reckoned[-1]
    assert all(row["stand still"] == row["not followed"] == "0%" for row in found.values())
    assert "one frame in four: 54 frames with both neighbours" in text


def test_make3ds_protocol_runs_on_a_photograph_and_through_the_official_layout(page) -> None:
    text = page("monodepth2")
    scored = (
        r"(network|mean map).*?: AbsRel ([\d.]+) scaled by the median .*?([\d.]+) in metres; ([\d,]+) meas"
    )
    lines = re.findall(scored, text)
    assert [who for who, *_ in lines] == ["network", "mean map"]
    (network, *_), (mean_map, *_) = ([float(value) for value in values[:2]] for _, *values in lines)
    assert network < mean_map
    (again,) = re.findall(r"through the official layout: ([\d.]+) from ([\d,]+) measurements", text)
    assert again == (lines[1][1], lines[1][3])


def test_no_path_of_the_machine_is_on_the_page(page, real_data: Path) -> None:
    assert str(real_data) not in page("monodepth2")
