from __future__ import annotations

import heapq
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.services.documents.pace import Ended, busy_s, remaining_s, seconds_per_work, work

pytestmark = pytest.mark.unit

MIXED = [(2_000, 0.05)] * 240 + [(40_000, 0.6)] * 120 + [(400_000, 7.0)] * 30 + [(1_000_000, 11.0)] * 10
"""Bytes and seconds of processing: short notes, pages, reports, and books whose pages cost less."""


def run(documents: list[tuple[int, float]], workers: int) -> tuple[list[Ended], float]:
    """Carried out in order by so many workers. Returns: the documents as they were begun, and when all had ended."""
    free = [0.0] * workers
    ended = []
    for size, seconds in documents:
        began_s = heapq.heappop(free)
        heapq.heappush(free, began_s + seconds)
        ended.append(Ended(began_s, began_s + seconds, work(size)))
    return ended, max(free)


def seen_at(now_s: float, ended: list[Ended]) -> list[Ended]:
    """What is known then: documents in work count by their progress."""
    return [
        one
        if one.ended_s <= now_s
        else Ended(one.began_s, now_s, one.work * (now_s - one.began_s) / (one.ended_s - one.began_s))
        for one in ended
        if one.began_s <= now_s
    ]


def error_at_a_quarter(seed: int, workers: int) -> float:
    """Relative, of the estimate when a quarter of the work is done."""
    documents = list(MIXED)
    random.Random(seed).shuffle(documents)
    ended, took_s = run(documents, workers)
    everything = sum(work(size) for size, _ in documents)
    for one in sorted(ended, key=lambda one: one.ended_s):
        seen = seen_at(one.ended_s, ended)
        left = everything - sum(part.work for part in seen)
        if left <= 0.75 * everything:
            pace = seconds_per_work(seen)
            assert pace is not None
            return remaining_s(pace, left, left, 1) / (took_s - one.ended_s) - 1
    raise AssertionError


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_a_quarter_into_a_mixed_batch_the_estimate_is_within_thirty_percent(workers: int) -> None:
    errors = [abs(error_at_a_quarter(seed, workers)) for seed in range(10)]
    assert statistics.median(errors) <= 0.30, errors


def test_documents_side_by_side_share_their_time() -> None:
    assert seconds_per_work([Ended(0, 10, 50), Ended(0, 10, 50)]) == pytest.approx(0.1)


def test_pauses_without_work_do_not_count() -> None:
    assert seconds_per_work([Ended(0, 1, 10), Ended(1000, 1001, 10)]) == pytest.approx(0.1)


def test_nothing_measured_is_no_pace() -> None:
    assert seconds_per_work([]) is None


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
