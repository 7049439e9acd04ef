"""From ``line.toml`` to a line."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from edgeirf.errors import EdgeirfError, UsageError
from edgeirf.part import PartVerdict
from edgeirf.runtime.audit.model import model_of
from edgeirf.runtime.audit.store import Audit
from edgeirf.runtime.detector import Detector, load
from edgeirf.runtime.imaging.pixel_format import Pixels
from edgeirf.runtime.line.capture_thread import Station
from edgeirf.runtime.line.config import CameraSettings, LineConfig, OutputEntry
from edgeirf.runtime.line.engine import DetectorPlan
from edgeirf.runtime.line.inspect_thread import LineDetector
from edgeirf.runtime.line.plan import LinePlan, Watch
from edgeirf.runtime.line.recording import Recording
from edgeirf.runtime.monitor.monitor import Monitor
from edgeirf.runtime.outputs import factory
from edgeirf.runtime.outputs.output import Output
from edgeirf.runtime.sinks.rejects import RejectSaver
from edgeirf.runtime.sources import Source, open_source
from edgeirf.runtime.triggers.gpio import GpioSettings, open_gpio
from edgeirf.runtime.triggers.handshake import Handshake
from edgeirf.runtime.triggers.network import HttpTrigger
from edgeirf.runtime.triggers.settings import FreeSettings, HttpSettings, PlcSettings
from edgeirf.runtime.triggers.software import SoftwareTrigger
from edgeirf.runtime.triggers.trigger import Trigger

_STREAMS = ("rtsp", "rtsps", "rtmp", "http", "https", "udp", "tcp", "v4l2", "gst", "csi", "genicam")
_TRIES = 10


@dataclass
class Drift:
    """One monitor a detector, all of them seen as one."""

    monitors: dict[str, Watch] = field(default_factory=dict)

    def watch(self, part: PartVerdict, frame: Pixels | None) -> str | None:
        """The reasons of all monitors."""
        reasons = [monitor.watch(part, frame) for monitor in self.monitors.values()]
        return "; ".join(reason for reason in reasons if reason) or None


def open_plan(config: LineConfig, show: Callable[[str], None] = lambda line: None) -> LinePlan:
    """The plan of the line; cameras and detectors are opened by the line itself.

    Args:
        config: of ``line.toml``.
        show: called with lines for people: which bundle on which device, what is weaker than asked.

    Raises:
        EdgeirfError: an output, the audit trail or the folder of pictures cannot be opened.
    """
    line, records, drift = config.line, config.records, Drift()
    openers = {_key(config, camera): _Opener(config, camera, drift, show) for camera in reversed(config.cameras)}
    outputs = [open_output(entry) for entry in config.outputs]
    audit = None if records.audit is None else Audit(records.audit)
    return LinePlan(
        stations=[_station(config, camera) for camera in config.cameras],
        detectors={
            key: DetectorPlan(opener.open, opener.standby if line.cpu_takeover else None, partial(record_models, audit))
            for key, opener in openers.items()
        },
        outputs=outputs,
        trigger=open_trigger(config, outputs),
        together=line.parts == "together",
        deadline_s=None if line.deadline_ms is None else line.deadline_ms / 1e3,
        room=line.queue,
        heartbeat_s=line.heartbeat_s,
        peer_timeout_s=line.peer_timeout_s,
        self_recovery=line.recover == "self",
        audit=audit,
        watch=drift if records.drift else None,
        recording=None if records.rejects is None else Recording([RejectSaver(str(records.rejects))]),
    )


def open_camera(config: LineConfig, camera: CameraSettings) -> Source:
    """Opens a camera.

    Raises:
        EdgeirfError: as of :func:`edgeirf.runtime.sources.opening.open_source`.
    """
    uri = camera.uri
    if ":" not in uri and not uri.partition("?")[0].isdecimal():
        uri = str(config.path.parent / uri)
    return open_source(uri, camera.timeout_s, camera.pixel_format)


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
        precision=asked.precision if device is None else None,
        product=camera.product or asked.product,
        false_reject_rate=asked.false_reject_rate,
        threshold=asked.threshold,
    )


def is_live(camera: CameraSettings) -> bool:
    """Whether the newest frame counts, or every frame."""
    if camera.policy != "auto":
        return camera.policy == "live"
    scheme = camera.uri.partition(":")[0].lower()
    return scheme in _STREAMS or camera.uri.partition("?")[0].isdecimal()


def measured_ms(detector: Detector, size: tuple[int, int]) -> float:
    """Milliseconds that a detector takes at most for a frame of a size, of :data:`_TRIES`."""
    frame = np.full((*size, 3), 128, np.uint8)
    taken = []
    for _ in range(_TRIES):
        started = time.perf_counter()
        detector(frame)
        taken.append((time.perf_counter() - started) * 1e3)
    return max(taken)


def _key(config: LineConfig, camera: CameraSettings) -> str:
    """Cameras with the same bundle and product share a detector."""
    return f"{camera.model or config.detector.model} {camera.product or config.detector.product or ''}".strip()


def _station(config: LineConfig, camera: CameraSettings) -> Station:
    return Station(
        camera.name,
        partial(open_camera, config, camera),
        _key(config, camera),
        is_live(camera),
        camera.staleness_ms / 1e3,
        camera.reconnect_s,
    )


@dataclass
class _Opener:
    """Opens the detector that one or more cameras share; the first of them names it."""

    config: LineConfig
    camera: CameraSettings
    drift: Drift
    show: Callable[[str], None]
    device: str = ""

    def open(self, sizes: Sequence[tuple[int, int]]) -> Detector:
        detector = load_detector(self.config, self.camera)
        self.device = detector.device
        try:
            for size in sizes:
                detector.warm_up(size, self.camera.pixel_format or "bgr8")
            if self.config.records.drift:
                key = _key(self.config, self.camera)
                self.drift.monitors[key] = Monitor(detector, self.camera.name)
        except BaseException:
            detector.close()
            raise
        self.show(
            f"{self.camera.name}: {detector.bundle.label}, product {detector.product}, {detector.model_key} on "
            f"{detector.executor.name}; rejects above {detector.threshold:.4g}: at most "
            f"{detector.false_reject_rate:.2%} of good parts"
        )
        return detector

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


def open_trigger(config: LineConfig, outputs: Sequence[Output]) -> Trigger | None:
    """The trigger, not yet started; None for free-running cameras.

    Raises:
        UsageError: it needs an output that is not there.
        SourceError: the input pin cannot be read.
    """
    settings = config.trigger
    if isinstance(settings, FreeSettings):
        return None
    if isinstance(settings, HttpSettings):
        return HttpTrigger(settings)
    if isinstance(settings, GpioSettings):
        return open_gpio(settings)
    if not isinstance(settings, PlcSettings):
        return SoftwareTrigger()
    peers: list[Any] = [output for output in outputs if hasattr(output, "handshake")]
    if len(peers) != 1:
        raise UsageError(
            f"{config.path}: trigger.kind: plc needs one output that a PLC reads and writes (modbus, opcua or s7), "
            f"not {len(peers)}"
        )
    peers[0].handshake = handshake = Handshake()
    return handshake
