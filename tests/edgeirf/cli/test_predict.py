from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest


@pytest.fixture
def parts(tmp_path: Path, good: Any, bad: Any) -> Path:
    folder = tmp_path / "parts"
    folder.mkdir()
    for name, frame in (("a", good(1)), ("b", bad(2)), ("c", good(3))):
        cv2.imwrite(str(folder / f"{name}.png"), frame)
    return folder


def test_a_folder_becomes_a_table_and_a_heat_map_of_each(
    tmp_path: Path, parts: Path, tiny_path: Path, edgeirf_command: Callable[..., Any]
) -> None:
    done = edgeirf_command("predict", parts, "-m", tiny_path, "-o", tmp_path / "heat", "--json", tmp_path / "v.json")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert [line.split()[0] for line in lines[2:5]] == ["pass", "REJECT", "pass"]
    assert lines[-1] == "3 pictures, 1 rejects"
    assert all(line == line.rstrip() for line in lines)
    assert sorted(path.name for path in (tmp_path / "heat").iterdir()) == ["0000_a.jpg", "0001_b.jpg", "0002_c.jpg"]
    assert [row["reject"] for row in json.loads((tmp_path / "v.json").read_text())] == [False, True, False]
    again = edgeirf_command("predict", parts, "-m", tiny_path, "-o", tmp_path / "heat")
    assert (again.code, again.out) == (2, "")
    assert "is not empty" in again.err


@pytest.mark.parametrize(("threshold", "rejects"), [("1e9", 0), ("-1", 2)])
def test_a_threshold_by_hand(
    parts: Path, tiny_path: Path, edgeirf_command: Callable[..., Any], threshold: str, rejects: int
) -> None:
    files = [parts / "a.png", parts / "b.png"]
    done = edgeirf_command("predict", *files, "-m", tiny_path, "--threshold", threshold, "--fail-on-reject")
    assert done.out.splitlines()[-1] == f"2 pictures, {rejects} rejects"
    assert done.code == (1 if rejects else 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere is not there"),
        (["{empty}"], "holds no pictures"),
        (["{parts}", "--threshold", "nan"], "a threshold is a finite score"),
        (["{parts}", "--threshold", "1", "--false-reject-rate", "0.1"], "without a false-reject rate"),
        (["{parts}", "--json", "{parts}"], "cannot write"),
        (["{parts}", "-o", "{parts}/a.png/x"], "cannot write"),
    ],
)
def test_wrong_use_is_one_line(
    tmp_path: Path,
    parts: Path,
    tiny_path: Path,
    edgeirf_command: Callable[..., Any],
    arguments: list[str],
    message: str,
) -> None:
    (tmp_path / "empty").mkdir()
    given = [a.format(parts=parts, empty=tmp_path / "empty") for a in arguments]
    done = edgeirf_command("predict", *given, "-m", tiny_path)
    assert done.code in (1, 2)
    assert message in done.err
    assert done.err.count("\n") == 1


def test_a_picture_that_cannot_be_read_is_a_reject_and_a_name_moves_no_cursor(
    parts: Path, tiny_path: Path, edgeirf_command: Callable[..., Any]
) -> None:
    (parts / "d\x1b[31m[bold]\n.png").write_bytes(b"no picture")
    done = edgeirf_command("predict", parts, "-m", tiny_path)
    assert done.code == 1
    assert "\x1b" not in done.out + done.err
    assert "d\\x1b[31m[bold]\\n.png" in done.out
    assert "1 of 4 pictures could not be inspected" in done.err


def test_what_a_folder_holds_and_is_not_inspected_is_an_error_at_the_end(
    tmp_path: Path, parts: Path, tiny_path: Path, edgeirf_command: Callable[..., Any]
) -> None:
    (parts / ".hidden.png").write_bytes((parts / "a.png").read_bytes())
    (parts / "a.png").rename(parts / "a\x1b[31m.png")
    done = edgeirf_command("predict", parts, "-m", tiny_path, "-o", tmp_path / "heat")
    assert done.code == 1
    assert done.out.splitlines()[-1].startswith("3 pictures")
    assert "1 hidden" in done.err
    assert done.err.endswith("1 pictures and videos were passed over: name them to inspect them\n")
    assert all(path.name.isprintable() for path in (tmp_path / "heat").iterdir())
