"""Draws the heat map of a frame on the GPU: for people; no verdict waits for it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeirf.errors import BackendError
from edgeirf.runtime.cuda.buffers import DeviceBuffer
from edgeirf.runtime.cuda.context import CudaContext
from edgeirf.runtime.cuda.modules import Kernels
from edgeirf.runtime.executors.gpu.recording import Recording
from edgeirf.runtime.executors.gpu.slot import Slot
from edgeirf.runtime.kernels import Launch, plan_overlay

FORMATS = ("bgr8", "rgb8", "gray8")
"""Pixel formats that the kernel draws on; the host draws on the others."""


class HeatKernel:
    """The overlay kernel with its buffers, allocated at the first use. The context must be current for every method."""

    def __init__(self, context: CudaContext, kernels: Kernels) -> None:
        self._context, self._kernels = context, kernels
        self._buffers: dict[str, DeviceBuffer] = {}

    def draw(self, slot: Slot, map_size: tuple[int, int], threshold: float, stream: Any) -> NDArray[np.uint8] | None:
        """The window of the slot's frame, ``(h, w, 3)`` BGR, under its map; waits for it.

        Args:
            slot: its map must be written.
            map_size: ``(height, width)``.
            threshold: the pixel threshold.
            stream: to queue on.

        Returns:
            None for pixel formats that the kernel does not draw on, and where there is no compiler or memory for it:
            the host draws the picture then, and the line goes on.
        """
        if slot.recording is None or slot.recording.geometry.pixel_format not in FORMATS:
            return None
        try:
            plan = self._prepared(slot.recording, map_size, threshold, stream)
        except (BackendError, self._context.driver.MemoryError):
            return None
        # From here on an error is the executor's end: the next frame must not be written over one that is being drawn.
        plan.args["frame"], plan.args["map"] = slot.recording.address, slot.map.address
        self._kernels.launch(plan, stream)
        stream.synchronize()
        height, width = slot.recording.geometry.size
        picture = np.empty((height, plan.buffers["output"] // height), np.uint8)
        self._buffers["output"].read(picture)
        return picture[:, : 3 * width].reshape(height, width, 3)

    def _prepared(self, recording: Recording, map_size: tuple[int, int], threshold: float, stream: Any) -> Launch:
        """The launch with all that it needs but frame and map."""
        geometry = recording.geometry
        plan = plan_overlay(
            geometry.size, geometry.pixel_format, geometry.inner, map_size, threshold, pitch=geometry.pitch
        )
        self._kernels.load(self._context, (plan.file,))
        if "colours" not in self._buffers:
            self._reserve("colours", plan.buffers["colours"]).write(plan.constants["colours"], stream)
        plan.args["colours"] = self._buffers["colours"].address
        plan.args["output"] = self._reserve("output", plan.buffers["output"]).address
        return plan

    def _reserve(self, name: str, size: int) -> DeviceBuffer:
        if name in self._buffers and self._buffers[name].size < size:
            self._buffers.pop(name).free()
        if name not in self._buffers:
            self._buffers[name] = DeviceBuffer(self._context, size)
        return self._buffers[name]

    def free(self) -> None:
        """Frees the buffers; what the driver refuses is freed with the context."""
        while self._buffers:
            with suppress(Exception):
                self._buffers.popitem()[1].free()
