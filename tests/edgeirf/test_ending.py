"""Every signal ends the process, in every phase."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

NEVER = """
import ctypes, edgeirf.ending, time
edgeirf.ending.watch_endings(grace_s=0.2)
lock = ctypes.create_string_buffer(64)
ctypes.CDLL(None).pthread_mutex_lock(lock)
while True:
    try:
        print("ready", flush=True)
        {wait}
    except BaseException:
        pass
"""
WAITS = {
    "in a library that does not return": "ctypes.CDLL(None).pthread_mutex_lock(lock)",
    "in code that catches everything": "time.sleep(600)",
}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("where", WAITS)
def test_every_signal_ends_the_process_in_every_phase(number: signal.Signals, where: str) -> None:
    code = NEVER.format(wait=WAITS[where])
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        try:
            process.wait(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 128 + number


def test_a_phase_that_finishes_its_work_is_not_cut_short() -> None:
    code = (
        "import os, signal, time, edgeirf.ending\n"
        "from edgeirf.cli.console import stop_on_signal\n"
        "edgeirf.ending.watch_endings(grace_s=0.1)\n"
        "with stop_on_signal() as stopped:\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    time.sleep(1)\n"
        "    print('written', stopped())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "written True\n", "")


def test_a_phase_that_does_not_return_is_left() -> None:
    code = (
        "import os, signal, time, edgeirf.ending\n"
        "from edgeirf.cli.console import stop_on_signal\n"
        "edgeirf.ending.watch_endings(finish_s=0.2)\n"
        "with stop_on_signal():\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    time.sleep(600)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (143, "", "edgeirf: interrupted\n")
