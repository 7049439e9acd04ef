"""A TOML file as tables that know the line of each key, and as dataclasses; all problems are found at once."""

from __future__ import annotations

import difflib
import os
import re
import sys
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

from edgeirf.errors import ConfigError, UsageError
from edgeirf.text import printable

T = TypeVar("T")
Key = tuple[str | int, ...]

_SECRET = re.compile(r"pass|pwd|secret|token|credential", re.IGNORECASE)
_FILE = re.compile(r"^(path|spool|nodeset|ca|certificate|private_key)$|_(file|path|folder)$")
"""Settings of outputs that are files, although their type is text."""
_HEADER = re.compile(r"\s*\[(\[?)\s*([^\[\]]+?)\s*\]")
_SETTING = re.compile(r"\s*([A-Za-z0-9_\-.\"' ]+?)\s*=")
_WORDS = {
    str: "text in quotes",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    Path: "text in quotes",
}


class ConfigErrors(ConfigError):
    """Every problem of one file.

    Attributes:
        problems: one line each: file, line, key, what is wrong, what to do.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


@dataclass
class TomlFile:
    """A parsed file, and what is wrong with it so far.

    Attributes:
        path: the file; relative paths in it are relative to its folder.
        data: its tables.
        problems: line number, then the text.
    """

    path: Path
    data: Mapping[str, Any]
    _lines: Mapping[Key, int]
    problems: list[tuple[int, str]] = field(default_factory=list)

    def wrong(self, key: Key, message: str) -> None:
        """Notes a problem of a key, or of the table it should be in."""
        line = next((self._lines[key[:end]] for end in range(len(key), 0, -1) if key[:end] in self._lines), 1)
        name = ".".join(str(part) for part in key if isinstance(part, str))
        self.problems.append((line, f"{printable(self.path)}:{line}: {name}: {message}" if name else message))

    def check(self) -> None:
        """Passes a file without problems.

        Raises:
            ConfigErrors: with all of them, in the order of the file.
        """
        if self.problems:
            raise ConfigErrors([text for _, text in sorted(self.problems, key=lambda problem: problem[0])])

    def bind(self, kind: type[T], table: Mapping[str, Any], where: Key, extra: tuple[str, ...] = ()) -> T | None:
        """``table`` as a dataclass; None when it has problems.

        Args:
            kind: the dataclass; ``min`` and ``max`` in a field's metadata limit a number.
            table: of :attr:`data`.
            where: its key.
            extra: keys of the table that are not for this dataclass.
        """
        before = len(self.problems)
        types_of, known = typing.get_type_hints(kind), {one.name: one for one in fields(kind)}  # type: ignore[arg-type]
        for name in table:
            if name not in known and name not in extra:
                self.wrong((*where, name), _unknown(name, [*known, *extra]))
        values = {
            name: self._value((*where, name), table[name], types_of[name], one.metadata)
            for name, one in known.items()
            if name in table and not self._is_empty((*where, name), table[name], types_of[name], one)
        }
        for name, one in known.items():
            if name not in table and one.default is MISSING and one.default_factory is MISSING:
                self.wrong(where, f"{name} is missing")
        if len(self.problems) > before:
            return None
        try:
            return kind(**values)
        except (UsageError, ValueError) as error:
            self.wrong(where, str(error))
            return None

    def _is_empty(self, key: Key, value: Any, wanted: Any, one: Field[Any]) -> bool:
        """Notes a text without a character where it names something."""
        needed = one.default is MISSING and one.default_factory is MISSING
        if value != "" or not (needed or wanted is Path or Path in typing.get_args(wanted)):
            return False
        self.wrong(key, "is empty: fill it in" if needed else "is empty: fill it in, or leave the key away")
        return True

    def _value(self, key: Key, value: Any, wanted: Any, limits: Mapping[str, Any]) -> Any:
        if isinstance(value, str):
            value = self._revealed(key, value)
        choices = typing.get_args(wanted) if typing.get_origin(wanted) in (Union, types.UnionType) else (wanted,)
        for choice in choices:
            origin = typing.get_origin(choice)
            if origin is Literal and value in typing.get_args(choice):
                return value
            if choice is Path and isinstance(value, str):
                return self.path.parent / value
            if origin is tuple and isinstance(value, list):
                return tuple(self._value(key, item, typing.get_args(choice)[0], {}) for item in value)
            if choice is float and type(value) in (int, float):
                return self._limited(key, float(value), limits)
            if choice is str and isinstance(value, str) and value and _FILE.search(str(key[-1])):
                return str(self.path.parent / value)
            if choice in (str, bool, int) and type(value) is choice:
                return self._limited(key, value, limits) if choice is int else value
        expected = " or ".join(_described(choice) for choice in choices if choice is not type(None))
        self.wrong(key, f"expected {expected}, not {_shown(key, value)}")
        return None

    def _limited(self, key: Key, value: float, limits: Mapping[str, Any]) -> float:
        if not limits.get("min", value) <= value <= limits.get("max", value):
            self.wrong(key, f"{value:g} is not between {limits['min']:g} and {limits['max']:g}")
        return value

    def _revealed(self, key: Key, value: str) -> str:
        """The value that ``env:NAME`` names, and for secrets the first line of ``file:PATH``."""
        if value.startswith("env:"):
            found = os.environ.get(value[4:])
            if found is None:
                self.wrong(key, f"the environment variable {printable(value[4:])} is not set")
            return found or ""
        if value.startswith("file:") and _SECRET.search(str(key[-1])):
            try:
                return (self.path.parent / value[5:]).read_text().splitlines()[0].strip()
            except (OSError, IndexError, UnicodeDecodeError) as error:
                reason = getattr(error, "strerror", None) or "the file holds no text"
                self.wrong(key, f"cannot read {printable(value[5:])}: {reason}")
                return ""
        return value


def read_toml(path: Path) -> TomlFile:
    """Reads a file.

    Raises:
        ConfigError: it cannot be read, or is no TOML.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        text = path.read_text(encoding="utf-8")
        return TomlFile(path, tomllib.loads(text), key_lines(text))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"^(.*) \(at line (\d+), column (\d+)\)", str(error))
        line, why = (found[2], found[1]) if found else ("1", str(error))
        raise ConfigError(f"{path}:{line}: this is no TOML: {why[:1].lower()}{why[1:]}") from None


def key_lines(text: str) -> dict[Key, int]:
    """The line of each key; tables of a list have their number in the key.

    >>> key_lines('[[camera]]\\nuri = "0"')
    {('camera', 0): 1, ('camera', 0, 'uri'): 2}
    """
    table: Key = ()
    counts: dict[Key, int] = {}
    found: dict[Key, int] = {}
    quoted = False
    for number, line in enumerate(text.splitlines(), 1):
        if not quoted and (header := _HEADER.match(line)):
            table = _parts(header[2])
            if header[1]:
                counts[table] = counts.get(table, -1) + 1
                table = (*table, counts[table])
            found[table] = number
        elif not quoted and (setting := _SETTING.match(line)):
            found[(*table, *_parts(setting[1]))] = number
        quoted ^= (line.count('"""') + line.count("'''")) % 2 == 1
    return found


def _parts(dotted: str) -> Key:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"there is no such key; {f'did you mean {near[0]}?' if near else 'known are ' + ', '.join(known)}"


def _described(kind: Any) -> str:
    if typing.get_origin(kind) is Literal:
        return ", ".join(f'"{value}"' for value in typing.get_args(kind))
    return "a list" if typing.get_origin(kind) is tuple else _WORDS.get(kind, str(kind))


def _shown(key: Key, value: Any) -> str:
    """A wrong value as it may be shown."""
    return "this value" if _SECRET.search(str(key[-1])) else printable(repr(value))[:60]
