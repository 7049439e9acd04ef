"""The CPU reference implementation: pre-processing and scoring with NumPy and OpenCV around any network."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeirf.conformal import Limits, conformal_p_value
from edgeirf.runtime import scoring
from edgeirf.runtime.executors.base import DeviceMemory, ExecutorResult, Network, check_room, taken_before
from edgeirf.runtime.imaging import preprocess
from edgeirf.runtime.imaging.pixel_format import Pixels, check_frame, to_bgr
from edgeirf.settings import PixelFormat, Preprocess, Scoring


class HostMap:
    """An anomaly map in host memory; the host draws its heat map."""

    def __init__(self, array: NDArray[np.float32]) -> None:
        self._array = array

    def array(self) -> NDArray[np.float32]:
        """See :class:`edgeirf.runtime.executors.base.AnomalyMap`."""
        return self._array

    def heat(self) -> None:
        """See :class:`edgeirf.runtime.executors.base.AnomalyMap`."""
        return


class _Done:
    """A frame of :class:`CpuExecutor` whose result waits to be taken."""

    def __init__(self, executor: CpuExecutor, result: ExecutorResult) -> None:
        self._executor, self._result = executor, result

    def result(self) -> ExecutorResult:
        """See :class:`edgeirf.runtime.executors.base.Pending`."""
        self._executor.take(self)
        return self._result


class CpuExecutor:
    """The reference that every other executor is tested against. The work is done in :meth:`submit`.

    Args:
        network: runs the graph; :meth:`close` closes it.
        settings, rules: of the bundle and the graph.
        limits: what scores are compared with; None for nothing.
    """

    depth = 1

    def __init__(self, network: Network, settings: Preprocess, rules: Scoring, limits: Limits | None = None) -> None:
        self.network = network
        self.settings = settings
        self.rules = rules
        self.limits = limits or Limits()
        self.name = network.name
        self._pending: _Done | None = None

    @property
    def fingerprint(self) -> str:
        """See :class:`edgeirf.runtime.executors.base.Executor`."""
        return str(getattr(getattr(self.network, "engine", None), "fingerprint", ""))

    def warm_up(self, size: tuple[int, int], pixel_format: PixelFormat) -> None:
        """See :class:`edgeirf.runtime.executors.base.Executor`: runs the network once."""
        preprocess.inspected_area(size, self.settings)
        height, width = self.settings.size
        rows, columns = self.settings.tiles
        self.network.run(np.zeros((rows * columns, 3, height, width), np.float32))

    def submit(self, frame: Pixels, pixel_format: PixelFormat | None = None) -> _Done:
        """See :class:`edgeirf.runtime.executors.base.Executor`."""
        check_room(self._pending is None)
        self._pending = _Done(self, self._inspect(frame, pixel_format))
        return self._pending

    def take(self, done: _Done) -> None:
        """Makes room for the next frame."""
        if done is not self._pending:
            raise taken_before()
        self._pending = None

    def stages(self, frame: Pixels, pixel_format: PixelFormat | None = None) -> dict[str, float]:
        """See :class:`edgeirf.runtime.executors.base.Executor`."""
        latency = self._inspect(frame, pixel_format).latency_ms
        return {stage: latency[stage] for stage in ("preprocess", "network", "postprocess")}

    def allocate(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """See :class:`edgeirf.runtime.executors.base.Executor`: ordinary memory."""
        return np.zeros(shape, dtype)

    def memory(self) -> DeviceMemory | None:
        """See :class:`edgeirf.runtime.executors.base.Executor`."""
        return None

    def score_pixels(self, pixels: Pixels) -> scoring.Scored:
        """Scores ``(T, height, width, 3)`` pixels of the network's size: of calibration parts and golden images."""
        field = self.network.run(preprocess.normalise(pixels, self.settings))
        return scoring.score_field(field, self.rules, self.settings.size, self.settings.tiles)

    def close(self) -> None:
        """See :class:`edgeirf.runtime.executors.base.Executor`."""
        self.network.close()

    def _inspect(self, frame: Pixels, pixel_format: PixelFormat | None) -> ExecutorResult:
        start = perf_counter()
        image = to_bgr(frame, check_frame(frame, pixel_format))
        area = preprocess.inspected_area(image.shape, self.settings)
        batch = preprocess.normalise(preprocess.prepare(image, self.settings), self.settings)
        ready = perf_counter()
        field = self.network.run(batch)
        inferred = perf_counter()
        scored = scoring.score_field(field, self.rules, self.settings.size, self.settings.tiles)
        limits = self.limits
        marked = scored.peak > limits.pixel_threshold
        regions = scoring.find_regions(scored.map, limits.pixel_threshold, area) if marked else ()
        reject, p_value = scored.score > limits.threshold, conformal_p_value(limits.scores, scored.score)
        end = perf_counter()
        latency = {
            "upload": 0.0,
            "preprocess": (ready - start) * 1e3,
            "network": (inferred - ready) * 1e3,
            "postprocess": (end - inferred) * 1e3,
            "inference": (end - start) * 1e3,
        }
        kept = HostMap(scored.map)
        return ExecutorResult(scored.score, scored.peak, reject, p_value, regions, kept, latency, scored.scale)
