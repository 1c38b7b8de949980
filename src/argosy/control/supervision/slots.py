"""The names of a service's slots: `SERVICE-N`."""

from __future__ import annotations

from collections.abc import Collection


def number_of(slot: str) -> int:
    return int(slot.rpartition("-")[2])


def free_slot(service: str, taken: Collection[str]) -> str:
    """The first that is not taken."""
    return next(slot for n in range(1, len(taken) + 2) if (slot := f"{service}-{n}") not in taken)
