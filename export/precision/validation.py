"""Pictures to prove a precision on: held-out good parts, defects drawn into them, labelled parts of the user's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeirf.calib.evaluation.samples import GOOD, find_samples
from edgeirf.calib.gate.synthetic_defects import KINDS, add_defect
from edgeirf.errors import FrameError, UsageError
from edgeirf.frame_contract import FrameContract
from edgeirf.runtime.imaging.images import read_image
from edgeirf.runtime.imaging.pixel_format import Pixels
from edgeirf.runtime.imaging.preprocess import normalise, prepare
from edgeirf.settings import Preprocess
from edgeirf.text import printable
from edgeirf.trainers.dataset import find_products

SYNTHETIC = 60
"""Pictures with a synthetic defect in all, evenly over products and kinds."""

Pictures = Mapping[str, Sequence[Pixels]]
"""Product to prepared pixels, each ``(T, height, width, 3)``."""


@dataclass(frozen=True)
class Evidence:
    """Product by product.

    Attributes:
        held_out: good parts that the network was not trained on.
        synthetic: the same with a defect each.
        labelled_good, labelled_defective: the user's; empty where there are none.
    """

    held_out: Pictures
    synthetic: Pictures
    labelled_good: Pictures = field(default_factory=dict)
    labelled_defective: Pictures = field(default_factory=dict)


def gather(
    held_out: Pictures,
    settings: Preprocess,
    validate: Path | None = None,
    contract: FrameContract | None = None,
) -> Evidence:
    """Draws the synthetic defects and reads the labelled images.

    Args:
        held_out: good parts.
        settings: camera frame to network input.
        validate: folder of labelled images, see :func:`edgeirf.calib.evaluation.samples.find_samples`; with several
            products, one such sub-folder for each of them.
        contract: the frames that the run knows; None takes every image.

    Raises:
        UsageError: the folder lacks good parts or defects of a product.
        FrameError: an image cannot be read, or is no frame that the run knows.
    """
    share = max(1, SYNTHETIC // len(held_out))
    synthetic = {product: synthetic_defects(pictures, share) for product, pictures in held_out.items()}
    if validate is None:
        return Evidence(held_out, synthetic)
    good: dict[str, list[Pixels]] = {}
    defective: dict[str, list[Pixels]] = {}
    for product in held_out:
        folder = validate / product if len(held_out) > 1 else validate
        samples = find_samples(folder)
        for group, wanted in ((good, True), (defective, False)):
            paths = [sample.path for sample in samples if (sample.defect == GOOD) == wanted]
            if not paths:
                raise UsageError(f"{folder}: --validate needs good parts (good/) and defects beside them")
            group[product] = [_prepared(path, settings, contract) for path in paths]
    return Evidence(held_out, synthetic, good, defective)


def synthetic_defects(pictures: Sequence[Pixels], count: int) -> list[Pixels]:
    """``count`` pictures with one defect each, kind after kind, picture after picture; the same every time."""
    kinds = list(KINDS)
    return [add_defect(pictures[i % len(pictures)], kinds[i % len(kinds)], seed=i) for i in range(count)]


def calibration_pictures(
    folder: Path, products: Sequence[str], settings: Preprocess, contract: FrameContract | None = None
) -> Pictures:
    """Good parts in a folder of the user's, laid out as for training, to take INT8 ranges from.

    Raises:
        UsageError: there are no pictures.
        FrameError: one cannot be read, or is no frame that the run knows.
    """
    found = find_products(folder, unified=len(products) > 1)
    return {name: [_prepared(path, settings, contract) for path in paths] for name, paths in found.items()}


def _prepared(path: Path, settings: Preprocess, contract: FrameContract | None) -> Pixels:
    image = read_image(path)
    if contract is not None and (wrong := contract.mismatch(image)):
        raise FrameError(f"{printable(path)}: {wrong}: take pictures of the camera that the run was trained on")
    return prepare(image, settings)


def batches_of(pictures: Pictures, settings: Preprocess, most: int | None = None) -> list[NDArray[np.float32]]:
    """Network inputs ``(T, 3, height, width)`` of all pictures, or of ``most`` spread over them."""
    everything = [picture for group in pictures.values() for picture in group]
    if most is not None and len(everything) > most:
        everything = [everything[i * len(everything) // most] for i in range(most)]
    return [normalise(picture, settings) for picture in everything]


def distinct(pictures: Pictures) -> int:
    """Number of different pictures."""
    return len({picture.tobytes() for group in pictures.values() for picture in group})
