"""From the text of ``--camera`` to an open source."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from edgeirf.errors import SourceError, UsageError
from edgeirf.runtime.imaging.folder import is_video
from edgeirf.runtime.sources.address import shown
from edgeirf.runtime.sources.camera import Camera
from edgeirf.runtime.sources.conveyor import open_synthetic
from edgeirf.runtime.sources.files import open_file, open_folder, open_glob
from edgeirf.runtime.sources.frame import Source
from edgeirf.runtime.sources.genicam import open_genicam
from edgeirf.runtime.sources.gstreamer import open_csi, open_gstreamer
from edgeirf.runtime.sources.live import LiveSource
from edgeirf.runtime.sources.options import Options
from edgeirf.runtime.sources.raw import FOURCC, Declared
from edgeirf.runtime.sources.reconnect import Listener, Reconnect
from edgeirf.runtime.sources.ring import Allocate
from edgeirf.runtime.sources.stream import SCHEMES, open_stream
from edgeirf.runtime.sources.v4l2 import DEVICE, open_v4l2
from edgeirf.runtime.sources.video import VideoFile
from edgeirf.settings import PixelFormat
from edgeirf.text import printable

GRAMMAR = (
    "a device number (0), v4l2:///dev/video0?width=1920&height=1080, csi://0, genicam://192.168.1.5?trigger=Line1, "
    "a video file, an image, a folder, a glob, rtsp://..., http://..., gst:PIPELINE, or test://?seed=1"
)
_CAMERAS: dict[str, Callable[[str, Options], Camera]] = {
    "v4l2": open_v4l2,
    "csi": open_csi,
    "gst": open_gstreamer,
    "genicam": open_genicam,
    **dict.fromkeys(SCHEMES, open_stream),
}


def open_source(
    text: str,
    timeout: float = 10.0,
    pixel_format: PixelFormat | None = None,
    *,
    reconnect: Reconnect | None = None,
    on_event: Listener | None = None,
    allocate: Allocate | None = None,
) -> Source:
    """Opens what ``--camera`` names; docs/cameras.md lists the settings of each kind.

    Args:
        text: see :data:`GRAMMAR`.
        timeout: seconds that a camera or stream may take to open, and be silent.
        pixel_format: what the frames are, where not BGR or gray: Bayer or NV12 (of a folder: in gray pictures), or
            gray to be sure of it. Cameras are asked for it, and their frames are not converted.
        reconnect: opens a camera or stream again that is gone; None ends the source.
        on_event: hears when the camera is lost and when it is back.
        allocate: gives the memory for the frames of cameras and streams; None for ordinary memory.

    Raises:
        SourceError: it is not there, or cannot be opened.
        UsageError: the text is none of these, a query has an unknown key, or no such source gives the pixel format.
    """
    text = text.strip()
    scheme = "v4l2" if DEVICE.fullmatch(text.partition("?")[0]) else text.partition(":")[0].lower()
    if pixel_format is not None and scheme != "genicam":
        _check_pixel_format(pixel_format, scheme)
    if scheme in _CAMERAS:
        again = partial(_CAMERAS[scheme], text, Options(timeout, pixel_format, allocate))
        source = _live(text, again, timeout, reconnect, on_event)
    elif scheme == "test":
        source = open_synthetic(text)
    else:
        source = _open_path(text.partition(":")[2].removeprefix("//") if scheme == "file" else text)
    return source if pixel_format is None or scheme == "genicam" else Declared(source, pixel_format)


def _live(
    text: str, again: Callable[[], Camera], timeout: float, reconnect: Reconnect | None, on_event: Listener | None
) -> Source:
    reopen = again if reconnect is not None else None
    return LiveSource(printable(shown(text)), again(), timeout, text, reopen, reconnect, on_event)


def _check_pixel_format(pixel_format: PixelFormat, scheme: str) -> None:
    """OpenCV decodes colours to BGR; taking that for something else would swap them, and be scored all the same."""
    if pixel_format not in FOURCC:
        raise UsageError(
            f"no camera or file comes in as {pixel_format}: OpenCV makes BGR of it, which needs no --pixel-format; "
            f"choose one of {', '.join(FOURCC)}"
        )
    if scheme in (*SCHEMES, "test"):
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
