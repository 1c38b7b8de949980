"""What the feed tells a new controller of a slot that an earlier one filled. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from argosy.contracts.events import Event

EMPTY = frozenset({"absent", "ended", "crash loop", "stopped"})


@dataclass(frozen=True, slots=True)
class Recollection:
    restarts: int = 0
    filled: bool = False
    """Whether a process was in the slot when the feed ended."""


def recollect(events: Iterable[Event], slot: str) -> Recollection:
    """Counts from the last stop that was asked for, of the slot or of the controller: what starts then starts anew.

    Args:
        events: oldest first; those of other subjects are passed over.
    """
    seen = Recollection()
    for event in events:
        if event.subject == slot:
            again = event.after == "starting" and event.before == "ended"
            seen = Recollection(seen.restarts + again, event.after not in EMPTY)
        if event.after == "stopped" and event.subject in (slot, "controller"):
            seen = Recollection()
    return seen
