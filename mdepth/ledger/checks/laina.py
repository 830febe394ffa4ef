"""Level A of Laina et al. 2016: sizes, parameters, multiply-adds, receptive fields; what the fast blocks, the
reverse Huber loss and the first pool must satisfy.

Sizes and counts are those of the library's networks, run on the meta device. Blocks, loss and pool are run on
small maps; "equal" means that no two values are further apart than ``CLOSE``.
"""

import re
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from mdepth.ledger import reported
from mdepth.ledger.checks import Value, register
from mdepth.ledger.checks.eigen import receptive_field
from mdepth.losses import berhu_loss
from mdepth.models import DepthNetwork, build, count_parameters, layer_sizes
from mdepth.models.encoders import SamePad, resnet50
from mdepth.models.laina import ALEXNET, RESNET50, VGG, FastUnpoolConv, Laina, LainaSize, UnpoolConv
from mdepth.models.laina_weights import released, tf_names, to_fast

CLOSE = 1e-12
UP = ("up2", "up4", "up8", "up16")


def _network(name: str, **options) -> DepthNetwork:
    """A network of the paper's size that computes nothing."""
    with torch.device("meta"):
        return build(name, **options)


def _layers() -> dict[str, str]:
    """Rows of the table of sizes: which modules of the library's network stand in each, as a pattern."""
    rows = {"conv1": r"encoder\.(conv1|bn1)", "pool1": r"encoder\.maxpool"}
    for stage in range(1, 5):
        block = rf"encoder\.layer{stage}\.\d"
        rows[f"res{stage + 1}-narrow"] = rf"{block}\.(conv|bn)[12]"
        rows[f"res{stage + 1}"] = rf"{block}(\.(conv3|bn3|downsample(\.[01])?))?"
    rows["layer1"] = r"reduce(\.(conv|bn))?"
    for up in UP:
        rows[f"{up}-convs"] = rf"decoder\.{up}\.(main|skip)\.up\.conv_[abcd]"
        rows[up] = rf"decoder\.{up}(\.(main|skip)(\.(up|bn|bn1|relu|conv|bn2))?)?"
    return rows | {"drop": r"answer\.dropout", "prediction": r"answer(\.(conv|relu))?"}


def _sizes(height: int, width: int) -> dict[str, str]:
    """What every module of the released network returns for an image, rows x columns x channels."""
    with torch.device("meta"):
        network, sizes = released().eval(), {}

    def note(name: str, module: nn.Module, inputs: tuple, output: object) -> None:
        if isinstance(output, Tensor):
            sizes[name] = f"{output.shape[2]}x{output.shape[3]}x{output.shape[1]}"

    for name, module in network.named_modules():
        module.register_forward_hook(partial(note, name))
    network(torch.zeros(1, 3, height, width, device="meta"))
    return sizes


@register("laina.shapes")
def shapes() -> dict[str, Value]:
    """The one size that all modules of a row have, or all that they have; the answer to two other images."""
    sizes = _sizes(*RESNET50.input_size)
    values: dict[str, Value] = {}
    for row, pattern in _layers().items():
        found = {size for name, size in sizes.items() if re.fullmatch(pattern, name)}
        values[f"{row}.size"] = " or ".join(sorted(found))
    others = {f"answer-{rows}x{columns}": _sizes(rows, columns) for rows, columns in ((345, 460), (480, 640))}
    return values | {f"{row}.size": found["answer"] for row, found in others.items()}


def _weights(network: nn.Module) -> int:
    """Parameters without the biases of convolutions and fully connected layers."""
    layers = (module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear))
    return count_parameters(network) - sum(layer.bias.numel() for layer in layers if layer.bias is not None)


def _running(network: nn.Module) -> int:
    """Entries of the running means and variances of all batch norms."""
    ends = ("running_mean", "running_var")
    return sum(buffer.numel() for name, buffer in network.named_buffers() if name.endswith(ends))


@register("laina.parameters")
def parameters() -> dict[str, Value]:
    """Counted in the library's networks; the arrays of the checkpoint, through their names."""
    network = _network("laina-resnet50-upproj-fast")
    parts = {"encoder-bias": "encoder", "layer1": "reduce", **{up: f"decoder.{up}" for up in UP},
             "prediction": "answer", "total": ""}  # fmt: skip
    counts = {row: count_parameters(network.get_submodule(name)) for row, name in parts.items()}
    names = ("upconv-fast", "upconv", "deconv")
    counts |= {name: count_parameters(_network(f"laina-resnet50-{name}")) for name in names}
    with torch.device("meta"):
        template = released()
    arrays, state = tf_names(template), template.state_dict()
    counts |= {
        "encoder": _weights(network.get_submodule("encoder")),
        "running": _running(network),
        "elements": sum(state[key].numel() for key in arrays),
        "variables": len(set(arrays.values())),
        "fc-160x128": _weights(_network("laina-resnet50-fc")),
        "fc-64x48": _weights(_network("laina-resnet50-fc", maps=(48, 64))),
    }
    return {f"{row}.parameters": count for row, count in counts.items()}


STATISTICS = (
    "counted with the running means and variances of the batch norms: so every row of ResNet-50 comes out, "
    "and without them three of the five networks round to another digit"
)
GUESSED = (
    "no source lists the layers of this network; ours has one convolution that halves the channels of the "
    "encoder and four blocks behind it, as the network with ResNet-50 has, and that is smaller"
)
TABLE1 = {
    "alexnet-fc": partial(_network, "laina-alexnet-fc"),
    "alexnet-upconv": partial(_network, "laina-alexnet-upconv"),
    "vgg-16-upconv": partial(_network, "laina-vgg16-upconv"),
    "resnet50-fc160x128": partial(_network, "laina-resnet50-fc"),
    "resnet50-fc64x48": partial(_network, "laina-resnet50-fc", maps=(48, 64)),
    "resnet50-deconv": partial(_network, "laina-resnet50-deconv"),
    "resnet50-upconv": partial(_network, "laina-resnet50-upconv"),
    "resnet50-upproj": partial(_network, "laina-resnet50-upproj"),
}
REASONS = {"alexnet-upconv": GUESSED, "vgg-16-upconv": GUESSED} | {
    name: STATISTICS for name in TABLE1 if name.startswith("resnet50")
}


@register(
    "laina.table1",
    **{f"{name}-{loss}__parameters": why for name, why in REASONS.items() for loss in ("l2", "berhu")},
)
def table1() -> dict[str, Value]:
    """Millions of stored numbers, running statistics included; the loss changes none."""
    networks = {name: make() for name, make in TABLE1.items()}
    millions = {name: (count_parameters(one) + _running(one)) / 1e6 for name, one in networks.items()}
    lines = [line.id for line in reported.load("laina").tables["table1"].rows if line.method == "own"]
    return {f"{line}.parameters": millions[line.rpartition("-")[0]] for line in lines}


def _products(name: str) -> dict[str, int]:
    """Multiply-adds of every convolution for one image of the network's input size: weights times places."""
    network = _network(name)
    convs = (layer for layer in layer_sizes(network) if layer.op == "conv")
    return {
        conv.name: network.get_parameter(f"{conv.name}.weight").numel() * conv.size[0] * conv.size[1]
        for conv in convs
    }


@register("laina.cost")
def cost() -> dict[str, Value]:
    """Billions of multiply-adds in convolutions; adding a bias, normalising and interleaving cost nothing."""
    names = {"total-fast": "upproj-fast", "total-plain": "upproj", "upconv-plain": "upconv",
             "upconv-fast": "upconv-fast"}  # fmt: skip
    products = {row: _products(f"laina-resnet50-{name}") for row, name in names.items()}
    sums = {row: sum(each.values()) for row, each in products.items()}
    sums["encoder"] = sum(n for name, n in products["total-fast"].items() if name.startswith("encoder."))
    sums["decoder-fast"] = sums["total-fast"] - sums["encoder"]
    return {f"{row}.macs": count / 1e9 for row, count in sums.items()}


def _rows(side: int | tuple[int, int]) -> int:
    """Rows of a kernel, or of a stride."""
    return side[0] if isinstance(side, tuple) else side


def _path(size: LainaSize) -> list[tuple[str, int, int]]:
    """Operation, kernel and stride of all layers from the image to the decoder's first block, without the
    projections beside residual blocks: these see less.
    """
    with torch.device("meta"):
        layers = layer_sizes(Laina(size, decoder="upconv"))
    end = [layer.name.startswith("reduce.") for layer in layers].index(True) + 1
    path = [layer for layer in layers[:end] if ".downsample." not in layer.name]
    return [(layer.op, _rows(layer.kernel), _rows(layer.stride)) for layer in path]


@register(
    "laina.receptive",
    alexnet__side="AlexNet as published has pools of 3x3, and a place behind the last of them sees more; the "
    "quoted side comes out with pools of 2x2, at the fifth convolution (last row)",
    vgg16__side="behind the 3x3 convolution that halves the channels",
)
def receptive() -> dict[str, Value]:
    """What a place of the decoder's first block sees; and AlexNet's fifth convolution, were its pools 2x2."""
    sizes = {
        "resnet50": RESNET50,
        "vgg16": VGG,
        "alexnet": ALEXNET,
        "resnet50-torchvision": LainaSize(partial(resnet50, form="torchvision")),
    }
    paths = {row: [(kernel, stride) for _, kernel, stride in _path(size)] for row, size in sizes.items()}
    convolutions = _path(ALEXNET)[:-2]  # the last pool and the 1x1 behind it left out
    paths["alexnet-2x2"] = [(2 if op == "max pool" else side, stride) for op, side, stride in convolutions]
    return {f"{row}.side": receptive_field(path) for row, path in paths.items()}


def _compared(one: Tensor, other: Tensor) -> str:
    """Whether two maps are "equal", or one "differs" from the other."""
    same = one.shape == other.shape and (one - other).abs().max().item() <= CLOSE
    return "equal" if same else "differs"


def _tap(block: nn.Module, row: int, column: int) -> str:
    """Which tap of a 5x5 kernel, filled with 0 to 24, the answer to a single 1 shows at a place."""
    number = round(block(torch.ones(1, 1, 1, 1))[0, 0, row, column].item())
    return f"K[{number // 5},{number % 5}]"


def _single_value() -> dict[str, Value]:
    """The four places of the answer to a map of one value 1, of the plain and of the fast form."""
    plain = UnpoolConv(1, 1)
    kernel = torch.arange(25.0).reshape(1, 1, 5, 5)
    plain.conv.load_state_dict({"weight": kernel, "bias": torch.zeros(1)})
    places = {"place-a": (0, 0), "place-b": (1, 0), "place-c": (0, 1), "place-d": (1, 1)}
    forms = (plain, to_fast(plain))
    return {row: " or ".join(sorted({_tap(form, *place) for form in forms})) for row, place in places.items()}


def _fast_against_plain() -> dict[str, Value]:
    """The fast form on a map of 3 x 5 values, and its four maps A, B, C, D made one by one."""
    plain, x = UnpoolConv(4, 3).double(), torch.randn(2, 4, 3, 5, dtype=torch.float64)
    after, before = (FastUnpoolConv(4, 3, padding=side).double() for side in ("after", "before"))
    for form in (after, before):
        form.load_state_dict(to_fast(plain).state_dict())
    large = after(x)
    a, b, c, d = (
        conv(functional.pad(x, (1 - column, 1, 1 - row, 1)))  # left, right, top, bottom
        for (row, column), conv in after.phases.items()
    )
    taps = [conv.weight[0, 0].numel() for conv in after.phases.values()]
    slices = torch.stack([large[..., row::2, column::2] for row, column in ((0, 0), (1, 0), (0, 1), (1, 1))])
    shuffled = {
        "shuffle-acbd": torch.stack([a, c, b, d], 2).flatten(1, 2),
        "shuffle-abcd": torch.stack([a, b, c, d], 2).flatten(1, 2),
        "shuffle-phases": torch.cat([a, c, b, d], 1),
    }
    values: dict[str, Value] = {
        "after": _compared(large, plain(x)),
        "before": _compared(before(x), plain(x)),
        "taps": " + ".join(map(str, taps)),
        "taps-all": sum(taps),
        "interleaved": f"{large.shape[2]}x{large.shape[3]}",
        "slices": _compared(slices, torch.stack([a, b, c, d])),
    }
    return values | {
        row: _compared(functional.pixel_shuffle(maps, 2), large) for row, maps in shuffled.items()
    }


@register("laina.identities")
@torch.no_grad()
def identities() -> dict[str, Value]:
    """The fast form against the plain one, its kernels, and how its four maps are interleaved."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        values = _single_value() | _fast_against_plain()
    return {f"{row}.result": value for row, value in values.items()}


def _berhu(errors: list[float], valid: list[bool] | None = None, scale: float = 1.0) -> tuple[float, Tensor]:
    """Sum of the reverse Huber losses of valid pixels with these errors in metres, and its gradient."""
    prediction = (scale * torch.tensor(errors, dtype=torch.float64)).reshape(1, 1, 1, -1).requires_grad_()
    counted = torch.tensor(valid or [True] * len(errors)).reshape(1, 1, 1, -1)
    loss = berhu_loss(prediction, torch.zeros_like(prediction), counted) * counted.sum()
    return loss.item(), torch.autograd.grad(loss, prediction)[0].flatten()


@register("laina.berhu")
def berhu() -> dict[str, Value]:
    """The library's loss of one pixel beside a largest error of -5 m, so that c is 1 m."""
    largest, near = -5.0, 1e-6
    below, above = [largest, 1 - near], [largest, 1 + near]
    rest = _berhu([largest, 0.0])[0]
    some = [largest, 0.5, -0.9, 1.5, 3.0]
    holes = [True, True, False, True, True]
    garbage = [99.0 if not counted else error for error, counted in zip(some, holes, strict=True)]
    at_zero, slope_at_zero = _berhu([0.0, 0.0])
    values = {
        "value-below": _berhu(below)[0] - rest, "value-above": _berhu(above)[0] - rest,
        "slope-below": _berhu(below)[1][1].item(), "slope-above": _berhu(above)[1][1].item(),
        "largest": rest, "largest-share": rest / abs(largest), "largest-slope": -_berhu(some)[1][0].item(),
        "scale": _berhu(some, scale=3.0)[0] / (3 * _berhu(some)[0]),
        "zero": at_zero, "zero-slope": slope_at_zero.abs().max().item(),
        "mask": _berhu(garbage, holes)[0] - _berhu(some, holes)[0],
    }  # fmt: skip
    return {f"{row}.value": value for row, value in values.items()}


def _zeros_around(height: int, width: int) -> str:
    """Zeros before and behind a map, one text for rows and columns where they agree."""
    padded = SamePad()(torch.ones(1, 1, height, width))[0, 0]
    texts = set()
    for side, line in ((height, padded.amax(1)), (width, padded.amax(0))):
        before = int(line.argmax())
        texts.add(f"{before} + {len(line) - side - before}")
    return " or ".join(sorted(texts))


@register("laina.pooling")
def pooling() -> dict[str, Value]:
    """The encoder's first pool on maps with even and with odd sides, against torch's own pool."""
    with torch.device("meta"):
        pool = resnet50().get_submodule("maxpool")
    generator = torch.Generator().manual_seed(0)
    values: dict[str, Value] = {}
    for column, (height, width) in {"even": (114, 152), "odd": (115, 153)}.items():
        x = torch.rand(1, 2, height, width, generator=generator)
        found = pool(x)
        values |= {
            f"zeros.{column}": _zeros_around(height, width),
            f"size.{column}": f"{found.shape[2]}x{found.shape[3]}",
            f"one.{column}": _compared(found, functional.max_pool2d(x, 3, 2, padding=1)),
            f"ceil.{column}": _compared(found, functional.max_pool2d(x, 3, 2, ceil_mode=True)),
        }
    return values
