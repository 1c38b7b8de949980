"""Finished runs of strategies in regimes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from argosy.simulation.balancing.summary import Summary
from benchmarks._journal import Journal

FOLDER = Path(__file__).parent / "results" / "balancing"


class Key(msgspec.Struct, frozen=True):
    """Key of a run."""

    subject: str
    callers: int
    seed: int
    requests: int


class Cell(msgspec.Struct, frozen=True):
    key: Key
    figures: dict[str, float | None]
    stable: bool

    @classmethod
    def of(cls, key: Key, summary: Summary) -> Cell:
        # JSON cannot express NaN: a figure that the run does not have is null.
        figures = {name: None if value != value else value for name, value in summary.figures.items()}
        return cls(key, figures, summary.stable)

    @property
    def summary(self) -> Summary:
        figures = {name: float("nan") if value is None else value for name, value in self.figures.items()}
        return Summary(figures, self.stable)


class Cells(Journal[Cell]):
    """Finished runs of one case."""

    def __init__(self, case: str) -> None:
        super().__init__(FOLDER / f"{case}.jsonl", Cell)

    def seeds(self, subject: str, callers: int, requests: int, most: int) -> set[int]:
        """Return the seeds below `most` that the subject was run with."""
        wanted = (subject, callers, requests)
        keys = (cell.key for cell in self)
        return {k.seed for k in keys if (k.subject, k.callers, k.requests) == wanted and k.seed < most}

    def paired(self, subjects: Iterable[str], callers: int, requests: int, seeds: int) -> dict[str, Sequence[Summary]]:
        """Return the runs of each subject that has any, with those of the first `seeds` seeds that all of them have."""
        done = {subject: self.seeds(subject, callers, requests, seeds) for subject in subjects}
        done = {subject: seen for subject, seen in done.items() if seen}
        common = sorted(set.intersection(*done.values())) if done else []
        return {s: [self[Key(s, callers, seed, requests)].summary for seed in common] for s in done if common}
