from __future__ import annotations

import fcntl
import logging
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgeirf.errors import EdgeirfError
from edgeirf.runtime.cache import sealed
from edgeirf.runtime.tensorrt.builder import BuiltEngine
from edgeirf.runtime.tensorrt.cache import EngineCache, EngineKey
from edgeirf.runtime.tensorrt.precision_report import FusionReport, Product

KEY = EngineKey("ab" * 32, "fp16", "fp16", "Orin", "SM87", "tensorrt", "10.7.0")
REPORT = FusionReport("tensorrt", "10.7.0", (), (Product("conv", "convolution", "Half", "CaskConvolution"),))


def built(plan: bytes = b"plan", timing: bytes = b"timing", seconds: float = 118.0) -> BuiltEngine:
    return BuiltEngine(plan, timing, REPORT, seconds)


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path)


def test_an_engine_comes_back(cache: EngineCache) -> None:
    assert cache.load(KEY) is None
    cache.store(KEY, built())
    found = cache.load(KEY)
    assert found is not None
    assert (found.plan, found.seconds, found.fusion) == (b"plan", 118.0, REPORT.to_json())


@pytest.mark.parametrize(
    "change",
    [
        {"bundle": "cd" * 32},
        {"model": "int8", "precision": "int8"},
        {"model": "fp16-b"},
        {"gpu": "NVIDIA RTX A6000"},
        {"capability": "SM86"},
        {"flavour": "tensorrt_rtx"},
        {"version": "10.7.1"},
        {"multiprocessors": 16},
        {"settings": 0},
    ],
)
def test_any_difference_is_another_engine(cache: EngineCache, change: dict[str, Any]) -> None:
    cache.store(KEY, built())
    assert cache.load(replace(KEY, **change)) is None


@pytest.mark.parametrize("model", ["../../etc/cron.d/x", "a/b", "", "x" * 5000, "\0", "ü"])
def test_a_graphs_name_never_becomes_a_path(cache: EngineCache, model: str) -> None:
    key = replace(KEY, model=model)
    cache.store(key, built())
    assert cache.load(key) is not None
    assert {path.parent for path in cache.folder.rglob("*.engine")} == {cache.folder}


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        (None, "building the fp16 engine for Orin (SM87) with TensorRT 10.7.0: minutes on a Jetson"),
        (
            {"gpu": "NVIDIA RTX A6000", "capability": "SM86", "version": "10.3.0"},
            "the fp16 engine was built for SM86 with TensorRT 10.3.0, this is SM87 with TensorRT 10.7.0: "
            "rebuilding, about 2 min",
        ),
        (
            {"multiprocessors": 16},
            "the fp16 engine was built for 16 multiprocessors, this GPU has 0: rebuilding, about 2 min",
        ),
        (
            {"settings": 0},
            "the fp16 engine was built with the settings of another edgeirf: rebuilding, about 2 min",
        ),
        (
            {"version": "10.3.0"},
            "the fp16 engine was built for Orin (SM87) with TensorRT 10.3.0, this is Orin (SM87) with TensorRT 10.7.0: "
            "rebuilding, about 2 min",
        ),
        (
            {"flavour": "tensorrt_rtx", "version": "1.7.1", "capability": "SM120"},
            "the fp16 engine was built for SM120 with TensorRT-RTX 1.7.1, this is SM87 with TensorRT 10.7.0: "
            "rebuilding, about 2 min",
        ),
    ],
)
def test_why_an_engine_is_built(cache: EngineCache, other: dict[str, str] | None, sentence: str) -> None:
    if other is not None:
        cache.store(replace(KEY, **other), built())
    cache.store(replace(KEY, model="int8", precision="int8"), built())
    cache.store(replace(KEY, bundle="cd" * 32), built())
    assert cache.announce(KEY) == sentence


@pytest.mark.parametrize(("seconds", "said"), [(0.2, "about 1 s"), (41.0, "about 41 s"), (640.0, "about 11 min")])
def test_how_long_it_may_take(cache: EngineCache, seconds: float, said: str) -> None:
    cache.store(replace(KEY, version="10.3.0"), built(seconds=seconds))
    assert said in cache.announce(KEY)


def test_a_damaged_engine_is_deleted_and_said(cache: EngineCache, caplog: pytest.LogCaptureFixture) -> None:
    cache.store(KEY, built())
    path = cache.folder / KEY.file
    path.write_bytes(path.read_bytes()[:-1] + b"X")
    assert cache.load(KEY) is None
    assert not path.exists()
    assert "is damaged: building the engine again" in caplog.text


def test_an_engine_under_anothers_name_is_not_loaded(cache: EngineCache) -> None:
    other = replace(KEY, version="10.3.0")
    cache.store(other, built())
    (cache.folder / other.file).rename(cache.folder / KEY.file)
    assert cache.load(KEY) is None


def test_timings_are_shared_by_all_networks_of_one_gpu(cache: EngineCache) -> None:
    assert cache.timing(KEY) == b""
    cache.store(KEY, built(timing=b"first"))
    assert cache.timing(replace(KEY, bundle="cd" * 32, model="int8", precision="int8")) == b"first"
    assert cache.timing(replace(KEY, version="10.8.0")) == b""
    cache.store(KEY, built(timing=b""))  # TensorRT-RTX has none
    assert cache.timing(KEY) == b"first"


def test_compiled_kernels_go_with_their_engine(cache: EngineCache) -> None:
    cache.store(KEY, built())
    assert cache.kernels(KEY) == b""
    cache.store_kernels(KEY, b"kernels")
    assert cache.kernels(KEY) == b"kernels"
    cache.discard(KEY)
    assert (cache.load(KEY), cache.kernels(KEY)) == (None, b"")


def test_the_engine_used_longest_ago_goes_first(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path, limit=2600)
    keys = [replace(KEY, model=f"m{i}") for i in range(3)]
    for age, key in enumerate(keys[:2]):
        cache.store(key, built(b"x" * 500))
        os.utime(cache.folder / key.file, (time.time() - 100 + age,) * 2)
    assert cache.load(keys[0]) is not None  # used just now
    cache.store(keys[2], built(b"x" * 500))
    assert [cache.load(key) is not None for key in keys] == [True, False, True]


def test_an_engine_larger_than_the_limit_is_still_kept(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path, limit=10)
    cache.store(KEY, built(b"x" * 500))
    assert cache.load(KEY) is not None


def test_files_of_dead_builds_are_swept(cache: EngineCache) -> None:
    old, new = cache.folder / ".a.engine.1.partial", cache.folder / ".b.engine.2.partial"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 2 * 24 * 3600,) * 2)
    cache.prune()
    assert (old.exists(), new.exists()) == (False, True)


def test_a_full_disk_is_said_and_no_more(
    cache: EngineCache, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, header: object, payload: bytes) -> None:
        raise EdgeirfError(f"cannot write {path}: No space left on device")

    monkeypatch.setattr(sealed, "write", full)
    cache.store(KEY, built())
    assert "built again at the next start: cannot write" in caplog.text


HOLD = """
import fcntl, sys, time
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(60)
"""


def test_a_builder_that_dies_leaves_no_lock(cache: EngineCache) -> None:
    lock = cache.folder / "build.lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(lock)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with lock.open("w") as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        other.kill()
    with cache.building():
        pass


def test_a_second_builder_waits_and_says_so(
    cache: EngineCache, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = (cache.folder / "build.lock").open("w")
    fcntl.flock(first, fcntl.LOCK_EX)
    # The first builder is done as soon as the second has said that it waits.
    monkeypatch.setattr(logging.getLogger("edgeirf"), "warning", lambda text: (said.append(text), first.close()))
    said: list[str] = []
    with cache.building():
        pass
    assert said == ["another edgeirf is building an engine: waiting for it"]


def refuse(*arguments: object, **named: object) -> None:
    raise OSError(30, "Read-only file system")


def test_an_engine_in_a_read_only_image_is_used(cache: EngineCache, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.store(KEY, built())
    monkeypatch.setattr(os, "utime", refuse)
    assert cache.load(KEY) is not None


@pytest.mark.parametrize("what", ["open", "lock"])
def test_an_engine_is_built_where_nothing_can_be_locked(
    what: str, cache: EngineCache, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(*((Path, "open", refuse) if what == "open" else (fcntl, "flock", refuse)))
    ran = []
    with cache.building():
        ran.append(True)
    assert ran
    assert "Read-only file system): building without a lock" in caplog.text
