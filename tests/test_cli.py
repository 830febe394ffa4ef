"""The command line as a whole: help, versions, mistakes, models, data, book, ledger."""

import csv
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli_tools import check_refused, invoke, read

import mdepth
from mdepth.cli import output
from mdepth.cli.output import emit

COMMANDS = (
    "predict",
    "evaluate",
    "models",
    "export",
    "runs",
    "run",
    "train",
    "ledger",
    "data",
    "book",
    "lab",
    "version",
)


def spawn(*arguments: str, **options) -> subprocess.CompletedProcess:
    """Run ``python -m mdepth.cli`` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "mdepth.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        **options,
    )


def test_help_lists_every_command_without_importing_torch(root):
    code = (
        "import sys, mdepth.cli\n"
        "try: mdepth.cli.app(['--help'], prog_name='mdepth')\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'PIL', 'matplotlib', 'h5py', 'lightning'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root, timeout=60
    )
    assert result.returncode == 0, result.stderr
    assert all(f"  {name} " in result.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name):
    result = invoke(name, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: mdepth {name}")


def test_the_module_and_the_entry_point_are_the_same_program(root):
    result = spawn("--version", cwd=root)
    assert (result.returncode, result.stdout) == (0, f"mdepth {mdepth.__version__}\n")
    entry = Path(sys.executable).parent / "mdepth"
    if entry.is_file():
        assert subprocess.run([entry, "--version"], capture_output=True, text=True).stdout == result.stdout


def test_the_documents_name_commands_and_options_that_are_there(root):
    documents = [
        root / "README.md",
        root / "CONTRIBUTING.md",
        root / "data/README.md",
        *(root / "book").glob("*.md"),
    ]
    told = "\n".join(path.read_text() for path in documents)
    commands = {
        tuple(line.split()) for line in re.findall(r"(?:^|`)mdepth ([a-z][^`\n#|]*)", told, re.MULTILINE)
    }
    assert len(commands) > 10
    for words in commands:
        name = words[:2] if words[0] == "data" else words[:1]
        help_text = invoke(*name, "--help")
        assert help_text.exit_code == 0, words
        assert [word for word in words if word[:2] == "--" and f" {word} " not in help_text.stdout] == [], (
            words
        )


def test_version_tells_what_decides_results():
    facts = read("version")
    assert facts["mdepth"] == mdepth.__version__
    assert {"python", "torch", "device", "hardware"} <= set(facts)
    assert "torch" in invoke("version").stdout


# ---- how commands speak ----


def test_emit_prints_json_that_any_program_reads(capsys):
    emit({"a": (1, 2), "nan": float("nan"), "path": Path("x"), 3: True})
    assert json.loads(capsys.readouterr().out) == {"a": [1, 2], "nan": None, "path": "x", "3": True}


def test_progress_hands_out_everything_and_speaks_now_and_then(capsys, monkeypatch):
    now = iter(range(0, 1000, 4))
    monkeypatch.setattr(time, "monotonic", lambda: next(now))
    assert list(output.progress("abc", 3, "reading", interval=5.0)) == ["a", "b", "c"]
    assert "reading: 2 of 3" in capsys.readouterr().err


# ---- models ----


def test_models_tells_the_papers_numbers():
    cards = {card["name"]: card for card in read("models")}
    nyu = cards["eigen-coarse-nyu"]
    assert (nyu["parameters"], nyu["input_size"], nyu["output_size"]) == (70_757_734, [228, 304], [55, 74])
    assert (nyu["native"], nyu["metric"], nyu["source"]) == ("log_depth", True, "eigen")
    from mdepth.models import names

    assert list(cards) == names()
    assert "70,757,734" in invoke("models").stdout


def test_one_model_is_told_with_its_layers():
    layers = read("models", "eigen-coarse-nyu")["layers"]
    assert sum(layer["parameters"] for layer in layers) == 70_757_734
    assert "coarse1.conv" in invoke("models", "eigen-coarse-nyu").stdout


# ---- data ----


def test_check_says_what_is_there_and_where_to_get_the_rest(tmp_path):
    (tmp_path / "nyu").mkdir()
    (tmp_path / "nyu" / "nyu_depth_v2_labeled.mat").touch()
    content = read("data", "check", tmp_path)
    assert [item["key"] for item in content["found"]] == ["nyu/labelled"]
    assert "kitti/raw" in [item["key"] for item in content["missing"]]
    text = invoke("data", "check", tmp_path).stdout
    assert "nyu/labelled" in text
    assert "cvlibs.net" in text


def test_check_finds_the_real_sets(real_data, monkeypatch):
    monkeypatch.setenv("MDEPTH_DATA", str(real_data))
    found = {item["key"] for item in read("data", "check")["found"]}
    assert {"kitti/raw", "nyu/sync", "rgbd/7scenes"} <= found


def test_fetch_lists_what_it_knows_and_brings_a_file(tmp_path, monkeypatch):
    from mdepth.datasets import fetch

    listed = read("data", "fetch")
    assert {"nyu-labelled", "nyu-splits"} <= {item["name"] for item in listed}
    assert "2.97 GB" in invoke("data", "fetch").stdout
    target = tmp_path / "nyu" / "splits.mat"
    monkeypatch.setattr(fetch, "fetch", lambda name, root, progress: Path(root) / fetch.REMOTES[name].path)
    result = invoke("data", "fetch", "nyu-splits", "--to", tmp_path)
    assert result.stdout.strip() == str(target)
    assert "Silberman" in result.stderr


def test_an_interrupted_download_is_one_line(tmp_path, monkeypatch):
    import pooch
    from requests.exceptions import ConnectionError

    def fail(*_, **__):
        raise ConnectionError("broke off")

    monkeypatch.setattr(pooch, "retrieve", fail)
    result = invoke("data", "fetch", "nyu-splits", "--to", tmp_path)
    assert result.exit_code == 2
    assert "error: " in result.stderr
    assert "broke off" in result.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(("layout", "key"), [("nyu-mat", "nyu/labelled"), ("kitti-raw", "kitti/raw")])
def test_export_writes_what_the_loaders_find(layout, key, tmp_path):
    kind = "rooms" if layout == "nyu-mat" else "roads"
    arguments = ["data", "export", kind, "--layout", layout, "-o", tmp_path, "--scenes", 2, "--size", "24x32"]
    result = invoke(*arguments, "--json")
    assert result.exit_code == 0, result.output + repr(result.exception)
    assert json.loads(result.stdout)["frames"] == 2
    found = read("data", "check", tmp_path)["found"]
    assert key in [item["key"] for item in found]
    check_refused(invoke(*arguments), "--force")
    assert invoke(*arguments, "--force").exit_code == 0


# ---- book ----


def fake_repository(folder: Path, script: str) -> Path:
    """A repository whose pipeline is this script."""
    (folder / "ci").mkdir(parents=True)
    (folder / "_config.yml").touch()
    for name in ("build.py", "lab.py"):
        (folder / "ci" / name).write_text(script)
    return folder


def test_book_starts_the_pipeline_of_the_repository_it_stands_in(tmp_path, monkeypatch, capfd):
    repository = fake_repository(tmp_path / "r", "import sys; print(*sys.argv[1:]); sys.exit(3)")
    (repository / "book").mkdir()
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(repository / "book")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    result = invoke("book", "--profile", "laptop", "--data", tmp_path / "data")
    assert result.exit_code == 3
    told = capfd.readouterr().out
    assert f"--profile laptop --data {tmp_path / 'data'}" in told
    assert f"--root {repository}" in told


def test_lab_starts_the_script_of_the_pipeline(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(fake_repository(tmp_path / "r", "print('lab here')"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    assert invoke("lab").exit_code == 0
    assert "lab here" in capfd.readouterr().out


def test_book_outside_a_repository_says_what_to_do(tmp_path, monkeypatch):
    from mdepth.cli import book

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(book, "__file__", str(tmp_path / "site-packages/mdepth/cli/book.py"))
    check_refused(invoke("book"), "no repository here", "clone")


def test_book_without_its_tools_says_how_to_install_them(monkeypatch, root):
    monkeypatch.chdir(root)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    check_refused(invoke("book"), "snakemake", "pip install -e .[book]")


def test_the_arguments_that_book_passes_are_those_of_the_pipeline(root):
    result = subprocess.run(
        [sys.executable, root / "ci/build.py", "--help"], capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stderr
    assert all(option in result.stdout for option in ("--profile", "--data", "--root"))


# ---- ledger ----


def test_ledger_in_all_its_forms(tmp_path):
    target = tmp_path / "ledger.csv"
    result = invoke("ledger", "--source", "eigen", "--csv", target, "--json")
    content = json.loads(result.stdout)
    assert {row["source"] for row in content["rows"]} == {"eigen"}
    with target.open(encoding="utf-8", newline="") as file:
        assert [row["id"] for row in csv.DictReader(file)] == [row["id"] for row in content["rows"]]
    read = [row for row in content["rows"] if row["column"] != "all"]  # the others: tables nobody could read
    assert sum(content["counts"]["numbers"].values()) == len(read) < len(content["rows"])
    assert "rows written" in result.stderr


def test_ledger_shows_the_rows_asked_for():
    result = invoke("ledger", "--source", "eigen", "--id", "eigen.parameters")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert "verdict" in lines[0]
    assert "50,335,744" in result.stdout
    assert all(line.startswith("eigen.parameters") for line in lines[1 : lines.index("")])
    exact = read("ledger", "--source", "eigen", "--verdict", "exact")
    assert {row["verdict"] for row in exact["rows"]} == {"exact"}


def test_ledger_does_not_write_over_a_folder(tmp_path):
    check_refused(invoke("ledger", "--source", "eigen", "--csv", tmp_path), "is a folder")
