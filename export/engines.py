"""Engines at export: proof on the training machine that the device will get what the bundle promises.

The device builds its own engines; what is built here shows, before anything is shipped, that TensorRT takes every graph
and in which precision it computes each convolution. TensorRT-RTX does that without a GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from edgeirf.bundle import Bundle
from edgeirf.errors import BackendError, UsageError
from edgeirf.gate_report import EngineReport, Fallback
from edgeirf.manifest import Manifest
from edgeirf.runtime.executors.cuda_device import CudaDevice
from edgeirf.runtime.executors.select import candidates
from edgeirf.runtime.tensorrt import library as tensorrt_library
from edgeirf.runtime.tensorrt.builder import BuiltEngine, EngineSpec, build
from edgeirf.runtime.tensorrt.cache import EngineCache
from edgeirf.runtime.tensorrt.library import Library
from edgeirf.runtime.tensorrt.precision_report import Product
from edgeirf.runtime.tensorrt.progress import Progress
from edgeirf.runtime.tensorrt.provide import EngineProvider

COMPUTED_IN = {"fp32": "Float", "fp16": "Half", "int8": "Int8"}
"""Precision of a graph to what TensorRT calls it."""

ProgressFor = Callable[[str], Progress]
"""Key of a graph to the progress bar of its build."""


@dataclass(frozen=True)
class Engine:
    """An engine of one graph of a bundle.

    Attributes:
        key, precision: of the graph.
        built: plan, fusion report, seconds.
    """

    key: str
    precision: str
    built: BuiltEngine

    @property
    def fell_back(self) -> tuple[Product, ...]:
        """Convolutions and matrix products that are not computed in the graph's precision."""
        return self.built.fusion.outside(COMPUTED_IN[self.precision])

    def summary(self) -> str:
        """One line: ``int8 for SM86: 84 layers, 42.8 MB between them; 61 of 62 in Int8; not: head (Float)``."""
        fusion = self.built.fusion
        targets = ", ".join(fusion.targets) or "Ampere and newer"
        size = f"{fusion.layers} layers, {fusion.traffic / 1e6:.1f} MB between them"
        return f"{self.key} for {targets}: {size}; {fusion.summary(COMPUTED_IN[self.precision])}"

    @property
    def report(self) -> EngineReport:
        """For the graph's report in the bundle."""
        fusion = self.built.fusion
        return EngineReport(
            flavour=fusion.flavour,
            version=fusion.version,
            targets=fusion.targets,
            counts=fusion.counts,
            fell_back=tuple(Fallback(p.node, p.operation, p.precision, p.layer) for p in self.fell_back),
            megabytes=round(len(self.built.plan) / 1e6, 2),
            layers=fusion.layers,
            traffic_megabytes=round(fusion.traffic / 1e6, 2),
        )


def build_engines(
    bundle: Bundle,
    library: Library,
    targets: tuple[str, ...] = (),
    precision: str | None = None,
    progress: ProgressFor | None = None,
) -> list[Engine]:
    """Builds an engine of each graph that TensorRT may run and that passed its gate.

    Args:
        targets: ``SM86`` ...: one engine that runs on all of them; empty for any from Ampere on.
        precision: of the one graph to build; None for all.

    Raises:
        UsageError: a target or a precision that is not there.
        BackendError: TensorRT does not take a graph.
    """
    settings = bundle.manifest.preprocess
    spec = EngineSpec(settings.tiles[0] * settings.tiles[1], settings.size, targets)
    engines = []
    for key, model in candidates(bundle, "tensorrt", precision):
        watch = progress(key) if progress else None
        engines.append(Engine(key, model.precision, build(library, bundle.member(model.file), spec, progress=watch)))
    return engines


def likely_faster(engines: list[Engine]) -> str:
    """One line on INT8 against FP16 by layers and bytes; empty where one of them is missing. Only the device times."""
    found = {engine.precision: engine.built.fusion for engine in engines}
    if not {"fp16", "int8"} <= set(found):
        return ""
    int8, fp16 = found["int8"], found["fp16"]
    better = int8.layers <= fp16.layers and int8.traffic < fp16.traffic
    verdict = "is likely faster" if better else "is not likely faster"
    return f"int8 {verdict} than fp16 on this target (layers, MB); the device times both at its first start"


def build_for_this_gpu(bundle: Bundle, precision: str | None = None, progress: ProgressFor | None = None) -> list[str]:
    """Builds the engines that this machine's GPU will run into its cache, so that the first start is quick.

    Returns:
        keys of the graphs whose engines are there now.

    Raises:
        BackendError: TensorRT, pycuda or the GPU is missing, or TensorRT does not take a graph.
    """
    models = candidates(bundle, "tensorrt", precision)
    device = CudaDevice()
    try:
        library = tensorrt_library.load()
        library.check_driver(device.cuda)
        provider = EngineProvider(library, device, EngineCache())
        for key, model in models:
            engine = provider.engine(bundle, key, model, progress(key) if progress else None)
            with device.active():
                engine.close()
    finally:
        device.close()
    return [key for key, _ in models]


def outlook(reason: BackendError) -> str:
    """One line for a user whose training machine cannot build engines: nothing is lost."""
    return (
        f"no engine built here ({reason}); the device builds its own at the first start, which takes minutes on a "
        "Jetson, and keeps it"
    )


def parse_targets(text: str) -> tuple[str, ...]:
    """``sm86,SM89`` or ``8.6,8.9`` to ``("SM86", "SM89")``.

    Raises:
        UsageError: it is no list of compute capabilities.
    """
    names = [part.strip().upper().removeprefix("SM").lstrip("_").replace(".", "") for part in text.split(",")]
    if not all(name.isascii() and name.isdecimal() and 75 <= int(name[:9]) <= 999 for name in names):
        raise UsageError(f"--target is a list of compute capabilities from sm75 on, like sm86,sm89, not {text!r}")
    return tuple(dict.fromkeys(f"SM{name}" for name in names))


def with_engines(manifest: Manifest, engines: list[Engine]) -> Manifest:
    """The manifest with what was found of each engine in its graph's report, under ``engines``."""
    models = dict(manifest.models)
    for engine in engines:
        model = models[engine.key]
        report = replace(model.report, engines=(*model.report.engines, engine.report))
        models[engine.key] = replace(model, report=report)
    return replace(manifest, models=models)
