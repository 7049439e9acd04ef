from __future__ import annotations

import numpy as np
import pytest

from edgeirf.calib.fitting.selection import auroc, candidates, choose, nested, worth
from edgeirf.settings import Scoring


def scores(separations: list[float], count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Good and defective scores of one candidate for each separation; the noise is the same in all."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(2, count))
    return np.stack([noise[0] for _ in separations]), np.stack([noise[1] + each for each in separations])


def test_the_present_scoring_comes_first_and_only_once() -> None:
    found = candidates(Scoring(sigma=4.0), 256 * 256)
    assert found[0] == Scoring(sigma=4.0)
    assert len(found) == len(set(found)) == 20
    assert candidates(Scoring(sigma=3.0, top_k=7), 256 * 256)[0].top_k == 7
    assert max(scoring.top_k for scoring in found) == 655


def test_auroc_counts_equal_scores_half() -> None:
    assert auroc(np.array([1.0, 1.0]), np.array([1.0, 2.0])) == 0.75


def test_a_plainly_better_scoring_is_chosen() -> None:
    assert choose(*scores([0.5, 3.0, 1.0], 30)) == 1


@pytest.mark.parametrize("separations", [[2.0, 2.0], [2.0, 1.0], [9.0, 9.5]])
def test_the_present_scoring_stays_where_no_other_is_better(separations: list[float]) -> None:
    assert choose(*scores(separations, 30)) == 0


def test_what_is_learned_from_noise_does_not_show_in_the_honest_figure() -> None:
    rng = np.random.default_rng(3)
    chosen, honest = [], []
    for _ in range(20):
        good, defective = rng.normal(size=(2, 20, 12))
        at = choose(good, defective)
        chosen.append(worth(good[at], defective[at], 0.0).auroc)
        honest.append(nested(good, defective, [0.0] * 20).auroc)
    assert np.mean(chosen) > 0.65
    assert abs(np.mean(honest) - 0.5) < 0.06


def test_escapes_and_false_rejects_of_nested_splits_count_every_part_once() -> None:
    good, defective = scores([4.0, 4.0], 10)
    found = nested(good, defective, [2.0, 2.0])
    assert found.escapes == float((defective[0] <= 2).sum())
    assert found.false_rejects == float((good[0] > 2).sum())
