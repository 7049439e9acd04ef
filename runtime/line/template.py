"""A commented ``line.toml``."""

from __future__ import annotations

import json
import typing
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any

from edgeirf.errors import UsageError
from edgeirf.runtime.outputs import factory
from edgeirf.runtime.triggers.settings import KINDS as TRIGGERS


@dataclass(frozen=True)
class Answers:
    """What a line is, in short.

    Attributes:
        model: the bundle.
        cameras: addresses, one a view.
        trigger: its kind.
        deadline_ms: None: no deadline.
        outputs: their kinds.
    """

    model: str
    cameras: tuple[str, ...]
    trigger: str = "free"
    deadline_ms: float | None = None
    outputs: tuple[str, ...] = ()


def line_toml(answers: Answers) -> str:
    """The text of the file: every key that the answers do not set stands in a comment with its default.

    Raises:
        UsageError: there is no such kind of trigger or output.
    """
    if answers.trigger not in TRIGGERS:
        raise UsageError(f"there is no trigger {answers.trigger!r}: choose one of {', '.join(TRIGGERS)}")
    kinds: Mapping[str, type] = factory.KINDS
    for kind in answers.outputs:
        if kind not in kinds:
            raise UsageError(f"there is no output {kind!r}: choose one of {', '.join(kinds)}")
    names = [f"camera{number}" for number in range(1, len(answers.cameras) + 1)]
    parts = [
        _LINE.format(deadline=_deadline(answers.deadline_ms)),
        _DETECTOR.format(model=json.dumps(answers.model)),
        *(_CAMERA.format(name=name, uri=json.dumps(uri)) for name, uri in zip(names, answers.cameras, strict=True)),
        _TRIGGER.format(kind=answers.trigger) + _settings(TRIGGERS[answers.trigger]),
        *(_OUTPUT.format(kind=kind, name=name) + _settings(kinds[kind]) for name, kind in _named(answers.outputs)),
        _RECORDS,
    ]
    return "\n".join(parts)


def _deadline(deadline_ms: float | None) -> str:
    return "# deadline_ms = 500" if deadline_ms is None else f"deadline_ms = {deadline_ms:g}"


def _named(kinds: tuple[str, ...]) -> list[tuple[str, str]]:
    """Each output with a name of its own."""
    return [
        (kind if kinds.count(kind) == 1 else f"{kind}{kinds[: number + 1].count(kind)}", kind)
        for number, kind in enumerate(kinds)
    ]


def _settings(kind: type) -> str:
    """A line a setting: those without a default are to be filled in."""
    types = typing.get_type_hints(kind)
    return "".join(f"{_setting(field, types[field.name])}\n" for field in fields(kind))


def _setting(field: Field[Any], wanted: Any) -> str:
    if field.default is MISSING and field.default_factory is MISSING:
        example = json.dumps(field.name) if wanted is str else _example(wanted)
        return f"{field.name} = {_FILLED.get(field.name, example)}  # fill in"
    default = field.default_factory() if field.default_factory is not MISSING else field.default
    value = _example(wanted) if default is None else _toml(default)
    return f"# {field.name} = {value}"


def _example(wanted: Any) -> str:
    """A value of the type that the file reader takes."""
    choices = (wanted,) if typing.get_origin(wanted) is typing.Literal else typing.get_args(wanted) or (wanted,)
    for choice in choices:
        if typing.get_origin(choice) is typing.Literal:
            return json.dumps(typing.get_args(choice)[0])
    return next((text for kind, text in _EXAMPLES.items() if kind in choices), '""')


def _toml(value: object) -> str:
    return json.dumps(list(value) if isinstance(value, tuple) else value, default=str)


_FILLED = {"path": '"verdicts.jsonl"', "url": '"https://mes.example/parts"', "chip": '"/dev/gpiochip0"'}
_EXAMPLES: dict[type, str] = {bool: "false", int: "1", float: "1.0"}

_LINE = """# A line of edgeirf. Check it with: edgeirf run line.toml --check
# Paths are relative to this file. "env:NAME" takes a value from the environment.

[line]
name = "line"
# From the trigger to the verdict. A part without a verdict by then is rejected.
{deadline}
# How FAULT is left: "operator" (an acknowledgement) or "self" (try again).
recover = "operator"
# Parts that may be open at once.
# queue = 16
# Period of the heartbeat to the outputs in seconds.
# heartbeat_s = 1.0
# FAULT when the PLC's heartbeat does not change for so many seconds; 0: not watched.
# peer_timeout_s = 0
# When the GPU is lost, the CPU inspects, if it meets the deadline.
# cpu_takeover = false
# "together": every camera is a view of the same part. "each": each camera has its own parts.
# parts = "together"
"""

_DETECTOR = """[detector]
model = {model}
# device = "auto"
# product = "bottle"
# precision = "fp16"
# false_reject_rate = 0.01
# Frames of several cameras that go through ONNX Runtime together, where they wait and no deadline forbids it.
# batch = 1
"""

_CAMERA = """[[camera]]
name = "{name}"
uri = {uri}
# Silence after which the camera counts as away, and the time to come back before FAULT, in seconds.
# timeout_s = 10
# reconnect_s = 60
# Wait before the first attempt to open it again; it doubles up to the longest.
# retry_s = 0.5
# retry_longest_s = 10
# "live": the newest frame; "file": every frame; "auto" chooses.
# policy = "auto"
# With a trigger: a frame that was taken so long before it still counts. Without: the greatest age of a frame.
# staleness_ms = 0
# pixel_format = "bayer_rggb8"
"""

_TRIGGER = """[trigger]
# "free": each frame is a part; "http": POST /trigger; "mqtt": a message; "plc": the handshake of the output that a PLC
# reads; "gpio": each edge at an input pin; "camera": each edge at the camera's own input; "software": a program in the
# same process.
kind = "{kind}"
"""

_OUTPUT = """[[output]]
kind = "{kind}"
name = "{name}"
"""

_RECORDS = """[records]
# One row a part in a SQLite file.
# audit = "audit.db"
# Above so many MB the file is put aside, and a new one follows it; 0: never.
# audit_mb = 0
# The anchor shows that rows were removed at the end: its key signs it, and it is written every so many seconds.
# audit_key = "audit.key"
# audit_anchor_s = 60
# The frame and the heat map of each reject; above so many MB the oldest make room for new ones.
# rejects = "rejects"
# rejects_mb = 10000
# Watch for drift of light, focus and position.
# drift = false
# What was usual is kept here over restarts; remove the folder, and the line learns anew.
# drift_folder = "drift"

# What `edgeirf run line.toml --realtime` asks of the system.
[realtime]
# Of SCHED_FIFO, 1 to 99, and the processors that the line may use (all: an empty list).
# priority = 40
# cores = []
# lock_memory = true
# timer_slack_ns = 1
"""
