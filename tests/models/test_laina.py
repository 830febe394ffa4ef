"""The networks of Laina et al. 2016 against every known size, and the fast blocks against the plain ones."""

from collections.abc import Callable
from functools import partial
from hashlib import sha256
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn import functional

from mdepth.models import build, count_parameters, layer_sizes
from mdepth.models.encoders import VGG16, AlexNet, ResNet, SamePad, resnet50
from mdepth.models.laina import (
    RESNET50,
    ROOMS,
    DeConv,
    FastUnpoolConv,
    Laina,
    LainaFC,
    LainaSize,
    Unpool,
    UnpoolConv,
    UpConv,
    UpProj,
)
from mdepth.models.laina_weights import EPSILON, load_tf, released, tf_names, to_fast, to_plain
from mdepth.shapes import DataError

THIN = LainaSize(partial(resnet50, width=2), input_size=(64, 96), reduce=(1, 32))
"""The paper's layers with hardly any channels."""


def on_meta(name: str, **kwargs) -> nn.Module:
    """A network of the paper's size that computes nothing."""
    with torch.device("meta"):
        return build(name, **kwargs)


# -- Sizes -----------------------------------------------------------------------------------------------

ENCODER = {
    "encoder.conv1": (114, 152, 64), "encoder.maxpool.1": (57, 76, 64),
    **{f"encoder.layer1.{block}.conv3": (57, 76, 256) for block in range(3)},
    **{f"encoder.layer2.{block}.conv3": (29, 38, 512) for block in range(4)},
    **{f"encoder.layer3.{block}.conv3": (15, 19, 1024) for block in range(6)},
    **{f"encoder.layer4.{block}.conv3": (8, 10, 2048) for block in range(3)},
    "encoder.layer1.0.conv1": (57, 76, 64), "encoder.layer1.0.downsample.0": (57, 76, 256),
    "encoder.layer2.0.conv1": (29, 38, 128), "encoder.layer2.0.downsample.0": (29, 38, 512),
    "encoder.layer3.0.conv1": (15, 19, 256), "encoder.layer3.0.downsample.0": (15, 19, 1024),
    "encoder.layer4.0.conv1": (8, 10, 512), "encoder.layer4.0.downsample.0": (8, 10, 2048),
    "encoder.layer4.0.conv2": (8, 10, 512), "reduce.conv": (8, 10, 1024),
}  # fmt: skip
SMALL = {"up2": (8, 10, 512), "up4": (16, 20, 256), "up8": (32, 40, 128), "up16": (64, 80, 64)}
LARGE = {"up2": (16, 20, 512), "up4": (32, 40, 256), "up8": (64, 80, 128), "up16": (128, 160, 64)}


@pytest.mark.parametrize("fast", [False, True])
def test_every_layer_of_the_released_network_has_its_size(fast: bool) -> None:
    network = on_meta("laina-resnet50-upproj-fast" if fast else "laina-resnet50-upproj")
    sizes = {row.name: (*row.size, row.channels) for row in layer_sizes(network)}
    expected = dict(ENCODER) | {"answer.conv": (128, 160, 1)}
    for block in SMALL:
        expected[f"decoder.{block}.main.conv"] = LARGE[block]
        for branch in ("main", "skip"):
            if fast:
                convs = (f"decoder.{block}.{branch}.up.conv_{letter}" for letter in "abcd")
                expected |= dict.fromkeys(convs, SMALL[block])
            else:
                expected[f"decoder.{block}.{branch}.up.conv"] = LARGE[block]
    assert {name: sizes[name] for name in expected} == expected


@pytest.mark.parametrize("decoder", ["deconv", "upconv", "upproj"])
def test_blocks_double_the_sides_and_halve_the_channels(decoder: str) -> None:
    network = on_meta(f"laina-resnet50-{decoder}")
    x = torch.zeros(1, 1024, 8, 10, device="meta")
    for name, block in network.decoder.named_children():
        x = block(x)
        assert (*x.shape[2:], x.shape[1]) == LARGE[name]


@pytest.mark.parametrize(("height", "width"), [(228, 304), (1, 33), (95, 97), (345, 460)])
def test_output_has_sixteen_rows_for_every_32_begun(height: int, width: int) -> None:
    network = on_meta("laina-resnet50-upproj-fast")
    output = network(torch.zeros(2, 3, height, width, device="meta"))
    assert output.shape == (2, 1, 16 * -(-height // 32), 16 * -(-width // 32))


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("laina-alexnet-fc", (96, 128)), ("laina-alexnet-upconv", (96, 128)),
        ("laina-vgg16-upconv", (112, 144)), ("laina-resnet50-fc", (128, 160)),
        ("laina-resnet50-deconv", (128, 160)), ("laina-resnet50-upconv", (128, 160)),
    ],
)  # fmt: skip
def test_the_other_networks_draw_maps_of(name: str, size: tuple[int, int]) -> None:
    assert on_meta(name)(torch.zeros(2, 3, 228, 304, device="meta")).shape == (2, 1, *size)


# -- Parameters and products -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("laina-resnet50-upproj-fast", 63_572_737), ("laina-resnet50-upproj", 63_566_977),
        ("laina-resnet50-upconv-fast", 43_022_657), ("laina-resnet50-upconv", 43_019_777),
        ("laina-resnet50-deconv", 28_396_097),
    ],
)  # fmt: skip
def test_parameter_counts(name: str, count: int) -> None:
    assert count_parameters(on_meta(name)) == count


def test_parameter_counts_of_the_parts() -> None:
    network = on_meta("laina-resnet50-upproj-fast")
    assert count_parameters(network.encoder) == 23_508_096
    assert count_parameters(network.reduce) == 2_100_224
    blocks = [count_parameters(block) for block in network.decoder]
    assert blocks == [28_581_376, 7_147_264, 1_787_776, 447_424]
    assert count_parameters(network.answer) == 577
    with torch.device("meta"):
        assert count_parameters(resnet50(form="torchvision")) == 23_508_032


@pytest.mark.parametrize(
    ("name", "encoder", "kernel", "wide"),
    [("laina-alexnet-upconv", 3_747_200, 1, 256), ("laina-vgg16-upconv", 14_714_688, 9, 512)],
)
def test_parameter_counts_of_our_reading(name: str, encoder: int, kernel: int, wide: int) -> None:
    reduced = wide // 2
    count = encoder + kernel * wide * reduced + 3 * reduced
    for channels in (reduced, reduced // 2, reduced // 4, reduced // 8):
        count += 25 * channels * channels // 2 + 3 * channels // 2
    assert count_parameters(on_meta(name)) == count + 9 * reduced // 16 + 1


def _weights(network: nn.Module) -> int:
    """Parameters without the biases of convolutions and fully connected layers."""
    layers = (module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear))
    return count_parameters(network) - sum(m.bias.numel() for m in layers if m.bias is not None)


def test_parameter_counts_of_the_fully_connected_baselines() -> None:
    assert _weights(on_meta("laina-resnet50-fc")) == 359_052_352
    assert _weights(on_meta("laina-resnet50-fc", maps=(48, 64))) == 73_839_680
    convolutions = count_parameters(on_meta("laina-alexnet-fc").encoder)
    assert convolutions == 3_747_200
    assert count_parameters(on_meta("laina-alexnet-fc")) == convolutions + 6 * 8 * 256 * 4096 + 4096 + (
        4096 * 12_288 + 12_288
    )


def _products(network: nn.Module) -> float:
    """Products of all convolutions for one image of 228 x 304, in units of 10^9."""
    counts = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(
                lambda layer, _, y: counts.append(layer.weight.numel() * y[0, 0].numel())
            )
    network.eval()(torch.zeros(1, 3, 228, 304, device="meta"))
    return sum(counts) / 1e9


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("laina-resnet50-upproj-fast", 17.222), ("laina-resnet50-upproj", 42.388),
        ("laina-resnet50-upconv-fast", 10.008), ("laina-resnet50-upconv", 22.591),
    ],
)  # fmt: skip
def test_products(name: str, billions: float) -> None:
    assert _products(on_meta(name)) == pytest.approx(billions, abs=6e-4)
    assert _products(on_meta(name).encoder) == pytest.approx(5.634, abs=6e-4)


# -- What a feature sees ---------------------------------------------------------------------------------


def _seen(look: Callable[[torch.Tensor], torch.Tensor], side: int) -> tuple[int, int]:
    """Rows and columns of the image that have a gradient from the middle of the map."""
    image = torch.zeros(1, 3, side, side, dtype=torch.float64, requires_grad=True)
    maps = look(image)
    maps[0, :, maps.shape[2] // 2, maps.shape[3] // 2].sum().backward()
    rows, columns = (image.grad[0].sum((0, axis)).nonzero() for axis in (2, 1))
    assert rows.min() > 0
    assert rows.max() < side - 1
    return int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1


def _everything_passes(network: nn.Module, pool: int | None = None) -> nn.Module:
    """Positive weights, means for maxima: a gradient reaches all that a feature may see."""
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
            nn.init.constant_(module.bias, 0.1) if module.bias is not None else None
        if isinstance(module, nn.MaxPool2d):
            mean = nn.AvgPool2d(pool or module.kernel_size, module.stride, module.padding)
            network.set_submodule(name, mean)
    return network.double().eval()


@pytest.mark.parametrize(("form", "side"), [("caffe", 483), ("torchvision", 427)])
def test_a_feature_of_resnet50_sees(form: str, side: int) -> None:
    encoder = _everything_passes(resnet50(width=1, form=form))
    encoder.register_forward_pre_hook(lambda _, args: args[0] + 1.0)
    assert _seen(lambda x: encoder(x)[-1], 608) == (side, side)


def test_a_feature_of_the_other_encoders_sees() -> None:
    size = LainaSize(partial(VGG16, width=1), reduce=(3, 16))
    vgg = _everything_passes(Laina(size, decoder="upconv"))
    assert _seen(lambda x: vgg.reduce(vgg.encoder.features(x + 1)), 416) == (276, 276)
    alexnet = _everything_passes(AlexNet((1, 1, 1, 1, 1)))
    assert _seen(lambda x: alexnet.features(x + 1), 416) == (195, 195)
    thin = _everything_passes(AlexNet((1, 1, 1, 1, 1)), pool=2)
    assert _seen(lambda x: thin.features[:-1](x + 1), 416) == (151, 151)


# -- Encoders --------------------------------------------------------------------------------------------


def test_same_pool_stands_where_tensorflow_puts_it(generator: torch.Generator) -> None:
    pool = nn.Sequential(SamePad(), nn.MaxPool2d(3, 2))
    even, odd = torch.rand(1, 2, 114, 152, generator=generator), torch.rand(1, 2, 57, 39, generator=generator)
    assert torch.equal(pool(even), functional.max_pool2d(even, 3, 2, ceil_mode=True))
    assert not torch.equal(pool(even), functional.max_pool2d(even, 3, 2, padding=1))
    assert torch.equal(pool(odd), functional.max_pool2d(odd, 3, 2, padding=1))
    assert pool(even[..., :57, :]).shape[2:] == (29, 76)


@pytest.mark.parametrize(("form", "first"), [("caffe", 1), ("torchvision", 2)])
def test_where_a_stage_strides(form: str, first: int) -> None:
    encoder = ResNet((1, 2, 1, 1), bottleneck=True, width=2, form=form)
    strides = {
        name: module.stride for name, module in encoder.named_modules() if isinstance(module, nn.Conv2d)
    }
    halving = {name for name, stride in strides.items() if stride == (2, 2)} - {"conv1"}
    stages = ("layer2.0", "layer3.0", "layer4.0")
    assert halving == {f"{s}.{conv}" for s in stages for conv in (f"conv{first}", "downsample.0")}


@pytest.mark.parametrize(("name", "make"), [("resnet50", resnet50), ("vgg16", VGG16)])
def test_files_of_torchvision_fit(name: str, make: Callable[..., nn.Module]) -> None:
    import torchvision

    with torch.device("meta"):
        theirs = torchvision.models.get_model(name, weights=None).state_dict()
        ours = make().state_dict()
    theirs = {key: value.shape for key, value in theirs.items() if not key.startswith(("fc", "classifier"))}
    ours = {key: value.shape for key, value in ours.items()}
    assert {key: shape for key, shape in ours.items() if key not in theirs}.keys() <= {"conv1.bias"}
    assert {key: ours[key] for key in theirs} == theirs


def test_the_torchvision_form_is_torchvisions_function(generator: torch.Generator) -> None:
    import torchvision

    theirs = torchvision.models.resnet18(weights=None).eval()
    encoder = ResNet((2, 2, 2, 2), bottleneck=False, form="torchvision").eval()
    state = {key: value for key, value in theirs.state_dict().items() if not key.startswith("fc")}
    encoder.load_state_dict(state)
    image = torch.rand(1, 3, 45, 64, generator=generator)
    pooled = encoder(image)[-1].mean((2, 3))
    torch.testing.assert_close(theirs.fc(pooled), theirs(image))


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(ValueError, match="form must be 'caffe' or 'torchvision', got 'v2'"):
        resnet50(form="v2")


# -- Blocks ----------------------------------------------------------------------------------------------


def test_unpool_puts_values_top_left(generator: torch.Generator) -> None:
    x = torch.rand(2, 3, 4, 5, generator=generator)
    large = Unpool()(x)
    assert torch.equal(large[..., ::2, ::2], x)
    assert large.sum() == pytest.approx(float(x.sum()), rel=1e-5)


def test_unpool_and_5x5_is_a_transposed_convolution(generator: torch.Generator) -> None:
    block = UnpoolConv(3, 2).double()
    x = torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.float64)
    flipped = block.conv.weight.flip(2, 3).transpose(0, 1)
    other = functional.conv_transpose2d(x, flipped, block.conv.bias, stride=2, padding=2, output_padding=1)
    torch.testing.assert_close(block(x), other, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
@pytest.mark.parametrize("size", [(1, 1), (1, 4), (3, 2), (5, 7)])
@pytest.mark.parametrize("make", [UnpoolConv, UpConv, UpProj])
def test_fast_is_plain(
    make: Callable[..., nn.Module], size: tuple[int, int], dtype: torch.dtype, tolerance: float
) -> None:
    torch.manual_seed(0)
    plain = make(4, 3).to(dtype).eval()
    for parameter in plain.parameters():
        nn.init.normal_(parameter, std=0.1)
    fast = to_fast(plain)
    x = torch.randn(2, 4, *size, dtype=dtype, requires_grad=True)
    y = x.detach().clone().requires_grad_()
    torch.testing.assert_close(fast(y), plain(x), rtol=0, atol=tolerance)
    weight = torch.randn_like(plain(x)) / 10
    (plain(x) * weight).sum().backward()
    (fast(y) * weight).sum().backward()
    torch.testing.assert_close(y.grad, x.grad, rtol=0, atol=tolerance)
    plains = [module for module in plain.modules() if isinstance(module, UnpoolConv)]
    fasts = [module for module in fast.modules() if isinstance(module, FastUnpoolConv)]
    assert len(plains) == len(fasts) == (2 if make is UpProj else 1)
    for one, four in zip(plains, fasts, strict=True):
        for (row, column), conv in four.phases.items():
            expected = one.conv.weight.grad[..., row::2, column::2]
            torch.testing.assert_close(conv.weight.grad, expected, rtol=0, atol=tolerance)
        biases = torch.stack([conv.bias.grad for conv in four.phases.values()])
        torch.testing.assert_close(biases.sum(0), one.conv.bias.grad, rtol=0, atol=3 * tolerance)


def test_a_single_value_shows_the_four_phases() -> None:
    plain = UnpoolConv(1, 1)
    kernel = torch.arange(25.0).reshape(5, 5)
    plain.conv.load_state_dict({"weight": kernel[None, None], "bias": torch.zeros(1)})
    expected = [[kernel[2, 2], kernel[2, 1]], [kernel[1, 2], kernel[1, 1]]]
    one = torch.ones(1, 1, 1, 1)
    for block in (plain, to_fast(plain)):
        assert block(one)[0, 0].tolist() == torch.tensor(expected).tolist()


def test_the_cells_are_interleaved(generator: torch.Generator) -> None:
    block = FastUnpoolConv(4, 2)
    x = torch.randn(1, 4, 3, 5, generator=generator)
    slices = [block(x)[..., row::2, column::2] for row, column in ((0, 0), (1, 0), (0, 1), (1, 1))]
    pads = ((1, 1, 1, 1), (1, 1, 0, 1), (0, 1, 1, 1), (0, 1, 0, 1))  # left, right, top, bottom
    convs = (block.conv_a, block.conv_b, block.conv_c, block.conv_d)
    assert [tuple(conv.kernel_size) for conv in convs] == [(3, 3), (2, 3), (3, 2), (2, 2)]
    expected = [conv(functional.pad(x, pad)) for conv, pad in zip(convs, pads, strict=True)]
    for found, wanted in zip(slices, expected, strict=True):
        torch.testing.assert_close(found, wanted)
    shuffled = torch.stack([expected[i] for i in (0, 2, 1, 3)], 2).flatten(1, 2)  # channel x 4 + A, C, B, D
    torch.testing.assert_close(functional.pixel_shuffle(shuffled, 2), block(x))


def test_padding_before_is_another_function(generator: torch.Generator) -> None:
    after, before = FastUnpoolConv(4, 2), FastUnpoolConv(4, 2, padding="before")
    before.load_state_dict(after.state_dict())
    x = torch.randn(1, 4, 5, 6, generator=generator)
    difference = (after(x) - before(x)).abs()
    assert difference[..., ::2, ::2].max() == 0  # A is symmetric
    for row, column in ((1, 0), (0, 1), (1, 1)):
        assert difference[..., row::2, column::2].max() > 0.1
    torch.testing.assert_close(before(x)[..., 3::2, 3::2], after(x)[..., 1:-2:2, 1:-2:2])
    with pytest.raises(ValueError, match="padding must be 'after' or 'before', got 'same'"):
        FastUnpoolConv(4, 2, padding="same")


def test_plain_again() -> None:
    network = Laina(THIN, decoder="upproj").eval().requires_grad_(False)
    fast = to_fast(network)
    again = to_plain(fast)
    assert isinstance(fast.decoder.up2.main.up, FastUnpoolConv)  # both conversions leave their argument alone
    assert isinstance(network.decoder.up2.main.up, UnpoolConv)
    state = again.state_dict()
    assert state.keys() == network.state_dict().keys()
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    assert not any(module.training for module in again.modules())
    assert not any(parameter.requires_grad for parameter in again.parameters())
    assert not {id(p) for p in again.parameters()} & {id(p) for p in network.parameters()}


def test_what_cannot_be_plain() -> None:
    fast = to_fast(UpConv(4, 2))
    with torch.no_grad():
        fast.up.conv_c.bias += 1e-3
    with pytest.raises(ValueError, match="four biases of a fast layer differ"):
        to_plain(fast)
    with pytest.raises(ValueError, match="padding='before' is no 5x5"):
        to_plain(FastUnpoolConv(4, 2, padding="before"))


@pytest.mark.parametrize("decoder", ["upconv", "upproj"])
def test_a_whole_network_made_fast_trains_alike(decoder: str) -> None:
    torch.manual_seed(0)
    plain = Laina(THIN, decoder=decoder, dropout=0.0).double()
    fast = to_fast(plain)
    image = torch.rand(2, 3, 64, 96, dtype=torch.float64) * 255
    for network in (plain, fast):
        network(image).square().mean().backward()
    torch.testing.assert_close(fast(image), plain(image), rtol=0, atol=1e-10)
    found = fast.encoder.conv1.weight.grad
    torch.testing.assert_close(found, plain.encoder.conv1.weight.grad, rtol=1e-6, atol=1e-12)
    built = Laina(THIN, decoder=decoder, fast=True)
    assert built.state_dict().keys() == fast.state_dict().keys()


@pytest.mark.parametrize("fast", [False, True])
def test_what_stands_in_an_up_projection(fast: bool) -> None:
    block = UpProj(4, 2, FastUnpoolConv if fast else UnpoolConv)
    kinds = [type(module).__name__ for module in block.main]
    up = "FastUnpoolConv" if fast else "UnpoolConv"
    assert kinds == [up, "BatchNorm2d", "ReLU", "Conv2d", "BatchNorm2d"]
    assert [type(module).__name__ for module in block.skip] == [up, "BatchNorm2d"]
    assert not {id(p) for p in block.main.parameters()} & {id(p) for p in block.skip.parameters()}
    biased = [module.bias is not None for module in block.modules() if isinstance(module, nn.Conv2d)]
    assert all(biased)
    x = torch.randn(2, 4, 3, 5)
    assert block.main(x).min() < 0  # the ReLU stands behind the sum
    torch.testing.assert_close(block(x), (block.main(x) + block.skip(x)).clamp_min(0))


def test_a_fast_block_has_one_norm_behind_the_interleaving() -> None:
    torch.manual_seed(0)
    block = UpConv(4, 2, FastUnpoolConv).train()
    with torch.no_grad():
        block.up.conv_d.bias += 5  # a norm for each phase would take this up
    y = block.bn(block.up(torch.randn(8, 4, 6, 6)))
    assert y.mean((0, 2, 3)).abs().max() < 1e-5
    assert y[..., 1::2, 1::2].mean() > 1


def test_deconvolution_cells_touch_one_value() -> None:
    block = DeConv(4, 2)
    assert block.up.bias is None
    x = torch.randn(1, 4, 3, 5)
    y = block.up(x)
    x[..., 1, 2] = 7.0
    changed = (block.up(x) != y).any(1)[0]
    assert changed.sum() == 4
    assert changed[2:4, 4:6].all()


# -- Networks --------------------------------------------------------------------------------------------


def test_channels_are_halved_without_a_relu() -> None:
    torch.manual_seed(0)
    network = Laina(THIN, decoder="upconv").train()
    features = network.reduce(network.encoder(torch.rand(2, 3, 64, 96) * 255)[-1])
    assert features.min() < 0
    assert [type(module).__name__ for module in network.reduce] == ["Conv2d", "BatchNorm2d"]
    assert network.reduce.conv.bias is not None
    assert network.encoder.conv1.bias is not None
    channels = [block.bn.num_features for block in on_meta("laina-resnet50-upconv").decoder]
    assert all(a == 2 * b for a, b in pairwise([1024, *channels]))


def test_output_is_metres_behind_a_relu() -> None:
    network = Laina(THIN, decoder="deconv", dropout=0.3)
    assert [type(module).__name__ for module in network.answer] == ["Dropout", "Conv2d", "ReLU"]
    assert network.answer.dropout.p == 0.3
    assert Laina(THIN).answer.dropout.p == 0.5
    nn.init.constant_(network.answer.conv.bias, -1e9)
    image = torch.rand(1, 3, 64, 96)
    assert network(network.normalise(image)).abs().max() == 0
    assert torch.equal(network.predict(image), torch.full((1, 1, 64, 96), 0.1))
    assert torch.equal(network.to_depth(image), image)


def test_the_input_is_raw_rgb() -> None:
    network = on_meta("laina-resnet50-upproj-fast")
    assert network.input_size == network.image_size == (228, 304)
    assert network.covered == (0, 228, 0, 304)
    white = network.normalise(torch.ones(1, 3, 2, 2))
    torch.testing.assert_close(white, torch.full_like(white, 255.0))


@pytest.mark.parametrize("decoder", ["deconv", "upconv", "upproj", "fc"])
@pytest.mark.parametrize("init", ["he", "normal"])
def test_training_starts_near_the_mean_depth(decoder: str, init: str) -> None:
    torch.manual_seed(0)
    make = LainaFC if decoder == "fc" else partial(Laina, decoder=decoder)
    network = make(ROOMS, mean_depth=3.0, init=init).train()
    output = network(network.normalise(torch.rand(4, 3, 96, 128))).detach()
    assert output.shape == (4, 1, 48, 64)
    assert float(output.mean()) == pytest.approx(3.0, rel=0.12)  # features are not quite normal
    assert (output > 0).float().mean() > 0.999


def test_nothing_is_out_of_reach_from_the_start() -> None:
    """Every feature adds depth: with a bias of some depth and features that take from it, the bias would be
    the farthest that the network can say.
    """
    answer = Laina(ROOMS, mean_depth=3.0).answer.conv
    assert answer.bias.item() == 0
    assert (answer.weight > 0).all()


def test_new_weights_have_their_deviation() -> None:
    size = LainaSize(partial(resnet50, width=2), reduce=(1, 256))
    for fast in (False, True):
        he, normal = (Laina(size, fast=fast, init=init) for init in ("he", "normal"))
        for network, expected in ((he, (2 / (6.25 * 256)) ** 0.5), (normal, 0.01)):
            for name, weight in network.decoder.up2.skip.up.named_parameters():
                if name.endswith("weight"):
                    assert float(weight.detach().std()) == pytest.approx(expected, rel=0.02)
                else:
                    assert weight.abs().max() == 0
    deconv = Laina(size, decoder="deconv").decoder.up2.up.weight
    assert float(deconv.detach().std()) == pytest.approx((2 / 256) ** 0.5, rel=0.02)


def test_mistaken_words_are_refused() -> None:
    with pytest.raises(ValueError, match="decoder must be one of deconv, upconv, upproj, got 'upsample'"):
        Laina(THIN, decoder="upsample")
    with pytest.raises(ValueError, match="init must be 'he' or 'normal', got 'xavier'"):
        Laina(THIN, init="xavier")


# -- Released weights ------------------------------------------------------------------------------------


def _shapes(network: Laina) -> dict[str, tuple[int, ...]]:
    """The released arrays' names and shapes: kernels are (rows, columns, inputs, outputs)."""
    state = network.state_dict()
    shapes = {name: tuple(state[key].shape) for key, name in tf_names(network).items()}
    return {n: (*s[2:], s[1], s[0]) if len(s) == 4 else s for n, s in shapes.items()}


def test_the_released_arrays_are_named_as_in_the_release() -> None:
    with torch.device("meta"):
        shapes = _shapes(released())
    lines = sorted(f"{name} {'x'.join(map(str, shape))}" for name, shape in shapes.items())
    assert len(lines) == 394
    assert sum(torch.Size(shape).numel() for shape in shapes.values()) == 63_633_665
    states = (s for n, s in shapes.items() if n.endswith(("/mean", "/variance")))
    assert sum(torch.Size(shape).numel() for shape in states) == 60_928
    assert shapes["conv1/weights"] == (7, 7, 3, 64)
    assert shapes["res4f_branch2b/weights"] == (3, 3, 256, 256)
    assert shapes["layer8x_br2_ConvB/weights"] == (2, 3, 256, 128)
    assert sha256("\n".join(lines).encode()).hexdigest() == DIGEST


DIGEST = "ea180d59166c65d583bbe968ca34f958271f736225fa9120277ed75ed942175e"
"""Of the sorted lines "<name> <shape>" of the 394 variables of the release."""


def _made_up(network: Laina) -> dict[str, torch.Tensor]:
    """Random arrays of the released names; variances are positive."""
    torch.manual_seed(1)
    return {n: torch.rand(s) + 0.5 if n.endswith("variance") else torch.randn(s) / 4
            for n, s in _shapes(network).items()}  # fmt: skip


def test_every_array_is_used_once_where_it_belongs() -> None:
    network = released(THIN)
    arrays = _made_up(network)
    load_tf(network, {name: array.numpy() for name, array in arrays.items()})
    state = network.state_dict()
    names = tf_names(network)
    assert sorted(names.values()) == sorted(arrays)
    assert state.keys() - names.keys() == {key for key in state if key.endswith("num_batches_tracked")}
    for key, name in names.items():
        array = arrays[name]
        expected = array.permute(3, 2, 0, 1) if array.ndim == 4 else array
        assert torch.equal(state[key], expected), key
    kernel = arrays["layer4x_br1_ConvC/weights"]
    assert network.decoder.up4.main.up.conv_c.weight[3, 5, 2, 1] == kernel[2, 1, 5, 3]


def _norm(x: torch.Tensor, arrays: dict[str, torch.Tensor], layer: str) -> torch.Tensor:
    """Batch norm in evaluation mode, channels last, written out."""
    mean, variance, scale, offset = (arrays[f"{layer}/{p}"] for p in ("mean", "variance", "scale", "offset"))
    return (x - mean) / (variance + 1e-4).sqrt() * scale + offset


def _windows(
    x: torch.Tensor, arrays: dict[str, torch.Tensor], layer: str, pad: tuple[int, ...]
) -> torch.Tensor:
    """Convolution, channels last, as a product of windows and kernel; pad is top, bottom, left, right."""
    kernel, bias = arrays[f"{layer}/weights"], arrays[f"{layer}/biases"]
    rows, columns = kernel.shape[:2]
    padded = functional.pad(x, (0, 0, pad[2], pad[3], pad[0], pad[1]))
    windows = padded.unfold(1, rows, 1).unfold(2, columns, 1)  # B H W C rows columns
    return torch.einsum("bhwcrs,rsco->bhwo", windows, kernel) + bias


def _branch(x: torch.Tensor, arrays: dict[str, torch.Tensor], layer: str) -> torch.Tensor:
    """Four convolutions padded before the map; A with B, C with D by rows, then both by columns."""
    pads = {"A": (1, 1, 1, 1), "B": (1, 0, 1, 1), "C": (1, 1, 1, 0), "D": (1, 0, 1, 0)}
    a, b, c, d = (_windows(x, arrays, f"{layer}_Conv{letter}", pad) for letter, pad in pads.items())
    left, right = torch.stack([a, b], 2).flatten(1, 2), torch.stack([c, d], 2).flatten(1, 2)
    return _norm(torch.stack([left, right], 3).flatten(2, 3), arrays, f"{layer}_BN")


def test_a_loaded_block_computes_what_the_release_does() -> None:
    network = released(THIN)
    arrays = _made_up(network)
    load_tf(network, arrays).eval()
    features = torch.randn(2, 16, 3, 4)
    x = features.permute(0, 2, 3, 1)
    main = torch.relu(_branch(x, arrays, "layer4x_br1"))
    main = _norm(_windows(main, arrays, "layer4x_Conv", (1, 1, 1, 1)), arrays, "layer4x_BN")
    expected = torch.relu(main + _branch(x, arrays, "layer4x_br2")).permute(0, 3, 1, 2)
    torch.testing.assert_close(network.decoder.up4(features), expected, rtol=1e-4, atol=1e-4)
    assert all(m.eps == EPSILON for m in network.modules() if isinstance(m, nn.BatchNorm2d))


def test_arrays_that_do_not_fit_are_refused() -> None:
    network = released(THIN)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    arrays = _made_up(network)
    some = {name: array for name, array in arrays.items() if name != "layer1/biases"}
    with pytest.raises(
        DataError, match=r"expected 394 arrays, missing: 1 \(layer1/biases\), not known: none"
    ):
        load_tf(network, some)
    with pytest.raises(DataError, match=r"missing: none, not known: 1 \(fc/weights\)"):
        load_tf(network, arrays | {"fc/weights": torch.zeros(1)})
    wrong = arrays | {"ConvPred/weights": torch.zeros(3, 3, 1, 2)}
    with pytest.raises(DataError, match=r"1 \(ConvPred/weights\) of another shape"):
        load_tf(network, wrong)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    with pytest.raises(
        ValueError, match=r"decoder\.up2\.main\.up\.conv: the released network has no such layer"
    ):
        tf_names(Laina(THIN))
    assert RESNET50.mean == (0.0, 0.0, 0.0)
