"""SVG picture of a comparison: p50, p99 and p99.9 of each strategy with intervals, on a log axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

from argosy.simulation.balancing.comparison import Comparison, StrategyRow

QUANTILES = (("p50_ms", "p50", "#4c78a8"), ("p99_ms", "p99", "#e4572e"), ("p999_ms", "p99.9", "#7b5ea7"))
WIDTH, LEFT, RIGHT, TOP, ROW, BOTTOM = 860, 190, 30, 64, 34, 44


class _Axis:
    """Horizontal axis that maps milliseconds to pixels, from one power of ten to another."""

    def __init__(self, values: Sequence[float]) -> None:
        self.low = math.floor(math.log10(min(values)))
        self.high = max(self.low + 1, math.ceil(math.log10(max(values))))

    def x(self, ms: float) -> float:
        share = (math.log10(max(ms, 10.0**self.low)) - self.low) / (self.high - self.low)
        return LEFT + share * (WIDTH - LEFT - RIGHT)


def draw(comparison: Comparison, about: str) -> str:
    """Return the text of an SVG file. Unstable strategies are named but have no marks."""
    axis = _Axis(
        [value for row in comparison.rows for name, _, _ in QUANTILES if (value := _value(row, name))] or [1.0]
    )
    floor = TOP + ROW * len(comparison.rows)
    title = f"{comparison.regime or comparison.trace}: latency, ms"
    detail = f"{about}; callers: {comparison.callers}, seeds: {comparison.seeds}, 95 % intervals"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {floor + BOTTOM}" '
        'font-family="sans-serif" font-size="13" fill="#222">',
        f'<rect width="{WIDTH}" height="{floor + BOTTOM}" fill="#fff"/>',
        _text(10, 20, title, size=15),
        _text(10, 40, detail, size=11),
        *_grid(axis, floor),
    ]
    for number, row in enumerate(comparison.rows):
        y = TOP + ROW * (number + 0.5)
        parts.append(_text(LEFT - 10, y + 4, row.strategy, anchor="end"))
        if row.stable:
            parts += _marks(row, axis, y)
        else:
            parts.append(_text(LEFT + 8, y + 4, "unstable: the queue grows through the run"))
    parts += [
        f'<circle cx="{LEFT + 110 * i}" cy="{floor + 32}" r="5" fill="{colour}"/>'
        + _text(LEFT + 110 * i + 10, floor + 36, label)
        for i, (_, label, colour) in enumerate(QUANTILES)
    ]
    return "\n".join([*parts, "</svg>\n"])


def _value(row: StrategyRow, name: str) -> float | None:
    value: float | None = getattr(row, name)
    return value if row.stable else None


def _grid(axis: _Axis, floor: float) -> list[str]:
    lines = []
    for power in range(axis.low, axis.high + 1):
        x = axis.x(10.0**power)
        lines.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{floor}" stroke="#ddd"/>')
        lines.append(_text(x, floor + 16, f"{10.0**power:g}", anchor="middle", size=11))
    return lines


def _marks(row: StrategyRow, axis: _Axis, y: float) -> list[str]:
    marks = []
    for name, _, colour in QUANTILES:
        value = _value(row, name)
        if value is None:
            continue
        low, high = row.ci95[name]
        marks.append(
            f'<line x1="{axis.x(low):.1f}" x2="{axis.x(high):.1f}" y1="{y}" y2="{y}" stroke="{colour}" '
            f'stroke-width="3"/><circle cx="{axis.x(value):.1f}" cy="{y}" r="5" fill="{colour}"/>'
        )
    return marks


def _text(x: float, y: float, words: str, *, anchor: str = "start", size: int = 13) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{escape(words)}</text>'
