"""Restart history of a slot, read by a new controller from the event feed of an earlier one. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from argosy.contracts.events import Event

EMPTY = frozenset({"absent", "ended", "crash loop", "stopped"})


@dataclass(frozen=True, slots=True)
class RestartHistory:
    """History of one slot."""

    restarts: int = 0
    filled: bool = False
    """Whether a process was in the slot when the feed ended."""


def read_history(events: Iterable[Event], slot: str) -> RestartHistory:
    """Return the history of the slot since the last requested stop of the slot or of the controller.

    Args:
        events: events of any subject, oldest first; events of other subjects are ignored.
    """
    seen = RestartHistory()
    for event in events:
        if event.subject == slot:
            again = event.after == "starting" and event.before == "ended"
            seen = RestartHistory(seen.restarts + again, event.after not in EMPTY)
        if event.after == "stopped" and event.subject in (slot, "controller"):
            seen = RestartHistory()
    return seen
