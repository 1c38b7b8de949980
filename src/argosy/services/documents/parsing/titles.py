"""Length limits of titles, headings and properties, which are stored with each chunk of a document."""

from __future__ import annotations

from collections.abc import Sequence

MAX_TITLE_CHARS = 300
MAX_GIVEN_TITLE_CHARS = 2000
"""Longest title that a sender may choose. It is longer because filters compare the whole title."""
MAX_PATH_CHARS = 600
"""Longest heading path of a chunk: all its headings together."""
_ELLIPSIS = "…"


def shortened(title: str, most: int = MAX_TITLE_CHARS) -> str:
    """Return the title; a title longer than `most` characters is cut to that length, ellipsis included."""
    return title if len(title) <= most else title[: most - 1].rstrip() + _ELLIPSIS


def short_path(titles: Sequence[str]) -> list[str]:
    """Return the headings. When they are too long together, each is cut to an equal share of MAX_PATH_CHARS."""
    if sum(map(len, titles)) <= MAX_PATH_CHARS:
        return list(titles)
    return [shortened(title, MAX_PATH_CHARS // len(titles)) for title in titles]
