"""Which bytes of a frame are uploaded."""

from __future__ import annotations

import numpy as np
import pytest

from edgeirf.errors import FrameError
from edgeirf.runtime.executors.gpu.frame_layout import Geometry
from edgeirf.runtime.imaging.pixel_format import PIXEL_FORMATS, check_frame, frame_shape, frame_size, is_raw, to_bgr
from edgeirf.runtime.imaging.preprocess import crop
from edgeirf.settings import PixelFormat, Preprocess

ROIS = [None, (3, 5, 31, 27), (0, 0, 1, 1), (49, 39, 1, 1), (17, 0, 1, 40), (1, 38, 49, 2)]


@pytest.mark.parametrize("pixel_format", PIXEL_FORMATS)
@pytest.mark.parametrize("roi", ROIS)
def test_what_is_staged_is_what_the_region_of_interest_needs(
    pixel_format: PixelFormat, roi: tuple[int, int, int, int] | None
) -> None:
    """Converting the window alone gives the colours that converting the whole frame gives."""
    size, settings = (40, 50), Preprocess(size=(32, 32), roi=roi)
    shape, dtype = frame_shape(size, pixel_format), np.uint16 if pixel_format.endswith("16") else np.uint8
    frame = np.random.default_rng(0).integers(0, 255, shape, dtype)
    geometry = Geometry.of(size, pixel_format, settings)
    assert geometry.pitch % 4 == 0
    buffer = np.full(geometry.nbytes, 0xEE, np.uint8)
    view = geometry.view(buffer)
    geometry.stage(frame, view)
    window = np.ascontiguousarray(view if view.shape[2] == 3 else view[..., 0])
    assert check_frame(window, pixel_format) == pixel_format
    assert frame_size(window, pixel_format) == geometry.size
    inner = crop(to_bgr(window, pixel_format), Preprocess(roi=geometry.inner))
    np.testing.assert_array_equal(inner, crop(to_bgr(frame, pixel_format), settings))
    x, y, width, height = geometry.window
    assert 0 <= x <= x + width <= 50
    assert 0 <= y <= y + height <= 40
    margins = (width - geometry.area[2], height - geometry.area[3])
    assert max(margins) <= {"b": 4, "n": 3}[pixel_format[0]] if is_raw(pixel_format) else margins == (0, 0)
    assert geometry == Geometry.of(size, pixel_format, settings)


def test_a_frame_that_is_too_small() -> None:
    with pytest.raises(FrameError, match="does not cover"):
        Geometry.of((20, 20), "gray8", Preprocess(size=(32, 32), roi=(0, 0, 30, 30)))
    with pytest.raises(FrameError, match="even sides"):
        Geometry.of((21, 20), "nv12", Preprocess(size=(32, 32)))
