"""Backend that quotes the parts of the passages that answer best. It needs no language model."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

import numpy as np

from argosy.answering.extract import Extraction, UnitVectors
from argosy.contracts.embedding import EmbedResponse, QueryVector, TextKind
from argosy.contracts.errors import SERVICE_FAILURES
from argosy.contracts.generation import AnswerDelta, AnswerDone, AnswerEvent, GenerateRequest
from argosy.contracts.request import RequestContext
from argosy.contracts.unit_vectors import model_mark
from argosy.contracts.vectors import matrix, vector
from argosy.telemetry.logs import logger

EMBEDDING = "embedding"
MODEL = "extractive"
WORD_GROUP = re.compile(r"\s*\S+(?:\s+\S+){0,3}\s*")
"""Text of one delta: up to four words, about as many as a reader takes in at once."""

log = logger("extractive")


class TextEmbedder(Protocol):
    async def embed(self, texts: Sequence[str], kind: TextKind, context: RequestContext) -> EmbedResponse:
        """Return a vector for each text, in order.

        Raises: one of SERVICE_FAILURES when the texts cannot be embedded in time.
        """
        ...


class ExtractiveBackend:
    def __init__(self, embedding: TextEmbedder, max_sentences: int) -> None:
        self._embedding = embedding
        self._max_sentences = max_sentences

    async def answer(self, request: GenerateRequest, context: RequestContext) -> AsyncGenerator[AnswerEvent, None]:
        """Implement `AnswerBackend.answer`. Token counts are counts of words.

        When the texts cannot be embedded in time, units are chosen by their words alone and `degraded` names
        `embedding`.
        """
        context.deadline.require("an answer was composed")
        asked = request.question_vector
        model = "" if asked is None else model_mark(asked.model, asked.revision, asked.dimensions)
        extraction = Extraction(request.question, request.passages, request.analysis, request.carried, model)
        vectors = await self._vectors(extraction, request, context) if extraction.compares else None
        composed = extraction.compose(self._max_sentences, vectors)
        for group in WORD_GROUP.findall(composed.text):
            yield AnswerDelta(group)
        yield AnswerDone(
            citations=composed.citations,
            model=MODEL,
            prompt_tokens=sum(len(p.chunk.text.split()) for p in request.passages) + len(request.question.split()),
            completion_tokens=len(composed.text.split()),
            degraded=[EMBEDDING] if extraction.compares and vectors is None else [],
        )

    async def close(self) -> None:
        return None

    async def _vectors(
        self, extraction: Extraction, request: GenerateRequest, context: RequestContext
    ) -> UnitVectors | None:
        """Return the vectors to compare, or None when they cannot be computed now.

        Nothing is embedded for a question whose vector is known and units whose vectors are stored. The question is
        embedded only when its vector is not known, or comes from another model than the units' vectors.
        """
        texts = extraction.texts
        hop = context.for_hop_with_fallback()
        known = request.question_vector
        asked = [f"{question} {request.carried}".strip() for question in extraction.questions]
        try:
            units = await self._embedding.embed(texts, TextKind.PASSAGE, hop) if texts else None
            if known is None or (units is not None and not known.comparable(units)):
                known = QueryVector.of(await self._embedding.embed(asked[:1], TextKind.QUERY, hop))
            questions = vector(known)[np.newaxis, :]
            marks = {model_mark(known.model, known.revision, known.dimensions)}
            if len(asked) > 1:
                parts = await self._embedding.embed(asked[1:], TextKind.QUERY, hop)
                marks.add(model_mark(parts.model, parts.revision, parts.dimensions))
                questions = np.concatenate([questions, matrix(parts)])
            if len(marks) > 1 or (extraction.stored and marks != {extraction.model}):
                log.warning("units chosen by words only, the model has changed", request_id=context.request_id)
                return None
        except SERVICE_FAILURES as error:
            log.warning(
                "units chosen by words only, texts not embedded", reason=error.code, request_id=context.request_id
            )
            return None
        return UnitVectors(questions, None if units is None else matrix(units))
