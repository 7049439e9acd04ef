"""What of the CUDA package needs no driver: compiling, caching, geometry, error texts, running without pycuda."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgeirf.errors import BackendError, FrameError
from edgeirf.runtime.cuda import compiler, modules
from edgeirf.runtime.cuda.errors import CudaError, GpuLostError, GpuOutOfMemoryError, reported, translate
from edgeirf.runtime.executors.gpu.frame_layout import Geometry
from edgeirf.runtime.imaging.pixel_format import PIXEL_FORMATS, check_frame, frame_shape, frame_size, is_raw, to_bgr
from edgeirf.runtime.imaging.preprocess import crop
from edgeirf.settings import PixelFormat, Preprocess


class FakeCompiler:
    """Gives what it was asked for as code, and counts."""

    def __init__(self, version: str = "fake-1", cuda: int = 13) -> None:
        self.version, self.cuda = version, cuda
        self.compiled: list[tuple[str, str]] = []

    def compile(self, file: str, arch: str) -> bytes:
        self.compiled.append((file, arch))
        return f"code of {file} for {arch}".encode()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEIRF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "kernels"


class TestCache:
    """Kernels are compiled once for each source, architecture and compiler."""

    def test_compiled_once(self, cache: Path) -> None:
        fake = FakeCompiler()
        codes = [modules.machine_code("preprocess.cu", "sm_87", fake) for _ in range(2)]
        assert codes == [b"code of preprocess.cu for sm_87"] * 2
        assert fake.compiled == [("preprocess.cu", "sm_87")]
        assert [path.suffix for path in cache.iterdir()] == [".cubin"]

    def test_what_the_code_depends_on_makes_another_file(self, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        fake, newer = FakeCompiler(), FakeCompiler("fake-2")
        modules.machine_code("preprocess.cu", "sm_87", fake)
        modules.machine_code("preprocess.cu", "sm_86", fake)
        modules.machine_code("postprocess.cu", "sm_87", fake)
        modules.machine_code("preprocess.cu", "sm_87", newer)
        monkeypatch.setattr(modules, "headers", lambda: {"platform.cuh": "// another"})
        modules.machine_code("preprocess.cu", "sm_87", fake)
        assert len(list(cache.iterdir())) == 5

    @pytest.mark.parametrize("damage", [b"", b"\0", b"not a file of ours"])
    def test_a_damaged_file_is_compiled_again(self, damage: bytes, cache: Path) -> None:
        fake = FakeCompiler()
        code = modules.machine_code("preprocess.cu", "sm_87", fake)
        (path,) = cache.iterdir()
        whole = path.read_bytes()
        path.write_bytes(damage or whole[:-3] + b"xyz")
        assert modules.machine_code("preprocess.cu", "sm_87", fake) == code
        assert len(fake.compiled) == 2
        assert path.read_bytes() == whole

    def test_a_folder_that_others_can_write_to_is_not_believed(self, cache: Path) -> None:
        fake = FakeCompiler()
        modules.machine_code("preprocess.cu", "sm_87", fake)
        cache.chmod(0o777)
        modules.machine_code("preprocess.cu", "sm_87", fake)
        assert len(fake.compiled) == 2

    def test_a_compiler_that_fails_leaves_nothing(self, cache: Path) -> None:
        class Broken(FakeCompiler):
            def compile(self, file: str, arch: str) -> bytes:
                raise BackendError("no room")

        with pytest.raises(BackendError, match="no room"):
            modules.machine_code("preprocess.cu", "sm_87", Broken())
        assert list(cache.iterdir()) == []


def compilers() -> list[str]:
    """Names of the compilers of this machine."""
    found = ["nvcc"] if shutil.which("nvcc") else []
    try:
        from cuda.bindings import nvrtc

        compiler.Nvrtc(nvrtc)
        found.append("nvrtc")
    except Exception:  # absent, or without its library
        return found
    return found


def make(name: str) -> compiler.Compiler:
    if name == "nvcc":
        return compiler.Nvcc("nvcc")
    from cuda.bindings import nvrtc

    return compiler.Nvrtc(nvrtc)


@pytest.mark.parametrize("name", compilers())
class TestCompilers:
    """The real ones, where they are."""

    def test_every_kernel_compiles(self, name: str) -> None:
        code = make(name).compile("postprocess.cu", "sm_87")
        assert code.startswith(b"\x7fELF")
        assert b"postprocess" in code
        assert make(name).version.startswith(f"{name}-")

    def test_an_error_is_one_line(self, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (tmp_path / "bad.cu").write_text("__global__ void f() { nonsense; }\n")
        monkeypatch.setattr(compiler, "folder", lambda: tmp_path)
        monkeypatch.setattr(compiler, "source", lambda file: (tmp_path / file).read_text())
        with pytest.raises(BackendError) as raised:
            make(name).compile("bad.cu", "sm_87")
        assert "nonsense" in str(raised.value)
        assert "\n" not in str(raised.value)


def test_no_compiler_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None)
    with pytest.raises(BackendError, match="no CUDA compiler"):
        compiler.find_compiler()


@pytest.mark.parametrize(
    ("there", "driver", "chosen"),
    [((13, 12), 13, 13), ((13, 12), 12, 12), ((12, 13), 13, 12), ((13,), None, 13), ((13,), 12, None), ((), 12, None)],
)
def test_the_compiler_must_not_be_newer_than_the_driver(
    there: tuple[int, ...], driver: int | None, chosen: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiler, "_compilers", lambda: iter([FakeCompiler(f"fake-{cuda}", cuda) for cuda in there]))
    if chosen is not None:
        assert compiler.find_compiler(driver).cuda == chosen
        return
    with pytest.raises(BackendError, match="too new for this driver" if there else "no CUDA compiler") as raised:
        compiler.find_compiler(driver)
    assert "cuda-bindings[all]==12.*" in str(raised.value)


@pytest.mark.parametrize(
    ("text", "memory", "kind", "said"),
    [
        ("out of memory", True, GpuOutOfMemoryError, "ran out of memory while testing"),
        ("an illegal memory access was encountered", False, GpuLostError, "faulted while testing"),
        ("unspecified launch failure", False, GpuLostError, "faulted while testing"),
        ("unknown error", False, GpuLostError, "stopped answering while testing"),
        ("uncorrectable ECC error encountered", False, GpuLostError, "stopped answering"),
        ("invalid argument", False, BackendError, "refused while testing"),
    ],
)
def test_error_texts(text: str, memory: bool, kind: type[BackendError], said: str) -> None:
    error = translate(CudaError("cuSomething", text, memory), "testing")
    assert type(error) is kind
    assert said in str(error)
    assert f"(cuSomething failed: {text})" in str(error)


def test_only_errors_of_the_driver_are_translated() -> None:
    with pytest.raises(GpuOutOfMemoryError), reported("testing"):
        raise CudaError("cuMemAlloc", "out of memory", True)
    with pytest.raises(BackendError, match="as it is"), reported("testing"):
        raise BackendError("as it is")
    with pytest.raises(ZeroDivisionError), reported("testing"):
        1 / 0  # noqa: B018


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


def test_importing_it_needs_no_pycuda() -> None:
    script = """
import sys
sys.modules["pycuda"] = None
import edgeirf.runtime.executors.gpu.executor, edgeirf.runtime.executors.gpu.keep_warm, edgeirf.runtime.bench
from edgeirf.errors import BackendError
from edgeirf.runtime.cuda.context import CudaContext
try:
    CudaContext()
except BackendError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "pycuda is not installed: pip install pycuda (needs the CUDA toolkit)"
