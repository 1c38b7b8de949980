"""A controller continues the restart counts of one that died; a requested stop resets them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.contracts.events import Event
from argosy.control.supervision.restart_history import RestartHistory, read_history

pytestmark = pytest.mark.unit

STARTED = [("echo-1", "absent", "starting"), ("echo-1", "starting", "ready")]
RESTARTED = [("echo-1", "ready", "ended"), ("echo-1", "ended", "starting"), ("echo-1", "starting", "ready")]


def told(*steps: tuple[str, str, str]) -> list[Event]:
    return [Event(seq, float(seq), "replica", *step) for seq, step in enumerate(steps, start=1)]


def test_restarts_are_counted_and_the_slot_was_filled() -> None:
    assert read_history(told(*STARTED), "echo-1") == RestartHistory(0, True)
    assert read_history(told(*STARTED, *RESTARTED, *RESTARTED), "echo-1") == RestartHistory(2, True)


@pytest.mark.parametrize("end", ["ended", "crash loop"])
def test_a_slot_whose_end_was_told_is_empty(end: str) -> None:
    assert read_history(told(*STARTED, *RESTARTED, ("echo-1", "ready", end)), "echo-1") == RestartHistory(1, False)


@pytest.mark.parametrize("who", ["echo-1", "controller"])
def test_a_stop_that_was_asked_for_begins_anew(who: str) -> None:
    assert read_history(told(*STARTED, *RESTARTED, (who, "ready", "stopped")), "echo-1") == RestartHistory()


@given(st.lists(st.sampled_from([("echo-2", "ready", "ended"), ("echo-2", "ended", "starting")])))
def test_other_slots_do_not_matter(others: list[tuple[str, str, str]]) -> None:
    assert read_history(told(*STARTED, *others), "echo-1") == RestartHistory(0, True)
