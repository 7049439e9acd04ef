"""Field to map, score and decision in ONNX: :mod:`edgeirf.runtime.scoring` and :mod:`edgeirf.conformal` again."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from onnx import TensorProto

from edgeirf.conformal import Limits
from edgeirf.export.standalone.nodes import Nodes
from edgeirf.runtime.scoring import smoothing_matrix
from edgeirf.settings import Preprocess, Scoring


def add_score(
    nodes: Nodes, field: str, shape: tuple[int, ...], settings: Preprocess, scoring: Scoring, fits: str
) -> None:
    """Writes ``map``, ``peak`` and ``score``; they are not a number where the field is none or the frame does not fit.

    Args:
        nodes: gets the nodes.
        field: name of the network's output.
        shape: of the field, ``(tiles, C, h, w)``.
        settings, scoring: of the bundle.
        fits: name of a bool: the frame can be inspected.
    """
    (rows, columns), (_, channels, h, w) = settings.tiles, shape
    squares = nodes("ReduceSumSquare", field, axes=[1], keepdims=0)
    half = nodes("Mul", squares, nodes.constant(0.5, np.float32))
    density = half if scoring.density == "nll" else nodes("Sqrt", squares)
    grid = nodes("Reshape", density, nodes.whole([rows, columns, h, w]))
    grid = nodes("Reshape", nodes("Transpose", grid, perm=[0, 2, 1, 3]), nodes.whole([rows * h, columns * w]))
    down = smoothing_matrix(rows * h, rows * settings.size[0], scoring.sigma)
    across = smoothing_matrix(columns * w, columns * settings.size[1], scoring.sigma)
    tall = nodes("MatMul", nodes.constant(down, np.float32), grid)
    nodes("MatMul", tall, nodes.constant(across.T, np.float32), out="map")
    flat = nodes("Reshape", "map", nodes.whole([-1]))
    # Each map value is a sum over all cells: one cell that is not a number makes the first value none.
    # A maximum alone could pass over it.
    first = nodes.cast(nodes("Gather", flat, nodes.whole(0)), TensorProto.DOUBLE)
    doubt = nodes("Where", fits, nodes("Mul", first, nodes.double(0.0)), nodes.double(np.nan))
    peak = nodes.cast(nodes("ReduceMax", flat, axes=[0], keepdims=0), TensorProto.DOUBLE)
    nodes("Add", peak, doubt, out="peak")
    if scoring.latent is not None:
        low = nodes.cast(nodes("ReduceMin", flat, axes=[0], keepdims=0), TensorProto.DOUBLE)
        score = _latent(nodes, half, channels, nodes("Sub", peak, low), scoring.latent)
    elif scoring.top_k == 1:
        score = peak
    else:
        count = min(scoring.top_k, rows * columns * settings.size[0] * settings.size[1])
        top = nodes("TopK", flat, nodes.whole([count]), sorted=0)
        score = nodes("ReduceMean", nodes.cast(top, TensorProto.DOUBLE), axes=[0], keepdims=0)
    nodes("Add", score, doubt, out="score")


def _latent(nodes: Nodes, half: str, channels: int, spread: str, latent: tuple[float, float, float, float]) -> str:
    """InvAD's score: two terms, each in standard deviations of good parts."""
    flat = nodes.cast(nodes("Reshape", half, nodes.whole([-1])), TensorProto.DOUBLE)
    nll = nodes("Div", nodes("ReduceMean", flat, axes=[0], keepdims=0), nodes.double(channels))
    terms = [
        nodes("Div", nodes("Sub", value, nodes.double(mean)), nodes.double(deviation))
        for value, mean, deviation in ((nll, *latent[:2]), (spread, *latent[2:]))
    ]
    return nodes("Add", *terms)


def add_decision(nodes: Nodes, limits: Sequence[Limits], product: str) -> None:
    """Writes ``threshold``, ``pixel_threshold``, ``reject`` and ``p_value``.

    Args:
        nodes: gets the nodes; ``score`` is there.
        limits: of each product.
        product: name of the index into them.
    """
    failure = "product_is_an_index_into_the_products"
    # Gather counts a negative index from the end: -1, "not found" in many hosts, would be another product.
    negative = nodes("Less", product, nodes.whole(0))
    product = nodes("Where", negative, nodes.whole(len(limits)), product)
    nodes("Gather", nodes.double([one.threshold for one in limits]), product, out="threshold", name=failure)
    pixels = nodes.double([one.pixel_threshold for one in limits])
    nodes("Gather", pixels, product, out="pixel_threshold", name=f"{failure}_too")
    passes = nodes("LessOrEqual", "score", "threshold")  # false for a score that is not a number
    passes = nodes("And", passes, nodes("GreaterOrEqual", "score", nodes.double(np.finfo(np.float64).min)))
    nodes("Not", passes, out="reject")
    longest = max(len(one.scores) for one in limits)
    table = [[*one.scores, *[-math.inf] * (longest - len(one.scores))] for one in limits]
    own = nodes("Gather", nodes.double(table), product, name=f"{failure}_of_scores")
    higher = nodes("GreaterOrEqual", own, "score")
    count = nodes("ReduceSum", nodes.cast(higher, TensorProto.DOUBLE), nodes.whole([0]), keepdims=0)
    parts = nodes.double([len(one.scores) + 1.0 for one in limits])
    parts = nodes("Gather", parts, product, name=f"{failure}_of_counts")
    nodes("Div", nodes("Add", count, nodes.double(1.0)), parts, out="p_value")
