"""Weights as files: save, load with a report of what did not fit, rename official keys, download with a
checksum.

Weights are safetensors: numbers and names, nothing that can run. PyTorch files (``.pth``) of official
releases are read with ``weights_only=True``; a file that holds pickled code is refused, not loaded.
"""

import json
import os
import pickle
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from mdepth.shapes import DataError, Tensor

__all__ = ["Report", "download", "load", "metadata", "pretrained", "read", "rename", "save"]

PRETRAINED = Path(__file__).parent / "pretrained"


@dataclass(frozen=True)
class Report:
    """What happened to every key when a file met a network."""

    used: tuple[str, ...]
    missing: tuple[str, ...]
    """Keys of the network that the file lacks; they keep their values."""
    unused: tuple[str, ...]
    """Keys of the file that the network lacks."""
    wrong_shape: tuple[str, ...]
    """Keys of both whose shapes differ, with both shapes; they keep the network's values."""

    @property
    def complete(self) -> bool:
        """True where every key of the network came from the file and the file held nothing else."""
        return not (self.missing or self.unused or self.wrong_shape)

    def __str__(self) -> str:
        parts = [f"{len(self.used)} tensors used"]
        for label, keys in (
            ("missing in the file", self.missing),
            ("unused", self.unused),
            ("wrong shape", self.wrong_shape),
        ):
            if keys:
                shown = ", ".join(keys[:5]) + (f" and {len(keys) - 5} more" if len(keys) > 5 else "")
                parts.append(f"{len(keys)} {label}: {shown}")
        return "; ".join(parts)


def save(
    network: nn.Module | Mapping[str, Tensor],
    path: Path | str,
    *,
    dtype: torch.dtype | None = None,
    about: Mapping[str, str] | None = None,
) -> Path:
    """Write a network's weights as safetensors, whole or not at all.

    Args:
        network: a module or its state dictionary.
        path: the file, by custom ``*.safetensors``.
        dtype: floating-point tensors are stored in this type, for example ``torch.float16``; ``None`` keeps
            theirs.
        about: short texts kept in the file's header, for example the ``run`` that made it and the ``level``
            of evidence of what the network shows.

    Raises:
        OSError: the folder cannot be written to, or the disk is full; nothing half-written stays behind.
    """
    from safetensors.torch import save as to_bytes

    state = network.state_dict() if isinstance(network, nn.Module) else network
    tensors = {key: _stored(value, dtype) for key, value in state.items()}
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(to_bytes(tensors, dict(about or {})))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _stored(value: Tensor, dtype: torch.dtype | None) -> Tensor:
    """A tensor as the file holds it: on the CPU, in memory of its own, floating-point numbers in
    ``dtype``.
    """
    kept = dtype if dtype is not None and value.is_floating_point() else value.dtype
    return value.detach().cpu().to(kept).contiguous().clone()


def read(path: Path | str) -> dict[str, Tensor]:
    """Read a state dictionary from a safetensors file, or from a PyTorch file without pickled code.

    Raises:
        DataError: there is no such file, it is damaged, holds pickled code, or is no flat dictionary of
            tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(
            f"{path}: expected a file of weights, found none; check the path or download it again"
        )
    return _read_safe(path) if path.suffix == ".safetensors" else _read_torch(path)


def _read_safe(path: Path) -> dict[str, Tensor]:
    """A safetensors file."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise DataError(
            f"{path}: expected a safetensors file, found a damaged one ({error}); download or train it again"
        ) from None


def _read_torch(path: Path) -> dict[str, Tensor]:
    """A PyTorch file, read without running anything that lies in it."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{path}: expected plain tensors, found pickled code, which is never run; ask for safetensors "
            f"({error})"
        ) from None
    except Exception as error:  # a changed byte can break any part of what reads it
        raise DataError(
            f"{path}: expected a PyTorch file of weights, found a damaged one ({error}); get it again"
        ) from None
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict):
        raise DataError(f"{path}: expected a dictionary of tensors, found {type(state).__name__}")
    tensors = {key: value for key, value in state.items() if isinstance(value, Tensor)}
    if not tensors:
        held = ", ".join(f"{key} ({type(value).__name__})" for key, value in list(state.items())[:5])
        raise DataError(f"{path}: expected a dictionary of tensors, found {held or 'an empty one'}")
    return tensors


def load(
    network: nn.Module,
    source: Path | str | Mapping[str, Tensor],
    *,
    table: Sequence[tuple[str, str]] = (),
    strict: bool = True,
) -> Report:
    """Copy weights from a file or a state dictionary into a network, in the network's own types, and say
    what fitted.

    Args:
        network: changed in place.
        source: what ``read`` reads, or its result.
        table: patterns and replacements that turn the file's key names into ours, see ``rename``.
        strict: raise unless everything fitted.

    Raises:
        DataError: the file cannot be read, or, where ``strict``, does not fit; the message names the keys.
            The network is unchanged then.

    Example:
        >>> state = {"module.weight": torch.ones(1, 2)}
        >>> print(load(nn.Linear(2, 1), state, table=[(r"^module\\.", "")], strict=False))
        1 tensors used; 1 missing in the file: bias
    """
    label = "state dictionary" if isinstance(source, Mapping) else str(source)
    state = rename(source if isinstance(source, Mapping) else read(source), table)
    own = network.state_dict()
    shared = [key for key in own if key in state]
    fits = [key for key in shared if own[key].shape == state[key].shape]
    report = Report(
        used=tuple(fits),
        missing=tuple(key for key in own if key not in state),
        unused=tuple(key for key in state if key not in own),
        wrong_shape=tuple(
            f"{key} {tuple(state[key].shape)} for {tuple(own[key].shape)}"
            for key in shared
            if key not in fits
        ),
    )
    if strict and not report.complete:
        raise DataError(
            f"{label}: does not fit {type(network).__name__}: {report}; pass strict=False to load what fits"
        )
    network.load_state_dict({key: state[key] for key in fits}, strict=False)
    return report


def rename(state: Mapping[str, Tensor], table: Sequence[tuple[str, str]]) -> dict[str, Tensor]:
    """Translate key names: every (regular expression, replacement) of the table is applied in turn.

    Raises:
        DataError: two keys would get the same name.

    Example:
        >>> state = {"encoder.layer1.0.conv1.weight": torch.ones(1)}
        >>> list(rename(state, [(r"^encoder\\.layer(\\d)", r"stage\\1")]))
        ['stage1.0.conv1.weight']
    """
    renamed: dict[str, Tensor] = {}
    origin: dict[str, str] = {}
    for key, value in state.items():
        name = key
        for pattern, replacement in table:
            name = re.sub(pattern, replacement, name)
        if name in renamed:
            raise DataError(
                f"the keys {origin[name]!r} and {key!r} would both be called {name!r}; correct the table of "
                "names"
            )
        renamed[name], origin[name] = value, key
    return renamed


def metadata(path: Path | str) -> dict[str, str]:
    """The short texts in a safetensors file's header (see ``save``), without reading its tensors."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            return json.loads(file.read(min(length, 100_000_000))).get("__metadata__", {})
    except (OSError, ValueError, AttributeError) as error:
        raise DataError(f"{path}: expected a safetensors file with a header ({error})") from None


def pretrained(name: str) -> Path:
    """The file of a small trained network that comes with the package.

    Raises:
        ValueError: there is none of that name; the message lists those that exist.
    """
    path = PRETRAINED / f"{name}.safetensors"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in PRETRAINED.glob("*.safetensors"))) or "none"
        raise ValueError(f"no trained weights for {name!r} come with the package; there are: {known}")
    return path


def download(
    url: str, sha256: str, *, folder: Path | str | None = None, name: str | None = None, progress: bool = True
) -> Path:
    """Download a file once and check it; what lies in the folder is always whole and has the checksum asked
    for.

    Args:
        url: where it is.
        sha256: 64 hexadecimal digits.
        folder: where to keep it; ``$MDEPTH_CACHE/downloads``, or the user's cache folder.
        name: file name; the last part of the address.
        progress: show a bar.

    Raises:
        DataError: the download broke off, the address does not answer, or the checksum is another.
        OSError: the folder cannot be written to, or the disk is full.
    """
    import pooch
    import requests

    if folder is None:
        folder = Path(os.environ.get("MDEPTH_CACHE") or pooch.os_cache("mdepth")) / "downloads"
    name = name or url.rsplit("/", 1)[-1]
    pooch.get_logger().setLevel("WARNING")
    try:
        loader = pooch.HTTPDownloader(progressbar=progress, timeout=30)
        return Path(pooch.retrieve(url, f"sha256:{sha256}", fname=name, path=folder, downloader=loader))
    except requests.exceptions.RequestException as error:
        raise DataError(
            f"{url}: the download failed or broke off, nothing was kept; try again ({error})"
        ) from None
    except ValueError as error:
        raise DataError(
            f"{url}: the file has another checksum than {sha256[:12]}..., nothing was kept; it was changed "
            "or damaged on the "
            f"way: try again, or compare with the publisher's checksum ({error})"
        ) from None
