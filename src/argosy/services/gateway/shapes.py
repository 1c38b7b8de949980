"""Responses of the public API, in OpenAI's shapes where these exist.

They are msgspec structs, because encoding these takes only microseconds.
"""

from __future__ import annotations

import msgspec

from argosy.contracts.errors import ErrorBody
from argosy.contracts.fleet import ControllerView, Health, ServiceView
from argosy.contracts.generation import Citation
from argosy.contracts.retrieval import Passage
from argosy.contracts.store import Metadata


class SearchResult(msgspec.Struct):
    """Ranked passage.

    `score` is in [0, 1] and comparable within one response only; `start` and `end` count characters.
    """

    chunk_id: str
    document_id: str
    name: str
    source: str
    title: str | None
    text: str
    score: float
    page: int | None
    last_page: int | None
    start: int
    end: int
    heading_path: list[str]
    metadata: Metadata
    duplicates: int = 0
    """Number of near-duplicates of the passage that were left out."""

    @classmethod
    def of(cls, passage: Passage) -> SearchResult:
        chunk = passage.chunk
        return cls(
            chunk.chunk_id,
            chunk.document_id,
            chunk.name,
            chunk.source,
            chunk.title,
            chunk.text,
            passage.score,
            chunk.page,
            chunk.last_page,
            chunk.start,
            chunk.end,
            chunk.heading_path,
            chunk.metadata,
            passage.duplicates,
        )


class SearchAnswer(msgspec.Struct):
    """Results of a search. `warning` says that the embedding model does not know the language of the query."""

    results: list[SearchResult]
    degraded: list[str]
    timings_ms: dict[str, float]
    warning: str | None = None


class RerankedText(msgspec.Struct):
    text: str


class RerankResult(msgspec.Struct, omit_defaults=True):
    """Document's place in the request, and its relevance in [0, 1]."""

    index: int
    relevance_score: float
    document: RerankedText | None = None


class RerankUsage(msgspec.Struct):
    total_tokens: int


class RerankTokens(msgspec.Struct):
    input_tokens: int


class RerankMeta(msgspec.Struct):
    tokens: RerankTokens


class RerankAnswer(msgspec.Struct):
    """Documents by relevance, best first. `model` names what scored them; `usage` is Jina's form, `meta` Cohere's."""

    id: str
    model: str
    results: list[RerankResult]
    usage: RerankUsage
    meta: RerankMeta
    degraded: list[str]
    object: str = "list"


class Usage(msgspec.Struct):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class AssistantMessage(msgspec.Struct):
    content: str
    role: str = "assistant"
    refusal: None = None


class Choice(msgspec.Struct):
    message: AssistantMessage
    finish_reason: str
    index: int = 0
    logprobs: None = None


class Completion(msgspec.Struct):
    """Complete answer. `answered_by` names its author: `extractive`, or the name of a language model.

    `query` is the text that was searched: the question, or for a follow-up question its standalone form, made by a
    `rule` or a `model` (`query_by`). `unsupported` holds the sentences of a model's answer that no passage supports.
    `prompt` is the version of the model's prompt. `cached` is `exact` or `semantic` when the answer was given before.
    """

    id: str
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    citations: list[Citation]
    degraded: list[str]
    answered_by: str
    timings_ms: dict[str, float]
    query: str
    query_by: str
    unsupported: list[str]
    prompt: str
    cached: str
    object: str = "chat.completion"


class Delta(msgspec.Struct, omit_defaults=True):
    role: str | None = None
    content: str | None = None


class ChunkChoice(msgspec.Struct):
    delta: Delta
    finish_reason: str | None = None
    index: int = 0
    logprobs: None = None


class CompletionChunk(msgspec.Struct):
    id: str
    created: int
    model: str
    choices: list[ChunkChoice]
    object: str = "chat.completion.chunk"
    usage: Usage | msgspec.UnsetType | None = msgspec.UNSET
    citations: list[Citation] | msgspec.UnsetType = msgspec.UNSET
    degraded: list[str] | msgspec.UnsetType = msgspec.UNSET
    answered_by: str | msgspec.UnsetType = msgspec.UNSET
    query: str | msgspec.UnsetType = msgspec.UNSET
    query_by: str | msgspec.UnsetType = msgspec.UNSET
    unsupported: list[str] | msgspec.UnsetType = msgspec.UNSET
    prompt: str | msgspec.UnsetType = msgspec.UNSET
    cached: str | msgspec.UnsetType = msgspec.UNSET
    timings_ms: dict[str, float] | msgspec.UnsetType = msgspec.UNSET


class Embedding(msgspec.Struct):
    """Vector of one input. `embedding` is a list of numbers, or base64 of little-endian float32."""

    index: int
    embedding: list[float] | bytes
    object: str = "embedding"


class EmbeddingUsage(msgspec.Struct):
    prompt_tokens: int
    total_tokens: int


class Embeddings(msgspec.Struct):
    """Vectors of all inputs.

    `truncated` lists the positions of inputs of which the model read only the beginning; absent when there are none.
    """

    data: list[Embedding]
    model: str
    usage: EmbeddingUsage
    object: str = "list"
    truncated: list[int] | msgspec.UnsetType = msgspec.UNSET


class EmbeddingLine(msgspec.Struct, omit_defaults=True):
    """Line of a streamed response: `embedding`, or `error` when the text has no vector."""

    index: int
    embedding: list[float] | bytes | msgspec.UnsetType = msgspec.UNSET
    truncated: bool = False
    error: ErrorBody | msgspec.UnsetType = msgspec.UNSET


class Model(msgspec.Struct):
    id: str
    created: int
    owned_by: str = "argosy"
    object: str = "model"


class Models(msgspec.Struct):
    data: list[Model]
    degraded: list[str] = []
    object: str = "list"


class HealthReport(msgspec.Struct):
    """Health of the fleet: the controller's view, or without a controller this gateway's view, and `note` says so."""

    status: Health
    services: list[ServiceView]
    controller: ControllerView | None = None
    note: str = ""
