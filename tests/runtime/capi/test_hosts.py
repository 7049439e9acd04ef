"""Hosts in several languages, built as a user builds them: each says what the Python runtime says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from embed_vectors import GROUPS, ROOT, VECTORS, arguments, check_line, frame_of, needs

BUNDLE = VECTORS / "whole.irf"


def lines(command: list[str], code: int, **environment: str) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})
    assert done.returncode == code, done.stderr
    assert done.stderr == ""
    return done.stdout.splitlines()


def check(*host: str, **environment: str) -> None:
    """Holds a host to every shared vector."""
    for bundle, product, cases in GROUPS:
        code = int(any(case["reject"] for case in cases))
        said = lines([*host, *arguments(bundle, product, cases)], code, **environment)
        for case, line in zip(cases, said, strict=True):
            check_line(case, line)


def test_the_cpp_host_says_what_python_says(built: Path) -> None:
    check(str(built / "build" / "host"))


def test_the_cpp_host_without_its_bundle(built: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [built / "build" / "host", tmp_path / "none.irf", "x.ppm"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (2, f"{tmp_path}/none.irf: cannot be read: No such file or directory\n")


def test_the_csharp_host_says_what_python_says(built: Path, tmp_path: Path) -> None:
    needs("mcs", "mono")
    sources = [str(built / "Host.cs"), str(built / "Edgeirf.cs")]
    subprocess.run(["mcs", f"-out:{tmp_path / 'Host.exe'}", "-warnaserror", *sources], check=True)
    library = str(built / "build")
    check("mono", str(tmp_path / "Host.exe"), LD_LIBRARY_PATH=library)
    command = ["mono", str(tmp_path / "Host.exe"), str(BUNDLE), "none.ppm", str(ROOT / "README.md")]
    missing = lines(command, 2, LD_LIBRARY_PATH=library)
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
    script = str(ROOT / "examples" / "embed" / "ctypes" / "host.py")
    case = next(case for case in GROUPS[0][2] if case["reject"])
    command = [sys.executable, script, str(built / "build" / "libedgeirf.so"), str(BUNDLE), frame_of(case)]
    check_line(case, lines(command, 1)[0])  # the others: test_library.py, with the same binding


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
