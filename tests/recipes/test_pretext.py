"""Naming things: a network that could not do it can afterwards, and only its eyes are kept."""

from pathlib import Path

import pytest
import torch
from torch import nn

from mdepth.datasets.worlds.things import NAMES, Things, load_things
from mdepth.recipes.pretext import Naming, decisions, naming_accuracy, pretrain


@pytest.fixture
def eyes() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 16, 5, 2), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(16, 32, 3), nn.ReLU()
    )


def test_names_are_learnt_and_resumed(
    eyes: nn.Sequential, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MDEPTH_CACHE", str(tmp_path / "cache"))
    before = eyes[0].weight.detach().clone()
    how = {"steps": 120, "seed": 0, "folder": tmp_path, "pictures": 96, "batch": 16, "progress": False}
    scores = pretrain(eyes, (24, 32), lambda image: image - 0.5, **how)  # type: ignore[arg-type]
    assert not torch.equal(before, eyes[0].weight)
    assert scores["accuracy"] > scores["chance"]
    assert scores["chance"] < 0.2
    assert pretrain(eyes, (24, 32), lambda image: image - 0.5, **how) == scores  # type: ignore[arg-type]


def test_accuracy_is_the_share_named_rightly(eyes: nn.Sequential, tmp_path: Path) -> None:
    dataset = load_things(Things("test", 20, 24, 32), cache=tmp_path)
    _, label = dataset.batch(range(20))
    network = Naming(eyes, torch.zeros(1, 3, 24, 32))
    nn.init.zeros_(network.names.weight)
    network.names.bias.data = nn.functional.one_hot(label[0], len(NAMES)).float()  # says one name always
    found = naming_accuracy(network, dataset, lambda image: image)
    assert found["accuracy"] == pytest.approx((label == label[0]).float().mean().item())


def test_decisions_are_counted_by_shape_and_by_surface(tmp_path: Path) -> None:
    """Two networks that know the answers: one of the shapes, one of the surfaces."""
    dataset = load_things(Things("test", 20, 24, 32, looks="another"), cache=tmp_path)
    image, label = dataset.batch(range(20))
    worn = dataset.worn(range(20))

    class Knows(nn.Module):
        def __init__(self, names: torch.Tensor) -> None:
            super().__init__()
            self.says = nn.functional.one_hot(names, len(NAMES)).float()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.says[torch.cdist(x.flatten(1), image.flatten(1)).argmin(1)]

    for names, expected in ((label, (1.0, 0.0)), (worn, (0.0, 1.0))):
        found = decisions(Knows(names), dataset, lambda picture: picture)
        assert (found["by_shape"], found["by_surface"]) == expected
    with pytest.raises(ValueError, match="another"):
        decisions(
            Knows(label), load_things(Things("test", 20, 24, 32), cache=tmp_path), lambda picture: picture
        )
