"""Good parts that do not look like the others."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import NormalDist

import cv2
import numpy as np
import pytest

from edgeirf.calib.evaluation.count import Count
from edgeirf.calib.evaluation.odd_pictures import examine, exclude, exclude_products, read_excluded
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
    first, *others = found.lines()
    assert first.startswith("without the 6 pictures that do not look like")
    assert first.endswith(f"the threshold is {found.threshold_without:.4g} instead of {found.threshold:.4g}")
    assert [line.split()[0] for line in others] == [f"good/{i}.png" for i in range(45, 39, -1)]
    assert not any("threshold" in line for line in others)


LAWS = {
    "log-normal 0.2": lambda rng, n: np.exp(rng.normal(2.7, 0.2, n)),
    "log-normal 0.6": lambda rng, n: np.exp(rng.normal(2.7, 0.6, n)),
    "Gumbel 15, 4": lambda rng, n: rng.gumbel(15, 4, n),
    "Gumbel 15, 1.5": lambda rng, n: rng.gumbel(15, 1.5, n),
    "logarithm is Gumbel": lambda rng, n: np.exp(rng.gumbel(2.7, 0.25, n)),
}


@pytest.mark.parametrize("count", [20, 42, 100, 150])
@pytest.mark.parametrize("law", LAWS)
def test_in_one_set_of_twenty_without_odd_pictures_at_most_one_is_named(law: str, count: int) -> None:
    rng = np.random.default_rng(count)
    named = sum(bool(examine(paths(count), LAWS[law](rng, count).tolist(), 0.05).odd) for _ in range(200))
    assert named <= (20 if law == "logarithm is Gumbel" else 16)  # 16 of 200: 5 % and two standard errors


def spread(count: int, median: float, sigma: float, highest: list[float]) -> list[float]:
    """Scores at the quantiles of a log-normal law, the highest ones replaced."""
    law = NormalDist(math.log(median), sigma)
    usual = [math.exp(law.inv_cdf((i + 0.5) / count)) for i in range(count - len(highest))]
    return [*(min(score, highest[-1]) for score in usual), *reversed(highest)]


@pytest.mark.parametrize(
    ("scores", "names"),
    [
        (spread(54, 15, 0.3, [86, 30, 28, 28, 28]), 1),
        (spread(153, 13, 0.4, [139, 88, 75, 31, 28]), 3),
        (spread(118, 13, 0.45, [44, 41, 36, 29, 28]), 0),
    ],
    ids=["commutators", "magnetic tiles", "solar cells"],
)
def test_highest_scores_of_real_sets(scores: list[float], names: int) -> None:
    assert len(examine(paths(len(scores)), scores, 0.01).odd) == names


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


def test_pictures_of_several_products_are_excluded_by_one_list() -> None:
    products = {"a": [Path("a/1.png"), Path("a/2.png")], "b": [Path("b/1.png"), Path("b/2.png")]}
    assert exclude_products(products, [Path("a/2.png"), Path("b/1.png")]) == {
        "a": [Path("a/1.png")],
        "b": [Path("b/2.png")],
    }
    assert exclude_products(products, ()) == products


def test_all_pictures_cannot_be_excluded() -> None:
    with pytest.raises(UsageError, match="leaves none"):
        exclude(paths(2), paths(2))


def test_the_page_shows_odd_pictures_and_survives_their_loss(tmp_path: Path) -> None:
    there = [tmp_path / f"{i}<.png" for i in range(40)]
    cv2.imwrite(str(there[-1]), np.zeros((20, 30, 3), np.uint8))
    page = odd_page({"part": examine(there, [*ordinary(38), 5000.0, 6000.0], 0.05, defective=[3000.0])})
    assert page.count("<figure") == 2
    assert page.count("data:image/jpeg") == 1
    for expected in ("39&lt;.png", "cannot be read any more", "--exclude FILE", "2 of 40", "escapes without them"):
        assert expected in page
    assert "All pictures look alike" in odd_page({"part": examine(there, ordinary(40), 0.05)})
