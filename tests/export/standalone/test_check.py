from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edgeirf.bundle import Bundle
from edgeirf.export.standalone import check
from edgeirf.export.standalone.check import KEY, check_frame, with_check
from edgeirf.export.standalone.graph import standalone_of
from edgeirf.settings import PixelFormat


def said(graph: bytes) -> dict[str, str]:
    return {one.key: one.value for one in onnx.load_from_string(graph).metadata_props}


@pytest.mark.parametrize("form", ["bgr8", "nv12", "bayer_rggb8"])
def test_the_peak_is_that_of_the_graph(tiny_path: Path, run: Callable[..., dict[str, Any]], form: PixelFormat) -> None:
    graph = standalone_of(Bundle.read(tiny_path), form)
    facts = said(graph)
    width, height = int(facts["edgeirf.min_width"]), int(facts["edgeirf.min_height"])
    assert run(graph, check_frame(form, width, height, 8))["peak"] == pytest.approx(float(facts[KEY]), rel=1e-5)


def test_the_frame_has_the_bytes_of_its_format() -> None:
    assert check_frame("rgb16", 32, 16, 12).shape == (16, 32, 6)
    assert check_frame("gray16", 32, 16, 12).view("<u2").max() == 255 << 4
    nv12 = check_frame("nv12", 32, 16, 8)
    assert nv12.shape == (24, 32, 1)
    assert (nv12[16:] == 128).all()
    gray = check_frame("gray8", 32, 32, 8)[..., 0]
    assert (gray[0, 0], gray[0, 2], gray[31, 1], gray[30, 31]) == (255, 0, 247, 8)


def test_a_frame_that_is_too_large_is_left_out(tiny_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = standalone_of(Bundle.read(tiny_path))
    monkeypatch.setattr(check, "MOST", 10)
    assert with_check(graph) == graph
    assert np.isfinite(float(said(graph)[KEY]))
