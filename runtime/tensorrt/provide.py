"""An engine for this very machine: from the cache, or built now and kept."""

from __future__ import annotations

import logging

from edgeirf.bundle import Bundle
from edgeirf.errors import BackendError
from edgeirf.manifest import Model
from edgeirf.runtime.tensorrt.builder import EngineSpec, available_targets, build
from edgeirf.runtime.tensorrt.cache import EngineCache, EngineKey
from edgeirf.runtime.tensorrt.engine import TensorRTEngine
from edgeirf.runtime.tensorrt.library import Library
from edgeirf.runtime.tensorrt.progress import Progress

log = logging.getLogger("edgeirf")


def provide_engine(
    library: Library,
    cache: EngineCache,
    key: EngineKey,
    bundle: Bundle,
    model: Model,
    progress: Progress | None = None,
) -> TensorRTEngine:
    """Loads the engine for ``key``; builds it first when the cache has none that TensorRT takes.

    The GPU must be current in the calling thread.

    Raises:
        BackendError: TensorRT cannot build or load it.
    """
    spec = engine_spec(library, bundle, key.capability)
    engine = _load(library, cache, key, spec)
    if engine is not None:
        return engine
    with cache.building():
        engine = _load(library, cache, key, spec)  # another process may have built it while this one waited
        if engine is not None:
            return engine
        log.warning("%s: %s", bundle.label, cache.announce(key))
        graph = bundle.member(model.file)
        built = build(library, graph, spec, timing=cache.timing(key), progress=progress or _Steps(key.precision))
        cache.store(key, built)
    return TensorRTEngine(library, built.plan, spec)


def keep_kernels(cache: EngineCache, key: EngineKey, engine: TensorRTEngine) -> None:
    """Keeps what TensorRT-RTX compiled in the engine's first run, if that is anything new."""
    kernels = engine.kernels()
    if kernels and kernels != cache.kernels(key):
        cache.store_kernels(key, kernels)


def engine_spec(library: Library, bundle: Bundle, capability: str) -> EngineSpec:
    """The one shape a bundle runs at, for a GPU of ``capability`` (``SM87``)."""
    settings = bundle.manifest.preprocess
    # RTX builds for "Ampere and newer" unless told; telling it lets it use what this GPU has.
    targets = tuple(target for target in available_targets(library) if target == capability)
    return EngineSpec(settings.tiles[0] * settings.tiles[1], settings.size, targets)


def _load(library: Library, cache: EngineCache, key: EngineKey, spec: EngineSpec) -> TensorRTEngine | None:
    cached = cache.load(key)
    if cached is None:
        return None
    try:
        return TensorRTEngine(library, cached.plan, spec, cache.kernels(key))
    except BackendError as error:
        log.warning("%s: building it again", error)
        cache.discard(key)
        return None


class _Steps:
    """Says every tenth of a build on the log, for callers that show no bar."""

    def __init__(self, precision: str) -> None:
        self._precision = precision
        self._next = 0.1

    def __call__(self, fraction: float, phase: str) -> None:
        if fraction >= self._next:
            log.info("building the %s engine: %d %%", self._precision, round(100 * fraction))
            self._next = fraction + 0.1
