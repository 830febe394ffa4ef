"""The U-Net behind ResNet-34 beside that of a common library for segmentation, with the same encoder, decoder
and weights: inference and training step.

    python benchmarks/transfer.py [--threads 1 2] [--write]

Goal: at least as fast (ratio 1.0), with the same numbers. Needs the package segmentation-models-pytorch,
which is no dependency of the project: put it into an environment of its own. "Forward" is in evaluation mode
without gradients, "training" is forward and backward in training mode, without an optimiser's step. Images
have 256 x 320 pixels, since that library takes multiples of 32 only.
"""

import argparse
import itertools
from functools import partial
from typing import Any

import torch
from harness import best_seconds, report
from torch import Tensor, nn

from mdepth.models import build, count_parameters
from mdepth.models.transfer import ResNetUNet

SIZE = (256, 320)
BATCHES = (1, 4)
TURNS = 12


def other(ours: ResNetUNet) -> nn.Module:
    """The library's network with our weights in it, layer by layer in the order of the forward pass.

    Raises:
        SystemExit: the library is not there.
    """
    try:
        import segmentation_models_pytorch as library
    except ImportError:
        raise SystemExit(
            "segmentation-models-pytorch is not installed; see the first lines of this file"
        ) from None
    theirs = library.Unet("resnet34", encoder_weights=None, activation="sigmoid")
    return with_weights_of(ours, theirs)


def with_weights_of(ours: nn.Module, theirs: nn.Module) -> nn.Module:
    """``theirs``, with every parameter and statistic of ``ours``: by name in the encoder, whose names are
    torchvision's in both, and in the order of use behind it.

    Raises:
        ValueError: they do not have the same shapes.
    """
    own, state = ours.state_dict(), theirs.state_dict()
    pairs = [(key, key) for key in state if key.startswith("encoder.")]
    rest = ([key for key in each if not key.startswith("encoder.")] for each in (state, own))
    pairs += itertools.zip_longest(*rest, fillvalue="nothing")
    for name, key in pairs:
        if name not in state or key not in own or state[name].shape != own[key].shape:
            raise ValueError(f"{name} of the other network is not {key} of ours")
        state[name].copy_(own[key])
    if {key for _, key in pairs} != set(own):
        raise ValueError("something of ours has no place in the other network")
    return theirs


def measure(
    ours: nn.Module, theirs: nn.Module, batch: int, size: tuple[int, int] = SIZE
) -> list[dict[str, Any]]:
    """Rows of one batch size: times of both, and by how much their answers differ."""
    x = torch.rand(batch, 3, *size, generator=torch.Generator().manual_seed(0))
    networks = {"ours": ours, "theirs": theirs}

    def forward(network: nn.Module) -> Tensor:
        with torch.no_grad():
            return network(x)

    def training(network: nn.Module) -> None:
        network.zero_grad(set_to_none=True)
        network(x).mean().backward()

    for network in networks.values():
        network.eval()
    apart = (forward(ours) - forward(theirs)).abs().max().item()
    rows = []
    for work, train in ((forward, False), (training, True)):
        calls = {name: partial(work, network.train(train)) for name, network in networks.items()}
        for call in calls.values():
            call()  # the first turn finds nothing in memory
        best = best_seconds(calls, repeats=TURNS)
        times = {f"{name}_ms": 1000 * seconds for name, seconds in best.items()}
        rows.append({
            "mode": work.__name__, "batch": batch, "threads": torch.get_num_threads(), **times,
            "speedup": times["theirs_ms"] / times["ours_ms"], "parameters": count_parameters(ours),
            "largest_difference": apart,
        })  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    ours = build("transfer-resnet34")
    assert isinstance(ours, ResNetUNet)
    theirs, rows = other(ours), []
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        rows += [row for batch in BATCHES for row in measure(ours, theirs, batch)]
    report("transfer", rows, arguments.write)


if __name__ == "__main__":
    main()
