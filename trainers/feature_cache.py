"""Features of the training pictures, computed once and kept beside the run: no epoch runs the backbone again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from edgeirf.errors import EdgeirfError
from edgeirf.files import sha256
from edgeirf.runtime.imaging.images import read_image
from edgeirf.runtime.imaging.preprocess import normalise, prepare
from edgeirf.trainers.features import FeatureExtractor
from edgeirf.trainers.run import Run

CACHE = "features.npy"
Progress = Callable[[Iterable[Path]], Iterable[Path]]


def open_features(run: Run, extractor: FeatureExtractor, device: torch.device, progress: Progress) -> Tensor:
    """phi(x) of every training tile, ``(n, C, h, w)`` float16 on disk; made when it is not there yet.

    Raises:
        EdgeirfError: a picture moved or changed since the run began.
    """
    path = run.folder / CACHE
    files = [(Path(file), digest) for _, file, digest, held_out in run.config.samples if not held_out]
    tiles = run.config.preprocess.tiles[0] * run.config.preprocess.tiles[1]
    shape = (len(files) * tiles, extractor.channels, *extractor.grid)
    if not _complete(path, shape):
        partial = path.with_suffix(".partial")
        cache = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float16, shape=shape)
        digests = dict(files)
        for index, file in enumerate(progress([file for file, _ in files])):
            cache[index * tiles : (index + 1) * tiles] = _features(run, extractor, device, file, digests[file])
        cache.flush()
        os.replace(partial, path)
    return torch.from_numpy(np.load(path, mmap_mode="c", allow_pickle=False))


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
    run: Run, extractor: FeatureExtractor, device: torch.device, file: Path, digest: str
) -> np.ndarray[tuple[int, ...], np.dtype[np.float16]]:
    if not file.is_file() or sha256(file.read_bytes()) != digest:
        raise EdgeirfError(f"{file} moved or changed since the run began: train again")
    batch = normalise(prepare(read_image(file), run.config.preprocess), run.config.preprocess)
    with torch.inference_mode():
        return extractor.features(torch.from_numpy(batch).to(device)).half().cpu().numpy()


def _complete(path: Path, shape: tuple[int, ...]) -> bool:
    try:
        return bool(np.load(path, mmap_mode="r", allow_pickle=False).shape == shape)
    except (OSError, ValueError):
        return False
