"""The space of the features is taken before anything is computed."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from edgeirf.errors import EdgeirfError
from edgeirf.trainers.feature_cache import _reserve


def test_what_is_reserved_is_an_array_of_that_shape(tmp_path: Path) -> None:
    _reserve(tmp_path / "x.npy", (2, 3, 4))
    array = np.load(tmp_path / "x.npy", allow_pickle=False)
    assert (array.shape, array.dtype) == ((2, 3, 4), np.float16)
    assert (tmp_path / "x.npy").stat().st_blocks * 512 >= array.nbytes


def test_a_disk_without_room_is_one_line_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(EdgeirfError, match=r"cannot reserve .* GB for .*: No space left on device: free space"):
        _reserve(tmp_path / "x.npy", (2, 3, 4))
    assert list(tmp_path.iterdir()) == []
