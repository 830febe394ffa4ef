"""Level A of Godard et al. 2019, the networks: layers, tensors and parameters, multiply-adds.

All is read off the library's networks, run on the meta device. The classifier that the released files carry
and that no image passes is not in ours: it is counted from its sizes.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from mdepth.ledger import reported
from mdepth.ledger.checks import Value, register
from mdepth.ledger.checks.transfer import CLASSES
from mdepth.models import count_parameters, monodepth2, monodepth2_motion
from mdepth.models.encoders import Encoder, ResNet
from mdepth.recipes.monodepth2_weights import released_names

DEEPER = {101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
"""Blocks of the ResNets that the released code knows and the library has no name for."""
ACTIVATIONS = {"elu": "ELU", "relu_": "ReLU", "sigmoid": "sigmoid", "mean": "linear"}
"""What a layer's answer enters, as the table names it; another function keeps its name."""
POSE = {"pconv0": "squeeze", "pconv1": "conv1", "pconv2": "conv2", "pconv3": "answer"}


def _depth(layers: int) -> monodepth2.Monodepth2:
    """The depth network on a ResNet of so many layers; it computes nothing."""
    with torch.device("meta"):
        return monodepth2.Monodepth2(encoder=monodepth2.RESNETS[layers]).eval()


def _pose(layers: int) -> monodepth2_motion.PoseResNet:
    """The pose network that sees a pair, on a ResNet of so many layers."""
    with torch.device("meta"):
        return monodepth2_motion.PoseResNet(encoder=monodepth2.RESNETS[layers]).eval()


class _Call(NamedTuple):
    """A function of torch, its arguments and what it returned."""

    name: str
    inputs: tuple
    output: Any


class _Calls(TorchFunctionMode):
    """Notes every function of torch that is called inside, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[_Call] = []

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Call, and note it."""
        output = func(*args, **(kwargs or {}))
        self.noted.append(_Call(func.__name__, args, output))
        return output


class _Layer(NamedTuple):
    """A convolution as it was called: its input, and kernel, channels and activation for the table."""

    enters: Tensor
    cells: dict[str, Value]


def _layers(part: nn.Module, calls: Sequence[_Call]) -> dict[str, _Layer]:
    """Every convolution of a part by its name, in the order of the calls."""
    convs = {id(conv.weight): name for name, conv in part.named_modules() if isinstance(conv, nn.Conv2d)}
    found: dict[str, _Layer] = {}
    for place, (name, inputs, output) in enumerate(calls):
        if name != "conv2d":
            continue
        users = (call for call in calls[place + 1 :] if call.inputs and call.inputs[0] is output)
        behind = next((call.name for call in users if call.name != "__get__"), "nothing")  # not its shape
        channels, _, rows, columns = inputs[1].shape
        found[convs[id(inputs[1])]] = _Layer(inputs[0], {
            "kernel": rows if rows == columns else f"{rows}x{columns}", "channels": channels,
            "activation": ACTIVATIONS.get(behind, behind),
        })  # fmt: skip
    return found


def _joined(layers: Mapping[str, _Layer], maps: Sequence[Tensor]) -> dict[str, str]:
    """The encoder's map that each layer sees and no layer before it saw; the first layer stands on one."""
    found: dict[str, str] = {}
    before: set[str] = set()
    for name, layer in layers.items():
        slopes = torch.autograd.grad(layer.enters.sum(), maps, retain_graph=True, allow_unused=True)
        sees = {f"econv{k}" for k, slope in enumerate(slopes, 1) if slope is not None}
        found[name] = " + ".join(sorted(sees - before)) or "-" if found else "-"
        before |= sees
    return found


TWELVE = (
    "the released network answers for two motions where it sees one pair, and the second six numbers are "
    "never used; ours keeps them, since the released files have them"
)


@register("monodepth2.table5", pconv3__channels=TWELVE)
@torch.enable_grad()
def table5() -> dict[str, Value]:
    """Of ResNet-18, by what is called when the decoders run; a joined map by what the layer depends on."""
    depth, pose = _depth(18), _pose(18)
    image = torch.zeros(1, 3, *depth.input_size, device="meta")
    maps = [each.detach().requires_grad_() for each in depth.encoder(image)]
    with _Calls() as calls:
        answers = depth.decoder(maps, depth.input_size)
    with _Calls() as pose_calls:
        pose.decoder([maps[-1]])
    layers = _layers(depth.decoder, calls.noted)
    joined = _joined(layers, maps)
    rows = {f"{row}{k}": f"{step}.{k - 1}.0" for row, step in (("upconv", "before"), ("iconv", "behind"))
            for k in range(1, len(maps) + 1)}  # fmt: skip
    rows |= {f"disp{k}": f"answers.{k - 1}" for k in range(1, len(answers) + 1)}
    values: dict[str, Value] = {f"{row}.joined": joined[name] for row, name in rows.items()}
    cells = {row: layers[name].cells for row, name in rows.items()}
    pose_layers = _layers(pose.decoder, pose_calls.noted)
    cells |= {row: pose_layers[name].cells for row, name in POSE.items()}
    return values | {f"{row}.{column}": x for row, each in cells.items() for column, x in each.items()}


def _encoder(encoder: Encoder) -> dict[str, Value]:
    """Tensors and parameters of a ResNet with the classifier, and parameters without it."""
    classifier = nn.Linear(encoder.channels[-1], CLASSES, device="meta")
    used = count_parameters(encoder)
    tensors = encoder.state_dict() | classifier.state_dict(prefix="fc.")
    return {
        "tensors": len(tensors), "parameters": used + count_parameters(classifier), "effective": used,
    }  # fmt: skip


def _part(part: nn.Module) -> dict[str, Value]:
    """Tensors and parameters of what is all used; a tensor counts where the released files have a name."""
    tensors = released_names(part).keys() & part.state_dict().keys()
    return {"tensors": len(tensors), "parameters": count_parameters(part)}


@register("monodepth2.parameters")
def parameters() -> dict[str, Value]:
    """Counted in the library's networks."""
    depth, pose = ({layers: make(layers) for layers in (18, 50)} for make in (_depth, _pose))
    channels = depth[18].encoder.channels
    with torch.device("meta"):
        encoders: dict[int, Encoder] = {layers: make() for layers, make in monodepth2.RESNETS.items()}
        deeper = partial(ResNet, bottleneck=True, form="torchvision")
        encoders |= {layers: deeper(blocks) for layers, blocks in DEEPER.items()}
        parts: dict[str, nn.Module] = {
            "pose-decoder-shared-pairs-r18": monodepth2_motion.SharedPose(channels[-1]).decoder,
            "posecnn-2": monodepth2_motion.PoseCNN(), "posecnn-3": monodepth2_motion.PoseCNN(shown="all"),
            "predictive-mask-head-2-sources": monodepth2.DepthDecoder(channels, outputs=2),
        }  # fmt: skip
    parts |= {f"depth-decoder-on-r{layers}": each.decoder for layers, each in depth.items()}
    parts |= {"pose-decoder-r18-12-ch": pose[18].decoder, "pose-decoder-r50": pose[50].decoder}
    found = {f"encoder-r{layers}": _encoder(each) for layers, each in encoders.items()}
    found |= {f"pose-encoder-r{layers}-2-images": _encoder(each.encoder) for layers, each in pose.items()}
    found |= {row: _part(part) for row, part in parts.items()}
    whole = count_parameters(depth[18])
    unused = count_parameters(nn.Linear(channels[-1], CLASSES, device="meta"))
    found["depth-network-r18"] = {"parameters": whole + unused, "effective": whole}
    return {f"{row}.{column}": value for row, each in found.items() for column, value in each.items()}


def _products(network: nn.Module, run: Callable[[], object]) -> int:
    """Multiply-adds of every convolution that runs: weights times places of its answer."""
    products: list[int] = []

    def note(conv: nn.Module, _: tuple, output: Tensor) -> None:
        products.append(conv.get_parameter("weight").numel() * output.shape[2] * output.shape[3])

    hooks = [conv.register_forward_hook(note) for conv in network.modules() if isinstance(conv, nn.Conv2d)]
    run()
    for hook in hooks:
        hook.remove()
    return sum(products)


@register("monodepth2.cost")
def cost() -> dict[str, Value]:
    """Billions of multiply-adds in convolutions, at the sizes that the table has."""
    values: dict[str, Value] = {}
    for line in reported.load("monodepth2").tables["cost"].rows:
        kind, _, layers = line.id.partition("-r")
        network = {"depth": _depth, "pose": _pose}[kind](int(layers))
        for size in line.cells:
            width, height = map(int, size.split("x"))
            image = torch.zeros(1, 3, height, width, device="meta")
            if isinstance(network, monodepth2_motion.PoseResNet):
                run = partial(network.numbers, [image] * network.frames)
            else:
                run = partial(network, image)
            values[f"{line.id}.{size}"] = _products(network, run) / 1e9
    return values
