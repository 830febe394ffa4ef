"""Where one patch lies from another: how pairs are cut, what would give the place away, that it is learnt."""

import pytest
import torch
from torch import nn

from mdepth.models.encoders import resnet18
from mdepth.recipes.context import (
    PLACES,
    Cut,
    Places,
    Pooled,
    cut_pairs,
    learn_places,
    places_accuracy,
    shifted_colours,
)

SMALL = Cut(side=12, gap=4, jitter=2)


def numbered(count: int, height: int = 60, width: int = 80) -> torch.Tensor:
    """Pictures whose first two channels say row and column of every pixel."""
    row, column = torch.meshgrid(torch.arange(float(height)), torch.arange(float(width)), indexing="ij")
    return torch.stack([row, column, row]).expand(count, 3, height, width)


def test_the_label_says_where_the_second_patch_was_cut(generator) -> None:
    first, second, place = cut_pairs(numbered(400), SMALL, generator)
    moved = (second - first)[:, :2, 0, 0]
    expected = 16.0 * torch.tensor(PLACES)[place]
    off = moved - expected
    assert off.abs().max() == 2
    assert off.unique().tolist() == [-2, -1, 0, 1, 2]
    assert place.bincount(minlength=8).min() > 20


def test_patches_are_whole_and_do_not_touch(generator) -> None:
    first, second, _ = cut_pairs(numbered(400), SMALL, generator)
    for patch in (first, second):
        corner = patch[:, :2, :1, :1]
        assert torch.equal(patch[:, 0] - corner[:, 0], torch.arange(12.0)[:, None].expand(400, 12, 12))
        assert corner.min() >= 0
    apart = (second - first)[:, :2, 0, 0].abs().amax(1)
    assert apart.min() >= 12 + 4 - 2


def test_the_middle_patch_does_not_tell_the_place(generator) -> None:
    """It is cut from the same places whatever the label is."""
    first, _, place = cut_pairs(numbered(4000), SMALL, generator)
    row = first[:, 0, 0, 0]
    means = torch.stack([row[place == label].mean() for label in range(8)])
    assert row.unique().tolist() == list(range(18, 31))
    assert (means - row.mean()).abs().max() < 1


def test_small_pictures_are_refused(generator) -> None:
    assert SMALL.least == 48
    with pytest.raises(ValueError, match="at least 48 pixels high and wide, got 47 x 80"):
        cut_pairs(torch.rand(1, 3, 47, 80), SMALL, generator)


def test_a_lens_shifts_red_inwards_and_blue_outwards() -> None:
    ramp = torch.linspace(0, 1, 101).expand(1, 3, 11, 101)
    red, green, blue = shifted_colours(ramp, 2.0)[0, :, 5].unbind(0)
    assert torch.allclose(green, ramp[0, 0, 0], atol=1e-6)
    right = (green - red)[90] * 100, (blue - green)[90] * 100  # in pixels
    assert right[0].item() == pytest.approx(-2 * 40 / 50.5, rel=0.02)
    assert right[1].item() == pytest.approx(-2 * 40 / 50.5, rel=0.02)
    assert (green - red)[50].abs() < 1e-6
    assert torch.allclose(shifted_colours(ramp, 0.0), ramp, atol=1e-6)


class Tell(nn.Module):
    """Features that are the mean of a patch's first two channels: its place."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :2].mean(dim=(2, 3))


class Told(list):
    """A data set of numbered pictures."""

    def batch(self, indices) -> dict[str, torch.Tensor]:
        return {"image": numbered(len(indices))}


def test_accuracy_is_right_where_the_answer_is_known() -> None:
    class Knows(nn.Module):
        def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
            moved = Tell()(second) - Tell()(first)
            return -(moved[:, None] - 16.0 * torch.tensor(PLACES)).square().sum(-1)

    class Guesses(nn.Module):
        def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
            return torch.eye(8)[0].expand(len(first), 8)

    found = places_accuracy(Knows(), Told(range(60)), lambda x: x, SMALL)
    assert found == {"accuracy": 1.0, "chance": 0.125}
    assert places_accuracy(Guesses(), Told(range(60)), lambda x: x, SMALL)["accuracy"] < 0.25


@pytest.mark.slow
def test_places_are_learnt_from_rooms_without_labels(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MDEPTH_CACHE", str(tmp_path))
    torch.manual_seed(0)
    encoder = resnet18(width=8, form="torchvision")
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    found = learn_places(
        encoder, lambda x: (x - 0.45) / 0.22, steps=300, seed=0, folder=None, pictures=60, size=(72, 96),
        cut=Cut(16, 6, 2), batch=32, progress=False,
    )  # fmt: skip
    assert found["accuracy"] > 0.2
    assert any(not torch.equal(before[key], value) for key, value in encoder.state_dict().items())


def test_one_encoder_sees_both_patches() -> None:
    torch.manual_seed(0)
    network = Places(Pooled(resnet18(width=4, form="torchvision")), 32).eval()
    first, second = torch.rand(2, 5, 3, 32, 32)
    assert network(first, second).shape == (5, 8)
    assert not torch.allclose(network(first, second), network(second, first))
    features = torch.cat([network.features(first), network.features(second)], 1)
    torch.testing.assert_close(network.head(features), network(first, second))
