"""One check: passed, failed or skipped, with its figures."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from edgeirf.errors import EdgeirfError

Figures = dict[str, Any]
Status = Literal["passed", "failed", "skipped"]


class Skip(Exception):
    """The check cannot run here; the message says why."""


class Failed(Exception):
    """The check ran, and something is wrong.

    Attributes:
        figures: what was measured.
    """

    def __init__(self, message: str, figures: Figures | None = None) -> None:
        super().__init__(message)
        self.figures = figures or {}


@dataclass
class Outcome:
    """Attributes: ``detail``: why it was skipped or failed; ``figures``: what was measured."""

    name: str
    status: Status
    seconds: float
    detail: str = ""
    figures: Figures = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    def line(self) -> str:
        """One line for the terminal."""
        shown = {name: value for name, value in self.figures.items() if isinstance(value, (int, float, str))}
        figures = ", ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in shown.items())
        return f"{self.status:8} {self.name:34} {self.seconds:8.1f} s  {self.detail or figures}"


def run(name: str, check: Callable[[], Figures]) -> Outcome:
    """Runs a check; an error in it does not end the other checks."""
    start = time.perf_counter()

    def done(
        status: Literal["passed", "failed", "skipped"], detail: str = "", figures: Figures | None = None
    ) -> Outcome:
        return Outcome(name, status, time.perf_counter() - start, " ".join(detail.split()), figures or {})

    try:
        return done("passed", figures=check())
    except Skip as reason:
        return done("skipped", str(reason))
    except Failed as failure:
        return done("failed", str(failure), failure.figures)
    except EdgeirfError as error:
        return done("failed", str(error))
    except Exception as error:
        return done("failed", f"{type(error).__name__}: {error}", {"trace": traceback.format_exc()})
