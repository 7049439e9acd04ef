"""Checks edgeirf on a machine with a GPU and writes a file to send back: ``python tests/device BUNDLE``.

Whatever cannot be checked is skipped with the reason. Nothing is sent anywhere; the file names the GPU, the processor
and the versions of the libraries, and holds no image.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

import chain_checks
import kernel_checks
from outcome import Figures, Outcome, Skip, run

from edgeirf import __version__
from edgeirf.bundle import Bundle
from edgeirf.errors import EdgeirfError
from edgeirf.files import write_text
from edgeirf.runtime.bench import Workload
from edgeirf.runtime.bench.report import machine
from edgeirf.runtime.bench.targets import why_not
from edgeirf.runtime.cuda.context import CudaContext
from edgeirf.runtime.doctor import examine

PRECISIONS = ("fp32", "fp16", "int8")


def main() -> int:
    """Runs every check; returns 1 when one has failed."""
    options = parse(sys.argv[1:])
    try:
        bundle = Bundle.read(options.bundle)
    except EdgeirfError as error:
        print(f"device checks: {error}", file=sys.stderr)
        return 2
    outcomes = []
    for name, check in checks(bundle, options):
        outcomes.append(run(name, check))
        print(outcomes[-1].line(), flush=True)
    write_text(options.output, json.dumps(to_json(bundle, outcomes), indent=1, default=str) + "\n")
    counts = {status: sum(o.status == status for o in outcomes) for status in ("passed", "failed", "skipped")}
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped; wrote {options.output}")
    return 1 if counts["failed"] else 0


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python tests/device", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bundle", type=Path, help="the .irf file")
    parser.add_argument("--output", type=Path, default=Path("device.json"), help="the file to send back")
    parser.add_argument("--frames", type=int, default=100_000, help="frames of the leak check")
    parser.add_argument("--size", default="1280x1024", help="pixels of the camera")
    return parser.parse_args(arguments)


def checks(bundle: Bundle, options: argparse.Namespace) -> Iterator[tuple[str, Callable[[], Figures]]]:
    """Name and function of every check, the quick ones first."""
    width, height = (int(side) for side in options.size.split("x"))
    yield "machine", lambda: {"doctor": examine().to_json()}
    for name, kernel_check in (
        ("kernels compile", kernel_checks.compile_all),
        ("pre-processing kernel", kernel_checks.preprocess_parity),
        ("post-processing kernel", kernel_checks.postprocess_parity),
    ):
        yield name, partial(on_gpu, kernel_check)
    subject = chain_checks.Subject.of(bundle, (height, width))
    for precision in PRECISIONS:
        yield (
            f"engine and parity, {precision}",
            partial(with_tensorrt, partial(chain_checks.parity, subject, precision)),
        )
    yield "raw formats and heat map", partial(with_tensorrt, partial(chain_checks.raw_formats, subject))
    yield "CUDA graphs", partial(with_tensorrt, partial(chain_checks.graphs, subject))
    yield "second process", partial(with_tensorrt, partial(chain_checks.second_process, subject))
    yield "pauses", partial(with_tensorrt, partial(chain_checks.keep_warm, subject, 30, 1.0))
    for precision in PRECISIONS:
        if any(model.precision == precision for model in bundle.manifest.models.values()):
            work = Workload(subject.frames[:1], steady=2000, triggered=50)
            latency = partial(chain_checks.latency, subject, precision, work)
            yield f"latency, {precision}", partial(with_tensorrt, latency)
    yield "leaks", partial(with_tensorrt, partial(chain_checks.leaks, subject, options.frames))


def on_gpu(check: Callable[[CudaContext], Figures]) -> Figures:
    """Makes a check that needs the driver and pycuda."""
    try:
        context = CudaContext()
    except EdgeirfError as error:
        raise Skip(str(error)) from None
    try:
        return check(context)
    finally:
        context.close()


def with_tensorrt(check: Callable[[], Figures]) -> Figures:
    """Makes a check that needs TensorRT too."""
    reason = why_not("tensorrt")
    if reason is not None:
        raise Skip(reason)
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


if __name__ == "__main__":
    sys.exit(main())
