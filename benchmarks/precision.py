"""What a precision gains on the CPU: every graph of a bundle that ONNX Runtime may run, turn by turn in one process.

python benchmarks/precision.py BUNDLE.irf [--runs 200] [--threads 1,2]
"""

from __future__ import annotations

import argparse
from statistics import median
from time import perf_counter

import numpy as np

from edgeirf.bundle import Bundle
from edgeirf.runtime.executors.onnxruntime import OnnxRuntimeNetwork

WARM_UP = 20


def main() -> None:
    """Prints p50 and the ratio to fp32 for each graph and thread count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--threads", default="1,2")
    arguments = parser.parse_args()
    bundle = Bundle.read(arguments.bundle)
    settings = bundle.manifest.preprocess
    shape = (settings.tiles[0] * settings.tiles[1], 3, *settings.size)
    batch = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    models = {key: m for key, m in bundle.manifest.models.items() if m.family in ("any", "onnxruntime")}
    for threads in map(int, arguments.threads.split(",")):
        backends = {key: OnnxRuntimeNetwork(bundle.member(model.file), threads) for key, model in models.items()}
        times: dict[str, list[float]] = {key: [] for key in backends}
        for _ in range(WARM_UP + arguments.runs):
            for key, backend in backends.items():
                start = perf_counter()
                backend.run(batch)
                times[key].append((perf_counter() - start) * 1e3)
        p50 = {key: median(values[WARM_UP:]) for key, values in times.items()}
        for key, value in p50.items():
            print(f"{threads} threads  {key:6}  p50 {value:6.2f} ms  {p50['fp32'] / value:.2f}x of fp32's speed")


if __name__ == "__main__":
    main()
