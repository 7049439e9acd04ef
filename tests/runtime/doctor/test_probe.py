from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgeirf.runtime.doctor import System, probe


def test_the_probe_of_opencv_names_the_one_that_is_imported_and_what_it_opens() -> None:
    found = System().probe("opencv")
    assert Path(found["folder"]) == Path(cv2.__file__).parent
    assert found["numpy"] == np.__version__
    assert "FFMPEG" in found["opens"]
    assert found["gstreamer"] is ("GSTREAMER" in found["opens"])


@pytest.mark.parametrize("what", ["numpy", "opencv", "onnxruntime"])
def test_a_probe_answers_with_one_line_of_json(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    probe.main(what)
    assert json.loads(capsys.readouterr().out)["version"]


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (ModuleNotFoundError("No module named 'x'"), {"error": "No module named 'x'", "missing": True}),
        (OSError("libx.so: bad\nELF header"), {"error": "libx.so: bad", "missing": False}),
        (SystemExit(), {"error": "SystemExit", "missing": False}),
    ],
)
def test_a_probe_that_fails_answers_too(
    error: BaseException,
    answer: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken() -> dict[str, Any]:
        raise error

    monkeypatch.setitem(probe.PROBES, "numpy", broken)
    probe.main("numpy")
    assert json.loads(capsys.readouterr().out) == answer
