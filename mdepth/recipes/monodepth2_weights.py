r"""The released weights of Monodepth2 under their own names, both ways.

A trained model is a folder: ``encoder.pth`` and ``depth.pth`` for depth, and from video ``pose_encoder.pth``
and ``pose.pth`` (the latter alone where the pose network is a ``PoseCNN`` or shares the depth encoder), each
a flat state dictionary. That of the encoder also says for which ``height`` and ``width`` it was trained, and
whether with stereo. The decoder's layers are numbered: two for each level, from the coarsest, then the
answers, from the largest. ResNets carry a classifier that no image passes: it is left out on the way in, and
is not made up on the way out.

Source: names and shapes of the released entries (facts, no code).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mdepth import weights
from mdepth.models.monodepth2 import KITTI_UNIT, RESNETS, DepthDecoder, Monodepth2
from mdepth.models.monodepth2_motion import PoseCNN, PoseDecoder, PoseNetwork, PoseResNet
from mdepth.shapes import DataError, Tensor

__all__ = [
    "from_released",
    "load_released",
    "load_released_pose",
    "official",
    "official_pose",
    "released_names",
]

CLASSIFIER = ("encoder.fc.weight", "encoder.fc.bias")
LEVELS = 5
LAYERS = {(2, False): 18, (3, False): 34, (3, True): 50}
"""Blocks of the first stage, and whether they are bottlenecks -> layers of the ResNet."""


def released_names(part: nn.Module) -> dict[str, str]:
    """Our name of every entry of a decoder, or of a ``PoseCNN`` -> the released one.

    Raises:
        ValueError: the part is none of these.

    Example:
        >>> names = released_names(DepthDecoder((64, 64, 128, 256, 512)))
        >>> names["before.4.0.weight"], names["answers.3.bias"]
        ('decoder.0.conv.conv.weight', 'decoder.13.conv.bias')
    """
    layers: dict[str, str]
    if isinstance(part, DepthDecoder):
        steps = {
            f"{step}.{level}.0": f"decoder.{2 * (LEVELS - 1 - level) + second}.conv.conv"
            for level in range(LEVELS)
            for second, step in enumerate(("before", "behind"))
        }
        first = 2 * LEVELS
        answers = sorted(int(scale) for scale in part.answers)
        layers = steps | {f"answers.{scale}": f"decoder.{first + i}.conv" for i, scale in enumerate(answers)}
    elif isinstance(part, PoseDecoder):
        layers = {name: f"net.{i}" for i, name in enumerate(("squeeze", "conv1", "conv2", "answer"))}
    elif isinstance(part, PoseCNN):
        layers = {f"layers.{i}": f"net.{i}" for i in range(len(part.layers))} | {"answer": "pose_conv"}
    else:
        raise ValueError(f"released names are known of decoders and PoseCNN, not of {type(part).__name__}")
    return {
        f"{ours}.{kind}": f"{theirs}.{kind}" for ours, theirs in layers.items() for kind in ("weight", "bias")
    }


def from_released(folder: Path | str) -> Monodepth2:
    """The depth network of a released folder: its ResNet, its input size and, learnt with stereo, its unit.

    Raises:
        DataError: ``encoder.pth`` or ``depth.pth`` is missing or is not one of a ResNet-18, 34 or 50.
    """
    path = Path(folder).expanduser() / "encoder.pth"
    state = weights.read(path)
    stage = {key.split(".")[2] for key in state if key.startswith("encoder.layer1.")}
    kind = len(stage), "encoder.layer1.0.conv3.weight" in state
    if kind not in LAYERS or state["encoder.conv1.weight"].shape[1] != 3:
        raise DataError(f"{path}: expected the encoder of a ResNet-18, 34 or 50 with the released names")
    extra = _extra(path)
    network = Monodepth2(
        (int(extra.get("height", 192)), int(extra.get("width", 640))),
        RESNETS[LAYERS[kind]],
        unit=KITTI_UNIT if extra.get("use_stereo") else None,
    )
    load_released(network, folder)
    return network


def load_released(network: Monodepth2, folder: Path | str) -> None:
    """Put ``encoder.pth`` and ``depth.pth`` of a folder into a depth network.

    Raises:
        DataError: a file is missing or damaged, or an entry is missing, left over or of another shape. The
            network is unchanged then.
    """
    files = {name: weights.read(Path(folder).expanduser() / name) for name in ("encoder.pth", "depth.pth")}
    weights.load(network, _ours_encoder(files["encoder.pth"]) | _ours(network.decoder, files["depth.pth"]))


def load_released_pose(pose: PoseNetwork, folder: Path | str) -> None:
    """Put ``pose.pth`` and, of a ``PoseResNet``, ``pose_encoder.pth`` into a pose network.

    Raises:
        DataError: as for :func:`load_released`.
    """
    place = Path(folder).expanduser()
    if isinstance(pose, PoseCNN):
        weights.load(pose, _ours(pose, weights.read(place / "pose.pth"), prefix=""))
        return
    state = _ours(pose.get_submodule("decoder"), weights.read(place / "pose.pth"))
    if isinstance(pose, PoseResNet):
        state |= _ours_encoder(weights.read(place / "pose_encoder.pth"))
    weights.load(pose, state)


def official(network: Monodepth2) -> dict[str, dict[str, Any]]:
    """The released files of a depth network, by name; ``torch.save`` writes each.

    Example:
        >>> files = official(Monodepth2((64, 96)))
        >>> files["encoder.pth"]["height"], files["depth.pth"]["decoder.13.conv.bias"].shape
        (64, torch.Size([1]))
    """
    height, width = network.input_size
    extra = {"height": height, "width": width, "use_stereo": network.metric}
    encoder = {f"encoder.{key}": value for key, value in network.encoder.state_dict().items()}
    return {"encoder.pth": encoder | extra, "depth.pth": _theirs(network.decoder)}


def official_pose(pose: PoseNetwork) -> dict[str, dict[str, Tensor]]:
    """The released files of a pose network, by name.

    Example:
        >>> sorted(official_pose(PoseResNet()))
        ['pose.pth', 'pose_encoder.pth']
    """
    if isinstance(pose, PoseCNN):
        return {"pose.pth": _theirs(pose)}
    files = {"pose.pth": _theirs(pose.get_submodule("decoder"))}
    if isinstance(pose, PoseResNet):
        encoder = pose.encoder.state_dict()
        files["pose_encoder.pth"] = {f"encoder.{key}": value for key, value in encoder.items()}
    return files


def _theirs(part: nn.Module) -> dict[str, Tensor]:
    """A part's state under the released names, in the order of their numbers."""
    state, names = part.state_dict(), released_names(part)
    ours = {theirs: name for name, theirs in names.items()}
    return {theirs: state[ours[theirs]] for theirs in sorted(ours, key=_numbered)}


def _numbered(name: str) -> list[tuple[int, str]]:
    """A key that sorts ``net.10`` behind ``net.9``."""
    return [(int(word), "") if word.isdigit() else (0, word) for word in name.split(".")]


def _ours(part: nn.Module, state: Mapping[str, Tensor], prefix: str = "decoder.") -> dict[str, Tensor]:
    """Released entries under our names; what has none keeps its own, and is refused when it is loaded."""
    known = {theirs: f"{prefix}{name}" for name, theirs in released_names(part).items()}
    return {known.get(key, f"released {key}"): value for key, value in state.items()}


def _ours_encoder(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Released entries of a ResNet without the classifier; the names are the same here and there."""
    return {key: value for key, value in state.items() if key not in CLASSIFIER}


def _extra(path: Path) -> dict[str, Any]:
    """What a released encoder says of itself."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    return {key: value for key, value in state.items() if not isinstance(value, Tensor)}
