import builtins
import pickle

import pytest
import torch
from PIL import Image

from mdepth.datasets import check_sample, video
from mdepth.shapes import DataError


@pytest.fixture
def pictures(tmp_path):
    for i in range(5):
        Image.new("RGB", (8, 6), (50 * i, 0, 0)).save(tmp_path / f"{i:03d}.png")
    (tmp_path / "notes.txt").write_text("not a frame")
    return tmp_path


def test_folder_of_pictures(pictures):
    dataset = video.Video(pictures, every=2, fps=10.0)
    assert len(dataset) == 3
    sample = check_sample(dataset[2], require_depth=False)
    assert sample["image"][0, 0, 0].item() == pytest.approx(200 / 255)
    assert sample["time"] == pytest.approx(0.4)
    assert sample["id"].endswith("/004")
    K = torch.tensor([[5.0, 0.0, 3.0], [0.0, 5.0, 2.0], [0.0, 0.0, 1.0]])
    assert torch.equal(video.Video(pictures, K)[0]["K"], K)


@pytest.mark.realdata
def test_real_clip_in_any_order(real_data):
    pytest.importorskip("av", reason="PyAV is not installed: video files cannot be decoded")
    dataset = video.Video(real_data / "mono/solidWhiteRight.mp4", every=20)
    assert len(dataset) == 12  # 221 frames
    forward = [check_sample(dataset[i], require_depth=False) for i in range(4)]
    assert forward[0]["image"].shape == (3, 540, 960)
    assert forward[3]["time"] == pytest.approx(60 / 25)
    assert torch.equal(dataset[1]["image"], forward[1]["image"])  # going back starts again
    assert torch.equal(pickle.loads(pickle.dumps(dataset))[2]["image"], forward[2]["image"])
    assert not torch.equal(forward[0]["image"], forward[1]["image"])


def test_written_clip_is_read_frame_by_frame(write_clip, tmp_path):
    path = write_clip(tmp_path / "grey.mp4", [40 * i for i in range(6)], 5)
    dataset = video.Video(path)
    assert len(dataset) == 6
    levels = [sample["image"].mean().item() * 255 for sample in dataset]
    assert levels == pytest.approx([40 * i for i in range(6)], abs=4)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match=r"cut.mp4"):
        list(video.Video(cut))


def test_without_pyav_the_way_out_is_named(tmp_path, monkeypatch):
    (tmp_path / "a.mp4").write_bytes(b"x")
    real_import = builtins.__import__

    def no_av(name, *args, **kwargs):
        if name == "av":
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_av)
    with pytest.raises(DataError, match=r"pip install av.*folder of pictures"):
        video.Video(tmp_path / "a.mp4")


def test_nothing_to_read(tmp_path):
    with pytest.raises(DataError, match="holds no frame"):
        video.Video(tmp_path)
    with pytest.raises(ValueError, match="every must be"):
        video.Video(tmp_path, every=0)
    with pytest.raises(ValueError, match="field of view"):
        video.camera_from_view(4, 4, 180.0)


@pytest.mark.realdata
def test_picture_is_no_video(real_data, tmp_path):
    pytest.importorskip("av", reason="PyAV is not installed: video files cannot be decoded")
    (tmp_path / "broken.mp4").write_bytes(b"\0" * 100)
    with pytest.raises(DataError, match=r"broken.mp4: cannot be decoded"):
        video.Video(tmp_path / "broken.mp4")
    with pytest.raises(DataError, match=r"none.mp4: cannot be decoded"):
        video.Video(tmp_path / "none.mp4")
