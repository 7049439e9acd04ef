"""Any path and any word becomes one line that any terminal takes."""

from __future__ import annotations

import io
import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeirf.text import never_fail, printable


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("plain name.png", "plain name.png"),
        ("Bütte 部品 · ≤", "Bütte 部品 · ≤"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x1b[31mred\x9b", "\\x1b[31mred\\x9b"),
        (os.fsdecode(b"caf\xe9.png"), "caf\\xe9.png"),
        ("a\u202eb\u2028", "a\\u202eb\\u2028"),
        ("[bold]", "[bold]"),
    ],
)
def test_what_is_not_printable_is_escaped(text: str, wanted: str) -> None:
    assert printable(text) == wanted


@given(st.text(st.characters(codec=None)) | st.binary().map(os.fsdecode))
def test_every_text_is_one_line_of_utf8(text: str) -> None:
    shown = printable(text)
    assert len(shown.splitlines()) <= 1
    assert "\x1b" not in shown
    assert json.loads(json.dumps(shown).encode("utf-8")) == shown.encode("utf-8").decode("utf-8")
    assert printable(shown) == shown


@pytest.mark.parametrize("encoding", ["ascii", "euc-jp", "latin-1", "utf-8"])
def test_output_never_fails_on_a_character(encoding: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    never_fail(stream)
    stream.write("5/s · ≤ 2 % ü 部 \udce9")
    stream.flush()
    never_fail(io.StringIO())
