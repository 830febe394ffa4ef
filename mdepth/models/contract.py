"""What every depth network promises, and the table of layers that the book draws.

A network says of itself what it expects and what it returns (size, normalisation, depth range, metric or
not), so that evaluation, masks and the command line need one call, ``predict``. Many networks see a centre
crop of the image and predict only a part of that crop: the geometry of both is kept here, once, as
``image_size``, ``input_size`` and ``covered``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import nn
from torch.nn import functional

from mdepth.shapes import Depth, Float, Image, Tensor

__all__ = ["Box", "DepthNetwork", "Layer", "Native", "count_parameters", "evaluating", "layer_sizes"]

Native = Literal["log_depth", "sigmoid", "inverse_depth", "depth"]
Box = tuple[int, int, int, int]  # top, bottom, left, right; bottom and right are exclusive, as in a slice


class DepthNetwork(nn.Module):
    r"""A network from an RGB image to depth; subclasses give ``forward`` and ``to_depth`` and set the
    constants below.

    The image is resized to ``image_size``, its centre crop of ``input_size`` enters the network, and the
    output stands for the rows and columns ``covered`` of that crop. Everything is (height, width) in pixels.
    """

    native: ClassVar[Native]
    """The quantity that ``forward`` returns."""
    metric: bool
    """True where depth is in metres, False where it is known only up to one factor per image."""
    upsampling: ClassVar[Literal["nearest", "bilinear"]] = "bilinear"
    """How ``predict`` brings the native output to the image's size."""
    one_pass: ClassVar[bool] = True
    """False where ``to_depth`` searches for depth step by step, which no file of operators (ONNX) holds."""
    mean: tuple[float, float, float]
    """Subtracted from RGB in [0, 1]."""
    std: tuple[float, float, float]
    """RGB is divided by this after the mean is subtracted."""
    depth_range: tuple[float, float]
    """Smallest and largest depth that ``predict`` returns, in metres (or relative units where not
    ``metric``).
    """

    def __init__(self, *, image_size: tuple[int, int], input_size: tuple[int, int], covered: Box) -> None:
        super().__init__()
        (height, width), (top, bottom, left, right) = input_size, covered
        if not (height <= image_size[0] and width <= image_size[1]):
            raise ValueError(f"input_size {input_size} must fit into image_size {image_size}")
        if not (0 <= top < bottom <= height and 0 <= left < right <= width):
            raise ValueError(
                f"covered {covered} (top, bottom, left, right) must lie inside input_size {input_size}"
            )
        self.image_size, self.input_size, self.covered = image_size, input_size, covered

    def forward(self, x: Image) -> Float[Tensor, "B 1 h w"]:
        """Normalised image of ``input_size`` to the native output."""
        raise NotImplementedError

    def to_depth(self, native: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
        """Native output to depth in metres (or in relative units where not ``metric``)."""
        raise NotImplementedError

    def normalise(self, image: Image) -> Image:
        """RGB in [0, 1] to what ``forward`` expects: (image - mean) / std."""
        mean, std = (image.new_tensor(values).view(1, 3, 1, 1) for values in (self.mean, self.std))
        return (image - mean) / std

    def crop_offset(self) -> tuple[int, int]:
        """Row and column of ``image_size`` at which the centre crop begins."""
        return (self.image_size[0] - self.input_size[0]) // 2, (self.image_size[1] - self.input_size[1]) // 2

    def covers(self, height: int, width: int) -> Box:
        """Rows and columns (top, bottom, left, right) of a ``height`` x ``width`` image that the network
        predicts.

        Example:
            >>> from mdepth.models import build
            >>> with torch.device("meta"):
            ...     build("eigen-coarse-nyu").covers(480, 640)
            (20, 460, 24, 616)
        """
        (row, column), (top, bottom, left, right) = self.crop_offset(), self.covered
        down, across = height / self.image_size[0], width / self.image_size[1]
        edges = (row + top) * down, (row + bottom) * down, (column + left) * across, (column + right) * across
        return round(edges[0]), round(edges[1]), round(edges[2]), round(edges[3])

    def view(self, image: Tensor) -> Image:
        """What the network sees of an image in [0, 1] of any size, as colours: resized (bilinear,
        anti-aliased), cropped, on the network's device.
        """
        _check_image(image)
        parameter = next(self.parameters())
        image = image.to(parameter.device, parameter.dtype)
        if image.shape[-2:] != self.image_size:
            image = functional.interpolate(
                image, self.image_size, mode="bilinear", antialias=True, align_corners=False
            )
        (row, column), (rows, columns) = self.crop_offset(), self.input_size
        return image[..., row : row + rows, column : column + columns]

    def prepare(self, image: Tensor) -> Float[Tensor, "B 3 h w"]:
        """:meth:`view`, normalised: what ``forward`` expects."""
        return self.normalise(self.view(image))

    @torch.no_grad()
    def predict(self, image: Tensor) -> Depth:
        """Depth of an image in [0, 1] at the image's own size, whatever its size, the batch or the device.

        Resizes (bilinear, anti-aliased; an image of another shape is squeezed), crops, normalises, runs the
        network in evaluation mode, converts to depth, clamps to ``depth_range``, places the result where
        ``covers`` says, and gives every pixel outside the nearest predicted value. The result lies on the
        device of ``image``.

        Raises:
            ValueError: the image is no (B, 3, H, W) float tensor in [0, 1], or is smaller than 8 pixels in a
                direction.

        Example:
            >>> from mdepth.models import build
            >>> build("eigen-coarse-rooms").predict(torch.rand(2, 3, 48, 64)).shape
            torch.Size([2, 1, 48, 64])
        """
        with evaluating(self):
            depth = self.to_depth(self(self.prepare(image))).clamp(*self.depth_range)
        depth = self._place(depth, image.shape[-2], image.shape[-1]).clamp(
            *self.depth_range
        )  # interpolation rounds
        return depth.to(image.device, image.dtype)

    def _place(self, depth: Float[Tensor, "B 1 h w"], height: int, width: int) -> Depth:
        """Put the native depth map where it belongs in a ``height`` x ``width`` image and repeat its border
        outwards.
        """
        top, bottom, left, right = self.covers(height, width)
        half_pixel: dict[str, Any] = {} if self.upsampling == "nearest" else {"align_corners": False}
        mode = "nearest-exact" if self.upsampling == "nearest" else self.upsampling
        depth = functional.interpolate(depth, (bottom - top, right - left), mode=mode, **half_pixel)
        return functional.pad(depth, (left, width - right, top, height - bottom), mode="replicate")


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode for a while; then every part is back in its own mode, frozen ones included."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode


def _check_image(image: Tensor) -> None:
    """Raise a ValueError that says what an image for ``predict`` looks like."""
    wanted = "predict expects a float RGB image (B, 3, H, W) with values in [0, 1]"
    if image.ndim != 4 or image.shape[1] != 3:
        raise ValueError(f"{wanted}, got shape {tuple(image.shape)}; add a batch axis with image[None]")
    if not image.is_floating_point():
        raise ValueError(f"{wanted}, got {image.dtype}; divide 8-bit images by 255")
    if min(image.shape[-2:]) < 8:
        raise ValueError(f"{wanted} of at least 8 x 8 pixels, got {image.shape[-2]} x {image.shape[-1]}")
    if torch.compiler.is_exporting():
        return  # the values are those of an example; what the exported network will see is not known
    low, high = image.aminmax()
    if not (low >= -1e-4 and high <= 1 + 1e-4):  # a NaN fails both comparisons
        raise ValueError(f"{wanted}, got values from {low:.3g} to {high:.3g}; divide 8-bit images by 255")


@dataclass(frozen=True)
class Layer:
    """One row of a network's table: what the layer is, and the size of what comes out of it."""

    name: str
    op: str
    kernel: int | tuple[int, int]
    """Side of the kernel, (rows, columns) where they differ, 0 where there is none."""
    stride: int
    """Stride from row to row, 0 where there is none."""
    channels: int
    size: tuple[int, int]
    """Rows and columns; (1, 1) for a vector."""
    parameters: int


OPERATIONS: dict[type[nn.Module], str] = {
    nn.Conv2d: "conv",
    nn.ConvTranspose2d: "deconvolution",
    nn.MaxPool2d: "max pool",
    nn.AvgPool2d: "average pool",
    nn.Linear: "fully connected",
    nn.Unflatten: "reshape",
}
KINDS = tuple(OPERATIONS)


def layer_sizes(network: DepthNetwork) -> list[Layer]:
    """The table of a network's layers, in the order in which an image passes them, read off one forward pass
    in evaluation mode.

    Layers without a kernel, weights or a change of shape (activations, dropout) are left out. On
    ``torch.device("meta")`` nothing is computed, so that a network with seventy million weights takes
    milliseconds.

    Example:
        >>> from mdepth.models import build
        >>> with torch.device("meta"):
        ...     layer = layer_sizes(build("eigen-coarse-nyu"))[0]
        >>> layer.name, layer.channels, layer.size, layer.parameters
        ('coarse1.conv', 96, (56, 75), 34944)
    """
    rows: list[Layer] = []
    handles = [
        module.register_forward_hook(
            lambda module, _, output, name=name: rows.append(_row(name, module, output))
        )
        for name, module in network.named_modules()
        if isinstance(module, KINDS)
    ]
    parameter = next(network.parameters())
    try:
        with torch.no_grad(), evaluating(network):
            network(torch.zeros(1, 3, *network.input_size, device=parameter.device, dtype=parameter.dtype))
    finally:
        for handle in handles:
            handle.remove()
    return rows


def _row(name: str, module: nn.Module, output: Tensor) -> Layer:
    """Describe one module by what it is and what it returned."""
    op = next(op for kind, op in OPERATIONS.items() if isinstance(module, kind))
    height, width = output.shape[2:] if output.ndim == 4 else (1, 1)
    rows, columns = _pair(getattr(module, "kernel_size", 0))
    kernel = rows if rows == columns else (rows, columns)
    stride = _pair(getattr(module, "stride", 0))[0]
    return Layer(name, op, kernel, stride, output.shape[1], (height, width), count_parameters(module))


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    """A kernel size or stride as (rows, columns); torch stores an int or a pair."""
    return value if isinstance(value, tuple) else (value, value)


def count_parameters(module: nn.Module) -> int:
    """Number of trainable and frozen parameters."""
    return sum(parameter.numel() for parameter in module.parameters())
