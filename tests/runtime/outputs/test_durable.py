"""A record is the same after its journey through the spool."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from edgeirf.part import PartVerdict
from edgeirf.runtime.outputs.durable import decode, encode
from edgeirf.verdict import Region, Verdict

number = st.floats(-1e6, 1e6)
text = st.text(max_size=20)
regions = st.builds(Region, *[st.integers(0, 999)] * 5, number)
views = st.builds(
    Verdict,
    st.booleans(),
    st.none() | number,
    st.none() | st.floats(0, 1),
    number,
    st.none() | number,
    st.lists(regions, max_size=2).map(tuple),
    st.sampled_from(["ok", "error"]),
    error=st.none() | st.text(min_size=1, max_size=9),
    frame_id=st.none() | st.integers() | text,
    latency_ms=st.dictionaries(text, number, max_size=2),
    model=text,
)
parts = st.builds(
    PartVerdict,
    st.integers() | text,
    st.booleans(),
    st.sampled_from(["inspected", "late"]),
    st.dictionaries(text, views, max_size=2),
    st.none() | text,
    late_ms=number,
    sequence=st.integers(0, 2**40),
)


@given(verdict=parts, key=st.none() | text)
def test_decode_gives_what_was_encoded(verdict: PartVerdict, key: str | None) -> None:
    assert decode(encode(verdict, key)).to_json() == verdict.to_json()


def test_the_key_is_the_id_of_the_record(verdict: Any) -> None:
    assert json.loads(encode(verdict(7), "a-1"))["id"] == "a-1"
    assert "id" not in json.loads(encode(verdict(7)))
