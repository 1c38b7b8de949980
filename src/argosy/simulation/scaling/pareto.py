"""SVG picture of a sweep: share of violations against replica-hours, one curve per policy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

from argosy.simulation.scaling.envelope import FLOOR
from argosy.simulation.scaling.report import PolicyRow, ScalingComparison

COLOURS = {
    "predictive": "#d62728", "target": "#ff9f1c", "threshold": "#8c564b", "hpa_cpu": "#1f77b4",
    "hpa_inflight": "#17becf", "keda": "#2ca02c", "kpa": "#9467bd", "ray": "#e377c2", "static": "#222222",
    "oracle": "#999999",
}  # fmt: skip
DASHED = ("static", "oracle")
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 860, 520, 70, 190, 64, 50


class _Axes:
    """Axes of the picture: replica-hours are linear, violations logarithmic from FLOOR to 1."""

    def __init__(self, rows: Sequence[PolicyRow]) -> None:
        self.most = max((row.replica_hours for row in rows), default=1.0) * 1.02 or 1.0

    def x(self, hours: float) -> float:
        return LEFT + hours / self.most * (WIDTH - LEFT - RIGHT)

    def y(self, violations: float) -> float:
        share = math.log10(max(violations, FLOOR)) / math.log10(FLOOR)
        return TOP + share * (HEIGHT - TOP - BOTTOM)


def draw(comparison: ScalingComparison) -> str:
    """Return the text of an SVG file."""
    axes = _Axes(comparison.rows)
    detail = (
        f"cold start {comparison.cold_start_s:g} s, at most {comparison.max_replicas} replicas, "
        f"{comparison.requests:,} requests, seeds: {comparison.seeds}; lower and further left is better"
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="12" fill="#222">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        _text(10, 22, f"{comparison.load}, {comparison.service}: late requests against replica-hours", size=15),
        _text(10, 42, detail, size=11),
        *_grid(axes),
    ]
    for number, summary in enumerate(comparison.policies):
        policy = summary.policy
        parts += _curve(policy, comparison.points(policy), axes) + _legend(policy, number)
    return "\n".join([*parts, "</svg>\n"])


def _grid(axes: _Axes) -> list[str]:
    right, floor = WIDTH - RIGHT, HEIGHT - BOTTOM
    lines = []
    for power in range(round(math.log10(FLOOR)), 1):
        y = axes.y(10.0**power)
        label = f"{100 * 10.0**power:g} %"
        lines.append(f'<line x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        lines.append(_text(LEFT - 6, y + 4, label, anchor="end", size=11))
    step = 10 ** math.floor(math.log10(axes.most / 2))
    step *= 5 if axes.most / step > 10 else 2 if axes.most / step > 5 else 1
    for tick in range(int(axes.most / step) + 1):
        x = axes.x(tick * step)
        lines.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{floor}" stroke="#eee"/>')
        lines.append(_text(x, floor + 16, f"{tick * step:g}", anchor="middle", size=11))
    lines.append(_text((LEFT + right) / 2, floor + 36, "replica-hours", anchor="middle"))
    return lines


def _curve(policy: str, rows: Sequence[PolicyRow], axes: _Axes) -> list[str]:
    rows = sorted(rows, key=lambda row: row.target)
    colour = COLOURS.get(policy, "#555")
    dashes = ' stroke-dasharray="5 4"' if policy in DASHED else ""
    path = " ".join(f"{axes.x(row.replica_hours):.1f},{axes.y(row.slo_violations):.1f}" for row in rows)
    line = f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>'
    return [line, *(_mark(row, axes, colour) for row in rows)]


def _mark(row: PolicyRow, axes: _Axes, colour: str) -> str:
    x, y = axes.x(row.replica_hours), axes.y(row.slo_violations)
    title = f"target {row.target:g}: {100 * row.slo_violations:.3g} % late, {row.replica_hours:.4g} replica-hours"
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"><title>{title}</title></circle>'


def _legend(policy: str, number: int) -> list[str]:
    x, y = WIDTH - RIGHT + 20, TOP + 10 + 20 * number
    dashes = ' stroke-dasharray="5 4"' if policy in DASHED else ""
    colour = COLOURS.get(policy, "#555")
    return [
        f'<line x1="{x}" x2="{x + 24}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="2"{dashes}/>',
        _text(x + 32, y + 4, policy),
    ]


def _text(x: float, y: float, words: str, *, anchor: str = "start", size: int = 12) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{escape(words)}</text>'
