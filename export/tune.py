"""A bundle scored anew: smoothing and image score chosen by a few labelled parts; the graphs stay as they are.

Labelled parts choose, and the held-out parts of the run set the thresholds. The held-out parts have no say in the
choice, so the conformal promise holds for the chosen scoring as it held for the first one.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import edgeirf
from edgeirf import bundle as bundles
from edgeirf.bundle import Bundle
from edgeirf.calib.evaluation.samples import GOOD, find_samples
from edgeirf.calib.fitting.selection import FEWEST, Floats, Worth, candidates, choose, nested, worth
from edgeirf.calib.gate.gate import LIMITS, Margins, compare, refusal
from edgeirf.calib.reports.model_page import model_page
from edgeirf.conformal import Calibration
from edgeirf.errors import UsageError
from edgeirf.export.precision.network import faithful
from edgeirf.export.standalone.member import with_line
from edgeirf.files import sha256
from edgeirf.line_graph import MEMBER as LINE
from edgeirf.manifest import Model
from edgeirf.runtime.executors import golden
from edgeirf.runtime.executors.cpu import CpuExecutor
from edgeirf.runtime.executors.onnxruntime import OnnxRuntimeNetwork
from edgeirf.runtime.imaging.images import read_image
from edgeirf.runtime.imaging.pixel_format import Pixels
from edgeirf.runtime.imaging.preprocess import normalise, prepare
from edgeirf.runtime.monitor import directions
from edgeirf.runtime.scoring import score_field
from edgeirf.settings import Preprocess, Scoring
from edgeirf.trainers.run import Run

SAME_RUN = 1e-2
"""Largest relative difference of the held-out scores from those in the bundle."""

Field = NDArray[np.float32]


@dataclass(frozen=True)
class Tuned:
    """What was chosen by labelled parts.

    Attributes:
        before, after: the scorings; equal where no other one is better by more than chance.
        worth_before: of the first scoring, on all labelled parts.
        worth_after: of the chosen one, on the parts that chose it: too good to be expected again.
        worth_honest: of the choice, on parts that had no say in it.
        good, defective: number of labelled parts.
        left_out: labelled good parts that are pictures of the run, so they prove nothing.
    """

    before: Scoring
    after: Scoring
    worth_before: Worth
    worth_after: Worth
    worth_honest: Worth
    good: int
    defective: int
    left_out: int


@dataclass(frozen=True)
class Labelled:
    """Prepared pixels of labelled parts, and how many were left out."""

    good: list[Pixels]
    defective: list[Pixels]
    left_out: int


@dataclass(frozen=True)
class _Parts:
    """Fields of one graph: of the labelled parts, and of each product's held-out parts and their variants."""

    good: list[Field]
    defective: list[Field]
    held_out: dict[str, list[Field]]
    varied: dict[str, list[Field]]

    def calibrations(
        self, scoring: Scoring, settings: Preprocess, before: Mapping[str, Calibration]
    ) -> dict[str, Calibration]:
        """As at export: a part counts with the larger one of its two pictures, and odd ones set no threshold."""
        found = {}
        for product, clean in self.held_out.items():
            pairs = [
                (_scored(c, scoring, settings), _scored(v, scoring, settings))
                for c, v in zip(clean, self.varied[product], strict=True)
            ]
            scores = sorted(max(c[0], v[0]) for c, v in pairs)
            peaks = sorted(max(c[1], v[1]) for c, v in pairs)
            odd = before[product].odd if product in before else 0
            found[product] = Calibration(tuple(scores), tuple(peaks), odd)
        return found


def read_labelled(folder: Path, run: Run, settings: Preprocess) -> Labelled:
    """The labelled parts of a folder, prepared for the network.

    Raises:
        UsageError: fewer than five good or five defective parts that are no pictures of the run.
        FrameError: a picture cannot be read.
    """
    known = {picture.sha256 for picture in run.config.pictures}
    good: list[Pixels] = []
    defective: list[Pixels] = []
    left_out = 0
    for sample in find_samples(folder):
        if sha256(sample.path.read_bytes()) in known:
            left_out += 1
            continue
        (good if sample.defect == GOOD else defective).append(prepare(read_image(sample.path), settings))
    if min(len(good), len(defective)) < FEWEST:
        raise UsageError(
            f"{folder} has {len(good)} good and {len(defective)} defective parts that the run has not seen: "
            f"a choice needs at least {FEWEST} of each"
        )
    return Labelled(good, defective, left_out)


def tune(
    bundle: Bundle,
    run: Run,
    folder: Path,
    product: str,
    path: str | os.PathLike[str],
    progress: Callable[[str], None] = lambda stage: None,
) -> Tuned:
    """Chooses smoothing and image score, and writes the bundle with them where they differ from the present ones.

    Args:
        bundle: to be scored anew.
        run: that it was exported from; keeps the held-out parts.
        folder: of labelled parts, see :func:`edgeirf.calib.evaluation.samples.find_samples`.
        product: that the labelled parts are.
        path: the ``.irf`` file to write, atomically.
        progress: gets one line for each stage.

    Raises:
        UsageError: too few labelled parts, another run, or a bundle whose score has no smoothing to choose.
    """
    if run.config.cross_fit:
        raise UsageError(f"{run.folder} is cross-fitted, which tune cannot score anew: see export --sigma, --top-k")
    manifest = bundle.manifest
    settings, model = manifest.preprocess, manifest.models["fp32"]
    if model.scoring.latent is not None:
        raise UsageError(f"{bundle.path} scores by the latent (InvAD): tune chooses for scores of the anomaly map")
    labelled = read_labelled(folder, run, settings)
    progress("fields of the labelled and the held-out parts")
    parts = _fields(_network(bundle, model), labelled, run, settings)
    _check_run(bundle, run, parts.calibrations(model.scoring, settings, model.calibration), product)
    progress("choosing")
    size = settings.size[0] * settings.tiles[0] * settings.size[1] * settings.tiles[1]
    scorings = candidates(model.scoring, size)
    good, defective = (_table(fields, scorings, settings) for fields in (parts.good, parts.defective))
    calibrations = [parts.calibrations(scoring, settings, model.calibration)[product] for scoring in scorings]
    thresholds = [each.score_threshold(manifest.false_reject_rate) for each in calibrations]
    at = choose(good, defective)
    tuned = Tuned(
        before=scorings[0],
        after=scorings[at],
        worth_before=worth(good[0], defective[0], thresholds[0]),
        worth_after=worth(good[at], defective[at], thresholds[at]),
        worth_honest=nested(good, defective, thresholds),
        good=len(labelled.good),
        defective=len(labelled.defective),
        left_out=labelled.left_out,
    )
    if at:
        spread = max(float(np.std(calibrations[at].scores)), 1e-9)
        _write(bundle, run, scorings[at], labelled, product, spread, path, progress)
    return tuned


def _write(
    bundle: Bundle,
    run: Run,
    scoring: Scoring,
    labelled: Labelled,
    product: str,
    spread: float,
    path: str | os.PathLike[str],
    progress: Callable[[str], None],
) -> None:
    """The bundle with another scoring: thresholds, golden scores and the gate's findings are computed again.

    ``spread`` is the standard deviation of the held-out scores, the unit of the gate's margins.
    """
    manifest, settings = bundle.manifest, bundle.manifest.preprocess
    executor = CpuExecutor(_network(bundle, manifest.models["fp32"]), settings, scoring)
    images = bundle.golden["images"]
    fresh: dict[str, NDArray[Any]] = {
        "images": images,
        "scores": np.array([executor.score_pixels(image).score for image in images]),
    }
    models: dict[str, Model] = {}
    reference: Margins | None = None
    for key in ["fp32", *(key for key in manifest.models if key != "fp32")]:
        model = manifest.models[key]
        progress(f"thresholds of {key}")
        network = _network(bundle, model)
        parts = _fields(network, labelled, run, settings)
        calibration = parts.calibrations(scoring, settings, model.calibration)
        threshold = calibration[product].score_threshold(manifest.false_reject_rate)
        margins = Margins(
            *((_table(fields, [scoring], settings)[0] - threshold) / spread for fields in (parts.good, parts.defective))
        )
        new = replace(model, calibration=calibration, scoring=scoring)
        if reference is not None:
            new = _proved(new, reference, margins, golden.error(fresh, settings, scoring, network))
        reference = reference or margins
        models[key] = new
    changed = replace(manifest, edgeirf=edgeirf.__version__, models=models, members={})
    pictures = {name: list(part.clean) for name, part in run.held_out().items()}
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **fresh)
    members = {model.file: bundle.member(model.file) for model in models.values()}
    members |= {bundles.GOLDEN: buffer.getvalue(), bundles.REPORT: model_page(changed, executor, pictures).encode()}
    if directions.MEMBER in manifest.members:
        members[directions.MEMBER] = bundle.member(directions.MEMBER)
    bundles.write(path, changed, with_line(path, changed, members) if LINE in manifest.members else members)


def _proved(model: Model, reference: Margins, margins: Margins, golden_error: float) -> Model:
    """The gate again, on the labelled parts; a graph that was refused stays refused."""
    limits = LIMITS[model.precision]
    found = compare(reference, margins, limits)
    tolerance = round(min(0.9, 0.01 + 2 * golden_error), 4)
    report = replace(model.report, labelled=found if found.is_finite else None, golden_tolerance=tolerance)
    return replace(model, report=report, refused=model.refused or refusal({"labelled": found}, limits))


def _network(bundle: Bundle, model: Model) -> OnnxRuntimeNetwork:
    return faithful(bundle.member(model.file), model.precision, model.family)


def _fields(network: OnnxRuntimeNetwork, labelled: Labelled, run: Run, settings: Preprocess) -> _Parts:
    def fields(pictures: Sequence[Pixels]) -> list[Field]:
        return [network.run(normalise(picture, settings)) for picture in pictures]

    held_out = run.held_out()
    return _Parts(
        fields(labelled.good),
        fields(labelled.defective),
        {name: fields(list(part.clean)) for name, part in held_out.items()},
        {name: fields(list(part.varied)) for name, part in held_out.items()},
    )


def _scored(field: Field, scoring: Scoring, settings: Preprocess) -> tuple[float, float]:
    """Image score and largest map value."""
    found = score_field(field, scoring, settings.size, settings.tiles)
    return found.score, found.peak


def _table(fields: Sequence[Field], scorings: Sequence[Scoring], settings: Preprocess) -> Floats:
    """Image scores ``(scorings, fields)``."""
    return np.array([[_scored(field, scoring, settings)[0] for field in fields] for scoring in scorings])


def _check_run(bundle: Bundle, run: Run, again: dict[str, Calibration], product: str) -> None:
    """Raises UsageError where the run's held-out parts do not score as the bundle says."""
    kept = bundle.manifest.models["fp32"].calibration.get(product)
    scored = again.get(product)
    if (
        kept is None
        or scored is None
        or kept.count != scored.count
        or not np.allclose(kept.scores, scored.scores, rtol=SAME_RUN)
    ):
        raise UsageError(f"{run.folder} is not the run of {bundle.path}: its held-out parts score otherwise")
