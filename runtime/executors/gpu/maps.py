"""The anomaly map of a frame: it stays on the GPU until somebody asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from edgeirf.runtime.executors.gpu.executor import CudaChain
    from edgeirf.runtime.executors.gpu.slot import Slot


class DeviceMap:
    """Gives the ``(H, W)`` float32 map of one frame; fetched once.

    Args:
        chain, slot: where it is.
        generation: the slot's, when the frame was in it.
        written: the kernel has written the map, because there is a region in it; else it is made when asked for.
    """

    def __init__(self, chain: CudaChain, slot: Slot, generation: int, written: bool) -> None:
        self.slot, self.generation, self.written = slot, generation, written
        self._owner = chain
        self._array: NDArray[np.float32] | None = None

    def there(self) -> bool:
        """Whether the frame is still in its slot."""
        return self.slot.generation == self.generation and self.slot.recording is not None

    def heat(self) -> NDArray[np.uint8] | None:
        """The inspected area under its heat map, drawn on the GPU; None where the frame has left it, or was raw."""
        return self._owner.draw_heat(self) if self.there() else None

    def __call__(self) -> NDArray[np.float32]:
        """The map.

        Raises:
            UsageError: another frame has taken its place.
            BackendError: the GPU failed.
        """
        if self._array is None:
            self._array = self._owner.fetch_map(self)
        return self._array
