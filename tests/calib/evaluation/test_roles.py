"""What the names of folders say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeirf.calib.evaluation.roles import GOOD_NAMES, Role, role_of


@pytest.mark.parametrize(
    ("names", "role"),
    [
        ("good Good GOOD ok OK O.K. Okay normal Normal pass Passed io i.O. nominal defect-free no_defect", Role.GOOD),
        ("Gut Gutteile clean accepted undamaged non_defective not-defective no_anomaly bueno 良品 正常", Role.GOOD),
        (
            "bad ko ng NOK scratch not_good not-ok abnormal Anomaly logical_anomalies broken_large n.i.O. 12",
            Role.DEFECT,
        ),
        ("ground_truth Masks mask gt Annotation defect_masks", Role.MASKS),
        ("train test validation val test_public", Role.OTHER_SET),
        ("good_parts OK2024 parts_ok images unknown ... _", Role.UNCLEAR),
    ],
)
def test_roles(names: str, role: Role) -> None:
    assert {name: role_of(name) for name in names.split()} == dict.fromkeys(names.split(), role)


@given(st.sampled_from(sorted(GOOD_NAMES)), st.randoms(), st.sampled_from(["", "_", "-", " ", "."]))
def test_good_names_hold_in_any_case_and_punctuation(name: str, random, between: str) -> None:
    written = between.join(random.choice([letter.upper(), letter]) for letter in name)
    assert role_of(written) is Role.GOOD
