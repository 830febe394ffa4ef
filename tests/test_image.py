"""Resizing, derivatives and structural similarity: hand-computed values and the released codes' numbers."""

from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image as Picture
from torch.nn import functional as F

from mdepth import image as im


def grid(height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows y and columns x, in float64."""
    return torch.meshgrid(torch.arange(height).double(), torch.arange(width).double(), indexing="ij")


def wave_image(phase: float) -> torch.Tensor:
    """The 8 x 12 colour image 0.5 + 0.5 sin(0.3 x + 0.5 y + c + phase)."""
    y, x = grid(8, 12)
    return torch.stack([0.5 + 0.5 * torch.sin(0.3 * x + 0.5 * y + c + phase) for c in range(3)])[None]


def correlated(image: torch.Tensor, kernel: torch.Tensor, padding: str) -> torch.Tensor:
    """Every channel cross-correlated with one odd kernel, by torch's convolution."""
    mode = {"zeros": "constant", "reflect": "reflect", "replicate": "replicate"}
    (height, width), channels = kernel.shape, image.shape[1]
    if padding != "valid":
        image = F.pad(image, (width // 2, width // 2, height // 2, height // 2), mode=mode[padding])
    return F.conv2d(image, kernel.expand(channels, 1, height, width), groups=channels)


# --- resizing


def test_bilinear_conventions_by_hand():
    row = torch.tensor([[[[0.0, 3.0]]]])
    half_pixel = im.resize(row, (1, 4))
    corners = im.resize(row, (1, 4), align_corners=True)
    torch.testing.assert_close(half_pixel.flatten(), torch.tensor([0.0, 0.75, 2.25, 3.0]))
    torch.testing.assert_close(corners.flatten(), torch.tensor([0.0, 1.0, 2.0, 3.0]))


def test_nearest_takes_the_nearest_centre():
    """0..9 to three: the centres of the new cells are 1.17, 4.5, 7.83 (the older rule would pick 0, 3, 6)."""
    row = torch.arange(10.0).reshape(1, 1, 1, 10)
    assert im.resize(row, (1, 3), mode="nearest").flatten().tolist() == [1, 5, 8]


@pytest.mark.parametrize("size", [(10, 14), (15, 7), (20, 21), (11, 7), (3, 2)])
def test_nearest_is_the_same_rule_at_whole_factors_and_at_others(size, generator):
    image = torch.rand(1, 1, 5, 7, generator=generator)
    assert im.resize(image, size, mode="nearest").equal(F.interpolate(image, size, mode="nearest-exact"))


def test_nearest_never_invents_depth(generator):
    depth = torch.randint(0, 5, (1, 1, 9, 13), generator=generator).float()
    assert set(im.resize(depth, (20, 5), mode="nearest").unique().tolist()) <= set(depth.unique().tolist())


@pytest.mark.parametrize(("mode", "filter_"), [("bilinear", Picture.BILINEAR), ("nearest", Picture.NEAREST)])
def test_shrinking_agrees_with_pillow(mode, filter_, generator):
    image = torch.rand(1, 1, 12, 20, generator=generator)
    ours = im.resize(image, (5, 7), mode=mode, antialias=mode == "bilinear")
    theirs = np.array(Picture.fromarray(image[0, 0].numpy()).resize((7, 5), filter_))
    np.testing.assert_allclose(ours[0, 0].numpy(), theirs, atol=1e-5)


def test_antialias_averages_and_skipping_does_not():
    stripes = torch.tensor([0.0, 1.0]).repeat(8).reshape(1, 1, 1, 16)
    averaged = im.resize(stripes, (1, 4), antialias=True)[..., 1:-1]
    torch.testing.assert_close(averaged, torch.full((1, 1, 1, 2), 0.5))
    quarter = torch.tensor([0.0, 0, 0, 0, 0, 4, 0, 0, 0]).reshape(1, 1, 1, 9)
    assert im.resize(quarter, (1, 3)).sum() == 0  # the bright pixel falls between the samples
    assert im.resize(quarter, (1, 3), mode="area").sum() == pytest.approx(4 / 3)


def test_same_size_is_the_same_tensor_and_bad_choices_are_refused():
    image = torch.rand(1, 1, 3, 4)
    assert im.resize(image, (3, 4)) is image
    assert im.resize(image, (3, 4), mode="nearest").equal(image)
    with pytest.raises(ValueError, match="linear"):
        im.resize(image, (6, 8), mode="linear")
    with pytest.raises(ValueError, match="align_corners"):
        im.resize(image, (6, 8), mode="nearest", align_corners=True)


# --- derivatives


def test_forward_differences_by_hand():
    image = torch.tensor([[[[1.0, 4.0, 9.0], [2.0, 2.0, 2.0]]]])
    du, dv = im.forward_differences(image)
    assert du[0, 0].tolist() == [[3.0, 5.0], [0.0, 0.0]]
    assert dv[0, 0].tolist() == [[1.0, -2.0, -7.0]]


def test_sobel_reproduces_the_published_numbers():
    sx, sy = im.sobel(torch.full((1, 1, 5, 5), 3.0))
    assert sx[0, 0, 0].tolist() == [-9, 0, 0, 0, 9]
    assert sx[0, 0, 1:4].tolist() == [[-12, 0, 0, 0, 12]] * 3
    assert torch.equal(sy, sx.mT)
    y, x = grid(114, 152)
    d = (3 + torch.sin(0.05 * x) + 0.5 * torch.cos(0.07 * y))[None, None]
    sx, sy = im.sobel(d, padding="zeros")
    assert (sx[0, 0, 0, 0].item(), sy[0, 0, 0, 0].item()) == pytest.approx(
        (-10.648713007938674, -10.546305669650598), abs=1e-12
    )
    assert (sx[0, 0, 57, 76].item(), sy[0, 0, 57, 76].item()) == pytest.approx(
        (0.3162552732912949, -0.20989242171871147), abs=1e-12
    )


@pytest.mark.parametrize("padding", ["valid", "zeros", "reflect", "replicate"])
def test_sobel_is_a_cross_correlation(padding, generator):
    image = torch.rand(2, 3, 7, 9, generator=generator, dtype=torch.float64, requires_grad=True)
    kernel = torch.tensor([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]], dtype=torch.float64)
    expected = correlated(image, kernel, padding), correlated(image, kernel.T, padding)
    for found, wanted in zip(im.sobel(image, padding=padding), expected, strict=True):
        torch.testing.assert_close(found, wanted)
        weights = torch.rand(found.shape, generator=generator, dtype=torch.float64)
        sums = ((each * weights).sum() for each in (found, wanted))
        ours, theirs = (torch.autograd.grad(each, image, retain_graph=True)[0] for each in sums)
        torch.testing.assert_close(ours, theirs)


def test_sobel_of_a_ramp_and_its_paddings():
    ramp = 0.01 * grid(6, 7)[1][None, None]
    torch.testing.assert_close(im.sobel(ramp, padding="valid")[0], torch.full((1, 1, 4, 5), -0.08).double())
    constant = torch.full((1, 1, 4, 5), 7.0)
    for padding in ("replicate", "reflect", "valid"):
        assert all(s.abs().max() < 1e-5 for s in im.sobel(constant, padding=padding))
    assert im.sobel(constant, padding="zeros")[0].abs().max() == 28
    with pytest.raises(ValueError, match="circular"):
        im.sobel(constant, padding="circular")


# --- structural similarity


def test_dissimilarity_reproduces_the_published_numbers():
    first, second = wave_image(0.0), wave_image(0.4)
    s = im.ssim_dissimilarity(first, second)
    assert s.mean().item() == pytest.approx(0.1426122905836559, abs=1e-12)
    assert s[0, 0, 0, 0].item() == pytest.approx(0.030735589237711414, abs=1e-12)
    assert s[0, 0, 4, 6].item() == pytest.approx(0.14331090523638573, abs=1e-12)
    pe = 0.85 * s.mean(dim=1) + 0.15 * (first - second).abs().mean(dim=1)  # Monodepth2, eq. 2
    assert pe.mean().item() == pytest.approx(0.1401738277798349, abs=1e-12)
    assert pe[0, 4, 6].item() == pytest.approx(0.14668524866351104, abs=1e-12)


def test_gaussian_ssim_of_constants_by_hand():
    """Without variance only the first factor is left: (2 a b + C1) / (a^2 + b^2 + C1)."""
    a, b = torch.full((1, 1, 11, 11), 0.3).double(), torch.full((1, 1, 11, 11), 0.6).double()
    similarity = im.ssim(a, b, window=im.gaussian_window(11, 1.5), padding="valid")
    assert similarity.shape == (1, 1, 1, 1)
    assert similarity.item() == pytest.approx((2 * 0.18 + 1e-4) / (0.09 + 0.36 + 1e-4), abs=1e-9)


def test_gaussian_ssim_against_plain_sums(generator):
    a, b = (torch.rand(11, 11, generator=generator, dtype=torch.float64) for _ in range(2))
    window = im.gaussian_window(11, 1.5)
    assert window.sum().item() == pytest.approx(1, abs=1e-12)
    assert (window[5] / window[8]).item() == pytest.approx(np.exp(9 / 4.5))
    w = torch.outer(window, window)
    m1, m2 = (w * a).sum(), (w * b).sum()
    v1, v2, c = (w * (a - m1) ** 2).sum(), (w * (b - m2) ** 2).sum(), (w * (a - m1) * (b - m2)).sum()
    expected = (2 * m1 * m2 + 1) * (2 * c + 9) / ((m1**2 + m2**2 + 1) * (v1 + v2 + 9))
    found = im.ssim(a[None, None], b[None, None], window=window, padding="valid", data_range=100.0)
    torch.testing.assert_close(found.squeeze(), expected)


UNEVEN = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)


@pytest.mark.parametrize("padding", ["valid", "zeros", "reflect", "replicate"])
@pytest.mark.parametrize("window", [im.gaussian_window(11, 1.5), im.box_window(3), UNEVEN])
def test_means_over_windows_are_a_convolution(window, padding, generator):
    """Also next to the margin, where rows and columns differ, and where the window is not symmetric."""
    image = torch.rand(2, 3, 13, 19, generator=generator, dtype=torch.float64, requires_grad=True)
    found = im.moments(image, window=window, padding=padding).mean
    expected = correlated(image, torch.outer(window, window), padding)
    torch.testing.assert_close(found, expected)
    weights = torch.rand(found.shape, generator=generator, dtype=torch.float64)
    ours, theirs = (torch.autograd.grad((each * weights).sum(), image)[0] for each in (found, expected))
    torch.testing.assert_close(ours, theirs)


def test_moments_stand_for_their_image(generator):
    first, second = torch.rand(2, 1, 3, 9, 11, generator=generator)
    for window, padding in ((im.box_window(3), "reflect"), (im.gaussian_window(7), "valid")):
        how = {"window": window, "padding": padding}
        known = im.moments(second, **how)
        assert torch.equal(im.ssim(first, known, **how), im.ssim(first, second, **how))
        spread = im.moments(first, **how).variance
        assert spread.min() > 0
        assert im.moments(torch.full_like(first, 0.7), **how).variance.abs().max() < 1e-6


@pytest.mark.parametrize(("window", "padding"), [(im.box_window(3), "reflect"), (UNEVEN, "valid"),
                                                 (im.gaussian_window(7), "zeros")])  # fmt: skip
def test_the_gradient_of_similarity_is_that_of_its_formula(window, padding, generator):
    """In closed form where the other image has none, by torch where it has one."""
    first, second = torch.rand(2, 2, 1, 8, 9, generator=generator, dtype=torch.float64)
    weights = torch.rand_like(im.moments(first, window=window, padding=padding).mean)
    gradients = []
    for known in (second, second.clone().requires_grad_()):
        x = first.clone().requires_grad_()
        similarity = im.ssim(x, known, window=window, padding=padding)
        gradients.append(torch.autograd.grad((similarity * weights).sum(), x)[0])
    torch.testing.assert_close(*gradients)
    similarity = partial(im.ssim, second=second[:1], window=window, padding=padding)
    assert torch.autograd.gradcheck(similarity, first[:1].clone().requires_grad_())


def test_similarity_of_even_windows_and_of_small_images() -> None:
    image = torch.rand(1, 1, 8, 9)
    assert im.ssim(image, image, window=im.box_window(2), padding="reflect").shape == image.shape
    with pytest.raises(ValueError, match="smaller than the window"):
        im.ssim(image, image, window=im.gaussian_window(), padding="valid")


def test_similarity_rises_with_the_assumed_range(generator):
    smooth = 3 + torch.sin(grid(24, 24)[1] / 5)[None, None]
    noisy = smooth + 0.1 * torch.randn(smooth.shape, generator=generator, dtype=torch.float64)
    around = im.gaussian_window()
    means = [
        im.ssim(smooth, noisy, window=around, padding="valid", data_range=L).mean()
        for L in (1.0, 10.0, 100.0)
    ]
    assert means[0] < 0.9 < means[1] < means[2]
    assert means[2] > 0.99  # with DenseDepth's range of 100, almost everything is similar
    assert im.ssim(smooth, smooth, window=around, padding="valid").mean().item() == pytest.approx(1)


def test_gradients(generator):
    first = torch.rand(1, 2, 5, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    second = torch.rand(1, 2, 5, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(im.ssim_dissimilarity, (first, second))
    assert torch.autograd.gradcheck(lambda x: im.sobel(x), first)
    assert torch.autograd.gradcheck(lambda x: im.resize(x, (7, 4), align_corners=True), first)


def test_sizes_must_agree():
    with pytest.raises(Exception, match=r"(?s)second|shape"):
        im.ssim_dissimilarity(torch.rand(1, 3, 4, 4), torch.rand(1, 3, 4, 5))
