"""A trained run to a bundle: field of the held-out parts, Gaussian, folded graph, ONNX, parity, thresholds, seal."""

from __future__ import annotations

import datetime
import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import edgeirf
from edgeirf import bundle
from edgeirf.calib.crossfit import CrossFit, cross_fit
from edgeirf.calib.gaussian import Fit
from edgeirf.conformal import Calibration, check_rate
from edgeirf.errors import EdgeirfError, UsageError
from edgeirf.export.graph import InvadGraph, IrfGraph, invad_timesteps
from edgeirf.export.onnx_graph import to_onnx
from edgeirf.manifest import Manifest, Method, Model
from edgeirf.runtime.backends.ort import OnnxRuntimeBackend
from edgeirf.runtime.chain import HostChain
from edgeirf.runtime.preprocess import Pixels, normalise
from edgeirf.runtime.scoring import score_field
from edgeirf.settings import Preprocess, Scoring
from edgeirf.trainers.run import Run
from edgeirf.trainers.train import load_model

GOLDEN_IMAGES = 4
PARITY_LIMIT = 1e-4
"""Largest relative difference of a score between torch and ONNX Runtime."""

Pictures = dict[str, NDArray[np.generic]]


@dataclass(frozen=True)
class Options:
    """What the user chooses at export.

    Attributes:
        method: ``irf`` or ``invad``.
        t: timestep of IRF.
        steps: inversion steps of InvAD.
        gaussian: fit of the field.
        false_reject_rate: alpha of the thresholds.
        sigma: smoothing of the map, pixels.
        top_k: the image score is the mean of this many map values.
    """

    method: Literal["irf", "invad"] = "irf"
    t: int = 200
    steps: int = 3
    gaussian: Fit = "full"
    false_reject_rate: float = 0.01
    sigma: float = 4.0
    top_k: int = 1

    def __post_init__(self) -> None:
        check_rate(self.false_reject_rate)
        if not 0 <= self.t < 1000:
            raise UsageError(f"--t lies between 0 and 999, not {self.t}")
        if not 1 <= self.steps <= 20:
            raise UsageError(f"--steps lies between 1 and 20, not {self.steps}")


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        manifest: of the bundle.
        parity: largest relative difference of a score, torch against ONNX Runtime.
        images: number of pictures it was measured on.
    """

    manifest: Manifest
    parity: float
    images: int


def export(
    run: Run, path: str | os.PathLike[str], options: Options, progress: Callable[[str], None] = lambda stage: None
) -> Exported:
    """Writes the bundle of a finished run.

    Args:
        run: a finished training run.
        path: the ``.irf`` file to write, atomically.
        options: method, Gaussian, rate.
        progress: told what is being done, one line a stage.

    Raises:
        EdgeirfError: the run is unfinished or damaged, or ONNX Runtime and torch disagree by more than 1e-4.
    """
    extractor, net = load_model(run)
    pictures, settings = run.calibration(), run.config.preprocess
    invad = options.method == "invad"
    timesteps = invad_timesteps(options.steps) if invad else (options.t,)
    scoring = Scoring(density="norm" if invad else "nll", sigma=options.sigma, top_k=options.top_k)
    fit: Fit = "standard" if invad else options.gaussian

    progress("residual field of the held-out parts")
    raw: nn.Module = InvadGraph(extractor, net, timesteps) if invad else IrfGraph(extractor, net, options.t)
    everything = [picture for pictures_ in pictures.values() for picture in pictures_]
    fitted = cross_fit([field_of(raw, p, settings) for p in everything], fit, scoring, settings, invad)

    progress("folding and tracing")
    graph = raw if invad else IrfGraph(extractor, net, options.t, fitted.gaussian)
    onnx_bytes = to_onnx(graph, settings.size)

    progress("comparing torch with ONNX Runtime")
    chain = HostChain(OnnxRuntimeBackend(onnx_bytes), settings, fitted.scoring)
    parity = largest_difference(graph, chain, everything)
    if not parity <= PARITY_LIMIT:
        raise EdgeirfError(
            f"ONNX Runtime and torch disagree by {parity:.1e} of a score (allowed {PARITY_LIMIT:g}):"
            " no bundle was written; report this with the versions that `edgeirf doctor` prints"
        )
    method = Method(options.method, timesteps, fit, run.config.backbone, run.config.preset)
    report = {"torch_onnx_relative_difference": parity, "images": len(everything)}
    model = Model("model.fp32.onnx", "fp32", "any", _calibrations(pictures, fitted), fitted.scoring, report=report)
    manifest = Manifest(
        name=run.config.name,
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        edgeirf=edgeirf.__version__,
        preprocess=settings,
        method=method,
        false_reject_rate=options.false_reject_rate,
        models={"fp32": model},
    )
    members = {model.file: onnx_bytes, bundle.GOLDEN: golden(chain, everything)}
    bundle.write(path, manifest, members)
    return Exported(manifest, parity, len(everything))


def field_of(graph: nn.Module, picture: Pixels, settings: Preprocess) -> NDArray[np.float32]:
    """Runs the torch graph on prepared pixels ``(T, height, width, 3)``; the field ``(T, C, h, w)``."""
    with torch.inference_mode():
        field: NDArray[np.float32] = graph(torch.from_numpy(normalise(picture, settings))).numpy()
    return field


def largest_difference(graph: nn.Module, chain: HostChain, pictures: Sequence[Pixels]) -> float:
    """Largest |torch - ONNX| of the image scores and of the map peaks, relative to the size of the score.

    InvAD's image score is standardised and may be near zero: it is compared in standard deviations there.
    """
    worst = 0.0
    for picture in pictures:
        settings = chain.settings
        torch_scored = score_field(field_of(graph, picture, settings), chain.rules, settings.size, settings.tiles)
        onnx_scored = chain.score_prepared(picture)
        scale = max(abs(torch_scored.score), 1.0 if chain.rules.latent else 1e-12)
        worst = max(worst, abs(onnx_scored.score - torch_scored.score) / scale)
        worst = max(worst, abs(onnx_scored.peak - torch_scored.peak) / max(abs(torch_scored.peak), 1e-12))
    return worst


def golden(chain: HostChain, pictures: Sequence[Pixels]) -> bytes:
    """``golden.npz``: a few held-out pictures and the scores this machine gave them, to be given again elsewhere."""
    chosen = list(pictures[:: max(1, len(pictures) // GOLDEN_IMAGES)][:GOLDEN_IMAGES])
    scores = np.array([chain.score_prepared(picture).score for picture in chosen])
    buffer = io.BytesIO()
    np.savez(buffer, images=np.stack(chosen), scores=scores)
    return buffer.getvalue()


def _calibrations(pictures: Pictures, fitted: CrossFit) -> dict[str, Calibration]:
    calibrations, start = {}, 0
    for product, images in pictures.items():
        stop = start + len(images)
        calibrations[product] = Calibration(
            tuple(sorted(fitted.scores[start:stop])), tuple(sorted(fitted.peaks[start:stop]))
        )
        start = stop
    return calibrations
