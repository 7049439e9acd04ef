"""The same model on the stand-in GPU and on the host."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from ort_engine import OrtEngine

from edgeirf.runtime.executors.chain import HostChain
from edgeirf.runtime.executors.gpu.executor import CudaChain
from edgeirf.settings import PixelFormat


@dataclass
class Pair:
    """The same model on the stand-in GPU and on the host."""

    cuda: CudaChain
    host: HostChain
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
        expected = self.host.inspect(frame, pixel_format)
        assert inspected.score == pytest.approx(expected.score, rel=rel, abs=1e-6)
        assert inspected.peak == pytest.approx(expected.peak, rel=rel, abs=1e-6)
        assert (inspected.reject, inspected.p_value) == (expected.reject, expected.p_value)
        assert [(r.x, r.y, r.width, r.height, r.area) for r in inspected.regions] == [
            (r.x, r.y, r.width, r.height, r.area) for r in expected.regions
        ]
        if maps:
            np.testing.assert_allclose(inspected.map(), expected.map(), rtol=rel, atol=rel * expected.peak)


MakePair = Callable[..., Pair]
