from __future__ import annotations

import numpy as np
import pytest

from edgeirf.calib.gate.gate import LIMITS, Margins, compare, findings, rank_correlation, refusal
from edgeirf.gate_report import Comparison, GateReport, Limits

GOOD = np.linspace(-3, -0.2, 30)
DEFECTIVE = np.linspace(-0.5, 9, 40)
LIMIT = Limits(auroc_points=0.5, guard_band=0.5)


def compared(good: np.ndarray, defective: np.ndarray, limits: Limits = LIMIT) -> Comparison:
    return compare(Margins(GOOD, DEFECTIVE), Margins(good, defective), limits)


def test_the_same_scores_pass() -> None:
    found = compared(GOOD, DEFECTIVE)
    assert (found.auroc_loss_points, found.largest_change, found.flips, found.flips_in_band) == (0, 0, 0, 0)
    assert found.rank_correlation == pytest.approx(1)
    assert refusal({"synthetic": found}, LIMIT) is None


@pytest.mark.parametrize(
    ("good", "defective", "reason"),
    [
        (GOOD, DEFECTIVE * 1.05, None),
        (GOOD, DEFECTIVE[::-1], "clear verdicts change"),
        (GOOD, np.full(40, -1.5), "points of AUROC on synthetic defects"),
        (GOOD + 2.0, DEFECTIVE + 2.0, "clear verdicts change on good parts"),
        (GOOD * np.nan, DEFECTIVE, "not finite"),
    ],
    ids=["stretched", "shuffled", "blind", "shifted", "nan"],
)
def test_what_is_refused(good: np.ndarray, defective: np.ndarray, reason: str | None) -> None:
    if np.isnan(good).any():
        found = Comparison(30, 40, 1.0, None, 0.0, float("nan"), float("nan"), 0.0, 0, 0)
    else:
        found = compared(good, defective)
    refused = refusal({"synthetic": found}, LIMIT)
    assert refused is None if reason is None else reason in (refused or "")


def test_verdicts_inside_the_guard_band_may_change() -> None:
    moved = GOOD.copy()
    moved[-1] = 0.3  # its FP32 margin is -0.2
    found = compared(moved, DEFECTIVE)
    assert (found.flips, found.flips_in_band) == (0, 1)
    moved[0] = 0.3  # -3
    assert compared(moved, DEFECTIVE).flips == 1


def test_a_gain_is_no_loss() -> None:
    found = compared(GOOD - 1, DEFECTIVE)
    assert found.auroc_loss_points < 0
    assert "higher" in findings(GateReport(synthetic=found))


def test_the_first_set_that_fails_is_named() -> None:
    fine, bad = compared(GOOD, DEFECTIVE), compared(GOOD, np.full(40, -1.5))
    assert "labelled" in (refusal({"synthetic": fine, "labelled": bad}, LIMIT) or "")


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([1, 2, 3, 4], [10, 20, 30, 40], 1.0),
        ([1, 2, 3, 4], [4, 3, 2, 1], -1.0),
        ([1, 2, 2, 4], [1, 2, 3, 4], 0.9486832980505138),  # scipy.stats.spearmanr
        ([1, 1, 1], [1, 2, 3], 0.0),
    ],
)
def test_rank_correlation(first: list[float], second: list[float], expected: float) -> None:
    assert rank_correlation(np.array(first, float), np.array(second, float)) == pytest.approx(expected)


def test_fp16_may_lose_less_than_int8() -> None:
    assert LIMITS["fp16"].auroc_points == 0.2
    assert LIMITS["int8"].auroc_points == 0.5
    assert LIMITS["fp16"].guard_band < LIMITS["int8"].guard_band


@pytest.mark.parametrize("report", [GateReport(), GateReport(images=3)])
def test_reports_without_a_gate(report: GateReport) -> None:
    assert findings(report) == ""


def test_layers_in_float_are_counted_or_named() -> None:
    report = GateReport(float_layers={"head": 0.5, "stem": 0.1}, int8_layers=8)
    assert findings(report) == "2 of 10 layers in float"
    assert findings(report, with_layers=True) == "2 of 10 layers in float (head, stem)"
