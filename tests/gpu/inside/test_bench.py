"""``edgeirf bench`` on a chain with a GPU: all stages of the way, two frames in flight, memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from pairs import MakePair

from edgeirf.runtime.bench.measure import Workload, overlapped

Make = Callable[..., np.ndarray]


def test_stages_on_the_gpu(make_pair: MakePair, memory: str, good: Make) -> None:
    pair = make_pair()
    stages = pair.cuda.time_stages(good(0))
    assert list(stages) == ["upload", "preprocess", "network", "postprocess", "download"]
    assert all(milliseconds >= 0 for milliseconds in stages.values())
    pair.compare(good(1))


def test_two_frames_in_flight(make_pair: MakePair, memory: str, good: Make) -> None:
    pair = make_pair()
    assert overlapped(pair.cuda, Workload([good(0), good(1)], steady=5)) > 0
    pair.compare(good(2))


def test_memory(make_pair: MakePair) -> None:
    free, total = make_pair().cuda.memory()
    assert 0 < free < total
