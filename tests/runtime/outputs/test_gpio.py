"""The pulse on stand-in lines; a real chip is tested where there is one (EDGEIRF_GPIO=/dev/gpiochip0:LINE)."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from queue import Empty, Queue
from typing import Any

import pytest

from edgeirf.errors import OutputError
from edgeirf.part import Part, PartVerdict
from edgeirf.runtime.outputs.gpio import Gpio, GpioSettings

Make = Callable[..., PartVerdict]
Until = Callable[[Callable[[], bool]], None]


class Wires:
    """What the line does, and an encoder that a test turns."""

    def __init__(self) -> None:
        self.levels: list[bool] = []
        self.turned: Queue[int] = Queue()
        self.broken = self.closed = False

    def set(self, active: bool) -> None:
        if self.broken:
            raise OutputError("cannot set line 17: No such device")
        if not self.levels or self.levels[-1] != active:
            self.levels.append(active)

    def steps(self, seconds: float) -> int:
        try:
            return self.turned.get(timeout=seconds)
        except Empty:
            return 0

    def close(self) -> None:
        self.closed = True


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Rig:
    """An output on stand-in lines."""

    def __init__(self, **settings: Any) -> None:
        self.wires, self.clock = Wires(), Clock()
        self.output = Gpio("ejector", GpioSettings(**settings), lambda: self.wires, self.clock)
        self.output.open()

    def run(self) -> None:
        """The line takes parts from now on."""
        self.output.state("RUNNING", "")

    def move(self, seconds: float) -> None:
        """Moves the clock; the thread looks at it."""
        self.clock.now += seconds
        self.output._wake.set()

    def expect(self, part_id: int) -> None:
        self.output.expect(Part(part_id, self.clock.now))


@pytest.fixture
def rig() -> Iterator[Callable[..., Rig]]:
    rigs: list[Rig] = []

    def build(**settings: Any) -> Rig:
        rigs.append(Rig(**settings))
        return rigs[-1]

    yield build
    for each in rigs:
        each.output.close()


@pytest.mark.parametrize(("verdict_comes", "pulses"), [(None, True), (True, True), (False, False)])
def test_the_pulse_fires_unless_a_pass_comes(
    rig: Callable[..., Rig], until: Until, verdict: Make, verdict_comes: bool | None, pulses: bool
) -> None:
    line = rig(delay_ms=300, width_ms=50)
    until(lambda: line.wires.levels == [True])  # safe until the line takes parts
    line.output.state("RUNNING", "")
    until(lambda: line.wires.levels == [True, False])
    line.expect(7)
    if verdict_comes is not None:
        line.output.act(verdict(7, verdict_comes))
    line.move(0.299)
    line.move(0.002)
    until(lambda: not line.output.pulses.waits_for(7))
    if pulses:
        until(lambda: line.wires.levels == [True, False, True])
        line.move(0.049)
        line.move(0.002)
        until(lambda: line.wires.levels == [True, False, True, False])
    else:
        time.sleep(0.02)
        assert line.wires.levels == [True, False]


def test_a_line_that_lets_good_parts_pass_needs_a_pass(rig: Callable[..., Rig], until: Until, verdict: Make) -> None:
    line = rig(delay_ms=300, fire="if_passed")
    until(lambda: line.wires.levels == [False])
    line.run()
    line.expect(1)
    line.expect(2)
    line.output.act(verdict(2))
    line.move(0.301)
    until(lambda: line.wires.levels == [False, True])
    line.output.safe()
    until(lambda: line.wires.levels == [False, True, False])


@pytest.mark.parametrize(("fire", "reject"), [("unless_passed", True), ("if_passed", False)])
def test_without_a_delay_the_pulse_comes_with_the_verdict(
    rig: Callable[..., Rig], until: Until, verdict: Make, fire: str, reject: bool
) -> None:
    line = rig(fire=fire, width_ms=50)
    line.run()
    until(lambda: line.wires.levels[-1:] == [False])
    line.expect(1)
    line.output.act(verdict(1, not reject))
    time.sleep(0.02)
    assert line.wires.levels[-1] is False
    line.output.act(verdict(2, reject))
    until(lambda: line.wires.levels[-1] is True)
    line.move(0.051)
    until(lambda: line.wires.levels[-1] is False)


def test_steps_of_the_encoder_move_the_parts(rig: Callable[..., Rig], until: Until, verdict: Make) -> None:
    line = rig(delay_steps=100, encoder_line=1, width_ms=50)
    line.output.state("RUNNING", "")
    until(lambda: line.wires.levels[-1:] == [False])
    line.expect(1)
    line.wires.turned.put(40)
    until(lambda: line.output._count == 40)
    line.expect(2)
    line.output.act(verdict(1))
    line.move(3600)  # time does not matter: the belt stands still
    line.wires.turned.put(60)
    until(lambda: not line.output.pulses.waits_for(1))
    assert line.wires.levels[-1] is False
    line.wires.turned.put(40)
    until(lambda: line.wires.levels[-1] is True)
    line.move(0.051)
    until(lambda: line.wires.levels[-1] is False)


def test_the_verdict_on_a_part_that_has_left_is_counted(rig: Callable[..., Rig], until: Until, verdict: Make) -> None:
    """It was ejected: the line goes on."""
    line = rig(delay_ms=300)
    line.expect(1)
    line.move(0.301)
    until(lambda: not line.output.pulses.waits_for(1))
    line.output.act(verdict(1))
    line.output.act(verdict(1, True))
    assert line.output.pulses.too_late == 2


def test_a_part_that_nobody_announced_is_followed_from_its_trigger(
    rig: Callable[..., Rig], until: Until, verdict: Make
) -> None:
    line = rig(delay_ms=300_000)
    line.output.act(replace(verdict(1, True), triggered_at=time.time() - 100))
    following = line.output.pulses.next()
    assert following is not None
    assert following == pytest.approx(1000 - 100 + 300, abs=5)
    late = replace(verdict(2, True), triggered_at=time.time() - 301)
    with pytest.raises(OutputError, match="no pulse can meet part 2"):
        line.output.act(late)
    line.output.act(replace(late, part_id=3, reject=False))  # a pass needs no pulse


def test_steps_of_a_part_that_nobody_announced_are_not_known(rig: Callable[..., Rig], verdict: Make) -> None:
    line = rig(delay_steps=100, encoder_line=1)
    with pytest.raises(OutputError, match="no pulse can meet part 1"):
        line.output.act(replace(verdict(1, True), triggered_at=time.time()))


def test_rejects_in_a_fault_do_not_end_the_safe_state(rig: Callable[..., Rig], until: Until, verdict: Make) -> None:
    line = rig(delay_ms=300)
    line.run()
    line.expect(1)
    until(lambda: line.wires.levels[-1:] == [False])
    line.output.safe()
    line.output.state("FAULT", "")
    line.output.act(verdict(1, True))
    until(lambda: line.wires.levels[-1] is True)
    line.move(0.4)
    until(lambda: not line.output.pulses.waits_for(1))
    line.move(1)
    time.sleep(0.02)
    assert line.wires.levels[-1] is True


def test_fault_ejects_everything_until_the_line_takes_parts_again(rig: Callable[..., Rig], until: Until) -> None:
    line = rig(delay_ms=300)
    line.output.state("RUNNING", "")
    until(lambda: line.wires.levels[-1:] == [False])
    line.output.state("FAULT", "camera away")
    until(lambda: line.wires.levels[-1] is True)
    line.output.state("READY", "")
    line.output.state("DEGRADED", "")
    until(lambda: line.wires.levels[-1] is False)
    line.output.close()
    assert line.wires.levels[-1] is True
    assert line.wires.closed


def test_a_chip_that_is_gone_is_an_error_at_the_next_verdict(
    rig: Callable[..., Rig], until: Until, verdict: Make
) -> None:
    line = rig(delay_ms=300)
    line.wires.broken = True
    line.output.safe()
    until(lambda: line.wires.closed)
    with pytest.raises(OutputError, match="the pulses have ended: cannot set line 17"):
        line.output.act(verdict(1))
    line.wires.broken = line.wires.closed = False
    line.output.open()
    line.expect(2)
    line.output.act(verdict(2))


def test_the_same_part_twice_is_refused(rig: Callable[..., Rig]) -> None:
    line = rig(delay_ms=300)
    line.expect(1)
    with pytest.raises(OutputError, match="cannot follow part 1"):
        line.expect(1)


def test_before_open_nothing_is_taken(verdict: Make) -> None:
    with pytest.raises(OutputError, match="not open"):
        Gpio("ejector", GpioSettings(delay_ms=300)).act(verdict(1))


@pytest.mark.parametrize(
    "wrong",
    [
        {"width_ms": 0},
        {"line": -1},
        {"encoder_line": 3},
        {"delay_steps": 5},
        {"encoder_line": 3, "delay_steps": 5, "delay_ms": 1},
        {"line": 3, "encoder_line": 3, "delay_steps": 5},
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"is|are|needs"):
        GpioSettings(**wrong)


def test_no_thread_is_left(rig: Callable[..., Rig]) -> None:
    line = rig(delay_ms=300)
    line.output.close()
    assert "gpio ejector" not in [thread.name for thread in threading.enumerate()]


@pytest.mark.skipif(":" not in os.environ.get("EDGEIRF_GPIO", ""), reason="EDGEIRF_GPIO=CHIP:LINE names no free line")
def test_a_real_line_is_taken_once(verdict: Make) -> None:
    chip, line = os.environ["EDGEIRF_GPIO"].rsplit(":", 1)
    first = Gpio("ejector", GpioSettings(chip=chip, line=int(line), delay_ms=10))
    first.open()
    with pytest.raises(OutputError, match="busy"):
        Gpio("second", GpioSettings(chip=chip, line=int(line))).open()
    first.close()
