"""Inspects pictures through the C library, with ctypes alone: a pattern for any language.

python host.py libedgeirf.so [--product NAME] BUNDLE PICTURE ...

BUNDLE: .irf, a bare graph .onnx, or the socket of ``edgeirf serve``. PICTURE: binary PPM or PGM, or a camera's bytes
with format and size in its name: part.nv12:1280x1024.
"""

from __future__ import annotations

import ctypes
import re
import sys
from pathlib import Path
from types import TracebackType

BGR8, RGB8, GRAY8, BGR16, RGB16, GRAY16, BAYER_RGGB8, BAYER_GRBG8, BAYER_GBRG8, BAYER_BGGR8, NV12 = range(11)
FORMATS = (
    *("bgr8", "rgb8", "gray8", "bgr16", "rgb16", "gray16"),
    *("bayer_rggb8", "bayer_grbg8", "bayer_gbrg8", "bayer_bggr8", "nv12"),
)
HALF_BYTES = (6, 6, 2, 12, 12, 4, 2, 2, 2, 2, 3)
"""Bytes of two pixels of each format."""


class Options(ctypes.Structure):
    """``edgeirf_options`` of edgeirf.h."""

    _fields_ = (
        ("struct_size", ctypes.c_uint32),
        ("threads", ctypes.c_int32),
        ("timeout_ms", ctypes.c_int32),
        ("reserved", ctypes.c_int32),
        ("onnxruntime", ctypes.c_char_p),
        ("provider", ctypes.c_char_p),
        ("product", ctypes.c_char_p),
    )


class Region(ctypes.Structure):
    """``edgeirf_region``."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in ("x", "y", "width", "height", "area")),
        ("peak", ctypes.c_float),
    )


class Verdict(ctypes.Structure):
    """``edgeirf_verdict``."""

    _fields_ = (
        ("struct_size", ctypes.c_uint32),
        ("reject", ctypes.c_int32),
        *((name, ctypes.c_double) for name in ("score", "p_value", "threshold", "pixel_threshold")),
        ("n_regions", ctypes.c_int32),
        ("error", ctypes.c_int32),
    )


class EdgeirfError(Exception):
    """What ``edgeirf_last_error()`` says; ``code`` is what the function returned."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def open_library(path: str | Path) -> ctypes.CDLL:
    """The library with the types of its functions."""
    library = ctypes.CDLL(str(path))
    p, i, text = ctypes.c_void_p, ctypes.c_int32, ctypes.c_char_p
    for name in ("edgeirf_load", "edgeirf_connect"):
        getattr(library, name).argtypes = [text, ctypes.POINTER(Options), ctypes.POINTER(p)]
    library.edgeirf_inspect.argtypes = [p, p, i, i, i, i, p, p, i, p, i]
    library.edgeirf_map_size.argtypes = [p, ctypes.POINTER(i), ctypes.POINTER(i)]
    library.edgeirf_info.argtypes, library.edgeirf_info.restype = [p, text], text
    library.edgeirf_last_error.restype = text
    library.edgeirf_free.argtypes, library.edgeirf_free.restype = [p], None
    return library


class Line:
    """One bundle, ready to inspect: in this process, or with ``server`` behind a socket of ``edgeirf serve``."""

    def __init__(self, library: ctypes.CDLL, path: str | Path, *, server: bool = False, **options: int | bytes) -> None:
        self.library, self.handle = library, ctypes.c_void_p()
        chosen = Options(struct_size=ctypes.sizeof(Options), **options)
        open_it = library.edgeirf_connect if server else library.edgeirf_load
        self._check(open_it(str(path).encode(), ctypes.byref(chosen), ctypes.byref(self.handle)))

    def inspect(
        self, pixels: object, width: int, height: int, pixel_format: int, stride: int = 0
    ) -> tuple[Verdict, list[Region]]:
        """The verdict of one frame and its strongest regions; ``pixels`` is bytes or an address."""
        verdict, regions = Verdict(struct_size=ctypes.sizeof(Verdict), reject=1), (Region * 64)()
        address = ctypes.cast(pixels, ctypes.c_void_p) if isinstance(pixels, bytes) else ctypes.c_void_p(pixels)
        frame = (address, width, height, stride, pixel_format)
        self._check(self.library.edgeirf_inspect(self.handle, *frame, ctypes.byref(verdict), regions, 64, None, 0))
        return verdict, list(regions[: min(verdict.n_regions, 64)])

    def info(self, key: str) -> str | None:
        """What the bundle says of itself."""
        value = self.library.edgeirf_info(self.handle, key.encode())
        return value.decode() if value is not None else None

    def close(self) -> None:
        """Closes the bundle; may be called twice."""
        self.library.edgeirf_free(self.handle)
        self.handle = ctypes.c_void_p()

    def __enter__(self) -> Line:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check(self, code: int) -> None:
        if code:
            raise EdgeirfError(code, self.library.edgeirf_last_error().decode())


def read_picture(name: str | Path) -> tuple[bytes, int, int, int]:
    """Pixels, width, height and format of a binary PPM or PGM file, or of a camera's bytes: ``part.nv12:1280x1024``."""
    raw = re.fullmatch(r"(.+\.(\w+)):(\d{1,5})x(\d{1,5})", str(name))
    if raw is not None and raw[2] in FORMATS:
        width, height, number = int(raw[3]), int(raw[4]), FORMATS.index(raw[2])
        pixels = Path(raw[1]).read_bytes()
    else:
        data = Path(name).read_bytes()
        head = re.match(rb"P([56])\s+(\d+)\s+(\d+)\s+255\s", data)
        if head is None:
            raise ValueError("not a picture that can be read")
        width, height, number = int(head[2]), int(head[3]), RGB8 if head[1] == b"6" else GRAY8
        pixels = data[head.end() :]
    if len(pixels) < width * height * HALF_BYTES[number] // 2:
        raise ValueError("the picture is cut short")
    return pixels, width, height, number


def main(library: str, *arguments: str) -> int:
    """Prints a verdict for each picture; 1 when a part was rejected, 2 on an error."""
    options = {}
    if arguments[0] == "--product":
        options["product"], arguments = arguments[1].encode(), arguments[2:]
    bundle, *pictures = arguments
    worst = 0
    with Line(open_library(library), bundle, server=not bundle.endswith((".irf", ".onnx")), **options) as line:
        for picture in pictures:
            try:
                verdict, regions = line.inspect(*read_picture(picture))
            except (EdgeirfError, OSError, ValueError) as error:
                print(f"{picture}: REJECT, {error}")
                worst = 2
                continue
            word = "REJECT" if verdict.reject else "good"
            boxes = "".join(f", {r.width}x{r.height} at {r.x},{r.y}" for r in regions)
            print(f"{picture}: {word}, score {verdict.score:.9g}, p-value {verdict.p_value:.6g}{boxes}")
            worst = max(worst, verdict.reject)
    return worst


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    try:
        sys.exit(main(*sys.argv[1:]))
    except (EdgeirfError, OSError) as error:
        sys.exit(str(error))
