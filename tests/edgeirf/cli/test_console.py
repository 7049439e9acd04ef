"""Interruption, the same in every command."""

from __future__ import annotations

import io
import os
import signal

import pytest
from rich.console import Console

from edgeirf.cli import console
from edgeirf.cli.console import engine_progress, stop_on_signal


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


@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_appears_only_when_an_engine_is_built(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(console, "console", Console(file=shown, force_terminal=terminal, width=80))
    with engine_progress():
        pass
    assert shown.getvalue() == ""
    with engine_progress() as report:
        report(0.0, "tactics")
        report(0.42, "tactics")
    assert ("42/100" in shown.getvalue()) == terminal
