"""Runs a detector over labelled images and measures it."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import cast

import numpy as np

from edgeirf.calib.evaluation.evaluation import Count, Evaluation, Figures, Judged
from edgeirf.calib.evaluation.metrics import need_scikit_learn, ranking
from edgeirf.calib.evaluation.pixel_metrics import PixelScores
from edgeirf.calib.evaluation.samples import GOOD, Sample, find_samples, read_mask
from edgeirf.errors import EdgeirfError, FrameError
from edgeirf.runtime.detector import Detector
from edgeirf.runtime.imaging.images import read_image
from edgeirf.runtime.imaging.pixel_format import Pixels
from edgeirf.runtime.imaging.preprocess import inspected_area
from edgeirf.runtime.inspection import Inspection

Track = Callable[[Sequence[Sample]], Iterable[Sample]]


def evaluate(detector: Detector, folder: str | os.PathLike[str], track: Track = iter) -> Evaluation:
    """Inspects every test image of a folder and compares with its labels.

    Maps are compared with masks pixel by pixel at the resolution of the frame, inside the region of interest. Images
    without a mask count in the image figures only; with no mask at all the pixel figures are None.

    Args:
        detector: made with the precision, product and false-reject rate to evaluate.
        folder: see :func:`edgeirf.calib.evaluation.samples.find_samples`.
        track: wraps the loop over the samples, for a progress bar.

    Raises:
        UsageError: the folder has no labelled images, or scikit-learn is missing.
        FrameError: not one image could be inspected.
    """
    need_scikit_learn()
    samples = find_samples(folder)
    session = _Session(detector, with_pixels=any(sample.mask for sample in samples))
    for sample in track(samples):
        session.add(sample)
    if not session.images:
        raise FrameError(f"none of the {len(samples)} images in {folder} could be inspected: {session.failures[0]}")
    return session.result(Path(folder))


class _Session:
    """What is gathered while the images pass."""

    def __init__(self, detector: Detector, *, with_pixels: bool) -> None:
        self.detector = detector
        self.with_pixels = with_pixels
        self.images: list[Judged] = []
        self.pixels: defaultdict[str, PixelScores] = defaultdict(PixelScores)
        self.without_mask = 0
        self.failures: list[str] = []

    def add(self, sample: Sample) -> None:
        try:
            frame = read_image(sample.path)
            inspection = self.detector(frame)
        except FrameError as error:
            self.failures.append(_line(error, sample))
            return
        verdict = inspection.verdict
        score, p_value = cast(float, verdict.score), cast(float, verdict.p_value)  # None only in failed verdicts
        self.images.append(Judged(sample, score, p_value, verdict.reject))
        if self.with_pixels:
            self._add_pixels(sample, frame, inspection)

    def _add_pixels(self, sample: Sample, frame: Pixels, inspection: Inspection) -> None:
        try:
            mask = read_mask(sample, frame.shape)
        except EdgeirfError as error:
            self.failures.append(_line(error, sample))
            mask = None
        if mask is None and sample.defect != GOOD:
            self.without_mask += 1
            return
        x, y, width, height = inspected_area(frame.shape, self.detector.bundle.manifest.preprocess)
        window = (slice(y, y + height), slice(x, x + width))
        self.pixels[sample.defect].add(inspection.map()[window], None if mask is None else mask[window])

    def result(self, folder: Path) -> Evaluation:
        detector = self.detector
        defects = sorted({image.sample.defect for image in self.images} - {GOOD})
        good = [image for image in self.images if image.sample.defect == GOOD]
        return Evaluation(
            bundle=detector.bundle.path,
            model=detector.bundle.label,
            method=detector.bundle.manifest.method.label,
            precision=detector.model_key,
            product=detector.product,
            folder=folder,
            held_out=detector.calibration.count,
            threshold=detector.threshold,
            pixel_threshold=detector.pixel_threshold,
            false_reject_rate=detector.false_reject_rate,
            images=tuple(self.images),
            false_rejects=Count(sum(image.reject for image in good), len(good)),
            total=self._figures(defects),
            per_defect={defect: self._figures([defect]) for defect in defects},
            without_mask=self.without_mask,
            failures=tuple(self.failures),
        )

    def _figures(self, defects: Sequence[str]) -> Figures:
        """Of the defects named, with all good parts."""
        images = [image for image in self.images if image.sample.defect in (GOOD, *defects)]
        defective = np.array([image.sample.defect != GOOD for image in images])
        missed = sum(not image.reject for image in images if image.sample.defect != GOOD)
        pixels = sum((self.pixels[defect] for defect in defects if defect in self.pixels), self.pixels[GOOD])
        return Figures(
            misses=Count(missed, int(defective.sum())),
            image=ranking(defective, np.array([image.score for image in images])),
            pixel=pixels.ranking(),
            aupro=pixels.aupro(),
        )


def _line(error: EdgeirfError, sample: Sample) -> str:
    text = " ".join(str(error).split())
    return text if str(sample.path) in text else f"{sample.path}: {text}"
