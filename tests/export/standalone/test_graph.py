from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeirf.bundle import Bundle
from edgeirf.conformal import Limits
from edgeirf.errors import UsageError
from edgeirf.export.standalone.area_mean import MAX_SIDE
from edgeirf.export.standalone.formats import PLAIN
from edgeirf.export.standalone.graph import Fixed, standalone, standalone_of
from edgeirf.frame_contract import FrameContract
from edgeirf.line_graph import SCHEMA
from edgeirf.manifest import Manifest
from edgeirf.runtime.executors.cpu import CpuExecutor
from edgeirf.runtime.executors.onnxruntime import OnnxRuntimeNetwork
from edgeirf.runtime.imaging import resize
from edgeirf.runtime.imaging.folder import find_pictures
from edgeirf.runtime.imaging.images import read_image
from edgeirf.runtime.imaging.pixel_format import PIXEL_FORMATS, Pixels, from_bgr, to_bgr
from edgeirf.runtime.imaging.preprocess import crop, cut, inspected_area, normalise, prepare
from edgeirf.settings import PixelFormat, Preprocess, Scoring

Run = Callable[..., dict[str, NDArray[Any]]]
PICTURES = Path(__file__).parents[4].parent / "shared" / "data"
INPUT = "net_image"
"""Name of the network's input in a standalone graph of the tiny bundle."""
SETTINGS = [
    Preprocess(size=(64, 64)),
    Preprocess(size=(64, 96), roi=(8, 4, 130, 70), bits=12),
    Preprocess(size=(32, 32), tiles=(2, 3), bits=16, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3)),
    Preprocess(size=(64, 64), color="gray", roi=(1, 3, 64, 128)),
]
SCORINGS = [Scoring(sigma=2.0), Scoring(top_k=30), Scoring(density="norm", latent=(0.4, 0.1, 3.0, 0.5))]


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    path = tmp_path_factory.mktemp("graph") / "tiny.irf"
    return Bundle.read(tiny_bundle(path, products=("part", "lid"), held_out=9, false_reject_rate=0.1))


def changed(manifest: Manifest, preprocess: Preprocess | None = None, scoring: Scoring | None = None) -> Manifest:
    model = manifest.models["fp32"]
    model = replace(model, scoring=scoring or model.scoring)
    lid = model.calibration["lid"]
    lid = replace(lid, scores=tuple(3 * score for score in lid.scores))
    model = replace(model, calibration={**model.calibration, "lid": lid})
    return replace(manifest, preprocess=preprocess or manifest.preprocess, models={"fp32": model})


@lru_cache(maxsize=64)
def _built(network: bytes, form: PixelFormat, of: int, scoring: int, directory: str) -> bytes:
    manifest = changed(Bundle.read(directory).manifest, SETTINGS[of], SCORINGS[scoring])
    return standalone(manifest, "fp32", network, form, None if form in PLAIN else Fixed("part", "0" * 64))


def built(bundle: Bundle, form: PixelFormat = "bgr8", of: int = 0, scoring: int = 0, network: bytes = b"") -> bytes:
    form = "bgr8" if form in PLAIN else form  # one graph for all of them
    return _built(network or bundle.member("model.fp32.onnx"), form, of, scoring, str(bundle.path))


def asked(form: PixelFormat, product: int = 0) -> dict[str, Any]:
    return {"product": product, "red_first": form.startswith("rgb")} if form in PLAIN else {}


def picture(seed: int, height: int, width: int) -> NDArray[np.uint8]:
    """Noise with steps: many levels, few of them alike."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 200, (height // 16 + 1, width // 16 + 1, 3)).repeat(16, 0).repeat(16, 1)
    noisy: NDArray[np.uint8] = (coarse[:height, :width] + random.integers(0, 56, (height, width, 3))).astype(np.uint8)
    return noisy


def exact_input(frame: Pixels, settings: Preprocess) -> NDArray[np.float32]:
    """The network's input from means in whole numbers, where :mod:`resize` leaves the rounding to OpenCV."""
    height, width = settings.size
    tiles = []
    for tile in cut(crop(frame, settings), settings.tiles):
        at = np.indices((height, width, *tile.shape[2:])).reshape(tile.ndim, -1)
        means = resize._means_at(tile, (width, height), tuple(at)).reshape(height, width, -1)
        tiles.append(means.astype(frame.dtype))
    small = np.stack(tiles)
    tile_size = replace(settings, roi=None, tiles=(1, 1))
    prepared = [prepare(one if one.shape[2] == 3 else one[..., 0], tile_size)[0] for one in small]
    return normalise(np.stack(prepared), settings)


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_the_networks_input_is_that_of_the_runtime_bit_for_bit(run: Run, bundle: Bundle, data: st.DataObject) -> None:
    form = data.draw(st.sampled_from(PIXEL_FORMATS))
    of = data.draw(st.integers(0, len(SETTINGS) - 1))
    prep = SETTINGS[of]
    height, width = (data.draw(st.integers(69, 130)) * 2 + data.draw(st.integers(0, form in PLAIN)) for _ in "hw")
    frame = from_bgr(picture(data.draw(st.integers(0, 99)), height, width), form)
    got = run(built(bundle, form, of), frame, probe=INPUT, **asked(form))[INPUT]
    image = to_bgr(frame, form)
    ways = {
        resize._way(t.shape[1], t.shape[0], *prep.size[::-1], 8 * frame.itemsize)
        for t in cut(crop(image, prep), prep.tiles)
    }
    if frame.itemsize == 1 or "opencv" not in ways:
        assert np.array_equal(got, normalise(prepare(image, prep), prep))
    else:  # the runtime leaves the rounding to OpenCV
        assert np.array_equal(got, exact_input(image, prep))


def agree(run: Run, graph: bytes, executor: CpuExecutor, frame: Pixels, form: PixelFormat, product: int = 0) -> None:
    """A verdict of the graph is that of the runtime."""
    got, want = run(graph, frame, **asked(form, product)), executor.submit(frame, form).result()
    assert float(got["score"]) == pytest.approx(want.score, rel=1e-5, abs=1e-9)
    assert float(got["peak"]) == pytest.approx(want.peak, rel=1e-5, abs=1e-9)
    assert np.allclose(got["map"], want.map.array(), rtol=1e-5, atol=1e-5 * want.peak)
    assert float(got["threshold"]) == executor.limits.threshold
    assert float(got["pixel_threshold"]) == executor.limits.pixel_threshold
    assert bool(got["reject"]) == want.reject
    assert float(got["p_value"]) == want.p_value
    assert tuple(got["area"]) == inspected_area(to_bgr(frame, form).shape, executor.settings)


def reference(bundle: Bundle, of: int, scoring: int, product: str = "part", network: bytes = b"") -> CpuExecutor:
    manifest = changed(bundle.manifest, SETTINGS[of], SCORINGS[scoring])
    model = manifest.models["fp32"]
    limits = model.calibration[product].limits(manifest.false_reject_rate)
    opened = OnnxRuntimeNetwork(network or bundle.member(model.file), threads=1)
    return CpuExecutor(opened, manifest.preprocess, model.scoring, limits)


@pytest.mark.parametrize("form", PIXEL_FORMATS)
@pytest.mark.parametrize(("of", "scoring", "product"), [(0, 0, 0), (1, 1, 1), (2, 2, 0), (3, 0, 1)])
def test_verdicts_are_those_of_the_runtime(
    run: Run, bundle: Bundle, form: PixelFormat, of: int, scoring: int, product: int
) -> None:
    product = product if form in PLAIN else 0
    executor = reference(bundle, of, scoring, bundle.manifest.products[product])
    graph = built(bundle, form, of, scoring)
    for seed in range(2):
        agree(run, graph, executor, from_bgr(picture(seed, 144, 192), form), form, product)


def test_an_int8_network_gives_the_verdicts_of_the_runtime(run: Run, bundle: Bundle, int8: bytes) -> None:
    executor = reference(bundle, 2, 1, network=int8)
    for form in ("bgr8", "gray16", "nv12"):
        frame = from_bgr(picture(5, 150, 200), form)  # type: ignore[arg-type]
        agree(run, built(bundle, form, 2, 1, int8), executor, frame, form)  # type: ignore[arg-type]


@pytest.mark.skipif(not PICTURES.is_dir(), reason="the shared real pictures are not here")
@pytest.mark.parametrize("of", [2])
def test_real_pictures_get_the_verdicts_of_the_runtime(run: Run, bundle: Bundle, of: int) -> None:
    executor, seen = reference(bundle, of, 0), 0
    for folder in sorted(path for path in PICTURES.iterdir() if path.is_dir()):
        path = min(find_pictures(folder).pictures)
        frame = np.ascontiguousarray(read_image(path))
        if min(frame.shape[:2]) >= 134:
            seen += 1
            agree(run, built(bundle, "bgr8", of), executor, frame, "bgr8" if frame.ndim == 3 else "gray8")
    assert seen


@pytest.mark.parametrize(
    ("of", "shape"),
    [(0, (63, 64)), (0, (64, 63)), (1, (73, 150)), (1, (100, 137)), (2, (64, 95)), (3, (130, 200)), (0, (1, 64))],
)
def test_a_frame_that_is_too_small_has_no_score_and_is_a_reject(
    run: Run, bundle: Bundle, of: int, shape: tuple[int, int]
) -> None:
    got = run(built(bundle, of=of), np.zeros((*shape, 3), np.uint8), product=0, red_first=False)
    assert np.isnan(got["score"])
    assert bool(got["reject"])


@pytest.mark.parametrize("shape", [(MAX_SIDE + 1, 64), (64, MAX_SIDE + 1)])
def test_a_frame_that_is_too_long_has_no_score_and_is_a_reject(
    run: Run, bundle: Bundle, shape: tuple[int, int]
) -> None:
    got = run(built(bundle), np.zeros((*shape, 1), np.uint8), product=0, red_first=False)
    assert np.isnan(got["score"])
    assert bool(got["reject"])
    longest = np.minimum(shape, MAX_SIDE)
    assert np.isfinite(run(built(bundle), np.zeros((*longest, 1), np.uint8), product=0, red_first=False)["score"])


def test_the_smallest_frame_of_the_metadata_is_inspected(run: Run, bundle: Bundle) -> None:
    for of, prep in enumerate(SETTINGS):
        said = metadata(built(bundle, of=of))
        shape = (int(said["min_height"]), int(said["min_width"]), 3)
        got = run(built(bundle, of=of), np.full(shape, 90, np.uint8), product=0, red_first=False)
        assert np.isfinite(got["score"])
        x, y, width, height = prep.roi or (0, 0, shape[1], shape[0])
        assert tuple(got["area"]) == (x, y, width, height)


def test_a_network_that_gives_no_number_is_a_reject(run: Run, bundle: Bundle) -> None:
    network = onnx.load_from_string(bundle.member("model.fp32.onnx"))
    (weight,) = network.graph.initializer
    values = np.array(onnx.numpy_helper.to_array(weight))
    for value in (np.nan, np.inf):
        values[2, 1] = value
        weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
        graph = built(bundle, network=network.SerializeToString())
        got = run(graph, picture(0, 80, 80), product=0, red_first=False)
        assert bool(got["reject"])
        assert not np.isfinite(got["score"])


def metadata(graph: bytes) -> dict[str, str]:
    return {one.key.removeprefix("edgeirf."): one.value for one in onnx.load_from_string(graph).metadata_props}


def test_the_metadata_says_what_a_host_needs(bundle: Bundle) -> None:
    said = metadata(built(bundle, of=1))
    assert said["schema"] == str(SCHEMA)
    assert json.loads(said["products"]) == ["part", "lid"]
    assert said["pixel_formats"] == ",".join(PLAIN)
    assert (said["roi"], said["tiles"], said["bits"]) == ("8,4,130,70", "1x1", "12")
    assert (said["min_width"], said["min_height"], said["map_width"], said["map_height"]) == ("138", "74", "96", "64")
    assert said["max_side"] == str(MAX_SIDE)
    assert "product" not in said
    assert said["Image.BitmapPixelFormat"] == "Bgr8"


@pytest.mark.parametrize("form", ["rgb8", "gray16", "bayer_gbrg8"])
def test_a_bare_file_asks_for_the_frame_alone(run: Run, bundle: Bundle, form: PixelFormat) -> None:
    graph = standalone_of(bundle, form, "lid")
    said = metadata(graph)
    assert (said["product"], said["bundle"]) == ("lid", bundle.digest)
    assert form in said["pixel_formats"].split(",")
    assert "bgr8" not in said["pixel_formats"].split(",") or form == "gray16"
    assert [one.name for one in onnx.load_from_string(graph).graph.input] == ["frame"]
    frame = from_bgr(picture(0, 80, 96), form)
    with_limits = bundle.manifest.models["fp32"].calibration["lid"].limits(0.1)
    network = OnnxRuntimeNetwork(bundle.member("model.fp32.onnx"), threads=1)
    executor = CpuExecutor(network, bundle.manifest.preprocess, bundle.manifest.models["fp32"].scoring, with_limits)
    assert float(run(graph, frame)["score"]) == pytest.approx(executor.submit(frame, form).result().score, rel=1e-5)
    assert isinstance(executor.limits, Limits)


def test_a_bundle_of_several_products_asks_for_one(bundle: Bundle) -> None:
    with pytest.raises(UsageError, match="choose one with --product: part, lid"):
        standalone_of(bundle)


def test_what_the_graph_cannot_say_is_refused_by_name(bundle: Bundle, run: Run) -> None:
    network = bundle.member("model.fp32.onnx")
    small = changed(bundle.manifest, Preprocess(size=(64, 64), roi=(0, 0, 63, 64)))
    with pytest.raises(UsageError, match=r"cannot enlarge: the region of interest has 63x64 .* the network 64x64"):
        standalone(small, "fp32", network)
    tiny = replace(bundle.manifest, frame=FrameContract(100, 63, 8, 3))
    with pytest.raises(UsageError, match=r"frames of the training have 100x63 pixels, it needs 64x64; train with a"):
        standalone(tiny, "fp32", network)
    standalone(replace(bundle.manifest, frame=FrameContract(None, None, 8, 3)), "fp32", network)
    other = onnx.load_from_string(network)
    other.opset_import[0].version = 18
    with pytest.raises(UsageError, match="is of opset 17, fp32 of 18"):
        standalone(bundle.manifest, "fp32", other.SerializeToString())


def test_the_networks_batch_is_open_as_in_the_runtime(bundle: Bundle) -> None:
    """With a batch that ONNX Runtime knows it fuses other layers, and an INT8 network rounds otherwise."""
    inferred = onnx.shape_inference.infer_shapes(onnx.load_from_string(built(bundle)), data_prop=True)
    (image,) = (one for one in inferred.graph.value_info if one.name == INPUT)
    assert not image.type.tensor_type.shape.dim or not image.type.tensor_type.shape.dim[0].HasField("dim_value")


def test_the_file_is_plain_onnx_without_dead_weight(bundle: Bundle) -> None:
    for form in ("bgr8", "bayer_rggb8", "nv12"):
        model = onnx.load_from_string(standalone_of(bundle, form, "part"))  # type: ignore[arg-type]
        assert (model.ir_version, [(one.domain, one.version) for one in model.opset_import]) == (8, [("", 17)])
        read = {name for node in model.graph.node for name in node.input}
        assert {one.name for one in model.graph.initializer} <= read
        assert not any(one.external_data for one in model.graph.initializer)
