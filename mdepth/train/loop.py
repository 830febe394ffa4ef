"""``fit``: the loop, on any device and any number of them."""

import json
import math
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from mdepth.shapes import DataError, Float, Tensor
from mdepth.train.checkpoint import CHECKPOINT, restore, save
from mdepth.train.history import History, Progress, Step, TrainingDiverged

__all__ = ["Batch", "fit", "step_generator", "step_seed"]

Batch = dict[str, Any]


@dataclass(frozen=True)
class _Job:
    """The arguments of ``fit`` that the loop reads, in one parcel that can be sent to other processes."""

    batch_at: Callable[[int, torch.Generator], Batch]
    loss: Callable[[nn.Module, Batch], Float[Tensor, ""]]
    steps: int
    seed: int
    folder: Path | None
    name: str
    schedule: Callable[[int], float] | None
    checkpoint_every: int
    prefetch: int
    clip: float | None
    diverged_at: float
    on_step: Callable[[Step], None] | None
    progress: bool
    resume: bool
    description: str


def fit(
    network: nn.Module,
    batch_at: Callable[[int, torch.Generator], Batch],
    loss: Callable[[nn.Module, Batch], Tensor],
    optimizer: torch.optim.Optimizer,
    steps: int,
    *,
    seed: int,
    folder: Path | str | None = None,
    name: str = "training",
    schedule: Callable[[int], float] | None = None,
    accelerator: str = "auto",
    devices: int = 1,
    precision: Any = "32-true",
    checkpoint_every: int = 200,
    prefetch: int = 0,
    clip: float | None = None,
    diverged_at: float = 1e3,
    on_step: Callable[[Step], None] | None = None,
    progress: bool = True,
    resume: bool = True,
    description: dict[str, Any] | None = None,
) -> History:
    """Train ``network`` in place for ``steps`` steps and return the curve.

    Args:
        network: any module.
        batch_at: ``batch_at(step, generator)`` makes a batch, a dictionary of tensors with the batch axis
            first; all its randomness comes from ``generator``, so that it is a pure function of step and
            seed.
        loss: ``loss(network, batch)`` runs the network it is handed (on several devices a wrapped one).
        optimizer: made by the caller, so it may hold groups of parameters with their own rates, which it has
            again afterwards.
        steps: in all, those of an earlier, interrupted call included.
        seed: every random choice of the run follows from it.
        folder: where ``checkpoint.pt`` is kept; ``None`` keeps nothing, and nothing can be resumed.
        name: what the progress bar calls this run.
        schedule: ``schedule(step)`` multiplies every group's rate.
        accelerator, devices, precision: as in Lightning Fabric, for example ``"cuda"``, 2, ``"bf16-mixed"``.
            Several devices are processes: ``batch_at`` and ``loss`` must then be picklable.
        checkpoint_every: steps between checkpoints; the last step is always kept.
        prefetch: batches that threads prepare ahead; changes the time, never the result.
        clip: largest norm of the gradient.
        diverged_at: a loss this many times the first one (or 1, if that is larger) counts as diverged.
        on_step: called after every step, in the first process.
        progress: show a bar, or lines where no terminal is watching.
        resume: continue from the folder's checkpoint, if there is one.
        description: what the run is; a checkpoint of another description is refused.

    Raises:
        TrainingDiverged: the loss is NaN, infinite or too large, or a weight is NaN or infinite.
        DataError: the checkpoint cannot be read, or belongs to another run.
        ValueError: steps or devices make no sense, or a batch cannot be shared among the devices.

    Example:
        >>> line = nn.Linear(1, 1)
        >>> batch = lambda step, generator: {"x": torch.rand(8, 1, generator=generator)}
        >>> loss = lambda network, batch: (network(batch["x"]) - 2 * batch["x"]).square().mean()
        >>> sgd = torch.optim.SGD(line.parameters(), lr=0.5)
        >>> history = fit(line, batch, loss, sgd, 200, seed=0, progress=False)
        >>> round(line.weight.item(), 1), history.step[-1]
        (2.0, 200)
    """
    from lightning.fabric import Fabric

    if min(steps, devices, checkpoint_every) < 1 or prefetch < 0:
        raise ValueError(
            "steps, devices and checkpoint_every must be at least 1, and prefetch 0 or more, "
            f"got {steps}, {devices}, {checkpoint_every}, {prefetch}"
        )
    place, about = Path(folder) if folder else None, json.dumps(description or {}, sort_keys=True)
    job = _Job(
        batch_at, loss, steps, seed, place, name, schedule, checkpoint_every, prefetch, clip,
        diverged_at, on_step, progress, resume, about,
    )  # fmt: skip
    strategy = "auto" if devices == 1 else "ddp_spawn"
    fabric = Fabric(accelerator=accelerator, devices=devices, strategy=strategy, precision=precision)
    rates = [group["lr"] for group in optimizer.param_groups]
    try:
        run = _loop if devices == 1 else _spawn
        return run(fabric, network, optimizer, job)
    finally:  # a call that goes on with this optimiser begins with the same rates
        _set_rates(optimizer, rates, None, 0)


def _loop(fabric: Any, network: nn.Module, optimizer: torch.optim.Optimizer, job: _Job) -> History:
    """The loop itself; it runs once in every process."""
    rates = [group["lr"] for group in optimizer.param_groups]
    wrapped, stepper = fabric.setup(network, optimizer)
    history = History()
    if job.folder is not None and job.resume:
        history = _restored(job, fabric, network, optimizer)
    first, before = len(history.step), history.seconds[-1] if history.seconds else 0.0
    start = time.perf_counter()
    wrapped.train()
    gpus = [fabric.device] if fabric.device.type == "cuda" else []
    with (
        torch.random.fork_rng(gpus),
        Progress(job.name, first, job.steps, job.progress and fabric.is_global_zero) as bar,
    ):
        for step, batch in _batches(job, first, fabric):
            torch.manual_seed(step_seed(job.seed, step, 1 + fabric.global_rank))  # dropout
            lr = _set_rates(optimizer, rates, job.schedule, step)
            optimizer.zero_grad()
            value = job.loss(wrapped, batch)
            fabric.backward(value)
            if job.clip is not None:
                fabric.clip_gradients(wrapped, stepper, max_norm=job.clip, error_if_nonfinite=False)
            number = float(fabric.all_reduce(value.detach(), reduce_op="mean"))
            _check(job, step, number, lr, history)
            stepper.step()
            row = Step(step + 1, number, lr, before + time.perf_counter() - start)
            history.add(row)
            bar.show(row)
            if fabric.is_global_zero and job.on_step is not None:
                job.on_step(row)
            if (step + 1) % job.checkpoint_every == 0 or step + 1 == job.steps:
                _check_weights(job, step, network)
                if fabric.is_global_zero and job.folder is not None:
                    precision = fabric.strategy.precision.state_dict()
                    save(job.folder, network, optimizer, precision, history, job.seed, job.description)
    return history


def _restored(job: _Job, fabric: Any, network: nn.Module, optimizer: torch.optim.Optimizer) -> History:
    """The curve up to the checkpoint of the job's folder, with everything else in the state of that step."""
    assert job.folder is not None
    return restore(
        job.folder,
        network,
        optimizer,
        fabric.strategy.precision,
        steps=job.steps,
        seed=job.seed,
        description=job.description,
    )


def step_seed(seed: int, step: int, stream: int = 0) -> int:
    """A seed of 63 bits for one step of one run; neighbouring steps, seeds and streams are unrelated.

    Example:
        >>> step_seed(0, 1) == step_seed(0, 1), step_seed(0, 1) == step_seed(1, 0)
        (True, False)
    """
    return int(np.random.SeedSequence([seed, step, stream]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def step_generator(seed: int, step: int) -> torch.Generator:
    """The generator from which the batch of a step is drawn."""
    return torch.Generator().manual_seed(step_seed(seed, step))


def _batches(job: _Job, first: int, fabric: Any) -> Iterator[tuple[int, Batch]]:
    """Yield (step, this process's share of the batch, on its device), prepared ahead if asked for."""

    def draw(step: int) -> Batch:
        return job.batch_at(step, step_generator(job.seed, step))

    def share(batch: Batch) -> Batch:
        return fabric.to_device(_share(batch, fabric.global_rank, fabric.world_size))

    steps = range(first, job.steps)
    if job.prefetch == 0:
        yield from ((step, share(draw(step))) for step in steps)
        return
    with ThreadPoolExecutor(job.prefetch) as pool:
        waiting = deque((step, pool.submit(draw, step)) for step in steps[: job.prefetch])
        for step in steps:
            if step + job.prefetch < job.steps:
                waiting.append((step + job.prefetch, pool.submit(draw, step + job.prefetch)))
            yield step, share(waiting.popleft()[1].result())


def _share(batch: Batch, rank: int, processes: int) -> Batch:
    """Every ``processes``-th item of the batch, beginning with ``rank``; all shares have the same length."""
    if processes == 1:
        return batch
    length = len(next(iter(batch.values())))
    if length % processes:
        raise DataError(
            f"a batch of {length} cannot be shared evenly among {processes} devices; choose a multiple"
        )
    return {key: value[rank::processes] for key, value in batch.items()}


def _set_rates(
    optimizer: torch.optim.Optimizer, rates: list[float], schedule: Callable[[int], float] | None, step: int
) -> float:
    """Set every group's rate for this step and return the first."""
    factor = 1.0 if schedule is None else schedule(step)
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate * factor
    return rates[0] * factor


def _check(job: _Job, step: int, loss: float, lr: float, history: History) -> None:
    """Raise TrainingDiverged if this loss means that the run is lost; its weights have not been touched
    yet.
    """
    limit = job.diverged_at * max(1.0, abs(history.loss[0])) if history.loss else math.inf
    if math.isfinite(loss) and abs(loss) <= limit:
        return
    raise TrainingDiverged(
        f"{job.name}: loss {loss:.4g} at step {step + 1} of {job.steps}, learning rate {lr:.3g}{_kept(job)}. "
        "Try a smaller learning rate, a warm-up, clip=1.0, or look for NaN and empty masks in the batch of "
        "this step."
    )


def _check_weights(job: _Job, step: int, network: nn.Module) -> None:
    """Raise TrainingDiverged if a weight is NaN or infinite: a gradient can be while its loss is not."""
    values = (*network.named_parameters(), *network.named_buffers())
    bad = [name for name, value in values if not value.isfinite().all()]
    if bad:
        raise TrainingDiverged(
            f"{job.name}: {bad[0]} is NaN or infinite after step {step + 1} of {job.steps}{_kept(job)}. A "
            "gradient was, though the loss was not: look for a root, a logarithm or a division at zero."
        )


def _kept(job: _Job) -> str:
    """Where the last good weights are, if they were kept."""
    there = job.folder is not None and (job.folder / CHECKPOINT).exists()
    return f"; the checkpoint in {job.folder} is of an earlier step" if there else ""


def _spawn(fabric: Any, network: nn.Module, optimizer: torch.optim.Optimizer, job: _Job) -> History:
    """Run the loop in one process a device, and read the result back from the checkpoint of the first."""
    with tempfile.TemporaryDirectory() as temporary:
        job = replace(job, folder=job.folder or Path(temporary))
        lost = fabric.launch(partial(_loop_of_many, job=job), network, optimizer)
        if lost is not None:
            raise lost
        return _restored(job, fabric, network, optimizer)


def _loop_of_many(
    fabric: Any, network: nn.Module, optimizer: torch.optim.Optimizer, job: _Job
) -> Exception | None:
    """The loop in one process of several; the errors that ``fit`` promises, which end all of them alike, are
    handed back, since raised there they would reach the caller as text.
    """
    optimizer.load_state_dict(deepcopy(optimizer.state_dict()))  # what is sent to processes, they share
    try:
        _loop(fabric, network, optimizer, job)
    except (TrainingDiverged, DataError) as error:
        return error
    return None
