from __future__ import annotations

import math
from dataclasses import replace

import pytest

from edgeirf.gate_report import Comparison, GateReport, upgraded

FOUND = Comparison(12, 60, 0.99, 0.985, 0.5, 0.97, 0.3, 0.2, 0, 1)


@pytest.mark.parametrize("tolerance", [0.0, 1.0, -1.0, math.nan])
def test_a_tolerance_lies_between_0_and_1(tolerance: float) -> None:
    with pytest.raises(ValueError, match="golden_tolerance"):
        GateReport(golden_tolerance=tolerance)


def test_figures_are_those_that_are_stated() -> None:
    assert GateReport().figures == {"golden tolerance": 0.01}
    assert GateReport(images=3, int8_layers=0).figures == {"images": 3, "int8 layers": 0, "golden tolerance": 0.01}


@pytest.mark.parametrize("field", ["auroc_loss_points", "rank_correlation", "largest_change", "largest_change_of_good"])
def test_scores_that_are_not_numbers_show(field: str) -> None:
    assert FOUND.is_finite
    assert not replace(FOUND, **{field: math.nan}).is_finite


def test_a_schema_1_report_keeps_what_fits() -> None:
    raw = {"images": 3, "golden_tolerance": 5, "synthetic": "odd", "note": "free", "float_layers": {"head": 1}}
    assert upgraded(raw) == {"images": 3, "float_layers": {"head": 1}}
