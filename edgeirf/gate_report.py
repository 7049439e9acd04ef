"""What export measures of one graph: the gate's comparisons, and the engines that were built of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from edgeirf.typed_json import from_json


@dataclass(frozen=True)
class Limits:
    """What a precision may lose.

    Attributes:
        auroc_points: loss of image AUROC, percentage points.
        guard_band: parts whose FP32 margin is smaller than this, in spreads, may change sides.
    """

    auroc_points: float
    guard_band: float


@dataclass(frozen=True)
class Comparison:
    """One set of pictures under two graphs. A margin is the distance to the threshold, in spreads of good parts.

    Attributes:
        good, defective: number of pictures.
        auroc_fp32, auroc: image AUROC of either graph; None without defects.
        auroc_loss_points: what the candidate loses, percentage points; negative is a gain.
        rank_correlation: Spearman's, over all pictures.
        largest_change, largest_change_of_good: of a margin, spreads.
        flips: pictures on the other side of the threshold whose FP32 margin is outside the guard band.
        flips_in_band: the others.
    """

    good: int
    defective: int
    auroc_fp32: float | None
    auroc: float | None
    auroc_loss_points: float
    rank_correlation: float
    largest_change: float
    largest_change_of_good: float
    flips: int
    flips_in_band: int

    @property
    def is_finite(self) -> bool:
        """False where a score of the candidate is not a finite number."""
        values = (self.auroc_loss_points, self.largest_change, self.largest_change_of_good, self.rank_correlation)
        return all(map(math.isfinite, values))


@dataclass(frozen=True)
class Fallback:
    """A convolution or matrix product that an engine does not compute in the graph's precision.

    Attributes:
        node: name of the ONNX node.
        operation: ``convolution`` or ``matrix product``.
        precision: the type it is computed in: ``Int8``, ``Half``, ``Float`` ...
        layer: kind of the engine's layer that computes it.
    """

    node: str
    operation: str
    precision: str
    layer: str


@dataclass(frozen=True)
class EngineReport:
    """An engine that was built of the graph, on the training machine.

    Attributes:
        flavour, version: of TensorRT.
        targets: ``SM86`` ...; empty for any GPU from Ampere on.
        counts: precision to the number of convolutions and matrix products that are computed in it.
        fell_back: those that are computed in another precision than the graph's.
        megabytes: size of the engine.
        layers: number of its layers; 0 where a bundle of before does not say it.
        traffic_megabytes: of the inputs and outputs of all layers.
    """

    flavour: str
    version: str
    targets: tuple[str, ...]
    counts: dict[str, int]
    fell_back: tuple[Fallback, ...]
    megabytes: float
    layers: int = 0
    traffic_megabytes: float = 0.0


@dataclass(frozen=True)
class GateReport:
    """Everything that export measured of one graph.

    >>> GateReport(images=16, golden_tolerance=0.05).figures
    {'images': 16, 'golden tolerance': 0.05}

    Attributes:
        torch_onnx_relative_difference: largest difference of a score, ONNX Runtime against PyTorch; None for graphs
            that are compared with FP32 instead.
        images: number of pictures that it was measured on.
        labelled, synthetic: the graph against FP32 on good parts and labelled or synthetic defects.
        limits: what the graph was allowed to lose.
        calibration: how the INT8 ranges were found, in a few words.
        float_layers: name of each layer that stays in float to its share of the squared error in INT8.
        int8_layers: number of layers in INT8; None for other precisions.
        engines: built of the graph at export.
        golden_tolerance: allowed error of the golden scores on a device, as a share of the largest of them, 0..1.
    """

    torch_onnx_relative_difference: float | None = None
    images: int | None = None
    labelled: Comparison | None = None
    synthetic: Comparison | None = None
    limits: Limits | None = None
    calibration: str | None = None
    float_layers: dict[str, float] = field(default_factory=dict)
    int8_layers: int | None = None
    engines: tuple[EngineReport, ...] = ()
    golden_tolerance: float = 0.01

    def __post_init__(self) -> None:
        if not 0 < self.golden_tolerance < 1:
            raise ValueError("golden_tolerance lies in 0..1")

    @property
    def figures(self) -> dict[str, float]:
        """Label to value of every plain number that is stated."""
        stated = {
            "torch onnx relative difference": self.torch_onnx_relative_difference,
            "images": self.images,
            "int8 layers": self.int8_layers,
            "golden tolerance": self.golden_tolerance,
        }
        return {name: value for name, value in stated.items() if value is not None}


def upgraded(raw: dict[str, Any]) -> dict[str, Any]:
    """The report of a schema 1 manifest, which was free JSON, without what does not fit :class:`GateReport`."""

    def fits(name: str, value: Any) -> bool:
        try:
            from_json(GateReport, {name: value}, "report")
        except ValueError:
            return False
        return True

    return {name: value for name, value in raw.items() if fits(name, value)}
