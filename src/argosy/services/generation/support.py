"""Statements of a model's answer that no passage supports.

A statement is unsupported when it names a number, an identifier or a name that stands in no passage, or when its words
match no passage and its vector is far from every sentence of the passages. A model may rephrase, so few shared words
alone are no reason while the vectors are close.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from argosy.answering.units.builder import build_units
from argosy.answering.units.reading import read_units
from argosy.answering.words import stems
from argosy.contracts.embedding import EmbedResponse, TextKind
from argosy.contracts.errors import ArgosyError
from argosy.contracts.generation import GenerateRequest
from argosy.contracts.request import RequestContext
from argosy.contracts.retrieval import Passage
from argosy.contracts.units import UnitKind
from argosy.contracts.vectors import matrix
from argosy.telemetry.logs import logger

LEAST_OVERLAP = 0.6
"""Share of a statement's stems in one passage at which it is supported by words alone."""
LEAST_OVERLAP_ALONE = 0.5
"""The same without vectors: then words must decide, and a wrong alarm is worse than none."""
LEAST_COSINE = 0.6
LEAST_STEMS = 3
MAX_STATEMENTS = 40
STATEMENTS = frozenset({UnitKind.SENTENCE, UnitKind.ITEM, UnitKind.PAIR, UnitKind.ROW, UnitKind.DEFINITION})
"""Kinds of units that state something by themselves."""
_MARKER = re.compile(r"\s*\[\d{1,3}\]")
_FACT = re.compile(r"[^\W_]*\d(?:[\w.,:/-]*\w)?|\b\w+_\w+\b")
_NAME = re.compile(r"(?<![.!?:]\s)(?<!^)(?<=\s)[A-ZÀ-ÖØ-Þ][\w’'-]{2,}")
_SAYS_NOTHING = re.compile(
    r"\b(?:documents?|passages?|sources?|context|information|text)\b.{0,80}?(?:\bnot\b|n['’]t\b|\bno\b|\bnothing\b)"
    r"|\b(?:not|no|cannot|nothing)\b.{0,80}?\b(?:documents?|passages?|sources?|context|information|text)\b",
    re.IGNORECASE | re.DOTALL,
)

log = logger("generation")


class Embedder(Protocol):
    async def embed(self, texts: Sequence[str], kind: TextKind, context: RequestContext) -> EmbedResponse: ...


class SupportCheck:
    def __init__(self, embedding: Embedder | None) -> None:
        """Create a check. Without `embedding`, words alone decide."""
        self._embedding = embedding

    async def unsupported(
        self, text: str, passages: Sequence[Passage], request: GenerateRequest, context: RequestContext
    ) -> list[str]:
        """Return the sentences of the answer, without markers, that no passage supports, in order."""
        told = " ".join([*(turn.content for turn in request.history if turn.role != "assistant"), request.question])
        sources = [f"{p.chunk.title or p.chunk.name} {' '.join(p.chunk.heading_path)} {p.chunk.text}" for p in passages]
        known_facts = _facts(" ".join([*sources, told]))
        known_words = set(re.findall(r"\w+", " ".join([*sources, told]).lower()))
        by_passage = [set(stems(source)) for source in sources]
        statements = _statements(text)[:MAX_STATEMENTS]
        wrong: set[str] = set()
        doubtful: dict[str, float] = {}
        for statement in statements:
            names = {part.lower() for name in _NAME.findall(statement) for part in re.findall(r"\w{3,}", name)}
            if not _facts(statement) <= known_facts or not names <= known_words:
                wrong.add(statement)
                continue
            own = set(stems(statement))
            overlap = max((len(own & found) / len(own) for found in by_passage), default=0.0)
            if overlap < LEAST_OVERLAP:
                doubtful[statement] = overlap
        wrong |= await self._far(doubtful, passages, context)
        return [statement for statement in statements if statement in wrong]

    async def _far(self, doubtful: dict[str, float], passages: Sequence[Passage], context: RequestContext) -> set[str]:
        """Return the doubtful statements whose vector is far from every sentence of the passages."""
        if not doubtful:
            return set()
        sentences = [unit.own for unit in read_units(passages, len(passages)).units if unit.kind in STATEMENTS]
        if sentences and self._embedding is not None:
            try:
                texts = [*doubtful, *dict.fromkeys(sentences)]
                embedded = await self._embedding.embed(texts, TextKind.PASSAGE, context.for_hop_with_fallback())
                vectors = matrix(embedded)
                nearest = np.max(vectors[: len(doubtful)] @ vectors[len(doubtful) :].T, axis=1)
                return {s for s, cosine in zip(doubtful, nearest, strict=True) if cosine < LEAST_COSINE}
            except ArgosyError as error:
                log.warning("statements checked by words only", reason=error.code, request_id=context.request_id)
        return {statement for statement, overlap in doubtful.items() if overlap < LEAST_OVERLAP_ALONE}


def _statements(text: str) -> list[str]:
    """Return the sentences that state something: no headings, code, questions, refusals or fragments."""
    found = []
    for unit in build_units(text, markdown=True):
        statement = _MARKER.sub("", text[unit.start : unit.end]).strip()
        if unit.kind not in STATEMENTS or statement.endswith("?"):
            continue
        if _SAYS_NOTHING.search(statement) or (len(set(stems(statement))) < LEAST_STEMS and not _facts(statement)):
            continue
        found.append(statement)
    return found


def _facts(text: str) -> set[str]:
    """Return numbers and identifiers in one spelling: `1,000` equals `1000`."""
    return {re.sub(r"(?<=\d),(?=\d{3})", "", fact).lower() for fact in _FACT.findall(text)}
