"""``mdepth export``: a network with its weights as an ONNX file, for programs without PyTorch."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mdepth.cli.errors import choose, sides
from mdepth.cli.output import Json, emit, say

__all__ = ["export"]


def export(
    network: Annotated[
        str, typer.Argument(metavar="NETWORK", help="One of `mdepth models`.", show_default=False)
    ],
    file: Annotated[Path, typer.Argument(metavar="FILE.onnx", help="To be written.", show_default=False)],
    weights: Annotated[
        Path | None, typer.Option(help="Its weights, unless they come with the package.")
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(metavar="HEIGHTxWIDTH", help="Of the images [default: the network's own size]."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    json: Json = False,
) -> None:
    """Write a network as an ONNX file, which takes RGB in [0, 1] and gives depth, without PyTorch.

    The file does to pictures of one size, however many at once, what `mdepth predict` does to reach their
    depth; where onnxruntime is installed, the two are compared.

    Example: mdepth export eigen-coarse-rooms depth.onnx
    """
    name = _check(network, file, force)
    wanted = sides(size)
    from mdepth.cli.networks import load
    from mdepth.models.onnx import export_onnx

    loaded = load(name, weights, "cpu")
    say(f"network: {loaded}")
    about = {"run": loaded.trained, "evidence": loaded.evidence}
    try:
        written = export_onnx(loaded.network, file.expanduser(), size=wanted, name=name, about=about)
    except ImportError as error:
        raise ValueError(str(error)) from None
    if json:
        emit(_facts(loaded, written))
    else:
        _tell(loaded, written)


def _check(network: str, file: Path, force: bool) -> str:
    """Refuse what cannot be before anything is loaded; the network's name."""
    from mdepth.models import names

    name = choose("network", network, names())
    if file.suffix.lower() != ".onnx":
        raise ValueError(f"{file}: the file's name must end in .onnx")
    if file.expanduser().exists() and not force:
        raise ValueError(f"{file}: exists already; name another file or add --force")
    return name


def _facts(loaded: Any, written: Any) -> dict[str, Any]:
    """What ``--json`` prints."""
    network = loaded.network
    return {
        "file": str(written.path),
        "network": loaded.name,
        "weights": str(loaded.weights),
        "trained": loaded.trained,
        "evidence": loaded.evidence,
        "size": written.size,
        "metric": network.metric,
        "depth_range": network.depth_range,
        "bytes": written.bytes,
        "difference": written.difference,
    }


def _tell(loaded: Any, written: Any) -> None:
    """What goes in, what comes out, and whether it was compared."""
    (height, width), (near, far) = written.size, loaded.network.depth_range
    unit = "m" if loaded.network.metric else "(relative)"
    typer.echo(f"image: float32 (B, 3, {height}, {width}), RGB in [0, 1]")
    typer.echo(f"depth: float32 (B, 1, {height}, {width}), {near:g} to {far:g} {unit}")
    if written.difference is None:
        typer.echo("not compared with the network: `pip install onnxruntime`, and export again")
    else:
        typer.echo(f"onnxruntime and the network differ by at most {written.difference:.0e} of the depth")
    typer.echo(f"written to {written.path}: {written.bytes / 1e6:.1f} MB")
