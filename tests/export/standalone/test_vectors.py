"""The shared vectors: the Python runtime and the graph both give what ``expected.json`` says."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from numpy.typing import NDArray

from edgeirf.bundle import Bundle
from edgeirf.runtime.scoring import find_regions

Run = Callable[..., dict[str, NDArray[Any]]]
VECTORS = Path(__file__).parents[2] / "data" / "embed"
CASES = json.loads((VECTORS / "expected.json").read_text())


@pytest.fixture(scope="module")
def remake() -> ModuleType:
    spec = importlib.util.spec_from_file_location("remake", VECTORS / "remake.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['bundle']} {case['picture']} {case['product']}")
def test_the_runtime_and_the_graph_give_what_is_expected(run: Run, remake: ModuleType, case: dict[str, Any]) -> None:
    said = remake.verdict(case)
    assert {name: said[name] for name in ("reject", "p_value")} == {name: case[name] for name in ("reject", "p_value")}
    for name in ("score", "threshold", "pixel_threshold"):
        assert said[name] == pytest.approx(case[name], rel=1e-5)
    boxes = [region[:5] for region in case["regions"]]
    assert [region[:5] for region in said["regions"]] == boxes
    asked: dict[str, Any] = {}
    file = VECTORS / case["bundle"]
    graph = file.read_bytes()
    if file.suffix == ".irf":
        bundle = Bundle.read(file)
        graph, products = bundle.member("line.onnx"), bundle.manifest.products
        asked = {"product": products.index(case["product"]), "red_first": case["pixel_format"].startswith("rgb")}
    got = run(graph, remake.frame_of(case), **asked)
    assert float(got["score"]) == pytest.approx(case["score"], rel=1e-5)
    assert (bool(got["reject"]), float(got["p_value"])) == (case["reject"], case["p_value"])
    x, y, width, height = got["area"].tolist()
    marked = float(got["peak"]) > float(got["pixel_threshold"])
    found = find_regions(got["map"], float(got["pixel_threshold"]), (x, y, width, height)) if marked else ()
    assert [[r.x, r.y, r.width, r.height, r.area] for r in found] == boxes


def test_decisions_are_far_from_ties_and_the_files_are_small(remake: ModuleType) -> None:
    assert [{name: case[name] for name in found} for case, found in zip(CASES, remake.cases(), strict=True)] == (
        remake.cases()
    )
    assert all(abs(case["score"] / case["threshold"] - 1) > 1e-2 for case in CASES)
    assert {case["reject"] for case in CASES} == {True, False}
    assert {case["bundle"] for case in CASES} | {case["picture"] for case in CASES} == {
        path.name for path in VECTORS.iterdir() if path.suffix not in (".json", ".py") and path.is_file()
    }
    assert sum(path.stat().st_size for path in VECTORS.iterdir() if path.is_file() and path.suffix != ".py") < 300_000
