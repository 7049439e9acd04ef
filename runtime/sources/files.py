"""Image files as a source: a folder, a glob, one file. Nothing is dropped."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgeirf.errors import FrameError, SourceError
from edgeirf.runtime.imaging.images import is_image, list_images, natural_key, read_image
from edgeirf.runtime.sources.frame import Frame


class ImageFiles:
    """Reads image files in the order given; see :class:`edgeirf.runtime.sources.Source`."""

    dropped, waiting, size = 0, False, None

    def __init__(self, name: str, paths: Sequence[Path]) -> None:
        self.name = name
        self.paths = list(paths)
        self.total: int | None = len(self.paths)
        self._stopped = False

    def __iter__(self) -> Iterator[Frame]:
        """One frame a file; one that cannot be read comes with its error."""
        for number, path in enumerate(self.paths):
            if self._stopped:
                return
            try:
                yield Frame(read_image(path), number, str(path))
            except FrameError as error:
                yield Frame(None, number, str(path), error=str(error))

    def stop(self) -> None:
        """Ends before the next file."""
        self._stopped = True

    def close(self) -> None:
        """Nothing is held open."""


def open_folder(text: str) -> ImageFiles:
    """The images directly in a folder, in natural order.

    Raises:
        SourceError: there is none.
    """
    paths = list_images(text)
    if not paths:
        inside = "**" if any(Path(text).glob("*/*")) else "*.png"
        raise SourceError(f"{text} holds no jpg, png, bmp or tiff images; a glob finds others: '{Path(text) / inside}'")
    return ImageFiles(text, paths)


def open_glob(text: str) -> ImageFiles:
    """The images that match a pattern, in natural order; ``**`` goes through sub-folders.

    Raises:
        SourceError: there is none.
    """
    paths = [Path(match) for match in glob.glob(text, recursive=True) if is_image(Path(match))]
    if not paths:
        raise SourceError(f"no jpg, png, bmp or tiff image matches {text}")
    return ImageFiles(text, sorted(paths, key=natural_key))
