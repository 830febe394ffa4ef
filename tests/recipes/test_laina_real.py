"""The recipe of Laina et al. on the sample files and on exported photographs, laid out as the whole data sets
are: from the files through batches, loss and steps to scores.
"""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from real_layouts import lay_out_nyu

from mdepth.datasets import export
from mdepth.datasets.make3d import SPLITS
from mdepth.datasets.worlds import World, load
from mdepth.models import build
from mdepth.recipes import laina
from mdepth.recipes.laina import Batches
from mdepth.recipes.parts import map_size
from mdepth.shapes import DataError
from mdepth.train import step_generator


def lay_out_make3d(root: Path) -> None:
    """Two photographs to train on and two to test on, in the folders of the official split."""
    for split, folders in SPLITS.items():
        world = load(World("roads", split, scenes=4, height=568, width=426, antialias=1))
        far = torch.utils.data.Subset(world, [2, 3])  # scenes in which something is farther than 70 m
        files = export.make3d(far, root / f"as-exported-{split}")  # type: ignore[arg-type]
        for folder, pattern in zip(folders, ("img-*", "depth_sph_corr-*"), strict=True):
            (root / "make3d" / folder).mkdir(parents=True)
            for path in files.glob(pattern):
                path.rename(root / "make3d" / folder / path.name)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for MDEPTH_DATA with Make3D's layout."""
    root = tmp_path_factory.mktemp("data")
    lay_out_make3d(root)
    return root


def test_make3d_is_prepared_as_the_authors_say(photographs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MDEPTH_DATA", str(photographs))
    settings = replace(laina.settings("upproj-make3d", "full"), batch=2)
    train, test = laina.datasets(settings, (0, 0))
    assert (len(train), len(test)) == (2, 2)
    assert train[0]["image"].shape == (3, 230, 173)
    assert test[0]["image"].shape == (3, 460, 345)
    assert all(train[i]["depth"].max() <= 70 for i in range(2))
    assert max(test[i]["depth"].max() for i in range(2)) > 70
    with torch.device("meta"):
        network = build(settings.network)
    batch = Batches(train, network, settings, map_size(settings.network))(0, step_generator(0, 0))
    assert batch["image"].shape == (2, 3, 230, 173)
    assert batch["depth"].shape == (2, 1, 128, 96)
    assert 0.2 < batch["valid"].float().mean() < 1
    assert batch["depth"][batch["valid"]].max() < 70


def test_a_run_on_make3d(photographs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MDEPTH_DATA", str(photographs))
    settings = replace(
        laina.settings("upproj-make3d", "full"), steps=1, batch=2, accelerator="cpu", prefetch=0
    )
    outcome = laina.run(settings, 0, folder=None, progress=False)
    assert (outcome.samples, outcome.sample_ids, outcome.extra["level"]) == ({}, [], "d")
    assert outcome.data["hash"] == laina.fingerprint(settings)
    assert str(photographs) not in str(outcome.data)
    near, all_of_it = (outcome.metrics[name] for name in ("make3d", "make3d-c2"))
    _, test = laina.real_sets(settings)
    depths = torch.stack([test[i]["depth"] for i in range(len(test))])
    assert near["n_pixels"] == int(((depths > 0) & (depths < 70)).sum())
    assert all_of_it["n_pixels"] == int((depths > 0).sum())
    assert all(np.isfinite(near["pooled"][name]) for name in laina.PRINTED)


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MDEPTH_DATA", str(tmp_path))
    for variant, key in (("upproj-nyu", "nyu/labelled"), ("upproj-make3d", "make3d/official")):
        with pytest.raises(DataError, match=re.escape(f"holds no {key}")):
            laina.real_sets(laina.settings(variant, "full"))
    with pytest.raises(DataError, match="holds no RedKitchen of 7-Scenes"):
        laina.real_sets(laina.settings("upproj-redkitchen", "laptop"))


@pytest.fixture
def frames(real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for MDEPTH_DATA with NYU's layout."""
    lay_out_nyu(tmp_path, real_data)
    monkeypatch.setenv("MDEPTH_DATA", str(tmp_path))
    return tmp_path


@pytest.mark.realdata
def test_nyu_is_prepared_as_the_authors_say(frames: Path, real_data: Path) -> None:
    """The whole image onto the whole map, raw depth under the map's centres, holes left out."""
    settings = replace(
        laina.settings("upproj-nyu", "full"),
        batch=2, zoom=(1.0, 1.0), roll=0.0, flip=0.0, gain=(1.0, 1.0),
    )  # fmt: skip
    train, test = laina.datasets(settings, (0, 0))
    assert (len(train), train.indices, len(test)) == (3, [0, 1, 2], 1)
    with torch.device("meta"):
        network = build(settings.network)
    batch = Batches(train, network, settings, map_size(settings.network))(0, step_generator(0, 0))
    chosen = torch.randint(3, (2,), generator=step_generator(0, 0)).tolist()
    assert batch["image"].shape == (2, 3, 228, 304)
    for number, depth, valid in zip(chosen, batch["depth"], batch["valid"], strict=True):
        stem = train[number]["id"].split("rgb_")[1]
        codes = np.array(Image.open(real_data / f"nyu/sync_basement_0001a/sync_depth_{stem}.png"))
        rows, columns = (
            np.floor((np.floor((np.arange(n) + 0.5) * m / n) + 0.5) * full / m).astype(int)
            for n, m, full in ((128, 228, 480), (160, 304, 640))
        )
        expected = codes[np.ix_(rows, columns)] / 1000
        assert np.array_equal(valid[0].numpy(), expected > 0)
        np.testing.assert_allclose(depth[0][valid[0]], expected[expected > 0], rtol=1e-5)


@pytest.mark.realdata
@pytest.mark.slow
def test_a_run_on_nyu_at_the_papers_size(frames: Path) -> None:
    settings = replace(laina.settings("upproj-nyu", "full"), steps=2, batch=2, accelerator="cpu", prefetch=0)
    outcome = laina.run(settings, 0, folder=None, progress=False)
    assert np.isfinite(outcome.history.loss).all()
    assert (outcome.samples, outcome.extra["level"]) == ({}, "d")
    assert sum(p.numel() for p in outcome.network.parameters()) == 63_572_737  # the fast form
    scored = outcome.metrics["laina-nyu"]
    assert (scored["n_images"], scored["n_pixels"]) == (1, 480 * 640)  # the whole frame, filled depth
    assert str(frames) not in str(outcome.data)
