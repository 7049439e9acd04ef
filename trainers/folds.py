"""Cross-fitting: a run for each fifth of the good parts, so that every part sets the threshold.

The parts are cut into fifths by their hashes. The run itself holds out the first one; a fold is the same training with
another one held out. A part is scored by the training that has not seen it. All of them are alike, so the scores stand
for those of new parts under the run: cross-conformal prediction (Vovk, Annals of Mathematics and Artificial
Intelligence 74, 2015), whose promise is measured rather than proved.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from edgeirf.trainers.dataset import CALIBRATION_SHARE
from edgeirf.trainers.prepare import Progress, held_out_parts
from edgeirf.trainers.run import RUN, Picture, Run


def folds_of(run: Run) -> list[Run]:
    """The folds that were created, in order; none where the run is not cross-fitted."""
    if not run.config.cross_fit:
        return []
    return [Run(path.parent) for path in sorted(run.folder.glob(f"fold-*/{RUN}"))]


def create_folds(run: Run, progress: Progress = lambda items: items) -> list[Run]:
    """The folds of a cross-fitted run; those that are missing are created.

    Args:
        run: the training whose parts are cut.
        progress: for a progress bar over the pictures that are read.

    Raises:
        EdgeirfError: a picture moved or changed since the run began.
    """
    found = []
    for number, held_out in enumerate(held_out_in_turn(run.config.pictures)[1:], 1):
        folder = run.folder / f"fold-{number}"
        if (folder / RUN).is_file():
            found.append(Run(folder))
            continue
        pictures = tuple(replace(p, held_out=p.sha256 in held_out[p.product]) for p in run.config.pictures)
        config = replace(run.config, pictures=pictures, cross_fit=False)
        folder.mkdir(exist_ok=True)
        found.append(Run.create(folder, config, held_out_parts(config, progress)))
    return found


def unfinished(run: Run) -> bool:
    """Whether a training of the run is not finished, or one of its folds is missing."""
    folds = folds_of(run)
    missing = run.config.cross_fit and len(folds) < len(held_out_in_turn(run.config.pictures)) - 1
    return missing or not all(one.finished for one in (run, *folds))


def held_out_in_turn(pictures: Sequence[Picture]) -> list[dict[str, set[str]]]:
    """For the run and each fold, product to the hashes of its held-out pictures; every picture is held out once."""
    by_product: dict[str, list[str]] = {}
    for picture in sorted(pictures, key=lambda one: one.sha256):
        by_product.setdefault(picture.product, []).append(picture.sha256)
    turns = min(math.ceil(len(hashes) / _size(hashes)) for hashes in by_product.values())
    return [{name: set(_part(hashes, turn, turns)) for name, hashes in by_product.items()} for turn in range(turns)]


def _size(hashes: Sequence[str]) -> int:
    return math.ceil(CALIBRATION_SHARE * len(hashes))


def _part(hashes: Sequence[str], turn: int, turns: int) -> Sequence[str]:
    start = turn * _size(hashes)
    return hashes[start:] if turn == turns - 1 else hashes[start : start + _size(hashes)]
