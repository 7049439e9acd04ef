from __future__ import annotations

import time

import pytest

from edgeirf.runtime.bench import jitter
from edgeirf.runtime.bench.jitter import measure_jitter


def test_lateness_is_never_negative_and_its_percentiles_ascend() -> None:
    found = measure_jitter(0.05)
    assert found.count == 50
    assert 0 <= found.p50_us <= found.p99_us <= found.p999_us <= found.max_us
    assert "50 wake-ups" in found.line("as it is")


def test_one_late_wake_up_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, sleeps = [0.0], [0]

    def sleep(seconds: float) -> None:
        sleeps[0] += 1
        clock[0] += seconds + (0.02 if sleeps[0] == 10 else 0.0001)

    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(jitter.time, "sleep", sleep)
    found = measure_jitter(0.1)
    assert found.max_us == pytest.approx(20_000, rel=0.01)
    assert found.p50_us == pytest.approx(100, rel=0.2)
