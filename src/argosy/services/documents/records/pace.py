"""Prediction of how long work takes, from finished work. The module is pure: it uses no clock and no database.

Work is counted in bytes of text. Each document costs `OVERHEAD_BYTES` in addition, because a thousand tiny files are
not free. The text per byte of file is the typical one for the kind of document until documents of that kind have been
measured.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from argosy.services.documents.parsing.formats import Format

OVERHEAD_BYTES = 4096
TYPICAL: Mapping[str, float] = {
    Format.HTML: 0.3,
    Format.PDF: 0.2,
    Format.DOCX: 0.5,
    Format.PPTX: 0.1,
    Format.ODT: 0.5,
    Format.RTF: 0.5,
}
"""Bytes of text per byte of file; 1 for other kinds. Markup and embedded pictures lower it."""
TRUSTED_DOCUMENTS = 2.0
"""Number of measured documents of a kind that weigh as much as the typical value."""


def work(size_bytes: int, kind: str) -> float:
    """Return the typical work of a document of that size and media type, in bytes of text."""
    return size_bytes * TYPICAL.get(kind, 1.0) + OVERHEAD_BYTES


@dataclass(frozen=True, slots=True)
class Ended:
    """A finished document: start and end in seconds of any one clock, its work, and its media type."""

    began_s: float
    ended_s: float
    work: float
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Pace:
    """Measured pace: seconds per unit of work, and for each kind the factor by which its work takes longer."""

    seconds_per_work: float
    weights: Mapping[str, float]

    def work(self, left: Mapping[str, float]) -> float:
        """Return the total of typical work by kind, corrected by the measured factors."""
        return sum(work * self.weights.get(kind, 1.0) for kind, work in left.items())


def busy_s(ended: Iterable[Ended]) -> float:
    """Return the seconds during which at least one document was being processed."""
    total_s, until_s = 0.0, float("-inf")
    for run in sorted(ended, key=lambda run: run.began_s):
        total_s += max(0.0, run.ended_s - max(run.began_s, until_s))
        until_s = max(until_s, run.ended_s)
    return total_s


def measured(ended: Iterable[Ended]) -> Pace | None:
    """Return the time during which any document was being processed, divided by the work done in it.

    Documents processed in parallel share their time, and idle pauses do not count, so the pace is that of the whole
    service with all its workers. Returns None when nothing was measured.
    """
    runs = list(ended)
    done = sum(run.work for run in runs)
    return Pace(busy_s(runs) / done, _weights(runs, done)) if done > 0 else None


def _weights(runs: list[Ended], done: float) -> dict[str, float]:
    """Return, for each kind, the factor by which its typical work takes longer than average."""
    all_s = sum(run.ended_s - run.began_s for run in runs)
    if all_s <= 0:
        return {}
    took_s: defaultdict[str, float] = defaultdict(float)
    works: defaultdict[str, float] = defaultdict(float)
    for run in runs:
        took_s[run.kind] += run.ended_s - run.began_s
        works[run.kind] += run.work
    known_s = TRUSTED_DOCUMENTS * all_s / len(runs)
    return {kind: (took_s[kind] + known_s) / (works[kind] * all_s / done + known_s) for kind in works}


def remaining_s(pace: float, own: float, everything: float, lanes: int) -> float:
    """Return the seconds until `own` work is done, out of `everything` that waits, when `lanes` senders take turns."""
    return min(max(own, everything), own * max(1, lanes)) * pace
