"""The coarse network against every size and count that the paper prints or that follows from it."""

import pytest
import torch
from torch import nn

from mdepth.models import build, count_parameters, layer_sizes
from mdepth.models.eigen import KITTI, NYU, ROOMS, EigenCoarse

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
