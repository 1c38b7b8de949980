"""Texts of known length to batches. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence


def plan_batches(lengths: Sequence[int], capacity: Callable[[int], int]) -> list[list[int]]:
    """Indices of `lengths` in batches, longest first; each index exactly once.

    A batch costs its longest text × its number of texts, padding included, hence the sorting. `capacity` says how
    many texts of a length one batch takes; what it says below 1 counts as 1, so that every text has a batch.
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    batches = []
    at = 0
    while at < len(order):
        fitting = max(1, capacity(lengths[order[at]]))
        batches.append(order[at : at + fitting])
        at += fitting
    return batches
