from __future__ import annotations

import math
import re
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeirf.errors import BackendError, EdgeirfError, FrameError, UsageError
from edgeirf.runtime.imaging.pixel_format import PIXEL_FORMATS
from edgeirf.runtime.serve.protocol import FORMATS, MAX_REGIONS, Request, hello, refusal, reply
from edgeirf.verdict import Region, Verdict

HEADER = Path(__file__).parents[3] / "runtime" / "capi" / "edgeirf.h"
REQUEST = Request(7, 640, 480, "nv12", 12, 10**6, 921600)


def test_formats_have_the_numbers_of_the_header() -> None:
    found = dict(re.findall(r"EDGEIRF_(\w+8|\w+16|NV12) = (\d+)", HEADER.read_text()))
    assert {name.upper(): str(number) for number, name in enumerate(FORMATS)} == found
    assert set(FORMATS) == set(PIXEL_FORMATS)


def test_a_request_is_read_as_it_was_written() -> None:
    assert Request.unpack(REQUEST.pack()) == REQUEST


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (0, 1, "not of this protocol"),
        (2, 0, "0x480 pixels cannot be inspected"),
        (3, -1, "640x-1 pixels"),
        (2, 65536, "65536x480"),
        (4, -1, "not of this protocol"),
        (4, 11, "not of this protocol"),
        (5, -1, "not of this protocol"),
    ],
)
def test_a_request_of_nonsense(place: int, value: int, message: str) -> None:
    numbers = list(struct.unpack("=2I4i2Q", REQUEST.pack()))
    numbers[place] = value
    with pytest.raises(FrameError, match=message):
        Request.unpack(struct.pack("=2I4i2Q", *numbers))


@settings(max_examples=30)
@given(st.binary(max_size=80).filter(lambda packet: len(packet) != 40))
def test_a_packet_of_another_size(packet: bytes) -> None:
    with pytest.raises(FrameError, match="a request has 40 bytes"):
        Request.unpack(packet)


def test_a_reply_has_the_verdict_and_its_strongest_regions() -> None:
    regions = tuple(Region(i, 2, 3, 4, 5, float(MAX_REGIONS + 2 - i)) for i in range(MAX_REGIONS + 2))
    packet = reply(9, Verdict(True, 4.5, 0.25, 2.0, pixel_threshold=1.5, regions=regions))
    head = struct.unpack("=2I2i4d4i", packet[:64])
    assert head[1:] == (9, 0, 1, 4.5, 0.25, 2.0, 1.5, MAX_REGIONS + 2, MAX_REGIONS, 0, 0)
    assert struct.unpack("=5if", packet[64:88]) == (0, 2, 3, 4, 5, MAX_REGIONS + 2.0)
    assert len(packet) == 64 + 24 * MAX_REGIONS < 2**16, "one packet of a socket"


@pytest.mark.parametrize(
    ("error", "code"), [(UsageError("a"), 1), (BackendError("b"), 3), (FrameError("c"), 4), (EdgeirfError("d"), 3)]
)
def test_a_refusal_is_a_reject_with_its_reason(error: EdgeirfError, code: int) -> None:
    packet = refusal(3, error)
    numbers = struct.unpack("=2I2i4d4i", packet[:64])
    assert numbers[1:4] == (3, code, 1)
    assert all(math.isnan(number) for number in numbers[4:8])
    assert packet[64:].decode() == str(error)


def test_a_long_reason_is_cut_between_letters() -> None:
    text = refusal(1, FrameError("é" * 900))[64:].decode()
    assert text == "é" * 500


def test_the_greeting_names_the_size_of_the_map() -> None:
    packet = hello((48, 64), {"edgeirf.model": "nut"})
    assert struct.unpack("=2I4i", packet[:24])[2:] == (64, 48, 18, 0)
    assert packet[24:] == b"edgeirf.model\0nut\0"
