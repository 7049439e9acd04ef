from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeirf.errors import BackendError
from edgeirf.runtime.cache import sealed

HEADER = {"key": {"gpu": "Orin"}, "seconds": 1.5}
PAYLOAD = bytes(range(256)) * 10


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.engine"
    sealed.write(path, HEADER, PAYLOAD)
    assert sealed.read(path) == (HEADER, PAYLOAD)
    assert sealed.read_header(path) == HEADER


def test_an_empty_payload(tmp_path: Path) -> None:
    sealed.write(tmp_path / "a", {}, b"")
    assert sealed.read(tmp_path / "a") == ({}, b"")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:-1],
        lambda data: data + b"x",
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
        lambda data: data.replace(b'"size": 2560', b'"size": -1'),
        lambda data: data.replace(b'"size": 2560', b'"size": 1e9'),
        lambda data: data.replace(b'"size": 2560', b'"size": 99999999999999'),
        lambda data: data.replace(b'"sha256": "', b'"sha256": "0'),
        lambda data: data.replace(b"edgeirf-sealed 1", b"edgeirf-sealed 2"),
        lambda data: data.replace(b'{"header": {', b'{"header": [[['),
        lambda data: data.replace(b'{"header"', b'{"heater"'),
        lambda data: sealed.MAGIC + b"[" * 100_000,
        lambda data: sealed.MAGIC + b"null\n",
        lambda data: sealed.MAGIC,
        lambda data: b"",
    ],
)
def test_a_damaged_file_is_not_read(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "a.engine"
    sealed.write(path, HEADER, PAYLOAD)
    spoiled = spoil(path.read_bytes())
    assert spoiled != path.read_bytes()
    path.write_bytes(spoiled)
    with pytest.raises(sealed.DamagedError, match=r"a\.engine"):
        sealed.read(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        sealed.read(tmp_path / "none")


def test_links_and_folders_are_not_followed(tmp_path: Path) -> None:
    sealed.write(tmp_path / "real", HEADER, PAYLOAD)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "folder").mkdir()
    for name in ("link", "folder"):
        with pytest.raises(sealed.DamagedError):
            sealed.read(tmp_path / name)


def test_another_users_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sealed.write(tmp_path / "a", HEADER, PAYLOAD)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(sealed.DamagedError, match="not this user's file"):
        sealed.read(tmp_path / "a")


def test_the_folder_is_made_for_this_user_alone(tmp_path: Path) -> None:
    folder = sealed.private_folder(tmp_path / "deep" / "engines")
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o755)  # others could look, not write: mended
    assert sealed.private_folder(folder).stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o722])
def test_a_folder_others_can_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    (tmp_path / "engines").mkdir()
    (tmp_path / "engines").chmod(mode)
    with pytest.raises(BackendError, match=r"others can write to .*: delete it"):
        sealed.private_folder(tmp_path / "engines")


def test_a_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = sealed.private_folder(tmp_path / "engines")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(BackendError, match="belongs to another user: set EDGEIRF_CACHE"):
        sealed.private_folder(folder)


def test_a_link_or_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "file").write_text("")
    for name in ("link", "file", "file/below"):
        with pytest.raises(BackendError, match="EDGEIRF_CACHE"):
            sealed.private_folder(tmp_path / name)
