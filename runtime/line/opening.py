"""From ``line.toml`` to a line."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from edgeirf.errors import EdgeirfError
from edgeirf.runtime.audit.anchor import read_key
from edgeirf.runtime.audit.model import model_of
from edgeirf.runtime.audit.store import Audit
from edgeirf.runtime.detector import Detector, load
from edgeirf.runtime.line.cameras import detector_key, station_of
from edgeirf.runtime.line.config import CameraSettings, LineConfig, OutputEntry, RecordSettings
from edgeirf.runtime.line.drift import DriftWatch
from edgeirf.runtime.line.engine import DetectorPlan
from edgeirf.runtime.line.inspect_thread import LineDetector
from edgeirf.runtime.line.plan import LinePlan
from edgeirf.runtime.line.recording import Recording
from edgeirf.runtime.line.triggering import open_trigger
from edgeirf.runtime.outputs import factory
from edgeirf.runtime.outputs.output import Output
from edgeirf.runtime.sinks.rejects import RejectSaver

_TRIES = 10


def open_plan(config: LineConfig, show: Callable[[str], None] = lambda line: None) -> LinePlan:
    """The plan of the line; cameras and detectors are opened by the line itself.

    Args:
        config: of ``line.toml``.
        show: called with lines for people: which bundle on which device, what is weaker than asked.

    Raises:
        EdgeirfError: an output, the audit trail or the folder of pictures cannot be opened.
    """
    line, records, drift = config.line, config.records, DriftWatch(len(config.cameras), config.records.drift_folder)
    openers = {
        detector_key(config, camera): _Opener(config, camera, drift, show) for camera in reversed(config.cameras)
    }
    outputs = [open_output(entry) for entry in config.outputs]
    trigger = open_trigger(config, outputs)
    audit = _audit(records)
    return LinePlan(
        stations=[station_of(config, camera, trigger) for camera in config.cameras],
        detectors={
            key: DetectorPlan(
                opener.open,
                opener.warm_up,
                opener.standby if line.cpu_takeover else None,
                partial(record_models, audit),
            )
            for key, opener in openers.items()
        },
        outputs=outputs,
        trigger=trigger,
        together=line.parts == "together",
        deadline_s=None if line.deadline_ms is None else line.deadline_ms / 1e3,
        room=line.queue,
        heartbeat_s=line.heartbeat_s,
        peer_timeout_s=line.peer_timeout_s,
        self_recovery=line.recover == "self",
        audit=audit,
        watch=drift if records.drift else None,
        recording=None if records.rejects is None else _pictures(records),
    )


def _audit(records: RecordSettings) -> Audit | None:
    if records.audit is None:
        return None
    key = None if records.audit_key is None else read_key(records.audit_key)
    return Audit(records.audit, key=key, anchor_s=records.audit_anchor_s, limit_mb=records.audit_mb or None)


def _pictures(records: RecordSettings) -> Recording:
    return Recording([RejectSaver(str(records.rejects), limit_mb=records.rejects_mb)])


def open_output(entry: OutputEntry) -> Output:
    """An output, not yet connected.

    Raises:
        EdgeirfError: a library is missing: the message says what to install.
    """
    return factory.open_output(entry.name, entry.settings)


def record_models(audit: Audit | None, detector: LineDetector, views: Sequence[str]) -> None:
    """Adds to the audit trail which bundle, precision and device inspect the views from now on.

    Raises:
        OutputError: it is not kept.
    """
    if audit is not None and isinstance(detector, Detector):
        for view in views:
            audit.inspects(view, model_of(detector))


def load_detector(config: LineConfig, camera: CameraSettings, device: str | None = None) -> Detector:
    """The detector of a camera.

    Raises:
        EdgeirfError: as of :func:`edgeirf.load`.
    """
    asked = config.detector
    return load(
        camera.model or asked.model,
        device or asked.device,
        threads=asked.threads,
        keep_warm=asked.keep_warm and device is None,
        spin=asked.spin and device is None,
        precision=asked.precision if device is None else None,
        product=camera.product or asked.product,
        false_reject_rate=asked.false_reject_rate,
        threshold=asked.threshold,
        batch=min(asked.batch, len(_sharing(config, camera))),
    )


def _sharing(config: LineConfig, camera: CameraSettings) -> list[CameraSettings]:
    """The cameras that share the camera's detector."""
    key = detector_key(config, camera)
    return [other for other in config.cameras if detector_key(config, other) == key]


def measured_ms(detector: Detector, size: tuple[int, int]) -> float:
    """Milliseconds that a detector takes at most for a frame of a size, of :data:`_TRIES`."""
    frame = np.full((*size, 3), 128, np.uint8)
    taken = []
    for _ in range(_TRIES):
        started = time.perf_counter()
        detector(frame)
        taken.append((time.perf_counter() - started) * 1e3)
    return max(taken)


@dataclass
class _Opener:
    """Opens the detector that one or more cameras share; the first of them names it."""

    config: LineConfig
    camera: CameraSettings
    drift: DriftWatch
    show: Callable[[str], None]
    device: str = ""

    def open(self) -> Detector:
        detector = load_detector(self.config, self.camera)
        self.device = detector.device
        try:
            if self.config.records.drift:
                for camera in _sharing(self.config, self.camera):
                    self.drift.add(camera.name, detector)
        except BaseException:
            detector.close()
            raise
        self.show(
            f"{self.camera.name}: {detector.bundle.label}, product {detector.product}, {detector.model_key} on "
            f"{detector.executor.name}; rejects above {detector.threshold:.4g}: at most "
            f"{detector.false_reject_rate:.2%} of good parts"
        )
        return detector

    def warm_up(self, detector: LineDetector, sizes: Sequence[tuple[int, int]]) -> None:
        assert isinstance(detector, Detector)  # noqa: S101
        for size in sizes:
            detector.warm_up(size, self.camera.pixel_format or "bgr8")

    def standby(self, sizes: Sequence[tuple[int, int]]) -> Detector | None:
        """The CPU, where another device inspects and the CPU's measured latency meets the deadline."""
        if self.device in ("cpu", "openvino"):
            return None
        try:
            detector = load_detector(self.config, self.camera, "cpu")
        except EdgeirfError as error:
            self.show(f"note: the CPU does not take over when the device is lost: {error}")
            return None
        deadline = self.config.line.deadline_ms or 0.0
        taken = measured_ms(detector, sizes[0] if sizes else detector.bundle.manifest.preprocess.size)
        if taken <= deadline:
            self.show(
                f"{self.camera.name}: the CPU takes over when the device is lost: {taken:.0f} of {deadline:.0f} ms"
            )
            return detector
        detector.close()
        self.show(
            f"note: the CPU does not take over: a frame takes it {taken:.0f} ms, the deadline is {deadline:.0f} ms"
        )
        return None
