"""Level A of Monodepth2's networks: every count by formula, and against networks that are broken."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from mdepth import ledger
from mdepth.ledger import checks, reported
from mdepth.ledger.checks import monodepth2_networks as level_a
from mdepth.ledger.compare import agreement
from mdepth.models import monodepth2, monodepth2_motion
from mdepth.models.encoders import resnet34
from mdepth.recipes.monodepth2_weights import CLASSIFIER, official, official_pose

TABLES = ("table5", "parameters", "cost")
TWELVE = {"table5.pconv3.channels": 12}
"""What differs from the printed table: the code's number."""


def ours(name: str) -> float:
    """What the library computes for a cell."""
    value = checks.computed(f"monodepth2.{name}")
    assert value is not None, name
    assert not isinstance(value, str), name
    return value


def wrong(table: str) -> set[str]:
    """The cells of a table that would not come out, computed anew."""
    found = set()
    values = checks.registered()[f"monodepth2.{table}"].function()
    for name, cell in reported.load("monodepth2").cells.items():
        _, where, key = name.split(".", 2)
        if where != table:
            continue
        value = values.get(key, "missing")
        verdict, _ = agreement(cell, value, "A", cell.half_unit, "rounding")
        right = value == TWELVE[f"{table}.{key}"] if f"{table}.{key}" in TWELVE else verdict == "exact"
        found |= set() if right else {key}
    return found


@pytest.mark.parametrize("table", TABLES)
def test_every_cell_comes_out(table: str) -> None:
    assert wrong(table) == set()


def test_only_four_layers_are_joined() -> None:
    cells, values = reported.load("monodepth2").cells, level_a.table5()
    extra = {name: value for name, value in values.items() if f"monodepth2.table5.{name}" not in cells}
    assert set(extra.values()) == {"-"}
    layers = [f"{step}{k}" for step in ("upconv", "iconv", "disp") for k in range(1, 6)][:-1]
    assert set(extra) == {f"{layer}.joined" for layer in layers} - {f"iconv{k}.joined" for k in range(2, 6)}


def test_the_paper_says_six_and_the_ledger_says_why() -> None:
    row = next(row for row in ledger.rows(["monodepth2"]) if row.id == "monodepth2.table5.pconv3.channels")
    assert (row.reported, row.reference, row.verdict) == ("6", 12, "differs (explained)")
    assert "two motions" in row.why


# -- The same numbers by formula -------------------------------------------------------------------------

Layers = list[tuple[int, int, int, int]]
"""Of convolutions: side of the kernel, channels in and out, and image pixels between two of its answers."""
CHANNELS = {18: (64, 64, 128, 256, 512), 50: (64, 256, 512, 1024, 2048)}
BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


def resnet(layers: int, inputs: int = 3) -> Layers:
    """All convolutions; each has a norm behind it and no bias."""
    found, before = [(7, inputs, 64, 2)], 64
    for stage, count in enumerate(BLOCKS[layers]):
        hidden, stride = 64 << stage, 4 << stage
        after = 4 * hidden if layers >= 50 else hidden
        for block in range(count):
            entered = stride // 2 if stage and not block else stride
            if layers >= 50:
                found += [(1, before, hidden, entered), (3, hidden, hidden, stride),
                          (1, hidden, after, stride)]  # fmt: skip
            else:
                found += [(3, before, hidden, stride), (3, hidden, hidden, stride)]
            if not block and (stage or before != after):
                found.append((1, before, after, stride))
            before = after
    return found


def decoder(channels: Sequence[int], outputs: int = 1) -> Layers:
    """Two convolutions a level, and four that answer."""
    widths, found = (16, 32, 64, 128, 256), Layers()
    entering, skips = (*widths[1:], channels[-1]), (0, *channels[:-1])
    for level, width in enumerate(widths):
        found += [(3, entering[level], width, 2 << level), (3, width + skips[level], width, 1 << level)]
        found += [(3, width, outputs, 1 << level)] if level < 4 else []
    return found


def pose(channels: int, *, views: int = 1, slots: int = 2) -> Layers:
    """Four convolutions at a thirty-second of the image."""
    return [(1, channels, 256, 32), (3, 256 * views, 256, 32), (3, 256, 256, 32), (1, 256, 6 * slots, 32)]


def pose_cnn(frames: int) -> Layers:
    """Seven convolutions of stride 2, and one that answers."""
    channels = (3 * frames, 16, 32, 64, 128, 256, 256, 256)
    sides = (7, 5, 3, 3, 3, 3, 3)
    convs = [(side, channels[k], channels[k + 1], 2 << k) for k, side in enumerate(sides)]
    return [*convs, (1, 256, 6 * (frames - 1), 128)]


def with_bias(layers: Layers) -> tuple[int, int]:
    """Tensors and parameters of convolutions with a bias."""
    return 2 * len(layers), sum(side**2 * a * b + b for side, a, b, _ in layers)


def with_norm(layers: Layers) -> tuple[int, int]:
    """The same where a norm is behind each: weight, bias, mean, variance and a counter."""
    return 6 * len(layers), sum(side**2 * a * b + 2 * b for side, a, b, _ in layers)


def test_parameters_of_encoders_by_formula() -> None:
    encoders = {f"encoder-r{layers}": (resnet(layers), layers) for layers in BLOCKS}
    encoders |= {f"pose-encoder-r{layers}-2-images": (resnet(layers, 6), layers) for layers in (18, 50)}
    for row, (convs, layers) in encoders.items():
        tensors, used = with_norm(convs)
        classifier = CHANNELS[50 if layers >= 50 else 18][-1] * 1000 + 1000
        found = [ours(f"parameters.{row}.{column}") for column in ("tensors", "parameters", "effective")]
        assert found == [tensors + 2, used + classifier, used], row


def test_parameters_of_decoders_by_formula() -> None:
    parts = {f"depth-decoder-on-r{layers}": decoder(channels) for layers, channels in CHANNELS.items()}
    parts |= {
        "pose-decoder-r18-12-ch": pose(512), "pose-decoder-r50": pose(2048),
        "pose-decoder-shared-pairs-r18": pose(512, views=2, slots=1),
        "posecnn-2": pose_cnn(2), "posecnn-3": pose_cnn(3),
        "predictive-mask-head-2-sources": decoder(CHANNELS[18], outputs=2),
    }  # fmt: skip
    for row, layers in parts.items():
        found = (ours(f"parameters.{row}.tensors"), ours(f"parameters.{row}.parameters"))
        assert found == with_bias(layers), row
    used = with_norm(resnet(18))[1] + with_bias(decoder(CHANNELS[18]))[1]
    assert ours("parameters.depth-network-r18.effective") == used
    assert ours("parameters.depth-network-r18.parameters") == used + 513_000


def test_products_by_formula() -> None:
    networks = {
        f"depth-r{layers}": resnet(layers) + decoder(channels) for layers, channels in CHANNELS.items()
    }
    networks |= {f"pose-r{layers}": resnet(layers, 6) + pose(CHANNELS[layers][-1]) for layers in CHANNELS}
    for row, layers in networks.items():
        for width, height in ((416, 128), (640, 192), (1024, 320)) if row.startswith("d") else ((640, 192),):
            products = sum(side**2 * a * b * (width // s) * (height // s) for side, a, b, s in layers)
            found = ours(f"cost.{row}.{width}x{height}")
            assert found == pytest.approx(products / 1e9, rel=1e-12), row


def test_tensors_are_those_of_the_released_files() -> None:
    with torch.device("meta"):
        depth, pair = monodepth2.Monodepth2(), monodepth2_motion.PoseResNet()
        files = official(depth) | official_pose(pair)
        cnn = official_pose(monodepth2_motion.PoseCNN())["pose.pth"]
    rows = {
        "encoder.pth": "encoder-r18", "depth.pth": "depth-decoder-on-r18",
        "pose_encoder.pth": "pose-encoder-r18-2-images", "pose.pth": "pose-decoder-r18-12-ch",
    }  # fmt: skip
    for name, row in rows.items():
        tensors = {key for key, value in files[name].items() if isinstance(value, torch.Tensor)}
        assert not tensors & set(CLASSIFIER)
        unused = len(CLASSIFIER) if "encoder" in name else 0
        assert len(tensors) + unused == ours(f"parameters.{row}.tensors"), row
    assert len(cnn) == ours("parameters.posecnn-2.tensors")


def test_one_decoder_fits_all_encoders_of_its_row() -> None:
    with torch.device("meta"):
        deeper = [level_a.ResNet(blocks, bottleneck=True).channels for blocks in level_a.DEEPER.values()]
        assert resnet34().channels == CHANNELS[18]
    assert set(deeper) == {CHANNELS[50]}


# -- A broken network is noticed -------------------------------------------------------------------------


def wide(f: Callable) -> Callable:
    """Kernels of five rows and columns."""
    return lambda inputs, outputs: nn.Conv2d(inputs, outputs, 5, padding=2, padding_mode="reflect")


def without_bias(f: Callable) -> Callable:
    """Convolutions that add nothing."""
    return lambda inputs, outputs: nn.Conv2d(
        inputs, outputs, 3, padding=1, padding_mode="reflect", bias=False
    )


def without_skip(f: type[nn.Module]) -> type[nn.Module]:
    """A decoder that leaves the third map of the encoder out."""

    class Forgetful(f):  # type: ignore[misc, valid-type]
        def __init__(self, channels: Sequence[int], *widths: Sequence[int], **how: int) -> None:
            super().__init__((*channels[:2], 0, *channels[3:]), *widths, **how)

        def forward(self, features: Sequence[torch.Tensor], size: tuple[int, int]) -> list[torch.Tensor]:
            maps = list(features)
            maps[2] = maps[2].detach()[:, :0]
            return super().forward(maps, size)

    return Forgetful


def same_twice(f: type[nn.Module]) -> type[nn.Module]:
    """A decoder that joins the first map, made smaller, where the second belongs: no count changes."""

    class Confused(f):  # type: ignore[misc, valid-type]
        def forward(self, features: Sequence[torch.Tensor], size: tuple[int, int]) -> list[torch.Tensor]:
            first = features[0]
            wide = features[1].shape[1] // first.shape[1]  # 4 times as many channels in ResNet-50
            smaller = first[:, :, ::2, ::2].repeat(1, wide, 1, 1)
            return super().forward([first, smaller, *features[2:]], size)

    return Confused


def caffe(known: dict[int, Callable]) -> dict[int, Callable]:
    """The other ResNets of that name."""
    return {layers: partial(make, form="caffe") for layers, make in known.items()}


def narrow(f: Callable) -> Callable:
    """A decoder with fewer channels at the coarsest level."""
    return lambda channels, widths=(), **how: f(channels, (16, 32, 64, 128, 192), **how)


def six(f: Callable) -> Callable:
    """A pose decoder that answers for one motion."""
    return lambda *channels, slots, **how: f(*channels, slots=1, **how)


def half(f: Callable) -> Callable:
    """A pose decoder of half as many channels."""
    return lambda *channels, width, **how: f(*channels, width=width // 2, **how)


DECODERS = ("depth-decoder-on-r18", "depth-decoder-on-r50", "predictive-mask-head-2-sources")
COUNTED = f"parameters {' '.join(f'{row}.parameters' for row in DECODERS)} depth-network-r18.effective"
DEPTH = "cost depth-r18.416x128 depth-r18.640x192 depth-r18.1024x320 depth-r50.640x192"
ELUS = [f"{step}conv{k}.activation" for step in ("up", "i") for k in range(1, 6)]
BREAKS = [
    (monodepth2, "_reflecting", wide, "table5 upconv5.kernel iconv3.kernel disp1.kernel disp4.kernel",
     COUNTED, DEPTH),
    (monodepth2, "_reflecting", without_bias,
     f"{COUNTED} {' '.join(f'{row}.tensors' for row in DECODERS)}"),
    (monodepth2, "DepthDecoder", without_skip, "table5 iconv4.joined", COUNTED, DEPTH),
    (monodepth2, "DepthDecoder", same_twice, "table5 iconv3.joined iconv2.joined"),
    (monodepth2, "DepthDecoder", narrow, "table5 upconv5.channels iconv5.channels", COUNTED, DEPTH),
    (monodepth2, "DepthDecoder", lambda f: partial(f, scales=(0, 1, 2)), "table5 disp4.kernel", COUNTED),
    (nn, "ELU", lambda f: nn.ReLU, f"table5 {' '.join(ELUS)}"),
    (nn, "ELU", lambda f: nn.Identity, f"table5 {' '.join(ELUS)}"),
    (torch, "sigmoid", lambda f: torch.tanh, "table5 disp1.activation disp4.activation"),
    (torch.Tensor, "relu_", lambda f: lambda x: x,
     "table5 pconv0.activation pconv1.activation pconv2.activation"),
    (monodepth2_motion, "PoseDecoder", six, "table5 pconv3.channels",
     "parameters pose-decoder-r18-12-ch.parameters pose-decoder-r50.parameters"),
    (monodepth2_motion, "PoseDecoder", half,
     "table5 pconv0.channels pconv2.channels",
     "parameters pose-decoder-shared-pairs-r18.parameters", "cost pose-r18.640x192 pose-r50.640x192"),
    (monodepth2_motion, "PoseCNN", lambda f: partial(f, widths=(16, 32, 64, 128, 256, 256)),
     "parameters posecnn-2.tensors posecnn-3.parameters"),
    (monodepth2_motion.PoseNetwork, "frames", lambda _: 3,
     "parameters pose-encoder-r18-2-images.parameters posecnn-2.parameters", "cost pose-r18.640x192"),
    (monodepth2, "RESNETS", caffe, "parameters encoder-r18.tensors encoder-r50.parameters",
     "cost depth-r50.640x192 depth-r50.1024x320"),
    (level_a, "DEEPER", lambda known: known | {101: (3, 4, 22, 3)},
     "parameters encoder-r101.tensors encoder-r101.effective"),
    (level_a, "CLASSES", lambda _: 1001, "parameters encoder-r152.parameters depth-network-r18.parameters"),
]  # fmt: skip
"""Whose attribute is broken, how, and each table with cells that must turn wrong."""


@pytest.mark.parametrize("case", BREAKS, ids=lambda case: f"{case[1]}-{case[3].split()[1]}")
def test_what_is_broken_is_noticed(case: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, name, breaking, *expected = case
    monkeypatch.setattr(owner, name, breaking(getattr(owner, name)))
    for table, *cells in map(str.split, expected):
        assert set(cells) <= wrong(table)


def test_counts_do_not_see_what_stands_in_the_margin(monkeypatch: pytest.MonkeyPatch) -> None:
    zeros = partial(nn.Conv2d, kernel_size=3, padding=1)
    monkeypatch.setattr(monodepth2, "_reflecting", lambda inputs, outputs: zeros(inputs, outputs))
    assert not any(wrong(table) for table in TABLES)


MISPRINTS = {
    "table5.iconv3.joined": ("econv2", "econv1"),
    "table5.upconv2.activation": ('"32", "ELU"', '"32", "ReLU"'),
    "parameters.encoder-r101.tensors": ('"626"', '"662"'),
    "parameters.posecnn-3.parameters": ("1,590,668", "1,590,686"),
    "cost.depth-r50.640x192": ("16.55", "16.56"),
}


@pytest.mark.parametrize("cell", MISPRINTS)
def test_a_wrong_cell_is_seen(cell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = MISPRINTS[cell]
    text = (reported.folder() / "monodepth2.yaml").read_text(encoding="utf-8")
    table = text.index(f"\n  {cell.partition('.')[0]}:\n")
    assert before in text[table:]
    changed = text[:table] + text[table:].replace(before, after, 1)
    (tmp_path / "monodepth2.yaml").write_text(changed, encoding="utf-8")
    monkeypatch.setenv("MDEPTH_REPORTED", str(tmp_path))
    with pytest.raises(ValueError, match=rf"monodepth2\.{cell}: .* nobody explained"):
        ledger.rows(["monodepth2"])
