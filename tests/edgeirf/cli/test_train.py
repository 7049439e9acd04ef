from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgeirf.bundle import Bundle


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """Ten small pictures that differ a little."""
    folder = tmp_path / "parts"
    folder.mkdir()
    for seed in range(10):
        picture = np.random.default_rng(seed).integers(100, 140, (64, 64, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f"{seed}.png"), picture)
    return folder


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "name a folder of good parts"),
        (("DIR", "--resume", "DIR"), "name a folder of good parts"),
        (("DIR", "--device", "tpu"), "--device is auto, cpu or cuda"),
        (("DIR", "--amp", "fp8"), "--amp is auto, bf16 or off"),
        (("DIR", "--method", "gan"), "--method is irf or invad, not 'gan'"),
        (("DIR", "--roi", "1,2,3"), "1,2,3"),
        (("DIR", "--tiles", "2by3"), "2by3"),
        (("DIR", "--tolerate", "fog=1"), "fog"),
    ],
)
def test_wrong_options_are_one_line(
    edgeirf_command: Callable[..., Any], parts: Path, options: tuple[str, ...], message: str
) -> None:
    code, out, err = edgeirf_command("train", *(parts if option == "DIR" else option for option in options))
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_a_run_is_trained_and_exported(edgeirf_command: Callable[..., Any], parts: Path, tmp_path: Path) -> None:
    run, bundle = tmp_path / "run", tmp_path / "part.irf"
    options = ("--preset", "nano", "--size", "64", "--steps", "2", "--batch", "2", "--tolerate", "off")
    code, out, err = edgeirf_command("train", parts, "--output", run, *options)
    assert code == 0, err
    assert f"next: edgeirf export {run}" in out.replace("\n", " ")
    assert "is finished" in edgeirf_command("train", "--resume", run).err
    bare = ("--standalone", tmp_path / "part.onnx", "--pixel-format", "nv12")
    code, out, err = edgeirf_command("export", run, "--output", bundle, "--precision", "fp32", *bare)
    assert code == 0, err
    assert "2 held-out pictures" in out
    assert "nv12 frames of 'part" in out
    assert "line.onnx" in Bundle.read(bundle).manifest.members
    assert "--force overwrites it" in edgeirf_command("export", run, "--output", bundle).err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "PLACE", "--exclude", "absent.txt"], "cannot read the list absent.txt"),
        (["train", "--resume", "PLACE", "--exclude", "absent.txt"], "--exclude is for a new run"),
        (["export", "PLACE", "--odd-page", "odd.pdf"], "call it odd.html"),
        (["export", "PLACE", "--odd-page", "PLACE"], "is a folder: name a file"),
        (["tune", "BUNDLE", "PLACE", "--run", "PLACE"], "is not a training run"),
        (["tune", "BUNDLE", "PLACE", "--run", "PLACE", "--output", "BUNDLE"], "exists: --force overwrites it"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(
    edgeirf_command: Callable[..., Any], tiny_path: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    places = {"PLACE": tmp_path, "BUNDLE": tiny_path}
    code, out, err = edgeirf_command(*(places.get(argument, argument) for argument in arguments))
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
