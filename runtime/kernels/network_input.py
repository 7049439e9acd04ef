"""How the network's input lies in memory: what the pre-processing kernel writes, and the engine reads."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

InputLayout = Literal["float32", "float16", "float16x4"]
"""Planes ``(T, 3, H, W)`` of float32 or float16, or float16 pixels ``(T, H, W, 4)`` whose last value is zero."""
LAYOUTS: tuple[InputLayout, ...] = ("float32", "float16", "float16x4")
"""In the order of ``InputLayout`` in structs.cuh."""


def input_bytes(shape: tuple[int, ...], layout: InputLayout) -> int:
    """Bytes of an input of ``(T, 3, H, W)`` values.

    >>> [input_bytes((1, 3, 2, 2), layout) for layout in LAYOUTS]
    [48, 24, 32]
    """
    tiles, channels, height, width = shape
    return tiles * height * width * {"float32": 4 * channels, "float16": 2 * channels, "float16x4": 8}[layout]


def input_view(memory: NDArray[Any], shape: tuple[int, ...], layout: InputLayout) -> NDArray[np.floating[Any]]:
    """The ``(T, 3, H, W)`` values of an input in ``memory``, contiguous and of :func:`input_bytes` bytes.

    >>> input_view(np.arange(8, dtype=np.float16), (1, 3, 1, 2), "float16x4").tolist()
    [[[[0.0, 4.0]], [[1.0, 5.0]], [[2.0, 6.0]]]]
    """
    if layout != "float16x4":
        return memory.view(layout).reshape(shape)
    pixels = memory.view(np.float16).reshape(shape[0], *shape[2:], 4)
    return pixels[..., :3].transpose(0, 3, 1, 2)
