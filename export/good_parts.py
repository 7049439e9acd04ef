"""The held-out good parts of a run, examined: which of them does not look like the others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgeirf.calib.evaluation.odd_pictures import Examination, examine
from edgeirf.runtime.imaging.pixel_format import Pixels
from edgeirf.trainers.folds import folds_of
from edgeirf.trainers.run import Run


def held_out_files(run: Run) -> dict[str, list[Path]]:
    """Product to the files of its held-out parts, in the order of :meth:`edgeirf.trainers.run.Run.held_out`.

    Behind those of the run are those of its folds.
    """
    files: dict[str, list[Path]] = {product: [] for product in dict.fromkeys(p.product for p in run.config.pictures)}
    for one in (run, *folds_of(run)):
        for picture in one.config.pictures:
            if picture.held_out:
                files[picture.product].append(Path(picture.file))
    return files


def examine_held_out(run: Run, scores: Sequence[float], false_reject_rate: float) -> dict[str, Examination]:
    """Product to what was found among its held-out parts.

    Args:
        run: a training run.
        scores: of the held-out parts, product after product.
        false_reject_rate: for the threshold.
    """
    left = iter(scores)
    return {
        product: examine(paths, [next(left) for _ in paths], false_reject_rate)
        for product, paths in held_out_files(run).items()
    }


def held_out_pictures(run: Run) -> dict[Path, Pixels]:
    """The pixels that the run keeps of its held-out parts, ``(H, W, 3)`` BGR, tiles put together."""
    rows, columns = run.config.preprocess.tiles
    found: dict[Path, Pixels] = {}
    for product, files in held_out_files(run).items():
        clean = np.concatenate([one.held_out()[product].clean for one in (run, *folds_of(run))])
        count, _, height, width, _ = clean.shape
        tiled = clean.reshape(count, rows, columns, height, width, 3).swapaxes(2, 3)
        whole = tiled.reshape(count, rows * height, columns * width, 3)[..., ::-1]
        found |= dict(zip(files, map(np.ascontiguousarray, whole), strict=True))
    return found
