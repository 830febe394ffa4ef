"""Opinions, as many pixels of each, and the curves; the search; placing a mask in an image."""

import pytest
import torch
from test_masks_objective import Brightness

from mdepth.masks import (
    IMPORTANCE,
    answer,
    curve,
    find_mask,
    frozen,
    importance,
    keep,
    moved_by,
    place,
    predict_mask,
    remove,
    sparseness,
)
from mdepth.models import build
from mdepth.models.hu_masks import mask_predictor


class LeftHalf(Brightness):
    """Looks at the left half of the image alone."""

    def forward(self, x):
        x = x.clone()
        x[..., x.shape[-1] // 2 :] = 0
        return 3 + x.mean(dim=(1, 2, 3), keepdim=True).expand(-1, 1, 10, 14)


@pytest.fixture
def seen() -> torch.Tensor:
    return torch.rand(2, 3, 20, 28, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 1.0])
def test_keep_has_exactly_the_share_of_every_image(share, seen) -> None:
    mask = keep(seen[:, :1], share)
    assert mask.flatten(1).sum(dim=1).tolist() == [round(share * 560)] * 2
    assert set(mask.unique().tolist()) <= {0.0, 1.0}


def test_keep_takes_the_largest(seen) -> None:
    values = seen[:, :1]
    mask = keep(values, 0.3).bool()
    for one, chosen in zip(values, mask, strict=True):
        assert one[chosen].min() >= one[~chosen].max()


def test_masks_of_growing_share_are_nested(seen) -> None:
    small, large = keep(seen[:, :1], 0.1), keep(seen[:, :1], 0.2)
    assert (large >= small).all()


def test_ties_are_broken_by_lot_and_not_by_place() -> None:
    mask = keep(torch.zeros(1, 1, 40, 40), 0.5)
    for half in (mask[..., :20, :], mask[..., 20:, :], mask[..., :20], mask[..., 20:]):
        assert 0.4 < half.mean() < 0.6
    assert torch.equal(mask, keep(torch.zeros(1, 1, 40, 40), 0.5))


def test_keep_refuses() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        keep(torch.rand(1, 1, 2, 2), 1.2)
    with pytest.raises(ValueError, match="NaN"):
        keep(torch.full((1, 1, 2, 2), torch.nan), 0.5)


def test_sparseness_counts_what_is_above_the_threshold() -> None:
    mask = torch.tensor([[0.025, 0.0251], [0.0, 1.0]]).view(2, 1, 1, 2)
    assert sparseness(mask).tolist() == [0.5, 0.5]
    assert sparseness(mask, threshold=0.5).tolist() == [0.0, 0.5]


@pytest.mark.parametrize("name", IMPORTANCE)
def test_every_opinion_has_a_value_for_every_pixel_and_is_repeatable(name) -> None:
    network = frozen(build("eigen-coarse-rooms"))
    image = torch.rand(2, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    seen = network.view(image)
    before = torch.get_rng_state()
    first, again = importance(name, network, seen), importance(name, network, seen)
    assert torch.equal(before, torch.get_rng_state())
    assert first.shape == (2, 1, *seen.shape[-2:])
    assert first.isfinite().all()
    assert not first.requires_grad
    torch.testing.assert_close(first, again)


@pytest.mark.parametrize("name", ["saliency", "smoothgrad", "integrated", "occlusion"])
def test_those_that_ask_the_network_find_where_it_looks(name) -> None:
    wide = torch.rand(2, 3, 20, 80, generator=torch.Generator().manual_seed(0))
    found = importance(name, frozen(LeftHalf()), wide)
    left, right = found[..., :24], found[..., 56:]  # a window of occlusion reaches over the middle
    assert right.abs().max() <= 1e-6 * left.mean()


def test_grid_is_every_second_pixel_of_every_second_row_at_a_quarter() -> None:
    seen = torch.rand(1, 3, 16, 24)
    mask = keep(importance("grid", frozen(Brightness()), seen), 0.25)
    expected = torch.zeros(16, 24)
    expected[::2, ::2] = 1
    assert torch.equal(mask[0, 0], expected)
    sixteenth = keep(importance("grid", frozen(Brightness()), torch.rand(1, 3, 16, 32)), 1 / 16)
    assert sixteenth[0, 0, ::4, ::4].all()


def test_spots_are_chance_that_lies_together() -> None:
    wide = torch.rand(1, 3, 96, 128)
    spots, lots = (keep(importance(name, frozen(Brightness()), wide), 0.05) for name in ("spots", "random"))
    assert spots.sum() == lots.sum()
    beside = [(mask[..., 1:] * mask[..., :-1]).sum() / mask.sum() for mask in (spots, lots)]
    assert beside[0] > 0.8
    assert beside[1] < 0.1


def test_what_lies_under_a_mask_can_be_exchanged(seen) -> None:
    network = frozen(Brightness())
    whole = answer(network, seen)
    everything = torch.ones_like(seen[:, :1])
    assert moved_by(network, seen, everything).tolist() == [0.0, 0.0]
    expected = (whole - answer(network, seen.roll(1, dims=0))).square().mean(dim=(1, 2, 3)).sqrt()
    torch.testing.assert_close(moved_by(network, seen, everything, content=seen.roll(1, dims=0)), expected)
    half = 0.5 * everything
    expected = (whole - answer(network, remove(seen, half, "black"))).square().mean(dim=(1, 2, 3)).sqrt()
    torch.testing.assert_close(moved_by(network, seen, half, fill="black"), expected)
    nothing = 0 * everything  # then it does not matter what is under it
    torch.testing.assert_close(
        moved_by(network, seen, nothing, content=torch.ones_like(seen)), moved_by(network, seen, nothing)
    )


def test_edges_and_crests_of_a_step() -> None:
    seen = torch.full((1, 3, 24, 32), 0.2)
    seen[..., 16:] = 0.8
    edges = importance("edges", frozen(Brightness()), seen)[0, 0]
    assert (edges[:, 15:17] > 0).all()
    assert edges[:, :15].abs().max() < 1e-5
    assert edges[:, 17:].abs().max() < 1e-5
    crests = importance("canny", frozen(Brightness()), seen)[0, 0]
    assert 0 < (crests[4:-4] > 0).sum(dim=1).float().mean() <= 2
    assert (crests[4:-4, 12:20].sum(dim=1) > 0).all()


def test_unknown_opinion(seen) -> None:
    with pytest.raises(ValueError, match="random, spots, grid, edges"):
        importance("guess", frozen(Brightness()), seen)


def test_curve_ends_at_nothing_off_and_sees_the_truth(seen) -> None:
    network = frozen(LeftHalf())
    depth, valid = torch.full((2, 1, 10, 14), 3.0), torch.zeros(2, 1, 10, 14, dtype=torch.bool)
    valid[..., :4] = True
    depth[~valid] = torch.nan
    found = curve(network, seen, seen[:, :1], shares=(0.2, 1.0), truth=(depth, valid))
    assert found.shares == (0.2, 1.0)
    assert found.own[1].tolist() == [0, 0]
    assert (found.own[0] > 0).all()
    whole = network(network.normalise(seen)).detach()
    expected = (whole - 3).abs().amax(dim=(1, 2, 3))  # the same everywhere
    torch.testing.assert_close(found.truth[1], expected)
    assert curve(network, seen, seen[:, :1]).truth is None


def test_what_is_not_looked_at_costs_nothing(seen) -> None:
    importance_left = torch.zeros_like(seen[:, :1])
    importance_left[..., :14] = 1
    assert curve(frozen(LeftHalf()), seen, importance_left, shares=[0.5]).own.max() < 1e-6


def test_search_removes_what_is_not_looked_at_and_lowers_the_objective(seen) -> None:
    mask, objective = find_mask(frozen(LeftHalf()), seen, sparsity=0.5, steps=60)
    assert objective[-1] < objective[0]
    assert mask[..., 14:].max() < 0.1  # the right half, which costs and gives nothing
    assert not mask.requires_grad
    assert len(objective) == 60


def test_search_of_an_image_does_not_depend_on_those_beside_it(seen) -> None:
    network = frozen(LeftHalf())
    together, _ = find_mask(network, seen, steps=20)
    alone, _ = find_mask(network, seen[:1], steps=20)
    torch.testing.assert_close(together[:1], alone, atol=1e-3, rtol=0)


def test_predicted_masks_are_those_of_evaluation_mode() -> None:
    torch.manual_seed(0)
    predictor = mask_predictor("hu-mask-light").train()
    seen = torch.rand(2, 3, 40, 56)
    mask = predict_mask(predictor, seen)
    assert predictor.training
    assert not mask.requires_grad
    torch.testing.assert_close(mask[:1], predict_mask(predictor, seen[:1]))  # no batch statistics


def test_a_mask_is_placed_where_the_network_looked() -> None:
    network = Brightness()  # sees 20 x 28 in the middle of 24 x 32
    placed = place(network, torch.ones(1, 1, 20, 28), 48, 64)
    assert placed.shape == (1, 1, 48, 64)
    assert placed[..., 4:44, 4:60].min() == 1
    assert placed.sum() == 40 * 56
