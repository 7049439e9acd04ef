"""The line in the terminal."""

from __future__ import annotations

import io

import pytest

from edgeirf.runtime.line.stats import Stats
from edgeirf.runtime.line.status import LiveStatus
from edgeirf.runtime.sinks import Record
from edgeirf.runtime.sources.conveyor import open_synthetic
from edgeirf.verdict import Verdict

FAILED = Verdict(True, None, None, 4.0, status="error", error="cut\nshort", frame_id=3)


def verdict(number: int = 0, reject: bool = True) -> Verdict:
    return Verdict(reject, 9.0, 0.01, 4.0, frame_id=number, latency_ms={"camera_to_verdict": 3.0})


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def live(stream: io.StringIO) -> tuple[LiveStatus, Stats]:
    stats = Stats()
    return LiveStatus(stream, stats, open_synthetic("test://?count=100")), stats


def test_a_terminal_sees_one_line_rewritten() -> None:
    stream = Terminal()
    sink, stats = live(stream)
    for number in range(200):
        stats.add(verdict(number, reject=False))
        sink.write(Record(verdict(number)))
    sink.close()
    text = stream.getvalue()
    assert "\n" not in text
    assert text.startswith("\r\x1b[K1/100 frames")
    assert text.endswith("\r\x1b[K")
    assert text.count("frames") < 50


def test_a_log_sees_a_plain_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeirf.runtime.line.status.LOG", 0.0)
    stream = io.StringIO()
    sink, stats = live(stream)
    stats.add(verdict())
    sink.write(Record(verdict()))
    sink.close()
    assert stream.getvalue() == "1/100 frames · 0.0/s · 1 rejected · p50 3.0 ms, p99 3.0 ms\n"
    monkeypatch.undo()
    quiet = io.StringIO()
    sink, stats = live(quiet)
    stats.add(verdict())
    sink.write(Record(verdict()))
    assert quiet.getvalue() == ""


def test_why_a_frame_failed_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    sink, stats = live(io.StringIO())
    for _ in range(3):
        stats.add(FAILED)
        sink.write(Record(FAILED))
    assert capsys.readouterr().err == "edgeirf: cut short\n"
