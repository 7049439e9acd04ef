"""What an evaluation found: figures of one bundle on one folder of labelled images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgeirf.calib.conditions.control import Control
from edgeirf.calib.evaluation.count import Count
from edgeirf.calib.evaluation.curves import Curve
from edgeirf.calib.evaluation.escapes import EscapesAt
from edgeirf.calib.evaluation.metrics import Ranking
from edgeirf.calib.evaluation.samples import GOOD, Sample


@dataclass(frozen=True)
class Judged:
    """One test image and what the detector said of it."""

    sample: Sample
    score: float
    p_value: float
    reject: bool


@dataclass(frozen=True)
class Figures:
    """Figures of some defects against all good parts.

    Attributes:
        escapes: defects that are not rejected at the threshold.
        escapes_at: the same at thresholds that the good test parts set.
        image: over image scores.
        pixel: over map values at frame resolution, inside the region of interest.
        aupro: per-region overlap to 30 % false-positive rate, divided by 0.3.
    """

    escapes: Count
    escapes_at: tuple[EscapesAt, ...]
    image: Ranking
    pixel: Ranking
    aupro: float | None

    def to_json(self) -> dict[str, Any]:
        """The figures, under the names of the papers' tables; None where labels are missing."""
        return {
            **{f"image_{name}": value for name, value in asdict(self.image).items()},
            **{f"pixel_{name}": value for name, value in asdict(self.pixel).items()},
            "aupro": self.aupro,
            "escapes": self.escapes.to_json(),
            "misses": self.escapes.to_json(),  # the name before escapes, for readers of older files
            "escapes_at": {found.rate: found.to_json() for found in self.escapes_at},
        }


@dataclass(frozen=True)
class Evaluation:
    """One bundle on one folder.

    Attributes:
        bundle: the file.
        model: its name and short hash.
        method: as the bundle names it, ``irf t=100``, ``invad t=333,666,999``.
        precision: key of the graph that ran.
        product: whose calibration decided.
        folder: what was evaluated.
        held_out: number of calibration parts behind the threshold.
        threshold, pixel_threshold: image scores and map values above are rejected and marked.
        false_reject_rate: the rate the threshold promises.
        images: every image that could be read, good ones first.
        false_rejects: good parts that are rejected at the threshold.
        total: figures of all defects.
        per_defect: figures of each defect type, with all good parts.
        without_mask: defect images left out of the pixel figures.
        failures: one line for each image or mask that could not be used.
        control: whether good and defective pictures differ away from the defects; None where too few are there.
        perturbed: the same pictures as a line may change them.
    """

    bundle: Path
    model: str
    method: str
    precision: str
    product: str
    folder: Path
    held_out: int
    threshold: float
    pixel_threshold: float
    false_reject_rate: float
    images: tuple[Judged, ...]
    false_rejects: Count
    total: Figures
    per_defect: Mapping[str, Figures]
    without_mask: int
    failures: tuple[str, ...]
    control: Control | None = None
    perturbed: Perturbed | None = None

    @property
    def good(self) -> list[Judged]:
        """The good parts."""
        return [image for image in self.images if image.sample.defect == GOOD]

    @property
    def defective(self) -> list[Judged]:
        """The parts with a defect."""
        return [image for image in self.images if image.sample.defect != GOOD]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; figures that the labels do not allow are null, and so is what was not asked for."""
        return {
            "bundle": str(self.bundle),
            "model": self.model,
            "method": self.method,
            "precision": self.precision,
            "product": self.product,
            "data": str(self.folder),
            "threshold": self.threshold,
            "pixel_threshold": self.pixel_threshold,
            "false_reject_rate": self.false_reject_rate,
            "held_out": self.held_out,
            **self._figures(),
            "perturbed": self.perturbed.to_json() if self.perturbed else None,
        }

    def _figures(self) -> dict[str, Any]:
        """What depends on the pictures."""
        return {
            "good": len(self.good),
            "defective": len(self.defective),
            **self.total.to_json(),
            "false_rejects": self.false_rejects.to_json(),
            "control_auroc": self.control.auroc if self.control else None,
            "control_differs": self.control.differs if self.control else None,
            "per_defect": {
                name: {"count": figures.escapes.trials, **figures.to_json()}
                for name, figures in self.per_defect.items()
            },
            "without_mask": self.without_mask,
            "failures": list(self.failures),
        }


@dataclass(frozen=True)
class Perturbed:
    """The figures under what a line may do to its pictures.

    Attributes:
        tolerances: the largest changes, as text.
        evaluation: of the changed pictures.
        curves: how much of each change the good parts bear.
    """

    tolerances: str
    evaluation: Evaluation
    curves: tuple[Curve, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The figures in the structure of the clean ones, and the curves by nuisance."""
        return {
            "tolerances": self.tolerances,
            **self.evaluation._figures(),
            "curves": {curve.nuisance.name: curve.to_json() for curve in self.curves},
        }
