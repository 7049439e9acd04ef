"""What a folder's name says of the parts in it."""

from __future__ import annotations

import re
from enum import Enum

from edgeirf.runtime.imaging.folder import is_mask_folder

_GOOD = (  # noqa: SIM905
    "good ok okay normal pass passed accept accepted io nominal clean healthy intact "
    "undamaged negative nodefect nodefects nondefect nondefective notdefective defectfree noanomaly anomalyfree "
    "faultless flawless gut gutteil gutteile fehlerfrei bon bueno buono bom 良品 合格 合格品 正常 正常品 정상"
).split()
GOOD_NAMES = frozenset(_GOOD)
"""Good parts, without regard to case, spaces and punctuation: ``OK``, ``i.O.``, ``defect-free``."""
_OTHER_SETS = frozenset(["train", "training", "test", "testpublic", "val", "validation"])
_NO_ROLE = frozenset(
    [
        "image",
        "images",
        "img",
        "imgs",
        "picture",
        "pictures",
        "photo",
        "photos",
        "data",
        "dataset",
        "rgb",
        "raw",
        "unknown",
        "misc",
        "other",
    ]
)
_GOOD_WORDS = frozenset(["good", "ok", "okay", "normal", "pass", "passed", "io", "gut", "accepted"])
_NEGATIONS = frozenset(["not", "no", "non", "nok", "nio", "un", "in", "without", "bad"])


class Role(Enum):
    """Of a folder in a labelled set."""

    GOOD = "good"
    DEFECT = "defect"
    MASKS = "masks"
    OTHER_SET = "other set"
    UNCLEAR = "unclear"


def role_of(name: str) -> Role:
    """The role of a folder by its name; a name that says neither good nor a defect type for certain is unclear.

    >>> [role_of(name).name for name in ("OK", "i.O.", "scratch", "not_good", "good_parts", "ground_truth")]
    ['GOOD', 'GOOD', 'DEFECT', 'DEFECT', 'UNCLEAR', 'MASKS']
    """
    key = re.sub(r"[\W_]", "", name.casefold())
    words = set(re.findall(r"[^\W\d_]+", name.casefold()))
    if key in GOOD_NAMES:
        return Role.GOOD
    if is_mask_folder(name):
        return Role.MASKS
    if key in _OTHER_SETS:
        return Role.OTHER_SET
    if key in _NO_ROLE or not key or (words & _GOOD_WORDS and not words & _NEGATIONS):
        return Role.UNCLEAR
    return Role.DEFECT
