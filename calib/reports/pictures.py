"""The images worth a look, as pictures for the report: frame, heat map and mask side by side."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeirf.calib.evaluation.evaluation import Evaluation, Judged
from edgeirf.calib.evaluation.samples import read_mask
from edgeirf.errors import EdgeirfError
from edgeirf.runtime.detector import Detector
from edgeirf.runtime.imaging.images import read_image
from edgeirf.runtime.render.overlay import to_bgr8

SIDE = 340
"""Longest side of a picture, pixels."""
WRONG = 8
"""At most this many false rejects and as many escapes are shown."""
RIGHT = 4
"""So many of the parts closest to the threshold are shown where none is wrong, and of the highest scores."""

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Gallery:
    """Images of one kind, the clearest first."""

    title: str
    note: str
    images: list[Judged]


@dataclass(frozen=True)
class Panel:
    """One image as pictures: ``(caption, data URI)`` of frame, heat map and, with a mask, the defect."""

    judged: Judged
    pictures: list[tuple[str, str]]


def galleries(evaluation: Evaluation) -> Iterator[Gallery]:
    """False rejects, escapes (or what came closest), and the highest scores."""
    good = sorted(evaluation.good, key=lambda image: -image.score)
    defective = sorted(evaluation.defective, key=lambda image: image.score)
    rejected = [image for image in good if image.reject]
    escaped = [image for image in defective if not image.reject]
    if rejected:
        yield Gallery("False rejects", _shown(len(rejected), WRONG, "highest"), rejected[:WRONG])
    elif good:
        yield Gallery("Good parts closest to the threshold", "No good part was rejected.", good[:RIGHT])
    if escaped:
        yield Gallery("Escapes", _shown(len(escaped), WRONG, "lowest"), escaped[:WRONG])
    elif defective:
        yield Gallery("Defects closest to the threshold", "No defect escapes.", defective[:RIGHT])
    caught = [image for image in defective[RIGHT:] if image.reject]
    if caught:
        yield Gallery("Highest scores", "The clearest rejects.", caught[: -RIGHT - 1 : -1])


def render(detector: Detector, judged: Judged) -> Panel:
    """Inspects one image again and draws it; only the few that are shown have pictures.

    Raises:
        EdgeirfError: the image has changed or gone since it was evaluated.
    """
    frame = read_image(judged.sample.path)
    inspection = detector(frame)
    pictures = [
        ("frame", to_bgr8(frame)),
        ("anomaly map", inspection.overlay(frame)),
    ]
    try:
        mask = read_mask(judged.sample, frame.shape)
    except EdgeirfError:  # the evaluation has said so
        mask = None
    if mask is not None:
        pictures.append(("mask", spotlight(to_bgr8(frame), mask)))
    return Panel(judged, [(caption, data_uri(picture)) for caption, picture in pictures])


def spotlight(picture: Image, mask: NDArray[np.bool_]) -> Image:
    """The picture darkened outside the mask, whose outline is drawn."""
    dark: Image = np.where(mask[..., None], picture, picture // 4).astype(np.uint8)
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(dark, outlines, -1, (255, 255, 255), max(1, round(max(mask.shape) / SIDE)))
    return dark


def data_uri(picture: Image) -> str:
    """A small JPEG of ``(H, W, 3)`` BGR as a ``data:`` address."""
    scale = min(1.0, SIDE / max(picture.shape[:2]))
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    _, jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 85])
    return "data:image/jpeg;base64," + base64.b64encode(jpeg.tobytes()).decode()


def _shown(count: int, limit: int, which: str) -> str:
    return f"{count} in all." if count <= limit else f"{count} in all, the {limit} with the {which} scores are shown."
