"""Frames and heat maps in a window."""

from __future__ import annotations

import os
import subprocess
import sys

import cv2

from edgeirf.errors import EdgeirfError
from edgeirf.runtime.imaging.pixel_format import Pixels
from edgeirf.runtime.render.overlay import Image, to_bgr8
from edgeirf.runtime.sinks.sink import Record, Sink
from edgeirf.runtime.sources.frame import Source
from edgeirf.verdict import Verdict

TITLE = "edgeirf"
LARGEST = 1000
"""Pixels: larger frames are shown smaller."""
_PASS, _REJECT = (80, 160, 40), (40, 40, 220)
_PROBE = f"import cv2; cv2.namedWindow({TITLE!r}); cv2.destroyAllWindows()"


class Window(Sink):
    """Shows every frame with its heat map and verdict; q, Esc or closing the window ends the run.

    Args:
        source: stopped when the window is closed.

    Call :func:`check_display` first: without a display, Qt aborts the process.
    """

    decoration = True
    needs = frozenset({"frame", "overlay"})

    def __init__(self, source: Source) -> None:
        self._source = source
        os.environ.setdefault("QT_LOGGING_RULES", "*.warning=false")  # hides warnings about missing fonts
        cv2.namedWindow(TITLE, cv2.WINDOW_AUTOSIZE | cv2.WINDOW_GUI_NORMAL)

    def write(self, record: Record) -> None:
        """Shows one frame."""
        if record.frame is not None and record.frame.image is not None:
            cv2.imshow(TITLE, picture(record.verdict, record.frame.image, record.overlay))
        closed = cv2.waitKey(1) & 0xFF in (27, ord("q"))
        if closed or cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) < 1:
            self._source.stop()

    def close(self) -> None:
        """Closes the window."""
        cv2.destroyAllWindows()


def picture(verdict: Verdict, frame: Pixels, overlay: Image | None) -> Image:
    """What the window shows: the heat map over the frame under a coloured bar with the verdict.

    Args:
        verdict: on the frame.
        frame: its pixels; shown where there is no overlay.
        overlay: the frame under its heat map.
    """
    shown = to_bgr8(frame) if overlay is None else overlay
    text = "REJECT  not inspected"
    if verdict.status == "ok":
        text = f"{'REJECT' if verdict.reject else 'pass'}  {verdict.score:.4g} / {verdict.threshold:.4g}"
    scale = min(1.0, LARGEST / max(shown.shape[:2]))
    small = cv2.resize(shown, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    framed = cv2.copyMakeBorder(small, 36, 0, 0, 0, cv2.BORDER_CONSTANT, value=_REJECT if verdict.reject else _PASS)
    cv2.putText(framed, text, (10, 25), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 1, cv2.LINE_AA)
    return framed.astype("uint8", copy=False)


def check_display() -> None:
    """Tries a window in another process, because Qt aborts the one that cannot open a display.

    Raises:
        EdgeirfError: it does not work.
    """
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise EdgeirfError("--show needs a display and there is none (DISPLAY is not set): use --save-rejects instead")
    try:
        probe = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, timeout=30, check=False)  # noqa: S603
        works = probe.returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        works = False
    if not works:
        raise EdgeirfError(
            "--show cannot open a window: the display does not answer, or this is opencv-python-headless "
            "(opencv-python has windows); use --save-rejects instead"
        )
