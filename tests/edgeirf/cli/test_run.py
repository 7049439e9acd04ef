"""``edgeirf run`` as a user starts it: real processes, real signals, real exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import pytest

from edgeirf.cli import main
from edgeirf.verdict import STAGES

COMMAND = [sys.executable, "-m", "edgeirf", "run"]


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def here(tmp_path: Path, tiny_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with one bundle in it, on a machine without a display."""
    (tmp_path / "tiny.irf").write_bytes(tiny_path.read_bytes())
    monkeypatch.chdir(tmp_path)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def edgeirf(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Runs ``edgeirf run`` in this process, from the entry point on."""

    def run(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["edgeirf", "run", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return Done(int(ended.value.code or 0), *capsys.readouterr())

    return run


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def write_parts(folder: Path, good: Any, bad: Any, kinds: str) -> None:
    """One image a letter: g good, b bad, x unreadable."""
    folder.mkdir()
    for number, kind in enumerate(kinds):
        path = folder / f"{number}.png"
        if kind == "x":
            path.write_bytes(b"\x89PNG\r\n\x1a\nno more")
        else:
            cv2.imwrite(str(path), {"g": good, "b": bad}[kind](number, (128, 128)))


def test_a_folder_of_parts(here: Path, edgeirf: Run, good: Any, bad: Any) -> None:
    write_parts(here / "parts", good, bad, "ggbgb")
    done = edgeirf("--camera", "parts", "--jsonl", "out.jsonl", "--save-rejects", "rejects")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    first, last = done.stdout.splitlines()
    assert first.startswith("tiny.irf: tiny@")
    assert "at most 1.00% of good parts" in first
    assert last.startswith("5 frames")
    assert "2 rejected" in last
    verdicts = rows(here / "out.jsonl")
    assert [row["reject"] for row in verdicts] == [False, False, True, False, True]
    assert set(verdicts[0]) == {
        *("frame_id", "source", "captured_at", "score", "p_value", "reject", "status", "regions", "latency_ms"),
        *("model", "threshold", "pixel_threshold", "product", "scale"),
    }
    assert {*STAGES} - {"download"} == set(verdicts[0]["latency_ms"])
    assert all(row["latency_ms"]["camera_to_verdict"] >= row["latency_ms"]["total"] for row in verdicts)
    saved = sorted(path.name for path in (here / "rejects").iterdir())
    assert saved == ["000002_2.png", "000002_2_overlay.jpg", "000004_4.png", "000004_4_overlay.jpg"]


def test_a_folder_of_colour_filter_frames(here: Path, edgeirf: Run, good: Any, bad: Any) -> None:
    """Gray pictures that are what a Bayer sensor saw; one has an odd size."""
    (here / "parts").mkdir()
    for number, frame in enumerate((good(1, (128, 128)), bad(2, (128, 128)), bad(3, (127, 128)))):
        cv2.imwrite(str(here / "parts" / f"{number}.png"), cv2.blur(frame, (3, 3))[..., 1])
    options = ("--camera", "parts", "--jsonl", "out.jsonl", "--save-rejects", "rejects")
    done = edgeirf(*options, "--pixel-format", "bayer_grbg8")
    assert done.returncode == 1
    assert "even sides of at least 4 pixels, not 128x127" in done.stderr
    assert "1 of 3 frames could not be inspected" in done.stderr
    assert [(row["reject"], row["status"]) for row in rows(here / "out.jsonl")] == [
        (False, "ok"), (True, "ok"), (True, "error")
    ]  # fmt: skip
    saved = {path.name: cv2.imread(str(path), cv2.IMREAD_UNCHANGED).ndim for path in (here / "rejects").iterdir()}
    assert saved == {"000001_1.png": 3, "000001_1_overlay.jpg": 3, "000002_2.png": 2}
    wrong = edgeirf(*options, "--pixel-format", "yuyv")
    assert wrong.returncode == 2
    assert "no pixel format 'yuyv'" in wrong.stderr


@pytest.mark.parametrize("encoding", ["ascii", "euc-jp", "utf-8"])
def test_no_character_of_a_name_ends_a_run(here: Path, good: Any, encoding: str) -> None:
    (here / "parts").mkdir()
    for number, name in enumerate((b"caf\xe9.png", "Bütte·部.png".encode(), b"a\x1b[31m\nb.png", b"x")):
        picture = cv2.imencode(".png", good(number, (128, 128)))[1].tobytes()
        (here / "parts" / os.fsdecode(name)).write_bytes(picture if name != b"x" else b"text")
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    command = [*COMMAND, "-c", "parts", "--jsonl", "out.jsonl"]
    done = subprocess.run(command, cwd=here, capture_output=True, timeout=120, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert b"\x1b" not in done.stdout + done.stderr
    assert done.stderr.decode("ascii").splitlines() == ["parts: passed over: 1 other file (x)"]
    sources = [row["source"] for row in rows(here / "out.jsonl")]
    assert sources == ["parts/a\\x1b[31m\\nb.png", "parts/Bütte·部.png", "parts/caf\\xe9.png"]


def test_pictures_that_were_passed_over_are_an_error_exit(here: Path, edgeirf: Run, good: Any, bad: Any) -> None:
    write_parts(here / "parts", good, bad, "gg")
    (here / "parts" / "1.png").rename(here / "parts" / ".1.png")
    done = edgeirf("--camera", "parts")
    assert done.returncode == 1
    assert "1 frames" in done.stdout
    assert done.stderr.splitlines() == [
        "edgeirf: not everything was inspected: parts: passed over: 1 hidden; name them to inspect them"
    ]


def test_an_unreadable_image_is_one_line_and_the_rest_goes_on(here: Path, edgeirf: Run, good: Any, bad: Any) -> None:
    write_parts(here / "parts", good, bad, "gxgx")
    done = edgeirf("--camera", "parts", "--jsonl", "out.jsonl")
    assert done.returncode == 1
    assert [line.partition(": ")[2] for line in done.stderr.splitlines()] == [
        "parts/1.png: is cut short",
        "parts/3.png: is cut short",
        "2 of 4 frames could not be inspected and count as rejects",
    ]
    assert [(row["status"], row["reject"]) for row in rows(here / "out.jsonl")] == [("ok", False), ("error", True)] * 2


def test_a_video_cut_short_is_reported_at_its_end_and_ffmpeg_keeps_quiet(here: Path, good: Any) -> None:
    path = here / "parts.avi"
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (64, 64))
    for number in range(30):
        writer.write(good(number))
    writer.release()
    path.write_bytes((data := path.read_bytes())[: len(data) // 2])
    command = [*COMMAND, "-c", "parts.avi", "--jsonl", "out.jsonl"]
    done = subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    count = len(rows(here / "out.jsonl"))
    assert 8 < count < 20
    assert done.stderr.splitlines() == [
        f"edgeirf: parts.avi: frame {count - 1} is cut short: its end-of-image marker is missing",
        f"edgeirf: parts.avi ends after {count} frames: it is cut short or damaged",
    ]
    assert [row["status"] for row in rows(here / "out.jsonl")] == ["ok"] * (count - 1) + ["error"]
    assert done.stdout.splitlines()[-1].startswith(f"{count} frames")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--camera", "79"], 1, "cannot open camera 79: there is no /dev/video79"),
        (["--camera", "missing"], 1, "there is no missing"),
        (["--camera", "test://?colour=red"], 2, "has no 'colour'"),
        (["--camera", "test://", "--model", "other.irf"], 1, "cannot read other.irf"),
        (["--camera", "test://", "--precision", "int8"], 2, "has no int8"),
        (["--camera", "test://", "--device", "abacus"], 2, "unknown device 'abacus'"),
        (["--camera", "test://", "--product", "left"], 2, "knows no product 'left'"),
        (["--camera", "test://", "--false-reject-rate", "2"], 2, "lies between 0 and 1"),
        (["--camera", "test://", "--show"], 1, "--show needs a display"),
        (["--camera", "test://", "--jsonl", "."], 1, "cannot write ."),
        (["--camera", "test://", "--save-rejects", "tiny.irf/x"], 1, "cannot create the folder"),
    ],
)
def test_what_cannot_be_done_is_one_clear_line(
    here: Path, edgeirf: Run, arguments: list[str], code: int, message: str
) -> None:
    done = edgeirf(*arguments)
    assert done.returncode == code
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("edgeirf: ")
    assert message in done.stderr


def test_options_that_the_parser_refuses_are_wrong_use(here: Path, edgeirf: Run) -> None:
    for arguments in (["--max-frames", "0"], ["--threads", "none"], ["--nonsense"]):
        assert edgeirf("--camera", "test://", *arguments).returncode == 2


def test_without_a_bundle_it_says_what_to_do(tmp_path: Path, edgeirf: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = edgeirf("--camera", "test://")
    assert done.returncode == 2
    assert "no .irf file here" in done.stderr


def test_the_newest_bundle_is_taken_and_named(here: Path, edgeirf: Run, tiny_bundle: Any) -> None:
    tiny_bundle(here / "newer.irf", name="newer", held_out=20)
    os.utime(here / "tiny.irf", (1, 1))
    done = edgeirf("--camera", "test://?size=64&count=1")
    assert done.returncode == 0
    assert done.stdout.startswith("newer.irf: newer@")
    assert "the 20 held-out parts can promise no less than 4.76% (that needs 99 of them)" in done.stdout
    assert "note" not in edgeirf("-c", "test://?size=64&count=1", "--false-reject-rate", "0.05").stdout


def test_rejects_fail_only_where_asked_for(here: Path, edgeirf: Run, good: Any, bad: Any) -> None:
    write_parts(here / "parts", good, bad, "gb")
    assert edgeirf("--camera", "parts").returncode == 0
    done = edgeirf("--camera", "parts", "--fail-on-reject")
    assert done.returncode == 1
    assert done.stderr == ""
    assert edgeirf("--camera", "parts/0.png", "--fail-on-reject").returncode == 0


def test_standard_output_is_for_verdicts_alone_when_asked_for(here: Path, edgeirf: Run) -> None:
    done = edgeirf("--camera", "test://?size=64", "--max-frames", "3", "--jsonl", "-")
    assert done.returncode == 0
    assert [json.loads(line)["frame_id"] for line in done.stdout.splitlines()] == [0, 1, 2]
    assert done.stderr.splitlines()[-1].startswith("3 frames")


def test_a_reader_that_goes_away_ends_the_run_quietly(here: Path) -> None:
    command = [*COMMAND, "--camera", "test://?size=64", "--jsonl", "-"]
    with subprocess.Popen(command, cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        json.loads(process.stdout.readline())
        process.stdout.close()
        assert process.wait(60) == 1
        assert b"Traceback" not in process.stderr.read()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_with_everything_written(here: Path, number: int) -> None:
    path = here / "out.jsonl"
    command = [*COMMAND, "--camera", "test://?size=64&rate=50&defects=0.5", "--jsonl", str(path), "--save-rejects", "r"]
    with subprocess.Popen(command, cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not (path.exists() and path.read_text().count("\n") >= 5):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert err == ""
    verdicts = rows(path)
    assert [row["frame_id"] for row in verdicts] == list(range(len(verdicts)))
    assert out.splitlines()[-1].startswith(f"{len(verdicts)} frames")
    rejected = sum(row["reject"] for row in verdicts)
    assert rejected > 0
    assert len(list((here / "r").glob("*_overlay.jpg"))) == rejected
    assert not list((here / "r").glob(".*"))
