"""Aravis' C library by ctypes: GigE Vision and USB3 Vision without a build, for any Python.

Only what :mod:`edgeirf.runtime.sources.genicam` uses; the functions are those of Aravis 0.8.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_uint, c_uint32, c_uint64, c_void_p
from functools import cache
from typing import Any

from edgeirf.errors import SourceError

SUCCESS = 0
STATUSES = {
    1: "the buffer was cleared",
    2: "it was not complete in time",
    3: "packets are missing",
    4: "a packet has a wrong number",
    5: "its size is not the announced one",
    7: "it was cut off",
    8: "its payload is no image",
}
"""What is wrong with a buffer (``ArvBufferStatus``)."""
_LIBRARIES = ("libaravis-0.8.so.0", "libgobject-2.0.so.0", "libglib-2.0.so.0")
_LOST = ctypes.CFUNCTYPE(None, c_void_p, c_void_p)


class _GError(ctypes.Structure):
    _fields_ = (("domain", c_uint32), ("code", c_int), ("message", c_char_p))


@cache
def load() -> Aravis:
    """The library, once for the process.

    Raises:
        SourceError: it is not installed.
    """
    try:
        return Aravis(*(ctypes.CDLL(name) for name in _LIBRARIES))
    except OSError:
        raise SourceError("genicam:// needs Aravis 0.8: sudo apt install libaravis-0.8-0") from None


class Aravis:
    """The functions of the library. Handles are addresses; 0 is none. An error of Aravis is an :class:`OSError`."""

    def __init__(self, aravis: ctypes.CDLL, gobject: ctypes.CDLL, glib: ctypes.CDLL) -> None:
        self._aravis, self._gobject, self._glib = aravis, gobject, glib
        self._glib.g_error_free.argtypes = (c_void_p,)
        self._gobject.g_signal_connect_data.argtypes = (c_void_p, c_char_p, _LOST, c_void_p, c_void_p, c_int)
        self._gobject.g_signal_connect_data.restype = ctypes.c_ulong
        self._gobject.g_signal_handler_disconnect.argtypes = (c_void_p, ctypes.c_ulong)
        self._gobject.g_object_unref.argtypes = (c_void_p,)
        call, plain = self._checked, self._plain
        self.update_devices = plain("arv_update_device_list", None)
        self.device_count = plain("arv_get_n_devices", c_uint)
        self.device_id = plain("arv_get_device_id", c_char_p, c_uint)
        self.device_serial = plain("arv_get_device_serial_nbr", c_char_p, c_uint)
        self.open = call("arv_camera_new", c_void_p, c_char_p)
        self.device = plain("arv_camera_get_device", c_void_p, c_void_p)
        self.payload = call("arv_camera_get_payload", c_uint, c_void_p)
        self.create_stream = call("arv_camera_create_stream", c_void_p, c_void_p, c_void_p, c_void_p)
        self.start = call("arv_camera_start_acquisition", None, c_void_p)
        self.stop = call("arv_camera_stop_acquisition", None, c_void_p)
        self.feature = plain("arv_device_get_feature", c_void_p, c_void_p, c_char_p)
        self.get_text = call("arv_gc_feature_node_get_value_as_string", c_char_p, c_void_p)
        self.set_text = call("arv_gc_feature_node_set_value_from_string", None, c_void_p, c_char_p)
        self.execute = call("arv_device_execute_command", None, c_void_p, c_char_p)
        self.new_buffer = plain("arv_buffer_new", c_void_p, c_size_t, c_void_p)
        self.push = plain("arv_stream_push_buffer", None, c_void_p, c_void_p)
        self.pop = plain("arv_stream_timeout_pop_buffer", c_void_p, c_void_p, c_uint64)
        self.status = plain("arv_buffer_get_status", c_int, c_void_p)
        self.frame_id = plain("arv_buffer_get_frame_id", c_uint64, c_void_p)
        self.timestamp = plain("arv_buffer_get_timestamp", c_uint64, c_void_p)
        self.width = plain("arv_buffer_get_image_width", c_int, c_void_p)
        self.height = plain("arv_buffer_get_image_height", c_int, c_void_p)
        self.pixel_format = plain("arv_buffer_get_image_pixel_format", c_uint32, c_void_p)
        self._image_data = plain("arv_buffer_get_image_data", c_void_p, c_void_p, POINTER(c_size_t))
        self.unref = self._gobject.g_object_unref

    def image_data(self, buffer: int) -> tuple[int, int]:
        """Address and length in bytes of a buffer's image; chunks are left out."""
        length = c_size_t()
        return int(self._image_data(buffer, byref(length)) or 0), length.value

    def on_lost(self, device: int, callback: Callable[[], None]) -> Callable[[], None]:
        """Calls ``callback`` on a thread of Aravis when the camera no longer answers; returns what ends that."""
        function = _LOST(lambda *_: callback())
        handler = self._gobject.g_signal_connect_data(device, b"control-lost", function, None, None, 0)

        def disconnect(keep: object = function) -> None:
            self._gobject.g_signal_handler_disconnect(device, handler)

        return disconnect

    def _plain(self, name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
        function: Callable[..., Any] = getattr(self._aravis, name)
        function.restype, function.argtypes = result, arguments  # type: ignore[attr-defined]
        return function

    def _checked(self, name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
        """A function that reports errors in its last argument."""
        function = self._plain(name, result, *arguments, POINTER(POINTER(_GError)))

        def call(*values: Any) -> Any:
            error = POINTER(_GError)()
            answer = function(*values, byref(error))
            if error:
                message = (error.contents.message or b"").decode(errors="replace")
                self._glib.g_error_free(error)
                raise OSError(message)
            return answer

        return call
