"""Latency percentiles as a picture: one SVG file that needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape

from edgeirf.runtime.bench.measure import Measurement
from edgeirf.runtime.bench.summary import PERCENTILES

_WIDTH, _LEFT, _RIGHT, _TOP, _ROW = 900, 230, 40, 92, 34
_COLORS = {"steady": "#1f6feb", "triggered": "#d1580b"}
_RADII = {"p50_ms": 6.0, "p95_ms": 4.5, "p99_ms": 3.5, "p999_ms": 2.8, "max_ms": 2.2}


def svg(title: str, measured: list[Measurement], deadline_ms: float) -> str:
    """A line for each target and kind of arrival, from the median to the slowest frame, on a logarithmic axis."""
    rows = [
        (f"{one.target.backend} {one.target.model}", kind, getattr(one, kind)["total"])
        for one in measured
        for kind in _COLORS
        if "total" in getattr(one, kind)
    ]
    values = [numbers[name] for _, _, numbers in rows for name in PERCENTILES]
    low, high = _decades(min(values, default=1.0), max([*values, deadline_ms]))
    height = _TOP + _ROW * len(rows) + 46
    body = [
        *_axis(low, high, height),
        *_deadline(deadline_ms, low, high, height),
        *(part for index, row in enumerate(rows) for part in _row(index, *row, low, high)),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
        f' font-family="system-ui, sans-serif" font-size="13" fill="#1f2328">\n'
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n'
        f'<text x="20" y="28" font-size="16" font-weight="600">{escape(title)}</text>\n'
        f'<text x="20" y="50" fill="#59636e">Camera image in memory to verdict. Dots from left to right: '
        f"p50, p95, p99, p99.9, slowest.</text>\n" + "\n".join(body) + "\n</svg>\n"
    )


def _decades(low: float, high: float) -> tuple[float, float]:
    return math.floor(math.log10(max(low, 1e-3))), math.ceil(math.log10(max(high, 1e-2)))


def _x(value: float, low: float, high: float) -> float:
    return _LEFT + (math.log10(max(value, 1e-9)) - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)


def _axis(low: float, high: float, height: int) -> Iterator[str]:
    for decade in range(int(low), int(high) + 1):
        for factor in (1, 2, 5):
            value = factor * 10.0**decade
            if math.log10(value) > high:
                break
            x = _x(value, low, high)
            yield f'<line x1="{x:.1f}" y1="{_TOP - 14}" x2="{x:.1f}" y2="{height - 34}" stroke="#e2e6ea"/>'
            yield f'<text x="{x:.1f}" y="{height - 16}" text-anchor="middle" fill="#59636e">{value:g}</text>'
    yield f'<text x="20" y="{height - 16}" fill="#59636e">milliseconds, logarithmic</text>'


def _deadline(deadline: float, low: float, high: float, height: int) -> Iterator[str]:
    x = _x(deadline, low, high)
    ends = f'x1="{x:.1f}" y1="{_TOP - 14}" x2="{x:.1f}" y2="{height - 34}"'
    yield f'<line {ends} stroke="#cf222e" stroke-dasharray="4 3"/>'
    anchor = "start" if x < (_LEFT + _WIDTH) / 2 else "end"  # towards the middle, where there is room
    yield f'<text x="{x:.1f}" y="{_TOP - 18}" text-anchor="{anchor}" fill="#cf222e">deadline {deadline:g} ms</text>'


def _row(index: int, name: str, kind: str, numbers: dict[str, float], low: float, high: float) -> Iterator[str]:
    y, color = _TOP + _ROW * index + 10, _COLORS[kind]
    start, end = _x(numbers["p50_ms"], low, high), _x(numbers["max_ms"], low, high)
    label = name if kind == "steady" else ""
    yield f'<text x="20" y="{y + 4}">{escape(label)}</text>'
    yield f'<text x="{_LEFT - 14}" y="{y + 4}" text-anchor="end" fill="{color}">{kind}</text>'
    yield f'<line x1="{start:.1f}" y1="{y}" x2="{end:.1f}" y2="{y}" stroke="{color}" stroke-width="2"/>'
    for percentile, radius in _RADII.items():
        x = _x(numbers[percentile], low, high)
        text = f"{percentile.removesuffix('_ms')} {numbers[percentile]:.3g} ms"
        yield f'<circle cx="{x:.1f}" cy="{y}" r="{radius}" fill="{color}"><title>{text}</title></circle>'
    yield (
        f'<text x="{start:.1f}" y="{y - 9}" text-anchor="middle" font-size="11" fill="{color}">'
        f"{numbers['p50_ms']:.3g}</text>"
    )
