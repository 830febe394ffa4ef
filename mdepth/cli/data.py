"""``mdepth data``: what a folder of real data holds, downloads, and worlds in the layouts of real sets."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from mdepth.cli.errors import choose, sides
from mdepth.cli.output import Json, emit, say, table

__all__ = ["KINDS", "SPLITS", "app", "data_folder"]

app = typer.Typer(
    help="Check, fetch and export data.", no_args_is_help=True, rich_markup_mode=None, add_completion=False
)
LAYOUTS = {"nyu-mat": "nyu/nyu_depth_v2_labeled.mat", "kitti-raw": "kitti/raw", "make3d": "make3d/worlds"}
"""Layout -> its place in a data folder."""
KINDS = ("rooms", "roads")
SPLITS = ("train", "val", "test")


def data_folder(folder: Path | None) -> Path:
    """The folder that was named, or else ``$MDEPTH_DATA``.

    Raises:
        ValueError: neither, or it is no folder.
    """
    named = folder or os.environ.get("MDEPTH_DATA")
    if not named:
        raise ValueError("no data folder: name one, or set MDEPTH_DATA (data/README.md says what it holds)")
    path = Path(named).expanduser()
    if not path.is_dir():
        raise ValueError(
            f"{path}: is not a folder; expected one with nyu/, kitti/, rgbd/ ... (data/README.md)"
        )
    return path


@app.command()
def check(
    folder: Annotated[Path | None, typer.Argument(help="Data folder [default: $MDEPTH_DATA].")] = None,
    json: Json = False,
) -> None:
    """Say what a folder of real data holds, what is missing, where to get it and under which terms.

    No file is opened; the loaders say what is wrong inside one.
    """
    place = data_folder(folder)
    from mdepth.datasets.check import report, to_text

    content = report(place)
    if json:
        emit(content)
    else:
        typer.echo(to_text(content))


@app.command()
def fetch(
    name: Annotated[str | None, typer.Argument(help="What to download; without it, the list.")] = None,
    to: Annotated[Path | None, typer.Option(help="Data folder [default: $MDEPTH_DATA].")] = None,
    json: Json = False,
) -> None:
    """Download what may be downloaded by a program, and hold it against its checksum.

    KITTI and 7-Scenes ask you to accept their terms on a page first; `mdepth data check` says where.
    """
    from mdepth.datasets.fetch import REMOTES
    from mdepth.datasets.fetch import fetch as download

    if name is None:
        _list_remotes(REMOTES, json)
        return
    remote = REMOTES[choose("download", name, REMOTES)]
    target = to or (Path(os.environ["MDEPTH_DATA"]) if os.environ.get("MDEPTH_DATA") else None)
    if target is None:
        raise ValueError("no data folder: say where with --to DIR, or set MDEPTH_DATA")
    say(f"{name}: {remote.size} from {remote.url}; terms: {remote.terms}")
    path = download(name, target, progress=not json)
    emit({"name": name, "path": str(path), "terms": remote.terms}) if json else typer.echo(path)


def _list_remotes(remotes: dict[str, Any], json: bool) -> None:
    """What can be fetched."""
    if json:
        emit(
            [
                {"name": name, "url": r.url, "path": r.path, "size": r.size, "terms": r.terms}
                for name, r in remotes.items()
            ]
        )
        return
    rows = [(name, remote.size, remote.path, remote.terms) for name, remote in remotes.items()]
    typer.echo(table(("name", "size", "place in the data folder", "terms"), rows, right=("size",)))


@app.command()
def export(
    kind: Annotated[str, typer.Argument(metavar="rooms|roads", help="Which world.")],
    layout: Annotated[str, typer.Option(help="nyu-mat, kitti-raw or make3d.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Data folder to write into.")],
    split: Annotated[str, typer.Option(help="train, val or test: their scenes never overlap.")] = "test",
    scenes: Annotated[int, typer.Option(help="How many scenes.")] = 8,
    frames: Annotated[int, typer.Option(help="Frames of each scene.")] = 1,
    size: Annotated[str | None, typer.Option(metavar="HEIGHTxWIDTH", help="Of the images.")] = None,
    seed: Annotated[int, typer.Option(help="Another number is another world.")] = 0,
    stereo: Annotated[bool, typer.Option("--stereo", help="With the right eye.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    json: Json = False,
) -> None:
    """Write a synthetic world in the layout of a real set, so that the real loaders run without the real set.

    Example: mdepth data export rooms --layout nyu-mat --output mydata
    """
    target = output.expanduser() / LAYOUTS[choose("layout", layout, LAYOUTS)]
    choose("world", kind, KINDS)
    if target.exists() and not force:
        raise ValueError(f"{target}: exists already; name another --output or add --force")
    height, width = sides(size) or (0, 0)  # zeros: the world's own size
    from mdepth.datasets import export as exporter
    from mdepth.datasets.worlds import World, load

    choices: dict[str, Any] = {
        "kind": kind,
        "split": choose("split", split, SPLITS),
        "seed": seed,
        "stereo": stereo,
    }
    world = World(**choices, scenes=scenes, frames=frames, height=height, width=width)
    writers: dict[str, Any] = {
        "nyu-mat": exporter.nyu_mat,
        "kitti-raw": exporter.kitti_raw,
        "make3d": exporter.make3d,
    }
    path = writers[layout](load(world, cache=False), target, overwrite=force)
    if json:
        emit({"path": str(path), "layout": layout, "frames": scenes * frames, "world": world.describe()})
    else:
        typer.echo(f"{scenes * frames} frames of {kind} written to {path}")
