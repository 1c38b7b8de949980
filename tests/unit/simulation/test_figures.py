"""Statistics of runs: what counts as unstable, and what the intervals cover."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from argosy.simulation.balancing.comparison import compare
from argosy.simulation.balancing.measures import BackInService, GoodputFloor, PicksWithin, Recovery, ShareOfFair
from argosy.simulation.balancing.plot import draw
from argosy.simulation.balancing.record import Record
from argosy.simulation.balancing.regimes import mixed
from argosy.simulation.balancing.subject import Subject
from argosy.simulation.balancing.summary import grows
from argosy.simulation.bootstrap import mean_interval, ratio_interval
from argosy.simulation.loads.arrivals import FloatArray

pytestmark = pytest.mark.unit


def record(took_s: list[float], *, served: list[bool] | None = None, every_s: float = 1.0) -> Record:
    """One request each `every_s`, all picked at their arrival, in turn of two replicas."""
    arrivals_s: FloatArray = np.arange(len(took_s), dtype=np.float64) * every_s
    return Record(
        arrivals_s=arrivals_s,
        ended_s=arrivals_s + np.array(took_s),
        served=np.array([True] * len(took_s) if served is None else served),
        pick_s=arrivals_s,
        pick_replica=np.arange(len(took_s), dtype=np.int32) % 2,
        replicas=2,
    )


def test_the_first_tenth_is_not_counted() -> None:
    assert record([100.0] * 10 + [1.0] * 90).latency_s.tolist() == [1.0] * 90


def test_a_queue_that_grows_through_the_run_is_unstable_and_a_long_but_steady_one_is_not() -> None:
    assert grows(record([0.5 * i for i in range(2000)]))
    assert not grows(record([300.0] * 2000))


def test_a_backlog_that_comes_and_goes_is_not_unstable() -> None:
    assert not grows(record([300.0 if 800 < i < 1200 else 1.0 for i in range(2000)]))


def test_a_long_queue_that_grows_a_little_is_not_unstable() -> None:
    assert not grows(record([300 + 0.075 * i for i in range(2000)]))


def test_no_ratio_is_given_where_a_strategy_is_unstable() -> None:
    """Round robin gives the slow replicas of this regime more than they can serve."""
    subjects = [Subject.parse("adaptive"), Subject.parse("round_robin")]
    result = compare(replace(mixed(), requests=6000), subjects, seeds=1)
    assert [row.stable for row in result.rows] == [True, False]
    assert result.versus == {"round_robin": None}


def test_the_picture_names_every_strategy_and_marks_the_stable_ones() -> None:
    subjects = [Subject.parse("adaptive"), Subject.parse("round_robin")]
    result = compare(replace(mixed(), requests=6000), subjects, seeds=2)
    picture = draw(result, "two of four at <3x>")
    assert "adaptive" in picture
    assert "unstable" in picture
    assert "&lt;3x&gt;" in picture
    assert picture.count("<circle") == 3 + 3


def test_an_interval_holds_the_mean_and_narrows_with_the_seeds() -> None:
    draws = np.random.default_rng(0).normal(10, 1, 40).tolist()
    low, high = mean_interval(draws)
    assert low < 10 < high
    few = mean_interval(draws[:5])
    assert high - low < few[1] - few[0]


def test_a_ratio_of_paired_seeds_is_exact_when_one_is_always_twice_the_other() -> None:
    values = [1.0, 3.0, 9.0]
    assert ratio_interval([2 * v for v in values], values) == pytest.approx((2.0, 2.0))


def test_measures_read_their_window_only() -> None:
    run = record([0.1] * 100, served=[i < 40 or i >= 60 for i in range(100)])
    assert PicksWithin("picks", (1,), 20.0).of(run) == 5
    assert ShareOfFair("share", (0,), 20.0).of(run) == pytest.approx(1.0)
    assert BackInService("back", 0, 30.0).of(run) == 0.0
    assert GoodputFloor("floor", 0.0, 30.0, 1.0).of(run) == pytest.approx(1.0)
    assert GoodputFloor("floor", 30.0, 60.0, 1.0).of(run) == 0.0
    assert Recovery("recovery", 50.0).of(run) == 10.0
