"""The lines of a GPIO chip: the only module that knows gpiod."""

from __future__ import annotations

import importlib
from datetime import timedelta
from typing import Any, Protocol

from edgeirf.errors import OutputError


class Lines(Protocol):
    """An output line, and an encoder's input line where there is one."""

    def set(self, active: bool) -> None:
        """Sets the output line."""

    def steps(self, seconds: float) -> int:
        """Waits for steps of the encoder, at most so long, and returns how many there were since the last call."""

    def close(self) -> None:
        """Gives the lines back to the kernel."""


class ChipLines:
    """Lines of a chip of this computer, through gpiod 2.

    >>> ChipLines("/dev/no-chip", 17, None, active_low=False)
    Traceback (most recent call last):
    edgeirf.errors.OutputError: cannot use line 17 of /dev/no-chip: ...

    Args:
        chip: device file.
        line: offset of the output line.
        encoder: offset of the encoder's line, whose rising edges are counted; None: there is none.
        active_low: the output line is low when it is active.

    Raises:
        OutputError: a line is in use, or there is no such chip or line, or it may not be used.
    """

    def __init__(self, chip: str, line: int, encoder: int | None, *, active_low: bool) -> None:
        gpiod: Any = importlib.import_module("gpiod")
        kinds: Any = importlib.import_module("gpiod.line")
        self._line, self._values, self._sequence = line, kinds.Value, 0
        config = {
            line: gpiod.LineSettings(
                direction=kinds.Direction.OUTPUT, active_low=active_low, output_value=kinds.Value.INACTIVE
            )
        }
        if encoder is not None:
            config[encoder] = gpiod.LineSettings(
                direction=kinds.Direction.INPUT, edge_detection=kinds.Edge.RISING, event_clock=kinds.Clock.MONOTONIC
            )
        try:
            self._request: Any = gpiod.request_lines(chip, consumer="edgeirf", config=config, event_buffer_size=1024)
        except (OSError, ValueError) as error:
            raise OutputError(
                f"cannot use line {line} of {chip}: {error}: check chip, line and rights (`gpioinfo` lists them)"
            ) from None

    def set(self, active: bool) -> None:
        """Sets the output line.

        Raises:
            OutputError: the chip is gone.
        """
        try:
            self._request.set_value(self._line, self._values.ACTIVE if active else self._values.INACTIVE)
        except OSError as error:
            raise OutputError(f"cannot set line {self._line}: {error}: check the chip") from None

    def steps(self, seconds: float) -> int:
        """Waits for rising edges. The kernel numbers them: none is lost where more came than its buffer holds."""
        if not self._request.wait_edge_events(timedelta(seconds=seconds)):
            return 0
        before, self._sequence = self._sequence, self._request.read_edge_events()[-1].line_seqno
        return int(self._sequence - before)

    def close(self) -> None:
        """Gives the lines back to the kernel. What level the output line then has is up to the chip."""
        self._request.release()
