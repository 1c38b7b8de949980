"""Finished runs, kept one by one: a benchmark of an hour that is stopped goes on where it was.

A file for each case, a line for each run. Lines are appended whole, so several processes may write at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from argosy.simulation.summary import Summary

FOLDER = Path(__file__).parent / "results" / "balancing"


class Key(msgspec.Struct, frozen=True):
    """Which run it was."""

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
        # JSON knows no NaN: a figure that the run has none of is null.
        figures = {name: None if value != value else value for name, value in summary.figures.items()}
        return cls(key, figures, summary.stable)

    @property
    def summary(self) -> Summary:
        figures = {name: float("nan") if value is None else value for name, value in self.figures.items()}
        return Summary(figures, self.stable)


class Cells:
    """Those of one case."""

    def __init__(self, case: str) -> None:
        self._path = FOLDER / f"{case}.jsonl"
        lines = self._path.read_bytes().splitlines() if self._path.exists() else []
        self._known = {cell.key: cell for cell in (msgspec.json.decode(line, type=Cell) for line in lines)}

    def __contains__(self, key: Key) -> bool:
        return key in self._known

    def add(self, cell: Cell) -> None:
        self._known[cell.key] = cell
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab", buffering=0) as lines:
            lines.write(msgspec.json.encode(cell) + b"\n")

    def seeds(self, subject: str, callers: int, requests: int, most: int) -> set[int]:
        """The seeds below `most` that it was run with."""
        wanted = (subject, callers, requests)
        return {k.seed for k in self._known if (k.subject, k.callers, k.requests) == wanted and k.seed < most}

    def paired(self, subjects: Iterable[str], callers: int, requests: int, seeds: int) -> dict[str, Sequence[Summary]]:
        """Of each subject that has any, the runs with those of the first `seeds` seeds that all of these have."""
        done = {subject: self.seeds(subject, callers, requests, seeds) for subject in subjects}
        done = {subject: seen for subject, seen in done.items() if seen}
        common = sorted(set.intersection(*done.values())) if done else []
        return {s: [self._known[Key(s, callers, seed, requests)].summary for seed in common] for s in done if common}
