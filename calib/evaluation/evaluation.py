"""What an evaluation found: figures of one bundle on one folder of labelled images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgeirf.calib.evaluation.binomial import CONFIDENCE, upper_bound
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
class Count:
    """How often something went wrong: ``events`` of ``trials``."""

    events: int
    trials: int

    @property
    def rate(self) -> float | None:
        """Measured share; None of nothing."""
        return self.events / self.trials if self.trials else None

    @property
    def at_most(self) -> float | None:
        """Upper bound of the true rate, exact, one-sided, at 95 % confidence; None of nothing."""
        return upper_bound(self.events, self.trials) if self.trials else None

    def to_json(self) -> dict[str, Any]:
        """``count``, ``of``, ``rate``, ``upper_bound`` and the bound's ``confidence``."""
        return {
            "count": self.events,
            "of": self.trials,
            "rate": self.rate,
            "upper_bound": self.at_most,
            "confidence": CONFIDENCE,
        }


@dataclass(frozen=True)
class Figures:
    """Figures of some defects against all good parts.

    Attributes:
        misses: defects that are not rejected at the threshold.
        image: over image scores.
        pixel: over map values at frame resolution, inside the region of interest.
        aupro: per-region overlap to 30 % false-positive rate, divided by 0.3.
    """

    misses: Count
    image: Ranking
    pixel: Ranking
    aupro: float | None

    def to_json(self) -> dict[str, Any]:
        """The seven figures, under the names of the papers' tables; None where labels are missing."""
        return {
            **{f"image_{name}": value for name, value in asdict(self.image).items()},
            **{f"pixel_{name}": value for name, value in asdict(self.pixel).items()},
            "aupro": self.aupro,
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

    @property
    def good(self) -> list[Judged]:
        """The good parts."""
        return [image for image in self.images if image.sample.defect == GOOD]

    @property
    def defective(self) -> list[Judged]:
        """The parts with a defect."""
        return [image for image in self.images if image.sample.defect != GOOD]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; figures that the labels do not allow are null."""
        return {
            "bundle": str(self.bundle),
            "model": self.model,
            "method": self.method,
            "precision": self.precision,
            "product": self.product,
            "data": str(self.folder),
            "good": len(self.good),
            "defective": len(self.defective),
            **self.total.to_json(),
            "threshold": self.threshold,
            "pixel_threshold": self.pixel_threshold,
            "false_reject_rate": self.false_reject_rate,
            "held_out": self.held_out,
            "false_rejects": self.false_rejects.to_json(),
            "misses": self.total.misses.to_json(),
            "per_defect": {
                name: {"count": figures.misses.trials, "misses": figures.misses.to_json(), **figures.to_json()}
                for name, figures in self.per_defect.items()
            },
            "without_mask": self.without_mask,
            "failures": list(self.failures),
        }
