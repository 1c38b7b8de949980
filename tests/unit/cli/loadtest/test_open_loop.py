"""Counts of an open loop: each due request is answered, refused, failed or not sent, and has its due time."""

from __future__ import annotations

import pytest

from argosy.cli.loadtest.open_loop import Outcome, _count
from benchmarks.scaling_live import SLO_MS, seconds_above

pytestmark = pytest.mark.unit


def test_what_is_refused_or_fails_is_dated_like_what_is_answered() -> None:
    outcome = Outcome(3.0)
    for status, at_s in ((200, 0.1), (429, 0.2), (503, 1.1), (0, 1.2), (500, 2.5)):
        _count(outcome, status, 0.0, at_s)
    assert (outcome.due_s, outcome.lost_s) == ([0.1], [0.2, 1.1, 1.2, 2.5])
    assert (outcome.refused, outcome.failed, len(outcome.latencies_ms)) == (2, 2, 1)
    assert outcome.statuses == {200: 1, 429: 1, 503: 1, 0: 1, 500: 1}


def test_a_second_is_above_its_slo_for_what_was_lost_in_it_or_late() -> None:
    quick, late = SLO_MS / 2, SLO_MS * 2
    outcome = Outcome(4.0, [quick] * 38 + [late], [0.5] * 19 + [1.5] * 19 + [1.7], lost_s=[0.1, 2.9, 1.1])
    # The first second lost 1 of 20 requests, the second lost 1 of 21 and had a late one, the third lost all, and in the
    # last nothing was due.
    assert seconds_above(outcome, 4) == [1, 2]
