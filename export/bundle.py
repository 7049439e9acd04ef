"""A trained run to a bundle: field of the held-out parts, Gaussian, folded graph, ONNX, parity, thresholds, seal."""

from __future__ import annotations

import datetime
import io
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import edgeirf
from edgeirf import bundle
from edgeirf.calib.fitting.crossfit import cross_fit
from edgeirf.calib.fitting.gaussian import Fit
from edgeirf.calib.fitting.ranges import METHODS
from edgeirf.calib.fitting.ranges import Method as RangeMethod
from edgeirf.calib.reports.model_page import model_page
from edgeirf.conformal import check_rate
from edgeirf.errors import EdgeirfError, UsageError
from edgeirf.export.methods.graphs import InvadGraph, IrfGraph, invad_timesteps
from edgeirf.export.onnx.trace import to_onnx
from edgeirf.export.precision.candidates import PRECISIONS, Fp32, Made, Prover, calibrations
from edgeirf.export.precision.quantisers.quantiser import QUANTISERS
from edgeirf.export.precision.validation import Pictures, calibration_pictures, gather
from edgeirf.manifest import Manifest, Method, Model
from edgeirf.runtime.executors.chain import HostChain
from edgeirf.runtime.executors.onnxruntime import OnnxRuntimeBackend
from edgeirf.runtime.imaging.pixel_format import Pixels
from edgeirf.runtime.imaging.preprocess import normalise
from edgeirf.runtime.scoring import score_field
from edgeirf.settings import Preprocess, Scoring
from edgeirf.trainers.run import Run
from edgeirf.trainers.train import load_model

GOLDEN_IMAGES = 4
PARITY_IMAGES = 16
PARITY_LIMIT = 1e-4
"""Largest relative difference of a score between torch and ONNX Runtime."""


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
        precisions: of ``fp32``, ``fp16``, ``int8``; ``fp32`` is always made.
        calibration_method: how INT8 ranges come from pictures: ``minmax``, ``percentile`` or ``entropy``.
        quantiser: ``edgeirf`` or ``modelopt``.
        calibration_folder: good parts for the INT8 ranges; None takes the held-out ones.
        validation_folder: labelled images that the precisions must also pass on.
        keep_refused: keep precisions that fail their gate in the bundle, marked.
    """

    method: Literal["irf", "invad"] = "irf"
    t: int = 200
    steps: int = 3
    gaussian: Fit = "full"
    false_reject_rate: float = 0.01
    sigma: float = 4.0
    top_k: int = 1
    precisions: tuple[str, ...] = ("fp32",)
    calibration_method: RangeMethod = "minmax"
    quantiser: str = "edgeirf"
    calibration_folder: Path | None = None
    validation_folder: Path | None = None
    keep_refused: bool = False

    def __post_init__(self) -> None:
        check_rate(self.false_reject_rate)
        try:
            Scoring(sigma=self.sigma, top_k=self.top_k)
        except ValueError as error:
            raise UsageError(f"--sigma {self.sigma:g}, --top-k {self.top_k}: {error}") from None
        if not 0 <= self.t < 1000:
            raise UsageError(f"--t lies between 0 and 999, not {self.t}")
        if not 1 <= self.steps <= 20:
            raise UsageError(f"--steps lies between 1 and 20, not {self.steps}")
        if unknown := set(self.precisions) - set(PRECISIONS):
            raise UsageError(f"no precision {', '.join(sorted(unknown))}: --precision takes {', '.join(PRECISIONS)}")
        if self.calibration_method not in METHODS:
            raise UsageError(f"--calibration-method is one of {', '.join(METHODS)}, not {self.calibration_method!r}")
        if self.quantiser not in QUANTISERS:
            raise UsageError(f"--quantiser is one of {', '.join(QUANTISERS)}, not {self.quantiser!r}")


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        manifest: of the bundle.
        parity: largest relative difference of a score, torch against ONNX Runtime.
        images: number of pictures it was measured on.
        reduced: the FP16 and INT8 graphs that were made, refused ones among them.
    """

    manifest: Manifest
    parity: float
    images: int
    reduced: tuple[Made, ...] = ()


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
    pictures: Pictures = {name: list(group) for name, group in run.calibration().items()}
    settings = run.config.preprocess
    invad = options.method == "invad"
    timesteps = invad_timesteps(options.steps) if invad else (options.t,)
    scoring = Scoring(density="norm" if invad else "nll", sigma=options.sigma, top_k=options.top_k)
    fit: Fit = "standard" if invad else options.gaussian

    progress("residual field of the held-out parts")
    raw: nn.Module = InvadGraph(extractor, net, timesteps) if invad else IrfGraph(extractor, net, options.t)
    everything = [picture for group in pictures.values() for picture in group]
    fitted = cross_fit([field_of(raw, p, settings) for p in everything], fit, scoring, settings, invad)

    progress("folding and tracing")
    graph = raw if invad else IrfGraph(extractor, net, options.t, fitted.gaussian)
    onnx_bytes = to_onnx(graph, settings.size)

    progress("comparing torch with ONNX Runtime")
    chain = HostChain(OnnxRuntimeBackend(onnx_bytes), settings, fitted.scoring)
    checked = everything[:: max(1, len(everything) // PARITY_IMAGES)]
    parity = largest_difference(graph, chain, checked)
    if not parity <= PARITY_LIMIT:
        raise EdgeirfError(
            f"ONNX Runtime and torch disagree by {parity:.1e} of a score (allowed {PARITY_LIMIT:g}):"
            " no bundle was written; report this with the versions that `edgeirf doctor` prints"
        )
    report = {"torch_onnx_relative_difference": parity, "images": len(checked)}
    calibration = calibrations(pictures, fitted)
    model = Model("model.fp32.onnx", "fp32", "any", calibration, fitted.scoring, report=report)
    golden_member = golden(chain, everything)
    reference = Fp32(onnx_bytes, settings, scoring, fit, invad, fitted, golden_member)
    reduced = _reduce(reference, pictures, options, progress)
    shipped = [made for made in reduced if made.model.refused is None or options.keep_refused]
    manifest = Manifest(
        name=run.config.name,
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        edgeirf=edgeirf.__version__,
        preprocess=settings,
        method=Method(options.method, timesteps, fit, run.config.backbone, run.config.preset),
        false_reject_rate=options.false_reject_rate,
        models={"fp32": model, **{made.key: made.model for made in shipped}},
    )
    members = {
        model.file: onnx_bytes,
        bundle.GOLDEN: _npz(golden_member),
        bundle.REPORT: model_page(manifest, chain, pictures).encode(),
        **{made.model.file: made.graph for made in shipped},
    }
    bundle.write(path, manifest, members)
    return Exported(manifest, parity, len(checked), tuple(reduced))


def _reduce(reference: Fp32, pictures: Pictures, options: Options, progress: Callable[[str], None]) -> list[Made]:
    """The reduced precisions that are asked for, proved."""
    wanted = set(options.precisions) - {"fp32"}
    if not wanted:
        return []
    progress("scoring good parts and defects in fp32")
    evidence = gather(pictures, reference.settings, options.validation_folder)
    prover = Prover(reference, evidence, options.false_reject_rate, progress)
    made = [prover.fp16()] if "fp16" in wanted else []
    if "int8" in wanted:
        folder = options.calibration_folder
        shown = pictures if folder is None else calibration_pictures(folder, list(pictures), reference.settings)
        made += prover.int8(shown, options.calibration_method, options.quantiser)
    return made


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


def golden(chain: HostChain, pictures: Sequence[Pixels]) -> dict[str, NDArray[Any]]:
    """A few held-out pictures and the scores this machine gave them, to be given again elsewhere."""
    chosen = list(pictures[:: max(1, len(pictures) // GOLDEN_IMAGES)][:GOLDEN_IMAGES])
    return {"images": np.stack(chosen), "scores": np.array([chain.score_prepared(picture).score for picture in chosen])}


def _npz(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()
