"""The verdict is plain data."""

from __future__ import annotations

import copy
import doctest
import json
import pickle
import sys
from dataclasses import replace

import pytest

from edgeirf.verdict import STAGES, Region, Verdict

VERDICT = Verdict(
    reject=True,
    score=41.5,
    p_value=0.01,
    threshold=31.0,
    pixel_threshold=22.0,
    regions=(Region(1, 2, 3, 4, 10, 41.5),),
    frame_id="part 7",
    source="camera 0",
    captured_at=1_700_000_000.25,
    latency_ms={"upload": 0.0, "inference": 3.00049, "total": 3.00049},
    model="bottle@1a2b3c4d5e6f",
    product="bottle",
)


@pytest.mark.parametrize("transfer", [lambda v: pickle.loads(pickle.dumps(v)), copy.deepcopy, replace])
def test_it_is_the_same_after_a_pickle_or_a_copy(transfer) -> None:
    assert transfer(VERDICT) == VERDICT
    assert transfer(VERDICT) is not VERDICT


def test_it_differs_when_a_field_does() -> None:
    assert replace(VERDICT, pixel_threshold=23.0) != VERDICT
    assert replace(VERDICT, latency_ms={}) != VERDICT


def test_no_field_is_a_function() -> None:
    assert not [name for name, value in vars(VERDICT).items() if callable(value)]


def test_json() -> None:
    said = json.loads(json.dumps(VERDICT.to_json(), allow_nan=False))
    assert said["pixel_threshold"] == 22.0
    assert said["regions"] == [{"x": 1, "y": 2, "width": 3, "height": 4, "area": 10, "peak": 41.5}]
    assert said["latency_ms"] == {"upload": 0.0, "inference": 3.0, "total": 3.0}
    assert "error" not in said
    assert replace(VERDICT, status="error", error="torn").to_json()["error"] == "torn"


def test_the_example_of_the_docstring_runs() -> None:
    assert doctest.testmod(sys.modules[Verdict.__module__]).failed == 0


def test_the_stages_of_the_example_are_in_the_vocabulary() -> None:
    assert {*VERDICT.latency_ms} <= {*STAGES}
    assert len({*STAGES}) == len(STAGES)
