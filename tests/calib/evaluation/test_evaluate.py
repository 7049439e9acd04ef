from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from sklearn import metrics

import edgeirf
from edgeirf.calib.conditions.perturb import Change, perturb
from edgeirf.calib.conditions.tolerances import Tolerances
from edgeirf.calib.evaluation.count import Count
from edgeirf.calib.evaluation.evaluate import evaluate, perturb_sample
from edgeirf.calib.evaluation.samples import Sample, find_samples, read_mask
from edgeirf.calib.reports.wording import remarks
from edgeirf.errors import FrameError, UsageError
from edgeirf.runtime.imaging.images import read_image
from edgeirf.settings import Preprocess

MakeFolder = Callable[..., Path]
FIGURES = ["image_auroc", "image_ap", "image_f1max", "pixel_auroc", "pixel_ap", "pixel_f1max", "aupro"]


@pytest.fixture(scope="module")
def detector(tiny_path: Path) -> Iterator[Any]:
    with edgeirf.load(tiny_path, device="cpu", threads=1) as opened:
        yield opened


def test_figures_of_a_separable_set(detector: Any, labelled: MakeFolder) -> None:
    root = labelled()
    found = evaluate(detector, root)
    assert (len(found.good), len(found.defective)) == (6, 6)
    assert found.total.image.auroc == found.total.image.ap == found.total.image.f1max == 1.0
    assert found.total.escapes == Count(0, 6)
    assert set(found.per_defect) == {"hole", "stain"}
    assert found.per_defect["stain"].escapes == Count(0, 4)
    assert found.false_rejects.trials == 6
    assert found.threshold == detector.threshold
    assert found.held_out == 99
    assert found.method == "irf t=100 full"
    assert (found.without_mask, found.failures) == (0, ())


def test_pixel_figures_are_those_of_the_maps_at_frame_resolution(detector: Any, labelled: MakeFolder) -> None:
    root = labelled(size=(80, 112))
    labels, scores = [], []
    for sample in find_samples(root):
        frame = read_image(sample.path)
        mask = read_mask(sample, frame.shape)
        labels.append(np.zeros((80, 112), bool) if mask is None else mask)
        scores.append(detector(frame).map())
    total = evaluate(detector, root).total
    assert total.pixel.auroc == pytest.approx(metrics.roc_auc_score(np.ravel(labels), np.ravel(scores)), abs=1e-5)
    expected = metrics.average_precision_score(np.ravel(labels), np.ravel(scores))
    assert total.pixel.ap == pytest.approx(expected, abs=1e-3)
    assert total.aupro is not None
    assert 0.5 < total.aupro <= 1


def test_each_defect_is_compared_with_all_good_parts(detector: Any, labelled: MakeFolder) -> None:
    root = labelled()
    found = evaluate(detector, root)
    shutil.rmtree(root / "test" / "stain")
    assert evaluate(detector, root).total == found.per_defect["hole"]


def test_only_the_region_of_interest_counts(tiny_bundle: Any, labelled: MakeFolder, tmp_path: Path) -> None:
    """Outside it the map is zero by definition: counted as good pixels, it would flatter."""
    root = labelled(size=(128, 128))
    path = tiny_bundle(tmp_path / "roi.irf", settings=Preprocess(size=(64, 64), roi=(16, 16, 64, 64)))
    with edgeirf.load(path, device="cpu", threads=1) as roi:
        labels, scores = [], []
        for sample in find_samples(root):
            frame = read_image(sample.path)
            mask = read_mask(sample, frame.shape)
            labels.append((np.zeros((128, 128), bool) if mask is None else mask)[16:80, 16:80])
            scores.append(roi(frame).map()[16:80, 16:80])
        expected = metrics.roc_auc_score(np.ravel(labels), np.ravel(scores))
        assert evaluate(roi, root).total.pixel.auroc == pytest.approx(expected, abs=1e-5)


def test_without_masks(detector: Any, labelled: MakeFolder) -> None:
    found = evaluate(detector, labelled("flat"))
    assert found.total.image.auroc == 1.0
    assert found.total.pixel.auroc is found.total.pixel.ap is found.total.pixel.f1max is found.total.aupro is None
    assert found.without_mask == 0


def test_a_missing_mask_leaves_one_image_out_of_the_pixel_figures(detector: Any, labelled: MakeFolder) -> None:
    root = labelled()
    (root / "ground_truth" / "hole" / "0_mask.png").unlink()
    found = evaluate(detector, root)
    assert found.without_mask == 1
    assert found.total.pixel.auroc is not None
    assert found.per_defect["hole"].escapes.trials == 2


@pytest.mark.parametrize(("kind", "events"), [("good", "false_rejects"), ("stain", "escapes")])
def test_one_class_alone(detector: Any, labelled: MakeFolder, kind: str, events: str) -> None:
    root = labelled()
    for folder in (root / "test").iterdir():
        if folder.name != kind:
            shutil.rmtree(folder)
    found = evaluate(detector, root).to_json()
    assert found["image_auroc"] is None
    assert found[events]["of"] == (6 if kind == "good" else 4)
    assert found["false_rejects" if kind == "stain" else "misses"]["rate"] is None


def test_what_cannot_be_read_is_said_and_the_rest_goes_on(detector: Any, labelled: MakeFolder) -> None:
    root = labelled()
    (root / "test" / "good" / "0.png").write_bytes(b"not an image")
    (root / "ground_truth" / "hole" / "1_mask.png").write_bytes(b"")
    found = evaluate(detector, root)
    assert len(found.good) == 5
    assert [line.split(":")[0] for line in found.failures] == [
        str(root / "test" / "good" / "0.png"),
        str(root / "test" / "hole" / "1.png"),
    ]
    assert "1_mask.png" in found.failures[1]
    assert all("\n" not in line for line in found.failures)
    assert found.without_mask == 1


def test_nothing_can_be_read(detector: Any, tmp_path: Path) -> None:
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "x.png").write_bytes(b"")
    with pytest.raises(FrameError, match="none of the 1 images"):
        evaluate(detector, tmp_path)


def test_scikit_learn_is_named_when_it_is_missing(
    detector: Any, labelled: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sklearn", None)
    with pytest.raises(UsageError, match=r"pip install '\.\[eval\]'"):
        evaluate(detector, labelled())


def test_json_has_the_keys_that_were_promised(detector: Any, labelled: MakeFolder) -> None:
    found = json.loads(json.dumps(evaluate(detector, labelled()).to_json(), allow_nan=False))
    assert {*FIGURES, "threshold", "false_reject_rate", "per_defect"} <= set(found)
    assert set(FIGURES) <= set(found["per_defect"]["stain"])
    assert (
        found["escapes"]
        == found["misses"]
        == {
            "count": 0,
            "of": 6,
            "rate": 0.0,
            "upper_bound": pytest.approx(1 - 0.05 ** (1 / 6)),
            "confidence": 0.95,
        }
    )


def test_progress_sees_every_sample(detector: Any, labelled: MakeFolder) -> None:
    seen: list[Sample] = []

    def track(samples: Sequence[Sample]) -> Iterable[Sample]:
        for sample in samples:
            seen.append(sample)
            yield sample

    root = labelled()
    evaluate(detector, root, track)
    assert seen == find_samples(root)


def test_the_perturbed_condition_is_measured_beside_the_clean_one(detector: Any, labelled: MakeFolder) -> None:
    root = labelled()
    clean = evaluate(detector, root)
    found = evaluate(detector, root, tolerances=Tolerances(brightness=0.5))
    assert replace(found, perturbed=None) == clean
    assert clean.to_json()["perturbed"] is None
    perturbed = json.loads(json.dumps(found.to_json(), allow_nan=False))["perturbed"]
    assert {*FIGURES, "escapes_at", "control_auroc", "false_rejects", "per_defect"} <= set(perturbed)
    assert perturbed["tolerances"].startswith("brightness=50%")
    assert set(perturbed["curves"]) >= {"darker", "brighter", "blurred", "noisier", "shifted", "rotated"}
    assert perturbed["false_rejects"]["count"] > found.to_json()["false_rejects"]["count"]


def test_the_recipe_is_the_published_one(labelled: MakeFolder) -> None:
    sample = find_samples(labelled())[7]
    frame = read_image(sample.path)
    rng = np.random.default_rng([20260, zlib.crc32(f"{sample.defect}/{sample.path.name}".encode())])
    expected = perturb(frame, Tolerances(), rng)
    assert np.array_equal(perturb_sample(frame, sample, Tolerances()), expected)


def test_no_tolerance_changes_no_figure(detector: Any, labelled: MakeFolder) -> None:
    found = evaluate(detector, labelled(), tolerances=Tolerances.none())
    assert found.perturbed is not None
    assert found.perturbed.evaluation == replace(found, perturbed=None)


def test_escapes_at_are_those_of_the_scores(detector: Any, labelled: MakeFolder) -> None:
    found = evaluate(detector, labelled()).to_json()
    assert list(found["escapes_at"]) == ["0.005", "0.01", "0.02", "0.05"]
    assert [one["resolved"] for one in found["escapes_at"].values()] == [False] * 4
    assert [one["count"] for one in found["escapes_at"].values()] == [0] * 4
    assert list(found["per_defect"]["hole"]["escapes_at"]) == list(found["escapes_at"])


def test_a_confounded_set_is_named(detector: Any, labelled: MakeFolder) -> None:
    root = labelled(times=3, size=(96, 96))
    for at, path in enumerate((root / "test" / "good").iterdir()):  # no twins of the defective parts
        noise = np.random.default_rng(1000 + at).normal(128, 6, (96, 96, 3))
        cv2.imwrite(str(path), np.clip(noise, 0, 255).astype(np.uint8))
    fair = evaluate(detector, root)
    assert fair.control is not None
    assert not fair.control.differs
    for sample in find_samples(root):
        if sample.defect != "good":
            cv2.imwrite(str(sample.path), Change(blur_px=1.0)(read_image(sample.path)))
    found = evaluate(detector, root)
    assert found.control is not None
    assert found.control.differs
    assert any(line.startswith("Warning: the pictures of good and defective parts differ") for line in remarks(found))


def test_training_pictures_are_the_reference_of_the_control(detector: Any, labelled: MakeFolder) -> None:
    root = labelled(times=3, size=(96, 96))
    place = root / "train" / "good"
    place.mkdir(parents=True)
    for path in (root / "test" / "good").iterdir():
        cv2.imwrite(str(place / path.name), Change(noise_levels=3)(read_image(path)))
    (place / "damaged.png").write_bytes(b"")
    found = evaluate(detector, root)
    assert found.control is not None
    assert found.failures == ()
