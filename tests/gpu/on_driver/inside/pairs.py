"""The same model on the stand-in GPU and on the host."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from ort_engine import OrtEngine

from edgeirf.runtime.executors.base import ExecutorResult, Pending, inspect
from edgeirf.runtime.executors.cpu import CpuExecutor
from edgeirf.runtime.executors.gpu.executor import GpuExecutor
from edgeirf.settings import PixelFormat


class InOrder(GpuExecutor):
    """A GPU executor that keeps the frames in flight in their order, as a detector does."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.due: deque[Pending] = deque()
        super().__init__(*arguments, **options)

    def start(self, frame: np.ndarray, pixel_format: PixelFormat | None = None) -> None:
        self.due.append(self.submit(frame, pixel_format))

    def next(self) -> ExecutorResult:
        return self.due.popleft().result()

    def inspect(self, frame: np.ndarray, pixel_format: PixelFormat | None = None) -> ExecutorResult:
        return inspect(self, frame, pixel_format)


@dataclass
class Pair:
    """The same model on the stand-in GPU and on the host."""

    cuda: InOrder
    host: CpuExecutor
    engine: OrtEngine

    def compare(self, frame: np.ndarray, pixel_format: PixelFormat | None = None, rel: float = 1e-5) -> None:
        """Asserts that both say the same of a frame; ``rel`` is how far scores and maps may differ, as a share."""
        self.agree(self.cuda.inspect(frame, pixel_format), frame, pixel_format, rel=rel)

    def agree(
        self,
        inspected: Any,
        frame: np.ndarray,
        pixel_format: PixelFormat | None = None,
        maps: bool = True,
        rel: float = 1e-5,
    ) -> None:
        """Asserts that the host says the same of ``frame`` as ``inspected``."""
        expected = inspect(self.host, frame, pixel_format)
        assert inspected.score == pytest.approx(expected.score, rel=rel, abs=1e-6)
        assert inspected.peak == pytest.approx(expected.peak, rel=rel, abs=1e-6)
        assert (inspected.reject, inspected.p_value) == (expected.reject, expected.p_value)
        assert [(r.x, r.y, r.width, r.height, r.area) for r in inspected.regions] == [
            (r.x, r.y, r.width, r.height, r.area) for r in expected.regions
        ]
        if maps:
            np.testing.assert_allclose(inspected.map.array(), expected.map.array(), rtol=rel, atol=rel * expected.peak)


MakePair = Callable[..., Pair]
