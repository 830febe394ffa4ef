"""Hu's depth networks: counts and sizes of the released code, the resized convolution, encoders, order."""

from functools import cache, partial
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from mdepth.image import resize
from mdepth.models import build, count_parameters, hu, layer_sizes
from mdepth.models.encoders import DenseNet, Encoder, ResNet, densenet161, densenet169, resnet18, resnet50
from mdepth.models.encoders_senet import SENet
from mdepth.models.hu import ENCODERS, Hu, MultiScaleFusion, Refinement, ResizedConv, UpProjection

RESNET = partial(resnet18, width=8, form="torchvision")
DENSE = partial(DenseNet, 16, (2, 1, 2, 1), 32, taken="before")
SENET = partial(SENet, (1, 2, 1, 1), width=4, groups=4, reduction=4)
SMALL = {"resnet": RESNET, "densenet": DENSE, "senet": SENET}


@cache
def on_meta(encoder: str, fast: bool = True) -> Hu:
    """A network of the paper's size that computes nothing."""
    with torch.device("meta"):
        return Hu(ENCODERS[encoder], fast=fast).eval()


def small(encoder: str = "resnet", **options) -> Hu:
    """One of the paper's networks with hardly any channels, for images of 64 x 96."""
    torch.manual_seed(0)
    return Hu(SMALL[encoder], (64, 96), (64, 96), fusion=2, **options)


# --- counts and sizes --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoder", "parts", "total"),
    [
        ("resnet50", (23_508_032, 40_054_400, 3_184_128, 822_913), 67_569_473),
        ("densenet161", (26_472_000, 46_556_715, 3_184_128, 888_308), 77_101_151),
        ("senet154", (113_039_984, 40_054_400, 3_184_128, 822_913), 157_101_425),
    ],
)
def test_parameters_by_part(encoder: str, parts: tuple[int, ...], total: int) -> None:
    network = on_meta(encoder)
    found = [getattr(network, name) for name in ("encoder", "decoder", "fusion", "refinement")]
    assert tuple(map(count_parameters, found)) == parts
    assert count_parameters(network) == sum(parts) == total


SIZES = {
    "resnet50": ((57, 76), (29, 38), (15, 19), (8, 10)),
    "densenet161": ((57, 76), (28, 38), (14, 19), (7, 9)),
    "senet154": ((57, 76), (29, 38), (15, 19), (8, 10)),
}
CHANNELS = {
    "resnet50": (256, 512, 1024, 2048), "densenet161": (192, 384, 1056, 2208),
    "senet154": (256, 512, 1024, 2048),
}  # fmt: skip


@pytest.mark.parametrize("encoder", SIZES)
def test_maps_of_the_encoders(encoder: str) -> None:
    made = on_meta(encoder).encoder
    maps = made(torch.zeros(1, 3, 228, 304, device="meta"))[-4:]
    assert tuple(tuple(each.shape[2:]) for each in maps) == SIZES[encoder]
    assert tuple(each.shape[1] for each in maps) == made.channels[-4:] == CHANNELS[encoder]


@pytest.mark.parametrize(
    ("encoder", "fast"), [("resnet50", False), ("resnet50", True), ("densenet161", True), ("senet154", True)]
)
def test_layers_of_the_paper(encoder: str, fast: bool) -> None:
    network = on_meta(encoder, fast)
    layers = layer_sizes(network)
    rows = {layer.name: (layer.channels, layer.size) for layer in layers}
    features = CHANNELS[encoder][-1]
    widths = [features // 2**power for power in range(1, 6)]
    sizes = [*reversed(SIZES[encoder]), (114, 152)]
    assert rows["decoder.conv"] == (widths[0], sizes[0])
    for k in range(1, 5):
        for conv in ("conv1", "conv1_2", "conv2"):
            assert rows[f"decoder.up{k}.{conv}"] == (widths[k], sizes[k])
            assert rows[f"fusion.up{k}.{conv}"] == (16, (114, 152))
    assert rows["fusion.conv"] == (64, (114, 152))
    assert [rows[f"refinement.conv{k}"][0] for k in range(3)] == [64 + widths[-1]] * 2 + [1]
    norms = sum(count_parameters(part) for part in network.modules() if isinstance(part, nn.BatchNorm2d))
    assert sum(layer.parameters for layer in layers) + norms == count_parameters(network)


@pytest.mark.parametrize("encoder", SMALL)
@pytest.mark.parametrize("size", [(64, 96), (97, 131), (58, 42)])
def test_any_size_goes_in(encoder: str, size: tuple[int, int]) -> None:
    network = small(encoder).eval()
    with torch.no_grad():
        rows, columns = network.encoder(torch.rand(1, 3, *size))[1].shape[2:]
        assert network(torch.rand(1, 3, *size)).shape == (1, 1, 2 * rows, 2 * columns)
    if encoder == "resnet":
        assert (rows, columns) == tuple(-(-side // 4) for side in size)


# --- the resized convolution ---------------------------------------------------------------------------

CASES = [((3, 4), (9, 11)), ((8, 10), (114, 152)), ((5, 5), (5, 5)), ((1, 3), (4, 2)), ((7, 9), (3, 4)),
         ((2, 2), (1, 1)), ((1, 1), (6, 5))]  # fmt: skip


@pytest.mark.parametrize(("old", "new"), CASES)
def test_resized_conv_is_the_plain_one_with_its_gradients(old: tuple[int, int], new: tuple[int, int]) -> None:
    torch.manual_seed(1)
    conv = ResizedConv(6, 3).double()
    x = torch.randn(2, 6, *old, dtype=torch.float64, requires_grad=True)
    weight = conv.weight.detach().clone().requires_grad_()
    large = functional.interpolate(x, new, mode="bilinear", align_corners=True)
    plain = functional.conv2d(large, weight, padding=2)
    fast = conv(x, new)
    torch.testing.assert_close(fast, plain, rtol=1e-12, atol=1e-12)
    slope = torch.randn_like(plain)
    wanted = torch.autograd.grad(plain, [x, weight], slope)
    found = torch.autograd.grad(fast, [x, conv.weight], slope)
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-11)


def test_resized_conv_passes_gradcheck() -> None:
    conv = ResizedConv(2, 2).double()
    x = torch.randn(1, 2, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, w: torch.func.functional_call(conv, {"weight": w}, (x, (4, 5))),
                                    (x, conv.weight))  # fmt: skip


def test_around_the_map_are_zeros() -> None:
    """All weights 1 on a map of ones count the taps within the map: 9 in a corner, 25 inside."""
    conv = ResizedConv(1, 1)
    nn.init.ones_(conv.weight)
    y = conv(torch.ones(1, 1, 2, 3), (6, 7))[0, 0]
    assert y[0, 0].item() == pytest.approx(9, abs=1e-5)
    assert y[0, 3].item() == pytest.approx(15, abs=1e-5)
    assert y[3, 3].item() == pytest.approx(25, abs=1e-5)


class Largest(TorchDispatchMode):
    """Notes how many numbers the largest tensor has that is made inside."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for each in result if isinstance(result, tuple | list) else [result]:
            if isinstance(each, torch.Tensor):
                self.numbers = max(self.numbers, each.numel())
        return result


def test_the_large_maps_are_never_made() -> None:
    """Nothing that is made of 2048 small maps is larger than the weight."""
    made = {}
    with torch.device("meta"):
        for fast in (False, True):
            up, x = UpProjection(2048, 16, fast=fast), torch.zeros(1, 2048, 8, 10)
            with Largest() as largest:
                up(x, (114, 152))
            made[fast] = largest.numbers
    assert made[False] == 2048 * 114 * 152
    assert made[True] == 16 * 2048 * 25  # with its axes in another order


@pytest.mark.parametrize("encoder", SMALL)
def test_fast_and_plain_networks_are_one_function(encoder: str) -> None:
    plain, fast = small(encoder, fast=False).double(), small(encoder, fast=True).double()
    assert fast.load_state_dict(plain.state_dict())
    x = torch.randn(2, 3, 64, 96, dtype=torch.float64)
    first, second = plain(x), fast(x)
    torch.testing.assert_close(first, second, rtol=1e-9, atol=1e-9)
    first.square().mean().backward()
    second.square().mean().backward()
    for (name, one), (_, other) in zip(plain.named_parameters(), fast.named_parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-6, atol=1e-9, msg=name)


# --- conventions --------------------------------------------------------------------------------------


def test_corners_stay_where_they_are() -> None:
    """The centre of a corner pixel is that of a corner pixel of the large map: all five matrices say so."""
    matrices = hu._shifted(torch.zeros(1), 3, 5)
    middle = [[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.0, 1.0, 0.0], [0.0, 0.5, 0.5], [0.0, 0.0, 1.0]]
    zeros = [[0.0] * 3] * 2
    for shift, matrix in enumerate(matrices):
        assert matrix.tolist() == [*zeros, *middle, *zeros][shift : shift + 5]


@pytest.mark.parametrize("fast", [False, True])
def test_half_pixels_would_be_another_network(fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    network, x = small(fast=fast).eval(), torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        right = network(x)
        monkeypatch.setattr(hu, "resize", lambda x, size, **_: resize(x, size, align_corners=False))
        wrong = network(x)
    assert (right - wrong).abs().max() > 1e-3 * right.abs().max()


def test_up_projection_by_its_formula() -> None:
    torch.manual_seed(0)
    up, x = UpProjection(3, 2), torch.randn(2, 3, 4, 5)
    large = functional.interpolate(x, (9, 7), mode="bilinear", align_corners=True)
    norm = partial(functional.batch_norm, running_mean=None, running_var=None, training=True)
    main = functional.relu(norm(functional.conv2d(large, up.conv1.weight, padding=2)))
    main = norm(functional.conv2d(main, up.conv1_2.weight, padding=1))
    skip = norm(functional.conv2d(large, up.conv2.weight, padding=2))
    torch.testing.assert_close(up(x, (9, 7)), functional.relu(main + skip), rtol=1e-5, atol=1e-5)


def test_the_decoder_stands_before_the_fusion() -> None:
    """With R blind to its first channels the decoder is without effect, blind to the others the fusion is."""
    for blind, sees in (("decoder", "fusion"), ("fusion", "decoder")):
        network = small()
        first = network.decoder.outputs
        channels = slice(0, first) if blind == "decoder" else slice(first, None)
        with torch.no_grad():
            network.refinement.conv0.weight[:, channels] = 0
        network(torch.rand(1, 3, 64, 96)).square().sum().backward()
        slopes = {part: network.get_submodule(part).conv.weight.grad for part in (blind, sees)}
        assert slopes[blind].abs().max() == 0
        assert slopes[sees].abs().max() > 0


def test_the_fusion_keeps_the_order_of_the_maps() -> None:
    fusion = MultiScaleFusion((4, 4, 4, 4), 2)
    maps = [torch.rand(1, 4, 8 >> k, 16 >> k) for k in range(4)]
    seen: list[torch.Tensor] = []
    fusion.conv.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    fusion(maps)
    ups = (fusion.up1, fusion.up2, fusion.up3, fusion.up4)
    for k, (up, x) in enumerate(zip(ups, maps, strict=True)):
        torch.testing.assert_close(seen[0][:, 2 * k : 2 * k + 2], up(x, (16, 32)))


def test_the_decoder_sees_the_last_map_alone() -> None:
    network = small()
    maps = [each.detach().requires_grad_() for each in network.encoder(torch.rand(1, 3, 64, 96))[-4:]]
    slopes = torch.autograd.grad(network.decoder(maps).sum(), maps, allow_unused=True)
    assert [slope is None for slope in slopes] == [True, True, True, False]
    joined = torch.autograd.grad(network.fusion(maps).square().sum(), maps)
    assert all(slope.abs().max() > 0 for slope in joined)


def test_the_answer_is_linear_and_in_metres() -> None:
    network = small(mean_depth=3.0).eval()
    refinement = Refinement(4)
    with torch.no_grad():
        before = small().refinement.conv2.bias
        assert torch.equal(network.refinement.conv2.bias, before + 3.0)
        refinement.conv2.bias.fill_(-5.0)
        assert refinement(torch.zeros(1, 4, 5, 5)).max() < 0
    assert (network.native, network.metric) == ("depth", True)
    assert network.to_depth(torch.tensor(2.5)).item() == 2.5


def test_predict_enlarges_with_corners_aligned() -> None:
    network, image = small(mean_depth=3.0).eval(), torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        metres = network(network.normalise(image))
    wanted = functional.interpolate(metres, (64, 96), mode="bilinear", align_corners=True).clamp(0.1, 10)
    torch.testing.assert_close(network.predict(image), wanted, rtol=1e-4, atol=1e-5)


def test_geometry_of_the_paper() -> None:
    with torch.device("meta"):
        network = build("hu-resnet50")
    assert (network.image_size, network.input_size, network.covered) == (
        (240, 320),
        (228, 304),
        (0, 228, 0, 304),
    )
    assert network.covers(480, 640) == (12, 468, 16, 624)
    black = network.normalise(torch.zeros(1, 3, 1, 1)).flatten().tolist()
    assert black == pytest.approx([-2.118, -2.036, -1.804], abs=1e-3)


@pytest.mark.parametrize("encoder", SMALL)
def test_every_weight_learns(encoder: str) -> None:
    network = small(encoder)
    network(torch.rand(2, 3, 64, 96)).square().mean().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []


# --- encoders ---------------------------------------------------------------------------------------------


def test_dense_maps_before_the_pools_are_those_behind_them_before_averaging() -> None:
    torch.manual_seed(0)
    before, behind = (DenseNet(8, (1, 2, 1, 1), 16, taken=taken).eval() for taken in ("before", "behind"))
    behind.load_state_dict(before.state_dict())
    x = torch.rand(2, 3, 64, 96)
    large, small = before(x), behind(x)
    for k in (1, 2):
        torch.testing.assert_close(functional.avg_pool2d(large[k], 2), small[k + 1])
    assert torch.equal(large[0], small[0])
    torch.testing.assert_close(large[4], small[4])
    assert [each.shape[1] for each in large] == list(before.channels)
    assert [64 // each.shape[2] for each in large] == list(before.strides)


def test_dense_nets_by_name() -> None:
    with torch.device("meta"):
        assert densenet161().channels == (96, 96, 192, 384, 2208)
        assert densenet161(taken="before").channels == (96, 192, 384, 1056, 2208)
        assert densenet169().channels == (64, 64, 128, 256, 1664)
        with pytest.raises(ValueError, match="'behind' or 'before', got 'after'"):
            densenet161(taken="after")


def test_blocks_of_senet() -> None:
    encoder = on_meta("senet154").encoder
    stages = [encoder.get_submodule(f"layer{stage}") for stage in range(1, 5)]
    assert [len(stage) for stage in stages] == [3, 8, 36, 3]
    assert [stage[0].downsample[0].kernel_size for stage in stages] == [(1, 1), (3, 3), (3, 3), (3, 3)]
    assert [stage[0].conv2.stride for stage in stages] == [(1, 1), (2, 2), (2, 2), (2, 2)]
    assert all(block.conv2.groups == 64 for stage in stages for block in stage)
    assert [tuple(stage[0].se_module.fc1.weight.shape[:2]) for stage in stages] == [
        (channels // 16, channels) for channels in encoder.channels[1:]
    ]


def test_a_squeezed_block_by_its_formula() -> None:
    torch.manual_seed(0)
    block = SENET().layer2[0]
    x = torch.randn(2, 8 * 2, 8, 10)
    norm = partial(functional.batch_norm, running_mean=None, running_var=None, training=True)
    y = functional.relu(norm(functional.conv2d(x, block.conv1.weight)))
    y = functional.relu(norm(functional.conv2d(y, block.conv2.weight, stride=2, padding=1, groups=4)))
    y = norm(functional.conv2d(y, block.conv3.weight))
    squeeze = block.se_module
    means = y.mean((2, 3))
    hidden = functional.relu(means @ squeeze.fc1.weight[:, :, 0, 0].T + squeeze.fc1.bias)
    factor = torch.sigmoid(hidden @ squeeze.fc2.weight[:, :, 0, 0].T + squeeze.fc2.bias)
    short = norm(functional.conv2d(x, block.downsample[0].weight, stride=2, padding=1))
    wanted = functional.relu(y * factor[:, :, None, None] + short)
    torch.testing.assert_close(block(x), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("rows", "pooled"), [(114, 57), (113, 56), (16, 8), (17, 8)])
def test_the_pool_of_senet_rounds_up_without_a_margin(rows: int, pooled: int) -> None:
    assert SENET().pool(torch.zeros(1, 1, rows, 8)).shape[2] == pooled


@pytest.mark.parametrize("make", [RESNET, DENSE, SENET])
def test_encoders_say_what_they_give(make) -> None:
    encoder: Encoder = make()
    maps = encoder(torch.rand(1, 3, 128, 160))
    assert tuple(each.shape[1] for each in maps) == encoder.channels
    assert tuple(128 // each.shape[2] for each in maps) == encoder.strides == (2, 4, 8, 16, 32)
    assert all(a.shape[2] > b.shape[2] for a, b in pairwise(maps))


def test_the_resnet_has_its_stride_on_the_3x3() -> None:
    encoder = on_meta("resnet50").encoder
    assert isinstance(encoder, ResNet)
    assert encoder.get_submodule("layer2.0.conv2").stride == (2, 2)
    with torch.device("meta"):
        assert resnet50().get_submodule("layer2.0.conv2").stride == (1, 1)
