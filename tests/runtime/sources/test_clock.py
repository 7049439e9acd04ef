"""A camera's clock on this machine's: never after the arrival, and a held-up frame keeps its age."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeirf.runtime.sources.clock import ClockMap


@given(st.lists(st.floats(0, 0.5), min_size=1, max_size=50), st.floats(-1e6, 1e6))
def test_only_the_delay_of_the_fastest_frame_remains(delays: list[float], start: float) -> None:
    clock, fastest = ClockMap(), float("inf")
    for number, delay in enumerate(delays):
        taken = number * 0.6
        fastest = min(fastest, delay)
        found = clock.monotonic(start + taken, 1000 + taken + delay)
        assert found <= 1000 + taken + delay
        assert found == pytest.approx(1000 + taken + fastest, abs=1e-6)


def test_a_backlog_is_known_to_be_old() -> None:
    clock = ClockMap()
    assert clock.monotonic(0.0, 50.0) == 50.0
    assert [clock.monotonic(k / 10, 53.0) for k in range(1, 4)] == pytest.approx([50.1, 50.2, 50.3])


@pytest.mark.parametrize("taken", [5.0, 4.0, -100.0], ids=["stands", "goes back", "was set"])
def test_a_clock_that_stands_or_goes_back_starts_the_map_anew(taken: float) -> None:
    clock = ClockMap()
    clock.monotonic(5.0, 50.0)
    assert clock.monotonic(taken, 50.1) == pytest.approx(50.1)


def test_a_clock_that_drifts_is_followed() -> None:
    clock = ClockMap()
    for second in range(1000):  # slow by 1 in 10,000: the fastest frame of long ago no longer counts
        found = clock.monotonic(second * 0.9999, 100.0 + second)
    assert found == pytest.approx(1099.0, abs=0.004)
