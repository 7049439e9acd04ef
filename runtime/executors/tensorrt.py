"""TensorRT runs the network: engines are built at the first use, kept, and tested with the golden images.

Not verified on a GPU: the tests run all of it on stand-ins of TensorRT and the driver.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from edgeirf.bundle import Bundle
from edgeirf.errors import BackendError
from edgeirf.manifest import Model
from edgeirf.runtime.cache.notes import Step, noted
from edgeirf.runtime.executors import golden
from edgeirf.runtime.executors.cuda_device import CudaDevice
from edgeirf.runtime.executors.exclusive import EXCLUSIVE
from edgeirf.runtime.executors.fallback import Start
from edgeirf.runtime.kernels import input_bytes, input_view
from edgeirf.runtime.tensorrt import library as tensorrt_library
from edgeirf.runtime.tensorrt.cache import open_cache
from edgeirf.runtime.tensorrt.device import Device
from edgeirf.runtime.tensorrt.engine import TensorRTEngine
from edgeirf.runtime.tensorrt.progress import Progress
from edgeirf.runtime.tensorrt.provide import EngineProvider

WARM_UP, LAUNCHES = 20, 100
"""Runs before and in the measurement of an engine."""

log = logging.getLogger("edgeirf")


class TensorRTNetwork:
    """One engine, host to host: copies in, runs, copies out on one stream; every buffer is allocated once.

    Implements :class:`edgeirf.runtime.executors.base.Network`.

    Attributes:
        engine, device: for an executor that keeps its data on the GPU and binds its own addresses.
    """

    name = "tensorrt"

    def __init__(self, engine: TensorRTEngine, device: Device) -> None:
        self.engine = engine
        self.device = device
        with device.active():
            # As float32, in which the device gives host memory, whatever the layout; the padding of pixels stays zero.
            self._host_in = device.host((input_bytes(engine.input_shape, engine.input_layout) // 4,))
            self._host_in[:] = 0
            self._host_out = device.host(engine.output_shape)
            self._batch = input_view(self._host_in, engine.input_shape, engine.input_layout)
            self._input = device.allocate(self._host_in.nbytes)
            self._output = device.allocate(self._host_out.nbytes)

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """See :class:`edgeirf.runtime.executors.base.Network`."""
        if batch.shape != self.engine.input_shape:
            raise BackendError(f"the engine takes {self.engine.input_shape}, not {batch.shape}")
        with self.device.active():
            np.copyto(self._batch, batch, casting="same_kind")
            self.device.upload(self._input, self._host_in)
            self.engine.bind(self._input, self._output)  # an executor on the GPU may have bound other addresses
            self.engine.enqueue(self.device.stream)
            self.device.download(self._host_out, self._output)
            self.device.synchronise()
        return self._host_out.copy()

    def milliseconds(self, launches: int = LAUNCHES) -> float:
        """Median of single runs of the engine, waited for one by one, without copies."""
        times = []
        with self.device.active():
            self.engine.bind(self._input, self._output)
            for _ in range(WARM_UP + launches):
                start = perf_counter()
                self.engine.enqueue(self.device.stream)
                self.device.synchronise()
                times.append((perf_counter() - start) * 1e3)
        return median(times[WARM_UP:])

    def close(self) -> None:
        """See :class:`edgeirf.runtime.executors.base.Network`."""
        try:
            with self.device.active():
                self.engine.close()
        finally:
            self.device.close()


@dataclass(frozen=True)
class LoadedGraph:
    """A graph of a bundle whose engine is loaded.

    Attributes:
        key, model: the graph, and its calibration.
        network: runs it.
        layers, traffic: of the engine, each layer a launch, and the bytes of their inputs and outputs; 0 where the
            cache could not keep it.
    """

    key: str
    model: Model
    network: TensorRTNetwork
    layers: int = 0
    traffic: int = 0


def load_graph(
    bundle: Bundle, graphs: Sequence[tuple[str, Model]], progress: Progress | None = None, smaller: bool = False
) -> LoadedGraph:
    """Loads the fastest of the graphs that this GPU computes correctly.

    Which precision is fastest depends on the GPU and on TensorRT, so each reduced precision is timed once on the
    device; FP32 is what remains where none of them is correct.

    Each engine is built or taken from the cache, then the golden images are scored with it. When the scores differ, or
    TensorRT cannot build the graph, the next graph is tried, and one line says so.

    Args:
        bundle: holds the graphs.
        graphs: key and model of each, in the order of preference.
        progress: called with the progress of a build.
        smaller: another device follows, should none of the graphs start.

    Raises:
        BackendError: TensorRT, pycuda or the GPU is missing, or no graph passed.
    """
    with noted(Step("starting TensorRT on the GPU", ()), smaller=smaller):
        device = CudaDevice()
        try:
            library = tensorrt_library.load()
            library.check_driver(device.cuda)
        except BaseException:
            device.close()
            raise
    try:
        return load_on(EngineProvider(library, device, open_cache()), bundle, graphs, progress, smaller)
    except BaseException:
        device.close()
        raise


def load_on(
    provider: EngineProvider,
    bundle: Bundle,
    graphs: Sequence[tuple[str, Model]],
    progress: Progress | None = None,
    smaller: bool = False,
) -> LoadedGraph:
    """:func:`load_graph` with engines of a given provider."""
    start = Start(bundle, provider.place, smaller)

    def load(key: str, model: Model) -> LoadedGraph:
        network = _load(provider, bundle, key, model, progress)
        return LoadedGraph(key, model, network, *provider.size(bundle, key, model))

    return start.first(_fastest_first(provider, start, graphs, progress), load)


def _fastest_first(
    provider: EngineProvider, start: Start, graphs: Sequence[tuple[str, Model]], progress: Progress | None
) -> list[tuple[str, Model]]:
    """The graphs, reduced precisions by the time that this device takes for them; the one that fails comes last."""
    reduced = [one for one in graphs if one[1].precision != "fp32"]
    if len(reduced) < 2:
        return list(graphs)
    times = {key: _milliseconds(provider, start, key, model, progress) for key, model in reduced}
    known = ", ".join(f"{key} {time:.2f} ms" for key, time in times.items() if time < float("inf"))
    log.info("%s on %s: %s", start.bundle.label, start.place, known)
    correct = sorted((one for one in reduced if times[one[0]] < float("inf")), key=lambda one: times[one[0]])
    return [*correct, *(one for one in graphs if one[1].precision == "fp32")] or list(graphs)


def _milliseconds(provider: EngineProvider, start: Start, key: str, model: Model, progress: Progress | None) -> float:
    """Of one run; measured once and kept. Infinite where the engine cannot be built or is not correct."""
    kept = provider.milliseconds(start.bundle, key, model)
    if kept is not None:
        return kept
    try:
        with start.of(key, smaller=True):
            network = _load(provider, start.bundle, key, model, progress)
            with provider.device.active():
                try:
                    found = network.milliseconds()
                finally:
                    network.engine.close()  # the device stays for the next engine
    except BackendError as error:
        log.warning("%s on %s: %s; it is left out", key, provider.place, error)
        return float("inf")
    provider.keep_milliseconds(start.bundle, key, model, found)
    return found


def _load(
    provider: EngineProvider, bundle: Bundle, key: str, model: Model, progress: Progress | None
) -> TensorRTNetwork:
    with EXCLUSIVE:
        engine = provider.engine(bundle, key, model, progress)
    try:
        network = TensorRTNetwork(engine, provider.device)
        error = golden.check(bundle, model, network)
    except BackendError:
        with provider.device.active():
            engine.close()
        raise
    provider.keep_kernels(bundle, key, model, engine)
    log.info("%s: %s on %s, golden images within %.1e", bundle.label, key, provider.place, error)
    return network
