"""``edgeirf run line.toml``, ``--check`` and ``edgeirf init`` as a user starts them."""

from __future__ import annotations

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import pytest

from edgeirf.cli import main


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Done]

FILE = """[detector]
model = "tiny.irf"
device = "cpu"
[[camera]]
name = "top"
uri = "parts"
"""


@pytest.fixture
def here(tmp_path: Path, tiny_path: Path, monkeypatch: pytest.MonkeyPatch, good: Any, bad: Any) -> Path:
    """A folder with a bundle, a line and four parts, one of them bad."""
    (tmp_path / "tiny.irf").write_bytes(tiny_path.read_bytes())
    (tmp_path / "parts").mkdir()
    for number, frame in enumerate((good(1), good(2), bad(3), good(4))):
        cv2.imwrite(str(tmp_path / "parts" / f"{number}.png"), frame)
    (tmp_path / "line.toml").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def edgeirf(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command line in this process."""

    def run(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["edgeirf", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return Done(int(ended.value.code or 0), *capsys.readouterr())

    return run


def test_a_line_runs_and_says_what_it_did(here: Path, edgeirf: Run) -> None:
    done = edgeirf("run", "line.toml")
    assert done.returncode == 0
    assert done.stdout.splitlines()[0].startswith("top: tiny@")
    assert done.stdout.splitlines()[-1] == "4 parts · 1 rejected"
    assert done.stderr.splitlines() == ["edgeirf: READY", "edgeirf: RUNNING", "edgeirf: INIT"]
    assert edgeirf("run", "line.toml", "--fail-on-reject").returncode == 1
    assert edgeirf("run", "line.toml", "--max-frames", "2").stdout.splitlines()[-1] == "2 parts · 0 rejected"


def test_paths_are_relative_to_the_file(here: Path, edgeirf: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "elsewhere").mkdir()
    monkeypatch.chdir(here / "elsewhere")
    (here / "line.toml").write_text(f'{FILE}[records]\nrejects = "rejects"\n')
    assert edgeirf("run", "../line.toml").returncode == 0
    assert len(list((here / "rejects").glob("*_overlay.jpg"))) == 1


def test_what_is_wrong_in_the_file_is_a_line_each(here: Path, edgeirf: Run) -> None:
    (here / "line.toml").write_text('[detector]\nmodle = "tiny.irf"\n[[camera]]\nname = "top"\nuri = 0\n')
    done = edgeirf("run", "line.toml")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "edgeirf: line.toml:1: detector: model is missing",
        "edgeirf: line.toml:2: detector.modle: there is no such key; did you mean model?",
        "edgeirf: line.toml:5: camera.uri: expected text in quotes, not 0",
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["none.toml"], 2, "cannot read none.toml: No such file or directory"),
        (["line.toml", "--camera", "0"], 2, "leave --camera away"),
        (["--check"], 2, "edgeirf run line.toml --check"),
    ],
)
def test_wrong_use_is_one_line(here: Path, edgeirf: Run, arguments: list[str], code: int, message: str) -> None:
    done = edgeirf("run", *arguments)
    assert done.returncode == code
    assert len(done.stderr.splitlines()) == 1
    assert message in done.stderr


def test_check_says_of_everything_whether_it_works(here: Path, edgeirf: Run) -> None:
    done = edgeirf("run", "line.toml", "--check")
    assert done.returncode == 0
    assert done.stdout.splitlines() == ["camera top: works", "bundle of top: works", "trigger: works"]
    broken = FILE.replace("parts", "none") + '[records]\naudit = "tiny.irf/audit.db"\n'
    (here / "line.toml").write_text(broken)
    done = edgeirf("run", "line.toml", "--check")
    assert done.returncode == 1
    assert [line.partition(": ")[2][:14] for line in done.stdout.splitlines()] == [
        "FAILS: there i",
        "works",
        "works",
        "FAILS: cannot ",
    ]
    assert done.stderr.strip() == "edgeirf: 2 of the parts of line.toml do not work"


def test_check_says_that_the_peer_of_a_spool_is_away(here: Path, edgeirf: Run) -> None:
    spooled = '[[output]]\nkind = "webhook"\nname = "mes"\nurl = "http://127.0.0.1:1/"\nspool = "mes.spool"\n'
    (here / "line.toml").write_text(
        FILE + spooled + '[[output]]\nkind = "jsonl"\nname = "log"\npath = "tiny.irf/x.jsonl"\n'
    )
    done = edgeirf("run", "line.toml", "--check")
    said = [line for line in done.stdout.splitlines() if line.startswith("output")]
    assert done.returncode == 1
    assert said[0].startswith("output mes: FAILS: mes: ")
    assert said[1].startswith("output log: FAILS: log: ")
    assert not (here / "mes.spool").exists()


def test_a_camera_that_is_not_there_ends_the_start(here: Path, edgeirf: Run) -> None:
    (here / "line.toml").write_text(FILE.replace("parts", "none"))
    done = edgeirf("run", "line.toml")
    assert done.returncode == 1
    assert "there is no" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_init_writes_a_file_that_check_accepts(here: Path, edgeirf: Run) -> None:
    done = edgeirf("init", "new.toml", "--camera", "parts", "--yes")
    assert done.returncode == 0
    assert done.stdout.strip() == "new.toml is written; edit it, then: edgeirf run new.toml --check"
    assert edgeirf("run", "new.toml", "--check").returncode == 0
    assert edgeirf("run", "new.toml").stdout.splitlines()[-1] == "4 parts · 1 rejected"
    again = edgeirf("init", "new.toml", "--yes")
    assert (again.returncode, "--force" in again.stderr) == (2, True)
    assert edgeirf("init", "new.toml", "--force", "--yes", "--trigger", "http").returncode == 0
    assert edgeirf("init", "other.toml", "--trigger", "bell", "--yes").returncode == 2


def test_a_signal_ends_a_triggered_line_and_every_accepted_part_has_its_verdict(here: Path) -> None:
    file = FILE.replace('"parts"', '"test://?size=64&rate=50"')
    (here / "line.toml").write_text(f"[line]\ndeadline_ms = 5000\n{file}[trigger]\nkind = 'http'\nport = 0\n")
    command = [sys.executable, "-m", "edgeirf", "run", "line.toml"]
    with subprocess.Popen(command, cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        port = ""
        while not port:
            line = process.stderr.readline()
            assert line, process.communicate()
            port = line.rpartition(":")[2].strip() if "POST /trigger" in line else ""
        for part_id in range(3):
            body = json.dumps({"part_id": part_id}).encode()
            url = f"http://127.0.0.1:{port}"
            request = urllib.request.Request(f"{url}/trigger", body, {"Content-Type": "application/json"})
            assert json.load(urllib.request.urlopen(request, timeout=30))["accepted"]
        assert json.load(urllib.request.urlopen(f"{url}/state", timeout=30))["state"] == "RUNNING"
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=30)
        assert time.monotonic() - started < 20
    assert process.returncode == 0
    assert out.splitlines()[-1].startswith("3 parts · ")


def test_a_line_that_is_killed_leaves_an_audit_and_a_spool_that_the_next_run_goes_on_with(
    here: Path, edgeirf: Run
) -> None:
    log = '[[output]]\nkind = "jsonl"\nname = "log"\npath = "out.jsonl"\nspool = "log.spool"\n'
    file = FILE.replace('"parts"', '"test://?size=64"') + log + '[records]\naudit = "audit.db"\n'
    (here / "line.toml").write_text(file)
    nowhere = subprocess.DEVNULL
    command = [sys.executable, "-m", "edgeirf", "run", "line.toml"]
    with subprocess.Popen(command, cwd=here, stdout=nowhere, stderr=nowhere) as run:
        until = time.monotonic() + 60
        while not (here / "out.jsonl").exists() or (here / "out.jsonl").read_text().count("\n") < 5:
            assert time.monotonic() < until
            time.sleep(0.01)
        run.kill()
    assert edgeirf("history", "audit.db", "--verify").returncode == 0
    before = edgeirf("history", "audit.db", "--last", "0").stdout
    assert edgeirf("run", "line.toml", "--max-frames", "3").returncode == 0
    assert edgeirf("history", "audit.db", "--verify").returncode == 0
    audited = int(edgeirf("history", "audit.db", "--last", "0").stdout.split()[0])
    assert audited == int(before.split()[0]) + 3
    records = [json.loads(line)["id"] for line in (here / "out.jsonl").read_text().splitlines()]
    assert len(set(records)) == len(records)
    assert audited - 16 <= len(records) <= audited  # the verdicts between audit and spool had not gone out


def test_black_pictures_are_rejects(here: Path, edgeirf: Run) -> None:
    for picture in (here / "parts").iterdir():
        cv2.imwrite(str(picture), cv2.imread(str(picture)) * 0)
    assert edgeirf("run", "line.toml").stdout.splitlines()[-1] == "4 parts · 4 rejected"


def test_verdicts_that_an_output_never_got_are_an_error(here: Path, edgeirf: Run) -> None:
    (here / "line.toml").write_text(FILE + '[[output]]\nkind = "jsonl"\nname = "log"\npath = "tiny.irf/out.jsonl"\n')
    done = edgeirf("run", "line.toml")
    assert done.returncode == 1
    assert "log: 4 verdicts lost" in done.stdout
    assert "verdicts were lost to log" in done.stderr


def test_the_audit_trail_knows_what_inspected_each_part(here: Path, edgeirf: Run) -> None:
    (here / "line.toml").write_text(FILE + '[records]\naudit = "audit.db"\n')
    assert edgeirf("run", "line.toml").returncode == 0
    assert edgeirf("history", "audit.db", "--csv", "out.csv").returncode == 0
    rows = list(csv.DictReader((here / "out.csv").read_text().splitlines()))
    parts = [row for row in rows if row["part_id"]]
    assert len(parts) == 4
    assert {row["precision"] for row in parts} == {"fp32"}
    assert {row["device"] for row in parts} == {"cpu"}
    assert {len(row["model_sha256"]) for row in parts} == {64}
    assert edgeirf("history", "audit.db", "--verify").returncode == 0


@pytest.mark.parametrize("output", ["", '[[output]]\nkind = "jsonl"\nname = "log"\npath = "tiny.irf/out.jsonl"\n'])
def test_systemd_hears_that_the_line_is_up_also_where_an_output_is_away(
    here: Path, edgeirf: Run, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    (here / "line.toml").write_text(FILE + output)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("notify")
        monkeypatch.setenv("NOTIFY_SOCKET", str(here / "notify"))
        edgeirf("run", "line.toml")
        systemd.settimeout(0)
        heard = []
        with suppress(BlockingIOError):
            while True:
                heard.append(systemd.recv(4096).decode().splitlines()[0])
    assert "READY=1" in heard
    assert heard[-1] == "STOPPING=1"


def test_a_service_in_real_time_feeds_its_watchdog(here: Path) -> None:
    realtime = "[realtime]\npriority = 10\nlock_memory = false\ncores = [0]\n"
    (here / "line.toml").write_text(FILE.replace('"parts"', '"test://?size=64&rate=50"') + realtime)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(here / "notify"))
        systemd.settimeout(60)
        environment = {**os.environ, "NOTIFY_SOCKET": str(here / "notify"), "WATCHDOG_USEC": "400000"}
        command = [sys.executable, "-m", "edgeirf", "run", "line.toml", "--realtime"]
        with subprocess.Popen(command, cwd=here, env=environment, stdout=subprocess.PIPE, text=True) as process:
            heard: list[str] = []
            while heard.count("WATCHDOG=1") < 3:
                heard.append(systemd.recv(4096).decode().splitlines()[0])
            process.send_signal(signal.SIGTERM)
            out, _ = process.communicate(timeout=60)
        systemd.settimeout(0)
        with suppress(BlockingIOError):
            while True:
                heard.append(systemd.recv(4096).decode().splitlines()[0])
    assert "READY=1" in heard
    assert heard[-1] == "STOPPING=1"
    said = [line for line in out.splitlines() if line.startswith("real time: ")]
    assert len(said) == 3  # cores, slack, priority: granted or refused
    assert any("core" in line for line in said)
    assert process.returncode == 0


def test_a_pin_that_is_not_there_is_one_line(here: Path, edgeirf: Run) -> None:
    pytest.importorskip("gpiod")
    pin = '[trigger]\nkind = "gpio"\nchip = "/dev/gpiochip99"\nline = 17\n'
    (here / "line.toml").write_text(FILE.replace("[[camera]]", "[line]\ndeadline_ms = 500\n[[camera]]") + pin)
    done = edgeirf("run", "line.toml", "--check")
    assert done.returncode == 1
    assert "trigger: FAILS: cannot open /dev/gpiochip99 line 17" in done.stdout
    done = edgeirf("run", "line.toml")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
