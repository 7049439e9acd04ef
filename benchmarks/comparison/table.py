"""Rows to one table: means over seeds with their spread."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import mean, stdev
from typing import Any

from benchmarks.comparison.results import Row

HEADINGS = (
    "set", "method", "precision", "executor", "seeds", "image AUROC", "perturbed", "escapes at 2 %", "perturbed",
    "false rejects (promised)", "perturbed", "escapes at the promise", "pixel AUROC", "AUPRO", "control", "graph ms",
)  # fmt: skip
NONE = "-"


@dataclass(frozen=True)
class Mean:
    """Mean over seeds, and its standard deviation where there are several."""

    value: float
    spread: float | None = None

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Mean | None:
        """None where nothing was measured."""
        known = [value for value in values if value is not None]
        if not known:
            return None
        return cls(mean(known), stdev(known) if len(known) > 1 else None)


@dataclass(frozen=True)
class Line:
    """One line of the table: a method in one precision on one executor on one set, over all seeds.

    Attributes:
        set, method, precision, executor: what was run.
        seeds: how many were measured.
        figures: heading to mean; a heading that occurs twice is followed by ``/perturbed``.
        error: why nothing was measured.
    """

    set: str
    method: str
    precision: str
    executor: str
    seeds: int
    figures: dict[str, Mean | None]
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def cells(self) -> list[str]:
        """Text of every column."""
        start = [self.set, self.method, self.precision, self.executor, str(self.seeds)]
        if self.error is not None:
            return [*start, self.error.replace("|", "/"), *[""] * (len(HEADINGS) - 6)]
        found = self.figures
        shares = {"escapes_at", "escapes_at/perturbed", "false_rejects", "false_rejects/perturbed", "escapes"}
        texts = {name: _percent(m) if name in shares else _number(m) for name, m in found.items()}
        texts["false_rejects"] += f" ({_percent(found['promised'])})"
        texts["network_ms"] = NONE if (ms := found["network_ms"]) is None else f"{ms.value:.1f}"
        return [*start, *(texts[name] for name in COLUMNS)]


COLUMNS = (
    "image_auroc", "image_auroc/perturbed", "escapes_at", "escapes_at/perturbed",
    "false_rejects", "false_rejects/perturbed", "escapes", "pixel_auroc", "aupro", "control_auroc", "network_ms",
)  # fmt: skip


def summarise(rows: Iterable[Row]) -> list[Line]:
    """One line for each set, method, precision and executor, in the order in which they were measured."""
    groups: dict[tuple[str, str, str, str], list[Row]] = {}
    for row in rows:
        cell = row.cell
        groups.setdefault((cell.set, cell.method, cell.precision, cell.executor), []).append(row)
    return [_line(key, group) for key, group in groups.items()]


def _line(key: tuple[str, str, str, str], rows: Sequence[Row]) -> Line:
    measured = [row for row in rows if row.error is None]
    figures: dict[str, Mean | None] = {}
    for name in ("image_auroc", "pixel_auroc", "aupro", "control_auroc"):
        figures[name] = Mean.of(row.figures.get(name) for row in measured)
    figures["image_auroc/perturbed"] = Mean.of(row.perturbed.get("image_auroc") for row in measured)
    figures["promised"] = Mean.of(row.figures.get("false_reject_rate") for row in measured)
    figures["escapes"] = Mean.of(_rate(row.figures.get("escapes") or row.figures.get("misses")) for row in measured)
    for suffix, part in (("", "figures"), ("/perturbed", "perturbed")):
        found = [getattr(row, part) for row in measured]
        figures[f"escapes_at{suffix}"] = Mean.of(_rate((one.get("escapes_at") or {}).get("0.02")) for one in found)
        figures[f"false_rejects{suffix}"] = Mean.of(_rate(one.get("false_rejects")) for one in found)
    figures["network_ms"] = Mean.of(row.network_ms for row in measured)
    return Line(*key, len(measured), figures, None if measured else rows[-1].error)


def markdown(lines: Sequence[Line]) -> str:
    """The table."""
    rows = [list(HEADINGS), ["---"] * len(HEADINGS), *(line.cells() for line in lines)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _rate(count: dict[str, Any] | None) -> float | None:
    return None if count is None else count.get("rate")


def _number(found: Mean | None) -> str:
    if found is None:
        return NONE
    return f"{found.value:.3f}" + ("" if found.spread is None else f" ± {found.spread:.3f}")


def _percent(found: Mean | None) -> str:
    if found is None:
        return NONE
    spread = "" if found.spread is None else f" ± {100 * found.spread:.1f}"
    return f"{100 * found.value:.1f}{spread} %"
