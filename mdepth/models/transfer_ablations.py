"""What a U-Net's skip connections do, and a ResNet's residual sums: the same networks without them.

Source: the questions are ours; the networks are those of :mod:`mdepth.models.transfer`.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from mdepth.models.encoders import ResNet, initialise_he
from mdepth.models.transfer import UNet, as_large_as
from mdepth.shapes import Float, Image, Tensor

__all__ = ["PlainNet", "SkiplessUNet"]


class SkiplessUNet(UNet):
    """:class:`~mdepth.models.transfer.UNet` whose decoder gets nothing but what passes the bottom.

    Instead of the encoder's map, each joint puts the enlarged map beside itself, so that all layers and
    parameters are those of the U-Net.

    Example:
        >>> SkiplessUNet((48, 64), (4, 8, 8, 8, 16))(torch.zeros(1, 3, 48, 64)).shape
        torch.Size([1, 1, 48, 64])
    """

    def forward(self, x: Image) -> Float[Tensor, "B 1 H W"]:
        """Normalised image to a share of the farthest depth, at the size of the image."""
        sizes = []
        for block in self.down:
            sizes.append(x[:, :1])
            x = self.pool(block(x))
        x = self.bottom(x)
        for enlarge, block, size in zip(self.enlarge, self.up, reversed(sizes), strict=True):
            x = enlarge(as_large_as(size, x))
            x = block(torch.cat([x, x], dim=1))
        return torch.sigmoid(self.answer(x))


class PlainNet(ResNet):
    """A ResNet without its sums: every block is its branch and a ReLU, x itself is left out.

    The projections that brought x to the branch's size are gone with it, a few per cent of the parameters.

    Example:
        >>> network = PlainNet((1, 1, 1, 1), bottleneck=False, width=8)
        >>> [maps.shape[1] for maps in network(torch.zeros(1, 3, 64, 64))]
        [8, 8, 16, 32, 64]
    """

    def __init__(self, blocks: Sequence[int], **kwargs: Any) -> None:
        super().__init__(blocks, **kwargs)
        for stage in range(1, 5):
            layer = self.get_submodule(f"layer{stage}")
            self.add_module(f"layer{stage}", nn.Sequential(*(_Branch(block) for block in layer)))  # type: ignore[attr-defined]
        initialise_he(self)


class _Branch(nn.Module):
    """relu(branch(x)) of a residual block."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        block.add_module("downsample", nn.Identity())
        self.block = block

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D h w"]:
        """Features to features."""
        return torch.relu(self.block.branch(x))  # type: ignore[operator]
