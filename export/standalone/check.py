"""A frame that every host can draw, and what a graph says of it: a processor that computes INT8 wrongly is found by it.

Sums of two uint8 x int8 products overflow 16 bits on processors without VNNI, where weights have 8 bits. Python finds
that by the golden images. A host without Python draws :func:`check_frame` and compares the largest value of the map.
"""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from edgeirf.runtime.imaging.pixel_format import SMALLEST_RAW, check_name, is_raw
from edgeirf.settings import PixelFormat

KEY = "edgeirf.check_peak"
"""Of the metadata. Absent where the frame has more than :data:`MOST` pixels, or no peak."""
MOST = 2**26
"""Pixels: a region of interest may lie far inside of a large frame."""


def with_check(graph: bytes) -> bytes:
    """A standalone graph that says the peak of the check frame, computed in float: without integer kernels."""
    model = onnx.load_from_string(graph)
    said = {one.key.removeprefix("edgeirf."): one.value for one in model.metadata_props}
    form = check_name(said["pixel_formats"].split(",")[0])
    width, height = int(said["min_width"]), int(said["min_height"])
    if is_raw(form):
        width, height = (max(SMALLEST_RAW, side + side % 2) for side in (width, height))
    if width * height > MOST:
        return graph
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    feed = {"frame": check_frame(form, width, height, int(said["bits"]))}
    feed |= {"product": np.array(0), "red_first": np.array(False)}
    (peak,) = session.run(["peak"], {one.name: feed[one.name] for one in session.get_inputs()})
    if not np.isfinite(peak) or peak == 0:
        return graph
    model.metadata_props.add(key=KEY, value=repr(float(peak)))
    return bytes(model.SerializeToString())


def check_frame(pixel_format: PixelFormat, width: int, height: int, bits: int) -> NDArray[np.uint8]:
    """Gray 16x16 fields in turn: one slopes from black at the top to white, the next from white at the left to black.

    Returns:
        the camera's bytes ``(rows, width, bytes)``; ``docs/embed_contract.md`` has the rule.
    """
    y, x = np.indices((height, width))
    odd = (16 * x // width + 16 * y // height) % 2 == 1
    value = np.where(odd, 255 * y // height, 255 - 255 * x // width)
    if pixel_format == "nv12":
        value = np.concatenate([value, np.full((height // 2, width), 128)])
    pixels = value.astype(np.uint8)[..., None]
    if pixel_format.endswith("16"):
        pixels = (value.astype("<u2") << max(bits - 8, 0))[..., None].view(np.uint8)
    return np.tile(pixels, 3 if pixel_format[:3] in ("bgr", "rgb") else 1)
