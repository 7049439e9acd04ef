"""The standalone graph as a bundle's member: of the network that the CPU takes by itself, proved on golden images."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from edgeirf.bundle import Bundle
from edgeirf.errors import UsageError
from edgeirf.export.standalone.graph import standalone
from edgeirf.line_graph import MEMBER
from edgeirf.manifest import Manifest
from edgeirf.runtime.executors.cpu import CpuExecutor
from edgeirf.runtime.executors.onnxruntime import OnnxRuntimeNetwork
from edgeirf.runtime.executors.select import choose_model
from edgeirf.runtime.imaging.pixel_format import Pixels
from edgeirf.runtime.imaging.preprocess import smallest_frame
from edgeirf.settings import Preprocess

LIMIT = 1e-3
"""Largest difference of a score from the runtime's, as a share of the largest one. Where both round alike it is 1e-6;
a pixel that OpenCV rounds the other way may be worth 3e-4."""


def line_member(bundle: Bundle) -> bytes:
    """The graph, for a bundle that need not be on disk.

    Raises:
        UsageError: the bundle asks for what the graph cannot say, or graph and runtime give a golden image different
            scores; the message says which.
    """
    key, model = choose_model(bundle, "onnxruntime", None)
    graph = standalone(bundle.manifest, key, bundle.member(model.file))
    # A golden image is a frame of the network's size, which the model may not know.
    of_any_size = standalone(replace(bundle.manifest, frame=None), key, bundle.member(model.file))
    found = difference(bundle, key, of_any_size)
    if not found <= LIMIT:
        raise UsageError(
            f"the standalone graph and the runtime disagree by {found:.1e} of a score (allowed {LIMIT:g}): report it "
            "with the versions that `edgeirf doctor` prints; --no-standalone leaves the graph out"
        )
    return graph


def with_line(path: str | os.PathLike[str], manifest: Manifest, members: Mapping[str, bytes]) -> dict[str, bytes]:
    """The members of a bundle that is about to be written, with its standalone graph; raises as :func:`line_member`."""
    others = {name: data for name, data in members.items() if name != MEMBER}
    return {**others, MEMBER: line_member(Bundle(Path(path), manifest, others, ""))}


def difference(bundle: Bundle, key: str, graph: bytes) -> float:
    """Largest difference of a golden image's score from the runtime's, as a share of the largest one."""
    model, settings = bundle.manifest.models[key], bundle.manifest.preprocess
    executor = CpuExecutor(OnnxRuntimeNetwork(bundle.member(model.file), threads=1), settings, model.scoring)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    scores = []
    for image in bundle.golden["images"]:
        frame = as_frame(image, settings)
        feed = {"frame": frame.view(np.uint8).reshape(*frame.shape[:2], -1), "product": np.array(0)}
        (score,) = session.run(["score"], {**feed, "red_first": np.array(False)})
        scores.append((float(score), executor.submit(frame).result().score))
    executor.close()
    graphs, runtimes = np.array(scores).T
    return float(np.abs(graphs - runtimes).max() / max(np.abs(runtimes).max(), 1e-12))


def as_frame(image: NDArray[np.integer[Any]], settings: Preprocess) -> Pixels:
    """A golden image ``(tiles, height, width, 3)`` RGB as the smallest BGR frame that shows it, the region in it."""
    (rows, columns), (height, width) = settings.tiles, settings.size
    whole = image.reshape(rows, columns, height, width, 3).swapaxes(1, 2).reshape(rows * height, columns * width, 3)
    x, y, *size = settings.roi or (0, 0, columns * width, rows * height)
    frame = np.zeros((*smallest_frame(settings), 3), image.dtype)
    frame[y:, x:] = cv2.resize(
        np.ascontiguousarray(whole[..., ::-1]), (size[0], size[1]), interpolation=cv2.INTER_NEAREST
    )
    return frame
