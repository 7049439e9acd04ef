"""The CPU reference implementation: pre-processing and scoring with NumPy and OpenCV around any network."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeirf.conformal import Limits, conformal_p_value
from edgeirf.runtime import scoring
from edgeirf.runtime.executors.base import DeviceMemory, ExecutorResult, Network, check_room, inspect, taken_before
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


class _Taken:
    """A frame of :class:`CpuExecutor`, ready for the network.

    Attributes:
        tiles: ``(T, 3, H, W)`` input of the network.
        area: ``(x, y, width, height)`` in frame pixels that is inspected.
        found: the result; None before the network has run.
        preprocess_ms: time taken so far.
    """

    def __init__(self, executor: CpuExecutor, frame: Pixels, pixel_format: PixelFormat | None) -> None:
        start, settings = perf_counter(), executor.settings
        image = to_bgr(frame, check_frame(frame, pixel_format))
        self.area = preprocess.inspected_area(image.shape, settings)
        self.tiles = preprocess.normalise(preprocess.prepare(image, settings), settings)
        self.found: ExecutorResult | None = None
        self.preprocess_ms = (perf_counter() - start) * 1e3
        self._executor = executor

    def result(self) -> ExecutorResult:
        """See :class:`edgeirf.runtime.executors.base.Pending`."""
        return self._executor.finish(self)


class CpuExecutor:
    """The reference that every other executor is tested against.

    The work is done in :meth:`submit`. Where several frames may be pending, they go through the network together: when
    there are :attr:`depth` of them, or when the first result is asked for.

    Args:
        network: runs the graph; :meth:`close` closes it.
        settings, rules: of the bundle and the graph.
        limits: what scores are compared with; None for nothing.
        depth: how many frames may be pending.
    """

    def __init__(
        self,
        network: Network,
        settings: Preprocess,
        rules: Scoring,
        limits: Limits | None = None,
        depth: int = 1,
    ) -> None:
        self.network = network
        self.settings = settings
        self.rules = rules
        self.limits = limits or Limits()
        self.name, self.depth = network.name, depth
        self._pending: list[_Taken] = []

    @property
    def fingerprint(self) -> str:
        """See :class:`edgeirf.runtime.executors.base.Executor`."""
        return str(getattr(getattr(self.network, "engine", None), "fingerprint", ""))

    def warm_up(self, size: tuple[int, int], pixel_format: PixelFormat) -> None:
        """See :class:`edgeirf.runtime.executors.base.Executor`: runs the network once with one frame, once with all."""
        preprocess.inspected_area(size, self.settings)
        height, width = self.settings.size
        rows, columns = self.settings.tiles
        for frames in sorted({1, self.depth}):
            self.network.run(np.zeros((frames * rows * columns, 3, height, width), np.float32))

    def submit(self, frame: Pixels, pixel_format: PixelFormat | None = None) -> _Taken:
        """See :class:`edgeirf.runtime.executors.base.Executor`."""
        check_room(len(self._pending) < self.depth)
        taken = _Taken(self, frame, pixel_format)
        self._pending.append(taken)
        if len(self._pending) == self.depth:
            try:
                self._run()
            except BaseException:
                self._pending.remove(taken)
                raise
        return taken

    def finish(self, taken: _Taken) -> ExecutorResult:
        """Makes room for the next frame; see :meth:`edgeirf.runtime.executors.base.Pending.result`."""
        if taken not in self._pending:
            raise taken_before()
        try:
            if taken.found is None:
                self._run()
        finally:
            self._pending.remove(taken)
        assert taken.found is not None  # noqa: S101
        return taken.found

    def stages(self, frame: Pixels, pixel_format: PixelFormat | None = None) -> dict[str, float]:
        """See :class:`edgeirf.runtime.executors.base.Executor`."""
        check_room(not self._pending)
        latency = inspect(self, frame, pixel_format).latency_ms
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

    def _run(self) -> None:
        """Network and score for all pending frames that have no result."""
        new, start = [taken for taken in self._pending if taken.found is None], perf_counter()
        fields = self.network.run(new[0].tiles if len(new) == 1 else np.concatenate([taken.tiles for taken in new]))
        network_ms = (perf_counter() - start) * 1e3
        for taken, field in zip(new, np.split(fields, len(new)), strict=True):
            taken.found = self._score(taken, field, network_ms)

    def _score(self, taken: _Taken, field: NDArray[np.float32], network_ms: float) -> ExecutorResult:
        start, limits = perf_counter(), self.limits
        scored = scoring.score_field(field, self.rules, self.settings.size, self.settings.tiles)
        marked = scored.peak > limits.pixel_threshold
        regions = scoring.find_regions(scored.map, limits.pixel_threshold, taken.area) if marked else ()
        reject, p_value = scored.score > limits.threshold, conformal_p_value(limits.scores, scored.score)
        postprocess_ms = (perf_counter() - start) * 1e3
        latency = {
            "upload": 0.0,
            "preprocess": taken.preprocess_ms,
            "network": network_ms,
            "postprocess": postprocess_ms,
            "inference": taken.preprocess_ms + network_ms + postprocess_ms,
        }
        kept = HostMap(scored.map)
        return ExecutorResult(scored.score, scored.peak, reject, p_value, regions, kept, latency, scored.scale)
