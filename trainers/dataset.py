"""A folder of good parts: which files, which product, and which are held out for calibration."""

from __future__ import annotations

import logging
import math
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeirf.calib.evaluation.roles import Role, role_of
from edgeirf.errors import FrameError, UsageError
from edgeirf.frame_contract import FrameContract
from edgeirf.runtime.imaging.folder import PictureFolder, find_pictures
from edgeirf.runtime.imaging.images import read_hashed
from edgeirf.settings import Color
from edgeirf.text import printable

CALIBRATION_SHARE = 0.2
log = logging.getLogger("edgeirf")
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
        depths: distinct bits of a stored value, 8 and 16.
    """

    samples: tuple[Sample, ...]
    unreadable: tuple[str, ...]
    color: Color
    bits: int
    shapes: tuple[tuple[int, int], ...]
    depths: tuple[int, ...] = (8,)

    @property
    def frame(self) -> FrameContract:
        """What a frame has to look like; pictures of several sizes leave the size open."""
        height, width = self.shapes[0] if len(self.shapes) == 1 else (None, None)
        return FrameContract(width, height, self.bits, 1 if self.color == "gray" else 3, self.depths)


def find_products(folder: Path, unified: bool) -> dict[str, list[Path]]:
    """Product name to its pictures of good parts.

    ``folder`` holds the pictures, or is in MVTec layout (``train/good``), or has a sub-folder ``good``; with
    ``unified`` each of its sub-folders is one of these. For ``good`` any name in
    :data:`edgeirf.calib.evaluation.roles.GOOD_NAMES` does. Pictures that are left out are said in a warning.

    Raises:
        UsageError: there is no such folder, or no picture where one is expected.
    """
    if not folder.is_dir():
        raise UsageError(f"{printable(folder)} is not a folder")
    if not _is_plain(folder):
        raise UsageError(f"{printable(folder.resolve())}: its name is not plain text (UTF-8, one line): rename it")
    if not unified:
        return {printable(folder.resolve().name): _good_parts(folder)}
    children = _visible_folders(folder)
    if len(children) < 2:
        raise UsageError(f"{printable(folder)}: --unified needs a sub-folder for each of at least two products")
    return {printable(child.name): _good_parts(child) for child in children}


def survey(
    products: dict[str, list[Path]], progress: Callable[[Iterable[Path]], Iterable[Path]] = lambda paths: paths
) -> Survey:
    """Reads every picture once: hashes it, looks at its colours and depth, drops copies and unreadable ones.

    Raises:
        UsageError: a product has fewer than ``SMALLEST`` different readable pictures.
    """
    product_of = {path: product for product, paths in products.items() for path in paths}
    seen: dict[tuple[str, str], Path] = {}
    unreadable, shapes, depths, gray, peak = [], set(), set(), True, 0
    for path in progress(list(product_of)):
        if not _is_plain(path):
            unreadable.append(f"{printable(path)}: its name is not plain text (UTF-8, one line): rename it")
            continue
        try:
            read = read_hashed(path)
            image = read.pixels
        except FrameError as error:
            unreadable.append(str(error))
            continue
        seen.setdefault((product_of[path], read.sha256), path)
        shapes.add((int(image.shape[0]), int(image.shape[1])))
        depths.add(8 * image.itemsize)
        gray = gray and _is_gray(image)
        peak = max(peak, int(image.max())) if image.dtype == np.uint16 else peak
    samples = [
        s for product in products for s in _split([(d, p) for (n, d), p in seen.items() if n == product], product)
    ]
    bits = next(b for b in (8, 10, 12, 14, 16) if peak < 2**b)
    return Survey(
        tuple(samples), tuple(unreadable), "gray" if gray else "rgb", bits, tuple(sorted(shapes)), tuple(sorted(depths))
    )


def _split(files: list[tuple[str, Path]], product: str) -> list[Sample]:
    """Holds out the fifth of the files with the smallest hashes: adding pictures hardly moves the others."""
    if len(files) < SMALLEST:
        raise UsageError(
            f"{product}: {len(files)} different readable pictures of good parts; take at least {SMALLEST}, "
            "50 or more for a threshold that means something"
        )
    held_out = {digest for digest, _ in sorted(files)[: math.ceil(CALIBRATION_SHARE * len(files))]}
    return [Sample(path, product, digest, digest in held_out) for digest, path in sorted(files, key=lambda f: f[1])]


def _good_parts(folder: Path) -> list[Path]:
    """The pictures to learn from; of a folder without roles only those directly inside, for others may show defects."""
    everything = find_pictures(folder)
    train = [child for child in _visible_folders(folder) if child.name.casefold() in ("train", "training")]
    sets = [*train, folder, folder / "Data" / "Images"]  # MVTec, plain, VisA
    for good in (good for place in sets if (good := _good_folders(place))):
        if taken := [path for path in everything.pictures if set(path.parents) & set(good)]:
            return _say_left_out(folder, everything, taken)
    for place in (*train, folder):
        if taken := [path for path in everything.pictures if path.parent == place]:
            return _say_left_out(folder, everything, taken)
    children = [printable(child.name) for child in _visible_folders(folder) if find_pictures(child).pictures]
    if children:
        raise UsageError(
            f"{printable(folder)} holds pictures in {', '.join(children[:6])}, not in train/good or good: "
            "name the folder of good parts (a folder for each of several products? add --unified)"
        )
    raise UsageError(
        f"{printable(folder)} holds no pictures, nor do its sub-folders train/good or good"
        + (f"; {everything.remark}" if everything.remark else "")
    )


def _good_folders(folder: Path) -> list[Path]:
    return [child for child in _visible_folders(folder) if role_of(child.name) is Role.GOOD]


def _visible_folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [child for child in sorted(folder.iterdir()) if child.is_dir() and not child.name.startswith(".")]


def _say_left_out(folder: Path, everything: PictureFolder, taken: list[Path]) -> list[Path]:
    kept = set(taken)
    left = {path: path.relative_to(folder).parts for path in everything.pictures if path not in kept}
    passed = [(f"pictures in {names[0]}" if len(names) > 1 else "pictures beside", p) for p, names in left.items()]
    remark = PictureFolder(everything.place, (), (*everything.passed_over, *passed), everything.others).remark
    if remark is not None:
        log.warning("%s", remark)
    return taken


def _is_plain(path: Path) -> bool:
    """Whether the name can be kept in ``run.json``: no bytes that are not UTF-8, no control characters or line ends."""
    return not any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in str(path.resolve()))


def _is_gray(image: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> bool:
    return image.ndim == 2 or bool((image[..., 0] == image[..., 1]).all() and (image[..., 1] == image[..., 2]).all())
