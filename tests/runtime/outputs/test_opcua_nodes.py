"""Names, types and values of the nodes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeirf.part import PartVerdict
from edgeirf.runtime.outputs.opcua_nodes import COMMANDS, NODES, RESULT, inputs_of, result_of, values_of
from edgeirf.runtime.outputs.plc import PlcInputs, PlcOutputs, Shown

TYPES = {"String": str, "Boolean": bool, "UInt32": int, "Double": float}


@pytest.mark.parametrize("reject", [True, False, None])
def test_every_node_has_a_value_of_its_type(verdict: Callable[..., PartVerdict], reject: bool | None) -> None:
    result = None if reject is None else verdict(7, reject)
    values = values_of(Shown("RUNNING", "", 2**40, PlcOutputs(ready=True, refused=2**33, result=result)))
    assert {name: type(value) for name, value in values.items()} == {name: TYPES[NODES[name]] for name in NODES}
    assert all(0 <= value < 2**32 for name, value in values.items() if NODES[name] == "UInt32")  # type: ignore[operator]


def test_a_result_is_what_the_verdict_says(verdict: Callable[..., PartVerdict]) -> None:
    found = result_of(verdict(7, True))
    assert set(found) == set(RESULT)
    assert [found[name] for name in ("PartId", "Reject", "Score", "PValue", "Threshold")] == ["7", True, 12.5, 0.25, 31]
    assert json.loads(str(found["Json"])) == verdict(7, True).to_json()


def test_before_the_first_result_and_without_a_score_nothing_looks_like_a_pass() -> None:
    assert result_of(None)["Reject"] is True
    assert math.isnan(float(result_of(PartVerdict(1, True, "late"))["Score"]))


def test_the_document_has_every_node() -> None:
    document = (Path(__file__).parents[3] / "docs" / "outputs.md").read_text()
    assert [name for name in (*NODES, *COMMANDS) if f"`{name}`" not in document] == []


def test_commands_are_heard() -> None:
    values = dict(zip(COMMANDS, (True, False, True, 7, 9), strict=True))
    assert inputs_of(values) == PlcInputs(True, False, True, 7, 9)
