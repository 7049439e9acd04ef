"""Runs the tests of ``inside``: the real pycuda and the real runtime, on a driver that exists only for tests."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
KERNELS = {"test_faults.py": "hollow_kernels"}
FILES = sorted(path.name for path in (HERE / "inside").glob("test_*.py"))

pytestmark = [
    pytest.mark.skipif(not shutil.which(tool), reason=f"needs {tool} to build pycuda and the stand-in driver")
    for tool in ("nvcc", "g++")
]


@pytest.mark.parametrize("file", FILES)
def test_inside(file: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    import build_pycuda
    import standin

    kernels = getattr(standin, KERNELS.get(file, "real_kernels"))()
    try:
        environment = standin.environment(kernels, tmp_path_factory.getbasetemp() / "standin-cache")
    except build_pycuda.Unavailable as error:
        pytest.skip(str(error))
    command = [sys.executable, "-m", "pytest", str(HERE / "inside" / file), "-p", "no:cacheprovider", "--tb=short"]
    done = subprocess.run(command, env=environment, cwd=HERE.parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-2000:]}"
