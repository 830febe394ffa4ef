"""Properties that every network keeps, and the geometry of crops."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from mdepth import models
from mdepth.models.contract import DepthNetwork
from mdepth.models.eigen import EigenCoarse

SMALL = [name for name in models.names() if name.endswith(("rooms", "roads"))]


@pytest.fixture(scope="module", params=SMALL)
def network(request: pytest.FixtureRequest) -> DepthNetwork:
    torch.manual_seed(0)
    return models.build(request.param)


FAMILIES = {"transfer": ("transfer", "unet", "densedepth")}
"""Networks of a source that have names of their own."""


def test_names_and_cards() -> None:
    for name in models.names():
        entry = models.MODELS[name]
        assert name.split("-")[0] in FAMILIES.get(entry.source, (entry.source,))
        assert entry.summary


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown network 'eigne'.*eigen-coarse-nyu"):
        models.build("eigne")


def test_gradient_reaches_every_parameter(network: DepthNetwork) -> None:
    network.train()
    answers = getattr(network, "pyramid", lambda x: [network(x)])(torch.rand(2, 3, *network.input_size))
    sum(answer.square().mean() for answer in answers).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
    network.zero_grad()


@pytest.mark.parametrize("size", [(48, 64), (97, 131), (240, 320)])
def test_predict_keeps_size_and_range(
    network: DepthNetwork, size: tuple[int, int], generator: torch.Generator
) -> None:
    image = torch.rand(2, 3, *size, generator=generator)
    depth = network.predict(image)
    assert depth.shape == (2, 1, *size)
    low, high = network.depth_range
    assert depth.min() >= low
    assert depth.max() <= high


def test_predict_is_deterministic_and_treats_images_alike(
    network: DepthNetwork, generator: torch.Generator
) -> None:
    network.train()  # dropout must not show
    image = torch.rand(3, 3, *network.image_size, generator=generator)
    assert torch.equal(network.predict(image), network.predict(image))
    exact, image = deepcopy(network).double(), image.double()
    alone = torch.cat([exact.predict(image[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(exact.predict(image), alone, rtol=1e-9, atol=1e-9)
    assert network.training


def test_predict_leaves_frozen_parts_frozen() -> None:
    """A part that was put into evaluation mode while the rest trains is still there after a prediction."""
    network = models.build("eigen-coarse-rooms").train()
    network.get_submodule("coarse6").eval()
    before = {name: module.training for name, module in network.named_modules()}
    network.predict(torch.rand(1, 3, 48, 64))
    models.layer_sizes(network)
    with pytest.raises(ValueError, match="got shape"):
        network.predict(torch.rand(3, 48, 64))
    assert {name: module.training for name, module in network.named_modules()} == before


def test_predict_gives_back_the_type_of_the_image(network: DepthNetwork) -> None:
    assert network.predict(torch.rand(1, 3, 64, 96, dtype=torch.float64)).dtype == torch.float64


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (torch.rand(3, 48, 64), r"\(B, 3, H, W\).*add a batch axis"),
        (torch.rand(1, 1, 48, 64), r"got shape \(1, 1, 48, 64\)"),
        (torch.zeros(1, 3, 48, 64, dtype=torch.uint8), r"uint8.*divide 8-bit images by 255"),
        (torch.full((1, 3, 48, 64), 128.0), r"values from 128 to 128"),
        (torch.full((1, 3, 48, 64), float("nan")), "nan"),
        (torch.rand(1, 3, 4, 64), "at least 8 x 8"),
    ],
)
def test_predict_refuses_what_is_no_image(network: DepthNetwork, image: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        network.predict(image)


class Echo(DepthNetwork):
    """Returns the red channel of its input's covered part: shows where a prediction is put."""

    native = "depth"
    metric = True
    mean, std, depth_range = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.0, 1.0)

    def __init__(self, upsampling: str) -> None:
        super().__init__(image_size=(20, 30), input_size=(16, 24), covered=(2, 14, 4, 20))
        self.upsampling = upsampling  # type: ignore[misc]
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :1, 2:14, 4:20]

    def to_depth(self, native: torch.Tensor) -> torch.Tensor:
        return native


@pytest.mark.parametrize("upsampling", ["nearest", "bilinear"])
def test_prediction_lies_where_the_network_looked(upsampling: str, generator: torch.Generator) -> None:
    image = torch.rand(1, 3, 20, 30, generator=generator)
    network = Echo(upsampling)
    assert network.covers(20, 30) == (4, 16, 7, 23)
    assert network.covers(40, 60) == (8, 32, 14, 46)
    depth = network.predict(image)
    torch.testing.assert_close(depth[..., 4:16, 7:23], image[:, :1, 4:16, 7:23])
    torch.testing.assert_close(depth[..., 0, 10], image[:, :1, 4, 10])  # outside: the nearest prediction
    torch.testing.assert_close(depth[..., 19, 29], image[:, :1, 15, 22])


def test_nearest_means_the_nearest_centre() -> None:
    """12 rows on 20: row k shows the one in which its centre lies, (k + 0.5) 12 / 20."""
    rows = torch.arange(12.0).reshape(1, 1, 12, 1).expand(1, 1, 12, 16)
    network = Echo("nearest")
    top, bottom, left, _ = network.covers(34, 60)
    assert (top, bottom) == (7, 27)
    placed = network._place(rows, 34, 60)
    expected = [(2 * k + 1) * 12 // 40 for k in range(20)]
    assert placed[0, 0, top:bottom, left].tolist() == expected


def test_images_are_averaged_where_they_shrink() -> None:
    line = torch.zeros(1, 3, 40, 60)
    line[..., 31] = 1.0
    assert (Echo("nearest").prepare(line)[0, 0, 0] > 0).sum() == 2  # without anti-aliasing 1


def test_normalisation_is_mean_and_deviation(generator: torch.Generator) -> None:
    network = Echo("nearest")
    network.mean, network.std = (0.1, 0.2, 0.3), (0.5, 0.25, 2.0)
    image = torch.rand(1, 3, 20, 30, generator=generator)
    for channel, (mean, std) in enumerate(zip(network.mean, network.std, strict=True)):
        expected = (image[:, channel] - mean) / std
        torch.testing.assert_close(network.normalise(image)[:, channel], expected)


@pytest.mark.parametrize("box", [(0, 17, 0, 4), (-1, 4, 0, 4), (4, 4, 0, 4)])
def test_impossible_geometry_is_refused(box: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="covered"):
        DepthNetwork(image_size=(20, 30), input_size=(16, 24), covered=box)
    with pytest.raises(ValueError, match="input_size"):
        DepthNetwork(image_size=(10, 30), input_size=(16, 24), covered=(0, 4, 0, 4))


def test_layer_table_changes_no_statistics() -> None:
    network = Echo("nearest")
    network.norm = nn.BatchNorm2d(3)
    network.forward = lambda x: network.norm(x)[:, :1]  # type: ignore[method-assign]
    network.train()
    state = {name: value.clone() for name, value in network.state_dict().items()}
    models.layer_sizes(network)
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


def test_layer_table_leaves_no_hooks_behind() -> None:
    network = models.build("eigen-coarse-rooms")
    rows = models.layer_sizes(network)
    assert sum(row.parameters for row in rows) == models.count_parameters(network)
    assert all(not module._forward_hooks for module in network.modules())
    assert isinstance(network, EigenCoarse)


class Sides(DepthNetwork):
    """One layer of every kind that the table knows, two of them with kernels that are no squares."""

    mean, std, depth_range = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.0, 1.0)

    def __init__(self) -> None:
        super().__init__(image_size=(12, 16), input_size=(12, 16), covered=(0, 12, 0, 16))
        self.stack = nn.Sequential(
            nn.Conv2d(3, 4, (2, 3), stride=(2, 1), padding=(0, 1)), nn.ReLU(), nn.MaxPool2d(2),
            nn.AvgPool2d((1, 2)), nn.ConvTranspose2d(4, 2, 3, stride=(3, 3), bias=False),
            nn.Flatten(), nn.Linear(2 * 9 * 12, 6), nn.Unflatten(1, (1, 2, 3)),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.stack(x)


def test_layer_table_lists_every_kind_with_both_sides_of_its_kernel() -> None:
    rows = models.layer_sizes(Sides())
    assert [(row.op, row.kernel, row.stride) for row in rows] == [
        ("conv", (2, 3), 2), ("max pool", 2, 2), ("average pool", (1, 2), 1),
        ("deconvolution", 3, 3), ("fully connected", 0, 0), ("reshape", 0, 0),
    ]  # fmt: skip
    assert [(row.channels, *row.size) for row in rows] == [
        (4, 6, 16), (4, 3, 8), (4, 3, 4), (2, 9, 12), (6, 1, 1), (1, 2, 3),
    ]  # fmt: skip
    assert [row.parameters for row in rows] == [4 * 3 * 6 + 4, 0, 0, 4 * 2 * 9, 216 * 6 + 6, 0]


def test_layer_table_knows_subclasses_of_a_layer() -> None:
    network = Sides()
    network.stack[0] = type("Masked", (nn.Conv2d,), {})(3, 4, (2, 3), stride=(2, 1), padding=(0, 1))
    assert models.layer_sizes(network)[0].op == "conv"
