"""A line with a camera, a detector and outputs that fail on command: every accepted part gets its one verdict."""

from __future__ import annotations

import time

from benchmarks.line_fakes import BAD, GOOD, FakeDetector
from benchmarks.line_rig import Rig, outcomes, running, until
from edgeirf.errors import SourceError
from edgeirf.runtime.inspection import Inspection


def test_a_triggered_part_gets_the_verdict_of_its_frame_and_every_place_has_it() -> None:
    with running(deadline_s=10.0) as rig:
        assert outcomes([rig.part(7, GOOD), rig.part(8, BAD)]) == [(7, False, "inspected"), (8, True, "inspected")]
        until(lambda: len(rig.output.verdicts) == 2)
        until(lambda: len(rig.output.beats) > 2)
    assert rig.seen == rig.output.verdicts == rig.audit.rows
    assert rig.output.beats == list(range(1, len(rig.output.beats) + 1))
    assert rig.states == ["READY", "RUNNING", "INIT"]
    assert rig.output.states[-1] == ("INIT", "")
    assert rig.output.is_safe
    assert rig.output.closed
    assert rig.detector.closed == 1
    assert rig.problem is None


def test_a_free_running_file_inspects_every_frame_and_ends() -> None:
    rig = Rig(live=False, triggered=False)
    for image in (GOOD, BAD, GOOD, None):
        rig.camera.push(image, None if image is not None else "is cut short")
    rig.camera.end()
    assert rig.line.run() is None
    assert outcomes(rig.seen) == [
        (1, False, "inspected"),
        (2, True, "inspected"),
        (3, False, "inspected"),
        (4, True, "error"),
    ]
    assert rig.line.dropped == 0


def test_a_file_that_ends_early_is_the_problem_of_the_run() -> None:
    rig = Rig(live=False, triggered=False)
    rig.camera.push(GOOD)
    rig.camera.fault_at_end = SourceError("parts.avi is cut short")
    rig.camera.end()
    assert str(rig.line.run()) == "parts.avi is cut short"
    assert len(rig.seen) == 1


def test_it_stops_after_so_many_parts() -> None:
    rig = Rig(live=False, triggered=False, max_parts=2)
    for _ in range(9):
        rig.camera.push(GOOD)
    rig.line.run()
    assert [verdict.part_id for verdict in rig.seen] == [1, 2]


def test_a_live_camera_that_is_faster_than_the_detector_drops_frames_and_counts_them() -> None:
    with running(triggered=False) as rig:
        rig.detector.delay_s = 1.0
        rig.camera.push(GOOD)
        until(lambda: rig.detector.delay_s == 0)  # it is at work on the first frame
        for _ in range(4):
            rig.camera.push(GOOD)
        until(lambda: len(rig.seen) == 2 and rig.camera._queue.empty())
        assert rig.line.dropped == 3
    assert [verdict.views["v0"].frame_id for verdict in rig.seen] == [0, 4]


def test_a_free_running_camera_s_old_frame_is_no_part_and_is_counted() -> None:
    with running(triggered=False, staleness_s=1.0) as rig:
        rig.camera.push(GOOD, taken=time.perf_counter() - 5)
        until(lambda: rig.line.dropped == 1)
        rig.camera.push(GOOD)
        until(lambda: len(rig.seen) == 1)
        assert rig.line.dropped == 1
    assert rig.seen[0].views["v0"].frame_id == 1


def test_a_part_without_a_frame_is_rejected_at_its_deadline_and_so_is_one_whose_frame_is_old() -> None:
    with running(deadline_s=0.1) as rig:
        assert outcomes([rig.part(1)]) == [(1, True, "missing_view")]
        assert rig.trigger.fire(2)
        rig.camera.push(GOOD, taken=time.perf_counter() - 5)
        until(lambda: len(rig.seen) == 2)
        assert outcomes(rig.seen[1:]) == [(2, True, "stale")]
        assert outcomes([rig.part(3, GOOD)]) == [(3, False, "inspected")]


def test_a_slow_detector_makes_a_late_reject_at_the_deadline_and_the_next_part_is_inspected() -> None:
    with running(deadline_s=0.15) as rig:
        rig.detector.delay_s = 0.6
        started = time.monotonic()
        assert outcomes([rig.part(1, GOOD)]) == [(1, True, "late")]
        assert time.monotonic() - started < 0.6
        until(lambda: rig.line.parts.ignored == 1)
        assert outcomes([rig.part(2, GOOD)]) == [(2, False, "inspected")]


def test_two_views_make_one_verdict() -> None:
    with running(deadline_s=10.0, views=2) as rig:
        verdict = rig.part(1, GOOD, BAD)
        assert ({*verdict.views}, verdict.reject) == ({"v0", "v1"}, True)
        assert not rig.part(2, GOOD, GOOD).reject
    with running(deadline_s=0.2, views=2) as rig:
        verdict = rig.part(1, GOOD)
        assert (verdict.reject, verdict.reason, verdict.detail) == (
            True,
            "missing_view",
            "no frame of v1 before the deadline",
        )


def test_cameras_with_parts_of_their_own_share_one_detector() -> None:
    rig = Rig(live=False, triggered=False, views=2, together=False)
    for camera in rig.cameras:
        camera.push(GOOD)
        camera.push(BAD)
        camera.end()
    rig.line.run()
    assert sorted(outcomes(rig.seen)) == [
        ("v0/1", False, "inspected"),
        ("v0/2", True, "inspected"),
        ("v1/1", False, "inspected"),
        ("v1/2", True, "inspected"),
    ]
    assert len(rig.opened) == 1


def test_no_camera_waits_for_ever_while_another_is_faster_than_the_detector() -> None:
    rig = Rig(triggered=False, views=2, together=False)
    slow, fast = rig.cameras[1], rig.cameras[0]

    class Watched(FakeDetector):
        def result(self) -> Inspection:
            """The next frame of the fast camera comes before this one is inspected."""
            fast.push(GOOD)
            until(fast._queue.empty)
            time.sleep(0.02)
            return super().result()

    rig.detector = Watched()
    rig._thread.start()
    until(lambda: rig.line.state == "RUNNING")
    fast.push(GOOD)
    until(lambda: len(rig.seen) >= 2)
    slow.push(GOOD)
    came = len(rig.seen)
    until(lambda: len(rig.seen) > came + 8)
    rig.line.stop()
    rig.join()
    assert any(str(verdict.part_id).startswith("v1/") for verdict in rig.seen[: came + 8])
