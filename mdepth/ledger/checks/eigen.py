"""Level A of Eigen et al. 2014: sizes, parameters, receptive fields, loss identities, regions, training
arithmetic.

Sizes and counts are those of the library's networks, run on the meta device: both networks of 2014, and those
of three scales of Eigen and Fergus 2015. The drawing read literally stands here as arithmetic, and must
contradict the printed sizes.
"""

from dataclasses import replace
from math import exp

import torch
from torch import Tensor, nn

from mdepth.ledger import reported
from mdepth.ledger.checks import Value, register
from mdepth.models import Layer

DATASETS = ("nyu", "kitti")
FINE = {"fine1": "fine1.pool", "fine2": "fine2", "fine3": "fine3.conv", "fine4": "fine4.conv"}
THOUSAND = {"K": 1e3, "M": 1e6}


def _layers(dataset: str) -> dict[str, Layer]:
    """The layers of both networks by name, as the library builds them; "fine2" is where the coarse map joins
    the features.
    """
    from mdepth.models import build, layer_sizes

    with torch.device("meta"):
        network = build(f"eigen-fine-{dataset}")
    layers = {layer.name.removeprefix("coarse."): layer for layer in layer_sizes(network)}
    joint = network.get_parameter("fine3.conv.weight").shape[1]
    return layers | {"fine2": replace(layers["fine1.pool"], name="fine2", channels=joint, parameters=0)}


def _trace(stack: dict[str, nn.Module], size: tuple[int, int]) -> dict[str, Tensor]:
    """What every layer of a stack returns for an RGB image of ``size``; on the meta device, so nothing is
    computed.
    """
    x, outputs = torch.zeros(1, 3, *size, device="meta"), {}
    for name, layer in stack.items():
        x = outputs[name] = layer.to("meta")(x)
    return outputs


@register("eigen.figure1")
def figure1() -> dict[str, Value]:
    """The printed table: channels, and maps as width x height."""
    values: dict[str, Value] = {"input.channels": 3}
    for dataset in DATASETS:
        layers = _layers(dataset)
        last = {"coarse1": "pool", "coarse2": "pool", "coarse3": "conv", "coarse4": "conv", "coarse5": "pool",
                "coarse6": "fc", "coarse7": "map"}  # fmt: skip
        ends = {stage: f"{stage}.{name}" for stage, name in last.items()} | FINE
        for stage, name in ends.items():
            layer = layers[name]
            values |= {
                f"{stage}.{dataset}": f"{layer.size[1]}x{layer.size[0]}",
                f"{stage}.channels": layer.channels,
            }
        values[f"input.{dataset}"] = _input(dataset)
    return values


def _input(dataset: str) -> str:
    from mdepth.models import build

    with torch.device("meta"):
        height, width = build(f"eigen-coarse-{dataset}").input_size
    return f"{width}x{height}"


@register("eigen.ratio")
def ratio() -> dict[str, Value]:
    """Products of strides: of the coarse stages, and of the fine network's first convolution and pool."""
    product, values, layers = 1, {}, _layers("nyu")
    for name, layer in layers.items():
        if name.startswith("coarse"):
            product *= layer.stride or 1
            values[name.partition(".")[0]] = f"/{product}"
    return {"coarse1.ratio": values["coarse1"], "coarse2-4.ratio": values["coarse4"],
            "coarse5.ratio": values["coarse5"],
            "output.ratio": f"/{layers['fine1.conv'].stride * layers['fine1.pool'].stride}"}  # fmt: skip


@register("eigen.shapes")
def shapes() -> dict[str, Value]:
    """Rows x columns x channels of every stage."""
    values: dict[str, Value] = {}
    names = {
        "conv1": "coarse1.conv",
        "coarse1": "coarse1.pool",
        "coarse2": "coarse2.pool",
        "coarse3": "coarse3.conv",
        "coarse4": "coarse4.conv",
        "coarse5": "coarse5.pool",
        **FINE,
    }
    for dataset in DATASETS:
        layers = _layers(dataset)
        sizes = {row: (*layers[name].size, layers[name].channels) for row, name in names.items()}
        width, height = _input(dataset).split("x")
        values |= {f"{row}.{dataset}": "x".join(map(str, size)) for row, size in sizes.items()}
        rows, columns = layers["coarse7.map"].size
        values |= {
            f"input.{dataset}": f"{height}x{width}x3",
            f"coarse7.{dataset}": rows * columns,
            f"coarse6.{dataset}": layers["coarse6.fc"].channels,
            f"features.{dataset}": sizes["coarse5"][0] * sizes["coarse5"][1] * sizes["coarse5"][2],
        }
    first = _layers("nyu")["fine1.conv"]
    values["fine1-conv.nyu"] = "x".join(map(str, (*first.size, first.channels)))
    return values


@register("eigen.literal")
def literal() -> dict[str, Value]:
    """Figure 1 as drawn: unpadded first convolution, 2x2 pools. Width x height."""
    stack = {
        "conv1": nn.Conv2d(3, 1, 11, 4), "coarse1": nn.MaxPool2d(2), "conv2": nn.Conv2d(1, 1, 5, padding=2),
        "coarse2": nn.MaxPool2d(2), "conv3": nn.Conv2d(1, 1, 3, padding=1), "coarse5": nn.MaxPool2d(2),
    }  # fmt: skip
    fine = {"conv": nn.Conv2d(3, 1, 9, 2), "fine1": nn.MaxPool2d(2)}
    values: dict[str, Value] = {}
    for dataset, size in {"nyu": (228, 304), "kitti": (172, 576)}.items():
        maps = _trace(stack, size) | (_trace(fine, size) if dataset == "nyu" else {})
        wanted = [row for row in ("coarse1", "coarse2", "coarse5", "fine1") if row in maps]
        values |= {f"{row}.{dataset}": f"{maps[row].shape[3]}x{maps[row].shape[2]}" for row in wanted}
    return values


@register("eigen.parameters")
def parameters() -> dict[str, Value]:
    """Weights and biases, counted in the library's network."""
    values: dict[str, Value] = {}
    for dataset in DATASETS:
        counts = {name: layer.parameters for name, layer in _layers(dataset).items()}
        convs = {f"conv{k}": counts[f"coarse{k}.conv"] for k in range(1, 6)}
        own = {stage: counts[f"{stage}.conv"] for stage in ("fine1", "fine3", "fine4")}
        rows = (
            convs
            | own
            | {
                "fc6": counts["coarse6.fc"],
                "fc7": counts["coarse7.fc"],
                "coarse": sum(count for name, count in counts.items() if name.startswith("coarse")),
                "convs": sum(convs.values()),
                "fine": sum(own.values()),
            }
        )
        values |= {f"{row}.{dataset}": count for row, count in rows.items()}
    return values


def receptive_field(layers: list[tuple[int, int]]) -> int:
    r"""Input pixels that one output unit sees, per side: :math:`1 + \sum_l (k_l - 1) \prod_{m<l} s_m`.

    Args:
        layers: kernel and stride of every layer, from the input on.

    Example:
        >>> receptive_field([(3, 1), (3, 1)])
        5
    """
    field, jump = 1, 1
    for kernel, stride in layers:
        field, jump = field + (kernel - 1) * jump, jump * stride
    return field


@register("eigen.receptive")
def receptive() -> dict[str, Value]:
    """The fine stack with the real pool, and with the pool as drawn."""
    return {"fine.side": receptive_field([(9, 2), (3, 2), (5, 1), (5, 1)]),
            "fine-2x2.side": receptive_field([(9, 2), (2, 2), (5, 1), (5, 1)])}  # fmt: skip


def _gain(table: str, ours: str, metric: str) -> float:
    """Relative gain over the best other row in percent; an accuracy counts by what it lacks to 1."""
    lines = {line.id: line.cells for line in reported.load("eigen").tables[table].rows}
    shortfall = metric.startswith("delta")

    def error(line: str) -> float:
        value = lines[line][metric].value or 0.0
        return 1 - value if shortfall else value

    runner_up = min(error(line) for line in lines if metric in lines[line] and not line.startswith("coarse"))
    return 100 * (1 - error(ours) / runner_up)


@register(
    "eigen.gains",
    kitti__gain="the text does not say how it averages; the rule that gives NYU's 35 (relative gain over the "
    "runner-up of every metric, accuracies by what they lack to 1, mean of the eight) gives 34 here",
)  # fmt: skip
def gains() -> dict[str, Value]:
    """The gains that the text states, recomputed from Tables 1 and 2 as printed."""
    metrics = [column.id for column in reported.load("eigen").tables["table1"].columns]
    mean = {table: sum(_gain(table, "coarse-fine", metric) for metric in metrics) / len(metrics)
            for table in ("table1", "table2")}  # fmt: skip
    logs = sum(_gain("table2", "coarse-fine", metric) for metric in ("rmse_log", "scale_invariant")) / 2
    return {"nyu.gain": mean["table1"], "kitti.gain": mean["table2"], "kitti-rmse.gain": logs}


@register("eigen.steps")
def steps() -> dict[str, Value]:
    """Samples over batch size, and samples over the length of the list."""

    def number(text: str) -> float:
        return float(text[:-1]) * THOUSAND[text[-1]]

    batch = float(reported.cell("eigen.training.batch.value").printed)
    values: dict[str, Value] = {}
    for dataset in DATASETS:
        entries = number(reported.cell(f"eigen.data.list.{dataset}").printed)
        for stage in ("coarse", "fine"):
            samples = number(reported.cell(f"eigen.data.{stage}-samples.{dataset}").printed)
            values |= {f"{stage}.{dataset}": samples / batch, f"{stage}-passes.{dataset}": samples / entries}
    return values


@register("eigen.released-depth")
def released_depth() -> dict[str, Value]:
    """The released model's output is log depth over its standard deviation: depth = exp(output · std)."""
    mean, std = (
        reported.cell(f"eigen.released.{name}.value").value or 0.0 for name in ("log-mean", "log-std")
    )
    outputs = {"output-0": 0.0, "output-1": 1.0, "output-mean": mean / std}
    return {f"{row}.depth": exp(output * std) for row, output in outputs.items()}


TRUNCATED = (
    "the released evaluation script truncates fraction times size, so that a product a hair below a whole "
    "number loses a pixel; the whole number is what the fraction was made from"
)


@register("eigen.regions", **{"kitti-columns__value": TRUNCATED, "kitti-rows__value": TRUNCATED})
def regions() -> dict[str, Value]:
    """Which pixels the library's networks cover, and its protocols' crops."""
    from mdepth.evaluate.protocols import CROPS, PROTOCOLS
    from mdepth.models import build

    with torch.device("meta"):
        network, kitti = build("eigen-coarse-nyu"), build("eigen-coarse-kitti")
    height, width = (side - 8 for side in network.input_size)
    boxes = {"nyu-half": network.covers(240, 320), "nyu-full": network.covers(480, 640)}
    top, bottom, left, right = CROPS["toolbox"].box(480, 640)
    values: dict[str, Value] = {f"{row}.value": f"{a}:{b}, {c}:{d}" for row, (a, b, c, d) in boxes.items()}
    values |= {
        "target.value": f"{height}x{width}",
        "target-map.value": f"{len(range(1, height, 4))}x{len(range(1, width, 4))}",
        "projection.value": f"{bottom - top}x{right - left}",
        "kitti-width.value": 2 * (kitti.covered[3] - kitti.covered[2]),
    }
    crop = PROTOCOLS["eigen-kitti"].crop
    if crop is not None:
        top, bottom, left, right = crop.box(370, 1224)
        values |= {"kitti-rows.value": f"{top}:{bottom}", "kitti-columns.value": f"{left}:{right}"}
    return values


@register("eigen.identities")
def identities() -> dict[str, Value]:
    """What the scale-invariant error and loss of :mod:`mdepth.losses` must satisfy, on maps with holes."""
    from mdepth.evaluate import PROTOCOLS
    from mdepth.losses import scale_invariant_error, scale_invariant_loss

    generator = torch.Generator().manual_seed(0)
    truth = torch.randn(2, 1, 6, 8, generator=generator, dtype=torch.float64)
    prediction = truth + 0.3 * torch.randn(2, 1, 6, 8, generator=generator, dtype=torch.float64)
    valid = torch.rand(2, 1, 6, 8, generator=generator) > 0.2

    def error(x, form="moments"):
        return scale_invariant_error(x, truth, valid, form=form).mean().item()

    def loss(x, lam):
        return scale_invariant_loss(x, truth, valid, lam=lam).item()

    d, c = error(prediction), 0.7
    garbage = torch.where(valid, prediction, torch.full_like(prediction, 99.0))
    aligned = replace(PROTOCOLS["eigen-nyu"], alignment="log-mean")
    best = aligned.align(2 * truth.exp()[valid], truth.exp()[valid])[1]
    values = {
        "aligned-moments": error(prediction, "aligned") / d, "pairs-moments": error(prediction, "pairs") / d,
        "shift": error(prediction + 1.0) / d, "constant": error(truth + c),
        "lambda-0": loss(truth + c, 0.0) / c**2, "lambda-half": loss(truth + c, 0.5) / c**2,
        "lambda-1": loss(truth + c, 1.0) / c**2, "lambda-1-d": loss(prediction, 1.0) / d,
        "mask": loss(garbage, 0.5) - loss(prediction, 0.5), "scale": best,
    }  # fmt: skip
    return {f"{row}.value": value for row, value in values.items()}


def _multiscale(form: str, **options):
    """A network of 2015 on the meta device, and its layers by name."""
    from mdepth.models import build, layer_sizes

    with torch.device("meta"):
        network = build(f"eigen-multiscale-{form}", **options)
    return network, {layer.name: layer for layer in layer_sizes(network)}


@register("eigen.ef-scale1")
def multiscale_scale1() -> dict[str, Value]:
    """What every layer of scale 1 ends in, width x height, and its channels."""
    values: dict[str, Value] = {}
    for form in ("alexnet", "vgg"):
        network, layers = _multiscale(form)
        groups = {name.split(".")[1]: layer for name, layer in layers.items() if name.startswith("scale1")}
        maps = network.scale1(torch.zeros(1, 3, *network.input_size, device="meta"))
        ends = {f"s1{name[-1]}": (*layer.size, layer.channels) for name, layer in groups.items()}
        ends["upsampled"] = (*maps.shape[2:], maps.shape[1])
        for row, (height, width, channels) in ends.items():
            values |= {f"{row}.{form}": f"{width}x{height}", f"{row}.{form}-channels": channels}
    return values


@register("eigen.ef-scale23")
def multiscale_local() -> dict[str, Value]:
    """The answers of scales 2 and 3, width x height."""
    layers = _multiscale("vgg")[1]
    names = {"scale2": "scale2.depth.layer5.conv", "scale2-up": "scale3.depth.layer4.conv"}
    sizes = {row: layers[name].size for row, name in names.items()}
    return {f"{row}.map": f"{width}x{height}" for row, (height, width) in sizes.items()}


@register("eigen.ef-arithmetic")
def multiscale_arithmetic() -> dict[str, Value]:
    """Sizes that the released network implies; its region runs from the first to the last sampled pixel."""
    from mdepth.models.eigen_multiscale import enlarge_bilinear

    network, layers = _multiscale("vgg", bias_map=True)
    maps, (rows, columns) = layers["scale1.layer7.maps"], network.output_size
    enlarged = enlarge_bilinear(torch.zeros(1, maps.channels, *maps.size, device="meta"))
    top, bottom, left, right = network.covers(240, 320)
    sampled = (range(top, bottom)[1 :: network.stride], range(left, right)[1 :: network.stride])
    return {
        "fc7.value": layers["scale1.layer7.fc"].channels,
        "upsampled.value": f"{enlarged.shape[2]}x{enlarged.shape[3]}",
        "concat.value": network.get_submodule("scale2.depth.layer2.conv").in_channels,
        "bias-map.value": network.get_parameter("scale2.depth.bias_map").numel(),
        "scale3.value": f"{rows}x{columns}",
        "region.value": "x".join(str(line[-1] - line[0]) for line in sampled),
    }
