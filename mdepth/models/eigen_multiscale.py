r"""Eigen and Fergus, "Predicting depth, surface normals and semantic labels with a common multi-scale
convolutional architecture" (ICCV 2015).

Three scales, and one network for three tasks. **Scale 1** sees the whole image and says in 64 coarse maps
what is where; **scale 2** looks at 77 pixels around each place and draws a first answer at a quarter of the
input; **scale 3** looks at 37 pixels and draws it again at half of the input. Unlike in 2014, scale 1 hands
over features and no depth map. Depth is linear log depth (natural logarithm of metres), a normal is a unit
vector in camera coordinates, a label one logit per class.

Where we read the paper by its released code and by its own table of sizes:

* The AlexNet form's scale 1 has the convolutions of 2014, so its pools are 3x3, stride 2; the first two
  convolutions of the VGG form are unpadded. Only so do the maps that the table prints come out.
* Scale 1's maps are enlarged by the 7x7 filter of a bilinear interpolation, from 14 x 19 to 59 x 79, and
  cropped to 55 x 74. Scale 2's answer is enlarged by repeating it, less the last row and column.
* The convolutions 2.1 and 3.1 have stride 2, their pools stride 2 and 1; padded as in 2014, they are centred
  on the pixels at which the released targets are sampled.

Where print and released network differ, the print is followed: 3.1 has 96 maps, and a task's scale 3 sees
that task's answer of scale 2; the released network for depth and normals has 60 maps there and sees both
answers. A number for every pixel of scale 2's depth is released, not printed; ``bias_map=True`` adds it.

Where our facts are silent, and what stands here: "scale 1 only" ends in one 5x5 convolution over its enlarged
maps, "scale 2 only" is the network without those maps; scale 3 sees normals of unit length and logits as they
are; all scales see the image in one normalisation; a network for labels sees no depth. The print says that
the input has 320 x 240 pixels; its sizes are those of a crop of 304 x 228, as in 2014.

Where we differ: all weights start at random (He et al. 2015), where the paper takes scale 1's convolutions
from ImageNet; the answers start at the mean depth, at normals that face the camera, at even odds; the
released factor 0.01 on the convolutions' result is a division by 100 at the entrance, the same up to the
biases; a prediction's border is repeated outwards, where the paper fills it by a cross-bilateral filter.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import nn
from torch.nn import functional

from mdepth.models.contract import DepthNetwork, Native, evaluating
from mdepth.shapes import Float, Image, Int, Tensor

__all__ = ["ALEXNET", "ROOMS", "VGG", "EigenMultiscale", "MultiscaleSize", "Scale1", "enlarge_bilinear"]


@dataclass(frozen=True)
class MultiscaleSize:
    """Everything that differs between two sizes of the network. Sizes are (height, width)."""

    image_size: tuple[int, int]
    input_size: tuple[int, int]
    border: int
    """Input pixels on each side for which nothing is predicted."""
    form: Literal["alexnet", "vgg"]
    channels: tuple[int, int, int, int, int]
    """Of the five groups of convolutions in scale 1."""
    first: tuple[int, int, int] = (11, 4, 2)
    """Kernel, stride and padding of the first convolution; the VGG form has 3x3, stride 1, unpadded."""
    hidden: int = 4096
    maps: int = 64
    """Feature maps that scale 1 hands over."""
    local: tuple[int, int] = (96, 64)
    """Channels of the 9x9 convolutions of scales 2 and 3, and of the 5x5 ones behind them."""
    mean: tuple[float, float, float] = (128 / 255, 128 / 255, 128 / 255)
    depth_range: tuple[float, float] = (0.1, 10.0)

    @property
    def scale2(self) -> tuple[int, int]:
        """Rows and columns of scale 2: one pixel for every 4 x 4 inside the border."""
        height, width = (side - 2 * self.border for side in self.input_size)
        return height // 4, width // 4

    @property
    def scale1(self) -> tuple[int, int]:
        """Rows and columns of scale 1's maps: a quarter of scale 2, rounded up."""
        rows, columns = self.scale2
        return -(-rows // 4), -(-columns // 4)


ALEXNET = MultiscaleSize(
    image_size=(240, 320), input_size=(228, 304), border=4, form="alexnet",
    channels=(96, 256, 384, 384, 256),
)  # fmt: skip
"""The paper's table of sizes, first form: scale 1 with the convolutions of 2014."""
VGG = MultiscaleSize(
    image_size=(240, 320), input_size=(228, 304), border=4, form="vgg", channels=(64, 128, 256, 512, 512),
    mean=(123.68 / 255, 116.779 / 255, 103.939 / 255),
)  # fmt: skip
"""The paper's table of sizes, second form: scale 1 with the thirteen convolutions of VGG-16."""
ROOMS = MultiscaleSize(
    image_size=(96, 128), input_size=(92, 124), border=2, form="alexnet", channels=(32, 64, 96, 96, 64),
    first=(7, 2, 3), hidden=192, maps=16, local=(24, 16),
)  # fmt: skip
"""The first form for the small synthetic rooms: thinner, and half the stride at the entrance of scale 1."""

TASKS = ("depth", "normals", "labels")
FACING = (0.0, 0.0, -1.0)  # the normal of a wall straight ahead; axes point right, down and forward
SCALES = ((1,), (2,), (1, 2), (1, 2, 3))  # the four rows of the paper's comparison


class Scale1(nn.Module):
    """The whole image in a few coarse feature maps: convolutions that see, and two fully connected layers
    through which every place hears of every other.

    Layers are numbered as in the paper, 1.1 to 1.7; the ReLU behind 1.7 is the released code's. From a
    normalised image of ``input_size`` to ``maps`` channels of the size of scale 2, none negative.

    Example:
        >>> Scale1(ROOMS)(torch.zeros(1, 3, 92, 124)).shape
        torch.Size([1, 16, 22, 30])
    """

    def __init__(self, size: MultiscaleSize, *, dropout: float = 0.5) -> None:
        super().__init__()
        for number, layer in enumerate(_convolutions(size), 1):
            self.add_module(f"layer{number}", layer)
        with torch.device("meta"):
            seen = nn.Sequential(*_convolutions(size))(torch.zeros(1, 3, *size.input_size)).numel()
        (rows, columns), maps = size.scale1, size.maps
        see = _he(nn.Linear(seen, size.hidden))
        self.layer6 = nn.Sequential(OrderedDict(fc=see, relu=nn.ReLU(), dropout=nn.Dropout(dropout)))
        say = _he(nn.Linear(size.hidden, maps * rows * columns))
        unflatten = nn.Unflatten(1, (maps, rows, columns))
        self.layer7 = nn.Sequential(OrderedDict(fc=say, relu=nn.ReLU(), maps=unflatten))
        self.output_size = size.scale2

    def features(self, x: Image) -> Float[Tensor, "B C h w"]:
        """The convolutions: what the network saw, before all places are mixed."""
        for number in range(1, 6):
            x = self.get_submodule(f"layer{number}")(x)
        return x

    def forward(self, x: Image) -> Float[Tensor, "B C h w"]:
        """Normalised image to feature maps of scale 2's size."""
        maps = self.layer7(self.layer6(self.features(x).flatten(1)))  # B 64 14 19
        (rows, columns), large = self.output_size, enlarge_bilinear(maps)  # B 64 59 79
        top, left = (large.shape[2] - rows) // 2, (large.shape[3] - columns) // 2
        return large[..., top : top + rows, left : left + columns]


def enlarge_bilinear(maps: Float[Tensor, "B C h w"]) -> Float[Tensor, "B C H W"]:
    r"""Maps four times as dense: every value spread by the weights (1, 2, 3, 4, 3, 2, 1) / 4 along both axes.

    Pixel (i, j) lies at (4 i + 3, 4 j + 3) of the result, which has 4 h + 3 rows and 4 w + 3 columns. Between
    pixels this is bilinear interpolation; outside the first and last ones it fades to zero.

    Source: the released code of Eigen and Fergus 2015, by its sizes (14 x 19 to 59 x 79).

    Example:
        >>> enlarge_bilinear(torch.tensor([[[[0.0, 4.0]]]]))[0, 0, 3].tolist()
        [0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 4.0, 3.0, 2.0, 1.0]
    """
    channels = maps.shape[1]
    weights = maps.new_tensor([1.0, 2.0, 3.0, 4.0, 3.0, 2.0, 1.0]) / 4
    kernel = torch.outer(weights, weights).expand(channels, 1, 7, 7)
    return functional.conv_transpose2d(maps, kernel, stride=4, groups=channels)


class _Local(nn.Module):
    """Scale 2 or 3 of one task: a 9x9 convolution and its 3x3 pool of that stride, what lies below as more
    feature maps, ``middle`` convolutions of 5x5, and the answer, which is linear and starts at ``start``.

    ``channels``: of the 9x9 convolution, of what lies below, of the 5x5 convolutions. ``bias_map``: rows and
    columns of a learnt map that is added to the answer.
    """

    def __init__(
        self,
        channels: tuple[int, int, int],
        start: Sequence[float],
        *,
        middle: int,
        padding: int,
        stride: int,
        bias_map: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        first, below, hidden = channels
        layers = [_stage(3, first, 9, stride=2, padding=padding, pool=stride)]
        for inputs in [first + below, *[hidden] * (middle - 1)]:
            layers.append(_stage(inputs, hidden, 5, padding=2))
        for number, layer in enumerate([*layers, _answer(hidden, start)], 1):
            self.add_module(f"layer{number}", layer)
        self.bias_map = nn.Parameter(torch.zeros(1, len(start), *bias_map)) if bias_map else None

    def forward(self, x: Image, below: Float[Tensor, "B C h w"] | None) -> Float[Tensor, "B K h w"]:
        """Normalised image, and the maps or the answer of the scale below, to this scale's answer."""
        first, *behind = self.children()
        y = first(x)
        if below is not None:
            y = torch.cat([y, below], dim=1)
        for layer in behind:
            y = layer(y)
        return y if self.bias_map is None else y + self.bias_map


class EigenMultiscale(DepthNetwork):
    r"""The three scales; with all three, log depth at half of the covered rows and columns.

    .. math:: a_2 = S_2(x, S_1(x)), \qquad a_3 = S_3(x, \mathrm{repeat}_{2 \times 2}(a_2))

    with :math:`S_1` the 64 maps of the whole image and :math:`a_2, a_3` a task's answers. Scale 1 is computed
    once; scales 2 and 3 are each task's own. ``forward`` and ``predict`` are depth, as of every network here;
    ``outputs``, ``predict_normals`` and ``predict_labels`` serve the other tasks. Answer (i, j) is centred on
    input pixel (t + s i + 1, l + s j + 1) of the covered part that begins at (t, l), with s = ``stride``: 4,
    and 2 with scale 3. There the targets are sampled (released).

    Training has two stages: scales 1 and 2 together, as ``without_scale3()``, and then scale 3 alone, after
    ``freeze_below()``.

    Args:
        size: one of ``ALEXNET``, ``VGG``, ``ROOMS`` or your own.
        tasks: any of ``depth``, ``normals`` (3 channels of unit length) and ``labels`` (logits).
        classes: number of classes, where ``labels`` is a task.
        scales: (1, 2, 3), or what the paper compares it with: (1,), (2,) or (1, 2).
        dropout: share of the vector behind 1.6 that is zeroed in training (the paper has 0.8 for labels).
        mean_log_depth: where the depth of every scale starts, in log metres.
        bias_map: a learnt number for every pixel of scale 2's log depth, as in the released network.

    Raises:
        ValueError: for other tasks or scales, labels without ``classes``, or a bias map without scale 2's
            depth.

    Source: the paper's table of sizes; what it leaves open stands at the head of this module.

    Example:
        >>> EigenMultiscale(ROOMS)(torch.zeros(1, 3, 92, 124)).shape
        torch.Size([1, 1, 43, 59])
    """

    native: ClassVar[Native] = "log_depth"
    metric: bool = True
    std = (100 / 255, 100 / 255, 100 / 255)

    def __init__(
        self,
        size: MultiscaleSize = ALEXNET,
        *,
        tasks: Sequence[str] = ("depth",),
        classes: int | None = None,
        scales: tuple[int, ...] = (1, 2, 3),
        dropout: float = 0.5,
        mean_log_depth: float = 0.0,
        bias_map: bool = False,
    ) -> None:
        _check_arguments(tasks, classes, scales, bias_map)
        (h, w), b, stride = size.scale2, size.border, 2 if 3 in scales else 4
        h, w = (2 * h - 1, 2 * w - 1) if 3 in scales else (h, w)
        covered = (b, b + stride * h, b, b + stride * w)
        super().__init__(image_size=size.image_size, input_size=size.input_size, covered=covered)
        self.size, self.tasks, self.classes, self.scales = size, tuple(tasks), classes, tuple(scales)
        self.output_size, self.stride, self.frozen = (h, w), stride, False
        self.mean, self.depth_range = size.mean, size.depth_range
        (first, hidden), maps = size.local, size.maps if 1 in scales else 0
        starts = {"depth": (mean_log_depth,), "normals": FACING, "labels": (0.0,) * (classes or 0)}
        self.scale1 = Scale1(size, dropout=dropout) if 1 in scales else None
        self.answer1, self.scale2, self.scale3 = nn.ModuleDict(), nn.ModuleDict(), nn.ModuleDict()
        for task in tasks:
            start = starts[task]
            if 2 in scales:
                self.scale2[task] = _Local(
                    (first, maps, hidden), start, middle=3, padding=5 - b, stride=2,
                    bias_map=size.scale2 if bias_map and task == "depth" else None,
                )  # fmt: skip
            else:
                self.answer1[task] = _answer(maps, start)
            if 3 in scales:
                channels = (first, len(start), hidden)
                self.scale3[task] = _Local(channels, start, middle=2, padding=5 - b, stride=1)

    def forward(self, x: Image) -> Float[Tensor, "B 1 h w"]:
        """Normalised image of ``input_size`` to log depth at the last scale; errors as ``outputs``."""
        return self.outputs(x, ("depth",))["depth"]

    def outputs(self, x: Image, tasks: Sequence[str] | None = None) -> dict[str, Float[Tensor, "B _ h w"]]:
        """Normalised image to what the last scale says of every task, or of those named: log depth, unit
        normals, logits; scale 1 is computed once.

        Raises:
            ValueError: for a task that the network does not have.

        Example:
            >>> both = EigenMultiscale(ROOMS, tasks=("depth", "normals")).outputs(torch.zeros(1, 3, 92, 124))
            >>> {task: tuple(answer.shape) for task, answer in both.items()}
            {'depth': (1, 1, 43, 59), 'normals': (1, 3, 43, 59)}
        """
        wanted = self.tasks if tasks is None else tuple(tasks)
        if unknown := set(wanted) - set(self.tasks):
            raise ValueError(f"this network's tasks are {', '.join(self.tasks)}, not {', '.join(unknown)}")
        seen, answers = None if self.scale1 is None else self.scale1(x), {}
        for task in wanted:
            answer = self.scale2[task](x, seen) if 2 in self.scales else self.answer1[task](seen)
            answers[task] = _finish(task, answer)
        if 3 not in self.scales:
            return answers
        return {task: _finish(task, self.scale3[task](x, _repeat(below))) for task, below in answers.items()}

    def to_depth(self, native: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
        """Log depth to metres: exp."""
        return native.exp()

    def predict_normals(self, image: Tensor) -> Float[Tensor, "B 3 H W"]:
        """Unit normals in camera coordinates of an image in [0, 1] at the image's own size, as ``predict``.

        Interpolated and made unit length again; pixels outside the covered part get the nearest normal.

        Raises:
            ValueError: as ``predict``, and where the network has no such task.

        Example:
            >>> EigenMultiscale(ROOMS, tasks=("normals",)).predict_normals(torch.rand(1, 3, 48, 64)).shape
            torch.Size([1, 3, 48, 64])
        """
        return functional.normalize(self._placed(image, "normals"), dim=1)

    def predict_labels(self, image: Tensor) -> Int[Tensor, "B 1 H W"]:
        """The likeliest class, 0 to ``classes`` - 1, of every pixel of an image in [0, 1], at its own size.

        Logits are interpolated, classes are not. Errors as ``predict_normals``.

        Example:
            >>> network = EigenMultiscale(ROOMS, tasks=("labels",), classes=4)
            >>> network.predict_labels(torch.rand(1, 3, 48, 64)).shape
            torch.Size([1, 1, 48, 64])
        """
        return self._placed(image, "labels").argmax(dim=1, keepdim=True)

    @torch.no_grad()
    def _placed(self, image: Tensor, task: str) -> Float[Tensor, "B C H W"]:
        """A task's answer where it belongs in the image, channel by channel as ``predict`` does."""
        with evaluating(self):
            answer = self.outputs(self.prepare(image), (task,))[task]
        flat = self._place(answer.flatten(0, 1)[:, None], image.shape[-2], image.shape[-1])
        return flat.unflatten(0, answer.shape[:2])[:, :, 0].to(image.device, image.dtype)

    def without_scale3(self) -> "EigenMultiscale":
        """Scales 1 and 2 as a network of its own, with the same weights (shared, not copied): what the first
        stage trains, and what the paper compares the whole with.

        Raises:
            ValueError: the network has no scale 3.

        Example:
            >>> EigenMultiscale(ROOMS).without_scale3()(torch.zeros(1, 3, 92, 124)).shape
            torch.Size([1, 1, 22, 30])
        """
        if 3 not in self.scales:
            raise ValueError(f"this network has no scale 3: its scales are {self.scales}")
        with torch.device("meta"):
            network = EigenMultiscale(self.size, tasks=self.tasks, classes=self.classes, scales=(1, 2))
        network.scale1, network.scale2, network.frozen = self.scale1, self.scale2, self.frozen
        return network.train(self.training)

    def freeze_below(self) -> "EigenMultiscale":
        """Begin the second stage: scales 1 and 2 keep their weights, and their dropout stays off."""
        self.frozen = True
        for part in filter(None, (self.scale1, self.scale2)):
            part.requires_grad_(False)
        return self.train(self.training)

    def train(self, mode: bool = True) -> "EigenMultiscale":
        """Training or evaluation mode; what is frozen stays in evaluation mode."""
        super().train(mode)
        for part in filter(None, (self.scale1, self.scale2)):
            part.train(mode and not self.frozen)
        return self


def _finish(task: str, answer: Float[Tensor, "B C h w"]) -> Float[Tensor, "B C h w"]:
    """Normals have unit length; log depth and logits are linear."""
    return functional.normalize(answer, dim=1) if task == "normals" else answer


def _repeat(answer: Float[Tensor, "B C h w"]) -> Float[Tensor, "B C H W"]:
    """Every pixel as 2 x 2, without the last row and column: 55 x 74 to 109 x 147."""
    return functional.interpolate(answer, scale_factor=2, mode="nearest")[..., :-1, :-1]


def _convolutions(size: MultiscaleSize) -> list[nn.Sequential]:
    """The five groups of convolutions of scale 1."""
    c0, c1, c2, c3, c4, c5 = 3, *size.channels
    if size.form == "vgg":
        return [
            _group(c0, c1, 2, padding=0), _group(c1, c2, 2), _group(c2, c3, 3), _group(c3, c4, 3),
            _group(c4, c5, 3),
        ]  # fmt: skip
    kernel, stride, padding = size.first
    return [
        _stage(c0, c1, kernel, stride=stride, padding=padding, pool=2),
        _stage(c1, c2, 5, padding=2, pool=2),
        _stage(c2, c3, 3, padding=1),
        _stage(c3, c4, 3, padding=1),
        _stage(c4, c5, 3, padding=1, pool=2),
    ]


def _group(inputs: int, outputs: int, count: int, *, padding: int = 1) -> nn.Sequential:
    """VGG's two or three 3x3 convolutions, each with its ReLU, and a 2x2 pool."""
    layers = OrderedDict[str, nn.Module]()
    for n in range(1, count + 1):
        layers[f"conv{n}"] = _he(nn.Conv2d(inputs if n == 1 else outputs, outputs, 3, padding=padding))
        layers[f"relu{n}"] = nn.ReLU()
    layers["pool"] = nn.MaxPool2d(2, 2)
    return nn.Sequential(layers)


def _stage(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, padding: int, pool: int = 0
) -> nn.Sequential:
    """Convolution and ReLU, then the unpadded 3x3 pool of stride ``pool`` where the stage has one."""
    layers = OrderedDict[str, nn.Module](
        conv=_he(nn.Conv2d(inputs, outputs, kernel, stride, padding)), relu=nn.ReLU()
    )
    if pool:
        layers["pool"] = nn.MaxPool2d(3, pool)
    return nn.Sequential(layers)


def _he(layer: nn.Module) -> nn.Module:
    """The layer with weights of standard deviation sqrt(2 / fan in) and biases zero."""
    nn.init.kaiming_normal_(layer.get_parameter("weight"), nonlinearity="relu")
    nn.init.zeros_(layer.get_parameter("bias"))
    return layer


def _answer(inputs: int, start: Sequence[float]) -> nn.Sequential:
    """A scale's last convolution, linear: weights of standard deviation 0.01, and these biases."""
    layer = nn.Conv2d(inputs, len(start), 5, padding=2)
    nn.init.normal_(layer.weight, std=0.01)
    with torch.no_grad():
        layer.get_parameter("bias").copy_(torch.as_tensor(start))
    return nn.Sequential(OrderedDict(conv=layer))


def _check_arguments(
    tasks: Sequence[str], classes: int | None, scales: tuple[int, ...], bias_map: bool
) -> None:
    """Raise a ValueError that says what a network can be made of."""
    if not tasks or len(set(tasks)) < len(tasks) or not set(tasks) <= set(TASKS):
        raise ValueError(f"tasks must be one or more of {', '.join(TASKS)}, each once, got {tuple(tasks)}")
    if ("labels" in tasks) != (classes is not None) or (2 if classes is None else classes) < 2:
        raise ValueError(f"labels, and only they, need classes, 2 or more; got {classes} for {tuple(tasks)}")
    if tuple(scales) not in SCALES:
        raise ValueError(f"scales must be one of {SCALES}, got {tuple(scales)}")
    if bias_map and not (2 in scales and "depth" in tasks):
        raise ValueError("the bias map is added to scale 2's depth, which this network does not have")
