"""Cards and tables of the pages."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape


def key_figure(label: str, value: str, note: str) -> str:
    """One card: a figure with its name above and a remark below."""
    return f'<div class="key"><span>{escape(label)}</span><b>{escape(value)}</b><span>{escape(note)}</span></div>'


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; the second line of a cell is a remark."""
    head = "".join(_cell(cell, "th") for cell in heading)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f'<div class="table"><table><tr>{head}</tr>{body}</table></div>'


def _cell(text: str, tag: str = "td") -> str:
    """A second line is a remark."""
    first, _, second = text.partition("\n")
    return f"<{tag}>{escape(first)}{f'<small>{escape(second)}</small>' if second else ''}</{tag}>"
