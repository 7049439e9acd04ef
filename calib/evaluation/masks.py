"""Which masks belong to which picture: the layouts of MVTec AD, MVTec LOCO, VisA and BTAD."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from pathlib import Path

from edgeirf.runtime.imaging.folder import begins_like_a_picture, is_mask_folder, is_named_like_a_picture, natural_key

_ENDING = re.compile(
    r"[_\-. ]*(?:masks?|gt|ground_?truth|labels?|segmentation|seg|defect|anomaly)?[_\-. ]*[0-9]*\Z", re.IGNORECASE
)


_MASKS_OF = re.compile(r"(.+?)[_\-. ]+(?:masks?|gt|ground_?truth)", re.IGNORECASE)


def masks_of(place: Path) -> str | None:
    """The name of the type beside ``place`` whose masks ``place`` holds (``crack_mask`` beside ``crack``), or None."""
    named = _MASKS_OF.fullmatch(place.name)
    return named[1] if named is not None and place.with_name(named[1]).is_dir() else None


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


def assign_masks(pictures: Iterable[Path], folders: Iterable[Path], place: Path) -> dict[Path, tuple[Path, ...]]:
    """Masks of each picture of one defect type.

    Args:
        pictures: of the type; masks are found by the stems of their names.
        folders: see :func:`mask_folders`; the first that has any mask of the type counts.
        place: the type's folder.

    Returns:
        Picture to masks: ``<type>/<stem>.*``, ``<type>/<stem>_mask.*``, ``<type>/<stem>_mask_2.*``, and
        ``<type>/<stem>/*``; also beside the pictures as ``<stem>_mask.*``, in a folder of masks among them, and in
        ``<type>_mask/`` beside the type's folder.
    """
    by_stem = {path.stem.casefold(): path for path in pictures}
    own = [c for c in place.iterdir() if c.is_dir() and is_mask_folder(c.name)]
    own += [c for c in place.parent.iterdir() if c.is_dir() and masks_of(c) == place.name]
    for folder in (*folders, *own):
        same = [c for c in folder.iterdir() if c.is_dir() and c.name.casefold() == place.name.casefold()]
        places = same or [folder]
        found = _assign(by_stem, [path for each in places for path in each.rglob("*")], places)
        if found:
            return found
    beside = {path.parent for path in by_stem.values()}
    others = [path for each in beside for path in each.iterdir() if path not in by_stem.values()]
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
