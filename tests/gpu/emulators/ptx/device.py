"""The interpreter behind the same call as the shim's."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeirf.runtime.kernels import Launch
from ptx.build import program
from ptx.machine import Machine


@dataclass
class Interpreter:
    """Runs launches from nvcc's PTX.

    Attributes:
        kernels: folder of the sources; by default the project's own.
        backwards: blocks run from the last to the first.
        machine: of the last launch, for its counters.
    """

    kernels: Path | None = None
    backwards: bool = False
    machine: Machine | None = field(default=None, init=False)

    def launch(self, plan: Launch, buffers: dict[str, NDArray[np.uint8]]) -> None:
        """Runs a launch.

        Raises:
            MemoryFault: out of bounds, misaligned, or a race.
            Divergence: a barrier or a shuffle that not all threads reach.
        """
        self.machine = Machine(program(plan.kernel, plan.file, self.kernels), plan, buffers)
        blocks = range(plan.grid[0] * plan.grid[1] * plan.grid[2])
        self.machine.run(reversed(blocks) if self.backwards else blocks)
