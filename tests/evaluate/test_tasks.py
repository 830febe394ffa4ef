"""Metrics of normals and labels by hand, their loop, and the answers that never look at the image."""

import math

import pytest
import torch

from mdepth.evaluate import tasks


def turned(*degrees: float) -> torch.Tensor:
    """Vectors that lie so many degrees beside (0, 0, -1), in a row of pixels."""
    angle = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    return torch.stack([angle.sin(), torch.zeros_like(angle), -angle.cos()])[None, :, None]


def test_angles_by_hand() -> None:
    wanted = [0.0, 0.001, 10.0, 90.0, 179.9, 180.0]
    ahead = turned(*[0.0] * 6)
    assert tasks.angles(turned(*wanted), ahead).flatten().tolist() == pytest.approx(wanted, abs=1e-9)
    assert tasks.angles(3 * turned(20.0).float(), 0.1 * turned(50.0).float()).item() == pytest.approx(
        30, abs=1e-4
    )
    assert tasks.angles(turned(0.001).float(), turned(0.0).float()).item() == pytest.approx(0.001, rel=1e-3)


def test_statistics_of_angles_by_hand() -> None:
    found = {
        name: statistic.of(torch.tensor([0.0, 11.25, 12.0, 29.9, 60.0]))
        for name, statistic in tasks.ANGLES.items()
    }
    assert found == pytest.approx(
        {"angle_mean": 22.63, "angle_median": 12.0, "angle_11": 20.0, "angle_22": 60.0, "angle_30": 80.0}
    )
    assert all(math.isnan(statistic.of(torch.empty(0))) for statistic in tasks.ANGLES.values())


TABLE = torch.tensor([[6.0, 2.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])


def test_statistics_of_labels_by_hand() -> None:
    """Class 2 and 3 are nowhere: they count neither for nor against."""
    found = {name: statistic.of(TABLE.double()) for name, statistic in tasks.LABELS.items()}
    assert found == pytest.approx(
        {
            "pixel_accuracy": 70.0,
            "class_accuracy": 100 * (6 / 8 + 1 / 2) / 2,
            "jaccard": 100 * (6 / 9 + 1 / 4) / 2,
            "weighted_jaccard": 100 * (8 * 6 / 9 + 2 * 1 / 4) / 10,
        }
    )
    invented = TABLE.clone().double()
    invented[0, 3] = 2.0  # a class that is not there is predicted: its intersection over union is 0
    assert tasks.LABELS["jaccard"].of(invented) == pytest.approx(100 * (6 / 11 + 1 / 4 + 0) / 3)
    assert tasks.LABELS["class_accuracy"].of(invented) == pytest.approx(100 * (6 / 10 + 1 / 2) / 2)
    assert all(math.isnan(statistic.of(torch.zeros(3, 3))) for statistic in tasks.LABELS.values())


def test_confusions_are_counted_where_valid() -> None:
    truth, said = torch.tensor([[0, 0, 1, 9]]), torch.tensor([[0, 1, 1, -3]])
    valid = truth < 9
    assert tasks.confusion(said, truth, valid, 2).tolist() == [[1, 1], [0, 1]]
    with pytest.raises(ValueError, match="of the prediction must be 0 to 1, got -3 to 1"):
        tasks.confusion(said, torch.zeros_like(truth), valid | True, 2)
    with pytest.raises(ValueError, match="of the target must be 0 to 1, got 0 to 9"):
        tasks.confusion(torch.zeros_like(said), truth, valid | True, 2)


def samples() -> list[dict]:
    """Two images of two pixels; of the second only one is valid."""
    return [
        {
            "image": torch.full((3, 1, 2), 0.1 * number),
            "normals": turned(0.0, 0.0)[0].float(),
            "labels": torch.tensor([[[0, 1]]]),
            "valid": torch.tensor([[[True, number == 0]]]),
            "id": f"image {number}",
        }
        for number in range(2)
    ]


def test_normals_are_averaged_over_images_and_over_pixels() -> None:
    """Angles 10 and 20 in the first image, 45 in the second; a lost pixel is not looked at."""
    answers = {0: turned(10.0, 20.0), 1: turned(45.0, math.nan)}

    def predict(image: torch.Tensor) -> torch.Tensor:
        return torch.cat([answers[round(10 * one.max().item())] for one in image]).float()

    for size in (1, 2, 8):
        found = tasks.score_normals(predict, samples(), batch_size=size)
        assert found["per_image"]["angle_mean"] == pytest.approx([15.0, 45.0])
        assert found["mean"]["angle_mean"] == pytest.approx(30.0)
        assert found["pooled"]["angle_mean"] == pytest.approx(25.0)
        assert found["pooled"]["angle_median"] == pytest.approx(20.0)
        assert found["mean"]["angle_11"] == pytest.approx(25.0)
        assert found["pooled"]["angle_11"] == pytest.approx(100 / 3)
        assert (found["ids"], found["n_images"], found["n_pixels"]) == (["image 0", "image 1"], 2, 3)


def test_labels_are_averaged_over_images_and_over_pixels() -> None:
    found = tasks.score_labels(lambda image: torch.ones(len(image), 1, 1, 2).long(), samples(), 3)
    assert found["per_image"]["pixel_accuracy"] == [50.0, 0.0]
    assert found["mean"]["pixel_accuracy"] == pytest.approx(25.0)
    assert found["pooled"]["pixel_accuracy"] == pytest.approx(100 / 3)
    assert found["pooled"]["jaccard"] == pytest.approx(100 * (0 + 1 / 3) / 2)


def test_an_image_without_a_valid_pixel_counts_for_nothing() -> None:
    blind = [*samples(), {**samples()[0], "valid": torch.zeros(1, 1, 2, dtype=torch.bool), "id": "blind"}]
    found = tasks.score_normals(lambda image: turned(30.0, 30.0).float().expand(len(image), 3, 1, 2), blind)
    assert found["per_image"]["angle_mean"] == pytest.approx([30.0, 30.0, None])
    assert found["mean"]["angle_mean"] == pytest.approx(30.0)


def test_answers_that_never_look() -> None:
    several = samples() + samples()
    several[0]["normals"] = turned(90.0, 90.0)[0].float()
    normals = tasks.mean_normals_baseline(several)
    # Of the first pixel four normals, one turned by 90 degrees; of the second two, one of them turned.
    slopes = tasks.angles(normals.map[None], turned(0.0, 0.0).float()).flatten()
    assert slopes.tolist() == pytest.approx([math.degrees(math.atan(1 / 3)), 45.0], abs=1e-4)
    assert normals.map.norm(dim=0).flatten().tolist() == pytest.approx([1.0, 1.0])
    several[1]["labels"] = several[3]["labels"] = several[2]["labels"] = torch.tensor([[[2, 0]]])
    labels = tasks.most_frequent_baseline(several, 3)
    assert labels(torch.zeros(5, 3, 1, 2)).shape == (5, 1, 1, 2)
    assert labels.map.flatten().tolist() == [2, 0]
    with pytest.raises(ValueError, match="another size than the map"):
        labels(torch.zeros(1, 3, 2, 2))
    assert tasks.most_frequent_baseline(several, 3, limit=1).map.flatten().tolist() == [0, 1]
    with pytest.raises(ValueError, match="without samples"):
        tasks.mean_normals_baseline([])
