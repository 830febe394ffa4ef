"""Which cues a network goes by: networks that are known to go by one thing are found to do so."""

import math
from pathlib import Path

import pytest
import torch

from mdepth.datasets.worlds import World, load
from mdepth.evaluate.baselines import DepthMap
from mdepth.evaluate.cues import ALTERED, SAME_TRUTH, ZOOM, _shuffle, altered, cue_errors, tampered
from mdepth.image import forward_differences

ROOMS, ROADS = (World(kind, "val", scenes=3, height=48, width=64, antialias=1) for kind in ("rooms", "roads"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cues")


@pytest.fixture(scope="module")
def rooms(cache: Path) -> dict:
    return {name: load(world, cache=cache) for name, world in altered(ROOMS).items()}


def test_rooms_have_no_haze_and_roads_do() -> None:
    assert set(altered(ROADS)) == set(ALTERED)
    assert set(ALTERED) - set(altered(ROOMS)) == {"no haze"}
    assert altered(ROOMS)["natural"] == ROOMS
    assert len({world.identity() for world in altered(ROADS).values()}) == len(ALTERED)


@pytest.mark.parametrize("world", [ROOMS, ROADS])
def test_truth_stays_where_it_is_said_to_stay(world: World, cache: Path) -> None:
    """To the bit; elsewhere it must change, or the switch would not act. The picture changes everywhere."""
    sets = {name: load(each, cache=cache) for name, each in altered(world).items()}
    natural = sets["natural"].batch(range(3))
    for name in set(sets) - {"natural"}:
        other = sets[name].batch(range(3))
        assert torch.equal(other["depth"], natural["depth"]) == (name in SAME_TRUTH), name
        assert not torch.equal(other["image"], natural["image"]), name


def test_who_looks_at_nothing_is_not_moved(rooms: dict) -> None:
    natural = rooms["natural"].batch(range(3))
    found = cue_errors(DepthMap(natural["depth"][:1]), rooms)
    assert set(found["moved"]) == set(SAME_TRUTH) - {"no haze"}
    for name, moved in found["moved"].items():
        assert moved.abs().max() == 0, name
        assert torch.equal(found["abs_rel"][name], found["abs_rel"]["natural"])
    assert found["abs_rel"]["natural"][0] == 0
    assert found["abs_rel"]["camera at random"].mean() > found["abs_rel"]["natural"].mean()


def test_who_looks_at_brightness_is_moved_by_light(rooms: dict) -> None:
    """By exactly the log of the change, over valid pixels."""
    found = cue_errors(lambda image: 1 + image.mean(1, keepdim=True), rooms, batch_size=2)
    bright = {name: 1 + rooms[name].batch(range(3))["image"].mean(1, keepdim=True) for name in rooms}
    valid = rooms["natural"].batch(range(3))["valid"]
    change = (bright["no shading"] / bright["natural"]).log().abs()
    expected = [change[index][valid[index]].double().mean().item() for index in range(3)]
    assert found["moved"]["no shading"].tolist() == pytest.approx(expected, rel=1e-5)
    assert found["moved"]["no shading"].mean() > found["moved"]["no shadows"].mean() > 0


def test_sets_that_do_not_belong_together_are_refused(rooms: dict) -> None:
    with pytest.raises(ValueError, match="natural"):
        cue_errors(lambda image: image[:, :1], {"no shadows": rooms["no shadows"]})
    shorter = {"natural": rooms["natural"], "no shadows": [rooms["no shadows"][0]]}
    with pytest.raises(ValueError, match="equally long"):
        cue_errors(lambda image: image[:, :1], shorter)


@pytest.fixture
def pictures(generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    depth = torch.linspace(6, 1, 96).reshape(1, 1, 96, 1) + torch.rand(3, 1, 1, 1, generator=generator)
    return torch.rand(3, 3, 96, 128, generator=generator), depth.expand(3, 1, 96, 128)


def test_who_knows_only_the_position_follows_it(pictures) -> None:
    image, depth = pictures
    mean = depth.log().mean(0, keepdim=True).exp()
    found = tampered(DepthMap(mean), image, depth, depth > 0, batch_size=2)
    assert found["position"].tolist() == pytest.approx([1, 1, 1], abs=1e-5)
    assert found["veil"].tolist() == [0, 0, 0]
    inner = mean.log()[..., 10:86, 13:115].mean() - mean.log().mean()  # what lay in the middle is everywhere
    assert found["size"].tolist() == pytest.approx([inner.item() / math.log(ZOOM)] * 3, abs=1e-3)
    half = tampered(DepthMap(mean.sqrt()), image, depth, depth > 0)
    assert half["position"].tolist() == pytest.approx([0.5] * 3, abs=1e-5)
    flat = tampered(DepthMap(torch.full((1, 1, 1, 1), 2.0)), image, depth, depth > 0)
    assert flat["position"].tolist() == flat["size"].tolist() == [0, 0, 0]


def test_who_looks_at_single_pixels_minds_neither_place_nor_size(pictures) -> None:
    """Its answer for the same content is the same, so patches that change places change nothing."""
    smooth = torch.linspace(0.1, 0.9, 96).reshape(1, 1, 96, 1).expand(3, 3, 96, 128)
    depth = pictures[1]
    found = tampered(lambda image: 1 + image[:, :1], smooth, depth, depth > 0)
    expected = ((1 + smooth[:, :1] - depth).abs() / depth).flatten(1).mean(1)
    assert found["patches"].tolist() == pytest.approx(expected.tolist(), rel=1e-5)
    assert found["size"].abs().max() < 0.01
    assert found["position"].abs().max() < 0.03


@pytest.mark.parametrize("axis", [2, 3])
def test_who_takes_the_finer_for_the_farther_follows_size(axis: int) -> None:
    """The slope of a pattern falls by as much as it is enlarged, along rows and along columns."""
    x = torch.arange(96.0)[:, None] if axis == 2 else torch.arange(128.0)
    image = (0.5 + 0.4 * (2 * math.pi * x / 32).sin()).expand(1, 3, 96, 128)
    depth = torch.full((1, 1, 96, 128), 2.0)

    def finer_is_farther(picture: torch.Tensor) -> torch.Tensor:
        slope = forward_differences(picture)[3 - axis].square().mean((1, 2, 3), keepdim=True).sqrt()
        return (100 * slope).expand(-1, 1, *picture.shape[-2:])

    found = tampered(finer_is_farther, image, depth, depth > 0)
    assert found["size"].item() == pytest.approx(1, abs=0.1)
    assert found["veil"].item() == pytest.approx(math.log(0.5), rel=1e-4)  # half the contrast, half the slope
    assert ZOOM == 1.25


def test_patches_change_places() -> None:
    numbers = torch.arange(48.0).reshape(1, 1, 6, 8).repeat_interleave(16, 2).repeat_interleave(16, 3)
    order = torch.randperm(48, generator=torch.Generator().manual_seed(0))
    moved = _shuffle(numbers, order)
    assert torch.equal(moved[0, 0, ::16, ::16].flatten(), order.float())
    assert torch.equal(_shuffle(moved, order.argsort()), numbers)


def test_a_veil_by_hand_over_what_is_known(generator: torch.Generator) -> None:
    """Black pictures become grey, 0.35; what is unknown is white, and does not count."""
    depth = torch.linspace(6, 1, 96).reshape(1, 1, 96, 1).expand(2, 1, 96, 128)
    valid = (torch.rand(1, 1, 96, 128, generator=generator) < 0.5).expand(2, 1, 96, 128)
    image = torch.where(valid, 0.0, 1.0).expand(2, 3, 96, 128)
    depth = torch.where(valid, depth, math.nan)
    found = tampered(lambda picture: 1 + picture[:, :1], image, depth, valid)
    assert found["veil"].tolist() == pytest.approx([math.log(1.35)] * 2, rel=1e-5)
    assert found["position"].isfinite().all()


def test_pictures_that_cannot_be_divided_are_refused() -> None:
    image, depth = torch.rand(1, 3, 50, 64), torch.ones(1, 1, 50, 64)
    with pytest.raises(ValueError, match="patches"):
        tampered(lambda picture: picture[:, :1], image, depth, depth > 0)
