"""Features of the training pictures and of their variants, computed once: no epoch runs the backbone again."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgeirf.calib.conditions.perturb import perturb
from edgeirf.calib.conditions.tolerances import Tolerances
from edgeirf.errors import EdgeirfError
from edgeirf.runtime.imaging.images import read_hashed
from edgeirf.runtime.imaging.pixel_format import Pixels
from edgeirf.runtime.imaging.preprocess import normalise, prepare
from edgeirf.settings import Preprocess
from edgeirf.trainers.features import FeatureExtractor
from edgeirf.trainers.run import FEATURES, Picture, Run

Progress = Callable[[Iterable[Path]], Iterable[Path]]


def open_features(run: Run, extractor: FeatureExtractor, device: torch.device, progress: Progress) -> Tensor:
    """phi(x) of every training tile and its variants, ``(n, C, h, w)`` float16 on disk; computed when missing.

    In the order of the pictures; of each first the picture itself, then its variants, each tile by tile.

    Raises:
        EdgeirfError: a picture moved or changed since the run began.
    """
    path, config = run.folder / FEATURES, run.config
    pictures = config.training_pictures
    tiles = config.preprocess.tiles[0] * config.preprocess.tiles[1]
    share = tiles * (1 + config.variants)
    shape = (len(pictures) * share, extractor.channels, *extractor.grid)
    if not _complete(path, shape):
        partial = path.with_suffix(".partial")
        _reserve(partial, shape)
        cache = np.lib.format.open_memmap(partial, mode="r+")
        by_file = {Path(picture.file): picture for picture in pictures}
        for index, file in enumerate(progress(list(by_file))):
            features = [_features(v, extractor, device, config.preprocess) for v in variants_of(run, by_file[file])]
            cache[index * share : (index + 1) * share] = np.concatenate(features)
        cache.flush()
        os.replace(partial, path)
    return torch.from_numpy(np.load(path, mmap_mode="c", allow_pickle=False))


def load_features(run: Run, channels: int, grid: tuple[int, int]) -> Tensor:
    """The features of a finished run, see :func:`open_features`.

    Raises:
        EdgeirfError: the file is missing or does not fit the run.
    """
    config = run.config
    tiles = config.preprocess.tiles[0] * config.preprocess.tiles[1]
    shape = (len(config.training_pictures) * tiles * (1 + config.variants), channels, *grid)
    if not _complete(run.folder / FEATURES, shape):
        raise EdgeirfError(f"{run.folder / FEATURES} is missing or damaged: train again")
    return torch.from_numpy(np.load(run.folder / FEATURES, mmap_mode="c", allow_pickle=False))


def variants_of(run: Run, picture: Picture) -> Iterator[Pixels]:
    """The picture, then its variants within the run's tolerances; the same every time.

    Raises:
        EdgeirfError: the picture moved or changed since the run began.
    """
    file = Path(picture.file)
    read = read_hashed(file) if file.is_file() else None
    if read is None or read.sha256 != picture.sha256:
        raise EdgeirfError(f"{file} moved or changed since the run began: train again")
    image = read.pixels
    yield image
    tolerances = Tolerances.parse(run.config.tolerate)
    for number in range(run.config.variants):
        yield perturb(image, tolerances, variant_rng(picture.sha256, number), run.config.preprocess.bits)


def variant_rng(digest: str, number: int) -> np.random.Generator:
    """Decides variant ``number`` of the picture with this SHA-256."""
    return np.random.default_rng([int(digest[:16], 16), number])


def statistics(features: Tensor, chunk: int = 256) -> tuple[Tensor, Tensor, Tensor]:
    """Mean ``(C,)``, standard deviation ``(C,)`` and correlation ``(C, C)`` of the channels over positions, float32.

    A channel that hardly varies gets a floor, so that it cannot decide alone.
    """
    channels = features.shape[1]
    count, total, outer = 0, torch.zeros(channels).double(), torch.zeros(channels, channels).double()
    for part in features.split(chunk):
        vectors = part.permute(0, 2, 3, 1).reshape(-1, channels).double()
        count += len(vectors)
        total += vectors.sum(0)
        outer += vectors.T @ vectors
    mean = total / count
    covariance = outer / count - torch.outer(mean, mean)
    std = covariance.diagonal().clamp_min(0).sqrt()
    std = std.clamp_min(1e-3 * float(std.median()) + 1e-8)
    return mean.float(), std.float(), (covariance / torch.outer(std, std)).float()


def _features(
    image: Pixels, extractor: FeatureExtractor, device: torch.device, settings: Preprocess
) -> NDArray[np.float16]:
    batch = normalise(prepare(image, settings), settings)
    with torch.inference_mode():
        return extractor.features(torch.from_numpy(batch).to(device)).half().cpu().numpy()


def _reserve(path: Path, shape: tuple[int, ...]) -> None:
    """An array of float16 whose space on the disk is taken: a mapped file that finds the disk full ends in SIGBUS.

    Raises:
        EdgeirfError: there is not enough space; nothing is left there.
    """
    size = 2 * math.prod(shape)
    try:
        with path.open("wb") as file:
            header = {"descr": "<f2", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            file.flush()
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), file.tell(), size)
            else:
                file.truncate(file.tell() + size)
    except OSError as error:
        path.unlink(missing_ok=True)
        reason = error.strerror or error
        raise EdgeirfError(f"cannot reserve {size / 1e9:.2g} GB for {path}: {reason}: free space on the disk") from None


def _complete(path: Path, shape: tuple[int, ...]) -> bool:
    try:
        return bool(np.load(path, mmap_mode="r", allow_pickle=False).shape == shape)
    except (OSError, ValueError):
        return False
