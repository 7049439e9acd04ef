"""What the watch for drift costs, against the inspection of the same frame.

    python benchmarks/watch.py BUNDLE.irf [--size 2592x1944] [--frames 40]

Colour frames are inspected and watched by turns, one thread each. ``ratio`` is the median time of ``Monitor.watch``
over that of the inspection; the line runs it after the outputs have the verdict.
"""

from __future__ import annotations

import argparse
from statistics import median
from time import perf_counter

import cv2
import numpy as np

import edgeirf
from edgeirf.part import PartVerdict
from edgeirf.runtime.monitor.monitor import Monitor
from edgeirf.runtime.synthetic.render import render


def measure(path: str, size: tuple[int, int], frames: int) -> tuple[float, float]:
    """Median milliseconds of an inspection and of a watch; ``size`` is ``(width, height)``."""
    cv2.setNumThreads(1)
    pictures = [np.ascontiguousarray(cv2.resize(render(1, seed).image, size)) for seed in range(4)]
    inspected, watched = [], []
    with edgeirf.load(path, device="cpu", threads=1) as detector:
        monitor = Monitor(detector)
        for number in range(frames + 1):  # the first one allocates
            start = perf_counter()
            verdict = detector(pictures[number % len(pictures)]).verdict
            middle = perf_counter()
            part = PartVerdict(number, verdict.reject, "inspected", {"top": verdict})
            monitor.watch(part, pictures[number % len(pictures)])
            inspected.append((middle - start) * 1e3)
            watched.append((perf_counter() - middle) * 1e3)
    return median(inspected[1:]), median(watched[1:])


def main() -> None:
    """Prints a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--size", default="2592x1944")
    parser.add_argument("--frames", type=int, default=40)
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    inspection, watch = measure(options.bundle, (width, height), options.frames)
    print(f"{options.size}: inspection {inspection:.2f} ms, watch {watch:.2f} ms, ratio {watch / inspection:.3f}")


if __name__ == "__main__":
    main()
