"""From the text of ``--camera`` to an open source."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from urllib.parse import parse_qsl

import cv2

from edgeirf.errors import SourceError, UsageError
from edgeirf.runtime.imaging.folder import is_video
from edgeirf.runtime.sources.address import shown
from edgeirf.runtime.sources.conveyor import open_synthetic
from edgeirf.runtime.sources.files import open_file, open_folder, open_glob
from edgeirf.runtime.sources.frame import Source
from edgeirf.runtime.sources.jpeg import jpeg_packets
from edgeirf.runtime.sources.live import LiveSource
from edgeirf.runtime.sources.raw import CAPS, FOURCC, Declared, RawCapture
from edgeirf.runtime.sources.video import VideoFile
from edgeirf.settings import PixelFormat
from edgeirf.text import printable

log = logging.getLogger("edgeirf")
GRAMMAR = (
    "a device number (0), v4l2:///dev/video0?width=1920&height=1080, a video file, an image, a folder, a glob, "
    "rtsp://..., http://..., gst:PIPELINE, or test://?seed=1"
)
_DEVICE = re.compile(r"\d{1,3}")
_STREAMS = ("rtsp", "rtsps", "rtmp", "http", "https", "udp", "tcp")
_SETTINGS = {
    "width": cv2.CAP_PROP_FRAME_WIDTH,
    "height": cv2.CAP_PROP_FRAME_HEIGHT,
    "fps": cv2.CAP_PROP_FPS,
    "exposure": cv2.CAP_PROP_EXPOSURE,
    "gain": cv2.CAP_PROP_GAIN,
}


def open_source(text: str, timeout: float = 10.0, pixel_format: PixelFormat | None = None) -> Source:
    """Opens what ``--camera`` names.

    Args:
        text: see :data:`GRAMMAR`. A device takes ``width``, ``height``, ``fps``, ``exposure``, ``gain`` and
            ``format`` (``MJPG``, ``YUYV``, ...) as a query, also ``0?width=1920&height=1080``.
        timeout: seconds that a camera or stream may take to open, and be silent.
        pixel_format: what the frames are, where not BGR or gray: Bayer or NV12 (of a folder: in gray pictures), or
            gray to be sure of it. V4L2 and GStreamer cameras are asked for it, and their frames are not converted.

    Raises:
        SourceError: it is not there, or cannot be opened.
        UsageError: the text is none of these, a query has an unknown key, or no such source gives the pixel format.
    """
    text = text.strip()
    scheme = text.partition(":")[0].lower()
    if pixel_format is not None:
        _check_pixel_format(pixel_format, scheme)
    source: Source
    if scheme == "v4l2" or _DEVICE.fullmatch(text.partition("?")[0]):
        source = _open_device(text, timeout, pixel_format)
    elif scheme == "gst":
        source = _open_gstreamer(text, timeout, pixel_format)
    elif scheme in _STREAMS:
        source = _open_stream(text, timeout)
    elif scheme == "test":
        source = open_synthetic(text)
    else:
        source = _open_path(text.partition(":")[2].removeprefix("//") if scheme == "file" else text)
    return source if pixel_format is None else Declared(source, pixel_format)


def _check_pixel_format(pixel_format: PixelFormat, scheme: str) -> None:
    """OpenCV decodes colours to BGR; taking that for something else would swap them, and be scored all the same."""
    if pixel_format not in FOURCC:
        raise UsageError(
            f"no camera or file comes in as {pixel_format}: OpenCV makes BGR of it, which needs no --pixel-format; "
            f"choose one of {', '.join(FOURCC)}"
        )
    if scheme in (*_STREAMS, "test"):
        raise UsageError(f"{scheme}://... comes in as BGR, not as {pixel_format}: leave --pixel-format away")


def _open_path(text: str) -> Source:
    path, name = Path(text), shown(text)
    if not text:
        raise UsageError(f"--camera is empty; it takes {GRAMMAR}")
    try:
        if path.is_dir():
            return open_folder(text)
        if path.is_file():
            return VideoFile(text) if is_video(path) else open_file(path)
        if any(character in text for character in "*?["):
            return open_glob(text)
        if path.exists():
            raise SourceError(f"{name} is neither a file nor a folder; a camera is v4l2://{name}")
    except (OSError, ValueError) as error:  # a name that no file can have: too long, with a zero byte
        raise SourceError(f"cannot open {name}: {getattr(error, 'strerror', None) or error}") from None
    raise SourceError(f"there is no {name}; --camera takes {GRAMMAR}")


def _open_device(text: str, timeout: float, pixel_format: PixelFormat | None) -> Source:
    text = printable(text)
    address, _, query = text.partition("?")
    device = address.removeprefix("v4l2://")
    wanted = _device_settings(query, text)
    raw = pixel_format is not None
    if pixel_format is not None:
        if cv2.CAP_PROP_FOURCC in wanted:
            raise UsageError(
                f"camera {text}: --pixel-format {pixel_format} already says the format; leave format= away"
            )
        # Unconverted first: OpenCV refuses a format that it cannot convert while it means to.
        fourcc = cv2.VideoWriter.fourcc(*FOURCC[pixel_format])
        wanted = {cv2.CAP_PROP_CONVERT_RGB: 0, cv2.CAP_PROP_FOURCC: fourcc, **wanted}
    where: int | str = int(device) if _DEVICE.fullmatch(device) else device
    capture = cv2.VideoCapture(where, cv2.CAP_V4L2 if _has(cv2.CAP_V4L2) else cv2.CAP_ANY)
    if not capture.isOpened():
        path = Path(f"/dev/video{device}" if isinstance(where, int) else device)
        reason = "it is in use or not permitted" if path.exists() else f"there is no {path}"
        raise SourceError(f"cannot open camera {text}: {reason}; --camera takes {GRAMMAR}")
    try:
        taken = {key: capture.set(key, value) for key, value in wanted.items()}
        _check_size(capture, wanted, text)
        if raw:
            _check_format(capture, wanted, text)
    except SourceError:
        capture.release()
        raise
    for line in _differences(capture, wanted, taken):
        log.warning("camera %s: %s", text, line)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    grabber = RawCapture(capture, pixel_format) if pixel_format is not None else capture
    return LiveSource(text, grabber, timeout, _size(capture))


def _device_settings(query: str, text: str) -> dict[int, float]:
    """OpenCV properties in the order they must be set: the pixel format first."""
    wanted: dict[int, float] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key == "format" and re.fullmatch(r"[\x20-\x7e]{4}", value):
            wanted = {cv2.CAP_PROP_FOURCC: cv2.VideoWriter.fourcc(*value), **wanted}
        elif key in _SETTINGS and re.fullmatch(r"-?\d+(\.\d+)?", value):
            wanted[_SETTINGS[key]] = float(value)
        else:
            known = ", ".join([*_SETTINGS, "format"])
            raise UsageError(f"camera {text}: {key}={value} is not a setting; known are {known}")
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
            height, width = _size(capture) or (0, 0)
            raise SourceError(f"camera {text} does not give that size, only {width}x{height}")


def _check_format(capture: cv2.VideoCapture, wanted: dict[int, float], text: str) -> None:
    """Bytes that are taken for what they are not would be scored all the same."""
    key = cv2.CAP_PROP_FOURCC
    if round(capture.get(key)) != round(wanted[key]):
        raise SourceError(
            f"camera {text} does not give {_fourcc(wanted[key])} frames: `v4l2-ctl --list-formats` says what it gives"
        )


def _size(capture: cv2.VideoCapture) -> tuple[int, int] | None:
    """``(height, width)`` that a camera says it gives."""
    height, width = (round(capture.get(key)) for key in (cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH))
    return (height, width) if min(height, width) > 0 else None


def _open_stream(text: str, timeout: float) -> Source:
    name = shown(text)
    if not re.match(r"[a-z]+://[^/?#]", text, re.IGNORECASE):
        raise UsageError(f"{name} has no address; --camera takes {GRAMMAR}")
    milliseconds = max(1, round(timeout * 1e3))
    limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, milliseconds, cv2.CAP_PROP_READ_TIMEOUT_MSEC, milliseconds]
    capture = cv2.VideoCapture(text, cv2.CAP_FFMPEG, limits)
    if not capture.isOpened():
        advice = "; write / ? # [ @ in a password as %2F %3F %23 %5B %40" if "@" in text else ""
        raise SourceError(
            f"cannot open the stream {name} within {timeout:g} s: check address, user and network{advice}"
        )
    return LiveSource(name, jpeg_packets(capture), timeout, _size(capture), text)


def _open_gstreamer(text: str, timeout: float, pixel_format: PixelFormat | None) -> Source:
    if not _has(cv2.CAP_GSTREAMER):
        raise SourceError(
            "this OpenCV has no GStreamer (the one on PyPI never has): use one built with it, as JetPack's is"
        )
    pipeline = text.partition(":")[2].removeprefix("//").strip()
    if "appsink" not in pipeline:
        # A colour filter is no format that videoconvert knows; everything else it makes of what the camera gives.
        caps = CAPS[pixel_format or "bgr8"]
        convert = "" if caps.startswith("video/x-bayer") else "! videoconvert "
        pipeline += f" {convert}! {caps} ! appsink drop=true max-buffers=1 sync=false"
    capture = cv2.VideoCapture(pipeline, cv2.CAP_GSTREAMER)
    if not capture.isOpened():
        raise SourceError(f"GStreamer cannot start the pipeline {shown(text)}: try it with gst-launch-1.0")
    return LiveSource(shown(text), capture, timeout, _size(capture), text)


def _has(backend: int) -> bool:
    return bool(cv2.videoio_registry.hasBackend(backend))
