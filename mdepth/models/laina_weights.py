"""Weights of Laina et al. 2016 in other forms: plain blocks as fast ones and back, and the released
TensorFlow weights (ResNet-50, fast up-projection, NYU).

The released network has 394 arrays named ``<layer>/<parameter>``, for example ``layer2x_br1_ConvA/weights``.
``tf_names`` says which of them belongs to which of our parameters, ``load_tf`` puts them there: every array
once, none guessed, none left over. A convolution's kernel lies there as (rows, columns, inputs, outputs),
here as (outputs, inputs, rows, columns); everything else is copied as it is.

Three things of the released network are not in its arrays and come from its code and its authors: its small
convolutions are padded **before** the map, the epsilon of its batch norms is **1e-4**, and it sees RGB of
0 ... 255 as it is. ``released`` builds a network with the first two; the third is ``RESNET50``'s own.

Source: names and shapes of the released variables (facts, no code).
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import nn

from mdepth.models.laina import RESNET50, FastUnpoolConv, Laina, LainaSize, UnpoolConv
from mdepth.shapes import DataError, Tensor

__all__ = ["EPSILON", "load_tf", "released", "tf_names", "to_fast", "to_plain"]

EPSILON = 1e-4
CONV = {"weight": "weights", "bias": "biases"}
NORM = {"weight": "scale", "bias": "offset", "running_mean": "mean", "running_var": "variance"}
BOTTLENECK = {
    "conv1": "res{}_branch2a", "bn1": "bn{}_branch2a", "conv2": "res{}_branch2b", "bn2": "bn{}_branch2b",
    "conv3": "res{}_branch2c", "bn3": "bn{}_branch2c",
    "downsample.0": "res{}_branch1", "downsample.1": "bn{}_branch1",
}  # fmt: skip
UP = {
    "main.up.conv_a": "br1_ConvA", "main.up.conv_b": "br1_ConvB", "main.up.conv_c": "br1_ConvC",
    "main.up.conv_d": "br1_ConvD", "main.bn1": "br1_BN", "main.conv": "Conv", "main.bn2": "BN",
    "skip.up.conv_a": "br2_ConvA", "skip.up.conv_b": "br2_ConvB", "skip.up.conv_c": "br2_ConvC",
    "skip.up.conv_d": "br2_ConvD", "skip.bn": "br2_BN",
}  # fmt: skip
ENDS = {
    "encoder.conv1": "conv1", "encoder.bn1": "bn_conv1", "reduce.conv": "layer1", "reduce.bn": "layer1_BN",
    "answer.conv": "ConvPred",
}  # fmt: skip


def to_fast(network: nn.Module) -> nn.Module:
    """A copy in which every ``UnpoolConv`` is a ``FastUnpoolConv``: (a) becomes (b), (c) becomes (d).

    Each kernel is cut into its four parts and its bias is copied four times: outputs and gradients are equal
    up to rounding, as long as the four biases are. The copy has parameters of its own, in the type, on the
    device and in the mode of the original.

    Example:
        >>> from mdepth.models.laina import UpConv
        >>> x, block = torch.rand(1, 4, 3, 5), UpConv(4, 2)
        >>> torch.allclose(to_fast(block)(x), block(x), atol=1e-5)
        True
    """
    return _replaced(deepcopy(network), UnpoolConv, _fast_from)


def to_plain(network: nn.Module) -> nn.Module:
    """A copy in which every ``FastUnpoolConv`` is an ``UnpoolConv``, the inverse of ``to_fast``.

    Raises:
        ValueError: the four biases of a layer differ, as they do once a fast form was trained, or its padding
            is ``before``: no 5x5 convolution is the same function then.

    Example:
        >>> from mdepth.models.laina import UpConv
        >>> x, block = torch.rand(1, 4, 3, 5), UpConv(4, 2)
        >>> torch.equal(to_plain(to_fast(block))(x), block(x))
        True
    """
    return _replaced(deepcopy(network), FastUnpoolConv, _plain_from)


def released(size: LainaSize = RESNET50) -> Laina:
    """A network like the released one, with random weights: fast up-projection, padding before, its epsilon.

    Example:
        >>> with torch.device("meta"):
        ...     network = released()
        >>> network.encoder.bn1.eps, network.decoder.up2.main.up.padding
        (0.0001, 'before')
    """
    network = Laina(size, decoder="upproj", fast=True, padding="before")
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = EPSILON
    return network


def tf_names(network: Laina) -> dict[str, str]:
    """The released name of every parameter and running statistic of a fast up-projection network.

    Raises:
        ValueError: the network has a layer that the released one does not have.

    Example:
        >>> with torch.device("meta"):
        ...     names = tf_names(released())
        >>> len(names), names["decoder.up2.main.up.conv_a.weight"], names["encoder.layer1.0.bn1.running_var"]
        (394, 'layer2x_br1_ConvA/weights', 'bn2a_branch2a/variance')
    """
    layers = _layers()
    names = {}
    for key in network.state_dict():
        layer, parameter = key.rsplit(".", 1)
        if parameter == "num_batches_tracked":  # counts training steps; the released file has no such array
            continue
        if layer not in layers:
            raise ValueError(f"{layer}: the released network has no such layer; pass what released() returns")
        kind = NORM if isinstance(network.get_submodule(layer), nn.BatchNorm2d) else CONV
        names[key] = f"{layers[layer]}/{kind[parameter]}"
    return names


def load_tf(network: Laina, arrays: Mapping[str, Any]) -> Laina:
    """Put the released arrays into a network that ``released`` built.

    Args:
        network: changed in place, and returned.
        arrays: ``<layer>/<parameter>`` to an array or tensor, for example ``numpy.load("weights.npz")``. The
            release itself is a TensorFlow checkpoint and a pickled dictionary of dictionaries; neither is
            opened here, since a pickle may run code.

    Raises:
        ValueError: a network that the released arrays do not describe.
        DataError: an array is missing, left over or of another shape; the message names it. The network is
            unchanged then.
    """
    names = tf_names(network)
    missing, unused = names.values() - arrays.keys(), arrays.keys() - names.values()
    if missing or unused:
        raise DataError(
            f"released weights: expected {len(names)} arrays, missing: {_some(missing)}, not known: "
            f"{_some(unused)}; give all variables of the released network and no others"
        )
    own = network.state_dict()
    state = {key: _ours(arrays[name]) for key, name in names.items()}
    wrong = {names[key] for key, value in state.items() if value.shape != own[key].shape}
    if wrong:
        raise DataError(f"released weights: {_some(wrong)} of another shape than the network's layer")
    network.load_state_dict(state, strict=False)
    return network


def _replaced(module: nn.Module, kind: type, change: Callable[..., nn.Module]) -> nn.Module:
    """The module, changed where it is of one kind; else itself with its parts replaced in the same way."""
    if isinstance(module, kind):
        return change(module).train(module.training)
    for name, part in module.named_children():
        setattr(module, name, _replaced(part, kind, change))
    return module


def _fast_from(plain: UnpoolConv) -> FastUnpoolConv:
    """Cut the 5x5 kernel by the parity of its rows and columns."""
    weight, bias = plain.conv.weight, plain.conv.bias
    fast = FastUnpoolConv(plain.conv.in_channels, plain.conv.out_channels).to(weight)
    for (row, column), conv in fast.phases.items():
        conv.load_state_dict({"weight": weight[..., row::2, column::2], "bias": bias})
    return fast.requires_grad_(weight.requires_grad)


def _plain_from(fast: FastUnpoolConv) -> UnpoolConv:
    """Put the four kernels back where they were cut from."""
    weight, bias = fast.conv_a.weight, fast.conv_a.get_parameter("bias")
    if fast.padding == "before":
        raise ValueError(
            "padding='before' is no 5x5 convolution of the unpooled map; only 'after' can be made plain"
        )
    if not all(torch.equal(bias, conv.get_parameter("bias")) for conv in fast.phases.values()):
        raise ValueError(
            "the four biases of a fast layer differ, and a 5x5 convolution has one; keep it fast"
        )
    kernel = weight.new_empty(*weight.shape[:2], 5, 5)
    for (row, column), conv in fast.phases.items():
        kernel[..., row::2, column::2] = conv.weight.detach()
    plain = UnpoolConv(weight.shape[1], weight.shape[0]).to(weight)
    plain.conv.load_state_dict({"weight": kernel, "bias": bias})
    return plain.requires_grad_(weight.requires_grad)


def _layers() -> dict[str, str]:
    """Our layers with their released names. Stages 1 to 4 are 2 to 5 there, blocks are a, b, c ..."""
    layers = dict(ENDS)
    for stage, blocks in enumerate((3, 4, 6, 3), 1):
        for block, letter in enumerate("abcdef"[:blocks]):
            for ours, theirs in BOTTLENECK.items():
                layers[f"encoder.layer{stage}.{block}.{ours}"] = theirs.format(f"{stage + 1}{letter}")
    for factor in (2, 4, 8, 16):
        for ours, theirs in UP.items():
            layers[f"decoder.up{factor}.{ours}"] = f"layer{factor}x_{theirs}"
    return layers


def _ours(array: Any) -> Tensor:
    """An array as a tensor, a kernel with outputs and inputs in front."""
    tensor = torch.as_tensor(array)
    return tensor.permute(3, 2, 0, 1) if tensor.ndim == 4 else tensor


def _some(names: set[str]) -> str:
    """How many, and the first few by name."""
    listed = sorted(names)
    return (
        f"{len(listed)} ({', '.join(listed[:3])}{', ...' if len(listed) > 3 else ''})" if listed else "none"
    )
