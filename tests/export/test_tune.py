from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

import edgeirf
from edgeirf.bundle import Bundle
from edgeirf.calib.evaluation.odd_pictures import exclude
from edgeirf.cli.tune import lines
from edgeirf.errors import UsageError
from edgeirf.export import tune as tuning
from edgeirf.export.bundle import Options, export
from edgeirf.export.tune import tune
from edgeirf.runtime.imaging.images import read_image
from edgeirf.trainers.run import Run


@pytest.fixture(scope="module")
def exported(unified_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    path = tmp_path_factory.mktemp("tune") / "m.irf"
    export(unified_run, path, Options(precisions=("fp32", "fp16")))
    return Bundle.read(path)


def check_state(bundle: Bundle) -> str:
    """What the standalone graph of a bundle says that it was written for; reading has compared it."""
    (state,) = (
        one.value
        for one in onnx.load_from_string(bundle.member("line.onnx")).metadata_props
        if one.key == "edgeirf.state"
    )
    return state


@pytest.fixture
def folder(unified_run: Run, tmp_path: Path) -> Path:
    """Six good parts that the run has not seen, two that it has, and six defects."""
    known = sorted(Path(picture.file) for picture in unified_run.config.pictures if picture.product == "blue")
    for kind in ("good", "scratch"):
        (tmp_path / "labelled" / kind).mkdir(parents=True)
    for index in range(6):
        image = read_image(known[index])
        image[0, 0] = index
        cv2.imwrite(str(tmp_path / "labelled" / "good" / f"{index}.png"), image)
        cv2.line(image, (30, 30 + index), (50, 52), (255, 255, 255), 3)
        cv2.imwrite(str(tmp_path / "labelled" / "scratch" / f"{index}.png"), image)
    for index in range(2):
        (tmp_path / "labelled" / "good" / f"known{index}.png").write_bytes(known[index].read_bytes())
    return tmp_path / "labelled"


def test_a_tuned_bundle_keeps_its_graphs_and_gets_thresholds_and_golden_scores_of_its_own(
    exported: Bundle, unified_run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "choose", lambda good, defective: 7)
    found = tune(exported, unified_run, folder, "blue", tmp_path / "t.irf")
    assert (found.good, found.defective, found.left_out) == (6, 6, 2)
    assert found.after != found.before
    made = Bundle.read(tmp_path / "t.irf")
    for key, model in exported.manifest.models.items():
        new = made.manifest.models[key]
        assert made.member(new.file) == exported.member(model.file)
        assert new.scoring == found.after
        assert new.calibration["red"].count == model.calibration["red"].count
        assert new.calibration != model.calibration
    assert made.manifest.models["fp16"].report.labelled is not None
    assert check_state(made) != check_state(exported)
    for precision in ("fp32", "fp16"):
        with edgeirf.load(tmp_path / "t.irf", product="blue", precision=precision, threads=1) as detector:
            again = [detector.executor.score_pixels(image).score for image in made.golden["images"]]
            assert np.allclose(again, made.golden["scores"], rtol=1e-3 if precision == "fp32" else 3e-2)
    said = "\n".join(lines(found))
    assert "2 pictures of the run are left out" in said
    assert "parts that had no say in the choice" in said


def test_the_scores_of_export_are_found_again(exported: Bundle, unified_run: Run, folder: Path) -> None:
    settings, model = exported.manifest.preprocess, exported.manifest.models["fp32"]
    labelled = tuning.read_labelled(folder, unified_run, settings)
    parts = tuning._fields(tuning._network(exported, model), labelled, unified_run, settings)
    again = parts.calibrations(model.scoring, settings, model.calibration)
    for product, calibration in model.calibration.items():
        assert np.allclose(again[product].scores, calibration.scores, rtol=1e-3)
        assert np.allclose(again[product].peaks, calibration.peaks, rtol=1e-3)


def test_where_no_other_scoring_is_better_nothing_is_written(
    exported: Bundle, unified_run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "choose", lambda good, defective: 0)
    found = tune(exported, unified_run, folder, "blue", tmp_path / "t.irf")
    assert not (tmp_path / "t.irf").exists()
    assert "the bundle stays as it is" in lines(found)[-1]


def test_another_run_is_refused(exported: Bundle, unified_run: Run, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not the run of"):
        tune(exported, unified_run, folder, "green", tmp_path / "t.irf")


def test_too_few_parts_are_refused(exported: Bundle, unified_run: Run, folder: Path, tmp_path: Path) -> None:
    for path in exclude(sorted((folder / "scratch").iterdir()), [Path("0.png"), Path("1.png")]):
        path.unlink()
    with pytest.raises(UsageError, match="6 good and 2 defective parts"):
        tune(exported, unified_run, folder, "blue", tmp_path / "t.irf")
