"""``mdepth predict``: depth of photographs, folders and videos."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from mdepth.cli.errors import Stop, choose
from mdepth.cli.output import Json, emit, progress, say

__all__ = ["predict"]

ALL = "png,npz,colour,ply"
FOR_VIDEO = "png,colour"
SHOWN = 10
"""Of more pictures than this, only the first ones get a line each."""


def predict(
    inputs: Annotated[
        list[Path],
        typer.Argument(metavar="INPUT", help="Images, folders of images, videos.", show_default=False),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")],
    model: Annotated[str | None, typer.Option(help="A network of `mdepth models`.")] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Its weights, unless they come with the package.")
    ] = None,
    fov: Annotated[
        float | None,
        typer.Option(help="Degrees from the left edge of the image to the right, for the cloud."),
    ] = None,
    intrinsics: Annotated[
        str | None, typer.Option(metavar="FX,FY,CX,CY", help="The camera in pixels, for the cloud.")
    ] = None,
    write: Annotated[
        str | None, typer.Option(help=f"Which files, of {ALL} [default: all; of videos {FOR_VIDEO}].")
    ] = None,
    every: Annotated[int, typer.Option(help="Of a video, take every n-th frame.")] = 1,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Overwrite results that are there.")] = False,
    json: Json = False,
) -> None:
    """Predict depth: a 16-bit PNG, numbers (.npz), a coloured picture and a point cloud (.ply) of each.

    Without --model a small network is used that comes with the package; it was trained on synthetic rooms.

    Example: mdepth predict photo.jpg --output out
    """
    pixels = _intrinsics(intrinsics, fov)
    from mdepth.cli.inputs import gather
    from mdepth.cli.networks import load

    frames = gather(inputs, every)
    video = any(frame.of_video for frame in frames)
    kinds = _kinds(write or (FOR_VIDEO if video else ALL))
    if not force:
        _refuse_overwriting(output, frames, kinds)
    loaded = load(model, weights, device)
    say(f"network: {loaded}")
    job = _Job(loaded, output, kinds, loaded.network.depth_range if video else None, fov, pixels)
    done, failed = [], {}
    for frame, told in _each(frames, job):
        if isinstance(told, str):
            failed[f"{frame.source}, frame {frame.name}" if frame.of_video else str(frame.source)] = told
        else:
            done.append(told)
    _finish(job, done, failed, json)


@dataclass(frozen=True)
class _Job:
    """What is the same for all pictures of a call."""

    loaded: Any
    output: Path
    kinds: tuple[str, ...]
    limits: tuple[float, float] | None
    """Depth at the ends of the colours; the same for all frames of a video, so that it does not flicker."""
    fov: float | None
    intrinsics: tuple[float, ...] | None


def _intrinsics(text: str | None, fov: float | None) -> tuple[float, ...] | None:
    """FX,FY,CX,CY as numbers."""
    if fov is not None and not 0 < fov < 180:
        raise ValueError(f"--fov must lie between 0 and 180 degrees, got {fov:g}")
    if text is None:
        return None
    if fov is not None:
        raise ValueError("--fov and --intrinsics both say what the camera is; give one of them")
    try:
        numbers = tuple(float(word) for word in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != 4 or not all(0 < number < 1e6 for number in numbers):
        raise ValueError(f"--intrinsics takes four positive numbers FX,FY,CX,CY in pixels, got {text!r}")
    return numbers


def _kinds(text: str) -> tuple[str, ...]:
    """The kinds of files to write."""
    from mdepth.cli.outputs import KINDS

    return tuple(choose("kind of file", word.strip(), KINDS) for word in text.split(","))


def _refuse_overwriting(output: Path, frames: list[Any], kinds: tuple[str, ...]) -> None:
    """Stop before any work if a result is there already."""
    from mdepth.cli.outputs import paths

    if output.exists() and not output.is_dir():
        raise ValueError(f"{output}: is a file; --output names a folder")
    for frame in frames:
        for path in paths(output, frame.name, kinds).values():
            if path.exists():
                raise ValueError(f"{path}: exists already; name another --output or add --force")


def _each(frames: list[Any], job: _Job) -> Iterator[tuple[Any, dict[str, Any] | str]]:
    """Each frame with what came out: facts for the summary, or in words why it could not be read."""
    from mdepth.shapes import DataError

    for frame in progress(frames, len(frames), "predicting"):
        try:
            yield frame, _one(frame, job)
        except DataError as error:
            if len(frames) == 1:
                raise
            say(f"left out: {error}")
            yield frame, str(error)


def _one(frame: Any, job: _Job) -> dict[str, Any]:
    """Read, predict and write one picture; what to tell about it."""
    from mdepth.cli.inputs import camera
    from mdepth.cli.outputs import Result, png_unit, write
    from mdepth.shapes import DataError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd tags and many pixels; what matters is raised
        picture = frame.read()
    network = job.loaded.network
    try:
        depth = network.predict(picture.image[None])[0, 0]
    except ValueError as error:
        raise DataError(f"{frame.source}: {error}") from None
    K, origin = camera(picture, job.loaded.name, job.fov, job.intrinsics)
    unit = png_unit(network.depth_range[1], network.metric)
    files = write(Result(frame.name, picture.image, depth, K, unit), job.output, job.kinds, job.limits)
    return {
        "input": str(frame.source),
        "name": frame.name,
        "size": tuple(depth.shape),
        "depth": {"min": depth.min().item(), "median": depth.median().item(), "max": depth.max().item()},
        "K": K.tolist(),
        "camera": origin,
        "png_unit": unit,
        "files": {kind: str(path) for kind, path in files.items()},
    }


def _finish(job: _Job, done: list[dict[str, Any]], failed: dict[str, str], json: bool) -> None:
    """Say what was made; end with status 1 if a picture was left out."""
    loaded = job.loaded
    if json:
        about = {"network": loaded.name, "weights": str(loaded.weights), "trained": loaded.trained}
        worth = {"evidence": loaded.evidence, "metric": loaded.network.metric}
        emit({**about, **worth, "results": done, "failed": failed})
    elif done:
        _tell(job, done)
    if failed:
        names = ", ".join(list(failed)[:5]) + (", ..." if len(failed) > 5 else "")
        raise Stop(f"{len(failed)} of {len(done) + len(failed)} pictures could not be read: {names}")


def _tell(job: _Job, done: list[dict[str, Any]]) -> None:
    """A line for each picture (for the first few of many), and where the files are."""
    unit = "m" if job.loaded.network.metric else "(relative)"
    for told in done[:SHOWN]:
        near, middle, far = (told["depth"][name] for name in ("min", "median", "max"))
        typer.echo(f"{told['name']}: {near:.2f} to {far:.2f} {unit}, median {middle:.2f}")
    if done[SHOWN:]:
        typer.echo(f"... and {len(done) - SHOWN} more")
    if "ply" in job.kinds:
        typer.echo(f"point cloud: {done[0]['camera']} (other cameras: --fov or --intrinsics)")
    if "png" in job.kinds:
        typer.echo(f"depth PNG: 16 bits, unit {done[0]['png_unit']}")
    folders = sorted({Path(file).relative_to(job.output).parts[0] for file in done[0]["files"].values()})
    typer.echo(f"written to {job.output}: {', '.join(folders)}")
