"""What the settings of an output have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from edgeirf.runtime.outputs.output import Output


@dataclass(frozen=True, kw_only=True)
class OutputSettings(ABC):
    """Settings of one kind of output: a table of ``line.toml``. Every field has a type, most have a default.

    >>> from edgeirf.runtime.outputs.factory import KINDS
    >>> KINDS["mqtt"](host="10.0.0.5").output("broker").name
    'broker'
    """

    @abstractmethod
    def output(self, name: str) -> Output:
        """The output, not yet open."""


@dataclass(frozen=True, kw_only=True)
class RecordSettings(OutputSettings):
    """Settings of an output that takes records.

    Attributes:
        spool: file on disk for records that the peer does not take at once; empty: such records are lost and counted.
        spool_mb: largest size of that file in MB (millions of bytes); a record beyond it is an error.
    """

    spool: str = ""
    spool_mb: int = 64

    def __post_init__(self) -> None:
        if not 1 <= self.spool_mb <= 1_000_000:
            raise ValueError(f"spool_mb is 1 to 1000000, not {self.spool_mb}")
