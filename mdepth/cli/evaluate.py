"""``mdepth evaluate``: a network, or predictions made elsewhere, under a named protocol."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from mdepth.cli.errors import choose
from mdepth.cli.output import Json, emit, say, table
from mdepth.cli.truth import SCENES, Truth, open_truth

__all__ = ["evaluate"]

LEARNT = 200
"""The baseline is learnt from at most so many images, evenly spread."""
DEFAULTS = {"nyu": "eigen-nyu", "kitti": "eigen-kitti", "make3d": "make3d"}
"""Protocol of a data set, by the first part of its key; all others are scored like the worlds."""


def evaluate(
    data: Annotated[
        str,
        typer.Option(
            metavar="rooms|roads|KEY[=PLACE]", help="A world, or a set that `mdepth data check` names."
        ),
    ],
    model: Annotated[str | None, typer.Option(help="A network of `mdepth models`.")] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Its weights, unless they come with the package.")
    ] = None,
    predictions: Annotated[
        Path | None, typer.Option(help=".npy, .npz, or a folder of .npy, .npz, .png.")
    ] = None,
    unit: Annotated[
        str | None, typer.Option(help="Of the predictions: m, mm, cm, m/256, 1/m, relative ...")
    ] = None,
    key: Annotated[str | None, typer.Option(help="The array's name in .npz files with several.")] = None,
    protocol: Annotated[
        list[str] | None, typer.Option(help="May be given again [default: the usual one of the data].")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Of a world or of NYU: train, test; of KITTI: a list file.")
    ] = None,
    scenes: Annotated[int | None, typer.Option(help=f"Scenes of a world [default: {SCENES}].")] = None,
    limit: Annotated[int | None, typer.Option(help="Only so many images, evenly spread.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    batch_size: Annotated[int, typer.Option(help="Images at once.")] = 8,
    json: Json = False,
) -> None:
    """Score a network, or predictions made elsewhere, beside the mean-depth baseline.

    Real sets are looked for in $MDEPTH_DATA; KEY=PLACE names a folder of your own, for example
    rgbd/folder=scans/kitchen.

    Example: mdepth evaluate --model eigen-coarse-rooms --data rooms

    Example: mdepth evaluate --predictions out/depth --unit mm --data kitti/raw --protocol eigen-kitti
    """
    if (predictions is None) == (model is None and weights is None):
        raise ValueError("say what to evaluate: either --model (with --weights) or --predictions, not both")
    if (limit is not None and limit < 1) or batch_size < 1:
        raise ValueError("--limit and --batch-size must be at least 1")
    if limit is not None and predictions is not None:
        raise ValueError("--limit is for networks; predictions are one for each image of the data")
    from mdepth.evaluate import PROTOCOLS

    usual = DEFAULTS.get(data.partition("/")[0], "worlds")
    names = [choose("protocol", name, PROTOCOLS) for name in protocol or [usual]]
    who = (
        _network(model, weights, device)
        if predictions is None
        else _predictions(predictions, unit, key, names)
    )
    truth = open_truth(data, split, scenes, limit)
    _report(truth, who, _scores(truth, who, names, batch_size, device), json)


@dataclass(frozen=True)
class _Answer:
    """Who predicts: a network, or maps in files."""

    name: str
    about: str
    loaded: Any = None
    maps: Any = None


def _network(model: str | None, weights: Path | None, device: str) -> _Answer:
    """A network as the one who predicts."""
    from mdepth.cli.networks import load

    loaded = load(model, weights, device)
    about = f"{loaded.name}, weights {loaded.weights.name} ({loaded.trained})"
    return _Answer(loaded.name, about, loaded=loaded)


def _predictions(path: Path, unit: str | None, key: str | None, protocols: list[str]) -> _Answer:
    """Files as the one who predicts."""
    from mdepth.datasets.predictions import UNITS, read_predictions
    from mdepth.evaluate import PROTOCOLS

    if unit is None:
        raise ValueError(f"--predictions needs --unit, which is never guessed; one of {', '.join(UNITS)}")
    plain = [name for name in protocols if PROTOCOLS[name].alignment == "none"]
    if not UNITS[choose("unit", unit, UNITS)].metric and plain:
        raise ValueError(
            f"unit {unit!r} is no length, and protocol {plain[0]!r} aligns nothing; choose one that does"
        )
    if not path.expanduser().exists():
        raise ValueError(
            f"{path}: no such file or folder; expected .npy, .npz, or a folder of .npy, .npz, .png"
        )
    return _Answer(
        str(path), f"predictions in {path}, unit {unit}", maps=read_predictions(path, unit, key=key)
    )


def _scores(
    truth: Truth, answer: _Answer, protocols: list[str], batch_size: int, device: str
) -> dict[str, dict[str, Any]]:
    """Protocol -> who (the answer, the baseline) -> scores."""
    from mdepth.cli.networks import device_of
    from mdepth.evaluate import evaluate as score
    from mdepth.evaluate import mean_depth_baseline, score_predictions

    options: dict[str, Any] = {"batch_size": batch_size, "device": device_of(device), "limit": truth.limit}
    baseline = score(
        mean_depth_baseline(truth.learnt_from, limit=LEARNT), truth.dataset, protocols, **options
    )
    if answer.loaded is not None:
        own = score(answer.loaded.network.predict, truth.dataset, protocols, **options)
    else:
        maps = answer.maps.match([truth.dataset[i]["id"] for i in range(len(truth.dataset))])
        own = {name: score_predictions(maps, truth.dataset, name) for name in protocols}
    return {name: {answer.name: own[name], "mean-depth": baseline[name]} for name in protocols}


def _report(truth: Truth, answer: _Answer, found: dict[str, dict[str, Any]], json: bool) -> None:
    """Print the scores, with what they were measured on and what the baseline is."""
    say(f"{answer.about}\nbaseline: {truth.baseline}\nlevel of evidence {truth.level}")
    if json:
        protocols = {
            protocol: {who: {"averaging": one.averaging, **one.to_dict()} for who, one in both.items()}
            for protocol, both in found.items()
        }
        about = {"what": answer.name, "about": answer.about, "baseline": truth.baseline, "level": truth.level}
        emit({**about, "data": truth.dataset.describe(), "protocols": protocols})
        return
    for protocol, both in found.items():
        _show(protocol, both)


def _show(protocol: str, both: dict[str, Any]) -> None:
    """The scores of one protocol, a line a metric, by the average that the protocol's source reports."""
    from mdepth.metrics import METRICS

    first = next(iter(both.values()))
    over = "pooled over all pixels" if first.averaging == "pooled" else "mean over images"
    rows = [
        (
            name,
            *(f"{scores.reported[name]:.4f}" for scores in both.values()),
            f"{METRICS[name].better} is better",
        )
        for name in first.reported
    ]
    typer.echo(f"{protocol}: {first.n_images} images, {first.n_pixels:,} pixels, {over}")
    typer.echo(table(("metric", *both, ""), rows, right=tuple(both)))
