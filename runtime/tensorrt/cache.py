"""Engines of this machine, kept outside the bundle: one file an engine, named by everything it depends on."""

from __future__ import annotations

import atexit
import dataclasses
import errno
import fcntl
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from edgeirf.errors import BackendError, EdgeirfError
from edgeirf.files import sha256
from edgeirf.runtime.cache import sealed
from edgeirf.runtime.cache.folder import cache_folder
from edgeirf.runtime.tensorrt.builder import REVISION, BuiltEngine
from edgeirf.runtime.tensorrt.library import label

LIMIT = 4 * 1024**3
"""Bytes of engines that are kept; beyond it the ones not used for the longest time go."""
_FORGOTTEN = 24 * 3600.0

log = logging.getLogger("edgeirf")


@dataclass(frozen=True)
class EngineKey:
    """All that an engine depends on; any difference means another engine.

    Attributes:
        bundle: SHA-256 of the bundle.
        model: key of the graph in the bundle, ``fp16``.
        precision: ``fp32``, ``fp16`` or ``int8``.
        gpu, capability: name and compute capability, ``Orin`` and ``SM87``.
        flavour, version: of TensorRT.
        multiprocessors: of the GPU.
        settings: :data:`edgeirf.runtime.tensorrt.builder.REVISION`.
    """

    bundle: str
    model: str
    precision: str
    gpu: str
    capability: str
    flavour: str
    version: str
    multiprocessors: int = 0
    settings: int = REVISION

    @property
    def file(self) -> str:
        """Name of the engine's file. Nothing of the bundle's own text is in it."""
        return f"{self.family}{_digest(dataclasses.asdict(self))}.engine"

    @property
    def family(self) -> str:
        """The prefix of the files of one graph's engines, on every GPU."""
        return f"{self.bundle[:16]}-{_digest({'model': self.model})[:8]}-"

    def difference(self, found: EngineKey) -> str:
        """Why the engine ``found`` is not this one: ``built for SM86 with TensorRT 10.3.0, this is SM87 with ...``."""
        theirs, ours = (_place(key, named=found.capability == self.capability) for key in (found, self))
        if theirs == ours and found.multiprocessors != self.multiprocessors:
            return f"built for {found.multiprocessors} multiprocessors, this GPU has {self.multiprocessors}"
        if theirs == ours:
            return "built with the settings of another edgeirf"
        return f"built for {theirs}, this is {ours}"


@dataclass(frozen=True)
class CachedEngine:
    """An engine of the cache: the plan, what its build took in seconds, and its fusion report as JSON."""

    plan: bytes
    seconds: float
    fusion: dict[str, Any]


class EngineCache:
    """The folder of engines.

    Args:
        folder: where; by default :func:`cache_folder`.
        limit: bytes to keep.

    Raises:
        BackendError: the folder is not this user's alone.
    """

    def __init__(self, folder: Path | None = None, limit: int = LIMIT) -> None:
        self.folder = sealed.private_folder((folder or cache_folder()) / "engines")
        self.limit = limit

    def load(self, key: EngineKey) -> CachedEngine | None:
        """The engine for ``key``, or None; a damaged file is deleted, and said."""
        path = self.folder / key.file
        try:
            header, plan = sealed.read(path)
            if header.get("key") != dataclasses.asdict(key):
                raise sealed.DamagedError(f"{path} is not the engine it is named for")
            found = CachedEngine(plan, float(header["seconds"]), dict(header["fusion"]))
        except FileNotFoundError:
            return None
        except (EdgeirfError, KeyError, TypeError, ValueError) as error:
            log.warning("%s: building the engine again", error)
            _forget(path)
            return None
        with suppress(OSError):  # the age only tells prune() what to delete first; a read-only image has no such need
            os.utime(path)
        return found

    def store(self, key: EngineKey, built: BuiltEngine) -> None:
        """Keeps an engine and its timing cache, and deletes the oldest beyond the limit.

        A full disk costs a rebuild at the next start, not the work at hand: it is said and no more.
        """
        header = {
            "key": dataclasses.asdict(key),
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "seconds": round(built.seconds, 1),
            "fusion": built.fusion.to_json(),
        }
        try:
            sealed.write(self.folder / key.file, header, built.plan)
            if built.timing:
                sealed.write(self.folder / _timing_file(key), {"gpu": key.gpu, "version": key.version}, built.timing)
        except EdgeirfError as error:
            log.warning("the engine is not kept and will be built again at the next start: %s", error)
        self.prune(keep=key)

    def discard(self, key: EngineKey) -> None:
        """Forgets an engine that TensorRT does not take."""
        _forget(self.folder / key.file)

    def timing(self, key: EngineKey) -> bytes:
        """The timing cache of the last build with this TensorRT on this GPU, of any network; may be empty."""
        try:
            return sealed.read(self.folder / _timing_file(key))[1]
        except (OSError, EdgeirfError):
            return b""

    def kernels(self, key: EngineKey) -> bytes:
        """What TensorRT-RTX compiled when the engine last ran; may be empty."""
        try:
            return sealed.read((self.folder / key.file).with_suffix(".kernels"))[1]
        except (OSError, EdgeirfError):
            return b""

    def store_kernels(self, key: EngineKey, kernels: bytes) -> None:
        """Keeps what TensorRT-RTX compiled; a full disk costs the compilation at the next start, no more."""
        try:
            sealed.write((self.folder / key.file).with_suffix(".kernels"), {}, kernels)
        except EdgeirfError as error:
            log.debug("compiled kernels are not kept: %s", error)

    def size(self, key: EngineKey) -> tuple[int, int]:
        """Layers of a kept engine and the bytes that they move; zeros where it is not kept."""
        try:
            fusion = sealed.read_header(self.folder / key.file)["fusion"]
            return int(fusion["layers"]), int(fusion["traffic"])
        except (OSError, EdgeirfError, KeyError, TypeError, ValueError):
            return 0, 0

    def milliseconds(self, key: EngineKey) -> float | None:
        """Median of one run of the engine on this GPU, as it was measured once; None before."""
        try:
            return float(sealed.read((self.folder / key.file).with_suffix(".time"))[0]["milliseconds"])
        except (OSError, EdgeirfError, KeyError, TypeError, ValueError):
            return None

    def store_milliseconds(self, key: EngineKey, milliseconds: float) -> None:
        """Keeps what :meth:`milliseconds` gives; a full disk costs the measurement at the next start, no more."""
        try:
            sealed.write((self.folder / key.file).with_suffix(".time"), {"milliseconds": milliseconds}, b"")
        except EdgeirfError as error:
            log.debug("the time of an engine is not kept: %s", error)

    def announce(self, key: EngineKey) -> str:
        """Why an engine must be built now and how long that may take, in one line."""
        others = list(self._others(key))
        if not others:
            return f"building the {key.precision} engine for {_place(key, named=True)}: minutes on a Jetson"
        found, seconds = others[0]
        return f"the {key.precision} engine was {key.difference(found)}: rebuilding, about {_duration(seconds)}"

    @contextmanager
    def building(self) -> Iterator[None]:
        """Held while an engine is built: a second builder would do the same work and spoil the first one's timings.

        The lock is the kernel's, so it goes with the process that holds it, however that ends. Where the folder cannot
        be written or locked, the engine is built without a lock.
        """
        with ExitStack() as stack:
            try:
                file = stack.enter_context((self.folder / "build.lock").open("w"))
                _wait_for_lock(file)
            except OSError as error:
                log.warning("cannot lock %s (%s): building without a lock", self.folder, error.strerror or error)
            yield

    def prune(self, keep: EngineKey | None = None) -> None:
        """Deletes the engines used longest ago until the rest fits the limit, and files of builds that died."""
        total = 0
        newest_first = sorted(self._files("*.engine"), key=lambda item: -item[1].st_mtime)
        for path, state in newest_first:
            total += state.st_size
            if total > self.limit and (keep is None or path.name != keep.file):
                _forget(path)
                total -= state.st_size
        for path, state in self._files(".*.partial"):
            if time.time() - state.st_mtime > _FORGOTTEN:
                path.unlink(missing_ok=True)

    def _files(self, pattern: str) -> Iterator[tuple[Path, os.stat_result]]:
        for path in self.folder.glob(pattern):
            try:
                yield path, path.lstat()
            except OSError:  # another process has just deleted it
                continue

    def _others(self, key: EngineKey) -> Iterator[tuple[EngineKey, float]]:
        """Engines of the same graph for another GPU or TensorRT, with the seconds they took, newest first."""
        files = sorted(self._files(f"{key.family}*.engine"), key=lambda item: -item[1].st_mtime)
        for path, _ in files:
            try:
                header = sealed.read_header(path)
                yield EngineKey(**header["key"]), float(header["seconds"])
            except (OSError, EdgeirfError, KeyError, TypeError, ValueError):
                continue


def open_cache() -> EngineCache:
    """The user's cache; where it cannot be used, one that goes with the process, and one line says so.

    Raises:
        BackendError: there is no room for a temporary one either.
    """
    try:
        return EngineCache()
    except BackendError as error:
        log.warning("%s; until then the engine is built at every start", error)
    try:
        folder = tempfile.mkdtemp(prefix="edgeirf-")
    except OSError as error:
        raise BackendError(f"there is no room for an engine: {error.strerror or error}; set EDGEIRF_CACHE") from None
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return EngineCache(Path(folder))


def _forget(engine: Path) -> None:
    for path in (engine, engine.with_suffix(".kernels"), engine.with_suffix(".time")):
        path.unlink(missing_ok=True)


def _place(key: EngineKey, named: bool) -> str:
    where = f"{key.gpu} ({key.capability})" if named else key.capability
    return f"{where} with {label(key.flavour, key.version)}"


def _duration(seconds: float) -> str:
    return f"{max(1, round(seconds))} s" if seconds < 90 else f"{round(seconds / 60)} min"


def _timing_file(key: EngineKey) -> str:
    names = ("gpu", "capability", "multiprocessors", "flavour", "version")
    place = {name: getattr(key, name) for name in names}
    return f"{_digest(place)}.timing"


def _digest(values: dict[str, str | int]) -> str:
    return sha256(json.dumps(values, sort_keys=True).encode())[:16]


def _wait_for_lock(file: IO[str]) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        log.warning("another edgeirf is building an engine: waiting for it")
        fcntl.flock(file, fcntl.LOCK_EX)
