"""Which masks belong to which picture: the layouts of MVTec AD, MVTec LOCO, VisA and BTAD."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from pathlib import Path

from edgeirf.runtime.imaging.folder import begins_like_a_picture, is_mask_folder, is_named_like_a_picture, natural_key

_ENDING = re.compile(
    r"[_\-. ]*(?:masks?|gt|ground_?truth|labels?|segmentation|seg|defect|anomaly)?[_\-. ]*[0-9]*\Z", re.IGNORECASE
)


def mask_folders(root: Path, types: Path) -> list[Path]:
    """Folders of masks: in the folder of a set, in that of its types, or beside either."""
    places = dict.fromkeys((root, types, types.parent, root.parent))
    return [
        child
        for place in places
        if place.is_dir()
        for child in sorted(place.iterdir())
        if child.is_dir() and is_mask_folder(child.name)
    ]


def assign_masks(pictures: Iterable[Path], folders: Iterable[Path], defect: str) -> dict[Path, tuple[Path, ...]]:
    """Masks of each picture of one defect type.

    Args:
        pictures: of the type; masks are found by the stems of their names.
        folders: see :func:`mask_folders`; the first that has any mask of the type counts.
        defect: name of the type's folder.

    Returns:
        Picture to masks: ``<type>/<stem>.*``, ``<type>/<stem>_mask.*``, ``<type>/<stem>_mask_2.*``, and
        ``<type>/<stem>/*``; also beside the pictures as ``<stem>_mask.*``.
    """
    by_stem = {path.stem.casefold(): path for path in pictures}
    for folder in folders:
        places = [c for c in folder.iterdir() if c.is_dir() and c.name.casefold() == defect.casefold()] or [folder]
        found = _assign(by_stem, [path for place in places for path in place.rglob("*")], places)
        if found:
            return found
    beside = {path.parent for path in by_stem.values()}
    others = [path for place in beside for path in place.iterdir() if path not in by_stem.values()]
    return _assign(by_stem, others, beside)


def _assign(by_stem: dict[str, Path], masks: Iterable[Path], places: Collection[Path]) -> dict[Path, tuple[Path, ...]]:
    """The owner of a mask is named by its folder, unless that is one of ``places``, or by its own name."""
    found: dict[Path, tuple[Path, ...]] = {}
    for mask in sorted((path for path in masks if path.is_file()), key=natural_key):
        stem = mask.stem.casefold()
        names = (mask.parent.name.casefold() if mask.parent not in places else "", stem, _ENDING.sub("", stem))
        owner = next((by_stem[name] for name in names if name in by_stem), None)
        if owner is not None and (is_named_like_a_picture(mask) or begins_like_a_picture(mask)):
            found[owner] = (*found.get(owner, ()), mask)
    return found
