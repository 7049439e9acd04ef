from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeirf import bundle
from edgeirf.bundle import Bundle
from edgeirf.errors import BundleError
from edgeirf.runtime.monitor.directions import (
    MEMBER,
    Change,
    Direction,
    Directions,
    read_directions,
    to_json,
    usual_directions,
)
from edgeirf.runtime.monitor.statistics import STATISTICS

USUAL = usual_directions()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (Change("light", 0.04, 0.5), "light +4 %"),
        (Change("right", 0.021, 1.4), "2.1 % to the right"),
        (Change("down", 0.02, 1.3), "2 % down"),
        (Change("down", -0.02, 1.3), "2 % up"),
        (Change("turn", -1.5, 1.5), "turned 1.5 degrees clockwise"),
        (Change("focus", 0.8, 1.0), "focus 0.8 px softer"),
        (Change("focus", 0.8, 1.0, stated=False), "focus softer"),
        (Change("noise", 3.0, 1.0), "noise +3 levels"),
    ],
)
def test_changes_are_said_in_words(change: Change, text: str) -> None:
    assert change.text == text


def deviation(**values: float) -> np.ndarray:
    return np.array([values.get(name, 0.0) for name in STATISTICS])


@pytest.mark.parametrize(
    ("found", "kinds"),
    [
        (deviation(), []),
        (deviation(brightness=-0.06, contrast=-0.06), ["light"]),
        (deviation(brightness=-0.01, contrast=-0.01), []),  # small against what is tolerated
        (deviation(right=0.02, down=-0.02), ["down", "right"]),
        (deviation(sharpness=-0.2, noise=-0.4), ["focus"]),
        (deviation(noise=1.0, sharpness=0.1), ["noise"]),
    ],
)
def test_a_deviation_gets_the_names_of_its_changes(found: np.ndarray, kinds: list[str]) -> None:
    assert sorted(change.kind for change in USUAL.explain(found)) == kinds


def test_what_no_change_explains_has_no_name() -> None:
    assert Directions(USUAL.spread, USUAL.directions[:1]).explain(deviation(right=0.5)) == ()


def test_a_change_that_the_parts_hide_is_not_named() -> None:
    wide = np.array([0.01, 0.02, 0.03, 0.1, 0.5, 0.5, 9.0])
    assert USUAL.explain(deviation(right=0.02), wide) == ()


def test_focus_is_said_in_pixels_of_the_frame() -> None:
    rows = tuple(tuple(deviation(sharpness=-0.2 * amount).tolist()) for amount in (0.0, 1.0, 4.0))
    measured = Directions(USUAL.spread, (Direction("focus", 1.0, (0.0, 1.0, 4.0), rows),))
    assert measured.explain(deviation(sharpness=-0.2), zooms={"focus": 2.0, "noise": 3.0})[0].amount == pytest.approx(
        2.0, abs=0.1
    )


def with_member(source: Path, target: Path, data: bytes) -> Bundle:
    old = Bundle.read(source)
    members = {name: old.member(name) for name in old.manifest.members}
    bundle.write(target, old.manifest, {**members, MEMBER: data})
    return Bundle.read(target)


def test_directions_survive_the_bundle_and_older_bundles_have_none(tiny_path: Path, tmp_path: Path) -> None:
    assert read_directions(Bundle.read(tiny_path), "part") is None
    written = with_member(tiny_path, tmp_path / "new.irf", to_json({"part": USUAL}))
    assert read_directions(written, "part") == USUAL
    assert read_directions(written, "other") is None


def _damaged() -> dict[str, bytes]:
    good = json.loads(to_json({"part": USUAL}))
    wrong: Callable[..., bytes] = lambda **fields: json.dumps({"part": {**good["part"], **fields}}).encode()  # noqa: E731
    return {
        "no json": b"{",
        "a list": b"[]",
        "deep": b"[" * 100_000,
        "unknown field": wrong(more=1),
        "spread": wrong(spread=[1.0]),
        "negative spread": wrong(spread=[-1.0] * len(STATISTICS)),
        "twice": wrong(directions=good["part"]["directions"][:1] * 2),
        "large": to_json({"part": USUAL}) + b" " * 1024**2,
        "not finite": to_json({"part": USUAL}).replace(b"0.01", b"1e999", 1),
    }


@pytest.mark.parametrize("name", list(_damaged()))
def test_a_member_that_does_not_fit_is_refused_in_one_line(tiny_path: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(BundleError, match=r"drift.json is unusable .*export it again") as caught:
        read_directions(with_member(tiny_path, tmp_path / "bad.irf", _damaged()[name]), "part")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "fields", [{"tolerated": 0.0}, {"amounts": (1.0, 0.0)}, {"amounts": (1.0,)}, {"responses": ()}]
)
def test_a_direction_checks_its_values(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        replace(USUAL.directions[0], **fields)  # type: ignore[arg-type]
