"""The OPC UA server: the only module that knows asyncua."""

from __future__ import annotations

import hmac
import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from edgeirf.part import PartVerdict
from edgeirf.runtime.outputs.opcua_nodes import (
    COMMANDS,
    NODES,
    RESULT,
    Value,
    inputs_of,
    result_of,
    values_of,
)
from edgeirf.runtime.outputs.plc import PlcInputs, Shown
from edgeirf.runtime.outputs.vision_model import VisionSystem

NAMESPACE = "urn:edgeirf"


@dataclass(frozen=True)
class Endpoint:
    """Where and how the server listens; see :class:`edgeirf.runtime.outputs.opcua.OpcUaSettings`."""

    host: str
    port: int
    pki: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    nodeset: str = ""


class Users:
    """Lets one user in, or everybody where no user is set. Nobody may change the nodes themselves."""

    def __init__(self, user: str, password: str) -> None:
        self._user, self._password = user, password

    def get_user(
        self, iserver: object, username: str | None = None, password: str | None = None, certificate: object = None
    ) -> Any:
        """The role of a client, None for one that is refused. Called by asyncua."""
        from asyncua.crypto.permission_rules import User, UserRole

        if self._user:
            same = hmac.compare_digest((username or "").encode(), self._user.encode())
            if not hmac.compare_digest((password or "").encode(), self._password.encode()) or not same:
                return None
        return User(role=UserRole.User)


class OpcUaServer:
    """Serves the nodes of :mod:`edgeirf.runtime.outputs.opcua_nodes`. Every method runs on the server's loop.

    Args:
        settings: where to listen; with ``pki`` signed and encrypted.
        heard: called with what a client writes.
    """

    def __init__(self, settings: Endpoint, heard: Callable[[PlcInputs], None]) -> None:
        self._settings, self._heard = settings, heard
        users = Users(settings.user, settings.password)
        self._server: Any = importlib.import_module("asyncua").Server(user_manager=users)
        self._index = 0
        self._written: dict[str, Value] = {}
        self._events: list[Any] = []
        self._vision: VisionSystem | None = None

    async def start(self) -> None:
        """Builds the nodes and listens."""
        from asyncua.common.callback import CallbackType

        await self._server.init()
        self._server.set_endpoint(f"opc.tcp://{self._settings.host}:{self._settings.port}/edgeirf")
        self._server.set_server_name("edgeirf")
        await self._secure()
        await self._build()
        self._server.subscribe_server_callback(CallbackType.PostWrite, self._on_write)
        await self._server.start()

    async def stop(self) -> None:
        """Ends the server."""
        await self._server.stop()

    async def show(self, shown: Shown) -> None:
        """Writes the nodes that changed; ``Result.Sequence`` after the rest of a result."""
        values = values_of(shown)
        values["Result.Sequence"] = values.pop("Result.Sequence")
        for name, value in values.items():
            if name not in self._written or repr(self._written[name]) != repr(value):  # NaN is not NaN
                await self._write(name, value, NODES[name])
        if self._vision is not None:
            await self._vision.show(shown.state)

    async def report(self, verdict: PartVerdict) -> None:
        """Sends one event for a result."""
        ua = _ua()
        now, said = datetime.now(timezone.utc), "reject" if verdict.reject else "pass"
        values = {**result_of(verdict), "CreationTime": now, "IsPartial": False, "IsSimulated": False, "ResultState": 0}
        for generator in self._events:
            event = generator.event
            for name, value in values.items():
                kept: Any = getattr(event, name, None)
                if hasattr(kept, "Id"):  # the companion model's identifiers are structures
                    kept.Id = str(value)
                elif name in event.data_types:
                    setattr(event, name, value)
            if "ResultId" in event.data_types:
                event.ResultId.Id = str(verdict.sequence)
                event.ResultContent = [ua.Variant(values["Json"], ua.VariantType.String)]
            event.Severity = 500 if verdict.reject else 100
            event.Message = ua.LocalizedText(f"part {verdict.part_id}: {said} ({verdict.reason})")
            await generator.trigger()

    async def _build(self) -> None:
        ua = _ua()
        self._index = await self._server.register_namespace(NAMESPACE)
        top = await self._server.nodes.objects.add_object(ua.NodeId("edgeirf", self._index), "edgeirf")
        folders = {"": top}
        for name in ("Result", "Command"):
            folders[name] = await top.add_object(ua.NodeId(f"edgeirf.{name}", self._index), name)
        for name, kind in {**NODES, **COMMANDS}.items():
            folder, _, last = name.rpartition(".")
            start: Value = "" if kind == "String" else False if kind == "Boolean" else 0.0 if kind == "Double" else 0
            node = await folders[folder].add_variable(self._id(name), last, start, ua.VariantType[kind])
            if name in COMMANDS:
                await node.set_writable()
        fields = [(name, ua.VariantType[kind]) for name, kind in RESULT.items()]
        event = await self._server.create_custom_event_type(
            self._index, "InspectionResultType", ua.ObjectIds.BaseEventType, fields
        )
        self._events = [await self._server.get_event_generator(event, top)]
        if self._settings.nodeset:
            self._vision = VisionSystem(self._server)
            self._events.append(await self._vision.build(self._settings.nodeset, self._index))

    async def _secure(self) -> None:
        ua = _ua()
        rules: Any = importlib.import_module("asyncua.crypto.permission_rules")
        policy = ua.SecurityPolicyType.NoSecurity
        if self._settings.pki:
            policy = ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt
            await self._load_certificate(Path(self._settings.pki))
        self._server.set_security_policy([policy], permission_ruleset=rules.SimpleRoleRuleset())
        self._server.set_identity_tokens(
            [ua.UserNameIdentityToken if self._settings.user else ua.AnonymousIdentityToken]
        )

    async def _load_certificate(self, pki: Path) -> None:
        """The certificate in ``own.der`` and ``own.pem``, created when missing; clients in ``trusted/``, if any."""
        from asyncua.crypto.cert_gen import setup_self_signed_certificate
        from asyncua.crypto.truststore import TrustStore
        from asyncua.crypto.validator import CertificateValidator, CertificateValidatorOptions
        from cryptography.x509.oid import ExtendedKeyUsageOID

        (pki / "trusted").mkdir(parents=True, exist_ok=True)
        key, certificate, uri = pki / "own.pem", pki / "own.der", f"urn:{self._settings.host}:edgeirf"
        usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        before = os.umask(0o077)  # nobody else reads the key, from its first byte on
        try:
            await setup_self_signed_certificate(
                key, certificate, uri, self._settings.host, usage, {"organizationName": "edgeirf"}
            )
        finally:
            os.umask(before)
        await self._server.set_application_uri(uri)
        await self._server.load_certificate(str(certificate))
        await self._server.load_private_key(str(key))
        if any((pki / "trusted").iterdir()):
            store = TrustStore([pki / "trusted"], [])
            await store.load()
            options = CertificateValidatorOptions.TRUSTED_VALIDATION | CertificateValidatorOptions.PEER_CLIENT
            self._server.set_certificate_validator(CertificateValidator(options, store))

    async def _on_write(self, event: Any, dispatcher: object) -> None:
        if event.is_external:
            values = {name: await self._server.get_node(self._id(name)).read_value() for name in COMMANDS}
            self._heard(inputs_of(values))

    async def _write(self, name: str, value: Value, kind: str) -> None:
        ua = _ua()
        now = datetime.now(timezone.utc)
        data = ua.DataValue(ua.Variant(value, ua.VariantType[kind]), SourceTimestamp=now, ServerTimestamp=now)
        await self._server.write_attribute_value(self._id(name), data)
        self._written[name] = value

    def _id(self, name: str) -> Any:
        ua = _ua()
        return ua.NodeId(f"edgeirf.{name}", self._index)


def _ua() -> Any:
    """asyncua's types: they name their integers in a way that a type checker does not take."""
    return importlib.import_module("asyncua.ua")
