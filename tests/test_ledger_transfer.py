"""Level A of transfer learning: every cell against other arithmetic, and against a library that is broken."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise, product

import pytest
import torch
from torch import nn
from torch.nn import functional

from mdepth import ledger, losses, metrics
from mdepth.datasets import transforms
from mdepth.datasets.nyu import pairs, raw
from mdepth.evaluate import protocols
from mdepth.ledger import checks, reported
from mdepth.ledger.__main__ import main
from mdepth.ledger.checks import transfer as level_a
from mdepth.ledger.compare import NONE, agreement
from mdepth.models import encoders, transfer, transfer_unpadded

CELLS = {
    "densedepth-shapes": 26, "densedepth-skips": 10, "densedepth-decoder": 13, "densedepth-author": 2,
    "densedepth-parameters": 22, "densedepth-target": 10, "densedepth-loss": 16, "densedepth-swap": 2,
    "unet-2015-sizes": 27, "unet-2015-rule": 10, "unet-2015-layers": 6, "sizes": 5, "parameters": 4,
    "encodings": 8, "crops": 10, "pair-counts": 2, "metric-identities": 30, "metric-relations": 5,
    "devkit": 1,
}  # fmt: skip
"""How many cells of each table are computed."""
SECOND_HAND = {"densedepth-author", "unet-2015-layers"}
READ = {"densedepth-decoder", "crops"}


def ours(name: str) -> checks.Value:
    """What the library computes for a cell."""
    value = checks.computed(f"transfer.{name}")
    assert value is not None, name
    return value


def wrong(table: str) -> set[str]:
    """The cells of a table that would not come out exact, computed anew."""
    cells, found = reported.load("transfer").cells, set()
    for name, value in checks.registered()[f"transfer.{table}"].function().items():
        if cell := cells.get(f"transfer.{table}.{name}"):
            verdict, _ = agreement(cell, value, "A", cell.half_unit, "rounding")
            found |= {name.removesuffix(".value")} if verdict != "exact" else set()
    return found


# -- What the ledger says --------------------------------------------------------------------------------


def test_every_cell_is_exact() -> None:
    rows = [row for row in ledger.rows(["transfer"]) if row.level == "A"]
    counted = {table: sum(row.id.split(".")[1] == table for row in rows) for table in CELLS}
    assert counted == CELLS
    assert len(rows) == sum(CELLS.values()) == 209
    assert {(row.verdict, row.reference_level, row.why) for row in rows} == {("exact", "A", NONE)}


def test_no_count_waits_and_every_check_fills_a_cell() -> None:
    source = reported.load("transfer")
    assert not [table.id for table in source.tables.values() if table.pending]
    counts = {line.cells[column.id].id for table in source.tables.values() for column in table.columns
              for line in table.rows if column.kind == "count" and column.id in line.cells}  # fmt: skip
    assert all(checks.computed(identity) is not None for identity in counts)
    assert {identity.split(".")[1] for identity in counts} == set(CELLS)
    registered = {name for name in checks.registered() if name.startswith("transfer.")}
    assert registered == {f"transfer.{table}" for table in CELLS}


def test_what_is_second_hand_stays_marked() -> None:
    source = reported.load("transfer")
    origins = {table: {cell.origin for line in source.tables[table].rows for cell in line.cells.values()}
               for table in CELLS}  # fmt: skip
    assert {table for table, found in origins.items() if found == {"quoted"}} == SECOND_HAND
    assert {table for table, found in origins.items() if found == {"code"}} == READ
    assert origins["densedepth-loss"] == origins["devkit"] == {"code", "derived"}
    mixed = SECOND_HAND | READ | {"densedepth-loss", "devkit"}
    assert all(origins[table] == {"derived"} for table in set(CELLS) - mixed)
    assert {table for table in CELLS if source.tables[table].status == "unverified"} == SECOND_HAND
    for name in ("pairs.hu.value", "densedepth-augmentation.swap.paper", "densedepth-author.kitti.value"):
        assert not reported.cell(f"transfer.{name}").verified, name


def test_the_summary_counts_them(capsys: pytest.CaptureFixture) -> None:
    assert main(["--counts", "--source", "transfer"]) == 0
    assert "209 exact, 0 within tolerance, 0 differs (explained)" in capsys.readouterr().out


def test_nothing_is_drawn_from_the_generator_of_the_reader() -> None:
    before = torch.get_rng_state()
    for table in CELLS:
        checks.registered()[f"transfer.{table}"].function()
    assert torch.equal(torch.get_rng_state(), before)


# -- The same numbers by another way ---------------------------------------------------------------------


def conv(a: int, b: int, side: int = 3) -> int:
    """Weights and biases from a to b channels."""
    return side * side * a * b + b


def densenet(growth: int, blocks: tuple[int, ...], width: int) -> int:
    """Weights without biases, and two numbers a channel for every norm."""
    count, channels = 49 * 3 * width + 2 * width, width
    for number, layers in enumerate(blocks):
        for _ in range(layers):
            hidden = 4 * growth
            count += 2 * channels + channels * hidden + 2 * hidden + 9 * hidden * growth
            channels += growth
        kept = channels if number == len(blocks) - 1 else channels // 2
        count += 2 * channels + (0 if kept == channels else channels * kept)
        channels = kept
    return count


def densedepth(width: int, last: int = 1664) -> dict[str, int]:
    """The decoder's parts."""
    parts = {"conv2": conv(last, width, 1)}
    for number, skip in enumerate((256, 128, 64, 64), 1):
        parts[f"up{number}-a"] = conv(width + skip, width // 2)
        width //= 2
        parts[f"up{number}-b"] = conv(width, width)
    return parts | {"conv3": conv(width, 1)}


def test_parameters_of_densedepth_by_formula() -> None:
    encoder = densenet(32, (6, 12, 32, 32), 64)
    for column, width in (("full", 1664), ("half", 832)):
        parts = densedepth(width)
        assert ours(f"densedepth-parameters.encoder.{column}") == encoder
        assert ours(f"densedepth-parameters.decoder.{column}") == sum(parts.values())
        assert ours(f"densedepth-parameters.forward.{column}") == encoder + sum(parts.values())
    for row, count in densedepth(1664).items():
        assert ours(f"densedepth-parameters.{row}.full") == count, row
    names = ("classifier", "module", "encoder-module")
    classifier, module, with_classifier = (ours(f"densedepth-parameters.{name}.full") for name in names)
    assert module - ours("densedepth-parameters.forward.full") == with_classifier - encoder == classifier
    norms, convolutions = 2 * 82 + 5, 2 * 82 + 4  # of 82 layers, the first convolution, transitions, the end
    assert ours("densedepth-parameters.entries-int64.full") == norms
    floats = 4 * norms + convolutions + 2 * 10 + 2  # ten convolutions with bias, and the classifier
    assert ours("densedepth-parameters.entries-float32.full") == floats
    assert ours("densedepth-parameters.entries.full") == norms + floats


def unet(inputs: int, outputs: int, widths: tuple[int, ...], *, norms: bool, up: int, end: int) -> int:
    """A U-Net of two convolutions a size, one of side ``up`` that enlarges, a last one of side ``end``."""
    (*sides, bottom), norm = widths, 4 if norms else 0
    count = conv(sides[-1], bottom) + conv(bottom, bottom) + conv(sides[0], outputs, end)
    for before, width in pairwise((inputs, *sides)):
        count += conv(before, width) + conv(width, width) + norm * width
    for below, width in pairwise((bottom, *reversed(sides))):
        count += conv(below, width, up) + conv(2 * width, width) + conv(width, width) + norm * width
    return count


def test_parameters_of_the_unets_and_of_the_resnet_by_formula() -> None:
    wide = (64, 128, 256, 512, 1024)
    for row, channels in {"unet-2015": (1, 2), "unet-2015-depth": (3, 1)}.items():
        assert ours(f"parameters.{row}.parameters") == unet(*channels, wide, norms=False, up=2, end=1)
    assert ours("parameters.unet.parameters") == unet(3, 1, (32, 64, 128, 256, 512), norms=True, up=3, end=3)
    count, inputs = 49 * 3 * 64 + 128, 64
    for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        count += 9 * inputs * width + (2 * blocks - 1) * 9 * width**2 + 2 * blocks * 2 * width
        count += inputs * width + 2 * width if inputs != width else 0
        inputs = width
    assert ours("parameters.resnet34.parameters") == count


def walked(side: int) -> list[int] | None:
    """Sides of the unpadded U-Net's maps by arithmetic; none where a pool or a joint does not fit."""
    sides, skips = [side], []
    for _ in range(4):
        sides += [sides[-1] - 2, sides[-1] - 4]
        skips.append(sides[-1])
        if skips[-1] < 2 or skips[-1] % 2:
            return None
        sides.append(skips[-1] // 2)
    sides += [sides[-1] - 2, sides[-1] - 4]
    for skip in reversed(skips):
        sides.append(2 * sides[-1])
        if sides[-1] < 5 or sides[-1] > skip:
            return None
        sides += [sides[-1] - 2, sides[-1] - 4]
    return sides


def test_the_unpadded_network_by_arithmetic() -> None:
    taken = {side: sides[-1] for side in range(1, 1000) if (sides := walked(side))}
    assert list(taken) == list(range(188, 1000, 16))
    assert {side - left for side, left in taken.items()} == {ours("unet-2015-rule.border.value")}
    assert ours("unet-2015-rule.rule.value") == "16k + 12 from 188"
    assert [188 % 16, taken[188]] == [12, ours("unet-2015-rule.answer-188.value")]
    rows = [*(f"down{k}" for k in range(1, 5)), "bottom", *(f"up{k}" for k in range(1, 5))]
    found = [ours(f"unet-2015-sizes.{row}.{part}") for row in rows for part in ("enters", "first", "second")]
    assert found == walked(572)


def test_sizes_of_densedepth_by_arithmetic() -> None:
    strides = {2: ("conv0", "up4", "conv3"), 4: ("pool0", "up3"), 8: ("transition1", "up2"),
               16: ("transition2", "up1"), 32: ("norm5", "conv2")}  # fmt: skip
    for stride, rows in strides.items():
        for row in rows:
            assert ours(f"densedepth-shapes.{row}.size") == f"{480 // stride}x{640 // stride}", row
    channels = 64
    for layers, stride in ((6, 4), (12, 8), (32, 16), (32, 32)):
        channels += 32 * layers
        assert ours(f"densedepth-skips.stride{stride}.before") == channels
        channels //= 2 if stride < 32 else 1
        if stride < 16:
            assert ours(f"densedepth-skips.stride{2 * stride}.behind") == channels
    assert ours("densedepth-skips.stride32.behind") == channels
    for number, skip in enumerate((256, 128, 64, 64), 1):
        below = ours(f"densedepth-shapes.{f'up{number - 1}' if number > 1 else 'conv2'}.channels")
        assert ours(f"densedepth-shapes.up{number}.inputs") == below + skip


def test_shares_of_the_loss_and_of_the_files_by_formula() -> None:
    for row, share in (("c1", 0.01), ("c2", 0.03)):
        assert ours(f"densedepth-loss.{row}.value") == pytest.approx((share * 1000 / 10) ** 2, rel=1e-9)
    assert ours("densedepth-loss.sigma.value") == pytest.approx(1.5, rel=1e-9)
    assert ours("encodings.level.value") == pytest.approx(1000 / 255)
    assert ours("encodings.high-byte.value") == 10_000 // 256
    assert ours("encodings.wrap.value") == pytest.approx((80_000 - 65_536) / 1e4)
    assert ours("encodings.kinect.value") == pytest.approx(351.3 / 1092.5)
    assert 5 * (ours("pair-counts.batches.value") - 1) < 50_688 <= 5 * ours("pair-counts.batches.value")
    for row, s in (("scaled", 1.2), ("threshold", 1.25)):
        assert ours(f"metric-identities.{row}.rmse_log") == pytest.approx(math.log(s))
        assert ours(f"metric-identities.{row}.log10") == pytest.approx(math.log10(s))


def test_the_library_swaps_channels_as_often_as_the_pytorch_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every draw of the gate in twelfths and of the order in sixths, once."""
    image, changed = torch.tensor([0.1, 0.5, 0.9]).reshape(3, 1, 1), 0
    for gate, order in product(range(12), range(6)):
        draws = iter([(gate + 0.5) / 12, order + 0.5])
        monkeypatch.setattr(transforms, "_uniform", lambda *_, draws=draws: next(draws))
        settings = transforms.Augmentation(swap=0.5)
        found = transforms.augment_sample({"image": image}, settings, torch.Generator())["image"]
        changed += not torch.equal(found, image)
    assert changed / 72 == pytest.approx(5 / 12)
    assert ours("densedepth-swap.changed.pytorch") == pytest.approx(5 / 12)
    assert ours("densedepth-swap.changed.keras") == pytest.approx(5 / 14)


# -- A broken library is noticed -------------------------------------------------------------------------


def then(change: Callable[[nn.Module], object]) -> Callable:
    """A constructor after which something is changed."""

    def breaking(init: Callable) -> Callable:
        def broken(self, *args, **kwargs) -> None:
            init(self, *args, **kwargs)
            change(self)

        return broken

    return breaking


def unless(**wanted) -> Callable:
    """A constructor with other defaults."""
    return lambda init: lambda self, *args, **kwargs: init(self, *args, **(wanted | kwargs))


def placed(name: str, make: Callable[[], nn.Module]) -> Callable:
    """A constructor that puts another module in a place."""

    def change(network: nn.Module) -> None:
        place, _, last = name.rpartition(".")
        setattr(network.get_submodule(place), last, make())

    return then(change)


def blocks_returned(_: Callable) -> Callable:
    """The maps before the transitions."""

    def broken(self, x: torch.Tensor) -> list[torch.Tensor]:
        maps = []
        for name, layer in self.features.named_children():
            x = layer(x)
            maps += [x] if name in ("relu0", "denseblock1", "denseblock2", "denseblock3") else []
        return [*maps, torch.relu(x)]

    return broken


def sixteens(forward: Callable) -> Callable:
    """Sides that are multiples of 16 go in."""

    def broken(self, x: torch.Tensor) -> torch.Tensor:
        missing = 16 if x.shape[2] % 32 == 16 else 0
        return forward(self, functional.pad(x, (0, missing, 0, missing)))

    return broken


def padded(twice: Callable) -> Callable:
    """Both convolutions of a size with padding."""

    def broken(inputs: int, outputs: int) -> nn.Sequential:
        block = twice(inputs, outputs)
        block.conv1.padding = block.conv2.padding = (1, 1)
        return block

    return broken


def longer(twice: Callable) -> Callable:
    """A third convolution and a norm behind the two of a size."""
    return lambda a, b: twice(a, b).append(nn.Conv2d(b, b, 1)).append(nn.BatchNorm2d(b))


def inner_slopes(_: Callable) -> Callable:
    """Means over the differences that there are."""
    return lambda p, t, _: (p - t).diff(dim=-1).abs().mean() + (p - t).diff(dim=-2).abs().mean()


def term(name: str, function: Callable) -> Callable:
    """The metrics' maps with another one among them."""
    return lambda terms: terms | {name: function}


UNPADDED = partial(nn.MaxPool2d, 3, 2)
DENSE, UP, UNET, OLD = transfer.DenseDepth, transfer._DenseUp, transfer.UNet, transfer_unpadded.UNet2015
ACTIVE = unless(between=True)
HALF = replace(metrics.METRICS["silog"], finish=lambda s, m: 100 * (s - 0.5 * m**2).sqrt())
NORM = then(lambda block: block.append(nn.BatchNorm2d(block.get_submodule("convB").out_channels)))
BREAKS = [
    (DENSE, "__init__", ACTIVE, "densedepth-decoder block.full"),
    (DENSE, "__init__", unless(width=832), "densedepth-decoder width.full widths.full",
     "densedepth-shapes conv2.channels up1.inputs up1.channels up4.channels",
     "densedepth-parameters conv2.full decoder.full forward.full"),
    (UP, "__init__", NORM, "densedepth-decoder norms.full norms.half block.half",
     "densedepth-parameters entries-int64.full decoder.half"),
    (UP, "__init__", then(lambda block: block.get_submodule("convA").register_parameter("bias", None)),
     "densedepth-parameters up1-a.full decoder.full decoder.half forward.half module.full entries.full"),
    (encoders.DenseNet, "__init__", lambda init: lambda self, a, b, c: init(self, a, b, c // 2),
     "densedepth-shapes conv0.channels pool0.channels transition1.channels norm5.channels up2.inputs",
     "densedepth-skips stride2.behind stride2.before stride4.before stride16.before stride32.before",
     "densedepth-parameters encoder.full encoder.half classifier.full encoder-module.full"),
    (encoders.DenseNet, "__init__", placed("features.pool0", UNPADDED),
     "densedepth-shapes pool0.size transition1.size transition2.size norm5.size conv2.size up1.size"),
    (encoders.DenseNet, "forward", blocks_returned,
     "densedepth-skips stride4.behind stride8.behind stride16.behind"),
    (transfer, "as_large_as", lambda f: lambda other, x, **_: f(other, x), "densedepth-decoder corners.full"),
    (DENSE, "forward", lambda f: lambda *x: torch.relu(f(*x)), "densedepth-decoder last.full last.half"),
    (DENSE, "forward", sixteens, "densedepth-author multiple"),
    (DENSE, "forward", lambda f: lambda *x: f(*x).repeat(1, 1, 2, 2), "densedepth-author kitti"),
    (DENSE, "mean", lambda _: encoders.IMAGENET[0],
     "densedepth-decoder normalisation.full normalisation.half"),
    (DENSE, "to_depth", lambda _: lambda self, y: 1 / y.clamp(min=1), "densedepth-target depth-1 twice"),
    (DENSE, "__init__", unless(depth_range=(0.0, 10.0)), "densedepth-target level-0 clip-near"),
    (DENSE, "__init__", unless(depth_range=(0.1, 1000.0)), "densedepth-target far near depth-1 clip-far"),
    (level_a, "resize", lambda f: lambda z, size, **_: f(z, size, mode="nearest"), "densedepth-target edge"),
    (level_a, "resize", lambda f: lambda z, size, **_: f(z, size) + z.mean(), "densedepth-target flat"),
    (losses, "densedepth_loss", lambda f: partial(f, lam=1.0), "densedepth-loss lambda"),
    (losses, "densedepth_loss", lambda f: lambda *maps, lam=0.1: lam * losses.l1_loss(*maps),
     "densedepth-loss terms lambda"),
    (losses, "ssim_loss", lambda f: partial(f, data_range=1.0), "densedepth-loss c1 c2"),
    (losses, "ssim_loss", lambda f: lambda *maps, data_range=100.0: f(*maps), "densedepth-loss order"),
    (losses, "ssim_loss", lambda f: partial(f, k1=0.02), "densedepth-loss c1"),
    (losses, "ssim_loss", lambda f: partial(f, k2=0.01), "densedepth-loss c2"),
    (losses, "ssim_loss", lambda f: partial(f, sigma=1.0), "densedepth-loss sigma"),
    (losses, "ssim_loss", lambda f: partial(f, window=7), "densedepth-loss window"),
    (losses, "ssim_loss", lambda f: lambda *maps, **how: 2 * f(*maps, **how), "densedepth-loss bounds"),
    (losses, "ssim_loss", lambda f: lambda *maps, **how: f(*maps, **how) + 0.001,
     "densedepth-loss equal-ssim equal-dissimilarity"),
    (losses, "l1_loss", lambda f: losses.l2_loss, "densedepth-loss offset-depth"),
    (losses, "l1_loss", lambda f: lambda *maps: f(*maps) + 0.001, "densedepth-loss equal-depth"),
    (losses, "gradient_loss", inner_slopes, "densedepth-loss last-column last-row"),
    (losses, "gradient_loss", lambda f: lambda p, t, v: f(p, 0 * t, v),
     "densedepth-loss equal-gradient offset-gradient"),
    (transforms, "channel_swap", lambda _: lambda item, order: dict(item),
     "densedepth-swap changed.keras changed.pytorch"),
    (transfer_unpadded, "_twice", padded, "unet-2015-sizes down1.first bottom.second up1.enters up4.second",
     "unet-2015-rule border answer-188 answer-572"),
    (transfer_unpadded, "_twice", longer, "unet-2015-rule convolutions norms", "unet-2015-layers block"),
    (transfer_unpadded, "_check_unpadded", lambda f: lambda n: n[0] in (240, 320, 480, 640) or f(n),
     "unet-2015-rule rule answer-240 answer-320 answer-480 answer-640"),
    (transfer_unpadded, "crop_to", lambda _: lambda x, n: x[..., : n[0], : n[1]], "unet-2015-layers crop"),
    (OLD, "__init__", unless(widths=(32, 64, 128, 256, 512)), "unet-2015-layers widths",
     "parameters unet-2015.parameters unet-2015-depth.parameters"),
    (OLD, "__init__", placed("pool", partial(nn.MaxPool2d, 3, 2, 1)), "unet-2015-layers pool"),
    (OLD, "__init__", placed("answer", partial(nn.Conv2d, 64, 1, 3)), "unet-2015-layers answer"),
    (OLD, "__init__", placed("enlarge.0", partial(nn.ConvTranspose2d, 8, 4, 3)), "unet-2015-layers enlarge"),
    (UNET, "__init__", placed("bottom.1", partial(nn.BatchNorm2d, 512)), "parameters unet.parameters"),
    (UNET, "__init__", placed("pool", UNPADDED), "sizes unet-240x320"),
    (encoders.ResNet, "__init__", placed("maxpool", UNPADDED), "sizes resnet-240 resnet-256 double-256"),
    (encoders.ResNet, "__init__", placed("bn1", nn.Identity), "parameters resnet34.parameters"),
    (pairs.DenseDepthCsv, "read_depth", lambda f: lambda *path: f(*path) * 255 / 256, "encodings level top"),
    (pairs, "_MILLIMETRE", lambda _: 0.0001, "encodings millimetres high-byte"),
    (pairs.LabelledPngs, "read_depth", lambda f: lambda *path: 0.9 * f(*path),
     "encodings wrap-top wrap-code wrap"),
    (raw, "read_raw_depth", lambda f: lambda path: 1 / (1 / f(path) - 1 / 351.3), "encodings kinect"),
    (protocols, "CROPS", lambda crops: crops | {"toolbox": crops["eigen-today"], "gupta": crops["eigen-nyu"]},
     "crops toolbox.slice toolbox.size gupta.slice gupta.size"),
    (protocols, "PROTOCOLS", lambda found: found | {"densedepth-nyu": found["bts-nyu"]},
     "crops densedepth.slice densedepth.size"),
    (reported, "cell", lambda f: lambda name: replace(f(name), printed=f"1{f(name).printed}"),
     "pair-counts batches total", "densedepth-swap changed.keras changed.pytorch", "devkit sample.mean"),
    (metrics, "TERMS", term("relative", lambda e: (e.difference / e.prediction).abs()),
     "metric-identities scaled.abs_rel threshold.abs_rel"),
    (metrics, "TERMS", term("relative", lambda e: e.worst_ratio - 1), "metric-identities swapped.abs_rel"),
    (metrics, "TERMS", term("square_relative", lambda e: 0 * e.ratio), "metric-identities swapped.sq_rel"),
    (metrics, "TERMS", term("square_relative", lambda e: e.prediction), "metric-identities equal.sq_rel"),
    (metrics, "TERMS", term("square", lambda e: e.difference**2 + 1e-6), "metric-identities equal.rmse"),
    (metrics, "TERMS", term("log_square", lambda e: (e.prediction.log1p() - e.target.log1p()).square()),
     "metric-identities scaled.rmse_log threshold.rmse_log", "metric-relations log10"),
    (metrics, "TERMS", term("log_absolute", lambda e: e.ratio.log10().abs()),
     "metric-identities scaled.log10 threshold.log10"),
    (metrics, "TERMS", term("delta1", lambda e: (e.worst_ratio <= 1.25) * 1.0),
     "metric-identities threshold.delta1"),
    (metrics, "TERMS", term("delta1", lambda e: (e.ratio < 1.25) * 1.0), "metric-identities swapped.delta1"),
    (metrics, "TERMS", term("delta1", lambda e: (e.worst_ratio < 1.0) * 1.0),
     "metric-identities equal.delta1 scaled.delta1"),
    (metrics, "TERMS", term("delta2", lambda e: (e.ratio > 1) * 1.0),
     "metric-identities equal.delta2 swapped.delta2"),
    (metrics, "TERMS", term("relative_square", metrics.TERMS["square_relative"]), "metric-relations kitti-2"),
    (metrics, "METRICS", lambda found: found | {"silog": HALF}, "metric-relations silog bts",
     "metric-identities scaled.silog threshold.silog", "devkit sample.mean"),
    (metrics, "pooled", lambda _: lambda *maps: metrics.per_image(*maps).mean().item(),
     "metric-identities pooled.rmse"),
    (losses, "scale_invariant_loss", lambda f: lambda *maps: f(*maps[:3], 0.5), "metric-relations bts"),
]  # fmt: skip
"""Whose attribute is broken, how, and each table with the cells that must turn wrong."""


@pytest.mark.parametrize("case", BREAKS, ids=lambda case: f"{case[1]}-{case[3].replace(' ', '-')}")
def test_what_is_broken_is_noticed(case: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, name, breaking, *expected = case
    monkeypatch.setattr(owner, name, breaking(getattr(owner, name)))
    for table, *cells in map(str.split, expected):
        assert set(cells) <= wrong(table)


def test_the_ledger_refuses_a_broken_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "_run", checks._run.__wrapped__)  # nothing is kept
    monkeypatch.setattr(transfer.DenseDepth, "__init__", ACTIVE(transfer.DenseDepth.__init__))
    with pytest.raises(ValueError, match=r"transfer\.densedepth-decoder\.block\.full: .* nobody explained"):
        ledger.rows(["transfer"])
