"""Imports one library and reports on it: ``python -m edgeirf.runtime.doctor.probe tensorrt``, one line of JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from edgeirf.errors import EdgeirfError


def numpy() -> dict[str, Any]:
    """Version."""
    import numpy

    return {"version": numpy.__version__}


def opencv() -> dict[str, Any]:
    """Version, folder, the NumPy it runs with, what it can open, and whether it has GStreamer, as CSI cameras need."""
    import cv2
    import numpy

    registry = cv2.videoio_registry
    backends = [b for b in (*registry.getCameraBackends(), *registry.getStreamBackends()) if registry.hasBackend(b)]
    return {
        "version": cv2.__version__,
        "gstreamer": cv2.CAP_GSTREAMER in backends,
        "folder": str(Path(cv2.__file__).parent),
        "numpy": numpy.__version__,
        "opens": list(dict.fromkeys(registry.getBackendName(one) for one in backends)),
    }


def onnxruntime() -> dict[str, Any]:
    """Version, providers, and the distributions that are installed: two of them overwrite each other."""
    import onnxruntime

    names = {(d.metadata["Name"] or "").lower() for d in metadata.distributions()}
    return {
        "version": onnxruntime.__version__,
        "providers": [
            name.removesuffix("ExecutionProvider")
            for name in onnxruntime.get_available_providers()
            if not name.startswith("Azure")  # calls a server; in every build, and of no use here
        ],
        "distributions": sorted(name for name in names if name in ("onnxruntime", "onnxruntime-gpu")),
    }


def tensorrt() -> dict[str, Any]:
    """The TensorRT that edgeirf would use, after it has built and loaded an engine of one layer."""
    from edgeirf.runtime.cuda.libcuda import driver_cuda
    from edgeirf.runtime.tensorrt import library
    from edgeirf.runtime.tensorrt.proof import prove

    found = library.load()
    prove(found, driver_cuda())
    return {"label": found.label, "flavour": found.flavour, "version": found.version}


def gpu() -> dict[str, Any]:
    """The GPU as pycuda opens it."""
    from edgeirf.runtime.executors.cuda_device import CudaDevice

    device = CudaDevice()
    version = device.context.driver.get_driver_version()
    name, sm = device.gpu.name, device.gpu.sm
    device.close()
    return {"name": name, "sm": sm, "cuda": f"{version // 1000}.{version % 1000 // 10}"}


def compiler() -> dict[str, Any]:
    """The compiler that the CUDA kernels would be built with."""
    from edgeirf.runtime.cuda.compiler import find_compiler

    return {"version": find_compiler().version}


PROBES: dict[str, Callable[[], dict[str, Any]]] = {
    function.__name__: function for function in (numpy, opencv, onnxruntime, tensorrt, gpu, compiler)
}


def main(what: str) -> None:
    """Prints the answer; an error is an answer too."""
    try:
        answer = PROBES[what]()
    except EdgeirfError as error:
        answer = {"error": str(error)}
    except BaseException as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        answer = {"error": first, "missing": isinstance(error, ModuleNotFoundError)}
    print(json.dumps(answer))


if __name__ == "__main__":
    main(sys.argv[1])
