"""The training loop: what it computes, resuming to the bit after kill -9, several processes, and how it
stops.
"""

import os
import pickle
import random
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mdepth.shapes import DataError
from mdepth.train import History, Step, TrainingDiverged, fit, read_checkpoint, step_seed
from mdepth.weights import read

quiet = partial(fit, progress=False, accelerator="cpu")


def make(seed: int = 0, dropout: float = 0.5) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A small network with dropout, and SGD with momentum and two rates."""
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, 1))
    groups = [
        {"params": network[0].parameters(), "lr": 0.01},
        {"params": network[3].parameters(), "lr": 0.05},
    ]
    return network, torch.optim.SGD(groups, lr=0.01, momentum=0.9)


def batch_at(step: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
    x = torch.randn(16, 4, generator=generator)
    return {"x": x, "y": x.sum(1, keepdim=True)}


def loss(network: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    return (network(batch["x"]) - batch["y"]).square().mean()


def weights(network: nn.Module) -> list[torch.Tensor]:
    return [value.clone() for value in network.state_dict().values()]


def same(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_it_learns_and_keeps_the_curve() -> None:
    network, optimizer = make(dropout=0.0)
    seen: list[Step] = []
    history = quiet(network, batch_at, loss, optimizer, 150, seed=0, on_step=seen.append)
    assert history.step == list(range(1, 151))
    assert sum(history.loss[-10:]) < 0.05 * sum(history.loss[:10])
    assert [row.loss for row in seen] == history.loss
    assert history.seconds == sorted(history.seconds)


def test_one_step_is_the_step_of_plain_torch() -> None:
    """Against the loop written out by hand: forward, backward, SGD with momentum, two rates, the same
    batches.
    """
    network, optimizer = make(dropout=0.0)
    other, plain = make(dropout=0.0)
    quiet(network, batch_at, loss, optimizer, 3, seed=5)
    for step in range(3):
        generator = torch.Generator().manual_seed(step_seed(5, step))
        plain.zero_grad()
        loss(other, batch_at(step, generator)).backward()
        plain.step()
    assert same(weights(network), weights(other))


def test_schedule_scales_every_group() -> None:
    network, optimizer = make()
    second: list[float] = []
    history = quiet(
        network,
        batch_at,
        loss,
        optimizer,
        3,
        seed=0,
        schedule=halved,
        on_step=lambda row: second.append(optimizer.param_groups[1]["lr"]),
    )
    assert history.lr == pytest.approx([0.01, 0.005, 0.0025])
    assert second == pytest.approx([0.05, 0.025, 0.0125])


def halved(step: int) -> float:
    """A schedule."""
    return 0.5**step


def test_seed_decides_everything_and_the_global_state_nothing() -> None:
    results = []
    for seed, disturb in ((0, 1), (0, 2), (1, 1)):
        network, optimizer = make()
        torch.manual_seed(disturb)
        before = torch.get_rng_state()
        quiet(network, batch_at, loss, optimizer, 5, seed=seed)
        assert torch.equal(before, torch.get_rng_state())  # nor is the caller's state touched
        results.append(weights(network))
    assert same(results[0], results[1])
    assert not same(results[0], results[2])


def test_prefetching_changes_nothing() -> None:
    results = []
    for prefetch in (0, 3):
        network, optimizer = make()
        quiet(network, batch_at, loss, optimizer, 7, seed=0, prefetch=prefetch)
        results.append(weights(network))
    assert same(*results)


def test_resume_after_an_error_is_identical(tmp_path: Path) -> None:
    whole, optimizer = make()
    expected = quiet(whole, batch_at, loss, optimizer, 20, seed=0)

    def stumble(row: Step) -> None:
        if row.step == 13:
            raise KeyboardInterrupt

    network, optimizer = make()
    with pytest.raises(KeyboardInterrupt):
        quiet(
            network,
            batch_at,
            loss,
            optimizer,
            20,
            seed=0,
            folder=tmp_path,
            checkpoint_every=5,
            on_step=stumble,
        )
    assert read_checkpoint(tmp_path / "checkpoint.pt")["step"] == 10
    network, optimizer = make(seed=7)  # what it starts from does not matter any more
    history = quiet(network, batch_at, loss, optimizer, 20, seed=0, folder=tmp_path)
    assert same(weights(network), weights(whole))
    assert history.loss == expected.loss
    with pytest.raises(DataError, match=r"checkpoint\.pt: the checkpoint is of step 20 of 19; choose"):
        quiet(network, batch_at, loss, optimizer, 19, seed=0, folder=tmp_path)
    finished, optimizer = make(seed=8)  # asked again, it only loads
    quiet(finished, batch_at, loss, optimizer, 20, seed=0, folder=tmp_path)
    assert same(weights(finished), weights(whole))


def test_an_interrupted_cell_run_again_is_the_run_in_one_go(tmp_path: Path) -> None:
    """With the very network and optimiser that were interrupted, rates under way and all."""
    whole, optimizer = make()
    quiet(whole, batch_at, loss, optimizer, 9, seed=0, schedule=halved)

    def stumble(row: Step) -> None:
        if row.step == 7:
            raise KeyboardInterrupt

    network, optimizer = make()
    again = partial(quiet, network, batch_at, loss, optimizer, 9, seed=0, schedule=halved, folder=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        again(checkpoint_every=3, on_step=stumble)
    again()
    assert same(weights(network), weights(whole))


SCRIPT = """
import sys, time
sys.path.insert(0, {tests!r})
import torch
torch.set_num_threads({threads})
from test_train import batch_at, loss, make
from mdepth.train import fit
from mdepth import weights
network, optimizer = make()
pause = float(sys.argv[2])
fit(network, batch_at, loss, optimizer, 60, seed=3, folder=sys.argv[1], checkpoint_every=4, progress=False,
    accelerator="cpu", on_step=lambda row: time.sleep(pause))
weights.save(network, sys.argv[1] + "/final.safetensors")
"""


def test_resume_after_kill_9_is_bit_identical(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(tests=str(Path(__file__).parent), threads=torch.get_num_threads()))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    killed = tmp_path / "killed"
    command = [sys.executable, str(script), str(killed)]
    process = subprocess.Popen([*command, "0.05"], env=environment)
    deadline = time.monotonic() + 120
    while not (killed / "checkpoint.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert 0 < read_checkpoint(killed / "checkpoint.pt")["step"] < 60
    subprocess.run([*command, "0"], env=environment, check=True)
    network, optimizer = make()
    quiet(network, batch_at, loss, optimizer, 60, seed=3)
    resumed = read(killed / "final.safetensors")
    assert same(weights(network), [resumed[key] for key in network.state_dict()])
    assert not list(killed.glob("*.tmp"))


def test_two_processes_do_the_same_optimisation() -> None:
    """DDP with gloo: each takes half of every batch, so the weights agree with those of one process; so do
    the momentum that the optimiser brings along, which processes must not share, and its rates.
    """
    results = []
    for devices in (1, 2):
        network, optimizer = make(dropout=0.0)
        quiet(network, batch_at, loss, optimizer, 3, seed=1)
        history = quiet(network, batch_at, loss, optimizer, 6, seed=0, schedule=halved, devices=devices)
        assert [group["lr"] for group in optimizer.param_groups] == [0.01, 0.05]
        results.append((weights(network), history.loss))
    for a, b in zip(results[0][0], results[1][0], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
    assert results[1][1] == pytest.approx(results[0][1], rel=1e-4)


def lost(network: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """A loss that is NaN."""
    return loss(network, batch) * float("nan")


def test_two_processes_raise_what_one_raises() -> None:
    network, optimizer = make()
    with pytest.raises(TrainingDiverged, match="loss nan at step 1"):
        quiet(network, batch_at, lost, optimizer, 3, seed=0, devices=2)


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    from mdepth.train.loop import _share

    shares = [_share({"x": torch.arange(6)}, rank, 2)["x"].tolist() for rank in range(2)]
    assert shares == [[0, 2, 4], [1, 3, 5]]
    with pytest.raises(DataError, match="batch of 5 cannot be shared evenly among 2 devices"):
        _share({"x": torch.arange(5)}, 0, 2)


def test_mixed_precision_trains() -> None:
    network, optimizer = make(dropout=0.0)
    history = quiet(network, batch_at, loss, optimizer, 100, seed=0, precision="bf16-mixed")
    assert history.loss[-1] < 0.2 * history.loss[0]
    assert all(parameter.dtype == torch.float32 for parameter in network.parameters())


def half_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``fit`` train in 16 bits on the CPU, which Fabric does on GPUs alone: with a scaled loss."""
    from lightning import fabric
    from lightning.fabric.plugins.precision import MixedPrecision

    class Half(fabric.Fabric):
        def __init__(self, **options: Any) -> None:
            scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40, growth_interval=4)
            super().__init__(**options, plugins=MixedPrecision("16-mixed", "cpu", scaler))

    monkeypatch.setattr(fabric, "Fabric", Half)


def test_16_bits_skip_overflows_and_resume_with_the_scale_of_the_loss(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The first scales are too large on purpose: such steps are left out, clipped or not, and end no run."""
    half_precision(monkeypatch)
    train = partial(quiet, seed=0, precision=None, clip=1.0)
    start, optimizer = make()
    whole, optimizer = make()
    expected = train(whole, batch_at, loss, optimizer, 60)
    assert expected.loss[-1] < 0.5 * expected.loss[0]
    for steps in (33, 60):
        network, optimizer = make()
        train(network, batch_at, loss, optimizer, steps, folder=tmp_path, checkpoint_every=33)
    assert read_checkpoint(tmp_path / "checkpoint.pt")["precision"]["scale"] < 2.0**40
    assert same(weights(network), weights(whole))
    assert not same(weights(network), weights(start))


class NaNBackwards(torch.autograd.Function):
    """The identity, with a gradient that is NaN."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        return gradients[0] * float("nan")


@pytest.mark.parametrize("clip", [None, 1.0])
def test_weights_that_are_lost_are_never_kept(clip: float | None, tmp_path: Path) -> None:
    """The gradient of the last step is NaN, its loss is not."""
    network, optimizer = make()
    calls: list[int] = []

    def spoilt(network: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        calls.append(len(calls) + 1)
        value = loss(network, batch)
        return NaNBackwards.apply(value) if calls[-1] == 4 else value

    with pytest.raises(TrainingDiverged, match=r"0\.weight is NaN or infinite after step 4 of 4; the check"):
        quiet(network, batch_at, spoilt, optimizer, 4, seed=0, folder=tmp_path, checkpoint_every=2, clip=clip)
    assert read_checkpoint(tmp_path / "checkpoint.pt")["step"] == 2


def test_a_checkpoint_is_named_only_where_there_is_one(tmp_path: Path) -> None:
    network, optimizer = make()
    with pytest.raises(TrainingDiverged) as told:
        quiet(network, batch_at, lost, optimizer, 4, seed=0, folder=tmp_path)
    assert "checkpoint" not in str(told.value)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e9])
def test_divergence_stops_before_the_weights_are_touched(bad: float, tmp_path: Path) -> None:
    network, optimizer = make()
    kept: list[Any] = []

    def spoilt(network: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        kept.append(weights(network))
        return loss(network, batch) * (bad if len(kept) == 4 else 1.0)

    with pytest.raises(
        TrainingDiverged, match=r"my run: loss .* at step 4 of 10, learning rate 0\.01.*[Ss]maller"
    ):
        quiet(
            network,
            batch_at,
            spoilt,
            optimizer,
            10,
            seed=0,
            folder=tmp_path,
            checkpoint_every=2,
            name="my run",
        )
    assert same(weights(network), kept[-1])
    assert read_checkpoint(tmp_path / "checkpoint.pt")["step"] == 2


def test_clipping_bounds_the_gradient() -> None:
    network, _ = make(dropout=0.0)
    before = weights(network)
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    quiet(network, batch_at, lambda n, b: 1000 * loss(n, b), optimizer, 1, seed=0, clip=0.5)
    moved = sum((a - b).square().sum() for a, b in zip(weights(network), before, strict=True)) ** 0.5
    assert moved.item() == pytest.approx(0.5, rel=1e-3)


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise RuntimeError('pickled code was run')",))


def test_checkpoint_with_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    torch.save({"step": 1, "network": Bomb()}, path)
    with pytest.raises(DataError, match=r"checkpoint\.pt.*pickled code.*not loaded"):
        read_checkpoint(path)
    path.write_bytes(pickle.dumps(Bomb(), protocol=2))
    with pytest.raises(DataError, match=r"checkpoint\.pt"):
        read_checkpoint(path)


def test_a_checkpoint_with_a_changed_byte_is_damaged_or_whole(tmp_path: Path) -> None:
    """Whichever byte it is: never an error that does not name the file."""
    network, optimizer = make()
    quiet(network, batch_at, loss, optimizer, 1, seed=0, folder=tmp_path)
    path, told = tmp_path / "checkpoint.pt", []
    whole, chosen = path.read_bytes(), random.Random(0)
    for _ in range(300):
        spoilt = bytearray(whole)
        spoilt[chosen.randrange(len(whole))] = chosen.randrange(256)
        path.write_bytes(spoilt)
        try:
            read_checkpoint(path)
        except DataError as error:
            told.append(str(error))
    assert len(told) > 50
    assert all("checkpoint.pt: expected a checkpoint" in text for text in told)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"nothing"])
def test_damaged_checkpoint_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(content)
    network, optimizer = make()
    with pytest.raises(DataError, match=r"checkpoint\.pt: expected a checkpoint.*delete it"):
        quiet(network, batch_at, loss, optimizer, 2, seed=0, folder=tmp_path)


def test_missing_fields_and_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found no file"):
        read_checkpoint(tmp_path / "checkpoint.pt")
    torch.save({"step": 1}, tmp_path / "checkpoint.pt")
    with pytest.raises(DataError, match="description, history, network, optimizer, precision, seed are"):
        read_checkpoint(tmp_path / "checkpoint.pt")


def test_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    network, optimizer = make()
    quiet(network, batch_at, loss, optimizer, 2, seed=0, folder=tmp_path, description={"rate": 1})
    with pytest.raises(DataError, match="of another run: its seed is 0, this run's is 1"):
        quiet(network, batch_at, loss, optimizer, 2, seed=1, folder=tmp_path, description={"rate": 1})
    with pytest.raises(DataError, match="its description is"):
        quiet(network, batch_at, loss, optimizer, 2, seed=0, folder=tmp_path, description={"rate": 2})
    larger = nn.Sequential(nn.Linear(4, 17))
    with pytest.raises(DataError, match=r"checkpoint\.pt: of another network or optimiser; choose another"):
        quiet(larger, batch_at, loss, optimizer, 2, seed=0, folder=tmp_path, description={"rate": 1})
    quiet(network, batch_at, loss, optimizer, 3, seed=1, folder=tmp_path, resume=False)
    assert read_checkpoint(tmp_path / "checkpoint.pt")["seed"] == 1


def test_full_disk_keeps_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network, optimizer = make()
    quiet(network, batch_at, loss, optimizer, 2, seed=0, folder=tmp_path)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        quiet(network, batch_at, loss, optimizer, 4, seed=0, folder=tmp_path)
    assert read_checkpoint(tmp_path / "checkpoint.pt")["step"] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_progress_says_run_step_loss_and_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    network, optimizer = make()
    fit(network, batch_at, loss, optimizer, 3, seed=0, name="eigen", accelerator="cpu")
    assert "eigen: step 3 of 3, loss" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"devices": 0}, {"checkpoint_every": 0}, {"prefetch": -1}])
def test_senseless_numbers_are_refused(wrong: dict[str, int]) -> None:
    network, optimizer = make()
    with pytest.raises(ValueError, match="must be at least 1"):
        quiet(network, batch_at, loss, optimizer, **{"steps": 2, "seed": 0, **wrong})


def test_thinned_history_keeps_ends_and_means() -> None:
    history = History(
        list(range(1, 11)), [float(i) for i in range(1, 11)], [0.1] * 10, [i / 10 for i in range(1, 11)]
    )
    thin = history.thinned(4)
    assert thin.step == [3, 6, 9, 10]
    assert thin.loss == [2.0, 5.0, 8.0, 10.0]  # the last window is shorter
    assert history.thinned(10).loss == history.loss


@pytest.mark.gpu
def test_on_a_gpu() -> None:
    network, optimizer = make(dropout=0.0)
    history = fit(
        network,
        batch_at,
        loss,
        optimizer,
        100,
        seed=0,
        accelerator="cuda",
        precision="bf16-mixed",
        progress=False,
    )
    assert history.loss[-1] < 0.2 * history.loss[0]
    assert next(network.parameters()).is_cuda


@pytest.mark.gpu
def test_adams_counter_of_steps_stays_off_the_gpu(tmp_path: Path) -> None:
    """Where Adam keeps it; on the GPU it would be read back for every parameter at every step."""
    for steps in (2, 4):
        network, _ = make()
        adam = torch.optim.Adam(network.parameters())
        fit(
            network,
            batch_at,
            loss,
            adam,
            steps,
            seed=0,
            accelerator="cuda",
            folder=tmp_path,
            progress=False,
        )
    assert {state["step"].device.type for state in adam.state.values()} == {"cpu"}
