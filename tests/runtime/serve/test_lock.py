from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from edgeirf.errors import BackendError, UsageError
from edgeirf.runtime.serve.lock import listening


def test_only_this_user_may_open_the_socket(tmp_path: Path) -> None:
    mask = os.umask(0)
    try:
        with listening(tmp_path / "line.sock"):
            for name in ("line.sock", "line.sock.lock"):
                assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
            assert os.umask(0) == 0, "the mask of the process is what it was"
    finally:
        os.umask(mask)
    assert not (tmp_path / "line.sock").exists()


def test_one_server_owns_a_socket(tmp_path: Path) -> None:
    path = tmp_path / "line.sock"
    with listening(path):
        with pytest.raises(UsageError, match=r"another server listens on .*line\.sock: end it, or name another socket"):
            listening(path).__enter__()
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
            client.connect(str(path))  # the first one goes on
    with listening(path):
        pass


def test_a_socket_that_a_dead_server_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "line.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as left:
        left.bind(str(path))
    with listening(path), socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
        client.connect(str(path))


def test_a_file_of_another_origin_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    with pytest.raises(UsageError, match="exists and is no socket: name another one"):
        listening(path).__enter__()
    assert path.read_text() == "mine"


def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "line.sock.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="cannot lock"):
        listening(tmp_path / "line.sock").__enter__()
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(("name", "kind"), [("none/line.sock", UsageError), ("s" * 120, BackendError)])
def test_a_path_where_no_socket_can_be(tmp_path: Path, name: str, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="cannot"):
        listening(tmp_path / name).__enter__()
