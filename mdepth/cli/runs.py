"""``mdepth runs``, ``run`` and ``train``: what is planned and recorded, and the making of records."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from mdepth.cli.errors import Stop, choose
from mdepth.cli.output import Json, emit, say, table

__all__ = ["run", "runs", "train"]

PROFILES = ("quick", "laptop", "full")
DEVICES = ("auto", "cpu", "cuda", "mps")
Profile = Annotated[str, typer.Option(help="How much computing: quick, laptop or full.")]
Seed = Annotated[int | None, typer.Option(help="One seed [default: all that the profile plans].")]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps [default: the recipe's].")]
Data = Annotated[Path | None, typer.Option(help="Folder of real data [default: $MDEPTH_DATA].")]
Name = Annotated[str, typer.Argument(metavar="SOURCE/VARIANT", help="As `mdepth runs` lists them.")]


def runs(
    profile: Annotated[str | None, typer.Option(help="Only quick, laptop or full.")] = None,
    source: Annotated[str | None, typer.Option(help="Only this source, for example eigen.")] = None,
    json: Json = False,
) -> None:
    """List the runs: what is planned, what is recorded, what is stale, and how long it took.

    A stale record is one whose recipe, settings or data have changed on purpose since; it is run again when
    asked for.
    """
    from mdepth import recipes
    from mdepth.runs import plan

    if source is not None:
        choose("source", source, recipes.available())
    chosen = PROFILES if profile is None else (choose("profile", profile, PROFILES),)
    found = [_state(item) for name in chosen for item in plan(name, source)]
    if json:
        emit(found)
        return
    header = ("run", "profile", "seed", "state", "time", "finished")
    rows = [
        (about["run"], about["profile"], about["seed"], about["state"], _time(about["seconds"]),
         about["finished"] or "-")
        for about in found
    ]  # fmt: skip
    typer.echo(table(header, rows, right=("seed", "time")))
    done = [about for about in found if about["state"] == "recorded"]
    total = sum((about["seconds"] for about in done), 0.0)
    typer.echo(f"\n{len(done)} of {len(found)} planned runs are recorded; they took {_time(total)}")
    if not os.environ.get("MDEPTH_DATA"):
        say("MDEPTH_DATA is not set, so variants on real data are not listed")


def _state(item: Any) -> dict[str, Any]:
    """A run and how far it is: recorded, stale, damaged, begun (goes on where it was) or to do."""
    from mdepth import results
    from mdepth.runs import folder, is_stale, work_folder
    from mdepth.shapes import DataError

    about = {"run": f"{item.source}/{item.variant}", "profile": item.profile, "seed": item.seed}
    nothing = {"seconds": None, "finished": None, "problem": None}
    if not folder(item).is_dir():
        return about | {"state": "begun" if work_folder(item).is_dir() else "to do"} | nothing
    try:
        record = results.read(folder(item))
    except DataError as error:
        return about | {"state": "damaged"} | nothing | {"problem": str(error)}
    state = "stale" if is_stale(record, item) else "recorded"
    made = {"seconds": record.run["seconds"], "finished": record.run["finished"], "problem": None}
    return about | {"state": state} | made | {"folder": str(folder(item))}


def _time(seconds: float | None) -> str:
    """Seconds as one reads them."""
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
    )


def run(
    name: Annotated[str, typer.Argument(metavar="SOURCE[/VARIANT]", help="As `mdepth runs` lists them.")],
    profile: Profile = "quick",
    seed: Seed = None,
    device: Device = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Train and evaluate what is planned, and keep the records; what is recorded already is not run again.

    Killed, a run goes on from its last checkpoint. SOURCE alone means all its planned variants.

    Example: mdepth run eigen/coarse-rooms --profile quick
    """
    _use_data(data)
    from mdepth.runs import folder

    planned = _planned(name, choose("profile", profile, PROFILES), seed, _device(device))
    made = []
    for number, item in enumerate(planned, start=1):
        say(f"[{number}/{len(planned)}] {item}")
        made.append(_told(item, _make(item), folder(item), json))
    if json:
        emit(made)


def train(
    name: Name,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for record and weights.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Change a setting of the recipe.")
    ] = None,
    profile: Profile = "laptop",
    seed: Annotated[int, typer.Option(help="Every random choice follows from it.")] = 0,
    device: Device = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Train a variant with settings and into a folder of your own; the book's records stay as they are.

    The folder holds the record and, beside it, weights.safetensors for `mdepth predict` and `evaluate`.

    Example: mdepth train eigen/coarse-rooms --set steps=300 --set batch=16 --output mine
    """
    _use_data(data)
    if output.exists() and not output.is_dir():
        raise ValueError(f"{output}: is a file; --output names a folder")
    os.environ["MDEPTH_RESULTS"] = str(output.expanduser().resolve())
    from mdepth.cli.changed import changed
    from mdepth.runs import folder

    source, variant = _split(name)
    item = changed(
        source, variant, choose("profile", profile, PROFILES), seed, settings or [], _device(device)
    )
    told = _told(item, _make(item), folder(item), json)
    if json:
        emit(told)


def _use_data(data: Path | None) -> None:
    """Make ``--data`` the folder of real data of this process."""
    if data is None:
        return
    if not data.expanduser().is_dir():
        raise ValueError(f"{data}: is not a folder; --data takes a folder of real data (data/README.md)")
    os.environ["MDEPTH_DATA"] = str(data.expanduser().resolve())


def _device(name: str | None) -> str | None:
    """A device that this machine has; None leaves the choice to the recipe."""
    from mdepth.cli.networks import device_of

    if name is None:
        return None
    device_of(choose("device", name, DEVICES))
    return name


def _split(name: str) -> tuple[str, str]:
    """Source and variant of a name, both known."""
    from mdepth import recipes

    source, _, variant = name.partition("/")
    variants = list(recipes.get(choose("source", source, recipes.available())).VARIANTS)
    if not variant:
        raise ValueError(
            f"{name!r}: expected SOURCE/VARIANT; {source} has the variants {', '.join(variants)}"
        )
    return source, choose(f"variant of {source}", variant, variants)


def _planned(name: str, profile: str, seed: int | None, device: str | None) -> list[Any]:
    """The runs that a name stands for, in the order of the plan."""
    from mdepth import recipes
    from mdepth.cli.changed import changed
    from mdepth.runs import plan

    if "/" in name:
        source, variant = _split(name)
        recipe = recipes.get(source)
        recipe.settings(variant, profile)  # says which variants the profile has
        seeds = recipe.seeds(variant, profile) if seed is None else (seed,)
        items = [(source, variant, number) for number in seeds]
    else:
        source = choose("source", name, recipes.available())
        items = [(r.source, r.variant, r.seed) for r in plan(profile, source) if seed in (None, r.seed)]
    if not items:
        raise ValueError(f"profile {profile} plans nothing for {name} with seed {seed}; see `mdepth runs`")
    return [changed(source, variant, profile, number, [], device) for source, variant, number in items]


def _make(item: Any) -> Any:
    """The record of a run, found or made."""
    from mdepth.runs import load_or_run
    from mdepth.train import TrainingDiverged

    try:
        return load_or_run(item)
    except TrainingDiverged as error:
        raise Stop(str(error)) from error


def _told(item: Any, record: Any, place: Path, json: bool) -> dict[str, Any]:
    """Print a record's scores beside its baselines (unless JSON follows) and return them."""
    means = {protocol: scores["mean"] for protocol, scores in record.metrics.items()}
    weights = place / "weights.safetensors"
    if not json:
        typer.echo(f"{item}: {place}")
        typer.echo(_scores(means))
    return {
        "run": f"{item.source}/{item.variant}",
        "profile": item.profile,
        "seed": item.seed,
        "folder": str(place),
        "weights": str(weights) if weights.is_file() else None,
        "seconds": record.run["seconds"],
        "metrics": means,
    }


def _scores(
    means: dict[str, dict[str, float]],
    metrics: Iterable[str] = ("abs_rel", "rmse", "delta1", "own_rmse", "share", "sparseness"),
) -> str:
    """A few metrics, one line a protocol or baseline that has one of them."""
    shown = [name for name in metrics if any(name in scores for scores in means.values())]
    rows = [
        (protocol, *("-" if scores.get(name) is None else f"{scores[name]:.3f}" for name in shown))
        for protocol, scores in means.items()
        if any(name in scores for name in shown)
    ]
    return table(("protocol", *shown), rows, right=shown)
