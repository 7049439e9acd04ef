from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgeirf.bundle import Bundle


@pytest.fixture
def folder(tmp_path: Path, good: Callable[..., NDArray[np.uint8]]) -> Path:
    place = tmp_path / "fresh"
    place.mkdir()
    for at in range(22):
        cv2.imwrite(str(place / f"{at}.png"), good(500 + at))
    return place


def test_writes_a_bundle_and_a_page_and_says_both_thresholds(
    edgeirf_command: Callable[..., Any], tiny_path: Path, folder: Path, tmp_path: Path
) -> None:
    target = tmp_path / "new.irf"
    code, out, _ = edgeirf_command("recalibrate", tiny_path, folder, "-o", target)
    assert code == 0
    old, new = (Bundle.read(p).manifest.models["fp32"].calibration["part"] for p in (tiny_path, target))
    assert f"threshold {old.score_threshold(0.01):.4g} before, {new.score_threshold(0.01):.4g} now" in out
    assert "22 fresh good parts promise at most 4.35 % false rejects (1 % asked for; 1 % before)" in out
    assert f"wrote {target} and {tmp_path / 'new.html'}" in out
    page = (tmp_path / "new.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "thresholds before and after" in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["BUNDLE", "PLACE", "-o", "BUNDLE"], "exists: --force overwrites it"),
        (["BUNDLE", "PLACE", "-o", "NEW", "--report", "page.txt"], "the report is a web page"),
        (["BUNDLE", "PLACE", "-o", "NEW", "--product", "lid"], "knows no product 'lid'"),
        (["BUNDLE", "PLACE", "-o", "NEW", "--exclude", "none.txt"], "cannot read the list none.txt"),
    ],
)
def test_a_wrong_use_is_one_line(
    edgeirf_command: Callable[..., Any],
    tiny_path: Path,
    folder: Path,
    tmp_path: Path,
    arguments: list[str],
    message: str,
) -> None:
    places = {"BUNDLE": tiny_path, "PLACE": folder, "NEW": tmp_path / "new.irf"}
    code, _, err = edgeirf_command("recalibrate", *(places.get(word, word) for word in arguments))
    assert code == 2
    assert message in err
    assert not (tmp_path / "new.irf").exists()


def test_a_missing_folder_is_one_line(edgeirf_command: Callable[..., Any], tiny_path: Path, tmp_path: Path) -> None:
    code, _, err = edgeirf_command("recalibrate", tiny_path, tmp_path / "none", "-o", tmp_path / "new.irf")
    assert code == 1
    assert "cannot read the folder" in err


def test_no_library_of_training_is_needed(tiny_path: Path, folder: Path, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "for name in ('torch', 'onnx', 'sklearn', 'scipy', 'safetensors'): sys.modules[name] = None\n"
        "from edgeirf.cli import main\nmain()"
    )
    target = tmp_path / "new.irf"
    command = [sys.executable, "-c", code, "recalibrate", str(tiny_path), str(folder), "-o", str(target)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert target.is_file()
