"""Weights as files: exact round trips, a report of what did not fit, and refusals that name the file."""

import hashlib
import http.server
import os
import pickle
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mdepth import models, weights
from mdepth.shapes import DataError


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(2, 1))


def test_round_trip_is_exact(network: nn.Module, tmp_path: Path) -> None:
    path = weights.save(network, tmp_path / "a.safetensors", about={"run": "test"})
    other = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(2, 1))
    report = weights.load(other, path)
    assert report.complete
    assert str(report) == f"{len(network.state_dict())} tensors used"
    for key, value in network.state_dict().items():
        assert torch.equal(value, other.state_dict()[key]), key
    assert weights.metadata(path) == {"run": "test"}
    assert [item.name for item in tmp_path.iterdir()] == ["a.safetensors"]


@pytest.mark.parametrize("name", ["eigen-coarse-rooms", "eigen-coarse-roads"])
def test_half_precision_predicts_nearly_the_same(
    name: str, tmp_path: Path, generator: torch.Generator
) -> None:
    network, other = models.build(name), models.build(name)
    path = weights.save(network, tmp_path / "half.safetensors", dtype=torch.float16)
    assert path.stat().st_size < 3_000_000
    assert weights.load(other, path).complete
    assert next(other.parameters()).dtype == torch.float32
    image = torch.rand(1, 3, *network.image_size, generator=generator)
    torch.testing.assert_close(network.predict(image), other.predict(image), rtol=5e-3, atol=0)


def test_integers_keep_their_type_in_half_precision(network: nn.Module, tmp_path: Path) -> None:
    state = weights.read(weights.save(network, tmp_path / "a.safetensors", dtype=torch.float16))
    assert state["1.num_batches_tracked"].dtype == torch.int64
    assert state["0.weight"].dtype == torch.float16


def test_report_names_what_does_not_fit(network: nn.Module) -> None:
    state = {key: value + 1 for key, value in network.state_dict().items()}
    state["2.weight"] = torch.zeros(3, 2)
    state["head.weight"] = state.pop("2.bias")
    before = network.state_dict()["2.weight"].clone()
    with pytest.raises(
        DataError, match=r"state dictionary: does not fit Sequential.*2\.bias.*head\.weight.*strict=False"
    ):
        weights.load(network, state)
    assert not torch.equal(network.state_dict()["0.weight"], state["0.weight"])  # nothing was loaded
    report = weights.load(network, state, strict=False)
    assert report.missing == ("2.bias",)
    assert report.unused == ("head.weight",)
    assert report.wrong_shape == ("2.weight (3, 2) for (1, 2)",)
    assert torch.equal(network.state_dict()["0.weight"], state["0.weight"])
    assert torch.equal(network.state_dict()["2.weight"], before)


def test_rename_translates_and_refuses_collisions() -> None:
    state = {"module.encoder.conv1.weight": torch.ones(1), "module.decoder.0.bias": torch.zeros(1)}
    renamed = weights.rename(state, [(r"^module\.", ""), (r"^decoder\.(\d)", r"up\1")])
    assert list(renamed) == ["encoder.conv1.weight", "up0.bias"]
    with pytest.raises(
        DataError, match=r"'module\.encoder.*' and 'module\.decoder.*' would both be called 'x'"
    ):
        weights.rename(state, [(".+", "x")])


def test_pytorch_files_without_code_are_read(network: nn.Module, tmp_path: Path) -> None:
    torch.save({"state_dict": network.state_dict(), "epoch": 3}, tmp_path / "official.pth")
    assert torch.equal(weights.read(tmp_path / "official.pth")["0.weight"], network.state_dict()["0.weight"])
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(DataError, match=r"list\.pth: expected a dictionary of tensors, found list"):
        weights.read(tmp_path / "list.pth")
    torch.save({"model": network.state_dict(), "epoch": 3}, tmp_path / "nested.pth")
    with pytest.raises(DataError, match=r"nested\.pth: .* found model \(OrderedDict\), epoch \(int\)"):
        weights.read(tmp_path / "nested.pth")


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise RuntimeError('pickled code was run')",))


def test_pickled_code_is_refused(tmp_path: Path) -> None:
    torch.save({"weight": Bomb()}, tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes(pickle.dumps({"weight": Bomb()}, protocol=2))
    (tmp_path / "c.safetensors").write_bytes(pickle.dumps({"weight": Bomb()}))
    for name, reason in (("a.pth", "pickled code"), ("b.pth", "pickled code"), ("c.safetensors", "damaged")):
        with pytest.raises(DataError, match=f"{name}.*{reason}"):
            weights.read(tmp_path / name)


@pytest.mark.parametrize("name", ["a.safetensors", "a.pth"])
def test_truncated_and_missing_files(name: str, network: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / name
    with pytest.raises(DataError, match=f"{name}: expected a file of weights, found none"):
        weights.read(path)
    if path.suffix == ".pth":
        torch.save(network.state_dict(), path)
    else:
        weights.save(network, path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=f"{name}.*damaged"):
        weights.read(path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match=f"{name}"):
        weights.read(path)


@pytest.mark.parametrize("name", ["a.safetensors", "a.pth", "old.pth"])
def test_files_with_a_changed_byte_are_named_or_whole(name: str, network: nn.Module, tmp_path: Path) -> None:
    """Whichever byte it is: never an error that does not name the file."""
    path, told, chosen = tmp_path / name, [], random.Random(0)
    if path.suffix == ".pth":
        torch.save(network.state_dict(), path, _use_new_zipfile_serialization=name == "a.pth")
    else:
        weights.save(network, path, about={"run": "test"})
    whole = path.read_bytes()
    for _ in range(200):
        spoilt = bytearray(whole)
        spoilt[chosen.randrange(len(whole))] = chosen.randrange(256)
        path.write_bytes(spoilt)
        for read in (weights.read, weights.metadata):
            try:
                read(path)
            except DataError as error:
                told.append(str(error))
    assert len(told) > 50
    assert all(name in text for text in told)


def test_full_disk_leaves_the_old_file(
    network: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = weights.save({"x": torch.ones(2)}, tmp_path / "a.safetensors")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        weights.save(network, path)
    assert list(weights.read(path)) == ["x"]
    assert [item.name for item in tmp_path.iterdir()] == ["a.safetensors"]


def test_pretrained_lists_what_there_is() -> None:
    with pytest.raises(
        ValueError, match="no trained weights for 'nothing' come with the package; there are:"
    ):
        weights.pretrained("nothing")


def test_weights_in_the_package_fit_their_networks() -> None:
    there = list(weights.PRETRAINED.glob("*.safetensors"))
    assert there
    for path in there:
        assert path.stat().st_size < 4 * 2**20
        assert weights.load(models.build(path.stem), path).complete
        assert {"run", "identity", "meaning"} <= set(weights.metadata(path))


CONTENT = b"weights of a network" * 1000


class Server(http.server.BaseHTTPRequestHandler):
    """/whole gives the content; /broken promises it and breaks off; anything else is not there."""

    def do_GET(self) -> None:
        if self.path not in ("/whole", "/broken"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT if self.path == "/whole" else CONTENT[:5000])

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


DIGEST = hashlib.sha256(CONTENT).hexdigest()


def test_download_checks_and_keeps(url: str, tmp_path: Path) -> None:
    path = weights.download(f"{url}/whole", DIGEST, folder=tmp_path, progress=False)
    assert path == tmp_path / "whole"
    assert path.read_bytes() == CONTENT
    again = weights.download(
        "http://127.0.0.1:1/whole", DIGEST, folder=tmp_path, progress=False
    )  # no request is made
    assert again == path


@pytest.mark.parametrize(
    ("name", "digest", "message"),
    [
        ("whole", "0" * 64, "another checksum than 000000000000"),
        ("broken", DIGEST, "failed or broke off"),
        ("absent", DIGEST, "failed or broke off.*404"),
    ],
)
def test_bad_downloads_leave_nothing(url: str, name: str, digest: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"{url}/{name}: .*{message}"):
        weights.download(f"{url}/{name}", digest, folder=tmp_path, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_download_goes_to_the_cache(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MDEPTH_CACHE", str(tmp_path))
    path = weights.download(f"{url}/whole", DIGEST, name="net.pth", progress=False)
    assert path == tmp_path / "downloads" / "net.pth"
