"""The seam between the detector and the device: an executor turns one frame into one result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeirf.errors import UsageError
from edgeirf.runtime.imaging.pixel_format import Pixels
from edgeirf.settings import PixelFormat
from edgeirf.verdict import Region


class Network(Protocol):
    """Runs one graph of a bundle, from host memory to host memory.

    >>> from edgeirf.bundle import Bundle
    >>> from edgeirf.runtime.executors.onnxruntime import OnnxRuntimeNetwork
    >>> network = OnnxRuntimeNetwork(Bundle.read("bottle.irf").member("model.fp32.onnx"))
    >>> network.run(np.zeros((1, 3, 64, 64), np.float32)).shape
    (1, 4, 8, 8)

    Attributes:
        name: ``onnxruntime``, ``tensorrt``, ...
    """

    name: str

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """``(T, 3, H, W)`` float32 input to the whitened field ``(T, C, h, w)`` float32.

        Raises:
            BackendError: the library or the device failed.
        """
        ...

    def close(self) -> None:
        """Frees the device; the network cannot be used again. May be called twice."""
        ...


class AnomalyMap(Protocol):
    """The anomaly map of one frame, where the executor keeps it."""

    def array(self) -> NDArray[np.float32]:
        """The ``(H, W)`` float32 map at network resolution; copies it from the device if necessary.

        Raises:
            UsageError: the map has expired.
            BackendError: the device failed.
        """
        ...

    def heat(self) -> NDArray[np.uint8] | None:
        """The inspected area under its heat map, ``(h, w, 3)`` uint8 BGR; None where the host must draw it."""
        ...


@dataclass(frozen=True)
class ExecutorResult:
    """What an executor finds in one frame.

    Attributes:
        score: image score.
        peak: largest value of the anomaly map.
        reject: the score is above its threshold.
        p_value: share of good parts that score at least this high.
        regions: areas above the pixel threshold, in frame pixels.
        map: the anomaly map.
        latency_ms: milliseconds by stage; see :data:`edgeirf.verdict.STAGES`.
        scale: what says most; see :class:`edgeirf.verdict.Verdict`.
    """

    score: float
    peak: float
    reject: bool
    p_value: float
    regions: tuple[Region, ...]
    map: AnomalyMap
    latency_ms: Mapping[str, float]
    scale: str | None = None


class DeviceMemory(NamedTuple):
    """Bytes of a device's memory: free, and in all."""

    free: int
    total: int


class Pending(Protocol):
    """A frame that an executor works on."""

    def result(self) -> ExecutorResult:
        """Waits for the frame. May be called once.

        Raises:
            UsageError: the result was taken before.
            BackendError: the library or device failed.
        """
        ...


class Executor(Protocol):
    """Pre-processing, network and scoring of one graph on one device.

    >>> import edgeirf
    >>> with edgeirf.load("bottle.irf", device="cpu") as detector:
    ...     detector.executor.name, detector.executor.depth
    ('onnxruntime', 1)

    The caller keeps the order of the frames: an executor has no queue.

    Attributes:
        name: of the library that runs the network, ``onnxruntime`` or ``tensorrt``.
        depth: how many frames may be pending.
        fingerprint: names the very engine in use, for the record; empty where the graph itself is run.
    """

    name: str
    depth: int

    @property
    def fingerprint(self) -> str:
        """See above."""
        ...

    def warm_up(self, size: tuple[int, int], pixel_format: PixelFormat) -> None:
        """Allocates buffers and runs the network once, for frames of ``(height, width)`` pixels.

        Raises:
            FrameError: frames of this size cannot be inspected.
            UsageError: frames are pending.
            BackendError: the library or device failed.
        """
        ...

    def submit(self, frame: Pixels, pixel_format: PixelFormat | None = None) -> Pending:
        """Starts the inspection of a frame; see :mod:`edgeirf.runtime.imaging.pixel_format` for what it may be.

        Raises:
            FrameError: the model does not take such a frame.
            UsageError: :attr:`depth` frames are pending already.
            BackendError: the library or device failed.
        """
        ...

    def stages(self, frame: Pixels, pixel_format: PixelFormat | None = None) -> dict[str, float]:
        """Milliseconds of each stage of one frame, run one by one: for benchmarks. Raises as :meth:`submit`."""
        ...

    def allocate(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Memory for a camera to write frames into, from where the device reads them best. From any thread."""
        ...

    def memory(self) -> DeviceMemory | None:
        """Memory of the device; None where it is the host's."""
        ...

    def close(self) -> None:
        """Frees the device. May be called twice."""
        ...


def inspect(executor: Executor, frame: Pixels, pixel_format: PixelFormat | None = None) -> ExecutorResult:
    """One frame through an executor; raises as :meth:`Executor.submit` and :meth:`Pending.result`."""
    return executor.submit(frame, pixel_format).result()


def check_room(room: bool) -> None:
    """Returns when the executor has room for a frame.

    Raises:
        UsageError: it has none.
    """
    if not room:
        raise UsageError("frames are in flight: take a result() first")


def taken_before() -> UsageError:
    """The error for a second :meth:`Pending.result`."""
    return UsageError("the result of this frame was taken before")
