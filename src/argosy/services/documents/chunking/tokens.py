"""Token offsets of a text: the text is tokenised once, then tokens of any slice can be counted."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import Protocol


class Tokenizer(Protocol):
    """A tokenizer that reports the position of each token."""

    def encode_offsets(self, text: str) -> list[tuple[int, int]]:
        """Return the characters [start, end) of each token, in order, without special tokens and without truncation."""
        ...


def splits_at_space(tokenizer: Tokenizer) -> bool:
    """Return whether a slice that is cut at white space has the same tokens as inside the whole text.

    A tokenizer declares this in an attribute of the same name; without the attribute the answer is False.
    """
    return getattr(tokenizer, "splits_at_space", False) is True


class TokenMap:
    """Token offsets of one text.

    The text is tokenised in windows, because one call needs memory of about a hundred times its text. Windows begin at
    `cuts`, which the caller knows to be harmless (the starts of blocks), and between words inside a block that is
    longer than two windows. The count of a slice is exact when it is cut between words, else nearly exact.
    """

    WINDOW_CHARS = 65_536

    def __init__(self, text: str, cuts: Iterable[int], tokenizer: Tokenizer) -> None:
        self._starts = array("q")
        self._ends = array("q")
        for begin, end in self._windows(text, cuts):
            offsets = tokenizer.encode_offsets(text[begin:end])
            self._starts.extend([begin + start for start, _ in offsets])
            self._ends.extend([begin + end for _, end in offsets])

    def _windows(self, text: str, cuts: Iterable[int]) -> Iterator[tuple[int, int]]:
        most = self.WINDOW_CHARS
        begin = 0
        for cut in (*cuts, len(text)):
            if cut - begin < most and cut != len(text):
                continue
            while cut - begin > 2 * most:
                space = max(text.rfind(space, begin + 1, begin + most) for space in " \n")
                end = space if space > 0 else begin + most
                yield begin, end
                begin = end
            yield begin, cut
            begin = cut

    def count(self, start: int, end: int) -> int:
        """Return the number of tokens that overlap the slice."""
        return max(0, bisect_left(self._starts, end) - bisect_right(self._ends, start))

    def reach(self, start: int, tokens: int, end: int) -> int:
        """Return the highest offset, at most `end`, up to which a slice from `start` holds at most `tokens` tokens."""
        beyond = bisect_right(self._ends, start) + tokens
        return end if beyond >= len(self._starts) else max(start, min(end, self._starts[beyond]))

    def back(self, start: int, tokens: int, floor: int) -> int:
        """Return the start of the slice that ends at `start` and holds `tokens` tokens, but at least `floor`."""
        first = bisect_right(self._ends, start) - tokens
        return max(floor, self._starts[first]) if 0 <= first < len(self._starts) else floor
