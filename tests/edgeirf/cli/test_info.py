from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgeirf.bundle import Bundle, write
from edgeirf.cli.info import megabytes, threshold
from edgeirf.conformal import Calibration
from edgeirf.gate_report import GateReport
from edgeirf.manifest import Method
from edgeirf.settings import Preprocess, Scoring


def rewritten(source: Path, path: Path, **changes: Any) -> Path:
    """The bundle with parts of its manifest replaced."""
    bundle = Bundle.read(source)
    write(path, replace(bundle.manifest, **changes), {n: bundle.member(n) for n in bundle.manifest.members})
    return path


def words(text: str) -> str:
    """Without line breaks: no line is longer than 80 columns, and none ends in spaces."""
    assert all(len(line) <= 80 and line == line.rstrip() for line in text.splitlines() if "/" not in line)
    return " ".join(text.split())


def test_says_what_the_bundle_is(edgeirf_command: Callable[..., Any], tiny_path: Path) -> None:
    code, out, err = edgeirf_command("info", tiny_path)
    assert (code, err) == (0, "")
    for text in (
        str(tiny_path),
        Bundle.read(tiny_path).digest[:12],
        "2026-01-01 00:00 UTC with edgeirf 0.1.0",
        "the whole frame resized to 64x64 (width x height), colour",
        "one step at t = 100 of 1000, full Gaussian; backbone average-pool, noise network nano",
        "the largest value of the anomaly map, smoothed by 2 pixels",
        "every back end passed",
        "99 held-out good parts can promise a rate of 1 %.",
        "would still allow 2.98 %",  # 1 - 0.05^(1/99)
    ):
        assert text in words(out)


def test_says_what_so_few_parts_do_not_allow(
    edgeirf_command: Callable[..., Any], tiny_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    out = edgeirf_command("info", tiny_bundle(tmp_path / "few.irf", held_out=41)).out
    assert "41 held-out good parts can promise a rate of 2.38 % at best; the 1 % asked for needs 99 of them" in words(
        out
    )


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"preprocess": Preprocess((64, 96), roi=(5, 6, 700, 80))},
            "700x80 pixels at 5,6 of the frame resized to 96x64",
        ),
        ({"preprocess": Preprocess((64, 64), tiles=(2, 3))}, "cut into 2 rows and 3 columns, each resized"),
        ({"preprocess": Preprocess((64, 64), color="gray", bits=12)}, "gray, 12 bits"),
        (
            {"method": Method("invad", (333, 666, 999), "standard", "lite0", "small")},
            "DDIM inversion (InvAD) in 3 steps",
        ),
    ],
)
def test_options_in_words(
    edgeirf_command: Callable[..., Any], tiny_path: Path, tmp_path: Path, changes: Any, text: str
) -> None:
    assert text in words(edgeirf_command("info", rewritten(tiny_path, tmp_path / "x.irf", **changes)).out)


def test_precisions_with_their_gates(edgeirf_command: Callable[..., Any], tiny_path: Path, tmp_path: Path) -> None:
    model = Bundle.read(tiny_path).manifest.models["fp32"]
    int8 = replace(
        model,
        precision="int8",
        family="tensorrt",
        refused="image AUROC falls by 0.02",
        scoring=Scoring(sigma=2.0, top_k=50),
        report=GateReport(torch_onnx_relative_difference=0.0123456, calibration="max, 48 pictures"),
    )
    path = rewritten(tiny_path, tmp_path / "x.irf", models={"fp32": model, "int8-tensorrt": int8})
    out = edgeirf_command("info", path).out
    for part in ("refused:", "image", "AUROC", "largest", "0.0123"):
        assert part in words(out)
    assert "\x1b" not in out
    found = json.loads(edgeirf_command("info", path, "--json").out)
    assert found["models"]["int8-tensorrt"]["refused"] == "image AUROC falls by 0.02"
    assert found["models"]["int8-tensorrt"]["scoring"]["top_k"] == 50
    assert found["models"]["int8-tensorrt"]["report"]["golden_tolerance"] == 0.01


def test_json_has_thresholds_instead_of_scores(edgeirf_command: Callable[..., Any], tiny_path: Path) -> None:
    found = json.loads(edgeirf_command("info", tiny_path, "--json").out)
    manifest = Bundle.read(tiny_path).manifest
    part = found["models"]["fp32"]["thresholds"]["part"]
    assert part["threshold"] == manifest.models["fp32"].calibration["part"].score_threshold(0.01)
    assert part["held_out"] == 99
    assert found["name"] == "tiny"
    assert found["sha256"] == Bundle.read(tiny_path).digest
    assert "model.fp32.onnx" in found["members"]


def test_upper_bound_of_the_threshold_at_hand() -> None:
    """19 parts at 10 %: the 18th of 19 is the threshold, one part is above; Beta(2, 18)'s 95 % quantile."""
    scores = tuple(float(v) for v in range(19))
    found = threshold(Calibration(scores, scores), 0.1)
    assert (found["threshold"], found["above"]) == (17.0, 1)
    assert found["upper_bound"] == pytest.approx(0.2264, abs=1e-4)
    assert found["upper_bound_of_none"] == pytest.approx(1 - 0.05 ** (1 / 19))


def test_several_products(edgeirf_command: Callable[..., Any], tiny_bundle: Any, tmp_path: Path) -> None:
    out = edgeirf_command("info", tiny_bundle(tmp_path / "u.irf", products=("nut", "bolt"))).out
    assert "nut, bolt" in out
    assert "nut: 99 held-out" in out
    assert "bolt: 99 held-out" in out


@pytest.mark.parametrize(("content", "message"), [(b"PK", "not an edgeirf bundle"), (None, "No such file")])
def test_no_bundle(edgeirf_command: Callable[..., Any], tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "x.irf"
    if content is not None:
        path.write_bytes(content)
    code, out, err = edgeirf_command("info", path)
    assert (code, out) == (1, "")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(("size", "text"), [(999, "1.0 kB"), (148_396, "0.1 MB"), (5_250_000, "5.2 MB")])
def test_sizes(size: int, text: str) -> None:
    assert megabytes(size) == text
