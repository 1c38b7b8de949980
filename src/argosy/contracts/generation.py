"""Messages of the generation service: a question and passages in, a streamed answer with citations out."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

import msgspec

from argosy.contracts.embedding import QueryVector
from argosy.contracts.request import RequestContext
from argosy.contracts.retrieval import Passage, QueryAnalysis


class ChatTurn(msgspec.Struct):
    role: str
    content: str


class GenerateRequest(msgspec.Struct):
    """Question to answer from `passages`, which are ordered best first.

    `question` is the user's own wording. `carried` holds the words that earlier turns add to a follow-up question; it
    is empty for a question that stands alone. `question_vector` is the vector of the query that was searched (the
    question with its carried words) when it is known; a backend that needs it and gets None embeds that text.
    The sampling fields are None or empty when the caller did not set them.
    """

    question: str
    passages: list[Passage]
    history: list[ChatTurn] = []
    max_tokens: int | None = None
    temperature: float | None = None
    question_vector: QueryVector | None = None
    analysis: QueryAnalysis | None = None
    """Reading of the question by the index, with the frequencies of its words; None when retrieval did not give it."""
    carried: str = ""
    max_completion_tokens: int | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: list[str] = []

    @property
    def query(self) -> str:
        """Question together with the words that earlier turns add to it."""
        return f"{self.question} {self.carried}" if self.carried else self.question


class StandaloneRequest(msgspec.Struct):
    """Last question of a conversation, to be rewritten so that it is understood without the earlier turns."""

    question: str
    history: list[ChatTurn]


class StandaloneResponse(msgspec.Struct):
    query: str
    model: str


class Citation(msgspec.Struct):
    """Source of a statement in the answer.

    `index` is the number of the marker `[index]` in the answer; `quote` is the slice [start, end) of the document's
    parsed text, in characters. `page` and `last_page` are the pages of the whole passage.
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
    """Next piece of the answer. `degraded` of the first one names each service whose fallback serves the answer."""

    text: str
    degraded: list[str] = []


class AnswerDone(msgspec.Struct, tag="done"):
    """Last event of a complete answer. An answer without this event was cut off.

    `unsupported` holds the sentences of a language model's answer that no passage supports, and `prompt` is the version
    of the prompt; both are empty for an extractive answer.
    """

    citations: list[Citation]
    finish_reason: str = "stop"
    model: str = "extractive"
    prompt_tokens: int = 0
    completion_tokens: int = 0
    degraded: list[str] = []
    unsupported: list[str] = []
    prompt: str = ""


class AnswerFailed(msgspec.Struct, tag="failed"):
    """Last event of an answer that failed after it began: the deltas before it are incomplete."""

    code: str
    message: str


AnswerEvent = AnswerDelta | AnswerDone | AnswerFailed


class AnswerBackend(Protocol):
    """Backend that turns passages into an answer."""

    def answer(self, request: GenerateRequest, context: RequestContext) -> AsyncGenerator[AnswerEvent, None]:
        """Yield deltas, then exactly one AnswerDone or AnswerFailed. Closing the generator stops the work.

        Raises: ArgosyError in place of the first event when no part of the answer was produced.
        """
        ...

    async def close(self) -> None:
        """Release the connections of the backend."""
        ...
