from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgeirf.bundle import Bundle
from edgeirf.cli.export import default_line, threshold_lines


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--method", "gan"), "--method is irf or invad"),
        (("--gaussian", "round"), "--gaussian is standard, diagonal or full"),
        (("--engine", "openvino"), "tensorrt or tensorrt-rtx"),
        (("--target", "sm86"), "--target goes with"),
    ],
)
def test_wrong_options_are_one_line(
    edgeirf_command: Callable[..., Any], options: tuple[str, ...], message: str
) -> None:
    code, out, err = edgeirf_command("export", "run", *options)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_thresholds_say_what_so_few_parts_do_not_allow(tiny_bundle: Callable[..., Path], tmp_path: Path) -> None:
    few = Bundle.read(tiny_bundle(tmp_path / "few.irf", held_out=9)).manifest
    (line,) = threshold_lines(few)
    assert "from 9 held-out pictures, at most 10 % false rejects on average, 28 % with 95 % confidence (" in line
    assert line.endswith(" (1 % needs 99 held out, 495 in all)")
    (line,) = threshold_lines(replace(few, false_reject_rate=0.1))
    assert line.endswith("at most 10 % false rejects on average, 28 % with 95 % confidence")


def test_each_back_end_has_a_default(tiny_path: Path) -> None:
    assert default_line(Bundle.read(tiny_path)) == "default: fp32 on the CPU, fp32 with TensorRT"
