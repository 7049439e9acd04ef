"""A folder of good parts: which files, which product, and which are held out for calibration."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeirf.errors import FrameError, UsageError
from edgeirf.files import sha256
from edgeirf.runtime.imaging.images import list_images, read_image
from edgeirf.settings import Color

CALIBRATION_SHARE = 0.2
SMALLEST = 8
"""Fewer different pictures of good parts than this teach nothing."""


@dataclass(frozen=True)
class Sample:
    """One picture of a good part.

    Attributes:
        path: the file.
        product: which product it shows.
        sha256: of the file; the split hangs on it.
        calibration: held out from training.
    """

    path: Path
    product: str
    sha256: str
    calibration: bool


@dataclass(frozen=True)
class Survey:
    """What reading every picture once showed.

    Attributes:
        samples: readable, different pictures, by product and name.
        unreadable: one line for each file that was left out.
        color: ``gray`` when no picture has any colour.
        bits: significant bits of the deepest pictures, 8 to 16.
        shapes: distinct ``(height, width)``.
    """

    samples: tuple[Sample, ...]
    unreadable: tuple[str, ...]
    color: Color
    bits: int
    shapes: tuple[tuple[int, int], ...]


def find_products(folder: Path, unified: bool) -> dict[str, list[Path]]:
    """Product name to its pictures of good parts.

    ``folder`` holds the pictures, or is in MVTec layout (``train/good``), or has a sub-folder ``good``; with
    ``unified`` each of its sub-folders is one of these.

    Raises:
        UsageError: there is no such folder, or no picture where one is expected.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder")
    if not unified:
        return {folder.resolve().name: _images_of(folder)}
    products = {child.name: _images_of(child) for child in sorted(folder.iterdir()) if child.is_dir()}
    if len(products) < 2:
        raise UsageError(f"{folder}: --unified needs a sub-folder for each of at least two products")
    return products


def survey(
    products: dict[str, list[Path]], progress: Callable[[Iterable[Path]], Iterable[Path]] = lambda paths: paths
) -> Survey:
    """Reads every picture once: hashes it, looks at its colours and depth, drops copies and unreadable ones.

    Raises:
        UsageError: a product has fewer than ``SMALLEST`` different readable pictures.
    """
    product_of = {path: product for product, paths in products.items() for path in paths}
    seen: dict[tuple[str, str], Path] = {}
    unreadable, shapes, gray, peak = [], set(), True, 0
    for path in progress(list(product_of)):
        try:
            image = read_image(path)
        except FrameError as error:
            unreadable.append(str(error))
            continue
        seen.setdefault((product_of[path], sha256(path.read_bytes())), path)
        shapes.add((int(image.shape[0]), int(image.shape[1])))
        gray = gray and _is_gray(image)
        peak = max(peak, int(image.max())) if image.dtype == np.uint16 else peak
    samples = [
        s for product in products for s in _split([(d, p) for (n, d), p in seen.items() if n == product], product)
    ]
    bits = next(b for b in (8, 10, 12, 14, 16) if peak < 2**b)
    return Survey(tuple(samples), tuple(unreadable), "gray" if gray else "rgb", bits, tuple(sorted(shapes)))


def _split(files: list[tuple[str, Path]], product: str) -> list[Sample]:
    """Holds out the fifth of the files with the smallest hashes: adding pictures hardly moves the others."""
    if len(files) < SMALLEST:
        raise UsageError(
            f"{product}: {len(files)} different readable pictures of good parts; take at least {SMALLEST}, "
            "50 or more for a threshold that means something"
        )
    held_out = {digest for digest, _ in sorted(files)[: math.ceil(CALIBRATION_SHARE * len(files))]}
    return [Sample(path, product, digest, digest in held_out) for digest, path in sorted(files, key=lambda f: f[1])]


def _images_of(folder: Path) -> list[Path]:
    for candidate in (folder / "train" / "good", folder / "good", folder):
        if candidate.is_dir() and (images := list_images(candidate)):
            return images
    raise UsageError(
        f"{folder} holds no jpg, png, bmp or tiff pictures, nor do its sub-folders train/good or good"
        " (a folder for each of several products? add --unified)"
    )


def _is_gray(image: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> bool:
    return image.ndim == 2 or bool((image[..., 0] == image[..., 1]).all() and (image[..., 1] == image[..., 2]).all())
