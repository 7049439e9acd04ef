"""Plots as inline SVG. Colours come from the page's style sheet, so that they follow light and dark."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

BINS = 48
LOG_FROM = 20.0
"""Positive scores whose largest is this many times the smallest get a logarithmic axis."""


@dataclass(frozen=True)
class Axis:
    """Values ``low`` to ``high`` onto pixels ``start`` to ``end``."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        low, high, at = (math.log10(v) if self.log else v for v in (self.low, self.high, value))
        return self.start + (self.end - self.start) * (at - low) / (high - low)

    def ticks(self, about: int) -> list[float]:
        """Round values inside, roughly ``about`` of them."""
        if not self.log:
            return _round_values(self.low, self.high, about)
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for steps in ((1, 2, 5), (1, 3), (1,)):
            values = [step * 10.0**decade for decade in decades for step in steps]
            inside = [value for value in values if self.low <= value <= self.high]
            if len(inside) <= 2 * about:
                break
        return inside if len(inside) > 1 else _round_values(self.low, self.high, about)


def histogram(good: Sequence[float], defective: Sequence[float], held_out: Sequence[float], threshold: float) -> str:
    """Image scores of good parts above those of defective ones, each on its own scale, with the threshold.

    The held-out good parts behind the threshold are ticks below the axis.
    """
    x = _score_axis(np.array([*good, *defective, *held_out, threshold]))
    edges = _edges(x, threshold)
    body = [
        *_row(x, edges, good, Axis(0, 1, 142, 34), "good", f"{len(good)} good"),
        *_row(x, edges, defective, Axis(0, 1, 272, 164), "bad", f"{len(defective)} defective"),
    ]
    body += [_line(x(score), 276, x(score), 286, "rug") for score in held_out]
    body += _tick_labels(x, 306)
    body.append(_line(x(threshold), 26, x(threshold), 286, "threshold"))
    anchor = "start" if x(threshold) < 520 else "end"
    body.append(_text(x(threshold) + (6 if anchor == "start" else -6), 20, f"threshold {threshold:.4g}", anchor))
    body.append(_text(x.end, 326, "image score" + (", logarithmic" if x.log else ""), "end"))
    return _svg(720, 330, "Histogram of image scores", body)


def held_out_histogram(held_out: Sequence[float], threshold: float) -> str:
    """Image scores of held-out good parts with the threshold."""
    x = _score_axis(np.array([*held_out, threshold]))
    edges = _edges(x, threshold)
    body = [*_row(x, edges, held_out, Axis(0, 1, 162, 34), "good", f"{len(held_out)} held-out good parts")]
    body += _tick_labels(x, 184)
    body.append(_line(x(threshold), 26, x(threshold), 162, "threshold"))
    body.append(_text(x(threshold) - 6, 20, f"threshold {threshold:.4g}", "end"))
    body.append(_text(x.end, 204, "image score" + (", logarithmic" if x.log else ""), "end"))
    return _svg(720, 208, "Histogram of held-out scores", body)


def roc_curve(false: NDArray[np.float64], true: NDArray[np.float64], at: tuple[float, float]) -> str:
    """Share of defects found against share of good parts rejected; ``at`` is the point of the threshold."""
    x, y = Axis(0, 1, 48, 312), Axis(0, 1, 282, 18)
    body = [_line(x(tick), y(0), x(tick), y(1), "grid") for tick in (0, 0.25, 0.5, 0.75, 1)]
    body += [_line(x(0), y(tick), x(1), y(tick), "grid") for tick in (0, 0.25, 0.5, 0.75, 1)]
    body += [_text(x(tick), 302, f"{tick:g}", "middle") for tick in (0, 0.5, 1)]
    body += [_text(40, y(tick) + 5, f"{tick:g}", "end") for tick in (0, 0.5, 1)]
    points = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in zip(false.tolist(), true.tolist(), strict=True))
    body.append(f'<polyline class="roc" points="{points}"/>')
    body.append(f'<circle class="at" cx="{x(at[0]):.1f}" cy="{y(at[1]):.1f}" r="6"/>')
    body.append(_text(x.end, 324, "good parts rejected", "end"))
    body.append(
        f'<text transform="translate(14 {y(0.5):.0f}) rotate(-90)" text-anchor="middle">defects rejected</text>'
    )
    return _svg(330, 330, "ROC curve", body)


def reject_curve(
    amounts: Sequence[float], shares: Sequence[float], promised: float, tolerated: float, unit: str
) -> str:
    """Share of good parts rejected against the amount of a nuisance.

    Amounts are spread evenly, so that small ones, each half of the next, do not fall together.

    Args:
        amounts: ascending, in ``unit``.
        shares: 0 to 1, one for each amount.
        promised: the share that the threshold promises, a dashed line.
        tolerated: amounts up to this one are shaded; one of ``amounts``.
    """
    x, y = Axis(0, len(amounts) - 1, 58, 312), Axis(0, 1, 152, 14)
    held = x(sum(amount <= tolerated for amount in amounts) - 1)
    body = [
        f'<rect class="held" x="{x.start:.1f}" y="{y.end}" width="{held - x.start:.1f}" height="{y.start - y.end}"/>'
    ]
    for tick in (0, 0.5, 1):
        body += [_line(x.start, y(tick), x.end, y(tick), "grid"), _text(50, y(tick) + 5, f"{100 * tick:g} %", "end")]
    body += [_text(x(at), 172, f"{amount:.2g}", "middle") for at, amount in enumerate(amounts)]
    body.append(_line(x.start, y(promised), x.end, y(promised), "threshold"))
    body.append(f'<polyline class="roc" points="{" ".join(f"{x(i):.1f},{y(v):.1f}" for i, v in enumerate(shares))}"/>')
    body += [f'<circle class="at" cx="{x(i):.1f}" cy="{y(v):.1f}" r="4"/>' for i, v in enumerate(shares)]
    body.append(_text(x.end, 190, unit, "end"))
    return _svg(330, 194, "Share of good parts rejected", body)


def _score_axis(values: NDArray[np.float64]) -> Axis:
    low, high = float(values.min()), float(values.max())
    log = low > 0 and high / low > LOG_FROM
    if log:
        return Axis(low / 1.06, high * 1.06, 48, 712, log)
    margin = 0.02 * (high - low) or 1.0
    return Axis(low - margin, high + margin, 48, 712)


def _row(
    x: Axis, edges: NDArray[np.float64], scores: Sequence[float], unit: Axis, kind: str, label: str
) -> Iterator[str]:
    """One histogram between the pixels of ``unit``, which it scales to its largest bar."""
    counts = np.histogram(np.array(scores, float), edges)[0]
    y = Axis(0, max(1.0, float(counts.max())), unit.start, unit.end)
    for tick in (tick for tick in y.ticks(3) if tick == int(tick)):
        yield _line(x.start, y(tick), x.end, y(tick), "grid")
        yield _text(x.start - 8, y(tick) + 5, f"{tick:g}", "end")
    bars = (
        f'<rect x="{x(left) + 0.5:.1f}" y="{y(count):.1f}" width="{max(x(right) - x(left) - 1, 1):.1f}"'
        f' height="{y(0) - y(count):.1f}"/>'
        for left, right, count in zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True)
        if count
    )
    yield f'<g class="{kind}">{"".join(bars)}</g>'
    yield _line(x.start, y(0), x.end, y(0), "axis")
    yield _text(x.start, unit.end - 8, label, "start", kind)


def _edges(x: Axis, threshold: float) -> NDArray[np.float64]:
    """Bin edges over the axis with one exactly at the threshold, so that no bar is half rejected."""
    low, high, at = (math.log10(v) if x.log else v for v in (x.low, x.high, threshold))
    width = (high - low) / BINS
    numbers = np.arange(math.floor((low - at) / width), math.ceil((high - at) / width) + 1)
    edges = np.clip(at + width * numbers, low, high)
    # A score equal to the threshold is not rejected: it belongs to the bar on the left.
    edges = 10**edges if x.log else edges
    edges[numbers == 0] = np.nextafter(threshold, np.inf)
    edges[0], edges[-1] = x.low, x.high
    unique: NDArray[np.float64] = np.unique(edges)
    return unique


def _round_values(low: float, high: float, about: int) -> list[float]:
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw)
    first = math.ceil(low / step)
    return [round(i * step, 12) for i in range(first, math.floor(high / step) + 1)]


def _tick_labels(x: Axis, y: float) -> list[str]:
    """One that would stand out over the end of the axis ends at its tick: there is no room beside it."""
    labels = [(x(tick), f"{tick:g}") for tick in x.ticks(7)]
    return [_text(at, y, label, "end" if at + 5 * len(label) > x.end else "middle") for at, label in labels]


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str, kind: str = "") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(width: int, height: int, label: str, body: Sequence[str]) -> str:
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">{"".join(body)}</svg>'
