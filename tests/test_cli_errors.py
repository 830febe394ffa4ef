"""What the command line says when something goes wrong: one line, the right status, nothing left behind."""

import os
import signal
import subprocess
import sys

import pytest
import typer
from cli_tools import check_refused, invoke
from typer.testing import CliRunner

from mdepth.cli import errors


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["predic"], ["predic", "Did you mean 'predict'?"]),
        (["--versoin"], ["--versoin", "--version"]),
        (["predict"], ["Missing", "mdepth predict --help"]),
        (["models", "--jsno"], ["--jsno", "--json"]),
        (["models", "eigen-corse-nyu"], ["eigen-corse-nyu", "did you mean 'eigen-coarse-nyu'"]),
        (["data", "chek"], ["chek", "check"]),
        (["data", "check", "no-such-folder"], ["no-such-folder", "nyu/"]),
        (["data", "fetch", "nyu-labeled"], ["did you mean 'nyu-labelled'"]),
        (["data", "export", "rooms", "--layout", "nyu", "-o", "x"], ["unknown layout 'nyu'", "nyu-mat"]),
        (["data", "export", "room", "--layout", "nyu-mat", "-o", "x"], ["did you mean 'rooms'"]),
        (["data", "export", "rooms", "--layout", "nyu-mat", "-o", "x", "--size", "96"], ["96x128"]),
        (["data", "export", "rooms", "--layout", "nyu-mat", "-o", "x", "--scenes", "0"], ["at least 1"]),
        (
            ["data", "export", "rooms", "--layout", "nyu-mat", "-o", "x", "--scenes", "few"],
            ["--scenes", "integer"],
        ),
        (["book", "--profile", "quik"], ["did you mean 'quick'"]),
        (["book", "--data", "no-such-folder"], ["no-such-folder"]),
        (["ledger", "--source", "eigne"], ["did you mean 'eigen'"]),
        (["ledger", "--verdict", "exat"], ["did you mean 'exact'"]),
        (["ledger", "--source", "eigen", "--id", "eigen.nothing"], ["eigen.nothing"]),
    ],
)
def test_mistakes_are_one_line_that_helps(arguments, words, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    check_refused(invoke(*arguments), *words)
    assert list(tmp_path.iterdir()) == []


def test_data_commands_without_a_folder_say_how_to_name_one(monkeypatch):
    monkeypatch.delenv("MDEPTH_DATA", raising=False)
    check_refused(invoke("data", "check"), "MDEPTH_DATA")
    check_refused(invoke("data", "fetch", "nyu-splits"), "--to")


def test_debug_shows_where_a_mistake_came_from(monkeypatch):
    monkeypatch.setenv("MDEPTH_DEBUG", "1")
    result = invoke("models", "nothing")
    assert isinstance(result.exception, ValueError)


def broken(error: BaseException) -> typer.Typer:
    """A program with our error handling whose only commands fail."""
    program = typer.Typer(cls=errors.Commands, rich_markup_mode=None, pretty_exceptions_enable=False)

    @program.command()
    def fail() -> None:
        raise error

    @program.command()
    def other() -> None:
        """So that ``fail`` is a command of its own."""

    return program


class OutOfMemoryError(RuntimeError):
    """Named as torch's."""


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (OSError(28, "No space left on device", "out/a.png"), 2, "error: out/a.png: No space left on device"),
        (PermissionError(13, "Permission denied", "out"), 2, "error: out: Permission denied"),
        (ValueError("two\nlines"), 2, "error: two lines"),
        (errors.Stop("lost"), 1, "error: lost"),
        (OutOfMemoryError("CUDA"), 1, "--device cpu"),
        (KeyboardInterrupt(), 130, "stopped"),
    ],
)
def test_what_goes_wrong_is_told_in_a_line(error, status, text):
    result = CliRunner().invoke(broken(error), ["fail"])
    assert result.exit_code == status
    assert text in result.stderr
    assert result.stderr.count("\n") == 1


def test_our_own_mistakes_keep_their_traceback():
    assert isinstance(CliRunner().invoke(broken(KeyError("x")), ["fail"]).exception, KeyError)


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_interrupting_the_program_gives_130_and_one_line(root):
    code = (
        "import sys, time\n"
        "from mdepth.cli import book, main\n"
        "def slow(): print('ready', flush=True); time.sleep(30)\n"
        "book.repository = slow\n"
        "sys.argv = ['mdepth', 'lab']\n"
        "main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=root,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell may take it away
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=20)
    assert process.returncode == 130
    assert told.decode().startswith("stopped")
    assert told.count(b"\n") == 1
