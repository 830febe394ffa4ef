"""``mdepth models``: every network by name, with its size."""

from typing import Annotated, Any

import typer

from mdepth.cli.errors import choose
from mdepth.cli.output import Json, emit, table

__all__ = ["card", "models"]


def models(
    name: Annotated[str | None, typer.Argument(help="One network, with the table of its layers.")] = None,
    json: Json = False,
) -> None:
    """List the networks: name, source, parameters, input, output.

    Example: mdepth models eigen-coarse-nyu
    """
    from mdepth.models import names

    if name is not None:
        _layers(choose("network", name, names()), json)
        return
    cards = [card(known) for known in names()]
    if json:
        emit(cards)
        return
    header = ("name", "source", "parameters", "input", "output", "weights here", "what it is")
    rows = [
        (
            about["name"],
            about["source"],
            f"{about['parameters']:,}",
            _size(about["input_size"]),
            f"{_size(about['output_size'])} {about['native']}",
            "yes" if about["weights"] else "-",
            about["summary"],
        )
        for about in cards
    ]
    typer.echo(table(header, rows, right=("parameters",)))


def card(name: str) -> dict[str, Any]:
    """What there is to say of a network; nothing is computed, since it is built without memory ("meta")."""
    import torch

    from mdepth.models import MODELS, build, count_parameters
    from mdepth.weights import PRETRAINED

    with torch.device("meta"):
        network = build(name)
        output = network(torch.zeros(1, 3, *network.input_size))
    return {
        "name": name,
        "source": MODELS[name].source,
        "summary": MODELS[name].summary,
        "parameters": count_parameters(network),
        "input_size": network.input_size,
        "output_size": tuple(output.shape[-2:]),
        "native": network.native,
        "metric": network.metric,
        "depth_range": network.depth_range,
        "weights": (PRETRAINED / f"{name}.safetensors").is_file(),
    }


def _layers(name: str, json: bool) -> None:
    """One network and its layers."""
    import dataclasses

    import torch

    from mdepth.models import build, layer_sizes

    with torch.device("meta"):
        layers = [dataclasses.asdict(layer) for layer in layer_sizes(build(name))]
    about = card(name)
    if json:
        emit({**about, "layers": layers})
        return
    header = ("layer", "kind", "kernel", "stride", "channels", "size", "parameters")
    rows = [
        (layer["name"], layer["op"], _side(layer["kernel"]), layer["stride"] or "-", layer["channels"],
         _size(layer["size"]), f"{layer['parameters']:,}")
        for layer in layers
    ]  # fmt: skip
    unit = "m" if about["metric"] else "relative units"
    typer.echo(f"{name}: {about['summary']}; {about['parameters']:,} parameters")
    typer.echo(
        f"input {_size(about['input_size'])}, output {about['native']} {_size(about['output_size'])}, ",
        nl=False,
    )
    typer.echo("depth {} to {} {}\n".format(*about["depth_range"], unit))
    typer.echo(table(header, rows, right=("kernel", "stride", "channels", "size", "parameters")))


def _side(side: int | tuple[int, int]) -> str:
    """A kernel as one reads it: 3 where both sides agree, 2x3 where not, a dash for none."""
    return _size(side) if isinstance(side, tuple) else str(side or "-")


def _size(size: tuple[int, int]) -> str:
    """Height and width as one reads them."""
    return f"{size[0]}x{size[1]}"
