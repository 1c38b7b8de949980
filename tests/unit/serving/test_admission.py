"""Tests of admission control: limit, share of bulk work, and requests that cannot be answered in time."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from argosy.config.protection import ProtectionSettings
from argosy.contracts.errors import DeadlineExceeded, Overloaded
from argosy.contracts.request import Deadline, Priority, RequestContext
from argosy.serving.admission import PATHS_MOST, Admission
from argosy.serving.admission_metrics import AdmissionMetrics
from argosy.serving.min_latency import LEAST, SLOT_S, WINDOW_S, Quickest
from argosy.serving.waiting import Waiters

pytestmark = pytest.mark.unit


class Gate:
    """Admission control of a replica with a clock that the test moves."""

    def __init__(self, max_in_flight: int = 10, **settings: object) -> None:
        self.now_s = 0.0
        self.admission = Admission("store", max_in_flight, ProtectionSettings.model_validate(settings), self.clock)

    def clock(self) -> float:
        return self.now_s

    def ask(self, in_flight: int = 0, left_s: float = 30.0, bulk: bool = False, path: str = "/search") -> None:
        priority = Priority.BULK if bulk else Priority.INTERACTIVE
        context = RequestContext("r", Deadline.after(left_s, self.clock), priority)
        self.asked = self.admission.admit(path, context, in_flight, 0.0)

    def answer(self, seconds: float, status: int = 200, path: str = "/search", in_flight: int = 0) -> None:
        self.ask(path=path, in_flight=in_flight)
        self.admission.answered(self.asked, status, seconds, 1)


def test_bulk_work_is_refused_before_its_share_leaves_no_room_and_queries_at_the_limit() -> None:
    gate = Gate(10, bulk_share=0.5)
    gate.ask(4, bulk=True)
    with pytest.raises(Overloaded, match="reserved for interactive"):
        gate.ask(5, bulk=True)
    gate.ask(9)
    with pytest.raises(Overloaded, match="10 requests in flight, its limit"):
        gate.ask(10)


def test_the_smallest_share_still_takes_one_bulk_request() -> None:
    gate = Gate(1, bulk_share=0.1)
    gate.ask(0, bulk=True)


def test_only_what_the_quickest_recent_answer_could_not_have_met_is_refused() -> None:
    gate = Gate()
    for n in range(LEAST):
        gate.ask(left_s=0.01)
        gate.answer(0.2 if n else 0.1)
    gate.ask(left_s=0.15)
    with pytest.raises(DeadlineExceeded, match="quickest recent answer of the store service took 100 ms"):
        gate.ask(left_s=0.05)
    gate.ask(left_s=0.05, path="/stats")
    gate.now_s = WINDOW_S
    gate.ask(left_s=0.05)


def test_failures_are_no_quick_answers_and_unknown_paths_are_not_kept_for_ever() -> None:
    gate = Gate()
    for _ in range(LEAST):
        gate.answer(0.001, status=500)
        gate.answer(0.1)
    with pytest.raises(DeadlineExceeded):
        gate.ask(left_s=0.05)
    for n in range(PATHS_MOST):
        for _ in range(LEAST):
            gate.answer(1.0, path=f"/{n}")
    gate.ask(left_s=0.5, path=f"/{PATHS_MOST - 1}")


def test_what_is_switched_off_refuses_nothing() -> None:
    gate = Gate(10, refuse_late=False, bulk_share=1.0)
    for _ in range(LEAST):
        gate.answer(0.2)
    gate.ask(9, left_s=0.01, bulk=True)


def test_the_adaptive_limit_begins_at_the_top_and_sinks_with_slow_and_unanswered_requests() -> None:
    gate = Gate(100, adaptive_concurrency=True, concurrency_least=5, refuse_late=False)
    gate.answer(0.01, in_flight=99)
    assert gate.admission.limit == 100
    for _ in range(5):
        gate.answer(1.0, in_flight=gate.admission.limit - 1)
    slow = gate.admission.limit
    assert slow < 80
    for _ in range(60):
        gate.answer(1.0, status=504)
    assert gate.admission.limit == 5
    with pytest.raises(Overloaded):
        gate.ask(5)


def test_refusals_are_counted_by_reason_on_metrics() -> None:
    gate = Gate(2)
    registry = CollectorRegistry()
    registry.register(AdmissionMetrics("store", gate.admission, Waiters(1, "store service")))
    for bulk in (False, True):
        with pytest.raises(Overloaded):
            gate.ask(1 + (not bulk), bulk=bulk)
    lines = generate_latest(registry).decode().splitlines()
    assert 'argosy_admission_refused_total{reason="bulk",service="store"} 1.0' in lines
    assert 'argosy_admission_refused_total{reason="full",service="store"} 1.0' in lines
    assert 'argosy_concurrency_limit{service="store"} 2.0' in lines


def test_the_quickest_answer_is_forgotten_with_its_slot() -> None:
    quickest = Quickest()
    quickest.note(0.01, 0.0)
    for _ in range(LEAST):
        quickest.note(0.5, SLOT_S)
    assert quickest.least_s(SLOT_S) == 0.01
    assert quickest.least_s(WINDOW_S) == 0.5
    assert quickest.least_s(WINDOW_S + SLOT_S) is None
