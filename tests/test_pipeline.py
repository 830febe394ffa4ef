"""The parts of the pipeline one by one: paths, dependencies, tidying, checks, commands and workflows."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from pipeline_tools import ROOT

# ruff: isort: split
import chapters
import check
import include
import layout
import pages
import tidy


@pytest.fixture(scope="module")
def links():
    """The Sphinx extension that resolves paths."""
    sys.path.append(str(ROOT / "book" / "ext"))
    import links

    return links


def test_imports_are_found_wherever_they_stand() -> None:
    code = "import a.b\ndef f():\n    from a import c\nfrom . import d\nfrom ..e import g as h\n"
    assert chapters.imports_of(code, "p.q.r") >= {"a.b", "a.c", "p.q.d", "p.e.g"}
    assert chapters.imports_of("from . import d\nfrom .e import f", "p.q", is_package=True) >= {
        "p.q.d",
        "p.q.e.f",
    }


def test_modules_behind_follows_imports_and_packages(tmp_path: Path) -> None:
    for name, text in {
        "p/__init__": "",
        "p/a": "from p import b",
        "p/b": "import p.q.c",
        "p/q/__init__": "",
    }.items():
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "p" / "q" / "c.py").write_text("import numpy")
    (tmp_path / "p" / "d.py").write_text("")
    assert list(chapters.modules_behind(tmp_path, "p", ["p.a"])) == ["p", "p.a", "p.b", "p.q", "p.q.c"]


def test_a_chapter_names_a_source_by_its_file_or_by_a_word() -> None:
    known = ["eigen", "hu"]

    def named(name: str, code: str, *direct: str) -> list[str]:
        return chapters.sources_named(name, code, set(direct), known, "mdepth")

    assert named("eigen-tables", "") == ["eigen"]
    assert named("data", "reference('hu', 'x')", "mdepth.runs") == ["hu"]
    assert named("data", "human = 1") == []
    assert named("data", "reference('hu', 'x')", "mdepth.ledger") == known
    assert named("reproduce", "runs.plan('laptop')", "mdepth.runs") == known


CHAPTER = """\
---
jupytext: {text_representation: {extension: .md, format_name: myst}}
kernelspec: {name: python3, display_name: Python 3, language: python}
---

```{code-cell} python
CODE
```
"""


@pytest.fixture
def repository(tmp_path: Path):
    """A package of a few modules with one source that was run and one that is only reported; give it the code
    of a chapter and it says what the chapter depends on.
    """
    files = {f"p/{name}.py": "" for name in ("__init__", "runs", "recipes", "ledger", "weights", "metrics")}
    files |= {"pyproject.toml": '[project]\nname = "p"\nversion = "1"', "p/pretrained/small.safetensors": "1"}
    files |= {"data/reported/hu.yaml": "1", "data/reported/eigen.yaml": "1"}
    files |= {"_config.yml": "repository: {url: u}\nsphinx: {config: {}}"}

    def inputs(code: str, **changed: str) -> dict:
        for path, content in (files | {"book/page.md": CHAPTER.replace("CODE", code)} | changed).items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(content)
        book = layout.Layout(tmp_path)
        return chapters.inputs_of(book, "page", book.book / "page.md", ["eigen"], "")

    return inputs


@pytest.mark.parametrize(
    ("code", "sources"),
    [
        ("from p import metrics", []),
        ("from p import runs", ["eigen", "hu"]),  # names none, so any record may be read
        ("from p import recipes", ["eigen", "hu"]),
        ("from p import runs\nruns.reference('eigen')", ["eigen"]),
        ("from p import ledger\nledger.claims(['eigen'])", ["eigen", "hu"]),
        ("from p.ledger import reported", ["eigen", "hu"]),
    ],
)
def test_a_chapter_depends_on_all_sources_unless_it_names_some(
    repository, code: str, sources: list[str]
) -> None:
    assert repository(code)["sources"] == sources


@pytest.mark.parametrize(
    ("code", "changed", "key"),
    [
        ("from p import ledger", "data/reported/hu.yaml", "reported"),  # nothing was run of it
        ("from p import weights", "p/pretrained/small.safetensors", "weights"),
        ("from p import metrics", "p/metrics.py", "modules"),
    ],
)
def test_a_chapter_runs_again_when_what_it_shows_changes(
    repository, code: str, changed: str, key: str
) -> None:
    before, after = repository(code), repository(code, **{changed: "'2'"})
    assert {name for name in before if before[name] != after[name]} == {key}
    other = "import numpy"
    assert repository(other) == repository(other, **{changed: "'2'"})


def test_files_are_written_whole_and_only_if_they_change(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.json"
    assert layout.write_json(path, {"x": 1})
    before = path.stat().st_mtime_ns
    time.sleep(0.01)
    assert not layout.write_json(path, {"x": 1})
    assert path.stat().st_mtime_ns == before
    assert layout.write_json(path, {"x": 2})
    assert [p.name for p in path.parent.iterdir()] == ["b.json"]


def test_digests_depend_on_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    first = layout.digest_tree(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    second = layout.digest_tree(tmp_path)
    (tmp_path / "b").write_text("2")
    assert len({first, second, layout.digest_tree(tmp_path), layout.digest_tree(tmp_path / "none")}) == 4


def notebook(*cells):
    """A notebook of these cells."""
    metadata = {"papermill": {"duration": 3}, "kernelspec": {"name": "x", "display_name": "x"}}
    return new_notebook(cells=list(cells), metadata=metadata)


def test_tidying_folds_parameters_and_drops_what_varies() -> None:
    declared = new_code_cell('profile = "quick"', metadata={"tags": ["parameters"]}, execution_count=1)
    injected = new_code_cell('profile = "laptop"', metadata={"tags": ["injected-parameters"]})
    pieces = [new_output("stream", text="a"), new_output("stream", text="b")]
    ran = new_code_cell("1", metadata={"papermill": {"duration": 1}}, outputs=pieces, execution_count=2)
    first = tidy.tidied(notebook(declared, injected, ran), {"profile": "laptop"}, "pass")
    declared["id"] = "another"
    second = tidy.tidied(notebook(declared, injected, ran), {"profile": "laptop"}, "pass")
    assert nbformat.writes(first) == nbformat.writes(second)
    assert [cell.source for cell in first.cells] == ["pass", "profile = 'laptop'", "1"]
    assert [output.text for output in first.cells[2].outputs] == ["ab"]
    assert "papermill" not in json.dumps(first)
    assert "remove-cell" in first.cells[0].metadata.tags


def test_styled_tables_are_the_same_at_every_run() -> None:
    def table(name: str):
        html = f'<style>#T_{name}_row0 {{}}</style><table id="T_{name}">1</table>'
        data = {"text/html": html, "text/plain": f"<Styler at 0x7f00aa{name}>"}
        return new_code_cell("t", outputs=[new_output("display_data", data=data)], execution_count=1)

    first, second = (tidy.tidied(notebook(table(name)), {}, "pass") for name in ("0a1b2", "3c4d5"))
    assert nbformat.writes(first) == nbformat.writes(second)
    assert list(tidy.problems(notebook(table("0a1b2")))) == []


def test_interactive_figures_are_named_by_the_alt_text_of_their_cell() -> None:
    html = new_output("display_data", data={"text/html": '<div class="plotly-graph-div"></div>'})
    cell = new_code_cell("f", metadata={"mystnb": {"image": {"alt": 'A "curve"'}}}, outputs=[html])
    result = tidy.tidied(notebook(cell), {}, "pass")
    assert 'role="img" aria-label="A &quot;curve&quot;"' in result.cells[1].outputs[0].data["text/html"]


@pytest.mark.parametrize(
    ("output", "tag", "told"),
    [
        (new_output("error", ename="E", evalue="v", traceback=[]), "raises-exception", "ended in E: v"),
        (new_output("stream", name="stderr", text="careful"), "allow-stderr", "wrote to stderr: careful"),
        (new_output("execute_result", data={"text/plain": "<f at 0x7f00aa11>"}), None, "memory address"),
        (new_output("stream", text="/home/me/x"), None, "a folder of this machine (/home/me)"),
    ],
)
def test_problems_of_outputs(output, tag: str | None, told: str) -> None:
    cell = new_code_cell("run()", outputs=[output], execution_count=1)
    (problem,) = tidy.problems(notebook(cell), ("/home/me",))
    assert told in problem
    if tag:
        cell.metadata["tags"] = [tag]
        assert list(tidy.problems(notebook(cell))) == []


def test_a_cell_that_did_not_run_is_a_problem() -> None:
    assert "did not run" in next(tidy.problems(notebook(new_code_cell("1"))))
    assert list(tidy.problems(notebook(new_code_cell(""), new_markdown_cell("x")))) == []


def test_paths_hold_wherever_a_page_is_rendered(links) -> None:
    found = {"executed/metrics", "notation", "api/mdepth.metrics", "executed/eigen"}
    text = "[m](metrics.md#a) [n](notation.md) [w](https://x.org/a.md) ![p](assets/p.png)"
    text += "\n{include} _generated/t.md\\n"
    chapter = links.resolve(text, "executed/eigen", found)
    assert "](/executed/metrics.ipynb#a)" in chapter
    assert "](/notation.md)" in chapter
    assert "](https://x.org/a.md)" in chapter
    assert "![p](/assets/p.png)" in chapter
    assert "{include} /_generated/t.md\\n" in chapter
    assert "![p](assets/p.png)" in links.resolve(text, "notation", found)
    assert links.resolve("[m](../metrics.md)", "api/mdepth.metrics", found) == "[m](/executed/metrics.ipynb)"


CODE = """\
class A:
    @property
    def b(self):
        \"\"\"Told.\"\"\"
        return 1
"""


def test_included_code_may_leave_its_docstring_out_and_is_code(tmp_path: Path) -> None:
    (tmp_path / "book").mkdir()
    (tmp_path / "a.py").write_text(
        'def f(\n    x,\n):\n    """One.\n\n    Two.\n    """\n    y = x\n    return y\n'
    )
    text = "```{literalinclude} ../a.py\n:pyobject: f\n:without: docstring\n```"
    assert (
        include.expanded(text, tmp_path / "book")
        == "```python\ndef f(\n    x,\n):\n    y = x\n    return y\n```"
    )
    for lines in ("1,8-", "1-5"):  # a signature without its end; a docstring without its end
        with pytest.raises(layout.PipelineError, match="no code"):
            include.expanded(text.replace(":without: docstring", f":lines: {lines}"), tmp_path / "book")


def test_included_code_is_in_the_notebook_itself(tmp_path: Path) -> None:
    (tmp_path / "book").mkdir()
    (tmp_path / "a.py").write_text(CODE)
    text = "Before\n```{literalinclude} ../a.py\n:pyobject: A.b\n:lines: 1-2,4-\n```\nafter"
    told = "Before\n```python\n@property\ndef b(self):\n    return 1\n```\nafter"
    assert include.expanded(text, tmp_path / "book") == told
    assert include.included_files(tmp_path / "book", notebook(new_markdown_cell(text))) == [tmp_path / "a.py"]
    for old, new in (("../a.py", "a.py"), ("A.b", "A.c"), (":lines:", ":linenos:")):
        with pytest.raises(layout.PipelineError, match=r"literalinclude"):
            include.expanded(text.replace(old, new), tmp_path / "book")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ('<a href="b.html">b</a>', "leads to no file"),
        ('<a href="#nowhere">b</a>', "leads to no anchor"),
        ('<article><img src="a.svg"></article>', "has no alt text"),
        ('<article><img src="a.svg" alt="a.svg"></article>', "has no alt text"),
        ('<img src="//x.org/a.png">', "from elsewhere"),
        ('<script src="https://x.org/a.js"></script>', "from elsewhere"),
        ('<div class="plotly-graph-div"></div>', "interactive figures have no alt text"),
        ("<p>/home/me</p>", "folder of this machine"),
        ("<p>&lt;object object at 0x7f01aa22&gt;</p>", "shows a memory address"),
    ],
)
def test_the_check_finds(tmp_path: Path, body: str, told: str) -> None:
    (tmp_path / "a.svg").write_text("")
    (tmp_path / "page.html").write_text(f"<html><body>{body}</body></html>")
    found = check.problems(tmp_path, ("/home/me",))
    assert any(told in problem for problem in found), found


def test_the_check_accepts_what_is_right(tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_text("")
    body = '<p id="x"><a href="page.html#x">x</a> <a href="https://x.org">y</a></p>'
    body += '<img src="a.svg" alt="A square">'
    (tmp_path / "page.html").write_text(f"<html><body><article>{body}</article></body></html>")
    assert check.problems(tmp_path) == []


def test_means_and_provenance_of_reference_records(tmp_path: Path) -> None:
    for seed, error in enumerate((0.25, 0.75)):
        place = tmp_path / "results" / "laptop" / "eigen" / "coarse" / f"seed{seed}"
        place.mkdir(parents=True)
        mean = {"rmse": error, "edge_precision": error if seed else None}  # a seed that draws no edge
        (place / "metrics.json").write_text(json.dumps({"worlds": {"mean": mean}}))
        (place / "run.json").write_text(json.dumps({"seed": seed, "commit": "abcdefghi", "seconds": 30}))
    found = pages.reference_results(layout.Layout(tmp_path))
    assert found["eigen"]["coarse"]["worlds"] == {"rmse": 0.5}
    assert found["records"]["eigen"]["coarse"] == "seeds 0, 1; commit abcdefg; torch ?; 1.0 min"


def test_every_page_has_its_place_in_the_table_of_contents() -> None:
    book = layout.Layout(ROOT)
    written = {path.stem for path in book.book.glob("*.md")}
    assert {page.removeprefix("executed/") for page in book.pages()} - {"api/index"} == written


def test_every_chapter_declares_what_the_build_sets() -> None:
    for name, path in layout.Layout(ROOT).chapters().items():
        declared = tidy.parameters_of(chapters.read_notebook(path))
        assert declared in ({}, {"profile": "quick", "data_dir": ""}), name


def targets() -> set[str]:
    """The targets of the Makefile."""
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_the_commands_of_the_documents_exist() -> None:
    told = " ".join(
        (ROOT / name).read_text() for name in ("README.md", "CONTRIBUTING.md", "book/reproduce.md")
    )
    commands = set(re.findall(r"(?:`|^|\n|&& )make ([a-z]+)", told))
    assert commands >= {"book", "test", "lab", "lock"}
    assert commands <= targets()
    own = set(re.findall(r"(?:`|\n)mdepth ([a-z]+)", told))
    listed = subprocess.run(
        [sys.executable, "-m", "mdepth.cli", "--help"], capture_output=True, text=True
    ).stdout
    assert {command for command in own if not re.search(rf"\b{command}\b", listed)} == set()


def test_the_quick_profile_is_as_short_as_it_is_said_to_be() -> None:
    from mdepth import recipes, runs

    planned = {source: runs.plan("quick", source, real=True) for source in recipes.available()}
    assert planned
    assert {source: len(found) for source, found in planned.items() if not 1 <= len(found) <= 6} == {}


def test_the_example_of_the_readme_runs() -> None:
    import torch

    from mdepth.models import count_parameters

    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    names = {"image": torch.rand(2, 3, 48, 64)}
    exec(example, names)
    assert f"{count_parameters(names['network']):,} parameters" in example
    assert names["depth"].shape == (2, 1, 48, 64)
    assert names["network"].metric


def test_adding_something_touches_few_files_and_they_are_there() -> None:
    sections = re.split(r"^## ", (ROOT / "CONTRIBUTING.md").read_text(), flags=re.MULTILINE)
    recipes = {title: text for title, _, text in (s.partition("\n") for s in sections) if "To add" in title}
    assert list(recipes) == [
        f"To add a {what}" for what in ("network", "loss or a metric", "data set", "chapter")
    ]
    lists = {"mdepth/models/__init__.py", "mdepth/datasets/sources.py", "book/_toc.yml"}
    for title, text in recipes.items():
        named = re.findall(r"`((?:mdepth|book|data|tests)/[\w./<>]*)`", text)
        missing = [path for path in named if not (ROOT / path.replace("<source>", "eigen")).exists()]
        assert missing == [], title
        assert len([path for path in named if path not in lists and not path.startswith("tests/")]) <= 3, (
            title
        )


def test_makefile_lines_only_call() -> None:
    recipes = re.findall(r"^[a-z]+:.*\n((?:\t.*\n?)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert all(len(recipe.strip().splitlines()) <= 2 for recipe in recipes)


@pytest.mark.parametrize(
    ("pythons", "works"),
    [
        ({"python3.13": "exit 127", "python3.12": "works"}, True),
        ({"python3": "exit 127"}, False),
        ({}, False),
    ],
)
def test_install_takes_the_first_python_that_runs(tmp_path: Path, pythons: dict, works: bool) -> None:
    project, programs = tmp_path / "project", tmp_path / "bin"
    (project / "ci").mkdir(parents=True)
    programs.mkdir()
    for name in ("install.sh",):
        (project / "ci" / name).write_text((ROOT / "ci" / name).read_text())
    for name in ("requirements.lock", "pyproject.toml"):
        (project / name).write_text("")
    for name, does in pythons.items():
        fake = f'#!/bin/sh\n[ "$1" = -m ] && echo "chosen {name}" && exit 9\nexit 0\n'
        (programs / name).write_text(fake if does == "works" else f"#!/bin/sh\n{does}\n")
        (programs / name).chmod(0o755)
    tools = os.pathsep.join([str(programs), "/nowhere"])
    for tool in ("sh", "dirname", "cksum", "rm", "cat", "env"):
        (programs / tool).symlink_to(Path("/usr/bin" if Path(f"/usr/bin/{tool}").exists() else "/bin") / tool)
    done = subprocess.run(
        [str(programs / "sh"), "ci/install.sh"],
        cwd=project,
        env={"PATH": tools},
        capture_output=True,
        text=True,
    )
    if works:
        assert "chosen python3.12" in done.stdout
    else:
        assert done.returncode == 1
        assert "needs Python 3.11, 3.12 or 3.13" in done.stderr


WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_parse_and_ask_for_little(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 360
        for step in job["steps"]:
            assert "uses" not in step or re.search(r"@(v\d+|[0-9a-f]{40})$", step["uses"])
            commands = re.findall(r"(?:^|\s)make ([a-z]+)", step.get("run", ""))
            assert set(commands) <= targets()
            for script in re.findall(r"(?<!\.)ci/[\w.]+", step.get("run", "")):
                assert (ROOT / script).is_file(), script


def test_published_notebooks_are_where_the_buttons_lead() -> None:
    book = layout.Layout(ROOT)
    workflows = [yaml.safe_load(path.read_text()) for path in WORKFLOWS]
    variables = {name: value for workflow in workflows for name, value in workflow.get("env", {}).items()}
    assert variables["NOTEBOOKS_BRANCH"] == book.config["sphinx"]["config"]["notebooks_branch"]
    triggers = [workflow[True] for workflow in workflows]  # YAML reads the key `on` as true
    assert any(book.config["repository"]["branch"] in t["push"]["branches"] for t in triggers if "push" in t)
    assert any("schedule" in t for t in triggers)
    address = re.compile(r"https://github\.com/[\w.-]+/[\w.-]+")
    for name in ("README.md", "CITATION.cff", "CONTRIBUTING.md"):
        for found in address.findall((ROOT / name).read_text()):
            assert "mdepth" not in found or found.removesuffix(".git") == book.repository, name
