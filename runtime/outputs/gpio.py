"""A reject pulse on a GPIO line."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from edgeirf.errors import OutputError
from edgeirf.part import Part, PartVerdict
from edgeirf.runtime.outputs.gpio_lines import ChipLines, Lines
from edgeirf.runtime.outputs.output import Output, State
from edgeirf.runtime.outputs.pulses import Fire, Pulses
from edgeirf.runtime.outputs.settings import OutputSettings

_ENCODER_WAIT_S = 0.02
"""Longest wait for a step: the pulse's end is looked at as often."""
_TAKES_PARTS = ("RUNNING", "DEGRADED")


@dataclass(frozen=True, kw_only=True)
class GpioSettings(OutputSettings):
    """Settings of a GPIO pulse.

    >>> GpioSettings(line=17, delay_ms=350).fire
    'unless_passed'

    Attributes:
        chip: device file of the GPIO chip.
        line: offset of the output line.
        active: level of the line when it is active.
        fire: ``unless_passed``: a pulse ejects a part, unless a pass came in time (default to reject). ``if_passed``: a
            pulse lets a part pass, and only after a pass: then a line that is dead or cut is a reject too.
        width_ms: length of a pulse in milliseconds.
        delay_ms: from the trigger to the ejector in milliseconds; longer than the line's deadline. 0: the pulse is sent
            with the verdict, and a verdict that never comes is no pulse.
        delay_steps: the same in steps of the encoder, instead of ``delay_ms``.
        encoder_line: offset of the encoder's line: each rising edge is a step; -1: there is no encoder.
    """

    chip: str = "/dev/gpiochip0"
    line: int = 0
    active: Literal["high", "low"] = "high"
    fire: Fire = "unless_passed"
    width_ms: float = 50.0
    delay_ms: float = 0.0
    delay_steps: int = 0
    encoder_line: int = -1

    def __post_init__(self) -> None:
        if self.width_ms <= 0 or min(self.line, self.delay_ms, self.delay_steps) < 0:
            raise ValueError("width_ms is above 0, line, delay_ms and delay_steps at least 0")
        if (self.encoder_line >= 0) != (self.delay_steps > 0) or (self.delay_steps and self.delay_ms):
            raise ValueError("an encoder needs encoder_line and delay_steps, and no delay_ms")
        if self.encoder_line == self.line:
            raise ValueError("line and encoder_line are two lines")

    def output(self, name: str) -> Gpio:
        """The output, not yet open."""
        return Gpio(name, self)

    def lines(self) -> Lines:
        """The lines of the chip."""
        encoder = None if self.encoder_line < 0 else self.encoder_line
        return ChipLines(self.chip, self.line, encoder, active_low=self.active == "low")


class Gpio(Output):
    """Pulses a line when a part is at the ejector; :class:`Pulses` decides for which.

    A thread of its own keeps the times. Two pulses that overlap are one longer pulse.

    Safe state: the line is active with ``unless_passed`` (everything is ejected) and inactive with ``if_passed``
    (nothing may pass). The output is in it from :meth:`open` until the line takes parts.

    >>> Gpio("ejector", GpioSettings(line=17, delay_ms=350)).pulses.too_late
    0

    Args:
        name: as the configuration names it.
        settings: see :class:`GpioSettings`.
        lines: opens the lines; default: those of the chip.
        clock: seconds that only grow.

    Attributes:
        pulses: the parts on the way.
    """

    def __init__(
        self,
        name: str,
        settings: GpioSettings,
        lines: Callable[[], Lines] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(name)
        self._settings, self._open_lines, self._clock = settings, lines or settings.lines, clock
        self._by_steps = settings.delay_steps > 0
        self._at_once = not self._by_steps and settings.delay_ms == 0
        self.pulses = Pulses(settings.fire, settings.delay_steps if self._by_steps else settings.delay_ms / 1000)
        self._lock, self._wake, self._closing = threading.Lock(), threading.Event(), threading.Event()
        self._lines: Lines | None = None
        self._thread: threading.Thread | None = None
        self._safe, self._ends_at, self._count = True, 0.0, 0
        self._error: Exception | None = None

    def open(self) -> None:
        """Takes the lines, in the safe state.

        Raises:
            OutputError: a line cannot be taken.
        """
        self.close()
        self._closing.clear()
        self._lines, self._safe, self._error = self._open_lines(), True, None
        self._thread = threading.Thread(target=self._work, args=(self._lines,), name=f"gpio {self.name}", daemon=True)
        self._thread.start()

    def expect(self, part: Part) -> None:
        """Follows a part to the ejector.

        Raises:
            OutputError: it is on the way already, or too many are.
        """
        self._check()
        if self._at_once:
            return
        with self._lock:
            followed = self.pulses.expect(part.part_id, self._count if self._by_steps else part.triggered_at)
        self._wake.set()
        if not followed:
            raise OutputError(f"{self.name}: cannot follow part {part.part_id}: it is on the way, or too many are")

    def act(self, verdict: PartVerdict) -> None:
        """Takes the verdict on a part; one that nobody announced is followed from its trigger on.

        The verdict on a part that has left is counted: the rule for a part without a pass was applied to it.

        Raises:
            OutputError: the part was never announced, and a pulse would not meet it any more.
        """
        self._check()
        if self._at_once:
            self._pulse(verdict.reject == (self._settings.fire == "unless_passed"))
            return
        with self._lock:
            known = self.pulses.knows(verdict.part_id) or self._follow(verdict)
            self.pulses.decide(verdict.part_id, verdict.reject)
        self._wake.set()
        if not known and verdict.reject:
            raise OutputError(
                f"{self.name}: no pulse can meet part {verdict.part_id} any more: its verdict is the first word of it"
            )

    def state(self, state: State, reason: str) -> None:
        """Leaves the safe state when the line takes parts, and enters it in FAULT."""
        if state in (*_TAKES_PARTS, "FAULT"):
            with self._lock:
                self._safe = state == "FAULT"
            self._wake.set()

    def safe(self) -> None:
        """Holds the line at what ejects every part."""
        with self._lock:
            self._safe = True
        self._wake.set()

    def close(self) -> None:
        """Leaves the line in its safe state and gives it back."""
        self._closing.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(2)
            self._thread = None

    def _check(self) -> None:
        if self._error is not None:
            raise OutputError(f"{self.name}: the pulses have ended: {self._error}")
        if self._thread is None:
            raise OutputError(f"{self.name}: the line is not open")

    def _pulse(self, fires: bool) -> None:
        if fires:
            with self._lock:
                self._ends_at = self._clock() + self._settings.width_ms / 1000
            self._wake.set()

    def _follow(self, verdict: PartVerdict) -> bool:
        """Without an announcement the time of the trigger is known, the step of the encoder is not."""
        if self._by_steps or verdict.triggered_at is None:
            return False
        triggered = self._clock() - (time.time() - verdict.triggered_at)
        in_time = triggered + self._settings.delay_ms / 1000 >= self._clock()
        return in_time and self.pulses.expect(verdict.part_id, triggered)

    def _work(self, lines: Lines) -> None:
        try:
            while not self._closing.is_set():
                self._turn(lines)
        except Exception as error:  # the next verdict says it
            self._error = error
        finally:
            with suppress(Exception):
                lines.set(self._settings.fire == "unless_passed")
            with suppress(Exception):
                lines.close()

    def _turn(self, lines: Lines) -> None:
        """Waits for what comes next, and sets the line."""
        if self._by_steps:
            steps = lines.steps(min(_ENCODER_WAIT_S, self._wait()))
        else:
            steps = 0
            self._wake.wait(self._wait())
            self._wake.clear()
        with self._lock:
            now = self._clock()
            self._count += steps
            if any(due.fires for due in self.pulses.advance(self._count if self._by_steps else now)):
                self._ends_at = now + self._settings.width_ms / 1000
            active = self._settings.fire == "unless_passed" if self._safe else now < self._ends_at
        lines.set(active)

    def _wait(self) -> float:
        """Seconds until the pulse ends or a part is at the ejector; at most 1."""
        with self._lock:
            now, ends = self._clock(), self._ends_at
            following = None if self._by_steps else self.pulses.next()
        moments = [moment - now for moment in (ends, following) if moment is not None and moment > now]
        if following is not None and following <= now:
            return 0.0
        return min([1.0, *moments])
