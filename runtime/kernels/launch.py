"""What to launch for a model and a camera: kernel, geometry, arguments, buffers. No CUDA here.

A plan is computed once. The owner of the memory allocates ``Launch.buffers``, uploads ``Launch.constants``, writes
the addresses into ``Launch.args`` and launches::

    plan = plan_preprocess(settings, (1944, 2592), "bgr8", "float16x4")
    plan.args["frame"], plan.args["output"] = frame_address, input_address
    launch(plan.kernel, plan.grid, plan.block, plan.args.tobytes())   # one parameter: the struct, by value
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeirf.errors import FrameError, UsageError
from edgeirf.runtime.imaging.pixel_format import check_sides, is_raw
from edgeirf.runtime.imaging.preprocess import inspected_area
from edgeirf.runtime.kernels.layout import (
    FORMATS,
    OVERLAY_ARGS,
    POSTPROCESS_ARGS,
    PREPROCESS_ARGS,
    RESULT,
    Format,
    Real,
)
from edgeirf.runtime.kernels.network_input import LAYOUTS, InputLayout, input_bytes
from edgeirf.runtime.kernels.tables import column_band, panel_groups, row_band
from edgeirf.runtime.render.overlay import OCTAVES, OPACITY
from edgeirf.settings import PixelFormat, Preprocess, Scoring

PREPROCESS_THREADS = 256
POSTPROCESS_THREADS = 1024
OVERLAY_THREADS = 256
CELLS_PER_BLOCK = 32
"""Cells whose density one post-processing block sums."""

PANEL_CELLS = 256
"""Grid rows that the post-processing kernel holds in shared memory (``PANEL_CELLS`` in postprocess.cu)."""

WORKSPACE_HEADER = 4
"""4-byte items before the grid in the workspace: arrivals, sequence, two unused."""

_ROWS_WALKED = 32
"""Source rows that a block reads at least: the row shared with the next block is then read twice in 32."""


@dataclass(frozen=True)
class Launch:
    """One kernel launch, complete but for the addresses in ``args``.

    Attributes:
        kernel: its ``extern "C"`` name.
        file: the source it is compiled from, in :func:`edgeirf.runtime.kernels.folder`.
        grid, block: blocks and threads, (x, y, z). No dynamic shared memory.
        args: 0-d structured array, the kernel's only parameter.
        buffers: bytes of each address field. The ``workspace`` must be zero before the first launch.
        constants: contents to upload once into the buffer of that name.
    """

    kernel: str
    file: str
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    args: NDArray[Any]
    buffers: dict[str, int]
    constants: dict[str, bytes] = field(default_factory=dict)


def row_bytes(width: int, pixel_format: PixelFormat) -> int:
    """Bytes of one row of pixels, without padding."""
    layout = FORMATS[pixel_format]
    return width * layout.channels * layout.itemsize


def default_pitch(width: int, pixel_format: PixelFormat) -> int:
    """Bytes from a row to the next in device memory: the row, rounded up to 4 bytes."""
    return -(-row_bytes(width, pixel_format) // 4) * 4


def plan_preprocess(
    settings: Preprocess,
    frame_shape: tuple[int, int],
    pixel_format: PixelFormat,
    layout: InputLayout,
    pitch: int | None = None,
) -> Launch:
    """The launch that turns a frame in device memory into the network's input.

    Args:
        settings: of the bundle.
        frame_shape: ``(height, width)`` in pixels.
        pixel_format: how the camera's bytes are laid out.
        layout: of the network's input.
        pitch: bytes from a row to the next, a multiple of 4; default :func:`default_pitch`. NV12's chroma plane
            follows the luma plane at the same pitch.

    Raises:
        FrameError: the frame does not cover the region of interest, has odd sides where the format needs even ones,
            or is too large for the network's input.
        UsageError: the pitch is impossible.
    """
    source = FORMATS[pixel_format]
    pitch = default_pitch(frame_shape[1], pixel_format) if pitch is None else pitch
    _check_frame(frame_shape, pixel_format, pitch)
    height, width = frame_shape
    x, y, area_width, area_height = inspected_area(frame_shape, settings)
    rows, columns = settings.tiles
    if area_height < rows or area_width < columns:
        raise FrameError(f"{area_width}x{area_height} pixels cannot be cut into {columns}x{rows} tiles")
    block_rows, block_columns = _block_outputs(settings, source, -(-area_height // rows), -(-area_width // columns))
    white = 255.0 if source.itemsize == 1 else 2.0**settings.bits - 1.0
    std = np.asarray(settings.std, np.float64)
    args = np.zeros((), PREPROCESS_ARGS)
    values = {
        "chroma": pitch * height, "pitch": pitch, "frame_height": height, "frame_width": width,
        "x": x, "y": y, "width": area_width, "height": area_height, "tile_rows": rows, "tile_columns": columns,
        "out_height": settings.size[0], "out_width": settings.size[1],
        "block_rows": block_rows, "block_columns": block_columns,
        "channels": source.channels, "order": source.order, "gray": settings.color == "gray",
        "layout": LAYOUTS.index(layout), "scale": 1.0 / (white * std), "offset": -np.asarray(settings.mean) / std,
    }  # fmt: skip
    _fill(args, values)
    grid = (-(-settings.size[1] // block_columns), -(-settings.size[0] // block_rows), rows * columns)
    planes = height + height // 2 if pixel_format == "nv12" else height
    output = input_bytes((rows * columns, 3, *settings.size), layout)
    return Launch(
        f"preprocess_{source.source}", "preprocess.cu", grid, (PREPROCESS_THREADS, 1, 1), args,
        {"frame": pitch * planes, "output": output},
    )  # fmt: skip


def plan_postprocess(
    scoring: Scoring,
    field_shape: tuple[int, int, int, int],
    tiles: tuple[int, int],
    size: tuple[int, int],
    in_dtype: Real,
    *,
    scores: Sequence[float] = (),
    score_threshold: float = math.inf,
    pixel_threshold: float = math.inf,
    write_map: bool = False,
) -> Launch:
    """The launch that turns the whitened field into a score, a p-value and regions.

    Args:
        scoring: of the graph in use.
        field_shape: ``(tiles, C, h, w)``, the network's output.
        tiles: ``(rows, columns)``.
        size: ``(height, width)`` of the network input of one tile; the map is ``tiles * size``.
        in_dtype: of the field.
        scores: calibration scores, ascending.
        score_threshold: image scores above it set REJECT.
        pixel_threshold: map values above it belong to a region.
        write_map: write the map for every frame, not only where there are regions.

    Raises:
        UsageError: sizes that the kernel does not take.
    """
    count, channels, h, w = field_shape
    cells, pixels = (tiles[0] * h, tiles[1] * w), (tiles[0] * size[0], tiles[1] * size[1])
    _check_map(field_shape, tiles, pixels)
    row_first, row_weights = row_band(cells[0], pixels[0], scoring.sigma)
    column_first, column_weights = column_band(cells[1], pixels[1], scoring.sigma)
    groups = panel_groups(row_first, row_weights.shape[1], PANEL_CELLS)
    if not groups:
        raise UsageError(f"a smoothing of {scoring.sigma} pixels is too wide for a grid of {cells}: use the CPU")
    offsets, blob = _pack(row_first, row_weights, column_first, column_weights, round_down(scores))
    labels = -(-(WORKSPACE_HEADER + cells[0] * cells[1]) // 4) * 4
    most_regions = -(-pixels[0] // 2) * -(-pixels[1] // 2)  # no two of them touch, not at a corner either
    args = np.zeros((), POSTPROCESS_ARGS)
    values = {
        "latent": scoring.latent or (0.0, 1.0, 0.0, 1.0), "use_latent": scoring.latent is not None,
        "half": in_dtype == "float16", "tiles": count, "tile_columns": tiles[1], "channels": channels,
        "tile_height": h, "tile_width": w, "map_height": pixels[0], "map_width": pixels[1],
        "norm": scoring.density == "norm", "top_k": min(scoring.top_k, pixels[0] * pixels[1]), "write_map": write_map,
        "row_taps": row_weights.shape[1], "column_taps": column_weights.shape[0], "panel_groups": groups,
        **dict(zip(("row_first", "row_weights", "column_first", "column_weights", "scores"), offsets, strict=True)),
        "score_count": len(scores), "labels": labels,
        "score_threshold": round_down([score_threshold])[0], "pixel_threshold": np.float32(pixel_threshold),
    }  # fmt: skip
    _fill(args, values)
    area = pixels[0] * pixels[1]
    buffers = {
        "field": math.prod(field_shape) * np.dtype(in_dtype).itemsize,
        "tables": len(blob),
        "workspace": 4 * (labels + 2 * area + most_regions),
        "map": 4 * area,
        "result": RESULT.itemsize,
    }
    grid = (-(-count * h * w // CELLS_PER_BLOCK), 1, 1)
    return Launch(
        "postprocess", "postprocess.cu", grid, (POSTPROCESS_THREADS, 1, 1), args, buffers, {"tables": blob}
    )  # fmt: skip


def plan_overlay(
    frame_shape: tuple[int, int],
    pixel_format: PixelFormat,
    area: tuple[int, int, int, int],
    map_size: tuple[int, int],
    threshold: float,
    pitch: int | None = None,
) -> Launch:
    """Lays the map over a frame as :func:`edgeirf.runtime.render.overlay.overlay` does, without the boxes.

    Only for people, never on the default path.

    Args:
        frame_shape: ``(height, width)``.
        pixel_format: ``bgr8``, ``rgb8`` or ``gray8``; the output is always packed ``bgr8``.
        area: ``(x, y, width, height)`` in frame pixels that the map covers.
        map_size: ``(height, width)`` of the map.
        threshold: the pixel threshold, in the map's units.
        pitch: bytes from a row of the frame to the next; default :func:`default_pitch`.

    Raises:
        UsageError: another pixel format, or an impossible pitch.
        FrameError: the area leaves the frame.
    """
    if pixel_format not in ("bgr8", "rgb8", "gray8"):
        raise UsageError(f"an overlay needs a bgr8, rgb8 or gray8 frame, not {pixel_format}")
    pitch = default_pitch(frame_shape[1], pixel_format) if pitch is None else pitch
    _check_frame(frame_shape, pixel_format, pitch)
    height, width = frame_shape
    inspected_area(frame_shape, Preprocess(roi=area))
    output_pitch = default_pitch(width, "bgr8")
    args = np.zeros((), OVERLAY_ARGS)
    values = {
        "frame_pitch": pitch, "output_pitch": output_pitch, "frame_height": height, "frame_width": width,
        "x": area[0], "y": area[1], "width": area[2], "height": area[3],
        "map_height": map_size[0], "map_width": map_size[1],
        "channels": FORMATS[pixel_format].channels, "order": FORMATS[pixel_format].order,
        "threshold": max(threshold, float(np.finfo(np.float32).tiny)), "octaves": OCTAVES, "opacity": OPACITY,
    }  # fmt: skip
    _fill(args, values)
    colours = cv2.applyColorMap(np.arange(256, dtype=np.uint8), cv2.COLORMAP_TURBO).tobytes()
    buffers = {
        "frame": pitch * height,
        "output": output_pitch * height,
        "map": 4 * map_size[0] * map_size[1],
        "colours": len(colours),
    }
    grid = (-(-width // OVERLAY_THREADS), height, 1)
    return Launch("overlay", "overlay.cu", grid, (OVERLAY_THREADS, 1, 1), args, buffers, {"colours": colours})


def round_down(values: Sequence[float]) -> NDArray[np.float32]:
    """float64 to float32, never up: then ``v >= s`` and ``s > v`` keep their truth for every float32 ``s``."""
    wide = np.asarray(values, np.float64)
    with np.errstate(over="ignore"):
        near = wide.astype(np.float32)
    return np.where(near > wide, np.nextafter(near, np.float32(-np.inf)), near)


def _block_outputs(settings: Preprocess, layout: Format, tile_height: int, tile_width: int) -> tuple[int, int]:
    """Rows and columns of outputs one block makes: each thread owns one 4-byte word of a source row."""
    rows = min(settings.size[0], -(-_ROWS_WALKED * settings.size[0] // tile_height))
    pixel = layout.channels * layout.itemsize
    # 8 bytes for alignment at both ends; a Bayer pixel at the rim also needs its neighbour's word.
    budget = 4 * PREPROCESS_THREADS - 16 - 2 * pixel
    columns = budget * settings.size[1] // (pixel * tile_width)
    if columns < 1:
        raise FrameError(
            f"a tile {tile_width} pixels wide is too much for an input of {settings.size[1]}: use more tiles or a ROI"
        )
    return rows, min(columns, settings.size[1])


def _check_frame(frame_shape: tuple[int, int], pixel_format: PixelFormat, pitch: int) -> None:
    height, width = frame_shape
    if not (0 < height <= 65535 and 0 < width <= 65535):
        raise FrameError(f"a frame has 1 to 65535 pixels a side, not {width}x{height}")
    if is_raw(pixel_format):
        check_sides(frame_shape, pixel_format)
    limit = 2**31 - 1
    if default_pitch(width, pixel_format) * height * 3 // 2 > limit:
        raise FrameError(
            f"a frame on the GPU has at most 1.4 GB, not {width}x{height} pixels: set a region of interest"
        )
    if pitch % 4 or pitch < row_bytes(width, pixel_format) or pitch * height * 3 // 2 > limit:
        raise UsageError(f"a row pitch is a multiple of 4 and holds the row ({width} {pixel_format}), not {pitch}")


def _check_map(field_shape: tuple[int, int, int, int], tiles: tuple[int, int], pixels: tuple[int, int]) -> None:
    if min(field_shape) < 1 or field_shape[0] != tiles[0] * tiles[1]:
        raise UsageError(f"a field of {field_shape} does not belong to {tiles} tiles")
    if min(pixels) < 1 or max(pixels) > 65535 or pixels[0] * pixels[1] > 2**28 or math.prod(field_shape) >= 2**31:
        raise UsageError(f"a map of {pixels} from a field of {field_shape} is too large for the GPU: use fewer tiles")


def _pack(*parts: NDArray[Any]) -> tuple[list[int], bytes]:
    """Joins arrays of 4-byte items, each at a multiple of 16 bytes; returns their offsets in items and the bytes."""
    offsets, blob = [], b""
    for part in parts:
        offsets.append(len(blob) // 4)
        blob += part.tobytes() + bytes(-part.nbytes % 16)
    return offsets, blob


def _fill(args: NDArray[Any], values: dict[str, Any]) -> None:
    for name, value in values.items():
        args[name] = value
