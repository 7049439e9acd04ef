"""A bundle at work: frames in, verdicts out."""

from __future__ import annotations

import logging
import math
import os
from collections import deque
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING

from edgeirf.bundle import Bundle
from edgeirf.conformal import Limits
from edgeirf.errors import BackendError, EdgeirfError, FrameError, UsageError
from edgeirf.runtime.executors.chain import Chain, HostChain, Inspected
from edgeirf.runtime.executors.select import Opened, open_model
from edgeirf.runtime.imaging.pixel_format import Pixels, frame_size
from edgeirf.runtime.imaging.preprocess import smallest_frame
from edgeirf.runtime.render.drawing import Drawing
from edgeirf.settings import PixelFormat, Preprocess
from edgeirf.verdict import Verdict

if TYPE_CHECKING:
    from edgeirf.runtime.tensorrt.progress import Progress

log = logging.getLogger("edgeirf")


@dataclass(frozen=True)
class _About:
    """What is known of a frame before it is inspected."""

    frame_id: int | str | None
    source: str | None
    captured_at: float | None
    size: tuple[int, int]
    pixel_format: PixelFormat | None


class Detector:
    """Inspects frames with one bundle. Use :func:`edgeirf.load` to make one.

    ``detector(frame)`` inspects one frame. ``submit(frame)`` and ``result()`` are the pair for a line that has the
    next frame before the last verdict: up to ``depth`` frames may be in flight, and a GPU uploads one while it
    computes the other.

    Not thread-safe: one detector a thread, or a lock around the calls.

    Attributes:
        bundle: the open bundle.
        chain: what does the work.
        model_key: the graph in use, ``fp32``, ``int8`` ...
        product: whose calibration decides.
        calibration: scores of that product's held-out good parts.
        false_reject_rate: the rate the threshold promises; above the one asked for when too few parts were held out.
        threshold, pixel_threshold: image scores and map values above these are rejected and marked.
    """

    def __init__(
        self,
        bundle: Bundle,
        opened: Opened,
        product: str | None,
        rate: float | None,
        keep_warm: bool = False,
        threshold: float | None = None,
    ) -> None:
        self.bundle = bundle
        self.model_key = opened.key
        self.product = choose_product(bundle, product)
        self.calibration = opened.model.calibration[self.product]
        asked = bundle.manifest.false_reject_rate if rate is None else rate
        limits = self.calibration.limits(asked)
        self.false_reject_rate = self.calibration.rate(asked)
        if threshold is not None:
            limits = replace(limits, threshold=threshold)
            self.false_reject_rate = self.calibration.p_value(math.nextafter(threshold, math.inf))
        self.threshold, self.pixel_threshold = limits.threshold, limits.pixel_threshold
        self.chain = make_chain(opened, bundle.manifest.preprocess, limits, keep_warm)
        self._in_flight: deque[_About] = deque()

    @property
    def depth(self) -> int:
        """How many frames may be in flight."""
        return self.chain.depth

    def prepare(self, size: tuple[int, int], pixel_format: PixelFormat = "bgr8") -> None:
        """Does once what the first frame of ``(height, width)`` pixels would have to wait for.

        Raises:
            FrameError: such frames cannot be inspected.
            BackendError: the library or device failed.
        """
        self.chain.prepare(size, pixel_format)

    def __call__(
        self,
        frame: Pixels,
        *,
        pixel_format: PixelFormat | None = None,
        frame_id: int | str | None = None,
        source: str | None = None,
        captured_at: float | None = None,
    ) -> Verdict:
        """Inspects one frame.

        Args:
            frame: ``(H, W, 3)`` BGR or ``(H, W)`` gray, uint8 or uint16; or what ``pixel_format`` says.
            pixel_format: ``bayer_rggb8``, ``nv12`` ...: see :mod:`edgeirf.runtime.imaging.pixel_format`.
            frame_id, source, captured_at: for the verdict.

        Raises:
            FrameError: the frame is not one the model takes.
            UsageError: frames are in flight, or there is no such pixel format.
            BackendError: the library or device failed, or gave a score that is not a number.
        """
        inspected = self.chain.inspect(frame, pixel_format)
        size = frame_size(frame, pixel_format)
        return self._verdict(inspected, _About(frame_id, source, captured_at, size, pixel_format))

    def submit(
        self,
        frame: Pixels,
        *,
        pixel_format: PixelFormat | None = None,
        frame_id: int | str | None = None,
        source: str | None = None,
        captured_at: float | None = None,
    ) -> None:
        """Starts on a frame; its verdict is the next one that :meth:`result` gives. Arguments as of a call.

        Raises:
            FrameError, BackendError: as of a call.
            UsageError: :attr:`depth` frames are in flight already.
        """
        self.chain.submit(frame, pixel_format)
        size = frame_size(frame, pixel_format)
        self._in_flight.append(_About(frame_id, source, captured_at, size, pixel_format))

    def result(self) -> Verdict:
        """The verdict on the frame that was submitted first; waits for it.

        Raises:
            UsageError: no frame is in flight.
            BackendError: as of a call.
        """
        about = self._in_flight.popleft() if self._in_flight else None
        inspected = self.chain.result()
        if about is None:
            raise UsageError("a frame was submitted to the chain itself: take its result there")
        return self._verdict(inspected, about)

    def _verdict(self, inspected: Inspected, about: _About) -> Verdict:
        if not math.isfinite(inspected.score):
            raise BackendError("the network gave a score that is not a finite number: run `edgeirf doctor`")
        settings = self.bundle.manifest.preprocess
        drawing = Drawing(inspected, about.size, about.pixel_format, settings, self.pixel_threshold)
        return Verdict(
            reject=inspected.reject,
            score=inspected.score,
            p_value=inspected.p_value,
            threshold=self.threshold,
            regions=inspected.regions,
            frame_id=about.frame_id,
            source=about.source,
            captured_at=about.captured_at,
            latency_ms={**inspected.latency_ms, "total": sum(inspected.latency_ms.values())},
            model=self.bundle.label,
            product=self.product,
            make_map=drawing.map,
            make_overlay=drawing.overlay,
        )

    def failed(
        self,
        error: str,
        *,
        frame_id: int | str | None = None,
        source: str | None = None,
        captured_at: float | None = None,
    ) -> Verdict:
        """The verdict on a part that could not be inspected: reject, with the reason."""
        return Verdict(
            reject=True,
            score=None,
            p_value=None,
            threshold=self.threshold,
            status="error",
            error=error,
            frame_id=frame_id,
            source=source,
            captured_at=captured_at,
            model=self.bundle.label,
            product=self.product,
        )

    def close(self) -> None:
        """Frees the back end."""
        self.chain.close()

    def __enter__(self) -> Detector:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


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
    threshold: float | None = None,
) -> Detector:
    """Opens a bundle for inspection.

    Args:
        path: the ``.irf`` file.
        device: ``auto``, ``cpu``, ``cuda`` (ONNX Runtime's) or ``tensorrt``; ``auto`` is TensorRT where it works and
            its scores agree, else ``cpu``.
        precision: ``fp32``, ``fp16``, ``int8``; None takes the fastest that passed its gate for the device.
        product: needed for a unified bundle of several products.
        false_reject_rate: another rate than the one chosen at export.
        threads: CPU threads; None takes ``EDGEIRF_THREADS``, else the cores this process may use.
        progress: told how far the build of a TensorRT engine is, fraction and phase: minutes on a Jetson, once.
        keep_warm: let a GPU repeat the last frame while it waits, so that its clocks are up when the next part comes;
            costs energy.
        threshold: reject image scores above this value, in place of the threshold that the held-out parts give.

    Returns:
        A detector that has run once, so that the first part is not the slow one.

    Raises:
        BundleError: the file is damaged, foreign or of a later schema.
        UsageError: no such device, precision or product.
        BackendError: the library that runs the network failed.
    """
    if threshold is not None and (false_reject_rate is not None or not math.isfinite(threshold)):
        raise UsageError(f"a threshold is a finite score, without a false-reject rate beside it, not {threshold:g}")
    bundle = Bundle.read(path)
    choose_product(bundle, product)  # a wrong name is said before an engine is built
    opened = open_model(bundle, device, precision, threads, progress)
    detector = Detector(bundle, opened, product, false_reject_rate, keep_warm, threshold)
    try:
        detector.prepare(smallest_frame(bundle.manifest.preprocess))
    except BaseException:
        detector.close()
        raise
    return detector


def make_chain(opened: Opened, settings: Preprocess, limits: Limits, keep_warm: bool = False) -> Chain:
    """All of it on the GPU where TensorRT runs the network, else the host's chain around the back end."""
    from edgeirf.runtime.executors.tensorrt import TensorRTBackend

    backend = opened.backend
    if isinstance(backend, TensorRTBackend):
        from edgeirf.runtime.executors.gpu.executor import CudaChain
        from edgeirf.runtime.executors.gpu.keep_warm import INTERVAL_S

        warm = INTERVAL_S if keep_warm else None
        try:
            return CudaChain(
                backend.engine, settings, opened.model.scoring, limits, release=backend.close, keep_warm_s=warm
            )
        except EdgeirfError as error:
            log.warning("pre- and post-processing stay on the CPU: %s", error)
    return HostChain(backend, settings, opened.model.scoring, limits)


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


__all__ = ["BackendError", "Detector", "FrameError", "choose_product", "load"]
