"""OpenVINO runs the same graphs as ONNX Runtime on the CPU; extra ``[openvino]``.

On processors without VNNI, OpenVINO saturates sums of INT8 products: 64 products of 255 and 127 give half of the sum.
So the golden images are scored when a graph is loaded, and a graph whose scores differ is not used.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeirf.bundle import Bundle
from edgeirf.errors import BackendError
from edgeirf.manifest import Model
from edgeirf.runtime.executors import golden
from edgeirf.runtime.executors.cores import default_threads
from edgeirf.runtime.executors.fallback import Start
from edgeirf.runtime.executors.one_process import OneProcess
from edgeirf.runtime.executors.signal_stack import signal_stack_kept


class OpenVinoNetwork(OneProcess):
    """One OpenVINO infer request on the CPU. Implements :class:`edgeirf.runtime.executors.base.Network`.

    Args:
        graph: the ONNX file's bytes; FP32 and INT8 graphs, the latter as they are laid out for ONNX Runtime.
        threads: None takes ``EDGEIRF_THREADS`` or the cores this process may use.
        batch: number of tiles in a frame. The graph is compiled for it; another batch compiles it again.

    Raises:
        BackendError: OpenVINO is missing or refuses the graph.
    """

    name = "openvino"
    natives = ("request", "_compiled", "_model", "_core")

    def __init__(self, graph: bytes, threads: int | None = None, batch: int = 1) -> None:
        openvino = load()
        self._settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads or default_threads(),
            # By itself OpenVINO computes an FP32 graph in BF16 or FP16 where the processor can, and quantises the
            # input of matrix products on the fly: the scores would no longer be those of the calibration.
            "INFERENCE_PRECISION_HINT": "f32",
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,
        }
        try:
            with signal_stack_kept():
                self._core = openvino.Core()
            self._model = self._core.read_model(graph)
        except Exception as error:  # OpenVINO raises RuntimeError, and what its readers let through
            raise BackendError(f"OpenVINO refuses the graph: {_cause(error)}") from None
        self._compile(batch)
        super().__init__()

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """See :class:`edgeirf.runtime.executors.base.Network`."""
        self.check_process()
        if self.request is None:
            raise BackendError("the model is closed: load it again")
        if len(batch) != self._batch:
            self._compile(len(batch))
        try:
            field = self.request.infer([batch], share_inputs=True, share_outputs=True)[0]
        except Exception as error:
            raise BackendError(f"OpenVINO failed: {_cause(error)}") from None
        return np.array(field, np.float32)  # a copy: the request writes the next field into the same memory

    def _compile(self, batch: int) -> None:
        """Compiles for a fixed number of tiles: a dynamic batch costs speed."""
        try:
            shape = self._model.input(0).get_partial_shape()
            shape[0] = batch
            self._model.reshape(shape)
            with signal_stack_kept():
                self._compiled = self._core.compile_model(self._model, "CPU", self._settings)
            self.request = self._compiled.create_infer_request()
        except Exception as error:
            raise BackendError(f"OpenVINO cannot compile the graph: {_cause(error)}") from None
        self._batch = batch


@dataclass(frozen=True)
class LoadedGraph:
    """A graph of a bundle that OpenVINO computes correctly: its key, its calibration, and the network that runs it."""

    key: str
    model: Model
    network: OpenVinoNetwork


def load_graph(bundle: Bundle, graphs: Sequence[tuple[str, Model]], threads: int | None = None) -> LoadedGraph:
    """Loads the first of the graphs whose golden images keep their scores on this processor.

    Args:
        bundle: holds the graphs.
        graphs: key and model of each, in the order of preference.
        threads: see :class:`OpenVinoNetwork`.

    Raises:
        BackendError: OpenVINO is missing, or no graph passed.
    """
    version = load().__version__
    rows, columns = bundle.manifest.preprocess.tiles

    def start(key: str, model: Model) -> LoadedGraph:
        network = OpenVinoNetwork(bundle.member(model.file), threads, rows * columns)
        golden.check(bundle, model, network)
        return LoadedGraph(key, model, network)

    try:
        return Start(bundle, "OpenVINO", smaller=False, version=version).first(graphs, start)
    except BackendError as error:
        raise BackendError(f"{error}; choose --precision fp32, or --device cpu") from None


def load() -> Any:
    """The module ``openvino``.

    Raises:
        BackendError: it is not installed, or does not load.
    """
    # It would keep an id in ~/intel and call its vendor's host; what OpenVINO has in its place does nothing.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        return importlib.import_module("openvino")
    except (ImportError, OSError) as error:  # OSError: a shared library of it is missing
        raise BackendError(f"OpenVINO cannot be imported ({_cause(error)}): pip install 'edgeirf[openvino]'") from None


def _cause(error: Exception) -> str:
    """The last line of an OpenVINO message: those before it name source files and checks of OpenVINO."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[-1]
