from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeirf.errors import FrameError
from edgeirf.runtime.serve.memory import MAX_BYTES, ClientMemory
from edgeirf.runtime.serve.protocol import Request

Share = Callable[..., int]
REQUEST = Request(1, 6, 4, "bgr8", 0, 4096, 0)


@pytest.fixture
def share() -> Iterator[Share]:
    """``share(size)``: a descriptor of shared memory, sealed as a client seals it."""
    opened = []

    def make(size: int = 4096, *, seals: int = fcntl.F_SEAL_SHRINK) -> int:
        opened.append(os.memfd_create("test", os.MFD_ALLOW_SEALING))
        os.ftruncate(opened[-1], size)
        fcntl.fcntl(opened[-1], fcntl.F_ADD_SEALS, seals)
        return opened[-1]

    yield make
    for descriptor in opened:
        os.close(descriptor)


@pytest.mark.parametrize(
    ("pixel_format", "shape", "kind"),
    [("bgr8", (4, 6, 3), np.uint8), ("gray16", (4, 6), np.uint16), ("nv12", (6, 6), np.uint8)],
)
def test_the_frame_is_read_where_it_lies(share: Share, pixel_format: str, shape: tuple[int, ...], kind: type) -> None:
    descriptor = share()
    frame = ClientMemory(descriptor).frame(replace(REQUEST, pixel_format=pixel_format))
    assert (frame.shape, frame.dtype) == (shape, kind)
    os.pwrite(descriptor, b"\7", 0)
    assert frame.ravel()[0] == 7


def test_the_client_reads_the_map_where_it_asked_for_it(share: Share) -> None:
    descriptor, values = share(), np.arange(6, dtype=np.float32).reshape(2, 3)
    ClientMemory(descriptor).write_map(replace(REQUEST, map_values=6, map_at=128), values)
    assert os.pread(descriptor, 24, 128) == values.tobytes()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"map_values": 5}, "has 6 values, the client has room for 5"),
        ({"map_values": 6, "map_at": 2}, "has room for 6"),  # not on a whole value
        ({"map_values": 6, "map_at": 4076}, "4096 bytes, 4100 are necessary"),
        ({"map_values": 6, "map_at": 2**64 - 4}, "are necessary"),
    ],
)
def test_a_map_goes_nowhere_else(share: Share, changes: dict[str, int], message: str) -> None:
    descriptor = share()
    with pytest.raises(FrameError, match=message):
        ClientMemory(descriptor).write_map(replace(REQUEST, **changes), np.ones(6, np.float32))
    assert os.pread(descriptor, 4096, 0) == bytes(4096)


def test_a_frame_that_is_larger_than_the_memory(share: Share) -> None:
    with pytest.raises(FrameError, match="has 4096 bytes, 12000 are necessary"):
        ClientMemory(share()).frame(replace(REQUEST, width=1000))


def test_memory_that_could_shrink_under_the_server(share: Share) -> None:
    with pytest.raises(FrameError, match="is not sealed against shrinking"):
        ClientMemory(share(seals=fcntl.F_SEAL_GROW))


@pytest.mark.parametrize("size", [0, MAX_BYTES + 1])
def test_memory_of_an_impossible_size(share: Share, size: int) -> None:
    with pytest.raises(FrameError, match=f"has {size} bytes"):
        ClientMemory(share(size))


def test_what_is_no_shared_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(10))
    for descriptor in (os.open(tmp_path / "file", os.O_RDWR), os.open(os.devnull, os.O_RDWR)):
        with pytest.raises(FrameError, match=r"passed no shared memory|not sealed"):
            ClientMemory(descriptor)
        os.close(descriptor)
