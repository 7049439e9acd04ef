"""States of the companion model. Its nodes and events are read by a client in test_opcua.py."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from edgeirf.runtime.line.states import OPC_40100
from edgeirf.runtime.outputs.vision_model import STATES


def test_the_states_are_those_of_the_line() -> None:
    below = {state: f".Automatic.{one.mode}" if one.mode else "" for state, one in STATES.items()}
    assert {state: f"{one.name}{below[state]}" for state, one in STATES.items()} == dict(OPC_40100)


@pytest.mark.skipif("EDGEIRF_LINE_PEERS" not in os.environ, reason="make test-line brings the companion model")
def test_the_numbers_of_the_nodes_are_those_of_the_companion_model() -> None:
    folder = Path(os.environ["EDGEIRF_LINE_PEERS"]) / "node-opcua-nodesets/nodesets"
    text = (folder / "Opc.Ua.MachineVision.NodeSet2.xml").read_text()
    tags = re.findall(r"<UAObject [^>]*>", text)
    named = {(re.search(r'NodeId="ns=1;i=(\d+)"', tag), re.search(r'BrowseName="1:(\w+)"', tag)) for tag in tags}
    known = {(int(number[1]), name[1]) for number, name in named if number and name}
    for one in STATES.values():
        assert (one.number, one.name) in known
        assert not one.mode or (one.mode_number, one.mode) in known
