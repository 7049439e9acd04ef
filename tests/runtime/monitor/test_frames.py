from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeirf.calib.conditions.perturb import Change
from edgeirf.runtime.monitor.directions import usual_directions
from edgeirf.runtime.monitor.frames import FROZEN, LEARNED, FrameWatch
from edgeirf.runtime.monitor.statistics import FrameStatistics

Picture = NDArray[np.uint8]
HOUR = 3600.0


@pytest.fixture(scope="module")
def pictures(good_part: Callable[..., Picture]) -> list[Picture]:
    """600 good parts."""
    return [good_part(seed) for seed in range(600)]


def watched(measure: FrameStatistics, length: float = 1e6) -> FrameWatch:
    return FrameWatch(measure, usual_directions(), length)


def run(watch: FrameWatch, frames: list[Picture], start: float = 0.0) -> list[tuple[str, ...]]:
    """What is said after each frame; one part an hour."""
    said = []
    for at, frame in enumerate(frames):
        watch.add(frame, passed=True, at=start + at * HOUR)
        said.append(tuple(change.kind for change in watch.changes))
    return said


def test_good_parts_raise_no_alarm(measure: FrameStatistics, pictures: list[Picture]) -> None:
    watch = watched(measure)
    assert set(run(watch, pictures)) == {()}
    assert watch.learned == LEARNED
    assert watch.frozen == 1


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (Change(brightness=-0.08), "light"),
        (Change(brightness=0.08), "light"),
        (Change(shift_x=-2 / 64), "right"),  # whole pixels: others soften so small a picture
        (Change(shift_y=2 / 64), "down"),
        (Change(blur_px=1.0), "focus"),
        (Change(noise_levels=5), "noise"),
    ],
)
def test_a_sudden_change_is_named_within_sixty_parts(
    measure: FrameStatistics, pictures: list[Picture], change: Change, kind: str
) -> None:
    watch = watched(measure)
    said = run(watch, [*pictures[:200], *(change(picture) for picture in pictures[200:320])])
    assert set(said[:200]) == {()}
    assert next(at for at, kinds in enumerate(said) if kind in kinds) < 260
    assert said[-1][0] == kind
    began = watch.since()
    assert began is not None
    assert began[1]
    assert 150 <= began[0] / HOUR <= 300


def test_focus_and_noise_are_said_for_the_frame(measure: FrameStatistics, pictures: list[Picture]) -> None:
    watch = watched(measure)
    watch.add(pictures[0], passed=True, at=0.0)
    assert watch.zooms == {"focus": 1.0, "noise": 1.0}
    watch.add(np.repeat(np.repeat(pictures[1], 8, axis=0), 8, axis=1), passed=True, at=1.0)
    assert watch.zooms == {"focus": 8.0, "noise": 8.0 / 2}  # one row of four is looked at


def test_a_turned_camera_is_named(measure: FrameStatistics, good_part: Callable[..., Picture]) -> None:
    """In frames of twice the size: interpolation softens a small one."""
    frames = [good_part(seed, 128) for seed in range(200)]
    said = run(watched(measure), [*frames[:120], *(Change(rotate_deg=2)(frame) for frame in frames[120:])])
    assert said[-1][0] == "turn"


def test_a_slow_change_is_named_with_the_time_it_took(measure: FrameStatistics, pictures: list[Picture]) -> None:
    watch = watched(measure)
    steps = np.linspace(0, -0.12, 400)
    aged = [Change(brightness=float(step))(picture) for step, picture in zip(steps, pictures[200:], strict=True)]
    said = run(watch, [*pictures[:200], *aged])
    first = next(at for at, kinds in enumerate(said) if kinds)
    assert said[first] == ("light",)
    assert -0.12 * (first - 200) / 400 > -0.09  # said at less than three quarters of the way
    began = watch.since()
    assert began is not None
    assert not began[1]
    assert 150 <= began[0] / HOUR <= 350


def test_a_small_change_is_significant_but_not_said(measure: FrameStatistics, pictures: list[Picture]) -> None:
    watch = watched(measure)
    said = run(watch, [*pictures[:250], *(Change(brightness=-0.025)(picture) for picture in pictures[250:])])
    assert set(said) == {()}
    assert "brightness" in watch.alarms


def test_the_alarm_ends_when_the_line_is_as_before(measure: FrameStatistics, pictures: list[Picture]) -> None:
    watch = watched(measure)
    dark = [Change(brightness=-0.08)(picture) for picture in pictures[200:300]]
    said = run(watch, [*pictures[:200], *dark, *pictures[300:]])
    assert said[299] == ("light",)
    assert said[-1] == ()


def test_an_accepted_state_is_the_usual_one(measure: FrameStatistics, pictures: list[Picture]) -> None:
    watch = watched(measure)
    dark = [Change(brightness=-0.08)(picture) for picture in pictures[200:]]
    run(watch, [*pictures[:200], *dark[:60]])
    assert watch.changes
    watch.accept()
    assert watch.changes == ()
    assert watch.learned == 0
    assert set(run(watch, dark[60:])) == {()}


def test_rejected_parts_do_not_say_what_is_usual(measure: FrameStatistics, pictures: list[Picture]) -> None:
    watch = watched(measure)
    for picture in pictures[:50]:
        watch.add(picture, passed=False, at=0.0)
    assert watch.learned == 0
    assert watch.changes == ()


def test_the_same_picture_again_is_a_frozen_camera_and_says_nothing_else(
    measure: FrameStatistics, pictures: list[Picture]
) -> None:
    watch = watched(measure)
    for expected in (1, 2, FROZEN, FROZEN + 1):
        watch.add(pictures[0], passed=True, at=0.0)
        assert watch.frozen == expected
    assert watch.learned == FROZEN - 1
    watch.add(pictures[1], passed=True, at=0.0)
    assert watch.frozen == 1


def test_large_frames_and_gray_ones_are_compared_too(measure: FrameStatistics) -> None:
    rng = np.random.default_rng(0)
    watch = watched(measure)
    for shape in ((3000, 2000, 3), (700, 900)):
        frame = rng.integers(0, 255, shape, np.uint8)
        for _ in range(FROZEN):
            watch.add(frame, passed=True, at=0.0)
        assert watch.frozen == FROZEN


def test_the_history_is_bounded_and_keeps_its_beginning(measure: FrameStatistics) -> None:
    watch = watched(measure)
    watch._usual = np.zeros(7), np.ones(7)
    for at in range(30_000):
        watch._note(np.full(7, float(at)), float(at))
    assert len(watch._history) <= 256
    assert watch._history[0].at == 0.0
    assert sum(block.count for block in watch._history) == 30_000
