"""A loop of its own."""

from __future__ import annotations

import asyncio
import threading

import pytest

from edgeirf.runtime.outputs.loop_thread import LoopThread


def test_results_and_errors_come_back() -> None:
    loop = LoopThread("test")

    async def fail() -> None:
        raise ZeroDivisionError("here")

    with pytest.raises(ZeroDivisionError, match="here"):
        loop.call(fail(), 5)
    with pytest.raises(TimeoutError, match=r"within 0.01 s"):
        loop.call(asyncio.sleep(60), 0.01)
    loop.stop()


def test_stop_ends_what_still_runs() -> None:
    loop, begun, ended = LoopThread("to end"), threading.Event(), threading.Event()

    async def forever() -> None:
        try:
            begun.set()
            await asyncio.sleep(3600)
        finally:
            ended.set()

    loop.start(forever())
    assert begun.wait(20)
    loop.stop()
    assert ended.is_set()
    assert "to end" not in [thread.name for thread in threading.enumerate()]
