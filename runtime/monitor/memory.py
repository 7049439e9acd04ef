"""What a monitor keeps over a restart of the line: which values are usual, so that four days are not forgotten."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edgeirf.errors import EdgeirfError
from edgeirf.files import write_bytes
from edgeirf.runtime.monitor.sequential import BINS
from edgeirf.runtime.monitor.statistics import STATISTICS
from edgeirf.typed_json import from_json

LARGEST: Final = 8 * 1024**2
"""Bytes of the file."""

Row = tuple[float, ...]


@dataclass(frozen=True)
class RankMemory:
    """The values of one stream: number of the bin and count, ascending."""

    counts: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        bins = [at for at, _ in self.counts]
        if bins != sorted(set(bins)) or any(not 0 <= at < BINS for at in bins) or any(n < 1 for _, n in self.counts):
            raise ValueError("bins are ascending and counts positive")


@dataclass(frozen=True)
class FrameMemory:
    """What frames usually look like.

    Attributes:
        ranks: one for each statistic.
        learned: statistics of the passing parts so far, while the usual is being learned.
        usual: their median and spread, when it is learned; else empty.
        history: deviations: seconds since 1970, count of frames, mean of every statistic.
        block: frames of a block of the history.
    """

    ranks: tuple[RankMemory, ...]
    learned: tuple[Row, ...] = ()
    usual: tuple[Row, ...] = ()
    history: tuple[tuple[float, int, Row], ...] = ()
    block: int = 1

    def __post_init__(self) -> None:
        rows = [*self.learned, *self.usual, *(mean for _, _, mean in self.history)]
        if len(self.ranks) != len(STATISTICS) or any(len(row) != len(STATISTICS) for row in rows):
            raise ValueError("every row has every statistic")
        if len(self.usual) not in (0, 2) or len(self.learned) > 10_000 or len(self.history) > 10_000 or self.block < 1:
            raise ValueError("usual is a median and a spread")
        if not all(math.isfinite(value) for row in rows for value in row) or any(n < 1 for _, n, _ in self.history):
            raise ValueError("values are finite")


@dataclass(frozen=True)
class Memory:
    """All of it.

    >>> Memory("0" * 64, "part", 0, (RankMemory(), RankMemory()), FrameMemory((RankMemory(),) * 7)).parts
    0

    Attributes:
        bundle: SHA-256 of the bundle: scores of another one say nothing.
        product: of the bundle.
        parts: watched so far.
        scores: ranks of higher and of lower scores.
        frames: of the frames.
    """

    bundle: str
    product: str
    parts: int
    scores: tuple[RankMemory, RankMemory]
    frames: FrameMemory

    def write(self, path: str | os.PathLike[str]) -> None:
        """Writes a file, atomically.

        Raises:
            EdgeirfError: it cannot be written.
        """
        write_bytes(path, json.dumps(dataclasses.asdict(self), allow_nan=False).encode())


def read_memory(path: str | os.PathLike[str]) -> Memory | None:
    """Reads the file; None where there is none.

    Raises:
        EdgeirfError: the file cannot be read or does not fit.
    """
    try:
        size = Path(path).stat().st_size
        if size > LARGEST:
            raise ValueError(f"{size} bytes are too many")
        raw: Any = from_json(Memory, json.loads(Path(path).read_bytes()), "memory")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise EdgeirfError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, TypeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise EdgeirfError(
            f"{path} is no memory of a monitor ({reason}): remove it, and the line learns anew"
        ) from None
    memory: Memory = raw
    return memory
