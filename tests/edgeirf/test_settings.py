from __future__ import annotations

from typing import Any

import pytest

from edgeirf.settings import Preprocess, Scoring


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": (64, 31)},
        {"size": (32, 4128)},
        {"tiles": (0, 1)},
        {"tiles": (16, 17)},
        {"roi": (0, 0, 1, 0)},
        {"roi": (-1, 0, 1, 1)},
        {"bits": 7},
        {"bits": 17},
        {"color": "bgr"},
        {"std": (1.0, 0.0, 1.0)},
    ],
)
def test_impossible_pre_processing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be|is rgb or gray"):
        Preprocess(**wrong)


@pytest.mark.parametrize(
    "wrong", [{"density": "sum"}, {"sigma": -1.0}, {"sigma": 65.0}, {"top_k": 0}, {"latent": (0.0, 0.0, 0.0, 1.0)}]
)
def test_impossible_scoring_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"density is|standard deviations"):
        Scoring(**wrong)
