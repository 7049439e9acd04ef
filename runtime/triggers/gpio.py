"""A light barrier or a PLC's output at an input pin: each edge is a part."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, Protocol

from edgeirf.errors import SourceError, UsageError
from edgeirf.runtime.triggers.debounce import Debounce, Edge
from edgeirf.runtime.triggers.handshake import Control
from edgeirf.runtime.triggers.trigger import Announce

log = logging.getLogger("edgeirf")
_POLL_S = 0.1


class EdgeLine(Protocol):
    """An input line that reports its edges."""

    def wait(self, timeout: float) -> Sequence[Edge]:
        """The edges since the last call, none after ``timeout`` seconds.

        Raises:
            OSError: the chip is gone.
        """
        ...

    def close(self) -> None:
        """Frees the line."""
        ...


@dataclass(frozen=True)
class GpioSettings:
    """An input pin.

    >>> GpioSettings(chip="/dev/gpiochip0", line=17).debounce_ms
    5.0

    Attributes:
        chip: ``/dev/gpiochip0``; ``gpioinfo`` lists chips and lines.
        line: its number, or its name.
        edge: the edge that is a part: from low to high, or from high to low.
        debounce_ms: milliseconds without an edge before the next one counts; 0 counts each.
        bias: the pull resistor of the pin; None leaves it as it is.

    Raises:
        UsageError: a value that does not fit.
    """

    chip: str
    line: int | str
    edge: Literal["rising", "falling"] = "rising"
    debounce_ms: float = 5.0
    bias: Literal["pull_up", "pull_down"] | None = None

    def __post_init__(self) -> None:
        if self.edge not in ("rising", "falling") or self.bias not in (None, "pull_up", "pull_down"):
            raise UsageError("gpio trigger: edge is rising or falling, bias is pull_up or pull_down")
        if not 0 <= self.debounce_ms <= 1000:
            raise UsageError(f"gpio trigger: debounce_ms is 0 to 1000, not {self.debounce_ms:g}")


class GpioTrigger:
    """Announces a part for each edge that is no bounce; a :class:`edgeirf.runtime.triggers` ``Trigger``.

    Args:
        line: reports the edges; belongs to the trigger.
        debounce: decides which edges count.
        on_error: hears once, in one line, when the line can no longer be read; then no part is announced any more.
            By default the line of inspection goes to FAULT.
        reopen: opens the line again after that; None: it stays gone.

    Attributes:
        control: the line of inspection; None: an error is logged.
        refused: parts that the line of inspection was not ready for.
        lost: edges that the kernel could not keep: parts may be among them.
    """

    def __init__(
        self,
        line: EdgeLine,
        debounce: Debounce,
        on_error: Callable[[str], None] | None = None,
        reopen: Callable[[], EdgeLine] | None = None,
    ) -> None:
        self.control: Control | None = None
        self.refused = 0
        self.lost = 0
        self._line = line
        self._debounce = debounce
        self._on_error = on_error or self._fault
        self._reopen = reopen
        self._announce: Announce | None = None
        self._sequence: int | None = None
        self._stopped = self._failed = False
        self._thread: threading.Thread | None = None

    def start(self, announce: Announce) -> None:
        """Announces parts from now on, on a thread of its own."""
        self._announce = announce
        self._thread = threading.Thread(target=self._run, args=(announce,), name="gpio trigger", daemon=True)
        self._thread.start()

    def restart(self) -> None:
        """See :class:`edgeirf.runtime.triggers.trigger.Restartable`."""
        if self._announce is None or self._thread is None or not self._failed:
            return
        if self._reopen is None:
            raise SourceError("gpio trigger: the chip is gone: restart the program")
        self._thread.join()  # it has failed and frees its line
        self._line, self._sequence, self._failed = self._reopen(), None, False
        self.start(self._announce)

    def stop(self) -> None:
        """Ends, and frees the line."""
        self._stopped = True
        if self._thread is None:
            self._line.close()
        elif self._thread is not threading.current_thread():
            self._thread.join(timeout=2.0)

    def _run(self, announce: Announce) -> None:
        try:
            while not self._stopped:
                for edge in self._line.wait(_POLL_S):
                    self._take(edge, announce)
        except Exception as error:  # a trigger that ends silently would let every part pass
            self._failed = True
            self._on_error(f"gpio trigger failed: {' '.join(str(error).split())}: check the chip and its wiring")
        finally:
            self._line.close()

    def _fault(self, message: str) -> None:
        if self.control is None:
            log.error(message)
        else:
            self.control.fault(message)

    def _take(self, edge: Edge, announce: Announce) -> None:
        if edge.sequence is not None:
            lost = edge.sequence - self._sequence - 1 if self._sequence is not None else 0
            self._sequence = edge.sequence
            if lost > 0:
                self.lost += lost
                log.warning("gpio trigger: the kernel lost %d edges: parts may be among them", lost)
        if self._debounce.accepts(edge) and not announce(None, edge.at):
            self.refused += 1


def open_gpio(settings: GpioSettings) -> GpioTrigger:
    """A trigger at an input pin.

    Raises:
        SourceError: gpiod is not installed, or the pin is not there, in use or not permitted.
    """
    debounce = Debounce(settings.debounce_ms / 1e3)
    return GpioTrigger(GpiodLine(settings), debounce, reopen=lambda: GpiodLine(settings))


class GpiodLine:
    """Implements :class:`EdgeLine` with gpiod 2.

    Raises:
        SourceError: see :func:`open_gpio`.
    """

    def __init__(self, settings: GpioSettings) -> None:
        try:
            import gpiod
        except ImportError:
            raise SourceError("a gpio trigger needs gpiod: pip install 'edgeirf[gpio]'") from None
        self._rising = gpiod.EdgeEvent.Type.RISING_EDGE
        where = f"{settings.chip} line {settings.line}"
        try:
            self._request: Any = gpiod.request_lines(
                settings.chip,
                consumer="edgeirf",
                config={settings.line: _line_settings(settings)},
                event_buffer_size=256,
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise SourceError(f"cannot open {where}: {reason}; `gpioinfo` lists the lines and their users") from None

    def wait(self, timeout: float) -> Sequence[Edge]:
        """See :class:`EdgeLine`."""
        if not self._request.wait_edge_events(timedelta(seconds=timeout)):
            return ()
        return [
            Edge(event.event_type == self._rising, event.timestamp_ns / 1e9, event.line_seqno)
            for event in self._request.read_edge_events()
        ]

    def close(self) -> None:
        """See :class:`EdgeLine`."""
        self._request.release()


def _line_settings(settings: GpioSettings) -> Any:
    """Edges of both directions: :class:`Debounce` needs them."""
    import gpiod
    from gpiod.line import Bias, Clock, Direction
    from gpiod.line import Edge as Edges

    bias = {"pull_up": Bias.PULL_UP, "pull_down": Bias.PULL_DOWN, None: Bias.AS_IS}[settings.bias]
    return gpiod.LineSettings(
        direction=Direction.INPUT,
        edge_detection=Edges.BOTH,
        event_clock=Clock.MONOTONIC,
        bias=bias,
        active_low=settings.edge == "falling",
    )
