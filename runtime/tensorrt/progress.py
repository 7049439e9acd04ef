"""The progress of a build: TensorRT's nested phases as one fraction that only grows."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

Progress = Callable[[float, str], None]
"""Called with the fraction done, 0 to 1, and the name of the phase at hand."""


@dataclass
class _Phase:
    name: str
    steps: int
    done: int = 0
    children: list[_Phase] = field(default_factory=list)

    def fraction(self) -> float:
        running = self.children[-1].fraction() if self.children else 0.0
        return min(1.0, (self.done + running) / max(self.steps, 1))


class BuildProgress:
    """Turns TensorRT's phase callbacks into calls of ``report``.

    Each step of a phase counts the same and a running phase counts as part of one step of the phase above it: crude,
    but it needs no knowledge of TensorRT's phases. Callbacks come from several threads.

    Attributes:
        failure: what ``report`` raised, if it did: an exception must not pass through TensorRT.
    """

    def __init__(self, report: Progress, cancelled: Callable[[], bool]) -> None:
        self._report = report
        self._cancelled = cancelled
        self._lock = threading.Lock()
        self._phases: dict[str, _Phase] = {}
        self._root: _Phase | None = None
        self._shown = 0.0
        self.failure: BaseException | None = None

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """A phase begins."""
        with self._lock:
            phase = self._phases[name] = _Phase(name, steps)
            above = self._phases.get(parent) if parent else None
            if above is not None:
                above.children.append(phase)
            elif self._root is None:
                self._root = phase
            self._update(name)

    def step(self, name: str, step: int) -> bool:
        """Step ``step`` of a phase is done; False asks TensorRT to give up."""
        with self._lock:
            phase = self._phases.get(name)
            if phase is not None:
                phase.done = step + 1
                phase.children.clear()
                self._update(name)
            return self.failure is None and not self._cancelled()

    def finish(self, name: str) -> None:
        """A phase is over."""
        with self._lock:
            phase = self._phases.pop(name, None)
            if phase is not None:
                phase.done = phase.steps
                phase.children.clear()
                self._update(name)

    def _update(self, name: str) -> None:
        if self._root is None or self.failure is not None or self._cancelled():
            return
        self._shown = max(self._shown, self._root.fraction())
        try:
            self._report(self._shown, name)
        except Exception as error:
            self.failure = error


def make_monitor(trt: Any, progress: BuildProgress) -> Any:
    """TensorRT's ``IProgressMonitor`` over a :class:`BuildProgress`."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            progress.start(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return progress.step(phase_name, step)

        def phase_finish(self, phase_name: str) -> None:
            progress.finish(phase_name)

    return Monitor()


@contextmanager
def interrupt_deferred() -> Iterator[Callable[[], bool]]:
    """Holds Ctrl-C back while native code calls into Python, and raises it afterwards.

    A KeyboardInterrupt inside a callback would have to pass through TensorRT's own frames, which ends the process.

    Yields:
        a function that says whether Ctrl-C was pressed.
    """
    pressed = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield pressed.is_set
        return
    before = signal.signal(signal.SIGINT, lambda *_: pressed.set())
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed.is_set():
        signal.raise_signal(signal.SIGINT)
