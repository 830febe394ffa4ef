"""Level A of Hu et al. (2019) that needs no network: Sobel, the loss and its terms, errors and edges.

All on two maps of closed form, d and g, in double precision; the captions of the tables have their formulas.
Everything is by the library's defaults where these are the released code's, and with ``border=True`` for
edges.
"""

import torch
from torch import Tensor

from mdepth import image, losses, metrics
from mdepth.ledger.checks import Value, register

LOSS_SIZE, METRIC_SIZE = (114, 152), (228, 304)
LAMBDA = 5.0
"""Weight of the mean mask in the released code."""


def _maps(size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """The maps g and d, and all pixels valid: (1, 1, H, W)."""
    rows, columns = (torch.arange(side, dtype=torch.float64) for side in size)
    d = 3 + torch.sin(0.05 * columns) + 0.5 * torch.cos(0.07 * rows)[:, None]
    g = 1.1 * d + 0.2 * torch.sin(0.1 * columns + 0.03 * rows[:, None])
    return g[None, None], d[None, None], torch.ones(1, 1, *size, dtype=torch.bool)


@register("hu.sobel")
def sobel() -> dict[str, Value]:
    """The library's, at three places."""
    ramp = 0.01 * torch.arange(5, dtype=torch.float64).expand(1, 1, 5, 5)
    values: dict[str, Value] = {"ramp.x": image.sobel(ramp)[0][0, 0, 2, 2].item()}
    responses = image.sobel(_maps(LOSS_SIZE)[1])
    for row, (v, u) in {"corner": (0, 0), "middle": (57, 76)}.items():
        at = [response[0, 0, v, u].item() for response in responses]
        values |= {f"{row}.{axis}": value for axis, value in zip("xy", at, strict=True)}
    return values


@register("hu.sobel-border")
def sobel_border() -> dict[str, Value]:
    """The library's, on a constant; a line stands for several where these are equal."""
    x, y = (response[0, 0] for response in image.sobel(torch.full((1, 1, 5, 5), 3.0, dtype=torch.float64)))
    values: dict[str, Value] = {}
    for axis, lines in {"x": x, "y": y.T}.items():
        first, inner = lines[0], lines[1:4].unique(dim=0)
        if len(inner) > 1:
            raise ValueError(f"the inner lines along {axis} are not alike")
        for row, line in {f"{axis}-first": first, f"{axis}-inner": inner[0]}.items():
            values |= {f"{row}.place-{place}": value for place, value in enumerate(line.tolist())}
    return values


def _terms(prediction: Tensor, target: Tensor, valid: Tensor) -> dict[str, Value]:
    """The library's loss and its parts."""
    across, down = losses.hu_gradient_terms(prediction, target, valid)
    return {
        "l_depth": losses.hu_depth_loss(prediction, target, valid).item(),
        "gradient_x": across.item(),
        "gradient_y": down.item(),
        "l_normal": losses.hu_normal_loss(prediction, target, valid).item(),
        "l_dif": losses.hu_loss(prediction, target, valid).item(),
    }


@register("hu.loss-values")
def loss_values() -> dict[str, Value]:
    """Three predictions of d."""
    g, d, valid = _maps(LOSS_SIZE)
    cases = {"scaled": g, "equal": d, "offset": d + 0.5}
    return {
        f"{row}.{column}": value
        for row, prediction in cases.items()
        for column, value in _terms(prediction, d, valid).items()
    }


@register("hu.objective")
def objective() -> dict[str, Value]:
    """The library's difference of a map to itself, and the mask's part."""
    _, d, valid = _maps(LOSS_SIZE)
    difference = losses.hu_loss(d, d, valid).item()
    sparsity = LAMBDA * torch.full((1, 1, *METRIC_SIZE), 0.1, dtype=torch.float64).mean().item()
    parts = {"l_dif": difference, "sparsity": sparsity, "total": difference + sparsity}
    return {f"equal.{column}": value for column, value in parts.items()}


@register("hu.metrics")
def errors() -> dict[str, Value]:
    """The library's metrics; the mean square is its RMSE's."""
    names = ("rmse", "mae", "abs_rel", "log10", "delta1", "delta2", "delta3")
    found = {name: value.item() for name, value in metrics.compute(*_maps(METRIC_SIZE), names).items()}
    found["mse"] = found["rmse"] ** 2
    return {f"{name.replace('_', '-')}.value": value for name, value in found.items()}


@register("hu.edges")
def edges() -> dict[str, Value]:
    """Counted by the library's Sobel, scored by its edge scores with the ring."""
    maps, values = _maps(METRIC_SIZE), dict[str, Value]()
    sizes = [torch.hypot(*image.sobel(depth)) for depth in maps[:2]]
    for row, threshold in {"above-025": 0.25, "above-05": 0.5, "above-1": 1.0}.items():
        found, true = (size > threshold for size in sizes)
        counts = {"prediction": found, "target": true, "both": found & true}
        scores = metrics.edge_scores(*maps, threshold, border=True)
        columns = {name: int(marked.sum()) for name, marked in counts.items()}
        values |= {f"{row}.{name}": count for name, count in columns.items()}
        named = zip(("precision", "recall", "f1"), scores, strict=True)
        values |= {f"{row}.{name}": score.item() for name, score in named}
    return values
