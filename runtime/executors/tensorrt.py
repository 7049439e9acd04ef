"""TensorRT on the GPU at hand: engines are built on first use, kept, and checked against the golden images.

Not verified on a GPU: the tests run all of it against stand-ins of TensorRT and the driver.
"""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

from edgeirf.bundle import Bundle
from edgeirf.errors import BackendError
from edgeirf.manifest import Model
from edgeirf.runtime.executors import golden
from edgeirf.runtime.executors.select import Opened, candidates
from edgeirf.runtime.tensorrt import library as tensorrt_library
from edgeirf.runtime.tensorrt.cache import EngineCache
from edgeirf.runtime.tensorrt.device import CudaDevice, Device
from edgeirf.runtime.tensorrt.engine import TensorRTEngine
from edgeirf.runtime.tensorrt.progress import Progress
from edgeirf.runtime.tensorrt.provide import EngineProvider

log = logging.getLogger("edgeirf")


class TensorRTBackend:
    """Host to host over one engine: copies in, runs, copies out, all on one stream; every buffer is allocated once.

    Attributes:
        engine, device: for a chain that keeps its data on the GPU and binds addresses of its own.
    """

    name = "tensorrt"

    def __init__(self, engine: TensorRTEngine, device: Device) -> None:
        self.engine = engine
        self.device = device
        with device.active():
            self._host_in = device.host(engine.input_shape)
            self._host_out = device.host(engine.output_shape)
            self._input = device.allocate(self._host_in.nbytes)
            self._output = device.allocate(self._host_out.nbytes)

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """See :class:`edgeirf.runtime.executors.select.Backend`."""
        if batch.shape != self.engine.input_shape:
            raise BackendError(f"the engine takes {self.engine.input_shape}, not {batch.shape}")
        with self.device.active():
            np.copyto(self._host_in, batch)
            self.device.upload(self._input, self._host_in)
            self.engine.bind(self._input, self._output)  # a chain on the GPU may have bound others meanwhile
            self.engine.enqueue(self.device.stream)
            self.device.download(self._host_out, self._output)
            self.device.synchronise()
        return self._host_out.copy()

    def close(self) -> None:
        """See :class:`edgeirf.runtime.executors.select.Backend`."""
        try:
            with self.device.active():
                self.engine.close()
        finally:
            self.device.close()


def open_tensorrt(bundle: Bundle, precision: str | None, progress: Progress | None = None) -> Opened:
    """Opens the fastest graph of the bundle that this GPU computes rightly.

    Each engine is built or taken from the cache, then the golden images are scored with it. When they disagree, or
    TensorRT cannot build the graph, the next safer precision takes over, which is said in one line; one that was
    asked for by name is not replaced.

    Raises:
        UsageError: the bundle has no such precision for TensorRT.
        BackendError: TensorRT, pycuda or the GPU is missing, or no precision passed.
    """
    models = candidates(bundle, "tensorrt", precision)
    device = CudaDevice()
    try:
        return open_on(EngineProvider(tensorrt_library.load(), device, EngineCache()), bundle, models, progress)
    except BaseException:
        device.close()
        raise


def open_on(
    provider: EngineProvider, bundle: Bundle, models: list[tuple[str, Model]], progress: Progress | None = None
) -> Opened:
    """:func:`open_tensorrt` with given engines, and the graphs to try, fastest first."""
    reason = ""
    for index, (key, model) in enumerate(models):
        try:
            return Opened(key, model, _open_model(provider, bundle, key, model, progress))
        except BackendError as error:
            reason = f"{key} on {provider.place}: {error}"
            if index + 1 < len(models):
                log.warning("%s; falling back to %s", reason, models[index + 1][0])
    raise BackendError(reason)


def _open_model(
    provider: EngineProvider, bundle: Bundle, key: str, model: Model, progress: Progress | None
) -> TensorRTBackend:
    engine = provider.engine(bundle, key, model, progress)
    try:
        backend = TensorRTBackend(engine, provider.device)
        error = golden.check(bundle, model, backend)
    except BackendError:
        with provider.device.active():
            engine.close()
        raise
    provider.keep_kernels(bundle, key, model, engine)
    log.info("%s: %s on %s, golden images within %.1e", bundle.label, key, provider.place, error)
    return backend
