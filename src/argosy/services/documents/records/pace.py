"""How long work takes, from work that is done. Pure: no clock, no database.

Work is counted in bytes of text, and a document costs `OVERHEAD_BYTES` beside its own: a thousand tiny files are not
free. A kind of document has so much text in a byte of its file as is typical, until its own documents tell.
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
"""Bytes of text in a byte of a file: markup has less than one, a picture inside counts for nothing. Others: 1."""
TRUSTED_DOCUMENTS = 2.0
"""So many documents of a kind that were measured weigh as much as what is typical."""


def work(size_bytes: int, kind: str) -> float:
    """What a document of that size and media type typically costs."""
    return size_bytes * TYPICAL.get(kind, 1.0) + OVERHEAD_BYTES


@dataclass(frozen=True, slots=True)
class Ended:
    """A document that is through: when it was begun and ended (any clock, seconds), the work it was, its media type."""

    began_s: float
    ended_s: float
    work: float
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds per work of everything, and how often that a kind of document takes."""

    seconds_per_work: float
    weights: Mapping[str, float]

    def work(self, left: Mapping[str, float]) -> float:
        """What typical work by kind comes to."""
        return sum(work * self.weights.get(kind, 1.0) for kind, work in left.items())


def busy_s(ended: Iterable[Ended]) -> float:
    """Time in which at least one of them was in work."""
    total_s, until_s = 0.0, float("-inf")
    for run in sorted(ended, key=lambda run: run.began_s):
        total_s += max(0.0, run.ended_s - max(run.began_s, until_s))
        until_s = max(until_s, run.ended_s)
    return total_s


def measured(ended: Iterable[Ended]) -> Pace | None:
    """Time in which something was in work, over the work that was done in it.

    Documents side by side share their time, and pauses in which nothing was in work count for nothing, so that the
    pace is that of the whole service with as many workers as it had. None when nothing was measured.
    """
    runs = list(ended)
    done = sum(run.work for run in runs)
    return Pace(busy_s(runs) / done, _weights(runs, done)) if done > 0 else None


def _weights(runs: list[Ended], done: float) -> dict[str, float]:
    """How often the time of all that a kind takes for its typical work."""
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
    """Seconds until `own` work is through, out of `everything` that waits; `lanes` senders take turns."""
    return min(max(own, everything), own * max(1, lanes)) * pace
