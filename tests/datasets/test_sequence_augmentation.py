"""Mirror images and colours of sequences: one draw an item, by Monodepth2's rule, and nothing else."""

from itertools import permutations

import pytest
import torch

from mdepth.datasets import check_sample
from mdepth.datasets import transforms as t
from mdepth.datasets.sequence_augmentation import (
    AUGMENTED,
    SequenceAugmentation,
    augment_sequences,
    flip_chosen,
    turn_hue,
)
from mdepth.datasets.sequences import WithNeighbours

ALWAYS = SequenceAugmentation(flip=0.0, jitter=1.0)
OFF = {"brightness": (1.0, 1.0), "contrast": (1.0, 1.0), "saturation": (1.0, 1.0), "hue": (0.0, 0.0)}


@pytest.fixture
def batch(analytic):
    """Eight items with right image and two neighbours."""
    return WithNeighbours(analytic(scenes=4, frames=4, stereo=True)).batch(range(8))


def drawn(batch, settings, seed=0):
    return augment_sequences(batch, settings, torch.Generator().manual_seed(seed))


def test_the_copies_have_keys_of_their_own_and_the_loss_keeps_its_colours(batch):
    changed = drawn(batch, ALWAYS)
    assert set(changed) == set(batch) | set(AUGMENTED.values())
    for key, name in AUGMENTED.items():
        assert torch.equal(changed[key], batch[key])
        assert changed[name].shape == batch[key].shape
        assert not torch.equal(changed[name], batch[key])
    for i in range(8):
        check_sample({key: value[i] for key, value in changed.items()})
    mono = {key: batch[key] for key in ("image", "K")}
    assert torch.equal(drawn(mono, ALWAYS)["augmented"], changed["augmented"])  # the same draw with less


def test_all_frames_of_an_item_change_alike():
    """Five times the same picture stays five times the same; other items look otherwise."""
    generator = torch.Generator().manual_seed(3)
    image = torch.rand(1, 3, 12, 16, generator=generator).repeat(6, 1, 1, 1)
    same = {"image": image, "image_right": image, "neighbours": image[:, None].repeat(1, 3, 1, 1, 1)}
    changed = drawn(same, ALWAYS)
    assert torch.equal(changed["augmented"], changed["augmented_right"])
    for number in range(3):
        assert torch.equal(changed["augmented"], changed["augmented_neighbours"][:, number])
    for i, j in permutations(range(6), 2):
        assert (changed["augmented"][i] - changed["augmented"][j]).abs().max() > 0.01


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "hue"])
def test_each_step_is_that_of_the_single_transforms(batch, name):
    factor = 0.07 if name == "hue" else 1.15
    changed = drawn(batch, SequenceAugmentation(0.0, 1.0, **{**OFF, name: (factor, factor)}))
    expected = t.color_jitter(batch, {name: factor})
    for key, copy in AUGMENTED.items():
        torch.testing.assert_close(changed[copy], expected[key], atol=1e-5, rtol=0)


def test_the_steps_come_in_every_order(batch):
    """Brightness 1.2 clips what contrast 0.5 would have kept: of 64 equal items each of 24 orders gives one
    of the results that the single transforms give in that order."""
    factors = {"brightness": 1.6, "contrast": 0.5, "saturation": 1.7, "hue": 0.1}
    settings = SequenceAugmentation(0.0, 1.0, **{key: (value, value) for key, value in factors.items()})
    image = torch.rand(3, 6, 7, generator=torch.Generator().manual_seed(0))
    changed = drawn({"image": image.expand(400, 3, 6, 7)}, settings)["augmented"]
    orders = list(permutations(factors))
    results = torch.stack(
        [t.color_jitter({"image": image}, {key: factors[key] for key in order})["image"] for order in orders]
    )
    distance = (changed[:, None] - results).abs().flatten(2).amax(2)
    assert distance.min(dim=1).values.max() < 1e-5
    assert (distance.min(dim=0).values < 1e-5).all()


def test_probabilities_and_ranges():
    """Of 2000 grey pictures half are mirrored and half change, independently; factors fill [0.8, 1.2]."""
    image = torch.tensor([0.4, 0.5]).expand(2000, 3, 1, 2)
    plain = {**OFF, "brightness": (0.8, 1.2)}
    changed = drawn({"image": image}, SequenceAugmentation(**plain))
    flipped = changed["image"][:, 0, 0, 0] == 0.5
    factors = (changed["augmented"] / changed["image"])[:, 0, 0, 0]
    jittered = (factors - 1).abs() > 1e-6
    for share in (flipped, jittered, jittered[flipped], jittered[~flipped]):
        assert share.float().mean().item() == pytest.approx(0.5, abs=0.05)
    assert 0.8 <= factors.min() < 0.802
    assert 1.198 < factors.max() <= 1.2001
    assert factors[jittered].mean().item() == pytest.approx(1.0, abs=0.01)
    assert SequenceAugmentation() == SequenceAugmentation(
        0.5, 0.5, (0.8, 1.2), (0.8, 1.2), (0.8, 1.2), (-0.1, 0.1)
    )


def test_what_is_not_chosen_stays(batch):
    nothing = drawn(batch, SequenceAugmentation(flip=0.0, jitter=0.0))
    for key, value in batch.items():
        assert nothing[key] is value or torch.equal(nothing[key], value)
    for key, name in AUGMENTED.items():
        assert torch.equal(nothing[name], batch[key])


def test_the_draw_is_the_generators_alone(batch):
    settings, state = SequenceAugmentation(), torch.random.get_rng_state()
    one, two, other = (drawn(batch, settings, seed) for seed in (1, 1, 2))
    assert torch.equal(one["augmented_neighbours"], two["augmented_neighbours"])
    assert not torch.equal(one["augmented_neighbours"], other["augmented_neighbours"])
    assert torch.equal(torch.random.get_rng_state(), state)
    half = {key: value[:4] for key, value in batch.items()}
    assert torch.equal(drawn(half, settings, 1)["augmented"], one["augmented"][:4])


def test_chosen_items_are_mirrored_and_no_others(batch):
    chosen = torch.tensor([True, False, False, True, True, False, False, False])
    before = {key: value.clone() for key, value in batch.items() if isinstance(value, torch.Tensor)}
    flipped = flip_chosen({**batch, "disparity": batch["depth"]}, chosen)
    assert set(flipped) == set(batch)
    assert flipped["id"] == batch["id"]
    for key, value in before.items():
        assert torch.equal(batch[key], value), key
        mirrored = t.hflip(before)[key]
        assert torch.equal(flipped[key][chosen], mirrored[chosen]), key
        assert torch.equal(flipped[key][~chosen], value[~chosen]), key


def test_a_mirrored_batch_mirrors_its_copies_too(batch):
    changed = drawn(batch, SequenceAugmentation(flip=1.0, jitter=0.0))
    assert torch.equal(changed["augmented"], batch["image"].flip(-1))
    assert torch.equal(changed["augmented_neighbours"], changed["neighbours"])
    assert torch.equal(t.hflip(changed)["augmented_right"], batch["image_right"])


@pytest.mark.parametrize("shift", [-0.5, -0.1, 0.0, 0.07, 1 / 3, 0.5])
def test_hue_agrees_with_torchvision(shift):
    from torchvision.transforms.v2.functional import adjust_hue

    image = torch.rand(3, 20, 30, generator=torch.Generator().manual_seed(1))
    image[:, 0] = image[:1, 0]  # grey
    image[0, 1], image[1:, 1] = 0.0, image[1, 1]  # the two largest equal
    torch.testing.assert_close(turn_hue(image, shift), adjust_hue(image, shift), atol=1e-5, rtol=0)
    both = turn_hue(torch.stack((image, image)), torch.tensor([0.0, shift]))
    torch.testing.assert_close(both[0], image, atol=1e-6, rtol=0)
    torch.testing.assert_close(both[1], turn_hue(image, shift))


def test_wrong_settings_are_named():
    for name, value in (("flip", 1.5), ("jitter", -0.1)):
        with pytest.raises(ValueError, match=f"{name} is a probability"):
            SequenceAugmentation(**{name: value})
    for name, value in (("contrast", (1.2, 0.8)), ("brightness", (-0.1, 1.0)), ("hue", (0.1, -0.1))):
        with pytest.raises(ValueError, match=f"{name} must be a range"):
            SequenceAugmentation(**{name: value})


@pytest.mark.gpu
def test_a_batch_on_a_gpu_takes_the_same_draw(batch):
    tensors = {key: value for key, value in batch.items() if isinstance(value, torch.Tensor)}
    there = drawn({key: value.cuda() for key, value in tensors.items()}, SequenceAugmentation())
    here = drawn(tensors, SequenceAugmentation())
    for key, value in here.items():
        torch.testing.assert_close(there[key].cpu(), value, atol=1e-5, rtol=1e-5)
