"""OpenCV's captures: into memory that is given, with the driver's time."""

from __future__ import annotations

from pathlib import Path
from time import monotonic

import cv2
import numpy as np
import pytest

from edgeirf.runtime.sources.camera import Camera
from edgeirf.runtime.sources.capture import CaptureCamera
from edgeirf.runtime.sources.jpeg import jpeg_packets
from edgeirf.runtime.sources.v4l2 import buffer_time


@pytest.mark.parametrize("packets", [False, True])
def test_frames_lie_in_the_memory_that_was_given(tmp_path: Path, packets: bool) -> None:
    path = str(tmp_path / "video.avi")
    writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    for number in range(12):
        writer.write(np.full((48, 64, 3), 20 * number, np.uint8))
    writer.release()
    given: list[np.ndarray] = []

    def allocate(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        given.append(np.empty(shape, dtype))
        return given[-1]

    capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG)
    camera: Camera = CaptureCamera("x", jpeg_packets(capture) if packets else capture, allocate=allocate)
    frames = [camera.read(0).frame for _ in range(12)]
    inside = [any(np.shares_memory(frame.image, memory) for memory in given) for frame in frames]
    assert inside == [False] + [True] * 8 + [False] * 3  # the first shows the size; 8 are in use: then OpenCV's own
    assert [round(float(frame.image.mean()), -1) for frame in frames] == [20 * number for number in range(12)]
    frames.clear()
    camera.close()


class Stamped:
    def __init__(self, milliseconds: float) -> None:
        self.milliseconds = milliseconds

    def get(self, key: int) -> float:
        assert key == cv2.CAP_PROP_POS_MSEC
        return self.milliseconds


@pytest.mark.parametrize(
    ("age", "believed"), [(0.02, True), (30.0, True), (-1.0, False), (90.0, False)], ids=["now", "old", "later", "odd"]
)
def test_the_drivers_time_counts_where_it_is_possible(age: float, believed: bool) -> None:
    arrived = monotonic()
    taken = buffer_time(Stamped((arrived - age) * 1e3))(arrived)
    assert taken == (pytest.approx(arrived - age) if believed else arrived)
