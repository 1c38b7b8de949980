"""Division of texts of known length into batches. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence


def plan_batches(lengths: Sequence[int], capacity: Callable[[int], int]) -> list[list[int]]:
    """Return the indices of `lengths` in batches, longest text first; each index occurs exactly once.

    Texts are sorted because a batch costs its longest text × its number of texts, including padding. `capacity`
    returns how many texts of a length (in tokens) fit into one batch; a result below 1 counts as 1, so that every text
    is in a batch.
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    batches = []
    at = 0
    while at < len(order):
        fitting = max(1, capacity(lengths[order[at]]))
        batches.append(order[at : at + fitting])
        at += fitting
    return batches
