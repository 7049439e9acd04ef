"""Without a driver."""

from __future__ import annotations

import subprocess
import sys


def test_importing_it_needs_no_pycuda() -> None:
    script = """
import sys
sys.modules["pycuda"] = None
import edgeirf.runtime.executors.gpu.executor, edgeirf.runtime.executors.gpu.keep_warm, edgeirf.runtime.bench
from edgeirf.errors import BackendError
from edgeirf.runtime.cuda.context import CudaContext
try:
    CudaContext()
except BackendError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "pycuda is not installed: pip install pycuda (needs the CUDA toolkit)"
