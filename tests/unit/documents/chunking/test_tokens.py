"""Token offsets: windows limit the text that is tokenised at once, wherever the text may be cut."""

from __future__ import annotations

import re

import pytest

from argosy.services.documents.chunking.tokens import TokenMap

WINDOW = TokenMap.WINDOW_CHARS


class Words:
    """Tokenizer with one token per word, which records the longest text it was given."""

    def __init__(self) -> None:
        self.longest = 0

    def encode_offsets(self, text: str) -> list[tuple[int, int]]:
        self.longest = max(self.longest, len(text))
        return [match.span() for match in re.finditer(r"\S+", text)]


@pytest.mark.parametrize("space", [" ", "\n"])
def test_a_text_without_blocks_is_tokenised_in_windows_that_end_between_words(space: str) -> None:
    text, words = space.join(["lighthouse"] * 50_000), Words()
    tokens = TokenMap(text, [], words)
    assert words.longest <= 2 * WINDOW
    assert tokens.count(0, len(text)) == 50_000
    at = text.rindex("lighthouse")
    assert tokens.count(at, len(text)) == 1
    assert tokens.reach(0, 10, len(text)) == 10 * len("lighthouse ")


def test_a_text_without_any_space_is_cut_all_the_same() -> None:
    text, words = "x" * (10 * WINDOW), Words()
    TokenMap(text, [], words)
    assert words.longest <= 2 * WINDOW


def test_a_window_ends_where_a_cut_is_harmless_if_there_is_one() -> None:
    block = "word " * 100
    text, words = block * 1000, Words()
    TokenMap(text, range(0, len(text), len(block)), words)
    assert words.longest < WINDOW + len(block)
    assert words.longest % len(block) == 0
