"""An asyncio loop on a thread of its own, for servers of PLC protocols."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Coroutine
from concurrent.futures import TimeoutError as NotInTime
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


class LoopThread:
    """Runs coroutines of a library on one thread, for callers on other threads.

    >>> async def answer() -> int:
    ...     return 42
    >>> loop = LoopThread("example")
    >>> loop.call(answer(), 5)
    42
    >>> loop.stop()

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, T], seconds: float) -> T:
        """Runs a coroutine and returns its result.

        Raises:
            TimeoutError: it takes longer; it is cancelled.
        """
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(seconds)
        except NotInTime:
            future.cancel()
            raise TimeoutError(f"no answer within {seconds:g} s") from None

    def start(self, work: Coroutine[Any, Any, object]) -> None:
        """Runs a coroutine and does not wait for it."""
        asyncio.run_coroutine_threadsafe(work, self._loop)

    def stop(self) -> None:
        """Cancels what still runs and ends the thread."""
        with suppress(TimeoutError):
            self.call(_cancel_others(), 2)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(2)
        if not self._thread.is_alive():
            self._loop.close()


async def _cancel_others() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def quiet(logger: str) -> None:
    """Lets a library log only where the program that uses edgeirf asks for it, not on the error stream."""
    found = logging.getLogger(logger)
    if not found.handlers:
        found.addHandler(logging.NullHandler())
