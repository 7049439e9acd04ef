"""Inspects the stored pictures of an audit again, with another bundle: what would change?"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeirf.errors import FrameError
from edgeirf.part import PartId
from edgeirf.runtime.audit.row import AuditRow
from edgeirf.runtime.imaging.folder import find_pictures
from edgeirf.runtime.imaging.images import read_image
from edgeirf.runtime.imaging.pixel_format import Pixels
from edgeirf.runtime.sinks.rejects import file_name
from edgeirf.runtime.sources.frame import Frame
from edgeirf.verdict import Verdict


@dataclass(frozen=True)
class Compared:
    """One view of a part, then and now.

    >>> Compared(7, "top", Path("000007.png"), was_reject=True, reject=False, was_score=40.0, score=12.5).changed
    True

    Attributes:
        part_id, view: whose picture.
        picture: the file.
        was_reject, was_score: in the audit.
        reject, score: with the other bundle; no score where the picture cannot be inspected.
    """

    part_id: PartId | None
    view: str
    picture: Path
    was_reject: bool
    reject: bool
    was_score: float | None
    score: float | None

    @property
    def changed(self) -> bool:
        """The decision is another one."""
        return self.was_reject != self.reject


def reinspect(
    rows: Iterable[AuditRow], folder: Path, inspect: Callable[[Pixels], Verdict]
) -> Iterator[Compared | None]:
    """Every view of every part; None for one without a picture in the folder.

    Args:
        rows: of an audit.
        folder: pictures as ``--save-rejects`` names them, by time and number of the frame.
        inspect: a detector's verdict on a frame.
    """
    pictures = {path.stem: path for path in find_pictures(folder).pictures}
    for row in rows:
        for name, view in json.loads(row.views or "{}").items():
            picture = pictures.get(_name(view))
            if picture is None:
                yield None
                continue
            reject, score = _inspected(picture, inspect)
            yield Compared(row.part_id, name, picture, bool(view["reject"]), reject, view["score"], score)


def _name(view: dict[str, Any]) -> str:
    """How ``--save-rejects`` named the picture of a view; empty where the view has no frame."""
    if view["frame_id"] is None:
        return ""
    return file_name(Frame(None, view["frame_id"], view["source"], view["captured_at"]))


def _inspected(picture: Path, inspect: Callable[[Pixels], Verdict]) -> tuple[bool, float | None]:
    try:
        verdict = inspect(read_image(picture))
    except FrameError:
        return True, None
    return verdict.reject, verdict.score
