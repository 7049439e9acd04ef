"""Peers on loopback, and verdicts for them."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import pytest

from edgeirf.part import PartVerdict
from edgeirf.verdict import Region, Verdict


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Returns when the condition holds; a generous limit makes it fail."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def verdict_of(number: int, reject: bool = False, score: float = 12.5) -> PartVerdict:
    view = Verdict(reject, score, 0.25, 31.0, 20.0, (Region(1, 2, 3, 4, 10, 42.0),), frame_id=number, model="m@0123")
    return PartVerdict(part_id=number, reject=reject, reason="inspected", views={"top": view}, sequence=number)


@pytest.fixture
def verdict() -> Callable[..., PartVerdict]:
    """``verdict(number, reject, score)``: a verdict on the part of that number."""
    return verdict_of


@pytest.fixture
def until() -> Callable[..., None]:
    """``until(condition)``: see :func:`wait_until`."""
    return wait_until


@pytest.fixture
def port() -> int:
    """A TCP port of loopback that nobody uses at this moment."""
    return free_port()
