"""What a training run tells: its steps, its curve, its bar on the terminal, and the error when it is lost."""

import math
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

__all__ = ["History", "Progress", "Step", "TrainingDiverged"]


class TrainingDiverged(RuntimeError):
    """The loss became NaN, infinite or absurdly large, or a weight NaN or infinite; the message says where,
    and what to try.
    """


@dataclass(frozen=True)
class Step:
    """What a finished step tells: its number (from 1), its loss, the first group's rate, the seconds since
    the run began.
    """

    step: int
    loss: float
    lr: float
    seconds: float


@dataclass
class History:
    """The curve of a run, one entry a step, as columns."""

    step: list[int] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    lr: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def add(self, row: Step) -> None:
        """Append one step."""
        for name, value in asdict(row).items():
            getattr(self, name).append(value)

    def then(self, later: "History") -> "History":
        """The curve of this stage and of the one after it: steps and seconds go on counting.

        Example:
            >>> one = History([1, 2], [4.0, 2.0], [0.1, 0.1], [0.5, 1.0])
            >>> one.then(one).step, one.then(one).seconds
            ([1, 2, 3, 4], [0.5, 1.0, 1.5, 2.0])
        """
        steps, seconds = self.step[-1] if self.step else 0, self.seconds[-1] if self.seconds else 0.0
        return History(
            self.step + [steps + step for step in later.step],
            self.loss + later.loss,
            self.lr + later.lr,
            self.seconds + [seconds + second for second in later.seconds],
        )

    def thinned(self, rows: int = 200) -> "History":
        """At most ``rows`` entries: windows of equal length, their mean loss, and their last step, rate and
        time.

        Example:
            >>> History([1, 2, 3, 4], [4.0, 2.0, 2.0, 0.0], [0.1] * 4, [0.5, 1.0, 1.5, 2.0]).thinned(2).loss
            [3.0, 1.0]
        """
        window = max(1, math.ceil(len(self.step) / rows))
        ends = range(window - 1, len(self.step) + window - 1, window)
        last = [min(end, len(self.step) - 1) for end in ends]
        means = [float(np.mean(self.loss[end - window + 1 : end + 1])) for end in ends]
        return History(
            [self.step[i] for i in last], means, [self.lr[i] for i in last], [self.seconds[i] for i in last]
        )


class Progress:
    """A bar on a terminal, a line every ``interval`` seconds elsewhere: which run, step, loss, time left."""

    interval = 15.0

    def __init__(self, name: str, first: int, steps: int, wanted: bool) -> None:
        self.name, self.first, self.steps, self.wanted = name, first, steps, wanted
        self.bar: Any = None
        self.start = self.spoken = time.perf_counter()

    def __enter__(self) -> "Progress":
        if self.wanted and sys.stderr.isatty():
            from tqdm import tqdm

            self.bar = tqdm(total=self.steps, initial=self.first, desc=self.name, unit="step", leave=False)
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def show(self, row: Step) -> None:
        """Tell about one step, if it is time to."""
        now = time.perf_counter()
        if self.bar is not None:
            self.bar.set_postfix(loss=f"{row.loss:.4f}", refresh=False)
            self.bar.update()
        elif self.wanted and (now - self.spoken > self.interval or row.step == self.steps):
            self.spoken = now
            left = (now - self.start) / (row.step - self.first) * (self.steps - row.step)
            line = f"{self.name}: step {row.step} of {self.steps}, loss {row.loss:.4f}, {left:.0f} s left"
            print(line, file=sys.stderr, flush=True)
