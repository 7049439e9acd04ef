"""All stages of a frame of one shape: queued one by one, or captured once and replayed as a CUDA graph."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from edgeirf.errors import BackendError
from edgeirf.runtime.cache.notes import Step, noted
from edgeirf.runtime.cuda.buffers import SharedBuffer
from edgeirf.runtime.cuda.errors import CudaError
from edgeirf.runtime.cuda.graph import CudaGraph
from edgeirf.runtime.cuda.modules import Kernels
from edgeirf.runtime.executors.exclusive import EXCLUSIVE
from edgeirf.runtime.executors.gpu.attempts import Attempts
from edgeirf.runtime.executors.gpu.frame_layout import Geometry
from edgeirf.runtime.executors.gpu.lending import LentFrame
from edgeirf.runtime.kernels import RECORD_BYTES, InputLayout, Launch

log = logging.getLogger("edgeirf")

MOST_GRAPHS = 34
"""Of one slot: two for each frame of a ring, see :data:`edgeirf.runtime.sources.ring.SLOTS`, twice, and its own."""
STAGES = ("upload", "preprocess", "network", "postprocess", "download")
"""The stages of a frame on the GPU, in this order."""


class Engine(Protocol):
    """What runs the network between the two kernels: TensorRT, or a stand-in in tests."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """``(T, 3, H, W)``."""

    @property
    def input_layout(self) -> InputLayout:
        """How these values lie in memory."""

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

    def capturable(self, stream: int) -> bool:
        """Whether a run on the stream can be captured."""


@dataclass
class Recording:
    """The work of one slot for frames of one geometry. The context must be current for every method.

    Attributes:
        geometry: of the frames it is for.
        frame, result: what goes up and what comes down.
        preprocess, postprocess: launches with every address filled in.
        network: addresses of the network's input and output.
        view: the values to upload, ``(rows, width, channels)`` in page-locked memory.
        lent: the frame of now, where it lies in memory lent to a camera.
        graphs: all stages with and without the upload, once captured: for each piece of memory that frames come in.
        attempts: to capture them. Another thread that waits for the context spoils a capture; a later one succeeds.
    """

    geometry: Geometry
    kernels: Kernels
    engine: Engine
    frame: SharedBuffer
    result: SharedBuffer
    preprocess: Launch
    postprocess: Launch
    network: tuple[int, int]
    lent: LentFrame | None = None
    graphs: dict[tuple[bool, int], CudaGraph] = field(default_factory=dict)
    attempts: dict[tuple[bool, int], Attempts] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.view = self.geometry.view(self.frame.host)

    @property
    def address(self) -> int:
        """Where the kernel reads the frame."""
        return self.lent.address if self.lent is not None and not self.frame.copies else self.frame.address

    def run(self, stage: str, stream: Any) -> None:
        """Queues one of :data:`STAGES`."""
        if stage == "upload":
            self.frame.upload(stream, self.geometry.nbytes, self.lent.values if self.lent is not None else None)
        elif stage == "preprocess":
            self.preprocess.args["frame"] = self.address
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

    def capture(self, stream: Any) -> None:
        """Captures all stages as graphs, with and without the upload, so that no frame waits for a capture."""
        for upload in {self.frame.copies, False}:
            self._graph(stream, upload)

    def launch(self, stream: Any, upload: bool) -> bool:
        """Queues all stages with one call; one by one where the driver or the engine refused the capture.

        Returns:
            Whether they were one graph.
        """
        graph = self._graph(stream, upload and self.frame.copies)
        if graph is not None:
            graph.launch(stream)
        else:
            self.run_all(stream, upload)
        return graph is not None

    def replay(self, stream: Any) -> None:
        """Queues the stages again for the frame that is there; captures nothing."""
        in_place = self.lent.address if self.lent is not None and not self.frame.copies else 0
        graph = self.graphs.get((False, in_place))
        if graph is not None:
            graph.launch(stream)
        else:
            self.run_all(stream, upload=False)

    def _graph(self, stream: Any, upload: bool) -> CudaGraph | None:
        key = (upload, self.lent.address if self.lent is not None and (upload or not self.frame.copies) else 0)
        attempts = self.attempts.setdefault(key, Attempts())
        if key not in self.graphs and attempts.due():
            self._make_room()
            with _at_hand() as alone:
                if alone:
                    self._try(stream, key, attempts)
        return self.graphs.get(key)

    def _make_room(self) -> None:
        """A camera that comes back brings memory of its own: the oldest graphs go, and their tries."""
        while len(self.attempts) > MOST_GRAPHS:
            oldest = next(iter(self.attempts))
            del self.attempts[oldest]
            if oldest in self.graphs:
                self.graphs.pop(oldest).free()

    def _try(self, stream: Any, key: tuple[bool, int], attempts: Attempts) -> None:
        try:
            if not self.engine.capturable(int(stream.handle)):
                raise BackendError("TensorRT says that this engine cannot be captured")
            with noted(self._step(key[0]), smaller=True):
                self.graphs[key] = CudaGraph(stream, lambda: self.run_all(stream, upload=key[0]))
        except (CudaError, BackendError) as error:  # of a lost GPU the next call says so too
            attempts.refused()
            level = logging.WARNING if attempts.refusals == 1 else logging.DEBUG
            log.log(level, "no CUDA graph: the stages of a frame are queued one by one, which is slower: %s", error)
        else:
            if attempts.refusals:
                log.warning("frames run as a CUDA graph now; refused before: %d", attempts.refusals)

    def _step(self, upload: bool) -> Step:
        return Step("capturing a CUDA graph", (str(self.geometry), str(self.engine.input_shape), str(upload)))

    def write_map(self, stream: Any) -> None:
        """Queues the post-processing once more, this time with the map, for the frame whose field is still there."""
        self.postprocess.args["write_map"] = 1
        try:
            self.kernels.launch(self.postprocess, stream)
        finally:
            self.postprocess.args["write_map"] = 0

    def free(self) -> None:
        """Destroys the graphs; the slot frees the buffers."""
        while self.graphs:
            with suppress(Exception):  # what the driver refuses to destroy goes with the context
                self.graphs.popitem()[1].free()


@contextmanager
def _at_hand() -> Iterator[bool]:
    """Holds the process's lock where nobody else holds it; says whether it does."""
    alone = EXCLUSIVE.acquire(blocking=False)
    try:
        yield alone
    finally:
        if alone:
            EXCLUSIVE.release()
