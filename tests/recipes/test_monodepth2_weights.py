"""Released weights of Monodepth2: their names and shapes, and files of made-up weights both ways."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from torch import nn

from mdepth.models.encoders import resnet18
from mdepth.models.monodepth2 import KITTI_UNIT, RESNETS, DepthDecoder, Monodepth2
from mdepth.models.monodepth2_motion import PoseCNN, PoseNetwork, PoseResNet, SharedPose
from mdepth.recipes.monodepth2_weights import (
    from_released,
    load_released,
    load_released_pose,
    official,
    official_pose,
    released_names,
)
from mdepth.shapes import DataError

CLASSIFIER = {18: {"encoder.fc.weight": (1000, 512), "encoder.fc.bias": (1000,)},
              50: {"encoder.fc.weight": (1000, 2048), "encoder.fc.bias": (1000,)}}  # fmt: skip
DIGESTS = {
    "depth 18": (28, "a50954b603a7b6f1"),
    "depth 50": (28, "86785306810d219d"),
    "encoder 18": (122, "c182709ec927a416"),
    "encoder 50": (320, "dabac9092b756ab6"),
    "pose_encoder 18": (122, "4fb71fee8aa644db"),
    "pose 18": (8, "6e41c473cae8a249"),
    "posecnn": (16, "25f570ded45a34e8"),
    "predictive_mask 18": (28, "eef7cc7b4c77188d"),
}
"""Entries, and the beginning of the hash of their sorted lines "<name> <shape>", of the released networks."""


def shapes_of(state: Mapping[str, object]) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in state.items() if isinstance(value, torch.Tensor)}


def digest(shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, str]:
    lines = sorted(f"{name} {'x'.join(map(str, shape)) or 'scalar'}" for name, shape in shapes.items())
    return len(lines), sha256("\n".join(lines).encode()).hexdigest()[:16]


def released() -> dict[str, dict[str, tuple[int, ...]]]:
    """Names and shapes of what we would write, with the classifiers that we leave out."""
    found = {}
    with torch.device("meta"):
        for layers in (18, 50):
            files = official(Monodepth2(encoder=RESNETS[layers]))
            found[f"depth {layers}"] = shapes_of(files["depth.pth"])
            found[f"encoder {layers}"] = shapes_of(files["encoder.pth"]) | CLASSIFIER[layers]
        pose = official_pose(PoseResNet())
        found["pose 18"] = shapes_of(pose["pose.pth"])
        found["pose_encoder 18"] = shapes_of(pose["pose_encoder.pth"]) | CLASSIFIER[18]
        found["posecnn"] = shapes_of(official_pose(PoseCNN())["pose.pth"])
        mask = DepthDecoder((64, 64, 128, 256, 512), outputs=2)
        names = released_names(mask)
        found["predictive_mask 18"] = {names[k]: s for k, s in shapes_of(mask.state_dict()).items()}
    return found


def test_names_and_shapes_are_those_of_the_release() -> None:
    assert {name: digest(shapes) for name, shapes in released().items()} == DIGESTS


def made_up(network: nn.Module) -> nn.Module:
    """The network with weights and statistics that nobody would guess."""
    generator = torch.Generator().manual_seed(7)
    for value in network.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.rand(value.shape, generator=generator))
        else:
            value.fill_(3)
    return network


def write(files: Mapping[str, Mapping[str, object]], folder: Path, *, classifier: bool = True) -> Path:
    """The files as the released code writes them."""
    for name, state in files.items():
        fc = {"encoder.fc.weight": torch.zeros(1000, 512), "encoder.fc.bias": torch.zeros(1000)}
        torch.save(dict(state) | (fc if classifier and "encoder" in name else {}), folder / name)
    return folder


def equal(first: nn.Module, second: nn.Module) -> bool:
    ours, theirs = first.state_dict(), second.state_dict()
    return list(ours) == list(theirs) and all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.parametrize("stereo", [False, True])
def test_a_released_folder_comes_back_whole(tmp_path: Path, stereo: bool) -> None:
    first = made_up(Monodepth2((64, 96), unit=KITTI_UNIT if stereo else None))
    folder = write(official(first), tmp_path)
    assert torch.load(tmp_path / "encoder.pth", weights_only=True)["use_stereo"] is stereo
    second = from_released(folder)
    assert equal(first, second)
    assert (second.input_size, second.metric) == ((64, 96), stereo)
    image = torch.rand(1, 3, 64, 96)
    assert torch.equal(first.eval()(image), second.eval()(image))


@pytest.mark.parametrize("layers", [34, 50])
def test_the_encoder_is_told_from_its_entries(tmp_path: Path, layers: int) -> None:
    first = made_up(Monodepth2((64, 64), RESNETS[layers]))
    assert equal(first, from_released(write(official(first), tmp_path, classifier=False)))


@pytest.mark.parametrize("kind", ["separate", "shared", "cnn"])
def test_pose_networks_come_back_whole(tmp_path: Path, kind: str) -> None:
    make = {"separate": PoseResNet, "shared": SharedPose, "cnn": PoseCNN}[kind]
    first, second = made_up(make()), make()
    load_released_pose(second, write(official_pose(first), tmp_path))
    assert equal(first, second)
    assert sorted(path.name for path in tmp_path.iterdir()) == (
        ["pose.pth", "pose_encoder.pth"] if kind == "separate" else ["pose.pth"]
    )


def test_numbers_count_on_behind_nine() -> None:
    with torch.device("meta"):
        keys = list(official(Monodepth2())["depth.pth"])
    assert keys[-8:] == [f"decoder.{i}.conv.{k}" for i in (10, 11, 12, 13) for k in ("bias", "weight")]


def test_a_released_layer_is_where_its_number_says() -> None:
    """Layer 2 is the first of level 3, layer 9 the last of level 0, layer 10 the answer at full size."""
    network = Monodepth2((64, 64))
    files = official(network)["depth.pth"]
    before = network.decoder.before[3]
    assert torch.equal(files["decoder.2.conv.conv.weight"], before[0].weight)
    assert torch.equal(files["decoder.9.conv.conv.weight"], network.decoder.behind[0][0].weight)
    assert torch.equal(files["decoder.10.conv.weight"], network.decoder.answers["0"].weight)


def test_files_that_do_not_fit_are_refused_and_nothing_changes(tmp_path: Path) -> None:
    network = made_up(Monodepth2((64, 96)))
    before = {key: value.clone() for key, value in network.state_dict().items()}
    files = official(made_up(Monodepth2((64, 96))))
    del files["depth.pth"]["decoder.4.conv.conv.bias"]
    files["depth.pth"]["decoder.14.conv.bias"] = torch.zeros(1)
    with pytest.raises(DataError, match=r"decoder\.before\.2\.0\.bias"):
        load_released(network, write(files, tmp_path))
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    (tmp_path / "depth.pth").unlink()
    with pytest.raises(DataError, match=r"depth\.pth"):
        load_released(network, tmp_path)


def test_what_is_no_released_encoder_is_refused(tmp_path: Path) -> None:
    pose: PoseNetwork = PoseResNet()
    torch.save(official_pose(pose)["pose_encoder.pth"], tmp_path / "encoder.pth")
    with pytest.raises(DataError, match="ResNet-18, 34 or 50"):
        from_released(tmp_path)
    with pytest.raises(ValueError, match="not of ResNet"):
        released_names(resnet18(form="torchvision"))
