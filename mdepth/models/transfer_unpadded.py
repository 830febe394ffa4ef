"""The U-Net as Ronneberger, Fischer and Brox published it, without padding ("U-Net: convolutional networks
for biomedical image segmentation", MICCAI 2015).

It was made to cut a large microscope picture into tiles. Nothing is invented at the border of a tile: each
3x3 convolution takes a pixel from every side, and the answer is 184 pixels smaller than the tile. Depth is
wanted for the whole picture, so that networks made of it pad (:class:`mdepth.models.transfer.UNet`).

Source: the sizes by arithmetic from the drawing of the publication, which was not read beyond descriptions of
it.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from mdepth.models.encoders import initialise_he
from mdepth.models.transfer import Sigmoid, join
from mdepth.shapes import Float, Image, Tensor

__all__ = ["UNet2015", "UNet2015Depth", "crop_to"]


def crop_to(skip: Float[Tensor, "B C H W"], size: Sequence[int]) -> Float[Tensor, "B C h w"]:
    """The centre of a map, as high and wide as ``size``.

    Raises:
        ValueError: the map is smaller.

    Example:
        >>> crop_to(torch.zeros(1, 4, 64, 64), (56, 56)).shape
        torch.Size([1, 4, 56, 56])
    """
    (height, width), (rows, columns) = skip.shape[-2:], size
    if height < rows or width < columns:
        raise ValueError(f"cannot cut {rows} x {columns} out of a map of {height} x {width}")
    top, left = (height - rows) // 2, (width - columns) // 2
    return skip[..., top : top + rows, left : left + columns]


class UNet2015(nn.Module):
    r"""The U-Net as it was published: no padding, so that every convolution takes a pixel from each side.

    Four halvings with 64 to 512 channels, 1024 at the bottom, four doublings; before each joint the encoder's
    map is cropped to the smaller one. 23 layers with weights. An input of n pixels a side must have
    n = 16 k + 12 and n >= 188, and gives n - 184: 572 become 388.

    Args:
        inputs, outputs: channels of image and answer.
        widths: channels of the four sizes and of the bottom.

    Raises:
        ValueError: (``forward``) a side that is not 16 k + 12, or less than 188.

    Source: Ronneberger et al. 2015, Figure 1 (sizes by arithmetic; their drawing has one input channel and
    two classes).

    Example:
        >>> with torch.device("meta"):
        ...     UNet2015(1, 2)(torch.zeros(1, 1, 572, 572)).shape
        torch.Size([1, 2, 388, 388])
    """

    def __init__(
        self, inputs: int = 3, outputs: int = 1, widths: Sequence[int] = (64, 128, 256, 512, 1024)
    ) -> None:
        super().__init__()
        *sides, bottom = widths
        self.down = nn.ModuleList(
            _twice(before, width) for before, width in zip([inputs, *sides], sides, strict=False)
        )
        self.pool = nn.MaxPool2d(2)
        self.bottom = _twice(sides[-1], bottom)
        self.enlarge, self.up = nn.ModuleList(), nn.ModuleList()
        for below, width in zip([bottom, *sides[:0:-1]], sides[::-1], strict=True):
            self.enlarge.append(nn.ConvTranspose2d(below, width, 2, stride=2))
            self.up.append(_twice(2 * width, width))
        self.answer = nn.Conv2d(sides[0], outputs, 1)
        initialise_he(self)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D h w"]:
        """Image to one value per class and pixel, 184 pixels smaller."""
        _check_unpadded(x.shape[-2:])
        skips = []
        for block in self.down:
            skips.append(block(x))  # B 64 568 568, B 128 280 280, B 256 136 136, B 512 64 64
            x = self.pool(skips[-1])
        x = self.bottom(x)  # B 1024 28 28
        for enlarge, block, skip in zip(self.enlarge, self.up, reversed(skips), strict=True):
            x = enlarge(x)  # B 512 56 56
            x = block(join(crop_to(skip, x.shape[-2:]), x))  # B 512 52 52, ..., B 64 388 388
        return self.answer(x)


def _twice(inputs: int, outputs: int) -> nn.Sequential:
    """3x3, ReLU, 3x3, ReLU; four pixels smaller."""
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(inputs, outputs, 3), relu1=nn.ReLU(),
            conv2=nn.Conv2d(outputs, outputs, 3), relu2=nn.ReLU(),
        )
    )  # fmt: skip


def _check_unpadded(size: Sequence[int]) -> None:
    """Raise unless both sides pass the unpadded network without a remainder."""
    for side in size:
        if side < 188 or side % 16 != 12:
            fits = max(188, (side - 12) // 16 * 16 + 12)
            raise ValueError(
                f"an unpadded U-Net takes sides of 16 k + 12 pixels from 188 on, got {side}; {fits} would do"
            )


class UNet2015Depth(Sigmoid):
    """The published U-Net with a sigmoid, as a depth network: 572 x 572 pixels in, depth of the inner 388.

    Args:
        input_size: sides of 16 k + 12 pixels from 188 on.
        depth_range: metres; the second is what a sigmoid of 1 stands for.
        **kwargs: of :class:`UNet2015`.

    Raises:
        ValueError: another side (``forward``).

    Example:
        >>> with torch.device("meta"):
        ...     UNet2015Depth().covers(572, 572)
        (92, 480, 92, 480)
    """

    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)

    def __init__(
        self,
        input_size: tuple[int, int] = (572, 572),
        *,
        depth_range: tuple[float, float] = (0.1, 10.0),
        **kwargs: Any,
    ) -> None:
        super().__init__(input_size, depth_range, margin=92)
        self.unet = UNet2015(3, 1, **kwargs)

    def forward(self, x: Image) -> Float[Tensor, "B 1 h w"]:
        """Image in [0, 1] to a share of the farthest depth, 184 pixels smaller."""
        return torch.sigmoid(self.unet(x))
