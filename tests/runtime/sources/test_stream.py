"""RTSP, with a server that nobody here wrote: stall, restart, and no password in any line."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeirf.errors import SourceError, UsageError
from edgeirf.runtime.sources import Read, Reconnect, SourceEvent, open_source
from edgeirf.runtime.sources.live import LiveSource

PEER = Path(__file__).with_name("rtsp_peer.py")
PYTHON = "/usr/bin/python3"


def start(port: str = "0") -> tuple[subprocess.Popen[str], str]:
    if not Path(PYTHON).exists():
        pytest.skip(f"there is no {PYTHON}")
    process = subprocess.Popen([PYTHON, str(PEER), port], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    address = process.stdout.readline().strip()
    if not address:
        pytest.skip("gst-rtsp-server is not installed for the system's Python")
    return process, address


def until(source: LiveSource, wanted: Callable[[Read], bool]) -> Read:
    deadline = time.monotonic() + 40
    while not wanted(read := source.read(0.2)):
        assert time.monotonic() < deadline
    return read


def test_a_stream_that_stalls_and_one_that_restarts_come_back_without_parts_and_passwords(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    process, address = start()
    events: list[SourceEvent] = []
    try:
        source = open_source(
            f"rtsp://admin:s3cret@{address}/cam", 2.0, reconnect=Reconnect(0.2, 0.5), on_event=events.append
        )
        assert isinstance(source, LiveSource)
        frames = [until(source, lambda read: read.frame is not None).frame for _ in range(10)]
        assert all(-0.001 <= time.monotonic() - frame.captured_monotonic < 30 for frame in frames)
        assert all(a.captured_monotonic < b.captured_monotonic for a, b in itertools.pairwise(frames))
        os.kill(process.pid, signal.SIGSTOP)  # the connection stays, and nothing comes
        until(source, lambda read: read.state == "timeout" and source.away is not None)
        os.kill(process.pid, signal.SIGCONT)
        assert until(source, lambda read: read.frame is not None).frame.error is None
        process.kill()
        process.wait()
        until(source, lambda read: read.state == "timeout" and source.away is not None)
        process, _ = start(address.partition(":")[2])
        assert until(source, lambda read: read.frame is not None).frame.error is None
        source.close()
    finally:
        process.kill()
        process.wait()
    assert [event.state for event in events] == ["lost", "back"] * 2
    said = caplog.text + "".join(capfd.readouterr()) + "".join(event.detail for event in events) + source.name
    assert "s3cret" not in said


def test_a_stream_that_is_not_there_is_one_line_without_its_password() -> None:
    with pytest.raises(SourceError, match="cannot open the stream rtsp://127") as raised:
        open_source("rtsp://admin:s3cret@127.0.0.1:9/cam", timeout=2)
    assert "s3cret" not in str(raised.value)
    with pytest.raises(UsageError, match="has no address"):
        open_source("rtsp://")
    assert "OPENCV_FFMPEG_CAPTURE_OPTIONS" not in os.environ
