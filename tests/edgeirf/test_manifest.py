from __future__ import annotations

import contextlib
import dataclasses
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeirf.conformal import Calibration
from edgeirf.errors import BundleError
from edgeirf.gate_report import Comparison, EngineReport, Fallback, GateReport, Limits
from edgeirf.manifest import SCHEMA, Manifest, Member, Method, Model, parse
from edgeirf.settings import Preprocess, Scoring

DELETE = object()
FOUND = Comparison(12, 60, 0.99, 0.985, 0.5, 0.97, 0.3, 0.2, 0, 1)
ENGINE = EngineReport(
    "tensorrt-rtx", "1.0", ("SM86",), {"Int8": 44, "Half": 1}, (Fallback("a", "b", "Half", "c"),), 2.5
)


def changed(manifest: Manifest, where: str, value: Any) -> bytes:
    """The manifest's JSON with the field at a dotted path replaced, or deleted."""
    raw = json.loads(manifest.to_json())
    *parents, last = where.split("/")
    node = raw
    for key in parents:
        node = node[int(key) if isinstance(node, list) else key]
    if value is DELETE:
        del node[last]
    else:
        node[int(last) if isinstance(node, list) else last] = value
    return json.dumps(raw).encode()


def refused(data: bytes) -> str:
    with pytest.raises(BundleError) as caught:
        parse(data)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def small_manifest(scores: tuple[float, ...]) -> Manifest:
    model = Model("m", "fp32", "any", {"p": Calibration(scores, scores)}, Scoring())
    method = Method("irf", (0,), "full", "b", "p")
    return Manifest("n", "c", "0", Preprocess(), method, 0.5, {"fp32": model}, {"m": Member(0, "0" * 64)})


def test_round_trip(manifest: Manifest) -> None:
    assert parse(manifest.to_json()) == manifest
    assert parse(manifest.to_json()).to_json() == manifest.to_json()


# Written by 0.1.0. A bundle in a plant stays there for years: this text must always be read.
FIRST_RELEASE = """
{"name": "part", "created": "2025-01-01T00:00:00+00:00", "edgeirf": "0.1.0", "false_reject_rate": 0.25, "schema": 1,
 "preprocess": {"size": [64, 64], "roi": null, "tiles": [1, 1], "color": "rgb", "bits": 8, "mean": [0.5, 0.5, 0.5],
  "std": [0.5, 0.5, 0.5]},
 "method": {"name": "irf", "timesteps": [100], "gaussian": "diagonal", "backbone": "lite0", "preset": "nano"},
 "models": {"fp32": {"file": "model.fp32.onnx", "precision": "fp32", "family": "any", "refused": null,
  "calibration": {"part": {"scores": [1.0, 2.0, 3.0], "peaks": [1.5, 2.5, 3.5]}},
  "scoring": {"density": "nll", "sigma": 4.0, "top_k": 1, "latent": null},
  "report": {"torch_onnx_relative_difference": 2e-06}}},
 "members": {"model.fp32.onnx": {"size": 5,
  "sha256": "5fe6a6cf7c4c8b3d9a1b2c1d3e3f0d5e5fe6a6cf7c4c8b3d9a1b2c1d3e3f0d5e"}}}
"""


def test_bundles_of_the_first_release_stay_readable(manifest: Manifest) -> None:
    assert parse(FIRST_RELEASE.encode()) == replace(manifest, schema=1)


FULL_REPORT_1 = {
    "synthetic": dataclasses.asdict(FOUND),
    "labelled": {**dataclasses.asdict(FOUND), "auroc_fp32": None, "auroc": None},
    "limits": {"auroc_points": 0.5, "guard_band": 0.5},
    "calibration": "percentile, 48 pictures, edgeirf",
    "float_layers": {"noise.linear": 0.1234},
    "int8_layers": 40,
    "golden_tolerance": 0.0321,
    "torch_onnx_relative_difference": 3e-06,
    "images": 16,
    "engines": [dataclasses.asdict(ENGINE)],
}


def schema1(report: Any) -> bytes:
    raw = json.loads(FIRST_RELEASE)
    raw["models"]["fp32"]["report"] = report
    return json.dumps(raw).encode()


def test_a_full_report_of_schema_1_is_read() -> None:
    report = parse(schema1(FULL_REPORT_1)).models["fp32"].report
    without_auroc = replace(FOUND, auroc_fp32=None, auroc=None)
    assert report == GateReport(
        torch_onnx_relative_difference=3e-06,
        images=16,
        labelled=without_auroc,
        synthetic=FOUND,
        limits=Limits(0.5, 0.5),
        calibration="percentile, 48 pictures, edgeirf",
        float_layers={"noise.linear": 0.1234},
        int8_layers=40,
        engines=(ENGINE,),
        golden_tolerance=0.0321,
    )


@pytest.mark.parametrize("name", FULL_REPORT_1)
@pytest.mark.parametrize("odd", ["a\x1b[2J", {"good": 1}, [[]], 7e300, None, True])
def test_a_field_of_a_schema_1_report_that_does_not_fit_keeps_its_default(name: str, odd: Any) -> None:
    report = parse(schema1({**FULL_REPORT_1, name: odd, "note": odd})).models["fp32"].report
    rest = dataclasses.asdict(parse(schema1(FULL_REPORT_1)).models["fp32"].report)
    found = dataclasses.asdict(report)
    assert {k: v for k, v in found.items() if k != name} == {k: v for k, v in rest.items() if k != name}


def test_a_bundle_of_schema_1_is_written_as_the_present_schema() -> None:
    old = parse(schema1(FULL_REPORT_1))
    assert parse(old.to_json()) == replace(old, schema=SCHEMA)
    assert old.schema == 1


@pytest.mark.parametrize("models", [None, [], {"fp32": 1}, {"fp32": {"report": []}}])
def test_damaged_manifests_of_schema_1_are_refused(models: Any) -> None:
    refused(json.dumps({**json.loads(FIRST_RELEASE), "models": models}).encode())


def test_round_trip_of_every_option(manifest: Manifest) -> None:
    calibration = {name: Calibration((-1.5, 0.0), (0.25, 1e300)) for name in ("bottle", "Flasche groß", "瓶")}
    invad = Model(
        file="model.fp32.onnx",
        precision="int8",
        family="tensorrt",
        calibration=calibration,
        scoring=Scoring("norm", 0.0, 100, (1.0, 2.0, 3.0, 4.0)),
        refused="scores differ by 3 %",
        report=GateReport(
            1e-5,
            7,
            FOUND,
            FOUND,
            Limits(0.5, 0.1),
            "max, 9 pictures",
            {"head": 0.5},
            40,
            (ENGINE,),
            golden_tolerance=0.2,
        ),
    )
    full = replace(
        manifest,
        method=Method("invad", (333, 666, 999), "full", "lite1", "base"),
        preprocess=Preprocess((64, 96), (1, 2, 3, 4), (2, 3), "gray", 12, (0.1, 0.2, 0.3), (1.0, 2.0, 3.0)),
        models={"fp32": replace(invad, precision="fp32"), "int8-tensorrt": invad},
    )
    assert parse(full.to_json()) == full
    assert full.products == ("bottle", "Flasche groß", "瓶")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=50))
def test_scores_survive_to_the_last_bit(values: list[float]) -> None:
    scores = tuple(sorted(values))
    assert parse(small_manifest(scores).to_json()).models["fp32"].calibration["p"].scores == scores


FP32 = "models/fp32"
WRONG = [
    # field, wrong value, what the message must name
    ("name", 7, "manifest.name"),
    ("name", None, "manifest.name"),
    ("name", "a\nb", "name"),
    ("name", "\x1b[2J", "name"),
    ("created", 1.5, "manifest.created"),
    ("edgeirf", ["0"], "manifest.edgeirf"),
    ("false_reject_rate", "0.1", "manifest.false_reject_rate"),
    ("false_reject_rate", True, "manifest.false_reject_rate"),
    ("false_reject_rate", 0, "false_reject_rate"),
    ("false_reject_rate", 1, "false_reject_rate"),
    ("false_reject_rate", 10**400, "manifest.false_reject_rate"),
    ("preprocess", [], "manifest.preprocess"),
    ("preprocess/size", 256, "manifest.preprocess.size"),
    ("preprocess/size", [256], "manifest.preprocess.size has 1 values, not 2"),
    ("preprocess/size", [256.0, 256], "manifest.preprocess.size[0]"),
    ("preprocess/size", [250, 256], "multiples of 32"),
    ("preprocess/size", [1 << 20, 256], "multiples of 32"),
    ("preprocess/size", [-64, 256], "multiples of 32"),
    ("preprocess/roi", [0, 0, 0, 5], "region of interest"),
    ("preprocess/roi", [-1, 0, 5, 5], "region of interest"),
    ("preprocess/roi", [0, 0, 5], "manifest.preprocess.roi has 3 values, not 4"),
    ("preprocess/tiles", [0, 1], "tiles"),
    ("preprocess/tiles", [1000, 1000], "tiles"),
    ("preprocess/color", "bgr", "manifest.preprocess.color"),
    ("preprocess/color", [], "manifest.preprocess.color"),
    ("preprocess/bits", 7, "bits"),
    ("preprocess/bits", True, "manifest.preprocess.bits"),
    ("preprocess/std", [0, 1, 1], "std"),
    ("preprocess/mean", [0, "x", 1], "manifest.preprocess.mean[1]"),
    ("method", None, "manifest.method"),
    ("method/name", "other", "manifest.method.name"),
    ("method/timesteps", [], "timesteps"),
    ("method/timesteps", [1000], "timesteps"),
    ("method/timesteps", [-1], "timesteps"),
    ("method/timesteps", 100, "manifest.method.timesteps"),
    ("method/gaussian", "round", "manifest.method.gaussian"),
    ("method/backbone", 0, "manifest.method.backbone"),
    ("method/preset", {}, "manifest.method.preset"),
    ("models", [], "manifest.models"),
    ("models", {}, "models has no fp32"),
    (f"{FP32}", 1, "manifest.models.fp32"),
    (f"{FP32}/file", "other.onnx", "models.fp32 names 'other.onnx'"),
    (f"{FP32}/precision", "fp8", "manifest.models.fp32.precision"),
    (f"{FP32}/family", "cuda", "manifest.models.fp32.family"),
    (f"{FP32}/calibration", {}, "models.fp32 lacks calibrations"),
    (f"{FP32}/calibration/part/scores", [], "calibration values"),
    (f"{FP32}/calibration/part/scores", [2, 1, 3], "calibration values"),
    (f"{FP32}/calibration/part/scores", [1, 2], "one peak for each score"),
    (f"{FP32}/calibration/part/scores", ["1"], "manifest.models.fp32.calibration.part.scores[0]"),
    (f"{FP32}/calibration/part/peaks", None, "manifest.models.fp32.calibration.part.peaks"),
    (f"{FP32}/calibration/part/peaks", [1, 2, 10**400], "manifest.models.fp32.calibration.part.peaks[2]"),
    (f"{FP32}/calibration", {"a\x1b": {"scores": [1], "peaks": [1]}}, "manifest.models.fp32.calibration"),
    (f"{FP32}/scoring/density", "sum", "manifest.models.fp32.scoring.density"),
    (f"{FP32}/scoring/sigma", -1, "sigma"),
    (f"{FP32}/scoring/sigma", 1e9, "sigma"),
    (f"{FP32}/scoring/top_k", 0, "top_k"),
    (f"{FP32}/scoring/latent", [1, 0, 1, 1], "standard deviations"),
    (f"{FP32}/scoring/latent", [1, 1, 1], "manifest.models.fp32.scoring.latent has 3 values, not 4"),
    (f"{FP32}/refused", 1, "manifest.models.fp32.refused"),
    (f"{FP32}/report", None, "manifest.models.fp32.report"),
    (f"{FP32}/report/golden_tolerance", 5, "golden_tolerance"),
    (f"{FP32}/report/golden_tolerance", "much", "manifest.models.fp32.report.golden_tolerance"),
    (f"{FP32}/report/synthetic", {"good": 1}, "manifest.models.fp32.report.synthetic lacks"),
    (f"{FP32}/report/note", "a", "manifest.models.fp32.report has an unknown field 'note'"),
    ("members", None, "manifest.members"),
    ("members/model.fp32.onnx/size", "5", "manifest.members.model.fp32.onnx.size"),
    ("members/model.fp32.onnx/sha256", 5, "manifest.members.model.fp32.onnx.sha256"),
    ("schema", "1", "not an edgeirf manifest"),
    ("schema", True, "manifest.schema"),
    ("schema", 0, "not an edgeirf manifest"),
    ("schema", SCHEMA + 1, "upgrade edgeirf"),
]


@pytest.mark.parametrize(("where", "value", "message"), WRONG)
def test_a_wrong_field_is_named(manifest: Manifest, where: str, value: Any, message: str) -> None:
    assert message in refused(changed(manifest, where, value))


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("name", "manifest lacks 'name'"),
        ("preprocess", "manifest lacks 'preprocess'"),
        ("method/timesteps", "manifest.method lacks 'timesteps'"),
        (f"{FP32}/calibration/part/peaks", "manifest.models.fp32.calibration.part lacks 'peaks'"),
        ("members/model.fp32.onnx/sha256", "manifest.members.model.fp32.onnx lacks 'sha256'"),
        ("schema", "not an edgeirf manifest"),
    ],
)
def test_a_missing_field_is_named(manifest: Manifest, where: str, message: str) -> None:
    assert message in refused(changed(manifest, where, DELETE))


@pytest.mark.parametrize("where", ["", "preprocess", "method", FP32, f"{FP32}/scoring", "members/model.fp32.onnx"])
def test_an_unknown_field_is_named(manifest: Manifest, where: str) -> None:
    path = f"{where}/zoom" if where else "zoom"
    parent = "manifest" + "".join(f".{key}" for key in where.split("/") if key)
    assert f"{parent} has an unknown field 'zoom'" in refused(changed(manifest, path, 1))


@pytest.mark.parametrize("where", ["preprocess/roi", f"{FP32}/refused", f"{FP32}/scoring/latent"])
def test_options_may_be_left_out(manifest: Manifest, where: str) -> None:
    assert parse(changed(manifest, where, DELETE)) == manifest


def test_every_model_has_the_same_products(manifest: Manifest) -> None:
    raw = json.loads(manifest.to_json())
    raw["models"]["int8"] = json.loads(json.dumps(raw["models"]["fp32"]))
    raw["models"]["int8"]["calibration"]["other"] = {"scores": [1], "peaks": [1]}
    assert "models.int8 lacks calibrations" in refused(json.dumps(raw).encode())


@pytest.mark.parametrize(
    "data",
    [b"", b"null", b"[]", b"1", b"{", b"\xff\xfe\x00", b'{"schema": 1}', b"[" * 100_000, b'{"schema": NaN}'],
)
def test_no_manifest_at_all(data: bytes) -> None:
    refused(data)


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
def test_numbers_must_be_finite(manifest: Manifest, number: bytes) -> None:
    text = json.dumps(json.loads(manifest.to_json())).encode()
    refused(text.replace(b'"false_reject_rate": 0.25', b'"false_reject_rate": ' + number))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def paths(node: Any, prefix: str = "") -> list[str]:
    if isinstance(node, dict):
        items = list(node.items())
    elif isinstance(node, list):
        items = list(enumerate(node))
    else:
        return [prefix]
    return ([prefix] if prefix else []) + [p for key, item in items for p in paths(item, f"{prefix}/{key}".lstrip("/"))]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_value_anywhere_is_read_or_refused(data: st.DataObject) -> None:
    manifest = small_manifest((1.0, 2.0))
    where = data.draw(st.sampled_from(paths(json.loads(manifest.to_json()))))
    with contextlib.suppress(BundleError):
        parse(changed(manifest, where, data.draw(json_values)))
