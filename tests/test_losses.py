"""The scale-invariant error: its three forms, the identities of the paper, masks, batches and gradients; then
the three losses of 2015, and those in metres of 2016.
"""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mdepth import losses, metrics
from mdepth.losses import (
    berhu_loss,
    l1_loss,
    l2_loss,
    label_loss,
    log_l2_loss,
    normals_loss,
    scale_invariant_error,
    scale_invariant_gradient_loss,
    scale_invariant_loss,
)

FORMS = ("aligned", "pairs", "moments")


def batch(generator, shape=(3, 1, 4, 5), share=0.7):
    """Random log depths and a mask, in float64."""
    log_target = torch.randn(shape, generator=generator, dtype=torch.float64)
    log_prediction = log_target + 0.5 * torch.randn(shape, generator=generator, dtype=torch.float64)
    return log_prediction, log_target, torch.rand(shape, generator=generator) < share


def row(*values: float):
    """One image with these log predictions, log target 0, all valid."""
    d = torch.tensor(values, dtype=torch.float64).reshape(1, 1, 1, -1)
    return d, torch.zeros_like(d), torch.ones_like(d, dtype=torch.bool)


# --- values


def test_three_forms_by_hand():
    """d = (1, 2, 6): mean 3, deviations -2, -1, 3; pairs 1, 5, 4, each twice."""
    assert scale_invariant_error(*row(1, 2, 6), "aligned").item() == pytest.approx(14 / 3)
    assert scale_invariant_error(*row(1, 2, 6), "moments").item() == pytest.approx(41 / 3 - 9)
    assert scale_invariant_error(*row(1, 2, 6), "pairs").item() == pytest.approx(2 * (1 + 25 + 16) / 9)


def test_the_printed_pairwise_form_is_twice_the_others(generator):
    inputs = batch(generator)
    aligned, pairs, moments = (scale_invariant_error(*inputs, form) for form in FORMS)
    torch.testing.assert_close(aligned, moments)
    torch.testing.assert_close(pairs, 2 * moments)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-3, 3), min_size=1, max_size=8), st.floats(-2, 2))
def test_identities_of_the_paper(values, shift):
    d, target, valid = row(*values)
    D = scale_invariant_error(d, target, valid).item()
    assert scale_invariant_error(d + shift, target, valid).item() == pytest.approx(D, abs=1e-9)
    assert scale_invariant_loss(d, target, valid, lam=1.0).item() == pytest.approx(D, abs=1e-9)
    assert scale_invariant_loss(d, target, valid, lam=0.0).item() == pytest.approx(d.square().mean().item())
    assert -1e-12 <= D <= d.square().mean().item() + 1e-12
    half = scale_invariant_loss(d, target, valid).item()
    assert half == pytest.approx((D + d.square().mean().item()) / 2, abs=1e-9)


@pytest.mark.parametrize(("lam", "expected"), [(0.0, 9.0), (0.5, 4.5), (1.0, 0.0)])
def test_a_constant_factor_costs_what_lambda_leaves(lam, expected):
    assert scale_invariant_loss(*row(3, 3, 3), lam).item() == pytest.approx(expected)
    assert log_l2_loss(*row(3, 3, 3)).item() == 9.0


def test_the_metric_is_the_root_of_the_error(generator):
    log_prediction, log_target, valid = batch(generator)
    D = scale_invariant_error(log_prediction, log_target, valid)
    metric = metrics.per_image("scale_invariant", log_prediction.exp(), log_target.exp(), valid)
    torch.testing.assert_close(metric, D.sqrt())
    rmse_log = metrics.per_image("rmse_log", log_prediction.exp(), log_target.exp(), valid)
    assert (metric <= rmse_log).all()


# --- batches


def test_mean_weights_images_alike_and_released_by_the_square_of_their_pixels(generator):
    log_prediction, log_target, valid = batch(generator)
    single = [
        scale_invariant_loss(log_prediction[i : i + 1], log_target[i : i + 1], valid[i : i + 1])
        for i in range(3)
    ]
    single = torch.stack(single)
    weights = valid.sum(dim=(1, 2, 3)).double() ** 2
    assert len(weights.unique()) > 1
    mean = scale_invariant_loss(log_prediction, log_target, valid)
    released = scale_invariant_loss(log_prediction, log_target, valid, reduction="released")
    torch.testing.assert_close(mean, single.mean())
    torch.testing.assert_close(released, (weights * single).sum() / weights.sum())
    one = scale_invariant_loss(log_prediction[:1], log_target[:1], valid[:1], reduction="released")
    torch.testing.assert_close(one, single[0])


def test_images_without_valid_pixels_do_not_count(generator):
    log_prediction, log_target, valid = batch(generator)
    valid[1] = False
    others = [0, 2]
    for reduction in ("mean", "released"):
        with_empty = scale_invariant_loss(log_prediction, log_target, valid, reduction=reduction)
        without = scale_invariant_loss(
            *(x[others] for x in (log_prediction, log_target, valid)), reduction=reduction
        )
        torch.testing.assert_close(with_empty, without)
    for form in FORMS:
        assert scale_invariant_error(log_prediction, log_target, valid, form)[1] == 0


@pytest.mark.parametrize("reduction", ["mean", "released"])
def test_a_batch_without_valid_pixels_is_zero_with_zero_gradient(reduction):
    log_prediction = torch.randn(2, 1, 3, 3, requires_grad=True)
    log_target = torch.full((2, 1, 3, 3), -math.inf)  # log of missing depth
    loss = scale_invariant_loss(log_prediction, log_target, log_target > 0, reduction=reduction)
    assert loss.item() == 0
    loss.backward()
    assert log_prediction.grad.eq(0).all()


# --- masks


@pytest.mark.parametrize("garbage", [math.nan, math.inf, -math.inf, 1e30])
def test_garbage_outside_the_mask_changes_neither_value_nor_gradient(garbage, generator):
    log_prediction, log_target, valid = batch(generator)
    dirty_target = torch.where(valid, log_target, garbage)
    dirty_prediction = torch.where(valid, log_prediction, garbage)
    for form in FORMS:
        clean = scale_invariant_error(log_prediction, log_target, valid, form)
        assert torch.equal(clean, scale_invariant_error(dirty_prediction, dirty_target, valid, form))
    for reduction in ("mean", "released"):
        gradients = []
        for p, t in ((log_prediction, log_target), (dirty_prediction, dirty_target)):
            p = p.clone().requires_grad_()
            scale_invariant_loss(p, t, valid, reduction=reduction).backward()
            gradients.append(p.grad)
        assert torch.equal(*gradients)
        assert gradients[0][~valid].eq(0).all()
        assert gradients[0][valid].ne(0).any()


def test_n_is_the_number_of_valid_pixels():
    """The most frequent mistake of ports: dividing by all pixels. Half valid, d = 2: 4, not 2."""
    d = torch.full((1, 1, 2, 4), 2.0)
    valid = torch.zeros_like(d, dtype=torch.bool)
    valid[..., :2] = True
    assert scale_invariant_loss(d, torch.zeros_like(d), valid, lam=0.0).item() == 4.0
    assert scale_invariant_loss(d, torch.zeros_like(d), valid, lam=0.5).item() == 2.0


# --- half precision


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("size", [(55, 74), (300, 300)])  # float16 cannot count the pixels of the second
def test_half_precision_is_summed_in_single(size, dtype, generator):
    log_target = torch.randn((2, 1, *size), generator=generator).to(dtype)
    log_prediction, valid = log_target + 0.5, torch.ones_like(log_target, dtype=torch.bool)
    single = (log_prediction.float(), log_target.float(), valid)
    for reduction in ("mean", "released"):
        found = scale_invariant_loss(log_prediction, log_target, valid, reduction=reduction)
        expected = scale_invariant_loss(*single, reduction=reduction)
        torch.testing.assert_close(found, expected)
    found = scale_invariant_error(log_prediction, log_target, valid)
    torch.testing.assert_close(found, scale_invariant_error(*single))


# --- gradients and bad arguments


@pytest.mark.parametrize("form", FORMS)
def test_gradients_of_the_error(form, generator):
    log_prediction, log_target, valid = batch(generator, (2, 1, 3, 3))
    error = lambda p, t: scale_invariant_error(p, t, valid, form)  # noqa: E731
    assert torch.autograd.gradcheck(error, (log_prediction.requires_grad_(), log_target.requires_grad_()))


@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("reduction", ["mean", "released"])
def test_gradients_of_the_loss(lam, reduction, generator):
    log_prediction, log_target, valid = batch(generator, (2, 1, 3, 3))
    valid[1] = False
    loss = lambda p: scale_invariant_loss(p, log_target, valid, lam, reduction=reduction)  # noqa: E731
    assert torch.autograd.gradcheck(loss, log_prediction.requires_grad_())


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="aligned, pairs or moments, got 'pairwise'"):
        scale_invariant_error(*row(1, 2), "pairwise")
    with pytest.raises(ValueError, match="mean or released, got 'sum'"):
        scale_invariant_loss(*row(1, 2), reduction="sum")
    big = torch.zeros(1, 1, 1, losses.MAX_PAIRS + 1)
    with pytest.raises(ValueError, match="use moments"):
        scale_invariant_error(big, big, big == 0, "pairs")
    with pytest.raises(Exception, match=r"(?s)log_target"):
        scale_invariant_loss(torch.zeros(2, 1, 3, 3), torch.zeros(2, 3, 3), torch.zeros(2, 1, 3, 3).bool())


# --- Eigen and Fergus 2015: depth, normals and labels


def normals_batch(generator, shape=(3, 4, 5), share=0.7):
    """Random unit normals, predicted and true, and a mask, in float64."""
    pair = torch.randn((2, shape[0], 3, *shape[1:]), generator=generator, dtype=torch.float64)
    prediction, target = torch.nn.functional.normalize(pair, dim=2)
    return prediction, target, torch.rand((shape[0], 1, *shape[1:]), generator=generator) < share


def labels_batch(generator, shape=(3, 4, 5), classes=6, share=0.7):
    """Random logits in float64, labels and a mask."""
    logits = torch.randn((shape[0], classes, *shape[1:]), generator=generator, dtype=torch.float64)
    labels = torch.randint(classes, (shape[0], 1, *shape[1:]), generator=generator)
    return logits, labels, torch.rand((shape[0], 1, *shape[1:]), generator=generator) < share


LOSSES_2015 = {
    "depth": (scale_invariant_gradient_loss, batch),
    "normals": (normals_loss, normals_batch),
    "labels": (label_loss, labels_batch),
}
each_of_2015 = pytest.mark.parametrize(("loss", "data"), LOSSES_2015.values(), ids=LOSSES_2015)


def grid(*rows: tuple[float, ...]):
    """One image with these log predictions, log target 0; None is not valid."""
    known = torch.tensor([[value is not None for value in row] for row in rows])[None, None]
    d = torch.tensor([[value or 0.0 for value in row] for row in rows], dtype=torch.float64)[None, None]
    return d, torch.zeros_like(d), known


def test_slopes_of_the_error_by_hand():
    """Differences in rows: 2, -1, 0, 4; in columns: 0, -2, 3. Mean squares 21/4 and 13/3; mean(d^2) 41/6."""
    d = grid((1, 3, 2), (1, 1, 5))
    assert scale_invariant_gradient_loss(*d, lam=0.0).item() == pytest.approx(41 / 6 + 21 / 4 + 13 / 3)
    assert scale_invariant_gradient_loss(*d).item() == pytest.approx(
        41 / 6 - 0.5 * (13 / 6) ** 2 + 21 / 4 + 13 / 3
    )


def test_only_pairs_of_valid_pixels_have_a_slope():
    """Without the middle of the upper row: pairs 0 and 4 below, 0 and 3 in columns."""
    d = grid((1, None, 2), (1, 1, 5))
    assert scale_invariant_gradient_loss(*d, lam=0.0).item() == pytest.approx(32 / 5 + 16 / 2 + 9 / 2)
    chess = grid((1, None, 2), (None, 3, None))  # no pair at all
    assert scale_invariant_gradient_loss(*chess).item() == scale_invariant_loss(*chess).item() > 0
    one_column = grid((1,), (3,))
    assert scale_invariant_gradient_loss(*one_column, lam=0.0).item() == 10 / 2 + 4


@settings(max_examples=30, deadline=None)
@given(st.floats(-2, 2), st.floats(0, 1))
def test_a_constant_factor_has_no_slope(shift, lam):
    d = grid((shift, shift), (shift, shift))
    expected = (1 - lam) * shift**2
    assert scale_invariant_gradient_loss(*d, lam=lam).item() == pytest.approx(expected, abs=1e-12)


def test_a_ramp_pays_for_its_slope_whatever_its_height():
    ramp = 0.3 * torch.arange(6, dtype=torch.float64).expand(1, 1, 4, 6)
    valid = torch.ones_like(ramp, dtype=torch.bool)
    for height in (0.0, 5.0):
        d = ramp + height
        slope = scale_invariant_gradient_loss(d, 0 * d, valid) - scale_invariant_loss(d, 0 * d, valid)
        assert slope.item() == pytest.approx(0.09)


def test_normals_loss_is_minus_the_cosine():
    for degrees, expected in ((0, -1.0), (60, -0.5), (90, 0.0), (180, 1.0)):
        angle = math.radians(degrees)
        target = torch.tensor([0.0, 0.0, -1.0]).view(1, 3, 1, 1)
        prediction = torch.tensor([math.sin(angle), 0.0, -math.cos(angle)]).view(1, 3, 1, 1)
        valid = torch.ones(1, 1, 1, 1, dtype=torch.bool)
        assert normals_loss(prediction, target, valid).item() == pytest.approx(expected, abs=1e-6)


def test_cross_entropy_by_hand():
    """Logits (0, log 3): probabilities 1/4 and 3/4; the third pixel is not valid."""
    logits = torch.tensor([0.0, math.log(3)]).view(1, 2, 1, 1).expand(1, 2, 1, 3)
    labels, valid = torch.tensor([[[[0, 1, 1]]]]), torch.tensor([[[[True, True, False]]]])
    expected = (math.log(4) + math.log(4 / 3)) / 2
    assert label_loss(logits, labels, valid).item() == pytest.approx(expected)
    assert label_loss(100 * torch.eye(4)[None, :, None, :], torch.arange(4).view(1, 1, 1, 4),
                      torch.ones(1, 1, 1, 4, dtype=torch.bool)).item() == pytest.approx(0.0)  # fmt: skip


@each_of_2015
def test_images_count_alike_and_empty_ones_not_at_all(loss, data, generator):
    prediction, target, valid = data(generator)
    valid[1] = False
    assert valid[0].sum() != valid[2].sum()
    single = [loss(*(x[i : i + 1] for x in (prediction, target, valid))) for i in (0, 2)]
    torch.testing.assert_close(loss(prediction, target, valid), torch.stack(single).mean())


@each_of_2015
def test_a_batch_of_2015_without_valid_pixels_is_zero_with_zero_gradient(loss, data, generator):
    prediction, target, valid = data(generator)
    prediction.requires_grad_()
    value = loss(prediction, target, torch.zeros_like(valid))
    assert value.item() == 0
    value.backward()
    assert prediction.grad.eq(0).all()


@each_of_2015
@pytest.mark.parametrize("garbage", [math.nan, math.inf, -math.inf, 1e30])
def test_garbage_under_the_mask_of_2015_changes_neither_value_nor_gradient(loss, data, garbage, generator):
    prediction, target, valid = data(generator)
    dirty = torch.where(valid, prediction, garbage)
    dirty_target = torch.where(valid, target, garbage if target.is_floating_point() else 255)
    gradients, values = [], []
    for p, t in ((prediction, target), (dirty, dirty_target)):
        p = p.clone().requires_grad_()
        values.append(loss(p, t, valid))
        values[-1].backward()
        gradients.append(p.grad)
    assert torch.equal(*values)
    assert torch.equal(*gradients)
    assert gradients[0].masked_select(~valid).eq(0).all()
    assert gradients[0].masked_select(valid).ne(0).any()


@each_of_2015
def test_gradients_of_2015(loss, data, generator):
    prediction, target, valid = data(generator)
    valid[1] = False
    assert torch.autograd.gradcheck(lambda p: loss(p, target, valid), prediction.requires_grad_())


@each_of_2015
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_of_2015_is_summed_in_single(loss, data, dtype, generator):
    prediction, target, valid = data(generator)
    prediction = prediction.to(dtype)
    target = target.to(dtype) if target.is_floating_point() else target
    single = target.float() if target.is_floating_point() else target
    torch.testing.assert_close(loss(prediction, target, valid), loss(prediction.float(), single, valid))


def test_bad_arguments_of_2015_are_named(generator):
    logits, labels, valid = labels_batch(generator)
    with pytest.raises(ValueError, match="valid labels must be 0 to 5, got 0 to 6; take others out"):
        label_loss(logits, torch.where(labels == 5, 6, labels), torch.ones_like(valid))
    with pytest.raises(ValueError, match="got -1 to 5"):
        label_loss(logits, torch.where(labels == 0, -1, labels), torch.ones_like(valid))
    prediction, target, valid = normals_batch(generator)
    with pytest.raises(Exception, match=r"(?s)valid"):
        normals_loss(prediction, target, valid[..., :-1])
    with pytest.raises(Exception, match=r"(?s)target"):
        normals_loss(prediction, target[:1], valid)


# --- Laina et al. 2016: absolute, squared and reverse Huber, in metres


METRES = {"l1": l1_loss, "l2": l2_loss, "berhu": berhu_loss}
each_in_metres = pytest.mark.parametrize("loss", METRES.values(), ids=METRES)


def depths(generator, shape=(3, 1, 4, 5), share=0.7):
    """Random depths in metres and a mask, in float64."""
    target = 1 + 9 * torch.rand(shape, generator=generator, dtype=torch.float64)
    prediction = target + torch.randn(shape, generator=generator, dtype=torch.float64)
    return prediction, target, torch.rand(shape, generator=generator) < share


def berhu_of(x: float) -> float:
    """What one pixel with error x costs where c is 1: three pixels, the largest error is 5, one is 0."""
    return 3 * berhu_loss(*row(5, x, 0)).item() - 13


def test_losses_in_metres_by_hand():
    """Errors 3, 4, 0 and -1, the last not valid."""
    errors = grid((3, -4, 0), (None, None, None))
    errors[0][..., 1, 0] = -1
    assert l1_loss(*errors).item() == pytest.approx(7 / 3)
    assert l2_loss(*errors).item() == pytest.approx(25 / 3)
    c = 0.8
    assert berhu_loss(*errors).item() == pytest.approx(((9 + c * c) / (2 * c) + 13 * c) / 3)


def test_every_pixel_chooses_its_part_by_itself():
    for x, expected in ((0.25, 0.25), (-0.25, 0.25), (1, 1), (-1, 1), (2, 2.5), (-3, 5), (5, 13)):
        assert berhu_of(x) == pytest.approx(expected)


def test_both_parts_meet_at_c_with_slope_1():
    step = 1e-6
    below, above = berhu_of(1 - step), berhu_of(1 + step)
    assert below == pytest.approx(1, abs=2 * step)
    assert above == pytest.approx(1, abs=2 * step)
    assert (1 - below) / step == pytest.approx(1, abs=1e-4)
    assert (above - 1) / step == pytest.approx(1, abs=1e-4)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=8), st.floats(0.01, 100))
def test_berhu_scales_with_its_errors_and_lies_between(centimetres, scale):
    errors, target, valid = row(*(value / 100 for value in centimetres))
    cost = berhu_loss(errors, target, valid).item()
    assert berhu_loss(scale * errors, target, valid).item() == pytest.approx(scale * cost)
    l1 = l1_loss(errors, target, valid).item()
    assert l1 * (1 - 1e-12) <= cost <= 2.6 * l1 * (1 + 1e-12)
    assert berhu_loss(errors, target, valid, share=1.0).item() == pytest.approx(l1)


def test_the_largest_error_costs_13_c():
    for x in (-5.0, 0.3):
        assert berhu_loss(*row(x)).item() == pytest.approx(2.6 * abs(x))


def test_the_gradient_of_berhu_takes_c_for_a_constant(generator):
    """1/n times the sign up to c and x/c above: nothing flows through the largest error into c."""
    prediction, target, valid = depths(generator)
    berhu_loss(prediction.requires_grad_(), target, valid).backward()
    x = torch.where(valid, (prediction - target).detach(), 0.0)
    c = 0.2 * x.abs().max()
    assert (x.abs() > c).any()
    assert ((x.abs() < c) & valid).any()
    slope = torch.where(x.abs() <= c, x.sign(), x / c)
    torch.testing.assert_close(prediction.grad, slope / valid.sum())


@pytest.mark.parametrize("loss", [l1_loss, l2_loss])
def test_gradients_in_metres(loss, generator):
    prediction, target, valid = depths(generator)
    valid[1] = False
    assert torch.autograd.gradcheck(lambda p: loss(p, target, valid), prediction.requires_grad_())


def test_c_is_one_number_for_the_batch(generator):
    prediction, target, valid = depths(generator)
    prediction[0] += 20
    alone = [berhu_loss(*(x[i : i + 1] for x in (prediction, target, valid))) for i in range(3)]
    weights = valid.sum(dim=(1, 2, 3))
    together = (torch.stack(alone) * weights).sum() / weights.sum()
    assert berhu_loss(prediction, target, valid) < 0.99 * together  # more is below the largest c
    swapped = berhu_loss(prediction.flip(0), target.flip(0), valid.flip(0))
    torch.testing.assert_close(berhu_loss(prediction, target, valid), swapped)


@each_in_metres
def test_pixels_count_alike_wherever_they_are(loss, generator):
    prediction, target, valid = depths(generator)
    assert len(valid.sum(dim=(1, 2, 3)).unique()) > 1
    chosen = [x[valid].reshape(1, 1, 1, -1) for x in (prediction, target, valid)]
    torch.testing.assert_close(loss(prediction, target, valid), loss(*chosen))
    empty = [torch.cat([x, y]) for x, y in zip(chosen, (c.clone() for c in chosen), strict=True)]
    empty[2][1] = False
    torch.testing.assert_close(loss(*empty), loss(*chosen))


@each_in_metres
@pytest.mark.parametrize("case", ["nothing valid", "nothing wrong"])
def test_in_metres_zero_with_zero_gradient(loss, case, generator):
    prediction, target, valid = depths(generator)
    if case == "nothing valid":
        valid[:] = False
    else:
        prediction = target.clone()
    for number in (torch.float32, torch.float64):
        p = prediction.to(number).requires_grad_()
        value = loss(p, target.to(number), valid)
        assert value.item() == 0
        value.backward()
        assert p.grad.eq(0).all()


@each_in_metres
@pytest.mark.parametrize("garbage", [math.nan, math.inf, -math.inf, 0.0, 1e30])
def test_garbage_under_the_mask_in_metres_changes_neither_value_nor_gradient(loss, garbage, generator):
    prediction, target, valid = depths(generator)
    gradients, values = [], []
    for p, t in (
        (prediction, target),
        (torch.where(valid, prediction, garbage), target),
        (prediction, torch.where(valid, target, garbage)),
    ):
        p = p.clone().requires_grad_()
        values.append(loss(p, t, valid))
        values[-1].backward()
        gradients.append(p.grad)
    for value, gradient in zip(values[1:], gradients[1:], strict=True):
        assert torch.equal(value, values[0])
        assert torch.equal(gradient, gradients[0])
    assert gradients[0][~valid].eq(0).all()
    assert gradients[0][valid].ne(0).all()


@each_in_metres
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_in_metres_is_summed_in_single(loss, dtype, generator):
    target = (1 + 9 * torch.rand((1, 1, 300, 300), generator=generator)).to(dtype)
    prediction, valid = target + 0.5, torch.ones_like(target, dtype=torch.bool)
    found = loss(prediction, target, valid)
    torch.testing.assert_close(found, loss(prediction.float(), target.float(), valid))


def test_bad_arguments_in_metres_are_named():
    with pytest.raises(ValueError, match="share must be above 0, got 0"):
        berhu_loss(*row(1, 2), share=0.0)
    map_ = torch.ones(2, 1, 3, 3)
    for loss in METRES.values():
        with pytest.raises(Exception, match=r"(?s)target"):
            loss(map_, map_[:, 0], map_ > 0)
        with pytest.raises(Exception, match=r"(?s)valid"):
            loss(map_, map_, map_[..., :-1] > 0)


# -- DenseDepth's loss -----------------------------------------------------------------------------------


def reciprocals(generator, shape=(2, 1, 24, 32)):
    """Reciprocal depths between 1 and about 11, smooth, a noisy copy of them, and a full mask, in float64."""
    v, u = (torch.linspace(0, 3, n, dtype=torch.float64) for n in shape[2:])
    target = 6 + 4 * torch.sin(v)[:, None] * torch.cos(u) + torch.rand(shape, generator=generator).double()
    prediction = target + 0.3 * torch.randn(shape, generator=generator, dtype=torch.float64)
    return prediction, target, torch.ones(shape, dtype=torch.bool)


def test_equal_maps_cost_nothing(generator):
    _, target, valid = reciprocals(generator)
    for loss in (losses.l1_loss, losses.gradient_loss, losses.ssim_loss, losses.densedepth_loss):
        assert loss(target, target, valid).item() == pytest.approx(0, abs=1e-12)


@given(offset=st.floats(-3, 3))
def test_an_offset_costs_itself_and_no_slope(offset):
    _, target, valid = reciprocals(torch.Generator().manual_seed(0))
    assert losses.gradient_loss(target + offset, target, valid).item() == pytest.approx(0, abs=1e-12)
    assert losses.l1_loss(target + offset, target, valid).item() == pytest.approx(abs(offset))


def test_the_slopes_by_plain_sums(generator):
    """Differences to the right and below, zero in the last column and row, over all pixels."""
    prediction, target, valid = reciprocals(generator, (1, 1, 4, 5))
    error, total = (prediction - target)[0, 0], 0.0
    for v in range(4):
        for u in range(5):
            total += abs(error[v, u + 1] - error[v, u]).item() if u < 4 else 0.0
            total += abs(error[v + 1, u] - error[v, u]).item() if v < 3 else 0.0
    assert losses.gradient_loss(prediction, target, valid).item() == pytest.approx(total / 20)


def test_the_sum_and_its_weights(generator):
    maps = reciprocals(generator)
    l1, slope, dissimilarity = (f(*maps) for f in (losses.l1_loss, losses.gradient_loss, losses.ssim_loss))
    for lam in (0.1, 1.0):
        expected = lam * l1 + slope + dissimilarity
        assert losses.densedepth_loss(*maps, lam=lam).item() == pytest.approx(expected.item())
    narrow = losses.ssim_loss(*maps, data_range=1.0)
    assert losses.densedepth_loss(*maps, data_range=1.0) == 0.1 * l1 + slope + narrow


def test_dissimilarity_falls_with_the_range_and_stays_between_0_and_1(generator):
    prediction, target, valid = reciprocals(generator)
    costs = [losses.ssim_loss(prediction, target, valid, data_range=L).item() for L in (1.0, 10.0, 100.0)]
    assert costs[0] > costs[1] > costs[2] > 0
    opposite = losses.ssim_loss(2 * target.mean() - target, target, valid, data_range=0.01).item()
    assert 0.5 < opposite <= 1
    by_hand = (2 * 2 * 3 + 1) / (2 * 2 + 3 * 3 + 1)  # constants 2 and 3, C1 = 1
    flat = torch.full((1, 1, 12, 12), 2.0)
    assert losses.ssim_loss(flat, flat + 1, flat > 0).item() == pytest.approx((1 - by_hand) / 2, abs=1e-6)


def test_ssim_of_a_well_kept_library(generator):
    """To 1e-5; that library pads by reflection, so the inner part of its map is compared."""
    torchmetrics = pytest.importorskip("torchmetrics.functional.image")
    prediction, target, valid = reciprocals(generator)
    _, theirs = torchmetrics.structural_similarity_index_measure(
        prediction, target, gaussian_kernel=True, sigma=1.5, data_range=100.0, return_full_image=True
    )
    inner = theirs[..., 5:-5, 5:-5]
    expected = ((1 - inner.flatten(1).mean(1)) / 2).mean()
    assert losses.ssim_loss(prediction, target, valid).item() == pytest.approx(expected.item(), abs=1e-5)


@pytest.mark.parametrize("name", ["gradient_loss", "ssim_loss", "densedepth_loss"])
def test_what_lies_in_a_hole_does_not_matter(name, generator):
    prediction, target, valid = reciprocals(generator)
    loss = getattr(losses, name)
    valid[:, :, 5:9, 10:20] = False
    values = []
    for filling in (0.0, 50.0, float("nan"), float("inf")):
        holed = torch.where(valid, target, filling)
        guess = prediction.clone().requires_grad_(True)
        cost = loss(guess, holed, valid)
        cost.backward()
        assert guess.grad[~valid].abs().sum() == 0
        assert guess.grad.isfinite().all()
        values.append(cost.item())
    assert values == pytest.approx([values[0]] * 4)
    assert loss(prediction, target, torch.zeros_like(valid)).item() == pytest.approx(0, abs=1e-12)


def test_the_gradient_of_densedepths_loss(generator):
    """Without holes: in one, the prediction is a constant to the gradient, and not to finite differences."""
    prediction, target, valid = reciprocals(generator, (1, 1, 12, 13))

    def loss(prediction):
        return losses.densedepth_loss(prediction, target, valid, data_range=5.0)

    assert torch.autograd.gradcheck(loss, prediction.requires_grad_(True))


def test_ssim_refuses_what_it_cannot_measure(generator):
    maps = reciprocals(generator, (1, 1, 8, 32))
    with pytest.raises(ValueError, match="8 x 32 is smaller than the window, 11"):
        losses.ssim_loss(*maps)
    assert losses.ssim_loss(*maps, window=7) > 0
    with pytest.raises(ValueError, match="above 0, got 0"):
        losses.ssim_loss(*maps, data_range=0.0)
