"""Runs a detector over labelled images and measures it."""

from __future__ import annotations

import os
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from edgeirf.calib.conditions.control import FEWEST, Cells, Control, away, control, corners
from edgeirf.calib.conditions.perturb import perturb
from edgeirf.calib.conditions.shallow import Floats, shallow_features
from edgeirf.calib.conditions.tolerances import Tolerances
from edgeirf.calib.evaluation.count import Count
from edgeirf.calib.evaluation.curves import measure_curves
from edgeirf.calib.evaluation.escapes import escapes_at
from edgeirf.calib.evaluation.evaluation import Evaluation, Figures, Judged, Perturbed
from edgeirf.calib.evaluation.metrics import need_scikit_learn, ranking
from edgeirf.calib.evaluation.pixel_metrics import PixelScores
from edgeirf.calib.evaluation.samples import GOOD, Sample, find_samples, read_mask
from edgeirf.errors import EdgeirfError, FrameError
from edgeirf.runtime.detector import Detector
from edgeirf.runtime.imaging.folder import find_pictures
from edgeirf.runtime.imaging.images import read_image
from edgeirf.runtime.imaging.pixel_format import Pixels
from edgeirf.runtime.imaging.preprocess import inspected_area

Track = Callable[[Sequence[Sample]], Iterable[Sample]]


PERTURBATION_SEED: Final = 20260
"""Of the published recipe; see :func:`perturb_sample`."""
REFERENCE: Final = 100
"""Good parts of training that the control's density is fitted on, where the folder has them."""


def evaluate(
    detector: Detector, folder: str | os.PathLike[str], track: Track = iter, tolerances: Tolerances | None = None
) -> Evaluation:
    """Inspects every test image of a folder and compares with its labels.

    Maps are compared with masks pixel by pixel at the resolution of the frame, inside the region of interest. Images
    without a mask count in the image figures only; with no mask at all the pixel figures are None.

    Args:
        detector: opened with the precision, product and false-reject rate to evaluate.
        folder: see :func:`edgeirf.calib.evaluation.samples.find_samples`. Good parts of training in ``train/good`` are
            the reference of the control; without them the good test parts are, crosswise.
        track: wraps the loop over the samples, for a progress bar.
        tolerances: with them everything is measured a second time, each picture changed by :func:`perturb_sample`, and
            good parts are inspected under growing amounts of each nuisance.

    Raises:
        UsageError: the folder has no labelled images, or scikit-learn is missing.
        FrameError: not one image could be inspected.
    """
    need_scikit_learn()
    samples = find_samples(folder)
    clean = _evaluate(detector, Path(folder), samples, track, None)
    if tolerances is None:
        return clean
    changed = _evaluate(detector, Path(folder), samples, track, tolerances)
    good = {image.sample.path: image.sample for image in clean.good}

    def follow(paths: Sequence[Path]) -> Iterable[Path]:
        return (sample.path for sample in track([good[path] for path in paths]))

    curves = measure_curves(detector, list(good), tolerances, follow)
    return replace(clean, perturbed=Perturbed(tolerances.to_text(), changed, curves))


def perturb_sample(frame: Pixels, sample: Sample, tolerances: Tolerances, bits: int = 16) -> Pixels:
    """The published recipe of the perturbed condition: the same picture always gets the same change.

    ``perturb(frame, tolerances, numpy.random.default_rng([20260, zlib.crc32(b"<defect>/<file name>")]), bits)``, at the
    picture's own resolution, before anything else; see :mod:`edgeirf.calib.conditions.perturb` for what it does.
    """
    name = f"{sample.defect}/{sample.path.name}".encode(errors="surrogateescape")
    return perturb(frame, tolerances, np.random.default_rng([PERTURBATION_SEED, zlib.crc32(name)]), bits)


def _evaluate(
    detector: Detector, folder: Path, samples: Sequence[Sample], track: Track, tolerances: Tolerances | None
) -> Evaluation:
    session = _Session(detector, any(sample.mask for sample in samples), tolerances)
    for sample in track(samples):
        session.add(sample)
    if not session.images:
        raise FrameError(f"none of the {len(samples)} images in {folder} could be inspected: {session.failures[0]}")
    return session.result(folder)


class _Session:
    """What is gathered while the images pass."""

    def __init__(self, detector: Detector, with_pixels: bool, tolerances: Tolerances | None) -> None:
        self.detector = detector
        self.with_pixels = with_pixels
        self.tolerances = tolerances
        self.images: list[Judged] = []
        self.shallow: list[Floats] = []
        self.free: list[Cells] = []
        self.pixels: defaultdict[str, PixelScores] = defaultdict(PixelScores)
        self.without_mask = 0
        self.failures: list[str] = []

    def add(self, sample: Sample) -> None:
        try:
            frame = self._read(sample)
            inspection = self.detector(frame)
        except FrameError as error:
            self.failures.append(_line(error, sample))
            return
        verdict = inspection.verdict
        score, p_value = cast(float, verdict.score), cast(float, verdict.p_value)  # None only in failed verdicts
        self.images.append(Judged(sample, score, p_value, verdict.reject))
        mask = self._mask(sample, frame)
        window = self._window(frame)
        self.shallow.append(self._shallow(frame))
        self.free.append(corners() if mask is None else away(mask[window]))
        if self.with_pixels and (mask is not None or sample.defect == GOOD):
            self.pixels[sample.defect].add(inspection.map()[window], None if mask is None else mask[window])
        elif self.with_pixels:
            self.without_mask += 1

    def _read(self, sample: Sample) -> Pixels:
        frame = read_image(sample.path)
        if self.tolerances is None:
            return frame
        return perturb_sample(frame, sample, self.tolerances, self.detector.bundle.manifest.preprocess.bits)

    def _mask(self, sample: Sample, frame: Pixels) -> NDArray[np.bool_] | None:
        try:
            return read_mask(sample, frame.shape)
        except EdgeirfError as error:
            self.failures.append(_line(error, sample))
            return None

    def _window(self, frame: Pixels) -> tuple[slice, slice]:
        x, y, width, height = inspected_area(frame.shape, self.detector.bundle.manifest.preprocess)
        return slice(y, y + height), slice(x, x + width)

    def _shallow(self, frame: Pixels) -> Floats:
        return shallow_features(frame[self._window(frame)], self.detector.bundle.manifest.preprocess.bits)

    def _control(self, folder: Path) -> Control | None:
        """Read through masks where every defect that remains has one, else in the corners."""
        labelled = list(zip(self.images, self.shallow, self.free, strict=True))
        good = [shallow for image, shallow, _ in labelled if image.sample.defect == GOOD]
        defective = [entry for entry in labelled if entry[0].sample.defect != GOOD]
        masked = [entry for entry in defective if entry[0].sample.mask] or defective
        features, free = [shallow for _, shallow, _ in masked], [cells for _, _, cells in masked]
        if len(good) < FEWEST or len(masked) < FEWEST:
            return None
        return control(good, features, free, list(self._reference(folder)))

    def _reference(self, folder: Path) -> Iterator[Floats]:
        """Of good parts of training, spread evenly; one that cannot be read is left out."""
        place = folder / "train" / GOOD
        paths = list(find_pictures(place).pictures) if place.is_dir() else []
        count = min(len(paths), REFERENCE)
        for path in (paths[i * len(paths) // count] for i in range(count)):
            try:
                yield self._shallow(self._read(Sample(path, GOOD)))
            except FrameError:
                continue

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
            control=self._control(folder),
        )

    def _figures(self, defects: Sequence[str]) -> Figures:
        """Of the defects named, with all good parts."""
        images = [image for image in self.images if image.sample.defect in (GOOD, *defects)]
        defective = np.array([image.sample.defect != GOOD for image in images])
        scores = np.array([image.score for image in images])
        escaped = sum(not image.reject for image in images if image.sample.defect != GOOD)
        pixels = sum((self.pixels[defect] for defect in defects if defect in self.pixels), self.pixels[GOOD])
        return Figures(
            escapes=Count(escaped, int(defective.sum())),
            escapes_at=escapes_at(scores[~defective], scores[defective]),
            image=ranking(defective, scores),
            pixel=pixels.ranking(),
            aupro=pixels.aupro(),
        )


def _line(error: EdgeirfError, sample: Sample) -> str:
    text = " ".join(str(error).split())
    return text if str(sample.path) in text else f"{sample.path}: {text}"
