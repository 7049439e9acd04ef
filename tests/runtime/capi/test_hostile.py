"""Hostile bundles through the library, built with AddressSanitizer and UndefinedBehaviorSanitizer."""

from __future__ import annotations

import hashlib
import importlib.util
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from embed_vectors import ROOT, VECTORS

from edgeirf.bundle import SEAL
from edgeirf.runtime.capi.sources import FOLDER

# Reads mutants of bundles; the last argument is the number of mutants. Exit code 0: nothing was seen by the sanitizers.
FUZZ = """
#include "edgeirf.cpp"
#include <random>

static void seal_again(Bytes &data) {
  const std::string hex = sha256_hex(data.data(), data.size() - 64);
  std::memcpy(&data[data.size() - 64], hex.data(), 64);
}

int main(int, char **arguments) {
  const Bytes whole = read_file(arguments[1]);
  std::mt19937 random(1);
  long read = 0, refused = 0;
  for (int i = std::atoi(arguments[2]); i--;) {
    Bytes data = whole;
    for (unsigned changes = 1 + random() % 4; changes--;) {
      const bool directory = random() % 2;  // half of the changes where the structure is
      const size_t body = data.size() - 64 - kSealSize, from = directory ? body - 400 : 0;
      data[from + random() % (body - from)] = random() % 3 ? uint8_t(random()) : uint8_t(random() % 2 ? 0xff : 0);
    }
    if (random() % 4 == 0) {
      const size_t at = random() % (data.size() - 200);
      data.erase(data.begin() + long(at), data.begin() + long(at + 1 + random() % 40));
    }
    seal_again(data);
    try {
      const View view = member(data, "line.onnx");
      volatile uint8_t sum = 0;
      for (size_t k = 0; k < view.size; ++k) sum = uint8_t(sum ^ view.data[k]);
      ++read;
    } catch (const Error &) {
      ++refused;
    }
  }
  std::printf("%ld %ld\\n", read, refused);
}
"""

# Loads each bundle that is named, and inspects a black frame with it.
LOAD = """
#include "edgeirf.cpp"
int main(int count, char **arguments) {
  edgeirf_options options = EDGEIRF_OPTIONS;
  options.onnxruntime = arguments[1];
  const Bytes black(96 * 80 * 3);
  for (int i = 2; i < count; ++i) {
    edgeirf *line = nullptr;
    const int32_t code = edgeirf_load(arguments[i], &options, &line);
    edgeirf_verdict verdict = EDGEIRF_VERDICT;
    const auto *pixels = black.data();
    const int32_t inspected = edgeirf_inspect(line, pixels, 96, 80, 0, EDGEIRF_BGR8, &verdict, nullptr, 0, nullptr, 0);
    std::printf("%d %d %d %s\\n", code, inspected, verdict.reject, code ? edgeirf_last_error() : "loaded");
    edgeirf_free(line);
  }
}
"""


def sanitized(code: str) -> Callable[[Path], None]:
    def build(out: Path) -> None:
        if shutil.which("g++") is None:
            pytest.skip("g++ is not installed: apt install g++")
        source = out.with_name(f"{out.name}.cpp")
        source.write_text(code)
        flags = ["-std=c++17", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", f"-I{FOLDER}"]
        subprocess.run(["g++", *flags, str(source), "-o", str(out), "-ldl"], check=True)

    return build


def run(command: list[str | Path]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="session")
def loader(
    built_once: Callable[[str, Callable[[Path], None]], Path], onnxruntime_path: Path
) -> Callable[..., list[str]]:
    """``loader(bundle, ...)``: what the sanitized library says of each bundle."""
    program = built_once("hostile_load", sanitized(LOAD))
    return lambda *bundles: run([program, onnxruntime_path, *bundles]).splitlines()


def test_mutants_with_a_good_seal(built_once: Callable[[str, Callable[[Path], None]], Path]) -> None:
    program = built_once("hostile_fuzz", sanitized(FUZZ))
    read, refused = map(int, run([program, VECTORS / "whole.irf", "300"]).split())
    assert read > 10
    assert refused > 10


def seal(body: bytes) -> bytes:
    return body + hashlib.sha256(body).hexdigest().encode()


def test_flipped_bits_and_cut_files(loader: Callable[..., list[str]], tmp_path: Path) -> None:
    good, rng = (VECTORS / "whole.irf").read_bytes(), random.Random(0)
    paths = []
    for index in range(60):
        data = bytearray(good)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        paths.append(tmp_path / f"flip{index}.irf")
        paths[-1].write_bytes(data)
    for length in (0, 1, 4, 30, 100, 5000, len(good) - 64, len(good) - 1):
        paths.append(tmp_path / f"cut{length}.irf")
        paths[-1].write_bytes(good[:length])
    said = loader(*paths)
    assert len(said) == len(paths)
    assert {line[:5] for line in said} == {"2 1 1"}  # refused as a bundle; the frame is a reject all the same


def test_damaged_members_behind_a_good_seal(loader: Callable[..., list[str]], tmp_path: Path) -> None:
    """What the graph or its metadata say is not trusted either; whatever loads gives a verdict or an error."""
    good, rng = (VECTORS / "whole.irf").read_bytes()[: -64 - len(SEAL)], random.Random(1)
    start = good.index(b"line.onnx")
    metadata = good.index(b"edgeirf.graph", start)
    paths = []
    for index in range(60):
        body = bytearray(good)
        for _ in range(rng.randint(1, 3)):
            body[rng.randrange(metadata - 40, metadata + 500)] = rng.choice(
                (0, 1, 0x20, 0x7F, 0xFF, rng.randrange(256))
            )
        paths.append(tmp_path / f"{index}.irf")
        paths[-1].write_bytes(seal(bytes(body) + SEAL))
    said = loader(*paths)
    assert len(said) == len(paths)
    for line in said:
        code, inspected, reject, _ = line.split(" ", 3)
        assert code == inspected == "0" or reject == "1", line


def module_at(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"hostile_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_attacks_of_the_bundles_own_test(loader: Callable[..., list[str]], tmp_path: Path) -> None:
    tests = ROOT / "tests" / "edgeirf"
    manifest = module_at(tests / "conftest.py").manifest.__wrapped__()
    attacks: dict[str, tuple[bytes, str]] = module_at(tests / "test_bundle.py").hostile(manifest)
    paths = [tmp_path / f"{index}.irf" for index in range(len(attacks))]
    for path, (data, _) in zip(paths, attacks.values(), strict=True):
        path.write_bytes(data)
    for name, line in zip(attacks, loader(*paths), strict=True):
        assert line.startswith("2 1 1"), (name, line)
