"""Good parts that do not look like the others."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeirf.calib.evaluation.count import Count
from edgeirf.calib.evaluation.odd_pictures import examine, exclude, read_excluded
from edgeirf.calib.reports.odd_page import odd_page
from edgeirf.errors import UsageError


def paths(count: int) -> list[Path]:
    return [Path("good") / f"{i}.png" for i in range(count)]


def ordinary(count: int, seed: int = 0) -> list[float]:
    return np.exp(np.random.default_rng(seed).normal(5, 0.3, count)).tolist()  # type: ignore[no-any-return]


def test_one_odd_picture_is_named_with_the_threshold_and_the_escapes_without_it() -> None:
    scores = [*ordinary(60), 997.0]
    found = examine(paths(61), scores, 0.02, defective=[150.0, 500.0, 1200.0])
    assert [one.path.name for one in found.odd] == ["60.png"]
    assert (found.threshold, found.escapes) == (997.0, Count(2, 3))
    assert found.odd[0].threshold_without == max(scores[:-1]) == found.threshold_without
    assert found.odd[0].escapes_without == found.escapes_without == Count(1, 3)
    assert found.exclude_text() == "good/60.png\n"
    assert "good/60.png" in found.lines()[0]


def test_several_odd_pictures_do_not_hide_each_other() -> None:
    found = examine(paths(46), [*ordinary(40), *[2000.0 + i for i in range(6)]], 0.05)
    assert [one.path.name for one in found.odd] == [f"{i}.png" for i in range(45, 39, -1)]
    assert found.odd[0].threshold_without > 1000 > found.threshold_without


def test_ordinary_pictures_are_rarely_named() -> None:
    named = sum(bool(examine(paths(50), ordinary(50, seed), 0.05).odd) for seed in range(200))
    assert named <= 12


@pytest.mark.parametrize(
    "scores", [[1.0], [1.0] * 50, [*[1.0] * 8, 99.0], [*[0.0] * 20, 5.0], [*ordinary(30), 0.001]], ids=str
)
def test_few_equal_or_low_scores_name_nothing(scores: list[float]) -> None:
    assert examine(paths(len(scores)), scores, 0.05).odd == ()


def test_a_list_of_excluded_pictures_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("# spoilt\n\n 3.png \ngood/4.png\n./5 # five.png\n")
    assert read_excluded(tmp_path / "x.txt") == (Path("3.png"), Path("good/4.png"), Path("5 # five.png"))


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_list_that_cannot_be_read_is_one_line(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "x.txt").write_bytes(content)
    with pytest.raises(UsageError, match=r"cannot read the list .*x\.txt"):
        read_excluded(tmp_path / "x.txt")


@pytest.mark.parametrize("entry", ["3.png", "good/3.png", "./good/3.png", "./3.png"])
def test_an_entry_is_a_name_or_the_end_of_a_path(entry: str) -> None:
    assert exclude(paths(5), [Path(entry)]) == [path for path in paths(5) if path.name != "3.png"]


def test_an_entry_relative_to_here_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    here = [tmp_path / "good" / "1.png", tmp_path / "good" / "2.png"]
    assert exclude(here, [Path("../" + tmp_path.name + "/good/1.png")]) == here[1:]


@pytest.mark.parametrize(
    ("entry", "says"), [("13.png", "names 13.png"), ("bad/3.png", "names bad"), ("g/3.png", "g/3")]
)
def test_an_entry_that_means_nothing_is_refused(entry: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        exclude(paths(5), [Path(entry)])


def test_all_pictures_cannot_be_excluded() -> None:
    with pytest.raises(UsageError, match="leaves none"):
        exclude(paths(2), paths(2))


def test_the_page_shows_odd_pictures_and_survives_their_loss(tmp_path: Path) -> None:
    there = [tmp_path / f"{i}<.png" for i in range(40)]
    cv2.imwrite(str(there[-1]), np.zeros((20, 30, 3), np.uint8))
    page = odd_page(examine(there, [*ordinary(38), 5000.0, 6000.0], 0.05, defective=[3000.0]))
    assert page.count("<figure") == 2
    assert page.count("data:image/jpeg") == 1
    for expected in ("39&lt;.png", "cannot be read any more", "--exclude FILE", "2 of 40", "escapes without them"):
        assert expected in page
    assert "All pictures look alike" in odd_page(examine(there, ordinary(40), 0.05))
