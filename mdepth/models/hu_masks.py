r"""The mask predictor of Hu, Zhang and Okatani, "Visualization of convolutional neural networks for monocular
depth estimation" (ICCV 2019): which pixels does a depth network need?

A depth network N is given, trained, and not touched. The predictor G looks at the image I and says of every
pixel how much of it is kept, M = G(I) between 0 and 1. It is trained so that N says of the masked image
I M what it says of I, with as little of the image as possible; :mod:`mdepth.models` holds the network only.

G sees the image as N does, **normalised**, and M multiplies the normalised image: 0 is the mean colour, not
black. Its encoder is a dilated residual network whose last map has an eighth of the image's sides; three
up-projections bring it back to a quarter, a half and all of them, 3x3 and a sigmoid make it a mask. There is
no skip connection: of the encoder's finer maps only their sizes are used.

:func:`mask_predictor` makes the paper's network and small ones by name; a mask predictor gives no depth, so
that it stands not among the networks of ``build``.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import nn

from mdepth.models.encoders import IMAGENET, Encoder
from mdepth.models.encoders_drn import drn_d_22
from mdepth.models.hu import UpProjection
from mdepth.shapes import Float, Image, Tensor

__all__ = ["MASK_PREDICTORS", "MaskDecoder", "MaskPredictor", "mask_predictor"]


class MaskDecoder(nn.Module):
    """Features to a map between 0 and 1: three up-projections, 3x3 with a bias, sigmoid.

    Args:
        features: channels of the encoder's last map.
        widths: channels behind the three up-projections.

    Source: released code (facts, no code), with its names of the layers.

    Example:
        >>> MaskDecoder(8, (4, 4, 2))(torch.zeros(1, 8, 3, 4), [(6, 8), (12, 16), (23, 31)]).shape
        torch.Size([1, 1, 23, 31])
    """

    def __init__(self, features: int, widths: Sequence[int] = (256, 128, 64)) -> None:
        super().__init__()
        first, second, third = widths
        self.up1 = UpProjection(features, first)
        self.up2 = UpProjection(first, second)
        self.up3 = UpProjection(second, third)
        self.conv = nn.Conv2d(third, 1, 3, padding=1)

    def forward(
        self, x: Float[Tensor, "B C h w"], sizes: Sequence[tuple[int, int]]
    ) -> Float[Tensor, "B 1 H W"]:
        """Features, and the sizes of the three up-projections, to a map of the last size."""
        x = self.up1(x, sizes[0])  # B 256 57 76
        x = self.up2(x, sizes[1])  # B 128 114 152
        x = self.up3(x, sizes[2])  # B 64 228 304
        return torch.sigmoid(self.conv(x))


class MaskPredictor(nn.Module):
    r"""G: an image to a mask of its size, between 0, where a pixel is left out, and 1, where it is kept.

    Masks are soft: nothing is cut off at a threshold. From random weights they begin near 0.5. Any size goes
    in.

    Args:
        encoder: makes the encoder, with maps of strides 2 and 4; the last of 8, or of 4.
        widths: channels of the decoder.

    Source: ICCV 2019; sizes from released code. 25,259,761 parameters.

    Example:
        >>> predictor = mask_predictor("hu-mask-light").eval()
        >>> mask = predictor(predictor.normalise(torch.rand(1, 3, 30, 41)))
        >>> mask.shape, bool((mask > 0).all() and (mask < 1).all())
        (torch.Size([1, 1, 30, 41]), True)
    """

    mean, std = IMAGENET

    def __init__(
        self, encoder: Callable[[], Encoder] = drn_d_22, widths: Sequence[int] = (256, 128, 64)
    ) -> None:
        super().__init__()
        self.encoder = encoder()
        self.decoder = MaskDecoder(self.encoder.channels[-1], widths)

    def normalise(self, image: Image) -> Image:
        """RGB in [0, 1] to what ``forward`` expects: (image - mean) / std, of ImageNet's images."""
        mean, std = (image.new_tensor(values).view(1, 3, 1, 1) for values in (self.mean, self.std))
        return (image - mean) / std

    def forward(self, x: Image) -> Float[Tensor, "B 1 H W"]:
        """Normalised image to its mask."""
        maps = self.encoder(x)
        last = dict(zip(self.encoder.strides, maps, strict=True))  # of every stride, the last map
        sizes = [(each.shape[-2], each.shape[-1]) for each in (last[4], last[2], x)]
        return self.decoder(maps[-1], sizes)


MASK_PREDICTORS: dict[str, Callable[[], MaskPredictor]] = {
    "hu-mask": MaskPredictor,
    "hu-mask-light": partial(MaskPredictor, partial(drn_d_22, width=4, widest=48), (16, 8, 4)),
    "hu-mask-small": partial(MaskPredictor, partial(drn_d_22, width=4, widest=48, coarsest=4), (16, 8, 6)),
}
"""The paper's predictor; a light one, for quick answers; and the light one with finer maps, for the small
images of the synthetic worlds: 24 x 32 behind 96 x 128, where the paper has 29 x 38. All take any size.
"""


def mask_predictor(name: str) -> MaskPredictor:
    """Make the mask predictor called ``name`` with random weights.

    Raises:
        ValueError: none has that name; the message lists those that exist.

    Example:
        >>> with torch.device("meta"):
        ...     sum(parameter.numel() for parameter in mask_predictor("hu-mask").parameters())
        25259761
    """
    if name not in MASK_PREDICTORS:
        raise ValueError(f"unknown mask predictor {name!r}; choose one of {', '.join(MASK_PREDICTORS)}")
    return MASK_PREDICTORS[name]()
