from __future__ import annotations

import pytest

from edgeirf.runtime.tensorrt.progress import BuildProgress


def test_nested_phases_make_one_growing_fraction() -> None:
    told: list[float] = []
    progress = BuildProgress(lambda fraction, phase: told.append(round(fraction, 3)), lambda: False)
    progress.start("build", None, 4)
    progress.step("build", 0)
    progress.start("optimise", "build", 2)
    progress.step("optimise", 0)
    progress.start("time", "optimise", 5)
    progress.step("time", 4)
    progress.finish("time")
    progress.finish("optimise")
    progress.step("build", 1)
    progress.step("build", 3)
    progress.finish("build")
    assert told == [0.0, 0.25, 0.25, 0.375, 0.375, 0.5, 0.5, 0.5, 0.5, 1.0, 1.0]


def test_a_phase_that_restarts_never_goes_back() -> None:
    told: list[float] = []
    progress = BuildProgress(lambda fraction, phase: told.append(fraction), lambda: False)
    progress.start("build", None, 2)
    for _ in range(3):
        progress.start("subgraph", "build", 10)
        for step in range(10):
            progress.step("subgraph", step)
        progress.finish("subgraph")
    assert told == sorted(told)
    assert told[-1] == 0.5


def test_phases_nobody_announced_are_ignored() -> None:
    progress = BuildProgress(lambda fraction, phase: pytest.fail("nothing to tell"), lambda: False)
    assert progress.step("unknown", 3)
    progress.finish("unknown")


@pytest.mark.parametrize("cancelled", [True, False])
def test_a_cancelled_build_is_told_to_stop(cancelled: bool) -> None:
    progress = BuildProgress(lambda fraction, phase: None, lambda: cancelled)
    progress.start("build", None, 4)
    assert progress.step("build", 0) is not cancelled
