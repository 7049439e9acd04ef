"""Stored pictures, inspected again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from edgeirf.part import PartVerdict
from edgeirf.runtime.audit.history import History, Query
from edgeirf.runtime.audit.reinspect import Compared, reinspect
from edgeirf.runtime.audit.store import Audit
from edgeirf.runtime.imaging.pixel_format import Pixels
from edgeirf.runtime.sinks.rejects import RejectSaver
from edgeirf.runtime.sinks.sink import Record
from edgeirf.runtime.sources.frame import Frame
from edgeirf.verdict import Verdict


def brightness(frame: Pixels) -> Verdict:
    score = float(frame.mean())
    return Verdict(score > 100, score, 0.5, 100.0)


def test_pictures_that_the_line_saved_are_found_and_compared(
    tmp_path: Path, verdict: Callable[..., PartVerdict]
) -> None:
    audit, saver = Audit(tmp_path / "a.db"), RejectSaver(str(tmp_path / "rejects"))
    for number, light in enumerate((50, 150)):
        part = verdict(f"p{number}", True, frame_id=number, source="camera 0", captured_at=1000.0 + number)
        audit.write(part)
        frame = Frame(np.full((8, 8, 3), light, np.uint8), number, "camera 0", 1000.0 + number)
        saver.write(Record(part.views["top"], frame))
    audit.write(verdict("p2", True, frame_id=2, source="camera 0", captured_at=1002.0))
    saver.close()
    audit.close()
    found = list(reinspect(History(tmp_path / "a.db").rows(Query()), tmp_path / "rejects", brightness))
    compared = [each for each in found if each is not None]
    assert [(each.part_id, each.view, each.changed, each.score) for each in compared] == [
        ("p0", "top", True, 50.0),
        ("p1", "top", False, 150.0),
    ]
    assert found.count(None) == 4  # three side views, and the part whose picture nobody saved


def test_a_picture_that_cannot_be_read_is_a_reject_without_a_score(
    tmp_path: Path, verdict: Callable[..., PartVerdict]
) -> None:
    audit = Audit(tmp_path / "a.db")
    audit.write(verdict(1, frame_id=1, captured_at=1000.0))
    audit.close()
    name = "19700101T001640000Z_000001"
    cv2.imwrite(str(tmp_path / f"{name}.png"), np.zeros((8, 8), np.uint8))
    (tmp_path / f"{name}.png").write_bytes((tmp_path / f"{name}.png").read_bytes()[:40])
    found = next(iter(reinspect(History(tmp_path / "a.db").rows(Query()), tmp_path, brightness)))
    assert isinstance(found, Compared)
    assert (found.reject, found.score, found.changed) == (True, None, True)
