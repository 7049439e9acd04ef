"""Labelled test images in folders: MVTec's layout, or just ``good/`` beside folders named after defects."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeirf.errors import EdgeirfError, UsageError
from edgeirf.runtime.imaging.images import list_images, read_image

GOOD = "good"
MASKS = "ground_truth"
_NOT_DEFECTS = {MASKS, "train", "test"}


@dataclass(frozen=True)
class Sample:
    """One test image.

    Attributes:
        path: the image.
        defect: name of its folder, ``good`` for a good part.
        mask: where its defect is; None for good parts and where there is no mask.
    """

    path: Path
    defect: str
    mask: Path | None = None


def find_samples(folder: str | os.PathLike[str]) -> list[Sample]:
    """The test images of a folder, good ones first, then defect type by defect type.

    The folder is ``DIR`` with ``DIR/test/<type>/`` (MVTec), or holds ``good/`` and defect folders itself. Masks are
    ``DIR/ground_truth/<type>/<stem>_mask.png`` or ``<stem>.png``.

    Raises:
        UsageError: no such folder, or no images in it in this layout.
    """
    root = Path(folder)
    if not root.is_dir():
        raise UsageError(f"{root} is not a folder")
    types = root / "test" if (root / "test").is_dir() else root
    masks = next((place for place in (root / MASKS, root.parent / MASKS) if place.is_dir()), None)
    names = sorted(path.name for path in types.iterdir() if path.is_dir() and path.name not in _NOT_DEFECTS)
    names = [name for name in names if not name.startswith(".")]
    samples = [
        Sample(path, name, _mask(masks, path, name))
        for name in sorted(names, key=lambda name: (name != GOOD, name))
        for path in list_images(types / name)
    ]
    if not samples:
        raise UsageError(f"no images in {types}/*/: put good parts into {types}/good/, each defect type beside it")
    return samples


def read_mask(sample: Sample, shape: tuple[int, ...]) -> NDArray[np.bool_] | None:
    """Where the part is defective, at the size of its frame: ``(H, W)``, None without a mask.

    A mask of another size is brought to the frame's by nearest neighbour.

    Raises:
        EdgeirfError: the mask cannot be read, or has other proportions than the frame.
    """
    if sample.mask is None:
        return None
    image = read_image(sample.mask)
    mask = (image if image.ndim == 2 else image.max(axis=2)) > 0
    height, width = shape[:2]
    if abs(mask.shape[1] * height - mask.shape[0] * width) > max(mask.shape[0] * width, mask.shape[1] * height) / 50:
        raise EdgeirfError(
            f"{sample.mask} is {mask.shape[1]}x{mask.shape[0]} pixels, {sample.path} {width}x{height}: "
            "a mask has the proportions of its image"
        )
    resized = cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    return resized.astype(bool)


def _mask(masks: Path | None, image: Path, defect: str) -> Path | None:
    if masks is None or defect == GOOD:
        return None
    candidates = (masks / defect / f"{image.stem}{ending}.png" for ending in ("_mask", ""))
    return next((path for path in candidates if path.is_file()), None)
