"""Reduced precisions of a bundle: converted from FP32, calibrated again, and refused where they lose defects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeirf.calib.evaluation.metrics import Floats
from edgeirf.calib.fitting.density import Scale
from edgeirf.calib.fitting.gaussian import Fit
from edgeirf.calib.fitting.ranges import Method
from edgeirf.calib.gate.gate import LIMITS, Margins, compare, findings, refusal
from edgeirf.conformal import Calibration
from edgeirf.export.fair import Fair, Parts, by_product, calibrations, pooled
from edgeirf.export.methods.fit import Fitted, HeldOutFields, fit, noise_moments
from edgeirf.export.onnx.head import density_nodes, head_products
from edgeirf.export.onnx.passes.fp16 import to_fp16
from edgeirf.export.onnx.products import layer_of, product_names
from edgeirf.export.precision.coverage import LEAST, Batches, coverage
from edgeirf.export.precision.network import faithful
from edgeirf.export.precision.quantisers.choice import quantiser
from edgeirf.export.precision.quantisers.own import Layout
from edgeirf.export.precision.quantisers.quantiser import Quantiser
from edgeirf.export.precision.sensitivity import sensitivities, without_gaps, worst_layers
from edgeirf.export.precision.validation import Evidence, Pictures, batches_of, distinct
from edgeirf.frame_contract import FrameContract
from edgeirf.gate_report import Comparison, GateReport, Limits
from edgeirf.manifest import Family, Model
from edgeirf.runtime.executors import golden
from edgeirf.runtime.executors.cpu import CpuExecutor
from edgeirf.runtime.executors.onnxruntime import OnnxRuntimeNetwork
from edgeirf.settings import Preprocess, Scoring

PRECISIONS = ("fp32", "fp16", "int8")
CALIBRATION_PICTURES = 48
FEWEST_PICTURES = 8
"""Fewer different pictures than this do not show the range of anything."""
SENSITIVITY_PICTURES = 2
ERROR_BUDGETS = (0.3, 0.15, 0.05)
"""Mean squared errors of the field that INT8 may add, tried in turn; the field of good parts has variance 1."""
LARGEST_FLOAT_SHARE = 1 / 3
"""Share of the layers that an INT8 graph may leave in float and still call itself INT8."""

Reduced = Literal["fp16", "int8"]
Convert = Callable[[bytes], bytes]
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Fp32:
    """The graph that the others are measured against.

    Attributes:
        graph: the ONNX file.
        whitened: the same without its density: it ends at the field whitened by the smallest window's Gaussian.
        build: makes the graph with another density.
        settings: camera frame to network input.
        scoring: field to score.
        kind: of Gaussian.
        parts: raw fields of the run's good parts.
        folds: of the other trainings of a cross-fitted run.
        fitted: the density, and scores of the run's held-out parts, product by product.
        fair: scores that set the thresholds: those of ``fitted``, and of the folds.
        golden: images and scores of the bundle's golden member.
        odd: product to the number of held-out parts that set no threshold.
        frame: the frames that the run knows.
    """

    graph: bytes
    whitened: bytes
    build: Callable[[Sequence[Scale]], bytes]
    settings: Preprocess
    scoring: Scoring
    kind: Fit
    parts: Parts
    folds: Sequence[Parts]
    fitted: Fitted
    fair: Fair
    golden: Mapping[str, NDArray[Any]]
    odd: Mapping[str, int] = field(default_factory=dict)
    frame: FrameContract | None = None


@dataclass(frozen=True)
class Made:
    """A graph for the bundle, or one that is refused.

    Attributes:
        key: ``fp16``, ``int8``, ``int8-tensorrt``.
        model: with its calibration, report and, where the gate refused it, the reason.
        graph: the ONNX file.
    """

    key: str
    model: Model
    graph: bytes

    def summary(self) -> str:
        """One line: passed or refused, and what was measured."""
        if self.model.refused is not None:
            return f"{self.key} is refused: {self.model.refused}"
        return f"{self.key} passed: {findings(self.model.report)}"


@dataclass(frozen=True)
class _Scores:
    """Scores of the evidence under one graph, product by product."""

    good: dict[str, Floats]
    synthetic: dict[str, Floats]
    labelled_good: dict[str, Floats]
    labelled_defective: dict[str, Floats]
    calibration: dict[str, Calibration]


@dataclass(frozen=True)
class _Candidate:
    graph: bytes
    calibration: dict[str, Calibration]
    comparisons: dict[str, Comparison]
    golden_error: float


class Prover:
    """Converts one FP32 graph to reduced precisions and compares them with it.

    Args:
        fp32: the reference.
        evidence: held-out good parts, synthetic and labelled defects.
        rate: false-reject rate of the thresholds.
        progress: receives one line a stage.
    """

    def __init__(self, fp32: Fp32, evidence: Evidence, rate: float, progress: Progress = lambda stage: None) -> None:
        self.fp32, self.evidence, self.rate, self.progress = fp32, evidence, rate, progress
        executor = CpuExecutor(OnnxRuntimeNetwork(fp32.graph), fp32.settings, fp32.scoring)
        self.reference = self._scores(executor, fp32.fitted, fp32.fair)

    def fp16(self) -> Made:
        """The FP16 graph."""
        self.progress("fp16")
        candidate = self._candidate(to_fp16, "fp16", "any")
        return self._made("fp16", "any", candidate, refusal(candidate.comparisons, LIMITS["fp16"]))

    def int8(self, calibration: Pictures, method: Method, name: str = "edgeirf") -> list[Made]:
        """The INT8 graphs, one for each family of back ends, with the layers in float that the gate asks for.

        Args:
            calibration: good parts that show the range of every activation.
            method: how the ranges come from them.
            name: of the quantiser.
        """
        self.progress("int8: value ranges and sensitivity of every layer")
        batches = batches_of(calibration, self.fp32.settings, CALIBRATION_PICTURES)
        maker = quantiser(name, self.fp32.graph, batches, method)
        few = batches[:: max(1, len(batches) // SENSITIVITY_PICTURES)]
        found = sensitivities(self.fp32.whitened, maker.ranges, few)
        reason = _too_few(calibration) or self._too_narrow(calibration, batches)
        layouts: tuple[tuple[str, Layout], ...] = (("int8", "onnxruntime"), ("int8-tensorrt", "tensorrt"))
        made = []
        for key, layout in layouts:
            candidate, keep, refused = self._tune(key, layout, maker, found, reason is not None)
            report = GateReport(
                calibration=f"{method}, {len(batches)} pictures, {name}",
                float_layers={layer_of(layer): round(found[layer], 4) for layer in keep},
                int8_layers=len(found) - len(keep),
            )
            made.append(self._made(key, layout, candidate, reason or refused, report))
        return made

    def _too_narrow(self, calibration: Pictures, shown: Batches) -> str | None:
        if calibration is self.evidence.held_out:
            return None
        good = batches_of(self.evidence.held_out, self.fp32.settings, CALIBRATION_PICTURES)
        found = coverage(self.fp32.graph, shown, good)
        if found >= LEAST:
            return None
        return (
            f"calibrated on pictures that show {found:.0%} of the range of the held-out parts' values, less than "
            f"{LEAST:.0%}: calibrate on good parts of this product"
        )

    def _tune(
        self, key: str, layout: Layout, maker: Quantiser, found: Mapping[str, float], once: bool
    ) -> tuple[_Candidate, list[str], str | None]:
        """The first graph that passes, with more and more of the worst layers in float; the last one if none does."""
        model = onnx.load_from_string(self.fp32.graph)
        density = set(density_nodes(model))
        head = [name for name in head_products(model) if name not in density]
        rest = {name: error for name, error in found.items() if name not in head}
        order = [name for name in product_names(model) if name not in density]
        for budget in ERROR_BUDGETS:
            keep = head + worst_layers(rest, budget)
            self.progress(f"{key}: {len(keep)} of {len(found)} layers in float")
            full = len(keep) > LARGEST_FLOAT_SHARE * len(found)
            if full:
                keep = head
            if layout == "onnxruntime":
                keep = without_gaps(order, keep)
            convert = partial(maker.quantise, layout=layout, keep=density.union(keep))
            candidate = self._candidate(convert, "int8", layout)
            refused = refusal(candidate.comparisons, LIMITS["int8"])
            if full:
                refused = refused or "more than a third of the layers would have to stay in float"
            if refused is None or full or once:
                break
        return candidate, [name for name in order if name in keep], refused

    def _candidate(self, convert: Convert, precision: Reduced, family: Family) -> _Candidate:
        """Converts, fits the density again to the converted graph's field of good parts, and scores the evidence.

        Rounding adds noise to the field in directions in which good parts hardly vary. A density that knows of that
        noise weighs these directions down.
        """
        fp32 = self.fp32
        alone = faithful(convert(fp32.whitened), precision, family)
        before = fp32.fitted.scales[0].gaussian
        rounded = [before.unwhiten(alone.run(b)) for b in batches_of(self.evidence.held_out, fp32.settings)]
        exact = fp32.parts.held_out
        noise = noise_moments(exact.clean, rounded, list(fp32.parts.training.moments))
        changes = [r - c for r, c in zip(rounded, exact.clean, strict=True)]
        fields = HeldOutFields(rounded, [v + d for v, d in zip(exact.varied, changes, strict=True)])
        fitted = fit(fp32.parts.training, fields, fp32.kind, fp32.scoring, fp32.settings, noise)
        others = [fold.fair(fp32.kind, fp32.scoring, fp32.settings, noise, changes) for fold in fp32.folds]
        graph = convert(fp32.build(fitted.scales))
        backend = faithful(graph, precision, family)
        fair = pooled(by_product(fp32.parts.counts, fitted), *others)
        scores = self._scores(CpuExecutor(backend, fp32.settings, fp32.scoring), fitted, fair)
        error = golden.error(fp32.golden, fp32.settings, fp32.scoring, backend)
        return _Candidate(graph, scores.calibration, self._compare(scores, LIMITS[precision]), error)

    def _scores(self, executor: CpuExecutor, fitted: Fitted, fair: Fair) -> _Scores:
        def scores(pictures: Pictures) -> dict[str, Floats]:
            return {name: np.array([executor.score_pixels(p).score for p in group]) for name, group in pictures.items()}

        evidence = self.evidence
        calibration = calibrations(fair, self.fp32.odd)
        return _Scores(
            _by_product(evidence.held_out, fitted.scores),
            scores(evidence.synthetic),
            scores(evidence.labelled_good),
            scores(evidence.labelled_defective),
            calibration,
        )

    def _compare(self, scores: _Scores, limits: Limits) -> dict[str, Comparison]:
        found = {"synthetic": compare(self._margins(self.reference), self._margins(scores), limits)}
        if self.evidence.labelled_defective:
            pair = (self._margins(self.reference, labelled=True), self._margins(scores, labelled=True))
            found["labelled"] = compare(*pair, limits)
        return found

    def _margins(self, scores: _Scores, labelled: bool = False) -> Margins:
        def margins(groups: Mapping[str, Floats]) -> Floats:
            parts = [
                (values - scores.calibration[product].score_threshold(self.rate)) / self._spread(product)
                for product, values in groups.items()
            ]
            return np.concatenate(parts) if parts else np.zeros(0)

        good = scores.labelled_good if labelled else scores.good
        return Margins(margins(good), margins(scores.labelled_defective if labelled else scores.synthetic))

    def _spread(self, product: str) -> float:
        return max(float(self.reference.good[product].std()), 1e-9)

    def _made(
        self, key: str, family: Family, candidate: _Candidate, reason: str | None, report: GateReport = GateReport()
    ) -> Made:
        precision: Reduced = "fp16" if key == "fp16" else "int8"
        found = {name: one if one.is_finite else None for name, one in candidate.comparisons.items()}
        report = replace(
            report,
            synthetic=found["synthetic"],
            labelled=found.get("labelled"),
            limits=LIMITS[precision],
            golden_tolerance=round(min(0.9, 0.01 + 2 * candidate.golden_error), 4),
        )
        file, scoring = f"model.{key}.onnx", self.fp32.scoring
        model = Model(file, precision, family, candidate.calibration, scoring, reason, report)
        return Made(key, model, candidate.graph)


def _by_product(held_out: Pictures, values: Sequence[float]) -> dict[str, Floats]:
    found, start = {}, 0
    for product, pictures in held_out.items():
        found[product] = np.array(values[start : start + len(pictures)])
        start += len(pictures)
    return found


def _too_few(calibration: Pictures) -> str | None:
    count = distinct(calibration)
    if count >= FEWEST_PICTURES:
        return None
    return f"calibrated on {count} different pictures, fewer than {FEWEST_PICTURES}"
