"""Engines are built and loaded under the one lock of the process; captures are tested on the stand-in driver."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from edgeirf.bundle import Bundle
from edgeirf.runtime.executors.exclusive import EXCLUSIVE
from edgeirf.runtime.executors.select import candidates
from edgeirf.runtime.executors.tensorrt import load_on
from edgeirf.runtime.tensorrt.cache import EngineCache
from edgeirf.runtime.tensorrt.provide import EngineProvider


def test_an_engine_is_built_under_the_lock(
    stand_in: Any, tiny_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free: list[bool] = []
    real = EngineProvider.engine

    def ask() -> None:
        free.append(EXCLUSIVE.acquire(blocking=False))

    def engine(*arguments: Any) -> Any:
        other = threading.Thread(target=ask)
        other.start()
        other.join()
        return real(*arguments)

    monkeypatch.setattr(EngineProvider, "engine", engine)
    provider = EngineProvider(stand_in.library(), stand_in.device, EngineCache(tmp_path))
    bundle = Bundle.read(tiny_path)
    load_on(provider, bundle, candidates(bundle, "tensorrt", None))
    assert free == [False]
    assert EXCLUSIVE.acquire(blocking=False)
    EXCLUSIVE.release()
