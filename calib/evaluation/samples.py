"""Labelled test images in folders: MVTec's layout and its kin, or just ``good/`` beside folders named after defects."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeirf.calib.evaluation.masks import assign_masks, mask_folders, masks_of
from edgeirf.calib.evaluation.roles import Role, role_of
from edgeirf.errors import EdgeirfError, UsageError
from edgeirf.runtime.imaging.folder import PictureFolder, find_pictures
from edgeirf.runtime.imaging.images import read_image
from edgeirf.text import printable

GOOD = "good"
_TYPES = ("test", "test_public", "Test", "Data/Images", "Images", "images")
"""Where the folders of types are: MVTec AD, LOCO and BTAD; MVTec AD 2; VisA."""
_LOSSY = frozenset({".jpg", ".jpeg", ".jpe", ".jfif"})

log = logging.getLogger("edgeirf")


@dataclass(frozen=True)
class Sample:
    """One test image.

    Attributes:
        path: the image.
        defect: name of its folder, ``good`` for a good part.
        masks: where its defects are; none for good parts and where there is no mask.
    """

    path: Path
    defect: str
    masks: tuple[Path, ...] = ()

    @property
    def mask(self) -> Path | None:
        """The first of the masks."""
        return self.masks[0] if self.masks else None


def find_samples(folder: str | os.PathLike[str]) -> list[Sample]:
    """The test images of a folder, good ones first, then defect type by defect type; sub-folders of types are read.

    The folder is ``DIR`` with ``DIR/test/<type>/`` (MVTec AD, LOCO, BTAD), ``DIR/Data/Images/<type>/`` (VisA), or holds
    the folders of types itself. Good parts lie in a folder of one of the names in
    :data:`edgeirf.calib.evaluation.roles.GOOD_NAMES`; for masks see
    :func:`edgeirf.calib.evaluation.masks.assign_masks`. What is passed over is said in a warning.

    Raises:
        UsageError: no such folder, no good parts in it in this layout, or images whose folder has no role.
    """
    root = Path(folder)
    if not root.is_dir():
        raise UsageError(f"{printable(root)} is not a folder")
    types = next((root / place for place in _TYPES if (root / place).is_dir()), root)
    places = _check_roles(types)
    samples, masks, used = [], mask_folders(root, types), set()
    for place in sorted(places, key=lambda place: (role_of(place.name) is not Role.GOOD, place.name)):
        defect = GOOD if role_of(place.name) is Role.GOOD else printable(place.name)
        found = find_pictures(place)
        mask_of = {} if defect == GOOD else assign_masks(found.pictures, masks, place)
        used |= {mask for several in mask_of.values() for mask in several}
        samples += [Sample(path, defect, mask_of.get(path, ())) for path in found.pictures]
        _say(found, used)
    if not samples:
        raise UsageError(
            f"no images in {printable(types)}/*/: put good parts into {printable(types / 'good')}/, "
            "each defect type beside it"
        )
    if samples[0].defect != GOOD and len({sample.defect for sample in samples}) > 1:
        raise UsageError(
            f"no folder in {printable(types)} is named like one of good parts, so every picture would count as a "
            f"defect: put good parts into {printable(types / 'good')}/"
        )
    _say_orphans(masks, used)
    return samples


def read_mask(sample: Sample, shape: tuple[int, ...]) -> NDArray[np.bool_] | None:
    """Where the part is defective, at the size of its frame: ``(H, W)``, None without a mask.

    Several masks count together. A mask of another size is brought to the frame's by nearest neighbour.

    Raises:
        EdgeirfError: a mask cannot be read, or has other proportions than the frame.
    """
    together: NDArray[np.bool_] | None = None
    for path in sample.masks:
        mask = _read_one(path, sample.path, shape)
        together = mask if together is None else together | mask
    return together


def _read_one(path: Path, picture: Path, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    image = read_image(path)
    floor = 127 if path.suffix.lower() in _LOSSY else 0  # JPEG leaves traces beside an edge
    mask = (image if image.ndim == 2 else image.max(axis=2)) > floor
    height, width = shape[:2]
    if abs(mask.shape[1] * height - mask.shape[0] * width) > max(mask.shape[0] * width, mask.shape[1] * height) / 50:
        raise EdgeirfError(
            f"{printable(path)} is {mask.shape[1]}x{mask.shape[0]} pixels, {printable(picture)} {width}x{height}: "
            "a mask has the proportions of its image"
        )
    resized = cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    return resized.astype(bool)


def _check_roles(types: Path) -> list[Path]:
    """The folders of good parts and of defect types.

    Raises:
        UsageError: pictures that have no role, by the name of their folder.
    """
    roles = _roles(types)
    products = [
        place.name for place in roles if any(role_of(c.name) is Role.OTHER_SET for c in _visible_folders(place))
    ]
    if products and Role.GOOD not in roles.values():
        names = printable(", ".join(products[:5]))
        raise UsageError(f"{printable(types)} holds sets of several products ({names}): name the folder of one of them")
    unclear = [place for place, role in roles.items() if role is Role.UNCLEAR and find_pictures(place).pictures]
    loose = [path for path in find_pictures(types).pictures if path.parent == types]
    if unclear or loose:
        what = (
            f"the folder {printable(unclear[0])}"
            if unclear
            else f"{len(loose)} pictures directly in {printable(types)}"
        )
        raise UsageError(
            f"it is unclear whether {what} {'holds' if unclear else 'show'} good parts or defects: "
            f"put good parts into {printable(types / 'good')}/, each defect type into a folder of its name"
        )
    return [place for place, role in roles.items() if role in (Role.GOOD, Role.DEFECT)]


def _roles(types: Path) -> dict[Path, Role]:
    roles = {c: Role.MASKS if masks_of(c) is not None else role_of(c.name) for c in _visible_folders(types)}
    for place in [place for place, role in roles.items() if role is Role.DEFECT]:
        # Beside good parts a number is a defect type like another.
        number = place.name.isdecimal() and Role.GOOD not in roles.values()
        if number or any(role_of(child.name) is Role.GOOD for child in _visible_folders(place)):
            roles[place] = Role.UNCLEAR
    return roles


def _visible_folders(folder: Path) -> Iterator[Path]:
    return (child for child in sorted(folder.iterdir()) if child.is_dir() and not child.name.startswith("."))


def _say_orphans(folders: list[Path], used: set[Path]) -> None:
    """Says which masks belong to no picture that is evaluated; good parts may have empty ones."""
    for folder in folders:
        pictures = find_pictures(folder).pictures
        parts = {path: path.relative_to(folder).parts for path in pictures if path not in used}
        left = [path for path, names in parts.items() if role_of(names[0]) is not Role.GOOD or len(names) == 1]
        if left:
            log.warning("%s", printable(f"{folder}: {len(left)} masks belong to no picture, {left[0].name} for one"))


def _say(found: PictureFolder, used: set[Path]) -> None:
    """Says what of a type's folder is not evaluated; masks that were taken as such are."""
    passed = tuple(item for item in found.passed_over if item[1] not in used)
    remark = PictureFolder(found.place, found.pictures, passed, found.others).remark
    if remark is not None:
        log.warning("%s", remark)
