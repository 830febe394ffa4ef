"""``mdepth`` on the command line: each command is a thin front to one part of the library.

Three rules hold for all of them. Results go to standard output, everything else to standard error, so that
``--json`` prints JSON and nothing more. A user's mistake is one line that says what was expected and what to
do, with status 2 (``MDEPTH_DEBUG=1`` shows where it came from). Whatever is heavy (torch first of all) is
imported inside the command that needs it, so ``mdepth --help`` answers at once.
"""

from typing import Annotated

import typer

from mdepth import __version__
from mdepth.cli import book, data, evaluate, export, ledger, mask, models, predict, runs
from mdepth.cli.errors import Commands
from mdepth.cli.output import Json, emit

__all__ = ["app", "main"]

app = typer.Typer(
    name="mdepth",
    cls=Commands,
    help="Depth from one image: the book, its networks, its runs and its ledger.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(short_help="Depth of photographs, folders and videos.")(predict.predict)
app.command(short_help="Which pixels a depth network needs.")(mask.mask)
app.command(short_help="Score a network, or predictions made elsewhere.")(evaluate.evaluate)
app.command(short_help="List the networks.")(models.models)
app.command(short_help="Write a network as an ONNX file.")(export.export)
app.command(short_help="List what is planned and what is recorded.")(runs.runs)
app.command(short_help="Make the records of a source or a variant.")(runs.run)
app.command(short_help="Train with settings of your own.")(runs.train)
app.command(short_help="Reported numbers beside ours.")(ledger.ledger)
app.add_typer(data.app, name="data")
app.command(short_help="Build the book.")(book.book)
app.command(short_help="Open the chapters in JupyterLab.")(book.lab)


def _show_version(wanted: bool) -> bool:
    """Print the version and stop, where that was asked for."""
    if wanted:
        typer.echo(f"mdepth {__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and stop."),
    ] = False,
) -> None:
    """Depth from one image: the book, its networks, its runs and its ledger."""


@app.command(short_help="Versions and the device at hand.")
def version(json: Json = False) -> None:
    """Versions of mdepth and of what decides its results, and the device at hand."""
    import torch

    from mdepth.runs.machine import hardware, versions

    found, machine = versions(), hardware()
    found["device"] = "cuda" if torch.cuda.is_available() else "cpu"
    if json:
        emit({**found, "hardware": machine})
        return
    found["hardware"] = machine["gpu"] or f"{machine['cpu']}, {machine['threads']} threads"
    typer.echo("\n".join(f"{name:<10}{value}" for name, value in found.items()))


def main() -> None:
    """Run the command line; the entry point of the installed ``mdepth``."""
    app(prog_name="mdepth")
