"""Counting of the values in a JSON text without decoding it."""

from __future__ import annotations

import re

_PIECE_BYTES = 2**20
"""Bytes examined at once; other threads may run between two pieces."""
_WITHIN_STRING = re.compile(rb"[^\"\\]*+(?:\\.[^\"\\]*+)*+", re.DOTALL)
_MARKS = (b",", b":", b"{", b"[")


def holds_more_values(body: bytes, most: int) -> bool:
    """Return whether there are more than `most` strings, commas, colons and openings of lists and objects.

    The count stops at the end of the body or above `most`. For a body that is not JSON the answer is arbitrary.
    """
    found = at = 0
    while at < len(body):
        quote = body.find(b'"', at)
        outside = len(body) if quote < 0 else quote
        for begin in range(at, outside, _PIECE_BYTES):
            found += sum(body.count(mark, begin, min(outside, begin + _PIECE_BYTES)) for mark in _MARKS)
            if found > most:
                return True
        if quote < 0:
            return False
        found += 1
        at = _end_of_string(body, quote + 1)
    return found > most


def _end_of_string(body: bytes, at: int) -> int:
    """Return the offset after the quotation mark that closes the string."""
    while at < len(body):
        until = min(len(body), at + _PIECE_BYTES)
        within = _WITHIN_STRING.match(body, at, until)
        assert within is not None  # the pattern also matches the empty string
        end = within.end()
        if end < until and body[end] == ord('"'):
            return end + 1
        if end == at:
            return len(body)  # a lone backslash at the end
        at = end
    return at
