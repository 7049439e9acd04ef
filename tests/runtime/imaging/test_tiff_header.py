"""TIFF: right pixels or one line, compared with a second encoder over the tags that change what pixels mean."""

from __future__ import annotations

import io
import itertools
import struct

import numpy as np
import pytest

from edgeirf.errors import FrameError
from edgeirf.runtime.imaging.images import decode_image

tifffile = pytest.importorskip("tifffile", reason="the second encoder comes with scikit-image")

SHAPE = (24, 32)
KINDS = {
    "gray": ((), {"photometric": "minisblack"}),
    "white is zero": ((), {"photometric": "miniswhite"}),
    "rgb": ((3,), {"photometric": "rgb"}),
    "planes": ((3,), {"photometric": "rgb", "planarconfig": "separate"}),
    "associated alpha": ((4,), {"photometric": "rgb", "extrasamples": ["assocalpha"]}),
    "alpha": ((4,), {"photometric": "rgb", "extrasamples": ["unassalpha"]}),
    "fourth": ((4,), {"photometric": "rgb", "extrasamples": ["unspecified"]}),
    "fifth": ((5,), {"photometric": "rgb", "extrasamples": ["unspecified"] * 2}),
    "gray alpha": ((2,), {"photometric": "minisblack", "planarconfig": "contig", "extrasamples": ["unassalpha"]}),
    "gray and two": (
        (3,),
        {"photometric": "minisblack", "planarconfig": "contig", "extrasamples": ["unspecified"] * 2},
    ),
    "lab": ((3,), {"photometric": "cielab"}),
    "filter": ((), {"photometric": "cfa"}),
}
TYPES = [np.uint8, np.uint16, np.int8, np.int16, np.uint32, np.float16, np.float32, np.float64]


def write(array: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, **options)
    return buffer.getvalue()


def expected(kind: str, array: np.ndarray) -> np.ndarray:
    """What the tags say the pixels are, as BGR or gray, ``array`` with its samples last."""
    if kind == "white is zero":
        return np.iinfo(array.dtype).max - array
    if kind == "alpha" and array.dtype == np.uint8:  # see read_image
        return np.round(array[..., 2::-1] * (array[..., 3:] / 255.0)).astype(np.uint8)
    return array[..., 2::-1] if array.ndim == 3 else array


@pytest.mark.parametrize(("kind", "dtype"), list(itertools.product(KINDS, TYPES)))
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_right_pixels_or_one_line(kind: str, dtype: type, byteorder: str, bigtiff: bool) -> None:
    samples, options = KINDS[kind]
    top = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 1
    array = (np.random.default_rng(0).random((*SHAPE, *samples)) * top).astype(dtype)
    stored = array.transpose(2, 0, 1) if kind == "planes" else array
    data = write(stored, byteorder=byteorder, bigtiff=bigtiff, **options)
    try:
        read = decode_image(data)
    except FrameError as error:
        plain = kind in ("gray", "white is zero", "rgb") and dtype in (np.uint8, np.uint16)
        assert "\n" not in str(error)  # noqa: PT017
        assert not plain
        return
    assert dtype in (np.uint8, np.uint16)
    np.testing.assert_array_equal(read, expected(kind, array))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("layout", [{}, {"rowsperstrip": 5}, {"compression": "zlib", "predictor": 2}])
def test_layouts_on_disk_change_nothing(dtype: type, layout: dict[str, object]) -> None:
    array = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (*SHAPE, 3)).astype(dtype)
    try:
        data = write(array, photometric="rgb", **layout)
    except (KeyError, ImportError, ValueError):
        pytest.skip("this tifffile does not write it")
    np.testing.assert_array_equal(decode_image(data), array[..., ::-1])


@pytest.mark.parametrize("bits", [2, 4, 10, 12, 14])
def test_packed_samples_are_refused(bits: int) -> None:
    tags = [(256, 8), (257, 4), (258, bits), (259, 1), (262, 1), (273, 122), (277, 1), (278, 4), (279, 4 * bits)]
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 3, 1, value) for tag, value in tags)
    with pytest.raises(FrameError, match=f"{bits}-bit samples"):
        decode_image(b"II*\0" + struct.pack("<I", 8) + directory + bytes(4) + bytes(range(4 * bits)))


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_separate_planes_that_are_cut_short_are_noticed(compression: str | None, bigtiff: bool) -> None:
    planes = np.random.default_rng(0).integers(0, 256, (3, *SHAPE), np.uint8)
    data = write(planes, photometric="rgb", planarconfig="separate", compression=compression, bigtiff=bigtiff)
    np.testing.assert_array_equal(decode_image(data), planes[::-1].transpose(1, 2, 0))
    for missing in (1, 100, 800):
        with pytest.raises(FrameError, match="cut short"):
            decode_image(data[:-missing])


def test_tags_of_signed_numbers_count() -> None:
    array = np.random.default_rng(0).integers(0, 65536, (3, *SHAPE), np.uint16)
    data = bytearray(write(array, photometric="rgb", planarconfig="separate", byteorder="<"))
    place = data.index(struct.pack("<HHI", 284, 3, 1))
    struct.pack_into("<H", data, place + 2, 8)
    with pytest.raises(FrameError, match="separate colour planes"):
        decode_image(bytes(data))


def pages(*subfiles: int) -> bytes:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        for number, subfile in enumerate(subfiles):
            side = 8 if subfile else 32
            page = np.full((side, side), 10 * (number + 1), np.uint8)
            writer.write(page, photometric="minisblack", subfiletype=subfile, contiguous=False)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("subfiles", "message"),
    [
        ((0,), None),
        ((0, 1), None),  # a thumbnail after the picture
        ((1, 0), "first picture is a thumbnail"),
        ((0, 0), "2 or more pictures"),
        ((0, 1, 0), "2 or more pictures"),
    ],
)
def test_pages(subfiles: tuple[int, ...], message: str | None) -> None:
    data = pages(*subfiles)
    if message is None:
        np.testing.assert_array_equal(decode_image(data), 10)
    else:
        with pytest.raises(FrameError, match=message):
            decode_image(data)


def test_directories_that_go_in_circles_end() -> None:
    data = bytearray(pages(0, 0))
    (first,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, first)
    struct.pack_into("<I", data, first + 2 + 12 * count, first)
    np.testing.assert_array_equal(decode_image(bytes(data)), 10)
