"""The register map as docs/outputs.md states it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeirf.part import PartId, PartVerdict
from edgeirf.runtime.outputs.plc import PlcInputs, PlcOutputs, Shown
from edgeirf.runtime.outputs.registers import WORDS, inputs_of, number_of, words_of
from edgeirf.verdict import Verdict

Make = Callable[..., PartVerdict]


def long(words: list[int], place: int) -> int:
    return words[place] << 16 | words[place + 1]


def test_every_value_is_where_the_document_says(verdict: Make) -> None:
    result = replace(verdict(70_000, True, -1.25), reason="late", sequence=65_537, late_ms=12.4)
    outputs = PlcOutputs(True, False, 65_539, True, False, True, refused=3, result=result)
    words = words_of(Shown("DEGRADED", "", 65_538, outputs))
    assert len(words) == WORDS == 32
    assert words[:8] == [1, 3, 2, 0b10101, 3, 0, 2, 2]
    assert (long(words, 8), long(words, 10), long(words, 12), long(words, 14)) == (
        70_000,
        65_537,
        2**32 - 125,
        250_000,
    )
    assert words[16] == 12
    assert long(words, 17) == 65_539
    assert b"".join(word.to_bytes(2, "big") for word in words[19:]).rstrip(b"\0") == b"70000"


def test_without_a_result_nothing_looks_like_a_pass() -> None:
    words = words_of(Shown("INIT", "", 0, PlcOutputs()))
    assert words[:8] == [1, 0, 0, 0, 0, 0, 0, 0]
    assert long(words, 12) == 0x80000000


@pytest.mark.parametrize(
    ("part_id", "number"), [(7, 7), ("7", 7), (2**32 + 5, 5), (-1, 2**32 - 1), ("A-7", 0), ("", 0), ("9" * 99, 0)]
)
def test_a_part_id_has_32_bits(part_id: PartId, number: int) -> None:
    assert number_of(part_id) == number


@given(
    part=st.integers() | st.text(),
    score=st.none() | st.floats(allow_nan=False),
    p_value=st.none() | st.floats(0, 1),
    sequence=st.integers(0, 2**70),
    late=st.floats(-1, 1e12),
    beat=st.integers(0, 2**70),
)
def test_no_value_is_beyond_its_register(
    part: PartId, score: float | None, p_value: float | None, sequence: int, late: float, beat: int
) -> None:
    views = {"top": Verdict(True, score, p_value, 31.0)}
    result = PartVerdict(part, True, "error", views, late_ms=late, sequence=sequence)
    words = words_of(Shown("FAULT", "", beat, PlcOutputs(part_id=part, result=result)))
    assert all(0 <= word < 65536 for word in words)
    assert words[6] == 2


def test_the_commands_of_a_plc() -> None:
    assert inputs_of([0b101, 9, 1, 2]) == PlcInputs(True, False, True, 65_538, 9)
    assert inputs_of([0b010, 0, 0, 0]) == PlcInputs(results_ack=True)
