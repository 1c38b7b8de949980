from __future__ import annotations

import heapq
import random
import statistics
from collections import defaultdict
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.services.documents.parsing.formats import Format
from argosy.services.documents.records.pace import Ended, busy_s, measured, remaining_s, work

pytestmark = pytest.mark.unit

MIXED = [("", 2_000, 0.05)] * 240 + [("", 40_000, 0.6)] * 120 + [("", 400_000, 7.0)] * 30 + [("", 1_000_000, 11.0)] * 10
"""Kind, bytes and seconds of processing: short notes, pages, reports, and books, whose pages cost less."""
KINDS = [
    (Format.MARKDOWN, 6_000, 0.15),
    (Format.HTML, 80_000, 0.35),
    (Format.PDF, 300_000, 1.5),
    (Format.PNG, 90_000, 2.5),
    (Format.DOCX, 20_000, 0.4),
]
"""Documents of each kind: web pages are mostly markup, pictures need text recognition."""


def run(documents: Sequence[tuple[str, int, float]], workers: int) -> tuple[list[Ended], float]:
    """Simulate processing in order by `workers`. Returns: the documents in order of start, and the end of the last."""
    free = [0.0] * workers
    ended = []
    for kind, size, seconds in documents:
        began_s = heapq.heappop(free)
        heapq.heappush(free, began_s + seconds)
        ended.append(Ended(began_s, began_s + seconds, work(size, kind), kind))
    return ended, max(free)


def seen_at(now_s: float, ended: list[Ended]) -> list[Ended]:
    """Return what is known at `now_s`: running documents count by their progress."""
    return [
        one
        if one.ended_s <= now_s
        else Ended(one.began_s, now_s, one.work * (now_s - one.began_s) / (one.ended_s - one.began_s), one.kind)
        for one in ended
        if one.began_s <= now_s
    ]


def error_at_a_quarter(documents: Sequence[tuple[str, int, float]], workers: int) -> float:
    """Return the relative error of the estimate after a quarter of the time."""
    ended, took_s = run(documents, workers)
    now_s = next(one.ended_s for one in sorted(ended, key=lambda one: one.ended_s) if one.ended_s >= took_s / 4)
    seen = seen_at(now_s, ended)
    left: defaultdict[str, float] = defaultdict(float)
    for kind, size, _ in documents:
        left[kind] += work(size, kind)
    for one in seen:
        left[one.kind] -= one.work
    pace = measured(seen)
    assert pace is not None
    own = pace.work(left)
    return remaining_s(pace.seconds_per_work, own, own, 1) / (took_s - now_s) - 1


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_a_quarter_into_a_mixed_batch_the_estimate_is_within_thirty_percent(workers: int) -> None:
    errors = [abs(error_at_a_quarter(random.Random(seed).sample(MIXED, len(MIXED)), workers)) for seed in range(10)]
    assert statistics.median(errors) <= 0.30, errors


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_kinds_that_cost_less_or_more_for_their_bytes_are_told_apart_once_some_were_seen(workers: int) -> None:
    shuffled = [random.Random(seed).sample(KINDS * 40, 40 * len(KINDS)) for seed in range(10)]
    assert max(abs(error_at_a_quarter(documents, workers)) for documents in shuffled) <= 0.10


def test_what_is_typical_of_a_kind_is_told_before_any_was_seen() -> None:
    clustered = sorted(one for one in KINDS * 40 if one[0] in (Format.MARKDOWN, Format.HTML))[::-1]
    assert abs(error_at_a_quarter(clustered, 2)) <= 0.30


def test_a_kind_is_judged_by_what_its_own_documents_took() -> None:
    fast, slow = [Ended(0, 1, 100, "fast")] * 50, [Ended(0, 3, 100, "slow")] * 50
    pace = measured([*fast, *slow])
    assert pace is not None
    assert pace.weights == pytest.approx({"fast": 0.5, "slow": 1.5}, rel=0.05)
    assert pace.work({"fast": 10, "slow": 10, "other": 10}) == pytest.approx(5 + 15 + 10, rel=0.05)


def test_documents_side_by_side_share_their_time() -> None:
    pace = measured([Ended(0, 10, 50), Ended(0, 10, 50)])
    assert pace is not None
    assert pace.seconds_per_work == pytest.approx(0.1)


def test_pauses_without_work_do_not_count() -> None:
    pace = measured([Ended(0, 1, 10), Ended(1000, 1001, 10)])
    assert pace is not None
    assert pace.seconds_per_work == pytest.approx(0.1)


def test_nothing_measured_is_no_pace() -> None:
    assert measured([]) is None


def test_senders_take_turns_but_nobody_waits_longer_than_for_everything() -> None:
    assert remaining_s(1.0, own=10, everything=100, lanes=2) == 20
    assert remaining_s(1.0, own=10, everything=15, lanes=4) == 15
    assert remaining_s(1.0, own=10, everything=0, lanes=0) == 10


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), max_size=20))
def test_busy_time_is_within_the_span_and_at_least_the_longest(spans: list[tuple[float, float]]) -> None:
    ended = [Ended(begin, begin + length, 1) for begin, length in spans]
    span_s = max((one.ended_s for one in ended), default=0.0) - min((one.began_s for one in ended), default=0.0)
    longest_s = max((one.ended_s - one.began_s for one in ended), default=0.0)
    assert longest_s - 1e-6 <= busy_s(ended) <= span_s + 1e-6
