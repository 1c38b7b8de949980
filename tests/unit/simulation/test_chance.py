"""Random draws: arrivals, speeds, prefixes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.simulation.loads.arrivals import Arrivals, Bursty, Counted, Diurnal, Phases, Poisson, Recorded, Regular
from argosy.simulation.loads.prefixing import Zipf
from argosy.simulation.servers.kernel import Kernel
from argosy.simulation.servers.speed import Antagonist, Speed

pytestmark = pytest.mark.unit

ALL: list[Arrivals] = [
    Poisson(50),
    Regular(50),
    Phases(((10, 20), (5, 110))),
    Bursty(calm_rps=20, burst_rps=200, calm_s=4, burst_s=1),
    Diurnal(mean_rps=50, swing=0.8, period_s=20),
    Recorded((3.0, 4.0, 4.5, 9.0)),
    Counted((0, 30, 70, 5)),
]


@pytest.mark.parametrize("arrivals", ALL, ids=lambda a: type(a).__name__)
def test_arrivals_ascend_from_zero_and_are_as_many_as_asked(arrivals: Arrivals) -> None:
    moments_s = arrivals.draw(5000, np.random.default_rng(0))
    assert len(moments_s) == 5000
    assert moments_s[0] >= 0
    assert (np.diff(moments_s) >= 0).all()


@pytest.mark.parametrize("arrivals", [a for a in ALL if not isinstance(a, Phases)], ids=lambda a: type(a).__name__)
def test_arrivals_keep_their_mean_rate(arrivals: Arrivals) -> None:
    moments_s = arrivals.draw(40_000, np.random.default_rng(0))
    assert len(moments_s) / moments_s[-1] == pytest.approx(arrivals.mean_rps, rel=0.05)


def test_each_phase_has_its_own_rate() -> None:
    moments_s = Phases(((10, 20), (5, 1000), (10, 20))).draw(5300, np.random.default_rng(0))
    assert np.histogram(moments_s, (0, 10, 15))[0] == pytest.approx([200, 5000], rel=0.2)


pieces = st.lists(st.tuples(st.floats(0.01, 5), st.floats(0.05, 2)), min_size=1, max_size=6)


@given(pieces, st.floats(0, 10), st.floats(0, 10))
def test_work_takes_the_time_in_which_the_speed_adds_up_to_it(
    lengths: list[tuple[float, float]], start_s: float, work_s: float
) -> None:
    starts = (0.0, *np.cumsum([length for length, _ in lengths])[:-1].tolist())
    speed = Speed(starts, tuple(factor for _, factor in lengths))
    end_s = speed.finish_s(start_s, work_s)
    edges = [start_s, *(s for s in starts if start_s < s < end_s), end_s]
    done_s = sum((b - a) * speed.at(a) for a, b in itertools.pairwise(edges))
    assert done_s == pytest.approx(work_s, rel=1e-6, abs=1e-6)


def test_an_antagonist_slows_in_visits_and_leaves_no_trace_after_them() -> None:
    speed = Antagonist(every_s=10, lasts_s=2, factor=0.25).over(Speed.constant(0.5), 100.0, np.random.default_rng(0))
    assert set(speed.factors) == {0.5, 0.125}
    assert speed.at(1e9) == 0.5


@pytest.mark.parametrize(
    ("since_s", "factors"), [((), ()), ((1.0,), (1.0,)), ((0.0, 2.0, 1.0), (1.0,) * 3), ((0.0,), (0.0,))]
)
def test_a_speed_that_makes_no_sense_is_refused(since_s: tuple[float, ...], factors: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="speed"):
        Speed(since_s, factors)


def test_zipf_prefers_the_first() -> None:
    met = np.bincount(Zipf(100, 1.0).draw(20_000, np.random.default_rng(0)))
    assert met[0] > met[9] > met[90]


def test_events_of_the_same_time_happen_in_the_order_in_which_they_were_set() -> None:
    kernel, seen = Kernel(), list[object]()
    for name in "abc":
        kernel.at(1.0, seen.append, name)
    kernel.at(0.5, seen.append, "first")
    kernel.run(until_s=0.9)
    assert (seen, kernel.clock()) == (["first"], 0.5)
    kernel.run()
    assert seen == ["first", "a", "b", "c"]
