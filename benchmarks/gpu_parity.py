"""Verdicts of the GPU's path against the host's, picture by picture: ``python benchmarks/gpu_parity.py BUNDLE DIR``.

No GPU: the real executor and the real pycuda run on the stand-in driver of ``tests/gpu/emulators``, with kernels that
g++ compiles and with ONNX Runtime in the engine's place. So it compares everything but TensorRT's own arithmetic; on a
GPU, run ``edgeirf selftest BUNDLE``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from edgeirf.bundle import Bundle
from edgeirf.manifest import Model
from edgeirf.runtime.imaging.folder import find_pictures
from edgeirf.runtime.imaging.images import read_image

GPU_TESTS = Path(__file__).resolve().parents[1] / "tests" / "gpu" / "emulators"


def main() -> None:
    """Runs itself again on the stand-in driver."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("folder", type=Path, help="pictures, in folders however deep; masks are left out")
    parser.add_argument("--every", type=int, default=1, help="take every n-th picture")
    options = parser.parse_args()
    if "EDGEIRF_STANDIN" not in os.environ:
        sys.exit(again())
    files = find_pictures(options.folder).pictures
    bundle = Bundle.read(options.bundle)
    print(f"{bundle.label}: {len(files[:: options.every])} pictures, the GPU's path against the host's")
    for key, model in bundle.manifest.models.items():
        print(f"{key:14s} {compare(bundle, model, files[:: options.every])}", flush=True)


def again() -> int:
    """This script in a process with the stand-in driver."""
    sys.path.insert(0, str(GPU_TESTS))
    import standin

    with tempfile.TemporaryDirectory() as cache:
        environment = standin.environment(standin.real_kernels(), Path(cache)) | {"STANDIN_INTEGRATED": "0"}
        return subprocess.run([sys.executable, *sys.argv], env=environment, check=False).returncode


def compare(bundle: Bundle, model: Model, files: list[Path]) -> str:
    """What differs over all pictures."""
    from ort_engine import OrtEngine

    from edgeirf.runtime.executors.base import inspect
    from edgeirf.runtime.executors.cpu import CpuExecutor
    from edgeirf.runtime.executors.gpu.executor import GpuExecutor
    from edgeirf.runtime.executors.onnxruntime import OnnxRuntimeNetwork

    settings, graph = bundle.manifest.preprocess, bundle.member(model.file)
    limits = next(iter(model.calibration.values())).limits(bundle.manifest.false_reject_rate)
    engine = OrtEngine(graph, (settings.tiles[0] * settings.tiles[1], 3, *settings.size))
    gpu = GpuExecutor(engine, settings, model.scoring, limits)
    host = CpuExecutor(OnnxRuntimeNetwork(graph), settings, model.scoring, limits)
    worst, largest, flips, others = 0.0, 0.0, 0, 0
    for path in files:
        frame = read_image(path)
        found, expected = inspect(gpu, frame), inspect(host, frame)
        difference = abs(found.score - expected.score)
        worst, largest = max(worst, difference / abs(expected.score)), max(largest, difference / limits.threshold)
        flips += found.reject != expected.reject
        boxes = [[(r.x, r.y, r.width, r.height, r.area) for r in one.regions] for one in (found, expected)]
        others += found.p_value != expected.p_value or boxes[0] != boxes[1]
    gpu.close()
    return (
        f"scores within {worst:.1e} of each other, {largest:.1e} of the threshold; "
        f"{flips} other verdicts, {others} other p-values or regions"
    )


if __name__ == "__main__":
    main()
