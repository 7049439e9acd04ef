"""``genicam://``: GigE Vision and USB3 Vision cameras, by Aravis."""

from __future__ import annotations

import ctypes
import logging
import re
import threading
import time
from collections.abc import Mapping
from time import monotonic, perf_counter

import numpy as np

from edgeirf.errors import SourceError, UsageError
from edgeirf.runtime.imaging.pixel_format import Pixels, frame_shape
from edgeirf.runtime.sources.address import shown
from edgeirf.runtime.sources.aravis import STATUSES, SUCCESS, Aravis, load
from edgeirf.runtime.sources.clock import ClockMap
from edgeirf.runtime.sources.frame import Frame, Read
from edgeirf.runtime.sources.options import Options, split_query
from edgeirf.runtime.sources.ring import SLOTS, Slot
from edgeirf.runtime.sources.sfnc import apply_settings, check_settings
from edgeirf.settings import PixelFormat

log = logging.getLogger("edgeirf")
PIXEL_FORMATS: dict[int, tuple[str, PixelFormat]] = {
    0x01080001: ("Mono8", "gray8"),
    0x01100007: ("Mono16", "gray16"),
    0x01080008: ("BayerGR8", "bayer_grbg8"),
    0x01080009: ("BayerRG8", "bayer_rggb8"),
    0x0108000A: ("BayerGB8", "bayer_gbrg8"),
    0x0108000B: ("BayerBG8", "bayer_bggr8"),
    0x02180014: ("RGB8", "rgb8"),
    0x02180015: ("BGR8", "bgr8"),
}
"""Codes of the PFNC (Pixel Format Naming Convention) that can be inspected as they are."""
_KEPT = 3
"""Buffers that stay with the camera: when fewer are left, a frame is copied, so that none is lost."""
_WRAP = 0xFFFF
"""GigE Vision 1 counts frames from 1 to this, and then from 1 again."""


def open_genicam(text: str, options: Options) -> GenicamCamera:
    """Opens ``genicam://192.168.1.5?exposure=3000&gain=2&pixel_format=Mono8&trigger=Line1``, or by serial number.

    Raises:
        SourceError: Aravis is not installed, the camera is not there or does not take a setting.
        UsageError: an unknown setting.
    """
    name = shown(text)
    address, settings = split_query(text)
    check_settings(settings, name)
    if not re.fullmatch(r"[\w.:-]+", address):
        raise UsageError(f"camera {name}: write genicam://192.168.1.5 or genicam://SERIAL; `arv-tool-0.8` lists them")
    if options.pixel_format is not None:
        formats = {ours: theirs for theirs, ours in PIXEL_FORMATS.values()}
        if options.pixel_format not in formats:
            raise UsageError(f"camera {name}: no GenICam camera gives {options.pixel_format}; {', '.join(formats)} do")
        settings = {"pixel_format": formats[options.pixel_format], **settings}
    aravis = load()
    try:
        return GenicamCamera(aravis, aravis.open(_identity(aravis, address)), name, settings, options)
    except OSError as error:
        reason = " ".join(str(error).split())
        raise SourceError(f"cannot open camera {name}: {reason}; check cable, address and other programs") from None


def _identity(aravis: Aravis, address: str) -> bytes:
    """What Aravis opens: an address as it is, for a serial number the camera that has it (asks the network)."""
    if re.fullmatch(r"[\d.]+\.\d+", address):
        return address.encode()
    aravis.update_devices()
    for number in range(aravis.device_count()):
        if aravis.device_serial(number) == address.encode():
            return bytes(aravis.device_id(number))
    return address.encode()


class _Features:
    """Implements :class:`edgeirf.runtime.sources.sfnc.Features`. Each access asks the camera: up to 2.5 s."""

    def __init__(self, aravis: Aravis, device: int) -> None:
        self._aravis, self._device = aravis, device

    def has(self, name: str) -> bool:
        """See :class:`edgeirf.runtime.sources.sfnc.Features`."""
        return bool(self._aravis.feature(self._device, name.encode()))

    def get(self, name: str) -> str:
        """See :class:`edgeirf.runtime.sources.sfnc.Features`."""
        return str((self._aravis.get_text(self._node(name)) or b"").decode(errors="replace"))

    def set(self, name: str, value: str) -> None:
        """See :class:`edgeirf.runtime.sources.sfnc.Features`."""
        self._aravis.set_text(self._node(name), value.encode())

    def _node(self, name: str) -> int:
        node = self._aravis.feature(self._device, name.encode())
        if not node:
            raise OSError(f"the camera has no {name}")
        return int(node)


class GenicamCamera:
    """Implements :class:`edgeirf.runtime.sources.camera.Camera` and ``Triggerable``.

    Frames lie where the network card's data was put together, in memory of ``options.allocate`` where that is given;
    a buffer goes back to the camera once no array in it is left.

    Args:
        aravis: the library.
        handle: of the camera, opened; belongs to this object.
        name: for messages.
        settings: see :data:`edgeirf.runtime.sources.sfnc.NAMES`.
        options: how to open it.

    Raises:
        OSError: the camera does not answer.
        SourceError: it does not take a setting, or gives frames that cannot be inspected.
    """

    def __init__(self, aravis: Aravis, handle: int, name: str, settings: Mapping[str, str], options: Options) -> None:
        self._aravis, self._handle, self._name = aravis, handle, name
        self._device = aravis.device(handle)
        self._features = _Features(aravis, self._device)
        self._lock = threading.Lock()  # between fire() and close()
        self._stream = 0
        self._lent: dict[int, Slot] = {}
        self._slots: dict[int, Slot] = {}
        self._clock = ClockMap()
        self._sequence: int | None = None
        self._lost = threading.Event()
        self._disconnect = aravis.on_lost(self._device, self._lost.set)
        try:
            for line in apply_settings(self._features, settings, name):
                log.warning("camera %s: %s", name, line)
            self.size: tuple[int, int] | None = self._look_at_format()
            self.awaits_trigger = self._is_triggered()
            if self.awaits_trigger and "trigger" not in settings:
                source = self._features.get("TriggerSource")
                log.warning(
                    "camera %s waits for its trigger %s, as it was set before: trigger=off ends that", name, source
                )
            self._begin(options)
        except (OSError, SourceError):
            self.close()
            raise

    def feature(self, name: str) -> str:
        """The value of a feature; asks the camera, up to 2.5 s: not for the thread that reads frames.

        Raises:
            OSError: the camera does not answer, or has no such feature.
        """
        return self._features.get(name)

    def fire(self) -> None:
        """See :class:`edgeirf.runtime.sources.camera.Triggerable`."""
        with self._lock:
            if not self._handle:
                raise SourceError(f"{self._name} is closed")
            try:
                self._aravis.execute(self._device, b"TriggerSoftware")
            except OSError as error:
                raise SourceError(f"{self._name} does not take a software trigger: {error}") from None

    def read(self, timeout: float) -> Read:
        """See :class:`edgeirf.runtime.sources.camera.Camera`."""
        self._take_back()
        buffer = self._aravis.pop(self._stream, round(timeout * 1e6))
        arrived, clock, now = monotonic(), perf_counter(), time.time()
        if not buffer:
            gone = f"{self._name} does not answer any more: check cable and power"
            return Read("error", detail=gone) if self._lost.is_set() else Read("timeout")
        taken = self._clock.monotonic(self._aravis.timestamp(buffer) / 1e9, arrived)
        self._sequence = unwrapped(self._sequence, self._aravis.frame_id(buffer))
        image, pixel_format, error = self._image(buffer)
        text = f"{self._name}: {error}" if error is not None else None
        captured_at = now - (arrived - taken)
        return Read(
            "frame", Frame(image, None, self._name, captured_at, text, pixel_format, clock, taken, self._sequence)
        )

    def _image(self, buffer: int) -> tuple[Pixels | None, PixelFormat | None, str | None]:
        """A buffer's picture, its format, and what is wrong with it; the buffer is lent or has gone back."""
        image, pixel_format, error = self._pixels(buffer)
        if image is not None and len(self._slots) - len(self._lent) > _KEPT:
            self._lent[buffer] = self._slots[buffer]
        else:
            image = None if image is None else image.copy()
            self._aravis.push(self._stream, buffer)
        return image, pixel_format, error

    def _pixels(self, buffer: int) -> tuple[Pixels | None, PixelFormat | None, str | None]:
        status = self._aravis.status(buffer)
        if status != SUCCESS:
            return None, None, f"the frame is damaged: {STATUSES.get(status, f'status {status}')}"
        names = PIXEL_FORMATS.get(self._aravis.pixel_format(buffer))
        if names is None:
            return None, None, f"the camera changed its pixel format to {self._aravis.pixel_format(buffer):#x}"
        shape = frame_shape((self._aravis.height(buffer), self._aravis.width(buffer)), names[1])
        dtype = np.dtype(np.uint16 if names[1] == "gray16" else np.uint8)
        start, length = self._aravis.image_data(buffer)
        if length < int(np.prod(shape)) * dtype.itemsize or start != self._slots[buffer].owner.ctypes.data:
            return None, None, f"the frame is damaged: it has {length} bytes"
        plain = names[1] in ("gray8", "gray16", "bgr8")
        return self._slots[buffer].array(shape, dtype), None if plain else names[1], None

    def _take_back(self) -> None:
        """Gives the camera the buffers again that nobody looks at any more."""
        for buffer in [buffer for buffer, slot in self._lent.items() if slot.free]:
            del self._lent[buffer]
            self._aravis.push(self._stream, buffer)

    def _look_at_format(self) -> tuple[int, int]:
        """``(height, width)``.

        Raises:
            SourceError: the camera's pixel format is not one of :data:`PIXEL_FORMATS`.
        """
        known = [theirs for theirs, _ in PIXEL_FORMATS.values()]
        has = self._features.get("PixelFormat")
        if has not in known:
            raise SourceError(
                f"camera {self._name} gives {has}, which cannot be inspected: add pixel_format= with one of "
                f"{', '.join(known)}"
            )
        return int(self._features.get("Height")), int(self._features.get("Width"))

    def _is_triggered(self) -> bool:
        return self._features.has("TriggerMode") and self._features.get("TriggerMode") == "On"

    def _begin(self, options: Options) -> None:
        aravis, size = self._aravis, self._aravis.payload(self._handle)
        self._stream = aravis.create_stream(self._handle, None, None)
        for _ in range(SLOTS + _KEPT):
            kind = np.dtype(np.uint8)
            slot = Slot(np.empty(size, kind) if options.allocate is None else options.allocate((size,), kind))
            buffer = aravis.new_buffer(size, slot.owner.ctypes.data_as(ctypes.c_void_p))
            self._slots[buffer] = slot
            aravis.push(self._stream, buffer)
        aravis.start(self._handle)

    def close(self) -> None:
        """See :class:`edgeirf.runtime.sources.camera.Camera`; frames that are in use stay valid."""
        with self._lock:
            if not self._handle:
                return
            self._disconnect()
            if self._stream:
                self._end_stream()
            self._aravis.unref(self._handle)
            self._handle = 0

    def _end_stream(self) -> None:
        try:
            if not self._lost.is_set():
                self._aravis.stop(self._handle)
        except OSError as error:
            log.debug("camera %s: %s", self._name, error)
        self._aravis.unref(self._stream)
        for buffer in self._lent:
            self._aravis.unref(buffer)


def unwrapped(last: int | None, frame_id: int) -> int:
    """A frame's number that goes on where the camera's 16 bits begin again.

    >>> unwrapped(65534, 65535), unwrapped(65535, 1), unwrapped(65535 + 7, 9)
    (65535, 65536, 65544)

    Args:
        last: what this function gave for the frame before.
        frame_id: the camera's number of this frame.
    """
    if last is None or frame_id > _WRAP:
        return frame_id
    ahead = (frame_id - last) % _WRAP
    return last + ahead
