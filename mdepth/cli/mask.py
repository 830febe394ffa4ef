"""``mdepth mask``: which pixels a depth network needs, of photographs, folders and videos."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from mdepth.cli.errors import Stop
from mdepth.cli.output import Json, emit, progress, say

__all__ = ["mask"]

DEFAULT = "hu-resnet18-rooms"
"""The network that is looked into when none is named; it and its mask predictor come with the package."""
FOLDERS = {"mask": ".png", "masked": ".png", "depth": ".png", "npz": ".npz"}
"""What is written: one folder each."""


def mask(
    inputs: Annotated[
        list[Path],
        typer.Argument(metavar="INPUT", help="Images, folders of images, videos.", show_default=False),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")],
    model: Annotated[str | None, typer.Option(help="The network to look into, of `mdepth models`.")] = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="Its weights, ours or released ones, unless they come with the package."),
    ] = None,
    predictor: Annotated[
        Path | None, typer.Option(help="Weights of its mask predictor, ours or released ones.")
    ] = None,
    search: Annotated[
        int, typer.Option(help="Search each mask pixel by pixel in so many steps, without a predictor.")
    ] = 0,
    sparsity: Annotated[float, typer.Option(help="Lambda of such a search: what a whole mask costs.")] = 5.0,
    every: Annotated[int, typer.Option(help="Of a video, take every n-th frame.")] = 1,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Overwrite results that are there.")] = False,
    json: Json = False,
) -> None:
    """Show which pixels a depth network needs: the mask, the masked image, the depth from it, and numbers.

    Without --model a small network is used that learnt in synthetic rooms. It and the small networks of the
    other papers come with a mask predictor each; for another network give the one that `mdepth train
    hu/mask-...` left, or --search. Released weights of Hu et al. 2019 are recognised by their names.

    If depth from the mask differs no more with white under it than with the picture, the network reads the
    outline of the mask and not the pixels that it keeps.

    Example: mdepth mask photo.jpg --output out
    """
    if search < 0 or sparsity < 0:
        raise ValueError(f"--search and --sparsity must not be negative, got {search} and {sparsity:g}")
    if search and predictor:
        raise ValueError("--search makes a mask without a predictor; leave one of the two out")
    from mdepth.cli.inputs import gather

    frames = gather(inputs, every)
    if not force:
        _refuse_overwriting(output, frames)
    job = _job(model, weights, predictor, search, sparsity, device, output)
    say(f"network: {job.about}")
    done, failed = [], {}
    for frame in progress(frames, len(frames), "masking"):
        told = _one(frame, job, alone=len(frames) == 1)
        if isinstance(told, str):
            failed[str(frame.source)] = told
        else:
            done.append(told)
    if json:
        emit({"network": job.about, "masks": job.origin, "results": done, "failed": failed})
    else:
        for told in done:
            typer.echo(
                f"{told['name']}: keeps {told['share']:.1%}, above 0.025 {told['sparseness']:.1%} of the "
                f"pixels; depth differs by {told['rmse']:.3f} {job.unit} (rms) from that of the whole image, "
                f"with white under the mask by {told['white']:.3f}"
            )
        typer.echo(f"written to {output}: {', '.join(FOLDERS)}")
    if failed:
        raise Stop(f"{len(failed)} of {len(frames)} pictures could not be read: {', '.join(failed)}")


@dataclass(frozen=True)
class _Job:
    """What is the same for all pictures of a call."""

    network: Any
    """Frozen."""
    predictor: Any
    """None where masks are searched."""
    about: str
    origin: str
    """Where the masks come from, in words."""
    search: int
    sparsity: float
    output: Path

    @property
    def unit(self) -> str:
        """Of depth."""
        return "m" if self.network.metric else "(relative)"


def _job(
    model: str | None, weights: Path | None, predictor: Path | None, search: int, sparsity: float,
    device: str, output: Path,
) -> _Job:  # fmt: skip
    """Network and predictor, with their weights, on a device."""
    from mdepth.cli.networks import device_of, load
    from mdepth.masks import frozen

    place = device_of(device)
    if weights is not None and _released(weights):
        network, about = _of_kind(weights, depth=True), f"released weights {weights.name}"
        if model is not None and type(network).__name__ != "Hu":
            raise ValueError(f"{weights}: holds {type(network).__name__}; leave --model out")
    else:
        loaded = load(model or DEFAULT, weights, device)
        network, about = loaded.network, str(loaded)
    if search:
        return _Job(
            frozen(network).to(place), None, about, f"{search} steps of search", search, sparsity, output
        )
    found, origin = _predictor(predictor, model, weights)
    return _Job(frozen(network).to(place), found.to(place).eval(), about, origin, 0, sparsity, output)


def _released(path: Path) -> bool:
    """Whether a file holds weights under the names of the released code."""
    from mdepth.weights import read

    return any(key.removeprefix("module.").startswith(("E.", "MFF.")) for key in read(path.expanduser()))


def _of_kind(path: Path, *, depth: bool) -> Any:
    """The depth network, or the mask predictor, of a released file."""
    from mdepth.models import DepthNetwork
    from mdepth.recipes.hu_weights import from_released
    from mdepth.shapes import DataError

    network = from_released(path.expanduser())
    if isinstance(network, DepthNetwork) != depth:
        kinds = ("a mask predictor", "a depth network")
        raise DataError(f"{path}: holds {kinds[not depth]}, expected {kinds[depth]}")
    return network


def _predictor(path: Path | None, model: str | None, weights: Path | None) -> tuple[Any, str]:
    """The mask predictor of a file, or the one that comes with the package."""
    from mdepth import weights as files
    from mdepth.models.hu_masks import MASK_PREDICTORS, mask_predictor
    from mdepth.shapes import DataError

    if path is None:
        name = model or DEFAULT
        try:
            path = files.pretrained(f"hu-mask-small-{name.removeprefix('hu-')}")
        except ValueError:
            path = None
        if path is None or weights is not None:
            raise ValueError(
                f"no mask predictor for {'these weights' if weights else name} comes with the package: give "
                "--predictor FILE (`mdepth train hu/mask-...` leaves one), or --search STEPS"
            )
    elif _released(path):
        return _of_kind(path, depth=False), f"released predictor {path.name}"
    for name in MASK_PREDICTORS:
        predictor = mask_predictor(name)
        try:
            files.load(predictor, path)
        except DataError as error:
            problem = error
        else:
            return predictor, f"{name}, weights {path.name}"
    raise DataError(f"{path}: fits none of the mask predictors {', '.join(MASK_PREDICTORS)} ({problem})")


def _paths(output: Path, name: str) -> dict[str, Path]:
    """Where the files of a picture go."""
    return {kind: output / kind / f"{name}{suffix}" for kind, suffix in FOLDERS.items()}


def _refuse_overwriting(output: Path, frames: list[Any]) -> None:
    """Stop before any work if a result is there already."""
    if output.exists() and not output.is_dir():
        raise ValueError(f"{output}: is a file; --output names a folder")
    for path in (path for frame in frames for path in _paths(output, frame.name).values()):
        if path.exists():
            raise ValueError(f"{path}: exists already; name another --output or add --force")


def _one(frame: Any, job: _Job, *, alone: bool) -> dict[str, Any] | str:
    """Read, mask and write one picture; what to tell about it, or in words why it could not be read."""
    import warnings

    import torch

    from mdepth.masks import answer, find_mask, moved_by, place, predict_mask, remove, sparseness
    from mdepth.shapes import DataError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = frame.read().image[None]
        seen = job.network.view(image)
    except (DataError, ValueError) as error:
        if alone:
            raise DataError(f"{frame.source}: {error}") from None
        say(f"left out: {error}")
        return str(error)
    if job.predictor is None:
        mask, _ = find_mask(job.network, seen, sparsity=job.sparsity, steps=job.search)
    else:
        mask = predict_mask(job.predictor, seen)
    with torch.no_grad():
        masked = remove(seen, mask, "mean", job.network.mean)
        whole, left = (answer(job.network, each) for each in (seen, masked))
        large = place(job.network, mask, image.shape[-2], image.shape[-1]).cpu()
    picture = remove(image, large / large.max().clamp(min=1e-6), "mean", job.network.mean)
    maps = {"large": large, "picture": picture, "mask": mask, "whole": whole, "left": left}
    files = _write({name: values[0].cpu() for name, values in maps.items()}, _paths(job.output, frame.name))
    return {
        "input": str(frame.source),
        "name": frame.name,
        "share": mask.mean().item(),
        "sparseness": sparseness(mask).item(),
        "largest": mask.max().item(),
        "rmse": (left - whole).square().mean().sqrt().item(),
        "white": moved_by(job.network, seen, mask, content=torch.ones_like(seen)).item(),
        "files": {kind: str(path) for kind, path in files.items()},
    }


def _write(maps: dict[str, Any], files: dict[str, Path]) -> dict[str, Path]:
    """Mask and masked picture at the size of the image, the brightest of the mask as 1; depth from the masked
    image, in the colours of that from the whole one, and all numbers at the network's own sizes.
    """
    import numpy as np
    from PIL import Image

    from mdepth.plots import colour_depth
    from mdepth.plots.style import colour_map

    for path in files.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    shown = maps["large"][0].numpy()
    coloured = colour_map("mask")(shown / max(float(shown.max()), 1e-6))[..., :3]
    Image.fromarray((255 * coloured).round().astype(np.uint8)).save(files["mask"])
    pixels = maps["picture"].clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(files["masked"])
    whole, left = (maps[name][0].numpy() for name in ("whole", "left"))
    ends = float(whole.min()), float(whole.max())
    Image.fromarray(colour_depth(left.clip(*ends), *ends)).save(files["depth"])
    np.savez_compressed(files["npz"], mask=maps["mask"][0].numpy(), whole=whole, masked=left)
    return files
