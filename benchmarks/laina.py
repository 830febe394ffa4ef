"""The fast up-convolution and up-projection of Laina et al. 2016 against the plain ones: every block, the
decoder and the whole network of the paper's size, forward and in training; and other ways to the same maps.

    python benchmarks/laina.py [--threads 1 2] [--write]

Goal: three times as fast as the plain form at batch 4, block and decoder, forward and in training; the floor
is 2.5 times forward and 2.1 times in training. "Forward" is in evaluation mode without gradients, "training"
is forward and backward in training mode, without an optimiser's step. ``fewer_products`` is how many times
fewer multiply-adds the fast form needs. Leaving out products cannot gain more, and in an up-projection that
is less than 4, since the 3x3 is the same in both forms. A GPU is measured too where there is one.

Rows of part ``way`` have another way in place of the fast form, or the fast form itself to compare with. They
are of the first block, which has the most weights, and where a way keeps the weights in an order of its own,
they were put so before the clock started:

- *one convolution*: the four kernels side by side as output channels, each filled up with zeros to 3x3, then
  pixel shuffle: 36 taps for 25;
- *transposed convolution* of 5x5 with stride 2, which every framework has;
- *uncut*: the four convolutions each with a zero on every side of the map, so that nothing is copied before
  them, and the row or column that is one too many left out after them. They make products that nobody needs,
  and maps that are not of the sizes of the released network: therefore it is not the library's way;
- *both branches at once*, for the up-projection: A, B, C and D of both branches as one convolution each.
"""

import argparse
import time
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from harness import best_seconds, report
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from mdepth.ledger import reported
from mdepth.models.laina import RESNET50, FastUnpoolConv, Laina, LainaSize, UnpoolConv, UpProj
from mdepth.models.laina_weights import to_fast

BATCHES = (1, 4)
SECONDS = 2.0  # what the turns of one row may take, within this number of turns
TURNS = (2, 20)


class OneConvolution(nn.Module):
    """Unpool and 5x5 as one 3x3 convolution with four times the channels, and pixel shuffle."""

    def __init__(self, plain: UnpoolConv) -> None:
        super().__init__()
        kernel = functional.pad(plain.conv.weight.detach(), (1, 0, 1, 0))
        phases = [kernel[..., 1 - row :: 2, 1 - column :: 2] for row in (0, 1) for column in (0, 1)]
        self.weight = nn.Parameter(torch.stack(phases, 1).flatten(0, 1))
        self.bias = nn.Parameter(plain.conv.get_parameter("bias").detach().repeat_interleave(4))

    def forward(self, x: Tensor) -> Tensor:
        return functional.pixel_shuffle(functional.conv2d(x, self.weight, self.bias, padding=1), 2)


class Transposed(nn.ConvTranspose2d):
    """Unpool and 5x5 as one transposed convolution: the kernel turned by half a circle."""

    def __init__(self, plain: UnpoolConv) -> None:
        channels = plain.conv.in_channels, plain.conv.out_channels
        super().__init__(*channels, 5, stride=2, padding=2, output_padding=1)
        turned = plain.conv.weight.flip(2, 3).transpose(0, 1)
        self.load_state_dict({"weight": turned, "bias": plain.conv.bias})


class Uncut(FastUnpoolConv):
    """The four convolutions on the map as it is, with a zero on every side, and their results cut."""

    def __init__(self, plain: UnpoolConv) -> None:
        super().__init__(plain.conv.in_channels, plain.conv.out_channels)
        self.load_state_dict(to_fast(plain).state_dict())

    def forward(self, x: Tensor) -> Tensor:
        batch, _, height, width = x.shape
        large = x.new_empty(batch, self.conv_a.out_channels, 2 * height, 2 * width)
        for (row, column), conv in self.phases.items():
            small = functional.conv2d(x, conv.weight, conv.bias, padding=1)
            large[..., row::2, column::2] = small[..., row:, column:]
        return large


class BothBranches(nn.Module):
    """An up-projection in which each of A, B, C and D is one convolution for both branches."""

    def __init__(self, plain: UpProj) -> None:
        super().__init__()
        fast = to_fast(plain)
        self.main, self.skip = fast.main[1:], fast.skip[1:]
        self.both = FastUnpoolConv(plain.main.up.conv.in_channels, 2 * plain.main.up.conv.out_channels)
        one, other = fast.main.up.state_dict(), fast.skip.up.state_dict()
        self.both.load_state_dict({name: torch.cat([one[name], other[name]]) for name in one})

    def forward(self, x: Tensor) -> Tensor:
        main, skip = self.both(x).chunk(2, 1)
        return torch.relu(self.main(main) + self.skip(skip))


@dataclass(frozen=True)
class Pair:
    """A plain module, another one that computes the same, and what one input of theirs is like."""

    part: str
    decoder: str
    case: str
    plain: nn.Module
    fast: nn.Module
    shape: tuple[int, int, int]
    """Channels, rows and columns."""


def pairs(size: LainaSize = RESNET50) -> Iterator[Pair]:
    """The four blocks, the decoder (from the 1x1 to the answer) and the network, for both kinds of blocks;
    and the other ways."""
    for decoder in ("upconv", "upproj"):
        plain = Laina(size, decoder=decoder).eval()
        fast = to_fast(plain)
        shapes = _shapes(plain, size.input_size)
        for name, block in plain.decoder.named_children():
            channels, height, width = shapes[name]
            other = fast.decoder.get_submodule(name)
            if name == "up2":
                yield from _ways(decoder, block, other, shapes[name])
            case = f"{channels} -> {channels // 2}, {height} x {width}"
            yield Pair("block", decoder, case, block, other, shapes[name])
        parts = [nn.Sequential(one.reduce, one.decoder, one.answer) for one in (plain, fast)]
        yield Pair("decoder", decoder, "1x1 to answer", *parts, shapes["decoder"])
        yield Pair("network", decoder, "image to metres", plain, fast, shapes["network"])


@torch.no_grad()
def _shapes(network: Laina, input_size: tuple[int, int]) -> dict[str, tuple[int, int, int]]:
    """Channels, rows and columns of what enters the network, its decoder and each block."""
    entering = {"network": torch.zeros(1, 3, *input_size)}
    entering["decoder"] = network.encoder(entering["network"])[-1]
    x = network.reduce(entering["decoder"])
    for name, block in network.decoder.named_children():
        entering[name] = x
        x = block(x)
    return {name: (maps.shape[1], maps.shape[2], maps.shape[3]) for name, maps in entering.items()}


def _ways(decoder: str, plain: nn.Module, fast: nn.Module, shape: tuple[int, int, int]) -> Iterator[Pair]:
    """Other ways to compute a block's 5x5 steps beside the library's own."""
    if decoder == "upproj":
        ways = {"two branches": fast, "both branches at once": BothBranches(plain)}
    else:
        plain, fast = plain.up, fast.up
        ways = {"four convolutions": fast, "one convolution": OneConvolution(plain),
                "transposed convolution": Transposed(plain), "uncut": Uncut(plain)}  # fmt: skip
    for case, other in ways.items():
        yield Pair("way", decoder, case, plain, other, shape)


def forward(module: nn.Module, x: Tensor) -> None:
    """One pass without gradients."""
    with torch.no_grad():
        module(x)
    _finished(x)


def training(module: nn.Module, x: Tensor) -> None:
    """One pass and the gradients of all weights and, where it wants one, of the input."""
    x.grad = None
    module.zero_grad()
    module(x).sum().backward()
    _finished(x)


def _finished(x: Tensor) -> None:
    """Wait for the GPU."""
    if x.is_cuda:
        torch.cuda.synchronize()


def measure(pair: Pair, batch: int, device: str) -> list[dict[str, Any]]:
    """Two rows, forward and training: best times in milliseconds, ratios, and how far the outputs lie apart
    as a share of the largest."""
    forms = {"plain": deepcopy(pair.plain).to(device), "fast": deepcopy(pair.fast).to(device)}
    x = torch.randn(batch, *pair.shape, device=device)
    products, outputs = [], []
    for module in forms.values():
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            outputs.append(module.eval()(x))
        products.append(counter.get_total_flops())
    apart = (outputs[0] - outputs[1]).abs().max() / outputs[0].abs().max()
    rows = []
    for work in (forward, training):
        x.requires_grad_(work is training and pair.part != "network")  # nobody wants that of an image
        calls = {
            f"{name}_ms": partial(work, module.train(work is training), x) for name, module in forms.items()
        }
        times = {name: 1e3 * seconds for name, seconds in in_turns(calls).items()}
        rows.append(
            {
                "part": pair.part, "decoder": pair.decoder, "case": pair.case, "mode": work.__name__,
                "batch": batch, "device": device, "threads": torch.get_num_threads(),
                **times, "speedup": times["plain_ms"] / times["fast_ms"],
                "fewer_products": products[0] / products[1], "largest_difference": apart.item(),
            }
        )  # fmt: skip
    return rows


def in_turns(calls: dict[str, Any]) -> dict[str, float]:
    """The shortest time of each, over as many turns as ``SECONDS`` hold but within ``TURNS``; the first turn,
    which finds nothing in memory, is not counted."""
    start = time.perf_counter()
    for call in calls.values():
        call()
    turns = int(SECONDS / (time.perf_counter() - start))
    return best_seconds(calls, repeats=min(max(turns, TURNS[0]), TURNS[1]))


def as_reported() -> list[dict[str, Any]]:
    """What the paper is quoted with: milliseconds of one image on its GPU, and the training time saved."""
    plain, fast, saved = (
        reported.cell(f"laina.{name}")
        for name in ("time.plain.value", "time.fast.value", "time-training.fast.saved")
    )
    network = {"part": "reported", "decoder": "upconv", "case": "image to metres"}
    return [
        network | {"mode": "forward", "batch": 1, "device": "GTX Titan", "plain_ms": plain.value,
                   "fast_ms": fast.value, "speedup": plain.value / fast.value, "origin": fast.origin},
        network | {"mode": "training", "device": "GTX Titan", "saved_percent": saved.value,
                   "speedup": 1 / (1 - saved.value / 100), "origin": saved.origin},
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    rows = []
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        rows += [row for pair in pairs() for batch in BATCHES for row in measure(pair, batch, "cpu")]
    if torch.cuda.is_available():
        rows += [row for pair in pairs() for batch in BATCHES for row in measure(pair, batch, "cuda")]
    report("laina", rows + as_reported(), arguments.write)


if __name__ == "__main__":
    main()
