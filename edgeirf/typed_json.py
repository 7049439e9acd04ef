"""JSON values to typed dataclasses, every field checked."""

from __future__ import annotations

import dataclasses
import re
import sys
import types
import typing
from typing import Any, Literal

MAX_TEXT = 4096
"""Characters of one text."""
# Text of a bundle ends up in terminals and logs: no escape sequences, no second line.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def from_json(kind: Any, value: Any, where: str) -> Any:
    """``value`` from JSON as the annotated type ``kind``.

    Args:
        kind: dataclass, tuple, dict, Literal, int, float, str or bool; of a union the first member, or None.
        value: what ``json.loads`` gave.
        where: name of the value for error messages.

    Raises:
        ValueError: it does not fit; the message names the field.
        TypeError: from the dataclass itself.
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return None if value is None else from_json(arguments[0], value, where)
    if origin is Literal:
        if value in arguments:
            return value
    elif dataclasses.is_dataclass(kind) and isinstance(value, dict):
        return _dataclass(kind, value, where)
    elif origin is dict and isinstance(value, dict) and all(map(_is_text, value)):
        return {key: from_json(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    elif origin is tuple and isinstance(value, list):
        return _tuple(arguments, value, where)
    elif kind is float and type(value) in (int, float) and abs(value) <= sys.float_info.max:
        return float(value)
    elif (kind in (int, bool) and type(value) is kind) or (kind is str and _is_text(value)):
        return value
    raise ValueError(f"{where[:200]} is {str(value)[:40]!r}")


def _is_text(value: Any) -> bool:
    return type(value) is str and len(value) <= MAX_TEXT and not _CONTROL.search(value)


def _dataclass(kind: Any, value: dict[str, Any], where: str) -> Any:
    hints = typing.get_type_hints(kind)
    unknown = set(value) - set(hints)
    if unknown:
        raise ValueError(f"{where} has an unknown field {min(unknown)!r}")
    required = {f.name for f in dataclasses.fields(kind) if f.default is f.default_factory is dataclasses.MISSING}
    if required - set(value):
        raise ValueError(f"{where} lacks {min(required - set(value))!r}")
    return kind(**{name: from_json(hints[name], item, f"{where}.{name}") for name, item in value.items()})


def _tuple(arguments: tuple[Any, ...], value: list[Any], where: str) -> tuple[Any, ...]:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        arguments = (arguments[0],) * len(value)
    if len(arguments) != len(value):
        raise ValueError(f"{where} has {len(value)} values, not {len(arguments)}")
    return tuple(from_json(a, v, f"{where}[{i}]") for i, (a, v) in enumerate(zip(arguments, value, strict=True)))
