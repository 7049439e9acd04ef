"""The program's first lines, and the package as it is found in a clone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

CLONE = Path(__file__).parents[2]


def python(code: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_snippet_of_the_readme_works_in_a_clone_after_a_plain_install(tiny_path: Path) -> None:
    """The clone's folder hides the installed package: only it is found, as if nothing were installed."""
    code = (
        "import sys\n"
        "sys.meta_path = [f for f in sys.meta_path if 'ditable' not in repr(f)]\n"
        f"sys.path.insert(0, {str(CLONE)!r})\n"
        "import edgeirf, numpy\n"
        "with edgeirf.load(sys.argv[1], threads=1) as detector:\n"
        "    print(detector(numpy.full((64, 64, 3), 128, numpy.uint8)).status)\n"
    )
    done = python(code, tiny_path)
    assert (done.stdout, done.stderr) == ("ok\n", "")


def test_importing_edgeirf_loads_nothing_that_takes_long() -> None:
    code = "import edgeirf.entry, sys; print(sorted({'numpy', 'cv2', 'onnxruntime', 'typer'} & set(sys.modules)))"
    assert python(code).stdout == "[]\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_libraries_are_loaded_is_one_line(number: signal.Signals) -> None:
    code = (
        "import builtins, os, signal, edgeirf.entry\n"
        "real = builtins.__import__\n"
        "def importing(name, *rest):\n"
        "    if name == 'typer':\n"
        "        os.kill(os.getpid(), int(os.environ['NUMBER']))\n"
        "    return real(name, *rest)\n"
        "builtins.__import__ = importing\n"
        "edgeirf.entry.main()\n"
    )
    done = python(code, NUMBER=str(int(number)))
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "", "edgeirf: interrupted\n")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


IN_A_LIBRARY = "    try: time.sleep(60)\n    except BaseException: raise ImportError('initialization failed')\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("where", ["    time.sleep(60)\n", IN_A_LIBRARY], ids=["anywhere", "in a library that starts"])
def test_a_command_that_a_signal_ends_says_so_in_one_line(number: signal.Signals, where: str) -> None:
    code = (
        "import os, sys, threading, time, edgeirf.cli, edgeirf.entry\n"
        "@edgeirf.cli.app.command('wait')\n"
        "def wait() -> None:\n"
        "    threading.Timer(0.1, os.kill, (os.getpid(), int(os.environ['NUMBER']))).start()\n"
        f"{where}"
        "sys.argv = ['edgeirf', 'wait']\n"
        "edgeirf.entry.main()\n"
    )
    done = python(code, NUMBER=str(int(number)))
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "", "edgeirf: interrupted\n")


def test_a_container_that_is_read_only_runs_every_command() -> None:
    code = "import tempfile, sys, edgeirf.entry; tempfile.tempdir = '/nowhere'; edgeirf.entry.main()"
    done = python(code, "info", "no.irf")
    assert (done.returncode, done.stderr) == (1, "edgeirf: cannot read no.irf: No such file or directory\n")


def test_a_process_that_may_start_no_thread_says_so_in_one_line() -> None:
    code = (
        "import sys, threading, edgeirf.entry\n"
        'def start(thread): raise RuntimeError("can\'t start new thread")\n'
        "threading.Thread.start = start\n"
        "edgeirf.entry.main()\n"
    )
    done = python(code, "info", "no.irf")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "may start no thread: raise the limit" in done.stderr


BROKEN = {
    "built for NumPy 1": (
        "cv2",
        "import sys; sys.stderr.write('A module that was compiled using NumPy 1.x\\n' * 30)\n"
        "raise ImportError('numpy.core.multiarray failed to import')",
        "edgeirf: OpenCV does not start (numpy.core.multiarray failed to import): it is built for NumPy 1: "
        "pip install 'numpy<2'\n",
    ),
    "attribute": ("cv2", "raise AttributeError('_ARRAY_API not found')", "pip install 'numpy<2'\n"),
    "no desktop": (
        "cv2",
        "raise ImportError('libGL.so.1: cannot open shared object file')",
        "pip install --force-reinstall opencv-python-headless\n",
    ),
    "missing": (
        "onnxruntime",
        "raise ModuleNotFoundError(\"No module named 'onnxruntime'\")",
        "pip install onnxruntime\n",
    ),
    "no memory": (
        "cv2",
        "raise ImportError('cv2.abi3.so: failed to map segment from shared object')",
        "there is not enough memory: raise the limit of this process or container, or close other programs\n",
    ),
    "numpy": ("numpy", "raise ImportError('bad magic', name='numpy')", "pip install --force-reinstall numpy\n"),
}


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.parametrize("command", ["run", "predict", "eval", "info", "bench", "train", "export"])
def test_a_library_that_does_not_start_is_one_line_with_its_cure(tmp_path: Path, case: str, command: str) -> None:
    module, code, message = BROKEN[case]
    if command not in ("run", "info") and case != "built for NumPy 1":
        pytest.skip("one fault is enough for the other commands")
    (tmp_path / f"{module}.py").write_text(code)
    main = "import sys; sys.argv[0] = 'edgeirf'; from edgeirf.entry import main; main()"
    done = python(main, command, "x", "y", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith(message)
