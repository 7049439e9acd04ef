"""Videos and streams of JPEGs, each frame decoded as the file that it is.

OpenCV's FFmpeg fills up a JPEG that was cut, and scales a frame to the size of the first one: both would be inspected
as if nothing had happened. Its packets are whole JPEG files, so they are read as :mod:`edgeirf.runtime.imaging.images`
reads files, with the same pixels and the same checks.
"""

from __future__ import annotations

from typing import Any, Protocol

import cv2
import numpy as np

from edgeirf.errors import FrameError
from edgeirf.runtime.imaging.images import decode_image
from edgeirf.runtime.imaging.pixel_format import Pixels

_JPEG = cv2.VideoWriter.fourcc(*"MJPG")


class Capture(Protocol):
    """What is used of ``cv2.VideoCapture``."""

    def grab(self) -> bool:
        """Waits for the next frame."""
        ...

    def retrieve(self, into: Any = None, /) -> tuple[bool, Any]:
        """Decodes the grabbed frame."""
        ...

    def read(self) -> tuple[bool, Any]:
        """Both."""
        ...

    def release(self) -> None:
        """Closes it."""
        ...


class JpegPackets:
    """A capture of JPEGs that hands on its packets."""

    def __init__(self, capture: cv2.VideoCapture) -> None:
        self._capture = capture

    def grab(self) -> bool:
        """See :class:`Capture`."""
        return self._capture.grab()

    def retrieve(self, into: Any = None, /) -> tuple[bool, Pixels | None]:
        """See :class:`Capture`; copies into ``into`` where that fits.

        Raises:
            FrameError: the packet is no whole JPEG.
        """
        done, packet = self._capture.retrieve()
        if not done or packet is None:
            return False, None
        try:
            image = decode_image(packet.tobytes())
        except MemoryError:
            raise FrameError("does not fit into the memory of this machine") from None
        if into is None or (into.shape, into.dtype) != (image.shape, image.dtype):
            return True, image
        np.copyto(into, image)
        return True, into

    def read(self) -> tuple[bool, Pixels | None]:
        """See :class:`Capture`."""
        return self.retrieve() if self.grab() else (False, None)

    def release(self) -> None:
        """See :class:`Capture`."""
        self._capture.release()


def jpeg_packets(capture: cv2.VideoCapture) -> Capture:
    """The capture, or the reader of its packets where it gives JPEGs and was not read from yet."""
    if round(capture.get(cv2.CAP_PROP_FOURCC)) == _JPEG and capture.set(cv2.CAP_PROP_FORMAT, -1):
        return JpegPackets(capture)
    return capture
