"""A step that ended a process is not repeated by the next start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeirf import ending
from edgeirf.errors import BackendError
from edgeirf.runtime.cache.notes import Step, noted

STEP = Step("starting fp16 on Orin", ("a bundle",))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEIRF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def notes(cache: Path) -> list[str]:
    return [path.name for path in (cache / "notes").iterdir()]


def in_a_child(code: str) -> int:
    imports = "import os, signal, edgeirf.ending\nfrom edgeirf.runtime.cache.notes import Step, noted\n"
    step = f"with noted({STEP!r}, smaller=True):\n"
    return subprocess.run([sys.executable, "-c", imports + step + code], check=False, timeout=120).returncode


@pytest.fixture
def killed(cache: Path) -> None:
    assert in_a_child("    os.kill(os.getpid(), signal.SIGKILL)") == -signal.SIGKILL
    assert notes(cache) == [STEP.file]


@pytest.mark.usefixtures("killed")
def test_a_step_that_ended_a_process_is_refused_until_its_note_is_deleted(cache: Path) -> None:
    line = r"^a process ended while starting fp16 on Orin \([^\n]+\): delete \S+ to try it again$"
    for _ in range(2):
        with pytest.raises(BackendError, match=line), noted(STEP, smaller=True):
            pytest.fail("it ran")
    (cache / "notes" / STEP.file).unlink()
    with noted(STEP, smaller=True):
        pass
    assert notes(cache) == []


@pytest.mark.usefixtures("killed")
def test_without_a_smaller_choice_it_is_tried_again_and_said(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    with noted(STEP, smaller=False):
        assert notes(cache) == [STEP.file]
    assert "there is no smaller choice" in caplog.text
    assert notes(cache) == []


@pytest.mark.usefixtures("killed")
@pytest.mark.parametrize("other", [Step(STEP.doing, ("another bundle",)), Step("starting int8 on Orin", STEP.about)])
def test_another_step_is_free(other: Step) -> None:
    with noted(other, smaller=True):
        pass


@pytest.mark.parametrize("problem", [BackendError("no memory"), MemoryError(), KeyboardInterrupt()])
def test_an_error_is_a_goodbye(cache: Path, problem: BaseException) -> None:
    with pytest.raises(type(problem)), noted(STEP, smaller=True):
        raise problem
    assert notes(cache) == []


def test_a_step_that_runs_in_another_process_was_not_left(cache: Path) -> None:
    with noted(STEP, smaller=True):
        assert in_a_child("    pass") == 0
        assert notes(cache) == [STEP.file]
    assert notes(cache) == []


def test_who_asks_the_process_to_end_leaves_no_note(cache: Path) -> None:
    code = """
    import threading, time
    edgeirf.ending.watch_endings(grace_s=0.1)
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()
    while True:
        try:
            time.sleep(9)
        except BaseException:
            pass
    """
    assert in_a_child(code) == 128 + signal.SIGTERM
    assert notes(cache) == []
    assert ending.leaving == []


def no_folder(cache: Path) -> None:
    cache.write_text("a file in its place")


def others_write(cache: Path) -> None:
    (cache / "notes").mkdir(parents=True)
    (cache / "notes").chmod(0o777)


def a_folder_in_its_place(cache: Path) -> None:
    (cache / "notes").mkdir(parents=True, mode=0o700)
    (cache / "notes" / STEP.file).mkdir()


def a_link(cache: Path) -> None:
    (cache / "notes").mkdir(parents=True, mode=0o700)
    (cache / "notes" / STEP.file).symlink_to("/etc/hostname")


@pytest.mark.parametrize("spoil", [no_folder, others_write, a_folder_in_its_place, a_link])
@pytest.mark.parametrize("smaller", [True, False])
def test_where_notes_cannot_be_kept_the_work_goes_on(
    cache: Path, spoil: Callable[[Path], None], smaller: bool, caplog: pytest.LogCaptureFixture
) -> None:
    spoil(cache)
    with noted(STEP, smaller=smaller):
        ran = True
    assert ran
    assert caplog.text == ""


@pytest.mark.parametrize("call", ["open", "pwrite", "ftruncate"])
def test_a_disk_that_fails_does_not_stop_the_work(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, fail)
    with noted(STEP, smaller=True):
        ran = True
    assert ran
