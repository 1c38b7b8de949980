"""Where the tokens of a text lie: counted once, then asked for any slice."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import Protocol


class Tokenizer(Protocol):
    def encode_offsets(self, text: str) -> list[tuple[int, int]]:
        """The characters [start, end) of each token, in order; no special tokens, nothing cut off."""
        ...


def splits_at_space(tokenizer: Tokenizer) -> bool:
    """Whether the tokens of a slice that is cut at white space are the ones they were inside the whole text.

    A tokenizer says so of itself, in an attribute of this name; what says nothing is not trusted.
    """
    return getattr(tokenizer, "splits_at_space", False) is True


class TokenMap:
    """The tokens of one text.

    The text is tokenised in windows that begin where the caller says a cut is harmless (at a block), and within a
    block that is longer than two of them between words: this bounds the memory of one call, which is a hundred times
    the text. A slice's count is exact where it is cut between words, and else nearly so.
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
        """Tokens that touch the slice."""
        return max(0, bisect_left(self._starts, end) - bisect_right(self._ends, start))

    def reach(self, start: int, tokens: int, end: int) -> int:
        """The furthest place, at most `end`, such that the slice from `start` holds no more than `tokens` tokens."""
        beyond = bisect_right(self._ends, start) + tokens
        return end if beyond >= len(self._starts) else max(start, min(end, self._starts[beyond]))

    def back(self, start: int, tokens: int, floor: int) -> int:
        """Where a slice that ends at `start` begins when it holds `tokens` tokens, but not before `floor`."""
        first = bisect_right(self._ends, start) - tokens
        return max(floor, self._starts[first]) if 0 <= first < len(self._starts) else floor
