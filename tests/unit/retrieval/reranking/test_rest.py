from __future__ import annotations

import pytest

from argosy.services.retrieval.reranking.rest import FAILURES, MOST_REST_S, Rest

pytestmark = pytest.mark.unit


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_single_failures_do_not_rest_and_a_series_rests_ever_longer() -> None:
    clock = Clock()
    rest = Rest(clock)

    for _ in range(FAILURES - 1):
        rest.failed(None)
    assert rest.left_s() == 0

    rests = []
    for _ in range(8):
        rest.failed(None)
        rests.append(rest.left_s())
        clock.now_s += rests[-1]
    assert rests == [1, 2, 4, 8, 16, MOST_REST_S, MOST_REST_S, MOST_REST_S]


def test_one_success_ends_the_series() -> None:
    rest = Rest(Clock())
    for _ in range(FAILURES - 1):
        rest.failed(None)
    rest.succeeded()
    rest.failed(None)

    assert (rest.failures, rest.left_s()) == (1, 0)


@pytest.mark.parametrize(("asked_s", "rests_s"), [(7.0, 7.0), (3600.0, MOST_REST_S)])
def test_the_time_that_the_endpoint_asks_for_is_kept_within_bounds(asked_s: float, rests_s: float) -> None:
    rest = Rest(Clock())
    rest.failed(asked_s)

    assert rest.left_s() == rests_s
