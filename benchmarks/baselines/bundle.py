"""A fitted baseline to a bundle: traced, calibrated on the run's held-out parts."""

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
from edgeirf.export.fair import by_product, calibrations
from edgeirf.export.methods.fit import Fitted
from edgeirf.export.onnx.trace import to_onnx
from edgeirf.export.precision.validation import Pictures
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


def write_bundle(run: Run, graph: nn.Module, method: str, path: Path, rate: float = 0.01) -> None:
    """Writes the FP32 bundle; its name and preset say which baseline it is, since the manifest knows edgeirf's methods.

    Args:
        run: whose held-out parts set the thresholds, each with the larger score of its picture and its variant.
        graph: image in, ``(N, 1, h, w)`` field out, half of whose square is the anomaly map.
        method: ``padim`` or ``patchcore``.
        path: the ``.irf`` file to write.
        rate: false-reject rate of the thresholds.
    """
    settings, scoring, held_out = run.config.preprocess, Scoring(), run.held_out()
    pictures: Pictures = {name: list(part.clean) for name, part in held_out.items()}
    everything = [picture for group in pictures.values() for picture in group]
    traced = _Traced(to_onnx(graph, settings.size), scoring, settings)
    scored = traced.score(everything)
    varied = traced.score([picture for part in held_out.values() for picture in part.varied])
    pairs = list(zip(scored, varied, strict=True))
    fitted = Fitted((), [max(a.score, b.score) for a, b in pairs], [max(a.peak, b.peak) for a, b in pairs])
    chosen = range(0, len(everything), max(1, len(everything) // GOLDEN_IMAGES))[:GOLDEN_IMAGES]
    golden = {
        "images": np.stack([everything[i] for i in chosen]),
        "scores": np.array([scored[i].score for i in chosen]),
    }
    counts = {name: len(group) for name, group in pictures.items()}
    fair = by_product(counts, fitted)
    fp32 = Model("model.fp32.onnx", "fp32", "any", calibrations(fair, {}), scoring)
    manifest = Manifest(
        name=f"{method}-{run.config.name}",
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        edgeirf=edgeirf.__version__,
        preprocess=settings,
        method=Method("irf", (0,), "standard", run.config.backbone, method),
        false_reject_rate=rate,
        models={"fp32": fp32},
    )
    stored = io.BytesIO()
    np.savez(stored, allow_pickle=False, **golden)
    bundle.write(path, manifest, {fp32.file: traced.graph, bundle.GOLDEN: stored.getvalue()})
