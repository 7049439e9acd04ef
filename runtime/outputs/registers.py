"""The register map: what a PLC reads, as 16-bit words. Modbus and S7 have the same one; see docs/outputs.md."""

from __future__ import annotations

import struct
from typing import get_args

from edgeirf.deciding import deciding_view
from edgeirf.part import PartId, PartVerdict, Reason
from edgeirf.runtime.outputs.output import State
from edgeirf.runtime.outputs.plc import PlcInputs, PlcOutputs, Shown

WORDS = 32
"""Words that a PLC reads, in one request: then they belong together."""
COMMANDS = 4
"""Words that a PLC writes."""
MAP_VERSION = 1
STATES: tuple[State, ...] = get_args(State)
REASONS: tuple[Reason, ...] = get_args(Reason)
NO_RESULT, PASS, REJECT = 0, 1, 2
NO_SCORE = -(2**31)
NO_P_VALUE = 2**32 - 1
_LAYOUT = struct.Struct(">8HIIiIHI26s")
_TEXT = 26


def words_of(shown: Shown) -> list[int]:
    """The words that a PLC reads.

    Args:
        shown: state, heartbeat, signals and result of one moment.
    """
    outputs, found = shown.outputs, shown.outputs.result
    code = NO_RESULT if found is None else REJECT if found.reject else PASS
    reason = 0 if found is None else REASONS.index(found.reason) + 1
    first = (MAP_VERSION, STATES.index(shown.state), shown.heartbeat & 0xFFFF, _signals(outputs))
    second = (outputs.refused & 0xFFFF, outputs.completed, code, reason)
    packed = _LAYOUT.pack(*first, *second, *_result(found), number_of(outputs.part_id), _name(found))
    return list(struct.unpack(f">{WORDS}H", packed))


def inputs_of(words: list[int]) -> PlcInputs:
    """What a PLC says with its :data:`COMMANDS` words: bits, heartbeat, part id (upper word first)."""
    bits, heartbeat, high, low = words
    return PlcInputs(bool(bits & 1), bool(bits & 2), bool(bits & 4), high << 16 | low, heartbeat)


def number_of(part_id: PartId) -> int:
    """A part id in 32 bits: the lower ones of a number, and of a name that is a number; 0 for another name."""
    text = str(part_id)
    return int(text) & 0xFFFFFFFF if text.removeprefix("-").isdecimal() and len(text) < 30 else 0


def _signals(outputs: PlcOutputs) -> int:
    bits = (outputs.ready, outputs.trigger_ack, outputs.busy, outputs.completed, outputs.valid)
    return sum(bit << place for place, bit in enumerate(bits))


def _result(found: PartVerdict | None) -> tuple[int, int, int, int, int]:
    """Part id, sequence, score, p-value and lateness, each within the bounds of its field."""
    if found is None:
        return 0, 0, NO_SCORE, NO_P_VALUE, 0
    name = deciding_view(found)
    view = None if name is None else found.views[name]
    score, p_value = NO_SCORE, NO_P_VALUE
    if view is not None and view.score is not None:
        score = round(min(max(view.score * 100, 1 - 2**31), 2**31 - 1))
    if view is not None and view.p_value is not None:
        p_value = round(view.p_value * 1_000_000)
    late = round(min(max(found.late_ms, 0), 0xFFFF))
    return number_of(found.part_id), found.sequence & 0xFFFFFFFF, score, p_value, late


def _name(found: PartVerdict | None) -> bytes:
    return b"" if found is None else str(found.part_id).encode("ascii", "replace")[:_TEXT]
