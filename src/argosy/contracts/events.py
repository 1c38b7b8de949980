"""Events of the fleet: one entry for each transition."""

from __future__ import annotations

import msgspec


class Event(msgspec.Struct, frozen=True):
    """Transition of one subject.

    `kind` is the kind of the subject (replica, service, fleet, controller, endpoints); `before` and `after` are its
    states, and `why` is the observation and the rule that caused the transition.
    """

    seq: int
    at: float
    """Wall time of the transition."""
    kind: str
    subject: str
    before: str
    after: str
    why: str = ""


class EventPage(msgspec.Struct):
    """Page of events. `next` is the value of `since` for the next page."""

    events: list[Event]
    next: int
