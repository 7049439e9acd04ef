from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import edgeirf
from edgeirf.calib.evaluation.count import Count
from edgeirf.calib.evaluation.evaluate import evaluate
from edgeirf.calib.reports.wording import counted, date, figure, percent, titles


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (1.0, "1.0000"), (0.99999, "0.9999"), (0.99994, "0.9999"), (0.5, "0.5000"), (0.0, "0.0000")],
)
def test_figures_are_one_only_when_they_are(value: float | None, text: str) -> None:
    assert figure(value) == text


@pytest.mark.parametrize(("share", "text"), [(None, "-"), (0.0, "0 %"), (1.0, "100 %"), (0.0235294, "2.35 %")])
def test_percent(share: float | None, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(Count(0, 50), "0 of 50 (\u2264 5.82 %)"), (Count(3, 3), "3 of 3 (\u2264 100 %)"), (Count(0, 0), "-")],
)
def test_counts(count: Count, text: str) -> None:
    assert counted(count) == text


def test_titles_tell_apart(tiny_path: Path, labelled: Any) -> None:
    with edgeirf.load(tiny_path, device="cpu", threads=1) as detector:
        one = evaluate(detector, labelled())
    assert titles([one]) == ["tiny.irf"]
    assert titles([one, replace(one, bundle=Path("other.irf"))]) == ["tiny.irf", "other.irf"]
    assert titles([one, replace(one, product="nut")]) == ["tiny.irf part", "tiny.irf nut"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-01-01T12:34:56+00:00", "2026-01-01 12:34 UTC"),
        ("2026-01-01T12:34:56Z", "2026-01-01 12:34 UTC"),
        ("2026-01-01T12:34:56+02:00", "2026-01-01T12:34:56+02:00"),
        ("yesterday", "yesterday"),
    ],
)
def test_dates(text: str, shown: str) -> None:
    assert date(text) == shown
