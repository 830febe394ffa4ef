"""The three-scale network of 2015 against every size that the paper prints or that follows from it."""

from dataclasses import replace
from math import prod

import pytest
import torch
from torch import nn
from torch.nn import functional

from mdepth.models import build, count_parameters, layer_sizes
from mdepth.models.eigen import ROOMS as ROOMS_2014
from mdepth.models.eigen import EigenFine
from mdepth.models.eigen_multiscale import (
    ALEXNET,
    ROOMS,
    SCALES,
    EigenMultiscale,
    MultiscaleSize,
    Scale1,
    enlarge_bilinear,
)

# The paper's table of sizes, rows x columns x channels
SCALE1 = {
    "eigen-multiscale-alexnet": {
        "layer1.pool": (27, 37, 96), "layer2.pool": (13, 18, 256), "layer3.conv": (13, 18, 384),
        "layer4.conv": (13, 18, 384), "layer5.pool": (6, 8, 256), "layer6.fc": (1, 1, 4096),
        "layer7.fc": (1, 1, 17_024), "layer7.maps": (14, 19, 64),
    },
    "eigen-multiscale-vgg": {
        "layer1.pool": (112, 150, 64), "layer2.pool": (56, 75, 128), "layer3.pool": (28, 37, 256),
        "layer4.pool": (14, 18, 512), "layer5.pool": (7, 9, 512), "layer6.fc": (1, 1, 4096),
        "layer7.fc": (1, 1, 17_024), "layer7.maps": (14, 19, 64),
    },
}  # fmt: skip
LOCAL = {
    "scale2.depth.layer1.conv": (111, 149, 96), "scale2.depth.layer1.pool": (55, 74, 96),
    "scale2.depth.layer2.conv": (55, 74, 64), "scale2.depth.layer3.conv": (55, 74, 64),
    "scale2.depth.layer4.conv": (55, 74, 64), "scale2.depth.layer5.conv": (55, 74, 1),
    "scale3.depth.layer1.conv": (111, 149, 96), "scale3.depth.layer1.pool": (109, 147, 96),
    "scale3.depth.layer2.conv": (109, 147, 64), "scale3.depth.layer3.conv": (109, 147, 64),
    "scale3.depth.layer4.conv": (109, 147, 1),
}  # fmt: skip
PAPER = tuple(SCALE1)
SMALL = replace(ALEXNET, channels=(2, 2, 2, 2, 2), hidden=4, maps=2, local=(2, 2))
"""The paper's sizes with hardly any channels."""


def on_paper(name: str, **options) -> EigenMultiscale:
    """The network without numbers in it: shapes cost nothing."""
    with torch.device("meta"):
        network = build(name, **options)
    assert isinstance(network, EigenMultiscale)
    return network


def picture(size: MultiscaleSize = ROOMS, batch: int = 1) -> torch.Tensor:
    return torch.rand(batch, 3, *size.input_size, generator=torch.Generator().manual_seed(0))


# --- sizes and counts


@pytest.mark.parametrize("name", PAPER)
def test_map_sizes_are_the_printed_ones(name: str) -> None:
    network = on_paper(name)
    rows = {row.name: (*row.size, row.channels) for row in layer_sizes(network)}
    assert {key: rows[f"scale1.{key}"] for key in SCALE1[name]} == SCALE1[name]
    assert {key: rows[key] for key in LOCAL} == LOCAL
    image = torch.zeros(2, 3, 228, 304, device="meta")
    assert network.scale1(image).shape == (2, 64, 55, 74)  # type: ignore[misc]
    assert network(image).shape == (2, 1, 109, 147)
    assert network.output_size == (109, 147) == (2 * 55 - 1, 2 * 74 - 1)
    assert network.without_scale3()(image).shape == (2, 1, 55, 74)


def test_the_vgg_form_with_padding_everywhere_fails_the_table() -> None:
    """With all convolutions padded, the map of 1.1 would be 114 x 152 and not the printed 112 x 150."""
    network = on_paper("eigen-multiscale-vgg")
    layer = network.get_submodule("scale1.layer1")
    image = torch.zeros(1, 3, 228, 304, device="meta")
    assert layer(image).shape[-2:] == (112, 150)
    for convolution in (layer.conv1, layer.conv2):
        convolution.padding = (1, 1)
    assert layer(image).shape[-2:] == (114, 152)


def test_parameter_counts() -> None:
    convolution = lambda inputs, outputs, side: outputs * (inputs * side**2 + 1)  # noqa: E731
    full = lambda inputs, outputs: outputs * (inputs + 1)  # noqa: E731
    local = {
        "scale2.depth": convolution(3, 96, 9) + convolution(96 + 64, 64, 5) + 2 * convolution(64, 64, 5)
        + convolution(64, 1, 5),
        "scale3.depth": convolution(3, 96, 9) + convolution(96 + 1, 64, 5) + convolution(64, 64, 5)
        + convolution(64, 1, 5),
    }  # fmt: skip
    assert local == {"scale2.depth": 486_017, "scale3.depth": 282_753}
    vgg = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    expected = {
        "eigen-multiscale-alexnet": (3_747_200, full(256 * 6 * 8, 4096)),
        "eigen-multiscale-vgg": (
            sum(convolution(vgg[n], vgg[n + 1], 3) for n in range(13)), full(512 * 7 * 9, 4096)
        ),
    }  # fmt: skip
    for name, (convolutions, layer6) in expected.items():
        network = on_paper(name)
        count = lambda part: count_parameters(network.get_submodule(part))  # noqa: B023, E731
        assert sum(count(f"scale1.layer{n}") for n in range(1, 6)) == convolutions
        assert count("scale1.layer6") == layer6
        assert count("scale1.layer7") == full(4096, 64 * 14 * 19) == 69_747_328
        assert {part: count(part) for part in local} == local
        total = convolutions + layer6 + 69_747_328 + sum(local.values())
        assert count_parameters(network) == total
        assert total == {"alexnet": 124_599_042, "vgg": 217_355_458}[name.split("-")[-1]]


def test_torchvisions_vgg16_fits_all_thirteen_convolutions() -> None:
    from torchvision.models import vgg16

    with torch.device("meta"):
        theirs = [tuple(m.weight.shape) for m in vgg16().features if isinstance(m, nn.Conv2d)]
    seen = on_paper("eigen-multiscale-vgg").scale1
    assert seen is not None
    assert [tuple(m.weight.shape) for m in seen.modules() if isinstance(m, nn.Conv2d)] == theirs
    assert len(theirs) == 13


def test_scale_two_joins_160_maps_and_scale_three_its_answer() -> None:
    network = on_paper("eigen-multiscale-alexnet", tasks=("depth", "normals", "labels"), classes=13)
    for task, answers in (("depth", 1), ("normals", 3), ("labels", 13)):
        assert network.get_submodule(f"scale2.{task}.layer2.conv").in_channels == 96 + 64 == 160
        assert network.get_submodule(f"scale3.{task}.layer2.conv").in_channels == 96 + answers
        assert network.get_submodule(f"scale3.{task}.layer4.conv").out_channels == answers


def test_small_network_is_small_and_twice_as_fine_as_the_one_of_2014() -> None:
    network = on_paper("eigen-multiscale-rooms")
    assert count_parameters(network) == 750_914 < 1_000_000
    with torch.device("meta"):
        old = EigenFine(ROOMS_2014)
    assert (network.image_size, network.input_size) == (old.image_size, old.input_size)
    assert network.size.scale2 == old.output_size
    assert network.output_size == (43, 59) == tuple(2 * side - 1 for side in old.output_size)
    top, bottom, left, right = network.covered
    assert (bottom - top, right - left) == (2 * 43, 2 * 59)


# --- where an answer lies


@pytest.mark.parametrize("size", [ALEXNET, ROOMS])
@pytest.mark.parametrize(("scale", "side"), [(2, 77), (3, 37)])
def test_local_scales_see_a_square_around_where_their_target_is_sampled(
    size: MultiscaleSize, scale: int, side: int
) -> None:
    """Released targets: the crop's pixels 5, 9, ... for scale 2, and 5, 7, ... for scale 3."""
    size = replace(size, channels=(1, 1, 1, 1, 1), hidden=1, maps=1, local=(1, 1))
    network = EigenMultiscale(size).eval()
    part = network.get_submodule(f"scale{scale}.depth")
    for parameter in part.parameters():
        nn.init.constant_(parameter, 0.01)
    pool = part.layer1.pool
    pool.forward = lambda x: functional.avg_pool2d(x, 3, pool.stride)  # every input counts
    (rows, columns), stride = (size.scale2, 4) if scale == 2 else (network.output_size, 2)
    x = torch.ones(1, 3, *size.input_size, requires_grad=True)
    i, j = rows // 2, columns // 2
    part(x, torch.zeros(1, 1, rows, columns))[0, 0, i, j].backward()
    assert x.grad is not None
    seen = [x.grad.abs().sum((0, 1)).sum(axis).nonzero().flatten() for axis in (1, 0)]
    assert [len(line) for line in seen] == [side, side]
    corner = size.border
    assert [line.float().mean().item() for line in seen] == [
        corner + stride * i + 1, corner + stride * j + 1
    ]  # fmt: skip


def test_released_region_runs_from_the_first_sampled_pixel_to_the_last() -> None:
    """Rows 11:227 and columns 13:305 of the 240 x 320 image; sampled at every other pixel of the cover."""
    network = on_paper("eigen-multiscale-alexnet")
    top, bottom, left, right = network.covers(240, 320)
    rows, columns = range(top, bottom)[1::2], range(left, right)[1::2]
    assert (len(rows), len(columns)) == network.output_size
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (11, 227, 13, 305)
    assert network.without_scale3().covers(240, 320) == (10, 230, 12, 308)  # the region of 2014


def test_scale_one_lies_on_the_grid_of_scale_two() -> None:
    """A single value of the 14 x 19 maps is strongest at four times its place, plus one."""
    scale1 = Scale1(SMALL)
    with torch.no_grad():
        scale1.layer7.fc.weight.zero_()
        scale1.layer7.fc.bias.zero_().view(2, 14, 19)[1, 5, 7] = 3.0
        maps = scale1(torch.zeros(1, 3, 228, 304))
    assert maps.shape == (1, 2, 55, 74)
    assert not maps[0, 0].any()
    assert maps[0, 1, 21, 29] == maps.max() == 3.0
    assert (maps[0, 1] > 0).sum() == 49
    torch.manual_seed(0)
    assert Scale1(ROOMS)(picture()).min() == 0  # released: a ReLU behind 1.7


def test_enlarged_map_is_bilinear_inside_and_fades_outside() -> None:
    maps = torch.randn(2, 3, 14, 19, generator=torch.Generator().manual_seed(0))
    large = enlarge_bilinear(maps)
    assert large.shape == (2, 3, 59, 79)
    inside = functional.interpolate(maps, (4 * 13 + 1, 4 * 18 + 1), mode="bilinear", align_corners=True)
    torch.testing.assert_close(large[..., 3:-3, 3:-3], inside)
    torch.testing.assert_close(large[..., 0, 3::4], 0.25 * maps[..., 0, :])


# --- the scales


@pytest.mark.parametrize("scales", SCALES)
def test_every_scale_of_the_comparison_can_stand_alone(scales: tuple[int, ...]) -> None:
    network = EigenMultiscale(ROOMS, tasks=("depth", "normals"), scales=scales)
    x = picture(batch=2)
    answers = network.outputs(x)
    size = (43, 59) if 3 in scales else (22, 30)
    assert {task: tuple(a.shape) for task, a in answers.items()} == {
        "depth": (2, 1, *size), "normals": (2, 3, *size)
    }  # fmt: skip
    sum(answer.square().mul(torch.rand_like(answer)).mean() for answer in answers.values()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
    parts = {name.split(".")[0] for name, _ in network.named_parameters()}
    assert parts == {f"scale{n}" for n in scales} | ({"answer1"} if scales == (1,) else set())
    stride, (top, bottom, left, right) = network.stride, network.covered
    assert (bottom - top, right - left) == (stride * size[0], stride * size[1])
    assert network.predict(torch.rand(1, 3, 96, 128)).shape == (1, 1, 96, 128)


def test_without_scale_three_is_what_scale_three_draws_again() -> None:
    torch.manual_seed(0)
    network = EigenMultiscale(ROOMS, bias_map=True).eval()
    lower = network.without_scale3()
    assert lower.scales == (1, 2)
    assert all(a is b for a, b in zip(lower.parameters(), network.parameters(), strict=False))
    assert not any(p.is_meta for p in lower.parameters())
    x = picture()
    second = lower(x)
    repeated = second.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)[..., :-1, :-1]
    torch.testing.assert_close(network(x), network.scale3["depth"](x, repeated))
    with pytest.raises(ValueError, match=r"no scale 3: its scales are \(1, 2\)"):
        lower.without_scale3()


def test_second_stage_leaves_scales_one_and_two_alone() -> None:
    network = EigenMultiscale(ROOMS, tasks=("depth", "normals")).train()
    network.freeze_below()
    x, lower = picture(batch=2), network.without_scale3()
    assert torch.equal(lower(x), lower(x))  # their dropout is off although the network is in training
    assert network.training
    sum(answer.mean() for answer in network.outputs(x).values()).backward()
    assert {name.split(".")[0] for name, p in network.named_parameters() if p.grad is not None} == {"scale3"}
    network.eval().train()
    assert not network.scale1.training  # type: ignore[union-attr]
    lower(x.requires_grad_()).mean().backward()
    assert x.grad.abs().sum() > 0  # type: ignore[union-attr]  # what the image does can still be asked
    free = EigenMultiscale(ROOMS)
    free(x).mean().backward()
    assert free.get_parameter("scale1.layer1.conv.weight").grad is not None


def test_dropout_acts_on_the_vector_behind_layer_six_alone() -> None:
    network = EigenMultiscale(ROOMS, dropout=0.8)
    found = {name: m.p for name, m in network.named_modules() if isinstance(m, nn.Dropout)}
    assert found == {"scale1.layer6.dropout": 0.8}


# --- the tasks


def test_shared_network_computes_scale_one_once_and_each_task_apart() -> None:
    torch.manual_seed(0)
    network = EigenMultiscale(ROOMS, tasks=("depth", "normals", "labels"), classes=5).eval()
    x, calls = picture(), []
    network.scale1.register_forward_hook(lambda *_: calls.append(1))  # type: ignore[union-attr]
    before = network.outputs(x)
    assert len(calls) == 1
    torch.testing.assert_close(network(x), before["depth"])
    assert before["labels"].shape == (1, 5, 43, 59)
    network.get_parameter("scale2.normals.layer1.conv.weight").data += 1.0
    after = network.outputs(x)
    assert {task for task in before if torch.equal(before[task], after[task])} == {"depth", "labels"}


def test_answers_start_at_the_mean_depth_facing_the_camera_and_at_even_odds() -> None:
    torch.manual_seed(0)
    network = EigenMultiscale(
        ROOMS, tasks=("depth", "normals", "labels"), classes=4, mean_log_depth=-1.0
    ).eval()
    for part in (network, network.without_scale3()):
        answers = part.outputs(picture())
        assert answers["depth"].max() < 0  # linear: a ReLU would forbid depths below one metre
        assert abs(answers["depth"].mean() + 1.0) < 0.3
        torch.testing.assert_close(answers["normals"].norm(dim=1), torch.ones_like(answers["normals"][:, 0]))
        assert answers["normals"][:, 2].mean() < -0.8
        assert answers["labels"].min() < 0 < answers["labels"].max()
        assert (answers["labels"].softmax(dim=1) - 0.25).abs().mean() < 0.1


def test_scale_three_sees_normals_of_unit_length() -> None:
    network = EigenMultiscale(ROOMS, tasks=("normals",)).eval()
    below = []
    network.scale3["normals"].register_forward_hook(lambda _, inputs, __: below.append(inputs[1]))
    network.outputs(picture())
    torch.testing.assert_close(below[0].norm(dim=1), torch.ones(1, 43, 59))


def test_predicted_normals_and_labels_lie_where_the_answers_are() -> None:
    torch.manual_seed(0)
    network = EigenMultiscale(ROOMS, tasks=("normals", "labels"), classes=3).train()
    image = torch.rand(2, 3, 96, 128)
    normals, labels = network.predict_normals(image), network.predict_labels(image)
    assert network.training
    assert torch.equal(normals, network.predict_normals(image))  # dropout does not show
    assert normals.shape == (2, 3, 96, 128)
    torch.testing.assert_close(normals.norm(dim=1), torch.ones(2, 96, 128))
    assert labels.shape == (2, 1, 96, 128)
    assert labels.dtype == torch.int64
    answers = network.eval().outputs(network.prepare(image))
    # an answer lies in the middle of its 2 x 2 pixels, of which the four are 1/4 off in both directions
    top, _, left, _ = network.covers(96, 128)
    i, j = 20, 30
    four = normals[..., top + 2 * i : top + 2 * i + 2, left + 2 * j : left + 2 * j + 2].mean((2, 3))
    torch.testing.assert_close(four, answers["normals"][..., i, j], atol=0.05, rtol=0)
    torch.testing.assert_close(normals[..., 0, :], normals[..., top, :])  # outside: the nearest
    cell = answers["labels"][0, :, 0, 0].argmax()
    assert labels[0, 0, : top + 1, : left + 1].eq(cell).all()


def test_bias_map_adds_a_number_to_every_pixel_of_scale_two() -> None:
    network = EigenMultiscale(SMALL, bias_map=True, tasks=("depth", "normals")).eval()
    maps = {name: p for name, p in network.named_parameters() if "bias_map" in name}
    assert {name: p.numel() for name, p in maps.items()} == {"scale2.depth.bias_map": 4070}
    x, lower = picture(SMALL), network.without_scale3()
    before = lower(x)
    with torch.no_grad():
        maps["scale2.depth.bias_map"][0, 0, 3, 4] = 2.0
    difference = lower(x) - before
    assert difference.count_nonzero() == 1
    assert difference[0, 0, 3, 4].item() == pytest.approx(2.0, abs=1e-5)


def test_a_network_without_depth_says_so() -> None:
    network = EigenMultiscale(ROOMS, tasks=("normals",))
    with pytest.raises(ValueError, match="tasks are normals, not depth"):
        network(picture())
    with pytest.raises(ValueError, match="tasks are normals, not labels"):
        network.predict_labels(torch.rand(1, 3, 96, 128))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tasks": ()}, r"one or more of depth, normals, labels, each once, got \(\)"),
        ({"tasks": ("depth", "depth")}, "each once"),
        ({"tasks": ("pose",)}, "got .'pose',"),
        ({"tasks": ("labels",)}, "need classes, 2 or more; got None"),
        ({"tasks": ("labels",), "classes": 1}, "got 1"),
        ({"classes": 4}, "labels, and only they"),
        ({"scales": (1, 3)}, r"got \(1, 3\)"),
        ({"scales": (1,), "bias_map": True}, "scale 2's depth"),
        ({"tasks": ("normals",), "bias_map": True}, "scale 2's depth"),
    ],
)
def test_what_cannot_be_built_is_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EigenMultiscale(ROOMS, **options)


def test_normalisation_is_the_released_one_over_a_hundred() -> None:
    pixels = torch.tensor([123.68, 116.779, 103.939]).view(1, 3, 1, 1)
    vgg = on_paper("eigen-multiscale-vgg").normalise(pixels / 255)
    torch.testing.assert_close(vgg, torch.zeros(1, 3, 1, 1), atol=1e-5, rtol=0)
    alexnet = EigenMultiscale(SMALL).normalise(torch.full((1, 3, 1, 1), 228 / 255))
    torch.testing.assert_close(alexnet, torch.ones(1, 3, 1, 1))


def test_multiplications_of_the_small_network_are_few() -> None:
    """What decides the time of a step, on any machine: at most 0.2 thousand million per image."""
    total = 0
    network = on_paper("eigen-multiscale-rooms")
    for row in layer_sizes(network):
        layer = network.get_submodule(row.name)
        if isinstance(layer, nn.Conv2d | nn.Linear):
            total += prod(layer.weight.shape) * prod(row.size)
    assert total < 0.2e9
