"""Where the time of a training step of Monodepth2 goes; and what a step and a prediction take beside the
released code.

    python benchmarks/monodepth2.py [--official FOLDER] [--device cpu cuda] [--threads 1 2] [--write]

Two networks: the paper's ResNet-18 for images of 192 x 640, four at a time, and that for the synthetic roads,
64 x 192, eight at a time. Three forms of each: "contiguous", as PyTorch builds it; "channels-last", as it is
trained here, the same numbers in another order in memory; "bf16", channels-last, the networks computed in 16
bits and the loss in 32. A training step is forward, loss, backward and Adam, whose rate is 0, so that weights
and work stay what they are. Every part of a step counts for itself: what SSIM takes is not in "absolute", the
rest of the photometric error. Peak memory is that of all tensors that two steps in a row make, beyond
weights, Adam's moments and batch.

With ``--official`` the released code stands beside it: the reader's own clone of nianticlabs/monodepth2, of
which nothing is in here, and whose licence is for non-commercial use. Its trainer gets our weights, as the
files that ours writes, and the same batch, and is called as it is, but for ``align_corners=True``, which was
torch's default when it was written. Goal: the same loss to 1e-5 in 32 bits, and at least as fast. (Nothing
but rounding and the 1e-7 that it adds to angles and to depths sets both apart.) Both are called in turns;
``speedup`` is the median over the turns of its time over ours, with the quartiles.
"""

import argparse
import io
import json
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from copy import deepcopy
from dataclasses import dataclass
from functools import partial, wraps
from importlib import import_module
from itertools import product
from operator import itemgetter
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol
from unittest import mock

import torch
import torchvision  # noqa: F401  the released networks import it, and it must not be loaded twice
from harness import report, seconds_in_turns
from torch import Tensor
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

from mdepth import reprojection
from mdepth.image import resize
from mdepth.models import build
from mdepth.models.monodepth2 import Monodepth2
from mdepth.models.monodepth2_motion import DepthAndPose, PoseResNet
from mdepth.recipes.monodepth2_weights import official, official_pose

CASES = {"monodepth2-resnet18": 4, "monodepth2-resnet18-roads": 8}
"""Network -> images in a batch; the first is the one that the released code has, too."""
TURNS = 8
OFFSETS = (-1, 1)
SEED = 5  # of the noise that decides ties: the same in every step


@dataclass(frozen=True)
class Form:
    """How the same networks are computed."""

    layout: torch.memory_format
    bf16: bool = False


FORMS = {
    "contiguous": Form(torch.contiguous_format),
    "channels-last": Form(torch.channels_last),
    "bf16": Form(torch.channels_last, bf16=True),
}
LOSS_PARTS = {
    "warping": ("backproject", "transform_points", "project", "sample"),
    "absolute": ("photometric_error",),
    "SSIM": ("ssim_dissimilarity", "window_moments"),
    "smoothness": ("edge_aware_smoothness",),
}
"""Part of the loss -> the functions of ``mdepth.reprojection`` that it consists of."""


@dataclass(frozen=True)
class Batch:
    """Images in [0, 1] with their neighbours in time, and the camera."""

    image: Tensor
    neighbours: Tensor
    """(B, 2, 3, H, W): the frame before and the frame after."""
    K: Tensor

    def to(self, device: str) -> "Batch":
        """The same on a device."""
        return Batch(self.image.to(device), self.neighbours.to(device), self.K.to(device))


def make_networks(name: str) -> DepthAndPose:
    """Depth and pose network with random weights."""
    depth = build(name)
    assert isinstance(depth, Monodepth2)
    width = depth.encoder.channels[-1] // 2
    return DepthAndPose(depth, PoseResNet(OFFSETS, "pairs", depth.make_encoder, width))


def make_batch(count: int, size: tuple[int, int]) -> Batch:
    """Smooth random images; the neighbours show the same, four pixels to the sides, and all have noise."""
    generator, (height, width) = torch.Generator().manual_seed(1), size
    coarse = torch.rand(count, 3, height // 8, width // 8 + 2, generator=generator)
    wide = resize(coarse, (height, width + 16), mode="bicubic")
    views = torch.stack([wide[..., left : left + width] for left in (8, 4, 12)], dim=1)
    views = (views + 0.05 * torch.rand(views.shape, generator=generator)).clamp(0, 1)
    K = torch.tensor([[0.58 * width, 0, 0.5 * width], [0, 1.92 * height, 0.5 * height], [0, 0, 1]])
    return Batch(views[:, 0].contiguous(), views[:, 1:].contiguous(), K.expand(count, 3, 3).contiguous())


class Step(Protocol):
    """A training step, and the prediction of the network that is trained."""

    optimiser: torch.optim.Optimizer

    def __call__(self) -> None:
        """The whole step."""

    def loss(self) -> Tensor:
        """Forward and loss, with the same noise each time."""

    def predict(self, image: Tensor) -> Tensor:
        """The sigmoid at the size of the image, in evaluation mode."""


class Ours:
    """Our step, with networks of its own."""

    def __init__(self, networks: DepthAndPose, form: Form, batch: Batch) -> None:
        self.device = batch.image.device.type
        self.networks = deepcopy(networks).to(self.device, memory_format=form.layout).train()
        self.form, self.batch = form, batch
        self.optimiser = torch.optim.Adam(self.networks.parameters(), lr=0.0, fused=True)

    def __call__(self) -> None:
        self.optimiser.zero_grad()
        self.loss().backward()
        self.optimiser.step()
        finished(self.device)

    def loss(self) -> Tensor:
        with self._precision():
            prediction = self.networks(self.batch.image, self.batch.neighbours)
        sigmoids = [each.float() for each in prediction.sigmoids]
        return self._reprojection(sigmoids, prediction.T_neighbour_target)

    def predict(self, image: Tensor) -> Tensor:
        depth = self.networks.depth.eval()
        with torch.no_grad(), self._precision():
            found = depth(depth.normalise(image))
        finished(self.device)
        return found.float()

    def parts(self) -> dict[str, float]:
        """The whole step in pieces: part -> seconds."""
        watch, batch = Stopwatch(self.device), self.batch
        depth, pose = self.networks.train().depth, self.networks.pose
        assert pose is not None
        self.optimiser.zero_grad()
        with self._precision():
            with watch.part("depth network, forward"):
                sigmoids = [each.float() for each in depth.pyramid(depth.normalise(batch.image))]
            with watch.part("pose network, forward"):
                T = pose(batch.image, batch.neighbours.unbind(dim=1))
        *cut, cut_T = (each.detach().requires_grad_() for each in (*sigmoids, T))
        with watch.part("rest of the loss"), watching_the_loss(watch):
            loss = self._reprojection(cut, cut_T)
        with watch.part("loss, backward"):
            loss.backward()
        with watch.part("depth network, backward"):
            torch.autograd.backward(sigmoids, [each.grad for each in cut])
        with watch.part("pose network, backward"):
            T.backward(cut_T.grad)
        with watch.part("Adam"):
            self.optimiser.step()
        return watch.seconds

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device, torch.bfloat16, enabled=self.form.bf16)

    def _reprojection(self, sigmoids: list[Tensor], T: Tensor) -> Tensor:
        torch.manual_seed(SEED)
        pyramid = reprojection.image_pyramid(self.batch.image, len(sigmoids))
        return reprojection.reprojection_loss(sigmoids, pyramid, self.batch.neighbours, self.batch.K, T)


class Official:
    """The step of the released code, with the weights of ours.

    Raises:
        SystemExit: the folder is no clone of it.
    """

    def __init__(self, folder: Path, networks: DepthAndPose, batch: Batch) -> None:
        self.device = batch.image.device.type
        assert isinstance(networks.pose, PoseResNet)
        with tempfile.TemporaryDirectory() as place:
            for name, state in (official(networks.depth) | official_pose(networks.pose)).items():
                torch.save(state, Path(place) / name)
            self.trainer = official_trainer(
                folder,
                {"load_weights_folder": place, "log_dir": place, "weights_init": "scratch",
                 "height": batch.image.shape[2], "width": batch.image.shape[3],
                 "batch_size": len(batch.image), "learning_rate": 0, "num_workers": 0},
                self.device,
            )  # fmt: skip
        self.trainer.set_train()
        self.optimiser, self.inputs = self.trainer.model_optimizer, official_inputs(batch)

    def __call__(self) -> None:
        loss = self.loss()
        self.optimiser.zero_grad()  # at this place there
        loss.backward()
        self.optimiser.step()
        finished(self.device)

    def loss(self) -> Tensor:
        torch.manual_seed(SEED)
        _, losses = self.trainer.process_batch(self.inputs)
        return losses["loss"]

    def predict(self, image: Tensor) -> Tensor:
        encoder, decoder = (self.trainer.models[name].eval() for name in ("encoder", "depth"))
        with torch.no_grad():
            found = decoder(encoder(image))["disp", 0]
        finished(self.device)
        return found


def official_trainer(folder: Path, options: dict[str, Any], device: str) -> Any:
    """The trainer of a clone of the released code, without data: what reads KITTI is never called, and what
    is imported besides need not be there.
    """
    if not (folder / "trainer.py").is_file():
        raise SystemExit(
            f"{folder}: expected a clone of https://github.com/nianticlabs/monodepth2, found none"
        )
    absent = {name: mock.MagicMock() for name in ("datasets", "IPython", "tensorboardX")}
    absent["datasets"].KITTIRAWDataset.return_value.__len__.return_value = 1
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    with (
        mock.patch.object(sys, "path", [str(folder), *sys.path]),
        mock.patch.dict(sys.modules, absent),  # forgets afterwards what was imported
        redirect_stdout(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # of newer versions about what was right in its time
        parser = import_module("options").MonodepthOptions().parser
        module = import_module("trainer")
        aligned = partial(functional.grid_sample, align_corners=True)
        module.F = SimpleNamespace(**vars(functional) | {"grid_sample": aligned})
        return module.Trainer(parser.parse_args(words + ["--no_cuda"] * (device == "cpu")))


def official_inputs(batch: Batch) -> dict[Any, Tensor]:
    """A batch under the names that the released trainer looks for, with 4 x 4 matrices; at full size also for
    the smaller scales, where only the image itself is read.
    """
    frames = dict(zip((0, *OFFSETS), (batch.image, *batch.neighbours.unbind(dim=1)), strict=True))
    found: dict[Any, Tensor] = {}
    for scale, image in enumerate(reprojection.image_pyramid(batch.image, 4)):
        found |= {("color", frame, scale): view for frame, view in frames.items()}
        found["color", 0, scale] = image
    found |= {("color_aug", frame, 0): view for frame, view in frames.items()}
    found["K", 0] = torch.eye(4, device=batch.K.device).repeat(len(batch.K), 1, 1)
    found["K", 0][:, :3, :3] = batch.K
    found["inv_K", 0] = torch.linalg.inv(found["K", 0])
    return found


class Stopwatch:
    """Seconds by part. What runs inside another part counts for itself, and not for the other."""

    def __init__(self, device: str) -> None:
        self.seconds: dict[str, float] = {}
        self._device, self._open, self._since = device, list[str](), 0.0

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """What happens inside counts for this part."""
        self._charge()
        self._open.append(name)
        try:
            yield
        finally:
            self._charge()
            self._open.pop()

    def watched(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        """A function that counts for a part whenever it is called."""

        @wraps(function)
        def call(*arguments: Any, **keywords: Any) -> Any:
            with self.part(name):
                return function(*arguments, **keywords)

        return call

    def _charge(self) -> None:
        finished(self._device)
        now = time.perf_counter()
        if self._open:
            self.seconds[self._open[-1]] = self.seconds.get(self._open[-1], 0.0) + now - self._since
        self._since = now


@contextmanager
def watching_the_loss(watch: Stopwatch) -> Iterator[None]:
    """The functions that the loss consists of count for their parts."""
    with ExitStack() as stack:
        for part, names in LOSS_PARTS.items():
            for name in names:
                watched = watch.watched(getattr(reprojection, name), part)
                stack.enter_context(mock.patch.object(reprojection, name, watched))
        yield


def finished(device: str) -> None:
    """Wait for the GPU."""
    if device == "cuda":
        torch.cuda.synchronize()


def peak_mb(step: Step, device: str) -> float:
    """Megabytes of all tensors that live at once, at most, while a step is taken twice, from no gradients on.

    Of those that were there before none counts. On a CPU, what a library takes for itself is not seen.
    """
    step.optimiser.zero_grad()
    if device == "cuda":
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        for _ in range(2):
            step()
        return (torch.cuda.max_memory_allocated() - before) / 1e6
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        for _ in range(2):
            step()
    with tempfile.TemporaryDirectory() as place:
        trace = Path(place) / "trace.json"
        profiler.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text())["traceEvents"]
    live, now, peak = dict[int, int](), 0, 0
    for event in sorted((each for each in events if each.get("name") == "[memory]"), key=itemgetter("ts")):
        about = event["args"]
        if about["Bytes"] > 0:
            live[about["Addr"]] = about["Bytes"]
            now, peak = now + about["Bytes"], max(peak, now + about["Bytes"])
        else:
            now -= live.pop(about["Addr"], 0)  # what was there before was not counted either
    return peak / 1e6


def measure(networks: DepthAndPose, batch: Batch, about: dict[str, Any], turns: int) -> list[dict[str, Any]]:
    """Rows of our step in all forms: the whole and its peak memory, and each part; the shortest times."""
    device = batch.image.device.type
    steps = {name: Ours(networks, form, batch) for name, form in FORMS.items()}
    for step in steps.values():
        step()  # makes Adam's moments, and finds nothing in memory
    rows, pieces = [], {name: list[dict[str, float]]() for name in FORMS}
    peaks = {name: peak_mb(step, device) for name, step in steps.items()}
    whole = seconds_in_turns(steps, turns)
    for _, name in product(range(turns), FORMS):
        pieces[name].append(steps[name].parts())
    for name in FORMS:
        ms = 1e3 * min(whole[name])
        rows.append(about | {"measured": "step", "form": name, "ms": ms, "peak_mb": peaks[name]})
        best = {part: min(each[part] for each in pieces[name]) for part in pieces[name][0]}
        for part, seconds in best.items():
            row = about | {"measured": "part", "form": name, "part": part, "ms": 1e3 * seconds}
            rows.append(row | {"share": seconds / sum(best.values())})
    return rows


def compare(
    theirs: Step, networks: DepthAndPose, batch: Batch, about: dict[str, Any], turns: int
) -> list[dict[str, Any]]:
    """Rows of another step beside ours in all forms, in training and with one image: times, peak memory of
    the step, and by how much loss and sigmoid differ.
    """
    device, image = batch.image.device.type, batch.image[:1]
    ours = {name: Ours(networks, form, batch) for name, form in FORMS.items()}
    steps: dict[str, Any] = {"official": theirs, **ours}
    losses = {name: step.loss().item() for name, step in steps.items()}
    for step in steps.values():
        step()
    peaks = {name: peak_mb(step, device) for name, step in steps.items()}
    training = seconds_in_turns(steps, turns)
    answers = {name: step.predict(image) for name, step in steps.items()}
    looking = {name: partial(step.predict, image) for name, step in steps.items()}
    prediction = seconds_in_turns(looking, 2 * turns)
    rows = []
    for name in FORMS:
        apart = (answers["official"] - answers[name]).abs().max().item()
        row = about | {"measured": "training", "form": name, **ratio(training["official"], training[name])}
        row |= {"official_peak_mb": peaks["official"], "peak_mb": peaks[name]}
        row |= {"official_loss": losses["official"], "loss": losses[name]}
        row |= {"difference": abs(losses["official"] - losses[name])}
        other = about | {"batch": 1, "measured": "prediction", "form": name}
        rows += [row, other | ratio(prediction["official"], prediction[name]) | {"difference": apart}]
    return rows


def ratio(official: Sequence[float], ours: Sequence[float]) -> dict[str, float]:
    """Median times in milliseconds, and median and quartiles of the ratio within a turn."""
    each = sorted(a / b for a, b in zip(official, ours, strict=True))
    low, middle, high = statistics.quantiles(each, n=4, method="inclusive") if len(each) > 1 else 3 * each
    return {
        "official_ms": 1e3 * statistics.median(official), "ms": 1e3 * statistics.median(ours),
        "speedup": middle, "speedup_low": low, "speedup_high": high,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--official", type=Path, metavar="FOLDER", help="a clone of the released code")
    parser.add_argument("--device", nargs="+", choices=("cpu", "cuda"), default=["cpu"])
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--turns", type=int, default=TURNS, help="how often each thing is timed")
    parser.add_argument("--write", action="store_true", help="write results/benchmarks/monodepth2.json")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    rows: list[dict[str, Any]] = []
    for device, threads in product(arguments.device, arguments.threads):
        torch.set_num_threads(threads)
        for name, count in CASES.items():
            networks = make_networks(name)
            batch = make_batch(count, networks.depth.input_size).to(device)
            about = {"network": name, "batch": count, "device": device, "threads": threads}
            rows += measure(networks, batch, about, arguments.turns)
            if arguments.official is not None and name == next(iter(CASES)):
                theirs = Official(arguments.official, networks, batch)
                rows += compare(theirs, networks, batch, about, arguments.turns)
    report("monodepth2", rows, arguments.write)


if __name__ == "__main__":
    main()
