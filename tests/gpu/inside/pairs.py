"""The same model on the stand-in GPU and on the host."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from ort_engine import OrtEngine

from edgeirf.runtime.chain import HostChain
from edgeirf.runtime.cuda.chain import CudaChain


@dataclass
class Pair:
    """The same model on the stand-in GPU and on the host."""

    cuda: CudaChain
    host: HostChain
    engine: OrtEngine

    def compare(self, frame: np.ndarray, threshold: float) -> None:
        """Asserts that both say the same of a frame."""
        self.agree(self.cuda.inspect(frame, threshold), frame, threshold)

    def agree(self, inspected: Any, frame: np.ndarray, threshold: float, maps: bool = True) -> None:
        """Asserts that the host says the same of ``frame`` as ``inspected``."""
        expected = self.host.inspect(frame, threshold)
        assert inspected.score == pytest.approx(expected.score, rel=1e-5, abs=1e-6)
        assert inspected.peak == pytest.approx(expected.peak, rel=1e-5, abs=1e-6)
        assert [(r.x, r.y, r.width, r.height, r.area) for r in inspected.regions] == [
            (r.x, r.y, r.width, r.height, r.area) for r in expected.regions
        ]
        if maps:
            np.testing.assert_allclose(inspected.map(), expected.map(), rtol=1e-5, atol=1e-5 * expected.peak)


MakePair = Callable[..., Pair]
