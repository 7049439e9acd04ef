from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import edgeirf
from edgeirf.calib.conditions.perturb import Change
from edgeirf.errors import UsageError
from edgeirf.part import PartVerdict
from edgeirf.runtime.detector import Detector
from edgeirf.runtime.monitor import Monitor
from edgeirf.runtime.monitor.monitor import duration
from edgeirf.verdict import Verdict

Picture = NDArray[np.uint8]


@pytest.fixture
def detector(tiny_path: Path) -> Iterator[Detector]:
    with edgeirf.load(tiny_path, device="cpu", threads=1) as opened:
        yield opened


def part(number: int, score: float | None, *, view: str = "top", at: float | None = None) -> PartVerdict:
    status = "ok" if score is not None else "error"
    verdict = Verdict(score is None, score, 0.5, 1e9, status=status, captured_at=at)  # type: ignore[arg-type]
    return PartVerdict(number, verdict.reject, "inspected", {view: verdict})


def scores(detector: Detector, count: int) -> list[float]:
    """Like those of the calibration."""
    return np.random.default_rng(0).choice(detector.calibration.scores, count).tolist()


def test_the_line_of_a_product_as_calibrated_raises_nothing(detector: Detector, good: Callable[..., Picture]) -> None:
    monitor = Monitor(detector)
    for at in range(150):
        frame = good(at)
        verdict = detector(frame).verdict
        assert monitor.watch(PartVerdict(at, verdict.reject, "inspected", {"top": verdict}), frame) is None
    status = monitor.status()
    assert (status.parts, status.learned, status.to_learn, status.reason) == (150, 100, 100, None)
    assert status.mean_rank is not None
    assert status.mean_rank > 0.2


def test_scores_alone_raise_a_reason_and_an_accepted_state_ends_it(detector: Detector) -> None:
    monitor = Monitor(detector)
    assert monitor.status().mean_rank is None
    assert monitor.status().to_learn == 0
    for at, score in enumerate(scores(detector, 100)):
        assert monitor.watch(part(at, score)) is None
    said = [monitor.watch(part(at, 50 * score)) for at, score in enumerate(scores(detector, 60))]
    assert said[-1] is not None
    assert "parts score higher" in said[-1]
    assert monitor.status().scores == "higher"
    monitor.accept()
    assert monitor.watch(part(0, 50.0)) is None


def test_falling_scores_say_that_defects_may_pass(detector: Detector) -> None:
    monitor = Monitor(detector)
    for at, score in enumerate(scores(detector, 200)):
        monitor.watch(part(at, score))
    said = [monitor.watch(part(at, score / 50)) for at, score in enumerate(scores(detector, 60))]
    assert said[-1] is not None
    assert "defects may pass" in said[-1]


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        (np.full(150, -0.08), "the light changed: light -8 % since "),
        (np.linspace(0, -0.12, 400), "the light ages or a lens gets dirty: light -"),
    ],
)
def test_a_change_of_the_light_is_said_with_amount_and_time(
    detector: Detector, good: Callable[..., Picture], steps: NDArray[np.float64], words: str
) -> None:
    monitor, said = Monitor(detector), None
    for at, step in enumerate([*np.zeros(200), *steps]):
        frame = Change(brightness=float(step))(good(at))
        said = monitor.watch(part(at, 30.0 + at % 7, at=at * 3600.0), frame)
    assert said is not None
    assert said.startswith(words)
    assert said.endswith("days") == (len(steps) > 200)
    assert monitor.status().changes[0].startswith("light -")


def test_errors_and_other_views_are_left_out(detector: Detector) -> None:
    monitor = Monitor(detector, view="side")
    monitor.watch(part(0, None, view="side"))
    monitor.watch(part(1, 1e6, view="top"))
    monitor.watch(PartVerdict(2, True, "late"))
    assert monitor.status().parts == 0
    monitor.watch(part(3, 1.0, view="side"))
    assert monitor.status().parts == 1


def test_a_frame_that_does_not_fit_ends_nothing(tiny_bundle: Callable[..., Path], tmp_path: Path) -> None:
    settings = edgeirf.settings.Preprocess(size=(64, 64), roi=(0, 0, 200, 200))
    path = tiny_bundle(tmp_path / "roi.irf", settings=settings)
    with edgeirf.load(path, device="cpu") as opened:
        assert Monitor(opened).watch(part(0, 1.0), np.zeros((64, 64, 3), np.uint8)) is None


@pytest.mark.parametrize("parts", [0.0, 999.0, float("nan"), float("inf")])
def test_an_impossible_false_alarm_rate_is_refused(detector: Detector, parts: float) -> None:
    with pytest.raises(UsageError, match="mean number of parts"):
        Monitor(detector, false_alarm_parts=parts)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(3, "less than a minute"), (60, "1 minute"), (5000, "1 hour"), (9000, "2 hours"), (4 * 86400, "4 days")],
)
def test_durations_are_said_in_one_unit(seconds: float, words: str) -> None:
    assert duration(seconds) == words
