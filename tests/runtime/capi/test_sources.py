"""The sources that ``edgeirf capi`` writes, and hosts that are built from them as a user builds them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from embed_vectors import ROOT, VECTORS, expected, line_of

import edgeirf
from edgeirf.errors import EdgeirfError
from edgeirf.runtime.capi.sources import FOLDER, SOURCES, onnxruntime_library, write_sources

BUNDLE = VECTORS / "whole.irf"
CASES = [case for case in expected() if case["bundle"] == "whole.irf"]
PICTURES = [str(VECTORS / case["picture"]) for case in CASES]
WANTED = [line_of(case, path) for case, path in zip(CASES, PICTURES, strict=True)]


def needs(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


@pytest.fixture(scope="session")
def built(built_once: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """A folder as after ``edgeirf capi DIR``, ``cmake`` and ``cmake --build``."""
    needs("cmake", "g++")
    if onnxruntime_library() is None:
        pytest.skip("this onnxruntime package has no shared library")

    def build(folder: Path) -> None:
        write_sources(folder)
        binary, prefix = str(folder / "build"), f"-DCMAKE_INSTALL_PREFIX={folder / 'out'}"
        for command in (["-S", str(folder), "-B", binary, prefix], ["--build", binary], ["--install", binary]):
            subprocess.run(["cmake", *command], check=True, stdout=subprocess.DEVNULL)

    return built_once("embed", build)


def lines(command: list[str], code: int, **environment: str) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})
    assert done.returncode == code, done.stderr
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_the_cpp_host_says_what_python_says(built: Path) -> None:
    assert lines([str(built / "build" / "host"), str(BUNDLE), *PICTURES], 1) == WANTED


def test_the_cpp_host_without_its_bundle(built: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [built / "build" / "host", tmp_path / "none.irf", "x.ppm"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (2, f"cannot read {tmp_path}/none.irf: No such file or directory\n")


def test_the_csharp_host_says_what_python_says(built: Path, tmp_path: Path) -> None:
    needs("mcs", "mono")
    sources = [str(built / "Host.cs"), str(built / "Edgeirf.cs")]
    subprocess.run(["mcs", f"-out:{tmp_path / 'Host.exe'}", "-warnaserror", *sources], check=True)
    command = ["mono", str(tmp_path / "Host.exe"), str(BUNDLE), *PICTURES]
    assert lines(command, 1, LD_LIBRARY_PATH=str(built / "build")) == WANTED
    missing = lines([*command[:3], "none.ppm", str(ROOT / "README.md")], 2, LD_LIBRARY_PATH=str(built / "build"))
    assert [line.split(",")[0] for line in missing] == ["none.ppm: REJECT", f"{ROOT / 'README.md'}: REJECT"]


def test_the_csharp_example_inspects_a_folder(built: Path, tmp_path: Path) -> None:
    needs("mcs", "mono")
    example = ROOT / "examples" / "embed" / "csharp" / "Watch.cs"
    subprocess.run(["mcs", f"-out:{tmp_path / 'Watch.exe'}", str(example), str(built / "Edgeirf.cs")], check=True)
    pixels = (VECTORS / "one.ppm").read_bytes()[-100 * 75 * 3 :]
    (tmp_path / "1.rgb").write_bytes(pixels)
    (tmp_path / "2.rgb").write_bytes(pixels[:-1])
    command = ["mono", str(tmp_path / "Watch.exe"), str(BUNDLE), str(tmp_path), "100", "75", "2"]
    said = sorted(lines(command, 0, LD_LIBRARY_PATH=str(built / "build")))
    assert said == ["1.rgb: REJECT", "2.rgb: REJECT, the frame has fewer bytes than its size, stride and format say"]


def test_the_ctypes_host_says_what_python_says(built: Path) -> None:
    script = ROOT / "examples" / "embed" / "ctypes" / "host.py"
    library = str(built / "build" / "libedgeirf.so")
    assert lines([sys.executable, str(script), library, str(BUNDLE), *PICTURES], 1) == WANTED


def test_the_cpp_example_with_opencv(built: Path, tmp_path: Path) -> None:
    needs("cmake", "g++", "pkg-config")
    if subprocess.run(["pkg-config", "--exists", "opencv4"], check=False).returncode:
        pytest.skip("OpenCV for C++ is not installed: apt install libopencv-dev")
    sources = f"-DEDGEIRF_SOURCES={built}"
    example = str(ROOT / "examples" / "embed" / "cpp")
    subprocess.run(["cmake", "-S", example, "-B", tmp_path, sources], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", tmp_path], check=True, stdout=subprocess.DEVNULL)
    shutil.copy(VECTORS / "one.ppm", tmp_path / "part0.ppm")
    said = lines([str(tmp_path / "camera"), str(BUNDLE), str(tmp_path / "part%d.ppm")], 1)
    assert [line.split(",")[0] for line in said] == ["part 0: REJECT"]


def test_a_project_finds_the_installed_library(built: Path, tmp_path: Path) -> None:
    """The ten lines of docs/embed.md, with the flags of pkg-config."""
    needs("g++", "pkg-config")
    folder = next((built / "out").rglob("edgeirf.pc")).parent
    environment = {**os.environ, "PKG_CONFIG_PATH": str(folder)}
    command = ["pkg-config", "--cflags", "--libs", "edgeirf"]
    flags = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.split()
    (tmp_path / "mine.cpp").write_text(first_cpp(ROOT / "docs" / "embed.md"))
    subprocess.run(["g++", tmp_path / "mine.cpp", "-o", tmp_path / "mine", *flags], check=True)
    library = str(next((built / "out").rglob("libedgeirf.so")).parent)
    shutil.copy(BUNDLE, tmp_path / "bottle.irf")
    done = subprocess.run(
        [tmp_path / "mine"],
        cwd=tmp_path,
        env={**os.environ, "LD_LIBRARY_PATH": library},
        text=True,
        capture_output=True,
    )
    assert (done.returncode, done.stdout) == (0, "REJECT\n"), done.stderr  # a black part


def first_cpp(page: Path) -> str:
    return page.read_text().split("```cpp\n")[1].split("```")[0]


def test_under_ten_lines_of_the_users_own() -> None:
    assert len([line for line in first_cpp(ROOT / "docs" / "embed.md").splitlines() if line.strip()]) < 10


def test_the_sources_name_this_version_and_this_onnx_runtime(tmp_path: Path) -> None:
    written = write_sources(tmp_path / "embed")
    assert [path.name for path in written] == list(SOURCES)
    text = (tmp_path / "embed" / "CMakeLists.txt").read_text()
    assert f"VERSION {edgeirf.__version__} " in text
    assert f'"{onnxruntime_library() or ""}"' in text
    assert "@VERSION@" not in text
    assert (tmp_path / "embed" / "edgeirf.h").read_bytes() == (FOLDER / "edgeirf.h").read_bytes()
    assert write_sources(tmp_path / "embed") == written


def test_another_projects_files_are_kept(tmp_path: Path) -> None:
    own = tmp_path / "CMakeLists.txt"
    own.write_text("project(press)\n")
    with pytest.raises(EdgeirfError, match="is not a file of edgeirf: name an empty folder"):
        write_sources(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["CMakeLists.txt"]
    assert own.read_text() == "project(press)\n"


def test_every_source_is_in_the_package() -> None:
    present = {
        path.name for path in FOLDER.iterdir() if path.suffix not in (".py", "") or path.name == "CMakeLists.txt"
    }
    assert present == set(SOURCES)
