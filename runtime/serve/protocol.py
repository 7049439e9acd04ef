"""What a client and the server say to each other on the socket; ``runtime/capi/edgeirf.cpp`` has the same layouts.

Each message is one packet (``SOCK_SEQPACKET``), native byte order. The server greets; then each request has one reply.
The frame lies packed at the start of shared memory that the client creates, seals and passes with a request
(``SCM_RIGHTS``); the memory holds until the client passes another one.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from edgeirf.errors import BackendError, EdgeirfError, FrameError, UsageError
from edgeirf.settings import PixelFormat
from edgeirf.verdict import Verdict

MAGIC, PROTOCOL = 0x31524945, 1
FORMATS: tuple[PixelFormat, ...] = (
    "bgr8", "rgb8", "gray8", "bgr16", "rgb16", "gray16",
    "bayer_rggb8", "bayer_grbg8", "bayer_gbrg8", "bayer_bggr8", "nv12",
)  # fmt: skip
"""In the order of the numbers in ``edgeirf.h``."""
MAX_REGIONS = 1024
MAX_SIDE = 65535

_HELLO = struct.Struct("=2I4i")
_REQUEST = struct.Struct("=2I4i2Q")
_REPLY = struct.Struct("=2I2i4d4i")
_REGION = struct.Struct("=5if")
REQUEST_BYTES = _REQUEST.size
_CODES: tuple[tuple[type[EdgeirfError], int], ...] = ((UsageError, 1), (BackendError, 3), (FrameError, 4))


@dataclass(frozen=True)
class Request:
    """One frame to inspect.

    Attributes:
        sequence: comes back with the reply.
        width, height: of the frame in pixels.
        pixel_format: of the frame.
        map_values: values of the anomaly map that the client asks for; 0 for no map.
        memory_bytes: size of the shared memory.
        map_at: byte of the shared memory where the map goes.

    >>> Request.unpack(Request(1, 640, 480, "bgr8", 0, 921600, 921600).pack()).width
    640
    """

    sequence: int
    width: int
    height: int
    pixel_format: PixelFormat
    map_values: int
    memory_bytes: int
    map_at: int

    def pack(self) -> bytes:
        """The packet."""
        number = FORMATS.index(self.pixel_format)
        size = (self.width, self.height, number, self.map_values)
        return _REQUEST.pack(MAGIC, self.sequence, *size, self.memory_bytes, self.map_at)

    @classmethod
    def unpack(cls, packet: bytes) -> Request:
        """Reads a packet, whoever sent it.

        Raises:
            FrameError: no request of this protocol, or of an impossible frame.
        """
        if len(packet) != _REQUEST.size:
            raise FrameError(f"a request has {_REQUEST.size} bytes, not {len(packet)}")
        magic, sequence, width, height, number, map_values, memory_bytes, map_at = _REQUEST.unpack(packet)
        if magic != MAGIC or not 0 <= number < len(FORMATS) or map_values < 0:
            raise FrameError("the request is not of this protocol: install equal versions of edgeirf on both sides")
        if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
            raise FrameError(f"a frame of {width}x{height} pixels cannot be inspected")
        return cls(sequence, width, height, FORMATS[number], map_values, memory_bytes, map_at)


def hello(map_size: tuple[int, int], info: Mapping[str, str]) -> bytes:
    """The server's first packet.

    Args:
        map_size: ``(height, width)`` of the anomaly map.
        info: what ``edgeirf_info()`` gives.
    """
    text = "".join(f"{key}\0{value}\0" for key, value in info.items()).encode()
    return _HELLO.pack(MAGIC, PROTOCOL, map_size[1], map_size[0], len(text), 0) + text


def reply(sequence: int, verdict: Verdict) -> bytes:
    """The packet for a frame that was inspected. At most :data:`MAX_REGIONS` regions go with it, the strongest."""
    numbers = (verdict.score, verdict.p_value, verdict.threshold, verdict.pixel_threshold)
    sent = verdict.regions[:MAX_REGIONS]
    head = _REPLY.pack(
        *(MAGIC, sequence, 0, int(verdict.reject)),
        *(math.nan if number is None else number for number in numbers),
        *(len(verdict.regions), len(sent), 0, 0),
    )
    return head + b"".join(_REGION.pack(r.x, r.y, r.width, r.height, r.area, r.peak) for r in sent)


def refusal(sequence: int, error: EdgeirfError) -> bytes:
    """The packet for a frame that could not be inspected: a reject, with the reason."""
    code = next((code for kind, code in _CODES if isinstance(error, kind)), 3)
    message = str(error).encode()[:1000].decode(errors="ignore").encode()
    return _REPLY.pack(MAGIC, sequence, code, 1, *[math.nan] * 4, 0, 0, len(message), 0) + message
