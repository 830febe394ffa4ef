"""The recipe of Hu et al.: settings against the facts, claims and tables against the variants, the losses."""

import math
from dataclasses import replace

import pytest
import torch

from mdepth.losses import hu_loss
from mdepth.masks import frozen
from mdepth.models import build
from mdepth.models.hu_masks import MaskPredictor
from mdepth.recipes import hu
from mdepth.recipes.hu_data import describe
from mdepth.recipes.hu_settings import FULL, LAPTOP, MASK, NYU, PACKAGED, PAPER_MASK, MaskSettings

EPOCH = 50_688 // 8
"""Steps in which all images are seen once, eight at a time."""


def test_settings_of_the_paper_s_size_are_those_of_the_facts() -> None:
    assert NYU.steps == 20 * EPOCH
    assert PAPER_MASK.steps == 10 * EPOCH
    assert (NYU.stairs, NYU.rate, NYU.decay, NYU.batch) == ((0.25, 0.5, 0.75), 1e-4, 1e-4, 8)
    assert (PAPER_MASK.rate, PAPER_MASK.decay, PAPER_MASK.batch, PAPER_MASK.anneal) == (1e-4, 1e-4, 8, False)
    assert (PAPER_MASK.sparsity, PAPER_MASK.fill, PAPER_MASK.predictor) == (5.0, "mean", "hu-mask")
    assert (NYU.jitter, NYU.lighting, NYU.roll, NYU.flip) == (0.4, 0.1, 5.0, 0.5)
    assert (MASK.sparsity, MASK.fill) == (5.0, "mean")


@pytest.mark.parametrize("profile", ["quick", "laptop", "full"])
def test_every_variant_has_settings_where_it_is_planned(profile: str) -> None:
    for name, about in hu.VARIANTS.items():
        if profile in about.profiles:
            found = hu.settings(name, profile)
            assert found.data == name.rpartition("-")[2]
            assert isinstance(found, MaskSettings) == name.startswith("mask")
            assert profile != "quick" or found.steps <= 20
    with pytest.raises(ValueError, match="no variant 'mask'"):
        hu.settings("mask", profile)


def test_claims_are_about_variants_with_seeds_enough() -> None:
    for claim in hu.CLAIMS:
        for name in (claim.variant, claim.variant_b, *claim.less):
            assert not name or len(hu.seeds(name, "laptop")) >= claim.least_seeds, (claim.id, name)
    assert len({claim.id for claim in hu.CLAIMS}) == len(hu.CLAIMS)


def test_tables_say_what_the_settings_say() -> None:
    nets = {name for name, each in (LAPTOP | FULL).items() if not isinstance(each, MaskSettings)}
    for rows, names in ((hu.HYPERPARAMETERS, nets), (hu.HYPERPARAMETERS_MASK, set(LAPTOP | FULL) - nets)):
        assert all(set(row.here) == names for row in rows)
    price = next(row.here for row in hu.HYPERPARAMETERS_MASK if row.name.startswith("price"))
    rate = {row.name: row.here for row in hu.HYPERPARAMETERS}["rate"]
    for name, each in LAPTOP.items():
        if isinstance(each, MaskSettings):
            assert price[name].replace("the same", "5") == f"{each.sparsity:g}"
        else:
            assert rate[name] == f"{each.rate:g}"


def test_a_mask_s_network_is_the_one_it_says() -> None:
    with pytest.raises(ValueError, match="trained is about"):
        replace(MASK, network="unet-rooms")
    for name, network in PACKAGED.items():
        settings = LAPTOP[f"mask-{name}-{network.rpartition('-')[2]}"]
        assert isinstance(settings, MaskSettings)
        assert settings.trained is None
        assert len(describe(settings)["network"]) == 16
    assert MASK.packaged == "hu-mask-small-resnet18-rooms"


class Whole(MaskPredictor):
    """Keeps everything."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.decoder.conv.bias.exp().expand(len(x), 1, *x.shape[-2:])


def test_losses() -> None:
    network = build("hu-resnet18-rooms").eval()
    image = torch.rand(2, 3, 96, 128, generator=torch.Generator().manual_seed(0))
    depth = torch.rand(2, 1, 48, 64) + 1
    batch = {"image": network.normalise(image), "depth": depth, "valid": depth > 1.5}
    settings = replace(hu.settings("resnet-slopes-rooms", "laptop"), padding="valid")
    expected = hu_loss(network(batch["image"]), depth, depth > 1.5, (1.0, 1.0, 0.0), padding="valid")
    torch.testing.assert_close(hu.loss(network, batch, settings=settings), expected)
    predictor = Whole()
    torch.nn.init.zeros_(predictor.decoder.conv.bias)
    inner = frozen(network)
    found = hu.mask_loss(
        predictor, {"image": image}, network=inner, settings=replace(MASK, precision="32-true")
    )
    assert found.item() == pytest.approx(3 * math.log(0.5) + 5, abs=1e-5)
    found.backward()
    assert all(weight.grad is None for weight in inner.parameters())


def test_stairs() -> None:
    stairs = hu.Stairs(100, (0.25, 0.5))
    assert [round(stairs(step), 6) for step in (0, 24, 25, 49, 50)] == [1, 1, 0.1, 0.1, 0.01]
