from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="training needs torch")

Command = Callable[..., Any]


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
    edgeirf_command: Command, tiny_path: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    places = {"PLACE": tmp_path, "BUNDLE": tiny_path}
    code, out, err = edgeirf_command(*(places.get(argument, argument) for argument in arguments))
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
