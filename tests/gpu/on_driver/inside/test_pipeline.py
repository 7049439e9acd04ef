"""Camera to sinks on the GPU's path: two frames in flight, raw bytes, a GPU that is lost on the way."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import driver_control
import numpy as np
import pytest
from ort_engine import OrtEngine

import edgeirf
from edgeirf.errors import BackendError
from edgeirf.runtime.line.pipeline import run_pipeline
from edgeirf.runtime.line.stats import Stats
from edgeirf.runtime.sinks import Sink
from edgeirf.runtime.sinks.jsonl import JsonLines
from edgeirf.runtime.sinks.rejects import RejectSaver
from edgeirf.runtime.sources.capture import CaptureCamera
from edgeirf.runtime.sources.live import LiveSource
from edgeirf.runtime.sources.raw import Declared
from edgeirf.settings import PixelFormat, Preprocess

Make = Callable[..., np.ndarray]
COUNT = 9


class Camera:
    """Gives its frames as fast as they are taken, then waits for the end."""

    def __init__(self, frames: list[np.ndarray]) -> None:
        self.frames = frames
        self.given = 0
        self.room = threading.Semaphore(2)
        self.source: LiveSource | None = None

    def grab(self) -> bool:
        while self.given == len(self.frames) or not self.room.acquire(timeout=0.01):
            if self.source is not None and self.source._stopped:
                return False
            time.sleep(0.001)
        self.given += 1
        return True

    def retrieve(self) -> tuple[bool, np.ndarray]:
        return True, self.frames[self.given - 1]

    def release(self) -> None:
        pass


class Taken(Sink):
    """A sink that lets the camera go on."""

    def __init__(self, camera: Camera) -> None:
        self.camera = camera

    def write(self, record: object) -> None:
        self.camera.room.release()


@pytest.fixture(autouse=True)
def given_back(engines: list[OrtEngine]) -> Iterator[None]:
    """On the GPU's path, and nothing is left of it."""
    yield
    assert driver_control.live() == {}


def mosaic(picture: np.ndarray) -> np.ndarray:
    """What a Bayer sensor sees of a gray part."""
    return np.ascontiguousarray(picture[..., 1])


def run(
    path: Path, frames: list[np.ndarray], pixel_format: PixelFormat | None, folder: Path, max_frames: int | None = COUNT
) -> tuple[list[dict[str, object]], object]:
    camera = Camera(frames)
    camera.source = source = LiveSource("fake", CaptureCamera("fake", camera), timeout=20)
    declared = source if pixel_format is None else Declared(source, pixel_format)
    with edgeirf.load(path, "tensorrt") as detector:
        height, width = frames[0].shape[:2]
        detector.warm_up((height, width), pixel_format or "bgr8")
        driver_control.reset()
        sinks = [
            JsonLines(str(folder / "v.jsonl")),
            RejectSaver(str(folder / "rejects")),
            Taken(camera),
        ]
        problem = run_pipeline(declared, detector, sinks, Stats(), max_frames)
    return [json.loads(line) for line in (folder / "v.jsonl").read_text().splitlines()], problem


@pytest.mark.parametrize("pixel_format", [None, "bayer_gbrg8"])
@pytest.mark.parametrize("schedule", ["lazy", "random"])
def test_verdicts_in_order_while_uploads_overlap(
    schedule: str, pixel_format: PixelFormat | None, tiny_path: Path, tmp_path: Path, good: Make, bad: Make,
    memory: str,
) -> None:  # fmt: skip
    driver_control.schedule(schedule, seed=4)
    pictures = [bad(seed, (96, 80)) if seed % 3 == 2 else good(seed, (96, 80)) for seed in range(COUNT)]
    frames = [mosaic(picture) for picture in pictures] if pixel_format else pictures
    said, problem = run(tiny_path, frames, pixel_format, tmp_path)
    overlapped = driver_control.count("cuStreamWaitEvent")
    assert problem is None
    with edgeirf.load(tiny_path, "cpu", threads=1) as cpu:
        expected = [cpu(frame, pixel_format=pixel_format) for frame in frames]
    assert [row["frame_id"] for row in said] == list(range(COUNT))
    assert [row["reject"] for row in said] == [verdict.reject for verdict in expected]
    assert [row["reject"] for row in said][2::3] == [True] * 3
    assert [row["score"] for row in said] == pytest.approx([verdict.score for verdict in expected], rel=1e-3)
    assert [row["p_value"] for row in said] == [verdict.p_value for verdict in expected]
    assert overlapped > 0 if memory == "discrete" else overlapped == 0
    saved = sorted((tmp_path / "rejects").glob("*_overlay.jpg"))
    assert len(saved) == sum(verdict.reject for verdict in expected)
    assert cv2.imread(str(saved[0])).shape == (96, 80, 3)


def test_a_lost_gpu_rejects_what_was_taken_and_frees_everything(tiny_path: Path, tmp_path: Path, good: Make) -> None:
    frames = [good(seed, (96, 80)) for seed in range(COUNT)]
    real, calls = LiveSource.read, []

    def read(self: LiveSource, timeout: float) -> object:
        calls.append(None)
        if len(calls) == 5:
            driver_control.fail("cuEventSynchronize", 1, driver_control.UNKNOWN)
        return real(self, timeout)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LiveSource, "read", read)
        said, problem = run(tiny_path, frames, None, tmp_path)
    assert isinstance(problem, BackendError)
    assert "stopped answering" in str(problem)
    assert [row["frame_id"] for row in said] == list(range(len(said)))
    assert len(said) < COUNT
    failed = [row for row in said if row["status"] == "error"]
    assert 1 <= len(failed) <= 2
    assert said[-len(failed) :] == failed
    assert all(row["reject"] and "stopped answering" in str(row["error"]) for row in failed)


@pytest.mark.parametrize("pixel_format", [None, "rgb8", "gray8", "bayer_rggb8"])
def test_heat_maps_are_drawn_where_the_frame_is(
    pixel_format: PixelFormat | None, tmp_path: Path, tiny_bundle: Callable[..., Path], bad: Make, memory: str
) -> None:
    settings = Preprocess(size=(64, 64), roi=(5, 3, 70, 88))
    path = tiny_bundle(tmp_path / "roi.irf", settings=settings, held_out=19)
    frame = bad(0, (96, 80)) if pixel_format in (None, "rgb8") else mosaic(bad(0, (96, 80)))
    with edgeirf.load(path, "tensorrt") as gpu, edgeirf.load(path, "cpu", threads=1) as cpu:
        verdict, expected = gpu(frame, pixel_format=pixel_format), cpu(frame, pixel_format=pixel_format)
        before = driver_control.count("kernels")
        picture, drawn = verdict.overlay(frame).astype(int), expected.overlay(frame)
        assert driver_control.count("kernels") - before == (0 if pixel_format == "bayer_rggb8" else 1)
        differences = np.abs(picture - drawn)
        assert differences.max() <= 2
        assert (differences > 0).mean() < 0.01
        again = gpu(frame, pixel_format=pixel_format)
        assert again.score == verdict.score
        late = gpu(frame, pixel_format=pixel_format)
        gpu(bad(1, (96, 80)) if frame.ndim == 3 else mosaic(bad(1, (96, 80))), pixel_format=pixel_format)
        before = driver_control.count("kernels")
        assert np.abs(late.overlay(frame).astype(int) - drawn).max() <= 2  # from the map, which was kept
        assert driver_control.count("kernels") == before
