"""Seven metrics of a 375 x 1242 depth map with median scaling: the official NumPy way against this library.

    python benchmarks/metrics.py [--threads 1 2] [--write]

Goal: 1.5 times as fast as NumPy on dense truth, with the same numbers. The protocol is Monodepth2's (Garg
crop), or the same without a crop; sparse truth is known at 4 % of the pixels, as LiDAR. NumPy has one thread;
more than one for us only makes sense on cores that nothing else uses.
"""

import argparse
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from harness import best_seconds, report

from mdepth.evaluate import PROTOCOLS, Protocol
from mdepth.metrics import Tally, median

SIZE = (375, 1242)
NAMES = ("abs_rel", "sq_rel", "rmse", "rmse_log", "delta1", "delta2", "delta3")


def official_way(prediction: np.ndarray, truth: np.ndarray, protocol: Protocol) -> tuple[float, ...]:
    """Mask, median scaling, clamp and the seven numbers, as the evaluation scripts write them."""
    mask = np.logical_and(truth > protocol.min_depth, truth < protocol.max_depth)
    if protocol.crop is not None:
        top, bottom, left, right = protocol.crop.box(*truth.shape)
        inside = np.zeros(mask.shape)
        inside[top:bottom, left:right] = 1
        mask = np.logical_and(mask, inside)
    p, t = prediction[mask], truth[mask]
    p = p * (np.median(t) / np.median(p))
    p[p < protocol.clamp[0]] = protocol.clamp[0]
    p[p > protocol.clamp[1]] = protocol.clamp[1]
    ratio = np.maximum(t / p, p / t)
    deltas = [(ratio < 1.25**k).mean() for k in (1, 2, 3)]
    rmse = np.sqrt(((t - p) ** 2).mean())
    rmse_log = np.sqrt(((np.log(t) - np.log(p)) ** 2).mean())
    return np.mean(np.abs(t - p) / t), np.mean((t - p) ** 2 / t), rmse, rmse_log, *deltas


def our_way(prediction: torch.Tensor, truth: torch.Tensor, protocol: Protocol) -> tuple[float, ...]:
    """The same steps, with the functions that ``mdepth.evaluate`` runs."""
    tally = Tally(NAMES)
    inside = protocol.inside(truth > 0)
    found, target = protocol.scored_pixels(prediction[0], truth[0], inside[0])
    scaled, _ = protocol.align(found, target)
    tally.add(scaled, target)
    return tuple(tally.per_image(name).item() for name in NAMES)


def maps(share: float) -> tuple[np.ndarray, np.ndarray]:
    """A prediction and a truth between 1 and 79 m, of which ``share`` is known."""
    rng = np.random.default_rng(0)
    truth = rng.uniform(1, 79, SIZE).astype(np.float32)
    prediction = (0.3 * truth * np.exp(0.1 * rng.standard_normal(SIZE))).astype(np.float32)
    return prediction, np.where(rng.random(SIZE) < share, truth, 0).astype(np.float32)


def measure(name: str, share: float, protocol: Protocol, threads: int) -> dict[str, Any]:
    """One row: best times in milliseconds, and how far the numbers lie apart."""
    torch.set_num_threads(threads)
    prediction, truth = maps(share)
    p, t = (torch.from_numpy(x)[None, None] for x in (prediction, truth))
    apart = np.subtract(official_way(prediction, truth, protocol), our_way(p, t, protocol))
    best = best_seconds(
        {
            "numpy": lambda: official_way(prediction, truth, protocol),
            "ours": lambda: our_way(p, t, protocol),
            "numpy.median": lambda: np.median(prediction),
            "median": lambda: median(p.flatten()),
        },
        repeats=100,
    )
    times = {f"{key}_ms": 1e3 * seconds for key, seconds in best.items()}
    speedup = best["numpy"] / best["ours"]
    largest = float(np.abs(apart).max())
    return {"case": name, "threads": threads, **times, "speedup": speedup, "largest_difference": largest}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    garg = PROTOCOLS["monodepth2-kitti"]
    cases = {
        "dense, Garg crop": (1.0, garg),
        "dense, full frame": (1.0, replace(garg, crop=None)),
        "sparse, Garg crop": (0.04, garg),
    }
    rows = [measure(name, *case, threads) for threads in arguments.threads for name, case in cases.items()]
    report("metrics", rows, arguments.write)


if __name__ == "__main__":
    main()
