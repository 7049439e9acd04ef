"""``rtsp://``, ``http://`` and their kin: streams over the network, by OpenCV's FFmpeg."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import cv2

from edgeirf.errors import SourceError, UsageError
from edgeirf.runtime.sources.address import shown
from edgeirf.runtime.sources.capture import CaptureCamera
from edgeirf.runtime.sources.clock import ClockMap
from edgeirf.runtime.sources.jpeg import jpeg_packets
from edgeirf.runtime.sources.options import Options, frame_size

SCHEMES = ("rtsp", "rtsps", "rtmp", "http", "https", "udp", "tcp")
LOW_LATENCY = "rtsp_transport;tcp|fflags;nobuffer|flags;low_delay|analyzeduration;100000|fpsprobesize;0"
"""FFmpeg's options for RTSP: no lost packets, and no backlog of frames at the start."""
_VARIABLE = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
_opening = threading.Lock()


def open_stream(text: str, options: Options) -> CaptureCamera:
    """Opens a stream.

    Args:
        text: the address; the environment variable ``OPENCV_FFMPEG_CAPTURE_OPTIONS`` replaces :data:`LOW_LATENCY`.
        options: how to open it.

    Raises:
        SourceError: it does not answer in time, or refuses.
        UsageError: there is no address.
    """
    name = shown(text)
    if not re.match(r"[a-z]+://[^/?#]", text, re.IGNORECASE):
        raise UsageError(f"{name} has no address: write rtsp://192.168.1.5/stream")
    milliseconds = max(1, round(options.timeout * 1e3))
    limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, milliseconds, cv2.CAP_PROP_READ_TIMEOUT_MSEC, milliseconds]
    rtsp = text[:4].lower() == "rtsp"
    with _ffmpeg_options(LOW_LATENCY if rtsp else None):
        capture = cv2.VideoCapture(text, cv2.CAP_FFMPEG, limits)
    if not capture.isOpened():
        advice = "; write / ? # [ @ in a password as %2F %3F %23 %5B %40" if "@" in text else ""
        raise SourceError(
            f"cannot open the stream {name} within {options.timeout:g} s: check address, user and network{advice}"
        )
    # After one read that fails OpenCV gives nothing more: the stream has to be opened again.
    taken_at = sender_time(capture) if rtsp else float
    return CaptureCamera(name, jpeg_packets(capture), frame_size(capture), 1, taken_at, options.allocate)


def sender_time(capture: Any) -> Callable[[float], float]:
    """When the sender stamped the frame: RTP's time, which OpenCV gives as the position.

    So a frame that the network held up is known to be old.
    """
    clock = ClockMap()

    def taken_at(arrived: float) -> float:
        position = float(capture.get(cv2.CAP_PROP_POS_MSEC)) / 1e3
        return clock.monotonic(position, arrived)

    return taken_at


@contextmanager
def _ffmpeg_options(options: str | None) -> Iterator[None]:
    """OpenCV reads FFmpeg's options from the environment, at the time it opens a stream."""
    with _opening:
        if options is None or _VARIABLE in os.environ:
            yield
            return
        os.environ[_VARIABLE] = options
        try:
            yield
        finally:
            del os.environ[_VARIABLE]
