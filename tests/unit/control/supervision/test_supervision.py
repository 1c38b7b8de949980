"""The backoff of restarts grows and is reset after a stable period; a busy replica is not hung."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.control.platforms.blocked import Blocked
from argosy.control.supervision.hang import HangRule, HangVerdict, Silence, next_call, next_silence
from argosy.control.supervision.restart import RestartRule, RestartState, became_ready, ended, lacked_room

pytestmark = pytest.mark.unit

RULE = RestartRule(first_backoff_s=1, factor=2, longest_backoff_s=8, jitter=0, stable_s=60, loop_failures=5)
HANG = HangRule(probes=3, hang_limit_s=60)


def fail(state: RestartState, now_s: float) -> RestartState:
    return ended(state, now_s, "killed", RULE, 0)


def test_each_failure_in_a_row_waits_longer_until_it_is_a_crash_loop() -> None:
    state, waits = RestartState(), []
    for _ in range(6):
        state = fail(state, 100)
        waits.append(state.due_s - 100)
    assert waits == [1, 2, 4, 8, 60, 60]
    assert state.looping(RULE)
    assert state.last_reason == "killed"


def test_a_stable_period_is_a_fresh_start() -> None:
    state = fail(fail(RestartState(), 0), 0)
    assert fail(became_ready(state, 10), 69).failures == 3
    calm = fail(became_ready(state, 10), 70)
    assert (calm.failures, calm.due_s) == (1, 71)


def test_ends_on_a_full_disk_make_no_crash_loop_and_wait_no_longer_each_time() -> None:
    state = fail(RestartState(), 0)
    for _ in range(20):
        state = lacked_room(state, 100, "killed by signal 7", RULE)
        assert (state.failures, state.due_s) == (1, 100 + RULE.full_disk_retry_s)
    assert not state.looping(RULE)
    assert fail(state, 200).failures == 2


@given(
    st.lists(st.tuples(st.floats(0, 200), st.booleans(), st.floats(0, 0.999)), max_size=40),
    st.builds(RestartRule, first_backoff_s=st.floats(0.01, 5), jitter=st.floats(0, 1), loop_failures=st.integers(2, 9)),
)
def test_it_is_never_due_before_the_first_backoff_and_always_due_in_bounded_time(
    steps: list[tuple[float, bool, float]], rule: RestartRule
) -> None:
    state, now_s = RestartState(), 0.0
    for lived_s, was_ready, jitter in steps:
        if was_ready:
            state = became_ready(state, now_s)
        now_s += lived_s
        state = ended(state, now_s, "x", rule, jitter)
        wait_s = state.due_s - now_s
        longest_s = max(rule.loop_retry_s, rule.longest_backoff_s) * (1 + rule.jitter)
        assert rule.first_backoff_s * 0.999 <= wait_s <= longest_s * 1.001
        assert not state.is_due(now_s)
        assert state.failures >= 1


def silent(probes: list[tuple[float, float | None]]) -> list[HangVerdict]:
    """Return the verdicts of failed probes at (time, CPU time)."""
    silence, verdicts = Silence(), []
    for now_s, cpu_s in probes:
        silence, verdict = next_silence(silence, False, now_s, cpu_s, HANG)
        verdicts.append(verdict)
    return verdicts


def test_three_failed_probes_without_cpu_time_are_a_hang() -> None:
    assert silent([(3, 5.0), (4, 5.0), (5, 5.0)]) == [HangVerdict.BUSY, HangVerdict.BUSY, HangVerdict.HUNG]
    assert silent([(3, None), (4, None), (5, None)])[-1] is HangVerdict.HUNG


def test_a_replica_that_computes_is_busy_until_the_limit() -> None:
    busy: list[tuple[float, float | None]] = [(float(t), t * 0.9) for t in range(3, 70)]
    verdicts = silent(busy)
    assert set(verdicts[:60]) == {HangVerdict.BUSY}
    assert verdicts[60] is HangVerdict.HUNG


def test_one_answer_ends_the_silence() -> None:
    silence, _ = next_silence(Silence(), False, 1, 1.0, HANG)
    silence, verdict = next_silence(silence, True, 2, 1.0, HANG)
    assert (silence, verdict) == (Silence(), HangVerdict.FINE)


@given(st.lists(st.tuples(st.booleans(), st.floats(0.1, 5), st.floats(0, 2)), max_size=60))
def test_nobody_is_hung_whose_cpu_moved_lately_unless_the_limit_passed(steps: list[tuple[bool, float, float]]) -> None:
    silence, now_s, cpu_s = Silence(), 0.0, 0.0
    for answered, elapsed_s, used_s in steps:
        now_s, cpu_s = now_s + elapsed_s, cpu_s + used_s
        before = silence
        silence, verdict = next_silence(silence, answered, now_s, cpu_s, HANG)
        if verdict is HangVerdict.HUNG:
            assert before.since_s is not None
            assert silence.probes >= HANG.probes
            assert used_s <= HANG.cpu_idle_s or now_s - before.since_s >= HANG.hang_limit_s


CALL = Blocked("FLUSH", since=500.0)


def test_an_engine_call_is_no_hang_until_it_lasts_too_long() -> None:
    silence, call, verdicts = Silence(), None, []
    for now_s in range(0, 80, 2):
        call = next_call(call, CALL, float(now_s), 512.0 + now_s)
        silence, verdict = next_silence(silence, False, float(now_s), 1.0, HANG, call)
        verdicts.append(verdict)
    first_hung = 2 * verdicts.index(HangVerdict.HUNG)
    assert first_hung == 60 - 12, "the call was 12 s old when it was first seen"
    assert set(verdicts[first_hung // 2 :]) == {HangVerdict.HUNG}


def test_calls_one_after_another_are_no_hang_as_long_as_each_is_young() -> None:
    silence, call = Silence(), None
    for now_s in range(0, 300, 2):
        found = Blocked("FLUSH", since=float(now_s - now_s % 20))
        call = next_call(call, found, float(now_s), float(now_s))
        silence, verdict = next_silence(silence, False, float(now_s), 1.0, HANG, call)
        assert verdict is HangVerdict.BUSY


@given(steps=st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=40))
def test_a_clock_that_jumps_neither_ends_a_call_early_nor_keeps_it_for_ever(steps: list[float]) -> None:
    call = next_call(None, Blocked("FLUSH", since=1_000.0), 0.0, 1_000.0)
    for number, step in enumerate(steps, start=1):
        call = next_call(call, Blocked("FLUSH", since=1_000.0), float(number), 1_000.0 + step)
        assert call is not None
        assert call.lasts_s(float(number)) == number


def test_a_time_in_the_future_counts_as_now() -> None:
    call = next_call(None, Blocked("FLUSH", since=1e12), 5.0, 1_000.0)
    assert call is not None
    assert call.lasts_s(5.0) == 0
    assert call.lasts_s(65.0) == 60


def test_a_wait_for_the_disk_counts_as_work_up_to_the_limit() -> None:
    silence, verdicts = Silence(), []
    for now_s in range(0, 70, 2):
        silence, verdict = next_silence(silence, False, float(now_s), 1.0, HANG, None, True)
        verdicts.append(verdict)
    assert verdicts.index(HangVerdict.HUNG) == 30
