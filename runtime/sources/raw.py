"""Cameras that give Bayer, NV12 or 16-bit pixels as they come from the sensor, for the GPU to read as they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from edgeirf.errors import SourceError
from edgeirf.runtime.imaging.pixel_format import frame_shape
from edgeirf.runtime.sources.camera import Watchable
from edgeirf.runtime.sources.frame import Frame, Read, Source
from edgeirf.settings import PixelFormat

FOURCC: dict[PixelFormat, str] = {
    "gray8": "GREY",
    "gray16": "Y16 ",
    "bayer_rggb8": "RGGB",
    "bayer_grbg8": "GRBG",
    "bayer_gbrg8": "GBRG",
    "bayer_bggr8": "BA81",
    "nv12": "NV12",
}
"""What V4L2 calls the formats that OpenCV hands on unconverted (linux/videodev2.h)."""

CAPS: dict[PixelFormat, str] = {
    "bgr8": "video/x-raw,format=BGR",
    "gray8": "video/x-raw,format=GRAY8",
    "gray16": "video/x-raw,format=GRAY16_LE",
    "bayer_rggb8": "video/x-bayer,format=rggb",
    "bayer_grbg8": "video/x-bayer,format=grbg",
    "bayer_gbrg8": "video/x-bayer,format=gbrg",
    "bayer_bggr8": "video/x-bayer,format=bggr",
    "nv12": "video/x-raw,format=NV12",
}
"""What GStreamer calls the formats that OpenCV takes from it."""


class Declared:
    """A source whose frames are all of one pixel format.

    Args:
        source: gives the frames.
        pixel_format: of all of them.
    """

    def __init__(self, source: Source, pixel_format: PixelFormat) -> None:
        self._source = source
        self._pixel_format = pixel_format
        self.name, self.total, self.size = source.name, source.total, source.size

    @property
    def dropped(self) -> int:
        """See :class:`Source`."""
        return self._source.dropped

    @property
    def waiting(self) -> bool:
        """See :class:`Source`."""
        return self._source.waiting

    def __iter__(self) -> Iterator[Frame]:
        """The frames of the source."""
        for frame in self._source:
            yield replace(frame, pixel_format=self._pixel_format)

    def read(self, timeout: float) -> Read:
        """See :class:`Source`."""
        read = self._source.read(timeout)
        return read if read.frame is None else Read("frame", replace(read.frame, pixel_format=self._pixel_format))

    def watch(self, watcher: Callable[[Frame], None]) -> None:
        """See :class:`edgeirf.runtime.sources.camera.Watchable`.

        Raises:
            SourceError: it is no camera.
        """
        if not isinstance(self._source, Watchable):
            raise SourceError(f"{self.name} is no camera")
        self._source.watch(watcher)

    def stop(self) -> None:
        """See :class:`Source`."""
        self._source.stop()

    def close(self) -> None:
        """See :class:`Source`."""
        self._source.close()


class RawCapture:
    """An open V4L2 camera that hands on its bytes unconverted.

    OpenCV gives the bytes of a Bayer frame as one long row; here they get their shape back.

    Args:
        capture: the camera, with its size and FOURCC set.
        pixel_format: one of :data:`FOURCC`.
    """

    def __init__(self, capture: cv2.VideoCapture, pixel_format: PixelFormat) -> None:
        capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)
        width, height = (round(capture.get(key)) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        self._capture: Any = capture
        self._shape = frame_shape((height, width), pixel_format)
        self._dtype = np.dtype(np.uint16 if pixel_format == "gray16" else np.uint8)

    def grab(self) -> bool:
        """See :class:`edgeirf.runtime.sources.capture.Grabber`."""
        return bool(self._capture.grab())

    def retrieve(self, into: Any = None, /) -> tuple[bool, Any]:
        """See :class:`edgeirf.runtime.sources.capture.Grabber`; none where the bytes are not those of the format."""
        done, image = self._capture.retrieve() if into is None else self._capture.retrieve(self._row(into))
        if not done or image is None:
            return False, None
        if image.nbytes != math.prod(self._shape) * self._dtype.itemsize:
            return False, None
        return True, np.ascontiguousarray(image).reshape(-1).view(self._dtype).reshape(self._shape)

    @staticmethod
    def _row(image: Any) -> Any:
        """An array as OpenCV fills it: one row of bytes."""
        return image.reshape(1, -1).view(np.uint8)

    def release(self) -> None:
        """See :class:`edgeirf.runtime.sources.capture.Grabber`."""
        self._capture.release()
