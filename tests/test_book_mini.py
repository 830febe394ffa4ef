"""The pipeline on a book of fake runs and one chapter: what is redone, what survives, what is refused."""

import json
import re
import shutil
import signal
import time
from pathlib import Path

import pytest
from pipeline_tools import ROOT, Mini, copy_of_mini


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Mini:
    """A mini book built once; tests that use it leave it built from the same sources."""
    mini = copy_of_mini(tmp_path_factory.mktemp("built") / "mini")
    mini.build()
    return mini


@pytest.fixture
def fresh(built: Mini, tmp_path: Path) -> Mini:
    """A book of a test's own, already built."""
    shutil.copytree(built.folder, tmp_path / "mini", symlinks=True)
    mini = Mini(tmp_path / "mini")
    return mini


def test_first_build_makes_runs_chapter_and_pages(built: Mini) -> None:
    assert built.runs_made() == ["toy/one/quick/0", "toy/two/quick/0"]
    page = (built.html / "executed" / "toy.html").read_text()
    assert "profile <strong>quick</strong>" in page
    assert '<span class="result-value">0.125</span>' in page
    assert "seed 0; commit 0123456; torch 2.15.0; 0.2 min" in page
    assert 'alt="A line that rises' in page
    assert "def</span><span" in page  # the function included from the package
    facts = json.loads((built.html / "build.json").read_text())
    assert facts["profile"] == "quick"
    assert facts["chapters"]["toy"]["seconds"] > 0
    assert facts["chapters"]["toy"]["peak_mb"] > 10


def test_api_pages_and_chapters_are_linked_both_ways(built: Mini) -> None:
    runs = (built.html / "api" / "mini.runs.html").read_text()
    assert "Used in" in runs
    assert 'href="../executed/toy.html"' in runs
    assert "Used by no chapter" in (built.html / "api" / "mini.other.html").read_text()


def test_buttons_lead_to_the_text_and_to_the_published_notebook(built: Mini) -> None:
    page = (built.html / "executed" / "toy.html").read_text()
    assert "https://github.com/example/mini/edit/main/book/toy.md" in page
    assert "https://colab.research.google.com/github/example/mini/blob/notebooks/toy.ipynb" in page
    assert (built.html / "_sources" / "executed" / "toy.ipynb").is_file()


def test_nothing_changed_is_quick_and_touches_nothing(built: Mini) -> None:
    before = {path: path.stat().st_mtime_ns for path in built.html.rglob("*") if path.is_file()}
    started = time.monotonic()
    output = built.build()
    assert time.monotonic() - started < 30
    assert "cell" not in output
    assert before == {path: path.stat().st_mtime_ns for path in built.html.rglob("*") if path.is_file()}


def test_two_builds_from_nothing_are_byte_identical(fresh: Mini, built: Mini) -> None:
    from check import differences

    for made in (".mdepth", "_build", "results/quick", "book/executed", "book/_generated", "book/api"):
        shutil.rmtree(fresh.folder / made)
    fresh.build()
    assert differences(built.html, fresh.html) == []
    name = Path("book/executed/toy.ipynb")
    assert (built.folder / name).read_bytes() == (fresh.folder / name).read_bytes()


def test_only_what_a_change_touches_is_redone(fresh: Mini) -> None:
    fresh.edit("mini/other.py", "imports.", "imports, and this changes nothing for any.")
    output = fresh.build()
    assert "cell" not in output  # no chapter imports it
    assert "rendering" in output  # its API page shows it

    fresh.edit("mini/parts.py", "The sum", "The whole sum")
    output = fresh.build()
    assert "toy: cell" in output  # imported by what the chapter imports
    assert "toy: run" not in output

    fresh.edit("book/toy.md", "The mean is", "Their mean is")
    assert "toy: cell" in fresh.build()

    fresh.edit("book/intro.md", "It has", "This has")
    output = fresh.build()
    assert "cell" not in output
    assert "rendering" in output

    shutil.rmtree(fresh.folder / "results" / "quick" / "toy" / "two")
    fresh.build()
    assert fresh.runs_made()[2:] == ["toy/two/quick/0"]


def test_a_changed_reference_record_reaches_the_page(fresh: Mini) -> None:
    fresh.edit("results/laptop/toy/one/seed0/metrics.json", "0.125", "0.75")
    assert "toy: cell" in fresh.build()
    assert '<span class="result-value">0.750</span>' in (fresh.html / "executed" / "toy.html").read_text()


def test_pages_that_are_gone_leave_nothing_behind(fresh: Mini) -> None:
    (fresh.folder / "mini" / "other.py").unlink()
    fresh.build()
    assert not (fresh.html / "api" / "mini.other.html").exists()
    assert not (fresh.folder / "book" / "api" / "mini.other.md").exists()


@pytest.mark.parametrize(
    ("variable", "sign"), [("MINI_RUN_SLEEP", "run 1"), ("MINI_CHAPTER_SLEEP", "toy: cell")]
)
def test_kill_leaves_no_process_and_the_next_build_is_whole(
    fresh: Mini, built: Mini, variable: str, sign: str
) -> None:
    from check import differences

    for made in (".mdepth", "_build", "results/quick"):
        shutil.rmtree(fresh.folder / made)
    process = fresh.start(**{variable: "100"})
    assert process.stdout is not None
    for line in process.stdout:
        if sign in line:
            break
    time.sleep(0.5)
    process.send_signal(signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 10
    while fresh.processes() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert fresh.processes() == []
    assert not fresh.html.exists()
    fresh.build()
    assert differences(built.html, fresh.html) == []


def test_a_second_build_says_who_is_at_work_and_waits(fresh: Mini) -> None:
    fresh.edit("book/toy.md", "The mean is", "Their mean is")
    first = fresh.start(MINI_CHAPTER_SLEEP="6")
    assert first.stdout is not None
    first.stdout.readline()
    refused = fresh.build("--no-wait", status=3)
    assert f"another build is at work in this repository (process {first.pid}, profile quick" in refused
    output = fresh.build()
    assert f"process {first.pid}" in output
    assert "waiting for it to end" in output
    assert first.wait(timeout=60) == 0
    assert output.count("cell") == 0  # the first one did the work


def test_a_kernel_that_is_slow_to_end_still_leaves_its_report(fresh: Mini) -> None:
    fresh.edit(
        "book/toy.md", "import time\n", "import atexit\nimport time\n\natexit.register(time.sleep, 6)\n"
    )
    fresh.build()
    assert json.loads((fresh.html / "build.json").read_text())["chapters"]["toy"]["peak_mb"] > 10


def refused(mini: Mini, *edits: tuple[str, str]) -> str:
    """What a build says when it refuses an edited chapter; the HTML of before stays."""
    before = (mini.html / "executed" / "toy.html").read_bytes()
    for old, new in edits:
        mini.edit("book/toy.md", old, new)
    output = mini.build(status=1)
    assert (mini.html / "executed" / "toy.html").read_bytes() == before
    assert "is as it was before" in output
    return output


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'profile = "quick"\n',
            "",
            "unknown parameters ['profile']; its parameters cell declares ['data_dir']",
        ),
        ('data_dir = ""\n', 'data_dir = ""\nsize = 3\n', "declares ['size'], which no build sets"),
        ("print(profile,", "print(1 / 0,", "ZeroDivisionError"),
        ("print(profile,", 'import sys; print("!", file=sys.stderr); print(', "wrote to stderr: !"),
        ("print(profile,", "print(object(),", "shows a memory address"),
        ("print(profile,", "print(os.getcwd(),", "shows a folder of this machine"),
    ],
)
def test_a_chapter_that_must_not_be_published_is_refused(
    fresh: Mini, old: str, new: str, message: str
) -> None:
    assert message in refused(fresh, (old, new))


def test_warnings_of_the_text_are_errors(fresh: Mini) -> None:
    output = refused(
        fresh,
        ("{val}`toy.one.worlds", "{val}`toy.one.nowhere"),
        ("[beginning](intro.md)", "[beginning](nowhere.md) {py:func}`mini.parts.square`"),
    )
    assert "no number 'toy.one.nowhere.error:.3f'" in output
    assert "nowhere.md" in output
    assert "mini.parts.square" in output


def test_pages_without_alt_texts_or_from_elsewhere_are_refused(fresh: Mini) -> None:
    output = refused(
        fresh,
        ("    alt: A line that rises through the errors of two toy runs\n", "    width: 90%\n"),
        ("[beginning](intro.md)", "![there](https://example.org/a.png)"),
    )
    assert "no alt text" in output
    assert "from elsewhere" in output


def test_a_record_that_no_rebuild_would_notice_is_refused(fresh: Mini) -> None:
    other = fresh.folder / "results" / "laptop" / "other" / "x" / "seed0"
    other.mkdir(parents=True)
    (other / "run.json").write_text('{"seed": 0}')
    (other / "metrics.json").write_text("{}")
    hidden = 'print(open("results/laptop/oth" + "er/x/seed0/metrics.json").read(),'
    assert "read records of ['other'] but names only ['toy']" in refused(fresh, ("print(profile,", hidden))


def test_unknown_settings_and_folders_are_refused(fresh: Mini) -> None:
    assert "not a folder" in fresh.build("--data", "no/such/folder", status=1)
    assert "is not a repository with a book" in fresh.build("--root", str(fresh.folder / "book"), status=1)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("title: A mini book", "title: A mini book\ntitel: twice", "knows no titel"),
        ("html: {favicon", "html: {use_edit_button: true, favicon", "knows no html.use_edit_button"),
        ("mathjax_path:", "mathjax_way:", "mathjax_way"),
    ],
)
def test_unknown_configuration_is_refused(fresh: Mini, old: str, new: str, message: str) -> None:
    fresh.edit("_config.yml", old, new)
    assert message in fresh.build(status=1)


def test_a_relative_data_folder_reaches_runs_and_chapters_alike(fresh: Mini) -> None:
    """It counts from the repository, also for a chapter that works elsewhere, and no notebook tells it."""
    data = fresh.folder.parent / "some" / "real data"
    data.mkdir(parents=True)
    (data / "number.txt").write_text("0.625")
    fresh.edit("book/toy.md", "import time\n", "import time\n\nos.chdir(os.sep)\n")
    output = fresh.make("book", "MDEPTH_DATA=../some/real data")
    assert "profile quick, with real frames" in output
    assert fresh.runs_made()[2:] == ["toy/real/quick/0"]
    record = fresh.folder / "results" / "quick" / "toy" / "real" / "seed0" / "metrics.json"
    assert json.loads(record.read_text())["worlds"]["mean"]["error"] == 0.625
    page = (fresh.html / "executed" / "toy.html").read_text()
    assert "quick 0.625" in page
    assert "Real sample frames were at hand" in page
    notebook = (fresh.folder / "book" / "executed" / "toy.ipynb").read_text()
    cells = ["".join(cell["source"]) for cell in json.loads(notebook)["cells"]]
    assert "profile = 'quick'\ndata_dir = ''" in cells
    assert "real data" not in notebook

    (data / "number.txt").write_text("0.75")
    assert "toy: cell" in fresh.build("--data", "../some/real data")  # the data changed
    assert "quick 0.75" in (fresh.html / "executed" / "toy.html").read_text()
    assert "cell" not in fresh.build("--data", "../some/real data")


def test_a_chapter_that_shows_where_the_data_lie_is_refused(fresh: Mini, tmp_path: Path) -> None:
    (tmp_path / "number.txt").write_text("1")
    fresh.edit("book/toy.md", "print(profile,", "print(data_dir,")
    output = fresh.build("--data", str(tmp_path), status=1)
    assert f"shows a folder of this machine ({tmp_path})" in output


RUN = r"tiny/line \(laptop, seed 0\): "
TOLD = {
    "log": RUN + r"step (\d+) of 20, loss \d+\.\d+, (\d+) s left",
    "terminal": RUN + r" *\d+%\|[^|]*\| *(\d+)/20 \[\d\d:\d\d<00:(\d+), [^\r]*loss=\d+\.\d+\]",
}


@pytest.mark.parametrize("where", TOLD)
def test_a_build_tells_run_step_loss_time_left_and_chapter_all_along(fresh: Mini, where: str) -> None:
    for made in (".mdepth", "results/quick"):
        shutil.rmtree(fresh.folder / made)
    tiny = {"MINI_TINY": "1", "TINY_PAUSE": "0.2", "PYTHONPATH": str(ROOT / "tests")}
    tiny["MDEPTH_RESULTS"] = str(fresh.folder.parent / "tiny")
    output = fresh.build(**tiny) if where == "log" else fresh.build_on_a_terminal(**tiny)
    assert "toy: run 1 of 2, one, seed 0" in output
    steps = [(int(step), int(left)) for step, left in re.findall(TOLD[where], output)]
    assert len({step for step, _ in steps}) >= 4  # of 20 steps in four seconds
    assert steps == sorted(steps)
    assert max(left for _, left in steps) >= 2
    assert min(left for _, left in steps) < 2
    assert re.search(r"toy: cell \d+ of \d+", output)
    assert re.search(r"toy: done in [\d.]+ s, \d+ MB", output)
    assert "rendering 3 pages" in output
