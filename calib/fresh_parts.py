"""Fresh good parts for a new threshold: which pictures count, and whether they show the product."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from edgeirf.calib.conditions.perturb import perturb
from edgeirf.calib.conditions.tolerances import Tolerances
from edgeirf.calib.evaluation.odd_pictures import exclude
from edgeirf.calib.evaluation.roles import Role, role_of
from edgeirf.conformal import Calibration
from edgeirf.errors import FrameError, UsageError
from edgeirf.manifest import Manifest
from edgeirf.runtime.imaging.folder import find_pictures
from edgeirf.runtime.imaging.images import read_image
from edgeirf.runtime.imaging.pixel_format import Pixels
from edgeirf.runtime.imaging.preprocess import prepare

FEWEST: Final = 20
"""Fresh parts below which there is no new threshold."""
UNLIKE: Final = 30.0
"""Times the distance from the usual score to the threshold. Measured on bottles and commutators: parts under a light
20 % off, out of focus or displaced by 5 % stay below 20, other products and empty frames are above 300."""
NAMED: Final = 5
_SEED: Final = 0


@dataclass(frozen=True)
class Fresh:
    """The fresh pictures, prepared.

    Attributes:
        paths: the files.
        clean: ``(T, height, width, 3)`` RGB pixels of each at the network's size.
        varied: of its changed copy.
    """

    paths: tuple[Path, ...]
    clean: tuple[Pixels, ...]
    varied: tuple[Pixels, ...]

    def split(self) -> tuple[Fresh, Fresh]:
        """Every third picture for a new centre, and the others for the thresholds.

        Raises:
            UsageError: fewer than :data:`FEWEST` are left for the thresholds.
        """
        chosen = [[at for at in range(len(self.paths)) if (at % 3 == 0) == first] for first in (True, False)]
        if len(chosen[1]) < FEWEST:
            raise UsageError(
                f"{len(self.paths)} pictures are too few for a new centre and thresholds: "
                f"{3 * FEWEST // 2} are the least"
            )
        centre, rest = (
            Fresh(*(tuple(values[at] for at in own) for values in (self.paths, self.clean, self.varied)))  # type: ignore[arg-type]
            for own in chosen
        )
        return centre, rest


def good_pictures(folder: Path, excluded: Sequence[Path] = ()) -> list[Path]:
    """The pictures of good parts in a folder.

    Raises:
        UsageError: fewer than :data:`FEWEST`, or folders of defects without one of good parts beside them.
    """
    found = find_pictures(folder)
    roles = {path: role_of(path.relative_to(folder).parts[0]) for path in found.pictures if path.parent != folder}
    good = [path for path, role in roles.items() if role is Role.GOOD]
    if any(role is Role.DEFECT for role in roles.values()):
        if not good:
            raise UsageError(f"{folder} holds folders of defects and none of good parts: name a folder of good parts")
        pictures = good
    else:
        pictures = list(found.pictures)
    kept = exclude(pictures, excluded) if excluded else pictures
    if len(kept) < FEWEST:
        raise UsageError(
            f"{folder} holds {len(kept)} pictures of good parts, and {FEWEST} are the least for a threshold: "
            f"collect more; {round(1 / 0.01) - 1} can promise 1 %"
        )
    return kept


def read_fresh(paths: Sequence[Path], manifest: Manifest) -> Fresh:
    """Reads and prepares the pictures, with a changed copy of each.

    Raises:
        FrameError: a picture cannot be read, or does not cover the region of interest.
    """
    settings, tolerances = manifest.preprocess, Tolerances.parse(manifest.method.tolerate)
    rng = np.random.default_rng(_SEED)
    clean, varied = [], []
    for path in paths:
        frame = read_image(path)
        try:
            clean.append(prepare(frame, settings))
            varied.append(prepare(perturb(frame, tolerances, rng, settings.bits), settings))
        except FrameError as error:
            raise FrameError(f"{path}: {error}") from None
    return Fresh(tuple(paths), tuple(clean), tuple(varied))


def check_product(paths: Sequence[Path], scores: Sequence[float], old: Calibration, rate: float) -> None:
    """Returns when every picture may show the product.

    Raises:
        UsageError: some are far from all that the model knows.
    """
    usual, threshold = float(np.median(old.scores)), old.score_threshold(rate)
    limit = usual + UNLIKE * max(threshold - usual, 1e-9)
    unlike = [path for path, score in zip(paths, scores, strict=True) if not score <= limit]
    if not unlike:
        return
    if 2 * len(unlike) > len(paths):
        raise UsageError(
            f"{len(unlike)} of {len(paths)} pictures do not look like the product of this bundle: check the folder, "
            "the camera and the region of interest; for a new product or another view, train again"
        )
    named = ", ".join(str(path) for path in unlike[:NAMED]) + (", ..." if len(unlike) > NAMED else "")
    raise UsageError(
        f"{len(unlike)} of {len(paths)} pictures do not look like the product: {named}: remove them, or name them in a "
        "text file for --exclude"
    )
