"""PaDiM and PatchCore are what their papers say, and run as ordinary bundles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import edgeirf
from benchmarks.baselines.__main__ import main
from benchmarks.baselines.features import training_features
from benchmarks.baselines.padim import REGULARISATION, PadimGraph
from benchmarks.baselines.patchcore import PatchCoreGraph, fit_patchcore, greedy_coreset, patches
from edgeirf.bundle import Bundle
from edgeirf.calib.evaluation.evaluate import evaluate
from edgeirf.errors import EdgeirfError
from edgeirf.trainers.run import Run


def distances(graph: torch.nn.Module, image: torch.Tensor) -> np.ndarray:
    """The anomaly map that the runtime makes of the field: half its square."""
    with torch.inference_mode():
        return 0.5 * np.square(graph(image).numpy().astype(np.float64))


def picture(seed: int = 3) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).uniform(-1, 1, (2, 3, 64, 64)).astype(np.float32))


def test_padim_is_the_mahalanobis_distance_at_each_position(disc_run: Run) -> None:
    extractor, z = training_features(disc_run)
    graph = PadimGraph(extractor, z, seed=1).eval()
    found = distances(graph, picture())
    with torch.inference_mode():
        x = extractor(picture())[:, graph.channels].double().numpy()
    train = z[:, graph.channels].double().numpy()
    for row, column in ((0, 0), (1, 3), (3, 2)):
        at = train[:, :, row, column]
        precision = np.linalg.inv(np.cov(at.T) + REGULARISATION * np.eye(at.shape[1]))
        off = x[:, :, row, column] - at.mean(0)
        expected = np.sqrt(np.einsum("nc,cd,nd->n", off, precision, off))
        np.testing.assert_allclose(found[:, 0, row, column], expected, rtol=1e-4)


def test_patchcore_is_the_distance_to_the_nearest_patch(disc_run: Run) -> None:
    extractor, z = training_features(disc_run)
    graph = fit_patchcore(extractor, z, share=0.2).eval()
    memory = graph.nearest.weight[:, :, 0, 0].double().numpy() / -2
    assert len(memory) == round(0.2 * z.shape[0] * 16)
    with torch.inference_mode():
        x = patches(extractor(picture())).double().permute(0, 2, 3, 1).numpy()
    expected = np.linalg.norm(x[:, :, :, None] - memory, axis=-1).min(-1)
    np.testing.assert_allclose(distances(graph, picture())[:, 0], expected, rtol=1e-4)


def test_a_patch_of_the_memory_has_no_distance(disc_run: Run) -> None:
    extractor, _ = training_features(disc_run)
    with torch.inference_mode():
        own = patches(extractor(picture()))[0].flatten(1).T
    assert distances(PatchCoreGraph(extractor, own).eval(), picture()[:1]).max() < 0.1


@settings(deadline=None)
@given(st.integers(2, 60), st.integers(1, 30), st.integers(0, 99))
def test_the_coreset_covers_better_than_its_next_patch_is_far(count: int, wanted: int, seed: int) -> None:
    """k-centre greedy is within twice the best radius: chosen patches lie no closer than the rest is covered."""
    pool = np.random.default_rng(seed).normal(size=(count, 5)).astype(np.float32)
    chosen = greedy_coreset(pool, wanted, np.random.default_rng(seed))
    assert len(chosen) == len(set(chosen.tolist())) == min(wanted, count)
    between = np.linalg.norm(pool[:, None].astype(np.float64) - pool[chosen], axis=-1)
    if len(chosen) > 1:
        apart = np.linalg.norm(pool[chosen][:, None] - pool[chosen], axis=-1)[~np.eye(len(chosen), dtype=bool)].min()
        assert between.min(1).max() <= apart + 1e-3


@pytest.mark.parametrize("method", ["padim", "patchcore"])
def test_a_baseline_is_an_ordinary_bundle(method: str, disc_run: Run, parts: Path, tmp_path: Path) -> None:
    path = tmp_path / "baseline.irf"
    main([str(disc_run.folder), "--method", method, "--output", str(path)])
    manifest = Bundle.read(path).manifest
    assert (manifest.name, manifest.method.preset) == (f"{method}-discs", method)
    assert manifest.preprocess == disc_run.config.preprocess
    with edgeirf.load(path, device="cpu", false_reject_rate=0.2) as detector:
        found = evaluate(detector, parts)
        assert detector.calibration.count == len(disc_run.held_out()["discs"].clean)
    assert found.total.image.auroc == 1.0
    assert found.total.escapes.events == 0


def test_pictures_that_changed_are_said_in_one_line(
    disc_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def changed(run: Run) -> None:
        raise EdgeirfError("a.png moved or changed since the run began: train again")

    monkeypatch.setattr("benchmarks.baselines.__main__.training_features", changed)
    with pytest.raises(SystemExit, match=r"^benchmarks.baselines: a.png moved or changed .*again$"):
        main([str(disc_run.folder), "--method", "padim", "--output", str(tmp_path / "x.irf")])
