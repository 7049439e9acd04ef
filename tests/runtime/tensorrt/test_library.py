from __future__ import annotations

import builtins
import importlib
from collections.abc import Iterator
from importlib import metadata
from types import SimpleNamespace
from typing import Any

import pytest

from edgeirf.errors import BackendError
from edgeirf.runtime.tensorrt import library


class StandInLogger:
    """``ILogger`` as far as a subclass needs it."""

    Severity = SimpleNamespace(INTERNAL_ERROR=0, ERROR=1, WARNING=2, INFO=3, VERBOSE=4)


def module(version: str) -> Any:
    return SimpleNamespace(__version__=version, ILogger=StandInLogger)


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Each test imports anew."""
    library._load.cache_clear()
    yield
    library._load.cache_clear()


def install(monkeypatch: pytest.MonkeyPatch, **modules: Any) -> None:
    """Makes ``importlib.import_module`` give these, raise them, or know nothing of the rest."""

    def import_module(name: str) -> Any:
        found = modules.get(name, ModuleNotFoundError(f"No module named {name!r}", name=name))
        if isinstance(found, builtins.Exception):
            raise found
        return found

    monkeypatch.setattr(importlib, "import_module", import_module)


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ({}, "tensorrt is not installed: pip install tensorrt-cu12 (on a Jetson it comes with JetPack)"),
        (
            {"tensorrt": ImportError("libnvinfer.so.10: cannot open shared object file")},
            "tensorrt is installed but its libraries do not load (libnvinfer.so.10: cannot open shared object file)",
        ),
        ({"tensorrt": RuntimeError("placeholder\nwheel")}, "does not load (placeholder): reinstall it"),
        ({"tensorrt": module("8.5.2.2")}, "TensorRT 8.5.2.2 is too old: 10.3 or later"),
        ({"tensorrt": module("10.2.0")}, "TensorRT 10.2.0 is too old"),
    ],
)
def test_why_it_does_not_load(monkeypatch: pytest.MonkeyPatch, modules: dict[str, Any], message: str) -> None:
    install(monkeypatch, **modules)
    with pytest.raises(BackendError) as caught:
        library.load()
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("modules", "label"),
    [
        ({"tensorrt": module("10.3.0"), "tensorrt_rtx": module("1.7.1")}, "TensorRT 10.3.0"),
        ({"tensorrt": module("11.4.0.106")}, "TensorRT 11.4.0.106"),
        ({"tensorrt": module("8.6.1"), "tensorrt_rtx": module("1.7.1")}, "TensorRT-RTX 1.7.1"),
        ({"tensorrt_rtx": module("1.7.1")}, "TensorRT-RTX 1.7.1"),
    ],
)
def test_which_one_is_taken(monkeypatch: pytest.MonkeyPatch, modules: dict[str, Any], label: str) -> None:
    install(monkeypatch, **modules)
    assert library.load().label == label


@pytest.mark.parametrize(
    ("wheels", "driver", "fits"),
    [((13,), 12, False), ((13,), 13, True), ((12,), 13, True), ((12,), 12, True), ((), 12, True), ((12, 13), 12, True)],
)
def test_the_driver_must_not_be_older_than_the_wheel(
    monkeypatch: pytest.MonkeyPatch, wheels: tuple[int, ...], driver: int, fits: bool
) -> None:
    def version(name: str) -> str:
        if name in {f"tensorrt-cu{cuda}-bindings" for cuda in wheels}:
            return "11.4.0"
        raise metadata.PackageNotFoundError(name)

    install(monkeypatch, tensorrt=module("11.4.0"))
    monkeypatch.setattr(metadata, "version", version)
    found = library.load()
    assert found.cuda == (wheels[0] if len(wheels) == 1 else None)
    if fits:
        found.check_driver(driver)
        return
    with pytest.raises(BackendError, match="built for CUDA 13, the driver is of CUDA 12") as caught:
        found.check_driver(driver)
    assert str(caught.value).endswith("tensorrt-cu13-libs && pip install tensorrt-cu12")


def null() -> None:
    raise TypeError("pybind11::init(): factory function returned nullptr")


@pytest.mark.parametrize(
    ("make", "errors", "warnings", "reason"),
    [
        (null, [], [], "TypeError: pybind11::init(): factory function returned nullptr"),
        (
            null,
            [],
            ["Unable to determine GPU memory usage", "CUDA initialization failure"],
            "CUDA initialization failure",
        ),
        (null, ["Error Code 6"], ["later"], "Error Code 6"),
        (lambda: None, ["Error Code 1: no memory"], [], "Error Code 1: no memory"),
        (lambda: None, [], [], "it gave no reason"),
    ],
)
def test_every_failure_has_the_reason_of_tensorrt(
    monkeypatch: pytest.MonkeyPatch, make: Any, errors: list[str], warnings: list[str], reason: str
) -> None:
    install(monkeypatch, tensorrt=module("11.4.0"))
    found = library.load()
    found.logger.errors, found.logger.warnings = errors, warnings
    with pytest.raises(BackendError) as caught:
        found.create("start its builder", make)
    assert str(caught.value) == f"TensorRT 11.4.0 cannot start its builder: {reason}"
    assert found.create("start", lambda: 7) == 7


def test_one_logger_for_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, tensorrt=module("10.3.0"))
    assert library.load().logger is library.load("tensorrt").logger


def test_the_logger_keeps_errors_and_layers() -> None:
    logger, severity = library.make_logger(module("10.3.0")), StandInLogger.Severity
    assert library.first_error(logger) == "it gave no reason"
    logger.log(severity.VERBOSE, "Layers:\nName: a")
    logger.log(severity.INFO, "done")
    logger.log(severity.ERROR, "4: [network.cpp]\n  wrong")
    logger.log(severity.INTERNAL_ERROR, "later")
    assert (logger.layers, library.first_error(logger)) == ("Layers:\nName: a", "4: [network.cpp] wrong")
    logger.start()
    assert (logger.layers, logger.errors) == ("", [])
