"""``gst:`` and ``csi://``: pipelines of GStreamer, by an OpenCV that is built with it."""

from __future__ import annotations

import re

import cv2

from edgeirf.errors import SourceError, UsageError
from edgeirf.runtime.sources.address import shown
from edgeirf.runtime.sources.capture import CaptureCamera
from edgeirf.runtime.sources.options import Options, frame_size, has_backend, split_query
from edgeirf.runtime.sources.raw import CAPS
from edgeirf.settings import PixelFormat

NO_GSTREAMER = "this OpenCV has no GStreamer (the one on PyPI never has): use one built with it, as JetPack's is"
_SINK = "appsink drop=true max-buffers=1 sync=false"
_CSI = {"width": 1920, "height": 1080, "fps": 30, "flip": 0, "exposure": 0, "gain": 0}
"""Settings of ``csi://`` and their defaults; exposure in microseconds and gain as a factor, 0 for automatic."""


def open_gstreamer(text: str, options: Options) -> CaptureCamera:
    """Starts ``gst:PIPELINE``; without an ``appsink`` the pipeline gets one, and what makes it BGR.

    Raises:
        SourceError: this OpenCV has no GStreamer, or the pipeline does not start.
    """
    pipeline = text.partition(":")[2].removeprefix("//").strip()
    if "appsink" not in pipeline:
        # A colour filter is no format that videoconvert knows; everything else it makes of what the camera gives.
        caps = CAPS[options.pixel_format or "bgr8"]
        convert = "" if caps.startswith("video/x-bayer") else "! videoconvert "
        pipeline += f" {convert}! {caps} ! {_SINK}"
    return _start(pipeline, shown(text), options)


def open_csi(text: str, options: Options) -> CaptureCamera:
    """Opens ``csi://0``, a camera at the ribbon connector of a Jetson.

    Raises:
        SourceError: see :func:`open_gstreamer`.
        UsageError: an unknown setting.
    """
    return _start(csi_pipeline(text, options.pixel_format), shown(text), options)


def csi_pipeline(text: str, pixel_format: PixelFormat | None = None) -> str:
    """The pipeline for ``csi://SENSOR?width=1920&height=1080&fps=30&flip=0&exposure=4000&gain=2``.

    >>> csi_pipeline("csi://1?width=1280&height=720").split(" ! ")[0]
    'nvarguscamerasrc sensor-id=1'

    Raises:
        UsageError: an unknown setting, no sensor, or a pixel format that the camera's processor does not give.
    """
    sensor, given = split_query(text)
    unknown = [f"{key}={value}" for key, value in given.items() if key not in _CSI or not _is_number(value)]
    if unknown or not re.fullmatch(r"\d", sensor):
        raise UsageError(f"camera {shown(text)}: write csi://0 to csi://9, with {', '.join(_CSI)} as numbers")
    if pixel_format not in (None, "nv12"):
        raise UsageError(f"camera {shown(text)} gives BGR or nv12, not {pixel_format}")
    wanted = {**_CSI, **{key: float(value) for key, value in given.items()}}
    size = f"width={wanted['width']:.0f},height={wanted['height']:.0f}"
    source = f"nvarguscamerasrc sensor-id={sensor}" + _fixed(wanted["exposure"], wanted["gain"])
    sensor_caps = f"video/x-raw(memory:NVMM),{size},framerate={wanted['fps']:.0f}/1,format=NV12"
    to_bgr = "video/x-raw,format=BGRx ! videoconvert ! video/x-raw,format=BGR"
    output = "video/x-raw,format=NV12" if pixel_format == "nv12" else to_bgr
    return f"{source} ! {sensor_caps} ! nvvidconv flip-method={wanted['flip']:.0f} ! {output} ! {_SINK}"


def _fixed(exposure: float, gain: float) -> str:
    """What holds exposure (microseconds) and gain still; a light that the camera evens out looks like no defect."""
    text = ""
    if exposure:
        text += f' exposuretimerange="{exposure * 1000:.0f} {exposure * 1000:.0f}"'
    if gain:
        text += f' gainrange="{gain:g} {gain:g}" ispdigitalgainrange="1 1"'
    return text + (" aelock=true" if exposure and gain else "")


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\d+(\.\d+)?", text) is not None


def _start(pipeline: str, name: str, options: Options) -> CaptureCamera:
    if not has_backend(cv2.CAP_GSTREAMER):
        raise SourceError(NO_GSTREAMER)
    capture = cv2.VideoCapture(pipeline, cv2.CAP_GSTREAMER)
    if not capture.isOpened():
        raise SourceError(f"GStreamer cannot start the pipeline {name}: try it with gst-launch-1.0")
    return CaptureCamera(name, capture, frame_size(capture), allocate=options.allocate)
