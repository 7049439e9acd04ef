"""An engine for this very machine: from the cache, or built now and kept."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from edgeirf.bundle import Bundle
from edgeirf.errors import BackendError
from edgeirf.manifest import Model
from edgeirf.runtime.tensorrt.builder import EngineSpec, available_targets, build
from edgeirf.runtime.tensorrt.cache import EngineCache, EngineKey
from edgeirf.runtime.tensorrt.device import Device
from edgeirf.runtime.tensorrt.engine import TensorRTEngine
from edgeirf.runtime.tensorrt.library import Library
from edgeirf.runtime.tensorrt.progress import Progress

log = logging.getLogger("edgeirf")


@dataclass(frozen=True)
class EngineProvider:
    """Where engines come from: one TensorRT, one GPU, one cache."""

    library: Library
    device: Device
    cache: EngineCache

    @property
    def place(self) -> str:
        """``Orin with TensorRT 10.7.0``, for people."""
        return f"{self.device.gpu.name} with {self.library.label}"

    def engine(self, bundle: Bundle, key: str, model: Model, progress: Progress | None = None) -> TensorRTEngine:
        """Loads the engine of one graph; builds it first when the cache has none that TensorRT takes.

        Raises:
            BackendError: TensorRT cannot build or load it.
        """
        name, spec = self._name(bundle, key, model), self._spec(bundle)
        with self.device.active():
            engine = self._load(name, spec)
            if engine is not None:
                return engine
            with self.cache.building():
                # Another process may have built it while this one waited.
                return self._load(name, spec) or self._build(name, spec, bundle, model, progress)

    def keep_kernels(self, bundle: Bundle, key: str, model: Model, engine: TensorRTEngine) -> None:
        """Keeps what TensorRT-RTX compiled in the engine's first run, if that is anything new."""
        name, kernels = self._name(bundle, key, model), engine.kernels()
        if kernels and kernels != self.cache.kernels(name):
            self.cache.store_kernels(name, kernels)

    def size(self, bundle: Bundle, key: str, model: Model) -> tuple[int, int]:
        """See :meth:`EngineCache.size`."""
        return self.cache.size(self._name(bundle, key, model))

    def milliseconds(self, bundle: Bundle, key: str, model: Model) -> float | None:
        """See :meth:`EngineCache.milliseconds`."""
        return self.cache.milliseconds(self._name(bundle, key, model))

    def keep_milliseconds(self, bundle: Bundle, key: str, model: Model, milliseconds: float) -> None:
        """See :meth:`EngineCache.store_milliseconds`."""
        self.cache.store_milliseconds(self._name(bundle, key, model), milliseconds)

    def _build(
        self, name: EngineKey, spec: EngineSpec, bundle: Bundle, model: Model, progress: Progress | None
    ) -> TensorRTEngine:
        log.warning("%s: %s", bundle.label, self.cache.announce(name))
        graph, timing = bundle.member(model.file), self.cache.timing(name)
        built = build(self.library, graph, spec, timing=timing, progress=progress or _Steps(model.precision))
        self.cache.store(name, built)
        return TensorRTEngine(self.library, built.plan, spec)

    def _load(self, name: EngineKey, spec: EngineSpec) -> TensorRTEngine | None:
        cached = self.cache.load(name)
        if cached is None:
            return None
        try:
            return TensorRTEngine(self.library, cached.plan, spec, self.cache.kernels(name))
        except BackendError as error:
            log.warning("%s: building it again", error)
            self.cache.discard(name)
            return None

    def _name(self, bundle: Bundle, key: str, model: Model) -> EngineKey:
        gpu, library = self.device.gpu, self.library
        place = (gpu.name, gpu.sm, library.flavour, library.version, gpu.multiprocessors)
        return EngineKey(bundle.digest, key, model.precision, *place)

    def _spec(self, bundle: Bundle) -> EngineSpec:
        settings = bundle.manifest.preprocess
        # RTX builds for "Ampere and newer" unless the target is named; with it, RTX uses what this GPU has.
        targets = tuple(target for target in available_targets(self.library) if target == self.device.gpu.sm)
        return EngineSpec(settings.tiles[0] * settings.tiles[1], settings.size, targets)


class _Steps:
    """Says every tenth of a build on the log, for callers that show no bar."""

    def __init__(self, precision: str) -> None:
        self._precision = precision
        self._next = 0.1

    def __call__(self, fraction: float, phase: str) -> None:
        if fraction >= self._next:
            log.info("building the %s engine: %d %%", self._precision, round(100 * fraction))
            self._next = fraction + 0.1
