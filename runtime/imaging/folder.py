"""Which pictures a folder holds: the one definition for training, evaluation and the line.

Nothing is left out silently: what is passed over is counted, with the reason.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edgeirf.errors import FrameError, SourceError
from edgeirf.runtime.imaging.image_header import is_picture, read_header
from edgeirf.runtime.imaging.images import read_start
from edgeirf.text import printable

PICTURE_SUFFIXES = frozenset(
    f".{suffix}"
    for suffix in (
        *[
            "jpg",
            "jpeg",
            "jpe",
            "jfif",
            "png",
            "apng",
            "bmp",
            "dib",
            "tif",
            "tiff",
            "webp",
            "gif",
            "jp2",
            "j2k",
            "avif",
            "pbm",
            "pgm",
            "ppm",
            "pnm",
            "pam",
            "pxm",
            "ras",
            "sr",
        ],
        # Named like a picture, but of no format that is read: each is an error by name, none is passed over.
        *[
            "heic",
            "heif",
            "jxl",
            "jxr",
            "exr",
            "hdr",
            "pfm",
            "pic",
            "psd",
            "dng",
            "cr2",
            "cr3",
            "nef",
            "arw",
            "dcm",
            "tga",
        ],
    )
)
VIDEO_SUFFIXES = frozenset(
    f".{suffix}"
    for suffix in [
        "mp4",
        "m4v",
        "mov",
        "avi",
        "mkv",
        "webm",
        "wmv",
        "mpg",
        "mpeg",
        "ts",
        "m2ts",
        "flv",
        "ogv",
        "3gp",
        "mjpg",
        "mjpeg",
    ]
)
_MASKS = (  # noqa: SIM905
    "groundtruth groundtruths gt gts mask masks anomalymask anomalymasks defectmask defectmasks binarymasks pixelmasks "
    "label labels annotation annotations segmentation segmentations"
).split()
MASK_FOLDERS = frozenset(_MASKS)
_JUNK_FOLDERS = frozenset({"__macosx", "@eadir", "$recycle.bin", "#recycle", "system volume information", "lost+found"})
_MASK_STEM = re.compile(r"(.+?)[_\-. ](?:mask|masks|gt|ground_?truth|label|seg)(?:[_\-. ]?\d+)?", re.IGNORECASE)


@dataclass(frozen=True)
class PictureFolder:
    """What was found.

    Attributes:
        place: the folder or pattern.
        pictures: to be read, in natural order.
        passed_over: pictures and videos that are not read, with the reason.
        others: files that are no pictures.
    """

    place: str
    pictures: tuple[Path, ...]
    passed_over: tuple[tuple[str, Path], ...] = ()
    others: tuple[Path, ...] = ()

    @property
    def remark(self) -> str | None:
        """One line on what is passed over; None when nothing is."""
        counts = Counter(reason for reason, _ in self.passed_over)
        parts = [f"{count} {reason}" for reason, count in counts.items()]
        if self.others:
            kinds = sorted({path.suffix.lower() or path.name for path in self.others})
            shown = ", ".join(kinds[:4]) + (", ..." if len(kinds) > 4 else "")
            parts.append(f"{len(self.others)} other file{'s' * (len(self.others) > 1)} ({shown})")
        return printable(f"{self.place}: passed over: {', '.join(parts)}") if parts else None


def find_pictures(folder: str | os.PathLike[str]) -> PictureFolder:
    """The pictures in ``folder`` and its sub-folders, in natural order (``2.png`` before ``10.png``).

    A picture is a file whose name ends like one, or whose content begins like one. Hidden files, hidden and junk
    folders, and masks (folders such as ``ground_truth``, ``x_mask.png`` beside ``x.png``) are passed over.

    Raises:
        SourceError: there is no such folder, or it or a sub-folder cannot be read.
    """
    root = Path(folder)
    files = sorted(_walk(root), key=natural_key)
    return _sort_out(printable(folder), ((path, _reason(path.relative_to(root))) for path in files))


def name_pictures(place: str, files: Iterable[Path]) -> PictureFolder:
    """The pictures among files that were named one by one, hidden ones and masks too."""
    return _sort_out(place, ((path, None) for path in sorted(files, key=natural_key)))


def is_named_like_a_picture(path: Path) -> bool:
    """Whether the name ends like that of a picture; whether one is inside only reading shows."""
    return path.suffix.lower() in PICTURE_SUFFIXES


def begins_like_a_picture(path: Path) -> bool:
    """Whether the content does; False for what is no regular file."""
    try:
        return is_picture(read_start(path))
    except OSError:
        return False


def is_video(path: Path) -> bool:
    """Whether a file is read as a video: what is named like one or not like a picture, and a GIF that moves."""
    if path.suffix.lower() in VIDEO_SUFFIXES or not (is_named_like_a_picture(path) or begins_like_a_picture(path)):
        return True
    try:
        return read_start(path)[:3] == b"GIF" and read_header(path.read_bytes()).pictures > 1
    except (OSError, FrameError):  # it is cut, and may have been one
        return True


def is_mask_folder(name: str) -> bool:
    """Whether a folder of this name holds masks of pictures, not pictures."""
    return re.sub(r"[^a-z]", "", name.casefold()) in MASK_FOLDERS


def natural_key(path: Path) -> tuple[list[tuple[str, int]], str]:
    """Sort key under which numbers in names count as numbers; equal ones are ordered by their plain text."""
    parts = re.findall(r"(\D*)([0-9]*)", str(path))
    return [(text.casefold(), int(digits[:4000] or -1)) for text, digits in parts], str(path)


def _walk(root: Path) -> Iterator[Path]:
    """Every file below, links followed, each folder once."""
    seen: set[tuple[int, int]] = set()

    def refuse(error: OSError) -> None:
        raise SourceError(f"cannot read the folder {printable(error.filename)}: {error.strerror or error}") from None

    for folder, names, files in os.walk(root, followlinks=True, onerror=refuse):
        about = os.stat(folder)
        if (about.st_dev, about.st_ino) in seen:
            names.clear()
            continue
        seen.add((about.st_dev, about.st_ino))
        names.sort()
        yield from (Path(folder, name) for name in files)


def _reason(path: Path) -> str | None:
    """Why a file, named from the folder that is read, is not one of its pictures."""
    for name in path.parts[:-1]:
        if name.startswith("."):
            return "in hidden folders"
        if name.casefold() in _JUNK_FOLDERS:
            return "in junk folders"
        if is_mask_folder(name):
            return f"masks in {name}"
    return "hidden" if path.name.startswith(".") else None


def _sort_out(place: str, files: Iterable[tuple[Path, str | None]]) -> PictureFolder:
    pictures: list[Path] = []
    passed: list[tuple[str, Path]] = []
    others: list[Path] = []
    for path, reason in files:
        if reason is None and path.suffix.lower() in VIDEO_SUFFIXES:
            passed.append(("videos", path))
        elif reason is None and (is_named_like_a_picture(path) or begins_like_a_picture(path)):
            pictures.append(path)
        elif reason is not None and begins_like_a_picture(path):
            passed.append((reason, path))
        else:
            others.append(path)
    stems = {path.with_suffix("") for path in pictures}
    masks = {path for path in pictures if (m := _MASK_STEM.fullmatch(path.stem)) and path.with_name(m[1]) in stems}
    passed += [("masks beside their pictures", path) for path in pictures if path in masks]
    return PictureFolder(place, tuple(path for path in pictures if path not in masks), tuple(passed), tuple(others))
