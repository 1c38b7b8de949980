"""Count-min sketch that estimates how often a key was requested recently.

TinyLFU: A Highly Efficient Cache Admission Policy (Einziger, Friedman, Manes, 2017).
"""

from __future__ import annotations

import struct

_ROWS = 4
_COLUMNS = 4
_HIGHEST = 15
_SAMPLE = 10
_HALVED = bytes(count >> 1 for count in range(256))
_WORDS = struct.Struct("<4I")


class FrequencySketch:
    """Counts up to 15 for about `entries` keys, with 16 to 32 bytes per key: narrower rows make scans look popular.

    Keys are hashes of 16 bytes: their four words are the positions in the four rows. After ten times `entries` counts
    all counts, and the number counted so far, are halved, so that formerly popular keys make room for popular ones.
    """

    def __init__(self, entries: int) -> None:
        width = _COLUMNS << max(4, (max(1, entries) - 1).bit_length())
        self._mask = width - 1
        self._starts = tuple(row * width for row in range(_ROWS))
        self._counts = bytearray(_ROWS * width)
        self._until_halved = self._sample = _SAMPLE * max(16, entries)

    def count(self, key: bytes) -> None:
        """Count a request of the key. Only the lowest of its four counts is raised: the others include other keys."""
        counts, mask = self._counts, self._mask
        _, second, third, fourth = self._starts
        a, b, c, d = _WORDS.unpack(key)
        a, b, c, d = a & mask, second + (b & mask), third + (c & mask), fourth + (d & mask)
        lowest = min(counts[a], counts[b], counts[c], counts[d])
        if lowest < _HIGHEST:
            for at in (a, b, c, d):
                if counts[at] == lowest:
                    counts[at] = lowest + 1
            self._until_halved -= 1
            if self._until_halved <= 0:
                self._counts = counts.translate(_HALVED)
                self._until_halved = self._sample // 2

    def estimate(self, key: bytes) -> int:
        counts, mask = self._counts, self._mask
        _, second, third, fourth = self._starts
        a, b, c, d = _WORDS.unpack(key)
        lowest: int = min(
            counts[a & mask], counts[second + (b & mask)], counts[third + (c & mask)], counts[fourth + (d & mask)]
        )
        return lowest
