from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

import pytest

from edgeirf.errors import EdgeirfError
from edgeirf.files import check_writable, replacing, sha256, write_bytes, write_text


def test_writes_and_makes_the_folder(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "x.txt"
    write_text(path, "groß")
    write_text(path, "größer")
    assert path.read_bytes() == "größer".encode()
    assert list(path.parent.iterdir()) == [path]


def test_permissions_are_those_of_an_ordinary_file(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write_bytes(tmp_path / "x", b"")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o640


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(3)])
def test_an_exception_leaves_the_old_file(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")

    def write_half() -> None:
        with replacing(path) as temporary:
            temporary.write_bytes(b"ha")
            raise error

    with pytest.raises(type(error)):
        write_half()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_final_name_is_absent_until_all_is_written(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with replacing(path) as temporary:
        temporary.write_bytes(b"all")
        assert not path.exists()
        assert temporary.parent == path.parent  # a rename between folders of two disks is not atomic
    assert path.read_bytes() == b"all"


@pytest.mark.parametrize(
    "target", [pytest.param("file/x", id="below a file"), pytest.param("folder", id="a folder of that name")]
)
def test_what_cannot_be_written_is_one_line(tmp_path: Path, target: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder" / "full").mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(EdgeirfError, match=r"^cannot write .*") as caught:
        write_bytes(tmp_path / target, b"data")
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_sha256_is_the_published_test_vector() -> None:
    assert sha256(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o755])
def test_a_file_that_is_there_keeps_its_mode(tmp_path: Path, mode: int) -> None:
    (tmp_path / "x").write_bytes(b"old")
    (tmp_path / "x").chmod(mode)
    write_bytes(tmp_path / "x", b"new")
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == mode


@pytest.mark.parametrize("there", [True, False], ids=["to a file", "to nothing yet"])
def test_a_symbolic_link_stays_and_its_file_is_written(tmp_path: Path, there: bool) -> None:
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "file", tmp_path / "link"
    if there:
        target.write_bytes(b"old")
    link.symlink_to(Path("there") / "file")
    write_bytes(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert sorted(tmp_path.iterdir()) == [link, tmp_path / "there"]


def test_a_link_to_itself_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "x").symlink_to(tmp_path / "x")
    with pytest.raises(EdgeirfError, match=r"^cannot write .*x: "):
        write_bytes(tmp_path / "x", b"new")
    assert (tmp_path / "x").is_symlink()


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x")
    with pytest.raises(EdgeirfError, match="cannot write"):  # nobody reads it, and it does not wait for somebody
        write_bytes(tmp_path / "x", b"new")
    reader = os.open(tmp_path / "x", os.O_RDONLY | os.O_NONBLOCK)
    write_bytes(tmp_path / "x", b"new" * 100)
    assert os.read(reader, 1000) == b"new" * 100
    os.close(reader)
    assert stat.S_ISFIFO((tmp_path / "x").stat().st_mode)


def test_a_device_stays_a_device(tmp_path: Path) -> None:
    (tmp_path / "x").symlink_to("/dev/null")
    for path in (tmp_path / "x", Path("/dev/null")):
        write_bytes(path, b"gone")
        assert stat.S_ISCHR(path.stat().st_mode)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to every file")
def test_a_read_only_file_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"old")
    (tmp_path / "x").chmod(0o444)
    with pytest.raises(EdgeirfError, match="Permission denied"):
        write_bytes(tmp_path / "x", b"new")


def test_what_a_killed_process_left_goes_at_the_next_write(tmp_path: Path) -> None:
    old, new, held, other = (tmp_path / f".{name}.partial" for name in ("x.dead", "x.new", "x.held", "y.dead"))
    for path in (old, new, held, other):
        path.write_bytes(b"half")
    for path in (old, held, other):
        os.utime(path, (0, 0))
    with held.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        write_bytes(tmp_path / "x", b"all")
    assert sorted(tmp_path.iterdir()) == sorted([new, held, other, tmp_path / "x"])


@pytest.mark.parametrize("target", ["file/x", "folder"])
def test_what_cannot_be_written_is_known_before_the_work(tmp_path: Path, target: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    with pytest.raises(EdgeirfError, match=r"^cannot write .*"):
        check_writable(tmp_path / target)
    check_writable(tmp_path / "new" / "folder" / "x")
    check_writable("/dev/null")
    assert not (tmp_path / "new").exists()
