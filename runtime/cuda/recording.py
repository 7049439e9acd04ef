"""A frame's whole work, for frames of one shape: queued piece by piece, or captured and replayed as a CUDA graph."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from edgeirf.runtime.cuda.buffers import SharedBuffer
from edgeirf.runtime.cuda.geometry import Geometry
from edgeirf.runtime.cuda.graph import CudaGraph
from edgeirf.runtime.cuda.modules import Kernels
from edgeirf.runtime.kernels import RECORD_BYTES, Launch

STAGES = ("upload", "preprocess", "network", "postprocess", "download")
"""What happens to a frame on the GPU, in this order."""


class Engine(Protocol):
    """What runs the network between the two kernels: TensorRT, or a stand-in in tests."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """``(T, 3, H, W)``, float32."""

    @property
    def output_shape(self) -> tuple[int, ...]:
        """``(T, C, h, w)``, float32."""

    def bind(self, input_address: int, output_address: int) -> None:
        """Sets the device addresses of the input and the output."""

    def enqueue(self, stream: int) -> None:
        """Queues one run on the stream with this handle; after one plain run it may be captured in a CUDA graph.

        Raises:
            BackendError: it did not start.
        """


@dataclass
class Recording:
    """The work of one slot for frames of one geometry. The context must be current for every method.

    Attributes:
        geometry: of the frames it is for.
        frame, result: what goes up and what comes down.
        preprocess, postprocess: launches with every address filled in.
        network: addresses of the network's input and output.
        view: the values to upload, ``(rows, width, channels)`` in page-locked memory.
    """

    geometry: Geometry
    kernels: Kernels
    engine: Engine
    frame: SharedBuffer
    result: SharedBuffer
    preprocess: Launch
    postprocess: Launch
    network: tuple[int, int]
    graphs: dict[bool, CudaGraph] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.view = self.geometry.view(self.frame.host)

    def run(self, stage: str, stream: Any) -> None:
        """Queues one of :data:`STAGES`."""
        if stage == "upload":
            self.frame.upload(stream, self.geometry.nbytes)
        elif stage == "preprocess":
            self.kernels.launch(self.preprocess, stream)
        elif stage == "network":
            self.engine.bind(*self.network)
            self.engine.enqueue(int(stream.handle))
        elif stage == "postprocess":
            self.kernels.launch(self.postprocess, stream)
        else:
            self.result.download(stream, RECORD_BYTES)

    def run_all(self, stream: Any, upload: bool = True) -> None:
        """Queues all stages, the first one only where asked for."""
        for stage in STAGES[0 if upload else 1 :]:
            self.run(stage, stream)

    def graph(self, stream: Any, upload: bool) -> CudaGraph:
        """All stages as a graph, with or without the upload; captured when first asked for."""
        upload = upload and self.frame.copies
        if upload not in self.graphs:
            self.graphs[upload] = CudaGraph(stream, lambda: self.run_all(stream, upload))
        return self.graphs[upload]

    def write_map(self, stream: Any) -> None:
        """Queues the post-processing once more, this time with the map, for the frame whose field is still there."""
        self.postprocess.args["write_map"] = 1
        try:
            self.kernels.launch(self.postprocess, stream)
        finally:
            self.postprocess.args["write_map"] = 0

    def free(self) -> None:
        """Destroys the graphs; the buffers are the slot's."""
        while self.graphs:
            with suppress(Exception):  # what the driver refuses to destroy goes with the context
                self.graphs.popitem()[1].free()
