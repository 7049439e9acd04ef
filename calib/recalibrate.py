"""New thresholds from fresh good parts, without training and without PyTorch: the line changed, the product did not.

The graphs and the golden scores stay as they are, unless the centre of the densities is moved, too. As at export, each
picture counts with the larger score of itself and of a copy that is changed within the tolerances of the bundle, so
that the threshold keeps its promise for what the line may do; and pictures that do not look like the others set no
threshold.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import edgeirf
from edgeirf import bundle as bundles
from edgeirf.bundle import Bundle
from edgeirf.calib.conditions.directions import measure_directions
from edgeirf.calib.conditions.tolerances import Tolerances
from edgeirf.calib.evaluation.odd_pictures import Examination, examine
from edgeirf.calib.fresh_parts import Fresh, check_product, good_pictures, read_fresh
from edgeirf.calib.reports.model_page import model_page
from edgeirf.conformal import Calibration
from edgeirf.line_graph import MEMBER as LINE
from edgeirf.manifest import Family, Manifest, Model
from edgeirf.runtime.executors.cpu import CpuExecutor
from edgeirf.runtime.executors.onnxruntime import OnnxRuntimeNetwork
from edgeirf.runtime.imaging.pixel_format import Pixels
from edgeirf.runtime.monitor import directions
from edgeirf.runtime.monitor.statistics import FrameStatistics

Recentre = Callable[[Sequence[Pixels]], Bundle]
"""Prepared pixels of good parts and their changed copies to a bundle whose densities are centred on them."""
NetworkOf = Callable[[bytes, str, Family], OnnxRuntimeNetwork]
"""A graph, its precision and what it is laid out for, to the network that computes it as its GPU does."""
UNROUNDED = "its thresholds were set without FP16's rounding: pip install onnx, and recalibrate the former bundle again"
LineOf = Callable[[Bundle], bytes]
"""A bundle that need not be on disk to its standalone graph."""


@dataclass(frozen=True)
class Recalibration:
    """What was found and written.

    Attributes:
        path: the new bundle.
        before, after: its manifests.
        product: whose thresholds are new.
        rate: false-reject rate that was asked for.
        examined: the fresh parts, under FP32.
        scores: of all fresh pictures under the old FP32 graph, without their changed copies.
    """

    path: Path
    before: Manifest
    after: Manifest
    product: str
    rate: float
    examined: Examination
    scores: tuple[float, ...]

    def thresholds(self, key: str) -> tuple[float, float]:
        """Old and new threshold of a graph."""
        old, new = (
            m.models[key].calibration[self.product].score_threshold(self.rate) for m in (self.before, self.after)
        )
        return old, new

    @property
    def rejected_before(self) -> int:
        """Fresh pictures that the old FP32 threshold rejects."""
        old, _ = self.thresholds("fp32")
        return sum(score > old for score in self.scores)


def recalibrate(
    bundle: Bundle,
    folder: Path,
    path: str | os.PathLike[str],
    product: str,
    *,
    excluded: Sequence[Path] = (),
    keep_odd: bool = False,
    recentre: Recentre | None = None,
    line: LineOf | None = None,
    faithful: NetworkOf | None = None,
    progress: Callable[[str], None] = lambda stage: None,
) -> Recalibration:
    """Writes a bundle with new thresholds.

    Args:
        bundle: the bundle of today.
        folder: pictures of fresh good parts; of a folder with ``good/`` beside defects only those in ``good/``.
        path: the ``.irf`` file to write, atomically.
        product: whose thresholds are set.
        excluded: pictures to leave out.
        keep_odd: let pictures that do not look like the others set the threshold, too.
        recentre: gives the bundle with its densities moved to some pictures; every third picture is for that, and sets
            no threshold.
        line: writes the standalone graph with the new thresholds, where the bundle has one; None leaves it out.
        progress: receives one line a stage.

    Raises:
        UsageError: there are too few pictures, or some do not show the product.
        FrameError: a picture cannot be read.
    """
    old = bundle.manifest
    progress("reading the pictures")
    fresh = read_fresh(good_pictures(folder, excluded), old)
    progress("scores of fp32")
    before = score(bundle, old.models["fp32"], fresh)
    # Under the old centre: a new one would make any product look usual.
    check_product(fresh.paths, before[:, 0, 0].tolist(), old.models["fp32"].calibration[product], old.false_reject_rate)
    rejected = tuple(before[:, 0, 0].tolist())
    if recentre is not None:
        centre, fresh = fresh.split()
        bundle = recentre([*centre.clean, *centre.varied])
    manifest = bundle.manifest
    models: dict[str, Model] = {}
    examined: Examination | None = None
    for key in ["fp32", *(key for key in manifest.models if key != "fp32")]:
        model = manifest.models[key]
        progress(f"thresholds of {key}")
        pairs = before if recentre is None and key == "fp32" else score(bundle, model, fresh, faithful)
        scores, peaks = pairs.max(axis=1).T
        examined = examined or examine(fresh.paths, scores.tolist(), manifest.false_reject_rate)
        odd = 0 if keep_odd else len(examined.odd)
        own = Calibration(tuple(np.sort(scores).tolist()), tuple(np.sort(peaks).tolist()), odd)
        refused = model.refused or (UNROUNDED if model.precision == "fp16" and faithful is None else None)
        models[key] = replace(model, calibration={**model.calibration, product: own}, refused=refused)
    assert examined is not None  # noqa: S101  # a bundle has fp32
    models = {key: models[key] for key in manifest.models}
    changed = replace(manifest, edgeirf=edgeirf.__version__, models=models, members={})
    progress("writing the bundle")
    members = _members(bundle, changed, fresh, product)
    if line is not None and LINE in bundle.manifest.members:
        members[LINE] = line(Bundle(Path(path), changed, members, ""))
    bundles.write(path, changed, members)
    return Recalibration(Path(path), old, changed, product, old.false_reject_rate, examined, rejected)


def score(
    bundle: Bundle, model: Model, fresh: Fresh, faithful: NetworkOf | None = None
) -> np.ndarray[tuple[int, int, int], np.dtype[np.float64]]:
    """``(n, 2, 2)``: of every picture and its changed copy, the image score and the map's largest value."""
    network = (faithful or _plain)(bundle.member(model.file), model.precision, model.family)
    executor = CpuExecutor(network, bundle.manifest.preprocess, model.scoring)
    found = np.empty((len(fresh.paths), 2, 2))
    for at, pair in enumerate(zip(fresh.clean, fresh.varied, strict=True)):
        for which, picture in enumerate(pair):
            scored = executor.score_pixels(picture)
            found[at, which] = scored.score, scored.peak
    executor.close()
    return found


def _plain(graph: bytes, precision: str, family: Family) -> OnnxRuntimeNetwork:
    return OnnxRuntimeNetwork(graph, fuse_int8=family != "tensorrt")


def _members(bundle: Bundle, changed: Manifest, fresh: Fresh, product: str) -> dict[str, bytes]:
    """Graphs and golden scores as they are, page and directions of change anew; without the standalone graph."""
    settings, model = changed.preprocess, changed.models["fp32"]
    measure = FrameStatistics(settings, bundle.golden["images"])  # type: ignore[arg-type]
    known = {name: directions.read_directions(bundle, name) for name in changed.products}
    known[product] = measure_directions(fresh.clean, measure, Tolerances.parse(changed.method.tolerate))
    executor = CpuExecutor(OnnxRuntimeNetwork(bundle.member(model.file)), settings, model.scoring)
    members = {name: bundle.member(name) for name in bundle.manifest.members if name != LINE}
    members[bundles.REPORT] = model_page(changed, executor, {product: fresh.clean}).encode()
    members[directions.MEMBER] = directions.to_json({name: found for name, found in known.items() if found})
    executor.close()
    return members
