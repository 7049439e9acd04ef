"""What every kind of camera is opened with, beside its address."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import cv2

from edgeirf.errors import UsageError
from edgeirf.runtime.sources.address import shown
from edgeirf.runtime.sources.ring import Allocate
from edgeirf.settings import PixelFormat


@dataclass(frozen=True)
class Options:
    """How to open a camera.

    >>> Options(timeout=2.0).pixel_format is None
    True

    Attributes:
        timeout: seconds that a camera or stream may take to open, and be silent.
        pixel_format: asked of the camera, and not converted; None for BGR or gray.
        allocate: memory for the frames (:data:`edgeirf.runtime.sources.ring.Allocate`); None for ordinary memory.
    """

    timeout: float = 10.0
    pixel_format: PixelFormat | None = None
    allocate: Allocate | None = None


def split_query(text: str) -> tuple[str, dict[str, str]]:
    """Address and settings of ``scheme://address?key=value&...``.

    Raises:
        UsageError: a key stands there twice.
    """
    address, _, query = text.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    settings = dict(pairs)
    if len(settings) < len(pairs):
        raise UsageError(f"camera {shown(text)}: a setting stands there twice")
    return address.partition("://")[2], settings


def setting_name(key: str) -> str:
    """The key of a query as an error may show it: what is no word may be the end of a password."""
    return repr(key) if re.fullmatch(r"[A-Za-z]\w*", key) else "this"


def has_backend(backend: int) -> bool:
    """Whether this OpenCV is built with a back end, ``cv2.CAP_GSTREAMER`` for one."""
    return bool(cv2.videoio_registry.hasBackend(backend))


def frame_size(capture: Any) -> tuple[int, int] | None:
    """``(height, width)`` that a ``cv2.VideoCapture`` says it gives."""
    height, width = (round(capture.get(key)) for key in (cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH))
    return (height, width) if min(height, width) > 0 else None
