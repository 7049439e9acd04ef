"""Every check of ``edgeirf selftest``, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from functools import partial

from edgeirf import __version__
from edgeirf.bundle import Bundle
from edgeirf.errors import EdgeirfError
from edgeirf.runtime.bench import Workload
from edgeirf.runtime.bench.report import machine
from edgeirf.runtime.cuda.context import CudaContext
from edgeirf.runtime.doctor import examine
from edgeirf.runtime.executors.machine import ThisMachine
from edgeirf.runtime.selftest import executor_checks, kernel_checks, record_checks
from edgeirf.runtime.selftest.outcome import Figures, Outcome, Skip

PRECISIONS = ("fp32", "fp16", "int8")


def checks(bundle: Bundle, size: tuple[int, int], frames: int) -> Iterator[tuple[str, Callable[[], Figures]]]:
    """Name and function of every check, the quick ones first.

    Args:
        bundle: the model.
        size: ``(height, width)`` of the camera in pixels.
        frames: how many frames the leak check inspects.
    """
    yield "machine", lambda: {"doctor": examine().to_json()}
    for name, kernel_check in (
        ("kernels compile", kernel_checks.compile_all),
        ("pre-processing kernel", kernel_checks.preprocess_parity),
        ("post-processing kernel", kernel_checks.postprocess_parity),
    ):
        yield name, partial(on_gpu, kernel_check)
    subject = executor_checks.Subject.of(bundle, size)
    for precision in PRECISIONS:
        yield (
            f"engine and parity, {precision}",
            partial(with_tensorrt, partial(executor_checks.parity, subject, precision)),
        )
        yield f"engine alone, {precision}", partial(with_tensorrt, partial(record_checks.engine, subject, precision))
    yield "frame memory", partial(with_tensorrt, partial(record_checks.frame_memory, subject))
    yield "waiting", partial(with_tensorrt, partial(record_checks.waiting, subject))
    yield "first map", partial(with_tensorrt, partial(record_checks.first_map, subject))
    yield "raw formats and heat map", partial(with_tensorrt, partial(executor_checks.raw_formats, subject))
    yield "CUDA graphs", partial(with_tensorrt, partial(executor_checks.graphs, subject))
    yield "second process", partial(with_tensorrt, partial(executor_checks.second_process, subject))
    yield "pauses", partial(with_tensorrt, partial(executor_checks.keep_warm, subject, 30, 1.0))
    for precision in PRECISIONS:
        if any(model.precision == precision for model in bundle.manifest.models.values()):
            work = Workload(subject.frames[:1], steady=2000, triggered=50)
            latency = partial(executor_checks.latency, subject, precision, work)
            yield f"latency, {precision}", partial(with_tensorrt, latency)
    yield "leaks", partial(with_tensorrt, partial(executor_checks.leaks, subject, frames))


def on_gpu(check: Callable[[CudaContext], Figures]) -> Figures:
    """Runs a check that needs the driver and pycuda."""
    try:
        context = CudaContext()
    except EdgeirfError as error:
        raise Skip(str(error)) from None
    try:
        return check(context)
    finally:
        context.close()


def with_tensorrt(check: Callable[[], Figures]) -> Figures:
    """Runs a check that needs TensorRT too."""
    support = ThisMachine().support("tensorrt")
    if not support.works:
        raise Skip(support.reason)
    return check()


def to_json(bundle: Bundle, outcomes: list[Outcome]) -> dict[str, object]:
    """The file's content."""
    return {
        "edgeirf": __version__,
        "made_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "bundle": bundle.digest,
        "machine": machine(),
        "checks": [outcome.to_json() for outcome in outcomes],
    }
