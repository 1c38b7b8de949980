"""Bounds on titles, headings and properties, which come from a document's content and go with each of its chunks."""

from __future__ import annotations

from collections.abc import Sequence

MAX_TITLE_CHARS = 300
MAX_GIVEN_TITLE_CHARS = 2000
"""Of a title that the sender chose: filters compare it whole."""
MAX_PATH_CHARS = 600
"""Of all headings above a chunk together."""
_ELLIPSIS = "…"


def shortened(title: str, most: int = MAX_TITLE_CHARS) -> str:
    """Return the title, cut to `most` characters with an ellipsis at the end where it is longer."""
    return title if len(title) <= most else title[: most - 1].rstrip() + _ELLIPSIS


def short_path(titles: Sequence[str]) -> list[str]:
    """Return the headings, each cut to its equal share where together they are too long."""
    if sum(map(len, titles)) <= MAX_PATH_CHARS:
        return list(titles)
    return [shortened(title, MAX_PATH_CHARS // len(titles)) for title in titles]
