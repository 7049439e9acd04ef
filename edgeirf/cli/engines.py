"""``edgeirf export --engine``: builds engines and reports the precision of each layer."""

from __future__ import annotations

from pathlib import Path

from edgeirf import bundle
from edgeirf.bundle import Bundle
from edgeirf.cli.console import echo, engine_progress, say
from edgeirf.errors import BackendError, UsageError

ENGINES = ("tensorrt", "tensorrt-rtx")


def check_engine(engine: str | None, target: str | None) -> None:
    """Before the work starts.

    Raises:
        UsageError: an unknown library, or targets without one that takes them.
    """
    if engine is not None and engine not in ENGINES:
        raise UsageError(f"--engine is {' or '.join(ENGINES)}, not {engine!r}")
    if target is not None and engine != "tensorrt-rtx":
        raise UsageError("--target goes with --engine tensorrt-rtx; TensorRT itself builds for the GPU it runs on")


def build_and_tell(path: Path, engine: str, target: str | None) -> None:
    """Builds engines of the bundle's graphs, prints one line each, and keeps the findings in the bundle.

    Raises:
        BackendError: TensorRT does not take a graph. A missing library or GPU is only reported: the device builds its
            own engines.
    """
    from edgeirf.export.engines import (
        build_engines,
        build_for_this_gpu,
        likely_faster,
        outlook,
        parse_targets,
        with_engines,
    )
    from edgeirf.runtime.tensorrt import library

    opened = Bundle.read(path)
    targets = () if target is None else parse_targets(target)
    with engine_progress() as progress:
        if engine == "tensorrt":
            try:
                keys = build_for_this_gpu(opened, progress=lambda key: progress)
                echo(f"engines of {', '.join(keys)} are ready in the cache for this GPU")
            except BackendError as error:
                say(outlook(error))
            return
        try:
            loaded = library.load("tensorrt_rtx")
        except BackendError as error:
            say(outlook(error))
            return
        engines = build_engines(opened, loaded, targets, progress=lambda key: progress)
    for built in engines:
        echo(built.summary())
    if verdict := likely_faster(engines):
        echo(verdict)
    manifest = with_engines(opened.manifest, engines)
    bundle.write(path, manifest, {name: opened.member(name) for name in manifest.members})
