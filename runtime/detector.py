"""A bundle at work: frames in, verdicts out."""

from __future__ import annotations

import logging
import math
import os
from types import TracebackType
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeirf.bundle import Bundle
from edgeirf.errors import BackendError, EdgeirfError, FrameError, UsageError
from edgeirf.runtime.backends import Opened, open_model
from edgeirf.runtime.chain import Chain, HostChain
from edgeirf.runtime.preprocess import Pixels, inspected_area
from edgeirf.settings import Preprocess
from edgeirf.verdict import Verdict

if TYPE_CHECKING:
    from edgeirf.runtime.tensorrt.progress import Progress

log = logging.getLogger("edgeirf")


class Detector:
    """Inspects frames with one bundle. Use :func:`edgeirf.load` to make one.

    Not thread-safe: one detector a thread, or a lock around the calls.

    Attributes:
        bundle: the open bundle.
        model_key: the graph in use, ``fp32``, ``int8`` ...
        product: whose calibration decides.
        calibration: scores of that product's held-out good parts.
        false_reject_rate: the rate the threshold promises; above the one asked for when too few parts were held out.
        threshold, pixel_threshold: image scores and map values above these are rejected and marked.
        chain: what does the work.
    """

    def __init__(self, bundle: Bundle, chain: Chain, model_key: str, product: str | None, rate: float | None) -> None:
        self.bundle = bundle
        self.chain = chain
        self.model_key = model_key
        calibrations = bundle.manifest.models[model_key].calibration
        self.product = choose_product(bundle, product)
        self.calibration = calibrations[self.product]
        asked = bundle.manifest.false_reject_rate if rate is None else rate
        self.false_reject_rate = self.calibration.rate(asked)
        self.threshold = self.calibration.score_threshold(asked)
        self.pixel_threshold = self.calibration.pixel_threshold(asked)

    def __call__(
        self,
        frame: Pixels,
        *,
        frame_id: int | str | None = None,
        source: str | None = None,
        captured_at: float | None = None,
    ) -> Verdict:
        """Inspects one frame, ``(H, W, 3)`` BGR or ``(H, W)``, uint8 or uint16.

        Raises:
            FrameError: the frame is not one the model takes.
            BackendError: the library or device failed, or gave a score that is not a number.
        """
        inspected = self.chain.inspect(frame, self.pixel_threshold)
        if not math.isfinite(inspected.score):
            raise BackendError("the network gave a score that is not a finite number: run `edgeirf doctor`")
        settings, shape = self.bundle.manifest.preprocess, frame.shape
        return Verdict(
            reject=inspected.score > self.threshold,
            score=inspected.score,
            p_value=self.calibration.p_value(inspected.score),
            threshold=self.threshold,
            regions=inspected.regions,
            frame_id=frame_id,
            source=source,
            captured_at=captured_at,
            latency_ms={**inspected.latency_ms, "total": sum(inspected.latency_ms.values())},
            model=self.bundle.label,
            product=self.product,
            make_map=lambda: frame_map(inspected.map(), shape, settings),
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

    Returns:
        A detector that has run once, so that the first part is not the slow one.

    Raises:
        BundleError: the file is damaged, foreign or of a later schema.
        UsageError: no such device, precision or product.
        BackendError: the library that runs the network failed.
    """
    bundle = Bundle.read(path)
    choose_product(bundle, product)  # a wrong name is said before an engine is built
    settings = bundle.manifest.preprocess
    opened = open_model(bundle, device, precision, threads, progress)
    detector = Detector(bundle, make_chain(opened, settings, keep_warm), opened.key, product, false_reject_rate)
    height, width = settings.size
    opened.backend.run(np.zeros((settings.tiles[0] * settings.tiles[1], 3, height, width), np.float32))
    return detector


def make_chain(opened: Opened, settings: Preprocess, keep_warm: bool = False) -> Chain:
    """All of it on the GPU where TensorRT runs the network, else the host's chain around the back end."""
    from edgeirf.runtime.backends.tensorrt import TensorRTBackend

    backend = opened.backend
    if isinstance(backend, TensorRTBackend):
        from edgeirf.runtime.cuda.chain import CudaChain
        from edgeirf.runtime.cuda.keepwarm import INTERVAL_S

        warm = INTERVAL_S if keep_warm else None
        try:
            return CudaChain(backend.engine, settings, opened.model.scoring, release=backend.close, keep_warm_s=warm)
        except EdgeirfError as error:
            log.warning("pre- and post-processing stay on the CPU: %s", error)
    return HostChain(backend, settings, opened.model.scoring)


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


def frame_map(small: NDArray[np.float32], shape: tuple[int, ...], settings: Preprocess) -> NDArray[np.float32]:
    """The map at network resolution laid over a frame of ``shape``: bilinear inside the region of interest, else 0."""
    x, y, width, height = inspected_area(shape, settings)
    full = np.zeros(shape[:2], np.float32)
    full[y : y + height, x : x + width] = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    return full


__all__ = ["BackendError", "Detector", "FrameError", "choose_product", "frame_map", "load"]
