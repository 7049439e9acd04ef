from __future__ import annotations

import numpy as np
import pytest

from edgeirf.calib.gate.synthetic_defects import KINDS, add_defect


def picture(kind: type = np.uint8, tiles: int = 1) -> np.ndarray:
    rng = np.random.default_rng(0)
    white = np.iinfo(kind).max
    return (rng.uniform(0.2, 0.8, (tiles, 96, 128, 3)) * white).astype(kind)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("kind", KINDS)
def test_a_defect_is_local_and_seeded(kind: str, dtype: type) -> None:
    good = picture(dtype)
    before = good.copy()
    for seed in range(5):
        bad = add_defect(good, kind, seed)
        assert (bad.shape, bad.dtype) == (good.shape, good.dtype)
        changed = (bad != good).any(axis=(0, 3)).mean()
        assert 0 < changed < 0.25
        assert np.array_equal(bad, add_defect(good, kind, seed))
        assert not np.array_equal(bad, add_defect(good, kind, seed + 100))
    assert np.array_equal(good, before)


def test_one_tile_has_the_defect() -> None:
    good = picture(tiles=3)
    bad = add_defect(good, "hole", 4)
    assert sum(not np.array_equal(a, b) for a, b in zip(good, bad, strict=True)) == 1


def test_kinds_differ() -> None:
    good = picture()
    assert len({add_defect(good, kind, 1).tobytes() for kind in KINDS}) == len(KINDS)
