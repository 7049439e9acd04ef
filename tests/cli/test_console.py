"""Interruption, the same in every command."""

from __future__ import annotations

import os
import signal

import pytest

from edgeirf.cli.console import stop_on_signal


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_stops_and_the_second_does_what_it_always_does(number: int) -> None:
    before = signal.getsignal(number)
    received: list[int] = []
    signal.signal(number, lambda *_: received.append(number))
    try:
        stops: list[bool] = []
        with stop_on_signal(lambda: stops.append(True)) as stopped:
            assert not stopped()
            os.kill(os.getpid(), number)
            assert stopped()
            assert (stops, received) == ([True], [])
            os.kill(os.getpid(), number)
            assert (stops, received) == ([True], [number])
        with stop_on_signal():
            pass
        os.kill(os.getpid(), number)
        assert (stops, received) == ([True], [number, number])
    finally:
        signal.signal(number, before)
