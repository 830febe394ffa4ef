"""The networks of the course project and of DenseDepth against every known size, name and count."""

from functools import partial
from hashlib import sha256

import pytest
import torch
from torch import nn

from mdepth.models import build, count_parameters, layer_sizes
from mdepth.models.encoders import DenseNet, densenet169, resnet18, resnet34
from mdepth.models.transfer import DenseDepth, ResNetUNet, UNet
from mdepth.models.transfer_unpadded import UNet2015, UNet2015Depth, crop_to
from mdepth.recipes.imagenet import load_imagenet
from mdepth.recipes.transfer_weights import load_released, official
from mdepth.shapes import DataError

SMALL = partial(DenseNet, 8, (1, 2, 1, 1), 16)
"""An encoder with hardly any channels."""


def on_meta(name: str, **kwargs) -> nn.Module:
    """A network of the paper's size that computes nothing."""
    with torch.device("meta"):
        return build(name, **kwargs)


# -- Counts ----------------------------------------------------------------------------------------------


def test_parameters() -> None:
    with torch.device("meta"):
        assert count_parameters(UNet2015(1, 2)) == 31_030_658
        assert count_parameters(UNet2015(3, 1)) == 31_031_745
    assert count_parameters(on_meta("unet")) == 8_634_593
    assert count_parameters(on_meta("densedepth")) == 42_657_689
    assert count_parameters(on_meta("densedepth-half")) == 21_365_405
    transfer = on_meta("transfer-resnet34")
    assert count_parameters(transfer.encoder) == 21_284_672
    # a common segmentation library's U-Net with this encoder and decoder
    assert count_parameters(transfer) == 24_436_369


PARTS = {
    "conv2": 2_770_560, "up1.convA": 14_377_792, "up1.convB": 6_230_848, "up2.convA": 3_594_656,
    "up2.convB": 1_557_920, "up3.convA": 898_768, "up3.convB": 389_584, "up4.convA": 254_696,
    "up4.convB": 97_448, "conv3": 937,
}  # fmt: skip


def test_parameters_of_every_part_of_densedepth() -> None:
    network = on_meta("densedepth")
    assert count_parameters(network.encoder) == 12_484_480
    assert {name: count_parameters(network.decoder.get_submodule(name)) for name in PARTS} == PARTS
    assert sum(PARTS.values()) == count_parameters(network.decoder) == 30_173_209
    assert count_parameters(on_meta("densedepth-half").decoder) == 8_880_925


# -- Sizes -----------------------------------------------------------------------------------------------


def test_sizes_of_densedepth() -> None:
    network = on_meta("densedepth")
    rows = {layer.name: (*layer.size, layer.channels) for layer in layer_sizes(network)}
    with torch.device("meta"):
        maps = network.encoder(torch.zeros(1, 3, 480, 640))
    assert [tuple(each.shape[1:]) for each in maps] == [
        (64, 240, 320), (64, 120, 160), (128, 60, 80), (256, 30, 40), (1664, 15, 20),
    ]  # fmt: skip
    blocks = {1: (30, 40, 832), 2: (60, 80, 416), 3: (120, 160, 208), 4: (240, 320, 104)}
    for number, size in blocks.items():
        assert rows[f"decoder.up{number}.convA"] == rows[f"decoder.up{number}.convB"] == size
    assert rows["decoder.conv2"] == (15, 20, 1664)
    assert rows["decoder.conv3"] == (240, 320, 1)
    inputs = [network.decoder.get_submodule(f"up{n}").convA.in_channels for n in blocks]
    assert inputs == [1920, 960, 480, 272]
    with torch.device("meta"):
        assert network(torch.zeros(1, 3, 384, 1248)).shape[2:] == (192, 624)


def test_skips_are_those_of_densedepth_and_not_the_wider_ones() -> None:
    with torch.device("meta"):
        assert densenet169().channels == (64, 64, 128, 256, 1664)


def test_the_encoder_says_what_comes_out_of_it() -> None:
    for encoder in (SMALL(), DenseNet(3, (2, 1, 2, 2), 6), resnet34(width=4)):
        maps = encoder(torch.rand(1, 3, 64, 96))
        assert tuple(each.shape[1] for each in maps) == encoder.channels
        assert tuple(64 // each.shape[2] for each in maps) == encoder.strides


@pytest.mark.parametrize(("side", "left"), [(188, 4), (204, 20), (572, 388)])
def test_sizes_of_the_unpadded_network(side: int, left: int) -> None:
    with torch.device("meta"):
        assert UNet2015()(torch.zeros(1, 3, side, side)).shape == (1, 1, left, left)


def test_every_size_of_the_unpadded_network() -> None:
    sides = {layer.name: layer.size[0] for layer in layer_sizes(on_meta("unet-2015"))}
    down = [sides[f"unet.down.{block}.conv{conv}"] for block in range(4) for conv in (1, 2)]
    up = [sides[f"unet.up.{block}.conv{conv}"] for block in range(4) for conv in (1, 2)]
    assert down == [570, 568, 282, 280, 138, 136, 66, 64]
    assert [sides["unet.bottom.conv1"], sides["unet.bottom.conv2"]] == [30, 28]
    assert [sides[f"unet.enlarge.{block}"] for block in range(4)] == [56, 104, 200, 392]
    assert up == [54, 52, 102, 100, 198, 196, 390, 388]
    with torch.device("meta"):
        convolutions = [m for m in UNet2015().modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    assert len(convolutions) == 23


@pytest.mark.parametrize(("side", "fits"), [(240, 236), (320, 316), (480, 476), (640, 636), (100, 188)])
def test_usual_sizes_do_not_pass_the_unpadded_network(side: int, fits: int) -> None:
    with torch.device("meta"):
        network = UNet2015()
        with pytest.raises(ValueError, match=f"got {side}; {fits} would do"):
            network(torch.zeros(1, 3, side, side))
        assert network(torch.zeros(1, 3, fits, fits)).shape[2] == fits - 184


def test_the_unpadded_network_would_fail_at_the_joint_without_the_check() -> None:
    """240 rows leave 236, a pool 118, 114, 57: an odd side loses a row, and nothing lies where it lay."""
    side, passes = 240, True
    for _ in range(4):
        side -= 4
        passes, side = passes and side % 2 == 0, side // 2
    assert not passes


def test_the_resnet_rounds_up_and_its_decoder_follows() -> None:
    with torch.device("meta"):
        network = build("transfer-resnet34")
        rows = [each.shape[2] for each in network.encoder(torch.zeros(1, 3, 240, 320))]
        assert rows == [120, 60, 30, 15, 8]
        for size in ((240, 320), (256, 320), (97, 131), (480, 640)):
            assert network(torch.zeros(1, 3, *size)).shape[2:] == size


def test_the_unet_has_the_size_of_its_input() -> None:
    network = UNet(widths=(2, 2, 2, 2, 4))
    for size in ((240, 320), (97, 131)):
        assert network(torch.zeros(1, 3, *size)).shape[2:] == size
    assert {layer.name: layer.size for layer in layer_sizes(network)}["bottom.0"] == (15, 20)


# -- What the layers are ---------------------------------------------------------------------------------


def test_the_unet_activates_before_it_normalises() -> None:
    kinds = [type(layer).__name__ for layer in build("unet-rooms").down[0]]
    assert kinds == ["Conv2d", "LeakyReLU", "BatchNorm2d"] * 2
    assert [type(layer).__name__ for layer in build("unet-rooms").bottom] == ["Conv2d", "LeakyReLU"] * 2
    assert {layer.negative_slope for layer in build("unet").modules() if isinstance(layer, nn.LeakyReLU)} == {
        0.2
    }


def test_two_convolutions_without_an_activation_between_are_linear() -> None:
    torch.manual_seed(0)
    for between, linear in ((False, True), (True, False)):
        block = DenseDepth(SMALL, between=between, input_size=(64, 96)).decoder.up1.double()
        both = nn.Sequential(*list(block)[:-1])
        x, y = torch.randn(2, 1, both[0].in_channels, 8, 8, dtype=torch.float64)
        zero = both(torch.zeros_like(x))
        assert torch.allclose(both(x + y) - zero, both(x) + both(y) - 2 * zero) is linear


def test_corners_lie_on_corners_in_densedepth() -> None:
    """The decoder enlarges two columns to four so that both keep their values at the ends."""
    network = DenseDepth(SMALL, width=16, input_size=(32, 64)).eval()
    small, large = [], []
    network.decoder.conv2.register_forward_hook(lambda _m, _i, output: small.append(output))
    network.decoder.up1.register_forward_pre_hook(lambda _m, inputs: large.append(inputs[0][:, :16]))
    with torch.no_grad():
        network(torch.rand(1, 3, 32, 64))
    (before,), (after,) = small, large
    assert (before.shape[3], after.shape[3]) == (2, 4)
    ends = before[..., 0], before[..., 1]
    expected = [ends[0] + share * (ends[1] - ends[0]) for share in (0, 1 / 3, 2 / 3, 1)]
    torch.testing.assert_close(after[:, :, 0], torch.stack(expected, -1)[:, :, 0])


@pytest.mark.parametrize("name", ["unet-rooms", "transfer-resnet18-rooms"])
def test_a_sigmoid_is_a_share_of_the_farthest_depth(name: str) -> None:
    torch.manual_seed(0)
    network = build(name, mean_depth=3.0)
    with torch.no_grad():
        answer = network(torch.randn(8, 3, 96, 128))
    assert answer.shape == (8, 1, 96, 128)
    assert 0 < answer.min() < answer.max() < 1
    assert network.to_depth(answer).mean().item() == pytest.approx(3.0, rel=0.2)
    with pytest.raises(ValueError, match=r"between 0 and the farthest depth, got a share of 1\.2"):
        build(name, mean_depth=12.0)


def test_the_reciprocal_of_densedepth() -> None:
    network = build("densedepth-rooms", mean_depth=2.0)
    y = torch.tensor([100.0, 10.0, 1.0, 0.3, -5.0])
    assert network.to_depth(y).tolist() == pytest.approx([0.1, 1.0, 10.0, 10.0, 10.0])
    assert network(torch.rand(1, 3, 96, 128)).shape == (1, 1, 48, 64)
    with pytest.raises(ValueError, match="multiples of 32, got 90 x 128"):
        network(torch.rand(1, 3, 90, 128))


def test_the_unpadded_network_predicts_its_middle() -> None:
    network = UNet2015Depth((188, 204), widths=(2, 2, 2, 2, 4))
    assert network.covers(188, 204) == (92, 96, 92, 112)
    assert network.predict(torch.rand(1, 3, 188, 204)).shape == (1, 1, 188, 204)
    assert crop_to(torch.arange(6.0).reshape(1, 1, 1, 6), (1, 2)).tolist() == [[[[2.0, 3.0]]]]
    with pytest.raises(ValueError, match="cannot cut 2 x 2 out of a map of 1 x 6"):
        crop_to(torch.zeros(1, 1, 1, 6), (2, 2))


@pytest.mark.parametrize("name", ["unet-rooms", "transfer-resnet18-rooms", "densedepth-rooms"])
def test_a_skip_carries_what_the_bottom_does_not(name: str) -> None:
    """With the bottom cut off, an answer still depends on the picture, pixel by pixel."""
    torch.manual_seed(0)
    network = build(name).double().eval()
    bottom = network.bottom if name.startswith("unet") else network.encoder
    if name.startswith("unet"):
        handle = bottom.register_forward_hook(lambda _m, _i, output: torch.zeros_like(output))
    else:
        handle = bottom.register_forward_hook(lambda _m, _i, maps: [*maps[:-1], torch.zeros_like(maps[-1])])
    x = torch.rand(1, 3, 96, 128, dtype=torch.float64, requires_grad=True)
    network(x)[..., 20, 30].sum().backward()
    handle.remove()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0


# -- Weights from elsewhere ------------------------------------------------------------------------------


def test_the_released_entries_are_named_as_in_the_release() -> None:
    state = official(on_meta("densedepth"))
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    shapes |= {f"encoder.original_model.classifier.{k}": s for k, s in CLASSIFIER.items()}
    lines = sorted(f"{name} {'x'.join(map(str, shape))}" for name, shape in shapes.items())
    assert len(lines) == 1035
    assert sum(name.endswith("num_batches_tracked") for name in shapes) == 169
    assert shapes["decoder.up1.convA.weight"] == (832, 1920, 3, 3)
    assert sha256("\n".join(lines).encode()).hexdigest() == DIGEST


CLASSIFIER = {"weight": (1000, 1664), "bias": (1000,)}
DIGEST = "4d1d919cc8e9e3eaa227675e3d154f4ab2be14e2b21320f7551eb429ce1406dc"
"""Of the sorted lines "<name> <shape>" of the 1035 entries of the release."""


def test_every_released_entry_is_used_once_but_for_the_classifier() -> None:
    torch.manual_seed(0)
    network, other = (DenseDepth(SMALL, input_size=(64, 96)) for _ in range(2))
    made_up = {f"module.{key}": torch.rand_like(value, dtype=torch.float32).to(value.dtype)
               for key, value in official(other).items()}  # fmt: skip
    made_up |= {f"module.encoder.original_model.classifier.{key}": torch.rand(3) for key in CLASSIFIER}
    report = load_released(network, made_up)
    assert report.complete
    assert len(report.used) == len(made_up) - 2
    for key, value in official(network).items():
        assert torch.equal(value, made_up[f"module.{key}"]), key
    del made_up["module.decoder.conv2.bias"]
    with pytest.raises(DataError, match=r"1 missing in the file: decoder\.conv2\.bias"):
        load_released(other, made_up)


def test_released_weights_fit_no_network_of_another_width(tmp_path) -> None:
    full = DenseDepth(SMALL, input_size=(64, 96))
    torch.save(official(full), tmp_path / "nyu.pt")
    assert load_released(DenseDepth(SMALL, input_size=(64, 96)), tmp_path / "nyu.pt").complete
    with pytest.raises(DataError, match="wrong shape"):
        load_released(DenseDepth(SMALL, width=16, input_size=(64, 96)), tmp_path / "nyu.pt")


def test_imagenet_weights_of_a_resnet() -> None:
    torchvision = pytest.importorskip("torchvision")
    theirs = torchvision.models.resnet34(num_classes=1000).eval()
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.normal_(module.running_mean)
    old = {k: v for k, v in theirs.state_dict().items() if not k.endswith("num_batches_tracked")}
    network = ResNetUNet()
    assert load_imagenet(network.encoder, "resnet34", old).complete
    x = torch.rand(1, 3, 64, 96)
    last = nn.Sequential(*list(theirs.children())[:-2])(x)
    with torch.no_grad():
        torch.testing.assert_close(network.encoder.eval()(x)[-1], last, rtol=1e-4, atol=1e-4)
    with pytest.raises(DataError, match="does not fit"):
        load_imagenet(resnet18(form="torchvision"), "resnet18", old)


def test_imagenet_weights_of_a_densenet_have_old_names() -> None:
    """The file says denselayer1.norm.1, the code denselayer1.norm1."""
    torchvision = pytest.importorskip("torchvision")
    theirs = torchvision.models.DenseNet(8, (1, 2, 1, 1), 16).eval()
    old = {}
    for key, value in theirs.state_dict().items():
        for kind in ("norm", "conv"):
            key = key.replace(f".{kind}1.", f".{kind}.1.").replace(f".{kind}2.", f".{kind}.2.")
        old[key] = value
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    encoder = SMALL().eval()
    assert load_imagenet(encoder, "densenet169", old).complete
    x = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(encoder(x)[-1], torch.relu(theirs.features(x)))


def test_without_a_download_one_is_told_what_to_do(monkeypatch) -> None:
    pytest.importorskip("torchvision")
    monkeypatch.setattr("torch.hub.load_state_dict_from_url", _no_network)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", _no_network)
    with pytest.raises(DataError, match=r"resnet34.*cannot be downloaded.*give its path"):
        load_imagenet(resnet34(form="torchvision"), "resnet34")
    with pytest.raises(ValueError, match="no network called 'resnet35'"):
        load_imagenet(resnet34(form="torchvision"), "resnet35")


def _no_network(*_args, **_kwargs):
    raise OSError("no route to host")


# -- Without skips, without sums --------------------------------------------------------------------------


def test_without_skips_all_passes_the_bottom() -> None:
    torch.manual_seed(0)
    network = build("unet-skipless-rooms").eval()
    assert count_parameters(network) == count_parameters(build("unet-rooms"))
    network.bottom.register_forward_hook(lambda _m, _i, output: torch.zeros_like(output))
    with torch.no_grad():
        one, other = network(torch.rand(2, 3, 96, 128))
    assert torch.equal(one, other)
    assert network(torch.rand(1, 3, 97, 131)).shape == (1, 1, 97, 131)


def test_without_sums_a_block_is_its_branch() -> None:
    torch.manual_seed(0)
    plain, usual = (build(f"transfer-{name}18-rooms").encoder for name in ("plain", "resnet"))
    kept = count_parameters(plain) / count_parameters(usual)
    assert 0.95 < kept < 1
    block = plain.layer1[0]
    nn.init.zeros_(block.block.bn2.weight)  # the branch answers with nothing, and nothing is what comes out
    with torch.no_grad():
        assert plain.eval().layer1[0](torch.rand(1, 24, 8, 8)).abs().max() == 0
        same = usual.layer1[0].eval()
        nn.init.zeros_(same.bn2.weight)
        x = torch.rand(1, 24, 8, 8)
        assert torch.equal(same(x), x)
    assert [each.shape[1:] for each in plain(torch.rand(1, 3, 96, 128))] == [
        each.shape[1:] for each in usual(torch.rand(1, 3, 96, 128))
    ]
