"""A parser and an embedding service in memory that refuse what the real ones refuse; `tests/contract` runs one suite
against both."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from argosy.contracts.embedding import MAX_TEXT_CHARS, MAX_TEXTS, EmbedResponse, ModelInfo, Spans, TextKind
from argosy.contracts.errors import InvalidRequest, ParserTimedOut, TooLarge
from argosy.contracts.request import RequestContext
from argosy.services.documents.parsing.formats import detect
from argosy.services.documents.parsing.parsed import ParsedDocument, decode_text, markdown_title

DIMENSIONS = 4


class MemoryParser:
    """Text and Markdown only."""

    async def parse(self, data: bytes, name: str, timeout_s: float, content_type: str | None = None) -> ParsedDocument:
        kind = detect(data, name, content_type)
        if timeout_s <= 0:
            raise ParserTimedOut(f"{name} was not parsed within {timeout_s:.0f} seconds.")
        text = decode_text(data)
        markdown = kind == "text/markdown"
        return ParsedDocument(text, kind, markdown_title(text) if markdown else None, markdown=markdown)


class MemoryEmbedder:
    """`serves` is the model's name, `max_queued_texts` what its queue can hold."""

    def __init__(self, max_queued_texts: int = 4096) -> None:
        self.serves = "minilm"
        self.max_queued_texts = max_queued_texts

    async def embed(
        self, texts: list[str], kind: TextKind, context: RequestContext, *, spans: Sequence[Spans] = ()
    ) -> EmbedResponse:
        if not 1 <= len(texts) <= MAX_TEXTS:
            raise InvalidRequest(f"texts has {len(texts)} entries.", param="texts")
        for index, text in enumerate(texts):
            if not text.strip() or len(text) > MAX_TEXT_CHARS:
                raise InvalidRequest(f"texts[{index}] is empty or too long.", param=f"texts[{index}]")
        if len(texts) > self.max_queued_texts:
            raise TooLarge("The queue can never hold so many texts.")
        vectors = b"".join(map(vector_of, texts))
        return EmbedResponse(self.serves, DIMENSIONS, vectors, [1] * len(texts), [False] * len(texts))

    async def model(self, context: RequestContext) -> ModelInfo:
        return ModelInfo(self.serves, "1", DIMENSIONS, 256)


def vector_of(text: str) -> bytes:
    """Four float32 that no other text has."""
    return np.frombuffer(hashlib.blake2b(text.encode(), digest_size=4).digest(), "u1").astype("<f4").tobytes()
