"""Passages and a question to a cited answer, streamed."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

import msgspec

from argosy.contracts.request import RequestContext
from argosy.contracts.retrieval import Passage


class ChatTurn(msgspec.Struct):
    role: str
    content: str


class GenerateRequest(msgspec.Struct):
    """`passages` best first."""

    question: str
    passages: list[Passage]
    history: list[ChatTurn] = []
    max_tokens: int | None = None
    temperature: float | None = None


class Citation(msgspec.Struct):
    """Where a statement comes from.

    `index` is the number that stands in the answer as `[index]`; `quote` is the slice [start, end) of
    the document's parsed text. `page` and `last_page` are those of the whole passage.
    """

    index: int
    document_id: str
    name: str
    source: str
    title: str | None
    heading_path: list[str]
    chunk_id: str
    page: int | None
    start: int
    end: int
    quote: str
    score: float
    last_page: int | None = None


class AnswerDelta(msgspec.Struct, tag="delta"):
    text: str


class AnswerDone(msgspec.Struct, tag="done"):
    """The last event of a complete answer. An answer without it was cut off."""

    citations: list[Citation]
    finish_reason: str = "stop"
    model: str = "extractive"
    prompt_tokens: int = 0
    completion_tokens: int = 0
    degraded: list[str] = []


class AnswerFailed(msgspec.Struct, tag="failed"):
    """The stream broke after it began: what came before is not the whole answer."""

    code: str
    message: str


AnswerEvent = AnswerDelta | AnswerDone | AnswerFailed


class AnswerBackend(Protocol):
    """Turns passages into an answer."""

    def answer(self, request: GenerateRequest, context: RequestContext) -> AsyncGenerator[AnswerEvent, None]:
        """Deltas, then exactly one AnswerDone or AnswerFailed. Closing it drops the work.

        Raises: an ArgosyError before the first event when nothing was produced.
        """
        ...

    async def close(self) -> None: ...
