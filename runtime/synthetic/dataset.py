"""Rendered parts as a folder in MVTec layout, to train and to evaluate on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeirf.errors import EdgeirfError
from edgeirf.files import write_bytes
from edgeirf.runtime.synthetic.defects import DEFECTS
from edgeirf.runtime.synthetic.render import render


def write_dataset(
    folder: str | os.PathLike[str],
    *,
    train: int = 80,
    test_good: int = 20,
    test_defects: int = 10,
    seed: int = 0,
    size: int = 640,
    part: str = "flange",
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Writes ``train/good``, ``test/good``, ``test/<defect>`` and ``ground_truth/<defect>/<name>_mask.png``.

    No part appears twice, and none of a ``test://`` stream with another seed.

    Args:
        folder: created when it is missing; files of the same name are replaced.
        train: good parts to train on.
        test_good: good parts to test on.
        test_defects: bad parts of each kind to test on.
        seed, size, part: see :func:`edgeirf.runtime.synthetic.render.render`.
        progress: called with the number of parts written and the number in all.

    Returns:
        The folder.

    Raises:
        EdgeirfError: a file cannot be written.
    """
    root, index = Path(folder), 0
    total = train + test_good + test_defects * len(DEFECTS)
    sets: list[tuple[str, str | None, int]] = [("train/good", None, train), ("test/good", None, test_good)]
    sets += [(f"test/{defect}", defect, test_defects) for defect in DEFECTS]
    for place, defect, count in sets:
        for number in range(count):
            rendered = render(seed, index, defect, part, size)
            _write_png(root / place / f"{number:03d}.png", rendered.image)
            if defect is not None:
                mask = rendered.mask.astype(np.uint8) * 255
                _write_png(root / "ground_truth" / defect / f"{number:03d}_mask.png", mask)
            index += 1
            if progress is not None:
                progress(index, total)
    return root


def _write_png(path: Path, image: NDArray[np.uint8]) -> None:
    done, data = cv2.imencode(".png", image)
    if not done:
        raise EdgeirfError(f"cannot write {path}: OpenCV does not encode it")
    write_bytes(path, data.tobytes())
