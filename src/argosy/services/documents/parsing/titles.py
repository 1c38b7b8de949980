"""Length limits of titles, headings and properties, which are stored with each chunk of a document."""

from __future__ import annotations

from collections.abc import Sequence

from argosy.text.blocks import Block
from argosy.text.markup import readable

MAX_TITLE_CHARS = 300
MAX_GIVEN_TITLE_CHARS = 2000
"""Longest title that a sender may choose. It is longer because filters compare the whole title."""
MAX_PATH_CHARS = 600
"""Longest heading path of a chunk: all its headings together."""
_ELLIPSIS = "…"
_READ_CHARS = 2 * MAX_TITLE_CHARS
"""Characters of a heading, markup included, from which its title is read. The text keeps the whole heading."""


def shortened(title: str, most: int = MAX_TITLE_CHARS) -> str:
    """Return the title; a title longer than `most` characters is cut to that length, ellipsis included."""
    return title if len(title) <= most else title[: most - 1].rstrip() + _ELLIPSIS


def heading_title(text: str, heading: Block) -> str:
    """Return the words of a heading block of `text` without its markup, shortened."""
    words = text[heading.body : min(heading.body_end, heading.body + _READ_CHARS)]
    plain = readable(words).replace("`", "")
    return shortened(plain if heading.body_end <= heading.body + _READ_CHARS else plain + " " * MAX_TITLE_CHARS)


def short_path(titles: Sequence[str]) -> list[str]:
    """Return the headings. When they are too long together, each is cut to an equal share of MAX_PATH_CHARS."""
    if sum(map(len, titles)) <= MAX_PATH_CHARS:
        return list(titles)
    return [shortened(title, MAX_PATH_CHARS // len(titles)) for title in titles]
