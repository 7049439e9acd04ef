"""A bundle at work: frames in, verdicts out."""

from __future__ import annotations

import math
import os
from collections import deque
from dataclasses import dataclass
from time import perf_counter
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeirf.bundle import Bundle
from edgeirf.conformal import check_rate
from edgeirf.errors import BackendError, EdgeirfError, FrameError, UsageError
from edgeirf.runtime.executors.base import ExecutorResult, Pending, check_room
from edgeirf.runtime.executors.select import Request, Selection, open_executor
from edgeirf.runtime.imaging.pixel_format import Pixels, check_frame, frame_size
from edgeirf.runtime.imaging.preprocess import smallest_frame
from edgeirf.runtime.inspection import Inspection
from edgeirf.runtime.sources.frame import Frame
from edgeirf.runtime.tensorrt.progress import Progress
from edgeirf.settings import PixelFormat
from edgeirf.verdict import Verdict


@dataclass(frozen=True)
class _Taken:
    """A frame whose verdict is due: pending on the executor, or with the reason why it was not inspected."""

    frame: Frame
    size: tuple[int, int] = (0, 0)
    pending: Pending | None = None
    error: str | None = None


class Detector:
    """Inspects frames with one bundle. Use :func:`edgeirf.load` to open one.

    >>> import edgeirf
    >>> import numpy as np
    >>> with edgeirf.load("bottle.irf", device="cpu") as detector:
    ...     detector(np.full((64, 64, 3), 128, np.uint8)).reject
    False

    ``detector(frame)`` inspects one frame. ``submit(frame)`` and ``result()`` are for a line that has the next frame
    before the last verdict: up to ``depth`` frames may be in flight, and a GPU uploads one while it computes the other.
    The frames in flight are one queue, in the order of :meth:`submit`.

    Not thread-safe: use one detector a thread, or a lock around the calls.

    Attributes:
        bundle: the open bundle.
        device: ``cpu``, ``cuda`` or ``tensorrt``.
        executor: turns frames into results.
        model_key: the graph in use, ``fp32``, ``int8`` ...
        product: whose calibration decides.
        calibration: scores of that product's held-out good parts.
        false_reject_rate: the rate that the threshold promises; above the one asked for when too few parts were held
            out.
        contract: the frames that the model knows; None takes every frame.
        threshold, pixel_threshold: image scores and map values above these are rejected and marked.
    """

    def __init__(self, bundle: Bundle, selection: Selection, request: Request) -> None:
        limits = request.limits(selection.model)
        self.bundle = bundle
        self.device, self.executor = selection.device, selection.executor
        self.contract = bundle.manifest.frame
        self.model_key = selection.key
        self.product = request.product
        self.calibration = selection.model.calibration[request.product]
        self.false_reject_rate = self.calibration.rate(request.false_reject_rate)
        if request.threshold is not None:
            self.false_reject_rate = self.calibration.p_value(math.nextafter(request.threshold, math.inf))
        self.threshold, self.pixel_threshold = limits.threshold, limits.pixel_threshold
        self._queue: deque[_Taken] = deque()

    @property
    def depth(self) -> int:
        """How many frames may be in flight."""
        return self.executor.depth

    @property
    def in_flight(self) -> int:
        """How many verdicts are due."""
        return len(self._queue)

    def allocate(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Memory for a camera's frames, for ``open_source(..., allocate=detector.allocate)``.

        On a GPU it is page-locked, and frames in it are not copied on the host; elsewhere it is ordinary memory.
        """
        return self.executor.allocate(shape, dtype)

    def warm_up(self, size: tuple[int, int], pixel_format: PixelFormat = "bgr8") -> None:
        """Allocates buffers and runs the network once, so that the first part is not the slow one.

        Args:
            size: ``(height, width)`` of the camera's frames in pixels.
            pixel_format: of the camera.

        Raises:
            FrameError: such frames cannot be inspected, or the model knows frames of another size.
            BackendError: the library or device failed.
        """
        self._refuse(self.contract.wrong_size(*size) if self.contract is not None else None)
        self.executor.warm_up(size, pixel_format)

    def __call__(
        self,
        frame: Pixels | Frame,
        *,
        pixel_format: PixelFormat | None = None,
        frame_id: int | str | None = None,
        source: str | None = None,
        captured_at: float | None = None,
    ) -> Inspection:
        """Inspects one frame.

        Args:
            frame: ``(H, W, 3)`` BGR or ``(H, W)`` gray, uint8 or uint16; or what ``pixel_format`` says; or a frame of a
                source, which brings the other arguments with it.
            pixel_format: ``bayer_rggb8``, ``nv12`` ...: see :mod:`edgeirf.runtime.imaging.pixel_format`.
            frame_id, source, captured_at: for the verdict.

        Raises:
            FrameError: the model does not take such a frame.
            UsageError: frames are in flight, or there is no such pixel format.
            BackendError: the library or device failed, or gave a score that is not a number.
        """
        check_room(not self._queue)
        self.submit(frame, pixel_format=pixel_format, frame_id=frame_id, source=source, captured_at=captured_at)
        try:
            return self.result()
        except EdgeirfError:
            self._queue.clear()
            raise

    def submit(
        self,
        frame: Pixels | Frame,
        *,
        pixel_format: PixelFormat | None = None,
        frame_id: int | str | None = None,
        source: str | None = None,
        captured_at: float | None = None,
    ) -> None:
        """Starts the inspection of a frame; :meth:`result` gives its verdict in turn. Arguments as of a call.

        Raises:
            FrameError, BackendError: as of a call.
            UsageError: :attr:`depth` frames are in flight already.
        """
        pixels = frame.image if isinstance(frame, Frame) else frame
        if not isinstance(frame, Frame):
            frame = Frame(None, frame_id, source, captured_at, pixel_format=pixel_format)
        if pixels is None:
            raise FrameError(frame.error or "the frame has no image")
        check_room(len(self._queue) < self.depth)
        check_frame(pixels, frame.pixel_format)
        self._refuse(self.contract.mismatch(pixels, frame.pixel_format) if self.contract is not None else None)
        pending = self.executor.submit(pixels, frame.pixel_format)
        self._queue.append(_Taken(frame, frame_size(pixels, frame.pixel_format), pending))

    def refuse(self, frame: Frame, error: str) -> None:
        """Queues a frame that cannot be inspected: :meth:`result` rejects it in turn, with this reason."""
        self._queue.append(_Taken(frame, error=error))

    def result(self) -> Inspection:
        """The inspection of the frame that was submitted first; waits for it.

        Raises:
            UsageError: no frame is in flight.
            BackendError: as of a call. The next call rejects this frame, with the reason.
        """
        if not self._queue:
            raise UsageError("no frame is in flight: submit() one first")
        taken = self._queue[0]
        try:
            result = _finite(taken.pending.result()) if taken.pending is not None else None
        except EdgeirfError as error:
            self._queue[0] = _Taken(taken.frame, error=str(error))
            raise
        self._queue.popleft()
        if result is None:
            return self._rejected(taken.frame, taken.error or "not inspected")
        verdict, settings = self._verdict(taken.frame, result), self.bundle.manifest.preprocess
        return Inspection(verdict, taken.frame, settings, taken.size, result.map)

    def give_up(self, error: str) -> list[Inspection]:
        """Empties the queue: every frame in flight is rejected, with this reason or its own."""
        taken, self._queue = self._queue, deque()
        return [self._rejected(one.frame, one.error or error) for one in taken]

    def failed(
        self,
        error: str,
        *,
        frame_id: int | str | None = None,
        source: str | None = None,
        captured_at: float | None = None,
    ) -> Inspection:
        """The inspection of a part that could not be inspected: rejected, with the reason."""
        return self._rejected(Frame(None, frame_id, source, captured_at), error)

    def close(self) -> None:
        """Frees the device. May be called twice."""
        self.executor.close()

    def __enter__(self) -> Detector:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _refuse(self, wrong: str | None) -> None:
        """Raises for what does not fit the contract."""
        if wrong is not None:
            raise FrameError(f"{wrong}: set the camera as for the training pictures, or train on its pictures")

    def _verdict(self, frame: Frame, result: ExecutorResult) -> Verdict:
        latency = dict(result.latency_ms)
        latency["total"] = latency["upload"] + latency["inference"]
        if frame.image is not None:  # a frame of a source, which knows when it was in memory
            latency["camera_to_verdict"] = (perf_counter() - frame.clock) * 1e3
        return Verdict(
            reject=result.reject,
            score=result.score,
            p_value=result.p_value,
            threshold=self.threshold,
            pixel_threshold=self.pixel_threshold,
            regions=result.regions,
            frame_id=frame.frame_id,
            source=frame.source,
            captured_at=frame.captured_at,
            latency_ms=latency,
            model=self.bundle.label,
            product=self.product,
            scale=result.scale,
        )

    def _rejected(self, frame: Frame, error: str) -> Inspection:
        verdict = Verdict(
            reject=True,
            score=None,
            p_value=None,
            threshold=self.threshold,
            pixel_threshold=self.pixel_threshold,
            status="error",
            error=error,
            frame_id=frame.frame_id,
            source=frame.source,
            captured_at=frame.captured_at,
            model=self.bundle.label,
            product=self.product,
        )
        return Inspection(verdict, frame, self.bundle.manifest.preprocess)


def _finite(result: ExecutorResult) -> ExecutorResult:
    if not math.isfinite(result.score):
        raise BackendError("the network gave a score that is not a finite number: run `edgeirf doctor`")
    return result


def load(
    path: str | os.PathLike[str],
    device: str = "auto",
    *,
    precision: str | None = None,
    product: str | None = None,
    false_reject_rate: float | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
    keep_warm: bool = False,
    spin: bool = False,
    threshold: float | None = None,
    resolution: tuple[int, int] | None = None,
    batch: int = 1,
) -> Detector:
    """Opens a bundle for inspection.

    >>> with load("bottle.irf", device="cpu", threads=1) as detector:
    ...     detector.device, detector.model_key, detector.false_reject_rate
    ('cpu', 'fp32', 0.05)

    Args:
        path: the ``.irf`` file.
        device: ``auto``, ``cpu``, ``cuda`` (ONNX Runtime's) or ``tensorrt``; ``auto`` is TensorRT where it works and
            its scores agree with the golden ones, else ``cpu``.
        precision: ``fp32``, ``fp16``, ``int8``; None takes the fastest that passed its gate for the device.
        product: necessary for a unified bundle of several products.
        false_reject_rate: another rate than the one chosen at export.
        threads: CPU threads; None takes ``EDGEIRF_THREADS``, else the cores this process may use.
        progress: called with the progress of the build of a TensorRT engine, fraction and phase: minutes on a Jetson,
            once.
        keep_warm: let a GPU repeat the last frame while it waits, so that its clocks are up when the next part comes;
            costs energy.
        spin: let a thread that waits for a GPU keep its core, so that nobody must wake it; costs that core.
        threshold: reject image scores above this value, in place of the threshold that the held-out parts give.
        resolution: ``(width, height)`` of a camera that sees the view of the training pictures in other pixels; the
            region of interest is scaled.
        batch: frames that may be in flight on ONNX Runtime; those that are go through the network together.

    Returns:
        A detector that has run once, so that the first part is not the slow one.

    Raises:
        BundleError: the file is damaged, foreign or of a later schema.
        UsageError: no such device, precision or product; the resolution is another view.
        BackendError: the library that runs the network failed.
    """
    if threshold is not None and (false_reject_rate is not None or not math.isfinite(threshold)):
        raise UsageError(f"a threshold is a finite score, without a false-reject rate beside it, not {threshold:g}")
    if batch < 1:
        raise UsageError(f"a batch has at least one frame, not {batch}")
    bundle = Bundle.read(path)
    if resolution is not None:
        bundle = bundle.at_resolution(*resolution)
    request = Request(
        product=choose_product(bundle, product),
        false_reject_rate=bundle.manifest.false_reject_rate if false_reject_rate is None else false_reject_rate,
        device=device,
        precision=precision,
        threads=threads,
        keep_warm=keep_warm,
        spin=spin,
        threshold=threshold,
        batch=batch,
    )
    check_rate(request.false_reject_rate)  # a wrong value is reported before an engine is built
    detector = Detector(bundle, open_executor(bundle, request, progress), request)
    try:
        detector.executor.warm_up(smallest_frame(bundle.manifest.preprocess), "bgr8")
    except BaseException:
        detector.close()
        raise
    return detector


def choose_product(bundle: Bundle, product: str | None) -> str:
    """The product asked for, or the only one.

    Raises:
        UsageError: there is no such product, or several to choose from.
    """
    products = bundle.manifest.products
    if product is None and len(products) > 1:
        raise UsageError(f"{bundle.path} knows several products: choose one with --product: {', '.join(products)}")
    if product is not None and product not in products:
        raise UsageError(f"{bundle.path} knows no product {product!r}, only {', '.join(products)}")
    return product or products[0]
