"""Questions over small documents, answered by words alone."""

from __future__ import annotations

import re

from argosy.answering.compose import Composed
from argosy.answering.extract import Extraction
from argosy.answering.units.builder import build_units
from argosy.answering.units.stored import packed_units
from argosy.contracts.retrieval import Passage
from argosy.contracts.store import Chunk, Metadata

BEFORE = "Words before the chunk. "


def passage(
    text: str, name: str = "guide.md", score: float = 1.0, metadata: Metadata | None = None, title: str | None = None
) -> Passage:
    stored = BEFORE + text
    start, end = len(BEFORE), len(stored)
    (units,) = packed_units(stored, build_units(stored, markdown=True), [(start, end)])
    chunk = Chunk(
        f"chunk-{name}", f"doc-{name}", 1, 0, name, f"file:///{name}", text, start, end,
        title=title, page=4, last_page=5, metadata=metadata or {}, units=units,
    )  # fmt: skip
    return Passage(chunk, score)


def ask(question: str, *passages: Passage | str, carried: str = "") -> Composed:
    known = [one if isinstance(one, Passage) else passage(f"\n\n{one}") for one in passages]
    composed = Extraction(question, known, carried=carried).compose(4)
    stored = {one.chunk.chunk_id: BEFORE + one.chunk.text for one in known}
    for citation in composed.citations:
        assert stored[citation.chunk_id][citation.start : citation.end] == citation.quote
    markers = {int(number) for number in re.findall(r"\[(\d+)\]", composed.text)}
    assert markers == {citation.index for citation in composed.citations}
    return composed


def bare(composed: Composed) -> str:
    return re.sub(r"\s?\[\d+\]", "", composed.text).strip()
