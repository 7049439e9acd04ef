from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

import edgeirf
from edgeirf.bundle import Bundle
from edgeirf.errors import EdgeirfError, UsageError
from edgeirf.export import bundle as exporting
from edgeirf.export.bundle import Options, export
from edgeirf.runtime.imaging.folder import find_pictures
from edgeirf.runtime.imaging.images import read_image
from edgeirf.runtime.monitor.directions import read_directions
from edgeirf.trainers.run import Run


@pytest.fixture(scope="module")
def plain(unified_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle that export writes without options."""
    path = tmp_path_factory.mktemp("plain") / "m.irf"
    exported = export(unified_run, path, Options())
    assert exported.parity <= 1e-4
    assert exported.images == 16
    return path


@pytest.mark.parametrize(
    "options",
    [
        Options(),
        Options(gaussian="standard", t=0),
        Options(gaussian="diagonal", t=250, top_k=50),
        Options(method="invad"),
        Options(method="invad", steps=1),
    ],
    ids=["full", "standard", "diagonal", "invad3", "invad1"],
)
def test_a_bundle_finds_what_is_not_normal(tmp_path: Path, unified_run: Run, plain: Path, options: Options) -> None:
    path = plain
    if options != Options():
        path = tmp_path / "m.irf"
        exported = export(unified_run, path, options)
        assert exported.parity <= 1e-4
        assert exported.images == 16
    blue = Path(unified_run.config.data) / "blue"
    with edgeirf.load(path, product="blue", threads=1) as detector:
        assert detector.bundle.manifest.products == ("blue", "red")
        good = read_image(find_pictures(blue).pictures[0])
        bad = good.copy()
        cv2.line(bad, (30, 30), (50, 52), (255, 255, 255), 4)
        verdict, scratched = detector(good), detector(bad)
        if options.steps > 1:
            assert scratched.score > verdict.score
            assert scratched.p_value == pytest.approx(1 / 9)
        assert scratched.scale in detector.executor.rules.scales
        if options.method == "irf":
            assert scratched.reject
            assert any(r.x < 50 and r.y < 52 and r.x + r.width > 30 and r.y + r.height > 30 for r in scratched.regions)
            assert scratched.map().shape == (80, 80)
            assert 20 < np.unravel_index(scratched.map().argmax(), (80, 80))[0] < 62


def test_a_frame_that_is_not_the_part_is_a_reject(plain: Path, unified_run: Run) -> None:
    """The kinds of ``benchmarks/odd_frames.py``, but for those that a part of one flat colour may look like."""
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from benchmarks.odd_frames import odd_frames

    blue = [read_image(path) for path in find_pictures(Path(unified_run.config.data) / "blue").pictures[:3]]
    square = cv2.rectangle(np.full((80, 80, 3), 45, np.uint8), (15, 20), (65, 60), (60, 200, 220), -1)
    alike = ("good", "light", "defocused by 0.5", "defocused by 1 ", "out of place by 5 ", "upside", "torn: two")
    passed = []
    with edgeirf.load(plain, product="blue", threads=1) as detector:
        for kind, frames in odd_frames(blue, [[square]]):
            if not kind.startswith(alike) and not all(detector(frame).reject for frame in frames):
                passed.append(kind)
            assert kind != "good, as they are" or not any(detector(frame).reject for frame in frames)
    assert passed == []


def test_a_bundle_knows_what_a_change_of_the_line_looks_like(plain: Path) -> None:
    bundle = Bundle.read(plain)
    for product in bundle.manifest.products:
        found = read_directions(bundle, product)
        assert found is not None
        assert [one.kind for one in found.directions] == ["light", "right", "down", "turn", "focus", "noise"]


def test_products_have_their_own_thresholds(plain: Path) -> None:
    with pytest.raises(UsageError, match="choose one with --product: blue, red"):
        edgeirf.load(plain)
    thresholds = {p: edgeirf.load(plain, product=p, threads=1).threshold for p in ("blue", "red")}
    assert thresholds["blue"] != thresholds["red"]


def test_the_graph_is_plain_and_its_batch_is_dynamic(plain: Path) -> None:
    model = onnx.load_from_string(edgeirf.Bundle.read(plain).member("model.fp32.onnx"))
    assert {node.domain for node in model.graph.node} == {""}
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 17)]
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param
    kinds = {node.op_type for node in model.graph.node}
    assert not kinds & {"Pad", "Constant", "Shape", "Gather", "Sin", "Cos"}


def test_golden_scores_are_given_again(plain: Path) -> None:
    bundle = edgeirf.Bundle.read(plain)
    with edgeirf.load(plain, product="red", threads=1) as detector:
        again = [detector.executor.score_pixels(image).score for image in bundle.golden["images"]]
    assert np.allclose(again, bundle.golden["scores"], rtol=1e-5)


def test_disagreement_writes_nothing(tmp_path: Path, unified_run: Run, monkeypatch) -> None:
    monkeypatch.setattr(exporting, "largest_difference", lambda *arguments: 2e-4)
    with pytest.raises(EdgeirfError, match=r"disagree by 2\.0e-04"):
        export(unified_run, tmp_path / "m.irf", Options())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("choices", "message"),
    [({"t": 1000}, "between 0 and 999"), ({"steps": 0}, "between 1 and 20"), ({"false_reject_rate": 0}, "0 and 1")],
)
def test_wrong_choices(choices, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Options(**choices)


def test_killed_while_exporting(tmp_path: Path, unified_run: Run) -> None:
    """At several moments: never half a bundle under the final name."""
    command = [sys.executable, "-m", "edgeirf", "export", str(unified_run.folder), "--output", "m.irf", "--force"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for delay in (0.5, 2.0, 3.5):
        with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL) as process:
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
        if (tmp_path / "m.irf").exists():
            edgeirf.Bundle.read(tmp_path / "m.irf")
    assert subprocess.run(command, cwd=tmp_path, env=environment, check=False).returncode == 0
    edgeirf.Bundle.read(tmp_path / "m.irf")
