"""Verdicts as JSON lines."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from edgeirf.errors import EdgeirfError
from edgeirf.runtime.sinks.sink import Record, Sink


class JsonLines(Sink):
    """Writes one JSON object a line and flushes it before the next frame, so that no crash loses a verdict.

    Args:
        path: the file; an existing file is replaced; ``-`` is standard output.

    Raises:
        EdgeirfError: the file cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self._name = "standard output" if path == "-" else path
        try:
            if path != "-":
                Path(path).parent.mkdir(parents=True, exist_ok=True)
            self._file = sys.stdout.buffer if path == "-" else open(path, "wb")  # noqa: SIM115
        except OSError as error:
            raise self._cannot(error) from None

    def write(self, record: Record) -> None:
        """Writes and flushes one line."""
        line = json.dumps(record.verdict.to_json(), allow_nan=False) + "\n"
        try:
            self._file.write(line.encode())
            self._file.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise self._cannot(error) from None

    def close(self) -> None:
        """Closes the file; standard output stays open."""
        if self._file is not sys.stdout.buffer:
            self._file.close()

    def _cannot(self, error: OSError) -> EdgeirfError:
        return EdgeirfError(f"cannot write {self._name}: {error.strerror or error}")
