"""Verdicts on parts as JSON lines."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from edgeirf.errors import EdgeirfError, OutputError
from edgeirf.part import PartVerdict
from edgeirf.runtime.outputs.durable import DurableOutput, encode
from edgeirf.runtime.outputs.settings import RecordSettings
from edgeirf.runtime.sinks.jsonl import JsonLines

_TAIL = 1 << 20
"""Bytes at the end of a file in which its last line is looked for."""


@dataclass(frozen=True, kw_only=True)
class JsonlSettings(RecordSettings):
    """Settings of JSON lines.

    >>> JsonlSettings(path="verdicts.jsonl").spool_mb
    64

    Attributes:
        path: the file; lines are added to what it holds; ``-`` is standard output.
    """

    path: str

    def output(self, name: str) -> Jsonl:
        """The output, not yet open."""
        return Jsonl(name, self)


class Jsonl(DurableOutput):
    """Writes one JSON object a part and flushes it.

    With a spool each record is in a file exactly once: the file's last key shows whether a record that was sent before
    the process ended is there.

    >>> output = Jsonl("log", JsonlSettings(path="verdicts.jsonl"))
    >>> output.open()
    >>> output.act(PartVerdict(part_id=7, reject=True, reason="late"))
    >>> output.close()
    >>> '"part_id": 7' in Path("verdicts.jsonl").read_text()
    True
    """

    def __init__(self, name: str, settings: JsonlSettings) -> None:
        super().__init__(name)
        self._path = settings.path
        self._lines: JsonLines | None = None
        self._last: object = None

    def open(self) -> None:
        """Opens the file and locks it."""
        self.close()
        try:
            self._lines = JsonLines(self._path)
        except EdgeirfError as error:
            raise OutputError(f"{self.name}: {error}") from None
        path = Path(self._path)
        self._last = _last_key(path) if path.is_file() else None  # not of a pipe, which would wait

    def deliver(self, verdict: PartVerdict, key: str) -> None:
        """Writes one line, unless it is the file's last one."""
        if self._lines is None:
            raise OutputError(f"{self.name}: {self._path} is not open")
        if key == self._last:
            return
        try:
            self._lines.append(encode(verdict, key))
        except (EdgeirfError, BrokenPipeError) as error:
            raise OutputError(f"{self.name}: {error}") from None
        self._last = key

    def safe(self) -> None:
        """A file has no safe state."""
        return

    def close(self) -> None:
        """Closes the file."""
        if self._lines is not None:
            self._lines.close()
            self._lines = None


def _last_key(path: Path) -> object:
    """The ``id`` of the file's last line, None where there is none."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL))
            lines = file.read(_TAIL).splitlines()
        record = json.loads(lines[-1]) if lines else None
    except (OSError, ValueError):  # a file of somebody else, or one that may not be read
        return None
    return record.get("id") if isinstance(record, dict) else None
