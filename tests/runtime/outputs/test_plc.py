"""What a PLC is shown."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edgeirf.part import PartVerdict
from edgeirf.runtime.outputs.plc import Newest, PlcInputs, PlcOutput, PlcOutputs

Make = Callable[..., PartVerdict]


class Screen(PlcOutput):
    changes = 0

    def open(self) -> None:
        return

    def _changed(self) -> None:
        self.changes += 1


def test_the_newest_result_is_shown_and_equal_ones_show(verdict: Make) -> None:
    screen = Screen("plc")
    assert screen.shown().outputs == PlcOutputs(ready=True)
    screen.act(verdict(1))
    first = screen.shown()
    screen.act(verdict(1))
    second = screen.shown()
    assert first.outputs.result == second.outputs.result
    assert first.outputs.completed != second.outputs.completed


def test_state_and_heartbeat_are_shown() -> None:
    screen = Screen("plc")
    screen.state("RUNNING", "all well")
    screen.beat(5)
    assert (screen.shown().state, screen.shown().reason, screen.shown().heartbeat) == ("RUNNING", "all well", 5)
    assert screen.changes == 2


def test_the_safe_state_is_a_reject_until_the_next_verdict(verdict: Make) -> None:
    screen = Screen("plc")
    screen.act(verdict(1))
    screen.state("RUNNING", "")
    screen.safe()
    once = screen.shown()
    screen.safe()
    assert screen.shown() == once
    assert once.state == "FAULT"
    assert once.outputs.result is not None
    assert once.outputs.result.reject
    assert not once.outputs.ready
    assert not once.outputs.valid
    screen.act(verdict(2))
    assert screen.shown().outputs.result == verdict(2)
    assert screen.shown().state == "RUNNING"


def test_after_a_fault_the_line_is_ready_again_without_a_verdict(verdict: Make) -> None:
    """Else a PLC that waits for Ready, and a line that waits for a trigger, wait for each other."""
    screen = Screen("plc")
    for state, ready in (("FAULT", False), ("INIT", False), ("READY", True), ("RUNNING", True)):
        if state == "FAULT":
            screen.safe()
        screen.state(state, "")  # type: ignore[arg-type]
        assert screen.shown().outputs.ready == ready
        assert (screen.shown().state == state) == (state != "INIT")


def test_an_error_of_the_handshake_reaches_the_line() -> None:
    class Broken(Newest):
        def inputs(self, inputs: PlcInputs) -> None:
            raise ZeroDivisionError("in the handshake")

    screen = Screen("plc")
    screen.handshake = Broken()
    screen.hear(PlcInputs(trigger=True))  # on a thread of a library
    with pytest.raises(ZeroDivisionError, match="in the handshake"):
        screen.beat(1)
    screen.beat(2)
    assert screen.shown().heartbeat == 2


def test_the_handshake_hears_the_plc_and_decides_what_is_shown(verdict: Make) -> None:
    class Latched(Newest):
        heard: PlcInputs | None = None

        def inputs(self, inputs: PlcInputs) -> None:
            self.heard = inputs

        def snapshot(self) -> PlcOutputs:
            return PlcOutputs(busy=True)

    screen, handshake = Screen("plc"), Latched()
    screen.handshake = handshake
    screen.hear(PlcInputs(trigger=True, part_id=7))
    assert handshake.heard == screen.plc == PlcInputs(trigger=True, part_id=7)
    screen.act(verdict(7))
    assert screen.shown().outputs == PlcOutputs(busy=True)
