"""What the C library and the local server cost.

    python benchmarks/embed_c.py BUNDLE.irf [--size 1280x1024] [--frames 100]

- *overhead*: CPU time of a frame through ``edgeirf_inspect()`` (verdict, regions, map) and of the bare run of its
  graph, in turn in one process,
- *start*: from ``edgeirf_load()`` to the first verdict, and the memory that is resident then,
- *round trip*: a frame to a server that inspects nothing, its verdict and map back.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import edgeirf
from edgeirf.runtime.capi.sources import FOLDER, onnxruntime_library
from edgeirf.runtime.serve.server import ShmServer
from edgeirf.verdict import Verdict

PROGRAM = Path(__file__).with_suffix(".cpp")


class Idle:
    """A detector that inspects nothing."""

    def __init__(self, detector: edgeirf.Detector) -> None:
        self._detector = detector
        height, width = detector.bundle.manifest.preprocess.size
        rows, columns = detector.bundle.manifest.preprocess.tiles
        self._map = np.zeros((height * rows, width * columns), np.float32)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._detector, name)

    def __call__(self, frame: object, **_: object) -> Idle:
        """What it gives for every frame."""
        return self

    verdict = Verdict(reject=False, score=0.0, p_value=1.0, threshold=1.0, pixel_threshold=1.0)

    def network_map(self) -> Any:
        """Of an inspection."""
        return self._map


def build(folder: Path) -> Path:
    """Compiles the program as CMake's Release does."""
    out, library = folder / "embed_c", onnxruntime_library()
    if library is None:
        raise SystemExit("this onnxruntime package has no shared library")
    flags = ["-std=c++17", "-O3", "-DNDEBUG", f'-DEDGEIRF_ONNXRUNTIME="{library}"', f"-I{FOLDER}"]
    subprocess.run(["g++", *flags, str(PROGRAM), "-o", str(out), "-ldl"], check=True)
    return out


def run(*command: object) -> dict[str, float]:
    """What the program prints."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def serve(bundle: str, socket: Path, listens: Any) -> None:
    """An idle server, until it is ended."""
    with edgeirf.load(bundle, device="cpu", threads=1) as detector:
        ShmServer(Idle(detector), socket).run(listens.set)  # type: ignore[arg-type]


def round_trip(program: Path, bundle: str, folder: Path, size: list[str], frames: int) -> dict[str, float]:
    """Figures of a server in a process of its own."""
    context = multiprocessing.get_context("spawn")
    listens = context.Event()
    server = context.Process(target=serve, args=(bundle, folder / "line.sock", listens))
    server.start()
    try:
        if not listens.wait(60):
            raise SystemExit("the server does not start")
        return run(program, "server", folder / "line.sock", *size, frames)
    finally:
        server.terminate()
        server.join()


def main() -> None:
    """Prints one line a figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--size", default="1280x1024", help="of the frame, WIDTHxHEIGHT")
    parser.add_argument("--frames", type=int, default=100)
    options = parser.parse_args()
    size = options.size.split("x")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        program = build(folder)
        start = run(program, "start", options.bundle, *size)
        both = run(program, "overhead", options.bundle, *size, options.frames)
        trip = round_trip(program, options.bundle, folder, size, options.frames * 3)
    share = both["library_ms"] / both["graph_ms"] - 1
    print(f"{options.bundle}, {options.size} BGR, 1 thread, p50 of {options.frames} frames")
    print(f"  graph {both['graph_ms']:.2f} ms CPU, library {both['library_ms']:.2f} ms CPU: overhead {share:+.2%}")
    print(f"  load to first verdict {start['wall_ms']:.0f} ms ({start['cpu_ms']:.0f} ms CPU)")
    print(f"  resident {start['resident_mb']:.0f} MB, peak {start['peak_mb']:.0f} MB")
    print(
        f"  round trip to the server {trip['p50_ms']:.3f} ms (least {trip['least_ms']:.3f}, p99 {trip['p99_ms']:.3f})"
    )


if __name__ == "__main__":
    main()
