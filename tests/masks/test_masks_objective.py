"""What is minimised: the released code's product, the four fills, the objective and its bounds."""

import math

import pytest
import torch
from torch import nn

from mdepth.losses import hu_loss
from mdepth.masks import FILLS, answer, frozen, mask_objective, remove
from mdepth.masks.objective import infill
from mdepth.models import DepthNetwork, build

MEAN = (0.485, 0.456, 0.406)


class Brightness(DepthNetwork):
    """Depth is 1 m and the mean of the normalised colours; batch norm and dropout show the mode it is in."""

    native, metric, depth_range = "depth", True, (0.1, 10.0)
    mean, std = MEAN, (0.229, 0.224, 0.225)

    def __init__(self) -> None:
        super().__init__(image_size=(24, 32), input_size=(20, 28), covered=(0, 20, 0, 28))
        self.weigh, self.drop, self.norm = nn.Conv2d(3, 1, 1), nn.Dropout(0.5), nn.BatchNorm2d(1)
        nn.init.constant_(self.weigh.weight, 1 / 3)
        nn.init.zeros_(self.weigh.bias)

    def forward(self, x):
        return 1 + self.norm(self.drop(self.weigh(x)))

    def to_depth(self, native):
        return native


@pytest.fixture
def network() -> DepthNetwork:
    return frozen(Brightness())


@pytest.fixture
def seen(network) -> torch.Tensor:
    return network.view(torch.rand(2, 3, 48, 64, generator=torch.Generator().manual_seed(0)))


def soft(seen) -> torch.Tensor:
    return torch.rand(len(seen), 1, *seen.shape[-2:], generator=torch.Generator().manual_seed(1))


def test_view_is_what_enters_before_it_is_normalised(network) -> None:
    image = torch.rand(1, 3, 48, 64)
    assert network.view(image).shape == (1, 3, 20, 28)
    torch.testing.assert_close(network.normalise(network.view(image)), network.prepare(image))


def test_frozen_is_a_copy_that_stays_as_it_is() -> None:
    ours = Brightness()
    copy = frozen(ours)
    assert ours.training
    assert not copy.training
    assert all(weight.requires_grad for weight in ours.parameters())
    assert not any(weight.requires_grad for weight in copy.parameters())
    nn.init.zeros_(ours.weigh.weight)
    assert copy.weigh.weight.abs().sum() > 0


def test_answers_have_gradients_in_the_image_alone(network, seen) -> None:
    seen.requires_grad_()
    answer(network, seen).sum().backward()
    assert seen.grad is not None
    assert seen.grad.abs().min() > 0


def test_answer_is_predict_before_it_is_clipped_and_placed() -> None:
    network = frozen(build("eigen-coarse-rooms"))
    image = torch.rand(1, 3, *network.image_size)
    placed = network._place(answer(network, network.view(image)), *network.image_size)
    torch.testing.assert_close(placed.clamp(*network.depth_range), network.predict(image))


def test_fill_of_the_mean_is_the_released_product(network, seen) -> None:
    mask = soft(seen)
    released = network.normalise(seen) * mask
    torch.testing.assert_close(
        network.normalise(remove(seen, mask, "mean", network.mean)), released, atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("fill", FILLS)
def test_a_whole_mask_changes_nothing(fill, seen) -> None:
    torch.testing.assert_close(remove(seen, torch.ones_like(seen[:, :1]), fill), seen)


def test_what_an_empty_mask_leaves(seen) -> None:
    nothing = torch.zeros_like(seen[:, :1])
    assert (remove(seen, nothing, "black") == 0).all()
    grey = torch.tensor(MEAN).view(1, 3, 1, 1).expand_as(seen)
    torch.testing.assert_close(remove(seen, nothing, "mean"), grey)
    torch.testing.assert_close(remove(seen, nothing, "infill"), grey)
    blurred = remove(seen, nothing, "blur")
    torch.testing.assert_close(blurred.mean(), seen.mean(), atol=0.01, rtol=0)
    assert blurred.std() < 0.3 * seen.std()
    assert torch.equal(remove(seen, nothing, "other"), seen.roll(1, dims=0))


def test_another_image_stands_in_only_where_there_is_one(seen) -> None:
    with pytest.raises(ValueError, match="two or more"):
        remove(seen[:1], soft(seen[:1]), "other")


@pytest.mark.parametrize("fill", ["mean", "black", "blur"])
def test_a_masked_image_lies_between_image_and_fill(fill, seen) -> None:
    mask = soft(seen)
    other = remove(seen, torch.zeros_like(mask), fill)
    torch.testing.assert_close(remove(seen, mask, fill), other + mask * (seen - other))


def test_infill_keeps_what_is_kept_and_spreads_the_nearest_colour() -> None:
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., 2, 2] = mask[..., 13, 13] = 1
    image = torch.zeros(1, 3, 16, 16)
    image[..., :8] = 0.2
    image[..., 8:] = 0.9
    filled = remove(image, mask, "infill")
    assert filled[..., 2, 2].unique().tolist() == pytest.approx([0.2])
    assert (filled[..., :4, :4] < 0.4).all()
    assert (filled[..., 12:, 12:] > 0.7).all()
    assert (filled >= 0.2 - 1e-6).all()
    assert (filled <= 0.9 + 1e-6).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 3), (96, 128)])
def test_infill_of_any_size(size) -> None:
    image = torch.full((1, 3, *size), 0.25)
    mask = torch.zeros(1, 1, *size)
    mask[..., 0, 0] = 1
    torch.testing.assert_close(infill(image, mask), image)


def test_infill_of_a_faint_mask_is_refused_since_it_would_give_the_image_back(seen) -> None:
    faint = torch.full_like(seen[:, :1], 0.25)
    torch.testing.assert_close(faint * seen + (1 - faint) * infill(seen, faint), seen)
    with pytest.raises(ValueError, match="0 and 1"):
        remove(seen, faint, "infill")


def test_unknown_fill() -> None:
    with pytest.raises(ValueError, match="mean, black, blur, infill"):
        remove(torch.rand(1, 3, 8, 8), torch.ones(1, 1, 8, 8), "white")


def test_objective_is_loss_to_the_own_answer_and_mean_of_the_mask(network, seen) -> None:
    mask = soft(seen)
    found = mask_objective(network, seen, mask)
    whole, masked = answer(network, seen), answer(network, remove(seen, mask, "mean", network.mean))
    expected = hu_loss(masked, whole, torch.ones_like(whole, dtype=torch.bool))
    torch.testing.assert_close(found.difference, expected)
    torch.testing.assert_close(found.share, mask.mean())
    torch.testing.assert_close(found.loss(3.0), expected + 3 * mask.mean())
    torch.testing.assert_close(found.loss(), expected + 5 * mask.mean())


def test_objective_of_equal_maps_and_a_constant_mask() -> None:
    """The value of the facts: -2.0794415 + 5 x 0.1, where the network does not look at the image."""

    class Blind(Brightness):
        def forward(self, x):
            return 2 + 0 * x[:, :1]

    seen = torch.rand(1, 3, 20, 28)
    found = mask_objective(frozen(Blind()), seen, torch.full((1, 1, 20, 28), 0.1))
    assert found.loss().item() == pytest.approx(-1.5794415, abs=1e-6)
    assert found.difference.item() == pytest.approx(3 * math.log(0.5), abs=1e-6)


def test_target_that_is_known_is_not_asked_for_again(network, seen) -> None:
    mask = soft(seen)
    target = answer(network, seen)
    calls = []
    network.register_forward_hook(lambda *_: calls.append(1))
    given = mask_objective(network, seen, mask, target=target)
    assert len(calls) == 1
    torch.testing.assert_close(given.difference, mask_objective(network, seen, mask).difference)


def test_gradients_reach_the_mask_and_nothing_else(network, seen) -> None:
    mask = soft(seen).requires_grad_()
    mask_objective(network, seen, mask).loss().backward()
    assert mask.grad is not None
    assert (mask.grad != 0).any()
    assert all(weight.grad is None for weight in network.parameters())
