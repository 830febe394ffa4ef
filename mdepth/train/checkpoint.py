"""The checkpoint of a run: network, optimiser, loss scale, curve, and which run it is of. Written atomically,
read without running code.
"""

import os
import pickle
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mdepth.shapes import DataError
from mdepth.train.history import History

__all__ = ["CHECKPOINT", "read_checkpoint", "restore", "save"]

CHECKPOINT = "checkpoint.pt"
FIELDS = ("step", "seed", "description", "network", "optimizer", "precision", "history")
OTHERWISE = "choose another folder, delete the file, or pass resume=False"


def save(
    folder: Path,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    precision: dict[str, Any],
    history: History,
    seed: int,
    description: str,
) -> None:
    """Write the checkpoint beside its place and move it there, so that it is whole at every moment;
    ``precision`` is the state of 16-bit training, the scale of the loss.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / CHECKPOINT
    values = (
        len(history.step),
        seed,
        description,
        network.state_dict(),
        optimizer.state_dict(),
        precision,
        asdict(history),
    )
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            torch.save(dict(zip(FIELDS, values, strict=True)), file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_checkpoint(path: Path | str) -> dict[str, Any]:
    """Read a checkpoint that ``fit`` wrote, onto the CPU: step, seed, description, network, optimizer,
    precision, history.

    Raises:
        DataError: the file is missing, damaged, no checkpoint of ours, or holds pickled code, which is never
            run.
    """
    path = Path(path)
    wanted = f"{path}: expected a checkpoint written by mdepth.train.fit"
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise DataError(f"{wanted}, found no file; check the path") from None
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{wanted}, found pickled code or a damaged file, which is not loaded; delete it ({error})"
        ) from None
    except Exception as error:  # a changed byte can break any part of what reads it
        raise DataError(f"{wanted}, found a damaged file; delete it to start anew ({error})") from None
    missing = set(FIELDS) - set(state if isinstance(state, dict) else ())
    if missing:
        raise DataError(
            f"{wanted}, the fields {', '.join(sorted(missing))} are missing; delete it to start anew"
        )
    return state


def restore(
    folder: Path,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    precision: Any,
    *,
    steps: int,
    seed: int,
    description: str,
) -> History:
    """Load the folder's checkpoint into network, optimiser and precision, on the devices they are on; an
    empty history where there is none.

    Raises:
        DataError: the checkpoint cannot be read, is of another run, or of a later step than the last.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return History()
    state = read_checkpoint(path)
    for name, mine in (("seed", seed), ("description", description)):
        if state[name] != mine:
            raise DataError(
                f"{path}: the checkpoint is of another run: its {name} is {state[name]}, this run's is "
                f"{mine}; {OTHERWISE}"
            )
    if state["step"] > steps:
        raise DataError(f"{path}: the checkpoint is of step {state['step']} of {steps}; {OTHERWISE}")
    try:
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
    except (RuntimeError, ValueError) as error:
        raise DataError(f"{path}: of another network or optimiser; {OTHERWISE} ({error})") from None
    if state["precision"]:
        precision.load_state_dict(state["precision"])
    return History(**state["history"])
