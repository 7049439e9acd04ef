"""Results on disk: one JSON line a cell, so that an interrupted comparison goes on where it stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Cell:
    """One entry of the comparison: what was run on what."""

    set: str
    seed: int
    method: str
    precision: str
    executor: str


@dataclass(frozen=True)
class Row:
    """A cell with what was measured.

    Attributes:
        cell: what was run.
        figures: of the clean pictures, under the names of ``edgeirf eval --json``; empty when it failed.
        perturbed: the same of perturbed pictures; empty where ``edgeirf eval`` has no ``--perturb``.
        network_ms: median of the graph alone, None when it was not measured.
        bundle: name and digest.
        error: one line when the cell could not be run; such a cell is tried again the next time.
    """

    cell: Cell
    figures: dict[str, Any]
    perturbed: dict[str, Any]
    network_ms: float | None
    bundle: str
    error: str | None = None


class Results:
    """Rows of a comparison; the last row of a cell counts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows = {row.cell: row for row in _read(path)}

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows.values())

    def done(self, cell: Cell) -> bool:
        """Whether the cell was measured; a failed one was not."""
        row = self._rows.get(cell)
        return row is not None and row.error is None

    def add(self, row: Row) -> None:
        """Appends one row and syncs it."""
        self._rows[row.cell] = row
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            cut = file.tell() > 0 and not self.path.read_bytes().endswith(b"\n")  # a crash left half a line
            file.write(("\n" if cut else "") + json.dumps(asdict(row)) + "\n")
            file.flush()
            os.fsync(file.fileno())


def _read(path: Path) -> Iterator[Row]:
    """Rows of the file; a line that was cut short by a crash is left out."""
    for line in path.read_text().splitlines() if path.is_file() else []:
        try:
            values = json.loads(line)
            yield Row(**{**values, "cell": Cell(**values["cell"])})
        except (ValueError, TypeError, KeyError):
            continue
