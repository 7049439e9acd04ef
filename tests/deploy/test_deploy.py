"""Files of ``deploy/``: the unit through systemd's own check, the images as text, for none can be built here."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from edgeirf.runtime.line.realtime import RealtimeSettings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = ["edgeirf.service", "edgeirf-serve.service"]
IMAGES = ["Dockerfile.x86", "Dockerfile.jetson"]
PRIVILEGED = {"0", "root"}


def unit(section: str, name: str = "edgeirf.service") -> dict[str, str]:
    """Keys of one section of a unit."""
    text = (DEPLOY / name).read_text().split(f"[{section}]\n")[1].split("\n[")[0]
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


@pytest.mark.parametrize("name", UNITS)
def test_systemd_has_nothing_to_say_about_the_unit(tmp_path: Path, name: str) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    text = (DEPLOY / name).read_text().replace("/opt/edgeirf/bin/edgeirf", "/bin/true")  # must exist
    (tmp_path / name).write_text(text)
    command = [analyze, "verify", str(tmp_path / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and name not in done.stderr:
        pytest.skip(f"systemd-analyze does not work here: {done.stderr.strip()[:200]}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_systemd_does_find_faults_of_a_unit(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    (tmp_path / "edgeirf.service").write_text("[Service]\nExecStart=/bin/true\nWatchdogSek=1\n")
    command = [analyze, "verify", str(tmp_path / "edgeirf.service")]
    assert "WatchdogSek" in subprocess.run(command, capture_output=True, text=True, check=False).stderr


def test_the_local_server_is_for_programs_of_its_own_user() -> None:
    service = unit("Service", "edgeirf-serve.service")
    assert service["RuntimeDirectoryMode"] == "0700"
    assert service["ExecStart"].endswith(f" --shm /run/{service['RuntimeDirectory']}/line.sock")
    assert "INET" not in service["RestrictAddressFamilies"]


@pytest.mark.parametrize(("name", "what"), [*zip(UNITS, ("run", "serve"), strict=True)])
def test_the_unit_waits_for_the_line_and_restarts_one_that_hangs(name: str, what: str) -> None:
    service = unit("Service", name)
    assert (service["Type"], service["Restart"], service["KillSignal"]) == ("notify", "always", "SIGTERM")
    assert 2 <= int(service["WatchdogSec"]) <= 60
    assert service["User"] not in PRIVILEGED
    assert service["ExecStart"].startswith(f"/opt/edgeirf/bin/edgeirf {what} /etc/edgeirf/")  # no shell


def test_the_unit_gives_the_rights_that_real_time_asks_for() -> None:
    service = unit("Service")
    assert int(service["LimitRTPRIO"]) >= RealtimeSettings().priority
    assert service["LimitMEMLOCK"] == "infinity"
    assert "RestrictRealtime" not in service


def instructions(name: str) -> list[tuple[str, str]]:
    """Word and arguments of every instruction of a Dockerfile."""
    text = re.sub(r"^\s*#.*\n", "", (DEPLOY / name).read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_names_exact_versions(name: str) -> None:
    for word, rest in instructions(name):
        if word == "FROM":
            assert re.search(r":(r?\d+\.\d+\.\d+)[\w.-]*( AS \w+)?$", rest), rest
        if word == "RUN":
            for install in re.findall(r"pip install ([^&]*)", rest):
                assert "-c constraints.txt" in install or "==" in install
                loose = [item for item in shlex.split(install) if re.fullmatch(r"[a-z][\w-]*", item)]
                assert loose in ([], ["constraints.txt"]), loose


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_runs_as_a_user_without_rights(name: str) -> None:
    found = instructions(name)
    words = [word for word, _ in found]
    user = next(rest for word, rest in found if word == "USER")
    assert user not in PRIVILEGED
    assert int(user) > 1000
    assert words.index("USER") < words.index("ENTRYPOINT")
    assert any(word == "RUN" and f"useradd --system --uid {user}" in rest for word, rest in found)


@pytest.mark.parametrize("name", IMAGES)
def test_sigterm_reaches_the_line(name: str) -> None:
    found = dict(instructions(name))
    assert found["STOPSIGNAL"] == "SIGTERM"
    for word in ("ENTRYPOINT", "CMD"):
        assert re.fullmatch(r'\["[^"]+"(, "[^"]+")*\]', found[word]), "the form with a shell keeps the signal"
    assert found["ENTRYPOINT"] == '["/opt/edgeirf/bin/edgeirf"]'


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_has_opencv_without_a_window_and_no_library_of_training(name: str) -> None:
    text = (DEPLOY / name).read_text()
    assert "pip uninstall --yes opencv-python" in text
    assert "opencv-python-headless==$(sed -n 's/^opencv-python==//p' constraints.txt)" in text
    assert text.index("pip uninstall") < text.index("opencv-python-headless==")
    assert re.search(r"^opencv-python==\d", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert not re.search(r"torch|\[train|\[dev|libgl1|libgtk", text)


def test_the_rules_of_udev_are_well_formed() -> None:
    pair = r'[A-Z]+(\{\w+\})?(==|\+=|=|!=)"[^"]*"'
    rules = [line for line in (DEPLOY / "99-edgeirf.rules").read_text().splitlines() if line and line[0] != "#"]
    assert len(rules) >= 4
    for rule in rules:
        assert all(re.fullmatch(pair, word) for word in rule.split(", ")), rule
        assert 'MODE="0666"' not in rule
