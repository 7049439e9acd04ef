"""Room for pictures: the newest stay, within a limit, and the disk never fills."""

from __future__ import annotations

import re
import shutil
from collections import deque
from collections.abc import Callable
from pathlib import Path

from edgeirf.errors import EdgeirfError

RESERVE = 256 * 10**6
"""Bytes that stay free on the disk, for the audit and what else runs on the machine."""
_NAME = re.compile(r"(\d{8}T\d{9}Z_)?(\d{6,}\S*?)(\.png|_overlay\.jpg)")
"""Names of :func:`edgeirf.runtime.sinks.rejects.file_name`."""


def free_bytes(folder: Path) -> int:
    """What a user without special rights may still write."""
    return shutil.disk_usage(folder).free


class PictureRing:
    """Keeps count of the pictures in a folder, those of earlier runs included.

    >>> ring = PictureRing(Path(), limit=1000, free=lambda folder: 10**12)
    >>> _ = Path("000001.png").write_bytes(bytes(700))
    >>> ring.add(Path("000001.png"), 700)
    >>> ring.makes_room(600), ring.removed, Path("000001.png").exists()
    (True, 1, False)

    Args:
        folder: of the pictures.
        limit: bytes that they may have; None: nothing is removed.
        free: bytes that are free on the disk.

    Attributes:
        removed: old pictures that were removed.
    """

    def __init__(self, folder: Path, limit: int | None, free: Callable[[Path], int] = free_bytes) -> None:
        self._folder, self._limit, self._free = folder, limit, free
        self.removed = 0
        self._kept: deque[tuple[Path, int]] = deque()
        self._size = 0
        if limit is not None:
            found = [(path.stat(), path) for path in folder.iterdir() if _is_ours(path) and path.is_file()]
            for status, path in sorted(found, key=lambda one: (one[0].st_mtime_ns, one[1].name)):
                self.add(path, status.st_size)

    def makes_room(self, size: int) -> bool:
        """Removes the oldest pictures until ``size`` bytes fit; False: they do not fit even so.

        Raises:
            EdgeirfError: a picture cannot be removed.
        """
        while self._kept and (self._is_over(size) or self._is_tight(size)):
            self._remove_oldest()
        return not self._is_over(size) and not self._is_tight(size)

    def add(self, path: Path, size: int) -> None:
        """A picture was written."""
        if self._limit is not None:
            self._kept.append((path, size))
            self._size += size

    def _is_over(self, size: int) -> bool:
        return self._limit is not None and self._size + size > self._limit

    def _is_tight(self, size: int) -> bool:
        return self._free(self._folder) - size < RESERVE

    def _remove_oldest(self) -> None:
        path, size = self._kept.popleft()
        self._size -= size
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise EdgeirfError(f"cannot remove the old picture {path}: {error.strerror or error}") from None
        self.removed += 1


def _is_ours(path: Path) -> bool:
    """Nothing else in the folder is ever removed: a name without a time may be a user's, unless the pair is there."""
    found = _NAME.fullmatch(path.name)
    if found is None:
        return False
    time, number, ending = found.groups()
    pair = path.with_name(f"{number}{'_overlay.jpg' if ending == '.png' else '.png'}")
    return time is not None or pair.is_file()
