"""The C library through ctypes: the shared vectors, every way to hand over a frame, and every way to fail."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from embed_vectors import GROUPS, VECTORS, frame_of

import edgeirf
from edgeirf.bundle import Bundle
from edgeirf.frame_contract import FrameContract
from edgeirf.runtime.capi.sources import FOLDER
from edgeirf.runtime.serve.protocol import FORMATS

ARGUMENT, BUNDLE, RUNTIME, FRAME = 1, 2, 3, 4


def picture(name: str = "one.ppm") -> np.ndarray:
    """A picture of the vectors, BGR or gray."""
    head, size, _, pixels = (VECTORS / name).read_bytes().split(b"\n", 3)
    width, height = map(int, size.split())
    array = np.frombuffer(pixels, np.uint8)
    return array.reshape(height, width, 3)[..., ::-1] if head == b"P6" else array.reshape(height, width)


@pytest.mark.parametrize(
    ("bundle", "product", "cases"), GROUPS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_verdicts_are_those_of_the_python_runtime(
    open_line: Callable[..., Any], host: ModuleType, bundle: str, product: str, cases: list[dict[str, Any]]
) -> None:
    with open_line(VECTORS / bundle, product=product.encode()) as line:
        assert line.info("edgeirf.product") == product
        for case in cases:
            verdict, regions = line.inspect(*host.read_picture(frame_of(case)))
            assert bool(verdict.reject) == case["reject"]
            assert verdict.p_value == case["p_value"]
            assert (verdict.threshold, verdict.pixel_threshold) == (case["threshold"], case["pixel_threshold"])
            assert verdict.score == pytest.approx(case["score"], rel=1e-5)
            boxes = [[r.x, r.y, r.width, r.height, r.area] for r in regions]
            assert boxes == [region[:5] for region in case["regions"]]
            assert [r.peak for r in regions] == pytest.approx([region[5] for region in case["regions"]], rel=1e-5)
            assert (verdict.n_regions, verdict.error) == (len(regions), 0)


def test_every_layout_of_the_same_pixels_has_the_same_score(whole: Any, host: ModuleType) -> None:
    bgr = np.ascontiguousarray(picture())
    height, width = bgr.shape[:2]
    want = whole.inspect(bgr.tobytes(), width, height, host.BGR8)[0].score
    padded = np.zeros((height, width * 3 + 7), np.uint8)
    padded[:, : width * 3] = bgr.reshape(height, -1)
    assert whole.inspect(padded.ctypes.data, width, height, host.BGR8, padded.strides[0])[0].score == want
    assert whole.inspect(bgr[..., ::-1].tobytes(), width, height, host.RGB8)[0].score == want
    upside_down = np.ascontiguousarray(bgr[::-1])
    top_row = upside_down.ctypes.data + (height - 1) * width * 3
    assert whole.inspect(top_row, width, height, host.BGR8, -width * 3)[0].score == want
    rgb_padded = np.ascontiguousarray(padded)
    rgb_padded[:, : width * 3] = bgr[..., ::-1].reshape(height, -1)
    assert whole.inspect(rgb_padded.ctypes.data, width, height, host.RGB8, padded.strides[0])[0].score == want


def test_frames_that_the_model_does_not_know_are_rejects_by_name(
    open_line: Callable[..., Any], host: ModuleType, tiny_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    path = tiny_bundle(tmp_path / "m.irf", held_out=9, line=True, frame=FrameContract(96, 80, 8, 3))
    with open_line(path) as line:
        verdict, _ = line.inspect(bytes([128, 120, 126]) * 96 * 80, 96, 80, host.BGR8)
        assert verdict.error == 0
        assert np.isfinite(verdict.score)
        for size, form, message in (
            ((80, 96), host.BGR8, "the frame has 80x96 pixels, the model knows 96x80: set the camera"),
            ((96, 80), host.GRAY8, "the bundle takes bgr8,rgb8 frames, not gray8"),
            ((96, 80), host.BGR16, "the bundle takes bgr8,rgb8 frames, not bgr16"),
        ):
            with pytest.raises(host.EdgeirfError, match=message):
                line.inspect(bytes(96 * 80 * 6), *size, form)


def test_gray_is_colour_of_equal_values(whole: Any, host: ModuleType) -> None:
    gray = picture("gray.pgm")
    height, width = gray.shape
    colour = np.repeat(gray[..., None], 3, axis=2)
    scores = {
        whole.inspect(a.tobytes(), width, height, f)[0].score for a, f in ((gray, host.GRAY8), (colour, host.BGR8))
    }
    assert len(scores) == 1


def test_the_map_is_that_of_python(whole: Any) -> None:
    bgr = np.ascontiguousarray(picture())
    sides = ctypes.c_int32(), ctypes.c_int32()
    assert whole.library.edgeirf_map_size(whole.handle, *map(ctypes.byref, sides)) == 0
    found = np.full((sides[1].value, sides[0].value), -1, np.float32)
    assert call(whole, bgr, map_=found) == (0, 1, "")
    with edgeirf.load(VECTORS / "whole.irf", device="cpu", threads=1) as detector:
        np.testing.assert_allclose(found, detector(bgr).network_map(), rtol=1e-5, atol=1e-6)


def call(line: Any, frame: np.ndarray, **changes: Any) -> tuple[int, int, str]:
    """Return code, ``reject`` and message of a call with something wrong about it."""
    from embed_host import BGR8, Verdict

    verdict = Verdict(struct_size=changes.get("struct_size", ctypes.sizeof(Verdict)))
    map_ = changes.get("map_")
    code = line.library.edgeirf_inspect(
        changes.get("handle", line.handle),
        changes.get("pixels", frame.ctypes.data),
        changes.get("width", frame.shape[1]),
        changes.get("height", frame.shape[0]),
        changes.get("stride", 0),
        changes.get("format", BGR8),
        changes.get("verdict", ctypes.byref(verdict)),
        None,
        changes.get("max_regions", 0),
        None if map_ is None else map_.ctypes.data,
        0 if map_ is None else map_.size,
    )
    return code, verdict.reject, line.library.edgeirf_last_error().decode()


SMALL_MAP = np.zeros(10, np.float32)


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"pixels": None}, FRAME, "pixels is NULL"),
        ({"width": 0}, FRAME, "a frame of 0x75 pixels"),
        ({"height": -3}, FRAME, "sides are 1 to 65535"),
        ({"width": 2**31 - 1}, FRAME, "sides are 1 to 65535"),
        ({"stride": 10}, FRAME, "a stride of 10 bytes is too short"),
        ({"stride": -299}, FRAME, "a stride of -299 bytes is too short"),
        ({"format": 99}, FRAME, "there is no pixel format 99"),
        ({"format": -1}, FRAME, "there is no pixel format -1"),
        ({"format": FORMATS.index("bayer_rggb8")}, FRAME, "even sides, not 100x75"),
        ({"format": FORMATS.index("nv12"), "height": 50}, FRAME, "frames, not nv12: convert the frame"),
        ({"format": FORMATS.index("nv12"), "height": 50, "stride": -100}, FRAME, "is not negative"),
        ({"struct_size": 0}, ARGUMENT, "struct_size is not set"),
        ({"struct_size": 47}, ARGUMENT, "struct_size is not set"),
        ({"verdict": None}, ARGUMENT, "there is no verdict"),
        ({"handle": None}, ARGUMENT, "no bundle is open"),
        ({"map_": SMALL_MAP}, ARGUMENT, "there is room for 10"),
        ({"width": 63}, FRAME, "the frame has 63x75 pixels, the network needs 64x64 at least"),
    ],
)
def test_what_is_wrong_with_a_call_is_a_reject_and_one_line(
    whole: Any, changes: dict[str, Any], code: int, message: str
) -> None:
    got, reject, said = call(whole, np.ascontiguousarray(picture()), **changes)
    assert got == code
    assert message in said
    assert "\n" not in said
    assert reject == (0 if "verdict" in changes else 1)  # without a verdict there is nothing to set


def test_a_frame_that_does_not_cover_the_region_of_interest(open_line: Callable[..., Any], host: ModuleType) -> None:
    frame = np.zeros((70, 87, 3), np.uint8)
    with (
        open_line(VECTORS / "roi.irf", product=b"lid") as line,
        pytest.raises(host.EdgeirfError, match=r"87x70 pixels, the region of interest \(.*\) needs"),
    ):
        line.inspect(frame.tobytes(), 87, 70, host.BGR8)


def test_a_frame_after_a_failure_is_inspected(whole: Any) -> None:
    frame = np.ascontiguousarray(picture())
    assert call(whole, frame, width=0)[0] == FRAME
    assert call(whole, frame) == (0, 1, "")


def test_the_strongest_regions_where_there_is_room_for_fewer(whole: Any, host: ModuleType) -> None:
    pixels, width, height, pixel_format = host.read_picture(VECTORS / "two.ppm")
    verdict, regions = host.Verdict(struct_size=48), (host.Region * 2)()
    regions[1].x = -7
    frame = (pixels, width, height, 0, pixel_format, ctypes.byref(verdict))
    for room, count in ((regions, 1), (regions, 0), (regions, -1), (None, 5)):
        assert whole.library.edgeirf_inspect(whole.handle, *frame, room, count, None, 0) == 0
        assert verdict.n_regions == 2
        assert (regions[0].x, regions[1].x) == (64, -7)


def test_a_host_of_a_later_header_keeps_its_own_fields(whole: Any) -> None:
    """Structs only grow: the library fills in what it knows."""
    frame = np.ascontiguousarray(picture())
    longer = (ctypes.c_uint32 * 14)(56, *[0xABCDEF] * 13)
    assert call(whole, frame, verdict=longer)[0] == 0
    assert (longer[0], longer[1], list(longer[12:])) == (56, 1, [0xABCDEF] * 2)


def test_options_of_another_size(host: ModuleType, library_path: Path) -> None:
    library, handle = host.open_library(library_path), ctypes.c_void_p(1)
    options = host.Options(struct_size=8)
    path = str(VECTORS / "whole.irf").encode()
    assert library.edgeirf_load(path, ctypes.byref(options), ctypes.byref(handle)) == ARGUMENT
    assert handle.value is None
    assert library.edgeirf_last_error() == b"options.struct_size is not set: start with EDGEIRF_OPTIONS"


def test_two_threads_on_one_bundle(whole: Any, host: ModuleType) -> None:
    names = ("good.ppm", "two.ppm")
    want = {name: whole.inspect(*host.read_picture(VECTORS / name))[0].score for name in names}
    wrong: list[str] = []

    def inspect(name: str) -> None:
        frame = host.read_picture(VECTORS / name)
        wrong.extend(name for _ in range(100) if whole.inspect(*frame)[0].score != want[name])

    threads = [threading.Thread(target=inspect, args=(name,)) for name in names * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_the_last_error_is_that_of_the_thread(whole: Any) -> None:
    said: list[str] = []
    call(whole, np.ascontiguousarray(picture()), width=0)
    thread = threading.Thread(target=lambda: said.append(whole.library.edgeirf_last_error().decode()))
    thread.start()
    thread.join()
    assert said == [""]
    assert whole.library.edgeirf_last_error() != b""


def test_what_the_bundle_says_of_itself(whole: Any) -> None:
    assert whole.info("edgeirf.model") == "whole"
    assert whole.info("edgeirf.pixel_formats") == "bgr8,rgb8,gray8,bgr16,rgb16,gray16"
    assert whole.info("edgeirf.bundle") == Bundle.read(VECTORS / "whole.irf").digest
    assert whole.info("nothing") is None
    assert whole.library.edgeirf_abi() == 1


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ({"provider": b"CUDA"}, RUNTIME, "ONNX Runtime has no provider CUDA here"),
        ({"provider": b"NoSuchExecutionProvider"}, RUNTIME, "ONNX Runtime has no provider NoSuch here"),
        ({"product": b"nut"}, ARGUMENT, "knows no product nut"),
        ({"onnxruntime": b"/somewhere/else.so"}, ARGUMENT, "this process uses ONNX Runtime from"),
    ],
)
@pytest.mark.usefixtures("whole")
def test_options_that_cannot_be_had(
    open_line: Callable[..., Any], host: ModuleType, options: dict[str, Any], code: int, message: str
) -> None:
    with pytest.raises(host.EdgeirfError, match=message) as caught:
        open_line(VECTORS / "whole.irf", **options)
    assert caught.value.code == code


def test_a_provider_by_its_long_name(open_line: Callable[..., Any], host: ModuleType) -> None:
    with open_line(VECTORS / "whole.irf", provider=b"CPUExecutionProvider", threads=2) as line:
        assert line.inspect(*host.read_picture(VECTORS / "one.ppm"))[0].reject


def test_a_bundle_of_several_products_asks_for_one(open_line: Callable[..., Any], host: ModuleType) -> None:
    with pytest.raises(host.EdgeirfError, match=r"several products: name one in options\.product") as caught:
        open_line(VECTORS / "roi.irf")
    assert caught.value.code == ARGUMENT


def test_a_bare_graph_takes_its_own_format_and_product(open_line: Callable[..., Any], host: ModuleType) -> None:
    with open_line(VECTORS / "nv12.onnx") as line:
        frame = np.zeros((96, 64, 3), np.uint8).tobytes()
        with pytest.raises(host.EdgeirfError, match="the bundle takes nv12 frames, not bgr8: convert the frame"):
            line.inspect(frame, 64, 64, host.BGR8)
        assert line.inspect(frame, 64, 64, host.NV12)[0].reject
    with pytest.raises(host.EdgeirfError, match="knows no product lid"):
        open_line(VECTORS / "nv12.onnx", product=b"lid")


def test_a_damaged_bundle_is_not_taken_for_a_bare_graph(
    open_line: Callable[..., Any], host: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / "x.irf").write_bytes((VECTORS / "nv12.onnx").read_bytes())
    with pytest.raises(host.EdgeirfError, match="not an edgeirf bundle"):
        open_line(tmp_path / "x.irf")
    (tmp_path / "x.onnx").write_bytes((VECTORS / "whole.irf").read_bytes())
    with pytest.raises(host.EdgeirfError, match="not a graph that edgeirf exports"):
        open_line(tmp_path / "x.onnx")


def test_pipes_folders_and_files_that_are_not_there(
    open_line: Callable[..., Any], host: ModuleType, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, message in (("pipe", "not a regular file"), ("", "not a regular file"), ("none", "No such file")):
        with pytest.raises(host.EdgeirfError, match=message) as caught:
            open_line(tmp_path / path)
        assert caught.value.code == BUNDLE


def test_a_bundle_without_the_graph(open_line: Callable[..., Any], host: ModuleType, tiny_path: Path) -> None:
    with pytest.raises(host.EdgeirfError, match=r"has no line\.onnx: export it again"):
        open_line(tiny_path)


@pytest.mark.parametrize(("compiler", "standard"), [("gcc", "c99"), ("g++", "c++11")])
def test_the_header_is_plain_c(tmp_path: Path, compiler: str, standard: str) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    source = tmp_path / ("t.c" if compiler == "gcc" else "t.cpp")
    source.write_text(
        '#include "edgeirf.h"\n'
        "int main(void) { edgeirf_verdict v = EDGEIRF_VERDICT; edgeirf_options o = EDGEIRF_OPTIONS;\n"
        "  return v.reject + o.threads + (int)sizeof(edgeirf_region) - 25; }\n"
    )
    flags = [f"-std={standard}", "-pedantic", "-Wall", "-Wextra", "-Wpadded", "-Werror"]
    subprocess.run([compiler, *flags, f"-I{FOLDER}", "-c", "-o", tmp_path / "t.o", source], check=True)


def test_the_layouts_of_the_binding_are_those_of_the_header(host: ModuleType) -> None:
    assert [ctypes.sizeof(kind) for kind in (host.Verdict, host.Region, host.Options)] == [48, 24, 40]
