"""An inspection: the verdict at hand, the map when asked for, nothing that leaves the process by accident."""

from __future__ import annotations

import pickle
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

import edgeirf
from edgeirf.errors import UsageError
from edgeirf.runtime.inspection import Inspection
from edgeirf.runtime.sources.frame import Frame
from edgeirf.settings import Preprocess
from edgeirf.verdict import STAGES, Verdict


class Gone:
    """A map whose place on the device was taken."""

    def array(self) -> np.ndarray:
        raise UsageError("the anomaly map has expired")

    def heat(self) -> None:
        return None


def test_every_field_of_the_verdict_is_reachable(tiny_path: Path, bad) -> None:
    with edgeirf.load(tiny_path, threads=1) as detector:
        inspection = detector(bad(5), frame_id="a", source="s", captured_at=1.0)
    for field in fields(Verdict):
        assert getattr(inspection, field.name) == getattr(inspection.verdict, field.name), field.name
    assert inspection.to_json() == inspection.verdict.to_json()
    assert inspection.reject
    assert (inspection.threshold, inspection.pixel_threshold) == (detector.threshold, detector.pixel_threshold)
    assert {*inspection.latency_ms} == {*STAGES} - {"download", "camera_to_verdict"}


def test_the_verdict_goes_to_another_process_and_the_inspection_does_not(tiny_path: Path, bad) -> None:
    with edgeirf.load(tiny_path, threads=1) as detector:
        inspection = detector(bad(5))
    assert pickle.loads(pickle.dumps(inspection.verdict)) == inspection.verdict
    with pytest.raises(TypeError, match=r"pickle its \.verdict"):
        pickle.dumps(inspection)


def test_a_bare_array_is_not_kept(tiny_path: Path, good) -> None:
    """Somebody who keeps a thousand inspections keeps no thousand frames."""
    with edgeirf.load(tiny_path, threads=1) as detector:
        inspection = detector(good(1), frame_id=7)
        assert inspection.frame.image is None
        assert inspection.frame.frame_id == 7
        frame = Frame(good(1), 8, "camera", 12.0)
        of_source = detector(frame)
        assert of_source.frame is frame
        assert (of_source.frame_id, of_source.source, of_source.captured_at) == (8, "camera", 12.0)
        assert of_source.latency_ms["camera_to_verdict"] >= of_source.latency_ms["total"]


def test_a_map_that_has_expired_is_one_clear_error() -> None:
    said = Verdict(False, 1.0, 0.5, 2.0, 2.0)
    inspection = Inspection(said, Frame(None, 0, "s"), Preprocess(size=(32, 32)), (40, 50), Gone())
    for ask in (inspection.map, lambda: inspection.overlay(np.zeros((40, 50, 3), np.uint8))):
        with pytest.raises(UsageError, match="expired"):
            ask()
