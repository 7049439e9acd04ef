"""Frames that are not the part: what share does each bundle reject?

    python benchmarks/odd_frames.py bottle.irf=bottle/test/good casting.irf=casting/test/good [--count 10]

Good parts are turned into frames that no line should pass. Each cell is how many of them are rejected, and the smallest
score over the threshold where one passes. The other sets of the command are the other products. "frozen" is the same
frame again and again: its score cannot show that, so the line's watch over frames is asked.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

import edgeirf
from edgeirf.errors import FrameError
from edgeirf.runtime.imaging.folder import find_pictures
from edgeirf.runtime.imaging.images import read_image
from edgeirf.runtime.monitor.directions import usual_directions
from edgeirf.runtime.monitor.frames import FROZEN, FrameWatch
from edgeirf.runtime.monitor.statistics import FrameStatistics

Image = NDArray[np.generic]


class Set(NamedTuple):
    """A bundle and good parts that it has not seen."""

    bundle: Path
    name: str
    good: list[Image]


def main() -> None:
    """Prints a table: a row a kind of frame, a column a set."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sets", nargs="+", metavar="BUNDLE=DIR", help="bundle, and a folder of good parts")
    parser.add_argument("--count", type=int, default=10, help="good parts of each set")
    arguments = parser.parse_args()
    sets = []
    for text in arguments.sets:
        bundle, _, folder = text.partition("=")
        found = list(find_pictures(folder).pictures)
        chosen = found[:: max(1, len(found) // arguments.count)][: arguments.count]
        sets.append(Set(Path(bundle), Path(bundle).stem, [read_image(path) for path in chosen]))
    rows: dict[str, list[str]] = {}
    for one in sets:
        for kind, cell in measure(one, [other for other in sets if other is not one]):
            rows.setdefault(kind, []).append(cell)
    print(f"| frame | {' | '.join(one.name for one in sets)} |\n|---|{'---|' * len(sets)}")
    for kind, cells in rows.items():
        print(f"| {kind} | {' | '.join(cells)} |")


def measure(one: Set, others: Sequence[Set]) -> Iterator[tuple[str, str]]:
    """Name and cell of each row."""
    with edgeirf.load(one.bundle, device="cpu") as detector:
        for kind, frames in odd_frames(one.good, [other.good for other in others]):
            yield kind, judge(detector, frames)
        measure_frame = FrameStatistics(detector.bundle.manifest.preprocess, detector.bundle.golden["images"])
        watch = FrameWatch(measure_frame, usual_directions(), 1e6)
        for at in range(FROZEN):
            watch.add(one.good[0], True, float(at))
        yield "frozen: the same frame 3 times", "said" if watch.frozen >= FROZEN else "not said"


def judge(detector: edgeirf.Detector, frames: Sequence[Image]) -> str:
    """``10 of 10``, or ``8 of 10 (0.71)`` with the smallest score over the threshold."""
    ratios = []
    for frame in frames:
        try:
            verdict = detector(frame).verdict
        except FrameError:  # the bundle knows other frames: a reject by name
            ratios.append(np.inf)
        else:
            ratios.append(np.inf if verdict.score is None else verdict.score / verdict.threshold)
    rejected = sum(ratio > 1 for ratio in ratios)
    return f"{rejected} of {len(ratios)}" + ("" if rejected == len(ratios) else f" ({min(ratios):.2f})")


def odd_frames(good: Sequence[Image], others: Sequence[Sequence[Image]]) -> Iterator[tuple[str, list[Image]]]:
    """Each kind of frame, made of good parts of one set; the first kind is the good parts themselves."""
    for name, make in KINDS.items():
        yield name, [make(image) for image in good]
    yield "empty: the border's colour, with noise", [_empty(image, seed) for seed, image in enumerate(good)]
    yield "torn: two parts in one frame", [_torn(a, b) for a, b in zip(good, [*good[1:], good[0]], strict=True)]
    if others:
        yield "another product", [_like(image, good[0]) for other in others for image in other[:5]]


def _shift(share: float) -> Callable[[Image], Image]:
    def make(image: Image) -> Image:
        height, width = image.shape[:2]
        matrix = np.array([[1, 0, share * width], [0, 1, 0]], np.float64)
        return cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)

    return make


def _exposed(factor: float) -> Callable[[Image], Image]:
    def make(image: Image) -> Image:
        white = np.iinfo(image.dtype).max
        return np.clip(image.astype(np.float64) * factor, 0, white).astype(image.dtype)

    return make


def _blurred(share: float) -> Callable[[Image], Image]:
    return lambda image: cv2.GaussianBlur(image, (0, 0), share * min(image.shape[:2]))


def _empty(image: Image, seed: int) -> Image:
    edge = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    noise = np.random.default_rng(seed).normal(0, 2, image.shape)
    return np.clip(np.median(edge, 0) + noise, 0, np.iinfo(image.dtype).max).astype(image.dtype)


def _torn(image: Image, other: Image) -> Image:
    other, half = _like(other, image), len(image) // 2
    return np.concatenate([image[:half], np.roll(other, image.shape[1] // 3, axis=1)[half:]])


def _cut_off(image: Image) -> Image:
    torn = image.copy()
    torn[len(image) // 2 :] = 128
    return torn


def _like(picture: Image, model: Image) -> Image:
    """A picture in the size and with the channels of another one."""
    resized = cv2.resize(picture, model.shape[1::-1], interpolation=cv2.INTER_AREA)
    if model.ndim == 2 and resized.ndim == 3:
        return cv2.cvtColor(resized, cv2.COLOR_BGR2GRAY)
    return cv2.cvtColor(resized, cv2.COLOR_GRAY2BGR) if model.ndim == 3 and resized.ndim == 2 else resized


KINDS: dict[str, Callable[[Image], Image]] = {
    "good, as they are": lambda image: image,
    "white": lambda image: np.full_like(image, np.iinfo(image.dtype).max),
    "black": np.zeros_like,
    "gray": lambda image: np.full_like(image, 128),
    "noise": lambda image: np.random.default_rng(0).integers(0, 256, image.shape).astype(image.dtype),
    "saturated: half of the values are white": lambda image: _exposed(255 / max(1.0, float(np.median(image))))(image),
    **{f"light x{factor:g}": _exposed(factor) for factor in (0.3, 0.6, 1.6, 3)},
    "torn: the lower half is gray": _cut_off,
    **{f"defocused by {100 * share:g} % of the short side": _blurred(share) for share in (0.005, 0.01, 0.02, 0.04)},
    **{f"out of place by {100 * share:g} %": _shift(share) for share in (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)},
    "upside down": lambda image: np.ascontiguousarray(image[::-1]),
}

if __name__ == "__main__":
    main()
