"""Vectors of texts: from the cache, from a batch that already computes the same text, or from the model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal, Protocol

import numpy as np

from argosy.contracts.embedding import (
    MAX_SPANS,
    MAX_TEXT_CHARS,
    MAX_TEXTS,
    EmbedRequest,
    EmbedResponse,
    Spans,
    TextFailure,
    TextKind,
)
from argosy.contracts.errors import ArgosyError, Internal, InvalidRequest
from argosy.contracts.request import RequestContext
from argosy.contracts.vectors import EmbeddingEngine, SpanEngine, Vector, Vectors
from argosy.services.embedding.cache.entry import CachedVector, Hit
from argosy.serving.batching.batcher import Batcher
from argosy.serving.batching.outcome import TextTooLong, usable
from argosy.serving.batching.queue import Computed, EmbedResult

LongTexts = Literal["truncate", "split", "refuse"]
WINDOWS_AT_ONCE = 64
"""Number of windows of split long texts that wait for the model at once."""


class VectorCache(Protocol):
    """Part of `EmbeddingCache` that the embedder uses."""

    def key(self, text: str, kind: TextKind, spans: Spans = ()) -> bytes:
        """Return the key of a text's vector, or of the vectors of the text and its spans."""
        ...

    async def lookup(self, keys: Sequence[bytes]) -> list[Hit | None]:
        """Return a hit or None for each key, in the order of `keys`."""
        ...

    def store(self, items: Iterable[tuple[bytes, CachedVector]]) -> None:
        """Store the vectors under their keys."""
        ...


class Embedder:
    def __init__(
        self, engine: EmbeddingEngine, batcher: Batcher, cache: VectorCache, long_texts: LongTexts = "truncate"
    ) -> None:
        """Create an embedder.

        `batcher` must refuse long texts unless `long_texts` is `truncate`, and pass its results to `keep_in(cache)`.
        """
        self._engine = engine
        self._batcher = batcher
        self._cache = cache
        self._long_texts = long_texts
        self._has_spans = isinstance(engine, SpanEngine)

    async def embed(self, request: EmbedRequest, context: RequestContext) -> EmbedResponse:
        """Return the vectors of the request in the order of its texts.

        Raises: InvalidRequest when a text cannot be embedded; the errors of `Batcher.embed`. The error of one text has
        its `texts[N]` as `param`; with `partial` it is in `failures` instead.
        """
        check(request)
        spans = request.spans if self._has_spans and request.spans else [[] for _ in request.texts]
        keys = [self._cache.key(text, request.kind, own) for text, own in zip(request.texts, spans, strict=True)]
        found = [None if hit is None else hit.value for hit in await self._cache.lookup(keys)]
        size = self._engine.info.dimensions
        found = [
            hit if hit is not None and len(hit.vector) == size * (1 + len(own)) else None
            for hit, own in zip(found, spans, strict=True)
        ]
        missing = [row for row, hit in enumerate(found) if hit is None]
        errors: dict[int, ArgosyError] = {}
        if self._long_texts == "refuse":
            errors = {row: _cut(self._engine) for row, hit in enumerate(found) if hit is not None and hit.truncated}
        if missing:
            await self._compute(request, spans, keys, missing, context, found, errors)
        if errors and not request.partial:
            first = min(errors)
            raise _located(errors[first], first)
        response = self._response(found, len(found) - len(missing), errors)
        if self._has_spans and request.spans:
            response.spans = [
                b"" if hit is None or row in errors else _packed_spans(hit, size) for row, hit in enumerate(found)
            ]
        return response

    async def _compute(
        self,
        request: EmbedRequest,
        spans: Sequence[Spans],
        keys: Sequence[bytes],
        missing: Sequence[int],
        context: RequestContext,
        found: list[CachedVector | None],
        errors: dict[int, ArgosyError],
    ) -> None:
        """Compute the vectors that are missing in `found`; put the error of a text without vector into `errors`."""
        result = await self._batcher.embed(
            [request.texts[row] for row in missing],
            request.kind,
            context,
            keys=[keys[row] for row in missing],
            partial=True,
            spans=[spans[row] for row in missing],
        )
        split = []
        size = self._engine.info.dimensions
        for at, row in enumerate(missing):
            error = result.errors.get(at)
            if error is None:
                found[row] = _row(result, at)
            elif isinstance(error, TextTooLong) and self._long_texts == "split":
                split.append(row)
            else:
                errors[row] = error
        if split:
            texts = list(dict.fromkeys(request.texts[row] for row in split))
            pooled = await self._split(texts, request.kind, context)
            for row in split:
                made = pooled[request.texts[row]]
                if isinstance(made, CachedVector):
                    found[row] = replace(
                        made, vector=_joined(made.vector, np.zeros((len(spans[row]), size), np.float32))
                    )
                else:
                    errors[row] = made

    async def _split(
        self, texts: Sequence[str], kind: TextKind, context: RequestContext
    ) -> Mapping[str, CachedVector | ArgosyError]:
        """Return for each text the mean of its windows' vectors, weighted by tokens and normalised to unit length."""
        pieces = [await asyncio.to_thread(self._engine.windows, text, kind) for text in texts]
        flat = [(text, window) for text, windows in zip(texts, pieces, strict=True) for window in windows]
        parts: dict[str, list[CachedVector]] = {text: [] for text in texts}
        failed: dict[str, ArgosyError] = {}
        for at in range(0, len(flat), WINDOWS_AT_ONCE):
            part = flat[at : at + WINDOWS_AT_ONCE]
            windows = [window for _, window in part]
            keys = [self._cache.key(window, kind) for window in windows]
            result = await self._batcher.embed(windows, kind, context, keys=keys, partial=True)
            for row, (text, _) in enumerate(part):
                if row in result.errors:
                    failed[text] = result.errors[row]
                else:
                    parts[text].append(_row(result, row))
        made = {text: failed.get(text) or _pooled(parts[text]) for text in texts}
        self._cache.store(
            (self._cache.key(text, kind), pooled) for text, pooled in made.items() if isinstance(pooled, CachedVector)
        )
        return made

    def _response(
        self, found: Sequence[CachedVector | None], hits: int, errors: Mapping[int, ArgosyError]
    ) -> EmbedResponse:
        info = self._engine.info
        good = [hit if row not in errors else None for row, hit in enumerate(found)] if errors else found
        return EmbedResponse(
            model=info.model,
            dimensions=info.dimensions,
            vectors=b"".join([_own_vector(hit, info.dimensions).tobytes() for hit in good if hit is not None]),
            tokens=[hit.tokens if hit is not None else 0 for hit in good],
            truncated=[hit.truncated if hit is not None else False for hit in good],
            hits=hits,
            failures=[TextFailure(row, error.code, error.message) for row, error in sorted(errors.items())],
            revision=info.revision,
        )


def check(request: EmbedRequest) -> None:
    """Check the number and the length of the texts, and the spans.

    Raises: InvalidRequest, naming the first text that is empty or too long, or the first wrong span, if there is one.
    """
    if not request.texts:
        raise InvalidRequest("texts is empty; send at least one.", param="texts")
    if len(request.texts) > MAX_TEXTS:
        raise InvalidRequest(
            f"texts has {len(request.texts)} entries, the limit is {MAX_TEXTS}; send fewer.", param="texts"
        )
    for index, text in enumerate(request.texts):
        if not text or text.isspace():
            raise InvalidRequest(f"texts[{index}] is empty; send text.", param=f"texts[{index}]")
        if len(text) > MAX_TEXT_CHARS:
            raise InvalidRequest(
                f"texts[{index}] has {len(text)} characters, the limit is {MAX_TEXT_CHARS}. Send it in parts.",
                param=f"texts[{index}]",
            )
    if request.spans:
        _check_spans(request)


def _check_spans(request: EmbedRequest) -> None:
    if len(request.spans) != len(request.texts):
        raise InvalidRequest(
            f"spans has {len(request.spans)} entries for {len(request.texts)} texts; send one list for each text.",
            param="spans",
        )
    if (count := sum(map(len, request.spans))) > MAX_SPANS:
        raise InvalidRequest(f"spans has {count} spans, the limit is {MAX_SPANS}; send fewer texts.", param="spans")
    for index, (text, spans) in enumerate(zip(request.texts, request.spans, strict=True)):
        if any(not 0 <= start <= end <= len(text) for start, end in spans):
            raise InvalidRequest(
                f"spans[{index}] has a slice outside of its text of {len(text)} characters; correct it.",
                param=f"spans[{index}]",
            )


def keep_in(cache: VectorCache) -> Callable[[list[Computed]], None]:
    """Return the function to which a batcher passes its results, so that the cache stores them."""

    def keep(results: list[Computed]) -> None:
        cache.store(
            (
                result.key,
                CachedVector(_joined(result.vector, result.spans), result.tokens, result.truncated, result.seconds),
            )
            for result in results
            if result.key is not None
        )

    return keep


def _row(result: EmbedResult, row: int) -> CachedVector:
    vector = _joined(result.vectors[row], result.spans[row])
    return CachedVector(vector, result.tokens[row], result.truncated[row], result.seconds[row])


def _joined(vector: Vector, spans: Vectors | None) -> Vector:
    """Return the vectors of a text and of its spans one after another, as the cache keeps them."""
    return vector if spans is None else np.concatenate([vector, spans.ravel()])


def _own_vector(hit: CachedVector, dimensions: int) -> Vector:
    """Return the vector of the text itself. The cache may have scaled it together with those of the spans."""
    vector = hit.vector.astype("<f4", copy=False)
    if len(vector) == dimensions:
        return vector
    own = vector[:dimensions]
    scaled: Vector = (own / np.linalg.norm(own)).astype("<f4")
    return scaled


def _packed_spans(hit: CachedVector, dimensions: int) -> bytes:
    """Return the vectors of the spans as int8, each as long as int8 allows; only their directions count."""
    rows = hit.vector[dimensions:].reshape(-1, dimensions)
    largest = np.abs(rows).max(axis=1, keepdims=True, initial=0.0)
    return np.rint(rows * (127 / np.where(largest > 0, largest, 1.0))).astype(np.int8).tobytes()


def _pooled(parts: Sequence[CachedVector]) -> CachedVector | ArgosyError:
    tokens = [part.tokens for part in parts]
    total = np.average([part.vector for part in parts], axis=0, weights=tokens)
    with np.errstate(all="ignore"):
        vector = (total / np.linalg.norm(total)).astype(np.float32)
    if not usable(vector[None])[0]:
        return Internal("Its parts have no usable vector together.")
    return CachedVector(vector, sum(tokens), truncated=False, seconds=sum(part.seconds for part in parts))


def _cut(engine: EmbeddingEngine) -> InvalidRequest:
    return InvalidRequest(
        f"It is longer than the limit of {engine.info.max_tokens} tokens. Shorten it, or set "
        "services.embedding.long_texts to split or truncate."
    )


def _located(error: ArgosyError, index: int) -> ArgosyError:
    """Return the same error with the position of its text."""
    message = f"The text at position {index} was not embedded. {error.message}"
    return type(error)(message, param=f"texts[{index}]", retry_after_s=error.retry_after_s)
