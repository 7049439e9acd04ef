"""What OPC UA clients see: the names, types and values of the nodes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from edgeirf.deciding import deciding_view
from edgeirf.part import PartVerdict
from edgeirf.runtime.outputs.plc import PlcInputs, Shown
from edgeirf.runtime.outputs.registers import number_of

Value = bool | int | float | str

RESULT: Mapping[str, str] = {
    "PartId": "String",
    "Sequence": "UInt32",
    "Reject": "Boolean",
    "Reason": "String",
    "Score": "Double",
    "PValue": "Double",
    "Threshold": "Double",
    "LateMs": "Double",
    "Json": "String",
}
"""Name and OPC UA type of what a result has, as nodes ``Result.NAME`` and as fields of an event."""

NODES: Mapping[str, str] = {
    "State": "String",
    "StateReason": "String",
    "Heartbeat": "UInt32",
    "Ready": "Boolean",
    "TriggerAck": "Boolean",
    "AcceptedPartId": "UInt32",
    "Busy": "Boolean",
    "Completed": "Boolean",
    "Valid": "Boolean",
    "RefusedTriggers": "UInt32",
    **{f"Result.{name}": kind for name, kind in RESULT.items()},
}
"""Nodes that clients read."""

COMMANDS: Mapping[str, str] = {
    "Command.Trigger": "Boolean",
    "Command.ResultsAck": "Boolean",
    "Command.Acknowledge": "Boolean",
    "Command.PartId": "UInt32",
    "Command.Heartbeat": "UInt32",
}
"""Nodes that clients write."""


def values_of(shown: Shown) -> dict[str, Value]:
    """The values of :data:`NODES`."""
    outputs = shown.outputs
    return {
        "State": shown.state,
        "StateReason": shown.reason,
        "Heartbeat": shown.heartbeat & 0xFFFFFFFF,
        "Ready": outputs.ready,
        "TriggerAck": outputs.trigger_ack,
        "AcceptedPartId": number_of(outputs.part_id),
        "Busy": outputs.busy,
        "Completed": outputs.completed,
        "Valid": outputs.valid,
        "RefusedTriggers": outputs.refused & 0xFFFFFFFF,
        **{f"Result.{name}": value for name, value in result_of(outputs.result).items()},
    }


def result_of(found: PartVerdict | None) -> dict[str, Value]:
    """The values of :data:`RESULT`; before the first result it is a reject of no part."""
    if found is None:
        found = PartVerdict(part_id="", reject=True, reason="fault")
    name = deciding_view(found)
    view = None if name is None else found.views[name]
    return {
        "PartId": str(found.part_id),
        "Sequence": found.sequence & 0xFFFFFFFF,
        "Reject": found.reject,
        "Reason": found.reason,
        "Score": _number(None if view is None else view.score),
        "PValue": _number(None if view is None else view.p_value),
        "Threshold": _number(None if view is None else view.threshold),
        "LateMs": float(found.late_ms),
        "Json": json.dumps(found.to_json()),
    }


def inputs_of(values: Mapping[str, Value]) -> PlcInputs:
    """What a client says with :data:`COMMANDS`."""
    return PlcInputs(
        bool(values["Command.Trigger"]),
        bool(values["Command.ResultsAck"]),
        bool(values["Command.Acknowledge"]),
        int(values["Command.PartId"]),
        int(values["Command.Heartbeat"]),
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
