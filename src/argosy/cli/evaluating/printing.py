"""Tables of evaluations and of comparisons, and their JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from argosy.cli import output
from argosy.evaluation.results import CaseResult, Evaluation, ModeResult
from argosy.evaluation.statistics import Difference

COUNTED = "answer_words"
"""Metric that is a number, while all others are shares of 1."""
WRONG_SHOWN = 10
WRONG_IN_JSON = 1_000
TEXT_CHARS = 70


def summary(evaluation: Evaluation) -> dict[str, object]:
    """Return what `--json` prints: means by mode, then intervals, kinds and the cases that something is wrong with."""
    return {
        "name": evaluation.name,
        "modes": {mode: result.metrics for mode, result in evaluation.modes.items()},
        "intervals": {mode: result.intervals for mode, result in evaluation.modes.items()},
        "counts": {mode: result.counts for mode, result in evaluation.modes.items()},
        "kinds": {mode: result.kinds for mode, result in evaluation.modes.items()},
        "wrong": {mode: [c for c in r.cases if c.wrong][:WRONG_IN_JSON] for mode, r in evaluation.modes.items()},
        "degraded": {mode: result.degraded for mode, result in evaluation.modes.items()},
        "failed": {mode: result.failed for mode, result in evaluation.modes.items()},
        "dataset": evaluation.dataset,
        "settings": evaluation.settings,
        "created_at": evaluation.created_at,
        "version": evaluation.version,
        "seconds": evaluation.seconds,
    }


def print_evaluation(evaluation: Evaluation, every_case: bool = False) -> None:
    """Print the means with intervals, the kinds, and the cases that are wrong."""
    for mode, result in evaluation.modes.items():
        output.table(
            (mode, "value", "95 % interval", "cases"),
            [
                (name, _value(name, value), _interval(name, result), str(result.counts[name]))
                for name, value in result.metrics.items()
            ],
        )
        if result.kinds:
            output.line()
            _print_kinds(result)
        output.line()
    for mode, result in evaluation.modes.items():
        _print_wrong(mode, result, every_case)
        if result.degraded:
            output.note(
                f"{output.quantity(result.degraded, 'case')} in mode {mode} got a degraded answer even when repeated, "
                "so the values may be too low. See: argosy status"
            )


def print_comparison(a: str, b: str, compared: Mapping[str, Difference], different_settings: Sequence[str]) -> None:
    """Print the difference of each metric, B less A, with interval and p."""
    output.table(
        ("metric", "A", "B", "B - A", "95 % interval", "p", "better", "worse", "cases"),
        [
            (
                name,
                _value(name, d.a),
                _value(name, d.b),
                _signed(name, d.difference),
                f"{_signed(name, d.interval[0])} to {_signed(name, d.interval[1])}",
                f"{d.p:.4f}" if d.p >= 0.0001 else "<0.0001",
                str(d.better),
                str(d.worse),
                str(d.questions),
            )
            for name, d in compared.items()
        ],
    )
    output.line(f"A is {a}. B is {b}. p is that of a paired randomisation test; below 0.05, chance alone is unlikely.")
    for line in different_settings:
        output.line(line)


def settings_that_differ(a: Mapping[str, str], b: Mapping[str, str]) -> list[str]:
    """Return one line for each setting that is known on both sides and differs."""
    return [f"{key}: {a[key]} in A, {b[key]} in B." for key in sorted(a.keys() & b.keys()) if a[key] != b[key]]


def _print_kinds(result: ModeResult) -> None:
    columns = [name for name in result.metrics if any(name in values for values in result.kinds.values())]
    chosen = [name for name in ("right", "answer_containment", "ndcg@10", "recall@10") if name in columns] or columns[
        :3
    ]
    output.table(
        ("kind", "cases", *chosen),
        [
            (kind, f"{values['cases']:.0f}", *(_value(n, values[n]) if n in values else output.DASH for n in chosen))
            for kind, values in result.kinds.items()
        ],
    )


def _print_wrong(mode: str, result: ModeResult, every_case: bool) -> None:
    wrong = sorted((case for case in result.cases if case.wrong), key=lambda case: case.values.get("right", 0.0))
    if not wrong:
        return
    shown = wrong if every_case else wrong[:WRONG_SHOWN]
    output.table(
        (f"wrong ({mode})", "what"),
        [(output.one_line(f"{case.id}: {case.question}", TEXT_CHARS), _what(case)) for case in shown],
    )
    if len(shown) < len(wrong):
        output.line(f"… and {len(wrong) - len(shown)} more; see all with: argosy eval show latest --all")


def _what(case: CaseResult) -> str:
    answer = f" | {output.one_line(case.answer, TEXT_CHARS)}" if case.answer else ""
    return "; ".join(case.wrong) + answer


def _value(name: str, value: float) -> str:
    return f"{value:.1f}" if name == COUNTED else f"{value:.3f}"


def _signed(name: str, value: float) -> str:
    return f"{value:+.1f}" if name == COUNTED else f"{value:+.3f}"


def _interval(name: str, result: ModeResult) -> str:
    low, high = result.intervals[name]
    return f"{_value(name, low)} to {_value(name, high)}"


def short(evaluation: Evaluation) -> str:
    """Return the first metrics of each mode in one line."""
    shown = []
    for mode, result in evaluation.modes.items():
        chosen = [name for name in ("right", "ndcg@10", "recall@10", "answer_containment") if name in result.metrics]
        shown.append(f"{mode}: " + ", ".join(f"{name} {_value(name, result.metrics[name])}" for name in chosen))
    return "; ".join(shown)
