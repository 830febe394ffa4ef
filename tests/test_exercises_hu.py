"""The exercises of Hu et al.'s chapter: answers worked out by hand, and hints beyond the usual mistakes."""

import math

import numpy as np
import pytest
import torch

from mdepth import exercises
from mdepth.exercises import check
from mdepth.image import sobel
from mdepth.losses import hu_loss
from mdepth.metrics import edge_scores
from mdepth.models.encoders import IMAGENET


def objective(difference, mask, lam):
    kept = [value for value in mask.flatten().tolist()]
    return float(difference) + lam * sum(kept) / len(kept)


def sparseness(mask, threshold):
    pixels = mask.flatten().tolist()
    return sum(value > threshold for value in pixels) / len(pixels)


def responses(depth):
    rows = depth.tolist()
    x = [[sum(w * (rows[i + k][j] - rows[i + k][j + 2]) for k, w in enumerate((1, 2, 1)))
          for j in range(len(rows[0]) - 2)] for i in range(len(rows) - 2)]  # fmt: skip
    y = [[sum(w * (rows[i][j + k] - rows[i + 2][j + k]) for k, w in enumerate((1, 2, 1)))
          for j in range(len(rows[0]) - 2)] for i in range(len(rows) - 2)]  # fmt: skip
    return torch.tensor(x), torch.tensor(y)


def edges(found, true):
    both = sum(f and t for f, t in zip(found.flatten().tolist(), true.flatten().tolist(), strict=True))
    precision, recall = both / int(found.sum()), both / int(true.sum())
    return precision, recall, 2 / (1 / precision + 1 / recall)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("hu.objective", objective),
        ("hu.objective", lambda d, m, lam: d + lam * m.abs().sum() / m.numel()),  # the 1-norm over n
        ("hu.sparseness", sparseness),
        ("hu.sobel", responses),
        ("hu.sobel", lambda depth: [part.numpy() for part in responses(depth)]),
        ("hu.sobel", lambda depth: [part[0, 0, 1:-1, 1:-1] for part in sobel(depth[None, None])]),
        ("hu.edges", edges),
        ("hu.edges", lambda f, t: edges(np.asarray(f), np.asarray(t))),
        ("hu.ring", (1060, 12, math.hypot(9, 9), 0.25)),
        ("hu.ring", (228 * 304 - 226 * 302, 12.0, 12.728, 1 / 4)),
        ("hu.removed", (0, -2.1179, 0.485, 0, 0.6095)),
    ],
)
def test_answers_worked_out_by_hand(name: str, answer) -> None:
    verdict = check(name, answer)
    assert verdict.right, verdict


def test_the_ring_may_be_measured() -> None:
    wall = torch.full((1, 1, 228, 304), 3.0, dtype=torch.float64)
    size = torch.hypot(*sobel(wall))[0, 0]
    assert check("hu.ring", (int((size > 0).sum()), size[0, 9].item(), size[0, 0].item(), 0.25)).right


def test_the_removed_may_be_measured() -> None:
    mean, std = (torch.tensor(values, dtype=torch.float64)[0] for values in IMAGENET)
    seen = 0.3 * (0.9 - mean) / std
    assert check("hu.removed", (0, -mean / std, mean, 0, seen * std + mean)).right


def test_the_edges_are_those_of_the_library() -> None:
    generator = torch.Generator().manual_seed(1)
    prediction, target = 1 + torch.rand(2, 1, 1, 9, 12, generator=generator)
    found, true = (torch.hypot(*sobel(depth, padding="valid"))[0, 0] > 2 for depth in (prediction, target))
    scores = [score.item() for score in edge_scores(prediction, target, target > 0, 2.0)]
    right = exercises.everything()["hu.edges"].right
    assert [float(score) for score in right(found, true)] == pytest.approx(scores)


def test_the_objective_is_the_released_one() -> None:
    target = torch.ones(1, 1, 6, 8, dtype=torch.float64)
    difference = hu_loss(target, target, target > 0)
    right = exercises.everything()["hu.objective"].right
    assert right(difference, 0.1 * target, 5.0).item() == pytest.approx(-1.5794415)


def zero_padded(depth):
    return tuple(part[0, 0] for part in sobel(depth[None, None]))


@pytest.mark.parametrize(
    ("name", "answer", "hint"),
    [
        ("hu.sobel", zero_padded, "(5, 6) is the whole map, ring included"),
        ("hu.sobel", lambda depth: (depth[1:], depth[:, 1:]), "two maps of (3, 4) are asked for, got (4, 6)"),
        ("hu.sobel", lambda depth: zero_padded(depth)[0], "(Sx, Sy)"),
        ("hu.sobel", lambda depth: None, "returns nothing"),
        ("hu.edges", lambda found, true: None, "returns nothing"),
        ("hu.edges", lambda found, true: edges(found, true)[2], "not by one of the usual mistakes"),
        ("hu.edges", lambda found, true: 0 / 0, "true + true is true"),
        ("hu.objective", lambda difference, mask, lam: None, "returns nothing"),
        ("hu.removed", (0, None, None, None, None), "replace None"),
        ("hu.ring", (1060, 12), "not by one of the usual mistakes"),
    ],
)
def test_other_answers(name: str, answer, hint: str) -> None:
    verdict = check(name, answer)
    assert not verdict.right
    assert hint in str(verdict)


def summed(found, true):
    both = int((found + true == 2).sum())
    precision, recall = both / int(found.sum()), both / int(true.sum())
    return precision, recall, 2 * precision * recall / (precision + recall)


def test_the_sum_of_booleans_is_told_with_tensors_and_with_numbers() -> None:
    def of_tensors(found, true):
        both = (found + true == 2).sum()
        precision, recall = both / found.sum(), both / true.sum()
        return precision, recall, 2 * precision * recall / (precision + recall)

    for answer in (summed, of_tensors):
        assert "true + true is true" in str(check("hu.edges", answer))
