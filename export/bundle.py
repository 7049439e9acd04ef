"""A trained run to a bundle: field of the held-out parts, Gaussian, folded graph, ONNX, parity, thresholds, seal."""

from __future__ import annotations

import datetime
import io
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import edgeirf
from edgeirf import bundle
from edgeirf.calib.conditions.directions import measure_directions
from edgeirf.calib.conditions.tolerances import Tolerances
from edgeirf.calib.evaluation.odd_pictures import Examination
from edgeirf.calib.fitting.density import Scale, channels, scale_name
from edgeirf.calib.fitting.gaussian import Fit, Gaussian
from edgeirf.calib.fitting.ranges import METHODS
from edgeirf.calib.fitting.ranges import Method as RangeMethod
from edgeirf.calib.reports.model_page import model_page
from edgeirf.conformal import check_rate
from edgeirf.errors import EdgeirfError, UsageError
from edgeirf.export.fair import Parts, by_product, calibrations, finished_folds, pooled
from edgeirf.export.good_parts import examine_held_out
from edgeirf.export.methods.density import Density
from edgeirf.export.methods.fit import field_of, fit
from edgeirf.export.methods.graph import BundleGraph
from edgeirf.export.methods.invad import Invad, invad_timesteps
from edgeirf.export.methods.irf import Irf
from edgeirf.export.onnx.passes.halves import stored_in_half
from edgeirf.export.onnx.trace import to_onnx
from edgeirf.export.precision.candidates import PRECISIONS, Fp32, Made, Prover
from edgeirf.export.precision.quantisers.choice import QUANTISERS
from edgeirf.export.precision.validation import Pictures, calibration_pictures, gather
from edgeirf.export.standalone.member import with_line
from edgeirf.gate_report import GateReport
from edgeirf.manifest import Manifest, Method, Model
from edgeirf.runtime.executors.cpu import CpuExecutor
from edgeirf.runtime.executors.onnxruntime import OnnxRuntimeNetwork
from edgeirf.runtime.imaging.pixel_format import Pixels
from edgeirf.runtime.imaging.preprocess import normalise
from edgeirf.runtime.monitor import directions
from edgeirf.runtime.monitor.statistics import FrameStatistics
from edgeirf.runtime.scoring import score_field
from edgeirf.settings import Preprocess, Scoring
from edgeirf.trainers.diffusion import TIMESTEPS
from edgeirf.trainers.noise_net import NoiseNet
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
        precisions: of ``fp32``, ``fp16``, ``int8``; ``fp32`` is always written.
        calibration_method: how INT8 ranges come from pictures: ``minmax``, ``percentile`` or ``entropy``.
        quantiser: ``edgeirf`` or ``modelopt``.
        calibration_folder: good parts for the INT8 ranges; None takes the held-out ones.
        validation_folder: labelled images that the precisions must also pass on.
        keep_refused: keep precisions that fail their gate in the bundle, marked.
        keep_odd: let held-out pictures that do not look like the others set the threshold, too.
        standalone: write ``line.onnx``, the graph for hosts without Python, into the bundle.
    """

    method: Literal["irf", "invad"] = "irf"
    t: int = 200
    steps: int = 3
    gaussian: Fit = "full"
    false_reject_rate: float = 0.01
    sigma: float = Scoring.sigma
    top_k: int = 1
    precisions: tuple[str, ...] = ("fp32",)
    calibration_method: RangeMethod = "minmax"
    quantiser: str = "edgeirf"
    calibration_folder: Path | None = None
    validation_folder: Path | None = None
    keep_refused: bool = False
    keep_odd: bool = False
    standalone: bool = True

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
        reduced: the FP16 and INT8 graphs, refused ones among them.
        examined: product to what was found among its held-out good parts.
        left_out: why the bundle has no ``line.onnx`` though it was asked for; empty where it has one.
    """

    manifest: Manifest
    parity: float
    images: int
    reduced: tuple[Made, ...] = ()
    examined: Mapping[str, Examination] = field(default_factory=dict)
    left_out: str = ""


def export(
    run: Run, path: str | os.PathLike[str], options: Options, progress: Callable[[str], None] = lambda stage: None
) -> Exported:
    """Writes the bundle of a finished run.

    Args:
        run: a finished training run.
        path: the ``.irf`` file to write, atomically.
        options: method, Gaussian, rate.
        progress: receives one line a stage.

    Raises:
        EdgeirfError: the run is unfinished or damaged, or ONNX Runtime and torch disagree by more than 1e-4.
    """
    extractor, net = load_model(run)
    config, settings = run.config, run.config.preprocess
    if options.method == "invad" and config.timesteps < TIMESTEPS:
        raise UsageError("this run was trained for irf: train one for invad (edgeirf train --method invad)")
    if options.method == "irf" and options.t >= config.timesteps:
        raise UsageError(f"--t lies below {config.timesteps}, the timesteps that this run was trained on")
    folds = finished_folds(run)
    pictures: Pictures = {name: list(part.clean) for name, part in run.held_out().items()}
    everything = [picture for group in pictures.values() for picture in group]
    scoring = Scoring(sigma=options.sigma, top_k=options.top_k)
    timesteps = invad_timesteps(options.steps) if options.method == "invad" else (options.t,)

    progress("residual fields of the good parts")
    parts = Parts.of(run, extractor, _field(net, timesteps, options.method))
    fitted = fit(parts.training, parts.held_out, options.gaussian, scoring, settings)
    scoring = replace(scoring, scales=tuple(map(scale_name, channels(fitted.scales))))
    others = []
    for number, fold in enumerate(folds, 1):
        progress(f"residual fields of the good parts, fold {number} of {len(folds)}")
        own_extractor, own_net = load_model(fold)
        others.append(Parts.of(fold, own_extractor, _field(own_net, timesteps, options.method)))
    fair = pooled(
        by_product(parts.counts, fitted), *(other.fair(options.gaussian, scoring, settings) for other in others)
    )

    progress("folding and tracing")

    def graph_of(scales: Sequence[Scale], density: bool = True) -> BundleGraph:
        field = _field(net, timesteps, options.method, scales[0].gaussian)
        return BundleGraph(extractor, field, Density(scales) if density else None)

    graph = graph_of(fitted.scales)
    onnx_bytes = to_onnx(graph, settings.size)

    progress("comparing torch with ONNX Runtime")
    executor = CpuExecutor(OnnxRuntimeNetwork(onnx_bytes), settings, scoring)
    checked = everything[:: max(1, len(everything) // PARITY_IMAGES)]
    parity = largest_difference(graph, executor, checked)
    if not parity <= PARITY_LIMIT:
        raise EdgeirfError(
            f"ONNX Runtime and torch disagree by {parity:.1e} of a score (allowed {PARITY_LIMIT:g}):"
            " no bundle was written; report this with the versions that `edgeirf doctor` prints"
        )
    report = GateReport(torch_onnx_relative_difference=parity, images=len(checked))
    scores = [score for pairs in fair.values() for score, _ in pairs]
    examined = examine_held_out(run, scores, options.false_reject_rate)
    odd = {product: 0 if options.keep_odd else len(found.odd) for product, found in examined.items()}
    calibration = calibrations(fair, odd)
    model = Model("model.fp32.onnx", "fp32", "any", calibration, scoring, report=report)
    golden_member = golden(executor, everything)
    reference = Fp32(
        graph=onnx_bytes,
        whitened=to_onnx(graph_of(fitted.scales, density=False), settings.size),
        build=lambda scales: to_onnx(graph_of(scales), settings.size),
        settings=settings,
        scoring=scoring,
        kind=options.gaussian,
        parts=parts,
        folds=others,
        fitted=fitted,
        fair=fair,
        golden=golden_member,
        odd=odd,
        frame=config.frame,
    )
    reduced = _reduce(reference, pictures, options, progress)
    shipped = [made for made in reduced if made.model.refused is None or options.keep_refused]
    manifest = Manifest(
        name=config.name,
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        edgeirf=edgeirf.__version__,
        preprocess=settings,
        method=Method(
            options.method,
            timesteps,
            options.gaussian,
            config.backbone,
            config.preset,
            tuple(scale.window for scale in fitted.scales),
            config.tolerate,
        ),
        false_reject_rate=options.false_reject_rate,
        frame=config.frame,
        models={"fp32": model, **{made.key: made.model for made in shipped}},
    )
    members = {
        model.file: stored_in_half(onnx_bytes),
        directions.MEMBER: drift_member(pictures, golden_member["images"], settings, config.tolerate),
        bundle.GOLDEN: _npz(golden_member),
        bundle.REPORT: model_page(manifest, executor, pictures).encode(),
        **{made.model.file: stored_in_half(made.graph) for made in shipped},
    }
    left_out = ""
    if options.standalone:
        progress("comparing the standalone graph with the runtime")
        try:
            members = with_line(path, manifest, members)
        except UsageError as error:
            left_out = str(error)
    bundle.write(path, manifest, members)
    return Exported(manifest, parity, len(checked), tuple(reduced), examined, left_out)


def _reduce(reference: Fp32, pictures: Pictures, options: Options, progress: Callable[[str], None]) -> list[Made]:
    """The reduced precisions that are asked for, proved."""
    wanted = set(options.precisions) - {"fp32"}
    if not wanted:
        return []
    progress("scoring good parts and defects in fp32")
    evidence = gather(pictures, reference.settings, options.validation_folder, reference.frame)
    prover = Prover(reference, evidence, options.false_reject_rate, progress)
    made = [prover.fp16()] if "fp16" in wanted else []
    if "int8" in wanted:
        folder, frame = options.calibration_folder, reference.frame
        own = pictures if folder is None else calibration_pictures(folder, list(pictures), reference.settings, frame)
        made += prover.int8(own, options.calibration_method, options.quantiser)
    return made


def _field(
    net: NoiseNet, timesteps: tuple[int, ...], method: Literal["irf", "invad"], gaussian: Gaussian | None = None
) -> nn.Module:
    return Irf(net, timesteps[0], gaussian) if method == "irf" else Invad(net, timesteps, gaussian)


def _run(graph: nn.Module, picture: Pixels, settings: Preprocess) -> NDArray[np.float32]:
    """The torch graph on prepared pixels ``(T, height, width, 3)``: ``(T, C, h, w)``."""
    return field_of(graph, torch.from_numpy(normalise(picture, settings)))


def largest_difference(graph: nn.Module, executor: CpuExecutor, pictures: Sequence[Pixels]) -> float:
    """Largest |torch - ONNX| of the image scores and of the map peaks, relative to the size of the score."""
    worst = 0.0
    for picture in pictures:
        settings = executor.settings
        torch_scored = score_field(_run(graph, picture, settings), executor.rules, settings.size, settings.tiles)
        onnx_scored = executor.score_pixels(picture)
        scale = max(abs(torch_scored.score), 1e-12)
        worst = max(worst, abs(onnx_scored.score - torch_scored.score) / scale)
        worst = max(worst, abs(onnx_scored.peak - torch_scored.peak) / max(abs(torch_scored.peak), 1e-12))
    return worst


def golden(executor: CpuExecutor, pictures: Sequence[Pixels]) -> dict[str, NDArray[Any]]:
    """A few held-out pictures and the scores this machine gave them, to be given again elsewhere."""
    chosen = list(pictures[:: max(1, len(pictures) // GOLDEN_IMAGES)][:GOLDEN_IMAGES])
    return {
        "images": np.stack(chosen),
        "scores": np.array([executor.score_pixels(picture).score for picture in chosen]),
    }


def drift_member(pictures: Pictures, golden_images: NDArray[Any], settings: Preprocess, tolerate: str) -> bytes:
    """What each tolerated change does to the frames of every product: the line's monitor names a drift by it."""
    measure, tolerances = FrameStatistics(settings, golden_images), Tolerances.parse(tolerate)
    return directions.to_json({name: measure_directions(own, measure, tolerances) for name, own in pictures.items()})


def _npz(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()
