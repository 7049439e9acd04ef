"""The project's kernels on this GPU, without TensorRT: compiled, run, compared with the CPU reference."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeirf.errors import BackendError
from edgeirf.runtime import scoring
from edgeirf.runtime.cuda.buffers import DeviceBuffer
from edgeirf.runtime.cuda.compiler import fitting_compilers
from edgeirf.runtime.cuda.context import CudaContext
from edgeirf.runtime.cuda.modules import Kernels
from edgeirf.runtime.imaging import preprocess
from edgeirf.runtime.imaging.pixel_format import Pixels
from edgeirf.runtime.kernels import SOURCES, Launch, input_view, plan_postprocess, plan_preprocess, read_result
from edgeirf.runtime.kernels.network_input import LAYOUTS
from edgeirf.runtime.selftest.outcome import Failed, Figures
from edgeirf.settings import Preprocess, Scoring

FRAMES: list[tuple[tuple[int, int], int, type[np.uint8] | type[np.uint16]]] = [
    ((97, 131), 3, np.uint8),
    ((480, 640), 1, np.uint8),
    ((1944, 2592), 3, np.uint8),
    ((301, 203), 3, np.uint16),
]
FORMATS: dict[tuple[int, Any], Any] = {
    (3, np.uint8): "bgr8",
    (1, np.uint8): "gray8",
    (3, np.uint16): "bgr16",
    (1, np.uint16): "gray16",
}
MODELS = [
    ((1, 192, 16, 16), (1, 1), (256, 256), Scoring()),
    ((4, 65, 17, 9), (2, 2), (136, 72), Scoring(sigma=2.0, top_k=50)),
    ((1, 100, 32, 32), (1, 1), (512, 512), Scoring(density="norm", latent=(0.5, 0.1, 3.0, 1.0))),
]


def compile_all(context: CudaContext) -> Figures:
    """Every compiler that is there compiles every source for this GPU, past the cache, and the driver loads it.

    The PTX of the wheel is the last of them and must always load: a GPU newer than the compilers has nothing else.
    """
    figures: Figures = {"arch": context.arch}
    for compiler in fitting_compilers(context.cuda):
        try:
            with context.current():
                for file in SOURCES:
                    context.driver.module_from_buffer(compiler.compile(file, context.arch))
        except (BackendError, context.driver.Error) as error:
            figures[compiler.version] = " ".join(str(error).split())
        else:
            figures[compiler.version] = "loads"
    return _judged(figures, figures["ptx"] == "loads", "the driver does not take the PTX of the wheel")


def launch(context: CudaContext, kernels: Kernels, plan: Launch, given: dict[str, bytes], wanted: str) -> bytes:
    """Runs one launch with buffers of its own; returns the bytes of one of them."""
    buffers = {name: DeviceBuffer(context, size) for name, size in plan.buffers.items()}
    stream = context.new_stream()
    try:
        for name, buffer in buffers.items():
            plan.args[name] = buffer.address
            buffer.fill_zero(stream)
            if name in given or name in plan.constants:
                buffer.write(given.get(name) or plan.constants[name], stream)
        kernels.launch(plan, stream)
        stream.synchronize()
        out = np.empty(plan.buffers[wanted], np.uint8)
        buffers[wanted].read(out)
        return out.tobytes()
    finally:
        for buffer in buffers.values():
            buffer.free()


def preprocess_parity(context: CudaContext) -> Figures:
    """Largest difference of the network's input from the host's, in units of the standardised value."""
    worst, rng = 0.0, np.random.default_rng(0)
    with context.current():
        kernels = Kernels()
        kernels.load(context, ("preprocess.cu",))
        for (height, width), channels, dtype in FRAMES:
            settings = Preprocess(size=(128, 96), roi=(3, 5, width - 9, height - 7), tiles=(2, 1), bits=16)
            frame: Pixels = rng.integers(0, np.iinfo(dtype).max, (height, width, channels), dtype, endpoint=True)
            expected = preprocess.normalise(preprocess.prepare(frame, settings), settings)
            for layout in LAYOUTS:
                plan = plan_preprocess(settings, (height, width), FORMATS[channels, dtype], layout)
                pitch = int(plan.args["pitch"])
                rows = frame.reshape(height, -1).view(np.uint8)
                padded = np.zeros((height, pitch), np.uint8)
                padded[:, : rows.shape[1]] = rows
                raw = np.frombuffer(launch(context, kernels, plan, {"frame": padded.tobytes()}, "output"), np.uint8)
                found = input_view(raw, expected.shape, layout)
                worst = max(worst, float(np.abs(found - expected.astype(found.dtype).astype(np.float32)).max()))
        kernels.free()
    one_step = 2 / 255  # of an 8-bit camera, at the standard deviation 0.5: two roundings may part there
    return _judged(
        {"largest_difference": worst}, worst <= 1.01 * one_step, "pre-processing differs by more than a step"
    )


def postprocess_parity(context: CudaContext) -> Figures:
    """Largest relative difference of the image score from the host's."""
    worst, rng = 0.0, np.random.default_rng(1)
    with context.current():
        kernels = Kernels()
        kernels.load(context, ("postprocess.cu",))
        for shape, tiles, size, rules in MODELS:
            field = rng.normal(0, 1, shape).astype(np.float32)
            plan = plan_postprocess(rules, shape, tiles, size, "float32", pixel_threshold=1e9)
            raw = launch(context, kernels, plan, {"field": field.tobytes()}, "result")
            pixels = (size[0] * tiles[0], size[1] * tiles[1])
            result = read_result(raw, pixels, (0, 0, pixels[1], pixels[0]))
            expected = scoring.score_field(field, rules, size, tiles)
            worst = max(worst, abs(result.score - expected.score) / abs(expected.score))
        kernels.free()
    return _judged({"largest_relative_difference": worst}, worst <= 1e-3, "scores differ by more than 1e-3")


def _judged(figures: Figures, good: bool, complaint: str) -> Figures:
    if not good:
        raise Failed(complaint, figures)
    return figures
