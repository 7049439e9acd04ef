"""Camera bytes to verdict on the GPU's path and on the host's: the same, for every kind of frame and model."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from pairs import MakePair

from edgeirf.settings import Preprocess, Scoring

THRESHOLD = 20.0
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
    make_pair(Preprocess(size=(32, 32), bits=16)).compare(FRAMES[frame](good, bad), THRESHOLD)


@pytest.mark.parametrize("model", MODELS)
def test_models(model: str, make_pair: MakePair, good: Make, bad: Make) -> None:
    pair = make_pair(*MODELS[model])
    pair.compare(bad(0, (100, 120)), THRESHOLD)
    pair.compare(good(1, (100, 120)), THRESHOLD)


@pytest.mark.parametrize("squares", [3, 30])
def test_more_regions_than_fit_into_64_bytes(squares: int, make_pair: MakePair, memory: str, good: Make) -> None:
    frame = good(0, (256, 256))
    for index in range(squares):
        row, column = divmod(index, 6)
        frame[row * 40 + 10 : row * 40 + 18, column * 40 + 10 : column * 40 + 18] = 255 - index
    pair = make_pair(Preprocess(size=(256, 256)), Scoring(sigma=0.0))
    inspected = pair.cuda.inspect(frame, THRESHOLD)
    assert len(inspected.regions) == squares
    pair.agree(inspected, frame, THRESHOLD)
