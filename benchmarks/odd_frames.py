"""Frames that are not the part: what share does a bundle reject?

``python benchmarks/odd_frames.py bottle.irf bottle/test/good --other casting/test/good``

Good parts are turned into frames that no line should pass: empty, black, saturated, blurred, half out of place, of
another product, flat in the part's own median colour. The last column is the smallest score over the threshold.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import edgeirf
from edgeirf.runtime.imaging.folder import find_pictures
from edgeirf.runtime.imaging.images import read_image

Image = NDArray[np.generic]


def main() -> None:
    """Prints one row a kind of frame."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("good", type=Path, help="folder of good parts")
    parser.add_argument("--other", type=Path, help="folder of another product")
    parser.add_argument("--count", type=int, default=10)
    arguments = parser.parse_args()
    good = [read_image(path) for path in list(find_pictures(arguments.good).pictures)[: arguments.count]]
    frames = {name: [make(image) for image in good] for name, make in KINDS.items()}
    frames["flat, median colour"] = [_flat(good)]
    if arguments.other is not None:
        pictures = [read_image(path) for path in list(find_pictures(arguments.other).pictures)[: arguments.count]]
        frames["another product"] = [_like(picture, good[0]) for picture in pictures]
    print(f"{'frame':24} {'rejected':>10} {'least score / threshold':>24}")
    with edgeirf.load(arguments.bundle, device="cpu") as detector:
        for name, images in frames.items():
            verdicts = [detector(image).verdict for image in images]
            rejected = sum(verdict.reject for verdict in verdicts)
            least = min(verdict.score / verdict.threshold for verdict in verdicts if verdict.score is not None)
            print(f"{name:24} {rejected:>4} of {len(images):<3} {least:>24.2f}")


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


def _flat(good: Sequence[Image]) -> Image:
    colour = np.median(np.stack([np.median(image, (0, 1)) for image in good]), 0)
    return np.broadcast_to(colour, good[0].shape).astype(good[0].dtype)


def _like(picture: Image, model: Image) -> Image:
    resized = cv2.resize(picture, model.shape[1::-1], interpolation=cv2.INTER_AREA)
    if model.ndim == 2 and resized.ndim == 3:
        return cv2.cvtColor(resized, cv2.COLOR_BGR2GRAY)
    return cv2.cvtColor(resized, cv2.COLOR_GRAY2BGR) if model.ndim == 3 and resized.ndim == 2 else resized


KINDS: dict[str, Callable[[Image], Image]] = {
    "good, as they are": lambda image: image,
    "white": lambda image: np.full_like(image, np.iinfo(image.dtype).max),
    "black": np.zeros_like,
    "saturated, x1.6": _exposed(1.6),
    "dark, x0.6": _exposed(0.6),
    "blurred, 4 px": lambda image: cv2.GaussianBlur(image, (0, 0), 4),
    "out of place, 10 %": _shift(0.1),
    "out of place, 30 %": _shift(0.3),
    "out of place, 50 %": _shift(0.5),
    "out of place, 90 %": _shift(0.9),
    "upside down": lambda image: np.ascontiguousarray(image[::-1]),
}

if __name__ == "__main__":
    main()
