"""The networks against every size and count that the paper prints or that follows from it."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from mdepth.models import build, count_parameters, layer_sizes
from mdepth.models.eigen import (
    KITTI,
    NYU,
    ROADS,
    ROOMS,
    EigenCoarse,
    EigenFine,
    EigenReleased,
    EigenSize,
    EigenUpsampled,
)

# Figure 1 of the paper, rows x columns x channels; "conv" before its pool and the vectors: released code
PRINTED = {
    "eigen-coarse-nyu": {
        "coarse1.conv": (56, 75, 96), "coarse1.pool": (27, 37, 96), "coarse2.pool": (13, 18, 256),
        "coarse3.conv": (13, 18, 384), "coarse4.conv": (13, 18, 384), "coarse5.pool": (6, 8, 256),
        "coarse6.fc": (1, 1, 4096), "coarse7.fc": (1, 1, 4070), "coarse7.map": (55, 74, 1),
    },
    "eigen-coarse-kitti": {
        "coarse1.conv": (42, 143, 96), "coarse1.pool": (20, 71, 96), "coarse2.pool": (9, 35, 256),
        "coarse3.conv": (9, 35, 384), "coarse4.conv": (9, 35, 384), "coarse5.pool": (4, 17, 256),
        "coarse6.fc": (1, 1, 4096), "coarse7.fc": (1, 1, 3834), "coarse7.map": (27, 142, 1),
    },
}  # fmt: skip
COUNTS = {
    "coarse1.conv": 34_944, "coarse2.conv": 614_656, "coarse3.conv": 885_120, "coarse4.conv": 1_327_488,
    "coarse5.conv": 884_992,
}  # fmt: skip
VECTORS = {"eigen-coarse-nyu": (50_335_744, 16_674_790), "eigen-coarse-kitti": (71_307_264, 15_707_898)}
TOTALS = {"eigen-coarse-nyu": 70_757_734, "eigen-coarse-kitti": 90_762_362}


def on_paper(name: str) -> EigenCoarse:
    """The network without numbers in it: shapes cost nothing."""
    with torch.device("meta"):
        network = build(name)
    assert isinstance(network, EigenCoarse)
    return network


@pytest.mark.parametrize("name", PRINTED)
def test_map_sizes_are_the_printed_ones(name: str) -> None:
    rows = {row.name: (*row.size, row.channels) for row in layer_sizes(on_paper(name))}
    assert {key: rows[key] for key in PRINTED[name]} == PRINTED[name]


@pytest.mark.parametrize("name", PRINTED)
def test_parameter_counts(name: str) -> None:
    network = on_paper(name)
    rows = {row.name: row.parameters for row in layer_sizes(network)}
    assert {key: rows[key] for key in COUNTS} == COUNTS
    assert sum(COUNTS.values()) == 3_747_200
    assert (rows["coarse6.fc"], rows["coarse7.fc"]) == VECTORS[name]
    assert count_parameters(network) == TOTALS[name]


def test_the_figure_read_literally_fails_its_own_table() -> None:
    """2x2 pools and an unpadded first convolution give other maps than the ones printed beside them."""
    for size, wrong in ((NYU, {"coarse5": (6, 9)}), (KITTI, {"coarse2": (10, 35), "coarse5": (5, 17)})):
        with torch.device("meta"):
            network = EigenCoarse(size)
        for stage in (network.coarse1, network.coarse2, network.coarse5):
            stage.pool = nn.MaxPool2d(2, 2)
        network.coarse1.conv.padding = (0, 0)
        x = torch.zeros(1, 3, *size.input_size, device="meta")
        found = {}
        for name in ("coarse1", "coarse2", "coarse3", "coarse4", "coarse5"):
            x = network.get_submodule(name)(x)
            found[name] = tuple(x.shape[-2:])
        assert {name: found[name] for name in wrong} == wrong
        assert found["coarse5"] != {NYU: (6, 8), KITTI: (4, 17)}[size]


def test_predicted_region_is_the_eigen_crop() -> None:
    nyu, kitti = on_paper("eigen-coarse-nyu"), on_paper("eigen-coarse-kitti")
    assert nyu.covers(240, 320) == (10, 230, 12, 308)
    assert nyu.covers(480, 640) == (20, 460, 24, 616)
    _, _, left, right = kitti.covers(368, 1224)
    assert (left, right) == (
        44,
        1180,
    )  # 142 x 8 pixels, as the crop other groups use: 0.0359477 and 0.96405229
    top, bottom, _, _ = kitti.covers(370, 1224)
    assert abs(top - 123) <= 1
    assert abs((bottom - top) - 216) <= 2


def test_output_is_linear_log_depth_and_may_be_negative() -> None:
    network = EigenCoarse(ROOMS, mean_log_depth=-2.0).eval()
    output = network(torch.zeros(1, 3, *network.input_size))
    assert output.max() < 0  # a ReLU here would forbid every depth below one metre
    torch.testing.assert_close(network.to_depth(output), output.exp())


def test_input_is_the_released_one_over_a_hundred() -> None:
    """Released: pixel - 128, and the convolutions' result times 0.01."""
    pixels = torch.tensor([0.0, 128.0, 228.0, 255.0]).reshape(1, 1, 1, 4).expand(1, 3, 1, 4)
    found = EigenCoarse(ROOMS).normalise(pixels / 255)
    torch.testing.assert_close(found[0, 0, 0], torch.tensor([-1.28, 0.0, 1.0, 1.27]))


def test_the_smallest_depth_of_an_image_with_holes_is_that_of_its_surfaces() -> None:
    """A hole is 0: it is not the smallest depth, whose pixels must go as well."""
    from mdepth.recipes.eigen_data import inside

    depth = torch.tensor([[0.0, 1.0, 2.0], [1.0, 3.0, 0.0]])[None, None]
    assert inside(depth)[0, 0].tolist() == [[False, False, True], [False, False, False]]
    assert not inside(torch.zeros(1, 1, 2, 2)).any()


def test_dropout_acts_on_the_hidden_vector_alone() -> None:
    network = EigenCoarse(ROOMS)
    dropouts = [name for name, module in network.named_modules() if isinstance(module, nn.Dropout)]
    assert dropouts == ["coarse6.dropout"]
    assert network.coarse6.dropout.p == 0.5
    x = torch.rand(1, 3, *network.input_size)
    torch.testing.assert_close(network.features(x), network.features(x))
    torch.manual_seed(0)
    assert not torch.equal(network(x), network(x))  # in training
    network.eval()
    assert torch.equal(network(x), network(x))


def test_untrained_network_says_the_mean() -> None:
    network = EigenCoarse(ROOMS, mean_log_depth=1.0)
    depth = network.predict(torch.full((1, 3, 96, 128), 0.5))
    assert abs(depth.log().mean() - 1.0) < 0.2


@pytest.mark.parametrize(("init", "spread"), [("he", (2 / (64 * 9)) ** 0.5), ("released", 0.01)])
def test_initial_spread(init: str, spread: float) -> None:
    torch.manual_seed(0)
    network = EigenCoarse(ROOMS, init=init)
    assert network.coarse3.conv.weight.std().item() == pytest.approx(spread, rel=0.05)
    assert network.coarse7.fc.weight.abs().max() <= 0.005


def test_unknown_init_is_refused() -> None:
    with pytest.raises(ValueError, match="'he' or 'released', got 'xavier'"):
        EigenCoarse(ROOMS, init="xavier")


def test_templates_are_the_columns_of_the_last_layer() -> None:
    network = EigenCoarse(ROOMS).eval()
    templates = network.templates()
    assert templates.shape == (384, 22, 30)
    x = torch.rand(1, 3, *network.input_size)
    hidden = network.coarse6(network.features(x).flatten(1))[0]
    built = torch.einsum("j,jhw->hw", hidden, templates) + network.coarse7.fc.bias.view(22, 30)
    torch.testing.assert_close(network(x)[0, 0], built, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["eigen-coarse-rooms", "eigen-coarse-roads"])
def test_small_networks_fit_four_megabytes(name: str) -> None:
    network = on_paper(name)
    assert 2 * count_parameters(network) < 3_000_000
    h, w = network.output_size
    top, bottom, left, right = network.covered
    assert (4 * h, 4 * w) == (bottom - top, right - left)


# Figure 1, the fine stage, rows x columns x channels; the convolution before its pool: arithmetic
FINE = {
    "eigen-fine-nyu": {"fine1.conv": (111, 149, 63), "fine1.pool": (55, 74, 63), "fine3.conv": (55, 74, 64),
                       "fine4.conv": (55, 74, 1)},
    "eigen-fine-kitti": {"fine1.pool": (27, 142, 63), "fine3.conv": (27, 142, 64),
                         "fine4.conv": (27, 142, 1)},
}  # fmt: skip


@pytest.mark.parametrize("name", FINE)
def test_fine_sizes_and_counts(name: str) -> None:
    with torch.device("meta"):
        network = build(name)
    rows = {row.name: row for row in layer_sizes(network)}
    assert {key: (*rows[key].size, rows[key].channels) for key in FINE[name]} == FINE[name]
    counts = [rows[key].parameters for key in ("fine1.conv", "fine3.conv", "fine4.conv")]
    assert counts == [15_372, 102_464, 1_601]
    assert count_parameters(network) - count_parameters(network.coarse) == sum(counts) == 119_437  # type: ignore[arg-type]


def test_kitti_fine_network_sees_the_part_that_the_lidar_reaches() -> None:
    assert KITTI.fine_box == (51, 167, 0, 576)  # 116 rows: 115 to 118 give the printed 27
    assert NYU.fine_box == (0, 228, 0, 304)


@pytest.mark.parametrize("size", [NYU, KITTI, ROOMS, ROADS])
def test_fine_output_sees_45_pixels_around_where_its_target_is_sampled(size: EigenSize) -> None:
    """The paper's text prints 45 x 45; the target of output (i, j) is covered pixel (4 i + 1, 4 j + 1)."""
    network = EigenFine(replace(size, channels=(1, 1, 1, 1, 1), hidden=1, fine=(1, 1))).eval()
    for parameter in network.parameters():
        nn.init.constant_(parameter, 0.01)
    for module in network.modules():
        if isinstance(module, nn.MaxPool2d):
            module.forward = lambda x: nn.functional.avg_pool2d(x, 3, 2)  # every input counts
    network.see_coarse = lambda x: torch.zeros(1, 1, *network.output_size)  # type: ignore[method-assign]
    x = torch.ones(1, 3, *size.input_size, requires_grad=True)
    i, j = (side // 2 for side in network.output_size)
    network(x)[0, 0, i, j].backward()
    assert x.grad is not None
    rows, columns = (x.grad.abs().sum((0, 1)).sum(axis).nonzero().flatten() for axis in (1, 0))
    assert len(rows) == len(columns) == 45
    top, _, left, _ = size.covered
    assert rows.float().mean() == top + 4 * i + 1
    assert columns.float().mean() == left + 4 * j + 1


def test_a_2x2_pool_would_see_43_pixels() -> None:
    reach = lambda pool: 9 + 2 * ((pool - 1) + 2 * (4 + 4))  # noqa: E731  9x9/2, pool/2, two 5x5
    assert (reach(3), reach(2)) == (45, 43)


def test_second_stage_leaves_the_coarse_network_alone() -> None:
    network = EigenFine(ROOMS).train()
    x = torch.rand(2, 3, *network.input_size)
    network.freeze_coarse()
    coarse = network.see_coarse(x)
    assert torch.equal(
        coarse, network.see_coarse(x)
    )  # its dropout is off although the network is in training
    assert not coarse.requires_grad
    network(x).mean().backward()
    assert {name.split(".")[0] for name, p in network.named_parameters() if p.grad is not None} == {
        "fine1", "fine3", "fine4",
    }  # fmt: skip
    network.eval().train()
    assert not network.coarse.training
    free = EigenFine(ROOMS)
    free(x).mean().backward()
    assert free.coarse.coarse1.conv.weight.grad is not None


def test_coarse_map_is_one_of_the_features_and_the_output_is_linear() -> None:
    torch.manual_seed(0)
    network = EigenFine(ROOMS, mean_log_depth=-2.0).eval()
    x = torch.rand(1, 3, *network.input_size)
    assert network(x).max() < 0
    before = network(x)
    network.coarse.coarse7.fc.bias.data += 1.0
    assert not torch.allclose(before, network(x))
    assert network.fine3.conv.in_channels == network.fine1.conv.out_channels + 1


def test_released_network_does_what_its_configuration_says() -> None:
    torch.manual_seed(0)
    small = replace(NYU, channels=(8, 8, 8, 8, 8), hidden=16, fine=(7, 8))
    network = EigenReleased(small)
    x = 40 * torch.randn(1, 3, *network.input_size)
    stage = network.coarse.coarse1
    pooled = nn.functional.max_pool2d(
        nn.functional.conv2d(x, stage.conv.weight, stage.conv.bias, 4, 2), 3, 2
    ).relu()
    squares = nn.functional.pad(pooled.square(), (0, 0, 0, 0, 2, 2)).unfold(1, 5, 1).sum(-1)
    torch.testing.assert_close(stage(x), pooled / (2 + 1e-4 * squares) ** 0.75)
    assert [name for name, m in network.named_modules() if isinstance(m, nn.LocalResponseNorm)] == [
        "coarse.coarse1.norm", "coarse.coarse2.norm",
    ]  # fmt: skip
    features = torch.rand(1, 8 * 6 * 8)
    hidden = network.coarse.coarse6.fc(features).relu()
    network.eval()
    torch.testing.assert_close(network.coarse.coarse6(features), 0.5 * hidden)  # afterwards: times 0.5
    network.train()
    torch.manual_seed(1)
    dropped = network.coarse.coarse6(features)
    assert (torch.isclose(dropped, hidden) | (dropped == 0)).all()  # in training: times 0 or 1
    image = torch.rand(1, 3, *network.input_size)
    seen = network.normalise(image)
    torch.testing.assert_close(seen, 255 * image - 128, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        network.see_fine(seen), (255 * image - 109.31410628) / 76.18328376, rtol=1e-4, atol=1e-4
    )


def test_released_units() -> None:
    network = EigenReleased(replace(NYU, channels=(4, 4, 4, 4, 4), hidden=4, fine=(3, 4))).eval()
    depth = network.predict(torch.full((1, 3, 240, 320), 0.5))
    assert depth.median().item() == pytest.approx(
        2.2813, rel=0.05
    )  # exp of the training set's mean log depth
    assert network.to_depth(torch.tensor(0.45723134)).item() == pytest.approx(1.5797, abs=1e-4)


def test_torchvisions_alexnet_fits_none_of_the_five_convolutions() -> None:
    from torchvision.models import alexnet

    with torch.device("meta"):
        theirs = [tuple(m.weight.shape) for m in alexnet().features if isinstance(m, nn.Conv2d)]
        ours = [
            tuple(build("eigen-coarse-nyu").get_parameter(f"coarse{n}.conv.weight").shape)
            for n in range(1, 6)
        ]
    assert len(theirs) == len(ours) == 5
    assert not any(a == b for a, b in zip(theirs, ours, strict=True))


def test_enlarged_output_is_smooth_and_has_few_weights() -> None:
    torch.manual_seed(0)
    network, whole = EigenUpsampled(ROOMS).eval(), EigenCoarse(ROOMS)
    assert network.coarse7.fc.out_features == 24
    assert network.output_size == whole.output_size
    x = torch.rand(1, 3, *network.input_size)
    hidden = network.coarse6(network.features(x).flatten(1))
    few = network.coarse7.fc(hidden).view(1, 1, 4, 6)
    wanted = nn.functional.interpolate(few, (22, 30), mode="bilinear", align_corners=False)
    torch.testing.assert_close(network(x), wanted)
    built = torch.einsum("j,jhw->hw", hidden[0], network.templates())
    torch.testing.assert_close(built + network.coarse7.fc.bias.mean(), network(x)[0, 0], rtol=1e-3, atol=1e-3)
    with torch.device("meta"):
        sides = build("eigen-upsampled-nyu").coarse7.map.unflattened_size  # type: ignore[union-attr]
    assert tuple(sides) == (1, 6, 8)
