"""The kernels under AddressSanitizer and UndefinedBehaviorSanitizer, in a process of their own."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeirf.runtime.kernels import Launch
from shim.device import ORDERS, KernelFault, Order


@dataclass
class Sanitized:
    """One compiled program.

    Attributes:
        path: of the program.
        scratch: an existing folder for the launches' files.
        order: in which threads and blocks run.
    """

    path: Path
    scratch: Path
    order: Order = "forward"

    def launch(self, plan: Launch, buffers: dict[str, NDArray[Any]]) -> None:
        """Runs a launch; the buffers hold what it left.

        Raises:
            KernelFault: the sanitizer's first line.
        """
        file = self.scratch / "launch"
        with file.open("wb") as out:
            out.write(np.array([*plan.grid, *plan.block, plan.args.nbytes], np.uint32).tobytes())
            out.write(plan.args.tobytes() + np.uint32(len(buffers)).tobytes())
            for name, buffer in buffers.items():
                offset = plan.args.dtype.fields[name][1]
                out.write(np.uint32(offset).tobytes() + np.uint64(buffer.nbytes).tobytes() + buffer.tobytes())
        command = [str(self.path), plan.kernel, str(ORDERS.index(self.order)), str(file)]
        environment = {"ASAN_OPTIONS": "detect_stack_use_after_return=0:detect_leaks=0"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if "rror" in line or "kernel on the CPU" in line]
            raise KernelFault((lines or [f"exit code {done.returncode}"])[0])
        left = np.fromfile(f"{file}.out", np.uint8)
        for buffer in buffers.values():
            buffer.view(np.uint8).reshape(-1)[:], left = left[: buffer.nbytes], left[buffer.nbytes :]
