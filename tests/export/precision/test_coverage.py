from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeirf.bundle import Bundle
from edgeirf.export.precision.coverage import coverage


@pytest.mark.parametrize(("contrast", "share"), [(1.0, 1.0), (2.0, 1.0), (0.5, 0.5), (0.0, 0.0)])
def test_pictures_of_less_contrast_show_less_of_the_ranges(tiny_path: Path, contrast: float, share: float) -> None:
    bundle = Bundle.read(tiny_path)
    graph = bundle.member(bundle.manifest.models["fp32"].file)
    good = [np.random.default_rng(seed).uniform(-1, 1, (1, 3, 64, 64)).astype(np.float32) for seed in range(3)]
    shown = [np.float32(contrast) * batch for batch in good]
    assert coverage(graph, shown, good) == pytest.approx(share, abs=0.01)
