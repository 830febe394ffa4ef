"""Level A of Laina et al.: every cell against other arithmetic, and against networks that are broken."""

import re
from collections.abc import Callable, Iterator
from functools import partial

import mdepth_bugs.laina as bugs
import pytest
import torch
from torch import nn
from torch.nn import functional

from mdepth import ledger
from mdepth.ledger import checks, reported
from mdepth.ledger.__main__ import main
from mdepth.ledger.checks import laina as level_a
from mdepth.ledger.compare import NONE, agreement
from mdepth.models import build, count_parameters, encoders, laina
from mdepth.models.laina_weights import released

GUESSED = {
    f"laina.table1.{encoder}-upconv-{loss}.parameters"
    for encoder in ("alexnet", "vgg-16")
    for loss in ("l2", "berhu")
}
DIFFERENT = {*GUESSED, "laina.receptive.alexnet.side"}
TABLES = {
    "table1", "parameters", "cost", "receptive", "shapes", "identities", "berhu", "pooling"
}  # fmt: skip
DERIVED = TABLES - {"table1", "receptive"}


@pytest.fixture
def forgetful() -> Iterator[None]:
    """Nothing that was computed before is used, and nothing computed here is kept."""
    checks._run.cache_clear()
    yield
    checks._run.cache_clear()


def wrong(table: str) -> set[str]:
    """The cells of a table that would not come out exact, computed anew."""
    found = set()
    for name, value in checks.registered()[f"laina.{table}"].function().items():
        cells = reported.load("laina").cells
        identity = f"laina.{table}.{name}"
        if identity in cells:
            cell = cells[identity]
            verdict, _ = agreement(cell, value, "A", cell.half_unit, "rounding")
            found |= {name} if verdict != "exact" else set()
    return found


# -- What the ledger says --------------------------------------------------------------------------------


def test_every_cell_is_exact_or_explained() -> None:
    rows = [row for row in ledger.rows(["laina"]) if row.level == "A"]
    assert {row.id.split(".")[1] for row in rows} == TABLES
    assert len(rows) == 13 + 17 + 6 + 5 + 23 + 13 + 11 + 7
    assert {row.id for row in rows if row.verdict != "exact"} == DIFFERENT
    for row in rows:
        assert row.reference_level == "A"
        if row.id in DIFFERENT:
            assert row.verdict == "differs (explained)"
            assert len(row.why) > 60
    why = {row.id: row.why for row in rows}
    assert "no source lists the layers" in why["laina.table1.alexnet-upconv-l2.parameters"]
    assert "running means" in why["laina.table1.resnet50-deconv-l2.parameters"]
    assert "pools of 2x2" in why["laina.receptive.alexnet.side"]
    assert why["laina.table1.alexnet-fc-l2.parameters"] == NONE


def test_no_count_waits_and_every_check_fills_a_cell() -> None:
    source = reported.load("laina")
    assert not [table.id for table in source.tables.values() if table.pending]
    counts = {
        line.cells[column.id].id
        for table in source.tables.values()
        for column in table.columns
        for line in table.rows
        if column.kind == "count" and column.id in line.cells
    }
    assert all(checks.computed(identity) is not None for identity in counts)
    assert {identity.split(".")[1] for identity in counts} == TABLES


def test_what_is_recalled_stays_marked() -> None:
    cells = reported.load("laina").cells.values()
    origins = {table: {cell.origin for cell in cells if cell.id.split(".")[1] == table} for table in TABLES}
    assert {table for table, found in origins.items() if found == {"derived"}} == DERIVED
    assert origins["receptive"] == {"quoted", "derived"}
    columns = {cell.origin for cell in cells if cell.id.endswith(".parameters") and ".table1." in cell.id}
    assert columns == {"memory"}
    assert reported.load("laina").tables["table1"].status == "unverified"


def test_the_summary_counts_them(capsys: pytest.CaptureFixture) -> None:
    assert main(["--source", "laina", "--verdict", "differs (explained)"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines() if "[A]" in line]
    assert set(listed) == DIFFERENT
    assert main(["--counts", "--source", "laina"]) == 0
    assert "90 exact, 0 within tolerance, 5 differs (explained)" in capsys.readouterr().out


# -- The same numbers by another way ---------------------------------------------------------------------


def up_block(a: int, b: int) -> int:
    """Fast up-projection from a to b channels: two branches of 25 taps, four biases and a norm; 3x3, norm."""
    return 2 * (25 * a * b + 4 * b + 2 * b) + (9 * b * b + b + 2 * b)


def bottlenecks(inputs: int, width: int, count: int) -> int:
    """Weights and norms of one stage of ResNet-50; the first block has a projection."""
    first = inputs * width + 9 * width**2 + 4 * width**2 + 4 * width * inputs + 2 * (2 * width + 8 * width)
    other = 4 * width**2 + 9 * width**2 + 4 * width**2 + 2 * (2 * width + 4 * width)
    return first + (count - 1) * other


ENCODER = 7 * 7 * 3 * 64 + 2 * 64 + sum(
    bottlenecks(*stage) for stage in ((64, 64, 3), (256, 128, 4), (512, 256, 6), (1024, 512, 3))
)  # fmt: skip


def test_parameters_by_formula() -> None:
    blocks = {f"up{1024 // b}": up_block(2 * b, b) for b in (512, 256, 128, 64)}
    parts = {"encoder-bias": ENCODER + 64, "layer1": 2048 * 1024 + 3 * 1024, "prediction": 577, **blocks}
    for row, count in parts.items():
        assert checks.computed(f"laina.parameters.{row}.parameters") == count, row
    assert checks.computed("laina.parameters.total.parameters") == sum(parts.values())
    assert checks.computed("laina.parameters.fc-64x48.parameters") == ENCODER + 2 * 4 * 2048 * 64 * 48
    stored = sum(parts.values()) + checks.computed("laina.parameters.running.parameters")
    assert checks.computed("laina.parameters.elements.parameters") == stored


def test_products_by_formula() -> None:
    places = 8 * 10
    macs = 2048 * 1024 * places
    for b in (512, 256, 128, 64):
        macs += 2 * 25 * 2 * b * b * places + 9 * b * b * 4 * places  # four kernels small, one 3x3 large
        places *= 4
    macs += 9 * 64 * places
    assert checks.computed("laina.cost.decoder-fast.macs") == pytest.approx(macs / 1e9, rel=1e-12)
    ratio = (42.388 - 5.634) / 11.588
    fast, plain, encoder = (
        checks.computed(f"laina.cost.{row}.macs") for row in ("total-fast", "total-plain", "encoder")
    )
    assert (plain - encoder) / (fast - encoder) == pytest.approx(ratio, abs=1e-3)
    assert fast == encoder + checks.computed("laina.cost.decoder-fast.macs")


def seen(layers: list[tuple[int, int]]) -> int:
    """Pixels that one place sees, from the last layer back to the image."""
    side = 1
    for kernel, stride in reversed(layers):
        side = (side - 1) * stride + kernel
    return side


def test_receptive_fields_backwards() -> None:
    stem = [(7, 2), (3, 2)]
    caffe, later = list(stem), list(stem)
    for stage, count in enumerate((3, 4, 6, 3)):
        for block in range(count):
            stride = 2 if stage and not block else 1
            caffe += [(1, stride), (3, 1), (1, 1)]
            later += [(1, 1), (3, stride), (1, 1)]
    vgg = [layer for count in (2, 2, 3, 3, 3) for layer in [(3, 1)] * count + [(2, 2)]]
    thin, own = ([(11, 4), (pool, 2), (5, 1), (pool, 2), (3, 1), (3, 1), (3, 1)] for pool in (2, 3))
    sides = {
        "resnet50": caffe, "resnet50-torchvision": later, "vgg16": [*vgg, (3, 1)],
        "alexnet": [*own, (3, 2), (1, 1)], "alexnet-2x2": thin,
    }  # fmt: skip
    for row, layers in sides.items():
        assert checks.computed(f"laina.receptive.{row}.side") == seen(layers), row


@pytest.mark.parametrize(
    ("row", "name", "maps"),
    [
        ("fc160x128-berhu", "fc", (128, 160)), ("fc64x48-berhu", "fc", (48, 64)),
        ("deconv-l2", "deconv", None), ("upconv-l2", "upconv", None), ("upproj-berhu", "upproj", None),
    ],
)  # fmt: skip
def test_the_table_of_encoders_counts_running_statistics(row: str, name: str, maps: tuple | None) -> None:
    """Only so do all networks with ResNet-50 come out; by their weights alone three have another digit."""
    cell = reported.cell(f"laina.table1.resnet50-{row}.parameters")
    with torch.device("meta"):
        network = build(f"laina-resnet50-{name}", **({"maps": maps} if maps else {}))
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    weights = count_parameters(network) / 1e6
    ours = checks.computed(cell.id)
    assert ours == pytest.approx(weights + 2 * sum(norm.num_features for norm in norms) / 1e6, rel=1e-9)
    assert f"{ours:.1f}" == cell.printed
    same = row.startswith(("fc160x128", "upproj"))
    assert (f"{weights:.1f}" == cell.printed) == same


def test_every_layer_stands_in_one_row_of_sizes() -> None:
    with torch.device("meta"):
        network = released()
    patterns = level_a._layers()
    kinds = (nn.Conv2d, nn.BatchNorm2d, nn.Dropout, encoders._Bottleneck, laina.FastUnpoolConv, laina.UpProj)
    names = [name for name, module in network.named_modules() if isinstance(module, kinds)]
    assert len(names) > 150
    for name in names:
        assert sum(re.fullmatch(pattern, name) is not None for pattern in patterns.values()) == 1, name
    rows = {line.id for line in reported.load("laina").tables["shapes"].rows}
    assert rows == {*patterns, "answer-345x460", "answer-480x640"}


@pytest.mark.parametrize(("height", "width"), [(345, 460), (480, 640)])
def test_the_rule_of_sixteen(height: int, width: int) -> None:
    rows, columns = (16 * -(-side // 32) for side in (height, width))
    assert checks.computed(f"laina.shapes.answer-{height}x{width}.size") == f"{rows}x{columns}x1"


def test_nothing_is_drawn_from_the_generator_of_the_reader() -> None:
    before = torch.get_rng_state()
    for table in TABLES:
        checks.registered()[f"laina.{table}"].function()
    assert torch.equal(torch.get_rng_state(), before)


# -- Broken networks are noticed -------------------------------------------------------------------------


def exchanged(forward: Callable) -> Callable:
    """B and C in each other's places."""

    def broken(self, x: torch.Tensor) -> torch.Tensor:
        right = forward(self, x)
        large = right.clone()
        large[..., 1::2, 0::2], large[..., 0::2, 1::2] = right[..., 0::2, 1::2], right[..., 1::2, 0::2]
        return large

    return broken


def before_the_map(forward: Callable) -> Callable:
    """Padded before, whatever was asked for."""

    def broken(self, x: torch.Tensor) -> torch.Tensor:
        self.padding = "before"
        return forward(self, x)

    return broken


def one_row_around(_: Callable) -> Callable:
    """Every side padded alike, as in torchvision."""
    return lambda self, x: functional.pad(x, (1, 1, 1, 1))


def shared(init: Callable) -> Callable:
    """One 5x5 convolution for both branches."""

    def broken(self, *args, **kwargs) -> None:
        init(self, *args, **kwargs)
        self.skip.up = self.main.up

    return broken


def later_stride(init: Callable) -> Callable:
    """The stride on the 3x3."""
    return lambda self, inputs, hidden, stride, caffe: init(self, inputs, hidden, stride=stride, caffe=False)


def without_bias(init: Callable) -> Callable:
    """No bias in the small convolutions."""

    def broken(self, *args, **kwargs) -> None:
        init(self, *args, **kwargs)
        for conv in self.phases.values():
            conv.register_parameter("bias", None)

    return broken


CELLS = {
    "exchanged": {
        "identities": {"after.result", "slices.result", "place-b.result", "place-c.result",
                       "shuffle-acbd.result", "shuffle-abcd.result"},
    },
    "before": {"identities": {"after.result", "slices.result"}},
    "pool": {"pooling": {"zeros.even", "ceil.even", "one.even"}},
    "shared": {"parameters": {"up2.parameters", "up16.parameters", "total.parameters"},
               "table1": {"resnet50-upproj-l2.parameters", "resnet50-upproj-berhu.parameters"}},
    "stride": {"receptive": {"resnet50.side"},
               "shapes": {"res3-narrow.size", "res4-narrow.size", "res5-narrow.size"},
               "cost": {"encoder.macs", "total-fast.macs"}},
    "bias": {"parameters": {"up2.parameters", "upconv-fast.parameters", "elements.parameters"}},
}  # fmt: skip
BREAKS = {
    "exchanged": (laina.FastUnpoolConv, "forward", exchanged),
    "before": (laina.FastUnpoolConv, "forward", before_the_map),
    "pool": (encoders.SamePad, "forward", one_row_around),
    "shared": (laina.UpProj, "__init__", shared),
    "stride": (encoders._Bottleneck, "__init__", later_stride),
    "bias": (laina.FastUnpoolConv, "__init__", without_bias),
}


@pytest.mark.parametrize(
    ("how", "table"), [(how, table) for how, tables in CELLS.items() for table in tables]
)
def test_a_broken_network_is_noticed(how: str, table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    explained = {name.removeprefix(f"laina.{table}.") for name in DIFFERENT}
    assert wrong(table) <= explained
    kind, method, breaking = BREAKS[how]
    monkeypatch.setattr(kind, method, breaking(getattr(kind, method)))
    assert CELLS[how][table] <= wrong(table)


@pytest.mark.parametrize(
    ("loss", "cell"),
    [
        (bugs.berhu_by_mean, "value-above.value"),
        (bugs.berhu_counted_twice, "scale.value"),
        (bugs.berhu_invalid_threshold, "mask.value"),
        (bugs.berhu_signed_threshold, "largest.value"),
        (partial(level_a.berhu_loss, share=0.5), "largest-share.value"),
    ],
)
def test_a_wrong_loss_is_noticed(loss: Callable, cell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not wrong("berhu")
    monkeypatch.setattr(level_a, "berhu_loss", loss)
    assert cell in wrong("berhu")


def test_a_gradient_through_the_threshold_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def attached(prediction: torch.Tensor, target: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        errors = (prediction - target)[valid].abs()
        c = 0.2 * errors.max()
        return torch.where(errors <= c, errors, (errors.square() + c.square()) / (2 * c)).mean()

    monkeypatch.setattr(level_a, "berhu_loss", attached)
    assert wrong("berhu") >= {"largest-slope.value", "zero-slope.value"}
    assert "largest.value" not in wrong("berhu")


def test_the_ledger_refuses_a_broken_network(forgetful: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(laina.FastUnpoolConv, "forward", exchanged(laina.FastUnpoolConv.forward))
    with pytest.raises(ValueError, match=r"laina\.identities\.after\.result: .* nobody explained"):
        ledger.rows(["laina"])
