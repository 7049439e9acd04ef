"""The whole way of a frame on this GPU: engines, parity with ONNX Runtime, CUDA graphs, latency, leaks, processes."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from edgeirf.bundle import Bundle
from edgeirf.conformal import Limits
from edgeirf.errors import EdgeirfError
from edgeirf.runtime.bench import Target, Workload, measure
from edgeirf.runtime.bench.frames import golden_frames
from edgeirf.runtime.bench.measure import resident_mb
from edgeirf.runtime.bench.summary import summarise
from edgeirf.runtime.executors.base import ExecutorResult, Pending, inspect
from edgeirf.runtime.executors.cpu import CpuExecutor
from edgeirf.runtime.executors.gpu.executor import GpuExecutor
from edgeirf.runtime.executors.onnxruntime import OnnxRuntimeNetwork
from edgeirf.runtime.executors.select import candidates
from edgeirf.runtime.executors.tensorrt import LoadedGraph, load_graph
from edgeirf.runtime.imaging.pixel_format import from_bgr
from edgeirf.runtime.imaging.preprocess import crop
from edgeirf.runtime.render.overlay import overlay
from edgeirf.runtime.selftest.outcome import Failed, Figures, Skip
from edgeirf.settings import PixelFormat

TOLERANCE = {"fp32": 1e-3, "fp16": 2e-2, "int8": 2e-1}
"""Largest difference of a score from ONNX Runtime's FP32 score of the same frame, as a share of that score or of the
threshold, whichever is larger: a part that scores a hundredth of the threshold may be off by one rounded pixel."""

RAW: tuple[PixelFormat, ...] = ("bayer_rggb8", "bayer_gbrg8", "nv12")

LoadGraph = Callable[[str], LoadedGraph]


@dataclass
class Subject:
    """What is checked.

    Attributes:
        bundle: the model.
        frames: good parts at the camera's size, and spoilt ones.
        load_graph: loads the graph of a precision on the GPU.
    """

    bundle: Bundle
    frames: list[Any]
    load_graph: LoadGraph

    @classmethod
    def of(cls, bundle: Bundle, size: tuple[int, int]) -> Subject:
        """The bundle's golden images and variations of them, on TensorRT."""
        good = golden_frames(bundle, size)

        def load(precision: str) -> LoadedGraph:
            return load_graph(bundle, candidates(bundle, "tensorrt", precision))

        return cls(bundle, [*good, *map(spoil, good)], load)

    def executor(self, precision: str) -> GpuExecutor:
        """The GPU's executor of a precision; close it.

        Raises:
            Skip: the bundle has no such graph.
            EdgeirfError: it does not run on the GPU.
        """
        self.need(precision)
        loaded = self.load_graph(precision)
        network, settings = loaded.network, self.bundle.manifest.preprocess
        try:
            return GpuExecutor(network.engine, settings, loaded.model.scoring, self.limits, release=network.close)
        except EdgeirfError:
            network.close()
            raise

    def need(self, precision: str) -> None:
        """Raises Skip where the bundle has no such graph for TensorRT."""
        if precision not in {m.precision for m in self.bundle.manifest.models.values() if m.family != "onnxruntime"}:
            raise Skip(f"the bundle has no {precision} graph: edgeirf export --precision {precision}")

    @property
    def limits(self) -> Limits:
        """What all good parts keep and spoilt ones do not."""
        calibration = next(iter(self.bundle.manifest.models["fp32"].calibration.values()))
        return Limits(calibration.scores[-1], calibration.peaks[-1], calibration.scores)

    def host(self) -> CpuExecutor:
        """ONNX Runtime in FP32."""
        manifest = self.bundle.manifest
        model = manifest.models["fp32"]
        network = OnnxRuntimeNetwork(self.bundle.member(model.file))
        return CpuExecutor(network, manifest.preprocess, model.scoring, self.limits)


def spoil(frame: Any) -> Any:
    """The part with a scratch and a stain."""
    spoilt = frame.copy()
    height, width = frame.shape[:2]
    cv2.line(spoilt, (width // 4, height // 3), (width // 2, height // 2), (255, 255, 255), max(1, width // 100))
    cv2.circle(spoilt, (2 * width // 3, 2 * height // 3), width // 20, (0, 0, 0), -1)
    return spoilt


def parity(subject: Subject, precision: str) -> Figures:
    """Scores against ONNX Runtime in FP32, from the camera's bytes on."""
    host = subject.host()
    start = time.perf_counter()
    gpu = subject.executor(precision)
    figures: Figures = {"open_seconds": time.perf_counter() - start, "frames": len(subject.frames)}
    try:
        differences, plain, flips = [], [], 0
        for frame in subject.frames:
            expected, found = inspect(host, frame), inspect(gpu, frame)
            difference = abs(found.score - expected.score)
            differences.append(difference / max(abs(expected.score), abs(subject.limits.threshold)))
            plain.append(difference / max(abs(expected.score), 1e-6))
            flips += found.reject != expected.reject
            if precision == "fp32":
                figures["largest_map_difference"] = float(np.abs(found.map.array() - expected.map.array()).max())
                figures["same_number_of_regions"] = len(found.regions) == len(expected.regions)
    finally:
        gpu.close()
    figures |= {"largest_difference": max(differences), "largest_relative_to_the_score": max(plain), "flips": flips}
    if max(differences) > TOLERANCE[precision]:
        raise Failed(f"scores differ by {max(differences):.2g}, more than {TOLERANCE[precision]:g}", figures)
    return figures


def raw_formats(subject: Subject) -> Figures:
    """Bayer and NV12 bytes straight into the GPU, and the heat map drawn there, against the host."""
    host, gpu = subject.host(), subject.executor("fp32")
    figures: Figures = {}
    try:
        for pixel_format in RAW:
            worst = 0.0
            for frame in subject.frames:
                raw = from_bgr(frame, pixel_format)
                expected, found = inspect(host, raw, pixel_format).score, inspect(gpu, raw, pixel_format).score
                worst = max(worst, abs(found - expected) / max(abs(expected), abs(subject.limits.threshold)))
            figures[pixel_format] = worst
        frame = subject.frames[-1]
        heat = inspect(gpu, frame).map.heat()
        area = crop(frame, gpu.settings)
        scored_map = cv2.resize(inspect(host, frame).map.array(), area.shape[1::-1]).astype(np.float32, copy=False)
        drawn = overlay(area, scored_map, gpu.limits.pixel_threshold)
        figures["heat"] = float(np.abs(heat.astype(int) - drawn).mean()) if heat is not None else None
    finally:
        gpu.close()
    if max(figures[pixel_format] for pixel_format in RAW) > TOLERANCE["fp32"]:
        raise Failed("raw frames score differently", figures)
    if figures["heat"] is None or figures["heat"] > 1.0:
        raise Failed("the heat map is drawn differently", figures)
    return figures


def graphs(subject: Subject) -> Figures:
    """Frames run as one CUDA graph, and two in flight or another shape in between give the very same scores."""
    gpu = subject.executor("fp32")
    try:
        alone = [inspect(gpu, frame).score for frame in subject.frames]
        inspect(gpu, cv2.resize(subject.frames[0], None, fx=1.5, fy=1.25))
        again = [inspect(gpu, frame).score for frame in subject.frames]
        flying = [result.score for result in overlapped(gpu, subject.frames)]
        launches, nodes = gpu.launches, gpu.graph_nodes()
    finally:
        gpu.close()
    spread = float(np.ptp([alone, again, flying], axis=0).max() / max(map(abs, alone)))
    figures: Figures = {"spread": spread, "as_graph": launches.graph, "one_by_one": launches.single, "nodes": nodes}
    if spread > 1e-5:
        raise Failed(f"the same frame scores differently, by {spread:.2g}", figures)
    if launches.single:
        raise Failed(f"{launches.single} of {sum(launches)} frames did not run as a CUDA graph", figures)
    return figures


def overlapped(gpu: GpuExecutor, frames: Iterable[Any]) -> Iterator[ExecutorResult]:
    """The frames' results, with two frames in flight."""
    pending = deque[Pending]()
    for frame in frames:
        pending.append(gpu.submit(frame))
        if len(pending) == gpu.depth:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


def keep_warm(subject: Subject, gaps: int, gap_s: float) -> Figures:
    """The first frame after a pause, with and without idle runs in it."""
    figures: Figures = {}
    loaded = subject.load_graph("fp32")
    settings, rules = subject.bundle.manifest.preprocess, loaded.model.scoring
    try:
        for name, period in (("cold", None), ("warm", 0.05)):
            gpu = GpuExecutor(loaded.network.engine, settings, rules, keep_warm_s=period)
            try:
                inspect(gpu, subject.frames[0])
                samples = []
                for _ in range(gaps):
                    time.sleep(gap_s)
                    start = time.perf_counter()
                    inspect(gpu, subject.frames[0])
                    samples.append((time.perf_counter() - start) * 1e3)
                figures[name] = summarise(samples)
            finally:
                gpu.close()
    finally:
        loaded.network.close()
    return figures


def latency(subject: Subject, precision: str, work: Workload) -> Figures:
    """Percentiles by stage, as ``edgeirf bench`` measures them."""
    done = measure(subject.bundle, Target("tensorrt", precision, precision), work)
    if done.error:
        raise Failed(done.error)
    return {
        "p50_ms": done.steady["total"]["p50_ms"],
        "p999_ms": done.steady["total"]["p999_ms"],
        "frames_per_second": done.throughput,
        "joules_per_frame": done.joules_per_frame,
        "steady": done.steady,
        "triggered": done.triggered,
    }


def leaks(subject: Subject, count: int) -> Figures:
    """Many frames: neither this process nor the GPU may hold more at the end than after the first thousandth."""
    gpu = subject.executor("fp32")
    try:
        early = max(1, count // 1000)
        start = time.perf_counter()
        before: tuple[float, float] = (0.0, 0.0)
        for index, frame in enumerate(itertools.islice(itertools.cycle(subject.frames), count)):
            inspected = inspect(gpu, frame)
            if index % 97 == 0:
                inspected.map.array()
            if index == early:
                before = (resident_mb() or 0.0, gpu.memory()[0] / 1e6)
        seconds = time.perf_counter() - start
        after = (resident_mb() or 0.0, gpu.memory()[0] / 1e6)
    finally:
        gpu.close()
    figures = {
        "frames": count,
        "frames_per_second": count / seconds,
        "process_growth_mb": after[0] - before[0],
        "gpu_growth_mb": before[1] - after[1],
    }
    if figures["process_growth_mb"] > 32 or figures["gpu_growth_mb"] > 32:
        raise Failed("memory grows", figures)
    return figures


def second_process(subject: Subject) -> Figures:
    """Another process inspects on the same GPU while this one holds an executor."""
    gpu = subject.executor("fp32")
    script = (
        "import sys, numpy as np, edgeirf\n"
        "with edgeirf.load(sys.argv[1], 'tensorrt') as detector:\n"
        "    print(detector(np.full((int(sys.argv[2]), int(sys.argv[3]), 3), 128, np.uint8)).score)\n"
    )
    try:
        inspect(gpu, subject.frames[0])
        height, width = subject.frames[0].shape[:2]
        command = [sys.executable, "-c", script, str(subject.bundle.path), str(height), str(width)]
        done = subprocess.run(  # noqa: S603 - this Python, a fixed script
            command, capture_output=True, text=True, check=False, timeout=1800, env=os.environ.copy()
        )
        inspect(gpu, subject.frames[0])
    finally:
        gpu.close()
    if done.returncode:
        raise Failed(f"the second process failed: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}")
    return {"score": float(done.stdout.strip().splitlines()[-1])}
