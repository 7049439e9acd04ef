"""The trigger at an input pin, with a line whose edges are a table, and gpiod on a chip that is not there."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence

import pytest

from edgeirf.errors import SourceError, UsageError
from edgeirf.runtime.triggers.debounce import Debounce, Edge
from edgeirf.runtime.triggers.gpio import GpioSettings, GpioTrigger, open_gpio


class Table:
    """Gives its edges in turns, then nothing; with ``broken``, then the chip is gone."""

    def __init__(self, *turns: Sequence[Edge], broken: bool = False) -> None:
        self.turns, self.broken = list(turns), broken
        self.closed = threading.Event()
        self.done = threading.Event()

    def wait(self, timeout: float) -> Sequence[Edge]:
        if self.turns:
            return self.turns.pop(0)
        self.done.set()
        if self.broken:
            raise OSError(19, "No such device")
        time.sleep(0.001)
        return ()

    def close(self) -> None:
        self.closed.set()


def test_each_edge_is_one_part_with_the_time_of_the_kernel() -> None:
    line = Table(
        [Edge(True, 1.0, 1), Edge(False, 1.001, 2), Edge(True, 1.002, 3)], [Edge(False, 1.5, 4)], [Edge(True, 2.0, 5)]
    )
    trigger, parts = GpioTrigger(line, Debounce(0.005)), []
    trigger.start(lambda part_id, at: parts.append((part_id, at)) is None)
    assert line.done.wait(10)
    trigger.stop()
    assert parts == [(None, 1.0), (None, 2.0)]
    assert (trigger.refused, trigger.lost) == (0, 0)
    assert line.closed.wait(10)


def test_a_part_that_the_line_is_not_ready_for_is_counted() -> None:
    trigger = GpioTrigger(line := Table([Edge(True, 1.0), Edge(True, 2.0)]), Debounce(0.005))
    trigger.start(lambda part_id, at: at > 1.5)
    assert line.done.wait(10)
    trigger.stop()
    assert trigger.refused == 1


def test_edges_that_the_kernel_lost_are_counted_and_said(caplog: pytest.LogCaptureFixture) -> None:
    trigger = GpioTrigger(line := Table([Edge(True, 1.0, 1), Edge(True, 2.0, 5)]), Debounce(0.005))
    trigger.start(lambda part_id, at: True)
    assert line.done.wait(10)
    trigger.stop()
    assert trigger.lost == 3
    assert "lost 3 edges" in caplog.text


def test_a_chip_that_is_gone_is_said_and_the_line_is_freed() -> None:
    said: list[str] = []
    trigger = GpioTrigger(line := Table(broken=True), Debounce(0), said.append)
    trigger.start(lambda part_id, at: True)
    assert line.closed.wait(10)
    trigger.stop()
    assert said == ["gpio trigger failed: [Errno 19] No such device: check the chip and its wiring"]


def test_a_trigger_that_was_never_started_frees_its_line() -> None:
    GpioTrigger(line := Table(), Debounce(0)).stop()
    assert line.closed.is_set()


def test_a_chip_that_is_not_there_is_one_line() -> None:
    pytest.importorskip("gpiod")
    with pytest.raises(SourceError, match=r"cannot open /dev/gpiochip99 line 17: .*`gpioinfo`"):
        open_gpio(GpioSettings("/dev/gpiochip99", 17))


def test_gpiod_that_is_missing_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gpiod", None)
    with pytest.raises(SourceError, match=r"pip install 'edgeirf\[gpio\]'"):
        open_gpio(GpioSettings("/dev/gpiochip0", 17))


@pytest.mark.parametrize("wrong", [{"edge": "both"}, {"bias": "up"}, {"debounce_ms": -1.0}, {"debounce_ms": 2000.0}])
def test_wrong_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="gpio trigger"):
        GpioSettings("/dev/gpiochip0", 17, **wrong)  # type: ignore[arg-type]


def test_a_line_whose_trigger_died_goes_to_fault() -> None:
    class Line:
        state, reason = "RUNNING", ""

        def __init__(self) -> None:
            self.faults: list[str] = []

        def acknowledge(self, operator: str) -> bool:
            return False

        def heard(self, count: int) -> None: ...

        def fault(self, reason: str) -> None:
            self.faults.append(reason)

    parts: list[float] = []
    chips: list[Table] = []

    def reopened() -> Table:
        if not chips:
            raise SourceError("cannot open /dev/gpiochip0 line 17")
        return chips.pop()

    trigger = GpioTrigger(line := Table(broken=True), Debounce(0), reopen=reopened)
    trigger.control = inspection = Line()  # type: ignore[assignment]
    trigger.start(lambda part_id, at: parts.append(at) is None)
    assert line.closed.wait(10)
    with pytest.raises(SourceError, match="cannot open"):  # FAULT stays while the chip is gone
        trigger.restart()
    chips.append(back := Table([Edge(True, 7.0, 1)]))
    trigger.restart()
    trigger.restart()
    assert back.done.wait(10)
    trigger.stop()
    assert parts == [7.0]
    assert inspection.faults == ["gpio trigger failed: [Errno 19] No such device: check the chip and its wiring"]
