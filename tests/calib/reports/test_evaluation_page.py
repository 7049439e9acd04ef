from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import edgeirf
from edgeirf.calib.evaluation.evaluate import evaluate
from edgeirf.calib.evaluation.evaluation import Judged
from edgeirf.calib.evaluation.samples import Sample
from edgeirf.calib.reports.evaluation_page import report, write_report
from edgeirf.calib.reports.pictures import RIGHT, SIDE, WRONG, data_uri, galleries, render, spotlight
from edgeirf.errors import FrameError

MakeFolder = Callable[..., Path]
VOID = {"meta", "img", "line", "rect", "circle", "polyline"}


class Balanced(HTMLParser):
    """Fails on tags that are not closed in order; collects addresses and text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action", "data")]

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


@pytest.fixture(scope="module")
def detector(tiny_path: Path) -> Iterator[Any]:
    with edgeirf.load(tiny_path, device="cpu", threads=1) as opened:
        yield opened


def parsed(page: str) -> Balanced:
    parser = Balanced()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser


def test_the_page_holds_all_it_needs(detector: Any, labelled: MakeFolder, tmp_path: Path) -> None:
    found = evaluate(detector, labelled())
    write_report(tmp_path / "report.html", [(found, detector)])
    page = (tmp_path / "report.html").read_text()
    parser = parsed(page)
    assert parser.addresses
    assert all(address.startswith("data:image/jpeg;base64,") for address in parser.addresses)
    assert not {"script", "link", "iframe", "object"} & set(parser.tags)
    assert "http" not in page.lower()
    assert not re.search(r"url\(|@import", page)
    assert parser.tags.count("svg") == 2


def test_the_page_says_what_the_evaluation_found(detector: Any, labelled: MakeFolder) -> None:
    found = evaluate(detector, labelled())
    page = report([(found, detector)])
    text = re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL)
    for expected in ("tiny.irf", "1.0000", "0 of 6", "hole", "stain", "99 held-out", "No defect escapes."):
        assert expected in text
    assert f"threshold {found.threshold:.4g}" in text


def test_names_from_the_disk_are_escaped(detector: Any, labelled: MakeFolder) -> None:
    root = labelled("flat")
    (root / "hole").rename(root / "<img onerror=alert(1)>&")
    page = report([(evaluate(detector, root), detector)])
    assert "<img onerror" not in page
    assert "&lt;img onerror=alert(1)&gt;&amp;" in page
    parsed(page)


def test_an_image_that_is_gone_is_one_error(detector: Any, labelled: MakeFolder) -> None:
    root = labelled()
    found = evaluate(detector, root)
    for path in (root / "test" / "good").iterdir():
        path.unlink()
    with pytest.raises(FrameError, match="No such file"):
        report([(found, detector)])


def judged(defect: str, count: int, reject: Callable[[int], bool]) -> list[Judged]:
    return [Judged(Sample(Path(f"{defect}{i}.png"), defect), float(i), 0.5, reject(i)) for i in range(count)]


@pytest.mark.parametrize(
    ("good_rejected", "bad_rejected", "titles"),
    [
        (0, 20, ["Good parts closest to the threshold", "Defects closest to the threshold", "Highest scores"]),
        (20, 0, ["False rejects", "Escapes"]),
        (2, 18, ["False rejects", "Escapes", "Highest scores"]),
    ],
)
def test_galleries_are_few_and_the_worst_first(
    detector: Any, labelled: MakeFolder, good_rejected: int, bad_rejected: int, titles: list[str]
) -> None:
    images = [
        *judged("good", 20, lambda i: i >= 20 - good_rejected),
        *judged("hole", 20, lambda i: i >= 20 - bad_rejected),
    ]
    shown = list(galleries(replace(evaluate(detector, labelled()), images=tuple(images))))
    assert [gallery.title for gallery in shown] == titles
    for gallery in shown:
        values = [image.score for image in gallery.images]
        assert 0 < len(values) <= (WRONG if gallery.title in ("False rejects", "Escapes") else RIGHT)
        first_is_largest = gallery.images[0].sample.defect == "good" or gallery.title == "Highest scores"
        assert values == sorted(values, reverse=first_is_largest)
        assert values[0] == (19.0 if first_is_largest else 0.0)
    everything = [image.sample.path for gallery in shown for image in gallery.images]
    assert len(set(everything)) == len(everything)


@pytest.mark.parametrize(
    ("kind", "captions"), [("good", ["frame", "anomaly map"]), ("hole", ["frame", "anomaly map", "mask"])]
)
def test_panels(detector: Any, labelled: MakeFolder, kind: str, captions: list[str]) -> None:
    found = evaluate(detector, labelled(size=(400, 800)))
    image = next(image for image in found.images if image.sample.defect == kind)
    panel = render(detector, image)
    assert [caption for caption, _ in panel.pictures] == captions
    for _, uri in panel.pictures:
        jpeg = base64.b64decode(uri.removeprefix("data:image/jpeg;base64,"))
        assert cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).shape == (SIDE // 2, SIDE, 3)


def test_spotlight_leaves_the_defect_as_it_is() -> None:
    picture = np.full((40, 40, 3), 100, np.uint8)
    mask = np.zeros((40, 40), bool)
    mask[10:30, 10:30] = True
    lit = spotlight(picture, mask)
    assert (lit[12:28, 12:28] == 100).all()
    assert (lit[:9] == 25).all()
    assert (picture == 100).all()


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 5000, 3), (30, 20, 3)])
def test_pictures_are_never_enlarged_nor_empty(shape: tuple[int, int, int]) -> None:
    jpeg = base64.b64decode(data_uri(np.zeros(shape, np.uint8)).split(",")[1])
    height, width, _ = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).shape
    assert (height, width) == (shape[0], min(shape[1], SIDE))
