"""Whether a device works on a machine, and with what or why not.

The libraries are imported when they are needed: ``edgeirf doctor`` must work where one of them does not load.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

from edgeirf.errors import BackendError

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
"""Device to the name that ONNX Runtime has for it."""
_GPU_NODES = ("/dev/nvidiactl", "/dev/nvmap", "/dev/nvhost-ctrl-gpu", "/dev/dxg")


class Support(NamedTuple):
    """Whether a device works on a machine, and with what or why not."""

    works: bool
    reason: str


class Machine(Protocol):
    """Where a bundle is to run; ``edgeirf doctor`` has its own, which survives libraries that crash."""

    def support(self, device: str) -> Support:
        """Looks for the libraries and the hardware of ``cpu``, ``cuda`` or ``tensorrt``."""
        ...


class ThisMachine:
    """The machine of this process."""

    def support(self, device: str) -> Support:
        """See :class:`Machine`."""
        if device == "tensorrt":
            return self._tensorrt()
        if device == "openvino":
            from edgeirf.runtime.executors.openvino import load

            try:
                return Support(True, f"OpenVINO {load().__version__}")
            except BackendError as error:
                return Support(False, str(error))
        import onnxruntime

        if PROVIDERS[device] not in onnxruntime.get_available_providers():
            return Support(False, "this ONNX Runtime has no CUDA: pip install onnxruntime-gpu")
        return Support(True, f"ONNX Runtime {onnxruntime.__version__}")

    def _tensorrt(self) -> Support:
        from edgeirf.runtime.cuda import context
        from edgeirf.runtime.tensorrt import library

        try:
            found = library.load()
            found.check_driver(int(context.load_driver().get_driver_version()) // 1000)
        except BackendError as error:
            return Support(False, str(error))
        return Support(True, found.label)


def gpu_present(root: Path = Path("/")) -> bool:
    """Whether the kernel shows an NVIDIA GPU, working or not: desktop, Jetson or WSL."""
    return any((root / node.lstrip("/")).exists() for node in _GPU_NODES)
