"""Camera bytes to verdict on the GPU's path and on the host's: the same, for every kind of frame and model."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import references
from pairs import MakePair

from edgeirf.conformal import Limits
from edgeirf.runtime.imaging.pixel_format import PIXEL_FORMATS
from edgeirf.settings import PixelFormat, Preprocess, Scoring

NO_LIMITS = Limits(threshold=1e6, pixel_threshold=1e6, scores=(1.0, 100.0, 10000.0))

Make = Callable[..., np.ndarray]

FRAMES: dict[str, Make] = {
    "colour": lambda good, bad: bad(0, (100, 120)),
    "gray": lambda good, bad: bad(1, (97, 131))[..., 0],
    "gray with a channel axis": lambda good, bad: bad(2, (64, 80))[..., :1],
    "16 bits": lambda good, bad: bad(3, (80, 90)).astype(np.uint16) * 257,
    "16 bits gray": lambda good, bad: bad(4, (75, 70))[..., 1].astype(np.uint16) * 257,
    "smaller than the network's input": lambda good, bad: bad(5, (33, 47)),
    "not contiguous": lambda good, bad: bad(6, (64, 200))[:, ::2],
    "upside down and mirrored": lambda good, bad: bad(7, (70, 90))[::-1, ::-1],
    "nothing to see": lambda good, bad: good(8, (100, 120)),
}

MODELS = {
    "plain": (Preprocess(size=(32, 32)), Scoring(sigma=2.0)),
    "region of interest": (Preprocess(size=(32, 32), roi=(3, 5, 29, 27)), Scoring(sigma=2.0)),
    "tiles": (Preprocess(size=(32, 32), tiles=(2, 1)), Scoring(sigma=1.0)),
    "luminance": (Preprocess(size=(32, 32), color="gray", bits=16), Scoring(sigma=0.0, top_k=5)),
    "InvAD": (Preprocess(size=(32, 32)), Scoring(density="norm", sigma=1.5, latent=(2.0, 0.5, 3.0, 1.5))),
}


@pytest.mark.parametrize("frame", FRAMES)
def test_frames(frame: str, make_pair: MakePair, memory: str, good: Make, bad: Make) -> None:
    make_pair(Preprocess(size=(32, 32), bits=16)).compare(FRAMES[frame](good, bad))


RAW_MODELS = {
    "whole frame": Preprocess(size=(32, 32), bits=16),
    "odd corner": Preprocess(size=(32, 32), bits=16, roi=(3, 5, 61, 57)),
    "the far corner, enlarged": Preprocess(size=(32, 32), bits=16, roi=(99, 77, 21, 23)),
    "tiles": Preprocess(size=(32, 32), bits=16, tiles=(2, 2), roi=(0, 1, 119, 98)),
}


@pytest.mark.parametrize("model", RAW_MODELS)
@pytest.mark.parametrize("pixel_format", PIXEL_FORMATS)
def test_raw_cameras(pixel_format: PixelFormat, model: str, make_pair: MakePair, memory: str) -> None:
    """Bytes as the sensor gives them: converted by OpenCV on the host, read as they are on the GPU.

    OpenCV sums 16 bits in float32 and may round a pixel in 500 to the next of 65536 levels.
    """
    pair = make_pair(RAW_MODELS[model], limits=NO_LIMITS)
    frame = references.random_frame(pixel_format, 100, 120, seed=memory == "discrete")
    pair.compare(frame, pixel_format, rel=1e-3 if pixel_format.endswith("16") else 1e-5)


def test_formats_and_sizes_take_turns(make_pair: MakePair, memory: str) -> None:
    pair = make_pair(Preprocess(size=(32, 32), roi=(3, 5, 29, 27)), limits=NO_LIMITS)
    turns = [("nv12", 60), ("bayer_rggb8", 60), ("nv12", 40), ("gray8", 90), ("bgr8", 40), ("bayer_bggr8", 40)]
    frames = [(references.random_frame(kind, side, side, side), kind) for kind, side in turns]
    pair.cuda.start(*frames[0])
    for now, following in itertools.pairwise([*frames, frames[0]]):
        pair.cuda.start(*following)
        pair.agree(pair.cuda.next(), *now)
    pair.cuda.next()


@pytest.mark.parametrize("model", MODELS)
def test_models(model: str, make_pair: MakePair, good: Make, bad: Make) -> None:
    pair = make_pair(*MODELS[model])
    pair.compare(bad(0, (100, 120)))
    pair.compare(good(1, (100, 120)))


@pytest.mark.parametrize("squares", [3, 30])
def test_more_regions_than_fit_into_64_bytes(squares: int, make_pair: MakePair, memory: str, good: Make) -> None:
    frame = good(0, (256, 256))
    for index in range(squares):
        row, column = divmod(index, 6)
        frame[row * 40 + 10 : row * 40 + 18, column * 40 + 10 : column * 40 + 18] = 255 - index
    pair = make_pair(Preprocess(size=(256, 256)), Scoring(sigma=0.0))
    inspected = pair.cuda.inspect(frame)
    assert len(inspected.regions) == squares
    pair.agree(inspected, frame)
