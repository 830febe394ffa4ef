"""Level A of Hu et al. 2019, the networks: parameters and entries, channels and sizes, the cost of MFF.

All is read off the library's networks, run on the meta device at 228 x 304.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mdepth.ledger.checks import Value, register
from mdepth.models import count_parameters, layer_sizes
from mdepth.models.hu import ENCODERS, Hu
from mdepth.models.hu_masks import MaskPredictor, mask_predictor
from mdepth.recipes.hu_weights import official

PARTS = {"e": "encoder", "d": "decoder", "mff": "fusion", "r": "refinement"}
UNIT = 2**20
"""In which the later table counts parameters."""


class _Passed(NamedTuple):
    """Maps as a module saw or made them."""

    channels: int
    size: str

    @classmethod
    def of(cls, maps: Tensor) -> "_Passed":
        """Channels, and rows x columns."""
        return cls(maps.shape[1], f"{maps.shape[2]}x{maps.shape[3]}")


def _depth(encoder: str, *, fast: bool = True) -> Hu:
    """A depth network that computes nothing."""
    with torch.device("meta"):
        return Hu(ENCODERS[encoder], fast=fast).eval()


def _mask() -> MaskPredictor:
    """The paper's mask predictor; it computes nothing."""
    with torch.device("meta"):
        return mask_predictor("hu-mask").eval()


def _run(network: nn.Module, names: Sequence[str]) -> tuple[dict[str, _Passed], dict[str, _Passed]]:
    """What enters and what leaves the modules of these names when an image passes."""
    entered: dict[str, _Passed] = {}
    left: dict[str, _Passed] = {}

    def note(name: str, inputs: tuple, output: Tensor) -> None:
        if isinstance(inputs[0], Tensor):
            entered[name] = _Passed.of(inputs[0])
        left[name] = _Passed.of(output)

    hooks = [
        network.get_submodule(name).register_forward_hook(
            lambda _, inputs, output, name=name: note(name, inputs, output)
        )
        for name in names
    ]
    network(torch.zeros(1, 3, 228, 304, device="meta"))
    for hook in hooks:
        hook.remove()
    return entered, left


@register("hu.parameters")
def parameters() -> dict[str, Value]:
    """Of all parts; a state's entries under the released names, and those of them that are learnt."""
    values: dict[str, Value] = {}
    networks: dict[str, Hu | MaskPredictor] = {each: _depth(each) for each in ENCODERS}
    for column, network in (networks | {"mask": _mask()}).items():
        entries = official(network)
        learnt = {id(parameter) for parameter in network.parameters()}
        values[f"total.{column}"] = count_parameters(network)
        values[f"entries.{column}"] = len(entries)
        kept = network.state_dict(keep_vars=True).values()
        values[f"tensors.{column}"] = sum(id(value) in learnt for value in kept)
        for row, part in PARTS.items():
            if hasattr(network, part):
                values[f"{row}.{column}"] = count_parameters(network.get_submodule(part))
    return values


@register("hu.sizes")
def sizes() -> dict[str, Value]:
    """Of the maps that pass the parts of the three depth networks."""
    made = {f"d-up{k}": f"decoder.up{k}" for k in range(1, 5)}
    made |= {"d-conv": "decoder.conv", "mff": "fusion.conv"}
    made |= {f"r-conv{k}": f"refinement.conv{k}" for k in range(3)}
    ups = [f"fusion.up{k}" for k in range(1, 5)]
    values: dict[str, Value] = {}
    for encoder in ENCODERS:
        entered, left = _run(_depth(encoder), [*made.values(), *ups, "refinement"])
        rows = {f"block{k}": entered[name] for k, name in enumerate(ups, 1)}
        rows |= {row: left[name] for row, name in made.items()}
        rows |= {"r-input": entered["refinement"]}
        alike = {left[name] for name in ups}
        rows |= {"mff-up": alike.pop()} if len(alike) == 1 else {}
        values |= {f"{row}.{encoder}-channels": passed.channels for row, passed in rows.items()}
        values |= {f"{row}.{encoder}-map": passed.size for row, passed in rows.items()}
    return values


@register("hu.mask-sizes")
def mask_sizes() -> dict[str, Value]:
    """Of the predictor's layers; stride and dilation of their convolutions, shortcuts left out."""
    network = _mask()
    names = {f"base{k}": f"encoder.layer{k}" for k in range(9)}
    names |= {name: f"decoder.{name}" for name in ("up1", "up2", "up3", "conv")}
    _, left = _run(network, list(names.values()))
    values: dict[str, Value] = {}
    for row, name in names.items():
        values[f"{row}.channels"], values[f"{row}.map"] = left[name]
        if row.startswith("up"):
            continue
        convs = [part for part in network.get_submodule(name).modules() if isinstance(part, nn.Conv2d)]
        wide = [conv for conv in convs if conv.kernel_size[0] > 1]
        values[f"{row}.stride"] = wide[0].stride[0]
        apart = {conv.dilation[0] for conv in wide}
        values[f"{row}.dilation"] = apart.pop() if len(apart) == 1 else str(sorted(apart))
    return values


@register("hu.fusion-cost")
def fusion_cost() -> dict[str, Value]:
    """Of the plain form: channels in, places out, and the weights of both 5x5 convolutions."""
    network = _depth("resnet50", fast=False)
    layers = {layer.name: layer for layer in layer_sizes(network)}
    fives = [layers[f"fusion.up4.{conv}"] for conv in ("conv1", "conv2")]
    entered, _ = _run(network, ["fusion.up4.conv1"])
    rows, columns = fives[0].size
    enlarged = entered["fusion.up4.conv1"].channels * rows * columns * 4
    products = sum(layer.parameters for layer in fives) * rows * columns
    return {"up4.enlarged": enlarged / 1e6, "up4.products": products / 1e9}


UNKNOWN = (
    "the table does not say how it counts; SENet-154's cell is all parameters in units of 2^20, as printed, "
    "and by that count the network with ResNet-50 has more"
)


@register("hu.light-table", **{"hu-resnet-50__parameters": UNKNOWN})
def light_table() -> dict[str, Value]:
    """The source's own rows: parameters in units of 2^20."""
    rows = {"hu-resnet-50": "resnet50", "hu-senet-154": "senet154"}
    return {f"{row}.parameters": count_parameters(_depth(encoder)) / UNIT for row, encoder in rows.items()}
