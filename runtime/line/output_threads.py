"""All outputs of a line."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial

from edgeirf.part import Part
from edgeirf.runtime.line.output_thread import Due, OutputThread
from edgeirf.runtime.outputs.output import Output, State

log = logging.getLogger("edgeirf")


class OutputThreads:
    """Hands everything to every output; nothing here waits but :meth:`close`.

    Args:
        outputs: each gets a thread.
        report: called with ``output NAME`` and why it does not work, None when it does again.
        broken: called with an error of the program.
        heartbeat_s: period of the heartbeat.
    """

    def __init__(
        self,
        outputs: Sequence[Output],
        report: Callable[[str, str | None], None],
        broken: Callable[[str], None],
        heartbeat_s: float,
    ) -> None:
        self.threads = [
            OutputThread(output, partial(report, f"output {output.name}"), broken, heartbeat_s) for output in outputs
        ]

    def start(self) -> None:
        """Starts the threads; they connect by themselves."""
        for thread in self.threads:
            thread.start()

    def give(self, due: Due | Part) -> None:
        """A part was accepted, or its verdict is there."""
        for thread in self.threads:
            thread.give(due)

    def state(self, state: State, reason: str) -> None:
        """Publishes the state."""
        for thread in self.threads:
            thread.state(state, reason)

    def close(self) -> None:
        """Hands over what is due, and puts every output in its safe state; one that hangs is left behind."""
        for thread in self.threads:
            thread.close()
        since = time.monotonic()
        for thread in self.threads:
            if not thread.join(max(0.0, since + thread.close_s - time.monotonic())):
                log.warning("output %s does not end: it is left behind", thread.output.name)
