"""The known bugs of ports: each is wrong in the way that the chapter says, and right everywhere else."""

import math
import warnings
from typing import Any

import pytest
import torch
from mdepth_bugs.eigen import (
    DropoutOnFine,
    ReluOutput,
    SpatialDropout,
    Squeezed,
    StridedConv5,
    Swapped,
    Unfrozen,
    eight_bit,
    literal_sizes,
    loss_all_pixels,
    loss_mask_after_log,
    loss_over_batch,
    loss_plus,
    one_rate,
    only_full_layers,
    relative_depth,
    zoom_picture_only,
)

from mdepth.datasets.transforms import zoom
from mdepth.ledger.checks.eigen import receptive_field
from mdepth.losses import scale_invariant_loss
from mdepth.models import count_parameters, layer_sizes
from mdepth.models.eigen import KITTI, NYU, ROOMS, EigenCoarse, EigenFine, EigenSize
from mdepth.recipes import eigen as recipe

SIZES = pytest.mark.parametrize("size", [NYU, KITTI, ROOMS], ids=["nyu", "kitti", "rooms"])


def on_paper(kind: type[EigenCoarse], size: EigenSize) -> Any:
    """A network without numbers in it."""
    with torch.device("meta"):
        return kind(size)


def shapes(network: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}


def sizes(network: Any) -> dict[str, tuple[int, int]]:
    """Rows and columns behind each coarse stage, its last layer."""
    return {layer.name.split(".")[0]: layer.size for layer in layer_sizes(network) if layer.kernel}


def room(count: int = 2, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 3, *ROOMS.image_size, generator=torch.Generator().manual_seed(seed))


def pair(kind: Any, right: type[EigenCoarse | EigenFine] = EigenCoarse) -> tuple[Any, Any]:
    """The right network and the wrong one, with the same weights."""
    torch.manual_seed(0)
    good, bad = right(ROOMS), kind(ROOMS)
    bad.load_state_dict(good.state_dict())
    return good.eval(), bad.eval()


@SIZES
@pytest.mark.parametrize("kind", [StridedConv5, Swapped, Squeezed])
def test_weights_of_the_right_network_fit(kind: type[EigenCoarse], size: EigenSize) -> None:
    right, wrong = on_paper(EigenCoarse, size), on_paper(kind, size)
    assert shapes(wrong) == shapes(right)
    assert count_parameters(wrong) == count_parameters(right)


@pytest.mark.parametrize("kind", [StridedConv5, Swapped, Squeezed])
def test_and_give_another_map(kind: type[EigenCoarse]) -> None:
    right, wrong = pair(kind)
    assert wrong.predict(room()).shape == right.predict(room()).shape
    assert not torch.allclose(wrong.predict(room()), right.predict(room()))


def test_a_stride_in_convolution_5_has_the_printed_sizes_for_nyu_alone() -> None:
    assert sizes(on_paper(StridedConv5, NYU)) == sizes(on_paper(EigenCoarse, NYU))
    right, wrong = (sizes(on_paper(kind, KITTI)) for kind in (EigenCoarse, StridedConv5))
    assert {stage for stage in right if right[stage] != wrong[stage]} == {"coarse2", "coarse3", "coarse4"}
    assert wrong["coarse2"] == (10, 35)


def test_a_stride_in_convolution_5_sees_less_and_computes_less() -> None:
    fields, places = [], []
    for kind in (EigenCoarse, StridedConv5):
        layers = [layer for layer in layer_sizes(on_paper(kind, NYU)) if layer.kernel]
        fields.append(receptive_field([(layer.kernel, layer.stride) for layer in layers]))
        places.append(math.prod(next(layer.size for layer in layers if layer.name == "coarse5.conv")))
    assert fields == [195, 151]
    assert places == [13 * 18, 6 * 8]


def test_swapped_sides_cut_a_map_into_lines_of_the_wrong_length() -> None:
    right, wrong = pair(Swapped)
    assert (wrong.input_size, wrong.output_size) == ((124, 92), (30, 22))
    assert wrong.covered == (2, 122, 2, 90)
    assert torch.equal(wrong.templates().flatten(1), right.templates().flatten(1))
    answers = []
    for network in (right, wrong):
        torch.nn.init.zeros_(network.coarse7.fc.weight)
        network.coarse7.fc.bias.data = torch.arange(660.0)
        answers.append(network(torch.zeros(1, 3, *network.input_size)))
    assert torch.equal(answers[0].flatten(), answers[1].flatten())
    assert answers[1][0, 0, 1, 0] == 22  # the second line begins eight pixels early
    assert answers[0][0, 0, 1, 0] == 30


def test_squeezed_convolutions_see_columns_for_rows_and_keep_their_places() -> None:
    right, wrong = pair(Squeezed)
    seen = []
    wrong.coarse1.register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape[-2:])))
    x = wrong.prepare(room())
    assert wrong.features(x).shape == right.features(x).shape
    assert seen == [(124, 92)]
    for side, dim in ((124, -1), (92, -2)):  # what is new at the left, or at the top, is felt there
        new = x.clone()
        new.narrow(dim, 0, side // 3).add_(1)
        felt = (wrong.features(new) - wrong.features(x)).abs().sum(1)
        near, far = felt.tensor_split(2, dim)
        assert near.sum() > 2 * far.sum()


def test_relu_knows_nothing_below_one_metre() -> None:
    network = EigenCoarse(ROOMS, mean_log_depth=math.log(0.5))
    assert network.predict(room()).max() < 1
    assert (ReluOutput(network).predict(room()) == 1).all()
    far = EigenCoarse(ROOMS, mean_log_depth=math.log(3.0))
    assert torch.equal(ReluOutput(far).predict(room()), far.predict(room()))


def test_spatial_dropout_on_a_vector_is_plain_dropout_with_a_warning() -> None:
    right, wrong = pair(SpatialDropout)
    x, answers = right.prepare(room(8)), []
    for network in (right, wrong):
        torch.manual_seed(3)
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            answers.append(network.train()(x))
    assert torch.equal(*answers)
    assert "will result in an error" in str(heard[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert not torch.equal(wrong(x), wrong(x))  # it does drop something


def test_dropout_on_the_fine_features() -> None:
    right, wrong = pair(DropoutOnFine, EigenFine)
    x = right.prepare(room())
    assert torch.equal(right(x), wrong(x))
    right.train()
    wrong.train()
    assert torch.equal(wrong.coarse(x), wrong.coarse(x))
    assert not torch.equal(right.coarse(x), right.coarse(x))
    assert not torch.equal(wrong(x), wrong(x))


@pytest.mark.parametrize(
    ("size", "stage", "printed", "literal"),
    [
        (NYU, "coarse5", (6, 8), (6, 9)),
        (KITTI, "coarse2", (9, 35), (10, 35)),
        (KITTI, "coarse5", (4, 17), (5, 17)),
    ],
)
def test_the_literal_sizes_miss_the_printed_ones(
    size: EigenSize, stage: str, printed: Any, literal: Any
) -> None:
    found = {name: (rows, columns) for name, rows, columns in literal_sizes(*size.input_size)}
    assert found[stage] == literal
    assert sizes(on_paper(EigenCoarse, size))[stage] == printed


def logs(seed: int = 0, count: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    prediction, target = torch.randn(2, count, 1, 6, 8, generator=generator)
    return prediction, target, torch.rand(count, 1, 6, 8, generator=generator) < 0.6


@pytest.mark.parametrize("loss", [loss_all_pixels, loss_mask_after_log])
def test_without_holes_two_wrong_losses_are_right(loss: Any) -> None:
    prediction, target, valid = logs()
    full = torch.ones_like(valid)
    target_of_loss = target.exp() if loss is loss_mask_after_log else target
    right = scale_invariant_loss(prediction, target, full)
    assert loss(prediction, target_of_loss, full).item() == pytest.approx(right.item(), rel=1e-5)


def test_n_over_all_pixels_depends_on_the_holes() -> None:
    d = torch.full((1, 1, 4, 4), 0.4)
    valid = torch.arange(16).view(1, 1, 4, 4) < 4
    zero = torch.zeros_like(d)
    assert scale_invariant_loss(d, zero, valid).item() == pytest.approx(0.08)
    assert loss_all_pixels(d, zero, valid).item() == pytest.approx(0.16 * (0.25 - 0.5 * 0.25**2))


def test_one_hole_makes_the_mask_behind_the_logarithm_nan() -> None:
    prediction, target, valid = logs()
    depth = torch.where(valid, target.exp(), 0.0)
    assert loss_mask_after_log(prediction, depth, valid).isnan()
    assert scale_invariant_loss(prediction, torch.where(valid, target, 0.0), valid).isfinite()


def test_plus_punishes_a_factor_three_times_as_hard() -> None:
    d = torch.full((2, 1, 4, 4), 0.4)
    zero, valid = torch.zeros_like(d), logs(count=2)[2][..., :4, :4]
    right, wrong = scale_invariant_loss(d, zero, valid), loss_plus(d, zero, valid)
    assert wrong.item() == pytest.approx(3 * right.item())


def test_one_sum_for_the_batch_forgives_no_image_its_factor() -> None:
    d = torch.tensor([0.4, -0.4]).view(2, 1, 1, 1).expand(2, 1, 4, 4)
    zero, valid = torch.zeros(2, 1, 4, 4), torch.ones(2, 1, 4, 4, dtype=torch.bool)
    assert scale_invariant_loss(d, zero, valid).item() == pytest.approx(0.08)
    assert loss_over_batch(d, zero, valid).item() == pytest.approx(0.16)
    prediction, target, mask = logs(count=1)
    alone = scale_invariant_loss(prediction, target, mask)
    assert loss_over_batch(prediction, target, mask).item() == pytest.approx(alone.item(), rel=1e-5)


def test_relative_depth_has_no_unit_and_eight_bits_have_steps() -> None:
    depth = 0.5 + 7 * torch.rand(3, 1, 6, 8, generator=torch.Generator().manual_seed(0))
    relative, picture = relative_depth(depth), eight_bit(depth)
    assert (relative.amax((1, 2, 3)) == 1).all()
    assert torch.allclose(relative_depth(3 * depth), relative)
    grey = 255 * picture
    assert torch.allclose(grey, grey.round(), atol=1e-4)
    error = (picture - relative).abs().max().item()
    assert 0.4 / 255 < error <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize("scale", [1.1, 1.5])
def test_zooming_the_picture_only_makes_every_label_wrong_by_the_logarithm(scale: float) -> None:
    depth = 1 + torch.rand(2, 1, 96, 128, generator=torch.Generator().manual_seed(0))
    item = {"image": room(), "depth": depth, "valid": depth > 0, "K": torch.eye(3).expand(2, 3, 3)}
    right, wrong = zoom(item, scale), zoom_picture_only(item, scale)
    assert right.keys() == wrong.keys()
    assert torch.equal(right["image"], wrong["image"])
    error = wrong["depth"].log() - right["depth"].log()
    assert torch.allclose(error, torch.full_like(error, math.log(scale)), atol=1e-5)
    assert wrong["depth"].amax().item() == pytest.approx(depth.amax().item(), rel=1e-6)


def test_a_flag_that_nobody_reads_freezes_nothing() -> None:
    x = torch.zeros(2, 3, *ROOMS.input_size)
    for kind, trained in ((EigenFine, False), (Unfrozen, True)):
        network = kind(ROOMS).freeze_coarse().train()
        network(x).sum().backward()
        grads = [parameter.grad is not None for parameter in network.coarse.parameters()]
        assert all(grads) if trained else not any(grads)
        assert network.coarse.training is trained


def test_only_the_full_layers_learn() -> None:
    network = EigenCoarse(ROOMS)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    optimiser = torch.optim.SGD(only_full_layers(network, 0.1))
    network(torch.randn(2, 3, *ROOMS.input_size)).square().sum().backward()
    optimiser.step()
    changed = {
        name.split(".")[0] for name, value in network.state_dict().items() if not value.equal(before[name])
    }
    assert changed == {"coarse6", "coarse7"}
    nyu = on_paper(EigenCoarse, NYU)
    share = sum(
        p.numel() for group in only_full_layers(nyu, 0.1) for p in group["params"]
    ) / count_parameters(nyu)
    assert share == pytest.approx(0.947, abs=0.001)


def test_one_rate_for_what_the_paper_gives_two() -> None:
    nyu = on_paper(EigenCoarse, NYU)
    (group,) = one_rate(nyu, 0.001)
    assert len(group["params"]) == len(list(nyu.parameters()))
    assert {rates["lr"] for rates in recipe.optimiser(nyu, recipe.NYU).param_groups} == {0.001, 0.1}
