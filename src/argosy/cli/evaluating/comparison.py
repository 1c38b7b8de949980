"""Comparison of two results, each a stored result, or a mode of one: `NAME`, `NAME:MODE`, or `MODE` of this one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from argosy.cli import output
from argosy.cli.evaluating import printing
from argosy.contracts.errors import InvalidRequest
from argosy.evaluation.results import Evaluation, ModeResult, Results, differences
from argosy.evaluation.statistics import Difference


@dataclass(frozen=True, slots=True)
class Side:
    label: str
    evaluation: Evaluation
    result: ModeResult


@dataclass(frozen=True, slots=True)
class Comparison:
    a: Side
    b: Side
    metrics: Mapping[str, Difference]

    def as_json(self) -> dict[str, object]:
        return {"a": self.a.label, "b": self.b.label, "metrics": self.metrics}

    def show(self) -> None:
        differ = printing.settings_that_differ(self.a.evaluation.settings, self.b.evaluation.settings)
        printing.print_comparison(self.a.label, self.b.label, self.metrics, differ)
        if self.a.evaluation.dataset.digest != self.b.evaluation.dataset.digest:
            output.note("The two results are about different cases. Only cases with the same id are compared.")


def compared(results: Results, a: str, b: str, current: Evaluation | None = None) -> Comparison:
    """Return the comparison of two sides.

    Raises: NotFound when a result is not stored; InvalidRequest when the sides share no case.
    """
    first = _side(results, a, current)
    second = _side(results, b, current, mode=first.label.rpartition(":")[2])
    metrics = differences(first.result, second.result)
    if not metrics:
        raise InvalidRequest(
            f"{first.label} and {second.label} have no case in common. Compare results of one dataset."
        )
    return Comparison(first, second, metrics)


def _side(results: Results, named: str, current: Evaluation | None, mode: str = "") -> Side:
    if current is not None and named in current.modes:
        return Side(f"{current.name}:{named}", current, current.modes[named])
    name, colon, own_mode = named.rpartition(":")
    if not colon:
        name, own_mode = named, ""
    found = results.load(name)
    if own_mode and own_mode not in found.modes:
        raise InvalidRequest(f"{name} has no mode {own_mode[:40]!r}; it has {', '.join(found.modes)}.")
    chosen = own_mode or (mode if mode in found.modes else next(iter(found.modes)))
    return Side(f"{found.name}:{chosen}", found, found.modes[chosen])
