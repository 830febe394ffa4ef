r"""Eigen, Puhrsch and Fergus, "Depth map prediction from a single image using a multi-scale deep network"
(NIPS 2014).

The file holds the coarse network: five convolutions that see, and two fully connected layers that turn what
they saw into one depth map for the whole image. Its output is **linear log depth** (natural logarithm of
metres): below one metre it is negative, so no activation may follow.

Where we read the paper by its released code and by its own table of sizes:

* Figure 1 says "2x2 pool" and draws none after the fifth convolution. The map sizes it prints come out only
  with pools of 3x3, stride 2, without padding, after convolutions 1, 2 **and 5**; that is what the released
  code has, and what stands here.
* Dropout lies on the vector behind layer 6 and nowhere else; the text does not print its rate, the code has
  0.5.

Where we differ: the convolutions start from random weights (He et al. 2015) where the paper takes them from
ImageNet; the cross-map response norm of the released code, of which the paper says nothing, is left out; the
released input, pixel - 128, and its factor 0.01 on the convolutions' result are one division by 100 at the
entrance, which is the same function up to the biases.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from mdepth.models.contract import Box, DepthNetwork, Native
from mdepth.shapes import Float, Image, Tensor

__all__ = ["KITTI", "NYU", "ROADS", "ROOMS", "CoarseSize", "EigenCoarse"]


@dataclass(frozen=True)
class CoarseSize:
    """Everything that differs between the coarse networks of two data sets. Sizes are (height, width)."""

    image_size: tuple[int, int]
    input_size: tuple[int, int]
    covered: Box
    """Rows and columns of the input that the output stands for, one output pixel for every 4 x 4."""
    channels: tuple[int, int, int, int, int] = (96, 256, 384, 384, 256)
    first: tuple[int, int, int] = (11, 4, 2)
    """Kernel, stride and padding of the first convolution."""
    hidden: int = 4096
    depth_range: tuple[float, float] = (0.1, 10.0)


NYU = CoarseSize(image_size=(240, 320), input_size=(228, 304), covered=(4, 224, 4, 300))
"""Figure 1, left numbers: half-size Kinect images, a border of 4 pixels left out."""
KITTI = CoarseSize(
    image_size=(184, 612), input_size=(172, 576), covered=(55, 163, 4, 572), depth_range=(1.0, 80.0)
)
"""Figure 1, right numbers: the network sees the whole crop and predicts the part that the LiDAR reaches."""
ROOMS = CoarseSize(
    image_size=(96, 128), input_size=(92, 124), covered=(2, 90, 2, 122),
    channels=(32, 64, 96, 96, 64), first=(7, 2, 3), hidden=384,
)  # fmt: skip
"""The same network for the small synthetic rooms: thinner, and half the stride at the entrance."""
ROADS = CoarseSize(
    image_size=(64, 192), input_size=(60, 180), covered=(2, 58, 2, 178),
    channels=(32, 64, 96, 96, 64), first=(7, 2, 3), hidden=384, depth_range=(1.0, 80.0),
)  # fmt: skip
"""For the small synthetic roads; depth is known above the horizon too, so the output covers the whole
height.
"""


class EigenCoarse(DepthNetwork):
    r"""The coarse network: from an image to log depth at a quarter of the covered rows and columns.

    .. math:: \log d = W_7\,\mathrm{dropout}(\mathrm{relu}(W_6\,\phi(x) + b_6)) + b_7

    with :math:`\phi` the five convolutions. Row k of :math:`W_7` is the weight of every hidden unit for
    output pixel k; column j is hidden unit j's template, a depth map of its own (the paper's Figure 2).

    Args:
        size: one of ``NYU``, ``KITTI``, ``ROOMS``, ``ROADS`` or your own.
        dropout: share of the hidden vector that is zeroed in training (0.5 in the released code).
        mean_log_depth: where the output starts, in log metres; the released code starts it at the training
            set's mean.
        init: ``he`` for weights of standard deviation sqrt(2 / fan in), ``released`` for 0.01 everywhere;
            layer 7 always starts near zero.

    Source: section 3.1 and Figure 1; dropout, starting bias and ``released`` from the released configuration.

    Example:
        >>> import torch
        >>> EigenCoarse(ROOMS)(torch.zeros(1, 3, 92, 124)).shape
        torch.Size([1, 1, 22, 30])
    """

    native: ClassVar[Native] = "log_depth"
    metric: ClassVar[bool] = True
    upsampling = "nearest"  # section 4: "nearest-neighbour" to full resolution
    mean = (128 / 255, 128 / 255, 128 / 255)
    std = (100 / 255, 100 / 255, 100 / 255)

    def __init__(
        self,
        size: CoarseSize = NYU,
        *,
        dropout: float = 0.5,
        mean_log_depth: float = 0.0,
        init: str = "he",
    ) -> None:
        super().__init__(image_size=size.image_size, input_size=size.input_size, covered=size.covered)
        self.depth_range = size.depth_range
        c1, c2, c3, c4, c5 = size.channels
        kernel, stride, padding = size.first
        self.coarse1 = _stage(3, c1, kernel, stride=stride, padding=padding, pool=True)
        self.coarse2 = _stage(c1, c2, 5, padding=2, pool=True)
        self.coarse3 = _stage(c2, c3, 3, padding=1)
        self.coarse4 = _stage(c3, c4, 3, padding=1)
        self.coarse5 = _stage(c4, c5, 3, padding=1, pool=True)
        rows, columns = self._feature_size(size)
        self.coarse6 = nn.Sequential(
            OrderedDict(
                fc=nn.Linear(c5 * rows * columns, size.hidden), relu=nn.ReLU(), dropout=nn.Dropout(dropout)
            )
        )
        h, w = self.output_size
        self.coarse7 = nn.Sequential(
            OrderedDict(fc=nn.Linear(size.hidden, h * w), map=nn.Unflatten(1, (1, h, w)))
        )
        _initialise(self, init, mean_log_depth)

    @property
    def output_size(self) -> tuple[int, int]:
        """Rows and columns of the depth map: one pixel for every 4 x 4 covered input pixels."""
        top, bottom, left, right = self.covered
        return (bottom - top) // 4, (right - left) // 4

    def features(self, x: Image) -> Float[Tensor, "B C h w"]:
        """The convolutions: what the network saw, before the fully connected layers mix all places."""
        for stage in (self.coarse1, self.coarse2, self.coarse3, self.coarse4, self.coarse5):
            x = stage(x)
        return x

    def forward(self, x: Image) -> Float[Tensor, "B 1 h w"]:
        """Normalised image of ``input_size`` to log depth."""
        hidden = self.coarse6(self.features(x).flatten(1))  # (B, hidden)
        return self.coarse7(hidden)  # (B, 1, h, w)

    def to_depth(self, native: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
        """Log depth to metres: exp."""
        return native.exp()

    def templates(self) -> Float[Tensor, "hidden h w"]:
        """The depth map that each hidden unit adds to log depth when it fires with strength one (the paper's
        Figure 2).
        """
        return self.get_parameter("coarse7.fc.weight").detach().T.unflatten(1, self.output_size)

    def _feature_size(self, size: CoarseSize) -> tuple[int, int]:
        """Rows and columns that the convolutions leave, by the arithmetic of convolutions and floor pools."""
        kernel, stride, padding = size.first
        rows, columns = ((side + 2 * padding - kernel) // stride + 1 for side in size.input_size)
        for _ in range(3):  # the three pools; the other convolutions keep the size
            rows, columns = (rows - 3) // 2 + 1, (columns - 3) // 2 + 1
        return rows, columns


def _stage(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, padding: int, pool: bool = False
) -> nn.Sequential:
    """Convolution and ReLU, then the 3x3 pool of stride 2 (floor, unpadded) where the stage has one."""
    layers = OrderedDict[str, nn.Module](
        conv=nn.Conv2d(inputs, outputs, kernel, stride, padding), relu=nn.ReLU()
    )
    if pool:
        layers["pool"] = nn.MaxPool2d(3, 2)
    return nn.Sequential(layers)


def _initialise(network: EigenCoarse, init: str, mean_log_depth: float) -> None:
    """Random weights by ``init``; then layer 7 uniform in +-0.005 with its bias at the mean, as released."""
    if init not in ("he", "released"):
        raise ValueError(f"init must be 'he' or 'released', got {init!r}")
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        elif init == "he":
            nn.init.kaiming_normal_(parameter, nonlinearity="relu")
        else:
            nn.init.normal_(parameter, std=0.01)
    nn.init.uniform_(network.get_parameter("coarse7.fc.weight"), -0.005, 0.005)
    nn.init.constant_(network.get_parameter("coarse7.fc.bias"), mean_log_depth)
