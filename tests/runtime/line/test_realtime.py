"""The process that enters real time is another one: this one would keep it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from edgeirf.errors import UsageError
from edgeirf.runtime.line.realtime import RealtimeSettings

ASK = """
import os, sys, threading
{before}
from edgeirf.runtime.line.realtime import *
waiting = threading.Event()
threading.Thread(target=waiting.wait, daemon=True).start()
print(*enter_realtime({settings}), sep="\\n")
policies = {{os.sched_getscheduler(int(t)) for t in os.listdir("/proc/self/task")}}
print("policies", sorted(policies))
print("cores", sorted(os.sched_getaffinity(0)))
print("slack", open("/proc/self/timerslack_ns").read().strip() if sorted(policies) == [0] else "")
print("locked", [l.split()[1] for l in open("/proc/self/status") if l.startswith("VmLck")][0] != "0")
waiting.set()
"""
WITHOUT_RIGHTS = """

import ctypes, resource
open("/proc/self/status", encoding="ascii").read()  # a codec that cannot be imported by nobody
resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536))
resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0))
if os.geteuid() == 0:
    os.setgid(65534); os.setuid(65534)
"""


def ask(settings: str = "RealtimeSettings()", before: str = "") -> str:
    command = [sys.executable, "-c", ASK.format(settings=settings, before=before)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_every_step_says_that_it_holds_or_why_it_is_refused() -> None:
    out = ask()
    lines = [line for line in out.splitlines() if line.startswith("real time: ")]
    assert len(lines) == 3
    if "SCHED_FIFO with priority 40" in out:
        assert "policies [1]" in out  # every thread, also one that was there before
    else:
        assert "LimitRTPRIO=40" in out
    if "memory is locked" in out:
        assert "locked True" in out
    else:
        assert "LimitMEMLOCK=infinity" in out or "locked memory refused" in out


def test_without_rights_each_refusal_names_its_cure_and_nothing_breaks() -> None:
    out = ask(before="import edgeirf.runtime.line.realtime" + WITHOUT_RIGHTS)
    assert "locked memory refused: the limit of locked memory is 64 KiB: set LimitMEMLOCK=infinity" in out
    assert "priority refused: this user may not have priority 40: set LimitRTPRIO=40" in out
    assert "timer slack is 1 ns" in out
    assert "policies [0]" in out
    assert "slack 1" in out
    assert "locked False" in out


def test_the_line_runs_on_the_cores_that_are_chosen() -> None:
    core = min(os.sched_getaffinity(0))
    out = ask(f"RealtimeSettings(lock_memory=False, cores=({core},))")
    assert f"real time: runs on core {core}\n" in out
    assert f"cores [{core}]" in out
    assert "memory" not in out


def test_a_core_that_is_not_there_is_refused() -> None:
    out = ask("RealtimeSettings(lock_memory=False, cores=(4000,))")
    assert "cores refused: this process has no core 4000, only " in out


@pytest.mark.parametrize("fields", [{"priority": 0}, {"priority": 100}, {"timer_slack_ns": 0}, {"cores": (-1,)}])
def test_impossible_settings_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        RealtimeSettings(**fields)  # type: ignore[arg-type]
