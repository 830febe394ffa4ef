"""``mdepth mask``: what it writes and says, and what it refuses."""

from pathlib import Path

import numpy as np
import pytest
import torch
from cli_tools import check_refused, invoke, read
from PIL import Image

from mdepth import weights
from mdepth.masks import sparseness
from mdepth.models import build
from mdepth.models.hu_masks import mask_predictor


@pytest.fixture
def photo(tmp_path) -> Path:
    """A photograph, 60 x 80."""
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)).save(path)
    return path


@pytest.fixture
def predictor(tmp_path) -> Path:
    """Weights of a small mask predictor, as a run leaves them."""
    torch.manual_seed(0)
    return weights.save(mask_predictor("hu-mask-small"), tmp_path / "weights.safetensors")


def test_a_mask_and_its_numbers_agree(photo, predictor, tmp_path) -> None:
    out = tmp_path / "out"
    told = read("mask", photo, "-o", out, "--predictor", predictor)
    (result,) = told["results"]
    assert "hu-mask-small" in told["masks"]
    files = {kind: Path(path) for kind, path in result["files"].items()}
    assert {kind: path.parent.name for kind, path in files.items()} == {kind: kind for kind in files}
    assert [Image.open(files[kind]).size for kind in ("mask", "masked", "depth")] == [(80, 60)] * 2 + [
        (64, 48)
    ]
    with np.load(files["npz"]) as arrays:
        mask, whole, left = (torch.from_numpy(arrays[name]) for name in ("mask", "whole", "masked"))
    assert mask.shape == (96, 128)
    assert result["share"] == pytest.approx(mask.mean().item(), abs=1e-6)
    assert result["sparseness"] == pytest.approx(sparseness(mask[None, None]).item(), abs=1e-6)
    assert result["rmse"] == pytest.approx((left - whole).square().mean().sqrt().item(), abs=1e-5)
    assert result["white"] > 0


def test_a_search_needs_no_predictor(photo, tmp_path) -> None:
    first, second = (
        read("mask", photo, "-o", tmp_path / str(steps), "--search", steps, "--sparsity", 50)["results"][0]
        for steps in (1, 4)
    )
    assert first["share"] == pytest.approx(0.5, abs=0.05)  # it starts there
    assert second["share"] < first["share"]


def test_what_it_refuses(photo, predictor, tmp_path) -> None:
    out = tmp_path / "out"
    check_refused(invoke("mask", photo, "-o", out, "--search", 2, "--predictor", predictor), "leave one")
    check_refused(invoke("mask", photo, "-o", out, "--search", -1), "negative")
    check_refused(invoke("mask", tmp_path / "none.png", "-o", out, "--search", 1), "no such file")
    check_refused(
        invoke("mask", photo, "-o", out, "--model", "laina-resnet18-upproj-rooms"), "--predictor", "--search"
    )
    network = weights.save(build("eigen-coarse-rooms"), tmp_path / "network.safetensors")
    check_refused(invoke("mask", photo, "-o", out, "--predictor", network), "fits none")
    read("mask", photo, "-o", out, "--search", 1)
    check_refused(invoke("mask", photo, "-o", out, "--search", 1), "exists already", "--force")
    read("mask", photo, "-o", out, "--search", 1, "--force")
