from __future__ import annotations

import builtins
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import edgeirf
from edgeirf.bundle import Bundle
from edgeirf.line_graph import MEMBER

Command = Callable[..., Any]


@pytest.fixture(scope="module")
def two(tiny_bundle: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("two") / "two.irf", products=("part", "lid"), held_out=9)


def test_a_bundle_gives_a_bare_graph_that_asks_for_the_frame_alone(
    edgeirf_command: Command, tiny_path: Path, tmp_path: Path, bad: Callable[..., Any]
) -> None:
    file = tmp_path / "line.onnx"
    code, out, _ = edgeirf_command("export", tiny_path, "--standalone", file)
    assert code == 0
    assert f"wrote {file} (" in out
    assert "bgr8 frames of 'part', fp32; a bare file has no seal" in out
    score, reject = onnxruntime.InferenceSession(file).run(["score", "reject"], {"frame": bad(3)})
    verdict = edgeirf.load(tiny_path, device="cpu", threads=1)(bad(3))
    assert bool(reject) == verdict.reject
    assert float(score) == pytest.approx(verdict.score, rel=1e-5)
    code, _, err = edgeirf_command("export", tiny_path, "--standalone", file)
    assert (code, "exists: --force overwrites it" in err) == (2, True)


def test_format_product_and_precision_are_fixed_in_it(edgeirf_command: Command, two: Path, tmp_path: Path) -> None:
    file = tmp_path / "line.onnx"
    options = ("--product", "lid", "--pixel-format", "nv12", "--precision", "fp32")
    assert edgeirf_command("export", two, "--standalone", file, *options).code == 0
    said = onnxruntime.InferenceSession(file).get_modelmeta().custom_metadata_map
    assert (said["edgeirf.product"], said["edgeirf.pixel_formats"]) == ("lid", "nv12")


def test_a_bundle_gets_its_graph_or_loses_it(edgeirf_command: Command, tiny_path: Path, tmp_path: Path) -> None:
    renewed, without = tmp_path / "renewed.irf", tmp_path / "without.irf"
    assert "with line.onnx" in edgeirf_command("export", tiny_path, "-o", renewed).out
    assert MEMBER in Bundle.read(renewed).manifest.members
    assert "line.onnx, " in edgeirf_command("info", renewed).out
    assert "without line.onnx" in edgeirf_command("export", renewed, "-o", without, "--no-standalone").out
    old, new = Bundle.read(tiny_path), Bundle.read(without)
    assert old.manifest.members == new.manifest.members
    assert np.array_equal(old.golden["scores"], new.golden["scores"])
    assert "no line.onnx" in edgeirf_command("info", without).out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "is a bundle: --standalone FILE.onnx writes its graph"),
        (("--method", "irf"), "--method is for runs"),
        (("--keep-odd", "-o", "NEW"), "--keep-odd is for runs"),
        (("--standalone", "FILE.txt"), "name it FILE.onnx, not"),
        (("--standalone", "FILE.onnx"), "choose one with --product: part, lid"),
        (("--standalone", "FILE.onnx", "--product", "cap"), "knows no product 'cap'"),
        (("--standalone", "FILE.onnx", "--pixel-format", "yuv9"), "there is no pixel format 'yuv9'"),
        (("--standalone", "FILE.onnx", "--product", "lid", "--precision", "int8"), "has no int8 for onnxruntime"),
        (("--pixel-format", "nv12", "-o", "NEW"), "go with --standalone"),
        (("-o", "BUNDLE"), "exists: --force overwrites it"),
    ],
)
def test_a_wrong_use_is_one_line(
    edgeirf_command: Command, two: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    places = {
        "FILE.onnx": tmp_path / "f.onnx",
        "FILE.txt": tmp_path / "f.txt",
        "NEW": tmp_path / "n.irf",
        "BUNDLE": two,
    }
    code, out, err = edgeirf_command("export", two, *(places.get(word, word) for word in options))
    assert (code, out) == (2, "")
    assert message in err.replace("\n", " ")
    assert not list(tmp_path.iterdir())


def test_a_missing_library_is_one_line_that_says_what_to_install(
    edgeirf_command: Command, tiny_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = builtins.__import__

    def without_onnx(name: str, *rest: Any) -> Any:
        if name == "onnx":
            raise ImportError("No module named 'onnx'")
        return original(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_onnx)
    code, _, err = edgeirf_command("export", tiny_path, "--standalone", tmp_path / "line.onnx")
    assert (code, err.count("\n")) == (1, 1)
    assert "needs ONNX (No module named 'onnx'): pip install onnx" in err
