"""Counters become rates between two probes of one process; impossible values count as unknown."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.contracts.fleet import Load
from argosy.control.observation import Observation
from argosy.control.scaling.metering import Meter, combined, recorded

pytestmark = pytest.mark.unit


def sample(at_s: float, load: Load | None, *, pid: int = 1, cpu_s: float | None = None) -> Meter:
    return Meter(pid, at_s, load, cpu_s, at_s, 2**30)


def metered(*samples: Meter) -> Meter:
    meter = Meter()
    for one in samples:
        meter = meter.next(one)
    return meter


def rates(meter: Meter) -> tuple[float, ...]:
    assert meter.rated
    return (meter.arrivals_rps, meter.served_rps, meter.failed_rps, meter.overloaded_rps, meter.ended_rps)


def service(*meters: Meter, now_s: float = 2.0) -> Observation:
    return combined(
        list(meters),
        replicas=len(meters),
        now_s=now_s,
        stale_s=15,
        window_s=2,
        cores_per_replica=0.5,
        memory_limit_bytes=4 * 2**30,
        cold_start_s=3,
    )


BUSY = metered(
    sample(0, Load(in_flight=2, requests=100, errors=3, rejected=1, overloaded=1), cpu_s=10.0),
    sample(2, Load(6, 4, 140, 5, 3, 250.0, overloaded=4), cpu_s=10.5),
)


def test_a_replica_is_read_between_its_last_two_probes() -> None:
    seen = service(BUSY)
    assert (seen.in_flight, seen.queued, seen.arrivals) == (6, 4, 44)
    assert seen.throughput_rps == pytest.approx((40 - 4) / 2)
    assert seen.errors == pytest.approx(4 / 40)
    assert seen.overload_errors == pytest.approx(3 / 40)
    assert (seen.response_time_s, seen.memory) == (0.25, 0.25)
    assert seen.cpu == pytest.approx(0.5)
    assert seen.queue_time_s == pytest.approx(4 / 20)
    assert seen.complete


def test_what_is_recorded_of_a_replica_is_what_a_service_of_it_alone_shows() -> None:
    idle, fresh = metered(sample(0, Load()), sample(2, Load())), metered(sample(0, Load(), cpu_s=1.0))
    for meter in (BUSY, idle, fresh, metered(sample(0, Load()), sample(2, Load(queued=2, in_flight=2)))):
        seen, found = service(meter), recorded(meter, 0.5, 4 * 2**30)
        assert found.get("rate") == (None if seen.arrivals is None else seen.arrivals / seen.window_s)
        for name, what in (
            ("in_flight", "in_flight"),
            ("queued", "queued"),
            ("served", "throughput_rps"),
            ("queue_time", "queue_time_s"),
            ("cpu", "cpu"),
            ("errors", "errors"),
            ("overload", "overload_errors"),
        ):
            assert found.get(name) == getattr(seen, what), name
        assert found.get("response") == (seen.response_time_s or None), "where nothing ended there is none"
        assert found["memory"] == 0.25


def test_the_response_time_of_a_replica_that_answers_nothing_any_more_is_gone() -> None:
    """The replica still reports the response time of its last requests."""
    slow = metered(sample(0, Load(requests=10)), sample(2, Load(1, 0, 12, latency_ms=5000)))
    assert service(slow).response_time_s == 5
    busy = slow.next(sample(4, Load(1, 0, 12, latency_ms=5000)))
    assert service(busy, now_s=4).response_time_s == 5, "one is still in work"
    idle = busy.next(sample(6, Load(0, 0, 12, latency_ms=5000)))
    assert service(idle, now_s=6).response_time_s == 0
    quick = metered(sample(4, Load(requests=10)), sample(6, Load(0, 0, 40, latency_ms=100)))
    assert service(idle, quick, now_s=6).response_time_s == pytest.approx(0.1), "by how many each answered"


def test_one_failure_in_a_quiet_service_is_not_all_of_it() -> None:
    quiet = metered(sample(0, Load(requests=10)), sample(2, Load(requests=11, errors=1)))
    assert service(quiet).errors == pytest.approx(1 / 20)
    meter = metered(sample(0, Load()))
    for second in range(2, 62, 2):
        meter = meter.next(sample(second, Load(requests=5 * second, errors=second)))
    assert service(meter, now_s=60).errors == pytest.approx(0.2)
    for second in range(62, 122, 2):
        meter = meter.next(sample(second, Load(requests=5 * second, errors=60)))
    faded = service(meter, now_s=120).errors
    assert faded is not None
    assert faded < 0.05, "what is long over fades"


def test_what_a_service_measures_itself_is_a_mean_of_those_that_all_report() -> None:
    one = metered(sample(0, Load()), sample(2, Load(named={"gpu": 0.2, "tokens": 7})))
    other = metered(sample(0, Load()), sample(2, Load(named={"gpu": 0.6})))
    assert service(one, other).named == {"gpu": pytest.approx(0.4)}
    assert service(one, other).metric("gpu") == pytest.approx(0.4)


def test_an_idle_replica_is_known_to_be_idle() -> None:
    seen = service(metered(sample(0, Load()), sample(2, Load())))
    assert (seen.in_flight, seen.errors, seen.queue_time_s, seen.throughput_rps) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    "after",
    [
        sample(2, Load(requests=99)),
        sample(2, Load(requests=200, errors=2)),
        sample(2, Load(requests=200, errors=3, in_flight=-1)),
        sample(2, Load(requests=200, errors=3), pid=2),
    ],
    ids=["requests fell", "errors fell", "negative", "another process"],
)
def test_what_cannot_be_is_no_zero_but_unknown_until_two_more_probes(after: Meter) -> None:
    meter = metered(sample(0, Load(requests=100, errors=3)), after)
    seen = service(meter)
    assert (seen.in_flight, seen.reporting, seen.complete) == (None, 0, False)
    later = sample(4, Load(requests=300, errors=3), pid=after.pid or 0)
    assert service(meter.next(later), now_s=4).reporting == 1


def test_one_replica_that_is_unknown_leaves_the_others_and_says_so() -> None:
    seen = service(BUSY, metered(sample(2, Load(50))))
    assert (seen.in_flight, seen.reporting, seen.ready, seen.complete) == (6, 1, 2, False)


def test_what_is_stale_is_unknown() -> None:
    assert service(BUSY, now_s=18).reporting == 0
    assert service(BUSY, now_s=16).age_s == 14


def test_the_same_probe_again_changes_no_rate() -> None:
    again = BUSY.next(Meter(1, 2, Load(6, 4, 140, 5, 3, 250.0, overloaded=4), 11.0, 4, 2**30))
    assert rates(again) == rates(BUSY)
    assert again.cpu_cores == pytest.approx(0.25)


def test_a_program_that_is_not_ours_has_cpu_and_memory_only() -> None:
    seen = service(metered(sample(0, None, cpu_s=1.0), sample(2, None, cpu_s=1.2)))
    assert (seen.in_flight, seen.reporting) == (None, 1)
    assert seen.cpu == pytest.approx(0.2)


@given(
    st.lists(
        st.builds(Load, st.integers(-5, 50), st.integers(-5, 50), *[st.integers(-5, 50)] * 3), min_size=1, max_size=8
    )
)
def test_no_counters_make_it_raise_or_negative(loads: list[Load]) -> None:
    meter = metered(*(sample(at_s * 2.0, load) for at_s, load in enumerate(loads)))
    measured = (meter.arrivals_rps, meter.served_rps, meter.failed_rps, meter.overloaded_rps, meter.ended_rps)
    assert all(0 <= value < math.inf for value in (*measured, meter.lately_ended, meter.lately_failed))
    assert not meter.rated or min(meter.in_flight, meter.queued) >= 0
    assert service(meter, now_s=len(loads) * 2.0).reporting == meter.rated
