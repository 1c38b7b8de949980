"""What happened in the fleet: one entry for each transition."""

from __future__ import annotations

import msgspec


class Event(msgspec.Struct, frozen=True):
    """`kind` is what sort of thing changed (replica, service, fleet, controller, endpoints); `before` and `after` are
    the states it changed between, and `why` the observation and the rule behind it.
    """

    seq: int
    at: float
    """Wall time."""
    kind: str
    subject: str
    before: str
    after: str
    why: str = ""


class EventPage(msgspec.Struct):
    """`next` is what to send as `since` to go on from here."""

    events: list[Event]
    next: int
