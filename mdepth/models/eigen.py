r"""Eigen, Puhrsch and Fergus, "Depth map prediction from a single image using a multi-scale deep network"
(NIPS 2014).

Two networks. The **coarse** one looks at the whole image: five convolutions that see, and two fully connected
layers that turn what they saw into one depth map. The **fine** one looks at 45 x 45 pixels around each place
and draws the coarse map again with sharper edges. Both outputs are **linear log depth** (natural logarithm of
metres): below one metre it is negative, so no activation may follow.

Where we read the paper by its released code and by its own table of sizes:

* Figure 1 says "2x2 pool" and draws none after the fifth convolution. The map sizes it prints, and the 45
  pixels that its text gives the fine network, come out only with pools of 3x3, stride 2, without padding,
  after convolutions 1, 2, **5** and Fine 1; that is what the released code has, and what stands here.
* Dropout lies on the vector behind layer 6 and nowhere else; the text does not print its rate, the code has
  0.5.

Where we differ: the convolutions start from random weights (He et al. 2015) or from those of a pretext task,
where the paper takes them from ImageNet; the cross-map response norm of the released code, of which the paper
says nothing, is left out; the released input of the coarse network, pixel - 128, and its factor 0.01 on the
convolutions' result are one division by 100 at the entrance, which is the same function up to the biases.
``EigenReleased`` has norm, inputs and factor as the released code has them.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from mdepth.models.contract import Box, DepthNetwork, Native
from mdepth.shapes import Float, Image, Tensor

__all__ = [
    "KITTI", "NYU", "ROADS", "ROOMS", "EigenCoarse", "EigenFine", "EigenReleased", "EigenSize",
    "EigenUpsampled",
]  # fmt: skip


@dataclass(frozen=True)
class EigenSize:
    """Everything that differs between the networks of two data sets. Sizes are (height, width)."""

    image_size: tuple[int, int]
    input_size: tuple[int, int]
    covered: Box
    """Rows and columns of the input that the output stands for, one output pixel for every 4 x 4."""
    channels: tuple[int, int, int, int, int] = (96, 256, 384, 384, 256)
    first: tuple[int, int, int] = (11, 4, 2)
    """Kernel, stride and padding of the first convolution."""
    hidden: int = 4096
    fine: tuple[int, int] = (63, 64)
    """Channels of the fine network: of its first convolution, and of the one behind the joint."""
    depth_range: tuple[float, float] = (0.1, 10.0)

    @property
    def border(self) -> int:
        """Input pixels around the covered part that the fine network uses up."""
        return self.covered[2]

    @property
    def fine_box(self) -> Box:
        """Rows and columns of the input that the fine network sees: the covered part and its border."""
        top, bottom, left, right = self.covered
        return top - self.border, bottom + self.border, left - self.border, right + self.border


NYU = EigenSize(image_size=(240, 320), input_size=(228, 304), covered=(4, 224, 4, 300))
"""Figure 1, left numbers: half-size Kinect images, a border of 4 pixels left out."""
KITTI = EigenSize(
    image_size=(184, 612), input_size=(172, 576), covered=(55, 163, 4, 572), depth_range=(1.0, 80.0)
)
"""Figure 1, right numbers: the network sees the whole crop and predicts the part that the LiDAR reaches."""
ROOMS = EigenSize(
    image_size=(96, 128), input_size=(92, 124), covered=(2, 90, 2, 122),
    channels=(32, 64, 96, 96, 64), first=(7, 2, 3), hidden=384, fine=(31, 32),
)  # fmt: skip
"""The same network for the small synthetic rooms: thinner, and half the stride at the entrance."""
ROADS = EigenSize(
    image_size=(64, 192), input_size=(60, 180), covered=(2, 58, 2, 178),
    channels=(32, 64, 96, 96, 64), first=(7, 2, 3), hidden=384, fine=(31, 32), depth_range=(1.0, 80.0),
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

    Source: text on the networks and Figure 1; dropout, starting bias and ``released`` from the released
    configuration.

    Example:
        >>> import torch
        >>> EigenCoarse(ROOMS)(torch.zeros(1, 3, 92, 124)).shape
        torch.Size([1, 1, 22, 30])
    """

    native: ClassVar[Native] = "log_depth"
    metric: bool = True
    upsampling = "nearest"  # text on the evaluation: nearest neighbour, to full resolution
    mean = (128 / 255, 128 / 255, 128 / 255)
    std = (100 / 255, 100 / 255, 100 / 255)

    def __init__(
        self,
        size: EigenSize = NYU,
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
        rows, columns = _feature_size(size)
        self.coarse6 = nn.Sequential(
            OrderedDict(
                fc=nn.Linear(c5 * rows * columns, size.hidden), relu=nn.ReLU(), dropout=nn.Dropout(dropout)
            )
        )
        h, w = self.output_size
        self.coarse7 = nn.Sequential(
            OrderedDict(fc=nn.Linear(size.hidden, h * w), map=nn.Unflatten(1, (1, h, w)))
        )
        _initialise(self, init)
        _start_at(self.coarse7.get_submodule("fc"), mean_log_depth)

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


class EigenUpsampled(EigenCoarse):
    r"""The coarse network without templates: layer 7 predicts as many depths as the convolutions have places,
    and a bilinear enlargement makes the map. It is there to be compared: what do learnt templates of the full
    size buy?

    .. math:: \log d = \mathrm{bilinear}(W_7 \cdot \mathrm{coarse}_6(x) + b_7)

    with 6 x 8 outputs for NYU, 4 x 6 for the small rooms. Arguments, units and edge cases as in
    :class:`EigenCoarse`; ``templates()`` are the enlarged ones.

    Example:
        >>> EigenUpsampled(ROOMS).coarse7.fc.out_features, EigenUpsampled(ROOMS).output_size
        (24, (22, 30))
    """

    def __init__(
        self,
        size: EigenSize = NYU,
        *,
        dropout: float = 0.5,
        mean_log_depth: float = 0.0,
        init: str = "he",
    ) -> None:
        super().__init__(size, dropout=dropout, init=init)
        rows, columns = _feature_size(size)
        self.coarse7 = nn.Sequential(
            OrderedDict[str, nn.Module](
                fc=nn.Linear(size.hidden, rows * columns),
                map=nn.Unflatten(1, (1, rows, columns)),
                enlarge=nn.Upsample(self.output_size, mode="bilinear", align_corners=False),
            )
        )
        _start_at(self.coarse7.get_submodule("fc"), mean_log_depth)

    def templates(self) -> Float[Tensor, "hidden h w"]:
        """The depth map that each hidden unit adds to log depth, enlarged."""
        weight = self.get_parameter("coarse7.fc.weight").detach().T
        return self.coarse7[1:](weight)[:, 0]


class EigenFine(DepthNetwork):
    r"""Coarse and fine network: the coarse log depth, drawn again with the image's edges.

    .. math:: \log d = F_4 * \mathrm{relu}\big(F_3 * [\mathrm{relu}(\mathrm{pool}(F_1 * x)),\; c(x)]\big)

    with c the coarse network's log depth, one more feature map beside the 63 of the first convolution ("Fine
    2" of the figure is this joint). Three convolutions of 9x9 (stride 2), 5x5 and 5x5 and one pool: an output
    pixel sees 45 x 45 input pixels, and the whole image through c. Output pixel (i, j) is centred on input
    pixel (t + 4 i + 1, l + 4 j + 1) of the covered part that begins at (t, l), where the targets are sampled.

    Training has two stages, and the second leaves the coarse network alone (text on training): after
    ``freeze_coarse()`` its weights have no gradient and its dropout is off.

    Args:
        size: one of ``NYU``, ``KITTI``, ``ROOMS``, ``ROADS`` or your own.
        dropout, mean_log_depth, init: as in :class:`EigenCoarse`; the fine network has no dropout.

    Source: text on the networks and Figure 1; paddings from the printed sizes.

    Example:
        >>> EigenFine(ROOMS)(torch.zeros(1, 3, 92, 124)).shape
        torch.Size([1, 1, 22, 30])
    """

    native: ClassVar[Native] = "log_depth"
    metric: bool = True
    upsampling = "nearest"
    mean = EigenCoarse.mean
    std = EigenCoarse.std

    def __init__(
        self,
        size: EigenSize = NYU,
        *,
        dropout: float = 0.5,
        mean_log_depth: float = 0.0,
        init: str = "he",
    ) -> None:
        super().__init__(image_size=size.image_size, input_size=size.input_size, covered=size.covered)
        self.depth_range, self.fine_box = size.depth_range, size.fine_box
        self.frozen = False
        first, second = size.fine
        self.coarse = EigenCoarse(size, dropout=dropout, mean_log_depth=mean_log_depth, init=init)
        self.fine1 = _stage(3, first, 9, stride=2, padding=5 - size.border, pool=True)
        self.fine3 = _stage(first + 1, second, 5, padding=2)
        self.fine4 = nn.Sequential(OrderedDict(conv=nn.Conv2d(second, 1, 5, padding=2)))
        _initialise(self.fine1, init, released=0.001)
        _initialise(self.fine3, init)
        _initialise(self.fine4, "released")
        nn.init.constant_(self.fine4.get_parameter("conv.bias"), mean_log_depth)

    @property
    def output_size(self) -> tuple[int, int]:
        """Rows and columns of the depth map, those of the coarse one."""
        return self.coarse.output_size

    def forward(self, x: Image) -> Float[Tensor, "B 1 h w"]:
        """Normalised image of ``input_size`` to log depth."""
        top, bottom, left, right = self.fine_box
        features = self.fine1(self.see_fine(x)[..., top:bottom, left:right])  # B 63 h w
        joint = torch.cat([self.see_coarse(x), features], dim=1)  # B 64 h w
        return self.fine4(self.fine3(joint))

    def see_coarse(self, x: Image) -> Float[Tensor, "B 1 h w"]:
        """The coarse log depth; without a gradient into it where the coarse network is frozen."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            return self.coarse(x)

    def see_fine(self, x: Image) -> Image:
        """The image as the fine network takes it: here, as the coarse one does."""
        return x

    def to_depth(self, native: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
        """Log depth to metres: exp."""
        return native.exp()

    def freeze_coarse(self) -> "EigenFine":
        """Begin the second stage: the coarse network keeps its weights, and its dropout stays off."""
        self.frozen = True
        self.coarse.requires_grad_(False)
        return self.train(self.training)

    def train(self, mode: bool = True) -> "EigenFine":
        """Training or evaluation mode; a frozen coarse network stays in evaluation mode."""
        super().train(mode)
        self.coarse.train(mode and not self.frozen)
        return self

    def templates(self) -> Float[Tensor, "hidden h w"]:
        """Those of the coarse network."""
        return self.coarse.templates()


class EigenReleased(EigenFine):
    r"""The NYU network as the authors' released code builds it, which says more than the paper does.

    What it has and the paper does not mention: a response norm after the pools of the first two stages,

    .. math:: y_c = x_c \,\Big/\, \Big(2 + 10^{-4} \sum_{|c' - c| \le 2} x_{c'}^2\Big)^{0.75},

    (the sum, not its mean); features times 0.01 before layer 6; dropout that multiplies by 0 or 1 in training
    and by 0.5 afterwards; the coarse network sees pixel - 128, the fine one (pixel - 109.31) / 76.18, both of
    0 ... 255; and outputs in units of the standard deviation of log depth, 0.45723134, in which its loss is
    measured. ``forward`` multiplies by it, so that the native output is log depth here too.

    Source: the released configuration (facts, no code); the weights are not published with it.

    Example:
        >>> with torch.device("meta"):
        ...     network = EigenReleased()
        >>> network(torch.zeros(1, 3, 228, 304, device="meta")).shape
        torch.Size([1, 1, 55, 74])
    """

    log_depth_mean: ClassVar[float] = 0.82473954
    log_depth_std: ClassVar[float] = 0.45723134
    std = (1 / 255, 1 / 255, 1 / 255)
    fine_mean: ClassVar[float] = 109.31410628
    fine_std: ClassVar[float] = 76.18328376

    def __init__(self, size: EigenSize = NYU, *, dropout: float = 0.5, init: str = "released") -> None:
        start = self.log_depth_mean / self.log_depth_std
        super().__init__(size, dropout=dropout, mean_log_depth=start, init=init)
        for stage in (self.coarse.coarse1, self.coarse.coarse2):
            stage.add_module("norm", nn.LocalResponseNorm(5, alpha=5 * 1e-4, beta=0.75, k=2.0))
        self.coarse.coarse5.add_module("scale", _Factor(0.01))
        self.coarse.coarse6.add_module("scale", _Factor(1 - dropout))  # torch's dropout divides by it

    def forward(self, x: Image) -> Float[Tensor, "B 1 h w"]:
        """Pixels minus 128 to log depth."""
        return self.log_depth_std * super().forward(x)

    def see_fine(self, x: Image) -> Image:
        """Pixels minus 128 to the fine network's own normalisation."""
        return (x + 128 - self.fine_mean) / self.fine_std


class _Factor(nn.Module):
    """Multiplies by a number."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x


def _feature_size(size: EigenSize) -> tuple[int, int]:
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


def _initialise(network: nn.Module, init: str, released: float = 0.01) -> None:
    """Weights by ``init``: of standard deviation sqrt(2 / fan in), or ``released``; biases zero."""
    if init not in ("he", "released"):
        raise ValueError(f"init must be 'he' or 'released', got {init!r}")
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        elif init == "he":
            nn.init.kaiming_normal_(parameter, nonlinearity="relu")
        else:
            nn.init.normal_(parameter, std=released)


def _start_at(layer: nn.Module, mean_log_depth: float) -> None:
    """Let layer 7 begin near one value: weights uniform in +-0.005, as released, and this bias."""
    nn.init.uniform_(layer.get_parameter("weight"), -0.005, 0.005)
    nn.init.constant_(layer.get_parameter("bias"), mean_log_depth)
