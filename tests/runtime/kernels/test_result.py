"""The 64 bytes that come down."""

from __future__ import annotations

import numpy as np
import pytest

from edgeirf.runtime.kernels import RECORD_BYTES, RESULT, missing_regions, read_result
from edgeirf.runtime.kernels.layout import MAP_WRITTEN, MAX_REGIONS, MORE_REGIONS, NOT_FINITE, REJECT
from edgeirf.runtime.scoring import find_regions

MAP_SIZE, AREA = (64, 96), (10, 20, 200, 130)


def sent(found: int, flags: int = 0) -> bytes:
    raw = np.zeros((), RESULT)
    raw["score"], raw["peak"], raw["found"], raw["flags"], raw["sequence"] = 2.5, 3.5, found, flags, 7
    for i in range(min(found, MAX_REGIONS)):
        raw["regions"][i] = (3 * i, 2 * i, 5, 4, 11, 10 - i / 4)
    return raw.tobytes()


@pytest.mark.parametrize("found", [0, 1, 2, 3, MAX_REGIONS, MAX_REGIONS + 5])
def test_whole_and_record(found: int) -> None:
    whole = read_result(sent(found), MAP_SIZE, AREA)
    record = read_result(sent(found)[:RECORD_BYTES], MAP_SIZE, AREA)
    assert len(whole.regions) == min(found, MAX_REGIONS)
    assert record.regions == whole.regions[:2]
    assert missing_regions(sent(found)[:RECORD_BYTES]) == (found > 2)
    assert (whole.score, whole.peak, whole.found, whole.sequence) == (2.5, 3.5, found, 7)


def test_boxes_are_rounded_as_on_the_cpu() -> None:
    drawn = np.zeros(MAP_SIZE, np.float32)
    drawn[7:12, 33:40] = 9
    raw = np.frombuffer(bytearray(sent(1)), RESULT, 1)[0].copy()
    raw["regions"][0] = (33, 7, 7, 5, 35, 9)
    assert read_result(raw.tobytes(), MAP_SIZE, AREA).regions == find_regions(drawn, 5.0, AREA)


@pytest.mark.parametrize(
    ("flags", "reject", "written", "more"),
    [
        (0, False, False, False),
        (REJECT, True, False, False),
        (NOT_FINITE, True, False, False),
        (MAP_WRITTEN | MORE_REGIONS, False, True, True),
    ],
)
def test_flags(flags: int, reject: bool, written: bool, more: bool) -> None:
    result = read_result(sent(0, flags), MAP_SIZE, AREA)
    assert (result.reject, result.map_written, result.more_regions) == (reject, written, more)
