"""From ``[[camera]]`` to a camera."""

from __future__ import annotations

from functools import partial

from edgeirf.runtime.line.capture_thread import Station
from edgeirf.runtime.line.config import CameraSettings, LineConfig
from edgeirf.runtime.sources import Reconnect, Source, open_source
from edgeirf.runtime.sources.ring import Allocate
from edgeirf.runtime.triggers.camera import CameraTrigger, CameraTriggerSettings
from edgeirf.runtime.triggers.trigger import Trigger

_STREAMS = ("rtsp", "rtsps", "rtmp", "http", "https", "udp", "tcp", "v4l2", "gst", "csi", "genicam")


def open_camera(
    config: LineConfig, camera: CameraSettings, trigger: CameraTrigger | None = None, allocate: Allocate | None = None
) -> Source:
    """Opens a camera. One that goes away is opened again until ``reconnect_s`` is over.

    Args:
        config: of the line.
        camera: one of its cameras.
        trigger: takes the frames of this camera for parts.
        allocate: gives the memory for its frames; None for ordinary memory.

    Raises:
        EdgeirfError: as of :func:`edgeirf.runtime.sources.opening.open_source`.
    """
    again = None
    if camera.reconnect_s > 0:
        longest = max(camera.retry_s, camera.retry_longest_s)
        again = Reconnect(camera.retry_s, longest, limit=camera.reconnect_s)
    source = open_source(
        address(config, camera),
        camera.timeout_s,
        camera.pixel_format,
        reconnect=again,
        on_event=None if trigger is None else trigger.heard,
        allocate=allocate,
    )
    if trigger is not None:
        trigger.attach(source)
    return source


def address(config: LineConfig, camera: CameraSettings) -> str:
    """What :func:`edgeirf.runtime.sources.opening.open_source` takes: a path is relative to the file."""
    uri, trigger = camera.uri, config.trigger
    if ":" not in uri and not uri.partition("?")[0].isdecimal():
        return str(config.path.parent / uri)
    return trigger.address(uri) if isinstance(trigger, CameraTriggerSettings) else uri


def is_live(camera: CameraSettings) -> bool:
    """Whether the newest frame counts, or every frame."""
    if camera.policy != "auto":
        return camera.policy == "live"
    scheme = camera.uri.partition(":")[0].lower()
    return scheme in _STREAMS or camera.uri.partition("?")[0].isdecimal()


def detector_key(config: LineConfig, camera: CameraSettings) -> str:
    """Cameras with the same bundle and product share a detector."""
    return f"{camera.model or config.detector.model} {camera.product or config.detector.product or ''}".strip()


def station_of(config: LineConfig, camera: CameraSettings, trigger: Trigger | None) -> Station:
    """The camera as a line opens it; with a camera trigger its frames are parts."""
    chosen, leads = config.trigger, False
    if isinstance(chosen, CameraTriggerSettings):
        leads = camera.name == (chosen.camera or config.cameras[0].name)
    return Station(
        camera.name,
        partial(open_camera, config, camera, trigger if leads and isinstance(trigger, CameraTrigger) else None),
        detector_key(config, camera),
        is_live(camera),
        camera.staleness_ms / 1e3,
        camera.reconnect_s,
        fires="trigger=software" in camera.uri.lower(),
    )
