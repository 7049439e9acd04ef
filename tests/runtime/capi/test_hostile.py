"""Hostile bundles through the library, built with AddressSanitizer and UndefinedBehaviorSanitizer.

``EDGEIRF_FUZZ=200000`` reads so many mutants, and loads a hundredth as many damaged graphs.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import random
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from embed_vectors import ROOT, VECTORS, needs

from edgeirf.bundle import SEAL, Bundle
from edgeirf.line_graph import OPERATORS
from edgeirf.onnx_check.shapes import RULES
from edgeirf.runtime.capi.sources import FOLDER, onnxruntime_library
from edgeirf.runtime.scoring import find_regions

MUTANTS = int(os.environ.get("EDGEIRF_FUZZ", "40"))

# hostile BUNDLE N: reads N mutants of a bundle, each sealed again.
# hostile ONNXRUNTIME load BUNDLE ...: loads each, and inspects a gray frame with it.
# hostile regions MAP WIDTH HEIGHT: finds the regions above 0.7.
PROGRAM = """
#include "edgeirf.cpp"

static uint32_t next(uint32_t &state) {
  state = state * 1664525 + 1013904223;
  return state >> 8;
}

static void seal_again(Bytes &data) {
  const std::string hex = sha256_hex(data.data(), data.size() - 64);
  std::memcpy(&data[data.size() - 64], hex.data(), 64);
}

static void mutate(Bytes &data, uint32_t &random) {
  for (unsigned changes = 1 + next(random) % 4; changes--;) {
    const bool directory = next(random) % 2;  // half of the changes where the structure is
    const size_t body = data.size() - 64 - kSealSize, from = directory ? body - 400 : 0;
    const size_t at = from + next(random) % (body - from);
    data[at] = next(random) % 3 ? uint8_t(next(random)) : uint8_t(next(random) % 2 ? 0xff : 0);
  }
  if (next(random) % 4) return;
  const size_t at = next(random) % (data.size() - 200);
  data.erase(data.begin() + long(at), data.begin() + long(at + 1 + next(random) % 40));
}

static void read_mutants(const char *path, int count) {
  const Bytes whole = read_file(path);
  uint32_t random = 1;
  long read = 0, refused = 0;
  while (count--) {
    Bytes data = whole;
    mutate(data, random);
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

static void load(const char *onnxruntime, const char *path) {
  edgeirf_options options = EDGEIRF_OPTIONS;
  options.onnxruntime = onnxruntime;
  edgeirf *line = nullptr;
  const int32_t code = edgeirf_load(path, &options, &line);
  const std::string said = edgeirf_last_error();
  const Bytes gray(128 * 96, 128);
  edgeirf_verdict verdict = EDGEIRF_VERDICT;
  edgeirf_region regions[4];
  std::vector<float> map(line ? line->map_values() : 0);
  const int32_t inspected = edgeirf_inspect(line, gray.data(), 128, 96, 0, EDGEIRF_GRAY8, &verdict, regions, 4,
                                            map.empty() ? nullptr : map.data(), int32_t(map.size()));
  std::printf("%d %d %d %s\\n", code, inspected, verdict.reject, said.c_str());
  edgeirf_free(line);
}

// The regions of a map in a file of floats, in a frame of 1280x1024 pixels at 3,5.
static void regions_of(const char *path, int width, int height, double limit) {
  const Bytes data = read_file(path);
  std::vector<float> map(data.size() / sizeof(float));
  std::memcpy(map.data(), data.data(), data.size());
  for (const edgeirf_region &r : find_regions(map.data(), width, height, limit, {3, 5, 1280, 1024}))
    std::printf("%d %d %d %d %d %.9g\\n", r.x, r.y, r.width, r.height, r.area, double(r.peak));
}

int main(int count, char **arguments) {
  if (count == 3) return read_mutants(arguments[1], std::atoi(arguments[2])), 0;
  if (count == 5 && !std::strcmp(arguments[1], "regions"))
    return regions_of(arguments[2], std::atoi(arguments[3]), std::atoi(arguments[4]), 0.7), 0;
  for (int i = 3; i < count; ++i) load(arguments[1], arguments[i]);
}
"""


@pytest.fixture(scope="session")
def hostile(built_once: Callable[[str, Callable[[Path], None]], Path]) -> Callable[..., list[str]]:
    """``hostile(argument, ...)``: what the sanitized program prints; a sanitizer that finds a fault ends it."""

    def build(out: Path) -> None:
        needs("g++")
        source = out.with_name(f"{out.name}.cpp")
        source.write_text(PROGRAM)
        flags = ["-std=c++17", "-O0", "-fsanitize=address,undefined", "-fsanitize-undefined-trap-on-error"]
        subprocess.run(["g++", *flags, f"-I{FOLDER}", str(source), "-o", str(out), "-ldl"], check=True)

    program = built_once("hostile", build)

    def run(*arguments: object) -> list[str]:
        done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout.splitlines()

    return run


@pytest.fixture(scope="session")
def loaded(hostile: Callable[..., list[str]]) -> Callable[..., list[str]]:
    """``loaded(bundle, ...)``: what the library says of each."""
    library = onnxruntime_library()
    if library is None:
        pytest.skip("this onnxruntime package has no shared library")

    def load(*bundles: Path) -> list[str]:
        said = hostile(library, "load", *bundles)
        assert len(said) == len(bundles)
        return said

    return load


def test_the_bundle_as_it_is(loaded: Callable[..., list[str]]) -> None:
    assert loaded(VECTORS / "whole.irf")[0].startswith("0 0 ")


def test_mutants_with_a_good_seal(hostile: Callable[..., list[str]]) -> None:
    read, refused = map(int, hostile(VECTORS / "whole.irf", MUTANTS)[0].split())
    assert read > 5
    assert refused > 5


def seal(body: bytes) -> bytes:
    return body + hashlib.sha256(body).hexdigest().encode()


def test_flipped_bits_and_cut_files(loaded: Callable[..., list[str]], tmp_path: Path) -> None:
    good, rng = (VECTORS / "whole.irf").read_bytes(), random.Random(0)
    paths = []
    for index in range(20):
        data = bytearray(good)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        paths.append(tmp_path / f"flip{index}.irf")
        paths[-1].write_bytes(data)
    for length in (0, 1, 4, 30, 100, 5000, len(good) - 64, len(good) - 1):
        paths.append(tmp_path / f"cut{length}.irf")
        paths[-1].write_bytes(good[:length])
    assert {line[:5] for line in loaded(*paths)} == {"2 1 1"}  # refused as a bundle; the frame is a reject all the same


def test_damaged_graphs_behind_a_good_seal(loaded: Callable[..., list[str]], tmp_path: Path) -> None:
    """What the graph and its metadata say is not trusted either; whatever loads gives a verdict or an error."""
    good, rng = (VECTORS / "whole.irf").read_bytes()[: -64 - len(SEAL)], random.Random(1)
    metadata = good.index(b"edgeirf.schema", good.index(b"line.onnx"))
    paths = []
    for index in range(max(8, MUTANTS // 100)):
        body = bytearray(good)
        for _ in range(rng.randint(1, 3)):
            body[rng.randrange(metadata - 40, metadata + 700)] = rng.choice(
                (0, 1, 0x20, 0x39, 0xFF, rng.randrange(256))
            )
        paths.append(tmp_path / f"{index}.irf")
        paths[-1].write_bytes(seal(bytes(body) + SEAL))
    for line in loaded(*paths):
        code, inspected, reject, _ = line.split(" ", 3)
        assert code == inspected == "0" or reject == "1", line


WRONG = (
    (b"edgeirf.schema\x12\x011", b"edgeirf.schema\x12\x012", "is of schema 2, this library reads 1: upgrade"),
    (b"edgeirf.schema\x12\x011", b"edgeirf.schema\x12\x010", "no valid entry edgeirf.schema: export it again"),
    (b"edgeirf.schema\x12\x011", b"edgeirf.schemb\x12\x011", "no valid entry edgeirf.schema: export it again"),
    (b"edgeirf.min_width\x12\x0264", b"edgeirf.min_width\x12\x02-4", "no valid entry edgeirf.min_width"),
    (b"edgeirf.max_side\x12\x0565535", b"edgeirf.max_side\x12\x0565536", "no valid entry edgeirf.max_side"),
    (b"bgr8,rgb8,gray8,bgr16,rgb16,gray16", b"cmyk,luv8,yuva9,bgr32,rgb32,gray32", "edgeirf.pixel_formats"),
    (b'["part"]', b'[\\part"]', "no valid entry edgeirf.products"),
    (b'["part"]', b'["part]]', "no valid entry edgeirf.products"),
)


def test_metadata_that_is_wrong(loaded: Callable[..., list[str]], tmp_path: Path) -> None:
    good, paths = (VECTORS / "whole.irf").read_bytes()[: -64 - len(SEAL)], []
    for index, (old, new, _) in enumerate(WRONG):
        at = good.index(old, good.index(b"line.onnx"))
        paths.append(tmp_path / f"{index}.irf")
        paths[-1].write_bytes(seal(good[:at] + new + good[at + len(old) :] + SEAL))
    for said, (_, _, message) in zip(loaded(*paths), WRONG, strict=True):
        assert said.startswith("2 1 1")
        assert message in said


@pytest.mark.parametrize(("size", "levels"), [((31, 67), 10), ((64, 64), 1000), ((1, 90), 7), ((90, 1), 7)])
def test_regions_are_those_of_python(
    hostile: Callable[..., list[str]], tmp_path: Path, size: tuple[int, int], levels: int
) -> None:
    """Noise: many areas that touch at corners, meet late, or have equal peaks."""
    noise = np.random.default_rng(levels).integers(0, levels + 1, size)
    found = (noise / levels).astype(np.float32)
    found[size[0] // 2, size[1] // 2] = np.nan
    (tmp_path / "map").write_bytes(found.tobytes())
    want = [vars(region).values() for region in find_regions(found, 0.7, (3, 5, 1280, 1024))]
    assert hostile("regions", tmp_path / "map", size[1], size[0]) == [
        f"{' '.join(map(str, list(box)[:5]))} {list(box)[5]:.9g}" for box in want
    ]
    assert len(want) > 5


def module_at(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"hostile_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_attacks_of_the_bundles_own_test(loaded: Callable[..., list[str]], tmp_path: Path) -> None:
    tests = ROOT / "tests" / "edgeirf"
    manifest = module_at(tests / "conftest.py").manifest.__wrapped__()
    found: dict[str, tuple[bytes, str]] = module_at(tests / "test_bundle.py").hostile(manifest)
    attacks = {name: attack for name, attack in found.items() if len(attack[0]) < 10**6 or MUTANTS > 1000}
    paths = [tmp_path / f"{index}.irf" for index in range(len(attacks))]
    for path, (data, _) in zip(paths, attacks.values(), strict=True):
        path.write_bytes(data)
    for name, line in zip(attacks, loaded(*paths), strict=True):
        assert line.startswith("2 1 1"), (name, line)


def external_data(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="etc/passwd")


def function(model: onnx.ModelProto) -> None:
    node = onnx.helper.make_node("Identity", ["a"], ["b"])
    model.functions.append(onnx.helper.make_function("own", "F", ["a"], ["b"], [node], model.opset_import))


def graph_inside(model: onnx.ModelProto) -> None:
    inner = onnx.helper.make_graph([], "inner", [], [])
    model.graph.node[0].attribute.append(onnx.helper.make_attribute("body", inner))


FOREIGN: dict[str, tuple[Callable[[onnx.ModelProto], object], str]] = {
    "external data": (external_data, "an initializer has field 1"),
    "function": (function, "the model has field 25"),
    "graph inside": (graph_inside, "an attribute has field 6"),
    "loop": (lambda model: setattr(model.graph.node[0], "op_type", "Loop"), "operator Loop"),
    "memory": (lambda model: setattr(model.graph.node[0], "op_type", "ConstantOfShape"), "operator ConstantOfShape"),
    "node of a domain": (lambda model: setattr(model.graph.node[0], "domain", "evil"), "domain evil"),
    "set of a domain": (lambda model: model.opset_import.add(domain="ai.onnx.ml", version=3), "domain ai.onnx.ml"),
    "sparse": (lambda model: model.graph.sparse_initializer.add(), "the graph has field 15"),
}


def test_graphs_that_edgeirf_never_writes(loaded: Callable[..., list[str]], tmp_path: Path) -> None:
    """Before ONNX Runtime reads them: external data would be a file of this machine in the map."""
    good, paths = onnx.load_from_string(Bundle.read(VECTORS / "whole.irf").member("line.onnx")), []
    for name, (spoil, _) in FOREIGN.items():
        model = onnx.ModelProto()
        model.CopyFrom(good)
        spoil(model)
        paths.append(tmp_path / f"{name}.onnx")
        paths[-1].write_bytes(model.SerializeToString())
    for said, (name, (_, message)) in zip(loaded(*paths), FOREIGN.items(), strict=True):
        assert said.startswith("2 1 1"), (name, said)
        assert "not a graph that edgeirf exports" in said
        assert message in said


def test_the_operators_are_those_of_python() -> None:
    text = (FOLDER / "edgeirf.cpp").read_text().split("kOperators[] = {")[1].split("};")[0]
    assert sorted(re.findall('"([A-Za-z]+)"', text)) == sorted(OPERATORS | RULES.keys())
