"""TensorRT and TensorRT-RTX behind one name: imported when first used, checked once, one logger for the process."""

from __future__ import annotations

import importlib
import logging
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from edgeirf.errors import BackendError

if TYPE_CHECKING:
    import tensorrt as trt

Flavour = Literal["tensorrt", "tensorrt_rtx"]
FLAVOURS: tuple[Flavour, ...] = ("tensorrt", "tensorrt_rtx")
OLDEST = (10, 3)
"""JetPack 6.2's. Older ones do not have strongly typed networks that take explicit INT8."""

log = logging.getLogger("edgeirf")


@dataclass(frozen=True)
class Library:
    """An imported TensorRT.

    Attributes:
        trt: the module.
        flavour: ``tensorrt`` or ``tensorrt_rtx``.
        version: ``10.3.0``.
        logger: the one logger that everything of this flavour is given: TensorRT keeps the first it sees.
    """

    trt: Any
    flavour: Flavour
    version: str
    logger: Any

    @property
    def label(self) -> str:
        """``TensorRT 10.3.0`` or ``TensorRT-RTX 1.7.1.116``, for people."""
        return label(self.flavour, self.version)


def label(flavour: str, version: str) -> str:
    """``TensorRT 10.3.0`` or ``TensorRT-RTX 1.7.1.116``, for people."""
    return f"{'TensorRT-RTX' if flavour == 'tensorrt_rtx' else 'TensorRT'} {version}"


def load(flavour: Flavour | None = None) -> Library:
    """Imports TensorRT.

    Args:
        flavour: which one; None takes ``tensorrt``, else ``tensorrt_rtx``.

    Raises:
        BackendError: it is not installed, its libraries do not load, or it is too old.
    """
    if flavour is not None:
        return _load(flavour)
    reasons = []
    for candidate in FLAVOURS:
        try:
            return _load(candidate)
        except BackendError as error:
            reasons.append(str(error))
    raise BackendError(reasons[0])


@cache
def _load(flavour: Flavour) -> Library:
    try:
        module = importlib.import_module(flavour)
        version = str(module.__version__)
    except ImportError as error:
        raise BackendError(_import_advice(flavour, error)) from None
    except Exception as error:  # a half-installed wheel fails in ways of its own: OSError, RuntimeError, AttributeError
        raise BackendError(f"{flavour} is installed but does not load ({_first_line(error)}): reinstall it") from None
    if flavour == "tensorrt" and tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < OLDEST:
        raise BackendError(f"TensorRT {version} is too old: 10.3 or later is needed (JetPack 6.2 brings it)")
    return Library(module, flavour, version, make_logger(module))


def make_logger(trt: Any) -> Any:
    """A logger that keeps the errors and the layer list of the build at hand and drops the rest.

    Attributes ``errors`` (list of lines) and ``layers`` (the builder's ``Layers:`` message) are cleared by
    ``start()``.
    """

    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.start()

        def start(self) -> None:
            self.errors: list[str] = []
            self.layers = ""

        def log(self, severity: trt.ILogger.Severity, message: str) -> None:
            if message.startswith("Layers:"):
                self.layers = message
            elif severity in (trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR):
                self.errors.append(" ".join(message.split()))
            elif severity == trt.ILogger.Severity.WARNING:
                log.debug("TensorRT: %s", message)

    return Logger()


def first_error(logger: Any) -> str:
    """The first error of the build or load at hand, shortened to fit a line."""
    return str(logger.errors[0])[:300] if logger.errors else "it gave no reason"


def _import_advice(flavour: str, error: ImportError) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name == flavour:
        wheel = "tensorrt" if flavour == "tensorrt" else "tensorrt-rtx-cu13"
        return f"{flavour} is not installed: pip install {wheel} (on a Jetson it comes with JetPack)"
    return f"{flavour} is installed but its libraries do not load ({_first_line(error)}): run `edgeirf doctor`"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
