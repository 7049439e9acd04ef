"""The whole chain on this GPU: engines, parity with ONNX Runtime, CUDA graphs, latency, leaks, other processes."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from outcome import Failed, Figures, Skip

from edgeirf.bundle import Bundle
from edgeirf.conformal import Limits
from edgeirf.runtime.bench import Target, Workload, measure
from edgeirf.runtime.bench.frames import golden_frames
from edgeirf.runtime.bench.measure import resident_mb
from edgeirf.runtime.bench.summary import summarise
from edgeirf.runtime.detector import make_chain
from edgeirf.runtime.executors.chain import HostChain
from edgeirf.runtime.executors.gpu.executor import CudaChain
from edgeirf.runtime.executors.onnxruntime import OnnxRuntimeBackend
from edgeirf.runtime.executors.select import Opened, open_model
from edgeirf.runtime.imaging.pixel_format import from_bgr
from edgeirf.runtime.imaging.preprocess import crop
from edgeirf.runtime.render.overlay import overlay
from edgeirf.settings import PixelFormat

TOLERANCE = {"fp32": 1e-3, "fp16": 2e-2, "int8": 2e-1}
"""Largest difference of a score from ONNX Runtime's FP32 score of the same frame, as a share of that score or of the
threshold, whichever is larger: a part that scores a hundredth of the threshold may be off by one rounded pixel."""

RAW: tuple[PixelFormat, ...] = ("bayer_rggb8", "bayer_gbrg8", "nv12")

OpenModel = Callable[[str], Opened]


@dataclass
class Subject:
    """What is checked.

    Attributes:
        bundle: the model.
        frames: good parts at the camera's size, and spoilt ones.
        open_model: opens a precision on the GPU.
    """

    bundle: Bundle
    frames: list[Any]
    open_model: OpenModel

    @classmethod
    def of(cls, bundle: Bundle, size: tuple[int, int]) -> Subject:
        """The bundle's golden images and variations of them, on TensorRT."""
        good = golden_frames(bundle, size)
        return cls(bundle, [*good, *map(spoil, good)], lambda precision: open_model(bundle, "tensorrt", precision))

    def chain(self, precision: str) -> CudaChain:
        """The chain of a precision; close it.

        Raises:
            Skip: the bundle has no such graph.
            Failed: it does not run on the GPU.
        """
        if precision not in {m.precision for m in self.bundle.manifest.models.values() if m.family != "onnxruntime"}:
            raise Skip(f"the bundle has no {precision} graph: edgeirf export --precision {precision}")
        opened = self.open_model(precision)
        chain = make_chain(opened, self.bundle.manifest.preprocess, self.limits)
        if not isinstance(chain, CudaChain):
            chain.close()
            raise Failed("pre- and post-processing stay on the CPU: see the log")
        return chain

    @property
    def limits(self) -> Limits:
        """What all good parts keep and spoilt ones do not."""
        calibration = next(iter(self.bundle.manifest.models["fp32"].calibration.values()))
        return Limits(calibration.scores[-1], calibration.peaks[-1], calibration.scores)

    def host(self) -> HostChain:
        """ONNX Runtime in FP32."""
        manifest = self.bundle.manifest
        model = manifest.models["fp32"]
        backend = OnnxRuntimeBackend(self.bundle.member(model.file))
        return HostChain(backend, manifest.preprocess, model.scoring, self.limits)


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
    chain = subject.chain(precision)
    figures: Figures = {"open_seconds": time.perf_counter() - start, "frames": len(subject.frames)}
    try:
        differences, plain, flips = [], [], 0
        for frame in subject.frames:
            expected, found = host.inspect(frame), chain.inspect(frame)
            difference = abs(found.score - expected.score)
            differences.append(difference / max(abs(expected.score), abs(subject.limits.threshold)))
            plain.append(difference / max(abs(expected.score), 1e-6))
            flips += found.reject != expected.reject
            if precision == "fp32":
                figures["largest_map_difference"] = float(np.abs(found.map() - expected.map()).max())
                figures["same_number_of_regions"] = len(found.regions) == len(expected.regions)
    finally:
        chain.close()
    figures |= {"largest_difference": max(differences), "largest_relative_to_the_score": max(plain), "flips": flips}
    if max(differences) > TOLERANCE[precision]:
        raise Failed(f"scores differ by {max(differences):.2g}, more than {TOLERANCE[precision]:g}", figures)
    return figures


def raw_formats(subject: Subject) -> Figures:
    """Bayer and NV12 bytes straight into the GPU, and the heat map drawn there, against the host."""
    host, chain = subject.host(), subject.chain("fp32")
    figures: Figures = {}
    try:
        for pixel_format in RAW:
            worst = 0.0
            for frame in subject.frames:
                raw = from_bgr(frame, pixel_format)
                expected, found = host.inspect(raw, pixel_format).score, chain.inspect(raw, pixel_format).score
                worst = max(worst, abs(found - expected) / max(abs(expected), abs(subject.limits.threshold)))
            figures[pixel_format] = worst
        frame = subject.frames[-1]
        heat = chain.inspect(frame).heat()
        area = crop(frame, chain.settings)
        scored_map = cv2.resize(host.inspect(frame).map(), area.shape[1::-1])
        drawn = overlay(area, scored_map, chain.limits.pixel_threshold)
        figures["heat"] = float(np.abs(heat.astype(int) - drawn).mean()) if heat is not None else None
    finally:
        chain.close()
    if max(figures[pixel_format] for pixel_format in RAW) > TOLERANCE["fp32"]:
        raise Failed("raw frames score differently", figures)
    if figures["heat"] is None or figures["heat"] > 1.0:
        raise Failed("the heat map is drawn differently", figures)
    return figures


def graphs(subject: Subject) -> Figures:
    """One graph, two frames in flight and another shape in between give the very same scores."""
    chain = subject.chain("fp32")
    try:
        alone = [chain.inspect(frame).score for frame in subject.frames]
        chain.inspect(cv2.resize(subject.frames[0], None, fx=1.5, fy=1.25))
        again = [chain.inspect(frame).score for frame in subject.frames]
        flying = []
        chain.submit(subject.frames[0])
        for frame in subject.frames[1:]:
            chain.submit(frame)
            flying.append(chain.result().score)
        flying.append(chain.result().score)
    finally:
        chain.close()
    spread = float(np.ptp([alone, again, flying], axis=0).max() / max(map(abs, alone)))
    if spread > 1e-5:
        raise Failed(f"the same frame scores differently, by {spread:.2g}", {"spread": spread})
    return {"spread": spread, "frames": 3 * len(subject.frames)}


def keep_warm(subject: Subject, gaps: int, gap_s: float) -> Figures:
    """The first frame after a pause, with and without idle runs in it."""
    figures: Figures = {}
    opened = subject.open_model("fp32")
    settings, rules = subject.bundle.manifest.preprocess, opened.model.scoring
    try:
        for name, period in (("cold", None), ("warm", 0.05)):
            engine = opened.backend.engine  # type: ignore[attr-defined]
            chain = CudaChain(engine, settings, rules, keep_warm_s=period)
            try:
                chain.inspect(subject.frames[0])
                samples = []
                for _ in range(gaps):
                    time.sleep(gap_s)
                    start = time.perf_counter()
                    chain.inspect(subject.frames[0])
                    samples.append((time.perf_counter() - start) * 1e3)
                figures[name] = summarise(samples)
            finally:
                chain.close()
    finally:
        opened.backend.close()
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
    chain = subject.chain("fp32")
    try:
        early = max(1, count // 1000)
        start = time.perf_counter()
        before: tuple[float, float] = (0.0, 0.0)
        for index, frame in enumerate(itertools.islice(itertools.cycle(subject.frames), count)):
            inspected = chain.inspect(frame)
            if index % 97 == 0:
                inspected.map()
            if index == early:
                before = (resident_mb() or 0.0, chain.memory()[0] / 1e6)
        seconds = time.perf_counter() - start
        after = (resident_mb() or 0.0, chain.memory()[0] / 1e6)
    finally:
        chain.close()
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
    """Another process inspects on the same GPU while this one holds a chain."""
    chain = subject.chain("fp32")
    script = (
        "import sys, numpy as np, edgeirf\n"
        "with edgeirf.load(sys.argv[1], 'tensorrt') as detector:\n"
        "    print(detector(np.full((int(sys.argv[2]), int(sys.argv[3]), 3), 128, np.uint8)).score)\n"
    )
    try:
        chain.inspect(subject.frames[0])
        height, width = subject.frames[0].shape[:2]
        command = [sys.executable, "-c", script, str(subject.bundle.path), str(height), str(width)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1800, env=os.environ.copy())
        chain.inspect(subject.frames[0])
    finally:
        chain.close()
    if done.returncode:
        raise Failed(f"the second process failed: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}")
    return {"score": float(done.stdout.strip().splitlines()[-1])}
