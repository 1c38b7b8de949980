"""Citations of an answer, from the markers in its text that name an existing passage."""

from __future__ import annotations

import re
from collections.abc import Sequence

from argosy.contracts.generation import Citation
from argosy.contracts.retrieval import Passage

MARKER = re.compile(r"\[(\d{1,3}(?:\s*[,;]\s*\d{1,3})*)\]")
"""Marker like `[1]`, or `[1, 2]` as some models write it."""


def citations_in(text: str, passages: Sequence[Passage]) -> list[Citation]:
    """Return a citation for each passage named in `text`, in the order of first mention; `[n]` is passages[n - 1]."""
    named = [int(number) for group in MARKER.findall(text) for number in re.split(r"[,;]", group)]
    return [citation(index, passages[index - 1]) for index in dict.fromkeys(named) if 1 <= index <= len(passages)]


def citation(index: int, passage: Passage) -> Citation:
    """Return a citation of the whole passage for the marker `[index]`."""
    chunk = passage.chunk
    return Citation(
        index=index,
        document_id=chunk.document_id,
        name=chunk.name,
        source=chunk.source,
        title=chunk.title,
        heading_path=chunk.heading_path,
        chunk_id=chunk.chunk_id,
        page=chunk.page,
        last_page=chunk.last_page,
        start=chunk.start,
        end=chunk.end,
        quote=chunk.text,
        score=passage.score,
    )
