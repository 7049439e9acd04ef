"""What ``edgeirf bench`` asks of the GPU executor: the stages one by one, memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from pairs import MakePair

Make = Callable[..., np.ndarray]


def test_stages_on_the_gpu(make_pair: MakePair, memory: str, good: Make) -> None:
    pair = make_pair()
    stages = pair.cuda.stages(good(0))
    assert list(stages) == ["upload", "preprocess", "network", "postprocess", "download"]
    assert all(milliseconds >= 0 for milliseconds in stages.values())
    pair.compare(good(1))


def test_memory(make_pair: MakePair) -> None:
    free, total = make_pair().cuda.memory()
    assert 0 < free < total
