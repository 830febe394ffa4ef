"""Monodepth2's networks: sizes and counts of the paper and the released files, conventions of the motions."""

from functools import partial

import pytest
import torch

from mdepth.geometry import invert_transform, transform_from_axis_angle
from mdepth.models import build, count_parameters, layer_sizes
from mdepth.models.encoders import resnet18, resnet34, resnet50
from mdepth.models.monodepth2 import RESNET18, DepthDecoder, Monodepth2
from mdepth.models.monodepth2_motion import (
    DepthAndPose,
    PoseCNN,
    PoseNetwork,
    PoseResNet,
    SharedPose,
)

SMALL, WIDTHS = partial(RESNET18, width=8), (4, 4, 8, 8, 16)
ENCODERS = {18: resnet18, 34: resnet34, 50: resnet50}


def small(**options) -> Monodepth2:
    torch.manual_seed(0)
    return Monodepth2((64, 96), SMALL, WIDTHS, **options)


# --- counts ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layers", "encoder", "decoder"),
    [(18, 11_176_512, 3_152_724), (34, 21_284_672, 3_152_724), (50, 23_508_032, 9_014_100)],
)
def test_parameters_of_the_depth_network(layers: int, encoder: int, decoder: int) -> None:
    with torch.device("meta"):
        network = build(f"monodepth2-resnet{layers}")
    assert count_parameters(network.encoder) == encoder
    assert count_parameters(network.decoder) == decoder


@pytest.mark.parametrize(
    ("layers", "encoder", "decoder"), [(18, 11_185_920, 1_314_572), (50, 23_517_440, 1_707_788)]
)
def test_parameters_of_the_pose_network(layers: int, encoder: int, decoder: int) -> None:
    with torch.device("meta"):
        pose = PoseResNet(encoder=partial(ENCODERS[layers], form="torchvision"))
    assert (count_parameters(pose.encoder), count_parameters(pose.decoder)) == (encoder, decoder)


def test_parameters_of_the_other_pose_networks() -> None:
    with torch.device("meta"):
        counts = [count_parameters(part) for part in (SharedPose(), PoseCNN(), PoseCNN(shown="all"))]
        mask = DepthDecoder((64, 64, 128, 256, 512), outputs=2)
    assert counts == [1_902_854, 1_586_774, 1_590_668]
    assert count_parameters(mask) == 3_154_888


def test_table_5_of_the_supplement() -> None:
    """Channels and sizes, level by level, at 192 x 640; every convolution keeps the size."""
    with torch.device("meta"):
        layers = layer_sizes(build("monodepth2-resnet18"))
    decoder = [(layer.channels, layer.size) for layer in layers if layer.name.startswith("decoder.b")]
    sizes = [(6, 20), (12, 40), (24, 80), (48, 160), (96, 320), (192, 640)]
    wanted = []
    for i, width in enumerate((256, 128, 64, 32, 16)):
        wanted += [(width, sizes[i]), (width, sizes[i + 1])]
    assert decoder == wanted
    answers = [(layer.channels, layer.size) for layer in layers if layer.name.startswith("decoder.answers")]
    assert answers == [(1, size) for size in sizes[2:]]


# --- the depth network ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(64, 96), (33, 33), (50, 71), (96, 64)])
def test_any_size_goes_in(size: tuple[int, int]) -> None:
    maps = small().pyramid(torch.rand(2, 3, *size))
    halves = [size]
    for _ in range(3):
        halves.append(tuple(-(-side // 2) for side in halves[-1]))
    assert [tuple(each.shape) for each in maps] == [(2, 1, *half) for half in halves]
    assert all(each.min() > 0 and each.max() < 1 for each in maps)


def test_depth_of_a_sigmoid() -> None:
    network = small()
    depth = network.to_depth(torch.tensor([0.0, 0.25, 0.5, 1.0], dtype=torch.float64))
    assert depth.tolist() == pytest.approx([100, 0.39880358923, 0.19980019980, 0.1], rel=1e-10)
    assert (network.metric, network.depth_range) == (False, (0.1, 100.0))


def test_a_stereo_network_is_metric() -> None:
    network = small(unit=5.4)
    assert network.metric
    assert network.depth_range == pytest.approx((0.54, 540.0))
    assert network.to_depth(torch.tensor(0.5)).item() == pytest.approx(5.4 * 0.19980019980, rel=1e-6)
    with pytest.raises(ValueError, match="positive"):
        small(unit=0.0)


def test_predict_resizes_inverse_depth() -> None:
    network, image = small().eval(), torch.rand(1, 3, 128, 192, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        inverse = network.to_inverse_depth(network(network.prepare(image)))
    wanted = 1 / torch.nn.functional.interpolate(inverse, (128, 192), mode="bilinear", align_corners=False)
    assert torch.allclose(network.predict(image), wanted, rtol=1e-5)


def test_normalisation_is_the_same_for_all_channels() -> None:
    image = torch.tensor([0.0, 0.45, 0.9]).view(1, 3, 1, 1)
    assert small().normalise(image).flatten().tolist() == pytest.approx([-2, 0, 2], abs=1e-6)


def test_margins_are_mirrored() -> None:
    """A map that is constant along a row stays so up to its ends, which zeros around it would bend."""
    decoder = DepthDecoder((8, 8, 16, 32, 64), WIDTHS)
    strides = zip(decoder.channels, (2, 4, 8, 16, 32), strict=True)
    maps = [torch.randn(1, c, 64 // s, 1).expand(-1, -1, -1, 96 // s) for c, s in strides]
    for found in decoder(maps, (64, 96)):
        assert torch.allclose(found, found[..., :1].expand_as(found), atol=1e-5)


def test_every_weight_learns() -> None:
    network = small()
    torch.stack([each.mean() for each in network.pyramid(torch.rand(2, 3, 64, 96))]).sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []


# --- motions --------------------------------------------------------------------------------------------


class Told(PoseNetwork):
    """A pose network that is told its answers, and writes down what it was shown."""

    def __init__(self, numbers: torch.Tensor, **options) -> None:
        super().__init__(**options)
        self.answers, self.shown_frames = numbers, []

    def numbers(self, views) -> torch.Tensor:
        self.shown_frames.append([view.flatten()[0].item() for view in views])
        return self.answers


NUMBERS = torch.tensor([[[0.02, -0.05, 0.01, 0.1, -0.02, 0.3], [9.0] * 6]])


def frames(*values: float) -> list[torch.Tensor]:
    """One-coloured frames."""
    return [torch.full((1, 3, 2, 2), value) for value in values]


def test_pairs_are_shown_in_the_order_of_time_and_the_earlier_is_inverted() -> None:
    pose = Told(NUMBERS, offsets=(-1, 1))
    target, before, behind = frames(0.0, -1.0, 1.0)
    T = pose(target, [before, behind])
    assert pose.shown_frames == [[-1.0, 0.0], [0.0, 1.0]]
    motion = transform_from_axis_angle(NUMBERS[:, 0, :3], NUMBERS[:, 0, 3:])
    assert torch.allclose(T[:, 1], motion, atol=1e-6)
    assert torch.allclose(T[:, 0], invert_transform(motion), atol=1e-6)


def test_golden_numbers_of_a_motion() -> None:
    target, *neighbours = frames(0.0, -1.0, 1.0)
    T = Told(NUMBERS, offsets=(-1, 1))(target, neighbours)[0]
    forward = [
        [0.9987003, -0.0104949, -0.0498749, 0.1],
        [0.0094951, 0.9997501, -0.0202399, -0.02],
        [0.0500749, 0.0197400, 0.9985504, 0.3],
    ]
    inverted = [
        [0.9987003, 0.0094951, 0.0500749, -0.1147026],
        [-0.0104949, 0.9997501, 0.0197400, 0.0151225],
        [-0.0498749, -0.0202399, 0.9985504, -0.2949824],
    ]
    assert torch.allclose(T[1, :3], torch.tensor(forward), atol=1e-6)
    assert torch.allclose(T[0, :3], torch.tensor(inverted), atol=1e-6)


def test_motions_have_32_bits_where_convolutions_have_16() -> None:
    target, *neighbours = frames(0.0, -1.0, 1.0)
    pose = Told(NUMBERS.bfloat16(), offsets=(-1, 1))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        T = pose(target, neighbours)[0]
    assert T.dtype == torch.float32
    assert torch.allclose(T[0] @ T[1], torch.eye(4), atol=1e-6)
    assert torch.allclose(T[1, :3, :3] @ T[1, :3, :3].T, torch.eye(3), atol=1e-6)


def test_all_frames_at_once_begin_with_the_target_and_nothing_is_inverted() -> None:
    numbers = torch.tensor([[[0.0, 0.0, 0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 2.0, 0.0]]])
    pose = Told(numbers, offsets=(-1, 1), shown="all")
    target, before, behind = frames(0.0, -1.0, 1.0)
    T = pose(target, [before, behind])
    assert pose.shown_frames == [[0.0, -1.0, 1.0]]
    assert T[0, :, :3, 3].tolist() == [[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]]


@pytest.mark.parametrize("shown", ["pairs", "all"])
@pytest.mark.parametrize("kind", ["separate", "shared", "cnn"])
def test_every_pose_network_moves_every_neighbour_and_learns(kind: str, shown: str) -> None:
    torch.manual_seed(0)
    depth = small()
    pose = {
        "separate": lambda: PoseResNet(shown=shown, encoder=SMALL, width=16),
        "shared": lambda: SharedPose(64, shown=shown, width=16),
        "cnn": lambda: PoseCNN(shown=shown, widths=(4, 4, 8, 8, 8, 8, 8)),
    }[kind]()
    both = DepthAndPose(depth, pose)
    image, neighbours = torch.rand(2, 3, 64, 96), torch.rand(2, 2, 3, 64, 96)
    found = both(image, neighbours)
    assert found.T_neighbour_target.shape == (2, 2, 4, 4)
    moved = (found.T_neighbour_target - torch.eye(4)).abs().amax(dim=(2, 3))
    assert moved.min() > 0
    assert moved.max() < 0.3  # near standing still at first
    found.T_neighbour_target[..., :3, :].square().sum().backward()
    still = [name for name, p in pose.named_parameters() if p.grad is None or not p.grad.any()]
    assert [name for name in still if "bias" not in name] == []


def test_the_shared_encoder_is_that_of_the_depth_network() -> None:
    both = DepthAndPose(small(), SharedPose(64, width=16))
    both(torch.rand(2, 3, 64, 96), torch.rand(2, 2, 3, 64, 96)).T_neighbour_target.sum().backward()
    assert both.depth.encoder.conv1.weight.grad.abs().sum() > 0


def test_without_a_pose_network_there_is_no_motion() -> None:
    found = DepthAndPose(small())(torch.rand(2, 3, 64, 96), torch.rand(2, 0, 3, 64, 96))
    assert found.T_neighbour_target.shape == (2, 0, 4, 4)
    assert found.masks == []


def test_masks_have_a_channel_for_every_neighbour() -> None:
    depth = small()
    mask = DepthDecoder(depth.encoder.channels, WIDTHS, outputs=2)
    found = DepthAndPose(depth, PoseResNet(encoder=SMALL, width=16), mask)(
        torch.rand(1, 3, 64, 96), torch.rand(1, 2, 3, 64, 96)
    )
    assert [each.shape[1] for each in found.masks] == [2, 2, 2, 2]


def test_depth_does_not_depend_on_the_neighbours() -> None:
    both = DepthAndPose(small(), PoseResNet(encoder=SMALL, width=16)).eval()
    image = torch.rand(1, 3, 64, 96)
    first, second = (both(image, torch.rand(1, 2, 3, 64, 96)).sigmoids[0] for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("options", [{"shown": "triples"}, {"offsets": (0, 1)}])
def test_what_a_pose_network_refuses(options) -> None:
    with pytest.raises(ValueError, match="'pairs' or 'all'"):
        PoseCNN(**options)


def test_a_zero_motion_is_exact() -> None:
    """An untrained answer of zero is the identity, to the bit: no small constant shifts it."""
    target, *neighbours = frames(0.0, 1.0, 2.0)
    T = Told(torch.zeros(1, 2, 6), offsets=(-1, 1))(target, neighbours)
    assert torch.equal(T, torch.eye(4).expand(1, 2, 4, 4))
