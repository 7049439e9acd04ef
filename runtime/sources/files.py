"""Image files as a source: a folder, a glob, one file. Nothing is dropped, and nothing is passed over silently."""

from __future__ import annotations

import glob
import logging
from collections.abc import Iterator
from pathlib import Path

from edgeirf.errors import FrameError, SourceError
from edgeirf.runtime.imaging.folder import PictureFolder, find_pictures, name_pictures
from edgeirf.runtime.imaging.images import read_image
from edgeirf.runtime.sources.address import shown
from edgeirf.runtime.sources.frame import Frame
from edgeirf.runtime.sources.in_order import InOrder
from edgeirf.text import printable

log = logging.getLogger("edgeirf")


class ImageFiles(InOrder):
    """Reads image files in natural order; see :class:`edgeirf.runtime.sources.Source`.

    Files that are no pictures are said in a warning; pictures that were passed over are an error at the end.

    Args:
        found: the pictures, and what was passed over.
    """

    dropped, waiting, size = 0, False, None

    def __init__(self, found: PictureFolder) -> None:
        self.name = printable(found.place)
        self.paths = found.pictures
        self.total: int | None = len(self.paths)
        self._found = found
        self._stopped = False
        if found.others and not found.passed_over:
            log.warning("%s", found.remark)

    def __iter__(self) -> Iterator[Frame]:
        """One frame a file; one that cannot be read comes with its error.

        Raises:
            SourceError: at the end, when pictures or videos were passed over.
        """
        for number, path in enumerate(self.paths):
            if self._stopped:
                return
            try:
                yield Frame(read_image(path), number, printable(path))
            except FrameError as error:
                yield Frame(None, number, printable(path), error=str(error))
        if self._found.passed_over and not self._stopped:
            raise SourceError(f"not everything was inspected: {self._found.remark}; name them to inspect them")

    def stop(self) -> None:
        """Ends before the next file."""
        self._stopped = True

    def close(self) -> None:
        """Nothing is held open."""


def open_folder(text: str) -> ImageFiles:
    """The pictures in a folder and its sub-folders; see :func:`edgeirf.runtime.imaging.folder.find_pictures`.

    Raises:
        SourceError: there is none.
    """
    found = find_pictures(text)
    if not found.pictures:
        raise SourceError(f"{found.remark or printable(text)}: no pictures to inspect")
    return ImageFiles(found)


def open_file(path: Path) -> ImageFiles:
    """One picture."""
    return ImageFiles(PictureFolder(str(path), (path,)))


def open_glob(text: str) -> ImageFiles:
    """The pictures that match a pattern, and those in folders that match; ``**`` goes through sub-folders.

    Raises:
        SourceError: there is none.
    """
    matches = [Path(match) for match in glob.glob(text, recursive=True)]
    parts = [name_pictures(text, (path for path in matches if not path.is_dir()))]
    if "**" not in text:  # else what is inside matches by itself
        parts += [find_pictures(path) for path in matches if path.is_dir()]
    found = PictureFolder(
        text,
        tuple(path for part in parts for path in part.pictures),
        tuple(item for part in parts for item in part.passed_over),
        tuple(path for part in parts for path in part.others),
    )
    if not found.pictures:
        raise SourceError(f"no picture matches {shown(text)}{'; ' + found.remark if found.remark else ''}")
    return ImageFiles(found)
