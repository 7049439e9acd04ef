"""Image files: every kind is read as it is, and nothing that is cut short passes for a picture."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgeirf.errors import FrameError
from edgeirf.runtime.imaging import images
from edgeirf.runtime.imaging.images import decode_image, read_hashed, read_image


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


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x112] = 6
    return exif


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


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP", "GIF", "JPEG", "JPEG2000", "PPM", "AVIF"])
def test_every_kind_is_what_imread_shows(kind: str, mode: str, tmp_path: Path) -> None:
    """So that ``detector(cv2.imread(path))`` and ``edgeirf run --camera path`` see the same part."""
    try:
        data = pillow(in_mode(mode), kind, **({"lossless": True} if kind == "WEBP" else {}))
    except (OSError, KeyError, ValueError):
        pytest.skip(f"Pillow writes no {mode} {kind}")
    (tmp_path / "x").write_bytes(data)
    shown = cv2.imread(str(tmp_path / "x"))
    if shown is None:
        pytest.skip("this OpenCV does not read it")
    try:
        read = read_image(tmp_path / "x")
    except FrameError as error:  # one line instead of pixels that may be wrong
        assert kind in ("TIFF", "AVIF", "JPEG2000")
        assert "save it" in str(error)  # noqa: PT017
        return
    eight = (read >> 8).astype(np.uint8) if read.dtype == np.uint16 else read
    np.testing.assert_array_equal(eight if eight.ndim == 3 else np.dstack([eight] * 3), shown)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK"])
@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP", "JPEG", "JPEG2000", "PPM"])
def test_pillow_decodes_the_same(kind: str, mode: str) -> None:
    if (kind, mode) == ("TIFF", "RGBA"):
        pytest.skip("8-bit TIFF with alpha is blended, see below")
    try:
        data = pillow(in_mode(mode), kind, **({"lossless": True} if kind == "WEBP" else {}))
    except (OSError, KeyError, ValueError):
        pytest.skip(f"Pillow writes no {mode} {kind}")
    try:
        read = decode_image(data)
    except FrameError:
        return
    expected = np.array(Image.open(io.BytesIO(data)).convert("RGB"))[..., ::-1]
    np.testing.assert_allclose(
        (read if read.ndim == 3 else np.dstack([read] * 3)).astype(int), expected.astype(int), atol=2
    )


def in_mode(mode: str) -> Image.Image:
    """The picture; alpha falls from left to right."""
    rgb = Image.fromarray(COLOUR[..., ::-1])
    alpha = Image.fromarray(np.tile(np.linspace(0, 255, 80).astype(np.uint8), (60, 1)))
    if mode == "RGBA":
        rgb.putalpha(alpha)
        return rgb
    if mode == "LA":
        return Image.merge("LA", [rgb.convert("L"), alpha])
    return Image.fromarray(DEEP[..., 0]) if mode == "I;16" else rgb.convert(mode)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP"])
def test_transparency_is_ignored(kind: str) -> None:
    clear = Image.fromarray(COLOUR[..., ::-1]).convert("RGBA")
    clear.putalpha(0)
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    np.testing.assert_array_equal(decode_image(pillow(clear, kind, **options)), COLOUR)


def test_eight_bit_tiff_whose_colours_are_not_multiplied_is_blended_as_libtiff_does() -> None:
    read = decode_image(pillow(Image.fromarray(np.dstack([COLOUR[..., ::-1], GRAY])), "TIFF"))
    np.testing.assert_allclose(read, COLOUR * (GRAY[..., None] / 255.0), atol=1.0)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_the_orientation_that_a_file_asks_for_is_applied(
    kind: str, mode: str, orientation: int, tmp_path: Path
) -> None:
    if mode == "RGBA" and kind in ("JPEG", "TIFF"):
        pytest.skip("no alpha there, or blended")
    exif = Image.Exif()
    exif[0x112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    (tmp_path / "turned").write_bytes(pillow(in_mode(mode), kind, exif=exif, **options))
    read = read_image(tmp_path / "turned")
    shown = cv2.imread(str(tmp_path / "turned"))
    read = read if read.ndim == 3 else np.dstack([read] * 3)
    if shown is not None:  # OpenCV 5.0 cannot imread a TIFF that lies on its side, but imdecode it
        np.testing.assert_array_equal(read, shown)
    upright = decode_image(pillow(in_mode(mode), kind, **options))
    np.testing.assert_array_equal(read, turn(upright if upright.ndim == 3 else np.dstack([upright] * 3), orientation))


def turn(upright: np.ndarray, orientation: int) -> np.ndarray:
    """EXIF 2.32, table 6: where row 0 and column 0 of the stored picture belong."""
    stored = upright.transpose(1, 0, 2) if orientation >= 5 else upright
    rows = -1 if orientation in (3, 4, 7, 8) else 1
    columns = -1 if orientation in (2, 3, 6, 7) else 1
    return stored[::rows, ::columns]


@pytest.mark.parametrize("white", [1, 255, 1023, 4095, 65535])
@pytest.mark.parametrize("kind", [b"P5", b"P6"])
def test_portable_maps_keep_their_values(kind: bytes, white: int) -> None:
    values = (COLOUR if kind == b"P6" else GRAY).astype(np.int64) * white // 255
    data = b"%s\n# a remark\n80 60\n%d\n" % (kind, white) + values.astype(">u2" if white > 255 else "u1").tobytes()
    read = decode_image(data)
    np.testing.assert_array_equal(read[..., ::-1] if kind == b"P6" else read, values)
    with pytest.raises(FrameError, match="cut short"):
        decode_image(data[:-1])


@pytest.mark.parametrize("kind", ["GIF", "PNG", "TIFF", "WEBP", "AVIF"])
def test_a_file_of_several_pictures_is_no_frame(kind: str) -> None:
    first = in_mode("RGB")
    data = pillow(first, kind, save_all=True, append_images=[first.rotate(90), first.rotate(180)])
    with pytest.raises(FrameError, match=r"or more pictures: a frame is one picture"):
        decode_image(data)


def portable_any_map(kind: str, depth: int, white: int = 255) -> bytes:
    header = f"P7\nWIDTH 8\nHEIGHT 8\nDEPTH {depth}\nMAXVAL {white}\nTUPLTYPE {kind}\nENDHDR\n"
    return header.encode() + bytes(64 * depth)


def masked_bmp(bits: int, *masks: int) -> bytes:
    about = struct.pack("<IiiHHIIiiII", 40, 8, 8, 1, bits, 3, 8 * bits, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 66 + 8 * bits, 0, 0, 66) + about + struct.pack("<III", *masks) + bytes(8 * bits)


@pytest.mark.parametrize("masks", [(16, 0x7C00, 0x3E0, 0x1F), (16, 0xF800, 0x7E0, 0x1F), (32, 0xFF0000, 0xFF00, 0xFF)])
def test_the_usual_colour_masks_of_a_bmp_are_read(masks: tuple[int, ...]) -> None:
    data = masked_bmp(*masks)[:66] + np.full(64, masks[1], f"<u{masks[0] // 8}").tobytes()
    assert decode_image(data).shape == (8, 8, 3)
    assert (decode_image(data)[..., 2] > 240).all()
    assert not decode_image(data)[..., :2].any()


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
        pillow(Image.fromarray(COLOUR).quantize(64), "TIFF", compression="tiff_lzw"),
        pillow(Image.fromarray(COLOUR), "WEBP"),
        pillow(Image.fromarray(COLOUR), "WEBP", lossless=True),
        pillow(Image.fromarray(COLOUR), "GIF"),
        pillow(Image.fromarray(COLOUR), "JPEG2000"),
        pillow(Image.fromarray(COLOUR), "AVIF"),
        encode(".ppm", COLOUR),
        encode(".ras", COLOUR),
    ],
    ids=[
        "jpeg",
        "progressive",
        "restarts",
        "png",
        "bmp",
        "tiff",
        "lzw",
        "palette",
        *["webp", "lossless", "gif", "jp2", "avif", "ppm", "ras"],
    ],
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


def test_a_second_jpeg_behind_the_first_is_not_left_out() -> None:
    with pytest.raises(FrameError, match="2 or more pictures"):
        decode_image(encode(".jpg", COLOUR) * 2)
    first = in_mode("RGB")
    preview = pillow(first, "MPO", save_all=True, append_images=[first.resize((20, 15))])
    assert decode_image(preview).shape == COLOUR.shape


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
        (pillow(Image.new("F", (8, 8)), "TIFF"), "float"),
        (pillow(Image.new("I", (8, 8)), "TIFF"), "int"),
        (b"P5\n8 8\n100\n" + bytes(64), "white at 100"),
        (pillow(Image.new("RGB", (8, 8)), "AVIF", exif=turned()), "turned or mirrored"),
        (pillow(Image.new("LA", (8, 8)), "TIFF"), "save it as PNG"),
        (portable_any_map("RGB", 3), "PAM of colours"),  # OpenCV swaps red and blue
        (portable_any_map("GRAYSCALE_ALPHA", 2), "PAM of colours"),
        (portable_any_map("BLACKANDWHITE", 1, white=1), "PAM of colours"),
        (encode(".ras", GRAY), "gray Sun raster"),  # OpenCV reads back black
        (masked_bmp(32, 0xFF, 0xFF00, 0xFF0000), "unusual colour masks"),
        (masked_bmp(32, 0x3FF00000, 0xFFC00, 0x3FF), "unusual colour masks"),
        (masked_bmp(16, 0xF00, 0xF0, 0xF), "unusual colour masks"),
    ],
)
def test_what_is_no_frame_is_one_clear_error(data: bytes, message: str) -> None:
    with pytest.raises(FrameError, match=message):
        decode_image(data)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(
        [
            *(
                b"\xff\xd8\xff",
                b"\x89PNG\r\n\x1a\n",
                b"BM",
                b"II*\x00",
                b"MM\x00+",
                b"",
                b"RIFF\1\0\0\0WEBPVP8X",
                b"GIF89a",
            ),
            *(b"P5 ", b"P4\n1 ", b"P7\nWIDTH 1\n", b"\x59\xa6\x6a\x95", b"\xff\x4f\xff\x51", b"\0\0\0\x08ftypavif"),
        ]
    ),
    st.binary(max_size=200),
)
def test_no_bytes_raise_anything_else(magic: bytes, rest: bytes) -> None:
    with pytest.raises(FrameError):
        decode_image(magic + rest)


def test_a_decompression_bomb_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "largest_picture", lambda: 4000)
    with pytest.raises(FrameError, match=r"80x60 pixels; this machine's memory allows 1 to 0\.004 million"):
        decode_image(encode(".png", COLOUR))


def test_errors_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"nothing")
    for path, message in [("a.png", "a.png: is not a JPEG"), ("b.png", "cannot read .*b.png"), ("", "is a folder")]:
        with pytest.raises(FrameError, match=message):
            read_image(tmp_path / path)


@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "folder"])
def test_what_is_no_file_is_refused_before_it_is_opened(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    with pytest.raises(FrameError, match=f"is a {kind}, not a picture file"):
        read_image(path)


def test_a_large_file_that_starts_like_nothing_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "x.png").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(FrameError, match="is not a JPEG"):
        read_image(tmp_path / "x.png")
    with (tmp_path / "x.png").open("r+b") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(FrameError, match="is larger than"):
        read_image(tmp_path / "x.png")


def test_a_picture_that_does_not_fit_into_memory_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise MemoryError

    cv2.imwrite(str(tmp_path / "x.png"), COLOUR)
    monkeypatch.setattr(images.cv2, "imdecode", fail)
    with pytest.raises(FrameError, match="memory of this machine"):
        read_image(tmp_path / "x.png")


@pytest.mark.parametrize("name", ["a\x1b[31m.png", "a\nb.png", os.fsdecode(b"caf\xe9.png"), "a\u202eb.png"])
def test_errors_are_one_printable_line(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"nothing")
    with pytest.raises(FrameError) as caught:
        read_image(tmp_path / name)
    assert str(caught.value).isprintable()


def test_pixels_and_hash_come_from_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.arange(48, dtype=np.uint8).reshape(4, 4, 3))
    read = read_hashed(path)
    assert read.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert np.array_equal(read.pixels, read_image(path))
    with pytest.raises(FrameError, match="absent"):
        read_hashed(tmp_path / "absent.png")


def test_a_changed_byte_of_a_png_is_found_by_its_checksum(tmp_path: Path) -> None:
    """The byte is one of the checksum itself: a decoder that trusts the pixels would not notice."""
    data = bytearray(cv2.imencode(".png", np.full((8, 8, 3), 9, np.uint8))[1].tobytes())
    data[data.index(b"IDAT") + 4 + int.from_bytes(data[data.index(b"IDAT") - 4 : data.index(b"IDAT")], "big")] ^= 1
    (tmp_path / "a.png").write_bytes(bytes(data))
    with pytest.raises(FrameError, match="checksum of its 'IDAT' chunk"):
        read_image(tmp_path / "a.png")
