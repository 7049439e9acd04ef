from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics

import edgeirf
from edgeirf.calib.evaluation.evaluate import evaluate
from edgeirf.calib.evaluation.evaluation import Count
from edgeirf.calib.evaluation.samples import Sample, find_samples, read_mask
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
    assert found.total.misses == Count(0, 6)
    assert set(found.per_defect) == {"hole", "stain"}
    assert found.per_defect["stain"].misses == Count(0, 4)
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
    assert found.per_defect["hole"].misses.trials == 2


@pytest.mark.parametrize(("kind", "events"), [("good", "false_rejects"), ("stain", "misses")])
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
    with pytest.raises(UsageError, match=r"pip install 'edgeirf\[eval\]'"):
        evaluate(detector, labelled())


def test_json_has_the_keys_that_were_promised(detector: Any, labelled: MakeFolder) -> None:
    found = json.loads(json.dumps(evaluate(detector, labelled()).to_json(), allow_nan=False))
    assert {*FIGURES, "threshold", "false_reject_rate", "per_defect"} <= set(found)
    assert set(FIGURES) <= set(found["per_defect"]["stain"])
    assert found["misses"] == {
        "count": 0,
        "of": 6,
        "rate": 0.0,
        "upper_bound": pytest.approx(1 - 0.05 ** (1 / 6)),
        "confidence": 0.95,
    }


def test_progress_sees_every_sample(detector: Any, labelled: MakeFolder) -> None:
    seen: list[Sample] = []

    def track(samples: Sequence[Sample]) -> Iterable[Sample]:
        for sample in samples:
            seen.append(sample)
            yield sample

    root = labelled()
    evaluate(detector, root, track)
    assert seen == find_samples(root)
