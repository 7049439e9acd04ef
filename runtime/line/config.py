"""``line.toml``: what a line is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from edgeirf.runtime.line.realtime import RealtimeSettings
from edgeirf.runtime.line.toml_table import TomlFile, read_toml
from edgeirf.runtime.outputs import factory
from edgeirf.runtime.triggers.camera import CameraTriggerSettings
from edgeirf.runtime.triggers.settings import KINDS as TRIGGERS
from edgeirf.runtime.triggers.settings import FreeSettings, TriggerSettings
from edgeirf.settings import PixelFormat


def _limits(default: float | None, low: float, high: float) -> Any:
    return field(default=default, metadata={"min": low, "max": high})


@dataclass(frozen=True)
class LineSettings:
    """``[line]``.

    Attributes:
        name: appears in logs and in the state that outputs publish.
        deadline_ms: from the trigger to the verdict; a part without a verdict by then is rejected.
        parts: ``together``: every camera is a view of the same part; ``each``: each camera has parts of its own.
        queue: parts that may be open at once.
        heartbeat_s: period of the heartbeat to outputs.
        peer_timeout_s: FAULT when the heartbeat of the PLC does not change for so long; 0: it is not watched.
        recover: who leaves FAULT: ``operator``, by an acknowledgement; ``self``, by trying again with back-off.
        cpu_takeover: when the GPU is lost, the CPU inspects, if its measured latency meets the deadline.
    """

    name: str = "line"
    deadline_ms: float | None = _limits(None, 1, 3_600_000)
    parts: Literal["together", "each"] = "together"
    queue: int = _limits(16, 1, 1024)
    heartbeat_s: float = _limits(1.0, 0.05, 60)
    peer_timeout_s: float = _limits(0.0, 0, 3600)
    recover: Literal["operator", "self"] = "operator"
    cpu_takeover: bool = False


@dataclass(frozen=True)
class DetectorSettings:
    """``[detector]``: as the options of ``edgeirf run``.

    Attributes:
        batch: frames of several cameras that go through the network together when they wait at the same time and no
            deadline forbids it; ONNX Runtime only.
    """

    model: Path
    product: str | None = None
    precision: str | None = None
    device: str = "auto"
    threads: int | None = _limits(None, 1, 256)
    false_reject_rate: float | None = _limits(None, 0, 1)
    threshold: float | None = None
    keep_warm: bool = False
    batch: int = _limits(1, 1, 16)
    spin: bool = False


@dataclass(frozen=True)
class CameraSettings:
    """``[[camera]]``: one view of a part.

    Attributes:
        name: of the view.
        uri: as ``--camera`` takes it.
        pixel_format: where the camera does not give BGR or gray.
        timeout_s: silence after which the camera counts as away.
        reconnect_s: time to come back before the line goes to FAULT.
        retry_s, retry_longest_s: wait before the first attempt to open a camera again; it doubles up to the longest.
        policy: ``live``: the newest frame, others are counted as dropped; ``file``: every frame; ``auto`` chooses.
        staleness_ms: a frame that was taken so long before the trigger still counts; without a trigger: the greatest
            age of a frame when its inspection starts.
        model, product: another bundle or product than ``[detector]`` names.
    """

    name: str
    uri: str
    pixel_format: PixelFormat | None = None
    timeout_s: float = _limits(10.0, 0.1, 3600)
    reconnect_s: float = _limits(60.0, 0, 86_400)
    retry_s: float = _limits(0.5, 0.05, 3600)
    retry_longest_s: float = _limits(10.0, 0.05, 3600)
    policy: Literal["auto", "live", "file"] = "auto"
    staleness_ms: float = _limits(0.0, 0, 60_000)
    model: Path | None = None
    product: str | None = None


@dataclass(frozen=True)
class RecordSettings:
    """``[records]``.

    Attributes:
        audit: SQLite file with one row a part.
        audit_mb: MB after which that file is put aside under a name with the time, and a new one follows; 0: never.
        audit_key: file with the key that signs the anchor of the audit.
        audit_anchor_s: seconds after which the anchor is written anew.
        rejects: folder for the frame and the heat map of each reject.
        rejects_mb: MB that these pictures may have; the oldest make room for new ones.
        drift: watch scores and frames; the line is DEGRADED, with the reason, when they drift.
        drift_folder: has what was usual before a restart.
    """

    audit: Path | None = None
    audit_mb: int = _limits(0, 0, 1_000_000)
    audit_key: Path | None = None
    audit_anchor_s: float = _limits(60.0, 1, 86_400)
    rejects: Path | None = None
    rejects_mb: int = _limits(10_000, 1, 100_000_000)
    drift: bool = False
    drift_folder: Path | None = None


@dataclass(frozen=True)
class OutputEntry:
    """``[[output]]``: its name and what :func:`edgeirf.runtime.outputs.factory.open_output` takes."""

    name: str
    kind: str
    settings: Any


@dataclass(frozen=True)
class LineConfig:
    """A line as its file describes it.

    Attributes:
        path: of the file.
        realtime: ``[realtime]``: what ``--realtime`` asks of the system.
    """

    path: Path
    line: LineSettings
    detector: DetectorSettings
    cameras: tuple[CameraSettings, ...]
    trigger: TriggerSettings = field(default_factory=FreeSettings)
    outputs: tuple[OutputEntry, ...] = ()
    records: RecordSettings = field(default_factory=RecordSettings)
    realtime: RealtimeSettings = field(default_factory=RealtimeSettings)


def read_config(path: Path) -> LineConfig:
    """Reads and checks ``line.toml``.

    Raises:
        ConfigErrors: all that is wrong, each with file, line and key.
        ConfigError: the file cannot be read, or is no TOML.
    """
    file = read_toml(path)
    known = ("line", "detector", "camera", "trigger", "output", "records", "realtime")
    for name in file.data:
        if name not in known:
            file.wrong((name,), f"there is no such table; known are {', '.join(known)}")
    line = file.bind(LineSettings, _table(file, "line"), ("line",))
    detector = file.bind(DetectorSettings, _table(file, "detector"), ("detector",))
    records = file.bind(RecordSettings, _table(file, "records"), ("records",))
    realtime = file.bind(RealtimeSettings, _table(file, "realtime"), ("realtime",))
    trigger = _trigger(file, _table(file, "trigger"))
    cameras = _cameras(file)
    outputs = tuple(_output(file, table, number) for number, table in enumerate(_tables(file, "output")))
    _check_names(file, "camera", [camera.name if camera else None for camera in cameras])
    _check_names(file, "output", [output.name if output else None for output in outputs])
    if line is not None and trigger is not None:
        _check_together(file, line, trigger, [camera for camera in cameras if camera])
    file.check()
    assert line and detector and records and realtime and trigger  # noqa: S101, PT018
    opened = tuple(camera for camera in cameras if camera)
    kept = tuple(output for output in outputs if output)
    return LineConfig(path, line, detector, opened, trigger, kept, records, realtime)


def _table(file: TomlFile, name: str) -> Mapping[str, Any]:
    value = file.data.get(name, {})
    if isinstance(value, dict):
        return value
    file.wrong((name,), f"write [{name}] and its keys below it")
    return {}


def _tables(file: TomlFile, name: str) -> list[Mapping[str, Any]]:
    value = file.data.get(name, [])
    if isinstance(value, list) and all(isinstance(one, dict) for one in value):
        return value
    file.wrong((name,), f"write [[{name}]], with two brackets, before each {name}")
    return []


def _cameras(file: TomlFile) -> list[CameraSettings | None]:
    tables = _tables(file, "camera")
    if not tables and "camera" not in file.data:
        file.wrong((), f"{file.path}:1: camera: a line needs at least one [[camera]]")
    return [file.bind(CameraSettings, table, ("camera", number)) for number, table in enumerate(tables)]


def _trigger(file: TomlFile, table: Mapping[str, Any]) -> TriggerSettings | None:
    kind = table.get("kind", "free")
    if kind not in TRIGGERS:
        file.wrong(("trigger", "kind"), f"expected one of {', '.join(TRIGGERS)}, not {kind!r}")
        return None
    return file.bind(TRIGGERS[kind], table, ("trigger",), ("kind",))


def _output(file: TomlFile, table: Mapping[str, Any], number: int) -> OutputEntry | None:
    where, kinds = ("output", number), factory.KINDS
    kind, name = table.get("kind"), table.get("name", table.get("kind"))
    if not isinstance(kind, str) or kind not in kinds:
        file.wrong((*where, "kind"), f"expected one of {', '.join(kinds)}, not {kind!r}")
        return None
    if not isinstance(name, str):
        file.wrong((*where, "name"), f"expected text in quotes, not {name!r}")
        return None
    settings = file.bind(kinds[kind], table, where, ("kind", "name"))
    return None if settings is None else OutputEntry(name, str(kind), settings)


def _check_names(file: TomlFile, table: str, names: list[str | None]) -> None:
    for number, name in enumerate(names):
        if name is not None and name in names[:number]:
            file.wrong((table, number, "name"), f"another {table} has the name {name!r}: give each its own name")


def _check_together(
    file: TomlFile, line: LineSettings, trigger: TriggerSettings, cameras: list[CameraSettings]
) -> None:
    """What only shows when tables are seen together."""
    free = isinstance(trigger, FreeSettings)
    if line.deadline_ms is None and (not free or (len(cameras) > 1 and line.parts == "together")):
        file.wrong(("line",), "deadline_ms is missing: without it a part whose frame does not come waits for ever")
    if line.deadline_ms is None and line.cpu_takeover:
        file.wrong(("line", "cpu_takeover"), "needs deadline_ms: the CPU takes over only if it meets the deadline")
    if line.parts == "each" and not free:
        file.wrong(("line", "parts"), '"each" is for free-running cameras: a trigger announces one part for all views')
    if isinstance(trigger, CameraTriggerSettings) and trigger.camera:
        names = [camera.name for camera in cameras]
        if trigger.camera not in names:
            file.wrong(("trigger", "camera"), f"there is no such camera; known are {', '.join(names)}")
