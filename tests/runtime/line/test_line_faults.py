"""A line with a camera, a detector and outputs that fail on command: what breaks, and what then happens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from queue import Empty
from typing import Any, NamedTuple

import pytest

from benchmarks.line_fakes import GOOD, FakeCamera, FakeDetector, FakeOutput
from benchmarks.line_rig import LIMIT, Rig, outcomes, running, until
from edgeirf.errors import BackendError, OutputError, SourceError
from edgeirf.part import PartVerdict
from edgeirf.runtime.line.capture_thread import Station
from edgeirf.runtime.line.line import Line
from edgeirf.runtime.sources.frame import Frame
from edgeirf.runtime.triggers.software import SoftwareTrigger


def test_a_camera_that_goes_away_degrades_the_line_and_comes_back_with_frames_in_the_detector_s_memory() -> None:
    with running(deadline_s=0.1) as rig:
        rig.camera.away = True
        rig.camera.fault = SourceError("v0 has given no frame for 10 s")
        until(lambda: rig.line.state == "DEGRADED")
        assert outcomes([rig.part(1)]) == [(1, True, "missing_view")]
        assert rig.camera.allocate == rig.detector.allocate
        rig.camera.away, rig.camera.allocate = False, None
        until(lambda: rig.camera.opened == 2)
        assert rig.camera.allocate == rig.detector.allocate
        assert outcomes([rig.part(2, GOOD)]) == [(2, False, "inspected")]
        until(lambda: rig.line.state == "RUNNING")


def test_dropped_frames_stay_counted_after_the_camera_and_after_the_line_came_back() -> None:
    with running(triggered=False, staleness_s=1.0) as rig:
        rig.camera.push(GOOD, taken=time.perf_counter() - 5)
        until(lambda: rig.line.dropped == 1)
        rig.camera.dropped = 5
        rig.camera.fault = SourceError("v0 has given no frame for 10 s")
        until(lambda: rig.camera.opened == 2)
        rig.camera.dropped = 0  # as of a camera that was opened anew
        assert rig.line.dropped == 6
        rig.detector.fault = ZeroDivisionError()
        rig.camera.push(GOOD)
        until(lambda: rig.line.state == "FAULT")
        assert rig.line.acknowledge("Ana")
        until(lambda: rig.line.state == "RUNNING")
        assert rig.line.dropped >= 6


def test_a_source_that_opens_its_camera_again_by_itself_says_why_it_waits() -> None:
    class Read(NamedTuple):
        state: str
        frame: Any = None
        detail: str | None = None

    class Reading(FakeCamera):
        away_because: str | None = None
        broken: str | None = None

        def read(self, timeout: float) -> Read:
            if self.broken:
                return Read("error", None, self.broken)
            try:
                return Read("frame", self._queue.get(timeout=0.01))
            except Empty:
                return Read("end" if self._stopped.is_set() else "timeout", None, self.away_because)

    rig, camera = Rig(deadline_s=5.0), Reading()
    rig.cameras[:] = [camera]
    rig.plan = replace(rig.plan, stations=[Station("v0", camera.open, live=True, reconnect_s=0.0)])
    rig.line = Line(rig.plan, rig.seen.append)
    rig._thread.start()
    until(lambda: rig.line.state == "RUNNING" and rig.trigger.ready)
    camera.away_because = "no frame for 2 s"
    until(lambda: rig.line.reason == "camera v0: no frame for 2 s")
    camera.away_because = None
    assert not rig.part(1, GOOD).reject
    until(lambda: rig.line.state == "RUNNING")
    camera.broken = "gave up after 60 s"
    until(lambda: rig.line.reason == "camera v0: gave up after 60 s")
    assert rig.line.state == "FAULT"
    rig.line.stop()
    rig.join()


def test_a_watchdog_is_fed_while_the_line_lives_and_not_while_its_disk_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeirf.runtime.line.publisher.ALIVE_S", 0.5)
    fed: list[float] = []
    hangs = threading.Event()
    rig = Rig(deadline_s=5.0)
    rig.plan = replace(rig.plan, alive=lambda: fed.append(time.monotonic()))
    rig.line = Line(rig.plan, rig.seen.append)
    rig.audit.write = lambda verdict: hangs.wait(LIMIT) and None  # type: ignore[method-assign]
    rig._thread.start()
    until(lambda: rig.line.state == "RUNNING" and rig.trigger.ready)
    until(lambda: len(fed) > 3)
    rig.trigger.fire(1)
    rig.camera.push(GOOD)
    until(lambda: time.monotonic() - fed[-1] > 1.0)
    hangs.set()
    count = len(fed)
    until(lambda: len(fed) > count)
    rig.line.stop()
    rig.join()


def test_a_camera_that_stays_away_is_a_fault() -> None:
    rig = Rig(deadline_s=5.0)
    rig.plan = replace(rig.plan, stations=[replace(rig.plan.stations[0], reconnect_s=0.05)])
    rig.line = Line(rig.plan, rig.seen.append)
    rig._thread.start()
    until(lambda: rig.line.state == "RUNNING")
    rig.camera.away = True
    rig.camera.fault = SourceError("gone")
    until(lambda: rig.line.state == "FAULT")
    assert rig.line.reason == "camera v0: fake: there is no camera"
    rig.line.stop()
    rig.join()
    assert str(rig.problem) == rig.line.reason


BREAK: dict[str, Callable[[Rig], None]] = {
    "camera": lambda rig: setattr(rig.camera, "fault", RuntimeError("broken")),
    "inspect": lambda rig: setattr(rig.detector, "fault", RuntimeError("broken")),
    "device": lambda rig: setattr(rig.detector, "fault", BackendError("broken")),
    "output": lambda rig: setattr(rig.output, "fault", RuntimeError("broken")),
    "audit": lambda rig: setattr(rig.audit, "fault", OSError("broken")),
}


@pytest.mark.parametrize("where", sorted(BREAK))
def test_an_exception_in_any_thread_is_a_fault_with_safe_outputs_until_an_operator_acknowledges(where: str) -> None:
    with running(deadline_s=0.5) as rig:
        until(lambda: rig.output.states)
        if where != "camera":
            BREAK[where](rig)
        assert rig.trigger.fire(1)
        if where != "camera":
            rig.camera.push(GOOD)
        else:  # no frame, which the camera might give before it breaks
            BREAK[where](rig)
        until(lambda: rig.line.state == "FAULT")
        assert "broken" in rig.line.reason
        until(lambda: len(rig.seen) == 1)
        until(lambda: rig.output.is_safe or (rig.output.verdicts and rig.output.verdicts[-1].reject))
        if where != "output":  # the exception came from acting on the part
            assert rig.seen[0].reject
        assert not rig.trigger.fire(2)
        assert rig.line.missed == 1
        time.sleep(0.15)
        assert rig.line.state == "FAULT"
        assert rig.line.acknowledge("Ana")
        until(lambda: rig.line.state == "RUNNING")
        assert not rig.line.acknowledge("Ana")
        assert outcomes([rig.part(3, GOOD)]) == [(3, False, "inspected")]
    assert rig.audit.actions[0][0] == "Ana"
    assert rig.states[-5:] == ["FAULT", "INIT", "READY", "RUNNING", "INIT"]


def test_a_line_may_leave_fault_by_itself() -> None:
    with running(deadline_s=0.5, self_recovery=True) as rig:
        rig.detector.fault = RuntimeError("broken")
        assert rig.part(1, GOOD).reject
        until(lambda: rig.line.state == "RUNNING" and len(rig.opened) == 2)
        assert not rig.part(2, GOOD).reject


def test_a_lost_device_is_replaced_by_the_standby_and_the_line_is_degraded() -> None:
    standby = FakeDetector()
    with running(deadline_s=5.0, standby=lambda sizes: standby) as rig:
        rig.detector.lost = True
        assert outcomes([rig.part(1, GOOD)]) == [(1, True, "error")]
        until(lambda: rig.line.state == "DEGRADED")
        assert rig.line.reason == "device: the GPU is lost: the CPU inspects"
        assert outcomes([rig.part(2, GOOD)]) == [(2, False, "inspected")]
    assert standby.closed == 1


def test_a_device_that_hangs_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeirf.runtime.line.heartbeat.HANG_S", 0.2)
    with running(deadline_s=0.02) as rig:
        rig.detector.delay_s = 0.8
        assert rig.part(1, GOOD).reject
        until(lambda: rig.line.state == "FAULT")
        assert "the device has not answered for 0.2 s" in rig.line.reason
        until(lambda: rig.line.acknowledge("Ana") or rig.line.state == "RUNNING")


def test_a_clock_that_is_stepped_changes_no_deadline() -> None:
    steps = iter([1e6, -1e6, 5.0, 0.0, 1e9] * 20)
    rig = Rig(deadline_s=5.0)
    rig.line = Line(rig.plan, rig.seen.append, wall=lambda: time.time() + next(steps))
    rig._thread.start()
    until(lambda: rig.line.state == "RUNNING" and rig.trigger.ready)
    verdicts = [rig.part(number, GOOD) for number in range(5)]
    rig.line.stop()
    rig.join()
    assert [(verdict.reject, verdict.late_ms) for verdict in verdicts] == [(False, 0.0)] * 5


def test_a_terminal_that_does_not_take_a_line_delays_no_verdict() -> None:
    stuck = threading.Event()
    rig = Rig(deadline_s=5.0)
    rig.line = Line(rig.plan, rig.seen.append, lambda state, reason: stuck.wait(LIMIT) and None)
    rig._thread.start()
    until(lambda: rig.line.state == "RUNNING")
    until(lambda: rig.trigger.ready)
    assert not rig.part(1, GOOD).reject
    stuck.set()
    rig.line.stop()
    rig.join()


def test_a_slow_or_dead_output_delays_no_other() -> None:
    slow, dead = FakeOutput("slow"), FakeOutput("dead")
    dead.dead = True
    with running(deadline_s=30.0, outputs=[slow, dead]) as rig:
        until(lambda: rig.line.state == "DEGRADED")
        assert rig.line.reason == "output dead: dead: does not answer: check the cable"
        slow.slow_s = 1.0
        for number in range(20):
            rig.part(number, GOOD)
        until(lambda: len(rig.output.verdicts) == 20)
        assert len(slow.verdicts) < 20
        dead.dead = False
        until(lambda: rig.line.state == "RUNNING")
        rig.part(20, GOOD)
        until(lambda: dead.verdicts)
    assert [verdict.part_id for verdict in slow.verdicts] == list(range(21))
    assert dead.verdicts[-1].part_id == 20
    counters = rig.line.outputs[2].counters
    assert counters.lost + counters.delivered == 21


def test_an_output_that_fails_to_act_is_put_in_its_safe_state_and_opened_again() -> None:
    with running(deadline_s=5.0) as rig:
        rig.output.fault = OutputError("fake: the cable is out")
        rig.part(1, GOOD)
        until(lambda: rig.output.safes == 1)
        until(lambda: rig.line.outputs[0].counters.connects == 2)
        rig.part(2, GOOD)
        until(lambda: [verdict.part_id for verdict in rig.output.verdicts] == [2])
        assert rig.line.outputs[0].counters.lost == 1


def test_a_peer_whose_heartbeat_stands_is_a_fault() -> None:
    with running(deadline_s=5.0, peer_timeout_s=0.3) as rig:
        for count in range(5):
            rig.line.heard(count)
            time.sleep(0.1)
        assert rig.line.state == "RUNNING"
        until(lambda: rig.line.heard(4) or rig.line.state == "FAULT")
        assert "heartbeat of the PLC" in rig.line.reason


def test_an_output_hears_of_every_part_before_its_verdict_and_of_a_trigger_that_was_refused_for_want_of_room() -> None:
    with running(deadline_s=30.0, room=1) as rig:
        assert rig.trigger.fire(1)
        assert not rig.trigger.fire(2)
        until(lambda: rig.output.expected == [1, "refused/1"])
        assert rig.output.verdicts == []
        rig.camera.push(GOOD)
        until(lambda: len(rig.output.verdicts) == 1)


def test_a_line_that_stops_rejects_what_is_open() -> None:
    with running(deadline_s=30.0) as rig:
        assert rig.trigger.fire(1)
    assert outcomes(rig.seen) == [(1, True, "fault")]
    assert rig.seen[0].detail == "the line was stopped"
    assert not rig.trigger.fire(2)


def test_what_cannot_be_opened_at_the_start_is_said_and_the_outputs_are_safe() -> None:
    rig = Rig(deadline_s=1.0)
    rig.camera.away = True
    with pytest.raises(SourceError, match="there is no camera"):
        rig.line.run()
    assert rig.output.is_safe


def test_a_monitor_that_sees_drift_degrades_the_line_and_one_that_fails_stops_nothing() -> None:
    class Watch:
        said: str | None = "light -6 %"

        closed = 0

        def close(self) -> None:
            self.closed += 1

        def watch(self, part: PartVerdict, frames: Mapping[str, Frame]) -> str | None:
            assert [(view, frame.image.shape) for view, frame in frames.items()] == [("v0", (8, 8, 3))]
            if self.said == "raise":
                raise RuntimeError("broken")
            return self.said

    watch = Watch()
    with running(deadline_s=5.0, watch=watch) as rig:
        rig.part(1, GOOD)
        until(lambda: rig.line.reason == "drift: light -6 %")
        watch.said = "raise"
        rig.part(2, GOOD)
        until(lambda: "the monitor failed" in rig.line.reason)
        watch.said = None
        assert not rig.part(3, GOOD).reject
        until(lambda: rig.line.state == "RUNNING")
    assert watch.closed == 1


def test_fault_is_not_left_before_the_trigger_works_again() -> None:
    class Barrier(SoftwareTrigger):
        control: Any = None
        gone = False

        def restart(self) -> None:
            if self.gone:
                raise SourceError("the chip is gone")

    barrier = Barrier()
    with running(deadline_s=5.0, trigger=barrier) as rig:
        barrier.gone = True
        barrier.control.fault("parts pass unannounced")
        until(lambda: rig.line.state == "FAULT")
        rig.line.acknowledge("Ana")
        until(lambda: rig.line.reason == "the chip is gone")
        barrier.gone = False
        rig.line.acknowledge("Ana")
        until(lambda: rig.line.state == "RUNNING")
        assert outcomes([rig.part(1, GOOD)]) == [(1, False, "inspected")]
    assert [text for _, text in rig.audit.actions] == [
        "acknowledged: parts pass unannounced",
        "acknowledged: the chip is gone",
    ]


def test_a_camera_takes_a_picture_for_each_part_and_one_that_does_not_answer_makes_a_reject() -> None:
    class Fired(FakeCamera):
        dead = False

        def fire(self) -> None:
            if self.dead:
                raise SourceError("v0 does not take a software trigger")
            self.push(GOOD)

    rig, camera = Rig(deadline_s=0.2), Fired()
    rig.cameras[:] = [camera]
    rig.plan = replace(rig.plan, stations=[Station("v0", camera.open, live=True, fires=True)])
    rig.line = Line(rig.plan, rig.seen.append)
    rig._thread.start()
    until(lambda: rig.line.state == "RUNNING" and rig.trigger.ready)
    assert outcomes([rig.part(1), rig.part(2)]) == [(1, False, "inspected"), (2, False, "inspected")]
    camera.dead = True
    assert outcomes([rig.part(3)]) == [(3, True, "missing_view")]
    assert rig.line.reason == "camera v0: v0 does not take a software trigger"
    camera.dead = False
    assert outcomes([rig.part(4)]) == [(4, False, "inspected")]
    until(lambda: rig.line.state == "RUNNING")
    assert rig.line.losses == {"v0": 1}
    camera.fire = lambda: [][0]  # type: ignore[method-assign]
    assert outcomes([rig.part(5)]) == [(5, True, "fault")]
    assert rig.line.reason == "fire: IndexError: list index out of range"
    rig.line.stop()
    rig.join()
