"""Level A of the course project on transfer learning, of DenseDepth and of U-Net: sizes, parameters, target,
loss, channel swap, depth files, crops, and what the metrics must satisfy.

Sizes and counts are those of the library's networks, run on the meta device. Losses and metrics are run on
small maps, readers on files of four pixels; "equal" means no further apart than ``CLOSE``.
"""

import math
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from itertools import pairwise, permutations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from mdepth import losses, metrics
from mdepth.datasets import transforms
from mdepth.datasets.nyu import pairs, raw
from mdepth.evaluate import protocols
from mdepth.image import resize
from mdepth.ledger import reported
from mdepth.ledger.checks import Value, register
from mdepth.models import DepthNetwork, build, count_parameters, transfer, transfer_unpadded
from mdepth.models.encoders import DenseNet
from mdepth.recipes.transfer_weights import official

CLOSE = 1e-9
CLASSES = 1000  # of ImageNet: the released classifier, which no image passes, tells so many apart
UPS = ("up1", "up2", "up3", "up4")
FORMS = {"full": "densedepth", "half": "densedepth-half"}


def _network(name: str) -> DepthNetwork:
    """A network of the paper's size that computes nothing."""
    with torch.device("meta"):
        return build(name).eval()


def _traced(network: nn.Module, height: int, width: int) -> dict[str, list[tuple[int, ...]]]:
    """Of every module: channels, rows and columns of what enters it for an image, and of what it returns."""
    shapes: dict[str, list[tuple[int, ...]]] = {}

    def note(name: str, module: nn.Module, inputs: tuple, output: object) -> None:
        if isinstance(inputs[0], Tensor) and isinstance(output, Tensor):
            shapes[name] = [tuple(each.shape[1:]) for each in (inputs[0], output)]

    for name, module in network.named_modules():
        module.register_forward_hook(partial(note, name))
    network(torch.zeros(1, 3, height, width, device="meta"))
    return shapes


def _one(values: Iterable[Value]) -> Value:
    """The one value that all are, or all that they are."""
    found = sorted(set(values), key=str)
    return found[0] if len(found) == 1 else " or ".join(map(str, found))


def _against(one: float | Tensor, other: float | Tensor) -> str:
    """Whether two numbers or maps are "equal", or one "differs" from the other."""
    return "equal" if torch.as_tensor(one - other).abs().max() <= CLOSE else "differs"


@register("transfer.densedepth-shapes")
def densedepth_shapes() -> dict[str, Value]:
    """The one size that all modules of a row have, and the channels that enter a block."""
    nodes = {"conv0": r"encoder\.features\.(conv|norm|relu)0", "pool0": r"encoder\.features\.pool0"}
    nodes |= {name: rf"encoder\.features\.{name}" for name in ("transition1", "transition2", "norm5")}
    nodes |= {name: rf"decoder\.{name}(\..*)?" for name in ("conv2", *UPS, "conv3")}
    shapes = _traced(_network("densedepth"), 480, 640)
    values: dict[str, Value] = {f"{up}.inputs": shapes[f"decoder.{up}"][0][0] for up in UPS}
    for row, pattern in nodes.items():
        found = [shape for name, (_, shape) in shapes.items() if re.fullmatch(pattern, name)]
        values[f"{row}.channels"] = _one(channels for channels, _, _ in found)
        values[f"{row}.size"] = _one(f"{rows}x{columns}" for _, rows, columns in found)
    return values


@register("transfer.densedepth-skips")
def densedepth_skips() -> dict[str, Value]:
    """Channels of the encoder's maps, and of what its dense blocks return."""
    encoder = _network("densedepth").get_submodule("encoder")
    shapes, maps = _traced(encoder, 480, 640), encoder(torch.zeros(1, 3, 480, 640, device="meta"))
    before = (shapes[f"features.{name}"][1] for name in ("conv0", *(f"denseblock{k}" for k in range(1, 5))))
    values: dict[str, Value] = {f"stride{480 // rows}.before": channels for channels, rows, _ in before}
    return values | {f"stride{480 // each.shape[2]}.behind": each.shape[1] for each in maps}


def _count(network: nn.Module, *kinds: type) -> int:
    return sum(isinstance(module, kinds) for module in network.modules())


def _layer(layer: nn.Module) -> str:
    """A layer as a table names it: ``3x3``, ``LeakyReLU 0.2``, ``ReLU``."""
    if isinstance(layer, nn.Conv2d):
        return "x".join(map(str, layer.kernel_size))
    name = type(layer).__name__
    return f"{name} {layer.negative_slope:g}" if isinstance(layer, nn.LeakyReLU) else name


def _second_of_four() -> float:
    """A row 0, 1 behind the 1x1 convolution, enlarged to four: the second value, as block 1 gets it."""
    small, row, kept = partial(DenseNet, 8, (1, 1, 1, 1), 16), torch.tensor([0.0, 1.0]), []
    with torch.random.fork_rng(devices=[]):
        network = transfer.DenseDepth(small, width=16, input_size=(32, 64)).eval()
    conv2, up1 = (network.get_submodule(f"decoder.{name}") for name in ("conv2", "up1"))
    conv2.register_forward_hook(lambda *_: row.expand(1, 16, 1, 2))
    up1.register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0][0, 0, 0, 1].item()))
    network(torch.zeros(1, 3, 32, 64))
    return kept[0]


@register("transfer.densedepth-decoder")
@torch.no_grad()
def densedepth_decoder() -> dict[str, Value]:
    """Widths and layers of both decoders, and what happens to the image and to the last map."""
    values: dict[str, Value] = {"corners.full": _second_of_four()}
    image, last = torch.linspace(0, 1, 12).reshape(1, 3, 2, 2), list[Tensor]()
    for column, name in FORMS.items():
        network = _network(name)
        shapes, decoder = _traced(network, 480, 640), network.get_submodule("decoder")
        decoder.get_submodule("conv3").register_forward_hook(lambda _m, _i, output: last.append(output))
        widths = [shapes[f"decoder.{part}"][1][0] for part in ("conv2", *UPS, "conv3")]
        answer = network(torch.zeros(1, 3, 32, 32, device="meta"))
        found: dict[str, Value] = {
            "width": widths[0], "widths": ", ".join(map(str, widths[1:])),
            "block": _one(", ".join(map(_layer, decoder.get_submodule(up).children())) for up in UPS),
            "norms": _count(decoder, nn.BatchNorm2d), "last": "linear" if answer is last[-1] else "changed",
            "normalisation": "as it is" if torch.equal(network.normalise(image), image) else "changed",
        }  # fmt: skip
        values |= {f"{row}.{column}": value for row, value in found.items()}
    return values


def _answers(call: Callable[[int], Any], sides: Iterable[int]) -> dict[int, Any]:
    """What a call gives for every side that it takes."""
    found: dict[int, Any] = {}
    for side in sides:
        with suppress(ValueError, RuntimeError):
            found[side] = call(side)
    return found


@register("transfer.densedepth-author")
def densedepth_author() -> dict[str, Value]:
    """What all sides up to 128 have in common that the small network takes; the answer to one size."""
    small = _network("densedepth-rooms")
    taken = _answers(lambda side: small(torch.zeros(1, 3, side, side, device="meta")), range(1, 129))
    rows, columns = _network("densedepth")(torch.zeros(1, 3, 384, 1248, device="meta")).shape[2:]
    return {"multiple.value": math.gcd(*taken), "kitti.value": f"{rows}x{columns}"}


@register("transfer.densedepth-parameters")
def densedepth_parameters() -> dict[str, Value]:
    """Counted in the library's networks; the classifier by its sizes, entries by their released names."""
    parts = {f"{up}-{conv}": f"decoder.{up}.conv{conv.upper()}" for up in UPS for conv in "ab"}
    parts |= {"conv2": "decoder.conv2", "conv3": "decoder.conv3", "encoder": "encoder", "decoder": "decoder"}
    networks = {column: _network(name) for column, name in FORMS.items()}
    values: dict[str, Value] = {
        f"{row}.{column}": count_parameters(network.get_submodule(name))
        for column, network in networks.items()
        for row, name in (parts | {"forward": ""}).items()
    }
    full = cast(transfer.DenseDepth, networks["full"])
    classifier = nn.Linear(full.get_parameter("decoder.conv2.weight").shape[1], CLASSES, device="meta")
    types = [entry.dtype for entry in (official(full) | classifier.state_dict(prefix="classifier.")).values()]
    unused = count_parameters(classifier)
    return values | {
        "classifier.full": unused, "encoder-module.full": count_parameters(full.encoder) + unused,
        "module.full": count_parameters(full) + unused, "entries.full": len(types),
        **{f"entries-{kind}.full": types.count(getattr(torch, kind)) for kind in ("float32", "int64")},
    }  # fmt: skip


def _read(kind: str, code: int) -> float:
    """Metres that one of the library's data sets reads where a file holds one code everywhere."""
    from PIL import Image

    with TemporaryDirectory() as folder:
        path, listed = Path(folder, "file.png"), Path(folder, "list.csv")
        if kind == "kinect":
            path.write_bytes(b"P5 2 2 65535\n" + np.full(4, code, "<u2").tobytes())
            return raw.read_raw_depth(path).max().item()
        Image.fromarray(np.full((2, 2), code, np.uint8 if kind == "train" else np.uint16)).save(path)
        if kind == "labelled":
            return pairs.LabelledPngs([path], [path]).read_depth(path).max().item()
        listed.write_text("file.png,file.png\n")
        return pairs.DenseDepthCsv(listed, folder, kind).read_depth(path).max().item()


@register("transfer.densedepth-target")
@torch.no_grad()
def densedepth_target() -> dict[str, Value]:
    """Targets by the network's range; depths that it predicts where its last convolution answers evenly."""
    with torch.random.fork_rng(devices=[]):
        network = build("densedepth-rooms")
    weight, bias = (network.get_parameter(f"decoder.conv3.{name}") for name in ("weight", "bias"))
    weight.zero_()
    values: dict[str, Value] = {}
    for row, answer in {"depth-1": 1.0, "depth-100": 100.0, "clip-far": 0.5, "clip-near": 200.0}.items():
        bias.fill_(answer)
        values[row] = network.predict(torch.zeros(1, 3, *network.input_size)).max().item()

    def target(depth: Tensor) -> Tensor:
        return network.depth_range[1] / depth.clamp(*network.depth_range)

    depths = {"far": 10.0, "near": 0.1, "level-0": _read("train", 0)}
    values |= {row: target(torch.tensor(depth)).item() for row, depth in depths.items()}
    line = torch.linspace(0.1, 10, 100, dtype=torch.float64)
    values["twice"] = (network.to_depth(target(line)) - line).abs().max().item()
    edge, flat = torch.ones(2, 1, 1, 8, 8, dtype=torch.float64)
    edge[..., 3:] = 4.0
    for row, depth in {"edge": edge, "flat": flat}.items():
        smaller, inverted = resize(depth, (4, 4), antialias=True), target(depth)
        values[row] = _against(target(smaller), resize(inverted, (4, 4), antialias=True))
    return {f"{row}.value": value for row, value in values.items()}


def _cost(name: str, prediction: Tensor, target: Tensor, **how: float) -> float:
    """One of the library's losses, of two maps without holes."""
    loss = getattr(losses, f"{name}_loss")
    return loss(prediction, target, torch.ones_like(target, dtype=torch.bool), **how).item()


def _constants() -> dict[str, Value]:
    """C1, C2 and the window's deviation, from SSIM of maps of one window's size against a map of zeros.

    A map of ones has SSIM C1 / (1 + C1). A map of 1 in a column d left of the centre and of -1 in the column
    d right of it has mean 0 and variance v = 2 w(d), w the weight of a column, and so SSIM C2 / (v + C2).
    """
    side = min(_answers(lambda side: _cost("ssim", *torch.zeros(2, 1, 1, side, side)), range(1, 32)))
    zeros, centre = torch.zeros(1, 1, side, side, dtype=torch.float64), side // 2

    def odds(x: Tensor) -> float:
        return (1 - 2 * _cost("ssim", x, zeros)) / (2 * _cost("ssim", x, zeros))

    def pair(distance: int) -> float:
        x = zeros.clone()
        x[..., centre - distance], x[..., centre + distance] = 1.0, -1.0
        return odds(x)

    sigma = math.sqrt(1.5 / math.log(pair(2) / pair(1)))
    weights = [math.exp(-((place - centre) ** 2) / (2 * sigma**2)) for place in range(side)]
    c2 = pair(1) * 2 * weights[centre + 1] / sum(weights)
    return {"c1": odds(zeros + 1), "c2": c2, "sigma": sigma, "window": side}


@register("transfer.densedepth-loss")
def densedepth_loss() -> dict[str, Value]:
    """The library's loss and its terms on a smooth map, with noise, with an offset, and on slopes."""
    generator, k = torch.Generator().manual_seed(0), -0.7
    terms = {"depth": "l1", "gradient": "gradient", "dissimilarity": "ssim"}
    v, u = (torch.linspace(0, 3, n, dtype=torch.float64) for n in (24, 32))
    smooth = (5 + 4 * v.sin()[:, None] * u.cos())[None, None]
    noisy = smooth + 0.1 * torch.randn(smooth.shape, generator=generator, dtype=torch.float64)
    chess = 50.0 * (-1.0) ** (torch.arange(24)[:, None] + torch.arange(32)).double()[None, None]
    maps = smooth, smooth + k, noisy
    equal, offset, noise = ({row: _cost(term, x, smooth) for row, term in terms.items()} for x in maps)
    couples = [(smooth, smooth), (noisy, smooth), (100 * noisy, smooth), (chess, -chess), (chess, smooth)]
    unlike = [_cost("ssim", *couple) for couple in couples]
    falling = [_cost("ssim", noisy, smooth, data_range=size) for size in (1.0, 10.0, 100.0)]
    columns, rows = torch.arange(8.0).expand(1, 1, 12, 8), torch.arange(5.0)[:, None].expand(1, 1, 5, 12)
    rest = _cost("densedepth", smooth + k, smooth) - offset["gradient"] - offset["dissimilarity"]
    values = {
        **_constants(), **{f"equal-{row}": value for row, value in equal.items()},
        "lambda": rest / abs(k), "equal-ssim": 1 - 2 * equal["dissimilarity"],
        "offset-depth": offset["depth"] / abs(k), "offset-gradient": offset["gradient"],
        "terms": _cost("densedepth", noisy, smooth, lam=1.0) - sum(noise.values()),
        "last-column": _cost("gradient", columns, 0 * columns), "last-row": _cost("gradient", rows, 0 * rows),
        "bounds": "within" if all(-CLOSE <= value <= 1 + CLOSE for value in unlike) else "beyond",
        "order": "rises" if all(a > b for a, b in pairwise(falling)) else "does not rise",
    }  # fmt: skip
    return {f"{row}.value": value for row, value in values.items()}


@register("transfer.densedepth-swap")
def densedepth_swap() -> dict[str, Value]:
    """Orders of three colours that change a picture, times the chance that one is drawn at all."""
    picture, table = {"image": torch.tensor([[[0.1]], [[0.5]], [[0.9]]])}, "transfer.densedepth-augmentation"
    values: dict[str, Value] = {}
    for column in ("keras", "pytorch"):
        chance, count = (reported.cell(f"{table}.{row}.{column}").value or 0.0 for row in ("swap", "orders"))
        orders = [*permutations(range(3)), *[(0, 1, 2)] * (int(count) - 6)]
        images = [transforms.channel_swap(picture, order)["image"] for order in orders]
        changed = sum(not torch.equal(image, picture["image"]) for image in images)
        values[f"changed.{column}"] = chance * changed / len(orders)
    return values


@register("transfer.unet-2015-sizes")
def unet_2015_sizes() -> dict[str, Value]:
    """What enters every size and comes out of its two convolutions."""
    shapes = _traced(_network("unet-2015"), 572, 572)
    names = {f"{way}{k + 1}": f"unet.{way}.{k}" for way in ("down", "up") for k in range(4)}
    values: dict[str, Value] = {}
    for row, name in (names | {"bottom": "unet.bottom"}).items():
        first, second = shapes[f"{name}.conv1"], shapes[f"{name}.conv2"]
        values |= {f"{row}.enters": first[0][1], f"{row}.first": first[1][1], f"{row}.second": second[1][1]}
    return values


@register("transfer.unet-2015-rule")
def unet_2015_rule() -> dict[str, Value]:
    """All sides up to 700 are tried."""
    network = _network("unet-2015")
    left = _answers(lambda n: network(torch.zeros(1, 3, n, n, device="meta")).shape[2], range(1, 701))
    values: dict[str, Value] = {
        "rule": _one(f"{b - a}k + {a % (b - a)} from {min(left)}" for a, b in pairwise(left)),
        "border": _one(side - rows for side, rows in left.items()), "norms": _count(network, nn.BatchNorm2d),
        "convolutions": _count(network, nn.Conv2d, nn.ConvTranspose2d),
    }  # fmt: skip
    values |= {f"answer-{side}": left.get(side, "refused") for side in (188, 572, 240, 320, 480, 640)}
    return {f"{row}.value": value for row, value in values.items()}


@register("transfer.unet-2015-layers")
def unet_2015_layers() -> dict[str, Value]:
    """Read off the library's network; the crop by what it leaves of 64 rows and columns."""
    unet = _network("unet-2015").get_submodule("unet")
    down, up, enlarge = (list(unet.get_submodule(name).children()) for name in ("down", "up", "enlarge"))
    bottom, pool = unet.get_submodule("bottom"), cast(nn.MaxPool2d, unet.get_submodule("pool"))
    widths = [each.get_parameter("weight").shape for each in enlarge]
    cut = transfer_unpadded.crop_to(torch.arange(64.0**2).reshape(1, 1, 64, 64), (56, 56))[0, 0]
    middle = [65.0 * place for place in range(4, 60)]
    values = {
        "widths": ", ".join(str(len(block.get_parameter("conv2.bias"))) for block in (*down, bottom)),
        "block": _one(", ".join(map(_layer, block.children())) for block in (*down, bottom, *up)),
        "answer": _layer(unet.get_submodule("answer")),
        "pool": f"{pool.kernel_size}x{pool.kernel_size}, stride {pool.stride}",
        "enlarge": _one(f"{k}x{l}, {'halved' if a == 2 * b else 'not halved'}" for a, b, k, l in widths),
        "crop": "centre" if cut.diagonal().tolist() == middle else "elsewhere",
    }  # fmt: skip
    return {f"{row}.value": value for row, value in values.items()}


@register("transfer.sizes")
def sizes() -> dict[str, Value]:
    """The bottom of one encoder, the rows of the other's maps."""
    _, height, width = _traced(_network("unet"), 240, 320)["bottom"][1]
    values: dict[str, Value] = {"unet-240x320.value": f"{height}x{width}"}
    encoder = _network("transfer-resnet34").get_submodule("encoder")
    for side in (240, 256):
        rows = [each.shape[2] for each in encoder(torch.zeros(1, 3, side, 320, device="meta"))]
        values[f"resnet-{side}.value"] = ", ".join(map(str, rows))
        doubled = all(2 * small == large for large, small in pairwise(rows))
        values[f"double-{side}.value"] = "works" if doubled else "fails"
    return values


@register("transfer.parameters")
def parameters() -> dict[str, Value]:
    """Counted in the library's networks."""
    with torch.device("meta"):
        first, depth = transfer_unpadded.UNet2015(1, 2), transfer_unpadded.UNet2015(3, 1)
    networks = {"unet-2015": first, "unet-2015-depth": depth, "unet": _network("unet")}
    networks["resnet34"] = _network("transfer-resnet34").get_submodule("encoder")
    return {f"{row}.parameters": count_parameters(network) for row, network in networks.items()}


@register("transfer.encodings")
def encodings() -> dict[str, Value]:
    """Read by the library's data sets; what does not fit into 16 bits wraps."""
    millimetre, tenth = _read("test", 1000) / 1000, _read("labelled", 10_000) / 10_000
    wrapped = round(8 / tenth) % 2**16
    values = {
        "level": 100 * _read("train", 1), "top": _read("train", 255), "millimetres": _read("test", 10_000),
        "high-byte": round(10 / millimetre) >> 8, "wrap-top": _read("labelled", 65535),
        "wrap-code": wrapped, "wrap": _read("labelled", wrapped), "kinect": _read("kinect", 0),
    }  # fmt: skip
    return {f"{row}.value": value for row, value in values.items()}


@register("transfer.crops")
def crops() -> dict[str, Value]:
    """The boxes of the library's crops, and DenseDepth's in its protocol, in an image of 480x640."""
    names = {"toolbox": "toolbox", "today": "eigen-today", "gupta": "gupta", "bts": "bts-train"}
    boxes = {row: protocols.CROPS[name].box(480, 640) for row, name in names.items()}
    boxes["densedepth"] = cast(protocols.Crop, protocols.PROTOCOLS["densedepth-nyu"].crop).box(480, 640)
    values: dict[str, Value] = {f"{row}.slice": f"{a}:{b}, {c}:{d}" for row, (a, b, c, d) in boxes.items()}
    return values | {f"{row}.size": f"{b - a}x{d - c}" for row, (a, b, c, d) in boxes.items()}


@register("transfer.pair-counts")
def pair_counts() -> dict[str, Value]:
    """From the numbers as reported."""
    rows = ("hu", "batch", "train", "validation")
    hu, batch, train, rest = (reported.cell(f"transfer.pairs.{row}.value").value or 0 for row in rows)
    return {"batches.value": math.ceil(hu / batch), "total.value": train + rest}


def _maps() -> tuple[Tensor, Tensor]:
    """Prediction and truth of two images in metres; the truth in eighths, so that 1.25 d is exact."""
    generator = torch.Generator().manual_seed(0)
    truth = torch.randint(8, 72, (2, 1, 12, 16), generator=generator).double() / 8
    noise = 0.3 * torch.randn(truth.shape, generator=generator, dtype=torch.float64)
    return truth * (noise + torch.tensor([0.1, -0.3]).reshape(2, 1, 1, 1)).exp(), truth


def _scores(prediction: Tensor, truth: Tensor) -> dict[str, float]:
    """Every metric of the first image."""
    return {name: each[0].item() for name, each in metrics.compute(prediction, truth, truth > 0).items()}


@register("transfer.metric-identities")
def metric_identities() -> dict[str, Value]:
    """The library's metrics on made-up depths."""
    prediction, truth = _maps()
    before, after = _scores(prediction, truth), _scores(truth, prediction)
    values: dict[str, Value] = {f"swapped.{name}": _against(after[name], before[name]) for name in before}
    for row, s in {"equal": 1.0, "scaled": 1.2, "threshold": 1.25}.items():
        values |= {f"{row}.{name}": value for name, value in _scores(s * truth, truth).items()}
    for name, each in metrics.compute(prediction, truth, truth > 0).items():
        mean, pooled = each.mean().item(), metrics.pooled(name, prediction, truth, truth > 0)
        values[f"pooled.{name}"] = "larger" if pooled > mean + CLOSE else _against(pooled, mean)
    return values


@register("transfer.metric-relations")
def metric_relations() -> dict[str, Value]:
    """The library's metrics and Eigen's loss on made-up depths, against each other."""
    prediction, truth = (depth[:1] for depth in _maps())
    scores, e = _scores(prediction, truth), (prediction / truth).log()
    square, variance = e.mean().item() ** 2, (scores["silog"] / 100) ** 2
    bts = losses.scale_invariant_loss(prediction.log(), truth.log(), truth > 0, 0.85).item()
    tens = (prediction.log10() - truth.log10()).square().mean().sqrt().item()
    values: dict[str, Value] = {
        "silog": scores["rmse_log"] ** 2 / (variance + square), "bts": bts / (variance + 0.15 * square),
        "log10": scores["rmse_log"] / (math.log(10) * tens),
    }  # fmt: skip
    for depth in (1, 2):
        flat = _scores(prediction / truth * depth, torch.full_like(truth, depth))
        values[f"kitti-{depth}"] = _against(flat["sq_rel_kitti"], flat["sq_rel"])
    return {f"{row}.value": value for row, value in values.items()}


@register("transfer.devkit")
def devkit() -> dict[str, Value]:
    """The mean of e from the metrics of two pixels whose e have the printed spread and root of squares."""
    cells = (reported.cell(f"transfer.devkit.sample.{column}") for column in ("rmse_log", "silog"))
    root, spread = (cell.value or 0.0 for cell in cells)
    mean = math.sqrt(root**2 - spread**2)
    e = torch.tensor([mean - spread, mean + spread], dtype=torch.float64).reshape(1, 1, 1, 2)
    scores = _scores(e.exp(), torch.ones_like(e))
    return {"sample.mean": math.sqrt(scores["rmse_log"] ** 2 - (scores["silog"] / 100) ** 2)}
