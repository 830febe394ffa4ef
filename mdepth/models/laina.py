r"""Laina, Rupprecht, Belagiannis, Tombari and Navab, "Deeper depth prediction with fully convolutional
residual networks" (3DV 2016).

A ResNet-50 makes 8 x 10 places with 2048 features out of 228 x 304 pixels. The paper asks how a depth map is
made out of them, and its answer is a decoder of four equal blocks. Each doubles the rows and columns and
halves the channels. Everything that a block can be is in this file:

=========  ======================  ===============================================================
decoder    class                   one block, from C x h x w to C/2 x 2h x 2w
=========  ======================  ===============================================================
fc         ``LainaFC``             no blocks: one fully connected layer to all pixels
deconv     ``DeConv``              2x2 transposed convolution, BN, ReLU
upconv     ``UpConv``        (a)   **unpool, 5x5**, BN, ReLU
upproj     ``UpProj``        (c)   relu(**unpool, 5x5**, BN, ReLU, 3x3, BN  +  **unpool, 5x5**, BN)
=========  ======================  ===============================================================

*Unpool* puts each value in the top left corner of a 2x2 cell and zeros in the other three, so that three of
four products of the 5x5 convolution behind it are with a zero. The **fast** forms, (b) of (a) and (d) of (c),
leave these products out: ``FastUnpoolConv`` in place of ``UnpoolConv``, the same function with a quarter of
the work. ``laina_weights`` turns one into the other and reads the released weights.

The native output is **metres**, behind a ReLU. All of the image is squeezed into the input, and the output
stands for all of it.

Where we read the paper by the released code: the sides of all layers; a bias in the first convolution, in the
1x1 that halves the channels (BN behind it, **no ReLU**), in every 5x5 and 3x3; one BN a branch, behind the
interleaving; the last ReLU; RGB of 0 ... 255 without a mean; stride 2 on the first 1x1 of a stage. That
dropout stands before the last convolution is in that code too; its rate of 0.5 is the authors' word.

Where our facts are silent or unverified, and what stands here:

* *AlexNet and VGG-16 (our reading; no source lists the layers).* One convolution halves the channels, then
  four blocks, as behind ResNet: 1x1 behind AlexNet's last pool, 3x3 behind VGG's, for then it sees the 276
  pixels that summaries of the paper quote. Their 151 for AlexNet come out with 2x2 pools before its fifth
  convolution; here stand all three of its own 3x3 pools, and it sees 195. The 6.3 and 18.5 million parameters
  of the paper's table (unverified) are not those of this reading (4.1 and 17.0). The input is normalised by
  ImageNet's mean and deviation.
* *Fully connected (read off unverified counts).* 7x7 average pools of stride 1 behind ResNet-50 leave 2 x 4
  places, and one layer makes 128 x 160 or 48 x 64 pixels of them; behind AlexNet stand 4096 hidden units
  (ReLU, dropout 0.5) and 96 x 128 pixels. The last ReLU is ours.
* *DeConv (read off an unverified count).* 2x2 fits best: 28.40 million weights, 28.45 with the running
  statistics, against 28.5; no bias, since BN follows. That BN stands in up-convolutions is our reading, too.
* *New weights* are normal with deviation 0.01 in the paper (unverified): ``init="normal"``.

Where we differ: encoders start at random, where the paper takes ImageNet weights; new weights by He et al.
2015; the answer starts near ``mean_depth``, as a sum of features, since a ReLU passes no gradient where it is
below zero.
"""

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional

from mdepth.models.contract import DepthNetwork, Native
from mdepth.models.encoders import IMAGENET, VGG16, AlexNet, Encoder, initialise_he, resnet18, resnet50
from mdepth.shapes import Float, Image, Tensor

__all__ = [
    "ALEXNET", "RESNET50", "ROOMS", "VGG", "DeConv", "FastUnpoolConv", "Laina", "LainaFC", "LainaSize",
    "Unpool", "UnpoolConv", "UpConv", "UpProj",
]  # fmt: skip


class Unpool(nn.Module):
    """Each value in the top left corner of a 2x2 cell, zeros in the other three.

    Example:
        >>> Unpool()(torch.tensor([[[[1.0, 2.0]]]]))[0, 0].tolist()
        [[1.0, 0.0, 2.0, 0.0], [0.0, 0.0, 0.0, 0.0]]
    """

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C 2*H 2*W"]:
        """Maps to maps twice as high and wide."""
        batch, channels, height, width = x.shape
        large = x.new_zeros(batch, channels, 2 * height, 2 * width)
        large[..., ::2, ::2] = x
        return large


class UnpoolConv(nn.Module):
    r"""Unpool, then convolve 5x5: the step that blocks (a) and (c) are made of.

    .. math:: y_{p} = b + \sum_{q} K_{q}\, u_{p + q}, \qquad u_{2i,\,2j} = x_{i,j}, \text{ zero elsewhere}

    with q from (-2, -2) to (2, 2). Only 9, 6, 6 or 4 of the 25 taps meet a value, by the parity of p.

    Example:
        >>> UnpoolConv(4, 2)(torch.zeros(1, 4, 3, 5)).shape
        torch.Size([1, 2, 6, 10])
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.unpool = Unpool()
        self.conv = nn.Conv2d(inputs, outputs, 5, padding=2)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D 2*H 2*W"]:
        """Maps to maps twice as high and wide."""
        return self.conv(self.unpool(x))


class FastUnpoolConv(nn.Module):
    r"""The same function without the products with zero: four small convolutions, interleaved.

    An output pixel in an even row meets rows 0, 2 and 4 of the 5x5 kernel K, one in an odd row its rows 1 and
    3, and likewise for columns. So each of the four places of a 2x2 cell has a kernel of its own:

    =====  ================  =======================  =============
    conv   rows, columns     taken from K             size
    =====  ================  =======================  =============
    A      even, even        ``K[0::2, 0::2]``        3x3
    B      odd, even         ``K[1::2, 0::2]``        2x3
    C      even, odd         ``K[0::2, 1::2]``        3x2
    D      odd, odd          ``K[1::2, 1::2]``        2x2
    =====  ================  =======================  =============

    25 taps in all, as K has, each used at a quarter of the places. Each kernel has its own bias: four where
    K has one, and no batch norm behind the interleaving can take them up.

    Args:
        inputs, outputs: channels.
        padding: a kernel with two rows needs one row of zeros. ``after`` the map, the result is that of
            ``UnpoolConv``. ``before`` it, no 5x5 kernel gives the result; the released NYU weights were
            trained so (the authors call the side arbitrary).

    Raises:
        ValueError: another padding.

    Example:
        >>> FastUnpoolConv(4, 2)(torch.zeros(1, 4, 3, 5)).shape
        torch.Size([1, 2, 6, 10])
    """

    def __init__(self, inputs: int, outputs: int, padding: str = "after") -> None:
        super().__init__()
        if padding not in ("after", "before"):
            raise ValueError(f"padding must be 'after' or 'before', got {padding!r}")
        self.padding = padding
        self.conv_a = nn.Conv2d(inputs, outputs, (3, 3))
        self.conv_b = nn.Conv2d(inputs, outputs, (2, 3))
        self.conv_c = nn.Conv2d(inputs, outputs, (3, 2))
        self.conv_d = nn.Conv2d(inputs, outputs, (2, 2))

    @property
    def phases(self) -> dict[tuple[int, int], nn.Conv2d]:
        """The four convolutions by the parity (row, column) of the pixels that they make."""
        return {(0, 0): self.conv_a, (1, 0): self.conv_b, (0, 1): self.conv_c, (1, 1): self.conv_d}

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D 2*H 2*W"]:
        """Maps to maps twice as high and wide."""
        x = functional.pad(x, (1, 1, 1, 1))
        two = slice(1, None) if self.padding == "after" else slice(None, -1)  # what two taps need
        even = self.conv_a(x)
        batch, channels, height, width = even.shape
        large = even.new_empty(batch, channels, 2 * height, 2 * width)
        large[..., 0::2, 0::2] = even
        large[..., 1::2, 0::2] = self.conv_b(x[..., two, :])
        large[..., 0::2, 1::2] = self.conv_c(x[..., :, two])
        large[..., 1::2, 1::2] = self.conv_d(x[..., two, two])
        return large


Enlarge = Callable[[int, int], nn.Module]  # (inputs, outputs) -> UnpoolConv or FastUnpoolConv


class DeConv(nn.Sequential):
    """The baseline: a 2x2 transposed convolution, so that no two inputs meet in an output pixel; BN, ReLU.

    Example:
        >>> DeConv(4, 2)(torch.zeros(1, 4, 3, 5)).shape
        torch.Size([1, 2, 6, 10])
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        up = nn.ConvTranspose2d(inputs, outputs, 2, stride=2, bias=False)
        super().__init__(OrderedDict(up=up, bn=nn.BatchNorm2d(outputs), relu=nn.ReLU()))


class UpConv(nn.Sequential):
    """Up-convolution, block (a), or (b) with ``enlarge=FastUnpoolConv``: unpool, 5x5, BN, ReLU.

    Example:
        >>> UpConv(4, 2)(torch.zeros(1, 4, 3, 5)).shape
        torch.Size([1, 2, 6, 10])
    """

    def __init__(self, inputs: int, outputs: int, enlarge: Enlarge = UnpoolConv) -> None:
        up = enlarge(inputs, outputs)
        super().__init__(OrderedDict(up=up, bn=nn.BatchNorm2d(outputs), relu=nn.ReLU()))


class UpProj(nn.Module):
    r"""Up-projection, block (c), or (d) with ``enlarge=FastUnpoolConv``: a residual block that enlarges.

    .. math:: y = \mathrm{relu}\big(N_3(K_3 * \mathrm{relu}(N_1(K_1 * u))) + N_2(K_2 * u)\big)

    with u the unpooled x, K1 and K2 two 5x5 kernels, K3 a 3x3 one, and N a batch norm each. The second branch
    is the projection that gives x the size of the first, as in an encoder's residual block.

    Example:
        >>> UpProj(4, 2)(torch.zeros(1, 4, 3, 5)).shape
        torch.Size([1, 2, 6, 10])
    """

    def __init__(self, inputs: int, outputs: int, enlarge: Enlarge = UnpoolConv) -> None:
        super().__init__()
        self.main = nn.Sequential(
            OrderedDict(
                up=enlarge(inputs, outputs), bn1=nn.BatchNorm2d(outputs), relu=nn.ReLU(),
                conv=nn.Conv2d(outputs, outputs, 3, padding=1), bn2=nn.BatchNorm2d(outputs),
            )
        )  # fmt: skip
        self.skip = nn.Sequential(OrderedDict(up=enlarge(inputs, outputs), bn=nn.BatchNorm2d(outputs)))

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D 2*H 2*W"]:
        """Maps to maps twice as high and wide."""
        return torch.relu(self.main(x) + self.skip(x))


@dataclass(frozen=True)
class LainaSize:
    """Everything that differs between the encoders of the paper. Sizes are (height, width)."""

    encoder: Callable[[], Encoder]
    input_size: tuple[int, int] = (228, 304)
    reduce: tuple[int, int] = (1, 1024)
    """Kernel and channels of the convolution between encoder and decoder."""
    pool: int = 7
    """Side of the average pool before the fully connected layers, stride 1; 1 for none."""
    hidden: int = 0
    """Units of the first of two fully connected layers, 0 where there is one."""
    maps: tuple[int, int] = (128, 160)
    """Rows and columns that the fully connected layers make."""
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1 / 255, 1 / 255, 1 / 255)
    depth_range: tuple[float, float] = (0.1, 10.0)


RESNET50 = LainaSize(resnet50)
"""The paper's network; its fully connected layer also with ``maps=(48, 64)``."""
VGG = LainaSize(VGG16, reduce=(3, 256), mean=IMAGENET[0], std=IMAGENET[1])
"""Behind the thirteen convolutions of VGG-16 (our reading)."""
ALEXNET = LainaSize(
    AlexNet, reduce=(1, 128), pool=1, hidden=4096, maps=(96, 128), mean=IMAGENET[0], std=IMAGENET[1]
)
"""Behind the five convolutions of AlexNet (our reading)."""
ROOMS = LainaSize(
    partial(resnet18, width=24), input_size=(96, 128), reduce=(1, 96), pool=2, maps=(48, 64),
    mean=IMAGENET[0], std=IMAGENET[1],
)  # fmt: skip
"""For the small synthetic rooms: ResNet-18 with 24 channels where it has 64, decoders from 96 to 6."""


class _Laina(DepthNetwork):
    """What all networks of the paper share: metres, the whole image, an encoder."""

    native: ClassVar[Native] = "depth"
    metric: bool = True

    def __init__(self, size: LainaSize) -> None:
        height, width = size.input_size
        super().__init__(
            image_size=size.input_size, input_size=size.input_size, covered=(0, height, 0, width)
        )
        self.mean, self.std, self.depth_range = size.mean, size.std, size.depth_range
        self.encoder = size.encoder()

    def to_depth(self, native: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
        """The output is depth in metres already."""
        return native


class Laina(_Laina):
    r"""Encoder, one convolution that halves the channels, four blocks that double the sides, one convolution.

    An image of H x W pixels, any, becomes 16 ceil(H / 32) x 16 ceil(W / 32) metres behind a ResNet: 228 x 304
    become 128 x 160.

    Args:
        size: one of ``RESNET50``, ``VGG``, ``ALEXNET``, ``ROOMS`` or your own.
        decoder: ``deconv``, ``upconv`` or ``upproj``.
        fast: (b) and (d) in place of (a) and (c); nothing for ``deconv``.
        padding: of the fast forms, see :class:`FastUnpoolConv`.
        dropout: share of the decoder's values that is zeroed in training.
        mean_depth: where the output starts, in metres; positive.
        init: of the decoder's weights, ``he`` for standard deviation sqrt(2 / fan in), ``normal`` for 0.01.

    Raises:
        ValueError: an unknown decoder, padding (where ``fast``) or initialisation.

    Source: the released network (facts, no code); dropout from the authors' answers.

    Example:
        >>> Laina(ROOMS, decoder="upproj", fast=True)(torch.zeros(1, 3, 96, 128)).shape
        torch.Size([1, 1, 48, 64])
    """

    def __init__(
        self,
        size: LainaSize = RESNET50,
        *,
        decoder: str = "upproj",
        fast: bool = False,
        padding: str = "after",
        dropout: float = 0.5,
        mean_depth: float = 1.0,
        init: str = "he",
    ) -> None:
        super().__init__(size)
        block = _block(decoder, fast, padding)
        kernel, channels = size.reduce
        reduce = nn.Conv2d(self.encoder.channels[-1], channels, kernel, padding=kernel // 2)
        self.reduce = nn.Sequential(OrderedDict(conv=reduce, bn=nn.BatchNorm2d(channels)))
        self.decoder = nn.Sequential(
            OrderedDict(
                up2=block(channels, channels // 2),
                up4=block(channels // 2, channels // 4),
                up8=block(channels // 4, channels // 8),
                up16=block(channels // 8, channels // 16),
            )
        )
        answer = nn.Conv2d(channels // 16, 1, 3, padding=1)
        self.answer = nn.Sequential(OrderedDict(dropout=nn.Dropout(dropout), conv=answer, relu=nn.ReLU()))
        for part in (self.reduce, self.decoder, self.answer):
            _initialise(part, init)
        _start_at(answer, mean_depth, spread=2**0.5 if decoder == "upproj" else 1.0)  # the sum of two norms

    def forward(self, x: Image) -> Float[Tensor, "B 1 h w"]:
        """Normalised image to metres."""
        features = self.encoder(x)[-1]  # B 2048 8 10
        return self.answer(self.decoder(self.reduce(features)))  # B 1024 8 10, B 64 128 160, B 1 128 160


class LainaFC(_Laina):
    r"""The baseline without a decoder: every output pixel has a weight for every feature at every place.

    Args:
        size: ``RESNET50``, ``ALEXNET``, ``ROOMS`` or your own; the input must have its ``input_size``.
        maps: rows and columns of the output; those of ``size`` where ``None``.
        dropout: share of the hidden units that is zeroed in training, where there are hidden units.
        mean_depth, init: as in :class:`Laina`.

    Source: the paper's table by its parameter counts (unverified).

    Example:
        >>> LainaFC(ROOMS)(torch.zeros(1, 3, 96, 128)).shape
        torch.Size([1, 1, 48, 64])
    """

    def __init__(
        self,
        size: LainaSize = RESNET50,
        *,
        maps: tuple[int, int] | None = None,
        dropout: float = 0.5,
        mean_depth: float = 1.0,
        init: str = "he",
    ) -> None:
        super().__init__(size)
        rows, columns = maps or size.maps
        pool = nn.Sequential(nn.AvgPool2d(size.pool, stride=1), nn.Flatten())
        seen = _seen(size, pool)
        layers = OrderedDict[str, nn.Module](pool=pool)
        if size.hidden:
            hidden = nn.Linear(seen, size.hidden)
            layers |= OrderedDict(hidden=hidden, hidden_relu=nn.ReLU(), dropout=nn.Dropout(dropout))
        answer = nn.Linear(size.hidden or seen, rows * columns)
        layers |= OrderedDict(fc=answer, map=nn.Unflatten(1, (1, rows, columns)), relu=nn.ReLU())
        self.answer = nn.Sequential(layers)
        _initialise(self.answer, init)
        _start_at(answer, mean_depth)

    def forward(self, x: Image) -> Float[Tensor, "B 1 h w"]:
        """Normalised image of ``input_size`` to metres."""
        return self.answer(self.encoder(x)[-1])


def _block(decoder: str, fast: bool, padding: str) -> Callable[[int, int], nn.Module]:
    """The block by its name, as a function of its channels."""
    enlarge: Enlarge = partial(FastUnpoolConv, padding=padding) if fast else UnpoolConv
    blocks: dict[str, Callable[[int, int], nn.Module]] = {
        "deconv": DeConv,
        "upconv": partial(UpConv, enlarge=enlarge),
        "upproj": partial(UpProj, enlarge=enlarge),
    }
    if decoder not in blocks:
        raise ValueError(f"decoder must be one of {', '.join(blocks)}, got {decoder!r}")
    return blocks[decoder]


def _seen(size: LainaSize, pool: nn.Module) -> int:
    """How many numbers the fully connected layer sees."""
    with torch.device("meta"):
        return pool(size.encoder()(torch.zeros(1, 3, *size.input_size))[-1]).numel()


def _initialise(part: nn.Module, init: str) -> None:
    """Weights of standard deviation sqrt(2 / fan in), ``he``, or 0.01, ``normal``; biases zero.

    Of a 5x5 kernel on an unpooled map 25 / 4 taps meet a value, the mean of 9, 6, 6 and 4; of a 2x2
    deconvolution's one does.
    """
    if init not in ("he", "normal"):
        raise ValueError(f"init must be 'he' or 'normal', got {init!r}")
    initialise_he(part)
    taps = {UnpoolConv: 25 / 4, FastUnpoolConv: 25 / 4, nn.ConvTranspose2d: 1.0}
    for module in part.modules():
        for weight in module.parameters() if type(module) in taps else ():
            if weight.ndim == 4:
                inputs = weight.shape[0 if isinstance(module, nn.ConvTranspose2d) else 1]
                nn.init.normal_(weight, std=(2 / (taps[type(module)] * inputs)) ** 0.5)
    for weight in part.parameters() if init == "normal" else ():
        if weight.ndim > 1:
            nn.init.normal_(weight, std=0.01)


def _start_at(answer: nn.Conv2d | nn.Linear, mean_depth: float, spread: float = 1.0) -> None:
    r"""Let the output begin near one positive depth: the ReLU behind it passes no gradient below zero.

    Of a convolution all weights are alike and positive, and there is no bias: the output is a sum of
    features. Behind a norm and a ReLU they have the mean :math:`s / \sqrt{2 \pi}`, with s the ``spread`` of
    what enters the ReLU. A bias of that depth, from which features are taken and to which some are added,
    would be a ceiling wherever a decoder of few channels learns only to take.
    """
    inputs = answer.weight[0].numel()
    if isinstance(answer, nn.Conv2d):
        nn.init.constant_(answer.weight, mean_depth * (2 * math.pi) ** 0.5 / (spread * inputs))
        nn.init.zeros_(answer.get_parameter("bias"))
    else:
        nn.init.normal_(answer.weight, std=0.1 / inputs**0.5)
        nn.init.constant_(answer.get_parameter("bias"), mean_depth)
