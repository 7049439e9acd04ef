"""The companion model OPC 40100-1 (machine vision): a VisionSystem with its states and its ResultReady events."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgeirf.runtime.outputs.output import State

NAMESPACE = "http://opcfoundation.org/UA/MachineVision"
_VISION_SYSTEM, _RESULT_READY, _AUTOMATIC = 1003, 1024, 1021
"""VisionSystemType, ResultReadyEventType and VisionAutomaticModeStateMachineType."""
_RESULT_FIELDS = {"CreationTime": "DateTime", "IsPartial": "Boolean", "IsSimulated": "Boolean", "ResultState": "Int32"}


@dataclass(frozen=True)
class VisionState:
    """A state, and the one below it while the system is operational.

    Attributes:
        name, number: of the state of VisionStateMachineType, and the number of its node in the companion model.
        mode, mode_number: of the state of VisionAutomaticModeStateMachineType; empty: that machine is not active.
    """

    name: str
    number: int
    mode: str = ""
    mode_number: int = 0


STATES: Mapping[State, VisionState] = {
    "INIT": VisionState("Preoperational", 5028),
    "READY": VisionState("Operational", 5031, "Ready", 5057),
    "RUNNING": VisionState("Operational", 5031, "ContinuousExecution", 5059),
    "DEGRADED": VisionState("Operational", 5031, "ContinuousExecution", 5059),
    "FAULT": VisionState("Error", 5030),
}
"""What each state of the line is there. Halted and SingleExecution do not occur; DEGRADED has no state of its own."""


class VisionSystem:
    """Builds the nodes. Every method runs on the loop of the server.

    Args:
        server: of asyncua.
    """

    def __init__(self, server: Any) -> None:
        self._server = server
        self._index = 0
        self._state: Any = None
        self._mode: Any = None

    async def build(self, nodeset: str, namespace: int) -> Any:
        """Adds the object ``s=edgeirf.Vision``, and returns the generator of its ResultReady events.

        Args:
            nodeset: file of the OPC Foundation.
            namespace: index of the namespace of edgeirf.
        """
        ua = _ua()
        await self._server.import_xml(nodeset)
        self._index = await self._server.get_namespace_index(NAMESPACE)
        system = await self._server.nodes.objects.add_object(
            ua.NodeId("edgeirf.Vision", namespace),
            ua.QualifiedName("edgeirf vision", namespace),
            ua.NodeId(_VISION_SYSTEM, self._index),
            instantiate_optional=False,
        )
        machine = await system.get_child(f"{self._index}:VisionStateMachine")
        self._state = await machine.get_child("0:CurrentState")
        automatic = await machine.add_object(  # optional in the model, and this system has no other mode
            ua.NodeId("edgeirf.Vision.Automatic", namespace),
            ua.QualifiedName("AutomaticModeStateMachine", self._index),
            ua.NodeId(_AUTOMATIC, self._index),
            instantiate_optional=False,
        )
        self._mode = await automatic.get_child("0:CurrentState")
        generator = await self._server.get_event_generator(ua.NodeId(_RESULT_READY, self._index), system)
        for field_name, kind in _RESULT_FIELDS.items():
            generator.event.data_types[field_name] = ua.VariantType[kind]
        generator.event.data_types["ResultContent"] = ua.VariantType.Variant
        return generator

    async def show(self, state: State) -> None:
        """Writes the current state of both machines: name and node."""
        now = STATES[state]
        await self._write(self._state, now.name, now.number)
        await self._write(self._mode, now.mode, now.mode_number)

    async def _write(self, current: Any, name: str, number: int) -> None:
        ua = _ua()
        await current.write_value(ua.LocalizedText(name))
        node = ua.NodeId(number, self._index) if number else ua.NodeId()
        await (await current.get_child("0:Id")).write_value(node, ua.VariantType.NodeId)


def _ua() -> Any:
    return importlib.import_module("asyncua.ua")
