"""TensorRT and TensorRT-RTX behind one name: imported when first used, checked once, one logger for the process."""

from __future__ import annotations

import importlib
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from edgeirf.errors import BackendError

if TYPE_CHECKING:
    import tensorrt as trt

Flavour = Literal["tensorrt", "tensorrt_rtx"]
FLAVOURS: tuple[Flavour, ...] = ("tensorrt", "tensorrt_rtx")
NO_REASON = "it gave no reason"
OLDEST = (10, 3)
"""JetPack 6.2's. Older ones do not have strongly typed networks that take explicit INT8."""

CUDAS = (12, 13)
"""Major CUDA versions that TensorRT is built for; each has wheels of its own."""

log = logging.getLogger("edgeirf")
_Object = TypeVar("_Object")


@dataclass(frozen=True)
class Library:
    """An imported TensorRT.

    Attributes:
        trt: the module.
        flavour: ``tensorrt`` or ``tensorrt_rtx``.
        version: ``10.3.0``.
        logger: the one logger that everything of this flavour is given: TensorRT keeps the first it sees.
        cuda: major CUDA version that the wheel is built for; None where no wheel says it, as with JetPack's.
    """

    trt: Any
    flavour: Flavour
    version: str
    logger: Any
    cuda: int | None = None

    @property
    def label(self) -> str:
        """``TensorRT 10.3.0`` or ``TensorRT-RTX 1.7.1.116``, for people."""
        return label(self.flavour, self.version)

    def create(self, what: str, make: Callable[[], _Object | None]) -> _Object:
        """What ``make`` gets from TensorRT.

        TensorRT reports a failure in three ways: None, an exception of its own, and the TypeError that pybind11 raises
        when a constructor gives a null pointer. The reason is in the log only.

        Args:
            what: what ``make`` does, for the message: ``start``, ``load the engine``.

        Raises:
            BackendError: TensorRT failed; with TensorRT's own reason.
        """
        try:
            created = make()
        except Exception as error:
            raise self.failure(what, error) from None
        if created is None:
            raise self.failure(what)
        return created

    def failure(self, what: str, error: Exception | None = None) -> BackendError:
        """The error to raise where TensorRT cannot do ``what``."""
        own = first_error(self.logger)
        raised = f"{type(error).__name__}: {_first_line(error)}" if error is not None else ""
        reason = raised if raised and own == NO_REASON else own
        return BackendError(f"{self.label} cannot {what}: {reason}")

    def check_driver(self, cuda: int) -> None:
        """Returns when a driver of the major CUDA version ``cuda`` runs this TensorRT.

        A driver runs what is built for its own major version and for older ones.

        Raises:
            BackendError: TensorRT is built for a later one.
        """
        if self.cuda is not None and self.cuda > cuda:
            wheel = _wheel(self.flavour)
            parts = " ".join(f"{wheel}-cu{self.cuda}{part}" for part in ("", "-bindings", "-libs"))
            raise BackendError(
                f"{self.label} is built for CUDA {self.cuda}, the driver is of CUDA {cuda}: "
                f"pip uninstall -y {wheel} {parts} && pip install {wheel}-cu{cuda}"
            )


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
    return Library(module, flavour, version, make_logger(module), _built_for(flavour))


def _built_for(flavour: Flavour) -> int | None:
    found = []
    for cuda in CUDAS:
        try:
            metadata.version(f"{_wheel(flavour)}-cu{cuda}-bindings")
        except metadata.PackageNotFoundError:
            continue
        found.append(cuda)
    return found[0] if len(found) == 1 else None  # of two wheels in one folder nobody knows which one is there


def _wheel(flavour: Flavour) -> str:
    return flavour.replace("_", "-")


def make_logger(trt: Any) -> Any:
    """A logger that keeps the errors, the warnings and the layer list of the build at hand and drops the rest.

    Attributes ``errors``, ``warnings`` (lists of lines) and ``layers`` (the builder's ``Layers:`` message) are cleared
    by ``start()``.
    """

    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.start()

        def start(self) -> None:
            self.errors: list[str] = []
            self.warnings: list[str] = []
            self.layers = ""

        def log(self, severity: trt.ILogger.Severity, message: str) -> None:
            if message.startswith("Layers:"):
                self.layers = message
            elif severity in (trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR):
                self.errors.append(" ".join(message.split()))
            elif severity == trt.ILogger.Severity.WARNING:
                self.warnings.append(" ".join(message.split()))
                log.debug("TensorRT: %s", message)

    return Logger()


def first_error(logger: Any) -> str:
    """The first error of the build or load at hand, shortened to fit a line.

    Without one it is the last warning: releases before 10 log "CUDA initialization failure" as a warning only.
    """
    return str([*logger.errors[:1], *logger.warnings[-1:], NO_REASON][0])[:300]


def _import_advice(flavour: str, error: ImportError) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name == flavour:
        wheel = flavour.replace("_", "-") + "-cu12"
        return f"{flavour} is not installed: pip install {wheel} (on a Jetson it comes with JetPack)"
    return f"{flavour} is installed but its libraries do not load ({_first_line(error)}): run `edgeirf doctor`"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
