"""Milliseconds per frame of the synthetic worlds: with everything, without shadows, without anti-aliasing;
and reading batches back.

    python benchmarks/renderer.py [--write]

A frame is rendered on one thread; several processes render several frames. The scene with 45 solids is a
street of which the 45 nearest were kept: the size that the goal (150 ms for 96 x 320 with everything) was set
for.
"""

import argparse
import dataclasses
import tempfile
import time
from typing import Any

import torch
from harness import best_seconds, report

from mdepth.datasets.worlds import World, load, render, scene

SCENES = 6
SETUPS = [("rooms", 96, 128), ("roads", 64, 192), ("roads", 96, 320)]
VARIANTS: dict[str, dict[str, Any]] = {
    "everything": {},
    "no shadows": {"shadows": False},
    "no anti-aliasing": {"antialias": 1},
    "bare": {"shadows": False, "antialias": 1, "textures": False},
}


def frames(world: World, solids: int | None = None) -> dict[str, Any]:
    """One call per scene of a world; ``solids`` keeps the nearest ones only."""
    K = world.intrinsics()
    calls = {}
    for index in range(world.scenes):
        view = scene(world, index)
        if solids is not None:
            nearest = (view.solids.centre - view.T_world_camera[0, :3, 3]).norm(dim=1).argsort()[:solids]
            view = dataclasses.replace(view, solids=view.solids.select(nearest))
        calls[str(index)] = (view, K)
    return calls


def measure(
    kind: str, height: int, width: int, variant: str, device: str, solids: int | None = None
) -> dict[str, Any]:
    """One row: the mean over some scenes of the shortest of five times."""
    world = World(kind, scenes=SCENES, height=height, width=width, **VARIANTS[variant])
    views = frames(world, solids)

    def draw(view: Any, K: torch.Tensor) -> None:
        render(view, 0, K, height, width, antialias=world.antialias, device=device)
        if device == "cuda":
            torch.cuda.synchronize()

    functions = {name: (lambda view=view, K=K: draw(view, K)) for name, (view, K) in views.items()}
    best = best_seconds(functions, repeats=5)
    return {
        "world": kind,
        "size": f"{height}x{width}",
        "solids": round(sum(len(view.solids) for view, _ in views.values()) / SCENES),
        "variant": variant,
        "device": device,
        "ms": 1e3 * sum(best.values()) / SCENES,
    }


def building(kind: str) -> dict[str, Any]:
    """One row: putting a scene together, before anything is rendered."""
    world = World(kind, scenes=SCENES)
    best = best_seconds({str(i): (lambda i=i: scene(world, i)) for i in range(SCENES)}, repeats=5)
    return {
        "world": kind,
        "variant": "build the scene",
        "device": "cpu",
        "ms": 1e3 * sum(best.values()) / SCENES,
    }


def reading(kind: str) -> dict[str, Any]:
    """One row: a batch of 16 frames out of the cache."""
    world = World(kind, scenes=64, antialias=1, shadows=False)
    with tempfile.TemporaryDirectory() as cache:
        data = load(world, cache=cache)
        best = best_seconds({"batch": lambda: data.batch(torch.randperm(64)[:16].tolist())})
    return {"world": kind, "variant": "read a batch of 16", "device": "cpu", "ms": 1e3 * best["batch"]}


def throughput(kind: str, workers: int) -> dict[str, Any]:
    """One row: rendering 128 frames of the standard size into a cache, processes started included."""
    world = World(kind, scenes=128)
    with tempfile.TemporaryDirectory() as cache:
        start = time.perf_counter()
        load(world, cache=cache, workers=workers)
        seconds = time.perf_counter() - start
    return {
        "world": kind,
        "variant": f"fill a cache, {workers} process(es)",
        "device": "cpu",
        "ms": 1e3 * seconds / world.scenes,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write results/benchmarks/renderer.json")
    parser.add_argument(
        "--throughput", action="store_true", help="also fill caches with one and two processes (a minute)"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    rows = [
        measure(*setup, variant, device) for device in devices for setup in SETUPS for variant in VARIANTS
    ]
    rows += [measure("roads", 96, 320, "everything", device, solids=45) for device in devices]
    rows += [row(kind) for row in (building, reading) for kind in ("rooms", "roads")]
    if arguments.throughput:
        rows += [throughput(kind, workers) for kind in ("rooms", "roads") for workers in (1, 2)]
    report("renderer", rows, arguments.write)


if __name__ == "__main__":
    main()
