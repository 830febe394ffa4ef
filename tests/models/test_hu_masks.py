"""The mask predictor: counts and sizes of the released code, what it sees, what it gives."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional

from mdepth.models import count_parameters, hu
from mdepth.models.encoders_drn import DRN, drn_d_22
from mdepth.models.hu_masks import MASK_PREDICTORS, MaskDecoder, MaskPredictor, mask_predictor

TINY = partial(MaskPredictor, partial(drn_d_22, width=2), (8, 4, 4))


def tiny() -> MaskPredictor:
    """The paper's predictor with hardly any channels."""
    torch.manual_seed(0)
    return TINY()


def test_parameters_by_part() -> None:
    with torch.device("meta"):
        predictor = mask_predictor("hu-mask")
    parts = count_parameters(predictor.encoder), count_parameters(predictor.decoder)
    assert parts == (15_880_752, 9_379_009)
    assert sum(parts) == count_parameters(predictor) == 25_259_761


LAYERS = [
    (16, 1, 1, (228, 304)), (16, 1, 1, (228, 304)), (32, 2, 1, (114, 152)), (64, 2, 1, (57, 76)),
    (128, 2, 1, (29, 38)), (256, 1, 2, (29, 38)), (512, 1, 4, (29, 38)), (512, 1, 2, (29, 38)),
    (512, 1, 1, (29, 38)),
]  # fmt: skip
"""Channels, stride, dilation and map of DRN-D-22's layers."""


def test_layers_of_the_encoder() -> None:
    with torch.device("meta"):
        encoder = drn_d_22()
        maps = encoder(torch.zeros(1, 3, 228, 304))
    for number, (channels, stride, dilation, size) in enumerate(LAYERS):
        layer = encoder.get_submodule(f"layer{number}")
        convs = [part for part in layer.modules() if isinstance(part, nn.Conv2d)]
        wide = [conv for conv in convs if conv.kernel_size[0] > 1]
        assert [conv.kernel_size[0] for conv in wide] == ([7] if number == 0 else [3] * len(wide))
        assert [conv.stride[0] for conv in wide] == [stride] + [1] * (len(wide) - 1)
        assert {conv.dilation[0] for conv in wide} == {dilation}
        assert len(wide) == (4 if number in (3, 4, 5, 6) else 1)
        assert len(convs) - len(wide) == (1 if number in (3, 4, 5, 6) else 0)  # the first block's shortcut
        assert tuple(maps[number].shape[1:]) == (channels, *size)
    assert all(conv.bias is None for conv in encoder.modules() if isinstance(conv, nn.Conv2d))
    assert encoder.channels == tuple(channels for channels, *_ in LAYERS)


def test_a_limit_on_the_channels() -> None:
    with torch.device("meta"):
        assert drn_d_22(width=4, widest=48).channels == (4, 4, 8, 16, 32, 48, 48, 48, 48)


@pytest.mark.parametrize("size", [(64, 80), (33, 47)])
def test_the_encoder_says_what_it_gives(size: tuple[int, int]) -> None:
    encoder = DRN(2)
    maps = encoder(torch.rand(1, 3, *size))
    assert tuple(each.shape[1] for each in maps) == encoder.channels
    assert [tuple(each.shape[2:]) for each in maps] == [
        tuple(-(-side // stride) for side in size) for stride in encoder.strides
    ]


def test_a_dilated_block_by_its_formula() -> None:
    torch.manual_seed(0)
    block, x = DRN(2).layer5[0], torch.randn(2, 16, 9, 11)
    norm = partial(functional.batch_norm, running_mean=None, running_var=None, training=True)
    apart = partial(functional.conv2d, padding=2, dilation=2)
    y = norm(apart(functional.relu(norm(apart(x, block.conv1.weight))), block.conv2.weight))
    short = norm(functional.conv2d(x, block.downsample[0].weight))
    torch.testing.assert_close(block(x), functional.relu(y + short), rtol=1e-4, atol=1e-5)


def test_sizes_of_the_decoder() -> None:
    with torch.device("meta"):
        predictor = mask_predictor("hu-mask")
    found = []
    for name in ("up1", "up2", "up3", "conv"):
        predictor.decoder.get_submodule(name).register_forward_hook(
            lambda _, inputs, output: found.append(tuple(output.shape[1:]))
        )
    mask = predictor(torch.zeros(2, 3, 228, 304, device="meta"))
    assert found == [(256, 57, 76), (128, 114, 152), (64, 228, 304), (1, 228, 304)]
    assert mask.shape == (2, 1, 228, 304)


@pytest.mark.parametrize("size", [(96, 128), (64, 192), (41, 30), (8, 9), (1, 1)])
def test_a_mask_has_the_size_of_its_image_whatever_that_is(size: tuple[int, int]) -> None:
    mask = tiny().eval()(torch.rand(2, 3, *size))
    assert mask.shape == (2, 1, *size)
    assert mask.min() > 0
    assert mask.max() < 1


def test_masks_begin_near_a_half() -> None:
    """So the sparseness that training starts from is known: 5 times the mean is about 2.5."""
    means = []
    for seed in range(8):
        torch.manual_seed(seed)
        with torch.no_grad():
            means.append(TINY()(torch.randn(2, 3, 48, 64)).mean().item())
    assert sum(means) / len(means) == pytest.approx(0.5, abs=0.1)
    assert min(means) > 0.2
    assert max(means) < 0.8


def test_nothing_but_the_last_map_is_looked_at() -> None:
    """No skip connection: of finer maps only the sizes count."""
    predictor, x = tiny(), torch.rand(1, 3, 32, 48)
    maps = predictor.encoder(x)
    predictor.encoder.forward = lambda x: [*(torch.zeros_like(each) for each in maps[:-1]), maps[-1]]
    blind = predictor(x)
    predictor.encoder.forward = lambda x: maps
    assert torch.equal(predictor(x), blind)


def test_the_mask_is_the_sigmoid_of_a_3x3_with_a_bias() -> None:
    decoder = MaskDecoder(4, (4, 2, 2))
    with torch.no_grad():
        decoder.conv.weight.zero_()
        decoder.conv.get_parameter("bias").fill_(1.5)
    mask = decoder(torch.rand(1, 4, 3, 4), [(6, 8), (12, 16), (24, 32)])
    torch.testing.assert_close(mask, torch.sigmoid(torch.tensor(1.5)).expand(1, 1, 24, 32))
    assert decoder.conv.kernel_size == (3, 3)


def test_every_weight_learns() -> None:
    predictor = tiny()
    predictor(torch.randn(2, 3, 48, 64)).square().sum().backward()
    assert [name for name, p in predictor.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_half_pixels_would_be_another_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    predictor, x, right = tiny().eval(), torch.randn(1, 3, 48, 64), hu.resize
    before = predictor(x)
    monkeypatch.setattr(hu, "resize", lambda x, size, **_: right(x, size, align_corners=False))
    assert (predictor(x) - before).abs().max() > 1e-4


def test_a_finer_encoder_halves_the_sides_once_less() -> None:
    maps = DRN(2, coarsest=4)(torch.zeros(1, 3, 30, 50))
    assert [tuple(each.shape[-2:]) for each in maps] == [(30, 50)] * 2 + [(15, 25)] + [(8, 13)] * 6
    assert DRN(2, coarsest=4).strides == (1, 1, 2, 4, 4, 4, 4, 4, 4)
    assert count_parameters(DRN(2, coarsest=4)) == count_parameters(DRN(2))
    with pytest.raises(ValueError, match="coarsest"):
        DRN(2, coarsest=16)


def test_black_is_not_what_is_left_out() -> None:
    """The mask multiplies the normalised image, in which 0 is the mean colour."""
    predictor = tiny()
    black = predictor.normalise(torch.zeros(1, 3, 1, 1)).flatten().tolist()
    assert black == pytest.approx([-2.118, -2.036, -1.804], abs=1e-3)
    mean = torch.tensor(predictor.mean).view(1, 3, 1, 1)
    assert predictor.normalise(mean).abs().max() == 0


def test_names() -> None:
    assert list(MASK_PREDICTORS) == ["hu-mask", "hu-mask-light", "hu-mask-small"]
    for name in ("hu-mask-light", "hu-mask-small"):
        assert count_parameters(mask_predictor(name)) < 2_000_000  # at most 4 MB in 16 bits
    with pytest.raises(ValueError, match=r"unknown mask predictor 'mask'; choose one of hu-mask, hu-mask-li"):
        mask_predictor("mask")
