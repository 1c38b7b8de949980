"""Citation of a passage by an answer of a language model."""

from __future__ import annotations

from argosy.contracts.generation import Citation
from argosy.contracts.retrieval import Passage


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
