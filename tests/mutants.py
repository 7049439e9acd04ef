"""Plants faults, one at a time, and expects the tests beside them to fail: ``make mutants``. A survivor is an error.

The faults are what a slip of the hand makes of the mathematics, the decision, the bundle and the pipeline.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

CLONE = Path(__file__).parents[1]


class Mutant(NamedTuple):
    """``old`` in ``file`` becomes ``new``; ``tests`` must notice."""

    file: str
    old: str
    new: str
    tests: str


MUTANTS = (
    Mutant("edgeirf/conformal.py", "bisect_left(ascending, score)", "bisect_right(ascending, score)", "tests/edgeirf"),
    Mutant("edgeirf/conformal.py", "rank = math.ceil(", "rank = math.floor(", "tests/edgeirf/test_conformal.py"),
    Mutant("edgeirf/conformal.py", "1 + count - bisect", "count - bisect", "tests/edgeirf/test_conformal.py"),
    Mutant("runtime/scoring.py", "scored_map > threshold", "scored_map >= threshold", "tests/runtime/test_scoring.py"),
    Mutant("runtime/scoring.py", "0.5 * squares", "squares", "tests/runtime/test_scoring.py"),
    Mutant("runtime/scoring.py", "np.arange(pixels) + 0.5", "np.arange(pixels)", "tests/runtime/test_scoring.py"),
    Mutant("runtime/executors/cpu.py", "scored.score > limits", "scored.score >= limits", "tests/runtime"),
    Mutant("edgeirf/bundle.py", "if not _NAME.fullmatch(name)", "if not _NAME.match(name)", "tests/edgeirf"),
    Mutant("edgeirf/bundle.py", "sha256(members[name]) != member.sha256", "False", "tests/edgeirf/test_bundle.py"),
    Mutant("edgeirf/bundle.py", "    _check_graphs(manifest, members)\n        return", "    return", "tests/edgeirf"),
    Mutant("edgeirf/onnx_check/check.py", "alive > limit or ", "", "tests/edgeirf/onnx_check"),
    Mutant("edgeirf/onnx_check/check.py", " or done > MAX_WORK", "", "tests/edgeirf/onnx_check"),
    Mutant("edgeirf/onnx_check/check.py", "2 * cells > pixels", "False", "tests/edgeirf/onnx_check"),
    Mutant("edgeirf/onnx_check/wire.py", "if number not in schema", "if False", "tests/edgeirf/onnx_check"),
    Mutant("edgeirf/onnx_check/graph.py", 'if domain := _text(fields, "domain")', "if domain := ''", "tests/edgeirf"),
    Mutant(
        "edgeirf/files.py",
        "0o666 & ~_umask() if before is None else",
        "0o666 & ~_umask() if True else",
        "tests/edgeirf",
    ),
    Mutant(
        "edgeirf/files.py", "Path(os.path.realpath(shown))\n        before", "shown\n        before", "tests/edgeirf"
    ),
    Mutant("runtime/executors/golden.py", "if not found <= allowed", "if found > allowed", "tests/runtime/executors"),
    Mutant(
        "runtime/executors/onnxruntime.py", "if os.getpid() == self._process:", "if True:", "tests/runtime/executors"
    ),
    Mutant("runtime/executors/cores.py", "math.floor(quota + 1e-6)", "math.ceil(quota)", "tests/runtime/executors"),
    Mutant("export/methods/irf.py", "float(make_alphas_cumprod()[t]) ** 0.5", "1.0", "tests/export/test_bundle.py"),
    Mutant("trainers/train.py", "self._update_ema()", "pass", "tests/trainers/test_train.py"),
    Mutant("runtime/imaging/image_header.py", "!= checksum:", "== -1:", "tests/runtime/imaging"),
    Mutant("edgeirf/frame_contract.py", "int(frame.max())) > white", "int(frame.max())) >= white", "tests/edgeirf"),
    Mutant("edgeirf/frame_contract.py", "left, top = round(x * across)", "left, top = round(x)", "tests/edgeirf"),
    Mutant("runtime/imaging/images.py", "header.height <= limit", "header.height <= 2**62", "tests/runtime/imaging"),
)


def survives(mutant: Mutant) -> bool:
    """Whether the tests pass with the fault in a copy of the clone."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "clone"
        shutil.copytree(CLONE, copy, ignore=shutil.ignore_patterns(".*", "build", "*.irf", "runs", "edgeirf-demo"))
        path = copy / mutant.file
        text = path.read_text()
        if mutant.old not in text:
            raise SystemExit(f"{mutant.file} has no {mutant.old!r} any more: correct tests/mutants.py")
        path.write_text(text.replace(mutant.old, mutant.new, 1))
        (copy / "sitecustomize.py").write_text(  # the copy, not the clone that is installed in editable mode
            "import sys\nsys.meta_path[:] = [f for f in sys.meta_path if 'ditable' not in repr(f)]\n"
        )
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", mutant.tests]
        environment = {**os.environ, "PYTHONPATH": str(copy)}
        return subprocess.run(command, cwd=copy, env=environment, capture_output=True, check=False).returncode == 0


def main() -> int:
    """Number of survivors."""
    survivors = 0
    for mutant in MUTANTS:
        alive = survives(mutant)
        survivors += alive
        change = f"{mutant.file}: {mutant.old!r} -> {mutant.new!r}"
        print(f"{'SURVIVED' if alive else 'caught  '} {change}", flush=True)
    return survivors


if __name__ == "__main__":
    sys.exit(main())
