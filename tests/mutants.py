"""Plants faults, one at a time, and expects the tests beside them to fail: ``make mutants``. A survivor is an error.

The faults are what a slip of the hand makes of the mathematics, the decision, the bundle and the pipeline.
``python tests/mutants.py scoring.py cpu.py`` plants those of the files that are named.
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
    Mutant(
        "edgeirf/conformal.py",
        "bisect_left(ascending, score)",
        "bisect_right(ascending, score)",
        "tests/edgeirf/test_conformal.py",
    ),
    Mutant("edgeirf/conformal.py", "rank = math.ceil(", "rank = math.floor(", "tests/edgeirf/test_conformal.py"),
    Mutant("edgeirf/conformal.py", "1 + count - bisect", "count - bisect", "tests/edgeirf/test_conformal.py"),
    Mutant("runtime/scoring.py", "scored_map > threshold", "scored_map >= threshold", "tests/runtime/test_scoring.py"),
    Mutant("runtime/scoring.py", "0.5 * squares", "squares", "tests/runtime/test_scoring.py"),
    Mutant("runtime/scoring.py", "np.arange(pixels) + 0.5", "np.arange(pixels)", "tests/runtime/test_scoring.py"),
    Mutant(
        "runtime/executors/cpu.py",
        "scored.score > limits",
        "scored.score >= limits",
        "tests/runtime/executors/test_cpu.py tests/runtime/test_detector.py tests/runtime/executors",
    ),
    Mutant(
        "edgeirf/bundle.py", "if not _NAME.fullmatch(name)", "if not _NAME.match(name)", "tests/edgeirf/test_bundle.py"
    ),
    Mutant("edgeirf/bundle.py", "sha256(members[name]) != member.sha256", "False", "tests/edgeirf/test_bundle.py"),
    Mutant(
        "edgeirf/bundle.py",
        "    _check_graphs(manifest, members)\n        return",
        "    return",
        "tests/edgeirf/test_bundle.py",
    ),
    Mutant("edgeirf/onnx_check/check.py", "alive > limit or ", "", "tests/edgeirf/onnx_check"),
    Mutant("edgeirf/onnx_check/check.py", " or done > MAX_WORK", "", "tests/edgeirf/onnx_check"),
    Mutant("edgeirf/onnx_check/check.py", "2 * cells > pixels", "False", "tests/edgeirf/onnx_check"),
    Mutant("edgeirf/onnx_check/wire.py", "if number not in schema", "if False", "tests/edgeirf/onnx_check"),
    Mutant(
        "edgeirf/onnx_check/graph.py",
        'if domain := _text(fields, "domain")',
        "if domain := ''",
        "tests/edgeirf/onnx_check",
    ),
    Mutant(
        "edgeirf/files.py",
        "0o666 & ~_umask() if before is None else",
        "0o666 & ~_umask() if True else",
        "tests/edgeirf/test_files.py",
    ),
    Mutant(
        "edgeirf/files.py",
        "Path(os.path.realpath(shown))\n        before",
        "shown\n        before",
        "tests/edgeirf/test_files.py",
    ),
    Mutant("runtime/executors/golden.py", "if not found <= allowed", "if found > allowed", "tests/runtime/executors"),
    Mutant(
        "runtime/executors/one_process.py",
        "ctypes.pythonapi.Py_IncRef(ctypes.py_object(getattr(network, name, None)))",
        "pass",
        "tests/runtime/executors/test_one_process.py",
    ),
    Mutant("runtime/executors/cores.py", "math.floor(quota + 1e-6)", "math.ceil(quota)", "tests/runtime/executors"),
    Mutant(
        "export/methods/irf.py", "float(make_alphas_cumprod()[t]) ** 0.5", "1.0", "tests/export/methods/test_irf.py"
    ),
    Mutant("trainers/train.py", "self._update_ema()", "pass", "tests/trainers/test_train.py"),
    Mutant("runtime/imaging/image_header.py", "!= checksum:", "== -1:", "tests/runtime/imaging"),
    Mutant(
        "edgeirf/frame_contract.py",
        "int(frame.max())) > white",
        "int(frame.max())) >= white",
        "tests/edgeirf/test_frame_contract.py",
    ),
    Mutant(
        "edgeirf/frame_contract.py",
        "left, top = round(x * across)",
        "left, top = round(x)",
        "tests/edgeirf/test_frame_contract.py",
    ),
    Mutant("runtime/imaging/images.py", "header.height <= limit", "header.height <= 2**62", "tests/runtime/imaging"),
    Mutant("trainers/train.py", "lerp_(value, 1 - decay)", "lerp_(value, decay)", "tests/trainers/test_train.py"),
    Mutant(
        "trainers/train.py", "decay = min(self.run.config.ema, ", "decay = max(0.0, ", "tests/trainers/test_train.py"
    ),
    Mutant(
        "trainers/train.py",
        '_prefixed("ema.", self.ema), **stat',
        '_prefixed("ema.", self.net.state_dict()), **stat',
        "tests/trainers/test_train.py",
    ),
    Mutant(
        "runtime/executors/cpu.py",
        "marked = scored.peak > limits.pixel_threshold",
        "marked = scored.peak > limits.threshold",
        "tests/runtime/executors/test_cpu.py",
    ),
    Mutant(
        "runtime/executors/cpu.py",
        "find_regions(scored.map, limits.pixel_threshold",
        "find_regions(scored.map, limits.threshold",
        "tests/runtime/executors/test_cpu.py tests/runtime/test_detector.py",
    ),
    Mutant("runtime/scoring.py", "connectivity=8", "connectivity=4", "tests/runtime/test_scoring.py"),
    Mutant(
        "runtime/scoring.py",
        "key=lambda one: one[:3]",
        "key=lambda one: one[1:3]",
        "tests/runtime/test_scoring.py",
    ),
    Mutant(
        "runtime/imaging/resize.py",
        "exact = np.rint(means)",
        "exact = np.floor(means)",
        "tests/runtime/imaging/test_preprocess.py",
    ),
    Mutant(
        "runtime/imaging/resize.py", "(whole % 2 == 1)", "(whole % 2 == 0)", "tests/runtime/imaging/test_preprocess.py"
    ),
    Mutant(
        "runtime/imaging/resize.py",
        "np.rint(np.rint(means.astype(np.float64) * shares) / shares)",
        "np.floor(np.rint(means.astype(np.float64) * shares) / shares + 0.5)",
        "tests/runtime/imaging/test_preprocess.py",
    ),
    Mutant(
        "runtime/sources/live.py",
        "                self.dropped += 1\n",
        "                pass\n",
        "tests/runtime/sources/test_live.py",
    ),
    Mutant("runtime/sources/live.py", "self.dropped += lost", "pass", "tests/runtime/sources/test_live.py"),
    Mutant(
        "runtime/line/views.py", "self.dropped += self.kept is not None", "pass", "tests/runtime/line/test_views.py"
    ),
    Mutant("runtime/line/engine.py", "        view.dropped += 1\n", "", "tests/runtime/line/test_line.py"),
    Mutant(
        "runtime/line/line.py",
        "self._dropped += self._engine.dropped",
        "pass",
        "tests/runtime/line/test_line_faults.py",
    ),
    Mutant(
        "runtime/line/capture_thread.py",
        "self._before += source.dropped",
        "pass",
        "tests/runtime/line/test_line_faults.py",
    ),
    Mutant(
        "runtime/line/deadline.py", "now > part.deadline", "now >= part.deadline", "tests/runtime/line/test_deadline.py"
    ),
    Mutant(
        "runtime/line/deadline.py",
        "any(verdict.reject for",
        "all(verdict.reject for",
        "tests/runtime/line/test_deadline.py",
    ),
    Mutant(
        "runtime/line/deadline.py", 'if verdict.status == "error":', "if False:", "tests/runtime/line/test_deadline.py"
    ),
    Mutant("runtime/audit/row.py", 'if name != "hash"', 'if name not in ("hash", "reject")', "tests/runtime/audit"),
    Mutant("runtime/line/pipeline.py", "self.lost += sum(", "sum(", "tests/runtime/line/test_pipeline.py"),
    Mutant("runtime/line/pipeline.py", "if outlet.lost:", "if False:", "tests/runtime/line/test_pipeline.py"),
    Mutant(
        "runtime/line/pipeline.py",
        "except MemoryError:",
        "except ZeroDivisionError:",
        "tests/runtime/line/test_pipeline.py",
    ),
    Mutant("runtime/line/pipeline.py", "if sink.decoration:", "if False:", "tests/runtime/line/test_pipeline.py"),
    Mutant(
        "runtime/line/pipeline.py",
        "        except SourceError as error:\n            problem = error",
        "        except SourceError:\n            pass",
        "tests/runtime/line/test_pipeline.py",
    ),
    Mutant("runtime/detector.py", "math.isfinite(result.score)", "True", "tests/runtime/test_detector.py"),
    Mutant("runtime/detector.py", "reject=True,", "reject=False,", "tests/runtime/test_detector.py"),
    Mutant(
        "runtime/detector.py",
        "self.contract.mismatch(pixels, frame.pixel_format) if self.contract is not None else None",
        "None",
        "tests/runtime/test_detector.py",
    ),
    Mutant("calib/promise.py", "score > threshold", "score >= threshold", "tests/calib/test_promise.py"),
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
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *mutant.tests.split()]
        environment = {**os.environ, "PYTHONPATH": str(copy)}
        return subprocess.run(command, cwd=copy, env=environment, capture_output=True, check=False).returncode == 0


def main() -> int:
    """Number of survivors."""
    survivors, named = 0, tuple(sys.argv[1:])
    for mutant in MUTANTS:
        if named and not mutant.file.endswith(named):
            continue
        alive = survives(mutant)
        survivors += alive
        change = f"{mutant.file}: {mutant.old!r} -> {mutant.new!r}"
        print(f"{'SURVIVED' if alive else 'caught  '} {change}", flush=True)
    return survivors


if __name__ == "__main__":
    sys.exit(main())
