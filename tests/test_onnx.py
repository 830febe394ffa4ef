"""Networks as ONNX files: what onnxruntime makes of one is what ``predict`` gives; the command; mistakes."""

import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from cli_tools import check_refused, invoke
from torch import nn

from mdepth import __version__, weights
from mdepth.models import build
from mdepth.models import onnx as files
from mdepth.models.contract import DepthNetwork

CASES = {  # a network of each source, at its own size (None) or at another
    "monodepth2": ("monodepth2-resnet18-roads", (150, 210)),
    "eigen": ("eigen-fine-rooms", None),
    "laina": ("laina-resnet18-upproj-rooms", (120, 101)),
    "transfer": ("transfer-resnet18-rooms", (75, 160)),
}


def trained(name: str) -> DepthNetwork:
    """A network whose depth varies within an image: with the weights that come with the package, or with
    random ones, made bolder.
    """
    torch.manual_seed(0)
    network = build(name)
    if (weights.PRETRAINED / f"{name}.safetensors").is_file():
        weights.load(network, weights.pretrained(name))
        return network
    with torch.no_grad():
        network.get_parameter("decoder.answers.0.weight").mul_(20)
        for _ in range(2):
            network(torch.randn(4, 3, *network.input_size))  # norms whose statistics are no zeros and ones
    return network


def run(path: Path | str, image: torch.Tensor) -> np.ndarray:
    """What onnxruntime makes of a file, on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (depth,) = session.run(None, {"image": image.numpy()})
    return depth


def texts(content: bytes) -> dict[str, str]:
    """A file's metadata."""
    return {entry.key: entry.value for entry in onnx.load_from_string(content).metadata_props}


@pytest.fixture(scope="module", params=list(CASES))
def exported(request, tmp_path_factory) -> tuple[DepthNetwork, files.Exported]:
    """A network and its file."""
    name, size = CASES[request.param]
    network, folder = trained(name), tmp_path_factory.mktemp("onnx")
    return network, files.export_onnx(network, folder / "depth.onnx", size=size, name=name)


@pytest.mark.parametrize("batch", [1, 3])
def test_the_file_gives_what_predict_gives(exported, batch: int, generator: torch.Generator) -> None:
    network, written = exported
    image = torch.rand(batch, 3, *written.size, generator=generator)
    expected, depth = network.predict(image).numpy(), run(written.path, image)
    assert depth.dtype == np.float32
    np.testing.assert_allclose(depth, expected, rtol=1e-4)
    assert expected.max() > 1.1 * expected.min()  # else nothing would have been compared
    low, high = network.depth_range
    assert np.mean((expected > low) & (expected < high)) > 0.5


def test_what_export_tells_is_so(exported) -> None:
    _, written = exported
    assert written.bytes == written.path.stat().st_size
    assert 0 <= written.difference < 1e-4
    beside = [path.name for path in written.path.parent.iterdir()]
    assert beside == ["depth.onnx"]  # no second file that holds the weights
    graph = onnx.load(written.path).graph
    shapes = [
        [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    ]
    assert [value.name for value in (*graph.input, *graph.output)] == ["image", "depth"]
    assert shapes == [["batch", 3, *written.size], ["batch", 1, *written.size]]


# ---- a network so small that a file takes a moment ----


class Tiny(DepthNetwork):
    """One convolution, a norm and dropout; sees a part of the image, as the networks of Eigen et al. do."""

    native = "depth"
    metric = False
    mean, std, depth_range = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7), (0.5, 4.0)

    def __init__(self) -> None:
        super().__init__(image_size=(20, 30), input_size=(16, 24), covered=(2, 14, 4, 20))
        self.conv, self.norm, self.drop = nn.Conv2d(3, 1, 3, padding=1), nn.BatchNorm2d(1), nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.drop(self.norm(self.conv(x)))[..., 2:14, 4:20]

    def to_depth(self, native: torch.Tensor) -> torch.Tensor:
        return 2 + native


def make() -> Tiny:
    """The same network every time, its norm with statistics."""
    torch.manual_seed(0)
    network = Tiny()
    network(torch.randn(4, 3, 16, 24))
    return network


@pytest.fixture
def tiny() -> Tiny:
    return make()


@pytest.fixture(scope="module")
def content(tmp_path_factory) -> bytes:
    """Its file."""
    path = tmp_path_factory.mktemp("tiny") / "a.onnx"
    return files.export_onnx(make(), path, about={"run": "mine"}).path.read_bytes()


def test_the_network_stays_as_it_is_and_gives_the_same_bytes_again(
    tiny: Tiny, content: bytes, tmp_path: Path
) -> None:
    tiny.norm.eval()
    tiny.conv.requires_grad_(False)
    before = {key: value.clone() for key, value in tiny.state_dict().items()}
    random = torch.get_rng_state()
    path = files.export_onnx(tiny, tmp_path / "a.onnx", about={"run": "mine"}).path
    assert torch.equal(torch.get_rng_state(), random)
    assert [part.training for part in (tiny, tiny.conv, tiny.norm, tiny.drop)] == [True, True, False, True]
    assert [parameter.requires_grad for parameter in tiny.parameters()] == [False, False, True, True]
    assert all(torch.equal(value, before[key]) for key, value in tiny.state_dict().items())
    assert tiny(torch.rand(1, 3, 16, 24)).requires_grad
    assert path.read_bytes() == content


def test_a_file_says_what_it_is_and_no_more(content: bytes, root: Path) -> None:
    assert texts(content) == {
        "mdepth": __version__, "network": "Tiny", "metric": "false", "unit": "relative",
        "depth_range": "[0.5, 4.0]", "run": "mine",
    }  # fmt: skip
    model = onnx.load_from_string(content)
    assert [entry.version for entry in model.opset_import] == [files.OPSET]
    assert "one factor" in model.graph.output[0].doc_string
    for trace in (b"stack_trace", b"File ", str(root).encode()):
        assert trace not in content


def test_a_metric_network_of_64_bits_becomes_a_file_of_32(tiny: Tiny, tmp_path: Path) -> None:
    tiny.metric = True
    written = files.export_onnx(tiny.double(), tmp_path / "a.onnx", size=(40, 25), name="tiny-rooms")
    image = torch.rand(2, 3, 40, 25)
    np.testing.assert_allclose(run(written.path, image), tiny.predict(image), rtol=1e-4)
    assert next(tiny.parameters()).dtype == torch.float64
    told = texts(written.path.read_bytes())
    assert (told["network"], told["metric"], told["unit"]) == ("tiny-rooms", "true", "m")


# ---- what is refused ----


def test_a_file_that_differs_is_not_left_behind(tiny: Tiny, content: bytes, tmp_path, monkeypatch) -> None:
    """Here the network is 0.006 in 1.5 to 4 deeper than its file."""
    with torch.no_grad():
        tiny.norm.bias.add_(0.006)
    path = tmp_path / "a.onnx"
    path.write_text("before")
    monkeypatch.setattr(files, "_bytes", lambda *_: content)
    with pytest.raises(RuntimeError, match=r"differ by a factor of 0\.00\d+ .* no file was written"):
        files.export_onnx(tiny, path)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.onnx", "before")]


def hide(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    """As if these were not installed."""
    there = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *rest: None if name in packages else there(name, *rest)
    )


def test_without_onnxruntime_nothing_is_compared(tiny, content: bytes, tmp_path: Path, monkeypatch) -> None:
    hide(monkeypatch, "onnxruntime")
    monkeypatch.setattr(files, "_bytes", lambda *_: content)
    written = files.export_onnx(tiny, tmp_path / "a.onnx")
    assert written.difference is None
    assert written.path.read_bytes() == content


@pytest.mark.parametrize("missing", [("onnx",), ("onnxscript",), ("onnx", "onnxscript")])
def test_what_is_missing_is_named(missing, tiny: Tiny, tmp_path: Path, monkeypatch) -> None:
    hide(monkeypatch, *missing)
    with pytest.raises(ImportError, match=rf"needs {' and '.join(missing)}: `pip install onnx "):
        files.export_onnx(tiny, tmp_path / "a.onnx")


@pytest.mark.parametrize("size", [(7, 64), (64, 0), (-1, 64)])
def test_a_size_too_small_is_refused(size, tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"size must be .* at least 8 pixels"):
        files.export_onnx(tiny, tmp_path / "a.onnx", size=size)


def test_a_network_that_iterates_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="EigenLocal finds its depth step by step"):
        files.export_onnx(build("eigen-local-rooms"), tmp_path / "a.onnx")


def test_texts_of_our_own_are_not_overwritten(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must not say mdepth, unit"):
        files.export_onnx(tiny, tmp_path / "a.onnx", about={"unit": "mm", "mdepth": "2"})


def test_a_file_too_large_is_refused(tiny: Tiny, content: bytes, tmp_path: Path, monkeypatch) -> None:
    program = SimpleNamespace(model_proto=onnx.load_from_string(content))
    monkeypatch.setattr(torch.onnx, "export", lambda *_, **__: program)
    monkeypatch.setattr(files, "LARGEST", 1000)
    with pytest.raises(ValueError, match="one ONNX file holds 1,000"):
        files.export_onnx(tiny, tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_told_first(tiny: Tiny, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(files, "_bytes", None)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        files.export_onnx(tiny, tmp_path / "there" / "a.onnx")


# ---- the command ----


def test_the_command_writes_a_file_with_the_weights_of_the_package(tmp_path: Path, generator) -> None:
    path = tmp_path / "depth.onnx"
    result = invoke("export", "eigen-coarse-rooms", path, "--size", "48x64", "--json")
    assert result.exit_code == 0, result.output + repr(result.exception)
    told = json.loads(result.stdout)
    assert (told["file"], told["size"], told["bytes"]) == (str(path), [48, 64], path.stat().st_size)
    assert [line.split()[0] for line in result.stderr.splitlines()] == ["network:"]
    about = texts(path.read_bytes())
    assert about["network"] == "eigen-coarse-rooms"
    assert about["run"] == told["trained"]
    assert "level B" in about["evidence"]
    image = torch.rand(2, 3, 48, 64, generator=generator)
    expected = trained("eigen-coarse-rooms").predict(image)
    np.testing.assert_allclose(run(path, image), expected, rtol=1e-4)


def test_the_command_says_what_goes_in_and_out(tmp_path: Path, monkeypatch) -> None:
    path, asked = tmp_path / "a.onnx", {}

    def export(network, path, **options):
        asked.update(options)
        return files.Exported(path, (96, 128), 4_600_000, differences.pop())

    monkeypatch.setattr(files, "export_onnx", export)
    differences = [None, 3e-7]
    result = invoke("export", "eigen-coarse-rooms", path)
    assert result.exit_code == 0, result.output + repr(result.exception)
    assert asked["size"] is None
    assert asked["name"] == "eigen-coarse-rooms"
    for words in ("image: float32 (B, 3, 96, 128), RGB in [0, 1]", "0.1 to 10 m", "3e-07", "4.6 MB"):
        assert words in result.stdout
    assert "pip install onnxruntime" in invoke("export", "eigen-coarse-rooms", path).stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["eigen-coarse-room", "a.onnx"], ["unknown network", "did you mean 'eigen-coarse-rooms'"]),
        (["eigen-coarse-rooms", "a.pth"], ["a.pth", "must end in .onnx"]),
        (["eigen-coarse-rooms", "there.onnx"], ["there.onnx: exists already", "--force"]),
        (["eigen-coarse-rooms", "a.onnx", "--size", "48"], ["--size takes HEIGHTxWIDTH"]),
        (["eigen-coarse-rooms", "a.onnx", "--size", "4x64"], ["at least 8 pixels"]),
        (["eigen-coarse-nyu", "a.onnx"], ["no trained weights come with 'eigen-coarse-nyu'", "--weights"]),
        (["eigen-coarse-rooms", "no/a.onnx"], ["no: no such folder"]),
    ],
)
def test_a_mistake_is_one_line(arguments, words, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.onnx").touch()
    check_refused(invoke("export", *arguments), *words, after=("network:",))
    assert [path.name for path in tmp_path.iterdir()] == ["there.onnx"]


def test_the_command_says_what_to_install(tmp_path: Path, monkeypatch) -> None:
    hide(monkeypatch, "onnxscript")
    result = invoke("export", "eigen-coarse-rooms", tmp_path / "a.onnx")
    check_refused(result, "needs onnxscript", "pip install", after=("network:",))
