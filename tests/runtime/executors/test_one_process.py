"""Sessions and fork."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("ending", ["closes", "exits"])
@pytest.mark.parametrize("device", ["cpu", "openvino"])
def test_a_session_inherited_over_fork_says_so_and_lets_the_child_end(
    tiny_path: Path, ending: str, device: str
) -> None:
    """Ending it would wait for threads that stayed in the parent. In a process of its own: pytest's would be forked."""
    if device == "openvino":
        pytest.importorskip("openvino", reason="OpenVINO is an extra: pip install 'edgeirf[openvino]'")
    code = (
        "import os, signal, sys, edgeirf, numpy\n"
        "frame = numpy.full((64, 64, 3), 128, numpy.uint8)\n"
        "detector = edgeirf.load(sys.argv[1], sys.argv[3], threads=2)\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    signal.alarm(60)\n"
        "    try:\n"
        "        detector(frame)\n"
        "    except edgeirf.BackendError as error:\n"
        "        print(error, flush=True)\n"
        "    if sys.argv[2] == 'closes':\n"
        "        detector.close()\n"
        "    sys.exit(7)\n"
        "print(os.waitpid(child, 0)[1], detector(frame).status)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tiny_path, ending, device], capture_output=True, text=True, timeout=120, check=True
    )
    said, ended = done.stdout.splitlines()
    assert said == "the model was loaded before this process was forked: load the model in the child"
    assert ended == f"{7 << 8} ok"
