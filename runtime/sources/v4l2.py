"""``0`` and ``v4l2:///dev/video0``: cameras on USB, by OpenCV's V4L2."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import parse_qsl

import cv2

from edgeirf.errors import SourceError, UsageError
from edgeirf.runtime.sources.address import shown
from edgeirf.runtime.sources.capture import CaptureCamera
from edgeirf.runtime.sources.options import Options, frame_size, has_backend, setting_name
from edgeirf.runtime.sources.raw import FOURCC, RawCapture
from edgeirf.settings import PixelFormat
from edgeirf.text import printable

log = logging.getLogger("edgeirf")
DEVICE = re.compile(r"\d{1,3}")
"""The number of a camera, 0 for ``/dev/video0``."""
_OLDEST_S = 60.0
"""A buffer that says it is older counts by another clock."""
_SETTINGS = {
    "width": cv2.CAP_PROP_FRAME_WIDTH,
    "height": cv2.CAP_PROP_FRAME_HEIGHT,
    "fps": cv2.CAP_PROP_FPS,
    "exposure": cv2.CAP_PROP_EXPOSURE,
    "gain": cv2.CAP_PROP_GAIN,
}


def open_v4l2(text: str, options: Options) -> CaptureCamera:
    """Opens a camera of Linux' V4L2.

    Args:
        text: a number or ``v4l2://`` with a path; ``width``, ``height``, ``fps``, ``exposure``, ``gain`` and ``format``
            (``MJPG``, ``YUYV``, ...) as a query.
        options: how to open it.

    Raises:
        SourceError: it is not there, is in use, or gives another size or format.
        UsageError: an unknown setting.
    """
    text, name = printable(text), shown(text)
    address, _, query = text.partition("?")
    device = address.removeprefix("v4l2://")
    wanted = _wanted(_device_settings(query, name), options.pixel_format, name)
    where: int | str = int(device) if DEVICE.fullmatch(device) else device
    capture = cv2.VideoCapture(where, cv2.CAP_V4L2 if has_backend(cv2.CAP_V4L2) else cv2.CAP_ANY)
    if not capture.isOpened():
        path = Path(f"/dev/video{device}" if isinstance(where, int) else device)
        reason = "it is in use or not permitted" if path.exists() else f"there is no {shown(str(path))}"
        raise SourceError(f"cannot open camera {name}: {reason}; `edgeirf doctor` lists the cameras")
    try:
        taken = {key: capture.set(key, value) for key, value in wanted.items()}
        _check_size(capture, wanted, name)
        if options.pixel_format is not None:
            _check_format(capture, wanted, name)
    except SourceError:
        capture.release()
        raise
    for line in _differences(capture, wanted, taken):
        log.warning("camera %s: %s", text, line)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    grabber = RawCapture(capture, options.pixel_format) if options.pixel_format is not None else capture
    size = frame_size(capture)
    return CaptureCamera(name, grabber, size, taken_at=buffer_time(capture), allocate=options.allocate)


def buffer_time(capture: Any) -> Callable[[float], float]:
    """When the driver filled the buffer: its CLOCK_MONOTONIC time, which OpenCV gives as the position.

    A driver that counts by another clock is seen by an impossible age; the arrival counts then.
    """

    def taken_at(arrived: float) -> float:
        taken = float(capture.get(cv2.CAP_PROP_POS_MSEC)) / 1e3
        return taken if 0 <= monotonic() - taken <= _OLDEST_S and taken <= arrived else arrived

    return taken_at


def _wanted(settings: dict[int, float], pixel_format: PixelFormat | None, text: str) -> dict[int, float]:
    if pixel_format is None:
        return settings
    if cv2.CAP_PROP_FOURCC in settings:
        raise UsageError(f"camera {text}: --pixel-format {pixel_format} already says the format; leave format= away")
    # Unconverted first: OpenCV refuses a format that it cannot convert while it means to.
    fourcc = cv2.VideoWriter.fourcc(*FOURCC[pixel_format])
    return {cv2.CAP_PROP_CONVERT_RGB: 0, cv2.CAP_PROP_FOURCC: fourcc, **settings}


def _device_settings(query: str, text: str) -> dict[int, float]:
    """OpenCV properties in the order they must be set: the pixel format first."""
    wanted: dict[int, float] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key == "format" and re.fullmatch(r"[\x20-\x7e]{4}", value):
            wanted = {cv2.CAP_PROP_FOURCC: cv2.VideoWriter.fourcc(*value), **wanted}
        elif key in _SETTINGS and re.fullmatch(r"-?\d+(\.\d+)?", value):
            wanted[_SETTINGS[key]] = float(value)
        else:
            known = [*_SETTINGS, "format"]
            setting = f"{key}={value}" if key in known else setting_name(key)  # of another name: a password, perhaps
            raise UsageError(f"camera {text}: {setting} is not a setting; known are {', '.join(known)}")
    return wanted


def _differences(capture: cv2.VideoCapture, wanted: dict[int, float], taken: dict[int, bool]) -> list[str]:
    """What was asked for and is not what the camera says it does, a line each."""
    names = {number: name for name, number in _SETTINGS.items()} | {cv2.CAP_PROP_FOURCC: "format"}
    lines = []
    for key, asked in wanted.items():
        name, got = names.get(key), capture.get(key)
        if name is None or abs(got - asked) <= abs(asked) / 100:
            continue
        if name == "format":
            lines.append(f"format={_fourcc(asked)} was asked for, the camera gives {_fourcc(got) or 'another'}")
        else:
            has = f"the camera says {got:g}" if taken[key] or got > 0 else "the camera does not take it"
            lines.append(f"{name}={asked:g} was asked for, {has}")
    return lines


def _fourcc(value: float) -> str:
    return printable("".join(chr(max(round(value), 0) >> shift & 255) for shift in (0, 8, 16, 24)).strip("\0 "))


def _check_size(capture: cv2.VideoCapture, wanted: dict[int, float], text: str) -> None:
    """A camera that silently takes another size would show the model other parts than it was trained on."""
    for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT):
        if key in wanted and round(capture.get(key)) != round(wanted[key]):
            height, width = frame_size(capture) or (0, 0)
            raise SourceError(f"camera {text} does not give that size, only {width}x{height}")


def _check_format(capture: cv2.VideoCapture, wanted: dict[int, float], text: str) -> None:
    """Bytes that are taken for what they are not would be scored all the same."""
    key = cv2.CAP_PROP_FOURCC
    if round(capture.get(key)) != round(wanted[key]):
        raise SourceError(
            f"camera {text} does not give {_fourcc(wanted[key])} frames: `v4l2-ctl --list-formats` says what it gives"
        )
