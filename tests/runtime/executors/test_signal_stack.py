from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

from edgeirf.runtime.executors.signal_stack import _Stack, signal_stack_kept

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="signal stacks of Linux")


def current() -> tuple[int | None, int, int]:
    stack = _Stack()
    assert ctypes.CDLL(None).sigaltstack(None, ctypes.byref(stack)) == 0
    return stack.start, stack.flags, stack.size


def test_a_library_that_sets_a_stack_of_its_own_leaves_none_behind() -> None:
    before, memory = current(), ctypes.create_string_buffer(65536)
    with signal_stack_kept():
        own = _Stack(ctypes.addressof(memory), 0, len(memory))
        assert ctypes.CDLL(None).sigaltstack(ctypes.byref(own), None) == 0
        assert current() != before
    assert current() == before


def test_a_signal_after_openvino_is_survived(tiny_path: Path) -> None:
    pytest.importorskip("openvino")
    code = """
import gc, os, signal, sys
from edgeirf.bundle import Bundle
from edgeirf.runtime.executors.openvino import OpenVinoNetwork
graph = Bundle.read(sys.argv[1]).member("model.fp32.onnx")
networks = [OpenVinoNetwork(graph, 1) for _ in range(3)]
del networks[0]
gc.collect()
networks.clear()
gc.collect()
signal.signal(signal.SIGINT, lambda *_: print("alive"))
os.kill(os.getpid(), signal.SIGINT)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tiny_path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr
