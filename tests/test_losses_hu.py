"""The loss of Hu et al.: the released code's own numbers, the border ring, masks, both forms, gradients."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mdepth import losses, losses_hu
from mdepth.image import sobel
from mdepth.losses import hu_depth_loss, hu_gradient_loss, hu_gradient_terms, hu_loss, hu_normal_loss

HALF = math.log(0.5)
PADDINGS = ("zeros", "valid", "replicate", "reflect")
GOLDEN = {
    "scaled": (
        -0.21789589631783807, -0.49938109540389, -0.6106772662453896, 0.005537280545911, -1.3224169774212067,
    ),
    "equal": (HALF, HALF, HALF, 0.0, -2.0794415416798357),
    "offset": (0.0, -0.6720218764377313, -0.6649629382253007, 1.98985346e-06, -1.3369828248095736),
}  # fmt: skip
"""Depth, gradient along x and along y, normals, sum: computed with the official Sobel, and by formula."""


def waves(case: str = "scaled", height: int = 114, width: int = 152) -> tuple[torch.Tensor, ...]:
    """The closed-form maps of the golden numbers, in float64, all valid."""
    y, x = torch.meshgrid(torch.arange(height).double(), torch.arange(width).double(), indexing="ij")
    d = (3 + torch.sin(0.05 * x) + 0.5 * torch.cos(0.07 * y))[None, None]
    g = {"scaled": 1.1 * d + 0.2 * torch.sin(0.1 * x + 0.03 * y), "equal": d, "offset": d + 0.5}[case]
    return g, d, torch.ones_like(d, dtype=torch.bool)


def holed(generator: torch.Generator, shape=(2, 1, 7, 9)) -> tuple[torch.Tensor, ...]:
    """Random maps with holes, one at the border."""
    target = 1 + 3 * torch.rand(shape, generator=generator, dtype=torch.float64)
    prediction = target + torch.randn(shape, generator=generator, dtype=torch.float64)
    valid = torch.rand(shape, generator=generator) < 0.95
    valid[0, 0, 0, 3], valid[:, :, 1:4, 4:7] = False, True
    return prediction, target, valid


def terms(inputs, **how) -> list[float]:
    """All four and the sum."""
    of_normals = {key: value for key, value in how.items() if key == "padding"}
    return [
        hu_depth_loss(*inputs).item(),
        *(each.item() for each in hu_gradient_terms(*inputs, **how)),
        hu_normal_loss(*inputs, **of_normals).item(),
        hu_loss(*inputs, **how).item(),
    ]


# --- values


@pytest.mark.parametrize("case", GOLDEN)
def test_the_released_code_s_numbers(case: str) -> None:
    assert terms(waves(case)) == pytest.approx(GOLDEN[case], abs=1e-13)
    g, d, valid = waves(case)
    assert terms((g.float(), d.float(), valid)) == pytest.approx(GOLDEN[case], abs=2e-6)


@pytest.mark.parametrize("padding", PADDINGS)
def test_an_offset_has_no_slope_but_in_the_ring(padding: str) -> None:
    depth, across, down, normal, total = terms(waves("offset"), padding=padding)
    ring = padding == "zeros"
    assert depth == pytest.approx(0, abs=1e-15)
    assert ([across, down] == pytest.approx([HALF, HALF])) is not ring
    assert (abs(normal) < 1e-14) is not ring
    assert total == pytest.approx(GOLDEN["offset"][4] if ring else 2 * HALF)


def test_the_ring_compares_depths() -> None:
    """At an offset of e it answers with 4 e, and with 3 e in the corners; 528 of 17,328 pixels."""
    g, d, valid = waves("offset")
    across, down = ((one - other).abs()[0, 0] for one, other in zip(sobel(g), sobel(d), strict=True))
    ring = torch.hypot(across, down) > 1e-9
    assert ring.sum().item() == 528 == 2 * (114 + 152) - 4
    assert not ring[1:-1, 1:-1].any()
    assert across[1:-1, 0].tolist() == pytest.approx([4 * 0.5] * 112)
    assert (across[0, 0].item(), down[0, 5].item()) == pytest.approx((3 * 0.5, 4 * 0.5))
    by_hand = (2 * 112 * math.log(2.5) + 4 * math.log(2.0) + (114 * 152 - 228) * HALF) / (114 * 152)
    assert hu_gradient_terms(g, d, valid)[0].item() == pytest.approx(by_hand)


NEAR = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1)]


def responses(depth: list[list[float]], i: int, j: int) -> tuple[float, float]:
    """Sobel at a pixel, with zeros outside."""
    inside = [(a, b) for a, b in NEAR if 0 <= i + a < len(depth) and 0 <= j + b < len(depth[0])]
    across = sum(-b * (2 - abs(a)) * depth[i + a][j + b] for a, b in inside)
    return across, sum(-a * (2 - abs(b)) * depth[i + a][j + b] for a, b in inside)


def by_loops(prediction, target, valid, padding: str, form: str = "maps") -> list[float]:
    """The four terms written out, pixel by pixel."""
    batch, _, height, width = target.shape
    depths, across, down, normals = [], [], [], []
    for b, i, j in itertools.product(range(batch), range(height), range(width)):
        p, t, v = (maps[b, 0].tolist() for maps in (prediction, target, valid))
        if v[i][j]:
            depths.append(math.log(abs(p[i][j] - t[i][j]) + 0.5))
        around = [(i + a, j + c) for a, c in NEAR]
        inside = [(r, s) for r, s in around if 0 <= r < height and 0 <= s < width]
        if not all(v[r][s] for r, s in inside) or (padding == "valid" and len(inside) < 9):
            continue
        one, two = responses(p, i, j), responses(t, i, j)
        errors = [first - second for first, second in zip(one, two, strict=True)]
        if form == "error":
            sizes = [[abs(x - y) for x, y in zip(*rows, strict=True)] for rows in zip(p, t, strict=True)]
            errors = list(responses(sizes, i, j))
        across.append(math.log(abs(errors[0]) + 0.5))
        down.append(math.log(abs(errors[1]) + 0.5))
        cosine = (one[0] * two[0] + one[1] * two[1] + 1) / (math.hypot(*one, 1) * math.hypot(*two, 1))
        normals.append(abs(1 - cosine))
    found = [sum(values) / len(values) for values in (depths, across, down, normals)]
    return [*found, sum(found)]


@pytest.mark.parametrize("padding", ["zeros", "valid"])
@pytest.mark.parametrize("form", ["maps", "error"])
def test_all_terms_by_plain_loops_with_holes(padding: str, form: str, generator) -> None:
    inputs = holed(generator)
    assert 0 < (~inputs[2]).sum() < 20
    expected = by_loops(*inputs, padding, form)
    assert terms(inputs, padding=padding, form=form) == pytest.approx(expected, abs=1e-12)


def test_a_plane_that_is_twice_as_steep() -> None:
    """Slopes of 1/8 and 2/8 m per pixel: responses of -1 and -2, normals (1, 0, 1) and (2, 0, 1)."""
    u = torch.arange(6.0, dtype=torch.float64).expand(1, 1, 5, 6)
    inputs = 1 + u / 4, 1 + u / 8, torch.ones(1, 1, 5, 6, dtype=torch.bool)
    _, across, down, normal, _ = terms(inputs, padding="valid")
    assert (across, down) == pytest.approx((math.log(1.5), HALF))
    assert normal == pytest.approx(1 - 3 / math.sqrt(10))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.1, 9), min_size=24, max_size=24), st.sampled_from(PADDINGS))
def test_nothing_lies_below_three_logarithms_of_a_half(depths: list[float], padding: str) -> None:
    target = torch.tensor(depths, dtype=torch.float64).reshape(1, 1, 4, 6)
    everywhere = torch.ones_like(target, dtype=torch.bool)
    least = 3 * HALF
    assert hu_loss(target, target, everywhere, padding=padding).item() == pytest.approx(least, abs=1e-9)
    assert hu_loss(target.flip(-1), target, everywhere, padding=padding).item() >= least - 1e-9


def test_the_sum_and_its_weights(generator) -> None:
    inputs = holed(generator)
    depth, across, down, normal, total = terms(inputs)
    assert total == pytest.approx(depth + across + down + normal)
    assert hu_loss(*inputs, (0.5, 2.0, 3.0)).item() == pytest.approx(
        0.5 * depth + 2 * (across + down) + 3 * normal
    )
    alone = [
        hu_loss(*inputs, weights).item() for weights in ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    ]
    assert alone == pytest.approx([depth, hu_gradient_loss(*inputs).item(), normal])
    with_alpha = hu_loss(*inputs, (1.0, 1.0, 0.0), alpha=0.1).item()
    assert with_alpha == pytest.approx(
        hu_depth_loss(*inputs, 0.1).item() + hu_gradient_loss(*inputs, 0.1).item()
    )


# --- both forms


def test_both_forms_agree_where_the_error_keeps_its_sign() -> None:
    g, d, valid = waves()
    above = d + (g - d).abs()  # too far everywhere
    maps, error = (hu_gradient_loss(above, d, valid, form=form).item() for form in ("maps", "error"))
    assert maps == pytest.approx(error)
    maps, error = (hu_gradient_loss(g, d, valid, form=form).item() for form in ("maps", "error"))
    assert abs(maps - error) > 1e-3  # too near in places


def test_the_gradient_of_the_error_does_not_see_where_it_changes_its_sign() -> None:
    target = torch.full((1, 1, 6, 8), 3.0, dtype=torch.float64)
    prediction = target + torch.where(torch.arange(8) < 4, -0.5, 0.5)
    inputs = prediction, target, target > 0
    maps, error = (hu_gradient_terms(*inputs, padding="valid", form=form)[0] for form in ("maps", "error"))
    assert error.item() == pytest.approx(HALF)  # as if it were right
    assert maps.item() == pytest.approx((2 * math.log(4.5) + 4 * HALF) / 6)  # a step of 1 m answers with 4


# --- masks and batches


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("garbage", [math.nan, math.inf, -math.inf, 0.0, 1e30])
def test_what_lies_in_a_hole_does_not_matter(garbage: float, padding: str, generator) -> None:
    prediction, target, valid = holed(generator)
    results = []
    for value in (1.0, garbage):
        p, t = (torch.where(valid, depth, value) for depth in (prediction, target))
        p.requires_grad_()
        loss = hu_loss(p, t, valid, padding=padding)
        loss.backward()
        results.append((loss.item(), p.grad))
    assert results[0][0] == results[1][0]
    assert torch.equal(results[0][1], results[1][1])
    assert (results[0][1][~valid] == 0).all()


@pytest.mark.parametrize("padding", PADDINGS)
def test_without_valid_pixels_zero_with_zero_gradient(padding: str, generator) -> None:
    prediction, target, valid = holed(generator)
    p = prediction.requires_grad_()
    loss = hu_loss(p, target, torch.zeros_like(valid), padding=padding)
    loss.backward()
    assert loss.item() == 0
    assert (p.grad == 0).all()
    dotted = torch.zeros_like(valid)
    dotted[..., 3, 4] = True  # a depth, but no slope
    depth, across, down, normal, _ = terms((prediction.detach(), target, dotted), padding=padding)
    assert depth != 0
    assert (across, down, normal) == (0, 0, 0)


def test_pixels_count_alike_wherever_they_are(generator) -> None:
    prediction, target, valid = holed(generator)
    counts = valid.sum(dim=(1, 2, 3)).double()
    assert counts[0] != counts[1]
    single = [hu_depth_loss(*(x[i : i + 1] for x in (prediction, target, valid))).item() for i in (0, 1)]
    together = hu_depth_loss(prediction, target, valid).item()
    assert together == pytest.approx(
        (counts[0] * single[0] + counts[1] * single[1]).item() / valid.sum().item()
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_single(dtype, generator) -> None:
    prediction, target, _ = holed(generator, (1, 1, 300, 300))
    inputs = prediction.to(dtype), target.to(dtype), torch.ones(1, 1, 300, 300, dtype=torch.bool)
    loss = hu_loss(*inputs)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(
        hu_loss(inputs[0].double(), inputs[1].double(), inputs[2]).item(), rel=1e-5
    )


@pytest.mark.parametrize("padding", ["zeros", "valid"])
@pytest.mark.parametrize("form", ["maps", "error"])
def test_gradients(padding: str, form: str, generator) -> None:
    prediction, target, valid = holed(generator, (1, 1, 4, 6))
    assert torch.autograd.gradcheck(
        lambda p: hu_loss(p, target, valid, padding=padding, form=form), prediction.requires_grad_()
    )


def test_bad_arguments_are_named(generator) -> None:
    inputs = holed(generator)
    with pytest.raises(ValueError, match="maps or error, got 'printed'"):
        hu_gradient_loss(*inputs, form="printed")
    with pytest.raises(ValueError, match="circular"):
        hu_normal_loss(*inputs, padding="circular")
    with pytest.raises(ValueError, match=r"alpha must be above 0, got 0.0; the released code has 0\.5"):
        hu_depth_loss(*inputs, 0.0)


def test_losses_hands_them_on() -> None:
    assert set(losses_hu.__all__) <= set(losses.__all__)
    assert all(getattr(losses, name) is getattr(losses_hu, name) for name in losses_hu.__all__)
