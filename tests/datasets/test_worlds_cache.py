"""The cache of rendered worlds: whole or not at all, resumable, safe under two processes, honest errors."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from mdepth.datasets import check_sample
from mdepth.datasets.worlds import World, load, store
from mdepth.datasets.worlds import dataset as dataset_module
from mdepth.shapes import DataError

WORLD = World(
    "rooms", scenes=4, frames=2, height=16, width=24, antialias=1, stereo=True, normals=True, kinect=True
)

LOAD = """
import sys
from mdepth.datasets.worlds import World, load
from mdepth.datasets.worlds import dataset
dataset.CHUNK = 8
world = World("rooms", scenes=64, height=16, width=24, antialias=1)
print(load(world, cache=sys.argv[1]).fingerprint())
"""


def start(cache: Path) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", LOAD, str(cache)], stdout=subprocess.PIPE, text=True)


def test_samples_obey_the_contract(tmp_path):
    data = load(WORLD, cache=tmp_path)
    assert len(data) == 8
    for index in range(len(data)):
        check_sample(data[index])
    sample = data[3]
    assert (sample["id"], sample["scene"]) == ("rooms/train/00001/01", "rooms/train/00001")
    assert sample["T_right_left"][0, 3] == pytest.approx(-0.1)
    assert sample["normals"].shape == sample["image_right"].shape == (3, 16, 24)
    assert sample["instances"].dtype == torch.int64
    assert sample["time"] == pytest.approx(0.1)
    assert data.index(1, 1) == 3
    assert data[-1]["id"] == data[7]["id"]
    assert len({data[i]["id"] for i in range(8)}) == 8


def test_batches_equal_samples_and_rendering_on_the_fly(tmp_path):
    kept, fly = load(WORLD, cache=tmp_path), load(WORLD, cache=False)
    batch = kept.batch([5, 0, 5])
    for name, value in batch.items():
        assert torch.equal(value[0], value[2])
        assert torch.equal(value[1], torch.as_tensor(kept[0][name]))
        assert torch.allclose(value[0].float(), torch.as_tensor(fly[5][name]).float(), equal_nan=True)
    assert kept.fingerprint() == fly.fingerprint()
    kept.verify()


@pytest.mark.parametrize("cached", [True, False])
def test_frames_are_rendered_on_the_device_asked_for(tmp_path, monkeypatch, cached):
    asked, render = [], dataset_module.render

    def note(*arguments, device, **options):
        asked.append(device)
        return render(*arguments, device="cpu", **options)

    monkeypatch.setattr(dataset_module, "render", note)
    data = load(WORLD, cache=tmp_path if cached else False, device="cuda")
    assert data[0]["image"].device.type == "cpu"
    assert asked
    assert set(asked) == {"cuda"}
    with pytest.raises(ValueError, match="workers=2 render on the CPU; on cuda one process is enough"):
        load(WORLD, cache=tmp_path, device="cuda", workers=2)


@pytest.mark.gpu
def test_a_cache_rendered_on_a_gpu(tmp_path):
    cpu, gpu = load(WORLD, cache=tmp_path / "cpu"), load(WORLD, cache=tmp_path / "gpu", device="cuda")
    for name in ("image", "depth", "normals", "image_right"):
        ours, theirs = cpu.arrays[name].astype(float), gpu.arrays[name].astype(float)
        assert np.isclose(ours, theirs, rtol=1e-3, atol=1.0 if "image" in name else 1e-3).mean() > 0.99


def test_second_load_renders_nothing(tmp_path, monkeypatch):
    first = load(WORLD, cache=tmp_path)
    monkeypatch.setattr(dataset_module, "render_row", lambda *_, **__: pytest.fail("rendered again"))
    again = load(WORLD, cache=tmp_path)
    assert again.fingerprint() == first.fingerprint()
    assert {path.name for path in tmp_path.iterdir()} == {WORLD.identity(), f"{WORLD.identity()}.lock"}


def test_other_processes_open_the_frames_themselves(tmp_path):
    for cache in (tmp_path, False):
        data = load(World("rooms", scenes=8, height=16, width=24, antialias=1), cache=cache)
        packed = pickle.dumps(data)
        assert len(packed) < 3000
        assert torch.equal(pickle.loads(packed)[3]["image"], data[3]["image"])


def test_an_interrupted_render_that_lost_a_file_begins_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset_module, "CHUNK", 3)
    whole = load(WORLD, cache=tmp_path / "whole").fingerprint()
    render_row, calls = dataset_module.render_row, []

    def broken(*arguments, **options):
        calls.append(1)
        if len(calls) > 4:
            raise KeyboardInterrupt
        return render_row(*arguments, **options)

    monkeypatch.setattr(dataset_module, "render_row", broken)
    with pytest.raises(KeyboardInterrupt):
        load(WORLD, cache=tmp_path)
    monkeypatch.setattr(dataset_module, "render_row", render_row)
    (tmp_path / f"{WORLD.identity()}.partial" / "depth.npy").unlink()
    assert load(WORLD, cache=tmp_path).fingerprint() == whole


def test_environment_names_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MDEPTH_CACHE", str(tmp_path / "here"))
    load(World("rooms", scenes=1, height=8, width=8))
    assert len(list((tmp_path / "here").glob("rooms-*/meta.json"))) == 1


def test_progress_is_reported_and_an_interrupted_render_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset_module, "CHUNK", 3)
    whole = load(WORLD, cache=tmp_path / "whole").fingerprint()
    calls = []

    def interrupt(done: int, total: int) -> None:
        calls.append((done, total))
        if len(calls) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(WORLD, cache=tmp_path, progress=interrupt)
    assert not (tmp_path / WORLD.identity()).exists()
    resumed = load(WORLD, cache=tmp_path, progress=interrupt)
    assert calls[0] == (3, 8)
    assert calls[2][0] > 3  # not from the beginning
    assert calls[-1] == (8, 8)
    assert resumed.fingerprint() == whole
    resumed.verify()


def test_kill_in_the_middle_and_two_processes_at_once(tmp_path):
    victim = start(tmp_path)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("*.partial/progress.json")):
        assert time.monotonic() < deadline
        assert victim.poll() is None
        time.sleep(0.005)
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()
    assert not list(tmp_path.glob("rooms*/meta.json"))  # nothing that could be taken for finished
    both = [start(tmp_path), start(tmp_path)]
    prints = [process.communicate(timeout=120)[0].strip() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert prints[0] == prints[1]
    world = World("rooms", scenes=64, height=16, width=24, antialias=1)
    data = load(world, cache=tmp_path)
    data.verify()
    assert not list(tmp_path.glob("*.partial"))
    fresh = load(World("rooms", scenes=3, height=16, width=24, antialias=1), cache=False)
    assert torch.equal(data.batch([0, 1, 2])["depth"], fresh.batch([0, 1, 2])["depth"])


def test_other_processes_render_the_same(tmp_path):
    assert (
        load(WORLD, cache=tmp_path / "a", workers=2).fingerprint()
        == load(WORLD, cache=tmp_path / "b").fingerprint()
    )


def test_damage_is_found(tmp_path):
    folder = load(WORLD, cache=tmp_path).folder
    path = folder / "depth.npy"
    content = path.read_bytes()
    path.write_bytes(content[:-100])
    with pytest.raises(DataError, match=r"depth\.npy.*delete the folder"):
        load(WORLD, cache=tmp_path)
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(DataError, match="sha256"):
        load(WORLD, cache=tmp_path).verify()
    np.save(path, np.zeros((8, 16, 25), np.float32))
    with pytest.raises(DataError, match=r"expected float32 of shape \(8, 16, 24\)"):
        load(WORLD, cache=tmp_path)
    (folder / "meta.json").unlink()
    with pytest.raises(DataError, match=r"meta\.json"):
        load(WORLD, cache=tmp_path)


def test_a_folder_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="MDEPTH_CACHE"):
        load(WORLD, cache=tmp_path / "file" / "cache")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_says_so(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(DataError, match="MDEPTH_CACHE"):
        load(WORLD, cache=tmp_path)


def test_a_full_disk_says_so_and_leaves_nothing_finished(tmp_path, monkeypatch):
    usage = type("usage", (), {"free": 1000})
    monkeypatch.setattr(store.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DataError, match="free on this disk"):
        load(WORLD, cache=tmp_path)
    monkeypatch.undo()

    class Full:
        def write(self, _):
            raise OSError(28, "No space left on device")

        def close(self):
            pass

    with monkeypatch.context() as patch:
        patch.setattr(store, "_open_at", lambda *_: Full())
        with pytest.raises(DataError, match="No space left"):
            load(WORLD, cache=tmp_path)
    assert not (tmp_path / WORLD.identity()).exists()
    load(WORLD, cache=tmp_path).verify()


def test_a_torn_note_of_progress_starts_again(tmp_path):
    partial = tmp_path / f"{WORLD.identity()}.partial"
    partial.mkdir(parents=True)
    (partial / "progress.json").write_text("{")
    (partial / "depth.npy").write_bytes(b"half")
    data = load(WORLD, cache=tmp_path)
    data.verify()
    assert data.fingerprint() == load(WORLD, cache=False).fingerprint()
    assert not partial.exists()


def test_meta_describes_the_world(tmp_path):
    data = load(WORLD, cache=tmp_path)
    meta = json.loads((data.folder / "meta.json").read_text())
    assert meta["description"] == json.loads(json.dumps(WORLD.describe()))
    assert data.describe() == WORLD.describe()
    assert len(data.fingerprint()) == 64


def test_indices_outside_are_refused(tmp_path):
    data = load(WORLD, cache=tmp_path)
    for wrong in (8, -9):
        with pytest.raises(IndexError, match="8 frames"):
            data[wrong]
        with pytest.raises(IndexError, match="8 frames"):
            data.batch([0, wrong])
    with pytest.raises(IndexError, match="no frame"):
        data.index(4, 0)
    with pytest.raises(ValueError, match="cache=False"):
        _ = load(WORLD, cache=False).arrays
