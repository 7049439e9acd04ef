"""The states of a line: whatever happens in whatever order, only allowed transitions occur."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeirf.runtime.line.states import ALLOWED, OPC_40100, TAKES_PARTS, States

EVENTS: dict[str, Callable[[States], bool]] = {
    "opened": States.opened,
    "started": States.started,
    "stopped": States.stopped,
    "degrade a": lambda states: states.degrade("a", "one"),
    "degrade b": lambda states: states.degrade("b", "two"),
    "clear a": lambda states: states.clear("a"),
    "clear b": lambda states: states.clear("b"),
    "fault": lambda states: states.fault("broken"),
    "leave": States.leave_fault,
}


def after(*events: str) -> States:
    states = States()
    for event in events:
        EVENTS[event](states)
    return states


@pytest.mark.parametrize(
    ("events", "state", "reason"),
    [
        ([], "INIT", ""),
        (["started"], "INIT", ""),
        (["opened"], "READY", ""),
        (["opened", "started"], "RUNNING", ""),
        (["opened", "degrade a", "started"], "DEGRADED", "a: one"),
        (["opened", "started", "degrade a", "degrade b"], "DEGRADED", "a: one; b: two"),
        (["opened", "started", "degrade a", "degrade b", "clear a"], "DEGRADED", "b: two"),
        (["opened", "started", "degrade a", "clear a"], "RUNNING", ""),
        (["fault"], "FAULT", "broken"),
        (["opened", "started", "fault", "degrade a", "clear a", "opened", "started", "stopped"], "FAULT", "broken"),
        (["opened", "started", "degrade a", "fault", "leave"], "INIT", ""),
        (["fault", "leave", "opened", "started"], "RUNNING", ""),
        (["opened", "started", "stopped"], "INIT", ""),
    ],
)
def test_events_lead_to_states(events: list[str], state: str, reason: str) -> None:
    states = after(*events)
    assert (states.state, states.reason) == (state, reason)


@given(st.lists(st.sampled_from(sorted(EVENTS)), max_size=40))
def test_only_allowed_transitions_occur_and_fault_is_left_only_on_purpose(events: list[str]) -> None:
    states = States()
    for event in events:
        before = (states.state, states.reason)
        changed = EVENTS[event](states)
        assert changed == (before != (states.state, states.reason))
        assert states.state == before[0] or states.state in ALLOWED[before[0]]
        if before[0] == "FAULT" and states.state != "FAULT":
            assert event == "leave"
        if event == "fault":
            assert states.state == "FAULT"
        assert states.takes_parts == (states.state in TAKES_PARTS)
        assert bool(states.reason) == (states.state in ("DEGRADED", "FAULT"))


def test_the_first_reason_of_a_fault_stays() -> None:
    states = after("fault")
    assert not states.fault("another")
    assert states.reason == "broken"


def test_every_state_has_its_name_in_opc_40100() -> None:
    assert {*OPC_40100} == {*ALLOWED}
    assert after("fault").opc_state == "Error"
    assert after("opened").opc_state.endswith("Ready")


def test_a_transition_that_is_not_allowed_is_an_error_of_the_program() -> None:
    with pytest.raises(ValueError, match="does not go from INIT to DEGRADED"):
        States()._to("DEGRADED", "")
