"""Memory layouts that the host and the kernels share: argument structs, the result, pixel formats.

Each dtype has the fields, order and alignment of the C struct of the same name in ``structs.cuh``; a test compiles
both and compares sizes and offsets. Addresses are unsigned 64-bit integers, filled in by whoever owns the memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgeirf.settings import PixelFormat

Real = Literal["float16", "float32"]

MAX_REGIONS = 16
"""Regions that one frame can report; the count says when there were more."""

RECORD_BYTES = 64
"""What comes down for every frame: the header and the first two regions."""

REJECT, MORE_REGIONS, MAP_WRITTEN, NOT_FINITE = 1, 2, 4, 8
"""Bits of ``RESULT['flags']``: score above its threshold; more regions than MAX_REGIONS; the map is in its buffer;
the score is not a finite number (the other bits then mean nothing)."""

PREPROCESS_ARGS = np.dtype(
    [
        ("frame", "u8"),  # address of the frame's first byte; a multiple of 4
        ("output", "u8"),  # the network's input: see network_input.py
        ("chroma", "u8"),  # NV12: bytes from `frame` to the interleaved UV plane
        ("pitch", "i4"),  # bytes from a row to the next; a multiple of 4
        ("frame_height", "i4"),
        ("frame_width", "i4"),
        ("x", "i4"),  # region of interest, pixels
        ("y", "i4"),
        ("width", "i4"),
        ("height", "i4"),
        ("tile_rows", "i4"),
        ("tile_columns", "i4"),
        ("out_height", "i4"),
        ("out_width", "i4"),
        ("block_rows", "i4"),  # outputs that one block makes
        ("block_columns", "i4"),
        ("channels", "i4"),  # packed formats: 1 or 3
        ("order", "i4"),  # packed: 1 when red comes first; Bayer: column of red + 2 * row of red
        ("gray", "i4"),  # 1: the luminance goes to all three planes
        ("layout", "i4"),  # of the output: place in network_input.LAYOUTS
        ("scale", "f4", 3),  # per plane: output = value * scale + offset
        ("offset", "f4", 3),
    ],
    align=True,
)

POSTPROCESS_ARGS = np.dtype(
    [
        ("field", "u8"),  # (tiles, channels, tile_height, tile_width) float16 or float32
        ("tables", "u8"),  # Launch.constants["tables"], uploaded once
        ("workspace", "u8"),  # zeroed once, then the kernel's own
        ("map", "u8"),  # (map_height, map_width) float32
        ("result", "u8"),  # RESULT
        ("latent", "f8", 4),  # InvAD: mean and standard deviation of the likelihood, then of the spread
        ("half", "i4"),  # 1: the field is float16
        ("tiles", "i4"),
        ("tile_columns", "i4"),
        ("channels", "i4"),
        ("tile_height", "i4"),  # cells
        ("tile_width", "i4"),
        ("map_height", "i4"),
        ("map_width", "i4"),
        ("norm", "i4"),  # 1: root of the sum of squares; 0: half the sum
        ("use_latent", "i4"),
        ("top_k", "i4"),
        ("write_map", "i4"),  # 1: write the map; it is also written when there is a region
        ("row_taps", "i4"),  # cells that a group of 8 map rows touches
        ("column_taps", "i4"),  # cells that a map column touches
        ("panel_groups", "i4"),  # groups of 8 rows done at a time, 1 to 32
        ("row_first", "i4"),  # offsets into the tables, in 4-byte items
        ("row_weights", "i4"),
        ("column_first", "i4"),
        ("column_weights", "i4"),
        ("scores", "i4"),
        ("score_count", "i4"),
        ("labels", "i4"),  # offset of the labels, peaks and roots in the workspace, in 4-byte items
        ("score_threshold", "f4"),
        ("pixel_threshold", "f4"),
    ],
    align=True,
)

OVERLAY_ARGS = np.dtype(
    [
        ("frame", "u8"),  # packed 8-bit frame
        ("output", "u8"),  # packed 8-bit BGR of the same size; may be the frame itself when that is bgr8
        ("map", "u8"),  # (map_height, map_width) float32
        ("colours", "u8"),  # Launch.constants["colours"]: 256 of 3 bytes, BGR
        ("frame_pitch", "i4"),
        ("output_pitch", "i4"),
        ("frame_height", "i4"),
        ("frame_width", "i4"),
        ("x", "i4"),  # what the map covers, pixels of the frame
        ("y", "i4"),
        ("width", "i4"),
        ("height", "i4"),
        ("map_height", "i4"),
        ("map_width", "i4"),
        ("channels", "i4"),
        ("order", "i4"),  # 1 when red comes first in the frame
        ("threshold", "f4"),  # of the map; the middle of the colours
        ("octaves", "f4"),  # doublings from the middle to the last colour
        ("opacity", "f4"),  # share of the colour where it is strongest
    ],
    align=True,
)

REGION = np.dtype(
    [("x", "u2"), ("y", "u2"), ("width", "u2"), ("height", "u2"), ("area", "u4"), ("peak", "f4")]  # map pixels
)

RESULT = np.dtype(
    [
        ("score", "f4"),
        ("peak", "f4"),  # largest value of the map
        ("lowest", "f4"),  # smallest value of the map
        ("likelihood", "f4"),  # half the mean square of the field, nats per value
        ("reached_by", "u4"),  # calibration scores at least as high: p-value = (1 + reached_by) / (n + 1)
        ("found", "u4"),  # regions above the pixel threshold, also those beyond MAX_REGIONS
        ("flags", "u4"),
        ("sequence", "u4"),  # 1, 2, 3 ... since the workspace was zeroed: a stale result shows
        ("regions", REGION, MAX_REGIONS),  # largest peak first
    ]
)
"""The whole result; its first RECORD_BYTES hold all but the third and later regions."""


@dataclass(frozen=True)
class Format:
    """What the kernels need to know of a pixel format.

    Attributes:
        source: suffix of the kernel that reads it.
        channels: values a pixel in memory (Bayer and NV12: 1 in the first plane).
        itemsize: bytes a value.
        order: see PREPROCESS_ARGS.
    """

    source: Literal["packed8", "packed16", "bayer8", "nv12"]
    channels: int
    itemsize: int
    order: int


FORMATS: dict[PixelFormat, Format] = {
    "bgr8": Format("packed8", 3, 1, 0),
    "rgb8": Format("packed8", 3, 1, 1),
    "gray8": Format("packed8", 1, 1, 0),
    "bgr16": Format("packed16", 3, 2, 0),
    "rgb16": Format("packed16", 3, 2, 1),
    "gray16": Format("packed16", 1, 2, 0),
    "bayer_rggb8": Format("bayer8", 1, 1, 0),
    "bayer_grbg8": Format("bayer8", 1, 1, 1),
    "bayer_gbrg8": Format("bayer8", 1, 1, 2),
    "bayer_bggr8": Format("bayer8", 1, 1, 3),
    "nv12": Format("nv12", 1, 1, 0),
}
