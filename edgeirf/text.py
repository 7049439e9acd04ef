"""Paths and foreign words to text that any terminal, log and JSON reader takes: one line, no escape sequences."""

from __future__ import annotations

import os
import re
from typing import TextIO

_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff\ufff9-\ufffb]"
)
"""Control characters, line ends, marks that reorder or hide text, and the lone surrogates of names not in UTF-8."""


def printable(text: str | os.PathLike[str]) -> str:
    r"""``text`` with what is not printable escaped: ``\x1b``, ``\n``, ``\u202e``, ``\xe9`` for a byte not in UTF-8.

    >>> printable("part\x1b[31m\n")
    'part\\x1b[31m\\n'
    >>> printable(b"caf\xe9.png".decode("utf-8", "surrogateescape"))
    'caf\\xe9.png'
    """
    return _UNPRINTABLE.sub(lambda found: _escaped(found[0]), os.fspath(text))


def never_fail(stream: TextIO) -> None:
    """Lets a stream write characters that its encoding lacks as escapes, instead of raising."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # surrogateescape: a byte of a name that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
