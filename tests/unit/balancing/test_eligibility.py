"""Failing replicas are ejected and return by themselves, but never so many that the others could not carry the load."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.balancing.balancer import Balancer
from argosy.balancing.eligibility import Eligibility, EligibilityRule, State
from argosy.balancing.outcome import OutcomeKind
from argosy.balancing.strategy import PickRequest
from argosy.contracts.fleet import Endpoint

pytestmark = pytest.mark.unit

RULE = EligibilityRule()


def eligibility(count: int) -> Eligibility:
    made = Eligibility(RULE)
    for n in range(count):
        made.join(f"r{n}", 0.0, warm=True)
    return made


def states(of: Eligibility) -> str:
    return "".join("s" if s.suspect else s.state.value[0] for s in of.standings.values())


def fail(of: Eligibility, replica_id: str, times: int, now_s: float = 0.0) -> None:
    for _ in range(times):
        of.end(replica_id, OutcomeKind.ERROR, now_s)


@pytest.mark.parametrize("kind", [OutcomeKind.ERROR, OutcomeKind.TIMEOUT, OutcomeKind.REFUSED])
def test_three_failures_in_a_row_put_a_replica_out(kind: OutcomeKind) -> None:
    judged = eligibility(4)
    for _ in range(2):
        judged.end("r0", kind, 0.0)
    assert states(judged) == "iiii"
    judged.end("r0", kind, 0.0)
    assert states(judged) == "oiii"
    assert judged.weight("r0", 0.0) == 0
    assert judged.standings["r0"].why.startswith(f"fails ({kind.value})")


def test_one_failure_in_five_is_found_within_a_hundred_requests() -> None:
    found = []
    for seed in range(50):
        judged, rng = eligibility(4), random.Random(seed)
        requests = 0
        while states(judged) == "iiii":
            requests += 1
            judged.end("r0", OutcomeKind.ERROR if rng.random() < 0.2 else OutcomeKind.OK, 0.0)
        found.append(requests)
    assert sorted(found)[45] <= 100


@pytest.mark.parametrize("kind", [OutcomeKind.OK, OutcomeKind.CANCELLED, OutcomeKind.OVERLOADED])
def test_what_is_not_its_fault_puts_nobody_out(kind: OutcomeKind) -> None:
    judged = eligibility(2)
    for _ in range(100):
        judged.end("r0", kind, 0.0)
    assert states(judged) == "ii"


def test_failures_that_all_replicas_share_put_nobody_out() -> None:
    judged, rng = eligibility(8), random.Random(1)
    for n in range(8000):
        judged.end(f"r{n % 8}", OutcomeKind.ERROR if rng.random() < 0.3 else OutcomeKind.OK, n / 400)
    assert states(judged).count("o") <= 1


def test_no_more_than_a_tenth_is_out_and_the_others_that_fail_are_weighted_down() -> None:
    judged = eligibility(20)
    for n in range(4):
        fail(judged, f"r{n}", 3)
    assert states(judged) == "ooss" + "i" * 16
    assert [judged.weight(f"r{n}", 0.0) for n in (0, 2, 4)] == [0, RULE.suspect_weight, 1]


def test_a_lonely_replica_is_never_put_out() -> None:
    judged = eligibility(1)
    fail(judged, "r0", 50)
    assert states(judged) == "i"


def test_with_less_than_half_of_them_good_all_are_used() -> None:
    judged = eligibility(4)
    for n in range(2):
        fail(judged, f"r{n}", 3)
    assert not judged.panic
    fail(judged, "r2", 50)
    assert judged.panic


def test_it_comes_back_after_five_good_trials_one_at_a_time_and_slowly() -> None:
    judged = eligibility(4)
    fail(judged, "r0", 3)
    assert judged.take_trial(RULE.ejected_s - 0.1) is None
    for n in range(RULE.trials):
        assert states(judged)[0] == ("o" if n == 0 else "t")
        assert judged.take_trial(2.0) == "r0"
        assert judged.take_trial(2.0) is None
        judged.end("r0", OutcomeKind.OK, 2.0, trial=True)
    assert states(judged) == "iiii"
    assert [judged.weight("r0", s) for s in (2.0, 4.5, 7.0, 100.0)] == [0.1, 0.5, 1, 1]
    judged.settle(8.0)
    assert judged.settled


def test_a_failed_trial_puts_it_out_for_longer_up_to_a_limit() -> None:
    judged, now_s, waits = eligibility(4), 0.0, []
    fail(judged, "r0", 3)
    for _ in range(6):
        waits.append(judged.standings["r0"].out_until_s - now_s)
        now_s += waits[-1]
        assert judged.take_trial(now_s) == "r0"
        judged.end("r0", OutcomeKind.ERROR, now_s, trial=True)
    assert waits == [2, 4, 8, 12, 12, 12]


def test_one_that_fails_others_by_its_own_account_is_not_tried_yet() -> None:
    judged = eligibility(4)
    fail(judged, "r0", 3)
    assert judged.to_ask(RULE.ejected_s - 0.5) is None
    assert judged.to_ask(RULE.ejected_s) == "r0"
    assert judged.to_ask(RULE.ejected_s) is None
    judged.heard("r0", RULE.bad_failures, RULE.ejected_s)
    assert judged.take_trial(RULE.ejected_s) is None
    again_s = 2 * RULE.ejected_s
    assert judged.to_ask(again_s) == "r0"
    judged.heard("r0", 0.0, again_s)
    assert judged.take_trial(again_s) == "r0"


def test_what_a_replica_in_service_says_of_its_failures_changes_nothing() -> None:
    judged = eligibility(4)
    judged.heard("r0", 1.0, 0.0)
    assert states(judged) == "iiii"
    assert judged.settled


def test_one_that_comes_back_is_on_probation() -> None:
    judged = eligibility(4)
    fail(judged, "r0", 3)
    for _ in range(RULE.trials):
        judged.take_trial(2.0)
        judged.end("r0", OutcomeKind.OK, 2.0, trial=True)
    fail(judged, "r0", 1, 3.0)
    assert states(judged) == "oiii"


def test_a_newcomer_starts_slowly_and_the_first_ones_do_not() -> None:
    now_s = 0.0
    picking = Balancer("store", "adaptive", clock=lambda: now_s, rng=random.Random(1))
    endpoints = [Endpoint(f"r{n}", f"http://r{n}") for n in range(3)]
    picking.update(endpoints[:2])
    assert [row.weight for row in picking.explain().replicas] == [1, 1]
    now_s = 10.0
    picking.update(endpoints)
    assert [row.weight for row in picking.explain().replicas] == [1, 1, 0.1]
    now_s = 20.0
    picking.pick()
    assert [row.weight for row in picking.explain().replicas] == [1, 1, 1]


def test_a_degraded_replica_gets_less_and_not_nothing() -> None:
    picking = Balancer("store", "adaptive", clock=lambda: 0.0, rng=random.Random(1))
    picking.update([Endpoint("well", "http://a"), Endpoint("poorly", "http://b", 0.25)])
    for _ in range(2000):
        picking.pick().end(OutcomeKind.OK)
    share = next(row.picked_share for row in picking.explain().replicas if row.id == "poorly")
    assert 0.08 < share < 0.18


def test_trials_go_on_when_the_strategy_says_nothing_of_them_and_none_is_lost_by_a_flap() -> None:
    now_s = 0.0
    picking = Balancer("store", "least_connections", clock=lambda: now_s, rng=random.Random(1))
    endpoints = [Endpoint(f"r{n}", f"http://r{n}") for n in range(3)]
    picking.update(endpoints)
    while picking.explain().replicas[0].state == "in":
        lease = picking.pick()
        lease.end(OutcomeKind.ERROR if lease.endpoint.id == "r0" else OutcomeKind.OK)
    assert {picking.pick().endpoint.id for _ in range(20)} == {"r1", "r2"}
    now_s = 5.0
    assert picking.pick().endpoint.id == "r0"
    picking.update(endpoints[1:])
    picking.update(endpoints)
    for _ in range(RULE.trials):
        lease = picking.pick()
        assert lease.endpoint.id == "r0"
        lease.end(OutcomeKind.OK)
    assert picking.explain().replicas[0].state == "in"


def test_without_a_slow_start_one_that_comes_back_has_its_full_weight_at_once() -> None:
    now_s = 0.0
    rule = EligibilityRule(slow_start_s=0.0)
    picking = Balancer("store", "least_connections", clock=lambda: now_s, rng=random.Random(1), rule=rule)
    picking.update([Endpoint(f"r{n}", f"http://r{n}") for n in range(3)])
    while picking.explain().replicas[0].state == "in":
        lease = picking.pick()
        lease.end(OutcomeKind.ERROR if lease.endpoint.id == "r0" else OutcomeKind.OK)
    picking.pick().end(OutcomeKind.OK)
    now_s = RULE.ejected_s
    for _ in range(RULE.trials):
        picking.pick().end(OutcomeKind.OK)
    picking.pick().end(OutcomeKind.OK)
    assert [candidate.weight for candidate in picking.candidates] == [1, 1, 1]


callings = st.lists(
    st.tuples(st.sampled_from(["pick", "avoid", "update", "break"]), st.integers(0, 63), st.floats(0, 3)), max_size=60
)


@settings(max_examples=60)
@given(callings)
def test_every_pick_goes_by_the_weights_of_that_moment(called: list[tuple[str, int, float]]) -> None:
    now_s = 0.0
    picking = Balancer("store", "round_robin", clock=lambda: now_s, rng=random.Random(1))
    endpoints = [Endpoint(f"r{n}", f"http://r{n}", weight=1.0 if n % 2 else 0.5) for n in range(6)]
    picking.update(endpoints)
    failing = {"r0"}
    for what, number, after_s in called:
        now_s += after_s
        some = {e.id for n, e in enumerate(endpoints) if number >> n & 1}
        if what == "update":
            picking.update([e for e in endpoints if e.id in some] or endpoints)
        if what == "break":
            failing = some
        avoid = some if what == "avoid" else set()
        for _ in range(8):
            told = {row.id: row.weight for row in picking.explain().replicas}
            lease = picking.pick(PickRequest(avoid))
            usable = [r for r in told if r not in avoid] or list(told)
            if not lease.trial and any(told[r] for r in usable):
                weights = {candidate.id: candidate.weight for candidate in picking.candidates}
                assert [weights[r] for r in usable] == [told[r] for r in usable]
            lease.end(OutcomeKind.ERROR if lease.endpoint.id in failing else OutcomeKind.OK)


happenings = st.lists(
    st.tuples(
        st.integers(0, 5), st.sampled_from(OutcomeKind), st.sampled_from(["pick", "join", "leave"]), st.floats(0, 5)
    ),
    max_size=150,
)


@settings(max_examples=60)
@given(happenings)
def test_at_most_a_tenth_is_out_and_each_that_is_out_is_tried_again(
    happened: list[tuple[int, OutcomeKind, str, float]],
) -> None:
    judged, now_s = eligibility(6), 0.0
    for number, kind, what, after_s in happened:
        now_s += after_s
        replica_id = f"r{number}"
        if what == "join" and replica_id not in judged.standings:
            judged.join(replica_id, now_s, warm=False)
        elif what == "leave":
            judged.leave(replica_id, now_s)
        tried = judged.take_trial(now_s)
        if tried is not None:
            judged.end(tried, kind, now_s, trial=True)
        judged.end(replica_id, kind, now_s)
        assert sum(judged.weight(r, now_s) == 0 for r in judged.standings) <= 1
        for standing in judged.standings.values():
            assert standing.state is not State.OUT or standing.out_until_s <= now_s + RULE.ejected_most_s


def test_why_one_is_out_is_told_until_it_may_be_tried() -> None:
    judged = eligibility(4)
    assert judged.why_out("r0", 0.0) == ""
    fail(judged, "r0", 3)
    assert judged.why_out("r0", RULE.ejected_s - 0.1).startswith("fails (error)")
    assert judged.why_out("r0", RULE.ejected_s) == ""
    assert judged.take_trial(RULE.ejected_s) == "r0"
    assert judged.why_out("r0", RULE.ejected_s) == ""
    judged.end("r0", OutcomeKind.TIMEOUT, RULE.ejected_s, trial=True)
    assert judged.why_out("r0", RULE.ejected_s) == "failed when tried again (timeout)"
    assert judged.why_out("r9", 0.0) == ""
