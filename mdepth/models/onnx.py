"""A depth network as one file for other programs: ONNX, which onnxruntime and its like run without PyTorch.

The file holds all that ``predict`` does, so that nothing is left to whoever uses it: RGB in [0, 1] goes in,
depth of the same height and width comes out. Resizing, cropping, normalising, the step from the native output
to depth, the limits of its range and the way back to the image's size are in the graph. The number of images
is free; height and width are fixed when the file is made. What ``predict`` refuses, a file takes: pixels that
nobody divided by 255 give nonsense without a word.
"""

import copy
import importlib.util
import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mdepth import __version__
from mdepth.models.contract import DepthNetwork
from mdepth.shapes import Depth, Image

__all__ = ["OPSET", "TOLERANCE", "Exported", "export_onnx"]

OPSET = 18
"""Version of ONNX's operators: the first in which resizing can average over the pixels of a larger image."""
TOLERANCE = 1e-3
"""Largest relative difference between file and network: far above rounding, far below a wrong operator."""
LARGEST = 2**31 - 1
"""Bytes that one file of this format can hold."""


@dataclass(frozen=True)
class Exported:
    """What :func:`export_onnx` wrote."""

    path: Path
    size: tuple[int, int]
    """Height and width of image and depth."""
    bytes: int
    difference: float | None
    """Largest relative difference to ``predict`` on random images, None where onnxruntime is missing."""


def export_onnx(
    network: DepthNetwork,
    path: Path | str,
    *,
    size: tuple[int, int] | None = None,
    name: str = "",
    about: Mapping[str, str] | None = None,
) -> Exported:
    """Write what ``network.predict`` does as an ONNX file, whole or not at all, and compare the two.

    The file has one input, ``image``: (B, 3, H, W), 32-bit floats, RGB in [0, 1]; and one output, ``depth``:
    (B, 1, H, W), in metres or, where the network is not ``metric``, in units of its own. B is free. Its
    metadata are texts: ``mdepth`` (the version), ``network`` (the name, or else the class), ``metric`` (true
    or false), ``unit`` (m or relative), ``depth_range`` (JSON), and those of ``about``.

    Where onnxruntime is installed, the file runs on three random images before it is put in place. The
    network stays as it is: a copy on the CPU in 32-bit floats and evaluation mode is what is written.

    Args:
        network: any network that gives its depth in one pass.
        path: the file, by custom ``*.onnx``; one that is there is replaced.
        size: height and width of the images; the network's ``image_size`` by default, and then nothing is
            resized on the way in.
        name: of the network, as ``build`` knows it.
        about: further short texts for the metadata, for example the ``run`` that made the weights.

    Raises:
        ImportError: onnx or onnxscript is not installed; the message says how to get them.
        ValueError: a side of ``size`` is below 8 pixels, the network iterates (``one_pass``), a key of
            ``about`` is one of our own, or the file would exceed 2 GiB.
        RuntimeError: onnxruntime computes something else than the network; no file is written then.
        OSError: the folder is not there or cannot be written to.

    For example, with an ``image`` of 32-bit floats, (B, 3, 480, 640)::

        export_onnx(build("eigen-coarse-rooms"), "depth.onnx", size=(480, 640))

        session = onnxruntime.InferenceSession("depth.onnx")
        (depth,) = session.run(["depth"], {"image": image})  # (B, 1, 480, 640)
    """
    path = Path(path)
    height, width = _check_size(size or network.image_size)
    if not network.one_pass:
        raise ValueError(
            f"{type(network).__name__} finds its depth step by step, which an ONNX file cannot hold; "
            "use predict, or export a network that answers in one pass"
        )
    _check_installed("onnx", "onnxscript")
    if not path.parent.is_dir():
        raise FileNotFoundError(2, "no such folder", str(path.parent))
    texts = _texts(network, name, about or {})
    still = copy.deepcopy(network).to("cpu", torch.float32)
    content = _bytes(_Predict(still).eval(), (height, width), name or type(network).__name__, texts)
    difference = _difference(content, still, (height, width))
    _write(path, content)
    return Exported(path, (height, width), len(content), difference)


class _Predict(nn.Module):
    """A network whose ``forward`` is ``predict``, since that is what an exporter follows."""

    def __init__(self, network: DepthNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Image) -> Depth:
        """RGB in [0, 1] to depth."""
        return self.network.predict(image)


def _check_size(size: tuple[int, int]) -> tuple[int, int]:
    """Height and width, if they can be those of an image."""
    if len(size) != 2 or min(size) < 8:
        raise ValueError(f"size must be (height, width) of at least 8 pixels each, got {tuple(size)}")
    return int(size[0]), int(size[1])


def _check_installed(*packages: str) -> None:
    """Raise an ImportError that says what to install."""
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        raise ImportError(
            f"writing ONNX needs {' and '.join(missing)}: `pip install onnx onnxscript onnxruntime`, "
            "or mdepth with its extra [onnx]"
        )


def _texts(network: DepthNetwork, name: str, about: Mapping[str, str]) -> dict[str, str]:
    """The metadata of the file."""
    own = {
        "mdepth": __version__,
        "network": name or type(network).__name__,
        "metric": json.dumps(network.metric),
        "unit": "m" if network.metric else "relative",
        "depth_range": json.dumps(list(network.depth_range)),
    }
    if taken := own.keys() & about.keys():
        raise ValueError(f"about must not say {', '.join(sorted(taken))}: the file does so by itself")
    return own | dict(about)


def _bytes(predict: _Predict, size: tuple[int, int], name: str, texts: dict[str, str]) -> bytes:
    """The file's content."""
    import onnx

    example = torch.zeros(2, 3, *size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch about its own parts
        program: Any = torch.onnx.export(
            predict, (example,), dynamo=True, verbose=False, opset_version=OPSET,
            input_names=["image"], output_names=["depth"], dynamic_shapes={"image": {0: "batch"}},
        )  # fmt: skip
    proto = program.model_proto
    _strip(proto)
    proto.graph.name = name
    unit = "metres along the camera's z" if texts["metric"] == "true" else "depth, known up to one factor"
    proto.graph.input[0].doc_string = "RGB in [0, 1]"
    proto.graph.output[0].doc_string = unit
    onnx.helper.set_model_props(proto, texts)
    if proto.ByteSize() > LARGEST:
        raise ValueError(
            f"{name} takes {proto.ByteSize():,} bytes, one ONNX file holds {LARGEST:,}; export a smaller one"
        )
    onnx.checker.check_model(proto, full_check=True)
    return proto.SerializeToString(deterministic=True)


def _strip(proto: Any) -> None:
    """Take out what the exporter notes at every node and value: lines of source code, counters of its own."""
    graph = proto.graph
    for part in (*graph.node, *graph.value_info, *graph.initializer, *graph.input, *graph.output):
        part.ClearField("metadata_props")


def _difference(content: bytes, network: DepthNetwork, size: tuple[int, int]) -> float | None:
    """The largest relative difference between the file's depth and the network's, None without onnxruntime.

    Raises:
        RuntimeError: it is larger than ``TOLERANCE``.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        return None
    import onnxruntime

    image = torch.rand(3, 3, *size, generator=torch.Generator().manual_seed(0))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    depth = torch.from_numpy(session.run(["depth"], {"image": image.numpy()})[0])
    expected = network.predict(image)
    if depth.shape != expected.shape:
        raise RuntimeError(f"the file gives {tuple(depth.shape)}, the network {tuple(expected.shape)}")
    found = ((depth - expected).abs() / expected.abs().clamp(min=1e-6)).max().item()
    if not found <= TOLERANCE:  # a NaN is no agreement either
        raise RuntimeError(
            f"onnxruntime and the network differ by a factor of {found:.2g} of the depth, more than "
            f"{TOLERANCE:g}; no file was written"
        )
    return found


def _write(path: Path, content: bytes) -> None:
    """Put the file in its place, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
