"""The anomaly map of a frame: it stays on the GPU until it is asked for."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgeirf.runtime.executors.gpu.slot import Slot


class MapSource(Protocol):
    """What reads a map from the GPU and draws on it."""

    def fetch_map(self, wanted: DeviceMap) -> NDArray[np.float32]:
        """The map; raises as :meth:`DeviceMap.array`."""
        ...

    def draw_heat(self, wanted: DeviceMap) -> NDArray[np.uint8] | None:
        """The heat map; see :meth:`DeviceMap.heat`."""
        ...


class DeviceMap:
    """Implements :class:`edgeirf.runtime.executors.base.AnomalyMap`; the map is copied once.

    Args:
        source, slot: where the map is.
        generation: the slot's, when the frame was in it.
        written: the kernel has written the map, because it has a region; else the map is computed when asked for.
    """

    def __init__(self, source: MapSource, slot: Slot, generation: int, written: bool) -> None:
        self.slot, self.generation, self.written = slot, generation, written
        self._source = source
        self._array: NDArray[np.float32] | None = None

    def there(self) -> bool:
        """Whether the frame is still in its slot."""
        return self.slot.generation == self.generation and self.slot.recording is not None

    def heat(self) -> NDArray[np.uint8] | None:
        """The heat map, drawn on the GPU; None where the frame has left the GPU, or was raw."""
        return self._source.draw_heat(self) if self.there() else None

    def array(self) -> NDArray[np.float32]:
        """The ``(H, W)`` float32 map.

        Raises:
            UsageError: the map has expired: another frame is in its place.
            BackendError: the GPU failed.
        """
        if self._array is None:
            self._array = self._source.fetch_map(self)
        return self._array
