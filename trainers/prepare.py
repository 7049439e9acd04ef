"""From a folder of good parts to a new run: survey, split, prepared calibration pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgeirf.calib.conditions.perturb import perturb
from edgeirf.calib.conditions.tolerances import Tolerances
from edgeirf.calib.evaluation.odd_pictures import exclude_products
from edgeirf.errors import EdgeirfError, UsageError
from edgeirf.files import check_writable
from edgeirf.runtime.imaging.images import read_hashed
from edgeirf.runtime.imaging.preprocess import prepare
from edgeirf.settings import Preprocess
from edgeirf.text import printable
from edgeirf.trainers.dataset import Survey, find_products, survey
from edgeirf.trainers.diffusion import TIMESTEPS
from edgeirf.trainers.feature_cache import variant_rng
from edgeirf.trainers.input_size import check_orientation, choose_size, cost
from edgeirf.trainers.noise_net import PRESETS
from edgeirf.trainers.pretrained import load_backbone
from edgeirf.trainers.run import RUN, HeldOut, Picture, Run, RunConfig

MAX_STEPS, MAX_BATCH = 10_000_000, 4096

Progress = Callable[[Iterable[Path]], Iterable[Path]]

STEPS = 700
BATCH, SMALLEST_BATCH = 16, 4
IRF_TIMESTEPS = 400
"""IRF evaluates the network at one early timestep: later ones would only take their share of the training."""
VARIANTS = 2
"""Changed copies of each picture to train on."""
HELD_OUT_VARIANT = 10_000
"""Number of the variant of a held-out part: none that is trained on has it."""


@dataclass(frozen=True)
class Recipe:
    """What the user chooses for training.

    Attributes:
        preset: size of the noise network, one of ``PRESETS``.
        backbone: ``lite0``, ``lite1``, ``lite2`` or ``timm:MODEL``.
        unified: one model for several products.
        size: see :class:`edgeirf.settings.Preprocess`; None takes what fits the pictures.
        roi, tiles: see :class:`edgeirf.settings.Preprocess`.
        method: ``irf`` draws the timesteps that IRF uses, ``invad`` all of them.
        tolerate: what the line may do to a picture.
        variants: changed copies of each picture to train on.
        steps, learning_rate, ema, seed: of the training loop.
        batch: pictures (tiles) in a step; None takes 16 of 256x256 pixels, and fewer of larger ones.
        cross_fit: train once more for each other fifth of the parts, see :mod:`edgeirf.trainers.folds`.
        excluded: pictures to leave out, see :func:`edgeirf.calib.evaluation.odd_pictures.exclude`.
    """

    preset: str = "nano"
    backbone: str = "lite0"
    unified: bool = False
    size: tuple[int, int] | None = None
    roi: tuple[int, int, int, int] | None = None
    tiles: tuple[int, int] = (1, 1)
    method: Literal["irf", "invad"] = "irf"
    tolerate: Tolerances = field(default_factory=Tolerances)
    variants: int = VARIANTS
    steps: int = STEPS
    batch: int | None = None
    learning_rate: float = 1e-3
    ema: float = 0.999
    seed: int = 0
    cross_fit: bool = False
    excluded: tuple[Path, ...] = ()


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
    batch = 1 if recipe.batch is None else recipe.batch
    if not 1 <= recipe.steps <= MAX_STEPS or not 1 <= batch <= MAX_BATCH or not 0 < recipe.learning_rate < 1:
        raise UsageError(
            f"--steps is at least 1 and at most {MAX_STEPS}, --batch at least 1 and at most {MAX_BATCH}, "
            "--learning-rate positive and below 1"
        )
    if min(recipe.tiles) < 1:
        raise UsageError(f"--tiles are ROWSxCOLUMNS of at least 1x1, not {recipe.tiles[0]}x{recipe.tiles[1]}")
    _check_size(recipe)
    check_writable(output / RUN)
    found = survey(exclude_products(find_products(data, recipe.unified), recipe.excluded), progress)
    if recipe.size is not None:
        check_orientation(recipe.size, found.shapes, recipe.roi, recipe.tiles)
    backbone: Any = load_backbone(recipe.backbone)
    try:
        settings = Preprocess(
            size=recipe.size or choose_size(found.shapes, recipe.roi, recipe.tiles),
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
        name=printable(output.resolve().name),
        data=str(data.resolve()),
        preprocess=settings,
        net=PRESETS[recipe.preset],
        pictures=tuple(Picture(s.product, str(s.path.resolve()), s.sha256, s.calibration) for s in found.samples),
        timesteps=IRF_TIMESTEPS if recipe.method == "irf" else TIMESTEPS,
        tolerate=recipe.tolerate.to_text(),
        variants=0 if recipe.tolerate == Tolerances.none() else recipe.variants,
        unified=recipe.unified,
        backbone=recipe.backbone,
        preset=recipe.preset,
        seed=recipe.seed,
        steps=recipe.steps,
        batch=recipe.batch or max(SMALLEST_BATCH, round(BATCH / cost(settings.size))),
        learning_rate=recipe.learning_rate,
        ema=recipe.ema,
        frame=found.frame,
        cross_fit=recipe.cross_fit,
    )
    return Run.create(output, config, held_out_parts(config)), found


def _check_size(recipe: Recipe) -> None:
    """Raises before the pictures are read, not after."""
    try:
        Preprocess(size=recipe.size or (256, 256), roi=recipe.roi, tiles=recipe.tiles)
    except ValueError as error:
        raise UsageError(str(error)) from None


def held_out_parts(config: RunConfig, progress: Progress = lambda items: items) -> dict[str, HeldOut]:
    """Product to held-out parts, read and prepared; 8-bit pictures among 16-bit ones are widened.

    Raises:
        EdgeirfError: a picture moved or changed since it was first read.
    """
    settings, tolerances = config.preprocess, Tolerances.parse(config.tolerate)
    by_file = {Path(picture.file): picture for picture in config.pictures if picture.held_out}
    pairs: dict[str, list[tuple[NDArray[Any], NDArray[Any]]]] = {}
    for file in progress(list(by_file)):
        picture = by_file[file]
        pairs.setdefault(picture.product, []).append(_clean_and_varied(picture, settings, tolerances))
    return {
        product: HeldOut(*(_stack(list(images), settings.bits) for images in zip(*group, strict=True)))
        for product, group in pairs.items()
    }


def _clean_and_varied(
    picture: Picture, settings: Preprocess, tolerances: Tolerances
) -> tuple[NDArray[Any], NDArray[Any]]:
    read = read_hashed(Path(picture.file)) if Path(picture.file).is_file() else None
    if read is None or read.sha256 != picture.sha256:
        raise EdgeirfError(f"{picture.file} moved or changed since the run began: train again")
    image = read.pixels
    varied = perturb(image, tolerances, variant_rng(picture.sha256, HELD_OUT_VARIANT), settings.bits)
    return prepare(image, settings), prepare(varied, settings)


def _stack(images: list[NDArray[Any]], bits: int) -> NDArray[Any]:
    if len({image.dtype for image in images}) == 1:
        return np.stack(images)
    white = 2**bits - 1
    return np.stack([i if i.dtype == np.uint16 else np.rint(i * (white / 255.0)).astype(np.uint16) for i in images])
