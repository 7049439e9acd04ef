"""The standalone graph: camera bytes to verdict in one ONNX file. ``docs/embed_contract.md`` is what hosts rely on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, compose, helper

from edgeirf.errors import UsageError
from edgeirf.export.standalone.area_mean import MAX_SIDE, Axis, Pixels, area_mean
from edgeirf.export.standalone.check import with_check
from edgeirf.export.standalone.contract import add_contract, formats_of
from edgeirf.export.standalone.formats import PLAIN, plain_values, to_planes
from edgeirf.export.standalone.nodes import Nodes
from edgeirf.export.standalone.scored import add_decision, add_score
from edgeirf.line_graph import PREFIX, SCHEMA, state
from edgeirf.manifest import Manifest
from edgeirf.onnx_check import check_graph
from edgeirf.onnx_check.check import OPSETS
from edgeirf.runtime.imaging.preprocess import smallest_frame
from edgeirf.settings import PixelFormat, Preprocess

if TYPE_CHECKING:
    from edgeirf.bundle import Bundle

OPSET = OPSETS[0]
_SCALARS = {"score": TensorProto.DOUBLE, "reject": TensorProto.BOOL, "p_value": TensorProto.DOUBLE}
_SCALARS |= dict.fromkeys(("threshold", "pixel_threshold", "peak"), TensorProto.DOUBLE)


@dataclass(frozen=True)
class Fixed:
    """What a bare graph does not ask its host.

    Attributes:
        product: whose thresholds decide.
        bundle: SHA-256 of the bundle that the graph is written from.
    """

    product: str
    bundle: str


def standalone(
    manifest: Manifest, key: str, network: bytes, pixel_format: PixelFormat = "bgr8", fixed: Fixed | None = None
) -> bytes:
    """The graph of a bundle with pre-processing before it and the decision behind it.

    Args:
        manifest: of the bundle.
        key: of the graph in it, ``fp32`` ...
        network: that graph's ONNX file.
        pixel_format: of the camera; one graph takes all of 8 and 16 bits that are not Bayer or NV12.
        fixed: None leaves product and order of the colours to the host.

    Raises:
        UsageError: the bundle asks for what the graph cannot say; the message names it.
        BundleError: the network is no graph that edgeirf exports.
    """
    settings, model = manifest.preprocess, manifest.models[key]
    tiles = settings.tiles[0] * settings.tiles[1]
    field = check_graph(network, tiles, settings.size)
    loaded = compose.add_prefix(onnx.load_from_string(network), PREFIX)
    _check(manifest, key, loaded)
    if fixed is not None:
        _check_format(manifest, pixel_format)
    limits = [one.limits(manifest.false_reject_rate) for one in model.calibration.values()]
    nodes = Nodes()
    product, red_first = "product", "red_first"
    if fixed is not None:
        product = nodes.whole(list(model.calibration).index(fixed.product))
        red_first = nodes.constant(pixel_format in ("rgb8", "rgb16"), np.bool_)
    fits = _add_input(nodes, manifest, pixel_format, red_first, loaded.graph.input[0].name)
    split = len(nodes.nodes)
    add_score(nodes, loaded.graph.output[0].name, field, settings, model.scoring, fits)
    add_decision(nodes, limits, product)
    read = {name for node in nodes.nodes for name in node.input}
    constants = [one for name, one in nodes.constants.items() if name in read]
    graph = helper.make_graph(
        [*nodes.nodes[:split], *loaded.graph.node, *nodes.nodes[split:]],
        manifest.name,
        _inputs(fixed is None),
        _outputs(settings),
        [*loaded.graph.initializer, *constants],
    )
    whole = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    whole.producer_name, whole.producer_version = "edgeirf", manifest.edgeirf
    found = {**metadata(manifest, key, pixel_format, fixed), "edgeirf.state": state(manifest, key, network)}
    for name, text in found.items():
        whole.metadata_props.add(key=name, value=text)
    onnx.checker.check_model(whole)
    return with_check(bytes(whole.SerializeToString()))


def standalone_of(
    bundle: Bundle,
    pixel_format: PixelFormat = "bgr8",
    product: str | None = None,
    precision: str | None = None,
) -> bytes:
    """The bare file of a bundle: ``frame`` is its one input.

    Args:
        bundle: open.
        pixel_format: of the camera.
        product: necessary where the bundle knows several.
        precision: None takes the graph that the CPU takes by itself.

    Raises:
        UsageError: no such product or precision, or what the graph cannot say.
    """
    from edgeirf.runtime.detector import choose_product
    from edgeirf.runtime.executors.select import choose_model

    key, model = choose_model(bundle, "onnxruntime", precision)
    fixed = Fixed(choose_product(bundle, product), bundle.digest)
    return standalone(bundle.manifest, key, bundle.member(model.file), pixel_format, fixed)


def _check(manifest: Manifest, key: str, network: onnx.ModelProto) -> None:
    settings = manifest.preprocess
    (rows, columns), (height, width) = settings.tiles, settings.size
    if settings.roi is not None and (settings.roi[2] < columns * width or settings.roi[3] < rows * height):
        raise UsageError(
            f"the standalone graph cannot enlarge: the region of interest has {settings.roi[2]}x{settings.roi[3]} "
            f"pixels, the network {columns * width}x{rows * height}; train with a smaller --size, or --no-standalone"
        )
    frame = manifest.frame
    least = smallest_frame(settings)
    if frame is not None and frame.width is not None and (frame.width < least[1] or (frame.height or 0) < least[0]):
        raise UsageError(
            f"the standalone graph cannot enlarge: the frames of the training have {frame.width}x{frame.height} "
            f"pixels, it needs {least[1]}x{least[0]}; train with a smaller --size, or --no-standalone"
        )
    if (opset := network.opset_import[0].version) != OPSET:
        raise UsageError(f"the standalone graph is of opset {OPSET}, {key} of {opset}: choose another --precision")


def _check_format(manifest: Manifest, pixel_format: PixelFormat) -> None:
    """Raises for a format of which every frame would be refused."""
    known = formats_of(manifest.frame)
    raw_fits = manifest.frame is None or 8 in manifest.frame.depths
    if pixel_format not in known if pixel_format in PLAIN else not raw_fits:
        raise UsageError(f"the model takes no {pixel_format} frames: --pixel-format is one of {', '.join(known)}")


def _add_input(nodes: Nodes, manifest: Manifest, pixel_format: PixelFormat, red_first: str, image: str) -> str:
    """Frame to network input; returns the name of a bool: the frame can be inspected."""
    settings = manifest.preprocess
    if pixel_format in PLAIN:
        pixels, sides = _plain(nodes, settings)
    else:
        red_first = nodes.constant(False, np.bool_)
        pixels = to_planes(nodes, "frame", pixel_format, (settings.roi[1], settings.roi[0]) if settings.roi else (0, 0))
        sides = pixels.sides
    colours, wide = pixels.values, pixels.value_bytes
    (rows, columns), (height, width) = settings.tiles, settings.size
    lengths, fits = _area(nodes, sides, manifest)
    if manifest.frame is not None:
        kind = (colours, wide) if pixel_format in PLAIN else None
        fits = nodes("And", fits, add_contract(nodes, manifest.frame, sides, kind))
    down, across = Axis(lengths[0], rows, height), Axis(lengths[1], columns, width)
    means = area_mean(nodes, pixels, down, across)
    order = nodes("Where", red_first, nodes.whole([0, 1, 2]), nodes.whole([2, 1, 0]))
    rgb = nodes("Gather", means, nodes("Min", order, nodes("Sub", colours, nodes.whole(1))), axis=0)
    if settings.color == "gray":
        rgb = _gray(nodes, rgb)
    scale, offset = _scales(nodes, settings, wide)
    planes = nodes("Add", nodes("Mul", rgb, scale), offset)
    if rows * columns > 1:
        planes = nodes("Reshape", planes, nodes.whole([3, rows, height, columns, width]))
        planes = nodes("Transpose", planes, perm=[1, 3, 0, 2, 4])
    # A shape that ONNX Runtime does not know beforehand, as the batch of the runtime: else it fuses other layers, and
    # an INT8 network rounds otherwise (measured: 1e-3 of a score).
    one = nodes("Min", sides[0], nodes.whole(1))
    nodes("Reshape", planes, nodes("Mul", nodes.whole([rows * columns, 3, height, width]), one), out=image)
    return fits


def _plain(nodes: Nodes, settings: Preprocess) -> tuple[Pixels, tuple[str, str]]:
    """The region of interest of a frame whose bytes lie side by side, and the frame's sides."""
    frame, sides = "frame", (nodes.side("frame", 0), nodes.side("frame", 1))
    values, wide = plain_values(nodes, frame)
    if settings.roi is not None:
        x, y, width, height = settings.roi
        frame = nodes("Slice", frame, nodes.whole([y, x]), nodes.whole([y + height, x + width]), nodes.whole([0, 1]))
    there = nodes.side(frame, 0), nodes.side(frame, 1)
    bytes_ = nodes("Mul", values, wide)
    lines = nodes("Reshape", frame, nodes.shape(there[0], -1))
    return Pixels(lines, there, values, wide, wide, lambda places: nodes("Mul", places, bytes_)), sides


def _area(nodes: Nodes, sides: tuple[str, str], manifest: Manifest) -> tuple[tuple[str, str], str]:
    """Height and width of the inspected area, and whether the frame covers it. Writes ``area``."""
    settings, known = manifest.preprocess, manifest.frame
    least, lengths = smallest_frame(settings), sides
    if known is not None and known.height is not None:
        # ONNX Runtime computes once, when it loads the graph, what does not depend on the frame.
        lengths = nodes.whole(known.height), nodes.whole(known.width or 0)
    if settings.roi is None:
        nodes("Concat", nodes.whole([0, 0]), nodes.shape(*sides[::-1]), axis=0, out="area")
    else:
        nodes("Identity", nodes.whole(settings.roi), out="area")
        lengths = nodes.whole(settings.roi[3]), nodes.whole(settings.roi[2])
    bounds = [
        nodes(kind, side, nodes.whole(bound))
        for side, low in zip(sides, least, strict=True)
        for kind, bound in (("GreaterOrEqual", low), ("LessOrEqual", MAX_SIDE))
    ]
    fits = bounds[0]
    for one in bounds[1:]:
        fits = nodes("And", fits, one)
    return lengths, fits


def _gray(nodes: Nodes, rgb: str) -> str:
    """Luminance of ``(3, H, W)``, three times: OpenCV's weights, with 15 bits behind the point."""
    weights = nodes.double(np.array([9798.0, 19235.0, 3735.0])[:, None, None])
    total = nodes("Mul", nodes.cast(rgb, TensorProto.DOUBLE), weights)
    total = nodes("ReduceSum", total, nodes.whole([0]), keepdims=1)
    gray = nodes("Floor", nodes("Div", nodes("Add", total, nodes.double(16384.0)), nodes.double(32768.0)))
    return nodes("Gather", nodes.cast(gray, TensorProto.FLOAT), nodes.whole([0, 0, 0]), axis=0)


def _scales(nodes: Nodes, settings: Preprocess, wide: str) -> tuple[str, str]:
    """Factor and summand of each channel, as ``normalise`` computes them."""
    std = np.asarray(settings.std, np.float64)
    narrow, broad = ((1.0 / (white * std))[:, None, None] for white in (255.0, 2.0**settings.bits - 1.0))
    offset = (-np.asarray(settings.mean, np.float64) / std)[:, None, None]
    is_wide = nodes("Equal", wide, nodes.whole(2))
    scale = nodes("Where", is_wide, nodes.constant(broad, np.float32), nodes.constant(narrow, np.float32))
    return scale, nodes.constant(offset, np.float32)


def _inputs(is_open: bool) -> list[onnx.ValueInfoProto]:
    info = helper.make_tensor_value_info
    frame = info("frame", TensorProto.UINT8, ["height", "width", "bytes"])
    asked = [info("product", TensorProto.INT64, []), info("red_first", TensorProto.BOOL, [])]
    return [frame, *asked] if is_open else [frame]


def _outputs(settings: Preprocess) -> list[onnx.ValueInfoProto]:
    info, size = helper.make_tensor_value_info, _map_size(settings)
    scalars = [info(name, element, []) for name, element in _SCALARS.items()]
    return [*scalars, info("map", TensorProto.FLOAT, size), info("area", TensorProto.INT64, [4])]


def _map_size(settings: Preprocess) -> tuple[int, int]:
    return settings.size[0] * settings.tiles[0], settings.size[1] * settings.tiles[1]


def metadata(manifest: Manifest, key: str, pixel_format: PixelFormat, fixed: Fixed | None) -> dict[str, str]:
    """What the graph says of itself; ``docs/embed_contract.md`` lists the keys."""
    settings = manifest.preprocess
    known = None if manifest.frame is None or manifest.frame.width is None else manifest.frame
    height, width = smallest_frame(settings) if known is None else (known.height, known.width)
    rows, columns = _map_size(settings)
    plain = pixel_format in PLAIN
    only = pixel_format if fixed is not None and plain else None
    formats = [one for one in formats_of(manifest.frame) if only is None or not _swapped(one, only)]
    found = {
        "schema": str(SCHEMA),
        "version": manifest.edgeirf,
        "model": manifest.name,
        "graph": key,
        "precision": manifest.models[key].precision,
        "products": json.dumps(manifest.products, ensure_ascii=False),
        "false_reject_rate": repr(manifest.false_reject_rate),
        "pixel_formats": ",".join(formats if plain else [pixel_format]),
        "frame": "" if known is None else f"{width}x{height}",
        "min_width": str(width),
        "min_height": str(height),
        "max_side": str(MAX_SIDE),
        "map_width": str(columns),
        "map_height": str(rows),
        "roi": ",".join(map(str, settings.roi or ())),
        "tiles": f"{settings.tiles[1]}x{settings.tiles[0]}",
        "bits": str(settings.bits),
        **({} if fixed is None else {"product": fixed.product, "bundle": fixed.bundle}),
    }
    standard = {"Image.BitmapPixelFormat": "Bgr8", "Image.NominalPixelRange": "NominalRange_0_255"} if plain else {}
    if only in ("rgb8", "rgb16"):
        standard["Image.BitmapPixelFormat"] = "Rgb8"
    return {**{f"edgeirf.{name}": text for name, text in found.items()}, **standard}


def _swapped(name: PixelFormat, fixed: PixelFormat) -> bool:
    """Whether a format has red and blue the other way round than the one that is fixed."""
    return {name[:3], fixed[:3]} == {"bgr", "rgb"} or (fixed[:4] == "gray" and name[:3] == "rgb")
