"""Image AUROC and escapes against latency: one SVG with two panels, means over the sets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from statistics import mean

from benchmarks.comparison.table import Line
from edgeirf.runtime.render.charts import Axis

COLOURS = {"irf": "#0072b2", "invad": "#56b4e9", "padim": "#e69f00", "patchcore": "#d55e00"}
PANEL, HEIGHT, LEFT, TOP, BOTTOM = 420, 380, 60, 40, 320
Point = tuple[str, str, str, float, float]
"""Method, precision, executor, milliseconds, value."""


def points(lines: Sequence[Line], figure: str) -> list[Point]:
    """One point for each method, precision and executor: its mean over the sets that all of them were measured on."""
    groups: dict[tuple[str, str, str], dict[str, tuple[float, float]]] = {}
    for line in lines:
        value, latency = line.figures.get(figure), line.figures.get("network_ms")
        if value is not None and latency is not None:
            groups.setdefault((line.method, line.precision, line.executor), {})[line.set] = latency.value, value.value
    common = set.intersection(*map(set, groups.values())) if groups else set()
    return [
        (*key, mean(found[name][0] for name in common), mean(found[name][1] for name in common))
        for key, found in groups.items()
        if common
    ]


def svg(lines: Sequence[Line]) -> str:
    """The plot; a panel without points says so."""
    escapes = points(lines, "escapes_at") or points(lines, "escapes")
    label = "escapes at 2 % false rejects" if points(lines, "escapes_at") else "escapes at the promised threshold"
    body = [*_panel(0, "image AUROC", points(lines, "image_auroc")), *_panel(1, label, escapes), *_legend(lines)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * PANEL} {HEIGHT + 30}" '
        'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>'
        f"{''.join(body)}</svg>\n"
    )


def _panel(number: int, title: str, found: Sequence[Point]) -> Iterator[str]:
    left, right = number * PANEL + LEFT, (number + 1) * PANEL - 20
    yield _text(left, TOP - 16, title, "start", "bold")
    if not found:
        yield _text((left + right) / 2, (TOP + BOTTOM) / 2, "not measured", "middle")
        return
    latencies, values = [point[3] for point in found], [point[4] for point in found]
    margin = 0.1 * (max(values) - min(values)) or 0.01
    x = Axis(min(latencies) / 1.2, max(latencies) * 1.2, left, right, log=True)
    y = Axis(min(values) - margin, max(values) + margin, BOTTOM, TOP)
    for tick in y.ticks(5):
        yield f'<path d="M{left} {y(tick):.1f}H{right}" stroke="#ddd"/>'
        yield _text(left - 6, y(tick) + 4, f"{tick:g}", "end")
    for tick in x.ticks(4):
        yield _text(x(tick), BOTTOM + 18, f"{tick:g}", "middle")
    yield _text(right, BOTTOM + 36, "graph, ms a frame", "end")
    for method, precision, executor, latency, value in found:
        yield _mark(x(latency), y(value), method, precision, executor)


def _mark(x: float, y: float, method: str, precision: str, executor: str) -> str:
    """A circle for ONNX Runtime, a square for OpenVINO; filled for FP32, hollow for reduced precisions."""
    colour = COLOURS.get(method, "#666")
    fill = colour if precision == "fp32" else "#fff"
    style = f'fill="{fill}" stroke="{colour}" stroke-width="2"'
    title = f"<title>{escape(f'{method} {precision} {executor}')}</title>"
    if executor == "onnxruntime":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" {style}>{title}</circle>'
    return f'<rect x="{x - 5:.1f}" y="{y - 5:.1f}" width="10" height="10" {style}>{title}</rect>'


def _legend(lines: Sequence[Line]) -> Iterator[str]:
    methods = list(dict.fromkeys(line.method for line in lines))
    for number, method in enumerate(methods):
        yield _mark(LEFT + 100 * number, HEIGHT, method, "fp32", "onnxruntime")
        yield _text(LEFT + 12 + 100 * number, HEIGHT + 4, method, "start")
    text = "circle: ONNX Runtime, square: OpenVINO; filled: fp32, hollow: reduced precision"
    yield _text(LEFT, HEIGHT + 22, text, "start")


def _text(x: float, y: float, text: str, anchor: str, weight: str = "normal") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>'
