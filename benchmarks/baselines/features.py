"""The ground that every method stands on: the same backbone, taps, grid and training pictures as a run of edgeirf."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from edgeirf.errors import EdgeirfError
from edgeirf.files import sha256
from edgeirf.runtime.imaging.images import read_image
from edgeirf.runtime.imaging.pixel_format import Pixels
from edgeirf.runtime.imaging.preprocess import normalise, prepare
from edgeirf.trainers.feature_cache import statistics
from edgeirf.trainers.features import FeatureExtractor
from edgeirf.trainers.pretrained import load_backbone
from edgeirf.trainers.run import Run


def training_features(run: Run) -> tuple[FeatureExtractor, Tensor]:
    """The extractor, standardised on the run's training pictures, and their features.

    Returns:
        the extractor, and z ``(n, C, h, w)`` float32, one entry a tile.

    Raises:
        EdgeirfError: a picture moved or changed since the run began.
    """
    settings = run.config.preprocess
    extractor = FeatureExtractor(load_backbone(run.config.backbone), settings.size).eval()
    with torch.inference_mode():
        features = torch.cat(
            [
                extractor.features(torch.from_numpy(normalise(prepare(image, settings), settings)))
                for image in _images(run)
            ]
        )
    mean, std, _ = statistics(features)
    extractor.mean.copy_(mean)
    extractor.std.copy_(std)
    return extractor, (features - mean[:, None, None]) / std[:, None, None]


def _images(run: Run) -> Iterator[Pixels]:
    """The training pictures."""
    for picture in run.config.training_pictures:
        path = Path(picture.file)
        if not path.is_file() or sha256(path.read_bytes()) != picture.sha256:
            raise EdgeirfError(f"{path} moved or changed since the run began: train again")
        yield read_image(path)
