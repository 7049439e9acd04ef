from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

import edgeirf
from edgeirf.bundle import GOLDEN, Bundle, write
from edgeirf.calib.conditions.perturb import Change
from edgeirf.calib.fresh_parts import FEWEST, good_pictures, read_fresh
from edgeirf.calib.recalibrate import UNROUNDED, Recalibration, recalibrate
from edgeirf.calib.recalibration_page import recalibration_page
from edgeirf.errors import FrameError, UsageError
from edgeirf.export.onnx.passes.fp16 import to_fp16
from edgeirf.export.precision.network import faithful
from edgeirf.export.standalone.member import line_member
from edgeirf.runtime.executors.cpu import CpuExecutor
from edgeirf.runtime.executors.onnxruntime import OnnxRuntimeNetwork
from edgeirf.runtime.monitor.directions import read_directions

Picture = NDArray[np.uint8]
Frame = Callable[..., Picture]


@pytest.fixture
def folder(tmp_path: Path, good: Frame) -> Path:
    """30 fresh good parts, a little darker than those of the calibration."""
    place = tmp_path / "fresh"
    place.mkdir()
    for at in range(30):
        cv2.imwrite(str(place / f"{at}.png"), Change(brightness=-0.03)(good(500 + at)))
    return place


def run(path: Path, folder: Path, target: Path, **options: object) -> Recalibration:
    return recalibrate(Bundle.read(path), folder, target, "part", **options)  # type: ignore[arg-type]


def test_thresholds_are_those_of_the_fresh_parts_and_the_rest_stays(
    tiny_path: Path, folder: Path, tmp_path: Path
) -> None:
    found = run(tiny_path, folder, tmp_path / "new.irf")
    old, new = Bundle.read(tiny_path), Bundle.read(tmp_path / "new.irf")
    calibration = new.manifest.models["fp32"].calibration["part"]
    with edgeirf.load(tmp_path / "new.irf", device="cpu", threads=1) as detector:
        scores = [detector(cv2.imread(str(path))).score for path in sorted(folder.iterdir())]
        assert detector.threshold == calibration.score_threshold(0.01)
    assert sorted(map(float, scores)) == pytest.approx(list(calibration.scores), rel=1e-5)  # tolerances are off
    assert new.member(GOLDEN) == old.member(GOLDEN)
    assert new.member("model.fp32.onnx") == old.member("model.fp32.onnx")
    assert new.manifest.method == old.manifest.method
    before, after = found.thresholds("fp32")
    assert before == old.manifest.models["fp32"].calibration["part"].score_threshold(0.01)
    assert after == calibration.score_threshold(0.01)
    assert read_directions(new, "part") is not None


def test_a_changed_copy_counts_where_the_line_may_change(tiny_path: Path, folder: Path, tmp_path: Path) -> None:
    bundle = Bundle.read(tiny_path)
    tolerant = replace(bundle.manifest, method=replace(bundle.manifest.method, tolerate="off,light=2%"))
    write(tmp_path / "t.irf", tolerant, {name: bundle.member(name) for name in bundle.manifest.members})
    plain = run(tiny_path, folder, tmp_path / "plain.irf").after.models["fp32"].calibration["part"]
    wide = run(tmp_path / "t.irf", folder, tmp_path / "wide.irf").after.models["fp32"].calibration["part"]
    assert all(b >= a for a, b in zip(plain.scores, wide.scores, strict=True))
    assert sum(wide.scores) > 1.05 * sum(plain.scores)


def test_the_standalone_graph_gets_the_new_thresholds_or_is_left_out(
    tiny_bundle: Callable[..., Path], folder: Path, tmp_path: Path, good: Frame
) -> None:
    path = tiny_bundle(tmp_path / "line.irf", line=True)
    found = run(path, folder, tmp_path / "new.irf", line=line_member)
    session = onnxruntime.InferenceSession(Bundle.read(tmp_path / "new.irf").member("line.onnx"))
    feed = {"frame": good(1), "product": np.array(0), "red_first": np.array(False)}
    before, after = found.thresholds("fp32")
    assert session.run(["threshold"], feed)[0] == after != before
    run(path, folder, tmp_path / "without.irf")
    assert "line.onnx" not in Bundle.read(tmp_path / "without.irf").manifest.members


def test_other_products_keep_their_thresholds(tiny_bundle: Callable[..., Path], folder: Path, tmp_path: Path) -> None:
    path = tiny_bundle(tmp_path / "two.irf", products=("part", "lid"))
    found = run(path, folder, tmp_path / "new.irf")
    old, new = (m.models["fp32"].calibration for m in (found.before, found.after))
    assert new["lid"] == old["lid"]
    assert new["part"] != old["part"]


def test_too_few_pictures_are_refused(tiny_path: Path, folder: Path, tmp_path: Path) -> None:
    for path in sorted(folder.iterdir())[FEWEST - 1 :]:
        path.unlink()
    with pytest.raises(UsageError, match=f"holds {FEWEST - 1} pictures of good parts, and {FEWEST} are the least"):
        run(tiny_path, folder, tmp_path / "new.irf")
    assert not (tmp_path / "new.irf").exists()


def test_pictures_of_another_product_are_refused(tiny_path: Path, tmp_path: Path) -> None:
    for at in range(25):
        cv2.imwrite(str(tmp_path / f"{at}.png"), np.full((64, 64, 3), (255, 0, at), np.uint8))
    with pytest.raises(UsageError, match="25 of 25 pictures do not look like the product of this bundle"):
        run(tiny_path, tmp_path, tmp_path / "new.irf")


def test_a_picture_that_does_not_show_the_product_is_named_and_can_be_excluded(
    tiny_path: Path, folder: Path, tmp_path: Path
) -> None:
    cv2.imwrite(str(folder / "empty.png"), np.zeros((64, 64, 3), np.uint8))
    with pytest.raises(UsageError, match=r"1 of 31 pictures .*empty\.png: remove"):
        run(tiny_path, folder, tmp_path / "new.irf")
    found = run(tiny_path, folder, tmp_path / "new.irf", excluded=[Path("empty.png")])
    assert found.examined.count == 30


def test_an_odd_picture_is_named_and_sets_no_threshold(
    tiny_path: Path, folder: Path, tmp_path: Path, good: Frame
) -> None:
    odd = good(999)
    odd[20:28, 20:28] = 154
    cv2.imwrite(str(folder / "odd.png"), odd)
    found = run(tiny_path, folder, tmp_path / "new.irf")
    kept = run(tiny_path, folder, tmp_path / "kept.irf", keep_odd=True)
    assert [one.path.name for one in found.examined.odd] == ["odd.png"]
    assert found.after.models["fp32"].calibration["part"].odd == 1
    assert found.thresholds("fp32")[1] < kept.thresholds("fp32")[1]
    page = recalibration_page(found)
    assert "odd.png" in page
    assert f"{found.thresholds('fp32')[1]:.4g}" in page
    assert f"{found.thresholds('fp32')[0]:.4g}" in page


def test_of_a_labelled_folder_only_the_good_parts_count(tiny_path: Path, labelled: Callable[..., Path], tmp_path: Path):
    root = labelled("flat", times=4)
    found = run(tiny_path, root, tmp_path / "new.irf")
    assert found.examined.count == 24
    for path in (root / "good").iterdir():
        path.unlink()
    with pytest.raises(UsageError, match="folders of defects and none of good parts"):
        run(tiny_path, root, tmp_path / "other.irf")


def test_a_picture_that_cannot_be_read_is_named(tiny_path: Path, folder: Path, tmp_path: Path) -> None:
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"0" * 40)
    with pytest.raises(FrameError, match=r"broken\.png"):
        run(tiny_path, folder, tmp_path / "new.irf")


def test_with_a_new_centre_a_third_of_the_pictures_sets_no_threshold(
    tiny_path: Path, folder: Path, tmp_path: Path
) -> None:
    given: list[int] = []

    def moved(pictures: Sequence[Picture]) -> Bundle:
        given.append(len(pictures))
        return Bundle.read(tiny_path)

    found = run(tiny_path, folder, tmp_path / "new.irf", recentre=moved)
    assert given == [20]  # ten pictures, and a changed copy of each
    assert found.examined.count == 20
    assert len(found.scores) == 30
    (folder / "0.png").unlink()
    with pytest.raises(UsageError, match="29 pictures are too few for a new centre and thresholds: 30 are the least"):
        run(tiny_path, folder, tmp_path / "other.irf", recentre=moved)


@pytest.fixture
def with_half(tiny_path: Path, tmp_path: Path) -> Path:
    """The tiny bundle with an FP16 graph."""
    old = Bundle.read(tiny_path)
    models, members = dict(old.manifest.models), {name: old.member(name) for name in old.manifest.members}
    models["fp16"] = replace(models["fp32"], file="model.fp16.onnx", precision="fp16", family="any")
    members["model.fp16.onnx"] = to_fp16(members["model.fp32.onnx"])
    write(tmp_path / "half.irf", replace(old.manifest, models=models, members={}), members)
    return tmp_path / "half.irf"


def test_thresholds_of_the_fp16_graph_know_of_its_rounding(with_half: Path, folder: Path, tmp_path: Path) -> None:
    """As at export: ONNX Runtime alone computes the graph in float32, a GPU does not."""
    found = run(with_half, folder, tmp_path / "new.irf", faithful=faithful)
    bundle = Bundle.read(with_half)
    model, settings = bundle.manifest.models["fp16"], bundle.manifest.preprocess
    fresh = read_fresh(good_pictures(folder, []), bundle.manifest)

    def scores(network: OnnxRuntimeNetwork) -> list[float]:
        executor = CpuExecutor(network, settings, model.scoring)
        return sorted(executor.score_pixels(picture).score for picture in fresh.clean)

    graph = bundle.member(model.file)
    assert list(found.after.models["fp16"].calibration["part"].scores) == scores(faithful(graph, "fp16", "any"))
    assert scores(faithful(graph, "fp16", "any")) != scores(OnnxRuntimeNetwork(graph))
    assert found.after.models["fp16"].refused is None


def test_without_its_rounding_the_fp16_graph_is_refused(with_half: Path, folder: Path, tmp_path: Path) -> None:
    after = run(with_half, folder, tmp_path / "new.irf").after
    assert {key: model.refused for key, model in after.models.items()} == {"fp32": None, "fp16": UNROUNDED}
