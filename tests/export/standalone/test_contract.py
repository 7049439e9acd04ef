"""The graph refuses what Python's frame contract refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeirf.bundle import Bundle
from edgeirf.errors import UsageError
from edgeirf.export.standalone.contract import formats_of
from edgeirf.export.standalone.formats import PLAIN
from edgeirf.export.standalone.graph import Fixed, metadata, standalone
from edgeirf.frame_contract import FrameContract
from edgeirf.runtime.imaging.pixel_format import PIXEL_FORMATS, Pixels, from_bgr
from edgeirf.settings import PixelFormat

Run = Callable[..., dict[str, NDArray[Any]]]
CONTRACTS = [
    FrameContract(96, 80, 8, 3),
    FrameContract(None, None, 8, 1),
    FrameContract(96, 80, 12, 3, (16,)),
    FrameContract(None, None, 12, 1, (8, 16)),
    FrameContract(None, None, 16, 3, (8, 16)),
]


@lru_cache(maxsize=64)
def built(path: Path, of: int, form: PixelFormat) -> bytes:
    manifest = Bundle.read(path).manifest
    settings = replace(manifest.preprocess, bits=CONTRACTS[of].bits)
    manifest = replace(manifest, frame=CONTRACTS[of], preprocess=settings)
    fixed = None if form in PLAIN else Fixed("part", "0" * 64)
    return standalone(manifest, "fp32", Bundle.read(path).member("model.fp32.onnx"), form, fixed)


def frame_of(form: PixelFormat, size: tuple[int, int], tint: float, bright: bool) -> Pixels:
    """A frame of 12 bits, gray but for a tint of so many 255ths, with one value above white where it is bright."""
    gray = np.random.default_rng(0).integers(60, 200, (*size, 1))
    frame = from_bgr((gray + np.array([0.0, tint, 0.0])).astype(np.uint8), form)
    if frame.itemsize == 2:
        frame = frame // 16
        frame.reshape(-1)[7] = 4096 if bright else 4095
    return frame


@given(
    of=st.integers(0, len(CONTRACTS) - 1),
    form=st.sampled_from(PIXEL_FORMATS),
    size=st.sampled_from([(80, 96), (96, 80), (82, 96)]),
    tint=st.sampled_from([0, 3, 6, 40]),
    bright=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_a_frame_is_refused_where_python_refuses_it(
    run: Run, tiny_path: Path, of: int, form: PixelFormat, size: tuple[int, int], tint: float, bright: bool
) -> None:
    contract, frame = CONTRACTS[of], frame_of(form, size, tint, bright)
    wrong = contract.mismatch(frame, form)
    if form not in PLAIN and 8 not in contract.depths:
        with pytest.raises(UsageError, match=f"takes no {form} frames: --pixel-format is one of bgr16, rgb16$"):
            built(tiny_path, of, form)
        return
    asked = {"product": 0, "red_first": form.startswith("rgb")} if form in PLAIN else {}
    got = run(built(tiny_path, of, "bgr8" if form in PLAIN else form), frame, **asked)
    assert np.isnan(got["score"]) == (wrong is not None), wrong
    assert wrong is None or got["reject"]


def test_a_host_reads_the_size_and_the_formats_beforehand(tiny_path: Path) -> None:
    manifest = Bundle.read(tiny_path).manifest
    said = metadata(replace(manifest, frame=CONTRACTS[0]), "fp32", "bgr8", None)
    assert said["edgeirf.frame"] == "96x80"
    assert (said["edgeirf.min_width"], said["edgeirf.min_height"]) == ("96", "80")
    assert said["edgeirf.pixel_formats"] == "bgr8,rgb8"
    assert metadata(manifest, "fp32", "bgr8", None)["edgeirf.frame"] == ""
    assert formats_of(CONTRACTS[2]) == ("bgr16", "rgb16")
    assert formats_of(CONTRACTS[3]) == formats_of(None) == PLAIN


def test_a_bare_graph_that_would_refuse_every_frame_is_not_written(tiny_path: Path) -> None:
    bundle = Bundle.read(tiny_path)
    manifest = replace(bundle.manifest, frame=CONTRACTS[0])
    with pytest.raises(UsageError, match=r"takes no gray8 frames: --pixel-format is one of bgr8, rgb8$"):
        standalone(manifest, "fp32", bundle.member("model.fp32.onnx"), "gray8", Fixed("part", "0" * 64))
