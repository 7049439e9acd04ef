"""From a folder of good parts to a new run: survey, split, prepared calibration pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeirf.errors import UsageError
from edgeirf.files import check_writable
from edgeirf.runtime.imaging.images import read_image
from edgeirf.runtime.imaging.preprocess import prepare
from edgeirf.settings import Preprocess
from edgeirf.trainers.dataset import Survey, find_products, survey
from edgeirf.trainers.noise_net import PRESETS
from edgeirf.trainers.pretrained import load_backbone
from edgeirf.trainers.run import RUN, Run, RunConfig

MAX_STEPS, MAX_BATCH = 10_000_000, 4096

Progress = Callable[[Iterable[Path]], Iterable[Path]]


@dataclass(frozen=True)
class Recipe:
    """What the user chooses for training.

    Attributes:
        preset: size of the noise network, one of ``PRESETS``.
        backbone: ``lite0``, ``lite1``, ``lite2`` or ``timm:MODEL``.
        unified: one model for several products.
        size, roi, tiles: see :class:`edgeirf.settings.Preprocess`.
        steps, batch, learning_rate, ema, seed: of the training loop.
    """

    preset: str = "small"
    backbone: str = "lite0"
    unified: bool = False
    size: tuple[int, int] = (256, 256)
    roi: tuple[int, int, int, int] | None = None
    tiles: tuple[int, int] = (1, 1)
    steps: int = 900
    batch: int = 16
    learning_rate: float = 1e-3
    ema: float = 0.999
    seed: int = 0


def prepare_run(
    data: Path, output: Path, recipe: Recipe, progress: Progress = lambda items: items
) -> tuple[Run, Survey]:
    """Reads every picture, splits them, and starts the run folder.

    Args:
        data: folder of good parts, see :func:`edgeirf.trainers.dataset.find_products`.
        output: the new run folder.
        recipe: choices.
        progress: for a progress bar over the pictures.

    Raises:
        UsageError: too few pictures, an unknown preset, or ``output`` holds a run already.
        EdgeirfError: backbone weights are missing.
    """
    if recipe.preset not in PRESETS:
        raise UsageError(f"unknown preset {recipe.preset!r}: choose one of {', '.join(PRESETS)}")
    if (output / RUN).exists():
        raise UsageError(f"{output} holds a run already: --resume {output} goes on with it, --output starts another")
    if not 1 <= recipe.steps <= MAX_STEPS or not 1 <= recipe.batch <= MAX_BATCH or not 0 < recipe.learning_rate < 1:
        raise UsageError(
            f"--steps is at least 1 and at most {MAX_STEPS}, --batch at least 1 and at most {MAX_BATCH}, "
            "--learning-rate positive and below 1"
        )
    _check_size(recipe)
    check_writable(output / RUN)
    found = survey(find_products(data, recipe.unified), progress)
    backbone: Any = load_backbone(recipe.backbone)
    try:
        settings = Preprocess(
            size=recipe.size,
            roi=recipe.roi,
            tiles=recipe.tiles,
            color=found.color,
            bits=found.bits,
            mean=backbone.mean,
            std=backbone.std,
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
    config = RunConfig(
        name=output.resolve().name,
        data=str(data.resolve()),
        preprocess=settings,
        net=PRESETS[recipe.preset],
        samples=tuple((s.product, str(s.path.resolve()), s.sha256, s.calibration) for s in found.samples),
        unified=recipe.unified,
        backbone=recipe.backbone,
        preset=recipe.preset,
        seed=recipe.seed,
        steps=recipe.steps,
        batch=recipe.batch,
        learning_rate=recipe.learning_rate,
        ema=recipe.ema,
    )
    return Run.create(output, config, _calibration_pictures(found, settings)), found


def _check_size(recipe: Recipe) -> None:
    """Raises before the pictures are read, not after."""
    try:
        Preprocess(size=recipe.size, roi=recipe.roi, tiles=recipe.tiles)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _calibration_pictures(found: Survey, settings: Preprocess) -> dict[str, NDArray[Any]]:
    """Product to prepared pixels ``(n, T, height, width, 3)``; 8-bit pictures among 16-bit ones are widened."""
    pictures: dict[str, list[NDArray[Any]]] = {}
    for sample in found.samples:
        if sample.calibration:
            pictures.setdefault(sample.product, []).append(prepare(read_image(sample.path), settings))
    return {product: _stack(images, settings.bits) for product, images in pictures.items()}


def _stack(images: list[NDArray[Any]], bits: int) -> NDArray[Any]:
    if len({image.dtype for image in images}) == 1:
        return np.stack(images)
    white = 2**bits - 1
    return np.stack([i if i.dtype == np.uint16 else np.rint(i * (white / 255.0)).astype(np.uint16) for i in images])
