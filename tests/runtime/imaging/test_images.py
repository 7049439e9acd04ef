"""Image files: every kind is read as it is, and nothing that is cut short passes for a picture."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgeirf.errors import FrameError, SourceError
from edgeirf.runtime.imaging import images
from edgeirf.runtime.imaging.images import blend_over_black, decode_image, list_images, read_image


def picture(height: int = 60, width: int = 80) -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 3)


def encode(suffix: str, image: np.ndarray, *params: int) -> bytes:
    done, data = cv2.imencode(suffix, image, params)
    assert done
    return data.tobytes()


def pillow(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


COLOUR = picture()
GRAY = COLOUR[..., 0].copy()
DEEP = COLOUR.astype(np.uint16) * 257
ALPHA = np.dstack([COLOUR, GRAY])


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tiff"])
@pytest.mark.parametrize("image", [COLOUR, GRAY, DEEP, DEEP[..., 0]], ids=["colour", "gray", "colour16", "gray16"])
def test_lossless_files_come_back_as_they_were(suffix: str, image: np.ndarray) -> None:
    if suffix == ".bmp" and image.dtype == np.uint16:
        pytest.skip("BMP has no 16-bit samples")
    read = decode_image(encode(suffix, image))
    assert read.dtype == image.dtype
    np.testing.assert_array_equal(read.squeeze() if suffix == ".bmp" else read, image)


def test_jpeg_keeps_colour_and_gray() -> None:
    np.testing.assert_array_equal(
        decode_image(data := encode(".jpg", COLOUR)), cv2.imdecode(np.frombuffer(data, "u1"), 1)
    )
    assert decode_image(encode(".jpg", GRAY)).shape == GRAY.shape


@pytest.mark.parametrize("suffix", [".png", ".bmp"])
def test_alpha_is_blended_over_black(suffix: str) -> None:
    np.testing.assert_array_equal(decode_image(encode(suffix, ALPHA)), np.round(COLOUR * (GRAY[..., None] / 255.0)))


def test_a_fourth_sample_that_is_not_declared_alpha_is_ignored() -> None:
    # OpenCV itself writes TIFF like this.
    np.testing.assert_array_equal(decode_image(encode(".tiff", ALPHA)), COLOUR)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_alpha_that_says_so_is_blended(kind: str) -> None:
    read = decode_image(pillow(Image.fromarray(np.dstack([COLOUR[..., ::-1], GRAY])), kind))
    np.testing.assert_allclose(read, COLOUR * (GRAY[..., None] / 255.0), atol=1.0)


def test_blending_sixteen_bits_rounds_and_does_not_overflow() -> None:
    rng = np.random.default_rng(1)
    image = rng.integers(0, 65536, (16, 16, 4), dtype=np.uint16)
    image[0, 0] = 65535
    expected = np.floor(image[..., :3].astype(np.float64) * image[..., 3:] / 65535 + 0.5)
    np.testing.assert_array_equal(blend_over_black(image), expected)


def test_palette_with_transparency_and_gray_with_alpha_are_blended() -> None:
    palette = Image.fromarray(COLOUR).convert("P")
    assert decode_image(pillow(palette, "PNG", transparency=bytes(256))).max() == 0
    gray_alpha = Image.merge("LA", [Image.fromarray(GRAY), Image.new("L", (80, 60), 0)])
    assert decode_image(pillow(gray_alpha, "PNG")).max() == 0


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_exif_orientation_is_applied_as_imread_does(kind: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x112] = 6
    (tmp_path / "turned").write_bytes(pillow(Image.fromarray(COLOUR), kind, exif=exif))
    read = read_image(tmp_path / "turned")
    assert read.shape == (80, 60, 3)
    np.testing.assert_array_equal(read, cv2.imread(str(tmp_path / "turned")))


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.6, 0.95, 1.0])
@pytest.mark.parametrize(
    "data",
    [
        encode(".jpg", COLOUR),
        encode(".jpg", COLOUR, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        encode(".jpg", COLOUR, cv2.IMWRITE_JPEG_RST_INTERVAL, 4),
        encode(".png", COLOUR),
        encode(".bmp", COLOUR),
        encode(".tiff", COLOUR),
        pillow(Image.fromarray(COLOUR), "TIFF", compression="tiff_lzw"),
    ],
    ids=["jpeg", "progressive", "restarts", "png", "bmp", "tiff", "lzw"],
)
def test_a_file_cut_short_is_an_error(data: bytes, share: float) -> None:
    assert decode_image(data).shape == COLOUR.shape
    with pytest.raises(FrameError):
        decode_image(data[: min(int(len(data) * share), len(data) - 1)])


def test_a_thumbnail_does_not_pass_for_the_end_of_the_picture() -> None:
    thumbnail = encode(".jpg", COLOUR[:16, :16])
    segment = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    data = encode(".jpg", COLOUR)
    data = data[:2] + segment + data[2:]
    assert decode_image(data).shape == COLOUR.shape
    with pytest.raises(FrameError, match="cut short"):
        decode_image(data[: len(data) // 2 + len(thumbnail)])


def test_bytes_after_the_end_do_no_harm() -> None:
    assert decode_image(encode(".jpg", COLOUR) + b"\x00" * 100).shape == COLOUR.shape


@pytest.mark.parametrize("byte", range(8, 5000, 487))
def test_png_damage_is_noticed(byte: int) -> None:
    data = bytearray(encode(".png", COLOUR))
    data[byte] ^= 0x10
    with pytest.raises(FrameError):
        decode_image(bytes(data))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"hello", "not a JPEG"),
        (b"\xff\xd8\xff", "cut short"),
        (b"\xff\xd8\xff\xd9", "without an image"),
        (b"BM", "cut short"),
        (b"II*\x00\xff\xff\xff\xff", "cut short"),
        (b"BM" + bytes(12) + struct.pack("<IiiHHI", 40, 1 << 20, 1 << 20, 1, 8, 0), "pixels"),
        (pillow(Image.new("F", (8, 8)), "TIFF"), "float32"),
        (pillow(Image.new("I", (8, 8)), "TIFF"), "int32"),
        (pillow(Image.new("LA", (8, 8)), "TIFF"), "save it as PNG"),
    ],
)
def test_what_is_no_frame_is_one_clear_error(data: bytes, message: str) -> None:
    with pytest.raises(FrameError, match=message):
        decode_image(data)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"II*\x00", b"MM\x00+", b""]),
    st.binary(max_size=200),
)
def test_no_bytes_raise_anything_else(magic: bytes, rest: bytes) -> None:
    with pytest.raises(FrameError):
        decode_image(magic + rest)


def test_a_decompression_bomb_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_PIXELS", 100)
    with pytest.raises(FrameError, match="80x60"):
        decode_image(encode(".png", COLOUR))


def test_errors_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"nothing")
    for path, message in [("a.png", "a.png: is not a JPEG"), ("b.png", "cannot read .*b.png"), ("", "cannot read")]:
        with pytest.raises(FrameError, match=message):
            read_image(tmp_path / path)


def test_a_folder_lists_its_images_in_natural_order(tmp_path: Path) -> None:
    names = ["10.png", "2.PNG", "1.jpg", "part9b.tif", "part9a.tiff", "part10.bmp"]
    for name in [*names, "notes.txt", "._1.jpg", ".hidden.png"]:
        (tmp_path / name).touch()
    found = [path.name for path in list_images(tmp_path)]
    assert found == ["1.jpg", "2.PNG", "10.png", "part9a.tiff", "part9b.tif", "part10.bmp"]
    with pytest.raises(SourceError, match="cannot read the folder"):
        list_images(tmp_path / "missing")
