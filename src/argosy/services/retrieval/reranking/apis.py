"""Rerank APIs of Cohere, Jina and text-embeddings-inference: path, body and answer of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec


class _Usage(msgspec.Struct):
    total_tokens: int | None = None


class _Result(msgspec.Struct):
    index: int
    relevance_score: float


class _Results(msgspec.Struct):
    results: list[_Result]
    usage: _Usage | None = None


class _Rank(msgspec.Struct):
    index: int
    score: float


@dataclass(frozen=True, slots=True)
class Answer:
    """Scores by the position of their text, as the endpoint gave them. `tokens` is 0 when they are not told."""

    scores: list[tuple[int, float]]
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class RerankApi:
    """One API. `url` is its public address, empty when there is none; `key` names the variable with the API key.

    `body` makes a request from (model, query, texts). `read` decodes an answer and raises msgspec.DecodeError when it
    has another shape.
    """

    path: str
    url: str
    key: str
    body: Callable[[str, str, Sequence[str]], dict[str, object]]
    read: Callable[[bytes], Answer]


def _cohere_body(model: str, query: str, texts: Sequence[str]) -> dict[str, object]:
    return {"model": model, "query": query, "documents": list(texts), "top_n": len(texts)}


def _jina_body(model: str, query: str, texts: Sequence[str]) -> dict[str, object]:
    return {**_cohere_body(model, query, texts), "return_documents": False}


def _tei_body(model: str, query: str, texts: Sequence[str]) -> dict[str, object]:
    return {"query": query, "texts": list(texts), "raw_scores": False, "return_text": False, "truncate": True}


def _results(answer: bytes) -> Answer:
    found = msgspec.json.decode(answer, type=_Results)
    tokens = found.usage.total_tokens if found.usage is not None else None
    return Answer([(one.index, one.relevance_score) for one in found.results], tokens or 0)


def _ranks(answer: bytes) -> Answer:
    return Answer([(one.index, one.score) for one in msgspec.json.decode(answer, type=list[_Rank])])


APIS: Mapping[str, RerankApi] = {
    "cohere": RerankApi("/v2/rerank", "https://api.cohere.com", "COHERE_API_KEY", _cohere_body, _results),
    "jina": RerankApi("/v1/rerank", "https://api.jina.ai", "JINA_API_KEY", _jina_body, _results),
    "tei": RerankApi("/rerank", "", "TEI_API_KEY", _tei_body, _ranks),
}
