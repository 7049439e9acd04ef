"""Writes the shared vectors again: ``python tests/data/embed/remake.py``. The pictures beside it stay as they are.

Bundles (``line.onnx`` inside) and bare graphs, frames in every pixel format, and in ``expected.json`` what the Python
runtime says of each: hosts in other languages are held to it.
"""

from __future__ import annotations

import io
import json
from dataclasses import replace
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

import edgeirf
from edgeirf import bundle as bundles
from edgeirf.bundle import Bundle
from edgeirf.conformal import Calibration
from edgeirf.export.standalone.graph import standalone_of
from edgeirf.export.standalone.member import with_line
from edgeirf.gate_report import GateReport
from edgeirf.manifest import Manifest, Model
from edgeirf.runtime.executors.cpu import CpuExecutor
from edgeirf.runtime.executors.onnxruntime import OnnxRuntimeNetwork
from edgeirf.runtime.imaging.pixel_format import Pixels, frame_shape, frame_size, from_bgr
from edgeirf.runtime.imaging.preprocess import normalise
from edgeirf.runtime.scoring import latent_statistics
from edgeirf.settings import PixelFormat, Preprocess, Scoring

HERE = Path(__file__).parent
TESTS = HERE.parents[1]
SETTINGS = {
    "whole.irf": Preprocess(size=(64, 64)),
    "roi.irf": Preprocess(size=(32, 64), roi=(8, 4, 80, 66)),
    "tiles.irf": Preprocess(size=(32, 32), tiles=(2, 1), color="gray", bits=12),
}
RAW: dict[str, tuple[str, PixelFormat]] = {
    "one.bgr16": ("one.ppm", "bgr16"),
    "good.gray16": ("good.pgm", "gray16"),
    "one.bayer_rggb8": ("one.ppm", "bayer_rggb8"),
    "one.nv12": ("one.ppm", "nv12"),
}
"""File of a frame's bytes, as a camera has them in memory: the picture it is of, and its format."""
CUT = (slice(0, 66), slice(0, 64))
"""Of a picture that becomes one of 16 bits: files stay small."""
BARE: dict[str, PixelFormat] = {"bayer_rggb8.onnx": "bayer_rggb8", "nv12.onnx": "nv12"}
"""Bare graphs of ``whole.irf``."""


def load_module(path: Path) -> ModuleType:
    spec = util.spec_from_file_location(path.stem + "_of_vectors", path)
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def frame_of(case: dict[str, Any]) -> Pixels:
    """A frame of the vectors as the Python runtime takes it."""
    path, form = HERE / case["picture"], case["pixel_format"]
    if path.suffix in (".ppm", ".pgm"):
        return from_bgr(picture(path.name), form)
    dtype = np.uint16 if form.endswith("16") else np.uint8
    pixels: Pixels = np.fromfile(path, dtype).reshape(frame_shape((case["height"], case["width"]), form))
    return pixels


def picture(name: str) -> NDArray[np.uint8]:
    """``(H, W, 3)`` BGR of a PPM or PGM."""
    return np.asarray(cv2.imread(str(HERE / name)), np.uint8)


def write_bundles() -> None:
    """Fits calibrations to 20 noisy pictures; ``roi.irf`` knows two products, ``tiles.irf`` scores INT8 as InvAD."""
    tests = load_module(TESTS / "conftest.py")
    int8 = load_module(TESTS / "export" / "standalone" / "conftest.py")
    for name, settings in SETTINGS.items():
        products = ("part", "lid") if name == "roi.irf" else ("part",)
        options = {"settings": settings, "products": products, "held_out": 20, "false_reject_rate": 0.05}
        tests.make_tiny_bundle(HERE / name, name=name.removesuffix(".irf"), **options)
        bundle = Bundle.read(HERE / name)
        manifest = replace(bundle.manifest, models=dict(bundle.manifest.models))
        fp32 = manifest.models["fp32"]
        members = {one: bundle.member(one) for one in manifest.members}
        if name == "roi.irf":
            own = fp32.calibration["lid"]
            wider = Calibration(tuple(4200 * one for one in own.scores), tuple(4200 * one for one in own.peaks))
            manifest.models["fp32"] = replace(fp32, calibration={"part": own, "lid": wider})
        scores = bundle.golden["scores"]
        if name == "tiles.irf":
            members["model.int8.onnx"] = int8.int8_network(members[fp32.file])
            manifest, scores = as_invad(manifest, members, bundle.golden["images"])
        stored = io.BytesIO()  # one golden image is enough here
        np.savez(stored, images=bundle.golden["images"][:1], scores=scores[:1])
        members[bundles.GOLDEN] = stored.getvalue()
        bundles.write(HERE / name, manifest, with_line(HERE / name, manifest, members))


def as_invad(
    manifest: Manifest, members: dict[str, bytes], golden: NDArray[Any]
) -> tuple[Manifest, NDArray[np.float64]]:
    """The manifest with InvAD's score for both precisions, and the golden scores of FP32."""
    settings = manifest.preprocess
    shape = (20, settings.tiles[0] * settings.tiles[1], *settings.size, 1)
    images = np.random.default_rng(2).normal(128, 20, shape).clip(0, 255).astype(np.uint8).repeat(3, -1)
    models, scores = {}, []
    for precision, file in (("fp32", "model.fp32.onnx"), ("int8", "model.int8.onnx")):
        scoring = Scoring(density="norm", sigma=2.0)
        executor = CpuExecutor(OnnxRuntimeNetwork(members[file], threads=1), settings, scoring)
        fields = [executor.network.run(normalise(one, settings)) for one in images]
        maps = [executor.score_pixels(one).map for one in images]
        terms = np.array([latent_statistics(*pair) for pair in zip(fields, maps, strict=True)])
        mean, deviation = terms.mean(0).tolist(), terms.std(0).tolist()
        executor.rules = replace(scoring, latent=(mean[0], deviation[0], mean[1], deviation[1]))
        scored = [executor.score_pixels(image) for image in images]
        peaks = tuple(sorted(one.peak for one in scored))
        calibration = {"part": Calibration(tuple(sorted(one.score for one in scored)), peaks)}
        report = GateReport(golden_tolerance=0.9)  # of a good picture's score, which is a difference about zero
        kind: dict[str, Any] = {"precision": precision, "family": "any" if precision == "fp32" else "onnxruntime"}
        models[precision] = Model(file, calibration=calibration, scoring=executor.rules, report=report, **kind)
        scores.append([executor.score_pixels(image).score for image in golden])
    return replace(manifest, models=models), np.array(scores[0])


def write_frames() -> None:
    for name, (source, form) in RAW.items():
        pixels = from_bgr(picture(source)[CUT if form.endswith("16") else ...], form)
        (pixels // 16 if form.endswith("16") else pixels).tofile(HERE / name)  # 12 bits
    for name, form in BARE.items():
        (HERE / name).write_bytes(standalone_of(Bundle.read(HERE / "whole.irf"), form))


def cases() -> list[dict[str, Any]]:
    """What is asked: file, frame, format, product."""
    plain = ["good.ppm", "one.ppm", "two.ppm", "gray.pgm", "good.pgm"]
    asked = [
        *(("whole.irf", name, "part") for name in plain),
        *(("roi.irf", name, "part") for name in plain),
        *(("roi.irf", name, "lid") for name in ("one.ppm", "gray.pgm")),
        *(("tiles.irf", name, "part") for name in ("good.ppm", "two.ppm", "one.bgr16", "good.gray16")),
        ("bayer_rggb8.onnx", "one.bayer_rggb8", "part"),
        ("nv12.onnx", "one.nv12", "part"),
    ]
    found = []
    for file, name, product in asked:
        source, form = RAW.get(name, (name, "gray8" if name.endswith(".pgm") else "bgr8"))
        height, width = frame_size(from_bgr(picture(source)[CUT if form.endswith("16") else ...], form), form)
        facts = {"pixel_format": form, "width": width, "height": height, "product": product}
        found.append({"bundle": file, "picture": name, **facts})
    return found


def verdict(case: dict[str, Any]) -> dict[str, Any]:
    """What the Python runtime says; a bare graph is one of ``whole.irf``."""
    path = HERE / (case["bundle"] if case["bundle"].endswith(".irf") else "whole.irf")
    with edgeirf.load(path, device="cpu", threads=1, product=case["product"]) as detector:
        said = detector(frame_of(case), pixel_format=case["pixel_format"])
    names = ("reject", "score", "p_value", "threshold", "pixel_threshold")
    regions = [[r.x, r.y, r.width, r.height, r.area, r.peak] for r in said.regions]
    return {**{name: getattr(said, name) for name in names}, "regions": regions}


if __name__ == "__main__":
    write_bundles()
    write_frames()
    (HERE / "expected.json").write_text(json.dumps([{**case, **verdict(case)} for case in cases()], indent=1) + "\n")
