"""A fitted baseline to a bundle: traced, calibrated on the run's held-out parts, proved in every precision."""

from __future__ import annotations

import datetime
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn

import edgeirf
from edgeirf import bundle
from edgeirf.calib.fitting.crossfit import CrossFit
from edgeirf.calib.fitting.gaussian import Gaussian
from edgeirf.export.onnx.trace import to_onnx
from edgeirf.export.precision.candidates import Fp32, Made, Prover, calibrations
from edgeirf.export.precision.validation import Pictures, gather
from edgeirf.manifest import Manifest, Method, Model
from edgeirf.runtime.executors.onnxruntime import OnnxRuntimeNetwork
from edgeirf.runtime.imaging.pixel_format import Pixels
from edgeirf.runtime.imaging.preprocess import normalise
from edgeirf.runtime.scoring import Scored, score_field
from edgeirf.settings import Preprocess, Scoring
from edgeirf.trainers.run import Run

GOLDEN_IMAGES = 4


@dataclass(frozen=True)
class _Traced:
    """The FP32 graph with the scores of the held-out parts. No part was used for the fit: the scores are fair."""

    graph: bytes
    scoring: Scoring
    settings: Preprocess

    def score(self, pictures: Sequence[Pixels]) -> list[Scored]:
        network = OnnxRuntimeNetwork(self.graph)
        fields = (network.run(normalise(picture, self.settings)) for picture in pictures)
        return [score_field(field, self.scoring, self.settings.size, self.settings.tiles) for field in fields]


def write_bundle(
    run: Run, graph: nn.Module, method: str, path: Path, precisions: Sequence[str], rate: float = 0.01
) -> list[Made]:
    """Writes the bundle; its name and preset say which baseline it is, since the manifest knows edgeirf's methods only.

    Args:
        run: whose held-out parts set the thresholds.
        graph: image in, ``(N, 1, h, w)`` field out, half of whose square is the anomaly map.
        method: ``padim`` or ``patchcore``.
        path: the ``.irf`` file to write.
        precisions: of ``fp32``, ``fp16``, ``int8``; ``fp32`` is always made.
        rate: false-reject rate of the thresholds.

    Returns:
        the reduced precisions, refused ones among them; the bundle holds those that passed.
    """
    settings, scoring = run.config.preprocess, Scoring()
    pictures: Pictures = {name: list(group) for name, group in run.calibration().items()}
    everything = [picture for group in pictures.values() for picture in group]
    traced = _Traced(to_onnx(graph, settings.size), scoring, settings)
    scored = traced.score(everything)
    fitted = CrossFit(
        Gaussian(np.zeros(1), np.eye(1)), scoring, [one.score for one in scored], [one.peak for one in scored]
    )
    chosen = range(0, len(everything), max(1, len(everything) // GOLDEN_IMAGES))[:GOLDEN_IMAGES]
    golden = {
        "images": np.stack([everything[i] for i in chosen]),
        "scores": np.array([scored[i].score for i in chosen]),
    }
    reference = Fp32(traced.graph, settings, scoring, "standard", False, fitted, golden)
    made = _reduced(reference, pictures, precisions, rate)
    passed = [one for one in made if one.model.refused is None]
    fp32 = Model("model.fp32.onnx", "fp32", "any", calibrations(pictures, fitted), scoring)
    manifest = Manifest(
        name=f"{method}-{run.config.name}",
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        edgeirf=edgeirf.__version__,
        preprocess=settings,
        method=Method("irf", (0,), "standard", run.config.backbone, method),
        false_reject_rate=rate,
        models={"fp32": fp32, **{one.key: one.model for one in passed}},
    )
    stored = io.BytesIO()
    np.savez(stored, allow_pickle=False, **golden)
    graphs = {fp32.file: traced.graph, **{one.model.file: one.graph for one in passed}}
    bundle.write(path, manifest, {**graphs, bundle.GOLDEN: stored.getvalue()})
    return made


def _reduced(reference: Fp32, pictures: Pictures, precisions: Sequence[str], rate: float) -> list[Made]:
    if not set(precisions) - {"fp32"}:
        return []
    prover = Prover(reference, gather(pictures, reference.settings), rate)
    made = [prover.fp16()] if "fp16" in precisions else []
    return made + (prover.int8(pictures, "minmax", "edgeirf") if "int8" in precisions else [])
