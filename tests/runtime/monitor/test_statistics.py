from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeirf.calib.conditions.perturb import Change
from edgeirf.errors import FrameError
from edgeirf.runtime.imaging.preprocess import prepare
from edgeirf.runtime.monitor.statistics import STATISTICS, FrameStatistics, mean_and_spread, whole_picture
from edgeirf.settings import Preprocess

Picture = NDArray[np.uint8]


def response(measure: FrameStatistics, part: Callable[..., Picture], change: Change) -> dict[str, float]:
    """Mean change of every statistic over eight parts."""
    rows = [measure(change(part(seed))) - measure(part(seed)) for seed in range(8)]
    return dict(zip(STATISTICS, np.mean(rows, axis=0).tolist(), strict=True))


@pytest.mark.parametrize(
    ("change", "name", "expected", "within"),
    [
        (Change(brightness=-0.06), "brightness", np.log(0.94), 0.005),
        (Change(brightness=-0.06), "contrast", np.log(0.94), 0.005),
        (Change(shift_x=0.02), "right", 0.02, 0.006),
        (Change(shift_x=-0.02), "right", -0.02, 0.006),
        (Change(shift_y=0.02), "down", 0.02, 0.006),
        (Change(rotate_deg=2), "turn", 2, 0.8),
    ],
)
def test_light_and_position_come_out_in_their_units(
    measure: FrameStatistics,
    good_part: Callable[..., Picture],
    change: Change,
    name: str,
    expected: float,
    within: float,
) -> None:
    assert response(measure, good_part, change)[name] == pytest.approx(expected, abs=within)


def test_a_softer_focus_lowers_sharpness_and_noise_raises_its_statistic(
    measure: FrameStatistics, good_part: Callable[..., Picture]
) -> None:
    assert response(measure, good_part, Change(blur_px=0.8))["sharpness"] < -0.1
    assert response(measure, good_part, Change(noise_levels=4))["noise"] > 0.3


@pytest.mark.parametrize(
    ("change", "names", "within"),
    [
        (Change(brightness=-0.06), ["brightness", "contrast"], 0.003),
        (Change(shift_x=0.02, shift_y=-0.02), ["right", "down"], 0.002),
        (Change(rotate_deg=2), ["turn"], 0.3),
        (Change(blur_px=4), ["sharpness"], 0.25),
        (Change(noise_levels=20), ["noise"], 0.4),
    ],
)
def test_of_a_large_frame_a_part_of_the_rows_says_what_all_of_them_say(
    measure: FrameStatistics,
    good_part: Callable[..., Picture],
    change: Change,
    names: list[str],
    within: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def large(seed: int) -> Picture:
        return good_part(seed, 400)

    assert measure.step(400) == 3
    found = response(measure, large, change)
    monkeypatch.setattr(FrameStatistics, "step", lambda self, height: 1)
    expected = response(measure, large, change)
    assert [found[name] for name in names] == pytest.approx([expected[name] for name in names], abs=within)
    assert all(abs(expected[name]) > within for name in names)


def test_light_does_not_pass_for_a_move_and_a_move_not_for_light(
    measure: FrameStatistics, good_part: Callable[..., Picture]
) -> None:
    light = response(measure, good_part, Change(brightness=-0.1))
    move = response(measure, good_part, Change(shift_x=0.02, shift_y=0.02))
    assert max(abs(light["right"]), abs(light["down"])) < 0.001
    assert abs(move["brightness"]) < 0.01


def test_sixteen_bits_and_gray_say_the_same_as_eight_bits_in_colour(
    measure: FrameStatistics, good_part: Callable[..., Picture]
) -> None:
    picture = good_part(0)
    sixteen = FrameStatistics(Preprocess(size=(64, 64), bits=12), prepared(good_part))
    wide = (picture.astype(np.uint16) * (4095 / 255)).round().astype(np.uint16)
    assert measure(picture[..., 0]) == pytest.approx(measure(picture), abs=0.01)
    assert sixteen(wide) == pytest.approx(measure(picture), abs=0.02)


def prepared(part: Callable[..., Picture]) -> Picture:
    return np.stack([part(1000 + i)[None] for i in range(4)])


def test_black_white_and_tiny_frames_give_finite_numbers(measure: FrameStatistics) -> None:
    for frame in (np.zeros((64, 64, 3), np.uint8), np.full((480, 640), 255, np.uint8), np.zeros((1, 1), np.uint8)):
        assert np.isfinite(measure(frame)).all()


def test_only_the_region_of_interest_counts(good_part: Callable[..., Picture]) -> None:
    settings = Preprocess(size=(64, 64), roi=(10, 20, 64, 64))
    measure = FrameStatistics(settings, prepared(good_part))
    frame = np.zeros((100, 100, 3), np.uint8)
    frame[20:84, 10:74] = good_part(0)
    before = measure(frame)
    frame[:20] = 255
    assert measure(frame).tolist() == before.tolist()
    with pytest.raises(FrameError):
        measure(frame[:50])


def test_tiles_are_put_together_as_they_were_cut(good_part: Callable[..., Picture]) -> None:
    settings = Preprocess(size=(32, 32), tiles=(2, 2))
    picture = good_part(3)
    assert np.array_equal(whole_picture(prepare(picture, settings), settings), picture)
    assert np.isfinite(FrameStatistics(settings, np.stack([prepare(picture, settings)]))(picture)).all()


def test_odd_pictures_do_not_widen_the_spread() -> None:
    rng = np.random.default_rng(0)
    values = [rng.normal(0, 1, len(STATISTICS)) for _ in range(400)] + [np.full(len(STATISTICS), 100.0)] * 10
    median, spread = mean_and_spread(values)
    assert np.abs(median).max() < 0.4
    assert np.abs(spread - 1).max() < 0.3
