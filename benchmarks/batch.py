"""What frames of several cameras cost when they go through the network together, against one after another.

    python benchmarks/batch.py BUNDLE.irf [--frames 40] [--precision int8] [--threads 1]

The network of the bundle runs on 1, 2, 3 and 4 frames by turns in one process on ONNX Runtime's CPU. ``ratio`` is the
median of milliseconds a frame, divided by those of a single frame.
"""

from __future__ import annotations

import argparse
from statistics import median
from time import perf_counter

import numpy as np

import edgeirf
from edgeirf.runtime.executors.cpu import CpuExecutor

BATCHES = (1, 2, 3, 4)


def measure(path: str, frames: int, precision: str | None, threads: int | None) -> dict[int, float]:
    """Median milliseconds a frame for each of :data:`BATCHES`."""
    with edgeirf.load(path, device="cpu", precision=precision, threads=threads) as detector:
        executor, settings = detector.executor, detector.bundle.manifest.preprocess
        assert isinstance(executor, CpuExecutor)
        tiles = settings.tiles[0] * settings.tiles[1]
        noise = np.random.default_rng(0).normal(size=(max(BATCHES) * tiles, 3, *settings.size)).astype(np.float32)
        taken: dict[int, list[float]] = {batch: [] for batch in BATCHES}
        for number in range(-1, frames):  # the first round allocates
            for batch, times in taken.items():
                start = perf_counter()
                executor.network.run(noise[: batch * tiles])
                if number >= 0:
                    times.append((perf_counter() - start) * 1e3 / batch)
    return {batch: median(times) for batch, times in taken.items()}


def main() -> None:
    """Prints a line a batch."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--precision")
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    found = measure(options.bundle, options.frames, options.precision, options.threads)
    for batch, milliseconds in found.items():
        print(f"batch {batch}: {milliseconds:8.2f} ms a frame, ratio {milliseconds / found[1]:.3f}")


if __name__ == "__main__":
    main()
