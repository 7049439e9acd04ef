from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgeirf.bundle import Bundle
from edgeirf.calib.conditions.tolerances import Tolerances
from edgeirf.conformal import Calibration
from edgeirf.errors import UsageError
from edgeirf.export.bundle import Exported, Options, export
from edgeirf.export.fair import by_product, calibrations, finished_folds, pooled
from edgeirf.export.good_parts import held_out_files, held_out_pictures
from edgeirf.export.methods.fit import Fitted
from edgeirf.export.tune import tune
from edgeirf.trainers.folds import create_folds
from edgeirf.trainers.prepare import Recipe, prepare_run
from edgeirf.trainers.run import MODEL, Run
from edgeirf.trainers.train import train

OPTIONS = Options(precisions=("fp32", "fp16"), keep_refused=True, standalone=False)


@pytest.fixture(scope="module")
def cross_fitted(tmp_path_factory: pytest.TempPathFactory, unified_run: Run) -> Run:
    """Ten blue parts, five trainings of two steps."""
    folder = tmp_path_factory.mktemp("cross")
    blue = sorted((Path(unified_run.config.data) / "blue").iterdir())
    recipe = Recipe(size=(64, 64), steps=2, tolerate=Tolerances.none(), cross_fit=True, excluded=tuple(blue[10:]))
    run, _ = prepare_run(blue[0].parent, folder / "run", recipe)
    for one in (run, *create_folds(run)):
        assert train(one, device="cpu")
    return run


@pytest.fixture(scope="module")
def exported(cross_fitted: Run) -> Exported:
    return export(cross_fitted, cross_fitted.folder / "b.irf", OPTIONS)


def test_scores_of_several_trainings_are_pooled_product_by_product() -> None:
    first = by_product({"a": 2, "b": 1}, Fitted((), [3.0, 1.0, 9.0], [4.0, 1.5, 8.0]))
    second = by_product({"a": 1, "b": 1}, Fitted((), [2.0, 7.0], [2.5, 7.0]))
    assert calibrations(pooled(first, second), {"b": 1}) == {
        "a": Calibration((1.0, 2.0, 3.0), (1.5, 2.5, 4.0)),
        "b": Calibration((7.0, 9.0), (7.0, 8.0), odd=1),
    }


def test_every_part_of_a_cross_fitted_run_sets_the_thresholds_of_every_precision(
    cross_fitted: Run, exported: Exported
) -> None:
    models = exported.manifest.models
    assert {key: model.calibration["blue"].count for key, model in models.items()} == {"fp32": 10, "fp16": 10}
    fp32, fp16 = (models[key].calibration["blue"].scores for key in ("fp32", "fp16"))
    assert fp32 != fp16
    assert fp16 == pytest.approx(fp32, rel=0.2)
    assert exported.examined["blue"].count == 10
    files = held_out_files(cross_fitted)["blue"]
    assert len(set(files)) == 10
    assert list(held_out_pictures(cross_fitted)) == files


def test_the_scores_of_the_run_itself_are_those_without_cross_fitting(
    cross_fitted: Run, exported: Exported, tmp_path: Path
) -> None:
    alone = Run(cross_fitted.folder)
    alone.config = replace(alone.config, cross_fit=False)
    made = export(alone, tmp_path / "b.irf", replace(OPTIONS, precisions=("fp32",)))
    few, every = (one.manifest.models["fp32"].calibration["blue"].scores for one in (made, exported))
    assert len(few) == 2
    assert set(few) < set(every)


def test_a_cross_fitted_run_that_is_not_finished_is_not_exported(cross_fitted: Run, tmp_path: Path) -> None:
    model = cross_fitted.folder / "fold-2" / MODEL
    moved = model.rename(tmp_path / "kept")
    with pytest.raises(UsageError, match=r"cross-fitted and not finished: edgeirf train --resume"):
        finished_folds(cross_fitted)
    moved.rename(model)
    assert len(finished_folds(cross_fitted)) == 4


def test_tune_refuses_a_cross_fitted_run(cross_fitted: Run, exported: Exported, tmp_path: Path) -> None:
    made = Bundle.read(cross_fitted.folder / "b.irf")
    with pytest.raises(UsageError, match="cross-fitted, which tune cannot score anew"):
        tune(made, cross_fitted, tmp_path, "blue", tmp_path / "t.irf")
