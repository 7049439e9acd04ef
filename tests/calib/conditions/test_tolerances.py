"""Tolerances as text."""

from __future__ import annotations

from dataclasses import astuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeirf.calib.conditions.tolerances import EXAMPLE, Tolerances
from edgeirf.errors import UsageError

OFF = Tolerances.none()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (EXAMPLE, Tolerances()),
        ("default", Tolerances()),
        ("off", OFF),
        ("OFF", OFF),
        ("light=5%", Tolerances(brightness=0.05, gamma=0.05)),
        (" brightness = 5 % , gamma=0", Tolerances(brightness=0.05, gamma=0)),
        ("off,noise=2", Tolerances(0, 0, 0, 0, 0, 2, None)),
        ("off, jpeg=60", Tolerances(0, 0, 0, 0, 0, 0, 60)),
        ("jpeg=off", Tolerances(jpeg_quality=None)),
        ("blur=1.5,rotate=2", Tolerances(blur_px=1.5, rotate_deg=2)),
        ("blur=1.5px,rotate=2deg", Tolerances(blur_px=1.5, rotate_deg=2)),
    ],
)
def test_text_is_read(text: str, expected: Tolerances) -> None:
    assert Tolerances.parse(text) == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "write light=8%"),
        ("lihgt=8%", "'lihgt=8%'"),
        ("light", "cannot read"),
        ("light=8", "write light=8%"),
        ("light=x%", "cannot read"),
        ("light=-1%", "between 0"),
        ("shift=101%", "between 0"),
        ("light=nan%", "between 0"),
        ("noise=inf", "between 0"),
        ("jpeg=7.5", "whole number"),
        ("jpeg=0", "between 1"),
        ("jpeg=99", "between 1"),
        ("noise=3,off", "'off'"),
        ("blur=0.8%", "cannot read"),
    ],
)
def test_text_that_is_not_a_tolerance_is_refused_in_one_line(text: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        Tolerances.parse(text)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@given(
    st.builds(
        Tolerances,
        *[st.floats(0, 0.9)] * 2,
        st.floats(0, 50),
        st.floats(0, 180),
        st.floats(0, 1),
        st.floats(0, 128),
        st.none() | st.integers(1, 98),
    )
)
def test_text_and_tolerances_are_the_same_thing(tolerances: Tolerances) -> None:
    text = tolerances.to_text()
    again = Tolerances.parse(text)
    assert again.to_text() == text
    assert astuple(again)[:-1] == pytest.approx(astuple(tolerances)[:-1], rel=1e-11, abs=0)
    assert again.jpeg_quality == tolerances.jpeg_quality


def test_the_default_is_written_as_people_write_it() -> None:
    assert Tolerances().to_text() == EXAMPLE
    assert OFF.to_text() == "off"
