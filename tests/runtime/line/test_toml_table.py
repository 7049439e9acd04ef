"""TOML to dataclasses: every problem at once, with its line."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from edgeirf.errors import ConfigError
from edgeirf.runtime.line.toml_table import ConfigErrors, key_lines, read_toml


@dataclass(frozen=True)
class Settings:
    host: str
    port: int = field(default=1883, metadata={"min": 1, "max": 65535})
    password: str = ""
    wait_s: float | None = None
    mode: Literal["fast", "safe"] = "safe"
    tls: bool = False
    topics: tuple[str, ...] = ()
    folder: Path = Path()
    spool: str = ""

    def __post_init__(self) -> None:
        if self.host == "nowhere":
            raise ValueError("host nowhere is no host")


def bound(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "line.toml"
    path.write_text(f"[s]\n{text}\n")
    file = read_toml(path)
    found = file.bind(Settings, file.data["s"], ("s",))
    file.check()
    assert found is not None
    return found


def test_values_get_their_types_and_relative_paths_their_folder(tmp_path: Path) -> None:
    text = 'host = "h"\nport = 5\nwait_s = 2\nmode = "fast"\ntls = true\ntopics = ["a", "b"]\nfolder = "f"\nspool = "s"'
    found = bound(tmp_path, text)
    assert found == Settings("h", 5, "", 2.0, "fast", True, ("a", "b"), tmp_path / "f", str(tmp_path / "s"))
    assert isinstance(found.wait_s, float)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('host = "h"\nprot = 5', "line.toml:3: s.prot: there is no such key; did you mean port?"),
        ('host = "h"\nxyzzy = 5', "line.toml:3: s.xyzzy: there is no such key; known are host, port, password"),
        ("port = 5", "line.toml:1: s: host is missing"),
        ('host = "h"\nport = 70000', "line.toml:3: s.port: 70000 is not between 1 and 65535"),
        ('host = "h"\nport = "5"', "line.toml:3: s.port: expected a whole number, not '5'"),
        ('host = "h"\nport = true', "line.toml:3: s.port: expected a whole number, not True"),
        ('host = "h"\nmode = "slow"', 'line.toml:3: s.mode: expected "fast", "safe", not \'slow\''),
        ('host = "h"\ntopics = [1]', "line.toml:3: s.topics: expected text in quotes, not 1"),
        ('host = "nowhere"', "line.toml:1: s: host nowhere is no host"),
        ('host = "h"\npassword = 1234', "line.toml:3: s.password: expected text in quotes, not this value"),
        ('host = "env:EDGEIRF_NOT_SET"', "line.toml:2: s.host: the environment variable EDGEIRF_NOT_SET is not set"),
        ('host = "h"\npassword = "file:none"', "line.toml:3: s.password: cannot read none: No such file or directory"),
    ],
)
def test_a_problem_says_file_line_and_key(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigErrors) as found:
        bound(tmp_path, text)
    assert len(found.value.problems) == 1
    assert problem in found.value.problems[0]


def test_all_problems_come_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors) as found:
        bound(tmp_path, 'tls = 1\nport = 0\nhost = ""\nmode = 3')
    assert [problem.split(": ")[1] for problem in found.value.problems] == ["s.tls", "s.port", "s.host", "s.mode"]


def test_secrets_come_from_the_environment_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINE_PASSWORD", "from env")
    (tmp_path / "secret").write_text("from file\n")
    assert bound(tmp_path, 'host = "h"\npassword = "env:LINE_PASSWORD"').password == "from env"
    assert bound(tmp_path, 'host = "h"\npassword = "file:secret"').password == "from file"
    assert bound(tmp_path, 'host = "file:///x"').host == "file:///x"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"[s]\nx = 10ms\n", "line.toml:2: this is no TOML: "),
        (b"x = 1\nx = 2\n", "line.toml:2: this is no TOML: "),
        (b"x = '\xff'\n", "is not UTF-8 text"),
    ],
)
def test_a_file_that_is_no_toml_is_one_line(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "line.toml").write_bytes(data)
    with pytest.raises(ConfigError, match=message):
        read_toml(tmp_path / "line.toml")


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_toml(tmp_path / "none.toml")


def test_lines_are_found_in_lists_of_tables_and_not_inside_long_texts() -> None:
    text = '[[a]]\nx = """\ny = 1\n[b]\n"""\n[[a]]\nz.q = 1\n["c d"]\nw = 1'
    assert key_lines(text) == {
        ("a", 0): 1,
        ("a", 0, "x"): 2,
        ("a", 1): 6,
        ("a", 1, "z", "q"): 7,
        ("c d",): 8,
        ("c d", "w"): 9,
    }
