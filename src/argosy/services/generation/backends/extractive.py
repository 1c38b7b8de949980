"""Backend that quotes the sentences that answer best. It needs no language model and adds no words of its own."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from argosy.answering.extract import Extraction
from argosy.answering.ranker import SentenceVectors
from argosy.contracts.embedding import EmbedResponse, QueryVector, TextKind
from argosy.contracts.errors import SERVICE_FAILURES
from argosy.contracts.generation import AnswerDelta, AnswerDone, AnswerEvent, GenerateRequest
from argosy.contracts.request import RequestContext
from argosy.contracts.vectors import matrix, vector
from argosy.telemetry.logs import logger

EMBEDDING = "embedding"
MODEL = "extractive"
WORD_GROUP = re.compile(r"\s*\S+(?:\s+\S+){0,3}\s*")
"""Text of one delta: up to four words, about as many as a reader takes in at once."""

log = logger("extractive")


class SentenceEmbedder(Protocol):
    async def embed(self, texts: Sequence[str], kind: TextKind, context: RequestContext) -> EmbedResponse:
        """Return a vector for each text, in order.

        Raises: one of SERVICE_FAILURES when the texts cannot be embedded in time.
        """
        ...


class ExtractiveBackend:
    def __init__(self, embedding: SentenceEmbedder, max_sentences: int) -> None:
        self._embedding = embedding
        self._max_sentences = max_sentences

    async def answer(self, request: GenerateRequest, context: RequestContext) -> AsyncGenerator[AnswerEvent, None]:
        """Implement `AnswerBackend.answer`. Token counts are counts of words.

        When the texts cannot be embedded in time, sentences are chosen by their words alone and `degraded` names
        `embedding`.
        """
        context.deadline.require("an answer was composed")
        extraction = Extraction.of(request.query, request.passages)
        vectors = await self._vectors(extraction, request.question_vector, context) if extraction.among else None
        composed = extraction.compose(self._max_sentences, vectors)
        for group in WORD_GROUP.findall(composed.text):
            yield AnswerDelta(group)
        yield AnswerDone(
            citations=composed.citations,
            model=MODEL,
            prompt_tokens=sum(len(p.chunk.text.split()) for p in request.passages) + len(request.question.split()),
            completion_tokens=len(composed.text.split()),
            degraded=[EMBEDDING] if extraction.among and vectors is None else [],
        )

    async def close(self) -> None:
        return None

    async def _vectors(
        self, extraction: Extraction, known: QueryVector | None, context: RequestContext
    ) -> SentenceVectors | None:
        """Return the vectors to compare, or None when they cannot be computed now.

        The question is embedded only when its vector is not `known`, or comes from another model than the sentences'.
        """
        hop = context.for_hop_with_fallback()
        try:
            sentences = await self._embedding.embed(extraction.texts, TextKind.PASSAGE, hop)
            if known is None or not known.comparable(sentences):
                known = QueryVector.of(await self._embedding.embed([extraction.question], TextKind.QUERY, hop))
        except SERVICE_FAILURES as error:
            log.warning(
                "sentences chosen by words only, texts not embedded", reason=error.code, request_id=context.request_id
            )
            return None
        return SentenceVectors(vector(known), matrix(sentences))
