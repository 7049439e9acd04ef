"""``manifest.json``: everything about a bundle but the weights, read with every field checked."""

from __future__ import annotations

import dataclasses
import json
import typing
from dataclasses import dataclass, field
from typing import Any, Literal

from edgeirf.conformal import Calibration
from edgeirf.errors import BundleError, UsageError
from edgeirf.frame_contract import FrameContract
from edgeirf.gate_report import GateReport, upgraded
from edgeirf.settings import Preprocess, Scoring
from edgeirf.typed_json import from_json

SCHEMA = 2
"""Raised when an older edgeirf could misread a newer bundle. Schema 1 had a report of free JSON; it is still read."""

MAX_MODELS, MAX_PRODUCTS = 32, 4096

Family = Literal["any", "onnxruntime", "tensorrt"]


@dataclass(frozen=True)
class Member:
    """One file of the bundle: its size in bytes and SHA-256."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Method:
    """How the graph computes the field (``method.md`` of the papers: OSD-IRF arXiv 2604.18393, InvAD arXiv 2504.05662).

    >>> Method("irf", (200,), "full", "lite0", "small").label
    'irf t=200 full'

    Attributes:
        name: ``irf``: one evaluation at one timestep; ``invad``: DDIM inversion steps.
        timesteps: the fixed timesteps of the graph, of 1000.
        gaussian: the fit folded into the last layer: ``standard``, ``diagonal`` or ``full``.
        backbone, preset: names of the feature network and of the noise network.
        windows: sides of the windows that the field's density is read at, in grid positions; 0 is the whole grid,
            -1 its texture.
        tolerate: what the line may do to a picture of a good part, as ``edgeirf train --tolerate`` takes it.
    """

    name: Literal["irf", "invad"]
    timesteps: tuple[int, ...]
    gaussian: Literal["standard", "diagonal", "full"]
    backbone: str
    preset: str
    windows: tuple[int, ...] = (1,)
    tolerate: str = "off"

    @property
    def label(self) -> str:
        """One line for tables, ``irf t=100 diagonal``."""
        return f"{self.name} t={','.join(map(str, self.timesteps))} {self.gaussian}"


@dataclass(frozen=True)
class Model:
    """One ONNX graph of the bundle, with what was measured of it.

    Attributes:
        file: the member that holds the graph.
        precision: ``fp32``, ``fp16`` or ``int8``.
        family: the back ends the graph is laid out for.
        calibration: product name to scores of held-out good parts, computed with this graph.
        scoring: how its field is scored (InvAD's statistics are re-fitted per precision).
        refused: why the graph failed its gate, None when it passed; a refused graph is never chosen by itself.
        report: what the gate and the engine builder measured.
    """

    file: str
    precision: Literal["fp32", "fp16", "int8"]
    family: Family
    calibration: dict[str, Calibration]
    scoring: Scoring
    refused: str | None = None
    report: GateReport = field(default_factory=GateReport)


@dataclass(frozen=True)
class Manifest:
    """The bundle's first member.

    >>> from edgeirf.bundle import Bundle
    >>> Bundle.read("bottle.irf").manifest.products
    ('part',)

    Attributes:
        name: the model's name, by default the folder it was trained on.
        created: UTC, ISO 8601.
        edgeirf: version of edgeirf that wrote it.
        false_reject_rate: the rate asked for at export; ``run`` may choose another.
        models: key (``fp32``, ``int8-tensorrt``, ...) to graph; ``fp32`` is always there.
        members: every other file of the bundle.
        frame: the frames it was trained on; None in a bundle of an edgeirf that did not keep them: every frame fits.
        schema: of the file that was read; :meth:`to_json` always writes the present one.
    """

    name: str
    created: str
    edgeirf: str
    preprocess: Preprocess
    method: Method
    false_reject_rate: float
    models: dict[str, Model]
    members: dict[str, Member] = field(default_factory=dict)
    frame: FrameContract | None = None
    schema: int = SCHEMA

    def to_json(self) -> bytes:
        """UTF-8 JSON; :func:`parse` gives an equal manifest of the present schema back."""
        raw = {**dataclasses.asdict(self), "schema": SCHEMA}
        return json.dumps(raw, indent=1, allow_nan=False, ensure_ascii=False).encode()

    @property
    def products(self) -> tuple[str, ...]:
        """Names of the products the model was trained on, in the order of training."""
        return tuple(next(iter(self.models.values())).calibration)


def parse(data: bytes) -> Manifest:
    """Reads a manifest and checks the type and range of every field.

    Raises:
        BundleError: the text is no manifest, or one of a later schema.
    """
    try:
        raw = json.loads(data)
    except (ValueError, RecursionError, MemoryError) as error:
        raise BundleError(f"manifest.json is not valid JSON ({error})") from None
    if not isinstance(raw, dict) or not isinstance(raw.get("schema"), int) or raw["schema"] < 1:
        raise BundleError("manifest.json is not an edgeirf manifest")
    if raw["schema"] > SCHEMA:
        raise BundleError(
            f"written by a later edgeirf (schema {raw['schema']}, this one reads {SCHEMA}): upgrade edgeirf"
        )
    try:
        if raw["schema"] == 1:
            raw = _upgrade(raw)
        manifest = typing.cast(Manifest, from_json(Manifest, raw, "manifest"))
        _check(manifest)
    except (ValueError, TypeError, OverflowError, RecursionError, UsageError) as error:
        reason = " ".join(str(error).split())[:300]
        raise BundleError(f"manifest.json does not fit schema {raw['schema']}: {reason}") from None
    return manifest


def _upgrade(raw: dict[str, Any]) -> dict[str, Any]:
    """A manifest of schema 1 with reports that fit schema 2. Nothing else differs."""
    models = raw.get("models")
    if not isinstance(models, dict):
        return raw
    return {**raw, "models": {key: _upgrade_model(model) for key, model in models.items()}}


def _upgrade_model(model: Any) -> Any:
    if not isinstance(model, dict) or not isinstance(model.get("report"), dict):
        return model
    return {**model, "report": upgraded(model["report"])}


def _check(manifest: Manifest) -> None:
    if "fp32" not in manifest.models:
        raise ValueError("models has no fp32")
    if len(manifest.models) > MAX_MODELS or len(manifest.products) > MAX_PRODUCTS:
        raise ValueError(f"{len(manifest.models)} models and {len(manifest.products)} products are too many")
    for key, model in manifest.models.items():
        if model.file not in manifest.members:
            raise ValueError(f"models.{key} names {model.file!r}, which is not a member")
        if not model.calibration or tuple(model.calibration) != manifest.products:
            raise ValueError(f"models.{key} lacks calibrations")
    if (
        not all(0 <= step < 1000 for step in manifest.method.timesteps)
        or not 1 <= len(manifest.method.timesteps) <= 1000
    ):
        raise ValueError("timesteps lie in 0..999")
    if not 0 < manifest.false_reject_rate < 1:
        raise ValueError("false_reject_rate lies in 0..1")
