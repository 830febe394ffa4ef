"""Released weights of Hu et al. 2019: names, shapes and kinds of the entries, made-up weights both ways."""

from collections.abc import Callable, Mapping
from functools import cache, partial
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from torch import nn

from mdepth.models.encoders import DenseNet, resnet18
from mdepth.models.encoders_drn import DRN, drn_d_22
from mdepth.models.encoders_senet import SENet
from mdepth.models.hu import ENCODERS, Hu
from mdepth.models.hu_masks import MaskPredictor
from mdepth.recipes import hu_weights
from mdepth.recipes.hu_weights import from_released, load_released, official
from mdepth.recipes.imagenet import load_imagenet
from mdepth.shapes import DataError

Network = Hu | MaskPredictor
DIGESTS = {
    "resnet50": (407, 245, "cc545589c9e3ad31"),
    "densenet161": (946, 568, "d0ae7fc184abd52c"),
    "senet154": (1127, 757, "140ad5c86f95e5e6"),
    "mask": (172, 104, "91bfc2fb28f71b19"),
}
"""Entries, those of them that are learnt, and the beginning of the hash of the sorted lines
"<name> <shape> <P or B>", parameter or buffer, of the networks that the released code builds.
"""
ENCODER = {
    "resnet50": partial(resnet18, width=8, form="torchvision"),
    "densenet161": partial(DenseNet, 16, (1, 2, 1, 1), 32, taken="before"),
    "senet154": partial(SENet, (1, 2, 1, 1), width=4, groups=4, reduction=4),
}


@cache
def on_meta(name: str) -> Network:
    """A network of the paper's size that computes nothing."""
    with torch.device("meta"):
        return MaskPredictor() if name == "mask" else Hu(ENCODERS[name])


def small(name: str) -> Network:
    """The same with hardly any channels."""
    if name == "mask":
        return MaskPredictor(partial(drn_d_22, width=2), (8, 4, 4))
    return Hu(ENCODER[name], (64, 96), (64, 96), fusion=2)


def made_up(network: Network) -> Network:
    """The network with weights and statistics that nobody would guess, and that let no map grow."""
    generator = torch.Generator().manual_seed(7)
    for value in network.state_dict().values():
        if value.ndim > 1:
            value.copy_(torch.randn(value.shape, generator=generator) / value[0].numel() ** 0.5)
        elif value.is_floating_point():
            value.copy_(0.5 + torch.rand(value.shape, generator=generator))
    return network.eval()


def equal(first: nn.Module, second: nn.Module) -> bool:
    ours, theirs = first.state_dict(), second.state_dict()
    return list(ours) == list(theirs) and all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.parametrize("name", DIGESTS)
def test_names_shapes_and_kinds_are_those_of_the_released_code(name: str) -> None:
    network = on_meta(name)
    learnt = {key for key, _ in network.named_parameters()}
    kinds = ["P" if key in learnt else "B" for key in network.state_dict() if "num_batches" not in key]
    lines = sorted(
        f"{key} {'x'.join(map(str, value.shape))} {kind}"
        for (key, value), kind in zip(official(network, prefix="").items(), kinds, strict=True)
    )
    digest = sha256("\n".join(lines).encode()).hexdigest()[:16]
    assert (len(lines), kinds.count("P"), digest) == DIGESTS[name]


KEYS = {
    "resnet50": {
        "E.conv1.weight": (64, 3, 7, 7), "E.layer1.0.downsample.0.weight": (256, 64, 1, 1),
        "D.up1.conv1.weight": (512, 1024, 5, 5), "D.up1.conv1_2.weight": (512, 512, 3, 3),
        "MFF.up4.conv1.weight": (16, 2048, 5, 5), "MFF.conv.weight": (64, 64, 5, 5),
        "R.conv2.weight": (1, 128, 5, 5), "R.conv2.bias": (1,),
    },
    "densenet161": {
        "E.features.denseblock1.denselayer2.norm.1.weight": (144,),
        "E.features.denseblock1.denselayer1.conv.2.weight": (48, 192, 3, 3),
        "E.features.transition1.norm.running_var": (384,), "E.features.norm5.bias": (2208,),
        "MFF.up1.conv2.weight": (16, 192, 5, 5), "R.conv0.weight": (133, 133, 5, 5),
    },
    "senet154": {
        "E.base.0.conv3.weight": (128, 64, 3, 3), "E.base.1.0.conv2.weight": (256, 2, 3, 3),
        "E.base.1.0.se_module.fc1.bias": (16,), "E.base.2.0.downsample.0.weight": (512, 256, 3, 3),
    },
    "mask": {
        "E.base.0.0.weight": (16, 3, 7, 7), "E.base.3.0.downsample.1.running_mean": (64,),
        "E.base.8.1.weight": (512,), "D.up1.conv1.weight": (256, 512, 5, 5), "D.conv.weight": (1, 64, 3, 3),
    },
}  # fmt: skip


@pytest.mark.parametrize("name", KEYS)
def test_some_entries_by_hand(name: str) -> None:
    state = official(on_meta(name))
    assert all(key.startswith("module.") for key in state)
    assert {key: tuple(state[f"module.{key}"].shape) for key in KEYS[name]} == KEYS[name]
    assert not [key for key in state if "num_batches" in key]


@pytest.mark.parametrize("prefix", ["module.", ""])
@pytest.mark.parametrize("name", DIGESTS)
def test_a_released_file_comes_back_whole(name: str, prefix: str, tmp_path: Path) -> None:
    first, second = made_up(small(name)), small(name).eval()
    torch.save(official(first, prefix), tmp_path / "model")
    assert load_released(second, tmp_path / "model").complete
    assert equal(first, second)
    image = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        assert first(image).isfinite().all()
        assert torch.equal(first(image), second(image))


def test_a_checkpoint_of_training_is_read_too(tmp_path: Path) -> None:
    first, second = made_up(small("resnet50")), small("resnet50")
    torch.save({"state_dict": official(first, prefix="")}, tmp_path / "checkpoint.pth.tar")
    assert load_released(second, tmp_path / "checkpoint.pth.tar").complete
    assert equal(first, second)


def test_counters_of_a_newer_file_are_taken() -> None:
    first, second = made_up(small("mask")), small("mask")
    state = official(first) | {"module.E.base.0.1.num_batches_tracked": torch.tensor(5)}
    assert load_released(second, state).complete
    assert second.get_buffer("encoder.layer0.1.num_batches_tracked") == 5


def test_an_entry_is_where_its_name_says() -> None:
    depth, mask = made_up(small("senet154")), made_up(small("mask"))
    state = official(depth)
    assert torch.equal(state["module.MFF.up3.bn1_2.bias"], depth.fusion.up3.bn1_2.bias)
    assert torch.equal(state["module.E.base.2.1.conv3.weight"], depth.encoder.layer2[1].conv3.weight)
    assert torch.equal(official(mask)["module.E.base.8.0.weight"], mask.encoder.layer8[0].weight)
    dense = made_up(small("densenet161"))
    layer = dense.encoder.features.denseblock2.denselayer2
    assert torch.equal(
        official(dense)["module.E.features.denseblock2.denselayer2.norm.2.bias"], layer.norm2.bias
    )


def test_what_is_left_over_or_missing_is_told_and_nothing_changes() -> None:
    network = made_up(small("resnet50"))
    before = {key: value.clone() for key, value in network.state_dict().items()}
    state = official(small("resnet50"))
    del state["module.D.up2.bn1.weight"]
    state |= {"module.E.fc.weight": torch.zeros(1000, 64), "module.R.conv2.bias": torch.zeros(2)}
    with pytest.raises(DataError, match=r"decoder\.up2\.bn1\.weight.*encoder\.fc\.weight.*refinement\.conv2"):
        load_released(network, state)
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    report = load_released(network, state, strict=False)
    assert (report.missing, report.unused) == (("decoder.up2.bn1.weight",), ("encoder.fc.weight",))
    assert report.wrong_shape == ("refinement.conv2.bias (2,) for (1,)",)


@pytest.mark.parametrize("name", DIGESTS)
def test_the_network_is_told_from_its_entries(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny: dict[str, Callable] = {key: lambda encoder: small(encoder) for key in ENCODERS}
    monkeypatch.setattr(hu_weights, "Hu", lambda encoder: small(encoder))
    monkeypatch.setattr(hu_weights, "ENCODERS", {key: key for key in tiny})
    monkeypatch.setattr(hu_weights, "MaskPredictor", lambda: small("mask"))
    first = made_up(small(name))
    assert equal(first, from_released(official(first)))


@pytest.mark.parametrize("entries", [[], ["E.conv1.weight"], ["MFF.conv.weight"]])
def test_what_is_no_released_network_is_refused(entries: list[str]) -> None:
    with pytest.raises(DataError, match="expected"):
        from_released(dict.fromkeys(entries, torch.zeros(1)))


# --- ImageNet's weights -----------------------------------------------------------------------------------


def file_of(encoder: nn.Module, classifier: str) -> Mapping[str, torch.Tensor]:
    """An encoder's state as old files have it: no counters, and a classifier."""
    state = {key: value for key, value in encoder.state_dict().items() if "num_batches" not in key}
    return state | {f"{classifier}.weight": torch.zeros(1000, 4), f"{classifier}.bias": torch.zeros(1000)}


@pytest.mark.parametrize(
    ("make", "classifier"),
    [(ENCODER["senet154"], "last_linear"), (partial(DRN, 2), "fc"), (ENCODER["densenet161"], "classifier")],
)
def test_encoders_take_imagenet_files(make: Callable[[], nn.Module], classifier: str) -> None:
    first, second = make(), make()
    assert load_imagenet(second, "any", file_of(first, classifier)).complete
    assert equal(first, second)


def test_there_is_no_file_to_download_for_senet() -> None:
    with pytest.raises(ValueError, match="no network called 'senet154'"):
        load_imagenet(ENCODER["senet154"](), "senet154")
